"""The part of SNS that moto leaves out: who may publish to a topic, and that a person has to click before mail comes.

Sources: Subscribe in SNS's API reference; "Using resource-based policies for Amazon EventBridge" in its user guide:
`Condition` blocks cannot be used in topic policies for EventBridge, so its requests carry none of the keys that a
condition compares. CloudWatch's requests carry the alarm's ARN ("Notifying users on alarm changes").
"""

import copy
import json
from typing import Any

from moto.core.responses import ActionResult
from moto.sns.exceptions import SNSInvalidParameter
from moto.sns.models import SNSBackend, Subscription, sns_backends
from moto.sns.responses import SNSResponse

from ncaa_assets_tests.loopback.aws import Cloud
from ncaa_assets_tests.loopback.mediaconvert import REGION
from ncaa_assets_tests.loopback.permissions import allows
from ncaa_assets_tests.loopback.s3_rules import ACCOUNT

_MAIL = ("email", "email-json")
_PENDING = "PendingConfirmation"


def publish_as(cloud: Cloud, service: str, source: str, topic: str, message: str) -> bool:
    """Publishes as a service of AWS does for its resource `source`, an ARN. Returns whether the topic's policy let it:
    if not, the message is lost, and nobody hears of that."""
    client = cloud.client("sns")
    policy = json.loads(client.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])
    context = {} if service == "events.amazonaws.com" else {"aws:SourceArn": source, "aws:SourceAccount": ACCOUNT}
    speaking = [
        {name: value for name, value in one.items() if name != "Principal"}
        for one in policy["Statement"]
        if one["Principal"] == {"Service": service}
    ]
    if not allows(speaking, "sns:Publish", topic, context):
        return False
    client.publish(TopicArn=topic, Message=message)
    return True


def click(topic: str, address: str) -> None:
    """Does what a person does: opens the mail that asks to confirm a subscription, and clicks.

    Raises:
        LookupError: no such mail was sent.
    """
    _subscription(topic, address).attributes[_PENDING] = False


def inbox(topic: str, address: str) -> list[str]:
    """Every message that a topic has sent to an address.

    Raises:
        LookupError: the address has no subscription.
    """
    return list(_subscription(topic, address).mails)  # type: ignore[attr-defined]


def forget_unconfirmed(topic: str) -> None:
    """Does what SNS does some days later: it deletes the subscriptions that nobody confirmed."""
    every = sns_backends[ACCOUNT][REGION].subscriptions
    for one in list(every.values()):
        if one.topic.arn == topic and one.attributes[_PENDING]:
            del every[one.arn]


def _subscription(topic: str, address: str) -> Subscription:
    for one in sns_backends[ACCOUNT][REGION].subscriptions.values():
        if (one.topic.arn, one.endpoint) == (topic, address):
            return one
    raise LookupError(f"{address} has no subscription to {topic}")


# ---- moto, amended ---------------------------------------------------------------------------------------------------

_subscribe, _unsubscribe, _publish = SNSBackend.subscribe, SNSBackend.unsubscribe, Subscription.publish
_answer, _list, _list_all = (
    SNSResponse.subscribe, SNSBackend.list_subscriptions_by_topic, SNSBackend.list_subscriptions,
)  # fmt: skip


def _subscribe_pending(backend: SNSBackend, topic_arn: str, endpoint: str, protocol: str) -> Subscription:
    known = backend._find_subscription(topic_arn, endpoint, protocol)
    made = _subscribe(backend, topic_arn, endpoint, protocol)
    if known is None and protocol in _MAIL:
        made.attributes |= {_PENDING: True, "ConfirmationWasAuthenticated": False}
        made.mails = []  # type: ignore[attr-defined]
    return made


def _answer_pending(response: SNSResponse) -> ActionResult:
    """The ARN of an unconfirmed subscription is told to callers that ask for it alone."""
    answer = _answer(response)
    made: Any = answer.result
    is_pending = response.backend.subscriptions[made["SubscriptionArn"]].attributes[_PENDING]
    if is_pending and str(response._get_param("ReturnSubscriptionArn")).lower() != "true":
        made["SubscriptionArn"] = "pending confirmation"
    return answer


def _unsubscribe_confirmed(backend: SNSBackend, subscription_arn: str) -> None:
    found = backend.subscriptions.get(subscription_arn)
    if found is not None and found.attributes[_PENDING]:
        raise SNSInvalidParameter(
            "Invalid parameter: SubscriptionArn Reason: Cannot unsubscribe a subscription that is pending confirmation"
        )
    _unsubscribe(backend, subscription_arn)


def _publish_to_confirmed(subscription: Subscription, message: str, message_id: str, **more: Any) -> None:
    if subscription.protocol not in _MAIL:
        _publish(subscription, message, message_id, **more)
    elif not subscription.attributes[_PENDING]:
        subscription.mails.append(message)  # type: ignore[attr-defined]


def _as_listed(found: tuple[list[Subscription], int | None]) -> tuple[list[Subscription], int | None]:
    """In a list, an unconfirmed subscription has the word PendingConfirmation in place of its ARN."""
    listed = [copy.copy(one) for one in found[0]]
    for one in listed:
        one.arn = _PENDING if one.attributes[_PENDING] else one.arn
    return listed, found[1]


for _backend, _name, _amended in (
    (SNSBackend, "subscribe", _subscribe_pending),
    (SNSBackend, "unsubscribe", _unsubscribe_confirmed),
    (SNSBackend, "list_subscriptions_by_topic", lambda *given, **named: _as_listed(_list(*given, **named))),
    (SNSBackend, "list_subscriptions", lambda *given, **named: _as_listed(_list_all(*given, **named))),
    (SNSResponse, "subscribe", _answer_pending),
    (Subscription, "publish", _publish_to_confirmed),
):
    setattr(_backend, _name, _amended)
