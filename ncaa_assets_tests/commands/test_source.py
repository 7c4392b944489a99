"""`ncaa-assets source`: what it shows of the modules, and how it moves an archive."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ncaa_assets.commands.main import main
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import ScriptedApi, record, serve_api, us_record

DAY = "2026-01-10"
Run = Callable[..., Result]


@pytest.fixture
def api(server: ScriptedServer) -> ScriptedApi:
    api = serve_api(server)
    api.highlights["nba"] = [us_record(1, "https://x/1.mp4"), us_record(2, "https://x/watch")]
    return api


@pytest.fixture
def run(api: ScriptedApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command in an empty working directory, with a key."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **environment: str) -> Result:
        given = {"API_BASE": api.base_url, "RAPIDAPI_KEY": "a-key", "RETRY_COUNT": "0", **environment}
        return CliRunner().invoke(main, ["source", "--date", DAY, *arguments], env=given)

    return run


def stored() -> dict[str, Any]:
    return dict(json.loads(Path("data/archive.json").read_text("utf-8")))


def put(**identity: Any) -> None:
    Path("data").mkdir(exist_ok=True)
    whole = {"schema_version": 2, "source": "highlightly", "league": "NCAA", "timezone": "America/New_York", **identity}
    Path("data/archive.json").write_text(json.dumps(whole), "utf-8")


def test_it_shows_what_the_archive_is_of_and_what_each_module_lists(run: Run, api: ScriptedApi) -> None:
    put(module="basketball")
    done = run()
    assert done.exit_code == 0
    assert "is of the module basketball." in done.output
    nba, basketball = (
        next(line for line in done.output.splitlines() if f"  {name} " in line) for name in ("nba", "basketball")
    )
    assert "2 highlights; of the first 2, 1 lead to video files, such as “Team 1 Tigers vs. San José Spartans" in nba
    assert "nothing" in basketball
    assert "(this archive)" in basketball
    assert "ncaa-assets source --use nba" in done.output
    assert (len(api.asked("nba")), len(api.asked("basketball")), api.refused) == (1, 1, [])


def test_before_there_is_an_archive_it_says_so(run: Run) -> None:
    shown = run().output
    assert "There is no archive in" in shown
    assert "--use" not in shown, "there is nothing to move"
    put(module=None)
    assert "is of no module yet" in run().output
    assert not Path("data/highlights").exists()


def test_a_module_that_cannot_be_asked_is_said_and_the_others_are_shown(run: Run, api: ScriptedApi) -> None:
    api.highlights["basketball"] = Reply(b'{"message":"no"}', 403)
    done = run()
    assert done.exit_code == 1
    assert "basketball         cannot be asked: the API denied access (no)" in done.output
    assert "2 highlights" in done.output


def test_moving_is_kept_in_the_archive_with_its_history(run: Run) -> None:
    put(source="sport-highlights-api.p.rapidapi.com/basketball/highlights", note="kept")
    assert run("--use", "nba").exit_code == 0
    first = stored()
    assert (first["source"], first["module"], first["note"]) == ("highlightly", "nba", "kept")
    assert [(move["before"], move["after"]) for move in first["moves"]] == [("basketball", "nba")]
    done = run("--use", "basketball")
    assert "basketball lists for 2026-01-10: nothing" in done.output
    assert "ncaa-assets backup --from 2024-11-01 --to " in done.output
    assert [move["after"] for move in stored()["moves"]] == ["nba", "basketball"]
    shown = run().output
    assert shown.count("before that of") == 2
    again = run("--use", "basketball")
    assert "of the module basketball already; nothing was changed" in again.output
    assert len(stored()["moves"]) == 2


def test_moving_what_is_of_no_module_yet_or_not_there_decides_it(run: Run) -> None:
    assert run("--use", "nba").exit_code == 0
    assert (stored()["module"], stored()["moves"]) == ("nba", [])
    put(module=None)
    assert run("--use", "basketball").exit_code == 0
    assert (stored()["module"], stored()["moves"]) == ("basketball", [])


@pytest.mark.parametrize(
    ("name", "environment", "code", "says"),
    [
        ("nab", {}, 2, "nab is no module of the API that is known: nba, basketball"),
        ("auto", {}, 2, "auto is no module of the API"),
        ("NBA/x", {}, 2, "NBA/x is no module of the API"),
        ("curling", {"API_MODULE": "curling"}, 1, "there is nothing at"),
        ("nba", {"API_MODULE": "basketball"}, 2, "unset API_MODULE, then run this again"),
        ("nba", {"LEAGUE_NAME": "NBA"}, 2, "this archive's league is 'NCAA'"),
    ],
)
def test_a_move_that_cannot_be_made_changes_nothing(
    run: Run, name: str, environment: dict[str, str], code: int, says: str
) -> None:
    put(module="basketball")
    before = Path("data/archive.json").read_bytes()
    done = run("--use", name, **environment)
    assert (done.exit_code, says in done.output) == (code, True), done.output
    assert Path("data/archive.json").read_bytes() == before


def test_an_address_of_ones_own_names_the_only_module_that_can_be_asked(run: Run, api: ScriptedApi) -> None:
    api.highlights["basketball"] = [record(1, None)]
    given = {"API_URL": api.url("basketball"), "API_BASE": ""}
    shown = run(**given).output
    assert "basketball         1 highlight" in shown
    assert "nba" not in shown
    assert "API_URL names this module; unset it to see what others list" in shown
    refused = run("--use", "nba", **given)
    assert refused.exit_code == 2
    assert "the settings name the module basketball: unset API_URL" in refused.output


def test_without_a_key_the_sample_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAPIDAPI_KEY", raising=False)
    done = CliRunner().invoke(main, ["source", "--date", "2025-03-08"])
    assert done.exit_code == 0
    assert "nba                45 highlights" in done.output
    assert "basketball         44 highlights" in done.output


def test_a_setting_that_stands_in_the_way_is_told_with_the_move(run: Run, api: ScriptedApi) -> None:
    put(module="nba")
    api.highlights["basketball"] = [record(1, None)]
    shown = run(API_MODULE="nba").output
    assert "another module: unset API_MODULE, then run ncaa-assets source --use basketball" in shown


def test_another_sport_is_shown_alone(run: Run, api: ScriptedApi) -> None:
    put(module="american-football")
    shown = run().output
    assert "american-football  nothing" in shown
    assert "basketball" not in shown
    assert len(api.server.asked) == 1


def test_an_archive_goes_back_to_the_name_that_its_address_gave_it(run: Run, api: ScriptedApi) -> None:
    put(source="api.example/v1.2/highlights")
    api.server.on("/v1.2/highlights", Reply(b'{"data":[],"pagination":{"totalCount":0}}'))
    assert run("--use", "nba").exit_code == 0
    assert run("--use", "v1.2").exit_code == 0
    assert stored()["module"] == "v1.2"


def test_a_page_that_announces_much_and_holds_nothing_lists_nothing(run: Run, api: ScriptedApi) -> None:
    put(module="nba")
    api.highlights["basketball"] = Reply(b'{"data":[],"pagination":{"totalCount":50}}')
    shown = run().output
    assert "basketball         nothing" in shown
    assert "--use" not in shown
