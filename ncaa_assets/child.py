"""The one way to run a program on strangers' bytes: ffmpeg, yt-dlp, whatever reads a file that the world sent.

Such a program is taken for one that a file may have taken over. So it gets an environment of its own without keys, no
input but what it is given, bounds on time, memory and files, and it never outlives this process. What it leaves behind
when it ends is ended too. Only a process that leaves its session (setsid) escapes; its pipes are let go all the same,
so nobody waits for it.

On macOS two of these are missing: there is no bound on memory (the system refuses it), and a program goes on
after a `kill -9` of this process until it is done or has used up its bound on processor time.
"""

import io
import math
import os
import queue
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from ncaa_assets.text import visible

# Address space for a program that decodes or encodes video: an encode at 1080p takes 1.4 GB of it on two cores (and
# uses 0.5), a large picture some times that, and each further core has stacks and heaps for its threads.
VIDEO_MEMORY = 4 * 1024**3 + (os.cpu_count() or 1) * 256 * 1024**2

# Whether the kernel ends a program when this process is killed, as Linux does.
ENDS_WITH_US = sys.platform == "linux"

_START = str(Path(__file__).with_name("child_start.py"))
_CAPTURED = 64 * 1024  # bytes of stderr that are kept from its start, and as many from its end
_ENDS_WITHIN = 5.0  # seconds; what was killed may hang in the kernel
_DRAINS_WITHIN = 1.0  # seconds in which what is left in the pipes of a killed program is read
_LOOK_EVERY = 0.25  # seconds between two looks at whether a pipe is to be let go
# Without these of ours, a program that can be run here may not start; no other variable is handed on.
_HANDED_ON = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")


@dataclass(frozen=True)
class Bounds:
    """What a program may use at most: seconds until it is ended, bytes of address space (which counts what is reserved,
    some times what is used), bytes of memory that only it can write to (for one that reserves far too much), bytes of
    one file that it writes, and seconds on the processor, which unlike the clock's do not depend on what else the
    machine does. None: no bound."""

    seconds: float
    memory: int | None = None
    data: int | None = None
    file_size: int | None = None
    processor_seconds: int | None = None


@dataclass(frozen=True)
class Ended:
    """How a program ended. `status` is its exit status, or the negative number of the signal that ended it; `stderr`
    its start and end where there was a lot of it; `stdout` is empty where the caller read it. `timed_out` says that its
    time was up before it had ended and its stdout with it."""

    status: int
    stdout: bytes
    stderr: str
    timed_out: bool

    @property
    def last_line(self) -> str:
        """The last thing that it said on stderr, fit to print; empty where it said nothing."""
        return visible((self.stderr.strip().splitlines() or [""])[-1])

    @property
    def trouble(self) -> str | None:
        """What went wrong, for a sentence about the program; None where it ended with 0 in time."""
        if self.timed_out:
            return "it took too long and was ended"
        if self.status < 0:
            return f"it was ended by {_signal_name(-self.status)}"
        if self.status:
            return f"it ended with status {self.status}" + (f": {self.last_line}" if self.last_line else "")
        return None


