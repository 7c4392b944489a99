"""The rows of an s3 deployment: a view of the JSON that is made again, or kept up, whatever happened to it and whoever
wrote the JSON."""

import multiprocessing
import os
import shutil
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.reconcile import reconcile_day
from ncaa_assets.archive.row_view import RowView
from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.backends.local.table import SqliteTable
from ncaa_assets.backends.s3.rows import RowsFile
from ncaa_assets.day.rows import write_rows
from ncaa_assets.failures import StoreError, TableUnusable
from ncaa_assets.ports import ObjectInfo
from ncaa_assets.record.fetch import Fetch
from ncaa_assets.record.merge import merge_fetch
from ncaa_assets.record.models import HighlightsDay
from ncaa_assets.record.rows import Row
from ncaa_assets_tests.archives import archive_in

DAYS = [f"2025-03-{number:02}" for number in range(1, 15)]
FORK = multiprocessing.get_context("fork")


class CountingStore(LocalStore):
    """A store in a folder that counts what is read, and fails at a read of this number."""

    reads = looks = 0
    fails_at: int | None = None

    def read(self, key: str) -> tuple[bytes, str]:
        self.reads += 1
        if self.fails_at is not None and self.reads >= self.fails_at:
            raise StoreError("the store does not answer")
        return super().read(key)

    def info(self, key: str) -> ObjectInfo | None:
        self.looks += 1
        return super().info(key)


def machine(tmp_path: Path, name: str) -> Archive:
    """The archive as one machine opens it: the same store, rows of its own."""
    store = CountingStore(tmp_path / "store")
    return archive_in(store, RowView(RowsFile(tmp_path / name / "highlights.sqlite"), store))


def list_day(archive: Archive, day: str, *records: dict[str, Any]) -> None:
    """What a run of a day leaves for whom these records are listed."""
    with archive.lease(day, owner="a test") as held:
        document = held.load_or_new(HighlightsDay)
        at = f"{day}T12:00:00Z" if not document.backup.fetches else f"{day}T18:00:00Z"
        answer = Fetch(
            at=at, module="basketball", records=list(records), query={"date": day}, whole=True, complete=True,
            total_count=len(records), requests=1,
        )  # fmt: skip
        document = merge_fetch(document, answer, founding="basketball")[0]
        held.save(document)
        write_rows(held, document)


def fill(archive: Archive) -> None:
    """Two weeks, in no order, of which neighbours share a clip that changes from day to day."""
    for day in sorted(DAYS, key=lambda day: day[::-1]):
        number = int(day[-2:])
        shared = [{"id": f"of-{number + more}", "title": f"As {day} has it"} for more in (0, 1)]
        list_day(archive, day, {"id": number, "title": f"Game {number}"}, *shared)


def rows_in(archive: Archive) -> dict[str, list[Row]]:
    return {day: archive.table.day(day) for day in DAYS}


@pytest.fixture
def first(tmp_path: Path) -> Archive:
    archive = machine(tmp_path, "first")
    fill(archive)
    return archive


def differences(archive: Archive) -> list[Any]:
    """Findings about rows; these days have no manifests."""
    reports = [reconcile_day(archive.store, archive.table, day) for day in DAYS]
    return [finding for report in reports for finding in report.findings if finding.asset == "backup_rows"]


def test_a_table_that_another_machine_makes_of_the_json_is_the_one_that_the_runs_wrote(
    first: Archive, tmp_path: Path
) -> None:
    plain = archive_in(LocalStore(tmp_path / "plain"), SqliteTable(tmp_path / "plain.sqlite"))
    fill(plain)
    second = machine(tmp_path, "second")
    assert rows_in(first) == rows_in(second) == rows_in(plain)
    assert sum(map(len, rows_in(second).values())) == 29
    assert differences(first) == differences(second) == []


def test_days_that_another_machine_backed_up_are_there_at_once_and_none_is_read_twice(
    first: Archive, tmp_path: Path
) -> None:
    second = machine(tmp_path, "second")
    assert isinstance(second.store, CountingStore)
    assert second.table.get(["1"])["1"]["title"] == "Game 1"
    reads = second.store.reads
    assert 3 * len(DAYS) <= reads <= 9 * len(DAYS), "a day, and those beside it that list the same clips"
    assert second.store.looks == 0, "one listing says it of all"
    rows_in(second)
    assert second.store.reads == reads
    list_day(first, DAYS[3], {"id": 4, "title": "Game 4, changed"}, {"id": 99, "title": "New"})
    state = second.state(DAYS[3])
    assert state.undone is not None
    assert "row" not in state.undone, "nothing is due for its rows"
    assert second.table.get(["4"])["4"]["title"] == "Game 4, changed"
    assert rows_in(second) == rows_in(first)
    assert differences(second) == []


