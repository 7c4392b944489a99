"""`ncaa-assets verify`: an archive that is right, one that somebody or something changed, and what mends it.

Two days that share a clip are backed up once; each test has a copy of that archive, and its source to mend it from.
"""

import gc
import hashlib
import json
import os
import shutil
import sqlite3
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ncaa_assets.archive import documents
from ncaa_assets.archive.reconcile import reconcile_day
from ncaa_assets.backends.deployments import open_store, open_table
from ncaa_assets.backends.local.store import SQLITE_NAME, LocalStore
from ncaa_assets.backends.local.table import SqliteTable
from ncaa_assets.commands.verify import verify_archive
from ncaa_assets.failures import SettingsError
from ncaa_assets.record.models import Backup, HighlightsDay, ProcessedDay, RecordHistory, VideosDay, content_hash
from ncaa_assets.record.rows import merge_row, rows_of
from ncaa_assets.settings import Settings
from ncaa_assets_tests.archives import lease_of
from ncaa_assets_tests.days import KEY, back_up, command, settings_for
from ncaa_assets_tests.loopback.aws import Cloud
from ncaa_assets_tests.loopback.http_server import Reply, scripted_server
from ncaa_assets_tests.loopback.listing import record, serve_listing

FIRST, SECOND = "2025-03-08", "2025-03-09"
SHARED = 3  # the clip that both days list
EQUAL = "archive and record are equal"
COPY, OUTPUT = Path(f"data/videos/{SECOND}/2.mp4"), Path(f"data/processed_videos/{SECOND}/2.mp4")

Said = Callable[..., tuple[int, str]]


class Good(NamedTuple):
    folder: Path
    settings: Settings


@pytest.fixture(scope="module")
def good(clip: Path, silent_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Good]:
    """An archive of two days, and its source, which answers while the tests run."""
    folder = tmp_path_factory.mktemp("good")
    with scripted_server() as server, pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAPIDAPI_KEY", "")
        environment.setenv("DAGSTER_HOME", "")
        sound = server.on("/1.mp4", Reply(clip.read_bytes()))
        silent = server.on("/2.mp4", Reply(silent_clip.read_bytes()))
        lists = {
            FIRST: [record(1, sound), record(SHARED, None)],
            SECOND: [record(2, silent), record(SHARED, None), record(4, None)],
        }
        url = serve_listing(server, lambda: lists[server.asked[-1].query["date"]])
        settings = settings_for(url, data_dir=folder / "data")
        for day in lists:
            back_up(settings, day)
        yield Good(folder / "data", settings)


