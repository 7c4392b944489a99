"""Keeps what cannot be put into a day, with what is known of it. Each is named after its content, so the same thing is
kept once, however often it is imported."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from ncaa_assets.archive.kept import ABOUT, KEPT, KeptFile, KeptRecord, KeptRecords
from ncaa_assets.backends.place import Place, PlaceFile
from ncaa_assets.imports.files import Wanted, take
from ncaa_assets.media.containers import CONTENT_TYPES, START, container_of, looks_like_page
from ncaa_assets.ports import ObjectStore
from ncaa_assets.record import json_text
from ncaa_assets.record.written import to_bytes

_CHUNK = 1024**2


def keep_file(store: ObjectStore, place: Place, file: PlaceFile, reason: str, *, writes: bool) -> tuple[KeptFile, bool]:
    """Keeps a file for its bytes; returns what is known of it, and whether that was kept before.

    Raises:
        StoreError: it cannot be read or stored.
    """
    digest, count, start = hashlib.sha256(), 0, b""
    with place.open(file) as source:
        while chunk := source.read(_CHUNK):
            start = start or chunk[:START]
            digest.update(chunk)
            count += len(chunk)
    folder = f"{KEPT}{digest.hexdigest()[:16]}/"
    known = KeptFile(
        place=place.uri(file.path), stored_at=file.at, key=folder + _name(file.path), bytes=count,
        sha256=digest.hexdigest(), looks_like=_kind(start), reason=reason,
    )  # fmt: skip
    note = known.key + ABOUT
    if store.info(note) is not None and store.has(known.key, count):
        return known, True
    if writes:
        if not store.has(known.key, count):
            ending = known.key.rpartition(".")[2].lower()
            content_type = CONTENT_TYPES.get(ending, "application/octet-stream")
            wanted = Wanted(known.key, count, known.sha256)
            take(place, file, store, wanted, before_commit=lambda: None, writes=True, content_type=content_type)
        store.write(note, to_bytes(known))
    return known, False


def keep_records(
    store: ObjectStore, place: str, file: PlaceFile, sha256: str, records: Sequence[KeptRecord], *, writes: bool
) -> tuple[str, bool]:
    """Keeps records of one file, and returns under which key, and whether they were kept before."""
    document = KeptRecords(place=place, stored_at=file.at, sha256=sha256, records=list(records))
    data = to_bytes(document)
    # By what they are alone: imported from a copy elsewhere, they are the same.
    digest = hashlib.sha256(json_text.dumps([[one.reason, one.record] for one in records]))
    key = f"{KEPT}records/{digest.hexdigest()[:16]}.json"
    is_kept = store.info(key) is not None
    if writes and not is_kept:
        store.write(key, data)
    return key, is_kept


def _name(path: str) -> str:
    """A file's name with nothing in it that a disk or an address could mind."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", PurePosixPath(path).name).lstrip(".")
    return name[-80:].lstrip(".") or "file"


def _kind(start: bytes) -> str:
    container = container_of(start)
    if container is not None:
        return {"mp4": "an MP4 video", "mov": "a QuickTime video", "webm": "a WebM video", "ts": "MPEG-TS"}[container]
    if start.startswith((b"\xff\xd8\xff", b"#EXTM3U")):
        return "a JPEG picture" if start[:1] == b"\xff" else "a playlist"
    return "a web page" if looks_like_page(start) else "empty" if not start else "no video that is known here"
