"""The `videos` asset: verified copies of the day's first videos."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import dagster as dg
from pydantic import Field

from ncaa_assets.archive import documents
from ncaa_assets.defs.metadata import escaped, link, skipped_table, table
from ncaa_assets.defs.resources import DayLease
from ncaa_assets.failures import BackupError, CopyFailed
from ncaa_assets.ports import ObjectStore
from ncaa_assets.record.models import CopiedVideo, HighlightsDay, SkippedVideo, VideosDay, content_hash
from ncaa_assets.text import plural, size
from ncaa_assets.video.copier import CopyPlan, VideoCopier, plan_copies, skipped

log = logging.getLogger(__name__)


class CopyConfig(dg.Config):
    """What one run may ask of `videos`."""

    force: bool = Field(default=False, description="fetch again what is there already")


@dg.asset(
    kinds={"mp4"},
    code_version="1",
    output_required=False,
    io_manager_key="documents",
)
def videos(
    context: dg.AssetExecutionContext,
    config: CopyConfig,
    highlights: HighlightsDay,
    store: dg.ResourceParam[ObjectStore],
    copier: dg.ResourceParam[VideoCopier],
    day_lease: dg.ResourceParam[DayLease],
) -> Iterator[dg.MaterializeResult[VideosDay]]:
    """Copies of the day's first videos, byte for byte.

    Takes the first `VIDEO_COUNT` of the day's highlights that can be copied, streams each to `videos/<day>/<id>.mp4`,
    and keeps it only when it is a whole video: never a web page, never half a file. What is there already is not
    fetched again. What cannot be copied is listed with its reason.
    """
    if day_lease.taken_by:
        return
    manifest = documents.load_or_new(store, VideosDay, context.partition_key)
    plan = plan_copies(
        [view for view, _ in highlights.highlights()],
        manifest,
        have=lambda video: _is_stored(store, video),
        count=copier.count,
        force=config.force,
        reads_pages=copier.reads_pages,
    )
    started = time.monotonic()
    copied, again, failed = _carry_out(plan, manifest, store=store, copier=copier, day_lease=day_lease)
    seconds = time.monotonic() - started
    if failed:
        raise BackupError(
            f"{plural(len(failed), 'video')} could not be copied now ({failed[0]}); the other videos are stored. "
            "Run the day again to take up what is missing"
        )
    day_lease.check()
    yield dg.MaterializeResult(
        value=manifest,
        metadata={
            **_metadata(manifest, copied, again, uri=store.uri, seconds=seconds),
            **day_lease.marks,
        },
        data_version=dg.DataVersion(content_hash([video.sha256 for video in manifest.videos])),
    )


def _carry_out(
    plan: CopyPlan, manifest: VideosDay, *, store: ObjectStore, copier: VideoCopier, day_lease: DayLease
) -> tuple[list[CopiedVideo], int, list[str]]:
    """Copies, recording each outcome as it is known: what a killed run copied is not copied again.

    Returns the copies that are new in the store, how many were fetched again and were the same, and a sentence for each
    that failed for a passing reason.
    """
    copied: list[CopiedVideo] = []
    failed: list[str] = []
    again = 0
    # A lost lease ends what is still under way, and nothing is published without one.
    with closing(copier.copy(manifest.date, plan, before_commit=day_lease.check)) as outcomes:
        for outcome in outcomes:
            day_lease.check()
            highlight, result = outcome.candidate.highlight, outcome.result
            manifest.skipped = [skip for skip in manifest.skipped if skip.id != highlight.id]
            if isinstance(result, CopiedVideo):
                _put(manifest.videos, result)
                if result.key in {earlier.key for earlier in outcome.candidate.earlier}:
                    again += 1
                    log.info("%s fetched again: the same bytes as before", highlight.label)
                else:
                    log.info("%s copied: %s", highlight.label, size(result.bytes))
                    copied.append(result)
            else:
                manifest.skipped.append(skipped(outcome, result))
            if isinstance(result, CopyFailed):
                failed.append(f"{highlight.label}: {result}")
            documents.save(store, manifest)
    return copied, again, failed


def _put(videos: list[CopiedVideo], video: CopiedVideo) -> None:
    """Adds a copy, in the place of an entry of the same key: one whose object was lost, or fetched again."""
    for at, there in enumerate(videos):
        if there.key == video.key:
            if there.sha256 == video.sha256:
                video.keep_unknown(there)
            videos[at] = video
            return
    videos.append(video)


def _is_stored(store: ObjectStore, video: CopiedVideo) -> bool:
    info = store.info(video.key)
    return info is not None and info.size == video.bytes


def _metadata(
    manifest: VideosDay, copied: list[CopiedVideo], again: int, *, uri: Callable[[str], str], seconds: float
) -> dict[str, Any]:
    parts = []
    if copied:
        parts.append(f"{plural(len(copied), 'video')} copied ({size(sum(video.bytes for video in copied))})")
    if again:
        parts.append(f"{again} fetched again, the same bytes")
    if there := len(manifest.videos) - len(copied) - again:
        parts.append(f"{there} there already")
    summary = ", ".join(parts if copied or again else ["nothing to copy", *parts]) + _skips(manifest.skipped)
    metadata: dict[str, Any] = {
        "summary": summary,
        "videos": len(manifest.videos),
        "copied": len(copied),
        "copied_bytes": sum(video.bytes for video in copied),
        "total_bytes": sum(video.bytes for video in manifest.videos),
        "copy_seconds": round(seconds, 3),
        "skipped": len(manifest.skipped),
        "copies": dg.MetadataValue.md(
            table(
                ["file", "title", "size", "seconds"],
                [
                    [
                        escaped(video.key.rpartition("/")[2]),
                        link(video.title or video.source_url, video.source_url),
                        size(video.bytes),
                        f"{video.duration_seconds:.1f}" if video.duration_seconds else "",
                    ]
                    for video in manifest.videos
                ],
            )
        ),
    }
    metadata["folder"] = uri(f"{VideosDay.asset}/{manifest.date}")
    if manifest.skipped:
        metadata["not_copied"] = dg.MetadataValue.md(skipped_table(manifest.skipped))
    return metadata


def _skips(skips: list[SkippedVideo]) -> str:
    if not skips:
        return ""
    names = {
        "page": "a web page",
        "unresolved": "a page without a video",
        "unsafe": "an unsafe address",
        "gone": "not available",
        "too-large": "too large",
    }
    reasons = ", ".join(f"{skip.id} is {names.get(skip.kind, 'no video')}" for skip in skips[:3])
    return f"; skipped: {reasons}" + (f" and {len(skips) - 3} more" if len(skips) > 3 else "")
