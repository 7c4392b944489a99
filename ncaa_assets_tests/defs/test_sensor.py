"""The sensor that alerts: real runs on a real instance, and the sensor evaluated as the daemon does it."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest

from ncaa_assets.archive import watch
from ncaa_assets.archive.lease import Holder, _this_host
from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.definitions import build_defs
from ncaa_assets.defs import sensor
from ncaa_assets.defs.partitions import game_days
from ncaa_assets.failures import AlertNotSent
from ncaa_assets.runs import alerts
from ncaa_assets.runs.alerts import Alert
from ncaa_assets.runs.execute import execute_day, job_origin
from ncaa_assets.runs.instance import open_instance
from ncaa_assets.settings import Settings
from ncaa_assets_tests.archives import lease_of
from ncaa_assets_tests.days import DAY, KEY, run_day, settings_for
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import API_PATH, record, serve_listing
from ncaa_assets_tests.runs.test_ours import remote

Tick = Callable[[], list[str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def settings(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("RAPIDAPI_KEY", KEY)
    monkeypatch.setenv("DAGSTER_HOME", "")
    return settings_for(serve_listing(server, list))


@pytest.fixture
def tick(settings: Settings, home: Path, caplog: pytest.LogCaptureFixture) -> Tick:
    """Evaluates the sensor once, from its last cursor, and returns the alerts that it logged."""
    cursor: str | None = None

    def evaluate() -> list[str]:
        nonlocal cursor
        caplog.clear()
        with open_instance(home) as instance:
            sensor = build_defs(settings).resolve_sensor_def("failure_sensor")
            context = dg.build_sensor_context(instance, cursor=cursor)
            assert isinstance(sensor(context), dg.SkipReason)
            cursor = context.cursor
        return [text for entry in caplog.records if (text := entry.getMessage()).startswith("ALERT ")]

    evaluate()
    return evaluate


def our_run(day: str = DAY, **tags: str) -> dg.DagsterRun:
    """A run of the daily job as the UI or a command records it, before its first event."""
    every = {"dagster/partition": day, **tags}
    return dg.DagsterRun("daily_backup", run_id=str(uuid4()), tags=every, remote_job_origin=job_origin())


def fail_the_day(server: ScriptedServer, settings: Settings, home: Path) -> str:
    server.on(API_PATH, Reply(b'{"message":"You are not subscribed to this API."}', status=403))
    ended = run_day(settings, home)
    assert not ended.succeeded
    return ended.run_id


def test_it_is_on_by_default() -> None:
    sensor = build_defs(settings_for("http://api.example/x")).resolve_sensor_def("failure_sensor")
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING


def test_a_failed_run_raises_one_alert_with_job_day_sentence_and_link(
    tick: Tick, server: ScriptedServer, settings: Settings, home: Path
) -> None:
    run_id = fail_the_day(server, settings, home)
    (alert,) = tick()
    assert alert.startswith(f"ALERT daily_backup {DAY}: highlights: the API denied access")
    assert "subscribe the key" in alert
    assert alert.endswith(f"(http://localhost:3000/runs/{run_id})")
    assert tick() == []


def test_an_alert_of_a_buttons_run_names_what_it_was_to_make_in_one_sentence(
    tick: Tick, settings: Settings, home: Path
) -> None:
    """The UI's "Materialize" makes a job `__ASSET_JOB`, which it shows nowhere; and the sentence ended with code for
    readers of other projects."""
    with open_instance(home) as instance:
        job = build_defs(settings).resolve_implicit_global_asset_job_def()
        for tags in ({"dagster/partition": DAY}, {}):
            done = job.execute_in_process(
                instance=instance, tags=tags, asset_selection=[dg.AssetKey("videos")], raise_on_error=False
            )
            assert not done.success
    of_a_day, of_none = tick()
    assert of_a_day.startswith(f"ALERT videos {DAY}: videos: highlights of {DAY} is not stored yet (")
    assert "); materialize highlights first (http" in of_a_day
    assert of_none.startswith("ALERT videos: this run has no partition; choose the game day to materialize (http")
    assert tick() == []


def test_a_good_run_raises_no_alert(tick: Tick, settings: Settings, home: Path) -> None:
    assert run_day(settings, home).is_whole
    assert tick() == []


def test_what_happened_before_the_sensor_existed_raises_no_alert(
    server: ScriptedServer, settings: Settings, home: Path, request: pytest.FixtureRequest
) -> None:
    fail_the_day(server, settings, home)
    first_tick: Tick = request.getfixturevalue("tick")
    assert first_tick() == []


def test_a_failed_check_of_error_severity_raises_an_alert_though_its_run_succeeded(
    tick: Tick, server: ScriptedServer, settings: Settings, clip: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run succeeds although a check that does not block has failed. The failure must still reach a person."""
    video = server.on("/1.mp4", Reply(clip.read_bytes()))
    serve_listing(server, lambda: [record(1, video)])

    real = LocalStore.info

    def lost(store: LocalStore, key: str) -> Any:
        return None if key.startswith("processed_videos/") else real(store, key)

    monkeypatch.setattr(LocalStore, "info", lost)
    ended = run_day(settings, home)
    assert ended.succeeded
    assert ended.failed_checks
    (alert,) = tick()
    assert alert.startswith(f"ALERT daily_backup {DAY}: check failed: processed_videos: ")
    assert "missing" in alert


