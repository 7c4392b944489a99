"""Strangers' addresses: only public hosts are reached, at the very address that was judged, with nothing of ours."""

import base64
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ncaa_assets.failures import VideoRefused
from ncaa_assets.retry import is_unreachable
from ncaa_assets.video.safe_http import HostPolicy, is_public, new_session, open_url
from ncaa_assets_tests.loopback.http_server import Handler, Reply, ScriptedServer, raw

TIMEOUT = (2.0, 5.0)
ANY_HOST = HostPolicy(allow_private=True)
LOOK_UP = socket.getaddrinfo


def get(url: str, policy: HostPolicy = ANY_HOST) -> requests.Response:
    return open_url(new_session(policy, pool=2), url, timeout=TIMEOUT)


def refused(url: str, policy: HostPolicy | None = None) -> VideoRefused:
    with pytest.raises(VideoRefused) as caught:
        get(url, policy or HostPolicy())
    return caught.value


def resolves(monkeypatch: pytest.MonkeyPatch, **names: list[str]) -> list[str]:
    """Makes names resolve to addresses (several: all of them) and returns the list of names that are looked up."""
    looked_up: list[str] = []

    def look_up(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in names:
            return LOOK_UP(host, port, *args, **kwargs)
        looked_up.append(host)
        return [entry for address in names[host] for entry in LOOK_UP(address, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return looked_up


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "93.184.216.34", "1.1.1.1", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1",
     "223.255.255.1", "2606:4700:4700::1111", "2001:4860:4860::8888", "::ffff:8.8.8.8", "2002:808:808::1",
     "64:ff9b::8.8.8.8"],
)  # fmt: skip
def test_an_address_of_the_public_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        # this host and unspecified
        "127.0.0.1", "127.1.2.3", "0.0.0.0", "0.1.2.3", "::1", "::",
        # private, carrier-grade, unique local, site-local
        "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "100.127.255.255", "100.100.100.200",
        "fc00::1", "fd00:ec2::254", "fec0::1",
        # link-local: metadata and ECS credentials among them
        "169.254.169.254", "169.254.170.2", "fe80::1", "fe80::1%eth0",
        # multicast, broadcast, reserved, documentation, benchmarks, protocol assignments, the 6to4 relay
        "224.0.0.1", "239.255.255.250", "ff02::1", "ff0e::1", "255.255.255.255", "240.0.0.1", "192.0.2.1",
        "198.51.100.1", "203.0.113.1", "198.18.0.1", "192.0.0.1", "192.0.0.192", "192.88.99.1", "2001:db8::1",
        "3fff::1", "5f00::1", "100::1", "168.63.129.16",
        # such an IPv4 address inside an IPv6 one
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::127.0.0.1", "2002:7f00:1::1",
        "2002:a9fe:a9fe::1", "64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::1",
        "2001:0:808:808:0:0:80ff:fffe",
    ],
)  # fmt: skip
def test_any_other_address_is_not(address: str) -> None:
    assert not is_public(address)


def test_a_loopback_address_is_refused_and_never_connected_to(server: ScriptedServer) -> None:
    url = server.on("/a", Reply(b"x"))
    assert refused(url).kind == "unsafe"
    assert server.asked == []


def test_with_private_hosts_allowed_it_answers(server: ScriptedServer) -> None:
    assert get(server.on("/a", Reply(b"hello"))).content == b"hello"


def test_the_trusted_origin_is_let_through_on_its_exact_host_and_port(server: ScriptedServer) -> None:
    server.on("/a", Reply(b"hello"))
    origin = HostPolicy(trusted_origin=("127.0.0.1", server.port))
    assert get(server.url("/a"), origin).content == b"hello"
    assert refused(f"http://127.0.0.1:{server.port + 1}/a", origin).kind == "unsafe"
    assert refused(f"http://localhost:{server.port}/a", origin).kind == "unsafe"
    assert refused(f"http://127.1:{server.port}/a", origin).kind == "unsafe"
    assert refused(f"http://[::ffff:127.0.0.1]:{server.port}/a", origin).kind == "unsafe"
    assert server.times("/a") == 1


