"""An `Archive` around the store that a test has made."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ncaa_assets.archive.archive import Archive, HeldDay
from ncaa_assets.backends.local.store import SQLITE_NAME
from ncaa_assets.backends.local.table import SqliteTable
from ncaa_assets.ports import HighlightTable, ObjectStore
from ncaa_assets.settings import Settings


def archive_in(store: ObjectStore, table: HighlightTable | None = None, **settings: Any) -> Archive:
    """The archive in a store, with settings as nobody set them but for those given; its rows lie beside a folder's
    objects where no table is given."""
    place = Path(getattr(store, "root", "no-folder"))
    return Archive(Settings.model_validate(settings), store, table or SqliteTable(place / SQLITE_NAME))


def lease_of(store: ObjectStore, day: str, owner: str, **options: Any) -> AbstractContextManager[HeldDay]:
    """A day of the archive in a store, held by `owner` for as long as the `with` lasts."""
    return archive_in(store).lease(day, owner=owner, **options)
