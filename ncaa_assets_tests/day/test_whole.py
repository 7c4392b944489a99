"""A day's work in plain Python: real HTTP, real files, a real encode, and no Dagster."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ncaa_assets.archive.archive import Archive, TakenDay
from ncaa_assets.archive.reconcile import reconcile_day
from ncaa_assets.day.copy import copy
from ncaa_assets.day.encode import encode
from ncaa_assets.day.fetch import fetch
from ncaa_assets.day.rows import write_rows
from ncaa_assets.day.whole import Services, WholeDay, back_up, open_services
from ncaa_assets.failures import BackupError, LeaseHeld, LeaseLost, SourceError
from ncaa_assets.record.models import CopiedVideo, HighlightsDay, ProcessedDay, VideosDay
from ncaa_assets.record.rows import row_key
from ncaa_assets.settings import Settings
from ncaa_assets_tests.days import DAY, settings_for
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import record, serve_listing

BackUp = Callable[..., WholeDay]


@pytest.fixture
def records(server: ScriptedServer, clip: Path) -> list[Any]:
    """What the endpoint lists; tests change it between runs."""
    video = server.on("/1.mp4", Reply(clip.read_bytes()))
    page = server.on("/2", Reply(b"<!doctype html>", content_type="text/html"))
    return [record(1, video), record(2, page), record(3, None)]


@pytest.fixture
def archive(server: ScriptedServer, records: list[Any]) -> Archive:
    return Archive.open(settings_for(serve_listing(server, lambda: records), video_count="all", retry_count=0))


@pytest.fixture
def services(archive: Archive) -> Iterator[Services]:
    with open_services(archive) as opened:
        yield opened


def back_up_once(archive: Archive, *, force: bool = False) -> WholeDay:
    with open_services(archive) as services, archive.lease(DAY, owner="a run") as held:
        return back_up(held, services, force=force)


def test_a_whole_day_is_stored_and_its_second_run_has_nothing_to_do(archive: Archive) -> None:
    done = back_up_once(archive)
    assert (done.fetched.growth.new, len(done.rows.rows), done.rows.written) == (3, 3, 3)
    assert [video.id for video in done.copied.copied] == ["1"]
    assert sorted(skip.kind for skip in done.copied.manifest.skipped) == ["gone", "page"]
    assert [video.source_key for video in done.encoded.encoded] == [f"videos/{DAY}/1.mp4"]
    assert done.keys.written == 1, "the others have no video"
    named = {key: row["output_key"] for key, row in archive.table.get(["1", "2", "3"]).items()}
    assert named == {"1": f"processed_videos/{DAY}/1.mp4", "2": None, "3": None}
    report = reconcile_day(archive.store, archive.table, DAY, deep=True)
    assert (report.findings, report.highlights, report.rows, report.copies, report.outputs) == ([], 3, 3, 1, 1)
    assert archive.state(DAY).undone is None

    again = back_up_once(archive)
    assert (again.fetched.growth.new, again.rows.written, again.copied.copied, again.encoded.encoded) == (0, 0, [], [])
    assert again.keys.written == 0
    forced = back_up_once(archive, force=True)
    assert (forced.copied.unchanged, len(forced.encoded.encoded)) == (1, 1)


def test_a_day_is_backed_up_without_dagster_being_imported(archive: Archive, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from ncaa_assets.archive.archive import Archive\n"
        "from ncaa_assets.day.whole import back_up, open_services\n"
        "from ncaa_assets.settings import Settings\n"
        "archive = Archive.open(Settings.from_environment())\n"
        "with open_services(archive) as services, archive.lease(sys.argv[1], owner='a script') as held:\n"
        "    done = back_up(held, services)\n"
        "print(len(done.encoded.encoded), {'dagster', 'boto3'} & set(sys.modules))\n"
    )
    settings = archive.settings
    environment = {
        "PATH": "", "API_URL": str(settings.api_url), "RAPIDAPI_KEY": "a-key", "VIDEO_ALLOW_PRIVATE_HOSTS": "1",
        "DATA_DIR": str(tmp_path / "elsewhere"), "PYTHONPATH": str(Path(__file__).parents[2]),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code, DAY], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("1 set()", 0), done.stderr


def test_an_answer_that_breaks_off_is_kept_and_is_not_whole(
    archive: Archive, services: Services, server: ScriptedServer, records: list[Any]
) -> None:
    records[:] = [record(number, None) for number in range(45)]

    def page(handler: Any) -> None:
        offset = int(server.asked[-1].query["offset"])
        if offset:
            Reply(status=500).send(handler)
        else:
            body = {"data": records[:40], "pagination": {"totalCount": 45}}
            Reply(json.dumps(body).encode()).send(handler)

    server.on("/basketball/highlights", page)
    with archive.lease(DAY, owner="a run") as held:
        fetched = fetch(held, services.source)
    assert "page 2 did not come: the API is down" in fetched.fetch.gaps[0]
    stored = archive.load(HighlightsDay, DAY)
    assert len(stored.data) == 40
    assert (stored.backup.fetches[-1].whole, stored.backup.fetches[-1].complete) == (False, False)
    assert "did not read the whole listing" in str(archive.state(DAY).undone)


def test_a_run_that_lost_its_day_writes_nothing_more(
    archive: Archive, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    with archive.lease(DAY, owner="a run") as held:
        first = fetch(held, services.source)
        lost = LeaseLost("another run took it")

        def refuse() -> None:
            raise lost

        monkeypatch.setattr(held.lease, "check", refuse)
        for step in (
            lambda: fetch(held, services.source),
            lambda: write_rows(held, first.document),
            lambda: copy(held, first.document, services.copier, count=None),
            lambda: encode(held, VideosDay(date=DAY), services.transcoder),
        ):
            with pytest.raises(LeaseLost):
                step()
    assert len(archive.load(HighlightsDay, DAY).backup.fetches) == 1
    assert archive.table.get(["1"]) == {}
    assert list(archive.store.list("videos/")) == []
    assert list(archive.store.list("processed_videos/")) == []


def test_an_encode_that_ends_after_the_day_was_lost_is_not_published(
    archive: Archive, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    with archive.lease(DAY, owner="a run") as held:
        copied = copy(held, fetch(held, services.source).document, services.copier, count=None)

        def refuse() -> None:
            raise LeaseLost("another run took it")

        monkeypatch.setattr(held.lease, "check", refuse)
        with pytest.raises(LeaseLost):
            encode(held, copied.manifest, services.transcoder)
    assert list(archive.store.list("processed_videos/")) == []


def test_a_held_day_takes_no_other_days_document(archive: Archive) -> None:
    with archive.lease(DAY, owner="a run") as held, pytest.raises(ValueError, match="does not belong to"):
        held.save(VideosDay(date="2025-03-10"))


def test_a_day_that_another_run_holds_has_nothing_to_write_with(archive: Archive) -> None:
    with archive.lease(DAY, owner="first"), pytest.raises(LeaseHeld) as refusal, archive.lease(DAY, owner="second"):
        pass
    taken = TakenDay(DAY, str(refusal.value))
    assert not {"archive", "save", "write_rows", "claim", "check"} & set(dir(taken))


def test_one_video_that_fails_for_a_passing_reason_fails_the_day_after_the_others_are_stored(
    archive: Archive, server: ScriptedServer, records: list[Any], clip: Path
) -> None:
    records.append(record(4, server.on("/4.mp4", Reply(status=503))))
    with pytest.raises(BackupError, match=r"1 video could not be copied now .*the other videos are stored"):
        back_up_once(archive)
    assert [video.id for video in archive.load(VideosDay, DAY).videos] == ["1"]
    assert archive.state(DAY).undone is not None

    server.on("/4.mp4", Reply(clip.read_bytes() + b"\x00\x00\x00\x0cfree1234"))
    done = back_up_once(archive)
    assert [video.id for video in done.copied.copied] == ["4"]
    assert sorted(video.id for video in done.encoded.manifest.videos) == ["1", "4"]


def test_an_encode_that_fails_is_named_and_the_next_run_encodes_only_that(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/bin/false")
    with pytest.raises(BackupError, match=r"1 video could not be encoded \(1: .*; what was encoded is stored"):
        back_up_once(archive)
    copied: list[CopiedVideo] = archive.load(VideosDay, DAY).videos
    assert [video.id for video in copied] == ["1"]
    monkeypatch.delenv("IMAGEIO_FFMPEG_EXE")
    done = back_up_once(archive)
    assert (done.copied.copied, len(done.encoded.encoded)) == ([], 1)
    assert len(archive.load(ProcessedDay, DAY).videos) == 1


def test_without_a_key_the_sample_answers_for_as_long_as_the_services_are_open(tmp_path: Path) -> None:
    archive = Archive.open(Settings.model_validate({"data_dir": tmp_path / "data"}))
    with open_services(archive) as services:
        assert services.source.trusted_origin is not None
        assert services.source.fetch_day(DAY, "nba").complete
    with pytest.raises(SourceError, match="cannot be reached"):
        services.source.fetch_day(DAY, "nba")


def test_an_id_of_three_megabytes_is_kept_and_has_its_row_copy_and_encode(archive: Archive, records: list[Any]) -> None:
    identifier = "7" + "é" * 1_500_000
    records[:] = [records[0] | {"id": identifier}]
    for _ in range(2):
        done = back_up_once(archive)
        assert [one["id"] for one in done.fetched.document.data] == [identifier]
        assert (len(done.copied.manifest.videos), len(done.encoded.manifest.videos)) == (1, 1)
        (row,) = archive.table.day(DAY)
        assert (row["id"], row["in_json"]["fields"]) == (row_key(identifier), ["id"])
    assert done.rows.written == 0
    assert archive.state(DAY).undone is None
    assert reconcile_day(archive.store, archive.table, DAY, deep=True).findings == []
