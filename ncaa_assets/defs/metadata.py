"""The metadata that people see: its tables, links and pictures. No I/O.

Dagster's pages render Markdown, and load an image from wherever it says. What they render is what is a `Markdown` here,
and only this module makes one; any other text is escaped on its way into one. The cells of a `table` are shown as they
are. `make lint` refuses every other way to make metadata of a text.
"""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import dagster as dg

from ncaa_assets.backends.deployments import addresses
from ncaa_assets.failures import SettingsError
from ncaa_assets.ports import ObjectStore
from ncaa_assets.record.columns import COLUMNS
from ncaa_assets.record.matches import GameColumns, games_of
from ncaa_assets.record.models import HighlightsDay, SkippedVideo
from ncaa_assets.settings import Settings
from ncaa_assets.text import LINE, has_credentials, visible

_MOST_ROWS = 100
_MOST_CELL = 300  # characters
_LONGEST_LINK = 2000

Cell = str | int | float | bool | None
Table = dg.TableMetadataValue
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|<>~&$-])")
# What a renderer of GitHub's Markdown makes a link of after it has taken escapes away: addresses and mail addresses. In
# a code span it leaves them alone.
_LINKED = re.compile(r"((?:://|@|(?<=www)\.)+)", re.IGNORECASE)


class Markdown(str):
    """Text that is Markdown already: what is from outside in it is escaped."""

    __slots__ = ()


def shown(metadata: Mapping[str, object]) -> dict[str, Any]:
    """Metadata as Dagster takes it: a `Markdown` is rendered, any other text is one visible line."""
    return {name: _shown(value) for name, value in metadata.items()}


def _shown(value: object) -> object:
    if isinstance(value, Markdown):
        return dg.MetadataValue.md(value)
    return dg.MetadataValue.text(visible(value, most=LINE)) if isinstance(value, str) else value


def escaped(text: str | None, *, most: int = 120) -> Markdown:
    """Text on one line, at most `most` characters, escaped so that Markdown shows it unchanged and makes no link of
    it."""
    return Markdown(_LINKED.sub(r"`\1`", _MARKDOWN.sub(r"\\\1", visible(text or "", most=most))))


def link(text: str | None, url: str | None) -> Markdown:
    """A link where the URL is http or https and names no user or password, else only the text."""
    label = escaped(text) or "untitled"
    address = url or ""
    # Quoted, a backslash is no separator any more, and what stands behind it may become another host.
    target = quote(address, safe=":/?=&%+,;@~#!$*.-_", errors="replace")
    try:
        parts = urlsplit(address)
        leads = parts.scheme in ("http", "https") and bool(parts.netloc) and len(address) <= _LONGEST_LINK
    except ValueError:
        leads = False
    if not leads or has_credentials(address) or has_credentials(target):
        return Markdown(label)
    return Markdown(f"[{label}](<{target}>)")


def file_name(store: ObjectStore, key: str) -> str:
    """A stored file's name, leading to the page that plays it where there is one. A path is no link: browsers do not
    follow one from a web page."""
    name, page = key.rpartition("/")[2], store.page(key)
    return link(name, page) if page else name


def table(head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Table | Markdown:
    """A table of at most a hundred rows: one that the UI shows on its page, or where a cell is a `Markdown`, such as a
    link, one in Markdown."""
    cells = [[visible(cell, most=_MOST_CELL) if type(cell) is str else cell for cell in row] for row in rows]
    left_out = f"… and {len(cells) - _MOST_ROWS} more" if len(cells) > _MOST_ROWS else ""
    del cells[_MOST_ROWS:]
    if any(isinstance(cell, Markdown) for row in cells for cell in row):
        lines = [head, ["---"] * len(head), *([_escaped(cell) for cell in row] for row in cells)]
        text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return Markdown(f"{text}\n\n{left_out}" if left_out else text)
    if left_out:
        cells.append([left_out, *[""] * (len(head) - 1)])
    records = [dg.TableRecord(dict(zip(head, row, strict=True))) for row in cells]
    return dg.MetadataValue.table(records, dg.TableSchema([dg.TableColumn(name) for name in head]))


def place(asset: str, settings: Settings) -> dict[str, str]:
    """Where an asset of all days is kept, as its page in the catalog shows it: an address, and the name of a table.
    Empty where no archive can be there; each run says why."""
    try:
        objects, rows = addresses(settings)
    except SettingsError:
        return {}
    if asset != "backup_rows":
        return {"dagster/uri": f"{objects}{asset}/"}
    if rows is None:
        return {"dagster/table_name": settings.dynamodb_table}
    return {"dagster/uri": rows, "dagster/table_name": "highlights"}


def columns_of_rows() -> dg.TableSchema:
    """The columns of the rows, for the catalog."""
    columns = [
        dg.TableColumn(
            column.name,
            column.type,
            column.meaning,
            dg.TableColumnConstraints(nullable=column.nullable, unique=column.name == "id"),
        )
        for column in COLUMNS
    ]
    return dg.TableSchema(columns)


def bullets(texts: Iterable[str]) -> Markdown:
    """A list with a line for each text."""
    return Markdown("\n".join(f"- {escaped(text, most=500)}" for text in texts))


def _escaped(cell: Cell) -> Markdown:
    return cell if isinstance(cell, Markdown) else escaped(None if cell is None else str(cell), most=_MOST_CELL)


def highlights_table(day: HighlightsDay) -> Table | Markdown:
    """A table of a day's highlights, with links to their videos and what is known of their games."""
    games = games_of(day)
    entries = day.backup.records
    return table(
        ["id", "title", "game", "score", "state", "source", "first seen", ""],
        [
            [
                escaped(highlight.id),
                link(highlight.shown_title or highlight.url, highlight.url),
                games[highlight.id].get("game"),
                _score(games[highlight.id]),
                games[highlight.id].get("game_state"),
                escaped(highlight.source or highlight.channel),
                entries[highlight.id].first_seen.replace("T", " ").rstrip("Z"),
                "removed upstream" if entries[highlight.id].removed_upstream else "",
            ]
            for highlight, _ in day.highlights()
        ],
    )


def _score(game: GameColumns) -> str | None:
    """The score as the API writes it, else as its numbers say, the home team's first; on one line of the table."""
    text = game.get("score")
    if text is None and "home_score" in game:
        text = f"{game['home_score']} - {game['away_score']}"
    return text and text.replace(" ", "\N{NO-BREAK SPACE}")


def skipped_table(skipped: Iterable[SkippedVideo]) -> Table | Markdown:
    """A table of the videos that were not copied, with the reasons."""
    return table(
        ["id", "title", "why not"],
        [[escaped(skip.id), link(skip.title or skip.source_url, skip.source_url), skip.reason] for skip in skipped],
    )


def served(key: str) -> dg.UrlMetadataValue:
    """The address of a page of the gallery. It names no host: `ncaa-assets ui` serves the gallery beside Dagster's
    pages, on whatever address it has."""
    return dg.MetadataValue.url(f"/{quote(key)}")


def served_picture(key: str, alternative: str, *, page: str) -> Markdown:
    """A stored picture that leads to a page of the gallery, both as `ncaa-assets ui` serves them. The event log keeps
    none of its bytes."""
    return Markdown(f"[![{escaped(alternative)}](</{quote(key)}>)](</{quote(page)}>)")


def picture(jpeg: bytes, alternative: str) -> Markdown:
    """A JPEG embedded in Markdown, so that the UI shows it wherever the archive is."""
    return Markdown(f"![{escaped(alternative)}](data:image/jpeg;base64,{base64.b64encode(jpeg).decode()})")
