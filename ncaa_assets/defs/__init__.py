"""Everything Dagster shows, a file a concept: assets, checks, resources, IO managers, partitions, schedule, sensor."""