def test_a_trusted_origin_does_not_make_its_redirects_trusted(server: ScriptedServer) -> None:
    away = server.on("/away", Reply(status=302, headers={"Location": f"http://localhost:{server.port}/a"}))
    assert refused(away, HostPolicy(trusted_origin=("127.0.0.1", server.port))).kind == "unsafe"
    assert server.times("/a") == 0


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ftp://example.com/a.mp4", "gopher://example.com/", "data:video/mp4;base64,AAAA",
        "javascript:alert(1)", "clips/a.mp4", "/a.mp4", "", "http://", "\\", "https://:443/",
        "http://user:secret@example.com/a.mp4", "http://user@example.com/", "http://[::1", "http://example.com:99999/",
        "http://example.com:0/", "http://example.com:port/",
    ],
)  # fmt: skip
def test_an_address_that_is_not_plain_http_is_refused_before_any_look_up(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("it was looked up"))
    error = refused(url)
    assert error.kind == "unsafe"
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1\\@example.com/", "http://2130706433/", "http://0x7f.1/", "http://0/", "http://[::]/",
     "http://[::ffff:7f00:1]/", "http://127.0.0.1./", "http://0177.0.0.1/", "http://127.1/", "//127.0.0.1/a.mp4",
     "\\\\127.0.0.1\\a.mp4", "http:127.0.0.1", "HTTP:/127.0.0.1/", " \x00http://127.0.0.1/", "http://%31%32%37.0.0.1/",
     "ht\ntp://127.0\t.0.1/", "http://１２７。0。0。1/", "http://%EF%BC%91%32%37.0.0.1/", "http:///127.0.0.1/",
     "http://①②⑦.0.0.1/", "http://169.254.169.254/latest/meta-data"],
)  # fmt: skip
def test_no_way_to_write_a_private_address_gets_through(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connected: list[Any] = []
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: connected.append(address))
    with pytest.raises((VideoRefused, requests.RequestException)):
        get(url, HostPolicy())
    assert connected == []


@pytest.mark.parametrize(
    ("location", "asked_for"),
    [
        ("/ä.mp4".encode(), "/%C3%A4.mp4"), ("/ä.mp4".encode("latin-1"), "/%E4.mp4"),
        ("/a?q=ö".encode(), "/a?q=%C3%B6"), (b"/a b.mp4", "/a%20b.mp4"), (b" \t/a.mp4 ", "/a.mp4"),
        (b"/a\tb.mp4", "/ab.mp4"), (b"/a\r\n b.mp4", "/a%20b.mp4"), (b"b.mp4", "/go/b.mp4"), (b"../b.mp4", "/b.mp4"),
        (b"?q=1", "/go/away?q=1"), (b"//127.0.0.1:PORT/b.mp4", "/b.mp4"), (b"/b.mp4#t=10", "/b.mp4"),
        (b"\\b\\c.mp4", "/b/c.mp4"), (b"http:\\\\127.0.0.1:PORT\\b.mp4", "/b.mp4"),
        (b"HTTP://127.0.0.1:PORT/B.mp4", "/B.mp4"), (b"http:///127.0.0.1:PORT/b.mp4", "/b.mp4"),
        (b"http:b.mp4", "/go/b.mp4"), (b"http:/b.mp4", "/b.mp4"), (b"http://0x7f.1:PORT/b.mp4", "/b.mp4"),
        (b"http://2130706433:PORT/b.mp4", "/b.mp4"), (b"http://127.0.0.1.:PORT/b.mp4", "/b.mp4"),
        (b"http://%31%32%37.0.0.1:PORT/b.mp4", "/b.mp4"), ("http://１２７.0.0.1:PORT/b.mp4".encode(), "/b.mp4"),
        (b"/a%20b%zz.mp4", "/a%20b%25zz.mp4"), (b"/b.mp4\r\nLocation: /b.mp4", "/b.mp4"),
        (b"\r\nLocation: /b.mp4", "/b.mp4"),
    ],
)  # fmt: skip
def test_a_redirect_leads_where_it_leads_a_browser(location: bytes, asked_for: str, server: ScriptedServer) -> None:
    """Chromium 156 asks for the same, but for a `%` that encodes nothing, which it leaves as it is."""
    asked: list[str] = []

    def answer(handler: Handler) -> None:
        asked.append(handler.path)
        Reply(b"there").send(handler)

    to = location.replace(b"PORT", str(server.port).encode())
    away = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + to + b"\r\n\r\n"
    server.on(urlsplit(asked_for).path, answer)
    start = server.on("/go/away", raw(away), answer)
    assert get(start).content == b"there"
    assert asked == [asked_for]


