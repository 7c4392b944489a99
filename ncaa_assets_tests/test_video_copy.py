"""From a URL to a stored, verified video: what a host can answer, in one table, and which of a day's videos are taken.

The host is a real server on loopback, trusted by its exact origin, so that everything else is judged as in earnest.
"""

import gzip
import hashlib
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ncaa_assets import video_copy
from ncaa_assets.backends.base import Upload
from ncaa_assets.backends.local import LocalStore, ffmpeg_program
from ncaa_assets.failures import CopyFailed, RunEnded, StoreError, VideoRefused
from ncaa_assets.models import CopiedVideo, Highlight, VideosDay
from ncaa_assets.safe_http import HostPolicy
from ncaa_assets.video_copy import CopyLimits, CopyOutcome, CopyPlan, VideoCopier, plan_copies, skipped
from ncaa_assets_tests.http_server import Handler, Reply, Script, ScriptedServer

DAY = "2025-03-09"
MOST_BYTES = 2_000_000
LOOK_UP = socket.getaddrinfo


@dataclass(frozen=True)
class Media:
    """Real files of each kind, and their bytes."""

    mp4: bytes
    silent: bytes
    mov: bytes
    webm: bytes
    ts: bytes
    sound: bytes

    @property
    def endless_start(self) -> bytes:
        """A file whose last box reaches to the end, wherever that is."""
        return self.mp4[: self.mp4.index(b"mdat") - 4] + b"\0\0\0\0mdat"


