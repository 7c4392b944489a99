"""Where restored files go: a folder, or a store of objects. A file is there whole, with the bytes that were recorded,
or not at all; and what somebody else wrote is never overwritten.

In a folder, `SHA256SUMS` notes what a restore wrote, for `sha256sum -c`. So a restore that is run again reads nothing
of what is whole, and may replace what it wrote itself where the archive has something newer.
"""

import errno
import hashlib
import mimetypes
import os
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Set
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Self
from uuid import uuid4

import filelock

from ncaa_assets.archive.documents import KINDS
from ncaa_assets.archive.identity import IDENTITY_KEY
from ncaa_assets.archive.sums import SUMS, sums_in, sums_line
from ncaa_assets.failures import BackupError, ObjectMissing, SettingsError, StoreError, WriteConflict
from ncaa_assets.ports import Expect, ObjectStore, Upload
from ncaa_assets.text import visible

_CHUNK = 256 * 1024  # bytes; of more, the system makes new pages each time, which takes longer than the copy (measured)
_DOCUMENTS = ("documents/", IDENTITY_KEY, *(f"{kind.asset}/" for kind in KINDS))
_WRITE_BACK = 8 * 1024**2


class Put(Enum):
    """What became of a file: it was written, or it was there already."""

    WRITTEN = auto()
    THERE = auto()


class NotAsRecorded(BackupError):
    """The archive's bytes are not those that were recorded, so no file was made of them."""


class Differs(BackupError):
    """Another file is there under this name; it was left as it is."""


class TargetUnusable(BackupError):
    """No file can be written, whichever it is."""


@dataclass(frozen=True)
class Piece:
    """One file to restore.

    `path` is where it goes, with slashes; `key` is what it is made of in the archive. `size` in bytes and `sha256` are
    those that were recorded (None: not recorded). `open` gives its bytes.
    """

    path: str
    key: str
    size: int | None
    sha256: str | None
    open: Callable[[], AbstractContextManager[BinaryIO]]


