"""The `ncaa-assets` command: what a person types, and what they read while it works.

Results go to stdout, progress and errors to stderr. Exit codes: 0 done, 1 a day failed, 2 wrong usage or settings,
130 ended by Ctrl-C or SIGTERM.
"""

import logging
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

from ncaa_assets import __version__, failures
from ncaa_assets.failures import BackupError, QuotaSpent, SettingsError, SourceError
from ncaa_assets.settings import NO_KEY, Settings, load_dotenv

if TYPE_CHECKING:
    from dagster_shared.error import SerializableErrorInfo

    from ncaa_assets.runs import DayRun

ASSETS = ("highlights", "backup_rows", "videos", "processed_videos")
WORKSPACE = "workspace.yaml"


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
        every = [newest - timedelta(days=back) for back in range(count)]
        return [one for one in reversed(every) if one >= settings.start_date]
    if first is None and last is None:
        return [settings.parse_day(day)]
    if first is None or last is None:
        raise SettingsError("a range needs both --from and --to")
    oldest, newest = settings.parse_day(first), settings.parse_day(last)
    if oldest > newest:
        raise SettingsError(f"--from {oldest} is after --to {newest}; swap them")
    return [oldest + timedelta(days=step) for step in range((newest - oldest).days + 1)]


def _backup(named: Callable[[Settings], list[date]], *, force: bool, debug: bool) -> int:
    load_dotenv()
    settings = Settings.from_environment()
    days = named(settings)
    _log_to_terminal(debug=debug)
    if settings.uses_sample:
        click.secho(
            "SAMPLE DATA: there is no RAPIDAPI_KEY, so a built-in sample API answers with made-up games.\n"
            f"They go to {_shown(settings.archive_dir)}, never to your archive. Set RAPIDAPI_KEY (see .env.example) "
            "for real ones.",
            fg="yellow", err=True,
        )  # fmt: skip
    if settings.lacks_key:
        raise SettingsError(NO_KEY)
    # Dagster takes seconds to import: what can be said before is said before.
    from ncaa_assets import archive  # noqa: PLC0415
    from ncaa_assets.backends import open_store  # noqa: PLC0415

    store = open_store(settings)
    archive.Identity(source=settings.source, league=settings.league_name, timezone=settings.timezone).check(store)
    click.echo(f"Backing up {_span(days)} …", err=True)

    from ncaa_assets.definitions import build_defs  # noqa: PLC0415
    from ncaa_assets.instance import open_instance  # noqa: PLC0415
    from ncaa_assets.runs import execute_day  # noqa: PLC0415

    failed: list[date] = []
    left = _requests_left(settings, days) if len(days) > 1 and not settings.uses_sample else None
    with open_instance(settings.dagster_home()) as instance:
        defs = build_defs(settings)
        for day in days:
            if left is not None and left <= settings.quota_reserve:
                click.secho(
                    f"stopped before {day}: {left} API requests are left today and QUOTA_RESERVE keeps "
                    f"{settings.quota_reserve}; go on tomorrow with --from {day} --to {days[-1]}",
                    fg="red", err=True,
                )  # fmt: skip
                failed += [one for one in days if one >= day]
                break
            if holder := archive.holder(store, day.isoformat()):
                click.echo(f"{day} skipped: it is being backed up by {holder}; nothing was done here")
                failed.append(day)
                continue
            ended = execute_day(instance, defs, day, force=force)
            # A day that failed before its answer was stored spent at least one request too.
            left = ended.requests_left if ended.requests_left is not None or left is None else left - 1
            if any(_written_for_people(error)[0] is QuotaSpent for _, error in ended.errors):
                left = 0
            if not _report(settings, day, ended, debug=debug):
                failed.append(day)
    if len(days) > 1:
        click.echo(f"{len(days) - len(failed)} of {len(days)} days backed up")
    if failed:
        if len(days) > 1:
            click.secho(f"not backed up: {', '.join(map(str, failed))}", fg="red", err=True)
        return 1
    _say_where(settings)
    return 0


def _requests_left(settings: Settings, days: list[date]) -> int | None:
    """Asks how many API requests are left today and says, before a range starts, where they will not do for it: each
    day takes at least one. None where the API does not say."""
    from ncaa_assets.resources import HighlightsApiResource  # noqa: PLC0415

    try:
        with HighlightsApiResource.of(settings).process_config_and_initialize_cm() as api:
            left = api.requests_left(days[0].isoformat())
    except SourceError as error:
        click.secho(f"how many API requests are left could not be asked: {error}", fg="yellow", err=True)
        return None
    if left is not None and left - settings.quota_reserve < len(days):
        click.secho(
            f"{len(days)} days take at least {len(days)} API requests, and {max(0, left - settings.quota_reserve)} can "
            f"be spent today ({left} left, QUOTA_RESERVE keeps {settings.quota_reserve}): this will stop on the way",
            fg="yellow", err=True,
        )  # fmt: skip
    return left


