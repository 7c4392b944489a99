"""HTTP to addresses that strangers supply: only to public hosts, and only to the very address that was checked.

A highlight's URL comes from the API and counts as hostile. The name is resolved once, all its addresses are judged, and
the connection is made to a judged address, so that no second look-up can answer differently (DNS rebinding). TLS still
verifies the name. Redirects are followed here, one judged hop at a time.
"""

import contextlib
import ipaddress
import os
import socket
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from urllib3.exceptions import NameResolutionError, NewConnectionError

from ncaa_assets import USER_AGENT, answers
from ncaa_assets.failures import VideoRefused
from ncaa_assets.text import visible
from ncaa_assets.video.address import absolute, redirected

MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_FIRST_HOST_ONLY = {"authorization", "cookie"}
# The name's own servers say so; another look-up changes nothing. A look-up that failed is EAI_AGAIN instead.
_NO_SUCH_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
_MOST_ADDRESSES = 4  # of one name are tried: each that does not answer costs the whole connect timeout
# An IPv6 form that carries an IPv4 address inside: what counts is the address at which the packet arrives.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Networks outside the public internet (IANA's special-purpose registries) that not every supported Python knows. The
# last is Azure's service for its own virtual machines.
_NOT_PUBLIC = [
    ipaddress.ip_network(text)
    for text in ("192.0.0.0/24", "192.88.99.0/24", "fec0::/10", "3fff::/20", "5f00::/16", "168.63.129.16/32")
]


@dataclass(frozen=True)
class HostPolicy:
    """Which hosts may be reached: public ones, `trusted_origin` (host and port), and with `allow_private` any."""

    allow_private: bool = False
    trusted_origin: tuple[str, int] | None = None

    def allows(self, address: str, host: str, port: int) -> bool:
        return self.allow_private or (host, port) == self.trusted_origin or is_public(address)


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet: it is not loopback, private, link-local (where clouds keep
    their metadata and credentials), multicast or reserved, and no IPv6 form of such an address."""
    ip = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    known = any(ip in network for network in _NOT_PUBLIC)
    return ip.is_global and not ip.is_multicast and not ip.is_reserved and not known


def open_url(
    session: requests.Session,
    url: str,
    *,
    timeout: tuple[float, float],
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    data: Any = None,
) -> requests.Response:
    """The streamed answer of a request, after at most five redirects; the caller closes it.

    Credentials in `headers` go to the first host only. Only 307 and 308 repeat the method and the data (RFC 9110,
    §15.4).

    Raises:
        VideoRefused: the URL, or one that it redirects to, is not http(s) or leads to a host that is not allowed.
        requests.RequestException: the connection failed.
    """
    url = _understood(partial(absolute, url))
    for _ in range(MOST_REDIRECTS + 1):
        _check_address(url)
        answer = session.request(
            method, url, stream=True, allow_redirects=False, timeout=timeout, headers=headers, data=data
        )
        # Of each value once, because urllib3 joins several; an empty one is none (Chromium).
        locations = [value for value in dict.fromkeys(answer.raw.headers.getlist("Location")) if value]
        if answer.status_code not in _REDIRECTS or not locations:
            return answer
        answer.close()
        if len(locations) > 1:
            raise VideoRefused("it redirects to several addresses at once", kind="gone")
        to = _understood(partial(redirected, url, locations[0]), "it redirects to an address that")
        elsewhere = urlsplit(to)[:2] != urlsplit(url)[:2]
        if elsewhere:
            headers = {name: value for name, value in (headers or {}).items() if name.lower() not in _FIRST_HOST_ONLY}
        if answer.status_code not in (307, 308):
            method, data = "HEAD" if method == "HEAD" else "GET", None
        url = to
    raise VideoRefused(f"it redirects more than {MOST_REDIRECTS} times", kind="gone")


def tells_its_end(answer: requests.Response) -> bool:
    """Whether an answer's framing shows where it ends. If so, a body read to its end is all that the host has.

    No transfer coding but a plain `chunked` shows it: clients differ in what they make of the others.
    """
    coding = answer.headers.get("Transfer-Encoding")
    return "Content-Length" in answer.headers if coding is None else coding == "chunked"


class GuardedSession(requests.Session):
    """A session whose connections can be ended from another thread; made by `new_session`."""

    def __init__(self, policy: HostPolicy, pool: int) -> None:
        super().__init__()
        self.trust_env = False
        self._connections = _Connections()
        adapter = _GuardedAdapter(policy, self._connections, pool)
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: otherwise requests parses a redirect's target and reads its body into memory, even if it is not to
        follow it."""

    @contextlib.contextmanager
    def followed(self) -> Iterator[Callable[[], None]]:
        """A function for another thread to call: it breaks every connection that this thread uses within the block."""
        with self._connections.followed() as mine:
            yield mine.end

    def end(self) -> None:
        """Breaks every connection, now and from now on. A thread that is blocked in one gets an error at once."""
        self._connections.end()
        self.close()


