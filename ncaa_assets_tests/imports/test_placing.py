"""What the earlier pipeline left goes into the game days that it is of; the rest is kept, and nothing is guessed."""

import gzip
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.kept import KeptFile, KeptRecords
from ncaa_assets.archive.reconcile import records as compare_records
from ncaa_assets.backends.deployments import open_place
from ncaa_assets.backends.local.place import FolderPlace
from ncaa_assets.backends.place import Place
from ncaa_assets.imports.placing import DayPlaced, FilePlaced, Places
from ncaa_assets.imports.what import leavings_in, root_of
from ncaa_assets.record import json_text
from ncaa_assets.record.fetch import Fetch
from ncaa_assets.record.merge import merge_fetch
from ncaa_assets.record.models import HighlightsDay
from ncaa_assets.record.rows import rows_of
from ncaa_assets.record.written import from_bytes
from ncaa_assets_tests.archives import archive_in
from ncaa_assets_tests.imports.places import answer, item, objects, put, record, row
from ncaa_assets_tests.imports.test_archives import StopsAfter, an_archive

if TYPE_CHECKING:
    from ncaa_assets_tests.loopback.aws import Cloud

DAY = "2025-03-09"


def place_all(
    archive: Archive, place: Place | Path, *, writes: bool = True
) -> tuple[dict[str, FilePlaced], dict[str, DayPlaced]]:
    """What became of each file and of each day."""
    place = FolderPlace(place) if isinstance(place, Path) else place
    places = Places(archive, place, module="basketball", owner="a test", writes=writes)
    done: Sequence[FilePlaced | DayPlaced] = list(places.files(leavings_in(place, root_of(place))))
    files = {one.file.path: one for one in done if isinstance(one, FilePlaced)}
    return files, {one.day: one for one in done if isinstance(one, DayPlaced)}


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return an_archive(tmp_path / "data")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return tmp_path / "old"


def ids(archive: Archive, day: str = DAY) -> list[str]:
    return [view.id for view, _ in archive.load(HighlightsDay, day).highlights()]


def titles(archive: Archive, key: str) -> tuple[str, list[str]]:
    """The title of a highlight, and those that it had before, the oldest first."""
    document = archive.load(HighlightsDay, DAY)
    assert compare_records(document).findings == []
    [now] = [view.title for view, _ in document.highlights() if view.id == key]
    return str(now), [change.record["title"] for change in document.backup.records[key].history]


def kept_records(archive: Archive) -> list[tuple[Any, str, str | None]]:
    documents = [
        from_bytes(KeptRecords, archive.store.read(info.key)[0], info.key)
        for info in archive.store.list("imported/records/")
    ]
    return [(one.record, one.reason, one.asked_for) for document in documents for one in document.records]


@pytest.mark.parametrize(
    ("given", "day"),
    [
        ("2025-03-09T23:00:00.000Z", "2025-03-09"),
        ("2025-03-10T03:59:59Z", "2025-03-09"),  # a day of New York, in summer time since that morning
        ("2025-03-10T04:00:00Z", "2025-03-10"),
        ("2025-03-09T04:59:59Z", "2025-03-08"),
        ("2025-03-10T00:30:00-04:00", "2025-03-10"),
        ("2025-03-10T01:00:00", "2025-03-09"),  # asked without a timezone, the API says UTC
    ],
)
def test_a_record_belongs_to_the_game_day_of_its_game_s_time(given: str, day: str, archive: Archive, old: Path) -> None:
    put(old / "highlights/basketball_highlights_2025-01-01.json", answer(record(1, date=given)))
    assert list(place_all(archive, old)[1]) == [day]
    assert ids(archive, day) == ["1"]
    assert archive.table.get(["1"])["1"]["game_date"] == day


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (record(1, date=None), "it does not say when its game was (match.date)"),
        (record(1, match="text"), "it does not say when its game was (match.date)"),
        (
            record(1, date="2025-03-09"),
            "its match.date has no time, so the game day in the archive's timezone is not known",
        ),
        (record(1, date="soon"), "its match.date is no time"),
        (record(1, date="0001-01-01T00:00:00Z"), "its match.date is no time"),
        (record(1, date="9999-12-31T23:00:00Z"), "its game is yet to come"),
        (
            record(1.5),
            "it is no record that is understood: its id is a number with a fraction or an exponent, not a number or "
            "text",
        ),
        ("text", "it is no record that is understood: not an object but text"),
    ],
)
def test_a_day_is_never_guessed(given: Any, reason: str, archive: Archive, old: Path) -> None:
    put(old / "highlights/2025-03-08.json", answer(given, record(2)))
    files, _ = place_all(archive, old)
    assert (files["highlights/2025-03-08.json"].records, files["highlights/2025-03-08.json"].kept_records) == (1, 1)
    assert archive.days() == [DAY]
    [(kept, why, asked)] = kept_records(archive)
    assert (json.loads(json.dumps(kept, default=float)), why, asked) == (given, reason, "2025-03-08")


