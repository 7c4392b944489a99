"""Several days in one call: how it continues where it stopped, what a person sees, and how little memory it takes."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from ncaa_assets_tests.days import KEY
from ncaa_assets_tests.loopback.http_server import Handler, Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import API_PATH, record, serve_api, serve_listing
from ncaa_assets_tests.loopback.running_ui import COMMAND

Run = Callable[..., Result]
NONE_LISTED = Reply(b'{"data": [], "pagination": {"totalCount": 0}}')
RANGE = ("backup", "--from", "2025-03-07", "--to", "2025-03-09")
FIRST, SECOND, THIRD = "2025-03-07", "2025-03-08", "2025-03-09"


def asked(server: ScriptedServer) -> list[str]:
    """The days that the API was asked for since the last call, without the request that reads the quota."""
    found = [one.query["date"] for one in server.asked if one.path == API_PATH and one.query["limit"] != "1"]
    server.asked.clear()
    return found


@pytest.fixture
def on_range(run: Run, server: ScriptedServer) -> Run:
    url = server.on(API_PATH, NONE_LISTED)
    return lambda *more, **environment: run(*RANGE, *more, **{"API_URL": url, "RAPIDAPI_KEY": KEY, **environment})


def failing(server: ScriptedServer, day: str) -> Callable[[Handler], None]:
    def answer(handler: Handler) -> None:
        query = server.asked[-1].query
        (Reply(status=404) if query["date"] == day and query["limit"] != "1" else NONE_LISTED).send(handler)

    return answer


def test_a_range_that_left_a_day_undone_takes_up_that_day_and_a_range_that_is_done_starts_anew(
    on_range: Run, server: ScriptedServer
) -> None:
    server.on(API_PATH, failing(server, SECOND))
    assert on_range().exit_code == 1
    assert asked(server) == [FIRST, SECOND, THIRD]

    server.on(API_PATH, NONE_LISTED)
    again = on_range()
    assert again.exit_code == 0, again.output
    assert asked(server) == [SECOND]
    assert "continuing this range: 2 of 3 days are done already" in again.stderr
    assert "3 of 3 days backed up" in again.stdout
    assert len(re.findall("done before", again.stdout)) == 2

    assert on_range().exit_code == 0
    assert asked(server) == [FIRST, SECOND, THIRD], "a day is fetched again and merged"


def test_a_move_to_another_module_asks_every_day_of_a_range_that_was_left(run: Run, server: ScriptedServer) -> None:
    api = serve_api(server)
    api.highlights["basketball"] = lambda day: Reply(status=404) if day == SECOND else [record(1, None)]
    environment = {"API_BASE": api.base_url, "RAPIDAPI_KEY": KEY, "MATCHES": "0", "API_MODULE": ""}
    assert run(*RANGE, **{**environment, "API_MODULE": "basketball"}).exit_code == 1
    assert run("source", "--use", "nba", "--date", FIRST, **environment).exit_code == 0
    server.asked.clear()
    done = run(*RANGE, **environment)
    assert done.exit_code == 0, done.output
    assert [query["date"] for query in api.asked("nba") if query["limit"] != "1"] == [FIRST, SECOND, THIRD]
    assert "are done already" not in done.stderr


def test_force_does_every_day_also_where_a_range_was_left(on_range: Run, server: ScriptedServer) -> None:
    server.on(API_PATH, failing(server, SECOND))
    assert on_range().exit_code == 1
    asked(server)
    assert on_range("--force").exit_code == 1
    assert asked(server) == [FIRST, SECOND, THIRD]


def test_what_was_done_before_the_range_began_is_done_again(on_range: Run, run: Run, server: ScriptedServer) -> None:
    environment = {"API_URL": server.url(API_PATH), "RAPIDAPI_KEY": KEY}
    assert run("backup", "--date", FIRST, **environment).exit_code == 0
    # Stored times are in whole seconds: without this, the day would be as new as the range.
    path = Path("data/highlights", f"{FIRST}.json")
    path.write_text(re.sub(r'"at": "[^"]*"', '"at": "2025-03-08T10:00:00Z"', path.read_text("utf-8")), "utf-8")
    server.on(API_PATH, failing(server, THIRD))
    assert on_range().exit_code == 1
    assert asked(server)[1:] == [FIRST, SECOND, THIRD]


MARKS = {
    "damaged": "{", "old": '{"at": "2025-03-01T00:00:00Z"}', "to come": '{"at": "2099-03-01T00:00:00Z"}',
    "old, without a zone": '{"at": "2025-03-01T00:00:00"}', "no time": '{"at": []}', "a list": "[]",
}  # fmt: skip


@pytest.mark.parametrize("mark", MARKS.values(), ids=MARKS)
def test_a_mark_that_is_damaged_or_old_or_of_a_wrong_clock_starts_the_range_anew(
    on_range: Run, server: ScriptedServer, mark: str
) -> None:
    server.on(API_PATH, failing(server, SECOND))
    assert on_range().exit_code == 1
    asked(server)
    (left,) = Path("data/.ranges").iterdir()
    left.write_text(mark)
    on_range()
    assert asked(server) == [FIRST, SECOND, THIRD]
    assert left.read_text() != mark


def test_a_table_ends_a_range_with_a_line_a_day_and_the_sums(on_range: Run, server: ScriptedServer, clip: Path) -> None:
    video = server.on("/1.mp4", Reply(clip.read_bytes()))
    page = server.on("/page", Reply(b"<!doctype html><title>watch</title>"))
    serve_listing(server, lambda: [record(1, page), record(2, video)])
    listing = server._scripts[API_PATH][0]
    assert callable(listing)

    def answer(handler: Handler) -> None:
        query = server.asked[-1].query
        Reply(status=404).send(handler) if query["date"] == THIRD and query["limit"] != "1" else listing(handler)

    server.on(API_PATH, answer)
    result = on_range(VIDEO_ALLOW_PRIVATE_HOSTS="1")
    assert result.exit_code == 1
    table = [line.split() for line in result.stdout.splitlines() if re.match(r" (day|2025-[0-9-]+|3 days) ", line)]
    head, first, second, third, sums = table
    assert head == ["day", "highlights", "new", "copied", "skipped", "encoded", "time", "result"]
    assert [first[:6], second[:6]] == [[FIRST, "2", "2", "1", "1", "1"], [SECOND, "2", "2", "1", "1", "1"]]
    assert first[-2:] == second[-2:] == ["backed", "up"]
    assert third[0] == THIRD
    assert third[-1] == "FAILED"
    assert sums[:7] == ["3", "days", "4", "4", "2", "2", "2"]
    assert sums[-2:] == ["2", "done"]
    assert f"{FIRST} backed up: 2 highlights (2 new), 1 video copied, 1 skipped, 1 encoded, " in result.stdout
    assert f"{THIRD} FAILED: highlights: there is nothing at" in result.stderr


def environment_of(server: ScriptedServer) -> dict[str, str]:
    return {**os.environ, "API_URL": server.url(API_PATH), "RAPIDAPI_KEY": KEY, "RETRY_DELAY": "0"}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_or_killed_range_goes_on_where_it_stopped(
    server: ScriptedServer, on_range: Run, number: signal.Signals
) -> None:
    on_second = threading.Event()
    ended = threading.Event()

    def answer(handler: Handler) -> None:
        query = server.asked[-1].query
        if query["date"] == SECOND and not ended.is_set():
            on_second.set()
            ended.wait(60)
        NONE_LISTED.send(handler)

    server.on(API_PATH, answer)
    process = subprocess.Popen(
        [COMMAND, *RANGE], env=environment_of(server), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert on_second.wait(60), "the second day never began"
    finally:
        process.send_signal(number)
        output, errors = process.communicate(timeout=30)
        ended.set()
    assert process.returncode == (130 if number != signal.SIGKILL else -signal.SIGKILL)
    if number != signal.SIGKILL:
        assert "the same command continues where this one stopped" in errors
        assert re.search(rf"^ {FIRST} .* backed up", output, re.MULTILINE), "what was done is in the table"
        assert re.search(rf"^ {SECOND} .* ended", output, re.MULTILINE), "and the day that was interrupted"
        assert "Traceback" not in errors
    asked(server)
    again = on_range()
    assert again.exit_code == 0, again.output
    assert asked(server) == [SECOND, THIRD]


def in_a_terminal(arguments: list[str], environment: dict[str, str], *, columns: int = 120) -> tuple[int, str]:
    """Runs a command in a real pseudo-terminal. Returns its exit code and all that it showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        arguments,
        env={**environment, "TERM": "xterm", "COLUMNS": str(columns)},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # on Linux: the other side is closed
        pass
    finally:
        os.close(ours)
    return process.wait(60), shown.decode()


