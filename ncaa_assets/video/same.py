"""Whether another URL means a copy that is kept already. A signed link carries a new signature in its query at every
listing; whether it leads to the same file is asked with one small request. A page's query names the video itself."""

import logging
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ncaa_assets.failures import BackupError, one_line
from ncaa_assets.record.models import CopiedVideo
from ncaa_assets.retry import status_is_transient
from ncaa_assets.video.host import answer_of, etag_of

if TYPE_CHECKING:
    from ncaa_assets.video.safe_http import GuardedSession

log = logging.getLogger(__name__)

_WHOLE_LENGTH = re.compile(r"bytes\s+0-0/([0-9]{1,18})", re.IGNORECASE)


def may_mean(url: str | None, video: CopiedVideo) -> bool:
    """Whether a URL served this copy, or differs from one that did in nothing but its query. Of a copy from a page, the
    query is part of the address. Where it is not known to be from a page, asking tells: a page has another length."""
    known = (video.source_url, *video.other_urls)
    if url is None:
        return False
    return url in known or (not video.from_page and url.partition("?")[0] in {one.partition("?")[0] for one in known})


def is_unchanged(session: "GuardedSession", url: str, copies: Sequence[CopiedVideo]) -> bool:
    """Whether these copies are all that the URL is worth now: it leads to a file with the length and the ETag of one of
    them, or the host refuses, or does not answer this time. One byte is asked for, and no more than the head is read.

    What the host did not tell, then or now, is not compared: of hosts without ETags the length decides, and a strong
    ETag where there is no length. If nothing can be compared, the URL has to be fetched.
    """
    import requests  # noqa: PLC0415 - why here: retry.py
    import urllib3  # noqa: PLC0415

    try:
        with answer_of(session, url, headers={"Range": "bytes=0-0"}) as (answer, _):
            status, headers, etag = answer.status_code, answer.headers, etag_of(answer)
    except (BackupError, requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        log.debug("the copy is kept, its new link cannot be asked for: %s", one_line(error))
        return True
    if status not in (200, 203, 206):
        log.debug("the copy is kept, its new link is %s", "down" if status_is_transient(status) else "refused")
        return True
    if status == 206:
        told = _WHOLE_LENGTH.fullmatch(headers.get("Content-Range", "").strip())
        length = int(told[1]) if told else None
    else:
        length = int(headers["Content-Length"]) if "Content-Length" in headers else None
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        length = None  # that of the packed bytes
    return any(_is_same(video, length, etag) for video in copies)


def _is_same(video: CopiedVideo, length: int | None, etag: str | None) -> bool:
    if length is not None and length != video.bytes:
        return False
    if etag is None or video.etag is None:
        return length is not None
    if length is None and etag.startswith("W/"):
        return False
    return etag.removeprefix("W/") == video.etag.removeprefix("W/")
