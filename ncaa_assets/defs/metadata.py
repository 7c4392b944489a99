"""The tables, links and pictures in the metadata that people see. No I/O.

What comes from the API is outside text: it is escaped before it becomes Markdown.
"""

import base64
import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote, urlsplit

from ncaa_assets.record.matches import GameColumns, games_of
from ncaa_assets.record.models import HighlightsDay, SkippedVideo
from ncaa_assets.text import visible

_MOST_ROWS = 100
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|<>~&$-])")


def escaped(text: str | None, *, most: int = 120) -> str:
    """Text on one line, at most `most` characters, escaped so that Markdown shows it unchanged."""
    return _MARKDOWN.sub(r"\\\1", visible(text or "", most=most))


def link(text: str | None, url: str | None) -> str:
    """A Markdown link where the URL is http or https, else only the text."""
    try:
        safe = url is not None and urlsplit(url).scheme in ("http", "https")
    except ValueError:
        safe = False
    label = escaped(text) or "untitled"
    return f"[{label}](<{quote(url or '', safe=':/?=&%+,;@~#!$*.-_', errors='replace')}>)" if safe else label


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table of at most a hundred rows. Cells must be Markdown already."""
    cells = list(rows)
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in cells[:_MOST_ROWS]]
    if len(cells) > _MOST_ROWS:
        lines.append(f"\n… and {len(cells) - _MOST_ROWS} more")
    return "\n".join(lines)


def highlights_table(day: HighlightsDay) -> str:
    """A table of a day's highlights, with links to their videos and what is known of their games."""
    games = games_of(day)
    entries = day.backup.records
    return table(
        ["id", "title", "game", "score", "state", "source", "first seen", ""],
        [
            [
                escaped(highlight.id),
                link(highlight.shown_title or highlight.url, highlight.url),
                escaped(games[highlight.id].get("game"), most=250),
                escaped(_score(games[highlight.id])),
                escaped(games[highlight.id].get("game_state")),
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


def skipped_table(skipped: Iterable[SkippedVideo]) -> str:
    """A table of the videos that were not copied, with the reasons."""
    return table(
        ["id", "title", "why not"],
        [
            [escaped(skip.id), link(skip.title or skip.source_url, skip.source_url), escaped(skip.reason, most=300)]
            for skip in skipped
        ],
    )


def picture(jpeg: bytes, alternative: str) -> str:
    """A JPEG embedded in Markdown, so that the UI shows it wherever the archive is."""
    return f"![{escaped(alternative)}](data:image/jpeg;base64,{base64.b64encode(jpeg).decode()})"