@pytest.mark.slow
def test_on_a_terminal_a_bar_counts_the_days_and_lines_stand_above_it(server: ScriptedServer) -> None:
    server.on(API_PATH, failing(server, SECOND))
    code, shown = in_a_terminal([COMMAND, *RANGE], environment_of(server))
    assert code == 1
    bars = re.findall(r"━.*?(\d)/3", shown)
    assert {"0", "1", "2"} <= set(bars), shown
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r", "\n")
    assert re.search(rf"^{FIRST} backed up: ", plain, re.MULTILINE)
    assert re.search(rf"^{SECOND} FAILED: highlights: there is nothing at", plain, re.MULTILINE)
    assert "ncaa_assets_day" not in plain, "a line for machines is no line for a terminal"
    assert plain.rindex("3 days") > plain.rindex(f"{THIRD} backed up: "), "the table comes last"


_TABLE = """
from datetime import date, timedelta
from ncaa_assets.commands.days import DayResult
from ncaa_assets.commands.terminal import print_table
from ncaa_assets.runs.results import Result
first, numbers = date(2025, 3, 9), {"highlights": 144, "new": 120, "copied": 1, "skipped": 2, "encoded": 1}
print_table([DayResult(first + timedelta(step), result, seconds=3725, **numbers) for step, result in enumerate(Result)])
"""


