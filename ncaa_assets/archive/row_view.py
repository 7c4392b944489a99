"""Rows that are a view of the JSON, for an archive whose store is elsewhere and whose rows are in a file of this
machine.

Before rows are read, those of every day that has other documents than they were made from are merged. So a file that
is missing is made again, one that another machine's runs have left behind catches up, and no day is due because of
either. A row depends on its days' documents alone (`record/rows.py`), in whatever order they are merged and however
often; so this may be interrupted at any point and go on in any process, and several may do it at once.
"""

import logging
import threading
from collections.abc import Iterable, Sequence

from ncaa_assets.archive import documents
from ncaa_assets.archive.rows import RowsOfDays, made_rows, versions_of_days
from ncaa_assets.backends.s3.rows import RowsFile
from ncaa_assets.failures import DocumentDamaged, ObjectMissing
from ncaa_assets.ports import HighlightTable, MergeRow, ObjectStore
from ncaa_assets.record.models import HighlightsDay
from ncaa_assets.record.rows import Row, merge_row

log = logging.getLogger(__name__)

_MANY = 10  # days; fewer are made in the time that nobody asks what takes so long


class RowView(HighlightTable):
    """The rows in `file`, as the documents in `store` make them by now. Raises `StoreError` where the store cannot be
    asked."""

    def __init__(self, file: RowsFile, store: ObjectStore) -> None:
        self._file, self._store = file, store
        self._lock = threading.Lock()

    def merge(self, rows: Iterable[Row], merge: MergeRow) -> int:
        return self._file.merge(rows, merge)

    def get(self, ids: Sequence[str]) -> dict[str, Row]:
        self._catch_up()
        return self._file.get(ids)

    def day(self, game_date: str) -> list[Row]:
        self._catch_up()
        return self._file.day(game_date)

    def uri(self) -> str:
        return self._file.uri()

    def behind(self) -> list[str]:
        """The days whose documents are others than their rows were made from."""
        return self._behind(versions_of_days(self._store))

    def _behind(self, listed: dict[str, str]) -> list[str]:
        made = self._file.made_from()
        return [day for day, version in listed.items() if made.get(day) != version]

    def _catch_up(self) -> None:
        with self._lock:
            listed = versions_of_days(self._store)
            behind = self._behind(listed)
            if len(behind) >= _MANY:
                log.warning("making the rows of %d days from their JSON, in %s", len(behind), self.uri())
            rows_of_day = RowsOfDays(self._store, listed)
            for day in behind:
                if len(behind) >= _MANY and self._file.made_from().get(day) == listed[day]:
                    continue  # another process did it meanwhile
                try:
                    rows = made_rows(self._store, documents.load(self._store, HighlightsDay, day))
                except (DocumentDamaged, ObjectMissing):
                    continue  # its own day reports it
                self._file.merge_day(day, listed[day], rows, lambda stored, row: merge_row(stored, row, rows_of_day))
