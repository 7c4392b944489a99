"""What must hold before anything is written: the archive is the settings' own, and the day is nobody else's."""

import json
import logging
import multiprocessing
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from ncaa_assets.archive import lease, watch
from ncaa_assets.archive.identity import IDENTITY_KEY, Identity
from ncaa_assets.archive.lease import Holder, Lease, holder_of
from ncaa_assets.archive.watch import WATCH
from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.failures import LeaseHeld, LeaseLost, SettingsError, StoreError, WriteConflict
from ncaa_assets.ports import Expect
from ncaa_assets.record.models import SCHEMA_VERSION
from ncaa_assets.record.written import parse_document

DAY = "2025-03-09"
LEASE = f".leases/{DAY}.json"
OURS = Identity(source="sample", module=None, league="NCAA", timezone="America/New_York")
FORK = multiprocessing.get_context("fork")  # quick, and no thread of ours runs where it is used


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.005)


# ---- Identity --------------------------------------------------------------------------------------------------------


def test_an_empty_store_is_nobodys_and_becomes_ours_only_when_claimed(store: LocalStore) -> None:
    assert OURS.stored(store) is None
    assert not store.root.exists()
    OURS.claim(store, "nba")
    assert OURS.stored(store) == OURS.model_copy(update={"module": "nba"})
    assert json.loads((store.root / "archive.json").read_text(encoding="utf-8")) == {
        "content_sha256": ANY,
        "schema_version": SCHEMA_VERSION,
        "source": "sample",
        "module": "nba",
        "league": "NCAA",
        "timezone": "America/New_York",
        "moves": [],
    }


@pytest.mark.parametrize(
    ("field", "value", "variable"),
    [
        ("source", "api.example/basketball/highlights", "RAPIDAPI_KEY"),
        ("league", "NBA", "LEAGUE_NAME"),
        ("timezone", "Europe/Berlin", "TIMEZONE"),
    ],
)
def test_settings_that_differ_in_one_field_are_refused_and_nothing_is_written(
    store: LocalStore, field: str, value: str, variable: str
) -> None:
    OURS.claim(store, "nba")
    before = (store.root / "archive.json").read_bytes()
    other = OURS.model_copy(update={field: value})
    for act in (other.stored, lambda store: other.claim(store, None), lambda store: other.move(store, "basketball")):
        with pytest.raises(SettingsError) as refusal:
            act(store)
        for part in (repr(value), repr(getattr(OURS, field)), variable, "DATA_DIR", store.uri(IDENTITY_KEY)):
            assert part in str(refusal.value)
    assert (store.root / "archive.json").read_bytes() == before
    assert not (store.root / ".history").exists()


def test_an_archive_of_a_newer_version_is_refused(store: LocalStore) -> None:
    newer = OURS.model_copy(update={"schema_version": SCHEMA_VERSION + 1})
    newer.claim(store, "nba")
    with pytest.raises(SettingsError, match="newer"):
        OURS.stored(store)


@pytest.mark.parametrize("version", ["3", '"9"', "9.0"])
def test_a_newer_version_is_refused_however_it_is_written(store: LocalStore, version: str) -> None:
    data = f'{{"schema_version": {version}, "of": "another shape"}}'.encode()
    store.write(IDENTITY_KEY, data)
    with pytest.raises(SettingsError, match="newer ncaa-assets"):
        OURS.claim(store, "nba")
    assert store.read(IDENTITY_KEY)[0] == data


@pytest.mark.parametrize("version", ["true", '"x"', "null", "0", "-1"])
def test_a_version_that_is_none_is_damage_that_is_said(store: LocalStore, version: str) -> None:
    text = f'{{"schema_version": {version}, "source": "sample", "league": "NCAA", "timezone": "America/New_York"}}'
    store.write(IDENTITY_KEY, text.encode())
    with pytest.raises(StoreError, match=r"is damaged .schema_version: .* not a whole number"):
        OURS.stored(store)


