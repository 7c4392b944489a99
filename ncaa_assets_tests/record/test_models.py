"""How a record is understood, when two contents are the same, and what a stored document must be."""

import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ncaa_assets.record import json_text, models
from ncaa_assets.record.calendar import now
from ncaa_assets.record.models import (
    Backup,
    CopiedVideo,
    Highlight,
    HighlightsDay,
    ProcessedDay,
    RecordHistory,
    VideosDay,
    content_hash,
    safe_name,
)
from ncaa_assets.record.written import parse_document
from ncaa_assets.stored import Stored

URL = "https://media.example.com/clip.mp4"
# The last character is half an emoji, as a text that was cut there ends.
CUT = "buzzer \ud83c"


@pytest.mark.parametrize(
    ("record", "key"),
    [
        ({"id": 105170}, "105170"),
        ({"id": "105170"}, "105170"),
        ({"id": " 105170 "}, "105170"),
        ({"id": 0}, "0"),
        ({"id": "a/../b"}, "a/../b"),
        ({"id": 12345678901234567890123}, "12345678901234567890123"),
        ({"id": None, "url": URL}, "url-d822e03a81de1c3b"),
        ({"id": "", "url": URL}, "url-d822e03a81de1c3b"),
        ({"id": "  ", "url": URL}, "url-d822e03a81de1c3b"),
        ({"url": URL}, "url-d822e03a81de1c3b"),
    ],
)
def test_a_highlight_is_known_by_its_id_and_without_one_by_its_url(record: dict[str, Any], key: str) -> None:
    assert Highlight.parse(record).id == key


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (None, "not an object but null"),
        ("text", "not an object but text"),
        (7, "not an object but a number"),
        (True, "not an object but true or false"),
        ([], "not an object but a list"),
        ({}, "it has neither an id nor a url"),
        ({"id": None, "url": None}, "it has neither an id nor a url"),
        ({"id": "", "url": ""}, "it has neither an id nor a url"),
        ({"id": True, "url": URL}, "its id is true or false, not a number or text"),
        ({"id": [1], "url": URL}, "its id is a list, not a number or text"),
        ({"id": Decimal("1.5")}, "its id is a number with a fraction or an exponent, not a number or text"),
        ({"id": {}, "url": URL}, "its id is an object, not a number or text"),
        ({"id": 1, "url": 7}, "its url is a number, not text"),
        ({"id": 1, "url": [URL]}, "its url is a list, not text"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_the_reason(record: object, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        Highlight.parse(record)


def test_a_field_of_another_type_than_expected_costs_only_itself() -> None:
    view = Highlight.parse({"id": 1, "title": 7, "type": None, "source": ["espn"], "channel": {}, "url": " " + URL})
    assert view == Highlight(id="1", url=URL)


def test_a_title_that_ends_in_half_an_emoji_is_no_reason_to_refuse_the_record() -> None:
    assert Highlight.parse({"id": 1, "title": CUT}).title == CUT


def test_an_id_with_half_an_emoji_becomes_a_key_that_a_database_takes() -> None:
    assert Highlight.parse({"id": CUT}).id.encode("utf-8") == rb"buzzer \ud83c"


def test_a_blank_url_counts_as_none() -> None:
    assert Highlight.parse({"id": 1, "url": "  "}).url is None


def test_a_highlight_is_called_by_id_and_title() -> None:
    assert Highlight.parse({"id": 1, "title": "Duke"}).label == "1 “Duke”"
    assert Highlight.parse({"id": 1}).label == "1"


def test_the_content_hash_ignores_the_order_of_fields_and_nothing_else() -> None:
    same = [json_text.loads(text) for text in ('{"a": 1, "b": [1, 2]}', '{"b": [1, 2], "a": 1}')]
    other = [
        json_text.loads(text)
        for text in (
            '{"a": 1, "b": [2, 1]}', '{"a": 1.0, "b": [1, 2]}', '{"a": "1", "b": [1, 2]}', '{"a": true, "b": [1, 2]}',
            '{"a": 1.00, "b": [1, 2]}', '{"a": 1, "b": [1, 2], "c": null}', '{"a": null, "b": [1, 2]}',
        )
    ]  # fmt: skip
    assert len({content_hash(record) for record in same}) == 1
    assert len({content_hash(record) for record in [*same, *other]}) == 1 + len(other)


@pytest.mark.parametrize("plain", ["105170", "url-d822e03a81de1c3b", "a_b-9", "x" * 80])
def test_a_plain_id_is_its_own_file_name(plain: str) -> None:
    assert safe_name(plain) == plain


@settings(max_examples=150)
@given(st.text(st.characters(codec=None), min_size=1, max_size=200))
def test_no_id_makes_a_file_name_that_leaves_its_folder(identifier: str) -> None:
    assert re.fullmatch(r"[a-z0-9_-]{1,80}", safe_name(identifier))


def test_ids_that_look_alike_when_cleaned_have_different_file_names() -> None:
    ids = ["a/b", "a:b", "a b", "a..b", "../a", "a/../b", "x" * 81, "x" * 82, CUT, "/", "abc", "ABC", "Abc"]
    ids += [safe_name(identifier) for identifier in ids if safe_name(identifier) != identifier]
    assert len({safe_name(identifier).lower() for identifier in ids}) == len(ids)


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        (HighlightsDay, "highlights/2025-03-09.json"),
        (VideosDay, "videos/2025-03-09.json"),
        (ProcessedDay, "processed_videos/2025-03-09.json"),
    ],
)
def test_documents_lie_where_the_readme_says(kind: type[HighlightsDay], key: str) -> None:
    assert kind.key("2025-03-09") == key


