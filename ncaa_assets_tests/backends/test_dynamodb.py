"""What only the DynamoDB table has: batches, conditions, values that it cannot hold, a table of another shape, and a
sentence for each thing that can be wrong. What every table promises is in test_contracts.py."""

import logging
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

import ncaa_assets
from ncaa_assets.backends.aws import clients
from ncaa_assets.backends.aws.dynamodb import DynamoDBTable
from ncaa_assets.failures import BackupError, SettingsError, StoreError
from ncaa_assets.record.rows import Row, merge_row
from ncaa_assets.retry import RetryPolicy
from ncaa_assets_tests.backends.test_contracts import deep, replace, row
from ncaa_assets_tests.loopback import aws
from ncaa_assets_tests.loopback.aws import Call, Cloud

TABLE, DAY = "SportsHighlights", "2025-03-09"


def opened(table: str = TABLE, *, tries: int = 2) -> DynamoDBTable:
    config = Config(retries={"mode": "standard", "total_max_attempts": tries})
    return DynamoDBTable(boto3.client("dynamodb", config=config), table, retry=RetryPolicy(3, 0.05))


@pytest.fixture
def rows(cloud: Cloud) -> DynamoDBTable:
    cloud.make_table(TABLE)
    return opened()


def item(cloud: Cloud, key: str) -> dict[str, Any]:
    found: dict[str, Any] = cloud.client("dynamodb").get_item(TableName=TABLE, Key={"id": {"S": key}})["Item"]
    return found


def test_a_row_is_stored_attribute_by_attribute_for_anybody_to_query(rows: DynamoDBTable, cloud: Cloud) -> None:
    rows.merge([row("1", match={"odds": [Decimal("1.5"), 2, True, None]}, title="Ā")], replace)
    there = item(cloud, "1")
    assert there["title"] == {"S": "Ā"}
    assert there["game_date"] == {"S": DAY}
    assert there["days"] == {"L": [{"S": DAY}]}
    assert there["match"] == {"M": {"odds": {"L": [{"N": "1.5"}, {"N": "2"}, {"BOOL": True}, {"NULL": True}]}}}
    assert "ncaa_assets_text" not in there


def test_the_statement_of_the_archives_format_leads_from_a_team_to_its_files(rows: DynamoDBTable, cloud: Cloud) -> None:
    page = Path(ncaa_assets.__file__).parents[1] / "docs" / "archive-format.md"
    of_dynamodb = page.read_text("utf-8").split("**DynamoDB**")[1]
    (statement,) = re.findall(r"^```sql\n(.*?)^```", of_dynamodb, re.MULTILINE | re.DOTALL)[:1]
    key = f"processed_videos/{DAY}/1.mp4"
    rows.merge(
        [
            row("1", home_team="Duke Blue Devils", away_team="UNC", output_key=key),
            row("2", home_team="UNC", away_team="Duke Blue Devils", output_key=None),
            row("3", home_team="Duke Blue Devils", away_team="UNC"),
            row("4", home_team="Yale", away_team="UNC", output_key=f"processed_videos/{DAY}/4.mp4"),
        ],
        replace,
    )
    answer = cloud.client("dynamodb").execute_statement(Statement=statement)
    found = {item["output_key"].get("S") for item in answer["Items"] if "output_key" in item}
    assert (len(answer["Items"]), found) == (3, {key, None})


@pytest.mark.parametrize(
    "value",
    [Decimal("1E+400"), 2**200, "\ud800", {"": 1}, {"\ud800": 1}, deep(20)],
    ids=["exponent", "digits", "half an emoji", "no name", "half a name", "deep"],
)
def test_what_dynamodb_cannot_hold_is_kept_as_text_beside_the_rest(
    rows: DynamoDBTable, cloud: Cloud, value: Any
) -> None:
    given = row("1", odd=value, plain="x")
    rows.merge([given], replace)
    there = item(cloud, "1")
    assert there["plain"] == {"S": "x"}
    assert "odd" not in there
    assert "odd" in there["ncaa_assets_text"]["S"]
    assert rows.get(["1"])["1"] == given


