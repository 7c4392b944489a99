"""The highlights API as whole days meet it: a listing that is served in pages and may change from request to request.

What the API's documentation shows of a page is in sample_page.py.
"""

import json
from collections.abc import Callable
from typing import Any

from ncaa_assets_tests.loopback.http_server import Handler, Reply, ScriptedServer

API_PATH = "/basketball/highlights"


def record(number: int, url: str | None, **fields: Any) -> dict[str, Any]:
    """A record in the shape of the API's, with what a client may not expect: unknown fields, nulls, unicode."""
    return {
        "id": number,
        "type": "VERIFIED",
        "title": f"Team {number} vs. San José – Highlights",
        "url": url,
        "imgUrl": None,
        "match": {"id": 10**6 + number, "league": {"name": "NCAA", "season": 2025}, "odds": [1.50, 2, None, True]},
        "newField": {"kept": ["verbatim", "ʻokina"]},
        **fields,
    }


def serve_listing(server: ScriptedServer, records: Callable[[], list[Any]], *, path: str = API_PATH) -> str:
    """Answers `path` with the pages of `records()`, as they are when asked, and returns the URL."""

    def page(handler: Handler) -> None:
        asked = server.asked[-1]
        every = records()
        limit, offset = int(asked.query["limit"]), int(asked.query["offset"])
        body = {
            "data": every[offset : offset + limit],
            "pagination": {"totalCount": len(every), "offset": offset, "limit": limit},
            "plan": {"tier": "BASIC", "message": "All data available with current plan."},
        }
        headers = {"x-ratelimit-requests-limit": "100", "x-ratelimit-requests-remaining": "77"}
        Reply(json.dumps(body).encode(), headers=headers, content_type="application/json").send(handler)

    return server.on(path, page)
