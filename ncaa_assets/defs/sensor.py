"""The sensor that reports failed runs, failed checks of ERROR severity, and runs whose process was killed."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import dagster as dg

from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.watch import WATCH
from ncaa_assets.failures import AlertNotSent, as_sentence
from ncaa_assets.runs import alerts
from ncaa_assets.runs.alerts import Alert
from ncaa_assets.runs.dagster_private import MAX_RETRIES_TAG, PARENT_RUN_ID_TAG, WILL_RETRY_TAG
from ncaa_assets.runs.killed import mark_killed
from ncaa_assets.runs.names import ALERTED_TAG, ARCHIVE_TAG, PARTITION_TAG, QUOTA_ALERT_TAG, SENSOR, shown_name
from ncaa_assets.runs.ours import our_part
from ncaa_assets.runs.outcome import DayRun, recall
from ncaa_assets.settings import Settings

_EVENTS_A_TICK = 500  # of each type: an instance may end more runs of others than ours
_ENDS: Final = (dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_SUCCESS)
_WATCHED = (
    "watched"  # in the cursor, beside the newest event of each type: what the ticks before saw of unfinished runs
)
# Several times a minute the daemon looks for runs to retry, and a waiting command looks at its worker.
_RERUN_WITHIN = timedelta(minutes=2)


def failure_sensor(settings: Settings, open_archive: Callable[[], Archive]) -> dg.SensorDefinition:
    """Reports every failed run and every failed check of ERROR severity once, and finds killed runs, which nothing
    else reports. A tick that cannot publish an alert fails and is repeated, so no alert is lost."""

    @dg.sensor(
        name=SENSOR,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Reports failed runs and failed ERROR checks of this project's assets: in the log, and on aws to "
            "ALERT_TOPIC_ARN. Marks runs whose process is gone as failed, so that they do not fill the queue."
        ),
    )
    def failure_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        before = _cursor(context)
        # Each tick may have a process of its own, and only several looks show a run to be dead.
        WATCH.recall(before.pop(_WATCHED, None) if before else None)
        seen, sent = dict(before or _newest(context.instance)), 0
        not_sent: AlertNotSent | None = None
        try:
            for record in _changes_after(context.instance, seen) if before else []:
                run_id = record.event_log_entry.run_id
                due = _alert_of(context, record.event_log_entry, settings)
                if due is not None:
                    alerts.send(settings, due.alert)
                    # The tick may still fail, or its process end, and then the next one begins where this one did.
                    context.instance.add_run_tags(run_id, due.marks)
                    sent += 1
                seen[_kind(record)] = record.storage_id
        except _RerunPending:
            pass  # the next tick begins with this run
        except AlertNotSent as error:
            not_sent = error  # the next tick begins with this run, and may fail on it
        try:
            killed = mark_killed(context.instance, open_archive(), alerts_by=SENSOR, location=_location(context))
        except Exception as error:  # noqa: BLE001 - alerts do not wait for an archive that cannot be read
            context.log.warning("cannot tell whether runs were killed: %s", as_sentence(error))
            killed = []
        if not_sent is not None and seen == before:
            raise not_sent
        context.update_cursor(json.dumps(seen | {_WATCHED: WATCH.dump()}))
        return dg.SkipReason(f"{sent} alerts sent; {len(killed)} killed runs found")

    return failure_sensor


def _cursor(context: dg.SensorEvaluationContext) -> dict[str, Any] | None:
    """Where the last tick ended, None for the first one."""
    if not context.cursor:
        return None
    try:
        cursor = dict(json.loads(context.cursor))
    except ValueError:
        cursor = {}
    if all(isinstance(cursor.get(event_type.value), int) for event_type in _ENDS):
        return cursor
    context.log.warning("the sensor's cursor cannot be read; runs that ended before this tick are not reported")
    return None


def _location(context: dg.SensorEvaluationContext) -> str | None:
    return None if context.code_location_origin is None else context.code_location_origin.location_name


def _newest(instance: dg.DagsterInstance) -> dict[str, int]:
    """Where a new sensor begins. It does not report what happened before it existed."""
    newest = {}
    for event_type in _ENDS:
        records = instance.fetch_run_status_changes(event_type, limit=1).records
        newest[event_type.value] = records[0].storage_id if records else 0
    return newest


def _changes_after(instance: dg.DagsterInstance, seen: dict[str, int]) -> list[dg.EventLogRecord]:
    """Runs that ended, oldest first. Runs that succeeded are among them, because a check may have failed in them."""
    records: list[dg.EventLogRecord] = []
    for event_type in _ENDS:
        after = dg.RunStatusChangeRecordsFilter(event_type, after_storage_id=seen[event_type.value])
        records += instance.fetch_run_status_changes(after, limit=_EVENTS_A_TICK, ascending=True).records
    return sorted(records, key=lambda record: record.storage_id)


def _kind(record: dg.EventLogRecord) -> str:
    event = record.event_log_entry.dagster_event
    assert event is not None  # noqa: S101 - the query asks for nothing else
    return event.event_type_value


class _RerunPending(Exception):
    """A run lost its worker, and may still be run again."""


@dataclass(frozen=True)
class _Due:
    """An alert to send, and the tags that its run has once it is sent."""

    alert: Alert
    marks: dict[str, str]


def _alert_of(context: dg.SensorEvaluationContext, entry: dg.EventLogEntry, settings: Settings) -> _Due | None:
    """The alert for a run that ended. None where nothing of ours went wrong, where an alert was sent or a command sends
    it, or where another run has replaced this one. Of the runs that the API's quota ended, the first of a UTC date has
    the alert of all.

    Raises:
        _RerunPending: whether another run will replace this one is not known yet.
    """
    run_id = entry.run_id
    run = context.instance.get_run_by_id(run_id)
    if run is None or run.tags.get(ALERTED_TAG) == run_id:
        return None
    marks = {ALERTED_TAG: run_id}
    try:
        part = our_part(context.instance, run, location=_location(context))
        if part is None:
            return None
        ended = recall(context.instance, run_id)
        if not part.is_all and _has_failed_in_a_step(ended):
            ended = recall(context.instance, run_id, without=part.is_of_others)
            if not _has_failed_in_a_step(ended):
                return None  # only steps of others failed
        may_be_rerun = ended.lost_its_worker or run.tags.get(WILL_RETRY_TAG) == "true"
        if may_be_rerun and _was_rerun(context.instance, run, entry.timestamp):
            return None
        sentence = ended.what_went_wrong(debug=True)
        if sentence is not None and ended.spent_the_quota:
            marks[QUOTA_ALERT_TAG] = datetime.fromtimestamp(entry.timestamp, UTC).date().isoformat()
            of_archive = {name: run.tags[name] for name in (ARCHIVE_TAG,) if name in run.tags}
            if _was_reported(context.instance, {QUOTA_ALERT_TAG: marks[QUOTA_ALERT_TAG], **of_archive}):
                return None
            sentence += " (reported once a day, for all days that wait for the API's quota)"
    except _RerunPending:
        raise
    except Exception as error:  # noqa: BLE001 - a failure is reported even where its events cannot be read
        context.log.warning("the events of run %s cannot be read: %s", run_id, error)
        sentence = (
            None
            if run.status == dg.DagsterRunStatus.SUCCESS
            else "it failed, and its events cannot be read; follow the link"
        )
    if sentence is None and run.status == dg.DagsterRunStatus.FAILURE:
        sentence = "it failed without an error; follow the link"
    if sentence is None:
        return None
    return _Due(Alert(shown_name(run), run.tags.get(PARTITION_TAG), sentence, alerts.run_link(settings, run_id)), marks)


def _was_reported(instance: dg.DagsterInstance, tags: dict[str, str]) -> bool:
    """Whether a run with these tags has its alert. One that only has another run's tags, by whom it may be, has not."""
    return any(
        run.tags.get(ALERTED_TAG) == run.run_id for run in instance.get_runs(dg.RunsFilter(tags=tags), limit=100)
    )


def _has_failed_in_a_step(ended: DayRun) -> bool:
    return bool(ended.failed_checks) or any(error.step for error in ended.errors)


def _was_rerun(instance: dg.DagsterInstance, run: dg.DagsterRun, ended_at: float) -> bool:
    """Whether a run that lost its worker was run again: by the daemon of an instance that retries runs, or by the
    command that launched it. `ended_at` is in seconds since 1970.

    Raises:
        _RerunPending: the rerun may still come. After `_RERUN_WITHIN` it no longer does.
    """
    if instance.get_runs(dg.RunsFilter(tags={PARENT_RUN_ID_TAG: run.run_id}), limit=1):
        return True
    by_daemon = run.tags.get(WILL_RETRY_TAG) == "true"
    by_command = run.tags.get(MAX_RETRIES_TAG) == "0" and PARENT_RUN_ID_TAG not in run.tags
    age = abs(datetime.now(UTC).timestamp() - ended_at)  # by two machines' clocks: an end to come is as good as old
    if (by_daemon or by_command) and age < _RERUN_WITHIN.total_seconds():
        raise _RerunPending
    return False
