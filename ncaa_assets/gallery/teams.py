"""A team's name and the name of its page. No I/O: the same name always has the same page, whatever else is stored."""

import hashlib
import re
import unicodedata
from functools import lru_cache

from ncaa_assets.gallery.model import Team
from ncaa_assets.text import visible

_LONGEST_NAME = 120  # characters
_LONGEST_SLUG = 60
_APOSTROPHES = "'`’‘ʻʼ"  # as `search.py` and `search.js` have them; the one in Hawaiʻi is a letter of its own
# What may be lost without a mark, beside accents: "St. John's" and "St Johns" are one team.
_MAY_BE_LOST = re.compile(rf"[{_APOSTROPHES}.&\s-]+")
# The names of devices, which Windows takes for no files, and the page of all teams.
_RESERVED = re.compile(r"index|con|prn|aux|nul|com[0-9]|lpt[0-9]")
_MARKED = re.compile(r"-[0-9a-f]{6}$")


@lru_cache(4096)
def team(name: str) -> Team | None:
    """The team of this name, None where it shows nothing. Names that differ in capitals, accents, dots or apostrophes
    alone are those of one team."""
    shown = visible(name, most=_LONGEST_NAME)
    return Team(shown, _slug(shown)) if shown else None


def is_slug(text: str) -> bool:
    """Whether a text may be the name of a team's page."""
    return re.fullmatch(r"[a-z0-9-]+", text) is not None


def _slug(name: str) -> str:
    folded = name.casefold()
    letters = "".join(letter for letter in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(letter))
    slug = "-".join(re.findall(r"[a-z0-9]+", re.sub(rf"[{_APOSTROPHES}.]", "", letters)))
    is_plain = re.sub(r"-", "", slug) == _MAY_BE_LOST.sub("", letters)
    if is_plain and slug and len(slug) <= _LONGEST_SLUG and not _RESERVED.fullmatch(slug) and not _MARKED.search(slug):
        return slug
    mark = hashlib.sha256(folded.encode()).hexdigest()[:6]
    return f"{slug[:_LONGEST_SLUG].strip('-') or 'team'}-{mark}"
