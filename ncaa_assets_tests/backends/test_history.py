"""The earlier versions of documents in `.history/`: none is lost, and their names are in order, whatever the clock
says."""

import errno
import os
import re
from datetime import UTC, datetime, timedelta
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.failures import StoreError

DAY = "2025-03-09"
KEY = f"highlights/{DAY}.json"


def history(store: LocalStore) -> list[Path]:
    return sorted((store.root / ".history" / "highlights" / DAY).iterdir())


class _Clock(datetime):
    """A clock that says what a test has it say."""

    says = datetime(2025, 3, 10, tzinfo=UTC)

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return cls.says.astimezone(tz)


def _no_links(*_: object, **__: object) -> None:
    raise PermissionError(errno.EPERM, "Operation not permitted")  # exFAT answers so


@pytest.mark.parametrize("has_links", [True, False])
def test_no_clock_loses_a_version_or_its_place_in_the_order(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    monkeypatch.setattr("ncaa_assets.backends.local.store.datetime", _Clock)
    if not has_links:
        monkeypatch.setattr(os, "link", _no_links)
    started = _Clock.says
    for number, hours in enumerate([0, 0, 0, 24 * 365 * 13, 0, -5, -5, 0]):  # frozen, in 2038, and back
        monkeypatch.setattr(_Clock, "says", started + timedelta(hours=hours))
        store.write(KEY, str(number).encode())
    assert [path.read_bytes() for path in history(store)] == [str(number).encode() for number in range(7)]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d{6}\.\d{6}Z\.json", path.name) for path in history(store))
    assert store.read(KEY)[0] == b"7"
    assert list((store.root / ".tmp").iterdir()) == []


def test_what_somebody_else_put_into_the_history_stays_and_decides_no_name(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ncaa_assets.backends.local.store.datetime", _Clock)
    folder = store.root / ".history" / "highlights" / DAY
    folder.mkdir(parents=True)
    others = ["notes.json", "9999-12-31T235959.999999Z.json", "2025-03-10T000000.000000Z.txt", "9.json"]
    for name in others:
        (folder / name).write_bytes(b"somebody's")
    store.write(KEY, b"one")
    store.write(KEY, b"two")
    (kept,) = {path.name for path in history(store)} - set(others)
    assert (kept, (folder / kept).read_bytes()) == ("2025-03-10T000000.000000Z.json", b"one")
    assert {(folder / name).read_bytes() for name in others} == {b"somebody's"}


def _write_many(root: str, name: str, links: bool) -> None:
    import ncaa_assets.backends.local.store as module

    module.datetime = _Clock  # type: ignore[attr-defined]
    if not links:
        os.link = _no_links
    store = module.LocalStore(Path(root))
    for number in range(50):
        store.write(KEY, f"{name}{number}".encode())


@pytest.mark.parametrize("has_links", [True, False])
def test_two_processes_in_the_same_microsecond_lose_no_version(
    store: LocalStore, forkserver: ForkServerContext, has_links: bool
) -> None:
    writers = [forkserver.Process(target=_write_many, args=(str(store.root), name, has_links)) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    kept = [path.read_bytes() for path in history(store)]
    written = [f"{name}{number}".encode() for name in "ab" for number in range(50)]
    assert sorted([*kept, store.read(KEY)[0]]) == sorted(written)


def test_a_version_that_cannot_be_kept_stops_the_write(store: LocalStore) -> None:
    store.write(KEY, b"one")
    (store.root / ".history").write_bytes(b"a file in the folder's place")
    with pytest.raises(StoreError):
        store.write(KEY, b"two")
    assert store.read(KEY)[0] == b"one"
