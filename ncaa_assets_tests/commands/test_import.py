"""`ncaa-assets import`, as a person runs it: what it says, what it exits with, and the way out and back in."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from ncaa_assets_tests.imports.places import KEPT, answer, objects, put, record, restored

Run = Callable[..., Result]
KEY = {"RAPIDAPI_KEY": "a-key"}


@pytest.mark.parametrize("layout", ["days", "library", "archive"])
def test_an_archive_goes_out_and_comes_back_byte_for_byte(layout: str, run: Run, tmp_path: Path) -> None:
    assert run("import", str(restored("archive", tmp_path / "kept")), **KEY).exit_code == 0
    put(tmp_path / "old/videos/first_video.mp4", b"of nobody knows what")
    put(tmp_path / "old/highlights.json", answer(record(1, date=None)))
    assert run("import", "old", **KEY).exit_code == 0
    all_of_it = objects(tmp_path / "data")
    assert len(all_of_it) == len(objects(KEPT)) + 3
    out = run("restore", "--dest", "out", "--layout", layout, **KEY)
    assert out.exit_code == 0, out.output
    came = run("import", "out", DATA_DIR="again", **KEY)
    assert came.exit_code == 0, came.output
    assert "3 days of the archive: 3 imported" in came.output
    assert objects(tmp_path / "again") == all_of_it
    verified = run("verify", "--deep", "--from", "2025-03-08", "--to", "2025-03-10", DATA_DIR="again", **KEY)
    assert (verified.exit_code, "archive and record are equal" in verified.output) == (0, True), verified.output
    assert run("restore", "--dest", "out2", "--layout", layout, DATA_DIR="again", **KEY).exit_code == 0
    assert objects(tmp_path / "out2") == objects(tmp_path / "out")
    assert "3 here already" in run("import", "out", DATA_DIR="again", **KEY).output


def test_what_is_damaged_is_named_and_fails(run: Run, tmp_path: Path) -> None:
    restored("archive", tmp_path / "out", sums=False)
    (tmp_path / "out/videos/2025-03-08/1.mp4").write_bytes(b"another")
    came = run("import", "out", **KEY)
    assert came.exit_code == 1
    assert "videos/2025-03-08/1.mp4: was not found: no file of 6.0 kB with the recorded sha256" in came.stdout


def test_leavings_are_placed_or_kept_and_listed(run: Run, tmp_path: Path) -> None:
    put(tmp_path / "old/highlights/basketball_highlights.json", answer(record(1), record(2, date=None)))
    put(tmp_path / "old/videos/first_video.mp4", b"<html>")
    put(tmp_path / "old/README.md", b"not of the pipeline")
    dry = run("import", "old", "--dry-run", **KEY)
    assert not (tmp_path / "data").exists()
    came = run("import", "old", **KEY)
    assert (came.exit_code, came.stdout) == (0, dry.stdout)
    for words in (
        "highlights/basketball_highlights.json: 1 record of game days, 1 of no known day: it does not say when its",
        "videos/first_video.mp4: 6 bytes: nothing says which highlight it is of; it is a web page",
        "left where it is: README.md (no listing and no video)",
        "2025-03-09: 1 listing, 1 new highlight",
        "`ncaa-assets backup --from 2025-03-09 --to 2025-03-09`",
    ):
        assert words in came.stdout
    again = run("import", "old", **KEY)
    assert (again.exit_code, "0 new highlights" in again.stdout) == (0, True)


def test_a_damaged_listing_fails_and_what_can_be_read_of_it_is_placed(run: Run, tmp_path: Path) -> None:
    put(tmp_path / "old/a.json", json.dumps(answer(record(1), record(2))).encode()[:-150])
    put(tmp_path / "old/b.json", b"\0\0\0")
    came = run("import", "old", **KEY)
    assert came.exit_code == 1
    assert "a.json: 1 record of game days, 1 of no known day; damaged: its end is missing" in came.stdout
    assert "b.json: 3 bytes; damaged: it is no JSON that can be read" in came.stdout


@pytest.mark.parametrize(
    ("named", "settings", "words"),
    [
        ("nowhere", KEY, "there is no nowhere"),
        ("ftp://host/folder", KEY, "is no place to read"),
        ("s3://", KEY, "is no place to read"),
        ("old", {}, "set RAPIDAPI_KEY"),
        ("out", {}, "Set RAPIDAPI_KEY as it was there"),
        ("out", {**KEY, "TIMEZONE": "UTC"}, "Set TIMEZONE as it was there"),
        ("project", KEY, "there is an archive in"),
        ("cut", KEY, "put it back there"),
    ],
)  # fmt: skip
def test_what_cannot_be_imported_here_is_refused_in_a_sentence(
    named: str, settings: dict[str, str], words: str, run: Run, tmp_path: Path
) -> None:
    put(tmp_path / "old/a.json", answer(record(1)))
    restored("archive", tmp_path / "out")
    restored("archive", tmp_path / "project/data")
    restored("archive", tmp_path / "cut")
    (tmp_path / "cut/archive.json").unlink()
    refused = run("import", named, **settings)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert words in refused.stderr.splitlines()[-1]
    assert not (tmp_path / "data").exists()
    assert not (tmp_path / "data-sample").exists()


def test_a_name_of_others_is_no_more_than_text(run: Run, tmp_path: Path) -> None:
    put(tmp_path / "old/\x1b[31m\n2025-03-09 imported.json", answer(record(1, date="\x1b[2Jsoon")))
    came = run("import", "old", **KEY)
    assert "\x1b" not in came.output
    assert not any(line.startswith("2025-03-09 imported") for line in came.output.splitlines())
