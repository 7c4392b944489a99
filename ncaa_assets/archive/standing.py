"""How each video of a day stands: whether its copy and its encode are there, are still to be made, or never will be.

The one place that decides this. The steps of a run ask here what is left to do, `catch-up` whether a day is done, the
checks and `verify` what is missing; so they agree.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import cached_property

from ncaa_assets.backends.deployments import encode_bounds, encode_settings_hash
from ncaa_assets.failures import EncodeRefused, ObjectMissing, VideoRefused
from ncaa_assets.media.bounds import EncodeBounds
from ncaa_assets.ports import Candidate, CopyOutcome, CopyPlan, ObjectStore
from ncaa_assets.record.calendar import now
from ncaa_assets.record.models import (
    CopiedVideo,
    HighlightsDay,
    NotEncoded,
    ProcessedDay,
    ProcessedVideo,
    VideosDay,
)
from ncaa_assets.settings import Settings
from ncaa_assets.video.plan import plan_copies
from ncaa_assets.video.runtime import find, searched_pages

_CHUNK = 1024**2
_WAITS = "waits"  # the kind of `failures.EncodeRefused` for a clip whose turn comes on another day


class Copy(Enum):
    """How a copy stands."""

    KEPT = auto()  # in the store, as recorded
    LOST = auto()  # not in the store; the next run fetches it again
    GONE = auto()  # lost, and its source does not have it any more


class Output(Enum):
    """How an encode stands."""

    THERE = auto()  # in the store, as recorded
    TO_MAKE = auto()  # not in the store; the next run makes it, from the copy
    WAITS = auto()  # likewise, on another day: the minutes of this one are used up
    REFUSED = auto()  # tried, and the encoder cannot read the copy
    PAST_BOUNDS = auto()  # never tried: it would cost more than an encode may
    NOT_WANTED = auto()  # ENCODE=never


@dataclass(frozen=True)
class Wanted:
    """What is asked of a day's videos: how many are copied (None: all), whether they are encoded and with which
    settings, what an encode may cost, and the kinds of refused web pages in which a video is looked for now."""

    count: int | None
    encodes: bool
    settings_hash: str
    bounds: EncodeBounds
    searched_pages: frozenset[str]

    @classmethod
    def of(cls, settings: Settings) -> "Wanted":
        """What these settings ask."""
        return cls(
            count=settings.video_count,
            encodes=settings.encode != "never",
            settings_hash=encode_settings_hash(settings),
            bounds=encode_bounds(settings),
            searched_pages=searched_pages(find()) if settings.video_pages is not None else frozenset(),
        )

    def refusal(self, video: CopiedVideo) -> EncodeRefused | None:
        """Why a copy is not encoded, whatever is in it; None for one that is."""
        return self.bounds.refusal(video.facts, seconds=video.duration_seconds)


@dataclass(frozen=True)
class Clip:
    """One copy that a day's manifest names, and what is recorded of its encode: the encode itself (`recorded`), or why
    there is none (`refusal`). The store is asked when an answer is needed, once."""

    video: CopiedVideo
    recorded: ProcessedVideo | None
    refusal: NotEncoded | None
    store: ObjectStore
    wanted: Wanted

    @cached_property
    def copy(self) -> Copy:
        if has_copy(self.store, self.video):
            return Copy.KEPT
        return Copy.LOST if self.video.lost is None else Copy.GONE

    @cached_property
    def output(self) -> Output:
        output = self.recorded
        if (
            output is not None
            and self.store.has(output.key, output.bytes)
            and self.store.has(output.poster.key, output.poster.bytes)
        ):
            return Output.THERE
        if not self.wanted.encodes:
            return Output.NOT_WANTED
        is_of_today = self.refusal is not None and self.refusal.settings_hash == self.wanted.settings_hash
        if is_of_today and self.is_broken:
            return Output.REFUSED
        if self.past_bounds is not None:
            return Output.PAST_BOUNDS
        waits = is_of_today and self.refusal is not None and self.refusal.kind == _WAITS
        return Output.WAITS if waits else Output.TO_MAKE

    @property
    def is_broken(self) -> bool:
        """Whether the encoder could not read the copy when it was last tried."""
        return self.refusal is not None and self.refusal.kind == "broken"

    @cached_property
    def past_bounds(self) -> NotEncoded | None:
        """The manifest's entry for a copy that would cost more than an encode may; None for any other."""
        refused = self.wanted.refusal(self.video)
        if refused is None:
            return None
        entry = not_encoded(self.video, kind=refused.kind, reason=str(refused), settings_hash=self.wanted.settings_hash)
        return entry.model_copy(update={"at": self.refusal.at}) if self.refusal else entry

    @property
    def is_to_be_encoded(self) -> bool:
        """Whether a run still has to make its encode. The copy must be there for it, or come back."""
        return self.copy is not Copy.GONE and self.output in (Output.TO_MAKE, Output.WAITS)

    @property
    def holds_its_place(self) -> bool:
        """Whether it is one of the `VIDEO_COUNT` videos of its day. What can never be watched is not: the next clip is
        taken in its stead."""
        if self.copy is Copy.GONE:
            return self.output is Output.THERE
        if self.recorded is not None:
            return True
        return self.output not in (Output.REFUSED, Output.PAST_BOUNDS)


