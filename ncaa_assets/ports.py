"""The interfaces of the five services that a day's work uses, and the values that they take and return.

`Source` lists a day's highlights, `Copier` brings their videos in, `Transcoder` encodes them; `ObjectStore` and
`HighlightTable` keep everything. Plain Python without Dagster or a vendor's names: a day's work never asks where it
runs. What every implementation promises is written here once; the contract tests hold each backend to it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import partial
from types import TracebackType
from typing import Any, BinaryIO, ClassVar, Self

from ncaa_assets.failures import CopyFailed, EncodeFailed, EncodeRefused, VideoRefused
from ncaa_assets.record.fetch import Fetch, Matches
from ncaa_assets.record.models import CopiedVideo, Highlight, ProcessedVideo
from ncaa_assets.record.rows import Row


class Expect(Enum):
    """What a conditional write expects to find under its key, other than a particular version."""

    ANYTHING = "anything"
    NOTHING = "nothing"


@dataclass(frozen=True)
class ObjectInfo:
    """One stored object: its key, its size in bytes, and a mark that changes whenever it is written. Conditional writes
    do not take this mark: they expect the version that `read` or `write` returned."""

    key: str
    size: int
    version: str


@dataclass(frozen=True)
class Version:
    """A version of a document: from when until when it counted (None: not known; still), and what gives its bytes."""

    key: str
    since: datetime | None
    until: datetime | None
    read: Callable[[], bytes]


class Upload(ABC):
    """An object on its way: bytes go in by `write`; nothing shows under a key before `commit`.

    It can be read before that, to decide whether and, a provisional one, under which key it is committed. A context
    manager: left without a commit, by an error or by a signal, it takes everything back.
    """

    @abstractmethod
    def write(self, chunk: bytes) -> None: ...

    @abstractmethod
    def reader(self) -> AbstractContextManager[BinaryIO]:
        """What was written, as a file that can be read at any place, until the commit. Nothing can be written after
        this; it may be asked for several times. Without `has_all`, a read that begins in the middle or reaches into it
        comes back short.
        """

    @property
    @abstractmethod
    def has_all(self) -> bool:
        """Whether `reader` has all that was written. A provisional upload always has; of another, a store need only
        keep the first and the last 6 MB at hand."""

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


def bytes_of(store: "ObjectStore", key: str) -> bytes:
    """A small object's bytes."""
    return store.read(key)[0]


