"""The `processed_videos` asset: a web-ready encode and a poster of each copied video."""

import logging
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import dagster as dg
from pydantic import Field

from ncaa_assets.archive import documents
from ncaa_assets.defs.metadata import escaped, link, picture, table
from ncaa_assets.defs.resources import DayLease
from ncaa_assets.failures import BackupError, EncodeFailed
from ncaa_assets.ports import EncodeRequest, ObjectStore, Transcoder
from ncaa_assets.record.models import CopiedVideo, ProcessedDay, ProcessedVideo, VideosDay
from ncaa_assets.text import plural, size

log = logging.getLogger(__name__)

# A poster larger than this is not put into the event log, which keeps every run's metadata for ever.
_MOST_PICTURE_BYTES = 200_000


class EncodeConfig(dg.Config):
    """What one run may ask of `processed_videos`."""

    force: bool = Field(default=False, description="encode again what is there already")


@dg.asset(
    kinds={"h264"},
    code_version="1",
    output_required=False,
    io_manager_key="documents",
)
def processed_videos(
    context: dg.AssetExecutionContext,
    config: EncodeConfig,
    videos: VideosDay,
    store: dg.ResourceParam[ObjectStore],
    transcoder: dg.ResourceParam[Transcoder],
    day_lease: dg.ResourceParam[DayLease],
) -> Iterator[dg.MaterializeResult[ProcessedDay]]:
    """The day's videos, encoded for the web, each with a poster frame.

    H.264 and AAC in an MP4 that starts playing before it is loaded. Stored as `processed_videos/<day>/<id>.mp4` and
    `.jpg`. What was encoded from the same bytes with the same settings is not encoded again.
    """
    if day_lease.taken_by:
        return
    manifest = documents.load_or_new(store, ProcessedDay, context.partition_key)
    wanted = transcoder.settings_hash()
    requests = [_request(video, again=config.force) for video in videos.videos]
    todo = [
        request
        for request in requests
        if config.force or not any(_is_done(request, done, wanted, store) for done in manifest.videos)
    ]
    started = time.monotonic()
    encoded, reused, failed = _carry_out(todo, manifest, store=store, transcoder=transcoder, day_lease=day_lease)
    seconds = time.monotonic() - started
    if failed:
        raise BackupError(
            f"{plural(len(failed), 'video')} could not be encoded ({failed[0]}); what was encoded is stored"
        )
    day_lease.check()
    yield dg.MaterializeResult(
        value=manifest,
        metadata={
            **_metadata(manifest, encoded, reused, store=store, seconds=seconds),
            **day_lease.marks,
        },
    )


def _carry_out(
    todo: list[EncodeRequest],
    manifest: ProcessedDay,
    *,
    store: ObjectStore,
    transcoder: Transcoder,
    day_lease: DayLease,
) -> tuple[list[ProcessedVideo], int, list[str]]:
    """Encodes, recording each output as it is known. Returns what was encoded, how many outputs were there already
    because the same bytes had been encoded before, and a sentence for each video that was not encoded."""
    encoded: list[ProcessedVideo] = []
    failed: list[str] = []
    reused = 0
    with closing(transcoder.encode(todo)) as outcomes:  # a lost lease ends what is still under way
        for outcome in outcomes:
            day_lease.check()
            result = outcome.result
            if isinstance(result, EncodeFailed):
                log.error("%s not encoded: %s", outcome.request.video.id, result)
                failed.append(f"{outcome.request.video.id}: {result}")
                continue
            if outcome.reused:
                log.info("%s: the same bytes were encoded before; nothing to pay again", result.id)
                reused += 1
            else:
                log.info("%s encoded in %.1f s: %s", result.id, result.encode_seconds, size(result.bytes))
                encoded.append(result)
            for earlier in manifest.videos:
                if (earlier.key, earlier.sha256) == (result.key, result.sha256):
                    result.keep_unknown(earlier)
            manifest.videos = [there for there in manifest.videos if there.key != result.key]
            manifest.videos.append(result)
            documents.save(store, manifest)
    return encoded, reused, failed


def _request(video: CopiedVideo, *, again: bool) -> EncodeRequest:
    base = "processed_" + video.key.rpartition(".")[0]
    return EncodeRequest(video, output_key=base + ".mp4", poster_key=base + ".jpg", again=again)


def _is_done(request: EncodeRequest, done: ProcessedVideo, settings_hash: str, store: ObjectStore) -> bool:
    wanted = (request.output_key, request.video.sha256, settings_hash)
    if (done.key, done.source_sha256, done.settings_hash) != wanted:
        return False
    output, poster = store.info(done.key), store.info(done.poster.key)
    return output is not None and output.size == done.bytes and poster is not None


def _metadata(
    manifest: ProcessedDay, encoded: list[ProcessedVideo], reused: int, *, store: ObjectStore, seconds: float
) -> dict[str, Any]:
    minutes = sum(video.duration_seconds or 0.0 for video in encoded) / 60
    summary = f"{plural(len(encoded), 'video')} encoded in {seconds:.1f} s" if encoded else "nothing to encode"
    if reused:
        summary += f", {reused} with the same bytes as an earlier one"
    if (there := len(manifest.videos) - len(encoded) - reused) > 0:
        summary += f", {there} there already"
    metadata: dict[str, Any] = {
        "summary": summary,
        "videos": len(manifest.videos),
        "encoded": len(encoded),
        "encoded_minutes": round(minutes, 3),
        "encode_seconds": round(seconds, 3),
        "total_bytes": sum(video.bytes for video in manifest.videos),
        "outputs": dg.MetadataValue.md(_outputs(manifest.videos)),
        "folder": store.uri(f"{ProcessedDay.asset}/{manifest.date}"),
    }
    if manifest.videos:
        first = manifest.videos[0]
        if first.poster.bytes <= _MOST_PICTURE_BYTES:
            with store.download(first.poster.key) as file:
                metadata["poster"] = dg.MetadataValue.md(picture(file.read(), first.title or first.id))
    return metadata


def _outputs(videos: list[ProcessedVideo]) -> str:
    return table(
        ["file", "title", "size", "seconds", "picture", "encoder"],
        [
            [
                escaped(video.key.rpartition("/")[2]),
                escaped(video.title),
                size(video.bytes),
                f"{video.duration_seconds:.1f}" if video.duration_seconds else "",
                f"{video.width}×{video.height}" if video.width else "",
                link(f"job {video.job_id}", video.job_url) if video.job_url else escaped(video.encoder),
            ]
            for video in videos
        ],
    )