class ChildFailed(Exception):
    """A program did not end with 0 in time; the message says what happened, `ended` all that is known of it."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(ended.trouble or "it ended well")
        self.ended = ended


class Child:
    """A program while it runs. A context manager that ends it, if it still runs, when it is left.

    `stdout` is a pipe, to be read by the caller; `stdin` is one with `feed`, else empty. What comes on stderr is kept
    within bounds. The program has a session of its own, so a Ctrl-C in the terminal does not reach it, and `kill` ends
    it with everything that it started. On Linux the kernel kills it when this process ends, however that happens.

    The program is reaped only after the last signal to its group: until then its id cannot become another's.

    Raises:
        OSError: there is no such program, or it cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        bounds: Bounds,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        feed: bool = False,
        pipe_size: int = -1,
    ) -> None:
        program = shutil.which(command[0])
        if program is None:
            raise FileNotFoundError(f"{command[0]} is no program that can be run")
        reading, writing = os.pipe()
        try:
            absolute = os.path.abspath(program)  # noqa: PTH100 - a link stays one: a venv's Python is a link
            started = bounded([absolute, *command[1:]], bounds=bounds, report=writing)
            self._process = _starter.start(
                lambda: subprocess.Popen(  # noqa: S603
                    started,
                    env=_minimal_environment() | dict(environment or {}),
                    cwd=folder,
                    stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    pipesize=pipe_size,
                    pass_fds=(writing,),
                    start_new_session=True,
                )
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        self._output, self._error_output = (_Pipe(pipe) for pipe in (self._process.stdout, self._process.stderr))
        self._stdout = io.BufferedReader(self._output)
        self._timed_out = False
        self._killed_at = math.inf
        self._errors = bytearray()
        self._reaping = threading.Lock()
        self._watch: threading.Timer | None = None
        self._reader = threading.Thread(target=self._read_errors, name="stderr", daemon=True)
        self._reader.start()
        try:
            with open(reading, "rb") as report:  # noqa: PTH123 - a descriptor
                failed = report.read()  # ends when the program begins
            if failed:
                raise OSError(int(failed), os.strerror(int(failed)), program)
            self._watch = threading.Timer(bounds.seconds, self._time_out)
            self._watch.daemon = True
            self._watch.start()
        except BaseException:
            self.close()
            raise

    @property
    def stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None, "without `feed` there is no pipe"  # noqa: S101
        return self._process.stdin

    @property
    def stdout(self) -> "io.BufferedReader[_Pipe]":
        return self._stdout

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        """Ends it at once, with all that it started and left behind; harmless where all that has ended."""
        with self._reaping:
            if self._process.returncode is None:
                _kill_group(self._process)
        self._killed_at = min(self._killed_at, time.monotonic())
        for pipe in (self._output, self._error_output):
            pipe.let_go()

    def wait(self) -> Ended:
        """Waits for its end, which comes only when what it writes to `stdout` is read, and ends what it left behind."""
        self._await_end()
        if self._watch is not None:
            self._watch.cancel()
        self._error_output.let_go()
        self._reader.join(_ENDS_WITHIN)
        status = self._process.returncode
        if status is None or (status == 0 and self._output.was_cut):
            status = -signal.SIGKILL  # it hangs in the kernel, or what was killed had more to say
        return Ended(status, b"", self._errors.decode("utf-8", "replace"), self._timed_out)

    def close(self) -> None:
        """Ends it, and frees what it took."""
        self.kill()
        self._await_end()
        if self._watch is not None:
            self._watch.cancel()
        self._reader.join(_ENDS_WITHIN)
        for pipe in (self._process.stdin, self._stdout):
            if pipe is not None:
                with suppress(OSError):  # a program that is gone takes no more
                    pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _time_out(self) -> None:
        # Its output first: to ask whether it has ended ends what it left behind, and so the output too.
        if not (self._output.at_end and self._has_ended()):
            self._timed_out = True
            self.kill()

    def _await_end(self) -> None:
        pause = 0.0005
        while not self._has_ended() and time.monotonic() < self._killed_at + _ENDS_WITHIN:
            time.sleep(pause)
            pause = min(2 * pause, 0.05)

    def _has_ended(self) -> bool:
        """Whether the program has ended; if so, what it left behind is ended too."""
        with self._reaping:
            if self._process.returncode is not None:
                return True
            if hasattr(os, "waitid"):
                with suppress(ChildProcessError):  # reaped by somebody else; `poll` knows what to make of that
                    if os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                        return False
                    _kill_group(self._process)
                self._process.poll()
            elif self._process.poll() is None:
                return False
            else:  # macOS before Python 3.13; it gives ids out in turn, so this one is not another's for a long time
                _kill_group(self._process)
            return True

    def _read_errors(self) -> None:
        with self._error_output as pipe:
            while piece := pipe.read(_CAPTURED):
                self._errors += piece
                if len(self._errors) > 2 * _CAPTURED:
                    del self._errors[_CAPTURED:-_CAPTURED]


class _Pipe(io.RawIOBase):
    """What a program writes to one of its pipes, until it ends or is let go.

    A process that escaped the kill may hold the pipe open for ever, or write to it without end, and closing a
    descriptor wakes nobody who reads from it. So each read looks now and then at whether it should go on.
    """

    def __init__(self, pipe: IO[bytes] | None) -> None:
        assert pipe is not None, "every child has both pipes"  # noqa: S101
        self._pipe = pipe
        self._descriptor = pipe.fileno()
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)
        self._until = math.inf
        self._ended = False
        self.was_cut = False

    @property
    def at_end(self) -> bool:
        """Whether nobody will read any more of it."""
        return self._ended or self.closed

    def let_go(self) -> None:
        """Ends the reading soon: what is in the pipe can still be read."""
        self._until = min(self._until, time.monotonic() + _DRAINS_WITHIN)

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def readinto(self, buffer: Any) -> int:
        while (left := self._until - time.monotonic()) > 0:
            if self._poll.poll(1000 * min(left, _LOOK_EVERY)):
                size = os.readv(self._descriptor, [buffer])
                self._ended = size == 0
                return size
        self.was_cut = not self._ended
        return 0

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._pipe.close()


