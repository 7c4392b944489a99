"""`ncaa-assets backup`: backs up a day or a range, and prints what came of it."""

import shlex
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ncaa_assets import advice
from ncaa_assets.archive.archive import Archive
from ncaa_assets.commands import ending
from ncaa_assets.commands.days import DayByDay, DayResult
from ncaa_assets.commands.range_mark import RangeMark
from ncaa_assets.commands.say import say, say_lines
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
    shown,
)
from ncaa_assets.failures import SettingsError
from ncaa_assets.gallery.model import season_key
from ncaa_assets.record import calendar
from ncaa_assets.record.models import ASSETS
from ncaa_assets.runs.names import REMEDY
from ncaa_assets.runs.results import Result
from ncaa_assets.settings import NO_KEY, Settings, load_dotenv
from ncaa_assets.text import size

if TYPE_CHECKING:
    from ncaa_assets.runs.outcome import DayRun

_EVERY_DAY = 50_000  # characters: the days of the longest range


@click.command()
@click.option("--date", "day", metavar="YYYY-MM-DD", help="The game day. Default: yesterday in TIMEZONE.")
@click.option("--from", "first", metavar="YYYY-MM-DD", help="The first day of a range.")
@click.option("--to", "last", metavar="YYYY-MM-DD", help="The last day of a range.")
@click.option("--last", "count", type=click.IntRange(1, 3660), metavar="N", help="The last N days, up to yesterday.")
@click.option("--force", is_flag=True, help="Copy and encode again what is stored already.")
@ending.json_option
@ending.debug_option
def backup(
    day: str | None, first: str | None, last: str | None, count: int | None, force: bool, as_json: bool, debug: bool
) -> None:
    """Backs up a day or a range: fetches and merges its highlights, copies and encodes what is missing."""

    def chosen(settings: Settings) -> list[date]:
        return _days(settings, named=day, first=first, last=last, count=count)

    answer: ending.Answer = {}
    ending.run(
        lambda: _backup(chosen, answer, force=force, debug=debug), debug=debug, answer=answer if as_json else None
    )


def _days(
    settings: Settings, *, named: str | None, first: str | None, last: str | None, count: int | None
) -> list[date]:
    """The days that the options name, oldest first: one day, a range, or the last `count`. No option means yesterday.

    Raises:
        SettingsError: a day cannot be backed up, or the options name the days in more than one way.
    """
    if sum((named is not None, first is not None or last is not None, count is not None)) > 1:
        raise SettingsError("name the days in one way: --date, --from and --to, or --last")
    if count is not None:
        newest = settings.named_day(None)
        oldest = max(settings.start_date, newest - timedelta(days=count - 1))
        return list(calendar.days(oldest, newest))
    if first is None and last is None:
        return [settings.named_day(named)]
    if first is None or last is None:
        raise SettingsError("a range needs both --from and --to")
    oldest, newest = settings.named_day(first), settings.named_day(last)
    if oldest > newest:
        raise SettingsError(f"--from {oldest} is after --to {newest}; swap them")
    return list(calendar.days(oldest, newest))


def _backup(chosen: Callable[[Settings], list[date]], answer: ending.Answer, *, force: bool, debug: bool) -> int:
    load_dotenv()
    settings = Settings.from_environment()
    days = chosen(settings)
    answer |= {"sample": settings.uses_sample, "days": []}
    with logging_to_terminal(debug=debug) as log:
        say_about_settings(settings)
        if settings.lacks_key:
            raise SettingsError(NO_KEY)
        archive = Archive.open(settings)
        archive.exists()  # refuses an archive of something else before anything starts
        archive.store.check_writes()
        if len(days) > 1:
            return _back_up_range(archive, days, log, answer, force=force, debug=debug)
        say(f"Backing up {days[0]} …", err=True)
        from ncaa_assets.runs.instance import Recorder  # noqa: PLC0415 - Dagster takes seconds to import

        def report(day: date, ended: "DayRun") -> None:
            _report(label(settings, day), ended, debug=debug)

        with Recorder(settings.dagster_home(), say=say_unrecorded) as recorder:
            worker = DayByDay(recorder, archive, trigger="backup", force=force)
            for result in worker.back_up(days, report=report):
                answer["days"].append(result.fields)
    if result.run_id is None:
        say_day(result, label=label(settings, result.day))
    if result.is_done:
        _say_where(archive)
    return result.result.exit_code


