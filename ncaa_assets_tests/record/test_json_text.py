"""JSON that is parsed and written again is unchanged, digit for digit."""

import contextlib
import json
import math
import time
from decimal import Decimal
from typing import Any

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


@settings(max_examples=150)
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


@settings(max_examples=100)
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


# ---- What the API sends, which may not be quite JSON ---------------------------------------------------------------

GOOD = '{"id":1,"n":1.50}'
NEXT = '{"id":3}'


def answer_of(element: str, after: str = "") -> json_text.Answer:
    return json_text.read_answer(
        f'{{"data":[{GOOD},{element},{NEXT}],"pagination":{{"totalCount":3}}}}{after}'.encode()
    )


@pytest.mark.parametrize(
    ("element", "reason"),
    [
        ('{"id":2,"x":NaN}', "NaN is not JSON"),
        ('{"id":2,"x":[-Infinity]}', "-Infinity is not JSON"),
        ('{"id":2,"x":undefined}', "it is no JSON from its character 13 on"),
        ('{"id":2,}', "it is no JSON from its character 9 on"),
        ("{'id':2}", "it is no JSON from its character 2 on"),
        ('{"id":2 "x":1}', "it is no JSON from its character 9 on"),
        ("undefined", "it is no JSON from its character 1 on"),
        ('{"id":2,"n":1e9999999999999999999}', "it holds a number whose exponent is out of range"),
        ('{"d":' * 5000 + "1" + "}" * 5000, "it is nested too deeply"),
        ('{"id":2,"t":"]}, {"}x', None),
    ],
)
def test_a_bad_record_costs_itself_alone(element: str, reason: str | None) -> None:
    read = answer_of(element)
    assert (
        json_text.dumps(read.body) == f'{{"data":[{GOOD},{NEXT}],"pagination":{{"totalCount":3}}}}'.encode()
        or not reason
    )
    if reason:
        assert read.rejected == [(element, reason)]
        assert (read.elements, read.cut, read.notes) == (3, False, [])
    else:  # the words after a record are an element of their own
        assert (len(read.body["data"]), [text for text, _ in read.rejected]) == (3, ["x"])


@pytest.mark.parametrize("after", ["\0\0\0", "\n<!-- cached -->", "// 0.2 s", '{"data":[]}', "]"])
def test_what_follows_the_end_is_left_out_and_said(after: str) -> None:
    read = answer_of('{"id":2}', after)
    assert [one["id"] for one in read.body["data"]] == [1, 2, 3]
    assert (read.rejected, read.cut) == ([], False)
    assert read.notes == ["what follows the end of the API's answer is left out"]


def test_blanks_and_control_characters_are_read() -> None:
    read = json_text.read_answer(b'\xef\xbb\xbf \n{"data":[{"id":1,"t":"a\nb\t\x00"}]} \r\n')
    assert read == json_text.Answer({"data": [{"id": 1, "t": "a\nb\t\x00"}]}, [], [], 1)


