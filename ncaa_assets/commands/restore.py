"""`ncaa-assets restore`: brings an archive's days back as plain files, or as an archive elsewhere; or makes its rows
again from the JSON.

What is missing or damaged goes to stdout when it is found, as `verify` says it; progress goes to stderr. Nothing of the
archive is changed but its table of rows, and that only by `--into-table`.
"""

import os
from collections.abc import Collection, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import click

from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.identity import IDENTITY_KEY
from ncaa_assets.archive.kept import KEPT, reconcile_kept
from ncaa_assets.archive.reconcile import Finding, strays
from ncaa_assets.backends.deployments import open_bucket
from ncaa_assets.commands import ending
from ncaa_assets.commands.findings import bar_over_days, say_finding
from ncaa_assets.commands.say import say
from ncaa_assets.failures import SettingsError
from ncaa_assets.record import calendar
from ncaa_assets.restore import archive as archive_layout
from ncaa_assets.restore import days as days_layout
from ncaa_assets.restore.as_of import AsOf
from ncaa_assets.restore.content import kept
from ncaa_assets.restore.library import Library
from ncaa_assets.restore.restoring import WHAT, DayRestored, Layout, put, restore_days, restore_identity
from ncaa_assets.restore.rows import RowFiles, no_pyarrow
from ncaa_assets.restore.table import rows_into_table
from ncaa_assets.restore.target import Bucket, Folder, Piece, Target
from ncaa_assets.settings import Settings, load_dotenv
from ncaa_assets.text import plural, size, visible

# Each layout, and where the archive's documents lie in it; that of `library` is made for an archive.
_LAYOUTS: dict[str, tuple[Layout, str]] = {
    "days": (days_layout.pieces, days_layout.DOCUMENTS),
    "archive": (archive_layout.pieces, ""),
}
_LIBRARY = "library"
_ADDRESS = "s3://"


@click.command()
@click.option("--dest", metavar="DIR", help="Where the files go: a folder, or s3://BUCKET/PREFIX for another archive.")
@click.option("--from", "first", metavar="YYYY-MM-DD", help="The first day. Default: the archive's first.")
@click.option("--to", "last", metavar="YYYY-MM-DD", help="The last day. Default: the archive's last.")
@click.option("--what", default=",".join(WHAT), show_default=True, help="Which parts, with commas between them.")
@click.option("--into-table", is_flag=True, help="Make the rows again from the JSON, in the archive's own table.")
@click.option("--as-of", metavar="TIME", help="The documents as they were then, such as 2025-03-09T12:00 (UTC).")
@click.option(
    "--layout", type=click.Choice([*_LAYOUTS, _LIBRARY]),
    help="days (the default): readable names; library: a show for Jellyfin, Kodi and Plex; archive (that of s3://): "
    "the archive's own.",
)  # fmt: skip
@ending.debug_option
def restore(
    *, dest: str | None, first: str | None, last: str | None, what: str, into_table: bool, as_of: str | None,
    layout: str | None, debug: bool,
) -> None:  # fmt: skip
    """Brings back what was saved: the JSON, the rows, the videos, as plain files."""

    def command() -> int:
        if into_table == bool(dest) or (into_table and as_of):
            raise SettingsError(
                "say where to: --dest DIR for files, or --into-table for the rows, made from the JSON as it is now"
            )
        load_dotenv()
        settings, parts = Settings.from_environment(), _parts(what)
        archive, time = Archive.open(settings), None if as_of is None else _time(as_of)
        if into_table and (layout or parts != list(WHAT)):
            raise SettingsError("--into-table makes rows alone: leave out --layout and --what")
        if layout == "archive" and parts == ["rows"]:
            raise SettingsError("--layout archive has no files of rows; leave it out, or make a table by --into-table")
        if time is not None:
            if next(archive.store.list(KEPT), None) is not None and not (first or last):
                say(f"what is kept under {KEPT} is left out: nobody knows what of it was there then", err=True)
            archive = replace(archive, store=AsOf(archive.store, time))
        days, astray = _days(archive, first, last)
        if not dest:
            return _into_table(archive, days)
        name = layout or ("archive" if dest.startswith(_ADDRESS) else "days")
        target = _target(archive, dest, name)
        for finding in astray:
            say_finding(finding)
        work = _Work(archive, days, target, name, parts, has_table=time is None, is_range=bool(first or last))
        return work.to_files(wrong=len(astray))

    ending.run(command, debug=debug)