class Target(ABC):
    """Where files go: so many `at_once`, each by a thread. A context manager: left, everything is written."""

    at_once = 2  # an upload holds 18 MB (backends/aws/s3.py)

    @abstractmethod
    def put(self, piece: Piece, *, replaces: Set[str] = frozenset()) -> Put:
        """Makes a file. One that is there may be replaced where its sha256 is one of `replaces`.

        Raises:
            NotAsRecorded: what the archive has is not what was recorded.
            Differs: another file is there.
            StoreError: the archive cannot be read here.
            TargetUnusable: nothing can be written.
        """

    @abstractmethod
    def download(self, path: str) -> AbstractContextManager[BinaryIO]:
        """Opens a file that is there, as `ObjectStore.download` opens an object.

        Raises:
            ObjectMissing: there is no such file.
        """

    @abstractmethod
    def uri(self, path: str) -> str:
        """Where a person finds a file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None: ...


class Folder(Target):
    """A folder, which one restore at a time writes to.

    Its lock and the folder of what is not whole yet are those of an archive in a folder (`backends/local/store.py`), so
    no backup writes to it meanwhile either.

    Raises:
        SettingsError: another process is writing there, or the sums there are somebody else's.
        TargetUnusable: it cannot be written.
    """

    at_once = min(4, os.cpu_count() or 1)  # hashing is most of the work

    def __init__(self, root: Path) -> None:
        self._noting = threading.Lock()
        self.root = Path(os.path.abspath(root))  # noqa: PTH100 - as the local store's
        self._under_way = self.root / ".tmp" / "restore"
        self._lock = filelock.FileLock(self.root / ".lock")
        with self.writing():
            self._check_sums()
            self._under_way.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire(timeout=1)
            except filelock.Timeout:
                raise SettingsError(
                    f"another process is writing to {self.root}; wait for its end, then run it again"
                ) from None
            for left in self._under_way.iterdir():  # by one that was killed
                left.unlink()
            self._noted, is_cut = self._read_sums()
            self._sums = (self.root / SUMS).open("a", encoding="utf-8", newline="\n")
            self._sums.write("\n" if is_cut else "")

    def put(self, piece: Piece, *, replaces: Set[str] = frozenset()) -> Put:
        path, noted = self._path(piece.path), self._noted.get(piece.path, [])
        there: str | None = None
        with self.writing():
            if path.is_file() and not path.is_symlink():
                # Of several notes nobody knows which came true: a kill may have come before the file's rename.
                if piece.sha256 is not None and noted == [piece.sha256] and path.stat().st_size == piece.size:
                    return Put.THERE
                there = _sha256(path)
                if there == piece.sha256:
                    self._note(piece.path, there)
                    return Put.THERE
                if piece.sha256 is not None:
                    self._check_may_replace(path, there, noted, replaces)
            elif os.path.lexists(path):
                raise self._differs(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._temporary() as temporary:
                digest = self._copy(piece, temporary)
                if there == digest:
                    self._note(piece.path, digest)
                    return Put.THERE
                self._check_may_replace(path, there, noted, replaces)
                self._note(piece.path, digest)  # before it is there: whoever goes on after a kill knows it for its own
                temporary.replace(path)
        return Put.WRITTEN

    @contextmanager
    def download(self, path: str) -> Iterator[BinaryIO]:
        try:
            with self.writing():
                file = self._path(path).open("rb")
        except TargetUnusable as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise ObjectMissing(f"there is no {self.uri(path)}") from error
            raise
        with file:
            yield file

    def uri(self, path: str) -> str:
        return str(self._path(path))

    def close(self) -> None:
        with self.writing():
            self._sums.close()
            lines = [
                sums_line(path, sums[-1] if len(sums) == 1 else _sha256(self._path(path)))
                for path, sums in sorted(self._noted.items())
                if self._path(path).is_file()
            ]
            with self._temporary() as temporary:
                temporary.write_text("".join(lines), encoding="utf-8", newline="\n")
                os.sync()  # what SHA256SUMS says is on the disk before it says so
                temporary.replace(self.root / SUMS)
            for left in self._under_way.iterdir():
                left.unlink()
            self._under_way.rmdir()
            with suppress(OSError):  # something of somebody else's is in it
                self._under_way.parent.rmdir()
        self._lock.release()

    @property
    def scratch(self) -> Path:
        """A folder on the same disk for files in the making, which are removed in the end."""
        return self._under_way

    @contextmanager
    def _temporary(self) -> Iterator[Path]:
        path = self._under_way / uuid4().hex
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _copy(self, piece: Piece, path: Path) -> str:
        """Copies a piece to a file, and returns its sha256."""
        digest, count, on_its_way = hashlib.sha256(), 0, 0
        with piece.open() as source, path.open("wb", buffering=0) as file:
            while chunk := _read(source):
                digest.update(chunk)
                view = memoryview(chunk)
                while view:
                    view = view[file.write(view) :]
                count += len(chunk)
                if count - on_its_way >= _WRITE_BACK:
                    _start_write_back(file.fileno(), on_its_way, count)
                    on_its_way = count
            _start_write_back(file.fileno(), on_its_way, count)
        check_as_recorded(piece, count, digest.hexdigest())
        return digest.hexdigest()

    def _note(self, path: str, digest: str) -> None:
        with self._noting:
            noted = self._noted.setdefault(path, [])
            if digest not in noted[-1:]:
                noted.append(digest)
                self._sums.write(sums_line(path, digest))
                self._sums.flush()

    def _read_sums(self) -> tuple[dict[str, list[str]], bool]:
        """What is noted of each path, the latest last; and whether the last line is cut off, by a kill."""
        noted: dict[str, list[str]] = {}
        try:
            text = (self.root / SUMS).read_text("utf-8", errors="replace")
        except FileNotFoundError:
            return noted, False
        whole, end, cut = text.rpartition("\n")
        for path, digest in sums_in(whole + end):
            noted.setdefault(path, []).append(digest)
        return noted, bool(cut)

    def _check_sums(self) -> None:
        """What a restore noted has the archive's documents in it, in whatever layout; the sums of somebody else's tell
        nothing of who wrote the files.

        Raises:
            SettingsError: they are somebody else's.
        """
        place = self.root / SUMS
        noted, _ = self._read_sums()
        if place.is_symlink() or (noted and not any(path.startswith(_DOCUMENTS) for path in noted)):
            place_is = visible(place, most=300)
            raise SettingsError(f"{place_is} was not written by a restore; move it away, or choose another --dest")

    def _path(self, path: str) -> Path:
        return self.root / PurePosixPath(path)

    def _check_may_replace(self, path: Path, there: str | None, noted: list[str], replaces: Set[str]) -> None:
        if there is not None and there not in noted and there not in replaces:
            raise self._differs(path)

    def _differs(self, path: Path) -> Differs:
        return Differs(f"{visible(path, most=500)} is there with another content, which was left as it is")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Stands around whatever is written to the folder: an error of the disk is `TargetUnusable`."""
        try:
            yield
        except OSError as error:
            how = "free some of it" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "mend that"
            why = f"{error.strerror or error}; {how}, or choose another --dest"
            raise TargetUnusable(f"{visible(self.root, most=300)} cannot be written: {why}") from error


