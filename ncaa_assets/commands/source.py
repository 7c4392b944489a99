"""`ncaa-assets source`: which module of the API the archive is of, what each module lists for one day, and moving the
archive to another.

A wrong module answers every day with an empty list, which looks like a day without games. So this command shows the
modules beside one another, at one API request each.
"""

from typing import Any

import click

from ncaa_assets import advice
from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.identity import Identity
from ncaa_assets.backends.deployments import read_secret
from ncaa_assets.commands import ending
from ncaa_assets.commands.say import say
from ncaa_assets.commands.terminal import logging_to_terminal, say_about_settings
from ncaa_assets.failures import SettingsError, SourceError, WriteConflict
from ncaa_assets.ports import Page, Source
from ncaa_assets.record.models import Highlight
from ncaa_assets.settings import NO_KEY, Settings, load_dotenv
from ncaa_assets.source.doors import COLLEGE_BASKETBALL, MODULES
from ncaa_assets.source.open import asked_module, fixed_module, naming, open_source
from ncaa_assets.source.shape import video_files
from ncaa_assets.text import plural, visible


@click.command()
@click.option("--date", "day", metavar="YYYY-MM-DD", help="The day to ask for. Default: yesterday.")
@click.option("--use", "module", metavar="MODULE", help="Move the archive to this module: nba, basketball, …")
@ending.json_option
@ending.debug_option
def source(day: str | None, module: str | None, as_json: bool, debug: bool) -> None:
    """Shows which module of the API the archive is of and what each lists for one day; moves it with --use."""
    answer: ending.Answer = {}
    ending.run(lambda: _source(day, module, answer), debug=debug, answer=answer if as_json else None)


def _source(day: str | None, module: str | None, answer: ending.Answer) -> int:
    load_dotenv()
    settings = Settings.from_environment()
    with logging_to_terminal(debug=False):
        say_about_settings(settings)
        if settings.lacks_key:
            raise SettingsError(NO_KEY)
        asked_for = settings.named_day(day).isoformat()
        archive = Archive.open(settings)
        identity = archive.any_identity()
        answer |= {"module": identity.module if identity else None, "day": asked_for, "modules": []}
        with open_source(settings, read_secret=read_secret) as opened:
            if module is None:
                return _show(archive, identity, opened, asked_for, answer["modules"])
            return _move(archive, identity, opened, asked_for, module, answer)


def _show(archive: Archive, identity: Identity | None, opened: Source, day: str, told: list[dict[str, Any]]) -> int:
    settings = archive.settings
    for line in _what_it_is(archive, identity):
        say(line)
    fixed, mine = fixed_module(settings), identity.module if identity else None
    shown = [fixed] if fixed else list(dict.fromkeys(filter(None, [mine, asked_module(settings)])))
    if not fixed and {*shown} <= {*COLLEGE_BASKETBALL}:
        shown = list(dict.fromkeys([*shown, *COLLEGE_BASKETBALL]))
    say()
    say(f"Listed for {day}, by module:")
    failed, others = False, []
    for module in shown:
        try:
            page = opened.first_page(day, module)
            text = _listed(page)
            told.append(_fields(module, page))
            others += [module] if module != mine and page.listed else []
        except SourceError as error:
            failed, text = True, f"cannot be asked: {error}"
            told.append({"module": module, "error": str(error)})
        say(f"  {module:<18} {text}{'   (this archive)' if module == mine else ''}")
    named = naming(settings)
    if fixed:
        say()
        say(f"{named} names this module; unset it to see what others list")
    elif others and identity is not None:
        first = f"unset {named}, then run " if named and asked_module(settings) != others[0] else ""
        say()
        command = advice.command("source", "--use", others[0])
        say(f"To move the archive to another module: {first}{command}")
    return ending.FAILED if failed else ending.DONE


def _move(
    archive: Archive, identity: Identity | None, opened: Source, day: str, module: str, answer: ending.Answer
) -> int:
    named = asked_module(archive.settings)
    known = {*MODULES, named, *(_of(identity) if identity else ())}
    if module not in known:
        raise SettingsError(
            f"{visible(module)} is no module of the API that is known: {', '.join(MODULES)}. To use it all the same, "
            "set API_MODULE to it first"
        )
    if named not in (None, module):
        raise SettingsError(
            f"the settings name the module {named}: unset {naming(archive.settings)}, then run this again"
        )
    if identity is not None and identity.module == module:
        say(f"the archive is of the module {module} already; nothing was changed")
        return ending.DONE
    page = opened.first_page(day, module)  # a module that does not exist must not give its name to an archive
    try:
        moved = archive.identity.move(archive.store, module)
    except WriteConflict:
        raise SettingsError("another process changed archive.json at this moment; run this again") from None
    answer |= {"module": module, "modules": [_fields(module, page)]}
    for line in _what_it_is(archive, moved):
        say(line, colour="green")
    say(f"{module} lists for {day}: {_listed(page)}")
    if identity is not None and identity.module is not None:
        say("Days that were backed up from another module keep all that they have. To ask for them again, at a")
        say("request a day or more:")
        newest = archive.settings.named_day(None)
        start = str(archive.settings.start_date)
        say(f"  {advice.command('backup', '--from', start, '--to', str(newest))}")
    return ending.DONE


def _of(identity: Identity) -> list[str | None]:
    """The modules that the archive is or was of."""
    return [identity.module, *(move.before for move in identity.moves)]


def _what_it_is(archive: Archive, identity: Identity | None) -> list[str]:
    if identity is None:
        return [f"There is no archive in {archive.place} yet; the first backup makes it."]
    if identity.module is None:
        return [f"{archive.place} is of no module yet: none has listed anything."]
    moves = [f"  since {move.at}; before that of {move.before}" for move in reversed(identity.moves)]
    return [f"{archive.place} is of the module {identity.module}.", *moves]


def _fields(module: str, page: Page) -> dict[str, Any]:
    """What a module lists, for a program: of the first page's `read` highlights, so many lead to video files."""
    files = video_files(page.records)
    return {"module": module, "error": None, "listed": page.listed, "read": page.count, "video_files": files}


def _listed(page: Page) -> str:
    if not page.listed:
        return "nothing"
    files = video_files(page.records)
    text = f"{plural(page.listed, 'highlight')}; of the first {page.count}, {files} lead to video files"
    return f"{text}, such as {_first_title(page)}" if page.records else text


def _first_title(page: Page) -> str:
    for record in page.records:
        try:
            view = Highlight.parse(record)
        except ValueError:
            continue
        return f"“{visible(view.shown_title or view.id, most=60)}”"
    return "nothing that can be understood"
