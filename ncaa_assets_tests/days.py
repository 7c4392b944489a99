"""What the tests of whole days share: settings for an endpoint of their own, a run of the daily job, the command."""

import atexit
import functools
import os
import shutil
import subprocess
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

import ncaa_assets_tests.loopback.migrations  # noqa: F401 - it speeds up whatever this process does with Dagster
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


def back_up(settings: Settings, day: str = DAY, *, force: bool = False) -> None:
    """Leaves the archive as a good day leaves it, for tests that care about the archive and not about the run."""
    ended = run_day(settings, _home_of_backups(), day, force=force)
    assert ended.succeeded, ended.errors
    assert ended.failed_checks == ended.warnings == []


@functools.cache
def _home_of_backups() -> Path:
    """One Dagster home a process: making one takes longer than some days do."""
    home = Path(tempfile.mkdtemp(prefix="ncaa-home-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    return home


def metadata_of(instance: dg.DagsterInstance, asset: str) -> dict[str, Any]:
    """The metadata of an asset's latest materialization."""
    event = instance.get_latest_materialization_event(dg.AssetKey(asset))
    assert event is not None
    assert event.asset_materialization is not None
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The real `ncaa-assets` command as a process, in the working directory."""
    return subprocess.run(
        [COMMAND, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
