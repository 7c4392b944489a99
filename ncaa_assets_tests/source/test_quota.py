"""What is left of a day's API requests: kept where all runs see it, believed for a while, spent down to the reserve."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.failures import QuotaKept, QuotaSpent, StoreError
from ncaa_assets.settings import Settings
from ncaa_assets.source import quota as module
from ncaa_assets.source.open import open_quota, open_source
from ncaa_assets.source.quota import Quota
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import ScriptedApi, serve_api

DAY, RESERVE = "2026-01-10", 5
NOON = datetime(2026, 1, 11, 12, tzinfo=UTC)


class Clock(datetime):
    """The time that quota.py sees."""

    at = NOON

    @classmethod
    def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
        return cls.at.astimezone(tz)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Clock]]:
    monkeypatch.setattr(module, "datetime", Clock)
    yield Clock
    Clock.at = NOON


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "data")


@pytest.fixture
def api(server: ScriptedServer) -> ScriptedApi:
    return serve_api(server)


def of_key(
    store: LocalStore, key: str = "a-key", *, reserve: int = RESERVE, address: str = "https://a.example/nba"
) -> Quota:
    return Quota(store, address=address, key=key, reserve=reserve)


def settings(api: ScriptedApi, **given: Any) -> Settings:
    values = {"api_base": api.base_url, "rapidapi_key": "a-key-that-must-not-show", "retry_count": 0, "retry_delay": 0}
    return Settings.model_validate({**values, **given})


def ask(api: ScriptedApi, store: LocalStore, **given: Any) -> None:
    with open_source(settings(api, **given), store=store) as source:
        source.first_page(DAY, "nba")


def test_nothing_is_known_and_all_may_be_asked_until_an_answer_says_how_many_are_left(store: LocalStore) -> None:
    quota = of_key(store)
    assert quota.left() is None
    quota.take()
    quota.heard(None)
    assert quota.left() is None
    assert not Path(store.path(".quota")).exists(), "an API that counts nothing leaves nothing behind"
    quota.heard(7)
    assert (quota.left(), of_key(store).left()) == (7, 7)


def test_requests_are_taken_down_to_the_reserve_whoever_takes_them(store: LocalStore) -> None:
    of_key(store).heard(7)
    for left in (6, 5):
        of_key(store).take()
        assert of_key(store).left() == left
    with pytest.raises(QuotaKept) as refused:
        of_key(store).take()
    assert str(refused.value) == (
        "5 API requests are left today and QUOTA_RESERVE keeps 5; run it again tomorrow, or set QUOTA_RESERVE lower"
    )
    of_key(store, reserve=4).take()
    assert of_key(store).left() == 4


def test_where_none_is_left_no_lower_reserve_helps(store: LocalStore) -> None:
    of_key(store, reserve=0).heard(0)
    with pytest.raises(QuotaKept, match=r"^0 API requests are left today .*or an hour after you upgraded the plan$"):
        of_key(store, reserve=0).take()


@pytest.mark.parametrize(
    ("later", "is_believed"),
    [
        (timedelta(0), True),
        (timedelta(minutes=59, seconds=59), True),
        (timedelta(hours=1), False),
        (timedelta(minutes=-5), True),  # by a machine whose clock is a little ahead
        (timedelta(minutes=-11), False),  # by one whose clock was wrong
        (timedelta(days=400), False),
    ],
)
def test_it_is_believed_for_an_hour(store: LocalStore, clock: type[Clock], later: timedelta, is_believed: bool) -> None:
    of_key(store).heard(5)
    clock.at = NOON + later
    assert of_key(store).left() == (5 if is_believed else None)


@pytest.mark.parametrize(("at", "is_believed"), [((23, 59, 59), True), ((0, 0, 0), False)])
def test_and_no_longer_than_until_the_api_counts_anew(
    store: LocalStore, clock: type[Clock], at: tuple[int, int, int], is_believed: bool
) -> None:
    clock.at = NOON.replace(hour=23, minute=30)
    of_key(store).heard(0)
    clock.at = NOON.replace(hour=at[0], minute=at[1], second=at[2]) + timedelta(days=int(not is_believed))
    assert of_key(store).left() == (0 if is_believed else None)


def test_an_answer_that_comes_after_the_api_counts_anew_is_of_the_day_before(
    store: LocalStore, clock: type[Clock]
) -> None:
    quota = of_key(store)
    clock.at = NOON.replace(hour=23, minute=59, second=58)
    quota.take()
    clock.at += timedelta(seconds=5)
    quota.heard(5)
    assert quota.left() is None


def test_taking_does_not_make_it_younger(store: LocalStore, clock: type[Clock]) -> None:
    of_key(store).heard(50)
    clock.at = NOON + timedelta(minutes=40)
    of_key(store).take()
    clock.at = NOON + timedelta(minutes=61)
    assert of_key(store).left() is None


@pytest.mark.parametrize("other", [{"key": "another-key"}, {"address": "https://b.example/nba"}])
def test_another_key_or_door_has_its_own_count_and_no_key_can_be_read_in_it(
    store: LocalStore, other: dict[str, Any]
) -> None:
    of_key(store).heard(5)
    assert of_key(store, **other).left() is None
    of_key(store, **other).heard(90)
    assert (of_key(store).left(), of_key(store, **other).left()) == (5, 90)
    stored = list(Path(store.path(".quota")).iterdir())
    assert len(stored) == 2
    assert not any("key" in f"{path.name}{path.read_text()}" for path in stored)


def test_one_module_and_all_modules_of_a_door_are_one_count(store: LocalStore) -> None:
    of_key(store, address="https://a.example/nba").heard(5)
    assert of_key(store, address="https://a.example/basketball").left() == 5


@pytest.mark.parametrize("junk", [b"", b"{", b"null", b'{"left": -1, "at": "2026-01-11T12:00:00Z"}', b'{"left": 5}'])
def test_what_cannot_be_read_says_nothing_and_is_written_anew(store: LocalStore, junk: bytes) -> None:
    of_key(store).heard(7)
    (stored,) = Path(store.path(".quota")).iterdir()
    stored.write_bytes(junk)
    of_key(store).take()
    assert of_key(store).left() is None
    of_key(store).heard(6)
    assert of_key(store).left() == 6


def test_runs_at_once_take_each_request_once(store: LocalStore, clock: type[Clock]) -> None:
    of_key(store).heard(25)
    together = threading.Barrier(4)

    def run(_: int) -> int:
        quota, taken = of_key(store), 0
        together.wait()
        while True:
            try:
                quota.take()
            except QuotaKept:
                return taken
            taken += 1

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(run, range(4))) == 20
    assert of_key(store).left() == 5


def test_an_answer_that_does_not_count_anothers_request_yet_does_not_give_it_back(store: LocalStore) -> None:
    of_key(store).heard(8)
    slow, quick = of_key(store), of_key(store)
    slow.take()
    quick.take()
    slow.heard(7)  # the API had seen the slow one's request alone
    assert of_key(store).left() == 6
    quick.heard(6)
    assert of_key(store).left() == 6


def test_a_plan_that_was_upgraded_shows_with_the_next_answer(store: LocalStore) -> None:
    quota = of_key(store)
    quota.heard(8)
    quota.take()
    quota.heard(7_400)
    assert quota.left() == 7_400


def test_a_store_that_fails_is_told_and_keeps_no_request_from_being_made(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> Any:
        raise StoreError("the disk is full")

    monkeypatch.setattr(LocalStore, "read", broken)
    quota = of_key(store)
    assert quota.left() is None
    quota.take()
    quota.heard(7)
    told = [entry.getMessage() for entry in caplog.records]
    assert told == ["how many API requests are left today cannot be noted: the disk is full"] * 3


def test_every_request_is_counted_also_one_that_fails_and_is_made_again(
    api: ScriptedApi, store: LocalStore, server: ScriptedServer
) -> None:
    ask(api, store)
    left = open_quota(settings(api), store)
    assert left is not None
    assert (left.left(), api.quota_left) == (99, 99)
    server.on("/nba/highlights", Reply(b"{}", 503))
    with pytest.raises(Exception, match="is down"):
        ask(api, store, retry_count=2)
    assert left.left() == 96, "no header said so"


def test_an_answer_with_an_absurd_number_says_nothing_and_the_day_goes_on(api: ScriptedApi, store: LocalStore) -> None:
    api.quota_left = 10**18 - 1
    ask(api, store)
    assert open_quota(settings(api), store).left() is None  # type: ignore[union-attr]


def test_an_api_that_refuses_for_today_is_not_asked_again(api: ScriptedApi, store: LocalStore) -> None:
    api.quota_left = 0
    with pytest.raises(QuotaSpent):
        ask(api, store, quota_reserve=0)
    for reserve in (0, 5):
        with pytest.raises(QuotaKept):
            ask(api, store, quota_reserve=reserve)
    assert len(api.asked("nba")) == 1


def test_a_listing_stops_where_other_runs_have_spent_what_it_needs(api: ScriptedApi, store: LocalStore) -> None:
    """Its own answers would let it go on."""

    def meanwhile(_: str) -> list[Any]:
        if api.quota_left and api.quota_left > RESERVE:
            of_key(store, "a-key-that-must-not-show", address=api.base_url).heard(RESERVE)
        return [{"id": number, "title": "T", "url": "https://x.example/1.mp4"} for number in range(90)]

    ask(api, store)
    api.highlights["nba"] = meanwhile
    with open_source(settings(api), store=store) as source:
        answer = source.fetch_day(DAY, "nba")
    assert (answer.requests, len(answer.records), answer.whole) == (1, 40, False)
    assert answer.gaps[0].startswith("page 2 did not come: 5 API requests are left today and QUOTA_RESERVE keeps 5")
    assert len(api.asked("nba")) == 2


def test_the_sample_counts_nothing(store: LocalStore, tmp_path: Path) -> None:
    given = Settings.model_validate({"data_dir": tmp_path / "data"})
    assert open_quota(given, store) is None
    with open_source(given, store=store) as source:
        source.first_page(DAY, "nba")
    assert not Path(store.path(".quota")).exists()


def test_what_is_stored_is_as_the_format_says(store: LocalStore) -> None:
    of_key(store).heard(7)
    (stored,) = Path(store.path(".quota")).iterdir()
    assert json.loads(stored.read_bytes()) == {"left": 7, "at": "2026-01-11T12:00:00Z"}
