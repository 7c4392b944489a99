"""From a URL to a stored, verified video: what a host can answer, in one table for both backends; several copies at a
time; and the end of a run.

The host is a real server on loopback, trusted by its exact origin, so that everything else is judged as in production.
"""

import gzip
import hashlib
import itertools
import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from ncaa_assets.backends.aws.s3 import S3Store
from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.failures import LeaseLost, RunEnded, StoreError, VideoRefused
from ncaa_assets.ports import CopyOutcome, CopyPlan, ObjectStore, Upload
from ncaa_assets.record.models import CopiedVideo, Highlight, VideosDay
from ncaa_assets.retry import RetryPolicy
from ncaa_assets.video import host, pace
from ncaa_assets.video.copier import CopyLimits, VideoCopier
from ncaa_assets.video.plan import plan_copies, skipped
from ncaa_assets.video.safe_http import HostPolicy
from ncaa_assets_tests.loopback.aws import Cloud
from ncaa_assets_tests.loopback.http_server import Handler, Reply, Script, ScriptedServer, stalls_in_the_middle
from ncaa_assets_tests.test_text import HOSTILE as HOSTILE_TITLE
from ncaa_assets_tests.test_text import is_fit_to_print
from ncaa_assets_tests.video.copies import (
    DAY,
    HTML,
    MOST_BYTES,
    Media,
    copied,
    copier,
    copy_one,
    files,
    highlight,
    video,
)

LOOK_UP = socket.getaddrinfo


@dataclass(frozen=True)
class Archive:
    """A store of one backend, and `everything` that lies in it by another way: half-written things too."""

    store: ObjectStore
    everything: Callable[[], list[str]]
    keeps_ends_alone: bool = False  # of an upload


@pytest.fixture(params=["local", "s3"])
def archive(request: pytest.FixtureRequest) -> Archive:
    if request.param == "local":
        store: LocalStore = request.getfixturevalue("store")
        return Archive(store, lambda: files(store))
    cloud: Cloud = request.getfixturevalue("cloud")
    cloud.make_bucket("archive")
    s3 = cloud.client("s3")

    def everything() -> list[str]:
        objects = s3.list_objects_v2(Bucket="archive").get("Contents", [])
        uploads = s3.list_multipart_uploads(Bucket="archive").get("Uploads", [])
        return sorted([one["Key"] for one in objects] + [f"{one['Key']} (half an upload)" for one in uploads])

    return Archive(
        S3Store(boto3.client("s3"), "archive", retry=RetryPolicy(max_delay=0)), everything, keeps_ends_alone=True
    )


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
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


def trickle(head: bytes, endless_part: bytes, body: bytes = b"") -> Script:
    """Sends `head`, then `endless_part` (or, in its place, `body`) byte by byte, fast enough for any read timeout."""

    def send(handler: Handler) -> None:
        handler.close_connection = True
        with suppress(OSError):  # until the client has had enough
            handler.wfile.write(head)
            for byte in body or itertools.cycle(endless_part):
                handler.wfile.write(bytes([byte]))
                time.sleep(0.02)

    return send


def together(runs: int, reply: Reply) -> Script:
    """Answers when so many have asked."""
    barrier = threading.Barrier(runs)

    def send(handler: Handler) -> None:
        barrier.wait(10)
        reply.send(handler)

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


def live(webm: bytes) -> bytes:
    """With a Segment of unknown size, as it is written while it is recorded."""
    at = webm.index(b"\x18\x53\x80\x67") + 4
    return webm[:at] + b"\x01" + b"\xff" * 7 + webm[at + 8 :]


# Their ends do not show what they are, and S3 gives no other part of an upload back.
ASKED_ONCE_MORE = {"an index in the middle of a large file", "a large file of sound alone"}
OK, CHUNKED = b"HTTP/1.1 200 OK\r\n", b"Transfer-Encoding: chunked\r\n\r\n"
DAMAGED = "damaged"


