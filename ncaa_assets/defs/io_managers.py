"""How downstream assets load what a day's work stored: JSON documents from the store, rows from the table.

They load the days that the reader's input is mapped to, never the run's own day. The IO managers store nothing, because
only the day's work, which holds the day, writes to an archive. What an asset returns is stored already; the IO manager
adds its address to the metadata.
"""

import logging
import types
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, Union, get_args, get_origin

import dagster as dg

from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.documents import KINDS
from ncaa_assets.defs.metadata import shown
from ncaa_assets.failures import ObjectMissing
from ncaa_assets.record.models import ASSETS, Document, HighlightsDay
from ncaa_assets.record.rows import Row
from ncaa_assets.text import plural, visible

log = logging.getLogger(__name__)

# Dagster's own IO managers heed it too, in `dg.AssetIn(metadata=...)`.
_ALLOW_MISSING = "allow_missing_partitions"
_KINDS: Mapping[str, type[Document]] = {kind.asset: kind for kind in KINDS}
_ROWS = "backup_rows"


class DocumentIOManager(dg.IOManager):
    """Loads a day's `<asset>/<day>.json` as the asset's type of `Document`.

    One day gives the document, several a dict of documents by day; an input declared as a dict gives a dict always.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def handle_output(self, context: dg.OutputContext, obj: Document) -> None:
        kind = _KINDS.get(context.asset_key.path[-1]) if context.has_asset_key else None
        if kind is None or not isinstance(obj, kind):
            _refuse_output(context, "documents", [*_KINDS])
        context.add_output_metadata(shown({"dagster/uri": self._archive.store.uri(obj.key(obj.date))}))

    def load_input(self, context: dg.InputContext) -> Any:
        """The document or documents of the input's days.

        Raises:
            ObjectMissing: a day that was asked for is not stored.
            DagsterInvariantViolationError: the input is declared as something else.
        """
        asset, declared = _asset(context, "documents", [*_KINDS]), _declared(context)
        kind = _KINDS[asset]
        of_one_day = (get_args(declared) or (str, Any))[1] if _is_dict(declared) else declared
        if not _takes(of_one_day, kind):
            _refuse_type(context, declared, f"{kind.__name__}, or of several days as dict[str, {kind.__name__}]")

        days = _Days(context, asset, self._archive)
        for day in days.to_read:
            try:
                days.found[day] = self._archive.load(kind, day)
            except ObjectMissing:
                days.missing.append(day)
        days.check(self._archive.store.uri(f"{asset}/"))
        if _is_dict(declared):
            return days.found
        if len(days.asked) > 1:
            if declared in (Any, object):
                return days.found
            _refuse_type(context, declared, f"dict[str, {kind.__name__}], because it reads {len(days.asked)} days")
        document = next(iter(days.found.values()), None)
        if document is None and not _takes_none(context):
            _refuse_type(context, declared, f"{kind.__name__} | None, because no day of it is there for this partition")
        return document


class RowsIOManager(dg.IOManager):
    """Loads the rows of the input's days, in one list; by day where the input is declared as a dict.

    A row belongs to one day, so none comes twice.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def handle_output(self, context: dg.OutputContext, obj: list[Row]) -> None:
        if not context.has_asset_key or context.asset_key.path[-1] != _ROWS or not isinstance(obj, list):
            _refuse_output(context, "rows", [_ROWS])
        address = self._archive.table.uri()
        context.add_output_metadata(shown({"dagster/uri": address, "dagster/partition_row_count": len(obj)}))

    def load_input(self, context: dg.InputContext) -> Any:
        """The rows of the input's days.

        Raises:
            ObjectMissing: a day that was asked for is not stored.
            DagsterInvariantViolationError: the input is declared as something else.
        """
        asset, declared = _asset(context, "rows", [_ROWS]), _declared(context)
        if not (_is_dict(declared) or declared in (Any, object) or get_origin(declared) is list):
            _refuse_type(context, declared, "list[dict[str, Any]], a dict a row; make your own table of them")
        days = _Days(context, asset, self._archive)
        for day in days.to_read:
            days.found[day] = self._archive.table.day(day)
            # A day without games has no rows; one that is not backed up has no document either.
            if not days.found[day] and self._archive.store.info(HighlightsDay.key(day)) is None:
                del days.found[day]
                days.missing.append(day)
        days.check(self._archive.table.uri())
        if _is_dict(declared):
            return days.found
        return [row for rows in days.found.values() for row in rows]


