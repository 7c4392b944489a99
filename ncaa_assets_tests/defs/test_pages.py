"""Dagster's pages in a real browser, on a day whose API says hostile things wherever it says anything: no page loads
anything from elsewhere, and none has a link that the API put into a text."""

import json
import os
import re
import subprocess
import time
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, sync_playwright

from ncaa_assets.settings import Settings
from ncaa_assets_tests.days import KEY
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import game, record, serve_api
from ncaa_assets_tests.loopback.running_ui import CHROMIUM_FLAGS, COMMAND, chromium, launch, running_ui, runs
from ncaa_assets_tests.test_text import is_fit_to_print

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

YESTERDAY = (Settings().today() - timedelta(days=1)).isoformat()
BEFORE = (Settings().today() - timedelta(days=2)).isoformat()
EVIL = (
    '![i](http://evil.test/i.png) <img src="http://evil.test/h.png"> [l](http://evil.test/l) <http://evil.test/a> '
    "HTTPS://evil.test/b www.evil.test/w a@evil.test [r]: http://evil.test/r ![r] http://user:secret@evil.test/ "
    "| `code` http\\://evil.test &#104;ttp://evil.test **b**"
)


def hostile_day(server: ScriptedServer) -> str:
    """The base of an API that lists one day of such texts. Returns the address of its one honest link, too."""
    page = server.on("/page", Reply(b"<html>", content_type="text/html"))
    team = {"name": EVIL, "displayName": EVIL}
    match = {"id": 1, "homeTeam": team, "awayTeam": team}
    records = [
        record(1, page, title=EVIL, channel=EVIL, source=EVIL, type=EVIL, match=match),
        record(2, "http://user:secret@evil.test/x.mp4", title=None, match={"id": 2}),
        {"id": EVIL, "title": EVIL, "url": None},
        {"id": [EVIL], "title": EVIL},
    ]
    api = serve_api(server)
    api.matches["basketball"] = [game(1, id=1, state={"description": EVIL, "score": {"current": EVIL}}, venue=EVIL)]
    plan = {"tier": EVIL, "message": EVIL}
    body = {"data": records, "pagination": {"totalCount": 4}, "plan": plan}
    api.highlights["basketball"] = lambda day: Reply(
        json.dumps(body if day == YESTERDAY else {"message": EVIL}).encode(),
        200 if day == YESTERDAY else 400,
        content_type="application/json",
    )
    return api.base_url


def links_of(page: Page) -> set[str]:
    return {str(link) for link in page.eval_on_selector_all("a", "links => links.map(link => link.href)") if link}


def test_nothing_that_the_api_says_is_loaded_or_linked_by_any_page(server: ScriptedServer, tmp_path: Path) -> None:
    program, base_url = chromium(), hostile_day(server)
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"} | {
        "RAPIDAPI_KEY": KEY, "API_BASE": base_url, "API_MODULE": "basketball", "VIDEO_ALLOW_PRIVATE_HOSTS": "1",
        "RETRY_DELAY": "0", "START_DATE": BEFORE,
    }  # fmt: skip
    subprocess.run([COMMAND, "backup", "--last", "2"], env=environment, capture_output=True, check=False)
    asked: list[str] = []

    with running_ui(tmp_path, environment) as base, sync_playwright() as playwright:

        def note(request: Request) -> None:
            if not request.url.startswith((base, "data:", f"blob:{base}")):
                asked.append(request.url)

        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": 1600, "height": 3000})
        page.on("request", note)
        links: set[str] = set()
        texts = ""
        assets = ("highlights", "backup_rows", "videos", "processed_videos", "gallery")
        views = [f"/assets/{asset}?view=partitions&partition={YESTERDAY}" for asset in assets]
        views += ["/assets/highlights?view=events", "/assets/videos?view=overview"]
        views += ["/assets/videos?view=checks&checkDetail=some_video_could_be_copied"]
        for view in [*views, "/runs", *(f"/runs/{run}" for run in runs(base))]:
            page.goto(base + view)
            page.wait_for_load_state("networkidle")
            links |= links_of(page)
            texts += page.inner_text("body")
            for shown in page.get_by_text("[Show Markdown]").all()[:12]:
                shown.dispatch_event("click")  # another element may lie over it
                page.get_by_role("dialog").wait_for()
                page.wait_for_load_state("networkidle")
                links |= links_of(page)
                texts += page.inner_text("body")
                page.keyboard.press("Escape")
                page.get_by_role("dialog").wait_for(state="detached")
        browser.close()
        run_id = launch(base, BEFORE)
        log = tmp_path / "ui.log"
        deadline = time.monotonic() + 120
        while runs(base)[run_id]["status"] != "FAILURE" or "ALERT" not in log.read_text("utf-8"):
            assert time.monotonic() < deadline, log.read_text("utf-8")
            time.sleep(0.2)

    lines = re.sub(r"\x1b\[\d*m", "", log.read_text("utf-8")).splitlines()  # the colours of Dagster's own log
    assert [line for line in lines if not is_fit_to_print(line)] == []
    assert any("RUN_FAILURE" in line for line in lines), "the worker's log is among them"
    assert "secret" not in "".join(lines)
    assert asked == [], "a page loads what a stranger names"
    assert not [link for link in links if "evil" in link or link.startswith("mailto:")]
    assert server.url("/page") in links, "a title leads to its video"
    assert "evil.test/i.png" in texts, "the API's words are shown as words"
    assert "secret" not in texts
