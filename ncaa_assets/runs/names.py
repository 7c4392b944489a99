"""The names that runs carry: the job, the sensor that alerts, and the tags."""

JOB_NAME = "daily_backup"
SENSOR = "failure_sensor"

PARTITION_TAG = "dagster/partition"
# Names the command that created a run.
TRIGGER_TAG = "ncaa_assets/trigger"
# Names who sends the alert when a run fails, where that is not the sensor.
ALERTS_TAG = "ncaa_assets/alerts"
