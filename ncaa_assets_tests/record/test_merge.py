"""How a day's document grows: an example of each rule, and the promise behind the rules for any sequence of answers.

The promise: nothing that was ever listed is lost, and only a complete fetch with the same query as the one before it
marks a removal.
"""

import copy
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from ncaa_assets.archive import documents
from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.backends.local.table import SqliteTable
from ncaa_assets.record import json_text
from ncaa_assets.record.fetch import Fetch
from ncaa_assets.record.merge import Growth, merge_earlier, merge_fetch
from ncaa_assets.record.models import Highlight, HighlightsDay, content_hash
from ncaa_assets.record.rows import merge_row, rows_of

DAY = "2025-03-09"
QUERY = {"date": DAY, "timezone": "America/New_York", "leagueName": "NCAA"}
OTHER_QUERY = QUERY | {"limit": "10"}


def at(hour: int) -> str:
    return f"2025-03-{10 + hour // 24:02d}T{hour % 24:02d}:00:00Z"


def fetch(
    hour: int, *records: Any, complete: bool = True, query: dict[str, str] | None = None, module: str = "basketball"
) -> Fetch:
    return Fetch(
        at=at(hour), module=module, records=list(records), query=query or QUERY, whole=complete, complete=complete,
        total_count=len(records), requests=1, problems=[] if complete else ["cut short"],
    )  # fmt: skip


def merged(*fetches: Fetch) -> tuple[HighlightsDay, Growth]:
    """The day after these fetches, and what the last fetch did."""
    day, growth = HighlightsDay(date=DAY), Growth(0, 0, 0, 0, 0, 0)
    for one in fetches:
        day, growth = merge_fetch(day, one, founding="basketball")
    return day, growth


def record(key: Any, title: str = "Game") -> dict[str, Any]:
    return {"id": key, "title": title, "url": f"https://media.example.com/{key}.mp4"}


A, B, C = record(1), record(2), record(3)


def test_a_first_fetch_is_kept_word_for_word_in_the_apis_order() -> None:
    odd = {"id": 7, "new": {"deep": [None, True, Decimal("0.10")]}, "title": None, "cut": "\ud83c"}
    day, growth = merged(fetch(0, B, odd, A))
    assert day.data == [B, odd, A]
    assert growth == Growth(listed=3, new=3, changed=0, removed=0, returned=0, rejected=0)
    entry = day.backup.records["7"]
    assert (entry.first_seen, entry.last_seen, entry.removed_upstream, entry.history) == (at(0), at(0), None, [])
    assert entry.content_hash == content_hash(odd)


def test_the_same_answer_twice_changes_only_last_seen_and_the_list_of_fetches() -> None:
    once, _ = merged(fetch(0, A, B, "junk"))
    twice, growth = merge_fetch(once, fetch(1, A, B, "junk"), founding="basketball")
    assert growth == Growth(listed=2, new=0, changed=0, removed=0, returned=0, rejected=1)
    expected = once.model_dump()
    for entry in (*expected["backup"]["records"].values(), *expected["backup"]["rejected"]):
        entry["last_seen"] = at(1)
    expected["backup"]["fetches"] = twice.model_dump()["backup"]["fetches"]
    assert twice.model_dump() == expected
    assert [entry.at for entry in twice.backup.fetches] == [at(0), at(1)]


def test_the_order_of_a_records_fields_is_no_change() -> None:
    day, growth = merged(fetch(0, A), fetch(1, dict(reversed(A.items()))))
    assert growth.changed == 0
    assert day.backup.records["1"].history == []


def test_a_later_fetch_adds_what_is_new() -> None:
    day, growth = merged(fetch(0, A), fetch(1, A, B))
    assert day.data == [A, B]
    assert (growth.new, growth.listed) == (1, 2)
    assert day.backup.records["1"].first_seen == at(0)
    assert day.backup.records["2"].first_seen == at(1)


