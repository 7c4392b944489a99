"""The graph as Dagster sees it: its shape, its automation, and that it loads in a fresh interpreter."""

import os
import re
import subprocess
import sys
import tomllib
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._utils.schedules import cron_string_iterator

import ncaa_assets
from ncaa_assets.archive.archive import Archive
from ncaa_assets.backends.aws.dynamodb import DynamoDBTable
from ncaa_assets.backends.aws.mediaconvert import MediaConvertTranscoder
from ncaa_assets.backends.aws.s3 import S3Store
from ncaa_assets.backends.deployments import open_transcoder
from ncaa_assets.backends.local.ffmpeg import FfmpegTranscoder
from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.backends.local.table import SqliteTable
from ncaa_assets.definitions import build_defs
from ncaa_assets.defs.metadata import place
from ncaa_assets.defs.partitions import game_days
from ncaa_assets.record.columns import COLUMNS
from ncaa_assets.runs.execute import LOCATION, MODULE
from ncaa_assets.settings import Settings
from ncaa_assets_tests.days import KEY, run_day, settings_for
from ncaa_assets_tests.loopback.http_server import ScriptedServer
from ncaa_assets_tests.loopback.listing import serve_listing

PROJECT = Path(ncaa_assets.__file__).parents[1]


@pytest.fixture
def defs() -> dg.Definitions:
    return build_defs(settings_for("http://api.example/highlights"))


