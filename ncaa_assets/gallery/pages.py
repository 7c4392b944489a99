"""The views of `model.py` as HTML, by the templates beside this file: pure functions without a store or a clock.

Each gives its pages as keys of the archive and their bytes. Every link within the gallery is relative, so it works from
a folder, from any web server and from a bucket.
"""

import functools
import itertools
import re
import zlib
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from ncaa_assets.archive.journal import GALLERY
from ncaa_assets.gallery.model import (
    Card,
    Clip,
    DayPage,
    SeasonPage,
    State,
    Team,
    TeamPage,
    TeamsPage,
    day_key,
    season_key,
    season_of,
    team_key,
)
from ncaa_assets.record.matches import TWO_SCORES
from ncaa_assets.text import plural

OWN_CSS = GALLERY + "own.css"  # a person's own: written once, with `OWN_CSS_BEGINS`, and never again
OWN_CSS_BEGINS = b"/* Yours: every page of the gallery reads this file last, and nothing writes it again. */\n"

CLIPS_A_PAGE = 60  # of a day or a team; 100 kB at most, with titles as they are
_TITLES_SHOWN = 5  # earlier ones of a highlight

Page = tuple[str, bytes]

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_STATES = {State.KEPT: "Kept", State.LINK: "Link only", State.LOST: "Lost"}
_HUES = 12  # colours of teams, which style.css has
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; base-uri 'none'; "
    "form-action 'none'"
)
_EMBEDS = "; frame-src https://www.youtube-nocookie.com"
_PLAIN = re.compile(r"[\w./-]+", re.ASCII)  # what an address holds as it is
_TEMPLATES = Path(__file__).with_name("templates")
_STATIC = Path(__file__).with_name("static")


def day_pages(view: DayPage) -> list[Page]:
    """A day's page, and those in which a long one goes on."""
    pages = _parts(view.clips)
    keys = [_day_key(view.day, part) for part in range(len(pages))]
    return [
        _page(
            "day.html",
            key,
            view,
            title=f"{_long_date(view.day)} · {view.league} highlights",
            season=season_of(view.day),
            policy=_POLICY + _EMBEDS if any(clip.youtube for clip in clips) else _POLICY,
            heading=_long_date(view.day),
            summary=_summary(view.clips),
            cards=[_shown(clip, _top(key)) for clip in clips],
            parts=_links(keys, key),
            earlier=_day_link(view.earlier, key),
            later=_day_link(view.later, key),
        )
        for key, clips in zip(keys, pages, strict=True)
    ]


def team_pages(view: TeamPage) -> list[Page]:
    """A team's page of a season, and those in which a long one goes on."""
    pages = _parts(view.cards)
    more = (
        f"{team_key(view.team.slug, view.season).removesuffix('.html')}-{part + 1}.html" for part in itertools.count(1)
    )
    keys = [view.key, *itertools.islice(more, len(pages) - 1)]
    return [
        _page(
            "team.html",
            key,
            view,
            title=f"{view.team.name} {season_name(view.season)} · {view.league} highlights",
            season=view.season,
            team=_side(view.team, _top(key)),
            initials=_initials(view.team.name),
            season_name=season_name(view.season),
            summary=_summary(view.cards),
            cards=[_shown(card, _top(key), of=view.team) for card in cards],
            parts=_links(keys, key),
            newest=None if view.is_newest else _link(team_key(view.team.slug), key),
            seasons=[(season_name(other), _link(team_key(view.team.slug, other), key)) for other in view.seasons[1:]],
        )
        for key, cards in zip(keys, pages, strict=True)
    ]


def season_page(view: SeasonPage) -> list[Page]:
    """A season's page: the index, for the newest one."""
    top = _top(view.key)
    return [
        _page(
            "season.html",
            view.key,
            view,
            title=f"{view.league} highlights {season_name(view.season)}",
            season=view.season,
            season_name=season_name(view.season),
            highlights=sum(day.highlights for day in view.days.values()),
            kept=sum(day.kept for day in view.days.values()),
            days=sum(1 for day in view.days.values() if day.highlights),
            cards=[_shown(card, top) for card in view.newest],
            months=[_month(weeks, view) for weeks in reversed(view.months)],
            teams=[_side(team, top) for team in view.teams],
            newest=None if view.is_newest else _link(season_key(), view.key),
            seasons=[(season_name(other), _link(season_key(other), view.key)) for other in view.seasons[1:]],
        )
    ]


