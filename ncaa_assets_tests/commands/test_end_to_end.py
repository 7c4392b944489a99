"""A day from a real HTTP endpoint to a real archive, by the command that a person types. Other programs look at the
result."""

import json
import sqlite3
import subprocess
from pathlib import Path

import dagster as dg
import pytest

from ncaa_assets.media.ffmpeg import ffmpeg_program
from ncaa_assets_tests.days import DAY, KEY, command, metadata_of
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import API_PATH, record, serve_listing


def decodes(video: Path) -> str:
    """What ffmpeg prints while it decodes every frame: nothing, for a good file."""
    done = subprocess.run(
        [ffmpeg_program(), "-v", "error", "-xerror", "-i", str(video), "-f", "null", "-"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stderr + ("" if done.returncode == 0 else f"exit {done.returncode}")


def streams(video: Path) -> str:
    done = subprocess.run(
        [ffmpeg_program(), "-hide_banner", "-i", str(video)], capture_output=True, text=True, check=False
    )
    return done.stderr


@pytest.fixture
def endpoint(server: ScriptedServer, clip: Path, silent_clip: Path) -> dict[str, str]:
    """95 records on three pages: a web page first, then real MP4s with and without sound."""
    page = server.on("/watch", Reply(b"<!doctype html><title>watch</title>", content_type="video/mp4"))
    sound = server.on("/sound.mp4", Reply(clip.read_bytes(), content_type="video/mp4"))
    silent = server.on("/silent.mp4", Reply(silent_clip.read_bytes()))
    records = [record(1, page), record(2, sound), record(3, silent), *(record(n, None) for n in range(4, 96))]
    url = serve_listing(server, lambda: records)
    return {"API_URL": url, "RAPIDAPI_KEY": KEY, "VIDEO_ALLOW_PRIVATE_HOSTS": "1", "VIDEO_COUNT": "2"}


def test_a_day_is_backed_up_from_an_endpoint_and_everything_stored_is_what_it_should_be(
    endpoint: dict[str, str], server: ScriptedServer, clip: Path, tmp_path: Path
) -> None:
    done = command("backup", "--date", DAY, **endpoint)

    assert done.returncode == 0, done.stderr
    assert f"{DAY} backed up" in done.stdout
    assert "SAMPLE" not in done.stdout + done.stderr
    assert KEY not in done.stdout + done.stderr
    assert server.times(API_PATH) == 3
    assert {asked.headers.get("x-rapidapi-key") for asked in server.asked if asked.path == API_PATH} == {KEY}

    stored = json.loads(Path("data/highlights", f"{DAY}.json").read_text("utf-8"))
    assert [one["id"] for one in stored["data"]] == list(range(1, 96))
    assert stored["data"][1] == record(2, server.url("/sound.mp4"))
    assert stored["backup"]["fetches"][0]["complete"] is True

    with sqlite3.connect("data/highlights.sqlite") as table:
        rows = dict(table.execute("SELECT id, title FROM highlights WHERE game_date = ?", (DAY,)))
    assert rows == {str(n): f"Team {n} vs. San José – Highlights" for n in range(1, 96)}

    copies = sorted(Path("data/videos", DAY).iterdir())
    assert [path.name for path in copies] == ["2.mp4", "3.mp4"]
    assert copies[0].read_bytes() == clip.read_bytes()
    manifest = json.loads(Path("data/videos", f"{DAY}.json").read_text("utf-8"))
    assert [(skip["id"], skip["kind"]) for skip in manifest["skipped"]] == [("1", "page")]

    outputs = sorted(Path("data/processed_videos", DAY).iterdir())
    assert [path.name for path in outputs] == ["2.jpg", "2.mp4", "3.jpg", "3.mp4"]
    for output in outputs[1::2]:
        assert decodes(output) == ""
        assert "h264 (High)" in streams(output)
        data = output.read_bytes()
        assert data.index(b"moov") < data.index(b"mdat"), "fast start: the index comes first"
    assert "Audio: aac" in streams(outputs[1])
    assert "Audio" not in streams(outputs[3])
    assert outputs[0].read_bytes()[:3] == b"\xff\xd8\xff"
    assert not list(Path("data/.tmp").iterdir())
    assert not list(Path("data/.leases").iterdir())

    assert list(tmp_path.rglob("*.db")), "the instance's databases are among what is searched for the key"
    assert [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()] == []


def test_a_second_call_merges_once_more_copies_and_encodes_nothing_and_says_so(
    endpoint: dict[str, str], server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = command("backup", "--date", DAY, **endpoint)
    assert first.returncode == 0, first.stderr
    before = {path: path.stat().st_mtime_ns for path in Path("data").rglob("*.mp4")}
    asked = server.times("/sound.mp4")

    second = command("backup", "--date", DAY, **endpoint)

    assert second.returncode == 0, second.stderr
    assert "95 highlights kept: 95 listed, 0 new" in second.stdout
    assert "95 rows: 0 written" in second.stdout
    assert "nothing to copy, 2 there already" in second.stdout
    assert "nothing to encode, 2 there already" in second.stdout
    assert {path: path.stat().st_mtime_ns for path in Path("data").rglob("*.mp4")} == before
    assert server.times("/sound.mp4") == asked

    monkeypatch.setenv("DAGSTER_HOME", str(Path(".dagster").absolute()))
    with dg.DagsterInstance.get() as instance:
        runs = instance.get_runs()
        assert [run.status for run in runs] == [dg.DagsterRunStatus.SUCCESS] * 2
        for run in runs:
            assert run.job_name == "daily_backup"
            assert run.tags["dagster/partition"] == DAY
            assert run.remote_job_origin is not None
            assert run.remote_job_origin.location_name == "ncaa_assets"
        shown = metadata_of(instance, "highlights")
        assert shown["highlights"] == 95
        assert shown["api_requests_left_today"] == 77
        assert f"[Team 2 vs. San José – Highlights](<{server.url('/sound.mp4')}>)" in shown["listing"]
        assert metadata_of(instance, "videos")["copied"] == 0
        assert "data:image/jpeg;base64," in metadata_of(instance, "processed_videos")["poster"]


@pytest.mark.parametrize("spoilt", [f"{KEY}\r", f" {KEY}"])
def test_a_key_with_a_stray_character_around_it_works_and_shows_nowhere(
    endpoint: dict[str, str], server: ScriptedServer, tmp_path: Path, spoilt: str
) -> None:
    """In a `.env` written on Windows, lines end with a carriage return, which no header can carry."""
    done = command("backup", "--date", DAY, "--debug", **{**endpoint, "RAPIDAPI_KEY": spoilt})
    assert done.returncode == 0, done.stderr
    assert {asked.headers.get("x-rapidapi-key") for asked in server.asked if asked.path == API_PATH} == {KEY}
    assert KEY not in done.stdout + done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()] == []


def test_without_a_key_the_sample_answers_in_a_store_and_an_instance_of_its_own(tmp_path: Path) -> None:
    done = command("backup", "--date", DAY)

    assert done.returncode == 0, done.stderr
    assert "SAMPLE DATA" in done.stderr
    assert f"{DAY} (SAMPLE) backed up" in done.stdout
    assert "Next:   put your RAPIDAPI_KEY into .env" in done.stdout
    assert "crontab" not in done.stdout, "nobody wants made-up games every morning"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == [".dagster-sample", "data-sample"]
    assert json.loads(Path("data-sample/archive.json").read_text())["source"] == "sample"
    (output,) = Path("data-sample/processed_videos", DAY).glob("*.mp4")
    assert decodes(output) == ""

    refused = command("backup", "--date", DAY, API_URL="http://127.0.0.1:1/x", RAPIDAPI_KEY=KEY, DATA_DIR="data-sample")
    assert refused.returncode == 2
    assert "'sample'" in refused.stderr
    assert "nothing was written" in refused.stderr
