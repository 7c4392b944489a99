"""Does the archive hold what its documents say? One core in plain Python, so that the asset checks, `ncaa-assets
verify` and whatever else asks get the same answers.

Each comparison looks at one day, or one part of it, and gives a `Comparison`: what differs, each with what to do about
it, and what was looked at, as evidence. Nothing here writes, and memory is bounded by a day.

A run's own checks are quick: they hash `QUICK_BYTES` of a day's copies and read no output further than its index.
`verify` reads everything that a document names, rows of other days included; with a `Decoder` it decodes it as well.
"""

import hashlib
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

from ncaa_assets.archive import documents
from ncaa_assets.child import VIDEO_MEMORY, Bounds, run
from ncaa_assets.failures import ObjectMissing, StoreError
from ncaa_assets.media.isobmff import NotWhole, read_index
from ncaa_assets.media.profile import ffmpeg_decode_arguments
from ncaa_assets.ports import HighlightTable, ObjectStore, Row
from ncaa_assets.record.models import (
    D,
    Document,
    Highlight,
    HighlightsDay,
    ProcessedDay,
    ProcessedVideo,
    VideosDay,
    content_hash,
)
from ncaa_assets.record.rows import differing_fields, merge_row, rows_of
from ncaa_assets.text import visible

# What a daily run reads of a day's copies to hash them: less than a second's work locally, and seconds from a bucket.
# It takes the newest first, so what the run itself copied is always among it unless that alone is more.
QUICK_BYTES = 256 * 1024**2

# An encode may be shorter or longer than its source by a frame or an audio packet; never by this much.
TOLERANCE_SECONDS = 1.0

KINDS: tuple[type[Document], ...] = (HighlightsDay, VideosDay, ProcessedDay)

_CHUNK = 1024**2
_LATEST = "9999"  # later than any time
_NEIGHBOURS = 8  # parsed documents of other days that are kept at hand: clips that two days list lie side by side


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


@dataclass
class Comparison:
    """What one comparison came to: its findings, and as evidence one entry for each thing that was looked at."""

    findings: list[Finding] = field(default_factory=list)
    evidence: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class DayReport:
    """One day reconciled: its findings, whether the archive has anything of it, and how much was looked at
    (`hashed_bytes` in bytes)."""

    day: str
    is_there: bool = False
    findings: list[Finding] = field(default_factory=list)
    highlights: int = 0
    rows: int = 0
    copies: int = 0
    outputs: int = 0
    hashed_bytes: int = 0
    decoded: int = 0


class Decoder:
    """Decodes stored videos with ffmpeg, for what hashes cannot tell: whether an output plays.

    `seconds` is the most that one file may take.
    """

    def __init__(self, program: str, *, seconds: float) -> None:
        self._program, self._seconds = program, seconds

    def complaint(self, path: Path) -> str | None:
        """What ffmpeg says while it decodes a file, on one line; None where it decodes from start to end."""
        bounds = Bounds(seconds=self._seconds, memory=VIDEO_MEMORY)
        ended = run([self._program, *ffmpeg_decode_arguments(path)], bounds=bounds, check=False)
        if ended.timed_out:
            return f"decoding took longer than {self._seconds:.0f} s"
        return visible(ended.stderr, most=200) or ended.trouble


def unique_ids(day: HighlightsDay) -> Comparison:
    """Whether each highlight stands once in the day's JSON."""
    counted = Counter(Highlight.parse(record).id for record in day.data)
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
        [{"highlights": len(day.data), "different ids": len(counted)}],
    )


def records(day: HighlightsDay) -> Comparison:
    """Whether each record has the content that was recorded when it came, and none that came is missing."""
    kept: dict[str, set[str]] = {}
    for record in day.data:
        kept.setdefault(Highlight.parse(record).id, set()).add(content_hash(record))
    found = []
    for key, entry in day.backup.records.items():
        if key not in kept:
            problem = "was listed once, and is no longer in the day's JSON"
        elif kept[key] != {entry.content_hash}:
            problem = "has another content in the day's JSON than was recorded when it came"
        else:
            continue
        found.append(Finding(day.date, "highlights", key, problem, _put_back(HighlightsDay, day.date)))
    return Comparison(
        found, [{"records": len(day.backup.records), "as recorded": len(day.backup.records) - len(found)}]
    )


