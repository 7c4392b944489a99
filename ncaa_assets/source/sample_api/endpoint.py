"""An endpoint of the API as its stand-ins serve it: which parameters it takes, what it says to others, and its pages.

As strict as the real API, which answers an unknown parameter with 400. Shared by the sample API and by the tests' own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self

from ncaa_assets.record import calendar
from ncaa_assets.source.doors import MODULES, US_MODULES

HIGHLIGHTS, MATCHES = "highlights", "matches"
KEY_HEADER = "x-rapidapi-key"
NO_KEY = (HTTPStatus.UNAUTHORIZED, "Missing API key.")
WRONG_KEY = (HTTPStatus.FORBIDDEN, "You are not subscribed to this API.")
QUOTA_SPENT = (
    HTTPStatus.TOO_MANY_REQUESTS,
    "You have exceeded the DAILY quota for Requests on your current plan, BASIC.",
)

_LARGEST_PAGE = {HIGHLIGHTS: 40, MATCHES: 100}
_TEAMS = {"homeTeamId", "awayTeamId", "homeTeamName", "awayTeamName"}
_SECONDARY = {"timezone", "limit", "offset"}


@dataclass(frozen=True)
class Endpoint:
    """`highlights` or `matches` of one module."""

    module: str
    name: str

    @classmethod
    def at(cls, path: str) -> Self | None:
        """The endpoint at `/<module>/<name>`; None where the API has none."""
        _, module, name = ("", *path.split("/", 2)[1:], "", "")[:3]
        return cls(module, name) if module in MODULES and name in _LARGEST_PAGE else None

    @property
    def path(self) -> str:
        return f"/{self.module}/{self.name}"

    @property
    def league_parameter(self) -> str:
        """What a league's name is asked by: `leagueName`, but `league` for the matches of the US modules (seen)."""
        return "league" if self.name == MATCHES and self.module in US_MODULES else "leagueName"

    def fault(self, query: Mapping[str, str]) -> str | None:
        """What the API's validation says to a query, or None for a good one."""
        primary = {"date", "season", self.league_parameter, *_TEAMS}
        if self.league_parameter == "leagueName":
            primary.add("leagueId")
        if self.name == HIGHLIGHTS:
            primary.add("matchId")
        for name in query:
            if name not in primary | _SECONDARY:
                return f"property {name} should not exist"
        if not primary & query.keys():
            return "at least one primary query parameter is required"
        if "date" in query and not calendar.is_day(query["date"]):
            return "date must be a valid date in the format YYYY-MM-DD"
        for name, most in (("limit", _LARGEST_PAGE[self.name]), ("offset", 10**9)):
            if name in query and not (query[name].isdecimal() and int(query[name]) <= most):
                return f"{name} must be a number not greater than {most}"
        return None

    def page(self, records: list[Any], query: Mapping[str, str]) -> dict[str, Any]:
        """The body that answers a good query: a page of the listing."""
        limit, offset = int(query.get("limit", _LARGEST_PAGE[self.name])), int(query.get("offset", 0))
        return {
            "data": records[offset : offset + limit],
            "pagination": {"totalCount": len(records), "offset": offset, "limit": limit},
            "plan": {"tier": "BASIC", "message": "All data available with current plan."},
        }


def problem(status: int, message: str) -> dict[str, Any]:
    """The body of an answer that is an error: a refused query has its status in it too (seen)."""
    return {"message": message, **({"statusCode": status} if status == HTTPStatus.BAD_REQUEST else {})}
