"""The loop that backs up days one after the other, and stops before the API's quota is spent. `backup` and `catch-up`
share it.

Days run strictly one at a time, because the videos of one day already use all of the network and the machine. The loop
keeps only a table's line of each day, so a range of years takes no more memory than a day."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from ncaa_assets.archive.archive import Archive
from ncaa_assets.commands.say import say
from ncaa_assets.failures import SourceError
from ncaa_assets.record.models import ASSETS
from ncaa_assets.runs.names import SENSOR
from ncaa_assets.runs.results import Result

if TYPE_CHECKING:
    import dagster as dg

    from ncaa_assets.runs.instance import Recorder
    from ncaa_assets.runs.outcome import DayRun

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DayResult:
    """One day's line in the table: its result, its run and its numbers. Where the day is not backed up, `why` says why.

    A number is None where the run did not get that far. `done_before` means that nothing was done now, because the day
    was backed up already; `why` then says since when.
    """

    day: date
    result: Result
    why: str | None = None
    done_before: bool = False
    run_id: str | None = None
    seconds: float | None = None
    highlights: int | None = None
    new: int | None = None
    copied: int | None = None
    skipped: int | None = None
    encoded: int | None = None

    @property
    def is_done(self) -> bool:
        return self.result is Result.BACKED_UP

    @property
    def words(self) -> str:
        """The result as people read it."""
        return "done before" if self.done_before else self.result.words


@dataclass(frozen=True)
class DayByDay:
    """Backs up days of one archive, recorded by one recorder.

    In the runs' tags, `trigger` names the command and `alerts_by` names who alerts when a run fails. With `force`,
    stored videos are copied and encoded again.
    """

    recorder: "Recorder"
    archive: Archive
    trigger: str
    alerts_by: str = SENSOR
    force: bool = False

    def back_up(
        self,
        days: Sequence[date],
        *,
        needless: Callable[[date], str | None] = lambda _: None,
        report: Callable[[date, "DayRun"], None] = lambda _day, _ended: None,
    ) -> Iterator[DayResult]:
        """Backs up the days in order and yields the result of each. A day that fails does not stop the others.

        `needless` is called right before a day would start; where it gives a reason, the day gets no run. `report` is
        called with each run that ended.

        Raises:
            KeyboardInterrupt: a run was ended from outside. Its day and the days after it have no result.
        """
        archive, settings = self.archive, self.archive.settings
        reserve = settings.quota_reserve
        left = _requests_left(archive, days) if len(days) > 1 and not settings.uses_sample else None
        if left is not None and settings.matches and left - reserve < 3 * len(days):
            say("no match context is asked for: the API requests are kept for the days", colour="yellow", err=True)
            settings = settings.model_copy(update={"matches": False})
            archive = replace(archive, settings=settings)
        from ncaa_assets.definitions import build_defs  # noqa: PLC0415 - Dagster takes seconds to import

        defs = build_defs(settings, archive=archive)
        for position, day in enumerate(days):
            if left is not None and left <= reserve:
                why = f"stopped before {day}: {left} API requests are left today and QUOTA_RESERVE keeps {reserve}"
                yield from (DayResult(later, Result.NOT_STARTED, why) for later in days[position:])
                return
            if reason := needless(day):
                yield DayResult(day, Result.BACKED_UP, reason, done_before=True)
                continue
            if holder := archive.holder(day.isoformat()):
                yield DayResult(day, Result.SKIPPED, f"it is being backed up by {holder}; nothing was done here")
                continue
            started = time.monotonic()
            ended = self._execute(defs, day)
            # A day that failed before its listing was stored has spent at least one request too.
            left = ended.requests_left if ended.requests_left is not None or left is None else left - 1
            if ended.spent_the_quota:
                left = 0
            if ended.cancelled:
                raise KeyboardInterrupt
            report(day, ended)
            yield _result(day, ended, time.monotonic() - started)

    def _execute(self, defs: "dg.Definitions", day: date) -> "DayRun":
        """Runs the day. Where the home broke that recorded the run, runs it anew, which continues where that one ended.
        Where the run had a task of its own and lost its worker, runs it once more."""
        from ncaa_assets.runs.execute import execute_day  # noqa: PLC0415
        from ncaa_assets.runs.instance import launches_on_ecs  # noqa: PLC0415

        def execute(retry_of: str | None) -> "DayRun":
            return execute_day(
                self.recorder.instance,
                defs,
                day,
                force=self.force,
                trigger=self.trigger,
                alerts_by=self.alerts_by,
                retry_of=retry_of,
            )

        try:
            ended = execute(None)
        except Exception as error:
            if not self.recorder.goes_on_without(error):
                raise
            return execute(None)
        if ended.broken_record is not None and self.recorder.goes_on_without(ended.broken_record):
            return execute(None)
        if not self.recorder.instance.is_persistent:
            self.recorder.instance.delete_run(ended.run_id)  # a range of years would fill the memory
        if not (ended.lost_its_worker and launches_on_ecs(self.recorder.instance)):
            return ended
        log.warning("%s: run %s: %s; running it once more", day, ended.run_id[:8], ended.what_went_wrong())
        self.archive.remove_lease(day.isoformat(), owner=ended.run_id)
        return execute(ended.run_id)


def _result(day: date, ended: "DayRun", seconds: float) -> DayResult:
    result, why = ended.result(set(ASSETS), was_held=ended.was_held_by_another), None
    if result is Result.SKIPPED:
        why = "another run holds the day; nothing was done here"
    elif result is Result.INCOMPLETE:
        why = f"the next run {ended.what_is_left}"
        if ended.not_whole is None:
            why += f": {ended.summaries['processed_videos']}"
    elif result is not Result.BACKED_UP:
        why = ended.what_went_wrong() or "the run ended before all of its assets were there"
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


def _requests_left(archive: Archive, days: Sequence[date]) -> int | None:
    """How many API requests are left today, or None where the API does not say.

    Warns where they are too few for the days, since each day takes at least one.
    """
    from ncaa_assets.backends.deployments import read_secret  # noqa: PLC0415
    from ncaa_assets.source.open import modules_to_try, open_source  # noqa: PLC0415

    settings, stored = archive.settings, archive.stored_identity()
    module = (stored.module if stored else None) or modules_to_try(settings)[0]
    try:
        with open_source(settings, read_secret=read_secret) as source:
            left = source.first_page(days[0].isoformat(), module, size=1).quota_remaining
    except SourceError as error:
        say(f"the API did not say how many requests are left: {error}", colour="yellow", err=True)
        return None
    if left is not None and left - settings.quota_reserve < len(days):
        say(
            f"{len(days)} days take at least {len(days)} API requests, and {max(0, left - settings.quota_reserve)} can "
            f"be spent today ({left} left, QUOTA_RESERVE keeps {settings.quota_reserve}): this will stop early",
            colour="yellow", err=True,
        )  # fmt: skip
    return left
