"""A place that others wrote and that is only read: a folder, a bucket or a table. It is what `import` takes from."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO


@dataclass(frozen=True)
class PlaceFile:
    """One file of a place: its path with slashes, its size in bytes (None: not known before it is read), and when it
    was stored, as text. `version` is the bucket's name of this version of it (None: the present one)."""

    path: str
    size: int | None
    at: str
    version: str | None = None


class Place(ABC):
    """Files that are only read. A path with a part that begins with a dot is housekeeping and is not listed.

    Every method raises `PlaceUnreadable` with a sentence for a person where the place cannot be read.
    """

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[PlaceFile]:
        """The files whose paths start with `prefix`, in the order of their paths."""

    def versions(self) -> Iterator[PlaceFile]:
        """Every file, in every version that the place keeps, the oldest first."""
        return self.list()

    @abstractmethod
    def info(self, path: str) -> PlaceFile | None:
        """What is known of one file, None where there is none."""

    @abstractmethod
    def open(self, file: PlaceFile) -> AbstractContextManager[BinaryIO]:
        """Opens a file for reading.

        Raises:
            ObjectMissing: it is gone.
        """

    @abstractmethod
    def uri(self, path: str = "") -> str:
        """Where a person finds a file, or the place itself."""
