"""Rows in a SQLite file, which a person can read with any SQLite client."""

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Self

import filelock

from ncaa_assets import advice
from ncaa_assets.backends.local.store import explain
from ncaa_assets.failures import TableUnusable
from ncaa_assets.ports import HighlightTable, MergeRow
from ncaa_assets.record import json_text
from ncaa_assets.record.rows import Row, stored_row
from ncaa_assets.text import visible

_BATCH = 500  # SQLite allowed 999 parameters before 3.32

# `item` is the whole row as JSON; the other columns are taken from it, so that a person's SELECT finds them.
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
_SELECT = "SELECT id, game_date, item FROM highlights"
# Columns that tables of earlier versions lack; they are added at the next merge.
_LATER_COLUMNS = {
    "game": "TEXT",
    "home_team": "TEXT",
    "away_team": "TEXT",
    "home_score": "INTEGER",
    "away_score": "INTEGER",
    "game_state": "TEXT",
    "score": "TEXT",
    "venue": "TEXT",
    "copy_key": "TEXT",
    "output_key": "TEXT",
    "poster_key": "TEXT",
}


# Connections that a fork took along. SQLite wants them neither used nor closed by the child: closing one would drop the
# locks of every other connection that the child has on the file.
_INHERITED: list[sqlite3.Connection] = []


class _Reader:
    """A connection that is kept open for reading, with the process and the state of the file that it was opened for."""

    def __init__(self, connection: sqlite3.Connection, file: tuple[int, ...] | None) -> None:
        self.connection, self.file, self.process = connection, file, os.getpid()
        # Closed when its thread or its table goes, and at the latest when the process ends: a WAL file that stays
        # beside the table puzzles people who copy it.
        self.close = weakref.finalize(self, _close, connection, self.process)


def _close(connection: sqlite3.Connection, process: int) -> None:
    if process == os.getpid():
        connection.close()
    else:
        _INHERITED.append(connection)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")  # what is no UTF-8 is one bad row, and not the end of all


def _row(key: object, game_date: object, item: str | bytes) -> Row:
    """A row as its columns have it; a key that is no text is shown as Python writes it."""
    try:
        value = json_text.loads(item)
    except ValueError:
        value = None
    return stored_row(value, key if isinstance(key, str) else repr(key), game_date)


def _add_columns(connection: sqlite3.Connection) -> None:
    present = {column[1] for column in connection.execute("PRAGMA table_xinfo(highlights)")}
    for name, kind in _LATER_COLUMNS.items():
        if name not in present:
            taken = f"{kind} GENERATED ALWAYS AS (json_extract(item, '$.{name}')) VIRTUAL"
            connection.execute(f"ALTER TABLE highlights ADD COLUMN {name} {taken}")


def _empty_the_log(connection: sqlite3.Connection) -> None:
    """Moves all rows from the log into the file, as closing the last connection does; here others may be open.

    Where one of them reads or writes right now, the rows stay in the log, which is as durable.
    """
    with suppress(sqlite3.Error):
        connection.execute("PRAGMA busy_timeout = 0")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


