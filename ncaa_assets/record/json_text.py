"""Parses and writes JSON, so that what came from the API goes back out unchanged. Nothing else in the project does.

`loads` reads JSON and nothing else, such as our own documents. `read_answer` reads what the API sends, which may not be
quite JSON.

Numbers with a fraction or an exponent become `Decimal` and are written with all their digits; as floats, 1e400 would
become Infinity and digits beyond the seventeenth would go. Text stays readable UTF-8.
"""

import codecs
import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
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


def names_twice(data: bytes) -> str | None:
    """The first field that an object of a JSON text names twice with different values, of which readers take one."""
    try:
        _lenient(_decoded(data)[0].removeprefix("\ufeff").lstrip())
    except _Twice as error:
        return str(error.args[0])
    except _BAD:
        return None
    return None


@dataclass(frozen=True)
class Answer:
    """What can be read of an answer that may not be quite JSON.

    `body` is the value; under "data" it has the elements that could be read, in their order. `rejected` are the others,
    each as the text that came, with the reason in a few words; one that names a field twice is in both. `elements` is
    how many there were. `notes` are sentences about what else was odd and is read all the same. `cut`: the end is
    missing, or cannot be found.
    """

    body: Any
    rejected: list[tuple[str, str]]
    notes: list[str]
    elements: int
    cut: bool = False


def read_answer(data: bytes) -> Answer:
    """An answer of strangers' making, read as leniently as can be: one bad element of "data" costs only itself.

    Raises:
        ValueError: nothing can be made of it.
    """
    text, notes = _decoded(data)
    text = text.removeprefix("\ufeff").lstrip()
    try:
        body, end = _lenient(text)
    except (_Twice, *_BAD):
        return _by_pieces(text, notes)
    if text[end:].strip():
        notes.append("what follows the end of the API's answer is left out")
    listed = body.get("data") if isinstance(body, dict) else None
    return Answer(body, [], notes, len(listed) if isinstance(listed, list) else 0)


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


class _Twice(Exception):
    """An object names a field more than once, with different values."""


class _Cut(Exception):
    """A text ends, or goes wrong, before its value does."""


def _decoded(data: bytes) -> tuple[str, list[str]]:
    """The text of an answer, and what to say of it. A byte that is no UTF-8 means what old programs mean by it."""
    encoding = json.detect_encoding(data)
    with suppress(UnicodeDecodeError):
        return data.decode(encoding), []
    return data.decode("utf-8", _AS_WINDOWS), ["a byte of the API's answer is no UTF-8 and was read as Windows-1252"]


def _windows(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)  # noqa: S101 - it is registered for decoding alone
    bad = error.object[error.start : error.end]
    try:
        return bad.decode("cp1252"), error.end
    except UnicodeDecodeError:
        return bad.decode("latin-1"), error.end


def _lenient(text: str) -> tuple[Any, int]:
    """The value that a text begins with, and where it ends. Raises `_Twice`, or one of `_BAD`."""
    needs_care = _MINUS_ZERO.search(text) or _MANY_DIGITS.search(text[::_STRIDE])
    value, end = (_EXACT_ONCE if needs_care else _QUICK_ONCE).raw_decode(text)
    return value, end


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs) and any(found[name] != value for name, value in pairs):
        raise _Twice(next(name for name, value in pairs if found[name] != value))
    return found


def _by_pieces(text: str, notes: list[str]) -> Answer:
    """Reads an object member by member, and its "data" element by element."""
    found = _spans(text)
    body: dict[str, Any] = {"data": []} if found.lists else {}
    for name, start, end in found.members:
        if name == "data" and found.lists:
            notes.append("`data` of the API's answer is there once more, and is no list")
            continue
        try:
            body[name] = _lenient(text[start:end])[0]
        except (_Twice, *_BAD):
            notes.append(f"`{name[:40]}` of the API's answer cannot be read")
    if not body:
        raise ValueError("it is no JSON object")
    rejected = []
    for start, end in found.elements:
        piece = text[start:end].rstrip()
        record, reason = _element(piece)
        if reason is not None:
            rejected.append((piece, reason))
        if record is not _NOTHING:
            body["data"].append(record)
    if found.rest is not None:
        rejected.append((text[found.rest :], "it does not end, or its brackets or quotes do not match"))
    elements = len(found.elements) + (found.rest is not None)
    if not (rejected or notes or found.is_cut):
        notes.append("the API's answer is not quite JSON, and was read all the same")
    return Answer(body, rejected, notes, elements, found.is_cut)


