"""The API's client over real HTTP: what it sends, how it pages, and what it says when the API misbehaves."""

import contextlib
import json
import logging
import re
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ncaa_assets import __version__
from ncaa_assets.failures import SourceError
from ncaa_assets.record.fetch import Fetch
from ncaa_assets.retry import RetryPolicy
from ncaa_assets.source import client as highlights_api
from ncaa_assets.source.client import HighlightsApi
from ncaa_assets.source.doors import Door
from ncaa_assets.source.listing import MOST_PAGES
from ncaa_assets_tests.loopback.http_server import Handler, Reply, ScriptedServer
from ncaa_assets_tests.test_text import HOSTILE, is_fit_to_print

KEY = "5f0c-a-secret-9e1d"
DAY = "2025-03-09"
MODULE = "basketball"
PATH = f"/{MODULE}/highlights"
WHOLE = "All data available with current plan."


def record(key: Any, **fields: Any) -> dict[str, Any]:
    return {
        "id": key,
        "type": "VERIFIED",
        "title": f"Game {key}",
        "url": f"https://media.example.com/{key}.mp4",
    } | fields


def page(
    records: list[Any], total: Any = None, *, remaining: object = None, plan: str | None = WHOLE, **extra: Any
) -> Reply:
    body: dict[str, Any] = {"data": records, **extra}
    if total is not None:
        body["pagination"] = {"totalCount": total, "offset": 0, "limit": 40}
    if plan is not None:
        body["plan"] = {"tier": "BASIC", "message": plan}
    headers = {"x-ratelimit-requests-limit": "100", "x-ratelimit-requests-remaining": str(remaining)}
    return reply(body, headers=headers if remaining is not None else {})


