"""docs/archive-format.md is true: it names every field of every document, and its example reads an archive."""

import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import BaseModel

import ncaa_assets
from ncaa_assets.archive.identity import Identity
from ncaa_assets.archive.kept import KeptFile, KeptRecord, KeptRecords
from ncaa_assets.archive.lease import Holder
from ncaa_assets.backends.aws.dynamodb import _REVISION, _TEXT
from ncaa_assets.backends.aws.mediaconvert import LEDGER, LedgerEntry
from ncaa_assets.backends.aws.minutes import MINUTES, MinutesOfDate
from ncaa_assets.backends.local.table import _LATER_COLUMNS, _SCHEMA, SqliteTable
from ncaa_assets.commands.range_mark import _Began
from ncaa_assets.media.facts import Facts, Picture, Sound
from ncaa_assets.record import models
from ncaa_assets.record.models import (
    Backup,
    Change,
    CopiedVideo,
    FetchRecord,
    ForgottenVideo,
    HighlightsDay,
    ImportedFrom,
    LostCopy,
    NotEncoded,
    Poster,
    ProcessedDay,
    ProcessedVideo,
    RecordHistory,
    Rejected,
    SkippedVideo,
    VideosDay,
)
from ncaa_assets.record.rows import LATER, rows_of
from ncaa_assets.source.quota import QUOTA, RequestsLeft

PROJECT = Path(ncaa_assets.__file__).parents[1]
PAGE = (PROJECT / "docs" / "archive-format.md").read_text("utf-8")
KEPT = Path(__file__).parent / "archive" / "kept"  # archives as earlier versions wrote them
DAY = "2025-03-09"

# Each document, or part of one, and the words after which its table stands.
SECTIONS: dict[type[BaseModel], str] = {
    Identity: "## `archive.json`",
    HighlightsDay: "## `highlights/DAY.json`",
    Backup: "`backup`:",
    RecordHistory: "### An entry of `backup.records`",
    Change: "An entry of `history`:",
    Rejected: "### An entry of `backup.rejected`",
    FetchRecord: "### An entry of `backup.fetches`",
    ImportedFrom: "`imported` of a listing that was imported:",
    KeptFile: "### `imported/SHA16/NAME.about.json`",
    KeptRecords: "### `imported/records/SHA16.json`",
    KeptRecord: "An entry of its `records`:",
    VideosDay: "## `videos/DAY.json`",
    CopiedVideo: "### An entry of `videos`",
    Facts: "### The facts of a video",
    Picture: "`picture` is the track that a person means to watch, and no cover or preview:",
    Sound: "`sound` is the default sound track, and no audio description where there is another:",
    SkippedVideo: "### An entry of `skipped`",
    ForgottenVideo: "### An entry of `forgotten`",
    ProcessedDay: "## `processed_videos/DAY.json`",
    ProcessedVideo: "### An entry of the encodes",
    NotEncoded: "### An entry of `not_encoded`",
    Holder: "### `.leases/DAY.json`",
    _Began: "### `.ranges/FIRST_LAST.json`",
    RequestsLeft: f"### `{QUOTA}FINGERPRINT.json`",
    LedgerEntry: f"### `{LEDGER}SHA256.SETTINGS.json`",
    MinutesOfDate: f"### `{MINUTES}DATE.json`",
}


def fields_told_after(heading: str) -> set[str]:
    """The fields in the first table after a heading that stands on a line of its own."""
    rows = re.search(rf"^{re.escape(heading)}\n(?:(?!\|).*\n)*((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert rows is not None, heading
    return {name for row in rows[1].splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split(" | ")[0])}


@pytest.mark.parametrize("model", SECTIONS, ids=lambda model: model.__name__)
def test_every_field_of_a_document_is_described(model: type[BaseModel]) -> None:
    assert set(model.model_fields) <= fields_told_after(SECTIONS[model])


