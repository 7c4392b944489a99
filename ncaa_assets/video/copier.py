"""From a URL to a stored, verified object: where untrusted addresses meet a trusted archive. Plain Python.

Bytes stream from the host to the store, hashed and checked as they pass. Nothing appears under a key before it is whole
and shown to be a video. `plan.py` decides which videos to copy; `VideoCopier` copies them several at a time.
"""

import hashlib
import http.client
import logging
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from functools import partial
from itertools import chain, count, islice
from typing import TYPE_CHECKING

from ncaa_assets.at_once import at_once
from ncaa_assets.failures import CopyFailed, RunEnded, VideoRefused, explained, one_line
from ncaa_assets.media.containers import CONTENT_TYPES, START, container_of, looks_like_page, verifier_of
from ncaa_assets.media.facts import Facts
from ncaa_assets.media.isobmff import NotWhole
from ncaa_assets.media.probe import NotLoaded, Unreadable, read_facts
from ncaa_assets.ports import Candidate, Copier, CopyOutcome, CopyPlan, ObjectStore, Upload
from ncaa_assets.record.calendar import now
from ncaa_assets.record.models import CopiedVideo, Highlight, VideosDay, safe_name
from ncaa_assets.retry import RetryPolicy, is_transient, is_unreachable
from ncaa_assets.text import visible
from ncaa_assets.video.body import Body, PageReader
from ncaa_assets.video.host import open_host
from ncaa_assets.video.pace import paced
from ncaa_assets.video.same import is_unchanged

if TYPE_CHECKING:
    from ncaa_assets.video.safe_http import HostPolicy

log = logging.getLogger(__name__)

Open = Callable[[], AbstractContextManager[Body]]
_MOST_SECONDS = 30 * 24 * 3600.0
_REFUSALS_TOLD = 50  # lines of a log; the manifest has all
_FRAGMENTS = b"mvex"  # a box that announces them; they are read all over the file


class _MiddleNeeded(Exception):
    """The ends of a file do not show what it is."""


@dataclass(frozen=True)
class CopyLimits:
    """What a copy may cost: the most bytes, the fewest bytes a second (over `pace.RATE_WINDOW`), and the retries."""

    max_bytes: int
    min_bytes_per_second: int
    retry: RetryPolicy

    @property
    def most_seconds(self) -> float:
        """The most that one attempt may take, come what may: twice what the slowest host that is borne needs for the
        largest file, because a slow store takes its time too, and an hour; never more than `_MOST_SECONDS`."""
        return min(3600 + 2 * self.max_bytes / max(self.min_bytes_per_second, 1), _MOST_SECONDS)


@dataclass(frozen=True)
class _Task:
    """One copy to make: of which candidate, for which day, and what may still stop it right before it appears."""

    day: str
    candidate: Candidate
    before_commit: Callable[[], None]

    @property
    def highlight(self) -> Highlight:
        return self.candidate.highlight

    @property
    def label(self) -> str:
        return self.highlight.label

    @property
    def stem(self) -> str:
        """The key that the copy gets, without its ending."""
        return f"videos/{self.day}/{safe_name(self.highlight.id)}"