def reply(body: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    return Reply(
        json.dumps(body).encode(), status=status, headers=headers or {}, content_type="application/json; charset=utf-8"
    )


def listing(records: list[Any], total: Any = None, *, most: int = 40) -> Callable[[Handler], None]:
    """A whole API: pages of `records` at whatever offset and limit is asked for, at most `most` at a time."""

    def answer(handler: Handler) -> None:
        asked = handler.server.asked[-1].query
        offset, limit = int(asked["offset"]), int(asked["limit"])
        page(records[offset : offset + min(limit, most)], total).send(handler)

    return answer


def api(url: str, *, host: str | None = None, **changes: Any) -> HighlightsApi:
    return HighlightsApi(
        **{
            "door": Door.of(key=KEY, api_url=url, rapidapi_host=host), "key": KEY, "league": "NCAA",
            "timezone": "America/New_York", "retry": RetryPolicy(max_delay=0), **changes,
        }
    )  # fmt: skip


def fetch(server: ScriptedServer, *replies: Reply | Callable[[Handler], None], **changes: Any) -> Fetch:
    return api(server.on(PATH, *replies), **changes).fetch_day(DAY, MODULE)


def refused(server: ScriptedServer, *replies: Reply | Callable[[Handler], None], **changes: Any) -> SourceError:
    with pytest.raises(SourceError) as caught:
        fetch(server, *replies, **changes)
    assert "\n" not in str(caught.value)
    return caught.value


def ids(answer: Fetch) -> list[Any]:
    return [record["id"] for record in answer.records]


# What is sent


def test_the_query_holds_what_the_api_knows_and_nothing_else(server: ScriptedServer) -> None:
    answer = fetch(server, page([], 0), league="NCAA Women", timezone="Pacific/Honolulu")
    (asked,) = server.asked
    assert asked.query == {
        "date": DAY, "timezone": "Pacific/Honolulu", "leagueName": "NCAA Women", "limit": "40", "offset": "0",
    }  # fmt: skip
    assert answer.query == {"date": DAY, "timezone": "Pacific/Honolulu", "leagueName": "NCAA Women"}


def test_the_headers_name_us_and_carry_the_key(server: ScriptedServer) -> None:
    fetch(server, page([], 0), host="sport-highlights-api.p.rapidapi.com")
    headers = server.asked[0].headers
    assert headers["x-rapidapi-key"] == KEY
    assert headers["x-rapidapi-host"] == "sport-highlights-api.p.rapidapi.com"
    assert headers["user-agent"] == f"ncaa-assets/{__version__}"
    assert "python" not in headers["user-agent"].lower(), "Cloudflare refuses Python's own"


def test_a_direct_host_gets_the_key_alone(server: ScriptedServer) -> None:
    fetch(server, page([], 0), host=None)
    assert "x-rapidapi-host" not in server.asked[0].headers


def test_no_other_credential_than_the_key_is_sent(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    fetch(server, page([], 0))
    assert not {"authorization", "cookie"} & server.asked[0].headers.keys()


def test_all_pages_come_over_one_connection(server: ScriptedServer) -> None:
    ports = set()

    def answer(handler: Handler) -> None:
        ports.add(handler.client_address[1])
        listing([record(number) for number in range(90)], 90)(handler)

    fetch(server, answer)
    assert server.times(PATH) == 3
    assert len(ports) == 1


# Paging


def test_a_day_of_several_pages_is_read_to_its_end_in_order(server: ScriptedServer) -> None:
    answer = fetch(server, listing([record(number) for number in range(95)], 95))
    assert ids(answer) == list(range(95))
    assert [(asked.query["offset"], asked.query["limit"]) for asked in server.asked] == [
        ("0", "40"), ("40", "40"), ("80", "40"),
    ]  # fmt: skip
    assert (answer.complete, answer.problems, answer.total_count, answer.requests) == (True, [], 95, 3)


def test_pages_that_overlap_hold_each_record_once_and_make_a_whole_day(server: ScriptedServer) -> None:
    # A listing that moved while it was read: the second page repeats the last record of the first.
    first, second, third = range(105170, 105175), range(105174, 105179), range(105179, 105182)
    answer = fetch(server, *(page([record(key) for key in keys], 12) for keys in (first, second, third)))
    assert ids(answer) == list(range(105170, 105182))
    assert [asked.query["offset"] for asked in server.asked] == ["0", "5", "10"]
    assert (answer.whole, answer.complete) == (True, False), "whole, but no reason to mark anything as removed"
    assert answer.problems == ["the API's pages repeat 1 record: it announced 12 and listed 12 different ones"]


def test_a_record_that_two_pages_list_with_different_contents_is_kept_with_both(server: ScriptedServer) -> None:
    early, late = record(1, title="Q3"), record(1, title="Final")
    answer = fetch(server, page([early, record(2)], 3), page([late, record(3)], 3))
    assert answer.records == [early, late, record(2), record(3)]
    assert (answer.whole, answer.complete) == (True, False)


def test_the_offset_grows_by_what_came_where_the_server_gives_smaller_pages(server: ScriptedServer) -> None:
    answer = fetch(server, listing([record(number) for number in range(25)], 25, most=10))
    assert [asked.query["offset"] for asked in server.asked] == ["0", "10", "20"]
    assert len(answer.records) == 25
    assert answer.complete


def test_without_a_total_the_day_ends_at_an_empty_page(server: ScriptedServer) -> None:
    answer = fetch(server, listing([record(number) for number in range(50)]))
    assert len(answer.records) == 50
    assert (answer.complete, answer.total_count, answer.requests) == (True, None, 3)


@pytest.mark.parametrize("total", ["12", 12.5, -1, True, [12], {}])
def test_a_total_that_is_no_number_counts_as_none(server: ScriptedServer, total: object) -> None:
    answer = fetch(server, listing([record(number) for number in range(5)], total))
    assert len(answer.records) == 5
    assert (answer.complete, answer.total_count) == (True, None)


@pytest.mark.parametrize("total", [6, 41, 10**30])
def test_a_total_that_is_too_high_ends_at_an_empty_page_and_is_not_complete(
    server: ScriptedServer, total: int, caplog: pytest.LogCaptureFixture
) -> None:
    answer = fetch(server, listing([record(number) for number in range(5)], total))
    assert len(answer.records) == 5
    assert not answer.complete
    assert answer.problems == [f"the API announced {total} highlights and listed 5"]
    assert server.times(PATH) == 2
    assert [record.getMessage() for record in caplog.records] == [f"{DAY}: {answer.problems[0]}"]


def test_a_total_that_is_too_low_keeps_what_came_and_is_not_complete(server: ScriptedServer) -> None:
    answer = fetch(server, listing([record(number) for number in range(5)], 3))
    assert len(answer.records) == 5
    assert not answer.complete
    assert answer.problems == ["the API announced 3 highlights and listed 5"]


def test_pages_that_lost_a_record_between_them_are_not_complete(server: ScriptedServer) -> None:
    answer = fetch(server, page([record(1), record(2)], 4), page([record(2), record(3)], 4))
    assert ids(answer) == [1, 2, 3]
    assert answer.problems == ["the API's pages repeat 1 record: it announced 4 and listed 3 different ones"]
    assert (answer.whole, answer.complete) == (True, False)


@pytest.mark.parametrize("total", [None, 10**9])
def test_a_server_that_repeats_one_page_for_ever_is_left_early(server: ScriptedServer, total: int | None) -> None:
    answer = fetch(server, page([record(1), record(2)], total))
    assert ids(answer) == [1, 2]
    assert not answer.complete
    assert answer.requests == server.times(PATH) == 4
    assert answer.problems == ["stopped after 4 pages: the last 3 only repeated what others held"]


def test_pages_that_repeat_everything_twice_are_passed_over(server: ScriptedServer) -> None:
    old, new = page([record(1)], 6), page([record(2)], 6)
    answer = fetch(server, old, old, old, new, new, new)
    assert ids(answer) == [1, 2]
    assert server.times(PATH) == 6


def test_a_listing_that_never_ends_is_left(server: ScriptedServer) -> None:
    answer = fetch(server, lambda handler: page([record(len(handler.server.asked))], 10**9).send(handler))
    assert len(answer.records) == answer.requests == server.times(PATH) == MOST_PAGES
    assert not answer.complete
    assert answer.problems == [f"stopped after {MOST_PAGES} pages: the API's listing has no end"]


def test_a_day_without_games_is_complete_and_empty(server: ScriptedServer) -> None:
    answer = fetch(server, page([], 0))
    assert (answer.records, answer.complete, answer.problems, answer.total_count) == ([], True, [], 0)
    assert server.times(PATH) == 1


def test_what_is_no_record_is_handed_on_once_as_it_came(server: ScriptedServer) -> None:
    odd = [None, "text", 7, True, [1, 2], {}, {"id": True}, {"title": "no id"}]
    answer = fetch(server, page([*odd, record(1), *odd], len(odd) + 1))
    assert answer.records == [*odd, record(1)]


def test_one_and_true_and_one_point_zero_are_three_things(server: ScriptedServer) -> None:
    answer = fetch(server, Reply(b'{"data": [1, true, 1.0, "1"]}'), page([]))
    assert [str(value) for value in answer.records] == ["1", "True", "1.0", "1"]


def test_records_keep_fields_numbers_nulls_and_text_that_we_do_not_know(server: ScriptedServer) -> None:
    body = '{"data":[{"id":1,"new":{"n":0.10,"big":1e400,"none":null,"cut":"\\ud83c"},"title":"Hawaiʻi 🏀"}]}'
    (kept,) = fetch(server, Reply(body.encode()), page([])).records
    assert kept["title"] == "Hawaiʻi 🏀"
    assert {name: str(value) for name, value in kept["new"].items()} == {
        "n": "0.10", "big": "1E+400", "none": "None", "cut": "\ud83c",
    }  # fmt: skip


# LIMIT


@pytest.mark.parametrize(("limit", "sizes"), [(1, [1]), (10, [10]), (40, [40]), (45, [40, 5]), (90, [40, 40, 10])])
def test_limit_caps_a_day_and_never_asks_for_more_than_a_page_may_hold(
    server: ScriptedServer, limit: int, sizes: list[int]
) -> None:
    answer = fetch(server, listing([record(number) for number in range(200)], 200), limit=limit)
    assert ids(answer) == list(range(limit))
    assert [int(asked.query["limit"]) for asked in server.asked] == sizes


def test_limit_is_pointed_out_and_is_part_of_the_query_and_never_complete(server: ScriptedServer) -> None:
    answer = fetch(server, page([record(1)], 1), limit=10)
    assert not answer.complete
    assert answer.limited
    assert answer.problems == ["LIMIT=10: only that many highlights are asked for; unset it to keep all"]
    assert answer.query["limit"] == "10"


def test_a_fetch_that_something_else_ended_before_its_limit_is_not_said_to_be_limited(server: ScriptedServer) -> None:
    stopped = fetch(server, page([record(1)], 9, remaining=5), limit=3, quota_reserve=5)
    assert (stopped.limited, stopped.complete, len(stopped.problems)) == (False, False, 2)
    assert not fetch(server, page([record(1)], 1)).limited


def test_limit_holds_against_a_server_that_gives_more_than_was_asked_for(server: ScriptedServer) -> None:
    answer = fetch(server, page([record(number) for number in range(40)], 40), limit=3)
    assert ids(answer) == [0, 1, 2]


def test_limit_is_reached_across_pages_that_repeat(server: ScriptedServer) -> None:
    answer = fetch(server, page([record(1), record(2)], 9), page([record(2), record(3)], 9), limit=3)
    assert ids(answer) == [1, 2, 3]


# The quota


def test_the_quota_is_known_from_the_last_answer(server: ScriptedServer) -> None:
    answer = fetch(server, page([record(1)], 2, remaining=80), page([record(2)], 2, remaining=79))
    assert (answer.quota_limit, answer.quota_remaining) == (100, 79)


@pytest.mark.parametrize("remaining", ["soon", "", "-1", "²", "9" * 5000])
def test_a_quota_header_that_is_no_number_is_unknown(server: ScriptedServer, remaining: str) -> None:
    answer = fetch(server, page([], 0, remaining=remaining))
    assert (answer.quota_limit, answer.quota_remaining) == (100, None)


def test_a_day_stops_before_it_spends_the_reserve(server: ScriptedServer) -> None:
    answer = fetch(
        server, page([record(1)], 3, remaining=7), page([record(2)], 3, remaining=6), page([record(3)], 3, remaining=5),
        quota_reserve=6,
    )  # fmt: skip
    assert ids(answer) == [1, 2]
    assert server.times(PATH) == 2
    assert not answer.complete
    assert answer.problems == [
        "stopped after 2 pages: 6 API requests left today, and QUOTA_RESERVE keeps 6; tomorrow there are more",
    ]


def test_a_day_that_ends_on_the_last_request_before_the_reserve_is_complete(server: ScriptedServer) -> None:
    answer = fetch(server, page([record(1)], 1, remaining=0), quota_reserve=5)
    assert (ids(answer), answer.complete) == ([1], True)


# The plan


def test_a_restriction_of_the_plan_is_a_problem_even_with_a_200(server: ScriptedServer) -> None:
    said = "Only 3 days of history are available with the BASIC plan"
    answer = fetch(server, page([record(1)], 2, plan=said), page([record(2)], 2, plan=said))
    assert ids(answer) == [1, 2]
    assert not answer.complete
    assert answer.problems == [f"the API's plan limits the answer: {said}"]


def test_an_empty_answer_of_a_restricted_plan_is_not_a_day_without_games(server: ScriptedServer) -> None:
    answer = fetch(server, page([], 0, plan="This date needs a paid plan."))
    assert (answer.records, answer.complete) == ([], False)


@pytest.mark.parametrize("plan", [None, "All data available with your plan", "ALL DATA AVAILABLE"])
def test_a_plan_that_withholds_nothing_is_no_problem(server: ScriptedServer, plan: str | None) -> None:
    assert fetch(server, page([record(1)], 1, plan=plan)).complete


# What goes wrong


@pytest.mark.parametrize(
    "broken",
    [
        reply({"message": "Bad Gateway"}, status=502),
        reply({}, status=503),
        Reply(b"<html>504</html>", status=504),
        reply({"message": "Too many requests"}, status=429, headers={"Retry-After": "0"}),
        reply({}, status=408),
        Reply(b'{"data": [', length=100),
    ],
    ids=["502", "503", "504", "429 per second", "408", "half an answer"],
)
def test_what_passes_is_asked_again(server: ScriptedServer, broken: Reply, caplog: pytest.LogCaptureFixture) -> None:
    answer = fetch(server, page([record(1)], 2), broken, broken, page([record(2)], 2))
    assert ids(answer) == [1, 2]
    assert answer.complete
    assert [asked.query["offset"] for asked in server.asked] == ["0", "1", "1", "1"]
    assert [text.split(" failed")[0] for text in caplog.messages] == [
        f"basketball highlights of {DAY} after the first 1: attempt 1 of 4",
        f"basketball highlights of {DAY} after the first 1: attempt 2 of 4",
    ]


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (400, {"message": "property foo should not exist", "statusCode": 400},
         r"refused the query \(property foo should not exist\); check LEAGUE_NAME and TIMEZONE"),
        (400, {"message": ["date is wrong", "limit is wrong"]}, r"\(date is wrong; limit is wrong\)"),
        (401, {"message": "Invalid API key."}, r"does not accept the key \(Invalid API key\); check RAPIDAPI_KEY"),
        (403, {"message": "You are not subscribed to this API."},
         r"denied access \(You are not subscribed to this API\); the key is of no door that is known by its shape"),
        (404, {}, r"there is nothing at http://127.0.0.1:\d+/basketball/highlights; check API_URL"),
        (429, {"message": "You have exceeded the DAILY quota for Requests on your current plan, BASIC."},
         r"today's API requests are used up \(You have exceeded .*\); run the day again tomorrow, or upgrade"),
        (418, {}, "answered with status 418"),
        (301, {}, "redirects elsewhere; set API_BASE or API_URL to the address it means"),
        (308, {}, "redirects elsewhere"),
    ],
)  # fmt: skip
def test_a_refusal_is_asked_once_and_says_what_to_do_next(
    server: ScriptedServer, status: int, body: object, sentence: str
) -> None:
    error = refused(server, reply(body, status=status))
    assert re.search(sentence, str(error))
    assert not error.transient
    assert server.times(PATH) == 1


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (500, "is down (status 500); try again later"),
        (503, "is down (status 503); try again later"),
        (429, "too many requests at once; try again in a minute"),
        (408, "is down (status 408); try again later"),
    ],
)
def test_what_does_not_pass_ends_after_the_retries(server: ScriptedServer, status: int, sentence: str) -> None:
    error = refused(server, Reply(b"", status=status), retry=RetryPolicy(2, 0))
    assert sentence in str(error)
    assert error.transient
    assert server.times(PATH) == 3


