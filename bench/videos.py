"""What a copy costs: its pace, its memory, and how well several copies at a time hide a host's latency.

The pace is compared with `curl` piped into the plainest client of the same store: `cat`, which neither hashes nor
syncs, or boto3's `upload_fileobj`. The source and S3 (moto) are servers on loopback in processes of their own. Each
copy is a process too and times itself, so the figures leave out the start of Python.
"""

import json
import math
import os
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

LARGE, SMALL = 400_000_000, 2_000_000
ROUNDS = 5
WIRE = 125_000_000  # a gigabit a second
CLIPS, CLIP_BYTES, CLIP_RATE, LATENCY = 20, 2_000_000, 2_500_000, 0.2
BUCKET = "bench"
BLOCK = 1024**2
_PROC = Path("/proc/self")


def main() -> None:
    copying()
    waiting()


def copying() -> None:
    """Copies one large file, in alternation with the plainest way to do it."""
    print(f"\nOne file of {LARGE // 10**6} MB over loopback, {ROUNDS} rounds, turn by turn")
    print("                       ours    plainest      ratio, median (aim: 0.9)   memory above idle (aim: under 64)")
    with tempfile.TemporaryDirectory() as folder, _source() as fast, _source(0, WIRE) as wire, _moto() as endpoint:
        for name, store, url, place in (
            ("file, at full speed", "local", fast, folder),
            (f"file, at {WIRE // 10**6} MB/s", "local", wire, folder),
            ("S3 (moto)", "s3", fast, endpoint),
            (f"S3, at {WIRE // 10**6} MB/s", "s3", wire, endpoint),
        ):
            ours, theirs = [], []
            for _ in range(ROUNDS):
                theirs.append(_run("plain", store, f"{url}/{LARGE}", place)["seconds"])
                ours.append(_run("copy", store, f"{url}/{LARGE}", place))
            pace, plainly = (
                LARGE / 1e6 / statistics.median(times) for times in ([result["seconds"] for result in ours], theirs)
            )
            ratio = statistics.median(their / our["seconds"] for our, their in zip(ours, theirs, strict=True))
            memory = statistics.median(result["megabytes"] for result in ours)
            small = _run("copy", store, f"{url}/{SMALL}", place)["megabytes"]
            print(f"  {name:<20} {pace:4.0f} MB/s  {plainly:4.0f} MB/s   {ratio:5.2f}   "
                  f"{memory:21.0f} MB; {small:.0f} MB for a file of {SMALL // 10**6} MB")  # fmt: skip


def waiting() -> None:
    """Copies many clips from a slow host."""
    seconds_a_clip = LATENCY + CLIP_BYTES / CLIP_RATE
    print(f"\n{CLIPS} clips of {CLIP_BYTES / 1e6:.0f} MB from a host with {LATENCY * 1000:.0f} ms latency and "
          f"{CLIP_RATE / 1e6:.1f} MB/s for each")  # fmt: skip
    for concurrency in (1, 4, 16):
        with tempfile.TemporaryDirectory() as folder, _source(LATENCY, CLIP_RATE) as url:
            seconds = _run("clips", str(concurrency), url, folder)["seconds"]
        ideal = math.ceil(CLIPS / concurrency) * seconds_a_clip
        print(
            f"  {concurrency:2} at a time  {seconds:6.2f} s   ideal {ideal:5.2f} s   {seconds / ideal:.2f} (aim: 1.2)"
        )


# ---- The processes ---------------------------------------------------------------------------------------------------


def copy(store: str, url: str, place: str) -> dict[str, float]:
    """One copy by `VideoCopier`: its seconds, and its peak of memory above the idle process."""
    import logging  # noqa: PLC0415

    from ncaa_assets.ports import ObjectStore  # noqa: PLC0415

    logging.disable(logging.CRITICAL)
    into: ObjectStore
    if store == "s3":
        from ncaa_assets.backends.aws.s3 import S3Store  # noqa: PLC0415

        into = S3Store(_s3(place), BUCKET)
        into.info("warm")  # the first request opens the connection and loads what boto3 loads late
    else:
        from ncaa_assets.backends.local.store import LocalStore  # noqa: PLC0415

        into = LocalStore(Path(place, "archive"))
    return _copy_all(into, [url], 1)


def clips(concurrency: str, url: str, place: str) -> dict[str, float]:
    """Copies all clips, `concurrency` at a time."""
    from ncaa_assets.backends.local.store import LocalStore  # noqa: PLC0415

    return _copy_all(LocalStore(Path(place)), [f"{url}/{CLIP_BYTES}"] * CLIPS, int(concurrency))


def plain(store: str, url: str, place: str) -> dict[str, float]:
    """The same bytes by curl and a pipe, without any check."""
    client = _s3(place) if store == "s3" else None
    if client:
        client.list_objects_v2(Bucket=BUCKET)
    started = time.perf_counter()
    with subprocess.Popen(["curl", "-sf", url], stdout=subprocess.PIPE) as curl:  # noqa: S607 - whichever curl is installed
        assert curl.stdout is not None
        if client:
            client.upload_fileobj(curl.stdout, BUCKET, "plain")
        else:
            with Path(place, "plain").open("wb") as file:
                subprocess.run(["cat"], stdin=curl.stdout, stdout=file, check=True)  # noqa: S607
    assert curl.returncode == 0
    return {"seconds": time.perf_counter() - started}


