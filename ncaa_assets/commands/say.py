"""The one place that prints: what a command says passes here, so that no outside text in it is more than text.

`make lint` refuses every other way to print.
"""

import json
import os
import sys
from collections.abc import Mapping
from typing import TextIO

import click

from ncaa_assets.text import LINE, visible_line, visible_lines


def say(*parts: str | tuple[str, str], colour: str | None = None, err: bool = False, most: int = LINE) -> None:
    """Prints one line: on stdout, or with `err` on stderr. A part may have a colour of its own, as (text, colour).

    Whatever stands in the line, it stays one line of visible characters, and no part has more than `most` of them.
    """
    told = ((part, None) if isinstance(part, str) else part for part in parts)
    line = "".join(coloured(visible_line(text, most=most), own) for text, own in told)
    click.echo(coloured(line, colour), err=err, color=takes_colours(sys.stderr if err else sys.stdout))


def say_json(document: Mapping[str, object]) -> None:
    """Prints a document for a program, on one line of stdout. What a terminal would act on is escaped in it."""
    click.echo(json.dumps(document, default=str))


def say_lines(text: str) -> None:
    """Prints a text of several lines, such as a traceback, on stderr."""
    click.echo(visible_lines(text), err=True)


def takes_colours(stream: TextIO) -> bool:
    """Whether text that goes there may have colours: a terminal's may that shows them, unless `NO_COLOR` is set, and
    anything's where `FORCE_COLOR` is."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (
        os.environ.get("TERM") not in ("dumb", "unknown") and stream.isatty()
    )


def coloured(text: str, colour: str | None) -> str:
    """A text in a colour, which `say` takes away again where what it goes to takes none."""
    return text if colour is None else click.style(text, fg=colour)


def confirmed(question: str) -> bool:
    """Whether the person says yes.

    Raises:
        KeyboardInterrupt: the person pressed Ctrl-C.
    """
    try:
        return click.confirm(visible_line(question))
    except click.Abort:
        raise KeyboardInterrupt from None
