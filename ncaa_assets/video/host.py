"""A URL's answer as a body: opened within a time limit, and judged by its status before a byte of it is read."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ncaa_assets.failures import CopyFailed, VideoRefused
from ncaa_assets.retry import retry_after_seconds, status_is_transient
from ncaa_assets.text import visible
from ncaa_assets.video.body import CHUNK, TIMEOUT, Body
from ncaa_assets.video.pace import Watch

if TYPE_CHECKING:
    import requests

    from ncaa_assets.video.safe_http import GuardedSession

HEAD_SECONDS = 60.0  # until the headers have come, redirects included
_LONGEST_ETAG = 500


@contextmanager
def open_host(session: "GuardedSession", url: str) -> Iterator[Body]:
    """What a URL answers, if its status says that it may be a file.

    Raises:
        VideoRefused: the address leads where none may, or the host refuses for good.
        CopyFailed: the host refuses for now, or does not answer in time.
        requests.RequestException: the connection failed.
    """
    from ncaa_assets.video.safe_http import tells_its_end  # noqa: PLC0415 - imports requests: retry.py

    with answer_of(session, url) as (answer, break_off):
        _check_status(answer)
        length = answer.headers.get("Content-Length", "")
        yield Body(
            pieces=_pieces(answer),
            content_type=answer.headers.get("Content-Type", ""),
            promised=int(length) if length else None,
            tells_its_end=lambda: tells_its_end(answer),
            break_off=break_off,
            etag=etag_of(answer),
        )


@contextmanager
def answer_of(
    session: "GuardedSession", url: str, *, headers: Mapping[str, str] | None = None
) -> Iterator[tuple["requests.Response", Callable[[], None]]]:
    """A URL's answer, whatever its status, as soon as its head is there; and a function for another thread that breaks
    off reading it. Raises what `open_host` raises."""
    from ncaa_assets.video.safe_http import open_url  # noqa: PLC0415

    with session.followed() as break_off:
        with Watch(break_off, time.monotonic() + HEAD_SECONDS) as watch:
            try:
                answer = open_url(session, url, timeout=TIMEOUT, headers=headers)
            except Exception as error:
                if watch.fired and not isinstance(error, VideoRefused):
                    raise _no_answer() from error
                raise
        with answer:
            if watch.fired:  # headers that were broken off look like complete ones
                raise _no_answer()
            yield answer, break_off


def etag_of(answer: "requests.Response") -> str | None:
    """The entity tag of an answer, if it is one that is worth keeping."""
    etag = answer.headers.get("ETag", "")
    return etag if 0 < len(etag) <= _LONGEST_ETAG else None


def _check_status(answer: "requests.Response") -> None:
    status = answer.status_code
    if status in (200, 203):  # 206 is a part, and the others of 2xx come without a file (RFC 9110, §15.3)
        return
    text = f"the host answers with status {status}"
    if status_is_transient(status):
        raise CopyFailed(text, retry_after=retry_after_seconds(answer.headers))
    raise VideoRefused(text, kind="gone")


def _pieces(answer: "requests.Response") -> Iterator[bytes]:
    """The answer's body in pieces of whatever has arrived: waiting for full ones, a host that sends a byte a second
    would never be measured."""
    import urllib3  # noqa: PLC0415

    try:
        while piece := answer.raw.read1(CHUNK, decode_content=True):
            yield piece
    except urllib3.exceptions.DecodeError:
        coding = visible(answer.headers.get("Content-Encoding", ""), most=40)
        raise VideoRefused(f"it cannot be unpacked, though the host calls it {coding}", kind="not-video") from None


def _no_answer() -> CopyFailed:
    return CopyFailed(f"the host did not answer within {HEAD_SECONDS:.0f} s")
