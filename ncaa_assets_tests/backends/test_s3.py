"""What only the S3 store has: parts, checksums, lost answers, and a sentence for each thing that can be wrong with a
bucket. What every store promises is in test_contracts.py."""

import hashlib
import json
import os
import subprocess
import sys
from typing import Any

import boto3
import pytest
from botocore.config import Config

from ncaa_assets.archive.lease import holder_of
from ncaa_assets.backends.aws.s3 import PART, S3Store
from ncaa_assets.failures import BackupError, SettingsError, StoreError, WriteConflict
from ncaa_assets.ports import Expect
from ncaa_assets.retry import RetryPolicy
from ncaa_assets_tests.archives import lease_of
from ncaa_assets_tests.loopback import aws
from ncaa_assets_tests.loopback.aws import Cloud

BUCKET, PREFIX, DAY = "highlights", "ncaa", "2025-03-09"
KEY = f"videos/{DAY}/1.mp4"


def opened(bucket: str = BUCKET, *, tries: int = 2, region: str = "us-east-1") -> S3Store:
    config = Config(retries={"mode": "standard", "total_max_attempts": tries})
    return S3Store(
        boto3.client("s3", config=config, region_name=region), bucket, PREFIX, retry=RetryPolicy(tries - 1, 0.1)
    )


@pytest.fixture
def objects(cloud: Cloud) -> S3Store:
    cloud.make_bucket(BUCKET)
    return opened()


def body(parts: float) -> bytes:
    return hashlib.sha256(b"seed").digest() * int(parts * PART / 32)


def stored(cloud: Cloud, key: str = KEY) -> dict[str, Any]:
    answer: dict[str, Any] = cloud.client("s3").get_object(Bucket=BUCKET, Key=f"{PREFIX}/{key}", ChecksumMode="ENABLED")
    answer["Bytes"] = answer["Body"].read()
    return answer


def everything(cloud: Cloud) -> list[str]:
    """What the bucket holds: its keys and its unfinished uploads."""
    s3 = cloud.client("s3")
    found = [one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
    return found + [f"upload {one['Key']}" for one in s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])]


def test_an_objects_page_is_that_of_awss_console_which_plays_it() -> None:
    assert opened(region="eu-west-1").page(KEY) == (
        f"https://eu-west-1.console.aws.amazon.com/s3/object/{BUCKET}?region=eu-west-1&prefix=ncaa%2Fvideos%2F{DAY}%2F1.mp4"
    )


def test_what_is_large_goes_up_in_parts_and_arrives_whole(objects: S3Store, cloud: Cloud) -> None:
    data = body(2.5)
    with objects.upload(KEY, content_type="video/mp4") as upload:
        for start in range(0, len(data), 300_001):
            upload.write(data[start : start + 300_001])
        info = upload.commit()
    there = stored(cloud)
    assert there["Bytes"] == data
    assert there["ContentType"] == "video/mp4"
    assert (info.size, info.version) == (len(data), there["ETag"])
    assert cloud.times("UploadPart") == 3
    assert objects.info(KEY) == info


@pytest.mark.parametrize("parts", [1.0, 2.0])
def test_a_size_that_is_a_whole_number_of_parts_has_no_empty_one(objects: S3Store, cloud: Cloud, parts: float) -> None:
    with objects.upload(KEY, content_type="video/mp4") as upload:
        upload.write(body(parts))
        upload.commit()
    assert stored(cloud)["Bytes"] == body(parts)
    assert cloud.times("UploadPart") == int(parts)


def test_what_fits_into_one_part_is_one_put(objects: S3Store, cloud: Cloud) -> None:
    with objects.upload(KEY, content_type="video/mp4") as upload:
        upload.write(b"small")
        upload.commit()
    there = stored(cloud)
    assert (there["Bytes"], there["ContentType"]) == (b"small", "video/mp4")
    assert cloud.times("CreateMultipartUpload") == 0


def test_documents_carry_a_checksum_and_their_content_type(objects: S3Store, cloud: Cloud) -> None:
    objects.write(f"highlights/{DAY}.json", b"{}")
    there = stored(cloud, f"highlights/{DAY}.json")
    assert there["ContentType"] == "application/json"
    assert there["ChecksumSHA256"] == "RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o="  # of "{}"


