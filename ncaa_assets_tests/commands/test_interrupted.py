"""Runs that are killed at every point and runs that meet: nothing is lost or doubled, nobody waits for the dead.

A child process with everything imported is forked for each point. It kills itself with SIGKILL at its n-th change of
the archive (Python's audit events name every file that is opened for writing, renamed, linked or removed, and each
connection to SQLite), so the points are found and not listed: whoever adds a write adds its points.
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import suppress
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from ncaa_assets.settings import Settings
from ncaa_assets.source.sample_api.clips import make_clip
from ncaa_assets_tests.backends.test_local import wait_until
from ncaa_assets_tests.days import DAY, KEY, back_up, settings_for
from ncaa_assets_tests.loopback.http_server import Handler, Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import API_PATH, record, serve_listing
from ncaa_assets_tests.loopback.running_ui import COMMAND

pytestmark = pytest.mark.slow

_CHANGES = {"os.rename", "os.link", "os.remove", "sqlite3.connect"}


def _changes(event: str, arguments: tuple[Any, ...], archive: str) -> bool:
    if not arguments or not str(arguments[0]).startswith(archive) or str(arguments[0]).endswith(".lock"):
        return False  # opening a lock file changes nothing that another run could see
    if event == "open":
        return bool(arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    return event in _CHANGES


def _run_until(point: int, settings: Settings, archive: str) -> None:
    """In a child: backs up the day, and is killed at the given change of the archive."""
    count = 0

    def killer(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if _changes(event, arguments, archive):
            count += 1
            if count == point:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(killer)
    back_up(settings)
    sys.exit(0)


def _killed_at(context: ForkServerContext, point: int, settings: Settings, archive: Path) -> bool:
    child = context.Process(target=_run_until, args=(point, settings, str(archive)))
    child.start()
    child.join(60)
    assert child.exitcode in (0, -signal.SIGKILL)
    return child.exitcode != 0


@pytest.mark.timeout(1200)  # some thirty days, a few seconds each
@pytest.mark.parametrize("is_second", [False, True], ids=["first fetch", "later fetch"])
def test_a_run_killed_at_any_point_is_taken_up_by_the_next_and_nothing_is_lost_or_doubled(
    server: ScriptedServer,
    clip: Path,
    tmp_path: Path,
    forkserver: ForkServerContext,
    monkeypatch: pytest.MonkeyPatch,
    is_second: bool,
) -> None:
    monkeypatch.setenv("RAPIDAPI_KEY", "")
    monkeypatch.setenv("DAGSTER_HOME", "")
    video = server.on("/1.mp4", Reply(clip.read_bytes()))
    before, after = [record(1, video), record(2, None)], [record(1, video, title="changed"), record(3, None)]
    listed: list[Any] = []
    url = serve_listing(server, lambda: listed)
    listed[:] = before
    if is_second:  # its merge has something to lose
        back_up(settings_for(url, data_dir=tmp_path / "first"))
        listed[:] = after
    points = 0
    while True:
        archive = tmp_path / f"archive-{points}"
        settings = settings_for(url, data_dir=archive)
        if is_second:
            shutil.copytree(tmp_path / "first", archive)
        if not _killed_at(forkserver, points + 1, settings, archive):
            break
        back_up(settings)  # nobody may hold the day any more
        _is_whole(archive, {"1", "2", "3"} if is_second else {"1", "2"}, clip)
        points += 1
    assert points >= (8 if is_second else 15), "the hook saw the run's changes"


def _is_whole(archive: Path, ids: set[str], clip: Path) -> None:
    document = json.loads((archive / "highlights" / f"{DAY}.json").read_text("utf-8"))
    assert {str(one["id"]) for one in document["data"]} == ids == document["backup"]["records"].keys()
    if "3" in ids:
        (change,) = document["backup"]["records"]["1"]["history"]
        assert change["record"]["title"] == "Team 1 vs. San José – Highlights"
        assert document["backup"]["records"]["2"]["removed_upstream"]
    with sqlite3.connect(archive / "highlights.sqlite") as table:
        rows = dict(table.execute("SELECT id, content_hash FROM highlights"))
    assert rows == {key: entry["content_hash"] for key, entry in document["backup"]["records"].items()}
    assert [path.name for path in (archive / "videos" / DAY).iterdir()] == ["1.mp4"]
    assert (archive / "videos" / DAY / "1.mp4").read_bytes() == clip.read_bytes()
    assert sorted(path.name for path in (archive / "processed_videos" / DAY).iterdir()) == ["1.jpg", "1.mp4"]
    for kind in ("videos", "processed_videos"):
        assert len(json.loads((archive / kind / f"{DAY}.json").read_text("utf-8"))["videos"]) == 1
    assert list((archive / ".tmp").iterdir()) == []
    assert list((archive / ".leases").iterdir()) == []


def test_of_two_commands_for_one_day_at_once_one_does_it_and_the_other_says_so(
    server: ScriptedServer, clip: Path, tmp_path: Path
) -> None:
    both_are_there = threading.Event()
    video = server.on("/1.mp4", Reply(clip.read_bytes()))
    serve_listing(server, lambda: [record(1, video)], path="/listing")

    def answer(handler: Handler) -> None:
        """The first request waits for its answer until the second run has given up, or a minute has passed."""
        both_are_there.wait(60)
        server.asked.append(server.asked[-1])
        script = server._scripts["/listing"][0]
        assert callable(script)
        script(handler)

    url = server.on(API_PATH, answer)
    environment = {**os.environ, "API_URL": url, "RAPIDAPI_KEY": KEY, "VIDEO_ALLOW_PRIVATE_HOSTS": "1"}
    running = [
        subprocess.Popen(
            [COMMAND, "backup", "--date", DAY],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    try:
        ended = _first_to_end(running)
        both_are_there.set()
        outputs = [process.communicate(timeout=60) for process in running]
    finally:
        for process in running:
            process.kill()
    other = running[1 - running.index(ended)]
    assert (ended.returncode, other.returncode) == (1, 0), outputs
    assert "skipped" in outputs[running.index(ended)][0]
    assert f"{DAY} backed up" in outputs[running.index(other)][0]
    assert server.times("/1.mp4") == 1


def _of_archive(archive: Path) -> list[str]:
    """The command lines of the processes that work on an archive."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            found += [line] if str(archive) in line else []
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no signal comes with a parent's death")
def test_a_command_that_is_killed_while_it_encodes_leaves_no_ffmpeg_behind(
    server: ScriptedServer, tmp_path: Path
) -> None:
    video = server.on("/1.mp4", Reply(make_clip(tmp_path / "long.mp4", seconds=200, height=180).read_bytes()))
    environment = {
        **os.environ, "API_URL": serve_listing(server, lambda: [record(1, video)]), "RAPIDAPI_KEY": KEY,
        "VIDEO_ALLOW_PRIVATE_HOSTS": "1", "MATCHES": "0", "DATA_DIR": str(tmp_path / "archive"),
    }  # fmt: skip
    with subprocess.Popen([COMMAND, "backup", "--date", DAY], env=environment, stderr=subprocess.PIPE) as process:
        wait_until(lambda: any("libx264" in line for line in _of_archive(tmp_path / "archive")))
        process.kill()
        process.wait()
        wait_until(lambda: _of_archive(tmp_path / "archive") == [], seconds=10)
    again = subprocess.run(
        [COMMAND, "backup", "--date", DAY], env={**environment, "ENCODE": "never"}, capture_output=True, check=False
    )
    assert again.returncode == 0, "nobody holds the day any more"
    assert server.times("/1.mp4") == 1, "what was copied is not copied again"


def _first_to_end(running: "list[subprocess.Popen[str]]") -> "subprocess.Popen[str]":
    ended: list[subprocess.Popen[str]] = []
    one_ended = threading.Event()

    def watch(process: "subprocess.Popen[str]") -> None:
        process.wait()
        ended.append(process)
        one_ended.set()

    for process in running:
        threading.Thread(target=watch, args=(process,), daemon=True).start()
    assert one_ended.wait(60), "both commands wait for the API: both took the day"
    return ended[0]
