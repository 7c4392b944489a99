"""When college sports are played: on which days a listing without games is a reason to look. No I/O."""

from datetime import date

_FIRST, _LAST = (11, 7), (4, 5)  # month and day; seasons begin in the first week of November and end in that of April
_HOLIDAYS = {(12, 23), (12, 24), (12, 25), (12, 26)}  # hardly anybody plays
LEAGUE = "ncaa"


def should_have_games(day: date) -> bool:
    """Whether the men's or women's college season has games on a day: nearly every day of it has."""
    at = (day.month, day.day)
    return (at >= _FIRST or at <= _LAST) and at not in _HOLIDAYS


def day_with_games(module: str | None) -> str | None:
    """A day on which a module's college sport was played: for a newcomer whose first day has no games, and for the
    doctor. None where none is known."""
    return _WITH_GAMES.get(module or "")


# A Sunday at the end of the regular season in basketball, a Saturday at the beginning in football.
_WITH_GAMES = {"nba": "2025-03-09", "basketball": "2025-03-09", "american-football": "2025-09-06"}