class Bucket(Target):
    """A store of objects, such as a bucket. What is there already is known by its size, and by its sha256 where the
    store keeps one; documents by their bytes."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def put(self, piece: Piece, *, replaces: Set[str] = frozenset()) -> Put:
        if piece.path.endswith(".json"):
            return self._put_document(piece, replaces)
        with self._errors():
            info = self._store.info(piece.path)
            there = None if info is None else self._store.checksum(piece.path)
        if info is not None and info.size == piece.size and (there is None or piece.sha256 in (None, there)):
            return Put.THERE
        if info is not None and (there or self._sha256(piece.path)) not in replaces:
            raise self._differs(piece.path)
        digest, count = hashlib.sha256(), 0
        content_type = mimetypes.guess_type(piece.path)[0] or "application/octet-stream"
        with piece.open() as source, self._upload(piece.path, content_type) as upload:
            while chunk := _read(source):
                digest.update(chunk)
                count += len(chunk)
                with self._errors():
                    upload.write(chunk)
            check_as_recorded(piece, count, digest.hexdigest())
            with self._errors():
                upload.commit()
        return Put.WRITTEN

    def _put_document(self, piece: Piece, replaces: Set[str]) -> Put:
        with piece.open() as source:
            data = source.read()
        digest = hashlib.sha256(data).hexdigest()
        check_as_recorded(piece, len(data), digest)
        with self._errors():
            there = expect = None
            with suppress(ObjectMissing):
                there, expect = self._store.read(piece.path)
            if there == data:
                return Put.THERE
            if there is not None and hashlib.sha256(there).hexdigest() not in replaces:
                raise self._differs(piece.path)
            try:
                self._store.write(piece.path, data, expect=expect or Expect.NOTHING)
            except WriteConflict as error:
                raise Differs(f"{self.uri(piece.path)} was written by somebody else meanwhile") from error
        return Put.WRITTEN

    @contextmanager
    def download(self, path: str) -> Iterator[BinaryIO]:
        with self._store.download(path) as file:
            yield file

    def uri(self, path: str) -> str:
        return self._store.uri(path)

    def close(self) -> None:
        """Everything was written when it was put."""

    @contextmanager
    def _upload(self, path: str, content_type: str) -> Iterator[Upload]:
        with self._errors():
            upload = self._store.upload(path, content_type=content_type)
        with upload:
            yield upload

    def _sha256(self, path: str) -> str:
        with self._errors(), self._store.download(path) as file:
            digest = hashlib.sha256()
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest()

    def _differs(self, path: str) -> Differs:
        return Differs(f"{self.uri(path)} is there with another content, which was left as it is")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Stands around every use of the target, whose failures are not the archive's."""
        try:
            yield
        except ObjectMissing:
            raise
        except StoreError as error:
            raise TargetUnusable(str(error)) from error


def check_as_recorded(piece: Piece, size: int, sha256: str) -> None:
    """Raises `NotAsRecorded` where bytes of this size and hash are not those of a piece."""
    if piece.size not in (None, size):
        raise NotAsRecorded(f"has {size} bytes, and {piece.size} were recorded")
    if piece.sha256 not in (None, sha256):
        raise NotAsRecorded("its bytes are not those that were recorded (another sha256)")


def _read(source: BinaryIO) -> bytes:
    try:
        return source.read(_CHUNK)
    except OSError as error:
        raise StoreError(f"is there and cannot be read ({error.strerror or error})") from error


def _start_write_back(file: int, start: int, end: int) -> None:
    """Has Linux write to the disk what came so far, while more comes: else the sync at the end has everything to do."""
    if sys.platform == "linux":
        os.posix_fadvise(file, start, end - start, os.POSIX_FADV_DONTNEED)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
