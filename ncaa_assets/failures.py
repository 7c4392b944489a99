"""Every error that a person can meet, and what is worth a retry and what never is, decided in this one place.

An error here is one sentence that says what happened and what to do next; the command prints it as it stands. Whether
something is tried again is decided by the pure functions `status_is_transient` and `is_transient`, and only requests
are retried: never a whole step, because a Dagster step with a RetryPolicy answers Ctrl-C with another attempt, and
because retries at two levels multiply.

`requests` and `tenacity` are imported where they are used: every Dagster process loads this module, and only a run asks
the network (0.2 s of 0.4, measured).
"""

import logging
import random
import re
import socket
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from ncaa_assets.text import visible

if TYPE_CHECKING:
    import tenacity


class BackupError(Exception):
    """Base of all errors whose message is written for the person who runs the backup."""


class SettingsError(BackupError):
    """A setting has a value that cannot be used, or settings contradict one another or the archive."""


class SourceError(BackupError):
    """The highlights API did not give a usable answer.

    Attributes:
        transient: True where asking again later may help without anybody changing anything.
        retry_after: seconds that the server asked us to wait, or None.
    """

    def __init__(self, message: str, *, transient: bool = False, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.transient = transient
        self.retry_after = retry_after


class QuotaSpent(SourceError):
    """Today's API requests are used up: no other day can be fetched either."""


class StoreError(BackupError):
    """The object store or the table could not be read or written."""


class ObjectMissing(StoreError):
    """There is no object under this key."""


class StoreBusy(StoreError):
    """The store took only part of the work, or its answer broke off; asking again may help."""


class WriteConflict(StoreError):
    """A conditional write found another version than the one that it was made from."""


class LeaseHeld(BackupError):
    """Another run holds the day."""


class LeaseLost(BackupError):
    """This run held the day and lost it: it was silent for longer than the lease lasts."""


class VideoRefused(BackupError):
    """This URL will not become a stored video however often it is asked: a page, a file of another kind, a 404 …

    Attributes:
        kind: `page` for a web page, `unresolved` for one in which no video was found, `unsafe` for an address we never
            connect to, `gone` for a refusal by the host, `not-video` for other bytes, `too-large`.
    """

    def __init__(self, message: str, *, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


class CopyFailed(BackupError):
    """A copy broke for a passing reason; another attempt may succeed."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class EncodeFailed(BackupError):
    """The encoder could not make an output."""


class RunEnded(BackupError):
    """The run was ended while this was under way; what it had written is taken back."""


class AlertNotSent(BackupError):
    """A failure could not be told to the people who wait for such news."""


# What a request that a person waits for may spend on a host that cannot be reached at all: a mistyped name or a
# stopped server must be said within 10 s.
UNREACHABLE_SECONDS = 2.0

_SPENT_QUOTA = re.compile(r"\b(daily|monthly)\b.*\bquota\b|\bquota\b.*\b(daily|monthly)\b", re.IGNORECASE | re.DOTALL)


def status_is_transient(status: int, message: str = "") -> bool:
    """Whether an HTTP status is worth asking again: 408, 425, 5xx, and a 429 that is about pace and not about the day.

    RapidAPI answers 429 both for too many requests a second and for a spent daily quota; only the message tells them
    apart ("You have exceeded the DAILY quota …").
    """
    if status == 429:
        return not _SPENT_QUOTA.search(message)
    return status in (408, 425) or status >= 500


def is_unreachable(error: BaseException) -> bool:
    """Whether no connection came about at all: an unknown name or a refused port, anywhere in the chain of causes."""
    seen: set[int] = set()
    todo: list[object] = [error]
    while todo:
        one = todo.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, (socket.gaierror, ConnectionRefusedError)):
            return True
        todo += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
    return False


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed when it is made again."""
    if isinstance(error, SourceError):
        return error.transient
    if isinstance(error, BackupError):
        return isinstance(error, CopyFailed | StoreBusy)
    import requests  # noqa: PLC0415
    import urllib3  # noqa: PLC0415

    if isinstance(error, requests.exceptions.SSLError):
        return False
    return isinstance(
        error,
        requests.exceptions.ConnectionError
        | requests.exceptions.Timeout
        | requests.exceptions.ChunkedEncodingError
        | requests.exceptions.ContentDecodingError
        | urllib3.exceptions.HTTPError
        | TimeoutError
        | ConnectionError,
    )


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Seconds that a `Retry-After` header asks for (RFC 9110 §10.2.3: a number, or a date), or None."""
    value = headers.get("Retry-After", "").strip()
    if not value:
        return None
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())


def retrying(
    *,
    count: int,
    max_delay: float,
    what: str,
    log: logging.Logger,
    sleep: Callable[[float], None] = time.sleep,
) -> "tenacity.Retrying":
    """A tenacity loop for one request: `count` retries of what `is_transient`, each said in the log as it happens.

    Delays double from half a second up to `max_delay`, with jitter; a server's `Retry-After` is honoured up to
    `max_delay` (a longer one ends the retries: the next run is the better place to wait). A host that cannot be
    reached is given up after about `UNREACHABLE_SECONDS`. The last error is raised as it is.
    """
    import tenacity  # noqa: PLC0415

    def wait(state: "tenacity.RetryCallState") -> float:
        asked = getattr(_error(state), "retry_after", None)
        backoff: float = min(max_delay, 0.5 * 2 ** (state.attempt_number - 1)) * random.uniform(0.75, 1.25)  # noqa: S311
        return min(max_delay, max(asked or 0.0, backoff))

    def stop(state: "tenacity.RetryCallState") -> bool:
        error = _error(state)
        if state.attempt_number > count or (getattr(error, "retry_after", None) or 0.0) > max_delay:
            return True
        elapsed = state.seconds_since_start or 0.0
        return error is not None and is_unreachable(error) and elapsed + wait(state) > UNREACHABLE_SECONDS

    def say(state: "tenacity.RetryCallState") -> None:
        delay = state.next_action.sleep if state.next_action else 0.0
        log.warning(
            "%s: attempt %d of %d failed (%s); trying again in %.1f s",
            what, state.attempt_number, count + 1, one_line(_error(state)), delay,
        )  # fmt: skip

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(is_transient),
        stop=stop,
        wait=wait,
        sleep=sleep,
        before_sleep=say,
        reraise=True,
    )


def one_line(error: BaseException | None) -> str:
    """An error as one short line: its own message where it was written for people, else its innermost cause.

    requests wraps urllib3's errors, which wrap the socket's; only the last says what happened.
    """
    if error is None:
        return "unknown error"
    if not isinstance(error, BackupError):
        error = _innermost(error)
    text = visible(error)
    return (
        text if isinstance(error, BackupError) else f"{type(error).__name__}: {text}" if text else type(error).__name__
    )


def _innermost(error: BaseException) -> BaseException:
    for _ in range(10):
        inside = [getattr(error, "reason", None), *error.args, error.__cause__]
        deeper = next((one for one in inside if isinstance(one, BaseException) and one is not error), None)
        if deeper is None:
            break
        error = deeper
    return error


def _error(state: "tenacity.RetryCallState") -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
