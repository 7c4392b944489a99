"""Compares what the archive holds with what its documents say. The asset checks and `ncaa-assets verify` both ask here,
so that they give the same answers.

Each comparison looks at one day, or at a part of it, and returns a `Comparison`: the findings, each with what to do
about it, and as evidence what was looked at. Nothing here writes, and memory is bounded by a day.

A run's own checks are quick: they hash `QUICK_BYTES` of a day's copies and read outputs no further than their index.
`verify` reads everything that a document names, rows of other days included; with a `Decoder` it also decodes.
"""

import hashlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Generic, Protocol, TypeVar
from urllib.parse import urlsplit

from ncaa_assets import advice
from ncaa_assets.archive import documents
from ncaa_assets.archive.documents import KINDS
from ncaa_assets.archive.rows import RowsOfDays
from ncaa_assets.archive.standing import Clip, Copy, Output, Wanted, clips, has_copy
from ncaa_assets.child import VIDEO_MEMORY, Bounds, run
from ncaa_assets.failures import DocumentDamaged, ObjectMissing, StoreError, TableUnusable
from ncaa_assets.media.facts import Facts
from ncaa_assets.media.isobmff import NotWhole, read_index
from ncaa_assets.media.lengths import differences, tolerance
from ncaa_assets.media.profile import ffmpeg_decode_arguments
from ncaa_assets.ports import HighlightTable, ObjectStore
from ncaa_assets.record import calendar
from ncaa_assets.record.models import (
    CopiedVideo,
    D,
    Document,
    HighlightsDay,
    ProcessedDay,
    ProcessedVideo,
    VideosDay,
    content_hash,
    safe_name,
    typed_name,
)
from ncaa_assets.record.rows import (
    KEYS,
    OF_GAME,
    Row,
    RowsOfDay,
    content_day,
    days_of,
    differing_fields,
    join_rows,
    removals_of,
    rows_of,
)
from ncaa_assets.record.written import NewerVersion
from ncaa_assets.settings import Settings
from ncaa_assets.source.doors import COLLEGE_BASKETBALL
from ncaa_assets.source.open import asked_module, naming
from ncaa_assets.source.season import LEAGUE, should_have_games
from ncaa_assets.text import visible
from ncaa_assets.video.address import absolute
from ncaa_assets.video.plan import PAGES
from ncaa_assets.video.runtime import install_it, to_copy_pages

# What a daily run reads of a day's copies to hash them: less than a second's work locally, and seconds from a bucket.
# It takes the newest first, so what the run itself copied is always among it unless that alone is more.
QUICK_BYTES = 256 * 1024**2

_CHUNK = 1024**2
_SEASON_DAYS, _SEASON_FEWEST = 7, 3  # days that are looked at, and how few of them tell nothing


class Severity(StrEnum):
    """ERROR: the archive is wrong. WARN: the source is odd, and the archive has what it gave."""

    ERROR = "error"
    WARN = "warn"


@dataclass(frozen=True)
class Finding:
    """One difference: the asset and the key (an object's, or a highlight's id) that it is about, what is wrong, and
    what to do."""

    day: str | None
    asset: str
    key: str
    problem: str
    remedy: str
    severity: Severity = Severity.ERROR


@dataclass(frozen=True)
class IdsEvidence:
    """How many highlights a day's JSON holds, and how many ids they have."""

    highlights: int
    different_ids: int


@dataclass(frozen=True)
class RecordsEvidence:
    """How many records ever came, and how many are in the day's JSON as they came."""

    records: int
    as_recorded: int


@dataclass(frozen=True)
class ListingEvidence:
    """How many highlights a day keeps, and how many its last fetch listed, and when (None: it was never fetched)."""

    kept: int
    listed_last: int | None
    at: str | None


@dataclass(frozen=True)
class SeasonEvidence:
    """How many days that should have games and were fetched were looked at, from this one back to the first that has
    some, for a week at most; and how many highlights they keep."""

    days: int
    highlights: int


@dataclass(frozen=True)
class CopyingEvidence:
    """How many of a day's videos were copied, and how many were not."""

    copied: int
    skipped: int


@dataclass(frozen=True)
class RowsEvidence:
    """How many highlights a day has, how many rows the table has of them, and how many ids differ in any way."""

    highlights: int
    rows: int
    differ: int


class Hash(Enum):
    """What comparing an object's sha256 with the recorded one came to. `EQUAL_BY_STORE`: the store had computed it."""

    NOT_COMPARED = auto()
    EQUAL = auto()
    EQUAL_BY_STORE = auto()
    DIFFERS = auto()


@dataclass
class CopyEvidence:
    """What was looked at of a copy: its recorded and its stored size (None: it is missing), its hash, how many bytes
    were read, and whether it was decoded."""

    key: str
    bytes: int
    stored: int | None = None
    sha256: Hash = Hash.NOT_COMPARED
    read: int = 0
    decoded: bool = False


@dataclass
class OutputEvidence:
    """What was looked at of an output or a poster; as `CopyEvidence`."""

    key: str
    bytes: int
    stored: int | None = None
    read: int = 0
    decoded: bool = False


