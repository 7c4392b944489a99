"""Which module of the API is asked: at the beginning of an archive, once it has one, and after it was moved."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.identity import Identity
from ncaa_assets.archive.reconcile import reconcile_day
from ncaa_assets.archive.standing import Wanted
from ncaa_assets.day.fetch import Fetched, fetch
from ncaa_assets.day.whole import WholeDay, back_up, open_services
from ncaa_assets.failures import QuotaSpent, SettingsError, SourceError
from ncaa_assets.record.models import HighlightsDay, VideosDay
from ncaa_assets.settings import Settings
from ncaa_assets.source.open import open_source
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import ScriptedApi, record, serve_api, us_record

DAY, NEXT_DAY = "2026-01-10", "2026-01-11"
KEY = "a-key-that-must-not-show"


@pytest.fixture
def api(server: ScriptedServer) -> ScriptedApi:
    return serve_api(server)


def archive_of(api: ScriptedApi, folder: Path, **given: Any) -> Archive:
    values = {
        "api_base": api.base_url, "rapidapi_key": KEY, "data_dir": folder / "data", "video_allow_private_hosts": True,
        "retry_count": 0, "encode": "never", "matches": False, **given,
    }  # fmt: skip
    return Archive.open(Settings.model_validate(values))


def fetched(archive: Archive, day: str = DAY) -> Fetched:
    with open_source(archive.settings) as source, archive.lease(day, owner="a test") as held:
        return fetch(held, source)


def backed_up(archive: Archive, day: str = DAY) -> WholeDay:
    with open_services(archive) as services, archive.lease(day, owner="a test") as held:
        return back_up(held, services)


def module_of(archive: Archive) -> str | None:
    identity = archive.stored_identity()
    assert identity is not None
    return identity.module


def counts(api: ScriptedApi) -> tuple[int, int]:
    return len(api.asked("nba")), len(api.asked("basketball"))


@pytest.mark.parametrize(
    ("nba", "basketball", "becomes"),
    [(2, 0, "nba"), (0, 2, "basketball"), (3, 2, "nba"), (2, 3, "basketball"), (2, 2, "nba"), (0, 0, None)],
)
def test_an_archive_that_begins_becomes_that_of_the_module_that_lists_most(
    api: ScriptedApi, tmp_path: Path, nba: int, basketball: int, becomes: str | None
) -> None:
    api.highlights["nba"] = [us_record(number, None) for number in range(nba)]
    api.highlights["basketball"] = [record(number, None) for number in range(100, 100 + basketball)]
    archive = archive_of(api, tmp_path)
    first = fetched(archive)
    assert module_of(archive) == becomes
    assert (first.requests, counts(api)) == (2, (1, 1)), "one request more than a day of one module takes"
    assert len(first.document.data) == max(nba, basketball)
    assert {one.module for one in first.document.backup.fetches} == ({becomes} if becomes else {"nba", "basketball"})
    if becomes and nba and basketball:
        assert (
            f"of the module {becomes} from now on (highlights of this day: nba {nba}, basketball {basketball})"
            in (first.notes[0])
        )
    second = fetched(archive, NEXT_DAY)
    assert second.requests == (1 if becomes else 2), "none more once it is decided"
    assert api.refused == []


def test_an_undecided_archive_asks_again_until_a_module_lists_something(api: ScriptedApi, tmp_path: Path) -> None:
    archive = archive_of(api, tmp_path)
    assert fetched(archive).document.data == []
    assert module_of(archive) is None
    assert archive.load(HighlightsDay, DAY).backup.fetches[-1].is_whole(None), "an empty day of both is an empty day"
    api.highlights["basketball"] = [record(1, None)]
    assert [one["id"] for one in fetched(archive, NEXT_DAY).document.data] == [1]
    assert module_of(archive) == "basketball"
    api.highlights["nba"] = [us_record(number, None) for number in range(10)]
    assert [one["id"] for one in fetched(archive).document.data] == [1], "it stays what it is"
    assert counts(api) == (2, 3)


def test_pages_go_on_from_the_one_that_decided(api: ScriptedApi, tmp_path: Path) -> None:
    api.highlights["nba"] = [us_record(number, None) for number in range(95)]
    api.highlights["basketball"] = [record(number, None) for number in range(50)]
    first = fetched(archive_of(api, tmp_path))
    assert (len(first.document.data), first.requests, counts(api)) == (95, 4, (3, 1))
    assert [query["offset"] for query in api.asked("nba")] == ["0", "40", "80"]


def error(status: int, message: str = "no") -> Reply:
    return Reply(json.dumps({"message": message}).encode(), status, content_type="application/json")


def test_a_module_that_the_key_may_not_ask_leaves_the_archive_to_the_other(api: ScriptedApi, tmp_path: Path) -> None:
    api.highlights["nba"] = error(403, "You are not subscribed to this API.")
    api.highlights["basketball"] = [record(1, None)]
    archive = archive_of(api, tmp_path)
    assert "nba cannot be asked: the API denied access" in fetched(archive).notes[0]
    assert module_of(archive) == "basketball"


def test_a_module_that_fails_for_a_passing_reason_leaves_it_open_and_what_the_other_lists_is_kept(
    api: ScriptedApi, tmp_path: Path
) -> None:
    api.highlights["nba"] = error(503)
    api.highlights["basketball"] = [record(1, None)]
    archive = archive_of(api, tmp_path)
    first = fetched(archive)
    assert "which module the archive is of stays open: nba cannot be asked: the API is down" in first.notes[0]
    assert [one["id"] for one in first.document.data] == [1]
    assert module_of(archive) is None
    api.highlights["nba"] = [us_record(1, None), us_record(2, None)]
    again = fetched(archive)
    assert module_of(archive) == "nba"
    assert sorted(one["id"] for one in again.document.data) == [1, 2]
    assert again.document.backup.records["1"].modules == ["basketball", "nba"]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b'{"error":"internal"}'), Reply(b'{"success":false,"data":[]}'), Reply(b'{"message":"busy"}'),
        Reply(b"<!doctype html><p>busy"), Reply(status=500), Reply(status=418), Reply(b'{"data":[]}'),
    ],
)  # fmt: skip
def test_no_answer_of_the_moment_decides_for_good(api: ScriptedApi, tmp_path: Path, reply: Reply) -> None:
    api.highlights["nba"] = reply
    api.highlights["basketball"] = [record(1, None)]
    archive = archive_of(api, tmp_path)
    assert [one["id"] for one in fetched(archive).document.data] == [1]
    assert module_of(archive) is None


def test_a_page_that_announces_much_and_lists_nothing_wins_no_archive_and_is_no_empty_day(
    api: ScriptedApi, tmp_path: Path
) -> None:
    api.highlights["nba"] = Reply(b'{"data":[],"pagination":{"totalCount":12}}')
    api.highlights["basketball"] = [record(1, None)]
    archive = archive_of(api, tmp_path)
    fetched(archive)
    assert module_of(archive) == "basketball"
    other = archive_of(api, tmp_path / "other", api_module="nba")
    done = fetched(other)
    assert (done.fetch.whole, done.requests) == (False, 1)
    assert fetched(other).fetch.whole is False, "however often it comes alike"


def test_what_cannot_be_understood_wins_no_archive(api: ScriptedApi, tmp_path: Path) -> None:
    api.highlights["nba"] = ["junk", None, 1, {}]
    api.highlights["basketball"] = [record(1, None), record(2, None)]
    archive = archive_of(api, tmp_path)
    assert len(fetched(archive).document.data) == 2
    assert module_of(archive) == "basketball"


def test_the_requests_that_are_left_are_those_of_the_last_answer(api: ScriptedApi, tmp_path: Path) -> None:
    api.quota_left = 8
    api.highlights["nba"] = [us_record(number, None) for number in range(45)]
    first = fetched(archive_of(api, tmp_path))
    assert (first.requests, first.requests_left, api.quota_left) == (3, 5, 5)
    api.quota_left = 7
    other = fetched(archive_of(api, tmp_path / "other"))
    assert (other.requests_left, api.quota_left) == (5, 5), "the second page would go below the reserve"
    assert not other.fetch.whole


def test_a_module_that_cannot_be_asked_is_told_on_each_day_that_the_other_lists_nothing(
    api: ScriptedApi, tmp_path: Path
) -> None:
    api.highlights["nba"] = error(403, "You are not subscribed to this API.")
    (note,) = fetched(archive_of(api, tmp_path)).notes
    assert "no module lists this day (basketball)" in note
    assert "nba cannot be asked: the API denied access (You are not subscribed to this API)" in note


def test_what_came_first_is_kept_where_the_module_that_another_run_chose_does_not_answer(
    api: ScriptedApi, tmp_path: Path
) -> None:
    archive = archive_of(api, tmp_path)
    replies: Iterator[list[Any] | Reply] = iter([[record(3, None)], error(503)])

    def begun_meanwhile(_: str) -> list[Any]:
        archive.identity.claim(archive.store, "basketball")
        return [us_record(1, None), us_record(2, None)]

    api.highlights["nba"] = begun_meanwhile
    api.highlights["basketball"] = lambda _: next(replies)
    done = fetched(archive)
    assert sorted(one["id"] for one in done.document.data) == [1, 2]
    assert "another run made the archive one of the module basketball meanwhile, which did not" in done.fetch.gaps[0]
    assert not done.fetch.whole
    assert archive.state(DAY).undone == "incomplete: the last fetch did not read the whole listing"


@pytest.mark.parametrize("body", [b'{"data":[]}', b'{"data":[],"success":false}', b'{"data":[],"error":"down"}'])
def test_an_empty_answer_that_is_an_error_decides_nothing(api: ScriptedApi, tmp_path: Path, body: bytes) -> None:
    api.highlights["nba"] = Reply(body)
    archive = archive_of(api, tmp_path)
    with pytest.raises(
        SourceError,
        match=r"day has games is not known: nba cannot be asked .*API_MODULE to ask .*basketball",
    ):
        fetched(archive)
    assert archive.stored_identity() is None
    api.highlights["basketball"] = [record(1, None)]
    assert len(fetched(archive).document.data) == 1
    assert module_of(archive) is None


def test_where_neither_lists_and_one_failed_whether_the_day_has_games_is_not_known(
    api: ScriptedApi, tmp_path: Path
) -> None:
    api.highlights["basketball"] = error(500)
    archive = archive_of(api, tmp_path)
    with pytest.raises(SourceError, match=r"basketball cannot be asked \(the API is down"):
        fetched(archive)
    assert archive.stored_identity() is None, "a source that did not answer names no archive"


def test_the_quota_is_kept_while_an_archive_begins(api: ScriptedApi, tmp_path: Path) -> None:
    api.quota_left = 6
    api.highlights["nba"] = [us_record(1, None)]
    archive = archive_of(api, tmp_path)
    first = fetched(archive)
    assert counts(api) == (1, 0), "the second request would go below QUOTA_RESERVE"
    assert (len(first.document.data), module_of(archive)) == (1, None)
    api.quota_left = 0
    with pytest.raises(QuotaSpent):
        fetched(archive, NEXT_DAY)


def test_an_archive_that_another_run_began_meanwhile_decides(api: ScriptedApi, tmp_path: Path) -> None:
    archive = archive_of(api, tmp_path)

    def begun_meanwhile(_: str) -> list[Any]:
        archive.identity.claim(archive.store, "basketball")
        return [us_record(1, None), us_record(2, None)]

    api.highlights["nba"] = begun_meanwhile
    api.highlights["basketball"] = [record(3, None)]
    day = fetched(archive).document
    assert module_of(archive) == "basketball"
    assert {key: entry.modules for key, entry in day.backup.records.items()} == {
        "1": ["nba"], "2": ["nba"], "3": ["basketball"],
    }  # fmt: skip


def test_a_named_module_is_the_only_one_that_is_asked(api: ScriptedApi, tmp_path: Path) -> None:
    archive = archive_of(api, tmp_path, api_module="american-football")
    fetched(archive)
    assert module_of(archive) == "american-football", "also where it lists nothing"
    assert counts(api) == (0, 0)
    with pytest.raises(
        SettingsError, match=r"of the module 'american-football' but the settings ask for 'nba'.*--use nba"
    ):
        archive_of(api, tmp_path, api_module="nba").exists()
    assert archive_of(api, tmp_path).exists(), "auto takes it as it is"


# ---- Archives of earlier versions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("sport-highlights-api.p.rapidapi.com/basketball/highlights", "basketball"),
        ("basketball.highlightly.net/highlights", "basketball"),
        ("nba-ncaab-api.p.rapidapi.com/highlights", "nba"),
        ("127.0.0.1:8080/basketball/highlights", "basketball"),
    ],
)
def test_an_archive_whose_source_is_an_address_is_of_its_module_and_goes_on_by_any_door(
    api: ScriptedApi, tmp_path: Path, source: str, module: str
) -> None:
    archive = archive_of(api, tmp_path)
    data = json.dumps(
        {"schema_version": 2, "source": source, "league": "NCAA", "timezone": "America/New_York"}
    ).encode()
    archive.store.write("archive.json", data)
    assert module_of(archive) == module
    api.highlights[module] = [record(1, None)]
    assert fetched(archive).requests == 1
    assert archive.store.read("archive.json")[0] == data, "what is understood is left as it is"


# ---- Moving ----------------------------------------------------------------------------------------------------------


def removed(day: HighlightsDay) -> set[str]:
    return {key for key, entry in day.backup.records.items() if entry.removed_upstream}


def test_there_and_back_nothing_is_lost_or_wrongly_marked_or_copied_again(
    api: ScriptedApi, server: ScriptedServer, tmp_path: Path, clip: Path
) -> None:
    one, two, three = (server.on(f"/{name}.mp4", Reply(clip.read_bytes() + name.encode())) for name in ("a", "b", "c"))
    # 1 is in both under one id, 2 and 20 are one clip under two, 3 and 30 are in one module each.
    api.highlights["basketball"] = [record(1, one), record(2, two), record(3, three)]
    api.highlights["nba"] = [us_record(1, one), us_record(20, two), us_record(30, None)]
    archive = archive_of(api, tmp_path, video_count="all")
    archive.identity.claim(archive.store, "basketball")
    assert len(backed_up(archive).copied.copied) == 3

    archive.identity.move(archive.store, "nba")
    there = backed_up(archive)
    assert there.copied.copied == []
    assert removed(there.fetched.document) == set(), "what nba never listed is not missing from it"
    assert {key: entry.modules for key, entry in there.fetched.document.backup.records.items()} == {
        "1": ["basketball", "nba"], "2": ["basketball"], "3": ["basketball"], "20": ["nba"], "30": ["nba"],
    }  # fmt: skip
    assert {row["id"] for row in there.rows.rows} == {"1", "2", "3", "20", "30"}
    api.highlights["nba"] = [us_record(20, two)]
    assert removed(backed_up(archive).fetched.document) == {"1", "30"}, "nba had listed these"

    archive.identity.move(archive.store, "basketball")
    back = backed_up(archive)
    assert removed(back.fetched.document) == {"30"}, "1 is listed again; 30 was never basketball's"
    api.highlights["basketball"] = [record(1, one), record(2, two)]
    assert removed(backed_up(archive).fetched.document) == {"3", "30"}
    assert [server.times(f"/{name}.mp4") for name in ("a", "b", "c")] == [1, 1, 1]
    assert len(archive.load(VideosDay, DAY).videos) == 3
    assert archive.state(DAY).undone is None
    wanted = Wanted.of(archive.settings)
    assert reconcile_day(archive.store, archive.table, DAY, deep=True, wanted=wanted).findings == []
    identity = archive.stored_identity()
    assert identity is not None
    assert identity.founding_module == "basketball"
    assert [(move.before, move.after) for move in identity.moves] == [("basketball", "nba"), ("nba", "basketball")]


def test_records_without_a_name_are_the_founding_modules(api: ScriptedApi, tmp_path: Path) -> None:
    api.highlights["basketball"] = [record(1, None), record(2, None)]
    archive = archive_of(api, tmp_path)
    archive.identity.claim(archive.store, "basketball")
    fetched(archive)
    with archive.lease(DAY, owner="a version before modules") as held:
        old = held.load_or_new(HighlightsDay)
        for entry in old.backup.records.values():
            entry.modules = []
        for one in old.backup.fetches:
            one.module = None
        held.save(old)
    archive.identity.move(archive.store, "nba")
    assert removed(fetched(archive).document) == set()
    archive.identity.move(archive.store, "basketball")
    api.highlights["basketball"] = [record(1, None)]
    assert removed(fetched(archive).document) == {"2"}


def test_another_door_is_the_same_source(api: ScriptedApi, tmp_path: Path) -> None:
    api.highlights["nba"] = [us_record(1, None)]
    fetched(archive_of(api, tmp_path))
    other = archive_of(api, tmp_path, api_base=api.base_url + "/", rapidapi_key="0c1d2e3f-4a5b-6c7d-8e9f-a0b1c2d3e4f5")
    assert fetched(other).growth.new == 0
    own = archive_of(api, tmp_path, api_base=None, api_url=api.url("nba"))
    assert fetched(own).growth.new == 0
    assert isinstance(own.stored_identity(), Identity)