class ObjectStore(ABC):
    """Named objects. Keys are relative paths with `/`; keys that start with a dot are the store's housekeeping.

    Every method raises `StoreError` with a sentence for a person where the store fails.
    """

    # How many small requests are best made at a time by whoever has many.
    requests_at_once: ClassVar[int] = 8

    @abstractmethod
    def read(self, key: str) -> tuple[bytes, str]:
        """An object's bytes and its version.

        Raises:
            ObjectMissing: there is no such object.
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
        durable: bool = True,
    ) -> str:
        """Stores a small object, whole or not at all, and returns its version.

        The object that it replaces is kept as an earlier version, except for housekeeping (a store that keeps every
        version may ignore `keep_replaced`). Bytes that the object already has are not written again. What can be made
        again need not be `durable`: until a durable write of the same store, a machine that loses its power may lose
        it, whole or in part.

        Raises:
            WriteConflict: the key does not hold what `expect` names.
        """

    @abstractmethod
    def upload(self, key: str, *, content_type: str, provisional: bool = False) -> Upload:
        """Opens an object of any size for writing in pieces. The commit of a `provisional` one may name another key; a
        large one may cost a copy within the store."""

    @abstractmethod
    def copy(self, source: str, target: str) -> ObjectInfo:
        """Makes another object of an object's content, without its passing through this program. A folder may keep the
        content once for both.

        Raises:
            ObjectMissing: there is no such object.
        """

    @abstractmethod
    def download(self, key: str) -> AbstractContextManager[BinaryIO]:
        """Opens an object of any size for reading.

        Raises:
            ObjectMissing: there is no such object.
        """

    @abstractmethod
    def open_seekable(self, key: str) -> AbstractContextManager[BinaryIO]:
        """Opens an object of any size for reading here and there, for who needs a little of it. What is read is of one
        version; where that is replaced meanwhile, reading goes on in it or raises a StoreError.

        Raises:
            ObjectMissing: there is no such object.
        """

    @abstractmethod
    def info(self, key: str) -> ObjectInfo | None:
        """What the store knows of an object without reading it, or None where there is no such object."""

    def has(self, key: str, size: int) -> bool:
        """Whether an object is stored with the size, in bytes, that a document recorded of it."""
        info = self.info(key)
        return info is not None and info.size == size

    def checksum(self, key: str) -> str | None:
        """The sha256 (hex, of the whole content) that the store itself computed when the object was written, without
        reading the object now; None where there is no such object, or where the store keeps no such checksum."""
        del key
        return None

    def versions(self, prefix: str) -> Iterator[Version]:
        """The documents whose keys start with `prefix`, in every version that the store has kept: those of a key
        together, the oldest first."""
        for info in self.list(prefix):
            if info.key.endswith(".json"):
                yield Version(info.key, None, None, partial(bytes_of, self, info.key))

    @abstractmethod
    def list(self, prefix: str, *, below: bool = True) -> Iterator[ObjectInfo]:
        """The objects whose keys start with `prefix`, without housekeeping, in the order of their keys (some stores of
        S3's protocol give a folder's together, before `<folder>.json`). Without `below`, only those whose keys have no
        other `/` after the prefix, and the store is spared what lies deeper. Memory use does not grow with their
        number."""

    @abstractmethod
    def delete(self, key: str, *, expect: str | Expect = Expect.ANYTHING) -> None:
        """Removes an object; a missing one is no error.

        Raises:
            WriteConflict: the key does not hold what `expect` names.
        """

    def check_writes(self) -> None:  # noqa: B027 - most stores need not be tried
        """Makes sure that runs can write here as they must, where that has to be tried.

        Raises:
            SettingsError: they cannot, whatever is tried again; the message says what the store lacks.
        """

    @abstractmethod
    def sweep(self, day: str) -> None:
        """Removes what killed writers of this day left half-written. Only the holder of the day's lease may call it."""

    @abstractmethod
    def uri(self, key: str) -> str:
        """Where a person finds the object: a path, or an `s3://` address."""

    def page(self, key: str) -> str | None:
        """The address of a web page that shows the object to a person who may see it, or None where there is none."""
        del key
        return None


MergeRow = Callable[[Row | None, Row], Row | None]


class HighlightTable(ABC):
    """Rows by highlight id and by game day. A row is a plain dict with at least `id` and `game_date` (both strings).

    Every method raises `StoreError` with a sentence for a person where the table fails.
    """

    @abstractmethod
    def merge(self, rows: Iterable[Row], merge: MergeRow) -> int:
        """Writes each row that `merge(row in the table or None, row)` returns; where it returns None, the table's row
        stays. Safe while another process merges the same rows. Returns how many rows were written."""

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
class Page:
    """A page of a day's listing: the address that was asked, the whole body as it came, and what is read in it.

    `records` are those that could be read, `rejected` the texts of the others, each with the reason. `count` is how
    many the page has, and `understood` how many of them are highlights. `notes` are sentences about what else was odd.
    `total` is the announced number of records (None: not announced). `restriction` is the answer's own sentence where
    the plan withholds something; `plan` is the plan's tier. `error` is a sentence where the body says that it is an
    error, or its end is missing (`cut`). The quota counts requests a day; `seconds` is how long the answer took.
    """

    address: str
    body: dict[str, Any]
    records: list[Any]
    rejected: list[tuple[str, str]]
    notes: list[str]
    count: int
    understood: int
    total: int | None
    tells_pagination: bool
    restriction: str | None
    error: str | None
    cut: bool
    plan: str | None
    quota_limit: int | None
    quota_remaining: int | None
    seconds: float

    @property
    def unread(self) -> int:
        """How many of its records could not be read. One that is in `rejected` and named a field twice was."""
        return self.count - len(self.records)

    @property
    def listed(self) -> int:
        """How many highlights the day has by this page: as many as it announces, else as many as it holds, without
        those that cannot be understood. A page that holds none that can be lists none, whatever it announces."""
        return max(self.total or 0, self.count) - (self.count - self.understood) if self.understood else 0


