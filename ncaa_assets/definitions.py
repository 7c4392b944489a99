"""The wiring and nothing else: the assets, checks, resources and automation of the project. Read this first.

highlights ─▶ backup_rows ────────────────┐             a day's JSON ─▶ one row a highlight
    └───────▶ videos ─▶ processed_videos ─┴▶ gallery    the first videos copied ─▶ encoded ─▶ pages to watch them by
"""

import re
import warnings

import dagster as dg

from ncaa_assets.archive.archive import Archive
from ncaa_assets.defs import by_nine
from ncaa_assets.defs.assets import ASSETS
from ncaa_assets.defs.checks import build_checks
from ncaa_assets.defs.metadata import place
from ncaa_assets.defs.partitions import game_days
from ncaa_assets.defs.resources import build_resources
from ncaa_assets.defs.schedule import daily_job, daily_schedule
from ncaa_assets.defs.sensor import failure_sensor
from ncaa_assets.logs import make_logs_safe
from ncaa_assets.settings import Settings

make_logs_safe()  # this module is what Dagster's run workers and code servers have of ours

# Partitioned checks are a preview in Dagster 1.13. Without partitions, a failed day's check turns green when another
# day passes.
warnings.filterwarnings("ignore", message=".*partitions_def.*AssetCheckSpec.*", category=dg.PreviewWarning)


def build_defs(settings: Settings, *, archive: Archive | None = None) -> dg.Definitions:
    """The whole project for one deployment's settings. Tests build their own graph with it.

    `archive` is the archive of these settings where the caller has opened it already. Else each run and each tick opens
    it for itself: what serves the UI lives for weeks, and credentials may be renewed meanwhile.
    """
    partitions = game_days(settings)
    job, morning = daily_job(), by_nine.morning_job()

    def open_archive() -> Archive:
        return archive or Archive.open(settings)

    def placed(spec: dg.AssetSpec) -> dg.AssetSpec:
        # The kind `sample` and the group's name show at first glance that a graph's data are made up.
        mark = {"sample"} if settings.uses_sample else set()
        group = "SAMPLE_ncaa_highlights" if settings.uses_sample else "ncaa_highlights"
        objects, rows = {"local": ("file", "sqlite"), "aws": ("s3", "dynamodb"), "s3": ("s3", "sqlite")}[
            settings.ncaa_deployment
        ]
        kind = {rows if "table" in spec.kinds else objects}
        return spec.replace_attributes(
            partitions_def=partitions,
            group_name=group,
            kinds=spec.kinds | kind | mark,  # Dagster allows three
            metadata={**spec.metadata, **place(spec.key.path[-1], settings)},
            tags={**spec.tags, "deployment": settings.ncaa_deployment, "source": _tag(settings.source)},
        )

    return dg.Definitions(
        assets=dg.map_asset_specs(placed, ASSETS),
        asset_checks=[*build_checks(partitions), by_nine.build_check(partitions, settings)],
        jobs=[job, morning],
        schedules=[daily_schedule(job, settings, open_archive), by_nine.morning_schedule(morning, settings)],
        sensors=[failure_sensor(settings, open_archive)],
        resources=build_resources(settings, open_archive),
        executor=dg.in_process_executor,
    )


def build_reader_defs(settings: Settings, *, archive: Archive | None = None) -> dg.Definitions:
    """The assets for a code location of another project, which reads them and makes none: their keys and days, and what
    loads them. `archive` is as in `build_defs`."""

    def read_only(asset: dg.AssetsDefinition) -> dg.AssetSpec:
        spec = dg.AssetSpec(asset.key, partitions_def=game_days(settings))
        return spec.with_io_manager_key(asset.get_io_manager_key_for_asset_key(asset.key))

    def open_archive() -> Archive:
        if archive is not None:
            return archive
        opened = Archive.open(settings)
        opened.must_be_there()
        return opened

    resources = build_resources(settings, open_archive)
    return dg.Definitions(
        assets=[read_only(asset) for asset in ASSETS],
        resources={name: resources[name] for name in ("archive", "documents", "rows")},
    )


def _tag(text: str) -> str:
    """Text as a tag's value: letters, digits and `_.-`, at most 63 characters."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text)[:63].strip("_")


_settings = Settings.from_environment()
GAME_DAYS = game_days(_settings)
defs = build_defs(_settings)
