"""Finds runs whose process vanished: it was killed, ran out of memory, or its machine stopped.

Dagster leaves such runs STARTED for ever. Nobody hears of the failure, and two of them fill the queue of a local
instance. The day's lease shows whether a run is dead; where the run holds none, its silence does. Both are watched, and
its status decides nothing.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.lease import LEASE_SECONDS, elapsed
from ncaa_assets.record import calendar
from ncaa_assets.runs.names import ALERTS_TAG, PARTITION_TAG

log = logging.getLogger(__name__)

# A run holds its lease from its first step to its last. A started run that holds none and has been silent for so long
# is not working.
_SILENT_AFTER = timedelta(seconds=2 * LEASE_SECONDS)
# A run that has not started may be waiting for a machine, and pulling an image takes minutes, so it gets longer.
_NEVER_STARTED_AFTER = timedelta(minutes=20)


@dataclass(frozen=True)
class KilledRun:
    """A dead run, its day, and a sentence that says what shows it to be dead."""

    run_id: str
    day: str
    sentence: str


def mark_killed(
    instance: dg.DagsterInstance, archive: Archive, *, day: str | None = None, alerts_by: str, wait: bool = False
) -> list[KilledRun]:
    """Reports dead runs, of one day or of all, as failed, and returns them. A dead run that was being cancelled is
    reported as cancelled instead. `alerts_by` goes into the runs' tags: it names who alerts.

    No clock tells whether a run lives: it is dead where watching shows that nothing of it changes any more. Each call
    is one look, and those that follow it know what it saw. With `wait` the call watches until it knows, a minute or
    two.
    """
    killed = []
    for run in _unfinished(instance, day):
        dead = _if_dead(instance, archive, run, wait=wait)
        # Where two processes see the dead run at once, the one that removes the lease reports it.
        if dead is None or not archive.remove_lease(dead.day, owner=run.run_id) or _has_ended(instance, run):
            continue
        instance.add_run_tags(run.run_id, {ALERTS_TAG: alerts_by})
        if run.status == dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, message=dead.sentence)
            continue
        instance.report_run_failed(run, message=dead.sentence)
        log.warning("%s: run %s: %s", dead.day, dead.run_id[:8], dead.sentence)
        killed.append(dead)
    return killed


def _unfinished(instance: dg.DagsterInstance, day: str | None) -> Iterator[dg.DagsterRun]:
    statuses = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    tags = {} if day is None else {PARTITION_TAG: day}
    for run in instance.get_runs(dg.RunsFilter(statuses=statuses, tags=tags)):
        # A run of checks alone writes nothing and holds no lease, however long it works.
        checks_alone = bool(run.asset_check_selection) and not run.asset_selection
        if PARTITION_TAG in run.tags and not checks_alone:
            yield run


def _if_dead(instance: dg.DagsterInstance, archive: Archive, run: dg.DagsterRun, *, wait: bool) -> KilledRun | None:
    day = run.tags[PARTITION_TAG]
    holder = archive.last_holder(day)
    if holder is not None and holder.owner == run.run_id:
        gone = f"process {holder.pid} on {holder.machine} ended without a report"
        # One that slept with its machine, or that somebody stopped, has let its lease expire and still lives.
        lives = holder.is_of_this_machine and not holder.is_dead
        how = None if lives or archive.holder(day, wait=wait) is not None else gone
    else:
        how = _silence(instance, run, wait=wait)
    if how is None:
        return None
    return KilledRun(
        run.run_id,
        day,
        f"this run was killed, ran out of memory, or its machine stopped ({how}); what it had done is kept, and the "
        f"next run of {day} continues from there",
    )


@dataclass
class _Watched:
    """A run without a lease: its latest event, and when this was seen first and last, by `elapsed`."""

    event: int
    first: float
    last: float


_watched: dict[str, _Watched] = {}


def _silence(instance: dg.DagsterInstance, run: dg.DagsterRun, *, wait: bool) -> str | None:
    """That a run without a lease has logged nothing for too long, in words; None where it may still work.

    What the times of its events say is only the reason to watch. A call that waits watches for as long as a started run
    may be silent; looks without waiting have to cover the whole of the run's limit.
    """
    limit = _NEVER_STARTED_AFTER if run.status == dg.DagsterRunStatus.STARTING else _SILENT_AFTER
    watch, is_told = (min(limit, _SILENT_AFTER) if wait else limit).total_seconds(), False
    while True:
        latest = instance.get_records_for_run(run.run_id, limit=1, ascending=False).records
        if not latest:
            return None
        at = datetime.fromtimestamp(latest[0].timestamp, UTC)
        silent, now = datetime.now(UTC) - at, elapsed()
        seen = _watched.get(run.run_id)
        # Looks that lie far apart are no watching: this machine slept, and the run with it.
        if seen is None or seen.event != latest[0].storage_id or now - seen.last > _SILENT_AFTER.total_seconds() + 60:
            seen = _watched[run.run_id] = _Watched(latest[0].storage_id, now, now)
        seen.last = now
        if silent < limit and not calendar.is_to_come(at):
            return None
        if now - seen.first >= watch:
            return f"it has been silent for {max(now - seen.first, silent.total_seconds()) / 60:.0f} minutes"
        if not wait:
            return None
        if not is_told:
            log.warning(
                "%s: watching run %s for up to %.0f s: it may be dead", run.tags[PARTITION_TAG], run.run_id[:8], watch
            )
            is_told = True
        time.sleep(min(1.0, watch / 10))


def _has_ended(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    now = instance.get_run_by_id(run.run_id)
    return now is None or now.is_finished
