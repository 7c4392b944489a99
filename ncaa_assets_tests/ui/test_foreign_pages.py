"""The real UI beside pages of others: over plain HTTP, and in a real browser. What they try is to delete a run and to
launch a backfill."""

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import pytest

from ncaa_assets.settings import Settings
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer, scripted_server
from ncaa_assets_tests.loopback.running_ui import CHROMIUM_FLAGS, ask, chromium, runs, ui_with_a_sample

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow

DAY = (Settings().today() - timedelta(days=1)).isoformat()
REBOUND = "rebound.example"  # a name that a foreign page has pointed at this machine


class Target:
    """The UI with one run, and what a foreign page would do to it."""

    def __init__(self, base: str, log: Path) -> None:
        self.base, self._log = base, log
        self.port = urlsplit(base).port
        (self.run_id,) = runs(base)
        self._read = 0

    @property
    def mutations(self) -> list[str]:
        backfill = (
            '{selector: {partitionSetName: "daily_backup_partition_set", repositorySelector: {repositoryLocationName: '
            f'"ncaa_assets", repositoryName: "__repository__"}}}}, partitionNames: ["{DAY}"]}}'
        )
        return [
            f'mutation {{ deletePipelineRun(runId: "{self.run_id}") {{ __typename }} }}',
            f"mutation {{ launchPartitionBackfill(backfillParams: {backfill}) {{ __typename }} }}",
            'mutation { wipeAssets(assetPartitionRanges: [{assetKey: {path: ["highlights"]}}]) { __typename } }',
        ]

    def is_untouched(self) -> bool:
        nodes = ask(self.base, "{ assetNodes { assetMaterializations(limit: 5) { runId } } }")["assetNodes"]
        backfills = ask(self.base, "{ partitionBackfillsOrError { ... on PartitionBackfills { results { id } } } }")
        return (
            list(runs(self.base)) == [self.run_id]
            and [len(node["assetMaterializations"]) for node in nodes] == [1] * 5
            and backfills["partitionBackfillsOrError"]["results"] == []
        )

    def logged(self) -> str:
        """What the UI has printed since this was asked last."""
        text = self._log.read_text()[self._read :]
        self._read += len(text)
        return text


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("ui")
    with ui_with_a_sample(folder, "--date", DAY, START_DATE=DAY) as base:
        yield Target(base, folder / "ui.log")


# ---- Over plain HTTP -------------------------------------------------------------------------------------------------


def answer(target: Target, first_line: str, *headers: str, body: str = "") -> tuple[int, str]:
    """What comes back for a request that is sent as it stands: the status, and all that follows."""
    asked = "\r\n".join([first_line, *headers, "Connection: close", f"Content-Length: {len(body)}", "", body])
    with socket.create_connection(("127.0.0.1", target.port), timeout=30) as connection:
        connection.sendall(asked.encode())
        received = b""
        with suppress(ConnectionResetError):
            while piece := connection.recv(65536):
                received += piece
    head, _, rest = received.decode("utf-8", "replace").partition("\r\n")
    return int(head.split()[1]), rest


def test_what_the_stock_webserver_did_for_anybody_is_refused_over_http(target: Target) -> None:
    host = f"Host: localhost:{target.port}"
    for mutation in target.mutations:
        query, body = quote(mutation), json.dumps({"query": mutation})
        for first_line, *headers in (
            (f"GET /graphql?query={query} HTTP/1.1", host),
            (f"GET /graphql%0A?query={query} HTTP/1.1", host),
            (f"GET /%67raphql?query={query} HTTP/1.1", host),
            (f"GET http://evil.example/graphql?query={query} HTTP/1.1", host),
            (f"GET /graphql?query={query} HTTP/1.1", host, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Dest: image"),
            (f"GET /graphql?query={query} HTTP/1.1", host, "Accept: */*", "Accept: text/html"),
            (f"POST /graphql?query={query} HTTP/1.1", host),
            (f"POST /graphql?query={query} HTTP/1.1", host, "Content-Type: application/json"),
            ("POST /graphql HTTP/1.1", host),
            ("POST /graphql HTTP/1.1", host, "Content-Type: text/plain; x=application/json"),
            ("POST /graphql HTTP/1.1", host, "Content-Type: application/graphql"),
            ("POST /graphql HTTP/1.1", host, "Content-Type: application/json", "Origin: http://evil.example"),
            ("POST /graphql HTTP/1.1", host, "Content-Type: application/json", "Origin: null"),
            ("POST /graphql HTTP/1.1", host, "Content-Type: application/json", "Sec-Fetch-Site: same-site"),
            ("POST /graphql HTTP/1.1", "Host: evil.example", "Content-Type: application/json"),
            ("POST /graphql HTTP/1.1", host, "Host: evil.example", "Content-Type: application/json"),
            ("POST /graphql HTTP/1.0", "Content-Type: application/json"),
        ):
            for sent in (body, mutation):
                status, rest = answer(target, first_line, *headers, body=sent)
                assert status in (400, 403), (first_line, headers, rest)
    status, _ = answer(target, "OPTIONS /graphql HTTP/1.1", host, "Origin: http://evil.example")
    assert status == 403
    assert target.is_untouched()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (["Host: localhost:{port}", "Origin: http://localhost:{port}"], 101),
        (["Host: 127.0.0.1:{port}"], 101),
        (["Host: localhost:{port}", "Origin: http://evil.example"], 403),
        (["Host: localhost:{port}", "Origin: http://127.0.0.1:{port}"], 403),
        (["Host: localhost:{port}", "Origin: null"], 403),
        (["Host: localhost:{port}", "Sec-Fetch-Site: cross-site"], 403),
        (["Host: evil.example", "Origin: http://evil.example"], 403),
    ],
)
def test_the_websocket_opens_to_the_uis_own_pages_alone(target: Target, headers: list[str], status: int) -> None:
    asked = [
        "GET /graphql HTTP/1.1", *(one.format(port=target.port) for one in headers), "Upgrade: websocket",
        "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol: graphql-ws", "", "",
    ]  # fmt: skip
    with socket.create_connection(("127.0.0.1", target.port), timeout=30) as connection:
        connection.sendall("\r\n".join(asked).encode())
        assert int(connection.recv(65536).split()[1]) == status