def still_listed(day: HighlightsDay) -> Comparison:
    """Whether a day that the API once listed highlights for has some in its latest answer; nothing is lost if not."""
    last = day.backup.fetches[-1] if day.backup.fetches else None
    evidence = {"kept": len(day.data), "listed last": last.received if last else None, "at": last.at if last else None}
    if not day.data or last is None or last.received:
        return Comparison([], [evidence])
    problem = f"{len(day.data)} kept, and the API lists none any more ({last.at})"
    remedy = "nothing was removed here; see whether the API lists the day again tomorrow"
    return Comparison([Finding(day.date, "highlights", day.date, problem, remedy, Severity.WARN)], [evidence])


def some_copied(manifest: VideosDay) -> Comparison:
    """Whether a day with videos has at least one copy; where it has none, the reasons."""
    evidence = {"copied": len(manifest.videos), "skipped": len(manifest.skipped)}
    if manifest.videos:
        return Comparison([], [evidence])
    remedy = "nothing to mend here: the source has no video file to copy"
    return Comparison(
        [Finding(manifest.date, "videos", skip.id, skip.reason, remedy, Severity.WARN) for skip in manifest.skipped],
        [evidence],
    )


RowsOfDay = Callable[[str], dict[str, Row]]


def rows(day: HighlightsDay, table: HighlightTable, *, rows_of_day: RowsOfDay | None = None) -> Comparison:
    """Whether each of the day's highlights has its row, every field of it as the JSON says, but for `last_seen` and
    `fetch_date`: they move with each fetch and are not written for themselves.

    A row that names several days has the record's fields as one of them has them, the one that saw it last, and
    bookkeeping of all (`rows.merge_row`). With `rows_of_day`, which gives the rows that another day's JSON makes, it is
    compared with all of its days, and the day's rows in the table with the JSON; without, only what this day alone
    decides is looked at: another run may be writing those days, and a table's index lags behind its rows.
    """
    expected = {row["id"]: row for row in rows_of(day)}
    there = table.get(list(expected))
    again = _again(day.date)
    problems: dict[str, tuple[str, str]] = {}
    for key, row in expected.items():
        if key not in there:
            problems[key] = ("has no row", again)
        elif (problem := _row_problem(there[key], row, day.date, rows_of_day)) is not None:
            wrong, heals = problem
            problems[key] = (wrong, again if heals else f"delete the row, then {again}, and its other days too")
    if rows_of_day is not None:
        problems = _day_problems(table.day(day.date), expected, there, day.date) | problems
    return Comparison(
        [Finding(day.date, "backup_rows", key, problem, remedy) for key, (problem, remedy) in problems.items()],
        [{"highlights": len(expected), "rows": len(there), "differ": len(problems)}],
    )


def rows_of_days(store: ObjectStore) -> RowsOfDay:
    """The rows that other days' JSON makes, by id, for `rows`; those of a few days are kept at hand. Of a document that
    is missing or damaged none, which its own day is told for."""

    @lru_cache(_NEIGHBOURS)
    def rows_of_day(day: str) -> dict[str, Row]:
        document = _document(store, HighlightsDay, day, [])
        return {row["id"]: row for row in rows_of(document)} if document else {}

    return rows_of_day


def _row_problem(there: Row, row: Row, day: str, rows_of_day: RowsOfDay | None) -> tuple[str, bool] | None:
    """What is wrong with a row in the table, and whether another run of its day makes it right."""
    days = there.get("days")
    if not isinstance(days, list) or day not in days:
        return f"has a row that does not name {day}", _heals(there, row, row)
    others = [other for other in days if other != day]
    if others and rows_of_day is None:
        if there.get("content_hash") != row["content_hash"]:
            return None  # another of its days saw it last, with another content
        of_all_days = {"days", "game_date", "first_seen", "removed_upstream", "removed_from", "in_json"}
        fields = [name for name in differing_fields(there, row) if name not in of_all_days]
        return (_differs(fields), True) if fields else None
    its_rows = [row]
    for other in others:
        listed = rows_of_day(other).get(row["id"]) if rows_of_day and _is_day(other) else None
        if listed is None:
            return f"has a row that names {visible(other, most=20)}, whose JSON does not list it", False
        its_rows.append(listed)
    fields = min((differing_fields(there, _merged(its_rows, last)) for last in its_rows), key=len)
    return (_differs(fields), _heals(there, row, _merged(its_rows, row))) if fields else None


