"""A season's rows: compact, the same bytes in whatever order days come, and safe whatever a title holds."""

import json
from dataclasses import replace
from typing import Any

import pytest

from ncaa_assets.gallery.model import Card, State, Team
from ncaa_assets.gallery.season import Season, Seasons
from ncaa_assets.gallery.teams import team

DAY, NEXT = "2025-03-09", "2025-03-10"


def card(identifier: str = "105170", day: str = DAY, **values: Any) -> Card:
    known: dict[str, Any] = {
        "title": "Duke vs. Auburn", "home": team("Duke"), "away": team("Auburn"), "score": "82–69", "seconds": 154,
        "source": "youtube", "state": State.KEPT, "video": f"processed_videos/{day}/{identifier}.mp4",
        "poster": f"processed_videos/{day}/{identifier}.jpg",
    }  # fmt: skip
    return Card(identifier, day, **{**known, **values})


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"home": None, "away": None, "score": None, "seconds": None, "source": None, "video": None, "poster": None},
        {"state": State.LOST, "is_removed": True, "is_changed": True},
        {"video": f"videos/{DAY}/105170.mp4", "poster": f"processed_videos/{DAY}/105170.0000000.jpg"},
        {"video": f"videos/{DAY}/105170.0a1b2c3d.webm", "poster": None},
        {"poster": f"processed_videos/{DAY}/another.jpg"},
        {
            "video": f"processed_videos/{DAY}/105170.0a1b2c3d.mp4",
            "poster": f"processed_videos/{DAY}/105170.0a1b2c3d.jpg",
        },
        {"away": team("Duke")},
        {"title": '</script><script>alert("x")</script><!--'},
    ],
)
def test_a_card_comes_back_as_it_was(values: dict[str, Any]) -> None:
    season, given = Season("2024-25"), card(**values)
    season.put(DAY, [given])
    assert Season.from_bytes(season.to_bytes()).of_day(DAY) == (given,)


@pytest.mark.parametrize("identifier", ["007", "0", "url-0a1b", "Ab“c”", "9" * 15, "9" * 16])
def test_an_id_comes_back_as_it_was(identifier: str) -> None:
    season = Season("2024-25")
    season.put(DAY, [card(identifier)])
    assert [one.id for one in Season.from_bytes(season.to_bytes()).cards()] == [identifier]


def test_no_row_ends_a_script_where_somebody_pastes_it() -> None:
    season = Season("2024-25")
    season.put(DAY, [card(title="</script><script>alert(1)</script>", home=Team("</SCRIPT>", "script-000000"))])
    assert b"</" not in season.to_bytes()


def test_the_file_is_the_same_in_whatever_order_days_came() -> None:
    first, second = Season("2024-25"), Season("2024-25")
    days = {
        DAY: [card(home=team("Zags")), card("2", home=team("Baylor"), source="espn")],
        NEXT: [card("3", NEXT, away=team("Kansas")), card("4", NEXT, source="abc")],
    }
    for day in (DAY, NEXT):
        first.put(day, days[day])
    second.put(NEXT, [card("9", NEXT, home=team("Gone with its day"), source="gone")])
    for day in (NEXT, DAY):
        second = Season.from_bytes(second.to_bytes())
        second.put(day, days[day])
    assert first.to_bytes() == second.to_bytes()
    assert b"Gone" not in second.to_bytes()
    assert list(Season.from_bytes(second.to_bytes()).cards()) == list(first.cards())
    second.remove(NEXT)
    assert second.days == (DAY,)
    first = Season("2024-25")
    first.put(DAY, days[DAY])
    assert first.to_bytes() == second.to_bytes()


def test_a_long_title_is_cut_between_two_characters() -> None:
    season = Season("2024-25")
    season.put(DAY, [card(title="é" * 200)])
    (title,) = [one.title for one in season.cards()]
    assert title == "é" * 43 + "…"


def test_a_team_is_called_as_its_newest_highlight_has_it() -> None:
    season = Season("2024-25")
    season.put(DAY, [card(home=team("DUKE"))])
    season.put(NEXT, [card("2", NEXT, home=team("Duke"), away=None)])
    assert season.teams() == {"duke": "Duke", "auburn": "Auburn"}
    assert [one.id for one in season.of_teams(["duke"])["duke"]] == ["2", "105170"]
    assert season.teams_of_day(DAY) == {"duke", "auburn"}
    assert season.counts() == {DAY: (1, 1), NEXT: (1, 1)}
    assert season.beside(DAY) == (None, NEXT)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"version":1', b'"version":2'),
        (b"ncaa.season(", b"ncaa.seasons("),
        (b"154,81,0]", b"154,83,0]"),
        (b"154,81,0]", b"154,81,1]"),
        (b"1,0,", b"1,9,"),
        (DAY.encode(), b"2025-02-31"),
        (b"]]", b"]"),
        (b"154,81", b"154,49"),
        (b'"Duke"', b'"\\u202e"'),
    ],
)
def test_what_is_no_such_file_is_refused(old: bytes, new: bytes) -> None:
    season = Season("2024-25")
    season.put(DAY, [card()])
    data = season.to_bytes()
    assert old in data
    with pytest.raises(ValueError, match=r"."):
        Season.from_bytes(data.replace(old, new))


@pytest.mark.parametrize(
    "given",
    [b'{"2023-24":{"duke":5}}', b'{"2023-24":{"../../x":"Duke"}}', b'{"2023-24":["duke"]}', b'{"now":{}}', b"[" * 9999],
)
def test_what_is_no_list_of_seasons_is_refused(given: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Seasons.from_bytes(b"ncaa.seasons(" + given + b");\n")


def test_names_that_differ_in_accents_and_apostrophes_alone_are_one_team() -> None:
    slugs = {one.slug for name in ("Hawai'i", "Hawaiʻi", "HAWAI’I", "Hawaii") if (one := team(name)) is not None}
    assert slugs == {"hawaii"}
    assert team("San José State") == replace(known("San José State"), slug=known("San Jose State").slug)
    assert known("Miami (FL)").slug != known("Miami FL").slug


def known(name: str) -> Team:
    one = team(name)
    assert one is not None
    return one


def test_the_list_of_seasons_comes_back_as_it_was() -> None:
    seasons = Seasons({"2023-24": {"duke": "DUKE", "zags": "Zags"}, "2024-25": {"duke": "Duke", "auburn": "Auburn"}})
    data = seasons.to_bytes()
    assert Seasons.from_bytes(data) == seasons
    assert data.startswith(b"ncaa.seasons({")
    json.loads(data.removeprefix(b"ncaa.seasons(").removesuffix(b");\n"))
    assert seasons.names == ("2024-25", "2023-24")
    assert seasons.of_team("zags") == ("2023-24",)
    assert seasons.all_teams() == (Team("Auburn", "auburn"), Team("Duke", "duke"), Team("Zags", "zags"))
