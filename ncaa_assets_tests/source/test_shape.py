"""The comparison of the API's answer with what the client reads, on answers of the documented shape and on others."""

from collections.abc import Callable
from typing import Any

import pytest

from ncaa_assets.source.client import HighlightsApi
from ncaa_assets.source.doors import Door
from ncaa_assets.source.shape import mismatches, new_fields, video_files
from ncaa_assets_tests.loopback.http_server import ScriptedServer
from ncaa_assets_tests.loopback.sample_page import DAY, page_of, record, serve

PAGED = "`pagination."


def found(server: ScriptedServer, body: Any, *, headers: dict[str, str] | None = None) -> list[str]:
    url = serve(server, body, headers=headers)
    api = HighlightsApi(
        door=Door.of(key=None, api_url=url), key="key-of-a-test", league="NCAA", timezone="America/New_York"
    )
    return mismatches(api.first_page(DAY, "basketball"), day=DAY, timezone="America/New_York", league="NCAA")


def test_the_documented_shape_has_no_mismatch(server: ScriptedServer) -> None:
    assert found(server, page_of([record(n) for n in range(40)], total=95)) == []
    assert found(server, page_of([record(n) for n in range(7)])) == []
    assert found(server, page_of([])) == []


def test_league_as_text_and_what_may_be_null_or_absent_are_the_documented_shape_too(server: ScriptedServer) -> None:
    bare = {key: value for key, value in record(1).items() if key in ("id", "type", "title", "url", "match")}
    nulls = {**record(2), "imgUrl": None, "embedUrl": None, "channel": None, "source": None}
    text = record(3)
    text["match"]["league"] = "NCAA"
    assert found(server, page_of([bare, nulls, text])) == []


def drop(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda body: body.pop(name)


def each(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda body: [one.update(fields) for one in body["data"]]


def of_match(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda body: [one["match"].update(fields) for one in body["data"]]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (drop("pagination"), "there is no `pagination`"),
        (lambda body: body["pagination"].update(totalCount="95"), "`pagination.totalCount` is no number"),
        (lambda body: body["pagination"].update(limit=20), "`pagination.limit` is 20 where 40 was asked"),
        (lambda body: body["pagination"].update(offset=1), "`pagination.offset` is 1 where 0 was asked"),
        (lambda body: body["pagination"].update(totalCount=9), "of 9 announced records the page has 3, not 9"),
        (drop("plan"), "there is no `plan.message`"),
        (each(id="105170"), "`id` of 3 of 3 records is not a whole number but 105170"),
        (each(id=None, url=None), "3 of 3 records cannot be understood (it has neither an id nor a url)"),
        (each(id=7), "2 of 3 records repeat an id within one page"),
        (each(type="OFFICIAL"), "`type` of 3 of 3 records is not VERIFIED or UNVERIFIED but OFFICIAL"),
        (each(type=[]), "`type` of 3 of 3 records is not VERIFIED or UNVERIFIED but []"),
        (of_match(date="0001-01-01T00:00:00+14:00"), "no `match.date` can be read"),
        (of_match(date="9999-12-31T23:59:59-14:00"), "no `match.date` can be read"),
        (each(title=None), "`title` of 3 of 3 records is not text but missing"),
        (each(url="//cdn.example/a.mp4"), "`url` of 3 of 3 records is not an http or https address"),
        (each(match="1"), "`match` of 3 of 3 records is not an object but 1"),
        (each(channel=12), "`channel` of 3 of 3 records is not text but 12"),
        (lambda body: body["data"][0].pop("title"), "`title` of 1 of 3 records is not text but missing"),
        (
            of_match(date="2025-03-10T16:00:00.000Z"),
            "3 of 3 records are of another day in America/New_York (2025-03-10",
        ),
        (of_match(date=None), "no `match.date` can be read"),
        (of_match(league={"name": "NBA"}), "3 of 3 records are of another league (NBA)"),
    ],
)
def test_another_shape_is_told_with_what_it_means(
    server: ScriptedServer, change: Callable[[dict[str, Any]], object], says: str
) -> None:
    body = page_of([record(n) for n in range(3)])
    change(body)
    assert any(one.startswith(says) for one in found(server, body)), found(server, body)


def test_a_game_of_the_evening_is_of_its_day_in_the_timezone_and_not_of_the_next_in_utc(server: ScriptedServer) -> None:
    late = record(1)
    late["match"]["date"] = "2025-03-10T01:30:00.000Z"
    assert found(server, page_of([late])) == []


def test_an_answer_without_quota_headers_is_told(server: ScriptedServer) -> None:
    (one,) = found(server, page_of([record(1)]), headers={})
    assert one.startswith("no header says how many requests are left")


def test_new_fields_and_video_files_are_counted(server: ScriptedServer) -> None:
    page = {**record(1), "url": "https://www.youtube.com/watch?v=x.mp4", "duration": 12}
    url = serve(server, page_of([record(0), page, {**record(2), "url": None}, "not an object"]))
    first = HighlightsApi(door=Door.of(key=None, api_url=url), key="key", league="NCAA", timezone="UTC").first_page(
        DAY, "basketball"
    )
    assert new_fields(first) == ["duration"]
    assert video_files(first.records) == 1
    assert (first.plan, first.restriction, first.quota_limit, first.quota_remaining) == ("BASIC", None, 100, 77)
    assert len(server.asked) == 1