@pytest.mark.parametrize("later", [[], [B]])
def test_fewer_records_or_none_remove_nothing_and_mark_what_vanished(later: list[Any]) -> None:
    day, growth = merged(fetch(0, A, B, C), fetch(1, *later))
    assert sorted(kept["id"] for kept in day.data) == [1, 2, 3]
    assert growth.removed == 3 - len(later)
    for key, entry in day.backup.records.items():
        is_listed = key in {str(one["id"]) for one in later}
        assert entry.removed_upstream == (None if is_listed else at(1))
        assert entry.last_seen == (at(1) if is_listed else at(0))


def test_the_time_of_a_removal_stays_the_first() -> None:
    day, growth = merged(fetch(0, A), fetch(1), fetch(2))
    assert day.backup.records["1"].removed_upstream == at(1)
    assert growth.removed == 0


def test_an_incomplete_fetch_marks_nothing() -> None:
    day, growth = merged(fetch(0, A, B), fetch(1, B, complete=False))
    assert growth.removed == 0
    assert day.backup.records["1"].removed_upstream is None
    assert [(entry.complete, entry.problems) for entry in day.backup.fetches] == [(True, []), (False, ["cut short"])]


def test_another_query_than_the_one_before_marks_nothing_and_the_next_like_it_does() -> None:
    day, growth = merged(fetch(0, A, B), fetch(1, B, query=OTHER_QUERY))
    assert growth.removed == 0
    day, growth = merge_fetch(day, fetch(2, B), founding="basketball")
    assert growth.removed == 0, "the query changed back; what it lists cannot be compared either"
    day, growth = merge_fetch(day, fetch(3, B), founding="basketball")
    assert growth.removed == 1
    assert day.backup.records["1"].removed_upstream == at(3)


def test_a_record_that_returns_is_no_longer_marked() -> None:
    day, growth = merged(fetch(0, A, B), fetch(1, B), fetch(2, A, B))
    assert growth.returned == 1
    entry = day.backup.records["1"]
    assert (entry.first_seen, entry.last_seen, entry.removed_upstream, entry.history) == (at(0), at(2), None, [])


def test_a_record_that_changed_keeps_each_earlier_content_with_the_time_of_its_end() -> None:
    one, two, three = record(1, "Q1"), record(1, "Half"), record(1, "Final")
    day, growth = merged(fetch(0, one), fetch(1, two), fetch(2, three))
    assert growth == Growth(listed=1, new=0, changed=1, removed=0, returned=0, rejected=0)
    assert day.data == [three]
    history = day.backup.records["1"].history
    assert [(change.replaced_at, change.record) for change in history] == [(at(1), one), (at(2), two)]
    assert day.backup.records["1"].content_hash == content_hash(three)


def test_a_number_that_only_changed_its_type_or_its_digits_is_a_change() -> None:
    contents = [json_text.loads(text) for text in ('{"id":1,"n":1}', '{"id":1,"n":1.0}', '{"id":1,"n":true}')]
    day, _ = merged(*(fetch(hour, content) for hour, content in enumerate(contents)))
    kept = [change.record for change in day.backup.records["1"].history]
    assert [json_text.dumps(content) for content in kept] == [json_text.dumps(content) for content in contents[:2]]


def test_an_incomplete_fetch_changes_what_it_lists_and_keeps_the_stored_order() -> None:
    day, growth = merged(fetch(0, A, B), fetch(1, C, record(2, "Final"), complete=False))
    assert day.data == [A, record(2, "Final"), C]
    assert (growth.changed, growth.new) == (1, 1)


def test_a_complete_fetch_puts_its_order_first_and_the_vanished_behind() -> None:
    day, _ = merged(fetch(0, A, B, C), fetch(1, C, B))
    assert day.data == [C, B, A]


def test_an_id_as_number_and_as_text_is_one_record() -> None:
    day, growth = merged(fetch(0, {"id": 1}), fetch(1, {"id": "1"}))
    assert (len(day.data), growth.changed, growth.new) == (1, 1, 0)


def test_a_record_without_id_is_known_by_its_url() -> None:
    nameless = {"url": "https://media.example.com/x.mp4", "title": "Game"}
    day, growth = merged(fetch(0, nameless), fetch(1, nameless | {"title": "Final"}))
    assert (len(day.data), growth.changed) == (1, 1)


