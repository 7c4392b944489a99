"""Videos of web pages, by the real yt-dlp on pages of our own: what becomes of each kind of page, and what the child
that runs yt-dlp cannot do."""

import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.child import Bounds, run
from ncaa_assets.failures import CopyFailed, RunEnded
from ncaa_assets.media.ffmpeg import ffmpeg_program
from ncaa_assets.ports import CopyOutcome
from ncaa_assets.record.models import CopiedVideo, Highlight, VideosDay
from ncaa_assets.retry import RetryPolicy
from ncaa_assets.video import host, pace
from ncaa_assets.video.copier import CopyLimits, VideoCopier
from ncaa_assets.video.pages import _MOST_MEMORY, YtDlpReader
from ncaa_assets.video.plan import plan_copies
from ncaa_assets.video.runtime import find
from ncaa_assets.video.safe_http import HostPolicy
from ncaa_assets_tests.days import DAY, KEY, command
from ncaa_assets_tests.loopback.http_server import (
    Asked,
    Handler,
    Reply,
    Script,
    ScriptedServer,
    raw,
    scripted_server,
    stalls_in_the_middle,
)
from ncaa_assets_tests.loopback.listing import record, serve_listing

MOST_BYTES = 2_000_000


@dataclass(frozen=True)
class Media:
    mp4: bytes
    playlist: bytes
    segments: tuple[bytes, ...]