def test_the_graph_has_five_assets_with_these_dependencies_partitions_kinds_and_group(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    shape = {
        key.to_user_string(): (
            sorted(parent.to_user_string() for parent in graph.get(key).parent_keys),
            sorted(graph.get(key).kinds),
            graph.get(key).group_name,
        )
        for key in graph.get_all_asset_keys()
    }
    assert shape == {
        "highlights": ([], ["file", "json"], "ncaa_highlights"),
        "backup_rows": (["highlights"], ["sqlite", "table"], "ncaa_highlights"),
        "videos": (["highlights"], ["file", "mp4"], "ncaa_highlights"),
        "processed_videos": (["videos"], ["file", "h264"], "ncaa_highlights"),
        "gallery": (["backup_rows", "processed_videos"], ["file", "html"], "ncaa_highlights"),
    }
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.partitions_def == dg.DailyPartitionsDefinition("2024-11-01", timezone="America/New_York")
        assert node.description
        assert node.code_version
        assert node.tags["deployment"] == "local"
        assert node.tags["source"] == "highlightly"


def test_every_check_belongs_to_an_asset_and_knows_its_partition(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    assert sorted((key.asset_key.to_user_string(), key.name) for key in graph.asset_check_keys) == [
        ("backup_rows", "rows_match_json"),
        ("gallery", "is_there_by_nine"),
        ("highlights", "day_is_still_listed"),
        ("highlights", "ids_are_unique"),
        ("highlights", "records_are_as_recorded"),
        ("highlights", "season_has_games"),
        ("processed_videos", "outputs_are_stored"),
        ("processed_videos", "outputs_last_as_long_as_their_sources"),
        ("videos", "copies_are_intact"),
        ("videos", "some_video_could_be_copied"),
    ]
    blocking = {key.name for key in graph.asset_check_keys if graph.get(key).blocking}
    assert blocking == {"ids_are_unique", "records_are_as_recorded", "copies_are_intact"}
    assert all(graph.get(key).partitions_def is not None for key in graph.asset_check_keys)


def test_the_catalog_has_where_each_asset_is_kept_and_the_columns_of_the_rows(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    told = {key.to_user_string(): graph.get(key).metadata for key in graph.get_all_asset_keys()}
    data = Path("data").absolute()
    assert {asset: metadata["dagster/uri"] for asset, metadata in told.items()} == {
        "highlights": f"{data}/highlights/",
        "backup_rows": f"{data}/highlights.sqlite",
        "videos": f"{data}/videos/",
        "processed_videos": f"{data}/processed_videos/",
        "gallery": f"{data}/gallery/",
    }
    assert told["backup_rows"]["dagster/table_name"] == "highlights"
    columns = told["backup_rows"]["dagster/column_schema"].columns
    assert [column.name for column in columns] == [column.name for column in COLUMNS]
    assert all(column.description for column in columns)


@pytest.mark.parametrize(
    ("deployment", "table"), [("local", "highlights"), ("aws", "SportsHighlights"), ("s3", "highlights")]
)
def test_the_catalogs_addresses_are_those_of_the_archive(
    deployment: str, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"NCAA_DEPLOYMENT": deployment, "RAPIDAPI_KEY": "k"}
    if deployment != "local":
        given |= {"S3_BUCKET_NAME": "bucket", "S3_PREFIX": "a/b"}
    if deployment == "aws":
        given["MEDIACONVERT_ROLE_ARN"] = "arn"
    if deployment == "s3":
        given["S3_ENDPOINT_URL"] = "https://store.example"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    archive = Archive.open(Settings.from_environment(given))
    assert place("videos", archive.settings)["dagster/uri"] == f"{archive.place}videos/"
    rows = place("backup_rows", archive.settings)
    assert rows["dagster/table_name"] == table
    assert rows.get("dagster/uri") == (None if deployment == "aws" else archive.table.uri())


def test_a_place_where_no_archive_can_be_does_not_keep_the_definitions_from_loading() -> None:
    assert build_defs(settings_for("http://api.example/highlights", data_dir=Path("x" * 5000))).resolve_asset_graph()


def test_no_step_has_a_retry_policy_or_a_pool_and_steps_run_in_one_process(defs: dg.Definitions) -> None:
    """With a RetryPolicy, Ctrl-C leads to another attempt. The pool slot of a killed run blocks the next for ever."""
    job = defs.resolve_job_def("daily_backup")
    assert job.executor_def is dg.in_process_executor
    for node in job.nodes:
        assert node.retry_policy is None
        assert isinstance(node.definition, dg.OpDefinition)
        assert node.definition.pool is None


def test_the_sample_is_marked_on_every_asset() -> None:
    graph = build_defs(Settings()).resolve_asset_graph()
    nodes = [graph.get(key) for key in graph.get_all_asset_keys()]
    assert {node.group_name for node in nodes} == {"SAMPLE_ncaa_highlights"}
    assert all("sample" in node.kinds for node in nodes)


def test_the_schedule_is_on_at_six_in_the_timezone_and_asks_for_the_last_days_once(defs: dg.Definitions) -> None:
    schedule = defs.resolve_schedule_def("daily_backup_schedule")
    assert schedule.cron_schedule == "0 6 * * *"
    assert schedule.execution_timezone == "America/New_York"
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING

    def tick() -> list[tuple[str | None, str | None]]:
        context = dg.build_schedule_context(
            scheduled_execution_time=datetime(2025, 3, 10, 10, tzinfo=UTC), repository_def=defs.get_repository_def()
        )
        requests = schedule.evaluate_tick(context).run_requests
        assert requests is not None
        return [(request.partition_key, request.run_key) for request in requests]

    assert tick() == [
        ("2025-03-09", "2025-03-10/2025-03-09"),
        ("2025-03-08", "2025-03-10/2025-03-08"),
        ("2025-03-07", "2025-03-10/2025-03-07"),
    ]


def days_asked_for(settings: Settings, at: datetime) -> tuple[list[str | None], str | None]:
    """The partitions that the tick of that time asks for when it is evaluated now, and its reason to skip."""
    defs = build_defs(settings)
    context = dg.build_schedule_context(scheduled_execution_time=at, repository_def=defs.get_repository_def())
    tick = defs.resolve_schedule_def("daily_backup_schedule").evaluate_tick(context)
    return [request.partition_key for request in tick.run_requests or []], tick.skip_message


def test_a_late_tick_leaves_out_the_days_that_were_fetched_since(server: ScriptedServer, tmp_path: Path) -> None:
    """With `always_on = false` the daemon starts when a person opens the UI, hours after catch-up did the day's work.
    The late tick of six o'clock then spent a second request on each day."""
    settings = settings_for(serve_listing(server, list))
    yesterday = settings.parse_day(None)
    six = datetime(2025, 3, 9, 10, tzinfo=UTC)
    assert days_asked_for(settings, six) == (["2025-03-08", "2025-03-07", "2025-03-06"], None)
    assert run_day(settings, tmp_path / "home", "2025-03-07").succeeded
    assert days_asked_for(settings, six) == (["2025-03-08", "2025-03-06"], None)

    assert run_day(settings, tmp_path / "home", str(yesterday)).succeeded
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert str(yesterday) in days_asked_for(settings, tomorrow)[0], "what was read before the tick is read again"

    only_one = settings.model_copy(update={"lookback_days": 1})
    days, why = days_asked_for(only_one, datetime(2025, 3, 8, 11, tzinfo=UTC))
    assert days == []
    assert why == "the listings of 2025-03-07 were read since; nothing to ask for"


def test_a_tick_asks_for_a_day_whose_state_it_cannot_read(tmp_path: Path) -> None:
    settings = settings_for("http://api.example/highlights", lookback_days=1)
    place = settings.archive_dir / "highlights" / "2025-03-07.json"
    place.parent.mkdir(parents=True)
    place.write_text("no JSON")
    assert days_asked_for(settings, datetime(2025, 3, 8, 11, tzinfo=UTC)) == (["2025-03-07"], None)


@pytest.mark.parametrize(
    ("utc", "newest"),
    [
        (datetime(2025, 3, 9, 10, tzinfo=UTC), "2025-03-08"),  # clocks went forward that night: 06:00 is 10:00 UTC
        (datetime(2025, 11, 2, 11, tzinfo=UTC), "2025-11-01"),  # clocks went back that night: 06:00 is 11:00 UTC
        (datetime(2024, 11, 2, 10, tzinfo=UTC), "2024-11-01"),
    ],
)
def test_the_newest_day_asked_for_is_yesterday_also_when_the_clocks_change(
    defs: dg.Definitions, utc: datetime, newest: str
) -> None:
    schedule = defs.resolve_schedule_def("daily_backup_schedule")
    context = dg.build_schedule_context(scheduled_execution_time=utc, repository_def=defs.get_repository_def())
    requests = schedule.evaluate_tick(context).run_requests
    assert requests is not None
    assert requests[0].partition_key == newest
    assert all(str(request.partition_key) >= "2024-11-01" for request in requests), "no day before START_DATE"


@pytest.mark.parametrize(
    ("zone", "start", "hours"),
    [
        ("America/New_York", datetime(2025, 3, 6, tzinfo=UTC), {"2025-03-09": 23}),
        ("America/New_York", datetime(2025, 10, 30, tzinfo=UTC), {"2025-11-02": 25}),
        ("Asia/Beirut", datetime(2025, 3, 27, tzinfo=UTC), {"2025-03-30": 23}),  # there the clocks skip midnight
        ("Asia/Kolkata", datetime(2025, 3, 6, tzinfo=UTC), {}),
    ],
)
def test_across_a_change_of_the_clocks_each_morning_has_one_tick_and_each_day_one_partition(
    zone: str, start: datetime, hours: dict[str, int]
) -> None:
    defs = build_defs(settings_for("http://api.example/highlights", timezone=zone))
    schedule = defs.resolve_schedule_def("daily_backup_schedule")
    assert isinstance(schedule.cron_schedule, str)
    ticks = list(islice(cron_string_iterator(start.timestamp(), schedule.cron_schedule, zone), 7))
    assert {tick.astimezone(ZoneInfo(zone)).strftime("%H:%M") for tick in ticks} == {"06:00"}

    partitions = game_days(settings_for("http://api.example/highlights", timezone=zone))
    newest = []
    keys: list[str | None] = []
    for tick in ticks:
        context = dg.build_schedule_context(scheduled_execution_time=tick, repository_def=defs.get_repository_def())
        requests = schedule.evaluate_tick(context).run_requests
        assert requests is not None
        newest.append(str(requests[0].partition_key))
        keys += [request.run_key for request in requests]
        # A tick may ask for a day as soon as it is over, and not earlier.
        with partition_loading_context(effective_dt=tick):
            assert partitions.get_last_partition_key() == newest[-1]
    first = date.fromisoformat(newest[0])
    assert newest == [str(first + timedelta(days=number)) for number in range(7)]
    assert len(set(keys)) == len(keys) == 21
    lengths = {}
    for day in newest:
        window = partitions.time_window_for_partition_key(day)
        lengths[day] = (window.end.timestamp() - window.start.timestamp()) / 3600
    assert lengths == dict.fromkeys(newest, 24) | hours


def test_the_key_is_shown_as_the_name_of_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAPIDAPI_KEY", KEY)
    defs = build_defs(settings_for("http://api.example/highlights"))
    from dagster._core.remote_representation.external_data import RepositorySnap
    from dagster._serdes import serialize_value

    shown = serialize_value(RepositorySnap.from_def(defs.get_repository_def()))
    assert '"RAPIDAPI_KEY"' in shown.replace("\\", "")
    assert KEY not in shown


@pytest.mark.parametrize(("count", "shown"), [("all", "all"), (3, "3")])
def test_the_number_of_videos_is_shown_as_a_person_sets_it(count: object, shown: str) -> None:
    defs = build_defs(settings_for("http://api.example/highlights", video_count=count))
    resource = defs.resources["settings"]  # type: ignore[index]
    assert resource.video_count == shown


def test_the_definitions_load_in_a_fresh_interpreter_without_what_only_some_runs_need() -> None:
    code = (
        "import sys, ncaa_assets.definitions as d; assert d.defs.resolve_job_def('daily_backup');"
        "print({'requests', 'dagster_aws', 'boto3', 'imageio_ffmpeg', 'tenacity'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "set()"
    assert "Warning" not in done.stderr


def test_dagster_aws_is_imported_by_no_file() -> None:
    """Importing it takes longer than importing all of Dagster. The instance on ECS names the classes that it needs."""
    files = [
        path.relative_to(PROJECT).as_posix()
        for path in (PROJECT / "ncaa_assets").rglob("*.py")
        if re.search(r"^\s*(import|from) dagster_aws", path.read_text("utf-8"), re.MULTILINE)
    ]
    assert files == []


def test_an_aws_deployment_swaps_the_three_services_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "NCAA_DEPLOYMENT": "aws", "S3_BUCKET_NAME": "bucket", "MEDIACONVERT_ROLE_ARN": "arn", "RAPIDAPI_KEY": "k",
        "AWS_DEFAULT_REGION": "us-east-1",
    }  # fmt: skip
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    archives = Archive.open(Settings.from_environment({})), Archive.open(Settings.from_environment(given))
    opened = [(archive.store, archive.table, open_transcoder(archive.settings, archive.store)) for archive in archives]
    assert [[type(service) for service in services] for services in opened] == [
        [LocalStore, SqliteTable, FfmpegTranscoder],
        [S3Store, DynamoDBTable, MediaConvertTranscoder],
    ]
    local, aws = (build_defs(archive.settings).resources or {} for archive in archives)
    assert local.keys() == aws.keys()


def test_dagster_validates_the_workspace(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("dagster")
    environment = {**os.environ, "DAGSTER_HOME": str(tmp_path)}
    done = subprocess.run(
        [program, "definitions", "validate", "-w", str(PROJECT / "workspace.yaml")],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_workspace_gives_the_code_location_the_same_name() -> None:
    inside = PROJECT / "ncaa_assets" / "instance"
    for path in (PROJECT / "workspace.yaml", inside / "workspace.yaml", inside / "ecs_workspace.yaml"):
        (location,) = yaml.safe_load(path.read_text())["load_from"]
        assert [one["location_name"] for one in location.values()] == [LOCATION], path


def test_dg_finds_the_same_definitions_and_leaves_workspace_yaml_in_force() -> None:
    """Dagster reads no workspace.yaml where pyproject.toml has a [tool.dg] or a [tool.dagster]."""
    project = tomllib.loads((PROJECT / "dg.toml").read_text("utf-8"))["project"]
    assert (project["code_location_name"], project["code_location_target_module"]) == (LOCATION, MODULE)
    assert not {"dg", "dagster"} & tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["tool"].keys()
