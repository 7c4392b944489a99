"""The one list of how a day can come out, and what agrees with it elsewhere."""

import re
from pathlib import Path

import pytest

import ncaa_assets
from ncaa_assets.record.models import ASSETS
from ncaa_assets.runs.day_line import EVENT
from ncaa_assets.runs.outcome import LEFT_TO_DO, DayRun
from ncaa_assets.runs.results import Result


def test_the_alarm_counts_what_the_list_says_that_it_counts() -> None:
    alarms = (Path(ncaa_assets.__file__).parents[1] / "terraform" / "alarms.tf").read_text("utf-8")
    (pattern,) = re.findall(r'"day_backed_up" \{.*?pattern\s*=\s*"(.*?)"\n', alarms, re.DOTALL)
    values = re.findall(r'\\"(\w+)\\"', pattern)
    assert values == [EVENT, *(result.value for result in Result if result.is_counted)]


def test_what_is_done_is_not_due_and_ends_with_0() -> None:
    assert [result for result in Result if not result.is_due] == [Result.BACKED_UP, Result.SKIPPED]
    assert {result: result.exit_code for result in Result} == {
        Result.BACKED_UP: 0,
        Result.FAILED: 1,
        Result.INCOMPLETE: 1,
        Result.NOT_STARTED: 1,
        Result.SKIPPED: 1,
        Result.ENDED: 130,
        Result.PARTIAL: 0,
    }


@pytest.mark.parametrize(
    ("ended", "planned", "was_held", "result"),
    [
        (DayRun("r", succeeded=True, summaries=dict.fromkeys(ASSETS, "")), set(ASSETS), False, Result.BACKED_UP),
        (
            DayRun(
                "r",
                succeeded=True,
                summaries=dict.fromkeys(ASSETS, ""),
                numbers={"processed_videos": {LEFT_TO_DO: 1}},
            ),
            set(ASSETS),
            False,
            Result.INCOMPLETE,
        ),
        (DayRun("r", summaries={"highlights": ""}, failed_checks=["one"]), set(ASSETS), False, Result.FAILED),
        (DayRun("r", summaries={"highlights": ""}, reported="its worker is gone"), set(ASSETS), False, Result.FAILED),
        (DayRun("r", summaries={"highlights": ""}), set(ASSETS), False, Result.ENDED),
        (DayRun("r", summaries={"highlights": ""}), {"highlights"}, False, Result.PARTIAL),
        (DayRun("r", succeeded=True), set(ASSETS), True, Result.SKIPPED),
    ],
)
def test_a_run_comes_out_in_one_way(ended: DayRun, planned: set[str], was_held: bool, result: Result) -> None:
    assert ended.result(planned, was_held=was_held) is result
