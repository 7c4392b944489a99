"""`ncaa-assets verify`: reconciles a range or the whole archive and prints the findings for a person.

Each finding goes to stdout when it is found, with what to do about it; progress goes to stderr. The command writes
nothing, so it may run beside a backup. A day that a run holds comes last; one that it holds for too long is left out,
and then the command fails.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import click

from ncaa_assets import advice
from ncaa_assets.archive import lease, watch
from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.identity import IDENTITY_KEY
from ncaa_assets.archive.kept import reconcile_kept
from ncaa_assets.archive.reconcile import DayReport, Decoder, Finding, Severity, reconcile_day, remedy_for, strays
from ncaa_assets.archive.rows import RowsOfDays
from ncaa_assets.archive.standing import Wanted
from ncaa_assets.commands import ending
from ncaa_assets.commands.findings import bar_over_days, fields_of, say_finding
from ncaa_assets.commands.say import say
from ncaa_assets.failures import DocumentDamaged, EncodeFailed, SettingsError, StoreError
from ncaa_assets.gallery.publish import unpublished
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
@click.option("--date", "day", metavar="YYYY-MM-DD", help="One day.")
@click.option("--from", "first", metavar="YYYY-MM-DD", help="The first day. Default: the archive's first.")
@click.option("--to", "last", metavar="YYYY-MM-DD", help="The last day. Default: the archive's last.")
@click.option("--deep", is_flag=True, help="Read every byte, and decode every video where there is an ffmpeg.")
@ending.json_option
@ending.debug_option
def verify(day: str | None, first: str | None, last: str | None, deep: bool, as_json: bool, debug: bool) -> None:
    """Compares highlights, rows, videos and outputs with one another and with what the documents say of them."""
    answer: ending.Answer = {}

    def command() -> int:
        if day is not None and (first is not None or last is not None):
            raise SettingsError("take --date, or --from and --to, not both")
        oldest, newest = (first, last) if day is None else (day, day)
        return verify_archive(oldest, newest, deep=deep, answer=answer)

    ending.run(command, debug=debug, only_tells=True, answer=answer if as_json else None)


def verify_archive(first: str | None, last: str | None, *, deep: bool, answer: ending.Answer | None = None) -> int:
    """Verifies the days from `first` to `last`, both YYYY-MM-DD. Returns 0 where all were looked at and nothing
    differs, else 1. An `answer` gets what was found.

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
    total, findings = _Total(), list[dict[str, Any]]()
    answer = {} if answer is None else answer
    answer["findings"] = findings

    def tell(finding: Finding) -> None:
        say_finding(finding)
        findings.append(fields_of(finding))

    if problem is not None:
        total.differences += 1
        tell(problem)

    days, bare = chosen, set[str]()
    if days is None:
        days_with_objects: set[str] = set()
        for stray in strays(archive.store, days_with_objects):
            total.differences += 1
            tell(stray)
        bare = {day.isoformat() for day in calendar.days(settings.start_date, _newest(settings))} - days_with_objects
        days = sorted(days_with_objects | bare)
        if not days_with_objects and not has_identity and not total.differences:
            raise archive.missing()
        if not has_identity:
            total.differences += 1
            tell(_NO_IDENTITY)

    held: list[str] = []
    for report in _reports(archive, days, held, total, bare=bare, deep=deep, decoder=decoder):
        is_news = report.table_trouble is not None and total.table_trouble is None
        total.add(report)
        if is_news:
            remedy = f"then verify again: no rows were compared from {report.day} on"
            tell(Finding(None, "backup_rows", archive.table.uri(), str(report.table_trouble), remedy))
        for finding in report.findings:
            tell(finding)
    for seen in reconcile_kept(archive.store, deep=deep) if chosen is None else ():
        total.counts["hashed_bytes"] += seen.read
        if seen.finding is not None:
            total.differences += 1
            tell(seen.finding)
    _say_lacking_pages(archive, days)
    for day in held:
        say(f"{day} not verified: a run is backing it up now; verify it again later", colour="yellow", err=True)
    answer |= {"days": total.days, "differences": total.differences, "not_verified": held, **total.counts}
    _say_total(total, len(held), deep=deep, decodes=decoder is not None)
    return ending.FAILED if total.differences or held else ending.DONE


def _say_lacking_pages(archive: Archive, days: Sequence[str]) -> None:
    """Says of which days the gallery knows nothing. Pages are made from what is kept, so that is no difference."""
    lacking = sorted({*unpublished(archive)}.intersection(days))
    if lacking:
        some = ", ".join(lacking[:3]) + (f" and {len(lacking) - 3} more" if lacking[3:] else "")
        remedy = f"`{advice.command('gallery')}` makes them"
        say(f"the gallery has no pages of {some} yet; {remedy}", colour="yellow", err=True)


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
    remedy = f"{_PUT_BACK}; or to keep what it says, run `{advice.command('backup')}`: it is "
    remedy += "written again with its checksum"
    return True, Finding(None, "archive", IDENTITY_KEY, "; ".join(identity.doubts), remedy)


def _chosen(settings: Settings, first: str | None, last: str | None) -> list[str] | None:
    if first is None and last is None:
        return None
    oldest = settings.named_day(first) if first is not None else settings.start_date
    newest = settings.named_day(last)
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
    archive: Archive,
    days: Sequence[str],
    held: list[str],
    total: _Total,
    *,
    bare: Collection[str],
    deep: bool,
    decoder: Decoder | None,
) -> Iterator[DayReport]:
    """The reports of the days; those that a run holds come last, when it has released them. Adds to `held` the days
    that one still holds after as long as a dead run's lease lasts. Where `total` has a table that cannot be used, rows
    are not compared any more. Of the `bare` days the store has no object: only their rows are looked for, which saves
    an archive of one season the questions about the days of others."""
    rows_of_day, wanted = RowsOfDays(archive.store), Wanted.of(archive.settings)

    def report_of(day: str, *, wait: bool = False) -> DayReport | None:
        progress(day, False)
        if archive.holder(day, wait=wait) is not None:
            return None
        if day in bare and not (total.table_trouble is None and _has_rows(archive, day)):
            return DayReport(day)
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

    with bar_over_days("verifying", len(days)) as progress:
        waiting, until, is_last = list(days), 0.0, False
        while waiting:
            for day in list(waiting):
                if (report := report_of(day, wait=is_last)) is not None:
                    yield report
                    progress(day, True)
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


def _has_rows(archive: Archive, day: str) -> bool:
    """Whether the table has rows of a day, or does not say; why it does not, the comparison of the day tells."""
    try:
        return bool(archive.table.day(day))
    except StoreError:
        return True


def _say_total(total: _Total, held: int, *, deep: bool, decodes: bool) -> None:
    counts = total.counts
    parts = [plural(counts["highlights"], "highlight"), plural(counts["rows"], "row")]
    parts += [
        f"{counts['copies']} copied and {counts['outputs']} encoded videos",
        f"{size(counts['hashed_bytes'])} of them read",
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
        say(
            "archive and record are equal" + ("" if deep else " (--deep reads all bytes of the videos)"), colour="green"
        )
