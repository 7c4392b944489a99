"""A day's matches while their pages come in: at most two, read as leniently as a listing's.

No I/O: `client.py` makes the requests and hands each page over.
"""

from dataclasses import dataclass, field
from typing import Any

from ncaa_assets.failures import SourceError
from ncaa_assets.ports import Page
from ncaa_assets.record import json_text
from ncaa_assets.record.merge import DEEPEST
from ncaa_assets.record.models import match_id
from ncaa_assets.text import plural

PAGE = 100  # the most matches that the API gives a page (read in its documentation)
MOST_PAGES = 2  # 200 games are more than a Saturday of the whole league; each page costs a request of a day's quota


@dataclass
class MatchPages:
    """What has come of a day's matches so far. `check` says what to look at where the answers are no listing."""

    check: str
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    offset: int = 0
    pages: int = 0
    total: int | None = None
    quota_remaining: int | None = None
    _not_understood: int = 0
    _ended: bool = False

    def wants_more(self, *, reserve: int) -> bool:
        """Whether another page is to be asked for: the first always, a later one while more than `reserve` API requests
        are left today."""
        if not self.pages:
            return True
        if self._ended:
            return False
        why = None
        if self.pages == MOST_PAGES:
            why = f"no more than {MOST_PAGES * PAGE} are asked for"
        elif self.quota_remaining is not None and self.quota_remaining <= reserve:
            left = plural(self.quota_remaining, "API request")
            why = f"{left} left today, and QUOTA_RESERVE keeps {reserve}"
        if why is not None:
            self._tell(f"only {self._count()} were asked for: {why}")
        return why is None

    def add(self, page: Page) -> None:
        """Takes in one page.

        Raises:
            SourceError: it is no page of matches.
        """
        if page.count == 0 and page.error is not None:
            raise SourceError(page.error, transient=True)
        if page.count == 0 and not page.tells_pagination:
            raise SourceError(
                "the API's answer lists no matches and has no `pagination`, so it is no day without matches; "
                f"{self.check}, or report it: its shape changed",
                transient=True,
            )
        self.pages += 1
        self.offset += page.count
        self.total = self.total if page.total is None else page.total
        self.quota_remaining = self.quota_remaining if page.quota_remaining is None else page.quota_remaining
        self._not_understood += page.unread
        before = len(self.records)
        for record in page.records:
            key = None if json_text.is_deeper(record, DEEPEST) else match_id(record)
            if key is None:
                self._not_understood += 1
            else:
                self.records.setdefault(key, record)
        for said in (
            *page.notes,
            page.error,
            page.restriction and f"the API's plan limits the answer: {page.restriction}",
        ):
            if said:
                self._tell(said)
        is_full = page.count >= PAGE if self.total is None else self.offset < self.total
        self._ended = page.error is not None or not is_full or len(self.records) == before

    def close(self) -> None:
        """Says what is missing, once no page is asked for any more."""
        if self._not_understood:
            kept = "is" if self._not_understood == 1 else "are"
            self._tell(f"{plural(self._not_understood, 'record')} could not be understood and {kept} not kept")
        if self._ended and self.total is not None and self.offset < self.total:
            self._tell(f"the API announced {self.total} and listed {self.offset}")

    def failed(self, error: SourceError) -> None:
        """Takes note that a later page did not come."""
        self._tell(f"page {self.pages + 1} did not come: {error}")
        self._ended = True

    def _count(self) -> str:
        return f"the first {self.offset}" + (f" of {self.total}" if self.total is not None else "")

    def _tell(self, problem: str) -> None:
        if (told := f"matches: {problem}") not in self.problems:
            self.problems.append(told)
