"""A folder that is only read. Nothing outside it is: a symbolic link that leads out of it counts as no file."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from ncaa_assets.backends.place import Place, PlaceFile
from ncaa_assets.failures import ObjectMissing, PlaceUnreadable
from ncaa_assets.record import calendar
from ncaa_assets.text import visible

log = logging.getLogger(__name__)


class FolderPlace(Place):
    """The files below one folder, or a single file."""

    def __init__(self, root: Path) -> None:
        path = Path(os.path.realpath(root))
        self._only = path.name if path.is_file() else None
        self.root = path.parent if self._only else path
        self._told: set[str] = set()  # links that lead out

    def list(self, prefix: str = "") -> Iterator[PlaceFile]:
        if self._only is not None:
            found = self.info(self._only)
            yield from [found] if found is not None and found.path.startswith(prefix) else []
            return
        waiting = [*self._entries(prefix.rpartition("/")[0])]  # the next one last
        while waiting:
            path = waiting.pop()
            if path.endswith("/") and (path.startswith(prefix) or prefix.startswith(path)):
                waiting += self._entries(path.rstrip("/"))
            elif not path.endswith("/") and path.startswith(prefix) and (file := self.info(path)) is not None:
                yield file

    def _entries(self, folder: str) -> Sequence[str]:
        """What a folder has, the first by name at the end; folders end with a slash."""
        try:
            with os.scandir(self.root / folder) as entries:
                found = [
                    (f"{folder}/" if folder else "") + entry.name + "/" * entry.is_dir(follow_symlinks=False)
                    for entry in entries
                    if not entry.name.startswith(".")
                ]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _unreadable(self.root / folder, error) from error
        return sorted(found, reverse=True)

    def info(self, path: str) -> PlaceFile | None:
        place = self._inside(path) if self._only in (None, path) else None
        try:
            stat = place.stat() if place is not None and place.is_file() else None
        except OSError as error:
            raise _unreadable(self.root / path, error) from error
        return None if stat is None else PlaceFile(path, stat.st_size, _stamp(stat.st_mtime))

    @contextmanager
    def open(self, file: PlaceFile) -> Iterator[BinaryIO]:
        place = self._inside(file.path)
        if place is None or not place.is_file():
            raise ObjectMissing(f"there is no {self.uri(file.path)}")
        try:
            with place.open("rb") as opened:
                yield opened
        except OSError as error:
            raise _unreadable(place, error) from error

    def uri(self, path: str = "") -> str:
        return str(self.root / (path or self._only or ""))

    def _inside(self, path: str) -> Path | None:
        """Where a file really lies, if that is in the folder."""
        try:
            place = Path(os.path.realpath(self.root / path))
        except ValueError:  # a NUL
            return None
        if self.root in place.parents:
            return place
        if path not in self._told:
            self._told.add(path)
            log.warning("a link leads out of the folder and is not read: %s", visible(self.root / path))
        return None


def _stamp(seconds: float) -> str:
    try:
        return calendar.stamp(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):  # a time that no calendar has
        return calendar.now()


def _unreadable(path: Path, error: OSError) -> PlaceUnreadable:
    return PlaceUnreadable(f"{path} cannot be read: {error.strerror or error}; mend that, then run it again")
