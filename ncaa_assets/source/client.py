"""The client of the Sport Highlights API: one day's records, all pages of them. Plain Python.

Strict in what is sent (the API answers an unknown parameter with 400), lenient in what is read. Facts about the API are
in its documentation; where a comment says "seen", a live answer showed it.
"""

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ncaa_assets import USER_AGENT
from ncaa_assets.failures import (
    QuotaSpent,
    SourceError,
    is_transient,
    is_unreachable,
    retry_after_seconds,
    retrying,
    status_is_transient,
)
from ncaa_assets.record import json_text
from ncaa_assets.record.calendar import now
from ncaa_assets.record.fetch import Fetch
from ncaa_assets.record.models import Highlight

if TYPE_CHECKING:
    import requests

log = logging.getLogger(__name__)

PAGE = 40  # the most that the API gives a page, and its default; a larger `limit` is a 400
MOST_PAGES = 250  # whatever `totalCount` says: 10,000 records are ten times a busy day of the whole league
STALE_PAGES = 3  # in a row without anything new: a quota of 100 requests a day is not for reading one page again
MOST_BYTES = 64 * 10**6
MOST_SECONDS = 120.0
# A Sunday at the end of a regular season: named to a newcomer whose first day has none, and asked for by the doctor.
A_DAY_WITH_GAMES = "2025-03-09"
TIMEOUT = (5.0, 30.0)  # seconds to connect, seconds between two pieces of an answer
_REPEATED = f"the last {STALE_PAGES} only repeated what others held"
_REMAINING = "x-ratelimit-requests-remaining"


@dataclass(frozen=True)
class FirstPage:
    """A day's first page as it came: the whole body, and of it what the client reads. `restriction` is what the answer
    says where the plan withholds something; `plan` its tier; quota in requests a day; `seconds` until it was there."""

    body: dict[str, Any]
    records: list[Any]
    total: int | None
    restriction: str | None
    plan: str | None
    quota_limit: int | None
    quota_remaining: int | None
    seconds: float


