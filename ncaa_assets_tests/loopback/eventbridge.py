"""The parts of EventBridge that moto leaves out: events of AWS itself reach the topics of the rules that they match,
and a schedule starts its task.
"""

import json
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError
from moto.events.models import EventPattern, events_backends

from ncaa_assets_tests.loopback import sns
from ncaa_assets_tests.loopback.aws import Cloud
from ncaa_assets_tests.loopback.fargate import Fargate
from ncaa_assets_tests.loopback.mediaconvert import REGION
from ncaa_assets_tests.loopback.s3_rules import ACCOUNT

TASK_CHANGE = "ECS Task State Change"
JOB_CHANGE = "MediaConvert Job State Change"


def matches(pattern: str, event: dict[str, Any]) -> bool:
    """Whether a rule's pattern matches an event. EventBridge looks into lists of objects and moto does not, so the exit
    codes of containers are shown to moto as one list."""
    detail = dict(event["detail"])
    if isinstance(containers := detail.get("containers"), list):
        detail["containers"] = {"exitCode": [one["exitCode"] for one in containers if "exitCode" in one]}
    seen: Any = {**event, "detail": detail}
    return bool(EventPattern.load(pattern).matches_event(seen))


def deliver(cloud: Cloud, source: str, kind: str, detail: dict[str, Any], *, times: int = 1) -> None:
    """Sends an event to the topics of the rules that it matches, as their input transformers word it and as the topics'
    policies let it; `times` says how often, since events come at least once.

    A text that is lost on the way, of which nobody hears in AWS, is one of the cloud's `problems`.
    """
    event = {
        "version": "0", "id": str(uuid.uuid4()), "detail-type": kind, "source": source, "account": ACCOUNT,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "region": REGION, "resources": [], "detail": detail,
    }  # fmt: skip
    for rule in list(events_backends[ACCOUNT][REGION].event_buses["default"].rules.values()):
        if rule.state == "ENABLED" and matches(str(rule.event_pattern.dump()), event):
            for target in rule.targets * times:
                try:
                    text = transformed(target.get("InputTransformer"), event)
                except Lost as lost:
                    cloud.problems.append(f"{rule.name}: {lost}")
                    continue
                if not sns.publish_as(cloud, "events.amazonaws.com", rule.arn, target["Arn"], text):
                    cloud.problems.append(f"{rule.name}: the policy of {target['Arn']} does not let it publish")


class Lost(Exception):
    """What a template became is no JSON, so that it is not delivered."""


def transformed(transformer: Mapping[str, Any] | None, event: dict[str, Any]) -> str:
    """What a target gets of an event ("Input transformation" in the user guide).

    A bare variable becomes the JSON of its value. Values in quotes are not escaped, so that a quote in one ends the
    string. A variable whose path is not in the event becomes nothing. The outer quotes of a string template arrive.

    Raises:
        Lost: the outcome is no JSON. What EventBridge does with such a text is not documented; here it is lost.
        ValueError: the template names a variable that has no path; PutTargets refuses that.
    """
    if transformer is None:
        return json.dumps(event)
    paths, template = transformer.get("InputPathsMap", {}), transformer["InputTemplate"]
    filled, is_quoted = "", False
    for piece in re.findall(r"<[A-Za-z0-9_.-]+>|\\.|.", template, re.DOTALL):
        if len(piece) < 3:
            is_quoted ^= piece == '"'
            filled += piece
            continue
        if (name := piece[1:-1]) not in paths:
            raise ValueError(f"InputTemplate contains invalid placeholder {name}")
        is_there, value = _at(paths[name], event)
        as_it_is = is_quoted and isinstance(value, str)
        filled += "" if not is_there else value if as_it_is else json.dumps(value, ensure_ascii=False)
    try:
        return json.dumps(json.loads(filled), ensure_ascii=False, separators=(",", ":"))
    except ValueError as error:
        raise Lost(f"not delivered, for it is no JSON ({error}): {filled}") from None


def _at(path: str, event: Any) -> tuple[bool, Any]:
    """Whether there is a value at a path such as `$.detail.group`, and the value."""
    for part in path.removeprefix("$.").split("."):
        if not isinstance(event, dict) or part not in event:
            return False, None
        event = event[part]
    return True, event


def start_schedule(cloud: Cloud, name: str) -> list[str]:
    """Does what a schedule does at its time, with its role's credentials. Returns the ARNs of the tasks that it starts;
    a start that fails goes to its dead-letter queue.

    Raises:
        ValueError: the schedule is disabled, or its target is no task.
    """
    schedule = cloud.client("scheduler").get_schedule(Name=name)
    target = schedule["Target"]
    if schedule["State"] != "ENABLED" or "EcsParameters" not in target:
        raise ValueError(f"the schedule {name} is {schedule['State']} and starts {target['Arn']}")
    by = Fargate.access_key(target["RoleArn"])
    asked = _camel_case(target["EcsParameters"])
    asked["taskDefinition"] = asked.pop("taskDefinitionArn")
    asked["count"] = asked.pop("taskCount")
    try:
        answer = cloud.client("ecs", by).run_task(cluster=target["Arn"], **asked)
    except ClientError as error:
        queue = cloud.client("sqs").get_queue_url(QueueName=target["DeadLetterConfig"]["Arn"].rpartition(":")[2])
        cloud.client("sqs", by).send_message(QueueUrl=queue["QueueUrl"], MessageBody=str(error))
        return []
    return [task["taskArn"] for task in answer["tasks"]]


def _camel_case(value: Any) -> Any:
    """EventBridge Scheduler's parameter names as RunTask spells them: with a small first letter."""
    if isinstance(value, dict):
        return {re.sub("^.", lambda first: first[0].lower(), name): _camel_case(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_camel_case(one) for one in value]
    return value
