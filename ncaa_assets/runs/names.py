"""The names that runs carry: the job, the sensor that alerts, and the tags."""

JOB_NAME = "daily_backup"
SENSOR = "failure_sensor"

PARTITION_TAG = "dagster/partition"
# Names the command that created a run.
TRIGGER_TAG = "ncaa_assets/trigger"
# Names who sends the alert when a run fails, where that is not the sensor.
ALERTS_TAG = "ncaa_assets/alerts"
# The run's own id where its alert was sent, or is sent by whom the tag above names. A run that re-executes it has its
# tags too, and another id.
ALERTED_TAG = "ncaa_assets/alerted"
