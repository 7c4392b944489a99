"""The gallery in Chromium, from a folder and over HTTP: what people see, play and find, and what no page may do."""

import socket
import threading
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe

from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.gallery.search import fold
from ncaa_assets.ui.gallery import application
from ncaa_assets_tests.gallery.site import BUSY, HOSTILE, NEWEST, SECONDS, build
from ncaa_assets_tests.loopback.running_ui import CHROMIUM_FLAGS, chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page, Request
    from playwright.sync_api import Route as RequestRoute

pytestmark = pytest.mark.slow

PAGES = ("index.html", f"{NEWEST}.html", "2025-03-21.html", f"{BUSY}.html", "teams/duke-blue-devils.html",
         "teams/index.html", "seasons/2023-24.html")  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[str]:
    """The gallery's address on loopback, by the server that `ncaa-assets gallery --serve` has."""
    app = application(lambda: LocalStore(site.parent))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/gallery/"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    program = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=CHROMIUM_FLAGS)
        yield running
        running.close()


@pytest.fixture(params=["file", "http"])
def base(request: pytest.FixtureRequest, site: Path) -> str:
    """The gallery's address, from a folder and over HTTP."""
    return f"{site.as_uri()}/" if request.param == "file" else str(request.getfixturevalue("served"))


class Watched:
    """A tab of which every request and everything that the console says is written down."""

    def __init__(self, context: "BrowserContext") -> None:
        self.page = context.new_page()
        self.page.set_default_timeout(20_000)
        self.said: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("requestfailed", self._failed)
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).hostname or "file"))

    def _failed(self, request: "Request") -> None:
        if request.failure != "net::ERR_ABORTED":  # by the browser itself: it seeks, or leaves the page
            self.said.append(f"{request.url} {request.failure}")

    def was_quiet(self) -> bool:
        assert self.said == []
        assert self.hosts in ({"file"}, {"127.0.0.1"})
        return True

    def search(self, words: str) -> "Locator":
        """Searches with the keyboard alone; returns what is found."""
        self.page.keyboard.press("/")
        self.page.keyboard.type(words)
        self.page.locator("#found[aria-busy=false]").wait_for(state="attached")
        return self.page.get_by_role("option")


@pytest.fixture
def tab(browser: "Browser") -> Iterator[Watched]:
    with browser.new_context(viewport={"width": 1400, "height": 900}) as context:
        yield Watched(context)


def until(page: "Page", expression: str) -> None:
    """Waits until something is so on a page. Playwright's own way needs `eval`, which the pages forbid."""
    page.evaluate(
        f"new Promise(done => {{ const look = () => {expression} ? done() : setTimeout(look, 30); look(); }})"
    )


def barriers(page: "Page") -> list[str]:
    """What axe-core finds on a page that keeps people from using it."""
    found = Axe().run(page, options={"preload": False}).response["violations"]  # preloading, it would ask for styles
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found if one["impact"] in ("serious", "critical")]


@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_for_everyone(browser: "Browser", site: Path, scheme: Any, width: int) -> None:
    """Nothing serious that axe-core finds, and nothing to scroll sideways for."""
    with browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900}) as context:
        page = context.new_page()
        paths = ["index.html", f"{NEWEST}.html", "teams/duke-blue-devils.html", "teams/index.html"]
        for path in paths if width == 1400 else paths[:2]:
            page.goto(f"{site.as_uri()}/{path}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            assert barriers(page) == []
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (colour == "rgb(20, 22, 26)") == (scheme == "dark")
        page.keyboard.press("/")
        page.keyboard.type("duke")
        page.get_by_role("option").first.wait_for()
        page.keyboard.press("ArrowDown")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert barriers(page) == []


def test_pages_are_quiet_and_ask_nobody_else(tab: Watched, base: str) -> None:
    """Nothing on the console, and no request to another host, down to the end of each page."""
    for path in PAGES:
        tab.page.goto(base + path)
        tab.page.keyboard.press("End")
        tab.page.locator("footer").wait_for()
    assert tab.was_quiet()


def test_a_video_plays_in_its_place_and_seeks(tab: Watched, base: str) -> None:
    tab.page.goto(f"{base}{NEWEST}.html")
    tab.page.get_by_role("link", name="Duke vs. North Carolina - Game Highlights").click()
    until(tab.page, "document.querySelector('.playing video').currentTime > 0.3")
    tab.page.evaluate(f"document.querySelector('.playing video').currentTime = {SECONDS - 1}")
    until(tab.page, f"document.querySelector('.playing video').currentTime > {SECONDS - 0.9}")
    assert tab.was_quiet()


@pytest.mark.parametrize("card", [0, 1])
def test_a_click_on_the_picture_plays(tab: Watched, site: Path, card: int) -> None:
    """On the index, where the first card is large and the others cut their titles."""
    tab.page.goto(f"{site.as_uri()}/index.html")
    box = tab.page.locator(".tile").nth(card).bounding_box()
    assert box is not None
    tab.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    until(tab.page, "document.querySelector('video')?.currentTime > 0")
    assert tab.page.locator("article").nth(card).locator("video").count() == 1


def test_a_video_that_cannot_be_played_leaves_its_link(tab: Watched, served: str) -> None:
    tab.page.route("**/*.mp4", lambda route: route.fulfill(body="no video", content_type="video/mp4"))
    tab.page.goto(f"{served}{NEWEST}.html")
    tab.page.locator("a[data-play]").first.click()
    tab.page.get_by_role("alert").wait_for()
    assert tab.page.locator("article").first.locator("video").count() == 0
    tab.page.get_by_role("link", name="Duke vs. North Carolina - Game Highlights").click()
    tab.page.wait_for_url("**.mp4")


def test_one_video_plays_at_a_time(tab: Watched, base: str) -> None:
    tab.page.goto(f"{base}{NEWEST}.html")
    tab.page.locator("a[data-play]").nth(0).click()
    until(tab.page, "document.querySelector('video').currentTime > 0")
    tab.page.locator("a[data-play]").nth(1).click()
    until(tab.page, "[...document.querySelectorAll('.playing video')].map(one => one.paused).join() === 'true,false'")


def test_without_scripts_a_day_has_its_players(browser: "Browser", site: Path) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{site.as_uri()}/{NEWEST}.html")
        page.locator("video").first.scroll_into_view_if_needed()
        box = page.locator("video").first.bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + 20, box["y"] + box["height"] - 30)  # the button at its lower left
        assert page.url.endswith(f"{NEWEST}.html"), "no link lies over it"


