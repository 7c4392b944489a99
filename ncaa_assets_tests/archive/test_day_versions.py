"""How the documents of one day in two archives stand to one another."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ncaa_assets.archive.day_versions import DayDocuments, State, state_of
from ncaa_assets.record.fetch import Fetch, Matches
from ncaa_assets.record.matches import merge_matches
from ncaa_assets.record.merge import merge_fetch
from ncaa_assets.record.models import Document, HighlightsDay, ProcessedDay, VideosDay
from ncaa_assets.record.written import to_bytes
from ncaa_assets_tests.imports.places import record

DAY = "2025-03-09"
KINDS = (HighlightsDay, VideosDay, ProcessedDay)
OPPOSITE = {State.EARLIER: State.LATER, State.LATER: State.EARLIER, State.EQUAL: State.EQUAL, State.OTHER: State.OTHER}


def of(*documents: Document) -> DayDocuments:
    return DayDocuments({type(one): one for one in documents}, {type(one): to_bytes(one) for one in documents})


def state(ours: DayDocuments, theirs: DayDocuments) -> State:
    found = state_of(ours, theirs, KINDS)
    assert state_of(theirs, ours, KINDS) is OPPOSITE[found]
    return found


def day(*titles: str, salt: str = "") -> HighlightsDay:
    """A day that was fetched once for each title."""
    document = HighlightsDay(date=DAY)
    for hour, title in enumerate(titles):
        fetch = Fetch(
            at=f"2025-03-10T0{hour}:00:00Z", module="basketball", records=[record(1, title=title), record(title)],
            query={"date": DAY, "salt": salt}, whole=True, complete=True, total_count=2, requests=1,
        )  # fmt: skip
        document, _ = merge_fetch(document, fetch, founding="basketball")
    return document


@given(st.lists(st.sampled_from("ab"), max_size=4), st.lists(st.sampled_from("ab"), max_size=3))
def test_a_day_that_was_fetched_on_is_the_later(titles: list[str], more: list[str]) -> None:
    expected = State.EARLIER if more else State.EQUAL
    assert state(of(day(*titles)), of(day(*titles, *more))) is expected
    if titles and more:
        assert state(of(day(*titles, "c")), of(day(*titles, *more, "d", salt="x"))) is State.OTHER


def copy(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": name, "title": None, "source_url": "https://host.example/", "key": f"videos/{DAY}/{name}.mp4", "bytes": 1,
        "sha256": "0" * 64, "container": "mp4", "duration_seconds": 1, "has_sound": None,
        "copied_at": "2025-03-10T00:00:00Z", **fields,
    }  # fmt: skip


def output(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": name, "title": None, "source_key": f"videos/{DAY}/{name}.mp4", "source_sha256": "0" * 64,
        "settings_hash": "0" * 16, "key": f"processed_videos/{DAY}/{name}.mp4", "bytes": 1, "sha256": None,
        "duration_seconds": None, "width": None, "height": None, "encoder": "ffmpeg", "encode_seconds": 1,
        "poster": {"key": f"processed_videos/{DAY}/{name}.jpg", "bytes": 1}, "encoded_at": "2025-03-10T00:00:00Z",
        **fields,
    }  # fmt: skip


def videos(*names: str, forgotten: tuple[str, ...] = (), **fields: Any) -> VideosDay:
    gone = [
        {"id": name, "video": copy(name), "output": output(name), "at": "2025-03-11T00:00:00Z"} for name in forgotten
    ]  # fmt: skip
    return VideosDay.model_validate(
        {"date": DAY, "videos": [copy(name, **fields) for name in names], "forgotten": gone}
    )


def processed(*names: str, **fields: Any) -> ProcessedDay:
    return ProcessedDay.model_validate({"date": DAY, "videos": [output(name, **fields) for name in names]})


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (of(), of(), State.EQUAL),
        (of(), of(day("a"), videos("1")), State.EARLIER),
        (of(day("a")), of(day("a"), videos()), State.EARLIER),
        (of(videos("1")), of(videos("1", "2")), State.EARLIER),
        (of(videos("1")), of(videos("2")), State.OTHER),
        (of(videos("1", "2")), of(videos("1", forgotten=("2",))), State.EARLIER),
        (of(videos("1", "2"), processed("1", "2")), of(videos("1", forgotten=("2",)), processed("1")), State.EARLIER),
        (of(day("a"), videos("1")), of(day("a", "b"), videos("1", title="new")), State.EARLIER),
        (of(day("a"), processed("1")), of(day("a", "b"), processed("1", sha256="1" * 64)), State.EARLIER),
        (of(processed("1")), of(processed("1", sha256="1" * 64)), State.OTHER),
        (of(videos("1")), of(videos("1", title="new")), State.OTHER),
        (of(day("a", "b"), videos("1")), of(day("a"), videos("1", "2")), State.OTHER),
        (of(day("a")), of(merge_matches(day("a"), Matches("2025-03-11T00:00:00Z", [], 1))), State.EARLIER),
    ],
)  # fmt: skip
def test_each_document_says_which_is_later(ours: DayDocuments, theirs: DayDocuments, expected: State) -> None:
    assert state(ours, theirs) is expected


def test_the_same_document_of_an_earlier_version_is_the_same() -> None:
    one = of(day("a"))
    other = DayDocuments(one.read, {HighlightsDay: one.stored[HighlightsDay].replace(b"\n ", b"\n")})
    assert state(one, other) is State.EQUAL
