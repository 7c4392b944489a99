"""`ncaa-assets catch-up`: backs up whichever of the last days is missing, failed or due, and alerts where it cannot.

What is to be done is decided from the store alone, so it may be called at any time, from cron, EventBridge or by hand,
and twice at once: a day that another run holds is left to it. It raises its own alert: no daemon may be running.
"""

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import click

from ncaa_assets.archive.day_state import DayState, state_of
from ncaa_assets.archive.lease import Identity
from ncaa_assets.backends import open_store, open_table
from ncaa_assets.commands.days import DayByDay, DayResult, Result
from ncaa_assets.commands.terminal import TerminalLog, bar_over, label, print_table, report_details, say_day
from ncaa_assets.failures import AlertNotSent, SettingsError, one_line
from ncaa_assets.ports import ObjectStore
from ncaa_assets.runs import alerts
from ncaa_assets.runs.alerts import Alert
from ncaa_assets.settings import NO_KEY, Settings
from ncaa_assets.text import SENTENCE, visible

if TYPE_CHECKING:
    import dagster as dg

NAME = "catch-up"


def catch_up(settings: Settings, count: int, *, log: TerminalLog, debug: bool) -> int:
    """Looks at the last `count` days, does what they need, and returns 0, or 1 where a day failed.

    Raises:
        BackupError: it could not even look, or nobody could be told. Whatever is raised was alerted first.
    """
    try:
        results = _catch_up(settings, count, log=log, debug=debug)
    except AlertNotSent:
        raise
    except Exception as error:
        alerts.send(settings, Alert(NAME, None, one_line(error), settings.ui_url))
        raise
    failed = [result for result in results if result.result in (Result.FAILED, Result.NOT_STARTED)]
    if not failed:
        return 0
    alerts.send(settings, _alert(settings, failed))
    return 1


def _catch_up(settings: Settings, count: int, *, log: TerminalLog, debug: bool) -> list[DayResult]:
    if settings.lacks_key:
        raise SettingsError(NO_KEY)
    store = open_store(settings)
    Identity(source=settings.source, league=settings.league_name, timezone=settings.timezone).check(store)
    newest, now = settings.parse_day(None), datetime.now(UTC)
    days = [day for back in range(count) if (day := newest - timedelta(days=back)) >= settings.start_date]
    states = {day: _look(settings, store, day) for day in days}
    todo = sorted((day for day in days if states[day].why_now(now)), key=lambda day: _need(states[day]))
    for day in todo:
        click.echo(visible(f"{day} {states[day].why_now(now)}", most=SENTENCE), err=True)

    from ncaa_assets.runs.instance import open_instance  # noqa: PLC0415 - Dagster takes seconds to import

    results: list[DayResult] = []
    with open_instance(settings.dagster_home()) as instance:
        _tell_of_the_killed(instance, settings, store)
        if not todo:
            click.echo(f"nothing to do: {_span(days)} backed up")
            return []
        worker = DayByDay(instance, settings, store, trigger=NAME, alerts_by=NAME)

        def needless(day: date) -> str | None:
            return _done_meanwhile(_look(settings, store, day))

        with bar_over(len(todo), log) as advance:
            for result in worker.back_up(todo, needless=needless, report=report_details(debug=debug)):
                say_day(result, label=label(settings, result.day))
                results.append(result)
                advance(result.day)
    if len(results) > 1:
        print_table(sorted(results, key=lambda result: result.day))
    return results


def _look(settings: Settings, store: ObjectStore, day: date) -> DayState:
    return state_of(store, open_table(settings), day.isoformat(), settings)


def _need(state: DayState) -> tuple[bool, datetime]:
    """Sorts what is not done before what is only due, and of that what was looked at longest ago first: where the quota
    ends before the days do, the next call goes on with the others."""
    return state.undone is None, state.fetched_at or datetime.min.replace(tzinfo=UTC)


def _done_meanwhile(state: DayState) -> str | None:
    """Another run may have done the day while this one was busy with others."""
    return None if state.why_now(datetime.now(UTC)) else f"done meanwhile by another run ({state.fetched_at:%H:%M} UTC)"


def _tell_of_the_killed(instance: "dg.DagsterInstance", settings: Settings, store: ObjectStore) -> None:
    from ncaa_assets.defs.automation import JOB_NAME  # noqa: PLC0415
    from ncaa_assets.runs.killed import mark_killed  # noqa: PLC0415

    for killed in mark_killed(instance, store, alerts_by=NAME):
        alerts.send(settings, Alert(JOB_NAME, killed.day, killed.sentence, alerts.run_link(settings, killed.run_id)))


def _alert(settings: Settings, failed: list[DayResult]) -> Alert:
    told = [f"{result.day}: {result.why}" for result in failed if result.result is Result.FAILED]
    told += [str(result.why) for result in failed if result.result is Result.NOT_STARTED][:1]
    run_id = next((result.run_id for result in failed if result.run_id), None)
    return Alert(
        NAME,
        ", ".join(sorted(str(result.day) for result in failed)),
        "; ".join(told),
        alerts.run_link(settings, run_id) if run_id else settings.ui_url,
    )


def _span(days: list[date]) -> str:
    if not days:
        return "no day since START_DATE is to be"
    return f"{days[0]} is" if len(days) == 1 else f"{days[-1]} to {days[0]} are"
