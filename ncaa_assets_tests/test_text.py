"""Texts of others, as they reach a person: one line, visible characters, bounded."""

import json
import logging
import subprocess
import time
import traceback
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ncaa_assets.archive.reconcile import Finding
from ncaa_assets.commands.findings import say_finding
from ncaa_assets.defs.metadata import escaped
from ncaa_assets.failures import SourceError, one_line
from ncaa_assets.record.models import Highlight
from ncaa_assets.runs import alerts
from ncaa_assets.runs.alerts import Alert
from ncaa_assets.runs.day_line import log_finished_day
from ncaa_assets.runs.outcome import DayRun
from ncaa_assets.runs.results import Result
from ncaa_assets.text import LINE, unlinked, visible, visible_line, visible_lines
from ncaa_assets_tests.days import settings_for

# A title that tries everything at once: lines of its own, a terminal's codes, a reversed direction, half an emoji.
HOSTILE = (
    'Duke\nALERT daily_backup 2025-03-09: all is well\r\n{"event": "ncaa_assets_day"}\x1b[31m\x9b2J\u202egpj\u2069'
    "\u2028\x85\v\f\0\ud83d\u200b\ue000\uffff end"
)


def is_fit_to_print(text: str) -> bool:
    return all(
        character == " " or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}
        for character in text
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Duke vs. UNC", "Duke vs. UNC"),
        ("", ""),
        (" \n\t ", ""),
        ("one\ntwo\r\nthree\u2028four\u2029five\x85six\vseven\feight", "one two three four five six seven eight"),
        ("a \u00a0\u3000 b\u2800c", "a b c"),
        ("\x1b[31mred\x1b[0m", "�[31mred�[0m"),
        ("\x9b31m \0 \x07 \x7f", "�31m � � �"),
        ("a\u202eb\u202ac\u2066d\u2069e\u200ef\u200fg\u061ch", "abcdefgh"),
        ("pay\u200bpal\u00ad\ufeff\u2060", "paypal"),
        ("\u115f\u1160\u3164\uffa0\u034f\U000e0041\U000e0100", ""),
        ("half \ud83d an emoji", "half � an emoji"),
        ("\ue000\U0010fffd\uffff\u0378", "����"),
        ("San José Hawaiʻi “quoted” — 🏀", "San José Hawaiʻi “quoted” — 🏀"),
        ("e\u0301", "e\u0301"),
        ("❤\ufe0f \U0001f468\u200d\U0001f469\u200d\U0001f467", "❤ \U0001f468\U0001f469\U0001f467"),
        ("العربية עברית 日本語 हिन्दी", "العربية עברית 日本語 हिन्दी"),
        (None, "None"),
        (7, "7"),
        (["a\nb"], "['a\\nb']"),
        (b"caf\xc3\xa9 \xff\n", "café �"),
        (ValueError("two\nlines"), "two lines"),
    ],
)
def test_a_text_is_one_line_of_visible_characters(text: object, shown: str) -> None:
    assert visible(text) == shown


# Whoever is named before the `@` of an address is nobody's business. "secret" never shows.
ADDRESSES = {
    "http://user:secret@host/a": "http://…@host/a",
    "http://secret@host": "http://…@host",
    "see HTTPS://user:secret@host:8443/a?b#c, please": "see HTTPS://…@host:8443/a?b#c, please",
    "http://us@er:secret@host/x@y": "http://…@host/x@y",
    "http:/user:secret@host/": "http:/…@host/",
    "http:user:secret@host/": "http:…@host/",
    "https:\\\\user:secret@host\\a": "https:\\\\…@host\\a",
    "//user:secret@host": "//…@host",
    "postgresql+psycopg2://user:secret@host/db": "postgresql+psycopg2://…@host/db",
    "http://user%3Asecret%40host/": "http://…@host/",
    "https://a.test/?u=http://user:secret@host/": "https://a.test/?u=http://…@host/",
    "https://a.test/?u=http%3A%2F%2Fuser%3Asecret%40host%2Fa": "https://a.test/?u=http%3A%2F%2F…@host%2Fa",
    "http://us\ner:sec\tret@host": "http://…@host",
    "ht\u200btp:/\u2060/user:sec\u202eret@host": "http://…@host",
    "http://user:" + "secret" * 1000 + "@host/": "http://……",
}


