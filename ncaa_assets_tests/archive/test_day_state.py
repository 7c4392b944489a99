"""What a day needs, decided from a real store and table with documents as runs write them."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ncaa_assets.archive import documents, standing
from ncaa_assets.archive.day_state import DayState, state_of
from ncaa_assets.archive.identity import Identity, Move
from ncaa_assets.archive.journal import Journal
from ncaa_assets.archive.rows import made_rows
from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.backends.local.table import SqliteTable
from ncaa_assets.failures import ObjectMissing
from ncaa_assets.gallery.publish import publish
from ncaa_assets.record import calendar
from ncaa_assets.record.fetch import Fetch
from ncaa_assets.record.models import (
    CopiedVideo,
    HighlightsDay,
    Poster,
    ProcessedDay,
    ProcessedVideo,
    SkippedVideo,
    VideosDay,
)
from ncaa_assets.record.rows import merge_row
from ncaa_assets.settings import Settings
from ncaa_assets_tests.archives import archive_in, fetch_and_write_rows
from ncaa_assets_tests.days import DAY
from ncaa_assets_tests.loopback.listing import record

NOW = datetime(2025, 3, 12, 10, tzinfo=UTC)
FETCHED = NOW - timedelta(hours=1)


def sha256_of(number: int) -> str:
    return f"{number:064x}"


def url(number: int) -> str:
    return f"http://videos.example/{number}.mp4"


class Day:
    """A day of three highlights, the first copied and encoded, as a run leaves it. Tests take something away."""

    def __init__(self, folder: Path) -> None:
        self.store, self.table = LocalStore(folder), SqliteTable(folder / "highlights.sqlite")
        self.videos = VideosDay(date=DAY, videos=[self.copied(1)])
        self.processed = ProcessedDay(date=DAY, videos=[self.encoded(1)])
        self.fetch()
        self.save()

    def fetch(self, *, at: datetime = FETCHED, **values: Any) -> None:
        records = [record(number, url(number)) for number in (1, 2, 3)]
        text = calendar.stamp(at)
        given: dict[str, Any] = {
            "at": text, "module": "basketball", "records": records, "query": {"date": DAY}, "complete": True,
            "total_count": 3, "requests": 1,
        }  # fmt: skip
        given |= values
        whole = given["complete"] or given.get("limited", False)
        fetch_and_write_rows(self.store, self.table, DAY, Fetch(**{"whole": whole, **given}))

    def save(self) -> None:
        documents.save(self.store, self.videos)
        documents.save(self.store, self.processed)
        with suppress(ObjectMissing):
            self.table.merge(made_rows(self.store, documents.load(self.store, HighlightsDay, DAY)), merge_row)

    def copied(self, number: int) -> CopiedVideo:
        key = f"videos/{DAY}/{number}.mp4"
        self.store.write(key, b"video %d" % number)
        return CopiedVideo(
            id=str(number), title=None, source_url=url(number), key=key, bytes=7, sha256=sha256_of(number),
            container="mp4", duration_seconds=2.0, has_sound=True, copied_at="2025-03-12T09:00:00Z",
        )  # fmt: skip

    def encoded(self, number: int) -> ProcessedVideo:
        key = f"processed_videos/{DAY}/{number}"
        self.store.write(f"{key}.mp4", b"output")
        self.store.write(f"{key}.jpg", b"poster")
        return ProcessedVideo(
            id=str(number), title=None, source_key=f"videos/{DAY}/{number}.mp4", source_sha256=sha256_of(number),
            settings_hash="0" * 16, key=f"{key}.mp4", bytes=6, sha256=None, duration_seconds=2.0, width=1, height=1,
            poster=Poster(key=f"{key}.jpg", bytes=6), encoder="ffmpeg", encode_seconds=1.0,
            encoded_at="2025-03-12T09:00:00Z",
        )  # fmt: skip

    def skip(self, number: int, kind: str) -> None:
        at = "2025-03-12T09:00:00Z"
        entry = SkippedVideo(id=str(number), title=None, source_url=url(number), kind=kind, reason="…", at=at)
        self.videos.skipped.append(entry)

    def state(
        self,
        *,
        count: int | None = 1,
        limit: int | None = None,
        pages: str | None = None,
        identity: Identity | None = None,
    ) -> DayState:
        wanted = "all" if count is None else count
        given = {"video_count": wanted, "limit": limit, "video_pages": pages}
        return state_of(self.store, self.table, DAY, Settings.model_validate(given), identity)

    def why(self, **asked: Any) -> str | None:
        return self.state(**asked).why_now(NOW)


@pytest.fixture
def day(tmp_path: Path) -> Day:
    return Day(tmp_path / "archive")


def test_a_day_that_is_whole_and_fresh_needs_nothing(day: Day) -> None:
    assert day.why() is None
    assert day.state().is_done_since(FETCHED)
    assert not day.state().is_done_since(FETCHED + timedelta(seconds=1))


def test_a_day_that_was_never_backed_up_is_missing(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "archive")
    state = state_of(store, SqliteTable(tmp_path / "archive" / "highlights.sqlite"), DAY, Settings(), None)
    assert state.why_now(NOW) == "missing: it was never backed up"
    assert not (tmp_path / "archive").exists(), "looking makes nothing"


@pytest.mark.parametrize("kind", ["videos", "processed_videos"])
def test_a_day_without_a_manifest_is_missing(day: Day, kind: str) -> None:
    day.store.delete(f"{kind}/{DAY}.json")
    assert day.why() == "missing: its videos or their encodes were never recorded"


def test_a_day_is_due_more_than_twenty_hours_after_its_last_whole_fetch(day: Day) -> None:
    assert day.state().why_now(FETCHED + timedelta(hours=20)) is None
    assert "due: last looked at on 2025-03-12 09:00 UTC" in str(
        day.state().why_now(FETCHED + timedelta(hours=20, seconds=1))
    )


def test_a_fetch_that_lies_in_the_future_counts_for_nothing_and_the_next_one_does(day: Day) -> None:
    now = datetime.now(UTC)
    day.fetch(at=now + timedelta(days=7))
    assert day.state().fetched_at == FETCHED
    assert "due: last looked at on 2025-03-12 09:00 UTC" in str(day.state().why_now(now))
    assert not day.state().is_done_since(now - timedelta(days=1))
    day.fetch(at=now + timedelta(minutes=5))
    assert day.state().why_now(now) is None, "two machines in order may differ by minutes"
    day.fetch(at=now)
    assert day.state().why_now(now) is None
    assert day.state().is_done_since(now - timedelta(days=1))


def test_a_day_that_was_only_read_in_the_future_says_that_a_clock_was_wrong(tmp_path: Path) -> None:
    day, now = Day(tmp_path / "other"), datetime.now(UTC)
    day.store.delete(f"highlights/{DAY}.json")
    day.fetch(at=now + timedelta(days=7))
    why = str(day.state().why_now(now))
    assert why.startswith("due: its last fetch is dated ")
    assert why.endswith("which is yet to come: a clock was wrong")
    assert "yet to come" in str(DayState(None, NOW + timedelta(days=7)).why_now(NOW))


def test_a_fetch_that_did_not_read_the_whole_listing_leaves_the_day_to_do(day: Day) -> None:
    day.fetch(at=FETCHED + timedelta(minutes=5), complete=False, problems=["page 2 did not come: …"])
    assert day.why() == "incomplete: the last fetch did not read the whole listing"
    assert day.state().fetched_at == FETCHED
    day.fetch(at=FETCHED + timedelta(minutes=9))
    assert day.why() is None


def test_a_limit_that_a_person_set_is_no_failure_until_it_changes(day: Day) -> None:
    query = {"date": DAY, "limit": "3"}
    day.fetch(at=FETCHED + timedelta(minutes=5), complete=False, query=query, limited=True, problems=["…"])
    assert day.why(limit=3) is None
    assert day.why(limit=None) == day.why(limit=4) == "incomplete: the last fetch did not read the whole listing"
    problems = ["only that many …", "stopped after 2 pages: …"]
    day.fetch(at=FETCHED + timedelta(minutes=9), complete=False, query=query, problems=problems)
    assert str(day.why(limit=3)).startswith("incomplete")


def test_a_video_that_failed_for_a_passing_reason_is_to_do_and_one_that_was_refused_is_not(day: Day) -> None:
    day.skip(2, "failed")
    day.skip(3, "gone")
    day.save()
    assert day.why(count=1) is None, "the one that is wanted is there"
    assert day.why(count=2) == day.why(count=None) == "failed: 1 video not copied"
    day.videos.skipped[0].kind = "page"
    day.save()
    assert day.why(count=None) is None


def test_a_link_that_was_signed_anew_is_nothing_to_do_and_another_page_is(day: Day) -> None:
    def listed(link: str) -> None:
        day.fetch(records=[record(1, link), *(record(other, url(other)) for other in (2, 3))])

    listed(url(1) + "?signature=2")
    assert day.why() is None
    day.videos.videos[0].from_page = True
    day.save()
    assert day.why() == "failed: 1 video not copied"
    day.videos.videos[0].from_page = False
    day.save()
    assert day.why() is None
    listed(url(1) + "/other")
    assert day.why() == "failed: 1 video not copied"


def test_a_page_is_to_do_where_pages_are_read_now_until_one_has_no_video(day: Day) -> None:
    day.skip(2, "page")
    day.skip(3, "gone")
    day.save()
    assert day.why(count=None) is None
    assert day.why(count=None, pages="yt-dlp") == "failed: 1 video not copied"
    day.videos.skipped[0].kind = "unresolved"
    day.save()
    assert day.why(count=None, pages="yt-dlp") is None


def test_a_page_that_needs_a_runtime_is_to_do_once_there_is_one(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    day.skip(2, "runtime")
    day.skip(3, "gone")
    day.save()
    monkeypatch.setattr(standing, "find", lambda: None)
    assert day.why(count=None, pages="yt-dlp") is None
    monkeypatch.setattr(standing, "find", lambda: "/usr/bin/deno")
    assert day.why(count=None) is None
    assert day.why(count=None, pages="yt-dlp") == "failed: 1 video not copied"


def test_videos_that_nobody_got_to_are_to_do(day: Day) -> None:
    assert day.why(count=2) == "failed: 1 video not copied"
    assert day.why(count=None) == "failed: 2 videos not copied"


def test_a_copy_that_is_no_longer_stored_whole_is_to_do(day: Day) -> None:
    day.store.write(f"videos/{DAY}/1.mp4", b"cut")
    assert day.why() == "failed: 1 video not copied"


@pytest.mark.parametrize("ending", ["mp4", "jpg"])
def test_a_copy_without_its_encode_or_poster_is_to_do(day: Day, ending: str) -> None:
    day.store.delete(f"processed_videos/{DAY}/1.{ending}")
    assert day.why() == "failed: 1 video not encoded"


def test_an_encode_of_other_bytes_does_not_count(day: Day) -> None:
    day.processed.videos[0].source_sha256 = "0" * 64
    day.save()
    assert day.why() == "failed: 1 video not encoded"


def test_highlights_without_a_row_are_to_do(day: Day, tmp_path: Path) -> None:
    (tmp_path / "archive" / "highlights.sqlite").unlink()
    assert day.why() == "failed: 3 highlights without a row"


@pytest.mark.parametrize("kind", ["highlights", "videos", "processed_videos"])
def test_a_damaged_document_is_to_do_and_said(day: Day, kind: str) -> None:
    (day.store.root / kind / f"{DAY}.json").write_text("{")
    why = str(day.why())
    assert why.startswith("failed: ")
    assert f"{kind}/{DAY}.json is damaged" in why


@pytest.mark.parametrize(
    "written", ["2025-03-12T09:00:00+00:00", "2025-03-12T04:00:00.250-05:00", "2025-03-12 09:00:00z"]
)
def test_a_time_that_another_program_wrote_is_understood(day: Day, written: str) -> None:
    key = f"highlights/{DAY}.json"
    text, ours = day.store.read(key)[0].decode(), calendar.stamp(FETCHED)
    assert text.count(ours) >= 7
    day.store.write(key, text.replace(ours, written).encode())
    assert day.why() is None
    assert day.state().is_done_since(FETCHED)


def test_what_another_module_listed_before_a_move_is_not_this_archives_listing(day: Day) -> None:
    """The day was fetched from `basketball`."""

    def of(module: str | None, *moves: Move) -> Identity:
        where = {"source": "highlightly", "league": "NCAA", "timezone": "America/New_York"}
        return Identity(**where, module=module, moves=list(moves))

    there = Move(at="2025-03-12T00:00:00Z", before="basketball", after="nba")
    assert day.why(identity=of("basketball")) is None
    assert day.why(identity=of(None)) is None
    assert day.why(identity=of("nba", there)) == "its listing was never read whole"
    assert day.state(identity=of("nba", there)).undone is None
    back = Move(at="2025-03-13T00:00:00Z", before="nba", after="basketball")
    assert day.why(identity=of("basketball", there, back)) is None


def test_a_day_whose_rows_do_not_name_what_was_copied_is_not_done_and_one_of_an_earlier_version_is(day: Day) -> None:
    (row,) = day.table.get(["1"]).values()
    assert row["copy_key"] == f"videos/{DAY}/1.mp4"
    killed = {**row, "copy_key": None, "output_key": None, "poster_key": None}
    day.table.merge([killed], lambda _, row: row)
    assert day.state().undone == "failed: 1 row without the keys of what was copied or encoded"
    of_another_day = {**row, **{name: f"x/2025-03-10/{name}" for name in ("copy_key", "output_key", "poster_key")}}
    day.table.merge([of_another_day], lambda _, row: row)
    assert day.state().undone is None
    day.table.merge([{name: value for name, value in row.items() if "_key" not in name}], lambda _, row: row)
    assert day.state().undone is None


def test_a_day_whose_pages_lag_behind_it_is_to_do_and_one_without_pages_is_not(day: Day) -> None:
    day.fetch()
    day.save()
    assert day.why() is None
    archive = archive_in(day.store)
    publish(archive, [DAY])
    assert day.why() is None
    day.fetch()
    day.save()
    assert day.why() == "incomplete: its pages in the gallery are not up to date"
    publish(archive, [DAY])
    assert day.why() is None
    day.store.write(Journal.key(DAY), b"cut off")
    assert day.why() == "incomplete: its pages in the gallery are not up to date"
