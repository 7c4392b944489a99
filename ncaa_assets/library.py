"""What other programs import of this project, and what stays as it is for them: `docs/library.md` shows how.

Everything that is not named here may change with any commit. Nothing here imports Dagster."""

from pathlib import Path

from ncaa_assets.archive.archive import Archive
from ncaa_assets.backends.local.store import SQLITE_NAME, LocalStore
from ncaa_assets.backends.local.table import SqliteTable
from ncaa_assets.failures import BackupError, DocumentDamaged, ObjectMissing, SettingsError, StoreError
from ncaa_assets.record.models import CopiedVideo, Highlight, HighlightsDay, ProcessedDay, ProcessedVideo, VideosDay
from ncaa_assets.record.rows import Row
from ncaa_assets.settings import Settings, load_dotenv

__all__ = [
    "Archive",
    "BackupError",
    "CopiedVideo",
    "DocumentDamaged",
    "Highlight",
    "HighlightsDay",
    "ObjectMissing",
    "ProcessedDay",
    "ProcessedVideo",
    "Row",
    "Settings",
    "SettingsError",
    "StoreError",
    "VideosDay",
    "open_archive",
]


def open_archive(folder: str | Path | None = None) -> Archive:
    """The archive in a folder, which needs no settings and no API key; or without a folder that of the settings in the
    environment and in `.env`, wherever it lies.

    Raises:
        SettingsError: there is no archive, or a setting cannot be used.
        StoreError: the store cannot be read.
    """
    if folder is None:
        load_dotenv()
        archive = Archive.open(Settings.from_environment())
    else:
        place = Path(folder).expanduser().absolute()
        settings = Settings.model_validate({"data_dir": place})
        archive = Archive(settings, LocalStore(place), SqliteTable(place / SQLITE_NAME))
    archive.must_be_there()
    return archive
