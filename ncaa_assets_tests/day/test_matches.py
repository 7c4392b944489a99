"""The match context of a day: asked for with the listing, kept, in the rows; and never a reason for a day to fail."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.reconcile import reconcile_day
from ncaa_assets.archive.rows import RowsOfDays
from ncaa_assets.day.fetch import Fetched, fetch
from ncaa_assets.day.rows import write_rows
from ncaa_assets.settings import Settings
from ncaa_assets.source.open import open_source
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import ScriptedApi, game, record, serve_api, us_game, us_record

DAY, NEXT_DAY = "2026-01-10", "2026-01-11"
KEY = "a-key-that-must-not-show"


@pytest.fixture
def api(server: ScriptedServer) -> ScriptedApi:
    return serve_api(server)


def archive_of(api: ScriptedApi, folder: Path, module: str = "basketball", **given: Any) -> Archive:
    values = {
        "api_base": api.base_url, "api_module": module, "rapidapi_key": KEY, "data_dir": folder / "data",
        "retry_count": 0, **given,
    }  # fmt: skip
    return Archive.open(Settings.model_validate(values))


def backed_up(archive: Archive, day: str = DAY) -> Fetched:
    with open_source(archive.settings) as source, archive.lease(day, owner="a test") as held:
        fetched = fetch(held, source)
        write_rows(held, fetched.document)
    compared = reconcile_day(archive.store, archive.table, day, rows_of_day=RowsOfDays(archive.store))
    assert [finding for finding in compared.findings if finding.asset == "backup_rows"] == []
    return fetched


@pytest.mark.parametrize("module", ["basketball", "nba"])
def test_matches_are_kept_and_their_scores_stand_in_the_rows(api: ScriptedApi, tmp_path: Path, module: str) -> None:
    clip, match = (record, game) if module == "basketball" else (us_record, us_game)
    api.highlights[module] = [clip(1, None), clip(2, None)]
    api.matches[module] = [match(1), match(3)]
    archive = archive_of(api, tmp_path, module)
    done = backed_up(archive)
    assert (done.requests, done.requests_left, done.notes) == (2, 98, [])
    assert done.document.matches == [match(1), match(3)]
    rows = archive.table.get(["1", "2"])
    assert (rows["1"]["away_score"], rows["1"]["game_state"]) == (69, "Finished")
    assert "away_score" not in rows["2"]
    assert api.refused == []


def test_a_score_that_came_later_is_written_at_the_next_fetch(api: ScriptedApi, tmp_path: Path) -> None:
    api.highlights["basketball"] = [record(1, None)]
    api.matches["basketball"] = [game(1, state={"description": "Scheduled", "score": {"current": None}})]
    archive = archive_of(api, tmp_path)
    backed_up(archive)
    assert archive.table.get(["1"])["1"]["game_state"] == "Scheduled"
    api.matches["basketball"] = [game(1)]
    backed_up(archive)
    row = archive.table.get(["1"])["1"]
    assert (row["game_state"], row["home_score"], row["score"]) == ("Finished", 81, "81 - 69")


@pytest.mark.parametrize("reply", [Reply(b"", status=500), Reply(b"{}"), Reply(b"[" * 5000), Reply(b"", status=403)])
def test_without_them_the_day_is_backed_up_and_what_is_kept_of_them_stays(
    api: ScriptedApi, tmp_path: Path, reply: Reply
) -> None:
    api.highlights["basketball"] = [record(1, None)]
    api.matches["basketball"] = [game(1)]
    archive = archive_of(api, tmp_path)
    first = backed_up(archive)
    api.matches["basketball"] = reply
    done = backed_up(archive)
    assert done.fetch.whole
    assert done.requests == 2
    assert [note.startswith("no match context: ") for note in done.notes] == [True]
    assert done.document.matches == [game(1)]
    assert done.document.backup.matches_at == first.document.backup.matches_at


def test_they_are_not_asked_for_where_nobody_wants_them_or_nothing_is_listed_or_the_quota_is_short(
    api: ScriptedApi, tmp_path: Path
) -> None:
    api.highlights["basketball"] = lambda day: [record(1, None)] if day == DAY else []
    assert backed_up(archive_of(api, tmp_path / "unwanted", matches=False)).notes == []
    archive = archive_of(api, tmp_path, quota_reserve=5)
    assert backed_up(archive, NEXT_DAY).notes == []
    api.quota_left = 7
    assert backed_up(archive).notes == ["no match context: too few API requests are left today"]
    assert api.asked("basketball", "matches") == []


def test_a_clip_of_two_days_keeps_the_score_that_one_of_them_knows(api: ScriptedApi, tmp_path: Path) -> None:
    api.highlights["basketball"] = [record(1, None)]
    api.matches["basketball"] = lambda day: [game(1)] if day == DAY else [game(2)]
    archive = archive_of(api, tmp_path)
    for day in (DAY, NEXT_DAY, DAY, NEXT_DAY):
        backed_up(archive, day)
        assert archive.table.get(["1"])["1"]["home_score"] == 81
    with closing(sqlite3.connect(archive.settings.data_dir / "highlights.sqlite")) as table:
        assert table.execute("SELECT home_team, home_score FROM highlights").fetchall() == [("Team 1", 81)]
