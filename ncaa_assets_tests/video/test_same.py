"""A signed link that changes at every listing is no new video: the host is asked for one byte, and only where its
answer differs from what was recorded is the file fetched."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ncaa_assets.archive import standing
from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.failures import BackupError
from ncaa_assets.record.models import CopiedVideo, LostCopy, VideosDay
from ncaa_assets.video.plan import plan_copies
from ncaa_assets.video.same import may_mean
from ncaa_assets_tests.days import settings_for
from ncaa_assets_tests.loopback.http_server import Handler, Reply, ScriptedServer, raw
from ncaa_assets_tests.video.copies import DAY, HTML, Media, copied, highlight, manifest_of, run, video, videos_in

AT = "2025-03-10T06:00:00Z"

Script = Reply | Callable[[Handler], None]

KEPT, FETCHED = "kept", "fetched"


def part(length: object, etag: str | None = '"one"', *, unit: str = "bytes 0-0") -> Reply:
    """The answer to a request for one byte of a file."""
    headers = {"Content-Range": f"{unit}/{length}"}
    return Reply(b"\0", status=206, headers=headers if etag is None else {**headers, "ETag": etag})


# What the host says of the copy as it is fetched, what it says later of the file under the new signature (made from
# the copy's length), and what is to come of it.
CASES: dict[str, tuple[str | None, Callable[[int], Script], str]] = {
    "the same length and ETag": ('"one"', part, KEPT),
    "the same, weakly": ('"one"', lambda size: part(size, 'W/"one"'), KEPT),
    "another ETag": ('"one"', lambda size: part(size, '"two"'), FETCHED),
    "another length": ('"one"', lambda size: part(size + 1), FETCHED),
    "no ETag, then or now": (None, lambda size: part(size, None), KEPT),
    "no ETag then": (None, part, KEPT),
    "no ETag now": ('"one"', lambda size: part(size, None), KEPT),
    "another length, and no ETag": (None, lambda size: part(size - 1, None), FETCHED),
    "no length, the same ETag": ('"one"', lambda size: part("*"), KEPT),
    "no length, weakly the same": ('"one"', lambda size: part("*", 'W/"one"'), FETCHED),
    "no length, no ETag": (None, lambda size: part("*", None), FETCHED),
    "a length that is none": (None, lambda size: part("many", None), FETCHED),
    "a length of another part": (None, lambda size: part(size, None, unit="bytes 5-9"), FETCHED),
    "a host without ranges": (None, lambda size: Reply(bytes(10), length=size), KEPT),
    "a host without ranges, another length": (None, lambda size: Reply(bytes(10), length=size + 1), FETCHED),
    "a host without ranges and lengths": (None, lambda size: Reply(bytes(size), length=None), FETCHED),
    "packed to this very length": (
        None, lambda size: Reply(bytes(10), length=size, headers={"Content-Encoding": "gzip"}), FETCHED,
    ),
    "two lengths": (None, lambda size: raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n"), KEPT),
    "a web page": ('"one"', lambda size: Reply(HTML, content_type="text/html"), FETCHED),
    "an expired signature": ('"one"', lambda size: Reply(status=403), KEPT),
    "no such file": ('"one"', lambda size: Reply(status=404), KEPT),
    "no such part": ('"one"', lambda size: Reply(status=416), KEPT),
    "no content": ('"one"', lambda size: raw(b"HTTP/1.1 204 No Content\r\n\r\n"), KEPT),
    "too many requests": ('"one"', lambda size: Reply(status=429, headers={"Retry-After": "3600"}), KEPT),
    "an error of the host's": ('"one"', lambda size: Reply(status=503), KEPT),
    "a connection that ends": ('"one"', lambda size: raw(b""), KEPT),
    "a redirect to nowhere public": (
        '"one"', lambda size: Reply(status=302, headers={"Location": "http://169.254.169.254/"}), KEPT,
    ),
    "a redirect to the file": ('"one"', lambda size: Reply(status=302, headers={"Location": "/there"}), KEPT),
}  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_a_host_says_of_a_link_with_another_signature(
    case: Any, store: LocalStore, server: ScriptedServer, media: Media, caplog: pytest.LogCaptureFixture
) -> None:
    etag, later, expected = case
    whole = video(media.mp4, headers={"ETag": etag} if etag else {})
    url = server.on("/clip", whole, later(len(media.mp4)), whole)
    server.on("/there", part(len(media.mp4)))
    copied(run(store, server, [highlight(1, url + "?signature=1")])[0])
    before = manifest_of(store)
    assert before.videos[0].etag == etag
    with caplog.at_level(logging.INFO):
        caplog.clear()
        (outcome,) = run(store, server, [highlight(1, url + "?signature=2")])
    assert server.asked[1].headers["range"] == "bytes=0-0"
    after = manifest_of(store)
    assert after.skipped == []
    if expected == KEPT:
        assert outcome.result is None
        assert after == before
        assert server.times("/clip") == 2
        assert not [entry for entry in caplog.records if "1 “Game 1”" in entry.getMessage()]
    else:
        assert server.times("/clip") == 3
        assert [one.other_urls for one in after.videos] == [[url + "?signature=2"]]
    assert len(videos_in(store)) == 1


def test_no_more_than_the_head_is_read(store: LocalStore, server: ScriptedServer, media: Media) -> None:
    """A host without ranges sends the whole file; the connection is closed at once."""
    left = threading.Event()

    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(media.mp4)))
        handler.end_headers()
        handler.rfile.read(1)
        left.set()

    url = server.on("/clip", video(media.mp4), endless)
    run(store, server, [highlight(1, url + "?1")])
    (outcome,) = run(store, server, [highlight(1, url + "?2")])
    assert outcome.result is None
    assert left.wait(10)


def test_a_new_file_at_the_same_address_is_kept_beside_the_old_one(
    store: LocalStore, server: ScriptedServer, media: Media
) -> None:
    new = media.mp4 + b"\0\0\0\x09freeX"
    url = server.on("/clip", video(media.mp4), part(len(new)), video(new))
    run(store, server, [highlight(1, url + "?1")])
    copied(run(store, server, [highlight(1, url + "?2")])[0])
    assert [one.source_url for one in manifest_of(store).videos] == [url + "?1", url + "?2"]


def test_a_day_whose_links_were_signed_anew_is_done_and_one_whose_new_file_did_not_come_is_not(
    store: LocalStore, server: ScriptedServer, media: Media
) -> None:
    wanted = standing.Wanted.of(settings_for(server.url("/api")))

    def undone(url: str) -> int:
        manifest = manifest_of(store)
        plan = plan_copies([highlight(1, url)], manifest, have=lambda _: True, count=None, force=False)
        return standing.still_to_copy(plan, manifest, wanted)

    url = server.on("/clip", video(media.mp4), part(1), Reply(status=503))
    run(store, server, [highlight(1, url + "?1")])
    assert undone(url + "?2") == 0
    assert undone(url + "/other?1") == 1
    with pytest.raises(BackupError):
        run(store, server, [highlight(1, url + "?2")])
    assert undone(url + "?2") == 1


def test_force_fetches_without_asking(store: LocalStore, server: ScriptedServer, media: Media) -> None:
    url = server.on("/clip", video(media.mp4))
    run(store, server, [highlight(1, url + "?1")])
    copied(run(store, server, [highlight(1, url + "?2")], force=True)[0])
    assert ["range" in asked.headers for asked in server.asked] == [False, False]


@pytest.mark.parametrize(
    ("listed", "from_page", "expected"),
    [
        ("https://a.test/clip?s=1", False, True), ("https://a.test/clip?s=2", False, True),
        ("https://a.test/clip", False, True), ("https://a.test/clip?s=1", True, True),
        ("https://a.test/clip?s=2", True, False), ("https://a.test/clip?s=2", None, True),
        ("https://b.test/clip?s=1", False, False), ("http://a.test/clip?s=1", False, False),
        ("https://a.test:8443/clip?s=1", False, False), ("https://a.test/clip/x?s=1", False, False),
        ("https://b.test/moved?s=9", False, True), (None, False, False),
    ],
)  # fmt: skip
def test_which_urls_may_mean_a_copy(listed: str | None, from_page: bool | None, expected: bool) -> None:
    one = CopiedVideo(
        id="1", title=None, source_url="https://a.test/clip?s=1", other_urls=["https://b.test/moved?s=1"],
        key=f"videos/{DAY}/1.mp4", bytes=1, sha256="0" * 64, container="mp4", duration_seconds=None, has_sound=None,
        from_page=from_page, copied_at=AT,
    )  # fmt: skip
    assert may_mean(listed, one) == expected
    plan = plan_copies(
        [highlight(1, listed)], VideosDay(date=DAY, videos=[one]), have=lambda _: True, count=None, force=False
    )
    known = listed == one.source_url
    assert [bool(candidate.perhaps) for candidate in plan.renewed] == ([] if known else [expected])


@pytest.mark.parametrize(
    ("earlier", "lost", "force", "expected"),
    [
        ([], ["for good"], False, None), ([], ["for good"], True, 0), ([], ["now"], False, 0),
        (["a"], ["for good"], False, 1), (["a"], ["now"], False, 0), (["a"], ["for good"], True, 0),
    ],
)  # fmt: skip
def test_a_new_signature_of_what_is_lost(
    earlier: list[str], lost: list[str], force: bool, expected: int | None
) -> None:
    """What is lost for good is not asked for again; what was lost just now is fetched under its new signature."""

    def name_of(key: str) -> str:
        return f"videos/{DAY}/{key}.mp4"

    def entry(key: str) -> CopiedVideo:
        return CopiedVideo(
            id="1", title=None, source_url="https://a.test/clip?s=1", key=name_of(key), bytes=1, sha256="0" * 64,
            container="mp4", duration_seconds=None, has_sound=None, copied_at=AT,
            lost=LostCopy(kind="gone", reason="404", at=AT) if key == "for good" else None,
        )  # fmt: skip

    manifest = VideosDay(date=DAY, videos=[entry(key) for key in (*earlier, *lost)])
    listed = highlight(1, "https://a.test/clip?s=2")
    plan = plan_copies(
        [listed], manifest, have=lambda video: video.key in map(name_of, earlier), count=None, force=force
    )
    asked = [candidate for candidate in plan.renewed if candidate.highlight.url == listed.url]
    assert [len(candidate.perhaps) for candidate in asked] == ([] if expected is None else [expected])
