"""The commands that the program's sentences tell a person to run, as they work where the sentence is printed.

Nothing else words such a command, and a test holds that: a clone has no `ncaa-assets` on PATH, its `make` knows its own
`.venv` only, uv makes environments without pip, and no index has a package of this name.
"""

import os
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Iterable
from contextlib import suppress
from importlib import metadata, util
from pathlib import Path

# The image sets this variable. There, `ncaa-assets` is on PATH and nothing can be installed.
IMAGE = "NCAA_ASSETS_IMAGE"

_NAME = "ncaa-assets"
_CLONE = Path(__file__).resolve().parents[1]  # where the package is not installed by itself


def in_image() -> bool:
    return bool(os.environ.get(IMAGE))


def command(name: str, *arguments: str) -> str:
    """`ncaa-assets NAME ARGUMENTS`, as a shell takes it here: by its name where that is on PATH, else by its path."""
    return shlex.join([program(), name, *arguments])


def program() -> str:
    """What a person types here to start `ncaa-assets`."""
    ours = Path(sysconfig.get_path("scripts"), _NAME)
    found = shutil.which(_NAME)
    with suppress(OSError):
        if in_image() or not ours.exists() or (found is not None and ours.samefile(found)):
            return _NAME
        shown = _shown(ours)
        return shown if os.sep in shown else os.path.join(os.curdir, shown)  # noqa: PTH118 - a Path drops the dot
    return _NAME


def target(name: str) -> str:
    """`make NAME` for a person in the clone that this program runs from, else the command of that name."""
    return f"make {name}" if _make_is_ours() and Path.cwd() == _CLONE else command(name)


def to_remove(folders: Iterable[Path]) -> str:
    """The command that removes folders and all that is in them."""
    return shlex.join(["rm", "-rf", *map(_shown, folders)])


def to_install(extra: str) -> str:
    """What makes an extra's packages available to this very Python, as a part of a sentence after which others may
    follow: "run `make install EXTRAS=pages`"."""
    if in_image():
        return "run it outside the image, which does not have it"
    if _make_is_ours():
        # `make` sets up what `local` brings in any case.
        return f"run `{_make('clean', 'install') if extra == 'local' else _make('install', f'EXTRAS={extra}')}`"
    if _is_clone():
        return f"run `{_pip('-r', str(_CLONE / 'requirements' / f'{extra}.lock'))}`"
    wanted = [line.partition(";") for line in metadata.requires(_NAME) or ()]
    return f"run `{_pip(*(what.strip() for what, _, when in wanted if _is_of(extra, when)))}`"


def to_reinstall() -> str:
    """What mends an installation that is not whole, as the same part of a sentence."""
    if in_image():
        return "build the image again"
    return f"run `{_make('clean', 'install')}`" if _make_is_ours() else "install ncaa-assets again"


def _is_of(extra: str, marker: str) -> bool:
    return marker.replace("'", '"').replace(" ", "") == f'extra=="{extra}"'


def _pip(*arguments: str) -> str:
    python = _shown(Path(sys.executable))
    if util.find_spec("pip") is not None:
        return shlex.join([python, "-m", "pip", "install", *arguments])
    return shlex.join(["uv", "pip", "install", "--python", python, *arguments])


def _make(*arguments: str) -> str:
    with suppress(OSError):
        if Path.cwd() == _CLONE:
            return shlex.join(["make", *arguments])
    return shlex.join(["make", "-C", str(_CLONE), *arguments])


def _is_clone() -> bool:
    return (_CLONE / "Makefile").is_file() and (_CLONE / "pyproject.toml").is_file()


def _make_is_ours() -> bool:
    """Whether the clone's `make` works on the environment that this program runs in."""
    with suppress(OSError):
        return _is_clone() and (_CLONE / ".venv").samefile(sys.prefix)
    return False


def _shown(path: Path) -> str:
    """A path as a person in this folder types it."""
    with suppress(OSError, ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
