"""How a day's matches are asked for, over real HTTP and an API that refuses every parameter that it does not know."""

import json
import urllib.parse
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ncaa_assets.failures import QuotaSpent, SourceError
from ncaa_assets.record.fetch import Matches
from ncaa_assets.retry import RetryPolicy
from ncaa_assets.source.client import HighlightsApi
from ncaa_assets.source.doors import Door
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import ScriptedApi, game, serve_api, us_game

DAY = "2025-03-09"
KEY = "5f0c-a-secret-9e1d"


@pytest.fixture
def api(server: ScriptedServer) -> ScriptedApi:
    return serve_api(server, key=KEY)


def ask(api: ScriptedApi, module: str = "basketball", **changes: Any) -> Matches:
    door = Door.of(key=KEY, api_base=api.base_url)
    source = HighlightsApi(
        **{
            "door": door, "key": KEY, "league": "NCAA", "timezone": "America/New_York",
            "retry": RetryPolicy(max_delay=0), **changes,
        }
    )  # fmt: skip
    return source.matches(DAY, module)


def answers(*bodies: Any) -> Reply:
    return Reply(json.dumps(bodies[0]).encode(), content_type="application/json")


@pytest.mark.parametrize(
    ("module", "parameter"),
    [("basketball", "leagueName"), ("nba", "league"), ("american-football", "league"), ("hockey", "leagueName")],
)
def test_each_module_is_asked_as_it_wants_to_be(api: ScriptedApi, module: str, parameter: str) -> None:
    games = [us_game(1), us_game(2)] if parameter == "league" else [game(1), game(2)]
    api.matches[module] = games
    answer = ask(api, module)
    assert answer.records == games
    assert (answer.requests, answer.quota_remaining, answer.problems) == (1, 99, [])
    assert api.asked(module, "matches") == [
        {parameter: "NCAA", "date": DAY, "timezone": "America/New_York", "limit": "100", "offset": "0"}
    ]
    assert api.refused == []


def test_a_day_without_games_has_no_matches(api: ScriptedApi) -> None:
    answer = ask(api)
    assert (answer.records, answer.requests, answer.problems) == ([], 1, [])


@pytest.mark.parametrize(("count", "requests"), [(99, 1), (100, 1), (101, 2), (200, 2)])
def test_a_second_page_is_asked_for_where_there_is_one(api: ScriptedApi, count: int, requests: int) -> None:
    api.matches["basketball"] = [game(number) for number in range(count)]
    answer = ask(api)
    assert [match["id"] for match in answer.records] == [10**6 + number for number in range(count)]
    assert (answer.requests, answer.problems) == (requests, [])


def test_no_more_than_two_pages_are_asked_for(api: ScriptedApi) -> None:
    api.matches["basketball"] = [game(number) for number in range(250)]
    answer = ask(api)
    assert (len(answer.records), answer.requests) == (200, 2)
    assert answer.problems == ["matches: only the first 200 of 250 were asked for: no more than 200 are asked for"]


def test_an_address_of_the_users_own_that_tells_no_matches_is_not_asked(api: ScriptedApi) -> None:
    door = Door.of(key=KEY, api_url=api.url("basketball", "elsewhere"))
    answer = ask(api, door=door)
    assert (answer.records, answer.requests, answer.problems) == ([], 0, [])
    assert api.server.asked == []


def test_matches_stand_beside_the_highlights_of_an_address_of_the_users_own(api: ScriptedApi) -> None:
    api.matches["basketball"] = [game(1)]
    assert ask(api, door=Door.of(key=KEY, api_url=api.url("basketball"))).records == [game(1)]


@pytest.mark.parametrize(("left", "requests"), [(6, 1), (7, 2)])
def test_the_reserve_is_not_spent_on_a_second_page(api: ScriptedApi, left: int, requests: int) -> None:
    api.matches["basketball"] = [game(number) for number in range(150)]
    api.quota_left = left
    answer = ask(api, quota_reserve=5)
    assert (answer.requests, answer.quota_remaining) == (requests, left - requests)
    assert answer.problems == (
        ["matches: only the first 100 of 150 were asked for: 5 API requests left today, and QUOTA_RESERVE keeps 5"]
        if requests == 1 else []
    )  # fmt: skip


