"""Where a place has the bytes of an object: under the object's key, at the top or beside the documents, under a
readable name that ends in the object's own, `… (105170).mp4`, or anywhere with the recorded sha256. Whatever is offered
is verified before it is stored."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import PurePosixPath

from ncaa_assets.archive.reconcile import is_whole_jpeg
from ncaa_assets.archive.sums import SUMS, sums_in
from ncaa_assets.backends.place import Place, PlaceFile
from ncaa_assets.failures import ObjectMissing
from ncaa_assets.media.containers import CONTENT_TYPES
from ncaa_assets.ports import ObjectStore

_MOST_SUMS = 256 * 1024**2
_CHUNK = 1024**2
_NAMED = re.compile(r"\(([^()/]+)\)[^()/]*?(\.[0-9A-Za-z]+)$")  # a library gives posters `-thumb` and the like


@dataclass(frozen=True)
class Wanted:
    """An object that a day's documents name, with the size and sha256 (None: not recorded) that they say it has; of a
    poster, which has no sha256, that it is a whole JPEG."""

    key: str
    size: int
    sha256: str | None
    is_jpeg: bool = False


class Files:
    """The files of a place, found for the objects of an archive whose documents are under `root` there."""

    def __init__(self, place: Place, root: str) -> None:
        self._place, self._root = place, root
        self._of_day: tuple[str, dict[str, list[PlaceFile]]] = "", {}
        self._anywhere: dict[object, list[PlaceFile]] | None = None
        self._sums: dict[str, list[str]] | None = None

    def candidates(self, day: str, wanted: Wanted) -> Iterator[PlaceFile]:
        """Files that may be the object, the likeliest first, all of the object's size."""
        seen: set[str] = set()
        for file in self._all(day, wanted):
            if file.path not in seen and file.size == wanted.size:
                seen.add(file.path)
                yield file

    def _all(self, day: str, wanted: Wanted) -> Iterator[PlaceFile]:
        for root in dict.fromkeys(("", self._root)):
            yield from filter(None, [self._place.info(root + wanted.key)])
        name = PurePosixPath(wanted.key).name
        if self._of_day[0] != day:
            self._of_day = day, _by_name(self._place.list(f"{day}/"))
        yield from self._of_day[1].get(name, [])
        for path in self._noted(wanted.sha256) if wanted.sha256 else []:
            yield from filter(None, [self._place.info(path)])
        if self._anywhere is None:  # thousands of files, so only where nothing else helped
            self._anywhere = defaultdict(list)
            for file in self._place.list():
                self._anywhere[file.size].append(file)
                if named := _named(file.path):
                    self._anywhere[named].append(file)
        yield from self._anywhere.get(name, [])
        if wanted.sha256 is not None:  # a size alone shows nothing
            yield from self._anywhere.get(wanted.size, [])

    def _noted(self, sha256: str) -> list[str]:
        if self._sums is None:
            self._sums = defaultdict(list)
            found = self._place.info(SUMS)
            if found is not None and (found.size or 0) <= _MOST_SUMS:
                with self._place.open(found) as file:
                    for path, digest in sums_in(file.read(_MOST_SUMS).decode("utf-8", "replace")):
                        self._sums[digest].append(path)
        return self._sums.get(sha256, [])


def _by_name(files: Iterator[PlaceFile]) -> dict[str, list[PlaceFile]]:
    found: dict[str, list[PlaceFile]] = defaultdict(list)
    for file in files:
        if named := _named(file.path):
            found[named].append(file)
    return found


def _named(path: str) -> str | None:
    """The name that an object has in its archive, by the end of a readable one."""
    found = _NAMED.search(path)
    return found[1] + found[2] if found else None


def take(
    place: Place,
    file: PlaceFile,
    store: ObjectStore,
    wanted: Wanted,
    *,
    before_commit: Callable[[], None],
    writes: bool,
    content_type: str | None = None,
) -> bool:
    """Stores a file as the object that is wanted, if it is that; False where its bytes are others.

    Raises:
        StoreError: it cannot be read, or the store failed.
    """
    digest, count, picture = hashlib.sha256(), 0, b""
    content_type = content_type or CONTENT_TYPES.get(wanted.key.rpartition(".")[2], "image/jpeg")
    try:
        with (
            place.open(file) as source,
            store.upload(wanted.key, content_type=content_type) if writes else nullcontext() as upload,
        ):
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                count += len(chunk)
                picture += chunk if wanted.is_jpeg else b""
                if upload is not None:
                    upload.write(chunk)
            if not _is(wanted, count, digest.hexdigest(), picture):
                return False
            if upload is not None:
                before_commit()
                upload.commit()
            return True
    except ObjectMissing:
        return False


def _is(wanted: Wanted, size: int, sha256: str, picture: bytes) -> bool:
    return size == wanted.size and wanted.sha256 in (None, sha256) and (not wanted.is_jpeg or is_whole_jpeg(picture))


def is_stored(store: ObjectStore, wanted: Wanted, *, by_size: bool) -> bool:
    """Whether the store has an object already. `by_size`: its size is enough to tell."""
    if not store.has(wanted.key, wanted.size):
        return False
    if by_size or wanted.sha256 is None:
        return True
    if (known := store.checksum(wanted.key)) is not None:
        return known == wanted.sha256
    with store.download(wanted.key) as file:
        digest = hashlib.sha256()
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest() == wanted.sha256