def test_a_listing_is_a_fetch_that_may_remove_nothing(archive: Archive, old: Path) -> None:
    put(old / "a.json", answer(record(1)))
    place_all(archive, old)
    [fetch] = archive.load(HighlightsDay, DAY).backup.fetches
    assert (fetch.whole, fetch.complete, fetch.limited, fetch.at) == (False, False, False, "2025-03-10T09:46:40Z")
    assert fetch.imported is not None
    assert fetch.imported.place.endswith("old/a.json")
    identity = archive.any_identity()
    assert identity is not None
    assert identity.module is None, "the first fetch decides it"


def fetched(archive: Archive, *found: dict[str, Any], at: str) -> None:
    """A run of the day, for which the API listed these records."""
    fetch = Fetch(
        at=at, module="basketball", records=list(found), query={"date": DAY}, whole=True, complete=True,
        total_count=len(found), requests=1,
    )  # fmt: skip
    with archive.lease(DAY, owner="a test") as held:
        identity = held.claim("basketball")
        document, _ = merge_fetch(held.load_or_new(HighlightsDay), fetch, founding=identity.founding_module)
        held.save(document)
        held.write_rows(rows_of(document))


@pytest.mark.parametrize("stored_at", ["2025-03-10T09:46:40Z", "2026-01-01T00:00:00Z"])
def test_what_was_fetched_here_is_newer_whatever_a_clock_says(stored_at: str, archive: Archive, old: Path) -> None:
    for at, title in (("2025-03-10T06:00:00Z", "first"), ("2025-03-11T06:00:00Z", "second")):
        fetched(archive, record(1, title=title), at=at)
    put(old / "a.json", answer(record(1, title="imported"), record(2)), at=stored_at)
    put(old / "b.json", answer(record(1, title="second")), at=stored_at)
    _, days = place_all(archive, old)
    assert (days[DAY].listings, days[DAY].new, days[DAY].changed) == (2, 1, 1)
    assert titles(archive, "1") == ("second", ["imported", "first"])
    assert archive.table.get(["1"])["1"]["title"] == "second"
    document = archive.load(HighlightsDay, DAY)
    assert [fetch.imported is not None for fetch in document.backup.fetches] == [True, True, False, False]
    assert document.backup.records["1"].last_seen == "2025-03-11T06:00:00Z"
    assert place_all(archive, old)[1][DAY].listings == 0


def test_a_record_that_the_api_removed_stays_removed(archive: Archive, old: Path) -> None:
    fetched(archive, record(1), at="2025-03-10T06:00:00Z")
    fetched(archive, record(2), at="2025-03-11T06:00:00Z")
    put(old / "a.json", answer(record(1)))
    place_all(archive, old)
    assert archive.load(HighlightsDay, DAY).backup.records["1"].removed_upstream == "2025-03-11T06:00:00Z"


def test_of_two_listings_the_later_is_newer(archive: Archive, old: Path) -> None:
    put(old / "a.json", answer(record(1, title="later")), at="2025-03-10T12:00:00Z")
    put(old / "b.json", answer(record(1, title="earlier")), at="2025-03-10T11:00:00Z")
    place_all(archive, old)
    assert titles(archive, "1") == ("later", ["earlier"])
    put(old / "c.json", answer(record(1, title="first")), at="2025-03-10T10:00:00Z")
    place_all(archive, old)
    assert titles(archive, "1") == ("later", ["first", "earlier"])
    put(old / "d.json", answer(record(1, title="last")), at="2025-03-10T13:00:00Z")
    place_all(archive, old)
    assert titles(archive, "1") == ("last", ["first", "earlier", "later"])
    times = [fetch.at for fetch in archive.load(HighlightsDay, DAY).backup.fetches]
    assert times == sorted(times)


