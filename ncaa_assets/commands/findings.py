"""What `verify`, `restore` and `import` show alike: a finding with what to do about it, and a bar over the days."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ncaa_assets.archive.reconcile import Finding, Severity
from ncaa_assets.commands.say import say
from ncaa_assets.text import SENTENCE, visible


def say_finding(finding: Finding) -> None:
    """Prints a finding on stdout, and below it what to do about it."""
    about = f"{finding.day}  {finding.asset:<16}  " if finding.day else f"{'':<10}  {finding.asset:<16}  "
    colour = "red" if finding.severity is Severity.ERROR else "yellow"
    mark = "" if finding.severity is Severity.ERROR else "(a warning, not an error of the archive) "
    say(about, (f"{finding.key}: {mark}{finding.problem}", colour))
    say(f"{'':<12}→ {finding.remedy}")


def fields_of(finding: Finding) -> dict[str, Any]:
    """A finding for a program."""
    return {
        "day": finding.day,
        "asset": finding.asset,
        "key": visible(finding.key, most=SENTENCE),
        "severity": finding.severity.value.lower(),
        "problem": visible(finding.problem, most=SENTENCE),
        "remedy": visible(finding.remedy, most=SENTENCE),
    }


@contextmanager
def bar_over_days(doing: str, days: int) -> Iterator[Callable[[str, bool], None]]:
    """A bar over so many days, where stderr is a terminal. What it gives is called with a day, and with whether it is
    done or only begun."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    # The bar writes to stderr, so it must not capture findings that go to a file or a pipe.
    bar = Progress(
        *columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty(),
        redirect_stdout=sys.stdout.isatty(),
    )  # fmt: skip
    with bar:
        task = bar.add_task(doing, total=days)
        yield lambda day, is_done: bar.update(task, description=f"{doing} {day}", advance=int(is_done))
