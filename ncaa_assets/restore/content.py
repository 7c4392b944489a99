"""What an archive has of a day, for the layouts: its documents as they are stored, and what can be read in them."""

import hashlib
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO

from ncaa_assets.archive.day_versions import DayDocuments
from ncaa_assets.archive.documents import KINDS
from ncaa_assets.archive.kept import ABOUT, kept_objects, recorded_sha256
from ncaa_assets.failures import DocumentDamaged, ObjectMissing, StoreError
from ncaa_assets.ports import ObjectStore
from ncaa_assets.record.models import Document, HighlightsDay, ProcessedDay, VideosDay
from ncaa_assets.record.written import from_bytes
from ncaa_assets.restore.target import Piece


@dataclass
class DayContent:
    """A day's documents: `stored` has their bytes, by key; the others are None where there is none.

    A document that cannot be read is missing here too: it must not take the place of a good one elsewhere, and the
    comparison with what is recorded names it.
    """

    day: str
    stored: dict[str, bytes] = field(default_factory=dict)
    highlights: HighlightsDay | None = None
    videos: VideosDay | None = None
    processed: ProcessedDay | None = None

    @property
    def read(self) -> dict[str, Document]:
        """The documents, by key."""
        documents = filter(None, (self.highlights, self.videos, self.processed))
        return {document.key(self.day): document for document in documents}

    @property
    def documents(self) -> DayDocuments:
        """The same by their kinds."""
        read = {type(document): document for document in self.read.values()}
        return DayDocuments(read, {kind: self.stored[kind.key(self.day)] for kind in read})


def content_of(store: ObjectStore, day: str) -> DayContent:
    """What a store has of a day.

    Raises:
        StoreError: the store does not answer.
    """
    stored: dict[str, bytes] = {}
    for kind in KINDS:
        with suppress(ObjectMissing):
            stored[kind.key(day)], _ = store.read(kind.key(day))
    return content_in(day, stored)[0]


def content_in(day: str, stored: Mapping[str, bytes]) -> tuple[DayContent, list[str]]:
    """What stands in a day's documents, and the keys of those that cannot be read."""
    content, unread = DayContent(day), []
    for kind in KINDS:
        key = kind.key(day)
        if key not in stored:
            continue
        try:
            document: Document = from_bytes(kind, stored[key], key, expected={"date": day})
        except DocumentDamaged:
            unread.append(key)
            continue
        content.stored[key] = stored[key]
        match document:
            case HighlightsDay():
                content.highlights = document
            case VideosDay():
                content.videos = document
            case ProcessedDay():
                content.processed = document
    return content, unread


def kept(store: ObjectStore, folder: str) -> Iterator[Piece]:
    """What was imported and is in no day, word for word, beside the other documents in `folder`."""
    for info, has_about in kept_objects(store):
        about = None
        with suppress(StoreError):  # named where that document's own turn comes
            about = store.read(info.key + ABOUT)[0] if has_about else None
        yield of_object(folder + info.key, store, info.key, info.size, recorded_sha256(about, info.key))


def of_bytes(path: str, data: bytes, *, key: str) -> Piece:
    """A piece that is in memory already."""

    @contextmanager
    def opened() -> Iterator[BinaryIO]:
        yield io.BytesIO(data)

    return Piece(path, key, len(data), hashlib.sha256(data).hexdigest(), opened)


def of_object(path: str, store: ObjectStore, key: str, size: int, sha256: str | None) -> Piece:
    """A piece that is an object of the store."""
    return Piece(path, key, size, sha256, partial(store.download, key))
