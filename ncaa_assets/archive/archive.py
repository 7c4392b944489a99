"""The archive: its store, its table and its identity, opened once and handed down; and a day of it that a run holds.

Whoever takes the lease of a day gets a `HeldDay`, and nothing else in this project writes to a day: a run without the
lease has nothing to write with.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from ncaa_assets import advice
from ncaa_assets.archive import day_state, documents
from ncaa_assets.archive import lease as leases
from ncaa_assets.archive.day_state import DayState
from ncaa_assets.archive.identity import IDENTITY_KEY, Identity
from ncaa_assets.archive.lease import Holder, Lease, StoredLease
from ncaa_assets.archive.row_view import RowView
from ncaa_assets.archive.rows import RowsOfDays
from ncaa_assets.backends.deployments import open_store, open_table
from ncaa_assets.backends.s3.rows import RowsFile
from ncaa_assets.failures import DocumentDamaged, SettingsError
from ncaa_assets.ports import Expect, HighlightTable, ObjectStore
from ncaa_assets.record.models import D, Document, HighlightsDay
from ncaa_assets.record.rows import Row, merge_row
from ncaa_assets.record.written import from_bytes
from ncaa_assets.settings import SAMPLE, SAMPLE_ENDING, Settings

log = logging.getLogger(__name__)

_MOST_DOUBTS = 10  # of a document that are logged


@dataclass(frozen=True)
class Archive:
    """One archive, and what the settings ask of it. Reading needs no lease; `lease` gives what writes to a day."""

    settings: Settings
    store: ObjectStore
    table: HighlightTable

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """The archive of these settings, whether anything is stored there yet or not.

        Raises:
            SettingsError: the deployment lacks something, such as a region.
        """
        store, table = open_store(settings), open_table(settings)
        return cls(settings, store, RowView(table, store) if isinstance(table, RowsFile) else table)

    @property
    def identity(self) -> Identity:
        """What the settings ask this archive to be a record of."""
        return Identity.of(self.settings)

    @property
    def place(self) -> str:
        """Where a person finds the archive: a folder or an `s3://` address, with a slash at its end."""
        return self.store.uri(IDENTITY_KEY).removesuffix(IDENTITY_KEY)

    def stored_identity(self) -> Identity | None:
        """What the archive is a record of, None where nothing is backed up here yet; refuses one of another source,
        module, league or timezone (`Identity.stored`)."""
        return self.identity.stored(self.store)

    def any_identity(self) -> Identity | None:
        """The same of an archive of any module, for what only looks."""
        return self.identity.stored(self.store, any_module=True)

    def exists(self) -> bool:
        """Whether anything was backed up here, by this very source, module, league and timezone."""
        return self.stored_identity() is not None

    def must_be_there(self) -> None:
        """For who only reads, and would take an archive that is elsewhere for an empty one.

        Raises:
            SettingsError: there is no archive in this place.
        """
        if self.store.info(IDENTITY_KEY) is not None:
            return
        said = f"there is no archive in {self.place} ({IDENTITY_KEY} is missing)"
        raise SettingsError("; ".join(filter(None, (said, self.beside()))))

    def missing(self) -> SettingsError:
        """The error of a command that needs an archive, where there is none."""
        said = (
            f"there is no archive in {self.place} yet; `{advice.command('backup')}` makes it, or set the settings to "
        )
        said += "the archive that you mean"
        return SettingsError("; ".join(filter(None, (said, self.beside()))))

    def beside(self) -> str | None:
        """Which archive a person may mean where there is none here, and how to get to it, as a part of a sentence; None
        where none lies near."""
        if "://" in self.place:
            return None
        folder = Path(self.place)
        if (folder / "documents" / IDENTITY_KEY).is_file():
            return f"this is a restored folder, and `{advice.command('import', str(folder))}` takes it into an archive"
        if not folder.name.endswith(SAMPLE_ENDING):
            made_up = folder.with_name(folder.name + SAMPLE_ENDING)
            return f"there is one in {made_up} (made-up games)" if (made_up / IDENTITY_KEY).is_file() else None
        other = folder.with_name(folder.name.removesuffix(SAMPLE_ENDING))
        try:
            identity = from_bytes(Identity, (other / IDENTITY_KEY).read_bytes(), str(other))
        except (OSError, DocumentDamaged):
            return None
        if identity.source == SAMPLE:
            return f"the one in {other} has made-up games too: rename that folder to {folder}"
        return (
            f"the one in {other} has real games: set RAPIDAPI_KEY (to any text, if nothing is to be asked of the API)"
        )

    def load(self, kind: type[D], day: str) -> D:
        """A day's document.

        Raises:
            ObjectMissing: none is stored yet.
            StoreError: what is stored cannot be read as one.
        """
        return documents.load(self.store, kind, day)

    def days(self) -> list[str]:
        """The days whose listing is stored, oldest first."""
        return sorted(documents.versions(self.store, HighlightsDay))

    @contextmanager
    def lease(self, day: str, *, owner: str, seconds: float | None = None) -> Iterator["HeldDay"]:
        """A day held by the run `owner`, for as long as the `with` lasts. `seconds` is how long the lease lasts without
        a renewal (None: `LEASE_SECONDS`), and how long another's may have to be watched before it is free.

        Raises:
            LeaseHeld: another run holds the day.
        """
        with Lease(self.store, day, owner, seconds=seconds) as lease:
            yield HeldDay(self, day, lease)

    def holder(self, day: str, *, wait: bool = True) -> Holder | None:
        """Who holds a day now, or None where it is free (`lease.holder_of`)."""
        return leases.holder_of(self.store, day, wait=wait)

    def stored_lease(self, day: str) -> StoredLease | None:
        """The lease of a day that is stored, and what is known by now of whether it still counts (`lease.look`)."""
        return leases.look(self.store, day)

    def remove_lease(self, day: str, *, owner: str, version: str | None = None) -> bool:
        """Removes the lease that a dead run left, no later version than is given; False where another process removed
        it first, or the run lives and renewed it."""
        return leases.remove_lease_of(self.store, day, owner=owner, version=version)

    def state(self, day: str, *, identity: Identity | None = None) -> DayState:
        """What is stored of a day, compared with what the settings ask for. `identity` is the archive's, for who has
        read it already."""
        return day_state.state_of(self.store, self.table, day, self.settings, identity or self.any_identity())

    def last_whole_fetch(self, day: str) -> datetime | None:
        """When a day's listing was last read whole, None where it never was.

        Raises:
            StoreError: the day's document cannot be read.
        """
        return day_state.last_whole_fetch(self.store, day, self.settings, self.any_identity())


@dataclass(frozen=True)
class TakenDay:
    """A day that another run holds: there is nothing to write with. `why` is a sentence for people."""

    day: str
    why: str


@dataclass(frozen=True)
class HeldDay:
    """A day that this run holds: what reads it, and the only thing that writes to it.

    Every write first makes sure that the lease still stands; `LeaseLost` means that this run must write nothing more.
    """

    archive: Archive
    day: str
    lease: Lease

    def check(self) -> None:
        """Raises `LeaseLost` where this run no longer holds its day."""
        self.lease.check()

    def load_or_new(self, kind: type[D]) -> D:
        """The day's document, or an empty one where none is stored yet. What is wrong with it and harmless is logged,
        and mended when it is saved."""
        document = documents.load_or_new(self.archive.store, kind, self.day)
        for doubt in document.doubts[:_MOST_DOUBTS]:
            log.warning("%s: %s; this run writes it anew", kind.key(self.day), doubt)
        return document

    def save(self, document: Document) -> None:
        """Stores one of the day's documents whole.

        Raises:
            LeaseLost: this run no longer holds the day.
            WriteConflict: somebody else wrote the document since it was read.
        """
        if document.date != self.day:
            raise ValueError(f"a document of {document.date} does not belong to {self.day}")
        self.check()
        documents.save(self.archive.store, document)

    def save_as_it_came(self, kind: type[Document], data: bytes, *, replaces: str | None) -> None:
        """Stores one of the day's documents as another archive has it, word for word, over the version `replaces`
        (None: there is none).

        Raises:
            LeaseLost: this run no longer holds the day.
            WriteConflict: somebody else wrote the document since it was read.
        """
        self.check()
        expect = Expect.NOTHING if replaces is None else replaces
        self.archive.store.write(kind.key(self.day), data, expect=expect)

    def write_rows(self, rows: Iterable[Row]) -> int:
        """Merges rows into the archive's table and returns how many were written; rows that say the same stay as
        they are."""
        self.check()
        rows_of_day = RowsOfDays(self.archive.store)
        return self.archive.table.merge(rows, lambda stored, row: merge_row(stored, row, rows_of_day))

    def claim(self, module: str | None) -> Identity:
        """Makes an empty store this archive, or an undecided one that of a module (`Identity.claim`).

        Raises:
            LeaseLost: this run no longer holds the day.
        """
        self.check()
        return self.archive.identity.claim(self.archive.store, module)
