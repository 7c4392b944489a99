"""How a day grows while its archive is moved between modules: nothing is lost, and only a complete fetch of a module
that had listed a record marks it."""

from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from ncaa_assets.record.fetch import Fetch
from ncaa_assets.record.merge import merge_fetch
from ncaa_assets.record.models import HighlightsDay

MODULES = ("basketball", "nba", "american-football")
FOUNDING = "basketball"


@dataclass(frozen=True)
class Answer:
    """One fetch: which module, which ids it lists, in which shape, how completely, and with which query."""

    module: str
    ids: tuple[int, ...]
    shape: int
    complete: bool
    limit: int | None


ANSWERS = st.builds(
    Answer,
    st.sampled_from(MODULES),
    st.lists(st.integers(1, 6), unique=True, max_size=6).map(tuple),
    st.integers(0, 2),
    st.booleans(),
    st.sampled_from([None, None, None, 5]),
)


def fetch(number: int, answer: Answer) -> Fetch:
    query = {"date": "2025-03-09"} | ({"limit": str(answer.limit)} if answer.limit else {})
    return Fetch(
        at=f"2025-03-10T{number:02}:00:00Z", module=answer.module, query=query, total_count=len(answer.ids), requests=1,
        records=[{"id": key, "title": f"{answer.module} {answer.shape}"} for key in answer.ids],
        whole=answer.complete, complete=answer.complete and not answer.limit,
    )  # fmt: skip


@given(st.lists(ANSWERS, max_size=12), st.booleans())
def test_no_sequence_of_moves_and_answers_loses_or_wrongly_marks_a_record(answers: list[Answer], is_old: bool) -> None:
    if is_old and answers:
        answers = [replace(answers[0], module=FOUNDING), *answers[1:]]
    day = HighlightsDay(date="2025-03-09")
    listed_by: dict[int, set[str]] = {}  # what the test itself knows of each record
    gone: dict[int, str] = {}
    contents: dict[int, set[str]] = {}
    last_limit: dict[str, int | None] = {}
    for number, answer in enumerate(answers):
        if is_old and number == 1:  # the first fetch was made before modules were kept, from the founding one
            for entry in day.backup.records.values():
                entry.modules = []
            for past in day.backup.fetches:
                past.module = None
        one = fetch(number, answer)
        day, growth = merge_fetch(day, one, founding=FOUNDING)
        day = HighlightsDay.model_validate(day.model_dump())  # as it is stored and read back
        for key in answer.ids:
            listed_by.setdefault(key, set()).add(answer.module)
            contents.setdefault(key, set()).add(f"{answer.module} {answer.shape}")
            gone.pop(key, None)
        may_mark = one.complete and last_limit.get(answer.module, answer.limit) == answer.limit
        missing = [key for key in listed_by if key not in answer.ids and key not in gone]
        marked = [key for key in missing if may_mark and answer.module in listed_by[key]]
        gone |= dict.fromkeys(marked, one.at)
        last_limit[answer.module] = answer.limit

        assert growth.removed == len(marked)
        assert {view.id for view, _ in day.highlights()} == set(map(str, listed_by)), "nothing is lost"
        for name, entry in day.backup.records.items():
            key = int(name)
            assert entry.removed_upstream == gone.get(key)
            assert set(entry.modules or [FOUNDING]) == listed_by[key]
            assert len(entry.modules) == len(set(entry.modules))
            kept = {change.record["title"] for change in entry.history}
            kept |= {raw["title"] for view, raw in day.highlights() if view.id == name}
            assert kept == contents[key], "every content that ever came is kept"
        assert [past.module or FOUNDING for past in day.backup.fetches] == [
            past.module for past in answers[: number + 1]
        ]
