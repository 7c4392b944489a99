"""Reading and writing a day's documents in an ObjectStore: the one path that assets, IO managers and checks share.

A write expects the version that the document was read at, so even two runs that a broken lease let meet cannot
overwrite one another.
"""

from ncaa_assets.failures import ObjectMissing, StoreError
from ncaa_assets.ports import Expect, ObjectStore
from ncaa_assets.record import json_text
from ncaa_assets.record.models import D, Document, parse_document
from ncaa_assets.text import visible


def load(store: ObjectStore, kind: type[D], day: str) -> D:
    """A day's document as it is stored.

    Raises:
        ObjectMissing: there is none yet.
        StoreError: what is stored cannot be read as one.
    """
    key = kind.key(day)
    data, version = store.read(key)
    try:
        document = parse_document(kind, data)
    except ValueError as error:
        raise StoreError(
            f"{store.uri(key)} is damaged ({visible(error)}). Nothing was changed; put back an earlier version of it "
            "(.history/ keeps them, as the bucket's versions do), then run the day again"
        ) from error
    document._read_at = version
    return document


def load_or_new(store: ObjectStore, kind: type[D], day: str) -> D:
    """A day's document as it is stored, or an empty one."""
    try:
        return load(store, kind, day)
    except ObjectMissing:
        return kind(date=day)


def save(store: ObjectStore, document: Document) -> str:
    """Stores a document whole and returns its key. The document that it replaces is kept as an earlier version, unless
    it was an earlier save of this very object: a run's progress is no version that anybody wants back.

    Raises:
        WriteConflict: somebody else wrote it since it was read.
    """
    key = document.key(document.date)
    document._read_at = store.write(
        key,
        json_text.dumps(document.model_dump(), indent=1) + b"\n",
        expect=Expect.NOTHING if document._read_at is None else document._read_at,
        keep_replaced=not document._was_saved,
    )
    document._was_saved = True
    return key
