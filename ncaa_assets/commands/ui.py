"""`ncaa-assets ui`: the Dagster UI and daemon, showing this archive's runs."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

import click

from ncaa_assets.archive.archive import Archive
from ncaa_assets.commands import ending, terminal
from ncaa_assets.commands.say import say
from ncaa_assets.failures import SettingsError
from ncaa_assets.settings import Settings, load_dotenv

_HOST = "127.0.0.1"


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="The port to listen on.")
@click.option("--host", default=_HOST, show_default=True, help="The address to listen on; the UI has no login.")
@click.option(
    "--only-web",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="WORKSPACE",
    help="The UI alone, without a daemon, on the code server that this workspace.yaml names.",
)
@ending.debug_option
def ui(port: int, host: str, only_web: Path | None, debug: bool) -> None:
    """Runs the Dagster UI and daemon for this archive, until Ctrl-C."""
    ending.run(lambda: _ui(port, host, only_web, debug=debug), debug=debug)


def _ui(port: int, host: str, only_web: Path | None, *, debug: bool) -> int:
    load_dotenv()
    settings = Settings.from_environment()
    home = settings.dagster_home()
    listener = listen(host, port)
    shown = "localhost" if host in (_HOST, "0.0.0.0", "::") else f"[{host}]" if ":" in host else host  # noqa: S104
    address = f"http://{shown}:{port}"
    os.environ |= {"DAGSTER_HOME": str(home), "DATA_DIR": str(settings.data_dir.expanduser().absolute())}
    if "ui_url" not in settings.model_fields_set:
        os.environ["UI_URL"] = address  # for the alerts of the daemon
    say(f"The Dagster UI opens on {address} (Ctrl-C ends it)", err=True)
    hosts = {host, urlsplit(settings.ui_url).hostname or host, *(settings.ui_hosts or ())}
    asked = _asked_to_end()
    with listener, terminal.logging_to_terminal(debug=debug):
        try:
            _run(settings, home, listener, hosts, only_web=only_web, asked=asked.is_set)
        except KeyboardInterrupt:
            return ending.DONE
        except Exception:
            if not asked.is_set():  # else it is what the signal cut short
                raise
    assert asked.is_set(), "it ends by a signal or with an error"  # noqa: S101
    return ending.DONE


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises:
        SettingsError: it cannot; another port may be free.
    """
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        where, choose = (f"port {port}", "--port") if host == _HOST else (f"{host}, port {port},", "--host or --port")
        raise SettingsError(f"{where} cannot be used ({error.strerror}); choose another with {choose}") from error


def _asked_to_end() -> threading.Event:
    """Set once a signal asks this process to end. Where the signal meets a finalizer, as it may in the middle of an
    import, Python swallows the exception that it raises, and would print it."""
    asked = threading.Event()
    print_unraisable = sys.unraisablehook

    def unless_remembered(met: "sys.UnraisableHookArgs") -> None:
        if not isinstance(met.exc_value, KeyboardInterrupt):
            print_unraisable(met)

    sys.unraisablehook = unless_remembered

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()
        signal.default_int_handler(number, frame)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)
    return asked


def _run(
    settings: Settings,
    home: Path,
    listener: socket.socket,
    hosts: set[str],
    *,
    only_web: Path | None,
    asked: Callable[[], bool],
) -> None:
    from ncaa_assets.runs.instance import open_instance  # noqa: PLC0415
    from ncaa_assets.ui.services import WORKSPACE, Services  # noqa: PLC0415

    with ExitStack() as stack:
        instance = stack.enter_context(open_instance(home))
        # The code server starts while this process imports the web application.
        services = stack.enter_context(Services(instance)) if only_web is None else None
        from ncaa_assets.ui.web import serve  # noqa: PLC0415

        if services is not None:
            services.start_daemon()
        serve(
            instance,
            workspace=only_web or WORKSPACE,
            listener=listener,
            hosts=hosts,
            open_store=lambda: Archive.open(settings).store,
            until=lambda: asked() or (services is not None and services.have_ended()),
        )
        if services is not None:
            services.check()
