"""`find`: which highlights some words mean, what is told of each, and what `--open` opens. On real archives, with their
real pages; programs that open files are real processes."""

import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from ncaa_assets.archive.archive import Archive
from ncaa_assets.gallery import publish, season
from ncaa_assets.record.models import LostCopy, ProcessedDay, VideosDay
from ncaa_assets.settings import Settings
from ncaa_assets_tests.days import KEY
from ncaa_assets_tests.loopback.running_ui import COMMAND
from ncaa_assets_tests.record.test_row_keys import clip, copied, encoded
from ncaa_assets_tests.record.test_rows import fetched
from ncaa_assets_tests.ui.test_services import until

OLD, DAY, LATER = "2024-03-09", "2025-03-09", "2025-03-10"
HOSTILE = "Buzzer \x1b[31mbeater\x1b[0m\u202e\r\n2025-03-11  kept \x07</script>"
Run = Callable[..., Result]


def teams(home: str, away: str) -> dict[str, Any]:
    return {"match": {"id": 1, "homeTeam": {"displayName": home}, "awayTeam": {"displayName": away}}}


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> Archive:
    """Three days: one clip of each is kept; of the others one has a link alone, one is lost, and one was removed."""
    monkeypatch.setenv("RAPIDAPI_KEY", KEY)
    archive = Archive.open(Settings.from_environment())
    lost = LostCopy(kind="gone", reason="404", at="2025-03-12T06:00:00Z")
    of_day = [
        clip("1", title="Duke vs. North Carolina – the last minute", **teams("Duke", "North Carolina")),
        clip("2", title="San José State's dunk", **teams("San José State", "St. John's")),
        clip("3", title="Duke at the line", **teams("Duke", "Yale")),
        clip("4", title=HOSTILE, url="javascript:alert(1)", **teams("Yale", "Brown")),
    ]
    listings = {OLD: [clip("9", title="Duke once")], DAY: of_day, LATER: [clip("5", title="Yale once more")]}
    kept = {OLD: [copied("9", OLD, of="9")], DAY: [copied("1"), copied("3", of="3", lost=lost)], LATER: []}
    for day, records in listings.items():
        document = fetched(day, 0, *records)
        if day == LATER:
            document = fetched(document, 1, clip("6", title="Another"))
        with archive.lease(day, owner="a test") as held:
            held.claim("basketball")
            held.save(document)
            videos = kept[day]
            outputs = [encoded(video) for video in videos if video.lost is None]
            held.save(VideosDay(date=day, videos=videos))
            held.save(ProcessedDay(date=day, videos=outputs))
        for output in outputs:
            archive.store.write(output.key, b"a video")
    publish.publish(archive, listings)
    return archive


@pytest.fixture
def find(archive: Archive, run: Run) -> Run:
    return lambda *arguments, **environment: run("find", *arguments, **environment)


def titles(found: Result) -> list[str]:
    return [line[32:] for line in found.stdout.splitlines() if line.startswith("20")]


def test_a_highlight_is_told_with_its_day_its_state_its_length_and_its_place(find: Run) -> None:
    found = find("duke")
    assert found.exit_code == 0
    assert found.stdout.splitlines() == [
        "2025-03-09  kept          0:02  Duke vs. North Carolina – the last minute",
        "            data/processed_videos/2025-03-09/1.mp4",
        "2025-03-09  lost                Duke at the line",
        "            https://media.example/3.mp4",
        "2024-03-09  kept          0:02  Duke once",
        "            data/processed_videos/2024-03-09/9.mp4",
    ]
    removed = find("yale", "once")
    assert titles(removed) == ["Yale once more (removed upstream)"]
    assert "2025-03-10  link only" in removed.stdout


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["DUKE", "carol"], ["Duke vs. North Carolina – the last minute"]),
        (["duke vs. carolina"], ["Duke vs. North Carolina – the last minute"]),
        (["san jose"], ["San José State's dunk"]),
        (["SAN JOSÉ", "st johns"], ["San José State's dunk"]),
        (["duke", "2024-03"], ["Duke once"]),
        (["duke", "2024-03-09"], ["Duke once"]),
        (["duke", "march", "2024"], ["Duke once"]),
        (["yale", "10"], ["Yale once more (removed upstream)"]),
        (["duke", "3/9/2024"], ["Duke once"]),
        (["duke", "2024-3-9"], ["Duke once"]),
        (["yale", "--from", LATER], ["Yale once more (removed upstream)"]),
        (["duke", "--to", "2024-12-31"], ["Duke once"]),
    ],
)
def test_all_words_must_be_there_in_any_case_and_with_or_without_accents(
    find: Run, words: list[str], wanted: list[str]
) -> None:
    found = find(*words)
    assert (found.exit_code, titles(found), found.stderr) == (0, wanted, "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dukee"], "Nothing for 'dukee'; showing 'Duke'.\n"),
        (["duke", "carolna"], "Nothing for 'carolna'; showing 'Carolina'.\n"),
        (["jsoe"], "Nothing for 'jsoe'; showing 'José'.\n"),
    ],
)
def test_what_is_misspelt_is_found_all_the_same_and_that_is_said(find: Run, words: list[str], said: str) -> None:
    found = find(*words)
    assert (found.exit_code, found.stderr) == (0, said)
    assert titles(found)


