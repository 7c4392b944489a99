"""A season's rows: what is known of each of its highlights, in one compact file that a page's search loads as a script
and this program reads back. Pages of teams and of seasons are made from it alone.

    ncaa.season({"version":1,"season":"2024-25","teams":["Duke",…],"sources":["youtube",…],"days":{
    "2025-03-09":[[105170,"Duke vs. Auburn",0,1,"82–69",154,81,0],…],
    …
    }});

A row is `[id, title, home, away, score, seconds, flags, source]`: `home` and `away` are places in `teams`, `source` one
in `sources`, -1 for none; an `id` that is a number has no quotes; `score` is `""` and `seconds` 0 where they are not
known. `flags` adds up the state (0 a link, 1 kept, 2 lost), 4 where the API lists it no more, 8 where it was changed,
16 times the kind of its video, and 64 times that of its poster. A kind is 0 for none, 1 and 2 for a key that follows
from the day and the id (`_VIDEOS`, `_POSTERS`), and 3 for another, which stands at the row's end: the video's, then
the poster's, `""` where only the other does.

`gallery/search/seasons.js` has the teams of every season: `ncaa.seasons({"2024-25":{"duke":"Duke",…},…});`.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from ncaa_assets import advice
from ncaa_assets.archive.journal import GALLERY
from ncaa_assets.failures import DocumentDamaged
from ncaa_assets.gallery.model import Card, State, Team
from ncaa_assets.gallery.teams import is_slug, team
from ncaa_assets.ports import ObjectStore
from ncaa_assets.record import calendar
from ncaa_assets.record.models import safe_name
from ncaa_assets.text import visible

VERSION = 1
FOLDER = f"{GALLERY}search/"
SEASONS_KEY = f"{FOLDER}seasons.js"
LONGEST_TITLE = 90  # bytes: what a row spends on it

_NAME = re.compile(r"[0-9]{4}-[0-9]{2}")
_STATES = (State.LINK, State.KEPT, State.LOST)
# The folder and the ending of a key, by its kind.
_ANOTHER, _WRITTEN = 3, ("", "")
_VIDEOS = (None, ("processed_videos", ".mp4"), ("videos", ".mp4"), _WRITTEN)
_POSTERS = (None, ("processed_videos", ".jpg"), ("processed_videos", ".0000000.jpg"), _WRITTEN)
_PLAIN_ID = re.compile(r"[1-9][0-9]{0,14}")  # a number that every JavaScript reads as it stands

Fits = Callable[[str, str, str | None, str | None], bool]
"""Whether a highlight is wanted, by its day, its title, and the names of its home and away teams."""

# A row as the file has it.
_Row = list[Any]
_ID, _TITLE, _HOME, _AWAY, _SCORE, _SECONDS, _FLAGS, _SOURCE, _KEYS = range(9)


@dataclass
class Season:
    """A season's rows, by day. They are kept as the file has them, because a day's news changes few of them."""

    name: str
    _days: dict[str, list[_Row]] = field(default_factory=dict)
    _teams: list[str] = field(default_factory=list)
    _sources: list[str] = field(default_factory=list)
    _lines: dict[str, str] = field(default_factory=dict)  # of days that are as they were read

    @property
    def days(self) -> tuple[str, ...]:
        """The days that have a page, newest first."""
        return tuple(sorted(self._days, reverse=True))

    def put(self, day: str, cards: Iterable[Card]) -> None:
        """Makes these the highlights of a day."""
        teams = {name: place for place, name in enumerate(self._teams)}
        sources = {name: place for place, name in enumerate(self._sources)}

        def place_of(name: str | None, places: dict[str, int], names: list[str]) -> int:
            if name is None:
                return -1
            if name not in places:
                places[name] = len(names)
                names.append(name)
            return places[name]

        self.remove(day)
        self._days[day] = [
            [
                int(card.id) if _PLAIN_ID.fullmatch(card.id) else card.id,
                _cut(card.title),
                place_of(card.home.name if card.home else None, teams, self._teams),
                place_of(card.away.name if card.away else None, teams, self._teams),
                card.score or "",
                card.seconds or 0,
                *_flags_and_keys(card, place_of(card.source, sources, self._sources)),
            ]
            for card in cards
        ]

    def remove(self, day: str) -> None:
        """Forgets a day, if it is there."""
        self._days.pop(day, None)
        self._lines.pop(day, None)

    def of_day(self, day: str) -> tuple[Card, ...]:
        """A day's highlights, in the order of its page; none where it has none."""
        return tuple(self._card(row, day, place) for place, row in enumerate(self._days.get(day, ())))

    def cards(self, days: Iterable[str] | None = None, fits: Fits = lambda *_: True) -> Iterator[Card]:
        """Every highlight of these days (None: of all, the newest first) that `fits`, a day's in the order of its
        page."""
        for day in self.days if days is None else days:
            for place, row in enumerate(self._days[day]):
                home, away = row[_HOME], row[_AWAY]
                home_team = self._teams[home] if home >= 0 else None
                if fits(day, row[_TITLE], home_team, self._teams[away] if away >= 0 else None):
                    yield self._card(row, day, place)

    def of_teams(self, slugs: Iterable[str]) -> dict[str, tuple[Card, ...]]:
        """The highlights of each of these teams, the newest day first; none of one that the season does not know."""
        wanted: dict[str, list[Card]] = {slug: [] for slug in slugs}
        lists = [wanted.get(one.slug) for one in self._named()] + [None]  # -1, which is no team, is the last
        for day in self.days:
            for place, row in enumerate(self._days[day]):
                of_home, of_away = lists[row[_HOME]], lists[row[_AWAY]]
                if of_home is None and of_away is None:
                    continue
                card = self._card(row, day, place)
                if of_home is not None:
                    of_home.append(card)
                if of_away is not None and of_away is not of_home:
                    of_away.append(card)
        return {slug: tuple(cards) for slug, cards in wanted.items()}

    def teams(self) -> dict[str, str]:
        """The teams by slug, each with its name as its newest highlight has it."""
        named, places = self._named(), dict[int, None]()
        for day in self.days:
            for row in self._days[day]:
                places[row[_HOME]] = places[row[_AWAY]] = None
        teams: dict[str, str] = {}
        for place in places:
            if place >= 0:
                teams.setdefault(named[place].slug, named[place].name)
        return teams

    def teams_of_day(self, day: str) -> set[str]:
        """The slugs of a day's teams."""
        named = self._named()
        return {named[place].slug for row in self._days.get(day, ()) for place in row[_HOME : _AWAY + 1] if place >= 0}

    def counts(self) -> dict[str, tuple[int, int]]:
        """How many highlights each day has, and how many of them are kept; oldest day first."""
        kept = _STATES.index(State.KEPT)
        return {
            day: (len(self._days[day]), sum(row[_FLAGS] & 3 == kept for row in self._days[day]))
            for day in reversed(self.days)
        }

    def beside(self, day: str) -> tuple[str | None, str | None]:
        """The days before and after a day that have a page."""
        return (
            max((other for other in self._days if other < day), default=None),
            min((other for other in self._days if other > day), default=None),
        )

    def to_bytes(self) -> bytes:
        """The file. The same rows give the same bytes, in whatever order they came."""
        self._sort_names()
        head = {"version": VERSION, "season": self.name, "teams": self._teams, "sources": self._sources, "days": {}}
        for day in self._days.keys() - self._lines.keys():
            self._lines[day] = f"{_dumps(day)}:{_dumps(self._days[day])}"
        days = ",\n".join(self._lines[day] for day in self.days)
        return f"ncaa.season({_dumps(head)[:-2]}\n{days}\n}}}});\n".encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """What `to_bytes` wrote.

        Raises:
            ValueError: it did not write this.
        """
        try:
            given = _argument("season", data)
            if given["version"] != VERSION:
                raise ValueError(f"its version is not {VERSION}")
            season = cls(given["season"], given["days"], given["teams"], given["sources"])
            if not all(map(calendar.is_day, season._days)) or not _NAME.fullmatch(season.name):
                raise ValueError("a day of it is none")
            season._named()
            for rows in season._days.values():
                for row in rows:
                    _check(row, season)
        except (KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
            raise ValueError(f"it is no season's rows ({type(error).__name__})") from error
        lines = (line.removesuffix(",") for line in data.decode().split("\n")[1:-2])
        season._lines = {line[1:11]: line for line in lines}
        if season._lines.keys() != season._days.keys():
            raise ValueError("it has no line for each day")
        return season

    def _named(self) -> list[Team]:
        named = [one for name in self._teams if (one := team(name)) is not None]
        if len(named) != len(self._teams):
            raise ValueError("a team has no name")
        return named

    def _sort_names(self) -> None:
        """Brings the names that rows refer to into their order, and leaves out those that no row has any more."""
        rows = [row for rows in self._days.values() for row in rows]
        teams = {row[_HOME] for row in rows} | {row[_AWAY] for row in rows}
        sources = {row[_SOURCE] for row in rows}
        of_teams, of_sources = _sorted(self._teams, teams), _sorted(self._sources, sources)
        if of_teams is None and of_sources is None:
            return
        for row in rows:
            if of_teams is not None:
                row[_HOME], row[_AWAY] = of_teams[row[_HOME]], of_teams[row[_AWAY]]
            if of_sources is not None:
                row[_SOURCE] = of_sources[row[_SOURCE]]
        self._lines.clear()

    def _card(self, row: _Row, day: str, place: int) -> Card:
        identifier, flags = str(row[_ID]), row[_FLAGS]
        home, away, source = row[_HOME], row[_AWAY], row[_SOURCE]
        name = safe_name(identifier)
        return Card(
            id=identifier, day=day, title=row[_TITLE],
            home=team(self._teams[home]) if home >= 0 else None,
            away=team(self._teams[away]) if away >= 0 else None,
            score=row[_SCORE] or None, seconds=row[_SECONDS] or None,
            source=self._sources[source] if source >= 0 else None,
            state=_STATES[flags & 3], is_removed=flags & 4 != 0, is_changed=flags & 8 != 0,
            video=_key(_VIDEOS[flags >> 4 & 3], row[_KEYS : _KEYS + 1], day, name),
            poster=_key(_POSTERS[flags >> 6 & 3], row[_KEYS + 1 : _KEYS + 2], day, name),
            place=place,
        )  # fmt: skip


def key(name: str) -> str:
    """The key of a season's rows."""
    return f"{FOLDER}{name}.js"


def names(store: ObjectStore) -> list[str]:
    """The seasons that have rows, newest first; none in an archive that has no gallery yet."""
    found = (info.key.removeprefix(FOLDER).removesuffix(".js") for info in store.list(FOLDER))
    return sorted(filter(_NAME.fullmatch, found), reverse=True)


def load(store: ObjectStore, name: str) -> Season:
    """A season's rows.

    Raises:
        ObjectMissing: it has none.
        DocumentDamaged: they cannot be read, or another version of this program wrote them.
    """
    data, _ = store.read(key(name))
    try:
        return Season.from_bytes(data)
    except ValueError as error:
        again = f"`{advice.command('gallery', '--rebuild')}` makes it again"
        raise DocumentDamaged(f"{store.uri(key(name))} cannot be read ({visible(error)}); {again}") from error


@dataclass
class Seasons:
    """The teams of each season, by slug."""

    teams: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The seasons, newest first."""
        return tuple(sorted(self.teams, reverse=True))

    def of_team(self, slug: str) -> tuple[str, ...]:
        """The seasons in which a team has a highlight, newest first."""
        return tuple(name for name in self.names if slug in self.teams[name])

    def all_teams(self) -> tuple[Team, ...]:
        """Every team as its newest season has it, by name."""
        newest: dict[str, str] = {}
        for name in self.names:
            newest = {**self.teams[name], **newest}
        return by_name(newest)

    def to_bytes(self) -> bytes:
        of_seasons = ",\n".join(
            f"{_dumps(name)}:{_dumps(dict(sorted(self.teams[name].items())))}" for name in self.names
        )
        return f"ncaa.seasons({{\n{of_seasons}\n}});\n".encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """What `to_bytes` wrote.

        Raises:
            ValueError: it did not write this.
        """
        try:
            given = _argument("seasons", data)
            are_seasons = all(map(_NAME.fullmatch, given)) and all(
                is_slug(slug) and isinstance(name, str) for teams in given.values() for slug, name in teams.items()
            )
        except (AttributeError, RecursionError) as error:
            raise ValueError(f"it is no list of seasons ({type(error).__name__})") from error
        if not are_seasons:
            raise ValueError("it is no list of seasons")
        return cls(given)


def by_name(teams: Mapping[str, str]) -> tuple[Team, ...]:
    """Teams that are given by slug, in the order of their names."""
    named = sorted(teams.items(), key=lambda one: (one[1].casefold(), one[0]))
    return tuple(Team(name, slug) for slug, name in named)


def _argument(function: str, data: bytes) -> dict[str, Any]:
    """What a script hands to `ncaa.<function>`."""
    text = data.decode()
    start, end = f"ncaa.{function}(", ");\n"
    if not text.startswith(start) or not text.endswith(end):
        raise ValueError(f"it does not call ncaa.{function}")
    given = json.loads(text[len(start) : -len(end)])
    if not isinstance(given, dict):
        raise ValueError(f"it hands no object to ncaa.{function}")
    return given


def _dumps(value: object) -> str:
    """JSON that is also JavaScript, and ends no `<script>` wherever somebody pastes it. Its texts were made visible, so
    they hold no line ends of any kind."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")


