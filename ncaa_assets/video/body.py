"""A file on its way from a stranger: what an opener (`host.py`, `pages.py`) hands over and the copier reads."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

CHUNK = 1024**2  # the most bytes in one piece
TIMEOUT = (5.0, 30.0)  # seconds to connect, seconds between two bytes


@dataclass(frozen=True)
class Body:
    """A file on its way.

    Attributes:
        pieces: its bytes, each piece as soon as it has arrived; empty at the end.
        content_type: what its sender calls it; may be empty.
        promised: how many bytes its sender announced (None: none announced).
        tells_its_end: whether its framing shows where it ends; to be asked after the last piece.
        break_off: ends the reading of a piece from another thread.
        etag: what its host calls this very content (None: nothing).
        from_page: whether it was found in a web page.
    """

    pieces: Iterator[bytes]
    content_type: str
    promised: int | None
    tells_its_end: Callable[[], bool]
    break_off: Callable[[], None]
    etag: str | None = None
    from_page: bool = False


class PageReader(Protocol):
    """Finds the video of a web page; `pages.YtDlpReader` is one. `searched` has the kinds of pages that were refused
    before and are searched now."""

    searched: frozenset[str]

    def open(self, url: str, *, max_bytes: int) -> AbstractContextManager[Body]:
        """The page's video, from wherever the page says it is.

        Raises:
            VideoRefused: there is no video, or none that may be copied.
            CopyFailed: it broke for a passing reason; may also be raised while the pieces are read.
        """

    def end(self) -> None:
        """Ends everything under way, for good."""