def test_records_are_viewed_in_their_stored_order() -> None:
    entry = RecordHistory(first_seen=now(), last_seen=now(), content_hash="0" * 64)
    day = HighlightsDay(date="2025-03-09", data=[{"id": 2}, {"id": 1}], backup=Backup(records={"1": entry, "2": entry}))
    assert [(view.id, record) for view, record in day.highlights()] == [("2", {"id": 2}), ("1", {"id": 1})]


def test_a_document_with_a_record_that_the_bookkeeping_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match=r"record 7 has no entry under backup\.records"):
        parse_document(HighlightsDay, b'{"date": "2025-03-09", "data": [{"id": 7}]}')


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"{", "char 1"),
        (b"", "Expecting value"),
        (b"\xff\xfe", "utf-8"),
        (b"[]", "dictionary"),
        (b"{}", "date: Field required"),
        (b'{"date": "2025-03-09", "videos": [{}]}', r"videos\.0\.id: Field required"),
        (b'{"date": "2025-03-09", "schema_version": 3}', "newer ncaa-assets .* upgrade this one"),
        (b'{"date": "2025-03-09", "schema_version": "two"}', "schema_version: "),
    ],
)
def test_a_damaged_document_says_where_it_is_damaged(text: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_document(VideosDay, text)


def test_a_stored_document_comes_back_with_the_very_numbers_of_its_records() -> None:
    seen = b'"first_seen":"2025-03-10T06:00:00Z","last_seen":"2025-03-10T06:00:00Z"'
    text = (
        b'{"schema_version":2,"date":"2025-03-09","data":[{"id":1,"n":1E+400,"m":0.1000,"k":null}],"matches":[],'
        b'"backup":{"records":{"1":{' + seen + b',"content_hash":"' + b"c" * 64 + b'","removed_upstream":null,'
        b'"history":[],"modules":[]}},"rejected":[],"fetches":[],"matches_at":null}}'
    )
    assert json_text.dumps(parse_document(HighlightsDay, text).model_dump()) == text


def test_a_manifest_of_an_earlier_shape_is_still_read() -> None:
    video = CopiedVideo(
        id="1", title=None, source_url=URL, key="videos/2025-03-09/1.mp4", bytes=1, sha256="0" * 64,
        container="mp4", duration_seconds=None, has_sound=None, copied_at=now(),
    )  # fmt: skip
    assert video.other_urls == []


@pytest.mark.parametrize(
    "written",
    ["2025-03-10T06:00:00Z", "2025-03-10T06:00:00z", "2025-03-10t06:00:00Z", "2025-03-10 06:00:00Z",
     "2025-03-10T06:00:00", "2025-03-10T06:00", "2025-03-10T06:00:00+00:00", "2025-03-10T06:00:00-00:00",
     "2025-03-10T08:30:00+02:30", "2025-03-09T22:00:00-0800", "2025-03-10T07:00:00+01", "2025-03-10T06:00:00.999999Z",
     "2025-03-10T06:00:00.9999999999Z", "2025-03-10T06:00:00,5+00:00", " 2025-03-10T06:00:00Z\n"],
)  # fmt: skip
def test_a_time_is_understood_however_it_is_written_and_becomes_ours(written: str) -> None:
    skip = {"id": "1", "title": None, "source_url": None, "kind": "page", "reason": "a page", "at": written}
    day = parse_document(VideosDay, json_text.dumps({"schema_version": 2, "date": "2025-03-09", "skipped": [skip]}))
    assert day.skipped[0].at == "2025-03-10T06:00:00Z"


@pytest.mark.parametrize(
    "written",
    ["", "a", "never", "2025-03-10", "20250310T060000Z", "2025-W11-1T06:00:00Z", "2025-13-10T06:00:00Z",
     "2025-03-10T25:00:00Z", "2025-03-10T06:00:00+99:00", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00",
     "1741586400", "2025-03-10T06:00:00Z\nALERT", "２０２５-03-10T06:00:00Z", "x" * 100_000,
     1741586400, True, None, [], {}],
)  # fmt: skip
@pytest.mark.parametrize("field", ["at", "date"])
def test_what_is_no_time_or_day_is_damage_in_a_short_sentence_that_names_the_field(field: str, written: object) -> None:
    entry = {"at": "2025-03-10T06:00:00Z", "complete": True, "query": {}, "total_count": 0, "received": 0}
    day: dict[str, Any] = {"date": "2025-03-09", "backup": {"fetches": [entry]}}
    if field == "date" and written == "2025-03-10":
        return
    (entry if field == "at" else day)[field] = written
    with pytest.raises(ValueError, match=rf"{field}: .+") as refusal:
        parse_document(HighlightsDay, json_text.dumps(day))
    assert len(str(refusal.value)) < 200
    assert "\n" not in str(refusal.value)


def test_every_field_that_is_a_time_is_read_as_one() -> None:
    names = re.compile(r"at|.*_at|.*_seen|removed_upstream")
    kinds = [kind for kind in vars(models).values() if isinstance(kind, type) and issubclass(kind, Stored)]
    times = [(kind, name) for kind in kinds for name in kind.model_fields if names.fullmatch(name)]
    assert len(times) >= 12
    for kind, name in times:
        with pytest.raises(ValidationError) as refusal:
            kind.model_validate({name: "tomorrow"})
        assert (name,) in [problem["loc"] for problem in refusal.value.errors()], (kind, name)
