"""A day's lease, which gives the day to one run at a time.

A lease is a small object that is written conditionally, so it works the same in a folder and in a bucket. Its holder
renews it while it works; one that is silent for too long has lost the day.
"""

import logging
import os
import socket
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import BaseModel, ValidationError

from ncaa_assets.failures import BackupError, LeaseHeld, LeaseLost, ObjectMissing, WriteConflict
from ncaa_assets.ports import Expect, ObjectStore
from ncaa_assets.text import visible

log = logging.getLogger(__name__)

# The holder renews the lease every third of this: two renewals may fail before the day is free for others.
LEASE_SECONDS = 60.0


class Holder(BaseModel):
    """Who holds a day: a run, the process that works for it, and when its lease ends unless it is renewed."""

    owner: str
    host: str
    pid: int
    since: datetime
    expires: datetime

    @property
    def is_gone(self) -> bool:
        """Whether the lease no longer counts: it expired, or its process on this machine ended without releasing it."""
        if self.expires <= datetime.now(UTC):
            return True
        return self.host == _this_host() and not _process_lives(self.pid)

    @property
    def is_dead(self) -> bool:
        """Whether the holder's process will not come back.

        On this machine the process itself is looked for: one that slept with its machine has let its lease expire and
        still lives.
        """
        return not _process_lives(self.pid) if self.host == _this_host() else self.is_gone

    @property
    def machine(self) -> str:
        """The host's name for people."""
        return self.host.split("/", maxsplit=1)[0]

    def __str__(self) -> str:
        return visible(f"run {self.owner[:8]} on {self.machine} (since {self.since:%Y-%m-%d %H:%M:%S} UTC)")


class Lease:
    """The lease of one day for one run. A context manager: entering takes the day; a thread renews the lease while the
    `with` lasts; leaving releases it.

    `seconds` is how long the lease lasts without a renewal.

    Raises on entering:
        LeaseHeld: another run holds the day.
    """

    def __init__(self, store: ObjectStore, day: str, owner: str, *, seconds: float = LEASE_SECONDS) -> None:
        self._store, self._day, self._owner, self._seconds = store, day, owner, seconds
        self._version = ""
        self._lost: str | None = None
        self._since = datetime.now(UTC)
        self._expires = self._since
        self._ended = threading.Event()
        self._heartbeat = threading.Thread(target=self._renew, name=f"lease-{day}", daemon=True)

    def __enter__(self) -> Self:
        self._take()
        self._heartbeat.start()
        try:
            self._store.sweep(self._day)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._heartbeat.join()
        if self._lost is None:
            try:
                self._store.delete(_key(self._day), expect=self._version)
            except BackupError as trouble:
                # The work is done and recorded; a lease that stays costs the next run at most its expiry.
                log.warning("the lease of %s could not be given back (%s); it ends by itself", self._day, trouble)
            self._lost = "it was given back"

    def check(self) -> None:
        """Raises `LeaseLost` where this run no longer holds its day."""
        if self._lost is None and datetime.now(UTC) > self._expires:
            self._lost = "it was silent for longer than the lease lasts"
        if self._lost is not None:
            raise LeaseLost(f"this run lost its hold on {self._day} ({self._lost}) and stopped; run the day again")

    def _take(self) -> None:
        expect: str | Expect = Expect.NOTHING
        stored = _read(self._store, self._day)
        if stored is not None:
            holder, expect = stored
            if holder is not None and not holder.is_gone:
                raise LeaseHeld(f"{self._day} is being backed up by {holder}; nothing to do here")
        try:
            self._write(expect)
        except WriteConflict:
            raise LeaseHeld(f"{self._day} was taken by another run at this very moment; nothing to do here") from None

    def _write(self, expect: str | Expect) -> None:
        key, expires = _key(self._day), datetime.now(UTC) + timedelta(seconds=self._seconds)
        ours = Holder(owner=self._owner, host=_this_host(), pid=os.getpid(), since=self._since, expires=expires)
        try:
            version = self._store.write(key, ours.model_dump_json(indent=1).encode(), expect=expect)
        except WriteConflict:
            # Over a network a write can arrive and its answer not; then the stored lease is ours.
            holder, version = _read(self._store, self._day) or (None, "")
            if holder is None or (holder.owner, holder.since) != (ours.owner, ours.since):
                raise
        self._version, self._expires = version, expires

    def _renew(self) -> None:
        while not self._ended.wait(self._seconds / 3):
            try:
                self._write(self._version)
            except WriteConflict:
                self._lost = "another run took it"
                return
            except BackupError as trouble:
                log.warning("the lease of %s could not be renewed (%s); trying again", self._day, trouble)


def holder_of(store: ObjectStore, day: str) -> Holder | None:
    """Who holds a day now, or None where it is free."""
    holder = last_holder_of(store, day)
    return holder if holder and not holder.is_gone else None


def last_holder_of(store: ObjectStore, day: str) -> Holder | None:
    """Whose lease is stored, whether it still counts or not; None where the last holder released it."""
    stored = _read(store, day)
    return stored[0] if stored else None


def remove_lease_of(store: ObjectStore, day: str, *, owner: str) -> bool:
    """Removes the lease that a dead owner left, if it left one; False where another process removed it first."""
    stored = _read(store, day)
    if stored is None or stored[0] is None or stored[0].owner != owner:
        return True
    try:
        store.delete(_key(day), expect=stored[1])
    except WriteConflict:
        return False
    return True


def _read(store: ObjectStore, day: str) -> tuple[Holder | None, str] | None:
    """The stored lease's holder and version; no holder where it cannot be read, None where there is no lease."""
    try:
        data, version = store.read(_key(day))
    except ObjectMissing:
        return None
    try:
        return Holder.model_validate_json(data), version
    except ValidationError:
        return None, version  # nobody can hold a day by something unreadable


def _key(day: str) -> str:
    return f".leases/{day}.json"


def _this_host() -> str:
    """This machine, and on Linux this process namespace: a process id means nothing in another container."""
    try:
        return f"{socket.gethostname()}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return f"{socket.gethostname()}/"


def _process_lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