@dataclass
class DurationEvidence:
    """How long an output and its source last, in seconds, where both are known."""

    key: str
    source_seconds: float | None
    seconds: float | None = None
    difference: float | None = None


E = TypeVar("E")


@dataclass
class Comparison(Generic[E]):
    """The result of one comparison: its findings, and as evidence an entry for each thing that was looked at."""

    findings: list[Finding] = field(default_factory=list)
    evidence: list[E] = field(default_factory=list)


@dataclass
class DayReport:
    """The findings of one day, whether the archive has anything of it, and how much was looked at (`hashed_bytes` in
    bytes). `table_trouble` says why its rows could not be compared, whichever day is asked for."""

    day: str
    is_there: bool = False
    table_trouble: str | None = None
    findings: list[Finding] = field(default_factory=list)
    highlights: int = 0
    rows: int = 0
    copies: int = 0
    outputs: int = 0
    hashed_bytes: int = 0
    decoded: int = 0


class Reads(Protocol):
    """What opens an object by its key, as an `ObjectStore` does."""

    def download(self, key: str) -> AbstractContextManager[BinaryIO]: ...


class Decoder:
    """Decodes stored videos with ffmpeg: hashes cannot tell whether an output plays.

    `seconds` is the most that one file may take.
    """

    def __init__(self, program: str, *, seconds: float) -> None:
        self._program, self._seconds = program, seconds

    def complaint(self, path: Path, facts: Facts | None) -> str | None:
        """What ffmpeg says while it decodes a file's film and sound, on one line; None where it decodes from start to
        end."""
        bounds = Bounds(seconds=self._seconds, memory=VIDEO_MEMORY)
        ended = run([self._program, *ffmpeg_decode_arguments(path, facts)], bounds=bounds, check=False)
        if ended.timed_out:
            return f"decoding took longer than {self._seconds:.0f} s"
        return visible(ended.stderr, most=200) or ended.trouble


def unique_ids(day: HighlightsDay) -> Comparison[IdsEvidence]:
    """Whether each highlight is in the day's JSON once."""
    counted = Counter(view.id for view, _ in day.highlights())
    return Comparison(
        [
            Finding(
                day.date,
                "highlights",
                key,
                f"stands {count} times in the day's JSON",
                _put_back(HighlightsDay, day.date),
            )
            for key, count in counted.items()
            if count > 1
        ],
        [IdsEvidence(len(day.data), len(counted))],
    )


def records(day: HighlightsDay) -> Comparison[RecordsEvidence]:
    """Whether each record has the content that was recorded when it came, and no record that came is missing."""
    kept: dict[str, set[str]] = {}
    for view, record in day.highlights():
        kept.setdefault(view.id, set()).add(content_hash(record))
    findings = []
    for key, entry in day.backup.records.items():
        if key not in kept:
            problem = "was listed once, and is no longer in the day's JSON"
        elif kept[key] != {entry.content_hash}:
            problem = "has another content in the day's JSON than was recorded when it came"
        else:
            continue
        findings.append(Finding(day.date, "highlights", key, problem, _put_back(HighlightsDay, day.date)))
    came = len(day.backup.records)
    return Comparison(findings, [RecordsEvidence(came, came - len(findings))])


def still_listed(day: HighlightsDay, founding: str | None) -> Comparison[ListingEvidence]:
    """Whether the API's latest answer lists any of a day's highlights; nothing is lost where it does not. A module that
    never listed one of them is not expected to. `founding` is the module of what names none."""
    last = day.backup.fetches[-1] if day.backup.fetches else None
    evidence = ListingEvidence(len(day.data), last.received if last else None, last.at if last else None)
    if last is None or last.received:
        return Comparison([], [evidence])
    module, first = last.module or founding, [] if founding is None else [founding]
    if not any(module in (entry.modules or first) for entry in day.backup.records.values()):
        return Comparison([], [evidence])
    problem = f"{len(day.data)} kept, and the API lists none any more ({last.at})"
    remedy = "nothing was removed here; see whether the API lists the day again tomorrow"
    return Comparison([Finding(day.date, "highlights", day.date, problem, remedy, Severity.WARN)], [evidence])


