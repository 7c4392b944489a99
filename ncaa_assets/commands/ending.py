"""How a command ends: every error becomes one line, and every ending has its exit code."""

import signal
import sys
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from typing import Any, NoReturn

import click

from ncaa_assets import __version__
from ncaa_assets.commands.output import ReaderLeft, lasting_output
from ncaa_assets.commands.say import say, say_json, say_lines
from ncaa_assets.failures import AlertNotSent, SettingsError, as_sentence, explained
from ncaa_assets.logs import traceback_of

DONE = 0
FAILED = 1  # a day or a check failed or is incomplete
WRONG_USAGE = 2  # or settings that cannot be used
ALERT_NOT_SENT = 3  # the alert topic did not take an alert
ENDED = 130  # by Ctrl-C or SIGTERM

debug_option = click.option("--debug", is_flag=True, help="Show tracebacks.")
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document for a program; what people read goes to stderr."
)

# What a command found and did, for a program: the fields of the document that `--json` prints (docs/operations.md).
Answer = dict[str, Any]


def run(command: Callable[[], int], *, debug: bool, only_tells: bool = False, answer: Answer | None = None) -> NoReturn:
    """Runs a command to its end and exits with its code. One that `only_tells` ends where nobody listens any more.

    With an `answer`, which the command fills, that is all of stdout, however the command ends.
    """
    with lasting_output(ends_with_reader=only_tells):
        if answer is None:
            code = _code_of(command, {}, debug=debug)
        else:
            with redirect_stdout(sys.stderr):
                code = _code_of(command, answer, debug=debug)
            context = click.get_current_context()
            about = {"command": context.info_name, "version": __version__, "exit_code": code, "error": None}
            with suppress(ReaderLeft):
                say_json({**about, **answer})
    sys.exit(code)


def _code_of(command: Callable[[], int], answer: Answer, *, debug: bool) -> int:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        return command()
    except KeyboardInterrupt:
        text = "ended before it was done; the same command continues where this one stopped"
        say(f"ncaa-assets: {text}", err=True)
        answer["error"] = text
        return ENDED
    except ReaderLeft:
        say("ncaa-assets: the reader of its output left, so it ended before it had told all", err=True)
        return FAILED
    except Exception as error:  # noqa: BLE001 - an unforeseen error ends in one line and exit code 1 too
        if debug:
            say_lines(traceback_of(error))
        answer["error"] = as_sentence(error, debug=debug)
        say(f"ncaa-assets: {answer['error']}", err=True)
        return _code_of_error(error)


def _code_of_error(error: Exception) -> int:
    match explained(error):
        case SettingsError():
            return WRONG_USAGE
        case AlertNotSent():
            return ALERT_NOT_SENT
        case _:
            return FAILED
