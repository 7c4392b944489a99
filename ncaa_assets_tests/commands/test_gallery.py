"""`ncaa-assets gallery`, as a person runs it: on a folder, on a terminal with a browser, on a bucket; and what else
keeps the pages up to date."""

import os
import pty
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.documents import save
from ncaa_assets.failures import StoreError
from ncaa_assets.gallery.publish import is_published
from ncaa_assets.record.models import VideosDay
from ncaa_assets.settings import Settings
from ncaa_assets_tests.days import DAY, KEY, back_up, settings_for
from ncaa_assets_tests.loopback.aws import Cloud
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import record, serve_listing
from ncaa_assets_tests.loopback.running_ui import COMMAND, free_port

LATER = "2025-03-10"
PAGES = Path("data/gallery")

Run = Callable[..., Result]


@pytest.fixture
def archive(server: ScriptedServer, clip: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """Two days as an earlier version of this project left them: without a gallery. The later one has no video."""
    monkeypatch.setenv("RAPIDAPI_KEY", KEY)
    records = [record(1, server.on("/1.mp4", Reply(clip.read_bytes())))]
    settings = settings_for(serve_listing(server, lambda: records))
    back_up(settings)
    records[:] = [record(2, None)]
    back_up(settings, LATER)
    monkeypatch.setenv("API_URL", settings.api_url or "")
    return Archive.open(settings)


def pages() -> dict[str, bytes]:
    return {str(path.relative_to(PAGES)): path.read_bytes() for path in PAGES.rglob("*") if path.is_file()}


def test_what_a_killed_or_a_failed_run_left_is_made_when_the_gallery_is_opened(run: Run, archive: Archive) -> None:
    assert run("gallery").exit_code == 0
    whole = pages()
    for lost in ("index.html", f"{DAY}.json"):
        (PAGES / lost).unlink()
        assert run("gallery").exit_code == 0
        assert pages() == whole
    document = archive.load(VideosDay, DAY)
    document.videos.clear()
    save(archive.store, document)  # as a run does that fails before its pages
    assert run("gallery").exit_code == 0
    assert is_published(archive, DAY)
    assert pages() != whole
    (PAGES / f"{DAY}.html").unlink()
    lacking = run("gallery", "--date", DAY)
    assert lacking.exit_code == 2
    assert f"{DAY} has no page: `" in lacking.stderr
    assert "gallery --rebuild`" in lacking.stderr


def test_where_there_are_no_pages_yet_they_are_made_and_the_path_is_told(run: Run, archive: Archive) -> None:
    assert not PAGES.exists()
    done = run("gallery")
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{Path('data/gallery/index.html').absolute()}\n"
    assert {"index.html", f"{DAY}.html", f"{LATER}.html"} <= pages().keys()
    assert is_published(archive, DAY)
    assert is_published(archive, LATER)
    before = {path: path.stat().st_mtime_ns for path in PAGES.rglob("*")}
    again = run("gallery")
    assert again.stderr == "", "nothing was to be made"
    assert {path: path.stat().st_mtime_ns for path in PAGES.rglob("*")} == before


def test_verify_names_the_days_without_pages_and_takes_them_for_no_difference(run: Run, archive: Archive) -> None:
    done = run("verify", "--from", DAY, "--to", LATER)
    assert done.exit_code == 0, done.output
    assert f"the gallery has no pages of {DAY}, {LATER} yet" in done.stderr
    assert run("gallery").exit_code == 0
    done = run("verify", START_DATE=DAY)
    assert done.exit_code in (0, 1)
    assert "gallery" not in done.output, "its pages are no strays either"


def test_rebuild_makes_all_pages_anew_and_may_be_interrupted(
    run: Run, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("gallery").exit_code == 0
    before = pages()
    (PAGES / f"{DAY}.html").write_text("spoilt")
    (PAGES / "index.html").unlink()
    (PAGES / "2024-12-24.html").write_text("of a day that is not there")
    with monkeypatch.context() as interrupted:

        def stop(*_: object) -> None:
            raise KeyboardInterrupt

        interrupted.setattr("ncaa_assets.gallery.publish.Journal.key", stop)
        done = run("gallery", "--rebuild")
        assert done.exit_code == 130, done.output
        assert "the same command continues" in done.stderr
    done = run("gallery", "--rebuild")
    assert done.exit_code == 0, done.output
    assert pages() == before


def test_a_damaged_day_keeps_its_pages_and_is_named(run: Run, archive: Archive) -> None:
    assert run("gallery").exit_code == 0
    before = pages()
    (PAGES / f"{LATER}.html").unlink()
    Path(f"data/videos/{DAY}.json").write_text('{"cut')
    done = run("gallery", "--rebuild")
    assert done.exit_code == 1, done.output
    assert f"{DAY} keeps the pages that it has: " in done.stderr
    assert pages().keys() == before.keys()
    assert pages()[f"{DAY}.html"] == before[f"{DAY}.html"]
    assert pages()[f"{LATER}.html"] == before[f"{LATER}.html"]


def test_a_day_is_opened_by_its_date_or_as_the_newest_that_has_a_video(run: Run, archive: Archive) -> None:
    assert run("gallery", "--date", LATER).stdout == f"{(PAGES / LATER).absolute()}.html\n"
    assert run("gallery", "--date", "newest").stdout == f"{(PAGES / DAY).absolute()}.html\n"
    missing = run("gallery", "--date", "2025-03-11")
    assert missing.exit_code == 2
    assert "2025-03-11 has no page, because it is not backed up" in missing.stderr
    wrong = run("gallery", "--date", "../../x")
    assert wrong.exit_code == 2
    assert "--date ../../x is no day" in wrong.stderr


def test_without_an_archive_it_says_what_makes_one(run: Run) -> None:
    done = run("gallery", RAPIDAPI_KEY=KEY)
    assert done.exit_code == 2
    assert re.search(r"there is no archive in \S+/data/ yet; `\S*ncaa-assets backup` makes it, or set", done.stderr)
    assert run("find", "duke", RAPIDAPI_KEY=KEY).stderr == done.stderr
    assert not Path("data").exists()


def test_on_a_terminal_the_browser_opens_the_page(archive: Archive, tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path / "opened"}\n')
    browser.chmod(0o755)
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [COMMAND, "gallery", "--date", DAY],
            env={**os.environ, "BROWSER": f"{browser} %s"},
            stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, timeout=60, check=False,
        )  # fmt: skip
        said = os.read(ours, 4096).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "opened").read_text().strip() == (PAGES / f"{DAY}.html").absolute().as_uri()
    assert f"data/gallery/{DAY}.html is open in the browser" in said


