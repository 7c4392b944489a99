"""Which unfinished runs are dead: the day's lease or silence shows it, never the status alone."""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest

from ncaa_assets.archive import watch
from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.lease import Holder, _process, _this_host
from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.definitions import build_defs
from ncaa_assets.runs import killed as killed_runs
from ncaa_assets.runs.execute import job_origin
from ncaa_assets.runs.instance import open_instance
from ncaa_assets.runs.killed import KilledRun, mark_killed
from ncaa_assets.runs.names import ALERTED_TAG, ARCHIVE_TAG, JOB_NAME
from ncaa_assets_tests.archives import archive_in, lease_of
from ncaa_assets_tests.days import DAY, KEY, settings_for

DagsterRunStatus = dg.DagsterRunStatus
MakeRun = Callable[..., dg.DagsterRun]


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    home = tmp_path_factory.mktemp("home")
    with dg.DagsterInstance.local_temp(str(home)) as made:
        yield made


@pytest.fixture
def make_run(instance: dg.DagsterInstance) -> Iterator[MakeRun]:
    """Creates runs of the daily job in the state that a test names, and deletes them afterwards."""
    made: list[str] = []

    def make(status: DagsterRunStatus, *, day: str = DAY, checks_alone: bool = False, **tags: str) -> dg.DagsterRun:
        checks = frozenset({dg.AssetCheckKey(dg.AssetKey("videos"), "copies_are_stored")})
        run = dg.DagsterRun(
            job_name="daily_backup",
            run_id=str(uuid4()),
            tags={"dagster/partition": day, **{f"ncaa_assets/{name}": value for name, value in tags.items()}},
            remote_job_origin=job_origin(),
            # The UI launches checks without their assets in this way.
            asset_selection=frozenset() if checks_alone else None,
            asset_check_selection=checks if checks_alone else None,
        )
        instance.add_run(run)
        made.append(run.run_id)
        if status in (DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING):
            event = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, run.job_name)
            instance.report_dagster_event(event, run_id=run.run_id)
        if status is DagsterRunStatus.STARTING:
            event = dg.DagsterEvent(dg.DagsterEventType.PIPELINE_STARTING.value, run.job_name)
            instance.report_dagster_event(event, run_id=run.run_id)
        if status is DagsterRunStatus.CANCELING:
            instance.report_run_canceling(run)
        assert status_of(instance, run) == status
        return run

    yield make
    for run_id in made:
        instance.delete_run(run_id)


def status_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> DagsterRunStatus:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


@pytest.fixture
def dead() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def leave_lease(
    store: LocalStore,
    run: dg.DagsterRun,
    *,
    pid: int,
    host: str | None = None,
    expires_in: float = 60,
    started: int | None = None,
) -> None:
    now = datetime.now(UTC)
    holder = Holder(
        owner=run.run_id,
        host=host or _this_host(),
        pid=pid,
        since=now,
        expires=now + timedelta(seconds=expires_in),
        started=started,
    )
    store.write(f".leases/{DAY}.json", holder.model_dump_json().encode())


def test_a_run_whose_process_died_with_its_lease_is_marked_at_once_and_the_day_is_free(
    instance: dg.DagsterInstance, make_run: MakeRun, store: LocalStore, dead: int
) -> None:
    run = make_run(DagsterRunStatus.STARTED)
    leave_lease(store, run, pid=dead)
    (killed,) = mark_killed(instance, archive_in(store), day=DAY, alerts_by="a test")
    assert (killed.run_id, killed.day) == (run.run_id, DAY)
    assert f"process {dead} on " in killed.sentence
    assert f"the next run of {DAY} continues from there" in killed.sentence
    assert status_of(instance, run) == DagsterRunStatus.FAILURE
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    assert found.tags[ALERTED_TAG] == run.run_id, "no sensor repeats it"
    last = instance.all_logs(run.run_id)[-1].dagster_event
    assert last is not None
    assert last.message == killed.sentence, "the UI shows it"
    assert list((store.root / ".leases").iterdir()) == []
    assert mark_killed(instance, archive_in(store), alerts_by="a test") == [], "once"


