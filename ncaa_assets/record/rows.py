"""The rows: one for each highlight, and how the row of one day's JSON is merged into the table's row. No I/O."""

import hashlib
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from ncaa_assets.record import calendar, json_text
from ncaa_assets.record.kept import KeptVideos
from ncaa_assets.record.matches import games_of
from ncaa_assets.record.merge import DEEPEST
from ncaa_assets.record.models import CopiedVideo, HighlightsDay, ProcessedDay, ProcessedVideo, VideosDay

Row = dict[str, Any]

RowsOfDay = Callable[[str], Mapping[str, Row] | None]
"""The rows that a day's document makes, by id; None for a document that is missing or damaged."""

# DynamoDB takes 400 KB an item and counts up to three bytes for a list's element where JSON needs two ("Item sizes" in
# its documentation), so this many bytes of JSON are safe whatever they say.
_LARGEST_ROW = 190_000
_OURS = 20_000  # more bytes of JSON than our own fields take beside a short id, with the longest names

# DynamoDB takes 1,024 bytes as the range key of its index ("Constraints" in its developer guide).
_LONGEST_KEY = 1024
_SHORTENED = 100  # characters, of four bytes at most

_DEEPEST_ROW = DEEPEST + 5  # levels; what a run writes has a record's, and those of our own fields

# These move with every fetch; a row that differs in nothing else is not written again.
_MOVING = ("last_seen", "fetch_date")
_MISSING = object()

# SQLite's JSON functions end a text at a NUL, and make bytes of half an emoji that no client takes for text.
_UNREADABLE = re.compile("[\0\ud800-\udfff]")
_UNREADABLE_WRITTEN = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")  # as `json_text.dumps` writes them

# What a day's matches alone tell of a game, and all that a row says of it.
_OF_MATCH = ("home_score", "away_score", "game_state", "score", "venue")
OF_GAME = ("home_team", "away_team", "game", *_OF_MATCH)

# What a row says of its video: the keys of the copy, of its encode and of the poster, or null where there is none.
KEYS = ("copy_key", "output_key", "poster_key")

LATER = (*OF_GAME, *KEYS)  # fields that rows of earlier versions may lack


def rows_of(day: HighlightsDay, videos: VideosDay | None = None, processed: ProcessedDay | None = None) -> list[Row]:
    """One row for each record of a day.

    It has the record's own fields (`readable`), and over them ours: `id` (`row_key`), `game_date`, `days`,
    `fetch_date`, `first_seen`, `last_seen`, `removed_upstream`, `removed_from` (the days that no longer list it, and
    since when), `content_hash`; what is known of its game: `home_team`, `away_team`, `game`, `home_score`,
    `away_score`, `game_state`, `score`, `venue`; and where its video is: `copy_key`, `output_key`, `poster_key`. Where
    the day's manifests are not known, neither are the keys, and the rows lack them.
    """
    rows = []
    games = games_of(day)
    keys = _keys_of(day, videos, processed) if videos is not None and processed is not None else None
    written = json_text.dumps(day.data)
    all_fit = len(written) <= _LARGEST_ROW - _OURS  # then no record need be measured by itself
    all_readable = _UNREADABLE_WRITTEN.search(written) is None  # nor looked through
    for view, record in day.highlights():
        key = view.id
        entry = day.backup.records[key]
        ours: dict[str, Any] = {
            "id": row_key(key),
            "game_date": day.date,
            "days": [day.date],
            "fetch_date": entry.last_seen[:10],
            "first_seen": entry.first_seen,
            "last_seen": entry.last_seen,
            "removed_upstream": entry.removed_upstream,
            "removed_from": {day.date: entry.removed_upstream} if entry.removed_upstream else {},
            "content_hash": entry.content_hash,
            **readable(games[key]),
            **({} if keys is None else keys[key]),
        }
        fits = all_fit and len(key) < 100
        fields = record if all_readable else readable(record)
        rows.append({**fields, **ours} if fits else _fitted(fields, ours, key, HighlightsDay.key(day.date)))
    return rows


