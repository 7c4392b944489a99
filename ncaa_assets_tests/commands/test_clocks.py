"""Runs on machines whose clock is wrong, and the runs after them: real processes under libfaketime.

Debian's package `faketime` brings the library; .ci/run installs it.
"""

import os
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ncaa_assets.archive.documents import load
from ncaa_assets.backends.local.store import SQLITE_NAME, LocalStore
from ncaa_assets.backends.local.table import SqliteTable
from ncaa_assets.record.models import HighlightsDay
from ncaa_assets_tests.days import KEY
from ncaa_assets_tests.loopback.http_server import ScriptedServer
from ncaa_assets_tests.loopback.listing import record, serve_listing
from ncaa_assets_tests.loopback.running_ui import COMMAND

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not there (Debian: apt-get install faketime)"),
]


def ago(days: int) -> str:
    return str(datetime.now(ZoneInfo("America/New_York")).date() - timedelta(days=days))


class Machine:
    """A machine with an archive. Its clock may be wrong by `clock`, as libfaketime writes it (`+7d`)."""

    def __init__(self, server: ScriptedServer, folder: Path) -> None:
        self._server, self._folder = server, folder
        self.records: list[dict[str, Any]] = []
        self.url = serve_listing(server, lambda: self.records)

    def does(self, *arguments: str, clock: str | None = None) -> str:
        """Runs the command, which has to succeed, and returns what it printed."""
        given = {"RAPIDAPI_KEY": KEY, "API_URL": self.url, "RETRY_DELAY": "0", "MATCHES": "0"}
        if clock is not None:
            given |= {"LD_PRELOAD": str(LIBRARY), "FAKETIME": clock, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        ended = subprocess.run(
            [COMMAND, *arguments],
            env={**os.environ, **given},
            cwd=self._folder, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    def title_in_row(self) -> str:
        return str(SqliteTable(self._folder / "data" / SQLITE_NAME).get(["1"])["1"]["title"])

    def fetches(self, day: str) -> int:
        return len(load(LocalStore(self._folder / "data"), HighlightsDay, day).backup.fetches)


@pytest.fixture
def machine(server: ScriptedServer, tmp_path: Path) -> Machine:
    return Machine(server, tmp_path)


@pytest.mark.parametrize("clock", ["+400d", "-1h"])
def test_a_title_that_is_corrected_after_a_run_with_a_wrong_clock_is_taken(machine: Machine, clock: str) -> None:
    days = ago(3), ago(2)  # over since long, also an hour ago
    machine.records = [record(1, None, title="Half")]
    for day in days:
        machine.does("backup", "--date", day, clock=clock)
    machine.records = [record(1, None, title="Final")]
    for day in reversed(days):
        machine.does("backup", "--date", day)
    assert machine.title_in_row() == "Final"
    assert "archive and record are equal" in machine.does("verify")


def test_a_day_that_was_read_with_a_clock_a_week_ahead_is_read_again_and_its_new_clips_are_kept(
    machine: Machine,
) -> None:
    day = ago(1)
    machine.records = [record(1, None)]
    machine.does("backup", "--date", day, clock="+7d")
    machine.records.append(record(2, None))
    said = machine.does("catch-up", "--days", "1")
    assert "which is yet to come: a clock was wrong" in said
    assert machine.fetches(day) == 2
    assert "nothing to do" in machine.does("catch-up", "--days", "1")
    assert "a clock was wrong" in machine.does("verify"), "the times of the first run are told"


def test_a_range_that_was_left_with_a_clock_ahead_is_done_from_its_beginning(machine: Machine) -> None:
    first, last = ago(2), ago(1)
    machine.records = [record(1, None)]
    ranges = Path(machine._folder, "data", ".ranges")
    ranges.mkdir(parents=True)
    mark = ranges / f"{first}_{last}.json"
    mark.write_text('{"at": "2099-01-01T00:00:00Z"}')
    machine.does("backup", "--from", first, "--to", last)
    assert not mark.exists()
    assert [machine.fetches(day) for day in (first, last)] == [1, 1]
