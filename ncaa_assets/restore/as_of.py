"""An archive's documents as they were at a time: a view of its store, for whoever only reads."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, BinaryIO, NoReturn

from ncaa_assets.archive.documents import KINDS
from ncaa_assets.archive.identity import IDENTITY_KEY
from ncaa_assets.archive.reconcile import earliest_time
from ncaa_assets.failures import DocumentDamaged, ObjectMissing
from ncaa_assets.ports import ObjectInfo, ObjectStore, Version
from ncaa_assets.record.written import from_bytes


class AsOf(ObjectStore):
    """A store whose documents are those that counted at `time`; all its other objects are as they are now.

    Raises:
        StoreError: the store cannot say which versions it has.
    """

    def __init__(self, store: ObjectStore, time: datetime) -> None:
        self._store, self._time = store, time
        self._documents: dict[str, Version] = {}
        self._kinds = {f"{kind.asset}/": kind for kind in KINDS}
        for prefix in (*self._kinds, IDENTITY_KEY):
            for version in store.versions(prefix):
                if self._counted(version):
                    self._documents[version.key] = version

    def _counted(self, version: Version) -> bool:
        if version.until is not None and version.until <= self._time:
            return False
        if version.since is not None:
            return version.since <= self._time
        # The first version that a folder has does not say when it was written; what stands in it does.
        kind = self._kinds.get(f"{version.key.partition('/')[0]}/")
        if kind is None:
            return True
        try:
            earliest = earliest_time(from_bytes(kind, version.read(), version.key))
        except (DocumentDamaged, ObjectMissing):
            return True  # whoever reads it is told
        return earliest is None or earliest <= self._time

    @property
    def now(self) -> ObjectStore:
        """The store as it is."""
        return self._store

    def _is_document(self, key: str) -> bool:
        folder, slash, name = key.partition("/")
        return key == IDENTITY_KEY or (f"{folder}/" in self._kinds and bool(slash) and name.endswith(".json"))

    def read(self, key: str) -> tuple[bytes, str]:
        if not self._is_document(key):
            return self._store.read(key)
        if key not in self._documents:
            raise ObjectMissing(f"there was no {self.uri(key)} then")
        return self._documents[key].read(), self._version_of(key)

    def info(self, key: str) -> ObjectInfo | None:
        if not self._is_document(key):
            return self._store.info(key)
        return (
            ObjectInfo(key, len(self._documents[key].read()), self._version_of(key)) if key in self._documents else None
        )

    def list(self, prefix: str, *, below: bool = True) -> Iterator[ObjectInfo]:
        """The documents alone: nobody knows which of the other objects were there."""
        for key in sorted(self._documents):
            if key.startswith(prefix) and (below or "/" not in key.removeprefix(prefix)):
                yield ObjectInfo(key, 0, self._version_of(key))

    def _version_of(self, key: str) -> str:
        return f"{key} until {self._documents[key].until}"

    def download(self, key: str) -> AbstractContextManager[BinaryIO]:
        return self._store.download(key)

    def open_seekable(self, key: str) -> AbstractContextManager[BinaryIO]:
        return self._store.open_seekable(key)

    def checksum(self, key: str) -> str | None:
        return self._store.checksum(key)

    def uri(self, key: str) -> str:
        return self._store.uri(key)

    def write(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("what was can only be read")

    upload = copy = delete = sweep = write
