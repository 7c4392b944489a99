"""What is worth a retry and what never is, and how long the waits between retries are."""

import logging
import socket
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import requests
import urllib3
from hypothesis import given, settings
from hypothesis import strategies as st

from ncaa_assets.failures import (
    CopyFailed,
    EncodeFailed,
    LeaseHeld,
    LeaseLost,
    ObjectMissing,
    RunEnded,
    SettingsError,
    SourceError,
    StoreError,
    VideoRefused,
    WriteConflict,
    one_line,
)
from ncaa_assets.retry import RetryPolicy, is_transient, is_unreachable, retry_after_seconds, status_is_transient
from ncaa_assets_tests.loopback.http_server import Handler, Reply, ScriptedServer

log = logging.getLogger("tests")

DAILY = (
    "You have exceeded the DAILY quota for Requests on your current plan, BASIC. Upgrade your plan at "
    "https://rapidapi.com/highlightly-api/api/sport-highlights-api"
)
MONTHLY = "You have exceeded the MONTHLY quota for Requests on your current plan, BASIC."
PER_SECOND = "You have exceeded the rate limit per second for your plan, BASIC, by the API provider"


@pytest.mark.parametrize(
    ("status", "message", "transient"),
    [
        (400, "property foo should not exist", False),
        (401, "Invalid API key", False),
        (403, "You are not subscribed to this API.", False),
        (404, "", False),
        (405, "", False),
        (408, "", True),
        (410, "", False),
        (422, "", False),
        (425, "", True),
        (429, "", True),
        (429, PER_SECOND, True),
        (429, "Too many requests", True),
        (429, DAILY, False),
        (429, DAILY.lower(), False),
        (429, "The quota of your plan is spent: it is a daily\none", False),
        (429, MONTHLY, False),
        (429, "quota of 5 requests per second", True),
        (451, "", False),
        (500, "", True),
        (501, "", True),
        (502, "Bad Gateway", True),
        (503, DAILY, True),
        (504, "", True),
        (522, "", True),
        (200, "", False),
        (301, "", False),
        (304, "", False),
    ],
)
def test_a_status_is_worth_a_retry_or_not(status: int, message: str, transient: bool) -> None:
    assert status_is_transient(status, message) is transient


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (SourceError("down", transient=True), True),
        (SourceError("no key"), False),
        (CopyFailed("cut off"), True),
        (VideoRefused("a page", kind="page"), False),
        (SettingsError("LIMIT"), False),
        (StoreError("disk full"), False),
        (ObjectMissing("not there"), False),
        (WriteConflict("changed"), False),
        (LeaseHeld("held"), False),
        (LeaseLost("lost"), False),
        (EncodeFailed("no picture"), False),
        (RunEnded("ended"), False),
        (requests.exceptions.ConnectTimeout(), True),
        (requests.exceptions.ReadTimeout(), True),
        (requests.exceptions.ConnectionError("reset"), True),
        (requests.exceptions.ProxyError(), True),
        (requests.exceptions.ChunkedEncodingError(), True),
        (requests.exceptions.ContentDecodingError(), True),
        (requests.exceptions.SSLError(), False),
        (requests.exceptions.InvalidURL(), False),
        (requests.exceptions.MissingSchema(), False),
        (requests.exceptions.InvalidSchema(), False),
        (requests.exceptions.InvalidHeader(), False),
        (requests.exceptions.TooManyRedirects(), False),
        (urllib3.exceptions.ProtocolError("cut"), True),
        (urllib3.exceptions.IncompleteRead(1, 2), True),
        (ConnectionResetError(), True),
        (BrokenPipeError(), True),
        (TimeoutError(), True),
        (ssl.SSLCertVerificationError(), False),
        (PermissionError(), False),
        (OSError("disk"), False),
        (ValueError(), False),
        (KeyboardInterrupt(), False),
        (MemoryError(), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_an_error_is_worth_a_retry_or_not(error: BaseException, transient: bool) -> None:
    assert is_transient(error) is transient


def _closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _broken_chunks(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"5\r\nhello\r\nnot a length\r\n")
    handler.close_connection = True


def _no_answer(handler: Handler) -> None:
    handler.close_connection = True


def _silence(handler: Handler) -> None:
    handler.rfile.read(1)  # until the client goes away
    handler.close_connection = True


def _error_of(url: str) -> requests.exceptions.RequestException:
    with requests.Session() as session:
        session.trust_env = False
        with pytest.raises(requests.exceptions.RequestException) as caught:
            session.get(url, timeout=(1, 0.2))
    return caught.value


@pytest.mark.parametrize(
    ("script", "transient"),
    [
        (_broken_chunks, True),
        (_no_answer, True),
        (_silence, True),
        (Reply(b"half", length=100), True),
        (Reply(b"no gzip", headers={"Content-Encoding": "gzip"}), True),
    ],
    ids=["broken chunks", "no answer", "silence", "half an answer", "broken compression"],
)
def test_a_real_connection_that_breaks_is_worth_a_retry(
    server: ScriptedServer, script: Reply | Callable[[Handler], None], transient: bool
) -> None:
    error = _error_of(server.on("/", script))
    assert is_transient(error) is transient
    assert not is_unreachable(error)


def test_a_refused_connection_is_worth_a_retry_and_known_to_be_unreachable() -> None:
    error = _error_of(f"http://127.0.0.1:{_closed_port()}/")
    assert is_transient(error)
    assert is_unreachable(error)
    assert "Connection refused" in one_line(error)
    assert "HTTPConnectionPool" not in one_line(error)


def test_an_unknown_host_is_known_to_be_unreachable() -> None:
    error = _error_of("http://nobody.invalid/")  # RFC 6761: never resolves
    assert is_transient(error)
    assert is_unreachable(error)


def test_a_server_that_speaks_no_tls_is_never_asked_again(server: ScriptedServer) -> None:
    assert not is_transient(_error_of(f"https://127.0.0.1:{server.port}/"))


def test_the_reason_is_found_however_deep_it_is_wrapped() -> None:
    def wrapped(error: BaseException, depth: int) -> BaseException:
        for level in range(depth):
            outer = RuntimeError("outer")
            if level % 2:
                outer.__cause__ = error
            else:
                outer.args = ("outer", error)
            error = outer
        return error

    assert is_unreachable(wrapped(ConnectionRefusedError(), 7))
    assert not is_unreachable(wrapped(ConnectionResetError(), 7))


def test_errors_that_name_one_another_as_causes_end_the_search() -> None:
    one, other = RuntimeError("one"), RuntimeError("other")
    one.__cause__, other.__cause__ = other, one
    assert not is_unreachable(one)
    assert one_line(one).startswith("RuntimeError: ")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 120 ", 120.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
        ("٣", None),
        ("1 Jan 99999999999999999999 00:00:00", None),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999999999", None),
        ("2025-03-09T00:00:00Z", None),
    ],
)
def test_retry_after_is_a_number_of_seconds_or_a_date_or_nothing(value: str, seconds: float | None) -> None:
    assert retry_after_seconds({"Retry-After": value}) == seconds


