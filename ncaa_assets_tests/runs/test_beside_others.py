"""Our code location beside another team's, in one instance, with a real daemon and real workers.

The other one has a job with our job's name that fails, runs with odd tags, and assets that read ours.
"""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ncaa_assets.runs.instance import open_instance
from ncaa_assets.settings import Settings
from ncaa_assets_tests.days import DAY, KEY, back_up, settings_for
from ncaa_assets_tests.loopback.http_server import Reply, scripted_server
from ncaa_assets_tests.loopback.listing import API_PATH, record, serve_listing
from ncaa_assets_tests.loopback.running_ui import ask, free_port, launch, runs, until_it_answers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

WORKSPACE = """
load_from:
  - python_module: {module_name: ncaa_assets.definitions, location_name: ncaa_assets}
  - python_file: {relative_path: theirs.py, location_name: theirs}
"""
THEIRS = textwrap.dedent("""
    import dagster as dg
    from ncaa_assets.definitions import GAME_DAYS, build_reader_defs
    from ncaa_assets.library import HighlightsDay, Settings

    BEFORE = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)

    @dg.asset(partitions_def=GAME_DAYS, ins={"before": dg.AssetIn("highlights", partition_mapping=BEFORE)})
    def day_before(context, before: HighlightsDay) -> str:
        context.add_output_metadata({"read": before.date})
        return before.date

    @dg.asset
    def every_day(context, highlights: dict[str, HighlightsDay]) -> list[str]:
        context.add_output_metadata({"read": ",".join(highlights)})
        return [*highlights]

    @dg.op
    def fail():
        raise ValueError("theirs is broken")

    @dg.job
    def daily_backup():
        fail()

    defs = dg.Definitions.merge(
        build_reader_defs(Settings.from_environment()),
        dg.Definitions(assets=[day_before, every_day], jobs=[daily_backup]),
    )
""")
ODD = {"dagster/partition": "a|b", "ncaa_assets/alerts": "x" * 5000, "note": "\\x1b[31m\\u0000" * 50}
_LAUNCH = """mutation ($params: ExecutionParams!) { launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""


class World:
    """The UI's address and what the daemon and the workers logged."""

    def __init__(self, base: str, log: Path, home: Path) -> None:
        self.base, self._log, self.home = base, log, home

    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def until(self, what: str, there: Callable[[], object], seconds: float = 150) -> None:
        deadline = time.monotonic() + seconds
        while not there():
            assert time.monotonic() < deadline, f"{what} never came about\n{self.log()[-4000:]}"
            time.sleep(0.3)

    def launch(self, job: str, tags: dict[str, str], *assets: str) -> str:
        """Launches a run of the other location; returns its id."""
        selector: dict[str, Any] = {
            "repositoryLocationName": "theirs", "repositoryName": "__repository__", "jobName": job,
        }  # fmt: skip
        if assets:
            selector["assetSelection"] = [{"path": [name]} for name in assets]
        params = {
            "selector": selector,
            "runConfigData": {},
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
        }
        answer = ask(self.base, _LAUNCH, params=params)["launchRun"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])

    def ended(self, run_id: str, status: str) -> None:
        self.until(f"{status} of {run_id}", lambda: runs(self.base)[run_id]["status"] == status)

    def read(self, asset: str) -> object:
        """What an asset of theirs said that it had read."""
        with open_instance(self.home) as instance:
            event = instance.get_latest_materialization_event(dg.AssetKey(asset))
        assert event is not None
        assert event.asset_materialization is not None
        return event.asset_materialization.metadata["read"].value


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("beside")
    with scripted_server() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(folder / "home"))
        patch.setenv("RAPIDAPI_KEY", KEY)
        url = serve_listing(server, lambda: [record(int(server.asked[-1].query["date"][-1]), None)])
        settings = settings_for(url, data_dir=folder / "data")
        for day in ("2025-03-08", DAY):
            back_up(settings, day)
        server.on(API_PATH, Reply(status=403))
        with open_instance(folder / "home"):
            pass
        (folder / "workspace.yaml").write_text(WORKSPACE)
        (folder / "theirs.py").write_text(THEIRS)
        ours = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
        environment = ours | {"DATA_DIR": str(folder / "data"), "API_URL": url, "RAPIDAPI_KEY": KEY}
        port = free_port()
        program = Path(sys.executable).with_name("dagster")
        with (folder / "dev.log").open("wb") as log:
            process = subprocess.Popen(
                [program, "dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)],
                cwd=folder, env=environment, stdout=log, stderr=log,
            )  # fmt: skip
        base = f"http://127.0.0.1:{port}"
        try:
            until_it_answers(base, process, folder / "dev.log")
            yield World(base, folder / "dev.log", folder / "home")
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def test_our_failures_are_reported_and_theirs_are_not_whatever_their_tags_hold(world: World) -> None:
    world.until("the sensor's first tick", lambda: "failure_sensor skipped: 0 alerts sent" in world.log())
    theirs = [
        world.launch("daily_backup", {"dagster/partition": DAY}),
        world.launch("daily_backup", ODD),
        world.launch("daily_backup", {"dagster/partition": "9" * 20_000}),
    ]
    for run_id in theirs:
        world.ended(run_id, "FAILURE")
    ours = launch(world.base, "2025-03-07")
    world.ended(ours, "FAILURE")
    world.until("our alert", lambda: f"/runs/{ours})" in world.log())
    assert world.log().count(f"/runs/{ours})") == 1
    assert not any(f"/runs/{run_id})" in world.log() for run_id in theirs)
    assert "Traceback" not in "".join(line for line in world.log().splitlines() if "SensorDaemon" in line)


def test_their_assets_read_the_days_that_they_mean(world: World) -> None:
    world.ended(world.launch("__ASSET_JOB", {"dagster/partition": DAY}, "day_before"), "SUCCESS")
    assert world.read("day_before") == "2025-03-08"
    world.ended(world.launch("__ASSET_JOB", {}, "every_day"), "SUCCESS")
    assert world.read("every_day") == f"2025-03-08,{DAY}"
