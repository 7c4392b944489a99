"""What `probe` runs: MediaInfo, over a file whose bytes the parent sends as they are asked for.

A script of its own that imports next to nothing, because it starts anew for each file. On stdout: a request is an
offset and a length; the report comes after an offset that no file has. On stdin: each answer with its length before it.

Arguments: the file's size, how much MediaInfo is given at a time, and how much is asked for at once.
"""

import io
import os
import struct
import sys
from typing import Any

REQUEST, ANSWER = struct.Struct(">QI"), struct.Struct(">I")
NOT_LOADED = 70  # as its exit status: the library is not there, or lacks another (EX_SOFTWARE)
REPORT = 2**64 - 1  # as an offset: what follows is the report


class _Asked(io.RawIOBase):
    """The file, as the parent has it."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size, self._at = size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        wanted = max(0, min(len(buffer), self._size - self._at))
        if not wanted:
            return 0
        sys.stdout.buffer.write(REQUEST.pack(self._at, wanted))
        sys.stdout.buffer.flush()
        (length,) = ANSWER.unpack(sys.stdin.buffer.read(ANSWER.size))
        buffer[:length] = sys.stdin.buffer.read(length)
        self._at += length
        return int(length)


def main(size: int, piece: int, block: int) -> None:
    """Writes MediaInfo's report to stdout."""
    try:
        import pymediainfo  # noqa: PLC0415 - the parent imports this file for what both must agree on

        loaded = pymediainfo.MediaInfo.can_parse()
    except ImportError:
        loaded = False
    if not loaded:
        sys.exit(NOT_LOADED)
    with io.BufferedReader(_Asked(size), block) as file:
        report = pymediainfo.MediaInfo.parse(file, output="JSON", parse_speed=0, buffer_size=piece)
    data = report.encode("utf-8", "replace")
    sys.stdout.buffer.write(REQUEST.pack(REPORT, len(data)) + data)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
