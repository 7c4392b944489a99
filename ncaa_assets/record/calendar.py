"""A day of the calendar and a moment in UTC, as text and back: the one place that reads and writes either.

A day is a `datetime.date`, written `2025-03-09`; a moment is an aware `datetime` in UTC with whole seconds, written
`2025-03-10T06:00:12Z`. Whose days they are (`TIMEZONE`) is the settings' business.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import TypeGuard

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = "%Y-%m-%dT%H:%M:%SZ"
_CLOCKS_DIFFER = timedelta(minutes=10)  # by which the clocks of two machines in order may differ


def parse(text: str) -> date:
    """The day that a text names, which must be written YYYY-MM-DD.

    Raises:
        ValueError: it names none.
    """
    # `date.fromisoformat` also reads 20250309 and 2025-W10-7, and `strptime` reads 2025-3-9.
    if not _DAY.fullmatch(text):
        raise ValueError(f"{text!r} is not a day written as YYYY-MM-DD")
    return date.fromisoformat(text)


def is_day(text: object) -> TypeGuard[str]:
    """Whether `parse` would read it."""
    if not isinstance(text, str):
        return False
    try:
        parse(text)
    except ValueError:
        return False
    return True


def days(first: date, last: date) -> Iterator[date]:
    """The days from `first` to `last`, both included; none where `last` is the earlier one."""
    for step in range((last - first).days + 1):
        yield first + timedelta(days=step)


def now() -> str:
    """The present moment, as text."""
    return stamp(datetime.now(UTC))


def is_to_come(moment: datetime, *, now: datetime | None = None) -> bool:
    """Whether a recorded moment lies in the future (of `now`, by default the present), so that a clock was or is wrong
    and nothing may be decided by it."""
    return moment - (now or datetime.now(UTC)) > _CLOCKS_DIFFER


def stamp(moment: datetime) -> str:
    """An aware moment as text; fractions of a second are cut off."""
    return moment.astimezone(UTC).strftime(_MOMENT)


def parse_stamp(text: str) -> datetime:
    """The moment that a text names, in UTC.

    Raises:
        ValueError: it is not written as `stamp` writes it.
    """
    return datetime.strptime(text, _MOMENT).replace(tzinfo=UTC)
