"""ffmpeg as the encoder: the program is found, run, watched, and its output read back before it is stored."""

import logging
import re
import threading
import time
from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path

from ncaa_assets.at_once import at_once
from ncaa_assets.backends.local.share import Share, share_of_this_machine
from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.child import Bounds, Child
from ncaa_assets.failures import BackupError, EncodeFailed, EncodeRefused, LeaseLost, RunEnded
from ncaa_assets.media.bounds import EncodeBounds
from ncaa_assets.media.ffmpeg import ffmpeg_program
from ncaa_assets.media.isobmff import Movie, NotWhole, read_movie
from ncaa_assets.media.profile import Profile, ffmpeg_arguments, ffmpeg_poster_arguments, ffmpeg_settings_hash
from ncaa_assets.ports import EncodeOutcome, EncodeRequest, Transcoder
from ncaa_assets.record.calendar import now
from ncaa_assets.record.models import Poster, ProcessedVideo
from ncaa_assets.text import plural, size, visible

# What ffmpeg and x264 say where memory is refused to them; a thread's stack is memory too.
_NO_MEMORY = re.compile(
    r"malloc of size \d+ failed|Cannot allocate memory|Resource temporarily unavailable"
    r"|enc:libx264[^\n]*Error while opening encoder"
)

log = logging.getLogger(__name__)


class FfmpegTranscoder(Transcoder):
    """Encodes with ffmpeg from and to a LocalStore: `concurrency` files at a time, or fewer where the machine's memory
    does not suffice for so many.

    Args:
        bounds: what no output goes beyond, whatever its source says of itself.
        share: what each encode gets of the machine (default: its part of this one).
    """

    def __init__(
        self,
        store: LocalStore,
        profile: Profile,
        *,
        concurrency: int,
        timeout: float,
        bounds: EncodeBounds | None = None,
        share: Share | None = None,
    ) -> None:
        self._store, self._profile = store, profile
        self._concurrency, self._timeout = concurrency, timeout
        self._bounds = bounds
        self._share = share or share_of_this_machine(concurrency)
        self._ending = threading.Event()
        self._running: set[Child] = set()

    def settings_hash(self) -> str:
        return ffmpeg_settings_hash(self._profile)

    def encode(
        self, requests: Sequence[EncodeRequest], *, before_commit: Callable[[], None] = lambda: None
    ) -> Generator[EncodeOutcome, None, None]:
        if not requests:
            return
        work = partial(self._outcome, ffmpeg_program(), before_commit)
        self._ending.clear()
        if len(requests) > self._share.at_once < self._concurrency:
            log.warning(
                "VIDEO_CONCURRENCY is %d, and the memory here suffices for %s at a time",
                self._concurrency,
                plural(self._share.at_once, "encode"),
            )
        yield from at_once(work, requests, limit=self._share.at_once, name="encode", end=self._end)

    def _end(self) -> None:
        self._ending.set()  # first: a process that starts from now on is killed by whoever starts it
        for process in list(self._running):
            process.kill()

    def _outcome(self, program: str, before_commit: Callable[[], None], request: EncodeRequest) -> EncodeOutcome:
        try:
            return EncodeOutcome(request, self._encode(program, before_commit, request))
        except LeaseLost:
            raise
        except (EncodeFailed, EncodeRefused) as error:
            return EncodeOutcome(request, error)
        except (BackupError, OSError, NotWhole) as error:
            return EncodeOutcome(request, EncodeFailed(str(error)))

    def _encode(self, program: str, before_commit: Callable[[], None], request: EncodeRequest) -> ProcessedVideo:
        started = time.monotonic()
        video = request.video
        source = self._store.path(video.key)
        output, poster = self._store.scratch(request.output_key), self._store.scratch(request.poster_key)
        try:
            height = _read_movie(source)[0].height if video.container in ("mp4", "mov") else None
            arguments = ffmpeg_arguments(
                self._profile, source, output,
                source_height=height, bounds=self._bounds, threads=self._share.threads,
            )  # fmt: skip
            self._run(program, arguments, video.id, seconds=video.duration_seconds)
            movie, digest = _read_movie(output)
            if self._bounds and (movie.duration_seconds or 0) > self._bounds.max_seconds:
                raise EncodeRefused(
                    f"it plays longer than VIDEO_MAX_SECONDS ({self._bounds.max_seconds:.0f}) and than it says",
                    kind="too-long",
                )
            self._make_poster(program, output, poster, video.id, seconds=movie.duration_seconds or 0.0)
            before_commit()
            stored_poster = self._store.adopt(poster, request.poster_key)
            stored = self._store.adopt(output, request.output_key)
        finally:
            output.unlink(missing_ok=True)
            poster.unlink(missing_ok=True)
        return ProcessedVideo(
            id=video.id,
            title=video.title,
            source_key=video.key,
            source_sha256=video.sha256,
            settings_hash=self.settings_hash(),
            key=stored.key,
            bytes=stored.size,
            sha256=digest,
            duration_seconds=movie.duration_seconds,
            width=movie.width,
            height=movie.height,
            poster=Poster(key=stored_poster.key, bytes=stored_poster.size),
            encoder="ffmpeg",
            encode_seconds=round(time.monotonic() - started, 2),
            encoded_at=now(),
        )

    def _make_poster(self, program: str, output: Path, poster: Path, name: str, *, seconds: float) -> None:
        # A still picture under its sound has a single frame, at the very start.
        for at in (min(1.0, seconds / 2), 0.0):
            try:
                self._run(program, ffmpeg_poster_arguments(self._profile, output, poster, at_seconds=at), name)
            except EncodeFailed:
                if at == 0.0:
                    raise
            if poster.exists() and poster.stat().st_size:
                return
        raise EncodeFailed(f"ffmpeg made no poster of {name}")

    def _run(self, program: str, arguments: list[str], name: str, *, seconds: float | None = None) -> None:
        """Runs ffmpeg to its end and logs every ten seconds how far it is.

        Raises:
            RunEnded: the run was ended meanwhile.
            EncodeFailed: ffmpeg failed, or took longer than `ENCODE_TIMEOUT`.
            EncodeRefused: it would have taken more memory than its share.
        """
        started = logged = time.monotonic()
        with Child([program, *arguments], bounds=Bounds(seconds=self._timeout, memory=self._share.memory)) as child:
            self._running.add(child)
            try:
                if self._ending.is_set():
                    child.kill()
                for line in child.stdout:
                    field, _, value = line.decode("ascii", "replace").strip().partition("=")
                    if field == "out_time_us" and value.isdigit() and time.monotonic() - logged >= 10:
                        logged = time.monotonic()
                        done = int(value) / 1e6
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
            raise EncodeFailed(
                f"the disk that holds {self._store.root} is full; free some space, then run the day again"
            )
        if ended.status > 0 and _NO_MEMORY.search(ended.stderr):
            raise EncodeRefused(
                f"it takes more memory than the {size(self._share.memory)} that each of {self._share.at_once} encodes "
                "at a time gets here; set VIDEO_CONCURRENCY lower, then run the day again with --force",
                kind="too-large",
            )
        if ended.trouble is not None:
            raise EncodeFailed(f"ffmpeg cannot encode it ({ended.last_line or ended.trouble})")


def _read_movie(path: Path) -> tuple[Movie, str]:
    with path.open("rb") as file:
        return read_movie(file)
