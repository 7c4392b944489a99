"""What the tests of whole days share: settings for an endpoint of their own, a run of the daily job, the command."""

import os
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

import ncaa_assets_tests.loopback.migrations  # noqa: F401 - it speeds up whatever this process does with Dagster
from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.reconcile import reconcile_day, still_listed
from ncaa_assets.day import whole
from ncaa_assets.day.whole import WholeDay, open_services
from ncaa_assets.definitions import build_defs
from ncaa_assets.runs.execute import execute_day
from ncaa_assets.runs.instance import open_instance
from ncaa_assets.runs.outcome import DayRun
from ncaa_assets.settings import Settings
from ncaa_assets_tests.loopback.running_ui import COMMAND

DAY = "2025-03-09"
KEY = "a-key-that-must-not-show"


def settings_for(api_url: str, **values: Any) -> Settings:
    """Settings for an endpoint of a test's own, with its archive in `data` of the working directory."""
    return Settings.model_validate(
        {"api_url": api_url, "rapidapi_key": KEY, "video_allow_private_hosts": True, "retry_delay": 0, **values}
    )


def run_day(settings: Settings, home: Path, day: str = DAY, *, force: bool = False) -> DayRun:
    """One run of the daily job, in this process, on an instance in `home`."""
    os.environ["RAPIDAPI_KEY"] = KEY  # the resource names the variable; the fixture that cleans up restores it
    with open_instance(home) as instance:
        return execute_day(instance, build_defs(settings), date.fromisoformat(day), force=force)


def back_up(settings: Settings, day: str = DAY, *, force: bool = False) -> WholeDay:
    """Leaves the archive as a good day leaves it, without Dagster: for tests that care about the archive and not about
    the run."""
    archive = Archive.open(settings)
    with open_services(archive) as services, archive.lease(day, owner="a test") as held:
        done = whole.back_up(held, services, force=force)
    assert reconcile_day(archive.store, archive.table, day).findings == []
    identity = archive.any_identity()
    assert identity is not None
    assert still_listed(done.fetched.document, identity.founding_module).findings == []
    return done


def metadata_of(instance: dg.DagsterInstance, asset: str) -> dict[str, Any]:
    """The metadata of an asset's latest materialization."""
    event = instance.get_latest_materialization_event(dg.AssetKey(asset))
    assert event is not None
    assert event.asset_materialization is not None
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The real `ncaa-assets` command as a process, in the working directory. On AWS it has the region as the README
    gives it, in AWS_REGION alone."""
    ours = {name: value for name, value in os.environ.items() if name != "AWS_DEFAULT_REGION"}
    return subprocess.run(
        [COMMAND, *arguments],
        env={**ours, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