def _day_problems(
    found: list[Row], expected: dict[str, Row], there: dict[str, Row], day: str
) -> dict[str, tuple[str, str]]:
    """What is wrong with the rows that a table has under a day, by id: the problem, and what to do."""
    again = _again(day)
    counted = Counter(str(row.get("id")) for row in found)
    problems = {}
    for key, count in counted.items():
        if key not in expected:
            problem = "has a row, and the day's JSON does not list it"
            problems[key] = (problem, f"delete the row, or {_put_back(HighlightsDay, day)}")
        elif count > 1:
            problems[key] = (f"has {count} rows under this day", f"delete them, then {again}")
    for key, row in there.items():
        if row.get("game_date") == day and key not in counted:
            problems[key] = ("has a row that is not found under its game day", f"delete the row, then {again}")
    return problems


def _merged(its_rows: list[Row], last: Row) -> Row:
    """The row that a clip's days make of theirs where `last` is the one that was seen last."""
    merged: Row | None = None
    for one in [*(one for one in its_rows if one is not last), {**last, "last_seen": _LATEST}]:
        merged = merge_row(merged, one) or merged
    return merged or last


def _differs(fields: list[str]) -> str:
    names = ", ".join(fields[:5]) + (f" and {len(fields) - 5} more" if len(fields) > 5 else "")
    return f"has a row that differs from the JSON in {names}"


def _heals(there: Row, row: Row, wanted: Row) -> bool:
    """Whether another run of the day makes the row right: it keeps a row's other days and the earliest `first_seen`."""
    try:
        merged = merge_row(there, {**row, "last_seen": _LATEST})
    except (KeyError, TypeError, AttributeError):
        return False  # bookkeeping that cannot be read: a run of the day would stumble over it too
    return merged is not None and not differing_fields(merged, wanted)


def copies(
    store: ObjectStore, manifest: VideosDay, *, most_bytes: int | None = QUICK_BYTES, decoder: Decoder | None = None
) -> Comparison:
    """Whether each copy that the day's manifest names is in the store with its recorded size and sha256.

    The sha256 is the store's own where it keeps one (S3 computes it as it takes an object in, and a HEAD tells it);
    else the copy is read, the newest first, as long as `most_bytes` in all are not passed (None: all of them). So a
    daily run reads what it copied itself, and a bounded amount of what earlier ones did; the rest is compared by size,
    and the evidence says so. With a decoder every copy is read, and one that is as recorded is decoded as well: what it
    complains about came from the source, and is no error of the archive.
    """
    result = Comparison()
    left = most_bytes
    for video in sorted(manifest.videos, key=lambda video: video.copied_at, reverse=True):
        seen: dict[str, Any] = {"key": video.key, "bytes": video.bytes, "sha256": "not compared"}
        result.evidence.append(seen)
        again = f"{_again(manifest.date)}: it is copied again, if its source still has it"
        if (problem := _size_problem(store, video.key, video.bytes, seen)) is not None:
            result.findings.append(Finding(manifest.date, "videos", video.key, problem, again))
            continue
        digest = store.checksum(video.key) if decoder is None and most_bytes is not None else None
        complaint = None
        if digest is not None:
            seen["sha256"] = "equal, by the store's own checksum"
        elif left is None or video.bytes <= left:
            try:
                digest, complaint = _read(store, video.key, decoder)
            except StoreError as error:
                result.findings.append(_unreadable(manifest.date, "videos", video.key, error))
                continue
            left = None if left is None else left - video.bytes
            seen["sha256"], seen["read"] = "equal", video.bytes
            seen["decoded"] = decoder is not None
        if digest not in (None, video.sha256):
            seen["sha256"] = "differs"
            problem = "its bytes are not those that were copied (another sha256)"
            remedy = f"{_again(manifest.date, force=True)}: it is fetched again, if its source still has it"
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
    deep: bool = False,
    decoder: Decoder | None = None,
) -> Comparison:
    """Whether each copied video has its output and poster, and they are in the store with their recorded sizes.

    With `deep` their bytes are read too: an output's sha256 is compared where one was recorded (an encoder in the cloud
    tells none), a poster is seen to be a whole JPEG, and a decoder's complaints are errors of the archive.
    """
    result = Comparison()
    encoded = {video.source_sha256 for video in manifest.videos}
    again = f"{_again(manifest.date)}: it is encoded again"
    for source in sources.videos:
        if source.sha256 not in encoded:
            result.findings.append(Finding(manifest.date, "processed_videos", source.key, "was not encoded", again))
    for video in manifest.videos:
        for key, size in ((video.key, video.bytes), (video.poster.key, video.poster.bytes)):
            seen: dict[str, Any] = {"key": key, "bytes": size}
            result.evidence.append(seen)
            problem, remedy = _size_problem(store, key, size, seen), again
            if problem is None and deep:
                remedy = f"{_again(manifest.date, force=True)}: it is encoded again"
                try:
                    problem = (
                        _poster_problem(store, key)
                        if key == video.poster.key
                        else _bytes_problem(store, video, decoder, seen)
                    )
                except StoreError as error:
                    result.findings.append(_unreadable(manifest.date, "processed_videos", key, error))
            if problem is not None:
                result.findings.append(Finding(manifest.date, "processed_videos", key, problem, remedy))
    return result


