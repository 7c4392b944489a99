"""A document as bytes: its checksum tells whether it is as this program wrote it, and what is wrong in it is refused in
a sentence or left out, by what can be done without."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

import ncaa_assets
from ncaa_assets.record import json_text
from ncaa_assets.record.models import HighlightsDay, ProcessedDay, VideosDay
from ncaa_assets.record.written import CHECKSUM, parse_document, to_bytes
from ncaa_assets_tests.archives import fetched_day

DAY, AT = "2025-03-09", "2025-03-10T06:00:00Z"
COPY: dict[str, Any] = {
    "id": "1", "title": "Game", "source_url": "https://x/1.mp4", "key": f"videos/{DAY}/1.mp4", "bytes": 1,
    "sha256": "a" * 64, "container": "mp4", "duration_seconds": 2.0, "has_sound": True, "copied_at": AT,
}  # fmt: skip
SKIP: dict[str, Any] = {"id": "2", "title": None, "source_url": None, "kind": "page", "reason": "a page", "at": AT}
OUTPUT: dict[str, Any] = {
    "id": "1", "title": "Game", "source_key": f"videos/{DAY}/1.mp4", "source_sha256": "a" * 64,
    "settings_hash": "b" * 16, "key": f"processed_videos/{DAY}/1.mp4", "bytes": 1, "sha256": None,
    "duration_seconds": 2.0, "width": 128, "height": 72,
    "poster": {"key": f"processed_videos/{DAY}/1.jpg", "bytes": 1}, "encoder": "ffmpeg", "encode_seconds": 1.0,
    "encoded_at": AT,
}  # fmt: skip
REFUSAL: dict[str, Any] = {
    "id": "1", "title": None, "source_key": f"videos/{DAY}/1.mp4", "source_sha256": "a" * 64,
    "settings_hash": "b" * 16, "kind": "broken", "reason": "it is cut", "at": AT,
}  # fmt: skip


def a_day() -> HighlightsDay:
    return fetched_day({"id": 1, "title": "Hawaiʻi", "n": json_text.loads("1.50")}, {"id": 2}, at=AT)


def videos(*entries: dict[str, Any], **parts: Any) -> VideosDay:
    return parse_document(VideosDay, json_text.dumps({"date": DAY, "videos": entries, **parts}))


def outputs(*entries: dict[str, Any], **parts: Any) -> ProcessedDay:
    return parse_document(ProcessedDay, json_text.dumps({"date": DAY, "videos": entries, **parts}))


# ---- The checksum ----------------------------------------------------------------------------------------------------


def test_a_document_is_read_as_it_was_written_and_is_written_the_same_again() -> None:
    data = to_bytes(a_day())
    read = parse_document(HighlightsDay, data)
    assert read.doubts == []
    assert to_bytes(read) == data


def test_everyday_tools_compute_the_checksum_as_the_page_says(tmp_path: Path) -> None:
    page = (Path(ncaa_assets.__file__).parents[1] / "docs" / "archive-format.md").read_text("utf-8")
    line = re.search(r"^(sed .*)$", page, re.MULTILINE)
    assert line is not None
    (tmp_path / "highlights").mkdir()
    record = {"id": 1, "title": "half an emoji \ud83d", "text": '\n "content_sha256": "x",\n'}
    data = to_bytes(fetched_day(record, at=AT))
    (tmp_path / "highlights" / f"{DAY}.json").write_bytes(data)
    printed = subprocess.run(["sh", "-c", line[1]], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert printed.split()[0] == json_text.loads(data)[CHECKSUM]


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"Hawai", b"Havai"), (b"1.50", b"1.5"), (b'"id": 2', b'"id":  2'), (b"}\n", b"}\n\n"),
     (b'"id": 2', b'"id": 3, "id": 2'),
     (b'{\n "content', b'{ \n "content'), (b'"content_sha256": "', b'"content_sha256": "0'),
     (b"\n", b"\r\n"), (b"{\n", b"\xef\xbb\xbf{\n")],
)  # fmt: skip
def test_a_document_that_was_changed_in_any_way_says_so_until_it_is_written_again(before: bytes, after: bytes) -> None:
    data = to_bytes(a_day())
    edited = data.replace(before, after) if before == b"\n" else data.replace(before, after, 1)
    assert edited != data
    read = parse_document(HighlightsDay, edited)
    assert ["was edited" in doubt for doubt in read.doubts] == [True]
    assert parse_document(HighlightsDay, to_bytes(read)).doubts == []


@pytest.mark.parametrize("stale", [None, "", 5, "0" * 64, [], {}, True])
def test_a_checksum_that_is_none_or_is_carried_along_says_so(stale: object) -> None:
    """A program that keeps unknown fields writes a checksum that is not one of what it writes."""
    carried = {**json_text.loads(to_bytes(a_day())), CHECKSUM: stale}
    assert len(parse_document(HighlightsDay, json_text.dumps(carried, indent=1)).doubts) == 1


def test_a_document_without_a_checksum_is_not_judged_by_one() -> None:
    older = {name: value for name, value in json_text.loads(to_bytes(a_day())).items() if name != CHECKSUM}
    assert parse_document(HighlightsDay, json_text.dumps(older)).doubts == []


# ---- What cannot be done without -------------------------------------------------------------------------------------

KEYS = [
    "", "1.mp4", f"videos/{DAY}", f"videos/{DAY}/", f"videos/{DAY}.json", f"highlights/{DAY}.json", "archive.json",
    f"/videos/{DAY}/1.mp4", f"videos/{DAY}/../1.mp4", f"videos/{DAY}/..", f"videos/{DAY}/.hidden",
    f"videos/{DAY}/a/1.mp4", f"videos/{DAY}//1.mp4", f"videos/{DAY}/a\\1.mp4", f"videos/{DAY}/1\n.mp4",
    f"videos/{DAY}/1\0.mp4", f"videos/{DAY}/\ud800.mp4", f"videos/{DAY}/{'x' * 252}.mp4", "videos/2025-03-08/1.mp4",
    f"processed_videos/{DAY}/1.mp4", f"../videos/{DAY}/1.mp4", f"videos/../{DAY}/1.mp4", 5, None,
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_a_key_that_is_none_of_the_days_is_damage(key: object) -> None:
    with pytest.raises(ValueError, match=r"key|another day"):
        videos({**COPY, "key": key})
    with pytest.raises(ValueError, match=r"key|another day"):
        outputs({**OUTPUT, "source_key": key})
    let_go = {"id": "1", "video": {**COPY, "key": key}, "output": None, "at": AT}
    with pytest.raises(ValueError, match=r"key|another day"):
        videos(forgotten=[let_go])
    other = f"processed_{key}" if isinstance(key, str) and not key.startswith("processed") else key
    if other != f"processed_videos/{DAY}/1.mp4":
        with pytest.raises(ValueError, match=r"key|another day"):
            outputs({**OUTPUT, "poster": {"key": other, "bytes": 1}})
        with pytest.raises(ValueError, match=r"key|another day"):
            videos(forgotten=[{**let_go, "video": COPY, "output": {**OUTPUT, "key": other}}])


@pytest.mark.parametrize(
    ("field", "value"),
    [("bytes", -1), ("bytes", 2**63), ("bytes", "many"), ("bytes", None), ("sha256", ""), ("sha256", "a" * 63),
     ("sha256", "A" * 64), ("sha256", "a" * 64 + "\n"), ("sha256", None), ("id", ""), ("id", 1), ("source_url", None),
     ("container", ""), ("copied_at", "then"), ("other_urls", None), ("other_urls", [1])],
)  # fmt: skip
def test_what_a_copy_cannot_do_without_is_damage_in_a_sentence_that_names_the_field(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"^videos\.0\.{field}[.0-9]*: .+"):
        videos({**COPY, field: value})
    if field in COPY:
        with pytest.raises(ValueError, match=rf"^videos\.0\.{field}: Field required"):
            videos({name: value for name, value in COPY.items() if name != field})


def test_two_entries_of_one_object_that_differ_are_damage_and_two_that_are_equal_are_one() -> None:
    with pytest.raises(ValueError, match=f"two entries say different things of videos/{DAY}/1.mp4"):
        videos(COPY, {**COPY, "sha256": "b" * 64})
    with pytest.raises(ValueError, match="two entries"):
        outputs(OUTPUT, {**OUTPUT, "source_sha256": "b" * 64})
    twice = videos(COPY, COPY)
    assert len(twice.videos) == 1
    assert twice.doubts == [f"the second entry of videos/{DAY}/1.mp4 is left out"]
    beside = {**COPY, "key": f"videos/{DAY}/1.{'b' * 8}.mp4", "sha256": "b" * 64}
    assert videos(COPY, beside).doubts == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("content_hash", ""), ("content_hash", "c"), ("content_hash", None), ("first_seen", ""), ("last_seen", None),
     ("removed_upstream", "yesterday"), ("history", None), ("history", [{}]), ("modules", "nba")],
)  # fmt: skip
def test_bookkeeping_that_is_none_is_damage(field: str, value: object) -> None:
    day = a_day().model_dump()
    day["backup"]["records"]["1"][field] = value
    with pytest.raises(ValueError, match=rf"backup\.records\.1\.{field}"):
        parse_document(HighlightsDay, json_text.dumps(day))


# ---- What can --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [("title", 5), ("title", ["a"]), ("duration_seconds", -1), ("duration_seconds", "long"), ("has_sound", "loud"),
     ("width", -128), ("width", 2**60), ("height", "72px"), ("facts", "none"), ("facts", {"read_by": "x"}), ("etag", 5),
     ("from_page", "perhaps"), ("lost", {"kind": "gone", "reason": "404", "at": "then"}), ("lost", True)],
)  # fmt: skip
def test_what_a_copy_can_do_without_is_left_out_and_said(field: str, value: object) -> None:
    read = videos({**COPY, field: value})
    assert getattr(read.videos[0], field) is None
    (doubt,) = read.doubts
    assert doubt.startswith(f"`{field}` is left out (")
    assert parse_document(VideosDay, to_bytes(read)).doubts == []


@pytest.mark.parametrize("number", ["1e400", "1e9999", "-1e400", "9" * 400])
def test_a_number_that_no_double_holds_is_left_out(number: str) -> None:
    text = json_text.dumps({"date": DAY, "videos": [{**COPY, "duration_seconds": "HERE"}]})
    assert parse_document(VideosDay, text.replace(b'"HERE"', number.encode())).videos[0].duration_seconds is None


def test_what_the_next_run_makes_again_is_left_out_entry_by_entry() -> None:
    read = videos(COPY, skipped=[SKIP, {**SKIP, "at": 5}, "junk", {**SKIP, "id": "3"}])
    assert [skip.id for skip in read.skipped] == ["2", "3"]
    assert len(read.doubts) == 2
    encoded = outputs(not_encoded=[REFUSAL, {**REFUSAL, "source_sha256": "x"}])
    assert (len(encoded.not_encoded), len(encoded.doubts)) == (1, 1)
    nothing: object
    for nothing in (None, {}, "x", 5):
        with pytest.raises(ValueError, match="skipped"):
            videos(skipped=nothing)


def test_what_is_left_out_of_a_document_is_a_defect_of_ours_where_none_is_read() -> None:
    with pytest.raises(ValueError, match="width"):
        VideosDay.model_validate({"date": DAY, "videos": [{**COPY, "width": -1}]})
