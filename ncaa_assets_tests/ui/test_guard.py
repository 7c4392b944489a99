"""The guard, asked over ASGI with whatever a browser, a program or a hostile page may send."""

import asyncio
import logging
from collections.abc import Collection
from typing import Any

import pytest

from ncaa_assets.ui.guard import Guard, Kind, Message, Receive, Scope, Send

KINDS = {"/graphql": Kind.GRAPHQL, "/download_debug/1": Kind.ENDPOINT, "/report_asset_check/a": Kind.ENDPOINT}
KINDS |= {"/_next/static/main.js": Kind.FILE, "/server_info": Kind.ENDPOINT}
HOST = "localhost:3000"
OWN, JSON, HTML = "http://localhost:3000", "application/json", "text/html,application/xhtml+xml,*/*;q=0.8"
NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
LINK = {"Sec-Fetch-Site": "cross-site", **NAVIGATION, "Accept": HTML}
FETCH = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-origin"}
UI = {**FETCH, "Origin": OWN, "Content-Type": JSON}
IMAGE = {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image", "Accept": "image/avif,*/*"}


class Answer:
    """What came of a request."""

    def __init__(self, scope: Scope, hosts: Collection[str] = ()) -> None:
        self.reached, self.sent, received = False, list[Message](), list[bool]()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            self.reached = True
            own = [(b"content-type", b"text/html"), (b"content-security-policy", b"object-src 'none'")]
            await send({"type": "http.response.start", "status": 200, "headers": own})
            await send({"type": "http.response.body", "body": b"there"})

        async def receive() -> Message:
            received.append(True)
            return {"type": f"{scope['type']}.connect"}

        async def send(message: Message) -> None:
            assert scope["type"] != "websocket" or self.reached or received, "a server waits for `receive` first"
            self.sent.append(message)

        guard = Guard(app, kind_of=lambda asked: KINDS.get(asked["path"], Kind.PAGE), hosts=hosts)
        asyncio.run(guard(scope, receive, send))

    @property
    def headers(self) -> list[tuple[str, str]]:
        return [(name.decode(), value.decode()) for name, value in self.sent[0]["headers"]]

    @property
    def sentence(self) -> str:
        """The refusal's text."""
        assert (self.reached, self.sent[0]["status"]) == (False, 403)
        assert dict(self.headers)["content-type"] == "text/plain; charset=utf-8"
        text = bytes(self.sent[1]["body"]).decode()
        assert dict(self.headers)["content-length"] == str(len(text.encode()))
        assert text.endswith(".\n")
        assert text.count("\n") == 1
        return text.strip()


def ask(
    method: str, target: str, headers: dict[str, str] | list[tuple[str, str]], hosts: Collection[str] = (), **more: Any
) -> Answer:
    """Asks for `target` at `HOST`, unless the headers name another."""
    pairs = list(headers.items()) if isinstance(headers, dict) else headers
    if "host" not in {name.lower() for name, _ in pairs}:
        pairs = [("Host", HOST), *pairs]
    path, _, query = target.partition("?")
    kind, scheme = ("websocket", "ws") if method == "WEBSOCKET" else ("http", "http")
    scope = {
        "type": kind, "scheme": scheme, "path": path, "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("utf-8")) for name, value in pairs], **more,
    }  # fmt: skip
    return Answer(scope if kind == "websocket" else {**scope, "method": method}, hosts)


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        # Pages and files, for people and for programs.
        ("GET", "/", {}),
        ("GET", "/runs/1", LINK),
        ("GET", "/runs/1", LINK | {"Sec-Fetch-Site": "same-site"}),
        ("HEAD", "/runs/1", LINK),
        ("GET", "/assets/highlights?view=checks", LINK | {"Sec-Fetch-Site": "none"}),
        ("GET", "/runs/1", LINK | {"Sec-Fetch-Site": "same-origin"}),
        ("GET", "/runs/1", {"Accept": HTML}),  # a browser over plain HTTP to another machine says no more
        ("GET", "/_next/static/main.js", IMAGE | {"Sec-Fetch-Site": "same-origin"}),
        ("GET", "/_next/static/main.js", IMAGE | {"Sec-Fetch-Site": "same-origin", "Origin": OWN}),
        ("GET", "/_next/static/main.js", {}),
        # What the UI's own pages, a person and a program ask of the endpoints.
        ("POST", "/graphql", UI),
        ("POST", "/graphql", UI | {"Content-Type": "application/json; charset=utf-8"}),
        ("POST", "/graphql", UI | {"Content-Type": "application/json;charset=utf-8"}),
        ("POST", "/graphql?op=LaunchPipelineExecution", UI),
        ("POST", "/graphql", {"Content-Type": JSON}),
        ("POST", "/graphql", {"Content-Type": JSON, "Origin": OWN}),
        ("POST", "/report_asset_check/a", {"Content-Type": JSON}),
        ("WEBSOCKET", "/graphql", {"Origin": OWN, "Sec-Fetch-Site": "same-origin"}),
        ("WEBSOCKET", "/graphql", {"Origin": OWN}),
        ("WEBSOCKET", "/graphql", {}),
        ("GET", "/graphql", NAVIGATION | {"Sec-Fetch-Site": "none", "Accept": HTML}),
        ("GET", "/graphql", NAVIGATION | {"Sec-Fetch-Site": "same-origin", "Accept": HTML}),
        ("GET", "/download_debug/1", NAVIGATION | {"Sec-Fetch-Site": "same-origin", "Accept": HTML}),
        ("GET", "/server_info", {}),
        ("GET", "/server_info", {"Sec-Fetch-Site": "none"}),
    ],
)
def test_what_people_programs_and_the_uis_own_pages_ask_for_is_answered(
    method: str, target: str, headers: dict[str, str]
) -> None:
    assert ask(method, target, headers).reached


FOREIGN = [{"Origin": origin} for origin in (
    "http://evil.example", "null", "", "http://localhost", "http://localhost:3001", "http://127.0.0.1:3000",
    "https://localhost:3000", "ws://localhost:3000", "http://localhost:3000/", "http://localhost:3000.evil.example",
    "http://localhost:3000@evil.example", "http://evil.example@localhost:3000", "http://localhost.:3000",
    "localhost:3000",
    "http://[::1]:3000", "http://sub.localhost:3000", "http://localhost:3000 http://evil.example", "http://localhost:٣٠٠٠",
    "http://localhost:3000\n", "file://", "chrome-extension://abcdefghijklmnop", "http://löcalhost:3000",
)]  # fmt: skip
FOREIGN += [{"Sec-Fetch-Site": site} for site in ("cross-site", "same-site", "", "SAME-ORIGIN", "same-origin, none")]
FOREIGN += [{"Sec-Fetch-Site": "cross-site", "Origin": OWN}, {"Sec-Fetch-Site": "same-origin", "Origin": "null"}]


@pytest.mark.parametrize("foreign", FOREIGN, ids=str)
def test_what_another_page_asks_for_is_refused(foreign: dict[str, str]) -> None:
    for method, target in (
        ("POST", "/graphql"), ("POST", "/report_asset_check/a"), ("POST", "/runs"), ("GET", "/graphql"),
        ("GET", "/download_debug/1"), ("GET", "/server_info"), ("HEAD", "/server_info"), ("OPTIONS", "/graphql"),
        ("GET", "/_next/static/main.js"), ("GET", "/runs"),
    ):  # fmt: skip
        for more in ({}, {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, IMAGE):
            answer = ask(method, target, {"Accept": HTML, "Content-Type": JSON, **more, **foreign})
            assert answer.sentence.startswith("Only this UI's own pages may ask for this;")
    socket = ask("WEBSOCKET", "/graphql", foreign)
    assert (socket.reached, [message["type"] for message in socket.sent]) == (False, ["websocket.close"])


@pytest.mark.parametrize(
    ("method", "target", "headers", "says"),
    [
        # A link or a form of another page that leads to something other than a page.
        ("GET", "/graphql", LINK, "Only this UI's own pages"),
        ("GET", "/download_debug/1", LINK, "Only this UI's own pages"),
        ("GET", "/server_info", LINK, "Only this UI's own pages"),
        ("POST", "/", LINK, "Only this UI's own pages"),
        ("POST", "/graphql", LINK | {"Content-Type": JSON}, "Only this UI's own pages"),
        # Frames, and what is no navigation though it says so.
        ("GET", "/runs", LINK | {"Sec-Fetch-Dest": "iframe"}, "Only this UI's own pages"),
        ("GET", "/runs", LINK | {"Sec-Fetch-Dest": "object"}, "Only this UI's own pages"),
        ("GET", "/runs", LINK | {"Sec-Fetch-Mode": "no-cors"}, "Only this UI's own pages"),
        ("GET", "/runs", LINK | {"Sec-Fetch-Mode": "navigate, navigate"}, "Only this UI's own pages"),
        # `none` is a person, who does not POST.
        ("POST", "/graphql", {"Sec-Fetch-Site": "none", "Content-Type": JSON}, "Only this UI's own pages"),
        # A GET runs no query, whoever asks.
        ("GET", "/graphql?query={version}", {}, "a GET runs none"),
        ("GET", "/graphql?query={version}", FETCH, "a GET runs none"),
        ("HEAD", "/graphql?query={version}", {}, "a GET runs none"),
        ("GET", "/graphql?query={version}", {"Accept": "TEXT/HTML"}, "a GET runs none"),
        ("GET", "/graphql?query={version}", [("Accept", "*/*"), ("Accept", "text/html")], "more than one Accept"),
        # A POST without JSON.
        ("POST", "/graphql", {}, "a body of JSON"),
        ("POST", "/graphql?query=mutation", {}, "a body of JSON"),
        *(
            ("POST", "/graphql", {**UI, "Content-Type": kind}, "a body of JSON")
            for kind in (
                "text/plain", "text/plain; x=application/json", "text/plain;application/json", "application/graphql",
                "application/x-www-form-urlencoded", "Application/JSON",
                "multipart/form-data; boundary=application/json",
                "application/json, text/plain", "application/json x", "application/jsonp", "", ";", " ",
                "application/json\x0b;", "application/json-seq", "\u00a0application/json",
            )
        ),
        ("POST", "/report_asset_check/a", {}, "a body of JSON"),
        ("POST", "/graphql", [("Content-Type", JSON), ("Content-Type", "text/plain")], "more than one Content-Type"),
        ("POST", "/graphql?query=mutation", {"Content-Type": JSON}, "a query in its address"),
        ("POST", "/graphql?op=a&query=mutation", UI, "a query in its address"),
        ("POST", "/graphql?op=a;query=mutation", UI, "a query in its address"),
        ("POST", "/report_asset_check/a?passed=true", UI, "a query in its address"),
        # Other methods.
        *((method, "/graphql", UI, f"{method} is not a method") for method in ("PUT", "OPTIONS", "post")),
        ("DELETE", "/runs", {}, "DELETE is not a method"),
        # Headers that decide, twice.
        ("GET", "/", [("Host", HOST), ("Host", HOST)], "more than one Host"),
        ("POST", "/graphql", [("Origin", OWN), ("Origin", "null"), ("Content-Type", JSON)], "more than one Origin"),
        ("GET", "/runs", [*LINK.items(), ("Sec-Fetch-Dest", "image")], "more than one Sec-Fetch-Dest"),
        ("GET", "/runs", [*LINK.items(), ("Sec-Fetch-Site", "none")], "more than one Sec-Fetch-Site"),
    ],
)  # fmt: skip
def test_what_is_refused_says_why(method: str, target: str, headers: dict[str, str], says: str) -> None:
    assert says in ask(method, target, headers).sentence


