"""What `ncaa-assets doctor` asks of AWS: whether these credentials may do what a run does, without doing it.

The bucket gets a small object under `.doctor/`, which is read and removed again, with its versions where the
credentials may do that. The table gets a write whose condition cannot hold: DynamoDB checks the permission first, and
then refuses the write. Everything else is only read.
"""

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from ncaa_assets.backends.aws import clients
from ncaa_assets.backends.aws.boto import code_of, explained, is_denied, sentence
from ncaa_assets.backends.aws.dynamodb import INDEX
from ncaa_assets.checkup import Line, Mark
from ncaa_assets.failures import BackupError
from ncaa_assets.ports import Expect, ObjectStore
from ncaa_assets.retry import RetryPolicy
from ncaa_assets.settings import Settings
from ncaa_assets.text import plural

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_RETRY = RetryPolicy(count=1)  # a person is waiting


def examine_aws(settings: Settings, open_store: Callable[[], ObjectStore]) -> Iterator[Line]:
    """A line for each thing on AWS that a run of these settings uses. `open_store` returns the archive's store."""
    examinations: list[tuple[str, Callable[[], Iterator[Line]]]] = [
        ("credentials", _credentials),
        ("bucket", lambda: _bucket(settings, open_store())),
        ("table", lambda: _table(settings)),
        *(
            [("encoder", lambda: _queue(settings)), ("role", lambda: _role(settings))]
            if settings.encode != "never"
            else []
        ),
        ("topic", lambda: _alerts(settings)),
    ]
    for name, examine_it in examinations:
        try:
            yield from examine_it()
        except BackupError as error:
            yield Line(Mark.FAIL, name, str(error))
            if name == "credentials":
                return  # all others would fail for the same reason


def _credentials() -> Iterator[Line]:
    with explained("STS"):
        client: Any = boto3.client("sts", config=clients.retries(_RETRY))
        identity = client.get_caller_identity()
    yield Line(Mark.OK, "credentials", f"{identity['Arn']} in {client.meta.region_name}")


def _bucket(settings: Settings, store: ObjectStore) -> Iterator[Line]:
    key, data = f".doctor/{uuid4().hex}.json", b'{"probe": "of ncaa-assets doctor; may be deleted"}\n'
    store.write(key, data, expect=Expect.NOTHING)
    try:
        is_same = store.read(key)[0] == data
    finally:
        store.delete(key)
    place = store.uri(key)
    if not is_same or store.info(key) is not None:
        yield Line(
            Mark.FAIL,
            "bucket",
            f"{place} did not hold what was written to it; find out what else writes to this bucket",
        )
        return
    folder = place.removesuffix(key)
    with explained(f"the bucket {settings.s3_bucket_name}"):
        client: S3Client = boto3.client("s3", config=clients.retries(_RETRY))
        try:
            is_versioned = client.get_bucket_versioning(Bucket=settings.s3_bucket_name or "").get("Status") == "Enabled"
        except ClientError as error:
            if not is_denied(error):
                raise
            yield Line(
                Mark.OK,
                "bucket",
                f"{folder} can be written, read and deleted in (whether it keeps versions cannot be seen)",
            )
            return
        if not is_versioned:
            text = f"{folder} works, but keeps no earlier versions of replaced objects; switch versioning on"
            yield Line(Mark.WARN, "bucket", text)
            return
        has_remains = _erase(
            client, settings.s3_bucket_name or "", place.removeprefix(f"s3://{settings.s3_bucket_name}/")
        )
    text = f"{folder} can be written, read and deleted in, and keeps versions"
    yield Line(
        Mark.OK,
        "bucket",
        text + (f" (two of {key} remain: these credentials may not delete them)" if has_remains else ""),
    )


def _erase(client: "S3Client", bucket: str, name: str) -> bool:
    """Removes what a versioned bucket keeps of the probe, and returns whether anything remains."""
    try:
        listed = client.list_object_versions(Bucket=bucket, Prefix=name)
        for version in [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]:
            client.delete_object(Bucket=bucket, Key=name, VersionId=version["VersionId"])
    except ClientError as error:
        if not is_denied(error):
            raise
        return True
    return False


def _table(settings: Settings) -> Iterator[Line]:
    name = settings.dynamodb_table
    client = clients.dynamodb(_RETRY)
    region = client.meta.region_name
    missing = f"there is no table {name} in {region}; make it (docs/aws.md), or set DYNAMODB_TABLE and AWS_REGION"
    probe = {"id": {"S": "ncaa-assets-doctor"}}
    with explained(f"the table {name}", {"ResourceNotFoundException": missing}):
        table = client.describe_table(TableName=name)["Table"]
        if problem := _table_problem(dict(table), name):
            yield Line(Mark.FAIL, "table", problem)
            return
        client.batch_get_item(RequestItems={name: {"Keys": [probe]}})
        try:
            # Nothing is written: no row has this id, and DynamoDB checks the permission before the condition.
            client.put_item(TableName=name, Item=probe, ConditionExpression="attribute_exists(id)")
        except client.exceptions.ConditionalCheckFailedException:
            pass
        else:
            client.delete_item(TableName=name, Key=probe)
    index = next((entry for entry in table.get("GlobalSecondaryIndexes", []) if entry.get("IndexName") == INDEX), None)
    if index is None:
        text = f"{name} has no index {INDEX}: finding a day's rows reads the whole table; add it (docs/aws.md)"
        yield Line(Mark.WARN, "table", text)
        return
    with explained(f"the index {INDEX} of the table {name}"):
        client.query(
            TableName=name, IndexName=INDEX, Limit=1, KeyConditionExpression="game_date = :day",
            ExpressionAttributeValues={":day": {"S": "0000-00-00"}},
        )  # fmt: skip
    yield Line(Mark.OK, "table", f"{name} in {region} can be read and written, with its index {INDEX}")


