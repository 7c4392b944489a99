"""The stand-in for CloudWatch's metric filters counts what the real one does, according to its user guide."""

import pytest

from ncaa_assets_tests.loopback.cloudwatch import matches

BOTH = '{ ($.event = "ncaa_assets_day") && ($.result = "backed_up") }'


@pytest.mark.parametrize(
    ("message", "is_counted"),
    [
        ('{"event": "ncaa_assets_day", "result": "backed_up"}', True),
        ('{"result":"backed_up","event":"ncaa_assets_day","error":null}', True),
        ('{"event": "ncaa_assets_day", "result": "failed", "error": "ncaa_assets_day backed_up"}', False),
        ('{"event": "ncaa_assets_day", "error": "\\"result\\": \\"backed_up\\""}', False),
        ('{"event": "ncaa_assets_day", "result": ["backed_up"]}', False),
        ('2026-01-01 - dagster - INFO - {"event": "ncaa_assets_day", "result": "backed_up"}', False),
        ('{"event": "ncaa_assets_day", "result": "backed_up"} and more', False),
        ("ncaa_assets_day backed_up", False),
        ('["ncaa_assets_day", "backed_up"]', False),
        ("", False),
    ],
)
def test_an_event_is_counted_by_its_own_fields_alone(message: str, is_counted: bool) -> None:
    assert matches(BOTH, message) is is_counted


def test_an_asterisk_stands_for_any_text() -> None:
    assert matches('{ ($.result = "back*") }', '{"result": "backed_up"}')
    assert not matches('{ ($.result = "back*") }', '{"result": "not backed_up"}')


@pytest.mark.parametrize("pattern", ['"ncaa_assets_day" "backed_up"', "ncaa_assets_day", "", "{ $.event }", "[a, b]"])
def test_a_pattern_that_is_not_of_json_fields_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="no pattern for the fields of JSON"):
        matches(pattern, '{"event": "ncaa_assets_day"}')
