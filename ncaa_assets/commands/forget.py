"""`ncaa-assets forget`: lets go of copies, named by their highlights' ids or all that are lost for good."""

import sys
from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

import click

from ncaa_assets import advice
from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.standing import Copy, Wanted, clips
from ncaa_assets.commands import ending
from ncaa_assets.commands.gallery import bring_up_to_date
from ncaa_assets.commands.say import confirmed, say
from ncaa_assets.day.forget import forget as forget_day
from ncaa_assets.failures import ObjectMissing, SettingsError
from ncaa_assets.record import calendar
from ncaa_assets.record.models import ProcessedDay, VideosDay, safe_name, typed_name
from ncaa_assets.settings import Settings, load_dotenv
from ncaa_assets.text import plural, visible


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--date", "day", metavar="YYYY-MM-DD", help="The game day of the highlights.")
@click.option("--lost", is_flag=True, help="Instead of ids: every copy that is lost for good.")
@click.option("--from", "first", metavar="YYYY-MM-DD", help="With --lost, the first day of a range.")
@click.option("--to", "last", metavar="YYYY-MM-DD", help="With --lost, the last day of a range.")
@click.option("--reason", metavar="TEXT", help="Why, for the record.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@ending.debug_option
def forget(
    ids: tuple[str, ...],
    day: str | None,
    lost: bool,
    first: str | None,
    last: str | None,
    reason: str | None,
    yes: bool,
    debug: bool,
) -> None:
    """Lets go of copied videos: they are deleted, with their encodes, and not expected or copied any more.

    Name highlights by their ids and their day, or take --lost: what the archive lost and its source does not have any
    more.
    """
    ending.run(lambda: _forget(ids, day, first, last, lost=lost, reason=reason, yes=yes), debug=debug)


def _forget(
    ids: Sequence[str],
    named: str | None,
    first: str | None,
    last: str | None,
    *,
    lost: bool,
    reason: str | None,
    yes: bool,
) -> int:
    load_dotenv()
    settings = Settings.from_environment()
    days = _days(settings, ids, named, first, last, lost=lost)
    archive = Archive.open(settings)
    if not archive.exists():
        raise archive.missing()
    leaving: dict[str, list[str]] = {}
    for day in days:
        chosen = _lost(archive, day) if lost else _named(archive, day, ids)
        if chosen:
            leaving[day] = chosen
    if not leaving:
        say("nothing is lost for good: nothing to let go of")
        return ending.DONE
    for day, chosen in leaving.items():
        say(f"{day}: {', '.join(map(typed_name, chosen))}")
    count = plural(sum(map(len, leaving.values())), "highlight")
    if not yes and not _confirmed(f"Let go of the videos of {count}? They are deleted and not copied again"):
        say("nothing was let go of; --yes does it without asking", err=True)
        return ending.FAILED
    for day, chosen in leaving.items():
        with archive.lease(day, owner=f"forget-{uuid4().hex[:8]}") as held:
            done = forget_day(held, chosen, reason=reason)
        say(f"{day}: let go of {plural(len(done.entries), 'video')}, {plural(len(done.deleted), 'file')} deleted")
    return ending.DONE if bring_up_to_date(archive, list(leaving)) else ending.FAILED


def _confirmed(question: str) -> bool:
    return sys.stdin.isatty() and confirmed(question)


def _days(
    settings: Settings, ids: Sequence[str], named: str | None, first: str | None, last: str | None, *, lost: bool
) -> list[str]:
    if lost == bool(ids):
        raise SettingsError(
            f"name the highlights by their ids, or take --lost; `{advice.command('verify')}` lists what is lost"
        )
    if ids and (named is None or first or last):
        raise SettingsError("ids need the day that they are of: --date YYYY-MM-DD")
    if named is not None:
        if first or last:
            raise SettingsError("take --date, or --from and --to, not both")
        return [settings.named_day(named).isoformat()]
    oldest = settings.named_day(first) if first is not None else settings.start_date
    newest = settings.named_day(last) if last is not None else settings.today() - timedelta(days=1)
    if oldest > newest:
        raise SettingsError(f"--from {oldest} is after --to {newest}; swap them")
    return [day.isoformat() for day in calendar.days(oldest, newest)]


def _lost(archive: Archive, day: str) -> list[str]:
    """The ids of the highlights of which a copy is lost for good."""
    try:
        videos = archive.load(VideosDay, day)
    except ObjectMissing:
        return []
    of_day = clips(archive.store, videos, ProcessedDay(date=day), Wanted.of(archive.settings))
    return list(dict.fromkeys(clip.video.id for clip in of_day if clip.copy is Copy.GONE))


def _named(archive: Archive, day: str, ids: Sequence[str]) -> list[str]:
    """The ids that were named, by themselves or by `typed_name`, if the day has or had a copy of each.

    Raises:
        SettingsError: it never had one of some.
    """
    try:
        videos = archive.load(VideosDay, day)
    except ObjectMissing:
        raise SettingsError(f"{day} has no copied videos; see `{advice.command('verify')}`") from None
    known = {video.id for video in videos.videos} | {entry.id for entry in videos.forgotten}
    named = {safe_name(one): one for one in known} | {one: one for one in known}
    if unknown := [one for one in ids if one not in named]:
        raise SettingsError(
            f"{day} has no copy of {visible(', '.join(unknown), most=200)}; its copies are of "
            f"{visible(', '.join(sorted(map(typed_name, known))), most=300) or 'no highlight'}"
        )
    return list(dict.fromkeys(named[one] for one in ids))