def test_a_server_that_asks_for_more_patience_than_retry_delay_is_left_alone(server: ScriptedServer) -> None:
    error = refused(server, Reply(b"", status=503, headers={"Retry-After": "120"}), retry=RetryPolicy(max_delay=30))
    assert error.retry_after == 120
    assert server.times(PATH) == 1


def test_a_failure_on_a_later_page_hands_on_what_came_before_it(server: ScriptedServer) -> None:
    spent = reply({"message": "You have exceeded the DAILY quota for Requests on your current plan."}, status=429)
    answer = fetch(server, page([record(1)], 2), spent)
    assert ids(answer) == [1]
    assert not answer.complete
    assert answer.quota_remaining == 0, "no other day can be asked for either"
    assert "page 2 did not come: today's API requests are used up" in answer.problems[0]


def test_an_answer_without_end_is_left_at_the_limit(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(highlights_api, "MOST_BYTES", 10**6)

    def endless(handler: Handler) -> None:
        Reply(b"[", length=10**9).send(handler)
        with contextlib.suppress(OSError):
            while True:
                handler.wfile.write(b" " * 65536)

    assert "larger than 1 MB" in str(refused(server, endless))


def test_an_answer_that_drips_is_left_after_a_while(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(highlights_api, "MOST_SECONDS", 0.2)

    def drip(handler: Handler) -> None:
        Reply(b"[", length=10**6).send(handler)
        with contextlib.suppress(OSError):
            for _ in range(100):
                time.sleep(0.05)
                handler.wfile.write(b" ")

    assert "took longer than" in str(refused(server, drip))


@pytest.mark.parametrize(
    "echo",
    [
        reply({"message": "x" * 288 + KEY}, status=403),
        reply({KEY: 1}),
        Reply(b"no", content_type=f"text/{KEY}"),
    ],
)
def test_a_key_that_the_server_says_back_anywhere_is_in_no_error(server: ScriptedServer, echo: Reply) -> None:
    assert KEY[:10] not in str(refused(server, echo))


def test_a_web_page_instead_of_json_is_said_so(server: ScriptedServer) -> None:
    error = refused(server, Reply(b"<!doctype html><p>Sign in", content_type="text/html; charset=utf-8"))
    assert "something that is not JSON (text/html, 25 bytes); check API_URL" in str(error)


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b'{"da', b"[" * 100_000, b"{" * 100_000])
def test_what_is_no_json_is_refused(server: ScriptedServer, body: bytes) -> None:
    assert "something that is not JSON" in str(refused(server, Reply(body)))


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        ([], "no object"),
        ("text", "no object"),
        (None, "no object"),
        ({}, "an object with nothing"),
        ({"note": "hello", "status": 1}, "an object with note, status"),
        ({"data": {"id": 1}}, "an object with data"),
        ({"data": None}, "an object with data"),
    ],
)
def test_json_of_another_shape_is_refused_with_what_it_is(server: ScriptedServer, body: object, shape: str) -> None:
    assert f'no list under "data" ({shape}); check API_URL, or report it' in str(refused(server, reply(body)))


