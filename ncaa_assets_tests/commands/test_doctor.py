"""`ncaa-assets doctor`: what it says where a backup would work, and about each thing that would stop one."""

import json
import re
import shutil
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from click.testing import Result
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, ScheduleInstigatorData
from dagster._daemon.types import DaemonHeartbeat

from ncaa_assets import child
from ncaa_assets.archive import documents
from ncaa_assets.archive.identity import Identity
from ncaa_assets.backends.aws.probe import topic
from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.backends.local.table import SqliteTable
from ncaa_assets.checkup import Line, Mark
from ncaa_assets.commands.doctor import _clips, examine, lines
from ncaa_assets.definitions import build_defs
from ncaa_assets.record.fetch import Fetch
from ncaa_assets.record.merge import merge_fetch
from ncaa_assets.record.models import HighlightsDay
from ncaa_assets.runs.execute import job_origin
from ncaa_assets.runs.instance import open_instance
from ncaa_assets.runs.names import JOB_NAME
from ncaa_assets.settings import Settings
from ncaa_assets_tests.archive.test_month import Days
from ncaa_assets_tests.archives import archive_in, fetch_and_write_rows, lease_of
from ncaa_assets_tests.days import KEY, command, run_day, settings_for
from ncaa_assets_tests.loopback.aws import Cloud, error
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import API_PATH, serve_api, us_record
from ncaa_assets_tests.loopback.listing import record as listed_record
from ncaa_assets_tests.loopback.sample_page import QUOTA, page_of, record, serve

YESTERDAY = (datetime.now(ZoneInfo("America/New_York")).date() - timedelta(days=1)).isoformat()
ROLE = "arn:aws:iam::123456789012:role/encoder"


class Said(NamedTuple):
    code: int
    text: str

    def line(self, name: str, mark: str = "") -> str:
        """The line with this mark about a thing."""
        (line,) = [line for line in self.text.splitlines() if line.startswith(f"  {mark:<5} {name} ")]
        return line

    @property
    def marks(self) -> dict[str, str]:
        """The worst mark of each thing."""
        order = ["ok", "warn", "fail"]
        marks: dict[str, str] = {}
        for line in self.text.splitlines():
            mark, _, rest = line.strip().partition(" ")
            if mark in order:
                name = rest.split()[0]
                marks[name] = max(marks.get(name, "ok"), mark, key=order.index)
        return marks


Doctor = Callable[..., Said]


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Runs the command's body in this process, with the environment that a test gives."""
    monkeypatch.setenv("DAGSTER_HOME", "")

    def say(**environment: str) -> Said:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        code = examine()
        return Said(code, "".join(capsys.readouterr()))

    return say


def real(server: ScriptedServer, body: Any = None, *, headers: dict[str, str] | None = None) -> dict[str, str]:
    """An environment with a real key, whose API answers with this body."""
    body = page_of([record(number) for number in range(3)]) if body is None else body
    return {"API_URL": serve(server, body, headers=headers), "RAPIDAPI_KEY": KEY}


