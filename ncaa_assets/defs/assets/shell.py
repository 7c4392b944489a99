"""What the four assets share: a step works where the run holds its day, and does nothing where another run does."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import dagster as dg

from ncaa_assets.archive.lease import HeldDay, TakenDay
from ncaa_assets.defs.resources import Day

T = TypeVar("T")


@dataclass(frozen=True)
class Done(Generic[T]):
    """What a step came to: its value, what people see of it, and what identifies its content (None: Dagster's own)."""

    value: T
    metadata: dict[str, Any]
    data_version: str | None = None


def materialized(day: Day, step: Callable[[HeldDay], Done[T]]) -> Iterator[dg.MaterializeResult[T]]:
    """The materialization that `step` gives for a held day; none for a day that another run holds.

    Every materialization of made-up data is marked, so that it can't pass for real.
    """
    if isinstance(day, TakenDay):
        return
    done = step(day)
    marks = {}
    if day.archive.settings.uses_sample:
        marks = {"SAMPLE": "made-up data from the sample API; set RAPIDAPI_KEY to back up real games"}
    yield dg.MaterializeResult(
        value=done.value,
        metadata={**done.metadata, **marks},
        data_version=None if done.data_version is None else dg.DataVersion(done.data_version),
    )