def durations(store: ObjectStore, manifest: ProcessedDay, sources: VideosDay) -> Comparison:
    """Whether each output lasts as long as its source, to within a second: read from the output's own index, and for
    the source what its index said while it was copied (of WebM and MPEG-TS files it is not known: not compared).
    """
    result = Comparison()
    said = {video.sha256: video.duration_seconds for video in sources.videos}
    for video in manifest.videos:
        wanted = said.get(video.source_sha256)
        seen: dict[str, Any] = {"key": video.key, "source_seconds": wanted, "seconds": None, "difference": None}
        result.evidence.append(seen)
        remedy = f"{_again(manifest.date, force=True)}: it is encoded again"
        try:
            with store.download(video.key) as file:
                lasts = read_index(file).duration_seconds
        except ObjectMissing:
            continue  # `outputs` says so
        except StoreError as error:
            result.findings.append(_unreadable(manifest.date, "processed_videos", video.key, error))
            continue
        except NotWhole as error:
            result.findings.append(
                Finding(manifest.date, "processed_videos", video.key, f"is no whole video: {error}", remedy)
            )
            continue
        seen["seconds"] = round(lasts, 3) if lasts else None
        if not wanted or not lasts:
            continue
        seen["difference"] = round(lasts - wanted, 3)
        if abs(lasts - wanted) > TOLERANCE_SECONDS:
            problem = f"lasts {lasts:.1f} s and its source {wanted:.1f} s"
            result.findings.append(Finding(manifest.date, "processed_videos", video.key, problem, remedy))
    return result


def reconcile_day(
    store: ObjectStore,
    table: HighlightTable,
    day: str,
    *,
    deep: bool = False,
    decoder: Decoder | None = None,
    rows_of_day: RowsOfDay | None = None,
) -> DayReport:
    """Everything that the archive holds of a day, compared with what its documents say, each document included.

    A day of which there is nothing has no findings: it was never backed up. `deep` reads every byte.
    """
    report = DayReport(day)
    found = report.findings
    objects = {info.key: info.size for kind in KINDS for info in store.list(f"{kind.asset}/{day}/")}
    highlights = _document(store, HighlightsDay, day, found)
    videos = _document(store, VideosDay, day, found)
    processed = _document(store, ProcessedDay, day, found)
    if highlights is not None:
        report.highlights = len(highlights.data)
        found += unique_ids(highlights).findings + records(highlights).findings
    try:
        compared = rows(highlights or HighlightsDay(date=day), table, rows_of_day=rows_of_day or rows_of_days(store))
        report.rows = sum(seen["rows"] for seen in compared.evidence)
        # Without the JSON every row of the day would be one too many; that it is missing is said once.
        found += compared.findings if highlights is not None else []
    except StoreError as error:
        found.append(Finding(day, "backup_rows", table.uri(), str(error), "then verify again"))
        compared = Comparison()
    if videos is not None:
        copied = copies(store, videos, most_bytes=None if deep else QUICK_BYTES, decoder=decoder)
        found += copied.findings
        report.copies = len(videos.videos)
        report.hashed_bytes += sum(seen.get("read", 0) for seen in copied.evidence)
        report.decoded += sum(seen.get("decoded", False) for seen in copied.evidence)
    if processed is not None:
        encoded = outputs(store, processed, videos or VideosDay(date=day), deep=deep, decoder=decoder)
        found += encoded.findings
        wrong = {one.key for one in encoded.findings}
        lasting = durations(store, processed, videos or VideosDay(date=day)).findings
        found += [one for one in lasting if one.key not in wrong]  # a cut file need not be told twice
        report.outputs = len(processed.videos)
        report.hashed_bytes += sum(seen.get("read", 0) for seen in encoded.evidence)
        report.decoded += sum(seen.get("decoded", False) for seen in encoded.evidence)
    there = {HighlightsDay: highlights, VideosDay: videos, ProcessedDay: processed}
    report.is_there = bool(any(there.values()) or objects or found or compared.findings)
    if report.is_there:
        found += _missing_documents(store, day, there)
    # What a document named that is damaged or gone is not known, so nothing beside it can be called one too many.
    known = {kind.asset for kind, document in there.items() if document is not None}
    names = _named(videos, processed)
    found += [
        Finding(day, asset, key, "is in the store, and no document names it", _EXTRA)
        for key in objects
        if key not in names and (asset := key.partition("/")[0]) in known
    ]
    return report


