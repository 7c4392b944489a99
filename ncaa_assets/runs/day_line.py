"""The line of JSON that every finished day logs, for a machine to count.

An alarm goes off when no such line comes. So it also notices what no failure ever reports: a schedule that does not
run."""

import json
import logging

from ncaa_assets.runs.names import DAY_LINES
from ncaa_assets.runs.outcome import DayRun
from ncaa_assets.runs.results import Result

log = logging.getLogger(DAY_LINES)

EVENT = "ncaa_assets_day"


def log_finished_day(day: str, ended: DayRun, *, result: Result, seconds: float, is_sample: bool) -> None:
    """Logs one line of JSON for a day whose run has ended, whatever the result."""
    line = {
        "event": EVENT,
        "day": day,
        "result": result.value,
        "run_id": ended.run_id,
        "highlights": ended.number("highlights", "highlights"),
        "new": ended.number("highlights", "new"),
        "copied": ended.number("videos", "copied"),
        "skipped": ended.number("videos", "skipped"),
        "encoded": ended.number("processed_videos", "encoded"),
        "seconds": round(seconds, 1),
        "sample": is_sample,
        "error": ended.what_went_wrong(debug=True) or ended.what_is_left,
    }
    log.info(json.dumps(line))
