"""When days are backed up, and who hears of failures: the partitions, the daily job, its schedule, the sensor."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from ncaa_assets import alerts
from ncaa_assets.alerts import Alert
from ncaa_assets.backends import open_store
from ncaa_assets.failures import AlertNotSent, BackupError
from ncaa_assets.killed_runs import ALERTS_TAG, PARTITION_TAG, mark_killed
from ncaa_assets.outcome import recall
from ncaa_assets.settings import Settings

JOB_NAME = "daily_backup"
SENSOR = "failure_sensor"

_EVENTS_A_TICK = 50


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
    """Every morning at six in `TIMEZONE`; run keys make a repeated tick launch nothing twice."""

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
    def daily_backup_schedule(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        today = context.scheduled_execution_time.astimezone(ZoneInfo(settings.timezone)).date()
        for day in days_to_look_at(today, settings):
            yield dg.RunRequest(partition_key=day, run_key=f"{today}/{day}")

    return daily_backup_schedule


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
                alert = _alert_of(context, record.event_log_entry.run_id, settings)
                if alert is not None:
                    alerts.send(settings, alert)
                    sent += 1
                seen[_kind(record)] = record.storage_id
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


def _alert_of(context: dg.SensorEvaluationContext, run_id: str, settings: Settings) -> Alert | None:
    """What to alert of a run that ended, or None where nothing is wrong or somebody else alerts."""
    run = context.instance.get_run_by_id(run_id)
    if run is None or run.tags.get(ALERTS_TAG, SENSOR) != SENSOR:
        return None
    try:
        sentence = recall(context.instance, run_id).what_went_wrong(debug=True)
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