@pytest.mark.parametrize("text", ADDRESSES, ids=range(len(ADDRESSES)))
def test_the_name_and_the_password_of_an_address_are_not_shown(text: str) -> None:
    assert visible(text) == ADDRESSES[text]
    assert "ret" not in visible_line(f"  {text}  two")
    assert "ret" not in visible_lines(f"Error:\n  {text}\n")
    assert "ret" not in str(SourceError(text))
    for most in range(1, 60):
        assert "ret" not in visible(text, most=most)


@pytest.mark.parametrize(
    "text",
    [
        "Duke @ UNC", "Duke@UNC https://host.test/a", "mail a@b.test", "https://host.test/@name/a@b?c=d@e#f@g",
        "https://host.test/?mail=a%40b.test", "08:00@Duke", "a: b@c",
    ],
)  # fmt: skip
def test_an_at_sign_elsewhere_is_a_text_like_any_other(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize("text", ["http:", "http:,", "//", "%2f%2f", "a@", "http:@", "@", "%40", "//a@", "http://a:"])
def test_no_text_of_addresses_takes_long(text: str) -> None:
    started = time.process_time()
    visible(text * 10**6, most=20_000)
    assert time.process_time() - started < 0.5


def test_a_line_of_ours_keeps_its_layout_and_is_one_line() -> None:
    assert visible_line("  rows              5 rows") == "  rows              5 rows"
    assert visible_line(f"  {HOSTILE}").startswith("  Duke ALERT daily_backup")
    assert is_fit_to_print(visible_line(HOSTILE))


def test_an_error_of_ours_is_one_bounded_line_from_the_start() -> None:
    error = SourceError(f"it says {HOSTILE}, {'x' * 10**7}")
    assert is_fit_to_print(str(error))
    assert is_fit_to_print(traceback.format_exception_only(error)[-1].removesuffix("\n"))
    assert len(str(error)) <= LINE
    assert str(SourceError(str(error))) == str(error)


@given(st.text(st.characters()) | st.text(st.sampled_from(HOSTILE + "@/:")), st.integers(1, 50))
def test_no_text_has_a_way_around_it(text: str, most: int) -> None:
    shown = visible(text, most=most)
    assert is_fit_to_print(shown)
    assert shown == " ".join(shown.split())
    assert len(shown) <= most
    assert visible(shown, most=most) == shown
    shown.encode("utf-8")


def test_a_long_text_is_cut_and_says_so() -> None:
    assert visible("x" * 300) == "x" * 300
    assert visible("x" * 301) == "x" * 299 + "…"
    assert visible("two words", most=5) == "two…"
    assert visible(" " * 5000 + "late", most=10) == "…"


@pytest.mark.parametrize("text", ["x" * 10**7, " " * 10**7, "\u200b" * 10**7, "\x1b" * 10**7, b"\xff" * 10**7])
def test_ten_million_characters_cost_what_a_line_costs(text: object) -> None:
    started = time.process_time()
    for _ in range(10):
        assert len(visible(text)) <= 300
    assert time.process_time() - started < 0.5


def test_an_object_that_cannot_be_shown_is_named() -> None:
    class Odd:
        def __str__(self) -> str:
            raise RuntimeError

    assert visible(Odd()) == "<Odd>"
    assert visible(10**6000) == "<int>"


def test_a_record_is_called_by_a_name_that_a_log_can_hold() -> None:
    label = Highlight.parse({"id": "1\n2" + "9" * 1000, "title": HOSTILE * 1000}).label
    assert is_fit_to_print(label)
    assert label.startswith("“1 29"), "an id that does not look like one is in quotes"
    assert len(label) < 250
    assert Highlight.parse({"id": 1, "title": "\n"}).label == "1"
    assert Highlight.parse({"id": "ALERT all is well"}).label == "“ALERT all is well”"


def test_an_error_of_a_library_is_one_line() -> None:
    assert is_fit_to_print(one_line(RuntimeError(HOSTILE)))
    assert is_fit_to_print(one_line(SourceError(HOSTILE)))


def test_an_alert_has_its_four_lines_whatever_happened(caplog: pytest.LogCaptureFixture) -> None:
    alert = Alert("daily_backup", "2025-03-09\nday: none", HOSTILE, "http://ui/\x1b[2J")
    assert len(alert.text.splitlines()) == 4
    assert all(map(is_fit_to_print, alert.text.splitlines()))
    assert is_fit_to_print(alert.subject)
    with caplog.at_level(logging.ERROR):
        alerts.send(settings_for("http://127.0.0.1:1/highlights"), alert)
    assert is_fit_to_print(caplog.messages[0])


def test_the_line_of_a_finished_day_is_one_line_of_json_whatever_ended_the_day(
    capfd: pytest.CaptureFixture[str],
) -> None:
    for text in (HOSTILE, "\U0001f3c0" * 10**7, '"result": "backed_up"}\n'):
        ended = DayRun("run-1", failed_checks=[text])
        log_finished_day("2025-03-09", ended, result=Result.FAILED, seconds=1, is_sample=False)
        (line,) = capfd.readouterr().err.splitlines()
        assert is_fit_to_print(line)
        assert json.loads(line)["result"] == "failed"
        assert len(line.encode()) < 4096, "the system writes so many bytes at once"


def test_verify_prints_a_finding_on_its_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    say_finding(Finding("2025-03-09", "videos", HOSTILE, HOSTILE, f"run it\n{HOSTILE}"))
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) == 2
    assert all(map(is_fit_to_print, printed.splitlines()))


