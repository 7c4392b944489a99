"""The third step of a day: the videos that are wanted of it are copied."""

import logging
import time
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain

from ncaa_assets.archive.archive import HeldDay
from ncaa_assets.archive.standing import Copy, Wanted, clips, is_intact, plan
from ncaa_assets.day.progress import Progress
from ncaa_assets.failures import BackupError, CopyFailed
from ncaa_assets.ports import Candidate, Copier, CopyOutcome
from ncaa_assets.record.calendar import now
from ncaa_assets.record.models import CopiedVideo, HighlightsDay, LostCopy, ProcessedDay, SkippedVideo, VideosDay
from ncaa_assets.text import SENTENCE, plural, size, visible
from ncaa_assets.video.plan import kind_of, skipped
from ncaa_assets.video.same import may_mean

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Copied:
    """A day after its copies: the manifest as it is stored now, the copies that are new in the store or back in it, how
    many videos were fetched again and had the same bytes, how many copies are there, and the seconds that all of it
    took."""

    manifest: VideosDay
    copied: list[CopiedVideo]
    unchanged: int
    there: int
    seconds: float


def copy(held: HeldDay, highlights: HighlightsDay, copier: Copier, *, count: int | None, force: bool = False) -> Copied:
    """Copies what the store has lost of a day, and what is missing of its first `count` videos (None: all); with
    `force`, what is stored too.

    Each copy is recorded as soon as it is there, so a run that is killed copies nothing twice. A copy that is lost and
    that its source does not have any more is recorded as lost for good.

    Raises:
        BackupError: a video could not be copied for a passing reason; all others are stored.
        StoreError: the store cannot be read or written.
        LeaseLost: this run no longer holds the day.
    """
    manifest = held.load_or_new(VideosDay)
    wanted = replace(Wanted.of(held.archive.settings), count=count, searched_pages=copier.searched_pages)
    of_day = clips(held.archive.store, manifest, held.load_or_new(ProcessedDay), wanted)
    for clip in of_day:
        if clip.copy is Copy.KEPT:
            clip.video.lost = None  # somebody put it back
    started = time.monotonic()
    work = _Work(held, manifest, force)
    # A lost lease ends the copies that are under way, and nothing is published without one.
    planned = plan(highlights, manifest, of_day, wanted, force=force)
    progress = Progress(held, work.manifest)
    with progress.kept(), closing(copier.copy(held.day, planned, before_commit=held.check)) as outcomes:
        for outcome in outcomes:
            work.record(outcome)
            progress.note(made=isinstance(outcome.result, CopiedVideo))
    seconds = time.monotonic() - started
    if work.failed:
        raise BackupError(
            f"{plural(len(work.failed), 'video')} could not be copied now ({work.failed[0]}); the other videos are "
            "stored. Run the day again to take up what is missing"
        )
    there = sum(video.lost is None for video in manifest.videos)
    return Copied(manifest, work.copied, work.unchanged, there, seconds)


class _Work:
    """Records outcomes in a manifest. Keeps the copies that are new in the store or back in it, how many videos were
    unchanged, and a sentence for each that failed for a passing reason."""

    def __init__(self, held: HeldDay, manifest: VideosDay, force: bool) -> None:
        self._store, self._manifest, self._force = held.archive.store, manifest, force
        self._skipped: dict[str, list[SkippedVideo]] = {}
        for skip in manifest.skipped:
            self._skipped.setdefault(skip.id, []).append(skip)
        self.copied: list[CopiedVideo] = []
        self.failed: list[str] = []
        self.unchanged = 0

    def manifest(self) -> VideosDay:
        """The manifest with all that is recorded."""
        self._manifest.skipped = list(chain.from_iterable(self._skipped.values()))
        return self._manifest

    def record(self, outcome: CopyOutcome) -> None:
        candidate, result = outcome.candidate, outcome.result
        highlight = candidate.highlight
        self._skipped.pop(highlight.id, None)
        if result is None:
            return
        if isinstance(result, CopiedVideo):
            result.lost = None
            _put(self._manifest.videos, result)
            if result.key in {earlier.key for earlier in candidate.earlier}:
                self.unchanged += 1
                log.info("%s fetched again: the same bytes as before", highlight.label)
            else:
                log.info("%s copied: %s", highlight.label, size(result.bytes))
                self.copied.append(result)
            self._note_lost(candidate, "changed", "its address has another video now", stored=result.key)
            return
        if isinstance(result, CopyFailed):
            self.failed.append(f"{highlight.label}: {visible(result, most=SENTENCE)}")
        elif self._note_lost(candidate, kind_of(result), str(result)):
            return
        self._skipped[highlight.id] = [skipped(outcome, result)]

    def _note_lost(self, candidate: Candidate, kind: str, reason: str, *, stored: str | None = None) -> bool:
        """Notes which of a highlight's copies are lost for good, now that the source was asked: those that the store
        does not have, and where a person forced it those that are damaged; not the one that was `stored` now. Returns
        whether there are any."""
        noted = False
        asked = {video.key for video in (*candidate.lost, *(candidate.earlier if self._force else ()))} - {stored}
        for video in self._manifest.videos:
            if video.key not in asked or not may_mean(candidate.highlight.url, video):
                continue
            if not (self._store.has(video.key, video.bytes) and is_intact(self._store, video)):
                video.lost = LostCopy(kind=kind, reason=reason, at=now())
                log.warning("%s: %s is lost for good: %s", candidate.highlight.label, video.key, reason)
                noted = True
        return noted


def _put(videos: list[CopiedVideo], video: CopiedVideo) -> None:
    """Adds a copy, in the place of an entry of the same key: one whose object was lost, or that was fetched again."""
    for at, entry in enumerate(videos):
        if entry.key == video.key:
            if entry.sha256 == video.sha256:
                video.keep_unknown(entry)
                video.other_urls = list(dict.fromkeys([*entry.other_urls, *video.other_urls]))
            videos[at] = video
            return
    videos.append(video)
