"""An archive in a folder. A product, not a mock: a person without any account keeps a real archive in it, and can read
every part of it with everyday tools.
"""

import contextlib
import errno
import hashlib
import logging
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import MAXYEAR, UTC, datetime, timedelta
from functools import partial
from pathlib import Path, PurePath
from typing import BinaryIO, NoReturn
from uuid import uuid4

import filelock

from ncaa_assets.failures import ObjectMissing, Shortage, StoreError, WriteConflict, explained
from ncaa_assets.ports import Expect, ObjectInfo, ObjectStore, Upload, Version, bytes_of

log = logging.getLogger(__name__)

SQLITE_NAME = "highlights.sqlite"  # the table's file lies in the folder too, and is no object

STAMP, MOMENT = "%Y-%m-%dT%H%M%S.%fZ", timedelta(microseconds=1)  # the name of a version in `.history/`
_WRITE_BACK = 8 * 1024**2  # bytes of an upload between two nudges to write them to the disk


class LocalStore(ObjectStore):
    """Objects as files below one folder.

    A version is the sha256 of the content. Each object is written to a temporary file in `.tmp/` and renamed, so it is
    there whole or not at all. A replaced document is kept as `.history/<name>/<time>.json`. A lock file makes
    conditional writes safe between processes; the operating system frees it when its holder dies.
    """

    requests_at_once = 1  # a disk answers no sooner for being asked by several threads of one Python

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.abspath(root))  # noqa: PTH100 - `absolute` keeps a `..`, and keys are checked against it
        self._threads = threading.Lock()
        self._not_synced: list[Path] = []

    def read(self, key: str) -> tuple[bytes, str]:
        with self._reading(key):
            data = self.path(key).read_bytes()
        return data, _version(data)

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
        del content_type  # a file's is its ending
        path = self.path(key)
        with self._writing(key), self._locked():
            if durable:
                self._sync_earlier()
            before = path.read_bytes() if path.exists() else None
            self._check(key, before, expect)
            if before == data:
                return _version(data)
            with self._temporary(key) as (temporary, file):
                file.write(data)
                if durable:
                    self._sync(file)
                if before is not None and keep_replaced and not key.startswith("."):
                    self._keep_history(key, path)
                self._rename(temporary, path, durable=durable)
        return _version(data)

    def upload(self, key: str, *, content_type: str, provisional: bool = False) -> Upload:
        del content_type  # a file's is its ending
        with self._writing(key):
            return _LocalUpload(self, key, is_provisional=provisional)

    def copy(self, source: str, target: str) -> ObjectInfo:
        temporary = self.scratch(target)
        try:
            with self._reading(source):
                try:
                    os.link(self.path(source), temporary)
                except FileNotFoundError:
                    raise
                except OSError:
                    shutil.copyfile(self.path(source), temporary)  # exFAT and many network folders have no hard links
            return self.adopt(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)  # a rename onto a link to the same file leaves both

    @contextmanager
    def download(self, key: str) -> Iterator[BinaryIO]:
        with self._reading(key):
            file = self.path(key).open("rb")
        with file:
            yield file

    open_seekable = download

    def info(self, key: str) -> ObjectInfo | None:
        try:
            with self._reading(key):
                info = _info(key, self.path(key))
                return info if self.path(key).is_file() else None
        except ObjectMissing:
            return None

    def list(self, prefix: str, *, below: bool = True) -> Iterator[ObjectInfo]:
        with self._reading(prefix):
            yield from self._walk(prefix.rpartition("/")[0], prefix, below=below)

    def versions(self, prefix: str) -> Iterator[Version]:
        with self._reading(prefix):
            keys = {info.key for info in self.list(prefix) if info.key.endswith(".json")}
            kept = (self.root / ".history").rglob("*.json")
            history: dict[str, list[Path]] = {}
            for path in kept:
                key = f"{path.parent.relative_to(self.root / '.history').as_posix()}.json"
                if key.startswith(prefix) and time_of(path) is not None:
                    history.setdefault(key, []).append(path)
        for key in sorted({*keys, *history}):
            yield from versions_of(
                key,
                [(time_of(path), path.read_bytes) for path in sorted(history.get(key, []))],
                partial(bytes_of, self, key) if key in keys else None,
            )

    def delete(self, key: str, *, expect: str | Expect = Expect.ANYTHING) -> None:
        path = self.path(key)
        with self._writing(key), self._locked():
            before = path.read_bytes() if expect is not Expect.ANYTHING and path.exists() else None
            self._check(key, before, expect)
            path.unlink(missing_ok=True)

    def sweep(self, day: str) -> None:
        with self._writing(day), self._locked():
            # Whoever writes a document or housekeeping holds this lock, so the temporary files of those have no writer
            # now.
            for path in (self.root / ".tmp").glob("*"):
                parts = path.name.lstrip(".").split(".")  # the key's, as `scratch` joins them
                if parts[1:2] == [day] or parts[:2] == ["archive", "json"] or parts[0] in ("quota", "ranges"):
                    path.unlink(missing_ok=True)

    def uri(self, key: str) -> str:
        return str(self.path(key))

    def path(self, key: str) -> Path:
        """The file of a key. Keys are made by this program, never by a stranger; one that leaves the folder is a
        defect."""
        path = self.root / key
        if path != Path(os.path.normpath(path)) or self.root not in path.parents:
            raise ValueError(f"no key of this store: {key!r}")
        return path

    def scratch(self, key: str) -> Path:
        """A new path under `.tmp/` for a tool that writes files by name; `adopt` turns it into an object."""
        self.path(key)  # refuses a wrong key before anything is written
        with self._writing(key):
            folder = self.root / ".tmp"
            folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{key.replace('/', '.')}.{uuid4().hex[:12]}"

    def adopt(self, path: Path, key: str) -> ObjectInfo:
        """Makes a file from `scratch` the object `key`, whole."""
        with self._writing(key):
            with path.open("rb+") as file:
                self._sync(file)
            self._rename(path, self.path(key))
            return _info(key, self.path(key))

    def _walk(self, folder: str, prefix: str, *, below: bool) -> Iterator[ObjectInfo]:
        """The objects of a folder in the order of their keys, for which a folder's name ends with its `/`."""
        try:
            with os.scandir(self.root / folder) as entries:
                keys = sorted(
                    (f"{folder}/" if folder else "") + entry.name + "/" * entry.is_dir(follow_symlinks=False)
                    for entry in entries
                    if not entry.name.startswith((".", SQLITE_NAME))
                )
        except FileNotFoundError:
            return
        for key in keys:
            if below and key.endswith("/") and (key.startswith(prefix) or prefix.startswith(key)):
                yield from self._walk(key.rstrip("/"), prefix, below=True)
            elif not key.endswith("/") and key.startswith(prefix):
                with contextlib.suppress(FileNotFoundError):  # deleted since the folder was read
                    yield _info(key, self.root / key)

    @contextmanager
    def _temporary(self, key: str) -> Iterator[tuple[Path, BinaryIO]]:
        path = self.scratch(key)
        try:
            with path.open("xb") as file:
                yield path, file
        finally:
            path.unlink(missing_ok=True)  # after a rename nothing is left here

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            # Between processes a lock is waited for by looking now and then; threads of one wait for each other.
            with self._threads, filelock.FileLock(self.root / ".lock", timeout=30):
                yield
        except filelock.Timeout:
            raise StoreError(
                f"another process has kept {self.root / '.lock'} locked for 30 s; see what hangs there, then try again"
            ) from None

    @contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise ObjectMissing(f"there is no {self.root / key}") from error
        except OSError as error:
            explain(error, self.root, key)

    @contextmanager
    def _writing(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            explain(error, self.root, key)

    @staticmethod
    def _check(key: str, before: bytes | None, expect: str | Expect) -> None:
        if expect is Expect.ANYTHING:
            return
        actual = Expect.NOTHING if before is None else _version(before)
        if actual != expect:
            raise WriteConflict(f"{key} was changed by another run in the meantime; run the day again")

    def _keep_history(self, key: str, path: Path) -> None:
        """Keeps a document that is about to be replaced. Whatever the clock says, no earlier version is overwritten,
        and the names of a document's versions sort in the order in which they were replaced."""
        folder = self.root / ".history" / Path(key).with_suffix("")
        folder.mkdir(parents=True, exist_ok=True)
        earlier = (time_of(version) for version in folder.glob(f"*{path.suffix}"))
        replaced_at = max([datetime.now(UTC), *(time + MOMENT for time in earlier if time is not None)])
        while not self._keep_as(folder / f"{replaced_at.strftime(STAMP)}{path.suffix}", key, path):
            replaced_at += MOMENT
        _sync_folder(folder)

    def _keep_as(self, kept: Path, key: str, path: Path) -> bool:
        """Makes `kept` another name of a document, or a copy of it; False where something has that name already."""
        try:
            os.link(path, kept)
        except FileExistsError:
            return False
        except OSError:  # exFAT and many network folders have no hard links
            if os.path.lexists(kept):  # nobody else makes it from here on: whoever keeps a version holds the lock
                return False
            with self._temporary(key) as (temporary, file):
                file.write(path.read_bytes())
                self._sync(file)
                temporary.replace(kept)
        return True

    def _rename(self, temporary: Path, path: Path, *, durable: bool = True) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(path)
        if durable:
            _sync_folder(path.parent)
        else:
            self._not_synced.append(path)

    def _sync_earlier(self) -> None:
        """Waits for the disk to have what was written without waiting: once for many files, because most of them are
        on their way by then. Eighty pages took 0.3 s to sync one by one, 0.04 s together (measured)."""
        paths, self._not_synced = self._not_synced, []
        for path in paths:
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:  # deleted since
                os.fsync(file.fileno())
        for folder in {path.parent for path in paths}:
            with contextlib.suppress(FileNotFoundError):
                _sync_folder(folder)

    @staticmethod
    def _sync(file: BinaryIO) -> None:
        file.flush()
        os.fsync(file.fileno())


class _LocalUpload(Upload):
    """A temporary file until its commit, which renames it."""

    def __init__(self, store: LocalStore, key: str, *, is_provisional: bool) -> None:
        self._store, self._key, self._is_provisional = store, key, is_provisional
        self._is_sealed = False
        self._path = store.scratch(key)
        self._file = self._path.open("xb", buffering=0)  # pieces are large already
        self._size = self._on_its_way = 0

    def write(self, chunk: bytes) -> None:
        if self._is_sealed:
            raise ValueError(f"the upload of {self._key} was read already, and takes no more")
        with self._store._writing(self._key):
            view = memoryview(chunk)
            while view:
                view = view[self._file.write(view) :]
            self._size += len(chunk)
            if self._size - self._on_its_way >= _WRITE_BACK:
                self._start_write_back()

    def _start_write_back(self) -> None:
        """Has Linux write to the disk what came so far, while more comes. Without it the sync in `commit` has
        everything to write: a quarter of a copy's time on a fast disk (measured), most of it on a slow one."""
        if sys.platform == "linux":
            done, self._on_its_way = self._on_its_way, self._size
            os.posix_fadvise(self._file.fileno(), done, self._size - done, os.POSIX_FADV_DONTNEED)

    @contextmanager
    def reader(self) -> Iterator[BinaryIO]:
        self._is_sealed = True
        with self._store._reading(self._key):
            file = self._path.open("rb")
        with file:
            yield file

    @property
    def has_all(self) -> bool:
        return True

    def commit(self, key: str | None = None) -> ObjectInfo:
        if key is not None and key != self._key and not self._is_provisional:
            raise ValueError(f"the upload of {self._key} was not opened as provisional")
        with self._store._writing(self._key):
            self._file.close()
        return self._store.adopt(self._path, key or self._key)

    def abort(self) -> None:
        with contextlib.suppress(OSError):  # a full disk cannot flush what is thrown away anyway
            self._file.close()
        self._path.unlink(missing_ok=True)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def time_of(version: PurePath) -> datetime | None:
    """When a kept version was replaced, by its name; None for another file."""
    try:
        time = datetime.strptime(version.stem, STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None
    return time if time.year < MAXYEAR else None  # a file that somebody put there; nothing can be named after it


def versions_of(
    key: str, replaced: Sequence[tuple[datetime | None, Callable[[], bytes]]], current: Callable[[], bytes] | None
) -> Iterator[Version]:
    """The versions of a document, of which `.history/` has those that were replaced: when, and what gives their bytes.
    The oldest first; when the first was written is not known."""
    since: datetime | None = None
    for until, read in replaced:
        yield Version(key, since, until, read)
        since = until
    if current is not None:
        yield Version(key, since, None, current)


def _info(key: str, path: Path) -> ObjectInfo:
    stat = path.stat()
    return ObjectInfo(key=key, size=stat.st_size, version=f"{stat.st_mtime_ns}-{stat.st_size}")


def _version(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def explain(error: OSError, root: Path, key: str) -> NoReturn:
    """Raises an error of the file system as one that says what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        text = f"the disk that holds {root} is full; free some space, then run the day again (nothing was stored half)"
    elif error.errno == errno.EROFS:
        text = f"{root} is on a read-only file system; set DATA_DIR to a folder that can be written"
    elif isinstance(error, PermissionError):
        text = f"{error.filename or root} may not be written or read by this user; mend its permissions or set DATA_DIR"
    elif error.errno == errno.EXDEV:
        text = f"parts of {root} lie on another disk; move the whole folder there and set DATA_DIR to it"
    elif isinstance(error, NotADirectoryError | FileExistsError) and not root.is_dir():
        text = f"{root} is not a folder; set DATA_DIR to one"
    elif isinstance(shortage := explained(error), Shortage):
        raise shortage from error
    else:
        text = f"{root / key} cannot be used: {error.strerror or error}"
    raise StoreError(text) from error
