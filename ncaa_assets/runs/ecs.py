"""A day's run that the instance launches as a task of its own on ECS: launched, waited for, and its worker watched.

The command watches as the daemon's run monitoring would, because no daemon may be running; where one is, whichever sees
the worker's end first reports it.
"""

import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import cast

import dagster as dg

from ncaa_assets.backends.aws.boto import explained
from ncaa_assets.failures import SettingsError, StoreError, one_line
from ncaa_assets.runs.dagster_private import (
    BaseWorkspaceRequestContext,
    WorkerStatus,
    capture_interrupts,
    check_captured_interrupt,
    serializable_error_info_from_exc_info,
)
from ncaa_assets.runs.outcome import DayRun, RunError, recall
from ncaa_assets.text import visible

log = logging.getLogger(__name__)

# What ECS sets in its tasks: there the launcher asks for the cluster and the network that a run's task shares.
_METADATA = "ECS_CONTAINER_METADATA_URI_V4"

POLL_SECONDS = 5.0
# How long the run, or its task, may be out of sight before that means something: a database that restarts takes a
# minute or two, and ECS does not know a task in the first moments after it was started.
_PATIENCE = timedelta(minutes=5)
# ECS gives a task that is stopped 30 s by default before it kills it.
_ENDS_WITHIN = timedelta(minutes=2)


def check_launcher(instance: dg.DagsterInstance) -> None:
    """Makes the instance's launcher, which asks AWS for the run task's definition, and sees that it can launch here.

    Raises:
        SettingsError: its configuration is not complete, or this is no task of the cluster.
        StoreError: AWS refused, or knows no such definition.
    """
    missing = "there is no run task definition of the name in DAGSTER_RUN_TASK_DEFINITION; deploy it, or mend the name"
    try:
        with explained("ECS", {"ClientException": missing}):
            instance.run_launcher  # noqa: B018 - made when it is first asked for
    except (SettingsError, StoreError):
        raise
    except Exception as error:
        raise SettingsError(
            f"the run launcher of {instance.root_directory} cannot be used ({one_line(error)}); check its dagster.yaml "
            "and the DAGSTER_… variables of this task"
        ) from error
    if not os.environ.get(_METADATA):
        raise SettingsError(
            "runs of this instance are launched from a task of its ECS cluster, whose network they share, and this is "
            "none; run the command there, or set DAGSTER_HOME to another instance"
        )


def launch_and_wait(instance: dg.DagsterInstance, run: dg.DagsterRun) -> DayRun:
    """Launches a run that was created, and returns how it ended.

    Raises:
        KeyboardInterrupt: SIGINT or SIGTERM came; the run was ended and waited for.
        StoreError: it cannot be watched any more; it goes on by itself.
    """
    try:
        with capture_interrupts():  # a task that is started and not noted could not be ended
            _launch(instance, run)
            interrupted = check_captured_interrupt()
    except (StoreError, SettingsError):
        failure = serializable_error_info_from_exc_info(sys.exc_info())
        return DayRun(run.run_id, errors=[RunError.of("", failure)])
    try:
        if interrupted:
            raise KeyboardInterrupt
        log.info("run %s has a task of its own; waiting for it to end", run.run_id[:8])
        _wait(instance, run.run_id)
    except KeyboardInterrupt:
        log.info("ending run %s", run.run_id[:8])
        with explained("ECS"):
            instance.run_launcher.terminate(run.run_id)
        if not _wait(instance, run.run_id, at_most=_ENDS_WITHIN):
            log.warning("run %s has not ended yet; it is left to itself", run.run_id[:8])
        raise
    return recall(instance, run.run_id)


def _launch(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    try:
        with explained("ECS"):
            # The launcher never looks at the workspace, which would be a code server of our own.
            instance.launch_run(run.run_id, cast("BaseWorkspaceRequestContext", None))
    except (StoreError, SettingsError):
        raise
    except Exception as error:
        raise StoreError(
            f"the run's task could not be started ({one_line(error)}); mend what it names, then run it again"
        ) from error


def _wait(instance: dg.DagsterInstance, run_id: str, *, at_most: timedelta | None = None) -> bool:
    """Returns whether the run has ended within `at_most`. Where its worker ended without a word, that is reported."""
    started = seen = datetime.now(UTC)
    while at_most is None or datetime.now(UTC) - started < at_most:
        try:
            if _has_ended(instance, run_id, started=started, seen=seen):
                return True
            seen = datetime.now(UTC)
        except _OutOfSight:
            pass  # it counts from when it was last seen
        except Exception as error:
            if datetime.now(UTC) - seen > _PATIENCE:
                raise StoreError(
                    f"run {run_id} can no longer be watched ({one_line(error)}); it goes on by itself: look at it in "
                    "the UI, or run this again"
                ) from error
            log.warning("run %s could not be looked at (%s); looking again", run_id[:8], one_line(error))
        threading.Event().wait(POLL_SECONDS)
    return False


class _OutOfSight(Exception):
    """ECS knows nothing of the run's task, which is so for a moment after it was started."""


def _has_ended(instance: dg.DagsterInstance, run_id: str, *, started: datetime, seen: datetime) -> bool:
    """Looks once at the run and its worker, and reports the run where the worker is gone."""
    run, now = _run(instance, run_id), datetime.now(UTC)
    if run.is_finished:
        return True
    limit = timedelta(seconds=instance.run_monitoring_start_timeout_seconds)
    how = _how_its_worker_ended(instance, run, seen)
    if how is None and run.status == dg.DagsterRunStatus.STARTING and now - started > limit:
        how = f"its task did not start within {limit.total_seconds() / 60:.0f} minutes"
        instance.run_launcher.terminate(run_id)
    if how is None:
        return False
    told = f"its worker ended without a word ({how}); what it had done is kept, and the next run continues from there"
    latest = _run(instance, run_id)
    if latest.is_finished:  # the worker said so in its last moment
        return True
    if run.status == dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(latest, message=told)
    else:
        instance.report_run_failed(latest, message=told)
    return True


def _how_its_worker_ended(instance: dg.DagsterInstance, run: dg.DagsterRun, seen: datetime) -> str | None:
    """What ECS says of a worker that is gone; None while it works.

    Raises:
        _OutOfSight: ECS does not know, and did a while ago.
    """
    with _quiet_root_logger():
        health = instance.run_launcher.check_run_worker_health(run)
    match health.status:
        case WorkerStatus.RUNNING:
            return None
        case WorkerStatus.SUCCESS:  # its exit code is 0 whatever became of the run
            return "its task ended"
        case WorkerStatus.FAILED:
            return visible(health.msg or "its task failed", most=600).rstrip(".")
    if datetime.now(UTC) - seen > _PATIENCE:
        return f"ECS has known nothing of its task for {_PATIENCE.total_seconds() / 60:.0f} minutes"
    raise _OutOfSight


def _run(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun:
    run = instance.get_run_by_id(run_id)
    if run is None:
        raise StoreError(f"run {run_id} was deleted while it was waited for; run this again")
    return run


@contextmanager
def _quiet_root_logger() -> Iterator[None]:
    """The launcher tells the root logger what it returns as well, with a traceback where a task has no log yet."""
    handler, root = logging.NullHandler(), logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