def _target(archive: Archive, dest: str, layout: str) -> Target:
    """Where the files go; it is opened last, so that nothing is made there for a command that cannot be.

    Raises:
        SettingsError: nothing can be restored there.
    """
    target: Target
    if not dest.startswith(_ADDRESS):
        root = Path(dest).expanduser()
        is_inside = f"{os.path.realpath(root)}/".startswith(f"{os.path.realpath(archive.place)}/")
        _refuse_the_archive_itself(archive, is_inside=is_inside)
        target = Folder(root)
    else:
        bucket, _, prefix = dest.removeprefix(_ADDRESS).partition("/")
        if layout != "archive":
            raise SettingsError(f"--layout {layout} is for a folder; what goes to a bucket has the archive's own keys")
        if not bucket:
            raise SettingsError("--dest s3:// names no bucket; write s3://BUCKET/PREFIX")
        store = open_bucket(archive.settings, bucket, prefix)
        _refuse_the_archive_itself(archive, is_inside=store.uri(IDENTITY_KEY) == archive.store.uri(IDENTITY_KEY))
        target = Bucket(store)
    return target


def _refuse_the_archive_itself(archive: Archive, *, is_inside: bool) -> None:
    if is_inside:
        raise SettingsError(f"--dest lies in the archive that is restored ({archive.place}); choose another place")


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"--as-of: {text!r} is no time; write it as 2025-03-09T12:00 (UTC)") from None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _parts(what: str) -> list[str]:
    parts = [part.strip() for part in what.split(",") if part.strip()]
    if not parts or (unknown := [part for part in parts if part not in WHAT]):
        named = f"{unknown[0]!r} is no part of an archive" if parts else "no part is named"
        raise SettingsError(f"--what: {named}; name some of {', '.join(WHAT)}, with commas between them")
    return parts


def _days(archive: Archive, first: str | None, last: str | None) -> tuple[list[str], list[Finding]]:
    """The days that the archive has anything of, oldest first; and where all of them are asked for, what belongs to no
    day.

    Raises:
        SettingsError: there is none, or the options name none.
    """
    for day in filter(None, (first, last)):
        if not calendar.is_day(day):
            raise SettingsError(f"{visible(day, most=40)!r} is not a date; write it as YYYY-MM-DD")
    oldest, newest = first, last
    if oldest and newest and oldest > newest:
        raise SettingsError(f"--from {oldest} is after --to {newest}; swap them")
    there: set[str] = set()
    astray = list(strays(archive.store, there))
    if not there and not astray:
        how = "set the settings to the archive that you mean"
        if isinstance(archive.store, AsOf):
            raise SettingsError(
                f"there is nothing to restore: no day of {archive.place} was backed up then; take a later --as-of"
            )
        if archive.settings.uses_sample:
            how = "that is the sample's: set RAPIDAPI_KEY (to any text, nothing is asked of the API) to mean your own"
        raise SettingsError(
            f"there is nothing to restore: no day is backed up in {archive.place}; {archive.beside() or how}"
        )
    days = sorted(day for day in there if (not oldest or day >= oldest) and (not newest or day <= newest))
    if not days:
        raise SettingsError(
            f"no day from {oldest or min(there)} to {newest or max(there)} is backed up in {archive.place}"
        )
    return days, [] if oldest or newest else astray


def _into_table(archive: Archive, days: list[str]) -> int:
    rows = written = not_done = 0
    with bar_over_days("making the rows of", len(days)) as progress:
        for done in rows_into_table(archive, days, owner=f"restore-{uuid4().hex[:8]}"):
            progress(done.day, True)
            rows += done.rows
            written += done.written
            if done.trouble is not None:
                not_done += 1
                say(f"{done.day} has no rows made: {done.trouble}", colour="red")
    text = f"{plural(len(days) - not_done, 'day')}: {plural(rows, 'row')}, {written} of them written"
    say(f"{text} to {archive.table.uri()}")
    return ending.FAILED if not_done else ending.DONE


