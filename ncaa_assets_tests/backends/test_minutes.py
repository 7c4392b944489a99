"""The minutes of a date, reserved by all runs together."""

import multiprocessing
from datetime import UTC, datetime
from multiprocessing.queues import Queue

import boto3
import pytest

from ncaa_assets.backends.aws.minutes import MINUTES, reserve
from ncaa_assets.backends.aws.s3 import S3Store
from ncaa_assets.failures import EncodeRefused, StoreError
from ncaa_assets.record import json_text
from ncaa_assets_tests.loopback.aws import Cloud

BUCKET = "highlights"
NIGHT = datetime(2025, 3, 9, 23, 59, tzinfo=UTC)
SPAWN = multiprocessing.get_context("spawn")  # the stand-in's threads do not survive a fork


@pytest.fixture
def store(cloud: Cloud) -> S3Store:
    cloud.make_bucket(BUCKET)
    return S3Store(boto3.client("s3"), BUCKET)


def reserved(store: S3Store, date: str) -> dict[str, float]:
    minutes: dict[str, float] = json_text.loads(store.read(f"{MINUTES}{date}.json")[0])["minutes"]
    return minutes


def test_an_intent_counts_once_and_each_date_has_minutes_of_its_own(store: S3Store) -> None:
    for _ in range(2):
        reserve(store, "a", 6, most=10, at=NIGHT)
    assert reserved(store, "2025-03-09") == {"a": 6}
    with pytest.raises(EncodeRefused, match=r"6\.0 of today's 10 .*; it waits until 2025-03-10 00:00 UTC") as waits:
        reserve(store, "b", 5, most=10, at=NIGHT)
    assert waits.value.kind == "waits"
    reserve(store, "b", 5, most=10, at=NIGHT.replace(day=10))
    assert reserved(store, "2025-03-10") == {"b": 5}


def test_what_no_date_has_room_for_does_not_wait(store: S3Store) -> None:
    with pytest.raises(EncodeRefused) as refusal:
        reserve(store, "a", 10.5, most=10, at=NIGHT)
    assert refusal.value.kind == "broken"
    assert store.info(f"{MINUTES}2025-03-09.json") is None


@pytest.mark.parametrize("content", [b"{", b'{"date": "2025-03-09", "minutes": 7}', b'{"schema_version": 99}'])
def test_minutes_that_cannot_be_read_are_not_taken_for_none(store: S3Store, content: bytes) -> None:
    store.write(f"{MINUTES}2025-03-09.json", content)
    with pytest.raises(StoreError, match=r"2025-03-09\.json is "):
        reserve(store, "a", 1, most=10, at=NIGHT)


def reserve_many(name: int, outcomes: "Queue[tuple[str, bool]]") -> None:
    store = S3Store(boto3.client("s3"), BUCKET)
    for number in range(5):
        token = f"{name}-{number}"
        try:
            reserve(store, token, 1, most=12, at=NIGHT)
        except EncodeRefused:
            outcomes.put((token, False))
        else:
            outcomes.put((token, True))


def test_runs_at_the_same_time_never_reserve_more_than_there_is(store: S3Store) -> None:
    outcomes: Queue[tuple[str, bool]] = SPAWN.Queue()
    runs = [SPAWN.Process(target=reserve_many, args=(name, outcomes)) for name in range(4)]
    for run in runs:
        run.start()
    given = dict(outcomes.get(timeout=60) for _ in range(20))
    for run in runs:
        run.join(timeout=60)
    granted = {token for token, was_granted in given.items() if was_granted}
    assert len(granted) == 12
    assert reserved(store, "2025-03-09").keys() == granted
