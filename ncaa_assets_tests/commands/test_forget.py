"""What a season of copies goes through: a folder is lost, sources are gone, and a person lets go. Through the commands,
over HTTP, with the real ffmpeg."""

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from ncaa_assets_tests.days import DAY, KEY
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import record, serve_listing

COPIES, OUTPUTS = Path(f"data/videos/{DAY}"), Path(f"data/processed_videos/{DAY}")
EQUAL = "archive and record are equal"

Run = Callable[..., Result]


@pytest.fixture
def season(run: Run, server: ScriptedServer, clip: Path, silent_clip: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command on an archive that has all of a day's three videos; only the first is asked for now."""
    clips = [clip.read_bytes(), silent_clip.read_bytes(), clip.read_bytes()]
    records = [record(number, server.on(f"/{number}.mp4", Reply(data))) for number, data in enumerate(clips, 1)]
    monkeypatch.setenv("API_URL", serve_listing(server, lambda: records))
    for name, value in {"RAPIDAPI_KEY": KEY, "VIDEO_ALLOW_PRIVATE_HOSTS": "1", "RETRY_COUNT": "0"}.items():
        monkeypatch.setenv(name, value)
    assert run("backup", "--date", DAY, VIDEO_COUNT="all").exit_code == 0
    monkeypatch.setenv("VIDEO_COUNT", "1")
    return run


def verified(run: Run) -> tuple[int, str]:
    done = run("verify", "--from", DAY, "--to", DAY)
    return done.exit_code, done.output


def test_a_folder_that_was_lost_comes_back_whatever_is_asked_for_now(season: Run) -> None:
    before = {path.name: path.read_bytes() for path in COPIES.iterdir()}
    shutil.rmtree(COPIES)
    shutil.rmtree(OUTPUTS)
    code, said = verified(season)
    assert code == 1
    assert said.count("is missing from the store") == 9
    done = season("backup", "--date", DAY)
    assert done.exit_code == 0, done.output
    assert "3 videos copied" in done.output
    assert {path.name: path.read_bytes() for path in COPIES.iterdir()} == before
    assert EQUAL in verified(season)[1]


def test_what_its_source_has_no_more_is_a_warning_until_a_person_lets_it_go(
    season: Run, server: ScriptedServer
) -> None:
    (COPIES / "2.mp4").unlink()
    server.on("/2.mp4", Reply(status=404))
    for _ in range(2):
        done = season("backup", "--date", DAY)
        assert done.exit_code == 0
        assert "nothing to copy, 2 there already, 1 lost for good" in done.output
        assert "its source does not have it any more (the host answers with status 404)" in done.output
    code, said = verified(season)
    assert code == 1
    advice = said.split("`ncaa-assets ")[1].split("`")[0]
    assert advice == f"forget --date {DAY} 2"
    refused = season(*advice.split())
    assert refused.exit_code == 1, "it deletes: without a terminal to ask, it wants --yes"
    done = season(*advice.split(), "--yes")
    assert (done.exit_code, "let go of 1 video, 2 files deleted" in done.output) == (0, True)
    assert EQUAL in verified(season)[1]
    again = season("backup", "--date", DAY, "--force", VIDEO_COUNT="all")
    assert again.exit_code == 0
    assert sorted(path.name for path in COPIES.iterdir()) == ["1.mp4", "3.mp4"]


@pytest.mark.slow
def test_a_damaged_copy_whose_source_is_gone_does_not_fail_its_day_for_ever(
    season: Run, server: ScriptedServer
) -> None:
    good = (OUTPUTS / "1.mp4").read_bytes()
    damaged = bytearray((COPIES / "1.mp4").read_bytes())
    damaged[-20:] = bytes(20)
    (COPIES / "1.mp4").write_bytes(damaged)
    server.on("/1.mp4", Reply(status=410))
    failed = season("backup", "--date", DAY)
    assert failed.exit_code == 1
    assert f"run `ncaa-assets backup --date {DAY} --force`" in failed.output
    done = season("backup", "--date", DAY, "--force")
    assert (done.exit_code, "1 lost for good" in done.output) == (0, True), done.output
    assert (OUTPUTS / "1.mp4").read_bytes() == good, "what is encoded is not replaced from a damaged copy"
    assert season("backup", "--date", DAY).exit_code == 0
    assert f"forget --date {DAY} 1" in verified(season)[1]
    assert season("forget", "--lost", "--yes", "--from", DAY, "--to", DAY).exit_code == 0
    assert EQUAL in verified(season)[1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "name the highlights by their ids, or take --lost"),
        (("1",), "ids need the day that they are of"),
        (("--lost", "1"), "name the highlights by their ids, or take --lost"),
        (("--date", DAY, "99"), "has no copy of 99; its copies are of 1, 2, 3"),
        (("--date", "2025-03-01", "1"), "2025-03-01 has no copied videos"),
        (("--lost", "--from", "2025-03-09", "--to", "2025-03-01"), "is after"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(season: Run, arguments: tuple[str, ...], says: str) -> None:
    done = season("forget", *arguments, "--yes")
    assert (done.exit_code, says in done.output) == (2, True), done.output
    assert len(list(COPIES.iterdir())) == 3


@pytest.mark.parametrize("identifier", ["-" + "é" * 400, "-a b'`id`\x1b[31m\n\u202e", "--yes"])
def test_the_advice_works_whatever_the_id_is(
    run: Run, server: ScriptedServer, clip: Path, monkeypatch: pytest.MonkeyPatch, identifier: str
) -> None:
    video = server.on("/1.mp4", Reply(clip.read_bytes()))
    monkeypatch.setenv("API_URL", serve_listing(server, lambda: [record(1, video) | {"id": identifier}]))
    for name, value in {"RAPIDAPI_KEY": KEY, "VIDEO_ALLOW_PRIVATE_HOSTS": "1", "RETRY_COUNT": "0"}.items():
        monkeypatch.setenv(name, value)
    assert run("backup", "--date", DAY).exit_code == 0
    (copy,) = COPIES.iterdir()
    copy.unlink()
    server.on("/1.mp4", Reply(status=404))
    assert run("backup", "--date", DAY).exit_code == 0
    advice = shlex.split(verified(run)[1].split("`ncaa-assets ")[1].split("`\n")[0])
    done = run(*advice[:1], "--yes", *advice[1:])
    assert (done.exit_code, "let go of 1 video" in done.output) == (0, True), done.output
    assert EQUAL in verified(run)[1]
