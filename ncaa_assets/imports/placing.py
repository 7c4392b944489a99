"""Puts what the earlier pipeline left into the days that it belongs to, and keeps the rest.

A record belongs to the game day of its own `match.date`, in the archive's timezone. Nothing else says which day it is
of: the pipeline asked for days of UTC, and the names of its files and a row's `fetch_date` say for which.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from zoneinfo import ZoneInfo

from ncaa_assets.archive.archive import Archive, HeldDay
from ncaa_assets.archive.kept import KeptRecord
from ncaa_assets.archive.rows import made_rows
from ncaa_assets.backends.place import Place, PlaceFile
from ncaa_assets.failures import DocumentDamaged, LeaseHeld, ObjectMissing, PlaceUnreadable
from ncaa_assets.imports.kept import keep_file, keep_records
from ncaa_assets.imports.leavings import (
    Entry,
    Listing,
    NotOfPipeline,
    Unreadable,
    is_media,
    is_of_export,
    may_hold_records,
    read,
)
from ncaa_assets.record import calendar, json_text
from ncaa_assets.record.fetch import Fetch
from ncaa_assets.record.merge import merge_earlier, merge_fetch
from ncaa_assets.record.models import Highlight, HighlightsDay, ImportedFrom, content_hash, id_of
from ncaa_assets.text import visible

_MOST_HELD = 128 * 1024**2  # bytes of JSON that wait to be put into their days
_MOST_DIGITS = 80
_FIRST_YEAR = 1892
_NO_VIDEO = "nothing says which highlight it is of"


@dataclass
class FilePlaced:
    """What became of one version of a file. `records` are in days now, `kept` is where the rest of it is, and `why`;
    `is_damaged`: some of it could not be read. With `left`, it is nothing that the pipeline wrote, and stays where it
    is. `was_kept`: it was kept by an earlier import."""

    file: PlaceFile
    records: int = 0
    own_rows: int = 0
    kept: list[str] = field(default_factory=list)
    kept_records: int = 0
    bytes: int = 0
    why: str | None = None
    is_damaged: bool = False
    left: bool = False
    was_kept: bool = False


@dataclass
class DayPlaced:
    """What became of a day: how many listings that it lacked went in, and how many highlights of them are new to it or
    had another content; or what kept it from that."""

    day: str
    listings: int = 0
    new: int = 0
    changed: int = 0
    trouble: str | None = None


@dataclass(frozen=True)
class _Part:
    """What one listing has of one day."""

    listing: Listing
    place: str
    records: tuple[object, ...]
    is_table: bool


class Places:
    """Puts the leavings of one place into an archive's days. `module` is the one that the pipeline had asked. `writes`:
    False only says what would be."""

    def __init__(self, archive: Archive, place: Place, *, module: str, owner: str, writes: bool) -> None:
        self._archive, self._place = archive, place
        self._module, self._owner, self._writes = module, owner, writes
        self._zone = ZoneInfo(archive.settings.timezone)
        self._today = archive.settings.today()
        identity = archive.any_identity()
        self._founding = identity.founding_module if identity else None
        self._has_identity = identity is not None
        self._parts: dict[str, list[_Part]] = defaultdict(list)
        self._held_bytes = 0
        self._records: dict[str, object] = {}  # one for each content: thousands of versions say the same
        self._kept_hashes: set[str] = set()
        self._would_be: dict[str, HighlightsDay] = {}

    def files(self, files: Iterator[PlaceFile]) -> Iterator[FilePlaced | DayPlaced]:
        """Goes through files, and puts what they list into days; yields what becomes of each.

        Raises:
            StoreError: the archive does not answer.
        """
        for file in files:
            yield self._file(file)
            if self._held_bytes > _MOST_HELD:
                yield from self._days()
        yield from self._days()

    def _file(self, file: PlaceFile) -> FilePlaced:
        placed = FilePlaced(file)
        try:
            if is_media(file.path):
                self._keep_file(placed, _NO_VIDEO)
            elif may_hold_records(file.path):
                self._read(placed)
            else:
                placed.left = True
                placed.why = (
                    "what DynamoDB says of its export" if is_of_export(file.path) else "no listing and no video"
                )
        except Unreadable as error:
            self._keep_file(placed, str(error))
            placed.is_damaged = True
        except NotOfPipeline as error:
            placed.left, placed.why = True, str(error)
        except (PlaceUnreadable, ObjectMissing) as error:
            placed.is_damaged, placed.why = True, visible(error)
        return placed

    def _keep_file(self, placed: FilePlaced, reason: str) -> None:
        self._claim()
        known, placed.was_kept = keep_file(self._archive.store, self._place, placed.file, reason, writes=self._writes)
        placed.kept.append(known.key)
        placed.bytes, placed.why = (
            known.bytes,
            f"{reason}; it is {known.looks_like}" if is_media(placed.file.path) else reason,
        )

    def _read(self, placed: FilePlaced) -> None:
        for listing in read(self._place, placed.file):
            placed.own_rows += listing.own_rows
            if listing.damage:
                placed.is_damaged, placed.why = True, listing.damage
            of_day: dict[tuple[str, bool], list[object]] = defaultdict(list)
            rest: list[KeptRecord] = []
            for entry in listing.entries:
                day, reason = self._day_of(entry)
                if day is None:
                    rest.append(KeptRecord(record=entry.record, reason=reason, asked_for=entry.asked))
                else:
                    of_day[day, entry.is_row].append(self._one_of(entry.record))
                    placed.records += 1
            for (day, is_table), records in of_day.items():
                place = self._place.uri(placed.file.path)
                bare = Listing(listing.file, listing.sha256)
                self._parts[day].append(_Part(bare, place, tuple(records), is_table))
            self._keep_rest(placed, listing, rest)
        if placed.is_damaged:  # what was not read of it is in the file alone
            why = str(placed.why)
            self._keep_file(placed, why)
            placed.why, placed.bytes = why, 0

    def _one_of(self, record: object) -> object:
        digest = content_hash(record)
        if digest not in self._records:
            self._held_bytes += len(json_text.dumps(record))
        return self._records.setdefault(digest, record)

    def _keep_rest(self, placed: FilePlaced, listing: Listing, rest: list[KeptRecord]) -> None:
        if not rest:
            return
        placed.kept_records += len(rest)
        reasons = dict.fromkeys(one.reason for one in rest)
        placed.why = placed.why or "; ".join(visible(reason, most=100) for reason in [*reasons][:3])
        fresh = []
        for one in rest:
            digest = content_hash([one.reason, one.record])
            if digest not in self._kept_hashes:  # an earlier version said the same
                self._kept_hashes.add(digest)
                fresh.append(one)
        if fresh:
            self._claim()
            key, placed.was_kept = keep_records(
                self._archive.store, self._place.uri(placed.file.path), placed.file, listing.sha256, fresh,
                writes=self._writes,
            )  # fmt: skip
            placed.kept.append(key)

    def _day_of(self, entry: Entry) -> tuple[str | None, str]:
        """The game day that a record belongs to, or None and why it is not known."""
        if entry.fault is not None:
            return None, entry.fault
        try:
            Highlight.parse(entry.record)
        except ValueError as error:
            return None, f"it is no record that is understood: {error}"
        assert isinstance(entry.record, dict)  # noqa: S101 - `parse` looked
        match = entry.record.get("match")
        given = match.get("date") if isinstance(match, dict) else None
        if not isinstance(given, str):
            return None, "it does not say when its game was (match.date)"
        if calendar.is_day(given.strip()):
            return None, "its match.date has no time, so the game day in the archive's timezone is not known"
        try:
            day = calendar.parse_stamp(given).astimezone(self._zone).date()
        except (ValueError, OverflowError):
            return None, "its match.date is no time"
        if day > self._today:
            return None, "its game is yet to come"
        if day.year < _FIRST_YEAR:
            return None, "its match.date is before there was college basketball"
        return day.isoformat(), ""

    def _days(self) -> Iterator[DayPlaced]:
        parts, self._parts = self._parts, defaultdict(list)
        self._records, self._held_bytes = {}, 0
        for day in sorted(parts):
            placed = DayPlaced(day)
            try:
                if not self._writes:
                    self._place_day(placed, parts[day], None)
                else:
                    with self._archive.lease(day, owner=self._owner) as held:
                        self._claim()
                        self._place_day(placed, parts[day], held)
            except (LeaseHeld, DocumentDamaged) as error:
                placed.trouble = str(error)
            yield placed

    def _claim(self) -> None:
        """An archive that begins with leavings is of no module yet: the first fetch decides that."""
        if self._writes and not self._has_identity:
            self._archive.identity.claim(self._archive.store, None)
            self._has_identity = True

    def _place_day(self, placed: DayPlaced, parts: list[_Part], held: HeldDay | None) -> None:
        document = self._document(placed.day, held)
        before = document
        # Rows last: they say least, and only what no listing says.
        listings = sorted((part for part in parts if not part.is_table), key=lambda part: part.listing.file.at)
        earlier: list[Fetch] = []
        imported = _Imported(document)
        for part in listings:
            fetch = self._fetch(part, list(part.records))
            if imported.has(fetch, is_to_come=part.listing.file.at > fetch.at):
                continue
            if _may_follow(document, fetch):
                document, growth = merge_fetch(document, fetch, founding=self._founding)
                self._count(placed, growth.new, growth.changed)
            else:
                earlier.append(fetch)
        for fetch in reversed(earlier):
            document, growth = merge_earlier(document, fetch, founding=self._founding)
            self._count(placed, growth.new, growth.changed)
        for part in (part for part in parts if part.is_table):
            known = _contents(document)
            lacking = [one for one in part.records if _as_row(one) not in known]
            if lacking:
                fetch = self._fetch(part, lacking)
                document, growth = merge_earlier(document, fetch, founding=self._founding)
                self._count(placed, growth.new, growth.changed)
        if held is None:
            self._would_be[placed.day] = document
            return
        if document is not before:
            document._read_at = before._read_at
            held.save(document)
        held.write_rows(made_rows(self._archive.store, document))

    def _document(self, day: str, held: HeldDay | None) -> HighlightsDay:
        if held is not None:
            return held.load_or_new(HighlightsDay)
        if day in self._would_be:
            return self._would_be[day]
        try:
            return self._archive.load(HighlightsDay, day)
        except ObjectMissing:
            return HighlightsDay(date=day)

    def _fetch(self, part: _Part, records: list[object]) -> Fetch:
        what = "rows of a table" if part.is_table else "a listing"
        why = f"imported: {what} of an earlier pipeline, which may lack highlights of the day"
        at = min(part.listing.file.at, calendar.now())
        return Fetch(
            at=at, module=self._module, records=records, query={}, whole=False, complete=False, total_count=None,
            requests=0, problems=[why], gaps=[why],
            imported=ImportedFrom(place=part.place, version=part.listing.file.version, sha256=part.listing.sha256),
        )  # fmt: skip

    @staticmethod
    def _count(placed: DayPlaced, new: int, changed: int) -> None:
        placed.listings += 1
        placed.new += new
        placed.changed += changed


class _Imported:
    """What earlier imports put into a day: the marks of their files, and every content that the day has of a record."""

    def __init__(self, document: HighlightsDay) -> None:
        fetches = [one for one in document.backup.fetches if one.imported is not None]
        self._marks = {(_mark_of(one.imported), one.at) for one in fetches}
        self._files = {_mark_of(one.imported) for one in fetches}
        entries = document.backup.records.values() if fetches else ()
        self._contents = {entry.content_hash for entry in entries}
        self._contents |= {content_hash(change.record) for entry in entries for change in entry.history}

    def has(self, fetch: Fetch, *, is_to_come: bool) -> bool:
        """Whether a listing is among them, with all that it lists. A time that `is_to_come` says nothing."""
        mark = _mark_of(fetch.imported)
        is_known = mark in self._files if is_to_come else (mark, fetch.at) in self._marks
        return is_known and all(content_hash(record) in self._contents for record in fetch.records)


def _mark_of(imported: ImportedFrom | None) -> tuple[str, str | None] | None:
    return None if imported is None else (imported.sha256, imported.version)


def _may_follow(document: HighlightsDay, fetch: Fetch) -> bool:
    """Whether a listing comes after all that a day has: imported listings too, that were stored no later."""
    return all(one.imported is not None and one.at <= fetch.at for one in document.backup.fetches)


def _contents(document: HighlightsDay) -> set[str]:
    """What a day's records say and said, as rows of the earlier pipeline's table say it."""
    said = [record for _, record in document.highlights()]
    said += [change.record for entry in document.backup.records.values() for change in entry.history]
    return set(map(_as_row, said))


def _as_row(record: object) -> str:
    """The content of a record, whatever form a table gives it: the id as text, and numbers without their zeros."""
    assert isinstance(record, dict)  # noqa: S101 - all here are
    try:
        key = id_of(record)
    except ValueError:
        key = None
    return content_hash(
        _evened({**record, "id": key} if key else {name: one for name, one in record.items() if name != "id"})
    )


def _evened(value: object) -> object:
    match value:
        case dict():
            return {name: _evened(one) for name, one in value.items()}
        case list():
            return [_evened(one) for one in value]
        case Decimal() if value.is_finite():
            whole = value == value.to_integral_value() and value.adjusted() < _MOST_DIGITS
            return int(value) if whole else _without_zeros(value)
    return value


def _without_zeros(value: Decimal) -> Decimal:
    """The same number without zeros at its end; `normalize` would round it, or refuse it."""
    sign, digits, exponent = value.as_tuple()
    kept = "".join(map(str, digits)).rstrip("0")
    assert isinstance(exponent, int)  # noqa: S101 - it is finite
    return Decimal((sign, tuple(map(int, kept)), exponent + len(digits) - len(kept)))