def season(store: ObjectStore, day: str, settings: Settings, module: str | None) -> Comparison[SeasonEvidence]:
    """Whether the days of a week that ends with `day`, and that should have college basketball, have any: a module that
    does not list it answers each with an empty list. `module` is the archive's, None while it has none."""
    last, league = calendar.parse(day), settings.league_name
    module = module or asked_module(settings)
    if league.casefold() != LEAGUE or module not in (None, *COLLEGE_BASKETBALL) or not should_have_games(last):
        return Comparison()
    looked_at = kept = 0
    for back in range(_SEASON_DAYS):
        one = last - timedelta(days=back)
        if kept or not should_have_games(one):
            continue
        with suppress(StoreError):  # what is missing or damaged tells nothing here
            document = documents.load(store, HighlightsDay, one.isoformat())
            looked_at += bool(document.backup.fetches)
            kept += len(document.data) + len(document.backup.rejected)
    evidence = SeasonEvidence(looked_at, kept)
    if kept or looked_at < _SEASON_FEWEST:
        return Comparison([], [evidence])
    problem = f"{looked_at} days of the last week that should have games list none"
    if module is None:
        remedy = f"the next run asks {' and '.join(COLLEGE_BASKETBALL)} again; check LEAGUE_NAME ({league})"
    else:
        problem += f" in the module {module}"
        named, other = naming(settings), other_module(module)
        remedy = f"unset {named} first; then " if named else ""
        move = advice.command("source", "--use", str(other))
        remedy += f"`{advice.command('source')}` shows what each module lists, and `{move}` moves"
    return Comparison([Finding(day, "highlights", day, problem, remedy, Severity.WARN)], [evidence])


def other_module(module: str | None) -> str | None:
    """The other module that may list college basketball; None where there is none, or the archive has none yet."""
    return next((one for one in COLLEGE_BASKETBALL if one != module), None) if module in COLLEGE_BASKETBALL else None


_TIMES = frozenset(
    ("at", "first_seen", "last_seen", "replaced_at", "removed_upstream", "matches_at", "copied_at", "encoded_at")
)


def times(document: Document) -> list[Finding]:
    """Whether a document has times that are yet to come: a clock was wrong when it was written, or is now. They decide
    nothing, so nothing is lost by them."""
    latest = max(_times_of(document.model_dump(exclude={"data", "matches"})), default=None)
    if latest is None or not calendar.is_to_come(latest):
        return []
    problem = f"has times that are yet to come, up to {calendar.stamp(latest)}: a clock was wrong"
    remedy = "nothing to mend here: such times decide nothing. See that this machine's clock is right"
    return [Finding(document.date, document.asset, document.key(document.date), problem, remedy, Severity.WARN)]


def earliest_time(document: Document) -> datetime | None:
    """The earliest time that a document has in its bookkeeping, None where it has none."""
    return min(_times_of(document.model_dump(exclude={"data", "matches"})), default=None)


def _times_of(value: object) -> Iterator[datetime]:
    """The times of our bookkeeping. What is none in a field that this version does not know is left out."""
    if isinstance(value, dict):
        for name, part in value.items():
            if name in _TIMES and isinstance(part, str):
                with suppress(ValueError):
                    yield calendar.parse_stamp(part)
            elif name != "record":  # the API's own
                yield from _times_of(part)
    elif isinstance(value, list):
        for part in value:
            yield from _times_of(part)


def doubts(document: Document) -> list[Finding]:
    """Whether a document is as this program wrote it."""
    if not document.doubts:
        return []
    problem = "; ".join(document.doubts[:3])
    if len(document.doubts) > 3:
        problem += f"; and {len(document.doubts) - 3} more"
    remedy = _put_back(type(document), document.date)
    # A run keeps no record that is another than the one that came: then there is only the earlier version.
    if not (isinstance(document, HighlightsDay) and records(document).findings):
        remedy += f"; or to keep what it says, {_rerun(document.date)}: it is written again with its checksum"
    return [Finding(document.date, document.asset, document.key(document.date), problem, remedy)]


def some_copied(manifest: VideosDay) -> Comparison[CopyingEvidence]:
    """Whether a day with videos has at least one copy; where it has none, the findings say why: one for a day of web
    pages, else one for each clip."""
    evidence = CopyingEvidence(len(manifest.videos), len(manifest.skipped))
    if manifest.videos:
        return Comparison([], [evidence])
    if (pages := all_pages(manifest)) is not None:
        finding = Finding(
            manifest.date, "videos", manifest.date, pages, _remedy_for_pages(manifest), severity=Severity.WARN
        )
        return Comparison([finding], [evidence])
    remedy = "nothing to mend here: the source has no video file to copy"
    return Comparison(
        [Finding(manifest.date, "videos", skip.id, skip.reason, remedy, Severity.WARN) for skip in manifest.skipped],
        [evidence],
    )


def all_pages(manifest: VideosDay) -> str | None:
    """That all clips of a day are web pages and none was copied, in a sentence; None for any other day."""
    if manifest.videos or not manifest.skipped or any(skip.kind not in PAGES for skip in manifest.skipped):
        return None
    hosts = [host for host, _ in Counter(_host(skip.source_url or "") for skip in manifest.skipped).most_common()]
    names = ", ".join(hosts[:3]) + (" and others" if len(hosts) > 3 else "")
    if len(manifest.skipped) == 1:
        return f"the day's only clip is a web page ({names}), not a file: nothing was copied"
    return f"all {len(manifest.skipped)} clips of the day are web pages ({names}), not files: nothing was copied"


def _host(url: str) -> str:
    try:
        host = urlsplit(absolute(url)).hostname
    except ValueError:
        host = None
    return visible((host or "no host").removeprefix("www."), most=60)


