"""`ncaa-assets catch-up`: what it finds to do in the store, what it leaves alone, and whom it alerts."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from click.testing import Result

from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.gallery.publish import publish
from ncaa_assets.ports import Copier, Page, Source, Transcoder
from ncaa_assets.record.calendar import now
from ncaa_assets.record.fetch import Fetch, Matches
from ncaa_assets.runs import execute
from ncaa_assets.runs.instance import open_instance
from ncaa_assets.runs.outcome import DayRun
from ncaa_assets_tests.archives import archive_in, lease_of
from ncaa_assets_tests.days import KEY, command
from ncaa_assets_tests.loopback.http_server import Handler, Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import API_PATH, record, serve_listing
from ncaa_assets_tests.loopback.running_ui import COMMAND

if TYPE_CHECKING:
    from ncaa_assets_tests.loopback.aws import Cloud

Run = Callable[..., Result]
Alerts = Callable[[], list[str]]
NONE_LISTED = Reply(b'{"data": [], "pagination": {"totalCount": 0}}')


def days(count: int) -> list[date]:
    """The last days that can be backed up, newest first."""
    newest = datetime.now(ZoneInfo("America/New_York")).date() - timedelta(days=1)
    return [newest - timedelta(days=back) for back in range(count)]


def asked(server: ScriptedServer) -> list[str]:
    """The days that the API was asked for, without the request that reads the quota."""
    return [
        request.query["date"] for request in server.asked if request.path == API_PATH and request.query["limit"] != "1"
    ]


@pytest.fixture
def alerts(capfd: pytest.CaptureFixture[str]) -> Alerts:
    """The alerts since the last call. Logs go to the real stderr, which click's test runner does not capture."""

    def read() -> list[str]:
        return [line.strip() for line in capfd.readouterr().err.splitlines() if line.strip().startswith("ALERT ")]

    return read


@pytest.fixture
def caught_up(run: Run, server: ScriptedServer) -> Run:
    """Calls `catch-up` against the scripted API, which lists nothing unless a test says otherwise."""
    url = server.on(API_PATH, NONE_LISTED)

    def invoke(*arguments: str, **environment: str) -> Result:
        return run("catch-up", *arguments, **{"API_URL": url, "RAPIDAPI_KEY": KEY, **environment})

    return invoke


def test_it_backs_up_what_is_missing_and_the_next_call_finds_nothing_to_do(
    caught_up: Run, server: ScriptedServer, alerts: Alerts
) -> None:
    first = caught_up()
    assert first.exit_code == 0, first.output
    assert sorted(asked(server)) == sorted(map(str, days(3)))
    assert "missing: it was never backed up" in first.stderr
    assert "3 done" in first.stdout
    server.asked.clear()

    second = caught_up()
    assert second.exit_code == 0
    assert f"nothing to do: {days(3)[-1]} to {days(3)[0]} are backed up" in second.stdout
    assert server.asked == [], "not even the quota is asked for"
    assert alerts() == []

    third = caught_up("--days", "4")
    assert third.exit_code == 0
    assert asked(server) == [str(days(4)[-1])]


def test_a_day_is_due_again_when_it_was_last_looked_at_more_than_twenty_hours_ago(
    caught_up: Run, server: ScriptedServer
) -> None:
    assert caught_up("--days", "2").exit_code == 0
    _make_older(days(2)[0], timedelta(hours=19))
    _make_older(days(2)[1], timedelta(hours=21))
    server.asked.clear()
    result = caught_up("--days", "2")
    assert result.exit_code == 0
    assert asked(server) == [str(days(2)[1])]
    assert f"{days(2)[1]} due: last looked at on " in result.stderr


def _make_older(day: date, by: timedelta) -> None:
    path = Path("data/highlights", f"{day}.json")
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    for fetch in document["backup"]["fetches"]:
        fetch["at"] = (datetime.now(UTC) - by).strftime("%Y-%m-%dT%H:%M:%SZ")
    path.write_text(json.dumps(document), "utf-8")
    publish(archive_in(LocalStore(Path("data"))), [str(day)])  # or its pages would lag behind what was edited