@pytest.mark.parametrize("parts", [0.1, 1.5])
def test_a_provisional_upload_appears_under_the_key_of_its_commit_alone(
    objects: S3Store, cloud: Cloud, parts: float
) -> None:
    objects.write(KEY, b"the old copy")
    with objects.upload(KEY, content_type="video/mp4", provisional=True) as upload:
        upload.write(body(parts))
        info = upload.commit(f"videos/{DAY}/1.abcd.mp4")
    assert info.key == f"videos/{DAY}/1.abcd.mp4"
    there = stored(cloud, info.key)
    assert (there["Bytes"], there["ContentType"]) == (body(parts), "video/mp4")
    assert objects.read(KEY)[0] == b"the old copy"
    assert everything(cloud) == [f"{PREFIX}/{info.key}", f"{PREFIX}/{KEY}"]


def test_reading_the_facts_of_a_large_upload_takes_a_request_a_place(objects: S3Store, cloud: Cloud) -> None:
    """MediaInfo reads an MP4 with its index at the end in this order: the head, box after box, the end, the index."""
    data = body(10)
    with objects.upload(KEY, content_type="video/mp4", provisional=True) as upload:
        upload.write(data)
        with upload.reader() as file:
            for at in (0, 65536, 131072, 16, len(data) - 65536, len(data) - 131072, len(data) - 100, 0):
                file.seek(at)
                assert file.read(65536) == data[at : at + 65536]
            assert cloud.times("GetObject") == 2
        assert upload.commit().size == len(data)
    assert cloud.times("CopyObject") == 1
    assert cloud.times("DeleteObject") == 1
    assert everything(cloud) == [f"{PREFIX}/{KEY}"]


def test_a_small_upload_is_read_and_committed_by_one_request(objects: S3Store, cloud: Cloud) -> None:
    objects.info(KEY)
    with objects.upload(KEY, content_type="video/mp4", provisional=True) as upload:
        upload.write(body(0.5))
        with upload.reader() as file:
            assert file.read() == body(0.5)
        upload.commit()
    assert (cloud.times("PutObject"), cloud.times("GetObject"), cloud.times("CopyObject")) == (1, 0, 0)


def test_a_copy_within_the_bucket_has_the_whole_contents_checksum_and_type(objects: S3Store, cloud: Cloud) -> None:
    with objects.upload(KEY, content_type="video/mp4", provisional=True) as upload:
        upload.write(body(2.5))
        upload.commit()
    assert stored(cloud)["ContentType"] == "video/mp4"
    assert objects.checksum(KEY) == hashlib.sha256(body(2.5)).hexdigest()


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        ("CopyObject", aws.error(200, "InternalError")),
        *(
            (operation, fault)
            for operation in ("GetObject", "CopyObject", "DeleteObject", "CompleteMultipartUpload")
            for fault in (aws.error(503, "SlowDown"), aws.dropped_before, aws.dropped_after)
        ),
    ],
)
def test_a_passing_fault_while_an_upload_is_read_or_copied_passes(
    objects: S3Store, cloud: Cloud, operation: str, fault: aws.Fault
) -> None:
    cloud.fail(operation, fault)
    with objects.upload(KEY, content_type="video/mp4", provisional=True) as upload:
        upload.write(body(1.5))
        with upload.reader() as file:
            assert file.read(10) == body(1.5)[:10]
        upload.commit()
    assert stored(cloud)["Bytes"] == body(1.5)
    assert everything(cloud) == [f"{PREFIX}/{KEY}"]