def test_people_and_programs_without_a_browser_are_answered_as_ever(target: Target) -> None:
    host = f"Host: localhost:{target.port}"
    for path in ("/", "/runs", "/server_info", "/favicon.svg", f"/download_debug/{target.run_id}"):
        assert answer(target, f"GET {path} HTTP/1.1", host)[0] == 200
        assert answer(target, f"GET {path} HTTP/1.1", "Host: [::1]:1")[0] == 200
    assert "GraphiQL" in answer(target, "GET /graphql HTTP/1.1", host, "Accept: text/html")[1]
    asked = json.dumps({"query": "{ version }"})
    status, rest = answer(target, "POST /graphql HTTP/1.1", host, "Content-Type: application/json", body=asked)
    assert (status, '"version"' in rest) == (200, True)
    assert "content-security-policy: frame-ancestors 'none'" in answer(target, "GET / HTTP/1.1", host)[1]


# ---- In a browser ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    program = chromium()
    from playwright.sync_api import sync_playwright

    rules = f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=[*CHROMIUM_FLAGS, rules])
        yield running
        running.close()


@pytest.fixture
def page(browser: "Browser") -> "Iterator[Page]":
    tab = browser.new_page(viewport={"width": 1400, "height": 1000})
    tab.set_default_timeout(60_000)
    yield tab
    tab.close()


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[ScriptedServer]:
    """Another server on 127.0.0.1: to the browser another origin than 127.0.0.1 with another port, and another site
    than localhost."""
    with scripted_server() as running:
        yield running


def show(page: "Page", elsewhere: ScriptedServer, html: str) -> None:
    page.goto(elsewhere.on("/page", Reply(f"<!doctype html>{html}".encode(), content_type="text/html")))


# What a page can do without a click; each promise ends with what the page saw.
ATTACK = """async ([ui, mutations]) => {
    const seen = {};
    const load = (tag, source) => new Promise(resolve => {
        const element = document.createElement(tag);
        element.onload = () => resolve("loaded");
        element.onerror = () => resolve("error");
        element.src = source;
        document.body.append(element);
    });
    const asked = what => fetch(ui + what.path, what).then(answer => answer.type, () => "error");
    for (const mutation of mutations) {
        const path = "/graphql?query=" + encodeURIComponent(mutation), query = ui + path;
        const body = JSON.stringify({query: mutation}), headers = {"Content-Type": "application/json"};
        seen.img = await load("img", query);
        seen.script = await load("script", query);
        seen.plain = await asked({path: "/graphql", method: "POST", mode: "no-cors", body,
            headers: {"Content-Type": "text/plain; x=application/json"}});
        seen.json = await asked({path: "/graphql", method: "POST", body, headers});
        seen.url = await asked({path, method: "POST", mode: "no-cors"});
        seen.get = await asked({path, mode: "no-cors"});
        seen.beacon = navigator.sendBeacon(ui + "/graphql", new Blob([body], {type: "text/plain"}));
        const form = document.createElement("form");
        const frame = document.createElement("iframe");
        frame.name = "frame" + Math.random();
        document.body.append(frame);
        Object.assign(form, {method: "POST", action: query, target: frame.name, enctype: "text/plain"});
        document.body.append(form);
        const sent = new Promise(resolve => { frame.onload = () => resolve("loaded"); });
        form.submit();
        seen.form = await sent;
    }
    seen.socket = await new Promise(resolve => {
        const socket = new WebSocket(ui.replace("http", "ws") + "/graphql", "graphql-ws");
        socket.onopen = () => resolve("open");
        socket.onerror = () => resolve("error");
    });
    seen.file = await load("script", ui + "/vendor/graphiql/react.production.min.js");
    seen.info = await load("img", ui + "/server_info");
    const frame = document.createElement("iframe");
    frame.src = ui + "/runs";
    frame.id = "framed";
    document.body.append(frame);
    await new Promise(resolve => { frame.onload = resolve; });
    return seen;
}"""


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"], ids=["cross-site", "same-site"])
def test_a_foreign_page_in_a_browser_changes_nothing(
    target: Target, page: "Page", elsewhere: ScriptedServer, name: str
) -> None:
    show(page, elsewhere, "<title>elsewhere</title>")
    target.logged()
    seen = page.evaluate(ATTACK, [f"http://{name}:{target.port}", target.mutations])
    assert seen == {
        "img": "error", "script": "error", "plain": "opaque", "json": "error", "url": "opaque", "get": "opaque",
        "beacon": True, "form": "loaded", "socket": "error", "file": "error", "info": "error",
    }  # fmt: skip
    assert target.is_untouched()
    refused = target.logged()
    for what in (
        "GET /graphql: ", "POST /graphql: ", "OPTIONS /graphql: ", "websocket /graphql: ", "GET /runs: ",
        "GET /server_info: ", "GET /vendor/graphiql/react.production.min.js: ",
    ):  # fmt: skip
        assert f"refused {what}Only this UI's own pages may ask for this;" in refused, what
    framed = page.frame_locator("#framed").get_by_text("Runs", exact=True)
    assert framed.count() == 0


