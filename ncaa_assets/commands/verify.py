"""`ncaa-assets verify`: reconciles a range or the whole archive and prints the findings for a person.

Each finding goes to stdout when it is found, with what to do about it; progress goes to stderr. The command writes
nothing, so it may run beside a backup. A day that a run holds comes last; one that it holds for too long is left out,
and then the command fails.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import click

from ncaa_assets.archive import lease, watch
from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.identity import IDENTITY_KEY
from ncaa_assets.archive.reconcile import DayReport, Decoder, Finding, Severity, reconcile_day, remedy_for, strays
from ncaa_assets.archive.rows import RowsOfDays
from ncaa_assets.archive.standing import Wanted
from ncaa_assets.commands import ending
from ncaa_assets.commands.say import say
from ncaa_assets.failures import DocumentDamaged, EncodeFailed, SettingsError
from ncaa_assets.record import calendar
from ncaa_assets.settings import Settings, load_dotenv
from ncaa_assets.text import plural, size


@dataclass
class _Total:
    """Sums over all days. `table_trouble` says why no rows are compared from a day on."""

    table_trouble: str | None = None
    days: int = 0
    differences: int = 0
    days_that_differ: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, report: DayReport) -> None:
        errors = sum(finding.severity is Severity.ERROR for finding in report.findings)
        self.differences += errors
        self.days_that_differ += errors > 0
        if report.table_trouble is not None and self.table_trouble is None:
            self.table_trouble = report.table_trouble
            self.differences += 1
        self.days += report.is_there
        for name in ("highlights", "rows", "copies", "outputs", "hashed_bytes", "decoded"):
            self.counts[name] += getattr(report, name)


@click.command()
@click.option("--from", "first", metavar="YYYY-MM-DD", help="The first day. Default: the archive's first.")
@click.option("--to", "last", metavar="YYYY-MM-DD", help="The last day. Default: the archive's last.")
@click.option("--deep", is_flag=True, help="Read every byte, and decode every video where there is an ffmpeg.")
@ending.debug_option
def verify(first: str | None, last: str | None, deep: bool, debug: bool) -> None:
    """Compares highlights, rows, videos and outputs with one another and with what the documents say of them."""
    ending.run(lambda: verify_archive(first, last, deep=deep), debug=debug, only_tells=True)


def verify_archive(first: str | None, last: str | None, *, deep: bool) -> int:
    """Verifies the days from `first` to `last`, both YYYY-MM-DD. Returns 0 where all were looked at and nothing
    differs, else 1.

    With neither day, verifies the whole archive, including objects that belong to no day.

    Raises:
        SettingsError: the days cannot be verified, the archive has another identity, or there is no archive.
        StoreError: the store or the table cannot be read.
    """
    load_dotenv()
    settings = Settings.from_environment()
    chosen = _chosen(settings, first, last)
    archive = Archive.open(settings)
    has_identity, problem = _identity(archive)
    decoder = _decoder(settings) if deep else None
    total = _Total()
    if problem is not None:
        total.differences += 1
        _say(problem)

    days = chosen
    if days is None:
        days_with_objects: set[str] = set()
        for stray in strays(archive.store, days_with_objects):
            total.differences += 1
            _say(stray)
        days = sorted(
            days_with_objects | {day.isoformat() for day in calendar.days(settings.start_date, _newest(settings))}
        )
        if not days_with_objects and not has_identity and not total.differences:
            raise SettingsError(
                f"there is no archive yet ({archive.store.uri(IDENTITY_KEY)} is missing); back up a day first, or "
                "set the settings to the archive that you mean"
            )
        if not has_identity:
            total.differences += 1
            _say(_NO_IDENTITY)

    held: list[str] = []
    for report in _reports(archive, days, held, total, deep=deep, decoder=decoder):
        is_news = report.table_trouble is not None and total.table_trouble is None
        total.add(report)
        if is_news:
            remedy = f"then verify again: no rows were compared from {report.day} on"
            _say(Finding(None, "backup_rows", archive.table.uri(), str(report.table_trouble), remedy))
        for finding in report.findings:
            _say(finding)
    for day in held:
        say(f"{day} not verified: a run is backing it up now; verify it again later", colour="yellow", err=True)
    _say_total(total, len(held), deep=deep, decodes=decoder is not None)
    return ending.FAILED if total.differences or held else ending.DONE


_NO_IDENTITY = Finding(
    None, "archive", IDENTITY_KEY, "is missing",
    "put it back; a run with the settings that the archive was made with writes it again",
)  # fmt: skip
_PUT_BACK = f"put back an earlier version of {IDENTITY_KEY} (.history/archive/, or the bucket's versions)"


def _identity(archive: Archive) -> tuple[bool, Finding | None]:
    """Whether the archive says what it is a record of, and what is wrong with what it says.

    Raises:
        SettingsError: it is a record of something else than the settings name.
    """
    try:
        identity = archive.stored_identity()
    except DocumentDamaged as error:
        return True, Finding(None, "archive", IDENTITY_KEY, str(error), remedy_for(error, _PUT_BACK))
    if identity is None or not identity.doubts:
        return identity is not None, None
    remedy = f"{_PUT_BACK}; or to keep what it says, run `ncaa-assets backup`: it is written again with its checksum"
    return True, Finding(None, "archive", IDENTITY_KEY, "; ".join(identity.doubts), remedy)


def _chosen(settings: Settings, first: str | None, last: str | None) -> list[str] | None:
    if first is None and last is None:
        return None
    oldest = settings.parse_day(first) if first is not None else settings.start_date
    newest = settings.parse_day(last)
    if oldest > newest:
        raise SettingsError(f"--from {oldest} is after --to {newest}; swap them")
    return [day.isoformat() for day in calendar.days(oldest, newest)]


def _newest(settings: Settings) -> date:
    return settings.today() - timedelta(days=1)


def _decoder(settings: Settings) -> Decoder | None:
    from ncaa_assets.media.ffmpeg import ffmpeg_program  # noqa: PLC0415 - only `--deep` needs it

    try:
        return Decoder(ffmpeg_program(), seconds=settings.encode_timeout)
    except EncodeFailed as error:
        say(f"no video is decoded: {error}", colour="yellow", err=True)
        return None


def _reports(
    archive: Archive, days: Sequence[str], held: list[str], total: _Total, *, deep: bool, decoder: Decoder | None
) -> Iterator[DayReport]:
    """The reports of the days; those that a run holds come last, when it has released them. Adds to `held` the days
    that one still holds after as long as a dead run's lease lasts. Where `total` has a table that cannot be used, rows
    are not compared any more."""
    rows_of_day, wanted = RowsOfDays(archive.store), Wanted.of(archive.settings)
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    # The bar writes to stderr, so it must not capture findings that go to a file or a pipe.
    bar = Progress(
        *columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty(),
        redirect_stdout=sys.stdout.isatty(),
    )  # fmt: skip

    def report_of(day: str, *, wait: bool = False) -> DayReport | None:
        bar.update(task, description=f"verifying {day}")
        if archive.holder(day, wait=wait) is not None:
            return None
        report = reconcile_day(
            archive.store,
            archive.table if total.table_trouble is None else None,
            day,
            wanted=wanted,
            deep=deep,
            decoder=decoder,
            rows_of_day=rows_of_day,
        )
        # Findings may come from a run that took the day meanwhile and is half-way through writing it.
        return None if report.findings and archive.holder(day, wait=wait) is not None else report

    with bar:
        task = bar.add_task("verifying", total=len(days))
        waiting, until, is_last = list(days), 0.0, False
        while waiting:
            for day in list(waiting):
                if (report := report_of(day, wait=is_last)) is not None:
                    yield report
                    bar.advance(task)
                    waiting.remove(day)
            if not waiting or is_last:
                break
            if not until:
                until = watch.elapsed() + lease.LEASE_SECONDS
                say(
                    f"waiting for up to {lease.LEASE_SECONDS:.0f} s for {plural(len(waiting), 'day')} that a run may "
                    f"be backing up: {', '.join(waiting[:5])}{' …' if len(waiting) > 5 else ''}",
                    colour="yellow",
                    err=True,
                )  # fmt: skip
            watch.pause(min(lease.LOOK_EVERY, lease.LEASE_SECONDS / 10))
            # The last round waits for the verdict on each lease that has not been watched for long enough by then.
            is_last = watch.elapsed() >= until
    held += waiting


def _say(finding: Finding) -> None:
    about = f"{finding.day}  {finding.asset:<16}  " if finding.day else f"{'':<10}  {finding.asset:<16}  "
    colour = "red" if finding.severity is Severity.ERROR else "yellow"
    mark = "" if finding.severity is Severity.ERROR else "(a warning, not an error of the archive) "
    say(about, (f"{finding.key}: {mark}{finding.problem}", colour))
    say(f"{'':<12}→ {finding.remedy}")


def _say_total(total: _Total, held: int, *, deep: bool, decodes: bool) -> None:
    counts = total.counts
    parts = [plural(counts["highlights"], "highlight"), plural(counts["rows"], "row")]
    parts += [
        f"{counts['copies']} copied and {counts['outputs']} encoded videos",
        f"{size(counts['hashed_bytes'])} hashed",
    ]
    if decodes:
        parts.append(f"{counts['decoded']} decoded")
    say(f"{plural(total.days, 'day')} verified: {', '.join(parts)}")
    if total.differences:
        text = f"{plural(total.differences, 'difference')}"
        where = f" in {plural(total.days_that_differ, 'day')}" if total.days_that_differ else ""
        say(text + where, colour="red")
    if held:
        say(f"{plural(held, 'day')} not verified: a run was at work there; verify again later", colour="red")
    elif not total.differences:
        say("archive and record are equal" + ("" if deep else " (--deep reads every byte)"), colour="green")
