"""What only a store of S3's protocol has that is not AWS's: what it lacks is found by trying it, and replaced or
refused. What every store promises is in test_contracts.py."""

import io
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HeadersDict
from urllib3 import HTTPResponse

from ncaa_assets.archive.lease import holder_of
from ncaa_assets.backends.s3.client import region_of, store_client
from ncaa_assets.backends.s3.doctor import examine_store
from ncaa_assets.backends.s3.store import CompatibleStore
from ncaa_assets.checkup import Mark
from ncaa_assets.failures import LeaseHeld, ObjectMissing, SettingsError, StoreError, WriteConflict
from ncaa_assets.ports import Expect
from ncaa_assets.retry import RetryPolicy
from ncaa_assets_tests.archives import lease_of
from ncaa_assets_tests.loopback import aws, s3_rules
from ncaa_assets_tests.loopback.aws import Cloud, dropped_after
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer
from ncaa_assets_tests.loopback.s3_rules import Lacks
from ncaa_assets_tests.loopback.seaweedfs import SeaweedFS

BUCKET, PREFIX, DAY = "highlights", "ncaa", "2025-03-09"
KEY, LEASE = f"highlights/{DAY}.json", f".leases/{DAY}.json"
ABLE = {"AWS": Lacks(), "R2": s3_rules.R2, "MinIO": s3_rules.MINIO, "the poorest": s3_rules.POOREST}
UNABLE = {"B2": s3_rules.B2, "Garage": s3_rules.GARAGE, "rclone": s3_rules.RCLONE}


def opened(url: str, *, bucket: str = BUCKET, prefix: str = PREFIX) -> CompatibleStore:
    policy = RetryPolicy(1, 0.1)
    return CompatibleStore(store_client(url, policy), bucket, prefix, host="store.example:9000", retry=policy)


@pytest.fixture
def bucket(cloud: Cloud) -> Cloud:
    """A bucket without versions, so that nothing hides what is left in it."""
    cloud.client("s3").create_bucket(Bucket=BUCKET)
    return cloud


@pytest.fixture(params=ABLE)
def able(request: pytest.FixtureRequest, bucket: Cloud) -> CompatibleStore:
    """Each of the stores to which a backup may go."""
    bucket.lacks = ABLE[request.param]
    return opened(bucket.url)


def keys(cloud: Cloud) -> list[str]:
    listed = cloud.client("s3").list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return [one["Key"].removeprefix(f"{PREFIX}/") for one in listed]


@pytest.mark.parametrize("lacks", UNABLE.values(), ids=UNABLE)
def test_a_store_without_conditional_writes_is_refused_in_one_sentence_and_nothing_is_left_there(
    bucket: Cloud, lacks: Lacks
) -> None:
    bucket.lacks = lacks
    store = opened(bucket.url)
    for act in (
        lambda: store.write(KEY, b"{}", expect=Expect.NOTHING),
        lambda: store.write(KEY, b"{}", expect='"a version"'),
        lambda: store.delete(KEY, expect='"a version"'),
        lambda: lease_of(store, DAY, "a run").__enter__(),
        lambda: list(examine_store(store)),
        store.check_writes,
    ):
        with pytest.raises(SettingsError) as caught:
            act()
        assert str(caught.value) == (
            "the store at store.example:9000 takes no heed of If-None-Match and If-Match in a write: two runs at once "
            "would write over each other's work there, unnoticed, so no backup goes there; take a store that has "
            "conditional writes (docs/s3.md names some)"
        )
    assert keys(bucket) == []


def test_what_a_store_can_do_is_found_and_nothing_is_left_there(able: CompatibleStore, bucket: Cloud) -> None:
    found, lacks = able.check(), bucket.lacks
    assert found.deletes_conditionally is not lacks.deletes
    assert found.refuses_missing is not lacks.match_of_missing
    assert not found.keeps_versions
    assert keys(bucket) == []


