"""A day's listing while its pages come in: what each page holds, and whether another one has to be asked for.

No I/O: `client.py` makes the requests and hands each page over. Reading is lenient; facts about the API come from its
documentation, and where a comment says "seen", a live answer showed it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ncaa_assets.failures import SourceError
from ncaa_assets.ports import Page
from ncaa_assets.record import json_text
from ncaa_assets.record.merge import DEEPEST
from ncaa_assets.record.models import TOO_MANY, Highlight
from ncaa_assets.text import plural, visible

if TYPE_CHECKING:
    import requests

PAGE = 40  # the most records that the API gives a page, and its default; a larger `limit` is answered with 400
MOST_PAGES = 250  # whatever `totalCount` says: 10,000 records are ten times a busy day of the whole league
STALE_PAGES = 3  # in a row without anything new: a quota of 100 requests a day is not for reading one page repeatedly


@dataclass
class Listing:
    """What has come of a day's listing so far. At most `limit` highlights are wanted (None: all). `check` says what to
    look at where the answers are no listing.

    `offset` counts the records that came, repeats with them. `gaps` says why the listing is not whole, `doubts` why
    what it does not list may be there all the same; `is_short`: it was read to its end, and the API had announced more.
    `ended` says that no further page has to be asked for.
    """

    limit: int | None
    check: str
    records: dict[bytes | str, dict[bytes, Any]] = field(default_factory=dict)  # each highlight's distinct contents
    rejected: list[tuple[str, str]] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    offset: int = 0
    pages: int = 0
    total: int | None = None
    quota_limit: int | None = None
    quota_remaining: int | None = None
    ended: bool = False
    is_short: bool = False
    _is_restricted: bool = False
    _tells_pagination: bool = False
    _repeats: int = 0
    _not_understood: int = 0
    _named_twice: int = 0
    _stale: int = 0

    def next_size(self) -> int:
        """How many records the next page is asked for."""
        return PAGE if self.limit is None else min(PAGE, self.limit - len(self.records))

    def may_spend(self, *, reserve: int) -> bool:
        """Whether another page may be asked for: the first always, later ones while more than `reserve` API requests
        are left today."""
        return not self.pages or self.quota_remaining is None or self.quota_remaining > reserve

    @property
    def ids(self) -> frozenset[str]:
        """The ids of the records that have one."""
        return frozenset(key for key in self.records if isinstance(key, str))

    def add(self, page: Page) -> None:
        """Takes in one page and decides whether it was the last to ask for.

        Raises:
            SourceError: its body says that it is an error. What it lists all the same was taken in.
        """
        asked = self.next_size()
        self.pages += 1
        self.quota_limit = page.quota_limit if page.quota_limit is not None else self.quota_limit
        self.quota_remaining = page.quota_remaining if page.quota_remaining is not None else self.quota_remaining
        self.total = self.total if page.total is None else page.total
        if page.restriction:
            self._is_restricted = True
            self._doubt(f"the API's plan limits the answer: {page.restriction}")
        for note in page.notes:
            self._doubt(note)
        self.rejected += [entry for entry in page.rejected if entry not in self.rejected]
        before = len(self.records) + len(self.rejected)
        of_earlier_pages = set(self.records)
        for record in page.records:
            content = json_text.dumps(record, sort_keys=True)
            identity = _identity(record)
            self._not_understood += identity is None and content not in self.records
            key = content if identity is None else identity
            self._repeats += key in of_earlier_pages
            self.records.setdefault(key, {}).setdefault(content, record)
        self.offset += page.count
        self._not_understood += page.unread
        self._named_twice += len(page.rejected) - page.unread  # they are among the records too
        if page.error is not None and page.count == 0:
            raise SourceError(page.error, transient=True)
        if page.error is not None:
            self.gaps.append(page.error)
        if page.cut:
            self.ended = True
            return
        if page.count == 0 and not page.tells_pagination and (self.pages == 1 or self._tells_pagination):
            raise SourceError(
                "the API's answer lists nothing and does not count it (`pagination.totalCount`), so it is no empty "
                f"day; {self.check}, or report it: its shape changed",
                transient=True,
            )
        self._tells_pagination = self._tells_pagination or page.tells_pagination
        is_new = len(self.records) + len(self.rejected) > before or bool(page.rejected)
        self._stale = 0 if is_new else self._stale + 1
        self._decide_end(page.count, asked)

    def _decide_end(self, count: int, asked: int) -> None:
        announced = self.total is not None and self.offset >= self.total
        if announced and self.offset > (self.total or 0) and count >= asked:
            announced = False  # more came than was announced, so the announcement does not tell the end
        if self.limit is not None and len(self.records) >= self.limit:
            self.ended = True
        elif count == 0 or announced:
            self.ended = True
            if self.total is not None and self.offset < self.total:
                self._fall_short(f"the API announced {self.total} highlights and listed {self.offset}")
        elif self._stale == STALE_PAGES:
            self.gaps.append(f"stopped after {self.pages} pages: the last {STALE_PAGES} only repeated what others held")
            self.ended = True
        elif self.pages == MOST_PAGES:
            self.gaps.append(f"stopped after {MOST_PAGES} pages: the API's listing has no end")
            self.ended = True

    def _fall_short(self, why: str) -> None:
        self.ended = True
        # Of nothing at all, no reading twice shows that it is all.
        self.is_short = not self.gaps and bool(self.records)
        # What the plan withholds does not come however often it is asked for.
        (self.doubts if self._is_restricted else self.gaps).append(why)

    def close(self) -> None:
        """Judges what came, once no page is asked for any more."""
        listed = len(self.records)
        if unread := self._not_understood:
            self._doubt(f"{plural(unread, 'record')} could not be understood and {_are(unread)} kept under `rejected`")
            if not any(isinstance(key, str) for key in self.records):
                self.gaps.append("nothing that the API listed could be understood")
        if twice := self._named_twice:
            self._doubt(f"{plural(twice, 'record')} named a field twice; what came is kept under `rejected` too")
        if self.gaps or self.is_short or self.limit is not None:
            return
        if self._repeats:
            counts = f": it announced {self.total} and listed {listed} different ones" if self.total is not None else ""
            self._doubt(f"the API's pages repeat {plural(self._repeats, 'record')}{counts}")
        elif self.total is not None and self.total != self.offset:
            self._doubt(f"the API announced {self.total} highlights and listed {self.offset}")

    def _doubt(self, why: str) -> None:
        if why not in self.doubts:
            self.doubts.append(why)


def read_page(
    answer: "requests.Response", *, address: str, seconds: float, check: str, without_key: Callable[[str], str]
) -> Page:
    """A page of a listing, from an answer with status 200.

    Args:
        address: what was asked.
        seconds: how long the answer took.
        check: what to look at where it is no listing, as the middle of a sentence.
        without_key: removes the API key from a text that the server sent, before the text goes anywhere else.

    Raises:
        SourceError: the answer is no listing.
    """
    try:
        read = json_text.read_answer(answer.content)
    except ValueError:
        kind = without_key(answer.headers.get("Content-Type", "no type").split(";")[0])
        raise SourceError(
            f"the API answered something that is not JSON ({kind}, {len(answer.content)} bytes); {check}"
        ) from None
    body = read.body
    if not isinstance(body, dict) or not isinstance(body.get("data"), list):
        shape = "no object"
        if isinstance(body, dict):
            if says := _error(body, without_key):
                raise SourceError(says)
            shape = f"an object with {without_key(', '.join(sorted(map(str, body))[:5])) or 'nothing'}"
        raise SourceError(
            f'the API\'s answer has no list under "data" ({shape}); {check}, or report it: its shape changed'
        )
    pagination, plan = body.get("pagination"), body.get("plan")
    total = pagination.get("totalCount") if isinstance(pagination, dict) else None
    is_count = isinstance(total, int) and not isinstance(total, bool) and 0 <= total < TOO_MANY
    plan = {"message": plan} if isinstance(plan, str) else plan
    message, tier = (plan.get(name) if isinstance(plan, dict) else None for name in ("message", "tier"))
    # A restricted answer comes with a 200 too; the only unrestricted wording seen starts like this.
    is_restricted = isinstance(message, str) and not message.lower().startswith("all data available")
    cut = "the API's answer is cut off" if read.cut else None
    return Page(
        address=address,
        body=body,
        records=body["data"],
        rejected=read.rejected,
        notes=[without_key(note) for note in read.notes],
        count=read.elements,
        understood=sum(_identity(record) is not None for record in body["data"]),
        total=total if is_count else None,
        tells_pagination=is_count,
        restriction=without_key(str(message)) or None if is_restricted else None,
        error=cut or _error(body, without_key),
        cut=read.cut,
        plan=visible(without_key(tier), most=40) if isinstance(tier, str) else None,
        quota_limit=_number(answer.headers.get("x-ratelimit-requests-limit")),
        quota_remaining=requests_left(answer),
        seconds=seconds,
    )


def requests_left(answer: "requests.Response") -> int | None:
    """How many requests an answer of any status says are left today, None where it does not say."""
    return _number(answer.headers.get("x-ratelimit-requests-remaining"))


def _error(body: dict[str, Any], without_key: Callable[[str], str]) -> str | None:
    """What a body with status 200 says where it is an error all the same; None where it is none."""
    told = next((body[name] for name in ("error", "errors") if body.get(name)), None)
    status, code = body.get("status"), body.get("statusCode")
    is_error = (
        told is not None
        or str(body.get("success", True)).lower() in ("false", "0")
        or (isinstance(status, str) and status.lower() in ("error", "fail", "failed", "failure"))
        or (isinstance(code, int) and code >= HTTPStatus.BAD_REQUEST)
        or ("data" not in body and isinstance(body.get("message"), str))
    )
    if not is_error:
        return None
    message = told if isinstance(told, str) else body.get("message")
    if isinstance(told, dict):
        message = told.get("message", message)
    why = f": {without_key(visible(message, most=300))}" if isinstance(message, str) and message.strip() else ""
    return f"the API's answer says that it is an error{why}; try again later"


def _identity(record: object) -> str | None:
    """What makes two listed records the same: their id; None where a record cannot be understood."""
    try:
        return None if json_text.is_deeper(record, DEEPEST) else Highlight.parse(record).id
    except ValueError:
        return None


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch("[0-9]{1,15}", text) else None
