"""The `highlights` asset: the API's listing of a day, merged into the day's document."""

import logging
from collections.abc import Iterator
from typing import Any

import dagster as dg

from ncaa_assets.archive.archive import HeldDay, TakenDay
from ncaa_assets.day.fetch import Fetched, fetch
from ncaa_assets.defs.assets.shell import Done, materialized
from ncaa_assets.defs.metadata import highlights_table
from ncaa_assets.defs.resources import Day
from ncaa_assets.ports import Source
from ncaa_assets.record.models import HighlightsDay, content_hash
from ncaa_assets.runs.outcome import REQUESTS_LEFT
from ncaa_assets.source.client import A_DAY_WITH_GAMES
from ncaa_assets.text import plural

log = logging.getLogger(__name__)


@dg.asset(
    kinds={"json"},
    code_version="1",
    output_required=False,
    io_manager_key="documents",
)
def highlights(
    source: dg.ResourceParam[Source], day: dg.ResourceParam[Day]
) -> Iterator[dg.MaterializeResult[HighlightsDay]]:
    """The day's highlights, as the Sport Highlights API lists them.

    Asks the API for every page of the game day and merges the answer into `highlights/<day>.json`. The records are kept
    word for word under `data`. Nothing is ever removed: a record that the API no longer lists is marked
    `removed_upstream`, and a record that changed keeps its earlier contents.

    It is safe to run again at any time. Clips arrive 1 to 48 hours after a game, so each day is fetched again for a few
    days."""

    def step(held: HeldDay) -> Done[HighlightsDay]:
        if held.archive.settings.uses_sample:
            log.warning("SAMPLE: made-up data from the sample API; set RAPIDAPI_KEY to back up real games")
        fetched = fetch(held, source)
        entries = fetched.document.backup.records.values()
        return Done(
            fetched.document,
            _metadata(fetched),
            # The data version depends on contents alone, so an unchanged listing leaves what is downstream up to date.
            content_hash([[entry.content_hash, entry.removed_upstream] for entry in entries]),
        )

    if isinstance(day, TakenDay):
        log.warning("skipped: %s", day.why)
    yield from materialized(day, step)


def _metadata(fetched: Fetched) -> dict[str, Any]:
    day, answer, growth = fetched.document, fetched.fetch, fetched.growth
    metadata: dict[str, Any] = {
        "summary": _summary(fetched),
        "highlights": len(day.data),
        "new": growth.new,
        "changed": growth.changed,
        "removed_upstream": sum(entry.removed_upstream is not None for entry in day.backup.records.values()),
        "rejected": growth.rejected,
        "complete": answer.complete,
        "api_requests": answer.requests,
        "api_seconds": round(fetched.seconds, 3),
        "listing": dg.MetadataValue.md(
            highlights_table((view, day.backup.records[view.id]) for view, _ in day.highlights())
        ),
    }
    if answer.quota_limit is not None:
        metadata["api_requests_a_day"] = answer.quota_limit
    if answer.quota_remaining is not None:
        metadata[REQUESTS_LEFT] = answer.quota_remaining
    if answer.problems:
        metadata["problems"] = dg.MetadataValue.md("\n".join(f"- {problem}" for problem in answer.problems))
    return metadata


def _summary(fetched: Fetched) -> str:
    day, answer, growth = fetched.document, fetched.fetch, fetched.growth
    if day.data or growth.rejected:
        text = f"{plural(len(day.data), 'highlight')} kept: {growth}"
    else:
        text = "no games: the API lists no highlights for this day"
        if fetched.is_first:
            text += f" (a day with games to try: {A_DAY_WITH_GAMES})"
    if day.data and not growth.listed:
        text += " (it used to list some: nothing was removed)"
    if answer.problems:
        text += f"; {'; '.join(answer.problems)}"
    if answer.quota_remaining is not None:
        text += f"; {plural(answer.quota_remaining, 'API request')} left today"
    return text
