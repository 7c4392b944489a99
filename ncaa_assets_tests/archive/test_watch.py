"""What one look saw the next ones know, also those of a later process of the same boot, and nothing else."""

import json
from typing import Any

import pytest

from ncaa_assets.archive import watch
from ncaa_assets.archive.watch import Watch


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds since the boot, which a test sets."""
    now = [1000.0]
    monkeypatch.setattr(watch, "elapsed", lambda: now[0])
    monkeypatch.setattr(watch, "this_boot", lambda: "a boot")
    return now


def test_what_does_not_change_is_known_for_how_long(clock: list[float]) -> None:
    seen = Watch()
    assert seen.look("lease", "1").unchanged_for == 0
    clock[0] += 30
    assert seen.look("lease", "1").unchanged_for == 30
    clock[0] += 30
    there = seen.look("lease", "2")
    assert (there.unchanged_for, there.changed) == (0, True)
    clock[0] += 30
    assert seen.look("lease", "2").unchanged_for == 30
    assert seen.look("another", "2").unchanged_for == 0
    seen.forget("lease")
    assert not seen.look("lease", "3").changed


def test_a_later_process_goes_on_with_what_an_earlier_one_saw(clock: list[float]) -> None:
    earlier, later = Watch(), Watch()
    earlier.look("lease", "1")
    earlier.look("old", "1")
    clock[0] += 100
    earlier.look("lease", "1")
    clock[0] += 100
    dumped = json.loads(json.dumps(earlier.dump()))
    assert list(dumped["seen"]) == ["lease"], "what nobody looks at any more is left out"
    later.recall(dumped)
    assert later.look("lease", "1").unchanged_for == 200


def test_a_process_that_knows_something_later_keeps_that(clock: list[float]) -> None:
    earlier, later = Watch(), Watch()
    earlier.look("lease", "1")
    dumped = earlier.dump()
    clock[0] += 10
    later.look("lease", "2")
    later.recall(dumped)
    clock[0] += 10
    assert later.look("lease", "2").unchanged_for == 10


def test_what_another_boot_saw_tells_nothing(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    earlier, later = Watch(), Watch()
    earlier.look("lease", "1")
    dumped = earlier.dump()
    monkeypatch.setattr(watch, "this_boot", lambda: "the next")
    clock[0] += 60
    later.recall(dumped)
    assert later.look("lease", "1").unchanged_for == 0


def test_a_machine_whose_boots_have_no_name_hands_nothing_over(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "this_boot", lambda: "")
    earlier, later = Watch(), Watch()
    earlier.look("lease", "1")
    assert earlier.dump() == {}
    later.recall({"boot": "", "seen": {"lease": {"version": "1", "first": 0, "last": 999}}})
    assert later.look("lease", "1").unchanged_for == 0


@pytest.mark.parametrize("entry", [
    None, 1, [], {}, {"version": "1"}, {"version": 1, "first": 0, "last": 999},
    {"version": "1", "first": "0", "last": 999}, {"version": "1", "first": 999, "last": 0},
    {"version": "1", "first": 0, "last": 1e9}, {"version": "1", "first": float("nan"), "last": float("nan")},
    {"version": "1", "first": 0, "last": None},
])  # fmt: skip
def test_what_is_no_look_is_passed_over(clock: list[float], entry: Any) -> None:
    seen = Watch()
    for dumped in ({"boot": "a boot", "seen": {"lease": entry}}, {"boot": "a boot", "seen": entry}, entry):
        seen.recall(dumped)
    assert seen.look("lease", "1").unchanged_for == 0
