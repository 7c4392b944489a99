"""The client of the Sport Highlights API: it asks for a day's pages and explains what goes wrong. Plain Python.

Strict in what it sends (the API answers an unknown parameter with 400), lenient in what it reads: `listing.py`. Facts
about the API come from its documentation; where a comment says "seen", a live answer showed it.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ncaa_assets import USER_AGENT
from ncaa_assets.failures import QuotaKept, QuotaSpent, SourceDenied, SourceError
from ncaa_assets.ports import Page, Source
from ncaa_assets.record import json_text
from ncaa_assets.record.calendar import now
from ncaa_assets.record.fetch import Fetch, Matches
from ncaa_assets.retry import (
    RetryPolicy,
    is_transient,
    is_unreachable,
    retry_after_seconds,
    status_is_transient,
)
from ncaa_assets.source.doors import US_MODULES, Door, Kind, is_rapidapi_key, kind_of_key
from ncaa_assets.source.listing import PAGE, Listing, read_page, requests_left
from ncaa_assets.source.matches import PAGE as MATCHES_PAGE
from ncaa_assets.source.matches import MatchPages
from ncaa_assets.source.quota import Quota
from ncaa_assets.text import plural, visible

if TYPE_CHECKING:
    import requests

log = logging.getLogger(__name__)

MOST_BYTES = 64 * 10**6
MOST_SECONDS = 120.0
TIMEOUT = (5.0, 30.0)  # seconds to connect, seconds between two pieces of an answer


@dataclass(frozen=True)
class HighlightsApi(Source):
    """The API behind one door, with the key for it.

    `limit` is the most highlights of a day that are asked for (None: all), `quota_reserve` how many API requests are
    never spent, as far as one listing knows; `quota` knows of those of all runs (None: nobody keeps count).
    """

    door: Door
    key: str = field(repr=False)
    league: str
    timezone: str
    limit: int | None = None
    quota_reserve: int = 5
    retry: RetryPolicy = RetryPolicy()
    trusted_origin: tuple[str, int] | None = None
    quota: Quota | None = field(default=None, repr=False)

    def fetch_day(self, day: str, module: str, *, first: Page | None = None) -> Fetch:
        listing, requests, error = Listing(limit=self.limit, check=self.door.check), 0, None
        with self._session() as session:
            while not listing.ended:
                if not listing.may_spend(reserve=self.quota_reserve):
                    left = plural(listing.quota_remaining or 0, "API request")
                    listing.gaps.append(
                        f"stopped after {plural(listing.pages, 'page')}: {left} left today, and QUOTA_RESERVE keeps "
                        f"{self.quota_reserve}; tomorrow there are more"
                    )
                    break
                requests += 1
                try:
                    size, offset = listing.next_size(), listing.offset
                    page = first if first and requests == 1 else self._page(session, day, module, size, offset)
                    listing.add(page)
                except SourceError as failure:
                    if not listing.records and not listing.rejected:
                        raise
                    listing.gaps.append(f"page {requests} did not come: {failure}")
                    requests -= isinstance(failure, QuotaKept)
                    error = failure
                    break
        listing.close()
        kept = dict(list(listing.records.items())[: self.limit])
        notes, query = [], self._query(day)
        if self.limit is not None:
            query["limit"] = str(self.limit)
            notes.append(f"LIMIT={self.limit}: only that many highlights are asked for; unset it to keep all")
        problems = [*notes, *listing.gaps, *listing.doubts]
        for problem in problems:
            log.warning("%s: %s", day, problem)
        has_no_doubt = not listing.gaps and not listing.doubts
        return Fetch(
            at=now(),
            module=module,
            records=[record for contents in kept.values() for record in contents.values()],
            query=query,
            whole=not listing.gaps,
            complete=has_no_doubt and self.limit is None,
            limited=has_no_doubt and self.limit is not None,
            is_short=listing.is_short,
            ids=listing.ids & kept.keys(),
            rejected=listing.rejected,
            total_count=listing.total,
            requests=requests,
            quota_limit=listing.quota_limit,
            quota_remaining=0 if isinstance(error, QuotaSpent) else listing.quota_remaining,
            problems=problems,
            gaps=listing.gaps,
        )

    def first_page(self, day: str, module: str, *, size: int = PAGE) -> Page:
        with self._session() as session:
            page = self._page(session, day, module, size, 0)
        Listing(limit=None, check=self.door.check).add(page)  # it may be no listing at all
        return page

    def matches(self, day: str, module: str) -> Matches:
        url = self.door.matches(module)
        if url is None:
            return Matches(at=now(), records=[], requests=0)
        league = "league" if module in US_MODULES else "leagueName"
        query = {"date": day, "timezone": self.timezone, league: self.league, "limit": str(MATCHES_PAGE)}
        listing, requests, error = MatchPages(self.door.check), 0, None
        with self._session() as session:
            while listing.wants_more(reserve=self.quota_reserve):
                requests += 1
                parameters = {**query, "offset": str(listing.offset)}
                try:
                    listing.add(
                        self._read(session, url, parameters, what=_words(f"{module} matches", day, listing.offset))
                    )
                except SourceError as failure:
                    if not listing.pages:
                        raise
                    listing.failed(failure)
                    requests -= isinstance(failure, QuotaKept)
                    error = failure
        listing.close()
        for problem in listing.problems:
            log.warning("%s: %s", day, problem)
        return Matches(
            at=now(),
            records=list(listing.records.values()),
            requests=requests,
            quota_remaining=0 if isinstance(error, QuotaSpent) else listing.quota_remaining,
            problems=listing.problems,
        )

    def _page(self, session: "requests.Session", day: str, module: str, size: int, offset: int) -> Page:
        parameters = {**self._query(day), "limit": str(size), "offset": str(offset)}
        return self._read(
            session, self.door.highlights(module), parameters, what=_words(f"{module} highlights", day, offset)
        )

    def _read(self, session: "requests.Session", url: str, parameters: dict[str, str], *, what: str) -> Page:
        started = time.monotonic()
        answer = self._get(session, url, parameters, what=what)
        return read_page(
            answer,
            address=url,
            seconds=time.monotonic() - started,
            check=self.door.check,
            without_key=self._without_key,
        )

    def _query(self, day: str) -> dict[str, str]:
        return {"date": day, "timezone": self.timezone, "leagueName": self.league}

    def _session(self) -> "requests.Session":
        import requests  # noqa: PLC0415 - why here: retry.py

        from ncaa_assets.answers import Adapter  # noqa: PLC0415

        session = requests.Session()
        session.mount("http://", Adapter())
        session.mount("https://", Adapter())
        session.trust_env = self.trusted_origin is None  # a proxy cannot reach the sample on this machine's loopback
        session.auth = _no_netrc
        session.headers.update(self._headers())
        return session

    def _headers(self) -> dict[str, str]:
        headers = {"X-RapidAPI-Key": self.key, "User-Agent": USER_AGENT, "Accept": "application/json"}
        # The direct hosts take the key alone; RapidAPI's gateway also wants the name of the API that is meant.
        if self.door.host:
            headers["X-RapidAPI-Host"] = self.door.host
        return headers

    def _get(
        self, session: "requests.Session", url: str, parameters: dict[str, str], *, what: str
    ) -> "requests.Response":
        retry = self.retry.loop(what=what, log=log)
        import requests  # noqa: PLC0415
        import urllib3  # noqa: PLC0415

        try:
            return retry(self._get_once, session, url, parameters)
        except requests.exceptions.InvalidHeader as error:
            if isinstance(error.args[0], urllib3.exceptions.InvalidHeader):
                raise SourceError(f"the API's answer cannot be read ({error}); {self.door.check}") from error
            # Its message, and so the log, would hold the key.
            raise SourceError("the key cannot be sent as a header; copy RAPIDAPI_KEY again") from None
        except urllib3.exceptions.InvalidHeader as error:
            raise SourceError(f"the API's answer cannot be read ({error}); {self.door.check}") from error
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            raise self._connection_error(url, error) from error

    def _get_once(self, session: "requests.Session", url: str, parameters: dict[str, str]) -> "requests.Response":
        if self.quota is not None:
            self.quota.take()
        # A redirect would carry the key to another host; the API has no reason to send one.
        answer = session.get(url, params=parameters, timeout=TIMEOUT, allow_redirects=False, stream=True)
        with answer:
            self._heard(requests_left(answer))
            answer._content = _body(answer, self.door.check)
        if answer.status_code != 200:
            refusal = self._refusal(url, answer)
            self._heard(0 if isinstance(refusal, QuotaSpent) else None)
            raise refusal
        return answer

    def _heard(self, left: int | None) -> None:
        if self.quota is not None:
            self.quota.heard(left)

    def _refusal(self, url: str, answer: "requests.Response") -> SourceError:
        status, message = answer.status_code, _message(answer, self._without_key)
        transient = status_is_transient(status, message)
        why = f" ({message})" if message else ""
        if status in (301, 302, 303, 307, 308):
            text = f"the API at {url} redirects elsewhere; set API_BASE or API_URL to the address it means"
        elif status == 400:
            text = (
                f"the API refused the query{why}; check LEAGUE_NAME and TIMEZONE, or report it: its interface changed"
            )
        elif status in (401, 403):
            text = self._denial(url, status, why)
        elif status == 404:
            text = f"there is nothing at {url}{why}; {self.door.check}"
        elif status == 429 and not transient:
            text = f"today's API requests are used up{why}; run the day again tomorrow, or upgrade the plan"
        elif status == 429:
            text = f"the API says there are too many requests at once{why}; try again in a minute"
        elif transient:
            text = f"the API is down (status {status}){why}; try again later"
        else:
            text = f"the API answered with status {status}{why}"
        kind = SourceDenied if status in (401, 403, 404) and not transient else SourceError
        kind = QuotaSpent if status == 429 and not transient else kind
        return kind(text, transient=transient, retry_after=retry_after_seconds(answer.headers))

    def _denial(self, url: str, status: int, why: str) -> str:
        """Why a key was refused: it is another door's, or it is not subscribed, or it is no key at all."""
        host, door = urlsplit(url).netloc, self.door
        of_key = kind_of_key(self.key)
        if of_key is Kind.DIRECT and door.kind is Kind.RAPIDAPI:
            return (
                f"the key is one of the vendor's own (a UUID), which RapidAPI does not take{why}; {door.unset}, so "
                "that the key's own door is asked, or set RAPIDAPI_KEY to a key of RapidAPI's"
            )
        if is_rapidapi_key(self.key) and door.kind is Kind.DIRECT:
            return (
                f"the key is RapidAPI's, which the vendor's own {host} does not take{why}; {door.unset}, so that the "
                "key's own door is asked, or set RAPIDAPI_KEY to a direct key (a UUID)"
            )
        if status == 401:
            return f"the API does not accept the key{why}; check RAPIDAPI_KEY, or whether this needs a paid plan"
        if door.kind is Kind.OTHER:
            shapes = {"one of the vendor's own": of_key is Kind.DIRECT, "RapidAPI's": is_rapidapi_key(self.key)}
            shape = next((name for name, is_it in shapes.items() if is_it), "of no door that is known")
            return (
                f"the API denied access{why}; the key is {shape} by its shape: subscribe the key to this API, or set "
                f"RAPIDAPI_KEY to one that {host} takes"
            )
        return f"the key is not subscribed to the API at {host}{why}; subscribe it there, or check RAPIDAPI_KEY"

    def _connection_error(self, url: str, error: Exception) -> SourceError:
        import requests  # noqa: PLC0415
        import urllib3  # noqa: PLC0415

        host, check = urlsplit(url).netloc, self.door.check
        if isinstance(error, requests.exceptions.SSLError):
            text = f"the certificate of {host} cannot be trusted; {check}, and this machine's clock and certificates"
        elif is_unreachable(error):
            text = f"{host} cannot be reached (unknown name or refused connection): is this computer online?"
            if self.door.named_by:
                text += f" If it is, {check}"
        elif isinstance(error, requests.exceptions.Timeout | urllib3.exceptions.TimeoutError):
            text = f"{host} does not answer in time; try again later"
        else:
            text = f"the connection to {host} broke ({type(error).__name__}); try again later"
        return SourceError(text, transient=is_transient(error))

    def _without_key(self, text: str) -> str:
        """A server's text, fit to print, and without the key where it repeats the key. A key of fewer than 8 characters
        is left in: it is a word and no secret."""
        text = visible(text, most=2000)  # first, so that no invisible character hides the key
        return visible(text.replace(self.key, "[key]") if len(self.key) >= 8 else text)


