"""What every backend promises (`ports.py`): one suite that each of them must pass.

A new backend is one more name in `BACKENDS` and one more branch in `opened`. What only one backend has is tested in its
own file. Processes are real, because runs are processes, and these are promises between runs.
"""

import hashlib
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import boto3
import pytest

from ncaa_assets.archive.archive import HeldDay
from ncaa_assets.archive.lease import holder_of
from ncaa_assets.archive.row_view import RowView
from ncaa_assets.backends.aws.dynamodb import DynamoDBTable
from ncaa_assets.backends.aws.s3 import S3Store
from ncaa_assets.backends.local.store import SQLITE_NAME, LocalStore
from ncaa_assets.backends.local.table import SqliteTable
from ncaa_assets.backends.s3.client import host_of, store_client
from ncaa_assets.backends.s3.rows import RowsFile
from ncaa_assets.backends.s3.store import CompatibleStore
from ncaa_assets.failures import LeaseHeld, LeaseLost, ObjectMissing, StoreError, WriteConflict
from ncaa_assets.ports import Expect, HighlightTable, ObjectStore, Upload
from ncaa_assets.record import json_text
from ncaa_assets.record.rows import Row, merge_row, row_key
from ncaa_assets.retry import RetryPolicy
from ncaa_assets_tests.archives import lease_of
from ncaa_assets_tests.loopback import s3_rules
from ncaa_assets_tests.loopback.aws import Cloud
from ncaa_assets_tests.loopback.seaweedfs import SeaweedFS

# The last two are of the s3 deployment: a store that others wrote, and one that lacks all that can be replaced.
BACKENDS = ["local", "aws", "seaweedfs", "lacking"]
BUCKET = TABLE = "contract"
DAY = "2025-03-09"
KEY = f"highlights/{DAY}.json"
FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Backend:
    """What another process needs to open the same backend: its name, and its folder where it has one."""

    name: str
    place: str
    prefix: str = "some/prefix"

    @property
    def store(self) -> ObjectStore:
        return opened(self)[0]

    @property
    def table(self) -> HighlightTable:
        return opened(self)[1]


def opened(backend: Backend) -> tuple[ObjectStore, HighlightTable]:
    if backend.name == "local":
        return LocalStore(Path(backend.place)), SqliteTable(Path(backend.place) / SQLITE_NAME)
    if backend.name != "aws":
        endpoint, policy = os.environ["AWS_ENDPOINT_URL"], RetryPolicy(max_delay=0.1)
        store = CompatibleStore(
            store_client(endpoint, policy), BUCKET, backend.prefix, host=host_of(endpoint), retry=policy
        )
        return store, RowView(RowsFile(Path(backend.place) / SQLITE_NAME), store)
    return (
        S3Store(boto3.client("s3"), BUCKET, backend.prefix),
        DynamoDBTable(boto3.client("dynamodb"), TABLE, retry=RetryPolicy(max_delay=0.1)),
    )


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    if request.param == "seaweedfs":
        server: SeaweedFS = request.getfixturevalue("seaweedfs")
        server.make_bucket(BUCKET)
        return Backend(request.param, str(tmp_path / "archive"), f"of/{tmp_path.name}")
    if request.param != "local":
        cloud: Cloud = request.getfixturevalue("cloud")
        cloud.make_bucket(BUCKET)
        cloud.make_table(TABLE)
        cloud.lacks = s3_rules.POOREST if request.param == "lacking" else s3_rules.Lacks()
    return Backend(request.param, str(tmp_path / "archive"))


@pytest.fixture
def objects(backend: Backend) -> ObjectStore:
    return backend.store


@pytest.fixture
def rows(backend: Backend) -> HighlightTable:
    return backend.table


def in_processes(count: int, target: Callable[..., None], *arguments: Any) -> None:
    """Runs `target(number, *arguments)` in several processes at once, and fails if any of them fails."""
    children = [FORK.Process(target=target, args=(number, *arguments)) for number in range(count)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0] * count


def keys(store: ObjectStore, prefix: str = "") -> list[str]:
    return [info.key for info in store.list(prefix)]


# ---- ObjectStore -----------------------------------------------------------------------------------------------------


