"""Documents outlive the code that wrote them: what a newer version added is kept, what only it can read is refused."""

import re
from decimal import Decimal
from typing import Any
from unittest.mock import ANY

import pytest

from ncaa_assets.archive import documents
from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.failures import StoreError
from ncaa_assets.record import json_text
from ncaa_assets.record.fetch import Fetch, Matches
from ncaa_assets.record.matches import merge_matches
from ncaa_assets.record.merge import merge_fetch
from ncaa_assets.record.models import (
    SCHEMA_VERSION,
    Document,
    FetchRecord,
    HighlightsDay,
    ProcessedDay,
    VideosDay,
)
from ncaa_assets.record.written import NewerVersion, parse_document

DAY = "2025-03-09"
QUOTES = '" '
NEW = {"of": ["a newer", {"version": None}], "n": Decimal("1.50"), "_read_at": "x"}  # the last is a name of ours


def fetch(minute: int, *records: Any) -> Fetch:
    return Fetch(
        at=f"2025-03-10T06:{minute:02}:00Z", records=list(records), query={"date": DAY}, module="basketball",
        whole=True, complete=True,
        total_count=len(records), requests=1,
    )  # fmt: skip


def with_new_fields(value: Any, records: tuple[str, ...] = ("data", "matches", "record", "query")) -> Any:
    """A document as a newer version may write it: a field that nobody knows in each object of ours."""
    if isinstance(value, list):
        return [with_new_fields(one) for one in value]
    if not isinstance(value, dict):
        return value
    # The objects under `records` are by id: a field more would be one more record.
    inner = {
        name: one if name in records
        else {key: with_new_fields(entry) for key, entry in one.items()} if name == "records"
        else with_new_fields(one)
        for name, one in value.items()
    }  # fmt: skip
    return {**inner, "new": NEW}


def count_of(value: Any) -> int:
    """How many objects of a document have the new field."""
    if isinstance(value, list):
        return sum(map(count_of, value))
    if not isinstance(value, dict):
        return 0
    return ("new" in value) + sum(count_of(one) for name, one in value.items() if name != "new")


def a_day() -> HighlightsDay:
    """Two fetches: record 1 changed, record 2 vanished, something is no record, and there is one match."""
    first, _ = merge_fetch(
        HighlightsDay(date=DAY), fetch(0, {"id": 1, "title": "Half"}, {"id": 2}, "junk"), founding="basketball"
    )
    day, _ = merge_fetch(first, fetch(1, {"id": 1, "title": "Final"}), founding="basketball")
    return merge_matches(day, Matches(at="2025-03-10T06:01:00Z", records=[{"id": 7}], requests=1))