def test_a_new_machine_without_a_key_would_work_and_nothing_is_created_by_asking(tmp_path: Path) -> None:
    done = command("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    said = Said(0, done.stdout)
    assert said.marks == {
        "python": "ok", "settings": "ok", "key": "warn", "archive": "ok", "disk": "ok", "ffmpeg": "ok",
        "instance": "ok", "yesterday": "warn", "month": "ok", "api": "ok",
    }  # fmt: skip
    assert "put your key into .env" in said.line("key", "warn")
    assert "the first backup makes it" in said.line("archive", "ok")
    assert f"{YESTERDAY} is not backed up yet; run `ncaa-assets backup`" in said.line("yesterday", "warn")
    assert "Yes. 2 things to know about" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_where_the_kernel_ends_no_program_with_its_run_the_line_about_ffmpeg_says_so(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = "it goes on to the end of its file where a `kill -9` ends the run"
    monkeypatch.setattr(child, "ENDS_WITH_US", True)
    assert note not in doctor().line("ffmpeg", "ok")
    monkeypatch.setattr(child, "ENDS_WITH_US", False)
    assert note in doctor().line("ffmpeg", "ok")


def test_a_real_key_is_tried_with_one_request_and_shows_nowhere(doctor: Doctor, server: ScriptedServer) -> None:
    said = doctor(**real(server))
    assert said.code == 0
    assert "takes the key and answers in" in said.line("api", "ok")
    assert "BASIC" in said.line("plan", "ok")
    assert "77 of 100 API requests are left today" in said.line("quota", "ok")
    assert "has the expected shape" in said.line("answer", "ok")
    assert "3 listed; of the first 3, 3 lead to video files" in said.line("answer", "ok")
    (asked,) = server.asked
    assert asked.headers["x-rapidapi-key"] == KEY
    assert asked.query == {
        "date": "2025-03-09", "timezone": "America/New_York", "leagueName": "NCAA", "limit": "40", "offset": "0",
    }  # fmt: skip
    assert KEY not in said.text


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (Reply(b'{"message":"Invalid API key."}', status=401), "check RAPIDAPI_KEY"),
        (Reply(b'{"message":"You are not subscribed to this API."}', status=403), "subscribe the key"),
        (Reply(b'{"message":"You have exceeded the DAILY quota for Requests"}', status=429), "used up"),
        (Reply(b'{"message":"Too many requests"}', status=429), "too many requests at once"),
        (Reply(b"boom", status=500), "the API is down (status 500)"),
        (Reply(b"<html>maintenance</html>", content_type="text/html"), "something that is not JSON"),
        (Reply(b'{"results": []}'), 'no list under "data"'),
        (Reply(b'{"message":"property leagueName should not exist"}', status=400), "property leagueName"),
    ],
)
def test_an_api_that_refuses_would_stop_a_backup_and_is_asked_once_all_the_same(
    doctor: Doctor, server: ScriptedServer, reply: Reply, says: str
) -> None:
    said = doctor(API_URL=server.on(API_PATH, reply), RAPIDAPI_KEY=KEY)
    assert said.code == 1
    assert says in said.line("api", "fail")
    assert "No: 1 thing would stop it" in said.text
    assert len(server.asked) == 1


def test_an_api_that_cannot_be_reached_would_stop_a_backup(doctor: Doctor) -> None:
    said = doctor(API_URL="http://127.0.0.1:9/x", RAPIDAPI_KEY=KEY)
    assert said.code == 1
    assert "cannot be reached" in said.line("api", "fail")


@pytest.mark.parametrize(
    ("left", "mark", "says"),
    [("0", "fail", "run the backup tomorrow"), ("5", "warn", "QUOTA_RESERVE keeps 5"), ("6", "ok", "6 of 100")],
)
def test_the_quota_that_is_left_is_told_and_what_it_means(
    doctor: Doctor, server: ScriptedServer, left: str, mark: str, says: str
) -> None:
    said = doctor(**real(server, headers={**QUOTA, "x-ratelimit-requests-remaining": left}))
    assert says in said.line("quota", mark)
    assert said.code == (mark == "fail")


def test_an_answer_of_another_shape_is_a_warning_for_each_difference(doctor: Doctor, server: ScriptedServer) -> None:
    body = page_of([{**record(1), "title": None, "clipLength": 60}])
    del body["pagination"]
    body["plan"]["message"] = "Only the last 30 days are available with the current plan."
    said = doctor(**real(server, body))
    assert said.code == 0
    assert "it limits the answer (Only the last 30 days" in said.line("plan", "warn")
    for text in ("there is no `pagination`", "`title` of 1 of 1 records is not text", "please report it"):
        assert text in said.text
    assert "new fields, which are kept: clipLength" in said.line("answer", "ok")


def test_a_league_without_highlights_is_a_warning(doctor: Doctor, server: ScriptedServer) -> None:
    said = doctor(**real(server, page_of([])), LEAGUE_NAME="NCCA")
    assert "check LEAGUE_NAME (NCCA)" in said.line("answer", "warn")


