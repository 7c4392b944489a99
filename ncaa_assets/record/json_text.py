"""JSON in and out so that what came from the API goes back out unchanged: the one place that parses or writes it.

Numbers with a fraction or an exponent become `Decimal` and are written with all their digits; Python's own json module
would turn 1e400 into Infinity and drop digits beyond the seventeenth. Text stays readable UTF-8.
"""

import json
from decimal import Decimal, InvalidOperation
from typing import Any

import simplejson


def loads(data: bytes | str) -> Any:
    """A JSON value; numbers that are no integers as `Decimal`.

    Raises:
        ValueError: `data` is no JSON (NaN and Infinity are none either), or more than can be held: hundreds of levels
            deep, an exponent of nineteen digits.
    """
    text = data.decode("utf-8") if isinstance(data, bytes) else data
    try:
        return simplejson.loads(text, use_decimal=True, parse_int=_whole, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except InvalidOperation:
        raise ValueError("it holds a number whose exponent is out of range") from None


def dumps(value: Any, *, indent: int | None = None, sort_keys: bool = False) -> bytes:
    """A JSON value as UTF-8 bytes.

    A string with a lone surrogate (`"\\ud800"` is legal JSON but not Unicode) makes the whole text ASCII, escaped.
    """
    separators = (",", ": ") if indent is not None else (",", ":")
    for ascii_only in (False, True):
        style: dict[str, Any] = {
            "indent": indent, "sort_keys": sort_keys, "separators": separators, "allow_nan": False,
            "ensure_ascii": ascii_only,
        }  # fmt: skip
        try:
            text = json.dumps(value, **style)  # half of simplejson's time; most values hold no Decimal
        except TypeError:
            text = simplejson.dumps(value, use_decimal=True, **style)
        try:
            return text.encode("utf-8")
        except UnicodeEncodeError:
            continue
    raise AssertionError("ASCII text always encodes")


def _whole(digits: str) -> int | Decimal:
    # An int has no negative zero, and Python makes none of more than 4,300 digits.
    return Decimal(digits) if digits == "-0" or len(digits) > 4000 else int(digits)


def is_deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects lie in one another more than so many levels deep."""
    layer = [value]
    for _ in range(levels + 1):
        inside: list[Any] = []
        for one in layer:
            inside += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        if not inside:
            return False
        layer = inside
    return True


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
