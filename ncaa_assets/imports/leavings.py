"""Reads what the earlier pipeline left: which of a place's files are of it, and the records in them.

A file is known by what is in it, not by its name, because every sibling of that pipeline names its own. Known are the
API's answer or a bare list of its records, JSON Lines, a DynamoDB table (its export, a scan, or itself) and Cosmos DB's
documents; any of them may be compressed by gzip. What is read is bounded, whatever a file turns out to hold.
"""

import hashlib
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, DecimalException
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from ncaa_assets.backends.place import Place, PlaceFile
from ncaa_assets.record import json_text
from ncaa_assets.record.merge import DEEPEST
from ncaa_assets.text import visible

_WHOLE = 64 * 1024**2  # bytes that are read as one JSON text; what is longer must be JSON Lines
_MOST_LINE = 4 * 1024**2
_MOST_READ = 4 * 1024**3  # bytes of one file, decompressed
_MOST_ENTRIES = 10_000  # of a piece
# Of one JSON text. 64 MB of records have a tenth; a text of nothing else takes a hundred times its bytes in memory.
_MOST_OBJECTS, _MOST_VALUES = 2_000_000, 8_000_000
_GZIP = 31  # zlib's number for a gzip header, and the largest window
_NO_GZIP = (EOFError, zlib.error)

_MEDIA = {"mp4", "mov", "m4v", "webm", "mkv", "avi", "ts", "m3u8", "mpd", "m4s", "jpg", "jpeg", "png", "vtt"}
_JSON = ("json", "jsonl", "ndjson")
_ANY = ("", "txt")  # what holds no record under such a name, is nothing of the pipeline
_FOLDERS = ("videos", "processed_videos")  # where that pipeline put media
_DATE = re.compile(r"(?<![0-9])[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9])")

# What DynamoDB writes beside an export's data, and says nothing of a highlight.
_OF_EXPORT = re.compile(r"(^|/)AWSDynamoDB/[^/]+/(manifest-(summary|files)\.(json|md5|checksum)|_started)$")
_OF_COSMOS = ("_rid", "_self", "_etag", "_attachments", "_ts")
_ADDED = ("fetch_date", *_OF_COSMOS)  # to a row, by the pipeline and its database
_TYPES = {"S", "N", "BOOL", "NULL", "M", "L", "SS", "NS", "B", "BS"}


@dataclass(frozen=True)
class Entry:
    """One thing that a listing has: a record, or a table's row of one (`is_row`), whose fields are the record's with
    its id as text. `asked` is the day for which it was asked, where something says so. `fault` says why it is no
    record."""

    record: Any
    is_row: bool = False
    asked: str | None = None
    fault: str | None = None


class NotOfPipeline(Exception):
    """A file holds nothing that the earlier pipeline left; the message says in a few words what it is."""


class Unreadable(NotOfPipeline):
    """It may be a listing by its name, and nothing of it can be read."""


class OfAnArchive(NotOfPipeline):
    """It is a document of this project's own archive."""


@dataclass
class Listing:
    """What one version of a file lists, or a piece of it: `sha256` is that of the file as it is stored, `damage` says
    what of it could not be read, and `own_rows` counts rows that this project made, which are left out."""

    file: PlaceFile
    sha256: str = ""
    damage: str | None = None
    own_rows: int = 0
    entries: list[Entry] = field(default_factory=list)


def is_media(path: str) -> bool:
    """Whether a file is kept for its bytes: a video, a part of one, a picture of one."""
    return _ending(path) in _MEDIA or path.partition("/")[0] in _FOLDERS


def may_hold_records(path: str) -> bool:
    """Whether a file is worth a look, by its name."""
    return _ending(path.lower().removesuffix(".gz")) in (*_JSON, *_ANY) and not is_of_export(path)


def is_of_export(path: str) -> bool:
    return _OF_EXPORT.search(path) is not None


def asked_day(path: str) -> str | None:
    """The day in a file's name, for which the earlier pipeline had asked."""
    found = _DATE.search(PurePosixPath(path).name)
    return found[0] if found else None


def read(place: Place, file: PlaceFile) -> Iterator[Listing]:
    """What a file lists: one that is too long for one JSON text in several pieces.

    Raises:
        NotOfPipeline: it holds no records.
        StoreError: it cannot be read.
    """
    if _ending(file.path.lower().removesuffix(".gz")) not in _ANY:
        yield from _read(place, file)
        return
    try:
        yield from _read(place, file)
    except Unreadable as error:
        raise NotOfPipeline("no listing and no video") from error


def _read(place: Place, file: PlaceFile) -> Iterator[Listing]:
    data, sha256, damage = _beginning(place, file)
    if len(data) > _WHOLE:
        yield from _pieces(place, file, sha256)
        return
    if damage and not data.strip():
        raise Unreadable(damage)
    listing = _listing(file, data, asked_day(file.path))
    listing.sha256, listing.damage = sha256, damage or listing.damage
    yield listing


