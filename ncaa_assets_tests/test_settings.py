"""Every environment variable: its default, its meaning, and the sentence for a bad value."""

import os
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ncaa_assets import settings
from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.failures import SettingsError
from ncaa_assets.settings import Settings, load_dotenv

KEY = "5f0c-a-secret-9e1d"


def read(**environ: str) -> Settings:
    return Settings.from_environment(environ)


# The names and defaults that people and their scripts depend on.
CONTRACT: dict[str, Any] = {
    "NCAA_DEPLOYMENT": "local",
    "API_MODULE": "auto",
    "API_BASE": None,
    "API_URL": None,
    "MATCHES": True,
    "RAPIDAPI_HOST": None,
    "RAPIDAPI_KEY": None,
    "LEAGUE_NAME": "NCAA",
    "LIMIT": None,
    "TIMEZONE": "America/New_York",
    "START_DATE": date(2024, 11, 1),
    "LOOKBACK_DAYS": 3,
    "QUOTA_RESERVE": 5,
    "VIDEO_COUNT": 1,
    "VIDEO_CONCURRENCY": 4,
    "VIDEO_MAX_BYTES": 2 * 1024**3,
    "VIDEO_MIN_BYTES_PER_SECOND": 20_000,
    "VIDEO_ALLOW_PRIVATE_HOSTS": False,
    "VIDEO_PAGES": None,
    "ENCODE": "always",
    "VIDEO_MAX_SECONDS": 14400,
    "ENCODE_MINUTES_A_DAY": None,
    "ENCODE_TIMEOUT": 7200,
    "RETRY_COUNT": 3,
    "RETRY_DELAY": 30,
    "DATA_DIR": Path("data"),
    "ALERT_TOPIC_ARN": None,
    "UI_URL": "http://localhost:3000",
    "UI_HOSTS": None,
    "RAPIDAPI_SECRET_ID": None,
    "S3_ENDPOINT_URL": None,
    "S3_BUCKET_NAME": None,
    "S3_PREFIX": "",
    "DYNAMODB_TABLE": "SportsHighlights",
    "MEDIACONVERT_ROLE_ARN": None,
    "MEDIACONVERT_ENDPOINT": None,
    "MEDIACONVERT_QUEUE": None,
}

AWS = {
    "NCAA_DEPLOYMENT": "aws",
    "S3_BUCKET_NAME": "my-highlights",
    "MEDIACONVERT_ROLE_ARN": "arn:aws:iam::123456789012:role/mediaconvert",
}

S3 = {
    "NCAA_DEPLOYMENT": "s3",
    "S3_ENDPOINT_URL": "https://account.r2.cloudflarestorage.com",
    "S3_BUCKET_NAME": "my-highlights",
}


def test_every_default_is_the_one_that_people_rely_on() -> None:
    assert {name.upper(): value for name, value in read().model_dump().items()} == CONTRACT


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("ALERT_TOPIC_ARN", "backup-failures", "must be an SNS topic's ARN such as arn:aws:sns:"),
        ("ALERT_TOPIC_ARN", "arn:aws:sqs:us-east-1:123456789012:x", "must be an SNS topic's ARN"),
        ("UI_URL", "dagster.example", "must be an http or https address"),
        *(
            ("UI_HOSTS", hosts, "must be names or addresses of hosts, with commas between them and without http://")
            for hosts in (
                "http://nas",
                "nas:3000",
                "*",
                "*.example.org",
                "nas,",
                "nas nas2",
                "user@nas",
                "nas.",
                "nas/ui",
            )
        ),
    ],
)
def test_where_alerts_go_and_lead_to_is_checked(name: str, value: str, says: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}: {says}"):
        read(**{name: value})
    assert read(ALERT_TOPIC_ARN="arn:aws-us-gov:sns:us-gov-west-1:123456789012:a_b-c.fifo").alert_topic_arn


def test_every_variable_says_what_it_means() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_an_empty_variable_counts_as_unset() -> None:
    assert read(**dict.fromkeys(CONTRACT, ""), OTHER="x") == read()
    assert read(**dict.fromkeys(CONTRACT, "  ")) == read()


