"""The boxes of an MP4 or QuickTime file, read as the bytes pass by: whether the file is whole, how long it plays, and
whether it has sound. No maintained library reads a stream this way; the format is ISO/IEC 14496-12, §4.2 (boxes),
§8.2.2 (mvhd), §8.3.2 (tkhd) and §8.4.3 (hdlr).
"""

import hashlib
import struct
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

# A `moov` of an hour of video is about 2 MB, a `moof` a few kB. What is larger than this is passed over and its content
# stays unknown, so that a stranger's file cannot fill the memory.
_KEPT = {b"ftyp": 4096, b"moov": 16 * 1024**2, b"moof": 1024**2}
_INDEX_CHUNK = 64 * 1024
_CHUNK = 1024**2
_MOST_FOLLOWED = 5_000_000  # boxes; four seconds of work. Hours of film, each frame a fragment, are two million
_MOST_BOXES = 1000  # looked at for their order
_FIRST = {b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"wide", b"free", b"skip", b"pnot"}
_MEDIA = {b"mdat", b"imda"}
_BEFORE_MEDIA = {b"styp", b"moof", b"sidx", b"prft"}  # the parts of a fragment that its mdat follows


class NotWhole(ValueError):
    """The bytes are no complete file of their kind; the message says in a few words what is wrong."""


@dataclass(frozen=True)
class Movie:
    """What a movie's boxes say: how many seconds it plays (None: fragments do not say), which tracks it has (None: the
    index is too large to be read), and its picture size in pixels."""

    brand: str
    duration_seconds: float | None
    has_video: bool | None
    has_sound: bool | None
    width: int | None
    height: int | None


def looks_like_movie(start: bytes) -> bool:
    """Whether a file's first bytes (at least 12) open an MP4 or QuickTime file, unknown boxes before the first known
    one passed over."""
    at = 0
    while at + 8 <= len(start):
        size, kind = struct.unpack_from(">I4s", start, at)
        if kind in _FIRST:
            return True
        if size < 8 or not kind.isalnum():
            return False
        at += size
    return False


