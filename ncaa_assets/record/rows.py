"""The rows: one for each highlight, and how the row of one day's JSON is merged into the table's row. No I/O."""

import re
from typing import Any

from ncaa_assets.record import json_text
from ncaa_assets.record.matches import games_of
from ncaa_assets.record.models import HighlightsDay

Row = dict[str, Any]

# DynamoDB takes 400 KB an item and counts up to three bytes for a list's element where JSON needs two ("Item sizes" in
# its documentation), so this many bytes of JSON are safe whatever they say.
_LARGEST_ROW = 190_000
_OURS = 20_000  # more bytes of JSON than our own fields take beside a short id, with the longest names

# These move with every fetch; a row that differs in nothing else is not written again.
_MOVING = ("last_seen", "fetch_date")
_MISSING = object()

# SQLite's JSON functions end a text at a NUL, and make bytes of half an emoji that no client takes for text.
_UNREADABLE = re.compile("[\0\ud800-\udfff]")

# What a day's matches alone tell of a game, and all that a row says of it.
_OF_MATCH = ("home_score", "away_score", "game_state", "score", "venue")
_OF_GAME = ("home_team", "away_team", "game", *_OF_MATCH)


def rows_of(day: HighlightsDay) -> list[Row]:
    """One row for each record of a day.

    It has the record's own fields (`readable`), `id` as text, and over them ours: `game_date`, `days`, `fetch_date`,
    `first_seen`, `last_seen`, `removed_upstream`, `removed_from` (the days that no longer list it, and since when),
    `content_hash`; and what is known of its game: `home_team`, `away_team`, `game`, `home_score`, `away_score`,
    `game_state`, `score`, `venue`.
    """
    rows = []
    games = games_of(day)
    all_fit = len(json_text.dumps(day.data)) <= _LARGEST_ROW - _OURS  # then no record need be measured by itself
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
            **readable(games[key]),
        }
        fits = all_fit and len(key) < 100
        fields = readable(record)
        rows.append({**fields, **ours} if fits else _fitted(fields, ours, HighlightsDay.key(day.date)))
    return rows


def readable(value: Any) -> Any:
    """A JSON value as a row has it: what no database's client can show, halves of emojis and NUL, is `�` in its texts
    and names. The day's JSON has them as they came."""
    match value:
        case str():
            return _UNREADABLE.sub("\N{REPLACEMENT CHARACTER}", value)
        case list():
            return [readable(item) for item in value]
        case dict():
            return {readable(name): readable(item) for name, item in value.items()}
    return value


def _fitted(record: dict[str, Any], ours: dict[str, Any], document: str) -> Row:
    """A row that every table takes. Where a record is too large, its largest fields are only in the day's JSON, and
    `in_json` says which fields and where."""
    row: Row = {**record, **ours}
    size = len(json_text.dumps(row))
    if size <= _LARGEST_ROW:
        return row
    sizes = {name: len(json_text.dumps(value)) for name, value in record.items() if name not in ours}
    left_out: list[str] = []
    size += 100  # what `in_json` takes without the names, which only move there
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        del row[name]
        left_out.append(name)
        size -= sizes[name]
        if size <= _LARGEST_ROW:
            break
    row["in_json"] = {"document": document, "fields": left_out if size <= _LARGEST_ROW else "all"}
    return row


def merge_row(stored: Row | None, row: Row) -> Row | None:
    """The row to write, or None where the table's says the same already.

    A row belongs to the earliest day that listed it and names all its days, so that two days that both list a clip do
    not take it from one another. The record's fields are those of whichever day saw it last; where that day's matches
    do not list the game, what another day knows of the game stays.
    """
    if stored is None:
        return row
    if "last_seen" not in stored:  # another program wrote it, such as the pipeline that this project replaces
        return row
    days = sorted({*stored["days"], *row["days"]})
    newer, older = (row, stored) if row["last_seen"] >= stored["last_seen"] else (stored, row)
    lost = {day: at for day, at in stored.get("removed_from", {}).items() if day not in row["days"]}
    lost |= row["removed_from"]
    context = older if set(stored["days"]) - set(row["days"]) and not any(name in newer for name in _OF_MATCH) else {}
    merged = {
        **{name: context[name] for name in _OF_GAME if name in context},
        **newer,
        "days": days,
        "game_date": days[0],
        "first_seen": min(newer["first_seen"], older["first_seen"]),
        # A clip that one day no longer lists while another does has not vanished. `last_seen` cannot tell: a row is not
        # written for its sake, so the table's may be days old.
        "removed_upstream": max(lost.values()) if lost.keys() == set(days) else None,
        "removed_from": lost,
    }
    return None if _still(merged) == _still(stored) else merged


def _still(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in _MOVING}


def differing_fields(stored: Row, wanted: Row) -> list[str]:
    """The fields of `wanted` that the table's row lacks or has otherwise, sorted.

    Fields that move with every fetch are left out, and so are those that only the table's row has: another program may
    keep fields of its own there. What is known of the game may be lacking, because earlier versions did not write it;
    in a row of several days it may be any day's.
    """
    stored, wanted = readable(stored), readable(wanted)  # earlier versions wrote the texts as they came
    days = stored.get("days")
    of_several = isinstance(days, list) and len(days) > 1
    return sorted(
        name
        for name, value in wanted.items()
        if stored.get(name, _MISSING) != value
        and name not in _MOVING
        and not (name in _OF_GAME and (of_several or name not in stored))
    )