def _remedy_for_pages(manifest: VideosDay) -> str:
    """What a person can do about a day of web pages, by what became of them."""
    kinds = Counter(skip.kind for skip in manifest.skipped)
    again = f"then {_rerun(manifest.date)}"
    if kinds["page"]:
        return f"{to_copy_pages()}; {again}"
    if kinds["runtime"]:
        return f"{kinds['runtime']} of them need a JavaScript runtime: {install_it()}; {again}"
    return f"nothing to do: no video was found behind {'this link' if len(manifest.skipped) == 1 else 'these links'}"


def rows(
    day: HighlightsDay,
    table: HighlightTable,
    *,
    videos: VideosDay | None = None,
    processed: ProcessedDay | None = None,
    rows_of_day: RowsOfDay | None = None,
    is_there: Callable[[str], bool] | None = None,
) -> Comparison[RowsEvidence]:
    """Whether each of the day's highlights has its row, with every field as the JSON says. `last_seen` and `fetch_date`
    are not compared: they move with each fetch, and a row is not written for their sake. With the day's manifests, the
    keys of its video are compared too; they are not while a run is still to copy and to encode.

    A row that names several days is made from the JSON of all of them (`rows.join_rows`), which `rows_of_day` gives.
    With it, a row is compared with all of its days, and the rows that the table has under this day with the JSON.
    Without it, only what this day alone decides is compared: another run may be writing the other days, and a table's
    index lags behind its rows. `is_there` says whether the archive has any document of another day.
    """
    expected = {row["id"]: row for row in rows_of(day, videos, processed)}
    under_day = table.day(day.date) if rows_of_day is not None else []
    counted = Counter(str(row.get("id")) for row in under_day)
    stored = {key: row for row in under_day if counted[key := str(row.get("id"))] == 1 and key in expected}
    wrong = _row_problems(expected, stored, day.date, rows_of_day)
    # An index may still have an earlier row, or lack one, so the row itself decides whether there is a problem.
    stored = {key: row for key, row in stored.items() if key not in wrong}
    stored |= table.get(list(wrong)) if wrong else {}
    wrong = _row_problems({key: expected[key] for key in wrong}, stored, day.date, rows_of_day)
    remedies = {key: (problem, _rerun(day.date)) for key, problem in wrong.items()}
    problems = _day_problems(counted, expected, stored, day.date) if rows_of_day is not None else {}
    for key, row in stored.items():
        if unknown := [other for other in days_of(row) if is_there and other != day.date and not is_there(other)]:
            problem = f"has a row that names {unknown[0]}, a day of which the archive has no document"
            problems[key] = (problem, f"put its documents back; or delete the row, then {_rerun(day.date)}")
    return Comparison(
        [
            Finding(day.date, "backup_rows", key, problem, remedy)
            for key, (problem, remedy) in {**problems, **remedies}.items()
        ],
        [RowsEvidence(highlights=len(expected), rows=len(stored), differ=len({**problems, **remedies}))],
    )


def _row_problems(
    expected: dict[str, Row], stored: dict[str, Row], day: str, rows_of_day: RowsOfDay | None
) -> dict[str, str]:
    """What is wrong with the rows of a day's highlights, by id. A run of the day mends each."""
    problems = {}
    for key, row in expected.items():
        problem = _row_problem(stored[key], row, day, rows_of_day) if key in stored else "has no row"
        if problem is not None:
            problems[key] = problem
    return problems


def _row_problem(stored: Row, row: Row, day: str, rows_of_day: RowsOfDay | None) -> str | None:
    days = days_of(stored)
    if not days:
        return f"has a row that does not name {day}: it cannot be read, or is another program's"
    if day not in days:
        return f"has a row that does not name {day}"
    if stored["days"] != days:
        return "has a row whose `days` are not the sorted list that a run writes"
    if rows_of_day is None:
        if content_day(days, removals_of(stored)) != day:
            return None  # it has another day's content
        of_all_days = {"days", "game_date", "first_seen", "removed_upstream", "removed_from", *OF_GAME, *KEYS}
        fields = differing_fields(stored, row)
        fields = fields if len(days) == 1 else [name for name in fields if name not in of_all_days]
        return _differs(fields) if fields else None
    of_days = {day: row}
    for other in days:
        made = rows_of_day(other) if other != day else None
        if made is not None and row["id"] not in made:
            return f"has a row that names {other}, whose JSON does not list it"
        of_days |= {other: made[row["id"]]} if made is not None else {}
    if len(of_days) < len(days):
        return None  # a document is missing or damaged, and its own day reports that
    fields = differing_fields(stored, join_rows(of_days))
    if any(KEYS[0] not in made for made in of_days.values()):  # a manifest is missing or damaged: likewise
        fields = [name for name in fields if name not in KEYS]
    return _differs(fields) if fields else None


