"""A SQLite table that is read often: the connection that it keeps open, and what may happen to the file meanwhile."""

import multiprocessing
import pickle
import shutil
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ncaa_assets.backends.local.table import _LATER_COLUMNS, _SCHEMA, SqliteTable
from ncaa_assets.failures import TableUnusable
from ncaa_assets.record.rows import Row

DAY = "2025-03-09"


def row_of(key: str, **fields: Any) -> Row:
    return {"id": key, "game_date": DAY, **fields}


def as_given(_: Row | None, given: Row) -> Row:
    return given


@pytest.fixture
def table(tmp_path: Path) -> SqliteTable:
    table = SqliteTable(tmp_path / "archive" / "highlights.sqlite")
    table.merge([row_of("1", title="a")], as_given)
    return table


def files_beside(table: SqliteTable) -> list[str]:
    return sorted(path.name for path in table.path.parent.iterdir() if not path.name.startswith("."))


def test_a_table_that_was_read_sees_what_others_write(table: SqliteTable) -> None:
    assert table.get(["1"])["1"]["title"] == "a"
    SqliteTable(table.path).merge([row_of("1", title="b"), row_of("2")], as_given)
    assert table.get(["1"])["1"]["title"] == "b"
    assert len(table.day(DAY)) == 2


def test_a_table_that_another_program_keeps_for_itself_is_said_to_be_locked(
    table: SqliteTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *given, **more: real(*given, **{**more, "timeout": 0.1}))
    with closing(real(table.path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        other.execute("DELETE FROM highlights")
        for use in (lambda: table.get(["1"]), lambda: table.merge([row_of("1")], as_given)):
            with pytest.raises(TableUnusable, match=r"is locked by another program \(database is locked\); close that"):
                use()
        other.execute("ROLLBACK")
    assert table.get(["1"])["1"]["title"] == "a"


def test_a_file_that_somebody_deleted_or_replaced_is_opened_anew(table: SqliteTable, tmp_path: Path) -> None:
    assert len(table.day(DAY)) == 1
    for path in table.path.parent.glob("highlights.sqlite*"):
        path.unlink()
    assert table.day(DAY) == []
    table.merge([row_of("2")], as_given)
    assert table.get(["1", "2"]).keys() == {"2"}
    other = SqliteTable(tmp_path / "other.sqlite")
    other.merge([row_of("3")], as_given)
    other.path.replace(table.path)
    assert [row["id"] for row in table.day(DAY)] == ["3"]


def test_after_a_merge_all_rows_are_in_the_one_file(table: SqliteTable) -> None:
    table.day(DAY)
    table.merge([row_of("2")], as_given)
    assert files_beside(table) == ["highlights.sqlite"]


def rows_of_a_copy(table: SqliteTable, folder: Path) -> list[str]:
    """What somebody finds who copies the one file alone."""
    folder.mkdir()
    shutil.copy(table.path, folder)
    return [row["id"] for row in SqliteTable(folder / table.path.name).day(DAY)]


def test_beside_idle_readers_too_a_merges_rows_are_in_the_one_file(table: SqliteTable, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from ncaa_assets.backends.local.table import SqliteTable\n"
        f"table = SqliteTable(Path(sys.argv[1])); print(len(table.day({DAY!r})), flush=True); sys.stdin.read()"
    )
    thread, here = ThreadPoolExecutor(1), SqliteTable(table.path)
    command = [sys.executable, "-c", code, str(table.path)]
    with thread, subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        assert len(thread.submit(table.day, DAY).result()) == len(here.day(DAY)) == 1
        table.merge([row_of("2")], as_given)
        assert rows_of_a_copy(table, tmp_path / "copy") == ["1", "2"]
        log = table.path.with_name("highlights.sqlite-wal")
        assert log.stat().st_size == 0, "it is there for the readers, and empty"
        assert len(here.day(DAY)) == len(thread.submit(table.day, DAY).result()) == 2
        process.communicate()


def test_a_reader_under_way_neither_fails_nor_delays_a_merge(table: SqliteTable, tmp_path: Path) -> None:
    reader = sqlite3.connect(table.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM highlights").fetchall()
    started = time.monotonic()
    assert table.merge([row_of("2")], as_given) == 1
    assert time.monotonic() - started < 10, "less than the busy timeout"
    assert len(table.day(DAY)) == 2
    reader.execute("COMMIT")
    table.merge([row_of("3")], as_given)
    assert rows_of_a_copy(table, tmp_path / "copy") == ["1", "2", "3"]
    reader.close()


def test_a_table_that_goes_leaves_no_log_behind(table: SqliteTable) -> None:
    reader = SqliteTable(table.path)
    reader.day(DAY)
    assert len(files_beside(table)) > 1, "SQLite's log is there while it is read"
    del reader
    assert files_beside(table) == ["highlights.sqlite"]


def test_a_process_that_ends_leaves_no_log_behind(table: SqliteTable) -> None:
    code = (
        "import sys; from pathlib import Path; from ncaa_assets.backends.local.table import SqliteTable\n"
        f"table = SqliteTable(Path(sys.argv[1])); assert len(table.day({DAY!r})) == 1"
    )
    subprocess.run([sys.executable, "-c", code, str(table.path)], check=True)
    assert files_beside(table) == ["highlights.sqlite"]


def test_each_thread_reads_by_a_connection_of_its_own(table: SqliteTable) -> None:
    table.day(DAY)
    with ThreadPoolExecutor(4) as threads:
        assert [len(found) for found in threads.map(table.day, [DAY] * 40)] == [1] * 40
    assert len(table.day(DAY)) == 1


def read_and_write(table: SqliteTable) -> None:
    assert len(table.day(DAY)) == 1
    table.merge([row_of("child")], as_given)


def test_a_forked_child_opens_the_file_for_itself(table: SqliteTable) -> None:
    table.day(DAY)
    child = multiprocessing.get_context("fork").Process(target=read_and_write, args=(table,))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert [row["id"] for row in table.day(DAY)] == ["1", "child"]
    table.merge([row_of("parent")], as_given)
    assert [row["id"] for row in table.day(DAY)] == ["1", "child", "parent"]


def test_a_table_goes_to_another_process_by_its_path(table: SqliteTable) -> None:
    table.day(DAY)
    other = pickle.loads(pickle.dumps(table))  # noqa: S301 - our own
    assert other.day(DAY) == table.day(DAY)


def test_a_table_of_an_earlier_version_gets_its_columns_with_the_next_rows(tmp_path: Path) -> None:
    path = tmp_path / "highlights.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(_SCHEMA)
        connection.execute("INSERT INTO highlights (id, game_date, item) VALUES ('1', ?, '{}')", (DAY,))
        connection.commit()
    table = SqliteTable(path)
    assert table.get(["2"]) == {}
    with closing(sqlite3.connect(path)) as connection:
        assert "home_score" not in columns(connection), "reading changes no file"
    for score in (81, 82):
        table.merge([row_of("2", home_team="Duke", home_score=score)], as_given)
    with closing(sqlite3.connect(path)) as connection:
        assert columns(connection) >= {"id", "item", "title", *_LATER_COLUMNS}
        query = "SELECT home_team, home_score, venue FROM highlights WHERE id = '2'"
        assert connection.execute(query).fetchall() == [("Duke", 82, None)]


def columns(connection: sqlite3.Connection) -> set[str]:
    return {column[1] for column in connection.execute("PRAGMA table_xinfo(highlights)")}
