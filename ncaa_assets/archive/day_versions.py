"""How two archives' documents of one day stand to one another: equal, one an earlier state of the other, or each gone
its own way. No clock is asked: a day grows by its fetches, and its manifests by their entries."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from ncaa_assets.record.models import Document, HighlightsDay, ProcessedDay, VideosDay


class State(Enum):
    """What a day is here, seen from what another archive has of it."""

    EQUAL = auto()
    EARLIER = auto()
    LATER = auto()
    OTHER = auto()


@dataclass(frozen=True)
class DayDocuments:
    """A day's documents that can be read, by kind, and the bytes of each as it is stored."""

    read: Mapping[type[Document], Document]
    stored: Mapping[type[Document], bytes]


def state_of(ours: DayDocuments, theirs: DayDocuments, kinds: Collection[type[Document]]) -> State:
    """How our day stands to theirs, by the documents of these kinds."""
    states: set[State | None] = set()
    forgotten = _forgotten(ours) | _forgotten(theirs)
    for kind in kinds:
        one, other = ours.read.get(kind), theirs.read.get(kind)
        if ours.stored.get(kind) == theirs.stored.get(kind):
            continue
        if one is None or other is None:
            states.add(State.EARLIER if one is None else State.LATER)
        elif one.model_dump() != other.model_dump():  # else each is written by another version
            states.add(_state(one, other, forgotten))
    decided = states - {None}
    if not states:
        return State.EQUAL
    return next(iter(decided)) or State.OTHER if len(decided) == 1 else State.OTHER


def _state(one: Document, other: Document, forgotten: Collection[str]) -> State | None:
    """How one document stands to another; None where they differ in what tells no order."""
    if isinstance(one, HighlightsDay) and isinstance(other, HighlightsDay):
        ours, theirs = ([fetch.model_dump() for fetch in day.backup.fetches] for day in (one, other))
        ids, others = one.backup.records.keys(), other.backup.records.keys()
        is_earlier, is_later = (
            _runs_through(ours, theirs) and ids <= others,
            _runs_through(theirs, ours) and others <= ids,
        )
        if is_earlier and is_later and None in (one.backup.matches_at, other.backup.matches_at):
            is_earlier, is_later = one.backup.matches_at is None, other.backup.matches_at is None
    else:
        entries, others_ = _entries(one, forgotten), _entries(other, forgotten)
        is_earlier, is_later = entries <= others_, others_ <= entries
        if not is_earlier and not is_later and {key for key, _ in entries} == {key for key, _ in others_}:
            return None  # encoded anew
    if is_earlier and is_later:
        return None
    return State.EARLIER if is_earlier else State.LATER if is_later else State.OTHER


def _runs_through(some: list[dict[str, object]], more: list[dict[str, object]]) -> bool:
    """Whether all of `some` stand in `more`, in their order."""
    rest = iter(more)
    return all(one in rest for one in some)


def _entries(document: Document, forgotten: Collection[str]) -> set[tuple[str, str]]:
    if isinstance(document, VideosDay):
        kept = [(video.key, video.sha256) for video in document.videos]
        gone = [(entry.video.key, entry.video.sha256) for entry in document.forgotten]
        return {*kept, *gone, *((key, "forgotten") for key, _ in gone)}
    assert isinstance(document, ProcessedDay)  # noqa: S101 - there is no fourth kind
    return {
        (video.key, f"{video.source_sha256} {video.settings_hash} {video.sha256}")
        for video in document.videos
        if video.key not in forgotten
    }


def _forgotten(documents: DayDocuments) -> set[str]:
    videos = documents.read.get(VideosDay)
    entries = videos.forgotten if isinstance(videos, VideosDay) else []
    return {entry.output.key for entry in entries if entry.output is not None}