def test_an_id_that_one_answer_lists_twice_counts_once_and_loses_no_content() -> None:
    early, late = record(1, "Q3"), record(1, "Final")
    day, growth = merged(fetch(0, early, B, late, early))
    assert day.data == [early, B]
    assert growth.listed == 2
    assert [change.record for change in day.backup.records["1"].history] == [late]
    again, growth = merge_fetch(day, fetch(1, early, B, late, early), founding="basketball")
    assert growth.changed == 0
    assert again.backup.records["1"].history == day.backup.records["1"].history


def test_what_cannot_be_understood_is_kept_once_with_the_reason_and_the_rest_goes_on() -> None:
    day, growth = merged(fetch(0, None, A, {"title": "no id"}, None), fetch(1, {"title": "no id"}, B, A))
    assert day.data == [B, A]
    assert growth.rejected == 1
    assert [(entry.record, entry.reason, entry.first_seen, entry.last_seen) for entry in day.backup.rejected] == [
        (None, "not an object but null", at(0), at(0)),
        ({"title": "no id"}, "it has neither an id nor a url", at(0), at(1)),
    ]


def test_a_record_that_comes_back_malformed_has_not_vanished() -> None:
    broken = {"id": 1, "url": 404}
    day, growth = merged(fetch(0, A, B), fetch(1, broken, B))
    assert growth.removed == 0
    assert day.backup.records["1"].removed_upstream is None
    assert [entry.record for entry in day.backup.rejected] == [broken]


def test_the_stored_day_is_left_as_it_is() -> None:
    stored, _ = merged(fetch(0, A, B, "junk"), fetch(1, record(1, "Half"), "junk"))
    before = copy.deepcopy(stored.model_dump())
    merge_fetch(stored, fetch(2, record(1, "Final"), record(1, "Other"), C, "junk", None), founding="basketball")
    assert stored.model_dump() == before


def test_a_merged_day_replaces_the_version_that_was_read(store: LocalStore) -> None:
    documents.save(store, merged(fetch(0, A))[0])
    day, _ = merge_fetch(documents.load(store, HighlightsDay, DAY), fetch(1, B), founding="basketball")
    documents.save(store, day)
    assert documents.load(store, HighlightsDay, DAY).data == [B, A]


def test_a_thousand_malformed_records_are_merged_in_no_time() -> None:
    junk = [{"title": number} for number in range(1000)]
    started = time.process_time()
    day, growth = merged(fetch(0, *junk), fetch(1, *junk))
    assert growth.rejected == len(day.backup.rejected) == 1000
    assert time.process_time() - started < 2, "0.03 s; comparing each with each takes 10 s"


@pytest.mark.parametrize(
    ("growth", "text"),
    [
        (Growth(0, 0, 0, 0, 0, 0), "0 listed, 0 new"),
        (
            Growth(9, 4, 3, 2, 1, 5),
            "9 listed, 4 new, 3 changed, 2 removed upstream, 1 back again, 5 not understood",
        ),
    ],
)
def test_growth_is_told_in_words(growth: Growth, text: str) -> None:
    assert str(growth) == text


# Any sequence of answers

KEYS = st.one_of(
    st.integers(0, 4), st.sampled_from(["0", "1", " 2", "x\ud83c", "", None, True, Decimal("1.5")]), st.just([1])
)
URLS = st.sampled_from(["https://a.example.com/1.mp4", "https://a.example.com/2.mp4", "", " ", None, 404])
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.decimals(allow_nan=False, allow_infinity=False, places=2),
        st.text(st.characters(codec=None), max_size=4),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=3), inner, max_size=2)),
    max_leaves=4,
)  # fmt: skip
RECORDS = st.one_of(
    st.fixed_dictionaries({"id": KEYS}, optional={"url": URLS, "title": st.sampled_from(["Q1", "Half", "Final", 7])}),
    st.fixed_dictionaries({"id": st.integers(0, 4), "url": URLS}, optional={"new": VALUES}),
    st.fixed_dictionaries({}, optional={"url": URLS, "new": VALUES}),
    VALUES,
)


