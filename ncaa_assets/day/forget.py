"""Letting go of copies: a person says that some are not expected any more. Each is recorded as forgotten, then deleted.

What was let go of is not copied again and holds its place among the day's videos, so that nothing is fetched in its
stead. The day's JSON stays as it is; its rows name the copies no more.
"""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

from ncaa_assets.archive.archive import HeldDay
from ncaa_assets.day.rows import write_keys
from ncaa_assets.failures import ObjectMissing
from ncaa_assets.record.calendar import now
from ncaa_assets.record.models import CopiedVideo, ForgottenVideo, ProcessedDay, VideosDay


@dataclass(frozen=True)
class Forgotten:
    """What was let go of: the entries that are new in the manifest, and the keys of the objects that were deleted."""

    entries: list[ForgottenVideo]
    deleted: list[str]


def forget(held: HeldDay, ids: Collection[str], *, reason: str | None = None) -> Forgotten:
    """Lets go of every copy of these highlights, with its encode, its poster and their keys in the rows.

    The record comes first, so a call that was killed is finished by the next: what was let go of before is deleted if
    it is still there.

    Raises:
        StoreError: the store cannot be read or written.
        LeaseLost: this run no longer holds the day.
    """
    videos, processed = held.load_or_new(VideosDay), held.load_or_new(ProcessedDay)
    leaving = [video for video in videos.videos if video.id in ids]
    outputs = {(output.key, output.source_sha256): output for output in processed.videos}

    def entry(video: CopiedVideo) -> ForgottenVideo:
        output = outputs.get((video.output_key, video.sha256))
        return ForgottenVideo(id=video.id, video=video, output=output, reason=reason, at=now())

    entries = [entry(video) for video in leaving]
    videos.forgotten += entries
    videos.videos = [video for video in videos.videos if video.id not in ids]
    videos.skipped = [skip for skip in videos.skipped if skip.id not in ids]
    held.save(videos)
    gone = [one for one in videos.forgotten if one.id in ids]
    sources = {one.video.key for one in gone} - {video.key for video in videos.videos}
    processed.videos = [output for output in processed.videos if output.source_key not in sources]
    processed.not_encoded = [one for one in processed.not_encoded if one.source_key not in sources]
    if processed.videos or outputs:
        held.save(processed)
    forgotten = Forgotten(entries, [key for key in _keys(gone) if _delete(held, key, videos, processed)])
    with suppress(ObjectMissing):  # without its JSON the day has no rows
        write_keys(held)
    return forgotten


def _keys(gone: list[ForgottenVideo]) -> list[str]:
    keys = {one.video.key: None for one in gone}
    for output in (one.output for one in gone if one.output is not None):
        keys |= {output.key: None, output.poster.key: None}
    return list(keys)


def _delete(held: HeldDay, key: str, videos: VideosDay, processed: ProcessedDay) -> bool:
    """Deletes an object, unless an entry that stays names it too. Returns whether it was there."""
    named = {video.key for video in videos.videos}
    for output in processed.videos:
        named |= {output.key, output.poster.key}
    held.check()
    if key in named or held.archive.store.info(key) is None:
        return False
    held.archive.store.delete(key)
    return True
