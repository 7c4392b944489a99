"""Which permissions Terraform's requests need, for the policy of whoever deploys (terraform/deployer-policy.json).

As permissions.py, by the Service Authorization Reference. Of most requests a `Call` does not hold what they are about;
then it is taken to be something of the project, in the place where the service keeps it.
"""

from collections.abc import Iterable

from ncaa_assets_tests.loopback.aws import Call
from ncaa_assets_tests.loopback.permissions import SOME, Need, Place

# Where the permission has another name than the request.
_S3 = {
    "HeadBucket": "ListBucket", "ListObjectsV2": "ListBucket", "ListObjectVersions": "ListBucketVersions",
    "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration", "GetBucketCors": "GetBucketCORS",
    "GetBucketEncryption": "GetEncryptionConfiguration", "PutBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketEncryption": "PutEncryptionConfiguration", "GetBucketReplication": "GetReplicationConfiguration",
    "GetBucketLifecycle": "GetLifecycleConfiguration", "PutBucketLifecycle": "PutLifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock", "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
}  # fmt: skip

# What takes no resource, or looks at all of them.
_OF_NOTHING = {
    "cloudwatch:DescribeAlarms", "ecs:CreateCluster", "ecs:DescribeTaskDefinition",
    "ecs:RegisterTaskDefinition", "iam:ListRoles", "logs:DescribeLogGroups", "sns:GetSubscriptionAttributes",
    "sns:Unsubscribe", "tag:GetResources",
}  # fmt: skip

# What AWS asks for besides, because the provider tags what it makes.
_TAGGING = {
    "cloudwatch:PutMetricAlarm": "cloudwatch:TagResource", "dynamodb:CreateTable": "dynamodb:TagResource",
    "ecr:CreateRepository": "ecr:TagResource", "ecs:CreateCluster": "ecs:TagResource",
    "ecs:CreateService": "ecs:TagResource", "ecs:RegisterTaskDefinition": "ecs:TagResource",
    "events:PutRule": "events:TagResource", "iam:CreateRole": "iam:TagRole", "logs:CreateLogGroup": "logs:TagResource",
    "secretsmanager:CreateSecret": "secretsmanager:TagResource", "sns:CreateTopic": "sns:TagResource",
    "sqs:CreateQueue": "sqs:TagQueue", **{
        f"rds:CreateDB{kind}": "rds:AddTagsToResource" for kind in ("Instance", "Cluster", "SubnetGroup")
    },
}  # fmt: skip
_PASSING = {
    "ecs:RegisterTaskDefinition": "ecs-tasks.amazonaws.com",
    "scheduler:CreateSchedule": "scheduler.amazonaws.com",
    "scheduler:UpdateSchedule": "scheduler.amazonaws.com",
}


def needs(calls: Iterable[Call], place: Place, project: str) -> set[Need]:
    """Every permission that Terraform's requests for a project need."""
    found: set[Need] = set()
    context = {"aws:RequestedRegion": place.region}
    for call in calls:
        for action in _actions(call):
            found.add(Need(action, _resource(call, action, place, project), context))
            if tagging := _TAGGING.get(action):
                found.add(Need(tagging, _resource(call, tagging, place, project), context))
            if service := _PASSING.get(action):
                role = f"arn:aws:iam::{place.account}:role/{project}-{place.region}-execution"
                found.add(Need("iam:PassRole", role, {"iam:PassedToService": service}))
    return found


def _actions(call: Call) -> list[str]:
    if call.service == "sts":
        return []  # anybody may ask who he is
    if call.operation == "DeleteObjects":
        return ["s3:DeleteObject", "s3:DeleteObjectVersion"]
    if call.service == "s3":
        return [f"s3:{_S3.get(call.operation, call.operation)}"]
    return [f"{'tag' if call.service == 'tagging' else call.service}:{call.operation}"]


def _resource(call: Call, action: str, place: Place, project: str) -> str:
    """The ARN of what a request is about, or `*`."""
    if action in _OF_NOTHING or (":Describe" in action and call.service in ("ec2", "rds")):
        return "*"
    match call.service:
        case "s3":
            return f"arn:aws:s3:::{place.bucket}" + (f"/{SOME}" if "DeleteObject" in action else "")
        case "iam":
            return f"arn:aws:iam::{place.account}:role/{call.key or f'{project}-{SOME}'}"
        case "ec2":
            return place.arn("ec2", f"{SOME}/{SOME}")
        case "dynamodb":
            return place.arn("dynamodb", f"table/{call.key or 'SportsHighlights'}")
        case "secretsmanager" if call.key.startswith("arn:"):
            return call.key
        case "secretsmanager":
            return place.arn("secretsmanager", f"secret:{call.key}-AbCdEf")
        case "ecs" if "Service" in call.operation:
            return place.arn("ecs", f"service/{project}/{project}-dagster")
        case "ecs" if "TaskDefinition" in call.operation:
            return place.arn("ecs", f"task-definition/{project}-{SOME}:1")
        case "rds" if "SubnetGroup" in action:
            return place.arn("rds", f"subgrp:{project}")
        case service:
            rest = {
                "cloudwatch": f"alarm:{project}-{SOME}", "ecr": f"repository/{project}", "ecs": f"cluster/{project}",
                "events": f"rule/{project}-{SOME}", "logs": f"log-group:/ecs/{project}:*", "rds": f"db:{project}",
                "scheduler": f"schedule/default/{project}-{SOME}", "sns": f"{project}-alerts",
                "sqs": f"{project}-not-started",
            }[service]  # fmt: skip
            return place.arn(service, rest)
