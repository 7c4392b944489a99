"""A bucket, or a DynamoDB table, that is only read. Where the bucket keeps versions, each of them can be."""

import io
import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from botocore.exceptions import ClientError

from ncaa_assets.backends.aws.boto import AWS, Service, code_of, explained, is_denied
from ncaa_assets.backends.aws.s3 import BROKEN, MISSING
from ncaa_assets.backends.place import Place, PlaceFile
from ncaa_assets.failures import ObjectMissing, PlaceUnreadable, one_line
from ncaa_assets.record import calendar, json_text
from ncaa_assets.text import visible

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_s3 import S3Client

log = logging.getLogger(__name__)

_NO_VERSIONS = {"NotImplemented", "MethodNotAllowed", "NotSupported"}


class BucketPlace(Place):
    """The objects below `prefix` in one bucket, through a boto3 S3 client."""

    def __init__(self, client: "S3Client", bucket: str, prefix: str = "", *, service: Service = AWS) -> None:
        self._client, self._bucket, self._service = client, bucket, service
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def list(self, prefix: str = "") -> Iterator[PlaceFile]:
        with self._errors(prefix):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix):
                yield from filter(None, map(self._file, page.get("Contents", [])))

    def versions(self) -> Iterator[PlaceFile]:
        if (why := self._why_no_versions()) is not None:
            log.warning("earlier versions in %s %s; what is there now is imported", self.uri(), why)
            yield from self.list()
            return
        with self._errors(""):
            pages = self._client.get_paginator("list_object_versions")
            listed = (
                entry
                for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix)
                for entry in page.get("Versions", [])
            )
            for _, of_one in groupby(listed, key=lambda entry: entry["Key"]):
                # S3 gives the newest of a key first.
                yield from filter(None, (self._file(entry) for entry in reversed([*of_one])))

    def _why_no_versions(self) -> str | None:
        """Why the bucket's versions cannot be listed; None where they can be."""
        with self._errors(""):
            try:
                self._client.list_object_versions(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1)
            except ClientError as error:
                if is_denied(error):
                    return "may not be listed by these credentials (s3:ListBucketVersions)"
                if code_of(error) not in _NO_VERSIONS:
                    raise
                return "cannot be listed there"
        return None

    def info(self, path: str) -> PlaceFile | None:
        with self._errors(path):
            try:
                head = self._client.head_object(Bucket=self._bucket, Key=self._prefix + path)
            except ClientError as error:
                if code_of(error) in MISSING:
                    return None
                raise
        return PlaceFile(path, head["ContentLength"], calendar.stamp(head["LastModified"]))

    @contextmanager
    def open(self, file: PlaceFile) -> Iterator[BinaryIO]:
        version: dict[str, Any] = {} if file.version is None else {"VersionId": file.version}
        with self._errors(file.path):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + file.path, **version)
            except ClientError as error:
                if code_of(error) in (*MISSING, "NoSuchVersion"):
                    raise ObjectMissing(f"there is no {self.uri(file.path)}") from error
                raise
        with closing(answer["Body"]) as body:
            try:
                yield cast("BinaryIO", body)
            except BROKEN as error:
                broken = f"reading {self.uri(file.path)} broke off ({one_line(error)}); run it again"
                raise PlaceUnreadable(broken) from error

    def uri(self, path: str = "") -> str:
        return f"s3://{self._bucket}/{self._prefix}{path}"

    def _file(self, entry: Any) -> PlaceFile | None:
        path = entry["Key"].removeprefix(self._prefix)
        if not path or path.endswith("/") or any(part.startswith(".") for part in path.split("/")):
            return None
        version = entry.get("VersionId")
        at = calendar.stamp(entry["LastModified"])
        return PlaceFile(path, entry["Size"], at, None if version == "null" else version)

    @contextmanager
    def _errors(self, path: str) -> Iterator[None]:
        thawed = f"{self.uri(path)} is archived (Glacier); restore the object in S3 first, then run it again"
        sentences = {
            "NoSuchBucket": f"there is no bucket {self._bucket}; name one that is there",
            "InvalidObjectState": thawed,
        }
        with explained(self.uri(path), sentences, kind=PlaceUnreadable, service=self._service):
            yield


class TablePlace(Place):
    """A DynamoDB table as one file of JSON Lines, in the shape of DynamoDB's own exports."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client, self._table = client, table

    def list(self, prefix: str = "") -> Iterator[PlaceFile]:
        found = self.info(self._name)
        yield from [found] if found is not None and found.path.startswith(prefix) else []

    def info(self, path: str) -> PlaceFile | None:
        return PlaceFile(path, None, calendar.now()) if path == self._name else None

    @contextmanager
    def open(self, file: PlaceFile) -> Iterator[BinaryIO]:
        del file
        yield io.BufferedReader(cast("Any", _Lines(self._scan())))

    def uri(self, path: str = "") -> str:
        del path
        return f"dynamodb://{self._client.meta.region_name}/{self._table}"

    @property
    def _name(self) -> str:
        return f"{self._table}.jsonl"

    def _scan(self) -> Iterator[bytes]:
        missing = f"there is no table {visible(self._table)}; name one of this region (AWS_REGION) that is there"
        with explained(
            f"the table {visible(self._table)}", {"ResourceNotFoundException": missing}, kind=PlaceUnreadable
        ):
            for page in self._client.get_paginator("scan").paginate(TableName=self._table, ConsistentRead=True):
                for item in page["Items"]:
                    yield json_text.dumps({"Item": _as_json(item)}) + b"\n"


def _as_json(value: Any) -> Any:
    """A part of an item without what JSON has no word for: bytes."""
    match value:
        case dict():
            return {name: _as_json(one) for name, one in value.items()}
        case list():
            return [_as_json(one) for one in value]
        case bytes() | bytearray():
            return None
    return value


class _Lines(io.RawIOBase):
    """Lines that come one by one, as a stream."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        super().__init__()
        self._lines, self._left = lines, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._left = self._left or next(self._lines, b"")
        view = memoryview(buffer).cast("B")
        piece, self._left = self._left[: len(view)], self._left[len(view) :]
        view[: len(piece)] = piece
        return len(piece)
