"""The stand-in for the API behaves as the real one is known to, and its clips are real videos."""

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from ncaa_assets.failures import EncodeFailed, SettingsError, SourceError
from ncaa_assets.media.isobmff import BoxReader, Movie
from ncaa_assets.record.models import Highlight
from ncaa_assets.retry import RetryPolicy
from ncaa_assets.settings import Settings
from ncaa_assets.source import open as source_open
from ncaa_assets.source.client import HighlightsApi
from ncaa_assets.source.doors import MODULES, US_MODULES, Door
from ncaa_assets.source.sample_api import SAMPLE_KEY, SampleServer, serve_sample
from ncaa_assets.source.sample_api.clips import make_clip
from ncaa_assets.source.sample_api.records import DAY_OF_PAGES, highlights, matches

SATURDAY = date(2025, 3, 8)
DAYS = [SATURDAY + timedelta(days=number) for number in range(30)]
LISTING = ("basketball", "nba", "american-football")  # the modules in which the sample has games


@pytest.fixture
def sample(tmp_path: Path) -> Iterator[SampleServer]:
    with serve_sample(tmp_path / "archive") as running:
        yield running


def ask(
    sample: SampleServer, path: str = "/basketball/highlights", key: str | None = SAMPLE_KEY, **query: str
) -> requests.Response:
    headers = {"X-RapidAPI-Key": key} if key is not None else {}
    return requests.get(sample.base_url + path, params=query, headers=headers, timeout=10)


def client(sample: SampleServer, **changes: Any) -> HighlightsApi:
    return HighlightsApi(
        **{
            "door": Door.of(key=SAMPLE_KEY, api_base=sample.base_url), "key": SAMPLE_KEY, "league": "NCAA",
            "timezone": "America/New_York", "retry": RetryPolicy(max_delay=0), **changes,
        }
    )  # fmt: skip


def movie(data: bytes) -> Movie:
    reader = BoxReader()
    reader.feed(data)
    return reader.finish()


@pytest.mark.parametrize(("module", "count", "requests"), [("basketball", 44, 2), ("nba", 45, 2), ("rugby", 0, 1)])
def test_a_saturday_fills_more_than_a_page_and_is_read_whole_by_our_client(
    sample: SampleServer, module: str, count: int, requests: int
) -> None:
    answer = client(sample).fetch_day(SATURDAY.isoformat(), module)
    assert answer.complete
    assert answer.problems == []
    assert answer.requests == requests
    assert answer.records == highlights(module, SATURDAY, sample.base_url)
    assert len(answer.records) == count
    assert (answer.quota_limit, answer.quota_remaining) == (100, 100 - requests)


@pytest.mark.parametrize("module", MODULES)
def test_a_day_is_always_the_same_and_each_day_has_its_own_ids(module: str) -> None:
    assert [highlights(module, day, "x") for day in DAYS] == [highlights(module, day, "x") for day in DAYS]
    assert [matches(module, day) for day in DAYS] == [matches(module, day) for day in DAYS]
    for days in ([highlights(module, day, "x") for day in DAYS], [matches(module, day) for day in DAYS]):
        keys = [record["id"] for records in days for record in records]
        assert len(set(keys)) == len(keys)


def test_what_basketball_lists_of_a_day_is_what_archives_of_the_sample_have() -> None:
    """Their records would otherwise be marked as removed, and the new ones copied."""
    records = highlights("basketball", SATURDAY, "http://127.0.0.1:1")
    league = {"id": 990001, "name": "NCAA", "season": 2025, "logo": None}
    assert [record["id"] for record in records] == list(range(3931800, 3931844))
    assert records[1] == {
        "id": 3931801,
        "type": "VERIFIED",
        "imgUrl": None,
        "title": "Wisconsin vs. Marquette - Sample Highlights",
        "description": None,
        "url": "http://127.0.0.1:1/clips/3931801.mp4",
        "embedUrl": None,
        "channel": "Sample",
        "source": "sample",
        "match": {
            "id": 1003931801,
            "date": "2025-03-08T17:00:00.000Z",
            "round": "NCAA",
            "country": {"code": "US", "name": "USA", "logo": None},
            "league": league,
            "homeTeam": {"id": 3022, "name": "Wisconsin", "logo": None},
            "awayTeam": {"id": 3021, "name": "Marquette", "logo": None},
        },
    }
    assert [record["match"]["league"] for record in records[4:7]] == [league, "NCAA", league]


