"""Runs of ffmpeg: each with its share of the machine, watched, ended with the run that asked for it, and its failure a
sentence."""

import logging
import re
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ncaa_assets.backends.local.share import Share
from ncaa_assets.child import Bounds, Child, Ended
from ncaa_assets.failures import EncodeFailed, EncodeRefused, RunEnded
from ncaa_assets.media.ffmpeg import ffmpeg_program
from ncaa_assets.text import called, size, visible

# What ffmpeg and x264 say where memory is refused to them; a thread's stack is memory too.
_NO_MEMORY = re.compile(
    r"malloc of size \d+ failed|Cannot allocate memory|Resource temporarily unavailable"
    r"|enc:libx264[^\n]*Error while opening encoder"
)

_WHO = re.compile(r"\[[^\]]* @ 0x[0-9a-f]+\]")  # which part of ffmpeg says it
_WORDS = (
    (re.compile(r"Decode error rate 0\.(\d\d)\d* exceeds"), "{} % of it cannot be decoded"),
    (re.compile(r"Decode error rate 1 exceeds|before EOF|received no packets"), "nothing of it can be decoded"),
    (re.compile(r"no decoder found for: (\w+)"), "there is no decoder for {}"),
)
# What it says of an output that it could not make, after it has said why.
_ABOUT_OUTPUT = re.compile(r"output|task finished|terminating|conversion failed|nothing was written", re.IGNORECASE)
# What it says where the fault is this machine's, or this ffmpeg's, and not the file's.
_NOT_THE_FILE = re.compile(
    r"Unknown encoder|No such filter|Unrecognized option|Option [^\n]*not found|Permission denied"
    r"|No such file or directory|Read-only file system|Input/output error|loading shared libraries"
)
_CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGBUS, signal.SIGSYS}

log = logging.getLogger(__name__)


class FileFailed(EncodeRefused):
    """ffmpeg ended with an error of its own: the file is to blame."""

    def __init__(self, message: str) -> None:
        super().__init__(message, kind="broken")


@dataclass(frozen=True)
class Written:
    """What a run of ffmpeg said that it has written: seconds, and frames of the picture."""

    seconds: float
    frames: int


class FfmpegRuns:
    """Runs ffmpeg, several at a time, until they are told to end.

    Args:
        timeout: the most seconds of one run.
        place: where the files lie, for a sentence about a disk that is full.
    """

    def __init__(self, *, timeout: float, place: str) -> None:
        self._timeout, self._place = timeout, place
        self._ending = threading.Event()
        self._running: set[Child] = set()

    def begin(self, share: Share) -> None:
        """Lets runs begin, each with this share of the machine; again after an `end` too."""
        self.share = share
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
            FileFailed: ffmpeg cannot read the file.
            EncodeFailed: it was killed, the disk is full, or it took longer than `ENCODE_TIMEOUT`.
            EncodeRefused: it would have taken more memory than its share.
        """
        started = logged = time.monotonic()
        done, frames = 0.0, 0
        bounds = Bounds(seconds=self._timeout, memory=self.share.memory)
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
                        log.info("encoding %s: %s after %.0f s", called(name), share, logged - started)
                ended = child.wait()
            finally:
                self._running.discard(child)
        if self._ending.is_set():
            raise RunEnded("the run was ended")
        if ended.trouble is not None:
            raise self._failure(ended)
        return Written(done, frames)

    def _failure(self, ended: Ended) -> EncodeFailed | EncodeRefused:
        """What the end of a run that did not go well means."""
        if ended.timed_out:
            return EncodeFailed(
                f"encoding took longer than ENCODE_TIMEOUT ({self._timeout:.0f} s) and was ended; set it higher, "
                "then run the day again"
            )
        if "No space left on device" in ended.stderr:
            return EncodeFailed(f"the disk that holds {self._place} is full; free some space, then run the day again")
        if ended.status > 0 and _NO_MEMORY.search(ended.stderr):
            return EncodeRefused(
                f"it takes more memory than the {size(self.share.memory)} that each of {self.share.at_once} encodes "
                "at a time gets here; set VIDEO_CONCURRENCY lower, then run the day again with --force",
                kind="broken",
            )
        text = f"ffmpeg cannot encode it: {_reason(ended.stderr) or ended.trouble}"
        says_nothing = ended.status > 0 and not ended.stderr.strip()  # as no ffmpeg does about a file
        if says_nothing or _NOT_THE_FILE.search(ended.stderr):
            return EncodeFailed(f"{text}; see that the disk is well and that ffmpeg is the one of imageio-ffmpeg")
        if ended.status < 0 and -ended.status not in _CRASHES:
            return EncodeFailed(f"{text}; run the day again")
        return FileFailed(text)


def _reason(stderr: str) -> str:
    """Why ffmpeg could not make anything of a file, in words where it is known: else the last line about its input."""
    for pattern, words in _WORDS:
        if found := pattern.search(stderr):
            return words.format(*found.groups())
    lines = [_WHO.sub("", line).strip() for line in map(visible, stderr.splitlines())]
    about_input = [line for line in lines if line and not _ABOUT_OUTPUT.search(line)]
    return visible((about_input or lines or [""])[-1], most=200)