def test_no_retry_after_asks_for_nothing() -> None:
    assert retry_after_seconds({}) is None


@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0000"])
def test_retry_after_as_a_date_counts_from_now(zone: str) -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=90)).replace("+0000", zone)
    assert retry_after_seconds({"Retry-After": at}) == pytest.approx(90, abs=3)


@pytest.mark.parametrize("days", [-400, 0, 3])
def test_a_date_is_compared_with_the_clock_of_the_server_that_sent_it(days: int) -> None:
    there = datetime.now(UTC) + timedelta(days=days)
    headers = {"Date": format_datetime(there), "Retry-After": format_datetime(there + timedelta(seconds=90))}
    assert retry_after_seconds(headers) == 90


@settings(max_examples=150)
@given(
    st.one_of(st.text(st.characters(max_codepoint=255)), st.from_regex(r"\w{3}, \d+ \w{3} \d+ \d+:\d+:\d+ [+-]?\d+"))
)
def test_no_retry_after_header_whatever_breaks_the_request(value: str) -> None:
    for headers in ({"Retry-After": value}, {"Retry-After": "Mon, 01 Jan 2024 00:00:00 GMT", "Date": value}):
        seconds = retry_after_seconds(headers)
        assert seconds is None or seconds >= 0


class Request:
    """A request that fails as told, and then answers; with the delays that were waited between its attempts."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors, self.attempts = list(errors), 0
        self.delays: list[float] = []

    def __call__(self) -> str:
        self.attempts += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"

    def run(self, *, count: int, max_delay: float) -> str:
        retry = RetryPolicy(count, max_delay).loop(what="a request", log=log, sleep=self.delays.append)
        return retry(self)


def down(retry_after: float | None = None) -> SourceError:
    return SourceError("down", transient=True, retry_after=retry_after)


def test_a_request_that_fails_twice_and_then_succeeds_answers() -> None:
    request = Request(down(), ConnectionResetError())
    assert request.run(count=3, max_delay=30) == "answer"
    assert request.attempts == 3


def test_retries_are_counted_and_the_last_error_is_raised_as_it_is() -> None:
    last = SourceError("the last one", transient=True)
    request = Request(down(), down(), last, down())
    with pytest.raises(SourceError) as caught:
        request.run(count=2, max_delay=30)
    assert caught.value is last
    assert request.attempts == 3


@pytest.mark.parametrize("error", [SourceError("no key"), ValueError("bug"), KeyboardInterrupt()])
def test_what_is_not_transient_is_raised_at_once(error: BaseException) -> None:
    request = Request(error)
    with pytest.raises(type(error)) as caught:
        request.run(count=5, max_delay=30)
    assert caught.value is error
    assert (request.attempts, request.delays) == (1, [])


def test_without_retries_a_request_is_made_once() -> None:
    request = Request(down())
    with pytest.raises(SourceError):
        request.run(count=0, max_delay=30)
    assert request.attempts == 1


def test_delays_double_from_half_a_second_with_jitter() -> None:
    request = Request(*(down() for _ in range(6)))
    request.run(count=6, max_delay=1000)
    for delay, middle in zip(request.delays, (0.5, 1, 2, 4, 8, 16), strict=True):
        assert middle * 0.75 <= delay <= middle * 1.25
    again = Request(*(down() for _ in range(6)))
    again.run(count=6, max_delay=1000)
    assert again.delays != request.delays


@pytest.mark.parametrize("most", [0, 0.1, 3])
def test_no_delay_is_longer_than_retry_delay(most: float) -> None:
    request = Request(*(down() for _ in range(12)))
    request.run(count=12, max_delay=most)
    assert len(request.delays) == 12
    assert max(request.delays) <= most


def test_a_retry_after_within_retry_delay_is_waited_for() -> None:
    request = Request(down(retry_after=20), down(retry_after=30), down(retry_after=0))
    request.run(count=3, max_delay=30)
    assert request.delays[:2] == [20, 30]
    assert request.delays[2] <= 2.5, "a Retry-After of 0 does not make the wait longer or shorter"


def test_a_retry_after_beyond_retry_delay_ends_the_retries() -> None:
    request = Request(down(retry_after=31))
    with pytest.raises(SourceError):
        request.run(count=3, max_delay=30)
    assert (request.attempts, request.delays) == (1, [])


def test_each_retry_is_said_as_it_happens(caplog: pytest.LogCaptureFixture) -> None:
    Request(down(retry_after=4), ConnectionResetError("by peer")).run(count=3, max_delay=30)
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == "a request: attempt 1 of 4 failed (down); trying again in 4.0 s"
    assert said[1].startswith("a request: attempt 2 of 4 failed (ConnectionResetError: by peer); trying again in ")
    assert len(said) == 2
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_a_host_that_cannot_be_reached_is_given_up_within_seconds(caplog: pytest.LogCaptureFixture) -> None:
    url = f"http://127.0.0.1:{_closed_port()}/"
    attempts = 0

    def ask() -> None:
        nonlocal attempts
        attempts += 1
        requests.get(url, timeout=5)

    started = time.monotonic()
    with pytest.raises(requests.exceptions.ConnectionError):
        RetryPolicy(count=20).loop(what="a request", log=log)(ask)
    assert time.monotonic() - started < 5, "20 retries would take minutes"
    assert attempts >= 2, "one that was only restarting is asked again"
    said = [record.getMessage().split(" failed")[0] for record in caplog.records]
    assert said == [f"a request: attempt {number}" for number in range(1, attempts)], "of how many nobody knows"
