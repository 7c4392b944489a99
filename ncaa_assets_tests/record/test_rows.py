"""What a row holds, and how the rows of several days that list the same clip are merged in the table."""

import itertools
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncaa_assets.backends.local.table import SqliteTable
from ncaa_assets.record import json_text
from ncaa_assets.record.fetch import Fetch, Matches
from ncaa_assets.record.matches import merge_matches
from ncaa_assets.record.merge import merge_fetch
from ncaa_assets.record.models import HighlightsDay, content_hash
from ncaa_assets.record.rows import Row, differing_fields, merge_row, row_key, rows_of
from ncaa_assets_tests.loopback.listing import game, record, us_game, us_record

SATURDAY, SUNDAY, MONDAY = "2025-03-08", "2025-03-09", "2025-03-10"


def at(hour: int) -> str:
    return f"2025-03-{11 + hour // 24:02d}T{hour % 24:02d}:00:00Z"


def fetched(day: HighlightsDay | str, hour: int, *records: Any) -> HighlightsDay:
    """A day after a complete fetch."""
    stored = HighlightsDay(date=day) if isinstance(day, str) else day
    answer = Fetch(
        at=at(hour), records=list(records), query={"date": stored.date}, module="basketball",
        whole=True, complete=True, total_count=len(records),
        requests=1,
    )  # fmt: skip
    return merge_fetch(stored, answer, founding="basketball")[0]


def row(day: HighlightsDay, key: str = "1") -> Row:
    return next(one for one in rows_of(day) if one["id"] == key)


def joined(*rows: Row) -> Row:
    """What the table holds after these rows, each written when its day's document was stored."""
    stored: Row | None = None
    documents: dict[str, Row] = {}
    for one in rows:
        documents[one["game_date"]] = one
        stored = merge(stored, one, documents) or stored
    assert stored is not None
    return stored


def merge(stored: Row | None, one: Row, documents: dict[str, Row]) -> Row | None:
    """The row to write, where these are the rows that the days' documents make."""
    return merge_row(stored, one, lambda day: {documents[day]["id"]: documents[day]} if day in documents else None)


CLIP: dict[str, Any] = {"id": 1, "title": "Half", "url": "https://media.example.com/1.mp4"}
FINAL = CLIP | {"title": "Final"}


@pytest.fixture
def table(tmp_path: Path) -> SqliteTable:
    return SqliteTable(tmp_path / "highlights.sqlite")


def test_a_row_holds_the_records_fields_and_ours() -> None:
    day = fetched(fetched(SUNDAY, 0, CLIP), 25, FINAL)
    assert rows_of(day) == [
        {
            "id": "1",
            "title": "Final",
            "url": "https://media.example.com/1.mp4",
            "game_date": SUNDAY,
            "days": [SUNDAY],
            "fetch_date": "2025-03-12",
            "first_seen": "2025-03-11T00:00:00Z",
            "last_seen": "2025-03-12T01:00:00Z",
            "removed_upstream": None,
            "removed_from": {},
            "content_hash": content_hash(FINAL),
        }
    ]


def test_a_field_of_the_record_never_stands_in_for_one_of_ours() -> None:
    day = fetched(SUNDAY, 0, CLIP | {"game_date": "never", "days": "none", "content_hash": 7, "last_seen": None})
    assert row(day)["game_date"] == SUNDAY
    assert row(day)["days"] == [SUNDAY]
    assert row(day)["last_seen"] == at(0)
    assert row(day)["content_hash"] == day.backup.records["1"].content_hash


def test_each_record_has_one_row_in_the_stored_order_and_the_rejected_have_none() -> None:
    day = fetched(SUNDAY, 0, CLIP | {"id": 3}, "junk", CLIP, {"url": "https://media.example.com/x.mp4"})
    assert [one["id"][:4] for one in rows_of(day)] == ["3", "1", "url-"]


def test_a_day_without_games_has_no_rows() -> None:
    assert rows_of(fetched(SUNDAY, 0)) == []


def test_a_record_that_vanished_keeps_its_row_with_the_time() -> None:
    day = fetched(fetched(SUNDAY, 0, CLIP), 1)
    assert row(day)["removed_upstream"] == at(1)
    assert row(day)["last_seen"] == at(0)


def test_a_new_row_is_written_as_it_is() -> None:
    one = row(fetched(SUNDAY, 0, CLIP))
    assert merge_row(None, one) == one


