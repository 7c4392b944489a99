"""What each path of Dagster's own application leads to, and of the gallery beside it."""

import re
from typing import Any

import pytest
from dagster_webserver.webserver import DagsterWebserver
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.ui import gallery
from ncaa_assets.ui.guard import Kind
from ncaa_assets.ui.web import kinds


@pytest.fixture(scope="module")
def routes() -> list[BaseRoute]:
    webserver: Any = DagsterWebserver
    return list(webserver(None).build_routes())  # only answers need a context


def kind(routes: list[BaseRoute], path: str, method: str = "GET") -> Kind:
    scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": [], "query_string": b""}
    return kinds(routes)(scope)


def test_every_route_of_this_release_is_known(routes: list[BaseRoute]) -> None:
    """A route that a new release adds counts as an endpoint, so it is safe; this says that somebody should look."""
    dynamic = {(route.path, frozenset(route.methods or ())) for route in routes if isinstance(route, Route)
               if not route.name.endswith("_static")}  # fmt: skip
    read, post = frozenset({"GET", "HEAD"}), frozenset({"POST"})
    assert dynamic == {
        ("/graphql", read | post),
        *((f"/{path}", read) for path in (
            "server_info", "dagit_info", "logs/{path:path}", "notebook", "dagit/notebook",
            "download_debug/{run_id:str}", "{path:path}", "",
        )),
        *((f"/report_asset_{what}/{{asset_key:path}}", post) for what in ("materialization", "check", "observation")),
    }  # fmt: skip
    assert [route.path for route in routes if isinstance(route, WebSocketRoute)] == ["/graphql"]
    assert {route.path for route in routes if isinstance(route, Mount)} == {"/_next", "/vendor"}


def test_pages_files_and_endpoints_are_told_apart(routes: list[BaseRoute]) -> None:
    for page in ("/", "/runs/1", "/assets/highlights", "/graphiql", "/graphql/", "//graphql", "/GraphQL", "/graphql/x"):
        assert kind(routes, page) is Kind.PAGE, page
    for file in ("/favicon.svg", "/_next/static/chunks/main.js", "/vendor/graphiql/graphiql.min.js", "/robots.txt"):
        assert kind(routes, file) is Kind.FILE, file
    for endpoint in (
        "/server_info",
        "/dagit_info",
        "/logs/a/b.out",
        "/notebook",
        "/dagit/notebook",
        "/download_debug/1",
    ):
        assert kind(routes, endpoint) is Kind.ENDPOINT, endpoint
    for posted in ("/report_asset_materialization/a", "/report_asset_check/a/b", "/report_asset_observation/"):
        assert kind(routes, posted, "POST") is Kind.ENDPOINT, posted
    for method in ("GET", "HEAD", "POST"):
        assert kind(routes, "/graphql", method) is Kind.GRAPHQL
    assert kind(routes, "/runs", "POST") is Kind.ENDPOINT
    assert kind([], "/") is Kind.ENDPOINT


def test_an_odd_spelling_of_a_path_is_what_the_application_takes_it_for(routes: list[BaseRoute]) -> None:
    """`$` in a route's pattern lets a newline stand behind it."""
    (graphql,) = [route for route in routes if isinstance(route, Route) and route.path == "/graphql"]
    assert re.match(graphql.path_regex, "/graphql\n")
    assert kind(routes, "/graphql\n") is Kind.GRAPHQL
    assert kind(routes, "/server_info\n") is Kind.ENDPOINT


def test_the_gallerys_pages_are_pages_and_dagsters_paths_stay_what_they_are(
    routes: list[BaseRoute], store: LocalStore
) -> None:
    both = [*gallery.routes(lambda: store), *routes]
    for path in ("/gallery", "/gallery/index.html", "/videos/2025-03-09/1.mp4", "/processed_videos/2025-03-09/1.jpg"):
        assert kind(both, path) is Kind.PAGE
        assert kind(both, path, "POST") is Kind.ENDPOINT
    assert not any(kind(gallery.routes(lambda: store), path) is Kind.PAGE for path in ("/assets/videos", "/runs", "/"))
