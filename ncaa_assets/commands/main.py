"""The `ncaa-assets` command: what a person types, and what they read while it works.

Results go to stdout, progress and errors to stderr. Exit codes: 0 done, 1 a day failed, 2 wrong usage or settings,
3 a failure could not be alerted of, 130 ended by Ctrl-C or SIGTERM.
"""

import os
import shlex
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from ncaa_assets import __version__
from ncaa_assets.archive.lease import Identity
from ncaa_assets.backends import open_store
from ncaa_assets.commands.days import DayByDay, DayResult, RangeMark, Result
from ncaa_assets.commands.terminal import (
    TerminalLog,
    bar_over,
    label,
    logging_to_terminal,
    print_table,
    report_details,
    say_day,
)
from ncaa_assets.failures import AlertNotSent, BackupError, SettingsError
from ncaa_assets.ports import ObjectStore
from ncaa_assets.record import calendar
from ncaa_assets.record.models import ASSETS
from ncaa_assets.settings import NO_KEY, Settings, load_dotenv

if TYPE_CHECKING:
    from ncaa_assets.runs.outcome import DayRun

WORKSPACE = "workspace.yaml"
# Set by the image: a container has no crontab, and nobody's browser reaches a UI that is opened in it.
_IMAGE = "NCAA_ASSETS_IMAGE"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Keeps NCAA basketball highlights: each day's JSON, a row a highlight, the video, and its web encode."""


