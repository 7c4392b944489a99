"""What the project knows of a highlight, and the shape of a day's three JSON documents.

A record of the API is kept verbatim, as the dict that it came as; `Highlight` is only a lenient view of it. Documents
are pydantic models; the types of their fields say what is read and how it is written (`fields.py`).

Documents outlive the code that wrote them. `Stored` keeps fields that this version does not know, so a newer version
may add some without raising `SCHEMA_VERSION`; the version rises only where older code would misread a document.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import Field, PrivateAttr, ValidationInfo, model_validator

from ncaa_assets.media.facts import Facts
from ncaa_assets.record import json_text
from ncaa_assets.record.calendar import now
from ncaa_assets.record.fields import (
    DOUBTS,
    CopyKey,
    Day,
    Name,
    OutputKey,
    Perhaps,
    Readable,
    SettingsHash,
    Sha256,
    Time,
)
from ncaa_assets.stored import Amount, Count, Stored
from ncaa_assets.text import called, visible

# 1: until a fetch said by a field of its own (`FetchRecord.limited`) that LIMIT had cut it short; before, only the
#    words of its problems did. Nor did code of version 1 keep fields that it did not know.
SCHEMA_VERSION = 2

# What no number of records is: Python writes no number of 4,300 digits.
TOO_MANY = 10**1000

# In the order in which a run makes them.
ASSETS = ("highlights", "backup_rows", "videos", "processed_videos", "gallery")


@dataclass(frozen=True, slots=True)
class Highlight:
    """A lenient view of one record: only what the project itself uses, everything optional that may be absent.

    The API's documentation requires id, type, title, url and match; only an id or a URL is required here, because a
    backup that refuses a record for a missing title has lost it.
    """

    id: str
    url: str | None = None
    title: str | None = None
    type: str | None = None
    source: str | None = None
    channel: str | None = None
    match_id: str | None = None
    home: str | None = None
    away: str | None = None
    league: str | None = None

    @classmethod
    def parse(cls, record: object) -> Self:
        """The view of a record.

        Raises:
            ValueError: it cannot be understood; the message says why in a few words.
        """
        if not isinstance(record, dict):
            raise ValueError(f"not an object but {kind_of(record)}")
        key, url = id_of(record), record.get("url")
        if url is not None and not isinstance(url, str):
            raise ValueError(f"its url is {kind_of(url)}, not text")
        if not key and not url:
            raise ValueError("it has neither an id nor a url")
        title, kind, source, channel = map(record.get, ("title", "type", "source", "channel"))
        match = record.get("match")
        if not isinstance(match, dict):
            match = {}
        return cls(
            id=key or "url-" + hashlib.sha256(str(url).encode("utf-8", "surrogatepass")).hexdigest()[:16],
            url=url.strip() or None if url else None,
            title=title if isinstance(title, str) else None,
            type=kind if isinstance(kind, str) else None,
            source=source if isinstance(source, str) else None,
            channel=channel if isinstance(channel, str) else None,
            match_id=match_id(match),
            home=team_of(match, "homeTeam"),
            away=team_of(match, "awayTeam"),
            league=name_of(match.get("league")),
        )

    @property
    def game(self) -> str | None:
        """The game, as a person would name it; None where a team's name is missing."""
        return game_of(self.home, self.away)

    @property
    def shown_title(self) -> str | None:
        """The title that people are shown: the record's own, else its game."""
        return self.title if self.title and self.title.strip() else self.game

    @property
    def label(self) -> str:
        """What to call it in a log line."""
        key, title = called(self.id), visible(self.shown_title or "", most=120)
        return f"{key} “{title}”" if title else key


_LONGEST_ID = 80  # digits that an exponent may stand for


def id_of(record: dict[str, Any]) -> str | None:
    """The id of a record or of a match, as text; None where it has none. `1.0` is 1.

    Raises:
        ValueError: its id is no whole number and no text.
    """
    given = record.get("id")
    if isinstance(given, Decimal) and given == given.to_integral_value() and given.adjusted() < _LONGEST_ID:
        given = int(given)
    if isinstance(given, bool) or not isinstance(given, int | str | None):
        raise ValueError(f"its id is {kind_of(given)}, not a number or text")
    key = "" if given is None else str(given).strip()
    # Half an emoji is legal in JSON, but no database takes it in a key.
    return (key if key.isascii() else key.encode("utf-8", "backslashreplace").decode()) or None


_LONGEST_NAME = 120  # characters


def name_of(value: object, *fields: str) -> str | None:
    """The name of a team, a league or a place, which is text, or an object with a `name` (the first of `fields` that is
    text, where they are given); at most `_LONGEST_NAME` characters. None where there is none."""
    named = [value.get(field) for field in fields or ("name",)] if isinstance(value, dict) else [value]
    names = (text.strip()[:_LONGEST_NAME].strip() for text in named if isinstance(text, str))
    return next(filter(None, names), None)


