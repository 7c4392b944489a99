"""The rows that the documents of other days make: what a row of several days is made from, and compared with."""

from collections.abc import Mapping
from contextlib import suppress

from ncaa_assets.archive import documents
from ncaa_assets.failures import DocumentDamaged, ObjectMissing
from ncaa_assets.ports import ObjectStore
from ncaa_assets.record.models import HighlightsDay
from ncaa_assets.record.rows import Row, rows_of

_NEIGHBOURS = 8  # days that are kept in memory: two days that list the same clip are close together


class RowsOfDays:
    """Gives the rows that a day's document makes, by id; None where it is missing or damaged, which its own day
    reports.

    The store is asked each time for the document's version: another run may have saved it since it was read, and a run
    saves a document before it writes the day's rows. `versions` are those of a listing, by day: with them it is not
    asked, and who uses the rows looks later whether a version has changed.

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
        info = self._store.info(HighlightsDay.key(day))
        return None if info is None else info.version

    def _read(self, day: str) -> Mapping[str, Row] | None:
        with suppress(DocumentDamaged, ObjectMissing):
            return {row["id"]: row for row in rows_of(documents.load(self._store, HighlightsDay, day))}
        return None