def test_an_identity_of_version_1_is_read_and_what_is_not_known_of_it_is_kept(store: LocalStore) -> None:
    stored = {"schema_version": 1, "source": "sample", "league": "NCAA", "timezone": "America/New_York", "new": [1]}
    store.write(IDENTITY_KEY, json.dumps(stored).encode())
    assert OURS.stored(store)
    read = parse_document(Identity, store.read(IDENTITY_KEY)[0])
    assert read.model_dump() == stored | {"schema_version": SCHEMA_VERSION, "module": "basketball", "moves": []}


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"source": "sample"}', b"\xff\xfe"])
def test_a_damaged_identity_is_said_and_never_overwritten(store: LocalStore, data: bytes) -> None:
    store.write(IDENTITY_KEY, data)
    with pytest.raises(StoreError, match="damaged"):
        OURS.claim(store, "nba")
    assert store.read(IDENTITY_KEY)[0] == data


def test_of_two_that_claim_an_empty_store_at_once_the_second_is_checked(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both found it empty; the other's claim came between our look and our write."""
    write = store.write

    def other_first(key: str, data: bytes, **options: Any) -> str:
        monkeypatch.undo()
        OURS.model_copy(update={"league": "NBA"}).claim(store, "nba")
        return write(key, data, **options)

    monkeypatch.setattr(store, "write", other_first)
    with pytest.raises(SettingsError, match="league"):
        OURS.claim(store, "nba")
    assert b"NBA" in store.read(IDENTITY_KEY)[0]


# ---- Lease -----------------------------------------------------------------------------------------------------------


SHORT = 0.5  # seconds that a lease lasts here: nobody waits for a minute


def written(store: LocalStore) -> Holder:
    return Holder.model_validate_json(store.read(LEASE)[0])


def expires(store: LocalStore) -> datetime:
    holder = written(store)
    assert holder.expires is not None
    return holder.expires


def put_holder(store: LocalStore, **changes: Any) -> None:
    moment = datetime.now(UTC)
    given: dict[str, Any] = {
        "owner": "other-run", "host": "elsewhere/", "pid": 1, "since": moment, "expires": moment + timedelta(minutes=1),
    }  # fmt: skip
    store.write(LEASE, Holder(**(given | changes)).model_dump_json().encode())


def test_a_held_day_is_refused_to_a_second_run_and_names_the_first(store: LocalStore) -> None:
    with Lease(store, DAY, "first-run"):
        with pytest.raises(LeaseHeld, match=f"{DAY}.*run first-ru on host {socket.gethostname()}"):
            Lease(store, DAY, "second-run").__enter__()
        assert written(store).owner == "first-run"
        with Lease(store, "2025-03-10", "second-run"):
            pass  # another day is free


def test_a_lease_is_given_back_on_leaving(store: LocalStore) -> None:
    with Lease(store, DAY, "a"):
        assert (there := holder_of(store, DAY)) is not None
        assert there.owner == "a"
    assert store.info(LEASE) is None
    assert holder_of(store, DAY) is None


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_lease_is_given_back_on_an_exception(store: LocalStore, error: type[BaseException]) -> None:
    with pytest.raises(error), Lease(store, DAY, "a"):
        raise error
    assert store.info(LEASE) is None


@pytest.mark.parametrize("expires_in", [-1, 0, 60, 10**9])
def test_another_machines_lease_that_nobody_renews_is_free_once_it_was_watched(
    store: LocalStore, caplog: pytest.LogCaptureFixture, expires_in: float
) -> None:
    put_holder(store, expires=datetime.now(UTC) + timedelta(seconds=expires_in))
    started = time.monotonic()
    with caplog.at_level(logging.WARNING), Lease(store, DAY, "ours", seconds=SHORT):
        assert time.monotonic() - started >= SHORT
        assert written(store).owner == "ours"
    assert caplog.text.count("may be held by run other-ru on host elsewhere") == 1


@pytest.mark.parametrize("clock", [-400, -1, 0, 400])
def test_another_machines_lease_that_is_renewed_is_held_whatever_its_clock_says(store: LocalStore, clock: int) -> None:
    put_holder(store, since=None)
    at = datetime.now(UTC) + timedelta(days=clock)
    renewing = threading.Timer(SHORT / 2, lambda: put_holder(store, since=at, expires=at + timedelta(seconds=1)))
    renewing.start()
    with pytest.raises(LeaseHeld, match="other-ru on host elsewhere"):
        Lease(store, DAY, "ours", seconds=60).__enter__()  # which the renewal ends, however busy the machine is
    assert written(store).owner == "other-run"


def test_a_release_is_seen_at_once(store: LocalStore) -> None:
    put_holder(store)
    threading.Timer(0.2, lambda: store.delete(LEASE)).start()
    started = time.monotonic()
    with Lease(store, DAY, "ours", seconds=60):
        assert time.monotonic() - started < 10


def test_what_one_look_saw_the_next_ones_know(store: LocalStore) -> None:
    """A command looks before it makes a run; the run need not watch again."""
    put_holder(store)
    assert holder_of(store, DAY, seconds=SHORT, wait=False) is not None
    assert holder_of(store, DAY, seconds=SHORT) is None
    started = time.monotonic()
    with Lease(store, DAY, "ours", seconds=SHORT):
        assert time.monotonic() - started < SHORT / 2


def test_looks_that_lie_far_apart_are_no_watching(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine slept between them, and the holder's too: it renews its lease once it is awake."""
    put_holder(store)
    assert holder_of(store, DAY, wait=False) is not None
    now = watch.elapsed()
    monkeypatch.setattr(watch, "elapsed", lambda: now + 3600)
    assert holder_of(store, DAY, wait=False) is not None


GARBAGE: list[Any] = [None, "", "x", -1, 0, 2**31, 2**64, 1.5, [], {}, "2038-01-01T00:00:00", "1970-01-01T00:00:00Z"]


@pytest.mark.parametrize("value", GARBAGE, ids=str)
@pytest.mark.parametrize("field", ["owner", "host", "pid", "since", "expires", "boot", "started", "renewed"])
@pytest.mark.parametrize("is_ours", [False, True])
def test_whatever_stands_in_a_lease_it_is_watched_and_then_free(
    store: LocalStore, field: str, value: Any, is_ours: bool
) -> None:
    with Lease(store, DAY, "dead-run", seconds=0.05):
        stored = json.loads(store.read(LEASE)[0])
    host = {} if is_ours else {"host": "elsewhere/", "boot": "another"}
    store.write(LEASE, json.dumps({**stored, **host, "pid": dead_process(), field: value}).encode())
    with Lease(store, DAY, "ours", seconds=0.05):
        assert written(store).owner == "ours"


@pytest.mark.parametrize("pid", [0, -1, -2, 2**31, 2**64, "1", None])
def test_a_number_that_is_no_process_is_never_asked_for(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, pid: Any
) -> None:
    """`kill(-1, …)` means every process that there is."""
    asked: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, _: asked.append(pid))
    with Lease(store, DAY, "dead-run"):
        stored = json.loads(store.read(LEASE)[0])
    store.write(LEASE, json.dumps({**stored, "pid": pid, "started": None, "renewed": None}).encode())
    assert holder_of(store, DAY, seconds=SHORT, wait=False) is not None
    assert holder_of(store, DAY, seconds=SHORT) is None
    assert {one for one in asked if not 0 < one < 2**31} == set()


def test_a_process_id_that_another_program_has_by_now_holds_nothing(store: LocalStore) -> None:
    with Lease(store, DAY, "dead-run"):
        stored = json.loads(store.read(LEASE)[0])
    assert isinstance(stored["started"], int)
    store.write(LEASE, json.dumps({**stored, "started": stored["started"] - 1}).encode())
    assert holder_of(store, DAY) is None
    store.write(LEASE, json.dumps({**stored, "pid": os.getppid(), "started": None, "renewed": 1}).encode())
    started = time.monotonic()
    assert holder_of(store, DAY, seconds=SHORT, wait=False) is not None, "it may be a holder that slept"
    WATCH.forget(store.uri(LEASE))
    assert holder_of(store, DAY, seconds=SHORT) is None
    assert time.monotonic() - started >= SHORT


def test_a_process_of_another_machine_with_this_ones_name_is_not_looked_for_here(store: LocalStore) -> None:
    """Two fresh servers are both called `ubuntu`, and have the same process namespace."""
    put_holder(store, host=lease._this_host(), pid=dead_process(), boot="another machine's")
    assert holder_of(store, DAY, wait=False) is not None
    put_holder(store, host=lease._this_host(), pid=dead_process(), boot=watch.this_boot())
    assert holder_of(store, DAY, wait=False) is None


def test_a_process_that_has_ended_and_that_nobody_has_waited_for_holds_nothing(store: LocalStore) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    try:
        wait_until(lambda: lease._process(child.pid)[0] == "Z")
        put_holder(store, host=lease._this_host(), pid=child.pid, boot=watch.this_boot(), renewed=watch.elapsed())
        assert holder_of(store, DAY) is None
    finally:
        child.wait()


def test_a_living_holder_of_this_machine_that_has_just_slept_is_watched_and_keeps_its_day(store: LocalStore) -> None:
    """Its latest renewal is hours old by any clock, until it has renewed the lease once more."""
    with Lease(store, DAY, "sleeper", seconds=SHORT):
        slept = json.loads(store.read(LEASE)[0])
        slept["renewed"] -= 7200
        store.write(LEASE, json.dumps(slept).encode())
        threading.Timer(0.1, store.write, (LEASE, json.dumps({**slept, "renewed": 0}).encode())).start()
        with pytest.raises(LeaseHeld, match="sleeper"):
            Lease(store, DAY, "ours", seconds=60).__enter__()


def test_the_holder_itself_goes_by_no_clock_that_anybody_sets(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Jumping(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime(2099, 1, 1, tzinfo=tz)

    with Lease(store, DAY, "ours") as held:
        monkeypatch.setattr(lease, "datetime", Jumping)
        held.check()


def test_a_holder_that_slept_is_not_sure_of_its_day_until_it_has_renewed_the_lease(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, slept = watch.elapsed, 0.0
    monkeypatch.setattr(watch, "elapsed", lambda: now() + slept)

    def is_sure(held: Lease) -> bool:
        try:
            held.check()
        except LeaseLost as lost:
            assert "silent for longer" in str(lost)
            return False
        return True

    with Lease(store, DAY, "ours") as held:
        renewed, slept = written(store).renewed, 3600.0
        assert not is_sure(held)
        wait_until(lambda: is_sure(held), seconds=10)  # and not after the third of a minute that its sleep had left
        assert written(store).renewed != renewed
    assert store.info(LEASE) is None


def dead_process() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_a_dead_process_of_this_machine_holds_nothing_and_a_live_one_does(store: LocalStore) -> None:
    put_holder(store, host=lease._this_host(), pid=os.getppid(), boot=watch.this_boot(), renewed=watch.elapsed())
    with pytest.raises(LeaseHeld):
        Lease(store, DAY, "ours").__enter__()
    put_holder(store, host=lease._this_host(), pid=dead_process())
    assert holder_of(store, DAY) is None
    with Lease(store, DAY, "ours"):
        assert written(store).owner == "ours"


def test_a_process_that_was_killed_leaves_its_day_free_at_once(store: LocalStore) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from ncaa_assets.backends.local.store import LocalStore; from ncaa_assets.archive.lease import Lease\n"
        f"Lease(LocalStore(Path(sys.argv[1])), {DAY!r}, 'child-run').__enter__()\n"
        "print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(store.root)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(LeaseHeld, match="child-ru"):
            Lease(store, DAY, "ours").__enter__()
        child.kill()
    with Lease(store, DAY, "ours"):
        assert written(store).owner == "ours"


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{}", b"not JSON", b'{"owner": 1}', b"[]", b"null", b"\xff", b"[" * 100_000, b"\x00" * 10_000_000,
        b'{"owner": "' + b"x" * 10_000_000 + b'", "host": "' + b"y" * 10_000_000 + b'"}',
        b'{"owner": "\\ud800", "renewed": NaN}', b'{"owner": "r", "renewed": Infinity, "pid": 1e999}',
        b'{"owner": "\\u001b[31m\\nALERT", "since": "0001-01-01T00:00:00+23:59"}',
        b'{"owner": "r", "since": "9999-12-31T23:59:59-23:59"}',
    ],
    ids=lambda data: repr(data[:24]),
)  # fmt: skip
def test_an_unreadable_lease_is_watched_as_any_other(
    store: LocalStore, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    store.write(LEASE, data)
    there = holder_of(store, DAY, wait=False)
    assert there is not None
    assert str(there).isprintable()
    assert len(str(there)) < 300
    with caplog.at_level(logging.WARNING), Lease(store, DAY, "ours", seconds=SHORT):
        assert written(store).owner == "ours"
    assert f"{DAY} may be held by " in caplog.text


def test_an_unreadable_lease_that_somebody_renews_is_held(store: LocalStore) -> None:
    store.write(LEASE, b"of a version to come")
    threading.Timer(0.2, store.write, (LEASE, b"and renewed by it")).start()
    with pytest.raises(LeaseHeld, match="an unknown run on an unknown host"):
        Lease(store, DAY, "ours", seconds=60).__enter__()


def test_a_lease_that_was_renewed_since_it_was_judged_is_not_removed(store: LocalStore) -> None:
    put_holder(store)
    judged = lease.look(store, DAY)
    assert judged is not None
    put_holder(store, pid=2)
    assert not lease.remove_lease_of(store, DAY, owner="other-run", version=judged.version)
    assert written(store).pid == 2
    store.delete(LEASE)
    assert not lease.remove_lease_of(store, DAY, owner="other-run", version=judged.version), "somebody else did"
    assert lease.remove_lease_of(store, DAY, owner="other-run"), "there is none any more"


def test_a_heartbeat_renews_the_lease_for_as_long_as_it_is_held(store: LocalStore) -> None:
    with Lease(store, DAY, "a", seconds=0.9) as lease:
        first = expires(store)
        wait_until(lambda: expires(store) > first + timedelta(seconds=1.8))  # past its first end, twice
        lease.check()
        with pytest.raises(LeaseHeld):
            Lease(store, DAY, "b").__enter__()
        since = written(store).since
        assert since is not None
        assert since < first
    assert not any(thread.name == f"lease-{DAY}" for thread in threading.enumerate())
    assert not (store.root / ".history").exists()


def test_a_lease_that_another_took_is_noticed_and_not_given_back(store: LocalStore) -> None:
    with Lease(store, DAY, "ours", seconds=0.9) as lease:
        lease.check()
        put_holder(store)

        def lost() -> bool:
            try:
                lease.check()
            except LeaseLost as error:
                return "another run took it" in str(error)
            return False

        wait_until(lost)
    assert written(store).owner == "other-run"


def test_a_lease_taken_just_before_leaving_is_left_to_its_new_holder(
    store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), Lease(store, DAY, "ours"):
        put_holder(store)
    assert written(store).owner == "other-run"
    assert "could not be given back" in caplog.text


def test_a_run_that_was_silent_for_longer_than_its_lease_stops(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A store that cannot be reached: the lease ends while the run still works."""
    with Lease(store, DAY, "ours", seconds=0.1) as lease:

        def away(*_: object, **__: object) -> str:
            raise StoreError("the disk is gone")

        monkeypatch.setattr(store, "write", away)

        def lost() -> bool:
            try:
                lease.check()
            except LeaseLost:
                return True
            return False

        wait_until(lost)
        with pytest.raises(LeaseLost, match="run the day again"):
            lease.check()
        monkeypatch.undo()
    assert "could not be renewed" in caplog.text


def test_a_heartbeat_goes_on_after_credentials_that_were_gone_for_a_while(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bucket says so with `SettingsError`; they may be renewed before the lease ends."""
    with Lease(store, DAY, "ours", seconds=1.5):
        first, asked = expires(store), threading.Event()

        def away(*_: object, **__: object) -> str:
            asked.set()
            raise SettingsError("the credentials have expired")

        monkeypatch.setattr(store, "write", away)
        assert asked.wait(60)
        monkeypatch.undo()
        wait_until(lambda: expires(store) > first)


def test_a_lease_that_was_given_back_holds_nothing_more(store: LocalStore) -> None:
    with Lease(store, DAY, "ours") as lease:
        lease.check()
    with pytest.raises(LeaseLost, match="it was given back"):
        lease.check()


def test_entering_sweeps_what_killed_runs_of_the_day_left(store: LocalStore) -> None:
    upload = store.upload(f"videos/{DAY}/1.mp4", content_type="video/mp4")
    upload.write(b"half")
    with Lease(store, DAY, "ours"):
        assert [path.name for path in (store.root / ".tmp").iterdir()] == []


def race(root: Path, start: "Barrier", results: "Queue[str]") -> None:
    store = LocalStore(root)
    start.wait(30)
    try:
        Lease(store, DAY, f"run-{os.getpid()}", seconds=3).__enter__()
        results.put("won")
    except LeaseHeld:
        results.put("held")
    finally:
        results.close()
        results.join_thread()
    time.sleep(60)  # alive until it is ended: a dead winner's day would be free


@pytest.mark.parametrize("before", ["free", "left by a dead machine"])
def test_of_eight_processes_that_race_for_a_day_exactly_one_wins(store: LocalStore, before: str) -> None:
    if before != "free":
        put_holder(store)
    results: Queue[str] = FORK.Queue()
    start = FORK.Barrier(8)
    racers = [FORK.Process(target=race, args=(store.root, start, results), daemon=True) for _ in range(8)]
    try:
        for racer in racers:
            racer.start()
        assert sorted(results.get(timeout=30) for _ in racers) == ["held"] * 7 + ["won"]
    finally:
        for racer in racers:
            racer.kill()
            racer.join()


def test_of_eight_threads_that_race_for_a_day_exactly_one_wins(store: LocalStore) -> None:
    barrier, outcomes = threading.Barrier(8), []

    def run(number: int) -> None:
        lease = Lease(LocalStore(store.root), DAY, f"run-{number}")
        barrier.wait(10)
        try:
            lease.__enter__()
        except LeaseHeld:
            outcomes.append("held")
        else:
            outcomes.append("won")
            winners.append(lease)

    winners: list[Any] = []
    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["held"] * 7 + ["won"]
    winners[0].__exit__(None, None, None)


def test_a_lease_is_written_only_over_what_was_read(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between our look at a dead run's lease and our write, another run took it."""
    put_holder(store, host=lease._this_host(), pid=dead_process())
    read = store.read

    def then_taken(key: str) -> tuple[bytes, str]:
        found = read(key)
        monkeypatch.undo()
        put_holder(store, owner="quicker")
        return found

    monkeypatch.setattr(store, "read", then_taken)
    with pytest.raises(LeaseHeld, match="at this very moment"):
        Lease(store, DAY, "ours").__enter__()
    assert written(store).owner == "quicker"
    with pytest.raises(WriteConflict):
        store.write(LEASE, b"x", expect=Expect.NOTHING)


# ---- Several machines ------------------------------------------------------------------------------------------------

_MACHINE = """
import os, random, signal, sys, time
from datetime import datetime, timedelta
from pathlib import Path
from ncaa_assets.archive import lease, watch
from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.failures import LeaseHeld, LeaseLost

root, name, seed = sys.argv[1:]
chance = random.Random(seed)
ahead = timedelta(days=chance.choice([-400, -1, 0, 1, 400]))

class Clock(datetime):
    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + ahead

lease.datetime = Clock
lease._this_host = lambda: "ubuntu/"  # they have one name
watch.this_boot = lambda: name
booted, elapsed = chance.uniform(-1e6, 1e6), watch.elapsed
watch.elapsed = lambda: elapsed() + booted
inside = Path(root, "inside")
for _ in range(8):
    try:
        with lease.Lease(LocalStore(Path(root)), "2025-03-09", name, seconds=0.9) as held:
            held.check()
            inside.write_text(name)
            time.sleep(chance.uniform(0, 2))
            if chance.random() < 0.2:
                os.kill(os.getpid(), signal.SIGKILL)
            last = inside.read_text()
            held.check()  # on a machine that is too busy to renew it, the lease may be lost
            if last != name:
                sys.exit(f"{last} came in while {name} had the day")
    except LeaseHeld:
        time.sleep(chance.uniform(0, 0.3))
    except LeaseLost:
        pass
"""


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_of_machines_with_different_clocks_that_are_killed_or_sleep_one_at_a_time_has_the_day(
    store: LocalStore, seed: int
) -> None:
    store.root.mkdir(parents=True, exist_ok=True)
    arguments = [[sys.executable, "-c", _MACHINE, str(store.root), f"m{one}", f"{seed}-{one}"] for one in range(3)]
    machines = [subprocess.Popen(line, stderr=subprocess.PIPE, text=True) for line in arguments]
    chance, deadline = random.Random(seed), time.monotonic() + 120  # noqa: S311
    try:
        while any(machine.poll() is None for machine in machines):
            assert time.monotonic() < deadline
            sleeper = chance.choice(machines)
            sleeper.send_signal(signal.SIGSTOP)
            time.sleep(chance.uniform(0, 1.5))  # longer than a lease lasts, or not
            sleeper.send_signal(signal.SIGCONT)
            time.sleep(chance.uniform(0, 0.5))
        for machine in machines:
            _, said = machine.communicate()
            assert machine.returncode in (0, -9), said
    finally:
        for machine in machines:
            machine.kill()
            machine.wait()


# ---- Wrong clocks, with real processes ----------------------------------------------------------------------------

_UNDER_A_CLOCK = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from ncaa_assets.archive import lease, watch
from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.failures import LeaseHeld

root, holds_for = sys.argv[1:]
lease._this_host = lambda: "elsewhere/"
try:
    with lease.Lease(LocalStore(Path(root)), "2025-03-09", "their-run", seconds=1.5) as held:
        print("held", datetime.now(UTC).year, flush=True)
        watch.pause(float(holds_for))
        held.check()
        print("held to its end", flush=True)
except LeaseHeld as held:
    print(held)
"""
_LIBFAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


def under_a_clock(store: LocalStore, clock: str, *, is_booted: bool, holds_for: float) -> "subprocess.Popen[str]":
    store.root.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", _UNDER_A_CLOCK, str(store.root), str(holds_for)],
        env=os.environ
        | {
            "LD_PRELOAD": str(_LIBFAKETIME),
            "FAKETIME": clock,
            "FAKETIME_DONT_FAKE_MONOTONIC": "0" if is_booted else "1",
        },
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.skipif(_LIBFAKETIME is None, reason="libfaketime is not there (Debian: apt-get install faketime)")
@pytest.mark.parametrize("clock", ["-400d", "-1d", "+1d", "+400d"])
@pytest.mark.parametrize("is_booted", [False, True], ids=["wall", "wall and boot"])
def test_a_wrong_clock_neither_costs_a_holder_its_day_nor_gives_a_taker_anothers(
    store: LocalStore, clock: str, is_booted: bool
) -> None:
    with under_a_clock(store, clock, is_booted=is_booted, holds_for=4) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().startswith("held ")
        with pytest.raises(LeaseHeld, match="their-ru on host elsewhere"):
            Lease(store, DAY, "ours", seconds=1.5).__enter__()
        assert holder.stdout.read() == "held to its end\n"
    with Lease(store, DAY, "ours", seconds=1.5), under_a_clock(store, clock, is_booted=is_booted, holds_for=0) as taker:
        assert taker.stdout is not None
        assert "is being backed up by run ours on host" in taker.stdout.read()
    put_holder(store, expires=datetime(2038, 1, 1, tzinfo=UTC))
    with under_a_clock(store, clock, is_booted=is_booted, holds_for=0) as taker:
        assert taker.stdout is not None
        assert taker.stdout.read().endswith("held to its end\n"), "of a dead one"


def test_leaving_does_not_wait_for_the_next_look(store: LocalStore) -> None:
    """An import or a table that is rebuilt holds thousands of days, one after the other."""
    took = []
    for _ in range(5):
        with Lease(store, DAY, "a run"):
            began = watch.elapsed()
        took.append(watch.elapsed() - began)
    assert min(took) < 0.04