@pytest.mark.parametrize("words", ["%%%", ".*", "", "🏀"])
def test_words_that_name_nothing_are_refused(find: Run, words: str) -> None:
    found = find(words)
    assert (found.exit_code, found.stdout) == (2, "")
    assert "names no team, no word of a title and no date" in found.stderr


@pytest.mark.parametrize(
    "words", [["gonzaga"], ["duke", "brown"], ["duke", "2023-03-09"], ["duke", "--to", "2024-03-08"]]
)
def test_nothing_found_is_said_and_exits_with_1(find: Run, words: list[str]) -> None:
    found = find(*words)
    assert (found.exit_code, found.stdout) == (1, "")
    assert found.stderr.startswith("nothing found for '")


def test_a_hostile_title_stays_one_line_of_text_and_its_address_is_not_told(find: Run) -> None:
    found = find("buzzer")
    assert found.stdout.splitlines() == [
        "2025-03-09  link only           Buzzer �[31mbeater�[0m 2025-03-11 kept �</script>"
    ]
    asked = find("\x1b[31m\u202ezzz\n")
    assert asked.stderr == "nothing found for '�[31mzzz'\n"
    assert find("buzzer", "--open").exit_code == 1


def test_programs_get_every_highlight_in_one_json_document(find: Run) -> None:
    answer = json.loads(find("2025-03", "--json").stdout)
    lines = answer["highlights"]
    assert (answer["command"], answer["exit_code"], answer["found"], answer["instead"]) == ("find", 0, 6, {})
    assert [line["id"] for line in lines] == [*"651234"]
    first = next(line for line in lines if line["id"] == "1")
    place = str(Path("data/processed_videos/2025-03-09/1.mp4").absolute())
    assert first == {
        "id": "1", "day": DAY, "title": "Duke vs. North Carolina – the last minute", "home": "Duke",
        "away": "North Carolina", "score": None, "seconds": 2, "source": "media.example", "state": "kept",
        "removed": False, "changed": False, "key": "processed_videos/2025-03-09/1.mp4", "place": place,
        "poster_key": "processed_videos/2025-03-09/1.jpg", "url": "https://media.example/1.mp4",
    }  # fmt: skip
    assert next(line for line in lines if line["id"] == "4")["url"] is None


def test_a_program_is_told_what_was_read_otherwise_and_that_nothing_was_found(find: Run) -> None:
    misspelt = json.loads(find("dukee", "--json").stdout)
    assert (misspelt["found"], misspelt["instead"]) == (3, {"dukee": ["Duke"]})
    none = find("gonzaga", "--json")
    assert none.exit_code == 1
    assert json.loads(none.stdout)["highlights"] == []


def test_a_long_list_is_cut_and_says_how_to_see_the_rest(archive: Archive, run: Run) -> None:
    of_season = season.load(archive.store, "2024-25")
    of_season.put(DAY, list(of_season.of_day(DAY)) * 40)
    archive.store.write(season.key("2024-25"), of_season.to_bytes())
    found = run("find", "duke")
    assert (len(titles(found)), found.stderr) == (20, "and 61 more: --all\n")
    assert len(titles(run("find", "duke", "--all"))) == 81
    assert len(json.loads(run("find", "duke", "--json").stdout)["highlights"]) == 81