def strays(store: ObjectStore, days: set[str]) -> Iterator[Finding]:
    """What lies where documents and videos lie and belongs to no day. Adds to `days` those that anything belongs to.

    Raises:
        StoreError: the store cannot be listed.
    """
    for kind in KINDS:
        for info in store.list(f"{kind.asset}/"):
            rest = info.key.removeprefix(f"{kind.asset}/")
            day, slash, _ = rest.partition("/")
            if (slash and _is_day(day)) or (not slash and _is_day(day.removesuffix(".json")) and day.endswith(".json")):
                days.add(day.removesuffix(".json"))
            else:
                yield Finding(None, kind.asset, info.key, "is in the store, and no document names it", _EXTRA)


_EXTRA = "see what it is, then delete it or move it out of the archive"


def _document(store: ObjectStore, kind: type[D], day: str, found: list[Finding]) -> D | None:
    try:
        return documents.load(store, kind, day)
    except ObjectMissing:
        return None
    except StoreError as error:
        found.append(Finding(day, kind.asset, kind.key(day), str(error), _put_back(kind, day)))
        return None


def _is_missing(store: ObjectStore, kind: type[Document], day: str) -> bool:
    return store.info(kind.key(day)) is None


def _missing_documents(store: ObjectStore, day: str, there: dict[type[Any], Any]) -> Iterator[Finding]:
    for kind, document in there.items():
        if document is None and _is_missing(store, kind, day):
            yield Finding(day, kind.asset, kind.key(day), "is missing: the day was not finished, or it was deleted",
                          f"{_put_back(kind, day)}, or {_again(day)}")  # fmt: skip


def _named(videos: VideosDay | None, processed: ProcessedDay | None) -> set[str]:
    names = {video.key for video in videos.videos} if videos else set()
    for video in processed.videos if processed else []:
        names |= {video.key, video.poster.key}
    return names


def _size_problem(store: ObjectStore, key: str, size: int, seen: dict[str, Any]) -> str | None:
    info = store.info(key)
    seen["stored"] = info.size if info else None
    if info is None:
        return "is missing from the store"
    return None if info.size == size else f"has {info.size} bytes, and {size} were recorded"


def _bytes_problem(
    store: ObjectStore, video: ProcessedVideo, decoder: Decoder | None, seen: dict[str, Any]
) -> str | None:
    digest, complaint = _read(store, video.key, decoder)
    seen["read"], seen["decoded"] = video.bytes, decoder is not None
    if video.sha256 is not None and digest != video.sha256:
        return "its bytes are not those that were encoded (another sha256)"
    return f"does not decode ({complaint})" if complaint is not None else None


def _unreadable(day: str, asset: str, key: str, error: StoreError) -> Finding:
    remedy = f"see what is wrong there; where the bytes are lost, delete the object, then {_again(day)}"
    return Finding(day, asset, key, f"is there and cannot be read ({error})", remedy)


def _poster_problem(store: ObjectStore, key: str) -> str | None:
    with store.download(key) as file:
        data = file.read()
    return None if data.startswith(b"\xff\xd8") and data.rstrip(b"\0").endswith(b"\xff\xd9") else "is no whole JPEG"


def _read(store: ObjectStore, key: str, decoder: Decoder | None) -> tuple[str, str | None]:
    """An object's sha256, and what a decoder complains about. Without one, nothing is kept of what is read."""
    digest = hashlib.sha256()
    with ExitStack() as stack:
        file = stack.enter_context(store.download(key))
        place, copy = Path(store.uri(key)), None
        if decoder is not None and not place.is_file():
            # ffmpeg needs a file that it can go back in, and this store has none.
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ncaa-assets-")), "video")
            copy = stack.enter_context(place.open("wb"))
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            if copy is not None:
                copy.write(chunk)
        if copy is not None:
            copy.close()
        return digest.hexdigest(), decoder.complaint(place) if decoder else None


def _is_day(text: object) -> bool:
    if not isinstance(text, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return False
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False


def _again(day: str, *, force: bool = False) -> str:
    return f"run `ncaa-assets backup --date {day}{' --force' if force else ''}`"


def _put_back(kind: type[Document], day: str) -> str:
    return f"put back an earlier version of {kind.key(day)} (.history/{kind.asset}/{day}/, or the bucket's versions)"