def test_a_table_adds_what_no_listing_has(archive: Archive, old: Path) -> None:
    listed = [record(1, score=1.50), record(2, title="new")]
    put(old / "z.json", answer(*listed))
    rows = [row(listed[0]), row(record(2, title="old")), row(record(3))]
    export = "AWSDynamoDB/01-abc/data/x.json.gz"
    put(old / export, gzip.compress(b"\n".join(json.dumps(item(one)).encode() for one in rows)))
    files, days = place_all(archive, old)
    assert files[export].records == 3
    assert (days[DAY].listings, days[DAY].new, days[DAY].changed) == (2, 3, 1)
    assert ids(archive) == ["1", "2", "3"]
    assert titles(archive, "2") == ("new", ["old"])
    assert titles(archive, "1") == ("Clip 1", [])
    assert "fetch_date" not in archive.load(HighlightsDay, DAY).data[2]
    assert place_all(archive, old)[1][DAY].listings == 0


def test_videos_are_kept_with_what_is_known_of_them(archive: Archive, old: Path, clip: Path) -> None:
    put(old / "videos/first_video.mp4", clip.read_bytes())
    put(old / "processed_videos/first_video.mp4", b"<!doctype html><p>no video")
    files, days = place_all(archive, old)
    assert days == {}
    [key] = files["videos/first_video.mp4"].kept
    assert archive.store.read(key)[0] == clip.read_bytes()
    known = from_bytes(KeptFile, archive.store.read(f"{key}.about.json")[0], key)
    assert (known.key, known.bytes, known.stored_at) == (key, clip.stat().st_size, "2025-03-10T09:46:40Z")
    assert known.looks_like == "an MP4 video"
    assert "a web page" in str(files["processed_videos/first_video.mp4"].why)


@pytest.mark.parametrize(
    "data",
    [
        json.dumps(answer(record(1), record(2))).encode()[:-150],
        b"\n".join(json.dumps(one).encode() for one in (record(1), record(2))) + b"\n{half",
        json.dumps(answer(record(1)), indent=1).encode() + json.dumps(answer(record(2))).encode(),
        json.dumps(answer(record(1))).replace('"title": ', '"title": "once", "title": ').encode(),
    ],
)
def test_of_a_damaged_listing_the_file_is_kept_too(data: bytes, archive: Archive, old: Path) -> None:
    put(old / "a.json", data)
    files, _ = place_all(archive, old)
    assert (files["a.json"].is_damaged, ids(archive)[0]) == (True, "1")
    [whole] = [key for key in files["a.json"].kept if "/records/" not in key]
    assert archive.store.read(whole)[0] == data
    before = objects(Path(archive.place))
    place_all(archive, old)
    assert objects(Path(archive.place)) == before


def test_a_game_before_there_was_basketball_is_of_no_day(archive: Archive, old: Path) -> None:
    put(old / "a.json", answer(record(1, date="0001-06-01T00:00:00Z"), record(2, date="1891-12-31T12:00:00Z")))
    files, days = place_all(archive, old)
    assert (files["a.json"].kept_records, days) == (2, {})


def leave_all(old: Path) -> Path:
    put(
        old / "highlights/basketball_highlights.json",
        answer(record(1), record(2, date=None), record(3, date="2025-03-08T20:00:00Z")),
    )
    put(old / "highlights/more.json", answer(record(1, title="other"), record(4)), at="2025-03-09T00:00:00Z")
    put(old / "table.jsonl", json.dumps(item(row(record(5)))).encode())
    put(old / "videos/first_video.mp4", b"half a file")
    put(old / "cut.json", json.dumps(answer(record(6), record(7))).encode()[:-150])
    put(old / "README.md", b"not of the pipeline")
    put(old / ".env", b"SECRET=1")
    return old


