"""Whole days in this process: what a run does when the source, the archive or another run has changed."""

import json
import os
import re
import sqlite3
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ncaa_assets.archive.archive import Archive
from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.definitions import build_defs
from ncaa_assets.defs.partitions import game_days
from ncaa_assets.defs.resources import build_resources
from ncaa_assets.failures import SettingsError
from ncaa_assets.record.models import ASSETS
from ncaa_assets.runs.outcome import DayRun, RunError
from ncaa_assets.runs.results import Result
from ncaa_assets.settings import Settings
from ncaa_assets_tests.archives import lease_of
from ncaa_assets_tests.days import DAY, KEY, metadata_of, run_day, settings_for
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import API_PATH, record, serve_listing

ALL = ["highlights", "backup_rows", "videos", "processed_videos", "gallery"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One Dagster home for all runs of this file, because creating one takes seconds. Each test has its own archive."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def records(server: ScriptedServer, clip: Path) -> list[Any]:
    """What the endpoint lists; tests change it between runs."""
    return [record(1, server.on("/1.mp4", Reply(clip.read_bytes()))), record(2, None)]


@pytest.fixture
def settings(server: ScriptedServer, records: list[Any], monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("RAPIDAPI_KEY", "")  # so that what `run_day` sets is undone
    monkeypatch.setenv("DAGSTER_HOME", "")
    return settings_for(serve_listing(server, lambda: records))


def stored(kind: str = "highlights") -> dict[str, Any]:
    document: dict[str, Any] = json.loads(Path("data", kind, f"{DAY}.json").read_text("utf-8"))
    return document


def why(ended: DayRun) -> str:
    return ended.errors[0].sentence(debug=False)


def test_a_record_that_vanishes_and_one_that_changes_are_both_kept(
    settings: Settings, records: list[Any], home: Path
) -> None:
    assert run_day(settings, home).succeeded
    records[:] = [{**records[0], "title": "a new title"}]
    assert run_day(settings, home).succeeded

    document = stored()
    assert {one["id"] for one in document["data"]} == {1, 2}
    entries = document["backup"]["records"]
    assert entries["2"]["removed_upstream"] == document["backup"]["fetches"][1]["at"]
    assert [change["record"]["title"] for change in entries["1"]["history"]] == ["Team 1 vs. San José – Highlights"]
    with sqlite3.connect("data/highlights.sqlite") as table:
        rows = dict(table.execute("SELECT id, removed_upstream IS NOT NULL FROM highlights"))
    assert rows == {"1": 0, "2": 1}
    assert len(list(Path("data/.history/highlights", DAY).iterdir())) == 1, "the replaced document is kept"


def test_a_day_that_answers_none_any_more_removes_nothing_and_says_so(
    settings: Settings, records: list[Any], home: Path
) -> None:
    assert run_day(settings, home).succeeded
    records.clear()
    ended = run_day(settings, home)
    assert ended.succeeded
    assert "used to list" in ended.summaries["highlights"]
    assert ended.failed_checks == []
    (warning,) = ended.warnings
    assert "2 kept, and the API lists none any more" in warning
    assert {one["id"] for one in stored()["data"]} == {1, 2}


def test_a_day_without_games_is_a_success_that_says_so(settings: Settings, records: list[Any], home: Path) -> None:
    records.clear()
    ended = run_day(settings, home)
    assert ended.succeeded
    assert list(ended.summaries) == ALL
    assert "no games" in ended.summaries["highlights"]
    assert "a day with games to try: 2025-03-09" in ended.summaries["highlights"], "a newcomer's first day"
    assert "to try" not in run_day(settings, home).summaries["highlights"], "said once"
    assert ended.failed_checks == ended.warnings == []


def test_a_day_that_another_run_holds_is_skipped_and_nothing_is_written(settings: Settings, home: Path) -> None:
    with lease_of(LocalStore(Path("data")), DAY, "another-run"):
        ended = run_day(settings, home)
    assert ended.succeeded
    assert ended.summaries == {}
    assert not Path("data/highlights").exists()
    assert run_day(settings, home).summaries.keys() == set(ALL), "given back, the day is free"


def test_a_lease_is_held_from_the_first_step_to_the_last(
    settings: Settings, server: ScriptedServer, clip: Path, home: Path
) -> None:
    seen: list[bool] = []

    def watching(handler: Any) -> None:
        seen.append(Path("data/.leases", f"{DAY}.json").exists())
        Reply(clip.read_bytes()).send(handler)

    server.on("/1.mp4", watching)
    assert run_day(settings, home).succeeded
    assert seen == [True]
    assert not Path("data/.leases", f"{DAY}.json").exists()


def test_an_api_that_fails_fails_the_first_step_and_stores_nothing(
    settings: Settings, server: ScriptedServer, home: Path
) -> None:
    server.on(API_PATH, Reply(b'{"message":"You are not subscribed to this API."}', status=403))
    ended = run_day(settings, home)
    assert not ended.succeeded
    assert "subscribe the key" in why(ended)
    assert not Path("data/archive.json").exists(), "a source that never answered does not name an archive"
    assert not Path("data/highlights").exists()
    assert not Path("data/highlights.sqlite").exists()


def test_a_video_that_breaks_fails_its_step_after_the_others_are_recorded_and_is_taken_up_by_the_next_run(
    settings: Settings, server: ScriptedServer, records: list[Any], clip: Path, home: Path
) -> None:
    whole = clip.read_bytes()
    records[:] = [
        record(1, server.on("/cut.mp4", Reply(whole[: len(whole) // 2], length=len(whole)))),
        record(2, server.on("/whole.mp4", Reply(whole))),
    ]
    every = settings.model_copy(update={"video_count": None, "retry_count": 1})
    ended = run_day(every, home)
    assert not ended.succeeded
    assert "1 video could not be copied now" in why(ended)
    assert list(ended.summaries) == ["highlights", "backup_rows"]
    assert [video["id"] for video in stored("videos")["videos"]] == ["2"]
    assert [(skip["id"], skip["kind"]) for skip in stored("videos")["skipped"]] == [("1", "failed")]
    assert server.times("/cut.mp4") == 2, "the copy itself was tried again, once"

    server.on("/cut.mp4", Reply(whole))
    assert run_day(every, home).succeeded
    assert sorted(video["id"] for video in stored("videos")["videos"]) == ["1", "2"]
    assert stored("videos")["skipped"] == []
    assert server.times("/whole.mp4") == 1, "what was copied is not fetched again"


def test_a_video_that_can_never_be_encoded_is_kept_and_the_next_run_takes_another(
    settings: Settings, records: list[Any], server: ScriptedServer, clip: Path, home: Path
) -> None:
    records[1] = record(2, server.on("/2.mp4", Reply(clip.read_bytes())))
    data = bytearray(clip.read_bytes())
    at = data.index(
        b"avcC"
    )  # the decoder's configuration: without it no frame can be decoded, although the file is whole
    data[at + 4 : at + 20] = bytes(16)
    server.on("/1.mp4", Reply(bytes(data)))
    ended = run_day(settings, home)
    assert ended.succeeded
    assert ended.result(set(ASSETS), was_held=False) is Result.INCOMPLETE
    assert "cannot be encoded" in ended.warnings[0]
    assert Path("data/videos", DAY, "1.mp4").read_bytes() == bytes(data)
    assert not list(Path("data").glob("processed_videos/*/*"))
    assert not list(Path("data/.tmp").iterdir())
    again = run_day(settings, home)
    assert again.result(set(ASSETS), was_held=False) is Result.BACKED_UP
    assert [path.name for path in sorted(Path("data").glob("processed_videos/*/*"))] == ["2.jpg", "2.mp4"]


def test_force_fetches_and_encodes_again_and_stores_the_same(
    settings: Settings, server: ScriptedServer, home: Path
) -> None:
    assert run_day(settings, home).succeeded
    before = stored("videos")["videos"][0]
    encoded = Path("data/processed_videos", DAY, "1.mp4").stat().st_mtime_ns
    assert run_day(settings, home, force=True).succeeded
    assert server.times("/1.mp4") == 2
    assert stored("videos")["videos"] == [before]
    assert Path("data/processed_videos", DAY, "1.mp4").stat().st_mtime_ns > encoded


def test_an_object_that_was_lost_is_copied_and_encoded_again(settings: Settings, home: Path) -> None:
    assert run_day(settings, home).succeeded
    Path("data/videos", DAY, "1.mp4").unlink()
    Path("data/processed_videos", DAY, "1.jpg").unlink()
    ended = run_day(settings, home)
    assert ended.succeeded
    assert ended.summaries["videos"].startswith("1 video copied")
    assert ended.summaries["processed_videos"].startswith("1 video encoded")
    assert Path("data/videos", DAY, "1.mp4").exists()
    assert Path("data/processed_videos", DAY, "1.jpg").exists()


def test_a_damaged_document_is_left_alone_and_the_error_says_where_it_is(settings: Settings, home: Path) -> None:
    assert run_day(settings, home).succeeded
    path = Path("data/highlights", f"{DAY}.json")
    path.write_text('{"schema_version": 1, "date": ')
    ended = run_day(settings, home)
    assert not ended.succeeded
    assert "is damaged" in why(ended)
    assert path.read_text() == '{"schema_version": 1, "date": '


def test_each_materialization_carries_what_a_person_would_look_at(settings: Settings, home: Path) -> None:
    ended = run_day(settings, home)
    assert ended.succeeded
    with dg.DagsterInstance.from_config(str(home)) as instance:
        shown = {asset: metadata_of(instance, asset) for asset in ALL}
    archive = Path("data").absolute()
    assert shown["highlights"]["dagster/uri"] == str(archive / "highlights" / f"{DAY}.json")
    assert not any({"stored_at", "folder"} & metadata.keys() for metadata in shown.values()), "an address once"
    assert {"highlights", "new", "changed", "removed_upstream", "rejected", "complete", "api_requests", "api_seconds",
            "api_requests_left_today", "listing"} <= shown["highlights"].keys()  # fmt: skip
    assert shown["backup_rows"]["dagster/partition_row_count"] == shown["backup_rows"]["rows_written"] == 2
    assert shown["videos"]["copied_bytes"] == Path("data/videos", DAY, "1.mp4").stat().st_size
    assert shown["processed_videos"]["encoded_minutes"] == pytest.approx(2 / 60, abs=0.01)
    assert shown["processed_videos"]["poster"].startswith("![")
    assert not any("SAMPLE" in metadata for metadata in shown.values())


def test_copies_and_outputs_are_shown_in_the_order_of_the_listing(
    settings: Settings, records: list[Any], server: ScriptedServer, clip: Path, home: Path
) -> None:
    """They are stored in the order in which they came: the second run's behind the first's."""
    video = clip.read_bytes()
    records[:] = [record(number, server.on(f"/{number}.mp4", Reply(video))) for number in (9, 3)]
    assert run_day(settings, home).succeeded
    records[:] = [record(number, server.on(f"/{number}.mp4", Reply(video))) for number in (7, 9, 3)]
    assert run_day(settings.model_copy(update={"video_count": 3}), home).succeeded
    assert stored("videos")["videos"][0]["id"] == "9"
    with dg.DagsterInstance.from_config(str(home)) as instance:
        copies, outputs = (
            metadata_of(instance, "videos")["copies"],
            metadata_of(instance, "processed_videos")["outputs"],
        )
    assert re.findall(r"(\d)\\?\.mp4", str(copies))[::2] == ["7", "9", "3"]
    assert re.findall(r"(\d)\\?\.mp4", str(outputs)) == ["7", "9", "3"]


def test_a_run_is_the_daily_jobs_with_its_partition_and_code_location(settings: Settings, home: Path) -> None:
    ended = run_day(settings, home)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        run = instance.get_run_by_id(ended.run_id)
        lines = instance.all_logs(ended.run_id)
    assert run is not None
    assert run.job_name == "daily_backup"
    assert run.tags["dagster/partition"] == DAY
    assert run.tags["dagster/code_location"] == "ncaa_assets"
    assert run.remote_job_origin is not None
    assert run.remote_job_origin.repository_origin.repository_name == "__repository__"
    assert any("copied" in line.user_message for line in lines), "what the modules log is among the run's events"


def test_a_run_without_a_partition_fails_and_says_what_to_choose(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAPIDAPI_KEY", KEY)
    job = build_defs(settings).resolve_job_def("daily_backup")
    with pytest.raises(dg.DagsterError) as failed:
        job.execute_in_process()
    assert isinstance(failed.value.__cause__, SettingsError)
    assert "choose the game day" in str(failed.value.__cause__)
    assert not Path("data").exists()


def test_what_came_before_a_page_that_failed_is_kept_and_the_day_is_incomplete(
    settings: Settings, server: ScriptedServer, home: Path
) -> None:
    first = {"data": [record(1, None)], "pagination": {"totalCount": 2}}
    server.on(API_PATH, Reply(json.dumps(first).encode()), Reply(status=404))
    ended = run_day(settings, home)
    assert ended.succeeded
    assert not ended.is_whole
    assert ended.result(set(ASSETS), was_held=False) is Result.INCOMPLETE
    assert "page 2 did not come: there is nothing at" in str(ended.what_is_left)
    assert [one["id"] for one in stored()["data"]] == [1]
    assert stored()["backup"]["fetches"][0]["complete"] is False


def test_a_record_nested_too_deeply_is_kept_as_text_and_the_day_goes_on_for_ever(
    settings: Settings, records: list[Any], home: Path
) -> None:
    for title in ("first", "second", "third"):
        deep: Any = title
        for _ in range(900):
            deep = [deep]
        records[1:] = [record(2, None, deep=deep)]
        assert run_day(settings, home).succeeded
    assert len(stored()["data"]) == 1
    kept = [json.loads(entry["record"])["id"] for entry in stored()["backup"]["rejected"]]
    assert kept == [2, 2, 2]


@pytest.mark.parametrize("is_sample", [True, False])
def test_runs_on_sample_and_on_real_data_are_refused_in_one_anothers_instance(
    settings: Settings, tmp_path: Path, is_sample: bool
) -> None:
    wrong, right = tmp_path / "home", tmp_path / "home-sample"
    if not is_sample:
        wrong, right = right, wrong
    ended = run_day(Settings() if is_sample else settings, wrong)
    assert not ended.succeeded
    assert f"set DAGSTER_HOME={right} and start Dagster again" in why(ended)
    assert (right / "dagster.yaml").exists(), "Dagster takes no home that is not there"
    assert not list(tmp_path.glob("data*/highlights"))


def test_an_asset_whose_upstream_was_never_materialized_says_what_to_do_first(settings: Settings, home: Path) -> None:
    os.environ["RAPIDAPI_KEY"] = KEY
    with dg.DagsterInstance.from_config(str(home)) as instance:
        job = build_defs(settings).resolve_job_def("daily_backup")
        result = job.execute_in_process(
            partition_key=DAY, instance=instance, asset_selection=[dg.AssetKey("videos")], raise_on_error=False
        )
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert failure.step_failure_data.error is not None
    assert "materialize highlights first" in RunError.of("", failure.step_failure_data.error).sentence(debug=False)


def test_an_asset_downstream_of_the_rows_is_given_the_days_rows(settings: Settings, home: Path) -> None:
    assert run_day(settings, home).succeeded
    given: list[Any] = []
    partitions = game_days(settings)

    @dg.asset(partitions_def=partitions, ins={"backup_rows": dg.AssetIn(input_manager_key="rows")})
    def report(backup_rows: list[Any]) -> None:
        given.extend(backup_rows)

    upstream = dg.AssetSpec("backup_rows", partitions_def=partitions)
    assert dg.materialize(
        [report, upstream], partition_key=DAY, resources=build_resources(settings, lambda: Archive.open(settings))
    ).success
    assert [(row["id"], row["game_date"], row["match"]["odds"]) for row in given] == [
        ("1", DAY, [1.5, 2, None, True]),
        ("2", DAY, [1.5, 2, None, True]),
    ]
