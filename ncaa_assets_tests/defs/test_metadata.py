"""What people see in the UI: outside text stays text."""

import base64
from collections.abc import Sequence
from typing import Any

import dagster as dg
import pytest

from ncaa_assets.defs.metadata import (
    Markdown,
    bullets,
    escaped,
    highlights_table,
    link,
    picture,
    shown,
    skipped_table,
    table,
)
from ncaa_assets.record.models import Backup, HighlightsDay, RecordHistory, SkippedVideo
from ncaa_assets.text import plural, size
from ncaa_assets_tests.loopback.listing import game, record, us_game, us_record


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("Duke vs. UNC", "Duke vs. UNC"),
        ("**bold** _x_ `code`", r"\*\*bold\*\* \_x\_ \`code\`"),
        ("<script>alert(1)</script>", r"\<script\>alert\(1\)\</script\>"),
        ("[a](http://evil)", r"\[a\]\(http`://`evil\)"),
        ("HTTPS://evil.test WWW.evil.test a@evil.test", "HTTPS`://`evil.test WWW`.`evil.test a`@`evil.test"),
        ("a@://b", "a`@://`b"),
        ("a | b", r"a \| b"),
        ("a\\|b", r"a\\\|b"),
        ("two\nlines\r\n\tof it", "two lines of it"),
        ("San José — “Hawaiʻi”", "San José — “Hawaiʻi”"),
        ("", ""),
        (None, ""),
    ],
)
def test_text_is_shown_as_it_is(text: str | None, result: str) -> None:
    assert escaped(text) == result


def test_long_text_is_cut_before_it_is_escaped() -> None:
    assert escaped("x" * 500) == "x" * 119 + "…"
    assert escaped("*" * 500, most=3) == r"\*\*…"
    assert escaped("x" * 120) == "x" * 120


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://example.com/watch?v=1&t=2", "https://example.com/watch?v=1&t=2"),
        ("HTTP://example.com/", "HTTP://example.com/"),
        ("https://example.com/a b|c", "https://example.com/a%20b%7Cc"),
        ("https://example.com/>)<img src=x>", "https://example.com/%3E%29%3Cimg%20src=x%3E"),
        ("https://example.com/\n\n# x", "https://example.com/%0A%0A#%20x"),
        ("https://example.com/ü", "https://example.com/%C3%BC"),
        ("https://example.com/\ud800", "https://example.com/?"),
        ("https://example.com/a%20b", "https://example.com/a%20b"),
    ],
)
def test_a_link_leads_to_its_url_and_cannot_leave_its_brackets(url: str, target: str) -> None:
    assert link("Game", url) == f"[Game](<{target}>)"


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "", None, "http://[", "http:", "http:/x",
        "http:x", "https://x/" + "y" * 2000, "http://user:secret@x/", "http://user@x/", "http:\\\\user:secret@x",
        "http:/user:secret@x", "//user:secret@x", "http://us\ner:secret@x/",
    ],
)  # fmt: skip
def test_what_is_no_web_address_is_no_link(url: str | None) -> None:
    assert link("Game", url) == "Game"
    assert link(None, url) == "untitled"
    assert "secret" not in link(url, url)


def test_a_link_does_not_lead_to_another_host_than_its_url() -> None:
    """Browsers take a backslash for a slash; quoted, it would be a part of a user's name."""
    for url in ("http://a.example\\@b.example/", "https://a.example\\x:y@b.example", "http://a.example\\%40b.example/"):
        assert "](" not in link("Game", url)
    assert link("Game", "http://a.example/b\\c") == "[Game](<http://a.example/b%5Cc>)"


def records(table: object) -> list[dict[str, object]]:
    assert isinstance(table, dg.TableMetadataValue)
    return [dict(record.data) for record in table.records]


def markdown(table: object) -> str:
    assert isinstance(table, Markdown)
    return table


X = link("x", "http://y/")


def test_a_table_has_a_row_each_and_ends_at_a_hundred() -> None:
    assert records(table(["a", "b"], [["1", 2.5]])) == [{"a": "1", "b": 2.5}]
    assert len(records(table(["a"], [["1"]] * 100))) == 100
    long = records(table(["a", "b"], ([1, 2] for _ in range(103))))
    assert long[99:] == [{"a": 1, "b": 2}, {"a": "… and 3 more", "b": ""}]


def test_a_table_with_links_is_markdown() -> None:
    assert table(["a", "b"], [[X, 2]]) == "| a | b |\n| --- | --- |\n| [x](<http://y/>) | 2 |"
    assert "more" not in markdown(table(["a"], [[X]] * 100))
    long = markdown(table(["a"], ([X] for _ in range(103))))
    assert long.count("| [x]") == 100
    assert long.endswith("\n\n… and 3 more")


