"""A Dagster home that is damaged or locked: the day is backed up all the same, and a sentence says how to mend it."""

import contextlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock
import pytest
from click.testing import Result

from ncaa_assets.archive.archive import Archive
from ncaa_assets.runs import instance as instances
from ncaa_assets.runs.instance import open_instance
from ncaa_assets_tests.days import DAY, KEY, settings_for
from ncaa_assets_tests.loopback.http_server import Handler, Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import API_PATH, record, serve_listing

Run = Callable[..., Result]

RUNS, INDEX, SCHEDULES = "history/runs.db", "history/runs/index.db", "schedules/schedules.db"
UNRECORDED = "runs are not recorded in the UI now, and the backup goes on: "


@pytest.fixture(scope="module")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home as Dagster makes it, once."""
    home = tmp_path_factory.mktemp("made") / "home"
    before = os.environ.get("DAGSTER_HOME")
    with open_instance(home):
        pass
    os.environ["DAGSTER_HOME"] = before or ""
    return home


@pytest.fixture
def home(made_home: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made_home, tmp_path / "home")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits a second where a person would wait half a minute."""
    monkeypatch.setattr(instances, "_PATIENCE", 1.0)
    monkeypatch.setattr("dagster._core.storage.event_log.sqlite.sqlite_event_log.SQLITE_BUSY_TIMEOUT_SECONDS", 0.5)


@pytest.fixture
def back_up(run: Run, server: ScriptedServer, clip: Path, home: Path) -> Callable[..., Result]:
    """`ncaa-assets backup` of a day with one video, recorded in `home`."""
    url = serve_listing(server, lambda: [record(1, server.on("/1.mp4", Reply(clip.read_bytes())))])

    def backup(command: str = "backup", **environment: str) -> Result:
        days = ("--date", DAY) if command == "backup" else ()
        return run(
            command, *days, API_URL=url, RAPIDAPI_KEY=KEY, VIDEO_ALLOW_PRIVATE_HOSTS="1", ENCODE="never", MATCHES="0",
            **{"DAGSTER_HOME": str(home), **environment},
        )  # fmt: skip

    return backup


def said_of(result: Result) -> str:
    """The one sentence about the home; fails where there is another or more of them."""
    (line,) = [line for line in result.stderr.splitlines() if UNRECORDED in line]
    assert "Traceback" not in result.stderr
    return line.partition(UNRECORDED)[2]


def is_whole() -> bool:
    return Archive.open(settings_for("http://127.0.0.1:1", video_count=1, encode="never")).state(DAY).undone is None


def recorded(home: Path) -> list[str]:
    with open_instance(home) as instance:
        return [run.status.value for run in instance.get_runs()]


def garbage(path: Path) -> None:
    path.write_bytes(b"no database at all, although it has the name of one" * 500)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def overwritten(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:4096] + os.urandom(len(data) - 4096))


@pytest.mark.parametrize("name", [RUNS, INDEX, SCHEDULES])
@pytest.mark.parametrize("harm", [garbage, cut, overwritten])
def test_a_damaged_database_stops_no_backup_and_moving_the_home_away_mends_it(
    back_up: Callable[..., Result], home: Path, name: str, harm: Callable[[Path], None]
) -> None:
    harm(home / name)
    result = back_up()
    assert (result.exit_code, is_whole()) == (0, True), result.stderr
    assert "is damaged (" in said_of(result)
    assert f"move {home} away: the next run makes a new one, and the archive needs nothing of it" in said_of(result)

    home.rename(home.with_name("away"))
    result = back_up()
    assert (result.exit_code, UNRECORDED in result.stderr) == (0, False)
    assert recorded(home) == ["SUCCESS"]


def test_an_index_that_was_never_filled_is_damaged_too(back_up: Callable[..., Result], home: Path) -> None:
    (home / INDEX).write_bytes(b"")
    result = back_up()
    assert (result.exit_code, is_whole()) == (0, True)
    assert "is damaged (" in said_of(result)


def _file_in_its_place(home: Path) -> None:
    shutil.rmtree(home)
    home.write_text("a file")


def _file_for_a_folder(home: Path) -> None:
    shutil.rmtree(home / "history")
    (home / "history").write_text("a file")


def _written(text: bytes) -> Callable[[Path], None]:
    def write(home: Path) -> None:
        (home / "dagster.yaml").write_bytes(text)

    return write


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (_file_in_its_place, "is a file, and a folder has to be there"),
        (_file_for_a_folder, "cannot be used (NotADirectoryError"),
        (_written(b"no_such_setting: 1\n"), 'entry "no_such_setting" at the root'),
        (_written(b"a: [1\nb: }"), "is not a valid configuration of Dagster"),
        (_written(bytes(range(128, 256))), "is not a valid configuration of Dagster"),
        (_written(b"- a list\n"), "to parse to dictionary"),
        (_written(b"run_coordinator:\n  module: no_such\n  class: Nope\n"), "no_such"),
        (_written(b"storage:\n  sqlite:\n    base_dir: /proc/none\n"), "/proc/none"),
    ],
)
def test_a_home_that_is_none_and_a_wrong_configuration_stop_no_backup(
    back_up: Callable[..., Result], home: Path, harm: Callable[[Path], None], says: str
) -> None:
    harm(home)
    result = back_up()
    assert (result.exit_code, is_whole()) == (0, True), result.stderr
    assert says in said_of(result)


