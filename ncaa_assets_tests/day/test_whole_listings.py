"""Whether a day's listing is whole, and whether what it does not list may be marked as removed: two things."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ncaa_assets.archive.archive import Archive
from ncaa_assets.day.fetch import Fetched, fetch
from ncaa_assets.failures import SourceError
from ncaa_assets.record.models import HighlightsDay
from ncaa_assets.settings import Settings
from ncaa_assets.source.open import open_source
from ncaa_assets_tests.days import DAY, KEY, command
from ncaa_assets_tests.loopback.http_server import Handler, Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import API_PATH, record

PLAN = "All data available with current plan."


def page(records: list[Any], total: int | None, *, left: int | None = None, plan: Any = PLAN, **extra: Any) -> Reply:
    body = {"data": records, "plan": {"tier": "BASIC", "message": plan} if plan == PLAN else plan, **extra}
    if total is not None:
        body["pagination"] = {"totalCount": total, "offset": 0, "limit": 40}
    headers = {} if left is None else {"x-ratelimit-requests-limit": "100", "x-ratelimit-requests-remaining": str(left)}
    return Reply(json.dumps(body).encode(), 200, headers, "application/json")


def records(*numbers: int) -> list[dict[str, Any]]:
    return [record(number, None) for number in numbers]


class Days:
    """The day of an archive, fetched again and again from an API that gives these replies in turn."""

    def __init__(self, server: ScriptedServer, folder: Path) -> None:
        self.server, self.folder = server, folder

    def fetch(self, *replies: Reply | Callable[[Handler], None], **given: Any) -> Fetched:
        self.server.on(API_PATH, *replies)
        self.server.asked.clear()
        values = {
            "api_url": self.server.url(API_PATH), "rapidapi_key": KEY, "data_dir": self.folder / "data",
            "retry_count": 0, "matches": False, **given,
        }  # fmt: skip
        self.archive = Archive.open(Settings.model_validate(values))
        with open_source(self.archive.settings) as source, self.archive.lease(DAY, owner="a test") as held:
            return fetch(held, source)

    @property
    def is_due(self) -> bool:
        return "did not read the whole listing" in str(self.archive.state(DAY).undone)


@pytest.fixture
def days(server: ScriptedServer, tmp_path: Path) -> Days:
    return Days(server, tmp_path)


DEEP: Any = []
for _ in range(450):
    DEEP = [DEEP]
NAN = Reply(
    b'{"data":[{"id":1,"url":null},{"id":2,"x":NaN}],"pagination":{"totalCount":2},"plan":{"message":"All data avai'
    b'lable"}}'
)
NAMED_TWICE = Reply(
    b'{"data":[{"id":1,"t":1,"t":2}],"pagination":{"totalCount":1},"plan":{"message":"All data available"}}'
)


@pytest.mark.parametrize(
    ("replies", "given", "whole", "may_remove", "says"),
    [
        ([page(records(1, 2), 2)], {}, True, True, None),
        ([page([], 0)], {}, True, True, None),
        # Whole, but no reason to mark anything
        ([page([*records(1), "junk"], 2)], {}, True, False, "1 record could not be understood and is kept under"),
        ([NAN], {}, True, False, "1 record could not be understood and is kept under `rejected`"),
        ([NAMED_TWICE], {}, True, False, "1 record named a field twice; what came is kept under `rejected` too"),
        ([page(records(1, 2), 4), page(records(2, 3), 4)], {}, True, False, "repeat 1 record: it announced 4"),
        ([page(records(1, 2, 3), 2)], {}, True, False, "the API announced 2 highlights and listed 3"),
        ([page(records(1), 9, plan="BASIC: one day"), page([], 9)], {}, True, False, "plan limits the answer"),
        ([page([], 0, plan={"message": "BASIC sees nothing"})], {}, True, False, "the answer: BASIC sees nothing"),
        ([page(records(1, 2), 2)], {"limit": 1}, True, False, "LIMIT=1: only that many highlights are asked for"),
        # Not whole
        ([page(records(1, 2), 5), page([], 5)] * 2 + [page([], 5)], {"quota_reserve": 0}, True, False, "asked twice"),
        ([page(records(1, 2), 5), page([], 5), page([], 4)], {}, False, False, "announced 4 highlights and listed 0"),
        ([page(records(1), 2), Reply(status=500)], {}, False, False, "page 2 did not come: the API is down"),
        ([page(records(1), 2), page([], 2, success=False)], {}, False, False, "page 2 did not come: the API's answer"),
        ([page(records(1), 2), page([], None)], {}, False, False, "2 did not come: the API's answer lists nothing"),
        ([page(records(1), 1, error={"message": "half of it"})], {}, False, False, "it is an error: half of it"),
        ([page(records(1), 2, left=5)], {}, False, False, "stopped after 1 page: 5 API requests left today"),
        ([page(["junk", None], 2)], {}, False, False, "nothing that the API listed could be understood"),
        ([Reply(b'{"data":[NaN],"pagination":{"totalCount":1}}')], {}, False, False, "nothing that the API listed"),
        ([Reply(b'{"pagination":{"totalCount":2},"data":[{"id":1},{"id":2')], {}, False, False, "is cut off"),
        ([page(records(1, 2), 10**6)], {}, False, False, "stopped after 4 pages: the last 3 only repeated"),
        ([page([record(1, None, deep=DEEP)], 1)], {}, False, False, "nothing that the API listed could be understood"),
        ([page([*records(1), record(2, None, deep=DEEP)], 2)], {}, True, False, "1 record could not be understood"),
        ([Reply(b'{"data":[{"id":1}{"id":2}],"pagination":{"totalCount":2}}')], {}, True, False, "is not quite JSON"),
        ([page(records(1), 1, plan=["Upgrade"])], {}, True, True, None),
        ([page(records(1), 1, plan="Upgrade your plan")], {}, True, False, "the API's plan limits the answer: Upgrade"),
    ],
)  # fmt: skip
def test_whole_and_may_remove_are_judged_apart(
    days: Days, replies: list[Reply], given: dict[str, Any], whole: bool, may_remove: bool, says: str | None
) -> None:
    answer = days.fetch(*replies, **given).fetch
    assert (answer.whole, answer.complete) == (whole, may_remove)
    assert any(str(says) in problem for problem in answer.problems) == (says is not None), answer.problems
    assert bool(answer.gaps) == (not whole)
    assert days.is_due == (not whole)


def test_what_could_not_be_read_is_kept_with_its_reason_and_counted(days: Days) -> None:
    done = days.fetch(NAN)
    assert [one["id"] for one in done.document.data] == [1]
    assert done.fetch.problems == ["1 record could not be understood and is kept under `rejected`"]
    (rejected,) = done.document.backup.rejected
    assert (rejected.record, rejected.reason) == ('{"id":2,"x":NaN}', "NaN is not JSON")
    assert done.growth.rejected == 1
    again = days.fetch(NAN)
    assert len(again.document.backup.rejected) == 1


def test_a_rejected_record_marks_no_other_and_is_not_marked_itself(days: Days) -> None:
    days.fetch(page(records(1, 2, 3), 3))
    odd = days.fetch(page([*records(1), {"id": 2.0, "url": 5}], 2))
    assert odd.growth.removed == 0
    assert odd.growth.rejected == 1
    exact = days.fetch(page(records(1), 1))
    assert exact.growth.removed == 2


@pytest.mark.parametrize(("given", "key"), [("1.0", "1"), ("1", "1"), ('" 1 "', "1"), ("1e2", "100"), ("1.5", None)])
def test_an_id_with_a_fraction_that_is_none_is_the_whole_number(days: Days, given: str, key: str | None) -> None:
    body = f'{{"data":[{{"id":{given}}}],"pagination":{{"totalCount":1}},"plan":{{"message":"All data available"}}}}'
    done = days.fetch(Reply(body.encode()))
    assert list(done.document.backup.records) == ([key] if key else [])
    if key:
        assert days.fetch(page(records(int(key)), 1)).growth.new == 0


# ---- The API's own miscount ------------------------------------------------------------------------------------------


def test_a_shortfall_is_asked_for_once_more_and_the_same_again_is_the_apis_miscount(days: Days) -> None:
    short = [page(records(1, 2), 5), page([], 5)]
    done = days.fetch(*short, *short)
    assert (done.fetch.whole, done.fetch.complete, done.requests) == (True, False, 4)
    assert "the API announced 5 highlights and listed 2 (asked twice: the API's own miscount)" in done.fetch.problems
    assert not days.is_due
    again = days.fetch(*short)
    assert (again.fetch.whole, again.requests) == (True, 2), "no second time: the fetch before had it alike"
    assert "as the time before" in again.fetch.problems[0]


def test_a_shortfall_that_the_second_reading_does_not_have_was_passing(days: Days) -> None:
    done = days.fetch(page(records(1, 2), 3), page([], 3), page(records(1, 3, 4), 3))
    assert (done.fetch.whole, done.fetch.problems) == (True, [])
    assert sorted(done.document.backup.records) == ["1", "2", "3", "4"], "what only the first had is kept"


def test_a_shortfall_that_differs_each_time_leaves_the_day_due(days: Days) -> None:
    done = days.fetch(page(records(1, 2), 5), page([], 5), page(records(1, 3), 5), page([], 5))
    assert not done.fetch.whole
    assert days.is_due
    assert sorted(done.document.backup.records) == ["1", "2", "3"]


@pytest.mark.parametrize(("total", "numbers"), [(6, (1, 2)), (5, (1, 3)), (5, (1, 2, 3))])
def test_a_shortfall_counts_as_the_one_before_only_where_counts_and_ids_are_the_same(
    days: Days, total: int, numbers: tuple[int, ...]
) -> None:
    first = [page(records(1, 2), 5), page([], 5)]
    days.fetch(*first, *first)
    done = days.fetch(page(records(*numbers), total), page([], total), page(records(7), 1))
    assert done.requests == 3, "it was asked once more"


@pytest.mark.parametrize("end", [Reply(status=500), page([], 4, success=False)])
def test_a_listing_that_was_cut_short_before_makes_no_shortfall_the_apis_miscount(days: Days, end: Reply) -> None:
    """Both times the same records came, and the first time nobody knows what else there was."""
    assert not days.fetch(page(records(1, 2), 4), end).fetch.whole
    done = days.fetch(page(records(1, 2), 4), page([], 4), page(records(1, 2, 3, 4), 4))
    assert (done.requests, sorted(done.document.backup.records)) == (3, ["1", "2", "3", "4"])
    by_reserve = days.fetch(page(records(1, 2, 3, 4, 5), 9, left=5))
    assert not by_reserve.fetch.whole
    assert days.fetch(page(records(1, 2, 3, 4, 5), 9), page([], 9), page(records(6), 1)).requests == 3


def test_two_readings_that_have_all_together_are_whole(days: Days) -> None:
    done = days.fetch(page(records(1, 2), 3), page([], 3), page(records(1, 3), 3), page([], 3))
    assert (done.fetch.whole, done.fetch.complete) == (True, False)
    assert sorted(done.document.backup.records) == ["1", "2", "3"]


def test_a_second_reading_that_the_daily_quota_refuses_is_counted(days: Days) -> None:
    spent = Reply(b'{"message":"You have exceeded the DAILY quota for Requests"}', 429)
    done = days.fetch(page(records(1, 2), 5), page([], 5), spent)
    assert (done.fetch.whole, done.requests, done.requests_left) == (False, 3, 0)


def test_what_is_listed_after_an_error_that_was_no_empty_day_is_not_marked(days: Days) -> None:
    days.fetch(page(records(1, 2), 2))
    with pytest.raises(SourceError):
        days.fetch(Reply(b'{"statusCode":500,"message":"Internal server error","data":[],"pagination":{}}'))
    kept = days.archive.load(HighlightsDay, DAY)
    assert [entry.removed_upstream for entry in kept.backup.records.values()] == [None, None]


def test_no_second_reading_goes_below_the_reserve(days: Days) -> None:
    done = days.fetch(page(records(1, 2), 5, left=7), page([], 5, left=5))
    assert (done.requests, done.fetch.whole) == (2, False)
    assert len(days.server.asked) == 2


def test_a_second_reading_that_fails_leaves_the_first(days: Days) -> None:
    done = days.fetch(page(records(1, 2), 5), page([], 5), Reply(status=503))
    assert not done.fetch.whole
    assert sorted(done.document.backup.records) == ["1", "2"]


# ---- What a person and a machine are told ----------------------------------------------------------------------------


def test_a_day_whose_listing_is_not_whole_ends_incomplete_and_is_taken_up_again(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environment = {
        "API_URL": server.on(API_PATH, page(records(1), 2), Reply(status=404)), "RAPIDAPI_KEY": KEY, "MATCHES": "0",
        "DAGSTER_HOME": str(tmp_path / "home"), "ENCODE": "never",
    }  # fmt: skip
    done = command("backup", "--date", DAY, **environment)
    assert done.returncode == 1
    assert "backup_rows       1 row: 1 written" in done.stdout, "what came is worked on"
    assert f"{DAY} incomplete: run the same command again, it asks again for the whole listing: page 2" in done.stderr
    line = next(json.loads(text) for text in done.stderr.splitlines() if text.startswith("{"))
    assert (line["result"], line["highlights"]) == ("incomplete", 1)
    server.on(API_PATH, page(records(1, 2), 2))
    again = command("backup", "--date", DAY, **environment)
    assert (again.returncode, again.stderr.count("incomplete")) == (0, 0)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"error": "down"}, "is an error: down; try again later"),
        ({"errors": [{"code": 7}], "data": []}, "is an error; try again later"),
        ({"success": False, "message": "no such plan"}, "is an error: no such plan; try again later"),
        ({"message": "You are not subscribed to this API."}, "is an error: You are not subscribed to this API.; try"),
        ({"data": [], "plan": {"message": PLAN}}, "lists nothing and does not count it"),
        ({"data": [], "pagination": None}, "lists nothing and does not count it (`pagination.totalCount`)"),
        ({"data": [], "pagination": {}}, "lists nothing and does not count it"),
        ({"data": [], "pagination": {"totalCount": None}}, "lists nothing and does not count it"),
        ({"data": [], "pagination": {"totalCount": 0}, "statusCode": 500, "message": "oh"}, "is an error: oh"),
        ({"data": [], "pagination": {"totalCount": 0}, "status": "error"}, "says that it is an error"),
        ({"data": [], "pagination": {"totalCount": 0}, "success": 0}, "says that it is an error"),
        ({"data": [], "pagination": {"totalCount": 0}, "success": "false"}, "says that it is an error"),
        ({"data": {}}, 'has no list under "data"'),
        ({"nothing": 1}, 'has no list under "data" (an object with nothing)'),
    ],
)
def test_an_answer_that_says_it_is_an_error_is_no_empty_day(days: Days, body: dict[str, Any], says: str) -> None:
    with pytest.raises(SourceError) as refused:
        days.fetch(Reply(json.dumps(body).encode()))
    assert says in str(refused.value)
    assert days.archive.stored_identity() is None