def run(
    command: Sequence[str],
    *,
    bounds: Bounds,
    environment: Mapping[str, str] | None = None,
    most_output: int = 1024**2,
    check: bool = True,
) -> Ended:
    """Runs a program to its end and returns how that came, with the first `most_output` bytes of its stdout.

    Raises:
        ChildFailed: it took too long, was killed, or ended with another status than 0; with `check` only.
        OSError: there is no such program, or it cannot be started.
    """
    with Child(command, bounds=bounds, environment=environment) as child:
        output = child.stdout.read(most_output)
        while child.stdout.read(1024**2):
            pass
        ended = child.wait()
    ended = Ended(ended.status, output, ended.stderr, ended.timed_out)
    if check and ended.trouble is not None:
        raise ChildFailed(ended)
    return ended


class _Starter:
    """Starts every child from one thread that lives as long as this process.

    Linux sends the parent-death signal when the *thread* that forked ends (prctl(2)), and children are asked for by
    threads of pools, which end while a child still works.
    """

    def __init__(self) -> None:
        self.forget()
        os.register_at_fork(after_in_child=self.forget)  # a forked copy has none of its parent's threads

    def forget(self) -> None:
        self._lock = threading.Lock()
        self._asked: queue.SimpleQueue[_Request] | None = None

    def start(self, popen: "Callable[[], subprocess.Popen[bytes]]") -> "subprocess.Popen[bytes]":
        with self._lock:
            if self._asked is None:
                self._asked = queue.SimpleQueue()
                threading.Thread(target=self._serve, args=(self._asked,), name="children", daemon=True).start()
            asked = self._asked
        process: Future[subprocess.Popen[bytes]] = Future()
        asked.put((popen, process))
        try:
            return process.result()
        except BaseException:  # interrupted while it started: nobody else would end it
            process.add_done_callback(_kill_started)
            raise

    @staticmethod
    def _serve(asked: "queue.SimpleQueue[_Request]") -> None:
        while True:
            popen, process = asked.get()
            try:
                process.set_result(popen())
            except BaseException as error:  # noqa: BLE001 - it is the caller's
                process.set_exception(error)
            del popen, process  # or this thread would keep the last child's pipes


_Request = tuple["Callable[[], subprocess.Popen[bytes]]", "Future[subprocess.Popen[bytes]]"]
_starter = _Starter()


def _kill_started(process: "Future[subprocess.Popen[bytes]]") -> None:
    if process.exception() is None:
        _kill_group(process.result())


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    # What ended at this very moment is no group any more, or to macOS none of ours.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def bounded(command: Sequence[str], *, bounds: Bounds | None, report: int) -> list[str]:
    """The command that sets the bounds, all but `seconds`, and becomes `command`, an absolute path and its arguments.
    This process has to start it, and is not outlived by it. Where it cannot be run, its `errno` is written to the
    descriptor `report`."""
    limits = "" if bounds is None else _limits(bounds)
    return [sys.executable, "-I", "-S", _START, str(os.getpid()), str(report), limits, *command]


def _limits(bounds: Bounds) -> str:
    # Time on the processor, for what is left alone where nothing else ends it: every core busy from start to end, and a
    # minute.
    processor_seconds = bounds.processor_seconds or math.ceil(bounds.seconds) * (os.cpu_count() or 1) + 60
    limits = {"RLIMIT_CORE": 0, "RLIMIT_CPU": processor_seconds}
    if bounds.memory is not None and sys.platform == "linux":
        limits["RLIMIT_AS"] = bounds.memory
    if bounds.data is not None and sys.platform == "linux":
        limits["RLIMIT_DATA"] = bounds.data
    if bounds.file_size is not None:
        limits["RLIMIT_FSIZE"] = bounds.file_size
    return ",".join(f"{name}={most}" for name, most in limits.items())


def _minimal_environment() -> dict[str, str]:
    handed_on = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
    return {"PATH": os.defpath, "TMPDIR": tempfile.gettempdir(), **handed_on, "LC_ALL": "C.UTF-8"}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