def test_a_day_that_fails_stops_no_other_and_the_command_itself_alerts_once(
    caught_up: Run, server: ScriptedServer, alerts: Alerts
) -> None:
    oldest_first = sorted(days(3))

    def answer(handler: Handler) -> None:
        bad = server.asked[-1].query["date"] == str(oldest_first[1]) and server.asked[-1].query["limit"] != "1"
        (Reply(status=404) if bad else NONE_LISTED).send(handler)

    server.on(API_PATH, answer)
    result = caught_up()
    assert result.exit_code == 1
    assert len(asked(server)) == 3
    (alert,) = alerts()
    assert alert.startswith(f"ALERT catch-up {oldest_first[1]}: {oldest_first[1]}: highlights: there is nothing at")
    with open_instance(Path(os.environ["DAGSTER_HOME"])) as instance:
        run_id = alert.rsplit("/runs/", 1)[1].rstrip(")")
        run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.tags["dagster/partition"] == str(oldest_first[1])
    assert run.tags["ncaa_assets/trigger"] == "catch-up"
    assert run.tags["ncaa_assets/alerted"] == run.run_id, "so that a sensor does not repeat it"
    assert run.tags["ncaa_assets/archive"].endswith("/data/")
    assert run.tags["dagster/code_location"] == "ncaa_assets", "it is in the UI like any other"

    server.on(API_PATH, NONE_LISTED)
    server.asked.clear()
    assert caught_up().exit_code == 0
    assert asked(server) == [str(oldest_first[1])], "only what failed is taken up"


def test_a_day_that_another_run_holds_is_left_to_it_and_is_no_failure(
    caught_up: Run, server: ScriptedServer, alerts: Alerts
) -> None:
    with lease_of(LocalStore(Path("data")), str(days(1)[0]), "0123456789"):
        result = caught_up("--days", "2")
    assert result.exit_code == 0, result.output
    assert f"{days(1)[0]} skipped: it is being backed up by run 01234567" in result.stdout
    assert asked(server) == [str(days(2)[1])]
    assert alerts() == []


def test_where_the_quota_ends_before_the_days_what_was_never_backed_up_comes_first(
    caught_up: Run, server: ScriptedServer, alerts: Alerts
) -> None:
    assert caught_up("--days", "2").exit_code == 0
    for day in days(2):
        _make_older(day, timedelta(hours=30))
    remaining = iter([7, 6, 5])  # the request that reads the quota, and two days: then QUOTA_RESERVE is reached

    def answer(handler: Handler) -> None:
        headers = {"x-ratelimit-requests-remaining": str(next(remaining))}
        Reply(NONE_LISTED.body, headers=headers).send(handler)

    server.on(API_PATH, answer)
    server.asked.clear()
    result = caught_up("--days", "4")
    assert result.exit_code == 1
    assert set(asked(server)) == set(map(str, days(4)[2:]))
    assert next(remaining, None) is None
    (alert,) = alerts()
    assert "stopped before " in alert
    assert "QUOTA_RESERVE keeps 5" in alert
    assert str(days(1)[0]) in alert


def test_what_keeps_it_from_even_looking_raises_an_alert_too(caught_up: Run, alerts: Alerts) -> None:
    assert caught_up("--days", "1").exit_code == 0
    result = caught_up(LEAGUE_NAME="NBA")
    assert result.exit_code == 2
    (alert,) = alerts()
    assert "this archive's league is 'NCAA'" in alert


def test_a_damaged_document_fails_its_day_and_is_left_as_it_is(
    caught_up: Run, server: ScriptedServer, alerts: Alerts
) -> None:
    assert caught_up("--days", "1").exit_code == 0
    path = Path("data/highlights", f"{days(1)[0]}.json")
    path.write_text("{")
    result = caught_up("--days", "1")
    assert result.exit_code == 1
    assert "is damaged" in alerts()[0]
    assert path.read_text() == "{"


