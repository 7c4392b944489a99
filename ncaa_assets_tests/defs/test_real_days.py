"""A run of a day that is no game day of the archive is refused in one sentence, wherever it comes from."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from ncaa_assets.definitions import build_defs
from ncaa_assets.runs.dagster_private import InMemoryJob, execute_run_iterator
from ncaa_assets.runs.execute import job_code_origin, job_origin
from ncaa_assets.runs.instance import open_instance
from ncaa_assets.runs.outcome import recall
from ncaa_assets.settings import Settings
from ncaa_assets_tests.days import KEY, settings_for
from ncaa_assets_tests.loopback.http_server import ScriptedServer
from ncaa_assets_tests.loopback.listing import serve_listing

TODAY = Settings().today()
# What Dagster cannot read as a day makes no run at all.
REFUSED = {
    "2025-3-4": "'2025-3-4' is not a date; write it as YYYY-MM-DD",
    "2025-03-4": "'2025-03-4' is not a date",
    "2024-10-31": "2024-10-31 is before START_DATE (2024-11-01); set START_DATE=2024-10-31 or earlier",
    str(TODAY): f"{TODAY} is not over yet in America/New_York; the newest day to back up is {TODAY - timedelta(1)}",
    str(TODAY + timedelta(400)): "is not over yet in America/New_York",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An instance that retries lost workers, as on ECS. Dagster takes a failure before the first step for one."""
    place = tmp_path_factory.mktemp("home")
    (place / "dagster.yaml").write_text(
        "telemetry: {enabled: false}\n"
        "run_retries: {enabled: true, max_retries: 1, retry_on_asset_or_op_failure: false}\n"
    )
    return place


@pytest.fixture
def instance(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", "")
    with open_instance(home) as opened:
        yield opened


@pytest.fixture
def settings(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("RAPIDAPI_KEY", KEY)
    return settings_for(serve_listing(server, list))


@pytest.mark.parametrize("assets", [None, ["highlights"], ["videos"]], ids=["all", "highlights", "videos"])
@pytest.mark.parametrize(("day", "sentence"), REFUSED.items(), ids=lambda text: text[:20])
def test_a_run_of_no_real_day_is_refused_and_touches_nothing(
    instance: dg.DagsterInstance,
    settings: Settings,
    server: ScriptedServer,
    day: str,
    sentence: str,
    assets: list[str] | None,
) -> None:
    """The UI's API takes any text for a partition, and its worker then runs as this one does."""
    job = build_defs(settings).resolve_job_def("daily_backup")
    keys = None if assets is None else frozenset(map(dg.AssetKey, assets))
    if keys is not None:
        job = job.get_subset(asset_selection=keys)
    run = instance.create_run_for_job(
        job, tags={"dagster/partition": day}, asset_selection=keys,
        remote_job_origin=job_origin(), job_code_origin=job_code_origin(),
    )  # fmt: skip
    list(execute_run_iterator(InMemoryJob(job), run, instance))
    ended = recall(instance, run.run_id)
    assert len(ended.errors) == 1
    assert sentence in (ended.what_went_wrong() or "")
    assert len(ended.what_went_wrong() or "") < 200
    assert server.asked == []
    assert not settings.archive_dir.exists()
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    assert found.status == dg.DagsterRunStatus.FAILURE
    assert found.tags.get("dagster/will_retry", "false") == "false"


def test_a_run_without_a_partition_is_not_repeated_either(instance: dg.DagsterInstance, settings: Settings) -> None:
    job = build_defs(settings).resolve_job_def("daily_backup")
    run = instance.create_run_for_job(job, remote_job_origin=job_origin(), job_code_origin=job_code_origin())
    list(execute_run_iterator(InMemoryJob(job), run, instance))
    assert recall(instance, run.run_id).what_went_wrong() == (
        "this run has no partition; choose the game day to materialize"
    )
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    assert found.tags.get("dagster/will_retry", "false") == "false"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["job", "execute", "-j", "daily_backup", "--tags", '{"dagster/partition": "2025-3-4"}'], "is not a date"),
        (["asset", "materialize", "--select", "highlights", "--partition", "2025-3-4"], "partition key `2025-3-4`"),
        (["asset", "materialize", "--select", "highlights", "--partition", str(TODAY)], f"partition key `{TODAY}`"),
    ],
    ids=["job execute", "asset materialize", "asset materialize of today"],
)
def test_dagsters_own_commands_refuse_it_too(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    program = Path(sys.executable).with_name("dagster")
    done = subprocess.run(
        [program, *arguments, "-m", "ncaa_assets.definitions"], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert sentence in done.stdout + done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith('{"event": "ncaa_assets_day"')]
    assert [(line["day"], line["result"]) for line in lines] == [("2025-3-4", "failed")] * (arguments[0] == "job")
    assert all(sentence in line["error"] for line in lines)
    assert not (tmp_path / "data-sample").exists()
