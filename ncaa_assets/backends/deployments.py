"""Which backend stands behind the ports: the one place that looks at `NCAA_DEPLOYMENT` to choose the services.

Each backend is imported when it is chosen: boto3 is installed for deployments that need it only.
"""

import os
import posixpath
from pathlib import Path

from ncaa_assets import advice
from ncaa_assets.backends.place import Place
from ncaa_assets.failures import EncodeFailed, SettingsError
from ncaa_assets.media.bounds import EncodeBounds
from ncaa_assets.media.facts import Facts
from ncaa_assets.ports import HighlightTable, ObjectStore, Transcoder
from ncaa_assets.settings import Settings
from ncaa_assets.text import visible


def needs_ffmpeg() -> str:
    """What to say of ENCODE=needed without an ffmpeg."""
    how = "build the image with `docker build --build-arg FFMPEG=1 -t ncaa-assets .` (docs/image.md)"
    how = how if advice.in_image() else advice.to_install("local")
    return f"ENCODE=needed works with ffmpeg, and there is none: {how}, or set ENCODE=always"


def open_store(settings: Settings) -> ObjectStore:
    """The store that these settings name.

    Raises:
        SettingsError: the deployment lacks something, such as a region.
    """
    if settings.ncaa_deployment == "local":
        from ncaa_assets.backends.local.store import LocalStore  # noqa: PLC0415

        return LocalStore(settings.archive_dir)
    return open_bucket(settings, settings.s3_bucket_name or "", settings.s3_prefix)


def open_bucket(settings: Settings, bucket: str, prefix: str) -> ObjectStore:
    """A bucket as a store of objects: one of AWS, or of the store whose address is set; raises as `open_store`."""
    if settings.s3_endpoint_url is None:
        from ncaa_assets.backends.aws import clients  # noqa: PLC0415
        from ncaa_assets.backends.aws.s3 import S3Store  # noqa: PLC0415

        return S3Store(clients.s3(settings.retry_policy, bucket), bucket, prefix, retry=settings.retry_policy)
    from ncaa_assets.backends.s3.client import host_of, store_client  # noqa: PLC0415
    from ncaa_assets.backends.s3.store import CompatibleStore  # noqa: PLC0415

    endpoint = settings.s3_endpoint_url
    client = store_client(endpoint, settings.retry_policy)
    return CompatibleStore(client, bucket, prefix, host=host_of(endpoint), retry=settings.retry_policy)


def open_place(named: str, settings: Settings) -> Place:
    """What a person named to be read: a folder, a file, `s3://BUCKET/PREFIX` (in the store at `S3_ENDPOINT_URL` where
    that is set, else on AWS) or `dynamodb://TABLE`.

    Raises:
        SettingsError: it is none of them, or what reads it is not installed.
    """
    scheme, is_address, rest = named.partition("://")
    if not is_address:
        from ncaa_assets.backends.local.place import FolderPlace  # noqa: PLC0415

        if "\0" in named or not os.path.exists(Path(named).expanduser()):  # noqa: PTH110 - it never raises
            raise SettingsError(
                f"there is no {visible(named)}; name a folder, a file, s3://BUCKET/PREFIX or dynamodb://TABLE"
            )
        return FolderPlace(Path(named).expanduser())
    first, _, prefix = rest.partition("/")
    if scheme not in ("s3", "dynamodb") or not first:
        raise SettingsError(
            f"{visible(named)} is no place to read; name a folder, s3://BUCKET/PREFIX or dynamodb://TABLE"
        )
    try:
        from ncaa_assets.backends.aws import clients  # noqa: PLC0415
        from ncaa_assets.backends.aws.place import BucketPlace, TablePlace  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{visible(named)} cannot be read without boto3: {advice.to_install('s3')}, or copy it into a folder"
        ) from error
    if scheme == "dynamodb":
        return TablePlace(clients.dynamodb(settings.retry_policy), first)
    if settings.s3_endpoint_url is None:
        return BucketPlace(clients.s3(settings.retry_policy, first), first, prefix)
    from ncaa_assets.backends.aws.boto import Service  # noqa: PLC0415
    from ncaa_assets.backends.s3.client import host_of, store_client  # noqa: PLC0415

    endpoint = settings.s3_endpoint_url
    service = Service.store_at(host_of(endpoint))
    return BucketPlace(store_client(endpoint, settings.retry_policy), first, prefix, service=service)


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


def addresses(settings: Settings) -> tuple[str, str | None]:
    """Where the objects of these settings' archive lie, and where its rows do, without opening either: a folder or an
    `s3://` address with a slash at its end, and a file, or None for a table that is known by its name.

    Raises:
        SettingsError: no archive can be there.
    """
    from ncaa_assets.backends.local.store import SQLITE_NAME  # noqa: PLC0415

    if settings.ncaa_deployment == "local":
        return f"{settings.archive_dir}/", str(settings.archive_dir / SQLITE_NAME)
    objects = f"s3://{posixpath.join(settings.s3_bucket_name or '', settings.s3_prefix, '')}"
    return objects, None if settings.ncaa_deployment == "aws" else str(settings.rows_dir / SQLITE_NAME)


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
        raise SettingsError(needs_ffmpeg()) from None
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