def test_a_redirect_is_not_followed_with_the_key(server: ScriptedServer) -> None:
    elsewhere = server.on("/elsewhere", page([record(1)], 1))
    refused(server, Reply(b"", status=302, headers={"Location": elsewhere}))
    assert server.times("/elsewhere") == 0


def _hang_up(handler: Handler) -> None:
    handler.close_connection = True


def test_a_connection_that_always_drops_is_said_so_after_the_retries(server: ScriptedServer) -> None:
    error = refused(server, _hang_up, retry=RetryPolicy(2, 0))
    assert re.fullmatch(r"the connection to 127\.0\.0\.1:\d+ broke \(\w+\); try again later", str(error))
    assert error.transient
    assert server.times(PATH) == 3


def test_a_connection_that_drops_once_is_made_again(server: ScriptedServer) -> None:
    assert ids(fetch(server, _hang_up, page([record(1)], 1))) == [1]


def test_a_server_that_is_silent_is_said_so(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ncaa_assets.source.client.TIMEOUT", (1, 0.1))
    error = refused(
        server, lambda handler: _hang_up(handler) if handler.rfile.read(1) else None, retry=RetryPolicy(1, 0)
    )
    assert "does not answer in time; try again later" in str(error)
    assert error.transient
    deadline = time.monotonic() + 30
    while server.times(PATH) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)  # the second request was given up on before the server came to count it
    assert server.times(PATH) == 2


