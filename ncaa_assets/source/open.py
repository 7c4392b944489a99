"""Which source a deployment's settings mean: the real API with its key, or the sample API that stands in for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ncaa_assets.failures import SettingsError
from ncaa_assets.ports import Source
from ncaa_assets.settings import NO_KEY, Settings
from ncaa_assets.source.client import HighlightsApi


@contextmanager
def open_source(settings: Settings, *, read_secret: Callable[[str], str] | None = None) -> Iterator[Source]:
    """The source of one deployment. Without a key, the sample API runs for as long as the `with` lasts.

    Args:
        read_secret: returns the API key that a secret of this name holds; an aws deployment without `RAPIDAPI_KEY`
            needs it.

    Raises:
        SettingsError: there is no key, and no sample to do without.
        EncodeFailed: there is no ffmpeg to make the sample's clips with.
        BackupError: whatever `read_secret` raised.
    """
    if settings.uses_sample:
        from ncaa_assets.source.sample_api import SAMPLE_KEY, serve_sample  # noqa: PLC0415 - only needed without a key

        with serve_sample(settings.archive_dir) as server:
            yield _api(settings, url=server.url, key=SAMPLE_KEY, trusted_origin=server.origin)
    else:
        yield _api(settings, url=settings.api_url, key=_key(settings, read_secret))


def _key(settings: Settings, read_secret: Callable[[str], str] | None) -> str:
    if settings.rapidapi_key is not None:
        return settings.rapidapi_key.get_secret_value()
    if settings.rapidapi_secret_id is None:
        raise SettingsError(NO_KEY)
    if read_secret is None:
        raise SettingsError("the secret that RAPIDAPI_SECRET_ID names cannot be read here: set RAPIDAPI_KEY instead")
    return read_secret(settings.rapidapi_secret_id)


def _api(settings: Settings, *, url: str, key: str, trusted_origin: tuple[str, int] | None = None) -> HighlightsApi:
    return HighlightsApi(
        url=url,
        host=settings.api_host,
        key=key,
        league=settings.league_name,
        timezone=settings.timezone,
        limit=settings.limit,
        quota_reserve=settings.quota_reserve,
        retry=settings.retry_policy,
        trusted_origin=trusted_origin,
    )