@dataclass(frozen=True)
class Case:
    """What the host answers in turn, and what becomes of it: `copied`, `failed` (a passing reason), or the kind of a
    refusal; how often the host was asked; and words of the reason.

    `resolves`: the host's name has these addresses, look-up after look-up, and those in `public` count as public.
    `impatient`: what takes a minute in production takes half a second. `runs`: so many do this at once.
    """

    name: str
    answers: Callable[[Media], Sequence[Script]]
    outcome: str
    asked: int = 1
    says: str = ""
    container: str = "mp4"
    most: int = MOST_BYTES
    resolves: tuple[str, ...] = ()
    public: tuple[str, ...] = ()
    impatient: bool = False
    runs: int = 1


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
    Case("WebM of unknown length, no length", lambda m: [video(live(m.webm), length=None)], "copied", asked=2,
         container="webm"),
    Case("MPEG-TS, no length", lambda m: [video(m.ts, length=None)], "copied", asked=2, container="ts"),
    Case("MPEG-TS damaged", lambda m: [video(m.ts[:1880] + b"?" + m.ts[1881:])], "not-video", says=DAMAGED),
    Case("MPEG-TS cut at a packet once, no length",
         lambda m: [video(m.ts[:-188], length=None), video(m.ts, length=None)], "copied", asked=4, container="ts"),
    Case("MPEG-TS cut at another packet each time, no length",
         lambda m: [video(m.ts[: -188 * n], length=None) for n in range(1, 7)], "failed", asked=6, says="elsewhere"),
    Case("fragments", lambda m: [video(m.fragments)], "copied"),
    Case("fragments, no length", lambda m: [video(m.fragments, length=None)], "copied", asked=2),
    Case("fragments cut between two once, no length",
         lambda m: [video(m.one_fragment, length=None), video(m.fragments, length=None)], "copied", asked=4),
    Case("an index in the middle of a large file", lambda m: [video(m.index_in_the_middle)], "copied",
         most=30_000_000),
    Case("a large file of sound alone", lambda m: [video(m.sound + 2 * m.padding)], "not-video",
         says="no picture", most=30_000_000),
    Case("MPEG-TS cut, no length", lambda m: [video(m.ts[:-9], length=None)], "failed", asked=3, says="cut off"),
    Case("MPEG-TS that ends in a packet", lambda m: [video(m.ts[:-9])], "copied", container="ts"),
    Case("sound alone", lambda m: [video(m.sound)], "not-video", says="no picture"),
    Case("gzip", lambda m: [video(gzip.compress(m.mp4), headers={"Content-Encoding": "gzip"})], "copied"),
    Case("gzip cut, no length",
         lambda m: [video(gzip.compress(m.mp4)[:-500], headers={"Content-Encoding": "gzip"}, length=None)],
         "failed", asked=3),
    Case("gzip damaged",
         lambda m: [video(b"\x1f\x8b\x08" + bytes(5000), headers={"Content-Encoding": "gzip"})], "not-video"),
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
    Case("203", lambda m: [video(m.mp4, status=203)], "copied"),
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
    Case("large", lambda m: [video(m.large)], "copied", most=10**8),
    Case("large, no length", lambda m: [video(m.large, length=None)], "copied", most=10**8),
    Case("large, cut near its end", lambda m: [video(m.large[:-9], length=len(m.large))], "failed", asked=3,
         most=10**8),
    Case("large, cut at the host", lambda m: [video(m.large[:-9])], "not-video", says=DAMAGED, most=10**8),
    Case("large, over the limit, no length", lambda m: [video(m.large, length=None)], "too-large", most=20_000_000),
    Case("a name with a private address", lambda m: [video(m.mp4)], "unsafe", asked=0, says="not a public address",
         resolves=("127.0.0.1",)),
    Case("DNS that changes its answer",
         lambda m: [Reply(status=500, headers={"Connection": "close"}), video(m.mp4)], "unsafe", asked=1,
         resolves=("127.0.0.1", "127.0.0.2"), public=("127.0.0.1",)),
    Case("one byte a second",
         lambda m: [trickle(OK + b"Content-Length: %d\r\n\r\n" % len(m.mp4), b"", m.mp4)], "failed", asked=3,
         says="bytes a second", impatient=True),
    Case("one byte a second, no length", lambda m: [trickle(OK + b"\r\n", b"", m.mp4)], "failed", asked=3,
         says="bytes a second", impatient=True),
    Case("one byte a second, chunked",
         lambda m: [trickle(OK + CHUNKED, b"", b"".join(b"1\r\n%c\r\n" % byte for byte in m.mp4))], "failed", asked=3,
         says="bytes a second", impatient=True),
    Case("endless headers", lambda m: [trickle(OK, b"X: y\r\n")], "failed", asked=3, says="did not answer within",
         impatient=True),
    Case("endless continues", lambda m: [trickle(b"", b"HTTP/1.1 100 Continue\r\n\r\n")], "failed", asked=3,
         says="did not answer within", impatient=True),
    Case("endless chunk length", lambda m: [trickle(OK + CHUNKED, b"1;")], "failed", asked=3, says="bytes a second",
         impatient=True),
    Case("endless trailers",
         lambda m: [trickle(OK + CHUNKED + b"%x\r\n%s\r\n0\r\n" % (len(m.mp4), m.mp4), b"X: y\r\n")], "failed",
         asked=3, says="bytes a second", impatient=True),
    Case("two runs at once", lambda m: [together(2, video(m.mp4))], "copied", asked=2, runs=2),
    Case("two runs at once, large", lambda m: [together(2, video(m.large))], "copied", asked=2, runs=2, most=10**8),
]  # fmt: skip


