"""How a command ends: every error becomes one line, and every ending has its exit code."""

import signal
import sys
from collections.abc import Callable
from typing import NoReturn

import click

from ncaa_assets.commands.say import say, say_lines
from ncaa_assets.failures import AlertNotSent, BackupError, SettingsError
from ncaa_assets.logs import traceback_of
from ncaa_assets.text import visible

DONE = 0
FAILED = 1  # a day or a check failed or is incomplete
WRONG_USAGE = 2  # or settings that cannot be used
ALERT_NOT_SENT = 3  # the alert topic did not take an alert
ENDED = 130  # by Ctrl-C or SIGTERM

debug_option = click.option("--debug", is_flag=True, help="Show tracebacks.")


def run(command: Callable[[], int], *, debug: bool) -> NoReturn:
    """Runs a command to its end and exits with its code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        code = command()
    except SettingsError as error:
        code = _complain(error, debug=debug, code=WRONG_USAGE)
    except AlertNotSent as error:
        code = _complain(error, debug=debug, code=ALERT_NOT_SENT)
    except BackupError as error:
        code = _complain(error, debug=debug, code=FAILED)
    except KeyboardInterrupt:
        say("ncaa-assets: ended before it was done; the same command continues where this one stopped", err=True)
        code = ENDED
    except Exception as error:  # noqa: BLE001 - an unforeseen error ends in one line and exit code 1 too
        code = _complain(error, debug=debug, code=FAILED)
    sys.stdout.flush()
    sys.exit(code)


def _complain(error: Exception, *, debug: bool, code: int) -> int:
    if debug:
        say_lines(traceback_of(error))
    if isinstance(error, BackupError):
        say(f"ncaa-assets: {error}", err=True)
    else:
        text = visible(error, most=500)
        hint = "" if debug else "; --debug shows where"
        say(f"ncaa-assets: unexpected {type(error).__name__}: {text}{hint}", err=True)
    return code
