"""Each asset check, on an archive that is right and on one that was tampered with."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ncaa_assets.definitions import build_defs
from ncaa_assets.settings import Settings
from ncaa_assets_tests.days import DAY, record, run_day, serve_listing, settings_for
from ncaa_assets_tests.http_server import Reply, ScriptedServer, scripted_server


def settings_of(server: ScriptedServer, clip: Path, **values: Any) -> Settings:
    records = [record(1, server.on("/1.mp4", Reply(clip.read_bytes()))), record(2, None)]
    return settings_for(serve_listing(server, lambda: records), **values)


@pytest.fixture(scope="module")
def good_archive(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day backed up once, for each test to copy."""
    folder = tmp_path_factory.mktemp("good")
    with scripted_server() as server, pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAPIDAPI_KEY", "")
        environment.setenv("DAGSTER_HOME", "")
        ended = run_day(settings_of(server, clip, data_dir=folder / "data"), folder / "home")
    assert ended.succeeded
    assert ended.failed_checks == ended.warnings == []
    return folder / "data"


def failed_checks(settings: Settings) -> dict[str, str]:
    """The checks alone, run on the archive as it lies there: the failed ones with what they say."""
    job = dg.define_asset_job("checks", selection=dg.AssetSelection.all_asset_checks())
    defs = dg.Definitions.merge(build_defs(settings), dg.Definitions(jobs=[job]))
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_job_def("checks").execute_in_process(tags={"dagster/partition": DAY}, instance=instance)
    evaluations = result.get_asset_check_evaluations()
    assert len(evaluations) == 6
    assert all(evaluation.partition == DAY for evaluation in evaluations)
    return {one.check_name: str(one.description) for one in evaluations if not one.passed}


def edit(path: str, change: Callable[[Any], object]) -> None:
    document = json.loads(Path(path).read_text("utf-8"))
    change(document)
    Path(path).write_text(json.dumps(document), "utf-8")


def cut(path: str) -> None:
    Path(path).write_bytes(Path(path).read_bytes()[:-1])


def in_the_table(statement: str) -> None:
    with sqlite3.connect("data/highlights.sqlite") as table:
        table.execute(statement)


@pytest.mark.parametrize(
    ("check", "says", "tamper"),
    [
        (
            "ids_are_unique",
            "1",
            lambda: edit(f"data/highlights/{DAY}.json", lambda document: document["data"].append(document["data"][0])),
        ),
        ("rows_match_json", "2: no row", lambda: in_the_table("DELETE FROM highlights WHERE id = '2'")),
        (
            "rows_match_json",
            "1: the row has another content",
            lambda: in_the_table(
                "UPDATE highlights SET item = json_set(item, '$.content_hash', 'edited') WHERE id = '1'"
            ),
        ),
        (
            "rows_match_json",
            f"1: the row does not name {DAY}",
            lambda: in_the_table("UPDATE highlights SET item = json_set(item, '$.days', json('[]')) WHERE id = '1'"),
        ),
        ("copies_are_stored", "1.mp4: missing", lambda: Path(f"data/videos/{DAY}/1.mp4").unlink()),
        ("copies_are_stored", "bytes, not", lambda: cut(f"data/videos/{DAY}/1.mp4")),
        ("outputs_are_stored", "1.jpg: missing", lambda: Path(f"data/processed_videos/{DAY}/1.jpg").unlink()),
        ("outputs_are_stored", "bytes, not", lambda: cut(f"data/processed_videos/{DAY}/1.mp4")),
        (
            "outputs_are_stored",
            "not encoded",
            lambda: edit(f"data/processed_videos/{DAY}.json", lambda document: document["videos"].clear()),
        ),
        (
            "outputs_are_stored",
            "longer than its source",
            lambda: edit(
                f"data/processed_videos/{DAY}.json",
                lambda document: document["videos"][0].update(duration_seconds=9.0),
            ),
        ),
    ],
)
def test_a_check_finds_what_was_tampered_with_and_no_other_check_cries(
    good_archive: Path, check: str, says: str, tamper: Callable[[], object]
) -> None:
    shutil.copytree(good_archive, "data")
    settings = settings_for("http://not-asked.invalid/")
    assert failed_checks(settings) == {}
    tamper()
    found = failed_checks(settings)
    assert list(found) == [check]
    assert says in found[check]


def test_a_day_whose_videos_could_none_of_them_be_copied_is_a_warning_that_says_why(
    server: ScriptedServer, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAPIDAPI_KEY", "")
    monkeypatch.setenv("DAGSTER_HOME", "")
    settings = settings_of(server, clip)
    server.on("/1.mp4", Reply(b"gone", status=404))
    ended = run_day(settings, tmp_path / "home")
    assert ended.succeeded
    assert ended.failed_checks == []
    (warning,) = ended.warnings
    assert "some_video_could_be_copied" in warning
    assert "1: the host answers with status 404" in warning
    assert "2: the record has no url" in warning
