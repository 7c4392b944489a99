"""Days backed up one after the other: the loop that a day, a range and `catch-up` share, with its care for the quota.

Strictly one at a time: a day's videos already use what the network and the machine have. What is kept of a day here is
a line of a table, so that a range of years takes the memory of a day.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING

import click
from pydantic import BaseModel, ValidationError

from ncaa_assets.archive import lease as archive
from ncaa_assets.archive.day_state import state_of
from ncaa_assets.backends import open_table
from ncaa_assets.failures import ObjectMissing, SourceError
from ncaa_assets.ports import ObjectStore
from ncaa_assets.settings import Settings
from ncaa_assets.text import visible

if TYPE_CHECKING:
    import dagster as dg

    from ncaa_assets.runs.outcome import DayRun

log = logging.getLogger(__name__)

# A range that the day's quota cut short is gone on with on the next days; by then older answers are worth asking again.
_RANGE_LASTS = timedelta(days=3)


class Result(Enum):
    """How one day of several came out; the value is what a person reads."""

    BACKED_UP = "backed up"
    DONE_BEFORE = "done before"
    HELD = "held by another run"
    FAILED = "FAILED"
    NOT_STARTED = "not started"


@dataclass(frozen=True)
class DayResult:
    """One day's line: how it came out, why it is not backed up where it is not, its run, and its numbers (None: the run
    did not get that far)."""

    day: date
    result: Result
    why: str | None = None
    run_id: str | None = None
    seconds: float | None = None
    highlights: int | None = None
    new: int | None = None
    copied: int | None = None
    skipped: int | None = None
    encoded: int | None = None

    @property
    def is_done(self) -> bool:
        return self.result in (Result.BACKED_UP, Result.DONE_BEFORE)


@dataclass(frozen=True)
class DayByDay:
    """Backs up days on one instance. `trigger` names the command in the runs' tags, `alerts_by` who alerts there where
    the sensor does not; with `force`, what is there is copied and encoded again."""

    instance: "dg.DagsterInstance"
    settings: Settings
    store: ObjectStore
    trigger: str
    alerts_by: str | None = None
    force: bool = False

    def back_up(
        self,
        days: Sequence[date],
        *,
        needless: Callable[[date], str | None] = lambda _: None,
        report: Callable[[date, "DayRun"], None] = lambda _day, _ended: None,
    ) -> Iterator[DayResult]:
        """Backs up the days in order and yields each one's result; a day that fails ends no other.

        A day for which `needless` gives a reason, asked right before it would start, is left. `report` is called with
        each run that ended.

        Raises:
            KeyboardInterrupt: a run was ended from outside; its day and those after it have no result.
        """
        reserve = self.settings.quota_reserve
        left = _requests_left(self.settings, days) if len(days) > 1 and not self.settings.uses_sample else None
        from ncaa_assets.definitions import build_defs  # noqa: PLC0415 - Dagster takes seconds to import

        defs = build_defs(self.settings)
        for at, day in enumerate(days):
            if left is not None and left <= reserve:
                why = f"stopped before {day}: {left} API requests are left today and QUOTA_RESERVE keeps {reserve}"
                yield from (DayResult(one, Result.NOT_STARTED, why) for one in days[at:])
                return
            if reason := needless(day):
                yield DayResult(day, Result.DONE_BEFORE, reason)
                continue
            if holder := archive.holder(self.store, day.isoformat()):
                yield DayResult(day, Result.HELD, f"it is being backed up by {holder}; nothing was done here")
                continue
            started = time.monotonic()
            ended = self._execute(defs, day)
            # A day that failed before its answer was stored spent at least one request too.
            left = ended.requests_left if ended.requests_left is not None or left is None else left - 1
            if ended.spent_the_quota:
                left = 0
            if ended.cancelled:
                raise KeyboardInterrupt
            report(day, ended)
            yield _result(day, ended, time.monotonic() - started)

    def _execute(self, defs: "dg.Definitions", day: date) -> "DayRun":
        """One run of the day; where it had a task of its own and lost it, a second in its place."""
        from ncaa_assets.defs.automation import SENSOR  # noqa: PLC0415
        from ncaa_assets.runs.execute import execute_day, launches_on_ecs  # noqa: PLC0415

        def execute(retry_of: str | None) -> "DayRun":
            return execute_day(
                self.instance,
                defs,
                day,
                force=self.force,
                trigger=self.trigger,
                alerts_by=self.alerts_by or SENSOR,
                retry_of=retry_of,
            )

        ended = execute(None)
        if not (ended.lost_its_worker and launches_on_ecs(self.instance)):
            return ended
        log.warning("%s: run %s: %s; running it again, once", day, ended.run_id[:8], ended.what_went_wrong())
        archive.clear(self.store, day.isoformat(), owner=ended.run_id)
        return execute(ended.run_id)


def _result(day: date, ended: "DayRun", seconds: float) -> DayResult:
    result, why = Result.BACKED_UP, None
    if ended.found_it_held:
        result, why = Result.HELD, "another run holds the day; nothing was done here"
    elif not ended.is_whole:
        result, why = Result.FAILED, ended.what_went_wrong() or "the run ended before all of its assets were there"
    return DayResult(
        day,
        result,
        why,
        run_id=ended.run_id,
        seconds=seconds,
        highlights=ended.number("highlights", "highlights"),
        new=ended.number("highlights", "new"),
        copied=ended.number("videos", "copied"),
        skipped=ended.number("videos", "skipped"),
        encoded=ended.number("processed_videos", "encoded"),
    )


def _requests_left(settings: Settings, days: Sequence[date]) -> int | None:
    """Asks how many API requests are left today and says, before a range starts, where they will not do for it: each
    day takes at least one. None where the API does not say."""
    from ncaa_assets.defs.resources import HighlightsApiResource  # noqa: PLC0415

    try:
        with HighlightsApiResource.of(settings).process_config_and_initialize_cm() as api:
            left = api.requests_left(days[0].isoformat())
    except SourceError as error:
        click.secho(f"how many API requests are left could not be asked: {visible(error)}", fg="yellow", err=True)
        return None
    if left is not None and left - settings.quota_reserve < len(days):
        click.secho(
            f"{len(days)} days take at least {len(days)} API requests, and {max(0, left - settings.quota_reserve)} can "
            f"be spent today ({left} left, QUOTA_RESERVE keeps {settings.quota_reserve}): this will stop on the way",
            fg="yellow", err=True,
        )  # fmt: skip
    return left


class _Began(BaseModel):
    """When a range began that has not come to its end."""

    at: datetime


class RangeMark:
    """What lets the same command go on with a range that was interrupted, killed, or left days undone: when it began. A
    day that is whole, and whose listing was read since then, is done; anything else is decided by the store too.

    It lies in the store while the range is not done, and counts for three days.
    """

    def __init__(self, settings: Settings, store: ObjectStore, days: Sequence[date]) -> None:
        self._settings, self._store = settings, store
        self._key = f".ranges/{days[0]}_{days[-1]}.json"
        self._began = self._read()

    def done_before(self, day: date) -> str | None:
        """Why the day need not be done again, or None."""
        if self._began is None:
            return None
        state = state_of(self._store, open_table(self._settings), day.isoformat(), self._settings)
        return f"done already ({state.fetched_at:%Y-%m-%d %H:%M} UTC)" if state.is_done_since(self._began) else None

    def start(self) -> None:
        """Notes that the range begins, where it does not go on."""
        if self._began is None:
            self._began = datetime.now(UTC)
            self._store.write(self._key, _Began(at=self._began).model_dump_json().encode())

    def finish(self) -> None:
        """Notes that every day of it is done."""
        self._store.delete(self._key)

    def _read(self) -> datetime | None:
        try:
            began = _Began.model_validate_json(self._store.read(self._key)[0]).at
        except (ObjectMissing, ValidationError):
            return None
        return began if datetime.now(UTC) - began < _RANGE_LASTS else None
