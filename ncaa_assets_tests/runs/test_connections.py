"""What must stay true of a home while a run's connections to its databases are kept open, and how few they are."""

import itertools
import json
import os
import threading
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import event
from sqlalchemy.pool import Pool

from ncaa_assets.runs.dagster_private import sqlite_event_log
from ncaa_assets.runs.instance import open_instance
from ncaa_assets_tests.days import run_day, settings_for
from ncaa_assets_tests.loopback.http_server import Handler, Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import API_PATH, record, serve_listing

_UI_SECONDS = 20.0  # within which a live log shows an event, on a machine that is busy too


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("RAPIDAPI_KEY", "DAGSTER_HOME"):
        monkeypatch.setenv(name, "")  # so that what `run_day` sets is undone
    return tmp_path / "home"


def test_a_run_opens_few_connections_and_leaves_none(server: ScriptedServer, home: Path) -> None:
    settings = settings_for(serve_listing(server, lambda: [record(1, None)]))
    assert run_day(settings, home, "2025-03-08").succeeded  # which makes the home
    opened = []

    def note(*_: object) -> None:
        opened.append(1)

    event.listen(Pool, "connect", note)
    try:
        assert run_day(settings, home).succeeded
    finally:
        event.remove(Pool, "connect", note)
    assert len(opened) < 60, "Dagster by itself opens more than 200"
    assert [path.name for path in home.rglob("*.db-wal")] == [], "SQLite removes them when the last connection closes"
    if (descriptors := Path("/proc/self/fd")).exists():
        files = [path.readlink() for path in descriptors.iterdir() if path.is_symlink()]
        assert [file for file in files if file.is_relative_to(home)] == []


def test_a_run_is_recorded_while_other_processes_write_to_its_home_at_any_moment(
    server: ScriptedServer, home: Path
) -> None:
    settings = settings_for(serve_listing(server, lambda: [record(1, None)]))
    assert run_day(settings, home, "2025-03-08").succeeded
    moments = itertools.count(10**9)

    def somebody_else_writes(connection: Any, *_: object) -> None:
        for _, _, path in connection.execute("PRAGMA database_list"):
            if Path(path).is_relative_to(home):
                os.utime(path, (0, next(moments)))

    event.listen(Pool, "checkout", somebody_else_writes)
    try:
        ended = run_day(settings, home)
    finally:
        event.remove(Pool, "checkout", somebody_else_writes)
    assert ended.succeeded
    with open_instance(home) as instance:
        assert {run.status for run in instance.get_runs()} == {dg.DagsterRunStatus.SUCCESS}
    assert next(moments) > 10**9 + 20, "nobody wrote, so this showed nothing"


def test_a_live_log_shows_the_events_of_a_run_while_it_is_under_way(
    server: ScriptedServer, clip: Path, home: Path
) -> None:
    """The UI's log is woken by changes of the run's database file, and not by those of its write-ahead log."""
    seen: list[str] = []
    fetched, was_in_time = threading.Event(), []
    storages: list[Any] = []

    def show(entry: dg.EventLogEntry, _: str) -> None:
        seen.append(entry.dagster_event_type.value if entry.dagster_event_type else "")
        if seen[-1] == "ASSET_MATERIALIZATION":
            fetched.set()

    def list_day(handler: Handler) -> None:
        if not storages:  # the run is under way: somebody opens its page
            storage = sqlite_event_log.SqliteEventLogStorage(str(home / "history" / "runs"))
            (run_id,) = storage.get_all_run_ids()
            storage.watch(run_id, None, show)
            storages.append(storage)
        answer = {"data": [record(1, server.url("/1.mp4"))], "pagination": {"totalCount": 1}}
        Reply(json.dumps(answer).encode()).send(handler)

    def send_video(handler: Handler) -> None:
        was_in_time.append(fetched.wait(_UI_SECONDS))
        Reply(clip.read_bytes()).send(handler)

    server.on("/1.mp4", send_video)
    try:
        assert run_day(settings_for(server.on(API_PATH, list_day), matches=False, encode="never"), home).succeeded
    finally:
        for storage in storages:
            storage.dispose()
    assert was_in_time == [True], seen
