"""The first step of a day: its listing is fetched and merged into what is kept of it.

The module that is asked is the archive's. An archive that begins has none: then each that may list its league is asked
for one page, and the archive becomes that of the one that lists most.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from ncaa_assets.archive.archive import HeldDay
from ncaa_assets.archive.identity import Identity
from ncaa_assets.failures import QuotaKept, QuotaSpent, SourceDenied, SourceError, one_line
from ncaa_assets.ports import Page, Source
from ncaa_assets.record import calendar
from ncaa_assets.record.fetch import Fetch
from ncaa_assets.record.matches import merge_matches
from ncaa_assets.record.merge import Growth, listed_alike, merge_fetch
from ncaa_assets.record.models import HighlightsDay
from ncaa_assets.source.open import modules_to_try
from ncaa_assets.text import SENTENCE, visible

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fetched:
    """A day after its fetch: the document as it is stored now, the answer of the archive's module, what it changed, and
    the seconds that the API took.

    `is_first`: it is the first fetch of any day that the archive has. `notes` are sentences for people: which module
    the archive became of and why, and what became of the match context. `requests` counts all API requests.
    """

    document: HighlightsDay
    fetch: Fetch
    growth: Growth
    seconds: float
    is_first: bool
    requests: int
    requests_left: int | None
    notes: list[str] = field(default_factory=list)


def fetch(held: HeldDay, source: Source) -> Fetched:
    """Asks the source for the whole day and stores the grown document.

    Raises:
        SourceError: the source did not answer. Where only a later page did not come, the answer says so instead.
        SettingsError: the archive is another's.
        StoreError: the document cannot be read or stored.
        LeaseLost: this run no longer holds the day.
    """
    started = time.monotonic()
    known = held.archive.stored_identity()
    earlier = held.load_or_new(HighlightsDay)
    work = _Work(held, source, earlier, founding=known.founding_module if known else None)
    to_come = [one.at for one in earlier.backup.fetches if calendar.is_to_come(calendar.parse_stamp(one.at))]
    if to_come:
        work.notes.append(
            f"a clock was wrong: this day was read at {max(to_come)}, which is yet to come; that counts for nothing"
        )
    if known is None or known.module is None:
        known = work.begin()
    else:
        work.ask(known.module)
        if known.doubts:
            known = held.claim(known.module)
    document, growth = earlier, None
    for answer in work.answers:
        document, growth = merge_fetch(document, answer, founding=known.founding_module)
    assert growth is not None  # noqa: S101 - each way of asking brings an answer
    answer = work.answers[-1]
    document = work.with_matches(document, answer)
    seconds = time.monotonic() - started
    held.save(document)
    is_first = not earlier.backup.fetches and _is_alone(held)
    return Fetched(document, answer, growth, seconds, is_first, work.requests, work.requests_left, work.notes)


class _Work:
    """The requests of one day: its answers, how many requests they took and left, and notes for people."""

    def __init__(self, held: HeldDay, source: Source, earlier: HighlightsDay, *, founding: str | None) -> None:
        self._held, self._source, self._earlier, self._founding = held, source, earlier, founding
        self._settings = held.archive.settings
        self.answers: list[Fetch] = []
        self.notes: list[str] = []
        self.requests = 0
        self.requests_left: int | None = None

    def begin(self) -> Identity:
        """Asks each module that may list the league, and decides which the archive is of, if any lists something."""
        modules = modules_to_try(self._settings)
        if len(modules) == 1:
            self.ask(modules[0])
            return self._held.claim(modules[0])
        pages, failed = self._first_pages(modules)
        most = max(pages, key=lambda module: pages[module].listed, default=None)
        if most is None:
            raise next(iter(failed.values()))
        if not pages[most].listed:
            return self._stay_undecided(pages, failed)
        passing = {module: error for module, error in failed.items() if not isinstance(error, SourceDenied)}
        counts = ", ".join(f"{module} {page.listed}" for module, page in pages.items())
        self.ask(most, first=pages[most])
        if passing:
            self.notes.append(f"which module the archive is of stays open: {_sentence(passing)}; {most} is kept today")
            return self._held.claim(None)
        identity = self._held.claim(most)
        if identity.module not in (None, most):
            self._ask_also(identity.module, most)
        elif len(pages) > 1:
            self.notes.append(f"this archive is of the module {most} from now on (highlights of this day: {counts})")
        else:
            self.notes.append(f"this archive is of the module {most} from now on ({_sentence(failed)})")
        return identity

    def ask(self, module: str, *, first: Page | None = None) -> None:
        """Asks one module for the whole day; once more where its listing falls short of its own count."""
        if first is not None:  # others were asked since
            first = replace(first, quota_remaining=self.requests_left)
        answer = self._fetch(module, first)
        is_in_doubt = answer.is_short and not answer.whole
        if is_in_doubt and listed_alike(self._earlier, answer, founding=self._founding):
            answer = answer.counts_as_whole("as the time before: the API's own miscount")
        elif is_in_doubt and self._may_spend(answer.quota_remaining):
            try:
                again = self._fetch(module)
            except SourceError as error:
                self._count_failed(error)
                log.warning("%s was not asked for once more: %s", self._held.day, error)
            else:
                is_alike = again.is_short and (again.total_count, again.ids) == (answer.total_count, answer.ids)
                if is_alike:
                    again = again.counts_as_whole("asked twice: the API's own miscount")
                answer = again.with_earlier(answer)
                if again.is_short and len(answer.ids) == answer.total_count:
                    answer = answer.counts_as_whole("all are there by two readings together")
        self.answers.append(answer)

    def _ask_also(self, module: str, first: str) -> None:
        """Another run was first and made the archive one of `module`: what `first` listed is kept beside it."""
        meanwhile = f"another run made the archive one of the module {module} meanwhile"
        try:
            self.ask(module)
            self.notes.append(f"{meanwhile}; what {first} listed is kept too")
        except SourceError as error:
            why = f"{meanwhile}, which did not answer: {visible(error, most=SENTENCE)}"
            self.answers = [self.answers[0].is_not_whole(why)]

    def with_matches(self, document: HighlightsDay, answer: Fetch) -> HighlightsDay:
        """The document with the day's match context, where there is something to join it to and the quota allows. The
        day never fails for it."""
        if not self._settings.matches or not document.data:
            return document
        if not self._may_spend(self.requests_left, requests=2):
            self.notes.append("no match context: too few API requests are left today")
            return document
        try:
            matches = self._source.matches(self._held.day, answer.module)
        except Exception as error:  # noqa: BLE001 - whatever it is, the day goes on and says so
            self._count_failed(error)
            self.notes.append(f"no match context: {visible(one_line(error), most=SENTENCE)}")
            return document
        if not matches.requests:
            return document  # there is no address to ask at
        self.requests += matches.requests
        self._left(matches.quota_remaining)
        self.notes += matches.problems
        return merge_matches(document, matches)

    def _first_pages(self, modules: Sequence[str]) -> tuple[dict[str, Page], dict[str, SourceError]]:
        pages: dict[str, Page] = {}
        failed: dict[str, SourceError] = {}
        for module in modules:
            if pages and not self._may_spend(self.requests_left):
                why = "too few API requests are left today to ask it"
                failed[module] = SourceError(why, transient=True)
                continue
            try:
                pages[module] = self._source.first_page(self._held.day, module)
            except SourceError as error:
                self._count_failed(error)
                is_of_quota = isinstance(error, QuotaSpent | QuotaKept)
                if is_of_quota and not pages:
                    raise
                failed[module] = SourceError(str(error), transient=True) if is_of_quota else error
            else:
                self.requests += 1
                self._left(pages[module].quota_remaining)
        return pages, failed

    def _stay_undecided(self, pages: dict[str, Page], failed: dict[str, SourceError]) -> Identity:
        """No module lists anything: the day is kept as the empty day that it is of each."""
        for module, error in failed.items():
            if not isinstance(error, SourceDenied):
                raise SourceError(
                    f"whether the day has games is not known: {module} cannot be asked ({error}). Run it again later, "
                    f"or set API_MODULE to ask one module alone ({' or '.join(pages)})",
                    transient=error.transient,
                )
        for module, page in pages.items():
            self.ask(module, first=page)
        note = f"no module lists this day ({', '.join(pages)}), so which one the archive is of stays open"
        self.notes.append(f"{note}; {_sentence(failed)}" if failed else note)
        return self._held.claim(None)

    def _fetch(self, module: str, first: Page | None = None) -> Fetch:
        answer = self._source.fetch_day(self._held.day, module, first=first)
        self.requests += answer.requests - (first is not None)  # which was counted when it was asked for
        self._left(answer.quota_remaining)
        return answer

    def _count_failed(self, error: Exception) -> None:
        """Counts a request that failed, unless it was not made at all."""
        if not isinstance(error, QuotaKept):
            self.requests += 1
        if isinstance(error, QuotaSpent):
            self.requests_left = 0

    def _left(self, requests: int | None) -> None:
        self.requests_left = self.requests_left if requests is None else requests

    def _may_spend(self, left: int | None, *, requests: int = 1) -> bool:
        return left is None or left - requests >= self._settings.quota_reserve


def _sentence(failed: dict[str, SourceError]) -> str:
    return "; ".join(f"{module} cannot be asked: {visible(error, most=SENTENCE)}" for module, error in failed.items())


def _is_alone(held: HeldDay) -> bool:
    """Whether the archive has no other day."""
    documents = islice(held.archive.store.list(f"{HighlightsDay.asset}/"), 2)
    return [info.key for info in documents] == [HighlightsDay.key(held.day)]