def teams_page(view: TeamsPage) -> list[Page]:
    """The page of all teams."""
    letters: dict[str, list[_Side]] = {}
    for team in view.teams:
        first = team.slug[:1].upper()
        letters.setdefault(first if first.isalpha() else "#", []).append(_side(team, _top(view.key)))
    title = f"Teams · {view.league} highlights"
    return [_page("teams.html", view.key, view, title=title, season="", letters=letters, count=len(view.teams))]


def static_files() -> list[Page]:
    """What pages share and no archive changes: styles, scripts, the search library and its licence."""
    return [(f"{GALLERY}assets/{file.name}", file.read_bytes()) for file in sorted(_STATIC.iterdir())]


def season_name(season: str) -> str:
    """A season as people read it: 2024–25."""
    return season.replace("-", "–")


def anchor(highlight: str) -> str:
    """The fragment that leads to a highlight on its day's page, and the id there. `search.js` makes the same of it."""
    if highlight.isascii() and highlight.isalnum():
        return f"c-{highlight}"
    return "c-" + quote(highlight, safe="!'()*", errors="replace")


def _day_key(day: str, part: int = 0) -> str:
    return f"{GALLERY}{day}-{part + 1}.html" if part else day_key(day)


def _top(key: str) -> str:
    """What leads from a page to the gallery's folder."""
    return "../" * (key.count("/") - 1)


def _link(key: str, page: str) -> str:
    """What leads from a page to another of the gallery."""
    return _top(page) + quote(key.removeprefix(GALLERY))


def _links(keys: Sequence[str], page: str) -> list[tuple[str, bool]]:
    """The parts of a page: their links, and whether each is this one."""
    return [(_link(key, page), key == page) for key in keys]


@functools.cache
def _template(name: str) -> Template:
    return _environment().get_template(name)


@functools.cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def _page(template: str, key: str, view: DayPage | TeamPage | SeasonPage | TeamsPage, **values: Any) -> Page:
    every = {
        "top": _top(key),
        "policy": _POLICY,
        "league": view.league,
        "is_sample": view.is_sample,
        "clips_a_page": CLIPS_A_PAGE,
        **values,
    }
    return key, _template(template).render(every).encode("utf-8", "replace")


def _parts(cards: Sequence[Any]) -> list[Sequence[Any]]:
    return [cards[first : first + CLIPS_A_PAGE] for first in range(0, len(cards), CLIPS_A_PAGE)] or [cards]


def _summary(cards: Iterable[Card]) -> str:
    """How many there are, and how they are kept: `12 highlights: 9 kept, 2 as a link, 1 lost`."""
    states = [card.state for card in cards]
    if not states:
        return ""
    parts = [
        (states.count(State.KEPT), "kept"),
        (states.count(State.LINK), "as a link"),
        (states.count(State.LOST), "lost"),
    ]
    return f"{plural(len(states), 'highlight')}: {', '.join(f'{count} {word}' for count, word in parts if count)}"


class _Side(NamedTuple):
    """A team as a card or a list shows it. `link` is None on its own page."""

    name: str
    link: str | None
    points: str | None
    look: str  # the class of its colour, and whether it won


class _Shown(NamedTuple):
    """A card in the words and addresses that its template writes down."""

    id: str
    title: str
    sides: list[_Side]
    score: str | None  # where it is not two numbers, which stand beside the teams
    date: str
    day_link: str
    length: str | None
    source: str | None
    state: str
    state_words: str
    is_removed: bool
    is_changed: bool
    link: str | None
    plays: bool
    leaves: bool
    poster: str | None
    stands: list[tuple[str, str]]  # for a poster where there is none: letters and colours of the teams
    clip: "_Details | None"


class _Details(NamedTuple):
    """What a day's page alone knows of a highlight."""

    why: str | None
    url: str | None
    youtube: str | None
    copy: str | None
    output: str | None
    removed: str | None
    earlier_titles: tuple[str, ...]