@pytest.mark.parametrize(
    "location",
    [b"http://0x7f.1:PORT/a", b"\\\\2130706433:PORT\\a", b"//127.1:PORT/a", b"http://%31%32%37.0.0.2:PORT/a",
     "http://１２７.0.0.2:PORT/a".encode(), "//１２７。0。0。2:PORT/a".encode(),
     b"//localhost:PORT/a", b"//[::ffff:127.0.0.1]:PORT/a",
     b"file:///etc/passwd", b"//user@127.0.0.1:PORT/a", b"//%2F127.0.0.1:PORT/a", b"//127.0.0.1:99999/a", b"//[::1/a"],
)  # fmt: skip
def test_each_target_of_a_redirect_is_judged_like_the_first_address(location: bytes, server: ScriptedServer) -> None:
    to = location.replace(b"PORT", str(server.port).encode())
    start = server.on("/go", raw(b"HTTP/1.1 302 Found\r\nLocation: " + to + b"\r\nContent-Length: 0\r\n\r\n"))
    error = refused(start, HostPolicy(trusted_origin=("127.0.0.1", server.port)))
    assert error.kind == "unsafe"
    assert [asked.path for asked in server.asked] == ["/go"]


def test_a_redirect_to_two_addresses_or_to_none_is_followed_nowhere(server: ScriptedServer) -> None:
    both = server.on("/both", raw(b"HTTP/1.1 302 Found\r\nLocation: /a\r\nLocation: /b\r\n\r\n"))
    assert refused(both, ANY_HOST).kind == "gone"
    assert get(server.on("/none", Reply(status=302, headers={"Location": ""}))).status_code == 302
    assert len(server.asked) == 2


