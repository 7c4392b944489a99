"""Launches a day's run as a task of its own on ECS, waits for it, and watches its worker.

The command watches as the daemon's run monitoring would, because no daemon need be running. Where one is, whichever
sees the worker end first reports it.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import dagster as dg

from ncaa_assets.backends.aws.boto import explained
from ncaa_assets.failures import SettingsError, StoreError, one_line
from ncaa_assets.runs.dagster_private import (
    WorkerStatus,
    capture_interrupts,
    check_captured_interrupt,
    serializable_error_info_from_exc_info,
)
from ncaa_assets.runs.outcome import DayRun, RunError, recall
from ncaa_assets.text import visible

if TYPE_CHECKING:
    from ncaa_assets.runs.dagster_private import BaseWorkspaceRequestContext

log = logging.getLogger(__name__)

# ECS sets this in its tasks. The launcher asks that address for the cluster and the network, which a run's task shares.
_METADATA = "ECS_CONTAINER_METADATA_URI_V4"

POLL_SECONDS = 5.0
# How long the run or its task may be out of sight before it counts as lost. A database takes a minute or two to
# restart, and for the first moments after its start ECS does not know a task.
_PATIENCE = 300.0  # seconds, as all that follow; by a clock that nobody sets
# By default ECS kills a stopping task after 30 s.
_ENDS_WITHIN = 120.0


def check_launcher(instance: dg.DagsterInstance) -> None:
    """Creates the instance's launcher, which asks AWS for the task definition, and checks that it can launch here.

    Raises:
        SettingsError: the launcher's configuration is incomplete, or this process is in no task of the cluster.
        StoreError: AWS refused, or has no such task definition.
    """
    missing = "there is no task definition of the name in DAGSTER_RUN_TASK_DEFINITION; deploy it, or correct the name"
    try:
        with explained("ECS", {"ClientException": missing}):
            instance.run_launcher  # noqa: B018 - reading it creates it
    except (SettingsError, StoreError):
        raise
    except Exception as error:
        raise SettingsError(
            f"the run launcher of {instance.root_directory} cannot be used ({one_line(error)}); check its dagster.yaml "
            "and the DAGSTER_… variables of this task"
        ) from error
    if not os.environ.get(_METADATA):
        raise SettingsError(
            "this is not a task of an ECS cluster, and only such a task can launch runs of this instance, because they "
            "share its network; run the command there, or set DAGSTER_HOME to another instance"
        )


def launch_and_wait(instance: dg.DagsterInstance, run: dg.DagsterRun) -> DayRun:
    """Launches a run that was created, and returns how it ended.

    Raises:
        KeyboardInterrupt: SIGINT or SIGTERM came. The run was ended, and its end was waited for.
        StoreError: the run can no longer be watched. It continues by itself.
    """
    try:
        with capture_interrupts():  # an interrupt between start and note would leave a task that nobody ends
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
            # The launcher never reads the workspace, and a real one would mean a code server of our own.
            instance.launch_run(run.run_id, cast("BaseWorkspaceRequestContext", None))
    except (StoreError, SettingsError):
        raise
    except Exception as error:
        raise StoreError(
            f"the run's task could not be started ({one_line(error)}); fix that, then run it again"
        ) from error


def _wait(instance: dg.DagsterInstance, run_id: str, *, at_most: float | None = None) -> bool:
    """Waits until the run ends, and returns whether it did within `at_most`. Reports a run whose worker vanished."""
    started = last_seen = time.monotonic()
    while at_most is None or time.monotonic() - started < at_most:
        try:
            if _has_ended(instance, run_id, started=started, last_seen=last_seen):
                return True
            last_seen = time.monotonic()
        except _OutOfSight:
            pass  # `last_seen` stays, and the patience counts from it
        except Exception as error:
            if time.monotonic() - last_seen > _PATIENCE:
                raise StoreError(
                    f"run {run_id} can no longer be watched ({one_line(error)}); it continues by itself: look at it in "
                    "the UI, or run this again"
                ) from error
            log.warning("run %s could not be looked at (%s); trying again", run_id[:8], one_line(error))
        threading.Event().wait(POLL_SECONDS)
    return False


class _OutOfSight(Exception):
    """ECS does not know the run's task, as in the first moments after the task was started."""


def _has_ended(instance: dg.DagsterInstance, run_id: str, *, started: float, last_seen: float) -> bool:
    """Looks at the run and its worker once, and returns whether the run is over. Reports a run without a worker."""
    run, now = _run(instance, run_id), time.monotonic()
    if run.is_finished:
        return True
    limit = instance.run_monitoring_start_timeout_seconds
    how = _how_its_worker_ended(instance, run, last_seen)
    if how is None and run.status == dg.DagsterRunStatus.STARTING and now - started > limit:
        how = f"its task did not start within {limit / 60:.0f} minutes"
        instance.run_launcher.terminate(run_id)
    if how is None:
        return False
    message = (
        f"its worker ended without a report ({how}); what it had done is kept, and the next run continues from there"
    )
    latest = _run(instance, run_id)
    if latest.is_finished:  # the worker reported its end in the last moment
        return True
    if run.status == dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(latest, message=message)
    else:
        instance.report_run_failed(latest, message=message)
    return True


def _how_its_worker_ended(instance: dg.DagsterInstance, run: dg.DagsterRun, last_seen: float) -> str | None:
    """What ECS says about a worker that is gone, or None while it works.

    Raises:
        _OutOfSight: ECS does not know the task now, but did a short while ago.
    """
    with _quiet_root_logger():
        health = instance.run_launcher.check_run_worker_health(run)
    match health.status:
        case WorkerStatus.RUNNING:
            return None
        case WorkerStatus.SUCCESS:  # a worker exits with 0 whatever became of the run
            return "its task ended"
        case WorkerStatus.FAILED:
            return visible(health.msg or "its task failed", most=600).rstrip(".")
    if time.monotonic() - last_seen > _PATIENCE:
        return f"ECS has known nothing of its task for {_PATIENCE / 60:.0f} minutes"
    raise _OutOfSight


def _run(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun:
    run = instance.get_run_by_id(run_id)
    if run is None:
        raise StoreError(f"run {run_id} was deleted while it was waited for; run this again")
    return run


@contextmanager
def _quiet_root_logger() -> Iterator[None]:
    """Keeps the root logger quiet. The launcher logs there what it returns too, with a traceback where a task has no
    log yet."""
    handler, root = logging.NullHandler(), logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
