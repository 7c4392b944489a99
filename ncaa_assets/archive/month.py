"""What the last 30 game days brought, read from their documents: what the doctor forecasts a month from.

Nothing but the documents is read, so that the forecast costs three small reads and questions a day. All numbers are for
30 days: where fewer are backed up, as if the others were like them.
"""

import math
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from ncaa_assets.archive.archive import Archive
from ncaa_assets.failures import ObjectMissing, StoreError
from ncaa_assets.media.bounds import EncodeBounds
from ncaa_assets.media.minutes import billed_minutes, least_minutes
from ncaa_assets.media.profile import PROFILE
from ncaa_assets.media.web_ready import is_laid_out, why_encode
from ncaa_assets.record import json_text
from ncaa_assets.record.models import CopiedVideo, D, HighlightsDay, ProcessedDay, ProcessedVideo, VideosDay

DAYS = 30
_ROW_BESIDES = 500  # bytes of a row beside its record


@dataclass(frozen=True)
class Month:
    """Thirty days like the last ones.

    Attributes:
        days: how many of the last 30 it was made from.
        documents: bytes of the documents.
        copied, encoded: bytes of the copies, and of outputs and posters that take space of their own.
        spared: how much of `encoded` ENCODE=needed would not have taken.
        minutes: what MediaConvert would bill for encodes, at least and at most (media/minutes.py).
        row_units: kilobytes of rows that are written, at least and at most; without those of the index.
    """

    days: int
    documents: int
    copied: int
    encoded: int
    spared: int
    minutes: tuple[float, float]
    row_units: tuple[int, int]

    @property
    def grown(self) -> int:
        """Bytes of all that is stored."""
        return self.documents + self.copied + self.encoded


def last_month(archive: Archive, bounds: EncodeBounds) -> Month | None:
    """The month of an archive, with encodes as `bounds` has them now. None if none of the last days is backed up."""
    days = documents = copied = encoded = spared = 0
    units = [0, 0]
    copies: dict[str, CopiedVideo] = {}  # by their bytes, which are encoded once
    for days_ago in range(1, DAYS + 1):
        day = (archive.settings.today() - timedelta(days=days_ago)).isoformat()
        highlights = _load(archive, HighlightsDay, day)
        if highlights is None:
            continue
        days += 1
        keys = [kind.key(day) for kind in (HighlightsDay, VideosDay, ProcessedDay)]
        documents += sum(info.size for info in map(archive.store.info, keys) if info is not None)
        for view, record in highlights.highlights():
            size = math.ceil((len(json_text.dumps(record)) + _ROW_BESIDES) / 1024)
            written = 1 + len(highlights.backup.records[view.id].history)
            units[0] += size * written
            units[1] += size * max(written, len(highlights.backup.fetches))
        videos, processed = _load(archive, VideosDay, day), _load(archive, ProcessedDay, day)
        impossible = {entry.id for entry in processed.not_encoded} if processed else set()
        for video in videos.videos if videos else ():
            copied += video.bytes
            if video.id not in impossible and not bounds.refusal(video.facts, seconds=video.duration_seconds):
                copies[video.sha256] = video
        sources = {video.key: video for video in videos.videos} if videos else {}
        for output in processed.videos if processed else ():
            takes_none = output.made_by == "kept" and archive.settings.ncaa_deployment == "local"  # a hard link
            encoded += (0 if takes_none else output.bytes) + output.poster.bytes
            spared += _spared(sources.get(output.source_key), output)
    if not days:
        return None
    least = most = 0.0
    for video in copies.values() if archive.settings.encode != "never" else ():
        if bounds.is_free and video.facts and bounds.is_free(video.facts):
            continue
        least += least_minutes(video.facts, seconds=video.duration_seconds)
        longest = billed_minutes(video.facts, seconds=video.duration_seconds or bounds.max_seconds)
        most += longest or 0.0
    scale = DAYS / days
    allowed = bounds.max_minutes * DAYS if bounds.max_minutes is not None else math.inf
    return Month(
        days=days,
        documents=round(documents * scale),
        copied=round(copied * scale),
        encoded=round(encoded * scale),
        spared=round(spared * scale),
        minutes=(min(least * scale, allowed), min(most * scale, allowed)),
        row_units=(round(units[0] * scale), round(units[1] * scale)),
    )


def _spared(source: CopiedVideo | None, output: ProcessedVideo) -> int:
    """How many bytes of an encode ENCODE=needed would not have taken, because the copy can stay as it is or be packed
    anew."""
    if output.made_by != "encoded" or source is None or source.facts is None or why_encode(source.facts, PROFILE):
        return 0
    return output.bytes if is_laid_out(source.facts, source.container) else max(0, output.bytes - source.bytes)


def _load(archive: Archive, kind: type[D], day: str) -> D | None:
    with suppress(ObjectMissing, StoreError):  # a damaged day is reported where a day is looked at
        return archive.load(kind, day)
    return None
