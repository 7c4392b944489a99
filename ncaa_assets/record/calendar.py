"""A day of the calendar and a moment in UTC, as text and back: the one place that reads and writes either.

A day is a `datetime.date`, written `2025-03-09`; a moment is an aware `datetime` in UTC with whole seconds, written
`2025-03-10T06:00:12Z`. Moments are read as other programs write them too. Whose days they are (`TIMEZONE`) is the
settings' business.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import TypeGuard

from ncaa_assets.text import visible

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?(Z|[+-][0-9:]{2,8})?")
_CLOCKS_DIFFER = timedelta(minutes=10)  # by which the clocks of two machines in order may differ


def parse(text: str) -> date:
    """The day that a text names, which must be written YYYY-MM-DD.

    Raises:
        ValueError: it names none.
    """
    # `date.fromisoformat` also reads 20250309 and 2025-W10-7, and `strptime` reads 2025-3-9.
    if not _DAY.fullmatch(text):
        raise ValueError(f"{visible(text, most=40)!r} is not a day written as YYYY-MM-DD")
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
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def parse_stamp(text: str) -> datetime:
    """The moment that a text names, in UTC. Besides what `stamp` writes it is read with fractions of a second, in
    another zone, or without one, which means UTC.

    Raises:
        ValueError: it names none.
    """
    # `datetime.fromisoformat` also reads days and weeks as moments.
    try:
        if _MOMENT.fullmatch(written := text.strip().upper()):
            moment = datetime.fromisoformat(written)
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):  # 25 o'clock; the first hours of the year 1, in the east
        pass
    raise ValueError(f"{visible(text, most=40)!r} is no time such as 2025-03-10T06:00:12Z")