@dataclass(frozen=True)
class _Work:
    """A restore of days to files."""

    archive: Archive
    days: list[str]
    target: Target
    layout: str
    what: Collection[str]
    has_table: bool
    is_range: bool

    def to_files(self, *, wrong: int) -> int:
        """Restores the days, and returns the exit code. `wrong` is how much was wrong before."""
        total, held = DayRestored("all"), 0
        library = Library.of(self.archive) if self.layout == _LIBRARY else None
        pieces, documents = (library.pieces, library.documents) if library is not None else _LAYOUTS[self.layout]
        is_archive = self.layout == "archive"
        with ExitStack() as stack:
            target = stack.enter_context(self.target)
            place = target.uri(f"{documents}{IDENTITY_KEY}").removesuffix(f"{documents}{IDENTITY_KEY}")
            say(f"restoring {plural(len(self.days), 'day')} from {self.archive.place} to {place}", err=True)
            restore_identity(self.archive, target, f"{documents}{IDENTITY_KEY}", total)
            for finding in total.findings:
                say_finding(finding)
            wrong += total.errors
            has_rows = "rows" in self.what and bool(documents)
            rows = stack.enter_context(RowFiles(target)) if has_rows and isinstance(target, Folder) else None
            progress = stack.enter_context(bar_over_days("restoring", len(self.days)))
            for restored in restore_days(
                self.archive, self.days, pieces, target, what=self.what, has_table=self.has_table,
                add_rows=rows.add if rows else None, replaceable=archive_layout.replaceable if is_archive else None,
            ):  # fmt: skip
                progress(restored.day, True)
                held += _say_day(self.archive, restored)
                wrong += restored.errors + (restored.table_trouble is not None)
                total.written += restored.written
                total.there += restored.there
                total.bytes += restored.bytes
            wrong += self._put_rows(rows, total) if rows is not None else 0
            wrong += 0 if self.is_range else self._put_kept(documents, total)
            if library is not None:
                show = library.of_show(self.archive.store, self.archive.days(), self.what)
                wrong += self._put_all(show, total)
        _say_total(total, days=len(self.days) - held, wrong=wrong, held=held)
        return ending.FAILED if wrong or held else ending.DONE

    def _put_rows(self, rows: RowFiles, total: DayRestored) -> int:
        """Puts the files of rows where they belong; how many of them could not be."""
        # The rows of a range are other files, so that they do not replace those of the whole archive.
        pieces = rows.pieces(f"rows {self.days[0]} to {self.days[-1]}" if self.is_range else "rows")
        wrong = self._put_all(pieces, total)
        if not rows.has_parquet:
            say(no_pyarrow(), err=True)
        return wrong

    def _put_kept(self, documents: str, total: DayRestored) -> int:
        """Puts what was imported and is in no day; how much of it is wrong or could not be."""
        wrong = [one.finding for one in reconcile_kept(self.archive.store) if one.finding is not None]
        for finding in wrong:
            say_finding(finding)
        named = {finding.key for finding in wrong}
        return len(wrong) + self._put_all(kept(self.archive.store, documents), total, named=named)

    def _put_all(self, pieces: Iterable[Piece], total: DayRestored, *, named: Collection[str] = ()) -> int:
        """Puts what belongs to no day; how much of it could not be, without what is named already."""
        found = filter(None, (put(self.target, piece, total) for piece in pieces))
        problems = [problem for problem in found if problem.key not in named]
        for problem in problems:
            say_finding(problem)
        return len(problems)


def _say_day(archive: Archive, restored: DayRestored) -> bool:
    """Says what is wrong with a day, and whether a run is at work on it."""
    if restored.table_trouble is not None:
        remedy = f"no rows are compared from {restored.day} on"
        say_finding(Finding(None, "backup_rows", archive.table.uri(), restored.table_trouble, remedy))
    for finding in restored.findings:
        say_finding(finding)
    if restored.held_by is not None:
        say(f"{restored.day} not restored: {restored.held_by} is at work on it; restore it again later", err=True)
    return restored.held_by is not None


def _say_total(total: DayRestored, *, days: int, wrong: int, held: int) -> None:
    say(
        f"{plural(days, 'day')} restored: {plural(total.written, 'file')} written ({size(total.bytes)}), "
        f"{total.there} there already"
    )
    if wrong:
        say(f"{plural(wrong, 'difference')}, named above; all else was restored", colour="red")
    if held:
        say(f"{plural(held, 'day')} not restored: a run was at work there; restore again later", colour="red")
