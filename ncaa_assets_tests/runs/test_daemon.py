"""The whole loop with real processes: a webserver and a daemon on a new instance, asked as the UI asks them.

Schedule tick, queue, run worker, materialized partition, GraphQL; a backfill; Terminate; and workers that are killed.
"""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dagster._core.remote_origin import RemoteInstigatorOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
)

from ncaa_assets.runs.daemon_health import silent_daemons
from ncaa_assets.runs.execute import job_origin
from ncaa_assets.runs.instance import open_instance
from ncaa_assets.settings import Settings
from ncaa_assets_tests.days import KEY
from ncaa_assets_tests.loopback.http_server import Handler, Reply, ScriptedServer, scripted_server
from ncaa_assets_tests.loopback.listing import API_PATH
from ncaa_assets_tests.loopback.running_ui import COMMAND, ask, backfill, launch, run_again, running_ui, runs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NONE_LISTED = Reply(b'{"data": [], "pagination": {"totalCount": 0}}')
TERMINATE = "mutation ($id: String!) { terminateRun(runId: $id) { __typename } }"
PARTITIONS = """{ assetNodes { assetKey { path } assetPartitionStatuses {
    ... on TimePartitionStatuses { ranges { status startKey endKey } } } } }"""


class Loop:
    """The running UI and daemon, and the API that their runs ask. The API withholds its answer for the days in
    `stalled`."""

    def __init__(
        self,
        base: str,
        folder: Path,
        environment: dict[str, str],
        server: ScriptedServer,
        stalled: dict[str, threading.Event],
    ) -> None:
        self.base, self.folder, self.environment, self.server, self.stalled = base, folder, environment, server, stalled

    def launch(self, day: str) -> str:
        return launch(self.base, day)

    def runs(self) -> dict[str, dict[str, Any]]:
        return runs(self.base)

    def status(self, run_id: str) -> str:
        return str(self.runs()[run_id]["status"])

    def runs_of(self, day: str) -> list[dict[str, Any]]:
        return [run for run in self.runs().values() if run.get("dagster/partition") == day]

    def was_asked_for(self, day: str) -> bool:
        return any(request.query["date"] == day for request in self.server.asked)

    def log(self) -> str:
        return (self.folder / "ui.log").read_text()

    def lease(self, day: str) -> dict[str, Any] | None:
        path = self.folder / "data" / ".leases" / f"{day}.json"
        try:
            lease: dict[str, Any] = json.loads(path.read_text())
        except FileNotFoundError:
            return None
        return lease

    def until(self, what: str, there: Callable[[], object], seconds: float = 150) -> None:
        deadline = time.monotonic() + seconds
        while not there():
            assert time.monotonic() < deadline, f"{what} never came about\n{self.log()[-4000:]}"
            time.sleep(0.2)

    def materialized(self, day: str) -> int:
        """How many of the five assets are materialized for the day, according to the partitions page."""
        return sum(
            any(
                one["status"] == "MATERIALIZED" and one["startKey"] <= day <= one["endKey"]
                for one in node["assetPartitionStatuses"]["ranges"]
            )
            for node in ask(self.base, PARTITIONS)["assetNodes"]
        )


def last_tick() -> datetime:
    """The latest six o'clock in New York."""
    now = datetime.now(ZoneInfo("America/New_York"))
    six = now.replace(hour=6, minute=0, second=0, microsecond=0)
    return six if six <= now else six - timedelta(days=1)