@pytest.mark.parametrize(
    ("environment", "name", "says"),
    [
        ({"VIDEO_COUNT": "many"}, "settings", "VIDEO_COUNT: must be a whole number"),
        ({"NCAA_DEPLOYMENT": "aws"}, "settings", "S3_BUCKET_NAME is unset"),
        ({"IMAGEIO_FFMPEG_EXE": "/no/such/ffmpeg"}, "ffmpeg", "there is no ffmpeg: unset IMAGEIO_FFMPEG_EXE, or set"),
        ({"IMAGEIO_FFMPEG_EXE": "/bin/true"}, "ffmpeg", "cannot encode with libx264 and aac"),
        ({"DATA_DIR": "a-file/data"}, "archive", "set DATA_DIR"),
    ],
)
def test_what_would_stop_a_backup_here_fails_with_what_to_do(
    doctor: Doctor, environment: dict[str, str], name: str, says: str
) -> None:
    Path("a-file").write_text("not a folder")
    said = doctor(**environment)
    assert said.code == 1
    assert says in said.line(name, "fail")
    if name != "settings":
        assert "yesterday" in said.marks, "one problem does not hide the rest"


def test_an_archive_of_another_league_would_stop_a_backup(doctor: Doctor) -> None:
    other = Identity(source="sample", module=None, league="NBA", timezone="America/New_York")
    other.claim(LocalStore(Path("data-sample")), "nba")
    said = doctor()
    assert said.code == 1
    assert "this archive's league is 'NBA'" in said.line("archive", "fail")


def test_a_table_that_cannot_be_used_is_said(doctor: Doctor) -> None:
    Identity(source="sample", module=None, league="NCAA", timezone="America/New_York").claim(
        LocalStore(Path("data-sample")), "nba"
    )
    Path("data-sample/highlights.sqlite").write_bytes(b"garbage" * 1000)
    said = doctor()
    assert said.code == 1
    assert "highlights.sqlite is damaged, or is none of this program's" in said.line("archive", "fail")


def test_a_disk_without_room_would_stop_a_backup_and_one_with_little_is_a_warning(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = doctor(VIDEO_MAX_BYTES=str(10**18))
    assert "less than the largest video that would be copied" in said.line("disk", "warn")
    assert said.code == 0
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 10**6, 10**6))
    said = doctor()
    assert "1.0 MB free" in said.line("disk", "fail")
    assert said.code == 1


def test_limit_is_pointed_out(doctor: Doctor) -> None:
    assert "only that many highlights a day are kept" in doctor(LIMIT="10").line("settings", "warn")


def test_a_setting_that_is_misspelt_in_the_file_is_pointed_out(doctor: Doctor, run: Callable[..., Result]) -> None:
    Path(".env").write_text("VIDEO_CONT=3\nMY_OWN=1\nvideo_pages=\n", "utf-8")
    said = ".env sets VIDEO_CONT, which is no setting; did you mean VIDEO_COUNT?"
    assert said in doctor().text
    assert ".env sets video_pages, which is no setting; did you mean VIDEO_PAGES?" in doctor().text
    assert doctor().text.count("is no setting") == 2
    assert run("backup", "--date", "2025-03-09", ENCODE="never").stderr.count(said) == 1


def test_what_copies_the_videos_of_pages_is_named_where_it_is_asked_for(doctor: Doctor) -> None:
    assert "videos of web pages by yt-dlp 2" in doctor(VIDEO_PAGES="yt-dlp").line("pages", "ok")
    assert "pages" not in doctor(VIDEO_PAGES="").marks


