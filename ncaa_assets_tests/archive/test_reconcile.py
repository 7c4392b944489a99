"""The comparisons that checks and `verify` share, each by itself: a whole archive would hide what decides a case."""

import hashlib
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from ncaa_assets.archive import documents
from ncaa_assets.archive.reconcile import (
    Hash,
    Severity,
    copies,
    durations,
    outputs,
    reconcile_day,
    rows,
    season,
    still_listed,
    times,
)
from ncaa_assets.archive.rows import RowsOfDays, made_rows
from ncaa_assets.backends.local.store import SQLITE_NAME, LocalStore
from ncaa_assets.backends.local.table import SqliteTable
from ncaa_assets.failures import StoreError
from ncaa_assets.record import calendar
from ncaa_assets.record.fetch import Fetch
from ncaa_assets.record.merge import merge_fetch
from ncaa_assets.record.models import CopiedVideo, HighlightsDay, Poster, ProcessedDay, ProcessedVideo, VideosDay
from ncaa_assets.record.rows import Row, merge_row, rows_of
from ncaa_assets.settings import Settings
from ncaa_assets_tests.archives import fetch_and_write_rows
from ncaa_assets_tests.days import DAY
from ncaa_assets_tests.loopback.listing import record

DAYS = ("2025-03-08", "2025-03-09", "2025-03-10")