def test_where_no_browser_opens_a_terminal_gets_an_address(archive: Archive) -> None:
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [COMMAND, "gallery", "--date", DAY],
            env={**os.environ, "BROWSER": "false %s"},
            stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, timeout=60, check=False,
        )  # fmt: skip
        said = os.read(ours, 4096).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 0, done.stderr
    assert f"Open this in your browser: {(PAGES / f'{DAY}.html').absolute().as_uri()}" in said


def test_pages_that_cannot_be_made_do_not_keep_those_that_are_there_from_being_opened(
    run: Run, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise StoreError("nobody may write here")

    monkeypatch.setattr("ncaa_assets.commands.gallery.publish", fails)
    done = run("gallery")
    assert (done.exit_code, done.stdout) == (1, "")
    PAGES.mkdir()
    (PAGES / "index.html").write_text("pages of an earlier day")
    done = run("gallery")
    assert done.exit_code == 0, done.output
    assert done.stdout.endswith("index.html\n")
    assert "2 days have no page yet, and it cannot be made: nobody may write here" in done.stderr


def test_forget_brings_the_pages_up_to_date(run: Run, archive: Archive) -> None:
    assert run("gallery").exit_code == 0
    assert f"processed_videos/{DAY}/1.mp4" in (PAGES / f"{DAY}.html").read_text()
    done = run("forget", "--date", DAY, "1", "--yes")
    assert done.exit_code == 0, done.output
    assert is_published(archive, DAY)
    assert f"videos/{DAY}/1.mp4" not in (PAGES / f"{DAY}.html").read_text()


def test_import_makes_the_pages_of_what_came_in(run: Run, archive: Archive) -> None:
    dry = run("import", "data", "--dry-run", DATA_DIR="second")
    assert dry.exit_code == 0, dry.output
    assert not Path("second").exists()
    done = run("import", "data", DATA_DIR="second")
    assert done.exit_code == 0, done.output
    second = Archive.open(archive.settings.model_copy(update={"data_dir": Path("second").absolute()}))
    assert is_published(second, DAY)
    assert is_published(second, LATER)
    assert Path("second/gallery/index.html").exists()


@pytest.mark.slow
def test_a_buckets_pages_are_served_with_the_callers_credentials_until_ctrl_c(
    cloud: Cloud, server: ScriptedServer, clip: Path, tmp_path: Path
) -> None:
    cloud.make_bucket("gallery")
    records = [record(1, server.on("/1.mp4", Reply(clip.read_bytes())))]
    given = {
        "NCAA_DEPLOYMENT": "s3", "S3_ENDPOINT_URL": cloud.environment()["AWS_ENDPOINT_URL"],
        "S3_BUCKET_NAME": "gallery", "S3_PREFIX": "mine", "RAPIDAPI_KEY": KEY,
        "API_URL": serve_listing(server, lambda: records), "VIDEO_ALLOW_PRIVATE_HOSTS": "1",
    }  # fmt: skip
    back_up(Settings.from_environment(given))
    environment = {**os.environ, **given}

    told = subprocess.run([COMMAND, "gallery"], env=environment, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert "which is private" in told.stdout
    assert "ncaa-assets gallery --serve" in told.stdout

    port = free_port()
    base = f"http://localhost:{port}"
    process = subprocess.Popen(
        [COMMAND, "gallery", "--serve", "--port", str(port)], env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        page = until_answered(f"{base}/gallery/{DAY}.html", process)
        assert f"../processed_videos/{DAY}/1.mp4".encode() in page
        request = urllib.request.Request(f"{base}/videos/{DAY}/1.mp4", headers={"Range": "bytes=100-199"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert (answer.status, answer.read()) == (206, clip.read_bytes()[100:200])
        taken = subprocess.run(
            [COMMAND, "gallery", "--serve", "--port", str(port)], env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert taken.returncode == 2
        assert f"port {port} cannot be used" in taken.stderr
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines() == [f"The gallery opens on {base}/gallery/index.html (Ctrl-C ends it)"]


def until_answered(url: str, process: "subprocess.Popen[str]") -> bytes:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError:
            raise
        except OSError:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)