def test_the_process_environment_is_read_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAGUE_NAME", "NBA")
    assert Settings.from_environment().league_name == "NBA"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("LEAGUE_NAME", " NCAA Women ", "NCAA Women"),
        ("LIMIT", "10", 10),
        ("TIMEZONE", "Pacific/Honolulu", "Pacific/Honolulu"),
        ("START_DATE", "2023-11-06", date(2023, 11, 6)),
        ("LOOKBACK_DAYS", "7", 7),
        ("QUOTA_RESERVE", "0", 0),
        ("VIDEO_COUNT", "12", 12),
        ("VIDEO_COUNT", "all", None),
        ("VIDEO_COUNT", "ALL", None),
        ("VIDEO_ALLOW_PRIVATE_HOSTS", "1", True),
        ("VIDEO_ALLOW_PRIVATE_HOSTS", "0", False),
        ("VIDEO_PAGES", "yt-dlp", "yt-dlp"),
        ("RETRY_COUNT", "0", 0),
        ("RETRY_DELAY", "0.5", 0.5),
        ("RETRY_DELAY", "0", 0.0),
        ("DATA_DIR", "/srv/ncaa", Path("/srv/ncaa")),
        ("UI_HOSTS", "nas", ("nas",)),
        ("UI_HOSTS", " NAS , dagster.example.org,192.168.1.20", ("nas", "dagster.example.org", "192.168.1.20")),
        ("UI_HOSTS", "[FD00:0::20],fd00::21,my_host", ("fd00::20", "fd00::21", "my_host")),
        ("RAPIDAPI_HOST", "sport-highlights-api.p.rapidapi.com", "sport-highlights-api.p.rapidapi.com"),
    ],
)
def test_a_value_is_read_as_its_type(name: str, text: str, value: object) -> None:
    assert getattr(read(**{name: text}), name.lower()) == value


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("NCAA_DEPLOYMENT", "azure", "must be 'local', 'aws' or 's3'"),
        ("S3_BUCKET_NAME", "s3://bucket/folder", "must be a bucket's name alone"),
        ("S3_BUCKET_NAME", "bucket/folder", "a folder in it goes into S3_PREFIX"),
        ("S3_PREFIX", "../elsewhere", "must be a path of plain names"),
        ("S3_PREFIX", ".hidden", "must be a path of plain names"),
        ("API_URL", "sport-highlights-api.p.rapidapi.com", "must be an http or https address"),
        ("API_URL", "ftp://example.com/x", "must be an http or https address"),
        ("API_URL", "https://", "must be an http or https address"),
        ("API_URL", "https://[::1", "must be an http or https address"),
        ("API_URL", f"https://example.com:{KEY}/x", "must be an http or https address"),
        ("API_URL", "https://example.com:0/x", "must be an http or https address"),
        ("API_URL", "https://example.com:99999/x", "must be an http or https address"),
        ("API_URL", f"https://user:{KEY}℀@example.com/x", "must be an http or https address"),
        ("API_URL", f"https://user:{KEY}@example.com/x", "must be a bare address"),
        ("API_URL", f"https://example.com/x?key={KEY}", "must be a bare address"),
        ("API_URL", f"https://example.com/x#{KEY}", "must be a bare address"),
        ("RAPIDAPI_HOST", "https://sport-highlights-api.p.rapidapi.com", "must be a host name alone"),
        ("RAPIDAPI_HOST", "日本", "must be a host name alone"),
        ("RAPIDAPI_HOST", "a\r\nX-Other: b", "must be a host name alone"),
        ("RAPIDAPI_KEY", f"{KEY} {KEY}", "must be plain ASCII without spaces"),
        ("RAPIDAPI_KEY", f"{KEY}\n{KEY}", "must be plain ASCII without spaces"),
        ("RAPIDAPI_KEY", f"“{KEY}”", "must be plain ASCII without spaces"),
        ("LIMIT", "ten", "must be a valid integer"),
        ("LIMIT", "0", "must be greater than or equal to 1"),
        ("LIMIT", "-1", "must be greater than or equal to 1"),
        ("TIMEZONE", "Mars/Olympus", "must be an IANA time zone"),
        ("TIMEZONE", "../../etc/passwd", "must be an IANA time zone"),
        ("TIMEZONE", "America", "must be an IANA time zone"),
        ("START_DATE", "yesterday", "must be a date, written as YYYY-MM-DD"),
        ("START_DATE", "2025-02-30", "must be a date, written as YYYY-MM-DD"),
        ("START_DATE", "1730419200", "must be a date, written as YYYY-MM-DD"),
        ("START_DATE", "20241101", "must be a date, written as YYYY-MM-DD"),
        ("LOOKBACK_DAYS", "0", "must be greater than or equal to 1"),
        ("LOOKBACK_DAYS", "61", "must be less than or equal to 60"),
        ("QUOTA_RESERVE", "-1", "must be greater than or equal to 0"),
        ("VIDEO_COUNT", "0", "must be a whole number from 1, or 'all'"),
        ("VIDEO_COUNT", "-1", "must be a whole number from 1, or 'all'"),
        ("VIDEO_COUNT", "1.5", "must be a whole number from 1, or 'all'"),
        ("VIDEO_COUNT", "some", "must be a whole number from 1, or 'all'"),
        ("VIDEO_COUNT", "1" + "0" * 30, "must be a whole number from 1, or 'all'"),
        ("VIDEO_COUNT", "²", "must be a whole number from 1, or 'all'"),
        ("VIDEO_CONCURRENCY", "0", "must be greater than or equal to 1"),
        ("VIDEO_MAX_BYTES", "2 GiB", "must be a valid integer"),
        ("VIDEO_MIN_BYTES_PER_SECOND", "-1", "must be greater than or equal to 0"),
        ("VIDEO_PAGES", "youtube-dl", "must be 'yt-dlp'"),
        ("VIDEO_ALLOW_PRIVATE_HOSTS", "maybe", "must be a valid boolean"),
        ("ENCODE_TIMEOUT", "0", "must be greater than or equal to 1"),
        ("RETRY_COUNT", "-1", "must be greater than or equal to 0"),
        ("RETRY_COUNT", "21", "must be less than or equal to 20"),
        ("RETRY_DELAY", "nan", "must be"),
        ("RETRY_DELAY", "inf", "must be"),
        ("RETRY_DELAY", "-1", "must be greater than or equal to 0"),
    ],
)
def test_a_bad_value_is_one_line_that_names_its_variable(name: str, text: str, reason: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(**{"RAPIDAPI_KEY": KEY, name: text})
    message = str(caught.value)
    assert message.startswith(f"{name}: ")
    assert reason in message
    assert "\n" not in message
    assert KEY not in message


def test_a_bad_value_hides_a_key_that_is_good() -> None:
    with pytest.raises(SettingsError) as caught:
        read(RAPIDAPI_KEY=KEY, LIMIT="ten")
    assert caught.value.__cause__ is None, "pydantic's own error would be printed below ours"
    assert caught.value.__suppress_context__
    assert KEY not in str(caught.value)


def test_the_key_is_not_shown_with_the_settings() -> None:
    assert KEY not in repr(read(RAPIDAPI_KEY=KEY))
    assert KEY not in str(read(RAPIDAPI_KEY=KEY).model_dump())


def test_an_endpoint_of_ones_own_needs_a_key() -> None:
    with pytest.raises(SettingsError, match=r"^API_URL names an endpoint .*set the key .*or unset API_URL"):
        read(API_URL="https://basketball.highlightly.net/highlights")
    with pytest.raises(SettingsError, match=r"^API_BASE names an endpoint .*set the key .*or unset API_BASE"):
        read(API_BASE="http://127.0.0.1:8080")
    seeds = "https://sport-highlights-api.p.rapidapi.com/basketball/highlights"
    assert read(API_URL=seeds).uses_sample, "the address in the seed's .env asks for nothing of its own"


def test_the_source_is_the_same_through_every_door_and_never_the_sample_s() -> None:
    assert read().source == "sample"
    for environ in ({}, {"API_URL": "http://127.0.0.1:8080/x"}, {"API_BASE": "https://nba.highlightly.net"}):
        assert read(RAPIDAPI_KEY=KEY, **environ).source == "highlightly"


@pytest.mark.parametrize(
    ("given", "name"), [("nba", "nba"), ("NBA", "nba"), ("american-football", "american-football")]
)
def test_a_module_is_a_plain_name(given: str, name: str) -> None:
    assert read(API_MODULE=given).api_module == name


@pytest.mark.parametrize("given", ["nba/x", "../x", "nba highlights", "1", "ñba", "a" * 41])
def test_what_is_no_name_of_a_module_is_refused(given: str) -> None:
    with pytest.raises(SettingsError, match=r"^API_MODULE: must be a module's name such as nba, .*, or auto$"):
        read(API_MODULE=given)


@pytest.mark.parametrize("folder", ["data", "deep/er/archive", "/srv/ncaa", "~/ncaa", "."])
def test_sample_data_never_lie_in_the_real_archive(folder: str) -> None:
    real, sample = read(DATA_DIR=folder, RAPIDAPI_KEY=KEY), read(DATA_DIR=folder)
    assert not real.uses_sample
    assert sample.uses_sample
    assert real.archive_dir == Path(folder).expanduser().absolute()
    assert sample.archive_dir == real.archive_dir.with_name(real.archive_dir.name + "-sample")
    assert real.archive_dir not in sample.archive_dir.parents


def test_a_folder_that_is_already_named_as_the_samples_gets_no_second_ending() -> None:
    assert read(DATA_DIR="data-sample").archive_dir.name == "data-sample"


@pytest.mark.parametrize(("folder", "says"), [("/", "not the root of the disk"), ("~nosuchuser/x", "does not exist")])
def test_a_folder_that_can_be_none_is_refused(folder: str, says: str) -> None:
    with pytest.raises(SettingsError, match=f"^DATA_DIR: .*{says}"):
        read(DATA_DIR=folder)


def test_a_folder_with_dots_in_it_is_the_one_that_they_mean(tmp_path: Path) -> None:
    assert read(DATA_DIR=f"{tmp_path}/a/../b", RAPIDAPI_KEY=KEY).archive_dir == tmp_path / "b"


def test_a_dotenv_that_is_no_text_is_said() -> None:
    Path(".env").write_bytes(b"LEAGUE_NAME=\xff\xfe")
    with pytest.raises(SettingsError, match="UTF-8"):
        load_dotenv()


@pytest.mark.parametrize("environ", [{}, {"DAGSTER_HOME": "/srv/dagster"}, {"DAGSTER_HOME": "~/dagster"}])
def test_sample_runs_have_an_instance_of_their_own(environ: dict[str, str]) -> None:
    real, sample = read(RAPIDAPI_KEY=KEY).dagster_home(environ), read().dagster_home(environ)
    assert real == Path(environ.get("DAGSTER_HOME", ".dagster")).expanduser().absolute()
    assert sample == real.with_name(real.name + "-sample")


def test_the_instance_is_the_environments_where_none_is_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert read(RAPIDAPI_KEY=KEY).dagster_home() == tmp_path / ".dagster"
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    assert read(RAPIDAPI_KEY=KEY).dagster_home() == tmp_path / "home"


def test_today_is_the_date_in_the_time_zone_of_the_games() -> None:
    # These two are 25 hours apart, so they never share a date.
    west, east = read(TIMEZONE="Pacific/Pago_Pago"), read(TIMEZONE="Pacific/Kiritimati")
    before = datetime.now(ZoneInfo("Pacific/Pago_Pago")).date()
    assert before <= west.today() <= datetime.now(ZoneInfo("Pacific/Pago_Pago")).date()
    assert west.today() < east.today()


def test_the_default_day_is_yesterday_where_the_games_are() -> None:
    settings = read()
    before = settings.today()
    assert settings.parse_day(None) in (before - timedelta(days=1), settings.today() - timedelta(days=1))


def test_a_day_that_is_over_can_be_backed_up() -> None:
    settings = read()
    assert settings.parse_day("2025-03-09") == date(2025, 3, 9)
    assert settings.parse_day("2024-11-01") == settings.start_date
    yesterday = settings.today() - timedelta(days=1)
    assert settings.parse_day(yesterday.isoformat()) == yesterday


@pytest.mark.parametrize("text", ["", "yesterday", "2025-02-30", "20250309", "2025-W10-7", "09.03.2025", "2025-03-09 "])
def test_what_is_no_date_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(SettingsError, match=r"is not a date; write it as YYYY-MM-DD, for example \d{4}-\d\d-\d\d$"):
        read().parse_day(text)


def test_a_day_that_is_not_over_is_refused() -> None:
    settings = read()
    with pytest.raises(SettingsError, match="is not over yet in America/New_York; the newest day to back up is "):
        settings.parse_day((settings.today() + timedelta(days=1)).isoformat())
    with pytest.raises(SettingsError, match="is not over yet"):
        settings.parse_day(settings.today().isoformat())


def test_a_day_before_the_first_partition_is_refused_with_the_setting_that_admits_it() -> None:
    with pytest.raises(
        SettingsError, match=r"2023-11-30 is before START_DATE \(2024-11-01\); set START_DATE=2023-11-30"
    ):
        read().parse_day("2023-11-30")
    assert read(START_DATE="2023-11-30").parse_day("2023-11-30") == date(2023, 11, 30)


def test_pages_without_their_extra_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"yt-dlp is not installed: run `make .*install EXTRAS=pages`, or unset"):
        Settings.from_environment({"VIDEO_PAGES": "yt-dlp"})


