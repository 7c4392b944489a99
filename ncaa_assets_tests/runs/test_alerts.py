"""How a failure reaches a person, and the line of a day that a machine counts."""

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from ncaa_assets.failures import AlertNotSent
from ncaa_assets.record.models import ASSETS
from ncaa_assets.runs import alerts
from ncaa_assets.runs.alerts import Alert
from ncaa_assets.runs.day_line import log_finished_day
from ncaa_assets.runs.outcome import DayRun
from ncaa_assets.settings import Settings
from ncaa_assets_tests.days import DAY, settings_for

if TYPE_CHECKING:
    from ncaa_assets_tests.loopback.aws import Cloud

ALERT = Alert("daily_backup", DAY, "highlights: the API at São Paulo is down; try again later", "http://ui/runs/1")


def on_aws(topic: str | None) -> Settings:
    return Settings.model_validate(
        {
            "ncaa_deployment": "aws", "rapidapi_key": "k", "s3_bucket_name": "bucket",
            "mediaconvert_role_arn": "arn:aws:iam::123456789012:role/r", "alert_topic_arn": topic,
        }
    )  # fmt: skip


@pytest.fixture
def inbox(cloud: "Cloud") -> tuple[str, Any]:
    """A topic, and a function that reads the messages published to it."""
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    topic = sns.create_topic(Name="failures")["TopicArn"]
    queue = sqs.create_queue(QueueName="inbox")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def read() -> list[dict[str, Any]]:
        got = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=0).get("Messages", [])
        return [json.loads(message["Body"]) for message in got]

    return topic, read


def test_an_alert_on_aws_is_published_and_logged(inbox: tuple[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    topic, read = inbox
    alerts.send(on_aws(topic), ALERT)
    (message,) = read()
    assert message["Subject"] == f"ncaa_assets: daily_backup of {DAY} failed"
    assert message["Message"].splitlines() == [
        "job:   daily_backup",
        f"day:   {DAY}",
        "error: highlights: the API at São Paulo is down; try again later",
        "look:  http://ui/runs/1",
    ]
    assert f"ALERT daily_backup {DAY}: highlights: the API" in caplog.text


def test_an_alert_of_any_size_and_alphabet_is_one_that_sns_takes(inbox: tuple[str, Any]) -> None:
    topic, read = inbox
    days = ", ".join(f"2025-03-{day:02}" for day in range(1, 31))
    alerts.send(on_aws(topic), Alert("catch-up\nπ", days, "é" * 300_000, "http://ui"))
    (message,) = read()
    assert len(message["Subject"]) <= 100
    assert message["Subject"].isascii()
    assert "\n" not in message["Subject"]
    assert len(message["Message"].encode()) <= 256 * 1024


def test_a_topic_that_is_not_there_is_said_and_the_log_has_the_alert(
    cloud: "Cloud", caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(AlertNotSent, match=r"the alert was not sent: there is no topic .*; check ALERT_TOPIC_ARN"):
        alerts.send(on_aws("arn:aws:sns:us-east-1:123456789012:no-such-topic"), ALERT)
    assert "ALERT daily_backup" in caplog.text


@pytest.mark.parametrize("settings", [settings_for("http://api.example/x"), on_aws(None)], ids=["local", "no topic"])
def test_elsewhere_an_alert_is_logged_and_boto3_is_not_even_imported(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    alerts.send(settings, ALERT)
    assert f"ALERT daily_backup {DAY}: highlights" in caplog.text
    code = (
        "import sys; from ncaa_assets.runs import alerts; from ncaa_assets.settings import Settings;"
        "alerts.send(Settings(), alerts.Alert('a', None, 'b', 'c'));"
        "sys.exit(bool({'boto3', 'dagster'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


def test_a_link_leads_to_the_run_whatever_ends_the_address() -> None:
    settings = settings_for("http://api.example/x", ui_url="https://dagster.example/base/")
    assert alerts.run_link(settings, "abc") == "https://dagster.example/base/runs/abc"


def whole() -> DayRun:
    ended = DayRun("run-1", summaries=dict.fromkeys(ASSETS, ""))
    ended.numbers = {
        "highlights": {"highlights": 12, "new": 3},
        "videos": {"copied": 2, "skipped": 1},
        "processed_videos": {"encoded": 2},
    }
    return ended


def line_of(capfd: pytest.CaptureFixture[str], ended: DayRun, **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"planned": set(ASSETS), "was_held": False}
    result = ended.result(**(given | changes))
    log_finished_day(DAY, ended, result=result, seconds=4.25, is_sample=False)
    line: dict[str, Any] = json.loads(capfd.readouterr().err)
    return line


def test_a_finished_day_is_one_line_of_json_with_its_numbers(capfd: pytest.CaptureFixture[str]) -> None:
    line = line_of(capfd, whole())
    assert line == {
        "event": "ncaa_assets_day", "day": DAY, "result": "backed_up", "run_id": "run-1", "highlights": 12, "new": 3,
        "copied": 2, "skipped": 1, "encoded": 2, "seconds": 4.2, "sample": False, "error": None,
    }  # fmt: skip


def test_the_line_tells_a_day_that_is_whole_from_every_other_end(capfd: pytest.CaptureFixture[str]) -> None:
    assert line_of(capfd, DayRun("r"), was_held=True)["result"] == "skipped"
    stopped = DayRun("r", summaries={"highlights": ""})
    assert line_of(capfd, stopped)["result"] == "ended"
    assert line_of(capfd, stopped, planned={"highlights"})["result"] == "partial"
    failed = whole()
    failed.failed_checks.append("videos: copies_are_stored: 1.mp4: missing")
    line = line_of(capfd, failed)
    assert (line["result"], line["error"]) == ("failed", "check failed: videos: copies_are_stored: 1.mp4: missing")
