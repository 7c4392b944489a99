"""The daily job and the schedule that asks for it."""

from collections.abc import Callable, Iterator
from zoneinfo import ZoneInfo

import dagster as dg

from ncaa_assets.archive.archive import Archive
from ncaa_assets.defs.partitions import days_to_look_at
from ncaa_assets.failures import BackupError
from ncaa_assets.runs.dagster_private import UnresolvedAssetJobDefinition
from ncaa_assets.runs.names import JOB_NAME
from ncaa_assets.settings import Settings


def daily_job() -> UnresolvedAssetJobDefinition:
    """The job that every trigger runs: the four assets of one day with their checks."""
    return dg.define_asset_job(
        JOB_NAME,
        selection=dg.AssetSelection.all(),
        description="Backs up one game day: its JSON, its rows, its videos and their encodes.",
    )


def daily_schedule(
    job: UnresolvedAssetJobDefinition, settings: Settings, open_archive: Callable[[], Archive]
) -> dg.ScheduleDefinition:
    """Every morning at six in `TIMEZONE`; run keys make a repeated tick launch nothing twice.

    A daemon that starts makes up the last tick that was missed, and Dagster has no setting against it
    (`max_catchup_runs` counts only for schedules with a partition set, which no schedule has any more). So a tick asks
    only for the days whose listing nobody has read since its time.
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
        open_days = [day for day in days if not _was_listed_since(context, open_archive, day)]
        for day in open_days:
            yield dg.RunRequest(partition_key=day, run_key=f"{today}/{day}")
        if not open_days:
            why = f"the listings of {', '.join(days)} were read since" if days else "no day since START_DATE is over"
            yield dg.SkipReason(f"{why}; nothing to ask for")

    return daily_backup_schedule


def _was_listed_since(context: dg.ScheduleEvaluationContext, open_archive: Callable[[], Archive], day: str) -> bool:
    """Whether the day's listing was read whole after the tick's time, as it may be where a tick is made up late."""
    try:
        fetched_at = open_archive().last_whole_fetch(day)
    except BackupError as error:
        context.log.warning("whether %s was backed up meanwhile could not be found out: %s", day, error)
        return False  # the day's run meets the same trouble, and reports it
    return fetched_at is not None and fetched_at >= context.scheduled_execution_time