LOOPBACK = ["localhost", "localhost:3000", "LOCALHOST:3000", "LocalHost", "ui.localhost:8443", "127.0.0.1:3000"]
LOOPBACK += ["127.0.0.1", "127.9.8.7:1", "[::1]", "[::1]:3000", "[0:0:0:0:0:0:0:1]:3000", "localhost:65535"]


@pytest.mark.parametrize("host", LOOPBACK)
def test_every_name_of_loopback_is_the_uis_own(host: str) -> None:
    assert ask("GET", "/", {"Host": host}).reached
    assert ask("POST", "/graphql", {"Host": host, "Content-Type": JSON}).reached
    assert ask("WEBSOCKET", "/graphql", {"Host": host}).reached


@pytest.mark.parametrize("host", [
    "evil.example", "evil.example:3000", "localhost.evil.example", "evil-localhost", "notlocalhost:3000",
    "127.0.0.1.nip.io",
    "128.0.0.1", "0.0.0.0:3000", "192.168.1.20", "[::2]", "[::ffff:127.0.0.1]", "127.1", "2130706433", "0x7f.0.0.1",
    "127.0.0.01", "0177.0.0.1", "1270.0.0.1", "localhost.localdomain", "xn--lcalhost-n4a",
])  # fmt: skip
def test_another_host_is_refused_with_what_to_do(host: str) -> None:
    name = host.partition(":")[0] if "[" not in host else host.strip("[]")
    for method in ("GET", "POST"):
        sentence = ask(method, "/graphql", {"Host": host, **LINK}).sentence
        assert "does not answer to the host" in sentence
        if ":" not in name:
            assert f"add it to UI_HOSTS (UI_HOSTS={name})" in sentence
    assert not ask("WEBSOCKET", "/graphql", {"Host": host}).reached


