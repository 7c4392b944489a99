"""The comparisons that checks and `verify` share, each by itself: a whole archive would hide what decides a case."""

import hashlib
import random
from pathlib import Path
from typing import Any

import pytest

from ncaa_assets.archive import documents
from ncaa_assets.archive.reconcile import (
    Hash,
    copies,
    durations,
    outputs,
    reconcile_day,
    rows,
    rows_of_days,
    still_listed,
)
from ncaa_assets.backends.local.store import SQLITE_NAME, LocalStore
from ncaa_assets.backends.local.table import SqliteTable
from ncaa_assets.failures import StoreError
from ncaa_assets.record.fetch import Fetch
from ncaa_assets.record.merge import merge_fetch
from ncaa_assets.record.models import CopiedVideo, HighlightsDay, Poster, ProcessedDay, ProcessedVideo, VideosDay
from ncaa_assets.record.rows import Row, merge_row, rows_of
from ncaa_assets_tests.archives import fetch_and_write_rows
from ncaa_assets_tests.days import DAY
from ncaa_assets_tests.loopback.listing import record

DAYS = ("2025-03-08", "2025-03-09", "2025-03-10")


def fetched(records: list[Any], minute: int) -> Fetch:
    return Fetch(
        at=f"2025-03-11T06:{minute:02}:00Z",
        records=records,
        query={},
        complete=True,
        total_count=len(records),
        requests=1,
    )


@pytest.mark.parametrize("seed", range(25))
def test_whatever_the_api_listed_when_rows_that_were_written_as_it_came_are_as_in_the_json(
    store: LocalStore, seed: int
) -> None:
    """Clips that several days list change, vanish and come back, in any order of fetches, without a false alarm."""
    chance = random.Random(seed)  # noqa: S311
    table = SqliteTable(store.root / SQLITE_NAME)
    for minute in range(12):
        day = chance.choice(DAYS)
        listed = [record(key, None, title=chance.choice("ab")) for key in range(4) if chance.random() < 0.6]
        fetch_and_write_rows(store, table, day, fetched(listed, minute))
        for one in DAYS:
            document = documents.load_or_new(store, HighlightsDay, one)
            assert rows(document, table, rows_of_day=rows_of_days(store)).findings == []
            assert rows(document, table).findings == []


def test_a_row_with_contents_that_none_of_its_days_has_is_found(store: LocalStore) -> None:
    table = SqliteTable(store.root / SQLITE_NAME)
    for minute, day in enumerate(DAYS[:2]):
        fetch_and_write_rows(store, table, day, fetched([record(1, None, title=day)], minute))
    days = [documents.load(store, HighlightsDay, day) for day in DAYS[:2]]
    table.merge([{**table.get(["1"])["1"], "title": "neither"}], lambda there, row: row)  # what somebody else writes
    for document in days:
        (one,) = rows(document, table, rows_of_day=rows_of_days(store)).findings
        assert (one.key, one.problem) == ("1", "has a row that differs from the JSON in title")


class LateIndex(SqliteTable):
    """A table whose index still has earlier rows, as DynamoDB's may for a moment."""

    earlier: list[Row]

    def day(self, game_date: str) -> list[Row]:
        return self.earlier


def test_an_index_that_lags_behind_is_no_difference_and_the_row_itself_decides(store: LocalStore) -> None:
    table = LateIndex(store.root / SQLITE_NAME)
    first, _ = merge_fetch(HighlightsDay(date=DAY), fetched([record(1, None, title="a"), record(2, None)], 0))
    table.merge(rows_of(first), merge_row)
    table.earlier = SqliteTable(table.path).day(DAY)
    later, _ = merge_fetch(first, fetched([record(1, None, title="b"), record(2, None)], 1))
    table.merge(rows_of(later), merge_row)
    assert rows(later, table, rows_of_day=rows_of_days(store)).findings == []
    table.earlier = [{**row, "title": "as in the JSON"} for row in table.earlier[:1]]
    (finding,) = rows(later, table, rows_of_day=rows_of_days(store)).findings
    assert (finding.key, finding.problem) == ("2", "has a row that is not found under its game day")


def copied(store: LocalStore, name: str, data: bytes, **fields: Any) -> CopiedVideo:
    key = f"videos/{DAY}/{name}.mp4"
    store.write(key, data)
    return CopiedVideo(
        **{
            "id": name, "title": None, "source_url": "https://x/", "key": key, "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(), "container": "mp4", "duration_seconds": 2.0,
            "has_sound": True, "copied_at": "2025-03-10T06:00:00Z", **fields,
        }
    )  # fmt: skip