def test_a_probe_that_breaks_off_anywhere_leaves_nothing_and_says_what_broke(bucket: Cloud) -> None:
    s3 = bucket.client("s3")
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    opened(bucket.url).check()
    probe = [call.operation for call in bucket.calls if call.operation in ("PutObject", "HeadObject")]
    for number in range(len(probe)):
        left = iter(range(number + 1))

        def refuse(call: aws.Call, left: Iterator[int] = left) -> None:
            if call.operation in ("PutObject", "HeadObject") and next(left, None) is None:
                raise s3_rules.Refused(403, "AccessDenied", "Access Denied")

        bucket.before = refuse
        store = opened(bucket.url)
        if number + 1 < len(probe):
            with pytest.raises(StoreError, match=r"^these credentials for the store at store.example:9000 may not do"):
                store.check()
        bucket.before = None
        assert "Versions" not in (listed := s3.list_object_versions(Bucket=BUCKET))
        assert "DeleteMarkers" not in listed


def test_the_store_is_asked_what_it_can_do_once_and_by_who_writes(able: CompatibleStore, bucket: Cloud) -> None:
    able.info(KEY)
    list(able.list(""))
    able.write("videos/1.mp4", b"x", keep_replaced=False)
    assert bucket.times("GetBucketVersioning") == 0
    for number in range(3):
        able.write(KEY, f"{number}".encode())
        with lease_of(able, DAY, "a run"):
            pass
    assert bucket.times("GetBucketVersioning") == 1
    assert not any(".probe" in key for key in keys(bucket))


def test_a_lease_that_was_given_back_is_free_for_one_of_many(able: CompatibleStore, bucket: Cloud) -> None:
    for _ in range(3):
        with lease_of(able, DAY, "earlier"):
            pass
        assert holder_of(able, DAY) is None
        assert len(taken_at_once(bucket.url, 6)) == 1


def taken_at_once(url: str, count: int) -> list[int]:
    """Which of several runs got the day that all of them asked for at the same moment."""
    start, decided = threading.Barrier(count), threading.Barrier(count)
    taken: list[int] = []

    def take(number: int) -> None:
        store = opened(url)
        start.wait(30)
        try:
            with lease_of(store, DAY, f"run {number}"):
                taken.append(number)
                decided.wait(30)
        except LeaseHeld:
            decided.wait(30)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return taken


def test_a_mark_in_place_of_an_object_is_no_object_for_anything(bucket: Cloud) -> None:
    bucket.lacks = s3_rules.POOREST
    store = opened(bucket.url)
    version = store.write(KEY, b"{}")
    store.delete(KEY, expect=version)
    assert keys(bucket) == [KEY], "a mark is there"
    assert store.info(KEY) is None
    assert list(store.list("")) == []
    openings: list[Callable[[], Any]] = [
        lambda: store.read(KEY), lambda: store.copy(KEY, "x"), lambda: store.download(KEY).__enter__(),
        lambda: store.open_seekable(KEY).__enter__(),
    ]  # fmt: skip
    for act in openings:
        with pytest.raises(ObjectMissing):
            act()
    with pytest.raises(WriteConflict):
        store.write(KEY, b"new", expect=version)
    with pytest.raises(WriteConflict):
        store.delete(KEY, expect=version)
    store.delete(KEY, expect=Expect.NOTHING)
    first = store.write(KEY, b"new", expect=Expect.NOTHING)
    assert store.read(KEY) == (b"new", first)
    with pytest.raises(WriteConflict):
        store.write(KEY, b"newer", expect=Expect.NOTHING)
    store.delete(KEY, expect=first)
    store.delete(KEY)  # nothing is expected, so nothing need stay
    assert keys(bucket) == []


def test_an_object_of_a_marks_size_is_listed(bucket: Cloud) -> None:
    bucket.lacks = s3_rules.POOREST
    store = opened(bucket.url)
    store.delete("b", expect=store.write("b", b"x"))
    size = bucket.client("s3").head_object(Bucket=BUCKET, Key=f"{PREFIX}/b")["ContentLength"]
    store.write("a", b"x" * size)
    assert [one.key for one in store.list("")] == ["a"]


