"""The commands of docs/aws.md for bucket, table and role, run as they stand there on an empty account."""

import os
import re
import subprocess
from pathlib import Path

import pytest

import ncaa_assets
from ncaa_assets_tests.days import command
from ncaa_assets_tests.loopback import aws_cli
from ncaa_assets_tests.loopback.aws import Cloud
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
    role = done.stdout.split()[-1]

    s3, table = cloud.client("s3"), cloud.client("dynamodb")
    bucket = "my-highlights"
    assert "aws:SecureTransport" in s3.get_bucket_policy(Bucket=bucket)["Policy"]
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    backups = table.describe_continuous_backups(TableName="SportsHighlights")["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"

    s3.delete_bucket_policy(Bucket=bucket)  # here is no TLS
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


def test_the_bucket_forgets_what_the_one_of_terraform_forgets() -> None:
    (rules,) = re.findall(r"short_lived = \{(.*)\}", (PROJECT / "terraform" / "s3.tf").read_text("utf-8"))
    theirs = {prefix: int(days) for prefix, days in re.findall(r'"([^"]+)" = (\d+)', rules)}
    assert theirs
    ours = re.findall(r'\{"Prefix": "([^"]+)"\}.*?"NoncurrentDays": (\d+)', PART, re.DOTALL)
    assert {prefix: int(days) for prefix, days in ours} == theirs