@pytest.fixture
def verify(good: Good, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    """Copies the good archive to `data` and runs the command's body on it. Gives its exit code and what it printed."""
    shutil.copytree(good.folder, "data")
    monkeypatch.setenv("API_URL", str(good.settings.api_url))
    monkeypatch.setenv("RAPIDAPI_KEY", KEY)
    monkeypatch.setenv("START_DATE", "2025-03-01")

    def say(first: str | None = FIRST, last: str | None = SECOND, *, deep: bool = False) -> tuple[int, str]:
        code = verify_archive(first, last, deep=deep)
        return code, "".join(capsys.readouterr())

    return say


def edit(path: str | Path, change: Callable[[Any], object]) -> None:
    """Changes a document, which then has no checksum, as earlier versions wrote it."""
    document = json.loads(Path(path).read_text("utf-8"))
    change(document)
    document.pop("content_sha256", None)
    Path(path).write_text(json.dumps(document), "utf-8")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def in_the_table(statement: str) -> None:
    with closing(sqlite3.connect(f"data/{SQLITE_NAME}", cached_statements=0)) as table, table:
        try:
            assert table.execute(statement).rowcount > 0
        except sqlite3.OperationalError:  # the columns that are taken from a row that is no JSON cannot be
            table.create_function("json_extract", 2, lambda item, path: None, deterministic=True)
            assert table.execute(statement).rowcount > 0


def edit_row(key: int, field: str, value: str) -> None:
    in_the_table(f"UPDATE highlights SET item = json_set(item, '$.{field}', {value}) WHERE id = '{key}'")  # noqa: S608


def add(path: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(b"what is this?")


@pytest.mark.parametrize("deep", [False, True])
def test_a_good_archive_is_equal_and_nothing_in_it_is_touched(verify: Said, deep: bool) -> None:
    def state() -> dict[Path, tuple[int, int]]:
        # SQLite's log files and the lock files come and go.
        files = [path for path in Path("data").rglob("*") if path.is_file() and SQLITE_NAME not in path.name]
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in files}

    before = state()
    code, said = verify(None, None, deep=deep)
    assert (code, EQUAL in said) == (0, True), said
    assert "2 days verified: 5 highlights, 5 rows, 2 copied and 2 encoded videos" in said
    assert ("4 decoded" in said) == deep
    assert state() == before


# What was changed · what the command says about it · whether only --deep finds it · how it is repaired: by running the
# day again, by running it with --force, or by hand first.
BROKEN: dict[str, tuple[Callable[[], object], list[str], bool, str]] = {
    "a deleted copy": (COPY.unlink, [f"{SECOND}  videos", "2.mp4: is missing from the store"], False, "again"),
    "a truncated copy": (lambda: cut(COPY), ["bytes, and", "were recorded"], False, "again"),
    "a flipped bit in a copy": (lambda: flip_a_bit(COPY), ["not those that were copied", "--force"], False, "force"),
    "a deleted output": (OUTPUT.unlink, [f"{SECOND}  processed_videos", "2.mp4: is missing"], False, "again"),
    "a truncated output": (lambda: cut(OUTPUT), ["bytes, and", "were recorded"], False, "again"),
    "a flipped bit in an output": (
        lambda: flip_a_bit(OUTPUT),
        ["not those that were encoded", "--force"],
        True,
        "force",
    ),
    "a deleted poster": (OUTPUT.with_suffix(".jpg").unlink, ["2.jpg: is missing"], False, "again"),
    "a deleted row": (
        lambda: in_the_table("DELETE FROM highlights WHERE id = '4'"),
        ["backup_rows", "4: has no row", f"run `ncaa-assets backup --date {SECOND}`"],
        False,
        "again",
    ),
    "an edited row": (
        lambda: edit_row(2, "title", "'x'"),
        ["2: has a row that differs from the JSON in title"],
        False,
        "again",
    ),
    "a nested field of a row": (lambda: edit_row(2, "match.id", "1.5"), ["JSON in match"], False, "again"),
    "a row of two days": (
        lambda: edit_row(SHARED, "title", "'x'"),
        [f"{FIRST}  backup_rows       3: has", f"{SECOND}  backup_rows       3: has", "in title"],
        False,
        "again",
    ),
    "a row with a date of its own": (
        lambda: edit_row(2, "first_seen", "'2020-01-01T00:00:00Z'"),
        ["differs from the JSON in first_seen"],
        False,
        "again",
    ),
    "a row of two days that lost one": (
        lambda: edit_row(SHARED, "days", f"json('[\"{FIRST}\"]')"),
        [f"3: has a row that does not name {SECOND}"],
        False,
        "again",
    ),
    "a row that names a day too many": (
        lambda: edit_row(2, "days", f'json(\'["{FIRST}", "{SECOND}"]\')'),
        [f"2: has a row that names {FIRST}, whose JSON does not list it"],
        False,
        "again",
    ),
    "a row moved to another day": (
        lambda: in_the_table("UPDATE highlights SET game_date = '2025-03-02' WHERE id = '2'"),
        ["2: has a row that does not name"],
        False,
        "again",
    ),
    "a row without bookkeeping": (
        lambda: in_the_table("UPDATE highlights SET item = '{\"id\": \"2\"}' WHERE id = '2'"),
        ["2: has a row that does not name"],
        False,
        "again",
    ),
    "a row that is no object": (
        lambda: in_the_table("UPDATE highlights SET item = '[1]' WHERE id = '2'"),
        ["2: has a row that does not name"],
        False,
        "again",
    ),
    "a row too many": (
        lambda: in_the_table(
            "INSERT INTO highlights (id, game_date, item) SELECT '99', game_date, json_set(item, '$.id', '99') "
            "FROM highlights WHERE id = '2'"
        ),
        ["99: has a row, and the day's JSON does not list it", "→ delete the row"],
        False,
        "row 99",
    ),
    "an extra video": (
        lambda: add(f"data/videos/{SECOND}/9.mp4"),
        ["9.mp4: is in the store, and no document names it", "→ see what it is, then delete it"],
        False,
        f"delete data/videos/{SECOND}/9.mp4",
    ),
    "a copy that an ended run had stored and not recorded": (
        lambda: edit(f"data/videos/{SECOND}.json", lambda manifest: manifest["videos"].clear()),
        ["2.mp4: is in the store, and no document names it", f"→ first run `ncaa-assets backup --date {SECOND}`"],
        False,
        "again",
    ),
    "a lost manifest": (
        Path(f"data/videos/{SECOND}.json").unlink,
        [f"videos/{SECOND}.json: is missing", "→ put back an earlier version"],
        False,
        "again",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_difference_is_listed_and_doing_what_is_said_mends_it(good: Good, verify: Said, what: str) -> None:
    change, says, only_deep, mend = BROKEN[what]
    change()
    if only_deep:
        assert verify()[0] == 0
    code, said = verify(deep=only_deep)
    assert code == 1
    for text in says:
        assert text in said
    assert EQUAL not in said

    if mend.startswith("row "):
        in_the_table(f"DELETE FROM highlights WHERE id = '{mend.removeprefix('row ')}'")  # noqa: S608
    elif mend.startswith("delete "):
        Path(mend.removeprefix("delete ")).unlink()
    settings = good.settings.model_copy(update={"data_dir": Path("data")})
    # Only running both days repairs a row that belongs to both.
    for day in (FIRST, SECOND) if f"{FIRST}  backup_rows" in said else (SECOND,):
        back_up(settings, day, force=mend == "force")
    code, said = verify(deep=True)
    assert (code, EQUAL in said) == (0, True), said


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda: edit(f"data/highlights/{SECOND}.json", lambda day: day["data"][0].update(title="edited by hand")),
            "2: has another content in the day's JSON than was recorded",
        ),
        (
            lambda: edit(f"data/highlights/{SECOND}.json", lambda day: day["data"].pop()),
            "4: was listed once, and is no longer in the day's JSON",
        ),
        (
            lambda: edit(f"data/highlights/{SECOND}.json", lambda day: day["data"].append(day["data"][0])),
            "2: stands 2 times in the day's JSON",
        ),
        (lambda: Path(f"data/highlights/{SECOND}.json").unlink(), f"highlights/{SECOND}.json: is missing"),
        (lambda: Path(f"data/highlights/{SECOND}.json").write_text("{"), f"{SECOND}.json is damaged"),
        (lambda: Path(f"data/processed_videos/{SECOND}.json").write_text("[]"), f"{SECOND}.json is damaged"),
    ],
)
def test_a_damaged_document_is_one_to_put_back_and_hides_nothing_else(
    verify: Said, change: Callable[[], object], says: str
) -> None:
    change()
    flip_a_bit(COPY)
    code, said = verify()
    assert code == 1
    assert says in said
    assert f".history/{'processed_videos' if 'processed' in says else ''}" in said
    assert "2.mp4: its bytes are not those that were copied" in said
    assert "no document names it" not in said, "what only a damaged document names is not to be thrown away"
    assert f"{FIRST}  videos" not in said


