"""The rules of S3 that moto 5.2.5 does not keep: checks before a request reaches moto, and corrections of its answers.

Each rule says the fact that it supplies. What moto does by itself (If-Match and If-None-Match on PutObject,
If-None-Match on CompleteMultipartUpload, an ETag in DeleteObject's If-Match, 404 where there is nothing to match) is
not repeated here. The callers hold S3's lock: between a check and moto's change nothing else happens.

Other stores of S3's protocol do not have all of it: `take_away` makes one of them of S3 (`Lacks`).
"""

import base64
import hashlib
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from xml.etree import ElementTree

from moto.s3.exceptions import S3ClientError
from moto.s3.models import s3_backends

ACCOUNT = "123456789012"  # moto's
ALGORITHMS: dict[str, Callable[[bytes], bytes]] = {
    "crc32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "sha1": lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    "sha256": lambda data: hashlib.sha256(data).digest(),
}
_NOT_OURS = ("crc32c", "crc64nvme", "sha512", "md5", "xxhash64", "xxhash3", "xxhash128")


class Refused(Exception):
    """S3 refuses the request: its status, code and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True)
class Lacks:
    """What a store of S3's protocol lacks.

    Attributes:
        conditions: writes with `If-Match` or `If-None-Match` are refused with 501, or done without a look at them.
        match_of_missing: a write with `If-Match` is done where there is no object.
        deletes: `If-Match` of a delete is ignored.
        versions: GetBucketVersioning is refused with 501, as in a store without versions.
        checksums: `x-amz-checksum-…` headers and trailers, and all else that came with them, are refused with 501.
        digests: Content-MD5 is ignored.
    """

    conditions: Literal["refused", "ignored"] | None = None
    match_of_missing: bool = False
    deletes: bool = False
    versions: bool = False
    checksums: bool = False
    digests: bool = False


R2 = Lacks(deletes=True, versions=True)
"""Cloudflare R2: the page "Conditional operations" lists PutObject, CopyObject and the multipart operations, and no
delete; "S3 API compatibility" has GetBucketVersioning among what is not implemented."""
MINIO = Lacks(deletes=True, match_of_missing=True)
"""MinIO's community edition: minio/minio#21677 (a delete succeeds whatever its If-Match says), and before August 2025
#21526 (a PUT with If-Match succeeds where there is no object)."""
B2 = Lacks(conditions="refused", deletes=True, checksums=True)
"""Backblaze B2: "501 Not Implemented" to conditional writes (lance-format/lance#5614). Its documentation of PutObject
has no checksum but Content-MD5, and its buckets keep versions."""
GARAGE = Lacks(conditions="ignored", match_of_missing=True, deletes=True, versions=True)
"""Garage: the page "S3 compatibility status" says that versioning is missing, and most x-amz- headers; conditional
writes are ignored, as the client livery_s3 found (its change log, 0.2.0)."""
POOREST = Lacks(match_of_missing=True, deletes=True, versions=True, checksums=True)
"""A store that lacks all that can be replaced."""
RCLONE = Lacks(conditions="ignored", match_of_missing=True, deletes=True, checksums=True)
"""`rclone serve s3` 1.75.2: answers 200 to any condition, as tried."""


@dataclass
class S3Request:
    """One request to S3. `headers` has lower-case names; `environ` is the WSGI one, which a rule may change."""

    operation: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    environ: dict[str, Any]


def take_away(request: S3Request, lacks: Lacks) -> None:
    """Makes of a request to S3 one to a store that lacks something, or raises what that would answer.

    Raises:
        Refused: the store does not have what is asked for.
    """
    refused = Refused(501, "NotImplemented", "A header you provided implies functionality that is not implemented.")
    conditions = {"if-match", "if-none-match"} & request.headers.keys()
    if request.operation == "GetBucketVersioning" and lacks.versions:
        raise refused
    if lacks.checksums and any("checksum" in name or name == "x-amz-trailer" for name in request.headers):
        raise refused
    is_write = request.operation in ("PutObject", "CopyObject", "CompleteMultipartUpload")
    if is_write and conditions and lacks.conditions == "refused":
        raise refused
    if lacks.digests and "content-md5" in request.headers:
        request.headers = {name: value for name, value in request.headers.items() if name != "content-md5"}
        del request.environ["HTTP_CONTENT_MD5"]
    ignored = (
        (is_write and lacks.conditions == "ignored")
        or (request.operation == "DeleteObject" and lacks.deletes)
        or ("if-match" in conditions and is_write and lacks.match_of_missing and _existing(request) is None)
    )
    if ignored:
        request.headers = {name: value for name, value in request.headers.items() if name not in conditions}
        for name in conditions:
            del request.environ["HTTP_" + name.upper().replace("-", "_")]


def check(request: S3Request) -> None:
    """Lets a request pass to moto, or raises what S3 would answer instead.

    Raises:
        Refused: S3 would not do this.
    """
    if request.operation in ("PutObject", "UploadPart"):
        _check_payload(request)
    if request.operation in ("PutObject", "CopyObject", "CompleteMultipartUpload"):
        _check_none_match(request)
    if request.operation in ("UploadPart", "UploadPartCopy"):
        _upload(request)
    if request.operation == "CopyObject":
        _check_destination(request)
    elif request.operation == "CompleteMultipartUpload":
        _check_completion(request)
    elif request.operation == "DeleteObject":
        _match_anything(request)


