"""`ENCODE=needed` and `ENCODE=never`: a transcoder that keeps what is web-ready, and one that makes nothing.

What may be kept was decoded from start to end first. What only lacks an MP4 with the index in front is repackaged
without loss, and then judged and decoded as the file that it became. All else goes to another transcoder, which may
have to be paid.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Literal

from ncaa_assets import advice
from ncaa_assets.at_once import at_once
from ncaa_assets.backends.facts import facts_of
from ncaa_assets.backends.local.ffmpeg import make_poster
from ncaa_assets.backends.local.ffmpeg_runs import FfmpegRuns, FileFailed, Written
from ncaa_assets.backends.local.share import share_of_this_machine
from ncaa_assets.backends.scratch import as_file, new_file, place_of, publish
from ncaa_assets.failures import BackupError, EncodeFailed, EncodeRefused, LeaseLost, as_sentence
from ncaa_assets.media.facts import Facts
from ncaa_assets.media.isobmff import NotWhole, read_movie
from ncaa_assets.media.probe import Unreadable, read_facts
from ncaa_assets.media.profile import Profile, ffmpeg_decode_arguments
from ncaa_assets.media.web_ready import is_laid_out, why_encode
from ncaa_assets.ports import EncodeOutcome, EncodeRequest, ObjectInfo, ObjectStore, Transcoder
from ncaa_assets.record.models import Poster, ProcessedVideo
from ncaa_assets.text import called

log = logging.getLogger(__name__)


class _MustBeEncoded(Exception):
    """A copy cannot stay as it is; the message says why in a few words."""


class AsNeeded(Transcoder):
    """Keeps or repackages copies that are web-ready, with ffmpeg, and has `encoder` encode the others."""

    def __init__(
        self, store: ObjectStore, profile: Profile, encoder: Transcoder, *, concurrency: int, timeout: float
    ) -> None:
        self._store, self._profile, self._encoder = store, profile, encoder
        self._concurrency = concurrency
        self._ffmpeg = FfmpegRuns(timeout=timeout, place=place_of(store))

    def settings_hash(self) -> str:
        return self._encoder.settings_hash()

    def encode(
        self, requests: Sequence[EncodeRequest], *, before_commit: Callable[[], None] = lambda: None
    ) -> Generator[EncodeOutcome, None, None]:
        if not requests:
            return
        to_encode: list[EncodeRequest] = []
        share = share_of_this_machine(min(self._concurrency, len(requests)))
        self._ffmpeg.begin(share)
        work = partial(self._outcome, before_commit)
        with closing(at_once(work, requests, limit=share.at_once, name="keep", end=self._ffmpeg.end)) as outcomes:
            for outcome in outcomes:
                if isinstance(outcome, EncodeRequest):
                    to_encode.append(outcome)
                else:
                    yield outcome
        yield from self._encoder.encode(to_encode, before_commit=before_commit)

    def _outcome(self, before_commit: Callable[[], None], request: EncodeRequest) -> EncodeOutcome | EncodeRequest:
        """How a request ended, or the request itself where it has to be encoded."""
        name = called(request.video.id)
        try:
            return EncodeOutcome(request, self._kept(before_commit, request))
        except LeaseLost:
            raise
        except (_MustBeEncoded, NotWhole, Unreadable, FileFailed, EncodeRefused) as error:
            log.info("%s is to be encoded: %s", name, error)
            return request
        except EncodeFailed as error:
            return EncodeOutcome(request, error)
        except (BackupError, OSError) as error:
            return EncodeOutcome(request, EncodeFailed(as_sentence(error)))

    def _kept(self, before_commit: Callable[[], None], request: EncodeRequest) -> ProcessedVideo:
        started = time.monotonic()
        video, store = request.video, self._store
        facts = facts_of(store, video)
        if reason := why_encode(facts, self._profile):
            raise _MustBeEncoded(reason)
        with (
            as_file(store, video.key) as source,
            new_file(store, request.output_key) as output,
            new_file(store, request.poster_key) as poster,
        ):
            stays = is_laid_out(facts, video.container) and _says_its_length(source, request, facts)
            made_by: Literal["kept", "repackaged"] = "kept" if stays else "repackaged"
            if made_by == "kept":
                _check(self._decoded(source, facts, video.id), facts)
                self._make_poster(source, poster, facts, video.id)
                before_commit()
                stored_poster = self._publish_poster(poster, request)
                stored = store.copy(video.key, request.output_key)
                digest = video.sha256
            else:
                written = self._decoded(source, facts, video.id, repackaged=output)
                facts = self._repackaged(output, facts)
                _check(written, facts)
                self._make_poster(output, poster, facts, video.id)
                before_commit()
                with output.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                stored_poster = self._publish_poster(poster, request)
                stored = publish(store, output, request.output_key, content_type="video/mp4")
        return ProcessedVideo.of(
            video,
            facts,
            settings_hash=self.settings_hash(),
            key=stored.key,
            bytes=stored.size,
            sha256=digest,
            poster=Poster(key=stored_poster.key, bytes=stored_poster.size),
            encoder="ffmpeg",
            encode_seconds=round(time.monotonic() - started, 2),
            made_by=made_by,
        )

    def _repackaged(self, output: Path, before: Facts) -> Facts:
        """What the new file is. A MPEG-TS file tells less of itself than an MP4, so all is judged again."""
        size = output.stat().st_size
        with output.open("rb") as file:
            facts = read_facts(file, size=size)
        if reason := why_encode(facts, self._profile):
            raise _MustBeEncoded(reason)
        if not is_laid_out(facts, "mp4") or abs((facts.seconds or 0) - (before.seconds or 0)) > 1:
            raise _MustBeEncoded("it cannot be repackaged without loss")
        return facts

    def _decoded(self, file: Path, facts: Facts, name: str, *, repackaged: Path | None = None) -> Written:
        """Decodes a file from start to end, and returns how much there was."""
        arguments = ffmpeg_decode_arguments(
            file, facts, threads=self._ffmpeg.share.threads, quick=True, repackaged=repackaged
        )
        return self._ffmpeg.run(arguments, name, seconds=facts.seconds)

    def _make_poster(self, file: Path, poster: Path, facts: Facts, name: str) -> None:
        make_poster(self._ffmpeg, self._profile, file, poster, name=name, seconds=facts.seconds or 0.0)

    def _publish_poster(self, poster: Path, request: EncodeRequest) -> ObjectInfo:
        return publish(self._store, poster, request.poster_key, content_type="image/jpeg")


def _says_its_length(file: Path, request: EncodeRequest, facts: Facts) -> bool:
    """Whether an MP4's header says how long its film and sound play; a player shows what the header says.

    Raises:
        EncodeFailed: it is not the file that was copied.
    """
    with file.open("rb") as opened:
        movie, sha256 = read_movie(opened)
    if sha256 != request.video.sha256:
        raise EncodeFailed(f"{request.video.key} is not what was copied; `{advice.command('verify')}` says what to do")
    return abs((movie.duration_seconds or 0) - (facts.seconds or 0)) <= 1


def _check(written: Written, facts: Facts) -> None:
    frames, rate = (facts.picture.frames, facts.picture.frame_rate) if facts.picture else (None, None)
    # Where a file does not say how many frames it has, the number is worked out from its length, roughly.
    if frames is not None and frames - written.frames > max(0.02 * frames, rate or 30):
        raise _MustBeEncoded(f"{written.frames} of its {frames} frames can be decoded")


class NeverEncodes(Transcoder):
    """Makes nothing: `ENCODE=never`, under which no copy is sent to an encoder."""

    def settings_hash(self) -> str:
        return "never"

    def encode(
        self, requests: Sequence[EncodeRequest], *, before_commit: Callable[[], None] = lambda: None
    ) -> Generator[EncodeOutcome, None, None]:
        del before_commit
        for request in requests:
            yield EncodeOutcome(request, EncodeFailed("ENCODE=never: nothing is encoded"))
