"""The `highlights` asset: the API's listing of a day, merged into the day's document."""

import logging
from collections.abc import Iterator
from typing import Any

import dagster as dg

from ncaa_assets.archive.archive import HeldDay, TakenDay
from ncaa_assets.day.fetch import Fetched, fetch
from ncaa_assets.defs.assets.shell import Done, materialized
from ncaa_assets.defs.metadata import bullets, highlights_table
from ncaa_assets.defs.resources import Day
from ncaa_assets.ports import Source
from ncaa_assets.record.matches import context_of
from ncaa_assets.record.models import HighlightsDay, content_hash
from ncaa_assets.runs.outcome import NOT_WHOLE
from ncaa_assets.source.season import day_with_games
from ncaa_assets.text import plural

log = logging.getLogger(__name__)


@dg.asset(
    kinds={"json"},
    code_version="1",
    config_schema={},  # refuses any; Dagster would take whatever a person writes, and nobody would read it
    output_required=False,
    io_manager_key="documents",
)
def highlights(
    source: dg.ResourceParam[Source], day: dg.ResourceParam[Day]
) -> Iterator[dg.MaterializeResult[HighlightsDay]]:
    """The day's highlights, as the Sport Highlights API lists them.

    Asks the archive's module of the API for every page of the game day and merges the answer into
    `highlights/<day>.json`. The records are kept word for word under `data`, and the day's games under `matches`.
    Nothing is ever removed: a record that the API no longer lists is marked `removed_upstream`, and a record that
    changed keeps its earlier contents. A listing that was not read to its end leaves the day incomplete.

    It is safe to run again at any time. Clips arrive 1 to 48 hours after a game, so each day is fetched again for a few
    days."""

    def step(held: HeldDay) -> Done[HighlightsDay]:
        fetched = fetch(held, source)
        return Done(fetched.document, _metadata(fetched), _version(fetched.document))

    if isinstance(day, TakenDay):
        log.warning("skipped: %s", day.why)
    yield from materialized(day, step)


def _version(day: HighlightsDay) -> str:
    """The data version: it depends on contents alone, so an unchanged listing leaves what is downstream up to date."""
    entries: list[Any] = [[entry.content_hash, entry.removed_upstream] for entry in day.backup.records.values()]
    context = context_of(day)
    return content_hash([entries, context] if context else entries)


def _metadata(fetched: Fetched) -> dict[str, Any]:
    day, answer, growth = fetched.document, fetched.fetch, fetched.growth
    metadata: dict[str, Any] = {
        "summary": _summary(fetched),
        "highlights": len(day.data),
        "new": growth.new,
        "changed": growth.changed,
        "removed_upstream": sum(entry.removed_upstream is not None for entry in day.backup.records.values()),
        "rejected": growth.rejected,
        "whole": answer.whole,
        "complete": answer.complete,
        "module": answer.module,
        "api_requests": fetched.requests,
        "api_seconds": round(fetched.seconds, 3),
        "listing": highlights_table(day),
    }
    if answer.quota_limit is not None:
        metadata["api_requests_a_day"] = answer.quota_limit
    if fetched.requests_left is not None:
        metadata["api_requests_left_today"] = fetched.requests_left
    if answer.gaps:
        metadata[NOT_WHOLE] = "; ".join(answer.gaps)
    for name, sentences in (("notes", fetched.notes), ("problems", answer.problems)):
        if sentences:
            metadata[name] = bullets(sentences)
    return metadata


def _summary(fetched: Fetched) -> str:
    day, answer, growth = fetched.document, fetched.fetch, fetched.growth
    if day.data or growth.rejected:
        text = f"{plural(len(day.data), 'highlight')} kept: {growth}"
    else:
        text = "no games: the API lists no highlights for this day"
        if fetched.is_first and (other := day_with_games(answer.module)):
            text += f" (a day with games to try: {other})"
    if day.data and not growth.listed:
        text += " (it used to list some: nothing was removed)"
    for said in (*fetched.notes, *answer.problems):
        text += f"; {said}"
    if fetched.requests_left is not None:
        text += f"; {plural(fetched.requests_left, 'API request')} left today"
    return text