@pytest.fixture(scope="session")
def media(clip: Path, silent_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Media:
    folder = tmp_path_factory.mktemp("media")

    def made(name: str, *arguments: str) -> bytes:
        subprocess.run(
            [ffmpeg_program(), "-v", "error", "-nostdin", "-i", str(clip), *arguments, str(folder / name)], check=True
        )
        return (folder / name).read_bytes()

    return Media(
        mp4=clip.read_bytes(),
        silent=silent_clip.read_bytes(),
        mov=made("a.mov", "-c", "copy"),
        webm=made("a.webm", "-an", "-t", "0.5", "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8"),
        ts=made("a.ts", "-c", "copy"),
        sound=made("sound.mp4", "-vn", "-c", "copy"),
    )


def highlight(number: int | str, url: str | None) -> Highlight:
    return Highlight(id=str(number), url=url, title=f"Game {number}")


def copier(
    store: LocalStore,
    server: ScriptedServer,
    *,
    policy: HostPolicy | None = None,
    count: int | None = None,
    concurrency: int = 4,
    retries: int = 2,
    slowest: int = 0,
) -> VideoCopier:
    return VideoCopier(
        store,
        policy or HostPolicy(trusted_origin=("127.0.0.1", server.port)),
        CopyLimits(max_bytes=MOST_BYTES, min_bytes_per_second=slowest, retry_count=retries, retry_delay=0),
        concurrency=concurrency,
        count=count,
    )


def copy_one(store: LocalStore, server: ScriptedServer, url: str | None, **options: Any) -> CopyOutcome:
    plan = plan_copies([highlight(1, url)], VideosDay(date=DAY), have=lambda _: True, count=None, force=False)
    (outcome,) = copier(store, server, **options).copy(DAY, plan)
    return outcome


def run(
    store: LocalStore,
    server: ScriptedServer,
    highlights: Sequence[Highlight],
    manifest: VideosDay,
    *,
    count: int | None = None,
    force: bool = False,
) -> list[CopyOutcome]:
    """A day's run: plans, copies, and records every outcome in the manifest, as the asset does."""
    plan = plan_copies(highlights, manifest, have=lambda video: is_stored(store, video), count=count, force=force)
    outcomes = list(copier(store, server, count=count).copy(DAY, plan))
    for outcome in outcomes:
        key = outcome.candidate.highlight.id
        manifest.skipped = [skip for skip in manifest.skipped if skip.id != key]
        if isinstance(outcome.result, CopiedVideo):
            manifest.videos = [video for video in manifest.videos if video.key != outcome.result.key]
            manifest.videos.append(outcome.result)
        else:
            manifest.skipped.append(skipped(outcome, outcome.result))
    return outcomes


def is_stored(store: LocalStore, video: CopiedVideo) -> bool:
    info = store.info(video.key)
    return info is not None and info.size == video.bytes


def files(store: LocalStore) -> list[str]:
    """Everything that lies in the store's folder, half-written things too."""
    return sorted(path.relative_to(store.root).as_posix() for path in store.root.rglob("*") if path.is_file())


def copied(outcome: CopyOutcome) -> CopiedVideo:
    assert isinstance(outcome.result, CopiedVideo), outcome.result
    return outcome.result


def video(body: bytes, **more: Any) -> Reply:
    return Reply(body, content_type="video/mp4", **more)


def wait_until(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.005)


# ---- What a host can answer ------------------------------------------------------------------------------------------


def chunked(body: bytes, *, whole: bool = True) -> Script:
    def send(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for at in range(0, len(body), 10_000):
            piece = body[at : at + 10_000]
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n" if whole else b"")
        handler.close_connection = True

    return send


def endless(start: bytes) -> Script:
    def send(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(start)
        with suppress(OSError):  # until the client has had enough
            for _ in range(10_000):
                handler.wfile.write(bytes(65_536))

    return send


def endless_redirect(to: str) -> Script:
    def send(handler: Handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", to)
        handler.send_header("Connection", "close")
        handler.end_headers()
        with suppress(OSError):
            for _ in range(1000):
                handler.wfile.write(bytes(65_536))
            handler.server.on("/clip", Reply(b"all 60 MB of it were read", status=410))

    return send


def hang_up(handler: Handler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def redirect(to: str) -> Reply:
    return Reply(status=302, headers={"Location": to})


def cut(part: int, length: str) -> Callable[[Media], Sequence[Script]]:
    """The first `part` thirds of the clip, with a length of the whole, of its own, or none."""

    def answers(media: Media) -> Sequence[Script]:
        body = media.mp4[: len(media.mp4) * part // 3]
        return [video(body, length={"of the whole": len(media.mp4), "its own": len(body), "none": None}[length])]

    return answers


HTML = b"<!DOCTYPE html><html><title>Watch</title><body>No video here, though you may think so.</body></html>"
DAMAGED = "damaged"


@dataclass(frozen=True)
class Case:
    """What the host answers in turn, and what becomes of it: `copied`, `failed` (a passing reason), or the kind of a
    refusal; how often the host was asked; and words of the reason."""

    name: str
    answers: Callable[[Media], Sequence[Script]]
    outcome: str
    asked: int = 1
    says: str = ""
    container: str = "mp4"


CASES = [
    Case("good", lambda m: [video(m.mp4)], "copied"),
    Case("octet-stream", lambda m: [Reply(m.mp4)], "copied"),
    Case("called text/html", lambda m: [Reply(m.mp4, content_type="text/html")], "copied"),
    Case("no length", lambda m: [video(m.mp4, length=None)], "copied"),
    Case("chunked", lambda m: [chunked(m.mp4)], "copied"),
    Case("chunks that stop", lambda m: [chunked(m.mp4, whole=False)], "failed", asked=3, says="connection broke"),
    Case("silent", lambda m: [video(m.silent)], "copied"),
    Case("QuickTime", lambda m: [video(m.mov)], "copied", container="mov"),
    Case("WebM", lambda m: [video(m.webm)], "copied", container="webm"),
    Case("WebM cut, no length", lambda m: [video(m.webm[:-9], length=None)], "failed", asked=3, says="cut off"),
    Case("WebM cut at the host", lambda m: [video(m.webm[:-9])], "not-video", says=DAMAGED),
    Case("MPEG-TS", lambda m: [video(m.ts)], "copied", container="ts"),
    Case("MPEG-TS cut, no length", lambda m: [video(m.ts[:-9], length=None)], "failed", asked=3, says="cut off"),
    Case("MPEG-TS cut at the host", lambda m: [video(m.ts[:-9])], "not-video", says=DAMAGED),
    Case("sound alone", lambda m: [video(m.sound)], "not-video", says="no picture"),
    Case("gzip", lambda m: [video(gzip.compress(m.mp4), headers={"Content-Encoding": "gzip"})], "copied"),
    Case("gzip cut, no length",
         lambda m: [video(gzip.compress(m.mp4)[:-500], headers={"Content-Encoding": "gzip"}, length=None)],
         "failed", asked=3),
    Case("gzip damaged",
         lambda m: [video(b"\x1f\x8b\x08" + bytes(5000), headers={"Content-Encoding": "gzip"})], "failed", asked=3),
    Case("gzip of a hundred times its size",
         lambda m: [video(gzip.compress(m.endless_start + bytes(MOST_BYTES)), headers={"Content-Encoding": "gzip"})],
         "too-large"),
    Case("length too large", lambda m: [video(m.mp4, length=len(m.mp4) + 1000)], "failed", asked=3),
    Case("length too small", lambda m: [video(m.mp4, length=len(m.mp4) - 1000)], "not-video", says=DAMAGED),
    *(Case(f"cut at {part}/3", cut(part, "of the whole"), "failed", asked=3, says="connection broke")
      for part in (0, 1, 2)),
    *(Case(f"cut at {part}/3, no length", cut(part, "none"), "failed", asked=3) for part in (0, 1, 2)),
    *(Case(f"cut at {part}/3 at the host", cut(part, "its own"), "not-video", says=DAMAGED) for part in (1, 2)),
    Case("cut once and then whole", lambda m: [video(m.mp4[:9000], length=len(m.mp4)), video(m.mp4)],
         "copied", asked=2),
    Case("cut once without a length and then whole", lambda m: [video(m.mp4[:9000], length=None), video(m.mp4)],
         "copied", asked=2),
    Case("damaged in the middle", lambda m: [video(m.mp4[:40] + b"\0\0\0\x20evil" + m.mp4[40:])],
         "not-video", says=DAMAGED),
    Case("HTML as video/mp4", lambda m: [video(HTML)], "page", says="web page"),
    Case("HTML as text/html", lambda m: [Reply(HTML, content_type="text/html; charset=utf-8")], "page"),
    Case("HTML after blank lines", lambda m: [video(b"\xef\xbb\xbf\r\n  " + HTML.lower())], "page"),
    Case("something else as text/html", lambda m: [Reply(b"Not here", content_type="text/html")], "page"),
    Case("JSON", lambda m: [Reply(b'{"error": 1}', content_type="application/json")], "not-video",
         says="application/json"),
    Case("a picture", lambda m: [Reply(b"\xff\xd8\xff\xe0" + bytes(9000), content_type="image/jpeg")], "not-video"),
    Case("empty", lambda m: [video(b"")], "not-video", says="sent nothing"),
    Case("403", lambda m: [Reply(b"no", status=403)], "gone", says="403"),
    Case("404", lambda m: [Reply(HTML, status=404)], "gone", says="404"),
    Case("a part of it", lambda m: [video(m.mp4, status=206)], "gone", says="206"),
    Case("500 then good", lambda m: [Reply(status=500), video(m.mp4)], "copied", asked=2),
    Case("503 for ever", lambda m: [Reply(status=503)], "failed", asked=3, says="503"),
    Case("429 with a short wait, then good", lambda m: [Reply(status=429, headers={"Retry-After": "0"}), video(m.mp4)],
         "copied", asked=2),
    Case("429 with a long wait", lambda m: [Reply(status=429, headers={"Retry-After": "3600"}), video(m.mp4)],
         "failed", asked=1, says="429"),
    Case("hangs up", lambda m: [hang_up], "failed", asked=3, says="connection broke"),
    Case("hangs up, then good", lambda m: [hang_up, video(m.mp4)], "copied", asked=2),
    Case("redirect to good", lambda m: [redirect("?again"), video(m.mp4)], "copied", asked=2),
    Case("redirect with an endless body to good", lambda m: [endless_redirect("?again"), video(m.mp4)], "copied",
         asked=2),
    Case("redirect loop", lambda m: [redirect("?again")], "gone", asked=6, says="redirects"),
    Case("redirect to nowhere", lambda m: [Reply(status=302)], "gone", says="302"),
    Case("redirect to the metadata endpoint", lambda m: [redirect("http://169.254.169.254/latest/meta-data/")],
         "unsafe", says="not a public address"),
    Case("redirect to the ECS credentials", lambda m: [redirect("http://169.254.170.2/v2/credentials")], "unsafe"),
    Case("redirect to this machine", lambda m: [redirect("http://localhost:22/")], "unsafe"),
    Case("redirect to a file", lambda m: [redirect("file:///etc/passwd")], "unsafe", says="only http and https"),
    Case("redirect to nonsense", lambda m: [redirect("http://[::1")], "unsafe"),
    Case("over the limit", lambda m: [video(m.mp4, length=MOST_BYTES + 1)], "too-large", says="VIDEO_MAX_BYTES"),
    Case("over the limit, no length", lambda m: [video(m.endless_start + bytes(MOST_BYTES), length=None)],
         "too-large"),
    Case("over the limit, chunked", lambda m: [chunked(m.endless_start + bytes(MOST_BYTES))], "too-large"),
    Case("endless", lambda m: [endless(m.endless_start)], "too-large"),
    Case("endless nonsense", lambda m: [endless(b"nonsense")], "not-video"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_a_host_answers_is_stored_whole_or_leaves_nothing(
    case: Case, media: Media, store: LocalStore, server: ScriptedServer
) -> None:
    url = server.on("/clip", *case.answers(media))
    outcome = copy_one(store, server, url)
    check_outcome(outcome, store, case.outcome, says=case.says, container=case.container)
    assert server.times("/clip") == case.asked
    if case.outcome == "copied":
        stored = (store.root / copied(outcome).key).read_bytes()
        kinds = (media.mp4, media.silent, media.mov, media.webm, media.ts)
        assert stored in kinds
        assert copied(outcome).sha256 == hashlib.sha256(stored).hexdigest()
        assert copied(outcome).bytes == len(stored)


def check_outcome(
    outcome: CopyOutcome, store: LocalStore, expected: str, *, says: str = "", container: str = "mp4"
) -> None:
    result = outcome.result
    if isinstance(result, CopiedVideo):
        assert expected == "copied"
        assert result.key == f"videos/{DAY}/1.{container}"
        assert result.container == container
        assert files(store) == [result.key]
        return
    assert expected == (result.kind if isinstance(result, VideoRefused) else "failed"), result
    assert says in str(result)
    assert files(store) == []


@pytest.mark.parametrize(
    ("url", "expected", "says"),
    [
        ("http://me:secret@{server}/clip", "unsafe", "user name or password"),
        ("http://clips.test:{port}/clip", "unsafe", "not a public address"),
        ("http://127.0.0.1:1/clip", "unsafe", "not a public address"),
        ("http://no-such-host.test/clip", "failed", "cannot be reached"),
        ("ftp://{server}/clip", "unsafe", "only http and https"),
        ("//{server}/clip", "unsafe", "only http and https"),
        ("http://a..b/clip", "unsafe", "no host name"),
        ("http://*/clip", "gone", "cannot be asked for"),
        ("http://[::1", "unsafe", "cannot be understood"),
        ("http://\ud800.test/clip", "gone", "cannot be asked for"),
        ("http://{server}\0/clip", "unsafe", "cannot be understood"),
        ("http://exa mple/clip", "gone", "cannot be asked for"),
        (None, "gone", "no url"),
    ],
)
def test_an_address_that_is_not_to_be_copied_is_never_asked(
    url: str | None,
    expected: str,
    says: str,
    store: LocalStore,
    server: ScriptedServer,
    media: Media,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host == "no-such-host.test":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return LOOK_UP("127.0.0.1" if host == "clips.test" else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    server.on("/clip", video(media.mp4))
    outcome = copy_one(
        store, server, url and url.format(server=f"127.0.0.1:{server.port}", port=server.port), retries=1
    )
    check_outcome(outcome, store, expected, says=says)
    assert "secret" not in str(outcome.result)
    assert server.asked == []


def test_a_name_that_changes_its_answer_is_judged_again_with_every_connection(
    store: LocalStore, server: ScriptedServer, media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Public(HostPolicy):
        def allows(self, address: str, host: str, port: int) -> bool:
            return address == "127.0.0.1"

    answers = ["127.0.0.1", "127.0.0.2"]
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *args, **kwargs: LOOK_UP(answers.pop(0) if host == "clips.test" else host, *args, **kwargs),
    )
    server.on("/clip", Reply(status=500, headers={"Connection": "close"}), video(media.mp4))
    outcome = copy_one(store, server, f"http://clips.test:{server.port}/clip", policy=Public())
    check_outcome(outcome, store, "unsafe")
    assert server.times("/clip") == 1
    assert answers == []


@pytest.mark.parametrize("framing", ["length", "chunks", "none"])
def test_a_host_of_one_byte_at_a_time_is_given_up(
    framing: str, store: LocalStore, server: ScriptedServer, media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_copy, "RATE_WINDOW", 0.2)

    def drip(handler: Handler) -> None:
        handler.send_response(200)
        if framing == "length":
            handler.send_header("Content-Length", str(len(media.mp4)))
        elif framing == "chunks":
            handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.close_connection = True
        with suppress(OSError):
            for byte in media.mp4:
                handler.wfile.write(b"1\r\n%c\r\n" % byte if framing == "chunks" else bytes([byte]))
                time.sleep(0.02)

    started = time.monotonic()
    outcome = copy_one(store, server, server.on("/clip", drip), retries=0, slowest=20_000)
    check_outcome(outcome, store, "failed", says="bytes a second")
    assert time.monotonic() - started < 5


def test_a_host_that_sends_fast_enough_is_not_given_up(
    store: LocalStore, server: ScriptedServer, media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_copy, "RATE_WINDOW", 0.0)
    assert copied(copy_one(store, server, server.on("/clip", video(media.mp4)), slowest=1)).bytes == len(media.mp4)


def test_a_copy_says_how_long_it_plays_and_whether_it_has_sound(
    store: LocalStore, server: ScriptedServer, media: Media
) -> None:
    entry = copied(copy_one(store, server, server.on("/clip", video(media.mp4))))
    assert entry.duration_seconds == pytest.approx(2, abs=0.1)
    assert entry.has_sound is True
    assert entry.title == "Game 1"
    assert entry.source_url == server.url("/clip")
    assert copied(copy_one(store, server, server.on("/silent", video(media.silent)))).has_sound is False
    assert copied(copy_one(store, server, server.on("/webm", video(media.webm)))).has_sound is None


def test_a_store_that_fails_ends_the_run_and_is_no_fault_of_the_video(
    store: LocalStore, server: ScriptedServer, media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> Upload:
        raise StoreError("the disk is full")

    monkeypatch.setattr(store, "upload", full)
    with pytest.raises(StoreError, match="full"):
        copy_one(store, server, server.on("/clip", video(media.mp4)))
    assert server.times("/clip") == 1


# ---- Which of a day's videos are taken -------------------------------------------------------------------------------


@pytest.fixture
def day(server: ScriptedServer, media: Media) -> list[Highlight]:
    """Five highlights with a good video each, all different."""
    return [
        highlight(number, server.on(f"/{number}", video(media.mp4 + b"\0\0\0\x09free" + bytes([number]))))
        for number in range(1, 6)
    ]


def test_the_first_n_in_the_apis_order_are_copied(
    store: LocalStore, server: ScriptedServer, day: list[Highlight]
) -> None:
    manifest = VideosDay(date=DAY)
    run(store, server, day, manifest, count=2)
    assert sorted(video.id for video in manifest.videos) == ["1", "2"]
    assert [server.times(f"/{number}") for number in range(1, 6)] == [1, 1, 0, 0, 0]


def test_all_means_all(store: LocalStore, server: ScriptedServer, day: list[Highlight]) -> None:
    assert len(run(store, server, day, VideosDay(date=DAY), count=None)) == 5
    assert files(store) == [f"videos/{DAY}/{number}.mp4" for number in range(1, 6)]


def test_one_that_cannot_be_copied_is_replaced_by_the_next(
    store: LocalStore, server: ScriptedServer, day: list[Highlight]
) -> None:
    server.on("/1", Reply(HTML, content_type="text/html"))
    server.on("/3", Reply(status=404))
    manifest = VideosDay(date=DAY)
    run(store, server, day, manifest, count=2)
    assert sorted(video.id for video in manifest.videos) == ["2", "4"]
    assert {skip.id: skip.kind for skip in manifest.skipped} == {"1": "page", "3": "gone"}
    assert all(skip.reason and skip.source_url and skip.title for skip in manifest.skipped)
    assert server.times("/5") == 0


def test_where_none_can_be_copied_every_one_was_asked_and_is_listed(
    store: LocalStore, server: ScriptedServer, day: list[Highlight]
) -> None:
    for number in range(1, 6):
        server.on(f"/{number}", Reply(status=410))
    manifest = VideosDay(date=DAY)
    run(store, server, day, manifest, count=1)
    assert sorted(skip.id for skip in manifest.skipped) == ["1", "2", "3", "4", "5"]
    assert manifest.videos == []


def test_one_that_failed_for_a_passing_reason_keeps_its_place(
    store: LocalStore, server: ScriptedServer, day: list[Highlight], media: Media
) -> None:
    server.on("/1", *[Reply(status=500)] * 3, video(media.mp4))
    manifest = VideosDay(date=DAY)
    (outcome,) = run(store, server, day, manifest, count=1)
    assert isinstance(outcome.result, CopyFailed)
    assert [(skip.id, skip.kind) for skip in manifest.skipped] == [("1", "failed")]
    assert server.times("/2") == 0
    run(store, server, day, manifest, count=1)
    assert [video.id for video in manifest.videos] == ["1"]
    assert manifest.skipped == []
    assert server.times("/2") == 0


def test_what_is_there_is_not_asked_for_again(store: LocalStore, server: ScriptedServer, day: list[Highlight]) -> None:
    manifest = VideosDay(date=DAY)
    run(store, server, day, manifest, count=2)
    assert run(store, server, day, manifest, count=2) == []
    assert len(server.asked) == 2


def test_a_larger_count_copies_only_what_is_missing_and_a_smaller_one_removes_nothing(
    store: LocalStore, server: ScriptedServer, day: list[Highlight]
) -> None:
    manifest = VideosDay(date=DAY)
    run(store, server, day, manifest, count=1)
    run(store, server, day, manifest, count=3)
    assert run(store, server, day, manifest, count=1) == []
    assert sorted(video.id for video in manifest.videos) == ["1", "2", "3"]
    assert len(server.asked) == 3


def test_n_copied_satisfy_n_even_when_an_earlier_record_arrives_later(
    store: LocalStore, server: ScriptedServer, day: list[Highlight]
) -> None:
    manifest = VideosDay(date=DAY)
    run(store, server, day[1:], manifest, count=1)
    assert run(store, server, day, manifest, count=1) == []
    assert server.times("/1") == 0


def test_a_copy_whose_file_is_lost_is_fetched_again(
    store: LocalStore, server: ScriptedServer, day: list[Highlight]
) -> None:
    manifest = VideosDay(date=DAY)
    run(store, server, day, manifest, count=1)
    (store.root / f"videos/{DAY}/1.mp4").unlink()
    run(store, server, day, manifest, count=1)
    assert [video.key for video in manifest.videos] == [f"videos/{DAY}/1.mp4"]
    assert files(store) == [f"videos/{DAY}/1.mp4"]


def test_a_changed_url_is_copied_beside_the_old_copy(
    store: LocalStore, server: ScriptedServer, day: list[Highlight], media: Media
) -> None:
    manifest = VideosDay(date=DAY)
    run(store, server, day, manifest, count=1)
    old = (store.root / f"videos/{DAY}/1.mp4").read_bytes()
    changed = [highlight(1, server.on("/new", video(media.silent))), *day[1:]]
    run(store, server, changed, manifest, count=1)
    beside = f"videos/{DAY}/1.{hashlib.sha256(media.silent).hexdigest()[:8]}.mp4"
    assert [video.key for video in manifest.videos] == [f"videos/{DAY}/1.mp4", beside]
    assert (store.root / f"videos/{DAY}/1.mp4").read_bytes() == old
    assert (store.root / beside).read_bytes() == media.silent
    assert run(store, server, changed, manifest, count=1) == []
    assert run(store, server, day, manifest, count=1) == []  # and back again: known too
    assert server.times("/2") == 0


def test_the_same_bytes_under_a_new_url_are_not_stored_twice(
    store: LocalStore, server: ScriptedServer, day: list[Highlight]
) -> None:
    manifest = VideosDay(date=DAY)
    run(store, server, day, manifest, count=1)
    body = (store.root / f"videos/{DAY}/1.mp4").read_bytes()
    for path in ("/new", "/newer"):
        moved = [highlight(1, server.on(path, video(body)))]
        run(store, server, moved, manifest, count=1)
        assert run(store, server, moved, manifest, count=1) == []
        assert server.times(path) == 1
    assert files(store) == [f"videos/{DAY}/1.mp4"]
    (entry,) = manifest.videos
    assert (entry.source_url, entry.other_urls) == (day[0].url, [server.url("/new"), server.url("/newer")])


def test_a_changed_url_that_cannot_be_copied_takes_no_others_place(
    store: LocalStore, server: ScriptedServer, day: list[Highlight]
) -> None:
    manifest = VideosDay(date=DAY)
    run(store, server, day, manifest, count=1)
    changed = [highlight(1, server.on("/new", Reply(status=404))), *day[1:]]
    run(store, server, changed, manifest, count=1)
    assert [video.id for video in manifest.videos] == ["1"]
    assert [skip.kind for skip in manifest.skipped] == ["gone"]
    assert server.times("/2") == 0


def test_a_page_is_not_asked_again_unless_forced(
    store: LocalStore, server: ScriptedServer, day: list[Highlight]
) -> None:
    server.on("/1", Reply(HTML, content_type="text/html"))
    manifest = VideosDay(date=DAY)
    run(store, server, day, manifest, count=1)
    run(store, server, day, manifest, count=3)
    assert server.times("/1") == 1
    assert [skip.id for skip in manifest.skipped] == ["1"]
    run(store, server, day, manifest, count=4, force=True)
    assert server.times("/1") == 2


def test_a_copied_video_whose_url_became_a_page_is_not_asked_again_either(
    store: LocalStore, server: ScriptedServer, day: list[Highlight]
) -> None:
    manifest = VideosDay(date=DAY)
    run(store, server, day, manifest, count=1)
    changed = [highlight(1, server.on("/new", Reply(HTML, content_type="text/html")))]
    for _ in range(2):
        run(store, server, changed, manifest, count=1)
    assert server.times("/new") == 1
    assert [video.id for video in manifest.videos] == ["1"]


def test_a_page_at_another_url_is_asked(
    store: LocalStore, server: ScriptedServer, day: list[Highlight], media: Media
) -> None:
    server.on("/1", Reply(HTML, content_type="text/html"))
    manifest = VideosDay(date=DAY)
    run(store, server, day[:1], manifest, count=1)
    run(store, server, [highlight(1, server.on("/new", video(media.mp4)))], manifest, count=1)
    assert [video.id for video in manifest.videos] == ["1"]
    assert manifest.skipped == []


def test_force_fetches_the_first_n_again_and_puts_back_a_damaged_copy(
    store: LocalStore, server: ScriptedServer, day: list[Highlight]
) -> None:
    manifest = VideosDay(date=DAY)
    run(store, server, day, manifest, count=2)
    before, stored = manifest.model_copy(deep=True), store.root / f"videos/{DAY}/1.mp4"
    good = stored.read_bytes()
    stored.write_bytes(bytes(len(good)))
    run(store, server, day, manifest, count=2, force=True)
    assert stored.read_bytes() == good
    assert sorted(manifest.videos, key=lambda video: video.id) == sorted(before.videos, key=lambda video: video.id)
    assert [server.times(f"/{number}") for number in range(1, 6)] == [2, 2, 0, 0, 0]
    assert files(store) == [f"videos/{DAY}/1.mp4", f"videos/{DAY}/2.mp4"]


def test_force_keeps_other_bytes_of_the_same_url_beside_the_old_copy(
    store: LocalStore, server: ScriptedServer, day: list[Highlight], media: Media
) -> None:
    manifest = VideosDay(date=DAY)
    run(store, server, day, manifest, count=1)
    server.on("/1", video(media.silent))
    run(store, server, day, manifest, count=1, force=True)
    assert len(manifest.videos) == 2
    assert len(files(store)) == 2


def test_force_on_one_that_is_gone_keeps_its_copy_and_takes_no_other(
    store: LocalStore, server: ScriptedServer, day: list[Highlight]
) -> None:
    manifest = VideosDay(date=DAY)
    run(store, server, day, manifest, count=1)
    server.on("/1", Reply(status=404))
    run(store, server, day, manifest, count=1, force=True)
    assert files(store) == [f"videos/{DAY}/1.mp4"]
    assert server.times("/2") == 0


HOSTILE = ["../../x", "..", ".", "a/b", "a\\b", "/etc/passwd", ".hidden", "x" * 300, "ü", "日本", " ", "a b", "a\0b",
           "CON:", "\ud800", "a_b", "-", "%2e%2e%2f", "https://example.com/watch?v=1"]  # fmt: skip


def test_no_id_names_a_file_outside_its_day_or_anothers(
    store: LocalStore, server: ScriptedServer, media: Media
) -> None:
    url = server.on("/clip", video(media.silent))
    outcomes = run(store, server, [highlight(one, url) for one in HOSTILE], VideosDay(date=DAY))
    keys = {copied(outcome).key for outcome in outcomes}
    assert len(keys) == len(HOSTILE)
    assert sorted(keys) == files(store)
    for key in keys:
        assert re.fullmatch(rf"videos/{DAY}/[A-Za-z0-9_-]{{1,100}}\.mp4", key)
    assert [path.name for path in store.root.parent.iterdir() if path != store.root] == []


# ---- Several at a time, and the end of a run -------------------------------------------------------------------------


def test_as_many_are_copied_at_a_time_as_asked_for_and_no_more(
    store: LocalStore, server: ScriptedServer, media: Media
) -> None:
    barrier, lock, now, most = threading.Barrier(3), threading.Lock(), [0], [0]

    def answer(handler: Handler) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        barrier.wait(10)  # three must be here at once for any to go on
        with lock:
            now[0] -= 1
        video(media.silent).send(handler)

    highlights = [highlight(number, server.on(f"/{number}", answer)) for number in range(6)]
    plan = CopyPlan([], [*plan_copies(highlights, VideosDay(date=DAY), have=bool, count=None, force=False).fresh], None)
    assert all(isinstance(one.result, CopiedVideo) for one in copier(store, server, concurrency=3).copy(DAY, plan))
    assert most == [3]


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """Set when the test ends, so that no host's thread outlives it."""
    event = threading.Event()
    yield event
    event.set()


def stalls_before_headers(released: threading.Event, start: bytes) -> Script:
    def answer(handler: Handler) -> None:
        released.wait(60)
        handler.close_connection = True

    return answer


def stalls_in_the_middle(released: threading.Event, start: bytes) -> Script:
    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        handler.wfile.write(start)
        released.wait(60)

    return answer


def stalls_without_a_length(released: threading.Event, start: bytes) -> Script:
    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(start)
        released.wait(60)

    return answer


def test_one_stalled_host_delays_no_other_and_closing_early_ends_its_copy(
    store: LocalStore, server: ScriptedServer, day: list[Highlight], media: Media, released: threading.Event
) -> None:
    server.on("/1", stalls_in_the_middle(released, media.mp4[:9000]))
    plan = plan_copies(day, VideosDay(date=DAY), have=bool, count=None, force=False)
    outcomes = copier(store, server, concurrency=2).copy(DAY, plan)
    assert {next(outcomes).candidate.highlight.id for _ in range(4)} == {"2", "3", "4", "5"}
    started = time.monotonic()
    outcomes.close()
    assert time.monotonic() - started < 2
    assert files(store) == [f"videos/{DAY}/{number}.mp4" for number in range(2, 6)]


@pytest.mark.parametrize("stall", [stalls_before_headers, stalls_in_the_middle, stalls_without_a_length])
def test_closing_the_copier_ends_a_copy_that_is_blocked_in_a_host_and_leaves_nothing(
    stall: Callable[[threading.Event, bytes], Script],
    store: LocalStore,
    server: ScriptedServer,
    media: Media,
    released: threading.Event,
) -> None:
    """A transport stream is whole after any packet, so an ended connection must not pass for an ended file."""
    url = server.on("/clip", stall(released, media.ts[: 188 * 40]))
    plan = plan_copies([highlight(1, url)], VideosDay(date=DAY), have=bool, count=None, force=False)
    under_way = copier(store, server)
    errors: list[BaseException] = []

    def consume() -> None:
        try:
            list(under_way.copy(DAY, plan))
        except RunEnded as error:
            errors.append(error)

    thread = threading.Thread(target=consume)
    thread.start()
    wait_until(lambda: server.asked if stall is stalls_before_headers else files(store))
    started = time.monotonic()
    under_way.close()
    thread.join(20)
    assert time.monotonic() - started < 2
    assert errors
    assert files(store) == []
    assert server.times("/clip") == 1


def test_closing_the_copier_ends_a_wait_between_two_attempts(store: LocalStore, server: ScriptedServer) -> None:
    url = server.on("/clip", Reply(status=429, headers={"Retry-After": "60"}))
    under_way = VideoCopier(
        store,
        HostPolicy(allow_private=True),
        CopyLimits(max_bytes=MOST_BYTES, min_bytes_per_second=0, retry_count=3, retry_delay=60),
        concurrency=1,
        count=None,
    )
    plan = plan_copies([highlight(1, url)], VideosDay(date=DAY), have=bool, count=None, force=False)
    ended = threading.Event()

    def consume() -> None:
        with suppress(RunEnded):
            list(under_way.copy(DAY, plan))
        ended.set()

    threading.Thread(target=consume).start()
    wait_until(lambda: server.asked)
    under_way.close()
    assert ended.wait(2)
    assert server.times("/clip") == 1