def test_a_row_that_only_was_seen_again_is_not_written() -> None:
    first = fetched(SUNDAY, 0, CLIP)
    assert merge_row(row(first), row(fetched(first, 30, CLIP))) is None


def test_a_changed_content_is_written_and_first_seen_stays() -> None:
    first = fetched(SUNDAY, 0, CLIP)
    written = merge_row(row(first), row(fetched(first, 30, FINAL)))
    assert written is not None
    assert (written["title"], written["first_seen"], written["last_seen"]) == ("Final", at(0), at(30))
    assert (written["fetch_date"], written["content_hash"]) == ("2025-03-12", content_hash(FINAL))


def test_a_change_within_the_second_of_the_last_fetch_is_written() -> None:
    first = fetched(SUNDAY, 0, CLIP)
    assert joined(row(first), row(fetched(first, 0, FINAL)))["title"] == "Final"


def test_a_field_that_the_api_no_longer_sends_leaves_the_row() -> None:
    first = fetched(SUNDAY, 0, CLIP | {"channel": "ESPN"})
    assert "channel" not in joined(row(first), row(fetched(first, 1, CLIP)))


def test_a_removal_and_a_return_are_written() -> None:
    first = fetched(SUNDAY, 0, CLIP)
    gone = fetched(first, 1)
    back = fetched(gone, 2, CLIP)
    written = merge_row(row(first), row(gone))
    assert written is not None
    assert written["removed_upstream"] == at(1)
    again = merge_row(written, row(back))
    assert again is not None
    assert again["removed_upstream"] is None


@pytest.mark.parametrize("order", list(itertools.permutations([0, 1, 2])))
def test_a_row_belongs_to_the_earliest_day_and_names_all_days_in_whatever_order_they_come(
    order: tuple[int, ...],
) -> None:
    days = [fetched(SATURDAY, 5, CLIP), fetched(SUNDAY, 3, CLIP), fetched(MONDAY, 4, CLIP)]
    there = joined(*(row(days[index]) for index in order))
    assert (there["game_date"], there["days"]) == (SATURDAY, [SATURDAY, SUNDAY, MONDAY])
    assert there["first_seen"] == at(3)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_fields_are_those_of_the_latest_day_whichever_was_seen_last(order: tuple[int, ...]) -> None:
    days = [fetched(SATURDAY, 5, CLIP), fetched(SUNDAY, 3, FINAL)]
    there = joined(*(row(days[index]) for index in order))
    assert (there["title"], there["content_hash"], there["last_seen"]) == ("Final", content_hash(FINAL), at(3))


def test_a_day_that_no_longer_lists_it_leaves_the_fields_to_the_latest_that_does() -> None:
    days = [fetched(SATURDAY, 0, CLIP), fetched(SUNDAY, 1, FINAL), fetched(fetched(MONDAY, 2, FINAL), 3)]
    assert joined(*map(row, days))["title"] == "Final"
    days[1] = fetched(days[1], 4)
    there = joined(*map(row, days))
    assert (there["title"], there["removed_upstream"]) == ("Half", None)
    days[0] = fetched(days[0], 5)
    there = joined(*map(row, days))
    assert (there["title"], there["removed_upstream"]) == ("Final", at(5)), "none lists it: as the latest has it"


@pytest.mark.parametrize("ahead", [-24 * 9, 24 * 9])
def test_no_clock_decides_which_content_a_row_has(ahead: int) -> None:
    """A corrected title that comes after a fetch with the clock ahead, and one that comes with the clock behind."""
    first = fetched(fetched(SUNDAY, 24 * 10, CLIP), 24 * 10 + ahead, CLIP)
    there = joined(row(first), row(fetched(first, 24 * 10 + 1, FINAL)))
    assert there["title"] == "Final"


@pytest.mark.parametrize("lost", ["", "last_seen", "first_seen", "content_hash", "days", "removed_from"])
@pytest.mark.parametrize("value", [None, 7, "x", [], {}, ["2025-03-08", 7], {"2025-03-08": 7}])
def test_a_row_that_somebody_edited_is_made_again_from_the_documents(lost: str, value: Any) -> None:
    days = [fetched(SATURDAY, 0, CLIP), fetched(SUNDAY, 1, FINAL)]
    documents = {SATURDAY: row(days[0]), SUNDAY: row(days[1])}
    wanted = joined(*documents.values())
    edited = {**wanted, **({lost: value} if lost else {"title": "edited", "content_hash": "0" * 64})}
    there: Row | None = edited
    for one in documents.values():
        there = merge(there, one, documents) or there
    assert there is not None
    assert differing_fields(there, wanted) == []


