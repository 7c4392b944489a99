"""How downstream assets load what a day's work stored: JSON documents from the store, rows from the table.

The IO managers store nothing, because only the day's work, which holds the day, writes to an archive. What an asset
returns is stored already; the IO manager adds its address to the metadata."""

import dagster as dg

from ncaa_assets.archive.archive import Archive
from ncaa_assets.defs.metadata import shown
from ncaa_assets.failures import ObjectMissing
from ncaa_assets.record.models import Document
from ncaa_assets.record.rows import Row


class JsonDocumentIOManager(dg.IOManager):
    """Loads a day's `<asset>/<day>.json` as the type of `Document` that the downstream asset declares."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def handle_output(self, context: dg.OutputContext, obj: Document) -> None:
        address = self._archive.store.uri(obj.key(obj.date))
        context.add_output_metadata(shown({"dagster/uri": address, "stored_at": address}))

    def load_input(self, context: dg.InputContext) -> Document:
        kind = context.dagster_type.typing_type
        if not (isinstance(kind, type) and issubclass(kind, Document)):
            raise dg.DagsterInvariantViolationError(
                f"{context.name!r} must be declared as a type of Document, not as {kind}"
            )
        try:
            return self._archive.load(kind, context.partition_key)
        except ObjectMissing as error:
            address = self._archive.store.uri(kind.key(context.partition_key))
            raise ObjectMissing(
                f"{kind.asset} of {context.partition_key} is not stored yet ({address}); materialize {kind.asset} first"
            ) from error


class RowsIOManager(dg.IOManager):
    """Loads the rows of the partition's day."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def handle_output(self, context: dg.OutputContext, obj: list[Row]) -> None:
        address = self._archive.table.uri()
        context.add_output_metadata(
            shown({"dagster/uri": address, "stored_at": address, "dagster/partition_row_count": len(obj)})
        )

    def load_input(self, context: dg.InputContext) -> list[Row]:
        return self._archive.table.day(context.partition_key)


@dg.io_manager(
    config_schema={}, required_resource_keys={"archive"}, description="A day's JSON documents in the archive's store."
)
def documents(context: dg.InitResourceContext) -> JsonDocumentIOManager:
    """The IO manager of `highlights`, `videos` and `processed_videos`."""
    return JsonDocumentIOManager(context.resources.archive)


@dg.io_manager(config_schema={}, required_resource_keys={"archive"}, description="The archive's rows, one a highlight.")
def rows(context: dg.InitResourceContext) -> RowsIOManager:
    """The IO manager of `backup_rows`."""
    return RowsIOManager(context.resources.archive)