def _shown(card: Card, top: str, *, of: Team | None = None) -> _Shown:
    home, away = card.home, card.away
    points: tuple[str | None, str | None] = (None, None)
    score = card.score
    if score and home and away and (two := TWO_SCORES.fullmatch(score)):
        points, score = (two[1], two[2]), None
    ahead = int(points[0]) - int(points[1]) if points[0] and points[1] else 0
    page = _day_key(card.day, card.place // CLIPS_A_PAGE).removeprefix(GALLERY)
    fragment = anchor(card.id)
    day_link = f"{top}{page}#{fragment}"
    clip, link = None, day_link
    if isinstance(card, Clip):
        clip = _Details(
            card.why,
            card.url,
            card.youtube,
            _to(top, card.copy),
            _to(top, card.output),
            _short_date(card.removed) if card.removed else None,
            card.earlier_titles[:_TITLES_SHOWN],
        )
        link = card.url or ""
    video = _to(top, card.video)
    if not video and clip:
        video = clip.output or clip.copy
    return _Shown(
        id=fragment,
        title=card.title,
        sides=[
            _side(team, top, of=of, points=mine, won=won)
            for team, mine, won in ((home, points[0], ahead > 0), (away, points[1], ahead < 0))
            if team
        ],
        score=score,
        date=_short_date(card.day),
        day_link=day_link,
        length=_length(card.seconds),
        source=card.source,
        state=card.state.value,
        state_words=_STATES[card.state],
        is_removed=card.is_removed,
        is_changed=card.is_changed,
        link=video or link or None,
        plays=card.video is not None,
        leaves=clip is not None and not video,
        poster=_to(top, card.poster),
        stands=[] if card.poster else [(_initials(team.name), _hue(team.slug)) for team in (home, away) if team],
        clip=clip,
    )


def _side(team: Team, top: str, *, of: Team | None = None, points: str | None = None, won: bool = False) -> _Side:
    look = _hue(team.slug)
    link = None if of is not None and team.slug == of.slug else f"{top}teams/{team.slug}.html"
    return _Side(team.name, link, points, f"{look} won" if won else look)


@functools.lru_cache(maxsize=4096)
def _hue(slug: str) -> str:
    return f"h{zlib.crc32(slug.encode()) % _HUES}"


@functools.lru_cache(maxsize=4096)
def _initials(name: str) -> str:
    """What stands for a team where its name has no room: `DB` for Duke Blue Devils, `DU` for Duke. Three letters would
    make words of some teams."""
    words = [word for word in name.split() if word[0].isalnum()]
    return ("".join(word[0] for word in words) if len(words) > 1 else name).upper()[:2]


def _to(top: str, key: str | None) -> str | None:
    """The way from a page to an object of the archive."""
    if not key:
        return None
    return f"{top}../{key if _PLAIN.fullmatch(key) else quote(key, errors='replace')}"


def _length(seconds: int | None) -> str | None:
    if seconds is None or seconds < 0:
        return None
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


@functools.lru_cache(maxsize=4096)
def _short_date(day: str) -> str:
    found = date.fromisoformat(day)
    return f"{_MONTHS[found.month - 1][:3]} {found.day}, {found.year}"


def _long_date(day: str) -> str:
    found = date.fromisoformat(day)
    return f"{_WEEKDAYS[found.weekday()]}, {_MONTHS[found.month - 1]} {found.day}, {found.year}"


def _day_link(day: str | None, page: str) -> tuple[str, str] | None:
    return (_link(day_key(day), page), _short_date(day)) if day else None


class _Square(NamedTuple):
    """A day of the calendar. `link` is None where it has no page; `level` is how busy it was, from 0 to 4."""

    number: int
    link: str | None = None
    level: int = 0
    kept: int = 0
    words: str = ""


def _month(weeks: list[list[date | None]], view: SeasonPage) -> tuple[str, list[list[_Square | None]]]:
    """A month's name and its weeks."""
    first = next(day for day in weeks[0] if day)
    squares = [[_square(day, view) if day else None for day in week] for week in weeks]
    return f"{_MONTHS[first.month - 1]} {first.year}", squares


def _square(day: date, view: SeasonPage) -> _Square:
    shown = view.days.get(day.isoformat())
    if shown is None:
        return _Square(day.day)
    words = f"{_MONTHS[day.month - 1]} {day.day}: " + (
        f"{plural(shown.highlights, 'highlight')}, {shown.kept} kept" if shown.highlights else "no games"
    )
    level = sum(shown.highlights > bound for bound in (0, 5, 20, 50))
    return _Square(day.day, _link(day_key(day.isoformat()), view.key), level, shown.kept, words)
