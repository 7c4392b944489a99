"""ffmpeg as the encoder: its output is read back before it is stored."""

import logging
import time
from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path

from ncaa_assets.at_once import at_once
from ncaa_assets.backends.facts import facts_of
from ncaa_assets.backends.local.ffmpeg_runs import FfmpegRuns, FileFailed
from ncaa_assets.backends.local.share import Share, share_of_this_machine
from ncaa_assets.backends.scratch import as_file, new_file, place_of, publish
from ncaa_assets.failures import BackupError, EncodeFailed, EncodeRefused, LeaseLost, as_sentence
from ncaa_assets.media.bounds import EncodeBounds
from ncaa_assets.media.facts import Facts
from ncaa_assets.media.ffmpeg import ffmpeg_program
from ncaa_assets.media.isobmff import NotWhole, read_movie
from ncaa_assets.media.lengths import too_short
from ncaa_assets.media.probe import Unreadable, read_facts
from ncaa_assets.media.profile import Profile, ffmpeg_arguments, ffmpeg_poster_arguments, ffmpeg_settings_hash
from ncaa_assets.ports import EncodeOutcome, EncodeRequest, ObjectStore, Transcoder
from ncaa_assets.record.models import Poster, ProcessedVideo
from ncaa_assets.text import plural

log = logging.getLogger(__name__)


class FfmpegTranscoder(Transcoder):
    """Encodes with ffmpeg from and to any store: `concurrency` files at a time, or fewer where the machine's memory
    does not suffice for so many.

    Args:
        bounds: what no output goes beyond, whatever its source says of itself.
        share: what each encode gets of the machine (default: its part of this one, by how many there are).
    """

    def __init__(
        self,
        store: ObjectStore,
        profile: Profile,
        *,
        concurrency: int,
        timeout: float,
        bounds: EncodeBounds | None = None,
        share: Share | None = None,
    ) -> None:
        self._store, self._profile = store, profile
        self._concurrency, self._bounds = concurrency, bounds
        self._share = share
        self._ffmpeg = FfmpegRuns(timeout=timeout, place=place_of(store))

    def settings_hash(self) -> str:
        return ffmpeg_settings_hash(self._profile)

    def encode(
        self, requests: Sequence[EncodeRequest], *, before_commit: Callable[[], None] = lambda: None
    ) -> Generator[EncodeOutcome, None, None]:
        if not requests:
            return
        work = partial(self._outcome, before_commit)
        ffmpeg_program()  # where there is none, nothing begins
        wanted = min(self._concurrency, len(requests))
        share = self._share or share_of_this_machine(wanted)
        self._ffmpeg.begin(share)
        if share.at_once < wanted:
            log.warning(
                "VIDEO_CONCURRENCY is %d, and the memory here suffices for %s at a time",
                self._concurrency,
                plural(share.at_once, "encode"),
            )
        yield from at_once(work, requests, limit=share.at_once, name="encode", end=self._ffmpeg.end)

    def _outcome(self, before_commit: Callable[[], None], request: EncodeRequest) -> EncodeOutcome:
        try:
            return EncodeOutcome(request, self._encode(before_commit, request))
        except LeaseLost:
            raise
        except (EncodeFailed, EncodeRefused) as error:
            return EncodeOutcome(request, error)
        except (NotWhole, Unreadable) as error:
            return EncodeOutcome(request, FileFailed(str(error)))
        except (BackupError, OSError) as error:
            return EncodeOutcome(request, EncodeFailed(as_sentence(error)))

    def _encode(self, before_commit: Callable[[], None], request: EncodeRequest) -> ProcessedVideo:
        started = time.monotonic()
        video = request.video
        facts = facts_of(self._store, video)
        with (
            as_file(self._store, video.key) as source,
            new_file(self._store, request.output_key) as output,
            new_file(self._store, request.poster_key) as poster,
        ):
            lacks = self._make(source, output, facts, name=video.id)
            made, digest = _read(output)
            if self._bounds and (made.seconds or 0) > self._bounds.max_seconds:
                raise EncodeRefused(
                    f"it plays longer than VIDEO_MAX_SECONDS ({self._bounds.max_seconds:.0f}) and than it says",
                    kind="broken",
                )
            if (short := too_short(facts, made)) is not None:
                raise FileFailed(short)
            make_poster(self._ffmpeg, self._profile, output, poster, name=video.id, seconds=made.seconds or 0.0)
            before_commit()
            stored_poster = publish(self._store, poster, request.poster_key, content_type="image/jpeg")
            stored = publish(self._store, output, request.output_key, content_type="video/mp4")
        return ProcessedVideo.of(
            video,
            made,
            settings_hash=self.settings_hash(),
            key=stored.key,
            bytes=stored.size,
            sha256=digest,
            poster=Poster(key=stored_poster.key, bytes=stored_poster.size),
            encoder="ffmpeg",
            encode_seconds=round(time.monotonic() - started, 2),
            lacks=lacks,
        )

    def _make(self, source: Path, output: Path, facts: Facts, *, name: str) -> str | None:
        """Encodes a file; where its sound is what cannot be read, without it. Returns what the output lacks.

        Raises:
            FileFailed: its picture cannot be read.
        """
        if facts.picture is None:
            raise FileFailed("it has no picture that can be read")
        try:
            self._run(source, output, facts, name=name)
        except FileFailed as error:
            if facts.sound is None:
                raise
            output.unlink(missing_ok=True)
            self._run(source, output, facts, name=name, with_sound=False)
            return f"its sound ({facts.sound.codec}) cannot be read: {error}"
        return None

    def _run(self, source: Path, output: Path, facts: Facts, *, name: str, with_sound: bool = True) -> None:
        arguments = ffmpeg_arguments(
            self._profile, source, output,
            facts=facts, with_sound=with_sound, bounds=self._bounds, threads=self._ffmpeg.share.threads,
        )  # fmt: skip
        self._ffmpeg.run(arguments, name, seconds=facts.seconds)


def make_poster(ffmpeg: FfmpegRuns, profile: Profile, video: Path, poster: Path, *, name: str, seconds: float) -> None:
    """Takes one frame of a video that plays `seconds`.

    Raises:
        FileFailed: there is none that can be taken.
    """
    # A still picture under its sound has a single frame, at the very start.
    for at in (min(1.0, seconds / 2), 0.0):
        try:
            ffmpeg.run(ffmpeg_poster_arguments(profile, video, poster, at_seconds=at), name)
        except FileFailed:
            if at == 0.0:
                raise
        if poster.exists() and poster.stat().st_size:
            return
    raise FileFailed("no picture can be taken of it")


def _read(path: Path) -> tuple[Facts, str]:
    """What an output is, once it was read to its end, and its sha256.

    Raises:
        NotWhole: it is no whole MP4.
        Unreadable: it is none that can be understood.
    """
    with path.open("rb") as file:
        _, digest = read_movie(file)
        return read_facts(file, size=path.stat().st_size), digest
