"""The processes of `ncaa-assets ui`: what they are started with, and that they all end, however the first one does."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ncaa_assets.runs.instance import open_instance
from ncaa_assets_tests.days import KEY
from ncaa_assets_tests.loopback.http_server import Handler, Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import API_PATH
from ncaa_assets_tests.loopback.running_ui import ask, free_port, launch, listens, start_ui, until_it_answers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="/proc tells which processes there are"),
]

DAY = "2025-03-08"


class Ui:
    """A UI in `folder`, whose runs wait for the API's answer until `go` is set."""

    def __init__(self, folder: Path, server: ScriptedServer, environment: dict[str, str]) -> None:
        self.folder, self.server, self.go = folder, server, threading.Event()
        self.home = folder / "home"
        api = server.on(API_PATH, self._answer)
        self.environment = {"DAGSTER_HOME": str(self.home), "API_URL": api, "RAPIDAPI_KEY": KEY, **environment}
        self.process, self.base = start_ui(folder, {**os.environ, **self.environment})

    def _answer(self, handler: Handler) -> None:
        self.go.wait(120)
        with suppress(OSError):
            Reply(b'{"data": [], "pagination": {"totalCount": 0}}').send(handler)

    def ready(self) -> "Ui":
        until_it_answers(self.base, self.process, self.folder / "ui.log")
        until("the daemon", lambda: len(self.others("runs.daemon")) == 1)
        return self

    def running(self) -> str:
        """Launches a run and waits until it is at work; returns its id."""
        run_id = launch(self.base, DAY)
        until("the run's request", lambda: self.server.times(API_PATH) > 0)
        return run_id

    def others(self, name: str = "") -> list[int]:
        """The processes of this UI besides the first: those that have its home in their environment."""
        found = []
        for folder in Path("/proc").iterdir():
            with suppress(OSError):
                if (
                    folder.name.isdecimal()
                    and f"DAGSTER_HOME={self.home}\0".encode() in (folder / "environ").read_bytes()
                    and name.encode() in (folder / "cmdline").read_bytes()
                ):
                    found.append(int(folder.name))
        return [pid for pid in found if pid != self.process.pid]

    def ended(self, within: float = 45) -> int:
        """Waits for the end of the first process and of all others; returns its exit code."""
        code = self.process.wait(within)
        until("the end of all processes", lambda: not self.others(), 10)
        return code

    @property
    def log(self) -> str:
        return (self.folder / "ui.log").read_text()

    def run(self, run_id: str) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DAGSTER_HOME", str(self.home))
            with open_instance(self.home) as instance:
                run = instance.get_run_by_id(run_id)
                assert run is not None
                return run.status.value


