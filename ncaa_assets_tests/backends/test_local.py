"""What only the local backend has: a folder that a person can read, a disk that fills up, and ffmpeg."""

import errno
import hashlib
import json
import logging
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ncaa_assets.backends.local.ffmpeg import FfmpegTranscoder
from ncaa_assets.backends.local.share import Share, share_of
from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.backends.local.table import SqliteTable
from ncaa_assets.child import Child
from ncaa_assets.failures import EncodeFailed, EncodeRefused, ObjectMissing, StoreError
from ncaa_assets.media.bounds import EncodeBounds
from ncaa_assets.media.ffmpeg import ffmpeg_program
from ncaa_assets.media.isobmff import BoxReader
from ncaa_assets.media.profile import PROFILE
from ncaa_assets.ports import EncodeOutcome, EncodeRequest, Expect
from ncaa_assets.record.models import CopiedVideo, ProcessedVideo

DAY = "2025-03-09"
KEY = f"highlights/{DAY}.json"


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def wait_until(condition: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.005)


# ---- The folder ------------------------------------------------------------------------------------------------------


def history(store: LocalStore) -> list[Path]:
    return sorted((store.root / ".history" / "highlights" / DAY).iterdir())


def test_objects_are_plain_files_under_their_keys(store: LocalStore) -> None:
    store.write(KEY, b"{}")
    assert (store.root / KEY).read_bytes() == b"{}"
    assert store.uri(KEY) == str(store.root / KEY)


