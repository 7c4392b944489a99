"""The instance on ECS: its file, and runs that the commands launch as tasks of their own.

The database (Postgres over TLS), the launcher and the waiting command are real. So is the command that the launcher
gives a task: it runs as a process. AWS is the cloud on loopback.
"""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from click.testing import Result
from dagster._config import validate_config
from dagster._config.field import Field
from dagster._core.instance.config import dagster_instance_config_schema
from dagster_shared.serdes import serialize_value

from ncaa_assets.runs import ecs
from ncaa_assets.runs import instance as instances
from ncaa_assets.runs.instance import open_instance
from ncaa_assets_tests.days import DAY, KEY
from ncaa_assets_tests.loopback import aws
from ncaa_assets_tests.loopback.aws import Cloud
from ncaa_assets_tests.loopback.fargate import FAMILY, Fargate, running_fargate
from ncaa_assets_tests.loopback.http_server import Handler, Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import record, serve_listing
from ncaa_assets_tests.loopback.postgres import Postgres, running_postgres
from ncaa_assets_tests.loopback.running_ui import COMMAND

BUCKET, TABLE = "highlights", "SportsHighlights"
CONFIGURATION = Path(instances.__file__).parents[1] / "instance" / "ecs.yaml"
NAMES = {
    "DAGSTER_POSTGRES_HOST", "DAGSTER_POSTGRES_USER", "DAGSTER_POSTGRES_PASSWORD", "DAGSTER_POSTGRES_DB",
    "DAGSTER_RUN_TASK_DEFINITION", "S3_BUCKET_NAME",
}  # fmt: skip


def configuration() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(CONFIGURATION.read_text("utf-8"))
    return loaded


@pytest.mark.slow
def test_every_block_of_the_file_is_what_dagster_and_the_classes_that_it_names_accept() -> None:
    """Nothing reads the launcher's and the log manager's configuration before the first launch."""
    from dagster_aws.ecs import EcsRunLauncher
    from dagster_aws.s3.compute_log_manager import S3ComputeLogManager

    every = configuration()
    whole = validate_config(Field(dagster_instance_config_schema()).config_type, every)
    assert whole.success, whole.errors
    for block, kind in (("run_launcher", EcsRunLauncher), ("compute_logs", S3ComputeLogManager)):
        assert every[block]["class"] == kind.__name__
        assert __import__(every[block]["module"], fromlist=[kind.__name__]).__dict__[kind.__name__] is kind
        result = validate_config(Field(kind.config_type()).config_type, every[block]["config"])
        assert result.success, result.errors
        assert not validate_config(Field(kind.config_type()).config_type, {**every[block]["config"], "x": 1}).success


def test_the_file_names_these_variables_and_no_others() -> None:
    def names(value: object) -> set[str]:
        if isinstance(value, dict):
            found = {value["env"]} if value.keys() == {"env"} else set()
            return found.union(*(names(one) for one in value.values()))
        return set()

    assert names(configuration()) == NAMES


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as running:
        yield running


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The instance's home as in the image, except for the folder where logs wait."""
    home = tmp_path / "ecs"
    home.mkdir()
    text = CONFIGURATION.read_text("utf-8")
    assert "local_dir: /tmp/dagster-logs" in text
    (home / "dagster.yaml").write_text(text.replace("/tmp/dagster-logs", str(tmp_path / "logs")))  # noqa: S108
    return home