EDITED = "its content is not that of its `content_sha256`: it was edited, or damaged on its disk"


@pytest.mark.parametrize("asset", ["highlights", "videos", "processed_videos"])
def test_a_document_that_was_edited_is_a_difference_until_its_day_is_backed_up(
    verify: Said, good: Good, asset: str
) -> None:
    path = Path(f"data/{asset}/{SECOND}.json")
    path.write_text(path.read_text("utf-8").replace('"date": "', '"edited": 1, "date": "', 1), "utf-8")
    code, said = verify()
    assert code == 1
    assert f"{asset}/{SECOND}.json: {EDITED}" in said
    assert f"or to keep what it says, run `ncaa-assets backup --date {SECOND}`: it is written again" in said
    assert "1 difference in 1 day" in said
    back_up(good.settings.model_copy(update={"data_dir": Path("data")}), SECOND)
    assert verify()[0] == 0
    assert '"edited": 1' in path.read_text("utf-8"), "what another program added is kept"


def test_of_a_record_that_was_edited_only_the_earlier_version_is_advised(verify: Said, good: Good) -> None:
    """A backup of its day would fail: it keeps no record that is another than the one that came."""
    path = Path(f"data/highlights/{SECOND}.json")
    document = json.loads(path.read_text("utf-8"))
    document["data"][0]["title"] = "another title"
    path.write_text(json.dumps(document, ensure_ascii=False, indent=2), "utf-8")
    code, said = verify()
    assert code == 1
    assert EDITED in said
    assert "has another content in the day's JSON than was recorded when it came" in said
    assert "or to keep what it says" not in said


