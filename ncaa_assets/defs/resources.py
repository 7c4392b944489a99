"""The Dagster resources: each makes one plain service out of settings, for the length of a run.

No logic and no secret: the API key is named by its environment variable, so the UI shows the name and not the key.
"""

import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import dagster as dg
from dagster._core.storage.tags import MAX_RETRIES_TAG
from pydantic import Field

from ncaa_assets.archive.lease import Identity, Lease
from ncaa_assets.backends.local.ffmpeg import FfmpegTranscoder
from ncaa_assets.backends.local.store import SQLITE_NAME, LocalStore
from ncaa_assets.backends.local.table import SqliteTable
from ncaa_assets.failures import BackupError, LeaseHeld, SettingsError
from ncaa_assets.media.profile import PROFILE
from ncaa_assets.ports import HighlightTable, ObjectStore, Transcoder
from ncaa_assets.record.models import ASSETS
from ncaa_assets.retry import RetryPolicy
from ncaa_assets.runs.alerts import log_finished_day
from ncaa_assets.runs.outcome import recall
from ncaa_assets.settings import NO_KEY, SAMPLE_ENDING, SAMPLE_SOURCE, Settings
from ncaa_assets.source.client import HighlightsApi
from ncaa_assets.video.copier import CopyLimits, VideoCopier

StoreResource = dg.ConfigurableResource[ObjectStore]
TableResource = dg.ConfigurableResource[HighlightTable]
TranscoderResource = dg.ConfigurableResource[Transcoder]


class LocalStoreResource(dg.ConfigurableResource[ObjectStore]):
    """The archive as a folder."""

    folder: str = Field(description="the archive's folder")

    def create_resource(self, context: dg.InitResourceContext) -> ObjectStore:  # noqa: ARG002
        return LocalStore(Path(self.folder))


class SqliteTableResource(dg.ConfigurableResource[HighlightTable]):
    """The rows as a SQLite file in the archive's folder."""

    folder: str = Field(description="the archive's folder")

    def create_resource(self, context: dg.InitResourceContext) -> HighlightTable:  # noqa: ARG002
        return SqliteTable(Path(self.folder) / SQLITE_NAME)


class FfmpegResource(dg.ConfigurableResource[Transcoder]):
    """ffmpeg as the encoder."""

    folder: str = Field(description="the archive's folder")
    concurrency: int = Field(description="encodes at a time")
    timeout_seconds: int = Field(description="the most seconds for one encode")

    def create_resource(self, context: dg.InitResourceContext) -> Transcoder:  # noqa: ARG002
        return FfmpegTranscoder(
            LocalStore(Path(self.folder)), PROFILE, concurrency=self.concurrency, timeout=self.timeout_seconds
        )


class HighlightsApiResource(dg.ConfigurableResource[HighlightsApi]):
    """The Sport Highlights API; without a key, the sample API, started for the run and stopped with it."""

    url: str = Field(description="the highlights endpoint")
    host: str | None = Field(description="the X-RapidAPI-Host header")
    api_key: str = Field(description="the environment variable's value; never shown")
    secret_id: str | None = Field(description="the secret that holds the key where the environment does not")
    league: str
    timezone: str
    limit: int | None = Field(description="at most so many highlights a day")
    quota_reserve: int = Field(description="API requests that are never spent")
    retry_count: int
    retry_delay_seconds: float
    sample_folder: str | None = Field(description="the sample archive's folder; null: the real API is asked")

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            url=settings.api_url,
            host=settings.api_host,
            api_key="" if settings.rapidapi_key is None else dg.EnvVar("RAPIDAPI_KEY"),
            secret_id=settings.rapidapi_secret_id if settings.rapidapi_key is None else None,
            league=settings.league_name,
            timezone=settings.timezone,
            limit=settings.limit,
            quota_reserve=settings.quota_reserve,
            retry_count=settings.retry_count,
            retry_delay_seconds=settings.retry_delay,
            sample_folder=str(settings.archive_dir) if settings.uses_sample else None,
        )

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[HighlightsApi, None, None]:  # noqa: ARG002
        if self.sample_folder is None:
            yield self._client(self.url, self._key(), None)
            return
        from ncaa_assets.source.sample_api import SAMPLE_KEY, serve_sample  # noqa: PLC0415 - only a run without a key needs it

        with serve_sample(Path(self.sample_folder)) as server:
            yield self._client(server.url, SAMPLE_KEY, server.origin)

    def _key(self) -> str:
        if self.api_key:
            return self.api_key.strip()  # as the settings checked it; the variable may end in a carriage return
        if self.secret_id is None:
            raise SettingsError(NO_KEY)
        from ncaa_assets.backends.aws.boto import read_secret  # noqa: PLC0415 - only an aws deployment has boto3

        return read_secret(self.secret_id)

    def _client(self, url: str, key: str, origin: tuple[str, int] | None) -> HighlightsApi:
        return HighlightsApi(
            url=url,
            host=self.host,
            key=key,
            league=self.league,
            timezone=self.timezone,
            limit=self.limit,
            quota_reserve=self.quota_reserve,
            retry=RetryPolicy(self.retry_count, self.retry_delay_seconds),
            trusted_origin=origin,
        )


