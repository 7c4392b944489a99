"""Several pieces of work at a time, each result as soon as it is known: the one loop behind copies and encodes."""

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Python runs a signal's handler between two instructions of the main thread. One that comes right before the thread
# falls asleep does not wake it, so it sleeps in short pieces.
_LOOK_EVERY = 0.5


def at_once(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    limit: int,
    name: str,
    end: Callable[[], None],
    followed_by: Callable[[Result], Iterable[Item]] = lambda _: (),
) -> Generator[Result, None, None]:
    """Yields `work(item)` for each item, in the order in which the results come, `limit` items at a time.

    An exception that `work` raises for one item is raised here and ends the others. However the generator ends (closed
    early, by an exception or at its natural end), items that have not begun are dropped, and it returns once those that
    have begun are done; `end` is what makes them hurry.

    Args:
        name: what the threads are called.
        end: called once, when the generator ends; makes work that is under way stop soon.
        followed_by: the items that a result calls for in addition; they begin before the result is yielded.
    """
    with ThreadPoolExecutor(limit, name) as pool:
        try:
            under_way = {pool.submit(work, item) for item in items}
            while under_way:
                done, under_way = wait(under_way, _LOOK_EVERY, return_when=FIRST_COMPLETED)
                for future in done:
                    result = future.result()
                    under_way |= {pool.submit(work, item) for item in followed_by(result)}
                    yield result
        finally:
            end()
            pool.shutdown(wait=False, cancel_futures=True)
