"""The `backup_rows` asset: one row for each highlight."""

from collections.abc import Iterator

import dagster as dg

from ncaa_assets.archive.archive import HeldDay
from ncaa_assets.day.rows import write_rows
from ncaa_assets.defs.assets.shell import Done, materialized
from ncaa_assets.defs.metadata import columns_of_rows
from ncaa_assets.defs.resources import Day
from ncaa_assets.record.models import HighlightsDay
from ncaa_assets.record.rows import Row
from ncaa_assets.text import plural


@dg.asset(
    kinds={"table"},
    metadata={"dagster/column_schema": columns_of_rows()},
    code_version="1",
    config_schema={},  # refuses any; Dagster would take whatever a person writes, and nobody would read it
    output_required=False,
    io_manager_key="rows",
)
def backup_rows(highlights: HighlightsDay, day: dg.ResourceParam[Day]) -> Iterator[dg.MaterializeResult[list[Row]]]:
    """One row for each of the day's highlights, found by id or by game day.

    A row has the record's own fields, what is known of its game, and when it was listed. A clip that two days list has
    one row: it belongs to the earlier day and names both. Only rows that changed are written.
    """

    def step(held: HeldDay) -> Done[list[Row]]:
        done = write_rows(held, highlights)
        count = len(done.rows)
        return Done(
            done.rows,
            {
                "summary": f"{plural(count, 'row')}: {done.written} written, {count - done.written} unchanged",
                "rows": count,
                "rows_written": done.written,
                "rows_unchanged": count - done.written,
                "write_seconds": round(done.seconds, 3),
            },
        )

    yield from materialized(day, step)
