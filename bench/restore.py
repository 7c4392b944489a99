"""`ncaa-assets restore` against what anybody would do without it: `cp -r` of a folder, and the plainest client's
download of a bucket, all with a sync; what it takes of memory; and how long ten seasons' rows take to become Parquet.

Both sides run turn by turn, each in a new process, so the ratio holds beside other work too.
"""

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.record.models import CopiedVideo, HighlightsDay, ProcessedDay, VideosDay
from ncaa_assets.record.written import to_bytes
from ncaa_assets_tests.loopback.aws import running_cloud

ROUNDS = 3
DAYS, A_DAY, LARGE = 10, 8, 25 * 1024**2  # bytes of a copy
BUCKET = "bench"
_SETTINGS = {"RAPIDAPI_KEY": "benchmark", "START_DATE": "2024-11-01"}

_RESTORE = """
import sys
from ncaa_assets.commands.main import main
try:
    main(["restore", "--dest", sys.argv[1], "--layout", "archive", "--what", "json,videos"])
except SystemExit as ended:
    assert ended.code == 0, ended.code
(peak,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(int(peak.split()[1]) / 1024)
"""

_DOWNLOAD = """
import os, shutil, sys
from pathlib import Path
import boto3
client = boto3.client("s3")
for page in client.get_paginator("list_objects_v2").paginate(Bucket="bench"):
    for entry in page["Contents"]:
        path = Path(sys.argv[1], entry["Key"])
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            shutil.copyfileobj(client.get_object(Bucket="bench", Key=entry["Key"])["Body"], file, 1024**2)
os.sync()
"""

_ROWS = """
import json, sys, time
from datetime import date
from pathlib import Path
from ncaa_assets.record.fetch import Fetch
from ncaa_assets.record.merge import merge_fetch
from ncaa_assets.record.models import HighlightsDay
from ncaa_assets.record.rows import rows_of
from ncaa_assets.restore.rows import _cells, _open_parquet
from ncaa_assets.source.sample_api.records import highlights

answer = Fetch(at="2025-03-09T06:00:00Z", module="basketball", query={}, whole=True, complete=True, total_count=1,
               requests=1, records=highlights("basketball", date(2025, 3, 8), "http://127.0.0.1:1")[7:8])
(row,) = rows_of(merge_fetch(HighlightsDay(date="2025-03-08"), answer, founding="basketball")[0])
started = time.perf_counter()
parquet = _open_parquet(Path(sys.argv[1]) / "rows.parquet")
for number in range(500_000):
    parquet.add(_cells({**row, "id": str(number)}))
parquet.close()
print(json.dumps([time.perf_counter() - started, time.process_time()]))
"""


def main() -> None:
    size = DAYS * A_DAY * LARGE / 1024**2
    print(
        f"\nRestoring {DAYS * A_DAY} copies, {size:.0f} MB, median of {ROUNDS} rounds, each a new process, with a sync"
    )
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as empty:
        folder = Path(name)
        archive = folder / "archive"
        make_archive(archive, copies=A_DAY)
        make_archive(Path(empty), copies=0)
        from_folder = {**_SETTINGS, "DATA_DIR": str(archive)}
        _compare("cp -r", ["sh", "-c", f"cp -r {archive} $0 && sync"], from_folder, folder)
        with running_cloud() as cloud:
            cloud.make_bucket(BUCKET)
            client = cloud.client("s3")
            for info in LocalStore(archive).list(""):
                client.upload_file(str(archive / info.key), BUCKET, info.key)
            here = {**cloud.environment(), **_SETTINGS, "NCAA_DEPLOYMENT": "aws", "S3_BUCKET_NAME": BUCKET}
            here |= {"DYNAMODB_TABLE": "none", "ENCODE": "never"}
            _compare("boto3's download", [sys.executable, "-c", _DOWNLOAD], here, folder)
        idle = _run([sys.executable, "-c", _RESTORE], {**_SETTINGS, "DATA_DIR": empty}, folder)[1]
        busy = _run([sys.executable, "-c", _RESTORE], from_folder, folder)[1]
        print(f"  memory: {busy:.0f} MB, {busy - idle:.0f} MB above an archive without copies (aim: under 64)")
        done = subprocess.run([sys.executable, "-c", _ROWS, name], capture_output=True, text=True, check=True)
        seconds, cpu = json.loads(done.stdout)
        print(f"  500,000 rows to Parquet: {seconds:.1f} s, {cpu:.1f} s of CPU (aim: under 10 s)")


def make_archive(folder: Path, *, copies: int) -> None:
    """An archive of days with so many copies each, of bytes that do not compress."""
    for number in range(DAYS):
        day = (date(2025, 3, 1) + timedelta(days=number)).isoformat()
        videos = []
        for copy in range(copies):
            data = os.urandom(LARGE)
            key = f"videos/{day}/{copy}.mp4"
            (folder / key).parent.mkdir(parents=True, exist_ok=True)
            (folder / key).write_bytes(data)
            videos.append(
                CopiedVideo(
                    id=str(copy), title=None, source_url="http://a.example/", key=key, bytes=len(data), container="mp4",
                    sha256=hashlib.sha256(data).hexdigest(), duration_seconds=1, has_sound=True,
                    copied_at="2025-03-20T06:00:00Z",
                )
            )  # fmt: skip
        for document in (HighlightsDay(date=day), VideosDay(date=day, videos=videos), ProcessedDay(date=day)):
            path = folder / document.key(day)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(to_bytes(document))
    text = '{"schema_version": 2, "source": "highlightly", "module": null, "moves": [], "league": "NCAA", '
    (folder / "archive.json").write_text(text + '"timezone": "America/New_York"}', "utf-8")


def _compare(name: str, plain: list[str], environment: dict[str, str], folder: Path) -> None:
    sides = {name: plain, "ncaa-assets restore": [sys.executable, "-c", _RESTORE]}
    seconds: dict[str, list[float]] = {one: [] for one in sides}
    for _ in range(ROUNDS):
        for one, arguments in sides.items():
            seconds[one].append(_run(arguments, environment, folder)[0])
    bare, restored = (statistics.median(taken) for taken in seconds.values())
    print(f"  {name:<20} {bare:6.2f} s   ncaa-assets restore {restored:6.2f} s   pace {bare / restored:.2f} (aim: 0.9)")


def _run(arguments: list[str], environment: dict[str, str], folder: Path) -> tuple[float, float]:
    """How long a process takes that fills a new folder, in seconds, and its peak of memory in MB where it says it."""
    target = folder / "target"
    os.sync()
    started = time.perf_counter()
    done = subprocess.run(
        [*arguments, str(target)], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - started
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.rmtree(target)
    lines = done.stdout.splitlines()
    return seconds, float(lines[-1]) if lines and lines[-1].replace(".", "").isdigit() else 0.0


if __name__ == "__main__":
    main()
