"""Makes the README's recording again: a terminal in which a day of the sample is backed up and its page is opened, and
the page, on which a clip plays. What commands print and what the browser shows is real; waiting is cut short.

Needs Chromium on PATH (Debian: apt-get install chromium). `make screenshots` runs it.
"""

import io
import os
import pty
import site
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from ncaa_assets.media.ffmpeg import ffmpeg_program
from ncaa_assets.settings import Settings
from ncaa_assets_tests.loopback.lacking import Lacking
from ncaa_assets_tests.loopback.running_ui import CHROMIUM_FLAGS, chromium

PROJECT = Path(__file__).parents[1]
RECORDING = PROJECT / "docs" / "first-minutes.webp"
COMMANDS = ("make backup", "make watch")
WIDTH, HEIGHT, COLUMNS, ROWS = 1000, 600, 108, 28
LONGEST_PAUSE = 0.7  # seconds between two things that are printed
PLAYED = 2.8  # seconds of the clip
PAGE = f"""<style>
body {{ margin: 0; background: #1b1d23; }}
pre {{ margin: 0; padding: 18px 22px; height: {HEIGHT - 36}px; overflow: hidden; color: #e6e6e6;
      font: 14.2px/20px "DejaVu Sans Mono", Menlo, Consolas, monospace; }}
</style><pre>%s</pre>"""


@dataclass(frozen=True)
class Frame:
    """A picture, and for how many seconds it is seen."""

    picture: bytes
    seconds: float


def main() -> None:
    try:
        program = chromium()
    except Lacking as lacking:
        sys.exit(str(lacking))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        clone = _clone(Path(folder))
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="dark")
        frames: list[Frame] = []
        before = ""
        for command in COMMANDS:
            frames += _typed(page, before, command)
            before += f"$ {command}\r\n"
            shown = [(seconds, text.replace(str(clone), "~/ncaa_assets")) for seconds, text in _printed(clone, command)]
            for (_, text), (seconds, _) in zip(shown, [*shown[1:], (2.0, "")], strict=True):
                frames.append(_terminal(page, before + text, min(seconds, LONGEST_PAUSE)))
            before += shown[-1][1]
            frames.append(_terminal(page, before + "$ ", 1.5))
        frames += _playing(page, (clone.parent / "opened").read_text("utf-8").split()[0])
        browser.close()
    _animate(frames)


def _clone(folder: Path) -> Path:
    """A clone of the repository with the environment that is here; and a browser that notes what it is to open."""
    clone = folder / "ncaa_assets"
    subprocess.run(["git", "clone", "-q", PROJECT, clone], check=True)  # noqa: S603, S607
    environment = clone / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)  # noqa: S603
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "here.pth").write_text(f"import site; site.addsitedir({site.getsitepackages()[0]!r})\n", "utf-8")
    command = environment / "bin" / "ncaa-assets"
    command.write_text(
        f"#!{environment}/bin/python\nimport sys\nfrom ncaa_assets.commands.main import main\nsys.exit(main())\n",
        "utf-8",
    )
    command.chmod(0o755)
    (environment / ".local-ready").touch()
    browser = folder / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> {folder}/opened\n')
    browser.chmod(0o755)
    return clone


def _printed(clone: Path, command: str) -> list[tuple[float, str]]:
    """All that a command has printed on its terminal, each time that it prints more, and the seconds before it."""
    environment = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
    environment |= {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(ROWS)}
    environment |= {"BROWSER": f"{clone.parent}/browser %s"}
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command.split(), cwd=clone, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)  # noqa: S603
    os.close(theirs)
    shown, text, then = [(0.0, "")], "", time.monotonic()
    while True:
        try:
            more = os.read(ours, 65536)
        except OSError:  # on Linux, the end of what the command prints
            break
        if not more:
            break
        text += more.decode("utf-8", "replace")
        shown.append((time.monotonic() - then, text))
        then = time.monotonic()
    os.close(ours)
    if process.wait() != 0:
        sys.exit(f"{command} ended with {process.returncode}:\n{text}")
    return shown


def _typed(page: Page, before: str, command: str) -> list[Frame]:
    steps = range(0, len(command) + 1, 2)
    return [_terminal(page, f"{before}$ {command[:step]}█", 0.09) for step in steps] + [
        _terminal(page, f"{before}$ {command}█", 0.5)
    ]


def _terminal(page: Page, text: str, seconds: float) -> Frame:
    """The last rows of a terminal in which this was printed."""
    console = Console(record=True, file=io.StringIO(), width=COLUMNS, force_terminal=True, color_system="truecolor")
    lines = text.replace("\r\n", "\n").split("\n")[-ROWS:]
    for line in lines:
        console.print(Text.from_ansi(line), no_wrap=False, overflow="fold")
    shown = console.export_html(inline_styles=True, code_format="{code}", theme=MONOKAI)
    page.set_content(PAGE % shown)
    return Frame(page.screenshot(), seconds)


def _playing(page: Page, address: str) -> list[Frame]:
    """The page as it opens, and its first clip while it plays."""
    page.goto(address)
    page.wait_for_load_state("load")
    frames = [Frame(page.screenshot(), 1.5)]
    player = page.locator("a[data-play], video").first
    player.scroll_into_view_if_needed()
    frames.append(Frame(page.screenshot(), 0.8))
    player.click()
    video = page.locator("video").first
    while not video.evaluate("video => video.currentTime > 0.05"):  # the page's policy allows no waiting in it
        page.wait_for_timeout(50)
    start = then = time.monotonic()
    while then - start < PLAYED:
        picture = page.screenshot()
        now = time.monotonic()
        frames.append(Frame(picture, now - then))
        then = now
    return [*frames, Frame(frames[-1].picture, 1.5)]


def _animate(frames: list[Frame]) -> None:
    """Writes the frames as an animated WebP, with their times."""
    with tempfile.TemporaryDirectory() as folder:
        listing = ["ffconcat version 1.0"]
        for number, frame in enumerate(frames):
            (Path(folder) / f"{number}.png").write_bytes(frame.picture)
            listing += [f"file {number}.png", f"duration {frame.seconds:.3f}"]
        (Path(folder) / "frames.txt").write_text("\n".join([*listing, f"file {len(frames) - 1}.png"]), "utf-8")
        command = [ffmpeg_program(), "-loglevel", "error", "-y", "-f", "concat", "-i", f"{folder}/frames.txt"]
        command += [
            "-fps_mode",
            "vfr",
            "-c:v",
            "libwebp_anim",
            "-quality",
            "60",
            "-compression_level",
            "6",
            "-loop",
            "0",
        ]
        subprocess.run([*command, str(RECORDING)], check=True)  # noqa: S603


if __name__ == "__main__":
    main()
