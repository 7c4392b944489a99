"""One answer of the API for one day: the records, and how completely they came."""

from dataclasses import dataclass, field
from typing import Any

from ncaa_assets.failures import SourceError


@dataclass(frozen=True)
class Fetch:
    """The records of one day as they came, without repeats, and how completely they came.

    Where the API lists a highlight twice with different contents, both are here.

    `complete` is True only where the listing was read to its end and adds up; `problems` says in sentences why it was
    not, for people to read. `limited`: nothing but the user's own LIMIT kept it from being complete. `quota_remaining`
    and `quota_limit` are API requests a day, from the last answer's headers. `error` ended the listing after some pages
    had come: keep what is here, then raise it.
    """

    at: str
    records: list[Any]
    query: dict[str, str]
    complete: bool
    total_count: int | None
    requests: int
    limited: bool = False
    quota_limit: int | None = None
    quota_remaining: int | None = None
    problems: list[str] = field(default_factory=list)
    error: SourceError | None = None
