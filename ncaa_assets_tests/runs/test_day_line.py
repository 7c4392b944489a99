"""The line that a run logs of its day says what the day is when the run ends, whatever the run was asked for and
wherever it failed. Each case is a real run on a real instance."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg
import pytest

from ncaa_assets import failures
from ncaa_assets.archive.archive import Archive
from ncaa_assets.definitions import build_defs
from ncaa_assets.defs.partitions import game_days
from ncaa_assets.defs.resources import build_resources
from ncaa_assets.gallery.publish import Published, is_published
from ncaa_assets.record.models import ProcessedDay
from ncaa_assets.runs.instance import open_instance
from ncaa_assets.settings import Settings
from ncaa_assets_tests.archives import lease_of
from ncaa_assets_tests.days import DAY, KEY, back_up, settings_for
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import API_PATH, record, serve_listing

BROKEN = "encoder is broken"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def records(server: ScriptedServer, clip: Path) -> list[Any]:
    return [record(1, server.on("/1.mp4", Reply(clip.read_bytes())))]


@pytest.fixture
def settings(server: ScriptedServer, records: list[Any], monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("RAPIDAPI_KEY", KEY)
    monkeypatch.setenv("DAGSTER_HOME", "")
    return settings_for(serve_listing(server, lambda: records))


_defs: dict[str, dg.Definitions] = {}


def the_job() -> dg.JobDefinition:
    """The daily job of the test's own definitions, as Dagster finds it again for a run that repeats one."""
    return _defs["now"].resolve_job_def("daily_backup")


@dataclass
class Runs:
    """Runs of one day, each with the lines that it logs."""

    instance: dg.DagsterInstance
    settings: Settings
    capfd: pytest.CaptureFixture[str]
    last: str = ""

    def run(
        self, *assets: str, others: dg.Definitions | None = None, job: str = "daily_backup", **options: Any
    ) -> list[dict[str, Any]]:
        """A run of some assets, of all where none are named. `others` are another project's definitions beside ours."""
        defs = build_defs(self.settings)
        where = {"tags": {"dagster/partition": DAY}} if job == "checks" else {"partition_key": DAY}
        made = (dg.Definitions.merge(defs, others) if others else defs).resolve_job_def(job)
        keys = [dg.AssetKey(name) for name in assets] or None
        options = {"raise_on_error": False, "asset_selection": keys, **where, **options}
        done = made.execute_in_process(instance=self.instance, **options)
        self.last = done.run_id
        return self.lines()

    def again_from_failure(self) -> list[dict[str, Any]]:
        """The last run, repeated as Dagster's retries on ECS repeat it, and read afterwards as `dagster job execute`
        does, which opens the resources once more."""
        _defs["now"] = build_defs(self.settings)
        options = dg.ReexecutionOptions.from_failure(self.last, self.instance)
        with dg.execute_job(
            dg.reconstructable(the_job),
            self.instance,
            tags={"dagster/partition": DAY},
            reexecution_options=options,
            raise_on_error=False,
        ) as done:
            self.last = done.run_id
        return self.lines()

    def lines(self) -> list[dict[str, Any]]:
        said = self.capfd.readouterr().err
        return [json.loads(line) for line in said.splitlines() if line.startswith('{"event": "ncaa_assets_day"')]


@pytest.fixture
def runs(home: Path, settings: Settings, capfd: pytest.CaptureFixture[str]) -> Iterator[Runs]:
    with open_instance(home) as instance:
        yield Runs(instance, settings, capfd)


def ends(lines: list[dict[str, Any]]) -> tuple[str, str | None]:
    """The result and the error of the only line."""
    (line,) = lines
    assert (line["day"], line["sample"]) == (DAY, False)
    return line["result"], line["error"]


def step(asset: str) -> ModuleType:
    """The module of an asset, which has the asset's own name in its package."""
    return sys.modules[f"ncaa_assets.defs.assets.{asset}"]


def raising(error: Exception) -> Callable[..., Any]:
    def fails(*_: Any, **__: Any) -> Any:
        raise error

    return fails


