"""What a person sees while a command works: log lines, a bar over several days, a line for each day, and a table.

The bar goes to stderr and only to a terminal; cron and CI get plain lines. Results go to stdout.
"""

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ncaa_assets.commands.days import DayResult
from ncaa_assets.commands.output import second_stderr
from ncaa_assets.commands.say import coloured, say, say_lines, takes_colours
from ncaa_assets.runs.results import Result
from ncaa_assets.settings import Settings, misspelt
from ncaa_assets.text import plural

if TYPE_CHECKING:
    from rich.progress import Progress

    from ncaa_assets.runs.outcome import DayRun


class _LinesForPeople(logging.Formatter):
    """Formats a record as its message alone. On a terminal, warnings and errors are coloured."""

    def __init__(self, *, colours: bool) -> None:
        super().__init__()
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        text = f"  {record.getMessage()}"
        if not self._colours or record.levelno < logging.WARNING:
            return text
        return coloured(text, "yellow" if record.levelno < logging.ERROR else "red")


class TerminalLog(logging.StreamHandler[TextIO]):
    """Writes the modules' log to stderr. While `bar` is set, the bar shows what is below a warning as its own text."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.bar: Progress | None = None
        self.is_terminal = stream.isatty()
        self.setFormatter(_LinesForPeople(colours=takes_colours(stream)))

    def emit(self, record: logging.LogRecord) -> None:
        if self.bar is None:
            super().emit(record)
        elif record.levelno < logging.WARNING:
            for task in self.bar.task_ids:
                self.bar.update(task, doing=record.getMessage()[:60])
        else:
            self.bar.console.print(self.format(record), markup=False, highlight=False)


@contextmanager
def logging_to_terminal(*, debug: bool) -> Iterator[TerminalLog]:
    """Shows what the modules log while the `with` lasts."""
    # A file handle of our own: an instance that captures a step's output would capture these lines too.
    with second_stderr() as stream:
        handler = TerminalLog(stream)
        logger = logging.getLogger("ncaa_assets")
        logger.setLevel(logging.DEBUG if debug else logging.INFO)
        logger.addHandler(handler)
        logger.propagate = False
        try:
            yield handler
        finally:
            logger.removeHandler(handler)
            logger.propagate = True


@contextmanager
def bar_over(days: int, log: TerminalLog) -> Iterator[Callable[[date], None]]:
    """A bar over so many days, where stderr is a terminal; what it gives is called with each day that is done."""
    if not log.is_terminal:
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.file_proxy import FileProxy  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    class AboveTheBar(FileProxy):
        """Rich's own proxy has no encoding, so click would write around it and into the bar."""

        encoding, errors = "utf-8", "strict"

    console = Console(file=log.stream)
    doing = TextColumn("{task.fields[doing]}", markup=False)
    bar = Progress(
        BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), doing,
        console=console, transient=True, redirect_stdout=False, redirect_stderr=False,
    )  # fmt: skip
    task = bar.add_task("days", total=days, doing="")
    with ExitStack() as stack:
        stack.enter_context(bar)
        stack.enter_context(redirect_stderr(AboveTheBar(console, sys.stderr)))
        if sys.stdout.isatty():  # results redirected to a file go there
            stack.enter_context(redirect_stdout(AboveTheBar(console, sys.stdout)))
        log.bar = bar
        try:
            yield lambda day: bar.update(task, advance=1, doing=f"{day} done")
        finally:
            log.bar = None


def label(settings: Settings, day: date) -> str:
    """A day's name for people: a day of the sample is marked as such."""
    return f"{day} (SAMPLE)" if settings.uses_sample else str(day)


def say_day(day: DayResult, *, label: str) -> None:
    """Prints one line for a day that ended: failures go to stderr, the rest to stdout."""
    if day.done_before:
        say(f"{label} {day.why}")
        return
    match day.result:
        case Result.BACKED_UP:
            text = f"{label} backed up: {plural(day.highlights or 0, 'highlight')} ({day.new} new), "
            text += f"{plural(day.copied or 0, 'video')} copied, {day.skipped} skipped, {day.encoded} encoded, "
            say(text + duration(day.seconds), colour="green")
        case Result.SKIPPED:
            say(f"{label} skipped: {day.why}")
        case _:
            say(f"{label} {day.words}: {day.why}", colour="red", err=True)


def report_details(*, debug: bool) -> Callable[[date, "DayRun"], None]:
    """A function that prints what a day's line leaves out: warnings, failed checks and, with `debug`, tracebacks."""

    def report(day: date, ended: "DayRun") -> None:
        for warning in ended.warnings:
            say(f"  {day} warning: {warning}", colour="yellow")
        for check in ended.failed_checks:
            say(f"  {day} check failed: {check}", colour="red", err=True)
        for error in ended.errors if debug else []:
            say_lines(error.detail)

    return report


def print_table(days: Sequence[DayResult]) -> None:
    """Prints the table that ends a range: a line for each day, and the sums."""
    from rich import box  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    # Narrow enough for 80 columns. Where it is not, the results alone are wrapped.
    table = Table(box=box.SIMPLE, show_footer=True, padding=(0, 1, 0, 0))
    numbers = {
        "highlights": [day.highlights for day in days],
        "new": [day.new for day in days],
        "copied": [day.copied for day in days],
        "skipped": [day.skipped for day in days],
        "encoded": [day.encoded for day in days],
    }
    table.add_column("day", footer=plural(len(days), "day"), no_wrap=True)
    for name, values in numbers.items():
        table.add_column(name, footer=str(sum(value or 0 for value in values)), justify="right", no_wrap=True)
    table.add_column("time", footer=duration(sum(day.seconds or 0.0 for day in days)), justify="right", no_wrap=True)
    table.add_column("result", footer=f"{sum(day.is_done for day in days)} done")
    for line, day in enumerate(days):
        cells = ["" if values[line] is None else str(values[line]) for values in numbers.values()]
        style = None if day.is_done else "yellow" if day.result is Result.SKIPPED else "red"
        table.add_row(str(day.day), *cells, duration(day.seconds), day.words, style=style)
    # Where there is no terminal, rich would cut the table at 80 columns.
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120, highlight=False).print(table)


def duration(seconds: float | None) -> str:
    """`4.2 s`, `3 min 12 s`, `2 h 05 min`."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def say_about_settings(settings: Settings) -> None:
    """Says which setting may be misspelt; and while there is no key, that the data are made up and where they go."""
    for sentence in misspelt():
        say(sentence, colour="yellow", err=True)
    if settings.uses_sample:
        say(
            "SAMPLE DATA: there is no RAPIDAPI_KEY, so a built-in sample API answers with made-up games.",
            colour="yellow", err=True,
        )  # fmt: skip
        say(
            f"They go to {shown(settings.archive_dir)}, never to your archive. Set RAPIDAPI_KEY (see .env.example) "
            "for real ones.",
            colour="yellow", err=True,
        )  # fmt: skip


def say_unrecorded(sentence: str) -> None:
    """Says on stderr why runs are not recorded."""
    say(f"ncaa-assets: {sentence}", colour="yellow", err=True)


def shown(path: Path) -> str:
    """A path for people: relative where it lies in the working directory."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