def test_every_model_of_a_document_has_its_table() -> None:
    bases = {name for name in ("Document", "Stored", "Versioned", "Highlight") if hasattr(models, name)}
    ours = {
        kind
        for name, kind in vars(models).items()
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind.__module__ == models.__name__
        if name not in bases
    }
    in_a_row: dict[type[BaseModel], str] = {Poster: "poster", LostCopy: "lost"}
    assert ours - set(SECTIONS) == set(in_a_row), "their few fields stand in the row that they are the value of"
    for kind, name in in_a_row.items():
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}`"))
        assert all(f"`{field}`" in row for field in kind.model_fields)


def test_every_field_of_a_row_is_described() -> None:
    seen = "2025-03-10T06:00:12Z"
    long = "x" * 200_000
    entry = RecordHistory(first_seen=seen, last_seen=seen, content_hash="0" * 64)
    day = HighlightsDay(date=DAY, data=[{"id": 1, "long": long}], backup=Backup(records={"1": entry}))
    [row] = rows_of(day)
    assert set(row) - {"long"} <= fields_told_after("## Rows")
    assert set(_LATER_COLUMNS) == set(LATER) <= fields_told_after("## Rows")
    for column in (*re.findall(r"^    (\w+) TEXT", _SCHEMA, re.MULTILINE), *_LATER_COLUMNS):
        assert f"`{column}`" in PAGE
    assert f"`{_REVISION}`" in PAGE
    assert f"`{_TEXT}`" in PAGE


def test_one_statement_leads_from_a_team_to_its_files(tmp_path: Path) -> None:
    statements = re.findall(r"^```sql\n(.*?)^```", PAGE.split("**SQLite**")[1].split("**DynamoDB**")[0], re.M | re.S)
    (of_team,) = (one for one in statements if "output_key" in one)
    key = f"processed_videos/{DAY}/1.mp4"
    table = SqliteTable(tmp_path / "highlights.sqlite")
    teams = {"home_team": "UNC", "away_team": "Duke Blue Devils", "title": "Duke wins", "game_date": DAY}
    rows = {"id": "1", "output_key": key}, {"id": "2", "output_key": None}, {"id": "3"}
    table.merge([{**teams, **row} for row in rows], lambda _, row: row)
    with closing(sqlite3.connect(table.path)) as connection:
        assert connection.execute(of_team).fetchall() == [(DAY, "Duke wins", f"data/{key}")]


def test_the_version_of_today_has_its_row() -> None:
    assert re.search(rf"^\| {models.SCHEMA_VERSION} \| ", PAGE, re.MULTILINE)


def example() -> str:
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert code is not None
    return code[1]


def run_example(archive: Path) -> list[str]:
    """What the page's example prints; without site packages, so with the standard library alone."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", example(), str(archive)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_example_reads_an_archive_and_finds_a_damaged_copy(tmp_path: Path) -> None:
    archive = tmp_path / "data"
    (archive / "highlights").mkdir(parents=True)
    (archive / "videos" / DAY).mkdir(parents=True)
    record = {"id": 1, "title": "half an emoji \ud83d", "url": "https://host.example/1.mp4"}
    (archive / "highlights" / f"{DAY}.json").write_text(json.dumps({"date": DAY, "data": [record]}))
    copies = []
    for name, content, sha256 in (
        ("1", b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("2", b"changed", "0" * 64),
    ):
        (archive / "videos" / DAY / f"{name}.mp4").write_bytes(content)
        copies.append({"key": f"videos/{DAY}/{name}.mp4", "sha256": sha256})
    (archive / "videos" / f"{DAY}.json").write_text(json.dumps({"videos": copies}))
    assert run_example(archive)[-2:] == [f"videos/{DAY}/1.mp4 intact", f"videos/{DAY}/2.mp4 DAMAGED"]


@pytest.mark.parametrize("archive", sorted(KEPT.glob("*/folder")), ids=lambda folder: folder.parent.name)
def test_the_example_reads_what_earlier_versions_wrote(archive: Path) -> None:
    said = run_example(archive)
    copies = [line for line in said if line.startswith("videos/")]
    listed = sum(len(json.loads(path.read_text("utf-8"))["data"]) for path in archive.glob("highlights/*.json"))
    assert copies
    assert all(line.endswith(" intact") for line in copies)
    assert len(said) == listed + len(copies)
