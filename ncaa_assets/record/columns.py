"""The columns of the rows, in words: for the catalogs that show a table's columns. `rows.py` fills them.

`docs/archive-format.md` says the same of them at more length.
"""

from typing import Final, NamedTuple


class Column(NamedTuple):
    """A column of the rows: its type and what is in it, in words. A row may lack one that is `nullable`."""

    name: str
    type: str
    meaning: str
    nullable: bool = False


COLUMNS: Final = (
    Column("id", "text", "the highlight's id"),
    Column("game_date", "text", "the game day that the row belongs to: the earliest whose list holds the highlight"),
    Column("days", "list of text", "every game day that listed the highlight, sorted"),
    Column("title", "text", "the clip's title, as the API has it", nullable=True),
    Column("url", "text", "the address of the clip, as the API has it", nullable=True),
    Column("type", "text", "the kind of clip, as the API has it", nullable=True),
    Column("source", "text", "where the API found the clip", nullable=True),
    Column("home_team", "text", "the home team of the clip's game", nullable=True),
    Column("away_team", "text", "the away team of the clip's game", nullable=True),
    Column("game", "text", "both teams, the home team first", nullable=True),
    Column("score", "text", "the score as the API writes it", nullable=True),
    Column("home_score", "integer", "the home team's points", nullable=True),
    Column("away_score", "integer", "the away team's points", nullable=True),
    Column("game_state", "text", "the state of the game, such as Finished", nullable=True),
    Column("venue", "text", "where the game was played", nullable=True),
    Column("copy_key", "text", "the key of the video's copy in the archive", nullable=True),
    Column("output_key", "text", "the key of the copy's encode", nullable=True),
    Column("poster_key", "text", "the key of the encode's poster", nullable=True),
    Column("first_seen", "time", "when the highlight was first listed (UTC)"),
    Column("last_seen", "time", "when it was last listed (UTC), as of the last change of the row"),
    Column("fetch_date", "text", "the date (UTC) of last_seen"),
    Column(
        "removed_upstream", "time", "since when none of its days lists it any more; null while one does", nullable=True
    ),
    Column("removed_from", "object", "of each day that no longer lists it, since when"),
    Column("content_hash", "text", "the sha256 of the record's content"),
    Column(
        "in_json", "object", "of a record too large for a row: its fields that only the day's JSON has", nullable=True
    ),
)