def test_a_table_that_cannot_be_used_is_one_sentence_and_spends_no_requests_on_days_that_are_done(
    caught_up: Run, server: ScriptedServer, alerts: Alerts
) -> None:
    assert caught_up("--days", "2").exit_code == 0
    Path("data/highlights.sqlite").write_bytes(b"garbage" * 1000)
    server.asked.clear()
    result = caught_up("--days", "2")
    assert result.exit_code == 1
    assert result.stderr.count("highlights.sqlite is damaged, or is none of this program's") == 1
    assert "nothing to do" not in result.output
    assert server.asked == []
    (alert,) = alerts()
    assert "highlights.sqlite is damaged" in alert
    assert caught_up("--days", "3").exit_code == 1
    assert asked(server) == [str(days(3)[-1])]
    assert Path("data/videos", f"{days(3)[-1]}.json").exists(), "what needs no rows is backed up"


def test_a_day_that_another_run_did_meanwhile_is_not_done_again(caught_up: Run, server: ScriptedServer) -> None:
    by_hand: list[subprocess.CompletedProcess[str]] = []

    def answer(handler: Handler) -> None:
        """While the first day is fetched, a person backs up the second."""
        query = server.asked[-1].query
        if query["limit"] != "1" and not by_hand:
            by_hand.append(subprocess.CompletedProcess([], 1))
            other = next(str(day) for day in days(2) if str(day) != query["date"])
            by_hand[0] = command(
                "backup", "--date", other, API_URL=server.url(API_PATH), RAPIDAPI_KEY=KEY, DAGSTER_HOME="other-home"
            )
        NONE_LISTED.send(handler)

    server.on(API_PATH, answer)
    result = caught_up("--days", "2")
    assert by_hand[0].returncode == 0, by_hand[0].stderr
    assert result.exit_code == 0, result.output
    assert "done meanwhile by another run" in result.stdout
    assert sorted(asked(server)) == sorted(map(str, days(2))), "each once"


