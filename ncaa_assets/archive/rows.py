"""The rows that the stored documents of a day make, and those of other days: what a row of several days is made from,
and compared with."""

from collections.abc import Mapping
from contextlib import suppress

from ncaa_assets.archive import documents
from ncaa_assets.failures import DocumentDamaged, ObjectMissing
from ncaa_assets.ports import ObjectStore
from ncaa_assets.record.models import D, HighlightsDay, ProcessedDay, VideosDay
from ncaa_assets.record.rows import Row, rows_of

_NEIGHBOURS = 64  # days that are kept in memory, some 100 kB each: a clip may be listed on many


def made_rows(store: ObjectStore, highlights: HighlightsDay) -> list[Row]:
    """The rows that a day's documents make: this one, and the manifests that are stored beside it.

    Raises:
        StoreError: the store does not answer.
    """
    return rows_of(
        highlights, _manifest(store, VideosDay, highlights.date), _manifest(store, ProcessedDay, highlights.date)
    )


def _manifest(store: ObjectStore, kind: type[D], day: str) -> D | None:
    """None for a damaged one, which its own day reports: nobody knows what it named."""
    with suppress(DocumentDamaged):
        return documents.load_or_new(store, kind, day)
    return None


def versions_of_days(store: ObjectStore) -> dict[str, str]:
    """The days whose listing is stored, each with the versions of all documents that its rows are made from."""
    listed, *manifests = (documents.versions(store, kind) for kind in documents.KINDS)
    return {day: _joined(version, *(kind.get(day) for kind in manifests)) for day, version in listed.items()}


def _joined(*versions: str | None) -> str:
    return " ".join(version or "-" for version in versions)


class RowsOfDays:
    """Gives the rows that a day's documents make, by id; None where its listing is missing or damaged, which its own
    day reports.

    The store is asked each time for the documents' versions: another run may have saved one since it was read, and a
    run saves a document before it writes the day's rows. `versions` are those of a listing (`versions_of_days`): with
    them it is not asked, and who uses the rows looks later whether a version has changed.

    Raises:
        StoreError: the store does not answer.
    """

    def __init__(self, store: ObjectStore, versions: Mapping[str, str] | None = None) -> None:
        self._store, self._versions = store, versions
        self._kept: dict[str, tuple[str, Mapping[str, Row] | None]] = {}

    def __call__(self, day: str) -> Mapping[str, Row] | None:
        version = self._version(day)
        if version is None:
            return None
        kept = self._kept.get(day)
        if kept is None or kept[0] != version:
            self._kept.pop(day, None)
            while len(self._kept) >= _NEIGHBOURS:
                del self._kept[next(iter(self._kept))]
            kept = self._kept[day] = version, self._read(day)
        return kept[1]

    def _version(self, day: str) -> str | None:
        if self._versions is not None:
            return self._versions.get(day)
        infos = [self._store.info(kind.key(day)) for kind in documents.KINDS]
        return None if infos[0] is None else _joined(*(info.version if info else None for info in infos))

    def _read(self, day: str) -> Mapping[str, Row] | None:
        with suppress(DocumentDamaged, ObjectMissing):
            return {row["id"]: row for row in made_rows(self._store, documents.load(self._store, HighlightsDay, day))}
        return None
