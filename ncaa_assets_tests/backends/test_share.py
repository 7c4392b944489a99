"""What each of several encodes gets of a machine."""

from pathlib import Path

import pytest

from ncaa_assets.backends.local.share import Share, memory_of_this_machine, share_of
from ncaa_assets.child import VIDEO_MEMORY

GIB = 1024**3


@pytest.mark.parametrize(
    ("wanted", "cores", "memory", "at_once", "threads"),
    [
        (4, 2, 24 * GIB, 4, 1),
        (1, 2, 24 * GIB, 1, 2),
        (4, 8, 16 * GIB, 4, 2),
        (4, 8, 8 * GIB, 4, 1),  # fewer threads before fewer encodes
        (4, 8, 4 * GIB, 2, 1),
        (4, 2, 2 * GIB, 1, 1),
        (4, 2, GIB // 2, 1, 1),
        (1, 64, 64 * GIB, 1, 16),
    ],
)
def test_as_many_encodes_run_as_the_memory_holds(
    *, wanted: int, cores: int, memory: int, at_once: int, threads: int
) -> None:
    share = share_of(wanted=wanted, cores=cores, memory=memory)
    assert (share.at_once, share.threads) == (at_once, threads)
    assert share.memory >= 1.75 * GIB, "an encode at 1080p"
    assert share.at_once == 1 or share.at_once * share.memory <= memory
    assert share.memory <= VIDEO_MEMORY


def test_a_large_machine_gives_no_encode_more_than_it_can_use() -> None:
    assert share_of(wanted=1, cores=4, memory=512 * GIB) == Share(1, 4, VIDEO_MEMORY)


@pytest.mark.parametrize(
    ("files", "group", "limit"),
    [
        ({"memory.max": "1000\n"}, "0::/\n", 1000),
        ({"memory.max": "max\n"}, "0::/\n", None),
        ({"a/b/memory.max": "max\n", "a/memory.max": "2000\n"}, "0::/a/b\n", 2000),
        ({"memory/memory.limit_in_bytes": "3000\n"}, "4:memory:/x\n", 3000),
        ({}, "", None),
    ],
)
def test_a_containers_limit_counts(tmp_path: Path, files: dict[str, str], group: str, limit: int | None) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    own = tmp_path / "own"
    own.write_text(group)
    whole = memory_of_this_machine(tmp_path / "nothing", tmp_path / "missing")
    assert memory_of_this_machine(tmp_path, own) == (limit or whole)