def test_what_was_written_is_read_back_with_its_version(objects: ObjectStore) -> None:
    version = objects.write(KEY, b"one")
    assert objects.read(KEY) == (b"one", version)
    info = objects.info(KEY)
    assert info is not None
    assert (info.key, info.size) == (KEY, 3)
    with objects.download(KEY) as file:
        assert file.read() == b"one"


def test_what_is_not_there_is_missing(objects: ObjectStore) -> None:
    assert objects.info(KEY) is None
    assert keys(objects) == []
    with pytest.raises(ObjectMissing):
        objects.read(KEY)
    with pytest.raises(ObjectMissing), objects.download(KEY):
        pass
    objects.delete(KEY)  # harmless


def test_a_write_replaces_and_a_delete_removes(objects: ObjectStore) -> None:
    first = objects.write(KEY, b"one")
    second = objects.write(KEY, b"two")
    assert first != second
    assert objects.read(KEY) == (b"two", second)
    objects.delete(KEY)
    assert objects.info(KEY) is None


def test_an_objects_mark_changes_when_it_is_written_anew(objects: ObjectStore) -> None:
    objects.write(KEY, b"one")
    before = objects.info(KEY)
    objects.write(KEY, b"two, longer")
    after = objects.info(KEY)
    assert before is not None
    assert after is not None
    assert before.version != after.version


def test_a_write_that_expects_something_else_changes_nothing(objects: ObjectStore) -> None:
    with pytest.raises(WriteConflict):
        objects.write(KEY, b"x", expect="no such version")
    assert objects.info(KEY) is None
    first = objects.write(KEY, b"one", expect=Expect.NOTHING)
    with pytest.raises(WriteConflict):
        objects.write(KEY, b"x", expect=Expect.NOTHING)
    second = objects.write(KEY, b"two", expect=first)
    with pytest.raises(WriteConflict):
        objects.write(KEY, b"x", expect=first)
    assert objects.read(KEY) == (b"two", second)


def test_a_delete_that_expects_something_else_removes_nothing(objects: ObjectStore) -> None:
    first = objects.write(KEY, b"one")
    second = objects.write(KEY, b"two")
    for expect in (first, Expect.NOTHING):
        with pytest.raises(WriteConflict):
            objects.delete(KEY, expect=expect)
    assert objects.read(KEY)[0] == b"two"
    objects.delete(KEY, expect=second)
    assert objects.info(KEY) is None
    with pytest.raises(WriteConflict):
        objects.delete(KEY, expect=second)


def count_up(number: int, backend: Backend, times: int) -> None:
    store, done = backend.store, 0
    while done < times:
        try:
            data, version = store.read(KEY)
        except ObjectMissing:
            data, version = b"0", None
        try:
            store.write(KEY, str(int(data) + 1).encode(), expect=version or Expect.NOTHING)
        except WriteConflict:
            continue
        done += 1


def test_conditional_writes_of_several_processes_lose_no_update(backend: Backend) -> None:
    in_processes(4, count_up, backend, 10)
    assert backend.store.read(KEY)[0] == b"40"


def write_for_ever(backend: Backend) -> None:
    store = backend.store
    for number in range(10**9):
        store.write(KEY, json_text.dumps({"number": number, "filling": "x" * 200_000}))


def test_a_killed_writer_leaves_the_old_document_or_the_new_one(backend: Backend) -> None:
    store = backend.store
    for _ in range(8):
        child = FORK.Process(target=write_for_ever, args=(backend,))
        child.start()
        deadline = time.monotonic() + 60
        seen: set[int] = set()
        while len(seen) < 3:
            assert time.monotonic() < deadline
            if store.info(KEY):
                found = json_text.loads(store.read(KEY)[0])  # it is whole even while it is being written
                seen.add(found["number"])
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        assert len(json_text.loads(store.read(KEY)[0])["filling"]) == 200_000
        assert keys(store) == [KEY]
    store.sweep(DAY)
    store.write(KEY, b"{}")  # no lock of a dead process is in the way
    assert keys(store) == [KEY]


