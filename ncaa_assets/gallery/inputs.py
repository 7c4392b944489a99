"""What each page shows, as it follows from what is stored: from a day's documents, a season's rows and the list of the
seasons' teams. Nothing here writes.
"""

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass

from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.identity import IDENTITY_KEY, Identity
from ncaa_assets.archive.journal import GALLERY, made_from, stored_documents
from ncaa_assets.failures import DocumentDamaged, ObjectMissing
from ncaa_assets.gallery.clips import clips_of
from ncaa_assets.gallery.model import (
    TEAMS_KEY,
    CalendarDay,
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
from ncaa_assets.gallery.season import SEASONS_KEY, Season, Seasons, by_name, names
from ncaa_assets.gallery.season import key as rows_key
from ncaa_assets.ports import ObjectStore
from ncaa_assets.record.models import D, HighlightsDay, ProcessedDay, VideosDay
from ncaa_assets.record.written import from_bytes
from ncaa_assets.settings import SAMPLE
from ncaa_assets.text import visible

log = logging.getLogger(__name__)

_MOST_NEWEST = 9  # highlights on a season's page: the first as large as four, so rows of four and of two are full

View = DayPage | TeamPage | SeasonPage | TeamsPage


@dataclass(frozen=True)
class Day:
    """A day as its documents have it: what these are, and what is shown of it (None: it has no listing)."""

    made_from: Mapping[str, str | None]
    clips: tuple[Clip, ...] | None


class Inputs:
    """What the pages of one archive are made from. Several threads may ask."""

    def __init__(self, archive: Archive) -> None:
        self._store = archive.store
        self._days: dict[str, Day] = {}
        self.rows = Rows(archive.store)
        self.league, self.is_sample = archive.settings.league_name, archive.settings.uses_sample
        with suppress(ObjectMissing, DocumentDamaged):  # every command that writes to a day reports a damaged one
            identity = from_bytes(Identity, self._store.read(IDENTITY_KEY)[0], self._store.uri(IDENTITY_KEY))
            self.league, self.is_sample = identity.league, identity.source == SAMPLE

    def forget(self) -> None:
        """Lets go of what was read, for its memory."""
        self._days.clear()
        self.rows = Rows(self._store)

    def day(self, day: str) -> Day:
        """A day as its documents are now; they are parsed again only where their bytes changed.

        Raises:
            DocumentDamaged: one of them cannot be read.
        """
        stored = stored_documents(self._store, day)
        known = self._days.get(day)
        if known is None or known.made_from != made_from(stored):
            known = self._days[day] = Day(made_from(stored), self._clips(day, stored))
        return known

    def page(self, slug: str | None, season: str, seasons: tuple[str, ...]) -> View:
        """The page of a team, or of the archive itself, in a season."""
        if slug is not None:
            cards = self.rows.cards(season, slug)
            called = Team(self.rows.list.teams[season][slug], slug)
            return TeamPage(called, season, seasons, cards, self.league, self.is_sample)
        rows = self.rows.season(season)
        days = {day: CalendarDay(*counted) for day, counted in rows.counts().items()}
        newest: list[Card] = []
        for day in rows.days:
            newest += sorted(rows.of_day(day), key=lambda card: card.state is not State.KEPT)
            if len(newest) >= _MOST_NEWEST:
                break
        teams = by_name(self.rows.list.teams[season])
        return SeasonPage(season, seasons, days, teams, tuple(newest[:_MOST_NEWEST]), self.league, self.is_sample)

    def _clips(self, day: str, stored: Mapping[str, bytes | None]) -> tuple[Clip, ...] | None:
        def document(kind: type[D]) -> D:
            data = stored[kind.asset]
            if data is None:
                return kind(date=day)
            return from_bytes(kind, data, self._store.uri(kind.key(day)), expected={"date": day})

        if stored[HighlightsDay.asset] is None:
            return None
        return clips_of(document(HighlightsDay), document(VideosDay), document(ProcessedDay))


class Rows:
    """The seasons' rows and the list of their teams, as they are stored. `look` has them read again, when they are next
    asked for; they are parsed again only where their bytes changed. Several threads may ask."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._slugs: Collection[str] = ()
        self._seasons: dict[str, tuple[Season, str | None]] = {}
        self._cards: dict[str, dict[str, tuple[Card, ...]]] = {}
        self._list: tuple[Seasons, str | None] = Seasons(), None
        self._looked_at: set[str] = set()
        self._lock = threading.RLock()

    def look(self) -> None:
        self._looked_at.clear()

    def show(self, slugs: Collection[str]) -> None:
        """From now on `cards` is asked for these teams."""
        self._slugs = slugs
        self._cards.clear()

    def know(self, season: Season, version: str) -> None:
        """A season's rows that were stored right now."""
        self._seasons[season.name] = season, version
        self._cards.pop(season.name, None)

    def season(self, name: str) -> Season:
        with self._lock:
            if name not in self._looked_at:
                before = self._seasons.get(name)
                season, version = stored_season(self._store, name, before)
                if before is None or version != before[1]:
                    self._cards.pop(name, None)
                self._seasons[name] = season, version
                self._looked_at.add(name)
            return self._seasons[name][0]

    def cards(self, name: str, slug: str) -> tuple[Card, ...]:
        """A team's highlights of a season."""
        with self._lock:
            season = self.season(name)
            if name not in self._cards:
                self._cards[name] = season.of_teams(self._slugs)
            return self._cards[name][slug]

    @property
    def list(self) -> Seasons:
        with self._lock:
            if SEASONS_KEY not in self._looked_at:
                self._list = stored_list(self._store, self._list)
                self._looked_at.add(SEASONS_KEY)
            return self._list[0]


@dataclass(frozen=True)
class Leaf:
    """A page: the key of its first part, what it shows (None: it is not to be there), and what the names of its further
    parts begin with (None: it has none)."""

    key: str
    view: View | None
    stem: str | None = None

    def part(self, number: int) -> str:
        return f"{self.stem}-{number}.html"


class Unit(ABC):
    """Pages that are written together, in their order."""

    @abstractmethod
    def first_keys(self) -> list[str]:
        """The keys that `leaves` may name, or look for."""

    @abstractmethod
    def stems(self, there: Collection[str]) -> list[str | None]:
        """The stems of the pages that `leaves` gives."""

    @abstractmethod
    def leaves(self, there: Collection[str]) -> list[Leaf]:
        """The pages, as they follow from what is stored. `there` are those of `first_keys` that are stored."""


@dataclass(frozen=True)
class DayPages(Unit):
    """A day's page."""

    site: "Inputs"
    day: str

    def first_keys(self) -> list[str]:
        return [day_key(self.day)]

    def stems(self, there: Collection[str]) -> list[str | None]:
        del there
        return [GALLERY + self.day]

    def leaves(self, there: Collection[str]) -> list[Leaf]:
        del there
        season, stem = self.site.rows.season(season_of(self.day)), GALLERY + self.day
        if self.day not in season.days:
            return [Leaf(day_key(self.day), None, stem)]
        try:
            clips = self.site.day(self.day).clips
        except DocumentDamaged as error:  # a day beside those that are published
            log.warning("the page of %s stays as it is: %s", self.day, error)
            return []
        if clips is None:  # its documents were removed, and the next publication takes it out of the rows
            return []
        earlier, later = season.beside(self.day)
        view = DayPage(self.day, clips, earlier, later, self.site.league, self.site.is_sample)
        return [Leaf(day_key(self.day), view, stem)]


@dataclass(frozen=True)
class SeasonPages(Unit):
    """The pages, as far as a season's news touches them, of something that has one for each of its seasons: a team, or
    the archive itself (`slug` is None).

    That of the newest season lies where everybody looks first, and names all seasons. So where a season becomes the
    newest, the one before it moves to a page of its own; where an older one appears, the newest's page has to name it.
    Whether that was done is told by the older page, which is written last. In a rebuild each season has its turn.
    """

    site: "Inputs"
    season: str
    slug: str | None
    is_rebuild: bool = False

    def first_keys(self) -> list[str]:
        return [self._key(), *map(self._key, dict.fromkeys((self.season, *self._seasons()[:2])))]

    def stems(self, there: Collection[str]) -> list[str | None]:
        return [leaf.stem for leaf in self.leaves(there)]

    def leaves(self, there: Collection[str]) -> list[Leaf]:
        seasons = self._seasons()
        newest, second = [*seasons[:2], None, None][:2]
        own = self._key(self.season)
        if newest is None:
            return [Leaf(self._key(), None), Leaf(own, None, self._stem(self.season))]

        def page(season: str) -> Leaf:
            is_newest = season == newest
            view = self.site.page(self.slug, season, seasons if is_newest else ())
            return Leaf(self._key() if is_newest else self._key(season), view, self._stem(season))

        if self.season == newest:
            has_to_move = second is not None and not self.is_rebuild and self._key(second) not in there
            return [page(newest), *([page(second)] if second is not None and has_to_move else [])]
        if self.season in seasons:
            return [page(self.season)] if self.is_rebuild or own in there else [page(newest), page(self.season)]
        return [page(newest), Leaf(own, None, self._stem(self.season)), Leaf(self._key(newest), None)]

    def _key(self, season: str | None = None) -> str:
        return season_key(season) if self.slug is None else team_key(self.slug, season)

    def _stem(self, season: str) -> str | None:
        return None if self.slug is None else team_key(self.slug, season).removesuffix(".html")

    def _seasons(self) -> tuple[str, ...]:
        return self.site.rows.list.names if self.slug is None else self.site.rows.list.of_team(self.slug)


@dataclass(frozen=True)
class AllTeams(Unit):
    """The page of all teams."""

    site: "Inputs"

    def first_keys(self) -> list[str]:
        return [TEAMS_KEY]

    def stems(self, there: Collection[str]) -> list[str | None]:
        del there
        return [None]

    def leaves(self, there: Collection[str]) -> list[Leaf]:
        del there
        seasons = self.site.rows.list
        view = TeamsPage(seasons.all_teams(), self.site.league, self.site.is_sample) if seasons.names else None
        return [Leaf(TEAMS_KEY, view)]


def stored_season(
    store: ObjectStore, name: str, before: tuple[Season, str | None] | None = None
) -> tuple[Season, str | None]:
    """A season's rows and their version, which is None where none are stored; `before` are those that were read last.
    Rows that cannot be read count as none: they are made again."""
    try:
        data, version = store.read(rows_key(name))
    except ObjectMissing:
        return before if before is not None and before[1] is None else (Season(name), None)
    if before is not None and before[1] == version:
        return before
    try:
        season = Season.from_bytes(data)
        if season.name != name:
            raise ValueError("they are those of another season")
    except ValueError as error:
        log.warning("the rows %s cannot be read and are made again: %s", rows_key(name), visible(error))
        return Season(name), version
    return season, version


def stored_list(store: ObjectStore, before: tuple[Seasons, str | None] | None = None) -> tuple[Seasons, str | None]:
    """The list of the seasons' teams and its version, likewise. Where it cannot be read, it follows from the rows."""
    version = None
    try:
        data, version = store.read(SEASONS_KEY)
        if before is not None and before[1] == version:
            return before
        return Seasons.from_bytes(data), version
    except ObjectMissing:
        pass
    except ValueError as error:
        log.warning("the list %s cannot be read and is made again: %s", SEASONS_KEY, visible(error))
    seasons = {name: stored_season(store, name)[0] for name in names(store)}
    return Seasons({name: season.teams() for name, season in seasons.items() if season.days}), version
