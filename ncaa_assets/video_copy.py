"""From a URL to a stored, verified object: where untrusted addresses meet a trusted archive. Plain Python.

Bytes stream from the host to the store, hashed and checked as they pass; nothing appears under a key before it is whole
and shown to be a video. `plan_copies` decides which of a day's videos to copy, `VideoCopier` copies them several at a
time.
"""

import hashlib
import http.client
import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from ncaa_assets.backends.base import ObjectStore, Upload
from ncaa_assets.failures import (
    BackupError,
    CopyFailed,
    RunEnded,
    VideoRefused,
    is_transient,
    is_unreachable,
    one_line,
    retry_after_seconds,
    retrying,
    status_is_transient,
)
from ncaa_assets.isobmff import BoxReader, Movie, NotWhole, looks_like_movie
from ncaa_assets.models import CopiedVideo, Highlight, SkippedVideo, VideosDay, now, safe_name

if TYPE_CHECKING:
    import requests

    from ncaa_assets.safe_http import HostPolicy

log = logging.getLogger(__name__)

CHUNK = 256 * 1024
TIMEOUT = (5.0, 30.0)  # seconds to connect, seconds between two pieces
SAY_EVERY = 10.0  # seconds between two lines about one copy's progress
RATE_WINDOW = 60.0  # seconds over which a slow host is measured
_TYPES = {"mp4": "video/mp4", "mov": "video/quicktime", "webm": "video/webm", "ts": "video/mp2t"}
_TS_PACKET = 188


@dataclass(frozen=True)
class CopyLimits:
    """What a copy may cost: bytes, bytes a second over `RATE_WINDOW`, retries, and seconds between two of them."""

    max_bytes: int
    min_bytes_per_second: int
    retry_count: int
    retry_delay: float


@dataclass(frozen=True)
class Candidate:
    """A highlight whose video is to be copied, and the copies that the store has of it."""

    highlight: Highlight
    earlier: tuple[CopiedVideo, ...] = ()


@dataclass(frozen=True)
class CopyPlan:
    """What to copy: `renewed`, of which there are copies (the URL changed, or a person forced it), and the first
    `missing` of `fresh` that can be copied (None: all)."""

    renewed: Sequence[Candidate]
    fresh: Sequence[Candidate]
    missing: int | None


@dataclass(frozen=True)
class CopyOutcome:
    """How one candidate ended: copied, not copyable, or failed for a passing reason."""

    candidate: Candidate
    result: CopiedVideo | VideoRefused | CopyFailed


class _Verifier(Protocol):
    def feed(self, chunk: bytes) -> None: ...
    def finish(self) -> Movie | None: ...