def until(what: str, there: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < deadline, f"{what} never came about"
        time.sleep(0.05)


@pytest.fixture
def start(tmp_path: Path, server: ScriptedServer) -> Iterator[Callable[..., Ui]]:
    started: list[Ui] = []

    def ui(**environment: str) -> Ui:
        started.append(Ui(tmp_path, server, environment))
        return started[-1]

    yield ui
    for one in started:
        one.go.set()
        for pid in [*one.others(), *([one.process.pid] if one.process.poll() is None else [])]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        one.process.wait()


def test_a_person_sees_one_line_with_the_address(start: Callable[..., Ui]) -> None:
    ui = start().ready()
    assert ask(ui.base, "{ version }")
    ui.process.send_signal(signal.SIGINT)
    assert ui.ended() == 0
    assert ui.log == f"The Dagster UI opens on {ui.base.replace('127.0.0.1', 'localhost')} (Ctrl-C ends it)\n"


@pytest.mark.parametrize(("number", "at_start"), [("SIGINT", signal.SIG_DFL), ("SIGTERM", signal.SIG_IGN)])
def test_ctrl_c_ends_every_process_and_the_run_under_way(
    start: Callable[..., Ui], number: str, at_start: signal.Handlers
) -> None:
    """A script starts `ncaa-assets ui &` with SIGINT ignored, and Dagster does to SIGTERM what is done to SIGINT."""
    before = signal.signal(signal.SIGINT, at_start)
    try:
        ui = start()
    finally:
        signal.signal(signal.SIGINT, before)
    run_id = ui.ready().running()
    assert list((ui.folder / "data" / ".leases").iterdir())
    ui.process.send_signal(signal.Signals[number])
    assert ui.ended() == 0, ui.log
    assert ui.run(run_id) == "CANCELED"
    assert list((ui.folder / "data" / ".leases").iterdir()) == [], "the day is free at once"


def test_a_service_manager_that_signals_every_process_at_once_sees_a_clean_end(start: Callable[..., Ui]) -> None:
    ui = start().ready()
    for pid in [*ui.others(), ui.process.pid]:
        os.kill(pid, signal.SIGTERM)
    assert ui.ended() == 0, ui.log
    assert "by itself" not in ui.log


def test_ctrl_c_while_it_starts_ends_it_without_a_traceback(start: Callable[..., Ui]) -> None:
    ui = start()
    until("the code server", lambda: ui.others("grpc"))
    ui.process.send_signal(signal.SIGINT)
    assert ui.ended() == 0
    assert "Traceback" not in ui.log


def test_killed_with_sigkill_it_leaves_no_process_behind(start: Callable[..., Ui]) -> None:
    ui = start().ready()
    assert len(ui.others()) == 2
    ui.process.kill()
    assert ui.ended(10) == -signal.SIGKILL


def test_killed_with_sigkill_it_lets_the_run_under_way_come_to_its_end(start: Callable[..., Ui]) -> None:
    ui = start().ready()
    run_id = ui.running()
    ui.process.kill()
    ui.go.set()
    assert ui.ended(10) == -signal.SIGKILL
    assert ui.run(run_id) == "SUCCESS"


@pytest.mark.parametrize(("which", "name"), [("runs.daemon", "daemon"), ("grpc", "code server")])
def test_when_a_process_ends_by_itself_all_end_and_a_sentence_says_which(
    start: Callable[..., Ui], which: str, name: str
) -> None:
    ui = start().ready()
    (pid,) = ui.others(which)
    os.kill(pid, signal.SIGKILL)
    assert ui.ended() == 1
    assert f"ncaa-assets: Dagster's {name} was killed by signal 9, so the UI ends too" in ui.log


def test_a_code_server_that_cannot_start_ends_it_with_a_sentence(start: Callable[..., Ui], tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)  # a socket's path has at most 107 bytes
    folder.mkdir()
    ui = start(TMPDIR=str(folder))
    assert ui.ended() == 1
    assert "ncaa-assets: Dagster's code server ended by itself with status 1" in ui.log
    assert list(folder.iterdir()) == []


def test_a_damaged_instance_is_said_and_nothing_is_left(start: Callable[..., Ui], tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "dagster.yaml").write_text("nonsense: 1\n")
    ui = start()
    assert ui.ended() in (1, 2), ui.log
    assert "is not a valid configuration of Dagster" in ui.log


def test_only_the_env_file_of_the_working_directory_is_read(start: Callable[..., Ui], tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".env").write_text("START_DATE=2025-02-02\nLEAGUE_NAME=Home\n")
    (tmp_path / ".env").write_text("START_DATE=2025-03-01\nDATA_DIR=here\n")
    ui = start(DATA_DIR="there").ready()
    (node,) = ask(ui.base, '{ assetNodes(assetKeys: [{path: ["highlights"]}]) { partitionKeys } }')["assetNodes"]
    assert node["partitionKeys"][0] == "2025-03-01"
    ui.go.set()
    run_id = ui.running()
    until("the run", lambda: ui.run(run_id) == "SUCCESS")
    assert (tmp_path / "here" / "highlights" / f"{DAY}.json").exists()
    assert ui.server.asked[-1].query["leagueName"] == "NCAA"


def test_two_at_once_on_one_home_end_apart(start: Callable[..., Ui], tmp_path: Path) -> None:
    first, second = start().ready(), start()
    until_it_answers(second.base, second.process, second.folder / "ui.log")
    second.process.send_signal(signal.SIGTERM)
    assert second.process.wait(45) == 0
    assert ask(first.base, "{ version }")
    assert first.process.poll() is None


def test_on_ecs_the_web_server_stands_alone_beside_a_code_server(tmp_path: Path, server: ScriptedServer) -> None:
    """The command of the service's container, with what stands in for its neighbours."""
    port = free_port()
    (tmp_path / "workspace.yaml").write_text(
        f"load_from: [{{grpc_server: {{host: 127.0.0.1, port: {port}, location_name: ncaa_assets}}}}]"
    )
    environment = {**os.environ, "DAGSTER_HOME": str(tmp_path / "home"), "RAPIDAPI_KEY": KEY}
    program = str(Path(sys.executable).with_name("dagster"))
    arguments = ["api", "grpc", "-h", "127.0.0.1", "-p", str(port), "-m", "ncaa_assets.definitions"]
    with subprocess.Popen([program, *arguments], cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL) as code:
        try:
            # ECS starts the web server only where the code server is healthy, for it never asks a second time.
            until("the code server", lambda: listens(port))
            process, base = start_ui(tmp_path, environment, "--only-web", "workspace.yaml", "--host", "127.0.0.1")
            try:
                until_it_answers(base, process, tmp_path / "ui.log")
                until("the assets", lambda: len(ask(base, "{ assetNodes { id } }")["assetNodes"]) == 5)
                children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
                assert children == "", "neither a daemon nor a code server of its own"
            finally:
                process.send_signal(signal.SIGTERM)
                assert process.wait(30) == 0
            assert code.poll() is None
        finally:
            code.terminate()
