"""A small gallery in a folder, with real videos: two seasons, a day that goes on in a second page, every state that a
highlight can have, and titles that try to be more than text."""

import subprocess
from itertools import groupby
from pathlib import Path

from ncaa_assets.gallery import pages, season
from ncaa_assets.gallery.model import (
    CalendarDay,
    Clip,
    DayPage,
    SeasonPage,
    State,
    Team,
    TeamPage,
    TeamsPage,
    season_of,
)
from ncaa_assets.gallery.teams import team
from ncaa_assets.media.ffmpeg import ffmpeg_program
from ncaa_assets.source.sample_api.clips import make_clip

HOSTILE = "</script><img src=x onerror=\"window.hacked='it ran'\">' \" javascript:alert(1) & {{ 7*7 }}"
NEWEST, BUSY, OLD = "2025-03-22", "2025-03-08", "2024-02-03"
SECONDS = 4  # of the videos that play
_NAMES = ("Duke Blue Devils", "North Carolina Tar Heels", "Gonzaga Bulldogs", "Hawaiʻi Rainbow Warriors", HOSTILE)


def build(root: Path) -> Path:
    """Writes the gallery; returns its folder."""
    _write(root, clips(root))
    return root / "gallery"


def clips(root: Path) -> list[Clip]:
    """Its highlights, the newest day first. Those of the newest day that are kept have a video in `root`."""
    duke, unc, gonzaga, hawaii, hostile = (_team(name) for name in _NAMES)
    link = {"state": State.LINK, "video": None, "poster": None, "seconds": None}
    odd = {"why": HOSTILE, "is_changed": True, "earlier_titles": (HOSTILE,), "is_removed": True, "removed": OLD}
    newest = [
        _clip(NEWEST, 0, "Duke vs. North Carolina - Game Highlights", duke, unc, score="78–66"),
        _clip(NEWEST, 1, HOSTILE, hostile, duke, **odd, source=HOSTILE, score=HOSTILE),
        _clip(NEWEST, 2, "Gonzaga stuns Hawaiʻi", gonzaga, hawaii, **link, url="https://youtu.be/aaaaaaaaaaa",
              youtube="aaaaaaaaaaa", why="Its host sent a web page.", source="youtube"),
        _clip(NEWEST, 3, "Its video is no more", unc, gonzaga, **{**link, "state": State.LOST}),
        _clip(NEWEST, 4, "No teams, no link", None, None, **{**link, "url": None}, id="odd id/%ü\"'<"),
    ]  # fmt: skip
    busy = [
        _clip(BUSY, place, f"Game {place} of a busy Saturday", duke, gonzaga, **link)
        for place in range(pages.CLIPS_A_PAGE + 5)
    ]
    old = [_clip(OLD, 0, "Long ago: Hawaiʻi Rainbow Warriors", hawaii, unc, **link)]
    for clip in newest:
        if clip.video:
            make_clip(root / clip.video, seed=clip.place, seconds=SECONDS)
            still = ["-i", str(root / clip.video), "-frames:v", "1", str(root / str(clip.poster))]
            subprocess.run([ffmpeg_program(), "-loglevel", "error", "-y", *still], check=True)
    return [*newest, *busy, *old]


def _write(root: Path, every: list[Clip]) -> None:
    seasons: dict[str, season.Season] = {}
    made: list[pages.Page] = [*pages.static_files(), (pages.OWN_CSS, pages.OWN_CSS_BEGINS)]
    for day, of_day in groupby(every, lambda clip: clip.day):
        shown = tuple(of_day)
        seasons.setdefault(season_of(day), season.Season(season_of(day))).put(day, shown)
        made += pages.day_pages(DayPage(day, shown))
    seasons[season_of(NEWEST)].put("2025-03-21", ())
    made += pages.day_pages(DayPage("2025-03-21", (), earlier=BUSY, later=NEWEST))
    teams = season.Seasons({name: rows.teams() for name, rows in seasons.items()})
    made.append((season.SEASONS_KEY, teams.to_bytes()))
    for name, rows in seasons.items():
        others = teams.names if name == teams.names[0] else ()
        days = {day: CalendarDay(*counts) for day, counts in rows.counts().items()}
        newest = tuple(rows.cards())[:9]
        made += pages.season_page(SeasonPage(name, others, days, season.by_name(rows.teams()), newest))
        made.append((season.key(name), rows.to_bytes()))
        for slug, cards in rows.of_teams(rows.teams()).items():
            of_team = teams.of_team(slug)
            view = TeamPage(
                Team(rows.teams()[slug], slug), name, of_team if of_team[0] == name else (), cards, is_sample=True
            )
            made += pages.team_pages(view)
    made += pages.teams_page(TeamsPage(teams.all_teams()))
    for key, data in made:
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(data)


def _team(name: str) -> Team:
    found = team(name)
    assert found is not None
    return found


def _clip(day: str, place: int, title: str, home: Team | None, away: Team | None, **values: object) -> Clip:
    number = f"{int(day.replace('-', ''))}{place:02d}"
    key = f"processed_videos/{day}/{number}"
    kept = {"state": State.KEPT, "video": f"{key}.mp4", "poster": f"{key}.jpg", "seconds": SECONDS, "source": "espn"}
    known = {"id": number, "day": day, "title": title, "home": home, "away": away, "place": place}
    return Clip(**{**known, **kept, "url": f"https://media.example/{number}.mp4", **values})  # type: ignore[arg-type]
