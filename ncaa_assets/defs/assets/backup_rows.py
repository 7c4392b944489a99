"""The `backup_rows` asset: one row a highlight."""

from collections.abc import Iterator

import dagster as dg

from ncaa_assets.defs.resources import DayLease
from ncaa_assets.ports import Row
from ncaa_assets.record.models import HighlightsDay
from ncaa_assets.record.rows import rows_of


@dg.asset(
    kinds={"table"},
    code_version="1",
    output_required=False,
    io_manager_key="rows",
)
def backup_rows(
    highlights: HighlightsDay, day_lease: dg.ResourceParam[DayLease]
) -> Iterator[dg.MaterializeResult[list[Row]]]:
    """One row for each of the day's highlights, to look up by id or by game day.

    A row holds the record's own fields and ours: `game_date`, `days`, `fetch_date`, `first_seen`, `last_seen`,
    `removed_upstream`, `removed_from`, `content_hash`. A clip that two days list has one row, which belongs to the
    earlier day and names both. Only rows that changed are written.
    """
    if day_lease.taken_by:
        return
    rows = rows_of(highlights)
    day_lease.check()
    yield dg.MaterializeResult(value=rows, metadata={"rows": len(rows), **day_lease.marks})
