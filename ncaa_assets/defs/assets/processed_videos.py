"""The `processed_videos` asset: a web-ready output and a poster of each copied video."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from pydantic import Field

from ncaa_assets.archive.archive import HeldDay
from ncaa_assets.day.encode import Encoded, encode
from ncaa_assets.defs.assets.shell import Done, materialized
from ncaa_assets.defs.metadata import Markdown, Table, file_name, link, picture, table
from ncaa_assets.defs.resources import Day
from ncaa_assets.failures import StoreError
from ncaa_assets.ports import ObjectStore, Transcoder
from ncaa_assets.record.models import HighlightsDay, ProcessedDay, ProcessedVideo, VideosDay
from ncaa_assets.runs.outcome import LEFT_TO_DO
from ncaa_assets.text import plural, size

# The event log keeps every run's metadata for ever, so a larger poster stays out of it.
_MOST_PICTURE_BYTES = 200_000


class EncodeConfig(dg.Config):
    """What a person can set for one run of `processed_videos`."""

    force: bool = Field(default=False, description="encode again what is encoded already")


@dg.asset(
    kinds={"h264"},
    code_version="1",
    output_required=False,
    io_manager_key="documents",
)
def processed_videos(
    config: EncodeConfig,
    videos: VideosDay,
    transcoder: dg.ResourceParam[Transcoder],
    day: dg.ResourceParam[Day],
) -> Iterator[dg.MaterializeResult[ProcessedDay]]:
    """The day's videos, encoded for the web, each with a poster frame.

    Each output is an MP4 with H.264 and AAC that starts to play before it is fully loaded. Outputs are stored as
    `processed_videos/<day>/<id>.mp4`, posters as `.jpg`. The same bytes are not encoded twice with the same settings.
    """

    def step(held: HeldDay) -> Done[ProcessedDay]:
        done = encode(held, videos, transcoder, force=config.force)
        return Done(done.manifest, _metadata(done, _listing(held), held.archive.store))

    yield from materialized(day, step)


def _listing(held: HeldDay) -> HighlightsDay:
    """The day's listing, for the order of what is shown; an empty one where it cannot be read."""
    try:
        return held.archive.load(HighlightsDay, held.day)
    except StoreError:
        return HighlightsDay(date=held.day)


def _metadata(done: Encoded, highlights: HighlightsDay, store: ObjectStore) -> dict[str, Any]:
    manifest, encoded, outputs = done.manifest, done.encoded, highlights.in_order(done.manifest.videos)
    minutes = sum(video.duration_seconds or 0.0 for video in encoded) / 60
    metadata: dict[str, Any] = {
        "summary": _summary(done),
        "videos": len(manifest.videos),
        "encoded": len(encoded),
        "encoded_minutes": round(minutes, 3),
        "encode_seconds": round(done.seconds, 3),
        "total_bytes": sum(video.bytes for video in manifest.videos),
        LEFT_TO_DO: done.waiting + done.to_copy,
        "outputs": _outputs(outputs, store),
    }
    if manifest.not_encoded:
        metadata["not_encoded"] = table(
            ["file", "title", "why"],
            [[file_name(store, entry.source_key), entry.title, entry.reason] for entry in manifest.not_encoded],
        )
    shown = next((video for video in outputs if store.has(video.poster.key, video.poster.bytes)), None)
    if shown is not None and shown.poster.bytes <= _MOST_PICTURE_BYTES:
        with store.download(shown.poster.key) as file:
            metadata["poster"] = picture(file.read(), shown.title or shown.id)
    return metadata


def _summary(done: Encoded) -> str:
    encoded, refused = done.encoded, len(done.manifest.not_encoded) - done.waiting
    summary = f"{plural(len(encoded), 'video')} encoded in {done.seconds:.1f} s" if encoded else "nothing to encode"
    if done.reused:
        summary += f", {done.reused} with the same bytes as an earlier one"
    if done.there > 0:
        summary += f", {done.there} there already"
    if refused:
        summary += f"; {refused} cannot be encoded"
    if done.waiting:
        summary += f"; {plural(done.waiting, 'video')} to encode on another day (ENCODE_MINUTES_A_DAY)"
    if done.to_copy:
        summary += (
            f"; the day's next run copies {plural(done.to_copy, 'other video')} in place of what cannot be watched"
        )
    return summary


def _outputs(videos: list[ProcessedVideo], store: ObjectStore) -> Table | Markdown:
    return table(
        ["file", "title", "size", "seconds", "picture", "encoder"],
        [
            [
                file_name(store, video.key),
                video.title,
                size(video.bytes),
                f"{video.duration_seconds:.1f}" if video.duration_seconds else "",
                f"{video.width}×{video.height}" if video.width else "",
                link(f"job {video.job_id}", video.job_url) if video.job_url else _made_by(video),
            ]
            for video in videos
        ],
    )


def _made_by(video: ProcessedVideo) -> str:
    made = video.encoder if video.made_by == "encoded" else video.made_by
    return f"{made}; {video.lacks}" if video.lacks else made
