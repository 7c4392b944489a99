"""Whole days on AWS: the same four assets over S3, DynamoDB and MediaConvert, run by the command, killed after every
change, and searched for the key."""

import functools
import json
import os
import sqlite3
from datetime import date
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster_shared.serdes import serialize_value

from ncaa_assets.backends.aws.mediaconvert import MediaConvertTranscoder
from ncaa_assets.backends.deployments import open_store, open_table
from ncaa_assets.definitions import build_defs
from ncaa_assets.runs.execute import execute_day
from ncaa_assets.runs.instance import open_instance
from ncaa_assets.runs.outcome import DayRun
from ncaa_assets.settings import Settings
from ncaa_assets_tests.days import DAY, KEY, back_up, command, metadata_of, run_day, settings_for
from ncaa_assets_tests.loopback import aws
from ncaa_assets_tests.loopback.aws import Cloud
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import record, serve_listing

pytestmark = pytest.mark.slow  # each command imports dagster_aws

BUCKET, TABLE, SECRET = "highlights", "SportsHighlights", "ncaa/rapidapi"
ROLE = "arn:aws:iam::123456789012:role/mediaconvert"
AWS = {
    "NCAA_DEPLOYMENT": "aws", "S3_BUCKET_NAME": BUCKET, "S3_PREFIX": "ncaa", "MEDIACONVERT_ROLE_ARN": ROLE,
    "VIDEO_ALLOW_PRIVATE_HOSTS": "1", "VIDEO_COUNT": "2", "RETRY_DELAY": "1",
}  # fmt: skip


@pytest.fixture
def ready(cloud: Cloud) -> Cloud:
    """The account as it is before the first run: a bucket, a table, and a secret with the key."""
    cloud.make_bucket(BUCKET)
    cloud.make_table(TABLE)
    cloud.client("secretsmanager").create_secret(Name=SECRET, SecretString=json.dumps({"api_key": KEY}))
    return cloud


@pytest.fixture
def endpoint(server: ScriptedServer, clip: Path, silent_clip: Path) -> str:
    """A web page first, then videos with and without sound, and records with neither page nor video."""
    page = server.on("/watch", Reply(b"<!doctype html><title>watch</title>", content_type="video/mp4"))
    sound = server.on("/sound.mp4", Reply(clip.read_bytes(), content_type="video/mp4"))
    silent = server.on("/silent.mp4", Reply(silent_clip.read_bytes()))
    records = [record(1, page), record(2, sound), record(3, silent), *(record(n, None) for n in range(4, 50))]
    return serve_listing(server, lambda: records)


def keys(cloud: Cloud) -> list[str]:
    """The keys in the bucket, without those of the program's own records."""
    found = cloud.client("s3").list_objects_v2(Bucket=BUCKET).get("Contents", [])
    names = [one["Key"].removeprefix("ncaa/") for one in found]
    return sorted(name for name in names if not any(part.startswith(".") for part in name.split("/")))


