"""A month like the last 30 days, from documents that a test writes."""

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.month import Month, last_month
from ncaa_assets.backends.deployments import encode_bounds
from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.media.facts import Facts, Picture
from ncaa_assets.record.models import (
    Backup,
    CopiedVideo,
    FetchRecord,
    HighlightsDay,
    NotEncoded,
    Poster,
    ProcessedDay,
    ProcessedVideo,
    RecordHistory,
    VideosDay,
    content_hash,
)
from ncaa_assets_tests.archives import archive_in, lease_of
from ncaa_assets_tests.loopback.listing import record

AT = "2025-03-12T09:00:00Z"
HD = Picture(stream=0, codec="AVC", width=1920, height=1080, frame_rate=30.0, interlaced=False)
AWS = {"ncaa_deployment": "aws", "s3_bucket_name": "bucket", "mediaconvert_role_arn": "role"}


class Days:
    """An archive whose days a test writes, so many days ago."""

    def __init__(self, folder: Path) -> None:
        self.store = LocalStore(folder)

    def archive(self, **settings: Any) -> Archive:
        return archive_in(self.store, **settings)

    def write(
        self, days_ago: int, *contents: str, records: int = 1, seconds: float | None = 60.0, facts: bool = True,
        encoded: bool = True, refused: bool = False, fetches: int = 1, made_by: str = "encoded",
    ) -> None:  # fmt: skip
        """A day with a copy of 1 MB for each of `contents`."""
        day = (self.archive().settings.today() - timedelta(days=days_ago)).isoformat()
        data = [record(number, None) for number in range(records)]
        kept = {
            str(one["id"]): RecordHistory(first_seen=AT, last_seen=AT, content_hash=content_hash(one)) for one in data
        }
        fetched = FetchRecord(at=AT, whole=True, complete=True, query={}, total_count=records, received=records)
        videos = [
            CopiedVideo(
                id=name, title=None, source_url="https://example.com/", key=f"videos/{day}/{name}.mp4", bytes=10**6,
                sha256=hashlib.sha256(name.encode()).hexdigest(), container="mp4", duration_seconds=seconds,
                has_sound=True, copied_at=AT,
                facts=Facts(read_by="test", format="MPEG-4", seconds=seconds, picture=HD) if facts else None,
            )
            for name in contents
        ]  # fmt: skip
        outputs = [
            ProcessedVideo.model_validate({
                "id": video.id, "title": None, "source_key": video.key, "source_sha256": video.sha256,
                "settings_hash": "0" * 16, "key": f"processed_videos/{day}/{video.id}.mp4", "bytes": 400_000,
                "sha256": None, "duration_seconds": 60.0, "width": 1920, "height": 1080, "encoder": "test",
                "poster": Poster(key=f"processed_videos/{day}/{video.id}.jpg", bytes=100_000), "encode_seconds": 1.0,
                "encoded_at": AT, "made_by": made_by,
            })
            for video in videos if encoded
        ]  # fmt: skip
        not_encoded = [
            NotEncoded(
                id=video.id, title=None, source_key=video.key, source_sha256=video.sha256, settings_hash="0" * 16,
                kind="broken", reason="it is broken", at=AT,
            )
            for video in videos if refused
        ]  # fmt: skip
        with lease_of(self.store, day, "a-test") as held:
            held.save(HighlightsDay(date=day, data=data, backup=Backup(records=kept, fetches=[fetched] * fetches)))
            held.save(VideosDay(date=day, videos=videos))
            held.save(ProcessedDay(date=day, videos=outputs, not_encoded=not_encoded))


@pytest.fixture
def days(tmp_path: Path) -> Days:
    return Days(tmp_path / "archive")


def month(days: Days, **settings: Any) -> Month:
    archive = days.archive(**{**AWS, **settings})
    found = last_month(archive, encode_bounds(archive.settings))
    assert found is not None
    return found