def be_impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in (
        (host, "TIMEOUT", (5.0, 0.5)), (host, "HEAD_SECONDS", 0.5),
        (pace, "TIMEOUT", (5.0, 0.5)), (pace, "RATE_WINDOW", 0.1), (pace, "LOOK_EVERY", 0.05),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)


class Public(HostPolicy):
    """Takes loopback addresses for public ones."""

    def __init__(self, *addresses: str) -> None:
        super().__init__()
        object.__setattr__(self, "addresses", addresses)

    def allows(self, address: str, host: str, port: int) -> bool:
        return address in getattr(self, "addresses", ())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_a_host_answers_is_stored_whole_or_leaves_nothing(
    case: Case, media: Media, archive: Archive, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.on("/clip", *case.answers(media))
    options: dict[str, Any] = {"most": case.most, "slowest": 20_000 if case.impatient else 0}
    if case.impatient:
        be_impatient(monkeypatch)
    if case.resolves:
        url, options["policy"] = f"http://clips.test:{server.port}/clip", Public(*case.public)
        answers = list(case.resolves)
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda host, *args, **kwargs: LOOK_UP(answers.pop(0) if host == "clips.test" else host, *args, **kwargs),
        )
    with ThreadPoolExecutor(case.runs) as pool:
        outcomes = list(pool.map(lambda _: copy_one(archive.store, server, url, **options), range(case.runs)))
    for outcome in outcomes:
        check_outcome(outcome, archive.everything(), case.outcome, says=case.says, container=case.container)
    assert server.times("/clip") == case.asked + (archive.keeps_ends_alone and case.name in ASKED_ONCE_MORE)
    if case.outcome == "copied":
        entry = copied(outcomes[0])
        with archive.store.download(entry.key) as file:
            stored = file.read()
        whole = (
            media.mp4,
            media.silent,
            media.mov,
            media.webm,
            live(media.webm),
            media.ts,
            media.ts[:-9],
            media.fragments,
            media.large,
            media.index_in_the_middle,
        )
        assert stored in whole
        assert entry.sha256 == hashlib.sha256(stored).hexdigest()
        assert entry.bytes == len(stored)


def check_outcome(
    outcome: CopyOutcome, everything: list[str], expected: str, *, says: str = "", container: str = "mp4"
) -> None:
    result = outcome.result
    if isinstance(result, CopiedVideo):
        assert expected == "copied"
        assert result.key == f"videos/{DAY}/1.{container}"
        assert result.container == container
        assert everything == [result.key]
        return
    assert expected == (result.kind if isinstance(result, VideoRefused) else "failed"), result
    assert says in str(result)
    assert everything == []