def _day_problems(
    counted: Counter[str], expected: dict[str, Row], stored: dict[str, Row], day: str
) -> dict[str, tuple[str, str]]:
    """What is wrong with the rows that a table has under a day, by id: the problem, and what to do. `counted` is how
    many rows of each id it has there."""
    rerun = _rerun(day)
    problems = {}
    for key, count in counted.items():
        if key not in expected:
            problem = "has a row, and the day's JSON does not list it"
            problems[key] = (problem, f"delete the row, or {_put_back(HighlightsDay, day)}")
        elif count > 1:
            problems[key] = (f"has {count} rows under this day", f"delete them, then {rerun}")
    for key, row in stored.items():
        if row.get("game_date") == day and key not in counted:
            problems[key] = ("has a row that is not found under its game day", f"delete the row, then {rerun}")
    return problems


def _differs(fields: list[str]) -> str:
    names = ", ".join(fields[:5]) + (f" and {len(fields) - 5} more" if len(fields) > 5 else "")
    return f"has a row that differs from the JSON in {names}"


def copies(
    store: ObjectStore,
    manifest: VideosDay,
    *,
    most_bytes: int | None = QUICK_BYTES,
    decoder: Decoder | None = None,
    loss: Severity = Severity.ERROR,
) -> Comparison[CopyEvidence]:
    """Whether each copy that the day's manifest names is in the store with its recorded size and sha256.

    The sha256 is the store's own where it keeps one (S3 computes it when it takes an object in, and a HEAD returns it).
    Other copies are read, the newest first, up to `most_bytes` in all (None: all of them). So a daily run reads what it
    copied itself and a bounded amount of what earlier runs copied. Of the rest only the size is compared, and the
    evidence says so. With a decoder every copy is read, and a copy that is as recorded is decoded as well: what the
    decoder complains about came from the source and is no error of the archive.

    `loss` is the severity of a copy that is lost for good: no run can mend it, so none fails for it.
    """
    result: Comparison[CopyEvidence] = Comparison()
    left = most_bytes
    for video in sorted(manifest.videos, key=lambda video: video.copied_at, reverse=True):
        seen = CopyEvidence(video.key, video.bytes)
        result.evidence.append(seen)
        problem = _size_problem(store, seen)
        if video.lost is not None and not has_copy(store, video):
            problem = f"{problem or 'is damaged'}, and its source does not have it any more ({video.lost.reason})"
            remedy = _forget(manifest.date, video.id)
            result.findings.append(Finding(manifest.date, "videos", video.key, problem, remedy, loss))
            continue
        if problem is not None:
            remedy = f"{_rerun(manifest.date)}: it is copied again, if its source still has it"
            result.findings.append(Finding(manifest.date, "videos", video.key, problem, remedy))
            continue
        digest = store.checksum(video.key) if decoder is None and most_bytes is not None else None
        complaint = None
        if digest is not None:
            seen.sha256 = Hash.EQUAL_BY_STORE
        elif left is None or video.bytes <= left:
            try:
                digest, complaint = read_through(store, video.key, decoder, video.facts)
            except StoreError as error:
                result.findings.append(_unreadable(manifest.date, "videos", video.key, error))
                continue
            left = None if left is None else left - video.bytes
            seen.sha256, seen.read, seen.decoded = Hash.EQUAL, video.bytes, decoder is not None
        if digest not in (None, video.sha256):
            seen.sha256 = Hash.DIFFERS
            problem = "its bytes are not those that were copied (another sha256)"
            remedy = f"{_rerun(manifest.date, force=True)}: it is fetched again, if its source still has it"
            result.findings.append(Finding(manifest.date, "videos", video.key, problem, remedy))
        elif complaint is not None:
            problem = f"is what its source sent, and does not decode cleanly ({complaint})"
            remedy = "nothing to mend here; other players may be more lenient"
            result.findings.append(Finding(manifest.date, "videos", video.key, problem, remedy, Severity.WARN))
    return result


def outputs(
    store: ObjectStore,
    manifest: ProcessedDay,
    sources: VideosDay,
    *,
    wanted: Wanted | None = None,
    deep: bool = False,
    decoder: Decoder | None = None,
    loss: Severity = Severity.ERROR,
) -> Comparison[OutputEvidence]:
    """Whether each copied video has its output and poster, and both are in the store with their recorded sizes.

    A copy that cannot be encoded, or costs more than an encode may, is a warning with the reason. With `deep` the bytes
    are read too: an output's sha256 is compared where one was recorded, a poster must be a whole JPEG, and a decoder's
    complaints are errors of the archive.

    `wanted` is what the settings ask (None: what they ask where nothing is set). `loss` is the severity of what no run
    of today mends: an output that is lost with its copy, or whose turn comes on another day.
    """
    result: Comparison[OutputEvidence] = Comparison()
    wanted = wanted or Wanted.of(Settings())
    of_day = clips(store, sources, manifest, wanted)
    result.findings += [finding for clip in of_day if (finding := _without_output(manifest.date, clip, loss))]
    encode = f"{_rerun(manifest.date)}: it is encoded again"
    hopeless = {clip.recorded.key: clip for clip in of_day if clip.recorded and not clip.is_to_be_encoded}
    for video in manifest.videos:
        for key, size in ((video.key, video.bytes), (video.poster.key, video.poster.bytes)):
            seen = OutputEvidence(key, size)
            result.evidence.append(seen)
            problem, remedy = _size_problem(store, seen), encode
            severity = Severity.ERROR
            if problem is not None and (clip := hopeless.get(video.key)) is not None:
                remedy, severity = _instead(manifest.date, clip), loss
            if problem is None and deep:
                remedy = f"{_rerun(manifest.date, force=True)}: it is encoded again"
                try:
                    problem = (
                        _poster_problem(store, key)
                        if key == video.poster.key
                        else _bytes_problem(store, video, decoder, seen)
                    )
                except StoreError as error:
                    result.findings.append(_unreadable(manifest.date, "processed_videos", video.key, error))
            if problem is not None:
                result.findings.append(Finding(manifest.date, "processed_videos", key, problem, remedy, severity))
    return result


