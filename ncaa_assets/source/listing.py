"""A day's listing while its pages come in: what each page holds, and whether another one has to be asked for.

No I/O: `client.py` makes the requests and hands each answer over. Reading is lenient; facts about the API come from its
documentation, and where a comment says "seen", a live answer showed it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ncaa_assets.failures import SourceError
from ncaa_assets.record import json_text
from ncaa_assets.record.models import Highlight

if TYPE_CHECKING:
    import requests

PAGE = 40  # the most records that the API gives a page, and its default; a larger `limit` is answered with 400
MOST_PAGES = 250  # whatever `totalCount` says: 10,000 records are ten times a busy day of the whole league
STALE_PAGES = 3  # in a row without anything new: a quota of 100 requests a day is not for reading one page repeatedly


@dataclass(frozen=True)
class Page:
    """One page of a listing: the whole body, its records, the announced total (None: not announced), and what the
    answer says where the plan withholds something."""

    body: dict[str, Any]
    records: list[Any]
    total: int | None
    restriction: str | None


@dataclass
class Listing:
    """What has come of a day's listing so far. At most `limit` highlights are wanted (None: all).

    `answers` counts what came, `pages` those answers that could be read. `ended` says that no further page has to be
    asked for, `reached_end` that the API has no further one.
    """

    limit: int | None
    records: dict[object, dict[bytes, Any]] = field(default_factory=dict)  # each highlight's distinct contents
    problems: list[str] = field(default_factory=list)
    offset: int = 0
    answers: int = 0
    pages: int = 0
    total: int | None = None
    quota_limit: int | None = None
    quota_remaining: int | None = None
    error: SourceError | None = None
    ended: bool = False
    reached_end: bool = False
    _stale: int = 0

    def next_size(self) -> int:
        """How many records the next page is asked for."""
        return PAGE if self.limit is None else min(PAGE, self.limit - len(self.records))

    def may_spend(self, *, reserve: int) -> bool:
        """Whether another page may be asked for: the first always, later ones while more than `reserve` API requests
        are left today."""
        return not self.pages or self.quota_remaining is None or self.quota_remaining > reserve

    def add(self, answer: "requests.Response", *, without_key: Callable[[str], str]) -> None:
        """Takes in one answer and decides whether its page was the last to ask for.

        Raises:
            SourceError: the answer is no listing.
        """
        self.answers += 1
        self.quota_limit = quota_limit(answer, self.quota_limit)
        self.quota_remaining = quota_remaining(answer, self.quota_remaining)
        page = read_page(answer, without_key=without_key)
        self.pages += 1
        self.total = self.total if page.total is None else page.total
        if page.restriction:
            restriction = f"the API's plan limits the answer: {page.restriction}"
            if restriction not in self.problems:
                self.problems.append(restriction)
        before = len(self.records)
        for record in page.records:
            content = json_text.dumps(record, sort_keys=True)
            self.records.setdefault(_identity(record, content), {}).setdefault(content, record)
        self.offset += len(page.records)
        self._stale = 0 if len(self.records) > before else self._stale + 1
        self.reached_end = not page.records or (self.total is not None and self.offset >= self.total)
        self.ended = self.reached_end or (self.limit is not None and len(self.records) >= self.limit)
        if not self.ended and self._stale == STALE_PAGES:
            self.problems.append(
                f"stopped after {self.pages} pages: the last {STALE_PAGES} only repeated what others held"
            )
            self.ended = True
        if not self.ended and self.pages == MOST_PAGES:
            self.problems.append(f"stopped after {MOST_PAGES} pages: the API's listing has no end")
            self.ended = True


def read_page(answer: "requests.Response", *, without_key: Callable[[str], str]) -> Page:
    """A page of a listing, from an answer with status 200.

    Args:
        without_key: removes the API key from a text that the server sent, before the text goes anywhere else.

    Raises:
        SourceError: the answer is no listing.
    """
    try:
        body = json_text.loads(answer.content)
    except ValueError:
        kind = without_key(answer.headers.get("Content-Type", "no type").split(";")[0])
        raise SourceError(
            f"the API answered something that is not JSON ({kind}, {len(answer.content)} bytes); check API_URL"
        ) from None
    if not isinstance(body, dict) or not isinstance(body.get("data"), list):
        shape = "no object"
        if isinstance(body, dict):
            shape = f"an object with {without_key(', '.join(sorted(map(str, body))[:5])) or 'nothing'}"
        raise SourceError(
            f'the API\'s answer has no list under "data" ({shape}); check API_URL, or report it: its shape changed'
        )
    pagination = body.get("pagination")
    total = pagination.get("totalCount") if isinstance(pagination, dict) else None
    is_count = isinstance(total, int) and not isinstance(total, bool) and total >= 0
    plan = body.get("plan")
    message = plan.get("message") if isinstance(plan, dict) else None
    # A restricted answer comes with a 200 too; the only unrestricted wording seen starts like this.
    is_restricted = isinstance(message, str) and not message.lower().startswith("all data available")
    return Page(
        body=body,
        records=body["data"],
        total=total if is_count else None,
        restriction=without_key(str(message)) or None if is_restricted else None,
    )


def quota_limit(answer: "requests.Response", otherwise: int | None = None) -> int | None:
    """How many API requests a day the plan allows by an answer's headers; `otherwise` where they do not say."""
    return _number(answer.headers.get("x-ratelimit-requests-limit"), otherwise)


def quota_remaining(answer: "requests.Response", otherwise: int | None = None) -> int | None:
    """How many API requests are left today by an answer's headers; `otherwise` where they do not say."""
    return _number(answer.headers.get("x-ratelimit-requests-remaining"), otherwise)


def _identity(record: object, content: bytes) -> object:
    """What makes two listed records the same: their id, or for those without one, their content."""
    try:
        return Highlight.parse(record).id
    except ValueError:
        return content


def _number(text: str | None, otherwise: int | None) -> int | None:
    return int(text) if text and re.fullmatch("[0-9]{1,18}", text) else otherwise
