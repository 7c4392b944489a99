"""The gallery on the web: its pages, and the videos and posters that they show, read from the archive's store as they
are asked for.

The pages of a folder open without it. A bucket is private, so it is read here with the credentials of whoever serves
it. Nothing else of the archive is answered, and nothing is listed or written.
"""

import logging
import re
import socket
from collections.abc import Callable, Collection, Iterator
from functools import cache
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from ncaa_assets import advice
from ncaa_assets.failures import BackupError, ObjectMissing, StoreError
from ncaa_assets.gallery.model import TYPES, season_key
from ncaa_assets.media.containers import CONTENT_TYPES
from ncaa_assets.ports import ObjectInfo, ObjectStore
from ncaa_assets.ui.guard import Guard, Kind

log = logging.getLogger(__name__)

INDEX: Final = season_key()
NAME: Final = "gallery"  # of every route here
_FOLDERS = ("gallery", "videos", "processed_videos")
_TYPES = {
    **TYPES,
    "png": "image/png",
    "jpg": "image/jpeg",
    **CONTENT_TYPES,
}
# Each page has a policy of its own. This one holds for whatever is stored: a script that somebody else put there is to
# ask Dagster, at whose address the UI serves this, for as little as a policy can see to.
_POLICY = "script-src 'self'; connect-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'"
_HEADERS = {
    "accept-ranges": "bytes",
    "cache-control": "private, no-cache",  # a browser asks whether its copy is the newest
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
}
_LONGEST_KEY, _LONGEST_NAME = 1024, 255  # bytes: S3's, and that of every file system
_CHUNK = 1024**2  # bytes; from a bucket, a request each
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
_ENDS_WITHIN = 3  # seconds for answers under way when the server ends


def routes(open_store: Callable[[], ObjectStore]) -> list[BaseRoute]:
    """The routes of an application that answers for the gallery of a store. `open_store` is called at the first
    request, and again after one that failed: credentials may have been renewed."""
    opened = cache(open_store)

    def answer(request: Request) -> Response:
        key = str(request.scope["path"])[1:]
        try:
            return _answer(opened(), key, request)
        except ObjectMissing:
            return _missing(key)
        except BackupError as error:
            opened.cache_clear()
            log.warning("the gallery cannot be read: %s", error)
            how = f"run `{advice.command('gallery', '--serve')}` where you have credentials for it"
            return _text(f"The gallery cannot be read from here: {error}; {how}.", 502)

    return [
        Route("/gallery", _to_index, name=NAME),
        Route("/gallery/", _to_index, name=NAME),
        *(Route(f"/{folder}/{{path:path}}", answer, name=NAME) for folder in _FOLDERS),
    ]


def application(open_store: Callable[[], ObjectStore], *, hosts: Collection[str] = ()) -> Guard:
    """The gallery of a store alone, behind the guard. `hosts` are the names that it is meant to have besides those of
    loopback."""
    app = Starlette(routes=[Route("/", _to_index), *routes(open_store)])
    app.router.redirect_slashes = False
    return Guard(app, kind_of=lambda _: Kind.PAGE, hosts=hosts)


def serve(app: Guard, listener: socket.socket) -> None:
    """Serves an application on `listener`.

    Raises:
        KeyboardInterrupt: a SIGINT or SIGTERM came.
    """
    config = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=_ENDS_WITHIN)
    uvicorn.Server(config).run(sockets=[listener])  # after a signal it closes its connections and raises it again


def _to_index(_: Request) -> Response:
    return RedirectResponse(f"/{INDEX}")


def _answer(store: ObjectStore, key: str, request: Request) -> Response:
    """What is stored under a key, or the part of it that the request asks for.

    Raises:
        ObjectMissing: nothing that a page shows has this key.
        StoreError: the store cannot be read.
    """
    content_type = _TYPES.get(key.rpartition(".")[2])
    *folders, _ = names = key.split("/")
    may_be_one = (
        content_type is not None
        and len(key) <= _LONGEST_KEY
        and all(map(_is_name, names))
        and not any("." in name for name in folders)  # a file has nothing below it
    )
    info = store.info(key) if may_be_one else None
    if content_type is None or info is None:
        raise ObjectMissing(key)
    mark = '"{}"'.format(info.version.strip('"'))
    headers = {**_HEADERS, "content-type": content_type, "etag": mark}
    if mark in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    start, end, status = 0, info.size, 200
    # One range, as players ask for; of several, or of another version, the whole is sent, as RFC 9110 lets a server do.
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    if asked and (asked[1] or asked[2]) and request.headers.get("if-range", mark) == mark:
        start, end = _part(asked[1], asked[2], info.size)
        if start >= end:
            headers["content-range"] = f"bytes */{info.size}"
            return Response(status_code=416, headers=headers)
        headers["content-range"] = f"bytes {start}-{end - 1}/{info.size}"
        status = 206
    headers["content-length"] = str(end - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    return _Stored(_chunks(store, info, start, end), status_code=status, headers=headers)


def _is_name(text: str) -> bool:
    """Whether a folder or a file may be called so: nothing hidden, and nothing that leads elsewhere."""
    if len(text.encode("utf-8", "replace")) > _LONGEST_NAME:
        return False
    return text.isprintable() and not text.startswith(".") and "\\" not in text and text != ""


def _part(first: str, last: str, size: int) -> tuple[int, int]:
    """From where up to where a range of so many bytes is meant; empty where nothing of it is there."""
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(int(last) + 1, size) if last else size


def _chunks(store: ObjectStore, info: ObjectInfo, start: int, end: int) -> Iterator[bytes]:
    with store.open_seekable(info.key) as file:
        file.seek(start)
        while start < end and (chunk := file.read(min(_CHUNK, end - start))):
            start += len(chunk)
            yield chunk


class _Stored(StreamingResponse):
    """An answer that is read while it is sent. Where the store fails on the way, the connection ends early, which is
    how HTTP says so."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except StoreError as error:
            log.warning("an answer of the gallery broke off: %s", error)


def _missing(key: str) -> Response:
    if key == INDEX:
        return _text(f"There are no pages yet; `{advice.command('gallery')}` makes them.", 404)
    return _text("There is no such page or file in the gallery.", 404)


def _text(sentence: str, status: int) -> Response:
    return PlainTextResponse(f"{sentence}\n", status, {name: _HEADERS[name] for name in _HEADERS if name[0] != "a"})