class Source(ABC):
    """An API that lists a day's highlights, by modules: each sport is one, and a league may be listed by several.

    A day is a game day as `YYYY-MM-DD`. Every method raises `SourceError` with a sentence for a person where the API
    cannot be reached, refuses, or answers something that is no listing; `QuotaSpent` where no other day can be fetched
    either.
    """

    @property
    @abstractmethod
    def trusted_origin(self) -> tuple[str, int] | None:
        """The host and port whose videos may lie on this machine's loopback: those of the sample server. None for a
        real API, whose videos are never there."""

    @abstractmethod
    def fetch_day(self, day: str, module: str, *, first: Page | None = None) -> Fetch:
        """All of a day's records, page by page. `first` is a full first page that was asked for just before. Where a
        later page fails, the earlier ones are returned, and `Fetch.gaps` says so."""

    @abstractmethod
    def first_page(self, day: str, module: str, *, size: int = 40) -> Page:
        """A first page of a day, of at most so many records, by one request."""

    @abstractmethod
    def matches(self, day: str, module: str) -> Matches:
        """The day's matches, by at most two requests; none where this source has none to ask for."""


@dataclass(frozen=True)
class Candidate:
    """A highlight whose video is to be copied, the copies of it that the store has, and those that it has lost: their
    bytes go back to their keys, if they come. `perhaps` are those of `earlier` that its URL may still mean, because it
    differs in its query alone: the host is asked first."""

    highlight: Highlight
    earlier: tuple[CopiedVideo, ...] = ()
    lost: tuple[CopiedVideo, ...] = ()
    perhaps: tuple[CopiedVideo, ...] = ()


@dataclass(frozen=True)
class CopyPlan:
    """What to copy: all of `renewed`, which have or had copies (lost, at another URL now, or forced by a person); and
    the first `missing` of `fresh`, which have none, that keep their place (None: all of them).

    `leaves_its_place` says of an outcome whether the next of `fresh` is taken in its stead.
    """

    renewed: Sequence[Candidate]
    fresh: Sequence[Candidate]
    missing: int | None
    leaves_its_place: Callable[["CopyOutcome"], bool] = lambda outcome: (
        isinstance(outcome.result, VideoRefused) and not outcome.candidate.earlier
    )


@dataclass(frozen=True)
class CopyOutcome:
    """How one candidate ended: copied, not copyable, or failed for a passing reason; None where its URL only has
    another query and nothing is to be done."""

    candidate: Candidate
    result: CopiedVideo | VideoRefused | CopyFailed | None


class Copier(ABC):
    """Brings videos from the addresses that highlights name into the store, verified."""

    @property
    @abstractmethod
    def searched_pages(self) -> frozenset[str]:
        """The kinds of refused web pages (`VideoRefused.kind`) in which it looks for a video now; empty where every
        page is refused."""

    @abstractmethod
    def copy(
        self, day: str, plan: CopyPlan, *, before_commit: Callable[[], None] = lambda: None
    ) -> Generator[CopyOutcome, None, None]:
        """Carries out a plan, several copies at a time, and yields each outcome as soon as it is known, so that it can
        be recorded before the next.

        Nothing appears in the store before it is whole and shown to be a video. `before_commit` is called right before
        each copy appears and stops it by raising. A candidate that leaves its place is replaced by the next; one that
        failed for a passing reason keeps it, so that the next run takes it up and not a later one. A candidate whose
        bytes are those of an earlier or a lost copy yields that copy. One failure delays no other. Closing the
        generator ends what still runs and takes back what it had written; that is final for this copier.

        Raises:
            StoreError: the store failed.
            Exception: whatever `before_commit` raised.
        """


@dataclass(frozen=True)
class EncodeRequest:
    """One video to encode: the copy, and the keys that its output and its poster get. `force`: encode it anew, even if
    an encode of the same bytes exists."""

    video: CopiedVideo
    output_key: str
    poster_key: str
    force: bool = False


@dataclass(frozen=True)
class EncodeOutcome:
    """How one request ended: with a processed video, refused for good, or failed for a passing reason. `reused`:
    nothing was encoded, because an encode of the same bytes existed."""

    request: EncodeRequest
    result: ProcessedVideo | EncodeRefused | EncodeFailed
    reused: bool = False


class Transcoder(ABC):
    """Turns copied videos into web-ready MP4s and posters."""

    @abstractmethod
    def settings_hash(self) -> str:
        """Identifies the encoding settings: an output that was made with others is made anew."""

    @abstractmethod
    def encode(
        self, requests: Sequence[EncodeRequest], *, before_commit: Callable[[], None] = lambda: None
    ) -> Generator[EncodeOutcome, None, None]:
        """Encodes all requests, several at a time, and yields each outcome as soon as it is known, so that it can be
        recorded before the next. One failure delays no other. Closing the generator ends what still runs.

        `before_commit` is called before an output is published, and may stop it by raising.
        """
