"""`ncaa-assets backup`: what it says and how it exits, whatever goes wrong. Processes are real where that matters."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.commands.main import main
from ncaa_assets.source.sample_api.records import DAY_OF_PAGES
from ncaa_assets.video import runtime
from ncaa_assets_tests.archives import lease_of
from ncaa_assets_tests.days import DAY, KEY
from ncaa_assets_tests.loopback.http_server import Handler, Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import API_PATH, record, serve_listing
from ncaa_assets_tests.loopback.running_ui import COMMAND

YEARS_AWAY = "2099-01-01"
HOME = {"DAGSTER_HOME": "home"}


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (["--date", "2025-02-30"], {}, "'2025-02-30' is not a date; write it as YYYY-MM-DD"),
        (["--date", "today"], {}, " is not over yet in America/New_York; the newest day to back up is "),
        (["--date", "tomorrow"], {}, " is not over yet in America/New_York"),
        (["2025-03-09"], {}, "(2025-03-09). Did you mean `ncaa-assets backup --date 2025-03-09`?"),
        (["2025-03-09", "yesterday"], {}, "Did you mean `ncaa-assets backup --from 2025-03-09 --to yesterday`?"),
        (["--date", "20250309"], {}, "'20250309' is not a date"),
        (["--date", YEARS_AWAY], {}, "is not over yet in America/New_York; the newest day to back up is"),
        ([], {"START_DATE": YEARS_AWAY}, "is before START_DATE"),
        (["--last", "3"], {"START_DATE": YEARS_AWAY}, "is before START_DATE"),
        (["--date", "2020-01-01"], {}, "set START_DATE=2020-01-01 or earlier"),
        (["--from", DAY], {}, "a range needs both --from and --to"),
        (["--from", "2025-03-10", "--to", DAY], {}, "swap them"),
        (["--date", DAY, "--last", "2"], {}, "name the days in one way"),
        (["--last", "0"], {}, "--last"),
        (["--nope"], {}, "No such option"),
        ([], {"VIDEO_COUNT": "many"}, "VIDEO_COUNT: must be a whole number from 1, or 'all'"),
        ([], {"TIMEZONE": "Mars/Olympus"}, "TIMEZONE: must be an IANA time zone"),
        ([], {"NCAA_DEPLOYMENT": "moon"}, "NCAA_DEPLOYMENT: must be 'local', 'aws' or 's3'"),
        ([], {"RETRY_COUNT": "-1"}, "RETRY_COUNT: "),
        ([], {"API_URL": "ftp://x/y", "RAPIDAPI_KEY": KEY}, "API_URL: must be an http or https address"),
        ([], {"API_URL": "http://x/y"}, "RAPIDAPI_KEY is unset"),
        ([], {"RAPIDAPI_KEY": "two words"}, "RAPIDAPI_KEY: must be plain ASCII without spaces"),
    ],
)
def test_wrong_usage_and_settings_exit_2_with_one_line_and_leave_nothing(
    run: Callable[..., Result], tmp_path: Path, arguments: list[str], environment: dict[str, str], says: str
) -> None:
    result = run("backup", *arguments, **environment)
    assert result.exit_code == 2
    assert says in result.stderr
    assert "Traceback" not in result.output
    assert "two words" not in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (Reply(b'{"message":"Invalid API key."}', status=401), "check RAPIDAPI_KEY"),
        (Reply(b'{"message":"You are not subscribed to this API."}', status=403), "subscribe the key"),
        (Reply(b"not here", status=404), "check API_URL"),
        (Reply(b'{"message":"property x should not exist"}', status=400), "property x should not exist"),
        (
            Reply(b'{"message":"You have exceeded the DAILY quota for Requests"}', status=429),
            "run the day again tomorrow",
        ),
        (Reply(b"boom", status=500), "the API is down (status 500)"),
        (Reply(b"<html>maintenance</html>", content_type="text/html"), "something that is not JSON (text/html"),
        (Reply(b"[1, 2]"), 'no list under "data"'),
        (Reply(b'{"data": {"a": 1}}'), 'no list under "data"'),
        (Reply(b'{"data": [1', length=500), "the connection to"),
    ],
)
def test_an_api_that_does_not_answer_as_it_should_fails_the_day_with_one_sentence_and_stores_nothing(
    run: Callable[..., Result], server: ScriptedServer, reply: Reply, says: str
) -> None:
    url = server.on(API_PATH, reply)
    result = run("backup", "--date", DAY, API_URL=url, RAPIDAPI_KEY=KEY)
    assert result.exit_code == 1
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("ncaa-assets: ")]
    assert line.startswith("ncaa-assets: highlights: ")
    assert says in line
    assert "Traceback" not in result.output
    assert KEY not in result.output
    assert not Path("data/highlights").exists()


def test_debug_shows_where_an_error_came_from(run: Callable[..., Result], server: ScriptedServer) -> None:
    url = server.on(API_PATH, Reply(status=403))
    result = run("backup", "--date", DAY, "--debug", API_URL=url, RAPIDAPI_KEY=KEY)
    assert "client.py" in result.stderr


@pytest.mark.parametrize("url", ["http://no-such-host.invalid/x", "http://127.0.0.1:9/x"])
def test_a_mistyped_or_stopped_host_takes_a_few_seconds_more_than_an_error_that_is_never_retried(
    run: Callable[..., Result], server: ScriptedServer, url: str
) -> None:
    """A person reads it within ten seconds of pressing Enter. The rest of a run takes as long as the machine needs."""

    def seconds(api_url: str) -> float:
        started = time.monotonic()
        result = run("backup", "--date", DAY, API_URL=api_url, RAPIDAPI_KEY=KEY, RETRY_DELAY="30", RETRY_COUNT="20")
        assert result.exit_code == 1
        assert ("cannot be reached" in result.stderr) == (api_url == url)
        return time.monotonic() - started

    assert seconds(url) - seconds(server.on(API_PATH, Reply(status=403))) < 8
    assert not Path("data/archive.json").exists(), "a mistyped address does not name the archive"


def test_a_day_that_another_holds_is_not_run_and_exits_1(run: Callable[..., Result], server: ScriptedServer) -> None:
    url = serve_listing(server, list)
    with lease_of(LocalStore(Path("data")), DAY, "0123456789"):
        result = run("backup", "--date", DAY, API_URL=url, RAPIDAPI_KEY=KEY)
    assert result.exit_code == 1
    assert "skipped: it is being backed up by run 01234567" in result.stdout
    assert server.asked == []


def test_a_range_goes_on_past_a_failed_day_and_exits_1(run: Callable[..., Result], server: ScriptedServer) -> None:
    bad = Reply(b'{"message":"no"}', status=400)
    good = Reply(b'{"data": [], "pagination": {"totalCount": 0}}')
    url = server.on(API_PATH, good, good, bad, good)
    result = run("backup", "--from", "2025-03-08", "--to", "2025-03-10", API_URL=url, RAPIDAPI_KEY=KEY)
    assert result.exit_code == 1
    look, *days = server.asked
    assert look.query["limit"] == "1", "one record asked for to see how many requests are left"
    assert [asked.query["date"] for asked in days] == ["2025-03-08", "2025-03-09", "2025-03-10"]
    assert "2 of 3 days backed up" in result.stdout
    assert "not backed up: 2025-03-09" in result.stderr


def test_the_last_days_end_with_yesterday_and_the_cron_line_asks_for_them_again(
    run: Callable[..., Result], server: ScriptedServer
) -> None:
    url = server.on(API_PATH, Reply(b'{"data": [], "pagination": {"totalCount": 0}}'))
    today = datetime.now(ZoneInfo("America/New_York")).date()
    result = run("backup", "--last", "2", API_URL=url, RAPIDAPI_KEY=KEY)
    assert result.exit_code == 0, result.output
    assert [asked.query["date"] for asked in server.asked[1:]] == [str(today - timedelta(days=back)) for back in (2, 1)]
    assert "ncaa-assets catch-up >> backup.log 2>&1" in result.stdout
    assert f"cd {Path.cwd()} &&" in result.stdout

    in_the_image = run("backup", "--last", "2", API_URL=url, RAPIDAPI_KEY=KEY, NCAA_ASSETS_IMAGE="1")
    assert "Files:  data/ (highlights, videos, processed_videos)" in in_the_image.stdout
    for useless in ("crontab", "ncaa-assets ui"):
        assert useless in result.stdout
        assert useless not in in_the_image.stdout


@pytest.mark.parametrize(
    ("left", "reserve", "failing", "days_asked"),
    [
        (9, 7, False, 1),  # asking takes one request, and one more is above the reserve
        (9, 5, False, 3),
        (3, 5, False, 0),
        (6, 3, True, 2),  # a day that fails spends its request too
    ],
)
def test_a_range_that_the_quota_will_not_do_for_is_told_so_before_it_starts_and_stops_at_the_reserve(
    run: Callable[..., Result], server: ScriptedServer, left: int, reserve: int, failing: bool, days_asked: int
) -> None:
    remaining = iter(range(left - 1, -1, -1))

    def answer(handler: Handler) -> None:
        headers = {"x-ratelimit-requests-limit": "100", "x-ratelimit-requests-remaining": str(next(remaining))}
        body = b"[]" if failing and len(server.asked) > 1 else b'{"data": [], "pagination": {"totalCount": 0}}'
        Reply(body, headers=headers).send(handler)

    url = server.on(API_PATH, answer)
    arguments = ("--from", "2025-03-01", "--to", "2025-03-08")
    result = run("backup", *arguments, API_URL=url, RAPIDAPI_KEY=KEY, QUOTA_RESERVE=str(reserve))
    assert result.exit_code == 1
    assert len(server.asked) == 1 + days_asked
    assert next(remaining) + 1 >= min(reserve, left - 1), "the reserve is not touched"
    told = result.stderr.index("8 days take at least 8 API requests, and")
    day = f"2025-03-0{1 + days_asked}"
    assert told < result.stderr.index(f"stopped before {day}: ")
    assert f"continue tomorrow with --from {day} --to 2025-03-08" in result.stderr


def test_a_range_stops_when_the_days_quota_is_spent(run: Callable[..., Result], server: ScriptedServer) -> None:
    good = Reply(b'{"data": [], "pagination": {"totalCount": 0}}')
    spent = Reply(b'{"message":"You have exceeded the DAILY quota"}', status=429)
    url = server.on(API_PATH, good, good, spent)
    result = run("backup", "--from", "2025-03-01", "--to", "2025-03-08", API_URL=url, RAPIDAPI_KEY=KEY)
    assert result.exit_code == 1
    assert len(server.asked) == 3
    assert "stopped before 2025-03-03" in result.stderr


def test_a_range_whose_quota_cannot_be_asked_says_so_and_tries_its_days(
    run: Callable[..., Result], server: ScriptedServer
) -> None:
    good = Reply(b'{"data": [], "pagination": {"totalCount": 0}}')
    url = server.on(API_PATH, Reply(status=404), good)
    result = run("backup", "--from", "2025-03-08", "--to", "2025-03-09", API_URL=url, RAPIDAPI_KEY=KEY)
    assert result.exit_code == 0, result.output
    assert "the API did not say how many requests are left" in result.stderr


def test_a_dotenv_file_overrides_the_environment_as_it_does_for_dagster(
    run: Callable[..., Result], server: ScriptedServer
) -> None:
    url = server.on(API_PATH, Reply(b'{"data": [], "pagination": {"totalCount": 0}}'))
    Path(".env").write_text(f"API_URL={url}\nRAPIDAPI_KEY={KEY}\nLEAGUE_NAME=NBA\n")
    result = run("backup", "--date", DAY, API_URL="http://127.0.0.1:9/x", LEAGUE_NAME="NCAA")
    assert result.exit_code == 0, result.output
    assert server.asked[0].query["leagueName"] == "NBA"


def test_a_data_dir_that_is_a_file_is_said(run: Callable[..., Result], server: ScriptedServer) -> None:
    Path("data").write_text("a file")
    result = run("backup", "--date", DAY, API_URL=server.on(API_PATH, Reply()), RAPIDAPI_KEY=KEY)
    assert result.exit_code == 1
    assert "is not a folder; set DATA_DIR to one" in result.stderr


def test_no_ffmpeg_fails_the_encode_and_keeps_everything_before_it(
    run: Callable[..., Result], server: ScriptedServer, clip: Path
) -> None:
    video = server.on("/1.mp4", Reply(clip.read_bytes()))
    url = serve_listing(server, lambda: [record(1, video)])
    result = run(
        "backup", "--date", DAY, API_URL=url, RAPIDAPI_KEY=KEY,
        VIDEO_ALLOW_PRIVATE_HOSTS="1", IMAGEIO_FFMPEG_EXE="/no/such/ffmpeg",
    )  # fmt: skip
    assert result.exit_code == 1
    assert "there is no ffmpeg: unset IMAGEIO_FFMPEG_EXE" in result.stderr
    assert "done and kept: highlights, backup_rows, videos" in result.stderr
    assert Path("data/videos", DAY, "1.mp4").exists()


def test_ctrl_c_in_a_terminal_prints_one_line_and_no_traceback(server: ScriptedServer) -> None:
    """A terminal sends it to every process of the group, children included."""
    url = server.on(API_PATH, lambda handler: time.sleep(60))
    environment = {**os.environ, **HOME, "API_URL": url, "RAPIDAPI_KEY": KEY}
    process = subprocess.Popen(
        [COMMAND, "backup", "--date", DAY],
        env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        _until(lambda: server.times(API_PATH) > 0, process)
        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in output + errors


def test_ctrl_c_while_the_program_is_still_loading_prints_nothing() -> None:
    loading = [sys.executable, "-X", "importtime", COMMAND, "doctor"]
    with subprocess.Popen(loading, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert any(line.split()[-1] == "click" for line in process.stderr), "which is the first of what it loads"
        process.send_signal(signal.SIGINT)
        printed = process.stdout.read(), [line for line in process.stderr if not line.startswith("import time:")]
    assert (process.returncode, *printed) == (-signal.SIGINT, "", [])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("where", ["fetch", "connect", "copy", "encode"])
def test_a_signal_ends_a_run_within_seconds_recorded_as_cancelled_with_nothing_half_written(
    server: ScriptedServer,
    clip: Path,
    tmp_path: Path,
    number: signal.Signals,
    where: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = clip.read_bytes()

    def stall(handler: Handler) -> None:
        if where == "copy":
            Reply(whole[:50_000], length=len(whole)).send(handler)
            handler.wfile.flush()
        time.sleep(60)

    slow_encoder = tmp_path / "ffmpeg"
    slow_encoder.write_text(f"#!/bin/sh\ntouch '{tmp_path}/encoding'\nexec sleep 60\n")
    slow_encoder.chmod(0o755)
    video = server.on("/1.mp4", stall if where == "copy" else Reply(whole))
    if where == "connect":  # the client speaks TLS to a plain server, so the handshake never ends
        silent = socket.create_server(("127.0.0.1", 0))
        video = f"https://127.0.0.1:{silent.getsockname()[1]}/1.mp4"
    url = serve_listing(server, lambda: [record(1, video)])
    if where == "fetch":
        server.on(API_PATH, stall)
    environment = {
        **os.environ, **HOME, "API_URL": url, "RAPIDAPI_KEY": KEY, "VIDEO_ALLOW_PRIVATE_HOSTS": "1",
        **({"IMAGEIO_FFMPEG_EXE": str(slow_encoder)} if where == "encode" else {}),
    }  # fmt: skip

    process = subprocess.Popen([COMMAND, "backup", "--date", DAY], env=environment, stderr=subprocess.PIPE, text=True)
    try:
        _until(lambda: _is_there(server, where, tmp_path), process)
        sent = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert time.monotonic() - sent < 20
    assert "ended before it was done" in errors
    assert "Traceback" not in errors

    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    with dg.DagsterInstance.get() as instance:
        (run,) = instance.get_runs()
    assert run.status == dg.DagsterRunStatus.CANCELED
    assert not list(Path("data/.leases").iterdir()), "the day is free at once"
    assert not list(Path("data/.tmp").iterdir())
    assert not list(Path("data").glob("processed_videos/*/*"))
    assert bool(list(Path("data").glob("videos/*/*"))) == (where == "encode")


def _is_there(server: ScriptedServer, where: str, tmp_path: Path) -> bool:
    if where == "encode":
        return (tmp_path / "encoding").exists()
    if where == "connect":
        return Path("data/highlights.sqlite").exists() and bool(list(Path("data/.leases").iterdir()))
    return server.times(API_PATH if where == "fetch" else "/1.mp4") > 0


def _until(there: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not there():
        assert process.poll() is None, "the command ended too early"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_port_that_is_taken_is_said_before_anything_starts(run: Callable[..., Result]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("ui", "--port", str(port))
    assert result.exit_code == 2
    assert f"port {port} cannot be used" in result.stderr
    assert run("ui", "--port", "99999").exit_code == 2


def test_help_names_every_command() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for name in ("backup", "ui"):
        assert name in result.output


def test_a_day_of_web_pages_says_once_that_it_is_one_and_in_a_line_what_can_be_done(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "find_spec", lambda name: None)  # without yt-dlp, as it is at first
    done = run("backup", "--date", str(DAY_OF_PAGES), VIDEO_COUNT="all")
    assert done.exit_code == 0, done.output
    assert done.output.count("all 8 clips of the day are web pages (127.0.0.1), not files: nothing was copied") == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("  what to do        ")]
    first, then = re.findall(r"`([^`]+)`", line)
    assert re.fullmatch(r"make (-C \S+ )?install EXTRAS=pages|\S+ -m pip install .*yt-dlp.*", first)
    assert "then write VIDEO_PAGES=yt-dlp into .env" in line
    assert then == f"ncaa-assets backup --date {DAY_OF_PAGES}"
    assert re.search(r"`rm -rf data-sample \S+-sample` frees the \d.* of made-up data", done.stdout)


def test_with_the_extra_the_videos_of_the_samples_pages_are_found(run: Callable[..., Result]) -> None:
    done = run("backup", "--date", str(DAY_OF_PAGES), VIDEO_PAGES="yt-dlp", VIDEO_COUNT="2", ENCODE="never")
    assert done.exit_code == 0, done.output
    assert "2 videos copied" in done.stdout
    assert len(list(Path("data-sample/videos", str(DAY_OF_PAGES)).glob("*.mp4"))) == 2
