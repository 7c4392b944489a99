"""Which backend stands behind the ports: the one place that looks at `NCAA_DEPLOYMENT` to choose the services.

Each backend is imported when it is chosen: boto3 is installed for deployments that need it only.
"""

from ncaa_assets.failures import EncodeFailed, SettingsError
from ncaa_assets.media.bounds import EncodeBounds
from ncaa_assets.media.facts import Facts
from ncaa_assets.ports import HighlightTable, ObjectStore, Transcoder
from ncaa_assets.settings import Settings

NEEDS_FFMPEG = (
    "ENCODE=needed works with ffmpeg, and there is none: build the image with `--build-arg FFMPEG=1` (docs/image.md), "
    "or outside an image run `pip install 'ncaa-assets[local]'`; or set ENCODE=always"
)


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
    if settings.ncaa_deployment == "s3":
        from ncaa_assets.backends.s3.client import host_of, store_client  # noqa: PLC0415
        from ncaa_assets.backends.s3.store import CompatibleStore  # noqa: PLC0415

        endpoint = settings.s3_endpoint_url or ""
        return CompatibleStore(
            store_client(endpoint, settings.retry_policy),
            settings.s3_bucket_name or "",
            settings.s3_prefix,
            host=host_of(endpoint),
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

    if settings.ncaa_deployment == "s3":
        from ncaa_assets.backends.s3.rows import RowsFile  # noqa: PLC0415

        return RowsFile(settings.rows_dir / SQLITE_NAME)
    return SqliteTable(settings.archive_dir / SQLITE_NAME)


def open_transcoder(settings: Settings, store: ObjectStore) -> Transcoder:
    """What encodes videos from and to `store`, which `open_store` gave for the same settings.

    Raises:
        SettingsError: `ENCODE=needed` needs an ffmpeg, and there is none.
    """
    if settings.encode == "never":
        from ncaa_assets.backends.as_needed import NeverEncodes  # noqa: PLC0415

        return NeverEncodes()
    encoder = _open_encoder(settings, store)
    if settings.encode == "always":
        return encoder
    from ncaa_assets.backends.as_needed import AsNeeded  # noqa: PLC0415
    from ncaa_assets.media.ffmpeg import ffmpeg_program  # noqa: PLC0415
    from ncaa_assets.media.profile import PROFILE  # noqa: PLC0415

    try:
        ffmpeg_program()
    except EncodeFailed as error:
        if settings.ncaa_deployment != "aws":
            raise SettingsError(f"ENCODE=needed: {error}") from None
        raise SettingsError(NEEDS_FFMPEG) from None
    return AsNeeded(store, PROFILE, encoder, concurrency=settings.video_concurrency, timeout=settings.encode_timeout)


def _open_encoder(settings: Settings, store: ObjectStore) -> Transcoder:
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
        max_seconds=settings.video_max_seconds,
        max_minutes=settings.encode_minutes_a_day if is_paid else None,
        is_free=_can_stay if settings.encode == "needed" else None,
    )


def _can_stay(facts: Facts) -> bool:
    from ncaa_assets.media.profile import PROFILE  # noqa: PLC0415
    from ncaa_assets.media.web_ready import why_encode  # noqa: PLC0415

    return why_encode(facts, PROFILE) is None


def read_secret(secret_id: str) -> str:
    """The API key in a Secrets Manager secret (`clients.read_secret`)."""
    from ncaa_assets.backends.aws import clients  # noqa: PLC0415

    return clients.read_secret(secret_id)
