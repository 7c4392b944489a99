"""The `ncaa-assets` command: its subcommands, each in a file of its own. Results go to stdout, progress and errors to
stderr."""

import re
from collections.abc import Sequence
from typing import Any

import click

from ncaa_assets import __version__, advice
from ncaa_assets.commands.backup import backup
from ncaa_assets.commands.catch_up import catch_up
from ncaa_assets.commands.doctor import doctor
from ncaa_assets.commands.find import find
from ncaa_assets.commands.forget import forget
from ncaa_assets.commands.gallery import gallery
from ncaa_assets.commands.import_ import import_
from ncaa_assets.commands.restore import restore
from ncaa_assets.commands.source import source
from ncaa_assets.commands.ui import ui
from ncaa_assets.commands.verify import verify
from ncaa_assets.logs import make_logs_safe
from ncaa_assets.record import calendar
from ncaa_assets.settings import DAY_WORDS


class _Commands(click.Group):
    """The subcommands, whose usage and hints are lines that work where they are printed."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **options: Any) -> Any:  # type: ignore[override]
        return super().main(args, prog_name or advice.program(), **options)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            if (meant := _meant(error)) is None:
                raise
            said = error.message.partition(".")[0]
            raise click.UsageError(f"{said}. Did you mean `{meant}`?", error.ctx) from None


def _meant(error: click.UsageError) -> str | None:
    """The command with its days as options, where a person named days without; that of `make watch`, where `watch` was
    taken for a command; None for any other error."""
    if error.message.startswith("No such command 'watch'"):
        return advice.command("gallery", "--date", "newest")
    extra = re.fullmatch(r"Got unexpected extra arguments? \(([^()]+)\)", error.message)
    if extra is None or error.ctx is None or error.ctx.info_name is None:
        return None
    days = extra[1].split()
    options = {name for option in error.ctx.command.params for name in option.opts}
    named = ["--date", *days]
    if len(days) == 2 or "--date" not in options:
        named = ["--from", days[0], "--to", days[-1]]
    are_days = all(day in DAY_WORDS or calendar.is_day(day) for day in days)
    if not are_days or len(days) > 2 or not options.issuperset(named[::2]):
        return None
    return advice.command(error.ctx.info_name, *named)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ncaa-assets")
def main() -> None:
    """Keeps NCAA basketball highlights: each day's JSON, a row a highlight, the video, and its web encode."""
    make_logs_safe()


for command in (backup, catch_up, verify, restore, import_, forget, find, source, gallery, doctor, ui):
    main.add_command(command)
