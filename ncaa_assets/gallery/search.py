"""Finding highlights by words, over a season's rows. No I/O. The pages' `search.js` folds texts as this does."""

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain

from ncaa_assets.gallery.model import Card
from ncaa_assets.gallery.season import Season

_MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_SAY_NOTHING = {"vs", "v", "at", "the"}
_MOST_WORDS = 12
_LIKE = 0.7  # of `difflib`, from 0 to 1: `dukee` and `duke` are 0.89 alike, `dkue` and `duke` 0.75
_MOST_SPELLINGS = 3
_DATE = re.compile(r"([0-9]{4})-([0-9]{1,2})(?:-([0-9]{1,2}))?")
_US_DATE = re.compile(r"([0-9]{1,2})/([0-9]{1,2})(?:/([0-9]{4}))?")  # as `search.js` reads it: 3/9 is March 9
_WORD = re.compile(r"[^\W_]+")
_ASCII = {code: chr(code).lower() if chr(code).isalnum() else " " for code in range(128)} | dict.fromkeys(b"'`")
_LETTERS = str.maketrans(
    {"ʻ": "", "ʼ": "", "‘": "", "’": "", "ß": "ss", "ø": "o", "æ": "ae", "ł": "l", "đ": "d", "ı": "i"}
)


@dataclass(frozen=True)
class Asked:
    """What a highlight must have: each of the words, and a day that begins with one of `dates`, where there are any."""

    words: tuple[str, ...]
    dates: tuple[str, ...]

    @classmethod
    def of(cls, words: Iterable[str]) -> "Asked":
        """What a person asks for in so many words; a date among them is `2025-03-09`, `2025-03` or `3/9`. Nothing is
        asked for where they hold no letter and no digit."""
        typed = [_in_words(word) for word in " ".join(words).split()]
        dates = tuple(filter(None, map(_date, typed)))
        folded = dict.fromkeys(chain.from_iterable(fold(word).split() for word in typed if not _date(word)))
        telling = [word for word in folded if word not in _SAY_NOTHING]
        return cls(tuple(telling or (() if dates else folded))[:_MOST_WORDS], dates)

    def __bool__(self) -> bool:
        return bool(self.words or self.dates)


@dataclass
class Found:
    """How many highlights have all that is asked for, the newest of them, and of each word that none has, the spellings
    that were taken for it."""

    count: int = 0
    cards: list[Card] = field(default_factory=list)
    instead: dict[str, list[str]] = field(default_factory=dict)


def find(
    asked: Asked, seasons: Callable[[], Iterable[Season]], *, in_range: Callable[[str], bool], most: int | None
) -> Found:
    """The highlights of days in a range that have each of the words, the `most` newest of them (None: all). `seasons`
    gives those to look at, newest first; it is called once more where nothing is found, for what is misspelt."""

    def is_asked(day: str) -> bool:
        return in_range(day) and (not asked.dates or day.startswith(asked.dates))

    known: set[str] = set()
    found = _scan([[word] for word in asked.words], seasons(), is_asked, most=most, known=known)
    if found.count:
        return found
    instead = {word: _like(word, known) for word in asked.words if not _is_known(word, known)}
    if not instead or not all(instead.values()):
        return found
    found = _scan([instead.get(word, [word]) for word in asked.words], seasons(), is_asked, most=most)
    found.instead = {word: _named(likes, found.cards) for word, likes in instead.items()}
    return found


def fold(text: str) -> str:
    """A text as it is compared: its words in lower case without accents and apostrophes, with a space between them."""
    if text.isascii():
        return " ".join(_WORD.findall(text.translate(_ASCII)))
    letters = unicodedata.normalize("NFKD", text).lower()
    letters = "".join(letter for letter in letters if not unicodedata.category(letter).startswith("M"))
    return " ".join(_WORD.findall(letters.translate(_LETTERS).translate(_ASCII)))


def _date(word: str) -> str | None:
    """What the day of a highlight begins with, where a word is a date or a month of a year; None for any other."""
    found = _DATE.fullmatch(word)
    return "-".join(part.zfill(2) for part in found.groups() if part) if found else None


def _in_words(word: str) -> str:
    """`3/9` as a day is folded; any other word as it is."""
    found = _US_DATE.fullmatch(word)
    if found is None or not 1 <= int(found[1]) <= len(_MONTHS):
        return word
    return " ".join((_MONTHS[int(found[1]) - 1], str(int(found[2])), found[3] or "")).strip()


def _scan(
    spellings: Sequence[Sequence[str]],
    seasons: Iterable[Season],
    is_asked: Callable[[str], bool],
    *,
    most: int | None,
    known: set[str] | None = None,
) -> Found:
    """The highlights that have each word in one of its spellings. As long as there is none, what words there are is
    added to `known`."""
    found = Found()
    wanted = [list(map(_needle, some)) for some in spellings]

    def fits(day: str, title: str, home: str | None, away: str | None) -> bool:
        text = f" {fold(title)} {_folded(home or '')} {_folded(away or '')} {_of_day(day)} "
        if known is not None and not found.count:
            known.update(text.split())
        return all(any(needle in text for needle in some) for some in wanted)

    for season in seasons:
        for card in season.cards(filter(is_asked, season.days), fits):
            found.count += 1
            if most is None or found.count <= most:
                found.cards.append(card)
    return found


_folded = lru_cache(4096)(fold)


@lru_cache(4096)
def _of_day(day: str) -> str:
    return f"{_MONTHS[int(day[5:7]) - 1]} {int(day[8:])} {day[:4]}"


def _needle(word: str) -> str:
    """What a text holds that has a word: one that begins like it, or the very number. A language that puts no spaces
    between words has it anywhere."""
    if not word.isascii():
        return word
    return f" {word} " if word.isdigit() else f" {word}"


def _is_known(word: str, known: set[str]) -> bool:
    return word in known or any(_needle(word) in f" {one} " for one in known)


def _like(word: str, known: set[str]) -> list[str]:
    likely = (one for one in known if not one.isdigit() and abs(len(one) - len(word)) <= len(word) // 3 + 1)
    return difflib.get_close_matches(word, sorted(likely), _MOST_SPELLINGS, _LIKE)


def _named(spellings: list[str], cards: Iterable[Card]) -> list[str]:
    """Those spellings that the highlights have, as they write them."""
    named: dict[str, str] = {}
    for card in cards:
        teams = [team.name for team in (card.home, card.away) if team is not None]
        for word in chain.from_iterable(_WORD.findall(text) for text in (*teams, card.title)):
            if (folded := fold(word)) in spellings:
                named.setdefault(folded, word)
    return [named[one] for one in spellings if one in named] or spellings[:1]