@pytest.mark.parametrize("module", LISTING)
def test_every_record_is_understood_and_has_the_fields_that_the_api_requires(module: str) -> None:
    for day in DAYS:
        for record in highlights(module, day, "http://127.0.0.1:1"):
            Highlight.parse(record)
            assert {"id", "type", "title", "url", "match"} <= record.keys()
            assert "Sample" in record["title"], "nobody shall take it for a real game"


# What was seen of the real API's records: the fields of each object, by the way that leads to it.
_BASKETBALL_GAME = {
    "": {"id", "date", "round", "league", "country", "homeTeam", "awayTeam"},
    "league": {"id", "name", "season", "logo"},
    "country": {"code", "name", "logo"},
    "homeTeam": {"id", "name", "logo"},
    "awayTeam": {"id", "name", "logo"},
}
_US_GAME = {
    "": {"id", "date", "season", "round", "league", "homeTeam", "awayTeam"},
    "homeTeam": {"id", "displayName", "name", "abbreviation", "logo", "league"},
    "awayTeam": {"id", "displayName", "name", "abbreviation", "logo"},
}
_CLIP = {"id", "type", "imgUrl", "title", "description", "url", "embedUrl", "channel", "source", "match"}
_SCORE_AS_TEXT, _SCORE_BY_HALVES = {"current"}, {"homeTeam", "awayTeam"}


def inside(name: str, fields: dict[str, set[str]]) -> dict[str, set[str]]:
    return {f"{name}.{way}".rstrip("."): names for way, names in fields.items()}


def fields_of(value: dict[str, Any], way: str = "") -> dict[str, set[str]]:
    found = {way: set(value)}
    for name, inner in value.items():
        if isinstance(inner, dict):
            found |= fields_of(inner, f"{way}.{name}".lstrip("."))
    return found


@pytest.mark.parametrize(
    ("module", "clip", "game"), [("basketball", _CLIP, _BASKETBALL_GAME), ("nba", {*_CLIP, "category"}, _US_GAME),
                                 ("american-football", {*_CLIP, "category"}, _US_GAME)],
)  # fmt: skip
def test_a_clip_has_the_fields_that_were_seen(module: str, clip: set[str], game: dict[str, set[str]]) -> None:
    third = highlights(module, SATURDAY, "x")[2]
    assert fields_of(third) == {"": clip, **inside("match", game)}
    assert module == "basketball" or third["match"]["league"] == "NCAA"


@pytest.mark.parametrize(
    ("module", "game", "state", "score", "more"),
    [
        ("basketball", _BASKETBALL_GAME, {"description", "clock", "score"}, _SCORE_AS_TEXT, {"state"}),
        ("nba", _US_GAME, {"description", "period", "clock", "score"}, _SCORE_BY_HALVES, {"state", "venue"}),
        (
            "american-football",
            _US_GAME,
            {"description", "period", "clock", "score"},
            _SCORE_AS_TEXT,
            {"state", "venue"},
        ),
    ],
)
def test_a_match_has_the_fields_that_were_seen(
    module: str, game: dict[str, set[str]], state: set[str], score: set[str], more: set[str]
) -> None:
    expected = {**game, "": game[""] | more, **inside("state", {"": state, "score": score})}
    found = [fields_of(match) for day in DAYS for match in matches(module, day)]
    with_venue = {**expected, "venue": {"name", "city"}}
    assert expected in found
    assert (with_venue in found) == ("venue" in more)
    text_league = {way: names for way, names in expected.items() if way != "league"}
    assert all(one in (expected, with_venue, text_league) for one in found)


def test_the_score_of_a_game_is_the_same_in_both_shapes_and_nobody_scored_in_one_that_is_to_come() -> None:
    for text, halves in zip(matches("basketball", SATURDAY), matches("nba", SATURDAY), strict=True):
        score = halves["state"]["score"]
        assert text["id"] == halves["id"]
        if halves["state"]["description"] == "Finished":
            assert text["state"]["score"]["current"] == f"{sum(score['homeTeam'])} - {sum(score['awayTeam'])}"
            assert len(score["homeTeam"]) == len(score["awayTeam"]) == halves["state"]["period"] == 2
        else:
            assert (text["state"]["score"], score) == ({"current": None}, {"homeTeam": [], "awayTeam": []})
    assert {match["state"]["description"] for match in matches("nba", SATURDAY)} == {"Finished", "Scheduled"}