def test_an_archives_identity_that_was_edited_is_a_difference_until_a_day_is_backed_up(
    verify: Said, good: Good
) -> None:
    path = Path("data/archive.json")
    path.write_text(path.read_text("utf-8").replace('"source"', '"edited": 1, "source"', 1), "utf-8")
    code, said = verify()
    assert code == 1
    assert f"archive.json: {EDITED}" in said
    back_up(good.settings.model_copy(update={"data_dir": Path("data")}), SECOND)
    assert verify()[0] == 0
    path.write_text('{"source": 5}')
    code, said = verify()
    assert code == 1
    assert "archive.json is damaged (source: " in said
    assert "2 days verified" in said


@pytest.mark.parametrize("name", [f"videos/{SECOND}", "archive"])
def test_nobody_is_told_to_put_back_an_earlier_version_of_what_a_newer_program_wrote(verify: Said, name: str) -> None:
    path = Path(f"data/{name}.json")
    path.write_text(path.read_text("utf-8").replace('"schema_version": 2', '"schema_version": 9', 1), "utf-8")
    code, said = verify()
    assert code == 1
    assert "it was written by a newer ncaa-assets (schema version 9); upgrade this one" in said
    assert "→ then verify again" in said
    assert "put back" not in said


def test_a_row_that_no_json_reader_takes_is_named_and_hides_nothing_else_and_a_run_writes_it_anew(
    verify: Said, good: Good
) -> None:
    """Later versions of SQLite accept `{id: 2}` as JSON, although its field has no quotes."""
    in_the_table("UPDATE highlights SET item = '{id: 2}' WHERE id = '2'")
    flip_a_bit(COPY)
    code, said = verify()
    assert code == 1
    assert "2: has a row that does not name" in said
    assert "2.mp4: its bytes are not those that were copied" in said
    back_up(good.settings.model_copy(update={"data_dir": Path("data")}), SECOND, force=True)
    assert verify()[0] == 0


