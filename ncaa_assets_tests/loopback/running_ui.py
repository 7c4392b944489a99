"""The real UI on a sample day, what a person does in it as its GraphQL API is told of it, and Chromium to look at it:
for the tests, the rehearsal, and the README's pictures."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ncaa_assets.runs.execute import LOCATION
from ncaa_assets_tests.loopback.lacking import Lacking

COMMAND = str(Path(sys.executable).with_name("ncaa-assets"))
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
REPOSITORY = {"repositoryLocationName": LOCATION, "repositoryName": "__repository__"}
_LAUNCH = """mutation ($params: ExecutionParams!) { launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
_BACKFILL = """mutation ($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
_RUNS = "{ runsOrError { ... on Runs { results { runId status tags { key value } } } } }"


def chromium() -> str:
    """The path of the machine's Chromium.

    Raises:
        Lacking: there is none.
    """
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    raise Lacking("there is no Chromium on PATH; on Debian: apt-get install chromium")


@contextmanager
def ui_with_a_sample(folder: Path, *days: str, **settings: str) -> Iterator[str]:
    """Backs up days of the sample in `folder`, named as for `ncaa-assets backup`, opens the UI and daemon on them as
    processes, and gives its address."""
    environment = {name: value for name, value in os.environ.items() if name not in ("RAPIDAPI_KEY", "DAGSTER_HOME")}
    environment |= settings
    done = subprocess.run(
        [COMMAND, "backup", *days], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with running_ui(folder, environment) as base:
        yield base


@contextmanager
def running_ui(folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """The UI and daemon that `ncaa-assets ui` opens in `folder`, as processes; gives the address. What they say is in
    `ui.log`."""
    port = free_port()
    with (folder / "ui.log").open("wb") as log:
        process = subprocess.Popen(
            [COMMAND, "ui", "--port", str(port)], cwd=folder, env=environment, stdout=log, stderr=log
        )
        try:
            base = f"http://127.0.0.1:{port}"
            _until_it_answers(base, process, folder / "ui.log")
            yield base
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def ask(base: str, query: str, **variables: Any) -> Any:
    """What the UI's GraphQL API answers to a query."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{base}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        found = json.load(answer)
    assert "errors" not in found, found
    return found["data"]


def launch(base: str, day: str, **tags: str) -> str:
    """Materializes a day's partition; returns the run's id."""
    every = {"dagster/partition": day, **tags}
    params = {
        "selector": {**REPOSITORY, "jobName": "daily_backup"},
        "runConfigData": {},
        "executionMetadata": {"tags": [{"key": name, "value": value} for name, value in every.items()]},
    }
    answer = ask(base, _LAUNCH, params=params)["launchRun"]
    assert answer["__typename"] == "LaunchRunSuccess", answer
    return str(answer["run"]["runId"])


def backfill(base: str, days: list[str]) -> str:
    """Launches a backfill of the daily job; returns its id."""
    selector = {"partitionSetName": "daily_backup_partition_set", "repositorySelector": REPOSITORY}
    answer = ask(base, _BACKFILL, params={"selector": selector, "partitionNames": days})["launchPartitionBackfill"]
    assert answer["__typename"] == "LaunchBackfillSuccess", answer
    return str(answer["backfillId"])


def runs(base: str) -> dict[str, dict[str, Any]]:
    """Each run's status and tags by its id, the newest first."""
    found = ask(base, _RUNS)["runsOrError"]["results"]
    return {
        run["runId"]: {"status": run["status"]} | {tag["key"]: tag["value"] for tag in run["tags"]} for run in found
    }


def _until_it_answers(base: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 150
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        try:
            urllib.request.urlopen(f"{base}/server_info", timeout=2).close()
            return
        except OSError:
            time.sleep(0.3)
