"""Which address is asked, with which headers, for each kind of key, door and module; and what a wrong key is told."""

from typing import Any

import pytest

from ncaa_assets.failures import SettingsError, SourceError
from ncaa_assets.retry import RetryPolicy
from ncaa_assets.settings import Settings
from ncaa_assets.source.client import HighlightsApi
from ncaa_assets.source.doors import Door, Kind, kind_of_key, module_of
from ncaa_assets.source.open import asked_module, modules_to_try, naming
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer

DIRECT = "0c1d2e3f-4a5b-6c7d-8e9f-a0b1c2d3e4f5"
RAPID = "0a1b2c3d4emsh5f6a7b8c9d0e1f2p3a4b5cjsn6d7e8f9a0b1c"
RAPID_HOST = "sport-highlights-api.p.rapidapi.com"
DAY = "2026-01-10"


def test_the_keys_of_these_tests_have_the_shapes_that_were_seen() -> None:
    assert len(RAPID) == 50
    assert "msh" in RAPID


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (RAPID, Kind.RAPIDAPI), (DIRECT, Kind.DIRECT), (DIRECT.upper(), Kind.DIRECT), ("a-key", Kind.RAPIDAPI),
        (DIRECT[:-1], Kind.RAPIDAPI), (DIRECT.replace("-", ""), Kind.RAPIDAPI), (None, Kind.RAPIDAPI),
    ],
)  # fmt: skip
def test_a_key_tells_its_door_by_its_shape(key: str | None, kind: Kind) -> None:
    assert kind_of_key(key) is kind


@pytest.mark.parametrize(
    ("key", "given", "module", "highlights", "matches", "host"),
    [
        (RAPID, {}, "nba", f"https://{RAPID_HOST}/nba/highlights", f"https://{RAPID_HOST}/nba/matches", RAPID_HOST),
        (RAPID, {}, "basketball", f"https://{RAPID_HOST}/basketball/highlights", None, RAPID_HOST),
        ("neither", {}, "nba", f"https://{RAPID_HOST}/nba/highlights", None, RAPID_HOST),
        (DIRECT, {}, "nba", "https://sports.highlightly.net/nba/highlights",
         "https://sports.highlightly.net/nba/matches", None),
        (DIRECT, {}, "american-football", "https://sports.highlightly.net/american-football/highlights", None, None),
        # Another door, a proxy or a test's
        (DIRECT, {"api_base": "http://127.0.0.1:8080"}, "nba", "http://127.0.0.1:8080/nba/highlights", None, None),
        (RAPID, {"api_base": "http://127.0.0.1:8080/v1/"}, "nba", "http://127.0.0.1:8080/v1/nba/highlights",
         "http://127.0.0.1:8080/v1/nba/matches", None),
        (RAPID, {"api_base": "https://other.p.rapidapi.com"}, "nba", "https://other.p.rapidapi.com/nba/highlights",
         None, "other.p.rapidapi.com"),
        (RAPID, {"api_base": "http://127.0.0.1:1", "rapidapi_host": RAPID_HOST}, "nba",
         "http://127.0.0.1:1/nba/highlights", None, RAPID_HOST),
        # Hosts of one sport
        (DIRECT, {"api_base": "https://nba.highlightly.net"}, "nba", "https://nba.highlightly.net/highlights",
         "https://nba.highlightly.net/matches", None),
        (DIRECT, {"api_base": "https://American-Football.highlightly.net/"}, "american-football",
         "https://American-Football.highlightly.net/highlights", None, None),
        (RAPID, {"api_base": "https://nba-ncaab-api.p.rapidapi.com"}, "nba",
         "https://nba-ncaab-api.p.rapidapi.com/highlights", "https://nba-ncaab-api.p.rapidapi.com/matches",
         "nba-ncaab-api.p.rapidapi.com"),
        (RAPID, {"rapidapi_host": "nba-ncaab-api.p.rapidapi.com"}, "nba",
         "https://nba-ncaab-api.p.rapidapi.com/highlights", None, "nba-ncaab-api.p.rapidapi.com"),
        (RAPID, {"rapidapi_host": RAPID_HOST}, "basketball", f"https://{RAPID_HOST}/basketball/highlights", None,
         RAPID_HOST),
        # A whole address of one's own wins
        (DIRECT, {"api_url": f"https://{RAPID_HOST}/basketball/highlights"}, "basketball",
         f"https://{RAPID_HOST}/basketball/highlights", f"https://{RAPID_HOST}/basketball/matches", RAPID_HOST),
        (RAPID, {"api_url": "http://h/a/highlights", "api_base": "http://b"}, "a", "http://h/a/highlights",
         "http://h/a/matches", None),
        (RAPID, {"api_url": "http://h/highlights/"}, "h", "http://h/highlights/", "http://h/matches", None),
    ],
)  # fmt: skip
def test_what_is_asked_follows_from_key_door_and_module(
    key: str, given: dict[str, str], module: str, highlights: str, matches: str | None, host: str | None
) -> None:
    door = Door.of(key=key, **given)
    assert door.highlights(module) == highlights
    assert matches in (None, door.matches(module))
    assert door.host == host


def test_an_address_that_does_not_end_with_highlights_has_no_matches() -> None:
    door = Door.of(key=RAPID, api_url="https://example.com/feed")
    assert door.highlights("feed") == "https://example.com/feed"
    assert door.matches("feed") is None