def test_a_run_that_is_repeated_from_its_failure_and_completes_the_day_has_backed_it_up(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(step("processed_videos"), "encode", raising(failures.EncodeFailed(BROKEN)))
        assert ends(runs.run()) == ("failed", f"processed_videos: {BROKEN}")
        assert ends(runs.again_from_failure()) == ("failed", f"processed_videos: {BROKEN}")
    assert ends(runs.again_from_failure()) == ("backed_up", None)


def test_pages_that_cannot_be_made_fail_the_day_and_keep_its_videos(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = Archive.open(runs.settings)
    with monkeypatch.context() as broken:
        broken.setattr(step("gallery"), "publish", raising(failures.StoreError("nobody may write here")))
        assert ends(runs.run()) == ("failed", "gallery: nobody may write here")
    assert [video.id for video in archive.load(ProcessedDay, DAY).videos] == ["1"]
    assert not is_published(archive, DAY)
    assert ends(runs.again_from_failure()) == ("backed_up", None)
    assert is_published(archive, DAY)


def test_a_day_whose_document_the_pages_cannot_read_has_failed(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = Published(damaged={DAY: "its checksum is wrong"})
    monkeypatch.setattr(step("gallery"), "publish", lambda *_: damaged)
    assert ends(runs.run()) == ("failed", "gallery: its checksum is wrong")


def test_the_four_assets_of_a_run_that_an_earlier_version_planned_leave_the_keys_to_the_next(runs: Runs) -> None:
    """Dagster repeats a recorded run with the assets that it had."""
    lacks = "failed: 1 row without the keys of what was copied or encoded"
    assert ends(runs.run("highlights", "backup_rows", "videos", "processed_videos")) == ("partial", lacks)
    assert Archive.open(runs.settings).state(DAY).lacks == lacks, "catch-up takes it up"
    assert ends(runs.run("gallery")) == ("backed_up", None)


def test_what_is_repeated_does_not_make_a_listing_whole(
    runs: Runs, records: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ncaa_assets.record.models.FetchRecord.is_whole", lambda *_: False)
    with monkeypatch.context() as broken:
        broken.setattr(step("processed_videos"), "encode", raising(failures.EncodeFailed(BROKEN)))
        runs.run()
    assert ends(runs.again_from_failure()) == (
        "incomplete",
        "incomplete: the last fetch did not read the whole listing",
    )


RESOURCES = {
    "archive": "ncaa_assets.definitions.Archive.open",
    "day": "ncaa_assets.archive.archive.Archive.lease",
    "the archive's identity": "ncaa_assets.archive.archive.Archive.exists",
    "source": "ncaa_assets.defs.resources.open_source",
    "copier": "ncaa_assets.defs.resources.open_copier",
    "transcoder": "ncaa_assets.defs.resources.open_transcoder",
}


@pytest.mark.parametrize("error", [failures.StoreError("it is shut"), OSError("a riddle")], ids=["known", "unforeseen"])
@pytest.mark.parametrize("place", RESOURCES.values(), ids=RESOURCES)
def test_what_cannot_be_opened_is_the_error_of_the_only_line(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, place: str, error: Exception
) -> None:
    monkeypatch.setattr(place, raising(error))
    result, why = ends(runs.run())
    assert result == "failed"
    assert str(error) in str(why)


@pytest.mark.parametrize("is_there", [False, True], ids=["new day", "whole day"])
@pytest.mark.parametrize(
    ("assets", "undone"),
    [
        (("highlights",), "failed: 1 highlight without a row"),
        (("highlights", "backup_rows"), "missing: its videos or their encodes were never recorded"),
        (("highlights", "videos"), "failed: 1 highlight without a row"),
        (("highlights", "backup_rows", "videos"), "missing: its videos or their encodes were never recorded"),
    ],
    ids=["highlights", "with rows", "with videos", "with both"],
)
def test_a_run_of_some_assets_has_backed_up_a_day_that_is_whole_with_them(
    runs: Runs, assets: tuple[str, ...], undone: str, is_there: bool
) -> None:
    if is_there:
        back_up(runs.settings)
    assert ends(runs.run(*assets)) == (("backed_up", None) if is_there else ("partial", undone))


def test_the_last_asset_alone_may_complete_the_day(runs: Runs) -> None:
    assert ends(runs.run("highlights", "backup_rows", "videos", "processed_videos"))[0] == "partial"
    assert ends(runs.run("gallery")) == ("backed_up", None)


def test_a_run_of_fewer_videos_than_the_day_is_to_have_has_not_backed_it_up(
    runs: Runs, records: list[Any], server: ScriptedServer, clip: Path
) -> None:
    records.append(record(2, server.on("/2.mp4", Reply(clip.read_bytes() + b"\0" * 8))))
    runs.settings = runs.settings.model_copy(update={"video_count": 2})
    fewer = {"ops": {"videos": {"config": {"video_count": "1"}}}}
    assert ends(runs.run(run_config=fewer)) == ("incomplete", "failed: 1 video not copied")
    assert ends(runs.run()) == ("backed_up", None)


def test_what_is_stored_and_cannot_be_read_in_the_end_fails_the_line_and_not_the_run(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ncaa_assets.archive.archive.day_state.state_of", raising(failures.StoreError("it is shut")))
    assert ends(runs.run("highlights")) == ("failed", "what is stored of the day cannot be read: it is shut")
    run = runs.instance.get_run_by_id(runs.last)
    assert run is not None
    assert run.status == dg.DagsterRunStatus.SUCCESS


@pytest.mark.parametrize("assets", [(), ("videos",)], ids=["all", "videos"])
def test_a_day_that_another_run_holds_is_told_with_its_holder(runs: Runs, assets: tuple[str, ...]) -> None:
    back_up(runs.settings)
    with lease_of(Archive.open(runs.settings).store, DAY, "another"):
        result, why = ends(runs.run(*assets))
    assert result == "skipped"
    assert "another" in str(why)


def test_requests_that_are_kept_back_are_told_as_such(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step("highlights"), "fetch", raising(failures.QuotaKept("9 are kept")))
    assert ends(runs.run()) == ("not_started", "highlights: 9 are kept")


@pytest.mark.parametrize("assets", [(), ("highlights",)], ids=["all", "highlights"])
def test_a_run_that_is_stopped_on_the_way_says_so(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, assets: tuple[str, ...]
) -> None:
    def stop(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    for module, name in ((step("highlights"), "fetch"), (sys.modules[build_resources.__module__], "open_source")):
        monkeypatch.setattr(module, name, stop)
        with pytest.raises(KeyboardInterrupt):
            runs.run(*assets, raise_on_error=True)
        result, why = ends(runs.lines())
        assert result == "ended"
        assert why == "the run was stopped on the way; the day's next run continues from there"


@pytest.mark.parametrize("fails", ["an asset", "a check", "a check's program", "ours", None])
def test_of_a_run_with_assets_of_others_the_line_tells_of_ours(
    runs: Runs, server: ScriptedServer, fails: str | None
) -> None:
    @dg.asset(partitions_def=game_days(runs.settings), key_prefix="theirs")
    def mine(highlights: Any) -> None:
        if fails == "an asset":
            raise ValueError("mine is broken")

    @dg.asset_check(asset=mine)
    def is_good() -> dg.AssetCheckResult:
        if fails == "a check's program":
            raise ValueError("the check is broken")
        return dg.AssetCheckResult(passed=fails != "a check")

    if fails == "ours":
        server.on(API_PATH, Reply(status=403))
    all_of_both = dg.define_asset_job("both", selection=dg.AssetSelection.all())
    others = dg.Definitions(assets=[mine], asset_checks=[is_good], jobs=[all_of_both])
    result, why = ends(runs.run(others=others, job="both"))
    if fails == "ours":
        assert (result, str(why)[:33]) == ("failed", "highlights: the API denied access")
    else:
        assert (result, why) == ("backed_up", None)


def test_checks_alone_log_no_line_even_where_the_archive_cannot_be_opened(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(runs.settings)
    checks = dg.define_asset_job("checks", selection=dg.AssetSelection.all_asset_checks())
    assert runs.run(others=dg.Definitions(jobs=[checks]), job="checks") == []
    monkeypatch.setattr("ncaa_assets.definitions.Archive.open", raising(failures.StoreError("it is shut")))
    assert runs.run(others=dg.Definitions(jobs=[checks]), job="checks") == []
