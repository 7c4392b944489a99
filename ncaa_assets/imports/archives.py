"""Takes in another archive's days: its own folder or bucket, or a restored folder of any layout.

A day's documents come in word for word, after the objects that they name, each verified by what is recorded of it. A
day that is here already is replaced only where it is an earlier state of theirs.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ncaa_assets.archive.archive import Archive, HeldDay
from ncaa_assets.archive.day_versions import DayDocuments, State, state_of
from ncaa_assets.archive.documents import KINDS
from ncaa_assets.archive.identity import IDENTITY_KEY, Identity
from ncaa_assets.archive.kept import ABOUT, KEPT, KeptFile, parse_kept, recorded_sha256
from ncaa_assets.archive.reconcile import Finding
from ncaa_assets.archive.rows import RowsOfDays, made_rows
from ncaa_assets.backends.place import Place, PlaceFile
from ncaa_assets.failures import DocumentDamaged, LeaseHeld, ObjectMissing, PlaceUnreadable
from ncaa_assets.imports.files import Files, Wanted, is_stored, take
from ncaa_assets.record import calendar
from ncaa_assets.record.models import Document, HighlightsDay, ProcessedDay, VideosDay
from ncaa_assets.record.rows import merge_row
from ncaa_assets.record.written import NewerVersion, from_bytes
from ncaa_assets.text import size, visible

_KEPT_KEY = re.compile(rf"{KEPT}(records/[0-9a-f]{{16}}\.json|[0-9a-f]{{16}}/[A-Za-z0-9_-][A-Za-z0-9._-]{{0,99}})")
_MOST_DOCUMENT = 256 * 1024**2  # bytes; the largest that was ever seen has less than a hundredth


@dataclass
class DayTaken:
    """What became of a day: what it was here before (None: it is held by `held_by`, or cannot be compared), how many
    objects and bytes came in, and what is wrong."""

    day: str
    was: State | None = None
    is_new: bool = False
    objects: int = 0
    bytes: int = 0
    held_by: str | None = None
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        return self.was not in (None, State.OTHER) and not self.findings


def identity_in(place: Place, root: str) -> bytes:
    """The `archive.json` of a place, as it is stored."""
    found = place.info(root + IDENTITY_KEY)
    if found is None:
        raise ObjectMissing(f"there is no {place.uri(root + IDENTITY_KEY)}")
    return _read(place, found)


def days_in(place: Place, root: str) -> list[str]:
    """The days that a place has a document of, oldest first."""
    days = set()
    for kind in KINDS:
        start = f"{root}{kind.asset}/"
        names = (file.path.removeprefix(start).removesuffix(".json") for file in place.list(start))
        days |= {name for name in names if calendar.is_day(name)}
    return sorted(days)


class TakesDays:
    """Takes in the days of one place. `writes`: False only says what would be."""

    def __init__(self, archive: Archive, place: Place, root: str, *, owner: str, writes: bool) -> None:
        self._archive, self._place, self._root = archive, place, root
        self._owner, self._writes = owner, writes
        self._files = Files(place, root)
        self._rows_of_day = RowsOfDays(archive.store)

    def identity(self) -> Identity:
        """Makes the archive that of the place, where it holds nothing yet (`Identity.take`)."""
        data = identity_in(self._place, self._root)
        return self._archive.identity.take(self._archive.store, data, writes=self._writes)

    def take(self, day: str) -> DayTaken:
        """Takes in one day.

        Raises:
            StoreError: the archive or the place does not answer.
        """
        taken = DayTaken(day)
        theirs = self._theirs(taken)
        if not self._writes:
            if holder := self._archive.holder(day, wait=False):
                taken.held_by = str(holder)
            else:
                self._compare(taken, theirs, None)
        elif not taken.findings and self._is_here(day, theirs):
            taken.was = State.EQUAL
        else:
            try:
                with self._archive.lease(day, owner=self._owner) as held:
                    self._compare(taken, theirs, held)
            except LeaseHeld as held_by:
                taken.held_by = str(held_by)
        for kind, document in theirs.read.items():
            if document.doubts:
                remedy = "what is there came in; put back an earlier version of it there, and compare"
                taken.findings.append(Finding(day, kind.asset, kind.key(day), "; ".join(document.doubts), remedy))
        return taken

    def _is_here(self, day: str, theirs: DayDocuments) -> bool:
        """Whether the archive has all of a day, its rows too; then nobody need hold it."""
        store = self._archive.store
        for kind in KINDS:
            try:
                if store.read(kind.key(day))[0] != theirs.stored.get(kind):
                    return False
            except ObjectMissing:
                if kind in theirs.stored:
                    return False
        if not all(is_stored(store, wanted, by_size=True) for _, wanted in _objects(theirs)):
            return False
        document = theirs.read.get(HighlightsDay)
        rows = made_rows(store, document) if isinstance(document, HighlightsDay) else []
        stored = self._archive.table.get([row["id"] for row in rows])
        return all(merge_row(stored.get(row["id"]), row, self._rows_of_day) is None for row in rows)

    def _compare(self, taken: DayTaken, theirs: DayDocuments, held: HeldDay | None) -> None:
        day, store = taken.day, self._archive.store
        ours = dict[type[Document], tuple[bytes, str]]()
        read: dict[type[Document], Document] = {}
        for kind in KINDS:
            try:
                ours[kind] = store.read(kind.key(day))
                read[kind] = _document(kind, ours[kind][0], day, store.uri(kind.key(day)))
            except ObjectMissing:
                continue
            except DocumentDamaged as error:
                taken.findings.append(Finding(day, kind.asset, kind.key(day), str(error), "the day was not imported"))
                return
        here = DayDocuments(read, {kind: data for kind, (data, _) in ours.items()})
        taken.is_new = not ours
        # One of theirs that is damaged tells nothing of the day, and ours stays.
        comparable = [kind for kind in KINDS if not self._is_damaged(taken, kind)]
        taken.was = state_of(here, theirs, comparable)
        if taken.was not in (State.EQUAL, State.EARLIER):
            return
        self._take_objects(taken, theirs, held)
        if held is None:
            return
        for kind in KINDS:
            data = theirs.stored.get(kind)
            if taken.was is State.EARLIER and data is not None and data != here.stored.get(kind):
                held.save_as_it_came(kind, data, replaces=ours[kind][1] if kind in ours else None)
        if isinstance(document := theirs.read.get(HighlightsDay), HighlightsDay):
            held.write_rows(made_rows(store, document))

    def _theirs(self, taken: DayTaken) -> DayDocuments:
        read: dict[type[Document], Document] = {}
        stored: dict[type[Document], bytes] = {}
        for kind in KINDS:
            path = self._root + kind.key(taken.day)
            found = self._place.info(path)
            if found is None:
                continue
            try:
                data = _read(self._place, found)
                read[kind] = _document(kind, data, taken.day, self._place.uri(path))
                stored[kind] = data
            except (PlaceUnreadable, ObjectMissing, DocumentDamaged) as error:
                is_newer = isinstance(error.__cause__, NewerVersion)
                remedy = (
                    "upgrade this program"
                    if is_newer
                    else "restore it again, or put back an earlier version of it there"
                )
                taken.findings.append(Finding(taken.day, kind.asset, kind.key(taken.day), str(error), remedy))
        return DayDocuments(read, stored)

    def _is_damaged(self, taken: DayTaken, kind: type[Document]) -> bool:
        return any(finding.key == kind.key(taken.day) for finding in taken.findings)

    def _take_objects(self, taken: DayTaken, theirs: DayDocuments, held: HeldDay | None) -> None:
        store, day = self._archive.store, taken.day
        for asset, wanted in _objects(theirs):
            if is_stored(store, wanted, by_size=taken.was is State.EQUAL):
                continue
            before_commit = held.check if held is not None else lambda: None
            problem = "was not found: " + self._lacking(wanted)
            for file in self._files.candidates(day, wanted):
                try:
                    if take(self._place, file, store, wanted, before_commit=before_commit, writes=self._writes):
                        taken.objects, taken.bytes, problem = taken.objects + 1, taken.bytes + wanted.size, ""
                        break
                except PlaceUnreadable as error:
                    problem = f"was not read: {visible(error)}"
            if problem:
                remedy = "restore it again and import it once more; what the day's documents say of it came in"
                taken.findings.append(Finding(day, asset, wanted.key, problem, remedy))

    def _lacking(self, wanted: Wanted) -> str:
        what = f"no file of {size(wanted.size)}"
        return f"{what} with the recorded sha256" if wanted.sha256 else f"{what} under its name"


def take_kept(archive: Archive, place: Place, root: str, *, writes: bool) -> tuple[int, list[Finding]]:
    """Takes in what the other archive kept under `imported/`: how many objects came, and what is wrong with others."""
    count, findings = 0, []
    for file in place.list(root + KEPT):
        key = file.path.removeprefix(root)
        problem: str | None
        try:
            wanted, problem = _kept(place, file, key)
            if not problem and not archive.store.has(key, wanted.size):
                kind = "application/json" if key.endswith(".json") else "application/octet-stream"
                if take(
                    place, file, archive.store, wanted, before_commit=lambda: None, writes=writes, content_type=kind
                ):
                    count += 1
                else:
                    problem = "its bytes are not those that were recorded"
        except (PlaceUnreadable, DocumentDamaged, NewerVersion) as error:
            problem = f"cannot be read: {error}"
        if problem:
            remedy = "it was not taken in; put it right there, then import it once more"
            findings.append(Finding(None, "imported", visible(key, most=200), problem, remedy))
    return count, findings


def _kept(place: Place, file: PlaceFile, key: str) -> tuple[Wanted, str | None]:
    """A file of `imported/` as it is wanted, and what is wrong with it, if anything is."""
    wanted = Wanted(key, file.size or 0, None)
    if _KEPT_KEY.fullmatch(key) is None:
        return wanted, "is no name that a file of `imported/` has"
    if (about := place.info(file.path + ABOUT)) is not None:
        return Wanted(key, wanted.size, recorded_sha256(_read(place, about), key)), None
    if not key.endswith(".json"):
        return wanted, "nothing says what it is"
    document, problem = parse_kept(key, _read(place, file))
    if problem is None and isinstance(document, KeptFile) and place.info(file.path.removesuffix(ABOUT)) is None:
        problem = "the file that it is about is missing"
    return wanted, problem


def _objects(documents: DayDocuments) -> Iterator[tuple[str, Wanted]]:
    """The objects that a day's documents name, but for copies that are lost for good."""
    videos, processed = documents.read.get(VideosDay), documents.read.get(ProcessedDay)
    for video in videos.videos if isinstance(videos, VideosDay) else []:
        if video.lost is None:
            yield VideosDay.asset, Wanted(video.key, video.bytes, video.sha256)
    for output in processed.videos if isinstance(processed, ProcessedDay) else []:
        yield ProcessedDay.asset, Wanted(output.key, output.bytes, output.sha256)
        yield ProcessedDay.asset, Wanted(output.poster.key, output.poster.bytes, None, is_jpeg=True)


def _document(kind: type[Document], data: bytes, day: str, place: str) -> Document:
    return from_bytes(kind, data, place, expected={"date": day})


def _read(place: Place, file: PlaceFile) -> bytes:
    with place.open(file) as opened:
        data = opened.read(_MOST_DOCUMENT + 1)
    if len(data) > _MOST_DOCUMENT:
        raise DocumentDamaged(f"{place.uri(file.path)} is larger than any document ({size(_MOST_DOCUMENT)})")
    return data
