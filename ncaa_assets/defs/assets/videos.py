"""The `videos` asset: verified copies of the day's first videos."""

from collections.abc import Iterator
from typing import Any, Final

import dagster as dg
from pydantic import Field

from ncaa_assets.archive.archive import HeldDay
from ncaa_assets.archive.reconcile import all_pages
from ncaa_assets.day.copy import Copied, copy
from ncaa_assets.defs.assets.shell import Done, materialized
from ncaa_assets.defs.metadata import file_name, link, skipped_table, table
from ncaa_assets.defs.resources import Day
from ncaa_assets.failures import SettingsError
from ncaa_assets.media.facts import Facts
from ncaa_assets.ports import Copier, ObjectStore
from ncaa_assets.record.models import HighlightsDay, SkippedVideo, VideosDay, content_hash
from ncaa_assets.settings import Settings, count_of
from ncaa_assets.text import plural, size, visible

_AS_SET: Final = "VIDEO_COUNT"


class CopyConfig(dg.Config):
    """What a person can set for one run of `videos`."""

    # Dagster has no type for a number or a word, and quotes around a number are easily forgotten.
    video_count: Any = Field(
        default=_AS_SET,
        description="how many of the day's videos to have: a number or `all`; `VIDEO_COUNT` is what that setting says",
    )
    force: bool = Field(default=False, description="copy again what is copied already")

    def count(self, settings: Settings) -> int | None:
        """How many videos the run is to have copied, None for all.

        Raises:
            SettingsError: what a person wrote is neither a number nor `all`.
        """
        if self.video_count in (_AS_SET, None):
            return settings.video_count
        try:
            return count_of(self.video_count)
        except ValueError as error:
            shown = visible(self.video_count, most=40)
            raise SettingsError(f"video_count {error}, and not {shown!r}; correct it in the launchpad") from None


@dg.asset(
    kinds={"mp4"},
    code_version="1",
    output_required=False,
    io_manager_key="documents",
)
def videos(
    config: CopyConfig,
    highlights: HighlightsDay,
    copier: dg.ResourceParam[Copier],
    day: dg.ResourceParam[Day],
) -> Iterator[dg.MaterializeResult[VideosDay]]:
    """Copies of the day's first videos, byte for byte.

    Takes the first `VIDEO_COUNT` of the day's highlights that can be copied, and streams each to
    `videos/<day>/<id>.mp4`. A copy is kept only if it is a whole video, never a web page or half a file. What is stored
    already is not copied again, and what the store has lost is fetched again. What cannot be copied is listed with its
    reason.

    A run can have another `video_count`: what it copies stays, and of a smaller number the day's next run makes up for
    the rest.
    """

    def step(held: HeldDay) -> Done[VideosDay]:
        count = config.count(held.archive.settings)
        done = copy(held, highlights, copier, count=count, force=config.force)
        return Done(
            done.manifest,
            _metadata(done, highlights, held.archive.store),
            content_hash([video.sha256 for video in done.manifest.videos]),
        )

    yield from materialized(day, step)


def _metadata(done: Copied, highlights: HighlightsDay, store: ObjectStore) -> dict[str, Any]:
    manifest, copied = done.manifest, done.copied
    parts = []
    if copied:
        parts.append(f"{plural(len(copied), 'video')} copied ({size(sum(video.bytes for video in copied))})")
    if done.unchanged:
        parts.append(f"{done.unchanged} fetched again, the same bytes")
    if kept := done.there - len(copied) - done.unchanged:
        parts.append(f"{kept} there already")
    if lost := len(manifest.videos) - done.there:
        parts.append(f"{lost} lost for good")
    summary = ", ".join(parts if copied or done.unchanged else ["nothing to copy", *parts]) + _skips(manifest.skipped)
    summary = all_pages(manifest) or summary
    metadata: dict[str, Any] = {
        "summary": summary,
        "videos": done.there,
        "copied": len(copied),
        "copied_bytes": sum(video.bytes for video in copied),
        "total_bytes": sum(video.bytes for video in manifest.videos if video.lost is None),
        "copy_seconds": round(done.seconds, 3),
        "skipped": len(manifest.skipped),
        "copies": table(
            ["file", "title", "size", "seconds", "film and sound"],
            [
                [
                    file_name(store, video.key),
                    link(video.title or video.source_url, video.source_url),
                    size(video.bytes) if video.lost is None else "lost for good",
                    f"{video.duration_seconds:.1f}" if video.duration_seconds else "",
                    _what(video.facts),
                ]
                for video in highlights.in_order(manifest.videos)
            ],
        ),
    }
    if manifest.skipped:
        metadata["not_copied"] = skipped_table(manifest.skipped)
    return metadata


def _what(facts: Facts | None) -> str:
    """A file's film and sound in a few words, such as `1920×1080 AVC, AAC`; empty where facts were not kept."""
    if facts is None or facts.picture is None:
        return ""
    width, height = facts.picture.shown_size
    film = f"{width}×{height} {facts.picture.codec}" + (" HDR" if facts.picture.is_hdr else "")
    return f"{film}, {facts.sound.codec}" if facts.sound else film


def _skips(skips: list[SkippedVideo]) -> str:
    if not skips:
        return ""
    names = {
        "page": "a web page",
        "unresolved": "a page without a video",
        "runtime": "a page that needs a JavaScript runtime",
        "unsafe": "an unsafe address",
        "gone": "not available",
        "too-large": "too large",
    }
    reasons = ", ".join(f"{visible(skip.id, most=80)} is {names.get(skip.kind, 'no video')}" for skip in skips[:3])
    return f"; skipped: {reasons}" + (f" and {len(skips) - 3} more" if len(skips) > 3 else "")
