"""The sample API's records: made up, of the real ones' shape, and always the same for one date."""

import random
from datetime import UTC, date, datetime
from typing import Any

_TEAMS = [
    "Duke", "North Carolina", "Houston", "Baylor", "Auburn", "Alabama", "Florida", "Ole Miss", "Purdue", "Illinois",
    "Gonzaga", "Saint Mary's", "UConn", "Seton Hall", "Kansas", "Arizona", "Michigan State", "Michigan", "Texas Tech",
    "Arizona State", "St. John's", "Marquette", "Wisconsin", "Penn State", "Tennessee", "Kentucky", "San José State",
    "Hawaiʻi",
]  # fmt: skip


def records_of(day: date, base_url: str) -> list[dict[str, Any]]:
    """A day's records, in the order in which the API lists them; their videos lie below `base_url`.

    A Saturday has 44 records, more than one page. The first record of each day leads to a web page (as every clip of
    some leagues does), the third to a video without sound; the fourth is unverified and lacks all that may be absent.
    """
    chance = random.Random(day.toordinal())  # noqa: S311 - the same made-up games for a date, every time
    count = 44 if day.weekday() == 5 else 6 + day.toordinal() % 7
    return [_record(day, index, chance, base_url) for index in range(count)]


def _record(day: date, index: int, chance: random.Random, base_url: str) -> dict[str, Any]:
    key = day.toordinal() % 100_000 * 100 + index
    home, away = chance.sample(_TEAMS, 2)
    start = datetime(day.year, day.month, day.day, 16 + index % 8, tzinfo=UTC)
    page, bare = index == 0, index == 3
    return {
        "id": key,
        "type": "UNVERIFIED" if bare else "VERIFIED",
        "imgUrl": None,
        "title": f"{home} vs. {away} - Sample Highlights",
        "description": None,
        "url": f"{base_url}/watch?v={key}" if page else f"{base_url}/clips/{key}.mp4",
        "embedUrl": f"{base_url}/embed/{key}" if page else None,
        "channel": None if bare else "Sample",
        "source": None if bare else ("youtube" if page else "sample"),
        "match": {
            "id": 1_000_000_000 + key,
            "date": start.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "round": "NCAA",
            "country": {"code": "US", "name": "USA", "logo": None},
            # Both shapes of `league` were seen in answers for other sports.
            "league": "NCAA" if index == 5 else {"id": 11847, "name": "NCAA", "season": day.year, "logo": None},
            "homeTeam": {"id": 3000 + _TEAMS.index(home), "name": home, "logo": None},
            "awayTeam": {"id": 3000 + _TEAMS.index(away), "name": away, "logo": None},
        },
        **({"category": "other"} if page else {}),
    }
