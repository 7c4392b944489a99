"""Whether yesterday is there by nine: a check of the day's last asset, the job that runs it, and its schedule.

The other checks judge what a run leaves, so they say nothing on a morning on which no run was. Dagster's freshness
policies do not know partitions: a backfill of an old day would make them pass. The runs of a day evaluate the check too
where the day is there, so that one which comes late does not stay red; that something is missing is said at nine.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import dagster as dg

from ncaa_assets import advice
from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.day_state import DayState
from ncaa_assets.defs.checks import day_of
from ncaa_assets.defs.metadata import escaped, shown
from ncaa_assets.record import calendar
from ncaa_assets.runs.dagster_private import UnresolvedAssetJobDefinition
from ncaa_assets.runs.names import PARTITION_TAG, REMEDY
from ncaa_assets.runs.ours import our_part
from ncaa_assets.runs.outcome import SUMMARY
from ncaa_assets.settings import Settings
from ncaa_assets.text import LINE

CHECK: Final = dg.AssetCheckKey(dg.AssetKey("gallery"), "is_there_by_nine")
_NINE = time(9)
_LATE = timedelta(minutes=30)
_JOB = "morning_check"
_REPORTED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.FAILURE,
]


def build_check(partitions: dg.PartitionsDefinition, settings: Settings) -> dg.AssetChecksDefinition:
    """The check, with the partitions of its asset."""

    @dg.asset_check(  # type: ignore[arg-type]  # Dagster takes None too
        asset=CHECK.asset_key,
        name=CHECK.name,
        description=(
            f"By 09:00 ({settings.timezone}) of the next morning, the whole day is in the archive: its listing, its "
            "rows, its copies and their encodes.\n\nIf it is not, that is an ERROR, which is alerted of; or a warning "
            "where a run of the day failed, because that was alerted of, or is still under way."
        ),
        partitions_def=partitions,
        config_schema={},  # refuses any
    )
    def is_there_by_nine(
        context: dg.AssetCheckExecutionContext, archive: dg.ResourceParam[Archive]
    ) -> dg.AssetCheckResult | None:
        day = day_of(context)
        if day is None:
            return None
        over, due = _times(day, settings)
        state = archive.state(day)
        is_there = state.is_done_since(over)
        if not is_there and (context.run.job_name != _JOB or datetime.now(UTC) < due):
            return None
        summary, severity = f"{day} is there", dg.AssetCheckSeverity.ERROR
        if not is_there:
            command = advice.command("backup", "--date", day)
            summary = f"{day} is not there ({_why(state)}){REMEDY}run `{command}`"
            if _is_reported(context, day):
                severity = dg.AssetCheckSeverity.WARN
        return dg.AssetCheckResult(
            passed=is_there,
            severity=severity,
            description=escaped(summary, most=LINE),
            metadata=shown({SUMMARY: summary}),
        )

    return is_there_by_nine


def morning_job() -> UnresolvedAssetJobDefinition:
    """The job of that check alone. To Dagster, a job that makes no asset has no partitions; its runs are tagged."""
    return dg.define_asset_job(
        _JOB,
        selection=dg.AssetSelection.checks(CHECK),
        description="Looks whether one game day is in the archive, and changes nothing.",
    )


def morning_schedule(job: UnresolvedAssetJobDefinition, settings: Settings) -> dg.ScheduleDefinition:
    """The schedule, every morning at nine in `TIMEZONE`."""

    @dg.schedule(
        name="morning_check_schedule",
        job=job,
        cron_schedule="0 9 * * *",
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Every day at 09:00 ({settings.timezone}): looks whether yesterday is in the archive.",
    )
    def morning_check_schedule(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        at = context.scheduled_execution_time
        day = (at.astimezone(ZoneInfo(settings.timezone)).date() - timedelta(days=1)).isoformat()
        if datetime.now(UTC) - at > _LATE:
            # A daemon that starts later than nine makes up for six o'clock too, and the day's run has only begun.
            yield dg.SkipReason("it is long past nine; the run of the day tells how it came out")
        elif day < settings.start_date.isoformat():
            yield dg.SkipReason("no day since START_DATE is over")
        else:
            yield dg.RunRequest(run_key=f"nine/{day}", tags={PARTITION_TAG: day}, asset_check_keys=[CHECK])

    return morning_check_schedule


def _times(day: str, settings: Settings) -> tuple[datetime, datetime]:
    """When a day is over, and when it is due to be there."""
    zone, morning = ZoneInfo(settings.timezone), calendar.parse(day) + timedelta(days=1)
    return datetime.combine(morning, time(), zone), datetime.combine(morning, _NINE, zone)


def _why(state: DayState) -> str:
    return state.undone or state.table_trouble or "its listing was not read whole since the day was over"


def _is_reported(context: dg.AssetCheckExecutionContext, day: str) -> bool:
    """Whether a run of ours for the day failed, which was alerted of, or may still do so. One that was cancelled, or
    ended well and left something undone, was not."""
    instance, origin = context.instance, context.run.remote_job_origin
    location = None if origin is None else origin.location_name
    runs = instance.get_runs(dg.RunsFilter(tags={PARTITION_TAG: day}, statuses=_REPORTED))
    return any(run.job_name != _JOB and our_part(instance, run, location=location) is not None for run in runs)