@pytest.mark.timeout(900)  # four commands, each of which may take two minutes
def test_the_daily_job_stores_on_aws_what_it_stores_in_a_folder(
    ready: Cloud, endpoint: str, clip: Path, tmp_path: Path
) -> None:
    local = command(
        "backup", "--date", DAY, API_URL=endpoint, RAPIDAPI_KEY=KEY, VIDEO_ALLOW_PRIVATE_HOSTS="1", VIDEO_COUNT="2"
    )
    assert local.returncode == 0, local.stderr
    home = str(tmp_path / "aws-home")
    done = command("backup", "--date", DAY, API_URL=endpoint, RAPIDAPI_SECRET_ID=SECRET, DAGSTER_HOME=home, **AWS)
    assert done.returncode == 0, done.stderr
    assert f"{DAY} backed up" in done.stdout
    assert f"s3://{BUCKET}/ncaa/" in done.stdout
    assert f"rows in the table {TABLE}" in done.stdout

    files = [path.relative_to("data").as_posix() for path in Path("data").rglob("*") if path.is_file()]
    local_keys = sorted(
        name for name in files if not any(part.startswith((".", "highlights.sqlite")) for part in name.split("/"))
    )
    # MediaConvert numbers its frame captures.
    assert [key.replace(".0000000.jpg", ".jpg") for key in keys(ready)] == local_keys
    assert f"processed_videos/{DAY}/3.mp4" in local_keys

    s3 = ready.client("s3")
    for key in (f"highlights/{DAY}.json", f"videos/{DAY}.json"):
        here, there = (
            json.loads(Path("data", key).read_bytes()),
            json.load(s3.get_object(Bucket=BUCKET, Key=f"ncaa/{key}")["Body"]),
        )
        assert here.keys() == there.keys()
        assert here.get("data") == there.get("data")
        copies = [{v["key"]: v["sha256"] for v in document.get("videos", [])} for document in (here, there)]
        assert copies[0] == copies[1]
    assert s3.get_object(Bucket=BUCKET, Key=f"ncaa/videos/{DAY}/2.mp4")["Body"].read() == clip.read_bytes()
    with sqlite3.connect("data/highlights.sqlite") as table:
        here_rows = dict(table.execute("SELECT id, content_hash FROM highlights"))
    items = ready.client("dynamodb").scan(TableName=TABLE)["Items"]
    assert {item["id"]["S"]: item["content_hash"]["S"] for item in items} == here_rows
    assert len(here_rows) == 49
    assert ready.mediaconvert.encodes == 2

    second = command("backup", "--date", DAY, API_URL=endpoint, RAPIDAPI_SECRET_ID=SECRET, DAGSTER_HOME=home, **AWS)
    assert second.returncode == 0, second.stderr
    assert "49 rows: 0 written" in second.stdout
    assert "nothing to copy, 2 there already" in second.stdout
    assert "nothing to encode, 2 there already" in second.stdout
    assert ready.times("CreateJob") == 2

    verified = command("verify", "--deep", API_URL=endpoint, RAPIDAPI_SECRET_ID=SECRET, START_DATE=DAY, **AWS)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "2 copied and 2 encoded videos" in verified.stdout
    assert "4 decoded" in verified.stdout

    with dg.DagsterInstance.from_config(home) as instance:
        assert metadata_of(instance, "highlights")["dagster/uri"] == f"s3://{BUCKET}/ncaa/highlights/{DAY}.json"
        assert metadata_of(instance, "backup_rows")["dagster/uri"] == f"dynamodb://us-east-1/{TABLE}"
        outputs = metadata_of(instance, "processed_videos")["outputs"]
        for job in ready.mediaconvert.jobs:
            assert f"console.aws.amazon.com/mediaconvert/home?region=us-east-1#/jobs/summary/{job.id}>" in outputs
        assert f"[2.mp4](<https://us-east-1.console.aws.amazon.com/s3/object/{BUCKET}?" in outputs
        assert metadata_of(instance, "processed_videos")["encoded_minutes"] == 0
    assert where_the_key_is(ready, tmp_path, done.stdout + done.stderr + second.stdout + second.stderr) == []


