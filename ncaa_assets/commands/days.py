"""The loop that backs up days one after the other, and stops where no further run could ask the API. `backup` and
`catch-up` share it.

Days run strictly one at a time, because the videos of one day already use all of the network and the machine. The loop
keeps only a table's line of each day, so a range of years takes no more memory than a day."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from ncaa_assets.archive.archive import Archive
from ncaa_assets.backends.deployments import read_secret
from ncaa_assets.commands.say import say
from ncaa_assets.failures import SourceError
from ncaa_assets.record.models import ASSETS
from ncaa_assets.runs.names import ARCHIVE_TAG, SENSOR, UNLESS_DONE_TAG
from ncaa_assets.runs.results import Result
from ncaa_assets.source.open import modules_to_try, open_quota, open_source
from ncaa_assets.source.quota import Quota, what_is_left, why_not
from ncaa_assets.text import SENTENCE, visible

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
    def fields(self) -> dict[str, Any]:
        """The day for a program, by the names that the day's line in the log has too."""
        why = None if self.why is None else visible(self.why, most=SENTENCE)
        seconds = None if self.seconds is None else round(self.seconds, 1)
        return {**asdict(self), "day": str(self.day), "result": self.result.value, "why": why, "seconds": seconds}

    @property
    def words(self) -> str:
        """The result as people read it."""
        return "done before" if self.done_before else self.result.words


@dataclass(frozen=True)
class DayByDay:
    """Backs up days of one archive, recorded by one recorder.

    In the runs' tags, `trigger` names the command. `alerts_by` names who alerts when a run fails. With `force`, stored
    videos are copied and encoded again. With `unless_done_since`, a day that another run has done whole since then gets
    no run, or one that does nothing.
    """

    recorder: "Recorder"
    archive: Archive
    trigger: str
    alerts_by: str = SENSOR
    force: bool = False
    unless_done_since: datetime | None = None

    def back_up(
        self,
        days: Sequence[date],
        *,
        report: Callable[[date, "DayRun"], None] = lambda _day, _ended: None,
    ) -> Iterator[DayResult]:
        """Backs up the days in order and yields the result of each. A day that fails does not stop the others.

        `report` is called with each run that ended.

        Raises:
            KeyboardInterrupt: a run was ended from outside. Its day's result came before, and the days after it have
                none.
        """
        archive, settings = self.archive, self.archive.settings
        quota = open_quota(settings, archive.store, read_secret=read_secret)
        left = _requests_left(archive, quota, days) if quota is not None and len(days) > 1 else None
        if left is not None and settings.matches and left - settings.quota_reserve < 3 * len(days):
            say("no match context is asked for: the API requests are kept for the days", colour="yellow", err=True)
            settings = settings.model_copy(update={"matches": False})
            archive = replace(archive, settings=settings)
        from ncaa_assets.definitions import build_defs  # noqa: PLC0415 - Dagster takes seconds to import

        defs = build_defs(settings, archive=archive)
        for position, day in enumerate(days):
            left = quota.left() if quota is not None else None
            if left is not None and left <= settings.quota_reserve:
                why = f"stopped before {day}: {what_is_left(left, settings.quota_reserve)}"
                why = why if len(days) > 1 else why_not(left, settings.quota_reserve)
                yield from (DayResult(later, Result.NOT_STARTED, why) for later in days[position:])
                return
            if holder := archive.holder(day.isoformat()):
                yield DayResult(day, Result.SKIPPED, f"it is being backed up by {holder}; nothing was done here")
                continue
            if done := self._done_meanwhile(day):  # asked last: the day's holder may have finished it a moment ago
                yield done
                continue
            started = time.monotonic()
            try:
                ended = self._execute(defs, day)
                if ended.cancelled:
                    raise KeyboardInterrupt
            except KeyboardInterrupt:
                why = "it was interrupted; what is stored of it is kept"
                yield DayResult(day, Result.ENDED, why, seconds=time.monotonic() - started)
                raise
            report(day, ended)
            done = self._done_meanwhile(day) if ended.was_held_by_another else None
            yield done or _result(day, ended, time.monotonic() - started)

    def _done_meanwhile(self, day: date) -> DayResult | None:
        """The result of a day that another run has done, None where this worker is to do it in any case."""
        if self.unless_done_since is None:
            return None
        state = self.archive.state(day.isoformat())
        if not state.is_done_since(self.unless_done_since):
            return None
        why = f"done meanwhile by another run ({state.fetched_at:%H:%M} UTC)"
        return DayResult(day, Result.BACKED_UP, why, done_before=True)

    def _execute(self, defs: "dg.Definitions", day: date) -> "DayRun":
        """Runs the day. Where the home broke that recorded the run, runs it anew, which continues where that one ended.
        Where the run had a task of its own and lost its worker, runs it once more."""
        from ncaa_assets.runs.execute import execute_day  # noqa: PLC0415
        from ncaa_assets.runs.instance import launches_on_ecs  # noqa: PLC0415

        tags = {ARCHIVE_TAG: self.archive.place}
        if self.unless_done_since is not None:
            tags[UNLESS_DONE_TAG] = self.unless_done_since.isoformat()

        def execute(retry_of: str | None) -> "DayRun":
            return execute_day(
                self.recorder.instance,
                defs,
                day,
                force=self.force,
                trigger=self.trigger,
                alerts_by=self.alerts_by,
                retry_of=retry_of,
                more_tags=tags,
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


def _requests_left(archive: Archive, quota: Quota, days: Sequence[date]) -> int | None:
    """How many API requests are left today, by one request where that is not known; None where the API does not say.

    Warns where they are too few for the days, since each day takes at least one.
    """
    settings, left = archive.settings, quota.left()
    if left is None:
        stored = archive.stored_identity()
        module = (stored.module if stored else None) or modules_to_try(settings)[0]
        try:
            with open_source(settings, read_secret=read_secret, store=archive.store) as source:
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
