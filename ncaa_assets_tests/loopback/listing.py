"""The highlights API as whole days meet it: listings that are served in pages and may change from request to request.

`serve_api` is the API with all of its modules, as strict as the real one; `serve_listing` is one listing alone. What
the API's documentation shows of a page is in sample_page.py.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ncaa_assets.source.doors import MODULES
from ncaa_assets.source.sample_api.endpoint import (
    HIGHLIGHTS,
    KEY_HEADER,
    MATCHES,
    NO_KEY,
    QUOTA_SPENT,
    WRONG_KEY,
    Endpoint,
    problem,
)
from ncaa_assets_tests.loopback.http_server import Handler, Reply, Script, ScriptedServer

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


def us_record(number: int, url: str | None, **fields: Any) -> dict[str, Any]:
    """A record as the US modules (`nba` and others) shape it: `league` is text, teams have a `displayName`, and their
    `name` is often the mascot alone."""
    return {
        "id": number,
        "type": "VERIFIED",
        "imgUrl": None,
        "title": f"Team {number} Tigers vs. San José Spartans | Full Game Highlights",
        "description": None,
        "url": url,
        "embedUrl": None,
        "channel": "ESPN",
        "source": "espn",
        "category": "match-highlights",
        "match": _us_match(number),
        **fields,
    }


def game(number: int, **fields: Any) -> dict[str, Any]:
    """What `basketball` lists under `matches` for the game of `record(number, …)`: its score is a text."""
    return {
        "id": 10**6 + number,
        "date": "2025-03-09T16:00:00.000Z",
        "round": "NCAA",
        "league": {"id": 990001, "name": "NCAA", "season": 2025, "logo": None},
        "country": {"code": "US", "name": "USA", "logo": None},
        "homeTeam": {"id": 2 * number, "name": f"Team {number}", "logo": None},
        "awayTeam": {"id": 2 * number + 1, "name": "San José", "logo": None},
        "state": {"description": "Finished", "clock": None, "score": {"current": f"{80 + number % 10} - 69"}},
        **fields,
    }


def us_game(number: int, **fields: Any) -> dict[str, Any]:
    """What `nba` lists under `matches` for the game of `us_record(number, …)`: its score is a list of halves a side."""
    score = {"homeTeam": [41, 40 + number % 10], "awayTeam": [38, 31]}
    return {
        **_us_match(number),
        "state": {"description": "Finished", "period": 2, "clock": None, "score": score},
        "venue": {"name": f"Hall {number}", "city": "San José"},
        **fields,
    }


def _us_match(number: int) -> dict[str, Any]:
    home = {"id": 2 * number, "displayName": f"Team {number} Tigers", "name": "Tigers", "abbreviation": f"T{number}"}
    away = {"id": 2 * number + 1, "displayName": "San José Spartans", "name": "Spartans", "abbreviation": "SJSU"}
    return {
        "id": 10**6 + number,
        "date": "2025-03-09T16:00:00.000Z",
        "season": 2025,
        "round": "Regular Season",
        "league": "NCAA",
        "homeTeam": {**home, "logo": None, "league": "NCAA"},
        "awayTeam": {**away, "logo": None},
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


# The records of a listing, the same whatever day is asked for; or a reply in place of the listing; or what makes one or
# the other of the day that is asked for ("" where the query has no date), for each request anew.
Listed = list[Any] | Reply | Callable[[str], list[Any] | Reply]


@dataclass
class ScriptedApi:
    """What the API answers, which a test may change at any time. A module that is not named lists nothing.

    `key`: the one key that is let in (None: any). `league`: the one league that has games. `quota_left`: requests left
    today, counted down by each one (None: no header says so); at 0 all are refused. `refused`: what was said to queries
    that the real API would refuse; a client that keeps a refused request to itself shows here.
    """

    server: ScriptedServer
    highlights: dict[str, Listed] = field(default_factory=dict)
    matches: dict[str, Listed] = field(default_factory=dict)
    key: str | None = None
    league: str = "NCAA"
    quota: int = 100
    quota_left: int | None = 100
    refused: list[str] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        """The value for `API_BASE`."""
        return self.server.url("")

    def url(self, module: str, name: str = HIGHLIGHTS) -> str:
        """The whole address of an endpoint: for highlights, a value for `API_URL`."""
        return self.server.url(Endpoint(module, name).path)

    def asked(self, module: str, name: str = HIGHLIGHTS) -> list[dict[str, str]]:
        """The queries that a module's endpoint got, in order."""
        path = Endpoint(module, name).path
        return [asked.query for asked in list(self.server.asked) if asked.path == path]

    def answer(self, endpoint: Endpoint, query: dict[str, str], key: str) -> Reply:
        """The answer to one request."""
        if not key:
            return self._error(*NO_KEY)
        if self.key not in (None, key):
            return self._error(*WRONG_KEY)
        if self.quota_left is not None:
            if self.quota_left <= 0:
                return self._error(*QUOTA_SPENT)
            self.quota_left -= 1  # a refused query costs one too (seen)
        if (fault := endpoint.fault(query)) is not None:
            self.refused.append(f"{endpoint.path}: {fault}")
            return self._error(400, fault)
        listed = (self.highlights if endpoint.name == HIGHLIGHTS else self.matches).get(endpoint.module, [])
        if callable(listed):
            listed = listed(query.get("date", ""))
        if isinstance(listed, Reply):
            return listed
        if query.get(endpoint.league_parameter, self.league) != self.league:
            listed = []
        return self._json(200, endpoint.page(listed, query))

    def _error(self, status: int, message: str) -> Reply:
        return self._json(status, problem(status, message))

    def _json(self, status: int, body: Any) -> Reply:
        headers = {}
        if self.quota_left is not None:
            headers["x-ratelimit-requests-limit"] = str(self.quota)
            headers["x-ratelimit-requests-remaining"] = str(self.quota_left)
        return Reply(json.dumps(body).encode(), status, headers, "application/json; charset=utf-8")


def serve_api(server: ScriptedServer, **given: Any) -> ScriptedApi:
    """The API with all of its modules, which checks queries as strictly as the real one. `given`: fields of
    `ScriptedApi`.

        api = serve_api(server, quota_left=20)
        api.highlights["nba"] = [us_record(1, url), us_record(2, None)]
        api.highlights["basketball"] = lambda day: [record(1, url)] if day == DAY else []
        api.matches["nba"] = Reply(b"{}", 500)
        ...  # whatever asks, with API_BASE=api.base_url
        assert api.asked("nba")[0]["date"] == DAY
        assert api.asked("nba", "matches") == []
        assert api.refused == []
    """
    api = ScriptedApi(server, **given)

    def script(endpoint: Endpoint) -> Script:
        def answer(handler: Handler) -> None:
            query = dict(parse_qsl(urlsplit(handler.path).query, keep_blank_values=True))
            api.answer(endpoint, query, handler.headers.get(KEY_HEADER, "")).send(handler)

        return answer

    for module in MODULES:
        for name in (HIGHLIGHTS, MATCHES):
            server.on(Endpoint(module, name).path, script(Endpoint(module, name)))
    return api