def test_the_runtime_of_pages_is_named_or_missed(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "runtime" not in doctor().marks
    said = doctor(VIDEO_PAGES="yt-dlp")
    assert re.search(r"deno \d+\.\d+\.\d+ at /", said.line("runtime", "ok"))
    monkeypatch.setattr("ncaa_assets.commands.doctor.find_runtime", lambda: None)
    assert " install EXTRAS=pages`, which installs deno" in doctor().line("runtime", "warn")
    monkeypatch.setattr("ncaa_assets.commands.doctor.find_runtime", lambda: "/bin/false")
    said = doctor()
    assert "/bin/false does not run (it ended with status 1)" in said.line("runtime", "warn")
    assert said.code == 0


def test_the_clips_of_the_last_days_are_counted_as_files_and_pages(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "archive")

    def listed(days_ago: int, *urls: str) -> None:
        day = archive_in(store).settings.today() - timedelta(days=days_ago)
        records = [listed_record(number, url) for number, url in enumerate(urls)]
        answer = Fetch(
            at="2025-03-12T09:00:00Z", module="basketball", records=records, query={"date": str(day)}, complete=True,
            whole=True, total_count=len(urls), requests=1,
        )  # fmt: skip
        fetch_and_write_rows(store, SqliteTable(tmp_path / "rows"), str(day), answer)

    def told(**settings: Any) -> list[tuple[Mark, str]]:
        return [(line.mark, line.text) for line in _clips(archive_in(store, **settings))]

    listed(9, "https://example.com/old.mp4")
    assert told() == []
    listed(2, "https://www.youtube.com/watch?v=1", "https://example.com/watch")
    listed(4, "https://www.youtube.com/watch?v=2.mp4")
    pages = "of 3 clips in the last 7 days, 0 lead to video files and 3 to web pages"
    ((mark, text),) = told()
    assert mark is Mark.WARN
    assert text.startswith(f"{pages}, which are listed and not copied; to copy the videos of such pages, write VIDEO")
    assert told(video_pages="yt-dlp") == [(Mark.OK, pages)]
    listed(3, "https://example.com/clip.mp4")
    assert told() == [(Mark.OK, "of 4 clips in the last 7 days, 1 lead to video files and 3 to web pages")]
    store.write(f"highlights/{archive_in(store).settings.today() - timedelta(days=3)}.json", b"{")
    assert told(video_pages="yt-dlp") == [(Mark.OK, pages)]


def test_an_instance_that_cannot_be_opened_is_told_with_how_to_mend_it(doctor: Doctor) -> None:
    home = Path(".dagster-sample")
    (home / "history").mkdir(parents=True)
    (home / "dagster.yaml").write_text("no_such_setting: true\n")
    said = doctor()
    assert said.code == 0
    line = said.line("instance", "warn")
    assert "a backup works, but is not recorded in the UI, and the UI does not start" in line
    assert "no_such_setting" in line
    assert "correct it, or delete the file: the next run makes a new one" in line

    (home / "dagster.yaml").write_text("storage:\n  postgres:\n    no_such_setting: true\n")
    said = doctor()
    assert said.code == 1
    assert "no_such_setting" in said.line("instance", "fail")


def test_a_damaged_instance_and_one_that_is_a_file_are_told_with_how_to_mend_them(doctor: Doctor) -> None:
    home = Path(".dagster-sample").absolute()
    with open_instance(home):
        pass
    (home / "history" / "runs.db").write_bytes(b"no database" * 1000)
    said = doctor()
    assert said.code == 0
    assert f"move {home} away: the next run makes a new one" in said.line("instance", "warn")
    home.rename("away")
    home.write_text("a file")
    assert "is no folder that this user may write to" in doctor().line("instance", "warn")


def test_the_last_run_the_daemon_and_a_schedule_that_is_off_are_told(doctor: Doctor) -> None:
    home = Path(".dagster-sample").absolute()
    with open_instance(home):
        pass
    said = doctor()
    assert "no run yet" in said.line("instance", "ok")
    assert "nothing starts by itself" in said.line("daemon", "warn")

    with open_instance(home) as instance:
        instance.create_run_for_job(
            build_defs(Settings()).resolve_job_def(JOB_NAME),
            tags={"dagster/partition": YESTERDAY},
            status=dg.DagsterRunStatus.FAILURE,
        )
        instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), "SCHEDULER", "one", None))
        origin = job_origin().repository_origin.get_instigator_origin("daily_backup_schedule")
        instance.add_instigator_state(
            InstigatorState(
                origin, InstigatorType.SCHEDULE, InstigatorStatus.STOPPED, ScheduleInstigatorData("0 6 * * *")
            )
        )
    said = doctor()
    assert f"last run: {YESTERDAY}, failure" in said.line("instance", "ok")
    assert "its last heartbeat was" in said.line("daemon", "ok")
    assert "daily_backup_schedule is switched off" in said.line("daemon", "warn")


