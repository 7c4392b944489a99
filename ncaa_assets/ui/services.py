"""The processes that `ncaa-assets ui` runs beside its web server: Dagster's code server, which starts the runs, and
Dagster's daemon. They are started, watched, and ended with everything that they started.

Each has a session of its own, so a Ctrl-C in the terminal reaches this process alone, and it ends them in order. On
Linux the kernel kills both when this process is killed; runs under way go on to their end then. On macOS both go on as
well.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import dagster as dg

from ncaa_assets import advice
from ncaa_assets.child import bounded
from ncaa_assets.failures import UiEnded, one_line
from ncaa_assets.runs.dagster_private import GRPC_INFO_TAG

log = logging.getLogger(__name__)

# It holds no `.env`. Dagster's commands would take one in the working directory for more than this environment.
_FOLDER = Path(__file__).parents[1] / "instance"
WORKSPACE = _FOLDER / "workspace.yaml"
_SOCKET = "NCAA_CODE_SERVER"  # the variable in it
_MODULE = "ncaa_assets.definitions"
_DAEMON = "ncaa_assets.runs.daemon"
_STARTS_WITHIN = 180  # seconds: Dagster's own bound for a code server
_ENDS_WITHIN = 30  # seconds for a run to put away what it is at, and for a process to end
_LOOK_EVERY = 0.05


class Services:
    """The code server and the daemon, each with this process's environment. A context manager that starts the code
    server when it is entered, and ends both when it is left. `WORKSPACE` says where the code server is."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._folder = tempfile.TemporaryDirectory(prefix="ncaa-assets-", ignore_cleanup_errors=True)
        self._socket = os.environ[_SOCKET] = str(Path(self._folder.name) / "code")
        self._code_server = _Service(
            "code server", "dagster", "api", "grpc", "--socket", self._socket, "-m", _MODULE, "--log-level", "warning"
        )
        python = Path(sys.executable).name
        self._daemon = _Service("daemon", python, "-m", _DAEMON, "run", "-w", str(WORKSPACE), "--log-level", "warning")

    def start_daemon(self) -> None:
        """Waits until the code server can be asked, and starts the daemon.

        Raises:
            UiEnded: the code server ended instead, or took too long.
        """
        deadline = time.monotonic() + _STARTS_WITHIN
        while not self._code_server.works:
            with socket.socket(socket.AF_UNIX) as asking, suppress(OSError):
                asking.connect(self._socket)
                self._code_server.works = True
            self.check()
            if time.monotonic() > deadline:
                raise UiEnded(f"Dagster's code server did not start within {_STARTS_WITHIN} s; try it again")
            time.sleep(_LOOK_EVERY)
        self._daemon.start()
        self._daemon.works = True

    def have_ended(self) -> bool:
        """Whether one of them has ended by itself."""
        return any(service.status is not None for service in (self._code_server, self._daemon))

    def check(self) -> None:
        """Looks whether both are there.

        Raises:
            UiEnded: one of them has ended by itself.
        """
        for service in (self._code_server, self._daemon):
            if service.status is not None:
                raise UiEnded(
                    f"Dagster's {service.name} {service.how_it_ended}, so the UI ends too; what it said last stands "
                    f"above. Start it again with `{advice.command('ui')}`"
                )

    def __enter__(self) -> Self:
        self._code_server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._daemon.end()  # it starts no more runs then
            if self._code_server.works and self._code_server.status is None:
                self._cancel_runs()
            self._code_server.end()
        finally:  # a second Ctrl-C
            self._daemon.kill()
            self._code_server.kill()
            self._folder.cleanup()

    def _cancel_runs(self) -> None:
        """Cancels the runs of this code server, as a person does in the UI, and waits for their end. A run that a
        signal ends would count as failed."""
        deadline = time.monotonic() + _ENDS_WITHIN
        under_way = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED])
        try:
            runs = [
                run for run in self._instance.get_runs(under_way) if self._socket in run.tags.get(GRPC_INFO_TAG, "")
            ]
            for run in runs:
                self._instance.run_launcher.terminate(run.run_id)
            while time.monotonic() < deadline and any(not self._has_ended(run.run_id) for run in runs):
                time.sleep(_LOOK_EVERY)
        except Exception as error:  # noqa: BLE001 - whatever Dagster's storage or its code server may raise
            log.warning("the runs under way could not be cancelled (%s) and are ended as they are", one_line(error))

    def _has_ended(self, run_id: str) -> bool:
        run = self._instance.get_run_by_id(run_id)
        return run is None or run.is_finished


class _Service:
    """One of them. Until it `works`, there is nothing that it would have to put away."""

    def __init__(self, name: str, program: str, *arguments: str) -> None:
        self.name = name
        self.works = False
        self._command = [str(Path(sys.executable).with_name(program)), *arguments]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with open(os.devnull, "wb") as report:  # noqa: PTH123 - its status tells too that it could not be run
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter's neighbours, fixed arguments
                bounded(self._command, bounds=None, report=report.fileno()),
                cwd=_FOLDER,
                stdin=subprocess.DEVNULL,
                pass_fds=(report.fileno(),),
                start_new_session=True,
            )

    @property
    def status(self) -> int | None:
        """Its exit status, or the negative number of the signal that ended it; None before it starts and while it
        runs."""
        return None if self._process is None else self._process.poll()

    @property
    def how_it_ended(self) -> str:
        status = self.status or 0
        return f"was killed by signal {-status}" if status < 0 else f"ended by itself with status {status}"

    def end(self) -> None:
        """Ends it and whatever it started, with a SIGTERM, and a SIGKILL for what has not ended in time."""
        if self.works:
            self._signal(signal.SIGTERM)
            deadline = time.monotonic() + _ENDS_WITHIN
            while self._is_there() and time.monotonic() < deadline:
                time.sleep(_LOOK_EVERY)
        self.kill()

    def kill(self) -> None:
        if self._process is not None and self._is_there():
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _is_there(self) -> bool:
        """Whether a process of its group is left."""
        if self.status is None:  # asking reaps it, or it would count
            return self._process is not None
        return self._signal(0)

    def _signal(self, number: int) -> bool:
        if self._process is None:
            return False
        with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group without a process
            os.killpg(self._process.pid, number)
            return True
        return False