@pytest.fixture(scope="module")
def media(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Media:
    folder = tmp_path_factory.mktemp("hls")
    subprocess.run(
        [ffmpeg_program(), "-v", "error", "-nostdin", "-i", str(clip), "-c:v", "libx264", "-g", "15", "-c:a", "copy",
         "-hls_time", "0.5", "-hls_list_size", "0", str(folder / "list.m3u8")],
        check=True,
    )  # fmt: skip
    names = re.findall(r"^list\d+\.ts$", (folder / "list.m3u8").read_text(), re.MULTILINE)
    assert len(names) > 2
    return Media(
        clip.read_bytes(),
        (folder / "list.m3u8").read_bytes(),
        tuple((folder / name).read_bytes() for name in names),
    )


def page(*videos: str) -> Reply:
    players = "".join(f"<video controls src='{video}'></video>" for video in videos)
    return Reply(f"<!doctype html><title>Watch</title><body>{players}</body>".encode(), content_type="text/html")


def mp4(body: bytes, **more: Any) -> Reply:
    return Reply(body, content_type="video/mp4", **more)


def larger(body: bytes) -> bytes:
    return body + (MOST_BYTES + 8).to_bytes(4, "big") + b"free" + bytes(MOST_BYTES)


def endless_page(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html")
    handler.send_header("Connection", "close")
    handler.end_headers()
    try:
        handler.wfile.write(b"<!doctype html><title>")
        for _ in range(64):
            handler.wfile.write(b"x" * 1024**2)
        handler.server.on("/endless/page", Reply(b"all 64 MB were read", status=410))
    except OSError:
        pass  # the client has had enough, as it should


@dataclass(frozen=True)
class Case:
    """A page and what it leads to (paths are below the case's own), what becomes of it, words of the reason, and how
    often the path `video` was asked for."""

    name: str
    site: Callable[[Media], dict[str, Script | Sequence[Script]]]
    outcome: str
    says: str = ""
    asked: int | None = None


CASES = [
    Case("video", lambda m: {"page": page("video"), "video": mp4(m.mp4)}, "copied", asked=1),
    Case("two", lambda m: {"page": page("video", "other"), "video": mp4(m.mp4), "other": mp4(m.mp4[::-1])}, "copied"),
    Case("broken-once", lambda m: {"page": page("video"), "video": [mp4(m.mp4[:9000], length=len(m.mp4)), mp4(m.mp4)]},
         "copied", asked=2),
    Case("no-length", lambda m: {"page": page("video"), "video": mp4(m.mp4, length=None)}, "copied", asked=1),
    Case("hls",
         lambda m: {"page": page("list.m3u8"), "list.m3u8": Reply(m.playlist, content_type="application/x-mpegurl"),
                    **{f"list{n}.ts": Reply(one, content_type="video/mp2t") for n, one in enumerate(m.segments)}},
         "copied"),
    Case("hls-lacks-one",
         lambda m: {"page": page("list.m3u8"), "list.m3u8": Reply(m.playlist, content_type="application/x-mpegurl"),
                    **{f"list{n}.ts": Reply(one, content_type="video/mp2t") for n, one in enumerate(m.segments[:-1])}},
         "gone", "404"),
    Case("hints", lambda m: {"page": page("video"), "video": raw(
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(m.mp4) + m.mp4)},
         "copied"),
    Case("no-number", lambda m: {"page": page("video"), "video": raw(
        b"HTTP/1.1 200 OK\r\nso it goes\r\nContent-Length: +5\r\n\r\n" + m.mp4)}, "copied", asked=1),
    Case("two-lengths", lambda m: {"page": page("video"), "video": raw(
        b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\nContent-Length: 9001\r\n\r\n" + m.mp4)}, "gone", "lengths"),
    Case("not-packed", lambda m: {"page": page("video"), "video": mp4(m.mp4, headers={"Content-Encoding": "gzip"})},
         "not-video", "unpacked"),
    Case("utf-8", lambda m: {"page": page("away"), "away": raw(
        b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: vid\te\\..\\..\\utf-8\\video?\xc3\xa4\r\n\r\n"),
        "video": mp4(m.mp4)}, "copied", asked=1),
    Case("none", lambda m: {"page": page()}, "unresolved", "no video in its page"),
    Case("page-again", lambda m: {"page": page("video"), "video": mp4(page("video").body)}, "unresolved", "page again"),
    Case("nonsense", lambda m: {"page": page("video"), "video": mp4(bytes(5000))}, "not-video"),
    Case("cut-at-the-host", lambda m: {"page": page("video"), "video": mp4(m.mp4[:9000])}, "not-video", "damaged"),
    Case("cut", lambda m: {"page": page("video"), "video": mp4(m.mp4[:9000], length=len(m.mp4))}, "failed", asked=2),
    Case("cut-no-length", lambda m: {"page": page("video"), "video": mp4(m.mp4[:9000], length=None)}, "failed",
         asked=2),
    Case("403", lambda m: {"page": page("video"), "video": Reply(status=403)}, "gone", "403"),
    Case("500", lambda m: {"page": page("video"), "video": Reply(status=500)}, "failed", "500", asked=2),
    Case("large", lambda m: {"page": page("video"), "video": mp4(larger(m.mp4))}, "too-large"),
    Case("large-no-length", lambda m: {"page": page("video"), "video": mp4(larger(m.mp4), length=None)}, "too-large"),
    Case("endless", lambda m: {"page": endless_page}, "too-large"),
    Case("metadata", lambda m: {"page": page("http://169.254.169.254/a.mp4")}, "unsafe", "not a public address"),
    Case("file", lambda m: {"page": page("file:///etc/passwd")}, "unresolved"),
    Case("to-this-machine",
         lambda m: {"page": page("video"), "video": Reply(status=302, headers={"Location": "http://localhost:22/"})},
         "unsafe", "not a public address"),
]  # fmt: skip


@dataclass(frozen=True)
class Day:
    """All the cases, copied as one day."""

    store: LocalStore
    server: ScriptedServer
    outcomes: dict[str, CopyOutcome]


@pytest.fixture(scope="module")
def day(media: Media, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    folder = tmp_path_factory.mktemp("pages")
    store = LocalStore(folder / "archive")
    with scripted_server() as server, pytest.MonkeyPatch.context() as patch:
        for case in CASES:
            for path, answers in case.site(media).items():
                server.on(f"/{case.name}/{path}", *(answers if isinstance(answers, Sequence) else [answers]))
        # What the person who runs it has, and the child must not use.
        with socket.create_server(("127.0.0.1", 0)) as proxy:
            proxy.setblocking(False)
            patch.setenv("http_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
            patch.setenv("HOME", str(folder))
            patch.setenv("RAPIDAPI_KEY", KEY)
            patch.setenv("NETRC", str(folder / ".netrc"))
            (folder / ".netrc").write_text("machine 127.0.0.1 login me password secret\n", "utf-8")
            (folder / ".netrc").chmod(0o600)
            (folder / ".config").mkdir()
            (folder / ".config" / "yt-dlp.conf").write_text(f"--exec 'touch {folder}/ran' --netrc\n", "utf-8")
            highlights = [Highlight(id=case.name, url=server.url(f"/{case.name}/page")) for case in CASES]
            plan = plan_copies(
                highlights, VideosDay(date=DAY), have=bool, count=None, force=False, searched_pages={"page"}
            )
            outcomes = {one.candidate.highlight.id: one for one in copier(store, server).copy(DAY, plan)}
            with pytest.raises(BlockingIOError):
                proxy.accept()
        assert not (folder / "ran").exists()
        yield Day(store, server, outcomes)


def copier(store: LocalStore, server: ScriptedServer, *, retries: int = 1, most_seconds: float = 600) -> VideoCopier:
    policy = HostPolicy(trusted_origin=("127.0.0.1", server.port))
    return VideoCopier(
        store,
        policy,
        CopyLimits(max_bytes=MOST_BYTES, min_bytes_per_second=0, retry=RetryPolicy(retries, 0)),
        concurrency=3,
        pages=YtDlpReader(policy, most_seconds=most_seconds, deno=find()),
    )


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_a_page_leads_to_is_stored_whole_or_leaves_nothing(case: Case, day: Day, media: Media) -> None:
    result = day.outcomes[case.name].result
    found = "copied" if isinstance(result, CopiedVideo) else getattr(result, "kind", "failed")
    assert found == case.outcome, result
    stored = [info.key for info in day.store.list(f"videos/{DAY}/{case.name}.")]
    if isinstance(result, CopiedVideo):
        assert stored == [result.key]
        assert result.from_page
        assert result.source_url == day.server.url(f"/{case.name}/page")
        whole = b"".join(media.segments) if case.name == "hls" else media.mp4
        assert Path(day.store.path(result.key)).read_bytes() == whole
    else:
        assert stored == []
        assert case.says in str(result)
    if case.asked is not None:
        assert day.server.times(f"/{case.name}/video") == case.asked


@pytest.mark.slow
def test_nothing_of_the_persons_goes_to_a_pages_host_and_nothing_is_left_behind(day: Day) -> None:
    assert list((day.store.root / ".tmp").iterdir()) == []
    for asked in day.server.asked:
        assert not {"authorization", "cookie", "proxy-authorization"} & asked.headers.keys()
        assert KEY not in str(asked)


@pytest.mark.slow
def test_a_video_that_stalls_behind_a_page_is_given_up(
    store: LocalStore, server: ScriptedServer, media: Media, released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "RATE_WINDOW", 6.0)  # with the start of the child in it
    monkeypatch.setattr(pace, "TIMEOUT", (5.0, 0.5))
    monkeypatch.setattr(host, "TIMEOUT", (5.0, 0.5))
    server.on("/video", stalls_in_the_middle(released, media.mp4[:9000]))
    plan = plan_copies(
        [Highlight(id="1", url=server.on("/page", page("video")))],
        VideosDay(date=DAY), have=bool, count=None, force=False, searched_pages={"page"},
    )  # fmt: skip
    (outcome,) = copier(store, server, retries=0).copy(DAY, plan)
    assert isinstance(outcome.result, CopyFailed)
    assert "bytes a second" in str(outcome.result)
    assert [path for path in store.root.rglob("*") if path.is_file()] == []


def test_a_page_that_takes_longer_than_any_copy_may_is_given_up(
    store: LocalStore, server: ScriptedServer, media: Media, released: threading.Event
) -> None:
    server.on("/video", stalls_in_the_middle(released, media.mp4[:9000]))
    plan = plan_copies(
        [Highlight(id="1", url=server.on("/page", page("video")))],
        VideosDay(date=DAY), have=bool, count=None, force=False, searched_pages={"page"},
    )  # fmt: skip
    (outcome,) = copier(store, server, retries=0, most_seconds=4).copy(DAY, plan)
    assert isinstance(outcome.result, CopyFailed)
    assert "took too long" in str(outcome.result)
    assert [path for path in store.root.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("most_bytes", "slowest", "least", "most"),
    [(2 * 1024**3, 20_000, 107_374, 250_000), (1, 20_000, 60, 4000), (2 * 1024**3, 0, 10**6, 10**7),
     (10**30, 0, 10**6, 10**7)],
)  # fmt: skip
def test_a_copy_has_time_enough_and_an_end(most_bytes: int, slowest: int, least: float, most: float) -> None:
    limits = CopyLimits(max_bytes=most_bytes, min_bytes_per_second=slowest, retry=RetryPolicy(0, 0))
    assert least < limits.most_seconds < most


def test_closing_the_copier_ends_the_child(
    store: LocalStore, server: ScriptedServer, media: Media, released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way, ended = copier(store, server), threading.Event()
    server.on("/video", stalls_in_the_middle(released, media.mp4[:9000]))
    plan = plan_copies(
        [Highlight(id="1", url=server.on("/page", page("video")))],
        VideosDay(date=DAY), have=bool, count=None, force=False, searched_pages={"page"},
    )  # fmt: skip
    asked = threading.Event()
    answer = server.next_script

    def next_script(request: Asked) -> Script:
        if request.path == "/video":
            asked.set()
        return answer(request)

    monkeypatch.setattr(server, "next_script", next_script)

    def consume() -> None:
        with pytest.raises(RunEnded):
            list(under_way.copy(DAY, plan))
        ended.set()

    thread = threading.Thread(target=consume)
    thread.start()
    assert asked.wait(30)
    reader = under_way._pages
    assert isinstance(reader, YtDlpReader)
    (child,) = reader._running
    under_way.close()
    assert ended.wait(20)
    thread.join()
    assert child.wait().status == -9
    assert [path for path in store.root.rglob("*") if path.is_file()] == []


FENCED = """
import os, socket, subprocess, sys
from ncaa_assets.video.pages import _fence
from ncaa_assets.video.runtime import Runtime
from ncaa_assets.video.safe_http import HostPolicy
deno, popen = sys.argv[3], subprocess.Popen
runtime = Runtime(deno) if deno else None
if runtime:
    runtime.replace_popen()
_fence(HostPolicy(trusted_origin=("127.0.0.1", int(sys.argv[1]))), runtime)
def refused(name, attempt):
    try:
        attempt()
    except OSError as error:  # PermissionError, and the limit of a file's size
        print(name, type(error).__name__)
    else:
        print(name, "WORKED")
def udp():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 53))
refused("tcp", lambda: socket.create_connection(("127.0.0.1", int(sys.argv[2]))))
refused("udp", udp)
refused("unix", lambda: socket.socket(socket.AF_UNIX).connect("/tmp/x"))
refused("popen", lambda: subprocess.run(["/bin/true"]))
refused("shell", lambda: subprocess.run("true", shell=True))
refused("replaced", lambda: popen(["/bin/true"]))
refused("allowed", lambda: popen([deno or "deno", "run", "--allow-read", "-"]))
refused("eval", lambda: subprocess.run([deno or "deno", "eval", "1"]))
refused("system", lambda: os.system("true"))
refused("fork", os.fork)
refused("spawn", lambda: os.posix_spawn("/bin/true", ["true"], {}))
refused("exec", lambda: os.execv("/bin/true", ["true"]))
refused("disk", lambda: open("large", "wb", buffering=0).write(bytes(1000)) and open("large", "ab", 0).write(b"x"))
socket.create_connection(("127.0.0.1", int(sys.argv[1]))).close()
print("trusted")
"""


@pytest.mark.parametrize("has_runtime", [False, True])
def test_the_child_reaches_no_other_host_starts_no_program_and_fills_no_disk(tmp_path: Path, has_runtime: bool) -> None:
    deno = find() or "" if has_runtime else ""
    assert bool(deno) == has_runtime
    with socket.create_server(("127.0.0.1", 0)) as trusted, socket.create_server(("127.0.0.1", 0)) as other:
        ports = [str(one.getsockname()[1]) for one in (trusted, other)]
        bounds = Bounds(seconds=60, data=_MOST_MEMORY, file_size=1000)
        environment = {
            "PYTHONDONTWRITEBYTECODE": "1"
        }  # a file that is cut off at the bound would be read by later runs
        ended = run([sys.executable, "-c", FENCED, *ports, deno], bounds=bounds, environment=environment, check=False)
    names = ("tcp", "udp", "unix", "popen", "shell", "replaced", "allowed", "eval", "system", "fork", "spawn", "exec")
    told = ended.stdout.decode().splitlines()
    assert told == [f"{name} PermissionError" for name in names] + ["disk OSError", "trusted"], ended.stderr


@pytest.mark.slow
def test_a_day_of_pages_is_backed_up_by_the_command_when_it_is_asked_for(
    server: ScriptedServer, media: Media, clip: Path
) -> None:
    server.on("/video", mp4(media.mp4))
    listing = serve_listing(server, lambda: [record(1, server.on("/page", page("video")))])
    environment = {"API_URL": listing, "RAPIDAPI_KEY": KEY, "VIDEO_ALLOW_PRIVATE_HOSTS": "1"}

    first = command("backup", "--date", DAY, **environment)
    assert first.returncode == 0, first.stderr
    assert "the day's only clip is a web page (127.0.0.1), not a file: nothing was copied" in first.stdout
    assert not Path("data/videos", DAY).exists()

    second = command("backup", "--date", DAY, VIDEO_PAGES="yt-dlp", **environment)
    assert second.returncode == 0, second.stderr
    assert Path("data/videos", DAY, "1.mp4").read_bytes() == clip.read_bytes()
    assert Path("data/processed_videos", DAY, "1.mp4").exists()