@pytest.mark.parametrize("module", LISTING)
def test_each_clip_has_its_match_some_share_one_and_some_matches_have_no_clip(module: str) -> None:
    for day in DAYS:
        clips = [record["match"]["id"] for record in highlights(module, day, "x")]
        games = [match["id"] for match in matches(module, day)]
        assert set(clips) <= set(games)
        assert len(set(games)) == len(games)
        assert len(games) > len(set(clips)) or not games
        assert len(clips) > len(set(clips)) or module == "basketball" or not games


def test_an_archive_that_moves_between_the_two_modules_meets_whatever_it_may_meet() -> None:
    on_some_days = set()
    for day in DAYS:
        of_nba, of_basketball = (
            {record["id"]: record["url"] for record in highlights(module, day, "x")} for module in ("nba", "basketball")
        )
        assert len(of_nba) >= len(of_basketball), "an archive that begins becomes one of `nba`"
        shared = of_nba.keys() & of_basketball.keys()
        assert 2 * len(shared) > len(of_basketball)
        assert all(of_nba[key] == of_basketball[key] for key in shared)
        (under_two_ids,) = {of_nba[key] for key in of_nba.keys() - shared} & set(of_basketball.values())
        assert under_two_ids.endswith(".mp4")
        assert set(of_nba.values()) - set(of_basketball.values()), "a clip that only `nba` has"
        on_some_days.add(bool(set(of_basketball.values()) - set(of_nba.values())))
    assert on_some_days == {True, False}, "on some days there is a clip that only `basketball` has"


def test_football_is_played_on_saturdays_by_colleges_that_have_a_team() -> None:
    for day in DAYS:
        records, games = highlights("american-football", day, "x"), matches("american-football", day)
        assert (len(records), len(games)) == ((4, 4) if day.weekday() == 5 else (0, 0))
        assert all("Football" in record["title"] or "Touchdowns" in record["title"] for record in records)
        assert "Gonzaga" not in json.dumps([records, games])


def test_a_season_of_football_is_named_after_its_first_year_and_one_of_basketball_after_its_last() -> None:
    for day, basketball, football in ((date(2025, 1, 4), 2025, 2024), (date(2025, 11, 8), 2026, 2025)):
        assert {match["season"] for match in matches("nba", day)} == {basketball}
        assert {match["season"] for match in matches("american-football", day)} == {football}


def test_a_day_holds_a_web_page_a_silent_video_and_a_bare_unverified_record() -> None:
    for module in ("basketball", "nba"):
        first, _, _, fourth, *_ = highlights(module, SATURDAY, "x")
        assert "/watch?" in first["url"]
        assert (fourth["type"], fourth["source"], fourth["channel"]) == ("UNVERIFIED", None, None)
        assert "category" not in fourth


def test_pages_follow_limit_and_offset(sample: SampleServer) -> None:
    body = ask(sample, date="2025-03-08", limit="3", offset="5").json()
    assert body["data"] == highlights("basketball", SATURDAY, sample.base_url)[5:8]
    assert body["pagination"] == {"totalCount": 44, "offset": 5, "limit": 3}
    assert body["plan"]["message"].startswith("All data available")
    assert len(ask(sample, date="2025-03-08").json()["data"]) == 40
    assert ask(sample, date="2025-03-08", offset="44").json()["data"] == []


def test_pages_of_matches_are_larger(sample: SampleServer) -> None:
    body = ask(sample, "/nba/matches", date="2025-03-08", league="NCAA").json()
    assert body["data"] == matches("nba", SATURDAY)
    assert body["pagination"] == {"totalCount": 46, "offset": 0, "limit": 100}
    body = ask(sample, "/nba/matches", date="2025-03-08", limit="2", offset="45").json()
    assert body["data"] == matches("nba", SATURDAY)[45:]


@pytest.mark.parametrize("module", MODULES)
def test_each_module_lists_its_own(sample: SampleServer, module: str) -> None:
    for league in ({}, {"leagueName": "NCAA"}):
        records = ask(sample, f"/{module}/highlights", date="2025-03-08", limit="40", **league).json()["data"]
        assert records == highlights(module, SATURDAY, sample.base_url)[:40]
        assert bool(records) == (module in LISTING)
    assert ask(sample, f"/{module}/matches", date="2025-03-08").json()["data"] == matches(module, SATURDAY)


