"""The sample API's HTTP server: modules, paging, headers, strict parameters and errors like the real API's."""

import http.server
import logging
import shutil
import socket
import tempfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ncaa_assets.failures import EncodeFailed
from ncaa_assets.media.ffmpeg import ffmpeg_program
from ncaa_assets.record import calendar, json_text
from ncaa_assets.source.sample_api.clips import make_clip
from ncaa_assets.source.sample_api.endpoint import (
    HIGHLIGHTS,
    KEY_HEADER,
    NO_KEY,
    QUOTA_SPENT,
    WRONG_KEY,
    Endpoint,
    problem,
)
from ncaa_assets.source.sample_api.records import LEAGUE, highlights, matches

log = logging.getLogger(__name__)

SAMPLE_KEY = "sample"
QUOTA = 100


class SampleServer(http.server.ThreadingHTTPServer):
    """Answers for any date up to today and makes its clips below `folder`. `base_url` is the value for `API_BASE`."""

    daemon_threads = True
    # Several runs may serve one archive's sample at a time. All give the same answers, so they may share the port.
    allow_reuse_port = hasattr(socket, "SO_REUSEPORT")

    def __init__(self, port: int, folder: Path) -> None:
        self.folder = folder
        self.requests_left = QUOTA
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def origin(self) -> tuple[str, int]:
        return "127.0.0.1", self.server_address[1]

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        log.debug("a client of the sample API went away", exc_info=True)


@contextmanager
def serve_sample(archive: Path) -> Iterator[SampleServer]:
    """The sample API for one archive, for as long as the `with` lasts; its clips are kept no longer.

    The port follows from the archive's path, so that a clip keeps its address from run to run. Where another program
    has that port, the next free one of a fixed series is taken.

    Raises:
        EncodeFailed: there is no ffmpeg to make clips with.
    """
    ffmpeg_program()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ncaa-assets-sample-"))
        server = stack.enter_context(_bind(Path(folder), zlib.crc32(str(archive).encode())))
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="sample-api", daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def _bind(folder: Path, seed: int) -> SampleServer:
    # No system hands out ports below 32768 by itself, so ours is seldom taken.
    for attempt in range(20):
        try:
            return SampleServer(20_000 + (seed + attempt * 7919) % 12_000, folder)
        except OSError as error:
            log.debug("port of the sample API is taken: %s", error)
    return SampleServer(0, folder)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: SampleServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes; Nagle would send the second 40 ms later

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if endpoint := Endpoint.at(parts.path):
            self._answer(endpoint, dict(parse_qsl(parts.query, keep_blank_values=True)))
        elif parts.path.startswith("/clips/"):
            self._clip(parts.path.removeprefix("/clips/").removesuffix(".mp4"))
        elif parts.path == "/watch":
            self._page(dict(parse_qsl(parts.query)).get("v", ""))
        elif parts.path.startswith("/embed/"):
            self._page(parts.path.removeprefix("/embed/"))
        else:
            self._problem(HTTPStatus.NOT_FOUND, f"Cannot GET {parts.path}")

    def _answer(self, endpoint: Endpoint, query: dict[str, str]) -> None:
        key = self.headers.get(KEY_HEADER, "")
        if not key:
            self._problem(*NO_KEY)
        elif key != SAMPLE_KEY:
            self._problem(*WRONG_KEY)
        elif self.server.requests_left <= 0:
            self._problem(*QUOTA_SPENT)
        else:
            self.server.requests_left -= 1  # a refused query costs one too (seen)
            if fault := endpoint.fault(query):
                self._problem(HTTPStatus.BAD_REQUEST, fault)
            else:
                self._json(HTTPStatus.OK, endpoint.page(self._records(endpoint, query), query))

    def _records(self, endpoint: Endpoint, query: dict[str, str]) -> list[dict[str, Any]]:
        today = datetime.now(UTC).date()
        day = calendar.parse(query["date"]) if "date" in query else today
        if query.get(endpoint.league_parameter, LEAGUE) != LEAGUE or day > today:
            return []
        if endpoint.name == HIGHLIGHTS:
            return highlights(endpoint.module, day, self.server.base_url)
        return matches(endpoint.module, day)

    def _page(self, name: str) -> None:
        """A web page that shows a clip, in which the extra `pages` finds it."""
        if not name.isdigit():
            self._problem(HTTPStatus.NOT_FOUND, "no such page")
            return
        page = f'<!doctype html><title>Sample page</title><video src="/clips/{name}.mp4" controls></video>\n'
        self._send(HTTPStatus.OK, page.encode(), "text/html; charset=utf-8")

    def _clip(self, name: str) -> None:
        if not name.isdigit():
            self._problem(HTTPStatus.NOT_FOUND, "no such clip")
            return
        number = int(name)
        try:
            clip = make_clip(self.server.folder / f"{number}.mp4", seed=number, sound=number % 100 != 2, of_a_game=True)
        except (EncodeFailed, OSError) as error:
            log.warning("the sample API cannot make clip %s: %s", number, error)
            self._problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the clip could not be made")
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "video/mp4")
        self.send_header("Content-Length", str(clip.stat().st_size))
        self.end_headers()
        with clip.open("rb") as file:
            shutil.copyfileobj(file, self.wfile)

    def _problem(self, status: HTTPStatus, message: str) -> None:
        self._json(status, problem(status, message))

    def _json(self, status: HTTPStatus, body: dict[str, Any]) -> None:
        self._send(status, json_text.dumps(body), "application/json; charset=utf-8")

    def _send(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-ratelimit-requests-limit", str(QUOTA))
        self.send_header("x-ratelimit-requests-remaining", str(max(0, self.server.requests_left)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)