@pytest.mark.parametrize(
    ("address", "module"),
    [
        (f"https://{RAPID_HOST}/basketball/highlights", "basketball"),
        (f"{RAPID_HOST}/basketball/highlights", "basketball"),
        ("basketball.highlightly.net/highlights", "basketball"),
        ("nba-ncaab-api.p.rapidapi.com/highlights", "nba"),
        ("127.0.0.1:8080/NBA/highlights", "nba"),
        ("http://127.0.0.1:8080/x", "x"),
        ("http://127.0.0.1:8080/highlights", "127.0.0.1"),
        ("http://127.0.0.1:8080", "127.0.0.1"),
    ],
)
def test_a_whole_address_tells_its_module(address: str, module: str) -> None:
    assert module_of(address) == module


def settings(**given: Any) -> Settings:
    return Settings.model_validate({"rapidapi_key": RAPID, **given})


@pytest.mark.parametrize(
    ("given", "asked", "named_by"),
    [
        ({}, None, None),
        ({"api_base": "http://127.0.0.1:1"}, None, None),
        ({"rapidapi_host": RAPID_HOST}, None, None),
        ({"api_module": "nba"}, "nba", "API_MODULE"),
        ({"api_base": "https://nba.highlightly.net"}, "nba", "API_BASE"),
        ({"api_base": "https://nba.highlightly.net", "api_module": "nba"}, "nba", "API_MODULE and API_BASE"),
        ({"rapidapi_host": "NBA-NCAAB-API.p.RapidAPI.com"}, "nba", "RAPIDAPI_HOST"),
        ({"rapidapi_host": "nba-ncaab-api.p.rapidapi.com:443"}, "nba", "RAPIDAPI_HOST"),
        ({"api_url": "http://h/basketball/highlights", "api_base": "http://p"}, "basketball", "API_URL"),
        ({"api_url": "http://h/basketball/highlights"}, "basketball", "API_URL"),
        ({"api_url": "http://h/basketball/highlights", "api_module": "nba"}, "basketball", "API_MODULE and API_URL"),
    ],
)
def test_the_module_that_settings_name_and_what_names_it(
    given: dict[str, str], asked: str | None, named_by: str | None
) -> None:
    assert asked_module(settings(**given)) == asked
    assert naming(settings(**given)) == named_by
    assert modules_to_try(settings(**given)) == (("nba", "basketball") if asked is None else (asked,))


def test_a_door_of_another_module_than_the_one_that_is_named_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"API_MODULE=basketball but API_BASE .* has the module nba alone"):
        asked_module(settings(api_base="https://nba.highlightly.net", api_module="basketball"))


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({}, Kind.DIRECT), ({"rapidapi_host": "proxy.example.com"}, Kind.DIRECT),
        ({"rapidapi_host": "SPORT-Highlights-API.p.RapidAPI.com"}, Kind.RAPIDAPI),
        ({"rapidapi_host": f"{RAPID_HOST}:443"}, Kind.RAPIDAPI),
        ({"api_base": "http://127.0.0.1:1"}, Kind.OTHER),
        ({"api_base": "http://127.0.0.1:1", "rapidapi_host": "proxy.example.com"}, Kind.OTHER),
        ({"api_base": "http://127.0.0.1:1", "rapidapi_host": RAPID_HOST}, Kind.RAPIDAPI),
    ],
)  # fmt: skip
def test_whose_door_it_is_shows_in_its_host(given: dict[str, str], kind: Kind) -> None:
    assert Door.of(key=DIRECT, **given).kind is kind


def refusal(server: ScriptedServer, status: int, key: str, **given: Any) -> str:
    url = server.on("/nba/highlights", Reply(b'{"message":"You are not subscribed to this API."}', status=status))
    door = Door.of(key=key, api_url=url, **given)
    api = HighlightsApi(door=door, key=key, league="NCAA", timezone="UTC", retry=RetryPolicy(0, 0))
    with pytest.raises(SourceError) as refused:
        api.fetch_day(DAY, "nba")
    assert key not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_at_the_wrong_door_is_told_from_one_that_is_not_subscribed(server: ScriptedServer, status: int) -> None:
    direct_at_rapidapi = refusal(server, status, DIRECT, rapidapi_host=RAPID_HOST)
    assert "the key is one of the vendor's own (a UUID), which RapidAPI does not take" in direct_at_rapidapi
    assert "unset API_URL and RAPIDAPI_HOST, so that the key's own door is asked" in direct_at_rapidapi
    rapid_at_rapidapi = refusal(server, status, RAPID, rapidapi_host=RAPID_HOST)
    assert "UUID" not in rapid_at_rapidapi
    assert ("not subscribed" if status == 403 else "does not accept the key") in rapid_at_rapidapi


def test_a_rapidapi_key_at_the_vendors_own_door_is_told_so() -> None:
    door = Door.of(key=RAPID, api_base="https://sports.highlightly.net")
    assert door.kind is Kind.DIRECT
    api = HighlightsApi(door=door, key=RAPID, league="NCAA", timezone="UTC")
    for status in (401, 403):
        text = api._denial("https://sports.highlightly.net/nba/highlights", status, " (no)")
        assert "the key is RapidAPI's, which the vendor's own sports.highlightly.net does not take (no)" in text
        assert "unset API_BASE" in text


def test_either_key_alone_opens_its_own_door_so_nothing_has_to_be_unset() -> None:
    for key, kind in ((RAPID, Kind.RAPIDAPI), (DIRECT, Kind.DIRECT)):
        door = Door.of(key=key)
        assert (door.kind, door.named_by) == (kind, ())