def _beginning(place: Place, file: PlaceFile) -> tuple[bytes, str, str | None]:
    """The first bytes of a file, decompressed, one more than `_WHOLE` at most; its sha256; and how it is damaged."""
    pieces, count, damage = [], 0, None
    with place.open(file) as opened:
        source = _Hashed(opened)
        try:
            stream = _decompressed(source, file)
            while count <= _WHOLE and (piece := stream.read(min(1024**2, _WHOLE + 1 - count))):
                pieces.append(piece)
                count += len(piece)
        except _NO_GZIP as error:
            damage = f"it is no whole gzip file ({error})"
        source.drain()
    return b"".join(pieces), source.sha256, damage


def _pieces(place: Place, file: PlaceFile, sha256: str) -> Iterator[Listing]:
    """The entries of JSON Lines, some thousands at a time."""
    asked, count, left = asked_day(file.path), 0, b""
    listing = Listing(file, sha256)
    with place.open(file) as opened:
        stream = _decompressed(_Hashed(opened), file)
        while True:
            try:
                piece = stream.read(1024**2)
            except _NO_GZIP as error:
                piece, listing.damage = b"", f"it is no whole gzip file ({error})"
            *lines, left = (left + piece).split(b"\n") if piece else (left, b"")
            if not count and lines and _parsed(lines[0]) is None:
                raise Unreadable("it is larger than any listing, and no JSON Lines")
            count += len(piece)
            for line in lines:
                _add_line(listing, line, asked)
            if len(left) > _MOST_LINE or count > _MOST_READ:
                if not listing.entries and count <= len(left):
                    raise Unreadable("it is larger than any listing, and no JSON Lines")
                listing.damage, piece = "what follows is too long to be read", b""
            if not piece or len(listing.entries) >= _MOST_ENTRIES:
                yield listing
                listing = Listing(file, sha256)
            if not piece:
                return


def _decompressed(source: "_Hashed", file: PlaceFile) -> "_Hashed | _Unpacked":
    return _Unpacked(source) if _ending(file.path) == "gz" else source


def _listing(file: PlaceFile, data: bytes, asked: str | None) -> Listing:
    listing = Listing(file)
    if not data.strip():
        raise NotOfPipeline("empty")
    if data.count(b"{") + data.count(b"[") > _MOST_OBJECTS or data.count(b",") > _MOST_VALUES:
        raise Unreadable("it has more in it than any listing")
    try:
        value = json_text.loads(data)
    except ValueError:
        return _not_quite(listing, data, asked)
    elements, holds = _elements(value)
    if (twice := json_text.names_twice(data)) is not None:
        listing.damage = f"it names `{visible(twice, most=40)}` twice; the last is read"
    if not holds:
        raise Unreadable(listing.damage) if listing.damage else NotOfPipeline("JSON without a record of the API")
    for element in elements:
        _add(listing, element, asked)
    return listing


def _not_quite(listing: Listing, data: bytes, asked: str | None) -> Listing:
    """What is no one JSON text: JSON Lines, or an answer that is cut off or damaged."""
    lines = [line for line in data.split(b"\n") if line.strip()]
    first = _parsed(lines[0])
    if first is not None and _elements(first)[1]:
        for line in lines:
            _add_line(listing, line, asked)
        return listing
    try:
        answer = json_text.read_answer(data if data.lstrip()[:1] != b"[" else b'{"data":' + data + b"}")
    except ValueError:
        raise Unreadable("it is no JSON that can be read") from None
    records = answer.body.get("data") if isinstance(answer.body, dict) else None
    if not isinstance(records, list) or not (records or answer.rejected):
        raise Unreadable("it is no JSON that can be read")
    for record in records:
        _add(listing, record, asked)
    listing.entries += [Entry(text, asked=asked, fault=reason) for text, reason in answer.rejected]
    if answer.cut or answer.rejected:
        listing.damage = "its end is missing" if answer.cut else "a part of it is no JSON"
    elif answer.notes:
        listing.damage = "a part of it is left out"
    return listing


def _elements(value: Any) -> tuple[list[Any], bool]:
    """The elements of a JSON text, and whether it is a listing.

    Raises:
        OfAnArchive: it is a document of this project.
    """
    if isinstance(value, list):
        return value, any(map(_looks_like_record, value))
    if not isinstance(value, dict):
        return [], False
    if isinstance(value.get("backup"), dict) and "date" in value:
        raise OfAnArchive("a document of an archive of this project: import the archive that it is of, as a whole")
    lists = {name: listed for name in ("data", "Items", "Documents") if isinstance(listed := value.get(name), list)}
    if not lists:
        return [value], _looks_like_record(value)
    is_answer = lists.keys() != {"data"} or any(part in value for part in ("pagination", "plan"))
    elements = [element for listed in lists.values() for element in listed]
    return elements, is_answer or any(map(_looks_like_record, elements))