def clips(store: ObjectStore, videos: VideosDay, processed: ProcessedDay, wanted: Wanted) -> list[Clip]:
    """Every copy that a day's manifest names, in its order, with what is recorded of its encode. Any recorded encode of
    the same bytes counts, whatever settings it was made with."""
    outputs = {(output.key, output.source_sha256): output for output in processed.videos}
    refusals = {entry.source_sha256: entry for entry in processed.not_encoded}
    return [
        Clip(
            video,
            outputs.get((video.output_key, video.sha256)),
            refusals.get(video.sha256),
            store,
            wanted,
        )
        for video in videos.videos
    ]


def plan(
    highlights: HighlightsDay, videos: VideosDay, of_day: Sequence[Clip], wanted: Wanted, *, force: bool = False
) -> CopyPlan:
    """What a run still has to copy of a day, of which these clips are there (`plan_copies`)."""
    by_key = {clip.video.key: clip for clip in of_day}

    def leaves_its_place(outcome: CopyOutcome) -> bool:
        candidate, result = outcome.candidate, outcome.result
        if candidate.earlier:
            return False
        if isinstance(result, CopiedVideo):
            return not candidate.lost and wanted.encodes and wanted.refusal(result) is not None
        return isinstance(result, VideoRefused) and not any(
            by_key[video.key].output is Output.THERE for video in candidate.lost
        )

    forgotten = {entry.id for entry in videos.forgotten} - {clip.video.id for clip in of_day}
    planned = plan_copies(
        [view for view, _ in highlights.highlights()],
        videos,
        have=lambda video: by_key[video.key].copy is Copy.KEPT,
        count=wanted.count,
        force=force,
        searched_pages=wanted.searched_pages,
        places=forgotten | {clip.video.id for clip in of_day if clip.holds_its_place},
    )
    return replace(planned, leaves_its_place=leaves_its_place)


def still_to_copy(planned: CopyPlan, videos: VideosDay, wanted: Wanted) -> int:
    """How many videos a run would still try to copy: videos that failed for a passing reason, that were lost from the
    store, or that no run has reached yet; and pages refused earlier, of the kinds that are searched now."""
    passing = {"failed", *wanted.searched_pages}
    open_for = {(skip.id, skip.source_url): skip.kind in passing for skip in videos.skipped}

    def is_open(candidate: Candidate) -> bool:
        # A link with another signature alone is no work that is left undone.
        if candidate.lost and not candidate.perhaps:
            return True
        return open_for.get((candidate.highlight.id, candidate.highlight.url), not candidate.perhaps)

    fresh = sum(map(is_open, planned.fresh))
    return sum(map(is_open, planned.renewed)) + (fresh if planned.missing is None else min(fresh, planned.missing))


def not_encoded(video: CopiedVideo, *, kind: str, reason: str, settings_hash: str) -> NotEncoded:
    """The manifest's entry for a copy that has no encode."""
    return NotEncoded(
        id=video.id, title=video.title, source_key=video.key, source_sha256=video.sha256, settings_hash=settings_hash,
        kind=kind, reason=reason, at=now(),
    )  # fmt: skip


def has_copy(store: ObjectStore, video: CopiedVideo) -> bool:
    """Whether the store has a copy with its recorded size. One that was lost once, or damaged, has to show its sha256:
    somebody may have put it back."""
    return store.has(video.key, video.bytes) and (video.lost is None or is_intact(store, video))


def is_intact(store: ObjectStore, video: CopiedVideo) -> bool:
    """Whether a stored copy has the bytes that were recorded, by the store's own checksum where it keeps one, else by
    reading it."""
    digest = store.checksum(video.key)
    if digest is None:
        hashed = hashlib.sha256()
        try:
            with store.download(video.key) as file:
                while chunk := file.read(_CHUNK):
                    hashed.update(chunk)
        except ObjectMissing:
            return False
        digest = hashed.hexdigest()
    return digest == video.sha256
