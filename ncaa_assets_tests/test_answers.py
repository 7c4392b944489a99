"""What stands in the head of an answer, judged as browsers judge it. Such heads were sent to Chromium 156 and curl
7.88: where the two differ (curl refuses an empty length and a line without a colon), Chromium's word counts."""

import contextlib
import gzip
import threading

import pytest
import requests
import urllib3

from ncaa_assets import answers
from ncaa_assets.answers import Adapter
from ncaa_assets.failures import SourceError, VideoRefused
from ncaa_assets.retry import RetryPolicy, is_transient
from ncaa_assets.source.client import HighlightsApi
from ncaa_assets.source.doors import Door
from ncaa_assets.video.host import open_host
from ncaa_assets.video.safe_http import HostPolicy, new_session
from ncaa_assets_tests.loopback.http_server import Handler, ScriptedServer, raw
from ncaa_assets_tests.test_text import is_fit_to_print

PAGE = b'{"data": [], "pagination": {"totalCount": 0, "offset": 0, "limit": 40}}'
LENGTH = str(len(PAGE)).encode()
MORE = PAGE + b" and what is no part of it"
CHUNKS = hex(len(PAGE))[2:].encode() + b"\r\n" + PAGE + b"\r\n0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked"
WHOLE = OK + b"Content-Length: " + LENGTH + b"\r\n\r\n" + PAGE
ENDS, OPEN = True, False  # whether the framing shows the end

Case = tuple[bytes, bytes | None, bool | None]


def length(*values: bytes) -> bytes:
    """An answer with these values of Content-Length, whose body is longer than they say and ends by closing."""
    return OK + b"".join(b"Content-Length: " + value + b"\r\n" for value in values) + b"\r\n" + MORE


def coded(head: bytes, body: bytes = CHUNKS) -> bytes:
    return OK + head + b"\r\n\r\n" + body