def test_the_env_file_overrides_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LEAGUE_NAME", "from the environment")
    monkeypatch.setenv("TIMEZONE", "America/Chicago")
    monkeypatch.setenv("LIMIT", "7")
    monkeypatch.setenv("DATA_DIR", "")
    (tmp_path / ".env").write_text("LEAGUE_NAME='from the file'\n#TIMEZONE=UTC\nLIMIT=\nDATA_DIR=${PWD:-x}/y\nBARE\n")
    monkeypatch.setenv("PWD", "/here")
    load_dotenv()
    settings = Settings.from_environment()
    assert settings.league_name == "from the file"
    assert settings.timezone == "America/Chicago"
    assert settings.limit is None, "an empty line in the file unsets"
    assert settings.data_dir == Path("/here/y")
    assert "BARE" not in os.environ


@pytest.mark.parametrize(
    ("given", "boto3s"),
    [
        ({"AWS_REGION": " eu-west-1 "}, "eu-west-1"),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-1"}, "eu-west-1"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "us-east-1"}, "us-east-1"),
        ({"AWS_REGION": " ", "AWS_DEFAULT_REGION": ""}, None),
        ({}, None),
    ],
    ids=str,
)
def test_aws_region_becomes_the_region_of_boto3(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], boto3s: str | None
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    Settings.from_environment()
    assert os.environ.get("AWS_DEFAULT_REGION") == boto3s


