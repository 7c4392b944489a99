"""The connections to the databases of a home on this machine: kept open while a command's run executes.

Dagster by itself makes an engine and a connection for each of about 200 reads and writes of a day. That was half of
what a run cost beyond the day's own work: SQLAlchemy compiles each statement anew, and when the last connection to a
file closes, SQLite moves its log into the file and waits for the disk.

Only a command's process does this, and only during a run. Before and after it, a home is as Dagster leaves it.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as db
from sqlalchemy import event, exc
from sqlalchemy.pool import QueuePool

from ncaa_assets.runs.dagster_private import sqlite_event_log, sqlite_run_storage


@contextmanager
def kept_open() -> Iterator[None]:
    """While the `with` lasts, Dagster gets one engine a SQLite database, whose connection stays open.

    One run at a time in a process. Nothing else in this process may open these files meanwhile: when it closes one, the
    system drops SQLite's locks on it.
    """
    with ExitStack() as stack:
        engines: dict[str, db.Engine] = {}

        def engine_for(url: str, *, connect_args: dict[str, Any] | None = None, **_: object) -> db.Engine:
            if url not in engines:
                engine = engines[url] = _engine(url, connect_args or {})
                stack.callback(engine.dispose)
                setattr(engine, "dispose", lambda: None)  # noqa: B010 - Dagster calls it after each read and write
            return engines[url]

        for module in (sqlite_event_log, sqlite_run_storage):
            stack.callback(setattr, module, "create_engine", module.create_engine)
            setattr(module, "create_engine", engine_for)  # noqa: B010 - a name of Dagster's
        yield


def _engine(url: str, connect_args: dict[str, Any]) -> db.Engine:
    engine = db.create_engine(url, poolclass=QueuePool, pool_size=1, connect_args=connect_args)
    path = str(engine.url.database)

    @event.listens_for(engine, "connect")
    def begin(connection: Any, record: Any) -> None:
        # With write-ahead logs, the disk is then waited for once a run and not at each of about 200 commits. A power
        # cut may take the last moments of a run's record, and never damages what was recorded before.
        connection.execute("PRAGMA synchronous = NORMAL")
        record.info["is_new"] = True

    @event.listens_for(engine, "checkout")
    def open_it_anew_where_others_changed_it(_: Any, record: Any, __: Any) -> None:
        # SQLite does not notice that a file was deleted, replaced or overwritten, and writes would be lost. A new
        # connection has the file as it is. If it were asked too, a run could not be recorded while others write:
        # SQLAlchemy opens it anew twice and then gives up.
        if not record.info.pop("is_new", False) and record.info["file"] != _file(path):
            raise exc.DisconnectionError

    @event.listens_for(engine, "checkin")
    def touch_it(_: Any, record: Any) -> None:
        # The UI's live log watches this file, and commits go to the write-ahead log beside it.
        with suppress(OSError):
            os.utime(path)
        record.info["file"] = _file(path)

    return engine


def _file(path: str) -> tuple[int, ...] | None:
    """What tells a file from another and from what it was before; None where there is none."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