def _without_output(day: str, clip: Clip, loss: Severity) -> Finding | None:
    """What to say of a copy of which no encode is recorded; None where nothing is wrong with that."""
    if clip.recorded is not None:
        return None
    problem, remedy, severity = "was not encoded", f"{_rerun(day)}: it is encoded then", Severity.ERROR
    match clip.output:
        case Output.THERE | Output.NOT_WANTED:
            return None
        case Output.REFUSED:
            assert clip.refusal is not None  # noqa: S101 - or it would not be refused
            problem = f"cannot be encoded: {clip.refusal.reason}"
            remedy = f"nothing to mend here: the copy is kept. To try once more, {_rerun(day, force=True)}"
            severity = Severity.WARN
        case Output.PAST_BOUNDS:
            assert clip.past_bounds is not None  # noqa: S101 - likewise
            problem, remedy = f"is not encoded: {clip.past_bounds.reason}", _instead(day, clip)
            severity = Severity.WARN
        case Output.WAITS:
            assert clip.refusal is not None  # noqa: S101 - likewise
            problem, severity = f"is not encoded yet: {clip.refusal.reason}", loss
        case Output.TO_MAKE if clip.copy is Copy.GONE:
            return None  # `copies` reports it
    return Finding(day, "processed_videos", clip.video.key, problem, remedy, severity)


def _instead(day: str, clip: Clip) -> str:
    """What to do about an output that no run makes as things are."""
    if clip.output is Output.PAST_BOUNDS:
        return f"nothing to mend here: the copy is kept. To have it encoded, raise the bound, then {_rerun(day)}"
    if clip.output is Output.NOT_WANTED:
        return f"nothing to mend while ENCODE is never; else set ENCODE=always, then {_rerun(day)}"
    return _forget(day, clip.video.id)


def posters(store: Reads, manifest: ProcessedDay) -> list[Finding]:
    """Whether each poster that is there is a whole JPEG: nobody recorded its hash."""
    findings = []
    for video in manifest.videos:
        with suppress(ObjectMissing):  # `outputs` reports it
            if (problem := _poster_problem(store, video.poster.key)) is not None:
                remedy = f"{_rerun(manifest.date, force=True)}: it is encoded again"
                findings.append(Finding(manifest.date, "processed_videos", video.poster.key, problem, remedy))
    return findings


def durations(store: Reads, manifest: ProcessedDay, sources: VideosDay) -> Comparison[DurationEvidence]:
    """Whether each output lasts as long as its source: its picture as the film, and its sound as that of the source.

    How long they last was read from both when they were made. Of an output that was made before facts were kept, its
    whole length is compared with what its source's index says. Each output's own index is read too: it must be there.
    """
    result: Comparison[DurationEvidence] = Comparison()
    recorded = {video.sha256: video for video in sources.videos}
    for video in manifest.videos:
        source = recorded.get(video.source_sha256)
        wanted = source.duration_seconds if source else None
        seen = DurationEvidence(video.key, wanted)
        result.evidence.append(seen)
        remedy = f"{_rerun(manifest.date, force=True)}: it is encoded again"
        try:
            with store.download(video.key) as file:
                lasts = read_index(file).duration_seconds
        except ObjectMissing:
            continue  # `outputs` reports it
        except StoreError as error:
            result.findings.append(_unreadable(manifest.date, "processed_videos", video.key, error))
            continue
        except NotWhole as error:
            result.findings.append(
                Finding(manifest.date, "processed_videos", video.key, f"is no whole video: {error}", remedy)
            )
            continue
        seen.seconds = round(lasts, 3) if lasts else None
        if wanted and lasts:
            seen.difference = round(lasts - wanted, 3)
        for problem in length_problems(source, video, lasts) if source else ():
            result.findings.append(Finding(manifest.date, "processed_videos", video.key, problem, remedy))
    return result


def length_problems(source: CopiedVideo, output: ProcessedVideo, lasts: float | None) -> Iterator[str]:
    """What of an output does not last as long as in its source; its own index says that it `lasts` so many seconds."""
    if output.facts is not None and source.facts is not None:
        for name, before, after in differences(source.facts, output.facts):
            yield f"its {name} lasts {after:.1f} s and that of its source {before:.1f} s"
    # A source's clock may jump in MPEG-TS, and without its sound an output may be shorter.
    wanted = source.duration_seconds if output.lacks is None and source.container != "ts" else None
    if wanted and lasts and abs(lasts - wanted) > max(1.0, tolerance(lasts)):
        yield f"lasts {lasts:.1f} s and its source {wanted:.1f} s"


