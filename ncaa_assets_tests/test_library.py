"""docs/library.md is true: its blocks run, in order, on an archive; and what it calls stable is there."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ncaa_assets
from ncaa_assets import library
from ncaa_assets.archive.archive import Archive
from ncaa_assets.library import HighlightsDay, SettingsError, open_archive
from ncaa_assets_tests.days import DAY, back_up, settings_for
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import record, serve_listing

PAGE = (Path(ncaa_assets.__file__).parents[1] / "docs" / "library.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
OTHERS = ("pandas", "duckdb")  # what a block may need that this project does not install


@pytest.fixture
def archive(server: ScriptedServer, clip: Path) -> Archive:
    """The archive in `data` of the working directory, with two days."""
    video = server.on("/1.mp4", Reply(clip.read_bytes()))
    match = {"id": 1, "homeTeam": {"displayName": "Duke Blue Devils"}, "awayTeam": {"displayName": "Yale"}}

    def listed() -> list[dict[str, Any]]:
        return [record(int(server.asked[-1].query["date"][-1]), video, match=match)]

    settings = settings_for(serve_listing(server, listed))
    back_up(settings, "2025-03-08")
    back_up(settings, DAY)
    return Archive.open(settings)


def run_blocks(*more: str) -> list[str]:
    """What the page's blocks print, in one program, and after them `more`."""
    needs = {block: re.findall(r"^import (\w+)", block, re.MULTILINE) for block in BLOCKS}
    here = [
        block
        for block in BLOCKS
        if all(importlib.util.find_spec(name) is not None for name in needs[block] if name in OTHERS)
    ]
    environment = {**os.environ, "RAPIDAPI_KEY": "k", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([*here, *more])],
        capture_output=True, encoding="utf-8", env=environment, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.usefixtures("archive")
def test_the_pages_blocks_run() -> None:
    said = run_blocks(
        "job = defs.resolve_implicit_global_asset_job_def()",
        "def make(name, day=None):",
        "    made = job.execute_in_process(asset_selection=[dg.AssetKey(name)], partition_key=day)",
        "    print(name, made.output_for_node(name))",
        "make('growth', '2025-03-09')",
        "make('clips_of_week', '2025-03-02')",
        "make('clips_a_day')",
        "print(defs.load_asset_value('highlights', partition_key='2025-03-09').date)",
    )
    assert said[0].startswith("2025-03-08 8 Team 8 vs. San José – Highlights http://")
    assert any(str(Path("data/processed_videos/2025-03-09/9.mp4")) in line for line in said), "the videos"
    assert "2025-03-08 1" in said, "the rows of a day, by SQLite"
    of_team = [line for line in said if line.startswith("2025-03-09 Team 9")]
    assert of_team[-1].endswith(str(Path("data/processed_videos/2025-03-09/9.mp4"))), "from a team to its file"
    assert said[-4:] == ["growth 0", "clips_of_week 1", "clips_a_day {'2025-03-08': 1, '2025-03-09': 1}", DAY]


def test_importing_the_library_imports_no_dagster() -> None:
    code = "import sys, ncaa_assets.library; print({'dagster', 'boto3'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_what_the_page_calls_stable_is_there(archive: Archive) -> None:
    from ncaa_assets import definitions

    promised = PAGE[PAGE.index("## What stays as it is") :]
    of_archive, of_definitions = promised.split("`ncaa_assets.library`")[1].split("`ncaa_assets.definitions`")
    for name in re.findall(r"`(\w+\.?\w*)`", of_archive.split("Of the documents")[0].split("Of `Archive`")[1]):
        found: object = archive
        for part in name.split("."):
            found = getattr(found, part)
    for name in re.findall(r"`(\w+)`", of_archive.split("\n- ")[1]):
        assert hasattr(definitions, name)
    for name in re.findall(r"`(\w+)`", of_definitions.split("resources")[1].split("\n\n")[0]):
        assert name in (definitions.defs.resources or {})
    for block in BLOCKS:
        for names in re.findall(r"^from ncaa_assets\.library import (.+)$", block, re.MULTILINE):
            assert set(names.split(", ")) <= set(library.__all__)


def test_a_folder_is_opened_without_settings_and_one_without_an_archive_is_refused(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAPIDAPI_KEY", raising=False)
    opened = open_archive(archive.settings.archive_dir)
    assert opened.days() == ["2025-03-08", DAY]
    assert opened.load(HighlightsDay, DAY).date == DAY
    assert [row["id"] for row in opened.table.day("2025-03-08")] == ["8"]
    with pytest.raises(SettingsError, match=r"there is no archive in .*none"):
        open_archive(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    archive.settings.archive_dir.rename(tmp_path / "none-sample")
    with pytest.raises(SettingsError, match=r"no archive in .*none.*; there is one in .*none-sample \(made-up games\)"):
        open_archive(tmp_path / "none")
    (tmp_path / "none-sample").rename(archive.settings.archive_dir)
    with pytest.raises(SettingsError, match="data-sample"):
        open_archive()
    (tmp_path / ".env").write_text("RAPIDAPI_KEY=k\n")
    assert open_archive().place == archive.place


def test_days_are_those_whose_listing_is_stored(archive: Archive) -> None:
    for name in ("notes.txt", "2025-03-10", "2025-3-11.json", "2025-03-07/x.json"):
        place = archive.settings.archive_dir / "highlights" / name
        place.parent.mkdir(exist_ok=True)
        place.write_text("{}")
    assert archive.days() == ["2025-03-08", DAY]