def _table_problem(table: dict[str, Any], name: str) -> str | None:
    keys = [(key["AttributeName"], key["KeyType"]) for key in table.get("KeySchema", [])]
    types = {field["AttributeName"]: field["AttributeType"] for field in table.get("AttributeDefinitions", [])}
    if keys != [("id", "HASH")] or types.get("id") != "S":
        return f"{name} has another key than `id` (text); set DYNAMODB_TABLE to a table that has it"
    state = table.get("TableStatus", "ACTIVE")
    return None if state in ("ACTIVE", "UPDATING") else f"{name} is {state.lower()}; wait until it is active"


def _queue(settings: Settings) -> Iterator[Line]:
    client = clients.mediaconvert(_RETRY, settings.mediaconvert_endpoint)
    name = (settings.mediaconvert_queue or "Default").rpartition("/")[2]
    missing = (
        f"there is no MediaConvert queue {name} in {client.meta.region_name}; unset MEDIACONVERT_QUEUE, or make it"
    )
    with explained("MediaConvert", {"NotFoundException": missing}):
        queue = client.get_queue(Name=name)["Queue"]
    if queue.get("Status") == "PAUSED":
        yield Line(Mark.WARN, "encoder", f"MediaConvert's queue {name} is paused: jobs wait until somebody resumes it")
    else:
        yield Line(Mark.OK, "encoder", f"MediaConvert's queue {name} is active")


def _role(settings: Settings) -> Iterator[Line]:
    arn = settings.mediaconvert_role_arn or ""
    match = re.fullmatch(r"arn:aws[a-z-]*:iam::\d{12}:role/(?:.*/)?([\w+=,.@-]+)", arn)
    if match is None:
        text = f"MEDIACONVERT_ROLE_ARN is not a role's ARN ({arn}); one looks like arn:aws:iam::123456789012:role/name"
        yield Line(Mark.FAIL, "role", text)
        return
    role = match[1]
    try:
        client: Any = boto3.client("iam", config=clients.retries(_RETRY))
        trust = client.get_role(RoleName=role)["Role"].get("AssumeRolePolicyDocument", {})
    except (BotoCoreError, ClientError) as error:
        if code_of(error) == "NoSuchEntity":
            yield Line(
                Mark.FAIL,
                "role",
                f"there is no role {role}; make it, or set MEDIACONVERT_ROLE_ARN to one that exists",
            )
        elif is_denied(error):
            text = f"{role} cannot be seen with these credentials (iam:GetRole); the first encode shows if it works"
            yield Line(Mark.OK, "role", text)
        else:
            yield Line(Mark.WARN, "role", sentence(f"the role {role}", error))
        return
    if "mediaconvert.amazonaws.com" not in str(trust):
        text = f"{role} does not let MediaConvert use it; add mediaconvert.amazonaws.com to its trust policy"
        yield Line(Mark.FAIL, "role", text)
    else:
        yield Line(Mark.OK, "role", f"{role} exists, and MediaConvert may use it")


def _alerts(settings: Settings) -> Iterator[Line]:
    if settings.alert_topic_arn is None:
        yield Line(Mark.WARN, "topic", "ALERT_TOPIC_ARN is unset: failures appear only in the log")
    else:
        yield topic(settings.alert_topic_arn)


def topic(arn: str) -> Line:
    """Whether what is published to an SNS topic reaches anybody. A backup works without that."""
    region = arn.split(":")[3] if arn.count(":") == 5 else None
    try:
        client: Any = boto3.client("sns", region_name=region, config=clients.retries(_RETRY))
        subscribed = client.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
    except (BotoCoreError, ClientError) as error:
        if code_of(error) in ("NotFound", "NotFoundException", "InvalidParameter"):
            return Line(
                Mark.WARN, "topic", f"there is no topic {arn}: no alert goes out; make it, or set ALERT_TOPIC_ARN"
            )
        if is_denied(error):
            return Line(Mark.OK, "topic", f"{arn} cannot be seen with these credentials (sns:ListSubscriptionsByTopic)")
        return Line(Mark.WARN, "topic", sentence(f"the topic {arn}", error))
    # An unconfirmed subscription has the word PendingConfirmation in place of its ARN.
    confirmed = [entry for entry in subscribed if entry["SubscriptionArn"].startswith("arn:")]
    if not confirmed:
        return Line(
            Mark.WARN, "topic", f"nobody has subscribed to {arn}: alerts reach no one; add an e-mail address to it"
        )
    return Line(
        Mark.OK, "topic", f"{arn} reaches {plural(len(confirmed), 'subscriber')}", {"subscribers": len(confirmed)}
    )
