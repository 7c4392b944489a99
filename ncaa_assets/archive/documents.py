"""Reads and writes a day's documents in an ObjectStore, for everything that needs one.

A write expects the version that the document was read at, so two runs cannot overwrite one another even where a broken
lease let both work on a day.
"""

from ncaa_assets.failures import ObjectMissing
from ncaa_assets.ports import Expect, ObjectStore
from ncaa_assets.record import calendar
from ncaa_assets.record.models import D, Document, HighlightsDay, ProcessedDay, VideosDay
from ncaa_assets.record.written import from_bytes, to_bytes

# A day's documents, in the order in which a run makes them.
KINDS: tuple[type[Document], ...] = (HighlightsDay, VideosDay, ProcessedDay)


def load(store: ObjectStore, kind: type[D], day: str) -> D:
    """A stored document of a day.

    Raises:
        ObjectMissing: there is none yet.
        DocumentDamaged: it is damaged, or a newer version of this project wrote it.
        StoreError: the store does not answer.
    """
    key = kind.key(day)
    data, version = store.read(key)
    document = from_bytes(kind, data, store.uri(key), expected={"date": day})
    document._read_at = version
    return document


def versions(store: ObjectStore, kind: type[D]) -> dict[str, str]:
    """The days that have a document of this kind, each with its version, in the order of the store's listing."""
    prefix = f"{kind.asset}/"
    days = ((info.key.removeprefix(prefix).removesuffix(".json"), info) for info in store.list(prefix, below=False))
    return {day: info.version for day, info in days if calendar.is_day(day) and info.key == kind.key(day)}


def load_or_new(store: ObjectStore, kind: type[D], day: str) -> D:
    """A stored document of a day, or an empty one where there is none yet."""
    try:
        return load(store, kind, day)
    except ObjectMissing:
        return kind(date=day)


def save(store: ObjectStore, document: Document) -> str:
    """Stores a document and returns its key.

    The document that it replaces is kept as an earlier version, unless this same object was saved before: nobody wants
    the progress of a run back. One that an older version of this project wrote is so kept as that version knows it,
    once, even where nothing else changed.

    Raises:
        WriteConflict: somebody else wrote it since it was read.
    """
    key = document.key(document.date)
    document._read_at = store.write(
        key,
        to_bytes(document),
        expect=Expect.NOTHING if document._read_at is None else document._read_at,
        keep_replaced=not document._was_saved,
    )
    document._was_saved = True
    return key
