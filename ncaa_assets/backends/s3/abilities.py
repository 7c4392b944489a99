"""What a store of S3's protocol can do, found by trying it: an object is written under `.probe/` and removed again.

Documentation does not tell. A store may answer 200 and do what was asked without a look at the condition: then two runs
would write over each other's work, and neither would hear of it. So each condition is tried where it must not hold.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from ncaa_assets.backends.aws.boto import code_of
from ncaa_assets.backends.aws.s3 import CONFLICT, MISSING

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

# What stores answer to a header or an operation that they do not have.
_NOT_HAD = {
    "NotImplemented",
    "InvalidArgument",
    "InvalidRequest",
    "BadRequest",
    "400",
    "405",
    "501",
    "MethodNotAllowed",
}
_DAMAGED = {"BadDigest", "InvalidDigest", "InvalidRequest", "400"}
_NO_DIGEST = "AAAAAAAAAAAAAAAAAAAAAA=="
_NO_VERSION = '"00000000000000000000000000000000"'
_BODY = b'{"probe": "of ncaa-assets; may be deleted"}\n'


@dataclass(frozen=True)
class Abilities:
    """What a store can do.

    Attributes:
        lacks: the conditions of a write that it does not keep; nothing replaces them, so no backup may go there.
        refuses_missing: whether a write that expects a version is refused where there is no object at all.
        deletes_conditionally: whether a delete can expect a version.
        keeps_versions: whether the bucket keeps earlier versions of its objects.
        verifies: whether what arrives damaged, by the MD5 that it is sent with, is refused.
    """

    lacks: tuple[str, ...]
    refuses_missing: bool
    deletes_conditionally: bool
    keeps_versions: bool
    verifies: bool


def find_abilities(client: "S3Client", bucket: str, prefix: str) -> Abilities:
    """Tries what the store can do, below `prefix` in the bucket, and leaves nothing there.

    Raises:
        ClientError, BotoCoreError: the store could not be asked.
    """
    name = f"{prefix}.probe/{uuid4().hex}"
    where: dict[str, Any] = {"Bucket": bucket, "Key": name}
    keeps_versions = _keeps_versions(client, bucket)

    def put(**condition: Any) -> Callable[[], object]:
        return lambda: client.put_object(**where, Body=_BODY, **condition)

    def delete(**condition: Any) -> Callable[[], object]:
        return lambda: client.delete_object(**where, **condition)

    with _removed(client, bucket, name, keeps_versions=keeps_versions):
        # The first write that must come to pass needs no condition: one that the store does not have would end it.
        refuses_missing = _refuses(put(IfMatch=_NO_VERSION))
        put()()
        lacks = [] if _refuses(put(IfNoneMatch="*")) else ["If-None-Match"]
        version = client.head_object(**where)["ETag"]
        if not _refuses(put(IfMatch=_NO_VERSION)) or _refuses(put(IfMatch=version)):
            lacks.append("If-Match")
        verifies = _refuses(put(ContentMD5=_NO_DIGEST), _DAMAGED)
        _refuses(delete(IfMatch=_NO_VERSION))
        deletes_conditionally = _is_there(client, where)
        if deletes_conditionally:
            version = client.head_object(**where)["ETag"]
            _refuses(delete(IfMatch=version))
            deletes_conditionally = not _is_there(client, where)
    return Abilities(
        lacks=tuple(lacks),
        refuses_missing=refuses_missing,
        deletes_conditionally=deletes_conditionally,
        keeps_versions=keeps_versions,
        verifies=verifies,
    )


def _refuses(act: Callable[[], object], codes: Collection[str] = CONFLICT) -> bool:
    """Whether the store finds that a request's condition does not hold, which these codes say. False where it does what
    was asked, or does not have such a condition."""
    try:
        act()
    except ClientError as error:
        if code_of(error) in codes:
            return True
        if code_of(error) in _NOT_HAD:
            return False
        raise
    return False


def _is_there(client: "S3Client", where: dict[str, Any]) -> bool:
    try:
        client.head_object(**where)
    except ClientError as error:
        if code_of(error) in MISSING:
            return False
        raise
    return True


def _keeps_versions(client: "S3Client", bucket: str) -> bool:
    """Whether the bucket keeps versions; not, where that is not known."""
    try:
        return client.get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled"
    except ClientError:
        return False


@contextmanager
def _removed(client: "S3Client", bucket: str, name: str, *, keeps_versions: bool) -> Iterator[None]:
    """Removes the probe at the end, with its versions where the credentials may do that, whatever happens."""
    try:
        yield
    finally:
        with suppress(ClientError, BotoCoreError):  # what ended the probe is told, and the next one fails alike
            client.delete_object(Bucket=bucket, Key=name)
            if keeps_versions:
                listed = client.list_object_versions(Bucket=bucket, Prefix=name)
                for version in [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]:
                    client.delete_object(Bucket=bucket, Key=name, VersionId=version["VersionId"])
