"""The types of fields that many documents have: what is read there, and how it is written. No I/O.

What a person or another program wrote in a way of its own is understood where it can mean only one thing, and written
as this project writes it. Where it is wrong and can be done without, it is left out and said (`Perhaps`, `Readable`).
Anything else is refused with what it should have been.
"""

import re
from datetime import datetime
from functools import partial
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    PlainSerializer,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from ncaa_assets.record import calendar
from ncaa_assets.text import visible

DOUBTS = "doubts"  # what a document is read with: the list that takes a sentence for whatever of it is left out

_HEX = frozenset("0123456789abcdef")
_LONGEST_NAME = 255  # bytes that a file system takes


def problem_in(error: ValidationError) -> str:
    """The first of the things that a document, or a part of one, is not: the field, and what is wrong there."""
    problem = error.errors(include_input=False, include_url=False)[0]
    where, why = ".".join(map(str, problem["loc"])), problem["msg"].removeprefix("Value error, ")
    return visible(f"{where}: {why}" if where else why)


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


def _object_key(text: str, *, folder: str) -> str:
    """The key of an object of a day, as `FOLDER/DAY/NAME`: nothing else can be read, written over or deleted by it."""
    asset, day, name = [*text.split("/", maxsplit=2), "", ""][:3]
    is_name = bool(name) and name.isprintable() and not name.startswith(".") and not re.search(r"[/\\]", name)
    if asset != folder or not calendar.is_day(day) or not is_name or len(name.encode()) > _LONGEST_NAME:
        raise ValueError(f"{visible(text, most=80)!r} is no key such as {folder}/2025-03-09/NAME")
    return text


def _something(text: str) -> str:
    if not text:  # a length that pydantic looks at would refuse half an emoji
        raise ValueError("it is empty")
    return text


def _digits(text: str, *, count: int) -> str:
    if len(text) != count or not _HEX.issuperset(text):
        raise ValueError(f"{visible(text, most=80)!r} is not {count} hexadecimal digits in lower case")
    return text


def _noted(info: ValidationInfo, what: str, error: ValidationError) -> None:
    """Says what of a document is left out; refuses it where no document is read, because then it is a defect here."""
    if info.context is None:
        raise error
    info.context[DOUBTS].append(f"{what} is left out ({problem_in(error)})")


def _perhaps(value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    try:
        return handler(value)
    except ValidationError as error:
        _noted(info, f"`{info.field_name}`", error)
        return None


def _readable(value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    try:
        return handler(value)
    except ValidationError:
        if not isinstance(value, list):
            raise
    kept = []
    for entry in value:
        try:
            kept += handler([entry])
        except ValidationError as error:
            _noted(info, f"an entry of `{info.field_name}`", error)
    return kept


T = TypeVar("T")

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

Name = Annotated[str, AfterValidator(_something)]
"""A text that says something: an id, a module, a kind."""

Sha256 = Annotated[str, AfterValidator(partial(_digits, count=64))]
SettingsHash = Annotated[str, AfterValidator(partial(_digits, count=16))]

CopyKey = Annotated[str, AfterValidator(partial(_object_key, folder="videos"))]
"""The key of a copied video."""

OutputKey = Annotated[str, AfterValidator(partial(_object_key, folder="processed_videos"))]
"""The key of an encode or a poster."""

Perhaps = Annotated[T | None, WrapValidator(_perhaps)]
"""What a document can do without. Where it is wrong it is not known, and the document's doubts say so."""

Readable = Annotated[list[T], WrapValidator(_readable)]
"""Entries that the next run makes again. One that is wrong is left out, and the document's doubts say so."""