def amend(request: S3Request, status: int, body: bytes, started: dict[str, datetime]) -> bytes:
    """Puts into moto's answer what S3's has. `started` remembers when each multipart upload began, by its id."""
    if status != 200:
        return body
    if request.operation == "CreateMultipartUpload":
        found = re.search(rb"<UploadId>([^<]+)</UploadId>", body)
        if found:
            started[found[1].decode()] = datetime.now(UTC)
    elif request.operation == "ListMultipartUploads":
        # In moto every upload began in 2010: code that ends forgotten uploads by their age would end all of them.
        def began(found: re.Match[bytes]) -> bytes:
            at = started[re.search(rb"<UploadId>([^<]+)<", found[0])[1].decode()]  # type: ignore[index]
            return re.sub(rb"(<Initiated>)[^<]*", rb"\g<1>" + at.strftime("%Y-%m-%dT%H:%M:%S.000Z").encode(), found[0])

        return re.sub(rb"<Upload>.*?</Upload>", began, body, flags=re.DOTALL)
    elif request.operation == "CompleteMultipartUpload":
        # S3's answer has the object's checksum, which moto computes and shows in HeadObject only.
        made = _backend().get_object(request.bucket, request.key)
        if made is not None and made.checksum_algorithm and made.checksum_type and b"<Checksum" not in body:
            value = made.checksum_value
            shown = f"{value}-{made.checksum_parts}" if made.checksum_type == "COMPOSITE" else value
            name = f"Checksum{made.checksum_algorithm.upper()}"
            extra = f"<{name}>{shown}</{name}><ChecksumType>{made.checksum_type}</ChecksumType>"
            return body.replace(b"</CompleteMultipartUpload", extra.encode() + b"</CompleteMultipartUpload")
    return body


def _backend() -> Any:
    return s3_backends[ACCOUNT]["aws"]


def _bucket(request: S3Request) -> Any:
    try:
        return _backend().get_bucket(request.bucket)
    except S3ClientError:
        return None  # moto says that it is missing


def _existing(request: S3Request) -> Any:
    return _backend().get_object(request.bucket, request.key) if _bucket(request) else None


def _upload(request: S3Request) -> Any:
    """The multipart upload that a request names. Where there is none, moto fails with a KeyError and status 500."""
    bucket = _bucket(request)
    if bucket is None:
        return None
    if (upload := bucket.multiparts.get(request.query.get("uploadId"))) is None:
        raise Refused(
            404,
            "NoSuchUpload",
            "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted "
            "or completed.",
        )
    return upload


