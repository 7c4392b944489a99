"""The bench is what it says: requests are named, faults come in their turn, conditions are atomic, and what S3 verifies
is verified. Asked by real boto3 clients, and once by another process."""

import base64
import http.client
import json
import os
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import cache, partial
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError
from moto.dynamodb.models.table import Table
from moto.s3.models import FakeKey, S3Backend

from ncaa_assets_tests.loopback.aws import Call, Cloud, Dropped, dropped_after, dropped_before, error, unprocessed
from ncaa_assets_tests.loopback.mediaconvert import REGION

BUCKET = "an-archive"
TABLE = "Highlights"
SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=A/20250309/us-east-1/s3/aws4_request, Signature=0"}


@cache
def client(service: str, *, attempts: int = 1) -> Any:
    """A client as the code under test makes it, from the environment (the same in every test), but asking once unless
    told otherwise."""
    config = Config(retries={"total_max_attempts": attempts, "mode": "standard"})
    return boto3.client(service, config=config)  # type: ignore[call-overload]


@pytest.fixture
def s3(cloud: Cloud) -> Any:
    cloud.make_bucket(BUCKET)
    return client("s3")


@pytest.fixture
def dynamodb(cloud: Cloud) -> Any:
    cloud.make_table(TABLE)
    return client("dynamodb")


def refusal(call: Callable[..., Any], **arguments: Any) -> tuple[int, str]:
    """The status and code that a call is refused with."""
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return refused.value.response["ResponseMetadata"]["HTTPStatusCode"], refused.value.response["Error"]["Code"]


def crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def item(number: int) -> dict[str, Any]:
    return {"id": {"S": str(number)}, "game_date": {"S": "2025-03-09"}}


def test_each_request_has_the_name_that_boto3_calls_it_by(cloud: Cloud, s3: Any, dynamodb: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="a b/ü+.json", Body=b"1")
    s3.copy_object(Bucket=BUCKET, Key="copy", CopySource={"Bucket": BUCKET, "Key": "a b/ü+.json"})
    s3.head_object(Bucket=BUCKET, Key="copy")
    upload = {"Bucket": BUCKET, "Key": "m", "UploadId": s3.create_multipart_upload(Bucket=BUCKET, Key="m")["UploadId"]}
    s3.upload_part(**upload, PartNumber=1, Body=b"1")
    s3.list_parts(**upload)
    s3.abort_multipart_upload(**upload)
    s3.list_objects_v2(Bucket=BUCKET, Prefix="a")
    s3.list_multipart_uploads(Bucket=BUCKET)
    s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "copy"}]})
    dynamodb.put_item(TableName=TABLE, Item=item(1))
    dynamodb.batch_get_item(RequestItems={TABLE: {"Keys": [{"id": {"S": "1"}}]}})
    topic = client("sns").create_topic(Name="alerts")["TopicArn"]
    client("sns").publish(TopicArn=topic, Message="m")
    client("secretsmanager").create_secret(Name="key", SecretString="k")
    client("secretsmanager").get_secret_value(SecretId="key")
    client("sts").get_caller_identity()
    assert [(call.service, call.operation, call.key) for call in cloud.calls] == [
        ("s3", "PutObject", "a b/ü+.json"),
        ("s3", "CopyObject", "copy"),
        ("s3", "HeadObject", "copy"),
        ("s3", "CreateMultipartUpload", "m"),
        ("s3", "UploadPart", "m"),
        ("s3", "ListParts", "m"),
        ("s3", "AbortMultipartUpload", "m"),
        ("s3", "ListObjectsV2", BUCKET),
        ("s3", "ListMultipartUploads", BUCKET),
        ("s3", "DeleteObjects", BUCKET),
        ("dynamodb", "PutItem", TABLE),
        ("dynamodb", "BatchGetItem", TABLE),
        ("sns", "CreateTopic", "alerts"),
        ("sns", "Publish", topic),
        ("secretsmanager", "CreateSecret", "key"),
        ("secretsmanager", "GetSecretValue", "key"),
        ("sts", "GetCallerIdentity", ""),
    ]
    assert [call.number for call in cloud.calls] == list(range(1, 18))
    assert [call.operation for call in cloud.calls if not call.changes] == [
        "HeadObject", "ListParts", "ListObjectsV2", "ListMultipartUploads", "BatchGetItem", "GetSecretValue",
        "GetCallerIdentity",
    ]  # fmt: skip


