"""The parts of EventBridge that moto leaves out: events of AWS itself reach the topics of the rules that they match,
and a schedule starts its task.
"""

import json
import re
from typing import Any

from botocore.exceptions import ClientError
from moto.events.models import EventPattern, events_backends

from ncaa_assets_tests.loopback.aws import Cloud
from ncaa_assets_tests.loopback.fargate import Fargate
from ncaa_assets_tests.loopback.mediaconvert import REGION
from ncaa_assets_tests.loopback.s3_rules import ACCOUNT

TASK_CHANGE = "ECS Task State Change"


def matches(pattern: str, event: dict[str, Any]) -> bool:
    """Whether a rule's pattern matches an event. EventBridge looks into lists of objects and moto does not, so the exit
    codes of containers are shown to moto as one list."""
    detail = dict(event["detail"])
    if isinstance(containers := detail.get("containers"), list):
        detail["containers"] = {"exitCode": [one["exitCode"] for one in containers if "exitCode" in one]}
    seen: Any = {**event, "detail": detail}
    return bool(EventPattern.load(pattern).matches_event(seen))


def deliver(cloud: Cloud, source: str, kind: str, detail: dict[str, Any]) -> None:
    """Publishes an event to the topics of the rules that it matches, as their input transformers word it."""
    event = {"source": source, "detail-type": kind, "detail": detail}
    for rule in list(events_backends[ACCOUNT][REGION].event_buses["default"].rules.values()):
        if rule.state == "ENABLED" and matches(str(rule.event_pattern.dump()), event):
            for target in rule.targets:
                text = _transformed(target.get("InputTransformer"), event)
                cloud.client("sns").publish(TopicArn=target["Arn"], Message=text)


def _transformed(transformer: dict[str, Any] | None, event: dict[str, Any]) -> str:
    """The text of a transformer's template, a JSON string. Each `<name>` in it is replaced by the escaped value at a
    path into the event ("Input transformation" in the user guide)."""
    if transformer is None:
        return json.dumps(event)
    template: str = transformer["InputTemplate"]
    for name, path in transformer["InputPathsMap"].items():
        value: Any = event
        for part in path.removeprefix("$.").split("."):
            value = value.get(part) if isinstance(value, dict) else None
        template = template.replace(f"<{name}>", "" if value is None else json.dumps(str(value))[1:-1])
    return str(json.loads(template))


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