# The bytes that are sent, the body that is read (None: the answer is refused), and whether its end is shown.
CASES: dict[str, Case] = {
    "a length": (length(LENGTH), PAGE, ENDS),
    "the same length twice": (length(LENGTH, LENGTH), PAGE, ENDS),
    "the same length twice in one line": (length(LENGTH + b", " + LENGTH), PAGE, ENDS),
    "a length with leading zeros": (length(b"00" + LENGTH), PAGE, ENDS),
    "two lengths": (length(LENGTH, b"5"), None, None),
    "two lengths in one line": (length(b"5, " + LENGTH), None, None),
    "a length with a sign": (length(b"+5"), MORE, OPEN),
    "a negative length": (length(b"-5"), MORE, OPEN),
    "a length in hexadecimal": (length(b"0x5"), MORE, OPEN),
    "a length as Python writes it": (length(b"1_0"), MORE, OPEN),
    "a length with a fraction": (length(b"5.0"), MORE, OPEN),
    "a length in two words": (length(b"5 5"), MORE, OPEN),
    "a length in other digits": (length("\u0665".encode()), MORE, OPEN),
    "an empty length": (length(b""), MORE, OPEN),
    "a length of 30 digits": (length(b"9" * 30), MORE, OPEN),
    "a length of 5000 digits": (length(b"9" * 5000), MORE, OPEN),
    "chunks": (coded(CHUNKED), PAGE, ENDS),
    "chunks in capitals": (coded(b"TRANSFER-ENCODING: Chunked"), PAGE, ENDS),
    "chunks and a shorter length": (coded(b"Transfer-Encoding: chunked\r\nContent-Length: 3"), PAGE, ENDS),
    "chunks and two lengths": (
        coded(b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\nContent-Length: 4"), PAGE, ENDS,
    ),
    "chunks twice": (coded(b"Transfer-Encoding: chunked, chunked"), PAGE, OPEN),
    "chunks in two lines": (coded(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), PAGE, OPEN),
    "chunks said to be compressed": (coded(b"Transfer-Encoding: gzip, chunked"), PAGE, OPEN),
    "chunks, then identity": (coded(b"Transfer-Encoding: chunked, identity"), PAGE, OPEN),
    "chunks with LF alone": (coded(CHUNKED, CHUNKS.replace(b"\r\n", b"\n")), PAGE, ENDS),
    "chunks with an extension and a trailer": (
        coded(CHUNKED, CHUNKS.replace(b"\r\n", b' ;a="b"\r\n', 1)[:-2] + b"X: y\r\n\r\n"), PAGE, ENDS,
    ),
    "a chunk's size with a sign": (coded(CHUNKED, b"+" + CHUNKS), None, None),
    "a chunk's size below zero": (coded(CHUNKED, b"-" + CHUNKS), None, None),
    "a chunk's size as Python writes it": (coded(CHUNKED, b"0x" + CHUNKS), None, None),
    "a chunk that goes on past its size": (coded(CHUNKED, b"5\r\n" + PAGE + b"\r\n0\r\n\r\n"), None, None),
    "chunks that end below zero": (coded(CHUNKED, CHUNKS.replace(b"\r\n0\r\n", b"\r\n-0\r\n")), None, None),
    "identity": (coded(b"Transfer-Encoding: identity", PAGE), PAGE, OPEN),
    "identity and a length": (coded(b"Transfer-Encoding: identity\r\nContent-Length: " + LENGTH, MORE), PAGE, OPEN),
    "an unknown transfer coding": (coded(b"Transfer-Encoding: xchunked", PAGE), PAGE, OPEN),
    "compressed": (coded(b"Content-Encoding: gzip", gzip.compress(PAGE)), PAGE, OPEN),
    "said to be compressed, and is not": (coded(b"Content-Encoding: gzip", PAGE), None, None),
    "an unknown content coding": (coded(b"Content-Encoding: aws-chunked", PAGE), PAGE, OPEN),
    "a line without a colon": (coded(b"so it goes\r\nContent-Length: " + LENGTH, MORE), PAGE, ENDS),
    "a name that is none": (coded(b"a b: c\r\nContent-Length: " + LENGTH, MORE), PAGE, ENDS),
    "a space before the colon": (coded(b"Content-Length : " + LENGTH, MORE), PAGE, ENDS),
    "a folded line": (coded(b"X-Long: one\r\n two\r\nContent-Length: " + LENGTH, MORE), PAGE, ENDS),
    "a folded length": (coded(b"Content-Length:\r\n\t" + LENGTH, MORE), PAGE, ENDS),
    "a length behind a bare CR": (coded(b"X: a\rContent-Length: 5\r\nContent-Length: " + LENGTH, MORE), PAGE, ENDS),
    "lines that end with LF alone": (b"HTTP/1.1 200 OK\nContent-Length: " + LENGTH + b"\n\n" + MORE, PAGE, ENDS),
    "early hints": (b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" + WHOLE, PAGE, ENDS),
    "early hints with a length": (b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n" + WHOLE, PAGE, ENDS),
    "several interim answers": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 \r\n\r\n" + WHOLE, PAGE, ENDS,
    ),
    "an interim answer that nobody knows": (b"HTTP/1.1 199 Hm\n\n" + WHOLE, PAGE, ENDS),
    "a radio stream's answer": (b"ICY 200 OK\r\n\r\n" + PAGE, None, None),
    "no head at all": (PAGE, None, None),
    "another version": (b"HTTP/2.0 200 OK\r\n\r\n" + PAGE, None, None),
    "interim answers without end": (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20_000 + WHOLE, None, None),
    "a head without end": (OK + b"X: y\r\n" * 50_000, None, None),
    "more headers than are read": (OK + b"X: y\r\n" * 500 + b"\r\n" + PAGE, None, None),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_video_is_read_as_a_browser_would(case: Case, server: ScriptedServer) -> None:
    sent, body, shows_its_end = case
    url = server.on("/a", raw(sent))
    errors = (VideoRefused, requests.RequestException, urllib3.exceptions.HTTPError)
    refusal = contextlib.nullcontext() if body is not None else pytest.raises(errors)
    with refusal as caught, open_host(new_session(HostPolicy(allow_private=True), pool=1), url) as answer:
        assert b"".join(answer.pieces) == body
        assert answer.tells_its_end() == shows_its_end
    assert caught is None or not is_transient(caught.value)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_api_is_read_as_a_browser_would(case: Case, server: ScriptedServer) -> None:
    sent, body, _ = case
    api = HighlightsApi(
        door=Door.of(key=None, api_url=server.on("/api", raw(sent))), key="a-secret-key", league="NCAA", timezone="UTC",
        retry=RetryPolicy(0, 0),
    )  # fmt: skip
    if body == PAGE:
        assert api.fetch_day("2025-03-09", "nba").complete
    elif body is not None:
        (problem,) = api.fetch_day("2025-03-09", "nba").problems
        assert "what follows the end of the API's answer is left out" in problem
    else:
        with pytest.raises(SourceError) as caught:
            api.fetch_day("2025-03-09", "nba")
        assert "key" not in str(caught.value)


EVIL = b"x\x1b[31m\x9b http://user:secret@host/"


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 abc " + EVIL + b"\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + EVIL + b"\r\n\r\n",
        b"HTTP/9" + EVIL + b" 200 OK\r\n\r\n",
        OK + b"Content-Encoding: gzip, " + EVIL + b"\r\nContent-Length: 2\r\n\r\n{}",
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + EVIL + b"\r\n",
        OK + b"Content-Length: 9" + EVIL + b"\r\nContent-Length: 8\r\n\r\n{}",
    ],
)
def test_no_error_that_dagster_shows_quotes_an_answer_as_it_came(sent: bytes, server: ScriptedServer) -> None:
    """The event of a failed step holds the causes of its error word for word, and the UI shows them."""
    api = HighlightsApi(
        door=Door.of(key=None, api_url=server.on("/api", raw(sent))), key="key", league="NCAA", timezone="UTC",
        retry=RetryPolicy(0, 0),
    )  # fmt: skip
    with pytest.raises(SourceError) as caught:
        api.fetch_day("2025-03-09", "nba")
    error: BaseException | None = caught.value
    while error is not None:
        assert is_fit_to_print(str(error))
        assert "secret" not in str(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_an_answer_through_a_proxy_is_read_alike(server: ScriptedServer) -> None:
    server.on("/a", raw(CASES["early hints"][0]))
    session = requests.Session()
    session.mount("http://", Adapter())
    answer = session.get("http://elsewhere.test/a", proxies={"http": server.url("")}, timeout=10)
    assert answer.content == PAGE
    assert isinstance(answer.raw, urllib3.HTTPResponse)


@pytest.mark.parametrize("sent", [b"HTTP/1.1 200 OK\r\nX: ", OK + CHUNKED + b"\r\n\r\n1; "], ids=["head", "chunk"])
def test_a_head_that_drips_is_left_in_time(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """Each byte is in time, and there is no end of them."""
    monkeypatch.setattr(answers, "_MOST_SECONDS", 0.3)
    ended = threading.Event()

    def drip(handler: Handler) -> None:
        handler.connection.sendall(sent)
        while not ended.wait(0.02):
            handler.connection.sendall(b"1")

    api = HighlightsApi(
        door=Door.of(key=None, api_url=server.on("/api", drip)), key="key", league="NCAA", timezone="UTC",
        retry=RetryPolicy(0, 0),
    )  # fmt: skip
    try:
        with pytest.raises(SourceError, match=r"does not answer in time|connection .* broke"):
            api.fetch_day("2025-03-09", "nba")
    finally:
        ended.set()
