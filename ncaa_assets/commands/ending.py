"""How a command ends: every error becomes one line, and every ending has its exit code."""

import signal
import sys
from collections.abc import Callable
from typing import NoReturn

import click

from ncaa_assets.commands.output import ReaderLeft, lasting_output
from ncaa_assets.commands.say import say, say_lines
from ncaa_assets.failures import AlertNotSent, SettingsError, as_sentence, explained
from ncaa_assets.logs import traceback_of

DONE = 0
FAILED = 1  # a day or a check failed or is incomplete
WRONG_USAGE = 2  # or settings that cannot be used
ALERT_NOT_SENT = 3  # the alert topic did not take an alert
ENDED = 130  # by Ctrl-C or SIGTERM

debug_option = click.option("--debug", is_flag=True, help="Show tracebacks.")


def run(command: Callable[[], int], *, debug: bool, only_tells: bool = False) -> NoReturn:
    """Runs a command to its end and exits with its code. One that `only_tells` ends where nobody listens any more."""
    with lasting_output(ends_with_reader=only_tells):
        code = _code_of(command, debug=debug)
    sys.exit(code)


def _code_of(command: Callable[[], int], *, debug: bool) -> int:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        return command()
    except KeyboardInterrupt:
        text = "ended before it was done; the same command continues where this one stopped"
        say(f"ncaa-assets: {text}", err=True)
        return ENDED
    except ReaderLeft:
        say("ncaa-assets: the reader of its output left, so it ended before it had told all", err=True)
        return FAILED
    except Exception as error:  # noqa: BLE001 - an unforeseen error ends in one line and exit code 1 too
        if debug:
            say_lines(traceback_of(error))
        say(f"ncaa-assets: {as_sentence(error, debug=debug)}", err=True)
        return _code_of_error(error)


def _code_of_error(error: Exception) -> int:
    match explained(error):
        case SettingsError():
            return WRONG_USAGE
        case AlertNotSent():
            return ALERT_NOT_SENT
        case _:
            return FAILED
