"""The boto3 client of a store that speaks S3's protocol.

It is the plainest that S3 ever had, because every store knows that one: addresses with the bucket in their path,
version 4 signatures, and no checksums beyond what is asked for. boto3 finds the credentials.
"""

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from ncaa_assets.backends.aws.boto import NO_STORE, REDIRECTED, Service, explained
from ncaa_assets.backends.aws.clients import retries
from ncaa_assets.retry import RetryPolicy

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

# R2 takes it for its `auto`, MinIO and SeaweedFS take any, and DigitalOcean asks for it.
_ANY_REGION = "us-east-1"

# What no answer of a store lacks. A web page has none of it, and would pass for an empty listing.
_NEVER_LACKING = {
    "ListObjectsV2": "IsTruncated",
    "HeadObject": "ETag",
    "GetObject": "ETag",
    "PutObject": "ETag",
    "UploadPart": "ETag",
    "CreateMultipartUpload": "UploadId",
}


def host_of(endpoint: str) -> str:
    """The host of a store's address, with its port where it has one: what people call the store by."""
    return urlsplit(endpoint).netloc


def region_of(endpoint: str) -> str:
    """The region that requests are signed for where none is set: the one that the address names, as those of Backblaze,
    Wasabi, Scaleway and AWS do (`s3.us-west-004.backblazeb2.com`), else one that stores without regions take."""
    found = re.match(r"s3\.([a-z]+(?:-[a-z0-9]+)+)\.", urlsplit(endpoint).hostname or "")
    return found[1] if found else _ANY_REGION


def store_client(endpoint: str, retry: RetryPolicy) -> "S3Client":
    """The client of the store at an address.

    Raises:
        SettingsError: boto3's own settings are of no use, such as a profile that does not exist.
    """
    config = retries(retry).merge(
        Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
    )
    service = Service.store_at(host_of(endpoint))
    with explained(service.name, service=service):
        session = boto3.session.Session()
        region = session.region_name or region_of(endpoint)
        client: S3Client = session.client("s3", endpoint_url=endpoint, region_name=region, config=config)
    client.meta.events.register_first("needs-retry.s3", _refuse_what_is_no_store)
    return client


def _refuse_what_is_no_store(response: tuple[Any, dict[str, Any]] | None, operation: Any, **_others: object) -> None:
    """Refuses a redirect and an answer that is not S3's. botocore follows a redirect only to another region, and asks
    about that without end where the answer names none.

    Raises:
        ClientError: with the code `REDIRECTED` or `NO_STORE`.
    """
    if response is None:
        return  # there is no answer
    http, parsed = response
    if 300 < http.status_code < 400 and http.status_code != 304 and "x-amz-bucket-region" not in http.headers:
        code, message = REDIRECTED, http.headers.get("location", "")
    elif http.status_code < 300 and _NEVER_LACKING.get(operation.name, "ResponseMetadata") not in parsed:
        code, message = NO_STORE, http.headers.get("content-type", "")
    else:
        return
    raise ClientError({"Error": {"Code": code, "Message": message}}, operation.name)
