"""Which files are of the earlier pipeline, and what is read in them."""

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ncaa_assets.backends.local.place import FolderPlace
from ncaa_assets.imports import leavings
from ncaa_assets.imports.leavings import Entry, Listing, NotOfPipeline, OfAnArchive, Unreadable
from ncaa_assets_tests.imports.places import KEPT, answer, item, put, record, row, typed


def read(tmp_path: Path, name: str, data: Any) -> list[Listing]:
    put(tmp_path / name, data)
    place = FolderPlace(tmp_path)
    file = place.info(name)
    assert file is not None
    return list(leavings.read(place, file))


def lines(*values: Any) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


ONE, TWO = record(1), record(2)
ROWS = [Entry(row(ONE), is_row=True, asked="2025-03-09")]
for _entry in ROWS:
    del _entry.record["fetch_date"]


@pytest.mark.parametrize(
    ("data", "entries"),
    [
        (answer(ONE, TWO), [Entry(ONE), Entry(TWO)]),
        ({"data": [ONE]}, [Entry(ONE)]),
        ([ONE, TWO], [Entry(ONE), Entry(TWO)]),
        (answer(), []),
        (ONE, [Entry(ONE)]),
        (lines(ONE, TWO), [Entry(ONE), Entry(TWO)]),
        (lines(item(row(ONE))), ROWS),
        (lines(item(row(ONE)), item(row(ONE))), ROWS * 2),
        ({"Items": [typed(row(ONE))["M"]], "Count": 1}, ROWS),
        ({"Items": [row(ONE)]}, ROWS),
        ({"_rid": "a", "Documents": [row(ONE, _rid="b", _etag="c", _ts=1)]}, ROWS),
        ([row(ONE, _rid="b", _self="c", _attachments="d")], ROWS),
        (gzip.compress(lines(item(row(ONE)))), ROWS),
        (b"\xef\xbb\xbf" + json.dumps([ONE]).encode(), [Entry(ONE)]),
        (lines(answer(ONE), answer(TWO)), [Entry(ONE), Entry(TWO)]),
        (lines([ONE], [TWO]), [Entry(ONE), Entry(TWO)]),
        (lines(answer(ONE), TWO), [Entry(ONE), Entry(TWO)]),
        ({"data": [TWO], "Items": [ONE]}, [Entry(TWO), Entry(ONE)]),
    ],
)
def test_every_variant_is_read(data: Any, entries: list[Entry], tmp_path: Path) -> None:
    name = "any_name.json.gz" if isinstance(data, bytes) and data[:2] == b"\x1f\x8b" else "any_name.json"
    [listing] = read(tmp_path, name, data)
    assert (listing.entries, listing.damage) == (entries, None)


def test_a_row_has_the_record_s_own_fields() -> None:
    """Numbers come back whole, a url is no id, and what a database added is no field of the API's."""
    value = leavings._plain(typed({"a": 1.50, "b": [True, None], "c": {"d": 10}}))
    assert value == {"a": Decimal("1.5"), "b": [True, None], "c": {"d": 10}}
    listing = Listing(FolderPlace(KEPT).info("archive.json"))  # type: ignore[arg-type]
    without_id = {name: value for name, value in ONE.items() if name != "id"}
    leavings._add(listing, row(without_id), None)
    assert listing.entries == [Entry(without_id, is_row=True, asked="2025-03-09")]


def test_a_row_that_this_project_made_is_left_to_its_json(tmp_path: Path) -> None:
    ours = {**row(ONE), "days": ["2025-03-09"], "content_hash": "0" * 64}
    [listing] = read(tmp_path, "t.jsonl", lines(item(ours), item(row(TWO))))
    assert ([entry.record["id"] for entry in listing.entries], listing.own_rows) == (["2"], 1)


def test_the_day_in_a_name_is_what_was_asked(tmp_path: Path) -> None:
    [listing] = read(tmp_path, "basketball_highlights_2025-03-08.json", [ONE])
    assert listing.entries == [Entry(ONE, asked="2025-03-08")]


