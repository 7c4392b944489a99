"""The boto3 clients that the backend uses, one function for each service, the one secret that it reads, and where AWS's
console is.

boto3 itself finds credentials, region and endpoints (environment, profile, task role)."""

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from ncaa_assets.backends.aws.boto import explained
from ncaa_assets.failures import SettingsError
from ncaa_assets.record import json_text
from ncaa_assets.retry import RetryPolicy
from ncaa_assets.settings import check_key

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_mediaconvert import MediaConvertClient
    from types_boto3_s3 import S3Client
    from types_boto3_secretsmanager import SecretsManagerClient

# Where AWS's console is, by partition.
_CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-us-gov": "console.amazonaws-us-gov.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-eusc": "console.amazonaws-eusc.eu",
}


def retries(policy: RetryPolicy) -> Config:
    """How a client retries: in botocore's standard mode, which knows each service's passing errors and backs off with
    jitter. `policy` says how often; the delays are botocore's own."""
    attempts = policy.count + 1
    return Config(retries={"mode": "standard", "total_max_attempts": attempts}, connect_timeout=10, read_timeout=60)


def s3(retry: RetryPolicy, bucket: str) -> "S3Client":
    with explained(f"the bucket {bucket}"):
        client: S3Client = boto3.client("s3", config=retries(retry))
    return client


def dynamodb(retry: RetryPolicy) -> "DynamoDBClient":
    with explained("DynamoDB"):
        client: DynamoDBClient = boto3.client("dynamodb", config=retries(retry))
    return client


def mediaconvert(retry: RetryPolicy, endpoint: str | None) -> "MediaConvertClient":
    """A client of the region's endpoint. An account's own endpoint (`DescribeEndpoints`, deprecated) still works."""
    with explained("MediaConvert"):
        client: MediaConvertClient = boto3.client("mediaconvert", endpoint_url=endpoint, config=retries(retry))
    return client


def secrets() -> "SecretsManagerClient":
    with explained("Secrets Manager"):
        client: SecretsManagerClient = boto3.client("secretsmanager", config=retries(RetryPolicy()))
    return client


def read_secret(secret_id: str) -> str:
    """The API key in a Secrets Manager secret: its whole text, or the `api_key` of its JSON.

    Raises:
        StoreError: the secret cannot be read; the message says what to do.
        SettingsError: the secret holds no key.
    """
    missing = f"there is no secret {secret_id} with a value; put the key into it, or set RAPIDAPI_SECRET_ID to another"
    with explained(f"the secret {secret_id}", {"ResourceNotFoundException": missing}):
        text = secrets().get_secret_value(SecretId=secret_id).get("SecretString", "").strip()
    try:
        content = json_text.loads(text)
    except ValueError:
        content = text
    key = content.get("api_key") if isinstance(content, dict) else text
    if not isinstance(key, str) or not key.strip():
        raise SettingsError(
            f'the secret {secret_id} holds no key; its value must be {{"api_key": "…"}} or the key alone'
        )
    try:
        check_key(key.strip())
    except ValueError as error:
        raise SettingsError(f"the key in the secret {secret_id} {error}") from None
    return key.strip()


def console(client: "BaseClient") -> str:
    """The address of AWS's console for a client's region and partition."""
    return f"https://{client.meta.region_name}.{_CONSOLES.get(client.meta.partition, _CONSOLES['aws'])}"