def schedule_was_on_since(home: Path, start: datetime) -> None:
    """Puts the instance into the state that a daemon leaves that ran yesterday but not at six this morning."""
    origin = RemoteInstigatorOrigin(job_origin().repository_origin, "daily_backup_schedule")
    state = InstigatorState(
        origin,
        InstigatorType.SCHEDULE,
        InstigatorStatus.DECLARED_IN_CODE,
        ScheduleInstigatorData("0 6 * * *", start.timestamp()),
    )
    with open_instance(home) as instance:
        instance.add_instigator_state(state)
        assert instance.all_instigator_state() == [state]


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    folder = tmp_path_factory.mktemp("loop")
    stalled: dict[str, threading.Event] = {}
    with scripted_server() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(folder / "home"))  # so that what `open_instance` sets is undone
        schedule_was_on_since(folder / "home", last_tick() - timedelta(hours=1))

        def answer(handler: Handler) -> None:
            if (waiting := stalled.get(server.asked[-1].query["date"])) is not None:
                waiting.wait(300)
            NONE_LISTED.send(handler)

        settings = {
            "DAGSTER_HOME": str(folder / "home"),
            "API_URL": server.on(API_PATH, answer),
            "RAPIDAPI_KEY": KEY,
            "LOOKBACK_DAYS": "3",
        }
        # This fixture of a module runs before the one that removes this machine's settings.
        ours = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
        done = subprocess.run(
            [COMMAND, "backup", "--date", str(last_tick().date() - timedelta(days=2))],
            cwd=folder, env=ours | settings, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        with running_ui(folder, ours | settings) as base:
            yield Loop(base, folder, ours | settings, server, stalled)


def test_a_tick_that_was_missed_is_made_up_and_its_days_go_through_queue_and_worker_into_the_ui(loop: Loop) -> None:
    """It asks for every day except the one that a command backed up since."""
    newest = last_tick().date() - timedelta(days=1)
    days = [str(newest), str(newest - timedelta(days=2))]
    done_since = str(newest - timedelta(days=1))
    loop.until("all days' runs", lambda: [run["status"] for run in loop.runs().values()] == ["SUCCESS"] * 3)
    assert [run["ncaa_assets/trigger"] for run in loop.runs_of(done_since)] == ["backup"]
    for day in days:
        (run,) = loop.runs_of(day)
        assert run["dagster/schedule_name"] == "daily_backup_schedule"
        assert run["dagster/run_key"] == f"{last_tick().date()}/{day}"
        assert loop.materialized(day) == 5
        assert json.loads((loop.folder / "data" / "highlights" / f"{day}.json").read_text())["date"] == day
    assert loop.materialized(str(newest - timedelta(days=3))) == 0
    assert sorted(request.query["date"] for request in loop.server.asked) == sorted([*days, done_since]), "each once"


def test_the_health_check_of_the_deployment_takes_the_daemon_for_alive(loop: Loop) -> None:
    assert silent_daemons(loop.base) == []


def test_a_backfill_fills_a_range_of_partitions(loop: Loop) -> None:
    days = ["2025-01-04", "2025-01-05"]
    backfill(loop.base, days)
    loop.until("the backfill's days", lambda: all(loop.materialized(day) == 5 for day in days))
    loop.until("the backfill's runs", lambda: all(loop.runs_of(day)[0]["status"] == "SUCCESS" for day in days))


def test_a_commands_run_can_be_run_again(loop: Loop) -> None:
    day = str(last_tick().date() - timedelta(days=2))
    (first,) = [run_id for run_id, run in loop.runs().items() if run.get("dagster/partition") == day]
    again = run_again(loop.base, first)
    loop.until("the run's end", lambda: loop.status(again) == "SUCCESS")


def test_a_run_of_no_real_day_fails_in_one_sentence_that_is_reported_once(loop: Loop) -> None:
    """The UI's API takes any text for a partition."""
    run_id = loop.launch("2025-3-4")
    loop.until("the run's end", lambda: loop.status(run_id) == "FAILURE")
    alert = "ALERT daily_backup 2025-3-4: '2025-3-4' is not a date; write it as YYYY-MM-DD"
    loop.until("the alert", lambda: alert in loop.log())
    assert loop.log().count(alert) == 1
    assert f"({loop.base.replace('127.0.0.1', 'localhost')}/runs/{run_id})" in loop.log(), "the address that the UI has"
    assert not loop.was_asked_for("2025-3-4")


def test_terminate_ends_a_run_within_seconds_and_its_day_is_free(loop: Loop) -> None:
    day = "2025-02-01"
    loop.stalled[day] = threading.Event()
    run_id = loop.launch(day)
    loop.until("the fetch", lambda: loop.was_asked_for(day))
    assert ask(loop.base, TERMINATE, id=run_id)["terminateRun"]["__typename"] == "TerminateRunSuccess"
    loop.until("the run's end", lambda: loop.status(run_id) == "CANCELED", seconds=30)
    loop.until("the day's freedom", lambda: loop.lease(day) is None, seconds=30)
    loop.stalled.pop(day).set()

    again = loop.launch(day)
    loop.until("the next run", lambda: loop.status(again) == "SUCCESS")
    assert loop.materialized(day) == 5


def test_a_worker_killed_with_sigkill_keeps_nobody_from_its_day(loop: Loop) -> None:
    day = "2025-02-02"
    loop.stalled[day] = threading.Event()
    killed = loop.launch(day)
    loop.until("the fetch", lambda: loop.was_asked_for(day))
    lease = loop.lease(day)
    assert lease is not None
    assert lease["owner"] == killed
    os.kill(lease["pid"], signal.SIGKILL)
    loop.stalled.pop(day).set()
    again = loop.launch(day)
    loop.until("the next run", lambda: loop.status(again) == "SUCCESS")
    assert loop.materialized(day) == 5
    loop.until("the mark", lambda: loop.status(killed) == "FAILURE")
    alert = f"ALERT daily_backup {day}: its process was terminated by signal 9 (SIGKILL); what it had done is kept"
    loop.until("the alert", lambda: alert in loop.log())


def test_commands_killed_with_sigkill_do_not_fill_the_queue(loop: Loop) -> None:
    """The queue lets two runs work at a time, and Dagster counts what is STARTED. Nothing else watches a command's
    process, so without the sensor the queue stood still for ever."""
    days = ["2025-02-03", "2025-02-04"]
    for day in days:
        loop.stalled[day] = threading.Event()
    commands = [
        subprocess.Popen(
            [COMMAND, "backup", "--date", day],
            cwd=loop.folder, env=loop.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for day in days
    ]  # fmt: skip
    try:
        loop.until("both fetches", lambda: all(map(loop.was_asked_for, days)))
    finally:
        for command in commands:
            command.kill()
            command.wait()
    for day in days:
        loop.stalled.pop(day).set()
    assert [run["status"] for day in days for run in loop.runs_of(day)] == ["STARTED", "STARTED"]
    again = [loop.launch(day) for day in days]
    loop.until("the next runs", lambda: all(loop.status(run_id) == "SUCCESS" for run_id in again))
    for day in days:
        assert loop.materialized(day) == 5
        assert sorted(run["status"] for run in loop.runs_of(day)) == ["FAILURE", "SUCCESS"]
        alert = f"ALERT daily_backup {day}: this run was killed"
        loop.until("the alert", lambda alert=alert: alert in loop.log())  # type: ignore[misc]