@pytest.mark.parametrize("name", ["", "ncaa_assets_text", "ncaa_assets_revision", "\ud800", "id ", "#a.b[0]:c"])
def test_a_record_may_call_its_fields_anything(rows: DynamoDBTable, name: str) -> None:
    given = row("1") | {name: "x"}
    rows.merge([given], replace)
    assert rows.get(["1"])["1"] == given
    assert rows.merge([given | {"title": "other"}], replace) == 1
    assert rows.get(["1"])["1"] == given | {"title": "other"}


def test_whole_numbers_come_back_as_whole_numbers(rows: DynamoDBTable) -> None:
    rows.merge([row("1", season=2025, odds=Decimal("2.5"))], replace)
    found = rows.get(["1"])["1"]
    assert type(found["season"]) is int
    assert found["odds"] == Decimal("2.5")


def test_rows_are_read_in_batches(rows: DynamoDBTable, cloud: Cloud) -> None:
    rows.merge([row(str(number)) for number in range(120)], replace)
    assert cloud.times("BatchGetItem") == 2
    assert len(rows.get([str(number) for number in range(120)] * 2)) == 120
    assert cloud.times("BatchGetItem") == 4


def test_keys_that_a_batch_left_out_are_asked_for_again(rows: DynamoDBTable, cloud: Cloud) -> None:
    rows.merge([row(str(number)) for number in range(10)], replace)
    cloud.fail("BatchGetItem", aws.unprocessed(7), aws.unprocessed(3), aws.unprocessed(1))
    assert len(rows.get([str(number) for number in range(10)])) == 10


def test_a_merge_whose_reading_left_keys_out_overwrites_nothing(rows: DynamoDBTable, cloud: Cloud) -> None:
    rows.merge([row("1", "2025-03-10"), row("2", "2025-03-10")], replace)
    cloud.fail("BatchGetItem", aws.unprocessed(2))
    assert rows.merge([row("1", DAY), row("2", DAY)], merge_row) == 2
    assert rows.get(["1"])["1"]["days"] == [DAY, "2025-03-10"]


def test_keys_that_are_left_out_for_ever_are_an_error(rows: DynamoDBTable, cloud: Cloud) -> None:
    rows.merge([row("1")], replace)
    cloud.fail("BatchGetItem", *[aws.unprocessed(1)] * 10)
    with pytest.raises(StoreError, match="left 1 rows out"):
        rows.get(["1"])


@pytest.mark.parametrize("there", [[], ["2025-03-11"]], ids=["new", "known"])
def test_a_row_that_another_run_writes_first_is_merged_again_and_not_overwritten(
    rows: DynamoDBTable, cloud: Cloud, there: list[str]
) -> None:
    """The run of another day writes the same clip after this run has read it and before it writes it."""
    rows.merge([row("1", day) for day in there], replace)
    other = opened()
    raced: list[int] = []

    def race(call: Call) -> None:
        if call.operation == "PutItem" and not raced:
            raced.append(call.number)
            other.merge([row("1", "2025-03-10")], merge_row)

    cloud.before = race
    assert rows.merge([row("1", DAY)], merge_row) == 1
    assert rows.get(["1"])["1"]["days"] == [DAY, "2025-03-10", *there]


@pytest.mark.parametrize(
    "fault",
    [
        aws.error(400, "ProvisionedThroughputExceededException"),
        aws.error(400, "ThrottlingException"),
        aws.error(500, "InternalServerError"),
        aws.dropped_before,
        aws.dropped_after,
    ],
    ids=lambda fault: f"{fault.kind} {fault.code}",
)
@pytest.mark.parametrize("operation", ["PutItem", "BatchGetItem", "Query", "DescribeTable"])
def test_a_passing_fault_passes(rows: DynamoDBTable, cloud: Cloud, operation: str, fault: aws.Fault) -> None:
    cloud.fail(operation, fault)
    assert rows.merge([row("1"), row("2")], replace) == 2
    assert [one["id"] for one in rows.day(DAY)] == ["1", "2"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (aws.error(400, "ProvisionedThroughputExceededException", times=None), "table SportsHighlights is too busy"),
        (aws.error(400, "AccessDeniedException", times=None), "may not do PutItem on the table SportsHighlights"),
        (aws.error(400, "ExpiredTokenException", times=None), "credentials have expired"),
        (aws.error(400, "UnrecognizedClientException", times=None), "does not know these credentials"),
        (aws.error(400, "ValidationException", "Item size has exceeded", times=None), "Item size has exceeded"),
    ],
)
def test_a_fault_that_stays_is_one_sentence(rows: DynamoDBTable, cloud: Cloud, fault: aws.Fault, said: str) -> None:
    cloud.fail("PutItem", fault)
    with pytest.raises(StoreError, match=said) as caught:
        rows.merge([row("1")], replace)
    assert "\n" not in str(caught.value)