def test_a_wrong_configuration_is_mended_by_deleting_it(back_up: Callable[..., Result], home: Path) -> None:
    (home / "dagster.yaml").write_text("no_such_setting: 1\n")
    assert "or delete the file: the next run makes a new one" in said_of(back_up())
    (home / "dagster.yaml").unlink()
    result = back_up()
    assert (result.exit_code, UNRECORDED in result.stderr) == (0, False)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield


@pytest.mark.parametrize("name", [RUNS, INDEX, SCHEDULES])
def test_a_database_that_another_process_keeps_locked_stops_no_backup(
    back_up: Callable[..., Result], home: Path, name: str
) -> None:
    with locked(home / name):
        result = back_up("catch-up", START_DATE=DAY, LOOKBACK_DAYS="1")
        assert result.exit_code == 0, result.stderr
        assert f"another process keeps {home / name} locked; end that process, or move {home} away" in said_of(result)
    assert (back_up().exit_code, recorded(home)) == (0, ["SUCCESS"])


def test_a_process_that_hangs_while_it_opens_the_home_stops_no_backup(
    back_up: Callable[..., Result], home: Path
) -> None:
    with filelock.FileLock(home / ".opening.lock", thread_local=False):
        result = back_up()
    assert (result.exit_code, is_whole()) == (0, True)
    assert "another process keeps" in said_of(result)


def test_a_database_elsewhere_that_does_not_answer_stops_the_backup_as_others_look_there(
    back_up: Callable[..., Result], home: Path
) -> None:
    (home / "dagster.yaml").write_text(
        "storage:\n  postgres:\n    postgres_db: {scheme: postgresql+psycopg2, hostname: 127.0.0.1, port: 1, "
        "username: a, password: b, db_name: c}\n"
    )
    result = back_up()
    assert (result.exit_code, Path("data/highlights").exists()) == (1, False)
    assert f"check that the database in {home / 'dagster.yaml'} is up and can be reached" in result.stderr


def test_old_files_beside_a_database_elsewhere_are_not_looked_at(back_up: Callable[..., Result], home: Path) -> None:
    garbage(home / RUNS)
    (home / "dagster.yaml").write_text("storage:\n  postgres:\n    postgres_db: {hostname: {env: NO_SUCH}}\n")
    result = back_up()
    assert (result.exit_code, "damaged" in result.stderr) == (2, False), result.stderr
    assert str(home / "dagster.yaml") in result.stderr


def breaking_api(server: ScriptedServer, url: str | None, harm: Callable[[], Any]) -> str:
    """The address of an API that does harm when it is asked for the first time, in the middle of a run."""
    listing = json.dumps({"data": [record(1, url)], "pagination": {"totalCount": 1}}).encode()

    def answer(handler: Handler) -> None:
        if server.times(API_PATH) == 1:
            harm()
        Reply(listing).send(handler)

    return server.on(API_PATH, answer)


@pytest.mark.parametrize("name", [RUNS, INDEX])
@pytest.mark.parametrize("how", ["locked", "garbage", "moved", "deleted"])
def test_a_home_that_breaks_in_the_middle_of_a_run_costs_its_record_and_not_the_day(
    run: Run, server: ScriptedServer, clip: Path, home: Path, name: str, how: str
) -> None:
    with contextlib.ExitStack() as stack:

        def harm() -> None:
            if how == "locked":
                stack.enter_context(locked(home / name))
            elif how == "garbage":
                garbage(home / name)
            elif how == "moved":
                (home / name).rename(home / "elsewhere.db")
            else:
                shutil.rmtree(home)
                home.write_text("a file")

        url = breaking_api(server, server.on("/1.mp4", Reply(clip.read_bytes())), harm)
        result = run(
            "backup", "--date", DAY, API_URL=url, RAPIDAPI_KEY=KEY, DAGSTER_HOME=str(home),
            VIDEO_ALLOW_PRIVATE_HOSTS="1", ENCODE="never", MATCHES="0",
        )  # fmt: skip
    assert (result.exit_code, is_whole()) == (0, True), result.stderr
    assert "unexpected" not in result.stderr
    assert said_of(result)
    assert f"{DAY} backed up" in result.stdout