def _keys_of(day: HighlightsDay, videos: VideosDay, processed: ProcessedDay) -> dict[str, Row]:
    """The keys of each highlight's video, by its id."""
    kept = KeptVideos(videos, processed)
    return {view.id: _keys(*kept.of(view)) for view, _ in day.highlights()}


def _keys(copy: CopiedVideo | None, output: ProcessedVideo | None) -> Row:
    return {
        "copy_key": copy.key if copy is not None else None,
        "output_key": output.key if output is not None else None,
        "poster_key": output.poster.key if output is not None else None,
    }


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


def _fitted(record: dict[str, Any], ours: dict[str, Any], identifier: str, document: str) -> Row:
    """A row that every table takes. Where a record or its id is too large, its largest fields are only in the day's
    JSON, and `in_json` says which fields and where."""
    row: Row = {**record, **ours}
    left_out: list[str] = [] if ours["id"] == identifier else ["id"]
    size = len(json_text.dumps(row))
    if size <= _LARGEST_ROW and not left_out:
        return row
    sizes = {name: len(json_text.dumps(value)) for name, value in record.items() if name not in ours}
    size += 100  # what `in_json` takes without the names, which only move there
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        if size <= _LARGEST_ROW:
            break
        del row[name]
        left_out.append(name)
        size -= sizes[name]
    row["in_json"] = {"document": document, "fields": left_out if size <= _LARGEST_ROW else "all"}
    return row


def row_key(identifier: str) -> str:
    """The `id` of a highlight's row: the highlight's own id, or where that is too long for a key, its beginning and its
    sha256."""
    encoded = identifier.encode("utf-8", "surrogatepass")
    if len(encoded) <= _LONGEST_KEY:
        return identifier
    return f"{identifier[:_SHORTENED]}-sha256-{hashlib.sha256(encoded).hexdigest()}"


def merge_row(stored: Row | None, row: Row, rows_of_day: RowsOfDay = lambda _: None) -> Row | None:
    """The row to write once a day makes `row` of a highlight, or None where the table's says the same already.

    The table's row tells only which other days listed the highlight. What it says is made from the documents of all of
    them, so it does not depend on the order in which days were fetched, nor on any clock.
    """
    # A row without days is another program's, such as that of the pipeline that this project replaces.
    if stored is None or not days_of(stored):
        return row
    (day,) = row["days"]
    of_days = {**_other_rows(stored, row["id"], day, rows_of_day), day: {**_keys_in(stored, day), **row}}
    joined = join_rows(of_days)
    return None if _still(joined) == _still(stored) else joined


def join_rows(of_days: Mapping[str, Row]) -> Row:
    """The one row of a highlight, from those that its days make.

    It belongs to the earliest day that listed the highlight, and names all of them. The record's fields are those of
    the latest day that still lists it, else of the latest day. What is known of its game is that of the same day; what
    this day's matches do not list, of the latest day whose matches do. So are the keys: of the same day, or where that
    has no video of it, of the latest day that has.
    """
    days = sorted(of_days)
    told = [day for day in days if "content_hash" in of_days[day]]
    removed = {day: at for one in of_days.values() for day, at in one["removed_from"].items()}
    latest = content_day(told, removed)
    content = of_days[latest]
    context: Row = {}
    if not any(name in content for name in _OF_MATCH):
        knowing = [day for day in told if any(name in of_days[day] for name in _OF_MATCH)]
        context = of_days[knowing[-1]] if knowing else {}
    with_video = (of_days[day] for day in (latest, *reversed(days)) if any(map(of_days[day].get, KEYS)))
    keys = next(with_video, {})
    return {
        **{name: context[name] for name in OF_GAME if name in context},
        **content,
        **{name: keys[name] for name in KEYS if name in keys},
        "days": days,
        "game_date": days[0],
        "first_seen": min(one["first_seen"] for one in of_days.values() if "first_seen" in one),
        # A clip that one day no longer lists while another does has not vanished.
        "removed_upstream": max(removed.values()) if removed.keys() == of_days.keys() else None,
        "removed_from": removed,
    }


