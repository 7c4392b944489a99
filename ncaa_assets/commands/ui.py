"""`ncaa-assets ui`: the Dagster UI and daemon on this archive's runs."""

import os
import socket
import sys
from pathlib import Path

import click

from ncaa_assets.commands import ending
from ncaa_assets.failures import SettingsError
from ncaa_assets.settings import Settings, load_dotenv

_WORKSPACE = Path(__file__).parents[1] / "instance" / "workspace.yaml"


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="The port on localhost.")
@ending.debug_option
def ui(port: int, debug: bool) -> None:
    """Opens the Dagster UI and daemon on this archive's runs, until Ctrl-C."""
    ending.run(lambda: _ui(port), debug=debug)


def _ui(port: int) -> int:
    load_dotenv()
    settings = Settings.from_environment()
    home = settings.dagster_home()
    from ncaa_assets.runs.instance import prepare_home  # noqa: PLC0415

    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        # Dagster would say so in the middle of its log and go on, with a second daemon on the same runs.
        raise SettingsError(f"port {port} cannot be had ({error.strerror}); choose another with --port") from error
    prepare_home(home)
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "DATA_DIR": str(settings.data_dir.expanduser().absolute()),
        "PYTHONWARNINGS": "ignore:Function `dev_command` is superseded",
    }
    click.echo(f"The Dagster UI opens on http://localhost:{port} (Ctrl-C ends it)", err=True)
    sys.stdout.flush()
    # In the home, because `dagster dev` lets a `.env` in its working directory override what is set here.
    os.chdir(home)
    program = Path(sys.executable).with_name("dagster")
    arguments = ["dagster", "dev", "-w", str(_WORKSPACE), "-h", "127.0.0.1", "-p", str(port)]
    os.execve(program, arguments, environment)  # noqa: S606 - our own interpreter's neighbour, fixed arguments
