"""The gallery as a server answers for it: over plain HTTP, from a folder, from S3 and from another store."""

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import boto3
import pytest
import uvicorn

from ncaa_assets.backends.aws.s3 import S3Store
from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.backends.s3.client import host_of, store_client
from ncaa_assets.backends.s3.store import CompatibleStore
from ncaa_assets.failures import StoreError
from ncaa_assets.ports import ObjectStore
from ncaa_assets.retry import RetryPolicy
from ncaa_assets.ui import gallery
from ncaa_assets.ui.gallery import application
from ncaa_assets.ui.guard import Guard
from ncaa_assets_tests.loopback.aws import Cloud, error

DAY = "2025-03-09"
VIDEO = f"videos/{DAY}/1.mp4"
FILM = bytes(range(256)) * 12_000  # 3 MB: more than is read at a time


@contextmanager
def served(app: Guard) -> Iterator[int]:
    """The port on which the application answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(20)


class Asking:
    """What asks the server, a request a connection."""

    def __init__(self, port: int) -> None:
        self._port = port

    def __call__(self, path: str, *, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)) as connection:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers=named)
            answer = connection.getresponse()
            every = {name.lower(): ", ".join(answer.headers.get_all(name) or []) for name in answer.headers}
            return answer.status, every, answer.read()


@pytest.fixture
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """A store with a page and a video, and with what is nobody's to ask for."""
    store: ObjectStore
    where = getattr(request, "param", "local")
    if where == "local":
        store = LocalStore(tmp_path / "archive")
    else:
        cloud: Cloud = request.getfixturevalue("cloud")
        cloud.make_bucket("gallery")
        store = S3Store(boto3.client("s3"), "gallery", "of/somebody")
        if where == "s3":
            endpoint, policy = cloud.environment()["AWS_ENDPOINT_URL"], RetryPolicy(max_delay=0.1)
            client = store_client(endpoint, policy)
            store = CompatibleStore(client, "gallery", "of/somebody", host=host_of(endpoint), retry=policy)
    store.write("gallery/index.html", b"<title>All</title>", content_type="text/html; charset=utf-8")
    store.write(f"gallery/{DAY}.json", b"{}")
    store.write("gallery/assets/style.css", b"p {}", content_type="text/css")
    store.write(f"videos/{DAY}.json", b"{}")
    store.write(f"highlights/{DAY}.json", b"{}")
    store.write(f".leases/{DAY}.json", b"{}")
    store.write(f"processed_videos/{DAY}/ä b.jpg", b"a picture", content_type="image/jpeg")
    with store.upload(VIDEO, content_type="video/mp4") as upload:
        upload.write(FILM)
        upload.commit()
    return store


@pytest.fixture
def ask(archive: ObjectStore) -> Iterator[Asking]:
    with served(application(lambda: archive)) as port:
        yield Asking(port)


everywhere = pytest.mark.parametrize("archive", ["local", "aws", "s3"], indirect=True)


@everywhere
def test_pages_files_and_videos_are_answered_with_what_they_are(ask: Asking) -> None:
    status, headers, body = ask("/gallery/index.html")
    assert (status, body) == (200, b"<title>All</title>")
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["x-content-type-options"] == "nosniff"
    assert "connect-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert ask("/gallery/assets/style.css")[1]["content-type"] == "text/css; charset=utf-8"
    assert ask(f"/processed_videos/{DAY}/%C3%A4%20b.jpg")[::2] == (200, b"a picture")
    status, headers, body = ask(f"/{VIDEO}")
    assert (status, headers["content-type"], headers["accept-ranges"]) == (200, "video/mp4", "bytes")
    assert body == FILM
    for path in ("/", "/gallery", "/gallery/"):
        status, headers, _ = ask(path)
        assert (status, headers["location"]) == (307, "/gallery/index.html")


@everywhere
def test_a_player_gets_the_part_that_it_asks_for(ask: Asking) -> None:
    for asked, start, end in (
        ("bytes=0-", 0, None),
        ("bytes=0-0", 0, 1),
        ("bytes=1048575-1048577", 1048575, 1048578),
        (f"bytes={len(FILM) - 1}-", -1, None),
        (f"bytes={len(FILM) - 9}-99999999", -9, None),
        ("bytes=-5", -5, None),
        ("bytes=-99999999", 0, None),
    ):
        part = FILM[start:end]
        first = start % len(FILM)
        status, headers, body = ask(f"/{VIDEO}", Range=asked)
        assert (status, body) == (206, part), asked
        assert headers["content-range"] == f"bytes {first}-{first + len(part) - 1}/{len(FILM)}"
        assert headers["content-length"] == str(len(part))
        status, headers, body = ask(f"/{VIDEO}", method="HEAD", Range=asked)
        assert (status, headers["content-length"], body) == (206, str(len(part)), b"")
    for asked in (f"bytes={len(FILM)}-", "bytes=-0", "bytes=5-4"):
        status, headers, body = ask(f"/{VIDEO}", Range=asked)
        assert (status, headers["content-range"], body) == (416, f"bytes */{len(FILM)}", b""), asked


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=-", "lines=1-2", "bytes=a-b", f"bytes=0-{'9' * 5000}"])
def test_a_range_that_is_not_understood_gives_the_whole(ask: Asking, asked: str) -> None:
    assert ask(f"/{VIDEO}", Range=asked)[::2] == (200, FILM)