class VideoCopier(Copier):
    """Copies videos into one store over HTTP, `concurrency` at a time. `pages` finds the videos of web pages (None: a
    page is refused)."""

    def __init__(
        self,
        store: ObjectStore,
        policy: "HostPolicy",
        limits: CopyLimits,
        *,
        concurrency: int,
        pages: PageReader | None = None,
    ) -> None:
        self._store, self._limits, self._concurrency, self._pages = store, limits, concurrency, pages
        from ncaa_assets.video.safe_http import new_session  # noqa: PLC0415 - imports requests: retry.py

        self._session = new_session(policy, pool=concurrency)
        self._ended = threading.Event()
        self._refusals = count(1)  # its `next` is safe between threads

    @property
    def searched_pages(self) -> frozenset[str]:
        return self._pages.searched if self._pages is not None else frozenset()

    def copy(
        self, day: str, plan: CopyPlan, *, before_commit: Callable[[], None] = lambda: None
    ) -> Generator[CopyOutcome, None, None]:
        waiting = iter(plan.fresh)
        first = waiting if plan.missing is None else islice(waiting, plan.missing)

        def replacement(outcome: CopyOutcome) -> Iterator[_Task]:
            is_open = plan.leaves_its_place(outcome)
            return (_Task(day, candidate, before_commit) for candidate in islice(waiting, 1 if is_open else 0))

        tasks = [_Task(day, candidate, before_commit) for candidate in (*plan.renewed, *first)]
        yield from at_once(
            self._outcome, tasks, limit=self._concurrency, name="copy", end=self.close, followed_by=replacement
        )

    def close(self) -> None:
        """Ends every copy under way, for good, and takes back what it had written."""
        self._ended.set()
        self._session.end()
        if self._pages is not None:
            self._pages.end()

    def _outcome(self, task: _Task) -> CopyOutcome:
        url, perhaps = task.highlight.url, task.candidate.perhaps
        try:
            if url is not None and perhaps and is_unchanged(self._session, url, perhaps):
                self._stop_if_ended()
                return CopyOutcome(task.candidate, None)
            return CopyOutcome(task.candidate, self._copy(task))
        except VideoRefused as error:
            self._tell(task, error)
            return CopyOutcome(task.candidate, error)
        except CopyFailed as error:
            log.warning("%s not copied: %s", task.label, error)
            return CopyOutcome(task.candidate, error)

    def _tell(self, task: _Task, error: VideoRefused) -> None:
        """Logs that a video was refused. A run's record takes each line of a log as an event, and thousands of them
        take minutes there, so the first stand for all."""
        number = next(self._refusals)
        log.log(logging.INFO if number <= _REFUSALS_TOLD else logging.DEBUG, "%s not copied: %s", task.label, error)
        if number == _REFUSALS_TOLD + 1:
            log.info("and more that are not copied; %s says why of each", VideosDay.key(task.day))

    def _copy(self, task: _Task) -> CopiedVideo:
        """One verified copy.

        Raises:
            VideoRefused: it cannot be copied, now or later.
            CopyFailed: it broke, on every attempt.
            StoreError: the store failed.
        """
        import requests  # noqa: PLC0415
        import urllib3  # noqa: PLC0415

        retry = self._limits.retry.loop(what=f"copying {task.label}", log=log, sleep=self._sleep)
        try:
            return retry(self._copy_once, task)
        except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            if (of_machine := explained(error)) is not None:  # which the host is not to blame for
                raise CopyFailed(str(of_machine)) from error
            if is_unreachable(error):
                raise CopyFailed(
                    "its host cannot be reached (its name cannot be looked up now, or it refuses connections)"
                ) from error
            if is_transient(error):
                raise CopyFailed(f"the connection broke ({visible(one_line(error), most=200)})") from error
            raise VideoRefused(f"it cannot be asked for ({visible(one_line(error), most=200)})", kind="gone") from error

    def _copy_once(self, task: _Task) -> CopiedVideo:
        url = task.highlight.url
        if url is None:
            raise VideoRefused("the record has no url", kind="gone")
        try:
            self._stop_if_ended()
            try:
                return self._store_body(task, partial(open_host, self._session, url))
            except VideoRefused as refusal:
                if refusal.kind != "page" or self._pages is None:
                    raise
            log.info("%s is a web page: yt-dlp looks for its video", task.label)
            try:
                return self._store_body(task, partial(self._pages.open, url, max_bytes=self._limits.max_bytes))
            except VideoRefused as refusal:
                if refusal.kind == "page":
                    raise VideoRefused("its page leads to a web page again", kind="unresolved") from refusal
                raise
        except Exception:
            self._stop_if_ended()  # a connection that `close` broke is no failure of its host
            raise

    def _store_body(self, task: _Task, open_body: Open) -> CopiedVideo:
        # Beside an earlier or a lost copy, the key depends on the bytes and so is known only at the end.
        is_renewed = bool(task.candidate.earlier or task.candidate.lost)
        try:
            return self._stored(task, open_body, is_provisional=is_renewed)
        except _MiddleNeeded:
            log.info("%s is fetched once more: what it is shows only in its middle", task.label)
            return self._stored(task, open_body, is_provisional=True)

    def _stored(self, task: _Task, open_body: Open, *, is_provisional: bool) -> CopiedVideo:
        """Streams one body into the store and verifies it on the way."""
        digest = hashlib.sha256()
        size = 0
        with ExitStack() as stack:
            body = stack.enter_context(open_body())
            pieces = stack.enter_context(closing(self._paced(body, task)))
            start = _at_least(START, pieces)
            if not start and not body.tells_its_end():
                raise CopyFailed("the connection ended before the first byte")
            container = _container(start, body.content_type)
            verifier = verifier_of(container)
            upload = stack.enter_context(self._store.upload(
                f"{task.stem}.{container}", content_type=CONTENT_TYPES[container],
                provisional=is_provisional or _FRAGMENTS in start,
            ))  # fmt: skip
            try:
                for piece in chain([start], pieces):
                    size += len(piece)
                    digest.update(piece)
                    verifier.feed(piece)
                    upload.write(piece)
                verifier.finish(is_all=body.tells_its_end())
            except NotWhole as error:
                if body.tells_its_end():
                    raise VideoRefused(f"the host's file is damaged: {error}", kind="not-video") from error
                # A connection that was cut without a promised length looks just like this; another attempt tells.
                raise CopyFailed(f"what came is no whole video: {error}") from error
            sha256 = digest.hexdigest()
            if not verifier.shows_its_end and not body.tells_its_end():
                self._fetch_to_compare(task, open_body, sha256)
            facts = _facts(upload, size)
            picture = facts.picture
            task.before_commit()
            return _commit(upload, task, CopiedVideo(
                id=task.highlight.id, title=task.highlight.shown_title, source_url=task.highlight.url or "",
                key=f"{task.stem}.{container}", bytes=size, sha256=sha256, container=container,
                duration_seconds=facts.seconds,
                width=round(picture.width * picture.pixel_aspect) if picture else None,
                height=picture.height if picture else None,
                has_sound=facts.sounds > 0, facts=facts, etag=body.etag, from_page=body.from_page, copied_at=now(),
            ))  # fmt: skip

    def _fetch_to_compare(self, task: _Task, open_body: Open, sha256: str) -> None:
        """Fetches a file once more and keeps nothing of it. Where neither the host nor the format says where a file
        ends, a cut shows only in being elsewhere the next time.

        Raises:
            CopyFailed: other bytes came.
        """
        digest = hashlib.sha256()
        with open_body() as body, closing(self._paced(body, task)) as pieces:
            for piece in pieces:
                digest.update(piece)
        if digest.hexdigest() != sha256:
            raise CopyFailed("nothing says where the file ends, and it ended elsewhere when fetched again")

    def _paced(self, body: Body, task: _Task) -> Generator[bytes, None, None]:
        return paced(
            body,
            name=task.label,
            max_bytes=self._limits.max_bytes,
            min_bytes_per_second=self._limits.min_bytes_per_second,
            check=self._stop_if_ended,
        )

    def _stop_if_ended(self) -> None:
        if self._ended.is_set():
            raise RunEnded("the run was ended")

    def _sleep(self, seconds: float) -> None:
        self._ended.wait(seconds)