@pytest.mark.parametrize("link", ["", "target=_blank", "target=_blank rel=noreferrer"])
@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"], ids=["cross-site", "same-site"])
def test_a_link_from_elsewhere_opens_a_page_that_works(
    target: Target, page: "Page", elsewhere: ScriptedServer, name: str, link: str
) -> None:
    """As the link of an alert does, in a webmail."""
    address = f"http://{name}:{target.port}/runs/{target.run_id}"
    show(page, elsewhere, f"<a href='{address}' {link}>the run</a>")
    opened = page
    if link:
        with page.expect_popup() as popup:
            page.get_by_text("the run").click()
        opened = popup.value
    else:
        page.get_by_text("the run").click()
    opened.set_default_timeout(60_000)
    for text in ("Success", "RUN_SUCCESS", f"partition: {DAY}"):
        opened.get_by_text(text, exact=True).first.wait_for()
    assert opened.url.startswith(address)
    if opened is not page:
        opened.close()


def test_a_link_from_elsewhere_to_something_that_is_no_page_is_refused(
    target: Target, page: "Page", elsewhere: ScriptedServer
) -> None:
    mutation = quote(target.mutations[0])
    for path in (f"/graphql?query={mutation}", "/server_info", f"/download_debug/{target.run_id}"):
        show(page, elsewhere, f"<a href='http://localhost:{target.port}{path}'>it</a>")
        page.get_by_text("it").click()
        page.get_by_text("Only this UI's own pages may ask for this; the request is marked cross-site.").wait_for()
    assert target.is_untouched()


def test_a_name_that_somebody_points_at_this_machine_is_not_the_uis(target: Target, page: "Page") -> None:
    page.goto(f"http://{REBOUND}:{target.port}/runs")
    page.get_by_text(f"This UI does not answer to the host “{REBOUND}”").wait_for()
    page.get_by_text(f"add it to UI_HOSTS (UI_HOSTS={REBOUND})").wait_for()
    asked: Any = page.evaluate(
        """query => fetch("/graphql", {method: "POST", headers: {"Content-Type": "application/json"},
            body: JSON.stringify({query})}).then(answer => answer.status)""",
        target.mutations[0],
    )
    assert asked == 403
    assert target.is_untouched()


def test_the_uis_own_page_starts_a_run_and_shows_its_events_as_they_come(target: Target, page: "Page") -> None:
    """The last test of this file: there are two runs afterwards."""
    received: list[str] = []
    page.on("websocket", lambda opened: opened.on("framereceived", lambda frame: received.append(str(frame))))
    refused: list[str] = []
    page.on("response", lambda response: refused.append(response.url) if response.status >= 400 else None)
    target.logged()
    page.goto(f"http://localhost:{target.port}/runs/{target.run_id}")
    page.get_by_role("button", name="Re-execute all").click()
    page.wait_for_url(lambda address: "/runs/" in address and target.run_id not in address)
    (again,) = runs(target.base).keys() - {target.run_id}
    assert again in page.url
    page.get_by_text("RUN_SUCCESS", exact=True).first.wait_for()
    assert any('"type":"data"' in frame and "RunSuccess" in frame and again in frame for frame in received), received[
        :3
    ]
    assert refused == []
    assert "refused" not in target.logged()
