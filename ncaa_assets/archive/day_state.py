"""Whether a day is backed up, decided from what is stored alone, without Dagster and its event log.

Instances are thrown away and buckets are switched. The documents, objects and rows of a day are enough to tell what is
missing, what failed, and what is due to be fetched again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from ncaa_assets.archive import documents
from ncaa_assets.archive.identity import Identity
from ncaa_assets.archive.journal import pages_are_current
from ncaa_assets.archive.standing import Output, Wanted, clips, plan, still_to_copy
from ncaa_assets.failures import ObjectMissing, StoreError, TableUnusable
from ncaa_assets.ports import HighlightTable, ObjectStore
from ncaa_assets.record import calendar
from ncaa_assets.record.models import FetchRecord, HighlightsDay, ProcessedDay, VideosDay
from ncaa_assets.record.rows import Row, days_of, names_other_files, row_key, rows_of
from ncaa_assets.settings import Settings
from ncaa_assets.text import plural

# Less than a day, so that a call at the same hour every day finds each day due.
DUE_AFTER = timedelta(hours=20)
_NEVER_READ = "its listing was never read whole"


@dataclass(frozen=True)
class DayState:
    """What a day's documents, objects and rows say.

    `undone` names in a few words the first work that is not done, or is None where all is. `fetched_at` is when the
    listing of the archive's module was last read whole, or None where it never was. `to_come` is the time of a later
    whole fetch that lies in the future: a clock was wrong, so it counts for nothing. `table_trouble` says why the rows
    could not be looked at, whichever day is asked for: no run of the day mends that.
    """

    undone: str | None
    fetched_at: datetime | None
    to_come: datetime | None = None
    table_trouble: str | None = None

    def why_now(self, now: datetime) -> str | None:
        """Why the day should be backed up now, in a few words, or None where it should not."""
        if self.undone is not None:
            return self.undone
        if self.fetched_at is not None and not calendar.is_to_come(self.fetched_at, now=now):
            is_due = now - self.fetched_at > DUE_AFTER
            return f"due: last looked at on {self.fetched_at:%Y-%m-%d %H:%M} UTC" if is_due else None
        ahead = self.fetched_at or self.to_come
        if ahead is None:
            return _NEVER_READ
        return f"due: its last fetch is dated {ahead:%Y-%m-%d %H:%M} UTC, which is yet to come: a clock was wrong"

    @property
    def lacks(self) -> str | None:
        """What the day lacks, or what of it could not be looked at, in a few words; None where all of it is there."""
        lacking = self.undone or self.table_trouble
        never_read = self.fetched_at is None and self.to_come is None
        return lacking or (_NEVER_READ if never_read else None)

    def is_done_since(self, start: datetime) -> bool:
        """Whether all of the day is there and its listing was read whole at or after `start`."""
        return self.lacks is None and self.fetched_at is not None and self.fetched_at >= start


def state_of(
    store: ObjectStore, table: HighlightTable, day: str, settings: Settings, identity: Identity | None
) -> DayState:
    """The state of a day of the archive `identity`, compared with what the settings ask for.

    A document that cannot be read counts as undone work: the day's next run reports in full what is wrong with it.
    """
    try:
        highlights = documents.load(store, HighlightsDay, day)
    except ObjectMissing:
        return DayState("missing: it was never backed up", None)
    except StoreError as error:
        return DayState(f"failed: {error}", None)
    whole = _whole_fetches(highlights.backup.fetches, settings.limit, identity)
    fetched_at, to_come = _latest(whole), whole[-1] if whole and calendar.is_to_come(whole[-1]) else None
    rows, table_trouble = None, None
    try:
        rows = table.get([row_key(identifier) for identifier in highlights.backup.records])
    except TableUnusable as error:
        table_trouble = str(error)
    try:
        undone = next(_undone(store, rows, highlights, settings), None)
    except ObjectMissing:
        undone = "missing: its videos or their encodes were never recorded"
    except StoreError as error:
        undone = f"failed: {error}"
    return DayState(undone, fetched_at, to_come, table_trouble)


def last_whole_fetch(store: ObjectStore, day: str, settings: Settings, identity: Identity | None) -> datetime | None:
    """When the listing of a day of the archive `identity` was last read whole, or None where it never was. Times in the
    future count for nothing.

    Raises:
        StoreError: the day's document cannot be read.
    """
    try:
        fetches = documents.load(store, HighlightsDay, day).backup.fetches
        return _latest(_whole_fetches(fetches, settings.limit, identity))
    except ObjectMissing:
        return None


def _undone(store: ObjectStore, rows: dict[str, Row] | None, day: HighlightsDay, settings: Settings) -> Iterator[str]:
    """Yields the work that is not done, in the order in which a run does it. `rows` are those that the table has of the
    day's highlights, None where it cannot be used.

    Raises:
        ObjectMissing: the day has no manifest of its videos or of their encodes.
    """
    fetches = day.backup.fetches
    if not fetches or not fetches[-1].is_whole(settings.limit):
        yield "incomplete: the last fetch did not read the whole listing"
    keys = map(row_key, day.backup.records)
    if rows is not None and (without_row := sum(day.date not in days_of(rows.get(key, {})) for key in keys)):
        yield f"failed: {plural(without_row, 'highlight')} without a row"
    videos = documents.load(store, VideosDay, day.date)
    processed = documents.load(store, ProcessedDay, day.date)
    wanted = Wanted.of(settings)
    of_day = clips(store, videos, processed, wanted)
    if waiting := still_to_copy(plan(day, videos, of_day, wanted), videos, wanted):
        if all(clip.holds_its_place for clip in of_day):
            yield f"failed: {plural(waiting, 'video')} not copied"
        yield f"incomplete: {plural(waiting, 'other video')} to copy in place of what cannot be encoded or is lost"
    if waiting := sum(clip.is_to_be_encoded and clip.output is Output.TO_MAKE for clip in of_day):
        yield f"failed: {plural(waiting, 'video')} not encoded"
    if waiting := sum(clip.is_to_be_encoded for clip in of_day):
        yield f"incomplete: {plural(waiting, 'video')} to encode on another day (ENCODE_MINUTES_A_DAY)"
    if pages_are_current(store, day.date) is False:
        yield "incomplete: its pages in the gallery are not up to date"
    made = rows_of(day, videos, processed)
    if rows is not None and (behind := sum(names_other_files(rows.get(row["id"], {}), row) for row in made)):
        yield f"failed: {plural(behind, 'row')} without the keys of what was copied or encoded"


def _whole_fetches(fetches: list[FetchRecord], limit: int | None, identity: Identity | None) -> list[datetime]:
    """When the archive's module was read whole, in the order in which it was. What another module listed before a move
    does not count."""
    module, founding = (identity.module, identity.founding_module) if identity else (None, None)
    return [
        calendar.parse_stamp(fetch.at)
        for fetch in fetches
        if fetch.is_whole(limit) and module in (None, fetch.module or founding)
    ]


def _latest(moments: list[datetime]) -> datetime | None:
    """The last of them that does not lie in the future."""
    return next((moment for moment in reversed(moments) if not calendar.is_to_come(moment)), None)