class SqliteTable(HighlightTable):
    """Rows in one SQLite file: write-ahead log, a busy timeout of 30 s, each merge one transaction.

    After a merge all rows are in the one file, unless somebody reads a row at that very moment: then the log beside it
    holds some of them until the next merge, or until the last connection closes. Beside connections that are open and
    idle, the log stays as an empty file. Reading keeps a connection open for each thread, because opening takes longer
    than a day's rows do.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._kept = threading.local()

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        return type(self), (self.path,)

    @property
    def _remake(self) -> str:
        """What to do about a file that is no table, as the end of a sentence."""
        command = advice.command("backup", "--from", "FIRST", "--to", "LAST")
        return f"then back up the archive's days once more (`{command}`), which makes the rows again from the JSON"

    def merge(self, rows: Iterable[Row], merge: MergeRow) -> int:
        with self._transaction() as connection:
            return self._merge(connection, rows, merge)

    def get(self, ids: Sequence[str]) -> dict[str, Row]:
        with self._reading() as connection:
            return self._get(connection, ids)

    def day(self, game_date: str) -> list[Row]:
        with self._reading() as connection:
            items = connection.execute(f"{_SELECT} WHERE game_date = ? ORDER BY id", (game_date,))
            return [_row(*columns) for columns in items.fetchall()]

    def uri(self) -> str:
        return str(self.path)

    def _merge(self, connection: sqlite3.Connection, rows: Iterable[Row], merge: MergeRow) -> int:
        waiting = iter(rows)
        written: set[str] = set()
        while batch := list(islice(waiting, _BATCH)):  # a season's rows need not be in memory at once
            present = self._get(connection, list({row["id"]: None for row in batch}))
            changed: dict[str, Row] = {}
            for row in batch:  # in turn: two of them may have the same id
                if (merged := merge(present.get(row["id"]), row)) is not None:
                    present[row["id"]] = changed[row["id"]] = merged
            connection.executemany(
                "INSERT INTO highlights (id, game_date, item) VALUES (?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET game_date = excluded.game_date, item = excluded.item",
                ((row["id"], row["game_date"], json_text.dumps(row).decode()) for row in changed.values()),
            )
            written |= changed.keys()
        return len(written)

    def _get(self, connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, Row]:
        rows: dict[str, Row] = {}
        for start in range(0, len(ids), _BATCH):
            some = ids[start : start + _BATCH]
            marks = ",".join("?" * len(some))
            items = connection.execute(f"{_SELECT} WHERE id IN ({marks})", some)
            # Fetched whole: a statement that an error leaves half-read would hold its snapshot of the file.
            rows.update((columns[0], _row(*columns)) for columns in items.fetchall())
        return rows

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # The thread that closes a connection may be another one: at the end of the process, the main thread.
        connection = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
        try:
            # Where several processes switch a new file to its log at once, SQLite tells some of them that it is
            # locked, whatever their timeout. So one switches at a time, and nobody looks at the file before that.
            with filelock.FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=30):
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(_SCHEMA)
            connection.execute("PRAGMA synchronous = FULL")
            connection.text_factory = _text
        except BaseException:
            connection.close()
            raise
        return connection

    def _file(self) -> tuple[int, ...] | None:
        """What changes when somebody deletes the file, or puts another in its place."""
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return None
        return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns

    def _reader(self) -> _Reader:
        reader: _Reader | None = getattr(self._kept, "reader", None)
        if reader is None or reader.process != os.getpid() or reader.file is None or reader.file != self._file():
            self._close_reader()
            reader = self._kept.reader = _Reader(self._connect(), self._file())
        return reader

    def _close_reader(self) -> None:
        reader: _Reader | None = getattr(self._kept, "reader", None)
        self._kept.reader = None
        if reader is not None:
            reader.close()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._explained():
            try:
                yield self._reader().connection
            except sqlite3.Error:
                self._close_reader()  # the next call opens the file anew, which mends what can be mended
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Errors as a `StoreError` that says what to do."""
        try:
            yield
        except OSError as error:
            explain(error, self.path.parent, self.path.name)
        except filelock.Timeout as error:
            text = f"another process has kept {error.lock_file} locked for 30 s; see what hangs there, then try again"
            raise TableUnusable(text) from error
        except sqlite3.Error as error:
            raise TableUnusable(f"the table {self.path} {self._trouble(error)}") from error

    def _trouble(self, error: sqlite3.Error) -> str:
        """What is wrong with the table, and what to do, as the end of a sentence. How errors are called is in SQLite's
        documentation, "Result and Error Codes"."""
        kind, said = getattr(error, "sqlite_errorname", ""), visible(error)
        again = "then try again"
        if kind.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return f"is locked by another program ({said}); close that, {again}"
        if kind.startswith("SQLITE_FULL"):
            return f"does not fit on its disk ({said}); free some space, {again}"
        if kind.startswith(("SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH")):
            return f"may not be written ({said}); mend its permissions and those of its folder, {again}"
        if kind.startswith(("SQLITE_IOERR", "SQLITE_NOMEM", "SQLITE_PROTOCOL")):
            return f"cannot be used ({said}); see that its disk has space and works, {again}"
        if kind.startswith("SQLITE_CANTOPEN") and not self.path.is_dir():
            return f"cannot be opened ({said}); mend its permissions and those of its folder, {again}"
        return (
            f"is damaged, or is none of this program's ({said}). Move it out of the archive, and with it "
            f"{self.path.name}-wal and {self.path.name}-shm where they are there; {self._remake}"
        )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._explained():
            self._close_reader()  # the last connection that closes removes the log
            connection = self._connect()
            try:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    _add_columns(connection)
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
                _empty_the_log(connection)
            finally:
                connection.close()
