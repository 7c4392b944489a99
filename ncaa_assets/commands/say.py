"""The one place that prints: what a command says passes here, so that no outside text in it is more than text.

`make lint` refuses every other way to print.
"""

import click

from ncaa_assets.text import LINE, visible_line, visible_lines


def say(*parts: str | tuple[str, str], colour: str | None = None, err: bool = False, most: int = LINE) -> None:
    """Prints one line: on stdout, or with `err` on stderr. A part may have a colour of its own, as (text, colour).

    Whatever stands in the line, it stays one line of visible characters, and no part has more than `most` of them.
    """
    told = ((part, None) if isinstance(part, str) else part for part in parts)
    line = "".join(coloured(visible_line(text, most=most), own) for text, own in told)
    click.echo(coloured(line, colour), err=err)


def say_lines(text: str) -> None:
    """Prints a text of several lines, such as a traceback, on stderr."""
    click.echo(visible_lines(text), err=True)


def coloured(text: str, colour: str | None) -> str:
    """A text in a colour, which `click` takes away again where there is no terminal."""
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