def test_a_check_that_only_warns_raises_no_alert(
    tick: Tick, server: ScriptedServer, settings: Settings, home: Path
) -> None:
    page = server.on("/page", Reply(b"<!doctype html><title>watch</title>"))
    serve_listing(server, lambda: [record(1, page)])
    ended = run_day(settings, home)
    assert ended.is_whole
    assert ended.warnings
    assert tick() == []


def test_a_failure_whose_events_cannot_be_read_still_raises_an_alert(
    tick: Tick, server: ScriptedServer, settings: Settings, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = fail_the_day(server, settings, home)

    def broken(*_: object) -> None:
        raise ValueError("no such event")

    monkeypatch.setattr(sensor, "recall", broken)
    (alert,) = tick()
    assert f"{DAY}: it failed, and its events cannot be read; follow the link" in alert
    assert run_id in alert


def test_a_run_whose_command_alerts_by_itself_is_left_to_it(
    tick: Tick, server: ScriptedServer, settings: Settings, home: Path
) -> None:
    server.on(API_PATH, Reply(status=403))
    with open_instance(home) as instance:
        day = settings.parse_day(DAY)
        ended = execute_day(instance, build_defs(settings), day, trigger="catch-up", alerts_by="catch-up")
    assert not ended.succeeded
    assert tick() == []


def test_alerts_that_cannot_be_sent_are_sent_by_a_later_tick_and_none_twice(
    tick: Tick, server: ScriptedServer, settings: Settings, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    broken = False

    def send(_: Settings, alert: Alert) -> None:
        nonlocal broken
        if broken:
            raise AlertNotSent("the topic is gone")
        sent.append(alert.link)
        broken = True

    first, second = fail_the_day(server, settings, home), fail_the_day(server, settings, home)
    monkeypatch.setattr(alerts, "send", send)
    tick()
    assert [link.rsplit("/", 1)[1] for link in sent] == [first]
    with pytest.raises(AlertNotSent):  # the tick shows as failed, and its cursor stays
        tick()
    broken = False
    tick()
    assert [link.rsplit("/", 1)[1] for link in sent] == [first, second]


class _DatabaseGone(Exception):
    """A tick ends with it."""


def test_no_alert_is_sent_twice_because_its_tick_failed_later(
    tick: Tick,
    server: ScriptedServer,
    settings: Settings,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fail_the_day(server, settings, home)
    run_day(settings, home)
    real = dg.DagsterInstance.get_run_by_id
    asked: list[str] = []

    def get_run(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun | None:
        if run_id not in asked:
            asked.append(run_id)
        if len(asked) > 1:
            raise _DatabaseGone
        return real(instance, run_id)

    with monkeypatch.context() as broken:
        broken.setattr(dg.DagsterInstance, "get_run_by_id", get_run)
        with pytest.raises(_DatabaseGone):
            tick()
        assert "ALERT " in caplog.text
    assert len(tick()) == 1, "that of the second run"
    assert tick() == []


def test_killed_runs_are_looked_for_while_alerts_cannot_be_sent(
    tick: Tick, server: ScriptedServer, settings: Settings, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two killed runs fill the queue, and a topic may be gone for days."""

    def send(*_: object) -> None:
        raise AlertNotSent("the topic is gone")

    looked: list[str] = []

    def look(*_: object, alerts_by: str, **__: object) -> list[object]:
        looked.append(alerts_by)
        return []

    fail_the_day(server, settings, home)
    monkeypatch.setattr(alerts, "send", send)
    monkeypatch.setattr(sensor, "mark_killed", look)
    with pytest.raises(AlertNotSent):
        tick()
    assert looked == ["failure_sensor"]


def test_a_run_that_repeats_one_of_catch_up_is_nobody_elses(
    tick: Tick, server: ScriptedServer, settings: Settings, home: Path
) -> None:
    """Whoever re-executes a run in the UI gets its tags too, and catch-up has long ended."""
    server.on(API_PATH, Reply(status=403))
    defs = build_defs(settings)
    with open_instance(home) as instance:
        day = settings.parse_day(DAY)
        first = execute_day(instance, defs, day, alerts_by="catch-up")
        execute_day(instance, defs, day, alerts_by="catch-up", retry_of=first.run_id)
        assert tick() == [], "catch-up's own repetition is catch-up's"
        earlier = instance.get_run_by_id(first.run_id)
        assert earlier is not None
        again = instance.create_run_for_job(
            defs.resolve_job_def("daily_backup"),
            tags={**earlier.tags, "dagster/parent_run_id": first.run_id, "dagster/root_run_id": first.run_id},
            parent_run_id=first.run_id,
            root_run_id=first.run_id,
        )
        instance.report_run_failed(again, message="it failed once more")
    (alert,) = tick()
    assert alert.endswith(f"/runs/{again.run_id})")


def test_what_others_wrote_into_our_tags_holds_no_alert_back(tick: Tick, home: Path) -> None:
    """Who copies a run's tags to one of their own copies ours too."""
    with open_instance(home) as instance:
        for tags in ({"alerts": "catch-up"}, {"alerted": str(uuid4()), "trigger": "x" * 5000}, {"alerted": ""}):
            run = our_run(**{f"ncaa_assets/{name}": value for name, value in tags.items()})
            instance.add_run(run)
            instance.report_run_failed(run, message="it failed")
            (alert,) = tick()
            assert alert.endswith(f"/runs/{run.run_id})")


def test_any_number_of_runs_of_others_holds_no_alert_back(tick: Tick, home: Path) -> None:
    with open_instance(home) as instance:
        for _ in range(60):
            theirs = dg.DagsterRun("nightly", run_id=str(uuid4()), remote_job_origin=remote("theirs"))
            instance.add_run(theirs)
            instance.report_run_failed(theirs)
        run = our_run()
        instance.add_run(run)
        instance.report_run_failed(run, message="it failed")
    (alert,) = tick()
    assert alert.endswith(f"/runs/{run.run_id})")


ODD_DAYS = ["2025-3-9", "a|b", "../../x", "\0\x1b[31m\ud83d", "9" * 100_000, ""]


@pytest.mark.parametrize("status", ["failed", "started"])
def test_runs_of_another_location_are_neither_reported_nor_marked_whatever_their_tags_hold(
    tick: Tick,
    settings: Settings,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    status: str,
) -> None:
    """A run of another location that was silent for 200 s was reported as killed."""
    monkeypatch.setattr("ncaa_assets.runs.killed._SILENT_AFTER", timedelta(0))
    caplog.set_level(logging.WARNING)
    foreign: list[dg.DagsterRun] = []
    with open_instance(home) as instance:
        for number, (day, location) in enumerate(
            [(DAY, "theirs"), *((day, place) for day in ODD_DAYS for place in ("theirs", "ncaa_assets"))]
        ):
            job = "daily_backup" if location == "theirs" else "__ASSET_JOB"
            run = dg.DagsterRun(
                job,
                run_id=f"8f14e45f-0000-4000-8000-0000000001{number:02}",
                tags={"dagster/partition": day.encode("utf-8", "replace").decode().replace("\0", "\1")},
                asset_selection=frozenset({dg.AssetKey("theirs")}),
                remote_job_origin=remote(location, job=job),
            )
            instance.add_run(run)
            event = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job)
            instance.report_dagster_event(event, run.run_id)
            if status == "failed":
                instance.report_run_failed(run, message="theirs")
            foreign.append(run)
        assert [tick(), tick()] == [[], []]
        for run in foreign:
            found = instance.get_run_by_id(run.run_id)
            assert found is not None
            wanted = dg.DagsterRunStatus.FAILURE if status == "failed" else dg.DagsterRunStatus.STARTED
            assert found.status == wanted
            instance.delete_run(run.run_id)
    assert "cannot tell whether runs were killed" not in caplog.text


@pytest.mark.parametrize("day", ODD_DAYS[:3])
def test_our_own_run_of_an_odd_day_ends_no_tick(
    tick: Tick, settings: Settings, home: Path, caplog: pytest.LogCaptureFixture, day: str
) -> None:
    caplog.set_level(logging.WARNING)
    with open_instance(home) as instance:
        run = our_run(day)
        instance.add_run(run)
        instance.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, "daily_backup"), run.run_id)
        assert tick() == []
        instance.report_run_failed(run, message="it failed")
        (alert,) = tick()
        assert alert.startswith(f"ALERT daily_backup {day}: it failed")
    assert "cannot tell whether runs were killed" not in caplog.text


@pytest.mark.parametrize("ours_fails", [False, True])
def test_of_a_run_with_assets_of_others_only_our_failures_are_reported(
    tick: Tick, server: ScriptedServer, settings: Settings, home: Path, ours_fails: bool
) -> None:
    @dg.asset(partitions_def=game_days(settings))
    def mine(highlights: Any) -> None:
        raise ValueError("mine is broken")

    @dg.asset_check(asset=mine)
    def mine_is_good() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False)

    if ours_fails:
        server.on(API_PATH, Reply(status=403))
    both = dg.define_asset_job("both", selection=dg.AssetSelection.assets("highlights", "mine"))
    theirs = dg.Definitions(assets=[mine], asset_checks=[mine_is_good], jobs=[both])
    project = dg.Definitions.merge(build_defs(settings), theirs)
    with open_instance(home) as instance:
        done = project.resolve_job_def("both").execute_in_process(
            partition_key=DAY, instance=instance, raise_on_error=False
        )
    assert not done.success
    said = tick()
    assert len(said) == ours_fails
    assert all("highlights: the API denied access" in alert for alert in said)


def test_a_silent_run_with_assets_of_others_is_marked_only_by_its_lease(
    tick: Tick, settings: Settings, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their asset may work for hours without a word, and holds no lease."""
    monkeypatch.setattr("ncaa_assets.runs.killed._SILENT_AFTER", timedelta(0))
    both = frozenset(map(dg.AssetKey, ("highlights", "mine")))
    run = dg.DagsterRun("__ASSET_JOB", run_id=str(uuid4()), tags={"dagster/partition": DAY}, asset_selection=both)
    with open_instance(home) as instance:
        instance.add_run(run)
        instance.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, run.job_name), run.run_id)

        def status() -> dg.DagsterRunStatus:
            found = instance.get_run_by_id(run.run_id)
            assert found is not None
            return found.status

        tick()
        tick()
        assert status() == dg.DagsterRunStatus.STARTED
        gone = Holder(owner=run.run_id, host=_this_host(), pid=2**22 + 1, expires=datetime(2038, 1, 1, tzinfo=UTC))
        LocalStore(settings.archive_dir).write(f".leases/{DAY}.json", gone.model_dump_json().encode())
        tick()
        assert status() == dg.DagsterRunStatus.FAILURE


def test_a_cursor_that_cannot_be_read_begins_anew(settings: Settings, home: Path) -> None:
    made = build_defs(settings).resolve_sensor_def("failure_sensor")
    with open_instance(home) as instance:
        for cursor in ("no JSON", "[]", '{"PIPELINE_FAILURE": null}'):
            context = dg.build_sensor_context(instance, cursor=cursor)
            made(context)
            assert context.cursor is not None
            assert "PIPELINE_SUCCESS" in context.cursor


def test_a_killed_run_is_found_and_marked_and_raises_an_alert(
    tick: Tick, server: ScriptedServer, settings: Settings, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_instance(home) as instance:
        run = our_run()
        instance.add_run(run)
        instance.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, "daily_backup"), run.run_id)
        store = LocalStore(settings.archive_dir)
        with lease_of(store, DAY, run.run_id):
            held = Holder.model_validate_json(store.read(f".leases/{DAY}.json")[0])
        gone = held.model_copy(update={"pid": 2**22 + 1, "host": _this_host()})  # larger than any process id
        store.write(f".leases/{DAY}.json", gone.model_dump_json().encode())
        assert tick() == [], "found and marked"
        found = instance.get_run_by_id(run.run_id)
        assert found is not None
        assert found.status == dg.DagsterRunStatus.FAILURE
        instance_log = caplog.text
    assert "ended without a report" in instance_log
    (alert,) = tick()
    assert alert.startswith(f"ALERT daily_backup {DAY}: this run was killed, ran out of memory")


def test_a_run_of_a_dead_machine_is_found_though_each_tick_has_a_process_of_its_own(
    tick: Tick, server: ScriptedServer, settings: Settings, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon that starts its own code server replaces it every minute."""
    now, passed = watch.elapsed, [0.0]
    monkeypatch.setattr(watch, "elapsed", lambda: now() + passed[0])
    run = our_run()
    dead = Holder(owner=run.run_id, host="elsewhere/", pid=1, expires=datetime(2038, 1, 1, tzinfo=UTC))
    with open_instance(home) as instance:
        instance.add_run(run)
        instance.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, "daily_backup"), run.run_id)
        LocalStore(settings.archive_dir).write(f".leases/{DAY}.json", dead.model_dump_json().encode())
        for passed[0] in (0.0, 15.0, 30.0):
            assert tick() == []
            watch.WATCH._seen.clear()
            found = instance.get_run_by_id(run.run_id)
            assert found is not None
            assert found.status == dg.DagsterRunStatus.STARTED
        passed[0] = 70.0
        assert tick() == []
        (alert,) = tick()
    assert alert.startswith(f"ALERT daily_backup {DAY}: this run was killed")


