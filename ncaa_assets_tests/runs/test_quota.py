"""Runs of many days on a plan of few requests, as a backfill of the UI starts them: real runs, the sensor, catch-up."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from ncaa_assets.archive.archive import Archive
from ncaa_assets.definitions import build_defs
from ncaa_assets.record.models import ASSETS
from ncaa_assets.runs.execute import execute_day
from ncaa_assets.runs.instance import open_instance
from ncaa_assets.runs.outcome import DayRun
from ncaa_assets.runs.results import Result
from ncaa_assets.settings import Settings
from ncaa_assets_tests.days import KEY, command
from ncaa_assets_tests.loopback.http_server import ScriptedServer
from ncaa_assets_tests.loopback.listing import ScriptedApi, serve_api

FIRST = date(2026, 1, 10)
DAYS = [FIRST + timedelta(days=later) for later in range(12)]
RESERVE = 5


@pytest.fixture
def api(server: ScriptedServer) -> ScriptedApi:
    return serve_api(server, quota_left=8)


@pytest.fixture
def settings(api: ScriptedApi, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in {"RAPIDAPI_KEY": KEY, "API_BASE": api.base_url, "API_MODULE": "nba", "RETRY_COUNT": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return Settings.from_environment()


@pytest.fixture
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    with open_instance(settings.dagster_home()) as opened:
        yield opened


@dg.job
def another_teams_job() -> None:
    """A job of others, whose runs may have any tags."""


def backfill(instance: dg.DagsterInstance, settings: Settings, days: list[date] = DAYS) -> list[DayRun]:
    """One run a day, each with all that it needs opened anew, as in a process of its own."""
    return [execute_day(instance, build_defs(settings), day, trigger="the UI") for day in days]


def results(runs: list[DayRun]) -> list[Result]:
    return [run.result({*ASSETS}, was_held=False) for run in runs]


def test_a_backfill_stops_asking_at_the_reserve_and_is_reported_once(
    api: ScriptedApi, settings: Settings, instance: dg.DagsterInstance, caplog: pytest.LogCaptureFixture
) -> None:
    cursor: str | None = None

    def tick() -> list[str]:
        nonlocal cursor
        caplog.clear()
        sensor = build_defs(settings).resolve_sensor_def("failure_sensor")
        with caplog.at_level(logging.ERROR):
            context = dg.build_sensor_context(instance, cursor=cursor)
            sensor(context)
        cursor = context.cursor
        return [text for entry in caplog.records if (text := entry.getMessage()).startswith("ALERT ")]

    tick()
    copied = {"ncaa_assets/quota_alert": datetime.now(UTC).date().isoformat(), "ncaa_assets/alerted": "another run"}
    instance.create_run_for_job(another_teams_job, tags=copied)
    runs = backfill(instance, settings)
    assert results(runs) == [Result.BACKED_UP] * 3 + [Result.NOT_STARTED] * 9
    assert api.quota_left == RESERVE
    assert len(api.asked("nba")) == 3
    assert {instance.get_run_by_id(run.run_id).status for run in runs[3:]} == {dg.DagsterRunStatus.FAILURE}  # type: ignore[union-attr]

    (alert,) = tick()
    assert alert.startswith(
        f"ALERT daily_backup {DAYS[3]}: highlights: 5 API requests are left today and QUOTA_RESERVE keeps 5; run it "
        "again tomorrow, or set QUOTA_RESERVE lower (reported once a day, for all days that wait for the API's quota)"
    )
    backfill(instance, settings, DAYS[-2:])
    assert tick() == [], "once for the whole UTC date"
    elsewhere = settings.model_copy(update={"data_dir": Path("another archive")})
    noted = next(Path(settings.archive_dir, ".quota").iterdir())
    copy = elsewhere.archive_dir / ".quota" / noted.name
    copy.parent.mkdir(parents=True)
    copy.write_bytes(noted.read_bytes())
    backfill(instance, elsewhere, DAYS[:2])
    assert len(tick()) == 1, "once for each archive"


def test_catch_up_takes_up_the_days_that_were_not_started(
    api: ScriptedApi, settings: Settings, instance: dg.DagsterInstance
) -> None:
    yesterday = settings.parse_day(None)
    days = [yesterday - timedelta(days=back) for back in range(3)]
    api.quota_left = 6
    assert results(backfill(instance, settings, days)) == [Result.BACKED_UP, Result.NOT_STARTED, Result.NOT_STARTED]

    kept = command("catch-up", "--days", "3")
    assert kept.returncode == 1, kept.stdout + kept.stderr
    assert f"stopped before {days[1]}: 5 API requests are left today and QUOTA_RESERVE keeps 5" in kept.stderr
    assert len(api.asked("nba")) == 1, "what is left is known without a request"

    api.quota_left = 100
    (noted,) = Path(settings.archive_dir, ".quota").iterdir()
    noted.write_text(json.dumps(json.loads(noted.read_text()) | {"at": "2026-01-01T00:00:00Z"}))
    done = command("catch-up", "--days", "3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert Archive.open(settings).days() == sorted(map(str, days))


@pytest.mark.parametrize(("reserve", "code"), [("5", 1), ("4", 0)])
def test_a_single_day_that_may_not_spend_starts_no_run_and_the_advice_works(
    api: ScriptedApi, settings: Settings, instance: dg.DagsterInstance, reserve: str, code: int
) -> None:
    api.quota_left = 6
    backfill(instance, settings, DAYS[:1])
    result = command("backup", "--date", str(DAYS[1]), QUOTA_RESERVE=reserve)
    assert result.returncode == code, result.stdout + result.stderr
    told = "5 API requests are left today and QUOTA_RESERVE keeps 5; run it again tomorrow, or set QUOTA_RESERVE lower"
    assert (told in result.stderr) == bool(code)
    assert len(instance.get_runs()) == 2 - code
    assert api.quota_left == (5 if code else 4)


def test_runs_on_the_sample_are_limited_by_nothing(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAPIDAPI_KEY")
    monkeypatch.delenv("API_BASE")
    result = command("backup", "--date", "2025-03-09", QUOTA_RESERVE="1000000", ENCODE="never")
    assert result.returncode == 0, result.stdout + result.stderr
