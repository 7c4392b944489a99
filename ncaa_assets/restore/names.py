"""Names of files for people: readable, safe on any file system, no two alike."""

import re
import unicodedata

from ncaa_assets.text import visible

MOST_BYTES = 143  # eCryptfs takes no longer names; other file systems take 255 bytes or more
_REFUSED = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')  # by Windows, macOS or an SMB share


def file_name(day: str, text: str | None, stem: str, ending: str) -> str:
    """`2025-03-09 Auburn Tigers – Duke Blue Devils (105170).mp4`: the day, what people call it, what makes it unique.

    Args:
        text: a game or a title, whatever a stranger wrote.
        stem: the name without ending that the archive gives the file; it is unique even where capitals are ignored.
        ending: with its dot.
    """
    before, after = f"{day} ", f"({stem}){ending}"
    room = MOST_BYTES - len((before + after).encode()) - 1
    words = _cut(unicodedata.normalize("NFC", visible(_REFUSED.sub(" ", text or ""))), room)
    return before + (f"{words} " if words else "") + after


def _cut(text: str, most: int) -> str:
    """Its first `most` bytes at most, without half a character, and without dots and spaces at the ends."""
    return text.encode()[: max(0, most)].decode(errors="ignore").strip(". ")
