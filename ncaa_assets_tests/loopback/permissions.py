"""IAM: which permissions a request to AWS needs, and whether a policy grants them. It has the part of IAM's evaluation
that the policies in terraform/ use.

Pure functions over the `Call`s of aws.py. The Service Authorization Reference
(https://docs.aws.amazon.com/service-authorization/latest/reference/) says which permission an operation needs and on
which resource. An operation that is not listed here is an error, so that none goes unchecked.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ncaa_assets_tests.loopback.aws import Call
from ncaa_assets_tests.loopback.mediaconvert import REGION
from ncaa_assets_tests.loopback.s3_rules import ACCOUNT

# Stands in a resource's name for what a `Call` does not hold: a task's id, a log stream.
SOME = "some"


@dataclass(frozen=True)
class Need:
    """One permission that a request needs: the action, its resource ("*" if the action takes none), and the condition
    keys that IAM knows, with their values."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Place:
    """Facts of a deployment that its requests do not carry.

    Attributes:
        bucket: the bucket of all objects, because the `Call` of an object holds its key alone.
        cluster: the name of the ECS cluster.
        log_group: the name of the log group of its tasks.
        passes: for each task definition's family the ARNs of the roles that a task of it is given.
        mediaconvert_role: the ARN of the role that a job is given.
        queue: the name of the MediaConvert queue that jobs are put in.
        secrets: the ARN of each secret that requests call by its name.
    """

    bucket: str = ""
    cluster: str = ""
    log_group: str = ""
    passes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    mediaconvert_role: str = ""
    queue: str = "Default"
    secrets: Mapping[str, str] = field(default_factory=dict)
    account: str = ACCOUNT
    region: str = REGION

    def arn(self, service: str, rest: str) -> str:
        """The ARN of something of this account and region."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{rest}"


# ---- What a request takes -------------------------------------------------------------------------------------------

# Operations on an object: the permission on its key.
_OF_OBJECTS = {
    "GetObject": "GetObject", "HeadObject": "GetObject", "PutObject": "PutObject", "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject", "CompleteMultipartUpload": "PutObject", "CopyObject": "PutObject",
    "UploadPartCopy": "PutObject", "DeleteObject": "DeleteObject", "AbortMultipartUpload": "AbortMultipartUpload",
    "ListParts": "ListMultipartUploadParts",
}  # fmt: skip
# Operations on the bucket.
_OF_BUCKETS = {
    "HeadBucket": "ListBucket", "ListObjectsV2": "ListBucket", "ListObjects": "ListBucket",
    "ListMultipartUploads": "ListBucketMultipartUploads", "ListObjectVersions": "ListBucketVersions",
    "GetBucketVersioning": "GetBucketVersioning", "GetBucketLocation": "GetBucketLocation",
}  # fmt: skip


def needed(call: Call, place: Place) -> list[Need]:
    """Every permission that a request needs; none for a request that AWS grants to anybody (sts:GetCallerIdentity).

    Raises:
        LookupError: the operation is not known here, or what it names is not in `place`.
    """
    try:
        return _NEEDED[call.service](call, place)
    except KeyError:
        raise LookupError(
            f"permissions.py does not know what {call.service} {call.operation} takes, or Place nothing of {call.key!r}"
        ) from None


def _s3(call: Call, place: Place) -> list[Need]:
    if call.operation in _OF_OBJECTS:
        return [Need(f"s3:{_OF_OBJECTS[call.operation]}", f"arn:aws:s3:::{place.bucket}/{call.key}")]
    return [Need(f"s3:{_OF_BUCKETS[call.operation]}", f"arn:aws:s3:::{place.bucket}")]


def _dynamodb(call: Call, place: Place) -> list[Need]:
    index = {"Query": "/index/by_game_date"}.get(call.operation, "")
    tables = [place.arn("dynamodb", f"table/{table}{index}") for table in call.key.split(",")]
    return [Need(f"dynamodb:{call.operation}", table) for table in tables]


def _mediaconvert(call: Call, place: Place) -> list[Need]:
    own = f"mediaconvert:{call.operation}"
    queue = place.arn("mediaconvert", f"queues/{place.queue}")
    match call.operation:
        case "CreateJob":
            passed = {"iam:PassedToService": "mediaconvert.amazonaws.com"}
            return [Need(own, queue), Need("iam:PassRole", place.mediaconvert_role, passed)]
        case "GetQueue":
            return [Need(own, queue)]
        case "GetJob":
            return [Need(own, place.arn("mediaconvert", f"jobs/{call.key}"))]
        case "ListJobs" | "SearchJobs" | "DescribeEndpoints":
            return [Need(own, "*")]
    raise KeyError(call.operation)


def _ecs(call: Call, place: Place) -> list[Need]:
    own = f"ecs:{call.operation}"
    in_cluster = {"ecs:cluster": place.arn("ecs", f"cluster/{place.cluster}")}
    task = place.arn("ecs", f"task/{place.cluster}/{SOME}")
    match call.operation:
        case "RunTask":
            # A family without a number means its newest revision, whose number AWS looks up.
            named = call.key.rpartition("/")[2]
            family, _, revision = named.partition(":")
            definition = place.arn("ecs", f"task-definition/{family}:{revision or 1}")
            passed = {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
            return [
                Need(own, definition, in_cluster),
                Need("ecs:TagResource", task, {"ecs:CreateAction": "RunTask"}),
                *(Need("iam:PassRole", role, passed) for role in place.passes[family]),
            ]
        case "DescribeTasks" | "StopTask":
            return [Need(own, task, in_cluster)]
        case "DescribeTaskDefinition":
            return [Need(own, "*")]
    raise KeyError(call.operation)


def _logs(call: Call, place: Place) -> list[Need]:
    stream = place.arn("logs", f"log-group:{place.log_group}:log-stream:{SOME}")
    if call.operation not in ("GetLogEvents", "CreateLogStream", "PutLogEvents"):
        raise KeyError(call.operation)
    return [Need(f"logs:{call.operation}", stream)]


def _ecr(call: Call, place: Place) -> list[Need]:
    own = f"ecr:{call.operation}"
    if call.operation == "GetAuthorizationToken":
        return [Need(own, "*")]
    return [Need(own, place.arn("ecr", f"repository/{call.key}"))]


def _secrets(call: Call, place: Place) -> list[Need]:
    arn = call.key if call.key.startswith("arn:") else place.secrets[call.key]
    return [Need(f"secretsmanager:{call.operation}", arn)]


_NEEDED: dict[str, Callable[[Call, Place], list[Need]]] = {
    "s3": _s3,
    "dynamodb": _dynamodb,
    "mediaconvert": _mediaconvert,
    "ecs": _ecs,
    "ec2": lambda call, place: [
        {"DescribeNetworkInterfaces": Need("ec2:DescribeNetworkInterfaces", "*")}[call.operation]
    ],
    "logs": _logs,
    "ecr": _ecr,
    "secretsmanager": _secrets,
    "sns": lambda call, place: [Need(f"sns:{call.operation}", call.key)],
    "sqs": lambda call, place: [Need(f"sqs:{call.operation}", place.arn("sqs", call.key.rpartition("/")[2]))],
    "iam": lambda call, place: [Need(f"iam:{call.operation}", f"arn:aws:iam::{place.account}:role/{call.key}")],
    # "No permissions are required to perform this operation" (API reference of STS, GetCallerIdentity).
    "sts": lambda call, place: {"GetCallerIdentity": list[Need]()}[call.operation],
}


# ---- What a policy allows -------------------------------------------------------------------------------------------


def allows(
    statements: Iterable[Mapping[str, Any]],
    action: str,
    resource: str,
    context: Mapping[str, str] | None = None,
) -> bool:
    """Whether a policy's statements allow an action on a resource: one of them does, and none denies it.

    A condition on a key that `context` lacks does not hold, as in IAM.

    Raises:
        ValueError: a statement uses what is not judged here: NotAction, NotResource, or another condition.
    """
    effects = {one["Effect"] for one in statements if _speaks_of(one, action, resource, context or {})}
    return effects == {"Allow"}


def refused(statements: Sequence[Mapping[str, Any]], calls: Iterable[Call], place: Place) -> set[tuple[str, str]]:
    """Of what the requests take, the actions and resources that a policy's statements do not allow."""
    return {
        (need.action, need.resource)
        for call in calls
        for need in needed(call, place)
        if not allows(statements, need.action, need.resource, need.context)
    }


