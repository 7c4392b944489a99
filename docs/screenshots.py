"""Makes the README's pictures again: a sample day is backed up in a temporary folder and the real UI is photographed.

Needs Chromium on PATH (Debian: apt-get install chromium). `make screenshots` runs it.
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from ncaa_assets_tests.running_ui import CHROMIUM_FLAGS, NO_CHROMIUM, chromium, ui_with_a_sample_day

PICTURES = Path(__file__).parent
DAY = "2025-03-08"


def main() -> None:
    program = chromium()
    if program is None:
        sys.exit(NO_CHROMIUM)
    with (
        tempfile.TemporaryDirectory() as folder,
        ui_with_a_sample_day(Path(folder), DAY) as base,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_FLAGS)
        _photograph(browser.new_page(viewport={"width": 1400, "height": 800}), base)
        browser.close()


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


if __name__ == "__main__":
    main()
