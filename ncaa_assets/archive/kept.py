"""What was imported and is in no day, under `imported/`, with what is known of it: files for their bytes, and records
that tell no game day; and whether all of it is there as it came."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ncaa_assets.archive.reconcile import Finding, read_through
from ncaa_assets.failures import StoreError
from ncaa_assets.ports import ObjectInfo, ObjectStore
from ncaa_assets.record.fields import Name, Sha256, Time
from ncaa_assets.record.models import Versioned
from ncaa_assets.record.written import NewerVersion, parse_document
from ncaa_assets.stored import Count, Stored
from ncaa_assets.text import visible

KEPT = "imported/"
ABOUT = ".about.json"  # what the name of a kept file is followed by, in the key of what is known of it

_AGAIN = "delete it and import it again from {place}, or put it back from another copy of the archive"


class KeptFile(Versioned):
    """`imported/SHA/….json` beside a file that was kept: where it came from and when it was stored there, its size and
    sha256, what kind of file it is by its first bytes, and why it is in no day."""

    place: Name
    stored_at: Time
    key: Name
    bytes: Count
    sha256: Sha256
    looks_like: Name
    reason: Name


class KeptRecord(Stored):
    """A record that is in no day, why, and the day for which it was asked, where something said so."""

    record: Any
    reason: Name
    asked_for: str | None


class KeptRecords(Versioned):
    """`imported/records/….json`: the records of one file that are in no day; where the file lay, when it was stored
    there, and its sha256."""

    place: Name
    stored_at: Time
    sha256: Sha256
    records: list[KeptRecord]


def recorded_sha256(about: bytes | None, key: str) -> str | None:
    """The sha256 that is recorded of a kept file, by what is known of it; None where that is missing or damaged."""
    if about is None:
        return None
    try:
        known, _ = parse_kept(key + ABOUT, about)
    except NewerVersion:
        return None
    return known.sha256 if isinstance(known, KeptFile) and known.key == key else None


def kept_objects(store: ObjectStore) -> Iterator[tuple[ObjectInfo, bool]]:
    """What lies under `imported/`, and of each whether a document is about it, as of every kept file. About documents,
    whose keys end with `.json`, there is none.

    Raises:
        StoreError: the store cannot be listed.
    """
    for info in store.list(KEPT):
        yield info, store.info(info.key + ABOUT) is not None


def parse_kept(key: str, data: bytes) -> tuple[KeptFile | KeptRecords | None, str | None]:
    """A document of `imported/` as far as it can be read, and what is wrong with it, if anything is.

    Raises:
        NewerVersion: it was written by a version of this project that this one does not know.
    """
    kind: type[KeptFile | KeptRecords] = KeptFile if key.endswith(ABOUT) else KeptRecords
    try:
        document = parse_document(kind, data)
    except NewerVersion:
        raise
    except ValueError as error:
        return None, f"is damaged ({visible(error)})"
    problem = "; ".join(document.doubts)
    if isinstance(document, KeptFile) and document.key + ABOUT != key:
        problem = f"is about another file ({visible(document.key, most=100)})"
    return document, problem or None


@dataclass(frozen=True)
class KeptReport:
    """What was seen of a document under `imported/` and of the file that it is about: how many bytes of that file were
    read, and what is wrong, if anything is."""

    read: int = 0
    finding: Finding | None = None


def reconcile_kept(store: ObjectStore, *, deep: bool = False) -> Iterator[KeptReport]:
    """Whether what was kept is there as it came. With `deep` the bytes of the files are read too.

    Raises:
        StoreError: the store cannot be listed.
    """
    for info, has_about in kept_objects(store):
        if not has_about:  # a file is looked at with the document about it
            yield _report(store, info.key, deep=deep)


def _report(store: ObjectStore, key: str, *, deep: bool) -> KeptReport:
    if not key.endswith(".json"):
        remedy = "import it again, which notes that; or see what it is, and delete it or move it out of the archive"
        return _wrong(key, "is in the store, and nothing says what it is", remedy)
    try:
        document, problem = parse_kept(key, store.read(key)[0])
    except StoreError as error:
        return _unreadable(key, error)
    except NewerVersion as error:
        return _wrong(key, f"cannot be read: {error}", "then verify again")
    if problem is not None:
        return _wrong(key, problem, _again(document))
    return _report_of_file(store, document, deep=deep) if isinstance(document, KeptFile) else KeptReport()


def _report_of_file(store: ObjectStore, known: KeptFile, *, deep: bool) -> KeptReport:
    try:
        found = store.info(known.key)
        if found is None:
            remedy = _again(known).removeprefix("delete it and ")
            return _wrong(known.key, "is missing from the store", remedy)
        if found.size != known.bytes:
            problem = f"has {found.size} bytes, and {known.bytes} were recorded"
            return _wrong(known.key, problem, _again(known))
        if deep and read_through(store, known.key)[0] != known.sha256:
            return _wrong(known.key, "its bytes are not those that were imported (another sha256)", _again(known))
    except StoreError as error:
        return _unreadable(known.key, error)
    return KeptReport(known.bytes if deep else 0)


def _again(document: KeptFile | KeptRecords | None) -> str:
    return _AGAIN.format(place="where it came from" if document is None else visible(document.place, most=500))


def _unreadable(key: str, error: StoreError) -> KeptReport:
    return _wrong(key, f"is there and cannot be read ({error})", "see what is wrong there, then verify again")


def _wrong(key: str, problem: str, remedy: str) -> KeptReport:
    return KeptReport(finding=Finding(None, "imported", key, problem, remedy))
