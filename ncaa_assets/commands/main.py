"""The `ncaa-assets` command: its subcommands, each in a file of its own. Results go to stdout, progress and errors to
stderr."""

import click

from ncaa_assets import __version__
from ncaa_assets.commands.backup import backup
from ncaa_assets.commands.catch_up import catch_up
from ncaa_assets.commands.doctor import doctor
from ncaa_assets.commands.forget import forget
from ncaa_assets.commands.source import source
from ncaa_assets.commands.ui import ui
from ncaa_assets.commands.verify import verify
from ncaa_assets.logs import make_logs_safe


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Keeps NCAA basketball highlights: each day's JSON, a row a highlight, the video, and its web encode."""
    make_logs_safe()


for command in (backup, catch_up, verify, forget, source, doctor, ui):
    main.add_command(command)