class VideoCopier:
    """Copies videos into one store, `concurrency` at a time. `count` is how many of a day's are wanted (None: all)."""

    def __init__(
        self, store: ObjectStore, policy: "HostPolicy", limits: CopyLimits, *, concurrency: int, count: int | None
    ) -> None:
        self.count = count
        self._store, self._limits, self._concurrency = store, limits, concurrency
        from ncaa_assets.safe_http import new_session  # noqa: PLC0415 - why here: failures.py

        self._session = new_session(policy, pool=concurrency)
        self._ended = threading.Event()

    def copy(self, day: str, plan: CopyPlan) -> Generator[CopyOutcome, None, None]:
        """Carries out a plan, yielding each outcome as it is known.

        A fresh candidate that cannot be copied is replaced by the next; one that failed for a passing reason keeps its
        place, so that the next run takes it up and not a later one.
        """
        waiting = iter(plan.fresh)
        first = waiting if plan.missing is None else islice(waiting, plan.missing)
        with ThreadPoolExecutor(self._concurrency, "copy") as pool:
            under_way = {pool.submit(self._outcome, day, candidate) for candidate in (*plan.renewed, *first)}
            try:
                while under_way:
                    done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                    for outcome in (future.result() for future in done):
                        refused = isinstance(outcome.result, VideoRefused) and not outcome.candidate.earlier
                        if refused and (following := next(waiting, None)) is not None:
                            under_way.add(pool.submit(self._outcome, day, following))
                        yield outcome
            finally:
                self.close()
                pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Ends every copy under way, for good; what it had written is taken back."""
        self._ended.set()
        self._session.end()

    def _outcome(self, day: str, candidate: Candidate) -> CopyOutcome:
        name = candidate.highlight.label
        try:
            copied = self._copy(day, candidate)
        except VideoRefused as error:
            log.info("%s not copied: %s", name, error)
            return CopyOutcome(candidate, error)
        except CopyFailed as error:
            log.warning("%s not copied: %s", name, error)
            return CopyOutcome(candidate, error)
        return CopyOutcome(candidate, copied)

    def _copy(self, day: str, candidate: Candidate) -> CopiedVideo:
        """One verified copy.

        Raises:
            VideoRefused: it cannot be copied, now or later.
            CopyFailed: it broke, also when tried again.
            StoreError: the store failed.
        """
        import requests  # noqa: PLC0415
        import urllib3  # noqa: PLC0415

        retry = retrying(
            count=self._limits.retry_count,
            max_delay=self._limits.retry_delay,
            what=f"copying {candidate.highlight.label}",
            log=log,
            sleep=self._sleep,
        )
        try:
            return retry(self._copy_once, day, candidate)
        except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            if is_unreachable(error):
                raise CopyFailed("its host cannot be reached (unknown name or refused connection)") from error
            if is_transient(error):
                raise CopyFailed(f"the connection broke ({one_line(error)[:200]})") from error
            raise VideoRefused(f"it cannot be asked for ({one_line(error)[:200]})", kind="gone") from error

    def _copy_once(self, day: str, candidate: Candidate) -> CopiedVideo:
        url = candidate.highlight.url
        if url is None:
            raise VideoRefused("the record has no url", kind="gone")
        from ncaa_assets.safe_http import open_url  # noqa: PLC0415

        try:
            self._stop_if_ended()
            with open_url(self._session, url, timeout=TIMEOUT) as answer:
                self._check_answer(answer)
                return self._store_body(day, candidate, url, answer)
        except Exception:
            self._stop_if_ended()  # a connection that `close` broke is no failure of its host
            raise

    def _stop_if_ended(self) -> None:
        if self._ended.is_set():
            raise RunEnded("the run was ended")

    def _check_answer(self, answer: "requests.Response") -> None:
        status = answer.status_code
        if status != 200:
            if status_is_transient(status):
                raise CopyFailed(
                    f"the host answers with status {status}", retry_after=retry_after_seconds(answer.headers)
                )
            raise VideoRefused(f"the host answers with status {status}", kind="gone")
        promised = answer.headers.get("Content-Length", "")
        if promised.isdecimal() and int(promised) > self._limits.max_bytes:
            raise self._too_large()

    def _store_body(self, day: str, candidate: Candidate, url: str, answer: "requests.Response") -> CopiedVideo:
        highlight = candidate.highlight
        pieces = self._pieces(answer, highlight.label)
        start = _at_least(4096, pieces)
        if not start and not _says_its_end(answer):
            raise CopyFailed("the connection ended before the first byte")
        container = _container(start, answer.headers.get("Content-Type", ""))
        name = f"videos/{day}/{safe_name(highlight.id)}"
        digest = hashlib.sha256()
        verifier = _verifier(container)
        size = 0
        kept_beside = bool(candidate.earlier)
        with self._store.upload(
            f"{name}.{container}", content_type=_TYPES[container], provisional=kept_beside
        ) as upload:
            try:
                for piece in _chain(start, pieces):
                    size += len(piece)
                    if size > self._limits.max_bytes:
                        raise self._too_large()
                    digest.update(piece)
                    verifier.feed(piece)
                    upload.write(piece)
                movie = verifier.finish()
            except NotWhole as error:
                if _says_its_end(answer):
                    raise VideoRefused(f"the host's file is damaged: {error}", kind="not-video") from error
                # A cut connection without a promised length looks just like this; another attempt tells.
                raise CopyFailed(f"what came is no whole video: {error}") from error
            if movie is not None and movie.has_video is False:
                raise VideoRefused("it holds no picture, only sound or data", kind="not-video")
            sha256 = digest.hexdigest()
            return self._commit(upload, candidate, name, CopiedVideo(
                id=highlight.id, title=highlight.title, source_url=url, key="", bytes=size, sha256=sha256,
                container=container,
                duration_seconds=movie.duration_seconds if movie else None,
                width=movie.width if movie else None,
                height=movie.height if movie else None,
                has_sound=movie.has_sound if movie else None,
                copied_at=now(),
            ))  # fmt: skip

    @staticmethod
    def _commit(upload: Upload, candidate: Candidate, name: str, video: CopiedVideo) -> CopiedVideo:
        """Makes the copy appear: under its plain key, or beside an earlier copy of other bytes, or, where an earlier
        copy has these very bytes, not a second time."""
        for earlier in candidate.earlier:
            if earlier.sha256 == video.sha256:
                if video.source_url in (earlier.source_url, *earlier.other_urls):
                    upload.commit(earlier.key)  # forced: what lies there may be damaged
                    return earlier
                upload.abort()
                return earlier.model_copy(update={"other_urls": [*earlier.other_urls, video.source_url]})
        key = f"{name}.{video.sha256[:8]}.{video.container}" if candidate.earlier else f"{name}.{video.container}"
        return video.model_copy(update={"key": upload.commit(key).key})

    def _pieces(self, answer: "requests.Response", name: str) -> Iterator[bytes]:
        """The body's pieces, while they come at a bearable pace; says every ten seconds how far it is.

        Each as soon as it is there: waiting for a full one, a host of one byte a second would never be measured.
        """
        window_start, window_bytes = time.monotonic(), 0
        said, size, promised = time.monotonic(), 0, answer.headers.get("Content-Length", "")
        while piece := answer.raw.read1(CHUNK, decode_content=True):
            self._stop_if_ended()
            window_bytes += len(piece)
            size += len(piece)
            if time.monotonic() - said >= SAY_EVERY:
                said = time.monotonic()
                share = f" of {int(promised) / 1e6:.1f}" if promised.isdecimal() else ""
                log.info("copying %s: %.1f%s MB", name, size / 1e6, share)
            elapsed = time.monotonic() - window_start
            if elapsed >= RATE_WINDOW:
                if window_bytes < self._limits.min_bytes_per_second * elapsed:
                    raise CopyFailed(f"the host sends only {window_bytes / elapsed:.0f} bytes a second")
                window_start, window_bytes = time.monotonic(), 0
            yield piece
        self._stop_if_ended()  # a connection that `close` broke ends as one whose host has sent everything

    def _too_large(self) -> VideoRefused:
        return VideoRefused(f"it is larger than VIDEO_MAX_BYTES ({self._limits.max_bytes} bytes)", kind="too-large")

    def _sleep(self, seconds: float) -> None:
        self._ended.wait(seconds)


def plan_copies(
    highlights: Sequence[Highlight],
    manifest: VideosDay,
    *,
    have: Callable[[CopiedVideo], bool],
    count: int | None,
    force: bool,
) -> CopyPlan:
    """What a run still has to copy so that the first `count` videos of a day are there (None: all).

    Copies that the store has count, whichever records they are of; one whose URL changed is fetched again, to be kept
    beside the old one if its bytes differ. A URL known to be a web page is not asked again. With `force` what is
    there is fetched again, and where more are wanted, pages are asked again.
    """
    present = [video for video in manifest.videos if have(video)]
    pages = {(skip.id, skip.source_url) for skip in manifest.skipped if skip.kind == "page"}
    renewed, fresh = [], []
    for highlight in highlights:
        earlier = tuple(video for video in present if video.id == highlight.id)
        known = any(highlight.url in (video.source_url, *video.other_urls) for video in earlier)
        if not force and (known or (highlight.id, highlight.url) in pages):
            continue
        if earlier:
            renewed.append(Candidate(highlight, earlier))
        else:
            fresh.append(Candidate(highlight))
    there = len({video.id for video in present})
    return CopyPlan(renewed, fresh, None if count is None else max(0, count - there))


def skipped(outcome: CopyOutcome, error: BackupError) -> SkippedVideo:
    """The manifest's entry for a video that was not copied."""
    highlight = outcome.candidate.highlight
    kind = error.kind if isinstance(error, VideoRefused) else "failed"
    return SkippedVideo(
        id=highlight.id, title=highlight.title, source_url=highlight.url, kind=kind, reason=str(error), at=now()
    )