def test_without_an_env_file_the_environment_stays_as_it_is() -> None:
    before = dict(os.environ)
    load_dotenv()
    assert dict(os.environ) == before


@pytest.mark.parametrize("missing", ["S3_BUCKET_NAME", "MEDIACONVERT_ROLE_ARN"])
def test_an_aws_deployment_says_what_it_needs(missing: str) -> None:
    with pytest.raises(SettingsError, match=f"{missing} is unset: NCAA_DEPLOYMENT=aws needs it"):
        read(**{**AWS, missing: ""})


def test_an_aws_deployment_never_uses_the_sample_and_says_when_it_has_no_key() -> None:
    settings = read(**AWS)
    assert not settings.uses_sample
    assert settings.lacks_key
    assert settings.source == "highlightly"
    assert settings.archive_dir.name == "data"
    assert not read(**AWS, RAPIDAPI_KEY=KEY).lacks_key
    assert not read(**AWS, RAPIDAPI_SECRET_ID="ncaa/key").lacks_key
    assert not read().lacks_key


def test_a_secret_is_no_key_on_a_local_deployment() -> None:
    with pytest.raises(SettingsError, match="RAPIDAPI_SECRET_ID is read by NCAA_DEPLOYMENT=aws only"):
        read(RAPIDAPI_SECRET_ID="ncaa/key")
    assert read(RAPIDAPI_SECRET_ID="ncaa/key", RAPIDAPI_KEY=KEY).rapidapi_key is not None


