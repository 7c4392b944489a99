"""`ncaa-assets gallery`: opens the archive's pages in a browser, after making those that are lacking, and serves those
of a bucket on this machine."""

import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

import click

from ncaa_assets import advice
from ncaa_assets.archive.archive import Archive
from ncaa_assets.commands import ending
from ncaa_assets.commands.findings import bar_over_days
from ncaa_assets.commands.say import say
from ncaa_assets.commands.terminal import logging_to_terminal, shown
from ncaa_assets.commands.ui import listen
from ncaa_assets.failures import SettingsError, StoreError
from ncaa_assets.gallery import season
from ncaa_assets.gallery.model import day_key, season_key
from ncaa_assets.gallery.publish import Published, publish, rebuild, unpublished
from ncaa_assets.record import calendar
from ncaa_assets.record.models import HighlightsDay
from ncaa_assets.settings import Settings, load_dotenv
from ncaa_assets.text import plural, visible

_NEWEST = "newest"


@click.command()
@click.option("--date", "day", metavar="YYYY-MM-DD",
              help=f"A day's page instead of the index; `{_NEWEST}`: of the last day with a video.")  # fmt: skip
@click.option("--serve", is_flag=True, help="Serve the pages on this machine, with your credentials, until Ctrl-C.")
@click.option("--port", type=click.IntRange(1, 65535), default=3001, show_default=True, help="For --serve.")
@click.option("--rebuild", "anew", is_flag=True, help="Make all pages anew from what is stored.")
@ending.debug_option
def gallery(*, day: str | None, serve: bool, port: int, anew: bool, debug: bool) -> None:
    """Opens the pages that show the archive, in the browser.

    Those of days that have none yet are made first.
    """
    ending.run(lambda: _gallery(day, port if serve else None, anew=anew, debug=debug), debug=debug)


def _gallery(day: str | None, port: int | None, *, anew: bool, debug: bool) -> int:
    load_dotenv()
    settings = Settings.from_environment()
    archive = Archive.open(settings)
    if archive.any_identity() is None:
        raise archive.missing()
    with logging_to_terminal(debug=debug):
        code = ending.DONE
        has_index = archive.store.info(season_key()) is not None
        if not anew and (has_index or not season.names(archive.store)):
            _make_what_is_lacking(archive)
        elif not _rebuild(archive):
            code = ending.FAILED
        page = _page(archive, day)
        if port is not None:
            return _serve(archive, page, port)
    if settings.ncaa_deployment != "local":
        say(f"The pages are in {archive.store.uri(page)}, which is private. To see them here:")
        say(f"  {advice.command('gallery', '--serve')}{'' if day is None else f' --date {day}'}")
        return code
    path = Path(archive.store.uri(page))
    if sys.stdout.isatty() and webbrowser.open(path.as_uri()):
        say(f"{shown(path)} is open in the browser")
    elif sys.stdout.isatty():
        say(f"Open this in your browser: {path.as_uri()}")
    else:
        say(str(path))
    return code


def bring_up_to_date(archive: Archive, days: Sequence[str]) -> bool:
    """Brings the pages of days up to date that a command changed; whether that could be done. What the command did
    stands, whatever becomes of the pages."""
    try:
        return _publish(archive, days)
    except StoreError as error:
        text = f"the pages are not up to date: {error}; `{advice.command('gallery', '--rebuild')}` mends that"
        say(text, colour="red", err=True)
        return False


def _make_what_is_lacking(archive: Archive) -> None:
    lacking = unpublished(archive)
    if not lacking:
        return
    try:
        _publish(archive, lacking)
    except StoreError as error:
        if archive.store.info(season_key()) is None:
            raise
        text = f"{plural(len(lacking), 'day')} have no page yet, and it cannot be made: {error}"
        say(text, colour="yellow", err=True)


def _publish(archive: Archive, days: Sequence[str]) -> bool:
    with bar_over_days("making pages of", len(days)) as advance:
        done = publish(archive, days, progress=lambda day: advance(day, True))
    return _say_done(done)


def _rebuild(archive: Archive) -> bool:
    with bar_over_days("making pages of", len(archive.days())) as advance:
        done = rebuild(archive, progress=lambda day: advance(day, True))
    return _say_done(done)


def _say_done(done: Published) -> bool:
    """Prints what was made; whether the documents of all days could be read."""
    for day, why in done.damaged.items():
        say(f"{day} keeps the pages that it has: {why}", colour="red", err=True)
    say(f"{plural(len(done.days), 'day')} up to date in the gallery, {plural(done.pages, 'page')} written", err=True)
    return not done.damaged


def _page(archive: Archive, day: str | None) -> str:
    """The key of the page to open.

    Raises:
        SettingsError: the day that was asked for has none.
    """
    if day is None:
        return season_key()
    if day == _NEWEST:
        newest = _newest(archive)
        return season_key() if newest is None else day_key(newest)
    if not calendar.is_day(day):
        raise SettingsError(f"--date {visible(day, most=40)} is no day such as 2025-03-09")
    if archive.store.info(day_key(day)) is None:
        is_kept = archive.store.info(HighlightsDay.key(day)) is not None
        if not is_kept:
            archive.settings.parse_day(day)  # refuses one that nobody can back up
        why, command = (
            ("", ("gallery", "--rebuild")) if is_kept else (", because it is not backed up", ("backup", "--date", day))
        )
        raise SettingsError(f"{day} has no page{why}: `{advice.command(*command)}`")
    return day_key(day)


def _newest(archive: Archive) -> str | None:
    """The last day that has a video, else the last that has a highlight; None where none has."""
    any_day: str | None = None
    for name in season.names(archive.store):
        counts = season.load(archive.store, name).counts()
        if kept := [day for day, (_, kept) in counts.items() if kept]:
            return max(kept)
        any_day = any_day or max((day for day, (highlights, _) in counts.items() if highlights), default=None)
    return any_day


def _serve(archive: Archive, page: str, port: int) -> int:
    from ncaa_assets.ui.gallery import application, serve  # noqa: PLC0415 - a web server, which --serve alone needs

    settings = archive.settings
    with listen("127.0.0.1", port) as listener:
        address = f"http://localhost:{port}/{page}"
        say(f"The gallery opens on {address} (Ctrl-C ends it)", err=True)
        if sys.stdout.isatty():
            webbrowser.open(address)
        try:
            serve(application(lambda: Archive.open(settings).store, hosts=settings.ui_hosts or ()), listener)
        except KeyboardInterrupt:
            return ending.ENDED  # nothing was cut short that would have to be said
    return ending.DONE
