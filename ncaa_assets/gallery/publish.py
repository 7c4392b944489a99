"""What of the gallery is written when: a day's news into the pages that show it, and all of it anew.

Every object but a day's own is derived from shared state that several runs write at once, and nothing here needs the
day's lease. Each write expects the version that was read before the inputs, so whoever writes last has read inputs at
least as new as those of the object that is replaced; and once everything is written, the inputs are read again, and
what no longer follows from them is made again. Nothing of the gallery is a source of truth: the documents are, and a
season's rows, the list of the seasons' teams and every page follow from them, the same bytes in whatever order.

The order for a day: its journal, which names the teams whose pages show it now or did before; the season's rows; the
list of teams; the pages; and the journal again, as finished. Whoever is killed in between leaves a journal that is not.
"""

import hashlib
import random
import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count, groupby, takewhile
from typing import TypeVar

from ncaa_assets import advice
from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.journal import GALLERY, Journal, made_from, pages_are_current, stored_documents
from ncaa_assets.archive.watch import pause
from ncaa_assets.at_once import at_once
from ncaa_assets.failures import DocumentDamaged, ObjectMissing, StoreError, WriteConflict
from ncaa_assets.gallery import pages
from ncaa_assets.gallery.inputs import (
    AllTeams,
    DayPages,
    Inputs,
    Leaf,
    Rows,
    SeasonPages,
    Unit,
    View,
    stored_list,
    stored_season,
)
from ncaa_assets.gallery.model import (
    TEAMS_KEY,
    TYPES,
    DayPage,
    SeasonPage,
    TeamPage,
    day_key,
    season_key,
    season_of,
    team_key,
)
from ncaa_assets.gallery.season import SEASONS_KEY, Season, names
from ncaa_assets.gallery.season import key as rows_key
from ncaa_assets.ports import Expect
from ncaa_assets.record.models import HighlightsDay
from ncaa_assets.record.written import to_bytes

_RECENT = 30  # days; for older ones there is the rebuild
_MOST_ROUNDS = 50  # of doing again what others changed meanwhile
_TYPES = {**TYPES, "json": "application/json"}
# What a rebuild removes where it belongs to nothing. All else below gallery/ is a person's own.
_OURS = re.compile(
    r"\d{4}-\d\d-\d\d(-\d+)?\.html|\d{4}-\d\d-\d\d\.json|index\.html|seasons/\d{4}-\d\d\.html|search/[^/]+\.js"
    r"|teams/[a-z0-9-]+(/\d{4}-\d\d(-\d+)?)?\.html"
)

Item = TypeVar("Item", bound=Hashable)
Result = TypeVar("Result")


@dataclass
class Published:
    """What was published: the days whose pages now are as their documents, how many pages were written or removed, and
    the days of which a document cannot be read, each with why. The pages of those stay as they were."""

    days: list[str] = field(default_factory=list)
    pages: int = 0
    damaged: dict[str, str] = field(default_factory=dict)


def publish(archive: Archive, days: Iterable[str], *, progress: Callable[[str], None] = lambda _: None) -> Published:
    """Brings the pages that show these days up to their documents; what is up to them already is left alone. A season
    that has no rows yet is published whole. `progress` is called with each day that is done.

    Raises:
        StoreError: the store cannot be read or written, or others change the same pages all the time.
    """
    site = _Site(archive, progress)
    for name, group in groupby(sorted(set(days)), season_of):
        site.publish_season(name, list(group))
    return site.published


def rebuild(archive: Archive, *, progress: Callable[[str], None] = lambda _: None) -> Published:
    """Makes all of the gallery anew from the archive's documents, and removes pages that belong to nothing. It can be
    interrupted and run again. `progress` is called with each day that is done.

    Raises:
        StoreError: the store cannot be read or written, or others change the same pages all the time.
    """
    site = _Site(archive, progress)
    site.rebuild(archive.days())
    return site.published


def is_published(archive: Archive, day: str) -> bool:
    """Whether a day's pages are as its documents.

    Raises:
        StoreError: the store cannot be read.
    """
    return pages_are_current(archive.store, day) is True


def unpublished(archive: Archive) -> list[str]:
    """The days whose pages are not as the archive, oldest first, as far as that shows without reading all of it: those
    that no season's rows know, which are all days of an archive that an earlier version wrote; those that the rows
    alone know; and of the newest days those whose pages a run that was killed or failed left behind.

    Raises:
        StoreError: the store cannot be read.
    """
    known: set[str] = set()
    for name in names(archive.store):
        known.update(stored_season(archive.store, name)[0].days)
    days = archive.days()
    behind = {day for day in days[-_RECENT:] if not is_published(archive, day)}
    return sorted(known.symmetric_difference(days) | behind)


