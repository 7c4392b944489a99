"""Makes the pictures of the README and of the docs again: days of the sample are backed up in a temporary folder, and
the real UI and the gallery are photographed.

Needs Chromium on PATH (Debian: apt-get install chromium). `make screenshots` runs it.
"""

import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from ncaa_assets.media.ffmpeg import ffmpeg_program
from ncaa_assets.settings import Settings
from ncaa_assets_tests.loopback.lacking import Lacking
from ncaa_assets_tests.loopback.running_ui import CHROMIUM_FLAGS, chromium, ui_with_a_sample

PICTURES = Path(__file__).parent
BACKED_UP = 10  # days, of
PARTITIONS = 14
WIDTH, HEIGHT = 1400, 800
PHONE = {"width": 390, "height": 780}
VIDEOS = 5  # a day


def main() -> None:
    try:
        program = chromium()
    except Lacking as lacking:
        sys.exit(str(lacking))
    first = Settings().today() - timedelta(days=PARTITIONS)
    with (
        tempfile.TemporaryDirectory() as folder,
        ui_with_a_sample(
            Path(folder), "--last", str(BACKED_UP), START_DATE=first.isoformat(), VIDEO_COUNT=str(VIDEOS)
        ) as base,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        newest = (Settings().today() - timedelta(days=1)).isoformat()
        _hide_navigation(page, base)
        _graph(page, base)
        _plots(page, base)
        _partitions(page, base, newest)
        _run(page, base, newest)
        _poster(page, base, newest)
        _gallery(browser, Path(folder, "data-sample", "gallery"))
        browser.close()


def _hide_navigation(page: Page, base: str) -> None:
    page.goto(f"{base}/automation")
    page.get_by_text("Hide navigation").click()


def _graph(page: Page, base: str) -> None:
    page.goto(f"{base}/asset-groups")
    page.get_by_text("Passed").nth(3).wait_for()
    _save(page, "asset-graph", height=660)


def _plots(page: Page, base: str) -> None:
    page.set_viewport_size({"width": WIDTH, "height": 1200})
    page.goto(f"{base}/assets/highlights")
    page.get_by_text("Plots", exact=True).click()
    for heading in ("Status", "Description"):
        page.get_by_text(heading, exact=True).first.click()  # folds it away
    page.get_by_text("removed_upstream", exact=True).wait_for()
    _save(page, "plots", height=1200)


def _partitions(page: Page, base: str, day: str) -> None:
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    page.goto(f"{base}/assets/highlights?view=partitions&partition={day}")
    page.get_by_text(f"Materialized ({BACKED_UP})").wait_for()
    page.get_by_text("[Show Markdown]").wait_for()
    _save(page, "partitions")


def _run(page: Page, base: str, day: str) -> None:
    page.set_viewport_size({"width": WIDTH, "height": 1150})
    page.goto(f"{base}/runs")
    page.locator("a[href^='/runs/']").first.click()  # the newest, which a range ends with
    page.get_by_text(f"partition: {day}").wait_for()
    page.get_by_text("RUN_SUCCESS").wait_for()
    _save(page, "run", height=1150)


def _poster(page: Page, base: str, day: str) -> None:
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    page.goto(f"{base}/assets/processed_videos?partition={day}")
    page.get_by_text("[Show Markdown]").click()
    page.locator("img[src^='data:image/jpeg']").wait_for()
    _save(page, "poster")


def _gallery(browser: Browser, folder: Path) -> None:
    """The gallery as it opens from the archive's folder."""
    busiest = max(folder.glob("20*.html"), key=lambda page: page.stat().st_size)
    light = browser.new_page(viewport={"width": WIDTH, "height": 1000}, color_scheme="light")
    light.goto((folder / "index.html").as_uri())
    _save(light, "gallery", height=1000)
    light.keyboard.press("/")
    light.keyboard.type("gonzga")
    light.get_by_role("option").nth(1).wait_for()
    _save(light, "gallery-search", height=640)
    dark = browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme="dark")
    dark.goto(busiest.as_uri())
    _save(dark, "gallery-day", height=900)
    phone = browser.new_page(viewport=PHONE, color_scheme="light")  # type: ignore[arg-type]
    phone.goto((folder / "teams" / "duke-blue-devils.html").as_uri())
    _save(phone, "gallery-phone", width=PHONE["width"], height=PHONE["height"])


def _save(page: Page, name: str, *, width: int = WIDTH, height: int = HEIGHT) -> None:
    """A picture of the page's upper part, in few enough colours to be small."""
    page.wait_for_timeout(2000)  # graphs and plots move into place; nothing on the page tells when they stand
    clip = {"x": 0, "y": 0, "width": width, "height": height}
    picture = page.screenshot(clip=clip)  # type: ignore[arg-type]
    few = "split[a][b];[a]palettegen=max_colors=96[p];[b][p]paletteuse=dither=none"
    target = PICTURES / f"{name}.png"
    command = [ffmpeg_program(), "-loglevel", "error", "-y", "-f", "png_pipe", "-i", "-", "-vf", few, str(target)]
    subprocess.run(command, input=picture, check=True)  # noqa: S603


if __name__ == "__main__":
    main()
