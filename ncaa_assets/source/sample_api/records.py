"""The sample API's records of a day's clips and games, made up, in the shape that each module gives them.

`basketball` and `nba` list the same games. An archive that moves from one to the other meets clips that both list under
one id, one that they list under two ids, and one or two that only one of them lists.
"""

from datetime import date
from typing import Any

from ncaa_assets.source.sample_api.games import Game, football, id_of, with_clips, without_clips
from ncaa_assets.source.sample_api.teams import TEAMS, Team

LEAGUE = "NCAA"

# All clips of this day lead to web pages, as those of many real days do: what becomes of them can be seen here.
DAY_OF_PAGES = date(2025, 4, 7)

# Numbers of clips within their day: those below 50 are their game's.
_WEB_PAGE, _TWO_IDS, _BARE, _AT_TIMES_NOT_IN_NBA, _LEAGUE_AS_TEXT = 0, 1, 3, 4, 5
_THE_OTHER_ID, _PRESS_CONFERENCE, _SECOND_OF_FOOTBALL = 51, 60, 99


def highlights(module: str, day: date, base_url: str) -> list[dict[str, Any]]:
    """The clips of a day that a module lists, in its order; their videos lie below `base_url`.

    A Saturday fills more than one page. The first clip of basketball leads to a web page (on `DAY_OF_PAGES` each does),
    the third to a video without sound; the fourth is unverified and lacks all that may be absent. `nba` lists as
    many clips as `basketball`, and on every second day one more. Other sports than these and football have none.
    """
    if module == "basketball":
        return [_basketball_clip(game, base_url) for game in with_clips(day)]
    if module == "nba":
        games = with_clips(day)
        clips = [_us_clip(game, base_url) for game in games]
        if day.toordinal() % 2:
            del clips[_AT_TIMES_NOT_IN_NBA]
        return [*clips, _us_clip(games[0], base_url, _PRESS_CONFERENCE, "Press Conference", "press-conference")]
    if module == "american-football":
        games = football(day)[:-1]
        second = [_us_clip(game, base_url, _SECOND_OF_FOOTBALL, "Best Touchdowns") for game in games[:1]]
        return [*(_us_clip(game, base_url, what="Football Highlights") for game in games), *second]
    return []


def matches(module: str, day: date) -> list[dict[str, Any]]:
    """The games of a day that a module lists: of basketball two more than have clips, of football one."""
    if module == "basketball":
        return [_basketball_match(game) for game in (*with_clips(day), *without_clips(day))]
    if module == "nba":
        return [_us_match(game, by_halves=True) for game in (*with_clips(day), *without_clips(day))]
    if module == "american-football":
        return [_us_match(game, by_halves=False) for game in football(day)]
    return []


def _basketball_clip(game: Game, base_url: str) -> dict[str, Any]:
    title = f"{game.home.college} vs. {game.away.college} - Sample Highlights"
    clip = _clip(game.day, game.number, base_url, title, _basketball_game(game))
    return {**clip, "category": "other"} if game.number == _WEB_PAGE else clip


def _us_clip(
    game: Game,
    base_url: str,
    number: int | None = None,
    what: str = "Full Game Highlights",
    category: str = "match-highlights",
) -> dict[str, Any]:
    number = game.number if number is None else number
    title = f"{game.away.name} vs. {game.home.name} | Sample {what}"
    clip = _clip(game.day, number, base_url, title, _us_game(game))
    if number == _TWO_IDS:
        clip["id"] = id_of(game.day, _THE_OTHER_ID)
    return clip if number == _BARE else {**clip, "category": category}


def _clip(day: date, number: int, base_url: str, title: str, match: dict[str, Any]) -> dict[str, Any]:
    key, page, bare = id_of(day, number), number == _WEB_PAGE or day == DAY_OF_PAGES, number == _BARE
    return {
        "id": key,
        "type": "UNVERIFIED" if bare else "VERIFIED",
        "imgUrl": None,
        "title": title,
        "description": None,
        "url": f"{base_url}/watch?v={key}" if page else f"{base_url}/clips/{key}.mp4",
        "embedUrl": f"{base_url}/embed/{key}" if page else None,
        "channel": None if bare else "Sample",
        "source": None if bare else ("youtube" if page else "sample"),
        "match": match,
    }


def _basketball_game(game: Game) -> dict[str, Any]:
    # Both shapes of `league` were seen in answers for other sports.
    league = {"id": 990001, "name": LEAGUE, "season": game.day.year, "logo": None}
    home, away = (
        {"id": 3000 + TEAMS.index(team), "name": team.college, "logo": None} for team in (game.home, game.away)
    )
    return {
        "id": game.id,
        "date": game.start,
        "round": LEAGUE,
        "country": {"code": "US", "name": "USA", "logo": None},
        "league": LEAGUE if game.number == _LEAGUE_AS_TEXT else league,
        "homeTeam": home,
        "awayTeam": away,
    }


def _us_game(game: Game) -> dict[str, Any]:
    return {
        "id": game.id,
        "date": game.start,
        "season": game.season,
        "round": "Regular Season",
        "league": LEAGUE,
        "homeTeam": {**_us_team(game.home), "league": LEAGUE},
        "awayTeam": _us_team(game.away),
    }


def _us_team(team: Team) -> dict[str, Any]:
    return {
        "id": 5000 + TEAMS.index(team),
        "displayName": team.name,
        "name": team.mascot,
        "abbreviation": team.abbreviation,
        "logo": None,
    }


def _basketball_match(game: Game) -> dict[str, Any]:
    state = {"description": game.state, "clock": None, "score": {"current": _score_as_text(game)}}
    return {**_basketball_game(game), "state": state}


def _us_match(game: Game, *, by_halves: bool) -> dict[str, Any]:
    home, away = game.halves
    state = {
        "description": game.state,
        "period": len(home) or None,
        "clock": None,
        "score": {"homeTeam": home, "awayTeam": away} if by_halves else {"current": _score_as_text(game)},
    }
    venue = {"name": game.venue[0], "city": game.venue[1]} if game.venue else None
    return {**_us_game(game), "state": state, "venue": venue}


def _score_as_text(game: Game) -> str | None:
    home, away = game.halves
    return f"{sum(home)} - {sum(away)}" if game.was_played else None
