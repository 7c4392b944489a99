"""Rows in a DynamoDB table: hash key `id`, and an index `by_game_date` that finds a day's rows.

Rows are read in batches. Each is written with a conditional put of its own, several at a time: a put only replaces the
version that the row was merged from. So two days that list the same clip at the same moment cannot lose each other's
writes. (A batch write takes no conditions. A transaction does, but it costs double and fails as a whole.)

A row is stored attribute by attribute, so that anybody can query it. What DynamoDB cannot hold (numbers of more than 38
digits, nesting beyond 32 levels, empty names, half an emoji: "Constraints" in its developer guide) is stored as JSON
text in an attribute of its own, and read back from there.
"""

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal, DecimalException
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from boto3.dynamodb.types import DYNAMODB_CONTEXT, Binary, TypeDeserializer, TypeSerializer

from ncaa_assets.backends.aws.boto import explained
from ncaa_assets.failures import StoreBusy, StoreError, TableUnusable
from ncaa_assets.ports import HighlightTable, MergeRow
from ncaa_assets.record import json_text
from ncaa_assets.record.rows import Row, stored_row
from ncaa_assets.retry import RetryPolicy

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

log = logging.getLogger(__name__)

INDEX = "by_game_date"

_BATCH = 100  # keys in one BatchGetItem
_PUTS_AT_A_TIME = 8
_MOST_MERGES = 50  # attempts at one row; each fails only where another process wrote the row in between
_DEEPEST = 30  # levels in one attribute; DynamoDB allows 32, and the item takes some

_REVISION = "ncaa_assets_revision"  # changes with every write of a row
_TEXT = "ncaa_assets_text"  # JSON text of the fields that DynamoDB cannot hold

Item = Mapping[str, Any]

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