def _span(days: list[date]) -> str:
    return str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]} ({len(days)} days)"


def _report(settings: Settings, day: date, ended: "DayRun", *, debug: bool) -> bool:
    if ended.cancelled:
        raise KeyboardInterrupt
    label = f"{day} (SAMPLE)" if settings.uses_sample else str(day)
    for name in ASSETS:
        if name in ended.summaries:
            click.echo(f"  {name:<17} {ended.summaries[name]}")
    for warning in ended.warnings:
        click.secho(f"  warning           {warning}", fg="yellow")
    missing = [name for name in ASSETS if name not in ended.summaries]
    if ended.succeeded and not missing and not ended.failed_checks:
        click.secho(f"{label} backed up", fg="green")
        return True
    if ended.succeeded and len(missing) == len(ASSETS):
        click.echo(f"{label} skipped: another run holds the day; nothing was done here")
        return False
    for check in ended.failed_checks:
        click.secho(f"  check failed      {check}", fg="red", err=True)
    for step, error in ended.errors:
        if debug:
            click.echo(error.to_string(), err=True)
        click.secho(f"ncaa-assets: {step + ': ' if step else ''}{_sentence(error, debug=debug)}", fg="red", err=True)
    done = ", ".join(name for name in ASSETS if name in ended.summaries) or "nothing"
    click.secho(f"{label} FAILED; done and kept: {done}. The same command goes on from there", fg="red", err=True)
    return False


def _sentence(error: "SerializableErrorInfo", *, debug: bool) -> str:
    """The cause that was written for people, else the innermost error and how to see more of it."""
    kind, message = _written_for_people(error)
    if kind is not None:
        return message.removeprefix(f"{kind.__module__}.{kind.__qualname__}: ")
    return f"unexpected {message[:500]}" + ("" if debug else "; --debug shows where")


def _written_for_people(error: "SerializableErrorInfo") -> tuple[type[BackupError] | None, str]:
    """The first cause that is one of our errors, with its message; else None and the innermost cause's message."""
    while True:
        kind = getattr(failures, error.cls_name or "", None)
        ours = kind if isinstance(kind, type) and issubclass(kind, BackupError) else None
        if ours is not None or error.cause is None:
            return ours, " ".join(error.message.split())
        error = error.cause


def _say_where(settings: Settings) -> None:
    from ncaa_assets.backends import open_store  # noqa: PLC0415

    if settings.ncaa_deployment == "aws":
        place, rows = open_store(settings).uri(""), f"the table {settings.dynamodb_table}"
    else:
        from ncaa_assets.backends.local import SQLITE_NAME  # noqa: PLC0415

        place = f"{_shown(settings.archive_dir)}/"
        rows = f"{place}{SQLITE_NAME}"
    click.echo(f"\nFiles:  {place} (highlights, videos, processed_videos), rows in {rows}")
    click.echo("Browse: `make ui` or `ncaa-assets ui`, then http://localhost:3000")
    if settings.uses_sample:
        click.echo("Next:   put your RAPIDAPI_KEY into .env (cp .env.example .env) and run the same command again")
    click.echo("Daily:  no server needed; add this line with `crontab -e`:")
    click.echo(f"        {_cron_line(settings)}")


def _cron_line(settings: Settings) -> str:
    # Each day is looked at again, because clips arrive up to two days after a game.
    program = Path(sys.executable).with_name("ncaa-assets")
    command = f"{shlex.quote(str(program))} backup --last {settings.lookback_days}"
    return f"30 6 * * * cd {shlex.quote(str(Path.cwd()))} && {command} >> backup.log 2>&1".replace("%", r"\%")


def _ui(port: int) -> int:
    load_dotenv()
    settings = Settings.from_environment()
    home = settings.dagster_home()
    from ncaa_assets.instance import prepare_home  # noqa: PLC0415

    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        # Dagster would say so in the middle of its log and go on, with a second daemon on the same runs.
        raise SettingsError(f"port {port} cannot be had ({error.strerror}); choose another with --port") from error
    prepare_home(home)
    workspace = Path(__file__).with_name("instance") / WORKSPACE
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


class _TerminalFormatter(logging.Formatter):
    """Log lines for a person: the message alone, in colour where it is a warning or worse and a terminal shows it."""

    def __init__(self, *, colours: bool) -> None:
        super().__init__()
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        text = f"  {record.getMessage()}"
        if not self._colours or record.levelno < logging.WARNING:
            return text
        return click.style(text, fg="yellow" if record.levelno < logging.ERROR else "red")


def _log_to_terminal(*, debug: bool) -> None:
    # A handle of our own: an instance that captures a step's output would take the lines away with it.
    stream = os.fdopen(os.dup(2), "w", buffering=1)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_TerminalFormatter(colours=stream.isatty()))
    logger = logging.getLogger("ncaa_assets")
    logger.setLevel(logging.DEBUG if debug else logging.INFO)
    logger.addHandler(handler)
    logger.propagate = False


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
