"""The parts of CloudWatch that moto leaves out: which log events a metric filter counts, and the life of an alarm.

Sources: "Filter pattern syntax for metric filters" in the CloudWatch Logs user guide; PutMetricAlarm in the API
reference; "Alarm evaluation" and "Configuring how alarms treat missing data" in the CloudWatch user guide. Only
patterns for JSON are known here: a pattern of words would count whatever a stranger's title says.
"""

import json
import operator
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from moto.cloudwatch.models import Alarm, CloudWatchBackend

from ncaa_assets_tests.loopback import sns
from ncaa_assets_tests.loopback.aws import Cloud

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]

_LOOKED_BACK = 2  # periods more than an alarm evaluates; the guide's example takes so many, and gives no rule
_CONDITION = r"\(\s*\$\.(\w+)\s*=\s*\"([^\"]*)\"\s*\)"
_PATTERN = re.compile(rf"\{{\s*{_CONDITION}(?:\s*&&\s*{_CONDITION})*\s*\}}")


def matches(pattern: str, message: str) -> bool:
    """Whether a log event matches a filter pattern such as `{ ($.event = "a") && ($.result = "b*") }`.

    The whole event has to be a JSON object, to its last character; a field that is not text matches no text. `*` stands
    for any text.

    Raises:
        ValueError: the pattern is of a kind that is not known here, such as one of words.
    """
    if _PATTERN.fullmatch(pattern) is None:
        raise ValueError(f"no pattern for the fields of JSON: {pattern}")
    try:
        event: Any = json.loads(message)
    except ValueError:
        return False
    return isinstance(event, dict) and all(
        isinstance(event.get(name), str) and _is_like(text, event[name])
        for name, text in re.findall(_CONDITION, pattern)
    )


def counted(cloud: Cloud, log_group: str) -> list[str]:
    """The events of a log group that its one metric filter counts."""
    return [text for _, text in _counted(cloud, log_group)]


def evaluate(cloud: Cloud, name: str, now: datetime) -> State:
    """Does what CloudWatch does with an alarm each minute, or each hour if it looks back further than a day: judges the
    last whole periods and, if the state changes and actions are enabled, performs the new state's actions.

    The data are the log events that metric filters count; a metric that no filter makes has none.
    """
    client = cloud.client("cloudwatch")
    (alarm,) = client.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    state = judged(alarm, _points(cloud, alarm, now))
    if state == alarm["StateValue"]:
        return state
    client.set_alarm_state(AlarmName=name, StateValue=state, StateReason="evaluated")
    actions = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}[state]
    told = {
        "AlarmName": name, "AlarmDescription": alarm.get("AlarmDescription"), "NewStateValue": state,
        "OldStateValue": alarm["StateValue"], "StateChangeTime": now.isoformat(),
    }  # fmt: skip
    for topic in alarm[actions] if alarm["ActionsEnabled"] else []:
        if not sns.publish_as(cloud, "cloudwatch.amazonaws.com", alarm["AlarmArn"], topic, json.dumps(told)):
            cloud.problems.append(f"{name}: the policy of {topic} does not let it publish")
    return state


def judged(alarm: dict[str, Any], points: Sequence[float | None]) -> State:
    """The state that an alarm's data mean, the oldest first, None for a period without any.

    Missing data are filled in as few times as possible.

    Raises:
        ValueError: the alarm treats missing data in a way that is not known here.
    """
    treated, periods = alarm["TreatMissingData"], alarm["EvaluationPeriods"]
    if treated not in ("breaching", "notBreaching"):
        raise ValueError(f"what {treated} means for missing data is not in cloudwatch.py")
    compare = {"LessThanThreshold": operator.lt, "GreaterThanThreshold": operator.gt}[alarm["ComparisonOperator"]]
    real = [compare(point, alarm["Threshold"]) for point in points if point is not None][-periods:]
    breaching = sum(real) + (treated == "breaching") * (periods - len(real))
    return "ALARM" if breaching >= alarm.get("DatapointsToAlarm", periods) else "OK"


def _points(cloud: Cloud, alarm: dict[str, Any], now: datetime) -> list[float | None]:
    """The sums of the periods that an alarm looks at. One that looks back further than a day takes data up to the last
    full hour alone."""
    period, count = timedelta(seconds=alarm["Period"]), alarm["EvaluationPeriods"] + _LOOKED_BACK
    if period * alarm["EvaluationPeriods"] > timedelta(days=1):
        now = now.replace(minute=0, second=0, microsecond=0)
    found: list[float | None] = [None] * count
    for group in _groups_of(cloud, alarm):
        for at, _ in _counted(cloud, group):
            back = (now.timestamp() - at / 1000) // period.total_seconds()
            if 0 <= back < count:
                place = count - 1 - int(back)
                found[place] = (found[place] or 0) + 1
    return found


def _groups_of(cloud: Cloud, alarm: dict[str, Any]) -> list[str]:
    """The log groups whose filters make an alarm's metric."""
    wanted = (alarm["Namespace"], alarm["MetricName"])
    return [
        one["logGroupName"]
        for one in cloud.client("logs").describe_metric_filters()["metricFilters"]
        for metric in one["metricTransformations"]
        if (metric["metricNamespace"], metric["metricName"]) == wanted
    ]


def _counted(cloud: Cloud, log_group: str) -> list[tuple[int, str]]:
    """The events that a log group's one metric filter counts, each with its time in milliseconds since 1970."""
    logs = cloud.client("logs")
    (wanted,) = logs.describe_metric_filters(logGroupName=log_group)["metricFilters"]
    events = logs.filter_log_events(logGroupName=log_group, limit=10000)["events"]
    return [(one["timestamp"], one["message"]) for one in events if matches(wanted["filterPattern"], one["message"])]


def _is_like(wanted: str, text: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, wanted.split("*"))), text, re.DOTALL) is not None


# ---- moto, amended ---------------------------------------------------------------------------------------------------

_put = CloudWatchBackend.put_metric_alarm


def _put_with_state(backend: CloudWatchBackend, name: str, *given: Any, **named: Any) -> Alarm:
    """A new alarm has not enough data yet; one that is updated keeps its state."""
    known = backend.alarms.get(name)
    alarm = _put(backend, name, *given, **named)
    alarm.state_value = known.state_value if known else "INSUFFICIENT_DATA"
    return alarm


CloudWatchBackend.put_metric_alarm = _put_with_state  # type: ignore[assignment,method-assign]