def test_what_a_test_looks_up_itself_is_not_counted_and_meets_no_fault(cloud: Cloud, s3: Any) -> None:
    cloud.before = lambda call: pytest.fail("a hook was called")
    cloud.fail("PutObject", error(500, "InternalError", times=None))
    cloud.client("s3").put_object(Bucket=BUCKET, Key="k", Body=b"1")
    assert cloud.calls == []
    assert cloud.client("s3").get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"


def test_a_misspelt_operation_is_an_error_and_not_a_fault_that_never_comes(cloud: Cloud) -> None:
    for wrong in (lambda: cloud.fail("PutObjekt", dropped_after), lambda: cloud.times("PutObjekt")):
        with pytest.raises(ValueError, match="PutObjekt"):
            wrong()


def test_faults_come_in_turn_for_the_keys_they_are_for_and_then_all_is_normal(cloud: Cloud, s3: Any) -> None:
    cloud.fail("PutObject", error(503, "SlowDown", times=2), error(403, "AccessDenied"), key="videos/")
    put = s3.put_object
    put(Bucket=BUCKET, Key="highlights/1", Body=b"1")
    seen = [refusal(put, Bucket=BUCKET, Key="videos/1", Body=b"1") for _ in range(3)]
    assert seen == [(503, "SlowDown"), (503, "SlowDown"), (403, "AccessDenied")]
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET, Prefix="videos/")
    put(Bucket=BUCKET, Key="videos/1", Body=b"1")
    assert cloud.times("PutObject") == 5


def test_a_fault_for_ever_lasts_until_it_is_mended(cloud: Cloud, s3: Any) -> None:
    cloud.fail("ListObjectsV2", error(400, "ExpiredToken", times=None))
    for _ in range(3):
        assert refusal(s3.list_objects_v2, Bucket=BUCKET) == (400, "ExpiredToken")
    cloud.mend()
    s3.list_objects_v2(Bucket=BUCKET)


@pytest.mark.parametrize(
    ("service", "operation", "method", "arguments"),
    [
        ("dynamodb", "PutItem", "put_item", {"TableName": TABLE, "Item": item(1)}),
        ("secretsmanager", "GetSecretValue", "get_secret_value", {"SecretId": "x"}),
        ("sns", "Publish", "publish", {"TopicArn": "arn:aws:sns:us-east-1:123456789012:x", "Message": "m"}),
        ("s3", "GetObject", "get_object", {"Bucket": BUCKET, "Key": "k"}),
    ],
)
def test_errors_come_in_each_service_s_own_form(
    cloud: Cloud, service: str, operation: str, method: str, arguments: dict[str, Any]
) -> None:
    cloud.fail(operation, error(400, "ThrottlingException", "so < says & the test"))
    with pytest.raises(ClientError) as refused:
        getattr(client(service), method)(**arguments)
    told = refused.value.response["Error"]
    assert (told["Code"], told["Message"]) == ("ThrottlingException", "so < says & the test")


def test_some_errors_are_known_by_other_means(cloud: Cloud, s3: Any, dynamodb: Any) -> None:
    cloud.fail("PutItem", error(400, "ProvisionedThroughputExceededException"))
    with pytest.raises(dynamodb.exceptions.ProvisionedThroughputExceededException):
        dynamodb.put_item(TableName=TABLE, Item=item(1))
    cloud.fail("HeadObject", error(403, "AccessDenied"))  # an answer to HEAD has no body: only its status is known
    assert refusal(s3.head_object, Bucket=BUCKET, Key="k") == (403, "403")


