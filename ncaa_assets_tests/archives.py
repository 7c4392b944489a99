"""An `Archive` around the store that a test has made, and the steps of a day that write to it."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ncaa_assets.archive.archive import Archive, HeldDay
from ncaa_assets.backends.local.store import SQLITE_NAME
from ncaa_assets.backends.local.table import SqliteTable
from ncaa_assets.day.fetch import fetch
from ncaa_assets.day.rows import write_rows
from ncaa_assets.failures import SourceError
from ncaa_assets.ports import HighlightTable, ObjectStore, Page, Source
from ncaa_assets.record.fetch import Fetch, Matches
from ncaa_assets.record.merge import merge_fetch
from ncaa_assets.record.models import HighlightsDay
from ncaa_assets.settings import Settings


def archive_in(store: ObjectStore, table: HighlightTable | None = None, **settings: Any) -> Archive:
    """The archive in a store, with settings as nobody set them but for those given; its rows lie beside a folder's
    objects where no table is given."""
    place = Path(getattr(store, "root", "no-folder"))
    return Archive(Settings.model_validate(settings), store, table or SqliteTable(place / SQLITE_NAME))


def lease_of(store: ObjectStore, day: str, owner: str, **options: Any) -> AbstractContextManager[HeldDay]:
    """A day of the archive in a store, held by `owner` for as long as the `with` lasts."""
    return archive_in(store).lease(day, owner=owner, **options)


class _Answers(Source):
    """A source that answers one thing, whatever it is asked."""

    def __init__(self, answer: Fetch) -> None:
        self._answer = answer

    @property
    def trusted_origin(self) -> None:
        return None

    def fetch_day(self, day: str, module: str, *, first: Page | None = None) -> Fetch:
        return self._answer

    def first_page(self, day: str, module: str, *, size: int = 40) -> Page:
        raise NotImplementedError

    def matches(self, day: str, module: str) -> Matches:
        raise SourceError("no matches here")


def fetched_day(*records: Any, at: str) -> HighlightsDay:
    """A day of which one fetch listed these records, complete."""
    day = "2025-03-09"
    answer = Fetch(
        at=at, module="basketball", records=list(records), query={"date": day}, whole=True, complete=True,
        total_count=len(records), requests=1,
    )  # fmt: skip
    return merge_fetch(HighlightsDay(date=day), answer, founding="basketball")[0]


def fetch_and_write_rows(store: ObjectStore, table: HighlightTable, day: str, answer: Fetch, **settings: Any) -> None:
    """The first two steps of a day for which the API gives this answer."""
    with archive_in(store, table, api_module="basketball", **settings).lease(day, owner="a test") as held:
        write_rows(held, fetch(held, _Answers(answer)).document)
