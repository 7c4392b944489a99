"""What the assets share: a step does its work where the run holds the day, and nothing where another run does."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import dagster as dg

from ncaa_assets.archive.archive import HeldDay, TakenDay
from ncaa_assets.defs.metadata import shown
from ncaa_assets.defs.resources import Day

T = TypeVar("T")


@dataclass(frozen=True)
class Done(Generic[T]):
    """A step's result: its value, its metadata, and the version of its content (None: Dagster makes one)."""

    value: T
    metadata: dict[str, Any]
    data_version: str | None = None


def materialized(day: Day, step: Callable[[HeldDay], Done[T]]) -> Iterator[dg.MaterializeResult[T]]:
    """Yields the materialization of `step` for a held day, and nothing for a day that another run holds.

    Materializations of made-up data are marked, so that nobody takes them for real.
    """
    if isinstance(day, TakenDay):
        return
    done = step(day)
    marks = {}
    if day.archive.settings.uses_sample:
        marks = {"SAMPLE": "made-up data from the sample API; set RAPIDAPI_KEY to back up real games"}
    yield dg.MaterializeResult(
        value=done.value,
        metadata=shown({**done.metadata, **marks}),
        data_version=None if done.data_version is None else dg.DataVersion(done.data_version),
    )