def test_without_a_gallery_the_command_that_makes_it_is_told(archive: Archive, run: Run) -> None:
    shutil.rmtree("data/gallery")
    found = run("find", "duke")
    assert found.exit_code == 2
    assert "the archive has no gallery yet" in found.stderr
    assert "gallery` makes it" in found.stderr
    shutil.rmtree("data")
    assert "there is no archive in" in run("find", "duke").stderr


def test_a_season_that_cannot_be_read_costs_itself(archive: Archive, run: Run) -> None:
    archive.store.write(season.key("2024-25"), b"ncaa.season({]);\n")
    found = run("find", "duke")
    assert (found.exit_code, titles(found)) == (0, ["Duke once"])
    assert "2024-25.js cannot be read" in found.stderr


def test_the_clip_or_the_link_is_opened_in_the_persons_program(archive: Archive, find: Run, tmp_path: Path) -> None:
    opener = tmp_path / "bin" / "xdg-open"
    opener.parent.mkdir()
    opener.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/opened\n')
    opener.chmod(0o755)
    (tmp_path / "opened").touch()
    path = f"{opener.parent}:{os.environ['PATH']}"
    opened = find("carolina", "--open", PATH=path)
    assert (opened.exit_code, opened.stderr) == (0, "")
    many = find("duke", "--open", PATH=path)
    assert (many.exit_code, many.stderr) == (0, "3 highlights found; this is the newest that is kept.\n")
    link = find("san jose", "--open", PATH=path)
    assert link.exit_code == 0
    place = archive.store.uri("processed_videos/2025-03-09/1.mp4")
    wanted = sorted([place, place, "https://media.example/2.mp4"])
    until("three things are opened", lambda: sorted((tmp_path / "opened").read_text().splitlines()) == wanted)
    Path(place).unlink()
    gone = find("carolina", "--open", PATH=path)
    assert (gone.exit_code, "it is not there" in gone.stderr) == (1, True)


def test_where_no_program_opens_it_that_is_said(find: Run, tmp_path: Path) -> None:
    found = find("carolina", "--open", PATH=str(tmp_path))
    assert (found.exit_code, found.stderr) == (1, "no program here opens it\n")
    opener = tmp_path / "xdg-open"
    opener.write_text("#!/bin/sh\necho xdg-open: no browser >&2\nexit 3\n")
    opener.chmod(0o755)
    found = find("carolina", "--open", PATH=str(tmp_path))
    assert (found.exit_code, found.stderr) == (1, "no program here opens it\n"), "and not what the opener tried"
    assert "data/processed_videos/2025-03-09/1.mp4" in found.stdout


def on_a_terminal(*arguments: str, **environment: str) -> str:
    """What the command writes to a terminal of 60 columns."""
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "60", **environment}
    done = subprocess.run([COMMAND, *arguments], env=environment, stdout=slave, stderr=slave, timeout=60, check=False)
    os.close(slave)
    said = os.read(master, 100_000).decode()
    os.close(master)
    assert done.returncode == 0, said
    return said.replace("\r\n", "\n")


@pytest.mark.usefixtures("archive")
@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_a_terminal_gets_colours_and_lines_of_its_width_unless_it_wants_none() -> None:
    coloured = on_a_terminal("find", "carolina")
    assert "\x1b[32mkept" in coloured
    plain = on_a_terminal("find", "carolina", NO_COLOR="1")
    assert plain.splitlines()[0] == "2025-03-09  kept          0:02  Duke vs. North Carolina – t…"
    assert "\x1b" not in plain


def test_a_day_may_be_an_option_as_it_is_for_other_commands(run: Run, archive: Archive) -> None:
    by_word, by_option = run("find", DAY), run("find", "--date", DAY)
    assert (by_word.exit_code, by_word.stdout) == (0, by_option.stdout)
    both = run("find", "duke", "--date", DAY)
    assert (both.exit_code, both.stdout) == (0, run("find", "duke", DAY).stdout)
    assert run("find", "--date", "2025-13-09").exit_code == 2
    assert "Missing argument 'WORDS...'" in run("find").stderr


def test_the_word_of_make_watch_is_no_dead_end(run: Run) -> None:
    wrong = run("watch")
    assert (wrong.exit_code, "catch-up" in wrong.stderr) == (2, False)
    assert "No such command 'watch'. Did you mean `ncaa-assets gallery --date newest`?" in wrong.stderr
