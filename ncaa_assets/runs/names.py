"""The names by which runs are known: the job, the sensor that alerts, and the tags that a run carries."""

JOB_NAME = "daily_backup"
SENSOR = "failure_sensor"

# The logger of the finished days' lines, which are for machines.
DAY_LINES = "ncaa_assets.day_lines"

PARTITION_TAG = "dagster/partition"
# The command that made a run.
TRIGGER_TAG = "ncaa_assets/trigger"
# Who raises the alert of a run's failure, where that is not left to the sensor.
ALERTS_TAG = "ncaa_assets/alerts"