@pytest.mark.parametrize("expires_in", [-1, 30, 10**9])
@pytest.mark.parametrize("wait", [False, True])
def test_a_run_of_another_machine_is_dead_when_nobody_renews_its_lease(
    instance: dg.DagsterInstance,
    make_run: MakeRun,
    store: LocalStore,
    monkeypatch: pytest.MonkeyPatch,
    expires_in: float,
    wait: bool,
) -> None:
    monkeypatch.setattr("ncaa_assets.archive.lease.LEASE_SECONDS", 0.5)
    run = make_run(DagsterRunStatus.STARTED)
    leave_lease(store, run, pid=1, host="elsewhere/", expires_in=expires_in)
    killed: list[KilledRun] = []
    looks = 0
    while not killed:
        killed = mark_killed(instance, archive_in(store), alerts_by="a test", wait=wait)
        looks += 1
    assert (looks == 1) == wait, "without waiting it takes more than one look"
    assert "process 1 on elsewhere ended" in killed[0].sentence


@pytest.mark.parametrize("days", [-400, 400])
def test_a_living_run_of_another_machine_whose_clock_is_wrong_is_left_alone(
    instance: dg.DagsterInstance, make_run: MakeRun, store: LocalStore, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    monkeypatch.setattr("ncaa_assets.archive.lease.LEASE_SECONDS", 0.5)
    run = make_run(DagsterRunStatus.STARTED)
    leave_lease(store, run, pid=1, host="elsewhere/", expires_in=days * 86400)
    renewing = threading.Timer(
        0.2, leave_lease, (store, run), {"pid": 1, "host": "elsewhere/", "expires_in": days * 86400}
    )
    renewing.start()
    assert mark_killed(instance, archive_in(store), alerts_by="a test", wait=True) == []


class Ahead(datetime):
    """A clock that is a day ahead."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "Ahead":
        return super().now(tz) + timedelta(days=1)


def test_a_run_without_a_lease_that_still_logs_lives_whatever_the_clock_says(
    instance: dg.DagsterInstance, make_run: MakeRun, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ncaa_assets.runs.killed.datetime", Ahead)
    monkeypatch.setattr("ncaa_assets.runs.killed._SILENT_AFTER", timedelta(seconds=0.6))
    run = make_run(DagsterRunStatus.STARTED)
    for _ in range(5):
        assert mark_killed(instance, archive_in(store), alerts_by="a test") == []
        instance.report_engine_event("it works", run)
        threading.Event().wait(0.3)
    deadline = time.monotonic() + 30
    while not (killed := mark_killed(instance, archive_in(store), alerts_by="a test")):
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)
    assert killed[0].run_id == run.run_id, "it logs no more"


def test_a_call_that_waits_leaves_a_run_that_may_still_start_to_later_ones(
    instance: dg.DagsterInstance, make_run: MakeRun, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image takes minutes to come, and a clock that is ahead says that they are days."""
    monkeypatch.setattr("ncaa_assets.runs.killed.datetime", Ahead)
    monkeypatch.setattr("ncaa_assets.runs.killed._SILENT_AFTER", timedelta(seconds=0.2))
    run = make_run(DagsterRunStatus.STARTING)
    assert mark_killed(instance, archive_in(store), alerts_by="a test", wait=True) == []
    assert status_of(instance, run) == DagsterRunStatus.STARTING


def test_dead_runs_are_watched_together(
    instance: dg.DagsterInstance, make_run: MakeRun, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ncaa_assets.runs.killed.datetime", Ahead)
    monkeypatch.setattr("ncaa_assets.runs.killed._SILENT_AFTER", timedelta(seconds=1))
    runs = {make_run(DagsterRunStatus.STARTED, day=f"2025-03-{number:02}").run_id for number in range(1, 9)}
    pause, slept = watch.pause, list[float]()

    def counted(seconds: float) -> None:
        slept.append(seconds)
        pause(seconds)

    monkeypatch.setattr(watch, "pause", counted)
    killed = mark_killed(instance, archive_in(store), alerts_by="a test", wait=True)
    assert {one.run_id for one in killed} == runs
    assert sum(slept) < 3, "one after the other would take eight seconds"


def test_a_run_that_takes_its_lease_or_renews_it_after_the_look_is_not_marked(
    instance: dg.DagsterInstance, make_run: MakeRun, store: LocalStore, monkeypatch: pytest.MonkeyPatch, dead: int
) -> None:
    run = make_run(DagsterRunStatus.STARTED)
    judge = killed_runs._judge

    def and_then_renewed(*arguments: Any) -> Any:
        found = judge(*arguments)
        leave_lease(store, run, pid=os.getpid())
        return found

    monkeypatch.setattr(killed_runs, "_judge", and_then_renewed)
    monkeypatch.setattr(killed_runs, "_SILENT_AFTER", timedelta(0))
    assert mark_killed(instance, archive_in(store), alerts_by="a test") == [], "it was silent"
    leave_lease(store, run, pid=dead)
    assert mark_killed(instance, archive_in(store), alerts_by="a test") == []
    assert status_of(instance, run) == DagsterRunStatus.STARTED
    assert archive_in(store).holder(DAY, wait=False) is not None


def test_a_run_whose_process_id_another_program_has_is_dead(
    instance: dg.DagsterInstance, make_run: MakeRun, store: LocalStore
) -> None:
    run = make_run(DagsterRunStatus.STARTED)
    leave_lease(store, run, pid=os.getppid(), started=1)
    assert [one.run_id for one in mark_killed(instance, archive_in(store), alerts_by="a test")] == [run.run_id]


def test_a_run_that_holds_its_day_lives_however_silent_also_one_that_slept_with_its_machine(
    instance: dg.DagsterInstance, make_run: MakeRun, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ncaa_assets.runs.killed._SILENT_AFTER", timedelta(0))
    run = make_run(DagsterRunStatus.STARTED)
    with lease_of(store, DAY, run.run_id):
        assert mark_killed(instance, archive_in(store), alerts_by="a test") == []
    leave_lease(store, run, pid=os.getpid(), expires_in=-3600, started=_process(os.getpid())[1])
    monkeypatch.setattr("ncaa_assets.archive.lease.LEASE_SECONDS", -1)
    assert mark_killed(instance, archive_in(store), alerts_by="a test") == []
    assert status_of(instance, run) == DagsterRunStatus.STARTED


@pytest.mark.parametrize("other_holds", [False, True])
def test_a_run_without_a_lease_is_dead_once_it_has_been_silent(
    instance: dg.DagsterInstance,
    make_run: MakeRun,
    store: LocalStore,
    monkeypatch: pytest.MonkeyPatch,
    other_holds: bool,
) -> None:
    """It was killed before it took its lease, or a run took its lease over and did not mark it."""
    run = make_run(DagsterRunStatus.STARTED)
    if other_holds:
        leave_lease(store, make_run(DagsterRunStatus.NOT_STARTED), pid=os.getpid())
    assert mark_killed(instance, archive_in(store), alerts_by="a test") == [], (
        "it may be about to take it, or to find it taken"
    )
    monkeypatch.setattr("ncaa_assets.runs.killed._SILENT_AFTER", timedelta(0))
    (killed,) = mark_killed(instance, archive_in(store), alerts_by="a test")
    assert "it has been silent for" in killed.sentence
    assert (store.root / ".leases" / f"{DAY}.json").exists() == other_holds, "another's lease is left alone"
    assert status_of(instance, run) == DagsterRunStatus.FAILURE


def test_runs_that_wait_are_left_alone(
    instance: dg.DagsterInstance, make_run: MakeRun, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ncaa_assets.runs.killed._SILENT_AFTER", timedelta(0))
    runs = [make_run(DagsterRunStatus.NOT_STARTED), make_run(DagsterRunStatus.STARTING)]
    assert mark_killed(instance, archive_in(store), alerts_by="a test") == []
    monkeypatch.setattr("ncaa_assets.runs.killed._NEVER_STARTED_AFTER", timedelta(0))
    assert [killed.run_id for killed in mark_killed(instance, archive_in(store), alerts_by="a test")] == [
        runs[1].run_id
    ]
    assert status_of(instance, runs[0]) == DagsterRunStatus.NOT_STARTED


def test_a_run_of_checks_alone_holds_no_lease_and_is_left_alone(
    instance: dg.DagsterInstance, make_run: MakeRun, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ncaa_assets.runs.killed._SILENT_AFTER", timedelta(0))
    make_run(DagsterRunStatus.STARTED, checks_alone=True)
    assert mark_killed(instance, archive_in(store), alerts_by="a test") == []


def test_a_dead_run_that_somebody_had_asked_to_end_is_cancelled_and_no_failure(
    instance: dg.DagsterInstance, make_run: MakeRun, store: LocalStore, dead: int
) -> None:
    run = make_run(DagsterRunStatus.CANCELING)
    leave_lease(store, run, pid=dead)
    assert mark_killed(instance, archive_in(store), alerts_by="a test") == []
    assert status_of(instance, run) == DagsterRunStatus.CANCELED


def test_of_one_day_only_its_own_runs_are_looked_at(
    instance: dg.DagsterInstance, make_run: MakeRun, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ncaa_assets.runs.killed._SILENT_AFTER", timedelta(0))
    make_run(DagsterRunStatus.STARTED, day="2025-03-08")
    assert mark_killed(instance, archive_in(store), day=DAY, alerts_by="a test") == []
    assert len(mark_killed(instance, archive_in(store), day="2025-03-08", alerts_by="a test")) == 1


def test_of_a_home_that_two_archives_share_each_looks_at_its_own_runs(
    instance: dg.DagsterInstance, make_run: MakeRun, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one's run holds its lease in the other archive, and a long encode says nothing for minutes."""
    monkeypatch.setattr("ncaa_assets.runs.killed._SILENT_AFTER", timedelta(0))
    archive = archive_in(store)
    make_run(DagsterRunStatus.STARTED, archive="/another/archive/")
    assert mark_killed(instance, archive, alerts_by="a test") == []
    own = make_run(DagsterRunStatus.STARTED, archive=archive.place)
    assert [killed.run_id for killed in mark_killed(instance, archive, alerts_by="a test")] == [own.run_id]


def test_a_lease_shows_a_run_to_be_of_the_archive_whatever_its_tag_says(
    instance: dg.DagsterInstance, make_run: MakeRun, store: LocalStore, dead: int
) -> None:
    """The tag was copied from another archive's run, or a container sees the folder under another path."""
    run = make_run(DagsterRunStatus.STARTED, archive="/another/archive/")
    leave_lease(store, run, pid=dead)
    assert [killed.run_id for killed in mark_killed(instance, archive_in(store), alerts_by="a test")] == [run.run_id]


@pytest.mark.parametrize("copied", [{}, {ARCHIVE_TAG: "/another/archive/"}], ids=["new", "repeats another archive's"])
def test_a_run_of_the_ui_says_of_which_archive_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copied: dict[str, str]
) -> None:
    """A copy of an hour says nothing meanwhile, and `catch-up` of another archive took the run for killed."""
    monkeypatch.setenv("RAPIDAPI_KEY", KEY)
    monkeypatch.setenv("DAGSTER_HOME", "")
    settings = settings_for("http://not-asked.invalid/", retry_count=0)
    with open_instance(tmp_path / "home") as instance:
        job = build_defs(settings).resolve_job_def(JOB_NAME)
        ended = job.execute_in_process(partition_key=DAY, instance=instance, tags=copied, raise_on_error=False)
        run = instance.get_run_by_id(ended.run_id)
    assert run is not None
    assert run.tags[ARCHIVE_TAG] == Archive.open(settings).place


def test_looking_makes_no_archive(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    assert mark_killed(instance, archive_in(LocalStore(tmp_path / "none")), alerts_by="a test") == []
    assert not (tmp_path / "none").exists()
