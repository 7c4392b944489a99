"""The Dagster resources: each opens one plain service for the length of a run.

None that an asset uses has configuration, so the launchpad offers nothing to change: what they open follows from the
settings, and an API key passes through no field that Dagster stores or shows.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field, create_model

from ncaa_assets import advice
from ncaa_assets.archive.archive import Archive, HeldDay, TakenDay
from ncaa_assets.backends.deployments import open_transcoder, read_secret
from ncaa_assets.defs.io_managers import documents, rows
from ncaa_assets.failures import BackupError, LeaseHeld, SettingsError
from ncaa_assets.logs import shown_in_the_ui
from ncaa_assets.ports import Copier, Source, Transcoder
from ncaa_assets.runs.dagster_private import MAX_RETRIES_TAG
from ncaa_assets.runs.day_line import DayLine
from ncaa_assets.runs.instance import make_home
from ncaa_assets.runs.names import ARCHIVE_TAG, PARTITION_TAG, UNLESS_DONE_TAG
from ncaa_assets.settings import SAMPLE_ENDING, Settings
from ncaa_assets.source.open import open_source
from ncaa_assets.text import LINE, visible
from ncaa_assets.video.open import open_copier

_SHOWN = "settings"  # the resource that shows them

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

    @dg.resource(
        config_schema={},
        description="The archive that the settings name: its objects, its rows, and what it is a record of.",
    )
    def archive(context: dg.InitResourceContext) -> Archive:
        line = _line_of(context, settings)
        with line.while_it_begins() if line else nullcontext():
            return open_archive()

    @dg.resource(
        config_schema={},
        required_resource_keys={"archive"},
        description="The run's game day, whose lease it holds from the first step to the last: no other run writes it.",
    )
    def day(context: dg.InitResourceContext) -> Iterator[Day]:
        yield from _hold_day(context, context.resources.archive)

    @dg.resource(
        config_schema={},
        required_resource_keys={"archive"},
        description="The Sport Highlights API, or without a key a built-in sample API that is started for the run.",
    )
    def source(context: dg.InitResourceContext) -> Iterator[Source]:
        archive = context.resources.archive
        with open_source(archive.settings, read_secret=read_secret, store=archive.store) as opened:
            yield opened

    @dg.resource(
        config_schema={},
        required_resource_keys={"archive", "source"},
        description="Copies videos from the addresses that the API lists, and keeps only what is a whole video.",
    )
    def copier(context: dg.InitResourceContext) -> Copier:
        resources = context.resources
        return open_copier(resources.archive.settings, resources.archive.store, resources.source)

    @dg.resource(
        config_schema={},
        required_resource_keys={"archive"},
        description="Encodes videos for the web: with ffmpeg, or on aws with MediaConvert.",
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
        _SHOWN: _shown(settings),
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
    if run.is_finished:  # `dagster job execute` opens what a run had once more, to read what it made
        yield TakenDay(run.tags.get(PARTITION_TAG, ""), "this run has ended")
        return
    line = _line_of(context, archive.settings)
    with shown_in_the_ui(), ExitStack() as lease:
        with line.while_it_begins() if line else nullcontext():
            day = _take(context.instance, run, archive, lease)
        try:
            yield day
        finally:
            if line:
                line.log(day)


def _take(instance: dg.DagsterInstance | None, run: dg.DagsterRun, archive: Archive, lease: ExitStack) -> Day:
    """The run's day, held until `lease` is closed, or taken by another run."""
    try:
        name = _day_of(run, archive.settings)
        _check_home(instance, is_sample=archive.settings.uses_sample)
        if instance is not None and run.tags.get(ARCHIVE_TAG) != archive.place:
            instance.add_run_tags(run.run_id, {ARCHIVE_TAG: archive.place})
        archive.exists()  # refuses an archive of something else
        since = _unless_done_since(run)
        held = lease.enter_context(archive.lease(name, owner=run.run_id))
        # Asked with the day in hand: before, another run may have been about to take it.
        if since is not None and archive.state(name).is_done_since(since):
            lease.close()
            return TakenDay(name, f"another run has done {name} meanwhile; nothing to do here")
        return held
    except LeaseHeld as held:
        return TakenDay(name, str(held))
    except BackupError:
        _allow_no_retry(instance, run)
        raise


def _line_of(context: dg.InitResourceContext, settings: Settings) -> DayLine | None:
    """The run's line in the log; None outside of a run, and after it."""
    if context.instance is None or context.run is None or context.run.is_finished:
        return None
    return DayLine(context.instance, context.run, is_sample=settings.uses_sample)


_NO_PARTITION = "this run has no partition; choose the game day to materialize"
_NO_SETTING = (
    f"a run cannot change a setting, which the resource `{_SHOWN}` only shows; set the variable where the UI is started"
)


def _day_of(run: dg.DagsterRun, settings: Settings) -> str:
    """The run's game day. Dagster itself takes any text for a run's partition.

    Raises:
        SettingsError: it has none, or it is no day that is over and not before `START_DATE`; or the run has a setting
            of its own.
    """
    if (name := run.tags.get(PARTITION_TAG)) is None:
        raise SettingsError(_NO_PARTITION)
    resources: Any = run.run_config.get("resources", {})
    if resources.get(_SHOWN, {}).get("config"):
        raise SettingsError(_NO_SETTING)
    return settings.parse_day(name).isoformat()


def _unless_done_since(run: dg.DagsterRun) -> datetime | None:
    """Since when another run may have done the day, so that this one has nothing to do; None where it does its work in
    any case.

    Raises:
        SettingsError: the run's tag is no time.
    """
    text = run.tags.get(UNLESS_DONE_TAG)
    if text is None or run.parent_run_id is not None:
        return None
    try:
        since = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"the tag {UNLESS_DONE_TAG} of this run is no time; launch it without the tag") from None
    return since if since.tzinfo else since.replace(tzinfo=UTC)


def _check_home(instance: dg.DagsterInstance | None, *, is_sample: bool) -> None:
    """Keeps runs on made-up data out of the instance for real data, and the other way round. A temporary instance takes
    both. The commands choose the right instance by themselves; Dagster's own `dagster dev` takes the one that it is
    given, and only if its folder is there, so the right one's is made.

    Raises:
        SettingsError: this instance is for the other kind of data.
        HomeUnusable: likewise, and the right one cannot be made.
    """
    if instance is None or not instance.is_persistent:
        return
    home = Path(instance.root_directory)
    if home.name.startswith(".tmp_dagster_home") or home.name.endswith(SAMPLE_ENDING) == is_sample:
        return
    other = home.with_name(home.name + SAMPLE_ENDING if is_sample else home.name.removesuffix(SAMPLE_ENDING))
    what = "made-up data (there is no RAPIDAPI_KEY)" if is_sample else "real data"
    make_home(other)
    raise SettingsError(
        f"runs on {what} are not recorded in {home}; set DAGSTER_HOME={other} and start Dagster again, or use "
        f"`{advice.command('ui')}`"
    )


def _allow_no_retry(instance: dg.DagsterInstance | None, run: dg.DagsterRun) -> None:
    """Keeps Dagster from retrying a run that could not begin. Where Dagster retries lost workers, it takes any failure
    before the first step for a lost worker."""
    if instance is not None:
        instance.add_run_tags(run.run_id, {MAX_RETRIES_TAG: "0"})