@pytest.mark.parametrize(
    ("data", "count", "damage"),
    [
        (json.dumps(answer(ONE, TWO)).encode()[:-120], 2, "its end is missing"),
        (lines(ONE, TWO) + b"{half", 3, "a line of it is no JSON"),
        (json.dumps(answer(ONE), indent=1).encode() + b"\n[1]", 1, "a part of it is left out"),
        (
            b'{"data": [%s], "data": [], "plan": {}}' % json.dumps(ONE).encode(),
            0,
            "it names `data` twice; the last is read",
        ),
        (b'{"data": [%s, {"id": 1, "id": 2, "match": {}}]}' % json.dumps(ONE).encode(), 2, "it names `id` twice"),
        (gzip.compress(lines(ONE, TWO))[:-12], 2, "it is no whole gzip file"),
        (b'{"data": [%s, {"id": 1e9999999999999999999}]}' % json.dumps(ONE).encode(), 2, "a part of it is no JSON"),
    ],
)
def test_of_what_is_damaged_the_rest_is_read(data: bytes, count: int, damage: str, tmp_path: Path) -> None:
    [listing] = read(tmp_path, "a.json.gz" if data[:2] == b"\x1f\x8b" else "a.json", data)
    assert len(listing.entries) >= count - 1
    assert listing.entries[0] == Entry(ONE) if count else listing.entries == []
    assert listing.damage is not None
    assert damage in listing.damage


@pytest.mark.parametrize(
    "data",
    [
        b"", b" \n", b"{}", b"[]", b"1", b'"text"', b'{"message": "You have exceeded"}', b'{"name": "a package"}',
        b"[1, 2]", b'{"data": "text"}', b'{"data": [1]}',
    ],
)  # fmt: skip
def test_json_of_others_is_left(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(NotOfPipeline) as raised:
        read(tmp_path, "a.json", data)
    assert not isinstance(raised.value, Unreadable)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.json", b"\0" * 1000), ("a.json", b"\xff\xfe\0\xd8"), ("a.json.gz", b"\x1f\x8bxxx"),
        ("a.json.gz", b"no gzip"),
        ("a.json", b'{"data": [%s], "data": []}' % json.dumps(ONE).encode()),
        ("bomb.json.gz", gzip.compress(b"0" * 100_000_000, 1)),
        ("objects.json.gz", gzip.compress(b'{"data":[' + b"{}," * 3_000_000 + b'{}],"plan":{}}', 1)),
        ("numbers.json.gz", gzip.compress(b"[" + b"1.5," * 9_000_000 + b"1]", 1)),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_so(name: str, data: bytes, tmp_path: Path) -> None:
    with pytest.raises(Unreadable):
        read(tmp_path, name, data)


@pytest.mark.parametrize("name", ["highlights", "old.txt", "z.gz"])
def test_a_listing_is_known_by_what_is_in_it_and_other_files_of_such_names_are_left(name: str, tmp_path: Path) -> None:
    pack = gzip.compress if name.endswith(".gz") else bytes
    assert leavings.may_hold_records(name)
    [listing] = read(tmp_path, name, pack(json.dumps(answer(ONE)).encode()))
    assert listing.entries == [Entry(ONE)]
    for data in (b"#!/bin/sh\necho {}\n", b"\x7fELF" + bytes(1000), b"{half"):
        with pytest.raises(NotOfPipeline) as raised:
            read(tmp_path, name, pack(data))
        assert not isinstance(raised.value, Unreadable)


def test_a_document_of_an_archive_is_no_leaving(tmp_path: Path) -> None:
    with pytest.raises(OfAnArchive):
        read(tmp_path, "a.json", (KEPT / "highlights/2025-03-09.json").read_bytes())


def test_long_json_lines_come_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leavings, "_WHOLE", 1000)
    monkeypatch.setattr(leavings, "_MOST_ENTRIES", 2)
    monkeypatch.setattr(leavings, "_MOST_LINE", 100_000)
    many = lines(*map(record, range(3000)))
    pieces = read(tmp_path, "a.jsonl.gz", gzip.compress(many))
    assert len(pieces) > 1
    assert [entry.record["id"] for piece in pieces for entry in piece.entries] == list(range(3000))
    assert len({piece.sha256 for piece in pieces}) == 1
    [*_, last] = read(tmp_path, "b.jsonl", lines(*map(record, range(9))) + b"x" * 200_000)
    assert last.damage is not None


@pytest.mark.parametrize(
    ("path", "is_media", "may_hold"),
    [
        ("videos/first_video.mp4", True, False), ("processed_videos/first_video_00001.ts", True, False),
        ("other/first_video.mp4", True, False), ("highlights/any.json", False, True), ("x.jsonl.gz", False, True),
        ("AWSDynamoDB/01/data/a.json.gz", False, True), ("AWSDynamoDB/01/manifest-summary.json", False, False),
        ("README.md", False, False), ("backup.tar.gz", False, False), ("key.pem", False, False),
    ],
)  # fmt: skip
def test_a_name_tells_what_is_worth_a_look(path: str, is_media: bool, may_hold: bool) -> None:
    assert (leavings.is_media(path), leavings.may_hold_records(path)) == (is_media, may_hold)