def lose_a_worker(settings: Settings, home: Path, of: str | None = None, **tags: str) -> str:
    """A run that was launched and whose worker is reported as gone. `of` is the run that it replaces."""
    with open_instance(home) as instance:
        run = instance.create_run_for_job(
            build_defs(settings).resolve_job_def("daily_backup"),
            tags={"dagster/partition": DAY, **{name.replace("__", "/"): value for name, value in tags.items()}},
            parent_run_id=of,
            root_run_id=of,
        )
        instance.report_run_failed(run, message="its worker ended without a report")
        return run.run_id


LAUNCHED_BY_A_COMMAND = {"dagster__max_retries": "0"}
RETRIED_BY_THE_DAEMON = {"dagster__will_retry": "true"}


@pytest.mark.parametrize("tags", [LAUNCHED_BY_A_COMMAND, RETRIED_BY_THE_DAEMON], ids=["command", "daemon"])
def test_a_lost_worker_raises_no_alert_where_its_run_is_run_again_and_the_second_run_does(
    tick: Tick, settings: Settings, home: Path, tags: dict[str, str]
) -> None:
    first = lose_a_worker(settings, home, **tags)
    assert tick() == [], "it may be run again"
    assert tick() == []
    second = lose_a_worker(settings, home, of=first, dagster__parent_run_id=first, dagster__max_retries="0")
    (alert,) = tick()
    assert alert.endswith(f"/runs/{second})")
    assert tick() == []


