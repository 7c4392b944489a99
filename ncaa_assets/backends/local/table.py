"""Rows in a SQLite file: what a person reads with any SQLite client."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import filelock

from ncaa_assets.backends.local.store import explain
from ncaa_assets.failures import StoreError
from ncaa_assets.ports import HighlightTable, MergeRow, Row
from ncaa_assets.record import json_text
from ncaa_assets.text import visible

_BATCH = 500  # SQLite allowed 999 parameters before 3.32

# `item` is the whole row as JSON; the other columns are read out of it, so that a person's SELECT finds them.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS highlights (
    id TEXT PRIMARY KEY,
    game_date TEXT NOT NULL,
    item TEXT NOT NULL,
    title TEXT GENERATED ALWAYS AS (json_extract(item, '$.title')) VIRTUAL,
    url TEXT GENERATED ALWAYS AS (json_extract(item, '$.url')) VIRTUAL,
    type TEXT GENERATED ALWAYS AS (json_extract(item, '$.type')) VIRTUAL,
    source TEXT GENERATED ALWAYS AS (json_extract(item, '$.source')) VIRTUAL,
    days TEXT GENERATED ALWAYS AS (json_extract(item, '$.days')) VIRTUAL,
    fetch_date TEXT GENERATED ALWAYS AS (json_extract(item, '$.fetch_date')) VIRTUAL,
    first_seen TEXT GENERATED ALWAYS AS (json_extract(item, '$.first_seen')) VIRTUAL,
    last_seen TEXT GENERATED ALWAYS AS (json_extract(item, '$.last_seen')) VIRTUAL,
    removed_upstream TEXT GENERATED ALWAYS AS (json_extract(item, '$.removed_upstream')) VIRTUAL,
    content_hash TEXT GENERATED ALWAYS AS (json_extract(item, '$.content_hash')) VIRTUAL
);
CREATE INDEX IF NOT EXISTS by_game_date ON highlights (game_date, id);
"""


class SqliteTable(HighlightTable):
    """Rows in one SQLite file: write-ahead log, a busy timeout of 30 s, each merge one transaction."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    def merge(self, rows: Iterable[Row], merge: MergeRow) -> int:
        waiting = iter(rows)
        written: set[str] = set()
        with self._transaction() as connection:
            while batch := list(islice(waiting, _BATCH)):  # a season's rows need not be in memory at once
                present = self._get(connection, list({row["id"]: None for row in batch}))
                changed: dict[str, Row] = {}
                for row in batch:  # one after the other: two of them may have the same id
                    if (merged := merge(present.get(row["id"]), row)) is not None:
                        present[row["id"]] = changed[row["id"]] = merged
                connection.executemany(
                    "INSERT INTO highlights (id, game_date, item) VALUES (?, ?, ?) "
                    "ON CONFLICT (id) DO UPDATE SET game_date = excluded.game_date, item = excluded.item",
                    ((row["id"], row["game_date"], json_text.dumps(row).decode()) for row in changed.values()),
                )
                written |= changed.keys()
        return len(written)

    def get(self, ids: Sequence[str]) -> dict[str, Row]:
        with self._connection() as connection:
            return self._get(connection, ids)

    def day(self, game_date: str) -> list[Row]:
        with self._connection() as connection:
            found = connection.execute("SELECT item FROM highlights WHERE game_date = ? ORDER BY id", (game_date,))
            return [self._row(item) for (item,) in found]

    def uri(self) -> str:
        return str(self.path)

    def _get(self, connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, Row]:
        rows: dict[str, Row] = {}
        for start in range(0, len(ids), _BATCH):
            some = ids[start : start + _BATCH]
            marks = ",".join("?" * len(some))
            found = connection.execute(f"SELECT id, item FROM highlights WHERE id IN ({marks})", some)  # noqa: S608
            rows.update((key, self._row(item)) for key, item in found)
        return rows

    def _row(self, item: str) -> Row:
        try:
            row = json_text.loads(item)
        except ValueError as error:
            raise StoreError(
                f"a row of {self.path} was edited into what is no JSON ({visible(error)}); delete those for which "
                "json_valid(item) is 0, then run their days again, which writes them anew"
            ) from error
        return row if isinstance(row, dict) else {}

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
            try:
                # Of several processes that switch a new file to its log at once, some are told that it is locked,
                # whatever their timeout: one at a time, and nobody looks at it before it is switched.
                with filelock.FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=30):
                    connection.execute("PRAGMA journal_mode = WAL")
                    connection.executescript(_SCHEMA)
                connection.execute("PRAGMA synchronous = FULL")
                yield connection
            finally:
                connection.close()
        except OSError as error:
            explain(error, self.path.parent, self.path.name)
        except (sqlite3.Error, filelock.Timeout) as error:
            raise StoreError(
                f"the table {self.path} cannot be used ({visible(error)}); see that its disk has space and may be "
                "written, then run the day again. Its rows can always be made again from the JSON"
            ) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