class DynamoDBTable(HighlightTable):
    """Rows in one existing table, through a boto3 DynamoDB client."""

    def __init__(self, client: "DynamoDBClient", name: str, *, retry: RetryPolicy = RetryPolicy()) -> None:
        self._client, self._table = client, name
        self._retry = partial(retry.loop, log=log)
        self._checking = threading.Lock()
        self._has_index: bool | None = None  # None: the table was not examined yet

    def merge(self, rows: Iterable[Row], merge: MergeRow) -> int:
        waiting = iter(rows)
        written: set[str] = set()
        with self._errors(), ThreadPoolExecutor(_PUTS_AT_A_TIME, "rows") as pool:
            while batch := list(islice(waiting, _BATCH)):
                written |= self._merge_batch(batch, merge, pool)
        return len(written)

    def _merge_batch(self, batch: Sequence[Row], merge: MergeRow, pool: ThreadPoolExecutor) -> set[str]:
        todo: dict[str, list[Row]] = {}
        for row in batch:
            todo.setdefault(row["id"], []).append(row)
        written: set[str] = set()
        sent: dict[str, Item] = {}  # the revision of each row's last put
        for _ in range(_MOST_MERGES):
            stored: dict[str, tuple[Row | None, Item | None]] = {
                key: (_row(item), item.get(_REVISION)) for key, item in self._items(list(todo)).items()
            }
            # A put that succeeded but lost its answer looks like a put that another process prevented.
            written |= {key for key, (_, revision) in stored.items() if revision and revision == sent.get(key)}
            puts = []
            for key, new_rows in todo.items():
                present, revision = stored.get(key, (None, None))
                merged = _merged(present, new_rows, merge)
                if merged is not None:
                    sent[key] = {"S": uuid4().hex}
                    puts.append((merged, present is not None, revision, sent[key]))
            done = pool.map(lambda put: self._put(*put), puts)
            lost = [put[0]["id"] for put, is_written in zip(puts, done, strict=True) if not is_written]
            written |= {put[0]["id"] for put in puts} - set(lost)
            todo = {key: todo[key] for key in lost}
            if not todo:
                return written
        raise StoreError(
            f"row {next(iter(todo))} of the table {self._table} is changed by others all the time; run the day again"
        )

    def get(self, ids: Sequence[str]) -> dict[str, Row]:
        rows: dict[str, Row] = {}
        with self._errors():
            unique = list(dict.fromkeys(ids))
            for start in range(0, len(unique), _BATCH):
                items = self._items(unique[start : start + _BATCH])
                rows.update((key, _row(item)) for key, item in items.items())
        return rows

    def day(self, game_date: str) -> list[Row]:
        with self._errors():
            return sorted((_row(item) for item in self._of_day(game_date)), key=lambda row: row["id"])

    def uri(self) -> str:
        return f"dynamodb://{self._client.meta.region_name}/{self._table}"

    def _of_day(self, game_date: str) -> Iterator[Item]:
        values = {":day": {"S": game_date}}
        if self._has_index:
            for page in self._client.get_paginator("query").paginate(
                TableName=self._table, IndexName=INDEX,
                KeyConditionExpression="game_date = :day", ExpressionAttributeValues=values,
            ):  # fmt: skip
                yield from page["Items"]
            return
        for scanned in self._client.get_paginator("scan").paginate(
            TableName=self._table, FilterExpression="game_date = :day", ExpressionAttributeValues=values
        ):
            yield from scanned["Items"]

    def _items(self, ids: Sequence[str]) -> dict[str, Item]:
        """The items with these ids (100 at most), read consistently."""
        items: dict[str, Item] = {}
        request: dict[str, Any] = {self._table: {"Keys": [{"id": {"S": key}} for key in ids], "ConsistentRead": True}}

        def ask() -> None:
            nonlocal request
            answer = self._client.batch_get_item(RequestItems=request)
            items.update((item["id"]["S"], item) for item in answer["Responses"].get(self._table, []))
            request = dict(answer["UnprocessedKeys"])
            if left := request.get(self._table):
                raise StoreBusy(f"the table {self._table} left {len(left['Keys'])} rows out; run it again later")

        if ids:
            self._retry(what=f"reading rows of {self._table}")(ask)
        return items

    def _put(self, row: Row, replaces: bool, revision: Item | None, new_revision: Item) -> bool:
        """Replaces the version that the row was merged from. Returns False where the table has another by now."""
        condition: dict[str, Any]
        if not replaces:
            condition = {"ConditionExpression": "attribute_not_exists(id)"}
        elif revision is None:  # another program wrote the row
            condition = {"ConditionExpression": f"attribute_exists(id) AND attribute_not_exists({_REVISION})"}
        else:
            condition = {
                "ConditionExpression": f"{_REVISION} = :seen",
                "ExpressionAttributeValues": {":seen": dict(revision)},
            }
        item = {**_item(row), _REVISION: dict(new_revision)}
        try:
            self._client.put_item(TableName=self._table, Item=item, **condition)
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Wraps every use of the table: examines the table once, and explains errors."""
        region = self._client.meta.region_name
        missing = (
            f"there is no table {self._table} in {region}; set DYNAMODB_TABLE and AWS_REGION to one that exists "
            "(Terraform or a person creates it, never a run)"
        )
        with explained(f"the table {self._table}", {"ResourceNotFoundException": missing}, kind=TableUnusable):
            self._look_once()
            yield

    def _look_once(self) -> None:
        with self._checking:
            if self._has_index is not None:
                return
            table = self._client.describe_table(TableName=self._table)["Table"]
            keys = [(key["AttributeName"], key["KeyType"]) for key in table["KeySchema"]]
            types = {field["AttributeName"]: field["AttributeType"] for field in table["AttributeDefinitions"]}
            if keys != [("id", "HASH")] or types.get("id") != "S":
                raise TableUnusable(
                    f"the table {self._table} has another key than `id` (text); set DYNAMODB_TABLE to one that has it"
                )
            indexes = [index.get("IndexName") for index in table.get("GlobalSecondaryIndexes", [])]
            if INDEX not in indexes:
                log.warning(
                    "the table %s has no index %s: rows are written, but finding a day's rows reads the whole table "
                    "each time. Add the index (hash key game_date, range key id, all attributes)", self._table, INDEX,
                )  # fmt: skip
            self._has_index = INDEX in indexes


def _merged(stored: Row | None, new_rows: Sequence[Row], merge: MergeRow) -> Row | None:
    """The stored row after merging the new rows of its id one by one, or None where nothing changes."""
    result: Row | None = None
    for row in new_rows:
        if (merged := merge(stored, row)) is not None:
            stored = result = merged
    return result


def _item(row: Row) -> dict[str, Any]:
    attributes = {name: value for name, value in row.items() if _can_hold_name(name) and _can_hold(value, 0)}
    rest = {name: value for name, value in row.items() if name not in attributes}
    item: dict[str, Any] = {name: _serialize(value) for name, value in attributes.items()}
    return {**item, _TEXT: {"S": json_text.dumps(rest).decode()}} if rest else item


def _row(item: Item) -> Row:
    row: Row = {name: _plain(_deserialize(value)) for name, value in item.items() if name not in (_REVISION, _TEXT)}
    key, game_date = row["id"], row.get("game_date")
    try:
        rest = json_text.loads(item[_TEXT]["S"]) if _TEXT in item else {}
    except (ValueError, KeyError):  # another program wrote it
        rest = None
    return stored_row(row | rest if isinstance(rest, dict) else None, key, game_date)


def _can_hold_name(name: str) -> bool:
    return bool(name) and name not in (_REVISION, _TEXT) and _can_hold(name, 0)


def _can_hold(value: object, depth: int) -> bool:
    """Whether DynamoDB can hold a JSON value and give back an equal one."""
    match value:
        case str():
            try:
                value.encode()
            except UnicodeEncodeError:
                return False
            return True
        case bool() | None:
            return True
        case int() | Decimal():
            try:
                DYNAMODB_CONTEXT.create_decimal(value)
            except DecimalException:
                return False
            return True
        case list():
            return depth < _DEEPEST and all(_can_hold(item, depth + 1) for item in value)
        case dict():
            return depth < _DEEPEST and all(
                bool(name) and _can_hold(name, 0) and _can_hold(item, depth + 1) for name, item in value.items()
            )
    return False


def _plain(value: Any) -> Any:
    """A deserialized value with the types that JSON has: whole numbers become ints."""
    match value:
        case Decimal():
            exponent = value.as_tuple().exponent
            return int(value) if isinstance(exponent, int) and exponent >= 0 else value
        case list():
            return [_plain(item) for item in value]
        case dict():
            return {name: _plain(item) for name, item in value.items()}
        case set():  # which only another program writes, as it does bytes
            return sorted(map(str, value))
        case Binary():
            return repr(value)
    return value
