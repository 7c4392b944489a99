"""Makes the README's pictures again: a sample day is backed up in a temporary folder and the real UI is photographed.

Needs Chromium on PATH (Debian: apt-get install chromium). `make screenshots` runs it.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

PICTURES = Path(__file__).parent
COMMAND = Path(sys.executable).with_name("ncaa-assets")
DAY = "2025-03-08"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def main() -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("there is no Chromium on PATH; on Debian: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            name: value for name, value in os.environ.items() if name not in ("RAPIDAPI_KEY", "DAGSTER_HOME")
        }
        subprocess.run([COMMAND, "backup", "--date", DAY], cwd=folder, env=environment, check=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        ui = subprocess.Popen([COMMAND, "ui", "--port", str(port)], cwd=folder, env=environment)
        try:
            _wait_for(f"http://127.0.0.1:{port}/server_info", ui)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
                _photograph(browser.new_page(viewport={"width": 1400, "height": 800}), f"http://127.0.0.1:{port}")
                browser.close()
        finally:
            ui.terminate()
            ui.wait()


def _photograph(page: Page, base: str) -> None:
    page.goto(f"{base}/asset-groups")
    page.get_by_text("processed_videos").last.wait_for()
    page.wait_for_timeout(2000)  # the graph zooms into place; nothing on the page tells when it stands
    page.screenshot(path=PICTURES / "asset-graph.png", clip={"x": 0, "y": 0, "width": 1400, "height": 640})

    page.goto(f"{base}/assets/processed_videos?partition={DAY}")
    page.get_by_text("[Show Markdown]").click()
    page.locator("img[src^='data:image/jpeg']").wait_for()
    page.wait_for_timeout(500)
    page.screenshot(path=PICTURES / "poster.png")


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit("the UI ended; see above")
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            time.sleep(0.5)
    sys.exit("the UI did not open within two minutes")


if __name__ == "__main__":
    main()
