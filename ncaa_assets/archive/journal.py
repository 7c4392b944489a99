"""The journal of a day's pages in the gallery: what they were made from, and whether all of them were. It is how the
next run finishes what a killed one began, and how anybody sees that a day's pages lag behind its documents."""

import hashlib
from typing import Self

from pydantic import Field

from ncaa_assets.archive.documents import KINDS
from ncaa_assets.failures import DocumentDamaged, ObjectMissing
from ncaa_assets.ports import ObjectStore
from ncaa_assets.record.fields import Day, Perhaps, Sha256
from ncaa_assets.record.models import Versioned
from ncaa_assets.record.written import from_bytes

GALLERY = "gallery/"  # what every key of the gallery begins with


class Journal(Versioned):
    """`gallery/<day>.json`. `made_from` has the sha256 of each of the day's documents as they are stored (None: there
    was none), `teams` the slugs of the teams whose pages show the day, or did before."""

    date: Day
    made_from: dict[str, Perhaps[Sha256]] = Field(default_factory=dict)
    teams: list[str] = Field(default_factory=list)
    is_finished: bool = False

    @classmethod
    def key(cls, day: str) -> str:
        return f"{GALLERY}{day}.json"

    @classmethod
    def read(cls, store: ObjectStore, day: str) -> tuple[Self | None, str | None]:
        """A day's journal and its version. The first is None where there is none, or none that can be read: then
        nothing is known to be made; the second where nothing is stored.

        Raises:
            StoreError: the store does not answer.
        """
        try:
            data, version = store.read(cls.key(day))
        except ObjectMissing:
            return None, None
        try:
            return from_bytes(cls, data, store.uri(cls.key(day)), expected={"date": day}), version
        except DocumentDamaged:
            return None, version


def stored_documents(store: ObjectStore, day: str) -> dict[str, bytes | None]:
    """A day's three documents as they are stored, by the name of their asset; None for one that is not there."""
    stored: dict[str, bytes | None] = {}
    for kind in KINDS:
        try:
            stored[kind.asset] = store.read(kind.key(day))[0]
        except ObjectMissing:
            stored[kind.asset] = None
    return stored


def made_from(stored: dict[str, bytes | None]) -> dict[str, str | None]:
    """What a journal says of such documents."""
    return {asset: None if data is None else hashlib.sha256(data).hexdigest() for asset, data in stored.items()}


def pages_are_current(store: ObjectStore, day: str) -> bool | None:
    """Whether a day's pages are as its documents; None where it has no pages, as an earlier version left it.

    Raises:
        StoreError: the store does not answer.
    """
    journal, version = Journal.read(store, day)
    if version is None:
        return None
    if journal is None or not journal.is_finished:
        return False
    return journal.made_from == made_from(stored_documents(store, day))