@pytest.mark.parametrize(
    ("bad", "read_as"), [(b"Jos\xe9", "José"), (b"\x93ok\x94", "“ok”"), (b"\x81", "\x81"), (b"\xc3\xa9 \xe9", "é é")]
)
def test_a_byte_that_is_no_utf_8_is_read_as_it_was_meant(bad: bytes, read_as: str) -> None:
    read = json_text.read_answer(b'{"data":[{"id":1,"t":"%s"}]}' % bad)
    assert read.body == {"data": [{"id": 1, "t": read_as}]}
    assert read.notes == ["a byte of the API's answer is no UTF-8 and was read as Windows-1252"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
def test_other_encodings_of_unicode_are_read(encoding: str) -> None:
    assert json_text.read_answer('{"data":["é"]}'.encode(encoding)).body == {"data": ["é"]}


def test_of_a_field_that_is_named_twice_both_values_are_kept() -> None:
    element = '{"id":2,"title":"x","title":"y"}'
    read = answer_of(element)
    assert read.body["data"][1] == {"id": 2, "title": "y"}
    assert read.rejected == [(element, "it names `title` twice; the last is kept")]
    assert read.elements == 3
    assert answer_of('{"id":2,"title":"x","title":"x"}').rejected == []
    assert json_text.read_answer(b'{"data":[1],"x":1,"data":[2]}').body["data"] == [1, 2]


@pytest.mark.parametrize("other", ["null", "{}", '"x"', "1", "NaN"])
def test_a_list_of_records_stays_one_whatever_else_has_its_name(other: str) -> None:
    for text in (f'{{"data":[{GOOD}],"data":{other}}}', f'{{"data":{other},"data":[{GOOD}]}}'):
        read = json_text.read_answer(text.encode())
        assert {"id": 1} in [{"id": one["id"]} for one in read.body["data"] if isinstance(one, dict)]
        assert read.notes or read.cut


@pytest.mark.parametrize(
    ("text", "kept", "rest"),
    [
        (f'{{"data":[{GOOD},{{"id":2,"t":"abc}},{NEXT}]}}', 1, f'{{"id":2,"t":"abc}},{NEXT}]}}'),
        (f'{{"data":[{GOOD},{{"id":2,"t":[1}}}},{NEXT}]}}', 1, f'{{"id":2,"t":[1}}}},{NEXT}]}}'),
        (f'{{"data":[{GOOD},{{"id":2', 1, '{"id":2'),
        (f'{{"data":[{GOOD},', 1, None),
        (f'{{"data":[{GOOD}', 1, None),
        ('{"data":[', 0, None),
        (f'{{"data":[{GOOD}],"pagination":{{"total', 1, None),
    ],
)
def test_an_answer_that_is_cut_is_no_whole_one_and_keeps_what_came(text: str, kept: int, rest: str | None) -> None:
    read = json_text.read_answer(text.encode())
    assert read.cut
    assert len(read.body["data"]) == kept
    assert [text for text, _ in read.rejected] == ([rest] if rest else [])


@pytest.mark.parametrize("text", ["", "{", '{"data":', "<html>", "{'data':[1]}", '"data', '{"data"'])
def test_of_what_is_nothing_nothing_is_made(text: str) -> None:
    with pytest.raises(ValueError):
        json_text.read_answer(text.encode())


def test_another_member_that_cannot_be_read_is_left_out_and_said() -> None:
    read = json_text.read_answer(b'{"pagination":{"totalCount":NaN},"data":[1]}')
    assert read.body == {"data": [1]}
    assert read.notes == ["`pagination` of the API's answer cannot be read"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(st.dictionaries(st.text(), VALUES, max_size=4), max_size=6),
    st.integers(0, 6),
    st.sampled_from(['{"id":2,"x":NaN}', "{'id':2}", '{"id":2,}', "nul", '{"a":{"b":[1,]}}', "[" * 2000 + "]" * 2000]),
)
def test_wherever_a_bad_record_stands_the_good_ones_are_kept_as_they_came(
    records: list[Any], place: int, bad: str
) -> None:
    texts = [json_text.dumps(record).decode() for record in records]
    texts.insert(place, bad)
    read = json_text.read_answer(f'{{"pagination":{{}},"data":[{",".join(texts)}]}}'.encode())
    assert json_text.dumps(read.body["data"]) == json_text.dumps(records)
    assert [text for text, _ in read.rejected] == [bad]


@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:\\ data1é', max_size=60).map(str.encode))
def test_whatever_comes_is_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        for around in (data, b'{"data":[' + data + b"]}"):
            read = json_text.read_answer(around)
            json_text.dumps([text for text, _ in read.rejected])


@pytest.mark.parametrize("many", ["[", "{", '"', "\\", '{"a":', "\xff", '{"a":1,"a":2},', "NaN,"])
def test_a_hostile_answer_takes_time_that_grows_with_its_length_alone(many: str) -> None:
    def seconds(count: int) -> float:
        data = b'{"data":[' + many.encode("latin-1") * (count // len(many))
        started = time.process_time()
        with contextlib.suppress(ValueError):
            json_text.read_answer(data)
        return time.process_time() - started

    seconds(1000)
    assert min(seconds(400_000) for _ in range(3)) < 40 * min(seconds(50_000) for _ in range(3)) + 0.05
