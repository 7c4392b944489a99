"""Goes through an archive's days and restores each by a layout, into a target. What is missing or damaged is named, and
the rest is restored."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence, Set
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import BinaryIO

from ncaa_assets import advice
from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.documents import load
from ncaa_assets.archive.identity import IDENTITY_KEY, Identity
from ncaa_assets.archive.reconcile import Finding, Severity, durations, forgotten_keys, posters, reconcile_day
from ncaa_assets.archive.rows import RowsOfDays
from ncaa_assets.archive.standing import Wanted
from ncaa_assets.failures import DocumentDamaged, ObjectMissing, SettingsError, StoreError
from ncaa_assets.ports import HighlightTable, ObjectStore
from ncaa_assets.record.models import VideosDay
from ncaa_assets.record.rows import Row
from ncaa_assets.record.written import from_bytes
from ncaa_assets.restore.as_of import AsOf
from ncaa_assets.restore.content import DayContent, content_of, of_bytes
from ncaa_assets.restore.rows import rows_of_day
from ncaa_assets.restore.target import Differs, NotAsRecorded, Piece, Put, Target

Layout = Callable[[ObjectStore, DayContent, Collection[str]], Iterator[Piece]]
"""Which files a day becomes, of the parts that are wanted."""

Replaceable = Callable[[Target, DayContent], Set[str]]
"""The sha256 of what the target has of a day and may be replaced; raises `Differs` where the day is left alone."""

IN_DOCUMENTS = f"documents/{IDENTITY_KEY}"  # where every layout but `archive` has it
WHAT = ("json", "rows", "videos", "processed")

_MOVE_AWAY = "move it away, or restore to another place"


@dataclass
class DayRestored:
    """What became of a day: how many files were written and how many were there, the bytes that were written, and what
    is wrong with it. `held_by` says who is at work on it, and then nothing was done."""

    day: str
    written: int = 0
    there: int = 0
    bytes: int = 0
    held_by: str | None = None
    table_trouble: str | None = None
    findings: list[Finding] = field(default_factory=list)

    @property
    def errors(self) -> int:
        return sum(finding.severity is Severity.ERROR for finding in self.findings)

    def add(self, put: Put, piece: Piece) -> None:
        self.there += put is Put.THERE
        self.written += put is Put.WRITTEN
        self.bytes += (piece.size or 0) if put is Put.WRITTEN else 0


@dataclass(frozen=True)
class _Restored:
    """The files of a day in the target, by the keys that they have in the archive."""

    target: Target
    paths: dict[str, str] = field(default_factory=dict)

    def download(self, key: str) -> AbstractContextManager[BinaryIO]:
        if key not in self.paths:
            raise ObjectMissing(f"{key} was not restored")
        return self.target.download(self.paths[key])


def restore_days(
    archive: Archive,
    days: Sequence[str],
    layout: Layout,
    target: Target,
    *,
    what: Collection[str],
    has_table: bool = True,
    add_rows: Callable[[Iterable[Row]], None] | None = None,
    replaceable: Replaceable | None = None,
) -> Iterator[DayRestored]:
    """Restores days and yields what became of each. Those that a run is at work on come last.

    `add_rows` gets the rows of each day. With `has_table`, they are those of the archive's table, and compared.

    Raises:
        StoreError: the archive does not answer.
        TargetUnusable: no file can be written.
    """
    pool = ThreadPoolExecutor(target.at_once, thread_name_prefix="restore")
    one = _Day(archive, layout, target, what, add_rows, replaceable, pool, RowsOfDays(archive.store), has_table)
    later = []
    try:
        for day in days:
            restored = one.restore(day, wait=False)
            if restored.held_by is None:
                yield restored
            else:
                later.append(day)
        for day in later:
            yield one.restore(day, wait=True)
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass
class _Day:
    """Restores one day after the other. Without a table that can be used, rows are not compared any more."""

    archive: Archive
    layout: Layout
    target: Target
    what: Collection[str]
    add_rows: Callable[[Iterable[Row]], None] | None
    replaceable: Replaceable | None
    pool: Executor
    rows_of_day: RowsOfDays
    has_table: bool

    def restore(self, day: str, *, wait: bool) -> DayRestored:
        restored = DayRestored(day)
        if self._is_held(restored, wait=wait):
            return restored
        report = reconcile_day(
            self.archive.store,
            self._table,
            day,
            wanted=Wanted.of(self.archive.settings),
            reads_files=False,
            rows_of_day=self.rows_of_day,
        )
        # What is wrong may be that a run took the day meanwhile and is half-way through writing it.
        if report.findings and self._is_held(restored, wait=wait):
            return restored
        if report.table_trouble is not None:
            self.has_table, restored.table_trouble = False, report.table_trouble
        restored.findings = [self._as_of_now(finding) for finding in report.findings if self._is_wanted(finding)]
        content = content_of(self.archive.store, day)
        if self.add_rows is not None:
            self.add_rows(rows_of_day(content, self._table))
        there = self._put_all(content, restored)
        if content.processed is not None and "processed" in self.what:
            restored.findings += posters(there, content.processed)
            restored.findings += durations(there, content.processed, content.videos or VideosDay(date=day)).findings
        return restored

    def _is_wanted(self, finding: Finding) -> bool:
        """Whether a finding is about a part that is restored; the documents always are."""
        part = {"videos": "videos", "processed_videos": "processed"}.get(finding.asset)
        return part is None or part in self.what or finding.key.endswith(".json")

    def _as_of_now(self, finding: Finding) -> Finding:
        """A finding of the archive as it was, with what to do about it now: what a person let go of since comes back by
        no run."""
        store = self.archive.store
        if not isinstance(store, AsOf) or finding.day is None:
            return finding
        try:
            gone = forgotten_keys(load(store.now, VideosDay, finding.day))
        except StoreError:
            return finding
        remedy = "nothing to do: a person let go of it since (`forget`), and the rest of the day is restored"
        return replace(finding, remedy=remedy) if finding.key in gone else finding

    @property
    def _table(self) -> HighlightTable | None:
        return self.archive.table if "rows" in self.what and self.has_table else None

    def _is_held(self, restored: DayRestored, *, wait: bool) -> bool:
        holder = self.archive.holder(restored.day, wait=wait)
        restored.held_by = None if holder is None else str(holder)
        return holder is not None

    def _put_all(self, content: DayContent, restored: DayRestored) -> _Restored:
        there = _Restored(self.target)
        named = {finding.key for finding in restored.findings if finding.severity is Severity.ERROR}
        try:
            replaces = self.replaceable(self.target, content) if self.replaceable is not None else frozenset()
        except Differs as error:
            restored.findings.append(Finding(content.day, "archive", content.day, str(error), _MOVE_AWAY))
            return there
        pieces = list(self.layout(self.archive.store, content, self.what))
        files = [piece for piece in pieces if piece.key not in content.stored]
        documents = [piece for piece in pieces if piece.key in content.stored]  # last: what they name is there then
        made = self.pool.map(partial(_put, self.target, replaces=replaces), files)
        for piece, result in chain(
            zip(files, made, strict=True), ((one, _put(self.target, one, replaces=replaces)) for one in documents)
        ):
            if isinstance(result, Put):
                restored.add(result, piece)
                there.paths[piece.key] = piece.path
            elif piece.key not in named:
                restored.findings.append(replace(result, day=content.day))
        return there


def put(target: Target, piece: Piece, restored: DayRestored, *, replaces: Set[str] = frozenset()) -> Finding | None:
    """Puts a piece into the target; what kept it from that, if something of the piece did."""
    result = _put(target, piece, replaces=replaces)
    if isinstance(result, Finding):
        return result
    restored.add(result, piece)
    return None


def _put(target: Target, piece: Piece, *, replaces: Set[str]) -> Put | Finding:
    about = piece.key.partition("/")[0]
    try:
        return target.put(piece, replaces=replaces)
    except ObjectMissing:
        remedy = "put it back from another copy of the archive; the other files are restored"
        return Finding(None, about, piece.key, "is missing from the store", remedy)
    except NotAsRecorded as error:
        remedy = f"it was not restored; see `{advice.command('verify', '--deep')}` for what mends the archive"
        return Finding(None, about, piece.key, str(error), remedy)
    except Differs as error:
        return Finding(None, about, piece.key, f"was not restored: {error}", _MOVE_AWAY)
    except StoreError as error:
        return Finding(None, about, piece.key, f"cannot be read ({error})", "run the same command again")


def restore_identity(
    archive: Archive,
    target: Target,
    path: str,
    restored: DayRestored,
) -> None:
    """Restores what says what the archive is a record of.

    Raises:
        SettingsError: the target has files of another archive, in whatever layout.
    """
    store, remedy = archive.store, f"put back an earlier version of {IDENTITY_KEY} (.history/archive/, or the bucket's)"
    try:
        data, _ = store.read(IDENTITY_KEY)
        identity = from_bytes(Identity, data, store.uri(IDENTITY_KEY))
    except ObjectMissing:
        restored.findings.append(Finding(None, "archive", IDENTITY_KEY, "is missing", "put it back"))
        return
    except DocumentDamaged as error:
        restored.findings.append(Finding(None, "archive", IDENTITY_KEY, str(error), remedy))
        return
    if identity.doubts:
        restored.findings.append(Finding(None, "archive", IDENTITY_KEY, "; ".join(identity.doubts), remedy))
    replaces = {place: _replaceable_identity(target, place, identity) for place in (IN_DOCUMENTS, IDENTITY_KEY)}[path]
    problem = put(target, of_bytes(path, data, key=IDENTITY_KEY), restored, replaces=replaces)
    restored.findings += [] if problem is None else [problem]


def _replaceable_identity(target: Target, path: str, ours: Identity) -> frozenset[str]:
    """The sha256 of the `archive.json` in a target, where that may be replaced because it is an earlier state of ours.

    Raises:
        SettingsError: it is of another archive.
    """
    try:
        with target.download(path) as file:
            data = file.read()
        theirs = from_bytes(Identity, data, target.uri(path))
    except (ObjectMissing, DocumentDamaged):
        return frozenset()
    about = ("source", "league", "timezone")
    if any(getattr(theirs, name) != getattr(ours, name) for name in about):
        raise SettingsError(f"{target.uri(path)} is that of another archive; choose another --dest")
    is_earlier = ours.moves[: len(theirs.moves)] == theirs.moves
    return frozenset({hashlib.sha256(data).hexdigest()} if is_earlier else ())
