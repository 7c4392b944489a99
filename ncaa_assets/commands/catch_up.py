"""`ncaa-assets catch-up`: backs up each of the last days that is missing, failed or due, and alerts where one fails.

The store alone decides what needs doing. So cron, EventBridge or a person may call catch-up at any time, and two of
them may run at once: a day that one holds is left to it. Catch-up sends its own alerts, because no daemon need be
running."""

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.day_state import DUE_AFTER, DayState
from ncaa_assets.commands import ending
from ncaa_assets.commands.days import DayByDay, DayResult
from ncaa_assets.commands.say import say
from ncaa_assets.commands.terminal import (
    TerminalLog,
    bar_over,
    label,
    logging_to_terminal,
    print_table,
    report_details,
    say_about_settings,
    say_day,
    say_unrecorded,
)
from ncaa_assets.failures import AlertNotSent, SettingsError, TableUnusable, as_sentence
from ncaa_assets.runs import alerts
from ncaa_assets.runs.alerts import Alert
from ncaa_assets.runs.results import Result
from ncaa_assets.settings import NO_KEY, Settings, load_dotenv

if TYPE_CHECKING:
    from ncaa_assets.runs.instance import Recorder

NAME = "catch-up"


@click.command(NAME)
@click.option(
    "--days", "count", type=click.IntRange(1, 3660), metavar="N", help="How far back. Default: LOOKBACK_DAYS."
)
@ending.json_option
@ending.debug_option
def catch_up(count: int | None, as_json: bool, debug: bool) -> None:
    """Backs up each of the last N days that is missing, failed or due. Safe at any time, even twice at once."""
    answer: ending.Answer = {}
    ending.run(lambda: _catch_up(count, answer, debug=debug), debug=debug, answer=answer if as_json else None)


def _catch_up(count: int | None, answer: ending.Answer, *, debug: bool) -> int:
    load_dotenv()
    settings = Settings.from_environment()
    answer |= {"sample": settings.uses_sample, "days": []}
    with logging_to_terminal(debug=debug) as log:
        say_about_settings(settings)
        return catch_up_days(settings, count or settings.lookback_days, answer["days"], log=log, debug=debug)


def catch_up_days(settings: Settings, count: int, told: list[dict[str, Any]], *, log: TerminalLog, debug: bool) -> int:
    """Backs up those of the last `count` days that need it, and adds each to those that are `told` to a program.
    Returns 0, or 1 where a day failed.

    Raises:
        BackupError: the days could not be looked at, or the alert could not be sent. Every other error is alerted
            before it is raised.
    """
    try:
        results = _catch_up_days(settings, count, told, log=log, debug=debug)
    except AlertNotSent:
        raise
    except Exception as error:
        alerts.send(settings, Alert(NAME, None, as_sentence(error, debug=debug), settings.ui_url))
        raise
    failed = [day for day in results if day.result.is_due]
    if not failed:
        return ending.DONE
    alerts.send(settings, _alert(settings, failed))
    return ending.FAILED


def _catch_up_days(
    settings: Settings, count: int, told: list[dict[str, Any]], *, log: TerminalLog, debug: bool
) -> list[DayResult]:
    if settings.lacks_key:
        raise SettingsError(NO_KEY)
    archive = Archive.open(settings)
    identity = archive.stored_identity()  # refuses an archive of something else before anything starts
    archive.store.check_writes()
    newest, now = settings.parse_day(None), datetime.now(UTC)
    days = [day for back in range(count) if (day := newest - timedelta(days=back)) >= settings.start_date]
    states = {day: archive.state(day.isoformat(), identity=identity) for day in days}
    trouble = next((state.table_trouble for state in states.values() if state.table_trouble is not None), None)
    todo = sorted((day for day in days if states[day].why_now(now)), key=lambda day: _need(states[day]))
    for day in todo:
        say(f"{day} {states[day].why_now(now)}", err=True)

    from ncaa_assets.runs.instance import Recorder  # noqa: PLC0415 - Dagster takes seconds to import

    results: list[DayResult] = []
    with Recorder(settings.dagster_home(), say=say_unrecorded) as recorder:
        _report_killed_runs(recorder, archive)
        if not todo:
            if trouble is not None:
                raise TableUnusable(trouble)
            say(f"nothing to do: {_span(days)} backed up")
            return []
        worker = DayByDay(recorder, archive, trigger=NAME, alerts_by=NAME, unless_done_since=now - DUE_AFTER)
        try:
            with bar_over(len(todo), log) as advance:
                for result in worker.back_up(todo, report=report_details(debug=debug)):
                    say_day(result, label=label(settings, result.day))
                    results.append(result)
                    told.append(result.fields)
                    advance(result.day)
        finally:
            if len(results) > 1:
                print_table(sorted(results, key=lambda result: result.day))
    if trouble is not None and not any(result.result.is_due for result in results):
        raise TableUnusable(trouble)
    return results


def _need(state: DayState) -> tuple[bool, datetime]:
    """A sort key: undone days come before days that are only due, and these by when their listing was last read. So
    where the quota runs out, the next call continues with the days that were left."""
    return state.undone is None, state.fetched_at or datetime.min.replace(tzinfo=UTC)


def _report_killed_runs(recorder: "Recorder", archive: Archive) -> None:
    from ncaa_assets.runs.killed import mark_killed  # noqa: PLC0415

    settings = archive.settings
    try:
        dead = mark_killed(recorder.instance, archive, alerts_by=NAME, wait=True)
    except Exception as error:
        if not recorder.goes_on_without(error):
            raise
        return
    for killed in dead:
        alerts.send(settings, Alert(killed.name, killed.day, killed.sentence, alerts.run_link(settings, killed.run_id)))


def _alert(settings: Settings, failed: list[DayResult]) -> Alert:
    reasons = [f"{day.day}: {day.why}" for day in failed if day.result is not Result.NOT_STARTED]
    reasons += [str(day.why) for day in failed if day.result is Result.NOT_STARTED][:1]
    run_id = next((result.run_id for result in failed if result.run_id), None)
    return Alert(
        NAME,
        ", ".join(sorted(str(result.day) for result in failed)),
        "; ".join(reasons),
        alerts.run_link(settings, run_id) if run_id else settings.ui_url,
    )


def _span(days: list[date]) -> str:
    if not days:
        return "no day since START_DATE is to be"
    return f"{days[0]} is" if len(days) == 1 else f"{days[-1]} to {days[0]} are"
