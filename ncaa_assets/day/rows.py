"""The second step of a day: a row for each of its highlights."""

import time
from dataclasses import dataclass

from ncaa_assets.archive.archive import HeldDay
from ncaa_assets.record.models import HighlightsDay
from ncaa_assets.record.rows import Row, rows_of


@dataclass(frozen=True)
class RowsWritten:
    """The day's rows as its JSON makes them, how many of them were written because they changed, and the seconds that
    took."""

    rows: list[Row]
    written: int
    seconds: float


def write_rows(held: HeldDay, highlights: HighlightsDay) -> RowsWritten:
    """Merges the day's rows into the table; a row that says the same already is not written.

    Raises:
        StoreError: the table cannot be read or written.
        LeaseLost: this run no longer holds the day.
    """
    rows = rows_of(highlights)
    started = time.monotonic()
    written = held.write_rows(rows)
    return RowsWritten(rows, written, time.monotonic() - started)