@pytest.fixture
def environment(
    postgres: Postgres, cloud: Cloud, server: ScriptedServer, home: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """The environment of a task of the deployment, with the region in AWS_REGION alone: the launcher is dagster-aws's
    own."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    cloud.make_bucket(BUCKET)
    cloud.make_table(TABLE)
    video = server.on("/1.mp4", Reply(clip.read_bytes(), content_type="video/mp4"))
    return {
        **cloud.environment(), **postgres.environment(), "DAGSTER_HOME": str(home), "NCAA_DEPLOYMENT": "aws",
        "S3_BUCKET_NAME": BUCKET, "MEDIACONVERT_ROLE_ARN": "arn:aws:iam::123456789012:role/mediaconvert",
        "API_URL": serve_listing(server, lambda: [record(1, video), record(2, None)]), "RAPIDAPI_KEY": KEY,
        "VIDEO_ALLOW_PRIVATE_HOSTS": "1", "RETRY_DELAY": "0", "DAGSTER_RUN_TASK_DEFINITION": FAMILY,
    }  # fmt: skip


@pytest.fixture
def fargate(
    cloud: Cloud, server: ScriptedServer, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Fargate]:
    monkeypatch.setattr(ecs, "POLL_SECONDS", 0.2)
    with running_fargate(cloud, server, tmp_path, environment) as running:
        yield running


@pytest.fixture
def call(run: Callable[..., Result], fargate: Fargate, environment: dict[str, str]) -> Callable[..., Result]:
    """Runs the command in this process as if in a task of the cluster."""
    return lambda *arguments, **more: run(*arguments, **{**environment, **fargate.here, **more})


def runs_in(home: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> list[dg.DagsterRun]:
    """The runs in the database, which all tests of this file share: first runs, then runs that replaced one."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with open_instance(home) as instance:
        return sorted(instance.get_runs(), key=lambda run: run.tags.get("dagster/parent_run_id", ""))


@pytest.mark.slow
def test_the_instance_is_recorded_in_postgres_over_tls_and_its_reference_holds_no_password(
    postgres: Postgres, environment: dict[str, str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with open_instance(home) as instance:
        instance.get_runs_count()
        assert "Postgres" in type(instance.run_storage).__name__
        assert instance.run_monitoring_enabled
        assert instance.run_monitoring_start_timeout_seconds == 600
        assert instance.run_monitoring_max_resume_run_attempts == 0
        assert (instance.run_retries_enabled, instance.run_retries_max_retries) == (True, 1)
        assert instance.run_retries_retry_on_asset_or_op_failure is False
        assert instance.telemetry_enabled is False
        assert instance.nux_enabled is False
        told = serialize_value(instance.get_ref())
    assert postgres.password not in told
    assert "DAGSTER_POSTGRES_PASSWORD" in told


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"DAGSTER_POSTGRES_USER": ""}, "names DAGSTER_POSTGRES_USER, which is unset; set it"),
        ({"DAGSTER_POSTGRES_PASSWORD": "wrong"}, 'password authentication failed for user "dagster"'),
        ({"DAGSTER_RUN_TASK_DEFINITION": "gone"}, "there is no task definition of the name in"),
        ({"ECS_CONTAINER_METADATA_URI_V4": ""}, "this is not a task of an ECS cluster"),
    ],
)
def test_what_is_missing_around_the_instance_is_one_sentence(
    call: Callable[..., Result], fargate: Fargate, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], said: str
) -> None:
    monkeypatch.setattr("dagster_postgres.utils.calculate_delay", lambda **_: 0.0)
    (name,) = change
    done = call("backup", "--date", DAY, **change) if change[name] else without(call, monkeypatch, name)
    assert done.exit_code in (1, 2)
    assert said in done.stderr
    assert "unexpected" not in done.stderr
    assert fargate.workers == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "ok runs each gets a task of its own on ECS, and its task definition is there"),
        ({"DAGSTER_RUN_TASK_DEFINITION": "gone"}, "fail runs there is no task definition of the name in"),
    ],
)
def test_the_doctor_tells_whether_runs_can_be_launched(
    call: Callable[..., Result], change: dict[str, str], said: str
) -> None:
    assert said in " ".join(call("doctor", **change).stdout.split())


@pytest.mark.slow
def test_the_doctor_in_a_runs_task_does_not_miss_what_launching_takes(
    call: Callable[..., Result], cloud: Cloud
) -> None:
    cloud.fail("DescribeTaskDefinition", aws.error(400, "AccessDeniedException", times=None))
    assert "warn runs this role may not launch any" in " ".join(call("doctor").stdout.split())


def without(call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, name: str) -> Result:
    """Dagster counts an empty variable as set."""
    from ncaa_assets.commands import backup

    monkeypatch.setattr(backup, "load_dotenv", lambda: os.environ.pop(name, None))
    return call("backup", "--date", DAY)


