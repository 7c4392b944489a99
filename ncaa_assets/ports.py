"""The three interfaces that stand between the assets and where an archive lives.

Plain Python, no Dagster and no vendor: an asset never asks where it runs. What a backend promises is written here once,
and one suite of contract tests holds every backend to it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Any, BinaryIO, Self

from ncaa_assets.failures import EncodeFailed
from ncaa_assets.record.models import CopiedVideo, ProcessedVideo


class Expect(Enum):
    """What a conditional write expects to find, where it is no version."""

    ANYTHING = "anything"
    NOTHING = "nothing"


@dataclass(frozen=True)
class ObjectInfo:
    """One stored object: its key, its size in bytes, and a mark that changes when it is written anew (what a
    conditional write expects is the version that `read` or `write` returned)."""

    key: str
    size: int
    version: str


class Upload(ABC):
    """An object on its way: bytes go in by `write`; nothing shows under a key before `commit`.

    A provisional one can be read before that, to decide whether and under which key it is committed. A context manager:
    left without a commit, by an error or by a signal, it takes everything back.
    """

    @abstractmethod
    def write(self, chunk: bytes) -> None: ...

    @abstractmethod
    def reader(self) -> AbstractContextManager[BinaryIO]:
        """All that was written, as a file that can be read at any place, until the commit. Nothing can be written after
        this; it may be asked for several times.

        Raises:
            ValueError: the upload was not opened as provisional.
        """

    @abstractmethod
    def commit(self, key: str | None = None) -> ObjectInfo:
        """Makes the object appear, whole, under the key that it was opened for; a provisional one under `key`."""

    @abstractmethod
    def abort(self) -> None:
        """Takes back what was written; harmless after `commit`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.abort()


class ObjectStore(ABC):
    """Named objects. Keys are relative paths with `/`; those that start with a dot are the store's housekeeping.

    Every method raises `StoreError` with a sentence for a person where the store fails.
    """

    @abstractmethod
    def read(self, key: str) -> tuple[bytes, str]:
        """An object's bytes and its version.

        Raises:
            ObjectMissing: there is none.
        """

    @abstractmethod
    def write(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str = "application/json",
        expect: str | Expect = Expect.ANYTHING,
        keep_replaced: bool = True,
    ) -> str:
        """Stores a small object whole or not at all and returns its version.

        What it replaces is kept as an earlier version (a store that keeps every version may ignore `keep_replaced`);
        housekeeping has none. Bytes that stand there already are not written again.

        Raises:
            WriteConflict: what is there is not what `expect` names.
        """

    @abstractmethod
    def upload(self, key: str, *, content_type: str, provisional: bool = False) -> Upload:
        """Opens an object of any size for writing in pieces. A `provisional` one can be read before its commit, which
        may name another key; a large one may cost a copy within the store."""

    @abstractmethod
    def download(self, key: str) -> AbstractContextManager[BinaryIO]:
        """Opens an object of any size for reading.

        Raises:
            ObjectMissing: there is none.
        """

    @abstractmethod
    def info(self, key: str) -> ObjectInfo | None:
        """What is known of an object without reading it, or None where there is none."""

    def checksum(self, key: str) -> str | None:
        """The sha256 (hex, of the whole content) that the store itself computed when it took the object in, told
        without reading the object; None where there is no such object, or where the store keeps no such checksum."""
        del key
        return None

    @abstractmethod
    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """The objects whose keys start with `prefix`, in the order of their keys, without housekeeping. Memory does not
        grow with their number."""

    @abstractmethod
    def delete(self, key: str, *, expect: str | Expect = Expect.ANYTHING) -> None:
        """Removes an object; one that is not there is no error.

        Raises:
            WriteConflict: what is there is not what `expect` names.
        """

    @abstractmethod
    def sweep(self, day: str) -> None:
        """Removes what killed writers of this day left half-written. Only the day's lease holder may call it."""

    @abstractmethod
    def uri(self, key: str) -> str:
        """Where a person finds the object: a path or an `s3://` address."""


Row = dict[str, Any]
MergeRow = Callable[[Row | None, Row], Row | None]


class HighlightTable(ABC):
    """Rows by highlight id and by game day. A row is a plain dict with at least `id` and `game_date` (both strings).

    Every method raises `StoreError` with a sentence for a person where the table fails.
    """

    @abstractmethod
    def merge(self, rows: Iterable[Row], merge: MergeRow) -> int:
        """Writes each row that `merge(row in the table or None, row)` returns; where it returns None the table's row
        stays. Safe against another process that merges the same rows. Returns how many rows were written."""

    @abstractmethod
    def get(self, ids: Sequence[str]) -> dict[str, Row]:
        """The rows with these ids, by id; ids without a row are left out."""

    @abstractmethod
    def day(self, game_date: str) -> list[Row]:
        """The rows that belong to a game day, ordered by id."""

    @abstractmethod
    def uri(self) -> str:
        """Where a person finds the table."""


@dataclass(frozen=True)
class EncodeRequest:
    """One video to encode: the copy, and the keys that its output and poster go to. `again`: a person asked for a new
    encode, whatever is there."""

    video: CopiedVideo
    output_key: str
    poster_key: str
    again: bool = False


@dataclass(frozen=True)
class EncodeOutcome:
    """How one request ended: with a processed video, or with an error. `reused`: nothing was encoded, because an encode
    of the same bytes was there."""

    request: EncodeRequest
    result: ProcessedVideo | EncodeFailed
    reused: bool = False


class Transcoder(ABC):
    """Video in, web-ready MP4 and poster out."""

    @abstractmethod
    def settings_hash(self) -> str:
        """Identifies the encoding settings: outputs made with others are made again."""

    @abstractmethod
    def encode(self, requests: Sequence[EncodeRequest]) -> Generator[EncodeOutcome, None, None]:
        """Encodes all requests, several at a time, and yields each outcome as soon as it is known, so that it can be
        recorded before the next. Closing the iterator ends what still runs. One failure delays no other.
        """