@pytest.mark.parametrize("tags", [LAUNCHED_BY_A_COMMAND, RETRIED_BY_THE_DAEMON], ids=["command", "daemon"])
def test_a_lost_worker_that_nobody_replaces_raises_an_alert_after_a_while(
    tick: Tick, settings: Settings, home: Path, monkeypatch: pytest.MonkeyPatch, tags: dict[str, str]
) -> None:
    """The process that would have run it again may be gone too."""
    run_id = lose_a_worker(settings, home, **tags)
    assert tick() == []
    monkeypatch.setattr(sensor, "_RERUN_WITHIN", timedelta(0))
    (alert,) = tick()
    assert alert.endswith(f"/runs/{run_id})")
    assert tick() == []


def test_an_end_that_is_dated_in_the_future_holds_no_alert_back(settings: Settings, home: Path) -> None:
    """The clock of the worker's machine was ahead, so no time of its passes while anybody waits."""
    run_id = lose_a_worker(settings, home, **LAUNCHED_BY_A_COMMAND)
    with open_instance(home) as instance:
        run = instance.get_run_by_id(run_id)
        assert run is not None
        week_ahead = datetime.now(UTC).timestamp() + 7 * 86400
        assert sensor._was_rerun(instance, run, week_ahead) is False


def test_a_lost_worker_of_an_instance_that_retries_nothing_raises_an_alert_at_once(
    tick: Tick, settings: Settings, home: Path
) -> None:
    run_id = lose_a_worker(settings, home)
    (alert,) = tick()
    assert alert.endswith(f"/runs/{run_id})")


