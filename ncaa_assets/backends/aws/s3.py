"""An archive in an S3 bucket. The bucket is there already; nothing here makes one.

Every object is sent with a checksum that S3 verifies before it stores anything. Small objects are one PUT; large ones
go up in parts, two at a time, while the rest is still coming in. Conditional writes are S3's own (If-Match,
If-None-Match), and a version is the object's ETag. The bucket decides about encryption.

What other stores of the same protocol do otherwise is in the methods that `backends/s3/store.py` replaces.
"""

import base64
import hashlib
import io
import logging
import os
import posixpath
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import urlencode
from uuid import uuid4

import urllib3
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from ncaa_assets.backends.aws.boto import AWS, Service, code_of, explained, was_sent_again
from ncaa_assets.backends.aws.clients import console
from ncaa_assets.failures import ObjectMissing, SettingsError, StoreBusy, StoreError, WriteConflict, one_line
from ncaa_assets.ports import Expect, ObjectInfo, ObjectStore, Upload, Version
from ncaa_assets.retry import RetryPolicy

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import (
        CopySourceTypeDef,
        GetObjectOutputTypeDef,
        ObjectTypeDef,
    )

log = logging.getLogger(__name__)

PART = 6 * 1024**2  # bytes; S3 wants 5 MiB at least and takes 10,000 parts, so 60 GB an object
_PARTS_UNDER_WAY = 2
# CopyObject takes 5 GB at most and answers only when it is done, which must be before the client's timeout.
_MOST_COPIED_AT_ONCE = 1024**3
_BLOCK = 256 * 1024  # bytes of an upload that is read before its commit: asked for at once, and kept
_MOST_BLOCKS = 16

MISSING = {"NoSuchKey", "404", "NotFound"}
# 412: another version is there. 409: it changed while this was written. 404: nothing is there.
CONFLICT = {"PreconditionFailed", "ConditionalRequestConflict", "412", *MISSING}


@dataclass(frozen=True)
class Head:
    size: int
    version: str
    sha256: str | None  # base64, as S3 gives it; None where the object was not sent with one


