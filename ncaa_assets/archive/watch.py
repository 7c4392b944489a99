"""Watching whether something still changes, on a clock that nobody sets.

No time that another machine wrote tells whether that machine still works; that something of it changes does. What one
look saw the next ones know, whoever looks in this process, and later processes of the same boot that are handed it.
"""

import select
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

# Looks that lie further apart are no watching: this machine slept, and with it perhaps what was watched.
_MOST_BETWEEN = 180.0


@dataclass
class Seen:
    """A thing as it was seen: its version, when that was seen first and last (`elapsed`), and whether it was watched to
    become this version."""

    version: str
    first: float
    last: float
    changed: bool = False

    @property
    def unchanged_for(self) -> float:
        """For how many seconds it has been watched without a change."""
        return self.last - self.first


class Watch:
    """What was seen of things that may have stopped changing, by their names."""

    def __init__(self) -> None:
        self._seen: dict[str, Seen] = {}
        self._lock = threading.Lock()

    def look(self, name: str, version: str) -> Seen:
        """Remembers that a thing has this version now, and returns what is known of it."""
        with self._lock:
            now, before = elapsed(), self._seen.get(name)
            if before is not None and not 0 <= now - before.last <= _MOST_BETWEEN:
                before = None
            if before is None or before.version != version:
                before = self._seen[name] = Seen(version, now, now, changed=before is not None)
            before.last = now
            return Seen(**asdict(before))

    def forget(self, name: str) -> None:
        """Forgets a thing that is not there any more."""
        with self._lock:
            self._seen.pop(name, None)

    def dump(self) -> dict[str, Any]:
        """What was seen lately, as JSON values for `recall`; nothing on a machine whose boots have no name."""
        if not this_boot():
            return {}
        now = elapsed()
        with self._lock:
            lately = {name: asdict(seen) for name, seen in self._seen.items() if now - seen.last <= _MOST_BETWEEN}
        return {"boot": this_boot(), "seen": lately} if lately else {}

    def recall(self, dumped: object) -> None:
        """Takes over what an earlier process of this boot saw, where this one knows nothing later."""
        if not isinstance(dumped, Mapping) or not this_boot() or dumped.get("boot") != this_boot():
            return
        seen = dumped.get("seen")
        with self._lock:
            for name, values in seen.items() if isinstance(seen, Mapping) else ():
                earlier = _seen_of(values)
                if earlier is not None and (name not in self._seen or self._seen[name].last < earlier.last):
                    self._seen[name] = earlier


WATCH = Watch()


def elapsed() -> float:
    """Seconds by a clock that nobody sets and that, where there is one, goes on while the machine sleeps: on Linux,
    since its boot."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def pause(seconds: float, *, until_closed: int | None = None) -> None:
    """Waits between two looks, by a length that no clock turns into a moment: what waits for a moment fails or hangs
    under libfaketime, by which wrong clocks are tried. It ends sooner when the other end of the pipe of which
    `until_closed` is the reading end is closed."""
    select.select([] if until_closed is None else [until_closed], [], [], seconds)


@cache
def this_boot() -> str:
    """A name of this machine's present boot, empty where it has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _seen_of(values: object) -> Seen | None:
    if not isinstance(values, Mapping):
        return None
    version, first, last = values.get("version"), values.get("first"), values.get("last")
    if not isinstance(version, str) or not isinstance(first, int | float) or not isinstance(last, int | float):
        return None
    if not first <= last <= elapsed():
        return None
    return Seen(version, first, last, changed=values.get("changed") is True)
