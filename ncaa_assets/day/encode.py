"""The last step of a day: its copied videos are encoded for the web."""

import logging
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace

from ncaa_assets.archive.archive import HeldDay
from ncaa_assets.archive.standing import (
    Clip,
    Copy,
    Output,
    Wanted,
    clips,
    not_encoded,
    plan,
    still_to_copy,
)
from ncaa_assets.day.progress import Progress
from ncaa_assets.failures import BackupError, EncodeFailed, EncodeRefused
from ncaa_assets.ports import EncodeOutcome, EncodeRequest, Transcoder
from ncaa_assets.record.models import CopiedVideo, HighlightsDay, NotEncoded, ProcessedDay, ProcessedVideo, VideosDay
from ncaa_assets.text import SENTENCE, called, plural, size, visible

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Encoded:
    """A day after its encodes: the manifest as it is stored now, the outputs that were made, how many came from an
    earlier encode of the same bytes, how many were there already, and the seconds that all of it took.

    `waiting` are copies whose turn comes on another day. `to_copy` is how many other videos the day's next run takes in
    the stead of copies that cannot be encoded, or are lost. Where there are any of the two, the day is not whole.
    """

    manifest: ProcessedDay
    encoded: list[ProcessedVideo]
    reused: int
    there: int
    waiting: int
    to_copy: int
    seconds: float


def encode(held: HeldDay, videos: VideosDay, transcoder: Transcoder, *, force: bool = False) -> Encoded:
    """Encodes each copy of which no encode is stored; with `force`, every one, and those that were refused too.

    Each encode is recorded as soon as it is there, so a run that is killed encodes nothing twice. A copy that can never
    be encoded is recorded with the reason, and not tried again with the same settings.

    Raises:
        BackupError: a video could not be encoded for a passing reason; all other outputs are stored.
        StoreError: the store cannot be read or written.
        LeaseLost: this run no longer holds the day.
    """
    started = time.monotonic()
    manifest, settings = held.load_or_new(ProcessedDay), held.archive.settings
    wanted = Wanted.of(settings)
    if wanted.encodes:
        wanted = replace(wanted, settings_hash=transcoder.settings_hash())
    work = _Work(manifest)
    of_day = clips(held.archive.store, videos, manifest, wanted)
    todo = [_request(clip.video, again=force) for clip in of_day if _is_to_do(clip, force=force)]
    # A lost lease ends the encodes that are under way, and nothing is published without one.
    progress = Progress(held, lambda: manifest)
    with progress.kept(), closing(transcoder.encode(todo, before_commit=held.check)) as outcomes:
        for outcome in outcomes:
            held.check()
            work.record(outcome, wanted.settings_hash)
            progress.note(made=isinstance(outcome.result, ProcessedVideo))
    if work.failed:
        raise BackupError(
            f"{plural(len(work.failed), 'video')} could not be encoded ({work.failed[0]}); what was encoded is stored"
        )
    of_day = clips(held.archive.store, videos, manifest, wanted)
    manifest.not_encoded = list(_refusals(of_day))
    held.save(manifest)
    there = sum(clip.output is Output.THERE for clip in of_day) - len(work.encoded) - work.reused
    waiting = sum(clip.output is Output.WAITS for clip in of_day)
    to_copy = _to_copy(held, videos, of_day, wanted)
    return Encoded(manifest, work.encoded, work.reused, there, waiting, to_copy, time.monotonic() - started)


@dataclass
class _Work:
    """Records outcomes in a manifest. Keeps what was encoded, how many outputs came from an earlier encode of the same
    bytes, and a sentence for each video that failed for a passing reason."""

    manifest: ProcessedDay
    encoded: list[ProcessedVideo] = field(default_factory=list)
    reused: int = 0
    failed: list[str] = field(default_factory=list)

    def record(self, outcome: EncodeOutcome, settings_hash: str) -> None:
        video, result = outcome.request.video, outcome.result
        name = called(video.id)
        if isinstance(result, EncodeFailed):
            reason = visible(result, most=SENTENCE)
            log.error("%s not encoded: %s", name, reason)
            self.failed.append(f"{name}: {reason}")
            return
        entries = [entry for entry in self.manifest.not_encoded if entry.source_key != video.key]
        if isinstance(result, EncodeRefused):
            log.warning("%s not encoded: %s", name, result)
            entry = not_encoded(video, kind=result.kind, reason=str(result), settings_hash=settings_hash)
            self.manifest.not_encoded = [*entries, entry]
            return
        if outcome.reused:
            log.info("%s: the same bytes were encoded before; nothing to pay again", name)
            self.reused += 1
        else:
            log.info("%s %s in %.1f s: %s", name, result.made_by, result.encode_seconds, size(result.bytes))
            self.encoded.append(result)
        for earlier in self.manifest.videos:
            if (earlier.key, earlier.sha256) == (result.key, result.sha256):
                result.keep_unknown(earlier)
        self.manifest.not_encoded = entries
        self.manifest.videos = [output for output in self.manifest.videos if output.key != result.key]
        self.manifest.videos.append(result)


def _is_to_do(clip: Clip, *, force: bool) -> bool:
    """Whether a clip is sent to the encoder. A copy that is lost or damaged never is: its encode may be all that is
    left of it."""
    if clip.copy is not Copy.KEPT or clip.output is Output.NOT_WANTED or clip.past_bounds is not None:
        return False
    return force or clip.is_to_be_encoded


def _refusals(of_day: list[Clip]) -> Iterator[NotEncoded]:
    """What the manifest says of clips without an encode, as things stand. What the encoder could not read is remembered
    while other settings ask for less."""
    for clip in of_day:
        if clip.output is Output.THERE:
            continue
        if clip.output is Output.PAST_BOUNDS and not clip.is_broken and clip.past_bounds is not None:
            yield clip.past_bounds
        elif clip.refusal is not None and (clip.is_broken or clip.output is Output.WAITS):
            video = clip.video
            yield clip.refusal.model_copy(update={"id": video.id, "title": video.title, "source_key": video.key})


def _to_copy(held: HeldDay, videos: VideosDay, of_day: list[Clip], wanted: Wanted) -> int:
    """How many videos the day's next run takes in the stead of clips that hold no place."""
    if all(clip.holds_its_place for clip in of_day):
        return 0
    highlights = held.load_or_new(HighlightsDay)
    return still_to_copy(plan(highlights, videos, of_day, wanted), videos, wanted)


def _request(video: CopiedVideo, *, again: bool) -> EncodeRequest:
    key = video.output_key
    return EncodeRequest(video, output_key=key, poster_key=key.removesuffix(".mp4") + ".jpg", force=again)
