"""Which requests the UI answers: a guard around any ASGI application that has no login.

Whoever reaches such an application may do everything with it, and every web page that is open in a browser beside it
reaches it too. So the guard looks at what a page cannot choose: the `Host` that the browser asked, the `Origin` that it
names, and what it says of a request in `Sec-Fetch-Site`, `-Mode` and `-Dest` (Fetch Metadata, W3C). Programs that send
none of these, such as curl, are answered: they are no page.

- The host must be a name that the UI is meant to have. Otherwise a page could point its own name here (DNS rebinding)
  and count as the UI's own.
- Any page may link to the UI's pages, because alerts in a webmail do. No page may show them in a frame.
- Everything else is answered to the UI's own pages alone. A GET runs no query, and a POST is read only as JSON, which
  no form can send.

Pure ASGI: nothing here knows Dagster or the server.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from enum import Enum, auto
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any

from ncaa_assets.text import visible

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_DEFAULT_PORTS = {"http": 80, "https": 443}
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
# `name:port` or `[address]:port` as browsers write it: no user, no dot at the end, no port that is empty.
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)(?::([0-9]{1,5}))?", re.IGNORECASE | re.ASCII)
_SAYS_NOTHING = re.compile(rb"(op=[A-Za-z0-9_]*)?")  # Dagster's pages put the name of each query into its address
_UNFRAMED = [(b"content-security-policy", b"frame-ancestors 'none'"), (b"x-frame-options", b"DENY")]
_POLICY_VIOLATION = 1008  # a websocket's close code (RFC 6455, section 7.4.1)


class Kind(Enum):
    """What a path leads to."""

    PAGE = auto()  # HTML that does nothing by being opened
    FILE = auto()  # a script, a style, a picture
    GRAPHQL = auto()  # answers a GET with a page where HTML is asked for, else with what the query in the URL does
    ENDPOINT = auto()  # anything else


class Guard:
    """The application `app`, for requests that may reach it.

    Args:
        app: what is guarded.
        kind_of: what the path of a request leads to, as the application itself would route it.
        hosts: names and addresses, without ports, that the application is meant to have besides those of loopback.
    """

    def __init__(self, app: App, *, kind_of: Callable[[Scope], Kind], hosts: Collection[str] = ()) -> None:
        self._app, self._kind_of = app, kind_of
        self._hosts = {_canonical(host) for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        objection = self._objection(scope)
        if objection is None:
            await self._app(scope, receive, _unframed(send))
            return
        asked = "websocket" if scope["type"] == "websocket" else scope.get("method", "")
        log.warning("refused %s %s: %s", visible(asked, most=20), visible(scope.get("path", ""), most=100), objection)
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": ""})
            return
        body = f"{objection}\n".encode()
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
            *_UNFRAMED,
        ]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _objection(self, scope: Scope) -> str | None:
        """Why the request is refused, as a sentence; None where it may pass."""
        try:
            request = _Request(scope)
            if (objection := self._objection_to_host(request)) is not None:
                return objection
            if scope["type"] == "websocket":
                return None if request.is_own else request.foreign
            return self._objection_to_http(request, self._kind_of(scope))
        except _Twice as error:
            return f"The request has more than one {error} header, so it is unclear which one holds."

    def _objection_to_host(self, request: "_Request") -> str | None:
        if request.host is None:
            return (
                f"The request asks for the host “{visible(request.host_header, most=100)}”, which is not a host's name."
                if request.host_header
                else "The request does not say which host it asks for."
            )
        name, _ = request.host
        if name in self._hosts or _is_loopback(name):
            return None
        return (
            f"This UI does not answer to the host “{name}”. If that is a name of its own, add it to UI_HOSTS "
            f"(UI_HOSTS={name}) and start the UI again."
        )

    @staticmethod
    def _objection_to_http(request: "_Request", kind: Kind) -> str | None:
        if request.reads and kind in (Kind.PAGE, Kind.FILE):
            return None if request.is_navigation or request.is_own else request.foreign
        if not request.is_own:
            return request.foreign
        if request.reads:
            if kind is Kind.GRAPHQL and "text/html" not in (request.header("accept") or ""):
                return "A query has to be sent as JSON with POST; a GET runs none."
            return None
        if request.method != "POST":
            return f"{visible(request.method, most=20)} is not a method that this UI answers."
        content_type, _, _ = (request.header("content-type") or "").partition(";")
        # Letter by letter: the application must take for JSON what is taken for JSON here.
        if content_type.strip(" \t") != "application/json":
            return "A POST has to have a body of JSON, with Content-Type: application/json."
        if not _SAYS_NOTHING.fullmatch(request.scope.get("query_string", b"")):
            return "A POST says all in its body; one with a query in its address is not answered."
        return None


class _Twice(Exception):
    """A header that decides is there more than once; the message is its name."""


class _Request:
    """What decides about a request.

    Raises:
        _Twice: it has a header twice that may be there once.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            self._headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        self.method = str(scope.get("method", "GET"))
        scheme = _SCHEMES.get(str(scope.get("scheme", "http")), "")
        self.host_header = self.header("host")
        self.host = _parsed(self.host_header or "", scheme)
        origin, site = self.header("origin"), self.header("sec-fetch-site")
        self.reads = scope["type"] == "http" and self.method in ("GET", "HEAD")
        own_origin = origin is None or (self.host is not None and _origin(origin) == (scheme, *self.host))
        # `none`: a person typed the address, or opened a bookmark.
        self.is_own = own_origin and (site in (None, "same-origin") or (site == "none" and self.reads))
        self.is_navigation = (self.header("sec-fetch-mode"), self.header("sec-fetch-dest")) == ("navigate", "document")
        comes = f"comes from {origin}" if not own_origin else f"is marked {site}"
        self.foreign = f"Only this UI's own pages may ask for this; the request {visible(comes, most=100)}."

    def header(self, name: str) -> str | None:
        """The header's value; None where it is not there."""
        values = self._headers.get(name, [])
        if len(values) > 1:
            raise _Twice(name.title())
        return values[0] if values else None


def _unframed(send: Send) -> Send:
    async def unframed(message: Message) -> None:
        if message["type"] == "http.response.start":
            # A second policy narrows the one that a page has itself.
            message = {**message, "headers": [*message.get("headers", ()), *_UNFRAMED]}
        await send(message)

    return unframed


def _origin(text: str) -> tuple[str, str, int] | None:
    scheme, separator, rest = text.partition("://")
    parsed = _parsed(rest, scheme) if separator and scheme in _DEFAULT_PORTS else None
    return None if parsed is None else (scheme, *parsed)


def _parsed(text: str, scheme: str) -> tuple[str, int] | None:
    """The name, or the address without brackets, and the port; None where `text` is not exactly that."""
    found = _HOST.fullmatch(text)
    if found is None or scheme not in _DEFAULT_PORTS:
        return None
    name, port = found[1], int(found[2] or _DEFAULT_PORTS[scheme])
    if name.startswith("["):
        try:
            name = str(IPv6Address(name[1:-1]))
        except AddressValueError:
            return None
    return (name.lower(), port) if port < 2**16 else None


def _canonical(host: str) -> str:
    try:
        return str(IPv6Address(host))
    except AddressValueError:
        return host.lower()


def _is_loopback(name: str) -> bool:
    # Browsers know these names without asking a DNS server (RFC 6761, section 6.3).
    if name == "localhost" or name.endswith(".localhost"):
        return True
    if ":" in name:
        return IPv6Address(name) == IPv6Address("::1")
    try:
        return IPv4Address(name).is_loopback
    except AddressValueError:
        return False