@pytest.mark.parametrize(("fault", "stored"), [(dropped_before, False), (dropped_after, True)])
@pytest.mark.parametrize("size", [3, 300_000])
def test_a_dropped_connection_leaves_what_its_name_says(
    cloud: Cloud, s3: Any, fault: Any, stored: bool, size: int
) -> None:
    cloud.fail("PutObject", fault)
    with pytest.raises(ConnectionClosedError):
        s3.put_object(Bucket=BUCKET, Key="k", Body=b"x" * size)
    assert ("Contents" in cloud.client("s3").list_objects_v2(Bucket=BUCKET)) == stored
    client("s3", attempts=2).put_object(Bucket=BUCKET, Key="k", Body=b"x" * size)


@pytest.mark.parametrize(("fault", "stored"), [(dropped_before, 0), (dropped_after, 1)])
def test_a_dropped_connection_ends_requests_to_other_services_too(
    cloud: Cloud, dynamodb: Any, fault: Any, stored: int
) -> None:
    cloud.fail("PutItem", fault)
    with pytest.raises(ConnectionClosedError):
        dynamodb.put_item(TableName=TABLE, Item=item(1))
    assert cloud.client("dynamodb").scan(TableName=TABLE)["Count"] == stored


def test_a_client_that_retries_gets_over_a_dropped_answer(cloud: Cloud, dynamodb: Any) -> None:
    cloud.fail("PutItem", dropped_after)
    client("dynamodb", attempts=3).put_item(TableName=TABLE, Item=item(1))
    assert cloud.times("PutItem") == 2


def test_unprocessed_items_and_keys_come_back_and_were_not_processed(cloud: Cloud, dynamodb: Any) -> None:
    cloud.fail("BatchWriteItem", unprocessed(2), unprocessed(5))
    puts = [{"PutRequest": {"Item": item(number)}} for number in range(5)]
    answer = dynamodb.batch_write_item(RequestItems={TABLE: puts})
    assert answer["UnprocessedItems"] == {TABLE: puts[3:]}
    assert dynamodb.batch_write_item(RequestItems={TABLE: puts[3:]})["UnprocessedItems"] == {TABLE: puts[3:]}
    assert cloud.client("dynamodb").scan(TableName=TABLE)["Count"] == 3

    cloud.fail("BatchGetItem", unprocessed(1), unprocessed(3))
    keys = {"Keys": [{"id": {"S": str(number)}} for number in range(3)], "ConsistentRead": True}
    answer = dynamodb.batch_get_item(RequestItems={TABLE: keys})
    assert len(answer["Responses"][TABLE]) == 2
    assert answer["UnprocessedKeys"] == {TABLE: {"Keys": [{"id": {"S": "2"}}], "ConsistentRead": True}}
    answer = dynamodb.batch_get_item(RequestItems={TABLE: keys})
    assert answer["Responses"][TABLE] == []
    assert answer["UnprocessedKeys"] == {TABLE: keys}
    assert dynamodb.batch_get_item(RequestItems={TABLE: keys})["UnprocessedKeys"] == {}


def test_hooks_see_each_call_before_and_after_it_has_its_effect(cloud: Cloud, s3: Any) -> None:
    seen: list[tuple[str, str, bool]] = []

    def note(when: str) -> Callable[[Call], None]:
        def hook(call: Call) -> None:
            there = "Contents" in cloud.client("s3").list_objects_v2(Bucket=BUCKET)
            seen.append((when, call.operation, there))

        return hook

    cloud.before, cloud.after = note("before"), note("after")
    cloud.fail("DeleteObject", error(500, "InternalError"))
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"1")
    assert refusal(s3.delete_object, Bucket=BUCKET, Key="k") == (500, "InternalError")
    assert seen == [("before", "PutObject", False), ("after", "PutObject", True), ("before", "DeleteObject", True)]


def test_a_hook_can_keep_a_request_from_arriving_and_its_errors_are_not_lost(cloud: Cloud, s3: Any) -> None:
    def drop(call: Call) -> None:
        raise Dropped

    def fail(call: Call) -> None:
        raise RuntimeError("the hook is wrong")

    for hook in (drop, fail):
        cloud.before = hook
        with pytest.raises(ConnectionClosedError):
            s3.put_object(Bucket=BUCKET, Key="k", Body=b"1")
    cloud.before = None
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET)
    assert len(cloud.problems) == 1
    assert "the hook is wrong" in cloud.problems.pop()