@everywhere
def test_a_part_of_another_version_is_not_mixed_in_and_what_is_known_is_not_sent_again(
    ask: Asking, archive: ObjectStore
) -> None:
    mark = ask(f"/{VIDEO}", method="HEAD")[1]["etag"]
    assert ask(f"/{VIDEO}", Range="bytes=0-9", If_Range=mark)[::2] == (206, FILM[:10])
    assert ask(f"/{VIDEO}", Range="bytes=0-9", If_Range='"another"')[::2] == (200, FILM)
    status, headers, body = ask(f"/{VIDEO}", If_None_Match=mark)
    assert (status, headers["etag"], body) == (304, mark, b"")
    mark = ask("/gallery/index.html")[1]["etag"]
    archive.write("gallery/index.html", b"<title>More</title>")
    assert ask("/gallery/index.html", If_None_Match=mark)[::2] == (200, b"<title>More</title>")


def test_nothing_else_is_answered(ask: Asking) -> None:
    for path in (
        f"/highlights/{DAY}.json", f"/videos/{DAY}.json", f"/gallery/{DAY}.json", "/archive.json", "/highlights.sqlite",
        f"/.leases/{DAY}.json", "/.env", f"/gallery/../highlights/{DAY}.json", f"/gallery/%2e%2e/highlights/{DAY}.json",
        "/videos/../../../etc/passwd", "/videos/..%2f..%2fhighlights.sqlite", "/gallery/.hidden.html", "/videos/",
        "/videos", f"/videos/{DAY}/", f"/videos/{DAY}", f"/videos//{DAY}/1.mp4", f"//{VIDEO}", "/gallery/none.html",
        "/gallery/index.html%00", "/gallery/index.html/", "/gallery/a%0Ab.html", r"/gallery/..\index.html",
        "/GALLERY/index.html", "/processed_videos/", "/gallery/index.html/x.html", f"/gallery/{'x' * 300}.html",
        f"/gallery/{'x/' * 2000}1.html",
    ):  # fmt: skip
        status, headers, body = ask(path)
        assert status == 404, path
        assert len(body) < 100
        assert headers["content-type"].startswith("text/plain")


def test_nothing_but_reading_is_answered(ask: Asking) -> None:
    for method in ("PUT", "DELETE", "POST", "OPTIONS", "PATCH"):
        assert ask("/gallery/index.html", method=method)[0] in (403, 405)
    assert ask("/gallery/index.html", method="POST", Content_Type="application/json")[0] == 405


def test_another_name_that_leads_here_and_a_foreign_page_are_refused(ask: Asking) -> None:
    for name in ("rebound.example", "localhost.rebound.example:80", "192.168.1.7"):
        assert ask("/gallery/index.html", Host=name)[0] == 403
    foreign = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "video"}
    assert ask(f"/{VIDEO}", **foreign)[0] == 403
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert ask("/gallery/index.html", **link)[0] == 200


def test_where_no_pages_are_yet_it_says_what_makes_them(tmp_path: Path) -> None:
    with served(application(lambda: LocalStore(tmp_path))) as port:
        status, _, body = Asking(port)("/gallery/index.html")
    assert (status, body) == (404, b"There are no pages yet; `ncaa-assets gallery` makes them.\n")


def test_a_bucket_that_may_not_be_read_is_one_sentence_and_is_opened_anew_for_the_next_request(cloud: Cloud) -> None:
    cloud.make_bucket("gallery")
    opened: list[S3Store] = []

    def open_store() -> S3Store:
        opened.append(S3Store(boto3.client("s3"), "gallery"))
        return opened[-1]

    with served(application(open_store)) as port:
        ask = Asking(port)
        cloud.fail("HeadObject", error(403, "AccessDenied"))
        status, headers, body = ask("/gallery/index.html")
        assert (status, headers["content-type"]) == (502, "text/plain; charset=utf-8")
        assert body.startswith(b"The gallery cannot be read from here: ")
        assert b"`ncaa-assets gallery --serve`" in body
        assert body.count(b"\n") == 1
        assert ask("/gallery/index.html")[0] == 404
    assert len(opened) == 2


def test_a_video_is_read_piece_by_piece_and_one_that_breaks_off_is_not_taken_for_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(tmp_path)
    with store.upload(VIDEO, content_type="video/mp4") as upload:
        upload.write(FILM)
        upload.commit()
    read: list[int] = []

    class Breaks(LocalStore):
        @contextmanager
        def open_seekable(self, key: str):  # type: ignore[no-untyped-def]
            with super().open_seekable(key) as file:
                real = file.read

                class File:
                    seek = file.seek

                    def read(self, size: int) -> bytes:
                        read.append(size)
                        if len(read) == 2:
                            raise StoreError("the line is cut")
                        return real(size)

                yield File()

    with served(application(lambda: Breaks(tmp_path))) as port, pytest.raises(http.client.IncompleteRead) as broken:
        Asking(port)(f"/{VIDEO}")
    assert broken.value.partial == FILM[: gallery._CHUNK]
    assert max(read) == gallery._CHUNK
