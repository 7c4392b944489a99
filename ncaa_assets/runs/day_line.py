"""The line of JSON that every run logs whose work is a day, when it ends, for a machine to count.

An alarm goes off when no such line comes. So it also notices what no failure ever reports: a schedule that does not
run. The alarm reads the line's fields, so the line must be JSON from its first character to its last: it goes straight
to stderr, past every logger, which would put a time or a name before it.

What the run did is read from its events, and what the day is after a run in which nothing went wrong, from the store:
after a failure Dagster repeats the rest alone, and a person may ask for some assets only, or for fewer videos.
"""

import json
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import dagster as dg

from ncaa_assets.archive.archive import HeldDay, TakenDay
from ncaa_assets.failures import as_sentence
from ncaa_assets.record.models import ASSETS
from ncaa_assets.runs.dagster_private import serializable_error_info_from_exc_info
from ncaa_assets.runs.names import JOB_NAME, PARTITION_TAG
from ncaa_assets.runs.ours import OurPart, part_by_assets
from ncaa_assets.runs.outcome import DayRun, recall
from ncaa_assets.runs.results import Result
from ncaa_assets.text import visible

EVENT = "ncaa_assets_day"

_STDIN, _STDERR = 0, 2
_MOST_ERROR = 800  # characters: a line of less than 4,096 bytes is never mixed with another process's


@dataclass(frozen=True)
class DayLine:
    """The line of one run, for whoever gives the run its day. A run without a day, one of checks alone, and one that
    reads our assets for other people's have none."""

    instance: dg.DagsterInstance
    run: dg.DagsterRun
    is_sample: bool
    _started: float = field(default_factory=time.monotonic)

    @contextmanager
    def while_it_begins(self) -> Iterator[None]:
        """Logs the line where the run cannot begin, because an error ends the `with`."""
        try:
            yield
        except BaseException:
            ended = self._recall()
            ended.note_error("", serializable_error_info_from_exc_info(sys.exc_info()))
            if ended.planned.intersection(ASSETS):
                self._log(ended, ended.result(set(ASSETS), was_held=False))
            raise

    def log(self, day: HeldDay | TakenDay) -> None:
        """Logs the line of a run that ends now, with the day that it was given."""
        ended = self._recall()
        if isinstance(day, TakenDay):
            self._log(ended, Result.SKIPPED, day.why)
            return
        result = ended.result(ended.planned.intersection(ASSETS), was_held=False)
        if result not in (Result.BACKED_UP, Result.PARTIAL):
            self._log(ended, result)
            return
        try:
            lacks = day.archive.state(day.day).lacks
        except Exception as error:  # noqa: BLE001 - whatever a store raises: the run is over, and ends as it does
            why = as_sentence(error, debug=True)
            self._log(ended, Result.FAILED, f"what is stored of the day cannot be read: {why}")
            return
        if lacks is None:
            self._log(ended, Result.BACKED_UP)
        else:
            self._log(ended, Result.INCOMPLETE if self._is_of_the_whole_day else Result.PARTIAL, lacks)

    @property
    def _is_of_the_whole_day(self) -> bool:
        """Whether the whole day was asked for, though this run repeats a part of another alone."""
        asked = {key.to_user_string() for key in self.run.asset_selection or ()}
        return asked.issuperset(ASSETS) or (not asked and self.run.job_name == JOB_NAME)

    def _recall(self) -> DayRun:
        """How the run went so far; where its record cannot be read, the error of that: the run ends with it."""
        try:
            part = part_by_assets(self.instance, self.run) or OurPart()
            return recall(self.instance, self.run.run_id, without=part.is_of_others)
        except Exception:  # noqa: BLE001 - whatever a database raises
            ended = DayRun(self.run.run_id, planned=set(ASSETS))
            ended.note_error("", serializable_error_info_from_exc_info(sys.exc_info()))
            return ended

    def _log(self, ended: DayRun, result: Result, why: str | None = None) -> None:
        day = self.run.tags.get(PARTITION_TAG)
        if day is not None:
            seconds = time.monotonic() - self._started
            log_finished_day(day, ended, result=result, seconds=seconds, is_sample=self.is_sample, why=why)


def log_finished_day(
    day: str, ended: DayRun, *, result: Result, seconds: float, is_sample: bool, why: str | None = None
) -> None:
    """Logs one line of JSON for a day whose run has ended, whatever the result; a person is not shown it. `why` is the
    reason of a result that does not follow from what the run did."""
    error = why or ended.what_went_wrong(debug=True) or ended.what_is_left
    if error is None and result is Result.ENDED:
        error = "the run was stopped on the way; the day's next run continues from there"
    line = {
        "event": EVENT,
        "day": visible(day, most=20),
        "result": result.value,
        "run_id": ended.run_id,
        "highlights": ended.number("highlights", "highlights"),
        "new": ended.number("highlights", "new"),
        "copied": ended.number("videos", "copied"),
        "skipped": ended.number("videos", "skipped"),
        "encoded": ended.number("processed_videos", "encoded"),
        "seconds": round(seconds, 1),
        "sample": is_sample,
        "error": None if error is None else visible(error, most=_MOST_ERROR),
    }
    if not _a_person_reads_stderr():
        with suppress(OSError):  # a stderr that is closed is no reason to fail the day
            os.write(_STDERR, json.dumps(line, ensure_ascii=False).encode() + b"\n")


def _a_person_reads_stderr() -> bool:
    """Whether stderr is a terminal, or a pipe that was opened at one (`make backup 2>&1 | tee log`). A file is a log,
    wherever it was opened."""
    with suppress(OSError):
        return os.isatty(_STDERR) or (stat.S_ISFIFO(os.fstat(_STDERR).st_mode) and os.isatty(_STDIN))
    return False