def test_another_process_can_be_killed_at_a_change(cloud: Cloud, s3: Any) -> None:
    script = (
        "import boto3\nwhile True:\n for n in range(9):"
        f" boto3.client('s3').put_object(Bucket={BUCKET!r}, Key=f'{{n}}', Body=b'1')"
    )
    changed = threading.Event()
    children: list[subprocess.Popen[bytes]] = []

    def kill(call: Call) -> None:
        if call.changes and call.number == 3:
            children[0].kill()
            children[0].wait()
            changed.set()

    cloud.after = kill
    children.append(subprocess.Popen([sys.executable, "-c", script], env={**os.environ, **cloud.environment()}))
    assert changed.wait(60)
    assert children[0].wait() == -9
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET)["Contents"]] == ["0", "1", "2"]


def test_reset_forgets_everything(cloud: Cloud, s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"1")
    cloud.fail("PutObject", error(500, "InternalError", times=None))
    cloud.before = lambda call: pytest.fail("a hook was called")
    cloud.reset()
    assert cloud.calls == []
    assert refusal(s3.put_object, Bucket=BUCKET, Key="k", Body=b"1") == (404, "NoSuchBucket")


def test_the_table_is_asked_by_day(cloud: Cloud, dynamodb: Any) -> None:
    for number in (2, 1):
        dynamodb.put_item(TableName=TABLE, Item=item(number))
    found = dynamodb.query(
        TableName=TABLE,
        IndexName="by_game_date",
        KeyConditionExpression="game_date = :d",
        ExpressionAttributeValues={":d": {"S": "2025-03-09"}},
    )
    assert [one["id"]["S"] for one in found["Items"]] == ["1", "2"]


# What S3 and DynamoDB do at once.


def both(*work: Callable[[], Any]) -> list[str]:
    """What these come to when they are done at the same time."""

    def one(call: Callable[[], Any]) -> str:
        try:
            call()
        except ClientError as refused:
            return str(refused.response["Error"]["Code"])
        return "done"

    with ThreadPoolExecutor(len(work)) as pool:
        return sorted(pool.map(one, work))


@pytest.mark.parametrize(
    ("read", "write", "arguments", "lost"),
    [
        ((S3Backend, "get_object"), "put_object", {"Key": "new", "IfNoneMatch": "*"}, "PreconditionFailed"),
        ((S3Backend, "get_object"), "put_object", {"Key": "there", "IfMatch": "its etag"}, "PreconditionFailed"),
        ((Table, "get_item"), "put_item", {"Item": item(0)}, "ConditionalCheckFailedException"),
    ],
    ids=["create", "replace", "insert"],
)
def test_of_two_conditional_writes_at_once_one_is_done(
    cloud: Cloud,
    s3: Any,
    dynamodb: Any,
    monkeypatch: pytest.MonkeyPatch,
    read: tuple[Any, str],
    write: str,
    arguments: dict[str, Any],
    lost: str,
) -> None:
    etag = s3.put_object(Bucket=BUCKET, Key="there", Body=b"1")["ETag"]
    if write == "put_item":
        asked = {"TableName": TABLE, "ConditionExpression": "attribute_not_exists(id)", **arguments}
    else:
        asked = {"Bucket": BUCKET, "Body": b"2", **arguments} | ({"IfMatch": etag} if "IfMatch" in arguments else {})
    original = getattr(*read)
    meeting = threading.Barrier(2)

    def read_and_wait(*arguments: Any, **named: Any) -> Any:
        """Lets the second writer read as well before the first writes, if nothing keeps it from that."""
        found = original(*arguments, **named)
        with suppress(threading.BrokenBarrierError):
            meeting.wait(0.3)
        return found

    monkeypatch.setattr(*read, read_and_wait)
    do = partial(getattr(dynamodb if write == "put_item" else s3, write), **asked)
    assert both(do, do) == sorted([lost, "done"])


