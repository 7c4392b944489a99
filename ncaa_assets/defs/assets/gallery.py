"""The `gallery` asset: the pages that people watch, brought up to date with the day."""

import time
from collections.abc import Iterator

import dagster as dg

from ncaa_assets import advice
from ncaa_assets.archive.archive import HeldDay
from ncaa_assets.day.rows import write_keys
from ncaa_assets.defs.assets.shell import Done, materialized
from ncaa_assets.defs.metadata import served, served_picture, shown
from ncaa_assets.defs.resources import Day
from ncaa_assets.failures import DocumentDamaged, ObjectMissing
from ncaa_assets.gallery.model import day_key, season_key
from ncaa_assets.gallery.publish import publish
from ncaa_assets.record.models import HighlightsDay, ProcessedDay
from ncaa_assets.text import plural


@dg.asset(  # type: ignore[call-overload, untyped-decorator]  # Dagster takes Nothing too
    kinds={"html"},
    deps=["backup_rows", "processed_videos"],
    metadata=shown({"open": served(season_key())}),
    code_version="1",
    config_schema={},  # refuses any; Dagster would take whatever a person writes, and nobody would read it
    output_required=False,
    dagster_type=dg.Nothing,
    io_manager_key="documents",  # says that there is nothing to load
)
def gallery(day: dg.ResourceParam[Day]) -> Iterator[dg.MaterializeResult[None]]:
    """The pages to watch the archive by, brought up to date with the day.

    Writes the day's page, its teams' pages and the index under `gallery/`. They open in a browser, from the folder or
    from any web server; the command `gallery` opens them, and makes the pages of days that have none yet. Only pages
    that changed are written, and all of them can be made again from the archive. The day's rows get the keys of its
    videos here, which were copied beside them.
    """

    def step(held: HeldDay) -> Done[None]:
        key = HighlightsDay.key(held.day)
        if held.archive.store.info(key) is None:
            uri = held.archive.store.uri(key)
            raise ObjectMissing(f"highlights of {held.day} is not stored yet ({uri}); materialize highlights first")
        rows = write_keys(held)
        started = time.monotonic()
        done = publish(held.archive, [held.day])
        if held.day in done.damaged:
            raise DocumentDamaged(done.damaged[held.day])
        page = day_key(held.day)
        metadata = {
            "summary": f"{plural(done.pages, 'page')} written" if done.pages else "its pages were up to date",
            "pages_written": done.pages,
            "rows_written": rows.written,
            "publish_seconds": round(time.monotonic() - started, 3),
            "dagster/uri": held.archive.store.uri(page),
            "open": served(page),
            "open_elsewhere": advice.command("gallery", "--date", held.day),
        }
        outputs = held.archive.load(HighlightsDay, held.day).in_order(held.archive.load(ProcessedDay, held.day).videos)
        if outputs:
            metadata["poster"] = served_picture(outputs[0].poster.key, outputs[0].title or outputs[0].id, page=page)
        return Done(None, metadata)

    yield from materialized(day, step)
