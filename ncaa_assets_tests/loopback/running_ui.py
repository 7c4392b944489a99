"""The real UI as a process: opening it on days of the sample, doing through its GraphQL API what a person does in it,
and the Chromium that looks at it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ncaa_assets.runs.execute import LOCATION
from ncaa_assets.runs.names import JOB_NAME, PARTITION_TAG
from ncaa_assets_tests.loopback.lacking import Lacking

COMMAND = str(Path(sys.executable).with_name("ncaa-assets"))
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
REPOSITORY = {"repositoryLocationName": LOCATION, "repositoryName": "__repository__"}
_LAUNCH = """mutation ($params: ExecutionParams!) { launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
_BACKFILL = """mutation ($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
_RUN_AGAIN = """mutation ($params: ReexecutionParams!) { launchRunReexecution(reexecutionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
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
    """Backs up days of the sample in `folder` and opens UI and daemon on them. `days` are arguments of `ncaa-assets
    backup`. Gives the UI's address."""
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
    """UI and daemon as `ncaa-assets ui` opens them in `folder`, with their output in `ui.log`. Gives the address."""
    process, base = start_ui(folder, environment)
    with ended(process):
        until_it_answers(base, process, folder / "ui.log")
        yield base


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Ends a process afterwards as Ctrl-C does, and kills it where that takes longer than a minute."""
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def start_ui(folder: Path, environment: dict[str, str], *options: str) -> tuple[subprocess.Popen[bytes], str]:
    """The process of `ncaa-assets ui` in `folder`, with its output in `ui.log`, and the address that will answer."""
    port = free_port()
    with (folder / "ui.log").open("wb") as log:
        process = subprocess.Popen(
            [COMMAND, "ui", "--port", str(port), *options], cwd=folder, env=environment, stdout=log, stderr=log
        )
    return process, f"http://127.0.0.1:{port}"


def free_port() -> int:
    """A loopback port that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def listens(port: int) -> bool:
    """Whether something on loopback takes connections at the port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def ask(base: str, query: str, **variables: Any) -> Any:
    """The data that the UI's GraphQL API answers a query with."""
    asked = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{base}/graphql", asked, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        body = json.load(answer)
    assert "errors" not in body, body
    return body["data"]


def launch(
    base: str,
    day: str | None,
    *,
    location: str = LOCATION,
    job: str = JOB_NAME,
    assets: Sequence[str] = (),
    tags: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Materializes a day's partition by the daily job, or whatever else is named; returns the run's id."""
    every = {**tags} if day is None else {PARTITION_TAG: day, **tags}
    selection = {"assetSelection": [{"path": name.split("/")} for name in assets]} if assets else {}
    params = {
        "selector": {**REPOSITORY, "repositoryLocationName": location, "jobName": job, **selection},
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


def run_again(base: str, run_id: str) -> str:
    """Re-executes all of a run; returns the new run's id."""
    params = {"parentRunId": run_id, "strategy": "ALL_STEPS"}
    answer = ask(base, _RUN_AGAIN, params=params)["launchRunReexecution"]
    assert answer["__typename"] == "LaunchRunSuccess", answer
    return str(answer["run"]["runId"])


def runs(base: str) -> dict[str, dict[str, Any]]:
    """Each run's status and tags by its id, the newest first."""
    every = ask(base, _RUNS)["runsOrError"]["results"]
    return {
        run["runId"]: {"status": run["status"]} | {tag["key"]: tag["value"] for tag in run["tags"]} for run in every
    }


def until_it_answers(base: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Waits until the UI serves its first answer."""
    deadline = time.monotonic() + 150
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        try:
            urllib.request.urlopen(f"{base}/server_info", timeout=2).close()
            return
        except OSError:
            time.sleep(0.3)
