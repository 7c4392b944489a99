"""The wiring, nothing else: which assets, checks, resources and automation make up the project. Read this first.

highlights ─▶ backup_rows            a day's JSON ─▶ one row a highlight
    └───────▶ videos ─▶ processed_videos    the first videos copied ─▶ encoded for the web
"""

import re
import warnings

import dagster as dg

from ncaa_assets.defs.assets import ASSETS
from ncaa_assets.defs.automation import daily_job, daily_schedule, failure_sensor, game_days
from ncaa_assets.defs.checks import build_checks
from ncaa_assets.defs.io_managers import JsonDocumentIOManager, RowsIOManager
from ncaa_assets.defs.resources import (
    DayLeaseResource,
    FfmpegResource,
    HighlightsApiResource,
    LocalStoreResource,
    SqliteTableResource,
    StoreResource,
    TableResource,
    TranscoderResource,
    VideoCopierResource,
)
from ncaa_assets.settings import Settings

# Partitioned checks are a preview in 1.13; without them a failed day's check turns green when another day passes.
warnings.filterwarnings("ignore", message=".*partitions_def.*AssetCheckSpec.*", category=dg.PreviewWarning)


def build_defs(settings: Settings) -> dg.Definitions:
    """The whole project for one deployment's settings; tests build their own from it."""
    partitions = game_days(settings)
    job = daily_job()

    def placed(spec: dg.AssetSpec) -> dg.AssetSpec:
        # The mark and the group tell sample data from real ones at the first look at the graph.
        mark = {"sample"} if settings.uses_sample else set()
        group = "SAMPLE_ncaa_highlights" if settings.uses_sample else "ncaa_highlights"
        objects, rows = ("s3", "dynamodb") if settings.ncaa_deployment == "aws" else ("file", "sqlite")
        place = {rows if "table" in spec.kinds else objects}
        return spec.replace_attributes(
            partitions_def=partitions,
            group_name=group,
            kinds=spec.kinds | place | mark,  # three at most
            tags={**spec.tags, "deployment": settings.ncaa_deployment, "source": _tag(settings.source)},
        )

    return dg.Definitions(
        assets=dg.map_asset_specs(placed, ASSETS),
        asset_checks=build_checks(partitions),
        jobs=[job],
        schedules=[daily_schedule(job, settings)],
        sensors=[failure_sensor(settings)],
        resources=build_resources(settings),
        executor=dg.in_process_executor,
    )


def _tag(text: str) -> str:
    """Text as a tag's value, which may have letters, digits and `_.-`, 63 in all."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text)[:63].strip("_")


def build_resources(settings: Settings) -> dict[str, object]:
    """The services behind the assets, by resource key."""
    store, table, transcoder = _services(settings)
    api = HighlightsApiResource.of(settings)
    return {
        "store": store,
        "table": table,
        "api": api,
        "copier": VideoCopierResource(
            store=store,
            api=api,
            count=settings.video_count,
            max_bytes=settings.video_max_bytes,
            min_bytes_per_second=settings.video_min_bytes_per_second,
            allow_private_hosts=settings.video_allow_private_hosts,
            concurrency=settings.video_concurrency,
            retry_count=settings.retry_count,
            retry_delay_seconds=settings.retry_delay,
            pages=settings.video_pages,
        ),
        "transcoder": transcoder,
        "day_lease": DayLeaseResource(
            store=store, source=settings.source, league=settings.league_name, timezone=settings.timezone
        ),
        "documents": JsonDocumentIOManager(store=store),
        "rows": RowsIOManager(table=table),
    }


def _services(settings: Settings) -> tuple[StoreResource, TableResource, TranscoderResource]:
    """The three services that a deployment swaps, and nothing else."""
    if settings.ncaa_deployment == "aws":
        from ncaa_assets.backends.aws.resources import aws_services  # noqa: PLC0415 - dagster_aws takes longer than all of Dagster

        return aws_services(settings)
    folder = str(settings.archive_dir)
    return (
        LocalStoreResource(folder=folder),
        SqliteTableResource(folder=folder),
        FfmpegResource(folder=folder, concurrency=settings.video_concurrency, timeout_seconds=settings.encode_timeout),
    )


defs = build_defs(Settings.from_environment())
