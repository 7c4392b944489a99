"""One answer of the API to one day: what came, and what is known of how it came."""

from dataclasses import dataclass, field
from typing import Any

from ncaa_assets.failures import SourceError


@dataclass(frozen=True)
class Fetch:
    """The answer to one day: its records as they came, without repeats, and what is known of the fetch.

    A highlight that is listed twice with different contents is there with both.

    `complete` is True only where the listing was read to its end and adds up; `problems` says in sentences why not.
    `quota_remaining` and `quota_limit` are API requests a day, as the last answer's headers gave them. `error` is what
    ended the listing after some pages had come: keep what is here, then raise it.
    """

    at: str
    records: list[Any]
    query: dict[str, str]
    complete: bool
    total_count: int | None
    requests: int
    quota_limit: int | None = None
    quota_remaining: int | None = None
    problems: list[str] = field(default_factory=list)
    error: SourceError | None = None
