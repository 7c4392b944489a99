"""Dagster's own web application behind the guard, and the archive's gallery beside it, served by uvicorn.

`dagster-webserver` and `dagster dev` serve Dagster's application without a guard and without the gallery; both are
Dagster's own commands.
"""

import socket
import threading
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import dagster as dg
import uvicorn
from dagster_webserver.app import create_app_from_workspace_process_context
from starlette.routing import BaseRoute, Match

from ncaa_assets.ports import ObjectStore
from ncaa_assets.runs.dagster_private import workspace_context
from ncaa_assets.ui import gallery
from ncaa_assets.ui.guard import Guard, Kind, Scope

# What `dagster-webserver` gives the instance and the application by default (dagster_webserver/cli.py in 1.13.27).
_STATEMENT_MILLISECONDS, _POOL_RECYCLE_SECONDS, _POOL_OVERFLOW = 15_000, 3600, 20
_LIVE_DATA_MILLISECONDS = 2000
_ENDS_WITHIN = 3  # seconds for answers under way when the server ends
_LOOK_EVERY = 0.5  # seconds


def serve(
    instance: dg.DagsterInstance,
    *,
    workspace: Path,
    listener: socket.socket,
    hosts: Collection[str],
    open_store: Callable[[], ObjectStore],
    until: Callable[[], bool],
) -> None:
    """Serves the UI on `listener` until `until()` is true.

    Args:
        workspace: the workspace.yaml that says where the code server is.
        open_store: opens the archive's store, from which the gallery is shown.
        hosts: the names that the UI is meant to have besides those of loopback.

    Raises:
        KeyboardInterrupt: a SIGINT or SIGTERM came.
    """
    instance.optimize_for_webserver(_STATEMENT_MILLISECONDS, _POOL_RECYCLE_SECONDS, _POOL_OVERFLOW)
    with workspace_context(instance, workspace) as context:
        app = create_app_from_workspace_process_context(context, live_data_poll_rate=_LIVE_DATA_MILLISECONDS)
        app.router.routes[:0] = gallery.routes(open_store)  # Dagster's last route takes every path
        guard = Guard(app, kind_of=kinds(app.routes), hosts=hosts)
        config = uvicorn.Config(guard, log_level="warning", timeout_graceful_shutdown=_ENDS_WITHIN)
        server = uvicorn.Server(config)
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(_LOOK_EVERY):
                if until():
                    server.should_exit = True
                    return

        threading.Thread(target=watch, name="watch", daemon=True).start()
        try:
            server.run(sockets=[listener])  # after a signal it closes its connections and raises the signal again
        finally:
            ended.set()


def kinds(routes: Sequence[BaseRoute]) -> Callable[[Scope], Kind]:
    """What the path of a request leads to, judged by the application's own routes: so no odd spelling of a path means
    one thing to the guard and another to the application. A route that is not known here is an endpoint."""

    def kind_of(scope: Scope) -> Kind:
        for route in routes:
            if route.matches(scope)[0] is Match.FULL:
                name = str(getattr(route, "name", ""))
                if name in ("index_html_endpoint", gallery.NAME):
                    return Kind.PAGE
                if name == "graphql-http":
                    return Kind.GRAPHQL
                return Kind.FILE if name.endswith("_static") else Kind.ENDPOINT
        return Kind.ENDPOINT

    return kind_of
