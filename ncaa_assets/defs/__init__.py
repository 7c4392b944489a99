"""What Dagster shows, one file a concept: assets, checks, resources, IO managers, partitions, schedule, sensor."""
