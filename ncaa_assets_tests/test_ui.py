"""The UI that `ncaa-assets ui` opens, asked as a browser asks it, and looked at in one."""

import os
from collections.abc import Iterator

import pytest

from ncaa_assets_tests.days import DAY
from ncaa_assets_tests.running_ui import CHROMIUM_FLAGS, NO_CHROMIUM, ask, chromium, ui_with_a_sample_day

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ui_with_a_sample_day(tmp_path_factory.mktemp("ui"), DAY) as base:
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
    assert len(run["assetMaterializations"]) == 4


def test_the_four_assets_are_there_with_descriptions_and_their_day(ui: str) -> None:
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


def test_a_person_sees_the_graph_and_the_poster_in_a_browser(ui: str) -> None:
    program = chromium()
    if program is None and not os.environ.get("CI"):
        pytest.skip(NO_CHROMIUM)
    assert program is not None, "CI must have Chromium"
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 800})
        page.goto(f"{ui}/asset-groups")
        for name in ("highlights", "backup_rows", "videos", "processed_videos"):
            page.get_by_text(name, exact=True).first.wait_for()
        page.get_by_text("sample").first.wait_for()

        page.goto(f"{ui}/assets/processed_videos?partition={DAY}")
        page.get_by_text("[Show Markdown]").click()
        picture = page.locator("img[src^='data:image/jpeg']")
        picture.wait_for()
        assert picture.evaluate("image => image.naturalWidth") == 640
        browser.close()