def _at_least(size: int, pieces: Iterator[bytes]) -> bytes:
    start = b""
    while len(start) < size and (piece := next(pieces, b"")):
        start += piece
    return start


def _chain(start: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield start
    yield from rest


def _says_its_end(answer: "requests.Response") -> bool:
    """Whether the answer's framing shows where it ends: a body that was read to that end is what the host has."""
    return "Content-Length" in answer.headers or "chunked" in answer.headers.get("Transfer-Encoding", "").lower()


def _container(start: bytes, content_type: str) -> str:
    """The kind of file by its first bytes: `mp4`, `mov`, `webm` or `ts`; what the server calls it does not count.

    Raises:
        VideoRefused: it is none of them.
    """
    if not start:
        raise VideoRefused("the host sent nothing", kind="not-video")
    if looks_like_movie(start):
        return "mov" if start[4:8] != b"ftyp" or start[8:12] == b"qt  " else "mp4"
    if start[:4] == b"\x1a\x45\xdf\xa3" and b"webm" in start[:64]:
        return "webm"
    if len(start) > 2 * _TS_PACKET and all(start[at] == 0x47 for at in (0, _TS_PACKET, 2 * _TS_PACKET)):
        return "ts"
    head = start[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<!doctype", b"<html", b"<head", b"<body", b"<!--")) or "html" in content_type.lower():
        raise VideoRefused("it is a web page, not a video file", kind="page")
    called = f" (the host calls it {content_type.split(';', maxsplit=1)[0][:60]})" if content_type else ""
    raise VideoRefused(f"its bytes are no MP4, QuickTime, WebM or MPEG-TS video{called}", kind="not-video")


class _TransportStream:
    """Counts an MPEG-TS file's packets, which carry no total: whole packets are all that can be checked."""

    def __init__(self) -> None:
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        self._size += len(chunk)

    def finish(self) -> None:
        if self._size % _TS_PACKET:
            raise NotWhole("its last packet is cut off")


class _WebM:
    """Checks a WebM file's length against the size that its Segment announces (RFC 8794, §6.1 and RFC 9559)."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if len(self._head) < 4096:
            self._head += chunk[:4096]

    def finish(self) -> None:
        length, at = _ebml_size(self._head, 4)
        segment = at + (length or 0)
        if self._head[segment : segment + 4] != b"\x18\x53\x80\x67":
            raise NotWhole("its Segment is missing")
        length, at = _ebml_size(self._head, segment + 4)
        if length is not None and self._size < at + length:
            raise NotWhole("the file is cut off in the middle")


def _ebml_size(data: bytes | bytearray, at: int) -> tuple[int | None, int]:
    """An EBML variable-size integer (None: unknown, as live recordings write), and where it ends."""
    if at >= len(data) or not data[at]:
        raise NotWhole("it is damaged")
    length = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + length], "big") & ((1 << 7 * length) - 1)
    return None if value == (1 << 7 * length) - 1 else value, at + length


def _verifier(container: str) -> _Verifier:
    if container == "webm":
        return _WebM()
    return _TransportStream() if container == "ts" else BoxReader()
