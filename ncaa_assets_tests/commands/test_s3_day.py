"""Whole days in a store of S3's protocol that is not AWS: by the command on SeaweedFS, from two machines, and killed
after every change on a store that lacks all that can be replaced."""

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ncaa_assets.archive.archive import Archive
from ncaa_assets.settings import Settings
from ncaa_assets_tests.days import DAY, KEY, back_up, command, metadata_of, settings_for
from ncaa_assets_tests.loopback import s3_rules
from ncaa_assets_tests.loopback.aws import Cloud
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import record, serve_listing
from ncaa_assets_tests.loopback.running_ui import COMMAND
from ncaa_assets_tests.loopback.seaweedfs import SeaweedFS

pytestmark = pytest.mark.slow

BUCKET = "highlights"
NOWHERE = "http://127.0.0.1:9"  # whatever is asked of AWS goes there


@pytest.fixture
def endpoint(server: ScriptedServer, clip: Path, silent_clip: Path) -> str:
    sound = server.on("/sound.mp4", Reply(clip.read_bytes(), content_type="video/mp4"))
    silent = server.on("/silent.mp4", Reply(silent_clip.read_bytes()))
    records = [record(1, sound), record(2, silent), *(record(number, None) for number in range(3, 20))]
    return serve_listing(server, lambda: records)