def test_a_delete_whose_answer_was_lost_is_done_and_is_no_conflict(able: CompatibleStore, bucket: Cloud) -> None:
    version = able.write(LEASE, b"held")
    able.check()
    operation = "PutObject" if bucket.lacks.deletes else "DeleteObject"
    bucket.fail(operation, dropped_after)
    able.delete(LEASE, expect=version)
    assert able.info(LEASE) is None


def test_a_write_whose_answer_was_lost_is_done_and_is_no_conflict(able: CompatibleStore, bucket: Cloud) -> None:
    version = able.write(KEY, b"one")
    able.check()
    bucket.fail("PutObject", dropped_after)
    assert able.write(KEY, b"two", expect=version) == able.read(KEY)[1]
    bucket.fail("PutObject", dropped_after)
    able.write(LEASE, b"held", expect=Expect.NOTHING)


def test_what_arrives_damaged_is_refused_by_the_store_and_parts_become_the_whole(
    bucket: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.lacks = s3_rules.POOREST  # no checksum but the MD5
    store = opened(bucket.url)
    data = b"0123456789abcdef" * (7 * 1024**2 // 16)
    with store.upload("videos/1.mp4", content_type="video/mp4") as upload:
        upload.write(data)
        upload.commit()
    assert store.read("videos/1.mp4")[0] == data
    monkeypatch.setattr("ncaa_assets.backends.s3.store._md5", lambda _: "AAAAAAAAAAAAAAAAAAAAAA==")
    with pytest.raises(StoreError, match="BadDigest"):
        store.write(KEY, b"{}")
    with pytest.raises(StoreError, match="BadDigest"), store.upload("videos/2.mp4", content_type="video/mp4") as upload:
        upload.write(data)
        upload.commit()
    assert keys(bucket) == ["videos/1.mp4"]


@pytest.mark.parametrize("versions", [False, True], ids=["without versions", "with versions"])
def test_replaced_documents_are_kept_by_the_bucket_or_in_the_history(bucket: Cloud, versions: bool) -> None:
    if versions:
        bucket.client("s3").put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    store = opened(bucket.url)
    version = store.write(KEY, b"0", expect=Expect.NOTHING)
    for number in range(1, 4):
        version = store.write(KEY, b"%d" % number, expect=version)
    store.write(KEY, b"3", expect=version)  # the same bytes replace nothing
    store.write(KEY, b"4", expect=version, keep_replaced=False)
    with pytest.raises(WriteConflict):
        store.write(KEY, b"5", expect=version)
    kept = [key for key in keys(bucket) if key.startswith(".history/")]
    contents = [bucket.client("s3").get_object(Bucket=BUCKET, Key=f"{PREFIX}/{key}")["Body"].read() for key in kept]
    assert contents == ([] if versions else [b"0", b"1", b"2"])
    assert all(key.startswith(f".history/highlights/{DAY}/20") and key.endswith("Z.json") for key in kept)
    assert [one.key for one in store.list("")] == [KEY]


def test_the_history_is_in_order_whatever_the_clock_says(bucket: Cloud) -> None:
    s3 = bucket.client("s3")
    for name in ("2999-01-01T000000.000000Z.json", "9999-12-31T235959.999999Z.json", "what is this"):
        s3.put_object(Bucket=BUCKET, Key=f"{PREFIX}/.history/highlights/{DAY}/{name}", Body=b"")
    store = opened(bucket.url)
    store.write(KEY, b"0")
    store.write(KEY, b"1")
    store.write(KEY, b"2")
    kept = [key for key in keys(bucket) if "T0" in key and ".history" in key]
    assert [key.rpartition("/")[2] for key in kept] == [
        "2999-01-01T000000.000000Z.json", "2999-01-01T000000.000001Z.json", "2999-01-01T000000.000002Z.json",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("operation", "fault", "said"),
    [
        (
            "ListObjectsV2", aws.error(404, "NoSuchBucket", times=None),
            "the store at store.example:9000 has no bucket highlights; set S3_BUCKET_NAME to one that is there",
        ),
        (
            "ListObjectsV2", aws.error(403, "AccessDenied", times=None),
            "these credentials for the store at store.example:9000 may not use the bucket highlights",
        ),
        (
            "ListObjectsV2", aws.error(403, "InvalidAccessKeyId", times=None),
            "the store at store.example:9000 does not know these credentials (InvalidAccessKeyId from ListObjectsV2)",
        ),
        (
            "ListObjectsV2", aws.error(400, "InvalidRegionName", "Must be one of: wnam, auto", times=None),
            "is asked with the name of another region (Must be one of: wnam, auto); set AWS_REGION to its own",
        ),
        (
            "GetObject", aws.error(400, "ExpiredToken", times=None),
            "the credentials for the store at store.example:9000 have expired (GetObject)",
        ),
        ("GetObject", aws.error(503, "SlowDown", times=None), "is too busy (SlowDown from GetObject), despite retries"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_of_the_store_and_not_of_aws(
    bucket: Cloud, operation: str, fault: aws.Fault, said: str
) -> None:
    bucket.fail(operation, fault)
    with pytest.raises(StoreError) as caught:
        opened(bucket.url).read(KEY)
    assert said in str(caught.value)
    assert "AWS " not in str(caught.value)


def test_a_store_that_is_not_there_is_said_with_the_setting_that_names_it(cloud: Cloud) -> None:
    with pytest.raises(StoreError, match=r"cannot be reached .*check the network and S3_ENDPOINT_URL"):
        opened("http://127.0.0.1:9").read(KEY)


def test_without_credentials_those_of_the_store_are_asked_for(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(SettingsError, match="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a key of that store"):
        opened(cloud.url).read(KEY)


@pytest.mark.parametrize(
    ("address", "region"),
    [
        ("https://s3.us-west-004.backblazeb2.com", "us-west-004"),
        ("https://s3.fr-par.scw.cloud", "fr-par"),
        ("https://s3.eu-central-1.wasabisys.com", "eu-central-1"),
        ("https://account.r2.cloudflarestorage.com", "us-east-1"),
        ("http://localhost:9000", "us-east-1"),
        ("https://s3.example.org", "us-east-1"),
    ],
)
def test_the_region_is_the_one_that_the_address_names(address: str, region: str, cloud: Cloud) -> None:
    assert region_of(address) == region


def test_the_region_that_is_set_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    address = "https://s3.us-west-004.backblazeb2.com"
    assert store_client(address, RetryPolicy()).meta.region_name == "us-west-004"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "auto")
    assert store_client(address, RetryPolicy()).meta.region_name == "auto"


@pytest.mark.parametrize("versions", [False, True], ids=["without versions", "with versions"])
def test_seaweedfs_can_do_all_of_it_and_keeps_nothing_of_the_probe(seaweedfs: SeaweedFS, versions: bool) -> None:
    name = f"probed-{versions}".lower()
    seaweedfs.make_bucket(name, versions=versions)
    found = opened(seaweedfs.url, bucket=name).check()
    assert found.lacks == ()
    assert found.refuses_missing
    assert found.verifies
    assert found.deletes_conditionally
    assert found.keeps_versions is versions
    listed = seaweedfs.client().list_object_versions(Bucket=name)
    assert [listed.get("Versions", []), listed.get("DeleteMarkers", [])] == [[], []]


def test_a_store_that_lists_no_unfinished_uploads_takes_backups_all_the_same(bucket: Cloud) -> None:
    store = opened(bucket.url)
    bucket.fail("ListMultipartUploads", aws.error(501, "NotImplemented", times=None))
    with lease_of(store, DAY, "a run"):
        pass
    bucket.mend()
    bucket.fail("ListMultipartUploads", aws.error(403, "AccessDenied", times=None))
    with pytest.raises(StoreError, match="may not do ListMultipartUploads"), lease_of(store, DAY, "a run"):
        pass


def test_the_doctor_warns_of_a_store_that_takes_what_is_damaged(bucket: Cloud) -> None:
    assert opened(bucket.url).check().verifies
    bucket.lacks = Lacks(digests=True)
    _, line = examine_store(opened(bucket.url))
    assert line.mark is Mark.WARN
    assert "it stores what does not have the MD5 that it was sent with" in line.text


def test_the_doctor_says_what_the_store_can_do(bucket: Cloud) -> None:
    bucket.lacks = s3_rules.R2
    (line,) = examine_store(opened(bucket.url))
    assert line.text == (
        "s3://highlights/ncaa/ in the store at store.example:9000 can be written, read and deleted in, under "
        "conditions; for what it lacks: a delete that expects a version leaves a mark, earlier versions of documents "
        "are copied to .history/"
    )


def test_over_https_too_nothing_is_sent_that_only_some_stores_know(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over HTTPS botocore adds checksums as trailers of a chunked body, unless it is told not to."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    client = store_client("https://account.r2.cloudflarestorage.com", RetryPolicy())
    sent: list[AWSPreparedRequest] = []

    def answer(request: AWSPreparedRequest, **_: Any) -> Any:
        sent.append(request)
        listing = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
        body = listing if request.method == "GET" else b""
        headers: Any = HeadersDict({"ETag": '"1"', "Content-Length": str(len(body))})
        return AWSResponse(request.url, 200, headers, HTTPResponse(io.BytesIO(body), preload_content=False))

    events: Any = client.meta.events
    events.register("before-send.s3", answer)
    store = CompatibleStore(client, BUCKET, PREFIX, host="account.r2.cloudflarestorage.com")
    store.write(KEY, b"{}", keep_replaced=False)
    with store.upload("videos/1.mp4", content_type="video/mp4") as upload:
        upload.write(b"x")
        upload.commit()
    puts = [request for request in sent if request.method == "PUT"]
    assert [request.url for request in puts] == [
        f"https://account.r2.cloudflarestorage.com/{BUCKET}/{PREFIX}/{key}" for key in (KEY, "videos/1.mp4")
    ]
    for request in puts:
        names = {name.lower() for name in request.headers}
        assert "content-md5" in names
        assert not [name for name in names if "checksum" in name or "trailer" in name or name == "content-encoding"]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_told_and_not_followed(server: ScriptedServer, cloud: Cloud, status: int) -> None:
    elsewhere = server.on("/elsewhere", Reply(b"a secret"))
    server.on(f"/{BUCKET}", Reply(status=status, headers={"Location": elsewhere}))
    with pytest.raises(StoreError) as caught:
        opened(server.url("")).check_writes()
    assert str(caught.value) == (
        f"the store at store.example:9000 redirects ListObjectsV2 to {elsewhere}, which is not followed; set "
        "S3_ENDPOINT_URL to the store's own address, with https where it wants that"
    )
    assert server.times("/elsewhere") == 0


def test_a_web_page_is_no_empty_archive(server: ScriptedServer, cloud: Cloud) -> None:
    page = Reply(b"<html><body>Sign in</body></html>", content_type="text/html")
    for path in (f"/{BUCKET}", f"/{BUCKET}/{PREFIX}/{KEY}"):
        server.on(path, page)
    store = opened(server.url(""))
    for act in (store.check_writes, lambda: list(store.list("highlights/")), lambda: store.read(KEY)):
        with pytest.raises(StoreError, match=r"does not speak S3's protocol \(text/html\); set S3_ENDPOINT_URL to"):
            act()


def test_a_listing_that_is_broken_off_is_no_whole_one(server: ScriptedServer, cloud: Cloud) -> None:
    """The client's own paginator takes a page without a token for the last one, whatever it says of itself."""
    listing = b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"
    server.on(f"/{BUCKET}", Reply(listing, content_type="application/xml"))
    with pytest.raises(StoreError, match="broke off a listing of s3://"):
        list(opened(server.url("")).list("highlights/"))
