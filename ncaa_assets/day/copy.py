"""The third step of a day: the videos that are wanted of it are copied."""

import logging
import time
from contextlib import closing
from dataclasses import dataclass

from ncaa_assets.archive.archive import HeldDay
from ncaa_assets.failures import BackupError, CopyFailed
from ncaa_assets.ports import Copier, CopyPlan
from ncaa_assets.record.models import CopiedVideo, HighlightsDay, VideosDay
from ncaa_assets.text import SENTENCE, plural, size, visible
from ncaa_assets.video.plan import plan_copies, skipped

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Copied:
    """A day after its copies: the manifest as it is stored now, the copies that are new in the store, how many videos
    were fetched again and had the same bytes, and the seconds that all of it took."""

    manifest: VideosDay
    copied: list[CopiedVideo]
    unchanged: int
    seconds: float


def copy(held: HeldDay, highlights: HighlightsDay, copier: Copier, *, count: int | None, force: bool = False) -> Copied:
    """Copies what is missing of the first `count` videos of a day (None: all); with `force`, what is stored too.

    Each outcome is recorded as soon as it is known, so a run that is killed copies nothing twice.

    Raises:
        BackupError: a video could not be copied for a passing reason; all others are stored.
        StoreError: the store cannot be read or written.
        LeaseLost: this run no longer holds the day.
    """
    manifest = held.load_or_new(VideosDay)
    plan = plan_copies(
        [view for view, _ in highlights.highlights()],
        manifest,
        have=lambda video: held.archive.store.has(video.key, video.bytes),
        count=count,
        force=force,
        reads_pages=copier.reads_pages,
    )
    started = time.monotonic()
    copied, unchanged, failed = _carry_out(plan, manifest, held=held, copier=copier)
    seconds = time.monotonic() - started
    if failed:
        raise BackupError(
            f"{plural(len(failed), 'video')} could not be copied now ({failed[0]}); the other videos are stored. "
            "Run the day again to take up what is missing"
        )
    held.save(manifest)
    return Copied(manifest, copied, unchanged, seconds)


def _carry_out(
    plan: CopyPlan, manifest: VideosDay, *, held: HeldDay, copier: Copier
) -> tuple[list[CopiedVideo], int, list[str]]:
    """Copies and records. Returns the copies that are new in the store, how many videos were unchanged, and a sentence
    for each that failed for a passing reason."""
    copied: list[CopiedVideo] = []
    failed: list[str] = []
    unchanged = 0
    # A lost lease ends the copies that are under way, and nothing is published without one.
    with closing(copier.copy(held.day, plan, before_commit=held.check)) as outcomes:
        for outcome in outcomes:
            highlight, result = outcome.candidate.highlight, outcome.result
            manifest.skipped = [skip for skip in manifest.skipped if skip.id != highlight.id]
            if isinstance(result, CopiedVideo):
                _put(manifest.videos, result)
                if result.key in {earlier.key for earlier in outcome.candidate.earlier}:
                    unchanged += 1
                    log.info("%s fetched again: the same bytes as before", highlight.label)
                else:
                    log.info("%s copied: %s", highlight.label, size(result.bytes))
                    copied.append(result)
            else:
                manifest.skipped.append(skipped(outcome, result))
            if isinstance(result, CopyFailed):
                failed.append(f"{highlight.label}: {visible(result, most=SENTENCE)}")
            held.save(manifest)
    return copied, unchanged, failed


def _put(videos: list[CopiedVideo], video: CopiedVideo) -> None:
    """Adds a copy, in the place of an entry of the same key: one whose object was lost, or that was fetched again."""
    for at, entry in enumerate(videos):
        if entry.key == video.key:
            if entry.sha256 == video.sha256:
                video.keep_unknown(entry)
            videos[at] = video
            return
    videos.append(video)