# What a person or a program may do to a row, as the end of an UPDATE of the row of record 2.
ODD_ROWS = {
    "no text of UTF-8": "item = CAST(x'7b226964223a22ff227d' AS TEXT)", "bytes": "item = x'7b7d'",
    "a number": "item = 5",
    "nothing": "item = ''", "a key that differs": "item = json_set(item, '$.id', '7')",
    "a key that is a number": "item = json_set(item, '$.id', 2)", "no key": "item = json_remove(item, '$.id')",
    "no game day": "item = json_set(item, '$.game_date', NULL)",
    "another game day": "item = json_set(item, '$.game_date', '2025-03-02')",
    "days that are a text": "item = json_set(item, '$.days', '2025-03-09')",
    "days that are none": "item = json_set(item, '$.days', json('[]'))",
    "days of another kind": "item = json_set(item, '$.days', json('[5, null, {}, \"x\", \"2025-03-09\"]'))",
    "a day twice": "item = json_set(item, '$.days', json('[\"2025-03-09\", \"2025-03-09\"]'))",
    "a day that it never had": "item = json_set(item, '$.days', json('[\"2025-03-08\", \"2025-03-09\"]'))",
    "removals that are a text": "item = json_set(item, '$.removed_from', 'x')",
    "a removal that is none": "item = json_set(item, '$.removed_from', json('{\"2025-03-09\": 5}'))",
    "a time that is none": "item = json_set(item, '$.first_seen', 5)",
    "another title": "item = json_set(item, '$.title', 'edited')", "no url": "item = json_remove(item, '$.url')",
    "nesting without end": f"item = json_set('{{}}', '$.id', '2', '$.x', '{'[' * 900}')",
    "deep nesting": f"""item = '{{"id":"2","game_date":"{SECOND}","days":["{SECOND}"],"x":{'[' * 900}{']' * 900}}}'""",
}  # fmt: skip


@pytest.mark.parametrize("change", ODD_ROWS.values(), ids=ODD_ROWS)
def test_a_row_of_any_shape_is_a_difference_that_a_run_of_its_day_mends(verify: Said, good: Good, change: str) -> None:
    in_the_table(f"UPDATE highlights SET {change} WHERE id = '2'")  # noqa: S608
    code, said = verify()
    assert code == 1
    assert f"{SECOND}  backup_rows       2: has a row " in said
    assert "1 difference in 1 day" in said
    back_up(good.settings.model_copy(update={"data_dir": Path("data")}), SECOND)
    code, said = verify()
    assert code == 0, said


def test_a_row_that_names_a_day_of_which_nothing_is_there_says_what_to_do(verify: Said, good: Good) -> None:
    days = '$.days\', json(\'["1999-01-01", "2025-03-09"]\')'
    in_the_table(f"UPDATE highlights SET item = json_set(item, '{days}, '$.game_date', '1999-01-01') WHERE id = '2'")  # noqa: S608
    in_the_table("UPDATE highlights SET game_date = '1999-01-01' WHERE id = '2'")
    code, said = verify()
    assert code == 1
    assert "2: has a row that names 1999-01-01, a day of which the archive has no document" in said
    in_the_table("DELETE FROM highlights WHERE id = '2'")
    back_up(good.settings.model_copy(update={"data_dir": Path("data")}), SECOND)
    assert verify()[0] == 0


@pytest.mark.parametrize("key", ["NULL", "x'32'", "5"])
def test_a_row_with_a_key_of_another_kind_is_a_row_too_many(verify: Said, key: str) -> None:
    in_the_table(f"INSERT INTO highlights SELECT {key}, game_date, item FROM highlights WHERE id = '2'")  # noqa: S608
    code, said = verify()
    assert code == 1
    assert "has a row, and the day's JSON does not list it" in said
    assert "1 difference in 1 day" in said