@pytest.mark.parametrize("unread", [SATURDAY, SUNDAY])
def test_a_day_whose_document_is_damaged_keeps_its_place_and_what_only_the_row_has_of_it(unread: str) -> None:
    days = {SATURDAY: row(fetched(SATURDAY, 0, CLIP)), SUNDAY: row(fetched(SUNDAY, 1, FINAL))}
    there = joined(*days.values())
    (other,) = {SATURDAY, SUNDAY} - {unread}
    assert merge(there, days[other], {other: days[other]}) is None


def test_a_day_whose_document_no_longer_lists_it_is_none_of_its_days_any_more() -> None:
    days = [fetched(SATURDAY, 0, CLIP), fetched(SUNDAY, 1, FINAL)]
    written = merge_row(joined(*map(row, days)), row(days[0]), lambda _: {})
    assert written == row(days[0])


@pytest.mark.parametrize(("size", "is_kept"), [(1024, True), (1025, False), (3 * 10**6, False)])
@pytest.mark.parametrize("letter", ["x", "é", "\U0001f3c0"])
def test_an_id_that_is_too_long_for_a_key_gets_one_that_fits_and_stays_in_the_json(
    table: SqliteTable, letter: str, size: int, is_kept: bool
) -> None:
    identifier = letter * (size // len(letter.encode())) + "x" * (size % len(letter.encode()))
    day = fetched(SUNDAY, 0, CLIP | {"id": identifier}, CLIP | {"id": identifier + "y"})
    rows = rows_of(day)
    assert len({one["id"] for one in rows}) == 2
    assert all(len(one["id"].encode()) <= 1024 for one in rows)
    assert (rows[0]["id"] == identifier) == is_kept
    assert [record["id"] for record in day.data] == [identifier, identifier + "y"]
    if not is_kept:
        assert rows[0]["in_json"] == {"document": f"highlights/{SUNDAY}.json", "fields": ["id"]}
    assert table.merge(rows, merge_row) == 2
    assert table.merge(rows, merge_row) == 0
    assert len(table.get([row_key(identifier), row_key(identifier + "y")])) == 2


def test_two_days_that_list_one_clip_do_not_take_it_from_one_another() -> None:
    days = [fetched(SATURDAY, 0, CLIP), fetched(SUNDAY, 1, FINAL)]
    there = joined(*(row(day) for day in days))
    for day in days * 3:
        assert merge(there, row(day), {one.date: row(one) for one in days}) is None


def test_days_asked_again_and_again_write_nothing_where_only_the_time_moves() -> None:
    days = [fetched(SATURDAY, 0, CLIP), fetched(SUNDAY, 1, CLIP)]
    there = joined(*(row(day) for day in days))
    for hour in range(2, 8):
        index = hour % 2
        days[index] = fetched(days[index], hour, CLIP)
        assert merge(there, row(days[index]), {one.date: row(one) for one in days}) is None


@pytest.mark.parametrize("loser", [0, 1])
def test_a_clip_that_one_days_list_lost_and_anothers_still_holds_has_not_vanished(loser: int) -> None:
    days = [fetched(SATURDAY, 0, CLIP), fetched(SUNDAY, 1, CLIP)]
    there = joined(*(row(day) for day in days))

    def joined_now(there: Row, *rows: Row) -> Row:
        documents = {one.date: row(one) for one in days}
        for one in rows:
            there = merge(there, one, documents) or there
        return there

    # Both are asked again, which moves nothing but the time and so is not written; then one of them loses the clip.
    for hour in (24, 48):
        days = [fetched(day, hour + index, CLIP) for index, day in enumerate(days)]
        there = joined_now(there, *(row(day) for day in days))
    days[loser] = fetched(days[loser], 72)
    there = joined_now(there, row(days[loser]))
    assert there["removed_upstream"] is None
    assert there["removed_from"] == {(SATURDAY, SUNDAY)[loser]: at(72)}
    days[1 - loser] = fetched(days[1 - loser], 96)
    there = joined_now(there, row(days[1 - loser]))
    assert there["removed_upstream"] == at(96), "now no list holds it"
    days[loser] = fetched(days[loser], 120, CLIP)
    assert joined_now(there, row(days[loser]))["removed_upstream"] is None


def test_a_row_of_a_table_from_before_removals_were_told_by_day_is_joined() -> None:
    days = {SATURDAY: row(fetched(SATURDAY, 0, CLIP)), SUNDAY: row(fetched(SUNDAY, 1, CLIP))}
    old = {name: value for name, value in days[SATURDAY].items() if name != "removed_from"}
    written = merge(old, days[SUNDAY], days)
    assert written is not None
    assert written["days"] == [SATURDAY, SUNDAY]


def test_neither_row_is_changed_by_their_meeting() -> None:
    one, other = row(fetched(SATURDAY, 0, CLIP)), row(fetched(SUNDAY, 1, FINAL))
    before = repr((one, other))
    merge_row(one, other)
    assert repr((one, other)) == before


DAYS = (SATURDAY, SUNDAY, MONDAY)
# Each step asks for one day, which then lists the clip with one of these contents, or lists nothing.
STEPS = st.lists(st.tuples(st.sampled_from(DAYS), st.sampled_from([CLIP, FINAL, None])), min_size=1, max_size=12)


# What the clock says at each step: it may run ahead, fall back or stand still.
CLOCK = st.lists(st.integers(0, 300), min_size=12, max_size=12)


@settings(max_examples=200)
@given(steps=STEPS, order=st.permutations(DAYS), clock=CLOCK)
def test_the_table_that_grew_step_by_step_says_what_one_made_again_from_the_json_says(
    steps: list[tuple[str, dict[str, Any] | None]], order: list[str], clock: list[int]
) -> None:
    documents = {day: HighlightsDay(date=day) for day in DAYS}
    there: Row | None = None

    def of_document(day: str) -> dict[str, Row]:
        return {one["id"]: one for one in rows_of(documents[day])}

    for (day, content), hour in zip(steps, clock, strict=False):
        documents[day] = fetched(documents[day], hour, *([content] if content else []))
        for one in rows_of(documents[day]):
            there = merge_row(there, one, of_document) or there

    made_again: Row | None = None
    for day in order:
        for one in rows_of(documents[day]):
            made_again = merge_row(made_again, one, of_document) or made_again

    moving = ("last_seen", "fetch_date")
    still = [one and {name: value for name, value in one.items() if name not in moving} for one in (there, made_again)]
    assert still[0] == still[1]
    if there is not None:
        listing = [day for day in DAYS if documents[day].data]
        lost = [documents[day].backup.records["1"].removed_upstream for day in listing]
        assert there["days"] == listing
        assert there["game_date"] == listing[0]
        assert (there["removed_upstream"] is not None) == all(lost)
        for day in order:
            for one in rows_of(documents[day]):
                assert merge_row(there, one, of_document) is None, "the same documents again write nothing"


def test_only_changed_rows_are_written_to_the_table(table: SqliteTable) -> None:
    records = [CLIP | {"id": number} for number in range(5)]
    day = fetched(SUNDAY, 0, *records)
    assert table.merge(rows_of(day), merge_row) == 5
    day = fetched(day, 1, *records)
    assert table.merge(rows_of(day), merge_row) == 0
    day = fetched(day, 2, *records[:3], FINAL | {"id": 3}, CLIP | {"id": 5})
    assert table.merge(rows_of(day), merge_row) == 3, "one changed, one vanished, one is new"
    assert [(one["id"], one["title"], one["removed_upstream"]) for one in table.day(SUNDAY)] == [
        ("0", "Half", None), ("1", "Half", None), ("2", "Half", None), ("3", "Final", None), ("4", "Half", at(2)),
        ("5", "Half", None),
    ]  # fmt: skip


def test_numbers_nesting_and_text_come_back_from_the_table_as_they_went_in(table: SqliteTable) -> None:
    deep: Any = "bottom"
    for _ in range(60):
        deep = {"in": [deep]}
    odd = {"id": "x\ud83c", "n": Decimal("0.1000"), "big": Decimal("1E+400"), "deep": deep, "cut": "\ud83c", "no": None}
    day = fetched(SUNDAY, 0, odd)
    table.merge(rows_of(day), merge_row)
    (kept,) = table.day(SUNDAY)
    assert kept == rows_of(day)[0]
    assert str(kept["n"]) == "0.1000"
    assert table.get([kept["id"]]) == {kept["id"]: kept}


CUT = CLIP | {
    "title": "dunk \ud83d", "type": "a\0b", "source": {"na\udfc0me": ["\ud83d", {"\0": "🏀"}]},
    "match": {"id": 3, "homeTeam": {"name": "Tigers \ud83d"}, "awayTeam": {"name": "Spar\0tans"}},
}  # fmt: skip


def test_half_an_emoji_and_nul_are_marked_in_the_row_so_that_any_client_of_sqlite_reads_it(table: SqliteTable) -> None:
    day = fetched(SUNDAY, 0, CUT, CLIP | {"id": 2, "title": "🏀 whole"})
    table.merge(rows_of(day), merge_row)
    with closing(sqlite3.connect(table.path)) as connection:
        first, second = connection.execute(
            "SELECT title, type, source, home_team, away_team, game, url FROM highlights ORDER BY id"
        ).fetchall()
        assert connection.execute("SELECT * FROM highlights").fetchall(), "every column can be read"
    assert first == (
        "dunk �", "a�b", '{"na�me":["�",{"�":"🏀"}]}', "Tigers �", "Spar�tans", "Tigers � – Spar�tans",
        CLIP["url"],
    )  # fmt: skip
    assert second[0] == "🏀 whole"
    assert day.data[0] == CUT, "the document keeps the record word for word"


def test_a_row_with_half_an_emoji_of_an_earlier_version_is_as_good_and_is_written_anew(table: SqliteTable) -> None:
    made = row(fetched(SUNDAY, 0, CUT))
    earlier = made | {name: CUT[name] for name in ("title", "type", "source", "match")} | {"home_team": "Tigers \ud83d"}
    table.merge([earlier], merge_row)
    (there,) = table.day(SUNDAY)
    assert there != made
    assert differing_fields(there, made) == []
    assert differing_fields(there | {"title": "dunk \ud83d!"}, made) == ["title"]
    assert table.merge([made], merge_row) == 1
    assert table.day(SUNDAY) == [made]
    with_nul = row(fetched(SUNDAY, 0, CUT | {"id": "a\0b"}), "a\0b")
    assert differing_fields(with_nul, with_nul) == []


def test_a_record_too_large_for_a_row_keeps_its_small_fields_and_points_to_the_days_json() -> None:
    record = {"id": 7, "url": "http://x/7.mp4", "title": "small", "huge": "x" * 500_000, "big": ["y" * 9] * 20_000}
    (row,) = rows_of(fetched(SUNDAY, 0, record))
    assert (row["id"], row["title"], row["url"]) == ("7", "small", "http://x/7.mp4")
    assert "huge" not in row
    assert row["in_json"] == {"document": "highlights/2025-03-09.json", "fields": ["huge", "big"]}
    assert len(json_text.dumps(row)) < 200_000

    (row,) = rows_of(fetched(SUNDAY, 0, {**record, "big": 1}))
    assert row["big"] == 1, "only what does not fit is left out"
    assert row["in_json"]["fields"] == ["huge"]


# ---- The game of a highlight -----------------------------------------------------------------------------------------


def with_matches(day: HighlightsDay, *matches: Any) -> HighlightsDay:
    return merge_matches(day, Matches(at=at(0), records=list(matches), requests=1))


GAME = {
    "home_team": "Team 1 Tigers", "away_team": "San José Spartans", "game": "Team 1 Tigers – San José Spartans",
    "home_score": 82, "away_score": 69, "game_state": "Finished", "venue": "Hall 1",
}  # fmt: skip


def of_game(row: Row) -> Row:
    return {name: value for name, value in row.items() if name in {*GAME, "score"}}


def test_a_row_tells_what_its_match_tells() -> None:
    day = with_matches(fetched(SUNDAY, 0, us_record(1, None)), us_game(1))
    assert of_game(row(day)) == GAME
    day = with_matches(fetched(SUNDAY, 0, record(1, None)), game(1))
    assert of_game(row(day)) == {
        "home_team": "Team 1", "away_team": "San José", "game": "Team 1 – San José", "home_score": 81,
        "away_score": 69, "score": "81 - 69", "game_state": "Finished",
    }  # fmt: skip


def test_without_a_match_a_row_names_the_teams_of_its_record_and_lacks_the_rest() -> None:
    teams = {name: GAME[name] for name in ("home_team", "away_team", "game")}
    assert of_game(row(fetched(SUNDAY, 0, us_record(1, None)))) == teams
    assert of_game(row(with_matches(fetched(SUNDAY, 0, us_record(1, None)), us_game(2)))) == teams
    assert of_game(row(with_matches(fetched(SUNDAY, 0, us_record(1, None)), {"id": 1000001, "awayTeam": {}}))) == teams


def test_what_is_known_of_the_game_stands_over_the_records_own_fields() -> None:
    mine = {"score": "mine", "home_score": 7, "venue": {"name": "mine"}}
    kept = row(with_matches(fetched(SUNDAY, 0, us_record(1, None, **mine)), us_game(1)))
    assert (kept["home_score"], kept["venue"], kept["score"]) == (82, "Hall 1", "mine")


def test_the_longest_names_never_make_a_row_too_large_for_a_table() -> None:
    name = "\U0001f3c0" * 500 + "\ud83c"
    teams = {"homeTeam": "\ud83c" + name, "awayTeam": name}
    match = {"id": 1, **teams, "venue": name, "state": {"description": name, "score": {"current": name}}}
    for size in (0, 150_000, 180_000, 189_000, 400_000):
        record = {"id": 1, "match": {"id": 1}, "cut": "\ud83c", "long": "x" * size}
        (kept,) = rows_of(with_matches(fetched(SUNDAY, 0, record), match))
        assert len(json_text.dumps(kept)) <= 190_000
        assert kept["home_team"].endswith("\U0001f3c0")
        assert ("in_json" in kept) == (size > 185_000)


def test_a_row_of_an_earlier_version_does_not_differ_and_gets_the_columns_when_it_is_written_next() -> None:
    day = with_matches(fetched(SUNDAY, 0, us_record(1, None)), us_game(1))
    wanted = row(day)
    earlier = {name: value for name, value in wanted.items() if name not in GAME}
    assert differing_fields(earlier, wanted) == []
    assert merge_row(earlier, wanted) == wanted
    assert differing_fields({**wanted, "home_score": 1, "venue": None}, wanted) == ["home_score", "venue"]
    assert differing_fields({name: value for name, value in wanted.items() if name != "title"}, wanted) == ["title"]


def test_a_score_that_changed_is_written_and_one_that_did_not_is_not() -> None:
    live = with_matches(fetched(SUNDAY, 0, record(1, None)), game(1, state={"description": "First half"}))
    final = with_matches(fetched(live, 1, record(1, None)), game(1))
    assert "home_score" not in row(live)
    written = merge_row(row(live), row(final))
    assert written is not None
    assert (written["home_score"], written["game_state"]) == (81, "Finished")
    assert merge_row(written, row(with_matches(fetched(final, 2, record(1, None)), game(1)))) is None


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("hours", [(0, 1), (1, 0)])
def test_of_two_days_the_one_whose_matches_list_the_game_tells_its_score(
    order: tuple[int, ...], hours: tuple[int, ...]
) -> None:
    days = [
        with_matches(fetched(SATURDAY, hours[0], us_record(1, None)), us_game(1)),
        with_matches(fetched(SUNDAY, hours[1], us_record(1, None)), us_game(2)),
    ]
    there = joined(*(row(days[index]) for index in order))
    assert of_game(there) == GAME
    for day in days * 2:
        assert merge(there, row(day), {one.date: row(one) for one in days}) is None


def test_a_score_that_its_only_day_takes_back_leaves_the_row() -> None:
    final = with_matches(fetched(SUNDAY, 0, record(1, None)), game(1))
    void = with_matches(fetched(final, 1, record(1, None)), game(1, state={"description": "Void"}))
    assert of_game(joined(row(final), row(void))) == {
        "home_team": "Team 1", "away_team": "San José", "game": "Team 1 – San José", "game_state": "Void",
    }  # fmt: skip


def test_a_persons_query_finds_the_columns(table: SqliteTable) -> None:
    day = with_matches(fetched(SUNDAY, 0, us_record(1, None), record(2, None)), us_game(1), game(2))
    table.merge(rows_of(day), merge_row)
    with closing(sqlite3.connect(table.path)) as connection:
        found = connection.execute(
            "SELECT home_team, away_team, home_score, away_score, game_state, score, venue, game FROM highlights "
            "WHERE home_score > away_score ORDER BY id"
        ).fetchall()
    assert found == [
        ("Team 1 Tigers", "San José Spartans", 82, 69, "Finished", None, "Hall 1", "Team 1 Tigers – San José Spartans"),
        ("Team 2", "San José", 82, 69, "Finished", "82 - 69", None, "Team 2 – San José"),
    ]