def test_a_run_whose_home_was_locked_for_a_while_is_recorded_as_cancelled_and_nobody_is_alerted(
    run: Run, server: ScriptedServer, home: Path
) -> None:
    listing = json.dumps({"data": [record(1, None)], "pagination": {"totalCount": 1}}).encode()
    with contextlib.ExitStack() as stack:

        def answer(handler: Handler) -> None:
            if server.times(API_PATH) == 1:
                stack.enter_context(locked(home / INDEX))
            else:
                stack.close()  # the day is done anew, unrecorded
            Reply(listing).send(handler)

        result = run(
            "backup", "--date", DAY, API_URL=server.on(API_PATH, answer), RAPIDAPI_KEY=KEY, DAGSTER_HOME=str(home),
            ENCODE="never", MATCHES="0",
        )  # fmt: skip
    assert (result.exit_code, bool(said_of(result))) == (0, True)
    assert recorded(home) == ["CANCELED"]


def test_a_range_goes_on_without_its_record(run: Run, server: ScriptedServer, home: Path) -> None:
    url = breaking_api(server, None, lambda: garbage(home / INDEX))
    result = run(
        "backup", "--from", "2025-03-08", "--to", "2025-03-10", API_URL=url, RAPIDAPI_KEY=KEY,
        DAGSTER_HOME=str(home), ENCODE="never", MATCHES="0", VIDEO_COUNT="1",
    )  # fmt: skip
    assert "3 of 3 days backed up" in result.stdout, result.stderr
    assert (result.exit_code, bool(said_of(result))) == (0, True)


ODD_NAMES = [
    "it's #1 (100%)", 'with "quotes" and \\', "two\nlines", "tab\there", "Düne–🏀", "a;b $HOME {x} [1] *",
    "file:x@y:z&c=1+2",
]  # fmt: skip


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_of_folders_work_or_are_refused(
    back_up: Callable[..., Result], run: Run, made_home: Path, tmp_path: Path, name: str
) -> None:
    shutil.copytree(made_home, tmp_path / "homes" / name)
    places = {"DAGSTER_HOME": str(tmp_path / "homes" / name), "DATA_DIR": str(tmp_path / "archives" / name)}
    result = back_up(**places)
    assert (result.exit_code, UNRECORDED in result.stderr) == (0, False), result.stderr
    assert recorded(Path(places["DAGSTER_HOME"])) == ["SUCCESS"]
    verified = run("verify", **places)
    assert verified.exit_code == 0, verified.output
    assert {path.name for path in (tmp_path / "homes").iterdir()} == {name}
    assert {path.name for path in (tmp_path / "archives").iterdir()} == {name}


@pytest.mark.parametrize(
    ("places", "says"),
    [
        ({"DAGSTER_HOME": "what?"}, "DAGSTER_HOME: Dagster cannot keep databases in"),
        ({"DAGSTER_HOME": "x?mode=memory&uri=true"}, "set it to a path without"),
        ({"DAGSTER_HOME": "a%41b"}, "set it to a path without"),
        ({"DAGSTER_HOME": "\udcff"}, "DAGSTER_HOME: "),
        ({"DATA_DIR": "\udcff"}, "DATA_DIR: "),
        ({"DAGSTER_HOME": "x" * 256}, "DAGSTER_HOME: a folder in the path"),
        ({"DATA_DIR": "é" * 128}, "DATA_DIR: a folder in the path"),
        ({"DAGSTER_HOME": "/".join(["x" * 90] * 5)}, "SQLite opens no file there if it has more than 451"),
        ({"DATA_DIR": "/".join(["x" * 90] * 6)}, "SQLite opens no file there if it has more than 486"),
        ({"DATA_DIR": "x/" * 2500}, "DATA_DIR: the path"),
    ],
)
def test_a_folder_that_cannot_hold_a_database_is_refused_by_its_setting_before_anything_is_written(
    back_up: Callable[..., Result], home: Path, places: dict[str, str], says: str
) -> None:
    before = sorted(Path.cwd().iterdir())
    result = back_up(**{"DAGSTER_HOME": str(home), **places})
    assert (result.exit_code, says in result.stderr) == (2, True), result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert sorted(Path.cwd().iterdir()) == before


@pytest.mark.parametrize(("name", "most", "file"), [("DATA_DIR", 486, "highlights.sqlite"), ("DAGSTER_HOME", 451, "x")])
def test_the_longest_path_that_is_not_refused_works(
    back_up: Callable[..., Result], tmp_path: Path, made_home: Path, name: str, most: int, file: str
) -> None:
    place = str(tmp_path)
    while (left := most - len(place) - 1) > 0:
        place += "/" + "x" * (left if left <= 200 else min(200, left - 2))
    if name == "DAGSTER_HOME":
        shutil.copytree(made_home, place)
    result = back_up(**{name: place})
    assert (result.exit_code, UNRECORDED in result.stderr, len(place)) == (0, False, most), result.stderr
    assert file == "x" or Path(place, file).exists()
