"""The pages as text: what they hold, where they lead, how long they are, and that no title becomes markup."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from ncaa_assets.gallery import pages
from ncaa_assets.gallery.model import CalendarDay, Card, Clip, DayPage, SeasonPage, State, Team, TeamPage, TeamsPage
from ncaa_assets_tests.gallery.views import DAY, DUKE, UNC, a_card, a_clip, a_season

HOSTILE = "</script><img src=x onerror=alert(1)>\"'\u202e javascript:alert(1) & {{ 7*7 }}"


class Parsed(HTMLParser):
    """A page's elements, with their attributes, and its text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def links(self) -> list[str]:
        return [str(link["href"]) for link in self.all("a")]


def the(made: list[pages.Page]) -> Parsed:
    ((_, page),) = made
    return Parsed(page)


def policy(page: Parsed) -> str:
    (meta,) = [meta for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    return str(meta["content"])


def every_kind() -> list[pages.Page]:
    return [
        *pages.day_pages(DayPage(DAY, (a_clip(),), "2025-03-08", "2025-03-10")),
        *pages.team_pages(TeamPage(DUKE, "2023-24", (), (a_card(),))),
        *pages.season_page(a_season()),
        *pages.teams_page(TeamsPage((DUKE, UNC))),
    ]


def test_a_kept_clip_links_its_video_and_shows_its_poster_and_facts() -> None:
    page = the(pages.day_pages(DayPage(DAY, (a_clip(seconds=192, score="78–66", source="espn"),))))
    (video,) = [link for link in page.all("a") if "data-play" in link]
    assert video["href"] == f"../processed_videos/{DAY}/105170.mp4"
    (poster,) = [image for image in page.all("img") if image.get("loading")]
    assert poster == {
        "src": f"../processed_videos/{DAY}/105170.jpg",
        **{"alt": "", "loading": "lazy", "decoding": "async", "width": "640", "height": "360"},
    }
    for told in ("Sunday, March 9, 2025", "3:12", "78", "66", "espn", "Kept", "Duke", "1 highlight: 1 kept"):
        assert told in page.text


def test_a_link_says_why_it_is_none_but_that_and_leaves_without_a_trace() -> None:
    clip = a_clip(state=State.LINK, video=None, poster=None, why="Its host sent a web page.", url="https://a.example/1")
    page = the(pages.day_pages(DayPage(DAY, (clip,))))
    assert "Link only" in page.text
    assert "Its host sent a web page." in page.text
    outward = [link for link in page.all("a") if str(link["href"]).startswith("https:")]
    assert outward
    assert all(link["rel"] == "noopener noreferrer" for link in outward)


def test_removals_and_changes_are_told_with_the_earlier_titles() -> None:
    clip = a_clip(is_removed=True, removed="2025-03-12", is_changed=True, earlier_titles=("Duke at Carolina",))
    page = the(pages.day_pages(DayPage(DAY, (clip,))))
    assert "Removed upstream since Mar 12, 2025" in page.text
    assert "Changed" in page.text
    assert "Duke at Carolina" in page.text


@pytest.mark.parametrize("clip", [a_clip(), a_card()])
def test_hostile_text_stays_text(clip: Card) -> None:
    team = Team(HOSTILE, "duke")
    values = {"title": HOSTILE, "score": HOSTILE, "source": HOSTILE, "home": team, "away": team}
    if isinstance(clip, Clip):
        odd = replace(clip, **values, why=HOSTILE, earlier_titles=(HOSTILE,), is_changed=True)  # type: ignore[arg-type]
        made = pages.day_pages(DayPage(DAY, (odd,), league=HOSTILE))
    else:
        card = replace(clip, **values)  # type: ignore[arg-type]
        made = [
            *pages.team_pages(TeamPage(team, "2024-25", ("2024-25",), (card,), league=HOSTILE)),
            *pages.season_page(replace(a_season(), newest=(card,), teams=(team,), league=HOSTILE)),
            *pages.teams_page(TeamsPage((team,), league=HOSTILE)),
        ]
    for _, page in made:
        parsed = Parsed(page)
        assert HOSTILE in parsed.text
        assert [script["src"] for script in parsed.all("script")] == scripts(parsed)
        assert not any(name.startswith("on") for _, attributes in parsed.elements for name in attributes)
        assert not any(link.startswith("javascript:") for link in parsed.links())


def scripts(page: Parsed) -> list[str]:
    return [f"{page.all('html')[0]['data-top']}assets/gallery.js"]


def test_no_page_has_inline_code_and_each_forbids_it() -> None:
    for _, page in every_kind():
        parsed = Parsed(page)
        assert all(script.get("src") for script in parsed.all("script"))
        assert not parsed.all("style")
        assert not any("style" in attributes for _, attributes in parsed.elements)
        assert policy(parsed).startswith("default-src 'none';")
        assert "unsafe" not in policy(parsed)
        assert "base-uri 'none'; form-action 'none'" in policy(parsed)


def test_only_a_page_with_something_to_embed_may_frame() -> None:
    embeds = a_clip(state=State.LINK, video=None, url="https://youtu.be/aaaaaaaaaaa", youtube="aaaaaaaaaaa")
    assert "frame-src https://www.youtube-nocookie.com" in policy(the(pages.day_pages(DayPage(DAY, (embeds,)))))
    assert not any("frame-src" in policy(Parsed(page)) for _, page in every_kind())


def test_every_link_between_pages_leads_to_a_page() -> None:
    """Of a site with two seasons, a day that goes on in a second page, and a team that does."""
    seasons = ("2024-25", "2023-24")
    count = pages.CLIPS_A_PAGE + 1
    clips = tuple(a_clip(id=str(number), place=number) for number in range(count))
    cards = tuple(a_card(id=str(number), place=number) for number in range(count))
    old = a_card(id="9", day="2024-02-01")
    made = [
        *pages.day_pages(DayPage(DAY, clips)),
        *pages.day_pages(DayPage("2025-03-10", (), earlier=DAY)),
        *pages.day_pages(DayPage("2024-02-01", (a_clip(id="9", day="2024-02-01"),))),
        *pages.season_page(replace(a_season(), seasons=seasons, newest=cards)),
        *pages.season_page(replace(a_season(), season="2023-24", seasons=(), newest=(old,), days={})),
        *pages.teams_page(TeamsPage((DUKE, UNC))),
    ]
    for team in (DUKE, UNC):
        made += pages.team_pages(TeamPage(team, "2024-25", seasons, cards))
        made += pages.team_pages(TeamPage(team, "2023-24", (), (old,)))
    site = dict(made)
    assert len(site) == len(made)
    ids = {key: {attributes.get("id") for _, attributes in Parsed(page).elements} for key, page in site.items()}
    followed = 0
    for key, page in site.items():
        for link in Parsed(page).links():
            parts = urlsplit(urljoin(f"https://archive.example/{key}", link))
            if parts.path.endswith(".html"):
                assert unquote(parts.path[1:]) in site, (key, link)
                assert not parts.fragment or parts.fragment in ids[unquote(parts.path[1:])], (key, link)
                followed += 1
    assert followed > 4 * count


@pytest.mark.parametrize("highlight", ["105170", "url-0f3a", "a b/ü%'()*\"<", "\ud800", ""])
def test_a_highlight_has_a_place_on_its_page_whatever_its_id(highlight: str) -> None:
    page = the(pages.day_pages(DayPage(DAY, (a_clip(id=highlight),))))
    assert [card["id"] for card in page.all("article")] == [pages.anchor(highlight)]
    assert re.fullmatch(r"[!-~]+", pages.anchor(highlight))


def test_pages_stay_below_100_kb() -> None:
    """On a day with 150 clips, of which every fact is known."""
    long = "Gonzaga Bulldogs vs. Saint Mary's Gaels | WCC Tournament Championship Highlights | ESPN College Basketball"
    clips = tuple(
        a_clip(
            **{"id": str(105170 + number), "title": long, "place": number, "source": "espn", "score": "78–66"},
            **{"is_removed": True, "removed": DAY, "is_changed": True, "earlier_titles": (long,), "seconds": 600},
            url=f"https://media.video-cdn.espn.com/motion/2025/0309/ss_{number}_2416101/ss_{number}_360p30_1464k.mp4",
        )
        for number in range(150)
    )
    made = pages.day_pages(DayPage(DAY, clips))
    assert [key for key, _ in made] == [f"gallery/{DAY}{part}.html" for part in ("", "-2", "-3")]
    made += pages.team_pages(TeamPage(DUKE, "2024-25", ("2024-25",), clips))
    days = {f"2025-{month:02d}-{day:02d}": CalendarDay(99, 99) for month in range(1, 7) for day in range(1, 29)}
    teams = tuple(
        Team(f"A College of the {number}th District", f"a-college-of-the-{number}th") for number in range(362)
    )
    made += pages.season_page(SeasonPage("2024-25", ("2024-25",), days, teams, clips[:9]))
    made += pages.teams_page(TeamsPage(teams))
    assert max(len(page) for _, page in made) < 100_000


def test_a_day_without_games_an_empty_archive_and_the_sample_say_so() -> None:
    assert "no highlights on this day" in the(pages.day_pages(DayPage(DAY, ()))).text
    empty = the(pages.season_page(SeasonPage("2024-25", ("2024-25",))))
    assert "Nothing is here yet" in empty.text
    assert "No team is here yet" in the(pages.teams_page(TeamsPage(()))).text
    assert "made up" not in empty.text
    assert "made up" in the(pages.day_pages(DayPage(DAY, (), is_sample=True))).text


def test_the_calendar_marks_what_is_kept() -> None:
    page = the(pages.season_page(a_season()))
    days = {link["href"]: link for link in page.all("a") if "title" in link}
    assert days[f"{DAY}.html"]["title"] == "March 9: 12 highlights, 10 kept"
    assert "has" in str(days[f"{DAY}.html"]["class"]).split()
    assert days["2025-03-10.html"]["title"] == "March 10: no games"
    assert "has" not in str(days["2025-03-10.html"]["class"]).split()


def test_the_static_files_have_the_library_with_its_licence() -> None:
    files = dict(pages.static_files())
    assert b"MiniSearch 7.2.0" in files["gallery/assets/minisearch.js"][:200]
    assert b"Permission is hereby granted, free of charge" in files["gallery/assets/minisearch.LICENSE.txt"]
    assert sum(map(len, files.values())) < 100_000
