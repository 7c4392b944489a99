"""A whole day: the four steps in order, and the services that they need, opened from the settings."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ncaa_assets.archive.archive import Archive, HeldDay
from ncaa_assets.backends.deployments import open_transcoder, read_secret
from ncaa_assets.day.copy import Copied, copy
from ncaa_assets.day.encode import Encoded, encode
from ncaa_assets.day.fetch import Fetched, fetch
from ncaa_assets.day.rows import RowsWritten, write_keys, write_rows
from ncaa_assets.ports import Copier, Source, Transcoder
from ncaa_assets.source.open import open_source
from ncaa_assets.video.open import open_copier


@dataclass(frozen=True)
class Services:
    """What a day's work asks of the world besides its archive."""

    source: Source
    copier: Copier
    transcoder: Transcoder


@dataclass(frozen=True)
class WholeDay:
    """What became of each of a day's four steps. `keys` are its rows with the keys of what was copied and encoded."""

    fetched: Fetched
    rows: RowsWritten
    copied: Copied
    encoded: Encoded
    keys: RowsWritten


@contextmanager
def open_services(archive: Archive) -> Iterator[Services]:
    """The services that the archive's settings name, for as long as the `with` lasts.

    Raises:
        SettingsError: there is no API key, or a deployment lacks something.
        StoreError: the secret with the API key cannot be read.
    """
    settings = archive.settings
    with open_source(settings, read_secret=read_secret, store=archive.store) as source:
        yield Services(
            source,
            open_copier(settings, archive.store, source),
            open_transcoder(settings, archive.store),
        )


def back_up(held: HeldDay, services: Services, *, force: bool = False) -> WholeDay:
    """All four steps of a day, in order. With `force`, videos that are stored are fetched and encoded again.

    Raises:
        BackupError: a step failed; what was done by then is stored, and the next run continues from there.
    """
    fetched = fetch(held, services.source)
    rows = write_rows(held, fetched.document)
    count = held.archive.settings.video_count
    copied = copy(held, fetched.document, services.copier, count=count, force=force)
    encoded = encode(held, copied.manifest, services.transcoder, force=force)
    return WholeDay(fetched, rows, copied, encoded, write_keys(held))