def test_an_endpoint_of_ones_own_may_take_its_key_from_the_secret_on_aws() -> None:
    settings = read(**AWS, RAPIDAPI_SECRET_ID="ncaa/key", API_URL="https://basketball.highlightly.net/highlights")
    assert settings.api_url == "https://basketball.highlightly.net/highlights"


@pytest.mark.parametrize(("text", "prefix"), [("", ""), ("/", ""), ("ncaa", "ncaa"), ("/a/b//c/", "a/b/c")])
def test_a_prefix_is_a_path_without_slashes_around_it(text: str, prefix: str) -> None:
    assert read(S3_PREFIX=text).s3_prefix == prefix


def test_a_clock_before_the_first_day_is_named_as_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings, "today", lambda _: date(1970, 1, 1))
    with pytest.raises(SettingsError, match=r"before START_DATE .*clock says that today is 1970-01-01"):
        Settings().parse_day(None)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"S3_ENDPOINT_URL": ""}, "S3_ENDPOINT_URL is unset: NCAA_DEPLOYMENT=s3 needs the store's address, such as"),
        ({"S3_BUCKET_NAME": ""}, "S3_BUCKET_NAME is unset: NCAA_DEPLOYMENT=s3 needs it"),
        ({"S3_ENDPOINT_URL": "localhost:9000"}, "S3_ENDPOINT_URL: must be an http or https address"),
        ({"S3_ENDPOINT_URL": "https://key:secret@host"}, "S3_ENDPOINT_URL: must be a bare address"),
        ({"S3_ENDPOINT_URL": "https://host/my-highlights/"}, "must be the store's address without the bucket"),
        ({"RAPIDAPI_SECRET_ID": "a"}, "RAPIDAPI_SECRET_ID is read by NCAA_DEPLOYMENT=aws only"),
        ({"NCAA_DEPLOYMENT": "aws", "MEDIACONVERT_ROLE_ARN": "arn"}, "unset it, or set NCAA_DEPLOYMENT=s3"),
    ],
)
def test_an_s3_deployment_says_what_it_needs(given: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(**S3 | given)
    assert said in str(caught.value)


def test_an_s3_deployment_needs_no_more_than_a_store_and_a_bucket_and_has_no_sample() -> None:
    settings = read(**S3)
    assert settings.lacks_key
    assert not settings.uses_sample
    assert not read(**S3, RAPIDAPI_KEY=KEY).lacks_key
    assert settings.dagster_home().name == ".dagster"
    assert read(**S3 | {"S3_ENDPOINT_URL": "https://host/storage/v1/s3"}).s3_endpoint_url


def test_no_two_archives_share_their_rows_and_none_lie_among_a_folders_objects(tmp_path: Path) -> None:
    others = [
        {},
        {"S3_BUCKET_NAME": "other"},
        {"S3_PREFIX": "a"},
        {"S3_PREFIX": "a/b"},
        {"S3_ENDPOINT_URL": "http://localhost:9000"},
        {"S3_ENDPOINT_URL": "http://localhost:9001"},
        {"DATA_DIR": "elsewhere"},
    ]
    places = {read(**S3 | other).rows_dir for other in others}
    assert len(places) == len(others)
    assert read(**S3 | {"S3_ENDPOINT_URL": "https://ACCOUNT.r2.cloudflarestorage.com/"}).rows_dir in places
    assert all(tmp_path in place.parents for place in places)
    rows = read(**S3).rows_dir / "highlights.sqlite"
    rows.parent.mkdir(parents=True)
    rows.touch()
    assert list(LocalStore(read(RAPIDAPI_KEY=KEY).archive_dir).list("")) == []
    with pytest.raises(SettingsError, match="DATA_DIR: the path"):
        read(**S3, DATA_DIR="/" + "/".join(["x" * 100] * 6))
