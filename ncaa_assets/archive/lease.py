"""A day's lease, which gives the day to one run at a time.

A lease is a small object that is written conditionally, so it works the same in a folder and in a bucket. Its holder
renews it while it works; one that is silent for too long has lost the day.

Whether a lease still counts is judged by watching whether it changes, on a clock of this process that nobody sets. No
time that stands in it decides anything: the clocks of two machines, or of one on two days, may say what they like.
"""

import logging
import os
import socket
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import BaseModel, ValidationError, ValidationInfo, ValidatorFunctionWrapHandler, field_validator

from ncaa_assets.failures import BackupError, LeaseHeld, LeaseLost, ObjectMissing, WriteConflict
from ncaa_assets.ports import Expect, ObjectStore
from ncaa_assets.text import visible

log = logging.getLogger(__name__)

# The holder renews the lease every third of this: two renewals may fail before the day is free for others.
LEASE_SECONDS = 60.0
_LOOK_EVERY = 1.0  # seconds, while a lease is watched

_MOST_PID = 2**31 - 1


class Holder(BaseModel):
    """Who holds a day: a run, the process that works for it, and when its lease was renewed.

    `boot` names the machine's present boot, and `renewed` are the seconds between that and the latest renewal, so that
    processes of one boot need not watch. `since` and `expires` are for people, and for versions of this project that
    went by them. What is no value of its field is read as none.
    """

    owner: str = ""
    host: str = ""
    pid: int | None = None
    since: datetime | None = None
    expires: datetime | None = None
    boot: str = ""
    renewed: float | None = None

    @field_validator("*", mode="wrap")
    @classmethod
    def _or_none(cls, given: Any, validate: ValidatorFunctionWrapHandler, field: ValidationInfo) -> Any:
        try:
            return validate(given)
        except ValidationError:
            return cls.model_fields[str(field.field_name)].default

    @property
    def is_dead(self) -> bool:
        """Whether nobody is behind the lease: its process was one of this machine and has ended, or it names no run."""
        if not self.owner:
            return True
        if not self.is_of_this_machine:
            return False
        return (self.boot != "" and self.boot != _this_boot()) or not _process_lives(self.pid)

    @property
    def is_of_this_machine(self) -> bool:
        """Whether its process is, or was, one of those that this process can see."""
        return self.host == _this_host()

    @property
    def machine(self) -> str:
        """The host's name for people."""
        return self.host.split("/", maxsplit=1)[0]

    def __str__(self) -> str:
        since = f" (since {self.since:%Y-%m-%d %H:%M:%S} UTC)" if self.since else ""
        return visible(f"run {self.owner[:8]} on {self.machine}{since}")


class _Verdict(Enum):
    """What is known of a stored lease."""

    LIVES = auto()
    GONE = auto()
    UNSURE = auto()  # it has not been watched for long enough


@dataclass
class _Seen:
    """A lease as this process saw it: its version, when that was seen first and last (`elapsed`), and whether the
    version had changed since the look before."""

    version: str
    first: float
    last: float
    was_renewed: bool = False


# By the address of the lease. A look remembers what the one before it saw, whoever looked.
_seen: dict[str, _Seen] = {}
_seeing = threading.Lock()


class Lease:
    """The lease of one day for one run. A context manager: entering takes the day; a thread renews the lease while the
    `with` lasts; leaving releases it.

    `seconds` is how long the lease lasts without a renewal (None: `LEASE_SECONDS`). Entering may take as long, where
    only watching can tell whether the stored lease's holder still works.

    Raises on entering:
        LeaseHeld: another run holds the day.
    """

    def __init__(self, store: ObjectStore, day: str, owner: str, *, seconds: float | None = None) -> None:
        self._store, self._day, self._owner = store, day, owner
        self._seconds = LEASE_SECONDS if seconds is None else seconds
        self._version = ""
        self._lost: str | None = None
        self._since = datetime.now(UTC)
        self._renewed = elapsed()
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
        if self._lost is None and elapsed() - self._renewed > self._seconds:
            self._lost = "it was silent for longer than the lease lasts"
        if self._lost is not None:
            raise LeaseLost(f"this run lost its hold on {self._day} ({self._lost}) and stopped; run the day again")

    def _take(self) -> None:
        stored = _watched(self._store, self._day, self._seconds)
        if stored is not None and stored.verdict is _Verdict.LIVES:
            raise LeaseHeld(f"{self._day} is being backed up by {stored.holder}; nothing to do here")
        try:
            self._write(Expect.NOTHING if stored is None else stored.version)
        except WriteConflict:
            raise LeaseHeld(f"{self._day} was taken by another run at this very moment; nothing to do here") from None

    def _write(self, expect: str | Expect) -> None:
        key, renewed, expires = _key(self._day), elapsed(), datetime.now(UTC) + timedelta(seconds=self._seconds)
        ours = Holder(
            owner=self._owner, host=_this_host(), pid=os.getpid(), since=self._since, expires=expires,
            boot=_this_boot(), renewed=renewed,
        )  # fmt: skip
        try:
            version = self._store.write(key, ours.model_dump_json(indent=1).encode(), expect=expect)
        except WriteConflict:
            # Over a network a write can arrive and its answer not; then the stored lease is ours.
            holder, version = _read(self._store, self._day) or (None, "")
            if holder is None or (holder.owner, holder.since) != (ours.owner, ours.since):
                raise
        self._version, self._renewed = version, renewed

    def _renew(self) -> None:
        while not self._ended.wait(self._seconds / 3):
            try:
                self._write(self._version)
            except WriteConflict:
                self._lost = "another run took it"
                return
            except BackupError as trouble:
                log.warning("the lease of %s could not be renewed (%s); trying again", self._day, trouble)