@pytest.mark.parametrize("host", [
    "", " ", "localhost.", "localhost.:3000", ".localhost", "localhost:", "localhost:x", "localhost:-1",
    "localhost:99999",
    "localhost:3000:3000", "user@localhost", "user:password@localhost:3000", "localhost@evil.example", "localhost/",
    "http://localhost", "localhost, evil.example", "localhost evil.example", " localhost", "localhost ", "localhost\n",
    "localhost#", "localhost?x", "lo\x00calhost", "[::1", "::1", "[::1]x", "[::1%lo]", "[localhost]", "[]",
    "[127.0.0.1]",
    "localhost:٣٠٠٠", "ⓛocalhost", "lоcalhost", "a..localhost", "localhost:3000\r\nX: y",
])  # fmt: skip
def test_what_is_no_hosts_name_is_refused(host: str) -> None:
    sentence = ask("GET", "/", {"Host": host}).sentence
    assert "which is not a host's name" in sentence or (not host and "does not say which host" in sentence)
    assert not ask("WEBSOCKET", "/", {"Host": host}).reached


def test_a_request_without_a_host_is_refused() -> None:
    scope = {"type": "http", "method": "GET", "scheme": "http", "path": "/", "query_string": b"", "headers": []}
    assert "does not say which host" in Answer(scope).sentence