def test_a_host_that_is_not_there_is_said_so(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    there = api(f"http://127.0.0.1:{port}{PATH}", retry=RetryPolicy(1, 0))
    with pytest.raises(SourceError, match=rf":{port} cannot be reached .*online\? If it is, check API_URL$"):
        there.fetch_day(DAY, MODULE)
    assert "attempt 1 failed (its host cannot be reached); trying" in caplog.text
    by_the_key = replace(there, door=replace(there.door, named_by=()))
    with pytest.raises(SourceError, match=r"cannot be reached .*: is this computer online\?$"):
        by_the_key.fetch_day(DAY, MODULE)


def test_a_certificate_that_cannot_be_trusted_is_said_so_at_once(server: ScriptedServer) -> None:
    with pytest.raises(SourceError, match=r"certificate of .* cannot be trusted; check API_URL, and this machine's"):
        api(f"https://127.0.0.1:{server.port}{PATH}").fetch_day(DAY, MODULE)


# The key


@pytest.mark.parametrize(
    "script",
    [
        reply({"message": "no"}, status=401),
        reply({"message": f"the key {KEY} is not valid"}, status=401),
        reply({"message": [f"X-RapidAPI-Key: {KEY}"]}, status=400),
        reply({"message": f"slow down, {KEY}"}, status=429),
        Reply(f"<p>{KEY}</p>".encode(), status=500),
        Reply(f"<p>{KEY}</p>".encode()),
        Reply(b"", status=302, headers={"Location": f"http://127.0.0.1:1/?key={KEY}"}),
        _hang_up,
    ],
)
def test_the_key_is_in_no_error_and_no_log(
    server: ScriptedServer, script: Reply | Callable[[Handler], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    error = refused(server, script, retry=RetryPolicy(1, 0))
    chain = [error, error.__cause__, error.__context__]
    assert all(KEY not in f"{one!s} {one!r}" for one in chain)
    assert caplog.records, "urllib3 logs its connections at this level"
    assert KEY not in caplog.text


def test_the_key_is_in_no_problem_where_the_plans_message_repeats_it(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    answer = fetch(server, page([], 0, plan=f"the key {KEY} is on the BASIC plan"))
    assert answer.problems == ["the API's plan limits the answer: the key [key] is on the BASIC plan"]
    assert KEY not in caplog.text


def test_a_key_that_is_a_mere_word_does_not_garble_messages(server: ScriptedServer) -> None:
    assert "Invalid API key" in str(refused(server, reply({"message": "Invalid API key"}, status=401), key="a"))


def test_the_client_does_not_show_its_key() -> None:
    assert KEY not in repr(api("http://127.0.0.1/"))


def test_the_pages_of_a_day_come_over_one_connection(server: ScriptedServer) -> None:
    ports: set[int] = set()

    def answer(handler: Handler) -> None:
        ports.add(handler.client_address[1])
        offset = int(server.asked[-1].query["offset"])
        page([record(key) for key in range(offset, min(offset + 40, 100))], 100).send(handler)

    assert len(fetch(server, answer).records) == 100
    assert server.times(PATH) == 3
    assert len(ports) == 1


@pytest.mark.parametrize(
    "answer",
    [
        reply({"message": HOSTILE}, status=403),
        reply({"message": [HOSTILE, HOSTILE]}, status=400),
        reply({HOSTILE: 1}),
        Reply(b"<html>", content_type="text/\x9b31m"),
    ],
    ids=["message", "messages", "field", "type"],
)
def test_what_the_api_says_is_one_visible_line_of_an_error(server: ScriptedServer, answer: Reply) -> None:
    assert is_fit_to_print(str(refused(server, answer)))


def test_what_the_plan_says_is_one_visible_line_of_a_problem(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    fetched = fetch(server, page([record(1)], 1, plan=HOSTILE))
    assert all(map(is_fit_to_print, [*fetched.problems, *caplog.messages]))
    assert fetched.problems != []
