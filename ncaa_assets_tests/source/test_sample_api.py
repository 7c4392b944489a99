"""The stand-in for the API behaves as the real one is known to, and its clips are real videos."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from ncaa_assets.failures import EncodeFailed, SourceError
from ncaa_assets.media.isobmff import BoxReader, Movie
from ncaa_assets.record.models import Highlight
from ncaa_assets.retry import RetryPolicy
from ncaa_assets.source.client import HighlightsApi
from ncaa_assets.source.sample_api import SAMPLE_KEY, SampleServer, serve_sample
from ncaa_assets.source.sample_api.clips import make_clip
from ncaa_assets.source.sample_api.records import records_of

SATURDAY = date(2025, 3, 8)


@pytest.fixture
def sample(tmp_path: Path) -> Iterator[SampleServer]:
    with serve_sample(tmp_path / "archive") as running:
        yield running


def ask(sample: SampleServer, key: str | None = SAMPLE_KEY, **query: str) -> requests.Response:
    headers = {"X-RapidAPI-Key": key} if key is not None else {}
    return requests.get(sample.url, params=query, headers=headers, timeout=10)


def client(sample: SampleServer, **changes: Any) -> HighlightsApi:
    return HighlightsApi(
        **{
            "url": sample.url, "host": None, "key": SAMPLE_KEY, "league": "NCAA", "timezone": "America/New_York",
            "retry": RetryPolicy(max_delay=0), **changes,
        }
    )  # fmt: skip


def movie(data: bytes) -> Movie:
    reader = BoxReader()
    reader.feed(data)
    return reader.finish()


def test_a_saturday_fills_more_than_a_page_and_is_read_whole_by_our_client(sample: SampleServer) -> None:
    answer = client(sample).fetch_day(SATURDAY.isoformat())
    assert answer.complete
    assert answer.problems == []
    assert answer.requests == 2
    assert answer.records == records_of(SATURDAY, sample.base_url)
    assert (answer.quota_limit, answer.quota_remaining) == (100, 98)


def test_a_day_is_always_the_same_and_each_day_has_its_own_ids() -> None:
    days = [SATURDAY + timedelta(days=number) for number in range(30)]
    assert [records_of(day, "x") for day in days] == [records_of(day, "x") for day in days]
    keys = [record["id"] for day in days for record in records_of(day, "x")]
    assert len(set(keys)) == len(keys)


def test_every_record_is_understood_and_has_the_fields_that_the_api_requires() -> None:
    for number in range(10):
        for record in records_of(SATURDAY + timedelta(days=number), "http://127.0.0.1:1"):
            Highlight.parse(record)
            assert {"id", "type", "title", "url", "match"} <= record.keys()
            assert "Sample" in record["title"], "nobody shall take it for a real game"


def test_a_day_holds_a_web_page_a_silent_video_and_a_bare_unverified_record() -> None:
    first, _, _, fourth, *_ = records_of(SATURDAY, "x")
    assert "/watch?" in first["url"]
    assert (fourth["type"], fourth["source"], fourth["channel"]) == ("UNVERIFIED", None, None)


def test_pages_follow_limit_and_offset(sample: SampleServer) -> None:
    body = ask(sample, date="2025-03-08", limit="3", offset="5").json()
    assert body["data"] == records_of(SATURDAY, sample.base_url)[5:8]
    assert body["pagination"] == {"totalCount": 44, "offset": 5, "limit": 3}
    assert body["plan"]["message"].startswith("All data available")
    assert len(ask(sample, date="2025-03-08").json()["data"]) == 40
    assert ask(sample, date="2025-03-08", offset="44").json()["data"] == []


def test_another_league_and_a_day_to_come_have_no_games(sample: SampleServer) -> None:
    tomorrow = (datetime.now(UTC).date() + timedelta(days=1)).isoformat()
    for query in ({"date": "2025-03-08", "leagueName": "NBA"}, {"date": tomorrow}):
        body = ask(sample, **query).json()
        assert (body["data"], body["pagination"]["totalCount"]) == ([], 0)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"date": "2025-03-08", "foo": "1"}, "property foo should not exist"),
        ({"limit": "1"}, "at least one primary query parameter is required"),
        ({}, "at least one primary query parameter is required"),
        ({"date": "08.03.2025"}, "date must be a valid date in the format YYYY-MM-DD"),
        ({"date": "2025-3-8"}, "date must be a valid date in the format YYYY-MM-DD"),
        ({"date": "20250308"}, "date must be a valid date in the format YYYY-MM-DD"),
        ({"date": "2025-02-30"}, "date must be a valid date in the format YYYY-MM-DD"),
        ({"date": ""}, "date must be a valid date in the format YYYY-MM-DD"),
        ({"date": "2025-03-08", "limit": "41"}, "limit must be a number not greater than 40"),
        ({"date": "2025-03-08", "limit": "²"}, "limit must be a number not greater than 40"),
        ({"date": "2025-03-08", "limit": "many"}, "limit must be a number not greater than 40"),
        ({"date": "2025-03-08", "offset": "-1"}, "offset must be a number not greater than 1000000000"),
    ],
)
def test_a_query_that_the_api_would_refuse_is_refused(
    sample: SampleServer, query: dict[str, str], message: str
) -> None:
    answer = ask(sample, **query)
    assert (answer.status_code, answer.json()) == (400, {"message": message})


@pytest.mark.parametrize(("key", "status"), [(None, 401), ("", 401), ("another", 403)])
def test_the_key_is_asked_for(sample: SampleServer, key: str | None, status: int) -> None:
    assert ask(sample, key, date="2025-03-08").status_code == status


def test_a_spent_quota_ends_a_day_as_the_real_one_does(sample: SampleServer) -> None:
    sample.requests_left = 1
    answer = client(sample, quota_reserve=0).fetch_day(SATURDAY.isoformat())
    assert (len(answer.records), answer.complete) == (40, False)
    with pytest.raises(SourceError, match="today's API requests are used up"):
        client(sample).fetch_day(SATURDAY.isoformat())


def test_a_refused_query_costs_no_request_of_the_quota(sample: SampleServer) -> None:
    assert ask(sample, date="x").headers["x-ratelimit-requests-remaining"] == "100"
    assert ask(sample, date="2025-03-08").headers["x-ratelimit-requests-remaining"] == "99"


def test_a_clip_is_a_real_video_and_the_third_has_no_sound(sample: SampleServer) -> None:
    records = records_of(SATURDAY, sample.base_url)
    second, third = (requests.get(records[number]["url"], timeout=60) for number in (1, 2))
    assert second.headers["Content-Type"] == "video/mp4"
    assert (movie(second.content).has_video, movie(second.content).has_sound) == (True, True)
    assert (movie(third.content).has_video, movie(third.content).has_sound) == (True, False)
    assert requests.get(records[1]["url"], timeout=60).content == second.content


def test_the_first_record_leads_to_a_web_page(sample: SampleServer) -> None:
    first = records_of(SATURDAY, sample.base_url)[0]
    for url in (first["url"], first["embedUrl"]):
        answer = requests.get(url, timeout=10)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


@pytest.mark.parametrize("path", ["/", "/clips/../../etc/passwd", "/clips/x.mp4", "/clips/%2e%2e.mp4", "/basketball"])
def test_nothing_else_is_served(sample: SampleServer, path: str) -> None:
    request = requests.Request("GET", sample.base_url).prepare()
    request.url = sample.base_url + path  # as it stands: requests would tidy the dots away
    with requests.Session() as session:
        assert session.send(request, timeout=10).status_code == 404


def test_an_archives_sample_has_the_same_address_each_time_and_may_be_served_twice(tmp_path: Path) -> None:
    with serve_sample(tmp_path / "one") as first:
        url = first.url
    with serve_sample(tmp_path / "one") as again, serve_sample(tmp_path / "one") as twice:
        assert again.url == url
        for server in (again, twice):
            assert ask(server, date="2025-03-08").status_code == 200
    with serve_sample(tmp_path / "two") as other:
        assert other.url != url
        assert other.origin == ("127.0.0.1", other.server_address[1])


def test_a_clip_is_made_once_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    kept = make_clip(tmp_path / "1.mp4", seconds=0.2, height=90)
    before = kept.stat().st_mtime_ns
    assert make_clip(tmp_path / "1.mp4", seconds=0.2, height=90).stat().st_mtime_ns == before
    assert [path.name for path in tmp_path.iterdir()] == ["1.mp4"]


def test_a_clip_that_cannot_be_made_is_said_so_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(EncodeFailed, match="ffmpeg cannot make a clip"):
        make_clip(tmp_path / "1.mp4", height=0)
    assert list(tmp_path.iterdir()) == []


def test_the_listing_is_json_with_its_length(sample: SampleServer) -> None:
    answer = ask(sample, date="2025-03-08", limit="1")
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert json.loads(answer.content)["data"]
