"""How a day's document grows: the answer of one fetch is merged into what is stored. Pure functions, no I/O.

Nothing is ever taken out of a day's `data`. Only a complete fetch, asked with the same query as the one before it, may
mark a record as removed upstream.
"""

from dataclasses import dataclass
from typing import Any

from ncaa_assets.record import json_text
from ncaa_assets.record.fetch import Fetch
from ncaa_assets.record.models import (
    Change,
    FetchRecord,
    Highlight,
    HighlightsDay,
    RecordHistory,
    Rejected,
    content_hash,
)

# JSON can be read only some 950 levels deep, and a document wraps each record in a few more. The deepest record seen
# had five; what is far deeper is kept as text, so that a document can always be read again.
_DEEPEST = 400


@dataclass(frozen=True)
class Growth:
    """What a merge did, in numbers of records."""

    listed: int
    new: int
    changed: int
    removed: int
    returned: int
    rejected: int

    def __str__(self) -> str:
        parts = [f"{self.listed} listed", f"{self.new} new"]
        parts += [
            f"{count} {name}"
            for count, name in (
                (self.changed, "changed"),
                (self.removed, "removed upstream"),
                (self.returned, "back again"),
                (self.rejected, "not understood"),
            )
            if count
        ]
        return ", ".join(parts)


def merge_fetch(stored: HighlightsDay, fetch: Fetch) -> tuple[HighlightsDay, Growth]:
    """The day's document after a fetch, and what that changed. `stored` is left as it is.

    Order of `data`: a complete fetch puts its records first, in the API's order, then those that it no longer listed;
    an incomplete one keeps the stored order and appends what is new.
    """
    views = {view.id: view for view, _ in stored.highlights()}
    known = {view.id: record for view, record in stored.highlights()}
    bookkeeping = {key: entry.model_copy() for key, entry in stored.backup.records.items()}
    answered: dict[str, list[tuple[Highlight, dict[str, Any]]]] = {}
    listed: dict[str, dict[str, Any]] = {}
    rejected = {content_hash(entry.record): entry.model_copy() for entry in stored.backup.rejected}
    refused = new = changed = returned = 0

    for record in fetch.records:
        too_deep = json_text.is_deeper(record, _DEEPEST)
        try:
            if too_deep:
                raise ValueError(f"it is nested more than {_DEEPEST} levels deep; it is kept as text")
            view = Highlight.parse(record)
            answered.setdefault(view.id, []).append((view, record))
        except ValueError as error:
            refused += 1
            kept = json_text.dumps(record).decode() if too_deep else record
            fresh = Rejected(first_seen=fetch.at, last_seen=fetch.at, reason=str(error), record=kept)
            rejected.setdefault(content_hash(kept), fresh).last_seen = fetch.at

    for key, contents in answered.items():
        entry = bookkeeping.get(key)
        hashes = [content_hash(record) for _, record in contents]
        by_hash = dict(zip(reversed(hashes), reversed(contents), strict=True))
        # Of several contents in one answer the stored one stays: else each answer that swaps them would be a change.
        digest = entry.content_hash if entry and entry.content_hash in by_hash else hashes[0]
        views[key], listed[key] = by_hash.pop(digest)
        if entry is None:
            new += 1
            entry = bookkeeping[key] = RecordHistory(first_seen=fetch.at, last_seen=fetch.at, content_hash=digest)
        returned += entry.removed_upstream is not None
        entry.last_seen, entry.removed_upstream = fetch.at, None
        if entry.content_hash != digest:
            changed += 1
            if key in known:
                entry.history = [*entry.history, Change(replaced_at=fetch.at, record=known[key])]
            entry.content_hash = digest
        for _, record in by_hash.values():
            _keep_repeat(entry, record, fetch.at)

    removed = _mark_removed(bookkeeping, listed, fetch) if _may_mark(stored, fetch) else 0
    first, then = (listed, known) if fetch.complete else (known, listed)
    records = [(views[key], listed.get(key) or known[key]) for key in {**first, **then}]
    this = FetchRecord(
        at=fetch.at,
        complete=fetch.complete,
        limited=fetch.limited,
        query=fetch.query,
        total_count=fetch.total_count,
        received=len(fetch.records),
        problems=list(fetch.problems),
    )
    # Copies, and not new objects: fields that a newer version wrote go with them.
    backup = stored.backup.model_copy(
        update={
            "records": bookkeeping,
            "rejected": list(rejected.values()),
            "fetches": [*stored.backup.fetches, this],
        }
    )
    return stored.with_records(records, backup), Growth(
        listed=len(listed), new=new, changed=changed, removed=removed, returned=returned, rejected=refused
    )


def _may_mark(stored: HighlightsDay, fetch: Fetch) -> bool:
    before = stored.backup.fetches[-1].query if stored.backup.fetches else fetch.query
    return fetch.complete and fetch.query == before


def _mark_removed(bookkeeping: dict[str, RecordHistory], listed: dict[str, dict[str, Any]], fetch: Fetch) -> int:
    count = 0
    # A record that came in a shape that cannot be understood is still listed under its id.
    named = {str(record["id"]).strip() for record in fetch.records if isinstance(record, dict) and "id" in record}
    for key, entry in bookkeeping.items():
        if key not in listed and key not in named and entry.removed_upstream is None:
            entry.removed_upstream = fetch.at
            count += 1
    return count


def _keep_repeat(entry: RecordHistory, record: dict[str, Any], at: str) -> None:
    """Keeps another content that the same answer listed under the same id, once for each content."""
    kept = {entry.content_hash, *(content_hash(change.record) for change in entry.history)}
    if content_hash(record) not in kept:
        entry.history = [*entry.history, Change(replaced_at=at, record=record)]