def new_session(policy: HostPolicy, *, pool: int) -> GuardedSession:
    """A session bound to a policy, for up to `pool` threads: no proxies, no `.netrc`, nothing from the environment."""
    session = GuardedSession(policy, pool)
    # Without `identity` a server may compress, and then Content-Length says nothing about the file's length.
    session.headers.update({"User-Agent": USER_AGENT, "Accept": "video/*, */*;q=0.5", "Accept-Encoding": "identity"})
    return session


def _understood(read: Callable[[], str], what: str = "its address") -> str:
    try:
        url = read()
        _ = urlsplit(url).port
    except ValueError as error:
        raise VideoRefused(f"{what} cannot be understood ({visible(error)})", kind="unsafe") from None
    return url


def _check_address(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise VideoRefused(
            f"only http and https addresses are copied, not {visible(parts.scheme, most=40) or 'no scheme'}:",
            kind="unsafe",
        )
    if parts.username or parts.password:
        raise VideoRefused("its address holds a user name or password", kind="unsafe")


class _Connections:
    """A session's open sockets. A thread may be blocked in one before any response exists that could be closed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._ended = False
        self._of_this_thread = threading.local()

    def add(self, one: socket.socket) -> None:
        with self._lock:
            self._sockets.add(one)
            if self._ended:
                self._shut(one)
        mine: _Connections | None = getattr(self._of_this_thread, "connections", None)
        if mine is not None:
            mine.add(one)

    @contextlib.contextmanager
    def followed(self) -> Iterator["_Connections"]:
        """The connections that this thread adds while the block lasts, apart from the others."""
        mine = self._of_this_thread.connections = _Connections()
        try:
            yield mine
        finally:
            self._of_this_thread.connections = None

    @contextlib.contextmanager
    def while_it_opens(self, opened: socket.socket) -> Iterator[None]:
        """Holds a second handle of a socket while it connects: TLS takes over the first one half-way."""
        with socket.socket(fileno=os.dup(opened.fileno())) as handle:
            self.add(handle)
            yield

    def end(self) -> None:
        with self._lock:
            self._ended = True
            for opened in self._sockets:
                self._shut(opened)

    @staticmethod
    def _shut(opened: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the host closed it first
            opened.shutdown(socket.SHUT_RDWR)


class _Guarded:
    """A mixin for urllib3's connections: resolves once, judges every address, connects to a judged one."""

    policy: HostPolicy
    connections: _Connections
    sock: Any  # a socket, or None before the first connection
    host: str
    port: int
    timeout: Any
    socket_options: Any
    _dns_host: str
    _opening: contextlib.ExitStack

    def connect(self) -> None:
        with contextlib.ExitStack() as self._opening:
            super().connect()  # type: ignore[misc]
            self.connections.add(self.sock)

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:
            self.connections.add(self.sock)  # a connection that was kept open now serves this thread
        super().request(*args, **kwargs)  # type: ignore[misc]

    def _new_conn(self) -> socket.socket:
        host = self._dns_host.rstrip(".")
        try:
            resolved = socket.getaddrinfo(host, self.port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            if error.errno in _NO_SUCH_NAME:
                raise VideoRefused(f"there is no host {visible(host)}", kind="gone") from None
            raise NameResolutionError(self.host, self, error) from error  # type: ignore[arg-type]
        except UnicodeError as error:
            raise VideoRefused(f"{visible(host)} is no host name ({visible(error)})", kind="unsafe") from None
        for *_, address in resolved:
            if not self.policy.allows(str(address[0]), host.lower(), self.port):
                # No address in the sentence: what a name resolves to inside a network is that network's business.
                raise VideoRefused(f"{visible(host)} is not a public address", kind="unsafe")
        last: OSError | None = None
        for family, kind, protocol, _, address in resolved[:_MOST_ADDRESSES]:
            try:
                return self._open_socket(family, kind, protocol, address)
            except OSError as error:
                last = error
        if isinstance(last, TimeoutError):
            raise urllib3.exceptions.ConnectTimeoutError(self, f"{host} does not answer") from last
        raise NewConnectionError(self, f"cannot connect to {host}: {last}") from last  # type: ignore[arg-type]

    def _open_socket(self, family: int, kind: int, protocol: int, address: Any) -> socket.socket:
        opened = socket.socket(family, kind, protocol)
        try:
            for option in self.socket_options or ():
                opened.setsockopt(*option)
            opened.settimeout(self.timeout)
            self._opening.enter_context(self.connections.while_it_opens(opened))
            opened.connect(address)
        except BaseException:
            opened.close()
            raise
        return opened


class _GuardedAdapter(answers.Adapter):
    def __init__(self, policy: HostPolicy, connections: _Connections, pool: int) -> None:
        self._policy, self._connections = policy, connections
        super().__init__(pool_connections=pool, pool_maxsize=pool, max_retries=0)

    def connections(self) -> tuple[type[answers.HTTP], type[answers.HTTPS]]:
        class GuardedHTTP(_Guarded, answers.HTTP):
            policy, connections = self._policy, self._connections

        class GuardedHTTPS(_Guarded, answers.HTTPS):
            policy, connections = self._policy, self._connections

        return GuardedHTTP, GuardedHTTPS