def reconcile_day(
    store: ObjectStore,
    table: HighlightTable | None,
    day: str,
    *,
    wanted: Wanted | None = None,
    deep: bool = False,
    decoder: Decoder | None = None,
    rows_of_day: RowsOfDay | None = None,
    reads_files: bool = True,
) -> DayReport:
    """Compares everything that the archive holds of a day with what its documents say, each document included.

    A day of which the archive has nothing was never backed up and has no findings. `wanted` is what the settings ask of
    the day's videos (None: what they ask where nothing is set). `deep` reads every byte. Without a table, rows are not
    compared; without `reads_files`, videos are not opened, for whoever reads them next.
    """
    report = DayReport(day)
    findings = report.findings
    objects = {info.key: info.size for kind in KINDS for info in store.list(f"{kind.asset}/{day}/")}
    highlights = _document(store, HighlightsDay, day, findings)
    videos = _document(store, VideosDay, day, findings)
    processed = _document(store, ProcessedDay, day, findings)
    if highlights is not None:
        report.highlights = len(highlights.data)
        findings += unique_ids(highlights).findings + records(highlights).findings
    compared: Comparison[RowsEvidence] = Comparison()
    if table is not None:
        try:
            compared = rows(
                highlights or HighlightsDay(date=day),
                table,
                videos=videos,
                processed=processed,
                rows_of_day=rows_of_day or RowsOfDays(store),
                is_there=lambda other: any(store.info(kind.key(other)) for kind in KINDS),
            )
        except TableUnusable as error:
            report.table_trouble = str(error)
        except StoreError as error:
            findings.append(Finding(day, "backup_rows", day, str(error), "then verify again"))
    report.rows = sum(seen.rows for seen in compared.evidence)
    # Without the JSON each row of the day would be one too many; the missing document is finding enough.
    findings += compared.findings if highlights is not None else []
    if videos is not None:
        most_bytes = None if deep else QUICK_BYTES if reads_files else 0
        copied = copies(store, videos, most_bytes=most_bytes, decoder=decoder)
        findings += copied.findings
        report.copies = len(videos.videos)
        report.hashed_bytes += sum(seen.read for seen in copied.evidence)
        report.decoded += sum(seen.decoded for seen in copied.evidence)
    if processed is not None:
        sources = videos or VideosDay(date=day)
        encoded = outputs(store, processed, sources, wanted=wanted, deep=deep, decoder=decoder)
        findings += encoded.findings
        wrong = {finding.key for finding in encoded.findings}
        lasting = durations(store, processed, sources).findings if reads_files else []
        findings += [finding for finding in lasting if finding.key not in wrong]  # a cut file is reported once
        report.outputs = len(processed.videos)
        report.hashed_bytes += sum(seen.read for seen in encoded.evidence)
        report.decoded += sum(seen.decoded for seen in encoded.evidence)
    read: dict[type[Document], Document | None]
    read = {HighlightsDay: highlights, VideosDay: videos, ProcessedDay: processed}
    report.is_there = bool(any(read.values()) or objects or findings or compared.findings)
    for document in filter(None, read.values()):
        findings += [*doubts(document), *times(document)]
    if report.is_there:
        findings += _missing_documents(store, day, read)
    # Nobody knows what a damaged or missing document named, so nothing beside it can be called one too many.
    known = {kind.asset for kind, document in read.items() if document is not None}
    names, forgotten = _named(videos, processed), forgotten_keys(videos)
    findings += [
        Finding(day, asset, key, "is in the store, and a person let go of it", _forget(day, forgotten[key]))
        if key in forgotten
        else Finding(day, asset, key, "is in the store, and no document names it", _extra(key, highlights))
        for key in objects
        if key not in names and (asset := key.partition("/")[0]) in known
    ]
    return report


def strays(store: ObjectStore, days: set[str]) -> Iterator[Finding]:
    """What lies among the documents and videos and belongs to no day. Adds to `days` the days that have anything.

    Raises:
        StoreError: the store cannot be listed.
    """
    for kind in KINDS:
        for info in store.list(f"{kind.asset}/"):
            rest = info.key.removeprefix(f"{kind.asset}/")
            day, slash, _ = rest.partition("/")
            if calendar.is_day(day.removesuffix(".json")) and bool(slash) != day.endswith(".json"):
                days.add(day.removesuffix(".json"))
            else:
                yield Finding(None, kind.asset, info.key, "is in the store, and no document names it", _EXTRA)


def _extra(key: str, highlights: HighlightsDay | None) -> str:
    """What to do about an object that no document names. That of a clip of the day may be what a run had stored when it
    was ended: the day's next run stores it again in its place and records it."""
    stem = PurePosixPath(key).name.partition(".")[0]
    if highlights is None or stem not in {safe_name(view.id) for view, _ in highlights.highlights()}:
        return _EXTRA
    return f"first {_rerun(highlights.date)}: a run that was ended may have left it. If it is named again, {_EXTRA}"


