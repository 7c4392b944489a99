"""Files for a program that reads and writes them by name, whatever store the objects are in.

An archive in a folder lends its own files, and takes a new one over without a copy. Of any other store an object is
brought to a temporary folder of this machine first, and a new file is sent from there.
"""

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.failures import StoreError
from ncaa_assets.ports import ObjectInfo, ObjectStore

_PIECE = 4 * 1024**2


@contextmanager
def as_file(store: ObjectStore, key: str) -> Iterator[Path]:
    """An object as a file, to be read only.

    Raises:
        ObjectMissing: there is no such object.
        StoreError: the store failed, or the disk of the temporary folder is full.
    """
    if isinstance(store, LocalStore):
        yield store.path(key)
        return
    with _folder() as folder:
        path = folder / "source"
        try:
            with store.download(key) as source, path.open("wb") as file:
                shutil.copyfileobj(source, file, _PIECE)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StoreError(
                    f"the disk that holds {folder.parent} is too full for {store.uri(key)}; give it more space (on "
                    "aws, Terraform's `run_disk_gib`), then run the day again"
                ) from error
            raise
        yield path


@contextmanager
def new_file(store: ObjectStore, key: str) -> Iterator[Path]:
    """The path of a file that does not exist yet, to be written and then stored under `key` by `publish`. What was not
    stored is removed."""
    if isinstance(store, LocalStore):
        path = store.scratch(key)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)
        return
    with _folder() as folder:
        yield folder / "output"


def publish(store: ObjectStore, path: Path, key: str, *, content_type: str) -> ObjectInfo:
    """Makes a file of `new_file` the object `key`, whole."""
    if isinstance(store, LocalStore):
        return store.adopt(path, key)
    with path.open("rb") as file, store.upload(key, content_type=content_type) as upload:
        while piece := file.read(_PIECE):
            upload.write(piece)
        return upload.commit()


def place_of(store: ObjectStore) -> str:
    """Where such files lie, for a sentence about a disk that is full."""
    return str(store.root) if isinstance(store, LocalStore) else tempfile.gettempdir()


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ncaa-assets-") as name:
        yield Path(name)
