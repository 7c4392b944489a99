"""Whether yesterday is there by nine, and who is told where it is not."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ncaa_assets.definitions import build_defs
from ncaa_assets.defs.by_nine import CHECK
from ncaa_assets.runs.dagster_private import InMemoryJob, execute_run_iterator
from ncaa_assets.runs.execute import LOCATION, execute_day, job_code_origin
from ncaa_assets.runs.instance import open_instance
from ncaa_assets.runs.names import JOB_NAME
from ncaa_assets.runs.outcome import DayRun, recall
from ncaa_assets.settings import Settings
from ncaa_assets_tests.days import DAY, KEY, settings_for
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import record, serve_api, serve_listing
from ncaa_assets_tests.runs.test_ours import remote

NOWHERE = "http://not-asked.invalid/"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAPIDAPI_KEY", KEY)
    monkeypatch.setenv("DAGSTER_HOME", "")


def looked_at(settings: Settings, home: Path, day: str | None = DAY) -> tuple[list[dg.AssetCheckEvaluation], DayRun]:
    """What a run of the morning's job evaluates, and how it ends."""
    tags = {"dagster/partition": day} if day else {}
    with open_instance(home) as instance:
        job = build_defs(settings).resolve_job_def("morning_check")
        result = job.execute_in_process(tags=tags, instance=instance, raise_on_error=False)
        return list(result.get_asset_check_evaluations()), recall(instance, result.run_id)


def run_day(settings: Settings, home: Path) -> DayRun:
    with open_instance(home) as instance:
        return execute_day(instance, build_defs(settings), date.fromisoformat(DAY))


@pytest.mark.parametrize("before", ["no run", "a cancelled run", "a morning's look"])
def test_a_day_that_no_run_was_for_is_an_error_however_often_one_looks(tmp_path: Path, before: str) -> None:
    if before == "a cancelled run":
        tags = {"dagster/partition": DAY}
        with open_instance(tmp_path / "home") as instance:
            instance.add_run(
                dg.DagsterRun(
                    JOB_NAME, tags=tags, status=dg.DagsterRunStatus.CANCELED, remote_job_origin=remote(LOCATION)
                )
            )
    elif before == "a morning's look":
        looked_at(settings_for(NOWHERE), tmp_path / "home")
    ((evaluation,), ended) = looked_at(settings_for(NOWHERE), tmp_path / "home")
    assert (evaluation.passed, evaluation.severity, evaluation.partition) == (False, dg.AssetCheckSeverity.ERROR, DAY)
    assert f"{DAY} is not there (missing: it was never backed up). What to do: " in str(ended.what_went_wrong())


def test_a_day_whose_run_failed_is_a_warning_because_that_was_alerted_of(
    server: ScriptedServer, tmp_path: Path
) -> None:
    api = serve_api(server)
    api.highlights["basketball"] = lambda _: Reply(b"{}", 400)
    settings = settings_for(f"{api.base_url}/basketball/highlights")
    assert not run_day(settings, tmp_path / "home").succeeded
    ((evaluation,), ended) = looked_at(settings, tmp_path / "home")
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert ended.what_went_wrong() is None


def test_a_run_that_ended_well_and_left_something_undone_alerted_nobody(server: ScriptedServer, tmp_path: Path) -> None:
    api = serve_api(server)
    first = Reply(json.dumps({"data": [record(1, None)] * 40, "pagination": {"totalCount": 80}}).encode())
    api.highlights["basketball"] = lambda _: Reply(b"{}", 503) if len(api.asked("basketball")) > 1 else first
    settings = settings_for(api.url("basketball"), matches=False)
    ended = run_day(settings, tmp_path / "home")
    assert ended.what_is_left is not None
    assert ended.what_went_wrong() is None
    ((evaluation,), _) = looked_at(settings, tmp_path / "home")
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "the last fetch did not read the whole listing" in str(evaluation.metadata["summary"].value)