_EXTRA = "see what it is, then delete it or move it out of the archive"


def _document(store: ObjectStore, kind: type[D], day: str, findings: list[Finding]) -> D | None:
    try:
        return documents.load(store, kind, day)
    except ObjectMissing:
        return None
    except StoreError as error:
        findings.append(Finding(day, kind.asset, kind.key(day), str(error), remedy_for(error, _put_back(kind, day))))
        return None


def remedy_for(error: StoreError, put_back: str) -> str:
    """What to do about a document that cannot be read. Only a damaged one has to be put back: of one that a newer
    version wrote, or that the store does not give, the error itself says what to do."""
    is_damaged = isinstance(error, DocumentDamaged) and not isinstance(error.__cause__, NewerVersion)
    return put_back if is_damaged else "then verify again"


def _is_missing(store: ObjectStore, kind: type[Document], day: str) -> bool:
    return store.info(kind.key(day)) is None


def _missing_documents(store: ObjectStore, day: str, read: dict[type[Document], Document | None]) -> Iterator[Finding]:
    for kind, document in read.items():
        if document is None and _is_missing(store, kind, day):
            yield Finding(day, kind.asset, kind.key(day), "is missing: the day was not finished, or it was deleted",
                          f"{_put_back(kind, day)}, or {_rerun(day)}")  # fmt: skip


def _named(videos: VideosDay | None, processed: ProcessedDay | None) -> set[str]:
    names = {video.key for video in videos.videos} if videos else set()
    for video in processed.videos if processed else []:
        names |= {video.key, video.poster.key}
    return names


def forgotten_keys(videos: VideosDay | None) -> dict[str, str]:
    """The keys of what a person let go of, each with the id of its highlight."""
    names = {}
    for entry in videos.forgotten if videos else []:
        names[entry.video.key] = entry.id
        if entry.output is not None:
            names |= {entry.output.key: entry.id, entry.output.poster.key: entry.id}
    return names


def _size_problem(store: ObjectStore, seen: CopyEvidence | OutputEvidence) -> str | None:
    info = store.info(seen.key)
    if info is None:
        return "is missing from the store"
    seen.stored = info.size
    return None if info.size == seen.bytes else f"has {info.size} bytes, and {seen.bytes} were recorded"


def _bytes_problem(
    store: ObjectStore, video: ProcessedVideo, decoder: Decoder | None, seen: OutputEvidence
) -> str | None:
    digest, complaint = read_through(store, video.key, decoder, video.facts)
    seen.read, seen.decoded = video.bytes, decoder is not None
    if video.sha256 is not None and digest != video.sha256:
        return "its bytes are not those that were encoded (another sha256)"
    return f"does not decode ({complaint})" if complaint is not None else None


def _unreadable(day: str, asset: str, key: str, error: StoreError) -> Finding:
    remedy = f"see what is wrong there; where the bytes are lost, delete the object, then {_rerun(day)}"
    return Finding(day, asset, key, f"is there and cannot be read ({error})", remedy)


def _poster_problem(store: Reads, key: str) -> str | None:
    with store.download(key) as file:
        return None if is_whole_jpeg(file.read()) else "is no whole JPEG"


def is_whole_jpeg(data: bytes) -> bool:
    """Whether a picture begins and ends as a JPEG does; of a poster nobody recorded the hash."""
    return data.startswith(b"\xff\xd8") and data.rstrip(b"\0").endswith(b"\xff\xd9")


def read_through(
    store: ObjectStore, key: str, decoder: Decoder | None = None, facts: Facts | None = None
) -> tuple[str, str | None]:
    """An object's sha256, and what the decoder complains about, if there is one."""
    digest = hashlib.sha256()
    with ExitStack() as stack:
        file = stack.enter_context(store.download(key))
        place, copy = Path(store.uri(key)), None
        if decoder is not None and not place.is_file():
            # ffmpeg needs a file that it can seek in, and this store has none.
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ncaa-assets-")), "video")
            copy = stack.enter_context(place.open("wb"))
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            if copy is not None:
                copy.write(chunk)
        if copy is not None:
            copy.close()
        return digest.hexdigest(), decoder.complaint(place, facts) if decoder else None


def _rerun(day: str, *, force: bool = False) -> str:
    return f"run `{advice.command('backup', '--date', day, *(['--force'] if force else []))}`"


def _forget(day: str, identifier: str) -> str:
    """The command that lets go of a copy, as a shell takes it."""
    name = typed_name(identifier)
    dashes = ["--"] if name.startswith("-") else []
    return f"let go of it with `{advice.command('forget', '--date', day, *dashes, name)}`"


def _put_back(kind: type[Document], day: str) -> str:
    return f"put back an earlier version of {kind.key(day)} (.history/{kind.asset}/{day}/, or the bucket's versions)"
