"""`ncaa-assets find`: the highlights that have some words, and where each of them is.

It reads the gallery's rows of the seasons; and of what it shows without a file, the day's documents, for the address.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import click

from ncaa_assets import advice
from ncaa_assets.archive import documents
from ncaa_assets.archive.archive import Archive
from ncaa_assets.commands import ending
from ncaa_assets.commands.say import say
from ncaa_assets.commands.terminal import shown
from ncaa_assets.failures import DocumentDamaged, SettingsError, StoreError
from ncaa_assets.gallery import season
from ncaa_assets.gallery.clips import clips_of
from ncaa_assets.gallery.model import Card, Clip, State, season_of
from ncaa_assets.gallery.search import Asked, Found
from ncaa_assets.gallery.search import find as find_cards
from ncaa_assets.gallery.season import Season
from ncaa_assets.record import calendar
from ncaa_assets.record.models import HighlightsDay, ProcessedDay, VideosDay
from ncaa_assets.settings import Settings, load_dotenv
from ncaa_assets.text import plural, visible

_MOST = 20
_OPENER = "open" if sys.platform == "darwin" else "xdg-open"
_OPENS_WITHIN = 2.0  # seconds: what finds no program ends sooner, what is that program's lasts until it is closed
_STATES = {State.KEPT: ("kept", "green"), State.LINK: ("link only", "yellow"), State.LOST: ("lost", "red")}
_BEFORE_TITLE = len("2025-03-09  link only  1:02:03  ")


@click.command()
@click.argument("words", nargs=-1, metavar="WORDS...")
@click.option("--date", "day", metavar="YYYY-MM-DD", help="Those of one day. A date among WORDS does the same.")
@click.option("--from", "first", metavar="YYYY-MM-DD", help="No highlights of days before this one.")
@click.option("--to", "last", metavar="YYYY-MM-DD", help="No highlights of days after this one.")
@click.option("--open", "opens", is_flag=True, help="Open the newest that is kept, in your own player.")
@click.option("--all", "has_all", is_flag=True, help=f"List all, and not the newest {_MOST} alone.")
@ending.json_option
@ending.debug_option
def find(
    *, words: tuple[str, ...], day: str | None, first: str | None, last: str | None, opens: bool, has_all: bool,
    as_json: bool, debug: bool,
) -> None:  # fmt: skip
    """Lists the highlights that have all of WORDS in their title, teams or date, newest first.

    A date is 2025-03-09, 2025-03 or words such as march 9. Capitals and accents are all one. Exits with 1 where nothing
    is found.
    """
    if not words and day is None:
        raise click.UsageError("Missing argument 'WORDS...'.")
    most = None if has_all or as_json or opens else _MOST
    answer: ending.Answer = {"found": 0, "instead": {}, "highlights": []}

    def command() -> int:
        load_dotenv()
        settings = Settings.from_environment()
        archive = Archive.open(settings)
        asked = [*words, *filter(None, [_day(settings, day)])]
        found = _find(archive, asked, _day(settings, first), _day(settings, last), most=most)
        if not found.count:
            say(f"nothing found for {_quoted(asked)}", err=True)
            return ending.FAILED
        for word, spellings in found.instead.items():
            say(f"Nothing for '{word}'; showing {' and '.join(map(repr, spellings))}.", colour="yellow", err=True)
        places = _Places(archive)
        if as_json:
            answer["found"], answer["instead"] = found.count, found.instead
            answer["highlights"] = [_fields(places, card) for card in found.cards]
        if opens:
            return _open(places, found)
        for card in found.cards if not as_json else []:
            _say(places, card)
        if (more := found.count - len(found.cards)) > 0:
            say(f"and {more} more: --all", err=True)
        return ending.DONE

    ending.run(command, debug=debug, only_tells=True, answer=answer if as_json else None)


def _day(settings: Settings, text: str | None) -> str | None:
    """The day that an option names. It may lie before `START_DATE`: an import brings what is older."""
    return text if text is None or calendar.is_day(text) else settings.named_day(text).isoformat()


def _quoted(words: Sequence[str]) -> str:
    return f"'{visible(' '.join(words), most=120)}'"


def _find(archive: Archive, words: Sequence[str], first: str | None, last: str | None, *, most: int | None) -> Found:
    if archive.any_identity() is None:
        raise archive.missing()
    names = season.names(archive.store)
    if not names:
        raise SettingsError(f"the archive has no gallery yet, which this reads: `{advice.command('gallery')}` makes it")
    asked, oldest, newest = Asked.of(words), first or "", last or "9999"
    if not asked:
        raise SettingsError(f"{_quoted(words)} names no team, no word of a title and no date")
    of_dates = {season_of(date) for date in asked.dates}
    named: list[str] = []  # the seasons whose damage was told

    def seasons() -> Iterator[Season]:
        for name in names:
            in_range = (first is None or name >= season_of(first)) and (last is None or name <= season_of(last))
            if in_range and (not of_dates or name in of_dates):
                try:
                    yield season.load(archive.store, name)
                except DocumentDamaged as error:
                    if name not in named:
                        say(str(error), colour="yellow", err=True)
                    named.append(name)

    return find_cards(asked, seasons, in_range=lambda day: oldest <= day <= newest, most=most)


class _Places:
    """Where a person finds each highlight."""

    def __init__(self, archive: Archive) -> None:
        self._store = archive.store
        self._clips = lru_cache(8)(self._clips_of)  # those that are shown come day by day

    def key(self, card: Card) -> str | None:
        """The key of its file; None where none is kept."""
        if card.video is not None or card.state is not State.KEPT:
            return card.video
        clip = self._clips(card.day).get(card.id)
        return None if clip is None else clip.output or clip.copy

    def url(self, card: Card) -> str | None:
        """The address that its record has; None for one that nobody should follow."""
        clip = self._clips(card.day).get(card.id)
        return None if clip is None else clip.url

    def uri(self, key: str) -> str:
        """Where the file is: a path, or an `s3://` address."""
        return self._store.uri(key)

    def _clips_of(self, day: str) -> dict[str, Clip]:
        load = partial(documents.load_or_new, self._store, day=day)
        try:
            clips = clips_of(load(HighlightsDay), load(VideosDay), load(ProcessedDay))
        except StoreError:
            return {}  # the day itself reports it
        return {clip.id: clip for clip in clips}


def _say(places: _Places, card: Card) -> None:
    """Two lines: what it is, and where."""
    state, colour = _STATES[card.state]
    title = f"{card.title} (removed upstream)" if card.is_removed else card.title
    if sys.stdout.isatty():
        title = visible(title, most=max(20, shutil.get_terminal_size().columns - _BEFORE_TITLE))
    say(f"{card.day}  ", (f"{state:<9}", colour), f"  {_length(card.seconds):>7}  {title}")
    if (key := places.key(card)) is not None:
        where = places.uri(key)
        say(f"            {where if where.startswith('s3://') else shown(Path(where))}")
    elif (url := places.url(card)) is not None:
        say(f"            {url}")


def _length(seconds: int | None) -> str:
    """`2:34`, `1:02:03`."""
    if seconds is None:
        return ""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _fields(places: _Places, card: Card) -> dict[str, Any]:
    """What a program is told of a highlight."""
    key = places.key(card)
    return {
        "id": card.id, "day": card.day, "title": card.title,
        "home": card.home.name if card.home else None, "away": card.away.name if card.away else None,
        "score": card.score, "seconds": card.seconds, "source": card.source, "state": card.state,
        "removed": card.is_removed, "changed": card.is_changed,
        "key": key, "place": None if key is None else places.uri(key), "poster_key": card.poster,
        "url": places.url(card),
    }  # fmt: skip


def _open(places: _Places, found: Found) -> int:
    kept = next((card for card in found.cards if card.state is State.KEPT), None)
    card = kept or found.cards[0]
    if found.count > 1:
        which = "this is the newest that is kept" if kept else "none is kept, and this is the newest"
        say(f"{plural(found.count, 'highlight')} found; {which}.", err=True)
    _say(places, card)
    key = places.key(card)
    target = places.url(card) if key is None else places.uri(key)
    if key is not None and target is not None and target.startswith("s3://"):
        # Only a signed address plays, and nobody signs one for a program that may keep it.
        say(f"it is in a bucket: `{advice.command('gallery', '--serve')}` plays it", err=True)
        return ending.FAILED
    if target is None or (key is not None and not Path(target).is_file()):
        what = "has no address that may be opened" if target is None else "is not there"
        say(f"it {what}; see `{advice.command('verify', '--from', card.day, '--to', card.day)}`", err=True)
        return ending.FAILED
    if not _launch(target):
        say("no program here opens it", err=True)
        return ending.FAILED
    return ending.DONE


def _launch(target: str) -> bool:
    """Opens a file or an address in the program that plays it; whether there is one. What the opener tries meanwhile
    is kept from the terminal, which click's own `launch` does not do, nor does it wait for how that ends."""
    quiet = subprocess.DEVNULL
    try:
        opener = subprocess.Popen(  # noqa: S603 - a file of the archive, or an address that may be opened
            [_OPENER, target], stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True
        )
        return opener.wait(_OPENS_WITHIN) == 0
    except subprocess.TimeoutExpired:
        return True
    except OSError:
        return False
