"""The judge of requests and policies itself."""

from typing import Any

import pytest

from ncaa_assets_tests.loopback.aws import Call
from ncaa_assets_tests.loopback.permissions import Need, Place, allows, needed, refused
from ncaa_assets_tests.loopback.s3_rules import ACCOUNT

ECS = f"arn:aws:ecs:us-east-1:{ACCOUNT}"
CLUSTER = f"{ECS}:cluster/main"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/run"
PLACE = Place(
    bucket="clips", cluster="main", log_group="/ecs/main", passes={"run": [ROLE]}, secrets={"key": "arn:aws:s"}
)


def statement(action: str | list[str], resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def call(service: str, operation: str, key: str = "") -> Call:
    return Call(service, operation, key, 1)


@pytest.mark.parametrize(
    ("statements", "is_allowed"),
    [
        ([], False),
        ([statement("s3:GetObject", "arn:aws:s3:::clips/*")], True),
        ([statement("s3:getobject", "arn:aws:s3:::clips/*")], True),
        ([statement(["s3:PutObject", "s3:Get*"], ["arn:aws:s3:::others/*", "arn:aws:s3:::clips/videos/?.mp4"])], True),
        ([statement("s3:GetObject", "arn:aws:s3:::clips")], False),
        ([statement("s3:GetObject", "arn:aws:s3:::clips/videos/[1].mp4")], False),
        ([statement("s3:GetObject", "arn.aws.s3...clips/*")], False),
        ([statement("s3:PutObject", "*")], False),
        ([statement("s3:*"), statement("s3:GetObject", Effect="Deny")], False),
        ([statement("s3:*"), statement("s3:DeleteObject", Effect="Deny")], True),
    ],
)
def test_a_policy_allows_what_one_statement_allows_and_none_denies(
    statements: list[dict[str, Any]], is_allowed: bool
) -> None:
    assert allows(statements, "s3:GetObject", "arn:aws:s3:::clips/videos/1.mp4") is is_allowed


def test_an_action_without_a_resource_is_allowed_by_a_star_alone() -> None:
    assert allows([statement("ecs:DescribeTaskDefinition")], "ecs:DescribeTaskDefinition", "*")
    assert not allows([statement("ecs:DescribeTaskDefinition", f"{ECS}:*")], "ecs:DescribeTaskDefinition", "*")


@pytest.mark.parametrize(
    ("condition", "is_allowed"),
    [
        ({"ArnEquals": {"ecs:cluster": CLUSTER}}, True),
        ({"ArnLike": {"ecs:cluster": f"{ECS}:cluster/*"}}, True),
        ({"StringEquals": {"ecs:cluster": ["another", CLUSTER]}}, True),
        ({"StringEquals": {"ecs:cluster": f"{ECS}:cluster/*"}}, False),
        ({"ArnEquals": {"ecs:cluster": f"{ECS}:cluster/another"}}, False),
        ({"ArnEquals": {"ecs:cluster": CLUSTER}, "StringEquals": {"aws:nobody": "knows"}}, False),
    ],
)
def test_a_condition_holds_where_the_request_says_so(condition: dict[str, Any], is_allowed: bool) -> None:
    (need,) = needed(call("ecs", "StopTask", "main"), PLACE)
    assert (
        allows([statement("ecs:StopTask", Condition=condition)], need.action, need.resource, need.context) is is_allowed
    )


@pytest.mark.parametrize("more", [{"Condition": {"Bool": {"aws:SecureTransport": "true"}}}, {"NotResource": "*"}])
def test_what_is_not_judged_here_is_an_error(more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"is not in permissions\.py"):
        allows([statement("s3:GetObject", **more)], "s3:GetObject", "*")


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (call("s3", "HeadObject", "videos/1.mp4"), [("s3:GetObject", "arn:aws:s3:::clips/videos/1.mp4")]),
        (call("s3", "UploadPart", "videos/1.mp4"), [("s3:PutObject", "arn:aws:s3:::clips/videos/1.mp4")]),
        (call("s3", "ListObjectsV2", "clips"), [("s3:ListBucket", "arn:aws:s3:::clips")]),
        (
            call("dynamodb", "Query", "T"),
            [("dynamodb:Query", f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/T/index/by_game_date")],
        ),
        (call("dynamodb", "PutItem", "T"), [("dynamodb:PutItem", f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/T")]),
        (
            call("ecs", "RunTask", "run"),
            [
                ("ecs:RunTask", f"{ECS}:task-definition/run:1"),
                ("ecs:TagResource", f"{ECS}:task/main/some"),
                ("iam:PassRole", ROLE),
            ],
        ),
        (call("ecs", "DescribeTaskDefinition", "run"), [("ecs:DescribeTaskDefinition", "*")]),
        (call("ec2", "DescribeNetworkInterfaces"), [("ec2:DescribeNetworkInterfaces", "*")]),
        (
            call("logs", "GetLogEvents"),
            [("logs:GetLogEvents", f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/ecs/main:log-stream:some")],
        ),
        (call("ecr", "GetAuthorizationToken"), [("ecr:GetAuthorizationToken", "*")]),
        (call("secretsmanager", "GetSecretValue", "key"), [("secretsmanager:GetSecretValue", "arn:aws:s")]),
        (call("sns", "Publish", "arn:aws:sns:t"), [("sns:Publish", "arn:aws:sns:t")]),
        (call("iam", "GetRole", "run"), [("iam:GetRole", ROLE)]),
        (call("sts", "GetCallerIdentity"), []),
        (
            call("mediaconvert", "GetJob", "7"),
            [("mediaconvert:GetJob", f"arn:aws:mediaconvert:us-east-1:{ACCOUNT}:jobs/7")],
        ),
    ],
)
def test_a_request_takes_these_permissions(asked: Call, wanted: list[tuple[str, str]]) -> None:
    assert [(need.action, need.resource) for need in needed(asked, PLACE)] == wanted


def test_a_job_takes_its_role_with_it() -> None:
    place = Place(mediaconvert_role="arn:role", queue="fast")
    assert needed(call("mediaconvert", "CreateJob", "s3://in"), place) == [
        Need("mediaconvert:CreateJob", f"arn:aws:mediaconvert:us-east-1:{ACCOUNT}:queues/fast"),
        Need("iam:PassRole", "arn:role", {"iam:PassedToService": "mediaconvert.amazonaws.com"}),
    ]


@pytest.mark.parametrize(
    "unknown",
    [
        call("s3", "PutBucketPolicy"), call("ecs", "CreateCluster"), call("kms", "Decrypt"),
        call("ec2", "RunInstances"), call("logs", "DeleteLogGroup"), call("ecs", "RunTask", "another"),
        call("secretsmanager", "GetSecretValue", "another"),
    ],
)  # fmt: skip
def test_a_request_that_is_not_known_is_an_error_and_passes_nowhere(unknown: Call) -> None:
    with pytest.raises(LookupError, match=f"{unknown.service} {unknown.operation}"):
        needed(unknown, PLACE)


def test_what_is_refused_is_told() -> None:
    asked = [call("s3", "GetObject", "a"), call("s3", "PutObject", "a"), call("s3", "GetObject", "b")]
    assert refused([statement("s3:GetObject", "arn:aws:s3:::clips/a")], asked, PLACE) == {
        ("s3:PutObject", "arn:aws:s3:::clips/a"),
        ("s3:GetObject", "arn:aws:s3:::clips/b"),
    }
