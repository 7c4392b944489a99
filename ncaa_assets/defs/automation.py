"""When days are backed up, and who hears of failures: the partitions, the daily job, its schedule, the sensor."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.storage.tags import MAX_RETRIES_TAG, PARENT_RUN_ID_TAG, WILL_RETRY_TAG

from ncaa_assets.archive.day_state import last_whole_fetch
from ncaa_assets.backends import open_store
from ncaa_assets.failures import AlertNotSent, BackupError
from ncaa_assets.runs import alerts
from ncaa_assets.runs.alerts import Alert
from ncaa_assets.runs.killed import ALERTS_TAG, PARTITION_TAG, mark_killed
from ncaa_assets.runs.outcome import recall
from ncaa_assets.settings import Settings

JOB_NAME = "daily_backup"
SENSOR = "failure_sensor"

_EVENTS_A_TICK = 50
# The daemon looks for runs to retry, and a waiting command for its worker, several times a minute.
_RUN_AGAIN_WITHIN = timedelta(minutes=2)


def game_days(settings: Settings) -> dg.DailyPartitionsDefinition:
    """One partition a day of `TIMEZONE`, from `START_DATE` to yesterday."""
    return dg.DailyPartitionsDefinition(start_date=settings.start_date.isoformat(), timezone=settings.timezone)


def days_to_look_at(today: date, settings: Settings) -> list[str]:
    """The partitions that a daily run asks for: the last `LOOKBACK_DAYS` days before `today`, newest first."""
    days = [today - timedelta(days=back) for back in range(1, settings.lookback_days + 1)]
    return [day.isoformat() for day in days if day >= settings.start_date]


def daily_job() -> UnresolvedAssetJobDefinition:
    """The job that every trigger runs: the four assets of one day with their checks."""
    return dg.define_asset_job(
        JOB_NAME,
        selection=dg.AssetSelection.all(),
        description="Backs up one game day: its JSON, its rows, its videos and their encodes.",
    )


def daily_schedule(job: UnresolvedAssetJobDefinition, settings: Settings) -> dg.ScheduleDefinition:
    """Every morning at six in `TIMEZONE`; run keys make a repeated tick launch nothing twice.

    A daemon that starts makes up the last tick that was missed, and Dagster has no setting against it
    (`max_catchup_runs` is heeded for schedules with a partition set, which no schedule has any more). So a tick asks
    only for the days that nobody has looked at since its time.
    """

    @dg.schedule(
        name="daily_backup_schedule",
        job=job,
        cron_schedule="0 6 * * *",
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=(
            f"Every day at 06:00 ({settings.timezone}): backs up yesterday and looks at the "
            f"{settings.lookback_days - 1} days before it again, because clips arrive up to 48 hours after a game."
        ),
    )
    def daily_backup_schedule(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        today = context.scheduled_execution_time.astimezone(ZoneInfo(settings.timezone)).date()
        days = days_to_look_at(today, settings)
        open_days = [day for day in days if not _was_listed_since(context, settings, day)]
        for day in open_days:
            yield dg.RunRequest(partition_key=day, run_key=f"{today}/{day}")
        if not open_days:
            why = f"the listings of {', '.join(days)} were read since" if days else "no day since START_DATE is over"
            yield dg.SkipReason(f"{why}; nothing to ask for")

    return daily_backup_schedule


def _was_listed_since(context: dg.ScheduleEvaluationContext, settings: Settings, day: str) -> bool:
    """Whether the day's listing was read whole after the tick's time, as it may be where a tick is made up late."""
    try:
        fetched_at = last_whole_fetch(open_store(settings), day, settings)
    except BackupError as error:
        context.log.warning("whether %s was backed up meanwhile could not be found out: %s", day, error)
        return False  # the day's run meets the same trouble, and tells people of it
    return fetched_at is not None and fetched_at >= context.scheduled_execution_time


def failure_sensor(settings: Settings) -> dg.SensorDefinition:
    """Alerts of every failed run and of every failed check of ERROR severity, once each, and finds the runs that were
    killed, which nobody reports. A tick that cannot publish fails and is repeated, so no alert is lost."""

    @dg.sensor(
        name=SENSOR,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Alerts of failed runs and failed ERROR checks: in the log, and on aws to ALERT_TOPIC_ARN. Marks runs "
            "whose process is gone as failed, so that they do not fill the queue."
        ),
    )
    def failure_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        before = json.loads(context.cursor) if context.cursor else None
        seen, sent = dict(before or _newest(context.instance)), 0
        try:
            for record in _changes_after(context.instance, seen) if before else []:
                alert = _alert_of(context, record.event_log_entry, settings)
                if alert is not None:
                    alerts.send(settings, alert)
                    sent += 1
                seen[_kind(record)] = record.storage_id
        except _RunAgain:
            pass  # the next tick begins with this one
        except AlertNotSent:
            if seen == before:
                raise
            # What was dealt with must not be sent again: the next tick begins with this one, and fails if it must.
        context.update_cursor(json.dumps(seen))
        try:
            killed = mark_killed(context.instance, open_store(settings), alerts_by=SENSOR)
        except BackupError as error:
            context.log.warning("whether runs were killed could not be found out: %s", error)
            killed = []
        return dg.SkipReason(f"{sent} alerts sent; {len(killed)} killed runs found")

    return failure_sensor


def _newest(instance: dg.DagsterInstance) -> dict[str, int]:
    """Where a sensor that is new begins: it does not alert of what happened before it was there."""
    newest = {}
    for event_type in (dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_SUCCESS):
        records = instance.fetch_run_status_changes(event_type, limit=1).records
        newest[event_type.value] = records[0].storage_id if records else 0
    return newest


def _changes_after(instance: dg.DagsterInstance, seen: dict[str, int]) -> list[dg.EventLogRecord]:
    """Runs that failed, and runs that succeeded (a failed check may be among their events), oldest first."""
    found: list[dg.EventLogRecord] = []
    for event_type in (dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_SUCCESS):
        after = dg.RunStatusChangeRecordsFilter(event_type, after_storage_id=seen[event_type.value])
        found += instance.fetch_run_status_changes(after, limit=_EVENTS_A_TICK, ascending=True).records
    return sorted(found, key=lambda record: record.storage_id)


def _kind(record: dg.EventLogRecord) -> str:
    event = record.event_log_entry.dagster_event
    assert event is not None  # noqa: S101 - the query asks for nothing else
    return event.event_type_value


class _RunAgain(Exception):
    """Whoever launched a run whose worker was lost is about to run it again."""


def _alert_of(context: dg.SensorEvaluationContext, entry: dg.EventLogEntry, settings: Settings) -> Alert | None:
    """What to alert of a run that ended, or None where nothing is wrong, somebody else alerts, or another run took its
    place, of which there will be something to tell or not.

    Raises:
        _RunAgain: that cannot be told yet.
    """
    run_id = entry.run_id
    run = context.instance.get_run_by_id(run_id)
    if run is None or run.tags.get(ALERTS_TAG, SENSOR) != SENSOR:
        return None
    try:
        ended = recall(context.instance, run_id)
        may_be_run_again = ended.lost_its_worker or run.tags.get(WILL_RETRY_TAG) == "true"
        if may_be_run_again and _is_run_again(context.instance, run, entry.timestamp):
            return None
        sentence = ended.what_went_wrong(debug=True)
    except _RunAgain:
        raise
    except Exception as error:  # noqa: BLE001 - a failure is told even where it cannot be read
        context.log.warning("the events of run %s cannot be read: %s", run_id, error)
        sentence = (
            None if run.status == dg.DagsterRunStatus.SUCCESS else "it failed, and why cannot be read; look there"
        )
    if sentence is None and run.status == dg.DagsterRunStatus.FAILURE:
        sentence = "it failed and said nothing; look there"
    if sentence is None:
        return None
    return Alert(run.job_name, run.tags.get(PARTITION_TAG), sentence, alerts.run_link(settings, run_id))


def _is_run_again(instance: dg.DagsterInstance, run: dg.DagsterRun, ended_at: float) -> bool:
    """Whether a run that lost its worker (and ended so many seconds after 1970) has been run again: by the daemon where
    the instance retries runs, or by the command that launched it.

    Raises:
        _RunAgain: it will be, unless that has gone wrong too, which is known after `_RUN_AGAIN_WITHIN`.
    """
    if instance.get_runs(dg.RunsFilter(tags={PARENT_RUN_ID_TAG: run.run_id}), limit=1):
        return True
    by_daemon = run.tags.get(WILL_RETRY_TAG) == "true"
    by_command = run.tags.get(MAX_RETRIES_TAG) == "0" and PARENT_RUN_ID_TAG not in run.tags
    if (by_daemon or by_command) and datetime.now(UTC).timestamp() - ended_at < _RUN_AGAIN_WITHIN.total_seconds():
        raise _RunAgain
    return False
