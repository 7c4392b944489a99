"""JSON that is parsed and written again is unchanged, digit for digit."""

import json
import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncaa_assets.record import json_text

NUMBERS = st.one_of(
    st.integers(-(10**40), 10**40).map(str),
    st.from_regex(r"-?(0|[1-9][0-9]{0,24})\.[0-9]{1,24}([eE][+-]?[0-9]{1,4})?", fullmatch=True),
    st.from_regex(r"-?(0|[1-9][0-9]{0,24})[eE][+-]?[0-9]{1,4}", fullmatch=True),
)
# Surrogates included: JSON can say "\ud800", and an API that cuts a text inside an emoji does.
STRINGS = st.text(st.characters(codec=None), max_size=12).map(json.dumps)
JSON_TEXTS = st.recursive(
    st.one_of(st.sampled_from(["null", "true", "false"]), NUMBERS, STRINGS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5).map(lambda parts: "[" + ", ".join(parts) + "]"),
        st.dictionaries(STRINGS, inner, max_size=5).map(
            lambda fields: "{" + ", ".join(f"{name}: {value}" for name, value in fields.items()) + "}"
        ),
    ),
    max_leaves=25,
)


def shape(value: object) -> object:
    """A value with the digits of each number, so that 1, 1.0, "1" and true differ."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    return ("number" if is_number else type(value).__name__, str(value))


@settings(deadline=None, max_examples=150)
@given(text=JSON_TEXTS, indent=st.sampled_from([None, 1]), sort_keys=st.booleans())
def test_any_json_is_the_same_after_being_parsed_and_written_again(
    text: str, indent: int | None, sort_keys: bool
) -> None:
    value = json_text.loads(text)
    written = json_text.dumps(value, indent=indent, sort_keys=sort_keys)
    assert shape(json_text.loads(written)) == shape(value)
    assert shape(json.loads(written, parse_float=Decimal, parse_int=Decimal)) == shape(value), (
        "another parser reads the same"
    )


@settings(deadline=None, max_examples=100)
@given(number=NUMBERS)
def test_a_number_keeps_its_value_and_each_of_its_digits(number: str) -> None:
    value = json_text.loads(number)
    written = json_text.dumps(value).decode()
    if set(number) & set(".eE"):
        assert Decimal(written).as_tuple() == Decimal(number).as_tuple()
    else:
        assert int(written) == int(number)


@pytest.mark.parametrize(
    ("number", "written"),
    [
        ("0.1000", "0.1000"),
        ("1.0", "1.0"),
        ("-0", "-0"),
        ("-0.0", "-0.0"),
        ("[-0]", "[-0]"),
        ('{"2025-03-09":-0}', '{"2025-03-09":-0}'),
        ("[1,-0,\t-0 ]", "[1,-0,-0]"),
        ("-0e1", "-0E+1"),
        ("1" * 5000, "1" * 5000),
        ("[1.50," + "7" * 4301 + "]", "[1.50," + "7" * 4301 + "]"),
        ("12345678901234567890.123", "12345678901234567890.123"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("1e400", "1E+400"),
        ("5E-324", "5E-324"),
        ("true", "true"),
    ],
)
def test_numbers_that_floats_would_change_are_written_with_all_their_digits(number: str, written: str) -> None:
    assert json_text.dumps(json_text.loads(number)) == written.encode()


@pytest.mark.parametrize("place", ["{}", "[{}]", '{{"n":{}}}', '["' + "x" * 777 + '",{},1]'])
@pytest.mark.parametrize(
    ("number", "kind"),
    [("1" * 4000, int), ("-" + "1" * 3999, int), ("-" + "1" * 4000, Decimal), ("1" * 4001, Decimal),
     ("1" * 4299, Decimal), ("1" * 4300, Decimal), ("1" * 4301, Decimal)],
    ids=lambda value: str(len(value)) if isinstance(value, str) else value.__name__,
)  # fmt: skip
def test_an_integer_is_an_int_up_to_a_bound_that_no_setting_of_pythons_moves(
    number: str, kind: type, place: str
) -> None:
    value = json_text.loads(place.format(number))
    while not isinstance(value, int | Decimal):
        value = value[1 if len(value) == 3 else 0] if isinstance(value, list) else value["n"]
    assert (type(value), str(value)) == (kind, number)


def test_unicode_stays_readable() -> None:
    text = '{"title":"Hawaiʻi – San José 🏀 \u2028"}'
    written = json_text.dumps(json_text.loads(text))
    assert "Hawaiʻi – San José 🏀".encode() in written
    assert json_text.loads(written) == {"title": "Hawaiʻi – San José 🏀 \u2028"}


def test_half_an_emoji_survives_and_is_written_as_valid_utf_8() -> None:
    value = json_text.loads('{"title": "dunk \\ud83c", "\\udfc0": 1}')
    written = json_text.dumps(value)
    assert written.decode("ascii") == '{"title":"dunk \\ud83c","\\udfc0":1}'
    assert json_text.loads(written) == value


def test_a_byte_order_mark_is_no_obstacle() -> None:
    assert json_text.loads(b"\xef\xbb\xbf{}") == {}


@pytest.mark.parametrize(
    "text",
    [
        b"NaN",
        b"[Infinity]",
        b'{"a": -Infinity}',
        b"",
        b"{",
        b"[1,]",
        b"<!doctype html>",
        b'"\xff"',
        b"{'a': 1}",
        b"[" * 100_000,
        b"1e99999999999999999999",
    ],
    ids=lambda text: text[:12].decode("latin-1"),
)
def test_what_is_no_json_is_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError):
        json_text.loads(text)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, Decimal("NaN"), Decimal("Infinity")])
def test_nan_and_infinity_are_never_written(number: object) -> None:
    with pytest.raises(ValueError):
        json_text.dumps({"a": number})


def test_sorted_keys_make_equal_objects_equal_bytes() -> None:
    one, other = json_text.loads('{"b": {"d": 1, "c": 2}, "a": 1}'), json_text.loads('{"a": 1, "b": {"c": 2, "d": 1}}')
    assert json_text.dumps(one, sort_keys=True) == json_text.dumps(other, sort_keys=True)
    assert json_text.dumps(one) != json_text.dumps(other), "the order of fields is kept where nobody asks otherwise"