def test_search_leads_to_a_highlight_with_the_keyboard_alone(tab: Watched, base: str) -> None:
    tab.page.goto(f"{base}teams/index.html")
    found = tab.search("duke game 63")
    assert found.all_inner_texts()[0].startswith("Game 63 of a busy Saturday\nMar 8, 2025")
    tab.page.keyboard.press("Escape")
    found.first.wait_for(state="hidden")
    tab.page.keyboard.press("ArrowDown")
    tab.page.keyboard.press("ArrowDown")
    active = tab.page.locator("#q").get_attribute("aria-activedescendant")
    assert tab.page.locator(f"#{active}").get_attribute("aria-selected") == "true"
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_url(f"**/{BUSY}-2.html#c-2025030863")
    assert tab.page.locator("article:target h3").inner_text() == "Game 63 of a busy Saturday"
    assert tab.was_quiet()


@pytest.mark.parametrize(
    ("words", "first", "said"),
    [
        ("gonzga", "Gonzaga", "“gonzga” read as gonzaga"),
        ("norht caroilna", "North Carolina", "read as north"),
        ("HAWAII stuns", "Gonzaga stuns Hawaiʻi", "1 highlight"),
        ("2025-03-22 duke", "Duke vs. North Carolina", "2 highlights"),
        ("March 22", "Duke vs. North Carolina", "5 highlights"),
        ("22 mar 2025 lost", "", "Nothing found"),
        ("3/22/2025 no more", "Its video is no more", "1 highlight"),
        ("zzzzzzzzqqqq", "", "Nothing found"),
    ],
)  # fmt: skip
def test_search_finds(tab: Watched, served: str, words: str, first: str, said: str) -> None:
    """Teams and titles in whatever case and without their marks, days, and what is misspelt."""
    tab.page.goto(f"{served}index.html")
    tab.page.keyboard.press("/")
    tab.page.keyboard.type(words)
    tab.page.locator(".said", has_text=said).wait_for()
    titles = tab.page.get_by_role("option").all_inner_texts()
    assert titles[0].startswith(first) if first else not titles
    assert tab.was_quiet()


def test_a_letter_is_the_same_to_the_search_of_a_page_and_to_the_terminal(tab: Watched, served: str) -> None:
    letters = (chr(code) for code in (*range(1, 0x3100), *range(0xA000, 0xAC00), *range(0xF900, 0x10000)))
    texts = [f"A{letter}b" for letter in letters if unicodedata.category(letter) not in ("Cn", "Co", "Cs")]
    texts += ["ΣΟΦΟΣ", "İstanbul", "Straße", "MÜNCHEN", "Hawaiʻi", "St. John’s", "\U0001d400\U0001d7ce", "e\u0301"]
    tab.page.goto(f"{served}index.html")
    tab.search("duke")
    folded = tab.page.evaluate("(texts) => texts.map((text) => ncaa.fold(text).trim())", texts)
    assert [(text, one) for text, one in zip(texts, folded, strict=True) if one != fold(text)] == []


def test_the_season_of_the_page_is_searched_first_and_the_others_when_asked(tab: Watched, base: str) -> None:
    tab.page.goto(f"{base}index.html")
    assert tab.search("long ago").all() == []
    tab.page.get_by_role("button", name="Search 1 earlier season too").click()
    tab.page.get_by_role("option", name="Long ago").wait_for()
    assert "2024–25" not in tab.page.locator(".said").inner_text()
    tab.page.goto(f"{base}seasons/2023-24.html")
    assert tab.search("long ago").count() == 1
    assert tab.was_quiet()


