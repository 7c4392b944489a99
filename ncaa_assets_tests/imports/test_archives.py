"""An archive that was restored, or lies elsewhere, comes in equal: kept/README.md says what this one holds."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.day_versions import State
from ncaa_assets.archive.reconcile import reconcile_day, strays
from ncaa_assets.archive.rows import RowsOfDays
from ncaa_assets.backends.deployments import open_place
from ncaa_assets.backends.local.place import FolderPlace
from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.backends.place import Place
from ncaa_assets.failures import SettingsError
from ncaa_assets.imports.archives import DayTaken, TakesDays, days_in
from ncaa_assets.imports.what import root_of
from ncaa_assets.ports import ObjectStore
from ncaa_assets_tests.archive.test_kept import AWS
from ncaa_assets_tests.archives import archive_in
from ncaa_assets_tests.days import settings_for
from ncaa_assets_tests.imports.places import DAYS, KEPT, objects, put, restored

if TYPE_CHECKING:
    from ncaa_assets_tests.loopback.aws import Cloud
    from ncaa_assets_tests.loopback.seaweedfs import SeaweedFS


def an_archive(folder: Path, **settings: Any) -> Archive:
    return archive_in(LocalStore(folder), **{"rapidapi_key": "a-key", **settings})


def take(archive: Archive, place: Place | Path, *, writes: bool = True) -> list[DayTaken]:
    place = FolderPlace(place) if isinstance(place, Path) else place
    root = root_of(place)
    assert root is not None
    takes = TakesDays(archive, place, root, owner="a test", writes=writes)
    takes.identity()
    return [takes.take(day) for day in days_in(place, root)]


def is_equal(archive: Archive) -> None:
    days: set[str] = set()
    assert list(strays(archive.store, days)) == []
    assert days == set(DAYS)
    for day in DAYS:
        report = reconcile_day(archive.store, archive.table, day, deep=True, rows_of_day=RowsOfDays(archive.store))
        assert (report.findings, report.table_trouble) == ([], None)


@pytest.mark.parametrize(
    ("layout", "sums"), [("archive", True), ("days", True), ("days", False), ("library", True), ("library", False)]
)
def test_a_restored_folder_of_any_layout_comes_in_equal(layout: str, sums: bool, tmp_path: Path) -> None:
    folder = restored(layout, tmp_path / "restored", sums=sums)
    archive = an_archive(tmp_path / "data")
    assert [(taken.was, taken.is_new, taken.findings) for taken in take(archive, folder)] == [
        (State.EARLIER, True, [])
    ] * 3
    assert objects(tmp_path / "data") == objects(KEPT)
    is_equal(archive)
    assert [taken.was for taken in take(archive, folder)] == [State.EQUAL] * 3


def test_it_comes_into_a_bucket_and_a_table_too(cloud: "Cloud", tmp_path: Path) -> None:
    cloud.make_bucket("kept")
    cloud.make_table("SportsHighlights")
    archive = Archive.open(settings_for("http://api.example/basketball/highlights", **AWS))
    assert all(taken.is_done for taken in take(archive, restored("days", tmp_path / "restored")))
    is_equal(archive)
    assert {info.key: archive.store.read(info.key)[0] for info in archive.store.list("")} == objects(KEPT)
    assert [taken.was for taken in take(archive, tmp_path / "restored")] == [State.EQUAL] * 3


@pytest.mark.parametrize("prefix", ["", "/restored"])
def test_it_comes_from_a_bucket(prefix: str, cloud: "Cloud", tmp_path: Path) -> None:
    cloud.make_bucket("elsewhere")
    for key, data in objects(restored("days" if prefix else "archive", tmp_path / "restored")).items():
        cloud.client("s3").put_object(Bucket="elsewhere", Key=f"{prefix}/{key}".lstrip("/"), Body=data)
    archive = an_archive(tmp_path / "data")
    assert all(taken.is_done for taken in take(archive, open_place(f"s3://elsewhere{prefix}", archive.settings)))
    assert objects(tmp_path / "data") == objects(KEPT)


def test_an_object_in_glacier_is_named_with_what_to_do(cloud: "Cloud", tmp_path: Path) -> None:
    cloud.make_bucket("elsewhere")
    for key, data in objects(KEPT).items():
        kind = "GLACIER" if key == "videos/2025-03-08/1.mp4" else "STANDARD"
        cloud.client("s3").put_object(Bucket="elsewhere", Key=key, Body=data, StorageClass=kind)
    archive = an_archive(tmp_path / "data")
    [first, *others] = take(archive, open_place("s3://elsewhere", archive.settings))
    assert [finding.key for finding in first.findings] == ["videos/2025-03-08/1.mp4"]
    assert "is archived (Glacier)" in first.findings[0].problem
    assert all(taken.is_done for taken in others)


@pytest.mark.slow
def test_it_goes_from_one_store_of_s3_s_protocol_into_another(seaweedfs: "SeaweedFS", tmp_path: Path) -> None:
    for name in ("here", "there"):
        seaweedfs.make_bucket(name)
    for key, data in objects(KEPT).items():
        seaweedfs.client().put_object(Bucket="there", Key=key, Body=data)
    where = {"ncaa_deployment": "s3", "s3_endpoint_url": seaweedfs.url, "s3_bucket_name": "here"}
    archive = Archive.open(settings_for("http://api.example/basketball/highlights", **where))
    place = open_place("s3://there", archive.settings)
    assert all(taken.is_done for taken in take(archive, place))
    is_equal(archive)
    assert [taken.was for taken in take(archive, place)] == [State.EQUAL] * 3


def test_without_writing_the_same_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    folder = restored("days", tmp_path / "restored")
    next(folder.glob("2025-03-09/*(5).mp4")).write_bytes(b"another")
    archive = an_archive(tmp_path / "data")
    said = take(archive, folder, writes=False)
    assert not (tmp_path / "data").exists()
    assert said == take(archive, folder)


class StopsAfter(LocalStore):
    """A folder whose writer is killed at its nth change."""

    def __init__(self, root: Path, changes: int) -> None:
        super().__init__(root)
        self.left = changes

    def write(self, key: str, *args: Any, **options: Any) -> str:
        if not key.startswith("."):
            self._count()
        return super().write(key, *args, **options)

    def adopt(self, path: Path, key: str) -> Any:
        self._count()
        return super().adopt(path, key)

    def _count(self) -> None:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1


def test_interrupted_at_any_point_and_run_again_it_is_equal(tmp_path: Path) -> None:
    folder = restored("days", tmp_path / "restored")
    for changes in range(26):
        data = tmp_path / f"data-{changes}"
        store: ObjectStore = StopsAfter(data, changes)
        try:
            take(archive_in(store, rapidapi_key="a-key"), folder)
        except KeyboardInterrupt:
            assert changes < 25
        else:
            assert changes == 25, "15 objects, 9 documents and archive.json"
        archive = an_archive(data)
        assert all(taken.is_done for taken in take(archive, folder))
        assert objects(data) == objects(KEPT)
    is_equal(archive)


def test_what_is_damaged_or_missing_is_named_and_the_rest_comes_in(tmp_path: Path) -> None:
    folder = restored("archive", tmp_path / "restored")
    (folder / "videos/2025-03-08/1.mp4").write_bytes(b"x" * (folder / "videos/2025-03-08/1.mp4").stat().st_size)
    (folder / "processed_videos/2025-03-09/5.jpg").unlink()
    (folder / "highlights/2025-03-10.json").write_bytes(b'{"data": [')
    archive = an_archive(tmp_path / "data")
    taken = take(archive, folder)
    assert [[(one.asset, one.key) for one in day.findings] for day in taken] == [
        [("videos", "videos/2025-03-08/1.mp4")],
        [("processed_videos", "processed_videos/2025-03-09/5.jpg")],
        [("highlights", "highlights/2025-03-10.json")],
    ]
    came = objects(tmp_path / "data")
    lacking = {"videos/2025-03-08/1.mp4", "processed_videos/2025-03-09/5.jpg", "highlights/2025-03-10.json"}
    assert came == {key: data for key, data in objects(KEPT).items() if key not in lacking}
    shutil.rmtree(folder)
    assert all(day.is_done for day in take(archive, restored("archive", folder)))
    assert objects(tmp_path / "data") == objects(KEPT)


def grown(folder: Path, day: str = DAYS[1]) -> None:
    """One more fetch of a day."""
    path = folder / f"highlights/{day}.json"
    document = json.loads(path.read_bytes())
    fetches = document["backup"]["fetches"]
    fetches.append({**fetches[-1], "at": "2025-03-20T00:00:00Z"})
    document.pop("content_sha256", None)
    put(path, document)


def edited(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = folder / f"highlights/{DAYS[1]}.json"
    document = json.loads(path.read_bytes())
    change(document)
    document.pop("content_sha256", None)
    put(path, document)


def test_an_earlier_state_is_taken_up_and_a_later_one_stays(tmp_path: Path) -> None:
    folder = restored("archive", tmp_path / "restored", sums=False)
    archive = an_archive(tmp_path / "data")
    take(archive, folder)
    grown(folder)
    assert [taken.was for taken in take(archive, folder)] == [State.EQUAL, State.EARLIER, State.EQUAL]
    assert objects(tmp_path / "data") == objects(folder)
    grown(tmp_path / "data")
    before = objects(tmp_path / "data")
    assert [taken.was for taken in take(archive, folder)] == [State.EQUAL, State.LATER, State.EQUAL]
    assert objects(tmp_path / "data") == before


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document["backup"]["fetches"][0].update(at="2025-03-01T00:00:00Z"),
        lambda document: document["backup"]["fetches"].clear(),
    ],
)  # fmt: skip
def test_a_day_that_went_another_way_stays(change: Callable[[dict[str, Any]], Any], tmp_path: Path) -> None:
    folder = restored("archive", tmp_path / "restored", sums=False)
    archive = an_archive(tmp_path / "data")
    take(archive, folder)
    edited(folder, change)
    grown(tmp_path / "data")
    videos = tmp_path / "data/videos" / f"{DAYS[1]}.json"
    document = json.loads(videos.read_bytes())
    del document["videos"][0]
    document.pop("content_sha256", None)
    put(videos, document)
    before = objects(tmp_path / "data")
    taken = take(archive, folder)[1]
    assert (taken.was, taken.is_done) == (State.OTHER, False)
    assert objects(tmp_path / "data") == before


def test_an_object_that_is_lost_here_comes_back_with_a_day_that_is_equal(tmp_path: Path) -> None:
    folder = restored("days", tmp_path / "restored")
    archive = an_archive(tmp_path / "data")
    take(archive, folder)
    (tmp_path / "data/videos/2025-03-08/1.mp4").unlink()
    assert [(taken.was, taken.objects) for taken in take(archive, folder)] == [
        (State.EQUAL, 1),
        (State.EQUAL, 0),
        (State.EQUAL, 0),
    ]
    assert objects(tmp_path / "data") == objects(KEPT)


@pytest.mark.parametrize("settings", [{"league_name": "NBA"}, {"timezone": "UTC"}, {"rapidapi_key": None}])
def test_an_archive_of_something_else_is_refused(settings: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nothing was written"):
        take(an_archive(tmp_path / "data", **settings), restored("archive", tmp_path / "restored"))
    assert not (tmp_path / "data").exists()


def test_an_archive_that_began_with_another_module_is_refused(tmp_path: Path) -> None:
    archive = an_archive(tmp_path / "data")
    archive.identity.claim(archive.store, "nba")
    with pytest.raises(SettingsError, match="began with the module 'nba'"):
        take(archive, restored("archive", tmp_path / "restored"))


def test_days_without_what_they_are_of_are_refused(tmp_path: Path) -> None:
    folder = restored("archive", tmp_path / "restored")
    (folder / "archive.json").unlink()
    with pytest.raises(SettingsError, match="put it back"):
        root_of(FolderPlace(folder))


def test_no_link_leads_out_of_the_folder(tmp_path: Path) -> None:
    folder = restored("archive", tmp_path / "restored", sums=False)
    secret = put(tmp_path / "secret.mp4", (folder / "videos/2025-03-08/1.mp4").read_bytes())
    (folder / "videos/2025-03-08/1.mp4").unlink()
    (folder / "videos/2025-03-08/1.mp4").symlink_to(secret)
    taken = take(an_archive(tmp_path / "data"), folder)
    assert [finding.key for finding in taken[0].findings] == ["videos/2025-03-08/1.mp4"]


def test_a_key_that_leaves_its_day_is_refused(tmp_path: Path) -> None:
    folder = restored("archive", tmp_path / "restored", sums=False)
    path = folder / f"videos/{DAYS[0]}.json"
    path.write_bytes(path.read_bytes().replace(b"videos/2025-03-08/1.mp4", b"videos/2025-03-08/../../../x"))
    [first, *_] = take(an_archive(tmp_path / "data"), folder)
    assert [finding.key for finding in first.findings] == [f"videos/{DAYS[0]}.json"]
