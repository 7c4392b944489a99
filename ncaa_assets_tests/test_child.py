"""Programs on strangers' bytes: what they get, what they may use, and how they end."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ncaa_assets.child import Bounds, Child, ChildFailed, run
from ncaa_assets.failures import EncodeFailed
from ncaa_assets.media.ffmpeg import ffmpeg_program
from ncaa_assets.source.sample_api.clips import make_clip

MINUTE = Bounds(seconds=60)
linux = pytest.mark.skipif(sys.platform != "linux", reason="macOS has no such bound, or no parent-death signal")


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def lives(pid: int) -> bool:
    """Whether a process is there and no zombie: what is killed with its parent waits for whoever adopts it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


# ---- What it gets ----------------------------------------------------------------------------------------------------


def test_it_gets_no_variable_but_what_a_program_needs_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAPIDAPI_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "HOME", "DAGSTER_HOME", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "secret")
    ended = run(["env"], bounds=MINUTE, environment={"GIVEN": "1"})
    names = {line.partition("=")[0] for line in ended.stdout.decode().splitlines()}
    assert names - {"LD_LIBRARY_PATH", "PWD", "SHLVL", "_"} == {"PATH", "TMPDIR", "LC_ALL", "GIVEN"}
    assert b"secret" not in ended.stdout


