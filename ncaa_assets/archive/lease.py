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
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from ncaa_assets.archive import watch
from ncaa_assets.archive.watch import WATCH
from ncaa_assets.failures import BackupError, LeaseHeld, LeaseLost, ObjectMissing, WriteConflict
from ncaa_assets.ports import Expect, ObjectStore
from ncaa_assets.text import visible

log = logging.getLogger(__name__)

# The holder renews the lease every third of this: two renewals may fail before the day is free for others.
LEASE_SECONDS = 60.0
LOOK_EVERY = 1.0  # seconds, while a lease is watched

_MOST_PID = 2**31 - 1


class Holder(BaseModel):
    """Who holds a day: a run, the process that works for it, and when its lease was renewed.

    `boot` names the machine's present boot, `started` is when the process began, in ticks since that boot, and
    `renewed` is the latest renewal, in seconds since it. `since` and `expires` are for people, and for versions of this
    project that went by them. What is no value of its field is read as none.
    """

    owner: str = ""
    host: str = ""
    pid: int | None = None
    since: AwareDatetime | None = None
    expires: AwareDatetime | None = None
    boot: str = ""
    started: int | None = None
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
        """Whether its process was one of this machine and has ended."""
        return self._lives is False

    @property
    def is_alive(self) -> bool:
        """Whether its very process is one of this machine and lives, whether it renews its lease or not."""
        return self.started is not None and self._lives is True

    def has_renewed_within(self, seconds: float) -> bool:
        """Whether a living process of this machine renewed the lease so lately."""
        return self.renewed is not None and self._lives is True and 0 <= watch.elapsed() - self.renewed <= seconds

    @property
    def _lives(self) -> bool | None:
        """Whether its process lives; None where this machine cannot tell: it is another's, or its number is none."""
        # Two machines may have one name, but not one boot.
        is_of_this_machine = self.host == _this_host() and self.boot in ("", watch.this_boot())
        if not is_of_this_machine or self.pid is None or not 0 < self.pid <= _MOST_PID:
            return None  # 0 and below would mean groups of processes, or all
        return _process_lives(self.pid, self.started)

    @property
    def machine(self) -> str:
        """The host's name for people."""
        return self.host.partition("/")[0] or "an unknown host"

    def __str__(self) -> str:
        run = f"run {self.owner[:8]}" if self.owner else "an unknown run"
        since = f" (since {self.since:%Y-%m-%d %H:%M:%S %Z})" if self.since else ""
        name = visible(self.host.partition("/")[0], most=100)
        return visible(f"{run} on {f'host {name}' if name else self.machine}{since}")


class Verdict(Enum):
    """What is known of a stored lease."""

    LIVES = auto()
    GONE = auto()
    UNSURE = auto()  # it has not been watched for long enough


