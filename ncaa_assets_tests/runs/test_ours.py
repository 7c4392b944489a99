"""Which runs are ours in an instance that others use too: by their code location, their job and their assets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest

from ncaa_assets.archive.archive import Archive
from ncaa_assets.definitions import build_defs
from ncaa_assets.runs.dagster_private import (
    CodePointer,
    JobPythonOrigin,
    LoadableTargetOrigin,
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
    RepositoryPythonOrigin,
)
from ncaa_assets.runs.execute import job_code_origin, job_origin
from ncaa_assets.runs.names import TRIGGER_TAG
from ncaa_assets.runs.ours import OurPart, our_part
from ncaa_assets_tests.days import DAY, settings_for

ALL_OURS = OurPart()


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("home"))) as made:
        yield made


def remote(location: str, *, module: str = "theirs.definitions", job: str = "daily_backup") -> RemoteJobOrigin:
    target = LoadableTargetOrigin(executable_path="python", module_name=module)
    place = ManagedGrpcPythonEnvCodeLocationOrigin(target, location_name=location)
    return RemoteRepositoryOrigin(place, "__repository__").get_job_origin(job)


def code(module: str) -> JobPythonOrigin:
    return RepositoryPythonOrigin("python", CodePointer.from_module(module, "defs", None)).get_job_origin("a_job")


def keys(*names: str) -> frozenset[dg.AssetKey]:
    return frozenset(map(dg.AssetKey, names))


def run_of(job: str = "daily_backup", **fields: Any) -> dg.DagsterRun:
    return dg.DagsterRun(job, run_id=str(uuid4()), tags={"dagster/partition": DAY, **fields.pop("tags", {})}, **fields)


@pytest.mark.parametrize(
    "run",
    [
        run_of(remote_job_origin=job_origin(), tags={TRIGGER_TAG: "backup"}),
        run_of(remote_job_origin=remote("ncaa_assets")),
        run_of("__ASSET_JOB", remote_job_origin=remote("ncaa_assets"), asset_selection=keys("videos")),
        run_of("__ASSET_JOB_0", remote_job_origin=remote("ncaa_assets"), asset_selection=keys("videos")),
        run_of(remote_job_origin=remote("ncaa_assets.definitions", module="ncaa_assets.definitions")),
        run_of(),
        run_of(job_code_origin=job_code_origin()),
        run_of("__ASSET_JOB", job_code_origin=code("ncaa_assets.definitions"), asset_selection=keys("highlights")),
        run_of(
            "__ASSET_JOB",
            remote_job_origin=remote("ncaa_assets"),
            asset_selection=frozenset(),
            asset_check_selection=frozenset({dg.AssetCheckKey(dg.AssetKey("videos"), "copies_are_intact")}),
        ),
    ],
    ids=["a command", "the queue", "the UI's button", "an earlier Dagster", "dagster dev -m", "no origin",
         "dagster job execute", "dagster asset materialize", "checks alone"],
)  # fmt: skip
def test_ours(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    assert our_part(instance, run) == ALL_OURS


@pytest.mark.parametrize(
    "run",
    [
        run_of(remote_job_origin=remote("theirs")),
        run_of("__ASSET_JOB", remote_job_origin=remote("theirs"), asset_selection=keys("videos")),
        run_of("__ASSET_JOB", remote_job_origin=remote("ncaa_assets"), asset_selection=keys("mine")),
        run_of("nightly", remote_job_origin=remote("ncaa_assets")),
        run_of("nightly"),
        run_of(job_code_origin=code("theirs.definitions")),
        run_of("__ASSET_JOB", remote_job_origin=remote("ncaa_assets"), asset_selection=keys("other/videos")),
    ],
    ids=["another location", "its asset", "an asset beside ours", "another job", "without an origin", "other code",
         "another key"],
)  # fmt: skip
def test_of_others(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    assert our_part(instance, run) is None


def test_a_location_of_another_name_asks_for_its_own_runs_and_those_of_commands(instance: dg.DagsterInstance) -> None:
    own = run_of(remote_job_origin=remote("women", module="ncaa_assets.definitions"))
    assert our_part(instance, own, location="women") == ALL_OURS
    assert our_part(instance, own, location="men") is None
    of_a_command = run_of(remote_job_origin=job_origin(), tags={TRIGGER_TAG: "catch-up"})
    assert our_part(instance, of_a_command, location="women") == ALL_OURS
    assert our_part(instance, run_of(remote_job_origin=remote("ncaa_assets")), location="women") is None


def test_a_run_may_be_ours_in_part(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """A job of another project selects one of our assets and its own; its run names neither but in its events."""

    @dg.asset(partitions_def=dg.DailyPartitionsDefinition("2024-11-01", timezone="America/New_York"))
    def mine(highlights: Any) -> None:
        raise NotImplementedError

    settings = settings_for("http://api.example/highlights", data_dir=tmp_path / "data")
    both = dg.define_asset_job("both", selection=["highlights", "mine"])
    project = dg.Definitions.merge(
        build_defs(settings, archive=Archive.open(settings)), dg.Definitions(assets=[mine], jobs=[both])
    )
    job = project.resolve_job_def("both")
    run = instance.create_run_for_job(job, tags={"dagster/partition": DAY}, remote_job_origin=remote("ncaa_assets"))
    part = our_part(instance, run)
    assert part == OurPart(frozenset({"mine"}))
    assert part is not None
    event = dg.DagsterEventType.STEP_START.value
    assert part.is_of_others(dg.DagsterEvent(event, "both", step_key="mine"))
    assert not part.is_of_others(dg.DagsterEvent(event, "both", step_key="highlights"))
    assert not part.is_of_others(dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, "both"))
