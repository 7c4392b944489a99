"""How much of this machine each of several encodes gets: its processor cores and its memory, cgroup limits included."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ncaa_assets.child import VIDEO_MEMORY

_MIB = 1024**2
# Bytes of address space that an encode at 1080p needs (measured: 1.3 GiB with one thread, 1.5 with two, 1.8 with four;
# a third of it is used), and what the rest of a run takes of the memory.
_ENCODE, _THREAD, _RUN = 1536 * _MIB, 256 * _MIB, 512 * _MIB
_MOST_THREADS = 16  # more make x264 hardly faster


@dataclass(frozen=True)
class Share:
    """How many encodes run at a time, and what each gets: threads, and bytes of address space."""

    at_once: int
    threads: int
    memory: int


def share_of(*, wanted: int, cores: int, memory: int) -> Share:
    """What each encode gets of a machine with `cores` and `memory` bytes, where `wanted` are to run at a time.

    Fewer run at a time where the memory does not suffice for an encode at 1080p each; one always does.
    """
    for at_once in range(wanted, 0, -1):
        each = (memory - _RUN) // at_once
        threads = min(max(1, cores // at_once), _MOST_THREADS, (each - _ENCODE) // _THREAD)
        if threads >= 1:
            return Share(at_once, threads, min(each, VIDEO_MEMORY))
    return Share(1, 1, _ENCODE + _THREAD)


def share_of_this_machine(wanted: int) -> Share:
    """What each of `wanted` encodes gets here, now."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return share_of(wanted=wanted, cores=cores, memory=memory_of_this_machine())


def memory_of_this_machine(groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """The bytes of memory that this process may use: the machine's, or what a cgroup leaves it of them.

    A container sees its own group at the root of `groups`; a service finds its path in `own`, and each group above it
    has a limit too (cgroups(7)).
    """
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    paths = [groups / "memory" / "memory.limit_in_bytes"]  # version 1, as older Docker hosts have it
    with suppress(OSError):
        for line in own.read_text("utf-8").splitlines():
            if line.startswith("0::"):
                group = groups / line.removeprefix("0::").lstrip("/")
                paths += [place / "memory.max" for place in (group, *group.parents) if place.is_relative_to(groups)]
    for path in paths:
        with suppress(OSError, ValueError):  # `max` means that there is no limit
            limits.append(int(path.read_text("ascii")))
    return min(limits)
