"""The real UI on a sample day, and Chromium to look at it: for the test of the UI and for the README's pictures."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ncaa_assets_tests.days import COMMAND

CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
NO_CHROMIUM = "there is no Chromium on PATH; on Debian: apt-get install chromium"


def chromium() -> str | None:
    """The path of the machine's Chromium, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


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
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
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


def ask(base: str, query: str, **variables: Any) -> Any:
    """What the UI's GraphQL API answers to a query."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{base}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        found = json.load(answer)
    assert "errors" not in found, found
    return found["data"]


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
