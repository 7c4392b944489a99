"""How asset values are stored: JSON documents on an ObjectStore, rows on a HighlightTable. Bound to no deployment: the
store or table that they are given decides where things lie.
"""

import time
from typing import Any

import dagster as dg

from ncaa_assets.archive import documents
from ncaa_assets.failures import ObjectMissing
from ncaa_assets.ports import HighlightTable, ObjectStore, Row
from ncaa_assets.record.models import Document
from ncaa_assets.record.rows import merge_row
from ncaa_assets.text import plural


class JsonDocumentIOManager(dg.ConfigurableIOManager):
    """Stores a day's `Document` as `<asset>/<day>.json`; loads it as the type that the downstream asset declares."""

    store: dg.ResourceDependency[ObjectStore]

    def handle_output(self, context: dg.OutputContext, obj: Document) -> None:
        key = documents.save(self.store, obj)
        context.add_output_metadata({"dagster/uri": self.store.uri(key), "stored_at": self.store.uri(key)})

    def load_input(self, context: dg.InputContext) -> Document:
        kind = context.dagster_type.typing_type
        if not (isinstance(kind, type) and issubclass(kind, Document)):
            raise dg.DagsterInvariantViolationError(f"declare which Document {context.name!r} is, not {kind}")
        try:
            return documents.load(self.store, kind, context.partition_key)
        except ObjectMissing as error:
            there = self.store.uri(kind.key(context.partition_key))
            raise ObjectMissing(
                f"{kind.asset} of {context.partition_key} is not there yet ({there}); materialize {kind.asset} first"
            ) from error


class RowsIOManager(dg.ConfigurableIOManager):
    """Merges rows into a HighlightTable, writing only those that changed; loads the rows of the partition's day."""

    table: dg.ResourceDependency[HighlightTable]

    def handle_output(self, context: dg.OutputContext, obj: list[Row]) -> None:
        started = time.monotonic()
        written = self.table.merge(obj, merge_row)
        metadata: dict[str, Any] = {
            "summary": f"{plural(len(obj), 'row')}: {written} written, {len(obj) - written} as they were",
            "dagster/uri": self.table.uri(),
            "stored_at": self.table.uri(),
            "dagster/partition_row_count": len(obj),
            "rows_written": written,
            "rows_unchanged": len(obj) - written,
            "write_seconds": round(time.monotonic() - started, 3),
        }
        context.add_output_metadata(metadata)

    def load_input(self, context: dg.InputContext) -> list[Row]:
        return self.table.day(context.partition_key)
