"""The rows as files: whatever stands in a row, the files say it, and no spreadsheet takes it for a formula."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ncaa_assets.record import json_text
from ncaa_assets.record.columns import COLUMNS
from ncaa_assets.record.rows import Row, readable
from ncaa_assets.restore import rows as row_files
from ncaa_assets.restore.rows import RowFiles
from ncaa_assets.restore.target import Folder

NAMES = [column.name for column in COLUMNS]
TEXTS = st.text() | st.sampled_from(["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "'=1", "＝1", 'a,"b\r\nc', "a;=1+1", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=5,
)  # fmt: skip
# Its columns as they are written, or anything in their place, and fields that are no columns.
ROWS = st.dictionaries(st.sampled_from(NAMES) | TEXTS, VALUES).map(
    lambda row: {"id": "1", "game_date": "2025-03-09", "home_score": 82, "first_seen": "2025-03-09T06:00:00Z", **row}
)


def written(rows: list[Row], folder: Path) -> dict[str, bytes]:
    with Folder(folder) as target, RowFiles(target) as files:
        files.add(rows)
        made = {}
        for piece in files.pieces("rows"):
            with piece.open() as file:
                made[piece.path] = file.read()
        return made


def undefused(cell: str | float) -> str | float:
    return cell.removeprefix("'") if isinstance(cell, str) else cell


def joined(cells: dict[str, Any]) -> Row:
    """A row as it was, from what CSV or Parquet have of it. A column that is null is one that is not there."""
    row = {}
    for column in COLUMNS:
        value = cells[column.name]
        if value not in (None, ""):
            as_json = column.type in ("object", "list of text") and isinstance(value, str)
            row[column.name] = json_text.loads(value) if as_json else value
    return {**row, **(json_text.loads(cells["other"]) if cells["other"] else {})}


def is_said(row: Row, told: Row) -> None:
    empty = {name for name in NAMES if row.get(name) in (None, "")}
    # A CSV has no null beside the empty text, and no object that is not there beside the empty one.
    assert {name: value for name, value in readable(told).items() if name not in empty and value != {}} == {
        name: value for name, value in readable(row).items() if name not in empty and value != {}
    }


@given(st.lists(ROWS, max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_file_says_what_the_rows_say(tmp_path: Path, rows: list[Row]) -> None:
    made = written(rows, tmp_path / "out")
    assert [json_text.loads(line) for line in made["rows.jsonl"].splitlines()] == rows
    text = made["rows.csv"].decode("utf-8-sig")
    told = list(csv.reader(text.splitlines(keepends=True), quoting=csv.QUOTE_NONNUMERIC))
    assert told[0] == [*NAMES, "other"]
    for row, cells in zip(rows, told[1:], strict=True):
        for cell in cells:
            assert not (isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝")))
        is_said(row, joined(dict(zip(told[0], map(undefused, cells), strict=True))))


def test_parquet_has_the_columns_in_their_types(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: list[Row] = [
        {"id": "1", "game_date": "2025-03-09", "days": ["2025-03-09"], "home_score": 82, "removed_from": {}, "x": 1,
         "first_seen": "2025-03-09T06:00:00Z", "title": "half \ud800 an emoji"},
        {"id": "2", "game_date": "2025-03-09", "home_score": "82", "first_seen": "yesterday", "title": 7, "days": "x",
         "away_score": 2**70},
    ]  # fmt: skip
    (tmp_path / "rows.parquet").write_bytes(written(rows, tmp_path / "out")["rows.parquet"])
    table = pq.read_table(tmp_path / "rows.parquet")
    assert table.schema.field("first_seen").type == pa.timestamp("ms", tz="UTC")
    assert table.schema.field("days").type == pa.list_(pa.string())
    first, second = table.to_pylist()
    assert (first["home_score"], first["days"], first["other"]) == (82, ["2025-03-09"], '{"x":1}')
    assert first["first_seen"].isoformat() == "2025-03-09T06:00:00+00:00"
    assert first["title"] == "half \N{REPLACEMENT CHARACTER} an emoji"
    assert second["home_score"] is second["title"] is second["days"] is second["first_seen"] is None
    assert json.loads(second["other"]) == {
        "home_score": "82", "first_seen": "yesterday", "title": 7, "days": "x", "away_score": 2**70,
    }  # fmt: skip


def test_an_archive_without_rows_has_files_without_rows(tmp_path: Path) -> None:
    made = written([], tmp_path / "out")
    assert made["rows.jsonl"] == b""
    assert len(made["rows.csv"].splitlines()) == 1


def test_without_pyarrow_there_is_no_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_files, "_open_parquet", lambda path: None)
    assert written([], tmp_path / "out").keys() == {"rows.csv", "rows.jsonl"}
