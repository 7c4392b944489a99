"""An archive that an earlier version wrote is read, verified and gone on with: kept/README.md says what it holds."""

import json
import shutil
import socket
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ncaa_assets.archive import documents
from ncaa_assets.archive.day_state import state_of
from ncaa_assets.archive.identity import Identity
from ncaa_assets.archive.reconcile import reconcile_day, strays
from ncaa_assets.archive.rows import RowsOfDays
from ncaa_assets.backends.deployments import open_store, open_table
from ncaa_assets.ports import HighlightTable, ObjectStore
from ncaa_assets.record import json_text
from ncaa_assets.record.models import HighlightsDay, ProcessedDay, VideosDay
from ncaa_assets.settings import Settings
from ncaa_assets_tests.days import back_up, settings_for
from ncaa_assets_tests.loopback.http_server import Handler, Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import API_PATH, game

if TYPE_CHECKING:
    from ncaa_assets_tests.loopback.aws import Cloud

KEPT = Path(__file__).parent / "kept" / "v1"
MATCHES_PATH = "/basketball/matches"
API = f"http://api.example{API_PATH}"
CHANGED, TWO_DAYS, LIMITED = DAYS = ("2025-03-08", "2025-03-09", "2025-03-10")
SOON = datetime(2025, 3, 11, 4, tzinfo=UTC)  # a few hours after its runs
AWS = {
    "ncaa_deployment": "aws", "s3_bucket_name": "kept", "s3_prefix": "ncaa",
    "mediaconvert_role_arn": "arn:aws:iam::123456789012:role/mediaconvert",
}  # fmt: skip


@dataclass
class Archive:
    """The kept archive in a fresh place."""

    where: dict[str, Any]
    cloud: "Cloud | None" = None

    def settings(self, day: str) -> Settings:
        limit = 2 if day == LIMITED else None
        return settings_for(API, video_count=2, limit=limit, **self.where)

    @property
    def store(self) -> ObjectStore:
        return open_store(self.settings(CHANGED))

    @property
    def table(self) -> HighlightTable:
        return open_table(self.settings(CHANGED))


def in_a_folder() -> Archive:
    shutil.copytree(KEPT / "folder", "data")
    with closing(sqlite3.connect("data/highlights.sqlite")) as table:
        table.executescript((KEPT / "highlights.sql").read_text(encoding="utf-8"))
    return Archive({})


def in_a_bucket(cloud: "Cloud") -> Archive:
    cloud.make_bucket("kept")
    cloud.make_table("SportsHighlights")
    s3, dynamodb = cloud.client("s3"), cloud.client("dynamodb")
    for path in sorted((KEPT / "bucket").rglob("*")):
        if path.is_file():
            key = path.relative_to(KEPT / "bucket").as_posix()
            s3.put_object(Bucket="kept", Key=key, Body=path.read_bytes(), ChecksumAlgorithm="SHA256")
    for line in (KEPT / "table.jsonl").read_text(encoding="utf-8").splitlines():
        dynamodb.put_item(TableName="SportsHighlights", Item=json.loads(line))
    return Archive(AWS, cloud)


@pytest.fixture(params=["folder", "bucket"])
def archive(request: pytest.FixtureRequest) -> Archive:
    return in_a_folder() if request.param == "folder" else in_a_bucket(request.getfixturevalue("cloud"))


