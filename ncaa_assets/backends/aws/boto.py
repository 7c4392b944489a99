"""Turns the errors of AWS services, and of stores that speak S3's protocol, into sentences that say what to do."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import boto3
import botocore.exceptions as boto_errors

from ncaa_assets.failures import SettingsError, StoreError, one_line
from ncaa_assets.text import visible

# Services have different codes for the same error. These are from "Common errors" and each service's list of errors in
# AWS's API references.
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

# Our own codes, of what answers in the place of a store: a redirect to elsewhere, or something that is not S3's.
REDIRECTED, NO_STORE = "Redirected", "NoStore"


@dataclass(frozen=True)
class Service:
    """Who answers: its name, what its credentials are called, what renews, gives or grants them, and the setting that
    says where it is."""

    name: str
    credentials: str
    renew: str
    give: str
    grant: str
    where: str

    @classmethod
    def store_at(cls, host: str) -> Self:
        """A store that speaks S3's protocol and is not AWS."""
        return cls(
            name=f"the store at {host}",
            credentials=f"credentials for the store at {host}",
            renew="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to new ones",
            give="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a key of that store, or AWS_PROFILE to a profile "
            "that has one",
            grant="grant it to that key where the store keeps its keys",
            where="S3_ENDPOINT_URL",
        )


AWS = Service(
    name="AWS",
    credentials="AWS credentials",
    renew="renew them (`aws sso login`)",
    give="sign in (`aws sso login`), set AWS_PROFILE, or run where a role gives them",
    grant="grant it to their role",
    where="AWS_REGION",
)


def code_of(error: Exception) -> str:
    """AWS's code of an error, or an empty string where no service answered."""
    if not isinstance(error, boto_errors.ClientError):
        return ""
    return visible(error.response.get("Error", {}).get("Code", ""), most=80)


def is_denied(error: BaseException | None) -> bool:
    """Whether AWS refused a request because these credentials may not make it."""
    return isinstance(error, boto_errors.ClientError) and code_of(error) in _DENIED


def was_sent_again(error: boto_errors.ClientError) -> bool:
    """Whether botocore retried the request. Then its first attempt may have succeeded and lost its answer."""
    metadata: Mapping[str, Any] = error.response.get("ResponseMetadata", {})
    return bool(metadata.get("RetryAttempts"))


def is_passing(error: Exception) -> bool:
    """Whether a request that failed, despite botocore's retries, may succeed a while later."""
    if isinstance(error, boto_errors.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return code_of(error) in _BUSY or status >= 500
    return isinstance(error, boto_errors.HTTPClientError | boto_errors.ConnectionError)


@contextmanager
def explained(
    what: str,
    sentences: Mapping[str, str] | None = None,
    *,
    kind: type[StoreError] = StoreError,
    service: Service = AWS,
) -> Iterator[None]:
    """Turns botocore's errors into ours.

    Args:
        what: the name of what is being used, for a sentence: `the bucket highlights`.
        sentences: for codes that mean something special here, the sentence to use.

    Raises:
        StoreError: (or `kind`) AWS failed or refused; the message says what to do next.
        SettingsError: there is no region, or there are no credentials.
    """
    try:
        yield
    except (boto_errors.BotoCoreError, boto_errors.ClientError, boto3.exceptions.Boto3Error) as error:
        raise _explanation(what, error, sentences or {}, kind, service) from error


def sentence(what: str, error: Exception, sentences: Mapping[str, str] | None = None) -> str:
    """What an error of botocore means, and what to do about it."""
    return str(_explanation(what, error, sentences or {}, StoreError, AWS))


def _explanation(
    what: str, error: Exception, sentences: Mapping[str, str], kind: type[StoreError], service: Service
) -> StoreError | SettingsError:
    code = code_of(error)
    if code in sentences:
        return kind(sentences[code])
    if isinstance(error, boto_errors.NoRegionError):
        return SettingsError("no AWS region is set; set AWS_REGION to the one that the archive is in")
    if isinstance(error, boto_errors.InvalidRegionError):
        return SettingsError(f"{one_line(error)}; set AWS_REGION to a region such as us-east-1")
    if isinstance(
        error,
        boto_errors.NoCredentialsError
        | boto_errors.PartialCredentialsError
        | boto_errors.CredentialRetrievalError
        | boto_errors.ProfileNotFound
        | boto_errors.SSOError
        | boto_errors.TokenRetrievalError,
    ):
        return SettingsError(f"there are no usable {service.credentials} ({one_line(error)}); {service.give}")
    if isinstance(error, boto_errors.ClientError):
        return kind(_refusal(what, error, code, service))
    if isinstance(error, boto_errors.HTTPClientError | boto_errors.ConnectionError):
        return kind(
            f"{what} cannot be reached ({one_line(error)}); check the network and {service.where}, then run it again"
        )
    return kind(f"{what} cannot be used ({one_line(error)})")


def _refusal(what: str, error: boto_errors.ClientError, code: str, service: Service) -> str:
    message = visible(error.response.get("Error", {}).get("Message", ""))
    operation = error.operation_name
    if code in _EXPIRED:
        return f"the {service.credentials} have expired ({operation}); {service.renew}, then run it again"
    if code in _UNKNOWN:
        found = f"{service.name} does not know these credentials ({code} from {operation})"
        return f"{found}; check the profile, keys and region"
    if code in _DENIED:
        detail = f": {message}" if message and message not in ("Forbidden", "Access Denied") else ""
        return f"these {service.credentials} may not do {operation} on {what}; {service.grant}{detail}"
    if code in _BUSY:
        return f"{what} is too busy ({code} from {operation}), despite retries; run it again later"
    if code in ("AuthorizationHeaderMalformed", "InvalidRegionName", "PermanentRedirect"):
        return f"{service.name} is asked with the name of another region ({message}); set AWS_REGION to its own"
    if code == REDIRECTED:
        sent = f"{service.name} redirects {operation} to {message or 'nowhere'}, which is not followed"
        return f"{sent}; set {service.where} to the store's own address, with https where it wants that"
    if code == NO_STORE:
        found = f"what answers {operation} as {service.name} does not speak S3's protocol ({message or 'no type'})"
        return f"{found}; set {service.where} to the address of the store's S3 interface, not of its web pages"
    if code == "RequestTimeTooSkewed":
        return f"this machine's clock is wrong by more than {service.name} accepts; set it, then run it again"
    return f"{operation} on {what} failed with {code or 'no code'}: {message or one_line(error)}"