def test_it_is_idempotent_and_says_the_same_without_writing(archive: Archive, old: Path, tmp_path: Path) -> None:
    leave_all(old)
    said = place_all(archive, old, writes=False)
    assert not (tmp_path / "data").exists()
    assert said == place_all(archive, old)
    before = objects(tmp_path / "data")
    files, days = place_all(archive, old)
    assert all(day.listings == 0 for day in days.values())
    assert all(file.was_kept for file in files.values() if file.kept)
    assert objects(tmp_path / "data") == before
    assert files["README.md"].left
    assert not any(b"SECRET" in data for data in before.values())


def test_interrupted_at_any_point_and_run_again_it_is_equal(old: Path, tmp_path: Path) -> None:
    leave_all(old)
    place_all(an_archive(tmp_path / "whole"), old)
    changes, is_whole = 0, False
    while not is_whole:
        data = tmp_path / f"data-{changes}"
        try:
            place_all(archive_in(StopsAfter(data, changes), rapidapi_key="a-key"), old)
            is_whole = True
        except KeyboardInterrupt:
            pass
        again = an_archive(data)
        place_all(again, old)
        assert objects(data) == objects(tmp_path / "whole")
        assert again.table.day(DAY) == an_archive(tmp_path / "whole").table.day(DAY)
        changes += 1
    assert changes > 6


def test_much_is_placed_in_pieces(archive: Archive, old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_all(old)
    place_all(an_archive(tmp_path / "at-once"), old)
    monkeypatch.setattr("ncaa_assets.imports.placing._MOST_HELD", 1)
    place_all(archive, old)
    for day in ("2025-03-08", DAY):
        one, other = archive.load(HighlightsDay, day), an_archive(tmp_path / "at-once").load(HighlightsDay, day)
        assert one.backup.records.keys() == other.backup.records.keys()
        assert sorted(fetch.at for fetch in one.backup.fetches) == sorted(fetch.at for fetch in other.backup.fetches)


def test_every_version_of_a_versioned_bucket_is_a_fetch(cloud: "Cloud", archive: Archive) -> None:
    cloud.make_bucket("old")
    s3 = cloud.client("s3")
    s3.put_bucket_versioning(Bucket="old", VersioningConfiguration={"Status": "Enabled"})
    for title in ("first", "second", "first"):
        body = json.dumps(answer(record(1, title=title), record(title, date=None)))
        s3.put_object(Bucket="old", Key="p/highlights/basketball_highlights.json", Body=body)
    s3.put_object(Bucket="old", Key="p/highlights/gone.json", Body=json.dumps(answer(record(2))))
    s3.delete_object(Bucket="old", Key="p/highlights/gone.json")
    s3.put_object(Bucket="old", Key="elsewhere.json", Body=json.dumps(answer(record(3))))
    place = open_place("s3://old/p", archive.settings)
    place_all(archive, place)
    assert sorted(ids(archive)) == ["1", "2"]
    assert titles(archive, "1") == ("first", ["first", "second"])
    fetches = archive.load(HighlightsDay, DAY).backup.fetches
    assert [fetch.received for fetch in fetches] == [1, 1, 1, 1]
    assert all(fetch.imported and not fetch.complete for fetch in fetches)
    assert sorted(str(kept["id"]) for kept, _, _ in kept_records(archive)) == ["first", "second"]
    before = archive.store.read(HighlightsDay.key(DAY))
    place_all(archive, place)
    assert archive.store.read(HighlightsDay.key(DAY)) == before


def test_a_bucket_without_versions_gives_what_is_there(cloud: "Cloud", archive: Archive) -> None:
    from ncaa_assets_tests.loopback.aws import error

    cloud.make_bucket("old")
    cloud.client("s3").put_object(Bucket="old", Key="a.json", Body=json.dumps(answer(record(1))))
    cloud.fail("ListObjectVersions", error(403, "AccessDenied"))
    place_all(archive, open_place("s3://old", archive.settings))
    assert ids(archive) == ["1"]


def test_a_table_is_read_itself(cloud: "Cloud", archive: Archive) -> None:
    cloud.make_table("Old")
    cloud.make_table("Empty")
    for one in (
        row(record(1, score=1)),
        row(record(2, date=None)),
        {**row(record(3)), "days": [DAY], "content_hash": "x"},
    ):
        cloud.client("dynamodb").put_item(TableName="Old", Item=item(one)["Item"])
    files, _ = place_all(archive, open_place("dynamodb://Old", archive.settings))
    assert (ids(archive), files["Old.jsonl"].own_rows) == (["1"], 1)
    assert [asked for _, _, asked in kept_records(archive)] == [DAY]
    files, days = place_all(archive, open_place("dynamodb://Empty", archive.settings))
    assert (files["Empty.jsonl"].left, days) == (True, {})


def test_leavings_beside_an_archive_are_taken_from_beside_it(archive: Archive, tmp_path: Path) -> None:
    """A person kept the bucket, or the folder, of the pipeline that this one replaces."""
    fetched(archive, record(1), at="2025-03-11T06:00:00Z")
    put(tmp_path / "data/highlights/basketball_highlights.json", answer(record(1), record(2)))
    put(tmp_path / "data/videos/first_video.mp4", b"bytes")
    for _ in range(2):
        files, _ = place_all(archive, tmp_path / "data")
        assert set(files) == {"highlights/basketball_highlights.json", "videos/first_video.mp4"}
    assert ids(archive) == ["1", "2"]


_LEAF = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=5)
    | st.sampled_from(["\ud800", "\0", "2025-03-09T23:00:00Z", "1", -0.0, 1e300, "N", "S"])
)  # fmt: skip
_NAMES = st.sampled_from(
    ["id", "url", "match", "date", "title", "fetch_date", "S", "N", "M", "L", "Item", "days", "\ud800"]
)
_JSON = st.recursive(
    _LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4), max_leaves=12
)
_MATCHES = st.fixed_dictionaries({"date": _LEAF}) | _JSON
_LIKE_RECORDS = st.fixed_dictionaries(
    {}, optional={"id": _JSON, "url": _JSON, "match": _MATCHES, "fetch_date": _JSON}
)  # fmt: skip