def _sorted(names: list[str], used: set[int]) -> dict[int, int] | None:
    """Sorts names in place and drops those whose place is not used. Returns the new place of each old one; None where
    nothing changed."""
    wanted = sorted({names[place] for place in used if place >= 0})
    if wanted == names:
        return None
    places = {name: place for place, name in enumerate(wanted)}
    moved = {-1: -1, **{place: places[names[place]] for place in used if place >= 0}}
    names[:] = wanted
    return moved


def _check(row: _Row, season: Season) -> None:
    """Raises an error where a row is not one of this file."""
    flags = row[_FLAGS]
    is_one = (
        type(row[_TITLE]) is type(row[_SCORE]) is str
        and type(row[_SECONDS]) is type(flags) is int
        and (flags & 3) < len(_STATES)
        and -1 <= row[_HOME] < len(season._teams)
        and -1 <= row[_AWAY] < len(season._teams)
        and -1 <= row[_SOURCE] < len(season._sources)
        and len(row) >= _KEYS + (flags >> 4 & 3 == _ANOTHER)
        and len(row) >= _KEYS + 2 * (flags >> 6 & 3 == _ANOTHER)
    )
    if not is_one:
        raise ValueError("a row of it is none")


def _flags_and_keys(card: Card, source: int) -> list[Any]:
    name = safe_name(card.id)
    video, poster = _kind(card.video, _VIDEOS, card.day, name), _kind(card.poster, _POSTERS, card.day, name)
    flags = _STATES.index(card.state) | card.is_removed << 2 | card.is_changed << 3 | video << 4 | poster << 6
    if poster == _ANOTHER:
        return [flags, source, card.video if video == _ANOTHER else "", card.poster]
    return [flags, source, card.video] if video == _ANOTHER else [flags, source]


def _cut(title: str) -> str:
    if len(title.encode()) <= LONGEST_TITLE:
        return title
    return title.encode()[: LONGEST_TITLE - len("…".encode())].decode(errors="ignore").rstrip() + "…"


def _kind(given: str | None, patterns: tuple[tuple[str, str] | None, ...], day: str, name: str) -> int:
    for kind, pattern in enumerate(patterns):
        if kind != _ANOTHER and given == _key(pattern, [], day, name):
            return kind
    return _ANOTHER


def _key(pattern: tuple[str, str] | None, written: list[str], day: str, name: str) -> str | None:
    if pattern is None:
        return None
    return written[0] if pattern is _WRITTEN else f"{pattern[0]}/{day}/{name}{pattern[1]}"