def test_another_league_and_a_day_to_come_have_no_games(sample: SampleServer) -> None:
    tomorrow = (datetime.now(UTC).date() + timedelta(days=1)).isoformat()
    for path, query in (
        ("/basketball/highlights", {"date": "2025-03-08", "leagueName": "NBA"}),
        ("/nba/matches", {"date": "2025-03-08", "league": "NBA"}),
        ("/basketball/matches", {"date": "2025-03-08", "leagueName": "NBA"}),
        ("/nba/highlights", {"date": tomorrow}),
        ("/nba/matches", {"date": tomorrow}),
    ):
        body = ask(sample, path, **query).json()
        assert (body["data"], body["pagination"]["totalCount"]) == ([], 0)


DATE = "date must be a valid date in the format YYYY-MM-DD"
NO_PRIMARY = "at least one primary query parameter is required"


@pytest.mark.parametrize("path", ["/basketball/highlights", "/nba/highlights", "/basketball/matches", "/nba/matches"])
@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"date": "2025-03-08", "foo": "1"}, "property foo should not exist"),
        ({"limit": "1"}, NO_PRIMARY),
        ({}, NO_PRIMARY),
        ({"date": "08.03.2025"}, DATE),
        ({"date": "2025-3-8"}, DATE),
        ({"date": "20250308"}, DATE),
        ({"date": "2025-02-30"}, DATE),
        ({"date": ""}, DATE),
        ({"date": "2025-03-08", "limit": "101"}, "limit must be a number not greater than {most}"),
        ({"date": "2025-03-08", "limit": "²"}, "limit must be a number not greater than {most}"),
        ({"date": "2025-03-08", "limit": "many"}, "limit must be a number not greater than {most}"),
        ({"date": "2025-03-08", "offset": "-1"}, "offset must be a number not greater than 1000000000"),
    ],
)
def test_a_query_that_the_api_would_refuse_is_refused(
    sample: SampleServer, path: str, query: dict[str, str], message: str
) -> None:
    answer = ask(sample, path, **query)
    most = 40 if path.endswith("highlights") else 100
    assert (answer.status_code, answer.json()) == (400, {"message": message.format(most=most), "statusCode": 400})


# Which names the parameters of each endpoint have: the US modules' matches alone differ.
_US, _OTHERS = sorted(US_MODULES), sorted(set(MODULES) - US_MODULES)


@pytest.mark.parametrize(
    ("paths", "taken", "refused"),
    [
        ([f"/{module}/highlights" for module in MODULES], ["leagueName", "leagueId", "matchId", "season"], ["league"]),
        ([f"/{module}/matches" for module in _US], ["league", "season"], ["leagueName", "leagueId", "matchId"]),
        ([f"/{module}/matches" for module in _OTHERS], ["leagueName", "leagueId", "season"], ["league", "matchId"]),
    ],
)
def test_each_endpoint_takes_its_own_parameters_alone(
    sample: SampleServer, paths: list[str], taken: list[str], refused: list[str]
) -> None:
    for path in paths:
        for name in [*taken, "homeTeamName", "awayTeamId"]:
            assert ask(sample, path, **{name: "1"}).status_code == 200
            assert ask(sample, path, **{name: "1", "timezone": "America/New_York", "offset": "0"}).status_code == 200
        for name in refused:
            answer = ask(sample, path, **{name: "NCAA", "date": "2025-03-08"})
            assert (answer.status_code, answer.json()["message"]) == (400, f"property {name} should not exist")
        sample.requests_left = 100


def test_pages_of_highlights_have_at_most_forty(sample: SampleServer) -> None:
    for path, status in (("/nba/highlights", 400), ("/nba/matches", 200)):
        assert ask(sample, path, date="2025-03-08", limit="41").status_code == status


@pytest.mark.parametrize(("key", "status"), [(None, 401), ("", 401), ("another", 403)])
def test_the_key_is_asked_for(sample: SampleServer, key: str | None, status: int) -> None:
    assert ask(sample, key=key, date="2025-03-08").status_code == status


def test_a_spent_quota_ends_a_day_as_the_real_one_does(sample: SampleServer) -> None:
    sample.requests_left = 1
    answer = client(sample, quota_reserve=0).fetch_day(SATURDAY.isoformat(), "basketball")
    assert (len(answer.records), answer.complete) == (40, False)
    with pytest.raises(SourceError, match="today's API requests are used up"):
        client(sample).fetch_day(SATURDAY.isoformat(), "basketball")


