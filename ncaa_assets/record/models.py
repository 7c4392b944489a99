"""What the project knows of a highlight, and the shape of a day's three JSON documents.

A record of the API is kept verbatim, as the dict that it came as; `Highlight` is only a lenient view of one. Documents
are pydantic models; times are ISO 8601 strings in UTC with whole seconds.
"""

import hashlib
import re
from datetime import UTC, datetime
from typing import Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, PrivateAttr, TypeAdapter, ValidationError, model_validator

from ncaa_assets.record import json_text
from ncaa_assets.text import visible

SCHEMA_VERSION = 1

ASSETS = ("highlights", "backup_rows", "videos", "processed_videos")  # in the order in which a run makes them


def now() -> str:
    """The time as `2025-03-10T06:00:12Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Highlight(BaseModel):
    """A lenient view of one record: only what the project itself uses, everything optional that may be absent.

    The API's documentation requires id, type, title, url and match; only an id or a URL is required here, because a
    backup that refuses a record for a missing title has lost it.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    id: str
    url: str | None = None
    title: str | None = None
    type: str | None = None
    source: str | None = None
    channel: str | None = None

    @classmethod
    def parse(cls, record: object) -> Self:
        """The view of a record.

        Raises:
            ValueError: it cannot be understood; the message says why in a few words.
        """
        if not isinstance(record, dict):
            raise ValueError(f"not an object but {_kind(record)}")
        given, url = record.get("id"), record.get("url")
        if isinstance(given, bool) or not isinstance(given, int | str | None):
            raise ValueError(f"its id is {_kind(given)}, not a number or text")
        if url is not None and not isinstance(url, str):
            raise ValueError(f"its url is {_kind(url)}, not text")
        if given is not None and str(given).strip():
            # Half an emoji is legal in JSON, but no database takes it in a key.
            key = str(given).strip().encode("utf-8", "backslashreplace").decode()
        elif url:
            key = "url-" + hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        else:
            raise ValueError("it has neither an id nor a url")
        known = {
            name: value for name in ("title", "type", "source", "channel") if isinstance(value := record.get(name), str)
        }
        return cls(id=key, url=url.strip() or None if url else None, **known)

    @property
    def label(self) -> str:
        """What to call it in a log line."""
        key, title = visible(self.id, most=80), visible(self.title or "", most=120)
        return f"{key} “{title}”" if title else key


def content_hash(record: object) -> str:
    """The sha256 of a record's canonical JSON: the same whatever the order of its fields."""
    return hashlib.sha256(json_text.dumps(record, sort_keys=True)).hexdigest()


class Document(BaseModel):
    """A day's document of one asset, stored as `<asset>/<day>.json`."""

    asset: ClassVar[str]

    schema_version: int = SCHEMA_VERSION
    date: str

    # The store's version that this document was read at (None: it was not there). A write expects to find it.
    _read_at: str | None = PrivateAttr(default=None)
    _was_saved: bool = PrivateAttr(default=False)

    @classmethod
    def key(cls, day: str) -> str:
        return f"{cls.asset}/{day}.json"


D = TypeVar("D", bound=Document)


class Change(BaseModel):
    """An earlier content of a record: when it was replaced, and what it was."""

    replaced_at: str
    record: dict[str, Any]


class RecordHistory(BaseModel):
    """Our bookkeeping of one record."""

    first_seen: str
    last_seen: str
    content_hash: str
    removed_upstream: str | None = None
    history: list[Change] = []


class Rejected(BaseModel):
    """Something in the API's answer that is no record that we understand, kept as it came."""

    first_seen: str
    last_seen: str
    reason: str
    record: Any


class FetchRecord(BaseModel):
    """One fetch of the day: its query, what the API said there was, what came, and whether it reached its end."""

    at: str
    complete: bool
    query: dict[str, str]
    total_count: int | None
    received: int
    problems: list[str] = []


class Backup(BaseModel):
    """Everything in a day's document that is ours and not the API's."""

    records: dict[str, RecordHistory] = {}
    rejected: list[Rejected] = []
    fetches: list[FetchRecord] = []


class HighlightsDay(Document):
    """`highlights/<day>.json`: the API's records verbatim under `data`, our bookkeeping under `backup`."""

    asset: ClassVar[str] = "highlights"

    data: list[dict[str, Any]] = []
    backup: Backup = Backup()

    @model_validator(mode="after")
    def _every_record_is_kept_track_of(self) -> Self:
        for record in self.data:
            if Highlight.parse(record).id not in self.backup.records:
                key = visible(Highlight.parse(record).id, most=80)
                raise ValueError(f"record {key} has no entry under backup.records")
        return self

    def highlights(self) -> list[tuple[Highlight, dict[str, Any]]]:
        """Each record with its view, in the stored order (the API's)."""
        return [(Highlight.parse(record), record) for record in self.data]


class CopiedVideo(BaseModel):
    """A stored, verified copy of one highlight's video."""

    id: str
    title: str | None
    source_url: str
    # Addresses that later served these very bytes for the same highlight.
    other_urls: list[str] = []
    key: str
    bytes: int
    sha256: str
    container: str
    duration_seconds: float | None
    has_sound: bool | None
    width: int | None = None
    height: int | None = None
    copied_at: str


class SkippedVideo(BaseModel):
    """A highlight whose video was not copied, and why; `kind` is that of `failures.VideoRefused`, or `failed`."""

    id: str
    title: str | None
    source_url: str | None
    kind: str
    reason: str
    at: str


class VideosDay(Document):
    """`videos/<day>.json`: what was copied, and what was not and why."""

    asset: ClassVar[str] = "videos"

    videos: list[CopiedVideo] = []
    skipped: list[SkippedVideo] = []


class Poster(BaseModel):
    """A poster frame."""

    key: str
    bytes: int


class ProcessedVideo(BaseModel):
    """An encode: the output and poster, and what they were made from and with."""

    id: str
    title: str | None
    source_key: str
    source_sha256: str
    settings_hash: str
    key: str
    bytes: int
    sha256: str | None
    duration_seconds: float | None
    width: int | None
    height: int | None
    poster: Poster
    encoder: str
    job_id: str | None = None
    job_url: str | None = None
    encode_seconds: float
    encoded_at: str


class ProcessedDay(Document):
    """`processed_videos/<day>.json`: what was encoded."""

    asset: ClassVar[str] = "processed_videos"

    videos: list[ProcessedVideo] = []


def safe_name(identifier: str) -> str:
    """A highlight's id as a file name: itself where it is plain, else a cleaned form with a hash, so that no id can
    name another's object or leave its folder, nor on a disk to which capital letters are small ones."""
    if re.fullmatch(r"[a-z0-9_-]{1,80}", identifier) and not re.search(r"-[0-9a-f]{12}$", identifier):
        return identifier
    digest = hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return re.sub(r"[^a-z0-9_-]+", "_", identifier.lower())[:60] + "-" + digest


def parse_document(kind: type[D], data: bytes) -> D:
    """A stored document.

    Raises:
        ValueError: it is no JSON, of another shape, or written by a newer version of this project.
    """
    raw = json_text.loads(data)
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise ValueError(f"it was written by a newer ncaa-assets (schema version {version}); upgrade this one")
    try:
        return TypeAdapter(kind).validate_python(raw)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        raise ValueError(visible(f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}")) from None


def _kind(value: object) -> str:
    names = {bool: "true or false", int: "a number", str: "text", list: "a list", dict: "an object", type(None): "null"}
    return names.get(type(value), "a number with a fraction or an exponent")
