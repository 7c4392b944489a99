"""Buttons of the UI that change what Dagster has recorded: the archive alone says what is backed up."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from ncaa_assets.archive.archive import Archive
from ncaa_assets.definitions import build_defs
from ncaa_assets.record.models import ASSETS
from ncaa_assets.runs.instance import open_instance
from ncaa_assets.settings import Settings
from ncaa_assets_tests.days import KEY, run_day, settings_for
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import record, serve_listing

DAY = (Settings().today() - timedelta(days=1)).isoformat()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def instance(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", "")
    with open_instance(home) as opened:
        yield opened


@pytest.fixture
def settings(server: ScriptedServer, clip: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("RAPIDAPI_KEY", KEY)
    video = server.on("/1.mp4", Reply(clip.read_bytes()))
    return settings_for(serve_listing(server, lambda: [record(1, video)]), lookback_days=1, encode="needed")


def shown(instance: dg.DagsterInstance) -> int:
    """How many of the five assets the UI shows as materialized for the day."""
    return sum(DAY in instance.get_materialized_partitions(dg.AssetKey(asset)) for asset in ASSETS)


def test_what_is_wiped_in_the_ui_is_still_backed_up_and_comes_back_without_a_second_copy(
    instance: dg.DagsterInstance, settings: Settings, home: Path, server: ScriptedServer
) -> None:
    assert run_day(settings, home, DAY).is_whole
    assert shown(instance) == 5
    before = Archive.open(settings).state(DAY)
    instance.wipe_assets([dg.AssetKey(asset) for asset in ASSETS])
    assert shown(instance) == 0
    assert Archive.open(settings).state(DAY) == before

    assert run_day(settings, home, DAY).is_whole
    assert shown(instance) == 5
    assert server.times("/1.mp4") == 1


def test_a_run_that_is_deleted_leaves_its_day_as_it_is(
    instance: dg.DagsterInstance, settings: Settings, home: Path
) -> None:
    ended = run_day(settings, home, DAY)
    before = Archive.open(settings).state(DAY)
    assert before.undone is None
    instance.delete_run(ended.run_id)
    assert Archive.open(settings).state(DAY) == before


def test_a_materialization_that_a_person_reports_does_not_make_a_day_backed_up(
    instance: dg.DagsterInstance, settings: Settings, home: Path
) -> None:
    instance.wipe_assets([dg.AssetKey(asset) for asset in ASSETS])
    for asset in ASSETS:
        instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=DAY))
    assert shown(instance) == 5
    assert Archive.open(settings).state(DAY).undone == "missing: it was never backed up"
    done = (
        build_defs(settings)
        .resolve_implicit_global_asset_job_def()
        .execute_in_process(
            partition_key=DAY, instance=instance, asset_selection=[dg.AssetKey("videos")], raise_on_error=False
        )
    )
    (failure,) = [event for event in done.all_events if event.is_step_failure]
    assert f"highlights of {DAY} is not stored yet" in failure.step_failure_data.error_display_string
    assert run_day(settings, home, DAY).is_whole
