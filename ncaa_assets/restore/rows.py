"""The rows as files for other programs: CSV, JSON Lines, and Parquet where pyarrow is installed (the extra `analysis`).

JSON Lines have every row whole. In CSV and Parquet the columns are those of `record/columns.py`; what else a row has,
or has in another type than its column, is in the column `other`, as JSON.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, nullcontext, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self, cast

from ncaa_assets import advice
from ncaa_assets.failures import StoreError
from ncaa_assets.ports import HighlightTable
from ncaa_assets.record import json_text
from ncaa_assets.record.columns import COLUMNS
from ncaa_assets.record.rows import Row, readable, rows_of
from ncaa_assets.restore.content import DayContent
from ncaa_assets.restore.target import Folder, Piece

if TYPE_CHECKING:
    import pyarrow as pa


def no_pyarrow() -> str:
    """That there is no Parquet here, and what to do for some."""
    return f"the rows come as CSV and JSON Lines, not as Parquet: for that, {advice.to_install('analysis')}"


_OTHER = "other"
# A spreadsheet takes a text that begins so for a formula ("CSV Injection", OWASP). The apostrophe is among them so that
# whoever reads a CSV knows which one to take away.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "'")
_BATCH = 5_000  # rows that Parquet gets at a time


def rows_of_day(content: DayContent, table: HighlightTable | None) -> list[Row]:
    """The rows that belong to a day: those of the table, and of the highlights that it lacks those that the day's JSON
    makes. Without a table, all that the JSON makes: a clip that several days list is then in each of them."""
    if content.highlights is None:
        return []
    made = rows_of(content.highlights, content.videos, content.processed)
    if table is None:
        return made
    try:
        stored = table.get([row["id"] for row in made])
        under_day = {row["id"]: row for row in table.day(content.day)}
    except StoreError:
        return made  # the comparison with what is recorded names it
    joined = (stored.get(row["id"], row) for row in made)
    return list({**under_day, **{row["id"]: row for row in joined if row["game_date"] == content.day}}.values())


class RowFiles:
    """Files of rows in the making, in a folder that restores go to: `add` each day's rows, then take the `pieces`.

    Raises:
        TargetUnusable: they cannot be written.
    """

    def __init__(self, folder: Folder) -> None:
        self._writing = folder.writing
        self._paths = {ending: folder.scratch / f"rows{ending}" for ending in (".csv", ".jsonl", ".parquet")}
        with self._writing(), ExitStack() as stack:
            # The mark at its beginning tells Excel that it is UTF-8; other programs know it and pass over it.
            csv_file = self._paths[".csv"].open("w", encoding="utf-8-sig", errors="replace", newline="")
            self._csv = csv.writer(stack.enter_context(csv_file), quoting=csv.QUOTE_NONNUMERIC)
            self._csv.writerow([*_NAMES, _OTHER])
            self._lines = stack.enter_context(self._paths[".jsonl"].open("wb"))
            self._parquet = _open_parquet(self._paths[".parquet"])
            if self._parquet is not None:
                stack.callback(self._parquet.close)
            self._open = stack.pop_all()

    @property
    def has_parquet(self) -> bool:
        return self._parquet is not None

    def add(self, rows: Iterable[Row]) -> None:
        """Appends rows to each of the files."""
        with self._writing():
            for row in rows:
                cells = _cells(row)
                self._lines.write(json_text.dumps(row) + b"\n")
                self._csv.writerow(map(_defused, cells))
                if self._parquet is not None:
                    self._parquet.add(cells)

    def pieces(self, name: str) -> Iterator[Piece]:
        """The files, which are done now, under a name without its ending."""
        with self._writing():
            self._open.close()
        for ending, path in self._paths.items():
            if ending != ".parquet" or self.has_parquet:
                open_file = cast("Callable[[], BinaryIO]", partial(path.open, "rb"))
                yield Piece(f"{name}{ending}", f"backup_rows/{name}{ending}", None, None, open_file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with suppress(OSError), self._writing() if kind is None else nullcontext():
            self._open.close()


def _cells(row: Row) -> list[Any]:
    """A row's values in the order of the columns, and last what else it has, as JSON; None where there is nothing."""
    cells = list(map(row.get, _NAMES))
    rest = {name: value for name, value in row.items() if name not in _PLACES}
    for place, fits in enumerate(_FITS):
        value = cells[place]
        if value is not None and not fits(value):
            rest[_NAMES[place]], cells[place] = value, None
    for place in _OBJECTS:
        if cells[place] is not None:
            cells[place] = json_text.dumps(cells[place]).decode() if cells[place] else "{}"
    cells.append(json_text.dumps(rest).decode() if rest else None)
    return cells


