"""What a run's events mean for a person, read back from a real instance."""

from collections.abc import Iterator
from uuid import uuid4

import dagster as dg
import pytest
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.execution.plan.objects import StepFailureData
from dagster._utils import get_run_crash_explanation

from ncaa_assets.runs.dagster_private import SerializableErrorInfo
from ncaa_assets.runs.outcome import DayRun, RunError, recall


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("home"))) as made:
        yield made


@pytest.fixture
def run(instance: dg.DagsterInstance) -> dg.DagsterRun:
    made = dg.DagsterRun("daily_backup", run_id=str(uuid4()))
    instance.add_run(made)
    return made


def test_a_worker_that_its_server_found_dead_is_told_of_by_what_ended_it(
    instance: dg.DagsterInstance, run: dg.DagsterRun
) -> None:
    """The code server's failure only says "marked as failed from outside". The event before it names the signal."""
    message = get_run_crash_explanation(f"Run execution process for {run.run_id}", -9)
    instance.report_engine_event(message, run, cls=type(instance))
    instance.report_run_failed(run)
    sentence = str(recall(instance, run.run_id).what_went_wrong())
    assert sentence.startswith("its process was terminated by signal 9 (SIGKILL); what it had done is kept")


def test_who_reports_a_run_as_failed_is_quoted(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    instance.report_run_failed(run, "the task was stopped")
    assert recall(instance, run.run_id).what_went_wrong() == "the task was stopped"


def test_a_step_that_somebody_ended_has_not_failed(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    interrupted = SerializableErrorInfo("", [], DagsterExecutionInterruptedError.__name__)
    failure = StepFailureData(interrupted, None)  # type: ignore[no-untyped-call]
    event = dg.DagsterEvent(dg.DagsterEventType.STEP_FAILURE.value, "daily_backup", event_specific_data=failure)
    instance.report_dagster_event(event, run.run_id)
    instance.report_run_canceled(run)
    ended = recall(instance, run.run_id)
    assert ended.cancelled
    assert ended.what_went_wrong() is None


def test_a_failed_check_says_more_than_the_step_that_it_ended() -> None:
    error = SerializableErrorInfo("1 check failed", [], "DagsterAssetCheckFailedError")
    ended = DayRun(
        "r", errors=[RunError.of("rows_match_json", error)], failed_checks=["backup_rows: rows_match_json: 3: no row"]
    )
    assert ended.what_went_wrong() == "check failed: backup_rows: rows_match_json: 3: no row"


def test_a_run_that_left_an_asset_out_is_not_whole() -> None:
    assert not DayRun("r", succeeded=True, summaries={"highlights": "", "backup_rows": "", "videos": ""}).is_whole
    assert DayRun("r", succeeded=True).was_held_by_another
