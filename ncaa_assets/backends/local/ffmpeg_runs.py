"""Runs of ffmpeg: each with its share of the machine, watched, ended with the run that asked for it, and its failure a
sentence."""

import logging
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ncaa_assets.backends.local.share import Share
from ncaa_assets.child import Bounds, Child
from ncaa_assets.failures import EncodeFailed, EncodeRefused, RunEnded
from ncaa_assets.media.ffmpeg import ffmpeg_program
from ncaa_assets.text import size, visible

# What ffmpeg and x264 say where memory is refused to them; a thread's stack is memory too.
_NO_MEMORY = re.compile(
    r"malloc of size \d+ failed|Cannot allocate memory|Resource temporarily unavailable"
    r"|enc:libx264[^\n]*Error while opening encoder"
)

log = logging.getLogger(__name__)


class FileFailed(EncodeFailed):
    """ffmpeg ended with an error of its own: as far as can be told, the file is to blame."""


@dataclass(frozen=True)
class Written:
    """What a run of ffmpeg said that it has written: seconds, and frames of the picture."""

    seconds: float
    frames: int


class FfmpegRuns:
    """Runs ffmpeg, several at a time, until they are told to end.

    Args:
        share: what each run gets of the machine.
        timeout: the most seconds of one run.
        place: where the files lie, for a sentence about a disk that is full.
    """

    def __init__(self, *, share: Share, timeout: float, place: str) -> None:
        self._share, self._timeout, self._place = share, timeout, place
        self._ending = threading.Event()
        self._running: set[Child] = set()

    def begin(self) -> None:
        """Lets runs begin, again after an `end`."""
        self._ending.clear()

    def end(self) -> None:
        """Ends all runs; those that begin after this end at once."""
        self._ending.set()  # first: a process that starts from now on is killed by whoever starts it
        for process in list(self._running):
            process.kill()

    def run(self, arguments: Sequence[str], name: str, *, seconds: float | None = None) -> Written:
        """Runs ffmpeg to its end, logs every ten seconds how far it is, and returns how much it said that it has
        written; of what it reads, `seconds` are expected.

        Raises:
            RunEnded: the run was ended meanwhile.
            FileFailed: ffmpeg failed.
            EncodeFailed: it took longer than `ENCODE_TIMEOUT`, or the disk is full.
            EncodeRefused: it would have taken more memory than its share.
        """
        started = logged = time.monotonic()
        done, frames = 0.0, 0
        bounds = Bounds(seconds=self._timeout, memory=self._share.memory)
        with Child([ffmpeg_program(), *arguments], bounds=bounds) as child:
            self._running.add(child)
            try:
                if self._ending.is_set():
                    child.kill()
                for line in child.stdout:
                    field, _, value = line.decode("ascii", "replace").strip().partition("=")
                    if field == "out_time_us" and value.isdigit():
                        done = int(value) / 1e6
                    if field == "frame" and value.isdigit():
                        frames = int(value)
                    if field == "progress" and time.monotonic() - logged >= 10:
                        logged = time.monotonic()
                        share = f"{min(99, 100 * done / seconds):.0f} %" if seconds else f"{done:.0f} s of video"
                        log.info("encoding %s: %s after %.0f s", visible(name, most=80), share, logged - started)
                ended = child.wait()
            finally:
                self._running.discard(child)
        if self._ending.is_set():
            raise RunEnded("the run was ended")
        if ended.timed_out:
            raise EncodeFailed(
                f"encoding took longer than ENCODE_TIMEOUT ({self._timeout:.0f} s) and was ended; set it higher, "
                "then run the day again"
            )
        if "No space left on device" in ended.stderr and ended.status:
            raise EncodeFailed(f"the disk that holds {self._place} is full; free some space, then run the day again")
        if ended.status > 0 and _NO_MEMORY.search(ended.stderr):
            raise EncodeRefused(
                f"it takes more memory than the {size(self._share.memory)} that each of {self._share.at_once} encodes "
                "at a time gets here; set VIDEO_CONCURRENCY lower, then run the day again with --force",
                kind="broken",
            )
        if ended.trouble is not None:
            raise FileFailed(f"ffmpeg cannot encode it ({ended.last_line or ended.trouble})")
        return Written(done, frames)