def test_a_run_that_could_not_begin_is_not_run_again(settings: Settings, tmp_path: Path) -> None:
    """Dagster takes a failure before the first step for a lost worker, which the instance on ECS retries."""
    retrying = tmp_path / "retrying"
    retrying.mkdir()
    (retrying / "dagster.yaml").write_text(
        "telemetry: {enabled: false}\n"
        "run_retries: {enabled: true, max_retries: 1, retry_on_asset_or_op_failure: false}\n"
    )
    run_day(settings, retrying)
    other = settings.model_copy(update={"league_name": "NBA"})
    ended = run_day(other, retrying)
    assert not ended.succeeded
    assert not ended.lost_its_worker, "its alert would come later than it could"
    with open_instance(retrying) as instance:
        run = instance.get_run_by_id(ended.run_id)
        assert run is not None
        assert run.tags["dagster/will_retry"] == "false"


def test_a_store_that_cannot_be_read_keeps_no_alert_back(
    tick: Tick, server: ScriptedServer, settings: Settings, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fail_the_day(server, settings, home)
    with open_instance(home) as instance:
        run = our_run()
        instance.add_run(run)
        instance.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, "daily_backup"), run.run_id)
    settings.archive_dir.mkdir(exist_ok=True)
    leases = settings.archive_dir / ".leases"
    for path in leases.glob("*"):
        path.unlink()
    leases.rmdir()
    leases.write_text("a file")
    caplog.set_level(logging.WARNING)
    assert len(tick()) == 1
    assert tick() == []
    with open_instance(home) as instance:
        instance.delete_run(run.run_id)