def test_a_quick_look_hashes_the_newest_copies_within_its_bounds_and_says_what_it_left_out(store: LocalStore) -> None:
    old = copied(store, "old", b"o" * 1000)
    new = copied(store, "new", b"n" * 1000, copied_at="2025-03-11T06:00:00Z")
    manifest = VideosDay(date=DAY, videos=[old, new])
    store.path(old.key).write_bytes(b"x" * 1000)
    store.path(new.key).write_bytes(b"x" * 1000)
    quick = copies(store, manifest, most_bytes=1999)
    assert [finding.key for finding in quick.findings] == [new.key]
    assert {seen.key: seen.sha256 for seen in quick.evidence} == {new.key: Hash.DIFFERS, old.key: Hash.NOT_COMPARED}
    assert len(copies(store, manifest, most_bytes=2000).findings) == 2
    assert len(copies(store, manifest, most_bytes=None).findings) == 2


def processed(store: LocalStore, source: CopiedVideo, clip: Path) -> ProcessedDay:
    key, poster = f"processed_videos/{DAY}/1.mp4", f"processed_videos/{DAY}/1.jpg"
    store.write(key, clip.read_bytes())
    store.write(poster, b"\xff\xd8\xff\xd9")
    return ProcessedDay(
        date=DAY,
        videos=[
            ProcessedVideo(
                id="1", title=None, source_key=source.key, source_sha256=source.sha256, settings_hash="x", key=key,
                bytes=clip.stat().st_size, sha256=None, duration_seconds=2.0, width=320, height=180,
                poster=Poster(key=poster, bytes=4), encoder="mediaconvert", encode_seconds=1.0, encoded_at="x",
            )
        ],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("source_seconds", "is_wrong"), [(2.0, False), (2.9, False), (1.1, False), (3.1, True), (0.9, True), (None, False)]
)
def test_an_output_may_differ_by_a_second_and_a_source_that_does_not_say_is_not_compared(
    store: LocalStore, clip: Path, source_seconds: float | None, is_wrong: bool
) -> None:
    source = copied(store, "1", b"v", duration_seconds=source_seconds)
    compared = durations(store, processed(store, source, clip), VideosDay(date=DAY, videos=[source]))
    assert bool(compared.findings) == is_wrong
    (seen,) = compared.evidence
    assert seen.seconds == pytest.approx(2.0, abs=0.1)
    assert (seen.difference is None) == (source_seconds is None)


def test_an_output_that_is_no_video_any_more_is_found_by_its_index(store: LocalStore, clip: Path) -> None:
    source = copied(store, "1", b"v")
    manifest = processed(store, source, clip)
    store.path(manifest.videos[0].key).write_bytes(b"x" * clip.stat().st_size)
    (finding,) = durations(store, manifest, VideosDay(date=DAY, videos=[source])).findings
    assert finding.problem.startswith("is no whole video: the file has no index")


class Failing(LocalStore):
    """A folder on a disk that can no longer read one of its files."""

    def download(self, key: str) -> Any:
        raise StoreError(f"{key} cannot be used: Input/output error")


def test_bytes_that_cannot_be_read_any_more_are_a_finding_and_not_the_end(store: LocalStore, clip: Path) -> None:
    source = copied(store, "1", b"v")
    sources, manifest = VideosDay(date=DAY, videos=[source]), processed(store, source, clip)
    failing = Failing(store.root)
    for compared in (
        copies(failing, sources), outputs(failing, manifest, sources, deep=True), durations(failing, manifest, sources),
    ):  # fmt: skip
        assert compared.findings
        assert all("is there and cannot be read" in one.problem for one in compared.findings)
        assert all("Input/output error" in one.problem for one in compared.findings)


def test_a_day_of_which_there_is_nothing_was_never_backed_up_and_is_no_difference(store: LocalStore) -> None:
    report = reconcile_day(store, SqliteTable(store.root / SQLITE_NAME), DAY, deep=True)
    assert (report.findings, report.is_there) == ([], False)


def test_a_day_without_games_is_there_and_equal(store: LocalStore) -> None:
    merged, _ = merge_fetch(HighlightsDay(date=DAY), fetched([], 1))
    for document in (merged, VideosDay(date=DAY), ProcessedDay(date=DAY)):
        documents.save(store, document)
    report = reconcile_day(store, SqliteTable(store.root / SQLITE_NAME), DAY)
    assert (report.findings, report.is_there) == ([], True)
    assert still_listed(merged).findings == []