@dataclass(frozen=True)
class StoredLease:
    """A stored lease: its holder, its version, and what is known of it."""

    holder: Holder
    version: str
    verdict: Verdict


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
        self._renewed = watch.elapsed()
        self._ended = threading.Event()
        self._heartbeat = threading.Thread(target=self._renew, name=f"lease-{day}", daemon=True)

    def __enter__(self) -> Self:
        self._take()
        self._waits, self._wakes = os.pipe()
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
        os.close(self._wakes)  # or leaving would wait for the heartbeat's next look
        self._heartbeat.join()
        os.close(self._waits)
        if self._lost is None:
            try:
                self._store.delete(_key(self._day), expect=self._version)
            except BackupError as trouble:
                # The work is done and recorded; a lease that stays costs the next run at most a minute of watching.
                log.warning("the lease of %s could not be given back (%s); it ends by itself", self._day, trouble)
            self._lost = "it was given back"

    def check(self) -> None:
        """Raises `LeaseLost` where this run no longer holds its day, or was silent for so long that it cannot know:
        then it does again once it has renewed the lease, which works where nobody took it meanwhile."""
        lost = self._lost
        if lost is None and watch.elapsed() - self._renewed > self._seconds:
            lost = "it was silent for longer than the lease lasts"
        if lost is not None:
            raise LeaseLost(f"this run lost its hold on {self._day} ({lost}) and stopped; run the day again")

    def _take(self) -> None:
        stored = _watched(self._store, self._day, self._seconds)
        if stored is not None and stored.verdict is Verdict.LIVES:
            raise LeaseHeld(f"{self._day} is being backed up by {stored.holder}; nothing to do here")
        try:
            self._write(Expect.NOTHING if stored is None else stored.version)
        except WriteConflict:
            raise LeaseHeld(f"{self._day} was taken by another run at this very moment; nothing to do here") from None

    def _write(self, expect: str | Expect) -> None:
        key, renewed, expires = _key(self._day), watch.elapsed(), datetime.now(UTC) + timedelta(seconds=self._seconds)
        ours = Holder(
            owner=self._owner, host=_this_host(), pid=os.getpid(), since=self._since, expires=expires,
            boot=watch.this_boot(), started=_process(os.getpid())[1], renewed=renewed,
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
        tried = self._renewed
        while not self._ended.is_set():
            # Short, because its own clock stands still while the machine sleeps.
            watch.pause(min(0.05, self._seconds / 10), until_closed=self._waits)
            if self._ended.is_set() or watch.elapsed() - tried < self._seconds / 3:
                continue
            tried = watch.elapsed()
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
    stored = _watched(store, day, seconds) if wait else look(store, day, seconds=seconds)
    return None if stored is None or stored.verdict is Verdict.GONE else stored.holder


def look(store: ObjectStore, day: str, *, seconds: float | None = None) -> StoredLease | None:
    """The stored lease and what is known of it by now; None where there is none."""
    seconds = LEASE_SECONDS if seconds is None else seconds
    read, address = _read(store, day), store.uri(_key(day))
    if read is None:
        WATCH.forget(address)
        return None
    holder, version = read
    seen = WATCH.look(address, version)
    if holder.is_dead:
        verdict = Verdict.GONE
    elif holder.has_renewed_within(seconds):
        verdict = Verdict.LIVES
    elif seen.unchanged_for > seconds:
        verdict = Verdict.GONE
    else:
        verdict = Verdict.LIVES if seen.changed else Verdict.UNSURE
    return StoredLease(holder, version, verdict)


def remove_lease_of(store: ObjectStore, day: str, *, owner: str, version: str | None = None) -> bool:
    """Removes the lease that a dead owner left, if it left one; where `version` is given, no later one. False where
    another process removed it first, or its owner lives and renewed it."""
    if version is None:
        stored = _read(store, day)
        if stored is None or stored[0].owner != owner:
            return True
        version = stored[1]
    try:
        store.delete(_key(day), expect=version)
    except WriteConflict:
        return False
    return True


def _watched(store: ObjectStore, day: str, seconds: float) -> StoredLease | None:
    """The stored lease, once it is known whether it still counts; None where there is none. Says so where it waits."""
    is_told = False
    while (stored := look(store, day, seconds=seconds)) is not None and stored.verdict is Verdict.UNSURE:
        if not is_told:
            log.warning("%s may be held by %s; watching for up to %.0f s whether it lives", day, stored.holder, seconds)
            is_told = True
        watch.pause(min(LOOK_EVERY, seconds / 10))
    return stored


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


def _process_lives(pid: int, started: int | None) -> bool:
    """Whether a process lives, and where it is known when it began, whether it is the one that began then."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is another user's
    state, begun = _process(pid)
    return state not in ("Z", "X") and (None in (started, begun) or started == begun)


def _process(pid: int) -> tuple[str, int | None]:
    """A process's state as Linux has it, Z where it has ended and nobody has asked how, and when it began, in ticks
    since the boot; nothing where the system does not say."""
    try:
        # Its name is in brackets and may hold anything, brackets too.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return fields[0].decode(), int(fields[19])
    except (OSError, IndexError, ValueError):
        return "", None