def team_of(match: dict[str, Any], side: str) -> str | None:
    """A team's name in a match. In the US modules `name` is often the mascot alone (seen)."""
    return name_of(match.get(side), "displayName", "name")


def game_of(home: str | None, away: str | None) -> str | None:
    """A game, as a person would name it; None where a team's name is missing."""
    return f"{home} – {away}" if home and away else None


def match_id(match: object) -> str | None:
    """The id of a match as text; None where it has none that can be understood."""
    try:
        return id_of(match) if isinstance(match, dict) else None
    except ValueError:
        return None


def content_hash(record: object) -> str:
    """The sha256 of a record's canonical JSON: the same whatever the order of its fields."""
    return hashlib.sha256(json_text.dumps(record, sort_keys=True)).hexdigest()


class Versioned(Stored):
    """What is stored as an object of its own, with the version of its schema."""

    schema_version: int = SCHEMA_VERSION

    # What is wrong with it as it is stored, and harmless: in sentences.
    _doubts: list[str] = PrivateAttr(default_factory=list)

    @property
    def doubts(self) -> list[str]:
        """What is wrong with this document as it was read, and harmless. Where it is written again, that is mended."""
        return self._doubts

    def _upgrade(self, version: int) -> None:
        """Fills in what a document of an older version says in another way."""


class Document(Versioned):
    """A day's document of one asset, stored as `<asset>/<day>.json`."""

    asset: ClassVar[str]

    date: Day

    # The store's version that this document was read at (None: it was not there). A write expects to find it.
    _read_at: str | None = PrivateAttr(default=None)
    _was_saved: bool = PrivateAttr(default=False)

    @classmethod
    def key(cls, day: str) -> str:
        return f"{cls.asset}/{day}.json"


D = TypeVar("D", bound=Document)
E = TypeVar("E", "CopiedVideo", "ProcessedVideo")
V = TypeVar("V", bound=Versioned)


class Change(Stored):
    """An earlier content of a record: when it was replaced, and what it was."""

    replaced_at: Time
    record: dict[str, Any]


class RecordHistory(Stored):
    """Our bookkeeping of one record."""

    first_seen: Time
    last_seen: Time
    content_hash: Sha256
    removed_upstream: Time | None = None
    history: list[Change] = []
    # The modules of the API that ever listed it; none where it came before they were kept: the archive's first.
    modules: list[str] = []


class Rejected(Stored):
    """Something in the API's answer that is no record that we understand, kept as it came."""

    first_seen: Time
    last_seen: Time
    reason: str
    record: Any


class ImportedFrom(Stored):
    """Where an imported listing came from: the address of the file, its version where a bucket kept several (else
    None), and its sha256."""

    place: Name
    version: Name | None
    sha256: Sha256


class FetchRecord(Stored):
    """One fetch of the day: the module that was asked (None: the archive's first) and the query, how many records the
    API announced and sent, and how completely they came.

    `whole`: the listing was read to its end (None: not recorded, and then `complete` says so). `complete` is stricter:
    it is also without any doubt, so that what it does not list is gone. `is_short`: it was read to its end, and the API
    had announced more. `limited`: nothing but the user's own LIMIT kept it from being complete. `imported` is None for
    what this program fetched; of a listing that was imported, `at` is when it was stored where it came from.
    """

    at: Time
    module: Name | None = None
    whole: bool | None = None
    is_short: bool = False
    complete: bool
    limited: bool = False
    query: dict[str, str]
    total_count: Annotated[int, Field(ge=0, lt=TOO_MANY)] | None
    received: Count
    problems: list[str] = []
    imported: Perhaps[ImportedFrom] = None

    def is_whole(self, limit: int | None) -> bool:
        """Whether it brought all that is asked for by today's `LIMIT` (None: unset). A fetch with another limit did
        not."""
        whole = self.complete or self.limited if self.whole is None else self.whole
        return whole and self.query.get("limit") in (None, limit if limit is None else str(limit))


class Backup(Stored):
    """Everything in a day's document that is ours and not the API's."""

    records: dict[Name, RecordHistory] = {}
    rejected: list[Rejected] = []
    fetches: list[FetchRecord] = []
    # When the day's matches were last asked for; None where they never were.
    matches_at: Perhaps[Time] = None