@settings(max_examples=30)
@given(
    st.lists(_JSON | _LIKE_RECORDS | st.builds(lambda one: {"Item": one}, _JSON | _LIKE_RECORDS), max_size=5),
    st.booleans(),
)
def test_whatever_a_listing_holds_is_placed_or_kept(found: list[Any], as_lines: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        old, archive = Path(folder, "old"), an_archive(Path(folder, "data"))
        anchor = record(1)
        lines = b"\n".join(json_text.dumps(one) for one in [anchor, *found])
        put(old / "a.json", lines if as_lines else json_text.dumps(answer(anchor, *found)))
        files, _ = place_all(archive, old)
        file = files["a.json"]
        assert file.records + file.kept_records + file.own_rows == len(found) + 1
        assert not file.left
        before = objects(Path(folder, "data"))
        place_all(archive, old)
        assert objects(Path(folder, "data")) == before


@pytest.mark.parametrize("number", ["1e999999999", "-1e-999999999", "1" * 5000, "0." + "1" * 50 + "0", "-0.0", "1E+3"])
def test_numbers_of_any_size_pass(number: str, archive: Archive, old: Path) -> None:
    text = json.dumps(answer(record(1, score=0.5), row(record(2, score=0.5)))).replace("0.5", number)
    put(old / "a.json", text.encode())
    put(
        old / "t.json",
        json.dumps({"Items": [row(record(1, score=0.5))]}).replace("0.5", number + "0" * ("." in number)).encode(),
    )
    for _ in range(2):
        assert place_all(archive, old)[0]["a.json"].records == 2
    assert ids(archive) == ["1", "2"]
    assert titles(archive, "1") == ("Clip 1", [])


def test_a_name_that_is_no_text_passes(archive: Archive, old: Path) -> None:
    (old / "videos").mkdir(parents=True)
    for name in (b"a\xff.json", b"videos/b\xff.mp4"):
        Path(os.fsdecode(os.fsencode(old) + b"/" + name)).write_bytes(
            json.dumps(answer(record(1), record(2, date=None))).encode()
        )
    files, days = place_all(archive, old)
    assert (len(files), list(days)) == (2, [DAY])
    assert ids(archive) == ["1"]