def test_an_archive_without_one_of_the_last_days_has_no_month(days: Days) -> None:
    archive = days.archive()
    assert last_month(archive, encode_bounds(archive.settings)) is None
    days.write(31, "a")
    assert last_month(archive, encode_bounds(archive.settings)) is None
    days.store.write(f"highlights/{archive.settings.today() - timedelta(days=2)}.json", b"{")
    assert last_month(archive, encode_bounds(archive.settings)) is None, "a damaged day tells nothing"


def test_a_month_is_thirty_days_like_those_that_are_backed_up(days: Days) -> None:
    days.write(1, "a", records=2, fetches=3)
    days.write(30, "b", "c")
    found = month(days)
    assert found.days == 2
    assert found.copied == 15 * 3 * 10**6
    assert found.encoded == 15 * 3 * 500_000
    assert found.minutes == pytest.approx((15 * 3, 15 * 3 * 70 / 60))
    assert found.row_units == (15 * 3, 15 * (2 * 3 + 1))


def test_what_is_not_encoded_and_what_is_encoded_already_is_not_paid_for(days: Days) -> None:
    days.write(1, "a")
    days.write(2, "a")  # the same bytes: copied from the first encode
    days.write(3, "b", encoded=False, refused=True)
    days.write(4, "c", seconds=20_000.0, encoded=False)  # longer than VIDEO_MAX_SECONDS
    assert month(days).minutes == pytest.approx((7.5, 7.5 * 70 / 60))


def test_what_is_not_known_of_a_copy_widens_the_bounds(days: Days) -> None:
    days.write(1, "a", seconds=None, facts=False)
    least, most = month(days).minutes
    assert least == pytest.approx(30 * 5 / 60)
    assert most == pytest.approx(30 * (2 * 14400 + 10) / 60)
    assert month(days, video_max_seconds=60).minutes[1] == pytest.approx(30 * 130 / 60)


def test_the_settings_of_today_say_what_is_encoded(days: Days, monkeypatch: pytest.MonkeyPatch) -> None:
    days.write(1, "a", made_by="kept")
    assert month(days).minutes[1] == pytest.approx(35)
    assert month(days, encode="never").minutes == (0, 0)
    assert month(days, encode_minutes_a_day=1).minutes == (0, 0), "past the bound of a date it is never encoded"
    days.write(2, "b", "c", made_by="kept")
    assert month(days, encode_minutes_a_day=2).minutes[1] == pytest.approx(15 * 3 * 70 / 60)
    days.write(3, "d", "e", "f", "g", "h", made_by="kept")
    assert month(days, encode_minutes_a_day=2).minutes == pytest.approx((60, 60))
    monkeypatch.setattr("ncaa_assets.media.web_ready.why_encode", lambda facts, profile: None)
    needed = month(days, encode="needed")
    assert (needed.minutes, needed.encoded) == ((0, 0), 10 * 8 * 500_000)
    assert month(days, ncaa_deployment="local").encoded == 10 * 8 * 100_000, "a hard link takes no room"


def test_what_other_modes_would_save_is_what_the_copies_need_no_encode_for(days: Days) -> None:
    days.write(1, "a", "b")
    local = {"ncaa_deployment": "local"}
    found = month(days, **local)
    assert found.documents > 30 * 1_000
    assert found.grown == found.documents + found.copied + found.encoded
    assert (found.encoded, found.spared) == (30 * 2 * 500_000, 0), "of these copies nobody knows that they could stay"
    ready = HD.model_copy(update={
        "codec_id": "avc1", "codec_profile": "High", "bit_depth": 8, "chroma": "4:2:0", "bitrate": 3_000_000,
    })  # fmt: skip
    with lease_of(days.store, yesterday(days), "a-test") as held:
        videos = held.load_or_new(VideosDay)
        videos.videos[0].facts = Facts(
            read_by="test", format="MPEG-4", seconds=60.0, picture=ready, pictures=1, fast_start=True
        )
        held.save(videos)
    assert month(days, **local).spared == 30 * 400_000, "its file would be the copy itself"


def yesterday(days: Days) -> str:
    return (days.archive().settings.today() - timedelta(days=1)).isoformat()
