"""Every line that a process of ours logs is safe to print, whoever logs it and whoever prints it.

What strangers wrote reaches a log through our own modules, but also through the libraries that read it (a host's odd
header, in urllib3's warnings), through Dagster (an event, a step's error) and through tracebacks. So it is made safe
where a record comes about, before any handler has it.
"""

import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from ncaa_assets.text import LINE, unlinked, visible, visible_lines

_OURS = "ncaa_assets"
_runs: list[bool] = []  # under way in this process


def make_logs_safe() -> None:
    """Makes safe, for the rest of this process, what is logged and what Python itself prints of errors and warnings.

    A message of ours is one visible line. Messages of others may have several, each visible, and all but the first
    marked with `| `: none can pass for a line of ours. So are tracebacks.
    """
    if logging.getLogRecordFactory() is _safe_record:
        return
    logging.setLogRecordFactory(_safe_record)
    if logging.lastResort is not None:  # what prints warnings where nobody set up logging, without a name before them
        logging.lastResort.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    warnings.formatwarning = _warning
    # Where a test or a debugger has set its own, that is left.
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _print_error
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _print_error_of_thread
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _print_unraisable


@contextmanager
def shown_in_the_ui() -> Iterator[None]:
    """While the `with` lasts, what is logged is shown on a run's page in the UI too, which makes links of addresses. So
    messages of ours have none but in their constant parts: the others may be a stranger's words."""
    _runs.append(True)
    try:
        yield
    finally:
        _runs.pop()


def traceback_of(error: BaseException) -> str:
    """An error with its traceback and its causes, on safe lines."""
    return visible_lines("".join(traceback.format_exception(error)))


def _safe_record(*arguments: Any, **named: Any) -> logging.LogRecord:
    record = logging.LogRecord(*arguments, **named)
    try:
        message, is_fine = record.getMessage(), isinstance(record.msg, str)
    except Exception as error:  # noqa: BLE001 - whatever its arguments raise, the record must come about
        message, is_fine = f"{record.msg!r} (which cannot be formatted: {type(error).__name__})", False
    is_ours = str(record.name).partition(".")[0] == _OURS  # an empty record has no name
    told = unlinked(message) if is_ours and record.args and _runs else message
    safe = visible(told, most=LINE) if is_ours else visible_lines(told, most=LINE)
    if safe != message or not is_fine:
        record.msg, record.args = safe, None
    if record.exc_info is not None and record.exc_info[1] is not None:
        record.exc_text = "| " + traceback_of(record.exc_info[1])  # formatters take it as it is
    return record


def _print_error(_: type[BaseException], error: BaseException, __: TracebackType | None) -> None:
    _print(traceback_of(error))


def _print_error_of_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None and ended.exc_type is not SystemExit:
        name = ended.thread.name if ended.thread is not None else "a thread"
        _print(visible_lines(f"{name} ended with an error\n{traceback_of(ended.exc_value)}"))


def _print_unraisable(met: "sys.UnraisableHookArgs") -> None:
    if met.exc_value is not None:
        where = met.err_msg or "an error that could not be raised"
        _print(visible_lines(f"{where}: {met.object!r}\n{traceback_of(met.exc_value)}"))


def _print(text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(f"{text}\n")


def _warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,  # noqa: ARG001 - Python gives it
) -> str:
    return f"{filename}:{lineno}: {category.__name__}: {visible(message, most=LINE)}\n"