@pytest.mark.parametrize(
    ("url", "expected", "says"),
    [
        ("http://me:secret@{server}/clip", "unsafe", "user name or password"),
        ("http://clips.test:{port}/clip", "unsafe", "not a public address"),
        ("http://127.0.0.1:1/clip", "unsafe", "not a public address"),
        ("http://no-such-host.test/clip", "gone", "there is no host no-such-host.test"),
        ("http://no-answer.test/clip", "failed", "cannot be reached"),
        ("ftp://{server}/clip", "unsafe", "only http and https"),
        ("//127.0.0.2/clip", "unsafe", "not a public address"),
        ("{server}/clip", "unsafe", "only http and https"),
        ("http://a..b/clip", "unsafe", "no host name"),
        ("http://*/clip", "gone", "cannot be asked for"),
        ("http://[::1", "unsafe", "cannot be understood"),
        ("http://\ud800.test/clip", "unsafe", "is no name"),
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
        if host in ("no-such-host.test", "no-answer.test"):
            raise socket.gaierror(socket.EAI_NONAME if "such" in host else socket.EAI_AGAIN, "no look-up for you")
        return LOOK_UP("127.0.0.1" if host == "clips.test" else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    server.on("/clip", video(media.mp4))
    outcome = copy_one(
        store, server, url and url.format(server=f"127.0.0.1:{server.port}", port=server.port), retries=1
    )
    check_outcome(outcome, files(store), expected, says=says)
    assert "secret" not in str(outcome.result)
    assert server.asked == []


def test_a_host_that_sends_fast_enough_is_not_given_up(
    store: LocalStore, server: ScriptedServer, media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "RATE_WINDOW", 0.0)
    assert copied(copy_one(store, server, server.on("/clip", video(media.mp4)), slowest=1)).bytes == len(media.mp4)


def test_a_video_without_a_title_is_called_by_its_game(store: LocalStore, server: ScriptedServer, media: Media) -> None:
    urls = server.on("/clip", video(media.mp4)), server.on("/page", Reply(b"<html>", content_type="text/html"))
    clips = [
        Highlight(id=str(number), url=url, home="Auburn Tigers", away="Duke Blue Devils")
        for number, url in enumerate(urls)
    ]
    plan = plan_copies(clips, VideosDay(date=DAY), have=lambda _: True, count=None, force=False)
    for outcome in copier(store, server).copy(DAY, plan):
        refused = isinstance(outcome.result, VideoRefused)
        entry = skipped(outcome, outcome.result) if isinstance(outcome.result, VideoRefused) else copied(outcome)
        assert (entry.title, refused) == ("Auburn Tigers – Duke Blue Devils", entry.id == "1")


def test_a_copy_says_how_long_it_plays_and_whether_it_has_sound(
    store: LocalStore, server: ScriptedServer, media: Media
) -> None:
    entry = copied(copy_one(store, server, server.on("/clip", video(media.mp4))))
    assert entry.duration_seconds == pytest.approx(2, abs=0.1)
    assert entry.has_sound is True
    assert entry.title == "Game 1"
    assert entry.source_url == server.url("/clip")
    assert copied(copy_one(store, server, server.on("/silent", video(media.silent)))).has_sound is False
    for path, body, has_sound in (("/webm", media.webm, False), ("/ts", media.ts, True)):
        entry = copied(copy_one(store, server, server.on(path, video(body))))
        assert (entry.has_sound, entry.width, entry.height) == (has_sound, 320, 180)
        assert entry.facts is not None
        assert entry.duration_seconds == entry.facts.seconds


def test_a_store_that_fails_ends_the_run_and_is_no_fault_of_the_video(
    store: LocalStore, server: ScriptedServer, media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> Upload:
        raise StoreError("the disk is full")

    monkeypatch.setattr(store, "upload", full)
    with pytest.raises(StoreError, match="full"):
        copy_one(store, server, server.on("/clip", video(media.mp4)))
    assert server.times("/clip") == 1


def test_nothing_is_published_once_the_day_is_another_runs(
    archive: Archive, server: ScriptedServer, media: Media
) -> None:
    def check() -> None:
        assert f"videos/{DAY}/1.mp4" not in archive.everything()
        raise LeaseLost("this run lost its hold")

    url = server.on("/clip", video(media.large))
    plan = plan_copies([highlight(1, url)], VideosDay(date=DAY), have=bool, count=None, force=False)
    with pytest.raises(LeaseLost):
        list(copier(archive.store, server, most=10**8).copy(DAY, plan, before_commit=check))
    assert archive.everything() == []
    assert server.times("/clip") == 1


def test_a_store_slower_than_its_host_is_no_fault_of_the_host(
    store: LocalStore, server: ScriptedServer, media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "RATE_WINDOW", 0.1)
    monkeypatch.setattr(pace, "TIMEOUT", (5.0, 0.1))
    monkeypatch.setattr(host, "TIMEOUT", (5.0, 0.1))
    monkeypatch.setattr(host, "CHUNK", 20_000)
    opened = store.upload

    def slow(key: str, **options: Any) -> Upload:
        upload = opened(key, **options)
        write = upload.write

        def take_time(piece: bytes) -> None:
            time.sleep(0.1)
            write(piece)

        monkeypatch.setattr(upload, "write", take_time)
        return upload

    monkeypatch.setattr(store, "upload", slow)
    outcome = copy_one(store, server, server.on("/clip", video(media.mp4)), slowest=10**6, retries=0)
    assert copied(outcome).bytes == len(media.mp4)


def test_a_copy_takes_as_long_as_the_slower_of_host_and_store_and_not_their_sum(
    store: LocalStore, server: ScriptedServer, media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds, parts = 3.0, 20
    body = media.mp4 + (1_000_000).to_bytes(4, "big") + b"free" + bytes(1_000_000 - 8)
    step = len(body) // parts + 1

    def slow(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        for at in range(0, len(body), step):
            handler.wfile.write(body[at : at + step])
            time.sleep(seconds / parts)

    opened = store.upload

    def slow_upload(key: str, **options: Any) -> Upload:
        upload = opened(key, **options)
        write = upload.write

        def take_time(piece: bytes) -> None:
            time.sleep(seconds * len(piece) / len(body))
            write(piece)

        monkeypatch.setattr(upload, "write", take_time)
        return upload

    monkeypatch.setattr(store, "upload", slow_upload)
    started = time.monotonic()
    assert copied(copy_one(store, server, server.on("/clip", slow))).bytes == len(body)
    assert time.monotonic() - started < 1.7 * seconds


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


def stalls_before_headers(released: threading.Event, start: bytes) -> Script:
    def answer(handler: Handler) -> None:
        released.wait(60)
        handler.close_connection = True

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
    assert time.monotonic() - started < 10
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
    assert time.monotonic() - started < 10
    assert errors
    assert files(store) == []
    assert server.times("/clip") == 1


def test_closing_the_copier_ends_a_wait_between_two_attempts(store: LocalStore, server: ScriptedServer) -> None:
    url = server.on("/clip", Reply(status=429, headers={"Retry-After": "60"}))
    under_way = VideoCopier(
        store,
        HostPolicy(allow_private=True),
        CopyLimits(max_bytes=MOST_BYTES, min_bytes_per_second=0, retry=RetryPolicy(3, 60)),
        concurrency=1,
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


def test_a_title_and_a_hosts_words_stay_within_their_line_of_the_log(
    store: LocalStore, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    kind = "text/\x9b31m;x"  # what a header can hold: control characters of Latin-1
    url = server.on("/1.mp4", Reply(b"junk" * 2000, content_type=kind))
    named = Highlight(id="1", url=url, title=HOSTILE_TITLE)
    plan = plan_copies([named], VideosDay(date=DAY), have=lambda _: True, count=None, force=False)
    with caplog.at_level(logging.INFO):
        (outcome,) = copier(store, server).copy(DAY, plan)
    assert caplog.messages != []
    assert all(map(is_fit_to_print, caplog.messages))
    assert is_fit_to_print(str(outcome.result))
    assert plan.fresh[0].highlight.title == HOSTILE_TITLE, "the record keeps it word for word"
