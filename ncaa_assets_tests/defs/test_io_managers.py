"""What another project's assets get of ours: the days that their inputs are mapped to, in the types they declare."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ncaa_assets.archive.archive import Archive
from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.definitions import build_defs, build_reader_defs
from ncaa_assets.defs.partitions import game_days
from ncaa_assets.failures import ObjectMissing
from ncaa_assets.record.fetch import Fetch
from ncaa_assets.record.models import ASSETS, Document, HighlightsDay, ProcessedDay, VideosDay
from ncaa_assets.record.rows import Row
from ncaa_assets.settings import Settings
from ncaa_assets_tests.archives import archive_in, fetch_and_write_rows
from ncaa_assets_tests.loopback.listing import record

DAYS = [f"2025-03-{number:02}" for number in range(2, 10)]  # from Sunday to Sunday; no others are stored
NO_GAMES = "2025-03-05"
SETTINGS: dict[str, Any] = {"api_base": "http://api.example", "rapidapi_key": "k", "api_module": "basketball"}
GAME_DAYS = game_days(Settings.model_validate(SETTINGS))
BEFORE = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)
MAY_BE_MISSING = {"allow_missing_partitions": True}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Eight days with a record each, whose id is the day of the month; one day has none. The record 100 is listed by
    two days."""
    filled = archive_in(LocalStore(tmp_path_factory.mktemp("archive")), **SETTINGS)
    for day in DAYS:
        number = int(day[-2:])
        records = [] if day == NO_GAMES else [record(number, f"https://host.example/{number}.mp4")]
        if day in ("2025-03-03", "2025-03-04"):
            records.append(record(100, "https://host.example/100.mp4"))
        answer = Fetch(
            at="2025-03-12T06:00:00Z", module="basketball", records=records, query={"date": day}, whole=True,
            complete=True, total_count=len(records), requests=1,
        )  # fmt: skip
        fetch_and_write_rows(filled.store, filled.table, day, answer)
    return filled


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def read(archive: Archive, instance: dg.DagsterInstance) -> Callable[..., Any]:
    """Materializes an asset of another project that reads one of ours and declares `kind`, and returns what it got."""

    def loaded(
        asset: str,
        kind: Any = None,
        *,
        mapping: dg.PartitionMapping | None = None,
        partitions: dg.PartitionsDefinition[Any] | None = GAME_DAYS,
        partition: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Any:
        got: list[Any] = []

        def body(found):  # type: ignore[no-untyped-def]
            got.append(found)

        body.__annotations__ = {"return": None} if kind is None else {"found": kind, "return": None}
        given = dg.AssetIn(asset, partition_mapping=mapping, metadata=metadata)
        reader = dg.asset(name="reader", ins={"found": given}, partitions_def=partitions)(body)
        project = dg.Definitions.merge(build_defs(archive.settings, archive=archive), dg.Definitions(assets=[reader]))
        job = project.resolve_implicit_global_asset_job_def()
        done = job.execute_in_process(
            asset_selection=[dg.AssetKey("reader")], partition_key=partition, instance=instance
        )
        assert done.success
        return got[0]

    return loaded


def ids(rows: list[Row]) -> list[str]:
    return [row["id"] for row in rows]


@pytest.mark.parametrize("kind", [None, Any, object, Document, HighlightsDay, HighlightsDay | None], ids=str)
def test_one_day_gives_its_document_whatever_right_type_is_declared(read: Callable[..., Any], kind: Any) -> None:
    found = read("highlights", kind, partition="2025-03-09")
    assert isinstance(found, HighlightsDay)
    assert found.date == "2025-03-09"


@pytest.mark.parametrize("kind", [dict, dict[str, Any], dict[str, HighlightsDay], Mapping[str, HighlightsDay]], ids=str)
def test_a_dict_of_one_day_is_a_dict(read: Callable[..., Any], kind: Any) -> None:
    assert [*read("highlights", kind, partition="2025-03-09")] == ["2025-03-09"]
    assert ids(read("backup_rows", dict, partition="2025-03-09")["2025-03-09"]) == ["9"]


def test_a_reader_of_the_day_before_gets_the_day_before(read: Callable[..., Any]) -> None:
    assert read("highlights", HighlightsDay, mapping=BEFORE, partition="2025-03-09").date == "2025-03-08"
    assert ids(read("backup_rows", list[Row], mapping=BEFORE, partition="2025-03-09")) == ["8"]


def test_the_day_before_the_first_is_no_day(read: Callable[..., Any]) -> None:
    first: dict[str, Any] = {"mapping": BEFORE, "partition": "2024-11-01"}
    assert read("highlights", HighlightsDay | None, **first) is None
    assert read("highlights", **first) is None
    assert read("highlights", dict, **first) == {}
    assert read("backup_rows", **first) == []
    with pytest.raises(dg.DagsterInvariantViolationError, match=r"is loaded as HighlightsDay \| None, because no day"):
        read("highlights", HighlightsDay, **first)


def test_a_week_gives_all_its_days_and_each_row_once(read: Callable[..., Any]) -> None:
    week: dict[str, Any] = {
        "partitions": dg.WeeklyPartitionsDefinition("2024-11-03", timezone="America/New_York"),
        "partition": "2025-03-02",
    }
    assert [*read("highlights", dict[str, HighlightsDay], **week)] == DAYS[:7]
    assert [*read("highlights", **week)] == DAYS[:7]
    rows = read("backup_rows", list[Row], **week)
    assert sorted(ids(rows)) == ["100", "2", "3", "4", "6", "7", "8"]
    by_day = read("backup_rows", dict[str, list[Row]], **week)
    assert sorted(ids(by_day["2025-03-03"])) == ["100", "3"]
    assert by_day[NO_GAMES] == []


def test_a_reader_without_partitions_gets_the_fixed_days_that_it_names(read: Callable[..., Any]) -> None:
    fixed: dict[str, Any] = {
        "partitions": None,
        "mapping": dg.SpecificPartitionsPartitionMapping(["2025-03-04"]),
    }
    assert read("highlights", HighlightsDay, **fixed).date == "2025-03-04"
    assert ids(read("backup_rows", **fixed)) == ["4"]
    two = {**fixed, "mapping": dg.SpecificPartitionsPartitionMapping(["2025-03-09", "2025-03-04"])}
    assert [*read("highlights", dict[str, HighlightsDay], **two)] == ["2025-03-04", "2025-03-09"]


def test_a_reader_with_other_partitions_gets_the_fixed_day_that_it_names(read: Callable[..., Any]) -> None:
    rounds = dg.StaticPartitionsDefinition(["first", "last"])
    mapping = dg.SpecificPartitionsPartitionMapping(["2025-03-04"])
    assert read("highlights", mapping=mapping, partitions=rounds, partition="last").date == "2025-03-04"


def test_a_reader_without_partitions_gets_every_day_that_is_stored(
    read: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert [*read("highlights", dict[str, HighlightsDay], partitions=None)] == DAYS
    assert re.search(r"loaded 8 of \d+ days of highlights; not stored yet: 2024-11-01, ", caplog.text)
    assert sorted(ids(read("backup_rows", list[Row], partitions=None))) == ["100", "2", "3", "4", "6", "7", "8", "9"]


@pytest.mark.parametrize("asset", ["highlights", "backup_rows"])
def test_a_missing_day_that_was_asked_for_is_told_unless_it_may_be_missing(
    read: Callable[..., Any], asset: str, archive: Archive
) -> None:
    week: dict[str, Any] = {
        "partitions": dg.WeeklyPartitionsDefinition("2024-11-03", timezone="America/New_York"),
        "partition": "2025-03-09",
    }
    place = archive.table.uri() if asset == "backup_rows" else archive.store.uri("highlights/")
    with pytest.raises(ObjectMissing) as one:
        read(asset, partition="2025-03-10")
    assert str(one.value) == (
        f"{asset} of 2025-03-10 is not stored yet ({place}); materialize {asset} first, or leave out such days by "
        'dg.AssetIn(metadata={"allow_missing_partitions": True})'
    )
    with pytest.raises(ObjectMissing, match=f"{asset} of 2025-03-10, 2025-03-11, 2025-03-12 and 3 more is not stored"):
        read(asset, **week)
    assert [*read(asset, dict, metadata=MAY_BE_MISSING, **week)] == ["2025-03-09"]
    none = read(asset, partition="2025-03-10", metadata=MAY_BE_MISSING)
    assert none == ([] if asset == "backup_rows" else None)


@pytest.mark.parametrize(
    ("asset", "kind", "sentence"),
    [
        ("highlights", VideosDay,
         "'found' of reader is declared as VideosDay, but highlights is loaded as HighlightsDay, or of several days as "
         "dict[str, HighlightsDay]"),
        ("highlights", dict[str, ProcessedDay],
         "'found' of reader is declared as Dict[str, ncaa_assets.record.models.ProcessedDay], but highlights is loaded "
         "as HighlightsDay, or of several days as dict[str, HighlightsDay]"),
        ("videos", str,
         "'found' of reader is declared as str, but videos is loaded as VideosDay, or of several days as "
         "dict[str, VideosDay]"),
        ("backup_rows", HighlightsDay,
         "'found' of reader is declared as HighlightsDay, but backup_rows is loaded as list[dict[str, Any]], a dict a "
         "row; make your own table of them"),
    ],
)  # fmt: skip
def test_a_wrong_type_is_one_sentence(read: Callable[..., Any], asset: str, kind: Any, sentence: str) -> None:
    with pytest.raises(dg.DagsterInvariantViolationError) as refused:
        read(asset, kind, partition="2025-03-09")
    assert str(refused.value) == sentence


def test_a_single_document_is_a_wrong_type_for_several_days(read: Callable[..., Any]) -> None:
    two = dg.TimeWindowPartitionMapping(start_offset=-1)
    with pytest.raises(
        dg.DagsterInvariantViolationError, match=r"is loaded as dict\[str, HighlightsDay\], because it reads 2 days"
    ):
        read("highlights", HighlightsDay, mapping=two, partition="2025-03-09")


def test_values_are_loaded_without_a_run(archive: Archive) -> None:
    """A notebook and the Python prompt load so."""
    defs = build_defs(archive.settings, archive=archive)
    assert isinstance(day := defs.load_asset_value("highlights", partition_key="2025-03-09"), HighlightsDay)
    assert day.date == "2025-03-09"
    typed = defs.load_asset_value("highlights", python_type=HighlightsDay, partition_key="2025-03-08")
    assert isinstance(typed, HighlightsDay)
    with defs.get_asset_value_loader() as loader:
        rows = loader.load_asset_value("backup_rows", partition_key="2025-03-09")
        assert isinstance(rows, list)
        assert ids(rows) == ["9"]
        some = loader.load_asset_value(
            "highlights", partition_key_range=dg.PartitionKeyRange("2025-03-03", "2025-03-05")
        )
        assert isinstance(some, dict)
        assert [*some] == ["2025-03-03", "2025-03-04", "2025-03-05"]
        with pytest.raises(dg.DagsterInvariantViolationError, match=r"^highlights has a partition for each game day; "):
            loader.load_asset_value("highlights")
        with pytest.raises(dg.DagsterInvariantViolationError, match=r"^python_type is declared as VideosDay, but "):
            loader.load_asset_value("highlights", python_type=VideosDay, partition_key="2025-03-09")
        with pytest.raises(ObjectMissing, match=r"^processed_videos of 2025-03-09 is not stored yet"):
            loader.load_asset_value("processed_videos", partition_key="2025-03-09")


def test_what_a_notebook_is_told_of_missing_days_works_there(archive: Archive) -> None:
    defs = build_defs(archive.settings, archive=archive)
    days = dg.PartitionKeyRange("2025-03-08", "2025-03-11")
    with defs.get_asset_value_loader() as loader:
        told = r'is not stored yet .*, or leave out such days by the metadata \{"allow_missing_partitions": True\}$'
        with pytest.raises(ObjectMissing, match=told):
            loader.load_asset_value("highlights", partition_key_range=days)
        some = loader.load_asset_value(
            "highlights", partition_key_range=days, input_definition_metadata={"allow_missing_partitions": True}
        )
    assert isinstance(some, dict)
    assert [*some] == ["2025-03-08", "2025-03-09"]


@pytest.mark.parametrize("asset", ["highlights", "backup_rows"])
def test_a_day_to_come_that_is_named_is_told_and_is_not_an_empty_one(archive: Archive, asset: str) -> None:
    """Dagster itself refuses days before the first."""
    defs = build_reader_defs(archive.settings, archive=archive)
    with pytest.raises(ObjectMissing, match=f"^{asset} has no day 2099-01-01; its days are 2024-11-01 to 20"):
        defs.load_asset_value(asset, partition_key="2099-01-01")


MULTI = dg.MultiPartitionsDefinition({"day": GAME_DAYS, "team": dg.StaticPartitionsDefinition(["a", "b"])})
OF_A_TEAM: Any = dg.MultiPartitionKey({"day": "2025-03-06", "team": "a"})


@pytest.mark.parametrize(
    ("partitions", "partition", "mapping", "days"),
    [
        (dg.MonthlyPartitionsDefinition("2024-11-01", timezone="America/New_York"), "2025-03-01", None, DAYS),
        (dg.HourlyPartitionsDefinition("2024-11-01-00:00", timezone="America/New_York"), "2025-03-06-13:00", None,
         ["2025-03-06"]),
        (MULTI, OF_A_TEAM, None, ["2025-03-06"]),
        (dg.StaticPartitionsDefinition(["x"]), "x", dg.AllPartitionMapping(), DAYS),
        (dg.StaticPartitionsDefinition(["x"]), "x", dg.LastPartitionMapping(), []),
    ],
    ids=["a month", "an hour", "a day of several dimensions", "all", "the last, which is not stored"],
)  # fmt: skip
def test_each_kind_of_reader_gets_its_days(
    read: Callable[..., Any], partitions: Any, partition: str, mapping: Any, days: list[str]
) -> None:
    found = read("highlights", dict, mapping=mapping, partitions=partitions, partition=partition,
                 metadata=MAY_BE_MISSING)  # fmt: skip
    assert [*found] == days


@pytest.mark.parametrize(
    ("condition", "asked_for"),
    [
        (dg.AutomationCondition.eager(), ["the last"]),
        (
            dg.AutomationCondition.eager().without(dg.AutomationCondition.in_latest_time_window()),
            ["an earlier", "the last", "an earlier"],
        ),
    ],
    ids=["eager", "without the window"],
)
def test_a_reader_that_starts_by_itself_takes_up_an_earlier_day_where_its_condition_says_so(
    archive: Archive, condition: dg.AutomationCondition[Any], asked_for: list[str]
) -> None:
    """As docs/library.md says: clips arrive for two days, and an unchanged listing is made anew too."""

    @dg.asset(partitions_def=GAME_DAYS, deps=["highlights"], automation_condition=condition)
    def reader() -> None:
        raise NotImplementedError

    defs = dg.Definitions.merge(build_reader_defs(archive.settings, archive=archive), dg.Definitions(assets=[reader]))
    keys = GAME_DAYS.get_partition_keys()
    days = {"an earlier": keys[-3], "the last": keys[-1]}
    names = {day: name for name, day in days.items()}
    requested: list[str] = []
    with dg.DagsterInstance.ephemeral() as instance:
        of_reader = dg.AssetSelection.assets("reader")
        cursor = dg.evaluate_automation_conditions(defs, instance, of_reader).cursor
        for name in ("an earlier", "the last", "an earlier"):
            tags = {"dagster/data_version": "the same"}
            made = dg.AssetMaterialization("highlights", partition=days[name], tags=tags)
            instance.report_runless_asset_event(made)
            result = dg.evaluate_automation_conditions(defs, instance, of_reader, cursor=cursor)
            cursor = result.cursor
            for day in result.get_requested_partitions(dg.AssetKey("reader")):
                assert day is not None
                requested.append(names[day])
                instance.report_runless_asset_event(dg.AssetMaterialization("reader", partition=day))
    assert requested == asked_for


def test_an_archive_that_is_not_there_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    @dg.asset(ins={"days": dg.AssetIn("highlights")})
    def mine(days: dict[str, HighlightsDay]) -> int:
        return len(days)

    settings = Settings.model_validate({**SETTINGS, "data_dir": tmp_path / "elsewhere"})
    defs = dg.Definitions.merge(build_reader_defs(settings), dg.Definitions(assets=[mine]))
    job = defs.resolve_implicit_global_asset_job_def()
    ended = job.execute_in_process(asset_selection=[dg.AssetKey("mine")], raise_on_error=False)
    assert not ended.success
    assert any("there is no archive in" in str(event.event_specific_data) for event in ended.all_events)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("manager", ["documents", "rows"])
def test_an_asset_of_another_project_cannot_lose_its_value_in_our_io_managers(archive: Archive, manager: str) -> None:
    @dg.asset(name="mine", io_manager_key=manager, partitions_def=GAME_DAYS)
    def mine() -> Any:
        return HighlightsDay(date="2025-03-09") if manager == "documents" else [{"id": "1"}]

    project = dg.Definitions.merge(build_defs(archive.settings, archive=archive), dg.Definitions(assets=[mine]))
    job = project.resolve_implicit_global_asset_job_def()
    with pytest.raises(dg.DagsterInvariantViolationError, match=f"'{manager}' stores nothing .* give mine another"):
        job.execute_in_process(asset_selection=[dg.AssetKey("mine")], partition_key="2025-03-09")


def test_the_daily_job_is_ours_alone_where_another_project_is_merged_with_it(archive: Archive) -> None:
    @dg.asset(partitions_def=dg.WeeklyPartitionsDefinition("2024-11-03"))
    def theirs(highlights: dict[str, HighlightsDay]) -> None:
        raise NotImplementedError

    project = dg.Definitions.merge(build_defs(archive.settings, archive=archive), dg.Definitions(assets=[theirs]))
    selected = project.resolve_job_def("daily_backup").asset_layer.executable_asset_keys
    assert {key.to_user_string() for key in selected} == {*ASSETS}
