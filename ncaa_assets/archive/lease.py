"""The archive's identity and a day's lease: what must hold before anything is written.

`archive.json` names what the archive is a record of; settings that disagree are refused, so that sample data never meet
real ones and one league's days never overwrite another's. A lease gives a day to one run at a time: a small object
written conditionally, so that it works the same in a folder and in a bucket.
"""

import logging
import os
import socket
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from ncaa_assets.failures import LeaseHeld, LeaseLost, ObjectMissing, SettingsError, StoreError, WriteConflict
from ncaa_assets.ports import Expect, ObjectStore
from ncaa_assets.record import json_text
from ncaa_assets.record.models import NewerVersion, Versioned, parse_document

log = logging.getLogger(__name__)

IDENTITY_KEY = "archive.json"

_SET_BY = {"source": "API_URL and RAPIDAPI_KEY", "league": "LEAGUE_NAME", "timezone": "TIMEZONE"}

# A heartbeat every third of it: two may fail before the day is free for others.
LEASE_SECONDS = 60.0


class Identity(Versioned):
    """What an archive is a record of."""

    model_config = ConfigDict(frozen=True)

    source: str
    league: str
    timezone: str

    def check(self, store: ObjectStore) -> bool:
        """Makes sure that the archive in `store`, if there is one yet, is this one; returns whether there is one.

        Raises:
            SettingsError: the archive is another's; the message says how to keep both.
            StoreError: `archive.json` cannot be read.
        """
        try:
            data, _ = store.read(IDENTITY_KEY)
        except ObjectMissing:
            return False
        try:
            found = parse_document(Identity, data)
        except NewerVersion as error:
            raise SettingsError(f"{store.uri(IDENTITY_KEY)}: {error}") from error
        except ValueError as error:
            raise StoreError(
                f"{store.uri(IDENTITY_KEY)} is damaged ({error}); put back an earlier version of it"
            ) from error
        for name, variable in _SET_BY.items():
            theirs, ours = getattr(found, name), getattr(self, name)
            if theirs != ours:
                raise SettingsError(
                    f"this archive's {name} is {theirs!r} but the settings say {ours!r}: nothing was written. "
                    f"To go on with it, set {variable} as before; to keep a second archive, set DATA_DIR (on aws, "
                    f"S3_PREFIX) to another folder. The archive: {store.uri(IDENTITY_KEY)}"
                )
        return True

    def claim(self, store: ObjectStore) -> None:
        """Like `check`, and an empty store becomes this archive.

        Called once a source has answered: a mistyped address must not give its name to an archive.
        """
        if self.check(store):
            return
        try:
            store.write(IDENTITY_KEY, json_text.dumps(self.model_dump(), indent=1) + b"\n", expect=Expect.NOTHING)
        except WriteConflict:
            self.check(store)  # another run was first; it must have meant the same archive


class Holder(BaseModel):
    """Who holds a day: a run, the process that works for it, and when its lease ends unless it is renewed."""

    owner: str
    host: str
    pid: int
    since: datetime
    expires: datetime

    @property
    def is_gone(self) -> bool:
        """Whether the lease no longer counts: it expired, or its process ended here without giving it back."""
        if self.expires <= datetime.now(UTC):
            return True
        return self.host == _this_host() and not _process_lives(self.pid)

    @property
    def is_dead(self) -> bool:
        """Whether the process behind it will not come back. Here that is known of the process itself: one that slept
        with its machine has let its lease expire and lives."""
        return not _process_lives(self.pid) if self.host == _this_host() else self.is_gone

    @property
    def machine(self) -> str:
        """The host's name for people."""
        return self.host.split("/", maxsplit=1)[0]

    def __str__(self) -> str:
        return f"run {self.owner[:8]} on {self.machine} (since {self.since:%Y-%m-%d %H:%M:%S} UTC)"


class Lease:
    """A day for one run. A context manager: entered it holds the day and renews it in a thread; left it gives it back.

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
                self._store.delete(_lease_key(self._day), expect=self._version)
            except StoreError as trouble:
                # The work is done and recorded; an unreturned lease costs the next run at most its expiry.
                log.warning("the lease of %s could not be given back (%s); it ends by itself", self._day, trouble)

    def check(self) -> None:
        """Raises `LeaseLost` where this run no longer holds its day: it must write nothing more."""
        if self._lost is None and datetime.now(UTC) > self._expires:
            self._lost = "it was silent for longer than the lease lasts"
        if self._lost is not None:
            raise LeaseLost(f"this run lost its hold on {self._day} ({self._lost}) and stopped; run the day again")

    def _take(self) -> None:
        expect: str | Expect = Expect.NOTHING
        found = _read_holder(self._store, self._day)
        if found is not None:
            there, expect = found
            if there is not None and not there.is_gone:
                raise LeaseHeld(f"{self._day} is being backed up by {there}; nothing to do here")
        try:
            self._write(expect)
        except WriteConflict:
            raise LeaseHeld(f"{self._day} was taken by another run at this very moment; nothing to do here") from None

    def _write(self, expect: str | Expect) -> None:
        key, expires = _lease_key(self._day), datetime.now(UTC) + timedelta(seconds=self._seconds)
        ours = Holder(owner=self._owner, host=_this_host(), pid=os.getpid(), since=self._since, expires=expires)
        try:
            version = self._store.write(key, ours.model_dump_json(indent=1).encode(), expect=expect)
        except WriteConflict:
            # Over a network a write can arrive and its answer not; then what is there is ours.
            there, version = _read_holder(self._store, self._day) or (None, "")
            if there is None or (there.owner, there.since) != (ours.owner, ours.since):
                raise
        self._version, self._expires = version, expires

    def _renew(self) -> None:
        while not self._ended.wait(self._seconds / 3):
            try:
                self._write(self._version)
            except WriteConflict:
                self._lost = "another run took it"
                return
            except StoreError as trouble:
                log.warning("the lease of %s could not be renewed (%s); trying again", self._day, trouble)


def holder(store: ObjectStore, day: str) -> Holder | None:
    """Who holds a day now, or None where it is free."""
    there = last_holder(store, day)
    return there if there and not there.is_gone else None


def last_holder(store: ObjectStore, day: str) -> Holder | None:
    """Whose lease lies there, whether it counts or not; None where the last one was given back."""
    found = _read_holder(store, day)
    return found[0] if found else None


def clear(store: ObjectStore, day: str, *, owner: str) -> bool:
    """Removes the lease that a dead owner left, if there is one; False where somebody else was faster."""
    found = _read_holder(store, day)
    if found is None or found[0] is None or found[0].owner != owner:
        return True
    try:
        store.delete(_lease_key(day), expect=found[1])
    except WriteConflict:
        return False
    return True


def _read_holder(store: ObjectStore, day: str) -> tuple[Holder | None, str] | None:
    try:
        data, version = store.read(_lease_key(day))
    except ObjectMissing:
        return None
    try:
        return Holder.model_validate_json(data), version
    except ValidationError:
        return None, version  # nobody can hold a day by something unreadable


def _lease_key(day: str) -> str:
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