def _facts(upload: Upload, size: int) -> Facts:
    """What was uploaded.

    Raises:
        VideoRefused: it is no video that anybody can watch.
        CopyFailed: nothing can be said of it on this machine.
        _MiddleNeeded: it seems to be none, and the store has not all of it at hand.
        StoreError: the store failed.
    """
    with upload.reader() as file:
        try:
            facts = read_facts(file, size=size)
            reason = facts.why_unwatchable
        except NotLoaded as error:
            raise CopyFailed(str(error)) from error
        except Unreadable as error:
            reason = f"it cannot be read as a video: {error}"
    if reason is None:
        return facts
    raise VideoRefused(reason, kind="not-video") if upload.has_all else _MiddleNeeded


def _commit(upload: Upload, task: _Task, video: CopiedVideo) -> CopiedVideo:
    """Makes the copy appear: under its plain key; or beside an earlier or a lost copy of other bytes. A lost copy of
    these very bytes gets them back. Where an earlier copy has them, they are not stored a second time."""
    candidate = task.candidate
    for stored in (*candidate.lost, *candidate.earlier):
        if stored.sha256 != video.sha256:
            continue
        is_new_url = video.source_url not in (stored.source_url, *stored.other_urls)
        if is_new_url and stored in candidate.earlier:
            upload.abort()
        else:
            upload.commit(stored.key)  # lost; or forced: what lies there may be damaged
        known = {"facts", "duration_seconds", "width", "height", "has_sound"} if stored.facts is None else set()
        return stored.model_copy(
            update={
                "other_urls": [*stored.other_urls, video.source_url] if is_new_url else stored.other_urls,
                **{name: getattr(video, name) for name in {"etag", "from_page", *known}},
            }
        )
    mark = f".{video.sha256[:8]}" if candidate.earlier or candidate.lost else ""
    return video.model_copy(update={"key": upload.commit(f"{task.stem}{mark}.{video.container}").key})


def _at_least(size: int, pieces: Iterator[bytes]) -> bytes:
    start = b""
    while len(start) < size and (piece := next(pieces, b"")):
        start += piece
    return start


def _container(start: bytes, content_type: str) -> str:
    """The kind of file by its first bytes; its sender's word counts only where they are no video.

    Raises:
        VideoRefused: it is no kind that is copied.
    """
    if not start:
        raise VideoRefused("the host sent nothing", kind="not-video")
    container = container_of(start)
    if container is not None:
        return container
    if looks_like_page(start) or "html" in content_type.lower():
        raise VideoRefused("it is a web page, not a video file", kind="page")
    called = f" (the host calls it {visible(content_type.split(';', maxsplit=1)[0], most=60)})" if content_type else ""
    raise VideoRefused(f"its bytes are no MP4, QuickTime, WebM or MPEG-TS video{called}", kind="not-video")