def _check_payload(request: S3Request) -> None:
    """moto stores whatever checksum a request claims; S3 computes it (User Guide, "Checking object integrity")."""
    data, claimed = _payload(request)
    if given := request.headers.get("content-md5"):
        digest = hashlib.md5(data, usedforsecurity=False).digest()
        if _decoded(given, "InvalidDigest", "The Content-MD5 you specified was invalid.") != digest:
            raise Refused(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
    for name, value in claimed.items():
        _check_one(name, value, data)
        # moto keeps a checksum for HeadObject only if this header names it as well, which SDKs leave out.
        request.environ["HTTP_X_AMZ_SDK_CHECKSUM_ALGORITHM"] = name.upper()
    if request.operation == "UploadPart" and claimed:
        upload = _upload(request)
        wanted = (upload.metadata.get("x-amz-checksum-algorithm") or "").lower() if upload else ""
        if wanted and wanted not in claimed:
            raise Refused(
                400,
                "InvalidRequest",
                f"Checksum Type mismatch occurred, expected checksum Type: {wanted}, actual checksum Type: "
                f"{next(iter(claimed))}",
            )


def _check_one(name: str, value: str, data: bytes) -> None:
    if name in _NOT_OURS:
        raise Refused(501, "NotImplemented", f"This bench cannot verify {name.upper()} checksums.")
    message = f"Value for x-amz-checksum-{name} header is invalid."
    if _decoded(value, "InvalidRequest", message) != ALGORITHMS[name](data):
        raise Refused(400, "BadDigest", f"The {name.upper()} you specified did not match the calculated checksum.")


def _decoded(value: str, code: str, message: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        raise Refused(400, code, message) from None


def _payload(request: S3Request) -> tuple[bytes, dict[str, str]]:
    """The bytes that are meant, out of `aws-chunked` framing where they are framed, and the checksums claimed."""
    headers = dict(request.headers)
    data = request.body
    if headers.get("x-amz-content-sha256", "").startswith("STREAMING-"):
        data, trailers = _unframed(request.body)
        headers |= trailers
    known = (*ALGORITHMS, *_NOT_OURS)
    return data, {name: headers[f"x-amz-checksum-{name}"] for name in known if f"x-amz-checksum-{name}" in headers}


def _unframed(body: bytes) -> tuple[bytes, dict[str, str]]:
    data, at = bytearray(), 0
    while True:
        end = body.find(b"\r\n", at)
        if end < 0:
            raise Refused(400, "IncompleteBody", "The request body terminated unexpectedly.")
        size = int(body[at:end].partition(b";")[0], 16)
        at = end + 2
        if not size:
            break
        data += body[at : at + size]
        at += size + 2
    trailers = (line.partition(":") for line in body[at:].decode("ascii").split("\r\n") if ":" in line)
    return bytes(data), {name.strip().lower(): value.strip() for name, _, value in trailers}


def _check_none_match(request: S3Request) -> None:
    if request.headers.get("if-none-match", "*") != "*":  # moto takes it for no condition at all
        raise Refused(501, "NotImplemented", "A header you provided implies functionality that is not implemented.")


def _check_destination(request: S3Request) -> None:
    """CopyObject takes conditions on its destination (API reference); moto ignores them."""
    existing = _existing(request)
    if request.headers.get("if-none-match") == "*" and existing is not None:
        raise _precondition("If-None-Match")
    _check_match(request, existing)


def _check_match(request: S3Request, existing: Any) -> None:
    if (given := request.headers.get("if-match")) is None:
        return
    if existing is None:
        raise Refused(404, "NoSuchKey", "The specified key does not exist.")
    if given.strip('"') != existing.etag.strip('"'):
        raise _precondition("If-Match")


def _match_anything(request: S3Request) -> None:
    """DeleteObject's `If-Match: *` asks that any object be there (API reference); moto takes `*` for an ETag."""
    if request.headers.get("if-match") == "*" and _existing(request) is not None:
        del request.environ["HTTP_IF_MATCH"]


def _check_completion(request: S3Request) -> None:
    """CompleteMultipartUpload: If-Match, the part and object checksums and the size, none of which moto looks at."""
    existing = _existing(request)
    wanted = request.query.get("uploadId")
    if existing is not None and existing.multipart and existing.multipart.id == wanted:
        return  # completed before: moto answers as it did then, as S3 does
    upload = _upload(request)
    if upload is None:
        return
    _check_match(request, existing)
    algorithm = (upload.metadata.get("x-amz-checksum-algorithm") or "").lower()
    kind = upload.metadata.get("x-amz-checksum-type") or ("COMPOSITE" if algorithm else "FULL_OBJECT")
    if request.headers.get("x-amz-checksum-type", kind) != kind:
        raise Refused(
            400,
            "BadDigest",
            f"The upload was created using the {kind} checksum mode. The complete request must use the same checksum "
            "mode.",
        )
    parts = _listed_parts(request, upload, needed=algorithm if kind == "COMPOSITE" else "")
    size = request.headers.get("x-amz-mp-object-size")
    if size is not None and int(size) != sum(map(len, parts)):
        raise Refused(400, "InvalidRequest", "The provided 'x-amz-mp-object-size' header does not match the object.")
    for name in (*ALGORITHMS, *_NOT_OURS):
        if (value := request.headers.get(f"x-amz-checksum-{name}")) is None:
            continue
        if name != algorithm:
            raise Refused(
                400,
                "InvalidRequest",
                f"Checksum Type mismatch occurred, expected checksum Type: {algorithm or 'null'}, actual checksum "
                f"Type: {name}",
            )
        if kind == "FULL_OBJECT" or name in _NOT_OURS:
            _check_one(name, value, b"".join(parts))
        else:
            _check_one(name, value.partition("-")[0], b"".join(map(ALGORITHMS[name], parts)))


def _listed_parts(request: S3Request, upload: Any, *, needed: str) -> list[bytes]:
    """The bytes of the parts that the request lists; moto says what is wrong with their numbers and ETags."""
    found: list[bytes] = []
    for element in ElementTree.fromstring(request.body).iter():  # noqa: S314 - from a test's own client
        if element.tag.rpartition("}")[2] != "Part":
            continue
        fields = {child.tag.rpartition("}")[2]: child.text or "" for child in element}
        number = int(fields["PartNumber"])
        if number not in upload.parts:
            continue
        data = upload.parts[number].value
        claimed = {
            name: fields[f"Checksum{name.upper()}"] for name in ALGORITHMS if f"Checksum{name.upper()}" in fields
        }
        for name, value in claimed.items():
            if base64.b64encode(ALGORITHMS[name](data)).decode() != value:
                raise Refused(
                    400,
                    "InvalidPart",
                    "One or more of the specified parts could not be found. The part may not have been uploaded, or "
                    "the specified entity tag may not match the part's entity tag.",
                )
        if needed and needed not in claimed and needed not in _NOT_OURS:
            raise Refused(
                400,
                "InvalidRequest",
                f"The upload was created using a {needed} checksum. The complete request must include the checksum "
                f"for each part. It was missing for part {number} in the request.",
            )
        found.append(data)
    return found


def _precondition(condition: str) -> Refused:
    return Refused(
        412, "PreconditionFailed", f"At least one of the pre-conditions you specified did not hold: {condition}"
    )