class BoxReader:
    """Follows a file's top-level boxes chunk by chunk, and passes over those that it does not know (§4.2: readers skip
    them).

    Whole is a file whose index, media and fragments are complete where they began, and whose samples all lie inside it.
    What comes after them may be anything: a phone's trailer, a box that is cut off, bytes that are no box. It keeps the
    index alone, so its memory does not grow with the file.
    """

    def __init__(self) -> None:
        self._position = 0
        self._box_start = self._box_end = 0
        self._head = bytearray()
        self._kept: bytearray | None = None
        self._kind = b""
        self._open_ended = False
        self._seen: set[bytes] = set()
        self._last = b""
        self._boxes: dict[bytes, bytes] = {}
        self._samples_end = 0  # of the fragments' samples
        self._count = 0

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes."""
        view = memoryview(chunk)
        while view:
            if self._open_ended or self._position < self._box_end:
                take = len(view) if self._open_ended else min(len(view), self._box_end - self._position)
                if self._kept is not None:
                    self._kept += view[:take]
                    if len(self._kept) > _KEPT[self._kind]:
                        self._kept = None
                self._position += take
                view = view[take:]
                if not self._open_ended and self._position == self._box_end:
                    self._close()
                continue
            need = 16 if self._head[:4] == b"\x00\x00\x00\x01" else 8
            take = min(len(view), need - len(self._head))
            self._head += view[:take]
            self._position += take
            view = view[take:]
            if len(self._head) == need and (need == 16 or self._head[:4] != b"\x00\x00\x00\x01"):
                self._open(need)

    def finish(self, *, is_all: bool = False) -> Movie:
        """What the movie's index says, once all bytes were fed.

        Raises:
            NotWhole: the index or media are missing or cut off.
        """
        del is_all  # what matters shows in the file itself
        if self._is_inside and self._open_ended:
            self._close()
        elif self._is_inside and self._kind in {b"moov", b"moof", *_MEDIA}:
            raise NotWhole("the file is cut off in the middle")
        if b"moov" not in self._seen:
            raise NotWhole("the file has no index (moov): it is cut off or damaged")
        if self._seen.isdisjoint(_MEDIA):
            raise NotWhole("the file holds no media (mdat)")
        if self._last in _BEFORE_MEDIA:
            raise NotWhole("the file is cut off between two fragments")
        moov = self._boxes.get(b"moov")
        movie = _movie(self._boxes.get(b"ftyp", b""), moov)
        if max(self._samples_end, _samples_end(moov or b"")) > self._position:
            raise NotWhole("its index names media behind the file's end: it is cut off or damaged")
        return movie

    @property
    def shows_its_end(self) -> bool:
        """Whether a file that was cut off could not have looked whole. False where it does not end with a box, and for
        fragments without their list (mfra, §8.8.9), which is the last box where it is written."""
        return not self._is_inside and not self._head and (b"moof" not in self._seen or self._last == b"mfra")

    @property
    def has_index(self) -> bool:
        """Whether the whole index has been fed (even if it was too large to be kept)."""
        return b"moov" in self._seen and not (self._is_inside and self._kind == b"moov")

    def index(self) -> Movie:
        """What the index says, once it has been fed; whether the media are complete is not checked."""
        return _movie(self._boxes.get(b"ftyp", b""), self._boxes.get(b"moov"))

    @property
    def _is_inside(self) -> bool:
        return self._open_ended or self._position < self._box_end

    def _open(self, header: int) -> None:
        size, kind = struct.unpack(">I4s", self._head[:8])
        if header == 16:
            size = struct.unpack(">Q", self._head[8:16])[0]
        self._head.clear()
        self._count += 1
        if 0 < size < header or self._count > _MOST_FOLLOWED:  # no box, so nothing that follows can be one; or a flood
            size, kind = 0, b""
        self._kind, self._open_ended = kind, size == 0
        self._seen.add(kind)
        self._last = kind
        self._box_start = self._position - header
        self._box_end = self._box_start + size
        is_first = kind == b"moof" or (kind in _KEPT and kind not in self._boxes)
        self._kept = bytearray() if is_first else None
        if not self._open_ended and self._position == self._box_end:
            self._close()

    def _close(self) -> None:
        if self._kept is None:
            return
        if self._kind == b"moof":
            self._samples_end = max(self._samples_end, _fragment_end(bytes(self._kept), self._box_start))
        else:
            self._boxes[self._kind] = bytes(self._kept)
        self._kept = None


def read_index(file: BinaryIO) -> Movie:
    """What a file's index says. Reads only up to the index's end: a few kB of a fast-start file.

    Raises:
        NotWhole: there is no index, or it is damaged.
    """
    reader = BoxReader()
    while chunk := file.read(_INDEX_CHUNK):
        reader.feed(chunk)
        if reader.has_index:
            return reader.index()
    return reader.finish()


@dataclass(frozen=True)
class Layout:
    """How a file is laid out: whether its index stands before its media, whether its media come in fragments, and
    whether the tags (udta, where covers are) stand before the first track of the index."""

    fast_start: bool
    fragmented: bool
    tags_first: bool


def layout(file: BinaryIO, size: int) -> Layout:
    """Reads the headers of the boxes alone, up to the first fragment."""
    has_media = fast_start = tags_first = False
    for kind, start, end in _headers(file, 0, size):
        if kind == b"moof":
            return Layout(not has_media, True, tags_first)
        if kind == b"moov":
            fast_start = not has_media
            inside = (inner for inner, _, _ in _headers(file, start, end))
            tags_first = next((inner for inner in inside if inner in (b"udta", b"trak")), b"") == b"udta"
        has_media |= kind == b"mdat"
    return Layout(fast_start, False, tags_first)


def _headers(file: BinaryIO, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The boxes from one place to another: each one's kind, where its content begins, and where it ends."""
    for _ in range(_MOST_BOXES):
        file.seek(at)
        header = file.read(16)
        if at >= end or len(header) < 8:
            return
        length, kind = struct.unpack_from(">I4s", header)
        start = at + 8
        if length == 1 and len(header) == 16:
            length, start = struct.unpack_from(">Q", header, 8)[0], at + 16
        if length < start - at:
            length = end - at
        yield kind, start, at + length
        at += length


def read_movie(file: BinaryIO) -> tuple[Movie, str]:
    """What a whole file's index says, and the sha256 of all its bytes, in one pass.

    Raises:
        NotWhole: it is no complete MP4 file.
    """
    reader, digest = BoxReader(), hashlib.sha256()
    while chunk := file.read(_CHUNK):
        reader.feed(chunk)
        digest.update(chunk)
    return reader.finish(), digest.hexdigest()


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        header = 8
        if size == 1 and at + 16 <= len(data):
            size, header = struct.unpack_from(">Q", data, at + 8)[0], 16
        elif size == 0:
            size = len(data) - at
        if size < header:
            return
        yield kind, data[at + header : at + size]
        at += size


def _movie(ftyp: bytes, moov: bytes | None) -> Movie:
    brand = ftyp[:4].decode("ascii", "replace").strip()
    if moov is None:
        return Movie(brand, duration_seconds=None, has_video=None, has_sound=None, width=None, height=None)
    duration: float | None = None
    kinds: set[bytes] = set()
    width = height = None
    try:
        for kind, body in _boxes(moov):
            if kind == b"mvhd":
                duration = _mvhd_seconds(body)
            elif kind == b"trak":
                handler, size = _track(body)
                kinds.add(handler)
                if handler == b"vide" and size:
                    width, height = size
    except (struct.error, IndexError, ZeroDivisionError) as error:
        raise NotWhole("its index (moov) is damaged") from error
    return Movie(
        brand=brand,
        duration_seconds=duration or None,
        has_video=b"vide" in kinds,
        has_sound=b"soun" in kinds,
        width=width,
        height=height,
    )


