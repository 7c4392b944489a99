"""Which AWS region a command works in: each way to name one, given to a real process that looks for a table."""

from pathlib import Path

import pytest

from ncaa_assets_tests.days import command
from ncaa_assets_tests.loopback.aws import Cloud

pytestmark = pytest.mark.slow  # each command takes seconds

BUCKET, TABLE = "highlights", "SportsHighlights"
HERE, ELSEWHERE = "us-east-1", "eu-west-1"
GIVEN = {
    "NCAA_DEPLOYMENT": "aws", "S3_BUCKET_NAME": BUCKET, "ENCODE": "never", "RAPIDAPI_KEY": "a-key", "RETRY_DELAY": "0",
    "API_URL": "http://127.0.0.1:9/highlights", "AWS_REGION": "",
}  # fmt: skip


@pytest.fixture
def account(cloud: Cloud) -> Cloud:
    """The bucket and the table are in one region only."""
    cloud.make_bucket(BUCKET)
    cloud.make_table(TABLE)
    return cloud


def lines(said: str) -> dict[str, str]:
    """What the doctor says of each thing."""
    return {parts[1]: " ".join(parts[2:]) for line in said.splitlines() if len(parts := line.split()) > 2}


@pytest.mark.parametrize(
    "given",
    [
        {"AWS_REGION": HERE},
        {"AWS_REGION": f" {HERE} "},
        {"AWS_DEFAULT_REGION": HERE},
        {"AWS_REGION": HERE, "AWS_DEFAULT_REGION": ELSEWHERE},
        {"AWS_REGION": "", "AWS_DEFAULT_REGION": HERE},
        {"profile": HERE},
        {"profile": HERE, "AWS_DEFAULT_REGION": ""},
        {"profile": ELSEWHERE, "AWS_REGION": HERE},
        {"profile": ELSEWHERE, "AWS_DEFAULT_REGION": HERE},
        {".env": HERE},
        {".env": HERE, "AWS_REGION": ELSEWHERE, "AWS_DEFAULT_REGION": ELSEWHERE},
    ],
    ids=str,
)
def test_every_client_works_in_the_region_that_is_named(account: Cloud, given: dict[str, str], tmp_path: Path) -> None:
    environment = dict(given)
    if region := environment.pop("profile", None):
        (tmp_path / "config").write_text(f"[profile mine]\nregion = {region}\n")
        environment |= {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_PROFILE": "mine"}
    if region := environment.pop(".env", None):
        (tmp_path / ".env").write_text(f"AWS_REGION={region}\n")
    said = lines(command("doctor", **{**GIVEN, **environment}).stdout)
    assert said["credentials"].endswith(f" in {HERE}")
    assert said["bucket"] == f"s3://{BUCKET}/ can be written, read and deleted in, and keeps versions"
    assert said["table"] == f"{TABLE} in {HERE} can be read and written, with its index by_game_date"


def test_no_region_and_a_wrong_one_are_told_with_what_helps(account: Cloud) -> None:
    none = command("doctor", **GIVEN)
    assert none.returncode == 1
    assert lines(none.stdout)["credentials"] == "no AWS region is set; set AWS_REGION to the one that the archive is in"
    odd = command("doctor", **{**GIVEN, "AWS_REGION": "us east 1"})
    assert "set AWS_REGION to a region such as us-east-1" in lines(odd.stdout)["credentials"]
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        wrong = lines(command("doctor", **{**GIVEN, name: ELSEWHERE}).stdout)
        assert wrong["bucket"] == (
            f"the bucket {BUCKET} is in {HERE}, and the region here is {ELSEWHERE}; set AWS_REGION={HERE}"
        )
    followed = lines(command("doctor", **{**GIVEN, "AWS_DEFAULT_REGION": ELSEWHERE, "AWS_REGION": HERE}).stdout)
    assert followed["bucket"].endswith("keeps versions")