def test_what_is_replaced_is_kept_with_the_time_of_its_replacement(store: LocalStore) -> None:
    for data in (b"one", b"two", b"three"):
        store.write(KEY, data)
    kept = history(store)
    assert [path.read_bytes() for path in kept] == [b"one", b"two"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d{6}\.\d{6}Z\.json", path.name) for path in kept)
    assert store.read(KEY)[0] == b"three"
    assert [info.key for info in store.list("")] == [KEY]


def test_the_same_bytes_again_are_no_new_version(store: LocalStore) -> None:
    store.write(KEY, b"one")
    before = (store.root / KEY).stat().st_mtime_ns
    store.write(KEY, b"one")
    assert (store.root / KEY).stat().st_mtime_ns == before
    assert not (store.root / ".history").exists()


def test_progress_and_housekeeping_keep_no_versions(store: LocalStore) -> None:
    store.write(KEY, b"one")
    store.write(KEY, b"two", keep_replaced=False)
    store.write(".leases/x.json", b"one")
    store.write(".leases/x.json", b"two")
    assert not (store.root / ".history").exists()


def test_a_write_that_conflicts_adds_nothing_to_the_history(store: LocalStore) -> None:
    store.write(KEY, b"one")
    with pytest.raises(StoreError):
        store.write(KEY, b"two", expect=Expect.NOTHING)
    assert not (store.root / ".history").exists()


def test_a_disk_without_hard_links_keeps_history_too(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")  # exFAT answers so

    monkeypatch.setattr(os, "link", no_links)
    store.write(KEY, b"one")
    store.write(KEY, b"two")
    assert [path.read_bytes() for path in history(store)] == [b"one"]
    assert store.read(KEY)[0] == b"two"


def test_a_sweep_removes_what_killed_writers_of_the_day_left_and_nothing_else(store: LocalStore) -> None:
    of_the_day = (f"videos/{DAY}/1.mp4", KEY, f".leases/{DAY}.json", f"processed_videos/{DAY}/1.jpg")
    for key in (*of_the_day, ".quota/0123456789abcdef.json", ".ranges/2025-03-01_2025-03-02.json"):
        store.scratch(key).write_bytes(b"half")
    other = store.scratch("videos/2025-03-10/1.mp4")
    other.write_bytes(b"half")
    store.sweep(DAY)
    assert list((store.root / ".tmp").iterdir()) == [other]


def test_a_sweep_of_an_empty_archive_is_harmless(store: LocalStore) -> None:
    store.sweep(DAY)


def test_a_tools_file_becomes_an_object_whole(store: LocalStore) -> None:
    path = store.scratch("processed_videos/x/1.mp4")
    path.write_bytes(b"made")
    info = store.adopt(path, "processed_videos/x/1.mp4")
    assert (info.size, store.read(info.key)[0]) == (4, b"made")
    assert not path.exists()


@pytest.mark.parametrize("below", ["", "/deeper"])
def test_a_folder_that_is_a_file_is_said_to_be_one(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    store = LocalStore(Path(f"{tmp_path}/file{below}"))
    for act in (
        lambda: store.write(KEY, b"x"),
        lambda: store.upload(KEY, content_type="video/mp4"),
        lambda: list(store.list("")),
        lambda: SqliteTable(store.root / "highlights.sqlite").day(DAY),
    ):
        with pytest.raises(StoreError, match="is not a folder; set DATA_DIR"):
            act()


def test_a_folder_that_may_not_be_used_is_said(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """root may write anywhere, so the test fakes the refusal."""

    def refuse(self: Path, *_: Any, **__: Any) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    store.write(KEY, b"x")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(StoreError, match="may not be written or read by this user"):
        store.read(KEY)


# ---- The disk --------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only root can mount the small file system that this fills up")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> Path:
    filling = folder / "filling"
    with pytest.raises(OSError, match="No space"), filling.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return filling


def test_a_full_disk_fails_a_write_whole_and_says_what_to_do(small_disk: Path) -> None:
    store = LocalStore(small_disk / "archive")
    store.write(KEY, b"old")
    filling = fill(small_disk)
    with pytest.raises(StoreError, match="is full; free some space"):
        store.write(KEY, b"new" * 10_000)
    assert store.read(KEY)[0] == b"old"
    assert list((store.root / ".tmp").iterdir()) == []
    filling.unlink()
    store.write(KEY, b"new" * 10_000)
    assert store.read(KEY)[0] == b"new" * 10_000


def test_a_disk_that_fills_up_during_an_upload_leaves_nothing_of_it(small_disk: Path) -> None:
    store = LocalStore(small_disk / "archive")
    with (
        pytest.raises(StoreError, match="is full"),
        store.upload(f"videos/{DAY}/1.mp4", content_type="video/mp4") as upload,
    ):
        for _ in range(20):
            upload.write(bytes(100_000))
        upload.commit()
    assert list((store.root / ".tmp").iterdir()) == []
    store.write(KEY, bytes(500_000))  # there is space again


def test_a_full_disk_fails_a_merge_whole(small_disk: Path) -> None:
    table = SqliteTable(small_disk / "highlights.sqlite")
    small = {"id": "1", "game_date": DAY, "text": "old"}
    table.merge([small], lambda _, given: given)
    filling = fill(small_disk)
    with pytest.raises(StoreError, match="see that its disk has space"):
        table.merge([small | {"text": "x" * 500_000}], lambda _, given: given)
    filling.unlink()
    assert table.get(["1"]) == {"1": small}


def test_a_full_disk_fails_an_encode_and_leaves_nothing_of_it(small_disk: Path, clip: Path) -> None:
    store = LocalStore(small_disk / "archive")
    entry = put(store, "1", clip)
    fill(small_disk)
    (outcome,) = transcoder(store).encode([request(entry)])
    assert isinstance(outcome.result, EncodeFailed)
    assert "is full; free some space" in str(outcome.result)
    assert files(store.root) == [entry.key]


def test_a_read_only_disk_is_said_and_can_still_be_read(small_disk: Path) -> None:
    store = LocalStore(small_disk / "archive")
    store.write(KEY, b"old")
    table, row = SqliteTable(store.root / "highlights.sqlite"), {"id": "1", "game_date": DAY}
    table.merge([row], lambda _, given: given)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for act in (
        lambda: store.write(KEY, b"new"),
        lambda: store.upload(KEY, content_type="video/mp4"),
        lambda: store.delete(KEY),
        lambda: store.sweep(DAY),
        lambda: table.merge([row], lambda _, given: given),
    ):
        with pytest.raises(StoreError, match="read-only file system; set DATA_DIR"):
            act()
    assert store.read(KEY)[0] == b"old"
    assert [info.key for info in store.list("")] == [KEY]


# ---- The table -------------------------------------------------------------------------------------------------------


def test_a_persons_select_finds_the_rows_fields(tmp_path: Path) -> None:
    path = tmp_path / "highlights.sqlite"
    row = {"id": "1", "game_date": DAY, "title": "San José", "url": "https://x/1", "days": [DAY], "source": None}
    SqliteTable(path).merge([row], lambda _, given: given)
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT id, game_date, title, url, days, source, item FROM highlights").fetchall()
    connection.close()
    assert found == [("1", DAY, "San José", "https://x/1", json.dumps([DAY]), None, found[0][-1])]
    assert json.loads(found[0][-1]) == row


def test_a_damaged_table_is_said_with_where_its_rows_can_come_from(tmp_path: Path) -> None:
    path = tmp_path / "highlights.sqlite"
    path.write_bytes(b"no table at all" * 1000)
    with pytest.raises(StoreError, match="makes the rows again from the JSON"):
        SqliteTable(path).day(DAY)


# ---- ffmpeg ----------------------------------------------------------------------------------------------------------


def run_ffmpeg(*arguments: str) -> str:
    """What ffmpeg prints. It must not fail."""
    done = subprocess.run([ffmpeg_program(), "-hide_banner", "-nostdin", *arguments], check=False, capture_output=True)
    said = done.stderr.decode("utf-8", "replace")
    assert done.returncode == 0, said
    return said


def made(path: Path, picture: str, *more: str) -> Path:
    """Half a second of a test picture, in the given size and format."""
    run_ffmpeg("-v", "error", "-f", "lavfi", "-i", f"testsrc2=duration=0.5:{picture}", *more, str(path))
    return path


def put(store: LocalStore, number: str, source: Path, container: str = "mp4") -> CopiedVideo:
    data = source.read_bytes()
    key = f"videos/{DAY}/{number}.{container}"
    (store.root / key).parent.mkdir(parents=True, exist_ok=True)
    (store.root / key).write_bytes(data)
    return CopiedVideo(
        id=number, title="Game", source_url="https://x/", key=key, bytes=len(data), container=container,
        sha256=hashlib.sha256(data).hexdigest(), duration_seconds=2.0, has_sound=True,
        copied_at="2025-03-10T06:00:00Z",
    )  # fmt: skip


def request(video: CopiedVideo) -> EncodeRequest:
    base = f"processed_videos/{DAY}/{video.id}"
    return EncodeRequest(video, output_key=base + ".mp4", poster_key=base + ".jpg")


def transcoder(store: LocalStore, *, timeout: float = 60, concurrency: int = 2) -> FfmpegTranscoder:
    return FfmpegTranscoder(store, PROFILE, concurrency=concurrency, timeout=timeout)


def encoded(outcome: EncodeOutcome) -> ProcessedVideo:
    assert isinstance(outcome.result, ProcessedVideo), outcome.result
    return outcome.result


def encode(store: LocalStore, source: Path, container: str = "mp4") -> ProcessedVideo:
    (outcome,) = transcoder(store).encode([request(put(store, "1", source, container))])
    return encoded(outcome)


def streams(path: Path) -> str:
    """ffmpeg's description of a file that it decodes without an error."""
    run_ffmpeg("-v", "error", "-xerror", "-i", str(path), "-f", "null", "-")
    return "\n".join(line for line in run_ffmpeg("-i", str(path), "-f", "null", "-").split("Output #0")[0].splitlines())


def test_an_output_is_web_ready_and_what_its_entry_says(store: LocalStore, clip: Path) -> None:
    entry = encode(store, clip)
    output = store.root / f"processed_videos/{DAY}/1.mp4"
    data = output.read_bytes()
    assert (entry.key, entry.bytes) == (f"processed_videos/{DAY}/1.mp4", len(data))
    assert entry.sha256 == hashlib.sha256(data).hexdigest()
    assert entry.source_sha256 == hashlib.sha256(clip.read_bytes()).hexdigest()
    assert entry.settings_hash == transcoder(store).settings_hash()
    assert entry.duration_seconds == pytest.approx(2, abs=0.1)
    assert (entry.width, entry.height, entry.encoder) == (320, 180, "ffmpeg")
    said = streams(output)
    assert "h264 (High)" in said
    assert "yuv420p" in said
    assert re.search(r"Audio: aac \(LC\).* 48000 Hz, stereo", said)
    assert data.index(b"moov") < data.index(b"mdat")
    assert not list((store.root / ".tmp").iterdir())


def test_a_key_frame_comes_every_two_seconds(store: LocalStore, tmp_path: Path) -> None:
    source = tmp_path / "long.mp4"
    run_ffmpeg("-v", "error", "-f", "lavfi", "-i", "testsrc2=size=64x64:rate=10:duration=7", "-g", "1000", str(source))
    encode(store, source)
    output = str(store.root / f"processed_videos/{DAY}/1.mp4")
    said = run_ffmpeg("-skip_frame", "nokey", "-i", output, "-vf", "showinfo", "-f", "null", "-")
    times = [float(found) for found in re.findall(r"pts_time:([\d.]+)", said)]
    assert {0.0, 2.0, 4.0, 6.0} <= set(times)


def test_a_silent_source_makes_a_silent_output(store: LocalStore, silent_clip: Path) -> None:
    encode(store, silent_clip)
    said = streams(store.root / f"processed_videos/{DAY}/1.mp4")
    assert "Video: h264" in said
    assert "Audio:" not in said


@pytest.mark.parametrize(
    ("picture", "more", "size"),
    [
        ("size=321x181", ["-pix_fmt", "yuv444p"], (320, 180)),
        ("size=2x2", [], (2, 2)),
        ("size=163x91", ["-pix_fmt", "yuv444p"], (162, 90)),
        ("size=90x160", [], (90, 160)),
        ("size=160x90,setsar=4/3", [], (214, 90)),
        ("size=160x90,setsar=1/2", [], (80, 90)),
        ("size=160x90", ["-pix_fmt", "yuv420p10le"], (160, 90)),
        ("size=1920x1080:rate=2", [], (1920, 1080)),
        ("size=2562x1442:rate=2", [], (1918, 1080)),
        ("size=160x90:rate=120", [], (160, 90)),
    ],
)
def test_pictures_of_any_size_are_kept_in_shape_and_never_scaled_up(
    picture: str, more: list[str], size: tuple[int, int], store: LocalStore, tmp_path: Path
) -> None:
    entry = encode(store, made(tmp_path / "source.mp4", picture, "-preset", "ultrafast", *more))
    assert (entry.width, entry.height) == size
    said = streams(store.root / entry.key)
    assert re.search(r"Video: h264 \(High\).*, yuv420p\(", said)
    assert f"{size[0]}x{size[1]}" in said


@pytest.mark.parametrize(
    ("container", "more"),
    [("mov", ["-c:v", "mpeg4"]), ("webm", ["-c:v", "libvpx", "-deadline", "realtime"]), ("ts", [])],
)
def test_the_other_containers_are_encoded_too(
    container: str, more: list[str], store: LocalStore, tmp_path: Path
) -> None:
    source = made(tmp_path / f"source.{container}", "size=160x90", *more)
    entry = encode(store, source, container)
    assert entry.key.endswith(".mp4")
    assert "h264 (High)" in streams(store.root / entry.key)


def test_the_poster_is_a_jpeg_of_the_picture(store: LocalStore, clip: Path) -> None:
    entry = encode(store, clip)
    poster = store.root / f"processed_videos/{DAY}/1.jpg"
    data = poster.read_bytes()
    assert (entry.poster.key, entry.poster.bytes) == (f"processed_videos/{DAY}/1.jpg", len(data))
    assert data.startswith(b"\xff\xd8\xff")
    assert data.endswith(b"\xff\xd9")
    assert "Video: mjpeg" in run_ffmpeg("-i", str(poster), "-f", "null", "-")
    assert "320x180" in run_ffmpeg("-i", str(poster), "-f", "null", "-")


@pytest.mark.parametrize("kind", ["noise", "no movie", "nothing", "missing", "bare header"])
def test_a_source_that_cannot_be_encoded_fails_in_one_sentence_and_delays_no_other(
    kind: str, store: LocalStore, clip: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.mp4"
    bare = b"\0\0\0\x08moov\0\0\0\x10moov\0\0\0\x08mvhd\0\0\0\x09mdatx"
    content = {"noise": clip.read_bytes()[:100] + b"\xff" * 9000, "no movie": b"<html>" * 99, "bare header": bare}
    bad.write_bytes(content.get(kind, b""))
    requests = [request(put(store, "bad", bad)), request(put(store, "good", clip))]
    if kind == "missing":
        (store.root / requests[0].video.key).unlink()
    outcomes = {outcome.request.video.id: outcome.result for outcome in transcoder(store).encode(requests)}
    assert isinstance(outcomes["good"], ProcessedVideo)
    failure = outcomes["bad"]
    # A copy that is not there may come back; what is in the others never changes.
    assert isinstance(failure, EncodeFailed if kind == "missing" else EncodeRefused)
    assert "\n" not in str(failure)
    assert 5 < len(str(failure)) < 400
    assert [key for key in files(store.root) if "bad" in key] in ([], [f"videos/{DAY}/bad.mp4"])


def test_a_list_of_other_files_disguised_as_a_video_is_not_followed(
    store: LocalStore, clip: Path, tmp_path: Path
) -> None:
    (store.root / f"videos/{DAY}").mkdir(parents=True)
    shutil.copy(clip, store.root / f"videos/{DAY}/private.mp4")
    lists = {
        "1": b"ffconcat version 1.0\nfile private.mp4\n",
        "2": b"#EXTM3U\n#EXTINF:2,\nprivate.mp4\n#EXT-X-ENDLIST\n",
    }
    for number, text in lists.items():
        (tmp_path / number).write_bytes(text)
    requests = [request(put(store, number, tmp_path / number, "ts")) for number in lists]
    for outcome in transcoder(store).encode(requests):
        assert isinstance(outcome.result, EncodeRefused)
    assert not (store.root / "processed_videos").exists()


def test_encoding_again_replaces_the_output(store: LocalStore, clip: Path, silent_clip: Path) -> None:
    first = encode(store, clip)
    second = encode(store, silent_clip)
    assert first.key == second.key
    assert first.sha256 != second.sha256


def test_one_transcoder_encodes_as_often_as_it_is_asked(store: LocalStore, silent_clip: Path) -> None:
    one, entry = transcoder(store), put(store, "1", silent_clip)
    for _ in range(2):
        assert [encoded(outcome).id for outcome in one.encode([request(entry)])] == ["1"]
    assert list(one.encode([])) == []


def test_an_encode_that_takes_too_long_is_ended_and_says_which_setting(store: LocalStore, tmp_path: Path) -> None:
    (outcome,) = transcoder(store, timeout=0.3).encode([request(put(store, "1", long_source(tmp_path)))])
    assert isinstance(outcome.result, EncodeFailed)
    assert "ENCODE_TIMEOUT" in str(outcome.result)
    assert files(store.root) == [f"videos/{DAY}/1.mp4"]


def long_source(tmp_path: Path) -> Path:
    """A small file that takes many seconds to encode."""
    path = tmp_path / "long.mp4"
    run_ffmpeg(
        "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25:duration=1", "-preset", "ultrafast",
        str(tmp_path / "one.mp4"),
    )  # fmt: skip
    run_ffmpeg("-v", "error", "-stream_loop", "120", "-i", str(tmp_path / "one.mp4"), "-c", "copy", str(path))
    return path


def lives(process: Child) -> bool:
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_closing_the_iterator_early_kills_ffmpeg_and_leaves_nothing(
    store: LocalStore, tmp_path: Path, silent_clip: Path
) -> None:
    slow = put(store, "slow", long_source(tmp_path))
    quick = put(store, "quick", silent_clip)
    one = transcoder(store)
    outcomes = one.encode([request(video) for video in (slow, quick, under_id(slow, "slower"), under_id(slow, "last"))])
    assert next(outcomes).request.video.id == "quick"
    wait_until(lambda: len(one._ffmpeg._running) == 2)
    running = list(one._ffmpeg._running)
    started = time.monotonic()
    outcomes.close()
    assert time.monotonic() - started < 5
    assert not any(lives(process) for process in running)
    assert [path.name for path in (store.root / ".tmp").iterdir()] == []
    assert files(store.root / "processed_videos") == [f"{DAY}/quick.jpg", f"{DAY}/quick.mp4"]


_ENCODES = """
import sys, threading
from pathlib import Path
from ncaa_assets_tests.backends.test_local import LocalStore, put, request, transcoder
store, one = LocalStore(Path(sys.argv[1])), None
one = transcoder(store)
def tell():
    while not one._ffmpeg._running:
        pass
    print(next(iter(one._ffmpeg._running)).pid, flush=True)
threading.Thread(target=tell, daemon=True).start()
list(one.encode([request(put(store, "1", Path(sys.argv[2])))]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no signal comes with a parent's death")
def test_ffmpeg_ends_with_a_run_that_is_killed(store: LocalStore, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _ENCODES, str(store.root), str(long_source(tmp_path))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        pid = int(run.stdout.readline())
        assert Path(f"/proc/{pid}/cmdline").read_bytes() != b""
        run.kill()
        run.wait()
        wait_until(lambda: not Path(f"/proc/{pid}").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes())


def under_id(video: CopiedVideo, number: str) -> CopiedVideo:
    return video.model_copy(update={"id": number})


def test_as_many_are_encoded_at_a_time_as_asked_for_and_no_more(store: LocalStore, clip: Path) -> None:
    entry, one, most = put(store, "1", clip), transcoder(store, concurrency=2), 0
    ended = threading.Event()

    def watch() -> None:
        nonlocal most
        while not ended.wait(0.002):
            most = max(most, len(one._ffmpeg._running))

    watcher = threading.Thread(target=watch)
    watcher.start()
    outcomes = list(one.encode([request(under_id(entry, str(at))) for at in range(5)]))
    ended.set()
    watcher.join()
    assert {encoded(outcome).id for outcome in outcomes} == {"0", "1", "2", "3", "4"}
    assert most == 2


def test_a_picture_that_stands_still_has_a_poster_too(store: LocalStore, tmp_path: Path) -> None:
    source = tmp_path / "still.mp4"
    run_ffmpeg(
        "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=1:duration=1", "-f", "lavfi", "-i",
        "sine=duration=6", "-frames:v", "1", str(source),
    )  # fmt: skip
    entry = encode(store, source)
    assert entry.poster.bytes > 500


def test_progress_is_said_while_a_long_encode_runs(
    store: LocalStore, clip: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ncaa_assets.backends.local import ffmpeg_runs

    class Fast:
        """A clock that advances eleven seconds each time it is read."""

        def __init__(self) -> None:
            self.now = 0.0

        def monotonic(self) -> float:
            self.now += 11
            return self.now

    monkeypatch.setattr(ffmpeg_runs, "time", Fast())
    with caplog.at_level(logging.INFO):
        encode(store, clip)
    assert re.search(r"encoding 1: \d+ % after \d+ s", caplog.text)


def test_without_ffmpeg_it_says_what_to_install(
    store: LocalStore, clip: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "no-ffmpeg"))
    entry = put(store, "1", clip)
    with pytest.raises(EncodeFailed, match=r"there is no ffmpeg: unset IMAGEIO_FFMPEG_EXE"):
        list(transcoder(store).encode([request(entry)]))
    assert list(transcoder(store).encode([])) == []  # a day without videos needs no ffmpeg


def test_a_reader_of_boxes_agrees_with_ffmpeg_about_outputs(store: LocalStore, clip: Path) -> None:
    entry = encode(store, clip)
    reader = BoxReader()
    reader.feed((store.root / entry.key).read_bytes())
    assert reader.finish().has_sound is True


def test_an_object_that_is_missing_names_its_path(store: LocalStore) -> None:
    with pytest.raises(ObjectMissing, match=re.escape(str(store.root / KEY))):
        store.read(KEY)


def test_other_settings_have_another_hash(store: LocalStore) -> None:
    other = FfmpegTranscoder(store, replace(PROFILE, crf=30), concurrency=1, timeout=1)
    assert other.settings_hash() != transcoder(store).settings_hash()


def test_an_encode_that_wants_more_memory_than_its_share_is_refused_in_a_sentence(
    store: LocalStore, tmp_path: Path
) -> None:
    source = made(tmp_path / "large.mp4", "size=1920x1080", "-pix_fmt", "yuv420p", "-preset", "ultrafast")
    share = Share(at_once=2, threads=1, memory=300 * 1024**2)
    tight = FfmpegTranscoder(store, PROFILE, concurrency=2, timeout=60, share=share)
    (outcome,) = tight.encode([request(put(store, "1", source))])
    assert isinstance(outcome.result, EncodeRefused), outcome.result
    assert (outcome.result.kind, str(outcome.result)) == (
        "broken",
        "it takes more memory than the 314.6 MB that each of 2 encodes at a time gets here; set VIDEO_CONCURRENCY "
        "lower, then run the day again with --force",
    )


def test_where_the_memory_holds_fewer_encodes_than_are_wanted_the_log_says_so(
    store: LocalStore, clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    share = share_of(wanted=3, cores=2, memory=3 * 1024**3)
    few = FfmpegTranscoder(store, PROFILE, concurrency=3, timeout=60, share=share)
    outcomes = list(few.encode([request(put(store, str(number), clip)) for number in range(2)]))
    assert all(isinstance(outcome.result, ProcessedVideo) for outcome in outcomes)
    assert "VIDEO_CONCURRENCY is 3, and the memory here suffices for 1 encode at a time" in caplog.text


def test_what_plays_longer_than_it_says_is_cut_off_and_refused(store: LocalStore, clip: Path) -> None:
    bounded = FfmpegTranscoder(store, PROFILE, concurrency=1, timeout=60, bounds=EncodeBounds(max_seconds=0.5))
    (outcome,) = bounded.encode([request(put(store, "1", clip))])
    assert isinstance(outcome.result, EncodeRefused)
    assert outcome.result.kind == "broken"
    assert not list((store.root / "processed_videos").rglob("*.*"))


def test_a_picture_beyond_the_bound_is_not_decoded(store: LocalStore, clip: Path) -> None:
    bounds = EncodeBounds(max_seconds=60, max_pixels=320 * 180 - 1)
    (outcome,) = FfmpegTranscoder(store, PROFILE, concurrency=1, timeout=60, bounds=bounds).encode(
        [request(put(store, "1", clip))]
    )
    assert not isinstance(outcome.result, ProcessedVideo)
