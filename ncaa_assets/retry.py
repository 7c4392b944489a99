"""Which failures are worth another attempt, and how often and how soon to make it.

Only single requests are retried, never a whole step: a Dagster step with a RetryPolicy of Dagster's answers Ctrl-C with
another attempt, and retries at two levels multiply. `status_is_transient` and `is_transient` decide; both are pure.

`requests`, `urllib3` and `tenacity` are imported where they are used: every Dagster process loads this module, and only
a run talks to the network. Importing them takes 0.2 s (measured).
"""

import logging
import random
import re
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from ncaa_assets.failures import BackupError, CopyFailed, SourceError, StoreBusy, one_line

if TYPE_CHECKING:
    import tenacity

# How long a request keeps trying a host that cannot be reached at all: a mistyped name or a stopped server has to be
# reported within 10 s to the person who waits.
UNREACHABLE_SECONDS = 2.0

_SPENT_QUOTA = re.compile(r"\b(daily|monthly)\b.*\bquota\b|\bquota\b.*\b(daily|monthly)\b", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class RetryPolicy:
    """How often a request is retried (`count`, after the first attempt) and the longest delay in seconds between two
    attempts."""

    count: int = 3
    max_delay: float = 30.0

    def loop(
        self, *, what: str, log: logging.Logger, sleep: Callable[[float], None] = time.sleep
    ) -> "tenacity.Retrying":
        """A tenacity loop for one request: call it with a function and its arguments.

        It retries whatever `is_transient` allows and logs each retry under the name `what`. Delays double from half a
        second up to `max_delay`, with jitter. A server's `Retry-After` is honoured up to `max_delay`; a longer one ends
        the retries, because the next run is the better place to wait. A host that cannot be reached is given up after
        about `UNREACHABLE_SECONDS`. The last error is raised unchanged.
        """
        import tenacity  # noqa: PLC0415

        def wait(state: "tenacity.RetryCallState") -> float:
            asked = getattr(_error(state), "retry_after", None)
            jitter = random.uniform(0.75, 1.25)  # noqa: S311
            backoff: float = min(self.max_delay, 0.5 * 2 ** (state.attempt_number - 1)) * jitter
            return min(self.max_delay, max(asked or 0.0, backoff))

        def stop(state: "tenacity.RetryCallState") -> bool:
            error = _error(state)
            if state.attempt_number > self.count or (getattr(error, "retry_after", None) or 0.0) > self.max_delay:
                return True
            elapsed = state.seconds_since_start or 0.0
            return error is not None and is_unreachable(error) and elapsed + wait(state) > UNREACHABLE_SECONDS

        def report(state: "tenacity.RetryCallState") -> None:
            delay, error = state.next_action.sleep if state.next_action else 0.0, _error(state)
            of_all, why = f" of {self.count + 1}", one_line(error)
            if error is not None and is_unreachable(error):
                of_all = ""  # how many attempts such a host gets is a matter of time
                why = why if isinstance(error, BackupError) else "its host cannot be reached"
            log.warning(
                "%s: attempt %d%s failed (%s); trying again in %.1f s",
                what, state.attempt_number, of_all, why, delay,
            )  # fmt: skip

        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(is_transient),
            stop=stop,
            wait=wait,
            sleep=sleep,
            before_sleep=report,
            reraise=True,
        )


def status_is_transient(status: int, message: str = "") -> bool:
    """Whether a request that was answered with this HTTP status is worth repeating: 408, 425, 5xx, and a 429 that is
    about the pace rather than the day's quota.

    RapidAPI answers 429 both for too many requests a second and for a spent daily quota; only the message tells them
    apart ("You have exceeded the DAILY quota …").
    """
    if status == 429:
        return not _SPENT_QUOTA.search(message)
    return status in (408, 425) or status >= 500


def is_unreachable(error: BaseException) -> bool:
    """Whether no connection was made at all: an unknown name or a refused port, anywhere in the chain of causes."""
    seen: set[int] = set()
    pending: list[object] = [error]
    while pending:
        cause = pending.pop()
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        if isinstance(cause, (socket.gaierror, ConnectionRefusedError)):
            return True
        pending += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
    return False


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed when it is repeated."""
    if isinstance(error, SourceError):
        return error.transient
    if isinstance(error, BackupError):
        return isinstance(error, CopyFailed | StoreBusy)
    import requests  # noqa: PLC0415
    import urllib3  # noqa: PLC0415

    if isinstance(error, requests.exceptions.SSLError | urllib3.exceptions.InvalidHeader):
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
    """The seconds that a `Retry-After` header asks for (RFC 9110 §10.2.3: a number, or a date), or None. A date is
    compared with the server's own clock, where its answer has that (`Date`)."""
    value = headers.get("Retry-After", "").strip()
    if not value:
        return None
    if value.isascii() and value.isdigit():
        return float(value)
    at = _date(value)
    return (
        None if at is None else max(0.0, (at - (_date(headers.get("Date", "")) or datetime.now(UTC))).total_seconds())
    )


def _date(value: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _error(state: "tenacity.RetryCallState") -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
