"""The part of CloudWatch Logs that moto leaves out: which log events a metric filter counts.

Source: "Filter pattern syntax for metric filters" in the CloudWatch Logs user guide. Only patterns for JSON are known
here: a pattern of words would count whatever a stranger's title says.
"""

import json
import re
from typing import Any

from ncaa_assets_tests.loopback.aws import Cloud

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
    logs = cloud.client("logs")
    (wanted,) = logs.describe_metric_filters(logGroupName=log_group)["metricFilters"]
    events = logs.filter_log_events(logGroupName=log_group, limit=10000)["events"]
    return [one["message"] for one in events if matches(wanted["filterPattern"], one["message"])]


def _is_like(wanted: str, text: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, wanted.split("*"))), text, re.DOTALL) is not None