def test_a_cell_is_escaped_unless_it_is_markdown_and_so_is_a_line_of_a_list() -> None:
    assert markdown(table(["a", "b"], [["<b>|", X]])).splitlines()[2] == r"| \<b\>\| | [x](<http://y/>) |"
    assert bullets(["<b>\n- c", "![x](http://y)"]) == r"- \<b\> \- c" + "\n" + r"- \!\[x\]\(http`://`y\)"


def test_a_cell_of_a_table_without_links_is_one_visible_line() -> None:
    told = records(table(["a"], [["<b>\n![x](http://user:secret@y)\x1b"], ["x" * 500]]))
    assert [record["a"] for record in told] == ["<b> ![x](http://…@y)�", "x" * 299 + "…"]


def test_only_markdown_is_rendered_and_any_other_text_is_one_visible_line() -> None:
    metadata = shown({"text": "a\n![x](http://user:secret@y)\x1b", "table": table(["a"], [[X]]), "n": 1, "ok": True})
    assert metadata["text"] == dg.MetadataValue.text("a ![x](http://…@y)�")
    assert isinstance(metadata["table"], dg.MarkdownMetadataValue)
    assert (metadata["n"], metadata["ok"]) == (1, True)


def a_day(*records: dict[str, Any], matches: Sequence[dict[str, Any]] = ()) -> HighlightsDay:
    seen = "2025-03-10T06:00:12Z"
    entries = {
        str(record["id"]): RecordHistory(
            first_seen=seen, last_seen=seen, content_hash="0" * 64, removed_upstream="2025-03-11T06:00:12Z"
        )
        for record in records
    }
    return HighlightsDay(date="2025-03-09", data=list(records), matches=list(matches), backup=Backup(records=entries))


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split(" | ")] for line in table.splitlines()[2:]]


def test_a_hostile_highlight_stays_within_its_cells() -> None:
    evil = "|\n| evil |"
    record = {
        "id": "1|2\n3", "url": "https://x/|\n|", "title": evil, "source": "<b>",
        "match": {"id": 1, "homeTeam": evil, "awayTeam": evil},
    }  # fmt: skip
    match = {"id": 1, "state": {"description": evil, "score": {"current": evil}}, "venue": evil}
    lines = markdown(highlights_table(a_day(record, matches=[match]))).splitlines()
    assert len(lines) == 3
    row = lines[2].replace(r"\|", "").split("|")
    assert len(row) == len(lines[0].split("|"))
    assert row[-2].strip() == "removed upstream"
    assert r"2025\-03\-10 06:00:12" in lines[2]


def test_a_highlight_is_shown_with_its_game_and_score() -> None:
    clips = [us_record(1, None), record(2, None), us_record(3, None, title=None), record(4, None)]
    told = cells(markdown(highlights_table(a_day(*clips, matches=[us_game(1), game(2)]))))
    assert [row[1:5] for row in told] == [
        [r"Team 1 Tigers vs. San José Spartans \| Full Game Highlights", "Team 1 Tigers – San José Spartans",
         r"82 \- 69", "Finished"],
        ["Team 2 vs. San José – Highlights", "Team 2 – San José", r"82 \- 69", "Finished"],
        ["Team 3 Tigers – San José Spartans", "Team 3 Tigers – San José Spartans", "", ""],
        ["Team 4 vs. San José – Highlights", "", "", ""],
    ]  # fmt: skip


def test_what_was_not_copied_is_listed_with_its_reason() -> None:
    skip = SkippedVideo(
        id="7",
        title=None,
        source_url="https://x/watch",
        kind="page",
        reason="it is a web page | really",
        at="2025-03-10T06:00:12Z",
    )
    assert markdown(skipped_table([skip])).splitlines()[2] == (
        r"| 7 | [https`://`x/watch](<https://x/watch>) | it is a web page \| really |"
    )


def test_a_picture_is_inside_the_markdown() -> None:
    data = base64.b64encode(b"\xff\xd8jpeg").decode()
    assert picture(b"\xff\xd8jpeg", "Duke [vs]") == f"![Duke \\[vs\\]](data:image/jpeg;base64,{data})"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (1_430_000, "1.4 MB"), (2_000_000_000, "2.0 GB"),
     (5_000_000_000_000, "5000.0 GB")],
)  # fmt: skip
def test_sizes_are_for_people(count: int, text: str) -> None:
    assert size(count) == text


def test_one_is_singular() -> None:
    assert [plural(count, "video") for count in (0, 1, 2)] == ["0 videos", "1 video", "2 videos"]
