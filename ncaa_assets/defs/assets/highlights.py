"""The `highlights` asset: one day of the API's listing, merged into what is kept of that day."""

import logging
import time
from collections.abc import Iterator
from typing import Any

import dagster as dg

from ncaa_assets.archive import documents
from ncaa_assets.defs.metadata import highlights_table
from ncaa_assets.defs.resources import DayLease
from ncaa_assets.ports import ObjectStore
from ncaa_assets.record.fetch import Fetch
from ncaa_assets.record.merge import Growth, merge_fetch
from ncaa_assets.record.models import HighlightsDay, content_hash
from ncaa_assets.runs.outcome import REQUESTS_LEFT
from ncaa_assets.source.client import A_DAY_WITH_GAMES, HighlightsApi
from ncaa_assets.text import plural

log = logging.getLogger(__name__)


@dg.asset(
    kinds={"json"},
    code_version="1",
    output_required=False,
    io_manager_key="documents",
)
def highlights(
    context: dg.AssetExecutionContext,
    api: dg.ResourceParam[HighlightsApi],
    store: dg.ResourceParam[ObjectStore],
    day_lease: dg.ResourceParam[DayLease],
) -> Iterator[dg.MaterializeResult[HighlightsDay]]:
    """The day's highlights, as the Sport Highlights API lists them.

    Asks the API for every page of the game day and merges the answer into `highlights/<day>.json`. The records are kept
    word for word under `data`. Nothing is ever removed: a record that the API no longer lists is marked
    `removed_upstream`, one that changed keeps its earlier contents.

    Run it again whenever you like; clips arrive 1 to 48 hours after a game, so each day is asked for again for a few
    days.
    """
    if day_lease.taken_by:
        log.warning("skipped: %s", day_lease.taken_by)
        return
    day = context.partition_key
    for name, text in day_lease.marks.items():
        log.warning("%s: %s", name, text)
    started = time.monotonic()
    fetch = api.fetch_day(day)
    seconds = time.monotonic() - started
    stored = documents.load_or_new(store, HighlightsDay, day)
    merged, growth = merge_fetch(stored, fetch)
    day_lease.identity.claim(store)
    day_lease.check()
    if fetch.error is not None:
        documents.save(store, merged)  # what came before the error is kept; the day has failed all the same
        raise fetch.error
    is_first = not merged.data and next(store.list("highlights/"), None) is None
    yield dg.MaterializeResult(
        value=merged,
        metadata={**_metadata(merged, fetch, growth, seconds=seconds, is_first=is_first), **day_lease.marks},
        # Only contents count: a day that lists what it listed before leaves what is downstream up to date.
        data_version=dg.DataVersion(
            content_hash([[one.content_hash, one.removed_upstream] for one in merged.backup.records.values()])
        ),
    )


def _metadata(day: HighlightsDay, fetch: Fetch, growth: Growth, *, seconds: float, is_first: bool) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "summary": _summary(day, fetch, growth, is_first=is_first),
        "highlights": len(day.data),
        "new": growth.new,
        "changed": growth.changed,
        "removed_upstream": sum(entry.removed_upstream is not None for entry in day.backup.records.values()),
        "rejected": growth.rejected,
        "complete": fetch.complete,
        "api_requests": fetch.requests,
        "api_seconds": round(seconds, 3),
        "listing": dg.MetadataValue.md(
            highlights_table((view, day.backup.records[view.id]) for view, _ in day.highlights())
        ),
    }
    if fetch.quota_limit is not None:
        metadata["api_requests_a_day"] = fetch.quota_limit
    if fetch.quota_remaining is not None:
        metadata[REQUESTS_LEFT] = fetch.quota_remaining
    if fetch.problems:
        metadata["problems"] = dg.MetadataValue.md("\n".join(f"- {problem}" for problem in fetch.problems))
    return metadata


def _summary(day: HighlightsDay, fetch: Fetch, growth: Growth, *, is_first: bool) -> str:
    if day.data or growth.rejected:
        text = f"{plural(len(day.data), 'highlight')} kept: {growth}"
    else:
        text = "no games: the API lists no highlights for this day"
        if is_first:
            text += f" (a day with games to try: {A_DAY_WITH_GAMES})"
    if day.data and not growth.listed:
        text += " (it used to list some: nothing was removed)"
    if fetch.problems:
        text += f"; {'; '.join(fetch.problems)}"
    if fetch.quota_remaining is not None:
        text += f"; {plural(fetch.quota_remaining, 'API request')} left today"
    return text
