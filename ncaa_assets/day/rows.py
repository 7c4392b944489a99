"""The second step of a day: a row for each of its highlights, which names the day's videos once they are done."""

import time
from dataclasses import dataclass

from ncaa_assets.archive.archive import HeldDay
from ncaa_assets.archive.rows import made_rows
from ncaa_assets.record.models import HighlightsDay
from ncaa_assets.record.rows import Row


@dataclass(frozen=True)
class RowsWritten:
    """The day's rows as its JSON makes them, how many of them were written because they changed, and the seconds that
    took."""

    rows: list[Row]
    written: int
    seconds: float


def write_rows(held: HeldDay, highlights: HighlightsDay) -> RowsWritten:
    """Merges the day's rows into the table, with the keys of its videos as far as they are stored; a row that says the
    same already is not written.

    Raises:
        StoreError: the store does not answer, or the table cannot be read or written.
        LeaseLost: this run no longer holds the day.
    """
    rows = made_rows(held.archive.store, highlights)
    started = time.monotonic()
    written = held.write_rows(rows)
    return RowsWritten(rows, written, time.monotonic() - started)


def write_keys(held: HeldDay) -> RowsWritten:
    """Merges the day's rows once more: they name its copies, encodes and posters as the manifests have them by now.
    Whoever has changed a manifest calls it, once that is saved.

    Raises:
        StoreError: the day's JSON cannot be read, or as for `write_rows`.
        LeaseLost: this run no longer holds the day.
    """
    return write_rows(held, held.archive.load(HighlightsDay, held.day))