def test_all_modules_share_one_quota_and_a_refused_query_costs_a_request_too(sample: SampleServer) -> None:
    paths = ("/nba/highlights", "/nba/matches", "/basketball/highlights", "/rugby/matches")
    left = [ask(sample, path, date="2025-03-08").headers["x-ratelimit-requests-remaining"] for path in paths]
    assert left == ["99", "98", "97", "96"]
    assert ask(sample, date="x").headers["x-ratelimit-requests-remaining"] == "95"
    sample.requests_left = 0
    assert ask(sample, "/american-football/matches", date="2025-03-08").status_code == 429


def test_a_clip_is_a_real_video_and_the_third_has_no_sound(sample: SampleServer) -> None:
    records = highlights("basketball", SATURDAY, sample.base_url)
    second, third = (requests.get(records[number]["url"], timeout=60) for number in (1, 2))
    assert second.headers["Content-Type"] == "video/mp4"
    assert (movie(second.content).has_video, movie(second.content).has_sound) == (True, True)
    assert (movie(third.content).has_video, movie(third.content).has_sound) == (True, False)
    assert requests.get(records[1]["url"], timeout=60).content == second.content


def test_the_first_record_leads_to_a_web_page(sample: SampleServer) -> None:
    first = highlights("basketball", SATURDAY, sample.base_url)[0]
    for url in (first["url"], first["embedUrl"]):
        answer = requests.get(url, timeout=10)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


@pytest.mark.parametrize(
    "path",
    [
        "/", "/clips/../../etc/passwd", "/clips/x.mp4", "/clips/%2e%2e.mp4", "/basketball", "/basketball/teams",
        "/curling/highlights", "/nba/highlights/1", "/highlights",
    ],
)  # fmt: skip
def test_nothing_else_is_served(sample: SampleServer, path: str) -> None:
    request = requests.Request("GET", sample.base_url).prepare()
    request.url = sample.base_url + path  # as it stands: requests would tidy the dots away
    with requests.Session() as session:
        assert session.send(request, timeout=10).status_code == 404


def test_an_archives_sample_has_the_same_address_each_time_and_may_be_served_twice(tmp_path: Path) -> None:
    with serve_sample(tmp_path / "one") as first:
        address = first.base_url
    with serve_sample(tmp_path / "one") as again, serve_sample(tmp_path / "one") as twice:
        assert again.base_url == address
        for server in (again, twice):
            assert ask(server, date="2025-03-08").status_code == 200
    with serve_sample(tmp_path / "two") as other:
        assert other.base_url != address
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


def test_all_clips_of_one_day_lead_to_web_pages_and_those_of_no_other_day() -> None:
    for module in ("basketball", "nba"):
        of_pages = [urlsplit(one["url"]).path for one in highlights(module, DAY_OF_PAGES, "http://sample")]
        assert len(of_pages) > 5
        assert set(of_pages) == {"/watch"}
        for days in (-1, 1):
            other = highlights(module, DAY_OF_PAGES + timedelta(days=days), "http://sample")
            assert sum("/watch" in one["url"] for one in other) <= 2


def test_clips_are_kept_no_longer_than_they_are_served(tmp_path: Path) -> None:
    with serve_sample(tmp_path / "archive") as running:
        url = highlights("basketball", SATURDAY, running.base_url)[1]["url"]
        assert requests.get(url, timeout=60).headers["Content-Type"] == "video/mp4"
        kept = running.folder
        assert len(list(kept.iterdir())) == 1
    assert not kept.exists()
    assert not (tmp_path / "archive").exists()


def test_a_sample_that_is_large_enough_is_said_to_be_and_can_be_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_open, "MOST_SAMPLE", 5_000)
    archive = Path("data-sample")
    (archive / "videos").mkdir(parents=True)
    (archive / "videos" / "1.mp4").write_bytes(bytes(4_000))
    (archive / "videos" / "2.mp4").hardlink_to(archive / "videos" / "1.mp4")  # one file
    settings = Settings.from_environment()
    with source_open.open_source(settings):
        pass
    (archive / "videos" / "3.mp4").write_bytes(bytes(2_000))
    with (
        pytest.raises(SettingsError, match=r"has 6.0 kB of made-up data") as refused,
        source_open.open_source(settings),
    ):
        pass
    command = str(refused.value).split("`")[1]
    assert command == "rm -rf data-sample"
    subprocess.run(["bash", "-c", command], check=True)
    assert not archive.exists()