@dataclass(frozen=True)
class Answer:
    """The answer of one fetch; its time follows from its place in the sequence."""

    records: list[Any]
    complete: bool
    query: dict[str, str]


@st.composite
def answers(draw: st.DrawFn) -> list[Answer]:
    """Sequences in which each answer is a variation of the one before it, as a source's are, or entirely new."""
    sequence: list[Answer] = []
    listed: list[Any] = []
    for _ in range(draw(st.integers(1, 6))):
        what = draw(st.sampled_from(["same", "grow", "shrink", "shuffle", "repeat", "fresh", "nothing"]))
        if what in ("grow", "fresh"):
            listed = (listed if what == "grow" else []) + draw(st.lists(RECORDS, max_size=4))
        elif what == "shrink":
            listed = [one for one in listed if draw(st.booleans())]
        elif what == "shuffle":
            listed = draw(st.permutations(listed))
        elif what == "repeat":
            listed = listed + listed[:2]
        records = [] if what == "nothing" else listed
        complete, query = (
            draw(st.sampled_from([True, True, True, False])),
            draw(st.sampled_from([QUERY] * 4 + [OTHER_QUERY])),
        )
        sequence.append(Answer(records, complete, query))
    return sequence


def key_of(record: object) -> str | None:
    try:
        return Highlight.parse(record).id
    except ValueError:
        return None


def every_content(day: HighlightsDay) -> set[str]:
    """The hashes of all contents that can be read back from a day's document."""
    history = [change.record for entry in day.backup.records.values() for change in entry.history]
    return {content_hash(one) for one in (*day.data, *history, *(entry.record for entry in day.backup.rejected))}


@contextmanager
def archive() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@settings(max_examples=120)
@given(answers())
def test_no_sequence_of_answers_loses_a_content_or_marks_what_was_not_shown_to_be_gone(sequence: list[Answer]) -> None:
    day = HighlightsDay(date=DAY)
    seen: set[str] = set()
    removed_at: dict[str, str | None] = {}
    last: Answer | None = None
    for hour, answer in enumerate(sequence):
        day, growth = merge_fetch(
            day, fetch(hour, *answer.records, complete=answer.complete, query=answer.query), founding="basketball"
        )

        seen |= {content_hash(one) for one in answer.records}
        assert every_content(day) == seen

        listed = {key for one in answer.records if (key := key_of(one)) is not None}
        named = {str(one["id"]).strip() for one in answer.records if isinstance(one, dict) and "id" in one}
        shows_removals = answer.complete and last is not None and last.query == answer.query
        for key in listed:
            removed_at[key] = None
        for key in removed_at.keys() - listed - named if shows_removals else ():
            removed_at[key] = removed_at[key] or at(hour)
        assert {key: entry.removed_upstream for key, entry in day.backup.records.items()} == removed_at

        assert [key_of(one) for one in day.data].count(None) == 0
        assert len(day.data) == len({key_of(one) for one in day.data}) == len(day.backup.records)
        for view, kept in day.highlights():
            entry = day.backup.records[view.id]
            assert entry.content_hash == content_hash(kept)
            assert (entry.last_seen == at(hour)) == (view.id in listed)
        assert growth.listed == len(listed)
        if growth.removed:
            event("something was marked as removed")
        last = answer
    if any(entry.history for entry in day.backup.records.values()):
        event("something changed")


@settings(max_examples=80)
@given(answers())
def test_the_same_answer_once_more_changes_only_last_seen_whatever_came_before(sequence: list[Answer]) -> None:
    fetches = [
        fetch(hour, *answer.records, complete=answer.complete, query=answer.query)
        for hour, answer in enumerate(sequence)
    ]
    # Asked twice, so that a change of the query or of completeness is over before the two that are compared.
    once, _ = merged(*fetches, replace(fetches[-1], at=at(30)))
    twice, growth = merge_fetch(once, replace(fetches[-1], at=at(31)), founding="basketball")
    assert (growth.new, growth.changed, growth.removed, growth.returned) == (0, 0, 0, 0)

    def still(day: HighlightsDay) -> dict[str, Any]:
        dump = day.model_dump()
        del dump["backup"]["fetches"]
        for entry in (*dump["backup"]["records"].values(), *dump["backup"]["rejected"]):
            del entry["last_seen"]
        return dump

    assert json_text.dumps(still(twice)) == json_text.dumps(still(once))