VIDEOS: dict[str, Any] = {
    "schema_version": 2, "date": DAY,
    "videos": [{
        "id": "1", "title": None, "source_url": "https://x/1.mp4", "other_urls": [], "key": f"videos/{DAY}/1.mp4",
        "bytes": 1, "sha256": "a" * 64, "container": "mp4", "duration_seconds": None, "has_sound": None, "width": None,
        "height": None, "etag": None, "from_page": None, "copied_at": "2025-03-10T06:00:00Z",
        "lost": {"kind": "gone", "reason": "no longer there", "at": "2025-03-10T06:00:00Z"},
        "facts": {
            "read_by": "a reader", "format": "MPEG-4", "seconds": 1.5, "bitrate": None, "fast_start": True,
            "fragmented": False, "pictures": 1, "sounds": 1, "encrypted": False,
            "picture": {
                "stream": 0, "codec": "AVC", "codec_id": "avc1", "codec_profile": None, "width": 128, "height": 72,
                "pixel_aspect": 1.0, "rotation": 0, "interlaced": False, "frame_rate": 29.97, "bit_depth": 8,
                "chroma": "4:2:0", "primaries": None, "transfer": None, "matrix": None, "full_range": False,
                "bitrate": None, "seconds": 1.5, "frames": 45,
            },
            "sound": {
                "stream": 1, "track": 1, "pid": None, "codec": "AAC", "codec_id": "mp4a", "codec_profile": "LC",
                "channels": 2, "sample_rate": 48000, "bitrate": None, "seconds": 1.5, "language": None,
            },
        },
    }],
    "forgotten": [],
    "skipped": [{
        "id": "2", "title": None, "source_url": None, "kind": "page", "reason": "a page", "at": "2025-03-10T06:00:00Z",
    }],
}  # fmt: skip
PROCESSED: dict[str, Any] = {
    "schema_version": 2, "date": DAY,
    "videos": [{
        "id": "1", "title": None, "source_key": f"videos/{DAY}/1.mp4", "source_sha256": "b" * 64,
        "settings_hash": "c" * 16, "key": f"processed_videos/{DAY}/1.mp4", "bytes": 1,
        "sha256": None, "duration_seconds": None, "width": None, "height": None,
        "poster": {"key": f"processed_videos/{DAY}/1.jpg", "bytes": 1},
        "encoder": "ffmpeg", "job_id": None, "job_url": None, "encode_seconds": 1.0,
        "encoded_at": "2025-03-10T06:00:00Z", "facts": None, "made_by": "encoded", "lacks": None,
    }],
    "not_encoded": [{
        "id": "2", "title": None, "source_key": f"videos/{DAY}/2.mp4", "source_sha256": "b" * 64,
        "settings_hash": "c" * 16, "kind": "broken",
        "reason": "it is cut", "at": "2025-03-10T06:00:00Z",
    }],
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "known", "objects"),
    [(HighlightsDay, a_day().model_dump(), 8), (VideosDay, VIDEOS, 7), (ProcessedDay, PROCESSED, 4)],
    ids=["highlights", "videos", "processed_videos"],
)
def test_a_rewrite_keeps_at_every_level_what_it_does_not_know(
    store: LocalStore, kind: type[Document], known: dict[str, Any], objects: int
) -> None:
    written = json_text.loads(json_text.dumps(with_new_fields(known)))
    assert count_of(written) == objects
    store.write(kind.key(DAY), json_text.dumps(written))
    documents.save(store, documents.load(store, kind, DAY))
    stored = store.read(kind.key(DAY))[0]
    assert json_text.loads(stored) == {"content_sha256": ANY, **written}
    assert b'"n": 1.50' in stored


def test_a_fetch_keeps_at_every_level_what_it_does_not_know(store: LocalStore) -> None:
    """The record that changes, the one that comes back, and all that the fetch says nothing about."""
    before = with_new_fields(a_day().model_dump())
    store.write(HighlightsDay.key(DAY), json_text.dumps(before))
    day, growth = merge_fetch(
        documents.load(store, HighlightsDay, DAY),
        fetch(2, {"id": 1, "title": "Final 2"}, {"id": 2}, {"id": 3}, "junk"),
        founding="basketball",
    )
    assert (growth.changed, growth.returned, growth.new, growth.rejected) == (1, 1, 1, 1)
    documents.save(store, day)
    after = json_text.loads(store.read(HighlightsDay.key(DAY))[0])
    assert count_of(after) == count_of(before) == 8
    assert after["new"] == after["backup"]["new"] == after["backup"]["records"]["2"]["new"] == NEW
    assert [change.get("new") for change in after["backup"]["records"]["1"]["history"]] == [NEW, None]
    assert [one.get("new") for one in after["backup"]["fetches"]] == [NEW, NEW, None]
    assert after["backup"]["rejected"][0]["new"] == NEW


def test_an_entry_that_takes_another_ones_place_takes_over_what_it_does_not_know() -> None:
    earlier = parse_document(VideosDay, json_text.dumps(with_new_fields(VIDEOS))).videos[0]
    later = parse_document(VideosDay, json_text.dumps(VIDEOS)).videos[0]
    later.keep_unknown(earlier)
    assert later.model_dump() == earlier.model_dump()