class HighlightsDay(Document):
    """`highlights/<day>.json`: the API's records verbatim under `data`, its matches of the day, as verbatim, under
    `matches`, our bookkeeping under `backup`."""

    asset: ClassVar[str] = "highlights"

    data: list[dict[str, Any]] = []
    matches: list[dict[str, Any]] = []
    backup: Backup = Backup()

    # One for each of `data`, which is never changed in place: a fetch makes a new document (`with_records`).
    _views: list[Highlight] = PrivateAttr(default_factory=list)

    @model_validator(mode="after")
    def _every_record_has_its_bookkeeping(self) -> Self:
        self._views = [Highlight.parse(record) for record in self.data]
        for view in self._views:
            if view.id not in self.backup.records:
                raise ValueError(f"record {visible(view.id, most=80)} has no entry under backup.records")
        return self

    def highlights(self) -> list[tuple[Highlight, dict[str, Any]]]:
        """Each record with its view, in the stored order (the API's)."""
        return list(zip(self._views, self.data, strict=True))

    def in_order(self, files: Iterable["E"]) -> list["E"]:
        """A day's copies or outputs in the order of its listing; those of none of its records last."""
        places = {view.id: place for place, view in enumerate(self._views)}
        return sorted(files, key=lambda file: places.get(file.id, len(places)))

    def with_records(self, records: list[tuple[Highlight, dict[str, Any]]], backup: Backup) -> Self:
        """A new document with these records and this bookkeeping, which replaces this one where it is stored."""
        later = self.model_copy(update={"data": [record for _, record in records], "backup": backup})
        later._views = [view for view, _ in records]
        later._was_saved = False
        return later

    def with_matches(self, matches: list[dict[str, Any]], at: str) -> Self:
        """A new document with these matches, which were asked for at a time, that replaces this one where it is
        stored."""
        backup = self.backup.model_copy(
            update={
                "records": {key: entry.model_copy() for key, entry in self.backup.records.items()},
                "rejected": [entry.model_copy() for entry in self.backup.rejected],
                "fetches": [entry.model_copy() for entry in self.backup.fetches],
                "matches_at": at,
            }
        )
        later = self.with_records(self.highlights(), backup)
        later.matches = list(matches)
        return later

    def _upgrade(self, version: int) -> None:
        if version < 2:
            for fetch in self.backup.fetches:
                by_limit = [problem.startswith("LIMIT=") for problem in fetch.problems]
                fetch.limited = bool(by_limit) and all(by_limit)


class LostCopy(Stored):
    """The store has lost a copy, and its source does not have these bytes any more. `kind` is that of
    `failures.VideoRefused`, or `changed` where the source has other bytes now; `at` is when it was asked."""

    kind: Name
    reason: str
    at: Time


class CopiedVideo(Stored):
    """A stored, verified copy of one highlight's video."""

    id: Name
    title: Perhaps[str]
    source_url: str
    # Addresses that later served these very bytes for the same highlight.
    other_urls: list[str] = []
    key: CopyKey
    bytes: Count
    sha256: Sha256
    container: Name
    duration_seconds: Perhaps[Amount]
    has_sound: Perhaps[bool]
    width: Perhaps[Count] = None
    height: Perhaps[Count] = None
    # None where the copy was made before facts were kept; then the fields above are all that is known.
    facts: Perhaps[Facts] = None
    # What its host answered with it, to tell a signed link that changed from a new video.
    etag: Perhaps[str] = None
    # Whether yt-dlp found it in a web page; None for copies that were made before this was kept.
    from_page: Perhaps[bool] = None
    # Set once the copy is lost for good.
    lost: Perhaps[LostCopy] = None
    copied_at: Time

    @property
    def output_key(self) -> str:
        """The key of its encode."""
        return "processed_" + self.key.rpartition(".")[0] + ".mp4"


class SkippedVideo(Stored):
    """A highlight whose video was not copied, and why; `kind` is that of `failures.VideoRefused`, or `failed`."""

    id: Name
    title: str | None
    source_url: str | None
    kind: Name
    reason: str
    at: Time


class ForgottenVideo(Stored):
    """A copy that a person let go of with `ncaa-assets forget`: it is not expected in the store, and not copied again.
    `video` is its entry as it stood, `output` that of its encode."""

    id: Name
    video: CopiedVideo
    output: "ProcessedVideo | None" = None
    reason: Perhaps[str] = None
    at: Time


def _once(entries: list[E], info: ValidationInfo) -> list[E]:
    """A manifest's entries, of which each has an object of its own. Of two that say the same, one is left out."""
    kept: dict[str, E] = {}
    for entry in entries:
        earlier = kept.setdefault(entry.key, entry)
        if earlier is entry:
            continue
        if earlier != entry:
            raise ValueError(f"videos: two entries say different things of {visible(entry.key, most=80)}")
        if info.context is not None:
            info.context[DOUBTS].append(f"the second entry of {entry.key} is left out")
    return list(kept.values())


