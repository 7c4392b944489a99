"""A page of the API as its documentation and published samples show it: records with their matches."""

import json
from typing import Any

from ncaa_assets_tests.loopback.http_server import Handler, Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import API_PATH

DAY = "2025-03-09"
QUOTA = {"x-ratelimit-requests-limit": "100", "x-ratelimit-requests-remaining": "77"}


def record(number: int) -> dict[str, Any]:
    """A record with every documented field."""
    key = 105170 + number
    return {
        "id": key,
        "type": "VERIFIED",
        "imgUrl": f"https://media.example/thumb_{key}.jpg",
        "title": f"Team {number} vs. Team {number + 1} - Game Highlights",
        "description": None,
        "url": f"https://media.example/motion/2025/0309/ss_{key}_360p30_1464k.mp4",
        "embedUrl": None,
        "channel": "ESPN",
        "source": "espn",
        "match": {
            "id": 10**6 + key,
            "date": "2025-03-09T16:00:00.000Z",
            "round": "NCAA",
            "country": {"code": "US", "name": "USA", "logo": None},
            "league": {"id": 990001, "name": "NCAA", "season": 2025, "logo": None},
            "homeTeam": {"id": 3 * 10**6 + key, "name": f"Team {number}", "logo": None},
            "awayTeam": {"id": 4 * 10**6 + key, "name": f"Team {number + 1}", "logo": None},
        },
    }


def page_of(records: list[Any], *, total: int | None = None) -> dict[str, Any]:
    """The whole body of a first page."""
    return {
        "data": records,
        "pagination": {"totalCount": len(records) if total is None else total, "offset": 0, "limit": 40},
        "plan": {"tier": "BASIC", "message": "All data available with current plan."},
    }


def serve(server: ScriptedServer, body: Any, *, headers: dict[str, str] | None = None) -> str:
    """Answers every listing with this body, and returns the URL."""

    def answer(handler: Handler) -> None:
        Reply(
            json.dumps(body).encode(), headers=QUOTA if headers is None else headers, content_type="application/json"
        ).send(handler)

    return server.on(API_PATH, answer)