@pytest.mark.slow
def test_the_command_launches_the_day_as_a_task_waits_for_it_and_reports(
    call: Callable[..., Result], cloud: Cloud, fargate: Fargate, postgres: Postgres, home: Path,
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def break_once_launched(call: aws.Call) -> None:
        fargate.after(call)
        if call.operation == "RunTask":
            cloud.fail("DescribeTasks", aws.error(400, "AccessDeniedException", times=2))

    cloud.after = break_once_launched
    done = call("backup", "--date", DAY)
    assert done.exit_code == 0, done.output
    assert capfd.readouterr().err.count("could not be looked at") == 2, "what passes does not end the watching"
    assert "1 video encoded" in done.stdout
    assert f"{DAY} backed up" in done.stdout
    (worker,) = fargate.workers
    assert worker.process is not None
    assert worker.process.wait() == 0
    assert worker.overrides_length < 8192 - 2048, "room for tags and longer names"
    assert postgres.password not in json.dumps(worker.task.overrides)
    assert KEY not in json.dumps(worker.task.overrides)
    assert cloud.times("RegisterTaskDefinition") == 0
    every = runs_in(home, environment, monkeypatch)
    (run,) = [one for one in every if one.tags.get("ecs/task_arn") == worker.task.task_arn]
    assert run.status == dg.DagsterRunStatus.SUCCESS
    assert run.tags["dagster/max_retries"] == "0"
    assert run.tags["dagster/code_location"] == "ncaa_assets"
    with open_instance(home) as instance:
        said = [one.user_message for one in instance.all_logs(run.run_id)]
    assert any(f"(pid: {worker.process.pid})" in one for one in said), "the worker executed it"
    listed = cloud.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
    tops = {one["Key"].split("/")[0] for one in listed}
    assert "dagster-logs" in tops
    assert tops - {"dagster-logs", ".quota"} == {"archive.json", "highlights", "videos", "processed_videos", "gallery"}

    cloud.after = fargate.after
    again = call("catch-up", "--days", "1")
    assert again.exit_code == 0, again.output
    assert len(fargate.workers) == 2, "yesterday was missing, and has a task too"


def once_killing(fargate: Fargate, clip: Path, by: signal.Signals) -> Callable[[Handler], None]:
    """Serves the video, but kills the first worker that asks for it."""

    def script(handler: Handler) -> None:
        (process, *others) = [worker.process for worker in fargate.workers]
        if not others and process is not None:
            process.send_signal(by)
            process.wait()
        Reply(clip.read_bytes(), content_type="video/mp4").send(handler)

    return script


@pytest.mark.slow
@pytest.mark.parametrize(
    ("by", "how"),
    [(signal.SIGKILL, "exit code 137"), (signal.SIGTERM, "interrupted unexpectedly")],
    ids=["killed", "stopped by AWS"],
)
def test_a_worker_that_dies_while_the_command_waits_is_noticed_and_replaced_once(  # noqa: PLR0917
    call: Callable[..., Result], fargate: Fargate, server: ScriptedServer, clip: Path, home: Path,
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
    by: signal.Signals, how: str,
) -> None:  # fmt: skip
    server.on("/1.mp4", once_killing(fargate, clip, by))
    done = call("backup", "--date", DAY)
    assert done.exit_code == 0, done.output
    said = capfd.readouterr().err
    assert how in said
    assert "running it once more" in said
    assert f"{DAY} backed up" in done.stdout
    arns = [worker.task.task_arn for worker in fargate.workers]
    mine = [run for run in runs_in(home, environment, monkeypatch) if run.tags.get("ecs/task_arn") in arns]
    first, second = mine
    assert (first.status, second.status) == (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS)
    assert second.parent_run_id == second.root_run_id == first.run_id


@pytest.mark.slow
def test_a_day_whose_worker_dies_twice_has_failed_and_says_how(call: Callable[..., Result], fargate: Fargate) -> None:
    fargate.kills = True
    done = call("backup", "--date", DAY)
    assert done.exit_code == 1
    assert "ncaa-assets: its worker ended without a report" in done.stderr
    assert "Container 'run' failed - exit code 137" in done.stderr
    assert f"{DAY} FAILED; done and kept: nothing" in done.stderr
    assert len(fargate.workers) == 2


@pytest.mark.slow
def test_a_task_that_cannot_start_is_told_with_its_reason(call: Callable[..., Result], fargate: Fargate) -> None:
    fargate.cannot_pull = "CannotPullContainerError: pull image manifest has been retried 1 time(s): not found"
    done = call("backup", "--date", DAY)
    assert done.exit_code == 1
    assert "CannotPullContainerError: pull image manifest" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_task_that_never_starts_is_given_up_and_stopped(
    call: Callable[..., Result], fargate: Fargate, cloud: Cloud, home: Path
) -> None:
    path = home / "dagster.yaml"
    path.write_text(path.read_text().replace("start_timeout_seconds: 600", "start_timeout_seconds: 1"))
    fargate.never_starts = True
    done = call("backup", "--date", DAY)
    assert done.exit_code == 1
    assert "its task did not start within" in done.stderr
    assert cloud.times("StopTask") == len(fargate.workers) == 2


@pytest.mark.slow
def test_a_task_that_aws_does_not_start_fails_the_day_with_a_sentence(
    call: Callable[..., Result], fargate: Fargate, cloud: Cloud
) -> None:
    cloud.fail("RunTask", aws.error(400, "AccessDeniedException", "not authorized", times=None))
    done = call("backup", "--date", DAY)
    assert done.exit_code == 1
    assert "these AWS credentials may not do RunTask on ECS" in done.stderr
    assert fargate.workers == []


@pytest.mark.slow
def test_a_command_that_is_ended_ends_its_run(
    fargate: Fargate, server: ScriptedServer, home: Path, environment: dict[str, str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    with subprocess.Popen(
        [COMMAND, "backup", "--date", DAY],
        env={**os.environ, **environment, **fargate.here},
        stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    ) as process:  # fmt: skip

        def end(handler: Handler) -> None:
            process.send_signal(signal.SIGTERM)
            worker = fargate.workers[-1].process
            assert worker is not None
            worker.wait(60)

        server.on("/1.mp4", end)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "ended before it was done" in said
    (worker,) = fargate.workers
    runs = runs_in(home, environment, monkeypatch)
    (run,) = [one for one in runs if one.tags.get("ecs/task_arn") == worker.task.task_arn]
    assert run.status == dg.DagsterRunStatus.CANCELED