def test_pages_that_overlap_bring_each_match_once(server: ScriptedServer, api: ScriptedApi) -> None:
    every = [game(number) for number in range(150)]

    def page(first: int, count: int) -> Reply:
        return answers({"data": every[first : first + count], "pagination": {"totalCount": 150}})

    server.on("/basketball/matches", page(0, 100), page(90, 60))
    answer = ask(api)
    assert answer.records == every
    assert answer.problems == []


def test_what_is_no_match_is_left_out_and_said(api: ScriptedApi) -> None:
    api.matches["basketball"] = [game(1), "text", {"id": None}, {"id": True}, None, game(1), {**game(2), "id": " 2 "}]
    answer = ask(api)
    assert [match["id"] for match in answer.records] == [1000001, " 2 "]
    assert answer.problems == ["matches: 4 records could not be understood and are not kept"]


def test_a_match_that_names_a_field_twice_is_kept_and_not_said_to_be_lost(
    server: ScriptedServer, api: ScriptedApi
) -> None:
    body = b'{"data":[{"id":1,"round":"a","round":"b"}],"pagination":{"totalCount":1}}'
    server.on("/basketball/matches", Reply(body))
    answer = ask(api)
    assert answer.records == [{"id": 1, "round": "b"}]
    assert answer.problems == []


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"{}"),
        Reply(b"<html>"),
        Reply(b""),
        Reply(b"[]"),
        Reply(b'{"data": []}'),
        Reply(b'{"data": {}, "pagination": {}}'),
        Reply(b'{"data": [], "pagination": {}, "error": "no games for you"}'),
        Reply(b'{"message": "property x should not exist"}', status=400),
        Reply(b"", status=401),
        Reply(b"", status=404),
        Reply(b"", status=500),
    ],
)
def test_an_answer_that_is_no_page_of_matches_is_an_error(api: ScriptedApi, reply: Reply) -> None:
    api.matches["basketball"] = reply
    with pytest.raises(SourceError):
        ask(api)


def test_a_spent_quota_is_told_as_what_it_is(api: ScriptedApi) -> None:
    api.quota_left = 0
    with pytest.raises(QuotaSpent):
        ask(api)


@pytest.mark.parametrize(
    ("second", "left"),
    [(Reply(b"", status=404), None), (Reply(b'{"message": "You have exceeded the DAILY quota"}', status=429), 0)],
)
def test_a_second_page_that_fails_costs_only_itself(
    server: ScriptedServer, api: ScriptedApi, second: Reply, left: int | None
) -> None:
    every = [game(number) for number in range(100)]
    server.on("/basketball/matches", answers({"data": every, "pagination": {"totalCount": 150}}), second)
    answer = ask(api)
    assert answer.records == every
    assert (answer.requests, answer.quota_remaining) == (2, left)
    assert answer.problems[0].startswith("matches: page 2 did not come: ")


def test_an_answer_without_a_count_ends_at_its_first_page_that_is_not_full(
    server: ScriptedServer, api: ScriptedApi
) -> None:
    pages = [[game(number) for number in range(100)], [game(number) for number in range(100, 130)]]
    server.on("/basketball/matches", *(answers({"data": page, "pagination": None, "plan": {}}) for page in pages))
    answer = ask(api)
    assert (len(answer.records), answer.requests) == (130, 2)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["id", "data", "pagination", "totalCount", "plan", "message", "tier", "error", "success"]),
        inner, max_size=5,
    ),
    max_leaves=15,
)  # fmt: skip
BODIES = st.one_of(
    st.binary(max_size=60),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries(
        {"data": st.lists(JSON, max_size=4) | JSON}, optional={"pagination": JSON, "plan": JSON, "error": JSON}
    ).map(lambda value: json.dumps(value).encode()),
)
HEADERS = st.dictionaries(
    st.sampled_from(["x-ratelimit-requests-remaining", "Retry-After"]),
    st.text("0123456789 -.eé", max_size=8).map(lambda text: urllib.parse.quote(text, safe=" ")),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODIES, status=st.sampled_from([200, 200, 200, 200, 201, 204, 302, 400, 403, 418]), headers=HEADERS)
def test_whatever_comes_is_an_answer_or_an_error_of_ours(
    api: ScriptedApi, body: bytes, status: int, headers: dict[str, str]
) -> None:
    api.quota_left = None
    api.matches["basketball"] = Reply(body, status, headers)
    try:
        answer = ask(api)
    except SourceError as error:
        assert KEY not in str(error)
    else:
        assert all(isinstance(match, dict) for match in answer.records)
        assert answer.requests <= 2