@pytest.fixture
def api(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """What the API lists for each day; the hosts that the archive names lead to the test's server."""
    real = socket.getaddrinfo
    listed: dict[str, list[Any]] = {}

    def on_loopback(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        is_ours = isinstance(host, str) and host.endswith(".example")
        return real(*(("127.0.0.1", server.port) if is_ours else (host, port)), *rest, **more)

    def page(handler: Handler) -> None:
        query = server.asked[-1].query
        records = listed[query["date"]]
        start = int(query["offset"])
        body = {
            "data": records[start : start + int(query["limit"])],
            "pagination": {"totalCount": len(records)},
            "plan": {"message": "All data available with current plan."},
        }
        Reply(json_text.dumps(body), content_type="application/json").send(handler)

    monkeypatch.setattr(socket, "getaddrinfo", on_loopback)
    server.on(API_PATH, page)
    matches = {"data": [game(1), game(2)], "pagination": {"totalCount": 2}}
    server.on(MATCHES_PATH, Reply(json_text.dumps(matches), content_type="application/json"))
    for day in DAYS:
        document = json_text.loads((KEPT / "folder" / "highlights" / f"{day}.json").read_bytes())
        entries = document["backup"]["records"]
        listed[day] = [one for one in document["data"] if not entries[str(one["id"])]["removed_upstream"]]
    return listed


def test_each_document_is_read_as_this_version_writes_it(archive: Archive) -> None:
    changed, limited = (documents.load(archive.store, HighlightsDay, day) for day in (CHANGED, LIMITED))
    assert [view.id for view, _ in changed.highlights()] == ["3", "1", "2", "4"]
    assert [change.record["title"] for change in changed.backup.records["1"].history] == [
        "Team 1 vs. San José – Highlights"
    ]
    assert changed.backup.records["4"].removed_upstream is not None
    assert [entry.record["category"] for entry in changed.backup.rejected] == ["other"]
    assert str(changed.data[1]["match"]["odds"][0]) == "1.50"
    assert [fetch.limited for fetch in changed.backup.fetches] == [False, False]
    assert [fetch.limited for fetch in limited.backup.fetches] == [True]
    videos = [documents.load(archive.store, VideosDay, day) for day in DAYS]
    assert [sorted(video.id for video in day.videos) for day in videos] == [["1", "2"], ["2", "5"], ["6"]]
    assert [[skip.kind for skip in day.skipped] for day in videos] == [["page"], [], ["page"]]
    outputs = [documents.load(archive.store, ProcessedDay, day) for day in DAYS]
    assert [sorted(video.id for video in day.videos) for day in outputs] == [["1", "2"], ["2", "5"], ["6"]]
    assert {document.schema_version for document in (changed, limited, *videos, *outputs)} == {2}


def test_it_verifies_to_the_last_byte(archive: Archive) -> None:
    settings = archive.settings(CHANGED)
    assert Identity.of(settings).stored(archive.store)
    days: set[str] = set()
    assert list(strays(archive.store, days)) == []
    assert days == set(DAYS)
    for day in DAYS:
        report = reconcile_day(archive.store, archive.table, day, deep=True, rows_of_day=RowsOfDays(archive.store))
        assert (report.findings, report.is_there) == ([], True)


def test_its_days_are_done_by_the_settings_that_they_were_made_with(archive: Archive) -> None:
    for day in DAYS:
        state = state_of(archive.store, archive.table, day, archive.settings(day), None)
        assert (state.undone, state.why_now(SOON)) == (None, None)
    without_limit = state_of(archive.store, archive.table, LIMITED, archive.settings(CHANGED), None)
    assert without_limit.undone == "incomplete: the last fetch did not read the whole listing"


def test_it_is_gone_on_with_and_nothing_is_copied_or_encoded_again(
    archive: Archive, api: dict[str, list[Any]], server: ScriptedServer, tmp_path: Path
) -> None:
    before = {kind: archive.store.read(kind.key(CHANGED))[0] for kind in (HighlightsDay, VideosDay, ProcessedDay)}
    assert "home_score" not in archive.table.get(["1"])["1"]
    api[CHANGED].append({"id": 9, "title": "A late one", "match": {"odds": [0.5]}})
    for day in DAYS:
        back_up(archive.settings(day), day)

    changed = documents.load(archive.store, HighlightsDay, CHANGED)
    assert [view.id for view, _ in changed.highlights()] == ["3", "1", "2", "9", "4"]
    earlier = json.loads(before[HighlightsDay])
    later = json.loads(archive.store.read(HighlightsDay.key(CHANGED))[0])
    assert [fetch["at"] for fetch in later["backup"]["fetches"][:2]] == [
        fetch["at"] for fetch in earlier["backup"]["fetches"]
    ]
    assert later["backup"]["records"]["1"]["history"] == earlier["backup"]["records"]["1"]["history"]
    assert later["backup"]["rejected"] == earlier["backup"]["rejected"]
    assert archive.table.get(["9"])["9"]["title"] == "A late one"
    assert later["matches"] == [game(1), game(2)]
    of_game = archive.table.get(["1"])["1"]
    assert (of_game["home_team"], of_game["home_score"], of_game["away_score"]) == ("Team 1", 81, 69)
    for kind, data in before.items():
        stored = json.loads(archive.store.read(kind.key(CHANGED))[0])
        assert stored["schema_version"] == 2
        if kind is not HighlightsDay:
            assert has_all_of(stored, {**json.loads(data), "schema_version": 2})
    assert {asked.path for asked in server.asked} == {API_PATH, MATCHES_PATH}, "no video was asked for"
    if archive.cloud is not None:
        assert archive.cloud.times("CreateJob") == 0
    test_it_verifies_to_the_last_byte(archive)


def has_all_of(later: Any, earlier: Any) -> bool:
    """Whether all that an earlier document said stands in a later one, entry by entry."""
    if isinstance(earlier, dict):
        return all(name in later and has_all_of(later[name], value) for name, value in earlier.items())
    if isinstance(earlier, list):
        return len(later) == len(earlier) and all(map(has_all_of, later, earlier))
    return bool(later == earlier)


@pytest.mark.slow
def test_what_the_ledger_says_is_encoded_is_not_paid_for_again(
    cloud: "Cloud", api: dict[str, list[Any]], tmp_path: Path
) -> None:
    """The day's manifest is lost; the ledger entries and the outputs are not."""
    archive = in_a_bucket(cloud)
    archive.store.delete(ProcessedDay.key(TWO_DAYS))
    back_up(archive.settings(TWO_DAYS), TWO_DAYS)
    outputs = documents.load(archive.store, ProcessedDay, TWO_DAYS).videos
    assert sorted(video.id for video in outputs) == ["2", "5"]
    assert cloud.times("CreateJob") == 0


def test_a_rewritten_document_leaves_the_one_that_it_replaces_among_the_earlier_versions() -> None:
    """Once: the next save of the same content is no version more."""
    store = in_a_folder().store
    before = store.read(VideosDay.key(CHANGED))[0]
    documents.save(store, documents.load(store, VideosDay, CHANGED))
    documents.save(store, documents.load(store, VideosDay, CHANGED))
    history = Path("data/.history/videos", CHANGED)
    assert [path.read_bytes() for path in history.iterdir()] == [before]