def test_an_object_appears_with_its_metadata(cloud: Cloud, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    original = FakeKey.set_metadata
    seen: list[Future[Any]] = []
    with ThreadPoolExecutor(1) as pool:

        def look_first(key: Any, metadata: Any) -> None:
            seen.append(pool.submit(s3.head_object, Bucket=BUCKET, Key="k"))
            wait(seen, 0.3)
            original(key, metadata)

        monkeypatch.setattr(FakeKey, "set_metadata", look_first)
        s3.put_object(Bucket=BUCKET, Key="k", Body=b"1", Metadata={"sha256": "x"})
    assert seen[0].result()["Metadata"] == {"sha256": "x"}


def test_a_conditional_delete_goes_by_what_is_there(cloud: Cloud, s3: Any) -> None:
    etag = s3.put_object(Bucket=BUCKET, Key="k", Body=b"1")["ETag"]
    assert refusal(s3.delete_object, Bucket=BUCKET, Key="k", IfMatch='"other"') == (412, "PreconditionFailed")
    s3.delete_object(Bucket=BUCKET, Key="k", IfMatch=etag)
    # Without a current object, S3 answers a condition with 404 and a plain delete with success.
    for condition in (etag, "*"):
        assert refusal(s3.delete_object, Bucket=BUCKET, Key="k", IfMatch=condition) == (404, "NoSuchKey")
    s3.delete_object(Bucket=BUCKET, Key="k")
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"1")
    s3.delete_object(Bucket=BUCKET, Key="k", IfMatch="*")
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET)


def test_conditional_puts_and_copies_go_by_what_is_there(cloud: Cloud, s3: Any) -> None:
    put, copy = s3.put_object, s3.copy_object
    assert refusal(put, Bucket=BUCKET, Key="k", Body=b"1", IfMatch='"any"') == (404, "NoSuchKey")
    etag = put(Bucket=BUCKET, Key="k", Body=b"1")["ETag"]
    assert refusal(put, Bucket=BUCKET, Key="k", Body=b"2", IfNoneMatch=etag) == (501, "NotImplemented")
    source = {"Bucket": BUCKET, "Key": "k"}
    assert refusal(copy, Bucket=BUCKET, Key="c", CopySource=source, IfMatch=etag) == (404, "NoSuchKey")
    copy(Bucket=BUCKET, Key="c", CopySource=source, IfNoneMatch="*")
    for condition in ({"IfNoneMatch": "*"}, {"IfMatch": '"other"'}):
        assert refusal(copy, Bucket=BUCKET, Key="c", CopySource=source, **condition) == (412, "PreconditionFailed")
    copy(Bucket=BUCKET, Key="c", CopySource=source, IfMatch=etag)


# What S3 verifies.


def test_an_object_s_checksum_is_verified(cloud: Cloud, s3: Any) -> None:
    for wrong in ({"ChecksumCRC32": crc32(b"2")}, {"ChecksumSHA256": base64.b64encode(bytes(32)).decode()},
                  {"ContentMD5": base64.b64encode(bytes(16)).decode()}):  # fmt: skip
        assert refusal(s3.put_object, Bucket=BUCKET, Key="k", Body=b"1", **wrong) == (400, "BadDigest")
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"1", ChecksumCRC32=crc32(b"1"))
    assert s3.head_object(Bucket=BUCKET, Key="k", ChecksumMode="ENABLED")["ChecksumCRC32"] == crc32(b"1")


@pytest.mark.parametrize(("claimed", "status"), [(crc32(b"hello"), 200), (crc32(b"other"), 400)])
def test_a_checksum_in_a_trailer_is_verified(cloud: Cloud, s3: Any, claimed: str, status: int) -> None:
    # boto3 sends trailers over HTTPS only, so this one is written by hand.
    body = f"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:{claimed}\r\n\r\n"
    connection = http.client.HTTPConnection(cloud.url.removeprefix("http://"))
    connection.request("PUT", f"/{BUCKET}/k", body, {
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "Content-Encoding": "aws-chunked",
        "x-amz-decoded-content-length": "5", "x-amz-trailer": "x-amz-checksum-crc32",
        "x-amz-sdk-checksum-algorithm": "CRC32", **SIGNED,
    })  # fmt: skip
    answer = connection.getresponse()
    assert answer.status == status, answer.read()
    assert (b"BadDigest" in answer.read()) == (status == 400)
    connection.close()
    if status == 200:
        assert s3.get_object(Bucket=BUCKET, Key="k")["Body"].read() == b"hello"