def test_a_search_can_be_shared(tab: Watched, base: str) -> None:
    tab.page.goto(f"{base}index.html")
    tab.search("hawaii & more")
    tab.page.wait_for_url("**/index.html#q=hawaii%20%26%20more")
    tab.page.goto("about:blank")
    tab.page.goto(f"{base}index.html#q=hawai%CA%BBi%20stuns")
    tab.page.get_by_role("option", name="Gonzaga stuns").wait_for()
    assert tab.page.locator("#q").input_value() == "hawaiʻi stuns"


def test_hostile_titles_are_text_wherever_they_are_shown(tab: Watched, base: str) -> None:
    for path in ("index.html", f"{NEWEST}.html", "teams/duke-blue-devils.html"):
        tab.page.goto(base + path)
        assert HOSTILE in tab.page.locator("h3").all_inner_texts()
    found = tab.search("window.hacked")
    assert HOSTILE in [text.split("\n")[0] for text in found.all_inner_texts()]
    found.nth(1).click()
    tab.page.wait_for_url("**#c-*")
    assert tab.page.evaluate("window.hacked") is None
    assert tab.page.locator("img[src='x']").count() == 0
    assert tab.was_quiet()


def test_an_odd_id_has_its_place(tab: Watched, base: str) -> None:
    tab.page.goto(f"{base}index.html")
    tab.search("no teams no link").first.click()
    tab.page.wait_for_url(f"**/{NEWEST}.html#c-*")
    assert tab.page.locator("article:target h3").inner_text() == "No teams, no link"


def test_a_clip_of_youtube_is_embedded_when_a_person_asks(tab: Watched, served: str) -> None:
    asked: list[dict[str, str]] = []

    def answer(route: "RequestRoute") -> None:
        asked.append(route.request.all_headers())
        route.fulfill(body="<p>a player</p>", content_type="text/html")

    tab.page.route("https://www.youtube-nocookie.com/**", answer)
    tab.page.goto(f"{served}{NEWEST}.html")
    assert tab.was_quiet()
    tab.page.get_by_role("button", name="Play here, from YouTube").click()
    tab.page.frame_locator("iframe").get_by_text("a player").wait_for()
    (headers,) = asked
    assert headers["referer"] == f"http://{urlsplit(served).netloc}/"
    assert tab.said == []


def test_from_a_folder_a_clip_of_youtube_is_a_link(tab: Watched, site: Path) -> None:
    tab.page.goto(f"{site.as_uri()}/{NEWEST}.html")
    assert tab.page.get_by_role("button", name="Play here").count() == 0
    link = tab.page.get_by_role("link", name="Gonzaga stuns Hawaiʻi")
    assert link.get_attribute("href") == "https://youtu.be/aaaaaaaaaaa"


def test_without_javascript_pages_show_and_videos_open(browser: "Browser", site: Path) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{site.as_uri()}/index.html")
        assert not page.locator("#q").is_visible()
        page.get_by_role("link", name="Duke vs. North Carolina").click()
        page.wait_for_url("**.mp4")


def test_the_skip_link_comes_first_and_focus_can_be_seen(tab: Watched, base: str) -> None:
    tab.page.goto(f"{base}index.html")
    tab.page.keyboard.press("Tab")
    assert tab.page.evaluate("document.activeElement.textContent") == "Skip to the highlights"
    assert tab.page.evaluate("document.activeElement.getBoundingClientRect().top") >= 0
    tab.page.keyboard.press("Tab")
    assert tab.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_on_paper_there_is_no_search_and_no_card_is_torn(tab: Watched, site: Path) -> None:
    tab.page.goto(f"{site.as_uri()}/{NEWEST}.html")
    tab.page.emulate_media(media="print", color_scheme="dark")
    assert not tab.page.locator("#q").is_visible()
    assert tab.page.get_by_text("Duke vs. North Carolina - Game Highlights").is_visible()
    assert tab.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert tab.page.evaluate("getComputedStyle(document.querySelector('.card')).breakInside") == "avoid"
    assert tab.page.pdf().startswith(b"%PDF")


def test_nothing_moves_for_people_who_want_it_still(tab: Watched, site: Path) -> None:
    tab.page.emulate_media(reduced_motion="reduce")
    tab.page.goto(f"{site.as_uri()}/index.html")
    assert tab.page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    assert tab.page.evaluate("getComputedStyle(document.querySelector('.card')).transitionDuration") in ("", "0s")


def test_a_persons_own_css_wins(tab: Watched, site: Path) -> None:
    own = site / "own.css"
    before = own.read_bytes()
    own.write_text("h1 { color: rgb(1, 2, 3) }")
    try:
        tab.page.goto(f"{site.as_uri()}/index.html")
        assert tab.page.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(1, 2, 3)"
    finally:
        own.write_bytes(before)


def test_a_search_that_cannot_be_loaded_says_what_to_do(tab: Watched, site: Path) -> None:
    tab.page.route("**/search/2024-25.js", lambda route: route.abort())
    tab.page.goto(f"{site.as_uri()}/index.html")
    tab.page.keyboard.press("/")
    tab.page.keyboard.type("duke")
    tab.page.locator(".said", has_text="ncaa-assets gallery --rebuild").wait_for()