def where_the_key_is(cloud: Cloud, folder: Path, said: str) -> list[str]:
    """Searches everything that a run leaves for the API key."""
    s3 = cloud.client("s3")
    found = []
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET):
        for one in page.get("Versions", []):
            answer = s3.get_object(Bucket=BUCKET, Key=one["Key"], VersionId=one["VersionId"])
            if KEY.encode() in answer["Body"].read() or KEY in json.dumps(answer["Metadata"]):
                found.append(one["Key"])
    if KEY in json.dumps(cloud.client("dynamodb").scan(TableName=TABLE)["Items"]):
        found.append(TABLE)
    if KEY in json.dumps([job.request for job in cloud.mediaconvert.jobs]):
        found.append("MediaConvert")
    found += [str(path) for path in folder.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    return [*found, "the output"] if KEY in said else found


def day_with_the_secret(endpoint: str, folder: Path) -> DayRun:
    """Runs the daily job in this process, with the key only in the secret."""
    settings = Settings.from_environment({**AWS, "API_URL": endpoint, "RAPIDAPI_SECRET_ID": SECRET})
    with open_instance(folder / "home") as instance:
        return execute_day(instance, build_defs(settings), date.fromisoformat(DAY), force=False)


def told(ended: DayRun) -> str:
    """The errors of a run, as the command prints them."""
    assert not ended.succeeded
    return " ".join(error.detail for error in ended.errors)


@pytest.mark.parametrize("value", [KEY, f" {KEY}\n"])
def test_the_key_may_stand_in_the_secret_alone(
    ready: Cloud, endpoint: str, server: ScriptedServer, tmp_path: Path, value: str
) -> None:
    ready.client("secretsmanager").put_secret_value(SecretId=SECRET, SecretString=value)
    assert day_with_the_secret(endpoint, tmp_path).succeeded
    assert {asked.headers["x-rapidapi-key"] for asked in server.asked if asked.path.endswith("highlights")} == {KEY}
    assert where_the_key_is(ready, tmp_path, "") == []


def test_a_run_that_fails_in_the_middle_does_not_show_the_key_either(
    ready: Cloud, endpoint: str, tmp_path: Path
) -> None:
    ready.fail("CreateJob", aws.error(403, "AccessDeniedException", times=None))
    done = command("backup", "--date", DAY, "--debug", API_URL=endpoint, RAPIDAPI_SECRET_ID=SECRET, **AWS)
    assert done.returncode == 1
    assert "may not do CreateJob on MediaConvert" in done.stderr
    assert f"{DAY} FAILED; done and kept: highlights, backup_rows, videos" in done.stderr
    assert where_the_key_is(ready, tmp_path, done.stdout + done.stderr) == []


@pytest.mark.parametrize("name", ["RAPIDAPI_KEY", "RAPIDAPI_SECRET_ID"])
def test_what_the_ui_gets_of_the_definitions_does_not_hold_the_key(
    ready: Cloud, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, KEY if name == "RAPIDAPI_KEY" else SECRET)
    defs = build_defs(Settings.from_environment({**AWS, name: os.environ[name]}))
    shown = serialize_value(RepositorySnap.from_def(defs.get_repository_def()))
    assert KEY not in shown
    assert BUCKET in shown, "what is searched has the resources in it"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, f"there is no secret {SECRET} with a value; put the key into it"),
        ('{"other": "x"}', f"the secret {SECRET} holds no key"),
        ("{}", f"the secret {SECRET} holds no key"),
        ("two words", f"the key in the secret {SECRET} must be plain ASCII without spaces"),
    ],
)
def test_a_secret_without_a_key_is_told(
    ready: Cloud, endpoint: str, tmp_path: Path, value: str | None, said: str
) -> None:
    secrets = ready.client("secretsmanager")
    secrets.delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)
    if value is not None:
        secrets.create_secret(Name=SECRET, SecretString=value)
    assert said in told(day_with_the_secret(endpoint, tmp_path))
    assert keys(ready) == []


def test_without_a_key_no_run_starts(ready: Cloud) -> None:
    done = command("backup", "--date", DAY, **AWS)
    assert done.returncode == 2
    assert "there is no API key: set RAPIDAPI_KEY, or RAPIDAPI_SECRET_ID" in done.stderr
    assert ready.calls == []


def test_a_run_from_the_ui_without_a_key_fails_with_the_same_sentence(ready: Cloud, tmp_path: Path) -> None:
    """The webserver's task needs no key, but a run's task does."""
    assert "there is no API key" in told(run_day(Settings.from_environment(AWS), tmp_path / "home"))
    assert keys(ready) == []