class VideoCopierResource(dg.ConfigurableResource[VideoCopier]):
    """The copier of untrusted URLs, with its limits."""

    store: dg.ResourceDependency[ObjectStore]
    api: dg.ResourceDependency[HighlightsApi]
    count: int | None = Field(description="how many of a day's videos to keep; null: all")
    max_bytes: int = Field(description="a larger file is refused")
    min_bytes_per_second: int = Field(description="a slower host is given up")
    allow_private_hosts: bool = Field(description="whether URLs may reach loopback and private addresses")
    concurrency: int = Field(description="copies at a time")
    retry_count: int
    retry_delay_seconds: float
    pages: str | None = Field(description="what finds the videos of web pages; null: they are not copied")

    def create_resource(self, context: dg.InitResourceContext) -> VideoCopier:  # noqa: ARG002
        from ncaa_assets.video.safe_http import HostPolicy  # noqa: PLC0415 - why here: failures.py

        policy = HostPolicy(allow_private=self.allow_private_hosts, trusted_origin=self.api.trusted_origin)
        pages = None
        if self.pages:
            from ncaa_assets.video.pages import YtDlpReader  # noqa: PLC0415 - off by default

            pages = YtDlpReader(policy)
        return VideoCopier(
            self.store,
            policy,
            CopyLimits(
                max_bytes=self.max_bytes,
                min_bytes_per_second=self.min_bytes_per_second,
                retry=RetryPolicy(self.retry_count, self.retry_delay_seconds),
            ),
            concurrency=self.concurrency,
            count=self.count,
            pages=pages,
        )


@dataclass(frozen=True)
class DayLease:
    """A run's hold on its day; or, with `taken_by`, the sentence that says why it has none and must do nothing."""

    identity: Identity
    lease: Lease | None = None
    taken_by: str | None = None

    @property
    def marks(self) -> dict[str, str]:
        """Metadata that every materialization of this archive carries: what keeps sample data from passing for real."""
        if self.identity.source != SAMPLE_SOURCE:
            return {}
        return {"SAMPLE": "made-up data from the sample API; set RAPIDAPI_KEY to back up real games"}

    def check(self) -> None:
        """Raises `LeaseLost` where this run no longer holds its day."""
        if self.lease is not None:
            self.lease.check()


def _check_home(instance: dg.DagsterInstance | None, *, is_sample: bool) -> None:
    """Keeps runs on made-up data out of the instance of real ones, and the other way round; the commands choose the
    right one by themselves. A temporary instance takes either.

    Raises:
        SettingsError: this instance is the other's.
    """
    if instance is None or not instance.is_persistent:
        return
    home = Path(instance.root_directory)
    if home.name.startswith(".tmp_dagster_home") or home.name.endswith(SAMPLE_ENDING) == is_sample:
        return
    other = home.with_name(home.name + SAMPLE_ENDING if is_sample else home.name.removesuffix(SAMPLE_ENDING))
    what = "made-up data (there is no RAPIDAPI_KEY)" if is_sample else "real data"
    raise SettingsError(f"runs on {what} are not recorded in {home}; set DAGSTER_HOME={other}, or use `ncaa-assets ui`")


def _leave_it_at_that(instance: dg.DagsterInstance | None, run: dg.DagsterRun) -> None:
    """Keeps Dagster from running a run again that could not begin: where lost workers are retried, it takes whatever
    fails before the first step for one."""
    if instance is not None:
        instance.add_run_tags(run.run_id, {MAX_RETRIES_TAG: "0"})


class DayLeaseResource(dg.ConfigurableResource[DayLease]):
    """The archive's identity, checked, and the day's lease, held from the run's first step to its last."""

    store: dg.ResourceDependency[ObjectStore]
    source: str = Field(description="the API's host and path, or `sample`")
    league: str
    timezone: str

    @property
    def identity(self) -> Identity:
        return Identity(source=self.source, league=self.league, timezone=self.timezone)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[DayLease, None, None]:
        run = context.run
        day = run.tags.get("dagster/partition") if run else None
        if run is None or day is None:
            raise SettingsError("this run has no partition; choose the game day to materialize")
        started, lease, taken_by = time.monotonic(), None, None
        with ExitStack() as held:
            try:
                _check_home(context.instance, is_sample=self.source == SAMPLE_SOURCE)
                self.identity.check(self.store)
                lease = held.enter_context(Lease(self.store, day, run.run_id))
            except LeaseHeld as other:
                taken_by = str(other)
            except BackupError:
                _leave_it_at_that(context.instance, run)
                raise
            try:
                yield DayLease(self.identity, lease, taken_by)
            finally:
                if context.instance is not None:
                    log_finished_day(
                        day,
                        recall(context.instance, run.run_id),
                        planned={key.to_user_string() for key in run.asset_selection or ()} or set(ASSETS),
                        seconds=time.monotonic() - started,
                        is_sample=self.source == SAMPLE_SOURCE,
                        was_held=taken_by is not None,
                    )
