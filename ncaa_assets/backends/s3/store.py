"""An archive in a bucket of any store that speaks S3's protocol, and not all of it.

The day's lease and every document need writes that expect what they replace (`If-None-Match`, `If-Match`): a store
without those is refused. What else S3 has and others lack is done here by what all have:

- Checksums: every object and part is sent with its MD5, which the store verifies before it stores anything. The sha256
  of a small one stays with it, as metadata.
- Deletes that expect a version: the object is replaced by a mark that says `deleted`, by a write that expects the
  version. Nobody can tell that a mark may go without such a delete, so it stays, and counts as no object.
- Earlier versions of documents: a copy in `.history/`, as in a folder, where the bucket keeps none.
"""

import base64
import hashlib
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from botocore.exceptions import ClientError

from ncaa_assets.backends.aws.boto import Service, code_of, was_sent_again
from ncaa_assets.backends.aws.s3 import CONFLICT, MISSING, Head, S3Store, condition_of, sha256_of
from ncaa_assets.backends.local.store import MOMENT, STAMP, time_of, versions_of
from ncaa_assets.backends.s3.abilities import Abilities, find_abilities
from ncaa_assets.failures import ObjectMissing, SettingsError, StoreError, WriteConflict
from ncaa_assets.ports import Expect, ObjectInfo, ObjectStore, Version, bytes_of
from ncaa_assets.retry import RetryPolicy

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import GetObjectOutputTypeDef, ObjectTypeDef

_SHA256, _DELETED = "ncaa-sha256", "ncaa-deleted"  # names of metadata
_MARK = "Deleted by ncaa-assets, and kept so that nobody else deletes it: {}\n"
_MARK_SIZE = len(_MARK.format(uuid4().hex))


