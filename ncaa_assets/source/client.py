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
from ncaa_assets.failures import QuotaSpent, SourceError
from ncaa_assets.ports import FirstPage, Source
from ncaa_assets.record import json_text
from ncaa_assets.record.calendar import now
from ncaa_assets.record.fetch import Fetch
from ncaa_assets.retry import (
    RetryPolicy,
    is_transient,
    is_unreachable,
    retry_after_seconds,
    status_is_transient,
)
from ncaa_assets.source.listing import PAGE, Listing, quota_limit, quota_remaining, read_page
from ncaa_assets.text import visible

if TYPE_CHECKING:
    import requests

log = logging.getLogger(__name__)

MOST_BYTES = 64 * 10**6
MOST_SECONDS = 120.0
# A Sunday at the end of a regular season: suggested to a newcomer whose first day has no games, and what the doctor
# asks for.
A_DAY_WITH_GAMES = "2025-03-09"
TIMEOUT = (5.0, 30.0)  # seconds to connect, seconds between two pieces of an answer


@dataclass(frozen=True)
class HighlightsApi(Source):
    """One endpoint of the API with its key.

    `limit` is the most highlights of a day that are asked for (None: all), `quota_reserve` how many API requests are
    never spent.
    """

    url: str
    host: str | None
    key: str = field(repr=False)
    league: str
    timezone: str
    limit: int | None = None
    quota_reserve: int = 5
    retry: RetryPolicy = RetryPolicy()
    trusted_origin: tuple[str, int] | None = None

    def fetch_day(self, day: str) -> Fetch:
        query = self._query(day)
        listing = Listing(limit=self.limit)
        with self._session() as session:
            while not listing.ended:
                if not listing.may_spend(reserve=self.quota_reserve):
                    listing.problems.append(
                        f"stopped after {listing.pages} pages: {listing.quota_remaining} API requests are left today "
                        f"and QUOTA_RESERVE keeps {self.quota_reserve}"
                    )
                    break
                page = {"limit": str(listing.next_size()), "offset": str(listing.offset)}
                try:
                    listing.add(self._get(session, {**query, **page}), without_key=self._without_key)
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
            requests=listing.answers,
            quota_limit=listing.quota_limit,
            quota_remaining=listing.quota_remaining,
            problems=listing.problems,
            error=listing.error,
        )

    def requests_left(self, day: str) -> int | None:
        with self._session() as session:
            return quota_remaining(self._get(session, {**self._query(day), "limit": "1", "offset": "0"}))

    def first_page(self, day: str) -> FirstPage:
        started = time.monotonic()
        with self._session() as session:
            answer = self._get(session, {**self._query(day), "limit": str(PAGE), "offset": "0"})
        seconds = time.monotonic() - started
        page = read_page(answer, without_key=self._without_key)
        plan = page.body.get("plan")
        tier = plan.get("tier") if isinstance(plan, dict) else None
        return FirstPage(
            body=page.body,
            records=page.records,
            total=page.total,
            restriction=page.restriction,
            plan=visible(self._without_key(tier), most=40) if isinstance(tier, str) else None,
            quota_limit=quota_limit(answer),
            quota_remaining=quota_remaining(answer),
            seconds=seconds,
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
        if self.host:
            headers["X-RapidAPI-Host"] = self.host
        return headers

    def _get(self, session: "requests.Session", parameters: dict[str, str]) -> "requests.Response":
        what = f"highlights of {parameters['date']} from {parameters['offset']}"
        retry = self.retry.loop(what=what, log=log)
        import requests  # noqa: PLC0415
        import urllib3  # noqa: PLC0415

        try:
            return retry(self._get_once, session, parameters)
        except requests.exceptions.InvalidHeader as error:
            if isinstance(error.args[0], urllib3.exceptions.InvalidHeader):
                raise SourceError(f"the API's answer cannot be read ({error}); check API_URL") from error
            # Its message, and so the log, would hold the key.
            raise SourceError("the key cannot be sent as a header; copy RAPIDAPI_KEY again") from None
        except urllib3.exceptions.InvalidHeader as error:
            raise SourceError(f"the API's answer cannot be read ({error}); check API_URL") from error
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
        why = f" ({message})" if message else ""
        if status in (301, 302, 303, 307, 308):
            text = f"the API at {self.url} redirects elsewhere; set API_URL to the address it means"
        elif status == 400:
            text = (
                f"the API refused the query{why}; check LEAGUE_NAME and TIMEZONE, or report it: its interface changed"
            )
        elif status == 401:
            text = (
                f"the API does not accept the key{why}; check RAPIDAPI_KEY, or whether this endpoint needs a paid plan"
            )
        elif status == 403:
            text = f"the API denied access{why}; subscribe the key to the Sport Highlights API, or check RAPIDAPI_HOST"
        elif status == 404:
            text = f"there is nothing at {self.url}{why}; check API_URL"
        elif status == 429 and not transient:
            text = f"today's API requests are used up{why}; run the day again tomorrow, or upgrade the plan"
        elif status == 429:
            text = f"the API says there are too many requests at once{why}; try again in a minute"
        elif transient:
            text = f"the API is down (status {status}){why}; try again later"
        else:
            text = f"the API answered with status {status}{why}"
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
        """A server's text, fit to print, and without the key where it repeats the key. A key of fewer than 8 characters
        is left in: it is a word and no secret."""
        text = visible(text, most=2000)  # first, so that no invisible character hides the key
        return visible(text.replace(self.key, "[key]") if len(self.key) >= 8 else text)


def _body(answer: "requests.Response") -> bytes:
    """An answer's body, bounded in size and time. A page of forty records has about 40 kB.

    Raises:
        SourceError: it is larger than `MOST_BYTES`, or takes longer than `MOST_SECONDS`.
    """
    body = bytearray()
    started = time.monotonic()
    # `read1` returns whatever has arrived. A read of full pieces would never notice a byte every other second.
    while piece := answer.raw.read1(64 * 1024, decode_content=True):
        body += piece
        if len(body) > MOST_BYTES:
            raise SourceError(f"the API's answer is larger than {MOST_BYTES // 10**6} MB; check API_URL")
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
