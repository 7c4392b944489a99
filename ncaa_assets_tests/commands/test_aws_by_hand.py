"""The commands of docs/aws.md for bucket, table, role and policy, run as they stand there on an empty account."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

import ncaa_assets
from ncaa_assets_tests.days import command
from ncaa_assets_tests.loopback import aws_cli
from ncaa_assets_tests.loopback.aws import Cloud
from ncaa_assets_tests.loopback.permissions import Place, actions, refused
from ncaa_assets_tests.loopback.s3_rules import ACCOUNT

pytestmark = pytest.mark.slow

PROJECT = Path(ncaa_assets.__file__).parents[1]
PAGE = (PROJECT / "docs" / "aws.md").read_text("utf-8")
PART = PAGE[PAGE.index("## Bucket, table and role") : PAGE.index("## The encoder")]
COMMANDS = "\n".join(re.findall(r"^```sh\n(.*?)^```", PART, re.MULTILINE | re.DOTALL))


def test_the_commands_make_all_that_a_backup_needs(cloud: Cloud, tmp_path: Path) -> None:
    aws_cli.install(tmp_path)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euc", COMMANDS], env=environment, cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    role, policy_arn = done.stdout.split()[-2:]

    s3, table = cloud.client("s3"), cloud.client("dynamodb")
    bucket = "my-highlights"
    assert "aws:SecureTransport" in s3.get_bucket_policy(Bucket=bucket)["Policy"]
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    backups = table.describe_continuous_backups(TableName="SportsHighlights")["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"

    s3.delete_bucket_policy(Bucket=bucket)  # here is no TLS
    cloud.calls.clear()
    said = command(
        "doctor", NCAA_DEPLOYMENT="aws", S3_BUCKET_NAME=bucket, MEDIACONVERT_ROLE_ARN=role, RAPIDAPI_KEY="a-key",
        API_URL="http://127.0.0.1:9/highlights", RETRY_DELAY="0",
    ).stdout  # fmt: skip
    assert "s3://my-highlights/ can be written, read and deleted in, and keeps versions" in said
    assert "with its index by_game_date" in said
    assert f"role         {role.rpartition('/')[2]} exists, and MediaConvert may use it" in said
    policy = cloud.client("iam").get_role_policy(RoleName="my-mediaconvert-role", PolicyName="encode")["PolicyDocument"]
    assert [one["Resource"] for one in policy["Statement"]] == [
        f"arn:aws:s3:::{bucket}/{folder}/*" for folder in ("videos", "processed_videos")
    ]
    assert role == f"arn:aws:iam::{ACCOUNT}:role/my-mediaconvert-role"

    made = cloud.client("iam").get_policy_version(PolicyArn=policy_arn, VersionId="v1")["PolicyVersion"]["Document"]
    statements = (made if isinstance(made, dict) else json.loads(made))["Statement"]
    assert len(cloud.calls) > 5
    dispensable = {("s3:ListBucketVersions", f"arn:aws:s3:::{bucket}")}  # for the doctor's forecast, which does without
    assert refused(statements, cloud.calls, Place(bucket=bucket, mediaconvert_role=role)) == dispensable
    of_alerts = {"sns:ListSubscriptionsByTopic"}  # there is no topic
    assert actions(statements) == _actions_of_a_run() - of_alerts


def _actions_of_a_run() -> set[str]:
    """What Terraform lets a run do."""
    text = (PROJECT / "terraform" / "iam.tf").read_text("utf-8")
    (run,) = re.findall(r'^resource "aws_iam_role_policy" "run" \{\n(.*?)^\}', text, re.MULTILINE | re.DOTALL)
    return {"s3:ListBucket", *re.findall(r'"([a-z0-9]+:[A-Z]\w+)"(?! =)', run)}


def test_the_bucket_forgets_what_the_one_of_terraform_forgets() -> None:
    (rules,) = re.findall(r"short_lived = \{(.*)\}", (PROJECT / "terraform" / "s3.tf").read_text("utf-8"))
    theirs = {prefix: int(days) for prefix, days in re.findall(r'"([^"]+)" = (\d+)', rules)}
    assert theirs
    ours = re.findall(r'\{"Prefix": "([^"]+)"\}.*?"NoncurrentDays": (\d+)', PART, re.DOTALL)
    assert {prefix: int(days) for prefix, days in ours} == theirs
