"""The types of fields that many documents have: what is read there, and how it is written. No I/O.

What a person or another program wrote in a way of its own is understood where it can mean only one thing, and written
as this project writes it. Anything else is refused with what it should have been.
"""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

from ncaa_assets.record import calendar


def _time(text: str) -> str:
    return calendar.stamp(calendar.parse_stamp(text))


def _day(text: str) -> str:
    return calendar.parse(text).isoformat()


def _moment(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise ValueError("it is no text with a time")  # pydantic would take a number for seconds
    return calendar.parse_stamp(value)


Time = Annotated[str, AfterValidator(_time)]
"""A moment as text, as `calendar.stamp` writes it."""

Day = Annotated[str, AfterValidator(_day)]
"""A day of the calendar as text."""

Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    # pydantic's JSON mode would do this too, but write a `Decimal` in an unknown field as text.
    PlainSerializer(lambda moment: moment.isoformat().replace("+00:00", "Z")),
]
"""A moment in UTC that is written with its fractions of a second."""
