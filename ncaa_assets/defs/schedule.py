"""The daily job, and the schedule that starts it."""

import functools
from collections.abc import Callable, Iterator
from zoneinfo import ZoneInfo

import dagster as dg

from ncaa_assets.archive.archive import Archive
from ncaa_assets.defs.partitions import days_to_look_at
from ncaa_assets.failures import as_sentence
from ncaa_assets.record.models import ASSETS
from ncaa_assets.runs.dagster_private import UnresolvedAssetJobDefinition
from ncaa_assets.runs.names import JOB_NAME
from ncaa_assets.settings import Settings


def daily_job() -> UnresolvedAssetJobDefinition:
    """The job that the schedule and every command run: the five assets of one day, with their checks, and no asset of
    another project that is merged with this one."""
    return dg.define_asset_job(
        JOB_NAME,
        selection=dg.AssetSelection.assets(*ASSETS),
        description="Backs up one game day: its JSON, its rows, its videos, their encodes and its pages.",
    )


def daily_schedule(
    job: UnresolvedAssetJobDefinition, settings: Settings, open_archive: Callable[[], Archive]
) -> dg.ScheduleDefinition:
    """The schedule, every morning at six in `TIMEZONE`. Run keys keep a repeated tick from launching a day twice.

    A daemon that starts makes up for the last tick that it missed, and no setting of Dagster prevents that
    (`max_catchup_runs` applies only to schedules with a partition set, which no longer exist). So a tick asks only for
    days whose listing has not been read since the tick's time.
    """

    @dg.schedule(
        name="daily_backup_schedule",
        job=job,
        cron_schedule="0 6 * * *",
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=(
            f"Every day at 06:00 ({settings.timezone}): backs up yesterday, and fetches the "
            f"{settings.lookback_days - 1} days before it again, because clips arrive up to 48 hours after a game."
        ),
    )
    def daily_backup_schedule(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        today = context.scheduled_execution_time.astimezone(ZoneInfo(settings.timezone)).date()
        days = days_to_look_at(today, settings)
        open_once = functools.cache(open_archive)  # for this tick alone: the process lives for weeks
        open_days = [day for day in days if not _was_listed_since(context, open_once, day)]
        for day in open_days:
            yield dg.RunRequest(partition_key=day, run_key=f"{today}/{day}")
        if not open_days:
            why = f"the listings of {', '.join(days)} were read since" if days else "no day since START_DATE is over"
            yield dg.SkipReason(f"{why}; nothing to ask for")

    return daily_backup_schedule


def _was_listed_since(context: dg.ScheduleEvaluationContext, open_archive: Callable[[], Archive], day: str) -> bool:
    """Whether the day's listing was read whole after the tick's time, which is possible where the tick comes late."""
    try:
        fetched_at = open_archive().last_whole_fetch(day)
    except Exception as error:  # noqa: BLE001 - a tick that fails would launch no day at all
        context.log.warning("cannot tell whether %s was backed up meanwhile: %s", day, as_sentence(error))
        return False  # the day's run meets the same error and reports it
    return fetched_at is not None and fetched_at >= context.scheduled_execution_time