def test_a_day_that_another_run_did_between_the_look_at_it_and_its_run_is_not_done_again(
    caught_up: Run, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.on(API_PATH, NONE_LISTED)
    in_time = execute.execute_day

    def too_late(*arguments: Any, **named: Any) -> DayRun:
        """Another run takes the day, does it and gives it back, before the run begins that is to do it."""
        done = command(
            "backup", API_URL=server.url(API_PATH), RAPIDAPI_KEY=KEY, DAGSTER_HOME="other-home", RETRY_DELAY="0"
        )
        assert done.returncode == 0, done.stderr
        return in_time(*arguments, **named)

    monkeypatch.setattr(execute, "execute_day", too_late)
    result = caught_up("--days", "1")
    assert result.exit_code == 0, result.output
    assert "done meanwhile by another run" in result.stdout
    assert asked(server) == [str(days(1)[0])], "once"


def process(server: ScriptedServer, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [COMMAND, *arguments],
        env={
            **os.environ, "API_URL": server.url(API_PATH), "RAPIDAPI_KEY": KEY, "VIDEO_ALLOW_PRIVATE_HOSTS": "1",
            "RETRY_DELAY": "0", **environment,
        },
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.slow
def test_what_a_killed_run_left_is_taken_up_and_that_run_is_marked_as_failed(
    server: ScriptedServer, clip: Path, tmp_path: Path
) -> None:
    copying = threading.Event()
    video = clip.read_bytes()

    def stall(handler: Handler) -> None:
        Reply(video[:50_000], length=len(video)).send(handler)
        handler.wfile.flush()
        copying.set()
        time.sleep(60)

    serve_listing(
        server, lambda: [record(1, server.on("/1.mp4", stall) if not copying.is_set() else server.url("/1.mp4"))]
    )
    day = str(days(1)[0])
    killed = process(server, "backup", "--date", day)
    try:
        assert copying.wait(60), "the copy never began"
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.communicate(timeout=30)
    server.on("/1.mp4", Reply(video))

    again = process(server, "catch-up", "--days", "1")
    output, errors = again.communicate(timeout=100)
    assert again.returncode == 0, errors
    assert f"{day} backed up: 1 highlight (0 new), 1 video copied" in output
    (alert,) = [line for line in errors.splitlines() if "ALERT" in line]
    assert f"ALERT daily_backup {day}: this run was killed" in alert
    assert f"process {killed.pid} on " in alert
    assert Path("data/videos", day, "1.mp4").read_bytes() == video
    with open_instance(tmp_path / ".dagster") as instance:
        new, old = instance.get_runs()
    assert (new.status, old.status) == (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE)


@pytest.mark.slow
def test_two_at_once_do_each_day_once_and_both_succeed(server: ScriptedServer) -> None:
    server.on(API_PATH, NONE_LISTED)
    both = [process(server, "catch-up", "--days", "4") for _ in range(2)]
    outputs = [one.communicate(timeout=200) for one in both]
    assert [one.returncode for one in both] == [0, 0], outputs
    # A request may be repeated on a busy machine; a day that two runs did has two fetches.
    documents = [json.loads(Path(f"data/highlights/{day}.json").read_text("utf-8")) for day in days(4)]
    assert [len(document["backup"]["fetches"]) for document in documents] == [1, 1, 1, 1], outputs
    assert not any("ALERT" in errors for _, errors in outputs)


def test_on_aws_a_failed_day_reaches_the_topic(caught_up: Run, server: ScriptedServer, cloud: "Cloud") -> None:
    cloud.make_bucket("backup")
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    topic = sns.create_topic(Name="failures")["TopicArn"]
    queue = sqs.create_queue(QueueName="inbox")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    server.on(API_PATH, Reply(status=403))
    result = caught_up(
        "--days", "1", NCAA_DEPLOYMENT="aws", S3_BUCKET_NAME="backup", ALERT_TOPIC_ARN=topic,
        MEDIACONVERT_ROLE_ARN="arn:aws:iam::123456789012:role/r", UI_URL="https://dagster.example",
    )  # fmt: skip
    assert result.exit_code == 1, result.output
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    text = json.loads(message["Body"])["Message"]
    assert f"day:   {days(1)[0]}" in text
    assert "the API denied access" in text
    assert "look:  https://dagster.example/runs/" in text


class NothingListed(Source):
    """A source whose every day has no games."""

    trusted_origin = None

    def fetch_day(self, day: str, module: str, *, first: Page | None = None) -> Fetch:
        return Fetch(
            at=now(),
            records=[],
            query={"date": day},
            module=module,
            whole=True,
            complete=True,
            total_count=0,
            requests=1,
        )

    def first_page(self, day: str, module: str, *, size: int = 40) -> Page:
        raise NotImplementedError

    def matches(self, day: str, module: str) -> Matches:
        raise NotImplementedError


class NothingToDo(Copier, Transcoder):
    """A copier and an encoder for days without videos."""

    searched_pages = frozenset[str]()

    def copy(self, *_: Any, **__: Any) -> Generator[Any, None, None]:
        yield from ()

    def settings_hash(self) -> str:
        return "none"

    def encode(self, requests: Sequence[Any], **_: Any) -> Generator[Any, None, None]:
        yield from requests


def test_a_finished_archive_on_aws_is_looked_at_by_one_client_a_service_and_few_requests(
    cloud: "Cloud", monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    """It made 30 DynamoDB clients, 30 DescribeTable calls and 122 requests."""
    import boto3

    from ncaa_assets.archive.archive import Archive
    from ncaa_assets.day.whole import Services, back_up
    from ncaa_assets.settings import Settings

    aws = {
        "NCAA_DEPLOYMENT": "aws", "S3_BUCKET_NAME": "backup", "RAPIDAPI_KEY": KEY, "API_URL": "http://api.example/x",
        "MEDIACONVERT_ROLE_ARN": "arn:aws:iam::123456789012:role/encoders",
    }  # fmt: skip
    cloud.make_bucket("backup")
    cloud.make_table("SportsHighlights")
    archive = Archive.open(Settings.from_environment(aws))
    for day in days(30):
        with archive.lease(str(day), owner="a run") as held:
            back_up(held, Services(NothingListed(), NothingToDo(), NothingToDo()))
    made: list[str] = []
    client: Any = boto3.client

    def counted(name: str, **options: Any) -> Any:
        made.append(name)
        return client(name, **options)

    monkeypatch.setattr(boto3, "client", counted)
    cloud.calls.clear()
    result = run("catch-up", "--days", "30", **aws)
    assert result.exit_code == 0, result.stderr
    assert "nothing to do" in result.stdout
    assert sorted(made) == ["dynamodb", "s3"]
    assert cloud.times("DescribeTable") <= 1
    assert len(cloud.calls) < 130, "four a day, for its documents and the journal of its pages"
