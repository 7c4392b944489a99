"""`ncaa-assets restore`: what comes back is what was saved, and what is wrong is named.

Two days that share a clip are backed up once; each test has a copy of that archive.
"""

import csv
import hashlib
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import filelock
import pytest
from click.testing import Result

from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.identity import Identity
from ncaa_assets.archive.reconcile import reconcile_day
from ncaa_assets.backends.local.store import SQLITE_NAME, LocalStore, time_of
from ncaa_assets.record.written import from_bytes, to_bytes
from ncaa_assets.settings import Settings
from ncaa_assets_tests.archives import archive_in
from ncaa_assets_tests.days import KEY, back_up, settings_for
from ncaa_assets_tests.loopback.aws import Cloud, error
from ncaa_assets_tests.loopback.http_server import Reply, scripted_server
from ncaa_assets_tests.loopback.listing import record, serve_listing
from ncaa_assets_tests.loopback.running_ui import COMMAND
from ncaa_assets_tests.loopback.seaweedfs import SeaweedFS

FIRST, SECOND = "2025-03-08", "2025-03-09"
SHARED = 3  # the clip that both days list
LISTING, VIDEOS = Path(f"data/highlights/{SECOND}.json"), Path(f"data/videos/{SECOND}.json")
COPY, OUTPUT = Path(f"data/videos/{SECOND}/2.mp4"), Path(f"data/processed_videos/{SECOND}/2.mp4")
POSTER, IDENTITY = OUTPUT.with_suffix(".jpg"), Path("data/archive.json")

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def saved(clip: Path, silent_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An archive of two days, of which the second was fetched twice."""
    folder = tmp_path_factory.mktemp("saved")
    with scripted_server() as server, pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAPIDAPI_KEY", "")
        environment.setenv("DAGSTER_HOME", "")
        sound = server.on("/1.mp4", Reply(clip.read_bytes()))
        silent = server.on("/2.mp4", Reply(silent_clip.read_bytes()))
        lists: dict[str, list[Any]] = {
            FIRST: [record(1, sound), record(SHARED, None)],
            SECOND: [record(2, silent), record(SHARED, None)],
        }
        url = serve_listing(server, lambda: lists[server.asked[-1].query["date"]])
        settings = settings_for(url, data_dir=folder / "data")
        for day in lists:
            back_up(settings, day)
        lists[SECOND].append(record(4, None))
        time.sleep(1.1)  # times have whole seconds
        back_up(settings, SECOND)
        yield folder / "data"


@pytest.fixture
def data(saved: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAPIDAPI_KEY", KEY)
    return Path(shutil.copytree(saved, "data"))


def files(folder: Path | str) -> dict[str, str]:
    """The files of a folder, without what is housekeeping, by their sha256."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def objects(folder: Path | str) -> dict[str, str]:
    """The archive's own objects in a folder."""
    kept = ("highlights/", "videos/", "processed_videos/", "archive.json")
    return {name: digest for name, digest in files(folder).items() if name.startswith(kept)}


def fits_its_sums(folder: Path | str) -> bool:
    done = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=folder, check=False, capture_output=True)
    lines = Path(folder, "SHA256SUMS").read_text("utf-8").splitlines()
    return done.returncode == 0 and {line[66:] for line in lines} == files(folder).keys() - {"SHA256SUMS"}


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def flip_a_digit(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"received": 3', b'"received": 8'))


def test_a_folder_a_day_with_names_that_people_read_and_sums_that_sha256sum_reads(run: Run, data: Path) -> None:
    before = files(data)
    done = run("restore", "--dest", "out")
    assert done.exit_code == 0, done.output
    assert fits_its_sums("out")
    there = files("out")
    copies = [name for name in there if name.endswith(".mp4") and "/web/" not in name]
    assert len(copies) == 2
    assert all(name.split("/")[0] in name.split("/")[1] for name in copies), "the day is in the name"
    assert there[copies[1]] == before[f"videos/{SECOND}/2.mp4"]
    for key in (*(f"{kind}/{FIRST}.json" for kind in ("highlights", "videos", "processed_videos")), "archive.json"):
        assert there[f"documents/{key}"] == before[key], "the documents are there word for word"
    assert [one["id"] for one in json.loads(Path("out", SECOND, "highlights.json").read_text("utf-8"))] == [2, 3, 4]
    assert objects(data) == {name: before[name] for name in objects(data)}, "nothing of the archive was touched"


def test_what_is_whole_is_not_written_again_and_not_read(run: Run, data: Path) -> None:
    assert run("restore", "--dest", "out").exit_code == 0
    COPY.write_bytes(b"x" * COPY.stat().st_size)  # whoever reads it now has other bytes
    before = {path: path.stat().st_mtime_ns for path in Path("out").rglob("*.mp4")}
    done = run("restore", "--dest", "out")
    assert "0 files written" in done.output
    assert before == {path: path.stat().st_mtime_ns for path in Path("out").rglob("*.mp4")}


def test_the_rows_come_as_csv_json_lines_and_parquet(run: Run, data: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    assert run("restore", "--dest", "out", "--what", "rows").exit_code == 0
    with closing(sqlite3.connect(data / SQLITE_NAME)) as table:
        stored = {key: json.loads(item) for key, item in table.execute("SELECT id, item FROM highlights")}
    lines = [json.loads(line) for line in Path("out/rows.jsonl").read_text("utf-8").splitlines()]
    assert {row["id"]: row for row in lines} == stored
    assert len(lines) == 4, "a clip that two days list is one row"
    with Path("out/rows.csv").open(encoding="utf-8-sig", newline="") as file:
        told = list(csv.DictReader(file))
    assert [row["id"] for row in told] == [row["id"] for row in lines]
    assert json.loads(next(row["days"] for row in told if row["id"] == "3")) == [FIRST, SECOND]
    table_ = parquet.read_table("out/rows.parquet").to_pylist()
    assert [row["id"] for row in table_] == [row["id"] for row in lines]
    assert not list(Path("out").rglob("*.mp4")), "nothing else was asked for"


def test_the_rows_of_a_range_are_files_of_their_own(run: Run, data: Path) -> None:
    assert run("restore", "--dest", "out", "--what", "rows").exit_code == 0
    assert run("restore", "--dest", "out", "--what", "rows", "--from", SECOND).exit_code == 0
    assert len(Path("out/rows.jsonl").read_text("utf-8").splitlines()) == 4
    assert len(Path(f"out/rows {SECOND} to {SECOND}.jsonl").read_text("utf-8").splitlines()) == 2


def test_the_layout_archive_is_an_archive_that_every_command_works_on(run: Run, data: Path) -> None:
    assert run("restore", "--dest", "out", "--layout", "archive").exit_code == 0
    assert objects("out") == objects(data)
    assert run("restore", "--into-table", DATA_DIR="out").exit_code == 0
    done = run("verify", "--deep", "--from", FIRST, "--to", SECOND, DATA_DIR="out", START_DATE="2025-03-01",
               API_URL="http://127.0.0.1:1/basketball/highlights")  # fmt: skip
    assert done.exit_code == 0, done.output


def test_a_lost_table_is_made_again_as_it_was(run: Run, data: Path) -> None:
    def rows() -> dict[str, dict[str, Any]]:
        with closing(sqlite3.connect(data / SQLITE_NAME)) as table:
            rows = {key: json.loads(item) for key, item in table.execute("SELECT id, item FROM highlights")}
        # As of the last change of a row: a new one has those of the last fetch.
        moving = ("last_seen", "fetch_date")
        return {key: {name: row[name] for name in row if name not in moving} for key, row in rows.items()}

    before = rows()
    for left in data.glob(f"{SQLITE_NAME}*"):
        left.unlink()
    done = run("restore", "--into-table")
    assert (done.exit_code, "2 days: 5 rows, 5 of them written" in done.output) == (0, True), done.output
    assert rows() == before
    assert "0 of them written" in run("restore", "--into-table").output


# What is damaged · what is said of it · what does not come back. Everything else does.
DAMAGE: dict[str, tuple[Callable[[], object], str, set[Path]]] = {
    "a copy is missing": (COPY.unlink, f"videos/{SECOND}/2.mp4: is missing from the store", {COPY}),
    "a copy is cut": (lambda: os.truncate(COPY, 1000), f"videos/{SECOND}/2.mp4: has 1000 bytes", {COPY}),
    "a bit of a copy": (lambda: flip_a_bit(COPY), "its bytes are not those that were recorded", {COPY}),
    "an output is missing": (OUTPUT.unlink, f"processed_videos/{SECOND}/2.mp4: is missing", {OUTPUT}),
    "a bit of an output": (lambda: flip_a_bit(OUTPUT), "another sha256", {OUTPUT}),
    "a poster is no JPEG": (lambda: POSTER.write_bytes(b"x" * POSTER.stat().st_size), "is no whole JPEG", set()),
    "a poster is cut": (lambda: os.truncate(POSTER, 10), f"processed_videos/{SECOND}/2.jpg: has 10 bytes", {POSTER}),
    # Then nobody knows what its copies are.
    "a document is missing": (VIDEOS.unlink, f"videos/{SECOND}.json: is missing", {VIDEOS, COPY}),
    "a document is no JSON": (lambda: os.truncate(LISTING, 100), "is damaged", {LISTING}),
    "a document was edited": (lambda: flip_a_digit(LISTING), "content_sha256", set()),
    "archive.json is missing": (IDENTITY.unlink, "archive.json: is missing", {IDENTITY}),
    "no document names it": (lambda: COPY.with_name("9.mp4").write_bytes(b"?"), "9.mp4: is in the store, and", set()),
    "the table is no table": (lambda: Path("data", SQLITE_NAME).write_bytes(b"?" * 5000), SQLITE_NAME, set()),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_what_is_damaged_is_named_and_the_rest_comes_back(run: Run, data: Path, what: str) -> None:
    damage, said, lost = DAMAGE[what]
    whole = objects(data).keys()
    damage()
    done = run("restore", "--dest", "out", "--layout", "archive")
    assert done.exit_code == 1
    assert said in done.stdout, done.output
    assert done.stdout.count("→") <= 2, "it is named once, and so is what follows of it"
    assert {Path("data", name) for name in whole - objects("out").keys()} == lost
    now = objects(data)
    assert all(digest == now[name] for name, digest in objects("out").items())


def test_a_file_that_differs_is_left_and_named(run: Run, data: Path) -> None:
    assert run("restore", "--dest", "out").exit_code == 0
    mine = Path("out", SECOND, "highlights.json")
    mine.write_text("my own notes", "utf-8")
    done = run("restore", "--dest", "out")
    assert done.exit_code == 1
    assert "is there with another content, which was left as it is" in done.stdout
    assert mine.read_text("utf-8") == "my own notes"


def test_a_folder_of_somebody_elses_is_left_as_it_is(run: Run, data: Path) -> None:
    Path("out").mkdir()
    Path("out/rows.csv").write_text("mine", "utf-8")
    done = run("restore", "--dest", "out")
    assert (done.exit_code, Path("out/rows.csv").read_text("utf-8")) == (1, "mine")


def test_what_a_restore_wrote_itself_follows_the_archive(run: Run, data: Path) -> None:
    assert run("restore", "--dest", "out", "--as-of", earlier(data)).exit_code == 0
    assert [one["id"] for one in json.loads(Path("out", SECOND, "highlights.json").read_text("utf-8"))] == [2, 3]
    done = run("restore", "--dest", "out")
    assert done.exit_code == 0, done.output
    assert fits_its_sums("out")
    assert [one["id"] for one in json.loads(Path("out", SECOND, "highlights.json").read_text("utf-8"))] == [2, 3, 4]


def earlier(data: Path) -> str:
    """A moment between the two runs of the second day."""
    (version,) = Path(data, f".history/highlights/{SECOND}").glob("*.json")
    replaced = time_of(version)
    assert replaced is not None
    return (replaced - timedelta(seconds=1)).isoformat()


def test_documents_as_they_were_then(run: Run, data: Path) -> None:
    (version,) = Path(data, f".history/highlights/{SECOND}").glob("*.json")
    assert run("restore", "--dest", "out", "--as-of", earlier(data)).exit_code == 0
    assert Path(f"out/documents/highlights/{SECOND}.json").read_bytes() == version.read_bytes()
    done = run("restore", "--dest", "before", "--as-of", "2020-01-01T00:00")
    assert (done.exit_code, "nothing to restore" in done.output) == (2, True), done.output
    assert not Path("before").exists()


def test_what_was_let_go_of_since_comes_back_by_no_advice(run: Run, data: Path) -> None:
    assert run("forget", "2", "--date", SECOND, "--yes").exit_code == 0
    done = run("restore", "--dest", "out", "--as-of", earlier(data))
    assert done.exit_code == 1, done.output
    assert "videos/2025-03-09/2.mp4: is missing from the store" in done.stdout
    remedies = {line.strip() for line in done.stdout.splitlines() if "→" in line}
    assert remedies == {"→ nothing to do: a person let go of it since (`forget`), and the rest of the day is restored"}


def test_another_archive_takes_what_is_newer_and_keeps_a_day_of_its_own(run: Run, data: Path) -> None:
    to_archive = ("restore", "--dest", "out", "--layout", "archive")
    assert run(*to_archive, "--as-of", earlier(data)).exit_code == 0
    Path("out/SHA256SUMS").unlink()  # as if another program had copied it
    assert run(*to_archive).exit_code == 0
    assert objects("out") == objects(data)
    own = Path(f"out/highlights/{FIRST}.json")
    document = json.loads(own.read_text("utf-8"))
    document["backup"]["fetches"][0]["received"] += 1
    document.pop("content_sha256")
    own.write_text(json.dumps(document), "utf-8")
    before = files("out")
    done = run(*to_archive)
    assert (done.exit_code, "the day went its own way" in done.stdout) == (1, True), done.output
    assert files("out").items() >= {(name, one) for name, one in before.items() if name != "SHA256SUMS"}


def test_another_leagues_archive_takes_nothing(run: Run, data: Path) -> None:
    assert run("restore", "--dest", "out", "--layout", "archive").exit_code == 0
    identity = json.loads(Path("out/archive.json").read_text("utf-8"))
    Path("out/archive.json").write_text(json.dumps({**identity, "league": "NFL"}), "utf-8")
    done = run("restore", "--dest", "out", "--layout", "archive")
    assert (done.exit_code, "that of another archive" in done.output) == (2, True)


@pytest.mark.parametrize("second", ["days", "library", "archive"])
@pytest.mark.parametrize("first", ["days", "library", "archive"])
def test_two_archives_do_not_come_into_one_folder(first: str, second: str, run: Run, data: Path) -> None:
    assert run("restore", "--dest", "out", "--layout", first).exit_code == 0
    identity = data / "archive.json"
    identity.write_bytes(to_bytes(from_bytes(Identity, identity.read_bytes(), "").model_copy(update={"league": "NFL"})))
    before = files("out")
    done = run("restore", "--dest", "out", "--layout", second, LEAGUE_NAME="NFL")
    assert (done.exit_code, "that of another archive; choose another --dest" in done.output) == (2, True), done.output
    assert files("out") == before


def test_sums_that_no_restore_wrote_give_it_no_file(run: Run, data: Path) -> None:
    Path("out").mkdir()
    Path("out/rows.csv").write_text("my own notes", "utf-8")
    digest = hashlib.sha256(b"my own notes").hexdigest()
    Path("out/SHA256SUMS").write_text(f"{digest}  rows.csv\n", "utf-8")
    before = files("out")
    done = run("restore", "--dest", "out")
    assert (done.exit_code, "SHA256SUMS was not written by a restore" in done.stderr) == (2, True), done.output
    assert files("out") == before
    Path("elsewhere").write_text("", "utf-8")
    Path("out/SHA256SUMS").unlink()
    Path("out/SHA256SUMS").symlink_to(Path("elsewhere").absolute())
    assert run("restore", "--dest", "out").exit_code == 2
    assert Path("elsewhere").read_text("utf-8") == ""


def test_by_no_detour_does_a_restore_go_into_the_archive(run: Run, data: Path) -> None:
    Path("link").symlink_to(data)
    for dest in (f"link/../{data.name}", "link", "link/inner", f"./none/../{data.name}/inner"):
        done = run("restore", "--dest", dest)
        assert (done.exit_code, "lies in the archive" in done.stderr) == (2, True), dest


def test_what_a_disk_says_leads_to_another_place(run: Run, data: Path) -> None:
    Path("file").write_text("", "utf-8")
    done = run("restore", "--dest", "file/out")
    assert done.exit_code == 1
    assert "Not a directory; mend that, or choose another --dest" in done.stderr
    assert "DATA_DIR" not in done.stderr
    assert done.stderr.count("cannot be written") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "say where to"),
        (("--into-table", "--layout", "days"), "leave out --layout and --what"),
        (("--into-table", "--what", "videos"), "leave out --layout and --what"),
        (("--dest", "out", "--layout", "archive", "--what", "rows"), "no files of rows"),
        (("--dest", "out", "--as-of", "2020-01-01T00:00"), "take a later --as-of"),
        (("--dest", "out", "--into-table"), "say where to"),
        (("--dest", "out", "--what", "films"), "'films' is no part of an archive"),
        (("--dest", "out", "--what", ","), "no part is named"),
        (("--dest", "out", "--from", "2025-03-10", "--to", FIRST), "swap them"),
        (("--dest", "out", "--from", "2025-04-01"), "no day from 2025-04-01"),
        (("--dest", "out", "--from", "yesterday"), "is not a date"),
        (("--dest", "out", "--as-of", "noon"), "is no time"),
        (("--dest", "data", "--layout", "archive"), "lies in the archive"),
        (("--dest", "data/out"), "lies in the archive"),
        (("--dest", "s3://bucket", "--layout", "days"), "is for a folder"),
        (("--dest", "s3:///x"), "names no bucket"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    run: Run, data: Path, arguments: tuple[str, ...], said: str
) -> None:
    before = files(data)
    done = run("restore", *arguments)
    assert (done.exit_code, said in done.output) == (2, True), done.output
    assert not Path("out").exists()
    assert files(data) == before


def test_two_at_once_do_not_write_to_one_folder(run: Run, data: Path) -> None:
    Path("out").mkdir()
    with filelock.FileLock("out/.lock"):
        done = run("restore", "--dest", "out")
    assert (done.exit_code, "another process is writing to" in done.output) == (2, True)
    assert run("restore", "--dest", "out").exit_code == 0


def test_a_day_that_a_run_holds_comes_last_and_is_named(run: Run, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = archive_in(LocalStore(data))
    with archive.lease(FIRST, owner="a run"):
        done = run("restore", "--dest", "out")
    assert done.exit_code == 1
    assert f"{FIRST} not restored" in done.output
    assert Path(f"out/documents/highlights/{SECOND}.json").exists()
    assert not Path(f"out/documents/highlights/{FIRST}.json").exists()


def test_a_full_disk_ends_it_in_one_sentence_and_leaves_nothing_half(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("restore", "--dest", "out", "--what", "json").exit_code == 0
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        done = run("restore", "--dest", "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert done.exit_code == 1
    assert "cannot be written" in done.output, done.output
    assert not list(Path("out").rglob("*.mp4"))
    assert run("restore", "--dest", "out").exit_code == 0
    assert fits_its_sums("out")


@pytest.mark.slow
@pytest.mark.parametrize("there", [2, 6, 10, 20])
def test_killed_at_any_point_it_goes_on_and_ends_equal(run: Run, data: Path, there: int) -> None:
    assert run("restore", "--dest", "whole").exit_code == 0
    process = subprocess.Popen(
        [COMMAND, "restore", "--dest", "out"], env={**os.environ, "DAGSTER_HOME": ""},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while process.poll() is None and len(list(Path("out").rglob("*"))) < there:
        time.sleep(0.0005)
    process.kill()
    process.wait()
    done = run("restore", "--dest", "out")
    assert done.exit_code == 0, done.output
    assert files("out") == files("whole")
    assert fits_its_sums("out")
    assert not Path("out/.tmp").exists()


@pytest.mark.slow
def test_ctrl_c_ends_it_in_one_sentence_and_it_goes_on(run: Run, data: Path) -> None:
    process = subprocess.Popen(
        [COMMAND, "restore", "--dest", "out"], env={**os.environ, "DAGSTER_HOME": ""}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    while process.poll() is None and not Path("out", FIRST).exists():
        time.sleep(0.0005)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130, said
    assert said.endswith("ended before it was done; the same command continues where this one stopped\n")
    assert "Traceback" not in said
    assert fits_its_sums("out")
    assert run("restore", "--dest", "out").exit_code == 0


@pytest.fixture
def on_aws(cloud: Cloud, data: Path) -> dict[str, str]:
    """The environment of an archive on AWS with the same objects, in a bucket that keeps versions."""
    cloud.make_bucket("here")
    cloud.make_table("rows")
    environment = {
        "NCAA_DEPLOYMENT": "aws", "S3_BUCKET_NAME": "here", "DYNAMODB_TABLE": "rows", "ENCODE": "never",
        "S3_PREFIX": "ncaa",
    }  # fmt: skip
    client = cloud.client("s3")
    client.put_bucket_versioning(Bucket="here", VersioningConfiguration={"Status": "Enabled"})
    for name in objects(data):
        client.upload_file(str(data / name), "here", f"ncaa/{name}")
    return environment


def test_from_aws_and_to_another_bucket_cheaply_when_repeated(
    run: Run, cloud: Cloud, on_aws: dict[str, str], data: Path
) -> None:
    assert run("restore", "--into-table", **on_aws).exit_code == 0
    done = run("restore", "--dest", "out", "--layout", "archive")
    assert done.exit_code == 0, done.output
    assert objects("out") == objects(data)
    cloud.make_bucket("there")
    mirror = ("restore", "--dest", "s3://there/copy")
    done = run(*mirror)
    assert done.exit_code == 0, done.output
    client = cloud.client("s3")
    listed = client.list_objects_v2(Bucket="there", Prefix="copy/")["Contents"]
    assert {one["Key"].removeprefix("copy/") for one in listed} == objects(data).keys()
    for name, digest in objects(data).items():
        body = client.get_object(Bucket="there", Key=f"copy/{name}")["Body"].read()
        assert hashlib.sha256(body).hexdigest() == digest, name
    cloud.calls.clear()
    done = run(*mirror)
    assert (done.exit_code, "0 files written" in done.output) == (0, True), done.output
    read = [call.key for call in cloud.calls if call.operation == "GetObject" and call.key.endswith((".mp4", ".jpg"))]
    assert len([key for key in read if key.startswith("ncaa/videos")]) == 0, "no copy is read again"
    assert not any(call.changes for call in cloud.calls if call.service == "s3")


def test_another_bucket_takes_what_is_newer_and_keeps_a_day_of_its_own(
    run: Run, cloud: Cloud, data: Path, on_aws: dict[str, str]
) -> None:
    cloud.make_bucket("there")
    assert run("restore", "--dest", "s3://there/copy", "--as-of", earlier(data)).exit_code == 0
    done = run("restore", "--dest", "s3://there/copy")
    assert done.exit_code == 0, done.output
    client = cloud.client("s3")
    assert client.get_object(Bucket="there", Key=f"copy/{LISTING.relative_to('data')}")["Body"].read() == (
        LISTING.read_bytes()
    )
    client.put_object(Bucket="there", Key=f"copy/videos/{FIRST}/1.mp4", Body=b"another's")
    own = json.loads(VIDEOS.read_text("utf-8"))
    own["videos"][0]["sha256"] = "0" * 64
    own.pop("content_sha256")
    client.put_object(Bucket="there", Key=f"copy/{VIDEOS.relative_to('data')}", Body=json.dumps(own).encode())
    cloud.calls.clear()
    done = run("restore", "--dest", "s3://there/copy")
    assert done.exit_code == 1
    assert f"videos/{FIRST}/1.mp4: was not restored: s3://there/copy/videos/{FIRST}/1.mp4 is there" in done.stdout
    assert f"{SECOND}: the day went its own way" in done.stdout
    assert not any(call.changes for call in cloud.calls if call.service == "s3")


def test_a_target_that_fails_ends_it_in_one_sentence(
    run: Run, cloud: Cloud, data: Path, on_aws: dict[str, str]
) -> None:
    done = run("restore", "--dest", "s3://nowhere/copy")
    assert done.exit_code == 1
    assert "there is no bucket nowhere" in done.output
    cloud.make_bucket("there")
    cloud.fail("PutObject", error(403, "AccessDenied", times=None))
    done = run("restore", "--dest", "s3://there/copy")
    assert done.exit_code == 1
    assert "may not do PutObject" in done.output.splitlines()[-1], done.output


def test_an_object_that_must_be_thawed_is_named_with_its_storage_class(
    run: Run, cloud: Cloud, on_aws: dict[str, str], data: Path
) -> None:
    client, key = cloud.client("s3"), f"ncaa/videos/{SECOND}/2.mp4"
    client.put_object(Bucket="here", Key=key, Body=COPY.read_bytes(), StorageClass="DEEP_ARCHIVE")
    done = run("restore", "--dest", "out", "--what", "json,videos", **on_aws)
    assert done.exit_code == 1
    assert "is in the storage class DEEP_ARCHIVE and must be thawed first" in done.stdout
    assert "aws s3api restore-object --bucket here" in done.stdout
    assert len(list(Path("out").rglob("*.mp4"))) == 1, "the rest is there"


def test_documents_of_a_bucket_as_they_were_then(run: Run, cloud: Cloud, on_aws: dict[str, str], data: Path) -> None:
    client, key = cloud.client("s3"), f"ncaa/highlights/{SECOND}.json"
    (first,) = Path(data, f".history/highlights/{SECOND}").glob("*.json")
    client.put_object(Bucket="here", Key=key, Body=first.read_bytes())
    then = client.head_object(Bucket="here", Key=key)["LastModified"]
    time.sleep(1.1)  # LastModified has whole seconds
    client.put_object(Bucket="here", Key=key, Body=LISTING.read_bytes())
    client.delete_object(Bucket="here", Key=f"ncaa/highlights/{FIRST}.json")
    done = run("restore", "--dest", "out", "--what", "json", "--as-of", then.isoformat(), **on_aws)
    assert done.exit_code == 0, done.output
    assert Path(f"out/documents/highlights/{SECOND}.json").read_bytes() == first.read_bytes()
    assert Path(f"out/documents/highlights/{FIRST}.json").exists(), "it was deleted only later"


@pytest.mark.slow
def test_to_a_store_of_s3s_protocol_and_back(run: Run, seaweedfs: SeaweedFS, data: Path) -> None:
    seaweedfs.make_bucket("there")
    place = {"S3_ENDPOINT_URL": seaweedfs.url, "RETRY_DELAY": "1"}
    done = run("restore", "--dest", "s3://there/copy", **place)
    assert done.exit_code == 0, done.output
    assert "0 files written" in run("restore", "--dest", "s3://there/copy", **place).output
    at_s3 = {**place, "NCAA_DEPLOYMENT": "s3", "S3_BUCKET_NAME": "there", "S3_PREFIX": "copy"}
    done = run("restore", "--dest", "back", "--layout", "archive", **at_s3)
    assert done.exit_code == 0, done.output
    assert objects("back") == objects(data)
    (version,) = Path(data, f".history/highlights/{SECOND}").glob("*.json")
    history = f"copy/{version.relative_to(data)}"
    seaweedfs.client().put_object(Bucket="there", Key=history, Body=version.read_bytes())
    done = run("restore", "--dest", "then", "--what", "json", "--as-of", earlier(data), **at_s3)
    assert done.exit_code == 0, done.output
    assert Path(f"then/documents/highlights/{SECOND}.json").read_bytes() == version.read_bytes()
    archive = Archive.open(Settings.from_environment())
    assert reconcile_day(archive.store, archive.table, SECOND, deep=True).findings == []


def test_of_made_up_games_a_restored_archive_says_how_it_is_opened(run: Run, tmp_path: Path) -> None:
    assert run("backup", "--date", SECOND, ENCODE="never").exit_code == 0
    assert run("restore", "--dest", "out", "--layout", "archive").exit_code == 0
    for command in (["restore", "--into-table"], ["find", "x"]):
        told = run(*command, DATA_DIR="out").stderr
        assert f"the one in {tmp_path}/out has made-up games too: rename that folder to {tmp_path}/out-sample" in told
    assert "unset RAPIDAPI_KEY, and let the name of its folder end in -sample" in run(
        "verify", DATA_DIR="out", RAPIDAPI_KEY=KEY
    ).stderr  # fmt: skip
    Path("out").rename("out-sample")
    assert run("restore", "--into-table", DATA_DIR="out", RAPIDAPI_KEY="").exit_code == 0


def test_a_restored_folder_is_no_archive_and_says_what_makes_one_of_it(run: Run, data: Path, tmp_path: Path) -> None:
    assert run("restore", "--dest", "out").exit_code == 0
    told = run("verify", DATA_DIR="out").stderr
    assert f"this is a restored folder, and `ncaa-assets import {tmp_path}/out` takes it into an archive" in told
