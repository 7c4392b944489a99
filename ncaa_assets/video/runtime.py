"""The JavaScript runtime that many pages need (deno): where it is, and the one way in which yt-dlp's child starts it.

A page's scripts are a stranger's program. They run in deno without a permission: no file, no network, no environment,
no program, no prompt. They reach it as text within yt-dlp's own script, which alone could import a file. Whatever
arguments and environment yt-dlp asks for, deno gets those of this file, begins with its bounds set and does not outlive
the child (`child_start.py`).
"""

import os
import shutil
import subprocess
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ncaa_assets import advice
from ncaa_assets.child import Bounds, bounded

# It reserves some 40 GB of address space, so what it writes to is bounded. A script of 2 MB needs 1 GB (measured).
_BOUNDS = Bounds(seconds=60, data=2 * 1024**3, processor_seconds=60)
_VERSION = ("--version",)
# yt-dlp's own, always all of them: nothing is allowed, asked for, fetched or read beside the script on stdin.
_SCRIPT = (
    "run", "--ext=js", "--no-prompt", "--no-remote", "--no-npm", "--cached-only", "--no-config", "--no-lock",
    "--no-code-cache", "--node-modules-dir=none", "-",
)  # fmt: skip
_PIPES = {"stdin", "stdout", "stderr", "text", "encoding", "errors", "bufsize"}  # the options that are passed on


def to_copy_pages() -> str:
    """What has the videos of web pages copied, in a sentence for a person whose settings leave them out."""
    installs = "" if find_spec("yt_dlp") else f"{advice.to_install('pages')}, then "
    return f"to copy the videos of such pages, {installs}write VIDEO_PAGES=yt-dlp into .env (docs/videos.md)"


def install_it() -> str:
    """What installs the runtime, in a sentence."""
    return f"{advice.to_install('pages')}, which installs deno (docs/videos.md)"


def find() -> str | None:
    """The path of deno: beside our own interpreter, where the extra `pages` puts it, else on the PATH; None where there
    is none."""
    places = [sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)]
    found = shutil.which("deno", path=os.pathsep.join(places))
    return None if found is None else os.path.abspath(found)  # noqa: PTH100 - a link stays one


def searched_pages(deno: str | None) -> frozenset[str]:
    """The kinds of refused pages (`VideoRefused.kind`) that are searched again by yt-dlp with this runtime: those that
    it never saw, and those that needed one."""
    return frozenset({"page"} if deno is None else {"page", "runtime"})


class Runtime:
    """The deno at `program`, as this process and whatever runs in it may start it."""

    def __init__(self, program: str) -> None:
        self._program = program
        start = bounded([program], bounds=_BOUNDS, report=2)
        self._asks_version, self._runs_script = [*start, *_VERSION], [*start, *_SCRIPT]
        self._environment = {
            **os.environ, "DENO_DIR": str(Path.cwd() / "deno"), "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1",
        }  # fmt: skip

    def is_start(self, event: str, arguments: tuple[Any, ...]) -> bool:
        """Whether an audit event is a start of deno, exactly as it may be started."""
        if event == "subprocess.Popen":
            program, command, folder, environment = arguments
        elif event == "os.posix_spawn":  # with which `subprocess` starts programs since Python 3.13, where it can
            (program, command, environment), folder = arguments, None
        else:
            return False
        return (
            list(command) in (self._asks_version, self._runs_script)
            and program == command[0]
            and folder is None
            and environment == self._environment
        )

    def replace_popen(self) -> None:
        """Makes every `subprocess.Popen` of this process a start of deno, to ask its version or to run a script from
        stdin, or a PermissionError. To be called before yt-dlp is imported, which derives its own from it."""
        runtime = self

        class OnlyDeno(subprocess.Popen):  # type: ignore[type-arg]
            def __init__(self, args: Any, *_: Any, **options: Any) -> None:
                match args:
                    case [runtime._program, "--version"]:
                        command = runtime._asks_version
                    case [runtime._program, "run", *_, "-"]:
                        command = runtime._runs_script
                    case _:
                        raise PermissionError("no programs here")
                options = {name: value for name, value in options.items() if name in _PIPES}
                super().__init__(command, env=runtime._environment, **options)

        subprocess.Popen = OnlyDeno  # type: ignore[misc]