def actions(statements: Iterable[Mapping[str, Any]]) -> set[str]:
    """Every action that the statements name."""
    return {action for one in statements for action in many(one["Action"])}


def many(value: str | list[str]) -> list[str]:
    """A policy's text or list of texts, as a list."""
    return [value] if isinstance(value, str) else value


def _speaks_of(statement: Mapping[str, Any], action: str, resource: str, context: Mapping[str, str]) -> bool:
    unknown = set(statement) - {"Sid", "Effect", "Action", "Resource", "Condition"}
    if unknown:
        raise ValueError(f"what {', '.join(sorted(unknown))} means in a policy is not in permissions.py")
    return (
        any(_like(one.lower(), action.lower()) for one in many(statement["Action"]))
        and any(_like(one, resource) for one in many(statement["Resource"]))
        and _holds(statement.get("Condition", {}), context)
    )


def _holds(condition: Mapping[str, Mapping[str, str | list[str]]], context: Mapping[str, str]) -> bool:
    """All operators and all keys must hold; of a key's values one."""
    compare: dict[str, Callable[[str, str], bool]] = {
        "StringEquals": str.__eq__,
        # Both take wildcards ("Amazon Resource Name (ARN) condition operators", IAM user guide).
        "ArnEquals": _like,
        "ArnLike": _like,
    }
    for operator, keys in condition.items():
        if operator not in compare:
            raise ValueError(f"what the condition {operator} means is not in permissions.py")
        for key, wanted in keys.items():
            if key not in context or not any(compare[operator](one, context[key]) for one in many(wanted)):
                return False
    return True


def _like(pattern: str, text: str) -> bool:
    """IAM's wildcards: `*` is any text, also with `/` and `:` in it, and `?` any one character."""
    escaped = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(escaped, text, re.DOTALL) is not None
