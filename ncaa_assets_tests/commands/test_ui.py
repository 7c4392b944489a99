"""The UI that `ncaa-assets ui` opens, through its HTTP API and in a real browser."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from click.testing import Result

from ncaa_assets.commands.ui import _asked_to_end
from ncaa_assets.runs.alerts import run_link
from ncaa_assets.settings import Settings
from ncaa_assets_tests.loopback.running_ui import CHROMIUM_FLAGS, ask, chromium, free_port, ui_with_a_sample

if TYPE_CHECKING:
    from playwright.sync_api import Page

# The last Saturday: the sample lists many games on Saturdays, and the UI plots the newest partitions.
_YESTERDAY = Settings().today() - timedelta(days=1)
_SATURDAY = _YESTERDAY - timedelta(days=(_YESTERDAY.weekday() - 5) % 7)
DAY, FIRST_DAY = _SATURDAY.isoformat(), (_SATURDAY - timedelta(days=3)).isoformat()

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ui_with_a_sample(tmp_path_factory.mktemp("ui"), "--date", DAY, START_DATE=FIRST_DAY) as base:
        yield base


def test_the_commands_run_is_there_as_an_ordinary_run_of_the_daily_job(ui: str) -> None:
    (run,) = ask(
        ui,
        "{ runsOrError { ... on Runs { results { jobName status tags { key value } repositoryOrigin "
        "{ repositoryName repositoryLocationName } assetMaterializations { assetKey { path } } } } } }",
    )["runsOrError"]["results"]
    assert (run["jobName"], run["status"]) == ("daily_backup", "SUCCESS")
    assert {"key": "dagster/partition", "value": DAY} in run["tags"]
    assert run["repositoryOrigin"] == {"repositoryName": "__repository__", "repositoryLocationName": "ncaa_assets"}
    assert len(run["assetMaterializations"]) == 5


def test_the_five_assets_are_there_with_descriptions_and_their_day(ui: str) -> None:
    nodes = ask(
        ui,
        "{ assetNodes { assetKey { path } description dependencyKeys { path } partitionStats { numMaterialized } "
        "assetMaterializations(limit: 1) { partition } } }",
    )["assetNodes"]
    assert {node["assetKey"]["path"][0]: [key["path"][0] for key in node["dependencyKeys"]] for node in nodes} == {
        "highlights": [],
        "backup_rows": ["highlights"],
        "videos": ["highlights"],
        "processed_videos": ["videos"],
        "gallery": ["backup_rows", "processed_videos"],
    }
    for node in nodes:
        assert "day" in node["description"]
        assert "**" not in node["description"], "the catalog shows Markdown as it stands"
        assert node["partitionStats"]["numMaterialized"] == 1
        assert node["assetMaterializations"] == [{"partition": DAY}]


def test_the_daily_schedule_is_on_at_six(ui: str) -> None:
    schedule = ask(
        ui,
        '{ scheduleOrError(scheduleSelector: {repositoryName: "__repository__", repositoryLocationName: "ncaa_assets", '
        'scheduleName: "daily_backup_schedule"}) { ... on Schedule '
        "{ cronSchedule executionTimezone scheduleState { status } } } }",
    )["scheduleOrError"]
    assert schedule["cronSchedule"] == "0 6 * * *"
    assert schedule["executionTimezone"] == "America/New_York"
    assert schedule["scheduleState"]["status"] == "RUNNING"


@pytest.fixture(scope="module")
def page(ui: str) -> Iterator["Page"]:
    """A tab of a real browser."""
    program = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_FLAGS)
        tab = browser.new_page(viewport={"width": 1400, "height": 1000})
        tab.set_default_timeout(60_000)
        yield tab
        browser.close()


def sees(page: "Page", *texts: str) -> None:
    """Waits until each of these texts is fully visible on the page. A text that never appears fails by timeout."""
    for text in texts:
        page.get_by_text(text, exact=True).first.wait_for()


def test_a_person_sees_the_graph_with_what_each_asset_is_and_that_its_checks_passed(ui: str, page: "Page") -> None:
    page.goto(f"{ui}/automation")
    page.get_by_text("Hide navigation").click()  # beside it, the graph of five assets is too small for details
    page.goto(f"{ui}/asset-groups")
    sees(page, "highlights", "backup_rows", "videos", "processed_videos", "gallery")
    sees(page, "json", "Table", "SQLite", "mp4", "h264", "html", "File", "sample")
    sees(page, "4 / 4 Passed", "1 / 1 Passed", "2 / 2 Passed")


def test_a_person_comes_from_the_asset_to_the_days_page_and_watches_a_video(ui: str, page: "Page") -> None:
    page.goto(f"{ui}/assets/gallery?partition={DAY}")
    sees(page, "open_elsewhere")
    page.locator("img[src^='/processed_videos/']").wait_for()
    asked: list[str] = []
    with page.expect_popup() as opened:
        page.locator(f"a[href='/gallery/{DAY}.html']").first.click()
    watched = opened.value
    watched.on("request", lambda request: asked.append(request.url))
    watched.locator("[data-play]").first.click()
    assert watched.url == f"{ui}/gallery/{DAY}.html"
    watched.evaluate(  # the page's policy lets nothing else wait in it
        "() => new Promise(done => { const look = () => document.querySelector('video')?.currentTime > 0 ? done() : "
        "setTimeout(look, 50); look(); })"
    )
    assert all(url.startswith(ui) for url in asked)
    watched.close()


def test_a_person_sees_the_run_its_day_its_assets_and_its_checks(ui: str, page: "Page") -> None:
    page.goto(f"{ui}/runs")
    sees(page, "daily_backup", "Success")
    page.locator("a[href^='/runs/']").first.click()
    sees(page, "Success", f"partition: {DAY}", "5 assets", "10 checks", "RUN_SUCCESS")
    page.get_by_text("5 assets", exact=True).hover()
    page.get_by_text("View lineage", exact=True).click()
    page.wait_for_url("**/asset-groups**")
    sees(page, "highlights", "backup_rows", "videos", "processed_videos", "gallery")


def test_a_person_sees_an_assets_numbers_over_time(ui: str, page: "Page") -> None:
    page.goto(f"{ui}/assets/highlights")
    sees(page, "The day's highlights, as the Sport Highlights API lists them.", "SAMPLE_ncaa_highlights")
    page.get_by_text("Plots", exact=True).click()
    sees(page, "highlights", "new", "api_requests_left_today", "api_seconds")
    page.locator("canvas").first.wait_for()


def test_a_person_sees_which_days_are_there_and_what_is_in_one(ui: str, page: "Page") -> None:
    page.goto(f"{ui}/assets/highlights?view=partitions&partition={DAY}")
    sees(page, "Materialized (1)", "Failed (0)", DAY)
    page.get_by_text("[Show Markdown]").click()
    listing = page.get_by_role("dialog")
    listing.get_by_text("Sample Full Game Highlights").first.wait_for()
    assert listing.locator("a[href*='/clips/']").count() > 0


def test_a_person_sees_what_a_check_asserts_and_its_evidence(ui: str, page: "Page") -> None:
    page.goto(f"{ui}/assets/videos?view=checks&checkDetail=copies_are_intact")
    sees(
        page, "Every copy that the day's manifest names is in the store with its size and sha256.", "blocking", "Passed"
    )
    sees(page, "key", "stored", "equal")


def test_a_person_sees_the_schedule_and_that_it_is_on(ui: str, page: "Page") -> None:
    page.goto(f"{ui}/locations/ncaa_assets/schedules/daily_backup_schedule")
    sees(page, "America/New_York", "(0 6 * * *)")
    assert page.get_by_role("switch").or_(page.locator("input[type=checkbox]")).first.is_checked()


def test_a_person_sees_the_poster_of_the_days_first_video(ui: str, page: "Page") -> None:
    page.goto(f"{ui}/assets/processed_videos?partition={DAY}")
    page.get_by_text("[Show Markdown]").click()
    picture = page.locator("img[src^='data:image/jpeg']")
    picture.wait_for()
    assert picture.evaluate("image => image.naturalWidth") == 640


@pytest.mark.parametrize(
    ("options", "given", "links_to"),
    [
        (["--port", "{port}"], None, "http://localhost:{port}"),
        (["--port", "{port}", "--host", "127.0.0.2"], None, "http://127.0.0.2:{port}"),
        (["--port", "{port}"], "https://dagster.example", "https://dagster.example"),
    ],
)
def test_alerts_link_to_the_address_that_the_ui_has(
    run: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    given: str | None,
    links_to: str,
) -> None:
    """They led to port 3000 whatever `--port` said, unless UI_URL was set too."""
    links = []

    def end_at_once(*_: object, **__: object) -> None:
        links.append(run_link(Settings.from_environment(), "1"))
        raise KeyboardInterrupt

    monkeypatch.setattr("ncaa_assets.commands.ui._run", end_at_once)
    monkeypatch.setenv("UI_URL", "")  # so that what the command sets is undone
    port = str(free_port())
    result = run("ui", *[option.format(port=port) for option in options], **({"UI_URL": given} if given else {}))
    assert result.exit_code == 0, result.stderr
    assert links == [f"{links_to}/runs/1".format(port=port)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_whose_exception_python_swallows_is_remembered(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It met a finalizer in the middle of an import: the UI went on as if nobody had asked, or printed a traceback."""
    printed: list[sys.UnraisableHookArgs] = []
    monkeypatch.setattr(sys, "unraisablehook", printed.append)

    class Finalized:
        def __del__(self) -> None:
            os.kill(os.getpid(), number)
            time.sleep(0)  # a handler runs between two instructions

    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        asked = _asked_to_end()
        Finalized()
        assert asked.is_set()
        assert printed == []
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
