"""Each asset check, on a good archive and on one that was tampered with."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ncaa_assets.archive.reconcile import all_pages, some_copied
from ncaa_assets.definitions import build_defs
from ncaa_assets.defs.by_nine import CHECK
from ncaa_assets.defs.metadata import escaped
from ncaa_assets.record.models import SkippedVideo, VideosDay
from ncaa_assets.runs.outcome import recall
from ncaa_assets.settings import Settings
from ncaa_assets_tests.days import DAY, KEY, back_up, command, run_day, settings_for
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer, scripted_server
from ncaa_assets_tests.loopback.listing import record, serve_listing


def settings_of(server: ScriptedServer, clip: Path, **values: Any) -> Settings:
    records = [record(1, server.on("/1.mp4", Reply(clip.read_bytes()))), record(2, None)]
    return settings_for(serve_listing(server, lambda: records), **values)


@pytest.fixture(scope="module")
def good_archive(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day that was backed up once, for each test to copy."""
    folder = tmp_path_factory.mktemp("good")
    with scripted_server() as server, pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAPIDAPI_KEY", "")
        environment.setenv("DAGSTER_HOME", "")
        back_up(settings_of(server, clip, data_dir=folder / "data"))
    return folder / "data"


def only_checks(settings: Settings) -> dg.JobDefinition:
    job = dg.define_asset_job(
        "checks", selection=dg.AssetSelection.all_asset_checks() - dg.AssetSelection.checks(CHECK)
    )
    return dg.Definitions.merge(build_defs(settings), dg.Definitions(jobs=[job])).resolve_job_def("checks")


