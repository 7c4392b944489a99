"""The match context of a day: what is read of a match, how matches are kept, and which highlights they are of."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ncaa_assets.record import json_text
from ncaa_assets.record.fetch import Matches
from ncaa_assets.record.matches import Match, context_of, games_of, merge_matches
from ncaa_assets.record.merge import DEEPEST
from ncaa_assets.record.models import Highlight, HighlightsDay
from ncaa_assets.record.written import parse_document
from ncaa_assets_tests.archives import fetched_day
from ncaa_assets_tests.loopback.listing import game, record, us_game, us_record

DAY = "2025-03-09"
AT, LATER = "2025-03-10T06:00:00Z", "2025-03-11T06:00:00Z"


def a_day(*records: Any) -> HighlightsDay:
    return fetched_day(*records, at=AT)


def matches(*records: Any, at: str = AT) -> Matches:
    return Matches(at=at, records=list(records), requests=1)


def scores(score: Any) -> tuple[int | None, int | None, str | None]:
    match = Match.parse({"id": 1, "state": {"score": score}})
    return match.home_score, match.away_score, match.score


def nested(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("score", "read"),
    [
        ({"current": "82 - 69"}, (82, 69, "82 - 69")),
        ({"current": "82-69"}, (82, 69, "82-69")),
        ({"current": " 0  –  101 "}, (0, 101, "0  –  101")),
        ({"current": "82 - 69 (OT)"}, (None, None, "82 - 69 (OT)")),
        ({"current": "-1 - 3"}, (None, None, "-1 - 3")),
        ({"current": "1.5 - 3"}, (None, None, "1.5 - 3")),
        ({"current": "٣ - 3"}, (None, None, "٣ - 3")),
        ({"current": "12345 - 3"}, (None, None, "12345 - 3")),
        ({"current": ""}, (None, None, None)),
        ({"current": None}, (None, None, None)),
        ({"current": 82}, (None, None, None)),
        ({"current": ["82 - 69"]}, (None, None, None)),
        ("82 - 69", (82, 69, "82 - 69")),
        ({"homeTeam": [41, 44], "awayTeam": [38, 39]}, (85, 77, None)),
        ({"homeTeam": [0], "awayTeam": [0, 0, 3]}, (0, 3, None)),
        ({"current": None, "homeTeam": [41, 44], "awayTeam": [38, 39]}, (85, 77, None)),
        ({"homeTeam": [], "awayTeam": []}, (None, None, None)),
        ({"homeTeam": [41], "awayTeam": []}, (None, None, None)),
        ({"homeTeam": [41]}, (None, None, None)),
        ({"homeTeam": [41, None], "awayTeam": [38, 39]}, (None, None, None)),
        ({"homeTeam": [True], "awayTeam": [38]}, (None, None, None)),
        ({"homeTeam": [-1], "awayTeam": [38]}, (None, None, None)),
        ({"homeTeam": [Decimal("1.5")], "awayTeam": [38]}, (None, None, None)),
        ({"homeTeam": [10**30], "awayTeam": [38]}, (None, None, None)),
        ({"homeTeam": [9999] * 9, "awayTeam": [38]}, (None, None, None)),
        ({"homeTeam": "41", "awayTeam": "38"}, (None, None, None)),
        ({"homeTeam": 41, "awayTeam": 38}, (None, None, None)),
        ([], (None, None, None)),
        (7, (None, None, None)),
        (None, (None, None, None)),
    ],
)
def test_a_score_is_read_where_it_is_plainly_one(score: Any, read: tuple[int | None, int | None, str | None]) -> None:
    assert scores(score) == read


@pytest.mark.parametrize(
    ("match", "columns"),
    [
        (
            game(1),
            {"home_team": "Team 1", "away_team": "San José", "home_score": 81, "away_score": 69, "score": "81 - 69",
             "game_state": "Finished"},
        ),
        (
            us_game(1),
            {"home_team": "Team 1 Tigers", "away_team": "San José Spartans", "home_score": 82, "away_score": 69,
             "game_state": "Finished", "venue": "Hall 1"},
        ),
        ({"homeTeam": "Duke", "venue": "Cameron"}, {"home_team": "Duke", "venue": "Cameron"}),
        ({"homeTeam": {"displayName": " ", "name": " Duke "}}, {"home_team": "Duke"}),
        ({"homeTeam": {"displayName": 7, "name": ["Duke"]}, "awayTeam": 7, "venue": [], "state": "Finished"}, {}),
        ({"state": {"description": {"long": "Finished"}}}, {}),
        ({"state": {"description": "x" * 500}}, {"game_state": "x" * 120}),
        (["no match"], {}),
        (None, {}),
    ],
)  # fmt: skip
def test_what_a_match_tells_is_read_leniently(match: Any, columns: dict[str, Any]) -> None:
    assert Match.parse(match).columns() == columns


NAMES = st.sampled_from(
    ["id", "match", "state", "score", "current", "homeTeam", "awayTeam", "description", "venue", "name", "displayName"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
    | st.sampled_from(["82 - 69", "Duke", 1, "1", Decimal("1.0"), Decimal("1E+400000"), "\ud83c"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)  # fmt: skip
MATCHES = st.dictionaries(NAMES, VALUES, max_size=6)


@given(answers=st.lists(st.lists(MATCHES | VALUES, max_size=4), max_size=3), clips=st.lists(MATCHES, max_size=3))
def test_whatever_comes_is_no_error(answers: list[list[Any]], clips: list[dict[str, Any]]) -> None:
    day = a_day(*({"id": number, "match": clip} for number, clip in enumerate(clips)))
    for answer in answers:
        day = merge_matches(day, matches(*answer))
    assert context_of(day).keys() <= games_of(day).keys() == day.backup.records.keys()
    for columns in games_of(day).values():
        for name, value in columns.items():
            if name.endswith("_score"):
                assert type(value) is int
                assert value >= 0
            else:
                assert isinstance(value, str)
                assert value


def test_matches_are_kept_word_for_word_and_a_new_answer_replaces_those_that_it_lists() -> None:
    first = {"id": 1, "odds": [Decimal("1.50"), None], "state": {"description": "Scheduled"}}
    day = merge_matches(a_day(record(1, None)), matches(first, {"id": 2}))
    assert day.matches == [first, {"id": 2}]
    assert day.backup.matches_at == AT
    later = merge_matches(day, matches({"id": "3"}, {"id": Decimal("1.0"), "new": True}, at=LATER))
    assert later.matches == [{"id": "3"}, {"id": Decimal("1.0"), "new": True}, {"id": 2}]
    assert later.backup.matches_at == LATER
    assert merge_matches(later, matches(at=LATER)).matches == later.matches, "an empty answer takes nothing away"


def test_what_has_no_id_or_is_too_deep_is_left_out() -> None:
    deep = {"id": 9, "deep": nested(DEEPEST + 1)}
    junk: list[Any] = [{}, {"id": None}, {"id": True}, {"id": " "}, {"id": Decimal("1.5")}, {"id": []}, "text", None, 7]
    day = merge_matches(a_day(), matches(*junk, deep, {"id": 1}, {"id": "1", "again": True}))
    assert day.matches == [{"id": 1}]
    assert parse_document(HighlightsDay, json_text.dumps(day.model_dump())).matches == [{"id": 1}]


def test_the_new_document_shares_nothing_that_changes_with_the_old() -> None:
    old = merge_matches(a_day(record(1, None), "junk"), matches(game(1)))
    old._read_at, old._was_saved = "version", True
    before = old.model_dump_json()
    new = merge_matches(old, matches(game(2), at=LATER))
    assert (new._read_at, new._was_saved) == ("version", False), "it replaces what the store has, which is kept"
    assert [view for view, _ in new.highlights()] == [view for view, _ in old.highlights()]
    new.backup.records["1"].last_seen = LATER
    new.backup.fetches[0].problems = ["new"]
    new.backup.rejected.clear()
    new.data.clear()
    new.matches.clear()
    assert old.model_dump_json() == before


def test_a_highlight_is_joined_to_the_match_whose_id_its_own_match_has() -> None:
    clips = [
        record(1, None),
        record(2, None),
        us_record(3, None),
        {"id": 4},
        us_record(5, None, match={"id": "1000001"}),
    ]
    day = merge_matches(a_day(*clips), matches({**game(1), "id": Decimal("1000001.0")}, {"id": 1000003, "state": 7}))
    scored = {"home_team": "Team 1", "away_team": "San José", "home_score": 81, "away_score": 69, "score": "81 - 69",
              "game_state": "Finished"}  # fmt: skip
    assert context_of(day) == {"1": scored, "5": scored}
    assert games_of(day) == {
        "1": {**scored, "game": "Team 1 – San José"},
        "2": {},
        "3": {"home_team": "Team 3 Tigers", "away_team": "San José Spartans",
              "game": "Team 3 Tigers – San José Spartans"},
        "4": {},
        "5": {**scored, "game": "Team 1 – San José"},
    }  # fmt: skip


def test_of_two_stored_matches_with_one_id_the_first_counts() -> None:
    day = a_day(record(1, None))
    stored = {**day.model_dump(), "matches": [game(1), {**game(1), "state": None}]}
    assert context_of(parse_document(HighlightsDay, json.dumps(stored).encode()))["1"]["home_score"] == 81


@pytest.mark.parametrize(
    ("fields", "title", "label"),
    [
        ({}, "Team 3 Tigers vs. San José Spartans | Full Game Highlights",
         "3 “Team 3 Tigers vs. San José Spartans | Full Game Highlights”"),
        ({"title": None}, "Team 3 Tigers – San José Spartans", "3 “Team 3 Tigers – San José Spartans”"),
        ({"title": " "}, "Team 3 Tigers – San José Spartans", "3 “Team 3 Tigers – San José Spartans”"),
        ({"title": None, "match": None}, None, "3"),
        ({"title": None, "match": {"homeTeam": {"name": "Duke"}}}, None, "3"),
    ],
)  # fmt: skip
def test_a_highlight_without_a_title_is_called_by_its_game(
    fields: dict[str, Any], title: str | None, label: str
) -> None:
    view = Highlight.parse(us_record(3, None, **fields))
    assert view.shown_title == title
    assert view.label == label


@pytest.mark.parametrize(
    ("league", "name"),
    [("NCAA", "NCAA"), ({"id": 1, "name": " NCAA "}, "NCAA"), ({"name": 7}, None), (7, None), (None, None), ("", None)],
)
def test_a_league_is_text_or_an_object(league: Any, name: str | None) -> None:
    assert Highlight.parse({"id": 1, "match": {"league": league}}).league == name