class _Days:
    """The days that an input is mapped to, oldest first: those that are stored, and those that are not."""

    def __init__(self, context: dg.InputContext, asset: str, archive: Archive) -> None:
        if not context.has_asset_partitions:
            raise dg.DagsterInvariantViolationError(
                f"{asset} has a partition for each game day; name the day that you want, such as "
                "partition_key='2025-03-09'"
            )
        self._context, self._asset = context, asset
        self.asked: Sequence[str] = _asked(context, asset)
        self.to_read = self.asked
        self.found: dict[str, Any] = {}
        self.missing: list[str] = []
        self._are_all = len(self.asked) > 1 and {*self.asked} >= {*context.asset_partitions_def.get_partition_keys()}
        if self._are_all:  # years of which an archive may have a week
            stored = {*archive.days()}
            self.to_read = [day for day in self.asked if day in stored]
            self.missing = [day for day in self.asked if day not in stored]

    def check(self, place: str) -> None:
        """Raises ObjectMissing where days are missing that the reader asked for.

        Of all the days that there are nobody asked for one by itself, so those that are stored are what there is.
        """
        if not self.missing:
            return
        self.missing.sort()
        missing = ", ".join(self.missing[:3]) + (f" and {len(self.missing) - 3} more" if self.missing[3:] else "")
        if self._context.definition_metadata.get(_ALLOW_MISSING) or self._are_all:
            days = plural(len(self.asked), "day")
            log.warning("loaded %s of %s of %s; not stored yet: %s", len(self.found), days, self._asset, missing)
            return
        mend = f"materialize {self._asset} first"
        if not _is_read_by_ours(self._context):
            leave_out = f'{{"{_ALLOW_MISSING}": True}}'
            is_reader = self._context.has_input_name  # `load_asset_value` has none, and a parameter for metadata
            by = f"dg.AssetIn(metadata={leave_out})" if is_reader else f"the metadata {leave_out}"
            mend += f", or leave out such days by {by}"
        raise ObjectMissing(f"{self._asset} of {missing} is not stored yet ({place}); {mend}")


def _asked(context: dg.InputContext, asset: str) -> list[str]:
    """The days that are asked for. A reader's partition may be mapped to none, but who names a day means one."""
    days = sorted(context.asset_partition_keys)
    if not days and not context.has_input_name and context.has_partition_key:  # by `load_asset_value`
        partitions = context.asset_partitions_def
        first, last = partitions.get_first_partition_key(), partitions.get_last_partition_key()
        raise ObjectMissing(f"{asset} has no day {visible(context.partition_key)}; its days are {first} to {last}")
    return days


def _asset(context: dg.InputContext, manager: str, assets: Sequence[str]) -> str:
    """The asset that is loaded, by the last part of its key: a project may give ours a prefix."""
    name = context.asset_key.path[-1] if context.has_asset_key else "the output of an op"
    if name not in assets:
        raise dg.DagsterInvariantViolationError(
            f"the IO manager {manager!r} loads {', '.join(assets)} and not {name}; give {name} another io_manager_key"
        )
    return name


def _is_read_by_ours(context: dg.InputContext) -> bool:
    """Whether an asset of this project reads the input: who materializes one in the UI writes no code."""
    return context.has_input_name and context.op_def.name in ASSETS


def _declared(context: dg.InputContext) -> Any:
    """The type that the reader declares, without `| None`; Any where it declares none."""
    kind = context.dagster_type.typing_type
    if get_origin(kind) in (Union, types.UnionType):
        return next(one for one in get_args(kind) if one is not types.NoneType)
    return kind


def _takes_none(context: dg.InputContext) -> bool:
    kind = context.dagster_type.typing_type
    return kind in (Any, object) or types.NoneType in get_args(kind)


def _is_dict(declared: Any) -> bool:
    return declared is dict or get_origin(declared) is dict


def _takes(declared: Any, kind: type[Document]) -> bool:
    return declared is Any or (isinstance(declared, type) and issubclass(kind, declared))


def _refuse_type(context: dg.InputContext, declared: Any, right: str) -> NoReturn:
    reader = f"{context.name!r} of {context.op_def.name}" if context.has_input_name else "python_type"
    name = declared.__name__ if isinstance(declared, type) else str(declared).replace("typing.", "")
    raise dg.DagsterInvariantViolationError(
        f"{reader} is declared as {name}, but {context.asset_key.to_user_string()} is loaded as {right}"
    )


def _refuse_output(context: dg.OutputContext, manager: str, assets: Sequence[str]) -> NoReturn:
    """What another asset returns would be lost: only the day's work writes to an archive."""
    name = context.asset_key.to_user_string() if context.has_asset_key else context.step_key
    raise dg.DagsterInvariantViolationError(
        f"the IO manager {manager!r} stores nothing but only names where {', '.join(assets)} lie; give {name} another "
        "io_manager_key"
    )


@dg.io_manager(
    config_schema={},
    required_resource_keys={"archive"},
    description="Loads the JSON documents of highlights, videos and processed_videos from the archive.",
)
def documents(context: dg.InitResourceContext) -> DocumentIOManager:
    """The IO manager of `highlights`, `videos` and `processed_videos`."""
    return DocumentIOManager(context.resources.archive)


@dg.io_manager(
    config_schema={}, required_resource_keys={"archive"}, description="Loads the archive's rows, one a highlight."
)
def rows(context: dg.InitResourceContext) -> RowsIOManager:
    """The IO manager of `backup_rows`."""
    return RowsIOManager(context.resources.archive)
