"""The line of JSON that every finished day logs, for a machine to count.

An alarm goes off when no such line comes. So it also notices what no failure ever reports: a schedule that does not
run. The alarm reads the line's fields, so the line must be JSON from its first character to its last: it goes straight
to stderr, past every logger, which would put a time or a name before it.
"""

import json
import os
from contextlib import suppress

from ncaa_assets.runs.outcome import DayRun
from ncaa_assets.runs.results import Result
from ncaa_assets.text import visible

EVENT = "ncaa_assets_day"

_STDERR = 2
_MOST_ERROR = 800  # characters: a line of less than 4,096 bytes is never mixed with another process's


def log_finished_day(day: str, ended: DayRun, *, result: Result, seconds: float, is_sample: bool) -> None:
    """Logs one line of JSON for a day whose run has ended, whatever the result. A terminal is not shown it."""
    error = ended.what_went_wrong(debug=True) or ended.what_is_left
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
    if not os.isatty(_STDERR):
        with suppress(OSError):  # a stderr that is closed is no reason to fail the day
            os.write(_STDERR, json.dumps(line, ensure_ascii=False).encode() + b"\n")