def _samples_end(moov: bytes) -> int:
    """Where the last sample of a picture or sound track ends in the file, by the tables of the index."""
    end = 0
    for kind, trak in _boxes(moov):
        if kind == b"trak" and _track(trak)[0] in (b"vide", b"soun"):
            for table in _inside(trak, b"mdia", b"minf", b"stbl"):
                end = max(end, _table_end(dict(_boxes(table))))
    return end


def _table_end(table: dict[bytes, bytes]) -> int:
    """Where the chunk that lies furthest back ends (§8.7: stco, stsc, stsz). A table that is shorter than it says ends
    where it ends: readers take what is there."""
    offsets = _numbers(table.get(b"stco", b"")[8:], "I") or _numbers(table.get(b"co64", b"")[8:], "Q")
    if not offsets:
        return 0
    furthest: int = max(offsets)
    chunk = offsets.index(furthest)
    first_sample = samples = 0
    runs = table.get(b"stsc", b"")[8:]
    for at in range(0, len(runs) - 11, 12):
        first_chunk, samples = struct.unpack_from(">II", runs, at)
        next_chunk = struct.unpack_from(">I", runs, at + 12)[0] if at + 24 <= len(runs) else chunk + 2
        if next_chunk > chunk + 1:
            first_sample += samples * max(0, chunk + 1 - first_chunk)
            break
        first_sample += samples * max(0, next_chunk - first_chunk)
    sizes = table.get(b"stsz", b"")
    if len(sizes) < 12:
        return furthest  # stz2, or none: where the samples begin is all that is known
    size, count = map(int, struct.unpack_from(">II", sizes, 4))
    if size:
        return furthest + size * max(0, min(samples, count - first_sample))
    return furthest + sum(_numbers(sizes[12 + 4 * first_sample : 12 + 4 * (first_sample + samples)], "I"))


def _fragment_end(moof: bytes, start: int) -> int:
    """Where the last sample of a fragment ends in the file (§8.8: traf, tfhd, trun), as far as it says so itself."""
    end = 0
    for kind, traf in _boxes(moof):
        if kind != b"traf":
            continue
        base, default, after = start, 0, None
        for name, body in _boxes(traf):
            try:
                flags = int.from_bytes(body[1:4], "big")
                if name == b"tfhd":
                    at = 8
                    if flags & 0x1:
                        base, at = struct.unpack_from(">Q", body, at)[0], at + 8
                    at += 4 * bool(flags & 0x2) + 4 * bool(flags & 0x8)
                    default = struct.unpack_from(">I", body, at)[0] if flags & 0x10 else 0
                elif name == b"trun":
                    after = _run_end(body, flags, default, base=base, after=after)
                    end = max(end, after)
            except (struct.error, IndexError):
                break
    return end


def _run_end(trun: bytes, flags: int, default: int, *, base: int, after: int | None) -> int:
    count: int = struct.unpack_from(">I", trun, 4)[0]
    at = 8
    begin: int = base if after is None else after
    if flags & 0x1:
        begin, at = base + struct.unpack_from(">i", trun, at)[0], at + 4
    at += 4 * bool(flags & 0x4)
    if not flags & 0x200:
        return begin + default * count
    fields = [bit for bit in (0x100, 0x200, 0x400, 0x800) if flags & bit]
    samples = _numbers(trun[at : at + 4 * len(fields) * count], "I")
    return begin + sum(samples[fields.index(0x200) :: len(fields)])


def _inside(data: bytes, *path: bytes) -> Iterator[bytes]:
    """The bodies of the boxes under a path of kinds."""
    for kind, body in _boxes(data):
        if kind == path[0]:
            yield from _inside(body, *path[1:]) if len(path) > 1 else [body]


def _numbers(data: bytes, kind: str) -> "array[int]":
    """Big-endian numbers, of 32 (`I`) or 64 bits (`Q`)."""
    numbers = array(kind)
    numbers.frombytes(data[: len(data) // numbers.itemsize * numbers.itemsize])
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


def _mvhd_seconds(body: bytes) -> float:
    if body[0] == 1:
        scale, duration = struct.unpack_from(">IQ", body, 20)
        unknown = 2**64 - 1
    else:
        scale, duration = struct.unpack_from(">II", body, 12)
        unknown = 2**32 - 1
    return 0.0 if duration == unknown else float(duration / scale)


def _track(trak: bytes) -> tuple[bytes, tuple[int, int] | None]:
    handler, size = b"", None
    for kind, body in _boxes(trak):
        if kind == b"tkhd":
            width, height = struct.unpack_from(">II", body, 88 if body[0] == 1 else 76)
            size = (width >> 16, height >> 16)  # 16.16 fixed point
        elif kind == b"mdia":
            for inner, content in _boxes(body):
                if inner == b"hdlr":
                    handler = content[8:12]
    return handler, size if size and all(size) else None
