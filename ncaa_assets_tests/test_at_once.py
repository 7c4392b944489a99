"""Several pieces of work at a time: in which order results come, how many run, and what an end ends."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from ncaa_assets.at_once import at_once


def nothing() -> None: ...


def test_each_result_comes_as_soon_as_it_is_known() -> None:
    released = threading.Event()

    def work(item: str) -> str:
        if item == "slow":
            assert released.wait(30)
        return item

    results = at_once(work, ["slow", "a", "b"], limit=2, name="test", end=nothing)
    assert [next(results), next(results)] == ["a", "b"], "one slow item delays no other"
    released.set()
    assert list(results) == ["slow"]


def test_as_many_run_at_a_time_as_the_limit_and_no_more() -> None:
    barrier, lock, running, most = threading.Barrier(3), threading.Lock(), 0, 0

    def work(_: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        barrier.wait(30)  # none goes on before three are here
        with lock:
            running -= 1

    assert len(list(at_once(work, range(6), limit=3, name="test", end=nothing))) == 6
    assert most == 3


def test_what_a_result_calls_for_begins_before_the_result_is_yielded() -> None:
    began = threading.Event()

    def work(item: int) -> int:
        if item == 2:
            began.set()
        return item

    results = at_once(
        work, [1], limit=1, name="test", end=nothing, followed_by=lambda result: [2] if result == 1 else ()
    )
    assert next(results) == 1
    assert began.wait(30)
    assert list(results) == [2]


def test_replacements_are_taken_until_there_are_none() -> None:
    waiting = iter("cde")

    def replacement(result: str) -> Iterator[str]:
        if result != "d" and (following := next(waiting, None)) is not None:
            yield following

    results = list(at_once(str, "ab", limit=1, name="test", end=nothing, followed_by=replacement))
    assert sorted(results) == ["a", "b", "c", "d", "e"]


def test_closing_ends_what_runs_and_drops_what_has_not_begun() -> None:
    ended, began = threading.Event(), []

    def work(item: int) -> int:
        began.append(item)
        if item:
            assert ended.wait(30)
        return item

    results = at_once(work, range(100), limit=2, name="test", end=ended.set)
    assert next(results) == 0
    results.close()
    assert ended.is_set()
    assert len(began) <= 4, "none of the others begins after the end"


def test_an_exception_of_one_item_is_raised_and_ends_the_others() -> None:
    ended = threading.Event()

    def work(item: str) -> None:
        if item == "bad":
            raise ValueError("the bad one")
        assert ended.wait(30)

    with pytest.raises(ValueError, match="the bad one"):
        list(at_once(work, ["good", "bad", "later"], limit=2, name="test", end=ended.set))
    assert ended.is_set()


@pytest.mark.parametrize("items", [[], [1, 2]])
def test_the_end_is_called_once_also_when_everything_is_done(items: list[int]) -> None:
    ends: list[None] = []
    assert sorted(at_once(abs, items, limit=2, name="test", end=lambda: ends.append(None))) == items
    assert len(ends) == 1


def test_a_signal_that_does_not_wake_the_sleeping_thread_is_noticed_all_the_same() -> None:
    """Another thread takes it, as when it comes in the moment before the main thread falls asleep."""
    ended, hurried = threading.Event(), []

    def work(_: int) -> None:
        _until_asleep(threading.main_thread())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        os.kill(os.getpid(), signal.SIGINT)
        hurried.append(ended.wait(10))

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with pytest.raises(KeyboardInterrupt):
            list(at_once(work, [1], limit=1, name="test", end=ended.set))
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    assert hurried == [True]


def _until_asleep(thread: threading.Thread) -> None:
    """Waits until a thread stands at one instruction of `Condition.wait` for a while."""
    stood, at = 0, None
    while stood < 50:
        frame = sys._current_frames()[thread.ident or 0]
        now = (frame.f_code.co_name, frame.f_lasti)
        stood, at = (stood + 1 if now == at and now[0] == "wait" else 0), now
        time.sleep(0.001)