class S3Store(ObjectStore):
    """Objects below `prefix` in one bucket, through a boto3 S3 client."""

    # Below processed_videos/ MediaConvert has uploads of its own, also while nobody holds the day: those must live.
    _swept: tuple[str, ...] = ("videos",)
    _service: Service = AWS
    # Versions whose time says when the bytes were last put there, and not from when on they counted.
    _beginning_unknown: frozenset[str] = frozenset()

    def __init__(
        self, client: "S3Client", bucket: str, prefix: str = "", *, retry: RetryPolicy = RetryPolicy()
    ) -> None:
        self.bucket = bucket
        self._client = client
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._retry = partial(retry.loop, log=log)
        self._checking = threading.Lock()
        self._is_checked = False

    def read(self, key: str) -> tuple[bytes, str]:
        with self._errors(key):
            return self._retry(what=f"reading {key}")(self._read, key)

    def _read(self, key: str) -> tuple[bytes, str]:
        answer = self._get(key)
        try:
            return answer["Body"].read(), answer["ETag"]
        except BROKEN as error:
            # botocore asks again for an answer that never began, not for one that broke off.
            raise StoreBusy(f"the answer broke off ({one_line(error)})") from error

    def write(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str = "application/json",
        expect: str | Expect = Expect.ANYTHING,
        keep_replaced: bool = True,
        durable: bool = True,
    ) -> str:
        del keep_replaced, durable  # the bucket keeps every version until its lifecycle ends it, and all that it took
        name, digest = self._name(key), sha256_of(data)
        with self._errors(key):
            if expect is not Expect.NOTHING and not key.startswith("."):
                stored = self._head(name)
                if stored and stored.sha256 == digest and expect in (Expect.ANYTHING, stored.version):
                    return stored.version
            condition = self._condition(name, expect)
            try:
                answer = self._client.put_object(
                    Bucket=self.bucket, Key=name, Body=data, ContentType=content_type, **self._of_put(data),
                    **condition,
                )  # fmt: skip
            except ClientError as error:
                if not condition or code_of(error) not in CONFLICT:
                    raise
                stored = self._head(name)
                if was_sent_again(error) and stored and stored.sha256 == digest:
                    return stored.version  # this very write: the first try arrived, and its answer was lost
                raise WriteConflict(f"{self.uri(key)} was written by somebody else meanwhile") from error
            return answer["ETag"]

    def upload(self, key: str, *, content_type: str, provisional: bool = False) -> Upload:
        self._name(key)
        opened = f".tmp/{key}.{uuid4().hex[:12]}" if provisional else key
        return _S3Upload(self, key, opened, content_type)

    @contextmanager
    def download(self, key: str) -> Iterator[BinaryIO]:
        with self._errors(key):
            body = self._get(key)["Body"]
            try:
                yield cast("BinaryIO", body)
            except BROKEN as error:
                raise StoreError(f"reading {self.uri(key)} broke off ({one_line(error)}); run it again") from error
            finally:
                body.close()

    @contextmanager
    def open_seekable(self, key: str) -> Iterator[BinaryIO]:
        info = self.info(key)
        if info is None:
            raise ObjectMissing(f"there is no {self.uri(key)}")
        yield self._ranges(key, info.size, info.version)

    def _ranges(self, key: str, size: int, version: str | Expect = Expect.ANYTHING) -> BinaryIO:
        read_range = partial(self._retry(what=f"reading {key}"), self._read_range, key, version)
        return cast("BinaryIO", _Ranges(read_range, size))

    def _read_range(self, key: str, version: str | Expect, start: int, end: int) -> bytes:
        """The bytes of a version from `start` up to, and without, `end`."""
        with self._errors(key):
            wanted = f"bytes={start}-{end - 1}"
            try:
                answer = self._client.get_object(
                    Bucket=self.bucket, Key=self._name(key), Range=wanted, **condition_of(version)
                )
                with closing(answer["Body"]) as body:
                    return body.read()
            except ClientError as error:
                if code_of(error) not in CONFLICT:
                    raise
                raise StoreError(f"{self.uri(key)} was replaced or deleted while it was read; run it again") from error
            except BROKEN as error:  # botocore asks again for an answer that never began, not for one that broke off
                raise StoreBusy(f"the answer broke off ({one_line(error)})") from error

    def info(self, key: str) -> ObjectInfo | None:
        with self._errors(key):
            stored = self._head(self._name(key))
        return ObjectInfo(key=key, size=stored.size, version=stored.version) if stored else None

    def checksum(self, key: str) -> str | None:
        with self._errors(key):
            stored = self._head(self._name(key))
        if stored is None or stored.sha256 is None or "-" in stored.sha256:  # a dash: made of the parts' checksums
            return None
        return base64.b64decode(stored.sha256).hex()

    def list(self, prefix: str, *, below: bool = True) -> Iterator[ObjectInfo]:
        with self._errors(prefix):
            pages, whole = self._client.get_paginator("list_objects_v2").paginate, self._prefix + prefix
            listing = pages(Bucket=self.bucket, Prefix=whole)
            for page in listing if below else pages(Bucket=self.bucket, Prefix=whole, Delimiter="/"):
                for entry in page.get("Contents", []):
                    key = entry["Key"].removeprefix(self._prefix)
                    if not any(part.startswith(".") for part in key.split("/")) and self._is_there(entry):
                        yield ObjectInfo(key=key, size=entry["Size"], version=entry["ETag"])
                if page.get("IsTruncated") and not page.get("NextContinuationToken"):
                    raise StoreError(
                        f"{self._service.name} broke off a listing of {self.uri(prefix)} without a word on how it goes "
                        "on; run it again, and if it stays so, take another store"
                    )

    def versions(self, prefix: str) -> Iterator[Version]:
        """As the bucket has kept them; a document that was deleted meanwhile is there no more from then on."""
        by_key: dict[str, list[tuple[datetime, bool, str | None]]] = {}
        with self._errors(prefix):
            pages = self._client.get_paginator("list_object_versions")
            for page in pages.paginate(Bucket=self.bucket, Prefix=self._prefix + prefix):
                for entry in page.get("Versions", []):
                    if entry["Key"].endswith(".json"):
                        kept = by_key.setdefault(entry["Key"], [])
                        kept.append((entry["LastModified"], entry["IsLatest"], entry["VersionId"]))
                for mark in page.get("DeleteMarkers", []):
                    if mark["Key"].endswith(".json"):
                        by_key.setdefault(mark["Key"], []).append((mark["LastModified"], mark["IsLatest"], None))
        for name, found in sorted(by_key.items()):
            key = name.removeprefix(self._prefix)
            if any(part.startswith(".") for part in key.split("/")):
                continue
            # S3 lists the newest first, and its times have whole seconds.
            found.reverse()
            found.sort(key=lambda entry: entry[:2])
            ends: list[datetime | None] = [*(time for time, *_ in found[1:]), None]
            for (since, _, version), until in zip(found, ends, strict=True):
                if version is not None:
                    begins = None if version in self._beginning_unknown else since
                    yield Version(key, begins, until, partial(self._read_version, key, version))

    def _read_version(self, key: str, version: str) -> bytes:
        with self._errors(key):
            answer = self._client.get_object(Bucket=self.bucket, Key=self._name(key), VersionId=version)
            try:
                return answer["Body"].read()
            except BROKEN as error:
                raise StoreBusy(f"the answer broke off ({one_line(error)})") from error

    def delete(self, key: str, *, expect: str | Expect = Expect.ANYTHING) -> None:
        name = self._name(key)
        with self._errors(key):
            if expect is Expect.NOTHING:
                if self._head(name):
                    raise WriteConflict(f"{self.uri(key)} was written by somebody else meanwhile")
                return
            condition = self._condition(name, expect)
            try:
                self._client.delete_object(Bucket=self.bucket, Key=name, **condition)
            except ClientError as error:
                if not condition or code_of(error) not in CONFLICT:
                    raise
                if was_sent_again(error) and self._head(name) is None:
                    return
                raise WriteConflict(f"{self.uri(key)} was written by somebody else meanwhile") from error

    def sweep(self, day: str) -> None:
        with self._errors(day):
            for folder in self._swept:
                for prefix in (f"{folder}/{day}/", f".tmp/{folder}/{day}/"):
                    for name, upload_id in self._unfinished(self._prefix + prefix):
                        self._abort(name, upload_id)
                objects = self._client.get_paginator("list_objects_v2")
                for listed in objects.paginate(Bucket=self.bucket, Prefix=f"{self._prefix}.tmp/{folder}/{day}/"):
                    for left in listed.get("Contents", []):
                        self._client.delete_object(Bucket=self.bucket, Key=left["Key"])

    def _unfinished(self, prefix: str) -> Iterator[tuple[str, str]]:
        """The unfinished uploads of objects whose full keys begin so: those keys, and the uploads' ids."""
        for page in self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=prefix):
            for upload in page.get("Uploads", []):
                yield upload["Key"], upload["UploadId"]

    def copy(self, source: str, target: str) -> ObjectInfo:
        """Copies an object within the bucket, whatever its size. Up to a gigabyte is one request, for which S3 computes
        the copy's sha256, whatever the original was sent with.

        Raises:
            ObjectMissing: there is none.
        """
        place: CopySourceTypeDef = {"Bucket": self.bucket, "Key": self._name(source)}
        with self._errors(source):
            try:
                stored = self._head(self._name(source))
                if stored is not None and stored.size > _MOST_COPIED_AT_ONCE:
                    self._client.copy(place, self.bucket, self._name(target))
                else:
                    self._client.copy_object(
                        Bucket=self.bucket, Key=self._name(target), CopySource=place, **self._of_copy()
                    )
            except ClientError as error:
                if code_of(error) in MISSING:
                    raise ObjectMissing(f"there is no {self.uri(source)}") from error
                raise
        info = self.info(target)
        if info is None:
            raise StoreError(f"{self.uri(target)} is gone right after it was stored; run it again")
        return info

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{self._prefix}{key}"

    def page(self, key: str) -> str | None:
        """The object's page in AWS's console, which asks for a login and then opens the object."""
        query = urlencode({"region": self._client.meta.region_name, "prefix": self._prefix + key})
        return f"{console(self._client)}/s3/object/{self.bucket}?{query}"

    def _name(self, key: str) -> str:
        """The object's full key. Keys are made by this program, never by a stranger; one that leaves the prefix is a
        defect."""
        if not key or key != posixpath.normpath(key) or key.startswith(("/", "..")) or key == ".":
            raise ValueError(f"no key of this store: {key!r}")
        return self._prefix + key

    def _get(self, key: str) -> "GetObjectOutputTypeDef":
        try:
            return self._client.get_object(Bucket=self.bucket, Key=self._name(key))
        except ClientError as error:
            if code_of(error) in MISSING:
                raise ObjectMissing(f"there is no {self.uri(key)}") from error
            if code_of(error) == "InvalidObjectState":
                raise StoreError(self._frozen(key)) from error
            raise

    def _frozen(self, key: str) -> str:
        name = self._name(key)
        kind = self._client.head_object(Bucket=self.bucket, Key=name).get("StorageClass", "an archive of S3's")
        return (
            f"{self.uri(key)} is in the storage class {kind} and must be thawed first, which takes hours: run `aws "
            f"s3api restore-object --bucket {self.bucket} --key {name} --restore-request Days=7`, and once that is "
            "done the same command again"
        )

    def _is_there(self, entry: "ObjectTypeDef") -> bool:
        """Whether what is listed is an object of the archive."""
        del entry
        return True

    def _head(self, name: str) -> Head | None:
        try:
            answer = self._client.head_object(Bucket=self.bucket, Key=name, ChecksumMode="ENABLED")
        except ClientError as error:
            if code_of(error) in MISSING:
                return None
            raise
        return Head(answer["ContentLength"], answer["ETag"], answer.get("ChecksumSHA256"))

    def _condition(self, name: str, expect: str | Expect) -> dict[str, Any]:
        """What asks the store to write or delete the object `name` only where `expect` holds."""
        del name
        return condition_of(expect)

    # The parameters with which the store makes sure that what arrives is what was sent.

    def _of_put(self, data: bytes) -> dict[str, Any]:
        del data  # botocore computes it
        return {"ChecksumAlgorithm": "SHA256"}

    def _of_copy(self) -> dict[str, Any]:
        return {"ChecksumAlgorithm": "SHA256"}

    def _of_upload(self) -> dict[str, Any]:
        return {"ChecksumAlgorithm": "CRC32"}

    def _of_part(self, part: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
        """Those of a part, and what the list of parts says of it at the end."""
        checksum = {"ChecksumCRC32": base64.b64encode(zlib.crc32(part).to_bytes(4, "big")).decode()}
        return checksum, checksum

    def _of_completion(self, size: int) -> dict[str, Any]:
        return {"MpuObjectSize": size}

    def _check_completion(self, name: str, size: int) -> None:
        """Makes sure that parts became an object of this size, where `_of_completion` does not."""

    def _abort(self, name: str, upload_id: str) -> None:
        try:
            self._client.abort_multipart_upload(Bucket=self.bucket, Key=name, UploadId=upload_id)
        except ClientError as error:
            if code_of(error) != "NoSuchUpload":
                raise

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        """Stands around every use of the bucket: makes sure once that it is there, and explains what goes wrong."""
        with explained(self.uri(key), {"NoSuchBucket": self._no_bucket()}, service=self._service):
            self._check_bucket()
            yield

    def _check_bucket(self) -> None:
        with self._checking:
            if self._is_checked:
                return
            # A HEAD of an object is answered alike for a missing object and a missing bucket. And boto3 follows a
            # bucket into another region by itself, where DynamoDB and MediaConvert would not be.
            try:
                self._look_at_bucket()
            except ClientError as error:
                if code_of(error) in ("404", "NoSuchBucket"):
                    raise StoreError(self._no_bucket()) from error
                if code_of(error) in ("403", "AccessDenied"):
                    raise StoreError(self._no_access()) from error
                raise
            self._is_checked = True

    def _look_at_bucket(self) -> None:
        answer = self._client.head_bucket(Bucket=self.bucket)
        region, ours = answer.get("BucketRegion"), self._client.meta.region_name
        if region and ours not in (region, "aws-global"):
            raise SettingsError(
                f"the bucket {self.bucket} is in {region}, and the region here is {ours}; set AWS_REGION={region}"
            )

    def _no_access(self) -> str:
        return (
            f"these AWS credentials may not use the bucket {self.bucket}, or it is somebody else's: check "
            "S3_BUCKET_NAME, and grant s3:ListBucket on it to their role"
        )

    def _no_bucket(self) -> str:
        return (
            f"there is no bucket {self.bucket}; set S3_BUCKET_NAME to one that is there (it is made beforehand, by "
            "Terraform or by hand, never by a run)"
        )


class _S3Upload(Upload):
    """One object on its way up. Holds at most one part and two under way, and the first and the last that were sent,
    whatever the object's size; what fits into one part goes up by a single PUT at the commit.

    S3 shows the parts of an upload to nobody before they are one object. So of a large upload only what is still in
    memory can be read before its commit; a provisional one is completed under `.tmp/` when it is read or committed, and
    the commit copies it to its key within the bucket.
    """

    def __init__(self, store: S3Store, key: str, opened: str, content_type: str) -> None:
        self._store, self._client = store, store._client
        self._key, self._opened, self._content_type = key, opened, content_type
        self._buffer: list[memoryview] = []  # what waits to be a part; joined once, because each copy takes time
        self._waiting = 0
        self._size = 0
        self._first = self._last = b""  # of the parts that were sent
        self._upload_id: str | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._parts: list[dict[str, Any]] = []
        self._under_way: set[Future[None]] = set()
        self._version: str | None = None  # once its parts are one object
        self._is_sealed = False

    @property
    def _is_provisional(self) -> bool:
        return self._opened.startswith(".tmp/")

    def write(self, chunk: bytes) -> None:
        if self._is_sealed:
            raise ValueError(f"the upload of {self._key} was read already, and takes no more")
        view = memoryview(chunk)
        while view:
            taken = view[: PART - self._waiting]
            self._buffer.append(taken)
            self._waiting += len(taken)
            view = view[len(taken) :]
            if self._waiting == PART:
                self._send(self._take())

    @contextmanager
    def reader(self) -> Iterator[BinaryIO]:
        self._is_sealed = True
        if self._is_provisional and not self._is_in_memory:
            with self._store._errors(self._key):
                self._complete()
            yield self._store._ranges(self._opened, self._size)
            return
        end = self._size + self._waiting
        waiting = b"".join(self._buffer)
        self._buffer = [memoryview(waiting)]
        pieces = {0: self._first, self._size - len(self._last): self._last, self._size: waiting}
        yield cast("BinaryIO", _Pieces(pieces, end))

    @property
    def has_all(self) -> bool:
        return self._is_provisional or self._is_in_memory or self._size <= len(self._first) + len(self._last)

    @property
    def _is_in_memory(self) -> bool:
        return self._upload_id is None and self._version is None

    def commit(self, key: str | None = None) -> ObjectInfo:
        key = key or self._key
        if key != self._opened and not self._is_provisional:
            raise ValueError(f"the upload of {self._opened} was not opened as provisional")
        with self._store._errors(key):
            if self._is_in_memory:
                data = self._take()
                version = self._client.put_object(
                    Bucket=self._store.bucket, Key=self._store._name(key), Body=data, ContentType=self._content_type,
                    **self._store._of_put(data),
                )["ETag"]  # fmt: skip
                return ObjectInfo(key=key, size=len(data), version=version)
            version = self._complete()
            if key == self._opened:
                return ObjectInfo(key=key, size=self._size, version=version)
            info = self._store.copy(self._opened, key)
            self._store.delete(self._opened)
            self._version = None
            return info

    def abort(self) -> None:
        self._take()
        self._first = self._last = b""
        self._shut()
        if self._version is not None and self._is_provisional:
            self._version = None
            try:
                self._store.delete(self._opened)
            except (StoreError, SettingsError) as error:
                log.warning("an upload of %s was not removed (%s); the day's next run removes it", self._key, error)
        if self._upload_id is not None:
            # After the parts under way have ended: S3 keeps, and bills, a part that arrives after the abort.
            upload_id, self._upload_id = self._upload_id, None
            try:
                with self._store._errors(self._key):
                    self._store._abort(self._store._name(self._opened), upload_id)
            except (StoreError, SettingsError) as error:
                log.warning("an upload of %s was not ended (%s); the day's next run ends it", self._key, error)

    def _take(self) -> bytes:
        """What waits to be sent, which then waits no more."""
        data = b"".join(self._buffer)
        self._buffer.clear()
        self._waiting = 0
        return data

    def _send(self, part: bytes) -> None:
        name = self._store._name(self._opened)
        with self._store._errors(self._key):
            if self._upload_id is None:
                self._upload_id = self._client.create_multipart_upload(
                    Bucket=self._store.bucket, Key=name, ContentType=self._content_type, **self._store._of_upload(),
                )["UploadId"]  # fmt: skip
                self._pool = ThreadPoolExecutor(_PARTS_UNDER_WAY, "upload")
            while len(self._under_way) >= _PARTS_UNDER_WAY:
                done, self._under_way = wait(self._under_way, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
            self._first = self._first or part
            self._last = b"" if part is self._first else part
            self._size += len(part)
            self._parts.append({"PartNumber": len(self._parts) + 1})
            assert self._pool is not None  # noqa: S101 - made above
            self._under_way.add(self._pool.submit(self._send_part, self._parts[-1], part, self._upload_id))

    def _send_part(self, entry: dict[str, Any], part: bytes, upload_id: str) -> None:
        sent, listed = self._store._of_part(part)
        answer = self._client.upload_part(
            Bucket=self._store.bucket, Key=self._store._name(self._opened), UploadId=upload_id,
            PartNumber=entry["PartNumber"], Body=part, **sent,
        )  # fmt: skip
        entry.update(ETag=answer["ETag"], **listed)

    def _complete(self) -> str:
        """Makes the parts one object under the key that the upload was opened with, once; returns its version."""
        if self._version is not None:
            return self._version
        if self._waiting:
            self._send(self._take())
        for future in self._under_way:
            future.result()
        self._shut()
        name = self._store._name(self._opened)
        assert self._upload_id is not None  # noqa: S101 - the caller looked
        try:
            version = self._client.complete_multipart_upload(
                Bucket=self._store.bucket, Key=name, UploadId=self._upload_id,
                MultipartUpload=cast("Any", {"Parts": self._parts}), **self._store._of_completion(self._size),
            )["ETag"]  # fmt: skip
        except ClientError as error:
            stored = self._store._head(name) if was_sent_again(error) and code_of(error) == "NoSuchUpload" else None
            if stored is None or stored.size != self._size:
                raise
            version = stored.version
        self._store._check_completion(name, self._size)
        self._upload_id, self._version = None, version
        return version

    def _shut(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
        self._under_way = set()


class _Anywhere(io.RawIOBase):
    """Something of a known size that can be read at any place."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size, self._at = size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError("before the beginning")
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at


class _Pieces(_Anywhere):
    """What is at hand of something, by where each piece begins; in the order of that."""

    def __init__(self, pieces: dict[int, bytes], size: int) -> None:
        super().__init__(size)
        self._pieces = pieces

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        done = 0
        for start, data in self._pieces.items():
            if start <= self._at < start + len(data):
                piece = memoryview(data)[self._at - start :][: len(view) - done]
                view[done : done + len(piece)] = piece
                done += len(piece)
                self._at += len(piece)
        return done


class _Ranges(_Anywhere):
    """An object that can be read at any place by ranged requests: one for each block that is touched, however often it
    is read while it is among the last few, and one for a read of more than a block."""

    def __init__(self, read_range: Callable[[int, int], bytes], size: int) -> None:
        super().__init__(size)
        self._read_range = read_range
        self._block = lru_cache(_MOST_BLOCKS)(self._read_block)

    def readinto(self, buffer: Any) -> int:
        """Fills the buffer, but for the end of the object: some readers take a short read for the end."""
        view = memoryview(buffer).cast("B")
        wanted = max(0, min(len(view), self._size - self._at))
        if wanted > _BLOCK:
            view[:wanted] = self._read_range(self._at, self._at + wanted)
            self._at += wanted
            return wanted
        done = 0
        while done < wanted:
            block, start = divmod(self._at, _BLOCK)
            piece = self._block(block)[start : start + wanted - done]
            view[done : done + len(piece)] = piece
            done += len(piece)
            self._at += len(piece)
        return wanted

    def _read_block(self, number: int) -> bytes:
        return self._read_range(number * _BLOCK, min((number + 1) * _BLOCK, self._size))


# What botocore and urllib3 raise when an answer breaks off while its body is read.
BROKEN = (HTTPClientError, BotoCoreError, urllib3.exceptions.HTTPError, ConnectionError, TimeoutError)


def condition_of(expect: str | Expect) -> dict[str, Any]:
    """The parameters of a request that is to be done only where `expect` holds."""
    if expect is Expect.ANYTHING:
        return {}
    return {"IfNoneMatch": "*"} if expect is Expect.NOTHING else {"IfMatch": expect}


def sha256_of(data: bytes) -> str:
    """The sha256 as S3 writes it: base64."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode()