def test_a_missing_table_is_told_and_never_made(cloud: Cloud) -> None:
    with pytest.raises(StoreError, match="there is no table nowhere in us-east-1; set DYNAMODB_TABLE and AWS_REGION"):
        opened("nowhere").merge([row("1")], replace)
    assert cloud.client("dynamodb").list_tables()["TableNames"] == []


def test_a_table_with_another_key_is_told(cloud: Cloud) -> None:
    cloud.client("dynamodb").create_table(
        TableName="other", BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )  # fmt: skip
    with pytest.raises(StoreError, match="has another key than `id`"):
        opened("other").get(["1"])


def test_no_region_is_told(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:

    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with pytest.raises(SettingsError, match="no AWS region is set; set AWS_REGION"):
        clients.dynamodb(RetryPolicy())


def test_a_table_without_the_index_is_written_and_warned_about_once(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    """The pipeline that this project grew from has such a table: a hash key and no index."""
    cloud.make_table(TABLE, index=False)
    table = opened()
    caplog.set_level(logging.WARNING)
    assert table.merge([row(str(number)) for number in range(3)], merge_row) == 3
    assert table.merge([row("3", "2025-03-10")], merge_row) == 1
    assert [one["id"] for one in table.day(DAY)] == ["0", "1", "2"]
    assert [one["id"] for one in table.day("2025-03-10")] == ["3"]
    (warning,) = [record.getMessage() for record in caplog.records if "index" in record.getMessage()]
    assert "has no index by_game_date: rows are written, but finding a day's rows reads the whole table" in warning


def test_a_row_of_another_program_becomes_ours_once(rows: DynamoDBTable, cloud: Cloud) -> None:
    cloud.client("dynamodb").put_item(
        TableName=TABLE, Item={"id": {"S": "1"}, "fetch_date": {"S": "2024-01-01"}, "note": {"S": "by hand"}}
    )
    given: Row = row("1")
    assert rows.merge([given], merge_row) == 1
    assert rows.get(["1"])["1"] == given
    assert rows.merge([given], merge_row) == 0


@pytest.mark.parametrize(
    "odd",
    [
        {"days": {"S": "2025-03-09"}}, {"days": {"SS": ["2025-03-09"]}}, {"days": {"NULL": True}}, {"days": {"L": []}},
        {"game_date": {"N": "5"}}, {"removed_from": {"S": "x"}}, {"removed_from": {"M": {"2025-03-09": {"N": "5"}}}},
        {"first_seen": {"BOOL": True}}, {"note": {"B": b"bytes"}, "days": {"S": "x"}}, {"ncaa_assets_text": {"S": "{"}},
        {"ncaa_assets_text": {"N": "5"}}, {"ncaa_assets_text": {"S": "[1]"}},
        {"ncaa_assets_text": {"S": '{"id": "2"}'}},
        {"ncaa_assets_text": {"S": '{"x": ' + "[" * 900 + "]" * 900 + "}"}}, {"ncaa_assets_revision": {"N": "5"}},
        {"title": {"S": "edited"}}, {"ncaa_assets_revision": {"SS": ["a", "b"]}, "days": {"S": "x"}},
    ],
    ids=str,
)  # fmt: skip
def test_a_row_that_another_program_edited_into_any_shape_is_written_anew(
    rows: DynamoDBTable, cloud: Cloud, odd: dict[str, Any]
) -> None:
    given = row("1")
    rows.merge([given], merge_row)
    cloud.client("dynamodb").put_item(TableName=TABLE, Item={**item(cloud, "1"), **odd})
    assert isinstance(rows.get(["1"])["1"], dict)
    assert rows.merge([given], merge_row) in (0, 1)
    assert rows.get(["1"])["1"] == given
    assert [found["id"] for found in rows.day(given["game_date"])] == ["1"]
    assert rows.merge([given], merge_row) == 0


def test_an_endpoint_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, cloud: Cloud) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(BackupError, match="cannot be reached"):
        opened().day(DAY)