@dataclass(frozen=True)
class _Begun:
    """A day whose journal is written and not finished: what the rows were made from, and the journal's version."""

    day: str
    made_from: Mapping[str, str | None]
    teams: tuple[str, ...]
    version: str
    touched: frozenset[str]
    is_new: bool


class _Site:
    """The gallery of one archive while it is written."""

    def __init__(self, archive: Archive, progress: Callable[[str], None]) -> None:
        self._archive, self._store, self._progress = archive, archive.store, progress
        self._inputs = Inputs(archive)
        self._done: dict[str, None] = {}
        self._damaged: dict[str, str] = {}
        self._replaced: list[str] = []

    @property
    def _rows(self) -> Rows:
        return self._inputs.rows

    @property
    def published(self) -> Published:
        return Published(list(self._done), len(self._replaced), self._damaged)

    def publish_season(self, name: str, days: Sequence[str]) -> None:
        """Publishes days of one season."""
        pending = list(days)
        for _ in range(_MOST_ROUNDS):
            begun = self._begin(name, pending)
            if begun:
                self._write_static()
                self._write_list(name)
                self._settle(self._touched(name, begun))
            pending = self._finish(begun)
            if not pending:
                return
        raise _others(day_key(pending[0]))

    def rebuild(self, days: Sequence[str]) -> None:
        """Writes the rows and the days of every season, then what is made from the rows of all. A season's journals are
        finished last, so that a rebuild that ends early leaves days that are not."""
        if days:
            self._write_static()
        begun: dict[str, list[_Begun]] = {}
        for name, group in groupby(days, season_of):
            begun[name] = self._begin(name, list(group), is_rebuild=True)
            self._write_list(name)
            self._settle([DayPages(self._inputs, one.day) for one in begun[name]])
            self._inputs.forget()
        for name in set(names(self._store)).difference(begun):
            self._store.delete(rows_key(name))
        for name in set(self._rows.list.names).difference(begun):
            self._write_list(name)
        self._settle([AllTeams(self._inputs)])
        for name, of_season in begun.items():
            slugs = self._rows.season(name).teams()
            self._inputs.forget()
            self._rows.show(slugs)
            self._settle([SeasonPages(self._inputs, name, slug, is_rebuild=True) for slug in (*sorted(slugs), None)])
            if pending := self._finish(of_season):
                self.publish_season(name, pending)
        self._sweep()

    def _touched(self, name: str, begun: Sequence[_Begun]) -> list[Unit]:
        """The pages that days of a season touch: their own and, where they are new, those beside them; their teams' and
        the season's; and that of all teams."""
        slugs = sorted(set[str]().union(*(one.touched for one in begun)))
        self._rows.show(slugs)
        days = dict.fromkeys(one.day for one in begun)
        for one in begun:
            if one.is_new:
                days |= dict.fromkeys(day for day in self._rows.season(name).beside(one.day) if day is not None)
        teams = [SeasonPages(self._inputs, name, slug) for slug in slugs]
        return [
            *(DayPages(self._inputs, day) for day in days),
            *teams,
            SeasonPages(self._inputs, name, None),
            AllTeams(self._inputs),
        ]

    def _begin(self, name: str, days: Sequence[str], *, is_rebuild: bool = False) -> list[_Begun]:
        """Writes the journals and the rows of those of the days that are not published. A season that has no rows gets
        those of all its days."""
        for attempt in range(_MOST_ROUNDS):
            pause(random.uniform(0, 0.02 * min(attempt, 10)))  # noqa: S311 - so that two do not meet again
            season, version = stored_season(self._store, name)
            if not season.days and not is_rebuild:
                days = sorted({*days, *(day for day in self._archive.days() if season_of(day) == name)})
            try:
                begun = self._journals(days, season, again=is_rebuild)
                for one in begun:
                    clips = self._inputs.day(one.day).clips
                    if clips is None:
                        season.remove(one.day)
                    else:
                        season.put(one.day, clips)
                for day in set(season.days).difference(days) if is_rebuild else ():
                    season.remove(day)
                if season.days and (begun or is_rebuild):
                    self._rows.know(season, self._write(rows_key(name), season.to_bytes(), version, durable=True))
                elif version is not None and not season.days:
                    self._store.delete(rows_key(name), expect=version)
            except WriteConflict:
                continue
            return begun
        raise _others(rows_key(name))

    def _journals(self, days: Sequence[str], season: Season, *, again: bool) -> list[_Begun]:
        begun = []
        for day, one in self._each(partial(self._journal, season, again=again), days).items():
            if one is not None:
                begun.append(one)
            elif day not in self._damaged:
                self._is_done(day)
        return sorted(begun, key=lambda one: one.day)

    def _journal(self, season: Season, day: str, *, again: bool) -> _Begun | None:
        """Writes a day's journal as not finished; None where nothing is to be done, or the day is damaged. `season` is
        as it was before."""
        journal, version = Journal.read(self._store, day)
        try:
            now = self._inputs.day(day)
        except DocumentDamaged as error:
            self._damaged[day] = str(error)
            return None
        is_there = day in season.days
        was_finished = journal is not None and journal.is_finished and is_there
        is_current = journal is not None and journal.made_from == now.made_from
        if (was_finished and is_current and not again) or (now.clips is None and version is None and not is_there):
            return None
        teams = {side.slug for clip in now.clips or () for side in (clip.home, clip.away) if side is not None}
        touched = teams.union(journal.teams if journal is not None else (), season.teams_of_day(day))
        unfinished = Journal(date=day, made_from=dict(now.made_from), teams=sorted(touched))
        written = self._write(Journal.key(day), to_bytes(unfinished), version)
        return _Begun(
            day, now.made_from, tuple(sorted(teams)), written, frozenset(touched),
            is_new=not was_finished or now.clips is None,
        )  # fmt: skip

    def _finish(self, begun: Sequence[_Begun]) -> list[str]:
        """Finishes the journals of the days. Returns those whose documents changed meanwhile, or that somebody else
        publishes too."""
        pending = []
        for number, one in enumerate(begun):
            stored = stored_documents(self._store, one.day)
            key = Journal.key(one.day)
            try:
                if made_from(stored) != one.made_from:
                    pending.append(one.day)
                    continue
                if stored[HighlightsDay.asset] is None:
                    self._store.delete(key, expect=one.version)
                else:
                    made = dict(one.made_from)
                    finished = Journal(date=one.day, made_from=made, teams=list(one.teams), is_finished=True)
                    # The first of them waits for the disk to have all pages.
                    self._write(key, to_bytes(finished), one.version, durable=number == 0)
                self._is_done(one.day)
            except WriteConflict:
                pending.append(one.day)
        return pending

    def _is_done(self, day: str) -> None:
        if day not in self._done:
            self._done[day] = None
            self._progress(day)

    def _write_list(self, name: str) -> None:
        """Brings the list of the seasons' teams up to a season's rows."""
        for _ in range(_MOST_ROUNDS):
            seasons, version = stored_list(self._store)
            self._rows.look()
            season = self._rows.season(name)
            teams = season.teams() if season.days else None
            if teams is None:
                seasons.teams.pop(name, None)
            else:
                seasons.teams[name] = teams
            try:
                if seasons.teams:
                    self._write(SEASONS_KEY, seasons.to_bytes(), version)
                elif version is not None:
                    self._store.delete(SEASONS_KEY, expect=version)
            except WriteConflict:
                continue
            self._rows.look()
            if self._rows.season(name) is season:
                return
        raise _others(SEASONS_KEY)

    def _write_static(self) -> None:
        """Writes what all pages share, and once what is a person's own."""
        for key, data in pages.static_files():
            found = self._version(key)
            if found is None or found[1] != _sha256(data):
                self._write(key, data, Expect.ANYTHING)
        if self._store.info(pages.OWN_CSS) is None:
            with suppress(WriteConflict):
                self._write(pages.OWN_CSS, pages.OWN_CSS_BEGINS, Expect.NOTHING)

    def _settle(self, units: Sequence[Unit]) -> None:
        """Writes pages until they are those that follow from what is stored."""
        stored: dict[Unit, _Found] = {}
        shown: dict[Unit, list[Leaf]] = {}
        pending = list(units)
        for _ in range(_MOST_ROUNDS):
            self._rows.look()
            found = self._each(self._stored, pending)
            self._rows.look()
            shown |= self._each(partial(self._show, found), pending)
            self._rows.look()
            stored |= found
            are_right = self._each(partial(self._is_right, stored, shown), units)
            pending = [unit for unit in units if not are_right[unit]]
            if not pending:
                return
        raise _others(pending[0].first_keys()[0])

    def _stored(self, unit: Unit) -> "_Found":
        """What is stored of a unit's pages."""
        found: _Found = {key: self._version(key) for key in unit.first_keys()}
        for stem in unit.stems(_there(found)):
            for number in count(2) if stem is not None else ():
                part = f"{stem}-{number}.html"
                found[part] = self._version(part)
                if found[part] is None:
                    break
        return found

    def _show(self, stored: Mapping[Unit, "_Found"], unit: Unit) -> list[Leaf]:
        """Writes a unit's pages over those that were found. Returns those that are there now."""
        found, done = stored[unit], []
        with suppress(WriteConflict):
            for leaf in unit.leaves(_there(found)):
                rendered = _rendered(leaf.view)
                for key, data in rendered:
                    if (before := found.get(key)) is None or before[1] != _sha256(data):
                        self._write(key, data, Expect.NOTHING if before is None else before[0])
                        self._replaced.append(key)
                # The last part goes first, so that there is never one without those before it.
                parts = [key for key in found if leaf.stem is not None and key.startswith(f"{leaf.stem}-")]
                kept = {key for key, _ in rendered}
                for key in (*reversed(parts), leaf.key):
                    if key not in kept and (before := found.get(key)) is not None:
                        self._store.delete(key, expect=before[0])
                        self._replaced.append(key)
                done.append(leaf)
        return done

    @staticmethod
    def _is_right(stored: Mapping[Unit, "_Found"], shown: Mapping[Unit, list[Leaf]], unit: Unit) -> bool:
        """Whether what is there of a unit still follows from what is stored."""
        there = dict.fromkeys(_there(stored[unit]), True) | {leaf.key: leaf.view is not None for leaf in shown[unit]}
        leaves = unit.leaves({key for key, is_there in there.items() if is_there})
        return all(leaf in shown[unit] for leaf in leaves)

    def _sweep(self) -> None:
        """Removes what the gallery has and nothing belongs to."""
        stored = {info.key for info in self._store.list(GALLERY) if _OURS.fullmatch(info.key.removeprefix(GALLERY))}
        self._rows.look()  # after the listing: what others wrote by then is in the rows
        seasons = self._rows.list
        of_archive = seasons.names
        wanted = {*map(rows_key, of_archive), *map(season_key, of_archive[1:])}
        if of_archive:
            wanted |= {SEASONS_KEY, TEAMS_KEY, season_key()}
        days = {day for name in of_archive for day in self._rows.season(name).days} | set(self._archive.days())
        wanted |= {*map(Journal.key, days), *map(day_key, days)}
        stems = {GALLERY + day for day in days}
        for team in seasons.all_teams():
            of_team = seasons.of_team(team.slug)
            wanted |= {team_key(team.slug), *(team_key(team.slug, name) for name in of_team[1:])}
            stems |= {team_key(team.slug, name).removesuffix(".html") for name in of_team}
        for stem in stems:  # a further part was removed with those before it, or when it was last written
            parts = (f"{stem}-{number}.html" for number in count(2))
            wanted.update(takewhile(stored.__contains__, parts))
        for key in sorted(stored - wanted):
            self._store.delete(key)
            self._replaced.append(key)

    def _version(self, key: str) -> tuple[str, str] | None:
        """The version and the sha256 of what is stored, None where nothing is."""
        try:
            data, version = self._store.read(key)
        except ObjectMissing:
            return None
        return version, _sha256(data)

    def _write(self, key: str, data: bytes, expect: str | Expect | None, *, durable: bool = False) -> str:
        """Writes an object over the version that is expected (None: there is none). It can be made again, so no earlier
        version is kept."""
        return self._store.write(
            key, data, content_type=_TYPES[key.rpartition(".")[2]],
            expect=Expect.NOTHING if expect is None else expect, keep_replaced=False, durable=durable,
        )  # fmt: skip

    def _each(self, work: Callable[[Item], Result], items: Sequence[Item]) -> dict[Item, Result]:
        """The results of several pieces of work, several at a time where the store is best asked so."""
        limit = min(self._store.requests_at_once, len(items))
        if limit <= 1:
            return {item: work(item) for item in items}
        with closing(
            at_once(lambda item: (item, work(item)), items, limit=limit, name="gallery", end=_nothing)
        ) as done:
            return dict(done)


# The version and the sha256 of what is stored under a key, None where nothing is.
_Found = dict[str, tuple[str, str] | None]


def _there(found: _Found) -> set[str]:
    return {key for key, version in found.items() if version is not None}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _rendered(view: View | None) -> list[pages.Page]:
    match view:
        case None:
            return []
        case DayPage():
            return pages.day_pages(view)
        case TeamPage():
            return pages.team_pages(view)
        case SeasonPage():
            return pages.season_page(view)
    return pages.teams_page(view)


def _nothing() -> None:
    pass


def _others(key: str) -> StoreError:
    mend = advice.command("gallery", "--rebuild")
    return StoreError(f"others changed {key} at each of {_MOST_ROUNDS} attempts to write it; run `{mend}`")