# ---- The version -----------------------------------------------------------------------------------------------------


def of_version(text: str) -> bytes:
    return f'{{"schema_version": {text}, "date": "{DAY}"}}'.encode()


@pytest.mark.parametrize("text", ["3", "9", '"9"', "9.0", "2.5", '" 3 "', "1" + "0" * 15, "1E+1", '"1e1"', "3E+9999"])
@pytest.mark.parametrize("kind", [HighlightsDay, VideosDay, ProcessedDay])
def test_a_newer_version_is_refused_however_it_is_written(store: LocalStore, kind: type[Document], text: str) -> None:
    said = f"newer ncaa-assets (schema version {text.strip(QUOTES)}); upgrade"
    with pytest.raises(NewerVersion, match=re.escape(said)):
        parse_document(kind, of_version(text))
    store.write(kind.key(DAY), of_version(text))
    with pytest.raises(StoreError, match="is left as it is: it was written by a newer ncaa-assets"):
        documents.load_or_new(store, kind, DAY)


@pytest.mark.parametrize(
    "text",
    ["true", "null", '"x"', '""', "0", "-1", "0.0", "-0", "1.0", "2.0", "2e0", "0.2e1", "1e-9", "-1e1", '"2"', '"2.0"',
     '"1"', '"NaN"', '"Infinity"', "[]", "{}", "[3]", "9" * 5000],
)  # fmt: skip
def test_a_version_that_is_none_is_damage_that_is_said(text: str) -> None:
    with pytest.raises(ValueError, match=r"schema_version: .*, and not a whole number from 1 to 2") as refusal:
        parse_document(VideosDay, of_version(text))
    assert not isinstance(refusal.value, NewerVersion)
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize("version", [b"", b'"schema_version": 1, ', b'"schema_version": 2, '])
def test_every_earlier_version_is_read_and_becomes_the_present_one(version: bytes) -> None:
    day = parse_document(VideosDay, b"{" + version + b'"date": "2025-03-09"}')
    assert day.schema_version == SCHEMA_VERSION == 2


@pytest.mark.parametrize(
    ("problems", "limited"),
    [
        ([], False),
        (["LIMIT=3: only that many highlights are asked for; unset it to keep all"], True),
        (["stopped after 2 pages: …"], False),
        (["page 2 did not come: …", "LIMIT=3: only that many …"], False),
    ],
)
def test_in_version_1_the_words_of_its_problems_say_whether_limit_alone_cut_a_fetch_short(
    problems: list[str], limited: bool
) -> None:
    entry = {
        "at": "2025-03-10T06:00:00Z", "complete": False, "query": {}, "total_count": None, "received": 0,
        "problems": problems,
    }  # fmt: skip
    day = {"schema_version": 1, "date": DAY, "backup": {"fetches": [entry]}}
    assert parse_document(HighlightsDay, json_text.dumps(day)).backup.fetches[0].limited is limited
    day["schema_version"] = 2
    assert parse_document(HighlightsDay, json_text.dumps(day)).backup.fetches[0].limited is False, "now a field does"


@pytest.mark.parametrize(
    ("complete", "limited", "asked", "limit", "whole"),
    [
        (True, False, None, None, True),
        (True, False, None, 3, True),
        (False, False, None, None, False),
        (False, True, "3", 3, True),
        (False, True, "3", 4, False),
        (False, True, "3", None, False),
        (False, False, "3", 3, False),
    ],
)
def test_a_fetch_is_whole_where_it_brought_what_is_asked_for_now(
    complete: bool, limited: bool, asked: str | None, limit: int | None, whole: bool
) -> None:
    query = {"date": DAY} | ({"limit": asked} if asked else {})
    made = FetchRecord(
        at="2025-03-10T06:00:00Z", complete=complete, limited=limited, query=query, total_count=None, received=0
    )
    assert made.is_whole(limit) is whole