def upload_of(s3: Any, *pieces: bytes, **options: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A multipart upload with its parts there, and the list of them for its completion."""
    upload = {"Bucket": BUCKET, "Key": "m"}
    upload["UploadId"] = s3.create_multipart_upload(**upload, **options)["UploadId"]
    parts = [
        {"PartNumber": number, "ETag": s3.upload_part(**upload, PartNumber=number, Body=piece)["ETag"]}
        for number, piece in enumerate(pieces, 1)
    ]
    return upload, parts


PIECES = (b"1" * (5 << 20), b"22")
WHOLE = {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"}


def test_a_whole_object_s_checksum_is_verified_at_completion(cloud: Cloud, s3: Any) -> None:
    upload, parts = upload_of(s3, *PIECES, **WHOLE)
    complete = {**upload, "MultipartUpload": {"Parts": parts}, "ChecksumType": "FULL_OBJECT"}
    wrong = {**complete, "ChecksumCRC32": crc32(PIECES[0])}
    assert refusal(s3.complete_multipart_upload, **wrong) == (400, "BadDigest")
    assert refusal(s3.complete_multipart_upload, **complete, MpuObjectSize=7) == (400, "InvalidRequest")
    assert refusal(s3.complete_multipart_upload, **{**complete, "ChecksumType": "COMPOSITE"}) == (400, "BadDigest")
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET)
    right = crc32(b"".join(PIECES))
    done = s3.complete_multipart_upload(**complete, ChecksumCRC32=right, MpuObjectSize=(5 << 20) + 2)
    assert (done["ChecksumCRC32"], done["ChecksumType"]) == (right, "FULL_OBJECT")
    head = s3.head_object(Bucket=BUCKET, Key="m", ChecksumMode="ENABLED")
    assert (head["ChecksumCRC32"], head["ETag"]) == (right, done["ETag"])
    # Its answer may have been lost: asked again, S3 says the same again.
    assert s3.complete_multipart_upload(**complete, ChecksumCRC32=right)["ETag"] == done["ETag"]


def test_a_part_s_checksum_is_verified_when_it_comes_and_when_it_is_listed(cloud: Cloud, s3: Any) -> None:
    upload, parts = upload_of(s3, b"1", ChecksumAlgorithm="CRC32")
    bad = {**upload, "PartNumber": 2, "Body": b"1"}
    assert refusal(s3.upload_part, **bad, ChecksumCRC32=crc32(b"2")) == (400, "BadDigest")
    sha = base64.b64encode(bytes.fromhex("6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b")).decode()
    assert refusal(s3.upload_part, **bad, ChecksumSHA256=sha) == (400, "InvalidRequest")
    complete = s3.complete_multipart_upload
    assert refusal(complete, **upload, MultipartUpload={"Parts": parts}) == (400, "InvalidRequest")
    listed = {"Parts": [{**parts[0], "ChecksumCRC32": crc32(b"2")}]}
    assert refusal(complete, **upload, MultipartUpload=listed) == (400, "InvalidPart")
    listed = {"Parts": [{**parts[0], "ChecksumCRC32": crc32(b"1")}]}
    assert complete(**upload, MultipartUpload=listed)["ChecksumType"] == "COMPOSITE"


def test_boto3_s_own_transfers_pass_the_checks(cloud: Cloud, s3: Any, tmp_path: Any) -> None:
    from boto3.s3.transfer import TransferConfig

    file = tmp_path / "file"
    file.write_bytes(b"".join(PIECES) * 2)
    config = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
    s3.upload_file(str(file), BUCKET, "m", Config=config)
    assert cloud.times("UploadPart") == 3
    assert s3.get_object(Bucket=BUCKET, Key="m")["Body"].read() == file.read_bytes()


def test_a_conditional_completion_goes_by_what_is_there(cloud: Cloud, s3: Any) -> None:
    upload, parts = upload_of(s3, b"1", **WHOLE)
    complete = {**upload, "MultipartUpload": {"Parts": parts}}
    assert refusal(s3.complete_multipart_upload, **complete, IfMatch='"any"') == (404, "NoSuchKey")
    etag = s3.put_object(Bucket=BUCKET, Key="m", Body=b"1")["ETag"]
    for condition in ({"IfNoneMatch": "*"}, {"IfMatch": '"other"'}):
        assert refusal(s3.complete_multipart_upload, **complete, **condition) == (412, "PreconditionFailed")
    s3.complete_multipart_upload(**complete, IfMatch=etag)


def test_an_upload_that_is_gone_is_said_to_be_gone(cloud: Cloud, s3: Any) -> None:
    upload, parts = upload_of(s3, b"1")
    [listed] = s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]
    now = s3.head_bucket(Bucket=BUCKET)["ResponseMetadata"]["HTTPHeaders"]["date"]
    assert str(listed["Initiated"].year) in now
    s3.abort_multipart_upload(**upload)
    assert refusal(s3.upload_part, **upload, PartNumber=1, Body=b"1") == (404, "NoSuchUpload")
    listing = {"Parts": parts}
    assert refusal(s3.complete_multipart_upload, **upload, MultipartUpload=listing) == (404, "NoSuchUpload")


def test_a_completion_can_fail_after_it_began_to_answer(cloud: Cloud, s3: Any) -> None:
    upload, parts = upload_of(s3, b"1", **WHOLE)
    cloud.fail("CompleteMultipartUpload", error(200, "InternalError"))
    listing = {"Parts": parts}
    assert refusal(s3.complete_multipart_upload, **upload, MultipartUpload=listing)[1] == "InternalError"
    s3.complete_multipart_upload(**upload, MultipartUpload=listing)


def test_a_copy_of_a_multipart_object_has_an_etag_of_its_own(cloud: Cloud, s3: Any) -> None:
    upload, parts = upload_of(s3, b"1", **WHOLE)
    made = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    copied = s3.copy_object(Bucket=BUCKET, Key="c", CopySource={"Bucket": BUCKET, "Key": "m"})["CopyObjectResult"]
    assert made["ETag"].endswith('-1"')
    assert copied["ETag"] == s3.head_object(Bucket=BUCKET, Key="c")["ETag"] == '"c4ca4238a0b923820dcc509a6f75849b"'


def test_connections_are_kept(cloud: Cloud) -> None:
    connection = http.client.HTTPConnection(cloud.url.removeprefix("http://"))
    ports = set()
    for _ in range(3):
        connection.request("GET", "/", headers=SIGNED)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
        assert connection.sock is not None
        ports.add(connection.sock.getsockname()[1])
    connection.close()
    assert len(ports) == 1


def test_what_moto_fails_at_is_a_problem_of_the_test(cloud: Cloud, s3: Any) -> None:
    connection = http.client.HTTPConnection(cloud.url.removeprefix("http://"))
    connection.request("POST", f"/{BUCKET}/k?nonsense", headers=SIGNED)
    with pytest.raises(http.client.RemoteDisconnected):
        connection.getresponse()
    connection.close()
    [problem] = cloud.problems
    assert "KeyError: 'DEFAULT'" in problem
    cloud.problems.clear()


def test_the_environment_has_what_a_process_needs_and_no_more(cloud: Cloud, s3: Any) -> None:
    cloud.make_table(TABLE, index=False)
    script = (
        "import boto3, json; print(json.dumps(["
        "[one['Name'] for one in boto3.client('s3').list_buckets()['Buckets']],"
        "boto3.client('dynamodb').list_tables()['TableNames'], boto3.client('mediaconvert').meta.endpoint_url]))"
    )
    environment = {**cloud.environment(), "AWS_DEFAULT_REGION": REGION}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[BUCKET], [TABLE], cloud.environment()["AWS_ENDPOINT_URL_MEDIACONVERT"]]
