"""How a day's document grows: the answer of one fetch is merged into what is stored. Pure functions, no I/O.

Nothing is ever taken out of a day's `data`. Only a complete fetch, asked with the same query as its module's before it,
may mark a record as removed upstream, and only one that this module had listed.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import takewhile
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
    id_of,
)

# JSON can be read only some 950 levels deep, and a document wraps each record in a few more. The deepest record seen
# had five; what is far deeper is kept as text, so that a document can always be read again.
DEEPEST = 400


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


def merge_fetch(stored: HighlightsDay, fetch: Fetch, *, founding: str | None) -> tuple[HighlightsDay, Growth]:
    """The day's document after a fetch, and what that changed. `stored` is left as it is. `founding` is the module of
    what names none.

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

    for text, reason in fetch.rejected:
        refused += 1
        fresh = Rejected(first_seen=fetch.at, last_seen=fetch.at, reason=reason, record=text)
        rejected.setdefault(content_hash(text), fresh).last_seen = fetch.at
    for record in fetch.records:
        too_deep = json_text.is_deeper(record, DEEPEST)
        try:
            if too_deep:
                raise ValueError(f"it is nested more than {DEEPEST} levels deep; it is kept as text")
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
        modules = _modules(entry, founding if key in known else None)
        entry.modules = modules if fetch.module in modules else [*modules, fetch.module]
        if entry.content_hash != digest:
            changed += 1
            if key in known:
                entry.history = [*entry.history, Change(replaced_at=fetch.at, record=known[key])]
            entry.content_hash = digest
        for _, record in by_hash.values():
            _keep_repeat(entry, record, fetch.at)

    removed = _mark_removed(bookkeeping, listed, fetch, founding) if _may_mark(stored, fetch, founding) else 0
    first, then = (listed, known) if fetch.complete else (known, listed)
    records = [(views[key], listed.get(key) or known[key]) for key in {**first, **then}]
    this = _recorded(fetch)
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


def merge_earlier(stored: HighlightsDay, fetch: Fetch, *, founding: str | None) -> tuple[HighlightsDay, Growth]:
    """The day's document with a fetch that counts as older than all that this program fetched, such as an imported one.
    `stored` is left as it is.

    What the document says stays: where it has another content of a record, that of the fetch goes in front of the
    record's history, whatever a clock says. The fetch marks nothing as removed and brings nothing back.
    """
    alone, growth = merge_fetch(HighlightsDay(date=stored.date), fetch, founding=founding)
    known = {view.id for view, _ in stored.highlights()}
    bookkeeping = {key: entry.model_copy() for key, entry in stored.backup.records.items()}
    new = changed = 0
    for view, record in alone.highlights():
        fresh = alone.backup.records[view.id]
        if view.id not in known:
            new += 1
            bookkeeping[view.id] = fresh
            continue
        entry = bookkeeping[view.id]
        kept = {entry.content_hash, *(content_hash(change.record) for change in entry.history)}
        contents = [record, *(change.record for change in fresh.history)]
        earlier = [one for one in contents if content_hash(one) not in kept]
        changed += bool(earlier)
        entry.history = [*(Change(replaced_at=entry.first_seen, record=one) for one in earlier), *entry.history]
        entry.first_seen = min(entry.first_seen, fetch.at)
        modules = _modules(entry, founding)
        entry.modules = modules if fetch.module in modules else [*modules, fetch.module]
    rejected = {content_hash(one.record): one for one in [*alone.backup.rejected, *stored.backup.rejected]}
    fetches = list(stored.backup.fetches)
    older = takewhile(lambda one: one.imported is not None and one.at <= fetch.at, fetches)
    fetches.insert(sum(1 for _ in older), _recorded(fetch))
    backup = stored.backup.model_copy(
        update={"records": bookkeeping, "rejected": list(rejected.values()), "fetches": fetches}
    )
    records = [*stored.highlights(), *(one for one in alone.highlights() if one[0].id not in known)]
    return stored.with_records(records, backup), replace(growth, new=new, changed=changed)


def _recorded(fetch: Fetch) -> FetchRecord:
    return FetchRecord(
        at=fetch.at,
        module=fetch.module,
        whole=fetch.whole,
        is_short=fetch.is_short,
        complete=fetch.complete,
        limited=fetch.limited,
        query=fetch.query,
        total_count=fetch.total_count,
        received=len(fetch.records) + len(fetch.rejected),
        problems=list(fetch.problems),
        imported=fetch.imported,
    )


def listed_alike(stored: HighlightsDay, fetch: Fetch, *, founding: str | None) -> bool:
    """Whether the module's fetch before fell short alike: the same query, as many records announced, the same ids."""
    last = next((one for one in reversed(stored.backup.fetches) if (one.module or founding) == fetch.module), None)
    if last is None or not last.is_short or (last.query, last.total_count) != (fetch.query, fetch.total_count):
        return False
    return fetch.ids == {key for key, entry in stored.backup.records.items() if entry.last_seen == last.at}


def _may_mark(stored: HighlightsDay, fetch: Fetch, founding: str | None) -> bool:
    earlier = [one.query for one in stored.backup.fetches if (one.module or founding) == fetch.module]
    return fetch.complete and fetch.query == (earlier[-1] if earlier else fetch.query)


def _mark_removed(
    bookkeeping: dict[str, RecordHistory], listed: dict[str, dict[str, Any]], fetch: Fetch, founding: str | None
) -> int:
    count = 0
    # A record that came in a shape that cannot be understood is still listed under its id.
    named = set(map(_id_of, fetch.records))
    for key, entry in bookkeeping.items():
        is_gone = key not in listed and key not in named and fetch.module in _modules(entry, founding)
        if is_gone and entry.removed_upstream is None:
            entry.removed_upstream = fetch.at
            count += 1
    return count


def _id_of(record: object) -> str | None:
    with suppress(ValueError):
        return id_of(record) if isinstance(record, dict) else None
    return None


def _modules(entry: RecordHistory, founding: str | None) -> list[str]:
    return entry.modules or ([founding] if founding is not None else [])


def _keep_repeat(entry: RecordHistory, record: dict[str, Any], at: str) -> None:
    """Keeps another content that the same answer listed under the same id, once for each content."""
    kept = {entry.content_hash, *(content_hash(change.record) for change in entry.history)}
    if content_hash(record) not in kept:
        entry.history = [*entry.history, Change(replaced_at=at, record=record)]
