"""The processes that `ncaa-assets ui` runs beside its web server: Dagster's code server, which starts the runs, and
Dagster's daemon. They are started, watched, and ended with everything that they started.

Each has a session of its own, so a Ctrl-C in the terminal reaches this process alone, and it ends them in order. On
Linux the kernel kills both when this process is killed; runs under way go on to their end then. On macOS both go on as
well.
"""

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

from ncaa_assets.child import bounded
from ncaa_assets.failures import UiEnded

# It holds no `.env`. Dagster's commands would take one in the working directory for more than this environment.
_FOLDER = Path(__file__).parents[1] / "instance"
WORKSPACE = _FOLDER / "workspace.yaml"
_SOCKET = "NCAA_CODE_SERVER"  # the variable in it
_MODULE = "ncaa_assets.definitions"
_DAEMON = "ncaa_assets.runs.daemon"
_STARTS_WITHIN = 180  # seconds: Dagster's own bound for a code server
_ENDS_WITHIN = 30  # seconds for a run to put away what it is at
_LOOK_EVERY = 0.05


class Services:
    """The code server and the daemon, each with this process's environment. A context manager that ends them when it is
    left. `WORKSPACE` says to them and to this process where the code server is."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ncaa-assets-", ignore_cleanup_errors=True)
        self._socket = os.environ[_SOCKET] = str(Path(self._folder.name) / "code")
        self._started: list[_Service] = []

    def start_code_server(self) -> None:
        self._start(
            "code server", "dagster", "api", "grpc", "--socket", self._socket, "-m", _MODULE, "--log-level", "warning"
        )

    def await_code_server(self) -> None:
        """Returns once it can be asked.

        Raises:
            UiEnded: it ended instead, or took too long.
        """
        deadline = time.monotonic() + _STARTS_WITHIN
        while True:
            with socket.socket(socket.AF_UNIX) as asking, suppress(OSError):
                asking.connect(self._socket)
                return
            self.check()
            if time.monotonic() > deadline:
                raise UiEnded(f"Dagster's code server did not start within {_STARTS_WITHIN} s; try it again")
            time.sleep(_LOOK_EVERY)

    def start_daemon(self) -> None:
        python = Path(sys.executable).name
        self._start("daemon", python, "-m", _DAEMON, "run", "-w", str(WORKSPACE), "--log-level", "warning")

    def has_ended(self) -> bool:
        """Whether one of them has ended by itself."""
        return any(service.status is not None for service in self._started)

    def check(self) -> None:
        """Raises:
        UiEnded: one of them has ended by itself.
        """
        for service in self._started:
            if service.status is not None:
                raise UiEnded(
                    f"Dagster's {service.name} {service.how_it_ended}, so the UI ends too; what it said last stands "
                    "above. Start it again with `ncaa-assets ui`"
                )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            for service in reversed(self._started):
                service.end()
        finally:
            for service in self._started:
                service.kill()
            self._folder.cleanup()

    def _start(self, name: str, program: str, *arguments: str) -> None:
        self._started.append(_Service(name, [str(Path(sys.executable).with_name(program)), *arguments]))


class _Service:
    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        with open(os.devnull, "wb") as report:  # noqa: PTH123 - its status tells too that it could not be run
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter's neighbours, fixed arguments
                bounded(command, bounds=None, report=report.fileno()),
                cwd=_FOLDER,
                stdin=subprocess.DEVNULL,
                pass_fds=(report.fileno(),),
                start_new_session=True,
            )

    @property
    def status(self) -> int | None:
        """Its exit status, or the negative number of the signal that ended it; None while it runs."""
        return self._process.poll()

    @property
    def how_it_ended(self) -> str:
        status = self.status or 0
        return f"was killed by signal {-status}" if status < 0 else f"ended by itself with status {status}"

    def end(self) -> None:
        """Ends it and whatever it started, with a SIGINT, and a SIGKILL for what has not ended in time."""
        self._signal(signal.SIGINT)
        deadline = time.monotonic() + _ENDS_WITHIN
        while self._is_there() and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY)
        self.kill()

    def kill(self) -> None:
        if self._is_there():
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _is_there(self) -> bool:
        """Whether a process of its group is left."""
        self._process.poll()  # reaps it, or it would count
        return self._signal(0)

    def _signal(self, number: int) -> bool:
        with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group without a process
            os.killpg(self._process.pid, number)
            return True
        return False
