"""The lines of README.md are pasted, one by one, into an interactive bash and zsh, in a fresh clone: its shell blocks
and its five commands. Only the browser is not real: it notes what it is to open. What other pages let people type there
works too."""

import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import termios
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import ncaa_assets
from ncaa_assets.settings import Settings
from ncaa_assets_tests.loopback.lacking import Lacking
from ncaa_assets_tests.loopback.running_ui import listens

PROJECT = Path(ncaa_assets.__file__).parents[1]
README = (PROJECT / "README.md").read_text("utf-8")
LINES = "".join(re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)).splitlines()
FIVE = re.findall(r"^\| `([^`]+)` \|", README[README.index("## Five commands") :], re.MULTILINE)
OPTIONS = {"bash": ("--noprofile", "--norc", "-i"), "zsh": ("-f", "-i")}
PROMPT = {"bash": "ended with $?> ", "zsh": "ended with %?> "}
ENDED = re.compile(r"ended with (\d+)> ")
UI_PORT = 3000


class Terminal:
    """A terminal with an interactive shell in it."""

    def __init__(self, shell: str, folder: Path, **environment: str) -> None:
        program = shutil.which(shell)
        if program is None:
            raise Lacking(f"there is no {shell}; on Debian: apt-get install {shell}")
        inherited = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        self.process = subprocess.Popen(
            [program, *OPTIONS[shell]], cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            env=inherited | environment | {"TERM": "xterm-256color", "PS1": PROMPT[shell]},
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - else Ctrl-C reaches nobody
        )  # fmt: skip
        os.close(theirs)
        self.until(ENDED)

    def paste(self, line: str) -> tuple[int, str]:
        """What a line's command ends with, and all that is shown meanwhile."""
        os.write(self.ours, line.encode() + b"\r")
        shown = self.until(ENDED)
        return int(ENDED.findall(shown)[-1]), shown

    def until(self, pattern: re.Pattern[str]) -> str:
        """What is shown until the pattern is."""
        shown, deadline = "", time.monotonic() + 300
        while not pattern.search(shown):
            assert time.monotonic() < deadline, shown
            if select.select([self.ours], [], [], 1)[0]:
                shown += os.read(self.ours, 65536).decode("utf-8", "replace")
        return shown

    def close(self) -> None:
        os.close(self.ours)  # which hangs up
        self.process.wait(60)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the repository, as `git clone` brings them. The second shell finds `.venv` there."""
    folder = tmp_path_factory.mktemp("fresh") / "clone"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=PROJECT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name)
    return folder


@pytest.fixture
def opened(tmp_path: Path) -> Path:
    """A file with the addresses that the browser was told to open, a line each."""
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/opened\n')
    browser.chmod(0o755)
    (tmp_path / "opened").touch()
    return tmp_path / "opened"


@pytest.fixture(params=["bash", "zsh"])
def terminal(request: pytest.FixtureRequest, clone: Path, opened: Path) -> Iterator[Terminal]:
    for made in ("data-sample", ".dagster-sample"):
        shutil.rmtree(clone / made, ignore_errors=True)
    (clone / ".env").unlink(missing_ok=True)
    shell = Terminal(request.param, clone, BROWSER=f"{opened.with_name('browser')} %s")
    yield shell
    shell.close()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_line_of_the_readme_works_where_it_is_pasted(terminal: Terminal, clone: Path, opened: Path) -> None:
    if listens(UI_PORT):
        raise Lacking(f"something listens on port {UI_PORT} already, where `make ui` would")
    for line in [*LINES, *FIVE]:
        if line == "make ui":
            os.write(terminal.ours, b"make ui\r")
            terminal.until(re.compile(r"opens on http://localhost:3000"))
            _until_the_ui_answers()
            os.write(terminal.ours, b"\x03")
            terminal.until(ENDED)
            continue
        status, shown = terminal.paste(line)
        lacks_the_team = "ncaa-assets find" in line and status == 1  # in the sample, no team plays every day
        assert status == 0 or lacks_the_team, shown
    assert (clone / "data-sample" / "highlights").is_dir()
    for address in opened.read_text("utf-8").splitlines():
        assert Path(address.removeprefix("file://").partition("#")[0]).is_file(), address


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", ["source", "restore", "gallery", "troubleshooting", "archive-format"])
def test_what_a_page_lets_people_type_works_in_a_clone(page: str, clone: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
    within = "cd data-sample\n" if page == "archive-format" else ""  # it speaks of keys, which are paths there
    for block in ["make backup DAY=2025-03-09\n", *shell_blocks(page)]:
        if re.search(r"--serve|make watch|/media/|sqlite3", block):
            continue  # it serves, opens, or needs what a machine may lack
        script = block if block.startswith("make") else within + block
        done = subprocess.run(
            ["bash", "-ec", script], cwd=clone, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, script + done.stdout + done.stderr


def shell_blocks(page: str) -> list[str]:
    text = (PROJECT / "docs" / f"{page}.md").read_text("utf-8")
    return re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def _until_the_ui_answers() -> None:
    deadline = time.monotonic() + 150
    while True:
        try:
            urllib.request.urlopen(f"http://localhost:{UI_PORT}/server_info", timeout=2).close()
            return
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.3)