def _check_day(day: str, keys: Iterable[str]) -> None:
    """Raises ValueError where a key is not that of an object of the day."""
    for key in keys:
        if key.split("/")[1] != day:
            raise ValueError(f"videos: {visible(key, most=80)} is an object of another day")


class VideosDay(Document):
    """`videos/<day>.json`: what was copied, what was not and why, and what a person let go of."""

    asset: ClassVar[str] = "videos"

    videos: list[CopiedVideo] = []
    skipped: Readable[SkippedVideo] = []
    forgotten: list[ForgottenVideo] = []

    @model_validator(mode="after")
    def _each_entry_has_an_object_of_the_day(self, info: ValidationInfo) -> Self:
        self.videos = _once(self.videos, info)
        _check_day(self.date, (video.key for video in self.videos))
        _check_day(self.date, (entry.video.key for entry in self.forgotten))
        for output in filter(None, (entry.output for entry in self.forgotten)):
            _check_day(self.date, (output.key, output.poster.key))
        return self


class Poster(Stored):
    """A poster frame."""

    key: OutputKey
    bytes: Count


class ProcessedVideo(Stored):
    """An encode: the output and poster, and what they were made from and with."""

    id: Name
    title: Perhaps[str]
    source_key: CopyKey
    source_sha256: Sha256
    settings_hash: SettingsHash
    key: OutputKey
    bytes: Count
    sha256: Sha256 | None
    duration_seconds: Perhaps[Amount]
    width: Perhaps[Count]
    height: Perhaps[Count]
    poster: Poster
    encoder: str
    job_id: Perhaps[str] = None
    job_url: Perhaps[str] = None
    encode_seconds: Amount
    encoded_at: Time
    # What is in the output; None where it was made before facts were kept.
    facts: Perhaps[Facts] = None
    # How it was made: encoded, `repackaged` without loss, or `kept` as it was (ENCODE=needed).
    made_by: Literal["encoded", "repackaged", "kept"] = "encoded"
    # What of the source is not in the output and why, in words: a sound that cannot be read.
    lacks: Perhaps[str] = None

    @classmethod
    def of(cls, video: CopiedVideo, facts: Facts, **made: Any) -> Self:
        """The entry of an output of this copy: `facts` are those of the output, `made` are the other fields."""
        picture = facts.picture
        return cls(
            id=video.id, title=video.title, source_key=video.key, source_sha256=video.sha256,
            duration_seconds=facts.seconds, width=picture.width if picture else None,
            height=picture.height if picture else None, facts=facts, encoded_at=now(), **made,
        )  # fmt: skip


class NotEncoded(Stored):
    """A copy that has no output, and why; `kind` is that of `failures.EncodeRefused`.

    It holds for these bytes and these settings: with better settings the copy is tried once more.
    """

    id: Name
    title: str | None
    source_key: CopyKey
    source_sha256: Sha256
    settings_hash: SettingsHash
    kind: Name
    reason: str
    at: Time


class ProcessedDay(Document):
    """`processed_videos/<day>.json`: what was encoded, and what cannot be and why."""

    asset: ClassVar[str] = "processed_videos"

    videos: list[ProcessedVideo] = []
    not_encoded: Readable[NotEncoded] = []

    @model_validator(mode="after")
    def _each_entry_has_an_object_of_the_day(self, info: ValidationInfo) -> Self:
        self.videos = _once(self.videos, info)
        for video in self.videos:
            _check_day(self.date, (video.key, video.source_key, video.poster.key))
        _check_day(self.date, (entry.source_key for entry in self.not_encoded))
        return self


_PLAIN_NAME = re.compile(r"(?!.*-[0-9a-f]{12}\Z)[a-z0-9_-]{1,80}")


def safe_name(identifier: str) -> str:
    """A highlight's id as a file name: itself where it is plain, else a cleaned form with a hash, so that no id can
    name another's object or leave its folder, nor on a disk to which capital letters are small ones."""
    if _PLAIN_NAME.fullmatch(identifier):
        return identifier
    digest = hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return re.sub(r"[^a-z0-9_-]+", "_", identifier.lower())[:60] + "-" + digest


def typed_name(identifier: str) -> str:
    """A highlight's id as a person can type it: itself, or where it is long or has characters that a terminal does not
    show, the name of its files (`safe_name`)."""
    return identifier if visible(identifier, most=80) == identifier else safe_name(identifier)


def kind_of(value: object) -> str:
    """What a JSON value is, for a sentence."""
    names = {bool: "true or false", int: "a number", str: "text", list: "a list", dict: "an object", type(None): "null"}
    return names.get(type(value), "a number with a fraction or an exponent")