def test_an_upload_appears_only_with_its_commit(objects: ObjectStore) -> None:
    key = f"videos/{DAY}/1.mp4"
    with objects.upload(key, content_type="video/mp4") as upload:
        upload.write(b"a" * 300_000)
        upload.write(b"b" * 300_000)
        assert objects.info(key) is None
        assert keys(objects) == []
        info = upload.commit()
    assert (info.key, info.size) == (key, 600_000)
    assert objects.info(key) == info
    with objects.download(key) as file:
        assert file.read() == b"a" * 300_000 + b"b" * 300_000


def test_a_copy_has_the_content_and_outlives_what_it_was_made_of(objects: ObjectStore) -> None:
    objects.write("videos/1.mp4", b"a video", content_type="video/mp4")
    for _ in range(2):  # over itself too
        info = objects.copy("videos/1.mp4", "processed_videos/1.mp4")
        assert (info.key, info.size) == ("processed_videos/1.mp4", 7)
    objects.write("videos/1.mp4", b"another", content_type="video/mp4")
    assert objects.read("processed_videos/1.mp4")[0] == b"a video"
    objects.delete("videos/1.mp4")
    assert [one.key for one in objects.list("")] == ["processed_videos/1.mp4"]
    with pytest.raises(ObjectMissing):
        objects.copy("videos/1.mp4", "processed_videos/2.mp4")
    assert objects.info("processed_videos/2.mp4") is None


def test_a_stored_object_can_be_read_here_and_there(objects: ObjectStore) -> None:
    data = random.Random(1).randbytes(700_000)  # noqa: S311
    objects.write(KEY, data)
    with objects.open_seekable(KEY) as file:
        for at in (699_000, 5, 260_000):
            file.seek(at)
            assert file.read(5000) == data[at : at + 5000]
    with pytest.raises(ObjectMissing), objects.open_seekable("videos/none.mp4"):
        pass


def test_what_is_replaced_while_it_is_read_here_and_there_is_never_a_mix(objects: ObjectStore) -> None:
    objects.write(KEY, b"a" * 700_000)
    with objects.open_seekable(KEY) as file:
        assert file.read(300_000) == b"a" * 300_000
        objects.write(KEY, b"b" * 700_000)
        try:
            rest = file.read()
        except StoreError as error:
            rest = b"a" * 400_000
            assert "while it was read; run it again" in str(error)
    assert rest == b"a" * 400_000


def test_an_upload_can_be_committed_under_another_key(objects: ObjectStore) -> None:
    with objects.upload(f"videos/{DAY}/1.mp4", content_type="video/mp4", provisional=True) as upload:
        upload.write(b"a")
        assert upload.commit(f"videos/{DAY}/1.abcd.mp4").key == f"videos/{DAY}/1.abcd.mp4"
    assert keys(objects) == [f"videos/{DAY}/1.abcd.mp4"]


SIZES = {"empty": 0, "small": 300_000, "a part": 8 * 1024**2, "parts": 9 * 1024**2 + 7, "many parts": 25 * 1024**2}