def garbage(path: Path) -> None:
    path.write_bytes(b"garbage" * 1000)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def holes(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:4096] + bytes(len(data) - 4096))


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def of_others(statement: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.unlink()
        with closing(sqlite3.connect(path)) as table:
            table.execute(statement)

    return change


BAD_TABLES = {
    "garbage": garbage, "cut short": cut_short, "holes": holes, "a folder": folder,
    "other columns": of_others("CREATE TABLE highlights (a, b)"),
    "some of the columns": of_others("CREATE TABLE highlights (id TEXT, game_date TEXT)"),
    "a view": of_others("CREATE VIEW highlights AS SELECT 1 AS id"),
}  # fmt: skip


@pytest.mark.parametrize("change", BAD_TABLES.values(), ids=BAD_TABLES)
def test_a_table_that_cannot_be_used_is_one_difference_and_moving_it_away_mends_it(
    verify: Said, good: Good, change: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("START_DATE", "2024-01-01")
    change(Path("data", SQLITE_NAME))
    code, said = verify(None, None)
    assert code == 1
    assert f"{SQLITE_NAME}: the table " in said
    assert f"{SQLITE_NAME} is damaged, or is none of this program's (" in said
    assert "1 difference\n" in said
    assert "2 days verified" in said
    assert "then verify again: no rows were compared from 20" in said
    flip_a_bit(COPY)
    assert "2 differences" in verify(None, None)[1], "it hides nothing else"
    flip_a_bit(COPY)
    for name in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            Path("data", SQLITE_NAME + name).rename(f"moved-away{name}")
    for day in (FIRST, SECOND):
        back_up(good.settings.model_copy(update={"data_dir": Path("data")}), day)
    assert verify(None, None)[0] == 0


def test_the_whole_archive_is_also_asked_for_what_belongs_to_no_day(verify: Said) -> None:
    add("data/videos/holiday.mov")
    add("data/processed_videos/2025-02-30/1.mp4")
    add(f"data/highlights/{SECOND}/notes.txt")
    Path("data/archive.json").unlink()
    assert verify(FIRST, FIRST)[0] == 0
    code, said = verify(None, None)
    assert code == 1
    for key in ("videos/holiday.mov", "processed_videos/2025-02-30/1.mp4", f"highlights/{SECOND}/notes.txt"):
        assert f"{key}: is in the store, and no document names it" in said
    assert "archive.json: is missing" in said
    assert "4 differences in 1 day" in said


def test_a_day_before_start_date_is_part_of_the_whole_archive(verify: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("START_DATE", SECOND)
    Path(f"data/videos/{FIRST}/1.mp4").unlink()
    assert verify(None, None)[0] == 1


def test_a_day_that_a_run_holds_for_too_long_is_left_out_and_that_is_no_success(
    verify: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ncaa_assets.archive.lease.LEASE_SECONDS", 0.6)
    with lease_of(LocalStore(Path("data")), SECOND, "another-run"):
        code, said = verify()
        assert code == 1
        assert f"{SECOND} not verified: a run is backing it up now" in said
        assert "1 day verified" in said
        assert "1 day not verified" in said
        assert "equal" not in said
    COPY.unlink()
    assert "not verified" not in verify()[1]


def test_a_day_that_a_run_holds_is_waited_for(verify: Said) -> None:
    with ExitStack() as held:
        held.enter_context(lease_of(LocalStore(Path("data")), FIRST, "another-run"))
        threading.Timer(0.5, held.close).start()
        code, said = verify()
    assert code == 0, said
    assert f"for 1 day that a run may be backing up: {FIRST}" in said
    assert "2 days verified" in said


def test_a_day_whose_run_died_on_another_machine_is_verified(verify: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ncaa_assets.archive.lease.LEASE_SECONDS", 0.5)
    lease = '{"owner": "dead", "host": "elsewhere/", "pid": 1, "since": null, "expires": "2038-01-01T00:00:00Z"}'
    Path("data/.leases").mkdir(exist_ok=True)
    Path("data/.leases", f"{SECOND}.json").write_text(lease)
    code, said = verify()
    assert (code, "2 days verified" in said) == (0, True), said


def test_a_dead_runs_day_is_verified_however_long_the_other_days_take(
    verify: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first look lies too far back then to count as watching."""
    monkeypatch.setattr("ncaa_assets.archive.lease.LEASE_SECONDS", 0.5)
    monkeypatch.setattr("ncaa_assets.archive.watch._MOST_BETWEEN", 0.4)
    reconcile = reconcile_day

    def slowly(*arguments: Any, **options: Any) -> Any:
        time.sleep(0.6)
        return reconcile(*arguments, **options)

    monkeypatch.setattr("ncaa_assets.commands.verify.reconcile_day", slowly)
    Path("data/.leases").mkdir(exist_ok=True)
    Path("data/.leases", f"{FIRST}.json").write_text('{"owner": "dead", "host": "elsewhere/", "pid": 1}')
    code, said = verify()
    assert (code, "2 days verified" in said) == (0, True), said


def test_of_days_that_are_all_held_nothing_is_called_equal(verify: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ncaa_assets.archive.lease.LEASE_SECONDS", 0.6)
    with lease_of(LocalStore(Path("data")), FIRST, "one"), lease_of(LocalStore(Path("data")), SECOND, "another"):
        code, said = verify()
    assert code == 1
    assert "2 days not verified: a run was at work there; verify again later" in said
    assert "equal" not in said


def test_a_copy_that_does_not_decode_is_its_sources_fault_where_its_bytes_are_right(verify: Said) -> None:
    data = bytearray(COPY.read_bytes())
    start = data.index(b"mdat") + 4
    data[start + 2000 : start + 6000] = bytes(4000)
    COPY.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    edit(f"data/videos/{SECOND}.json", lambda day: day["videos"][0].update(sha256=digest))
    edit(f"data/processed_videos/{SECOND}.json", lambda day: day["videos"][0].update(source_sha256=digest))
    code, said = verify(deep=True)
    assert code == 0
    assert "2.mp4: (a warning, not an error of the archive) is what its source sent, and does not decode" in said
    assert EQUAL in said


def test_without_ffmpeg_a_deep_look_hashes_and_says_that_decoding_was_left_out(
    verify: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/no/such/ffmpeg")
    flip_a_bit(OUTPUT)
    code, said = verify(deep=True)
    assert code == 1
    assert "no video is decoded: there is no ffmpeg" in said
    assert "not those that were encoded" in said


def test_a_field_that_another_program_added_to_a_row_is_no_difference(verify: Said) -> None:
    edit_row(2, "watched", "'yes'")
    assert verify()[0] == 0


@pytest.fixture
def in_the_cloud(verify: Said, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Said:
    """The same archive in a bucket and a table. Runs the command's body on it, a few days after its last."""
    # Else each test would look at every day up to yesterday, of which there are more each day.
    monkeypatch.setattr(Settings, "today", lambda _: date(2025, 3, 12))
    cloud.make_bucket("archive")
    cloud.make_table("SportsHighlights")
    for name, value in (
        ("NCAA_DEPLOYMENT", "aws"), ("S3_BUCKET_NAME", "archive"), ("S3_PREFIX", "ncaa"), ("RETRY_DELAY", "0"),
        ("MEDIACONVERT_ROLE_ARN", "arn:aws:iam::123456789012:role/encoder"), ("START_DATE", "2025-03-01"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    settings = Settings.from_environment()
    store, here, rows = LocalStore(Path("data")), open_store(settings), SqliteTable(Path("data", SQLITE_NAME))
    for info in store.list(""):
        here.write(info.key, store.read(info.key)[0])
    for day in (FIRST, SECOND):
        open_table(settings).merge(rows.day(day), merge_row)
    return verify


def overwrite(cloud: Cloud, key: str) -> None:
    """Writes other bytes of the same length to a key, as a person with another tool would."""
    size = len(cloud.client("s3").get_object(Bucket="archive", Key=f"ncaa/{key}")["Body"].read())
    cloud.client("s3").put_object(Bucket="archive", Key=f"ncaa/{key}", Body=b"x" * size, ChecksumAlgorithm="SHA256")


def test_on_aws_the_buckets_own_checksum_tells_a_copy_from_another_without_reading_it(
    in_the_cloud: Said, cloud: Cloud
) -> None:
    code, said = in_the_cloud()
    assert (code, EQUAL in said) == (0, True), said
    read = [call.key for call in cloud.calls if call.operation == "GetObject"]
    assert not [key for key in read if key.startswith("ncaa/videos/") and key.endswith(".mp4")]
    overwrite(cloud, f"videos/{SECOND}/2.mp4")
    cloud.client("dynamodb").delete_item(TableName="SportsHighlights", Key={"id": {"S": "4"}})
    cloud.client("s3").put_object(Bucket="archive", Key=f"ncaa/videos/{FIRST}/note.txt", Body=b"?")
    code, said = in_the_cloud(None, None)
    assert code == 1
    assert "3 differences in 2 days" in said
    for text in ("2.mp4: its bytes are not those that were copied", "4: has no row", "note.txt: is in the store"):
        assert text in said


def test_on_aws_a_deep_look_reads_every_byte_and_decodes_where_there_is_an_ffmpeg(
    in_the_cloud: Said, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said = in_the_cloud(deep=True)
    assert code == 0
    assert "4 decoded" in said
    assert {f"ncaa/videos/{SECOND}/2.mp4", f"ncaa/processed_videos/{SECOND}/2.mp4"} <= {
        call.key for call in cloud.calls if call.operation == "GetObject"
    }
    overwrite(cloud, f"processed_videos/{SECOND}/2.jpg")
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/no/such/ffmpeg")
    code, said = in_the_cloud(deep=True)
    assert code == 1
    assert "2.jpg: is no whole JPEG" in said
    assert "no video is decoded: there is no ffmpeg" in said


def test_what_cannot_be_verified_is_wrong_usage(verify: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="swap them"):
        verify(SECOND, FIRST)
    with pytest.raises(SettingsError, match="is not a date"):
        verify("once", SECOND)
    with pytest.raises(SettingsError, match="this archive's league"):
        monkeypatch.setenv("LEAGUE_NAME", "NBA")
        verify()
    with pytest.raises(SettingsError, match=r"there is no archive in .*elsewhere/ yet; `.*backup` makes it"):
        monkeypatch.setenv("DATA_DIR", "elsewhere")
        verify(None, None)
    assert not Path("elsewhere").exists()


def test_the_command_exits_with_0_1_and_2(verify: Said) -> None:
    # In a process of its own, with its output in a pipe.
    environment = {"API_URL": os.environ["API_URL"], "RAPIDAPI_KEY": KEY, "START_DATE": "2025-03-01"}
    done = command("verify", "--from", FIRST, "--to", SECOND, "--deep", **environment)
    lacking = f"the gallery has no pages of {FIRST}, {SECOND} yet; `ncaa-assets gallery` makes them\n"
    assert (done.returncode, done.stderr) == (0, lacking), "pages are made from what is kept, so that is no difference"
    assert EQUAL in done.stdout
    COPY.unlink()
    assert command("verify", "--date", FIRST, **environment).returncode == 0
    assert command("verify", "--date", SECOND, **environment).returncode == 1
    done = command("verify", "--date", FIRST, "--to", SECOND, **environment)
    assert (done.returncode, "not both" in done.stderr) == (2, True)
    done = command("verify", **environment)
    assert done.returncode == 1
    assert "2.mp4: is missing from the store" in done.stdout
    assert "1 difference in 1 day" in done.stdout
    assert command("verify", "--from", "never", **environment).returncode == 2


def fabricated(store: LocalStore, table: SqliteTable, day: str, count: int) -> None:
    records = [record(int(day.replace("-", "")) * 1000 + number, None) for number in range(count)]
    seen = "2025-03-10T06:00:00Z"
    entries = {
        str(one["id"]): RecordHistory(first_seen=seen, last_seen=seen, content_hash=content_hash(one))
        for one in records
    }
    document = HighlightsDay(date=day, data=records, backup=Backup(records=entries))
    for one in (document, VideosDay(date=day), ProcessedDay(date=day)):
        documents.save(store, one)
    table.merge(rows_of(document), merge_row)


def test_memory_does_not_grow_with_the_number_of_days(store: LocalStore) -> None:
    table = SqliteTable(store.root / SQLITE_NAME)
    days = [f"2025-03-{number:02}" for number in range(1, 31)]
    for day in days:
        fabricated(store, table, day, 100)

    def peak(of: list[str]) -> int:
        tracemalloc.start()
        try:
            for day in of:
                assert reconcile_day(store, table, day).findings == []
                gc.collect()  # garbage that waits to be collected does not count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(days[:3])  # fills the caches first
    assert peak(days) < 1.3 * peak(days[:3])
