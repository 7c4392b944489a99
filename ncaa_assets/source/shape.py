"""Whether the API's answers have the shape that this project reads: a page as it came, compared with what the client
relies on. No I/O.

No live call was made while this project was built; its facts about the API come from documentation and from samples
that others published. `ncaa-assets doctor` makes this comparison, so that a mismatch is found before a backup meets it.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from ncaa_assets.ports import Page
from ncaa_assets.record.models import Highlight, name_of
from ncaa_assets.source.listing import PAGE
from ncaa_assets.text import visible

_TYPES = {"VERIFIED", "UNVERIFIED"}
_TEXT_OR_NULL = ("description", "imgUrl", "embedUrl", "channel", "source", "category")
_FILES = (".mp4", ".mov", ".m4v", ".webm", ".ts")
KNOWN_FIELDS = {"id", "type", "title", "url", "match", *_TEXT_OR_NULL}


def mismatches(page: Page, *, day: str, timezone: str, league: str) -> list[str]:
    """How a first page differs from what the client reads: a sentence for each difference, with what it means. Empty
    where nothing differs. `page` is a full first page, asked for `day` in `timezone` and for `league`."""
    return [
        *_envelope(page),
        *(_records(page.records) if page.records else ()),
        *(_game_days(page.records, day, timezone) if page.records else ()),
        *(_leagues(page.records, league) if page.records else ()),
    ]


def new_fields(page: Page) -> list[str]:
    """The fields of the records that no documentation names. They are kept like all others; a person may want to
    know."""
    return sorted({name for record in page.records if isinstance(record, dict) for name in record} - KNOWN_FIELDS)


def video_files(records: Sequence[Any]) -> int:
    """How many of the records' URLs lead, by their ending, to a file of a kind that can be copied. The others lead to
    web pages, or to files without an ending."""
    return sum(
        urlsplit(record["url"]).path.lower().endswith(_FILES)
        for record in records
        if isinstance(record, dict) and isinstance(record.get("url"), str) and _is_url(record["url"])
    )


def _envelope(page: Page) -> Iterator[str]:
    pagination = page.body.get("pagination")
    if not isinstance(pagination, dict):
        yield "there is no `pagination`: a day's end is only found by an empty page, which costs a request more"
    elif page.total is None:
        yield "`pagination.totalCount` is no number: a day's end is only found by an empty page, a request more"
    else:
        asked = {"offset": 0, "limit": PAGE}
        for name, value in asked.items():
            if pagination.get(name) not in (value, str(value)):
                yield f"`pagination.{name}` is {_short(pagination.get(name))} where {value} was asked"
        expected = min(PAGE, page.total)
        if len(page.records) != expected:
            yield f"of {page.total} announced records the page has {len(page.records)}, not {expected}"
    plan = page.body.get("plan")
    if not isinstance(plan, dict) or not isinstance(plan.get("message"), str):
        yield "there is no `plan.message`: an answer that the plan cuts short could not be told from a whole one"
    if page.quota_remaining is None:
        yield "no header says how many requests are left: QUOTA_RESERVE cannot be kept"


def _records(records: Sequence[Any]) -> Iterator[str]:
    views: dict[str, int] = Counter()
    reasons: list[str] = []
    for record in records:
        try:
            views[Highlight.parse(record).id] += 1
        except ValueError as error:
            reasons.append(str(error))
    if reasons:
        yield f"{_of(len(reasons), records)} cannot be understood ({reasons[0]}): they get no rows and videos"
    if repeated := sum(count - 1 for count in views.values()):
        yield f"{_of(repeated, records)} repeat an id within one page"
    expected: list[tuple[str, str, Callable[[Any], bool]]] = [
        ("id", "a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
        ("type", "VERIFIED or UNVERIFIED", lambda value: isinstance(value, str) and value in _TYPES),
        ("title", "text", lambda value: isinstance(value, str)),
        ("url", "an http or https address", lambda value: isinstance(value, str) and _is_url(value)),
        ("match", "an object", lambda value: isinstance(value, dict)),
    ]
    dicts = [record for record in records if isinstance(record, dict)]
    for name, kind, is_good in expected:
        if bad := [record for record in dicts if not is_good(record.get(name))]:
            yield f"`{name}` of {_of(len(bad), records)} is not {kind} but {_short(bad[0].get(name))}"
    for name in _TEXT_OR_NULL:
        if bad := [record for record in dicts if not isinstance(record.get(name), str | None)]:
            yield f"`{name}` of {_of(len(bad), records)} is not text but {_short(bad[0].get(name))}"


def _game_days(records: Sequence[Any], day: str, timezone: str) -> Iterator[str]:
    """Whether the day asked for is the game's day in `timezone`, which is inferred: no documentation says so."""
    dates = [record["match"].get("date") for record in records if isinstance(record, dict) and _has_match(record)]
    read = [moment.astimezone(ZoneInfo(timezone)).date().isoformat() for moment in map(_moment, dates) if moment]
    if not read:
        yield "no `match.date` can be read: whether the day asked for is the game's day cannot be seen"
    elif other := [game_day for game_day in read if game_day != day]:
        yield (
            f"{_of(len(other), records)} are of another day in {timezone} ({other[0]} where {day} was asked): the "
            "API's days are not TIMEZONE's"
        )


def _leagues(records: Sequence[Any], league: str) -> Iterator[str]:
    matches = [record["match"] for record in records if isinstance(record, dict) and _has_match(record)]
    names = [name_of(match.get("league")) for match in matches]
    if other := [name for name in names if name is not None and name.casefold() != league.casefold()]:
        yield f"{_of(len(other), records)} are of another league ({_short(other[0])}): LEAGUE_NAME means more than one"


def _has_match(record: dict[str, Any]) -> bool:
    return isinstance(record.get("match"), dict)


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(value))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    is_near = 1900 < moment.year < 9999  # what lies beyond cannot be told in each timezone
    return moment if is_near else None


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def _of(count: int, records: Sequence[Any]) -> str:
    return f"{count} of {len(records)} records"


def _short(value: object) -> str:
    if value is None:
        return "missing"
    return visible(value, most=40)
