"""The last step of a day: its copied videos are encoded for the web."""

import logging
import time
from contextlib import closing
from dataclasses import dataclass

from ncaa_assets.archive.archive import HeldDay
from ncaa_assets.failures import BackupError, EncodeFailed, EncodeRefused
from ncaa_assets.ports import EncodeRequest, Transcoder
from ncaa_assets.record.models import CopiedVideo, ProcessedDay, ProcessedVideo, VideosDay
from ncaa_assets.text import SENTENCE, plural, size, visible

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Encoded:
    """A day after its encodes: the manifest as it is stored now, the outputs that were made, how many came from an
    earlier encode of the same bytes, and the seconds that all of it took."""

    manifest: ProcessedDay
    encoded: list[ProcessedVideo]
    reused: int
    seconds: float


def encode(held: HeldDay, videos: VideosDay, transcoder: Transcoder, *, force: bool = False) -> Encoded:
    """Encodes each copy that has no output of these settings yet; with `force`, every one.

    Each output is recorded as soon as it is known, so a run that is killed encodes nothing twice.

    Raises:
        BackupError: a video could not be encoded; all other outputs are stored.
        StoreError: the store cannot be read or written.
        LeaseLost: this run no longer holds the day.
    """
    manifest = held.load_or_new(ProcessedDay)
    settings_hash = transcoder.settings_hash()
    requests = [_request(video, again=force) for video in videos.videos]
    todo = [
        request
        for request in requests
        if force or not any(_is_done(request, output, settings_hash, held) for output in manifest.videos)
    ]
    started = time.monotonic()
    encoded, reused, failed = _carry_out(todo, manifest, held=held, transcoder=transcoder)
    seconds = time.monotonic() - started
    if failed:
        raise BackupError(
            f"{plural(len(failed), 'video')} could not be encoded ({failed[0]}); what was encoded is stored"
        )
    held.save(manifest)
    return Encoded(manifest, encoded, reused, seconds)


def _carry_out(
    todo: list[EncodeRequest], manifest: ProcessedDay, *, held: HeldDay, transcoder: Transcoder
) -> tuple[list[ProcessedVideo], int, list[str]]:
    """Encodes and records. Returns what was encoded, how many outputs came from an earlier encode of the same bytes,
    and a sentence for each video that was not encoded."""
    encoded: list[ProcessedVideo] = []
    failed: list[str] = []
    reused = 0
    # A lost lease ends the encodes that are under way, and nothing is published without one.
    with closing(transcoder.encode(todo, before_commit=held.check)) as outcomes:
        for outcome in outcomes:
            held.check()
            name, result = visible(outcome.request.video.id, most=80), outcome.result
            if isinstance(result, EncodeFailed | EncodeRefused):
                reason = visible(result, most=SENTENCE)
                log.error("%s not encoded: %s", name, reason)
                failed.append(f"{name}: {reason}")
                continue
            if outcome.reused:
                log.info("%s: the same bytes were encoded before; nothing to pay again", name)
                reused += 1
            else:
                log.info("%s encoded in %.1f s: %s", name, result.encode_seconds, size(result.bytes))
                encoded.append(result)
            for earlier in manifest.videos:
                if (earlier.key, earlier.sha256) == (result.key, result.sha256):
                    result.keep_unknown(earlier)
            manifest.videos = [output for output in manifest.videos if output.key != result.key]
            manifest.videos.append(result)
            held.save(manifest)
    return encoded, reused, failed


def _request(video: CopiedVideo, *, again: bool) -> EncodeRequest:
    base = "processed_" + video.key.rpartition(".")[0]
    return EncodeRequest(video, output_key=base + ".mp4", poster_key=base + ".jpg", force=again)


def _is_done(request: EncodeRequest, output: ProcessedVideo, settings_hash: str, held: HeldDay) -> bool:
    wanted = (request.output_key, request.video.sha256, settings_hash)
    if (output.key, output.source_sha256, output.settings_hash) != wanted:
        return False
    store = held.archive.store
    return store.has(output.key, output.bytes) and store.info(output.poster.key) is not None