def _looks_like_record(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    if isinstance(value.get("Item"), dict) or _is_typed(value):
        return True
    return ("id" in value or "url" in value) and any(
        name in value for name in ("match", "imgUrl", "embedUrl", "fetch_date")
    )


def _add_line(listing: Listing, line: bytes, asked: str | None) -> None:
    if not line.strip():
        return
    value = _parsed(line)
    if value is None:
        listing.damage = "a line of it is no JSON"
        text = line[:_MOST_LINE].decode("utf-8", "replace")
        listing.entries.append(Entry(text, asked=asked, fault="the line is no JSON"))
        return
    try:
        elements, holds = _elements(value)
    except OfAnArchive as error:
        listing.entries.append(Entry(value, asked=asked, fault=str(error)))
        return
    for element in elements if holds else [value]:
        _add(listing, element, asked)


def _add(listing: Listing, value: Any, asked: str | None) -> None:
    if json_text.is_deeper(value, DEEPEST):
        text = json_text.dumps(value).decode()
        listing.entries.append(Entry(text, asked=asked, fault=f"it is nested more than {DEEPEST} levels deep"))
        return
    row = value["Item"] if isinstance(value, dict) and value.keys() == {"Item"} else value
    if isinstance(row, dict) and _is_typed(row):
        try:
            row = {name: _plain(one) for name, one in row.items()}
        except (ValueError, DecimalException):
            listing.entries.append(
                Entry(value, is_row=True, asked=asked, fault="a value of the row is none of DynamoDB's")
            )
            return
    elif not isinstance(row, dict) or not any(name in row for name in _ADDED):
        listing.entries.append(Entry(value, asked=asked))
        return
    if isinstance(row.get("days"), list) and "content_hash" in row:
        listing.own_rows += 1  # a row of this project, which is made from the JSON
        return
    record = {name: one for name, one in row.items() if name not in _ADDED}
    if record.get("id") == record.get("url"):
        record.pop("id", None)  # what the pipeline took for an id where there was none
    fetched_for = row.get("fetch_date")
    listing.entries.append(
        Entry(record, is_row=True, asked=fetched_for if isinstance(fetched_for, str) else asked)
    )  # fmt: skip


def _is_typed(row: dict[str, Any]) -> bool:
    """Whether a row is in DynamoDB's own JSON, in which each value names its type."""
    return bool(row) and all(
        isinstance(value, dict) and len(value) == 1 and next(iter(value)) in _TYPES for value in row.values()
    )


def _plain(value: Any) -> Any:
    """A value of DynamoDB's JSON as plain JSON.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError("it names no type")
    ((kind, given),) = value.items()
    match kind, given:
        case "S", str():
            return given
        case "N", str():
            return _number(given)
        case "BOOL", bool():
            return given
        case "NULL", _:
            return None
        case "M", dict():
            return {name: _plain(one) for name, one in given.items()}
        case "L", list():
            return [_plain(one) for one in given]
        case "SS", list():
            return sorted(str(one) for one in given)
        case "NS", list():
            return sorted(_number(str(one)) for one in given)
        case ("B", str()) | ("BS", list()):
            return given  # base64, as the export has it
    raise ValueError("it is of no type of DynamoDB's")


def _number(text: str) -> int | Decimal:
    number = json_text.loads(text)
    if isinstance(number, bool) or not isinstance(number, int | Decimal):
        raise ValueError("it is no number")
    return number


def _parsed(line: bytes) -> Any:
    try:
        return json_text.loads(line)
    except ValueError:
        return None


def _ending(path: str) -> str:
    name = PurePosixPath(path).name
    return name.rpartition(".")[2].lower() if "." in name else ""


class _Hashed:
    """A stream, and the sha256 of what was read of it."""

    def __init__(self, source: BinaryIO) -> None:
        self._source, self._digest = source, hashlib.sha256()

    def read(self, count: int = -1) -> bytes:
        data = self._source.read(count)
        self._digest.update(data)
        return data

    def drain(self) -> None:
        while self.read(1024**2):
            pass

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


class _Unpacked:
    """What a gzip file holds, as far as it can be read: Python's own reader gives nothing of the piece that breaks off.

    Reading raises one of `_NO_GZIP` where it goes wrong.
    """

    def __init__(self, source: _Hashed) -> None:
        self._source, self._packed = source, b""
        self._member = zlib.decompressobj(_GZIP)

    def read(self, count: int) -> bytes:
        while True:
            self._packed = self._packed or self._source.read(64 * 1024)
            if self._member.eof and self._packed:
                self._member = zlib.decompressobj(_GZIP)
            data = b"" if self._member.eof else self._member.decompress(self._packed, count)
            is_end = not self._packed
            self._packed = self._member.unconsumed_tail or self._member.unused_data
            if data:
                return data
            if is_end:
                if not self._member.eof:
                    raise EOFError("its end is missing")
                return b""