def test_yesterday_is_told_as_it_is(
    doctor: Doctor, server: ScriptedServer, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAPIDAPI_KEY", KEY)
    video = server.on("/1.mp4", Reply(clip.read_bytes()))
    environment = real(server, page_of([{**record(1), "url": video}]))
    assert run_day(settings_for(environment["API_URL"]), tmp_path / ".dagster", YESTERDAY).succeeded

    said = doctor(**environment)
    assert said.code == 0
    assert f"{YESTERDAY} is backed up: 1 highlight" in said.line("yesterday", "ok")
    assert "of 1 clip in the last 7 days, 1 lead to video files" in said.line("clips", "ok")
    assert re.search(
        r"a day takes \d.* and a season of 150 days \d.*, like the 1 of .*; the disk will do for [\d,]+ seasons",
        said.line("month", "ok"),
    )
    assert f"last run: {YESTERDAY}, success" in said.line("instance", "ok")
    assert "is of the module " in said.line("archive", "ok")

    with lease_of(LocalStore(Path("data")), YESTERDAY, "a-run-of-another"):
        assert "is being backed up by run a-run-of" in doctor().line("yesterday", "ok")

    document = Path("data/highlights", f"{YESTERDAY}.json")
    changed = json.loads(document.read_text())
    changed["backup"]["fetches"][-1].update(whole=False, complete=False, problems=["page 2 did not come"])
    document.write_text(json.dumps(changed))
    assert "not read whole (page 2 did not come)" in doctor().line("yesterday", "warn")

    Path("data/videos", f"{YESTERDAY}.json").unlink()
    assert "was begun and not finished" in doctor().line("yesterday", "warn")

    document.write_text("{")
    said = doctor()
    assert "is damaged" in said.line("yesterday", "fail")
    assert said.code == 1


def trust(service: str) -> str:
    """The trust policy that lets a service use a role."""
    principal = {"Service": f"{service}.amazonaws.com"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_on_the_sample_a_season_is_estimated_for_real_clips(doctor: Doctor) -> None:
    Identity(source="sample", module=None, league="NCAA", timezone="America/New_York").claim(
        LocalStore(Path("data-sample")), "nba"
    )
    Days(Path("data-sample")).write(1, "a", "b")
    line = doctor().line("month", "ok")
    assert "the sample's clips are tiny, so this is an estimate for real ones: a day takes" in line
    assert re.search(r"a season of 150 days \d+\.\d GB, with ", line)


@pytest.fixture
def on_aws(doctor: Doctor, cloud: Cloud, server: ScriptedServer) -> Doctor:
    """Runs the doctor on an AWS that has all that a backup needs."""
    cloud.make_bucket("archive")
    cloud.make_table("SportsHighlights")
    cloud.client("iam").create_role(RoleName="encoder", AssumeRolePolicyDocument=trust("mediaconvert"))
    arn = cloud.client("sns").create_topic(Name="failures")["TopicArn"]
    cloud.client("sns").subscribe(TopicArn=arn, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:inbox")
    environment = {
        **real(server), "NCAA_DEPLOYMENT": "aws", "S3_BUCKET_NAME": "archive", "S3_PREFIX": "ncaa",
        "ALERT_TOPIC_ARN": arn, "MEDIACONVERT_ROLE_ARN": ROLE, "RETRY_COUNT": "0", "RETRY_DELAY": "0",
    }  # fmt: skip
    return lambda **changed: doctor(**{**environment, **changed})


def test_on_aws_a_month_is_told_in_dollars(on_aws: Doctor, cloud: Cloud, tmp_path: Path) -> None:
    days = Days(tmp_path / "archive")
    days.write(1, "a", "b", seconds=600.0, records=50)
    days.write(2, "c")
    for key in (found.key for found in days.store.list("")):
        cloud.client("s3").put_object(Bucket="archive", Key=f"ncaa/{key}", Body=days.store.read(key)[0])
    said = on_aws().line("month", "ok")
    assert (
        "like the 2 of the last 30 that are backed up: 67.5 MB more, 0.00 dollars a month while they are kept" in said
    )
    assert "encodes 4.72 to 4.84 dollars (322 minutes at most); rows and requests 0.00 to 0.07. List prices" in said
    assert "encodes 0.00 to 0.00 dollars (0 minutes at most)" in on_aws(ENCODE="never").line("month", "ok")


def test_on_aws_everything_that_a_run_uses_is_tried_and_nothing_stays(on_aws: Doctor, cloud: Cloud) -> None:
    said = on_aws()
    assert said.code == 0
    assert said.marks == {
        "python": "ok", "settings": "ok", "credentials": "ok", "bucket": "ok", "table": "ok", "encoder": "ok",
        "role": "ok", "topic": "ok", "archive": "ok", "instance": "ok", "yesterday": "warn", "api": "ok", "plan": "ok",
        "quota": "ok", "answer": "ok",
    }  # fmt: skip
    assert "s3://archive/ncaa/ can be written, read and deleted in, and keeps versions" in said.line("bucket", "ok")
    assert "arn:aws:" in said.line("credentials", "ok")
    left = cloud.client("s3").list_object_versions(Bucket="archive")
    assert not left.get("Versions", []) + left.get("DeleteMarkers", [])
    assert cloud.client("dynamodb").scan(TableName="SportsHighlights")["Items"] == []
    assert cloud.times("PutObject") == 1
    assert cloud.times("CreateJob") == 0


def test_on_aws_the_mode_of_encoding_says_what_is_asked_for(on_aws: Doctor, cloud: Cloud) -> None:
    said = on_aws(ENCODE="needed")
    assert {"ffmpeg": "ok", "encoder": "ok", "role": "ok"}.items() <= said.marks.items()
    said = on_aws(ENCODE="needed", IMAGEIO_FFMPEG_EXE="/no/such/ffmpeg", NCAA_ASSETS_IMAGE="1")
    assert "build the image with `docker build --build-arg FFMPEG=1 -t ncaa-assets .`" in said.line("ffmpeg", "fail")
    asked = cloud.times("GetQueue")
    said = on_aws(ENCODE="never", MEDIACONVERT_ROLE_ARN="")
    assert said.code == 0
    assert not {"ffmpeg", "encoder", "role"} & said.marks.keys()
    assert cloud.times("GetQueue") == asked


def test_on_aws_the_key_may_lie_in_a_secret(on_aws: Doctor, cloud: Cloud, server: ScriptedServer) -> None:
    cloud.client("secretsmanager").create_secret(Name="key", SecretString=json.dumps({"api_key": "k-of-a-secret"}))
    said = on_aws(RAPIDAPI_KEY="", RAPIDAPI_SECRET_ID="key")
    assert said.code == 0
    assert server.asked[-1].headers["x-rapidapi-key"] == "k-of-a-secret"
    assert "k-of-a-secret" not in said.text
    said = on_aws(RAPIDAPI_KEY="", RAPIDAPI_SECRET_ID="another")
    assert "there is no secret another" in said.line("api", "fail")
    said = on_aws(RAPIDAPI_KEY="", RAPIDAPI_SECRET_ID="", API_URL="")
    assert "there is no API key" in said.line("key", "fail")


def without_versions(cloud: Cloud) -> None:
    cloud.client("s3").put_bucket_versioning(Bucket="archive", VersioningConfiguration={"Status": "Suspended"})


def another_table(cloud: Cloud, *, index: bool) -> None:
    client = cloud.client("dynamodb")
    client.delete_table(TableName="SportsHighlights")
    if index:
        client.create_table(
            TableName="SportsHighlights", BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "highlight", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "highlight", "KeyType": "HASH"}],
        )  # fmt: skip
    else:
        cloud.make_table("SportsHighlights", index=False)


def untrusted(cloud: Cloud) -> None:
    cloud.client("iam").update_assume_role_policy(RoleName="encoder", PolicyDocument=trust("ec2"))


@pytest.mark.parametrize(
    ("change", "environment", "name", "mark", "says"),
    [
        (None, {"S3_BUCKET_NAME": "no-such-bucket"}, "bucket", "fail", "there is no bucket no-such-bucket"),
        (without_versions, {}, "bucket", "warn", "switch versioning on"),
        (
            lambda cloud: cloud.fail("PutObject", error(403, "AccessDenied")),
            {}, "bucket", "fail", "may not do PutObject",
        ),
        (
            lambda cloud: cloud.fail("ListObjectVersions", error(403, "AccessDenied")),
            {}, "bucket", "ok", "these credentials may not delete them",
        ),
        (
            lambda cloud: cloud.fail("GetBucketVersioning", error(403, "AccessDenied")),
            {}, "bucket", "ok", "whether it keeps versions cannot be seen",
        ),
        (None, {"DYNAMODB_TABLE": "Nothing"}, "table", "fail", "there is no table Nothing in us-east-1"),
        (lambda cloud: another_table(cloud, index=False), {}, "table", "warn", "has no index by_game_date"),
        (lambda cloud: another_table(cloud, index=True), {}, "table", "fail", "has another key than `id`"),
        (
            lambda cloud: cloud.fail("PutItem", error(400, "AccessDeniedException")),
            {}, "table", "fail", "may not do PutItem",
        ),
        (
            lambda cloud: cloud.fail("Query", error(400, "AccessDeniedException")),
            {}, "table", "fail", "may not do Query on the index by_game_date",
        ),
        (None, {"MEDIACONVERT_QUEUE": "fast"}, "encoder", "fail", "there is no MediaConvert queue fast"),
        (
            lambda cloud: cloud.fail("GetQueue", error(403, "ForbiddenException")),
            {}, "encoder", "fail", "may not do GetQueue",
        ),
        (None, {"MEDIACONVERT_ROLE_ARN": "encoder"}, "role", "fail", "is not a role's ARN"),
        (None, {"MEDIACONVERT_ROLE_ARN": ROLE + "s"}, "role", "fail", "there is no role encoders"),
        (None, {"ALERT_TOPIC_ARN": ""}, "topic", "warn", "failures appear only in the log"),
        (untrusted, {}, "role", "fail", "add mediaconvert.amazonaws.com"),
        (lambda cloud: cloud.fail("GetRole", error(403, "AccessDenied")), {}, "role", "ok", "cannot be seen"),
        (
            lambda cloud: cloud.fail("GetCallerIdentity", error(403, "InvalidClientTokenId")),
            {}, "credentials", "fail", "AWS does not know these credentials",
        ),
    ],
)  # fmt: skip
def test_on_aws_what_would_stop_a_backup_fails_with_what_to_do(
    on_aws: Doctor,
    cloud: Cloud,
    change: Callable[[Cloud], None] | None,
    environment: dict[str, str],
    name: str,
    mark: str,
    says: str,
) -> None:
    if change:
        change(cloud)
    said = on_aws(**environment)
    assert says in said.line(name, mark)
    assert said.code == (mark == "fail")


def test_a_topic_that_is_missing_or_that_nobody_hears_is_a_warning(cloud: Cloud) -> None:
    sns = cloud.client("sns")
    missing = "arn:aws:sns:us-east-1:123456789012:no-such-topic"
    assert topic(missing) == Line(
        Mark.WARN, "topic", f"there is no topic {missing}: no alert goes out; make it, or set ALERT_TOPIC_ARN"
    )
    arn = sns.create_topic(Name="failures")["TopicArn"]
    line = topic(arn)
    assert (line.mark, "nobody has subscribed" in line.text) == (Mark.WARN, True)
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:inbox")
    assert topic(arn) == Line(Mark.OK, "topic", f"{arn} reaches 1 subscriber", {"subscribers": 1})
    cloud.fail("ListSubscriptionsByTopic", error(403, "AuthorizationError"))
    assert topic(arn).mark is Mark.OK


def test_the_facts_behind_the_doctors_words_are_values(monkeypatch: pytest.MonkeyPatch, server: ScriptedServer) -> None:
    url = serve(server, page_of([record(1)]))
    for name, value in {"API_URL": url, "RAPIDAPI_KEY": KEY}.items():
        monkeypatch.setenv(name, value)
    evidence = {line.name: line.evidence for line in lines() if line.evidence}
    expected = {
        "python": {"version"},
        "disk": {"free_bytes"},
        "ffmpeg": {"version"},
        "api": {"seconds"},
        "quota": {"left", "limit", "reserve"},
    }
    assert {name: set(evidence[name]) for name in expected} == expected
    assert evidence["quota"] == {"left": 77, "limit": 100, "reserve": 5}


# ---- Modules ---------------------------------------------------------------------------------------------------------


def without_games(folder: Path, module: str | None, *days: str) -> None:
    """An archive of a module with days that list nothing."""
    store = LocalStore(folder)
    identity = Identity(source="highlightly", module=module, league="NCAA", timezone="America/New_York")
    identity.claim(store, module)
    for day in days:
        answer = Fetch(
            at=f"{day}T23:00:00Z", module=module or "nba", records=[], query={"date": day}, whole=True, complete=True,
            total_count=0, requests=1,
        )  # fmt: skip
        document, _ = merge_fetch(HighlightsDay(date=day), answer, founding=module)
        documents.save(store, document)


@pytest.mark.parametrize(("module", "requests"), [("basketball", (1, 1)), (None, (1, 0))])
def test_a_season_without_games_is_noticed_with_what_the_other_module_lists(
    doctor: Doctor,
    server: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
    module: str | None,
    requests: tuple[int, int],
) -> None:
    monkeypatch.setattr(Settings, "today", lambda _: date(2026, 1, 11))
    without_games(Path("data"), module, "2026-01-08", "2026-01-09", "2026-01-10")
    api = serve_api(server)
    api.highlights["nba"] = [us_record(number, None) for number in range(7)]
    said = doctor(API_BASE=api.base_url, RAPIDAPI_KEY=KEY)
    line = said.line("season", "warn")
    if module:
        assert (
            "3 days of the last week that should have games list none in the module basketball; nba lists 7 for" in line
        )
        assert "`ncaa-assets source --use nba` moves" in line
        assert "the module basketball lists nothing for 2025-03-09, a day with games" in said.line("answer", "warn")
    else:
        assert "the next run asks nba and basketball again" in line
    assert (len(api.asked("nba")), len(api.asked("basketball"))) == requests


def test_where_the_archive_has_no_module_yet_the_other_is_asked_if_the_first_lists_nothing(
    doctor: Doctor, server: ScriptedServer
) -> None:
    api = serve_api(server)
    api.highlights["basketball"] = [listed_record(1, None)]
    said = doctor(API_BASE=api.base_url, RAPIDAPI_KEY=KEY)
    assert "the module nba lists nothing for 2025-03-09; basketball lists 1" in said.line("answer", "warn")
    assert f"{api.url('nba')} takes the key" in said.line("api", "ok")
    assert "season" not in said.marks


def test_football_is_asked_for_a_day_of_its_own_season(doctor: Doctor, server: ScriptedServer) -> None:
    api = serve_api(server)
    api.highlights["american-football"] = [us_record(1, None)]
    doctor(API_BASE=api.base_url, RAPIDAPI_KEY=KEY, API_MODULE="american-football")
    assert [query["date"] for query in api.asked("american-football")] == ["2025-09-06"]


def test_another_module_that_cannot_be_asked_stops_nothing(
    doctor: Doctor, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Settings, "today", lambda _: date(2026, 1, 11))
    without_games(Path("data"), "basketball", "2026-01-08", "2026-01-09", "2026-01-10")
    api = serve_api(server)
    api.highlights["nba"] = Reply(b'{"message":"no"}', 403)
    said = doctor(API_BASE=api.base_url, RAPIDAPI_KEY=KEY)
    assert "nba cannot be asked (the API denied access (no)" in said.line("season", "warn")
    assert said.code == 0


def test_a_module_that_the_key_may_not_ask_is_no_failure_before_there_is_an_archive(
    doctor: Doctor, server: ScriptedServer
) -> None:
    api = serve_api(server)
    api.highlights["nba"] = Reply(b'{"message":"no"}', 403)
    api.highlights["basketball"] = [listed_record(1, None)]
    said = doctor(API_BASE=api.base_url, RAPIDAPI_KEY=KEY)
    assert "the module nba cannot be asked" in said.line("api", "warn")
    assert f"{api.url('basketball')} takes the key" in said.line("api", "ok")
    assert said.code == 0


def test_a_limit_of_ones_own_is_no_listing_that_was_not_read(
    doctor: Doctor, server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAPIDAPI_KEY", KEY)
    environment = real(server, page_of([{**record(1), "url": None}, {**record(2), "url": None}]))
    settings = settings_for(environment["API_URL"], limit=1)
    assert run_day(settings, tmp_path / ".dagster", YESTERDAY).succeeded
    assert f"{YESTERDAY} is backed up: 1 highlight" in doctor(**environment, LIMIT="1").line("yesterday", "ok")
    assert "its listing was not read whole" in doctor(**environment, LIMIT="2").line("yesterday", "warn")