@settings(max_examples=60)
@given(answers())
def test_the_store_and_the_table_give_back_every_record_of_any_sequence(sequence: list[Answer]) -> None:
    with archive() as folder:
        store, table = LocalStore(folder), SqliteTable(folder / "highlights.sqlite")
        seen: set[str] = set()
        for hour, answer in enumerate(sequence):
            stored = documents.load_or_new(store, HighlightsDay, DAY)
            day, _ = merge_fetch(
                stored,
                fetch(hour, *answer.records, complete=answer.complete, query=answer.query),
                founding="basketball",
            )
            documents.save(store, day)
            # A document that was never stored and one that was read back are one and the same.
            loaded = documents.load(store, HighlightsDay, DAY)
            assert json_text.dumps(loaded.model_dump()) == json_text.dumps(day.model_dump())
            table.merge(rows_of(loaded), merge_row)
            seen |= {key for one in answer.records if (key := key_of(one)) is not None}

        rows = {row["id"]: row for row in table.day(DAY)}
        assert rows.keys() == seen == loaded.backup.records.keys()
        for view, kept in loaded.highlights():
            row, entry = rows[view.id], loaded.backup.records[view.id]
            assert row["content_hash"] == content_hash(kept)
            assert {name: row[name] for name in kept if name != "id"} == {n: v for n, v in kept.items() if n != "id"}
            assert row["removed_upstream"] == entry.removed_upstream
            assert row["first_seen"] == entry.first_seen
        assert table.merge(rows_of(loaded), merge_row) == 0, "the same document again writes nothing"


def test_the_document_is_json_that_any_parser_reads(store: LocalStore) -> None:
    documents.save(store, merged(fetch(0, A, {"id": 2, "n": Decimal("1E+400"), "cut": "\ud83c"}, "junk"))[0])
    body = json.loads(store.read(HighlightsDay.key(DAY))[0])
    assert [one["id"] for one in body["data"]] == [1, 2]
    assert body["backup"]["fetches"][0]["query"] == QUERY
    assert body["schema_version"] == 2


@given(
    later=st.lists(st.sampled_from("abc"), min_size=1, max_size=4), earlier=st.lists(st.sampled_from("abc"), max_size=3)
)
def test_an_earlier_fetch_changes_nothing_of_what_is_known(later: list[str], earlier: list[str]) -> None:
    """Whatever it lists and whenever: what a document says stays, each other content is kept once and in front, and
    nothing counts as removed or as back."""
    was, _ = merged(*(fetch(hour, B if title == "c" else record(1, title)) for hour, title in enumerate(later)))
    before, day = was.model_dump(), was
    for title in reversed(earlier):
        old = fetch(40, record(1, title), record(3, title), complete=False)
        day, growth = merge_earlier(day, old, founding="basketball")
        assert (growth.removed, growth.returned) == (0, 0)
    assert was.model_dump() == before
    assert day.data[: len(was.data)] == was.data
    for key, entry in was.backup.records.items():
        now = day.backup.records[key]
        for name in ("first_seen", "last_seen", "content_hash", "removed_upstream"):
            assert getattr(now, name) == getattr(entry, name)
        added = len(now.history) - len(entry.history)
        assert now.history[added:] == entry.history
        contents = [content_hash(change.record) for change in now.history[:added]]
        assert len({*contents, now.content_hash}) == added + 1
    said = {content_hash(one) for one in day.data}
    said |= {content_hash(change.record) for entry in day.backup.records.values() for change in entry.history}
    assert {content_hash(record(key, title)) for title in earlier for key in (1, 3)} <= said
    assert day.backup.fetches[len(earlier) :] == was.backup.fetches
