"""The names that runs carry: the job, the sensor that alerts, and the tags; and what people call a run."""

from typing import TYPE_CHECKING

from ncaa_assets.record.models import ASSETS

if TYPE_CHECKING:
    import dagster as dg

JOB_NAME = "daily_backup"
SENSOR = "failure_sensor"

PARTITION_TAG = "dagster/partition"
# Names the command that created a run.
TRIGGER_TAG = "ncaa_assets/trigger"
# Where the archive of a run is: those of several archives may be recorded in one home. A command's run has it from the
# start, another as soon as it is given its day.
ARCHIVE_TAG = "ncaa_assets/archive"
# A time: the run does nothing where, once it holds the day, all of it is there and was looked at since then. A run that
# re-executes it has its tags too, and heeds no such time: a person asked for it.
UNLESS_DONE_TAG = "ncaa_assets/unless_done_since"
# The run's own id where its alert was sent, or the command that created it sends one. A run that re-executes it has its
# tags too, and another id.
ALERTED_TAG = "ncaa_assets/alerted"
# The UTC date of a run whose alert stands for all that the API's quota kept from starting on that date.
QUOTA_ALERT_TAG = "ncaa_assets/quota_alert"

# What stands in a check's sentence between what is wrong and what to do about it.
REMEDY = ". What to do: "

_OF_DAGSTER = "__"  # so begin the names of the jobs that Dagster makes for a button, such as `__ASSET_JOB`
_MOST_NAMES = 5


def shown_name(run: "dg.DagsterRun") -> str:
    """What people call a run: its job's name, or where a button of the UI had none, the assets that it was to make or
    to check."""
    made = {key.to_user_string() for key in run.asset_selection or ()}
    checked = {check.asset_key.to_user_string() for check in run.asset_check_selection or ()}
    if not run.job_name.startswith(_OF_DAGSTER) or not (made or checked):
        return run.job_name
    names = [name for name in ASSETS if name in (made or checked)]
    names += sorted((made or checked).difference(names))
    shown = ", ".join(names[:_MOST_NAMES]) + (f" and {len(names) - _MOST_NAMES} more" if names[_MOST_NAMES:] else "")
    return shown if made else f"checks of {shown}"