@main.command()
@click.option("--date", "day", metavar="YYYY-MM-DD", help="The game day. Default: yesterday in TIMEZONE.")
@click.option("--from", "first", metavar="YYYY-MM-DD", help="The first day of a range.")
@click.option("--to", "last", metavar="YYYY-MM-DD", help="The last day of a range.")
@click.option("--last", "count", type=click.IntRange(1, 3660), metavar="N", help="The last N days, up to yesterday.")
@click.option("--force", is_flag=True, help="Copy and encode again what is there already.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def backup(day: str | None, first: str | None, last: str | None, count: int | None, force: bool, debug: bool) -> None:
    """Backs up a day or a range: fetches and merges its highlights, copies and encodes what is missing."""

    def days(settings: Settings) -> list[date]:
        return _days(settings, day=day, first=first, last=last, count=count)

    _run(lambda: _backup(days, force=force, debug=debug), debug=debug)


@main.command("catch-up")
@click.option(
    "--days", "count", type=click.IntRange(1, 3660), metavar="N", help="How far back. Default: LOOKBACK_DAYS."
)
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def catch_up(count: int | None, debug: bool) -> None:
    """Backs up whichever of the last N days is missing, failed or due. Safe to call at any time, twice at once too."""
    _run(lambda: _catch_up(count, debug=debug), debug=debug)


@main.command()
@click.option("--from", "first", metavar="YYYY-MM-DD", help="The first day. Default: the archive's first.")
@click.option("--to", "last", metavar="YYYY-MM-DD", help="The last day. Default: the archive's last.")
@click.option("--deep", is_flag=True, help="Read every byte, and decode every video where there is an ffmpeg.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def verify(first: str | None, last: str | None, deep: bool, debug: bool) -> None:
    """Compares highlights, rows, videos and outputs with one another and with what was recorded of them."""
    from ncaa_assets.commands.verify import verify_archive  # noqa: PLC0415

    _run(lambda: verify_archive(first, last, deep=deep), debug=debug)


@main.command()
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def doctor(debug: bool) -> None:
    """Tells whether a backup would work here and now, and what to do where it would not."""
    from ncaa_assets.commands.doctor import examine  # noqa: PLC0415

    _run(examine, debug=debug)


@main.command()
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="The port on localhost.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def ui(port: int, debug: bool) -> None:
    """Opens the Dagster UI and daemon on this archive's runs, until Ctrl-C."""
    _run(lambda: _ui(port), debug=debug)


def _run(command: Callable[[], int], *, debug: bool) -> NoReturn:
    """Runs a command, turning every error into one line and an exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        code = command()
    except SettingsError as error:
        code = _complain(error, debug=debug, code=2)
    except AlertNotSent as error:
        code = _complain(error, debug=debug, code=3)
    except BackupError as error:
        code = _complain(error, debug=debug, code=1)
    except KeyboardInterrupt:
        click.echo("ncaa-assets: ended before it was done; the same command goes on where this one stopped", err=True)
        code = 130
    except Exception as error:  # noqa: BLE001 - the last resort: an unforeseen error still ends in one line and a 1
        code = _complain(error, debug=debug, code=1)
    sys.stdout.flush()
    sys.exit(code)


def _complain(error: Exception, *, debug: bool, code: int) -> int:
    if debug:
        traceback.print_exception(error)
    if isinstance(error, BackupError):
        click.echo(f"ncaa-assets: {error}", err=True)
    else:
        text = " ".join(str(error).split())[:500]
        hint = "" if debug else "; --debug shows where"
        click.echo(f"ncaa-assets: unexpected {type(error).__name__}: {text}{hint}", err=True)
    return code


def _days(settings: Settings, *, day: str | None, first: str | None, last: str | None, count: int | None) -> list[date]:
    """The days that a person named, oldest first: one, a range, the last so many, or none for yesterday.

    Raises:
        SettingsError: they cannot be backed up, or more than one way was used to name them.
    """
    if sum((day is not None, first is not None or last is not None, count is not None)) > 1:
        raise SettingsError("name the days in one way: --date, --from and --to, or --last")
    if count is not None:
        newest = settings.parse_day(None)
        oldest = max(settings.start_date, newest - timedelta(days=count - 1))
        return list(calendar.days(oldest, newest))
    if first is None and last is None:
        return [settings.parse_day(day)]
    if first is None or last is None:
        raise SettingsError("a range needs both --from and --to")
    oldest, newest = settings.parse_day(first), settings.parse_day(last)
    if oldest > newest:
        raise SettingsError(f"--from {oldest} is after --to {newest}; swap them")
    return list(calendar.days(oldest, newest))


def _backup(named: Callable[[Settings], list[date]], *, force: bool, debug: bool) -> int:
    load_dotenv()
    settings = Settings.from_environment()
    days = named(settings)
    with logging_to_terminal(debug=debug) as log:
        _say_sample(settings)
        if settings.lacks_key:
            raise SettingsError(NO_KEY)
        store = open_store(settings)
        Identity(source=settings.source, league=settings.league_name, timezone=settings.timezone).check(store)
        if len(days) > 1:
            return _back_up_range(settings, days, store, log, force=force, debug=debug)
        click.echo(f"Backing up {days[0]} …", err=True)
        from ncaa_assets.runs.instance import open_instance  # noqa: PLC0415 - Dagster takes seconds to import

        def report(day: date, ended: "DayRun") -> None:
            _report(label(settings, day), ended, debug=debug)

        with open_instance(settings.dagster_home()) as instance:
            worker = DayByDay(instance, settings, store, trigger="backup", force=force)
            (result,) = worker.back_up(days, report=report)
    if result.result is Result.HELD:
        say_day(result, label=label(settings, result.day))
    if not result.is_done:
        return 1
    _say_where(settings)
    return 0


def _back_up_range(
    settings: Settings, days: list[date], store: ObjectStore, log: TerminalLog, *, force: bool, debug: bool
) -> int:
    mark = RangeMark(settings, store, days)
    reasons = {} if force else {day: why for day in days if (why := mark.done_before(day))}
    results = [DayResult(day, Result.DONE_BEFORE, why) for day, why in reasons.items()]
    click.echo(f"Backing up {days[0]} to {days[-1]} ({len(days)} days) …", err=True)
    if results:
        click.echo(f"going on where this was left: {len(results)} of {len(days)} days are done already", err=True)
    mark.start()
    from ncaa_assets.runs.instance import open_instance  # noqa: PLC0415 - Dagster takes seconds to import

    try:
        with open_instance(settings.dagster_home()) as instance, bar_over(len(days), log) as advance:
            for done in results:
                advance(done.day)
            todo = [day for day in days if day not in reasons]
            worker = DayByDay(instance, settings, store, trigger="backup", force=force)
            for result in worker.back_up(todo, report=report_details(debug=debug)):
                if result.result is not Result.NOT_STARTED:
                    say_day(result, label=label(settings, result.day))
                elif result.why and not any(one.result is Result.NOT_STARTED for one in results):
                    how = f"go on tomorrow with --from {result.day} --to {days[-1]}"
                    click.secho(f"{result.why}; {how}", fg="red", err=True)
                results.append(result)
                advance(result.day)
    finally:
        if results:
            print_table(sorted(results, key=lambda result: result.day))
    missing = sorted(result.day for result in results if not result.is_done)
    click.echo(f"{len(days) - len(missing)} of {len(days)} days backed up")
    if missing:
        click.secho(f"not backed up: {', '.join(map(str, missing))}", fg="red", err=True)
        return 1
    mark.finish()
    _say_where(settings)
    return 0


def _catch_up(count: int | None, *, debug: bool) -> int:
    load_dotenv()
    settings = Settings.from_environment()
    from ncaa_assets.commands.catch_up import catch_up  # noqa: PLC0415

    with logging_to_terminal(debug=debug) as log:
        _say_sample(settings)
        return catch_up(settings, count or settings.lookback_days, log=log, debug=debug)


def _say_sample(settings: Settings) -> None:
    if settings.uses_sample:
        click.secho(
            "SAMPLE DATA: there is no RAPIDAPI_KEY, so a built-in sample API answers with made-up games.\n"
            f"They go to {_shown(settings.archive_dir)}, never to your archive. Set RAPIDAPI_KEY (see .env.example) "
            "for real ones.",
            fg="yellow", err=True,
        )  # fmt: skip


def _report(called: str, ended: "DayRun", *, debug: bool) -> None:
    """What became of the one day that a person asked for, asset by asset."""
    for name in ASSETS:
        if name in ended.summaries:
            click.echo(f"  {name:<17} {ended.summaries[name]}")
    for warning in ended.warnings:
        click.secho(f"  warning           {warning}", fg="yellow")
    if ended.is_whole:
        click.secho(f"{called} backed up", fg="green")
        return
    if ended.found_it_held:
        return
    for check in ended.failed_checks:
        click.secho(f"  check failed      {check}", fg="red", err=True)
    for step, error in ended.errors:
        if error.cls_name == "DagsterAssetCheckFailedError":
            continue  # a check that blocks: said above
        if debug:
            click.echo(error.to_string(), err=True)
        from ncaa_assets.runs.outcome import sentence  # noqa: PLC0415

        click.secho(f"ncaa-assets: {step + ': ' if step else ''}{sentence(error, debug=debug)}", fg="red", err=True)
    if not ended.errors and not ended.failed_checks and ended.said is not None:
        click.secho(f"ncaa-assets: {ended.said}", fg="red", err=True)
    done = ", ".join(name for name in ASSETS if name in ended.summaries) or "nothing"
    click.secho(f"{called} FAILED; done and kept: {done}. The same command goes on from there", fg="red", err=True)


def _say_where(settings: Settings) -> None:
    if settings.ncaa_deployment == "aws":
        place, rows = open_store(settings).uri(""), f"the table {settings.dynamodb_table}"
    else:
        from ncaa_assets.backends.local.store import SQLITE_NAME  # noqa: PLC0415

        place = f"{_shown(settings.archive_dir)}/"
        rows = f"{place}{SQLITE_NAME}"
    click.echo(f"\nFiles:  {place} (highlights, videos, processed_videos), rows in {rows}")
    if os.environ.get(_IMAGE):
        return
    click.echo("Browse: `make ui` or `ncaa-assets ui`, then http://localhost:3000")
    if settings.uses_sample:
        click.echo("Next:   put your RAPIDAPI_KEY into .env (cp .env.example .env) and run the same command again")
    click.echo("Daily:  no server needed; add this line with `crontab -e`:")
    click.echo(f"        {_cron_line()}")


def _cron_line() -> str:
    program = Path(sys.executable).with_name("ncaa-assets")
    command = f"{shlex.quote(str(program))} catch-up"
    return f"30 6 * * * cd {shlex.quote(str(Path.cwd()))} && {command} >> backup.log 2>&1".replace("%", r"\%")


def _ui(port: int) -> int:
    load_dotenv()
    settings = Settings.from_environment()
    home = settings.dagster_home()
    from ncaa_assets.runs.instance import prepare_home  # noqa: PLC0415

    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        # Dagster would say so in the middle of its log and go on, with a second daemon on the same runs.
        raise SettingsError(f"port {port} cannot be had ({error.strerror}); choose another with --port") from error
    prepare_home(home)
    workspace = Path(__file__).parents[1] / "instance" / WORKSPACE
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "DATA_DIR": str(settings.data_dir.expanduser().absolute()),
        "PYTHONWARNINGS": "ignore:Function `dev_command` is superseded",
    }
    click.echo(f"The Dagster UI opens on http://localhost:{port} (Ctrl-C ends it)", err=True)
    sys.stdout.flush()
    # In the home, because `dagster dev` lets a `.env` in its working directory override what is set here.
    os.chdir(home)
    program = Path(sys.executable).with_name("dagster")
    arguments = ["dagster", "dev", "-w", str(workspace), "-h", "127.0.0.1", "-p", str(port)]
    os.execve(program, arguments, environment)  # noqa: S606 - our own interpreter's neighbour, fixed arguments


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
