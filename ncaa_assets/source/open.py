"""Which source a deployment's settings mean: the real API behind a door, with its key, or the sample API that stands in
for it; and which of its modules."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ncaa_assets import advice
from ncaa_assets.failures import SettingsError
from ncaa_assets.ports import ObjectStore, Source
from ncaa_assets.settings import AUTO, NO_KEY, Settings
from ncaa_assets.source.client import HighlightsApi
from ncaa_assets.source.doors import COLLEGE_BASKETBALL, Door
from ncaa_assets.source.quota import Quota
from ncaa_assets.text import size

MOST_SAMPLE = 2 * 10**9  # bytes of made-up data; two seasons with all their clips


@contextmanager
def open_source(
    settings: Settings, *, read_secret: Callable[[str], str] | None = None, store: ObjectStore | None = None
) -> Iterator[Source]:
    """The source of one deployment. Without a key, the sample API runs for as long as the `with` lasts.

    Args:
        store: the archive's, where all runs note how many API requests are left (None: nothing is noted).
        read_secret: returns the API key that a secret of this name holds; an aws deployment without `RAPIDAPI_KEY`
            needs it.

    Raises:
        SettingsError: there is no key, and no sample to do without.
        EncodeFailed: there is no ffmpeg to make the sample's clips with.
        BackupError: whatever `read_secret` raised.
    """
    if settings.uses_sample:
        from ncaa_assets.source.sample_api import SAMPLE_KEY, serve_sample  # noqa: PLC0415 - only needed without a key

        if (there := settings.sample_bytes()) > MOST_SAMPLE:
            raise SettingsError(
                f"the sample archive has {size(there)} of made-up data, which is enough: set RAPIDAPI_KEY for real "
                f"games, or remove it with `{advice.to_remove(settings.sample_folders())}`"
            )
        with serve_sample(settings.archive_dir) as server:
            door = Door.of(key=SAMPLE_KEY, api_base=server.base_url)
            yield _api(settings, door, key=SAMPLE_KEY, trusted_origin=server.origin)
    else:
        key = _key(settings, read_secret)
        door = door_of(settings, key)
        yield _api(settings, door, key=key, quota=None if store is None else _quota(settings, door, key, store))


def open_quota(
    settings: Settings, store: ObjectStore, *, read_secret: Callable[[str], str] | None = None
) -> Quota | None:
    """What is known of the API requests that the key of these settings has left; None for the sample, which counts
    none. It raises what `open_source` raises."""
    if settings.uses_sample:
        return None
    key = _key(settings, read_secret)
    return _quota(settings, door_of(settings, key), key, store)


def _quota(settings: Settings, door: Door, key: str, store: ObjectStore) -> Quota:
    return Quota(store, address=door.base, key=key, reserve=settings.quota_reserve)


def door_of(settings: Settings, key: str | None) -> Door:
    """The door that settings and key name (None: the key is not known)."""
    return Door.of(
        key=key, api_base=settings.api_base, api_url=settings.api_url, rapidapi_host=settings.rapidapi_host
    )  # fmt: skip


def fixed_module(settings: Settings) -> str | None:
    """The module of a door that has no other; None where any can be asked.

    The key tells no such door, so it need not be known.
    """
    return None if settings.uses_sample else door_of(settings, None).only


def asked_module(settings: Settings) -> str | None:
    """The module that the settings name, by its name or by the address of a door that has no other; None where the
    archive decides (`API_MODULE=auto`).

    Raises:
        SettingsError: they name two.
    """
    fixed = fixed_module(settings)
    named = None if settings.api_module == AUTO else settings.api_module
    if settings.api_url is None and fixed is not None and named not in (None, fixed):
        raise SettingsError(
            f"API_MODULE={named} but API_BASE or RAPIDAPI_HOST names a host that has the module {fixed} alone; set "
            f"API_MODULE={fixed}, or unset the other"
        )
    return fixed or named


def naming(settings: Settings) -> str | None:
    """The settings that name a module, as the end of a sentence; None where the archive decides."""
    if asked_module(settings) is None:
        return None
    by_host = settings.api_url is None and fixed_module(settings) is not None
    given = {
        "API_MODULE": settings.api_module != AUTO,
        "API_URL": settings.api_url is not None,
        "API_BASE": settings.api_base is not None and by_host,
        "RAPIDAPI_HOST": settings.rapidapi_host is not None and by_host,
    }
    return " and ".join(name for name, is_given in given.items() if is_given)


def modules_to_try(settings: Settings) -> tuple[str, ...]:
    """The modules one of which an archive that begins becomes the archive of."""
    named = asked_module(settings)
    return COLLEGE_BASKETBALL if named is None else (named,)


def _key(settings: Settings, read_secret: Callable[[str], str] | None) -> str:
    if settings.rapidapi_key is not None:
        return settings.rapidapi_key.get_secret_value()
    if settings.rapidapi_secret_id is None:
        raise SettingsError(NO_KEY)
    if read_secret is None:
        raise SettingsError("the secret that RAPIDAPI_SECRET_ID names cannot be read here: set RAPIDAPI_KEY instead")
    return read_secret(settings.rapidapi_secret_id)


def _api(
    settings: Settings,
    door: Door,
    *,
    key: str,
    trusted_origin: tuple[str, int] | None = None,
    quota: Quota | None = None,
) -> HighlightsApi:
    return HighlightsApi(
        door=door,
        key=key,
        league=settings.league_name,
        timezone=settings.timezone,
        limit=settings.limit,
        quota_reserve=settings.quota_reserve,
        retry=settings.retry_policy,
        trusted_origin=trusted_origin,
        quota=quota,
    )
