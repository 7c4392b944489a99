"""The tests' own API refuses what the real one would, and answers as a test sets it."""

from typing import Any

import pytest
import requests

from ncaa_assets.record.models import Highlight
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import ScriptedApi, game, record, serve_api, us_game, us_record

DAY = "2025-03-09"


@pytest.fixture
def api(server: ScriptedServer) -> ScriptedApi:
    return serve_api(server)


def ask(url: str, key: str = "a-key", **query: str) -> requests.Response:
    return requests.get(url, params=query, headers={"x-rapidapi-key": key}, timeout=10)


def listed(url: str, **query: str) -> list[Any]:
    answer = ask(url, **query)
    assert answer.status_code == 200, answer.text
    records: list[Any] = answer.json()["data"]
    return records


def test_each_module_lists_what_the_test_says_at_that_moment_for_the_day_that_is_asked_for(api: ScriptedApi) -> None:
    api.highlights["basketball"] = lambda day: [record(1, "http://x/1")] if day == DAY else []
    api.highlights["nba"] = [us_record(1, "http://x/1")]
    assert listed(api.url("basketball"), date=DAY) == [record(1, "http://x/1")]
    assert listed(api.url("basketball"), date="2025-03-10") == []
    assert listed(f"{api.base_url}/nba/highlights", date="2025-03-10") == [us_record(1, "http://x/1")]
    assert listed(api.url("rugby"), date=DAY) == listed(api.url("nba", "matches"), date=DAY) == []
    api.highlights["nba"] = Reply(b"out of order", 500)
    assert ask(api.url("nba"), date=DAY).status_code == 500
    assert api.asked("basketball") == [{"date": DAY}, {"date": "2025-03-10"}]
    assert api.asked("nba", "matches") == [{"date": DAY}]


def test_pages_follow_limit_and_offset_and_another_league_has_no_games(api: ScriptedApi) -> None:
    api.highlights["nba"] = [us_record(number, None) for number in range(50)]
    assert len(listed(api.url("nba"), date=DAY)) == 40
    assert [one["id"] for one in listed(api.url("nba"), date=DAY, limit="2", offset="48")] == [48, 49]
    assert listed(api.url("nba"), date=DAY, leagueName="NBA") == []
    assert len(listed(api.url("nba"), date=DAY, leagueName="NCAA")) == 40


def test_a_query_that_the_real_api_refuses_is_refused_counted_and_remembered(api: ScriptedApi) -> None:
    answer = ask(api.url("nba", "matches"), date=DAY, leagueName="NCAA")
    assert answer.status_code == 400
    assert answer.json() == {"message": "property leagueName should not exist", "statusCode": 400}
    assert api.refused == ["/nba/matches: property leagueName should not exist"]
    assert answer.headers["x-ratelimit-requests-remaining"] == "99"
    assert ask(api.url("nba"), date="").status_code == 400


def test_the_key_and_the_quota_are_the_tests_to_set(api: ScriptedApi) -> None:
    assert ask(api.url("nba"), key="", date=DAY).status_code == 401
    api.key = "the-one"
    assert ask(api.url("nba"), date=DAY).json() == {"message": "You are not subscribed to this API."}
    api.quota_left = 1
    assert ask(api.url("nba"), key="the-one", date=DAY).headers["x-ratelimit-requests-remaining"] == "0"
    assert ask(api.url("basketball"), key="the-one", date=DAY).status_code == 429
    api.quota_left = None
    assert "x-ratelimit-requests-remaining" not in ask(api.url("nba"), key="the-one", date=DAY).headers


def test_the_builders_make_records_that_are_understood_and_belong_together() -> None:
    for clip, match in ((record(1, "http://x"), game(1)), (us_record(1, "http://x"), us_game(1))):
        assert Highlight.parse(clip).id == "1"
        assert clip["match"]["id"] == match["id"]
    assert us_record(1, None, title="another")["title"] == "another"