@pytest.mark.parametrize("lost", ["highlights.sqlite", ""], ids=["the file", "its folder"])
def test_a_file_that_is_deleted_is_made_again_by_whatever_asks_for_rows(
    first: Archive, tmp_path: Path, lost: str
) -> None:
    before = rows_in(first)
    place = tmp_path / "first" / lost
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    assert rows_in(first) == before
    assert machine(tmp_path, "first").state(DAYS[0]).table_trouble is None


def test_who_looks_how_far_behind_the_rows_are_makes_no_file(first: Archive, tmp_path: Path) -> None:
    view = machine(tmp_path, "second").table
    assert isinstance(view, RowView)
    assert view.behind() == DAYS
    assert not (tmp_path / "second").exists()


def test_a_run_after_the_file_was_deleted_loses_no_other_day_of_a_clip(first: Archive, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "first")
    again = machine(tmp_path, "first")
    list_day(again, DAYS[5], {"id": "of-6", "title": "The last word"})
    row = again.table.get(["of-6"])["of-6"]
    assert row["days"] == [DAYS[4], DAYS[5]]
    assert row["game_date"] == DAYS[4]
    assert differences(again) == []


def test_what_ends_early_goes_on_with_the_days_that_are_left(first: Archive, tmp_path: Path) -> None:
    before = rows_in(first)
    for stops_at in range(1, 40, 4):
        second = machine(tmp_path, "second")
        assert isinstance(second.store, CountingStore)
        second.store.fails_at = stops_at
        try:
            assert rows_in(second) == before
            break
        except StoreError as error:
            assert "does not answer" in str(error)
        assert isinstance(second.table, RowView)
        behind = len(second.table.behind())
        assert behind < len(DAYS) or stops_at == 1
    else:
        pytest.fail("it never came to its end")


def kill_after(place: str, count: int) -> None:
    class Deadly(CountingStore):
        def read(self, key: str) -> tuple[bytes, str]:
            if self.reads == count:
                os._exit(9)
            return super().read(key)

    store = Deadly(Path(place) / "store")
    RowView(RowsFile(Path(place) / "second" / "highlights.sqlite"), store).get(["1"])


def test_a_process_that_dies_in_the_middle_leaves_what_the_next_one_goes_on_with(
    first: Archive, tmp_path: Path
) -> None:
    for count in (0, 3, 9):
        child = FORK.Process(target=kill_after, args=(str(tmp_path), count))
        child.start()
        child.join(30)
        assert child.exitcode == 9
    assert rows_in(machine(tmp_path, "second")) == rows_in(first)


def make_rows(place: str, start: "Barrier") -> None:
    archive = machine(Path(place), "second")
    start.wait(30)
    archive.table.get(["1"])


def test_several_processes_make_the_rows_at_once(first: Archive, tmp_path: Path) -> None:
    start = FORK.Barrier(4)
    children = [FORK.Process(target=make_rows, args=(str(tmp_path), start)) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0] * 4
    assert rows_in(machine(tmp_path, "second")) == rows_in(first)


def test_a_document_that_cannot_be_read_costs_its_own_day_alone_until_it_is_mended(
    first: Archive, tmp_path: Path
) -> None:
    path = tmp_path / "store" / HighlightsDay.key(DAYS[6])
    good = path.read_bytes()
    path.write_bytes(good[:-100])
    second = machine(tmp_path, "second")
    assert "7" not in second.table.get([str(number) for number in range(20)])
    assert isinstance(second.table, RowView)
    assert second.table.behind() == [DAYS[6]]
    path.write_bytes(good)
    assert rows_in(second) == rows_in(first)


def test_other_things_beside_the_documents_are_none_of_the_rows_business(first: Archive, tmp_path: Path) -> None:
    for name in ("README.md", "2025-03-01.json.bak", "2025-02-30.json", "x/2025-03-01.json"):
        first.store.write(f"highlights/{name}", b"?")
    second = machine(tmp_path, "second")
    assert second.table.get(["1"])
    assert isinstance(second.table, RowView)
    assert second.table.behind() == []


def test_a_file_that_is_no_table_is_said_and_made_again_once_it_is_gone(first: Archive, tmp_path: Path) -> None:
    path = tmp_path / "second" / "highlights.sqlite"
    path.parent.mkdir()
    path.write_bytes(b"no database at all" * 1000)
    with pytest.raises(TableUnusable, match="then run the same command again, which makes the rows again from the JSO"):
        machine(tmp_path, "second").table.get(["1"])
    path.unlink()
    assert rows_in(machine(tmp_path, "second")) == rows_in(first)
