"""Output that breaks: what becomes of it does not decide what becomes of the work. Real processes and real pipes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from ncaa_assets import __version__
from ncaa_assets_tests.days import DAY
from ncaa_assets_tests.loopback.running_ui import COMMAND


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENCODE", "never")
    monkeypatch.setenv("VIDEO_COUNT", "1")


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A line of bash, in which `$NCAA` is the command; the exit code is that of the first command of a pipeline."""
    environment = {**os.environ, "NCAA": COMMAND, **environment}
    code = f"{line}\nexit ${{PIPESTATUS[0]}}"
    return subprocess.run(
        ["bash", "-c", code], env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize(
    "line",
    [
        f"$NCAA backup --date {DAY} | true",
        f"$NCAA backup --date {DAY} >&-",
        f"$NCAA backup --date {DAY} >&- 2>&- <&-",
        f"$NCAA backup --date {DAY} > /dev/full",
        f"$NCAA backup --date {DAY} 2> /dev/full",
        f"$NCAA backup --date {DAY} 2>&1 | true",
    ],
)
def test_a_backup_whose_output_goes_nowhere_is_done_and_says_so_by_its_exit_code(line: str) -> None:
    if "/dev/full" in line and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    done = shell(line)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    checked = shell("$NCAA verify")
    assert checked.returncode == 0, checked.stdout
    if "> /dev/full" in line and "2>" not in line:
        assert "its output cannot be written any more (No space left on device)" in done.stderr


@pytest.mark.parametrize("command", ["verify", "doctor"])
def test_a_command_that_only_tells_ends_when_nobody_listens(command: str) -> None:
    done = shell(f"$NCAA {command} | true")
    assert done.returncode in (1, 2)  # there is no archive to verify, or its finding was not heard
    assert "Traceback" not in done.stderr
    assert "unexpected" not in done.stderr
    assert len(done.stderr.splitlines()) <= 2


@pytest.mark.parametrize(
    "locale",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1:strict"},
    ],
)
def test_a_locale_without_our_characters_prints_others_in_their_place(locale: dict[str, Any]) -> None:
    done = shell(f"$NCAA backup --date {DAY}", **locale)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert "Logging error" not in done.stderr
    assert f"{DAY} (SAMPLE) backed up" in done.stdout
    Path("data-sample", "highlights.sqlite").unlink()
    found = shell("$NCAA verify", **locale)
    assert (found.returncode, "Traceback" in found.stderr) == (1, False), found.stderr


def test_the_file_that_is_opened_next_never_gets_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    code = (
        "import click, os\n"
        "from ncaa_assets.commands import ending\n"
        "def work():\n"
        "    descriptor = os.open('precious', os.O_RDWR | os.O_CREAT)\n"
        "    click.echo('a line of output'); click.echo('an error', err=True)\n"
        "    return 0\n"
        "ending.run(work, debug=False)\n"
    )
    for closed in (">&-", "2>&-", ">&- 2>&- <&-"):
        done = subprocess.run(
            ["bash", "-c", f'{sys.executable} -c "$CODE" {closed}'], env={**os.environ, "CODE": code}, check=False
        )
        assert done.returncode == 0
        assert (tmp_path / "precious").read_bytes() == b""


def test_json_is_all_of_stdout_and_people_read_stderr(run: Callable[..., Result]) -> None:
    def answered(*arguments: str, **environment: str) -> tuple[dict[str, Any], str]:
        done = run(*arguments, "--json", **environment)
        (line,) = done.stdout.splitlines()
        answer = json.loads(line)
        assert (answer["command"], answer["version"], answer["exit_code"]) == (
            arguments[0],
            __version__,
            done.exit_code,
        )
        return answer, done.stderr

    answer, said = answered("backup", "--date", DAY)
    (day,) = answer["days"]
    assert (day["day"], day["result"], day["copied"]) == (DAY, "backed_up", 1)
    assert (answer["sample"], answer["error"]) == (True, None)
    assert f"{DAY} (SAMPLE) backed up" in said
    answer, said = answered("backup", "--from", DAY, "--to", "2025-03-10", ENCODE="never")
    assert [day["result"] for day in answer["days"]] == ["backed_up", "backed_up"]
    assert "2 of 2 days backed up" in said

    answer, said = answered("verify")
    assert (answer["days"], answer["differences"], answer["findings"], answer["copies"]) == (2, 0, [], 2)
    next(Path("data-sample/videos", DAY).iterdir()).unlink()
    answer, said = answered("verify")
    (finding,) = answer["findings"]
    assert (finding["day"], finding["asset"], finding["severity"]) == (DAY, "videos", "error")
    assert finding["remedy"].startswith(f"run `ncaa-assets backup --date {DAY}`")
    assert answer["exit_code"] == 1
    assert "→ run `ncaa-assets backup" in said

    answer, said = answered("doctor")
    assert answer["works"] is True
    assert {"mark", "name", "text", "evidence"} == answer["lines"][0].keys()
    assert "would a backup work here and now?" in said
    answer, _ = answered("source", "--date", DAY)
    assert [one["module"] for one in answer["modules"]] == ["nba", "basketball"]
    assert answer["modules"][0]["listed"] > 5
    answer, _ = answered("catch-up", "--days", "1", START_DATE=DAY)
    assert [day["result"] for day in answer["days"]] == ["backed_up"]

    answer, said = answered("backup", "--date", "2020-01-01")
    assert answer["exit_code"] == 2
    assert answer["error"] in said
    assert answer["error"].startswith("2020-01-01 is before START_DATE")
