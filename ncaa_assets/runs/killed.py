"""Finds runs whose process vanished: it was killed, ran out of memory, or its machine stopped.

Dagster leaves such runs STARTED for ever. Nobody hears of the failure, and two of them fill the queue of a local
instance. The day's lease shows whether a run is dead; where the run holds none, its silence does. Both are watched, and
its status decides nothing.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from ncaa_assets.archive import watch
from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.lease import LEASE_SECONDS, LOOK_EVERY, Verdict
from ncaa_assets.record import calendar
from ncaa_assets.runs.names import ALERTED_TAG, ARCHIVE_TAG, PARTITION_TAG, SENSOR, shown_name
from ncaa_assets.runs.ours import our_part
from ncaa_assets.text import visible

log = logging.getLogger(__name__)

# A run holds its lease from its first step to its last. A started run that holds none and has been silent for so long
# is not working.
_SILENT_AFTER = timedelta(seconds=2 * LEASE_SECONDS)
# A run that has not started may be waiting for a machine, and pulling an image takes minutes, so it gets longer.
_NEVER_STARTED_AFTER = timedelta(minutes=20)


@dataclass(frozen=True)
class KilledRun:
    """A dead run, what people call it, its day, and a sentence that says what shows it to be dead."""

    run_id: str
    name: str
    day: str
    sentence: str


def mark_killed(
    instance: dg.DagsterInstance,
    archive: Archive,
    *,
    day: str | None = None,
    alerts_by: str,
    location: str | None = None,
    wait: bool = False,
) -> list[KilledRun]:
    """Reports dead runs of ours, of one day or of all, as failed, and returns them. A dead run that was being cancelled
    is reported as cancelled instead. `alerts_by` names who alerts. `location` is the code location that asks, None for
    a command.

    No clock tells whether a run lives: it is dead where watching shows that nothing of it changes any more. Each call
    is one look, and those that follow it know what it saw. With `wait` the call watches all of them together until it
    knows, a minute or two; but it leaves runs that have not started to calls that look again.
    """
    killed: list[KilledRun] = []
    runs = list(_unfinished(instance, archive, day, location))
    told: set[str] = set()
    while runs:
        unsure = []
        for run in runs:
            found = _judge(instance, archive, run)
            if isinstance(found, _Dead):
                killed += _mark(instance, archive, run, found, alerts_by=alerts_by)
            elif found is Verdict.UNSURE and run.status != dg.DagsterRunStatus.STARTING:
                unsure.append(run)
        if not wait or not unsure:
            break
        for run in unsure:
            if run.run_id not in told:
                told.add(run.run_id)
                log.warning(
                    "%s: run %s may be dead; watching for up to %.0f s whether it lives",
                    run.tags[PARTITION_TAG], run.run_id[:8], _SILENT_AFTER.total_seconds(),
                )  # fmt: skip
        watch.pause(min(LOOK_EVERY, _SILENT_AFTER.total_seconds() / 10))
        again = [instance.get_run_by_id(run.run_id) for run in unsure]
        runs = [run for run in again if run is not None and not run.is_finished]
    return killed


def _mark(
    instance: dg.DagsterInstance, archive: Archive, run: dg.DagsterRun, dead: "_Dead", *, alerts_by: str
) -> list[KilledRun]:
    """Reports a dead run; nothing where it shows after all that it lives, or where it was reported meanwhile."""
    day = run.tags[PARTITION_TAG]
    if dead.lease is not None:
        # Where two processes see the dead run at once, the one that removes the lease reports it.
        is_free = archive.remove_lease(day, owner=run.run_id, version=dead.lease)
    else:
        is_free = (stored := archive.stored_lease(day)) is None or stored.holder.owner != run.run_id
    if not is_free or _has_ended(instance, run):
        return []
    sentence = (
        f"this run was killed, ran out of memory, or its machine stopped ({dead.how}); what it had done is kept, and "
        f"the next run of {day} continues from there"
    )
    if alerts_by != SENSOR:
        instance.add_run_tags(run.run_id, {ALERTED_TAG: run.run_id})
    if run.status == dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, message=sentence)
        return []
    instance.report_run_failed(run, message=sentence)
    log.warning("%s: run %s: %s", day, run.run_id[:8], sentence)
    return [KilledRun(run.run_id, shown_name(run), day, sentence)]


def _unfinished(
    instance: dg.DagsterInstance, archive: Archive, day: str | None, location: str | None
) -> Iterator[dg.DagsterRun]:
    statuses = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    tags = {} if day is None else {PARTITION_TAG: day}
    for run in instance.get_runs(dg.RunsFilter(statuses=statuses, tags=tags)):
        # A run of checks alone writes nothing and holds no lease, however long it works.
        checks_alone = bool(run.asset_check_selection) and not run.asset_selection
        if not calendar.is_day(run.tags.get(PARTITION_TAG)) or checks_alone:
            continue
        if run.tags.get(ARCHIVE_TAG, archive.place) != archive.place and not _has_lease(archive, run):
            continue  # two archives of one user may share a home
        part = our_part(instance, run, location=location)
        # While another's asset works, silence shows nothing. The lease does, where the run left one.
        if part is not None and (part.is_all or _has_lease(archive, run)):
            yield run


def _has_lease(archive: Archive, run: dg.DagsterRun) -> bool:
    stored = archive.stored_lease(run.tags[PARTITION_TAG])
    return stored is not None and stored.holder.owner == run.run_id


@dataclass(frozen=True)
class _Dead:
    """What shows a run to be dead, in words, and the version of the lease that it left, if it left one."""

    how: str
    lease: str | None = None


def _judge(instance: dg.DagsterInstance, archive: Archive, run: dg.DagsterRun) -> _Dead | Verdict:
    """Whether a run is dead, by its lease where it has one, else by its silence."""
    stored = archive.stored_lease(run.tags[PARTITION_TAG])
    if stored is None or stored.holder.owner != run.run_id:
        return _judge_silence(instance, run)
    if stored.holder.is_alive:
        # One that slept with its machine, or that somebody stopped, has let its lease end and still lives.
        return Verdict.LIVES
    if stored.verdict is not Verdict.GONE:
        return stored.verdict
    process = "its process" if stored.holder.pid is None else f"process {stored.holder.pid}"
    return _Dead(visible(f"{process} on {stored.holder.machine} ended without a report"), stored.version)


def _judge_silence(instance: dg.DagsterInstance, run: dg.DagsterRun) -> _Dead | Verdict:
    """Whether a run without a lease is dead: it was watched for so long to log nothing. What the times of its events
    say is only the reason to watch it: a run that begins is silent for seconds."""
    limit = (_NEVER_STARTED_AFTER if run.status == dg.DagsterRunStatus.STARTING else _SILENT_AFTER).total_seconds()
    latest = instance.get_records_for_run(run.run_id, limit=1, ascending=False).records
    if not latest:
        return Verdict.LIVES
    at = datetime.fromtimestamp(latest[0].timestamp, UTC)
    silent = (datetime.now(UTC) - at).total_seconds()
    seen = watch.WATCH.look(f"run {run.run_id}", str(latest[0].storage_id))
    if silent < limit and not calendar.is_to_come(at):
        return Verdict.LIVES
    if seen.unchanged_for >= limit:
        return _Dead(f"it has been silent for {seen.unchanged_for / 60:.0f} minutes at least")
    return Verdict.LIVES if seen.changed else Verdict.UNSURE


def _has_ended(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    now = instance.get_run_by_id(run.run_id)
    return now is None or now.is_finished