def _back_up_range(
    archive: Archive, days: list[date], log: TerminalLog, answer: ending.Answer, *, force: bool, debug: bool
) -> int:
    settings, mark = archive.settings, RangeMark(archive, days)
    reasons = {} if force else {day: why for day in days if (why := mark.done_before(day))}
    results = [DayResult(day, Result.BACKED_UP, why, done_before=True) for day, why in reasons.items()]
    say(f"Backing up {days[0]} to {days[-1]} ({len(days)} days) …", err=True)
    if results:
        say(f"continuing this range: {len(results)} of {len(days)} days are done already", err=True)
    mark.start()
    from ncaa_assets.runs.instance import Recorder  # noqa: PLC0415 - Dagster takes seconds to import

    try:
        with Recorder(settings.dagster_home(), say=say_unrecorded) as recorder, bar_over(len(days), log) as advance:
            for done in results:
                advance(done.day)
            todo = [day for day in days if day not in reasons]
            worker = DayByDay(recorder, archive, trigger="backup", force=force)
            for result in worker.back_up(todo, report=report_details(debug=debug)):
                if result.result is not Result.NOT_STARTED:
                    say_day(result, label=label(settings, result.day))
                elif result.why and not any(earlier.result is Result.NOT_STARTED for earlier in results):
                    how = f"continue tomorrow with --from {result.day} --to {days[-1]}"
                    say(f"{result.why}; {how}", colour="red", err=True)
                results.append(result)
                advance(result.day)
    finally:
        results.sort(key=lambda result: result.day)
        answer["days"] = [result.fields for result in results]
        if results:
            print_table(results)
    missing = sorted(result.day for result in results if not result.is_done)
    say(f"{len(days) - len(missing)} of {len(days)} days backed up")
    if missing:
        say(f"not backed up: {', '.join(map(str, missing))}", colour="red", err=True, most=_EVERY_DAY)
        return ending.FAILED
    mark.finish()
    _say_where(archive)
    return ending.DONE


def _report(day_label: str, ended: "DayRun", *, debug: bool) -> None:
    """Prints how a single day came out, asset by asset."""
    for name in ASSETS:
        if name in ended.summaries:
            say(f"  {name:<17} {ended.summaries[name]}")
    for warning in ended.warnings:
        problem, _, remedy = warning.partition(REMEDY)
        is_said = remedy and any(told and problem.endswith(told) for told in ended.summaries.values())
        say(f"  what to do        {remedy}" if is_said else f"  warning           {warning}", colour="yellow")
    if ended.is_whole:
        say(f"{day_label} backed up", colour="green")
        return
    if ended.was_held_by_another:
        return
    for check in ended.failed_checks:
        say(f"  check failed      {check}", colour="red", err=True)
    for error in ended.errors:
        if error.is_check:
            continue  # a blocking check: it is printed above
        if debug:
            say_lines(error.detail)
        step = f"{error.step}: " if error.step else ""
        say(f"ncaa-assets: {step}{error.sentence(debug=debug)}", colour="red", err=True)
    if not ended.errors and not ended.failed_checks and ended.reported is not None:
        say(f"ncaa-assets: {ended.reported}", colour="red", err=True)
    result = ended.result(set(ASSETS), was_held=False)
    if result is Result.INCOMPLETE:
        text = f"{day_label} incomplete: run the same command again, it {ended.what_is_left}"
        say(text, colour="red", err=True)
        return
    if result is Result.NOT_STARTED:
        say(f"{day_label} not started", colour="red", err=True)
        return
    done = ", ".join(name for name in ASSETS if name in ended.summaries) or "nothing"
    say(f"{day_label} FAILED; done and kept: {done}. The same command continues from there", colour="red", err=True)


def _say_where(archive: Archive) -> None:
    settings, watch = archive.settings, f"`{advice.command('gallery', '--serve')}`"
    if settings.ncaa_deployment == "aws":
        place, rows = archive.place, f"the table {settings.dynamodb_table}"
    elif settings.ncaa_deployment == "s3":
        place, rows = f"{archive.place} at {settings.s3_endpoint_url}", archive.table.uri()
    else:
        from ncaa_assets.backends.local.store import SQLITE_NAME  # noqa: PLC0415

        place = f"{shown(settings.archive_dir)}/"
        rows = f"{place}{SQLITE_NAME}"
        watch = f"{place}{season_key()}, or `{advice.command('gallery')}`"
    say()
    say(f"Files:  {place} (highlights, videos, processed_videos), rows in {rows}")
    if advice.in_image():  # a container has no crontab, and no browser reaches a UI inside it
        return
    say(f"Watch:  {watch}")
    say(f"Browse: `{advice.target('ui')}`, then http://localhost:3000")
    if settings.uses_sample:
        is_new = Path(".env.example").exists() and not Path(".env").exists()
        how = " (cp -n .env.example .env)" if is_new else ""
        say(f"Next:   put your RAPIDAPI_KEY into .env{how} and run the same command again")
        remove = advice.to_remove(settings.sample_folders())
        say(f"Remove: `{remove}` frees the {size(settings.sample_bytes())} of made-up data")
        return  # nobody wants made-up games every morning
    say("Daily:  no server needed; add this line with `crontab -e`:")
    say(f"        {_cron_line()}")


def _cron_line() -> str:
    program = Path(sys.executable).with_name("ncaa-assets")
    command = f"{shlex.quote(str(program))} catch-up"
    return f"30 6 * * * cd {shlex.quote(str(Path.cwd()))} && {command} >> backup.log 2>&1".replace("%", r"\%")
