"""The pace at which a body may come: read ahead of the store, measured, bounded in bytes, and broken off when too slow.

A host that trickles passes every timeout that counts from byte to byte, so a watch in a thread of its own counts the
whole.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from ncaa_assets.failures import CopyFailed, VideoRefused
from ncaa_assets.video.body import TIMEOUT, Body

log = logging.getLogger(__name__)

AHEAD = 4  # pieces in memory that wait for the store
REPORT_EVERY = 10.0  # seconds between two log lines about one copy's progress
LOOK_EVERY = 1.0  # seconds between two looks at a deadline that may have been moved
RATE_WINDOW = 60.0  # seconds over which a slow host is measured


class Watch:
    """Calls `break_off` from a thread of its own once the monotonic clock passes `deadline`, which may be moved."""

    def __init__(self, break_off: Callable[[], None], deadline: float) -> None:
        self.deadline = deadline
        self.fired = False
        self._break_off = break_off
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_watch, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()

    def _keep_watch(self) -> None:
        while not self._over.wait(max(0.0, min(self.deadline - time.monotonic(), LOOK_EVERY))):
            if time.monotonic() >= self.deadline:
                self.fired = True
                self._break_off()
                return


def paced(
    body: Body, *, name: str, max_bytes: int, min_bytes_per_second: int, check: Callable[[], None]
) -> Generator[bytes, None, None]:
    """The body's pieces, as long as they come fast enough and are not too many; logs its progress under `name`.

    Only the time spent waiting for the host counts: a slow store is not the host's fault.

    Args:
        min_bytes_per_second: the slowest pace that is borne over `RATE_WINDOW`.
        check: called after each piece has come, before anything is concluded from it; may raise. A connection that was
            broken off looks like that of a host which has sent everything.

    Raises:
        CopyFailed: the pieces come too slowly.
        VideoRefused: they are more than `max_bytes`, or promise to be.
    """
    if (body.promised or 0) > max_bytes:
        raise _too_large(max_bytes)
    reported = time.monotonic()
    size = in_window = 0
    waited = 0.0
    with Watch(body.break_off, math.inf) as watch, _read_ahead(body) as next_piece:
        while True:
            asked = time.monotonic()
            watch.deadline = asked + RATE_WINDOW + TIMEOUT[1] - waited
            try:
                piece = next_piece()
            except Exception as error:
                if watch.fired and not isinstance(error, VideoRefused):
                    raise _too_slow(in_window, waited + time.monotonic() - asked) from error
                raise
            watch.deadline = math.inf
            waited += time.monotonic() - asked
            check()
            if watch.fired:
                raise _too_slow(in_window, waited)
            if not piece:
                return
            in_window += len(piece)
            size += len(piece)
            if size > max_bytes:
                raise _too_large(max_bytes)
            if waited >= RATE_WINDOW:
                if in_window < min_bytes_per_second * waited:
                    raise _too_slow(in_window, waited)
                in_window, waited = 0, 0.0
            if time.monotonic() - reported >= REPORT_EVERY:
                reported = time.monotonic()
                share = f" of {body.promised / 1e6:.1f}" if body.promised else ""
                log.info("copying %s: %.1f%s MB", name, size / 1e6, share)
            yield piece


@contextmanager
def _read_ahead(body: Body) -> Iterator[Callable[[], bytes]]:
    """A function that returns the body's next piece, empty at the end. A thread of its own reads a few pieces ahead
    while earlier ones are hashed and stored: a fifth less time for a file that comes as fast as memory (measured)."""
    ahead: deque[Future[bytes]] = deque()
    at_end = False
    with ThreadPoolExecutor(1, "read") as pool:

        def next_piece() -> bytes:
            nonlocal at_end
            while len(ahead) < AHEAD:
                ahead.append(pool.submit(next, body.pieces, b""))
            piece = ahead.popleft().result()
            at_end = not piece
            return piece

        try:
            yield next_piece
        finally:
            if not at_end:
                body.break_off()  # ends the read under way; the connection could not be used again anyway
            pool.shutdown(cancel_futures=True)


def _too_large(max_bytes: int) -> VideoRefused:
    return VideoRefused(f"it is larger than VIDEO_MAX_BYTES ({max_bytes} bytes)", kind="too-large")


def _too_slow(count: int, seconds: float) -> CopyFailed:
    return CopyFailed(f"the host sends only {count / seconds if seconds else 0:.0f} bytes a second")
