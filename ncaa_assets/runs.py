"""A command's run is a real run: created like the UI's, executed in this process, to be browsed afterwards.

It carries its code location's origin (without one the UI cannot link it, and sensors and retries pass it by) and its
partition's tags. Some of what that takes is not Dagster's public interface: it is all in this file, and held by tests.
"""

import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, cast

import dagster as dg
from dagster._core.definitions.executor_definition import ExecutorDefinition
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.execution.api import execute_run_iterator
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.in_process import InProcessExecutor
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster_shared.error import SerializableErrorInfo

from ncaa_assets.assets.highlights import REQUESTS_LEFT
from ncaa_assets.automation import JOB_NAME

MODULE = "ncaa_assets.definitions"
LOCATION = "ncaa_assets"
_REPOSITORY = "__repository__"  # what Dagster calls the only repository of a Definitions object
TRIGGER_TAG = "ncaa_assets/trigger"


@dataclass
class DayRun:
    """How a day's run ended: its assets' summaries in order, its failed checks, its errors, and how many API requests
    were left (None: the API did not say)."""

    run_id: str
    succeeded: bool = False
    cancelled: bool = False
    summaries: dict[str, str] = field(default_factory=dict)
    requests_left: int | None = None
    failed_checks: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    errors: list[tuple[str, SerializableErrorInfo]] = field(default_factory=list)


def execute_day(instance: dg.DagsterInstance, defs: dg.Definitions, day: date, *, force: bool) -> DayRun:
    """Runs the daily job for one day in this process and returns how it ended.

    SIGINT and SIGTERM end the run within moments; it is then recorded as cancelled.
    """
    job = (
        defs.resolve_job_def(JOB_NAME)
        .with_executor_def(_cancelling_executor)
        .with_logger_defs({"console": _silent_logger})
    )
    # A logger counts only where the run's config names it; the same config is good for the job as the UI has it.
    config: dict[str, Any] = {"loggers": {"console": {}}}
    if force:
        config["ops"] = {name: {"config": {"force": True}} for name in ("videos", "processed_videos")}
    run = instance.create_run_for_job(
        job,
        run_config=config,
        tags={**job.get_tags_for_partition_key(day.isoformat(), None), TRIGGER_TAG: "command"},
        remote_job_origin=job_origin(),
    )
    ended = DayRun(run.run_id)
    for event in execute_run_iterator(InMemoryJob(job), run, instance):
        _note(ended, event)
    return ended


def job_origin() -> RemoteJobOrigin:
    """Where the daily job comes from, as a webserver that loads `workspace.yaml` would say it."""
    target = LoadableTargetOrigin(executable_path=sys.executable, module_name=MODULE, working_directory=str(Path.cwd()))
    location = ManagedGrpcPythonEnvCodeLocationOrigin(target, location_name=LOCATION)
    return RemoteRepositoryOrigin(location, _REPOSITORY).get_job_origin(JOB_NAME)


def _note(ended: DayRun, event: dg.DagsterEvent) -> None:
    match event.event_type:
        case dg.DagsterEventType.ASSET_MATERIALIZATION:
            materialization = event.step_materialization_data.materialization
            summary = materialization.metadata.get("summary")
            ended.summaries[materialization.asset_key.to_user_string()] = str(summary.value) if summary else ""
            if left := materialization.metadata.get(REQUESTS_LEFT):
                ended.requests_left = cast("int", left.value)
        case dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if not check.passed:
                text = f"{check.asset_key.to_user_string()}: {check.check_name}: {check.description}"
                error = check.severity == dg.AssetCheckSeverity.ERROR
                (ended.failed_checks if error else ended.warnings).append(text)
        case dg.DagsterEventType.STEP_FAILURE:
            error_info = event.step_failure_data.error
            if error_info is not None:
                ended.errors.append((event.step_key or "", error_info))
        case dg.DagsterEventType.RUN_FAILURE:
            failure = event.job_failure_data
            if failure.error is not None and not ended.errors:
                ended.errors.append(("", failure.error))
        case dg.DagsterEventType.RUN_SUCCESS:
            ended.succeeded = True
        case dg.DagsterEventType.RUN_CANCELED:
            ended.cancelled = True


class _CancellingExecutor(InProcessExecutor):
    """Dagster records a run that a signal ended as failed, unless somebody asked for its end. Here a person did."""

    def execute(self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan) -> Iterator[Any]:
        try:
            yield from super().execute(plan_context, execution_plan)
        except (KeyboardInterrupt, DagsterExecutionInterruptedError):
            plan_context.instance.report_run_canceling(plan_context.dagster_run)
            raise


def _make_cancelling_executor(_: object) -> InProcessExecutor:
    return _CancellingExecutor(retries=RetryMode.DISABLED)


_cancelling_executor = ExecutorDefinition(name="in_process", executor_creation_fn=_make_cancelling_executor)


@dg.logger
def _silent_logger(_: dg.InitLoggerContext) -> logging.Logger:
    """Nothing on the console: the command says what a person wants to know."""
    logger = logging.Logger("silent")
    logger.addHandler(logging.NullHandler())
    return logger