def content_day(days: Collection[str], removed: Collection[str]) -> str:
    """Whose content a row of several days has: the latest day that still lists it, else the latest."""
    return max(set(days) - set(removed) or days)


def stored_row(value: object, key: str, game_date: object) -> Row:
    """What a table has under a key, as a row. One that cannot be read, that is another's or lies under another day than
    it says has no days: for whatever compares it, it says nothing, and the next run of its highlight's day writes it
    anew."""
    if (
        not isinstance(value, dict)
        or (value.get("id"), value.get("game_date")) != (key, game_date)
        or json_text.is_deeper(value, _DEEPEST_ROW)
    ):
        return {"id": key, "game_date": game_date}
    return value


def days_of(row: Row) -> list[str]:
    """The days that a table's row names, sorted; none where what it has there is no list of days."""
    days = row.get("days")
    return sorted({day for day in days if calendar.is_day(day)}) if isinstance(days, list) else []


def removals_of(row: Row) -> dict[str, str]:
    """The days that a table's row says no longer list it, and since when; none where what it has there is odd."""
    removed = row.get("removed_from")
    return {day: at for day, at in removed.items() if isinstance(at, str)} if isinstance(removed, dict) else {}


def _other_rows(stored: Row, key: str, day: str, rows_of_day: RowsOfDay) -> dict[str, Row]:
    """What the other days of a table's row make of its highlight.

    A day whose document does not list it (somebody put back an earlier version) is none of its days any more. Of one
    whose document is missing or damaged, the table's row is all that is left: it keeps its place, and its content where
    the table's row has that.
    """
    days, removed = days_of(stored), removals_of(stored)
    rows: dict[str, Row] = {}
    for other in days:
        if other == day:
            continue
        made = rows_of_day(other)
        if made is not None:
            rows |= {other: {**_keys_in(stored, other), **made[key]}} if key in made else {}
            continue
        kept = stored if other == content_day(days, removed) else {}
        kept = {**{name: value for name, value in kept.items() if name not in KEYS}, **_keys_in(stored, other)}
        first_seen = {"first_seen": stored["first_seen"]} if isinstance(stored.get("first_seen"), str) else {}
        lost = {other: removed[other]} if other in removed else {}
        rows[other] = {**kept, **first_seen, "removed_from": lost}
    return rows


def names_other_files(stored: Row, made: Row) -> bool:
    """Whether a table's row names other files of a day than the row that the day makes. One that names another day's
    says nothing of this one, nor does one that an earlier version wrote."""
    (day,) = made["days"]
    keys = _keys_in(stored, day)
    return any(made.get(name) != key for name, key in keys.items())


def _keys_in(stored: Row, day: str) -> Row:
    """What a table's row says of a day's video: all that is known of it while the day's manifests are not. Nothing
    where it has no keys, or another day's."""
    keys = {name: stored[name] for name in KEYS if name in stored}
    named = [key for key in keys.values() if key is not None]
    return keys if all(isinstance(key, str) and key.split("/")[1:2] == [day] for key in named) else {}


def _still(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in _MOVING}


def differing_fields(stored: Row, wanted: Row) -> list[str]:
    """The fields of `wanted` that the table's row lacks or has otherwise, sorted.

    Fields that move with every fetch are left out, and so are those that only the table's row has: another program may
    keep fields of its own there. What is known of the game and where its video is may be lacking, because earlier
    versions did not write it.
    """
    fields = _unlike(stored, wanted)
    # Earlier versions wrote the texts as they came.
    return _unlike(readable(stored), readable(wanted)) if fields else []


def _unlike(stored: Row, wanted: Row) -> list[str]:
    return sorted(
        name
        for name, value in wanted.items()
        if stored.get(name, _MISSING) != value and name not in _MOVING and not (name in LATER and name not in stored)
    )