@pytest.mark.parametrize(
    ("hosts", "host", "answered"),
    [
        (["dagster.example.org"], "dagster.example.org", True),
        (["dagster.example.org"], "Dagster.Example.ORG:8443", True),
        (["Dagster.Example.org"], "dagster.example.org", True),
        (["dagster.example.org"], "evil.dagster.example.org", False),
        (["dagster.example.org"], "example.org", False),
        (["dagster.example.org"], "dagster.example.org.", False),
        (["192.168.1.20", "nas"], "192.168.1.20:3000", True),
        (["192.168.1.20", "nas"], "nas", True),
        (["fd00:0::20"], "[fd00::20]:3000", True),
        (["fd00::20"], "[FD00:0:0::20]", True),
        (["fd00::20"], "[fd00::21]", False),
    ],
)
def test_hosts_that_it_is_meant_to_have_are_answered(hosts: list[str], host: str, answered: bool) -> None:
    assert ask("GET", "/", {"Host": host}, hosts).reached is answered
    origin = f"http://{host}".lower()
    assert ask("POST", "/graphql", UI | {"Host": host, "Origin": origin}, hosts).reached is answered
    assert not ask("POST", "/graphql", UI | {"Host": host, "Origin": OWN}, hosts).reached


def test_an_origin_is_compared_with_scheme_host_and_port_of_the_request() -> None:
    def reached(scheme: str, host: str, origin: str, method: str = "POST") -> bool:
        return ask(method, "/graphql", {"Content-Type": JSON, "Host": host, "Origin": origin}, scheme=scheme).reached

    assert reached("http", "localhost", "http://localhost")
    assert reached("http", "localhost:80", "http://localhost")
    assert reached("https", "localhost", "https://localhost:443")
    assert reached("http", "[::1]:3000", "http://[0::1]:3000")
    assert reached("ws", "localhost:3000", "http://localhost:3000", "WEBSOCKET")
    assert reached("wss", "localhost", "https://localhost", "WEBSOCKET")
    assert not reached("https", "localhost", "http://localhost")
    assert not reached("http", "localhost:443", "https://localhost")
    assert not reached("wss", "localhost", "http://localhost", "WEBSOCKET")
    assert not reached("ws", "localhost:3000", "http://127.0.0.1:3000", "WEBSOCKET")
    assert not reached("gopher", "localhost", "gopher://localhost")


def test_no_page_may_show_the_ui_in_a_frame_and_what_it_forbids_itself_stays_forbidden() -> None:
    for answer in (ask("GET", "/", LINK), ask("POST", "/graphql", UI), ask("GET", "/graphql", {})):
        assert ("content-security-policy", "frame-ancestors 'none'") in answer.headers
        assert ("x-frame-options", "DENY") in answer.headers
    answer = ask("GET", "/", LINK)
    assert ("content-security-policy", "object-src 'none'") in answer.headers
    assert answer.sent[1]["body"] == b"there"


def test_the_start_and_the_end_of_the_server_reach_the_application() -> None:
    assert Answer({"type": "lifespan"}).reached


def test_each_refusal_is_one_visible_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    hostile = "\x1b[31m\r\nALERT forged\u202e" + "x" * 5000
    with caplog.at_level(logging.WARNING):
        ask("GET", f"/{hostile}", {"Host": hostile})
        ask("GET", f"/{hostile}", {"Origin": hostile})
        ask(hostile, "/graphql", {})
        ask("WEBSOCKET", f"/{hostile}", {"Sec-Fetch-Site": hostile})
        ask("GET", "/graphql?query=mutation{secret}", {"Origin": "http://evil.example"})
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 5
    for line in lines:
        assert line.startswith("refused ")
        assert line.isprintable()
        assert len(line) < 400
    assert lines[3].startswith("refused websocket /")
    assert lines[4].replace(": //", "://") == (  # no link, where logs are made safe
        "refused GET /graphql: Only this UI's own pages may ask for this; the request comes from http://evil.example."
    )