def _body(answer: "requests.Response", check: str) -> bytes:
    """An answer's body, bounded in size and time. A page of forty records has about 40 kB. `check` says what to look at
    where it is too large.

    Raises:
        SourceError: it is larger than `MOST_BYTES`, or takes longer than `MOST_SECONDS`.
    """
    body = bytearray()
    started = time.monotonic()
    # `read1` returns whatever has arrived. A read of full pieces would never notice a byte every other second.
    while piece := answer.raw.read1(64 * 1024, decode_content=True):
        body += piece
        if len(body) > MOST_BYTES:
            raise SourceError(f"the API's answer is larger than {MOST_BYTES // 10**6} MB; {check}")
        if time.monotonic() - started > MOST_SECONDS:
            raise SourceError(f"the API's answer took longer than {MOST_SECONDS:.0f} s; try again later")
    return bytes(body)


def _message(answer: "requests.Response", without_key: Callable[[str], str]) -> str:
    try:
        body = json_text.loads(answer.content[:10_000])
    except ValueError:
        return ""
    message = body.get("message", "") if isinstance(body, dict) else ""
    text = "; ".join(map(str, message)) if isinstance(message, list) else str(message)
    return without_key(text).rstrip(".")


def _no_netrc(request: "requests.PreparedRequest") -> "requests.PreparedRequest":
    """The key is the only credential; without this, requests would add one that a `.netrc` has for the host."""
    return request


def _words(what: str, day: str, offset: int) -> str:
    """A request for a page, as people read of it."""
    return f"{what} of {day} after the first {offset}" if offset else f"{what} of {day}"
