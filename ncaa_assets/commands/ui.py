"""`ncaa-assets ui`: the Dagster UI and daemon, showing this archive's runs."""

import os
import socket
import sys
from pathlib import Path

import click

from ncaa_assets.commands import ending
from ncaa_assets.commands.say import say
from ncaa_assets.failures import SettingsError
from ncaa_assets.settings import Settings, load_dotenv

_WORKSPACE = Path(__file__).parents[1] / "instance" / "workspace.yaml"


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="The port on localhost.")
@ending.debug_option
def ui(port: int, debug: bool) -> None:
    """Runs the Dagster UI and daemon for this archive, until Ctrl-C."""
    ending.run(lambda: _ui(port), debug=debug)


def _ui(port: int) -> int:
    load_dotenv()
    settings = Settings.from_environment()
    home = settings.dagster_home()
    from ncaa_assets.runs.instance import prepare_home  # noqa: PLC0415

    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        # Dagster would only log this and carry on, with a second daemon on the same runs.
        raise SettingsError(f"port {port} cannot be used ({error.strerror}); choose another with --port") from error
    prepare_home(home)
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "DATA_DIR": str(settings.data_dir.expanduser().absolute()),
        "PYTHONWARNINGS": "ignore:Function `dev_command` is superseded",
    }
    say(f"The Dagster UI opens on http://localhost:{port} (Ctrl-C ends it)", err=True)
    sys.stdout.flush()
    # `dagster dev` lets a `.env` in its working directory override this environment, so it starts in the home.
    os.chdir(home)
    program = Path(sys.executable).with_name("dagster")
    arguments = ["dagster", "dev", "-w", str(_WORKSPACE), "-h", "127.0.0.1", "-p", str(port)]
    os.execve(program, arguments, environment)  # noqa: S606 - our own interpreter's neighbour, fixed arguments
