"""What a person may change for one run in the launchpad, and what a run of it does."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ncaa_assets.archive.archive import Archive
from ncaa_assets.definitions import build_defs
from ncaa_assets.runs.instance import open_instance
from ncaa_assets.runs.outcome import DayRun, recall
from ncaa_assets.settings import Settings
from ncaa_assets_tests.days import DAY, KEY, settings_for
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import API_PATH, record, serve_listing


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def settings(server: ScriptedServer, clip: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of a day with three videos, of which the settings ask for two."""
    monkeypatch.setenv("RAPIDAPI_KEY", KEY)
    monkeypatch.setenv("DAGSTER_HOME", "")
    records = [record(number, server.on(f"/{number}.mp4", Reply(clip.read_bytes()))) for number in (1, 2, 3)]
    return settings_for(serve_listing(server, lambda: records), video_count=2, encode="needed")


def run_with(settings: Settings, home: Path, config: dict[str, Any]) -> DayRun:
    """A run of the daily job that was launched with a config."""
    with open_instance(home) as instance:
        done = (
            build_defs(settings)
            .resolve_job_def("daily_backup")
            .execute_in_process(partition_key=DAY, instance=instance, run_config=config, raise_on_error=False)
        )
        return recall(instance, done.run_id)


def of_videos(**config: Any) -> dict[str, Any]:
    return {"ops": {"videos": {"config": config}}}


def stored(asset: str) -> list[str]:
    document = json.loads(Path("data", asset, f"{DAY}.json").read_text("utf-8"))
    return sorted(video["id"] for video in document["videos"])


def undone(settings: Settings) -> str | None:
    return Archive.open(settings).state(DAY).undone


def test_the_launchpad_has_what_a_person_may_change_and_nothing_else() -> None:
    job = build_defs(Settings()).resolve_job_def("daily_backup")
    default = dg.validate_run_config(job, {})["ops"]
    assert {name: ops["config"] for name, ops in default.items() if ops.get("config")} == {
        "videos": {"video_count": "VIDEO_COUNT", "force": False},
        "processed_videos": {"force": False},
    }
    for name in set(default) - {"videos", "processed_videos"}:
        with pytest.raises(dg.DagsterInvalidConfigError, match='unexpected config entry "force"'):
            dg.validate_run_config(job, {"ops": {name: {"config": {"force": True}}}})


@pytest.mark.parametrize("count", [3, "3", "all"])
def test_a_run_can_have_more_videos_and_they_stay(settings: Settings, home: Path, count: object) -> None:
    assert run_with(settings, home, of_videos(video_count=count)).is_whole
    assert stored("videos") == stored("processed_videos") == ["1", "2", "3"]
    assert undone(settings) is None
    assert run_with(settings, home, {}).is_whole
    assert stored("videos") == stored("processed_videos") == ["1", "2", "3"]


def test_of_fewer_videos_the_days_next_run_makes_up_for_the_rest(settings: Settings, home: Path) -> None:
    assert run_with(settings, home, of_videos(video_count=1)).succeeded
    assert stored("videos") == stored("processed_videos") == ["1"]
    assert undone(settings) == "failed: 1 video not copied"
    assert run_with(settings, home, of_videos(video_count="VIDEO_COUNT")).is_whole
    assert stored("videos") == stored("processed_videos") == ["1", "2"]
    assert undone(settings) is None


@pytest.mark.parametrize("count", [0, "three", 1.5, True, [3]])
def test_a_number_of_videos_that_is_none_ends_the_run_in_one_sentence(
    settings: Settings, home: Path, count: object
) -> None:
    ended = run_with(settings, home, of_videos(video_count=count))
    assert ended.what_went_wrong() == (
        f"videos: video_count must be a whole number from 1, or 'all', and not '{count}'; correct it in the launchpad"
    )


def test_a_setting_that_a_person_writes_into_the_launchpad_is_refused_before_anything_is_asked(
    settings: Settings, home: Path, server: ScriptedServer
) -> None:
    """The run took it, and nothing came of it."""
    ended = run_with(settings, home, {"resources": {"settings": {"config": {"video_count": "3"}}}})
    assert ended.what_went_wrong() == (
        "a run cannot change a setting, which the resource `settings` only shows; set the variable where the UI is "
        "started"
    )
    assert server.times(API_PATH) == 0
