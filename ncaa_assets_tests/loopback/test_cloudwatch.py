"""The stand-in for CloudWatch's metric filters and alarms does what the real one does, according to its user guide."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ncaa_assets_tests.loopback import sns
from ncaa_assets_tests.loopback.aws import Cloud
from ncaa_assets_tests.loopback.cloudwatch import evaluate, judged, matches

BOTH = '{ ($.event = "ncaa_assets_day") && ($.result = "backed_up") }'


@pytest.mark.parametrize(
    ("message", "is_counted"),
    [
        ('{"event": "ncaa_assets_day", "result": "backed_up"}', True),
        ('{"result":"backed_up","event":"ncaa_assets_day","error":null}', True),
        ('{"event": "ncaa_assets_day", "result": "failed", "error": "ncaa_assets_day backed_up"}', False),
        ('{"event": "ncaa_assets_day", "error": "\\"result\\": \\"backed_up\\""}', False),
        ('{"event": "ncaa_assets_day", "result": ["backed_up"]}', False),
        ('2026-01-01 - dagster - INFO - {"event": "ncaa_assets_day", "result": "backed_up"}', False),
        ('{"event": "ncaa_assets_day", "result": "backed_up"} and more', False),
        ("ncaa_assets_day backed_up", False),
        ('["ncaa_assets_day", "backed_up"]', False),
        ("", False),
    ],
)
def test_an_event_is_counted_by_its_own_fields_alone(message: str, is_counted: bool) -> None:
    assert matches(BOTH, message) is is_counted


def test_an_asterisk_stands_for_any_text() -> None:
    assert matches('{ ($.result = "back*") }', '{"result": "backed_up"}')
    assert not matches('{ ($.result = "back*") }', '{"result": "not backed_up"}')


@pytest.mark.parametrize("pattern", ['"ncaa_assets_day" "backed_up"', "ncaa_assets_day", "", "{ $.event }", "[a, b]"])
def test_a_pattern_that_is_not_of_json_fields_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="no pattern for the fields of JSON"):
        matches(pattern, '{"event": "ncaa_assets_day"}')


@pytest.mark.parametrize(
    ("points", "needed", "if_breaching", "if_not"),
    [
        ("0-X-X", 3, "OK", "OK"),
        ("0----", 3, "OK", "OK"),
        ("-----", 3, "ALARM", "OK"),
        ("0XX-X", 3, "ALARM", "ALARM"),
        ("----X", 3, "ALARM", "OK"),
        ("X----", 3, "ALARM", "OK"),
        ("0-X-X", 2, "ALARM", "ALARM"),
        ("00X0X", 2, "ALARM", "ALARM"),
        ("0-X--", 2, "ALARM", "OK"),
        ("----0", 2, "ALARM", "OK"),
        ("----X", 2, "ALARM", "OK"),
    ],
)
def test_missing_data_is_treated_as_in_the_user_guides_tables(
    points: str, needed: int, if_breaching: str, if_not: str
) -> None:
    """The tables of "Configuring how alarms treat missing data", of an alarm that evaluates three periods."""
    alarm = {
        "EvaluationPeriods": 3, "DatapointsToAlarm": needed, "Threshold": 0,
        "ComparisonOperator": "GreaterThanThreshold",
    }  # fmt: skip
    data = [{"0": 0.0, "X": 1.0, "-": None}[point] for point in points]
    states = [judged({**alarm, "TreatMissingData": one}, data) for one in ("breaching", "notBreaching")]
    assert states == [if_breaching, if_not]
    with pytest.raises(ValueError, match="what ignore means"):
        judged({**alarm, "TreatMissingData": "ignore"}, data)


# CloudWatch Logs takes no events that are older than two weeks.
NOW = (datetime.now(UTC) - timedelta(days=3)).replace(minute=30)


def put_alarm(cloud: Cloud, **more: Any) -> None:
    topic = "arn:aws:sns:us-east-1:123456789012:alerts"
    given = {
        "AlarmName": "nothing", "Namespace": "n", "MetricName": "m", "Statistic": "Sum", "Period": 3600,
        "EvaluationPeriods": 26, "DatapointsToAlarm": 26, "Threshold": 1.0, "ComparisonOperator": "LessThanThreshold",
        "TreatMissingData": "breaching", "AlarmActions": [topic], "OKActions": [topic], **more,
    }  # fmt: skip
    cloud.client("cloudwatch").put_metric_alarm(**given)


def log_line(cloud: Cloud, at: datetime, result: str = "backed_up") -> None:
    event = {
        "timestamp": int(at.timestamp() * 1000),
        "message": f'{{"event": "ncaa_assets_day", "result": "{result}"}}',
    }
    cloud.client("logs").put_log_events(logGroupName="group", logStreamName="stream", logEvents=[event])


@pytest.fixture
def heard(cloud: Cloud) -> str:
    """The topic of a subscriber, in an account with a log group whose filter makes the metric."""
    topic = str(cloud.client("sns").create_topic(Name="alerts")["TopicArn"])
    statement = {
        "Effect": "Allow", "Principal": {"Service": "cloudwatch.amazonaws.com"}, "Action": "sns:Publish",
        "Resource": topic,
    }  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    cloud.client("sns").set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    cloud.client("sns").subscribe(TopicArn=topic, Protocol="email", Endpoint="you@example.com")
    sns.click(topic, "you@example.com")
    logs = cloud.client("logs")
    logs.create_log_group(logGroupName="group")
    logs.create_log_stream(logGroupName="group", logStreamName="stream")
    metric = {"metricNamespace": "n", "metricName": "m", "metricValue": "1"}
    logs.put_metric_filter(logGroupName="group", filterName="f", filterPattern=BOTH, metricTransformations=[metric])
    return topic


def states(topic: str) -> list[str]:
    return [json.loads(mail)["NewStateValue"] for mail in sns.inbox(topic, "you@example.com")]


def test_an_alarm_acts_when_its_state_changes_and_only_then(cloud: Cloud, heard: str) -> None:
    put_alarm(cloud)
    (alarm,) = cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert alarm["StateValue"] == "INSUFFICIENT_DATA"
    assert [evaluate(cloud, "nothing", NOW) for _ in range(3)] == ["ALARM"] * 3
    assert states(heard) == ["ALARM"]

    log_line(cloud, NOW + timedelta(hours=1), "failed")
    assert evaluate(cloud, "nothing", NOW + timedelta(hours=2)) == "ALARM"
    log_line(cloud, NOW + timedelta(hours=2))
    assert evaluate(cloud, "nothing", NOW + timedelta(hours=2, minutes=20)) == "ALARM", "up to the full hour alone"
    assert evaluate(cloud, "nothing", NOW + timedelta(hours=3)) == "OK"
    assert evaluate(cloud, "nothing", NOW + timedelta(hours=28)) == "OK"
    assert evaluate(cloud, "nothing", NOW + timedelta(hours=31)) == "ALARM"
    assert states(heard) == ["ALARM", "OK", "ALARM"]


def test_an_alarm_that_was_made_with_its_actions_off_stays_silent_for_ever(cloud: Cloud, heard: str) -> None:
    """ "When you update an existing alarm, its state is left unchanged", and enabling actions is no change of state."""
    put_alarm(cloud, ActionsEnabled=False)
    assert evaluate(cloud, "nothing", NOW) == "ALARM"
    put_alarm(cloud, ActionsEnabled=True)
    assert [evaluate(cloud, "nothing", NOW + timedelta(hours=hour)) for hour in (1, 30)] == ["ALARM"] * 2
    assert states(heard) == []


def test_a_topic_that_does_not_let_an_alarm_publish_is_a_problem(cloud: Cloud) -> None:
    put_alarm(cloud)
    cloud.client("sns").create_topic(Name="alerts")
    assert evaluate(cloud, "nothing", NOW) == "ALARM"
    (problem,) = cloud.problems
    assert problem.startswith("nothing: the policy of ")
    cloud.problems.clear()
