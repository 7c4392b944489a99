"""The first step of a day: its listing is fetched and merged into what is kept of it."""

import time
from dataclasses import dataclass
from itertools import islice

from ncaa_assets.archive.archive import HeldDay
from ncaa_assets.ports import Source
from ncaa_assets.record.fetch import Fetch
from ncaa_assets.record.merge import Growth, merge_fetch
from ncaa_assets.record.models import HighlightsDay


@dataclass(frozen=True)
class Fetched:
    """A day after its fetch: the document as it is stored now, the answer, what it changed, and the seconds that the
    API took. `is_first`: it is the first fetch of any day that the archive has."""

    document: HighlightsDay
    fetch: Fetch
    growth: Growth
    seconds: float
    is_first: bool


def fetch(held: HeldDay, source: Source) -> Fetched:
    """Asks the source for the whole day and stores the grown document.

    Raises:
        SourceError: the source did not answer, or only in part; what had come by then is stored.
        SettingsError: the archive is another's.
        StoreError: the document cannot be read or stored.
        LeaseLost: this run no longer holds the day.
    """
    started = time.monotonic()
    answer = source.fetch_day(held.day)
    seconds = time.monotonic() - started
    earlier = held.load_or_new(HighlightsDay)
    document, growth = merge_fetch(earlier, answer)
    held.claim()
    held.save(document)
    if answer.error is not None:
        raise answer.error  # the day has failed, and keeps what came before the error
    is_first = not earlier.backup.fetches and _is_alone(held)
    return Fetched(document, answer, growth, seconds, is_first)


def _is_alone(held: HeldDay) -> bool:
    """Whether the archive has no other day."""
    documents = islice(held.archive.store.list(f"{HighlightsDay.asset}/"), 2)
    return [info.key for info in documents] == [HighlightsDay.key(held.day)]