def _is_integer(value: Any) -> bool:
    return type(value) is int and -(2**63) <= value < 2**63


def _is_time(value: Any) -> bool:
    try:
        return value[19:] == "Z" and datetime.fromisoformat(value).second >= 0
    except (TypeError, ValueError):
        return False


_OF_TYPE: dict[str, Callable[[Any], bool]] = {
    "text": lambda value: type(value) is str,
    "integer": _is_integer,
    "time": _is_time,
    "list of text": lambda value: type(value) is list and all(type(one) is str for one in value),
    "object": lambda value: type(value) is dict,
}
_NAMES = [column.name for column in COLUMNS]
_PLACES = frozenset(_NAMES)
_FITS = [_OF_TYPE[column.type] for column in COLUMNS]
_OBJECTS = [place for place, column in enumerate(COLUMNS) if column.type == "object"]
_TIMES = [place for place, column in enumerate(COLUMNS) if column.type == "time"]


def _defused(value: Any) -> Any:
    """A value as CSV has it: no text in it is a formula to a spreadsheet."""
    if type(value) is str:
        return f"'{value}" if value.startswith(_FORMULA) else value
    return json_text.dumps(value).decode() if type(value) is list else value


class _Parquet:
    """A Parquet file in the making."""

    def __init__(self, path: Path, pyarrow: Any, parquet: Any) -> None:
        self._arrow = pyarrow
        types = {
            "text": pyarrow.string(),
            "integer": pyarrow.int64(),
            "time": pyarrow.timestamp("ms", tz="UTC"),
            "list of text": pyarrow.list_(pyarrow.string()),
            "object": pyarrow.string(),
        }
        fields = [pyarrow.field(one.name, types[one.type], metadata={"comment": one.meaning}) for one in COLUMNS]
        self._schema: pa.Schema = pyarrow.schema([*fields, pyarrow.field(_OTHER, pyarrow.string())])
        self._writer = parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._waiting: list[list[Any]] = []

    def add(self, cells: list[Any]) -> None:
        self._waiting.append(cells)
        if len(self._waiting) == _BATCH:
            self._write()

    def close(self) -> None:
        self._write()
        self._writer.close()

    def _write(self) -> None:
        columns: list[Any] = list(zip(*self._waiting, strict=True)) or [()] * len(self._schema)
        self._waiting.clear()
        for place in _TIMES:
            columns[place] = [None if time is None else datetime.fromisoformat(time) for time in columns[place]]
        arrays = [self._array(values, field.type) for values, field in zip(columns, self._schema, strict=True)]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))

    def _array(self, values: Sequence[Any], kind: "pa.DataType") -> "pa.Array[Any]":
        try:
            return self._arrow.array(values, kind)
        except UnicodeEncodeError:  # rows of earlier versions may hold half an emoji
            return self._arrow.array(list(map(readable, values)), kind)


def _open_parquet(path: Path) -> _Parquet | None:
    try:
        import pyarrow  # noqa: PLC0415 - the extra `analysis`
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError:
        return None
    return _Parquet(path, pyarrow, pyarrow.parquet)
