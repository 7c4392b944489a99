"""What a process of ours logs is safe to print, whoever logs it: tried in processes of their own, by their stderr."""

import logging
import subprocess
import sys

import pytest

from ncaa_assets.logs import make_logs_safe, shown_in_the_ui
from ncaa_assets_tests.test_text import HOSTILE, is_fit_to_print

_BEGIN = """
import logging, sys, threading, warnings
from ncaa_assets.logs import make_logs_safe
make_logs_safe()
HOSTILE = sys.argv[1].encode("ascii").decode("unicode_escape")
"""


def logged_by(code: str) -> list[str]:
    """The lines on stderr of a process that runs this code, with the title that tries everything in `HOSTILE`."""
    title = HOSTILE.encode("unicode_escape").decode("ascii")
    done = subprocess.run([sys.executable, "-c", _BEGIN + code, title], capture_output=True, check=False)
    return done.stderr.decode("utf-8").split("\n")[:-1]


@pytest.mark.parametrize(
    ("code", "beginning"),
    [
        ("logging.getLogger('ncaa_assets.day').warning('%s not copied', HOSTILE)", "ncaa_assets.day: Duke ALERT"),
        ("logging.getLogger('ncaa_assets.day').warning(HOSTILE)", "ncaa_assets.day: Duke ALERT"),
        ("logging.getLogger('ncaa_assets').warning(RuntimeError(HOSTILE))", "ncaa_assets: Duke ALERT"),
        ("logging.getLogger('ncaa_assets').warning('%s %s', HOSTILE)", "ncaa_assets: '%s %s' (which cannot"),
        ("logging.getLogger('ncaa_assets').warning('%s' * 100, *[HOSTILE * 10000] * 100)", "ncaa_assets: Duke"),
        (
            "logging.getLogger('urllib3.connection').warning('headers: %s', HOSTILE)",
            "urllib3.connection: headers: Duke",
        ),
        ("logging.getLogger('urllib3').warning('%s' * 100, *[HOSTILE * 10000] * 100)", "urllib3: Duke"),
        ("logging.warning(HOSTILE)", "WARNING:root:Duke"),
        ("warnings.warn(HOSTILE)", "<string>:6: UserWarning: Duke"),
        ("raise RuntimeError(HOSTILE)", "Traceback"),
        ("raise RuntimeError from ValueError(HOSTILE * 100000)", "ValueError: Duke"),
        (
            "try:\n    raise RuntimeError(HOSTILE)\n"
            "except RuntimeError:\n    logging.getLogger('botocore').exception('odd')",
            "botocore: odd",
        ),
        (
            "def end():\n    raise RuntimeError(HOSTILE)\nthread = threading.Thread(target=end)\nthread.start()\n"
            "thread.join()",
            "Thread-1 (end) ended with an error",
        ),
        (
            "class Odd:\n    def __del__(self):\n        raise RuntimeError(HOSTILE)\nodd = Odd()\ndel odd",
            "an error that could not be raised",
        ),
    ],
)
def test_no_line_holds_more_than_text_or_passes_for_another_whoever_logs_it(code: str, beginning: str) -> None:
    first, *others = logged_by(code)
    assert first.startswith(beginning)
    assert all(map(is_fit_to_print, (first, *others)))
    assert all(line.startswith("|") for line in others)
    assert len("\n".join([first, *others])) < 50_000
    if "ncaa_assets'" in code or "ncaa_assets." in code:
        assert not others, "a message of ours is one line"


def test_while_a_run_is_shown_in_the_ui_its_messages_have_no_address_to_make_a_link_of() -> None:
    make_logs_safe()

    def logged(message: str, *arguments: str) -> str:
        return (
            logging.getLogger("ncaa_assets.day")
            .makeRecord("ncaa_assets.day", 20, "", 1, message, arguments, None)
            .getMessage()
        )

    assert logged("it says %s", "http://evil.test/") == "it says http://evil.test/"
    with shown_in_the_ui():
        assert logged("it says %s", "http://evil.test/") == "it says http: //evil.test/"
        assert logged("see https://docs.test/") == "see https://docs.test/", "our own words"
    assert logged("it says %s", "http://evil.test/") == "it says http://evil.test/"


def test_what_is_safe_already_is_left_as_it_was_logged() -> None:
    make_logs_safe()
    record = logging.getLogger("uvicorn.access").makeRecord(
        "uvicorn.access", logging.INFO, "file", 1, "%s %d", ("GET /", 200), None
    )
    assert record.args == ("GET /", 200), "formatters of others may want the arguments one by one"
    record = logging.getLogger("other").makeRecord("other", logging.INFO, "file", 1, "two\nlines", (), None)
    assert record.getMessage() == "two\n| lines"
