"""The embedded backend: a folder, a SQLite file in it, and ffmpeg. A product, not a mock: a person without any account
keeps a real archive with it, and can read every part of it with everyday tools.
"""

import contextlib
import errno
import hashlib
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NoReturn
from uuid import uuid4

import filelock

from ncaa_assets import json_text
from ncaa_assets.backends.base import (
    EncodeOutcome,
    EncodeRequest,
    Expect,
    HighlightTable,
    MergeRow,
    ObjectInfo,
    ObjectStore,
    Row,
    Transcoder,
    Upload,
)
from ncaa_assets.encoding import Profile, ffmpeg_arguments, ffmpeg_poster_arguments, ffmpeg_settings_hash
from ncaa_assets.failures import BackupError, EncodeFailed, ObjectMissing, RunEnded, StoreError, WriteConflict
from ncaa_assets.isobmff import Movie, NotWhole, read_movie
from ncaa_assets.models import Poster, ProcessedVideo, now

log = logging.getLogger(__name__)

_WRITE_BACK = 8 * 1024**2  # bytes of an upload between two nudges to write them to the disk


class LocalStore(ObjectStore):
    """Objects as files below one folder.

    A version is the sha256 of the content. Whole-or-absent comes from a temporary file in `.tmp/` that is renamed; a
    replaced document moves to `.history/<name>/<time>.json`. A lock file makes conditional writes safe between
    processes; the operating system frees it when its holder dies.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.abspath(root))  # noqa: PTH100 - `absolute` keeps a `..`, and keys are checked against it

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
    ) -> str:
        del content_type  # a file's is its ending
        path = self.path(key)
        with self._writing(key), self._locked():
            before = path.read_bytes() if path.exists() else None
            self._check(key, before, expect)
            if before == data:
                return _version(data)
            with self._temporary(key) as (temporary, file):
                file.write(data)
                self._sync(file)
                if before is not None and keep_replaced and not key.startswith("."):
                    self._keep_history(key, path)
                self._rename(temporary, path)
        return _version(data)

    def upload(self, key: str, *, content_type: str, provisional: bool = False) -> Upload:
        del content_type, provisional  # every upload is a temporary file until its commit
        with self._writing(key):
            return _LocalUpload(self, key)

    @contextmanager
    def download(self, key: str) -> Iterator[BinaryIO]:
        with self._reading(key):
            file = self.path(key).open("rb")
        with file:
            yield file

    def info(self, key: str) -> ObjectInfo | None:
        try:
            with self._reading(key):
                return _info(key, self.path(key))
        except ObjectMissing:
            return None

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        with self._reading(prefix):
            yield from self._walk(prefix.rpartition("/")[0], prefix)

    def delete(self, key: str, *, expect: str | Expect = Expect.ANYTHING) -> None:
        path = self.path(key)
        with self._writing(key), self._locked():
            before = path.read_bytes() if expect is not Expect.ANYTHING and path.exists() else None
            self._check(key, before, expect)
            path.unlink(missing_ok=True)

    def sweep(self, day: str) -> None:
        with self._writing(day), self._locked():
            # Documents and leases are written under the lock that is held here, so theirs are nobody's any more.
            for path in (self.root / ".tmp").glob("*"):
                parts = path.name.lstrip(".").split(".")  # the key's, as `scratch` joins them
                if parts[1:2] == [day] or parts[:2] == ["archive", "json"]:
                    path.unlink(missing_ok=True)

    def uri(self, key: str) -> str:
        return str(self.path(key))

    def path(self, key: str) -> Path:
        """The file of a key. Keys are ours, never a stranger's; one that would leave the folder is a defect."""
        path = self.root / key
        if path != Path(os.path.normpath(path)) or self.root not in path.parents:
            raise ValueError(f"no key of this store: {key!r}")
        return path

    def scratch(self, key: str) -> Path:
        """A new path under `.tmp/` for a tool that writes files by name; `adopt` turns it into an object."""
        self.path(key)  # a key that is none is refused before anything is written
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

    def _walk(self, folder: str, prefix: str) -> Iterator[ObjectInfo]:
        """The objects of a folder in the order of their keys: a folder's name sorts with the `/` that follows it."""
        try:
            with os.scandir(self.root / folder) as entries:
                found = sorted(
                    (f"{folder}/" if folder else "") + entry.name + "/" * entry.is_dir(follow_symlinks=False)
                    for entry in entries
                    if not entry.name.startswith((".", SQLITE_NAME))
                )
        except FileNotFoundError:
            return
        for key in found:
            if key.endswith("/") and (key.startswith(prefix) or prefix.startswith(key)):
                yield from self._walk(key.rstrip("/"), prefix)
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
            path.unlink(missing_ok=True)  # renamed: nothing is left to remove

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            with filelock.FileLock(self.root / ".lock", timeout=30):
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
            _explain(error, self.root, key)

    @contextmanager
    def _writing(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            _explain(error, self.root, key)

    @staticmethod
    def _check(key: str, before: bytes | None, expect: str | Expect) -> None:
        if expect is Expect.ANYTHING:
            return
        found = Expect.NOTHING if before is None else _version(before)
        if found != expect:
            raise WriteConflict(f"{key} was changed by another run in the meantime; run the day again")

    def _keep_history(self, key: str, path: Path) -> None:
        folder = self.root / ".history" / Path(key).with_suffix("")
        folder.mkdir(parents=True, exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H%M%S.%fZ")
        kept = folder / f"{stamp}{path.suffix}"
        try:
            os.link(path, kept)
        except OSError:
            shutil.copy2(path, kept)  # exFAT and many network folders have no hard links

    @staticmethod
    def _rename(temporary: Path, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @staticmethod
    def _sync(file: BinaryIO) -> None:
        file.flush()
        os.fsync(file.fileno())


class _LocalUpload(Upload):
    def __init__(self, store: LocalStore, key: str) -> None:
        self._store, self._key = store, key
        self._path = store.scratch(key)
        self._file = self._path.open("xb", buffering=0)  # pieces are large already
        self._size = self._on_its_way = 0

    def write(self, chunk: bytes) -> None:
        with self._store._writing(self._key):
            view = memoryview(chunk)
            while view:
                view = view[self._file.write(view) :]
            self._size += len(chunk)
            if self._size - self._on_its_way >= _WRITE_BACK:
                self._start_write_back()

    def _start_write_back(self) -> None:
        """Lets Linux write to the disk what came so far while more comes; without it everything waits for `commit`,
        whose sync took a quarter of a copy's time on a fast disk and would take most of it on a slow one."""
        if sys.platform == "linux":
            done, self._on_its_way = self._on_its_way, self._size
            os.posix_fadvise(self._file.fileno(), done, self._size - done, os.POSIX_FADV_DONTNEED)

    def commit(self, key: str | None = None) -> ObjectInfo:
        with self._store._writing(self._key):
            self._file.close()
        return self._store.adopt(self._path, key or self._key)

    def abort(self) -> None:
        with contextlib.suppress(OSError):  # a full disk cannot flush what is thrown away anyway
            self._file.close()
        self._path.unlink(missing_ok=True)


def _info(key: str, path: Path) -> ObjectInfo:
    stat = path.stat()
    return ObjectInfo(key=key, size=stat.st_size, version=f"{stat.st_mtime_ns}-{stat.st_size}")


def _version(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _explain(error: OSError, root: Path, key: str) -> NoReturn:
    """Turns an error of the file system into one that says what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        text = f"the disk that holds {root} is full; free some space, then run the day again (nothing was stored half)"
    elif error.errno == errno.EROFS:
        text = f"{root} is on a read-only file system; set DATA_DIR to a folder that can be written"
    elif isinstance(error, PermissionError):
        text = f"{error.filename or root} may not be written or read by this user; mend its permissions or set DATA_DIR"
    elif error.errno == errno.EXDEV:
        text = f"parts of {root} lie on another disk; move the whole folder there and set DATA_DIR to it"
    elif isinstance(error, NotADirectoryError | FileExistsError):
        text = f"{root} is not a folder; set DATA_DIR to one"
    else:
        text = f"{root / key} cannot be used: {error.strerror or error}"
    raise StoreError(text) from error


SQLITE_NAME = "highlights.sqlite"

_BATCH = 500  # SQLite allowed 999 parameters before 3.32

# `item` is the whole row as JSON; the other columns are read out of it, so that a person's SELECT finds them.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS highlights (
    id TEXT PRIMARY KEY,
    game_date TEXT NOT NULL,
    item TEXT NOT NULL,
    title TEXT GENERATED ALWAYS AS (json_extract(item, '$.title')) VIRTUAL,
    url TEXT GENERATED ALWAYS AS (json_extract(item, '$.url')) VIRTUAL,
    type TEXT GENERATED ALWAYS AS (json_extract(item, '$.type')) VIRTUAL,
    source TEXT GENERATED ALWAYS AS (json_extract(item, '$.source')) VIRTUAL,
    days TEXT GENERATED ALWAYS AS (json_extract(item, '$.days')) VIRTUAL,
    fetch_date TEXT GENERATED ALWAYS AS (json_extract(item, '$.fetch_date')) VIRTUAL,
    first_seen TEXT GENERATED ALWAYS AS (json_extract(item, '$.first_seen')) VIRTUAL,
    last_seen TEXT GENERATED ALWAYS AS (json_extract(item, '$.last_seen')) VIRTUAL,
    removed_upstream TEXT GENERATED ALWAYS AS (json_extract(item, '$.removed_upstream')) VIRTUAL,
    content_hash TEXT GENERATED ALWAYS AS (json_extract(item, '$.content_hash')) VIRTUAL
);
CREATE INDEX IF NOT EXISTS by_game_date ON highlights (game_date, id);
"""


class SqliteTable(HighlightTable):
    """Rows in one SQLite file: write-ahead log, a busy timeout of 30 s, each merge one transaction."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    def merge(self, rows: Iterable[Row], merge: MergeRow) -> int:
        waiting = iter(rows)
        written: set[str] = set()
        with self._transaction() as connection:
            while batch := list(islice(waiting, _BATCH)):  # a season's rows need not be in memory at once
                present = self._get(connection, list({row["id"]: None for row in batch}))
                changed: dict[str, Row] = {}
                for row in batch:  # one after the other: two of them may have the same id
                    if (merged := merge(present.get(row["id"]), row)) is not None:
                        present[row["id"]] = changed[row["id"]] = merged
                connection.executemany(
                    "INSERT INTO highlights (id, game_date, item) VALUES (?, ?, ?) "
                    "ON CONFLICT (id) DO UPDATE SET game_date = excluded.game_date, item = excluded.item",
                    ((row["id"], row["game_date"], json_text.dumps(row).decode()) for row in changed.values()),
                )
                written |= changed.keys()
        return len(written)

    def get(self, ids: Sequence[str]) -> dict[str, Row]:
        with self._connection() as connection:
            return self._get(connection, ids)

    def day(self, game_date: str) -> list[Row]:
        with self._connection() as connection:
            found = connection.execute("SELECT item FROM highlights WHERE game_date = ? ORDER BY id", (game_date,))
            return [self._row(item) for (item,) in found]

    def uri(self) -> str:
        return str(self.path)

    def _get(self, connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, Row]:
        rows: dict[str, Row] = {}
        for start in range(0, len(ids), _BATCH):
            some = ids[start : start + _BATCH]
            marks = ",".join("?" * len(some))
            found = connection.execute(f"SELECT id, item FROM highlights WHERE id IN ({marks})", some)  # noqa: S608
            rows.update((key, self._row(item)) for key, item in found)
        return rows

    def _row(self, item: str) -> Row:
        try:
            row = json_text.loads(item)
        except ValueError as error:
            raise StoreError(
                f"a row of {self.path} was edited into what is no JSON ({error}); delete those for which "
                "json_valid(item) is 0, then run their days again, which writes them anew"
            ) from error
        return row if isinstance(row, dict) else {}

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
            try:
                # Of several processes that switch a new file to its log at once, some are told that it is locked,
                # whatever their timeout: one at a time, and nobody looks at it before it is switched.
                with filelock.FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=30):
                    connection.execute("PRAGMA journal_mode = WAL")
                    connection.executescript(_SCHEMA)
                connection.execute("PRAGMA synchronous = FULL")
                yield connection
            finally:
                connection.close()
        except OSError as error:
            _explain(error, self.path.parent, self.path.name)
        except (sqlite3.Error, filelock.Timeout) as error:
            raise StoreError(
                f"the table {self.path} cannot be used ({error}); see that its disk has space and may be written, "
                "then run the day again. Its rows can always be made again from the JSON"
            ) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise


def ffmpeg_program() -> str:
    """The path of the ffmpeg that the `imageio-ffmpeg` wheel carries, or that `IMAGEIO_FFMPEG_EXE` names.

    Raises:
        EncodeFailed: there is none, or it does not start.
    """
    try:
        import imageio_ffmpeg  # noqa: PLC0415 - only encoding needs it, and an aws image is without

        program: str = imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        program = ""
    if not program or shutil.which(program) is None:
        raise EncodeFailed(
            "there is no ffmpeg: install it with `pip install 'ncaa-assets[local]'`, or set IMAGEIO_FFMPEG_EXE to the "
            "path of one"
        )
    return program


class FfmpegTranscoder(Transcoder):
    """Encodes with ffmpeg, `concurrency` files at a time, from and to a LocalStore."""

    def __init__(self, store: LocalStore, profile: Profile, *, concurrency: int, timeout: float) -> None:
        self._store, self._profile = store, profile
        self._concurrency, self._timeout = concurrency, timeout
        self._ending = threading.Event()
        self._running: set[subprocess.Popen[bytes]] = set()

    def settings_hash(self) -> str:
        return ffmpeg_settings_hash(self._profile)

    def encode(self, requests: Sequence[EncodeRequest]) -> Generator[EncodeOutcome, None, None]:
        if not requests:
            return
        program = ffmpeg_program()
        self._ending.clear()
        with ThreadPoolExecutor(self._concurrency, "encode") as pool:
            futures: dict[Future[ProcessedVideo], EncodeRequest] = {
                pool.submit(self._encode, program, request): request for request in requests
            }
            try:
                for future in as_completed(futures):
                    yield EncodeOutcome(futures[future], _result(future))
            finally:
                self._ending.set()
                pool.shutdown(wait=False, cancel_futures=True)
                for process in list(self._running):
                    process.kill()

    def _encode(self, program: str, request: EncodeRequest) -> ProcessedVideo:
        started = time.monotonic()
        video = request.video
        source = self._store.path(video.key)
        output, poster = self._store.scratch(request.output_key), self._store.scratch(request.poster_key)
        try:
            height = _read_movie(source)[0].height if video.container in ("mp4", "mov") else None
            self._run(program, ffmpeg_arguments(self._profile, source, output, source_height=height), video.id,
                      seconds=video.duration_seconds)  # fmt: skip
            movie, digest = _read_movie(output)
            self._make_poster(program, output, poster, video.id, seconds=movie.duration_seconds or 0.0)
            stored_poster = self._store.adopt(poster, request.poster_key)
            stored = self._store.adopt(output, request.output_key)
        finally:
            output.unlink(missing_ok=True)
            poster.unlink(missing_ok=True)
        return ProcessedVideo(
            id=video.id,
            title=video.title,
            source_key=video.key,
            source_sha256=video.sha256,
            settings_hash=self.settings_hash(),
            key=stored.key,
            bytes=stored.size,
            sha256=digest,
            duration_seconds=movie.duration_seconds,
            width=movie.width,
            height=movie.height,
            poster=Poster(key=stored_poster.key, bytes=stored_poster.size),
            encoder="ffmpeg",
            encode_seconds=round(time.monotonic() - started, 2),
            encoded_at=now(),
        )

    def _make_poster(self, program: str, output: Path, poster: Path, name: str, *, seconds: float) -> None:
        # A picture that stands still under its sound has one frame, and that at the very start.
        for at in (min(1.0, seconds / 2), 0.0):
            try:
                self._run(program, ffmpeg_poster_arguments(self._profile, output, poster, at_seconds=at), name)
            except EncodeFailed:
                if at == 0.0:
                    raise
            if poster.exists() and poster.stat().st_size:
                return
        raise EncodeFailed(f"ffmpeg made no poster of {name}")

    def _run(self, program: str, arguments: list[str], name: str, *, seconds: float | None = None) -> None:
        """Runs ffmpeg to its end, saying every ten seconds how far it is."""
        # A session of its own: Ctrl-C in the terminal must not make ffmpeg finish a short file that looks whole.
        process = subprocess.Popen(  # noqa: S603
            [program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        self._running.add(process)
        if self._ending.is_set():
            process.kill()
        timer = threading.Timer(self._timeout, process.kill)
        timer.start()
        started = said = time.monotonic()
        errors = bytearray()
        reader = threading.Thread(target=lambda: errors.extend(process.stderr.read() if process.stderr else b""))
        reader.start()
        try:
            assert process.stdout is not None  # noqa: S101 - a pipe, as asked for above
            for line in process.stdout:
                name_, _, value = line.decode("ascii", "replace").strip().partition("=")
                if name_ == "out_time_us" and value.isdigit() and time.monotonic() - said >= 10:
                    said = time.monotonic()
                    done = int(value) / 1e6
                    share = f"{min(99, 100 * done / seconds):.0f} %" if seconds else f"{done:.0f} s of video"
                    log.info("encoding %s: %s after %.0f s", name, share, said - started)
            code = process.wait()
        finally:
            timer.cancel()
            process.kill()
            process.wait()
            reader.join()
            self._running.discard(process)
        if self._ending.is_set():
            raise RunEnded("the run was ended")
        if code and time.monotonic() - started >= self._timeout:
            raise EncodeFailed(
                f"encoding took longer than ENCODE_TIMEOUT ({self._timeout:.0f} s) and was ended; set it higher, "
                "then run the day again"
            )
        if code:
            last = errors.decode("utf-8", "replace").strip().splitlines() or ["no message"]
            if "No space left on device" in errors.decode("utf-8", "replace"):
                raise EncodeFailed(
                    f"the disk that holds {self._store.root} is full; free some space, then run the day again"
                )
            raise EncodeFailed(f"ffmpeg cannot encode it ({last[-1][:300]})")


def _result(future: Future[ProcessedVideo]) -> ProcessedVideo | EncodeFailed:
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, BackupError | OSError | NotWhole):
        return error if isinstance(error, EncodeFailed) else EncodeFailed(str(error))
    raise error


def _read_movie(path: Path) -> tuple[Movie, str]:
    with path.open("rb") as file:
        return read_movie(file)
