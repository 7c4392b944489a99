"""The rows of an archive, made from its JSON again: for a table that was lost, or a new one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.rows import made_rows
from ncaa_assets.failures import LeaseHeld, StoreError, TableUnusable
from ncaa_assets.record.models import HighlightsDay


@dataclass(frozen=True)
class DayOfRows:
    """How many rows a day's JSON makes, and how many of them the table lacked or had otherwise; or why none was
    written."""

    day: str
    rows: int = 0
    written: int = 0
    trouble: str | None = None


def rows_into_table(archive: Archive, days: Sequence[str], *, owner: str) -> Iterator[DayOfRows]:
    """Writes the rows of days, each while `owner` holds the day. Rows that the table has already stay as they are, so
    it may be interrupted and run again.

    Raises:
        TableUnusable: no row can be written, whichever day it is of.
    """
    for day in days:
        try:
            with archive.lease(day, owner=owner) as held:
                rows = made_rows(archive.store, archive.load(HighlightsDay, day))
                yield DayOfRows(day, len(rows), held.write_rows(rows))
        except LeaseHeld as held_by:
            yield DayOfRows(day, trouble=str(held_by))
        except TableUnusable:
            raise
        except StoreError as error:
            yield DayOfRows(day, trouble=str(error))
