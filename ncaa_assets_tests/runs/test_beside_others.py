"""A day of our code location beside another team's, in one instance: a real daemon, real code servers and workers, by
a clock that the test moves on (libfaketime).

The other team has the names of our location and of our job, runs with our tags and odd ones that fail or are silent all
day, and assets that read ours: the day before as soon as a day is there, a week, and all days.
"""

import functools
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from ncaa_assets.runs.execute import LOCATION, job_origin
from ncaa_assets.runs.instance import CONFIGURATION, LOCAL_CONFIGURATION, open_instance
from ncaa_assets.runs.names import JOB_NAME, TRIGGER_TAG
from ncaa_assets_tests.commands.test_clocks import LIBRARY
from ncaa_assets_tests.days import KEY, metadata_of, run_day, settings_for
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import record, serve_api
from ncaa_assets_tests.loopback.running_ui import ended, free_port, launch, listens, runs, start_ui, until_it_answers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not there (Debian: apt-get install faketime)"),
]

FAILS, KILLED, DAY_BEFORE, DAY = (f"2025-03-{number:02}" for number in (6, 7, 8, 9))
OURS = """
    from datetime import timedelta
    from ncaa_assets.runs import killed
    killed._SILENT_AFTER = timedelta(seconds=20)  # instead of two minutes; no run of ours is silent for as long here
    from ncaa_assets.definitions import defs
"""
THEIRS = """
    import time
    from pathlib import Path

    import dagster as dg
    from ncaa_assets.definitions import GAME_DAYS, build_reader_defs
    from ncaa_assets.library import HighlightsDay, Row, Settings

    BEFORE = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)
    WEEKS = dg.WeeklyPartitionsDefinition("2024-11-03", timezone="America/New_York")

    @dg.asset(
        partitions_def=GAME_DAYS,
        ins={"before": dg.AssetIn("highlights", partition_mapping=BEFORE), "rows": dg.AssetIn("backup_rows")},
        automation_condition=dg.AutomationCondition.eager(),
    )
    def growth(context, before: HighlightsDay, rows: list[Row]) -> None:
        context.add_output_metadata({"before": before.date, "rows": ",".join(row["id"] for row in rows)})

    @dg.asset(
        partitions_def=WEEKS, ins={"highlights": dg.AssetIn(metadata={"allow_missing_partitions": True})}
    )
    def week(context, highlights: dict[str, HighlightsDay]) -> None:
        context.add_output_metadata({"read": ",".join(highlights)})

    @dg.asset
    def every_day(context, highlights: dict[str, HighlightsDay]) -> None:
        context.add_output_metadata({"read": ",".join(highlights)})

    @dg.op
    def work(context):
        if "silent" not in context.run.tags:
            raise ValueError("theirs is broken")
        while not Path("evening").exists():
            time.sleep(0.2)

    @dg.job
    def daily_backup():
        work()

    defs = dg.Definitions.merge(
        build_reader_defs(Settings.from_environment()),
        dg.Definitions(
            assets=[growth, week, every_day],
            jobs=[daily_backup],
            sensors=[
                dg.AutomationConditionSensorDefinition(
                    "theirs", target="*", default_status=dg.DefaultSensorStatus.RUNNING, minimum_interval_seconds=30
                )
            ],
            executor=dg.in_process_executor,
        ),
    )
"""
# What waits for a moment fails under libfaketime.
SLEEP = """
    import select, time
    time.sleep = lambda seconds: select.select([], [], [], seconds) and None
"""
OURS_IS, THEIRS_IS = "backup", LOCATION  # theirs has the name that ours has as a rule
COPIED = {"ncaa_assets/trigger": "catch-up", "ncaa_assets/alerted": "x" * 5000, "ncaa_assets/archive": "\x1b[31m\u202e"}
ODD_DAYS = ["2025-03-06|a", "9" * 20_000]


