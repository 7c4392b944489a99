"""What kind of file some bytes are, and whether they are a whole one: MP4 and QuickTime, WebM, MPEG-TS.

The kind is read from the first bytes alone; what a server calls a file does not count. A verifier then follows all
bytes as they pass, keeping next to none of them: `isobmff.BoxReader` for MP4 and QuickTime, the two here for the rest.
"""

from typing import Protocol

from ncaa_assets.media.isobmff import BoxReader, Movie, NotWhole, looks_like_movie

START = 4096  # bytes that are enough to tell the kind
CONTENT_TYPES = {"mp4": "video/mp4", "mov": "video/quicktime", "webm": "video/webm", "ts": "video/mp2t"}
_TS_PACKET, _TS_SYNC = 188, b"\x47"
_EBML, _SEGMENT, _VOID = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\xec"


class Verifier(Protocol):
    """Follows a file's bytes from first to last."""

    @property
    def shows_its_end(self) -> bool:
        """Whether a file that was cut off could not have looked whole; to be asked after `finish`."""

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes.

        Raises:
            NotWhole: they cannot belong to such a file.
        """

    def finish(self, *, is_all: bool = False) -> Movie | None:
        """What the file says of itself once all bytes were fed (None: its kind is not read that far). `is_all`: its
        sender showed that these are all.

        Raises:
            NotWhole: bytes are missing.
        """


def container_of(start: bytes) -> str | None:
    """The kind of a file by its first `START` bytes: `mp4`, `mov`, `webm` or `ts`; None for any other."""
    if looks_like_movie(start):
        return "mov" if start[4:8] != b"ftyp" or start[8:12] == b"qt  " else "mp4"
    if start[:4] == _EBML and b"webm" in start[:64]:
        return "webm"
    if len(start) > 2 * _TS_PACKET and start[: 2 * _TS_PACKET + 1 : _TS_PACKET] == 3 * _TS_SYNC:
        return "ts"
    return None


def looks_like_page(start: bytes) -> bool:
    """Whether a file's first bytes open a web page."""
    head = start[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return head.startswith((b"<!doctype", b"<html", b"<head", b"<body", b"<!--"))


def verifier_of(container: str) -> Verifier:
    """A new verifier for a file of this kind."""
    if container == "webm":
        return WebM()
    return TransportStream() if container == "ts" else BoxReader()


class TransportStream:
    """Follows an MPEG-TS file's packets, each of which opens with a sync byte (ISO/IEC 13818-1, §2.4.3.2). Packets
    carry no total, so nothing more than whole packets can be checked."""

    shows_its_end = False

    def __init__(self) -> None:
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        opening = chunk[-self._size % _TS_PACKET :: _TS_PACKET]
        if opening.count(_TS_SYNC) != len(opening):
            raise NotWhole("a packet in it does not open as one does")
        self._size += len(chunk)

    def finish(self, *, is_all: bool = False) -> None:
        if self._size % _TS_PACKET and not is_all:  # recorders end in the middle of one, and players do not mind
            raise NotWhole("its last packet is cut off")


class WebM:
    """Checks a WebM file's length against the size that its Segment announces (RFC 8794, §6.1 and RFC 9559)."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._size = 0
        self.shows_its_end = True

    def feed(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if len(self._head) < 4096:
            self._head += chunk[:4096]

    def finish(self, *, is_all: bool = False) -> None:
        del is_all  # the file says so itself, or `shows_its_end` is False
        length, at = _ebml_size(self._head, 4)
        segment = at + (length or 0)
        while self._head[segment : segment + 1] == _VOID:
            length, at = _ebml_size(self._head, segment + 1)
            segment = at + (length or 0)
        if self._head[segment : segment + 4] != _SEGMENT:
            raise NotWhole("its Segment is missing")
        length, at = _ebml_size(self._head, segment + 4)
        self.shows_its_end = length is not None
        if length is not None and self._size < at + length:
            raise NotWhole("the file is cut off in the middle")


def _ebml_size(data: bytes | bytearray, at: int) -> tuple[int | None, int]:
    """An EBML variable-size integer (None: unknown, as live recordings write), and where it ends."""
    if at >= len(data) or not data[at]:
        raise NotWhole("it is damaged")
    length = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + length], "big") & ((1 << 7 * length) - 1)
    return None if value == (1 << 7 * length) - 1 else value, at + length