def test_an_upload_that_cannot_be_removed_is_told_and_swept_by_the_next_run(
    objects: S3Store, cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    with objects.upload(KEY, content_type="video/mp4", provisional=True) as upload:
        upload.write(body(1.5))
        with upload.reader():
            pass
        cloud.fail("DeleteObject", aws.error(400, "ExpiredToken", times=None))
    assert "the day's next run removes it" in caplog.text
    cloud.mend()
    assert len(everything(cloud)) == 1
    objects.sweep(DAY)
    assert everything(cloud) == []


def test_an_upload_that_was_opened_for_one_key_is_not_committed_under_another(objects: S3Store, cloud: Cloud) -> None:
    with pytest.raises(ValueError, match="provisional"), objects.upload(KEY, content_type="video/mp4") as upload:
        upload.write(b"x")
        upload.commit(f"videos/{DAY}/2.mp4")
    assert everything(cloud) == []


@pytest.mark.parametrize("provisional", [False, True])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_upload_that_ends_early_leaves_no_parts(
    objects: S3Store, cloud: Cloud, error: type[BaseException], provisional: bool
) -> None:
    with pytest.raises(error), objects.upload(KEY, content_type="video/mp4", provisional=provisional) as upload:
        upload.write(body(3))
        raise error
    assert cloud.times("UploadPart") > 0
    assert everything(cloud) == []


def test_a_sweep_ends_the_uploads_of_the_dead_and_no_other(objects: S3Store, cloud: Cloud) -> None:
    s3 = cloud.client("s3")
    dead = [f"videos/{DAY}/1.mp4", f".tmp/videos/{DAY}/2.mp4.abc"]
    # Uploads of MediaConvert, of another day, and of another program in the same bucket.
    alive = [f"processed_videos/{DAY}/1.mp4", "videos/2025-03-10/1.mp4"]
    for key in (*dead, *alive):
        s3.create_multipart_upload(Bucket=BUCKET, Key=f"{PREFIX}/{key}")
    s3.create_multipart_upload(Bucket=BUCKET, Key=f"videos/{DAY}/1.mp4")
    s3.put_object(Bucket=BUCKET, Key=f"{PREFIX}/.tmp/videos/{DAY}/3.mp4.abc", Body=b"not moved yet")
    objects.sweep(DAY)
    assert sorted(everything(cloud)) == sorted(
        [*(f"upload {PREFIX}/{key}" for key in alive), f"upload videos/{DAY}/1.mp4"]
    )


_UPLOAD = """
import json, resource, sys
import boto3
from ncaa_assets.backends.aws.s3 import S3Store
store = S3Store(boto3.client("s3"), sys.argv[1])
chunk = bytes(256 * 1024)

def upload(megabytes):
    with store.upload("videos/2025-03-09/1.mp4", content_type="video/mp4") as upload:
        for _ in range(megabytes * 4):
            upload.write(chunk)
        upload.commit()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

print(json.dumps([upload(24), upload(120)]))
"""


def test_memory_does_not_grow_with_the_size_of_an_upload(objects: S3Store) -> None:
    done = subprocess.run([sys.executable, "-c", _UPLOAD, BUCKET], capture_output=True, check=True, env=os.environ)
    small, large = json.loads(done.stdout)
    assert large - small < 12, f"{large - small:.0f} MB more for 96 MB more"


# ---- What a network does ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        ("UploadPart", aws.error(503, "SlowDown")),
        ("UploadPart", aws.dropped_before),
        ("UploadPart", aws.dropped_after),
        ("CreateMultipartUpload", aws.error(503, "SlowDown")),
        ("CompleteMultipartUpload", aws.error(200, "InternalError")),
        ("CompleteMultipartUpload", aws.dropped_before),
        ("CompleteMultipartUpload", aws.dropped_after),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.kind} {value.code}",
)
def test_a_passing_fault_of_an_upload_passes(objects: S3Store, cloud: Cloud, operation: str, fault: aws.Fault) -> None:
    cloud.fail(operation, fault)
    with objects.upload(KEY, content_type="video/mp4") as upload:
        upload.write(body(2.5))
        info = upload.commit()
    assert stored(cloud)["Bytes"] == body(2.5)
    assert info.size == len(body(2.5))
    assert everything(cloud) == [f"{PREFIX}/{KEY}"]


@pytest.mark.parametrize("fault", [aws.error(503, "SlowDown"), aws.dropped_before, aws.dropped_after])
@pytest.mark.parametrize("expect", [Expect.ANYTHING, Expect.NOTHING, "version"])
def test_a_passing_fault_of_a_write_passes_also_where_the_write_is_conditional(
    objects: S3Store, cloud: Cloud, fault: aws.Fault, expect: Expect | str
) -> None:
    key = f"highlights/{DAY}.json"
    if expect == "version":
        expect = objects.write(key, b"before")
    cloud.fail("PutObject", fault)
    version = objects.write(key, b"after", expect=expect)
    assert objects.read(key) == (b"after", version)


@pytest.mark.parametrize("operation", ["GetObject", "HeadObject", "DeleteObject", "ListObjectsV2"])
@pytest.mark.parametrize("fault", [aws.error(500, "InternalError"), aws.dropped_after])
def test_a_passing_fault_of_anything_else_passes(
    objects: S3Store, cloud: Cloud, operation: str, fault: aws.Fault
) -> None:
    version = objects.write(KEY, b"x")
    cloud.fail(operation, fault)
    assert objects.read(KEY)[0] == b"x"
    assert [info.key for info in objects.list("videos/")] == [KEY]
    assert objects.info(KEY) is not None
    objects.delete(KEY, expect=version)
    assert objects.info(KEY) is None


