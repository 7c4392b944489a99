"""The match context of a day: the API's matches as they are kept, and what they tell of each highlight's game. No I/O.

A match is read as leniently as a record: what is odd in it is not known, and never an error.
"""

import re
from dataclasses import dataclass
from typing import Any, Self

from ncaa_assets.record import json_text
from ncaa_assets.record.fetch import Matches
from ncaa_assets.record.merge import DEEPEST
from ncaa_assets.record.models import HighlightsDay, game_of, match_id, name_of, team_of

GameColumns = dict[str, Any]

_MOST_POINTS = 9999  # of a side
TWO_SCORES = re.compile(r"([0-9]{1,4})\s*[-–]\s*([0-9]{1,4})")


@dataclass(frozen=True, slots=True)
class Match:
    """A lenient view of one match: only what is joined to the highlights of its game. `score` is the API's own text,
    where its score is one."""

    home: str | None = None
    away: str | None = None
    home_score: int | None = None
    away_score: int | None = None
    state: str | None = None
    score: str | None = None
    venue: str | None = None

    @classmethod
    def parse(cls, record: object) -> Self:
        """The view of a match, with nothing in it where it cannot be understood."""
        if not isinstance(record, dict):
            return cls()
        state = record.get("state")
        if not isinstance(state, dict):
            state = {}
        score = state.get("score")
        if not isinstance(score, dict):
            score = {"current": score}
        text = name_of(score.get("current"))
        home_score, away_score = _scores(score, text)
        return cls(
            home=team_of(record, "homeTeam"),
            away=team_of(record, "awayTeam"),
            home_score=home_score,
            away_score=away_score,
            state=name_of(state.get("description")),
            score=text,
            venue=name_of(record.get("venue")),
        )

    def columns(self) -> GameColumns:
        """What is known of it, as a row has it."""
        columns = {
            "home_team": self.home,
            "away_team": self.away,
            "home_score": self.home_score,
            "away_score": self.away_score,
            "game_state": self.state,
            "score": self.score,
            "venue": self.venue,
        }
        return {name: value for name, value in columns.items() if value is not None}


def merge_matches(stored: HighlightsDay, answer: Matches) -> HighlightsDay:
    """The day's document with its matches. `stored` is left as it is.

    Those of the answer stand first, in its order, and replace earlier ones of the same id; those that it no longer
    lists follow. One without an id, or nested too deep to be read again, is left out.
    """
    fresh: dict[str, dict[str, Any]] = {}
    for record in answer.records:
        key = match_id(record)
        if key is not None and not json_text.is_deeper(record, DEEPEST):
            fresh.setdefault(key, record)
    earlier = [record for record in stored.matches if match_id(record) not in fresh]
    return stored.with_matches([*fresh.values(), *earlier], answer.at)


def context_of(day: HighlightsDay) -> dict[str, GameColumns]:
    """What the day's matches tell of its highlights, by the highlights' ids; those without a match are left out."""
    matches = {key: record for record in reversed(day.matches) if (key := match_id(record)) is not None}
    read = {key: Match.parse(record).columns() for key, record in matches.items()}
    joined = {view.id: read.get(view.match_id or "", {}) for view, _ in day.highlights()}
    return {key: columns for key, columns in joined.items() if columns}


def games_of(day: HighlightsDay) -> dict[str, GameColumns]:
    """What is known of the games of the day's highlights, by the highlights' ids: from their match, else from the
    record itself. What is not known is left out."""
    context = context_of(day)
    games: dict[str, GameColumns] = {}
    for view, _ in day.highlights():
        columns = {"home_team": view.home, "away_team": view.away, **context.get(view.id, {})}
        columns["game"] = game_of(columns["home_team"], columns["away_team"])
        games[view.id] = {name: value for name, value in columns.items() if value is not None}
    return games


def _scores(score: dict[str, Any], text: str | None) -> tuple[int, int] | tuple[None, None]:
    """The points of both sides in the order in which they stand: of a text "82 - 69", or of one list of periods a side.
    Which side of the text is home is not known for sure."""
    if text is not None and (both := TWO_SCORES.fullmatch(text)):
        return int(both[1]), int(both[2])
    if text is None:
        home, away = _points(score.get("homeTeam")), _points(score.get("awayTeam"))
        if home is not None and away is not None:
            return home, away
    return None, None


def _points(periods: object) -> int | None:
    if not isinstance(periods, list) or not periods:
        return None
    points = 0
    for period in periods:
        if isinstance(period, bool) or not isinstance(period, int) or not 0 <= period <= _MOST_POINTS:
            return None
        points += period
    return points if points <= _MOST_POINTS else None
