"""`ncaa-assets import`: takes in another archive, a restored folder, or what the earlier pipeline left.

What came in, what is kept beside the days and what stays where it is goes to stdout; progress goes to stderr. Nothing
is downloaded from the addresses in it.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import click

from ncaa_assets import advice
from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.day_versions import State
from ncaa_assets.backends.deployments import open_place
from ncaa_assets.backends.place import Place
from ncaa_assets.commands import ending
from ncaa_assets.commands.findings import bar_over_days, say_finding
from ncaa_assets.commands.gallery import bring_up_to_date
from ncaa_assets.commands.say import say
from ncaa_assets.commands.terminal import TerminalLog, logging_to_terminal
from ncaa_assets.failures import SettingsError
from ncaa_assets.imports.archives import DayTaken, TakesDays, days_in, take_kept
from ncaa_assets.imports.placing import DayPlaced, FilePlaced, Places
from ncaa_assets.imports.what import leavings_in, root_of
from ncaa_assets.settings import Settings, load_dotenv
from ncaa_assets.source.doors import MODULES
from ncaa_assets.text import plural, size

_MOST_NAMED = 10  # files that are named, of those of which there is nothing to say


@click.command("import")
@click.argument("place", metavar="PATH_OR_S3_URI")
@click.option("--dry-run", is_flag=True, help="Say what would come in, and write nothing.")
@click.option("--module", type=click.Choice(MODULES), default="basketball", show_default=True,
              help="The module of the API that the earlier pipeline asked.")  # fmt: skip
@ending.debug_option
def import_(*, place: str, dry_run: bool, module: str, debug: bool) -> None:
    """Takes in an archive, a restored folder, or what the earlier pipeline left: a folder, s3://BUCKET/PREFIX or
    dynamodb://TABLE."""
    ending.run(lambda: _import(place, module, writes=not dry_run, debug=debug), debug=debug)


def _import(named: str, module: str, *, writes: bool, debug: bool) -> int:
    load_dotenv()
    settings = Settings.from_environment()
    archive, place = Archive.open(settings), open_place(named, settings)
    owner = f"import-{uuid4().hex[:8]}"
    archive.any_identity()  # refuses an archive of something else before anything is read
    root = root_of(place)
    if root is None and settings.uses_sample:
        raise SettingsError(
            "without RAPIDAPI_KEY the archive is the sample's, and what is real never mixes with it: set RAPIDAPI_KEY "
            "to your key (an import asks nothing with it)"
        )
    if writes:
        archive.store.check_writes()
    what = "what the earlier pipeline left" if root is None else "an archive"
    dry = "" if writes else " (--dry-run: nothing is written)"
    say(f"importing {what} from {place.uri()} into {archive.place}{dry} …", err=True)
    ends_well, touched = True, set[str]()
    with logging_to_terminal(debug=debug) as log:
        if root is not None:
            days = TakesDays(archive, place, root, owner=owner, writes=writes)
            ends_well &= _days(archive, place, root, days, touched, writes=writes)
        if not settings.uses_sample:
            places = Places(archive, place, module=module, owner=owner, writes=writes)
            ends_well &= _leavings(archive, place, root, places, touched, log)
        if writes and touched:
            ends_well &= bring_up_to_date(archive, sorted(touched))
    return ending.DONE if ends_well else ending.FAILED


def _days(archive: Archive, place: Place, root: str, takes: TakesDays, touched: set[str], *, writes: bool) -> bool:
    """Takes in an archive's days, and adds those that it changes to `touched`; whether all of them came in."""
    takes.identity()
    waiting, counted, total, ends_well = days_in(place, root), Counter[str](), 0, True
    with bar_over_days("importing", len(waiting)) as advance:
        for is_last in (False, True):
            held: list[str] = []
            for day in waiting:
                advance(day, False)
                taken = takes.take(day)
                if taken.held_by is not None and not is_last:
                    held.append(day)
                    continue
                total += taken.bytes
                touched |= {day} if taken.was is not None else set()
                ends_well &= taken.is_done
                counted[_say_day(taken)] += 1
                advance(day, True)
            waiting = held
    kept, wrong = take_kept(archive, place, root, writes=writes)
    for finding in wrong:
        say_finding(finding)
    ends_well &= not wrong
    if kept:
        say(f"{plural(kept, 'object')} under imported/ came along")
    parts = ", ".join(f"{count} {what}" for what, count in counted.items()) or "none"
    say(f"{plural(sum(counted.values()), 'day')} of the archive: {parts}; {size(total)} of videos",
        colour="green" if ends_well else "red")  # fmt: skip
    return ends_well


def _say_day(taken: DayTaken) -> str:
    """Prints what became of a day, where that is news; and returns it in a word or two."""
    day, came = taken.day, f"{plural(taken.objects, 'file')}, {size(taken.bytes)}"
    match taken.was:
        case State.EARLIER if taken.is_new:
            say(f"{day} imported: {came}")
            what = "imported"
        case State.EARLIER:
            say(f"{day} taken up: an earlier state of it was here; {came}")
            what = "taken up"
        case State.LATER:
            say(f"{day} left as it is: it is a later state here")
            what = "later here"
        case State.OTHER:
            say(f"{day} left as it is: it went another way here than there; import it into an archive of its own",
                colour="red")  # fmt: skip
            what = "gone another way here"
        case State.EQUAL if taken.is_new and taken.findings:
            what = "damaged there"
        case State.EQUAL:
            if taken.objects:
                say(f"{day} was here, but for {came}")
            what = "here already"
        case _:
            if taken.held_by is not None:
                say(f"{day} not imported: {taken.held_by}; import it again later", colour="red")
            what = "not imported"
    for finding in taken.findings:
        say_finding(finding)
    return what