def test_a_lease_whose_answers_are_lost_is_held_and_given_back(objects: S3Store, cloud: Cloud) -> None:
    cloud.fail("PutObject", aws.dropped_after, key=".leases")
    cloud.fail("DeleteObject", aws.dropped_after, key=".leases")
    with lease_of(objects, DAY, "run-1"):
        there = holder_of(objects, DAY)
        assert there is not None
        assert there.owner == "run-1"
    assert holder_of(objects, DAY) is None
    assert everything(cloud) == []


def test_a_write_that_another_one_overtook_is_no_success(objects: S3Store) -> None:
    """Not even where both write the same bytes: of two counters that count up, one would be lost."""
    key = f"highlights/{DAY}.json"
    version = objects.write(key, b"1")
    opened().write(key, b"2", expect=version)
    with pytest.raises(WriteConflict, match="written by somebody else"):
        objects.write(key, b"2", expect=version)


# ---- What is wrong for good ------------------------------------------------------------------------------------------


def upload_and_fail(store: S3Store) -> None:
    with store.upload(KEY, content_type="video/mp4") as upload:
        upload.write(body(2.5))
        upload.commit()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (aws.error(503, "SlowDown", times=None), "too busy"),
        (aws.error(403, "AccessDenied", times=None), "may not do UploadPart on .*grant it to their role"),
        (aws.error(400, "ExpiredToken", times=None), "credentials have expired .*aws sso login"),
        (aws.error(403, "InvalidAccessKeyId", times=None), "does not know these credentials"),
        (aws.error(400, "BadDigest", times=None), "BadDigest"),
    ],
)
def test_a_fault_that_stays_is_one_sentence_and_nothing_is_half_stored(
    objects: S3Store, cloud: Cloud, fault: aws.Fault, said: str
) -> None:
    cloud.fail("UploadPart", fault)
    with pytest.raises(StoreError, match=said) as caught:
        upload_and_fail(objects)
    assert "\n" not in str(caught.value)
    cloud.mend()
    assert everything(cloud) == []


def test_parts_that_cannot_be_taken_back_are_told_and_swept_by_the_next_run(
    objects: S3Store, cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.fail("UploadPart", aws.error(400, "ExpiredToken", times=None))
    cloud.fail("AbortMultipartUpload", aws.error(400, "ExpiredToken", times=None))
    with pytest.raises(StoreError, match="expired"):
        upload_and_fail(objects)
    assert "the day's next run ends it" in caplog.text
    cloud.mend()
    assert everything(cloud) == [f"upload {PREFIX}/{KEY}"]
    objects.sweep(DAY)
    assert everything(cloud) == []


def test_a_missing_bucket_is_told_and_never_made(cloud: Cloud) -> None:
    store = opened("nowhere")
    for act in (
        lambda: store.info(KEY),
        lambda: store.read(KEY),
        lambda: store.write(KEY, b"x"),
        lambda: upload_and_fail(store),
        lambda: list(store.list("")),
    ):
        with pytest.raises(StoreError, match="there is no bucket nowhere; set S3_BUCKET_NAME"):
            act()
    assert cloud.client("s3").list_buckets()["Buckets"] == []


def test_a_bucket_that_vanishes_while_it_is_used_is_told_too(objects: S3Store, cloud: Cloud) -> None:
    assert objects.info(KEY) is None
    cloud.client("s3").delete_bucket(Bucket=BUCKET)
    with pytest.raises(StoreError, match="there is no bucket"):
        objects.write(KEY, b"x")


def test_a_denied_bucket_is_told(objects: S3Store, cloud: Cloud) -> None:
    cloud.fail("HeadBucket", aws.error(403, "AccessDenied", times=None))
    with pytest.raises(StoreError, match="may not use the bucket highlights, or it is somebody else's"):
        objects.info(KEY)


def test_a_wrong_region_is_told(cloud: Cloud) -> None:
    cloud.client("s3").create_bucket(
        Bucket="elsewhere", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    said = "elsewhere is in eu-central-1, and the region here is us-east-1; set AWS_REGION=eu-central-1"
    with pytest.raises(SettingsError, match=said):
        opened("elsewhere").info(KEY)
    assert opened("elsewhere", region="eu-central-1").info(KEY) is None


def test_no_credentials_at_all_are_told(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    store = S3Store(boto3.session.Session().client("s3"), BUCKET)
    with pytest.raises(SettingsError, match=r"no usable AWS credentials .*aws sso login"):
        store.info(KEY)


def test_an_endpoint_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, cloud: Cloud) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(BackupError, match=r"cannot be reached .*check the network and AWS_REGION"):
        opened().info(KEY)