def test_eighty_columns_hold_the_whole_table() -> None:
    code, shown = in_a_terminal([sys.executable, "-c", _TABLE], {**os.environ, "NO_COLOR": "1"}, columns=80)
    plain = re.sub(r"\x1b\[[0-9;]*m|\r", "", shown)
    assert code == 0, plain
    assert max(map(len, plain.splitlines())) <= 80
    assert "…" not in plain
    assert "highlights  new  copied  skipped  encoded" in plain
    assert re.search(r"^ 2025-03-09 .* 1 h 02 min  backed up *$", plain, re.MULTILINE)


@pytest.mark.slow
def test_at_a_terminal_a_pipe_has_no_lines_for_machines_and_a_file_has(server: ScriptedServer) -> None:
    server.on(API_PATH, NONE_LISTED)
    environment, once = environment_of(server), [COMMAND, "backup", "--date", FIRST]
    code, piped = in_a_terminal(["bash", "-c", 'set -o pipefail; "$@" 2>&1 | cat', "bash", *once], environment)
    assert (code, "ncaa_assets_day" in piped, "\x1b" in piped) == (0, False, False), piped
    code, _ = in_a_terminal(["bash", "-c", '"$@" 2> log', "bash", *once], environment)
    assert (code, Path("log").read_text("utf-8").count("ncaa_assets_day")) == (0, 1), "a file is a log, and counted"


def test_colours_are_as_the_environment_says() -> None:
    green, words = (
        "\x1b[32m",
        [sys.executable, "-c", "from ncaa_assets.commands.say import say; say('x', colour='green')"],
    )
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    for given, is_coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)):
        code, shown = in_a_terminal(words, {**environment, **given})
        assert (code, green in shown) == (0, is_coloured), given
    code, shown = in_a_terminal(["env", "TERM=dumb", *words], environment)
    assert (code, green in shown) == (0, False)
    for given, is_coloured in (
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ):
        piped = subprocess.run(words, env={**environment, **given}, capture_output=True, text=True, check=True)
        assert (green in piped.stdout) == is_coloured, given


@pytest.mark.slow
def test_elsewhere_there_are_plain_lines_and_one_for_machines_a_day(server: ScriptedServer) -> None:
    server.on(API_PATH, NONE_LISTED)
    done = subprocess.run(
        [COMMAND, *RANGE], env=environment_of(server), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert "━" not in done.stderr
    lines = [line for line in done.stdout.splitlines()[:10] if "season_has_games" not in line]
    assert max(map(len, lines)) <= 120
    events = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert [(event["event"], event["day"], event["result"]) for event in events] == [
        ("ncaa_assets_day", day, "backed_up") for day in (FIRST, SECOND, THIRD)
    ]


_MANY_DAYS = """
import gc, json, sys
from datetime import date, timedelta
from pathlib import Path
from ncaa_assets.archive.archive import Archive
from ncaa_assets.commands.days import DayByDay
from ncaa_assets.runs.instance import Recorder
from ncaa_assets.settings import Settings

settings, sizes = Settings.from_environment(), []
with Recorder(settings.dagster_home(), say=print) as recorder:
    days = [date(2025, 1, 1) + timedelta(days=number) for number in range(18)]
    for result in DayByDay(recorder, Archive.open(settings), trigger="a test").back_up(days):
        assert result.is_done, result
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        sizes.append((len(gc.get_objects()), pages * 4096 / 1e6))
print(json.dumps(sizes))
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="a process's size is read from /proc, as on Linux")
def test_memory_does_not_grow_with_the_days(server: ScriptedServer) -> None:
    serve_listing(server, lambda: [record(number, None) for number in range(40)])
    done = subprocess.run(
        [sys.executable, "-c", _MANY_DAYS], env=environment_of(server), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    sizes = json.loads(done.stdout)
    # By the eighth day, all imports and caches are in place. Dagster's migrations leave some thirty small objects a
    # run; a day's definitions or records would be thousands.
    objects = (sizes[17][0] - sizes[7][0]) / 10
    assert objects < 100, sizes
    megabytes = sum(size for _, size in sizes[13:18]) / 5 - sum(size for _, size in sizes[8:13]) / 5
    assert megabytes < 5, sizes