@dataclass(frozen=True)
class HighlightsApi:
    """One endpoint with its key. `trusted_origin` is the host and port of the sample server, whose videos may lie on
    loopback; the real API's never do.

    `retry_delay` is in seconds; `quota_reserve` in requests.
    """

    url: str
    host: str | None
    key: str = field(repr=False)
    league: str
    timezone: str
    limit: int | None = None
    quota_reserve: int = 5
    retry_count: int = 3
    retry_delay: float = 30.0
    trusted_origin: tuple[str, int] | None = None

    def fetch_day(self, day: str) -> Fetch:
        """All of a day's records, page by page.

        Raises:
            SourceError: the API could not be reached, refused, or answered something that is no listing. Where earlier
                pages had come, they are returned instead, with the error.
        """
        query = {"date": day, "timezone": self.timezone, "leagueName": self.league}
        listing = _Listing(limit=self.limit)
        with self._session() as session:
            while not listing.ended:
                if listing.pages and listing.quota_is_at(self.quota_reserve):
                    listing.problems.append(
                        f"stopped after {listing.pages} pages: {listing.remaining} API requests are left today and "
                        f"QUOTA_RESERVE keeps {self.quota_reserve}"
                    )
                    break
                page = {"limit": str(listing.next_size()), "offset": str(listing.offset)}
                try:
                    listing.add(self._get(session, {**query, **page}), self._without_key)
                except SourceError as error:
                    if not listing.records:
                        raise
                    listing.error = error
                    listing.problems.append(f"page {listing.pages + 1} did not come: {error}")
                    break
        kept = list(listing.records.values())[: self.limit]
        limited = self.limit is not None and not listing.problems
        if self.limit is not None:
            query["limit"] = str(self.limit)
            listing.problems.append(
                f"LIMIT={self.limit}: only that many highlights are asked for; unset it to keep all"
            )
        elif listing.reached_end and listing.total is not None and len(kept) != listing.total:
            listing.problems.append(f"the API announced {listing.total} highlights and listed {len(kept)}")
        for problem in listing.problems:
            log.warning("%s: %s", day, problem)
        return Fetch(
            at=now(),
            records=[record for contents in kept for record in contents.values()],
            query=query,
            complete=listing.reached_end and not listing.problems,
            limited=limited,
            total_count=listing.total,
            requests=listing.pages,
            quota_limit=listing.quota,
            quota_remaining=listing.remaining,
            problems=listing.problems,
            error=listing.error,
        )

    def requests_left(self, day: str) -> int | None:
        """How many API requests are left today, found out by one for a single record (None: the API does not say).

        Raises:
            SourceError: as `fetch_day`.
        """
        query = {"date": day, "timezone": self.timezone, "leagueName": self.league, "limit": "1", "offset": "0"}
        with self._session() as session:
            return _number(self._get(session, query).headers.get(_REMAINING))

    def first_page(self, day: str) -> FirstPage:
        """A full first page of a day, by one request (and `retry_count` more where it fails), for who looks at the API
        and not at the day.

        Raises:
            SourceError: as `fetch_day`.
        """
        query = {"date": day, "timezone": self.timezone, "leagueName": self.league, "limit": str(PAGE), "offset": "0"}
        started = time.monotonic()
        with self._session() as session:
            answer = self._get(session, query)
        seconds = time.monotonic() - started
        records, total, restriction = _page(answer, None, self._without_key)
        body = json_text.loads(answer.content)
        plan = body.get("plan")
        tier = plan.get("tier") if isinstance(plan, dict) else None
        return FirstPage(
            body=body,
            records=records,
            total=total,
            restriction=self._without_key(restriction) if restriction else None,
            plan=self._without_key(tier)[:40] if isinstance(tier, str) else None,
            quota_limit=_number(answer.headers.get("x-ratelimit-requests-limit")),
            quota_remaining=_number(answer.headers.get(_REMAINING)),
            seconds=seconds,
        )

    def _session(self) -> "requests.Session":
        import requests  # noqa: PLC0415 - why here: failures.py

        session = requests.Session()
        session.trust_env = self.trusted_origin is None  # a proxy cannot reach the sample on this machine's loopback
        session.auth = _no_netrc
        session.headers.update(self._headers())
        return session

    def _headers(self) -> dict[str, str]:
        headers = {"X-RapidAPI-Key": self.key, "User-Agent": USER_AGENT, "Accept": "application/json"}
        # The direct hosts take the key alone; RapidAPI's gateway also wants the name of the API that is meant.
        if self.host:
            headers["X-RapidAPI-Host"] = self.host
        return headers

    def _get(self, session: "requests.Session", parameters: dict[str, str]) -> "requests.Response":
        what = f"highlights of {parameters['date']} from {parameters['offset']}"
        retry = retrying(count=self.retry_count, max_delay=self.retry_delay, what=what, log=log)
        import requests  # noqa: PLC0415
        import urllib3  # noqa: PLC0415

        try:
            return retry(self._get_once, session, parameters)
        except requests.exceptions.InvalidHeader:
            # Its message, and so the log, would hold the key.
            raise SourceError("the key cannot be sent as a header; copy RAPIDAPI_KEY again") from None
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            raise self._connection_error(error) from error

    def _get_once(self, session: "requests.Session", parameters: dict[str, str]) -> "requests.Response":
        # A redirect would carry the key to another host; the API has no reason to send one.
        answer = session.get(self.url, params=parameters, timeout=TIMEOUT, allow_redirects=False, stream=True)
        with answer:
            answer._content = _body(answer)
        if answer.status_code != 200:
            raise self._refusal(answer)
        return answer

    def _refusal(self, answer: "requests.Response") -> SourceError:
        status, message = answer.status_code, _message(answer, self._without_key)
        transient = status_is_transient(status, message)
        said = f" ({message})" if message else ""
        if status in (301, 302, 303, 307, 308):
            text = f"the API at {self.url} redirects elsewhere; set API_URL to the address it means"
        elif status == 400:
            text = (
                f"the API refused the query{said}; check LEAGUE_NAME and TIMEZONE, or report it: its interface changed"
            )
        elif status == 401:
            text = (
                f"the API does not accept the key{said}; check RAPIDAPI_KEY, or whether this endpoint needs a paid plan"
            )
        elif status == 403:
            text = f"the API denied access{said}; subscribe the key to the Sport Highlights API, or check RAPIDAPI_HOST"
        elif status == 404:
            text = f"there is nothing at {self.url}{said}; check API_URL"
        elif status == 429 and not transient:
            text = f"today's API requests are used up{said}; run the day again tomorrow, or upgrade the plan"
        elif status == 429:
            text = f"the API says there are too many requests at once{said}; try again in a minute"
        elif transient:
            text = f"the API is down (status {status}){said}; try again later"
        else:
            text = f"the API answered with status {status}{said}"
        kind = QuotaSpent if status == 429 and not transient else SourceError
        return kind(text, transient=transient, retry_after=retry_after_seconds(answer.headers))

    def _connection_error(self, error: Exception) -> SourceError:
        import requests  # noqa: PLC0415
        import urllib3  # noqa: PLC0415

        host = urlsplit(self.url).netloc
        if isinstance(error, requests.exceptions.SSLError):
            text = (
                f"the certificate of {host} cannot be trusted; check API_URL, and this machine's clock and certificates"
            )
        elif is_unreachable(error):
            text = f"{host} cannot be reached (unknown name or refused connection); check API_URL and the network"
        elif isinstance(error, requests.exceptions.Timeout | urllib3.exceptions.TimeoutError):
            text = f"{host} does not answer in time; try again later"
        else:
            text = f"the connection to {host} broke ({type(error).__name__}); try again later"
        return SourceError(text, transient=is_transient(error))

    def _without_key(self, text: str) -> str:
        """What a server said, without the key where it repeats that. A key this short is no secret but a word."""
        return text.replace(self.key, "[key]") if len(self.key) >= 8 else text


