"""The sample API's games: who plays whom on a day, when, where and how it ends. Always the same for one date."""

import random
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from ncaa_assets.source.sample_api.teams import TEAMS, Team

SATURDAY = 5
# A game's number within its day; those of games with clips are the clips' too.
_FIRST_WITHOUT_CLIP, _FIRST_OF_FOOTBALL = 80, 90
_FOOTBALL_GAMES = 4


@dataclass(frozen=True)
class Game:
    """One game. `number` is its place in the day, `was_played` False for one that is still to come."""

    day: date
    number: int
    home: Team
    away: Team
    is_football: bool = False
    was_played: bool = True

    @property
    def id(self) -> int:
        return 1_000_000_000 + id_of(self.day, self.number)

    @property
    def start(self) -> str:
        start = datetime(self.day.year, self.day.month, self.day.day, 16 + self.number % 8, tzinfo=UTC)
        return start.strftime("%Y-%m-%dT%H:%M:%S.000Z")

    @property
    def season(self) -> int:
        """A season of basketball is named after the year in which it ends, one of football after that of its start."""
        second_half = self.day.month >= 7
        return self.day.year + second_half - self.is_football

    @property
    def state(self) -> str:
        return "Finished" if self.was_played else "Scheduled"

    @property
    def halves(self) -> tuple[list[int], list[int]]:
        """The points of the home team in each half, and those of the other; without any where it was not played."""
        if not self.was_played:
            return [], []
        chance = random.Random(self.id)  # noqa: S311 - the same made-up score for a game, every time
        least, most = (3, 24) if self.is_football else (24, 48)
        home, away = ([chance.randint(least, most) for _ in range(2)] for _ in range(2))
        if sum(home) == sum(away):
            home[1] += 3
        return home, away

    @property
    def venue(self) -> tuple[str, str] | None:
        """Where it is played, and in which city, as far as it is known."""
        return self.home.stadium if self.is_football else self.home.arena


def id_of(day: date, number: int) -> int:
    """The id of what has this number, up to 99, on a day: a clip, or a part of a game's id."""
    return day.toordinal() % 100_000 * 100 + number


def with_clips(day: date) -> list[Game]:
    """The games of basketball that have clips: 44 on a Saturday, 6 to 12 on any other day."""
    chance = random.Random(day.toordinal())  # noqa: S311 - the same made-up games for a date, every time
    count = 44 if day.weekday() == SATURDAY else 6 + day.toordinal() % 7
    return [_game(day, number, chance.sample(TEAMS, 2)) for number in range(count)]


def without_clips(day: date) -> list[Game]:
    """Two more games of basketball: one that was played, and one that was not."""
    teams = random.Random(f"without clips, {day}").sample(TEAMS, 4)  # noqa: S311
    played, other = (_game(day, _FIRST_WITHOUT_CLIP + place, teams[2 * place :]) for place in range(2))
    return [played, replace(other, was_played=False)]


def football(day: date) -> list[Game]:
    """The games of football: four on a Saturday, of which the last has no clips, and none on any other day."""
    if day.weekday() != SATURDAY:
        return []
    colleges = [team for team in TEAMS if team.plays_football]
    teams = random.Random(f"football, {day}").sample(colleges, 2 * _FOOTBALL_GAMES)  # noqa: S311
    games = (_game(day, _FIRST_OF_FOOTBALL + place, teams[2 * place :]) for place in range(_FOOTBALL_GAMES))
    return [replace(game, is_football=True) for game in games]


def _game(day: date, number: int, teams: list[Team]) -> Game:
    return Game(day, number, home=teams[0], away=teams[1])
