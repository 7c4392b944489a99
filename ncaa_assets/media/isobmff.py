"""The boxes of an MP4 or QuickTime file, read as the bytes pass by: whether the file is whole, how long it plays, and
whether it has sound. No maintained library reads a stream this way; the format is ISO/IEC 14496-12, §4.2 (boxes),
§8.2.2 (mvhd), §8.3.2 (tkhd) and §8.4.3 (hdlr).
"""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

# A `moov` of an hour of video is about 2 MB. A larger one than this is passed over and its content stays unknown, so
# that a stranger's file cannot fill the memory.
_MOOV_LIMIT = 16 * 1024**2
_INDEX_CHUNK = 64 * 1024
_CHUNK = 1024**2
_MOST_BOXES = 1000  # looked at for their order
_TOP_LEVEL = {
    b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"pnot", b"udta", b"uuid", b"meta",
    b"sidx", b"ssix", b"mfra", b"pdin", b"prft", b"emsg", b"junk", b"PICT",
}  # fmt: skip
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
    """Whether a file's first bytes (at least 12) open an MP4 or QuickTime file."""
    return len(start) >= 8 and start[4:8] in (b"ftyp", b"styp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")


class BoxReader:
    """Follows a file's top-level boxes chunk by chunk. It keeps only `ftyp` and `moov`, so its memory does not grow
    with the file."""

    def __init__(self) -> None:
        self._position = 0
        self._box_end = 0
        self._head = bytearray()
        self._kept: bytearray | None = None
        self._kind = b""
        self._open_ended = False
        self._seen: set[bytes] = set()
        self._last = b""
        self._boxes: dict[bytes, bytes] = {}

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes.

        Raises:
            NotWhole: they cannot belong to an MP4 file.
        """
        view = memoryview(chunk)
        while view:
            if self._open_ended or self._position < self._box_end:
                take = len(view) if self._open_ended else min(len(view), self._box_end - self._position)
                if self._kept is not None:
                    self._kept += view[:take]
                    if len(self._kept) > _MOOV_LIMIT:
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

    def finish(self) -> Movie:
        """What the movie's index says, once all bytes were fed.

        Raises:
            NotWhole: the file ends inside a box, or lacks its index or its media.
        """
        if self._head or (not self._open_ended and self._position < self._box_end):
            raise NotWhole("the file is cut off in the middle")
        if self._open_ended:
            self._close()
        if b"moov" not in self._seen:
            raise NotWhole("the file has no index (moov): it is cut off or damaged")
        if b"mdat" not in self._seen:
            raise NotWhole("the file holds no media (mdat)")
        if self._last in _BEFORE_MEDIA:
            raise NotWhole("the file is cut off between two fragments")
        return _movie(self._boxes.get(b"ftyp", b""), self._boxes.get(b"moov"))

    @property
    def shows_its_end(self) -> bool:
        """Whether a file that was cut off could not have looked whole. False where the last box reaches to wherever the
        file ends, and for fragments without their list (mfra, §8.8.9), which is the last box where it is written."""
        return not self._open_ended and (b"moof" not in self._seen or self._last == b"mfra")

    @property
    def has_index(self) -> bool:
        """Whether the whole index has been fed (even if it was too large to be kept)."""
        inside = self._kind == b"moov" and (self._open_ended or self._position < self._box_end)
        return b"moov" in self._seen and not inside

    def index(self) -> Movie:
        """What the index says, once it has been fed; whether the media are complete is not checked."""
        return _movie(self._boxes.get(b"ftyp", b""), self._boxes.get(b"moov"))

    def _open(self, header: int) -> None:
        size, kind = struct.unpack(">I4s", self._head[:8])
        if header == 16:
            size = struct.unpack(">Q", self._head[8:16])[0]
        if kind not in _TOP_LEVEL:
            raise NotWhole(f"there is no box {bytes(kind)!r} in an MP4 file: it is damaged or of another kind")
        if 0 < size < header:
            raise NotWhole("a box is smaller than its own header: the file is damaged")
        self._kind, self._open_ended = kind, size == 0
        self._seen.add(kind)
        self._last = kind
        self._box_end = self._position - header + size
        self._head.clear()
        self._kept = bytearray() if kind in (b"ftyp", b"moov") else None
        if not self._open_ended and self._position == self._box_end:
            self._close()

    def _close(self) -> None:
        if self._kept is not None:
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


def layout(file: BinaryIO, size: int) -> tuple[bool, bool]:
    """Whether a file's index stands before its media, and whether its media come in fragments. Reads the headers of the
    boxes alone, up to the first fragment."""
    at, has_media, fast_start = 0, False, False
    for _ in range(_MOST_BOXES):
        file.seek(at)
        header = file.read(16)
        if len(header) < 8:
            break
        length, kind = struct.unpack_from(">I4s", header)
        if length == 1 and len(header) == 16:
            length = struct.unpack_from(">Q", header, 8)[0]
        if kind == b"moof":
            return not has_media, True
        if kind == b"moov":
            fast_start = not has_media
        has_media |= kind == b"mdat"
        at += length if length >= 8 else size
    return fast_start, False


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