def test_one_private_address_among_a_names_addresses_is_enough_to_refuse_it(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolves(monkeypatch, **{"clips.test": ["8.8.8.8", "127.0.0.1"]})
    error = refused(f"http://clips.test:{server.port}/a")
    assert error.kind == "unsafe"
    assert "127.0.0.1" not in str(error)
    assert server.asked == []


def test_a_name_is_looked_up_once_and_the_judged_address_is_the_one_connected_to(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the second answer of this name is an address where something else listens on the same port."""

    class Public(HostPolicy):
        def allows(self, address: str, host: str, port: int) -> bool:
            return address == "127.0.0.1"

    answers = [["127.0.0.1"], ["127.0.0.2"], ["127.0.0.2"]]

    def look_up(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        return LOOK_UP(answers.pop(0)[0] if host == "clips.test" else host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    server.on("/a", Reply(b"hello", headers={"Connection": "close"}))
    with socket.create_server(("127.0.0.2", server.port)) as trap:
        trap.setblocking(False)
        assert get(f"http://clips.test:{server.port}/a", Public()).content == b"hello"
        assert refused(f"http://clips.test:{server.port}/a", Public()).kind == "unsafe"  # judged anew each time
        with pytest.raises(BlockingIOError):
            trap.accept()
    assert server.asked[0].headers["host"] == f"clips.test:{server.port}"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of its own for clips.test, with its key, as a file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "clips.test")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("clips.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    path = tmp_path / "clips.test.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_tls_verifies_the_name_though_the_connection_goes_to_an_address(
    certificate: Path, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.on("/a", Reply(b"hello"))
    resolves(monkeypatch, **{"clips.test": ["127.0.0.1"], "other.test": ["127.0.0.1"]})
    session = new_session(ANY_HOST, pool=1)
    with pytest.raises(requests.exceptions.SSLError, match="self-signed"):
        open_url(session, f"https://clips.test:{server.port}/a", timeout=TIMEOUT)
    session.verify = str(certificate)
    assert open_url(session, f"https://clips.test:{server.port}/a", timeout=TIMEOUT).content == b"hello"
    with pytest.raises(requests.exceptions.SSLError, match=r"not valid for 'other\.test'"):
        open_url(session, f"https://other.test:{server.port}/a", timeout=TIMEOUT)
    assert refused(f"https://clips.test:{server.port}/a").kind == "unsafe"
    assert server.times("/a") == 1


def test_the_next_address_is_tried_where_one_does_not_answer(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolves(monkeypatch, **{"clips.test": ["127.0.0.3", "127.0.0.1"]})
    assert get(f"http://clips.test:{server.port}/a").status_code == 404


def test_a_name_without_an_address_and_a_closed_port_are_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(requests.ConnectionError) as caught:
        get(f"http://127.0.0.1:{port}/")
    assert is_unreachable(caught.value)

    answer = [socket.EAI_AGAIN]

    def look_up(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(answer[0], "no look-up for you")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(requests.ConnectionError) as caught:
        get("http://no-answer.test/")
    assert is_unreachable(caught.value)
    answer[0] = socket.EAI_NONAME
    assert refused("http://no-such-host.test/", ANY_HOST).kind == "gone"


def test_five_redirects_are_followed_and_a_sixth_is_not(server: ScriptedServer) -> None:
    for at in range(6):
        server.on(f"/{at}", Reply(status=302, headers={"Location": f"/{at + 1}"}))
    server.on("/6", Reply(b"there"))
    assert get(server.url("/1")).content == b"there"
    assert refused(server.url("/0"), ANY_HOST).kind == "gone"


def test_a_redirect_to_a_file_is_refused(server: ScriptedServer) -> None:
    url = server.on("/a", Reply(status=301, headers={"Location": "file:///etc/passwd"}))
    assert refused(url, ANY_HOST).kind == "unsafe"


@pytest.mark.parametrize(("status", "method", "body"), [(302, "GET", b""), (303, "GET", b""), (307, "POST", b"x=1"),
                                                        (308, "POST", b"x=1")])  # fmt: skip
def test_a_redirected_request_keeps_its_method_where_the_status_says_so(
    status: int, method: str, body: bytes, server: ScriptedServer
) -> None:
    came: list[tuple[str, bytes]] = []

    def answer(handler: Handler) -> None:
        came.append((handler.command, handler.rfile.read(int(handler.headers.get("Content-Length", 0)))))
        Reply(b"there").send(handler)

    away = server.on("/away", Reply(status=status, headers={"Location": "/there"}))
    server.on("/there", answer)
    session = new_session(ANY_HOST, pool=1)
    assert open_url(session, away, timeout=TIMEOUT, method="POST", data=b"x=1").content == b"there"
    assert came == [(method, body)]


def test_credentials_in_headers_stay_with_the_first_host(server: ScriptedServer) -> None:
    headers = {"Authorization": "mine", "cookie": "mine", "Referer": "https://example.com/"}
    server.on("/near", Reply(status=302, headers={"Location": "/far"}))
    server.on("/far", Reply(status=302, headers={"Location": f"http://localhost:{server.port}/there"}))
    server.on("/there", Reply(b"there"))
    session = new_session(ANY_HOST, pool=1)
    assert open_url(session, server.url("/near"), timeout=TIMEOUT, headers=headers).content == b"there"
    assert [asked.headers.get("authorization") for asked in server.asked] == ["mine", "mine", None]
    assert [asked.headers.get("cookie") for asked in server.asked] == ["mine", "mine", None]
    assert [asked.headers["referer"] for asked in server.asked] == ["https://example.com/"] * 3


def test_what_a_thread_follows_can_be_broken_off_alone(server: ScriptedServer) -> None:
    """A connection that was kept open serves another thread, and is that thread's then."""
    session = new_session(ANY_HOST, pool=2)
    assert open_url(session, server.on("/a", Reply(b"hello")), timeout=TIMEOUT).content == b"hello"
    with session.followed() as break_off:
        answer = open_url(session, server.on("/b", stall_in_body), timeout=(5, 60))
        break_off()
        started = time.monotonic()
        with pytest.raises(requests.RequestException):
            _ = answer.content
        assert time.monotonic() - started < 10
    assert open_url(session, server.url("/a"), timeout=TIMEOUT).content == b"hello"


def test_the_environments_proxies_and_netrc_are_not_used(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.on("/a", Reply(b"hello"))
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.setblocking(False)
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, address)
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login me password secret\n", encoding="utf-8")
        netrc.chmod(0o600)
        monkeypatch.setenv("NETRC", str(netrc))
        assert requests.utils.get_netrc_auth(server.url("/a")) == ("me", "secret")  # it would be, were it asked for
        assert get(server.url("/a")).content == b"hello"
        with pytest.raises(BlockingIOError):
            proxy.accept()
    headers = server.asked[0].headers
    assert "authorization" not in headers
    assert base64.b64encode(b"me:secret").decode() not in str(headers)


def test_it_asks_for_the_bytes_as_they_are(server: ScriptedServer) -> None:
    get(server.on("/a", Reply(b"hello")))
    assert server.asked[0].headers["accept-encoding"] == "identity"
    assert "range" not in server.asked[0].headers


def stall_before_headers(handler: Handler) -> None:
    handler.rfile.read(1)  # until the client goes away


def stall_in_body(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b"x")
    handler.rfile.read(1)


def stall_in_closing_body(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(b"x")
    handler.rfile.read(1)


@pytest.fixture
def stalled(server: ScriptedServer) -> Iterator[Callable[[Callable[[Handler], None]], float]]:
    """Ends a session that is blocked in a host; returns the seconds until its thread was free."""

    def run(script: Callable[[Handler], None]) -> float:
        session = new_session(ANY_HOST, pool=2)
        url = server.on("/a", script)
        ended = threading.Event()

        def read() -> None:
            with contextlib.suppress(requests.RequestException):
                _ = open_url(session, url, timeout=(5, 60)).content
            ended.set()

        thread = threading.Thread(target=read)
        thread.start()
        deadline = time.monotonic() + 10
        while not server.asked and time.monotonic() < deadline:
            time.sleep(0.005)
        started = time.monotonic()
        assert not ended.is_set()
        session.end()
        assert ended.wait(20)
        thread.join()
        return time.monotonic() - started

    yield run


@pytest.mark.parametrize("script", [stall_before_headers, stall_in_body, stall_in_closing_body])
def test_ending_a_session_ends_what_is_blocked_in_a_host(
    script: Callable[[Handler], None], stalled: Callable[[Callable[[Handler], None]], float]
) -> None:
    assert stalled(script) < 10


def test_a_session_that_was_ended_opens_nothing_more(server: ScriptedServer) -> None:
    session = new_session(ANY_HOST, pool=2)
    session.end()
    url = server.on("/a", stall_before_headers)
    started = time.monotonic()
    with pytest.raises(requests.RequestException):
        open_url(session, url, timeout=(5, 60))
    assert time.monotonic() - started < 10
