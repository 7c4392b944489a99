"""How trouble reaches a person: the topic, the alarms and the rules of terraform/, applied on moto, with a person who
clicks.

No more is made than alerts need, which takes seconds. Two deployments lie beside each other in the account.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ncaa_assets.backends.aws.mediaconvert import MediaConvertTranscoder
from ncaa_assets.backends.aws.s3 import S3Store
from ncaa_assets.failures import EncodeFailed
from ncaa_assets.media.profile import PROFILE
from ncaa_assets.runs import day_line
from ncaa_assets_tests.backends.test_mediaconvert import ROLE, request_for
from ncaa_assets_tests.loopback import cloudwatch, eventbridge, sns
from ncaa_assets_tests.loopback.aws import Cloud, running_cloud
from ncaa_assets_tests.loopback.mediaconvert import REGION
from ncaa_assets_tests.loopback.s3_rules import ACCOUNT
from ncaa_assets_tests.loopback.terraform import Terraform

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

FIRST, SECOND = "you@example.com", "both@example.com"
OURS, OTHER = "ncaa-assets", "ncaa-assets-two"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:{OURS}-alerts"
OTHER_TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:{OTHER}-alerts"
ALARM = f"{OURS}-nothing-backed-up"
TARGETS = [
    f"-target={one}"
    for one in (
        "aws_sns_topic_policy.alerts", "aws_sns_topic_subscription.mail", "aws_cloudwatch_event_target.encode_failed",
        "aws_cloudwatch_event_target.task_failed", "aws_cloudwatch_metric_alarm.nothing_backed_up",
        "aws_secretsmanager_secret.api_key",
    )
]  # fmt: skip
START = "-var=image_tag=3f2a91c"


@pytest.fixture(scope="module")
def account() -> Iterator[Cloud]:
    with running_cloud() as cloud:
        cloud.make_service_roles()
        yield cloud
        assert cloud.problems == []


def deployment(account: Cloud, folder: Path, name: str, *addresses: str) -> Terraform:
    terraform = Terraform(folder, account.environment())
    values = {"project_name": name, "alert_emails": addresses, "dynamodb_table": name, "s3_prefix": "of/ncaa"}
    (folder / "terraform.tfvars").write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))
    return terraform


@pytest.fixture(scope="module")
def terraform(account: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """A deployment that is not started, and whose mail is not confirmed."""
    made = deployment(account, tmp_path_factory.mktemp("terraform") / "ours", OURS, FIRST, SECOND)
    made.apply(*TARGETS)
    put_key(account, OURS)
    return made


@pytest.fixture(scope="module")
def started(terraform: Terraform, account: Cloud) -> Terraform:
    """The same deployment, started; one person of two has clicked. An hour passed before."""
    alarms = account.client("cloudwatch").describe_alarms()["MetricAlarms"]
    for one in alarms:
        cloudwatch.evaluate(account, one["AlarmName"], datetime.now(UTC))
    sns.click(TOPIC, FIRST)
    terraform.apply(*TARGETS, START)
    return terraform


def put_key(account: Cloud, name: str) -> None:
    account.client("secretsmanager").put_secret_value(SecretId=f"{name}/rapidapi-key", SecretString="a key")


def words(said: str) -> str:
    return " ".join(said.replace("│", " ").split())


def heard(account: Cloud, since: int = 0, topic: str = TOPIC) -> list[dict[str, Any]]:
    return [json.loads(mail) for mail in sns.inbox(topic, FIRST)[since:]]


def test_no_start_before_somebody_hears_of_failures(terraform: Terraform, account: Cloud) -> None:
    said = words(terraform.run("plan", "-input=false", *TARGETS, START, code=1))
    assert (
        f"Nobody would hear that this deployment fails: the alerts' mail is not confirmed by {SECOND}, {FIRST}." in said
    )
    assert "click on its link, then apply again" in said
    assert account.client("cloudwatch").describe_alarms(AlarmNames=[ALARM])["MetricAlarms"] == []
    assert account.client("sns").list_subscriptions_by_topic(TopicArn=TOPIC)["Subscriptions"][0]["SubscriptionArn"] == (
        "PendingConfirmation"
    )


def test_a_mail_that_was_lost_or_not_confirmed_in_time_is_sent_anew(terraform: Terraform, account: Cloud) -> None:
    """SNS deletes a subscription that nobody confirms. The start still waits for the new one."""
    terraform.apply(*TARGETS, f'-replace=aws_sns_topic_subscription.mail["{FIRST}"]')
    sns.forget_unconfirmed(TOPIC)
    said = words(terraform.run("apply", "-input=false", "-auto-approve", *TARGETS, START, code=1))
    assert "Nobody would hear that this deployment fails" in said
    assert len(account.client("sns").list_subscriptions_by_topic(TopicArn=TOPIC)["Subscriptions"]) == 2
    assert account.client("cloudwatch").describe_alarms(AlarmNames=[ALARM])["MetricAlarms"] == []


def test_an_alarm_of_a_deployment_that_never_worked_is_heard(started: Terraform, account: Cloud) -> None:
    """The mail soon after the start, OK after the first day, and again after 26 hours of silence."""
    before, now = len(heard(account)), datetime.now(UTC).replace(minute=5)
    assert cloudwatch.evaluate(account, ALARM, now) == "ALARM"
    (first,) = heard(account, before)
    assert (first["AlarmName"], first["NewStateValue"], first["OldStateValue"]) == (ALARM, "ALARM", "INSUFFICIENT_DATA")
    assert "this only proves that alerts reach you" in first["AlarmDescription"]
    assert cloudwatch.evaluate(account, ALARM, now + timedelta(hours=5)) == "ALARM"

    logs, group = account.client("logs"), f"/ecs/{OURS}"
    logs.create_log_stream(logGroupName=group, logStreamName="run")
    line = json.dumps({"event": day_line.EVENT, "day": "2026-01-01", "result": "backed_up"})
    at = int(now.timestamp() * 1000)
    logs.put_log_events(logGroupName=group, logStreamName="run", logEvents=[{"timestamp": at, "message": line}])
    assert cloudwatch.evaluate(account, ALARM, now + timedelta(hours=1)) == "OK"
    assert cloudwatch.evaluate(account, ALARM, now + timedelta(hours=26)) == "OK"
    assert cloudwatch.evaluate(account, ALARM, now + timedelta(hours=30)) == "ALARM"
    assert [one["NewStateValue"] for one in heard(account, before)] == ["ALARM", "OK", "ALARM"]


def test_an_upgrade_keeps_the_alarm_that_is_there(started: Terraform) -> None:
    """Earlier versions had one always, at an address without an index."""
    address = "aws_cloudwatch_metric_alarm.nothing_backed_up"
    started.run("state", "mv", f"{address}[0]", address)
    said = words(started.run("plan", "-input=false", *TARGETS, START))
    assert f"{address} has moved to {address}[0]" in said
    assert "0 to add, 0 to change, 0 to destroy" in said, said
    started.run("state", "mv", address, f"{address}[0]")


REASONS = [
    'CannotStartContainerError: exec: "ncaa-assets": not found', "two\nlines\tand a tab", "C:\\ncaa\\new",
    "視 é 🏀 \u2028", "<task> </b>", "",
]  # fmt: skip


def stopped(reason: str, cluster: str = OURS) -> dict[str, Any]:
    return {
        "clusterArn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{cluster}", "lastStatus": "STOPPED", "version": 5,
        "group": "family:ncaa-assets-catch-up", "stopCode": "TaskFailedToStart", "stoppedReason": reason,
        "taskArn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/{cluster}/0f1e", "containers": [],
    }  # fmt: skip


@pytest.mark.parametrize("reason", REASONS)
def test_a_task_that_did_not_start_is_heard_of_whatever_the_reason(
    started: Terraform, account: Cloud, reason: str
) -> None:
    before = len(heard(account))
    eventbridge.deliver(account, "aws.ecs", eventbridge.TASK_CHANGE, stopped(reason))
    (mail,) = heard(account, before)
    assert mail.pop("what to do").startswith(f"Read its log in /ecs/{OURS} (terraform output -raw logs_command)")
    assert mail == {
        "alert": "ncaa_assets: a task stopped", "deployment": OURS, "group": "family:ncaa-assets-catch-up",
        "reason": reason, "task": f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/{OURS}/0f1e",
    }  # fmt: skip


def test_an_event_that_comes_twice_is_two_equal_mails(started: Terraform, account: Cloud) -> None:
    """ECS's events come at least once. A mail is all that they cause, and it names its task."""
    before = len(heard(account))
    eventbridge.deliver(account, "aws.ecs", eventbridge.TASK_CHANGE, stopped("twice"), times=2)
    first, second = heard(account, before)
    assert first == second
    assert first["task"].endswith("/0f1e")