def _element(text: str) -> tuple[Any, str | None]:
    """The value of a text, `_NOTHING` where it is none, and what is wrong with it, if anything is."""
    try:
        value, end = _lenient(text)
        return (value, None) if end == len(text) else (_NOTHING, "it is no JSON")
    except _Twice as error:
        try:
            return loads(text), f"it names `{error.args[0][:40]}` twice; the last is kept"
        except ValueError as fault:
            return _NOTHING, str(fault).partition(":")[0]
    except RecursionError:
        return _NOTHING, "it is nested too deeply"
    except InvalidOperation:
        return _NOTHING, "it holds a number whose exponent is out of range"
    except json.JSONDecodeError as error:
        return _NOTHING, f"it is no JSON from its character {error.pos + 1} on"
    except ValueError as error:
        return _NOTHING, str(error)


@dataclass
class _Spans:
    """Where the parts of an object lie in its text: its members by name, and the elements of those called "data" that
    are lists (`lists` of them). `rest` is where an element begins whose end cannot be found."""

    members: list[tuple[str, int, int]] = field(default_factory=list)
    elements: list[tuple[int, int]] = field(default_factory=list)
    lists: int = 0
    rest: int | None = None
    is_cut: bool = False


def _spans(text: str) -> _Spans:
    found, at, is_in_list = _Spans(), 1, False
    if not text.startswith("{"):
        raise ValueError("it is no JSON object")
    try:
        while True:
            at = _after(_BLANK_OR_COMMA, text, at)
            if is_in_list:
                if text.startswith("]", at):
                    at, is_in_list = at + 1, False
                    continue
                end = _value_end(text, at)
                found.elements.append((at, end))
            elif text.startswith("}", at):
                return found
            else:
                name, start = _name(text, at)
                if name == "data" and text.startswith("[", start):
                    at, is_in_list = start + 1, True
                    found.lists += 1
                    continue
                end = _value_end(text, start)
                found.members.append((name, start, end))
            at = end
    except _Cut:
        found.is_cut = True
        found.rest = at if is_in_list and at < len(text) else None
        return found


def _name(text: str, at: int) -> tuple[str, int]:
    """The name of the member that stands here, and where its value begins."""
    end = _string_end(text, at)
    colon = _after(_BLANK, text, end)
    if not text.startswith(":", colon):
        raise _Cut
    try:
        return str(_QUICK_ONCE.decode(text[at:end])), _after(_BLANK, text, colon + 1)
    except ValueError:
        raise _Cut from None


def _value_end(text: str, start: int) -> int:
    """Where the value that begins here ends."""
    open_brackets: list[str] = []
    at = start
    while (found := _MARK.search(text, at)) is not None:
        mark, at = found[0], found.end()
        if mark == '"':
            at = _string_end(text, found.start())
        elif mark in "[{":
            open_brackets.append(mark)
        elif open_brackets:
            if mark == ",":
                continue
            if open_brackets.pop() + mark not in ("[]", "{}"):
                break
            if not open_brackets:
                return at
        elif found.start() > start:
            return found.start()
        else:
            break
    raise _Cut


def _string_end(text: str, start: int) -> int:
    found = _STRING.match(text, start)
    if found is None:
        raise _Cut
    return found.end()


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


_ENCODERS: dict[tuple[int | None, bool, bool], json.JSONEncoder] = {}
# Calling a function of ours for each integer takes a third of the time, and only a negative zero and long integers need
# it. An integer that is too long is at least eight strides long, and little else has a digit at so many in a row.
_QUICK = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse)
_EXACT = json.JSONDecoder(parse_float=Decimal, parse_int=_whole, parse_constant=_refuse)
_MINUS_ZERO = re.compile(r"-0(?![0-9.eE])")  # a date has a digit there
_LONGEST_INT = 4000  # characters, its sign with them
_STRIDE = _LONGEST_INT // 8
_MANY_DIGITS = re.compile("[0-9]{8}")
# The same, for answers that may not be quite JSON: raw control characters in a text are read, and no field is twice.
_QUICK_ONCE = json.JSONDecoder(
    parse_float=Decimal, parse_constant=_refuse, strict=False, object_pairs_hook=_once
)  # fmt: skip
_EXACT_ONCE = json.JSONDecoder(
    parse_float=Decimal, parse_int=_whole, parse_constant=_refuse, strict=False, object_pairs_hook=_once
)  # fmt: skip
_BAD = (ValueError, RecursionError, InvalidOperation)
_NOTHING = object()
_AS_WINDOWS = "ncaa-assets-windows-1252"
codecs.register_error(_AS_WINDOWS, _windows)
_BLANK, _BLANK_OR_COMMA = re.compile(r"\s*"), re.compile(r"[\s,]*")
_MARK = re.compile(r"[\[\]{},\"]")
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