class World:
    """The UI's address, the instance, what all processes logged, and the clock that they see."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance) -> None:
        self.folder, self.instance, self.base = folder, instance, ""
        # Dagster's scheduler sleeps until the minute is over, so the clock always stands near its end.
        self._now = datetime(2025, 3, 10, 1, second=56, tzinfo=ZoneInfo("America/New_York"))
        self.move_clock()

    def move_clock(self, hour: int | None = None, minute: int = 0) -> None:
        """To a time of the same day, or by a minute."""
        later = self._now + timedelta(minutes=1)
        self._now = later if hour is None else self._now.replace(hour=hour, minute=minute)
        new = self.folder / "clock.new"
        new.write_text(f"{(self._now - datetime.now(UTC)).total_seconds():.0f}\n")
        new.replace(self.folder / "clock")

    def until(self, what: str, there: Callable[[], object], seconds: float = 150) -> None:
        """Waits for something by a clock that goes sixty times as fast, so that sensors tick every few seconds."""
        deadline = time.monotonic() + seconds
        while not there():
            assert time.monotonic() < deadline, f"{what} never came about\n{self.log()[-6000:]}"
            time.sleep(1)
            self.move_clock()

    def log(self) -> str:
        return "\n".join(path.read_text("utf-8", "replace") for path in self.folder.glob("*.log"))

    def alerts(self) -> list[str]:
        """The runs that were reported."""
        lines = (line for line in self.log().splitlines() if "ALERT " in line)
        return sorted(line.rpartition("/runs/")[2].rstrip(")") for line in lines)

    def ticks(self, more: int) -> None:
        """Waits until our sensor has ticked so often."""
        said = "failure_sensor skipped: "
        before = self.log().count(said)
        self.until(f"{more} more ticks", lambda: self.log().count(said) >= before + more)

    def launch(self, job: str, day: str | None, *assets: str, tags: Mapping[str, str] = MappingProxyType({})) -> str:
        """Launches a run of theirs; returns its id."""
        return launch(self.base, day, location=THEIRS_IS, job=job, assets=assets, tags=tags)

    def kill(self, day: str) -> None:
        """Kills the process of the run that holds a day, once it holds it."""
        lease = self.folder / "data" / ".leases" / f"{day}.json"
        self.until(f"the lease of {day}", lease.exists)
        os.kill(json.loads(lease.read_text())["pid"], signal.SIGKILL)

    def lose_a_run(self) -> str:
        """Records a run of a command that began and has no process, nor ever held its day; returns its id."""
        tags = {"dagster/partition": "2025-03-05", TRIGGER_TAG: "backup"}
        run = dg.DagsterRun(JOB_NAME, run_id=str(uuid4()), tags=tags, remote_job_origin=job_origin())
        self.instance.add_run(run)
        began = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, JOB_NAME)
        self.instance.report_dagster_event(began, run.run_id)
        return run.run_id

    def has_ended(self, status: str, *run_ids: str) -> None:
        self.until(f"{status} of {run_ids}", lambda: {self.status(run_id) for run_id in run_ids} == {status})

    def status(self, run_id: str) -> str:
        return str(runs(self.base)[run_id]["status"])

    def read(self, asset: str) -> dict[str, Any]:
        """What the latest run of an asset of theirs said that it had read; nothing before the first."""
        is_there = self.instance.get_latest_materialization_event(dg.AssetKey(asset)) is not None
        return metadata_of(self.instance, asset) if is_there else {}


@pytest.fixture
def world(tmp_path: Path, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    ended_at_last = threading.Event()

    def listed(day: str) -> list[Any] | Reply:
        if day == FAILS:
            return Reply(status=403)
        if day == KILLED:
            ended_at_last.wait(120)
        return [record(int(day[-2:]), None)]

    api = serve_api(server, quota_left=None)
    api.highlights["basketball"] = listed
    monkeypatch.setenv("RAPIDAPI_KEY", KEY)
    home = tmp_path / "home"
    home.mkdir()
    limit = "max_concurrent_runs: "
    (home / CONFIGURATION).write_text(LOCAL_CONFIGURATION.read_text().replace(f"{limit}2", f"{limit}6"))
    assert run_day(settings_for(api.url("basketball"), data_dir=tmp_path / "data"), home, DAY_BEFORE).is_whole
    site = tmp_path / "site"
    site.mkdir()
    for name, text in {"ours.py": OURS, "theirs.py": THEIRS, "site/sitecustomize.py": SLEEP}.items():
        (tmp_path / name).write_text(textwrap.dedent(text))
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home), "DATA_DIR": str(tmp_path / "data"), "API_URL": api.url("basketball"),
        "MATCHES": "0", "RETRY_DELAY": "0", "LOOKBACK_DAYS": "1", "PYTHONPATH": str(site),
        "LD_PRELOAD": str(LIBRARY), "FAKETIME_TIMESTAMP_FILE": str(tmp_path / "clock"),
        "FAKETIME_CACHE_DURATION": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip
    places = {OURS_IS: ("ours.py", free_port()), THEIRS_IS: ("theirs.py", free_port())}
    workspace = [
        {"grpc_server": {"host": "127.0.0.1", "port": port, "location_name": name}}
        for name, (_, port) in places.items()
    ]
    (tmp_path / "workspace.yaml").write_text(json.dumps({"load_from": workspace}))

    def start(name: str, *command: str) -> subprocess.Popen[bytes]:
        with (tmp_path / f"{name}.log").open("wb") as log:
            return subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)

    with ExitStack() as stack:
        world = World(tmp_path, stack.enter_context(open_instance(home)))
        stack.callback(ended_at_last.set)
        program = str(Path(sys.executable).with_name("dagster"))
        for name, (file, port) in places.items():
            code = ("api", "grpc", "-h", "127.0.0.1", "-p", str(port), "-f", file, "--log-level", "warning")
            stack.enter_context(ended(start(name, program, *code)))
        for name, (_, port) in places.items():
            world.until(f"the code server {name}", functools.partial(listens, port))
        daemon = (sys.executable, "-m", "ncaa_assets.runs.daemon", "run", "-w", "workspace.yaml")
        stack.enter_context(ended(start("daemon", *daemon)))
        process, world.base = start_ui(tmp_path, environment, "--only-web", "workspace.yaml")
        stack.enter_context(ended(process))
        until_it_answers(world.base, process, tmp_path / "ui.log")
        yield world


def test_a_day_beside_another_team(world: World) -> None:
    world.ticks(1)

    # In the night, theirs fail and are silent, whatever their tags hold.
    silent = world.launch(JOB_NAME, DAY, tags={TRIGGER_TAG: "backup", "silent": "all day"})
    theirs = [world.launch(JOB_NAME, day, tags=COPIED) for day in ODD_DAYS]
    # So do ours: the API refuses one, the process of one is killed, and a command's was lost with its machine.
    refused, killed = (launch(world.base, day, location=OURS_IS) for day in (FAILS, KILLED))
    lost = world.lose_a_run()
    world.has_ended("FAILURE", *theirs, refused)
    world.kill(KILLED)
    world.has_ended("FAILURE", killed, lost)
    world.until("our alerts", lambda: len(world.alerts()) >= 3)

    # At six, ours is backed up, and theirs reads it.
    world.move_clock(hour=5, minute=58)
    world.until("their reader", lambda: world.read("growth") == {"before": DAY_BEFORE, "rows": "9"})
    reading = world.launch("__ASSET_JOB", "2025-03-02", "week", "every_day")
    world.has_ended("SUCCESS", reading)
    assert world.read("week")["read"] == DAY_BEFORE
    assert world.read("every_day")["read"] == f"{DAY_BEFORE},{DAY}"

    # In the evening theirs is silent still, and nobody has touched it. It ends well.
    world.move_clock(hour=21)
    world.ticks(2)
    assert world.status(silent) == "STARTED"
    (world.folder / "evening").touch()
    world.has_ended("SUCCESS", silent)
    assert world.alerts() == sorted([refused, killed, lost]), "each once, and of theirs none"
    assert "Traceback" not in "".join(line for line in world.log().splitlines() if "SensorDaemon" in line)
    assert "cannot tell whether" not in world.log()
