"""The Dagster resources: each opens one plain service for the length of a run.

None that an asset uses has configuration, so the launchpad offers nothing to change: what they open follows from the
settings, and an API key passes through no field that Dagster stores or shows.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field, create_model

from ncaa_assets.archive.archive import Archive, HeldDay, TakenDay
from ncaa_assets.backends.deployments import open_transcoder, read_secret
from ncaa_assets.defs.io_managers import documents, rows
from ncaa_assets.failures import BackupError, LeaseHeld, SettingsError
from ncaa_assets.logs import shown_in_the_ui
from ncaa_assets.ports import Copier, Source, Transcoder
from ncaa_assets.record.models import ASSETS
from ncaa_assets.runs.dagster_private import MAX_RETRIES_TAG, serializable_error_info_from_exc_info
from ncaa_assets.runs.day_line import log_finished_day
from ncaa_assets.runs.names import PARTITION_TAG
from ncaa_assets.runs.outcome import DayRun, RunError, recall
from ncaa_assets.settings import SAMPLE_ENDING, Settings
from ncaa_assets.source.open import open_source
from ncaa_assets.text import LINE, visible
from ncaa_assets.video.open import open_copier

Day = HeldDay | TakenDay
"""A run's game day: a `HeldDay` where the run holds it, a `TakenDay` where another run does."""


_FIELDS: dict[str, Any] = {
    name: (str, Field("", description=field.description)) for name, field in Settings.model_fields.items()
}


class _ForReading(dg.ConfigurableResource[None]):
    """The settings in force, for people to read in the UI. No asset uses them, so changing them there has no effect."""


ShownSettings = create_model("ShownSettings", __base__=_ForReading, __doc__=_ForReading.__doc__, **_FIELDS)


def _shown(settings: Settings) -> dg.ConfigurableResource[None]:
    """The settings by their names; of the API key, the name of its variable alone."""
    values = settings.model_dump(exclude={"rapidapi_key"}, exclude_none=True)
    shown: dict[str, Any] = {"video_count": "all"} | {name: visible(value, most=LINE) for name, value in values.items()}
    if settings.rapidapi_key is not None:
        shown["rapidapi_key"] = dg.EnvVar("RAPIDAPI_KEY")
    return ShownSettings(**shown)


def build_resources(settings: Settings, open_archive: Callable[[], Archive]) -> dict[str, Any]:
    """The services that the assets use, by resource key. `open_archive` returns the archive of these settings."""

    @dg.resource(config_schema={}, description="The archive: its store, its table and its identity.")
    def archive(_: dg.InitResourceContext) -> Archive:
        return open_archive()

    @dg.resource(
        config_schema={},
        required_resource_keys={"archive"},
        description="The run's game day: its lease, held from the run's first step to its last.",
    )
    def day(context: dg.InitResourceContext) -> Iterator[Day]:
        yield from _hold_day(context, context.resources.archive)

    @dg.resource(
        config_schema={},
        required_resource_keys={"archive"},
        description="The Sport Highlights API, or without a key a built-in sample API that is started for the run.",
    )
    def source(context: dg.InitResourceContext) -> Iterator[Source]:
        with open_source(context.resources.archive.settings, read_secret=read_secret) as opened:
            yield opened

    @dg.resource(
        config_schema={},
        required_resource_keys={"archive", "source"},
        description="What copies videos from addresses that strangers supply.",
    )
    def copier(context: dg.InitResourceContext) -> Copier:
        resources = context.resources
        return open_copier(resources.archive.settings, resources.archive.store, resources.source)

    @dg.resource(
        config_schema={},
        required_resource_keys={"archive"},
        description="What encodes videos for the web: ffmpeg, or MediaConvert on AWS.",
    )
    def transcoder(context: dg.InitResourceContext) -> Transcoder:
        return open_transcoder(context.resources.archive.settings, context.resources.archive.store)

    return {
        "archive": archive,
        "day": day,
        "source": source,
        "copier": copier,
        "transcoder": transcoder,
        "documents": documents,
        "rows": rows,
        "settings": _shown(settings),
    }


def _hold_day(context: dg.InitResourceContext, archive: Archive) -> Iterator[Day]:
    """Takes the lease of the run's day, and logs the day's line when the run ends.

    Raises:
        SettingsError: the run has no partition, or one that is no day of the archive; or the archive or the instance is
            for other data.
        StoreError: the archive cannot be read or written.
    """
    run = context.run
    if run is None:
        raise SettingsError(_NO_PARTITION)
    started = time.monotonic()
    is_sample = archive.settings.uses_sample
    with shown_in_the_ui(), ExitStack() as lease:
        day: Day
        try:
            name = _day_of(run, archive.settings)
            _check_home(context.instance, is_sample=is_sample)
            archive.exists()  # refuses an archive of something else
            day = lease.enter_context(archive.lease(name, owner=run.run_id))
        except LeaseHeld as held:
            day = TakenDay(name, str(held))
        except BackupError:
            _allow_no_retry(context.instance, run)
            raise
        try:
            yield day
        finally:
            if context.instance is not None:
                ended = _recall(context.instance, run.run_id)
                planned = {key.to_user_string() for key in run.asset_selection or ()} or set(ASSETS)
                log_finished_day(
                    name,
                    ended,
                    result=ended.result(planned, was_held=isinstance(day, TakenDay)),
                    seconds=time.monotonic() - started,
                    is_sample=is_sample,
                )


_NO_PARTITION = "this run has no partition; choose the game day to materialize"


def _day_of(run: dg.DagsterRun, settings: Settings) -> str:
    """The run's game day. Dagster itself takes any text for a run's partition.

    Raises:
        SettingsError: it has none, or it is no day that is over and not before `START_DATE`.
    """
    if (name := run.tags.get(PARTITION_TAG)) is None:
        raise SettingsError(_NO_PARTITION)
    return settings.parse_day(name).isoformat()


def _recall(instance: dg.DagsterInstance, run_id: str) -> DayRun:
    """How the run went so far; where its record cannot be read, the error of that: the run ends with it."""
    try:
        return recall(instance, run_id)
    except Exception:  # noqa: BLE001 - whatever a database raises
        return DayRun(run_id, errors=[RunError.of("", serializable_error_info_from_exc_info(sys.exc_info()))])


def _check_home(instance: dg.DagsterInstance | None, *, is_sample: bool) -> None:
    """Keeps runs on made-up data out of the instance for real data, and the other way round. A temporary instance takes
    both. The commands choose the right instance by themselves.

    Raises:
        SettingsError: this instance is for the other kind of data.
    """
    if instance is None or not instance.is_persistent:
        return
    home = Path(instance.root_directory)
    if home.name.startswith(".tmp_dagster_home") or home.name.endswith(SAMPLE_ENDING) == is_sample:
        return
    other = home.with_name(home.name + SAMPLE_ENDING if is_sample else home.name.removesuffix(SAMPLE_ENDING))
    what = "made-up data (there is no RAPIDAPI_KEY)" if is_sample else "real data"
    raise SettingsError(f"runs on {what} are not recorded in {home}; set DAGSTER_HOME={other}, or use `ncaa-assets ui`")


def _allow_no_retry(instance: dg.DagsterInstance | None, run: dg.DagsterRun) -> None:
    """Keeps Dagster from retrying a run that could not begin. Where Dagster retries lost workers, it takes any failure
    before the first step for a lost worker."""
    if instance is not None:
        instance.add_run_tags(run.run_id, {MAX_RETRIES_TAG: "0"})
