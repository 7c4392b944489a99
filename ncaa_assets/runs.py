"""A command's run is a real run: created like the UI's, executed in this process, to be browsed afterwards.

It carries its code location's origin (without one the UI cannot link it, and sensors and retries pass it by) and its
partition's tags. Some of what that takes is not Dagster's public interface: it is all in this file, and held by tests.
"""

import logging
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

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

from ncaa_assets.automation import JOB_NAME, SENSOR
from ncaa_assets.killed_runs import ALERTS_TAG
from ncaa_assets.outcome import DayRun

MODULE = "ncaa_assets.definitions"
LOCATION = "ncaa_assets"
_REPOSITORY = "__repository__"  # what Dagster calls the only repository of a Definitions object
TRIGGER_TAG = "ncaa_assets/trigger"


def execute_day(
    instance: dg.DagsterInstance,
    defs: dg.Definitions,
    day: date,
    *,
    force: bool = False,
    trigger: str = "backup",
    alerts_by: str = SENSOR,
) -> DayRun:
    """Runs the daily job for one day in this process and returns how it ended.

    `trigger` names the command in the run's tags; `alerts_by` says there who alerts if it fails. SIGINT and SIGTERM end
    the run within moments; it is then recorded as cancelled.

    This is the place where an instance that launches its runs elsewhere (EcsRunLauncher) is to be asked to launch this
    one too, and waited for: a run in the command's own process would pass for dead there.
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
        tags={**job.get_tags_for_partition_key(day.isoformat(), None), TRIGGER_TAG: trigger, ALERTS_TAG: alerts_by},
        remote_job_origin=job_origin(),
    )
    ended = DayRun(run.run_id)
    for event in execute_run_iterator(InMemoryJob(job), run, instance):
        ended.note(event)
    return ended


def job_origin() -> RemoteJobOrigin:
    """Where the daily job comes from, as a webserver that loads `workspace.yaml` would say it."""
    target = LoadableTargetOrigin(executable_path=sys.executable, module_name=MODULE, working_directory=str(Path.cwd()))
    location = ManagedGrpcPythonEnvCodeLocationOrigin(target, location_name=LOCATION)
    return RemoteRepositoryOrigin(location, _REPOSITORY).get_job_origin(JOB_NAME)


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
