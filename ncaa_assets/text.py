"""Words and numbers for people, wherever they are read: in a log, an alert, an error, a terminal or the UI."""

import re
import unicodedata

# How many characters a sentence of ours may have that quotes such texts; each of those has fewer.
SENTENCE = 1000
# How many a line of a log or a terminal may have, and a text of several lines, such as a traceback.
LINE = 4000
LINES = 20_000

_MARK = "\ufffd"  # �: a character stood here that must not be printed
_MORE = "…"
# What Unicode calls default-ignorable (DerivedCoreProperties.txt), so that fonts draw nothing, though its category is
# a letter's or a mark's: joiners, fillers, variation selectors. Those of category Cf need no list.
_INVISIBLE = frozenset(
    map(chr, [0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2065, 0x3164, 0xFFA0])
) | frozenset(map(chr, [*range(0xFE00, 0xFE10), *range(0xFFF0, 0xFFF9), *range(0xE0000, 0xE1000)]))
_BLANK = "\u2800"  # a braille pattern without dots looks like a space
_LINE_ENDS = re.compile(r"[\t\r\n]+")  # browsers leave them out of an address, which goes on behind them

# Part of an address up to its last `@`, from the separator before it; what opens the host's part there; and what opens
# it inside, as in `http:name@host` and in an address that is a parameter of another.
_UP_TO_AT = re.compile(r"(?<![^ /?#\\])[^ /?#\\]*(?:@|%40)", re.IGNORECASE)
_OPENS = re.compile(r"(?:[/\\]{2}|(?:https?|wss?|ftp):[/\\])$", re.IGNORECASE)
_OPENS_INSIDE = re.compile(r"(?:https?|wss?|ftp)(?::|%3a)(?:%2f|%5c)*|(?:%2f|%5c){2,}", re.IGNORECASE)
_LINKED = re.compile(r"(?<!\bs3)(?<!\bdynamodb)://")
_PLAIN_ID = re.compile(r"[0-9]+|url-[0-9a-f]+")
_MARKED = re.compile(r"\|(?: |$)")


def visible(text: object, *, most: int = 300) -> str:
    """A text from outside as one line of visible characters, at most `most` of them; a longer text ends in `…`.

    Every text that others wrote (the API, a host, a program, a library's exception, the archive's own documents) passes
    here on its way to a log, an alert, an error or a terminal. So no title can begin a line of its own, move a cursor,
    colour a terminal, reverse what stands beside it, or fill a disk. The JSON keeps the text itself, word for word.

    - White space of every kind, and every separator of lines or paragraphs, becomes one space.
    - Characters that draw nothing and only change what stands around them are left out: marks of direction, joiners,
      fillers, tags, variation selectors. Text stays readable without them (an emoji that is made of three shows as
      three), and with them two different texts can look the same.
    - The user name and password of an address, `http://name:password@host/`, become `…`.
    - Any other character that is not printable becomes `�`, because a reader should see that something was there:
      control characters, halves of surrogate pairs, private use, and what this Python's Unicode does not know. What
      follows an ESC is ordinary text then.

    The time it takes depends on `most`, never on the length of a string. What is no string is shown as `str` shows it,
    bytes as UTF-8. The result passes unchanged through a second call.
    """
    shown, is_cut = _on_one_line(text, most)
    return _cut(" ".join(shown.split()), most, is_cut=is_cut)


def called(identifier: str) -> str:
    """An id of a highlight as a line may begin with it: itself where it looks like one, else in quotes, so that no id
    can pass for the beginning of a line of ours."""
    shown = visible(identifier, most=80)
    return shown if _PLAIN_ID.fullmatch(shown) else f"“{shown}”"


def visible_line(text: str, *, most: int = LINE) -> str:
    """A whole line of ours in which outside texts stand, as `visible` makes it; the spaces of its layout are kept."""
    shown, is_cut = _on_one_line(text, most)
    return _cut(shown, most, is_cut=is_cut)


def _on_one_line(text: object, most: int) -> tuple[str, bool]:
    """The visible characters of a text's beginning, and whether there is more of it."""
    if isinstance(text, bytes | bytearray | memoryview):
        text = bytes(text[: 16 * most]).decode("utf-8", "replace")
    elif not isinstance(text, str):
        try:
            text = str(text)
        except Exception:  # noqa: BLE001 - whatever an object of others raises, a log line must come about
            text = f"<{type(text).__name__}>"
    looked_at = text[: 4 * most]  # more than `most`, because some of it may be left out
    is_cut = len(looked_at) < len(text)
    shown = "".join(map(_shown, looked_at))
    # A text that is cut within a host's part may be cut within a password.
    shown = _without_credentials(f"{shown}@").removesuffix("@") if is_cut else _without_credentials(shown)
    return _LINE_ENDS.sub(" ", shown), is_cut


def _cut(shown: str, most: int, *, is_cut: bool) -> str:
    if len(shown) <= most and not is_cut:
        return shown
    return shown[: most - len(_MORE)].rstrip() + _MORE


def _shown(character: str) -> str:
    if character in "\t\r\n":
        return character
    if character.isspace() or character == _BLANK:
        return " "
    if character in _INVISIBLE:
        return ""
    if character.isprintable():
        return character
    return "" if unicodedata.category(character) == "Cf" else _MARK


def _without_credentials(text: str) -> str:
    def hidden(found: re.Match[str]) -> str:
        part = found[0]
        if _OPENS.search(text, max(0, found.start() - len("https:/")), found.start()):
            return f"{_MORE}@"
        inside = _OPENS_INSIDE.search(part)
        return f"{part[: inside.end()]}{_MORE}@" if inside else part

    return _UP_TO_AT.sub(hidden, text) if "@" in text or "%40" in text else text


def unlinked(text: str) -> str:
    """A text without an address that a page or a mail would make a link of: `http: //host/`. That of an object or a
    table on AWS is no such address."""
    return _LINKED.sub(": //", text)


def has_credentials(address: str) -> bool:
    """Whether an address names a user or a password."""
    shown = "".join(map(_shown, address))
    return _without_credentials(shown) != shown


def size(count: int) -> str:
    """A number of bytes for people: 1.4 MB."""
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"


def visible_lines(text: str, *, most: int = 500) -> str:
    """Outside text of several lines, such as a traceback: each line as `visible` makes it, its indentation kept.

    Every line but the first begins with `| `, so that none can pass for a line of somebody else's. Of a text longer
    than `LINES`, the middle is left out.
    """
    if len(text) > LINES:
        text = f"{text[: LINES // 2]}\n{_MORE}\n{text[-LINES // 2 :]}"
    first, *others = _without_credentials("".join(map(_shown, text))).split("\n")
    others = [line[found.end() :] if (found := _MARKED.match(line)) else line for line in others]
    return "\n".join([_line(first, most), *(f"| {_line(line, most)}".rstrip() for line in others)])


def _line(line: str, most: int) -> str:
    return line[: len(line) - len(line.lstrip(" "))][:80] + visible(line, most=most)


def plural(count: int, noun: str) -> str:
    """`1 video`, `2 videos`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