@pytest.fixture
def there(seaweedfs: SeaweedFS, endpoint: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of an archive of the test's own on SeaweedFS."""
    seaweedfs.make_bucket(BUCKET)
    yield {
        "NCAA_DEPLOYMENT": "s3", "S3_ENDPOINT_URL": seaweedfs.url, "S3_BUCKET_NAME": BUCKET, "S3_PREFIX": tmp_path.name,
        "AWS_ENDPOINT_URL": NOWHERE, "API_URL": endpoint, "RAPIDAPI_KEY": KEY, "VIDEO_COUNT": "2", "RETRY_DELAY": "1",
        "VIDEO_ALLOW_PRIVATE_HOSTS": "1", "START_DATE": DAY,
    }  # fmt: skip


def rows_of(folder: Path) -> dict[str, Any]:
    (path,) = folder.rglob("highlights.sqlite")
    with closing(sqlite3.connect(path)) as table:
        return {row[0]: row[1:] for row in table.execute("SELECT id, content_hash, days, first_seen FROM highlights")}


@pytest.mark.timeout(900)
def test_a_day_in_a_store_that_others_wrote_from_one_machine_and_another(
    there: dict[str, str], seaweedfs: SeaweedFS, tmp_path: Path, clip: Path
) -> None:
    done = command("backup", "--date", DAY, **there)
    assert done.returncode == 0, done.stderr
    prefix = f"s3://{BUCKET}/{tmp_path.name}/"
    assert "19 rows: 19 written" in done.stdout
    assert f"Files:  {prefix} at {seaweedfs.url}" in done.stdout
    client = seaweedfs.client()
    copy = client.get_object(Bucket=BUCKET, Key=f"{tmp_path.name}/videos/{DAY}/1.mp4")
    assert copy["Body"].read() == clip.read_bytes()
    with dg.DagsterInstance.from_config(str(tmp_path / ".dagster")) as instance:
        assert metadata_of(instance, "highlights")["dagster/uri"] == f"{prefix}highlights/{DAY}.json"
        assert metadata_of(instance, "backup_rows")["dagster/uri"].startswith(f"{tmp_path}/data/.s3/{BUCKET}-")

    second = command("backup", "--date", DAY, **there)
    assert second.returncode == 0, second.stderr
    assert "19 rows: 0 written" in second.stdout
    assert "nothing to encode, 2 there already" in second.stdout

    before = rows_of(tmp_path / "data")
    assert len(before) == 19
    other = there | {"DATA_DIR": "other/data", "DAGSTER_HOME": str(tmp_path / "other/home")}
    verified = command("verify", "--deep", **other)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "19 rows, 2 copied and 2 encoded videos" in verified.stdout
    assert "archive and record are equal" in verified.stdout
    assert rows_of(tmp_path / "other") == before

    examined = command("doctor", **other)
    assert f"{prefix} in the store at {seaweedfs.url.removeprefix('http://')} can be written, read" in examined.stdout
    assert "fail  store" not in examined.stdout
    listed = [one["Key"] for one in client.list_objects_v2(Bucket=BUCKET, Prefix=tmp_path.name).get("Contents", [])]
    keys = sorted(key.removeprefix(f"{tmp_path.name}/") for key in listed if "/." not in key)
    assert f"gallery/{DAY}.html" in keys
    assert [key for key in keys if not key.startswith("gallery/")] == [
        "archive.json", f"highlights/{DAY}.json", f"processed_videos/{DAY}.json",
        *(f"processed_videos/{DAY}/{name}" for name in ("1.jpg", "1.mp4", "2.jpg", "2.mp4")),
        f"videos/{DAY}.json", f"videos/{DAY}/1.mp4", f"videos/{DAY}/2.mp4",
    ]  # fmt: skip
    assert [key for key in listed if "/.probe/" in key or "/.leases/" in key] == []


@pytest.mark.timeout(900)
def test_a_command_that_is_killed_is_taken_up_by_another_machine(
    there: dict[str, str], seaweedfs: SeaweedFS, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [COMMAND, "backup", "--date", DAY], env={**os.environ, **there}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    client, deadline = seaweedfs.client(), time.monotonic() + 120
    while not client.list_objects_v2(Bucket=BUCKET, Prefix=f"{tmp_path.name}/videos/{DAY}/").get("KeyCount"):
        assert process.poll() is None
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    other = there | {"DATA_DIR": "other/data", "DAGSTER_HOME": str(tmp_path / "other/home")}
    done = command("backup", "--date", DAY, **other)
    assert done.returncode == 0, done.stderr
    assert command("verify", **there).returncode == 0


def test_a_store_without_conditional_writes_gets_no_backup_and_one_sentence(
    cloud: Cloud, there: dict[str, str], tmp_path: Path
) -> None:
    cloud.client("s3").create_bucket(Bucket=BUCKET)
    cloud.lacks = s3_rules.GARAGE
    mine = there | {"S3_ENDPOINT_URL": cloud.url}
    host = cloud.url.removeprefix("http://")
    for arguments in (["backup", "--date", DAY], ["catch-up", "--days", "1"]):
        done = command(*arguments, **mine)
        assert done.returncode == 2
        assert f"ncaa-assets: the store at {host} takes no heed of If-None-Match and If-Match in a w" in done.stderr
        assert "Traceback" not in done.stderr
    assert "Contents" not in cloud.client("s3").list_objects_v2(Bucket=BUCKET)
    examined = command("doctor", **mine)
    assert examined.returncode == 1
    assert f"fail  store        the store at {host} takes no heed of" in examined.stdout
    assert examined.stdout.count("takes no heed of") == 1
    assert "No: 1 thing would stop it" in examined.stdout


def _run(settings: Settings, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    back_up(settings)
    os._exit(0)


@pytest.mark.timeout(1800)
def test_a_run_killed_after_any_change_is_taken_up_on_the_poorest_store(
    cloud: Cloud, server: ScriptedServer, clip: Path, forkserver: ForkServerContext
) -> None:
    """As test_aws_day.py does it: the points are found and not listed. Every other one: what comes between two writes
    of the store is the same in a folder (test_interrupted.py), and killed there each time."""
    cloud.client("s3").create_bucket(Bucket=BUCKET)
    video = server.on("/1.mp4", Reply(clip.read_bytes()))
    url = serve_listing(server, lambda: [record(1, video), record(2, None)])
    point = -1
    while True:
        point += 2
        settings = settings_for(
            url, ncaa_deployment="s3", s3_endpoint_url=cloud.url, s3_bucket_name=BUCKET, s3_prefix=f"after-{point}",
        )  # fmt: skip
        cloud.lacks = s3_rules.POOREST
        child = forkserver.Process(target=_run, args=(settings, dict(os.environ)))
        if not cloud.was_killed_after(point, child):
            break
        back_up(settings)
        _is_whole(cloud, settings, clip)
    assert point > 8, "the hook saw the run's changes"


def _is_whole(cloud: Cloud, settings: Settings, clip: Path) -> None:
    archive = Archive.open(settings)
    store, table = archive.store, archive.table
    document = json.loads(store.read(f"highlights/{DAY}.json")[0])
    assert [one["id"] for one in document["data"]] == [1, 2]
    assert {row["id"]: row["content_hash"] for row in table.day(DAY)} == {
        key: entry["content_hash"] for key, entry in document["backup"]["records"].items()
    }
    assert store.read(f"videos/{DAY}/1.mp4")[0] == clip.read_bytes()
    assert [info.key for info in store.list("")] == [
        "archive.json", f"highlights/{DAY}.json", f"processed_videos/{DAY}.json", f"processed_videos/{DAY}/1.jpg",
        f"processed_videos/{DAY}/1.mp4", f"videos/{DAY}.json", f"videos/{DAY}/1.mp4",
    ]  # fmt: skip
    s3 = cloud.client("s3")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET)
    left = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{settings.s3_prefix}/.").get("Contents", [])
    kept = {one["Key"].split("/")[1] for one in left}
    assert kept <= {".leases", ".history", ".quota"}, kept
