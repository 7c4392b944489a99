"""`ncaa-assets import`, as a person runs it: what it says, what it exits with, and the way out and back in."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from ncaa_assets.archive.kept import KeptFile
from ncaa_assets.record.models import HighlightsDay
from ncaa_assets.record.written import from_bytes, to_bytes
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


@pytest.mark.parametrize(
    ("damage", "deep", "says"),
    [
        ("nothing", True, None),
        ("gone", False, "first_video.mp4: is missing from the store"),
        ("cut", False, "first_video.mp4: has 10 bytes, and 20 were recorded"),
        ("flipped", True, "first_video.mp4: its bytes are not those that were imported (another sha256)"),
        ("of a listing", True, "bad.json: its bytes are not those that were imported (another sha256)"),
        ("no note", False, "first_video.mp4: is in the store, and nothing says what it is"),
        ("another's note", False, "first_video.mp4.about.json: is about another file (imported/x/y)"),
        ("edited note", False, "first_video.mp4.about.json: its content is not that of its `content_sha256`"),
        ("newer note", False, "first_video.mp4.about.json: cannot be read: it was written by a newer ncaa-assets"),
        ("no JSON", False, "first_video.mp4.about.json: is damaged ("),
        ("records", False, "its content is not that of its `content_sha256`"),
    ],
)
def test_of_what_is_in_no_day_every_command_names_what_is_damaged_and_goes_on(
    damage: str, deep: bool, says: str | None, run: Run, tmp_path: Path
) -> None:
    assert run("import", str(restored("archive", tmp_path / "kept")), **KEY).exit_code == 0
    put(tmp_path / "old/videos/first_video.mp4", b"of nobody knows what")
    put(tmp_path / "old/bad.json", b"\0\0\0")
    put(tmp_path / "old/highlights.json", answer(record(1, date=None)))
    run("import", "old", **KEY)
    folder = tmp_path / "data/imported"
    (video,), (listing,), (records,) = (folder.glob(name) for name in ("*/*.mp4", "*/bad.json", "records/*.json"))
    note = video.with_name(video.name + ".about.json")
    changes: dict[str, Callable[[], object]] = {
        "nothing": lambda: None,
        "gone": video.unlink,
        "cut": lambda: video.write_bytes(video.read_bytes()[:10]),
        "flipped": lambda: video.write_bytes(video.read_bytes()[::-1]),
        "of a listing": lambda: listing.write_bytes(b"{}\n"),
        "no note": note.unlink,
        "another's note": lambda: note.write_bytes(
            to_bytes(from_bytes(KeptFile, note.read_bytes(), "").model_copy(update={"key": "imported/x/y"}))
        ),
        "edited note": lambda: note.write_text(note.read_text().replace("nothing says", "nobody says")),
        "newer note": lambda: note.write_text('{"schema_version": 99}'),
        "no JSON": lambda: note.write_text("{"),
        "records": lambda: records.write_text(records.read_text().replace("2025", "2026", 1)),
    }
    changes[damage]()
    verified = run("verify", *(["--deep"] if deep else []), **KEY)
    of_imported = [line for line in verified.stdout.splitlines() if line.split()[:1] == ["imported"]]
    assert [says in line for line in of_imported] == [True] if says else of_imported == []
    assert (verified.exit_code == 1) == bool(of_imported), verified.output

    out = run("restore", "--dest", "out", "--layout", "archive", **KEY)
    of_imported = [line for line in out.stdout.splitlines() if line.split()[:1] == ["imported"]]
    assert (len(of_imported), out.exit_code) == ((1, 1) if says else (0, 0)), out.output
    assert "3 days restored" in out.output


def test_what_is_damaged_under_imported_does_not_come_in(run: Run, tmp_path: Path) -> None:
    assert run("import", str(restored("archive", tmp_path / "kept")), **KEY).exit_code == 0
    put(tmp_path / "old/bad.json", b"\0\0\0")
    run("import", "old", **KEY)
    (listing,) = (tmp_path / "data/imported").glob("*/bad.json")
    listing.write_bytes(b"{}\n")
    came = run("import", str(tmp_path / "data"), DATA_DIR="again", **KEY)
    assert (came.exit_code, "bad.json: its bytes are not those that were" in came.stdout) == (1, True), came.output
    assert "3 days of the archive: 3 imported" in came.output


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("edited", "highlights/2025-03-09.json: its content is not that of its `content_sha256`"),
        ("poster", "processed_videos/2025-03-08/1.jpg: was not found: no file of"),
        ("records", "its content is not that of its `content_sha256`"),
        ("note", "first_video.mp4.about.json: its content is not that of its `content_sha256`"),
        ("only a note", "first_video.mp4.about.json: the file that it is about is missing"),
        ("only a file", "first_video.mp4: nothing says what it is"),
        ("a long name", ": is no name that a file of `imported/` has"),
    ],
)
def test_whatever_of_an_archive_is_damaged_is_named_with_and_without_writing(
    damage: str, says: str, run: Run, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    assert run("import", str(restored("archive", tmp_path / "kept")), DATA_DIR=str(there), **KEY).exit_code == 0
    put(tmp_path / "old/videos/first_video.mp4", b"of nobody knows what")
    put(tmp_path / "old/highlights.json", answer(record(1, date=None)))
    assert run("import", "old", **KEY).exit_code == 0
    (video,), (records,) = (there.glob(f"imported/{name}") for name in ("*/*.mp4", "records/*.json"))
    note, day = video.with_name(video.name + ".about.json"), there / "highlights/2025-03-09.json"
    if damage == "edited":
        put(day, to_bytes(from_bytes(HighlightsDay, day.read_bytes(), "")).replace(b'"title": "', b'"title": "X', 1))
    elif damage == "poster":
        poster = there / "processed_videos/2025-03-08/1.jpg"
        poster.write_bytes(bytes(poster.stat().st_size))
    elif damage == "records":
        records.write_text(records.read_text().replace("2025", "2026", 1))
    elif damage == "note":
        note.write_text(note.read_text().replace("nothing says", "nobody says"))
    elif damage == "only a note":
        video.unlink()
    elif damage == "only a file":
        note.unlink()
    else:
        (there / "imported" / video.parent.name / ("e" * 150 + ".mp4")).write_bytes(b"")
    dry = run("import", str(there), "--dry-run", DATA_DIR="again", **KEY)
    came = run("import", str(there), DATA_DIR="again", **KEY)
    for done in (dry, came):
        assert (done.exit_code, says in done.stdout, "3 days of the archive" in done.stdout) == (1, True, True), (
            done.output
        )
    assert dry.stdout == came.stdout


def test_what_an_import_changes_is_in_the_gallery_and_a_killed_ones_pages_are_made_up_for(
    run: Run, tmp_path: Path
) -> None:
    put(tmp_path / "one/a.json", answer(record(1, title="Aardvark")))
    put(tmp_path / "two/b.json", answer(record(2, title="Zebra special")))
    assert run("import", "one", DATA_DIR="first", **KEY).exit_code == 0
    assert run("import", "one", DATA_DIR="second", **KEY).exit_code == 0
    assert run("import", "two", DATA_DIR="first", **KEY).exit_code == 0
    assert run("import", "first", DATA_DIR="second", **KEY).exit_code == 0
    assert "Zebra special" in run("find", "zebra", DATA_DIR="second", **KEY).stdout
    for place in ("first", "two"):  # an import that was killed before it made its pages
        shutil.rmtree("second/gallery")
        assert run("import", place, DATA_DIR="second", **KEY).exit_code == 0
        assert "Zebra special" in run("find", "zebra", DATA_DIR="second", **KEY).stdout


def test_folders_may_be_nested_as_deep_as_a_disk_takes_them(run: Run, tmp_path: Path) -> None:
    folders = [tmp_path / "old"]
    for _ in range(1200):
        folders[-1].mkdir()
        folders.append(folders[-1] / "d")
    listing = put(folders[-2] / "a.json", answer(record(1)))
    came = run("import", "old", **KEY)
    listing.unlink()
    for folder in reversed(folders[:-1]):  # what removes the folders of tests goes down by recursion
        folder.rmdir()
    assert (came.exit_code, "1 new highlight" in came.stdout) == (0, True), came.output


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
