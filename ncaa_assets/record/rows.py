"""A row a highlight: what it holds, and how a row from one day's JSON meets the row that the table has. No I/O."""

from typing import Any

from ncaa_assets.ports import Row
from ncaa_assets.record import json_text
from ncaa_assets.record.models import HighlightsDay

# DynamoDB takes 400 KB an item and counts up to three bytes for a list's element where JSON needs two ("Item sizes" in
# its documentation), so this many bytes of JSON are safe whatever is in them.
_LARGEST_ROW = 190_000

# These move with every fetch; a row that differs in nothing else is not written again.
_MOVING = ("last_seen", "fetch_date")


def rows_of(day: HighlightsDay) -> list[Row]:
    """One row for each record of a day: the record's own fields, with `id` as text, and ours on top of them:
    `game_date`, `days`, `fetch_date`, `first_seen`, `last_seen`, `removed_upstream`, `removed_from` (of the days, those
    whose list lost it, and when), `content_hash`."""
    rows = []
    for view, record in day.highlights():
        key = view.id
        entry = day.backup.records[key]
        ours: dict[str, Any] = {
            "id": key,
            "game_date": day.date,
            "days": [day.date],
            "fetch_date": entry.last_seen[:10],
            "first_seen": entry.first_seen,
            "last_seen": entry.last_seen,
            "removed_upstream": entry.removed_upstream,
            "removed_from": {day.date: entry.removed_upstream} if entry.removed_upstream else {},
            "content_hash": entry.content_hash,
        }
        rows.append(_fitted(record, ours, HighlightsDay.key(day.date)))
    return rows


def _fitted(record: dict[str, Any], ours: dict[str, Any], document: str) -> Row:
    """A row that every table takes: of a record too large for one, the largest fields stay in the day's JSON alone, and
    `in_json` says which and where."""
    row: Row = {**record, **ours}
    size = len(json_text.dumps(row))
    if size <= _LARGEST_ROW:
        return row
    sizes = {name: len(json_text.dumps(value)) for name, value in record.items() if name not in ours}
    left_out: list[str] = []
    size += 100  # what `in_json` takes without the names; each of those only moves there
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        del row[name]
        left_out.append(name)
        size -= sizes[name]
        if size <= _LARGEST_ROW:
            break
    row["in_json"] = {"document": document, "fields": left_out if size <= _LARGEST_ROW else "all"}
    return row


def merge_row(there: Row | None, row: Row) -> Row | None:
    """The row to write, or None where the table's says the same already.

    A row belongs to the earliest day that listed it and names all its days, so that two days that both list a clip do
    not take it from one another. The record's fields are those of whichever day saw it last.
    """
    if there is None:
        return row
    if "last_seen" not in there:  # a row of another program's, such as the pipeline that this grew from
        return row
    days = sorted({*there["days"], *row["days"]})
    newer, older = (row, there) if row["last_seen"] >= there["last_seen"] else (there, row)
    lost = {day: at for day, at in there.get("removed_from", {}).items() if day not in row["days"]}
    lost |= row["removed_from"]
    merged = {
        **newer,
        "days": days,
        "game_date": days[0],
        "first_seen": min(newer["first_seen"], older["first_seen"]),
        # A clip that one day's list lost and another's still holds has not vanished. `last_seen` cannot tell: it is
        # not written for itself, so the table's may be days old.
        "removed_upstream": max(lost.values()) if lost.keys() == set(days) else None,
        "removed_from": lost,
    }
    return None if _still(merged) == _still(there) else merged


def _still(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in _MOVING}


def differing_fields(there: Row, wanted: Row) -> list[str]:
    """The fields of `wanted` that the table's row lacks or has otherwise, sorted; those that move with every fetch are
    left out, and so are fields that only the table's row has: another program's own are no business of ours."""
    missing = object()
    return sorted(name for name, value in _still(wanted).items() if there.get(name, missing) != value)