def holder_of(store: ObjectStore, day: str, *, seconds: float | None = None, wait: bool = True) -> Holder | None:
    """Who holds a day now, or None where it is free.

    Where only watching can tell, watches for up to `seconds` (None: `LEASE_SECONDS`). Without `wait` it looks once: a
    holder that may or may not work still counts as one, until looks in a row have watched it for so long.
    """
    seconds = LEASE_SECONDS if seconds is None else seconds
    stored = _watched(store, day, seconds) if wait else _look(store, day, seconds)
    return None if stored is None or stored.verdict is _Verdict.GONE else stored.holder


def last_holder_of(store: ObjectStore, day: str) -> Holder | None:
    """Whose lease is stored, whether it still counts or not; None where the last holder released it."""
    stored = _read(store, day)
    return stored[0] if stored else None


def remove_lease_of(store: ObjectStore, day: str, *, owner: str) -> bool:
    """Removes the lease that a dead owner left, if it left one; False where another process removed it first."""
    stored = _read(store, day)
    if stored is None or stored[0].owner != owner:
        return True
    try:
        store.delete(_key(day), expect=stored[1])
    except WriteConflict:
        return False
    return True


@dataclass(frozen=True)
class _Stored:
    """A stored lease: its holder, its version, and what is known of it."""

    holder: Holder
    version: str
    verdict: _Verdict


def _watched(store: ObjectStore, day: str, seconds: float) -> _Stored | None:
    """The stored lease, once it is known whether it still counts; None where there is none. Says so where it waits."""
    is_told = False
    while (stored := _look(store, day, seconds)) is not None and stored.verdict is _Verdict.UNSURE:
        if not is_told:
            log.warning(
                "%s may still be held by %s: watching for up to %.0f s whether that works", day, stored.holder, seconds
            )
            is_told = True
        time.sleep(min(_LOOK_EVERY, seconds / 10))
    return stored


def _look(store: ObjectStore, day: str, seconds: float) -> _Stored | None:
    read, address = _read(store, day), store.uri(_key(day))
    if read is None:
        with _seeing:
            _seen.pop(address, None)
        return None
    holder, version = read
    with _seeing:
        seen = _saw(address, version, seconds)
        if holder.is_dead:
            return _Stored(holder, version, _Verdict.GONE)
        if holder.is_of_this_machine and holder.boot == _this_boot() != "" and holder.renewed is not None:
            age = elapsed() - holder.renewed
            if age >= 0:
                return _Stored(holder, version, _Verdict.LIVES if age <= seconds else _Verdict.GONE)
        if seen.last - seen.first > seconds:
            return _Stored(holder, version, _Verdict.GONE)
        return _Stored(holder, version, _Verdict.LIVES if seen.was_renewed else _Verdict.UNSURE)


def _saw(address: str, version: str, seconds: float) -> _Seen:
    """Remembers a look at a lease. Looks that lie further apart than a lease lasts are no watching: nobody knows what
    happened between them, or this machine slept."""
    now, before = elapsed(), _seen.get(address)
    is_watching = before is not None and now - before.last <= seconds
    if before is None or not is_watching or before.version != version:
        was_renewed = before is not None and is_watching and before.version != version
        before = _seen[address] = _Seen(version, now, now, was_renewed)
    before.last = now
    return before


def _read(store: ObjectStore, day: str) -> tuple[Holder, str] | None:
    """The stored lease's holder and version; one of whom nothing is known where it cannot be read, None where there is
    no lease."""
    try:
        data, version = store.read(_key(day))
    except ObjectMissing:
        return None
    try:
        return Holder.model_validate_json(data), version
    except ValidationError:
        return Holder(), version


def _key(day: str) -> str:
    return f".leases/{day}.json"


def _this_host() -> str:
    """This machine, and on Linux this process namespace: a process id means nothing in another container."""
    try:
        return f"{socket.gethostname()}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return f"{socket.gethostname()}/"


@cache
def _this_boot() -> str:
    """A name of this machine's present boot, where it has one."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def elapsed() -> float:
    """Seconds by a clock that nobody sets and that, where there is one, goes on while the machine sleeps: on Linux,
    since its boot."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def _process_lives(pid: int | None) -> bool:
    if pid is None or not 0 < pid <= _MOST_PID:  # 0 and below mean groups of processes, or all
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
