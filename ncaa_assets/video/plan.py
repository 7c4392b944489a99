"""Which of a day's videos are still to be copied. No I/O: what the store has is asked through a function."""

from collections.abc import Callable, Sequence

from ncaa_assets.failures import BackupError, VideoRefused
from ncaa_assets.ports import Candidate, CopyOutcome, CopyPlan
from ncaa_assets.record.calendar import now
from ncaa_assets.record.models import CopiedVideo, Highlight, SkippedVideo, VideosDay


def plan_copies(
    highlights: Sequence[Highlight],
    manifest: VideosDay,
    *,
    have: Callable[[CopiedVideo], bool],
    count: int | None,
    force: bool,
    reads_pages: bool = False,
) -> CopyPlan:
    """What a run still has to copy so that the store has the first `count` videos of a day (None: all).

    Every copy that the store has counts, whichever record it belongs to. A video whose URL changed is fetched again and
    kept beside the old copy if its bytes differ. A URL known to be a web page is not asked again, unless pages are read
    now (`reads_pages`) and this one has not been. `force` fetches again what the store has, and where more videos are
    wanted, asks the pages again.

    Args:
        have: whether the store has this copy.
    """
    closed = {"unresolved"} if reads_pages else {"page", "unresolved"}
    present = [video for video in manifest.videos if have(video)]
    pages = {(skip.id, skip.source_url) for skip in manifest.skipped if skip.kind in closed}
    renewed, fresh = [], []
    for highlight in highlights:
        earlier = tuple(video for video in present if video.id == highlight.id)
        known = any(highlight.url in (video.source_url, *video.other_urls) for video in earlier)
        if not force and (known or (highlight.id, highlight.url) in pages):
            continue
        if earlier:
            renewed.append(Candidate(highlight, earlier))
        else:
            fresh.append(Candidate(highlight))
    kept = len({video.id for video in present})
    return CopyPlan(renewed, fresh, None if count is None else max(0, count - kept))


def skipped(outcome: CopyOutcome, error: BackupError) -> SkippedVideo:
    """The manifest's entry for a video that was not copied."""
    highlight = outcome.candidate.highlight
    kind = error.kind if isinstance(error, VideoRefused) else "failed"
    return SkippedVideo(
        id=highlight.id, title=highlight.title, source_url=highlight.url, kind=kind, reason=str(error), at=now()
    )
