"""Days and moments as text: what is read, what is refused, and that both come back as they were written."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ncaa_assets.record import calendar

NO_DAYS = [
    "", "2025-3-9", "20250309", "2025-W10-7", "2025-02-30", "2025-13-01", "0000-01-01", " 2025-03-09", "2025-03-09\n",
    "2025-03-09T00:00", "٢٠٢٥-٠٣-٠٩", "today",
]  # fmt: skip


@given(st.dates())
def test_a_day_comes_back_as_it_was_written(day: date) -> None:
    assert calendar.parse(day.isoformat()) == day
    assert calendar.is_day(day.isoformat())


@pytest.mark.parametrize("text", NO_DAYS)
def test_a_text_that_is_written_otherwise_is_no_day(text: str) -> None:
    assert not calendar.is_day(text)
    with pytest.raises(ValueError):
        calendar.parse(text)


@pytest.mark.parametrize("value", [None, 20250309, date(2025, 3, 9), ["2025-03-09"], b"2025-03-09"])
def test_what_is_no_text_is_no_day(value: object) -> None:
    assert not calendar.is_day(value)


def test_a_range_has_both_of_its_ends() -> None:
    first = date(2024, 2, 28)
    assert [str(day) for day in calendar.days(first, date(2024, 3, 1))] == ["2024-02-28", "2024-02-29", "2024-03-01"]
    assert list(calendar.days(first, first)) == [first]
    assert list(calendar.days(first, first - timedelta(days=1))) == []


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_comes_back_to_the_second(moment: datetime) -> None:
    assert calendar.parse_stamp(calendar.stamp(moment)) == moment.replace(microsecond=0)


def test_a_moment_is_written_in_utc() -> None:
    moment = datetime(2025, 3, 9, 23, 59, 59, 999_999, tzinfo=timezone(timedelta(hours=-4)))
    assert calendar.stamp(moment) == "2025-03-10T03:59:59Z"


def test_now_is_the_present_moment() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    assert before <= calendar.parse_stamp(calendar.now()) <= datetime.now(UTC)