def written(objects: ObjectStore, key: str, size: int) -> tuple[Upload, bytes]:
    data = random.Random(size).randbytes(size)  # noqa: S311
    upload = objects.upload(key, content_type="video/mp4", provisional=True)
    for start in range(0, size, 1024**2):
        upload.write(data[start : start + 1024**2])
    return upload, data


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_an_upload_can_be_read_anywhere_before_it_shows(objects: ObjectStore, size: int) -> None:
    key = f"videos/{DAY}/1.mp4"
    opened_upload, data = written(objects, key, size)
    with opened_upload as upload:
        for _ in range(2):
            with upload.reader() as file:
                for at in (0, 1, size // 2, max(0, size - 65536), max(0, size - 1), size, size + 10):
                    assert file.seek(at) == at
                    assert file.read(65536) == data[at : at + 65536]
                    assert file.tell() == max(at, min(at + 65536, size))
                assert file.seek(0, os.SEEK_END) == size
                assert file.read(1) == b""
                file.seek(-min(size, 100), os.SEEK_CUR)
                assert file.read() == data[max(0, size - 100) :]
                file.seek(0)
                assert file.read() == data
        assert keys(objects) == []
        assert objects.info(key) is None
        assert upload.commit().size == size
    assert keys(objects) == [key]
    with objects.download(key) as stored:
        assert stored.read() == data


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_an_upload_that_was_read_is_committed_under_the_key_that_this_decides(objects: ObjectStore, size: int) -> None:
    objects.write(f"videos/{DAY}/1.mp4", b"old")
    opened_upload, data = written(objects, f"videos/{DAY}/1.mp4", size)
    with opened_upload as upload:
        with upload.reader() as file:
            file.read(10)
        info = upload.commit(f"videos/{DAY}/1.abcd.mp4")
    assert info == objects.info(f"videos/{DAY}/1.abcd.mp4")
    assert info.size == size
    assert objects.read(info.key)[0] == data
    assert objects.read(f"videos/{DAY}/1.mp4")[0] == b"old"
    assert keys(objects) == [f"videos/{DAY}/1.abcd.mp4", f"videos/{DAY}/1.mp4"]


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_an_upload_that_was_read_and_not_committed_leaves_nothing(backend: Backend, size: int) -> None:
    store = backend.store
    opened_upload, _ = written(store, f"videos/{DAY}/1.mp4", size)
    with pytest.raises(RuntimeError), opened_upload as upload:
        with upload.reader() as file:
            file.read(10)
        raise RuntimeError
    assert keys(store) == []
    assert housekeeping(backend) == []
    upload.abort()


def read_and_die(number: int, backend: Backend) -> None:
    opened_upload, _ = written(backend.store, f"videos/{DAY}/1.mp4", SIZES["parts"])
    with opened_upload.reader() as file:
        file.read(10)
        os._exit(0)


def test_what_a_killed_reader_left_is_swept(backend: Backend) -> None:
    in_processes(1, read_and_die, backend)
    store = backend.store
    assert keys(store) == []
    assert len(housekeeping(backend)) == 1
    store.sweep("2025-03-10")
    assert len(housekeeping(backend)) == 1
    store.sweep(DAY)
    assert housekeeping(backend) == []


def housekeeping(backend: Backend) -> list[str]:
    """The objects under `.tmp/`, which a store never lists."""
    if backend.name == "local":
        return sorted(path.name for path in (Path(backend.place) / ".tmp").iterdir())
    listed = boto3.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=f"{backend.prefix}/.tmp/")
    return [one["Key"] for one in listed.get("Contents", [])]


