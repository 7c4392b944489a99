"""An HTTP server on loopback that answers as a test scripts it, and keeps the requests that it got."""

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Reply:
    """One answer. `length` is what Content-Length says: None sends none and ends the body by closing the connection."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/octet-stream"
    length: int | None = -1  # the body's own

    def send(self, handler: "Handler") -> None:
        handler.send_response(self.status)
        handler.send_header("Content-Type", self.content_type)
        if self.length is not None:
            handler.send_header("Content-Length", str(len(self.body) if self.length < 0 else self.length))
        for name, value in self.headers.items():
            handler.send_header(name, value)
        # A body that ends early, or has no length, ends with its connection.
        handler.close_connection = self.length is None or self.length not in (-1, len(self.body))
        handler.end_headers()
        handler.wfile.write(self.body)


def raw(answer: bytes) -> Callable[["Handler"], None]:
    """A script that sends these bytes, head and all, and closes the connection."""

    def send(handler: "Handler") -> None:
        handler.wfile.write(answer)
        handler.close_connection = True

    return send


def stalls_in_the_middle(released: threading.Event, start: bytes) -> Callable[["Handler"], None]:
    """A script that sends the start of a body of a million bytes, and then nothing until the test ends."""

    def send(handler: "Handler") -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        handler.wfile.write(start)
        released.wait(60)

    return send


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


Script = Reply | Callable[["Handler"], None]


class ScriptedServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self._scripts: dict[str, list[Script]] = {}
        self._lock = threading.Lock()
        self.asked: list[Asked] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def on(self, path: str, *replies: Script) -> str:
        """Answers requests for `path` with these replies in turn, then always with the last. Returns the path's URL."""
        self._scripts[path] = list(replies)
        return self.url(path)

    def times(self, path: str) -> int:
        """How often `path` was asked for."""
        return sum(asked.path == path for asked in self.asked)

    def next_script(self, asked: Asked) -> Script:
        with self._lock:
            self.asked.append(asked)
            scripts = self._scripts.get(asked.path, [Reply(b"not scripted", status=404)])
            return scripts.pop(0) if len(scripts) > 1 else scripts[0]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are part of many tests."""


class Handler(http.server.BaseHTTPRequestHandler):
    server: ScriptedServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes, which it would set 40 ms apart

    def do_POST(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        asked = Asked(
            parts.path, dict(parse_qsl(parts.query)), {name.lower(): value for name, value in self.headers.items()}
        )
        script = self.server.next_script(asked)
        if isinstance(script, Reply):
            script.send(self)
        else:
            script(self)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def scripted_server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


__all__ = ["Asked", "Handler", "Reply", "ScriptedServer", "raw", "scripted_server", "stalls_in_the_middle"]