def _copy_all(store: "object", urls: list[str], concurrency: int) -> dict[str, float]:
    import requests  # noqa: F401, PLC0415 - a run has loaded them before its first copy
    import tenacity  # noqa: F401, PLC0415

    from ncaa_assets.ports import Candidate, CopyPlan  # noqa: PLC0415
    from ncaa_assets.record.models import CopiedVideo, Highlight  # noqa: PLC0415
    from ncaa_assets.retry import RetryPolicy  # noqa: PLC0415
    from ncaa_assets.video.copier import CopyLimits, VideoCopier  # noqa: PLC0415
    from ncaa_assets.video.safe_http import HostPolicy  # noqa: PLC0415

    limits = CopyLimits(max_bytes=2**31, min_bytes_per_second=20_000, retry=RetryPolicy(0))
    copier = VideoCopier(store, HostPolicy(allow_private=True), limits, concurrency=concurrency)  # type: ignore[arg-type]
    plan = CopyPlan([], [Candidate(Highlight(id=str(number), url=url)) for number, url in enumerate(urls)], None)
    idle = _megabytes("VmRSS")
    if _PROC.exists():
        (_PROC / "clear_refs").write_text("5")  # the peak is counted from now
    started = time.perf_counter()
    for outcome in copier.copy("2025-03-09", plan):
        assert isinstance(outcome.result, CopiedVideo), outcome.result
    return {"seconds": time.perf_counter() - started, "megabytes": _megabytes("VmHWM") - idle}


def _megabytes(name: str) -> float:
    if not _PROC.exists():
        return math.nan  # not Linux: memory is not measured
    (line,) = (line for line in (_PROC / "status").read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024


def serve(latency: str, rate: str) -> None:
    """A host of MP4s: `/N` has N bytes. Answers after `latency` seconds, at `rate` bytes a second unless that is 0."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        print(listening.getsockname()[1], flush=True)
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=_answer, args=(connection, float(latency), int(rate)), daemon=True).start()


def _answer(connection: socket.socket, latency: float, rate: int) -> None:
    block = os.urandom(BLOCK)
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request = b""
        while received := connection.recv(65536):
            request += received
            if not request.endswith(b"\r\n\r\n"):
                continue
            length = int(request.split(b" ")[1][1:])
            request = b""
            start = _start(length)
            time.sleep(latency)
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: %d\r\n\r\n" % length + start
            )
            sent, began = len(start), time.perf_counter()
            while sent < length:
                piece = block[: min(length - sent, 65536 if 0 < rate < 10**7 else BLOCK)]
                connection.sendall(piece)
                sent += len(piece)
                if rate:
                    time.sleep(max(0.0, began + sent / rate - time.perf_counter()))


def _start(length: int) -> bytes:
    """The first bytes of an MP4 of `length` bytes: a second of film with its index in front, in media that go on."""
    clip = _clip()
    at = clip.index(b"mdat") - 4
    return clip[:at] + struct.pack(">I4s", length - at, b"mdat") + clip[at + 8 :]


@lru_cache
def _clip() -> bytes:
    from ncaa_assets.media.ffmpeg import ffmpeg_program  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        arguments = ["-f", "lavfi", "-i", "testsrc2=s=320x180:d=1", "-movflags", "+faststart", "clip.mp4"]
        subprocess.run([ffmpeg_program(), "-v", "error", *arguments], cwd=folder, check=True)
        return Path(folder, "clip.mp4").read_bytes()


def moto() -> None:
    """S3 on loopback, with a bucket."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    _s3(endpoint).create_bucket(Bucket=BUCKET)
    print(endpoint, flush=True)
    threading.Event().wait()


def _s3(endpoint: str):  # type: ignore[no-untyped-def]
    import boto3  # noqa: PLC0415

    os.environ["AWS_SECRET_ACCESS_KEY"] = os.environ["AWS_ACCESS_KEY_ID"] = "bench"  # noqa: S105 - moto takes any
    return boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")


@contextmanager
def _source(latency: float = 0, rate: int = 0) -> Iterator[str]:
    with _started("serve", str(latency), str(rate)) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _moto() -> Iterator[str]:
    with _started("moto") as endpoint:
        yield endpoint


@contextmanager
def _started(*arguments: str) -> Iterator[str]:
    command = [sys.executable, "-m", __spec__.name if __name__ == "__main__" else __name__, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def _run(*arguments: str) -> dict[str, float]:
    command = [sys.executable, "-m", __spec__.name if __name__ == "__main__" else __name__, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the benchmark's own process failed:\n{done.stderr}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


if __name__ == "__main__":
    tasks: dict[str, Callable[..., dict[str, float] | None]] = {
        "all": main, "serve": serve, "moto": moto, "copy": copy, "clips": clips, "plain": plain,
    }  # fmt: skip
    task, *rest = sys.argv[1:] or ["all"]
    if result := tasks[task](*rest):
        print(json.dumps(result))
