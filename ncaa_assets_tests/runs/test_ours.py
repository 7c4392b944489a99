"""Which runs are ours in an instance that others use too: by their code location, their job and their assets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest

from ncaa_assets.archive.archive import Archive
from ncaa_assets.definitions import build_defs
from ncaa_assets.record.models import ASSETS
from ncaa_assets.runs.dagster_private import (
    CodePointer,
    GrpcServerCodeLocationOrigin,
    JobPythonOrigin,
    LoadableTargetOrigin,
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
    RepositoryPythonOrigin,
)
from ncaa_assets.runs.execute import job_code_origin, job_origin
from ncaa_assets.runs.names import TRIGGER_TAG, shown_name
from ncaa_assets.runs.ours import OurPart, our_part
from ncaa_assets_tests.days import DAY, settings_for

ALL_OURS = OurPart()


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("home"))) as made:
        yield made


def remote(
    location: str, *, module: str | None = None, file: str | None = None, job: str = "daily_backup"
) -> RemoteJobOrigin:
    """The origin of a run of a location that a webserver or a daemon has started; that of ours has our module."""
    if module is None and file is None:
        module = "ncaa_assets.definitions" if location == "ncaa_assets" else "theirs.definitions"
    target = LoadableTargetOrigin(executable_path="python", module_name=module, python_file=file)
    place = ManagedGrpcPythonEnvCodeLocationOrigin(target, location_name=location)
    return RemoteRepositoryOrigin(place, "__repository__").get_job_origin(job)


def served(location: str) -> RemoteJobOrigin:
    """The origin of a run of a location whose code server others started, as on ECS."""
    place = GrpcServerCodeLocationOrigin(host="127.0.0.1", port=4000, location_name=location)
    return RemoteRepositoryOrigin(place, "__repository__").get_job_origin("daily_backup")


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
        run_of(remote_job_origin=served("ncaa_assets")),
        run_of(job_code_origin=job_code_origin()),
        run_of("__ASSET_JOB", job_code_origin=code("ncaa_assets.definitions"), asset_selection=keys("highlights")),
        run_of(
            "__ASSET_JOB",
            remote_job_origin=remote("ncaa_assets"),
            asset_selection=frozenset(),
            asset_check_selection=frozenset({dg.AssetCheckKey(dg.AssetKey("videos"), "copies_are_intact")}),
        ),
    ],
    ids=["a command", "the queue", "the UI's button", "an earlier Dagster", "dagster dev -m", "a code server",
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
        run_of(),
        run_of(remote_job_origin=remote("ncaa_assets", module="theirs.definitions"), tags={TRIGGER_TAG: "backup"}),
        run_of(remote_job_origin=remote("ncaa_assets", file="theirs.py")),
        run_of(remote_job_origin=remote("women", module="ncaa_assets.definitions")),
        run_of(job_code_origin=code("theirs.definitions")),
        run_of("__ASSET_JOB", remote_job_origin=remote("ncaa_assets"), asset_selection=keys("other/videos")),
    ],
    ids=["another location", "its asset", "an asset beside ours", "another job", "without an origin",
         "a namesake of our job without an origin", "a namesake of our location", "a namesake of it in a file",
         "a location of our code by another name", "other code", "another key"],
)  # fmt: skip
def test_of_others(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    assert our_part(instance, run) is None


def test_a_location_of_another_name_asks_for_its_own_runs_and_those_of_commands(instance: dg.DagsterInstance) -> None:
    own = run_of(remote_job_origin=remote("women", module="ncaa_assets.definitions"))
    assert our_part(instance, own, location="women") == ALL_OURS
    assert our_part(instance, own, location="men") is None
    of_a_command = run_of(remote_job_origin=job_origin(), tags={TRIGGER_TAG: "catch-up"})
    assert our_part(instance, of_a_command, location="women") == ALL_OURS
    in_the_ui = run_of(remote_job_origin=remote("ncaa_assets"))
    assert our_part(instance, in_the_ui, location="women") is None
    namesake = run_of(remote_job_origin=remote("ncaa_assets", module="theirs"), tags={TRIGGER_TAG: "catch-up"})
    assert our_part(instance, namesake, location="women") is None
    served_namesake = run_of(remote_job_origin=served("ncaa_assets"), tags={TRIGGER_TAG: "catch-up"})
    assert our_part(instance, served_namesake, location="women") is None


def test_a_run_may_be_ours_in_part(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """A job of another project selects one of our assets and its own; its run names neither but in its events. A step
    of theirs may make several assets, or one in several steps, and then has none's name."""
    days = dg.DailyPartitionsDefinition("2024-11-01", timezone="America/New_York")

    @dg.multi_asset(specs=[dg.AssetSpec("mine", deps=["highlights"]), dg.AssetSpec("also")], partitions_def=days)
    def load_all() -> tuple[Any, Any]:
        raise NotImplementedError

    @dg.op
    def first() -> int:
        raise NotImplementedError

    @dg.graph_asset(partitions_def=days)
    def in_steps() -> Any:
        return first()

    settings = settings_for("http://api.example/highlights", data_dir=tmp_path / "data")
    both = dg.define_asset_job("both", selection=["highlights", "mine", "also", "in_steps"])
    theirs = dg.Definitions(assets=[load_all, in_steps], jobs=[both])
    project = dg.Definitions.merge(build_defs(settings, archive=Archive.open(settings)), theirs)
    job = project.resolve_job_def("both")

    def check(run: dg.DagsterRun) -> None:
        part = our_part(instance, run)
        assert part is not None
        assert not part.is_all

        def is_of_others(step: str | None, kind: dg.DagsterEventType = dg.DagsterEventType.STEP_START) -> bool:
            return part.is_of_others(dg.DagsterEvent(kind.value, "both", step_key=step))

        assert all(map(is_of_others, ("load_all", "in_steps.first")))
        assert not is_of_others("highlights")
        assert not is_of_others("highlights_ids_are_unique")
        assert not is_of_others(None, dg.DagsterEventType.RUN_START)

    tags = {"dagster/partition": DAY}
    check(instance.create_run_for_job(job, tags=tags, remote_job_origin=remote("ncaa_assets")))
    check(instance.create_run_for_job(job, tags=tags))
    every = {*map(dg.AssetKey, ("highlights", "mine", "also", "in_steps"))}
    check(instance.create_run_for_job(job, tags=tags, remote_job_origin=remote("ncaa_assets"), asset_selection=every))


