"""The head of an HTTP answer, read as browsers and curl read it; below everything that asks a host for something.

Python's http.client takes a `103 Early Hints` for the answer, drops every header that follows a line without a colon,
and takes a `Content-Length` of `+5` or `1_0` for a number. So the head is read here and handed to http.client tidied.
What browsers do stands in RFC 9112, in the Fetch standard and in Chromium's `http_response_headers.cc`. Where they
can't tell how long the body is, no length is left in the head, and the body ends with its connection.
"""

import http.client
import io
import re
import time
from typing import IO, Any

import requests.adapters
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import InvalidHeader

from ncaa_assets.text import visible

_MOST_SECONDS = 60.0  # for a head, or for a line between chunks: a byte now and then would never time out
_MOST_BYTES = 256 * 1024  # of an answer's head and all interim answers before it; Chromium's bound for one head
_INTERIM = re.compile(rb"HTTP/\d\.\d[ \t]+1(?!01)\d\d\b")
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_LONGEST_LINE = 64 * 1024
_SIZE_OF_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\n]*)?\r?\n")
_END_OF_CHUNK = re.compile(rb"\r?\n")


class Answer(http.client.HTTPResponse):
    """An answer whose head is tidied before http.client reads it.

    `urllib3.exceptions.InvalidHeader`, which is no passing failure, stands for a head or for chunks that no browser
    takes.
    """

    fp: Any  # while the head is read, a tidied copy of it

    def begin(self) -> None:
        host, self.fp = self.fp, io.BytesIO(_tidied(_head(self.fp)))
        try:
            super().begin()
        except ConnectionError:  # it ended before its first byte
            raise
        except http.client.HTTPException as error:
            # Without its cause, which quotes the head as it came: Dagster shows the causes of an error, too.
            raise InvalidHeader(f"the head of the answer cannot be read: {visible(error)}") from None
        finally:
            self.fp = host
        codings = self.headers.get("Transfer-Encoding", "")
        if "chunked" in codings.split(", ") and codings != "chunked":
            self.chunked, self.will_close = True, True
            self.chunk_left = self.length = None

    def _get_chunk_left(self) -> int | None:
        """How much of a chunk is still to come; None at the end. http.client asks this before each read of a chunked
        body, and its own would take `-5`, `0x5` and `1_0` for sizes and no line that ends with LF alone."""
        if self.chunk_left:
            return self.chunk_left
        if self.chunk_left == 0:
            self._match(_END_OF_CHUNK)
        self.chunk_left = int(self._match(_SIZE_OF_CHUNK)[1], 16) or None
        if self.chunk_left is None:
            self._read_and_discard_trailer()  # type: ignore[attr-defined]
            self._close_conn()  # type: ignore[attr-defined]
        return self.chunk_left

    def _match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes]:
        line = _line(self.fp, _LONGEST_LINE, time.monotonic() + _MOST_SECONDS)
        match = pattern.fullmatch(line)
        if match is None:
            if len(line) < _LONGEST_LINE and not line.endswith(b"\n"):  # the connection ended
                raise http.client.IncompleteRead(b"")
            raise InvalidHeader("the body is not in chunks as it should be")
        return match


class HTTP(HTTPConnection):
    response_class = Answer


class HTTPS(HTTPSConnection):
    response_class = Answer


class Adapter(requests.adapters.HTTPAdapter):
    """For a session of requests: its answers are `Answer`s, through a proxy too."""

    def connections(self) -> tuple[type[HTTP], type[HTTPS]]:
        """The classes of the connections that it opens."""
        return HTTP, HTTPS

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self._put_connections(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> urllib3.ProxyManager:
        manager: urllib3.ProxyManager = super().proxy_manager_for(*args, **kwargs)
        self._put_connections(manager)
        return manager

    def _put_connections(self, manager: urllib3.PoolManager) -> None:
        http, https = self.connections()

        class HTTPPool(HTTPConnectionPool):
            ConnectionCls = http

        class HTTPSPool(HTTPSConnectionPool):
            ConnectionCls = https

        manager.pool_classes_by_scheme = {"http": HTTPPool, "https": HTTPSPool}


def _head(host: IO[bytes]) -> bytes:
    """The head of the final answer, up to and with its empty line; interim answers are passed over."""
    left, until = _MOST_BYTES, time.monotonic() + _MOST_SECONDS
    while True:
        lines = [b"?"]
        while lines[-1] not in (b"\r\n", b"\n", b""):
            lines.append(_line(host, left + 1, until))
            left -= len(lines[-1])
            if left < 0:
                raise InvalidHeader("the head of the answer is larger than 256 kB")
        if not _INTERIM.match(lines[1]):
            return b"".join(lines[1:])


def _line(host: IO[bytes], most: int, until: float) -> bytes:
    """The next line, with its end, or as much of it as there is in so many bytes.

    Raises:
        TimeoutError: it has not come by `until`.
    """
    assert isinstance(host, io.BufferedReader)  # noqa: S101 - what a socket's `makefile` gives
    line = b""
    while len(line) < most and not line.endswith(b"\n"):
        if time.monotonic() > until:
            raise TimeoutError("the head of the answer took too long")
        ready = host.peek(1)
        if not ready:
            break
        line += host.read(min(ready.find(b"\n") + 1 or len(ready), most - len(line)))
    return line


def _tidied(head: bytes) -> bytes:
    """A head in which each line is a header, and which names the framing of its body once or not at all."""
    if b"\0" in head:
        raise InvalidHeader("the head of the answer holds a NUL")
    status, *lines = re.sub(rb"\r?\n[ \t]+", b" ", head).split(b"\n")
    kept, lengths, codings = [status], set[bytes](), list[bytes]()
    for line in lines:
        name, colon, value = line.rstrip(b"\r").replace(b"\r", b" ").partition(b":")
        name = name.rstrip(b" \t")
        if not colon or not _NAME.fullmatch(name):
            continue
        if name.lower() == b"content-length":
            lengths.update(one.strip() for one in value.split(b","))
        elif name.lower() == b"transfer-encoding":
            codings += [coding.strip().lower() for coding in value.split(b",")]
        else:
            kept.append(name + b": " + value.strip())
    if codings:
        kept.append(b"Transfer-Encoding: " + b", ".join(codings))
    if b"chunked" not in codings:
        if len(lengths) > 1:
            raise InvalidHeader("the answer names different lengths of its body")
        kept += [b"Content-Length: " + length for length in lengths if _LENGTH.fullmatch(length)]
    return b"\r\n".join([*kept, b"", b""]) if head else b""