def checked(settings: Settings) -> dict[str, dg.AssetCheckEvaluation]:
    """Runs only the checks, on the archive as it is."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = only_checks(settings).execute_in_process(
            tags={"dagster/partition": DAY}, instance=instance, raise_on_error=False
        )
    evaluations = result.get_asset_check_evaluations()
    assert len(evaluations) == 9
    assert all(evaluation.partition == DAY for evaluation in evaluations)
    return {evaluation.check_name: evaluation for evaluation in evaluations}


def failed_checks(settings: Settings) -> dict[str, str]:
    return {name: str(check.metadata["summary"].value) for name, check in checked(settings).items() if not check.passed}


def edit(path: str, change: Callable[[Any], object]) -> None:
    document = json.loads(Path(path).read_text("utf-8"))
    change(document)
    document.pop("content_sha256", None)
    Path(path).write_text(json.dumps(document), "utf-8")


def cut(path: str) -> None:
    Path(path).write_bytes(Path(path).read_bytes()[:-1])


def flip_a_bit(path: str) -> None:
    data = bytearray(Path(path).read_bytes())
    data[len(data) // 2] ^= 1
    Path(path).write_bytes(data)


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
        ("rows_match_json", "2: has no row", lambda: in_the_table("DELETE FROM highlights WHERE id = '2'")),
        (
            "rows_match_json",
            "1: has a row that differs from the JSON in content_hash",
            lambda: in_the_table(
                "UPDATE highlights SET item = json_set(item, '$.content_hash', 'edited') WHERE id = '1'"
            ),
        ),
        (
            "rows_match_json",
            f"1: has a row that does not name {DAY}",
            lambda: in_the_table("UPDATE highlights SET item = json_set(item, '$.days', json('[]')) WHERE id = '1'"),
        ),
        (
            "rows_match_json",
            "1: has a row that differs from the JSON in newField, title",
            lambda: in_the_table(
                "UPDATE highlights SET item = json_set(json_remove(item, '$.newField'), '$.title', 'x') WHERE id = '1'"
            ),
        ),
        (
            "records_are_as_recorded",
            "2: was listed once, and is no longer in the day's JSON",
            lambda: edit(f"data/highlights/{DAY}.json", lambda document: document["data"].pop()),
        ),
        ("copies_are_intact", "1.mp4: is missing", lambda: Path(f"data/videos/{DAY}/1.mp4").unlink()),
        ("copies_are_intact", "were recorded", lambda: cut(f"data/videos/{DAY}/1.mp4")),
        ("copies_are_intact", "another sha256", lambda: flip_a_bit(f"data/videos/{DAY}/1.mp4")),
        ("outputs_are_stored", "1.jpg: is missing", lambda: Path(f"data/processed_videos/{DAY}/1.jpg").unlink()),
        ("outputs_are_stored", "were recorded", lambda: cut(f"data/processed_videos/{DAY}/1.mp4")),
        (
            "outputs_are_stored",
            "was not encoded",
            lambda: edit(f"data/processed_videos/{DAY}.json", lambda document: document["videos"].clear()),
        ),
        (
            "outputs_last_as_long_as_their_sources",
            "lasts 2.0 s and its source 3.1 s",
            lambda: edit(
                f"data/videos/{DAY}.json",
                lambda document: document["videos"][0].update(duration_seconds=3.1),
            ),
        ),
    ],
)
def test_a_check_finds_what_was_tampered_with_and_no_other_check_fails(
    good_archive: Path, check: str, says: str, tamper: Callable[[], object]
) -> None:
    shutil.copytree(good_archive, "data")
    settings = settings_for("http://not-asked.invalid/")
    assert failed_checks(settings) == {}
    tamper()
    failed = failed_checks(settings)
    assert list(failed) == [check]
    assert says in failed[check]


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


@pytest.mark.parametrize(
    ("kinds", "says", "remedy"),
    [
        (["page"] * 12, "all 12 clips of the day are web pages", "to copy the videos of such pages, write VIDEO_PAGES"),
        (["runtime", "unresolved"], "all 2 clips of the day", "1 of them need a JavaScript runtime: run `make"),
        (["unresolved"], "the day's only clip is a web page", "nothing to do: no video was found behind this link"),
    ],
)
def test_a_day_of_web_pages_is_one_sentence_that_says_what_to_do(kinds: list[str], says: str, remedy: str) -> None:
    manifest = VideosDay(date=DAY, skipped=[skip(number, kind) for number, kind in enumerate(kinds)])
    ((finding,), _) = vars(some_copied(manifest)).values()
    assert finding.problem.startswith(says)
    assert "(youtube.com), not " in finding.problem
    assert finding.remedy.startswith(remedy)
    assert ("backup --date" in finding.remedy) is (kinds != ["unresolved"])


def test_a_day_of_which_one_clip_is_no_page_gives_a_reason_for_each() -> None:
    manifest = VideosDay(date=DAY, skipped=[skip(1, "page"), skip(2, "gone"), skip(3, "page")])
    assert all_pages(manifest) is None
    assert len(some_copied(manifest).findings) == 3
    manifest.skipped[1].kind = "page"
    assert all_pages(manifest) is not None


def skip(number: int, kind: str) -> SkippedVideo:
    return SkippedVideo(
        id=str(number), title=None, source_url=f"https://www.youtube.com/watch?v={number}", kind=kind,
        reason=f"why {kind}", at="2025-03-12T09:00:00Z",
    )  # fmt: skip


def test_the_command_says_once_that_a_day_has_only_web_pages(server: ScriptedServer) -> None:
    page = Reply(b"<!doctype html><title>Watch</title>", content_type="text/html")
    records = [record(number, server.on(f"/watch/{number}", page)) for number in range(1, 13)]
    listing = serve_listing(server, lambda: records)
    done = command("backup", "--date", DAY, API_URL=listing, RAPIDAPI_KEY=KEY, VIDEO_ALLOW_PRIVATE_HOSTS="1")
    assert done.returncode == 0, done.stderr
    told = "all 12 clips of the day are web pages (127.0.0.1), not files: nothing was copied"
    lines = done.stdout.splitlines()
    assert [line for line in lines if "web page" in line] == [summary := f"  videos            {told}"]
    (remedy,) = (line for line in lines if line.startswith("  what to do "))
    assert remedy.startswith("  what to do        to copy the videos of such pages, ")
    assert lines.index(remedy) > lines.index(summary)


def test_each_check_shows_its_evidence_and_what_to_do(good_archive: Path) -> None:
    shutil.copytree(good_archive, "data")
    flip_a_bit(f"data/videos/{DAY}/1.mp4")
    evaluations = checked(settings_for("http://not-asked.invalid/"))

    def shown(check: str, name: str) -> str:
        return str(evaluations[check].metadata[name].value)

    def rows(check: str, name: str) -> list[dict[str, Any]]:
        table = evaluations[check].metadata[name]
        assert isinstance(table, dg.TableMetadataValue)
        return [dict(row.data) for row in table.records]

    remedy = f"run `ncaa-assets backup --date {DAY} --force`"
    assert remedy in shown("copies_are_intact", "summary")
    (finding,) = rows("copies_are_intact", "findings")
    assert remedy in finding["what to do"]
    assert escaped(remedy) in str(evaluations["copies_are_intact"].description), "it is rendered as Markdown"
    assert [row["sha256"] for row in rows("copies_are_intact", "evidence")] == ["differs"]
    assert rows("rows_match_json", "evidence") == [{"highlights": 2, "rows": 2, "differ": 0}]
    (duration,) = rows("outputs_last_as_long_as_their_sources", "evidence")
    assert list(duration) == ["key", "source seconds", "seconds", "difference"]
    assert (duration["key"], duration["source seconds"]) == (f"processed_videos/{DAY}/1.mp4", 2.0)


def test_checks_of_a_run_without_a_day_say_so_and_leave_the_days_as_they_were(
    good_archive: Path,
) -> None:
    """ "Execute all" in the UI launches such a run. It failed, and was alerted of as a failed day."""
    shutil.copytree(good_archive, "data")
    checks = only_checks(settings_for("http://not-asked.invalid/"))
    with dg.DagsterInstance.ephemeral() as instance:
        of_day = checks.execute_in_process(tags={"dagster/partition": DAY}, instance=instance)
        without = checks.execute_in_process(instance=instance, raise_on_error=False)
        evaluated = instance.get_records_for_run(without.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        ended = recall(instance, without.run_id)
        said = [entry.user_message for entry in instance.all_logs(without.run_id)]
    assert len(of_day.get_asset_check_evaluations()) == 9
    assert without.success
    assert evaluated.records == []
    assert ended.what_went_wrong() is None
    assert sum("nothing was checked, because this run has no game day" in line for line in said) == 9, "one a check"


@pytest.mark.parametrize(
    ("tamper", "done", "left_out"),
    [
        (
            lambda: edit(f"data/highlights/{DAY}.json", lambda document: document["data"][1].update(title="edited")),
            ["highlights"],
            ["backup_rows", "videos", "processed_videos"],
        ),
        (lambda: flip_a_bit(f"data/videos/{DAY}/1.mp4"), ["highlights", "backup_rows", "videos"], ["processed_videos"]),
    ],
)
def test_damage_stops_the_day_before_it_spreads(
    good_archive: Path,
    server: ScriptedServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tamper: Callable[[], object],
    done: list[str],
    left_out: list[str],
) -> None:
    """A damaged record would become a row, and the output of a damaged copy would replace the good one."""
    monkeypatch.setenv("RAPIDAPI_KEY", "")
    monkeypatch.setenv("DAGSTER_HOME", "")
    shutil.copytree(good_archive, "data")
    manifest = json.loads(Path(f"data/videos/{DAY}.json").read_text())
    source = manifest["videos"][0]["source_url"]
    tamper()
    # The API no longer lists the damaged record, so its answer does not repair it.
    settings = settings_for(serve_listing(server, lambda: [record(1, source)]))
    edit("data/archive.json", lambda document: document.update(source=settings.source))
    ended = run_day(settings, tmp_path / "home")
    assert not ended.succeeded
    assert list(ended.summaries) == done
    assert not set(left_out) & set(ended.summaries)
    assert len(ended.failed_checks) == 1
