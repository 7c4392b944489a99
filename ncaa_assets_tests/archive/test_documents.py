"""A day's documents in a store: whole, with their earlier versions, and never overwritten by a run that did not read
them."""

from typing import Any

import pytest

from ncaa_assets.archive import documents
from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.failures import ObjectMissing, StoreError, WriteConflict
from ncaa_assets.record.models import Backup, HighlightsDay, RecordHistory, SkippedVideo, VideosDay

DAY = "2025-03-09"
KEY = "highlights/2025-03-09.json"
AT, LATER = "2025-03-10T06:00:00Z", "2025-03-11T06:00:00Z"


def day(*records: dict[str, Any]) -> HighlightsDay:
    entries = {
        str(record["id"]): RecordHistory(first_seen=AT, last_seen=AT, content_hash="0" * 64) for record in records
    }
    return HighlightsDay(date=DAY, data=list(records), backup=Backup(records=entries))


def manifest(*reasons: str) -> VideosDay:
    skipped = [
        SkippedVideo(id=str(number), title=None, source_url=None, kind="failed", reason=reason, at=AT)
        for number, reason in enumerate(reasons)
    ]
    return VideosDay(date=DAY, skipped=skipped)


def earlier_versions(store: LocalStore) -> list[bytes]:
    return [path.read_bytes() for path in sorted((store.root / ".history").rglob("*.json"))]


def test_a_document_comes_back_as_it_was_saved(store: LocalStore) -> None:
    saved = day({"id": 1, "title": "Hawaiʻi \ud83c", "new": {"deep": [None, True, {}]}}, {"id": 2})
    assert documents.save(store, saved) == KEY
    assert documents.load(store, HighlightsDay, DAY).model_dump() == saved.model_dump()


def test_a_stored_document_is_readable_text_that_ends_its_last_line(store: LocalStore) -> None:
    documents.save(store, day({"id": 1, "title": "San José"}))
    text = store.path(KEY).read_text(encoding="utf-8")
    assert '"title": "San José"' in text
    assert text.count("\n") > 10
    assert text.endswith("}\n")


def test_a_day_without_a_document_is_missing_or_new(store: LocalStore) -> None:
    with pytest.raises(ObjectMissing):
        documents.load(store, HighlightsDay, DAY)
    assert documents.load_or_new(store, HighlightsDay, DAY).model_dump() == HighlightsDay(date=DAY).model_dump()


def test_load_or_new_gives_what_is_stored(store: LocalStore) -> None:
    documents.save(store, day({"id": 1}))
    assert documents.load_or_new(store, HighlightsDay, DAY).data == [{"id": 1}]


def test_documents_of_one_day_do_not_meet(store: LocalStore) -> None:
    documents.save(store, day({"id": 1}))
    documents.save(store, manifest("cut off"))
    assert documents.load(store, HighlightsDay, DAY).data == [{"id": 1}]
    assert documents.load(store, VideosDay, DAY).skipped[0].reason == "cut off"


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"date": "2025-03-09", "data": [{"id": 1}]}', b'{"date": 1}', b"[" * 100_000]
)
def test_a_damaged_document_stops_the_day_and_is_not_taken_for_an_empty_one(store: LocalStore, damage: bytes) -> None:
    store.write(KEY, damage)
    for load in (documents.load, documents.load_or_new):
        with pytest.raises(StoreError, match=r"highlights/2025-03-09\.json is damaged .*put back an earlier version"):
            load(store, HighlightsDay, DAY)
    assert store.read(KEY)[0] == damage


def test_a_document_of_a_newer_version_is_left_to_it(store: LocalStore) -> None:
    store.write(KEY, b'{"schema_version": 3, "date": "2025-03-09", "data": {"of": "another shape"}}')
    with pytest.raises(StoreError, match="newer ncaa-assets"):
        documents.load_or_new(store, HighlightsDay, DAY)


def test_a_replaced_document_keeps_its_earlier_version(store: LocalStore) -> None:
    documents.save(store, day({"id": 1}))
    first = store.read(KEY)[0]
    later = documents.load(store, HighlightsDay, DAY)
    later.backup.records["1"].last_seen = LATER
    documents.save(store, later)
    assert earlier_versions(store) == [first]
    assert documents.load(store, HighlightsDay, DAY).backup.records["1"].last_seen == LATER


def test_the_progress_of_one_run_is_one_version(store: LocalStore) -> None:
    documents.save(store, manifest("before"))
    before = store.read("videos/2025-03-09.json")[0]
    running = documents.load(store, VideosDay, DAY)
    for reason in ("one", "two", "three"):
        running.skipped.append(manifest(reason).skipped[0])
        documents.save(store, running)
    assert earlier_versions(store) == [before]
    assert len(documents.load(store, VideosDay, DAY).skipped) == 4


def test_saving_what_is_stored_already_makes_no_version(store: LocalStore) -> None:
    documents.save(store, day({"id": 1}))
    documents.save(store, documents.load(store, HighlightsDay, DAY))
    assert earlier_versions(store) == []


def test_of_two_that_read_the_same_version_the_second_cannot_overwrite_the_first(store: LocalStore) -> None:
    documents.save(store, manifest())
    one, other = (documents.load(store, VideosDay, DAY) for _ in range(2))
    one.skipped, other.skipped = manifest("one").skipped, manifest("other").skipped
    documents.save(store, one)
    with pytest.raises(WriteConflict):
        documents.save(store, other)
    assert documents.load(store, VideosDay, DAY).skipped[0].reason == "one"


def test_of_two_that_found_nothing_the_second_cannot_overwrite_the_first(store: LocalStore) -> None:
    one, other = (documents.load_or_new(store, VideosDay, DAY) for _ in range(2))
    one.skipped = manifest("one").skipped
    documents.save(store, one)
    with pytest.raises(WriteConflict):
        documents.save(store, other)
