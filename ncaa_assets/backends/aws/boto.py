"""What the AWS services share: how their clients try again, and their errors as sentences that say what to do.

Credentials, region and endpoints come from boto3's own chain (environment, profile, task role); nothing here reads one.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import botocore.exceptions as boto_errors
from botocore.config import Config

from ncaa_assets.failures import SettingsError, StoreError, one_line
from ncaa_assets.record import json_text
from ncaa_assets.settings import check_key
from ncaa_assets.text import visible

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_mediaconvert import MediaConvertClient
    from types_boto3_secretsmanager import SecretsManagerClient

# The codes by which services name the same trouble ("Common errors" and each service's error list in AWS's API
# references).
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_UNKNOWN = {
    "InvalidAccessKeyId", "UnrecognizedClientException", "InvalidClientTokenId", "SignatureDoesNotMatch",
    "InvalidSignatureException", "AuthFailure", "IncompleteSignature", "MissingAuthenticationToken",
}  # fmt: skip
_DENIED = {
    "AccessDenied", "AccessDeniedException", "AllAccessDisabled", "AuthorizationError", "ForbiddenException", "403",
}  # fmt: skip
_BUSY = {
    "SlowDown", "ThrottlingException", "Throttling", "ThrottledException", "TooManyRequestsException",
    "RequestLimitExceeded", "ProvisionedThroughputExceededException", "RequestThrottled", "503",
}  # fmt: skip


def retries(count: int) -> Config:
    """How a client tries again: botocore's standard mode, which knows each service's passing errors, backs off with
    jitter, and resends what was dropped; `count` retries after the first try."""
    return Config(retries={"mode": "standard", "total_max_attempts": count + 1}, connect_timeout=10, read_timeout=60)


def dynamodb_client(retry_count: int) -> "DynamoDBClient":
    with explained("DynamoDB"):
        client: DynamoDBClient = boto3.client("dynamodb", config=retries(retry_count))
    return client


def mediaconvert_client(retry_count: int, endpoint: str | None) -> "MediaConvertClient":
    """A client of the region's endpoint; an account's own (`DescribeEndpoints`, deprecated) is still accepted."""
    with explained("MediaConvert"):
        client: MediaConvertClient = boto3.client("mediaconvert", endpoint_url=endpoint, config=retries(retry_count))
    return client


def secrets_client() -> "SecretsManagerClient":
    with explained("Secrets Manager"):
        client: SecretsManagerClient = boto3.client("secretsmanager", config=retries(3))
    return client


def read_secret(secret_id: str) -> str:
    """The API key in a Secrets Manager secret: its text, or the `api_key` of its JSON.

    Raises:
        StoreError: it cannot be read; the message says what to do.
        SettingsError: it holds no key.
    """
    missing = f"there is no secret {secret_id} with a value; put the key into it, or set RAPIDAPI_SECRET_ID to another"
    with explained(f"the secret {secret_id}", {"ResourceNotFoundException": missing}):
        text = secrets_client().get_secret_value(SecretId=secret_id).get("SecretString", "").strip()
    try:
        found = json_text.loads(text)
    except ValueError:
        found = text
    key = found.get("api_key") if isinstance(found, dict) else text
    if not isinstance(key, str) or not key.strip():
        raise SettingsError(
            f'the secret {secret_id} holds no key; its value must be {{"api_key": "…"}} or the key alone'
        )
    try:
        check_key(key.strip())
    except ValueError as error:
        raise SettingsError(f"the key in the secret {secret_id} {error}") from None
    return key.strip()


def code_of(error: Exception) -> str:
    """AWS's name of an error, or an empty string where no service answered."""
    if not isinstance(error, boto_errors.ClientError):
        return ""
    return visible(error.response.get("Error", {}).get("Code", ""), most=80)


def is_denied(error: BaseException | None) -> bool:
    """Whether AWS refused a request because these credentials may not make it."""
    return isinstance(error, boto_errors.ClientError) and code_of(error) in _DENIED


def was_sent_again(error: boto_errors.ClientError) -> bool:
    """Whether botocore made the request more than once: the first may have been carried out and its answer lost."""
    metadata: Mapping[str, Any] = error.response.get("ResponseMetadata", {})
    return bool(metadata.get("RetryAttempts"))


def is_passing(error: Exception) -> bool:
    """Whether a request that failed, also when botocore made it again, may succeed a while later."""
    if isinstance(error, boto_errors.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return code_of(error) in _BUSY or status >= 500
    return isinstance(error, boto_errors.HTTPClientError | boto_errors.ConnectionError)


@contextmanager
def explained(
    what: str, known: Mapping[str, str] | None = None, *, kind: type[StoreError] = StoreError
) -> Iterator[None]:
    """Turns botocore's errors into ours.

    Args:
        what: what is being used, as a sentence calls it: `the bucket highlights`.
        known: sentences for the codes that mean something of their own here.

    Raises:
        StoreError: (or `kind`) with what to do next.
        SettingsError: there is no region or no credentials at all.
    """
    try:
        yield
    except (boto_errors.BotoCoreError, boto_errors.ClientError, boto3.exceptions.Boto3Error) as error:
        raise _ours(what, error, known or {}, kind) from error


def sentence(what: str, error: Exception, known: Mapping[str, str] | None = None) -> str:
    """What an error of botocore's means, and what to do about it."""
    return str(_ours(what, error, known or {}, StoreError))


def _ours(what: str, error: Exception, known: Mapping[str, str], kind: type[StoreError]) -> StoreError | SettingsError:
    code = code_of(error)
    if code in known:
        return kind(known[code])
    if isinstance(error, boto_errors.NoRegionError):
        return SettingsError("no AWS region is set; set AWS_REGION to the one that the archive is in")
    if isinstance(
        error,
        boto_errors.NoCredentialsError
        | boto_errors.PartialCredentialsError
        | boto_errors.CredentialRetrievalError
        | boto_errors.ProfileNotFound
        | boto_errors.SSOError
        | boto_errors.TokenRetrievalError,
    ):
        return SettingsError(
            f"there are no usable AWS credentials ({one_line(error)}); sign in (`aws sso login`), set AWS_PROFILE, or "
            "run where a role gives them"
        )
    if isinstance(error, boto_errors.ClientError):
        return kind(_answered(what, error, code))
    if isinstance(error, boto_errors.HTTPClientError | boto_errors.ConnectionError):
        return kind(
            f"{what} cannot be reached ({one_line(error)}); check the network and AWS_REGION, then run it again"
        )
    return kind(f"{what} cannot be used ({one_line(error)})")


def _answered(what: str, error: boto_errors.ClientError, code: str) -> str:
    message = visible(error.response.get("Error", {}).get("Message", ""))
    operation = error.operation_name
    if code in _EXPIRED:
        return f"the AWS credentials have expired ({operation}); renew them (`aws sso login`), then run it again"
    if code in _UNKNOWN:
        return f"AWS does not know these credentials ({code} from {operation}); check the profile, keys and region"
    if code in _DENIED:
        detail = f": {message}" if message and message not in ("Forbidden", "Access Denied") else ""
        return f"these AWS credentials may not do {operation} on {what}; grant it to their role{detail}"
    if code in _BUSY:
        return f"{what} is too busy ({code} from {operation}), also when asked again; run it again later"
    if code == "RequestTimeTooSkewed":
        return "this machine's clock is wrong by more than AWS accepts; set it, then run it again"
    return f"{operation} on {what} failed with {code or 'no code'}: {message or one_line(error)}"
