"""Where an archive lives: the three interfaces (base.py) and what stands behind them, in a folder or on AWS."""

from typing import TYPE_CHECKING

from ncaa_assets.ports import HighlightTable, ObjectStore

if TYPE_CHECKING:
    from ncaa_assets.settings import Settings


def open_store(settings: "Settings") -> ObjectStore:
    """The archive of these settings, for what runs outside of a Dagster run."""
    if settings.ncaa_deployment == "aws":
        from ncaa_assets.backends.aws import resources as aws  # noqa: PLC0415 - dagster_aws takes longer to import than all of Dagster

        return aws.open_store(settings)
    from ncaa_assets.backends.local.store import LocalStore  # noqa: PLC0415

    return LocalStore(settings.archive_dir)


def open_table(settings: "Settings") -> HighlightTable:
    """The rows of these settings' archive."""
    if settings.ncaa_deployment == "aws":
        from ncaa_assets.backends.aws import resources as aws  # noqa: PLC0415

        return aws.open_table(settings)
    from ncaa_assets.backends.local.store import SQLITE_NAME  # noqa: PLC0415
    from ncaa_assets.backends.local.table import SqliteTable  # noqa: PLC0415

    return SqliteTable(settings.archive_dir / SQLITE_NAME)
