"""Archives with days of made-up games, written as documents alone: what the pages are made from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ncaa_assets.archive import documents
from ncaa_assets.failures import ObjectMissing
from ncaa_assets.ports import ObjectStore
from ncaa_assets.record.models import Document, HighlightsDay, ProcessedDay, VideosDay

AT = "2025-03-10T06:00:00Z"


@dataclass(frozen=True)
class Game:
    """One highlight. `kept`: its video is copied and encoded."""

    id: str
    home: str = "Duke"
    away: str = "Auburn"
    title: str = "Duke vs. Auburn"
    kept: bool = True
    score: str | None = "82 - 69"


def write_day(store: ObjectStore, day: str, games: Sequence[Game]) -> None:
    """Makes these the highlights of a day, as a run leaves its three documents."""
    records, matches, entries, videos, outputs = list[Any](), list[Any](), {}, list[Any](), list[Any]()
    for game in games:
        match = {"id": game.id, "homeTeam": {"displayName": game.home}, "awayTeam": {"displayName": game.away}}
        url = f"https://videos.example/{game.id}.mp4"
        records.append({"id": game.id, "title": game.title, "url": url, "source": "espn", "match": match})
        matches.append({**match, "state": {"score": {"current": game.score}}})
        entries[game.id] = {"first_seen": AT, "last_seen": AT, "content_hash": "0" * 64}
        if game.kept:
            videos.append(copy_of(day, game.id, source_url=url, title=game.title))
            outputs.append(output_of(day, game.id))
    _save(store, HighlightsDay(date=day, data=records, matches=matches, backup={"records": entries}))
    _save(store, VideosDay.model_validate({"date": day, "videos": videos}, context={"doubts": []}))
    _save(store, ProcessedDay.model_validate({"date": day, "videos": outputs}, context={"doubts": []}))


def remove_day(store: ObjectStore, day: str) -> None:
    """Takes a day out of the archive, as nothing but a person with a file manager does."""
    for kind in (HighlightsDay, VideosDay, ProcessedDay):
        store.delete(kind.key(day))


def copy_of(day: str, identifier: str, **values: Any) -> dict[str, Any]:
    """An entry of a day's copies."""
    return {
        "id": identifier, "title": None, "source_url": f"https://videos.example/{identifier}.mp4",
        "key": f"videos/{day}/{identifier}.mp4", "bytes": 1, "sha256": "0" * 64, "container": "mp4",
        "duration_seconds": 154.2, "has_sound": True, "copied_at": AT, **values,
    }  # fmt: skip


def output_of(day: str, identifier: str, **values: Any) -> dict[str, Any]:
    """An entry of a day's encodes."""
    stem = f"processed_videos/{day}/{identifier}"
    return {
        "id": identifier, "title": None, "source_key": f"videos/{day}/{identifier}.mp4", "source_sha256": "0" * 64,
        "settings_hash": "0" * 16, "key": f"{stem}.mp4", "bytes": 1, "sha256": None, "duration_seconds": 154.2,
        "width": 320, "height": 180, "poster": {"key": f"{stem}.jpg", "bytes": 1}, "encoder": "ffmpeg",
        "encode_seconds": 1, "encoded_at": AT, **values,
    }  # fmt: skip


def gallery_of(store: ObjectStore) -> dict[str, bytes]:
    """Everything below `gallery/`, by key."""
    return {info.key: store.read(info.key)[0] for info in store.list("gallery/")}


def _save(store: ObjectStore, document: Document) -> None:
    try:
        document._read_at = store.read(document.key(document.date))[1]
    except ObjectMissing:
        document._read_at = None
    documents.save(store, document)
