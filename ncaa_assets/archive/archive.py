"""The archive: its store, its table and its identity, opened once and handed down to whatever works with them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from ncaa_assets.archive import day_state, documents, lease
from ncaa_assets.archive.day_state import DayState
from ncaa_assets.archive.identity import IDENTITY_KEY, Identity
from ncaa_assets.archive.lease import LEASE_SECONDS, Holder, Lease
from ncaa_assets.backends.deployments import open_store, open_table
from ncaa_assets.ports import HighlightTable, ObjectStore
from ncaa_assets.record.models import D
from ncaa_assets.settings import Settings


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
        return cls(settings, open_store(settings), open_table(settings))

    @property
    def identity(self) -> Identity:
        """What the settings ask this archive to be a record of."""
        return Identity.of(self.settings)

    @property
    def place(self) -> str:
        """Where a person finds the archive: a folder or an `s3://` address, with a slash at its end."""
        return self.store.uri(IDENTITY_KEY).removesuffix(IDENTITY_KEY)

    def exists(self) -> bool:
        """Whether anything was backed up here, by this very source, league and timezone (`Identity.check`)."""
        return self.identity.check(self.store)

    def load(self, kind: type[D], day: str) -> D:
        """A day's document.

        Raises:
            ObjectMissing: none is stored yet.
            StoreError: what is stored cannot be read as one.
        """
        return documents.load(self.store, kind, day)

    def lease(self, day: str, *, owner: str, seconds: float = LEASE_SECONDS) -> Lease:
        """The lease of a day for the run `owner`: `with archive.lease(day, owner=…) as held:`."""
        return Lease(self, day, owner, seconds=seconds)

    def holder(self, day: str) -> Holder | None:
        """Who holds a day now, or None where it is free."""
        return lease.holder_of(self.store, day)

    def last_holder(self, day: str) -> Holder | None:
        """Whose lease of a day is stored, whether it still counts or not."""
        return lease.last_holder_of(self.store, day)

    def remove_lease(self, day: str, *, owner: str) -> bool:
        """Removes the lease that a dead run left; False where another process removed it first."""
        return lease.remove_lease_of(self.store, day, owner=owner)

    def state(self, day: str) -> DayState:
        """What is stored of a day, compared with what the settings ask for."""
        return day_state.state_of(self.store, self.table, day, self.settings)

    def last_whole_fetch(self, day: str) -> datetime | None:
        """When a day's listing was last read whole, None where it never was.

        Raises:
            StoreError: the day's document cannot be read.
        """
        return day_state.last_whole_fetch(self.store, day, self.settings)