def test_ffmpeg_gets_no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown = tmp_path / "environment"
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\nenv > {shown}\nexit 1\n", "utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
    for name in ("RAPIDAPI_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        monkeypatch.setenv(name, "secret")
    with pytest.raises(EncodeFailed):
        make_clip(tmp_path / "clip.mp4")
    assert "LC_ALL=C.UTF-8" in shown.read_text("utf-8")
    assert "secret" not in shown.read_text("utf-8")


def test_its_input_is_empty_or_what_it_is_fed() -> None:
    assert run(["cat"], bounds=MINUTE).stdout == b""
    with Child(["cat"], bounds=MINUTE, feed=True) as child:
        with child.stdin as pipe:
            pipe.write(b"given")
        assert child.stdout.read() == b"given"
        assert child.wait().trouble is None


def test_it_inherits_no_open_file(tmp_path: Path) -> None:
    with (tmp_path / "open").open("wb") as file:
        os.set_inheritable(file.fileno(), True)
        code = f"import os; print(os.path.exists('/dev/fd/{file.fileno()}'))"
        assert run(python(code), bounds=MINUTE).stdout == b"False\n"


def test_what_a_signal_means_to_it_is_the_default() -> None:
    """Python ignores SIGPIPE, and what is ignored stays so in another program: `yes` would never end."""
    with Child(["yes"], bounds=MINUTE) as child:
        child.stdout.readline()
        child.stdout.close()
        assert child.wait().status == -signal.SIGPIPE


# ---- How it ends -----------------------------------------------------------------------------------------------------


def test_a_program_that_ends_well_is_told_with_its_output() -> None:
    ended = run(python("import sys; print('out'); print('err', file=sys.stderr)"), bounds=MINUTE)
    assert (ended.status, ended.stdout, ended.stderr, ended.timed_out) == (0, b"out\n", "err\n", False)
    assert ended.trouble is None


def test_a_status_is_told_with_the_last_thing_that_was_said() -> None:
    code = "import sys; print('first', file=sys.stderr); print('the \\x1b[31mlast', file=sys.stderr); sys.exit(3)"
    with pytest.raises(ChildFailed, match=r"^it ended with status 3: the �\[31mlast$") as caught:
        run(python(code), bounds=MINUTE)
    assert caught.value.ended.status == 3
    assert run(python(code), bounds=MINUTE, check=False).stderr.startswith("first\n")


@pytest.mark.parametrize("name", ["no-such-program", "/no/such/program", "/etc/passwd", "/"])
def test_what_is_no_program_is_an_os_error(name: str) -> None:
    with pytest.raises(OSError, match="no program"):
        run([name], bounds=MINUTE)


def test_what_the_system_will_not_start_is_its_own_error(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF junk")
    program.chmod(0o755)
    with pytest.raises(OSError, match="format"):
        run([str(program)], bounds=MINUTE)


def test_what_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    started = time.monotonic()
    code = f"sleep 100 & echo $! > {tmp_path / 'pid'}; sleep 100"
    with pytest.raises(ChildFailed, match="took too long"):
        run(["sh", "-c", code], bounds=Bounds(seconds=0.5))
    assert time.monotonic() - started < 10
    wait_until(lambda: not lives(int((tmp_path / "pid").read_text())))


LEAVES_ONE = "sleep 100 & echo $! > {pid}; echo said; exit 0"
ESCAPES = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    open(sys.argv[1], "w").write(str(os.getpid()))
    while {endless}: os.write(1, b"x" * 1000)
    time.sleep(100)
print("said")
"""


def test_what_a_program_leaves_behind_is_ended_when_its_time_is_up(tmp_path: Path) -> None:
    started = time.monotonic()
    code = LEAVES_ONE.format(pid=tmp_path / "pid")
    ended = run(["sh", "-c", code], bounds=Bounds(seconds=1), check=False)
    assert time.monotonic() - started < 10
    assert (ended.timed_out, ended.stdout) == (True, b"said\n")
    wait_until(lambda: not lives(int((tmp_path / "pid").read_text())))


def test_its_time_is_up_however_soon_the_reader_hears_of_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_ended = Child._has_ended

    def heard_at_once(child: Child) -> bool:
        ended = has_ended(child)
        if ended:
            wait_until(lambda: child._output.at_end)
        return ended

    monkeypatch.setattr(Child, "_has_ended", heard_at_once)
    ended = run(["sh", "-c", LEAVES_ONE.format(pid=tmp_path / "pid")], bounds=Bounds(seconds=0.5), check=False)
    assert (ended.timed_out, ended.stdout) == (True, b"said\n")


@pytest.mark.parametrize("wait", [True, False])
def test_what_a_program_leaves_behind_is_ended_with_it(tmp_path: Path, wait: bool) -> None:
    """Beside a pipe that nobody holds open, and with one that is."""
    code = LEAVES_ONE.format(pid=tmp_path / "pid").replace(" &", " >&- 2>&- &" if wait else " &")
    with Child(["sh", "-c", code], bounds=MINUTE) as child:
        assert child.stdout.readline() == b"said\n"
        if wait:
            started = time.monotonic()
            assert child.stdout.read() == b""
            assert child.wait().trouble is None
            assert time.monotonic() - started < 10
        else:
            wait_until(lambda: not lives(child.pid))
    wait_until(lambda: not lives(int((tmp_path / "pid").read_text())))


@pytest.mark.parametrize("endless", [True, False])
def test_nobody_waits_for_what_escaped_from_its_session(tmp_path: Path, endless: bool) -> None:
    started = time.monotonic()
    command = [*python(ESCAPES.format(endless=endless)), str(tmp_path / "pid")]
    try:
        ended = run(command, bounds=Bounds(seconds=1), check=False)
        assert time.monotonic() - started < 10
        assert ended.timed_out
        assert endless or ended.stdout == b"said\n"
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_output_that_is_cut_by_a_kill_is_no_good_end(tmp_path: Path) -> None:
    command = [*python(ESCAPES.format(endless=True)), str(tmp_path / "pid")]
    try:
        with Child(command, bounds=MINUTE) as child:
            wait_until((tmp_path / "pid").exists)
            child.kill()
            while child.stdout.read(1024**2):
                pass
            assert child.wait().trouble == "it was ended by SIGKILL"
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


@linux
def test_the_id_of_what_has_ended_is_kept_until_its_group_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    groups: list[bool] = []
    kill = os.killpg

    def killpg(group: int, number: int) -> None:
        groups.append(os.waitid(os.P_PID, group, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None)
        kill(group, number)

    monkeypatch.setattr(os, "killpg", killpg)
    with Child(["true"], bounds=MINUTE) as child:
        assert child.stdout.read() == b""
        child.wait()
        child.kill()
    assert groups == [True]


def test_what_is_killed_is_told_so_and_killing_it_again_is_harmless() -> None:
    with Child(["sleep", "100"], bounds=MINUTE) as child:
        child.kill()
        assert child.wait().trouble == "it was ended by SIGKILL"
        child.kill()
    child.close()


def test_leaving_ends_it() -> None:
    with pytest.raises(RuntimeError), Child(["sleep", "100"], bounds=MINUTE) as child:
        assert lives(child.pid)
        raise RuntimeError
    assert not lives(child.pid)


def test_what_it_says_without_end_is_kept_from_both_ends() -> None:
    code = "import sys; sys.stderr.write('start' + 'x' * 10**7 + 'end')"
    ended = run(python(code), bounds=MINUTE)
    assert ended.stderr.startswith("start")
    assert ended.stderr.endswith("end")
    assert len(ended.stderr) < 10**6


def test_output_beyond_what_was_asked_for_is_let_go() -> None:
    assert run(python("print('x' * 10**7)"), bounds=MINUTE, most_output=10).stdout == b"x" * 10


# ---- What it may use -------------------------------------------------------------------------------------------------


@linux
def test_memory_is_bounded() -> None:
    code = "bytearray(2 * 1024**3)"
    assert run(python(code), bounds=Bounds(seconds=60, memory=4 * 1024**3)).status == 0
    for bounds in (Bounds(seconds=60, memory=1024**3), Bounds(seconds=60, data=1024**3)):
        ended = run(python(code), bounds=bounds, check=False)
        assert "MemoryError" in ended.stderr
    reserves = "import mmap; mmap.mmap(-1, 8 * 1024**3, mmap.MAP_PRIVATE, 0)"
    assert run(python(reserves), bounds=Bounds(seconds=60, data=1024**3)).status == 0


def test_a_file_is_bounded_and_no_core_is_left(tmp_path: Path) -> None:
    large = tmp_path / "large"
    ended = run(["sh", "-c", f"ulimit -c; exec head -c 5000 /dev/zero > {large}"],
                bounds=Bounds(seconds=60, file_size=1000), check=False)  # fmt: skip
    assert ended.stdout == b"0\n"
    assert ended.trouble == "it was ended by SIGXFSZ"
    assert large.stat().st_size == 1000


@linux
def test_ffmpeg_has_room_enough(tmp_path: Path) -> None:
    """At 1080p, with a picture as busy as the test source's: the bound must never fail an ordinary encode."""
    assert make_clip(tmp_path / "clip.mp4", seconds=1, height=1080).stat().st_size > 1000


# ---- Whose end it is bound to ----------------------------------------------------------------------------------------

PARENT = """
import signal, sys, threading, time
signal.signal(signal.SIGTERM, signal.SIG_DFL)  # it may be ignored by whoever runs the tests, and so here
from ncaa_assets.child import Bounds, Child
def start():
    child = Child(["sleep", "100"], bounds=Bounds(seconds=100))
    print(child.pid, flush=True)
    children.append(child)
children = []
thread = threading.Thread(target=start)
thread.start()
thread.join()
time.sleep(100)
"""


@linux
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_its_parent_however_that_ends(number: signal.Signals) -> None:
    with subprocess.Popen(python(PARENT), stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert lives(pid)
        parent.send_signal(number)
        parent.wait(30)
        wait_until(lambda: not lives(pid))


@linux
def test_it_goes_on_when_the_thread_that_asked_for_it_ends() -> None:
    """The parent-death signal is sent when the thread that forked ends, not the process."""
    with ThreadPoolExecutor(1) as pool:
        child = pool.submit(lambda: Child(["sleep", "100"], bounds=MINUTE)).result()
    with child:
        assert threading.active_count() >= 1
        time.sleep(0.3)  # there is nothing to wait for: it must not happen
        assert lives(child.pid)


def test_a_ctrl_c_in_the_terminal_does_not_reach_it() -> None:
    with Child(["sleep", "100"], bounds=MINUTE) as child:
        assert os.getsid(child.pid) == child.pid != os.getsid(0)


@linux
def test_a_forked_process_starts_children_of_its_own() -> None:
    """Dagster and the tests fork; a copy has none of the threads of the process that it is a copy of."""
    run(["true"], bounds=MINUTE)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = run(["true"], bounds=MINUTE).status
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0


def test_many_at_once_end_well() -> None:
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: run([ffmpeg_program(), "-version"], bounds=MINUTE).status, range(16)))
    assert statuses == [0] * 16
