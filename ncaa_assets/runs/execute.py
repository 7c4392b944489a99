"""Executes the run of a command. It is a real run: created as the UI creates runs, and shown in the UI afterwards. It
executes in this process, or in a task of its own where the instance gives each run one.

The run carries its partition's tags and the origin of its code location. Without the origin, the UI cannot link the
run, and sensors and retries ignore it.
"""

import logging
import sys
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from ncaa_assets.runs.connections import kept_open
from ncaa_assets.runs.dagster_private import (
    MAX_RETRIES_TAG,
    PARENT_RUN_ID_TAG,
    ROOT_RUN_ID_TAG,
    CodePointer,
    DagsterExecutionInterruptedError,
    ExecutionPlan,
    ExecutorDefinition,
    InMemoryJob,
    InProcessExecutor,
    JobPythonOrigin,
    LoadableTargetOrigin,
    ManagedGrpcPythonEnvCodeLocationOrigin,
    PlanOrchestrationContext,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
    RepositoryPythonOrigin,
    RetryMode,
    execute_run_iterator,
)
from ncaa_assets.runs.instance import launches_on_ecs
from ncaa_assets.runs.names import ALERTED_TAG, JOB_NAME, SENSOR, TRIGGER_TAG
from ncaa_assets.runs.outcome import DayRun

MODULE = "ncaa_assets.definitions"
LOCATION = "ncaa_assets"
_REPOSITORY = "__repository__"  # Dagster's name for the only repository of a Definitions object


def execute_day(
    instance: dg.DagsterInstance,
    defs: dg.Definitions,
    day: date,
    *,
    force: bool = False,
    trigger: str = "backup",
    alerts_by: str = SENSOR,
    retry_of: str | None = None,
    more_tags: Mapping[str, str] | None = None,
) -> DayRun:
    """Runs the daily job for one day and returns how the run ended. It runs in this process, or on ECS where the
    instance launches runs there.

    In the run's tags, `trigger` names the command, and `more_tags` stand beside it. `alerts_by` names who alerts if the
    run fails. `retry_of` is the run that this one replaces. SIGINT and SIGTERM end the run within moments, and it is
    recorded as cancelled.
    """
    is_launched = launches_on_ecs(instance)
    if is_launched:
        from ncaa_assets.runs.ecs import check_launcher, launch_and_wait  # noqa: PLC0415 - they need boto3

        check_launcher(instance)
    job = defs.resolve_job_def(JOB_NAME)
    tags = {**job.get_tags_for_partition_key(day.isoformat(), None), TRIGGER_TAG: trigger, **(more_tags or {})}
    config: dict[str, Any] = {}
    if force:
        config["ops"] = {name: {"config": {"force": True}} for name in ("videos", "processed_videos")}
    if retry_of is not None:
        tags |= {PARENT_RUN_ID_TAG: retry_of, ROOT_RUN_ID_TAG: retry_of}
    if is_launched:
        # If the worker is lost, this command runs the day once more. A daemon beside the command must not do so too.
        tags[MAX_RETRIES_TAG] = "0"
    else:
        job = job.with_executor_def(_cancelling_executor).with_logger_defs({"console": _silent_logger})
        # Dagster uses a logger only where the run's config names it. This config fits the UI's version of the job too.
        config["loggers"] = {"console": {}}
    with kept_open():
        run = instance.create_run_for_job(
            job,
            run_config=config,
            tags=tags,
            root_run_id=retry_of,
            parent_run_id=retry_of,
            remote_job_origin=job_origin(),
            job_code_origin=job_code_origin(),
        )
        if alerts_by != SENSOR:
            instance.add_run_tags(run.run_id, {ALERTED_TAG: run.run_id})
        if is_launched:
            return launch_and_wait(instance, run)
        ended = DayRun(run.run_id)
        for event in execute_run_iterator(InMemoryJob(job), run, instance):
            ended.note(event)
        return ended


def job_code_origin() -> JobPythonOrigin:
    """The origin by which a launched worker finds the daily job."""
    repository = RepositoryPythonOrigin(sys.executable, CodePointer.from_module(MODULE, "defs", None))
    return repository.get_job_origin(JOB_NAME)


def job_origin() -> RemoteJobOrigin:
    """The daily job's origin as a webserver that loads `workspace.yaml` records it."""
    target = LoadableTargetOrigin(executable_path=sys.executable, module_name=MODULE, working_directory=str(Path.cwd()))
    location = ManagedGrpcPythonEnvCodeLocationOrigin(target, location_name=LOCATION)
    return RemoteRepositoryOrigin(location, _REPOSITORY).get_job_origin(JOB_NAME)


class _CancellingExecutor(InProcessExecutor):
    """Records a run that a signal ended as cancelled. Dagster by itself would record it as failed, unless its
    cancellation was requested."""

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
    """Keeps Dagster off the console: the command itself says what a person wants to know."""
    logger = logging.Logger("silent")
    logger.addHandler(logging.NullHandler())
    return logger
