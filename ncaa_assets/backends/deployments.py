"""Which backend stands behind the ports: the one place that looks at `NCAA_DEPLOYMENT` to choose the services.

Each backend is imported when it is chosen: boto3 is installed for an aws deployment only.
"""

from ncaa_assets.media.bounds import EncodeBounds
from ncaa_assets.ports import HighlightTable, ObjectStore, Transcoder
from ncaa_assets.settings import Settings


def open_store(settings: Settings) -> ObjectStore:
    """The store that these settings name.

    Raises:
        SettingsError: the deployment lacks something, such as a region.
    """
    if settings.ncaa_deployment == "aws":
        from ncaa_assets.backends.aws import clients  # noqa: PLC0415
        from ncaa_assets.backends.aws.s3 import S3Store  # noqa: PLC0415

        bucket = settings.s3_bucket_name or ""
        return S3Store(
            clients.s3(settings.retry_policy, bucket),
            bucket,
            settings.s3_prefix,
            retry=settings.retry_policy,
        )
    from ncaa_assets.backends.local.store import LocalStore  # noqa: PLC0415

    return LocalStore(settings.archive_dir)


def open_table(settings: Settings) -> HighlightTable:
    """The rows of these settings' archive; raises as `open_store`."""
    if settings.ncaa_deployment == "aws":
        from ncaa_assets.backends.aws import clients  # noqa: PLC0415
        from ncaa_assets.backends.aws.dynamodb import DynamoDBTable  # noqa: PLC0415

        return DynamoDBTable(
            clients.dynamodb(settings.retry_policy),
            settings.dynamodb_table,
            retry=settings.retry_policy,
        )
    from ncaa_assets.backends.local.store import SQLITE_NAME  # noqa: PLC0415
    from ncaa_assets.backends.local.table import SqliteTable  # noqa: PLC0415

    return SqliteTable(settings.archive_dir / SQLITE_NAME)


def open_transcoder(settings: Settings, store: ObjectStore) -> Transcoder:
    """What encodes videos from and to `store`, which `open_store` gave for the same settings."""
    from ncaa_assets.media.profile import PROFILE  # noqa: PLC0415

    if settings.ncaa_deployment == "aws":
        from ncaa_assets.backends.aws import clients  # noqa: PLC0415
        from ncaa_assets.backends.aws.mediaconvert import MediaConvertTranscoder  # noqa: PLC0415
        from ncaa_assets.backends.aws.s3 import S3Store  # noqa: PLC0415

        if not isinstance(store, S3Store):
            raise TypeError("MediaConvert reads and writes S3: it needs the S3Store of the same settings")
        return MediaConvertTranscoder(
            clients.mediaconvert(settings.retry_policy, settings.mediaconvert_endpoint),
            store,
            PROFILE,
            role=settings.mediaconvert_role_arn or "",
            queue=settings.mediaconvert_queue,
            timeout=settings.encode_timeout,
            bounds=encode_bounds(settings),
        )
    from ncaa_assets.backends.local.ffmpeg import FfmpegTranscoder  # noqa: PLC0415

    return FfmpegTranscoder(
        store,
        PROFILE,
        concurrency=settings.video_concurrency,
        timeout=settings.encode_timeout,
        bounds=encode_bounds(settings),
    )


def encode_settings_hash(settings: Settings) -> str:
    """What `Transcoder.settings_hash` of these settings' transcoder says, without opening one."""
    from ncaa_assets.media.profile import (  # noqa: PLC0415
        PROFILE,
        ffmpeg_settings_hash,
        mediaconvert_settings_hash,
    )

    return (mediaconvert_settings_hash if settings.ncaa_deployment == "aws" else ffmpeg_settings_hash)(PROFILE)


def encode_bounds(settings: Settings) -> EncodeBounds:
    """What an encode of these settings may cost at most."""
    is_paid = settings.ncaa_deployment == "aws" and settings.encode != "never"
    return EncodeBounds(
        max_seconds=settings.video_max_seconds, max_minutes=settings.encode_minutes_a_day if is_paid else None
    )


def read_secret(secret_id: str) -> str:
    """The API key in a Secrets Manager secret (`clients.read_secret`)."""
    from ncaa_assets.backends.aws import clients  # noqa: PLC0415

    return clients.read_secret(secret_id)