@dataclass
class _OfPath:
    """What became of all versions of one file."""

    versions: int = 0
    records: int = 0
    kept_records: int = 0
    own_rows: int = 0
    bytes: int = 0
    kept: set[str] = field(default_factory=set)
    why: str | None = None
    is_damaged: bool = False
    left: bool = False

    def add(self, placed: FilePlaced) -> None:
        self.versions += 1
        for name in ("records", "kept_records", "own_rows", "bytes"):
            setattr(self, name, getattr(self, name) + getattr(placed, name))
        self.kept |= set(placed.kept)
        self.why = placed.why or self.why
        self.is_damaged |= placed.is_damaged
        self.left = placed.left and (self.left or self.versions == 1)


def _leavings(
    archive: Archive, place: Place, root: str | None, places: Places, touched: set[str], log: TerminalLog
) -> bool:
    """Takes in what the earlier pipeline left, and adds the days that it changes to `touched`; whether all of it was
    placed, or kept and listed."""
    paths: dict[str, _OfPath] = {}
    days: dict[str, DayPlaced] = {}
    troubles = 0
    with _counting(log) as count:
        for placed in places.files(leavings_in(place, root)):
            if isinstance(placed, FilePlaced):
                paths.setdefault(placed.file.path, _OfPath()).add(placed)
                count(f"{len(paths)} files read, now {placed.file.path}")
                continue
            count(f"{placed.day} done")
            if placed.trouble is not None:
                troubles += 1
                say(f"{placed.day} not imported: {placed.trouble}", colour="red")
            earlier = days.setdefault(placed.day, DayPlaced(placed.day))
            for name in ("listings", "new", "changed"):
                setattr(earlier, name, getattr(earlier, name) + getattr(placed, name))
    if not paths and root is not None:
        return True
    whole = [path for path, found in paths.items() if not (found.left or found.kept or found.is_damaged)]
    unnamed = set(whole[_MOST_NAMED:])
    for path, found in paths.items():
        if not found.left and path not in unnamed:
            _say_file(path, found)
    if unnamed:
        say(f"{plural(len(unnamed), 'more file')}, of which all that they list is of game days")
    touched |= set(days)
    _say_left([(path, found.why or "") for path, found in paths.items() if found.left])
    for day in sorted(days):
        one = days[day]
        if one.listings:
            changed = f", {one.changed} with another content than is known" if one.changed else ""
            say(f"{day}: {plural(one.listings, 'listing')}, {plural(one.new, 'new highlight')}{changed}")
    _say_sums(archive, paths, days)
    return not troubles and not any(found.is_damaged for found in paths.values())


def _say_file(path: str, found: _OfPath) -> None:
    versions = f" ({found.versions} versions)" if found.versions > 1 else ""
    parts = [f"{plural(found.records, 'record')} of game days"] if found.records or not found.kept else []
    if found.kept_records:
        parts.append(f"{found.kept_records} of no known day")
    if found.own_rows:
        parts.append(f"{plural(found.own_rows, 'row')} that this project made are left: their JSON has them")
    if found.bytes:
        parts.append(size(found.bytes))
    why = f": {found.why}" if found.why else ""
    if found.is_damaged:
        why = f"; damaged: {found.why}"
    say((f"{path}{versions}: {', '.join(parts)}{why}", "red" if found.is_damaged else None))  # type: ignore[arg-type]
    for key in sorted(found.kept)[:_MOST_NAMED]:
        say(f"{'':<4}→ kept as {key}")
    if len(found.kept) > _MOST_NAMED:
        say(f"{'':<4}→ and {len(found.kept) - _MOST_NAMED} more beside it")


def _say_left(left: list[tuple[str, str]]) -> None:
    for path, why in left[:_MOST_NAMED]:
        say(f"left where it is: {path} ({why})")
    if len(left) > _MOST_NAMED:
        say(f"left where they are: {len(left) - _MOST_NAMED} more files that are no listing and no video")


def _say_sums(archive: Archive, paths: dict[str, _OfPath], days: dict[str, DayPlaced]) -> None:
    new, kept = sum(day.new for day in days.values()), sum(len(found.kept) for found in paths.values())
    placed = sum(found.records for found in paths.values())
    say(f"{plural(len(paths), 'file')}: {plural(placed, 'record')} in {plural(len(days), 'game day')}, of them "
        f"{plural(new, 'new highlight')}; {plural(kept, 'thing')} kept under imported/")  # fmt: skip
    if new:
        first, last = min(days), max(days)
        command = advice.command("backup", "--from", first, "--to", last)
        say(f"for the videos and for what the listings lack: `{command}`")
        if first < (start := archive.settings.start_date.isoformat()):
            say(f"days before {start} are in the archive, and backed up where START_DATE is no later than {first}")


@contextmanager
def _counting(log: TerminalLog) -> Iterator[Callable[[str], None]]:
    """A line that says what is done now, where stderr is a terminal."""
    if not log.is_terminal:
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.markup import escape  # noqa: PLC0415

    with Console(file=log.stream).status("reading") as status:
        yield lambda text: status.update(escape(text[:100]))