@pytest.mark.parametrize(
    ("operation", "fault", "said"),
    [
        ("HeadBucket", aws.error(404, "NoSuchBucket", times=None), f"there is no bucket {BUCKET}"),
        ("HeadBucket", aws.error(403, "AccessDenied", times=None), "may not use the bucket"),
        ("PutObject", aws.error(400, "ExpiredToken", times=None), "credentials have expired"),
        ("DescribeTable", aws.error(400, "ResourceNotFoundException", times=None), f"there is no table {TABLE}"),
    ],
)
def test_what_is_wrong_with_the_account_is_one_sentence(
    ready: Cloud, endpoint: str, tmp_path: Path, operation: str, fault: aws.Fault, said: str
) -> None:
    ready.fail(operation, fault)
    assert said in told(day_with_the_secret(endpoint, tmp_path))
    ready.mend()
    assert day_with_the_secret(endpoint, tmp_path).succeeded


# ---- Killed after every change ---------------------------------------------------------------------------------------


def _look_often(patch: pytest.MonkeyPatch) -> None:
    """Encodes take only a moment here. Reading a job's state changes nothing, so no point is lost without a wait."""
    often = functools.partialmethod(MediaConvertTranscoder.__init__, poll_seconds=0.1)
    patch.setattr(MediaConvertTranscoder, "__init__", often)


def _run(settings: Settings, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    _look_often(pytest.MonkeyPatch())
    back_up(settings)
    os._exit(0)


@pytest.mark.timeout(1800)  # some thirty days' work
def test_a_run_killed_at_any_request_is_taken_up_and_nothing_is_paid_or_stored_twice(
    ready: Cloud, server: ScriptedServer, clip: Path, forkserver: ForkServerContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Killed when its n-th request that changes something has been carried out but not answered: the requests are found
    and not listed. SearchJobs is an hour behind and tokens last no time: only looking helps.

    A run that is killed before its n-th change leaves what one leaves that is killed after the change before it. So
    each point is tried once, here after a change; the run in a folder (test_interrupted.py) is killed before each."""
    video = server.on("/1.mp4", Reply(clip.read_bytes()))
    url = serve_listing(server, lambda: [record(1, video), record(2, None)])
    _look_often(monkeypatch)
    point = 0
    while True:
        point += 1
        ready.mediaconvert.reset()
        ready.mediaconvert.token_seconds, ready.mediaconvert.search_lag_seconds = 0, 3600
        settings = settings_for(
            url, ncaa_deployment="aws", s3_bucket_name=BUCKET, s3_prefix=f"after-{point}",
            mediaconvert_role_arn=ROLE, dynamodb_table=f"after-{point}",
        )  # fmt: skip
        ready.make_table(settings.dynamodb_table)
        child = forkserver.Process(target=_run, args=(settings, dict(os.environ)))
        if not ready.was_killed_after(point, child):
            break
        back_up(settings)  # nobody may hold the day any more
        _is_whole(ready, settings, clip)
        assert ready.mediaconvert.encodes == 1, f"killed after change {point}"
    assert point > 12, "the hook saw the run's changes"


def _is_whole(cloud: Cloud, settings: Settings, clip: Path) -> None:
    store, table = open_store(settings), open_table(settings)
    document = json.loads(store.read(f"highlights/{DAY}.json")[0])
    assert [one["id"] for one in document["data"]] == [1, 2]
    assert {row["id"]: row["content_hash"] for row in table.day(DAY)} == {
        key: entry["content_hash"] for key, entry in document["backup"]["records"].items()
    }
    assert store.read(f"videos/{DAY}/1.mp4")[0] == clip.read_bytes()
    assert [info.key for info in store.list("")] == [
        "archive.json", f"highlights/{DAY}.json", f"processed_videos/{DAY}.json",
        f"processed_videos/{DAY}/1.0000000.jpg", f"processed_videos/{DAY}/1.mp4", f"videos/{DAY}.json",
        f"videos/{DAY}/1.mp4",
    ]  # fmt: skip
    manifests: list[dict[str, Any]] = [
        json.loads(store.read(f"{kind}/{DAY}.json")[0]) for kind in ("videos", "processed_videos")
    ]
    assert [len(manifest["videos"]) for manifest in manifests] == [1, 1]
    s3 = cloud.client("s3")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET)
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{settings.s3_prefix}/.leases/")