class CompatibleStore(S3Store):
    """Objects below `prefix` in one bucket of the store at `host`, through its boto3 S3 client."""

    _swept = ("videos", "processed_videos")  # ffmpeg's outputs are uploads of the run that holds the day

    # That of a bucket without versions: what it replaced is in .history/, and where nothing is, it is the first.
    _beginning_unknown = frozenset({"null"})

    def __init__(
        self, client: "S3Client", bucket: str, prefix: str = "", *, host: str, retry: RetryPolicy = RetryPolicy()
    ) -> None:
        super().__init__(client, bucket, prefix, retry=retry)
        self._service = Service.store_at(host)
        self._found: Abilities | None = None
        self._finding = threading.Lock()

    def page(self, key: str) -> None:
        """None: there is no page that all such stores have."""

    @property
    def place(self) -> str:
        """Where the objects are, for people."""
        return f"s3://{self.bucket}/{self._prefix} in {self._service.name}"

    def abilities(self) -> Abilities:
        """What the store can do: tried at the first write that depends on it, and then known to this process.

        Raises:
            StoreError: the store could not be asked.
        """
        with self._finding:
            if self._found is None:
                with self._errors(".probe/"):
                    self._found = find_abilities(self._client, self.bucket, self._prefix)
            return self._found

    def check_writes(self) -> None:
        self.check()

    def check(self) -> Abilities:
        """The store's abilities, where backups may go there.

        Raises:
            SettingsError: it keeps no conditions; the message says which.
            StoreError: it could not be asked.
        """
        found = self.abilities()
        if found.lacks:
            raise SettingsError(
                f"{self._service.name} takes no heed of {' and '.join(found.lacks)} in a write: two runs at once would "
                "write over each other's work there, unnoticed, so no backup goes there; take a store that has "
                "conditional writes (docs/s3.md names some)"
            )
        return found

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
        if keep_replaced and expect is not Expect.NOTHING and not key.startswith("."):
            self._keep_history(key, data, expect)
        return super().write(
            key, data, content_type=content_type, expect=expect, keep_replaced=keep_replaced, durable=durable
        )

    def delete(self, key: str, *, expect: str | Expect = Expect.ANYTHING) -> None:
        if isinstance(expect, Expect) or self.check().deletes_conditionally:
            super().delete(key, expect=expect)
            return
        name, own = self._name(key), uuid4().hex
        data = _MARK.format(own).encode()
        with self._errors(key):
            try:
                self._client.put_object(
                    Bucket=self.bucket, Key=name, Body=data, ContentType="text/plain", ContentMD5=_md5(data),
                    Metadata={_DELETED: own}, **self._condition(name, expect),
                )  # fmt: skip
            except ClientError as error:
                if code_of(error) not in CONFLICT:
                    raise
                if was_sent_again(error) and self._look(name)[1] == own:
                    return  # this very delete: the first try arrived, and its answer was lost
                raise WriteConflict(f"{self.uri(key)} was written by somebody else meanwhile") from error

    def checksum(self, key: str) -> str | None:
        del key  # the sha256 that is kept is ours, not the store's
        return None

    def versions(self, prefix: str) -> Iterator[Version]:
        """From `.history/`, where the bucket keeps no versions itself."""
        folder, history = f"{self._prefix}.history/", dict[str, list[str]]()
        with self._errors(prefix):
            pages = self._client.get_paginator("list_objects_v2")
            stem = prefix.removesuffix(".json")
            for page in pages.paginate(Bucket=self.bucket, Prefix=f"{folder}{stem}"):
                for entry in page.get("Contents", []):
                    path = PurePosixPath(entry["Key"].removeprefix(folder))
                    if time_of(path) is not None and (key := f"{path.parent}.json").startswith(prefix):
                        history.setdefault(key, []).append(entry["Key"].removeprefix(self._prefix))
        if not history:
            try:
                yield from super().versions(prefix)
            except StoreError as error:
                if not isinstance(error.__cause__, ClientError):
                    raise
                yield from ObjectStore.versions(self, prefix)  # it knows no versions
            return
        there = {info.key for info in self.list(prefix) if info.key.endswith(".json")}
        for key in sorted({*there, *history}):
            replaced = [
                (time_of(PurePosixPath(one)), partial(bytes_of, self, one)) for one in sorted(history.get(key, []))
            ]
            yield from versions_of(key, replaced, partial(bytes_of, self, key) if key in there else None)

    def copy(self, source: str, target: str) -> ObjectInfo:
        if self.info(source) is None:
            raise ObjectMissing(f"there is no {self.uri(source)}")
        return super().copy(source, target)

    def _keep_history(self, key: str, data: bytes, expect: str | Expect) -> None:
        """Keeps the document that is about to be replaced, where the bucket does not. A run that loses the race for the
        write has kept one twice, which harms nobody."""
        name = self._name(key)
        with self._errors(key):
            stored = self._head(name)
            if stored is None or stored.sha256 == sha256_of(data) or expect not in (Expect.ANYTHING, stored.version):
                return
            if self.check().keeps_versions:
                return
            stem, dot, ending = key.rpartition(".")
            folder = f"{self._prefix}.history/{stem if dot else key}/"
            # Its name sorts after those that are there, whatever this clock says.
            now = datetime.now(UTC)
            later = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=folder, StartAfter=folder + now.strftime(STAMP)
            )
            for page in later:
                times = (time_of(PurePosixPath(entry["Key"])) for entry in page.get("Contents", []))
                now = max([now, *(time + MOMENT for time in times if time is not None)])
            try:
                self._client.copy_object(
                    Bucket=self.bucket, Key=f"{folder}{now.strftime(STAMP)}{dot}{ending}",
                    CopySource={"Bucket": self.bucket, "Key": name}, CopySourceIfMatch=stored.version,
                )  # fmt: skip
            except ClientError as error:
                if code_of(error) not in CONFLICT:
                    raise
                raise WriteConflict(f"{self.uri(key)} was written by somebody else meanwhile") from error

    def _condition(self, name: str, expect: str | Expect) -> dict[str, Any]:
        if expect is Expect.ANYTHING:
            return {}
        abilities = self.check()
        if expect is Expect.NOTHING:
            head, deleted = self._look(name)
            return condition_of(head.version if head is not None and deleted is not None else Expect.NOTHING)
        if not abilities.refuses_missing and self._head(name) is None:
            # Such a store would write it. Nobody removes meanwhile what was there: a delete leaves a mark.
            raise WriteConflict(f"s3://{self.bucket}/{name} was removed by somebody else meanwhile")
        return condition_of(expect)

    def _look(self, name: str) -> tuple[Head | None, str | None]:
        """What the store knows of an object, and what its mark says where it stands for a deleted one."""
        try:
            answer = self._client.head_object(Bucket=self.bucket, Key=name)
        except ClientError as error:
            if code_of(error) in MISSING:
                return None, None
            raise
        metadata = answer.get("Metadata", {})
        return Head(answer["ContentLength"], answer["ETag"], metadata.get(_SHA256)), metadata.get(_DELETED)

    def _head(self, name: str) -> Head | None:
        head, deleted = self._look(name)
        return head if deleted is None else None

    def _get(self, key: str) -> "GetObjectOutputTypeDef":
        answer = super()._get(key)
        if _DELETED in answer.get("Metadata", {}):
            answer["Body"].close()
            raise ObjectMissing(f"there is no {self.uri(key)}")
        return answer

    def _is_there(self, entry: "ObjectTypeDef") -> bool:
        return entry["Size"] != _MARK_SIZE or self._head(entry["Key"]) is not None

    def _unfinished(self, prefix: str) -> Iterator[tuple[str, str]]:
        try:
            yield from super()._unfinished(prefix)
        except ClientError as error:
            if code_of(error) != "NotImplemented":
                raise

    def _look_at_bucket(self) -> None:
        # Not by a HEAD, whose answer has no room for what is wrong.
        self._client.list_objects_v2(Bucket=self.bucket, Prefix=self._prefix, MaxKeys=1)

    def _no_access(self) -> str:
        return (
            f"these {self._service.credentials} may not use the bucket {self.bucket}: check S3_BUCKET_NAME, and let "
            "that key list, read, write and delete in it"
        )

    def _no_bucket(self) -> str:
        return (
            f"{self._service.name} has no bucket {self.bucket}; set S3_BUCKET_NAME to one that is there (it is made "
            "beforehand, never by a run)"
        )

    def _of_put(self, data: bytes) -> dict[str, Any]:
        return {"ContentMD5": _md5(data), "Metadata": {_SHA256: sha256_of(data)}}

    def _of_copy(self) -> dict[str, Any]:
        return {}

    def _of_upload(self) -> dict[str, Any]:
        return {}

    def _of_part(self, part: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"ContentMD5": _md5(part)}, {}

    def _of_completion(self, size: int) -> dict[str, Any]:
        del size
        return {}

    def _check_completion(self, name: str, size: int) -> None:
        stored = self._head(name)
        if stored is None or stored.size != size:
            self._client.delete_object(Bucket=self.bucket, Key=name)
            there = "nothing" if stored is None else f"{stored.size} bytes"
            raise StoreError(f"{self._service.name} made {there} of an upload of {size} bytes; run it again")


def _md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