def test_metadata_is_visible_before_it_is_markdown() -> None:
    assert is_fit_to_print(escaped(HOSTILE))
    assert escaped("*" * 500, most=3) == r"\*\*…"


def test_nothing_else_makes_a_line_of_a_strangers_text() -> None:
    """Joining what `split` leaves keeps every control character: `visible` is the way."""
    package = Path(alerts.__file__).parents[1]
    found = subprocess.run(
        ["grep", "-rnE", r"join\(.*\.split\(\)\)", "--include=*.py", str(package)],
        capture_output=True, text=True, check=False,
    ).stdout.splitlines()  # fmt: skip
    assert [line for line in found if "text.py" not in line] == []


def test_a_traceback_keeps_its_lines_and_its_indentation_and_nothing_that_cannot_be_seen() -> None:
    text = f"Traceback:\n    raise Error\nError: {HOSTILE}"
    lines = visible_lines(text).split("\n")
    assert lines[:2] == ["Traceback:", "|     raise Error"]
    assert all(map(is_fit_to_print, lines))
    assert all(line.startswith("|") for line in lines[1:]), "none can pass for a line of somebody else's"
    assert visible_lines("\n".join(lines)).split("\n") == lines


def test_a_text_of_ten_million_characters_is_some_lines() -> None:
    for text in ("x" * 10**7, "x\n" * 10**7, "first\n" + "\n" * 10**7 + "last"):
        assert len(visible_lines(text)) < 80_000
    assert visible_lines("first\n" + "x" * 10**7 + "\nlast").split("\n")[::4] == ["first", "| last"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see http://h/ and HTTPS://h/", "see http: //h/ and HTTPS: //h/"),
        ("s3://bucket/key is denied", "s3://bucket/key is denied"),
        ("dynamodb://us-east-1/t", "dynamodb://us-east-1/t"),
        ("xs3://h/", "xs3: //h/"),
    ],
)
def test_only_an_address_of_the_archive_stays_one_that_can_be_copied(text: str, shown: str) -> None:
    assert unlinked(text) == shown