@dataclass
class _Listing:
    """A day's listing while its pages come in."""

    limit: int | None
    records: dict[object, dict[bytes, Any]] = field(default_factory=dict)  # each highlight's distinct contents
    problems: list[str] = field(default_factory=list)
    offset: int = 0
    pages: int = 0
    total: int | None = None
    quota: int | None = None
    remaining: int | None = None
    error: SourceError | None = None
    ended: bool = False
    reached_end: bool = False
    _stale: int = 0

    def next_size(self) -> int:
        return PAGE if self.limit is None else min(PAGE, self.limit - len(self.records))

    def quota_is_at(self, reserve: int) -> bool:
        return self.remaining is not None and self.remaining <= reserve

    def add(self, answer: "requests.Response", cleaned: Callable[[str], str]) -> None:
        """Takes in one page and decides whether it was the last to ask for."""
        self.pages += 1
        self.quota = _number(answer.headers.get("x-ratelimit-requests-limit"), self.quota)
        self.remaining = _number(answer.headers.get(_REMAINING), self.remaining)
        page, self.total, said = _page(answer, self.total, cleaned)
        if said and (restriction := f"the API's plan limits the answer: {cleaned(said)}") not in self.problems:
            self.problems.append(restriction)
        before = len(self.records)
        for record in page:
            content = json_text.dumps(record, sort_keys=True)
            self.records.setdefault(_identity(record, content), {}).setdefault(content, record)
        self.offset += len(page)
        self._stale = 0 if len(self.records) > before else self._stale + 1
        self.reached_end = not page or (self.total is not None and self.offset >= self.total)
        self.ended = self.reached_end or (self.limit is not None and len(self.records) >= self.limit)
        if not self.ended and self._stale == STALE_PAGES:
            self.problems.append(f"stopped after {self.pages} pages: {_REPEATED}")
            self.ended = True
        if not self.ended and self.pages == MOST_PAGES:
            self.problems.append(f"stopped after {MOST_PAGES} pages: the API's listing has no end")
            self.ended = True


def _page(
    answer: "requests.Response", total: int | None, cleaned: Callable[[str], str]
) -> tuple[list[Any], int | None, str | None]:
    """A page's records, the announced total, and what the answer says where the plan withholds something.

    Raises:
        SourceError: the answer is no listing.
    """
    try:
        body = json_text.loads(answer.content)
    except ValueError:
        kind = answer.headers.get("Content-Type", "no type").split(";")[0]
        raise SourceError(
            f"the API answered something that is not JSON ({cleaned(kind)}, {len(answer.content)} bytes); check API_URL"
        ) from None
    if not isinstance(body, dict) or not isinstance(body.get("data"), list):
        shape = (
            f"an object with {cleaned(', '.join(sorted(map(str, body))[:5])) or 'nothing'}"
            if isinstance(body, dict)
            else "no object"
        )
        raise SourceError(
            f'the API\'s answer has no list under "data" ({shape}); check API_URL, or report it: its shape changed'
        )
    pagination = body.get("pagination")
    found = pagination.get("totalCount") if isinstance(pagination, dict) else None
    if isinstance(found, int) and not isinstance(found, bool) and found >= 0:
        total = found
    plan = body.get("plan")
    said = plan.get("message") if isinstance(plan, dict) else None
    # A restricted answer comes with a 200 too; the only unrestricted wording seen starts like this.
    whole = not isinstance(said, str) or said.lower().startswith("all data available")
    return body["data"], total, None if whole else said


def _identity(record: object, content: bytes) -> object:
    """What makes two listed records the same: their key, or for what has none, their content."""
    try:
        return Highlight.parse(record).id
    except ValueError:
        return content


def _body(answer: "requests.Response") -> bytes:
    """An answer's body, within bounds: a page of forty records has about 40 kB, and a run must not wait for ever.

    Raises:
        SourceError: it is larger than `MOST_BYTES`, or takes longer than `MOST_SECONDS`.
    """
    body = bytearray()
    started = time.monotonic()
    # `read1` hands over what is there: waiting for a full piece, a byte every other second would never be noticed.
    while piece := answer.raw.read1(64 * 1024, decode_content=True):
        body += piece
        if len(body) > MOST_BYTES:
            raise SourceError(f"the API's answer is larger than {MOST_BYTES // 10**6} MB; check API_URL")
        if time.monotonic() - started > MOST_SECONDS:
            raise SourceError(f"the API's answer took longer than {MOST_SECONDS:.0f} s; try again later")
    return bytes(body)


def _message(answer: "requests.Response", cleaned: Callable[[str], str]) -> str:
    try:
        body = json_text.loads(answer.content[:10_000])
    except ValueError:
        return ""
    message = body.get("message", "") if isinstance(body, dict) else ""
    text = "; ".join(map(str, message)) if isinstance(message, list) else str(message)
    return cleaned(" ".join(text.split()))[:300].rstrip(".")


def _no_netrc(request: "requests.PreparedRequest") -> "requests.PreparedRequest":
    """The key is the only credential; without this, requests would add one that a `.netrc` has for the host."""
    return request


def _number(text: str | None, otherwise: int | None = None) -> int | None:
    return int(text) if text and re.fullmatch("[0-9]{1,18}", text) else otherwise
