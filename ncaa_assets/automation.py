"""When days are backed up: the game-day partitions, the daily job, and its schedule."""

from collections.abc import Iterator
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from ncaa_assets.settings import Settings

JOB_NAME = "daily_backup"


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
