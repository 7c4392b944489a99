"""The rows of an archive whose store is elsewhere: a SQLite file of this machine, which knows from which versions of
each day's documents its rows were made. `archive/row_view.py` keeps it up with the store."""

import sqlite3
from collections.abc import Iterable

from ncaa_assets.backends.local.table import SqliteTable
from ncaa_assets.ports import MergeRow
from ncaa_assets.record.rows import Row

_TABLE = "CREATE TABLE IF NOT EXISTS made_from (date TEXT PRIMARY KEY, version TEXT NOT NULL)"


class RowsFile(SqliteTable):
    """Rows in a SQLite file that anybody may delete: they are made again from the JSON."""

    _remake = "then run the same command again, which makes the rows again from the JSON"

    def made_from(self) -> dict[str, str]:
        """The days whose rows are in the file, each with the versions of the documents that they were made from."""
        if not self.path.exists():
            return {}  # whoever only looks makes no file
        with self._reading() as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'made_from'").fetchall():
                return {}
            return {str(day): str(version) for day, version in connection.execute("SELECT * FROM made_from").fetchall()}

    def merge_day(self, day: str, version: str, rows: Iterable[Row], merge: MergeRow) -> None:
        """Merges the rows of a day's documents, and remembers their versions, in one transaction."""
        with self._transaction() as connection:
            self._merge(connection, rows, merge)
            self._remember(connection, day, version)

    @staticmethod
    def _remember(connection: sqlite3.Connection, day: str, version: str) -> None:
        connection.execute(_TABLE)
        connection.execute(
            "INSERT INTO made_from VALUES (?, ?) ON CONFLICT (date) DO UPDATE SET version = excluded.version",
            (day, version),
        )
