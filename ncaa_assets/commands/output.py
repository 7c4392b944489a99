"""The command's stdout and stderr, made so that what becomes of the output does not decide what becomes of the work.

A person may close a stream, pipe it into `head`, send it to a full disk, or have a locale without `…`. A backup goes on
all the same, and its exit code says what became of the day.
"""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO


class ReaderLeft(Exception):
    """Whoever read the output wants no more of it."""


@contextmanager
def lasting_output(*, ends_with_reader: bool) -> Iterator[None]:
    """Makes stdout and stderr last while the `with` lasts. What cannot be written any more is dropped, which is told on
    stderr unless a reader left. With `ends_with_reader`, for a command that only tells, that raises `ReaderLeft`."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # it was closed, and the next file to be opened would take its number
            os.open(os.devnull, os.O_RDWR)
    before = sys.stdout, sys.stderr
    sys.stdout = _lasting(sys.stdout, 1, ends_with_reader=ends_with_reader)
    sys.stderr = _lasting(sys.stderr, 2, ends_with_reader=False)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(ReaderLeft):
                stream.flush()
        sys.stdout, sys.stderr = before


def second_stderr() -> TextIO:
    """Another stream to where stderr leads, which lasts as long."""
    raw = _Lasting(os.dup(2), ends_with_reader=False, closefd=True)
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding=None, errors="replace", line_buffering=True)


def _lasting(stream: TextIO | None, number: int, *, ends_with_reader: bool) -> Any:
    if stream is not None:
        try:
            if stream.fileno() != number:
                return stream
        except (OSError, ValueError):  # no file at all, as in a test
            return stream
        stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Lasting(number, ends_with_reader=ends_with_reader)),
        encoding=stream.encoding if stream is not None else "utf-8",
        errors="replace",
        line_buffering=number == 2 or (stream is not None and bool(stream.line_buffering)),
    )


class _Lasting(io.FileIO):
    """A stream that leads nowhere once it cannot be written any more."""

    def __init__(self, number: int, *, ends_with_reader: bool, closefd: bool = False) -> None:
        super().__init__(number, "wb", closefd=closefd)
        self._ends_with_reader = ends_with_reader

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data) or 0
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if isinstance(error, BrokenPipeError):
                if self._ends_with_reader:
                    raise ReaderLeft from error
            elif self.fileno() == 1:
                print(f"ncaa-assets: its output cannot be written any more ({error.strerror})", file=sys.stderr)  # noqa: T201
            return len(data)