@pytest.mark.parametrize("location", ["backup", "theirs"])
def test_the_run_that_was_is_one_of_the_location_that_asks_whatever_its_name_is(tmp_path: Path, location: str) -> None:
    settings = settings_for(NOWHERE)
    with open_instance(tmp_path / "home") as instance:
        job, tags = build_defs(settings).resolve_job_def("morning_check"), {"dagster/partition": DAY}
        failed = dg.DagsterRun("daily_backup", tags=tags, remote_job_origin=remote(location))
        instance.report_run_failed(instance.add_run(failed))
        asking = instance.create_run_for_job(
            job, tags=tags, remote_job_origin=remote("backup", job="morning_check"), job_code_origin=job_code_origin()
        )
        for _ in execute_run_iterator(InMemoryJob(job), asking, instance):
            pass
        ended = recall(instance, asking.run_id)
    assert bool(ended.warnings) == (location == "backup"), "that was alerted of"
    assert bool(ended.failed_checks) == (location == "theirs")


def latest(home: Path) -> dg.AssetCheckEvaluation | None:
    """The check's latest evaluation by any run."""
    with open_instance(home) as instance:
        ids = [run.run_id for run in instance.get_runs()]  # the newest first
        events = [event for run_id in ids for event in instance.all_logs(run_id)]
    evaluations = (event.asset_check_evaluation for event in events)
    return next((one for one in evaluations if one is not None and one.asset_check_key == CHECK), None)


def test_a_day_that_came_late_turns_green_by_its_own_run(server: ScriptedServer, tmp_path: Path) -> None:
    """Of a check with partitions the catalog counts a failed day for as long as that day is not evaluated anew."""
    api = serve_api(server)
    api.highlights["basketball"] = lambda _: Reply(b"{}", 400)
    settings = settings_for(f"{api.base_url}/basketball/highlights")
    home = tmp_path / "home"
    looked_at(settings, home)
    assert not run_day(settings, home).succeeded
    failed = latest(home)
    assert failed is not None
    assert not failed.passed, "the run that fails reports that itself"
    del api.highlights["basketball"]
    assert run_day(settings, home).succeeded
    late = latest(home)
    assert late is not None
    assert late.passed


def test_a_day_that_is_there_passes(server: ScriptedServer, tmp_path: Path) -> None:
    settings = settings_for(serve_listing(server, list))
    assert run_day(settings, tmp_path / "home").succeeded
    ((evaluation,), ended) = looked_at(settings, tmp_path / "home")
    assert evaluation.passed
    assert evaluation.metadata["summary"].value == f"{DAY} is there"
    assert ended.succeeded


def test_before_nine_and_without_a_day_nothing_is_evaluated(tmp_path: Path) -> None:
    ahead = (4 - datetime.now(UTC).hour + 12) % 24 - 12  # hours from UTC to where it is four o'clock
    early = settings_for(NOWHERE, timezone=f"Etc/GMT{-ahead:+d}")
    assert looked_at(early, tmp_path / "home", str(early.parse_day(None)))[0] == []
    evaluations, ended = looked_at(settings_for(NOWHERE), tmp_path / "home", None)
    assert (evaluations, ended.succeeded) == ([], True)


def test_the_schedule_asks_for_yesterday_at_nine_in_the_timezone_and_not_much_later() -> None:
    def tick(at: datetime, **values: Any) -> Any:
        defs = build_defs(settings_for(NOWHERE, **values))
        schedule = defs.resolve_schedule_def("morning_check_schedule")
        assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 9 * * *", values.get("timezone", "UTC"))
        context = dg.build_schedule_context(scheduled_execution_time=at, repository_def=defs.get_repository_def())
        return schedule.evaluate_tick(context)

    now = datetime.now(UTC)
    (request,) = tick(now, timezone="UTC").run_requests
    yesterday = (now.date() - timedelta(days=1)).isoformat()
    assert (request.tags["dagster/partition"], request.run_key) == (yesterday, f"nine/{yesterday}")
    assert request.asset_check_keys == [CHECK], "by which alerts and the search for killed runs know the run"
    assert "long past nine" in tick(now - timedelta(hours=1), timezone="UTC").skip_message
    assert "START_DATE" in tick(now, timezone="UTC", start_date=now.date().isoformat()).skip_message