def test_each_of_two_deployments_hears_of_its_own(
    started: Terraform, account: Cloud, tmp_path: Path, clip: Path
) -> None:
    """One's name is the beginning of the other's. A job of MediaConvert fails for each, then a task of each."""
    other = deployment(account, tmp_path / "other", OTHER, FIRST)
    other.apply(*TARGETS)
    put_key(account, OTHER)
    sns.click(OTHER_TOPIC, FIRST)
    other.apply(*TARGETS, START)
    account.mediaconvert.on_end = lambda detail: eventbridge.deliver(
        account, "aws.mediaconvert", eventbridge.JOB_CHANGE, detail
    )
    for name, topic, silent in ((OURS, TOPIC, OTHER_TOPIC), (OTHER, OTHER_TOPIC, TOPIC)):
        before = len(heard(account, topic=topic)), len(heard(account, topic=silent))
        message = f'the disk of "{name}"\nis full'
        account.mediaconvert.end_next("ERROR", code=1999, message=message)
        bucket = f"{name}-{ACCOUNT}-{REGION}"
        account.make_bucket(bucket)
        objects = S3Store(account.client("s3"), bucket, "of/ncaa")
        transcoder = MediaConvertTranscoder(
            account.client("mediaconvert"), objects, PROFILE,
            role=ROLE, queue=None, timeout=60, poll_seconds=0.05,
        )  # fmt: skip
        (outcome,) = transcoder.encode([request_for(objects, clip.read_bytes())])
        assert isinstance(outcome.result, EncodeFailed)
        eventbridge.deliver(account, "aws.ecs", eventbridge.TASK_CHANGE, stopped("a task", name))
        cloudwatch.evaluate(account, f"{name}-nothing-backed-up", datetime.now(UTC))
        mails = [one for one in heard(account, before[0], topic) if one.get("AlarmName") != f"{name}-nothing-backed-up"]
        assert {one["reason"] for one in mails} == {message, "a task"}
        assert {one["deployment"] for one in mails} == {name}
        job = next(one for one in mails if one["reason"] == message)
        assert (job["error"], job["job"]) == (1999, account.mediaconvert.jobs[-1].id)
        assert len(heard(account, topic=silent)) == before[1]
    account.mediaconvert.on_end = None
    assert not sns.publish_as(
        account,
        "cloudwatch.amazonaws.com",
        f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{OTHER}-nothing-backed-up",
        TOPIC,
        "",
    ), "the alarm of another deployment"
