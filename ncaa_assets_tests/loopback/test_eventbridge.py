"""The stand-in for EventBridge's input transformers does what "Input transformation" in its user guide says."""

import json
from typing import Any

import pytest

from ncaa_assets_tests.loopback.eventbridge import Lost, transformed

HOSTILE = [
    'exec: "ncaa-assets": not found',
    "two\nlines\tand a tab",
    "C:\\ncaa\\new",
    "é 視 🏀 \u2028",
    "</b><task>",
    "",
]


def told(template: str, **values: Any) -> str:
    """What a template becomes with these values in the event."""
    paths = {name: f"$.detail.{name}" for name in ("reason", "task")}
    return transformed({"InputPathsMap": paths, "InputTemplate": template}, {"detail": values})


@pytest.mark.parametrize("value", [*HOSTILE, 1404, 1.5, True, None, [], ["a", {"b": 1}], {"code": 1}])
def test_a_bare_variable_becomes_the_json_of_its_value(value: Any) -> None:
    assert json.loads(told('{"reason": <reason>, "of": [1, <task>]}', reason=value, task="t")) == {
        "reason": value, "of": [1, "t"],
    }  # fmt: skip


def test_a_variable_in_quotes_is_inserted_as_it_is() -> None:
    template = '{"text": "task \\"<task>\\" of <reason>"}'
    assert told(template, task="t", reason="r") == '{"text":"task \\"t\\" of r"}'
    assert json.loads(told(template, task=7, reason="\\u0041"))["text"] == 'task "7" of A'


@pytest.mark.parametrize("value", ['exec: "ncaa-assets": not found', "two\nlines", "C:\\new\\ü\\x", {"code": 1}])
@pytest.mark.parametrize("template", ['{"text": "of <reason>"}', '"of <reason>"'])
def test_a_value_in_quotes_that_breaks_the_json_loses_the_mail(template: str, value: Any) -> None:
    with pytest.raises(Lost, match="not delivered"):
        told(template, reason=value)


def test_a_variable_that_the_event_lacks_becomes_nothing() -> None:
    assert told('"a task of <task> stopped"', reason="r") == '"a task of  stopped"'
    with pytest.raises(Lost):
        told('{"task": <task>}', reason="r")


def test_a_string_arrives_with_its_quotes() -> None:
    assert told('"a task stopped: <reason>"', reason="killed") == '"a task stopped: killed"'


def test_a_template_with_a_variable_that_has_no_path_is_refused() -> None:
    with pytest.raises(ValueError, match="invalid placeholder group"):
        told('{"group": <group>}')


def test_without_a_transformer_the_event_is_passed_on() -> None:
    event = {"detail": {"reason": HOSTILE}}
    assert json.loads(transformed(None, event)) == event
