"""Parses and writes JSON, so that what came from the API goes back out unchanged. Nothing else in the project does.

Numbers with a fraction or an exponent become `Decimal` and are written with all their digits; as floats, 1e400 would
become Infinity and digits beyond the seventeenth would go. Text stays readable UTF-8.
"""

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

import simplejson


def loads(data: bytes | str) -> Any:
    """A JSON value; numbers that are not integers are `Decimal`, and so are integers of more than `_LONGEST_INT`
    characters.

    Raises:
        ValueError: `data` is no JSON (NaN and Infinity are not JSON), or more than can be held: hundreds of levels
            deep, an exponent of nineteen digits.
    """
    text = data.decode("utf-8") if isinstance(data, bytes) else data
    text = text.removeprefix("\ufeff")
    try:
        needs_care = _MINUS_ZERO.search(text) or _MANY_DIGITS.search(text[::_STRIDE])
        return (_EXACT if needs_care else _QUICK).decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except InvalidOperation:
        raise ValueError("it holds a number whose exponent is out of range") from None


def dumps(value: Any, *, indent: int | None = None, sort_keys: bool = False) -> bytes:
    """A JSON value as UTF-8 bytes.

    A string with a lone surrogate (`"\\ud800"` is legal JSON but not Unicode) makes the whole text ASCII, escaped.
    """
    for ascii_only in (False, True):
        text = _text(value, indent=indent, sort_keys=sort_keys, ascii_only=ascii_only)
        try:
            return text.encode("utf-8")
        except UnicodeEncodeError:
            continue
    raise AssertionError("ASCII text always encodes")


def is_deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects are nested more than so many levels deep."""
    layer = [value]
    for _ in range(levels + 1):
        inside: list[Any] = []
        for outer in layer:
            inside += outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ()
        if not inside:
            return False
        layer = inside
    return True


def _text(value: Any, *, indent: int | None, sort_keys: bool, ascii_only: bool) -> str:
    # Python's own encoder takes half of simplejson's time, and most values hold no Decimal.
    if (encoder := _ENCODERS.get((indent, sort_keys, ascii_only))) is None:
        encoder = _ENCODERS[indent, sort_keys, ascii_only] = json.JSONEncoder(
            ensure_ascii=ascii_only, check_circular=False, allow_nan=False, sort_keys=sort_keys, indent=indent,
            separators=_separators(indent),
        )  # fmt: skip
    try:
        return encoder.encode(value)
    except TypeError:
        return simplejson.dumps(
            value, ensure_ascii=ascii_only, allow_nan=False, sort_keys=sort_keys, indent=indent,
            separators=_separators(indent), use_decimal=True,
        )  # fmt: skip


def _separators(indent: int | None) -> tuple[str, str]:
    return (",", ":") if indent is None else (",", ": ")


def _whole(digits: str) -> int | Decimal:
    # An int has no negative zero, and Python makes none of more than 4,300 digits, unless its user sets another bound.
    return Decimal(digits) if digits == "-0" or len(digits) > _LONGEST_INT else int(digits)


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_ENCODERS: dict[tuple[int | None, bool, bool], json.JSONEncoder] = {}
# Calling a function of ours for each integer takes a third of the time, and only a negative zero and long integers need
# it. An integer that is too long is at least eight strides long, and little else has a digit at so many in a row.
_QUICK = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse)
_EXACT = json.JSONDecoder(parse_float=Decimal, parse_int=_whole, parse_constant=_refuse)
_MINUS_ZERO = re.compile(r"-0(?![0-9.eE])")  # a date has a digit there
_LONGEST_INT = 4000  # characters, its sign with them
_STRIDE = _LONGEST_INT // 8
_MANY_DIGITS = re.compile("[0-9]{8}")
