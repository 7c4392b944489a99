"""What the pages show: plain data, made from the archive by `clips.py` and `season.py` and read by the templates."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum

from ncaa_assets.archive.journal import GALLERY

# The content types of the site's own files, by their ending.
TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "svg": "image/svg+xml",
}
TEAMS_KEY = f"{GALLERY}teams/index.html"
_YEAR_BEGINS = 8  # the month; a season is a college year


def day_key(day: str) -> str:
    """The key of a day's page."""
    return f"{GALLERY}{day}.html"


def team_key(slug: str, season: str | None = None) -> str:
    """The key of a team's page: that of its newest season (None), or that of another."""
    return f"{GALLERY}teams/{slug}.html" if season is None else f"{GALLERY}teams/{slug}/{season}.html"


def season_key(season: str | None = None) -> str:
    """The key of a season's page: that of the newest (None), or that of another."""
    return f"{GALLERY}index.html" if season is None else f"{GALLERY}seasons/{season}.html"


def season_of(day: str) -> str:
    """The season of a game day: `2024-25` from August 2024 to July 2025."""
    year, month = int(day[:4]), int(day[5:7])
    first = year if month >= _YEAR_BEGINS else year - 1
    return f"{first}-{(first + 1) % 100:02d}"


class State(StrEnum):
    """How a highlight is kept."""

    KEPT = "kept"  # its video is in the archive
    LINK = "link"  # its address alone; `Clip.why` says why
    LOST = "lost"  # its video was kept, and is in the archive no more


@dataclass(frozen=True, slots=True)
class Team:
    """A team: its name as a record has it, and the stem of its page's name."""

    name: str
    slug: str


@dataclass(frozen=True, slots=True)
class Card:
    """A highlight as every page shows it.

    `video` and `poster` are keys of the archive: what a browser plays, and its still. `seconds` is the video's length.
    `source` says where it comes from, in a word. `is_removed`: the API lists it no more. `is_changed`: its record was
    another before. `place` is its place among the highlights of its day's page, from 0: a long page goes on in others.
    """

    id: str
    day: str
    title: str
    home: Team | None = None
    away: Team | None = None
    score: str | None = None
    seconds: int | None = None
    source: str | None = None
    state: State = State.LINK
    is_removed: bool = False
    is_changed: bool = False
    video: str | None = None
    poster: str | None = None
    place: int = 0


@dataclass(frozen=True, slots=True)
class Clip(Card):
    """A highlight as its day's page shows it.

    `why` says why no video is kept. `url` is its address, where it is one that a person may follow (http or https);
    `youtube` is the id of a YouTube video there, which can be embedded. `copy` and `output` are keys of the archive.
    `removed` is the day since when the API lists it no more, `earlier_titles` are those that it had, newest first.
    """

    why: str | None = None
    url: str | None = None
    youtube: str | None = None
    copy: str | None = None
    output: str | None = None
    removed: str | None = None
    earlier_titles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DayPage:
    """A day's page. `earlier` and `later` are the days beside it that have a page, as far as its season knows them."""

    day: str
    clips: tuple[Clip, ...]
    earlier: str | None = None
    later: str | None = None
    league: str = "NCAA"
    is_sample: bool = False

    @property
    def key(self) -> str:
        return day_key(self.day)


@dataclass(frozen=True, slots=True)
class TeamPage:
    """A team's page of one season, the newest day first.

    The page of its newest season is `teams/<slug>.html` and has in `seasons` all in which the team has a highlight,
    newest first. That of another season is `teams/<slug>/<season>.html`; its `seasons` are empty, because it leads to
    the newest for the others, so that a new season changes no older page.
    """

    team: Team
    season: str
    seasons: tuple[str, ...]
    cards: tuple[Card, ...]
    league: str = "NCAA"
    is_sample: bool = False

    @property
    def is_newest(self) -> bool:
        return bool(self.seasons)

    @property
    def key(self) -> str:
        return team_key(self.team.slug, None if self.is_newest else self.season)


@dataclass(frozen=True, slots=True)
class TeamsPage:
    """All teams of the archive, by name."""

    teams: tuple[Team, ...]
    league: str = "NCAA"
    is_sample: bool = False

    @property
    def key(self) -> str:
        return TEAMS_KEY


@dataclass(frozen=True, slots=True)
class CalendarDay:
    """A day of the calendar: how many highlights it has, and how many of them are kept. A day without games has a page
    too."""

    highlights: int
    kept: int


@dataclass(frozen=True, slots=True)
class SeasonPage:
    """A season: its calendar, its teams, and its newest games.

    The page of the newest season is `index.html` and has in `seasons` all of the archive, newest first. That of another
    is `seasons/<season>.html`; its `seasons` are empty, because it leads to the newest for the others.
    """

    season: str
    seasons: tuple[str, ...]
    days: dict[str, CalendarDay] = field(default_factory=dict)
    teams: tuple[Team, ...] = ()
    newest: tuple[Card, ...] = ()
    league: str = "NCAA"
    is_sample: bool = False

    @property
    def is_newest(self) -> bool:
        return bool(self.seasons)

    @property
    def key(self) -> str:
        return season_key(None if self.is_newest else self.season)

    @property
    def months(self) -> list[list[list[date | None]]]:
        """The months from the first to the last day that has a page: of each its weeks, from Sunday to Saturday, with
        None for what is outside of the month."""
        if not self.days:
            return []
        first, last = date.fromisoformat(min(self.days)), date.fromisoformat(max(self.days))
        months, month = [], first.replace(day=1)
        while month <= last:
            after = (month + timedelta(days=32)).replace(day=1)
            days: list[date | None] = [None] * (month.isoweekday() % 7)
            days += [month + timedelta(days=day) for day in range((after - month).days)]
            days += [None] * (-len(days) % 7)
            months.append([days[week : week + 7] for week in range(0, len(days), 7)])
            month = after
        return months