def fetched(records: list[Any], minute: int) -> Fetch:
    return Fetch(
        at=f"2025-03-11T06:{minute:02}:00Z",
        records=records,
        query={},
        module="basketball",
        whole=True,
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
            assert rows(document, table, rows_of_day=RowsOfDays(store)).findings == []
            assert rows(document, table).findings == []


def test_a_row_with_contents_that_none_of_its_days_has_is_found(store: LocalStore) -> None:
    table = SqliteTable(store.root / SQLITE_NAME)
    for minute, day in enumerate(DAYS[:2]):
        fetch_and_write_rows(store, table, day, fetched([record(1, None, title=day)], minute))
    days = [documents.load(store, HighlightsDay, day) for day in DAYS[:2]]
    table.merge([{**table.get(["1"])["1"], "title": "neither"}], lambda there, row: row)  # what somebody else writes
    for document in days:
        (one,) = rows(document, table, rows_of_day=RowsOfDays(store)).findings
        assert (one.key, one.problem) == ("1", "has a row that differs from the JSON in title")


class LateIndex(SqliteTable):
    """A table whose index still has earlier rows, as DynamoDB's may for a moment."""

    earlier: list[Row]

    def day(self, game_date: str) -> list[Row]:
        return self.earlier


def test_an_index_that_lags_behind_is_no_difference_and_the_row_itself_decides(store: LocalStore) -> None:
    table = LateIndex(store.root / SQLITE_NAME)
    first, _ = merge_fetch(
        HighlightsDay(date=DAY), fetched([record(1, None, title="a"), record(2, None)], 0), founding="basketball"
    )
    table.merge(rows_of(first), merge_row)
    table.earlier = SqliteTable(table.path).day(DAY)
    later, _ = merge_fetch(first, fetched([record(1, None, title="b"), record(2, None)], 1), founding="basketball")
    table.merge(rows_of(later), merge_row)
    assert rows(later, table, rows_of_day=RowsOfDays(store)).findings == []
    table.earlier = [{**row, "title": "as in the JSON"} for row in table.earlier[:1]]
    (finding,) = rows(later, table, rows_of_day=RowsOfDays(store)).findings
    assert (finding.key, finding.problem) == ("2", "has a row that is not found under its game day")


def test_a_row_that_leads_to_no_file_is_a_difference_and_one_without_keys_is_none(store: LocalStore) -> None:
    table = SqliteTable(store.root / SQLITE_NAME)
    day, _ = merge_fetch(HighlightsDay(date=DAY), fetched([record(1, "https://x/")], 0), founding="basketball")
    video = copied(store, "1", b"a video")
    manifest, processed_day = VideosDay(date=DAY, videos=[video]), ProcessedDay(date=DAY)
    for document in (day, manifest, processed_day):
        documents.save(store, document)

    def problems() -> list[str]:
        findings = reconcile_day(store, table, DAY).findings
        return [finding.problem for finding in findings if finding.asset == "backup_rows"]

    table.merge(rows_of(day), merge_row)
    assert problems() == [], "an earlier version wrote it"
    table.merge(made_rows(store, day), merge_row)
    assert table.get(["1"])["1"]["copy_key"] == video.key
    assert problems() == []
    table.merge([{**table.get(["1"])["1"], "copy_key": f"videos/{DAY}/2.mp4"}], lambda _, row: row)
    assert problems() == ["has a row that differs from the JSON in copy_key"]
    store.path(VideosDay.key(DAY)).write_bytes(b"{")
    assert problems() == [], "nobody knows what the damaged manifest names"
    table.merge(made_rows(store, day), merge_row)
    assert table.get(["1"])["1"]["copy_key"] == f"videos/{DAY}/2.mp4"


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
                id="1", title=None, source_key=source.key, source_sha256=source.sha256, settings_hash="0" * 16, key=key,
                bytes=clip.stat().st_size, sha256=None, duration_seconds=2.0, width=320, height=180,
                poster=Poster(key=poster, bytes=4), encoder="mediaconvert", encode_seconds=1.0,
                encoded_at="2025-03-10T06:00:00Z",
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
    merged, _ = merge_fetch(HighlightsDay(date=DAY), fetched([], 1), founding="basketball")
    for document in (merged, VideosDay(date=DAY), ProcessedDay(date=DAY)):
        documents.save(store, document)
    report = reconcile_day(store, SqliteTable(store.root / SQLITE_NAME), DAY)
    assert (report.findings, report.is_there) == ([], True)
    assert still_listed(merged, "basketball").findings == []


# ---- The season ------------------------------------------------------------------------------------------------------


def keep_days(store: LocalStore, last: str, *highlights: int) -> None:
    """Days up to `last`, each with so many highlights; -1 is a day that was never backed up."""
    end = calendar.parse(last)
    for back, count in enumerate(reversed(highlights)):
        if count < 0:
            continue
        day = str(end - timedelta(days=back))
        listed = fetched([record(number, None) for number in range(count)], 0)
        documents.save(store, merge_fetch(HighlightsDay(date=day), listed, founding="basketball")[0])


@pytest.mark.parametrize(
    ("last", "highlights", "module", "warns"),
    [
        ("2026-01-10", (0, 0, 0), "basketball", True),
        ("2026-01-10", (0, 0, 0), "nba", True),
        ("2026-01-10", (0, 0, 0), None, True),
        ("2025-11-10", (0, 0, 0), "basketball", True),
        ("2026-04-03", (0,) * 7, "basketball", True),
        ("2026-01-10", (0, 0), "basketball", False),
        ("2026-01-10", (0, -1, 0, -1, 0), "basketball", True),
        ("2026-01-10", (1, 0, 0, 0, 0, 0, 0), "basketball", False),
        ("2026-01-10", (1, 0, 0, 0, 0, 0, 0, 0), "basketball", True),
        ("2026-01-10", (0, 0, 5), "basketball", False),
        ("2026-07-10", (0,) * 7, "basketball", False),
        ("2026-04-10", (0,) * 7, "basketball", False),
        ("2025-11-05", (0,) * 7, "basketball", False),
        ("2025-12-25", (0,) * 7, "basketball", False),
        ("2026-01-10", (0,) * 7, "american-football", False),
    ],
)
def test_days_in_season_without_games_are_a_reason_to_look(
    store: LocalStore, last: str, highlights: tuple[int, ...], module: str | None, warns: bool
) -> None:
    keep_days(store, last, *highlights)
    found = season(store, last, Settings(), module).findings
    assert len(found) == warns
    if warns:
        assert found[0].severity is Severity.WARN
        other = {"basketball": "nba", "nba": "basketball"}.get(module or "")
        if other:
            assert f"`ncaa-assets source --use {other}` moves" in found[0].remedy
        else:
            assert "the next run asks nba and basketball again" in found[0].remedy


def test_another_league_has_no_season_and_what_names_the_module_is_said(store: LocalStore) -> None:
    keep_days(store, "2026-01-10", 0, 0, 0)
    assert season(store, "2026-01-10", Settings(league_name="NBA"), "nba").findings == []
    named = Settings(rapidapi_key=SecretStr("key"), api_url="http://h/basketball/highlights")
    (finding,) = season(store, "2026-01-10", named, "basketball").findings
    assert finding.remedy.startswith("unset API_URL first; then `ncaa-assets source` shows")
    undecided = Settings(rapidapi_key=SecretStr("key"), api_module="nba")
    (finding,) = season(store, "2026-01-10", undecided, None).findings
    assert "that should have games list none in the module nba" in finding.problem


def test_a_neighbour_that_is_damaged_tells_nothing_of_the_season(store: LocalStore) -> None:
    keep_days(store, "2026-01-10", 0, 0, 0, 0)
    (store.root / "highlights/2026-01-08.json").write_text("{")
    (evidence,) = season(store, "2026-01-10", Settings(), "nba").evidence
    assert (evidence.days, evidence.highlights) == (3, 0)


# ---- Times -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("days", "is_told"), [(-1, False), (0, False), (7, True)])
def test_times_that_are_yet_to_come_are_told_and_no_error(days: int, is_told: bool) -> None:
    at = calendar.stamp(datetime.now(UTC) + timedelta(days=days))
    listed = replace(fetched([record(1, None, at="2999-01-01T00:00:00Z")], 0), at=at)
    document = merge_fetch(HighlightsDay(date=DAY), listed, founding="basketball")[0]
    document.backup.x = {"at": "zzz"}  # type: ignore[attr-defined] # of a version to come
    findings = times(document)
    assert [finding.severity for finding in findings] == [Severity.WARN] * is_told
    assert all(at in finding.problem for finding in findings)
