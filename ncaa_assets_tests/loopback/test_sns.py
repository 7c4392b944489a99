"""The stand-in for SNS's subscriptions and topic policies behaves as SNS's own documentation says."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ncaa_assets.backends.aws.probe import topic as looked_at
from ncaa_assets.checkup import Mark
from ncaa_assets_tests.loopback import sns
from ncaa_assets_tests.loopback.aws import Cloud
from ncaa_assets_tests.loopback.mediaconvert import REGION
from ncaa_assets_tests.loopback.s3_rules import ACCOUNT

ALARM = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:ours"
RULE = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/ours"


@pytest.fixture
def topic(cloud: Cloud) -> str:
    return str(cloud.client("sns").create_topic(Name="alerts")["TopicArn"])


def subscribed(cloud: Cloud, topic: str, **more: Any) -> str:
    given = {"TopicArn": topic, "Protocol": "email", "Endpoint": "you@example.com", **more}
    return str(cloud.client("sns").subscribe(**given)["SubscriptionArn"])


def test_mail_comes_only_after_a_click(cloud: Cloud, topic: str) -> None:
    client = cloud.client("sns")
    with pytest.raises(LookupError, match="has no subscription"):
        sns.click(topic, "you@example.com")
    assert subscribed(cloud, topic) == "pending confirmation"
    arn = subscribed(cloud, topic, ReturnSubscriptionArn=True)
    assert arn.startswith(f"{topic}:")
    (listed,) = client.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert listed["SubscriptionArn"] == "PendingConfirmation"
    assert client.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]["PendingConfirmation"] == "true"
    with pytest.raises(ClientError, match="pending confirmation"):
        client.unsubscribe(SubscriptionArn=arn)
    client.publish(TopicArn=topic, Message="lost")
    assert looked_at(topic).mark is Mark.WARN

    sns.click(topic, "you@example.com")
    client.publish(TopicArn=topic, Message="heard")
    assert sns.inbox(topic, "you@example.com") == ["heard"]
    (listed,) = client.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert listed["SubscriptionArn"] == arn == subscribed(cloud, topic)
    assert looked_at(topic).mark is Mark.OK
    sns.forget_unconfirmed(topic)
    client.unsubscribe(SubscriptionArn=arn)
    assert client.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []


def test_a_queue_needs_no_click(cloud: Cloud, topic: str) -> None:
    queue = cloud.client("sqs").create_queue(QueueName="heard")["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:heard"
    assert subscribed(cloud, topic, Protocol="sqs", Endpoint=arn).startswith(f"{topic}:")
    cloud.client("sns").publish(TopicArn=topic, Message="heard")
    (message,) = cloud.client("sqs").receive_message(QueueUrl=queue)["Messages"]
    assert json.loads(message["Body"])["Message"] == "heard"


@pytest.mark.parametrize(
    ("service", "source", "condition", "is_heard"),
    [
        ("cloudwatch.amazonaws.com", ALARM, None, True),
        ("cloudwatch.amazonaws.com", ALARM, {"ArnEquals": {"aws:SourceArn": [ALARM]}}, True),
        ("cloudwatch.amazonaws.com", ALARM, {"ArnEquals": {"aws:SourceArn": [f"{ALARM}-not"]}}, False),
        ("cloudwatch.amazonaws.com", ALARM, {"StringEquals": {"aws:SourceAccount": ACCOUNT}}, True),
        ("events.amazonaws.com", RULE, None, True),
        ("events.amazonaws.com", RULE, {"ArnEquals": {"aws:SourceArn": [RULE]}}, False),
        ("events.amazonaws.com", RULE, {"StringEquals": {"aws:SourceAccount": ACCOUNT}}, False),
    ],
)
def test_a_service_publishes_what_the_topics_policy_lets_it(
    cloud: Cloud, topic: str, service: str, source: str, condition: dict[str, Any] | None, is_heard: bool
) -> None:
    """EventBridge's requests have nothing that a condition could compare."""
    statement = {
        "Effect": "Allow", "Principal": {"Service": service}, "Action": "sns:Publish", "Resource": topic,
        **({"Condition": condition} if condition else {}),
    }  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    cloud.client("sns").set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    subscribed(cloud, topic)
    sns.click(topic, "you@example.com")
    assert sns.publish_as(cloud, service, source, topic, "help") is is_heard
    assert sns.inbox(topic, "you@example.com") == ["help"] * is_heard
    other = {"cloudwatch.amazonaws.com": "events.amazonaws.com"}.get(service, "cloudwatch.amazonaws.com")
    assert not sns.publish_as(cloud, other, source, topic, "from another service")