def test_a_run_in_the_process_of_a_script_is_known_by_the_assets_that_it_plans(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    settings = settings_for("http://api.example/highlights", data_dir=tmp_path / "data")
    job = build_defs(settings, archive=Archive.open(settings)).resolve_job_def("daily_backup")
    run = instance.create_run_for_job(job, tags={"dagster/partition": DAY})
    assert our_part(instance, run) == ALL_OURS


@pytest.mark.parametrize(
    ("run", "shown"),
    [
        (run_of(asset_selection=keys("videos")), "daily_backup"),
        (run_of("__ASSET_JOB", asset_selection=keys("videos", "highlights")), "highlights, videos"),
        (run_of("__anonymous_asset_job_1", asset_selection=keys("videos")), "videos"),
        (
            run_of("__ASSET_JOB", asset_selection=keys("b", "a", *ASSETS)),
            "highlights, backup_rows, videos, processed_videos, gallery and 2 more",
        ),
        (
            run_of(
                "__ASSET_JOB",
                asset_selection=frozenset(),
                asset_check_selection=frozenset({dg.AssetCheckKey(dg.AssetKey("videos"), "copies_are_intact")}),
            ),
            "checks of videos",
        ),
        (run_of("__ASSET_JOB"), "__ASSET_JOB"),
    ],
)
def test_a_run_of_a_button_is_called_by_what_it_makes(run: dg.DagsterRun, shown: str) -> None:
    """An alert said "__ASSET_JOB of 2025-03-09 failed", which is a name that the UI shows nowhere."""
    assert shown_name(run) == shown