def test_reading_an_upload_ends_its_writing(objects: ObjectStore) -> None:
    """A store may have to assemble the upload into one object first."""
    with objects.upload(KEY, content_type="video/mp4", provisional=True) as upload:
        upload.write(b"all")
        with upload.reader() as file:
            assert file.read() == b"all"
        with pytest.raises(ValueError, match="takes no more"):
            upload.write(b"more")


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_the_ends_of_any_upload_can_be_read_before_its_commit(objects: ObjectStore, size: int) -> None:
    key, data = f"videos/{DAY}/1.mp4", random.Random(size).randbytes(size)  # noqa: S311
    end = 6 * 1024**2
    with objects.upload(key, content_type="video/mp4") as upload:
        for start in range(0, size, 700_000):
            upload.write(data[start : start + 700_000])
        with upload.reader() as file:
            for at in (0, end - 5000, max(0, size - end), max(0, size - 5000)):
                file.seek(at)
                assert file.read(5000) == data[at : at + 5000]
            file.seek(size // 2)
            assert file.read(10) == (data[size // 2 : size // 2 + 10] if upload.has_all else b"")
        assert objects.info(key) is None
        assert upload.commit().size == size
    with objects.download(key) as file:
        assert file.read() == data


def test_only_a_provisional_upload_is_committed_under_another_key(objects: ObjectStore) -> None:
    with objects.upload(KEY, content_type="video/mp4") as upload:
        upload.write(b"x")
        with pytest.raises(ValueError, match="provisional"):
            upload.commit("videos/another.mp4")


def test_an_upload_replaces_what_stands_there_only_with_its_commit(objects: ObjectStore) -> None:
    key = f"videos/{DAY}/1.mp4"
    objects.write(key, b"old")
    with objects.upload(key, content_type="video/mp4") as upload:
        upload.write(b"new")
        assert objects.read(key)[0] == b"old"
        upload.commit()
    assert objects.read(key)[0] == b"new"


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_an_upload_without_a_commit_leaves_nothing(objects: ObjectStore, error: type[BaseException] | None) -> None:
    key = f"videos/{DAY}/1.mp4"
    objects.write(key, b"old")
    try:
        with objects.upload(key, content_type="video/mp4") as upload:
            upload.write(b"new")
            if error:
                raise error
    except (RuntimeError, KeyboardInterrupt):
        pass
    assert objects.read(key)[0] == b"old"
    assert keys(objects) == [key]
    upload.abort()  # harmless, however often


def test_two_uploads_of_one_key_do_not_mix(objects: ObjectStore) -> None:
    key = f"videos/{DAY}/1.mp4"
    first, second = (objects.upload(key, content_type="video/mp4") for _ in range(2))
    for upload, letter in ((first, b"a"), (second, b"b"), (first, b"a"), (second, b"b")):
        upload.write(letter * 1000)
    second.commit()
    assert objects.read(key)[0] == b"b" * 2000
    first.commit()
    assert objects.read(key)[0] == b"a" * 2000


def test_a_list_is_in_the_order_of_keys_below_its_prefix_and_without_housekeeping(
    backend: Backend, objects: ObjectStore
) -> None:
    given = ["a/b/c.json", "a-b.json", "a/b.json", "a.json", "B.json", "ab/c.json", "a/ü.json", "videos/x/1.mp4"]
    for key in given:
        objects.write(key, key.encode())
    for key in (".leases/2025-03-09.json", ".sample_api/1.mp4"):
        objects.write(key, b"{}")
    as_listed = sorted if backend.name == "seaweedfs" else list  # it lists folder by folder
    assert as_listed(keys(objects)) == sorted(given)
    assert as_listed(keys(objects, "a/")) == ["a/b.json", "a/b/c.json", "a/ü.json"]
    assert as_listed(keys(objects, "a/b")) == ["a/b.json", "a/b/c.json"]
    assert keys(objects, "c") == []
    assert as_listed(info.size for info in objects.list("a/b")) == [8, 10]
    assert [info.key for info in objects.list("a/", below=False)] == ["a/b.json", "a/ü.json"]
    assert [info.key for info in objects.list("", below=False)] == ["B.json", "a-b.json", "a.json"]
    assert list(objects.list("videos/", below=False)) == []


def test_a_checksum_that_a_store_tells_is_that_of_the_content(backend: Backend, objects: ObjectStore) -> None:
    assert objects.checksum("no/such.json") is None
    for key, data in (("a.json", b"{}"), ("videos/x/1.mp4", b"v" * 1000)):
        with objects.upload(key, content_type="video/mp4") as upload:
            upload.write(data)
            upload.commit()
        told = (
            hashlib.sha256(data).hexdigest() if backend.name == "aws" else None
        )  # a folder computes none by itself, and what other stores keep is not relied on
        assert objects.checksum(key) == told
    with objects.upload("large.mp4", content_type="video/mp4") as upload:
        for _ in range(9):
            upload.write(b"v" * 1024**2)  # more than a part: S3's checksum is of another kind
        upload.commit()
    assert objects.checksum("large.mp4") is None


@pytest.mark.parametrize("key", ["", ".", "..", "../x", "a/../../x", "a/..", "/etc/passwd", "a/../../archive2/x"])
def test_no_key_leads_out_of_the_store(objects: ObjectStore, key: str, tmp_path: Path) -> None:
    for act in (
        lambda: objects.write(key, b"x"),
        lambda: objects.upload(key, content_type="video/mp4"),
        lambda: objects.read(key),
        lambda: objects.info(key),
        lambda: objects.delete(key),
    ):
        with pytest.raises(ValueError, match="no key of this store"):
            act()
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock"] == []


def test_a_sweep_leaves_what_is_whole(objects: ObjectStore) -> None:
    for key in (KEY, f"videos/{DAY}/1.mp4", "archive.json"):
        objects.write(key, b"x")
    objects.write(f".leases/{DAY}.json", b"held")
    objects.sweep(DAY)
    assert keys(objects) == ["archive.json", KEY, f"videos/{DAY}/1.mp4"]
    assert objects.read(f".leases/{DAY}.json")[0] == b"held"


def test_a_sweep_does_not_touch_another_days_uploads(objects: ObjectStore) -> None:
    for name in ("1", DAY):
        with objects.upload(f"videos/2025-03-10/{name}.mp4", content_type="video/mp4") as upload:
            upload.write(b"x")
            objects.sweep(DAY)
            upload.commit()
        assert objects.read(f"videos/2025-03-10/{name}.mp4")[0] == b"x"


def test_a_uri_tells_a_person_where_an_object_lies(objects: ObjectStore) -> None:
    assert objects.uri(KEY).endswith("/" + KEY)


def test_a_day_is_one_runs_at_a_time_and_free_afterwards(objects: ObjectStore) -> None:
    with lease_of(objects, DAY, "first"):
        with pytest.raises(LeaseHeld, match="is being backed up by run first"), lease_of(objects, DAY, "second"):
            pass
        with lease_of(objects, "2025-03-10", "second"):
            pass
    with lease_of(objects, DAY, "second"):
        found = holder_of(objects, DAY)
        assert found is not None
        assert found.owner == "second"
    assert holder_of(objects, DAY) is None


def test_a_lease_is_renewed_while_its_run_lives_and_lost_to_who_takes_it(objects: ObjectStore) -> None:
    key = f".leases/{DAY}.json"
    with lease_of(objects, DAY, "first", seconds=1.5) as held:
        before = objects.read(key)
        deadline = time.monotonic() + 60
        while objects.read(key) == before:
            assert time.monotonic() < deadline
        held.check()
        objects.write(key, b"another's")
        while not lost(held):
            assert time.monotonic() < deadline
    assert objects.read(key)[0] == b"another's", "what is another's is not given back"


def lost(held: HeldDay) -> bool:
    try:
        held.check()
    except LeaseLost:
        return True
    return False


# ---- HighlightTable --------------------------------------------------------------------------------------------------


def row(key: str, day: str = DAY, **more: Any) -> Row:
    base: Row = {
        "id": key, "game_date": day, "days": [day], "fetch_date": day, "first_seen": f"{day}T00:00:00Z",
        "last_seen": f"{day}T00:00:00Z", "removed_upstream": None, "removed_from": {}, "content_hash": "",
        "title": f"Game {key}",
    }  # fmt: skip
    return base | more


def replace(there: Row | None, given: Row) -> Row | None:
    return given


def test_rows_are_found_by_id_and_by_day(rows: HighlightTable) -> None:
    given = [row("10"), row("9"), row("b"), row("a", "2025-03-10")]
    assert rows.merge(given, replace) == 4
    assert rows.get(["9", "a", "missing"]) == {"9": given[1], "a": given[3]}
    assert rows.day(DAY) == [given[0], given[1], given[2]]  # ids are text, and sorted as text
    assert rows.day("2025-03-10") == [given[3]]
    assert rows.day("2025-03-11") == []
    assert rows.get([]) == {}


def test_merge_sees_the_tables_row_and_its_none_leaves_it(rows: HighlightTable) -> None:
    rows.merge([row("1")], replace)
    seen: list[Row | None] = []

    def only_new(there: Row | None, given: Row) -> Row | None:
        seen.append(there)
        return None if there else given

    assert rows.merge([row("1", title="changed"), row("2")], only_new) == 1
    assert seen == [row("1"), None]
    assert rows.get(["1", "2"]) == {"1": row("1"), "2": row("2")}


def test_a_row_whose_day_changes_moves_to_it(rows: HighlightTable) -> None:
    rows.merge([row("1", "2025-03-10")], replace)
    rows.merge([row("1", DAY)], merge_row)
    assert [one["id"] for one in rows.day(DAY)] == ["1"]
    assert rows.day("2025-03-10") == []
    assert rows.get(["1"])["1"]["days"] == [DAY, "2025-03-10"]


def test_rows_of_one_id_in_one_merge_are_merged_one_after_the_other(rows: HighlightTable) -> None:
    """When a table is made again from the JSON, a clip comes once for each day that listed it."""
    assert rows.merge([row("1", "2025-03-10"), row("1", DAY), row("1", "2025-03-11")], merge_row) == 1
    assert rows.get(["1"])["1"]["days"] == [DAY, "2025-03-10", "2025-03-11"]


def test_a_merge_that_fails_writes_nothing(rows: HighlightTable) -> None:
    def fails(there: Row | None, given: Row) -> Row | None:
        if given["id"] == "2":
            raise RuntimeError
        return given

    with pytest.raises(RuntimeError):
        rows.merge([row("1"), row("2")], fails)
    assert rows.get(["1"]) == {}
    assert rows.merge([row("1")], replace) == 1


def test_many_rows_come_back(backend: Backend, rows: HighlightTable) -> None:
    """More rows than fit into one statement of SQLite, or into one batch and one page of 1 MB of DynamoDB."""
    count = 203 if backend.name == "aws" else 1203
    many = [row(f"{number:04}", filling="x" * 6000) for number in range(count)]
    assert rows.merge(iter(many), replace) == count
    assert rows.day(DAY) == many
    assert len(rows.get([one["id"] for one in many])) == count


def deep(levels: int) -> Any:
    return {"inner": [deep(levels - 1)]} if levels else "bottom"


@pytest.mark.parametrize(
    "value",
    [
        Decimal("0.1"), Decimal("1E+400"), Decimal("3.14159265358979323846264338327950288419716939937510"),
        Decimal("-0.0"), 2**80, -1, 0, True, None, "", "San José — Hawaiʻi 🏀", "\ud800", "a\0b", '"\\\n', [],
        {}, {"": {"a": [1, [2, {}]]}}, deep(100), "x" * 100_000,
    ],
    ids=lambda value: str(value)[:20],
)  # fmt: skip
def test_any_json_value_comes_back_equal(rows: HighlightTable, value: Any) -> None:
    given = row("1", match=value)
    rows.merge([given], replace)
    (found,) = rows.day(DAY)
    assert found == given
    assert json_text.dumps(found) == json_text.dumps(given)  # 1 == True == Decimal(1), but not as text
    assert rows.get(["1"]) == {"1": given}


@pytest.mark.parametrize(
    "key", ["ü", "a b", "'; DROP TABLE highlights; --", "a\0b", "x" * 1024, row_key("x" * 1025), "%", "/"]
)
def test_any_text_is_an_id(rows: HighlightTable, key: str) -> None:
    rows.merge([row(key), row("other")], replace)
    assert rows.get([key]) == {key: row(key)}


def list_days(number: int, backend: Backend, start: "Barrier") -> None:
    start.wait(30)
    for step in range(3):
        day = f"2025-03-{10 + number * 3 + step}"
        backend.table.merge([row(str(key), day) for key in range(5)], merge_row)


def test_several_processes_that_merge_the_same_rows_lose_no_day(backend: Backend) -> None:
    """None of them finds a table, so all of them create it at once."""
    in_processes(6, list_days, backend, FORK.Barrier(6))
    found = backend.table.get([str(key) for key in range(5)])
    assert len(found) == 5
    for one in found.values():
        assert one["days"] == [f"2025-03-{day}" for day in range(10, 28)]
        assert one["game_date"] == "2025-03-10"


def merge_for_ever(backend: Backend) -> None:
    table = backend.table
    for number in range(10**9):
        table.merge([row(str(key), number=number) for key in range(20)], replace)


def test_a_killed_merge_leaves_whole_rows_and_the_next_one_completes_it(backend: Backend) -> None:
    for _ in range(5):
        child = FORK.Process(target=merge_for_ever, args=(backend,))
        child.start()
        deadline = time.monotonic() + 60
        start = {one["number"] for one in backend.table.day(DAY)}
        while {one["number"] for one in backend.table.day(DAY)} == start:
            assert time.monotonic() < deadline
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        found = backend.table.day(DAY)
        assert all(one == row(one["id"], number=one["number"]) for one in found)
        if backend.name != "aws":  # one transaction
            assert len(found) == 20
            assert len({one["number"] for one in found}) == 1
        assert backend.table.merge([row(str(key), number=-1) for key in range(20)], replace) == 20
        assert [one["number"] for one in backend.table.day(DAY)] == [-1] * 20


def test_the_table_says_where_it_is(backend: Backend, rows: HighlightTable) -> None:
    assert rows.uri()


@pytest.fixture(autouse=True)
def _nothing_is_left_half_written(backend: Backend) -> Iterator[None]:
    """No test leaves an upload open in the local store."""
    yield
    if backend.name == "local" and (Path(backend.place) / ".tmp").exists():
        left = [path.name for path in (Path(backend.place) / ".tmp").iterdir()]
        assert left == []
