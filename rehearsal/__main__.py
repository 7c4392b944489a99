"""`make rehearsal`: the whole deployment on one machine, without an AWS account. The report is docs/rehearsal.md; the
exit code is 1 if anything differs from what is expected, and 2 if the machine lacks Terraform or its provider.

Terraform and our `terraform/`, the image's files (where `NCAA_BUILD_IMAGE` names a tool that builds it), every process
of Dagster and of the command, Postgres, HTTP and ffmpeg are real. AWS is ncaa_assets_tests/loopback, and a role may do
what its policy says. A person's part is played through the UI's GraphQL API and Terraform alone.
"""

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from ncaa_assets.source.sample_api.clips import make_clip
from ncaa_assets_tests.loopback import fargate
from ncaa_assets_tests.loopback.fargate import Files, InTheImage, OnThisMachine
from ncaa_assets_tests.loopback.lacking import Lacking
from ncaa_assets_tests.loopback.running_ui import REPOSITORY, ask, backfill, launch
from ncaa_assets_tests.loopback.terraform import require_terraform
from rehearsal import report as reports
from rehearsal.drills import DRILLS, Drill, never_worked
from rehearsal.report import Report
from rehearsal.world import (
    ALWAYS_ON,
    DISPENSABLE,
    ENDED,
    KEY,
    LARGE_VIDEOS,
    TAGS,
    TIMEZONE,
    WRONG_KEY,
    World,
    finished,
    last_days,
    rehearsed,
    started,
    until,
)

IMAGE = "ncaa-assets-rehearsal"
LARGE_MIB = 150
LARGE_DAY = "2025-01-10"
BACKFILLED = ["2025-01-04", "2025-01-05", "2025-01-06"]
TICK = datetime(2025, 1, 20, 6, tzinfo=ZoneInfo(TIMEZONE))
TICKED = ["2025-01-19", "2025-01-18", "2025-01-17"]
ASSETS = {"highlights", "backup_rows", "videos", "processed_videos", "gallery"}


def main() -> int:
    try:
        require_terraform()
    except Lacking as lacking:
        print(lacking)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    report = Report()
    clip_folder = Path(tempfile.mkdtemp(prefix="rehearsal-"))
    try:
        clip = make_clip(clip_folder / "clip.mp4", seconds=2, height=180).read_bytes()
        free = LARGE_MIB * 1024 * 1024 - len(clip)
        large = clip + struct.pack(">I4s", free, b"free") + bytes(free - 8)
        with rehearsed(clip_folder, clip, large) as world, ExitStack() as stack:
            _rehearse(world, report, stack)
    except Exception:
        if not report.failures:  # else it has been printed
            raise
    finally:
        shutil.rmtree(clip_folder, ignore_errors=True)
    reports.PLACE.write_text(report.text(), "utf-8")
    print(report.text())
    return 1 if report.failures else 0


def _end(number: int, _: object) -> None:
    """Ends the rehearsal and every process that it started."""
    ENDED.set()
    sys.exit(128 + number)


def _rehearse(world: World, report: Report, stack: ExitStack) -> None:
    files = _deploy(world, report)
    with report.stage("the databases") as line:
        stack.enter_context(started(world, files))
        report.output = world.said
        line.seen = "Postgres behind TLS, with the passwords that Terraform made"
    stack.callback(_account_for, world, report)
    _drill(never_worked, world, report)
    _start(world, report)
    _use(world, report)
    with ThreadPoolExecutor() as pool:
        aside = pool.submit(_on_demand, world, report)
        for group in DRILLS:
            done = [pool.submit(_drill, drill, world, report) for drill in group]
            if not all(one.result() for one in done):
                world.tidy()
        aside.result()


def _drill(drill: Drill, world: World, report: Report) -> bool:
    """Runs one drill. The first line of its docstring is its name, the rest the expected end. Returns whether it ended
    so."""
    what, _, expected = (drill.__doc__ or "").strip().partition(".\n")
    try:
        with report.drill(what, " ".join(expected.split())) as line:
            line.seen = drill(world)
    except Exception:  # noqa: BLE001 - the report has it, and the next drill does not depend on this one
        return False
    return True


# ---- The stages -----------------------------------------------------------------------------------------------------


def _deploy(world: World, report: Report) -> Files:
    """The first three steps of docs/deployment.md; the image is built meanwhile."""
    tool = os.environ.get("NCAA_BUILD_IMAGE") if os.getuid() == 0 else None
    building = _build(tool, world.folder / "build.log") if tool else None
    try:
        with report.stage("terraform apply, nothing started") as line:
            world.apply()
            made = [len(one.terraform.resources()) for one in world.deployments]
            line.seen = f"two deployments at once, {made[0]} resources always on and {made[1]} on demand"
        with report.stage("the image, built meanwhile") as line:
            files: Files = OnThisMachine()
            line.seen = "not built here: this checkout's files are used"
            if tool and building:
                code = building.wait(900)
                assert code == 0, (world.folder / "build.log").read_text("utf-8", "replace")[-2000:]
                fargate.unpack(tool, IMAGE, world.folder / "image")
                files = InTheImage(world.folder / "image")
                line.seen = "its files are used"
        with report.stage("key, image, and terraform apply with its tag") as line:
            for one in world.deployments:
                one.put_key(KEY)
                one.push(TAGS[0])
            tag = ("-var", f"image_tag={TAGS[0]}")
            said = world.always_on.terraform.run("plan", "-input=false", *tag, code=1)
            assert "Nobody would hear that this deployment fails" in said, said
            for one in world.deployments:
                one.confirm()
            world.apply(*tag)
            assert all(one.outputs["is_started"] for one in world.deployments)
            line.seen = "refused until the alerts' mail was confirmed; then both are started"
    finally:
        if building and building.poll() is None:
            os.killpg(building.pid, signal.SIGTERM)
            building.wait()
    return files


def _build(tool: str, log: Path) -> subprocess.Popen[bytes]:
    """The build of the image, in a session of its own."""
    with log.open("wb") as file:
        return subprocess.Popen(  # noqa: S603
            [tool, "-t", IMAGE, str(fargate.PROJECT)], stdout=file, stderr=file, start_new_session=True,
            env={**os.environ, "BUILDAH_LAYERS": "true"},
        )  # fmt: skip


def _start(world: World, report: Report) -> None:
    it = world.always_on
    with report.stage("the service starts, until its UI answers") as line:
        task = it.service_task()
        line.seen = f"one task with {', '.join(one.name for one in task.containers)}"
    with report.stage("the containers' health checks") as line:
        until("a daemon that is alive", lambda: world.fargate.check(it.container("daemon")), 120)
        checks = {one.name: one for one in it.service_task().containers}
        assert world.fargate.check(checks["webserver"])
        took = {name: one.checks[-1][1] for name, one in checks.items()}
        for name, one in checks.items():
            assert took[name] < one.definition["healthCheck"]["timeout"] / 2
        line.seen = ", ".join(f"{name} healthy in {seconds:.1f} s" for name, seconds in took.items())
    with report.stage("the UI has everything") as line:
        nodes = it.ask("{ assetNodes { assetKey { path } dependencyKeys { path } } }")["assetNodes"]
        above = {node["assetKey"]["path"][0]: [key["path"][0] for key in node["dependencyKeys"]] for node in nodes}
        assert above == {
            "highlights": [], "backup_rows": ["highlights"], "videos": ["highlights"], "processed_videos": ["videos"],
            "gallery": ["backup_rows", "processed_videos"],
        }  # fmt: skip
        query = "{ schedulesOrError(repositorySelector: %s) { ... on Schedules { results { name cronSchedule } } } }"
        found = it.ask(query % _literal(REPOSITORY))["schedulesOrError"]["results"]
        assert {one["name"]: one["cronSchedule"] for one in found} == {
            "daily_backup_schedule": "0 6 * * *", "morning_check_schedule": "0 9 * * *",
        }  # fmt: skip
        line.seen = "five assets with their lineage, two schedules"
    with report.stage("doctor, in a run's task") as line:
        world.cloud.client("ecs").run_task(
            cluster=it.name, taskDefinition=f"{it.name}-run", launchType="FARGATE", networkConfiguration=_network(world)
        )
        task = until("doctor's task", lambda: it.tasks("run"))[0]
        code = finished(task)
        said = task.containers[0].log
        assert code == 0, said
        line.seen = f"exit 0; {sum(row.lstrip().startswith('ok') for row in said.splitlines())} things looked at are ok"


def _use(world: World, report: Report) -> None:
    it = world.always_on
    world.source.large.add(LARGE_DAY)
    with report.stage(f"a day with {LARGE_VIDEOS} videos of {LARGE_MIB} MiB at once, from the UI") as line:
        every = {"environment": [{"name": "VIDEO_COUNT", "value": "all"}]}
        launch(it.ui, LARGE_DAY, tags={"ecs/container_overrides": json.dumps(every)})
        it.ended(LARGE_DAY, "SUCCESS", seconds=240)
        it.check_whole(LARGE_DAY, LARGE_VIDEOS)
        line.seen = _times(world, LARGE_DAY)
    day = "2025-01-12"
    with report.stage("a day, from the UI") as line:
        launch(it.ui, day)
        (run,) = it.ended(day, "SUCCESS")
        it.check_whole(day)
        line.seen = _times(world, day)
    with report.stage("its logs, lineage and metadata, in the UI") as line:
        line.seen = _look_at(world, day, run["id"])
    with report.stage("a backfill of three days, from the UI") as line:
        tasks = len(it.tasks("run"))
        backfill(it.ui, BACKFILLED)
        for one in BACKFILLED:
            it.ended(one, "SUCCESS")
            it.check_whole(one)
        assert len(it.tasks("run")) - tasks == 3
        line.seen = "three tasks, three days"
    with report.stage("a tick of the schedule, evaluated and launched from the UI") as line:
        line.seen = _tick(world)


def _times(world: World, day: str) -> str:
    """The seconds from the click to the task, to the first asset, and to the end."""
    it = world.always_on
    (run,) = it.runs_of(day)
    query = """query ($id: ID!) { runOrError(runId: $id) { ... on Run { creationTime startTime endTime
        assetMaterializations { timestamp } } } }"""
    told = it.ask(query, id=run["id"])["runOrError"]
    first = min(float(one["timestamp"]) / 1000 for one in told["assetMaterializations"])
    created, began, ended = told["creationTime"], told["startTime"], told["endTime"]
    return (
        f"{began - created:.1f} s from the click to the worker, first asset {first - created:.1f} s, "
        f"all five {ended - created:.1f} s"
    )


def _look_at(world: World, day: str, run_id: str) -> str:
    it = world.always_on
    logs = it.ask(
        """query ($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events { __typename
        ... on LogsCapturedEvent { logKey stepKeys } } } } }""",
        id=run_id,
    )["logsForRun"]["events"]
    (captured,) = [one for one in logs if one["__typename"] == "LogsCapturedEvent"]
    key = [run_id, "compute_logs", captured["logKey"]]
    shown = it.ask("query ($key: [String!]!) { capturedLogs(logKey: $key) { stdout stderr } }", key=key)["capturedLogs"]
    stored = world.cloud.client("s3").list_objects_v2(Bucket=it.bucket, Prefix="dagster-logs/")["Contents"]
    assert any(run_id in one["Key"] for one in stored)
    assert "encoded in" in shown["stderr"], shown
    nodes = it.ask(
        "query ($day: String!) { assetNodes { assetKey { path } assetMaterializations(partitions: [$day]) { runId "
        "metadataEntries { label } } } }",
        day=day,
    )["assetNodes"]
    for node in nodes:
        (made,) = node["assetMaterializations"]
        assert made["runId"] == run_id
        assert made["metadataEntries"], node["assetKey"]
    told = {node["assetKey"]["path"][0]: len(node["assetMaterializations"][0]["metadataEntries"]) for node in nodes}
    assert told.keys() == ASSETS
    assert day in it.counted_days(), "the line that the alarm counts is not in CloudWatch"
    return f"compute logs in S3, the day's line in CloudWatch, {sum(told.values())} metadata entries"


def _tick(world: World) -> str:
    """Does what "Test schedule" does in the UI: evaluates a tick, then launches the runs that it requests."""
    it = world.always_on
    query = """mutation ($selector: ScheduleSelector!, $at: Float) { scheduleDryRun(selectorData: $selector,
        timestamp: $at) { __typename ... on DryRunInstigationTick { evaluationResult { error { message }
        runRequests { runKey tags { key value } } } } ... on PythonError { message } } }"""
    selector = {**REPOSITORY, "scheduleName": "daily_backup_schedule"}
    ticked = it.ask(query, selector=selector, at=TICK.timestamp())["scheduleDryRun"]
    assert ticked["__typename"] == "DryRunInstigationTick", ticked
    requests = ticked["evaluationResult"]["runRequests"]
    tags = [{tag["key"]: tag["value"] for tag in one["tags"]} for one in requests]
    assert [one["dagster/partition"] for one in tags] == TICKED, tags
    assert [one["runKey"] for one in requests] == [f"{TICK.date()}/{day}" for day in TICKED]
    for one in tags:
        launch(it.ui, one.pop("dagster/partition"), tags=one)
    for day in TICKED:
        it.ended(day, "SUCCESS")
        it.check_whole(day)
    return "three days asked for, newest first; three tasks, three days"


def _on_demand(world: World, report: Report) -> None:
    """The deployment in which nothing runs around the clock: EventBridge's start, then the UI for an hour."""
    it, (day,) = world.on_demand, last_days(1)
    with report.stage("always_on = false: EventBridge's start fills the missing day") as line:
        assert it.tasks("service") == []
        task = it.start_schedule()
        code = finished(task, 300)
        assert code == 0, task.containers[0].log[-3000:]
        it.check_whole(day)
        assert len(it.tasks("run")) == 1
        assert it.evaluate_alarm(hours=1) == "OK"
        it.alert_with('"NewStateValue": "OK"', 0)
        line.seen = "catch-up exits 0; the day's run had a task of its own; the dead man's alarm says OK"
    with report.stage("always_on = false: the UI for an hour") as line:
        ecs = world.cloud.client("ecs")
        asked = len(world.source.asked)
        ecs.update_service(cluster=it.name, service=f"{it.name}-dagster", desiredCount=1)
        (run,) = it.ended(day, "SUCCESS")
        nodes = ask(it.ui, "{ assetNodes { partitionStats { numMaterialized } } }")["assetNodes"]
        assert [node["partitionStats"]["numMaterialized"] for node in nodes] == [1] * len(ASSETS)
        assert run["ncaa_assets/trigger"] == "catch-up"
        task = it.service_task()
        ecs.update_service(cluster=it.name, service=f"{it.name}-dagster", desiredCount=0)
        finished(task)
        assert len(world.source.asked) == asked, "opening the UI asked the API"
        line.seen = "catch-up's run is there to browse; closed again, nothing was fetched meanwhile"
    with report.stage("a change of mode there and back, in docs/deployment.md's steps") as line:
        line.seen = _change_mode(world)


def _change_mode(world: World) -> str:
    it, day, rds = world.on_demand, "2025-03-01", world.cloud.client("rds")

    def databases() -> set[str]:
        instances = {one["DBInstanceIdentifier"] for one in rds.describe_db_instances()["DBInstances"]}
        clusters = {f"cluster {one['DBClusterIdentifier']}" for one in rds.describe_db_clusters()["DBClusters"]}
        return {one for one in instances | clusters if it.name in one}

    aurora = {f"cluster {it.name}", f"{it.name}-1"}
    assert databases() == aurora
    it.terraform.unprotect()
    tag = ("-var", f"image_tag={TAGS[0]}")
    world.apply(*tag, only=it)
    world.apply(*tag, "-var", "always_on=true", only=it)
    assert databases() == {it.name}
    it.service_task()
    launch(it.ui, day)
    it.ended(day, "SUCCESS")
    it.check_whole(day)
    world.apply(*tag, only=it)
    it.terraform.protect()
    world.apply(*tag, only=it)
    assert databases() == aurora
    until("the service's end", lambda: all(one.is_over for one in it.tasks("service")))
    it.check_whole(day)
    return "the other database and back; a day was backed up in between and stayed"


# ---- The account of it ----------------------------------------------------------------------------------------------


def _account_for(world: World, report: Report) -> None:
    ecs = world.cloud.client("ecs")
    for one in world.deployments:
        for kind in ("service", "run", "catch-up"):
            family = f"{one.name}-{kind}"
            definition = ecs.describe_task_definition(taskDefinition=family)["taskDefinition"]
            if family in world.fargate.memory:
                report.memory.append((family, world.fargate.memory[family], int(definition["memory"])))
    kinds = ("service", "run", "catch-up")
    counts = {kind: sum(len(one.tasks(kind)) for one in world.deployments) for kind in kinds}
    report.notes.append(
        "Started: " + ", ".join(f"{count} tasks of {kind}" for kind, count in counts.items())
        + f"; {len(world.cloud.calls):,} requests to AWS, {world.source.requests} to the API, "
        f"{len(world.cloud.mediaconvert.jobs)} encodes."
    )  # fmt: skip
    with suppress(AssertionError), report.stage("the API is asked only for what it takes") as line:
        assert world.source.refused == [], world.source.refused[:3]
        line.seen = "no query was refused"
    with suppress(AssertionError), report.stage("each deployment hears of its own failures") as line:
        heard = [one for one in world.on_demand.alerts() if ALWAYS_ON in one.replace("ncaa-assets doctor", "")]
        assert not heard, heard
        line.seen = f"{len(world.always_on.alerts())} alerts of the one, {len(world.on_demand.alerts())} of the other"
    with suppress(AssertionError), report.stage("each role does what its policy allows") as line:
        refused = world.refused.keys() - DISPENSABLE
        assert not refused, refused
        assert world.cloud.problems == [], world.cloud.problems[:3]
        unused = {role: sorted(actions) for role, actions in sorted(world.unused().items()) if actions}
        line.seen = "nothing that was needed was refused; allowed and not used here: " + (
            "; ".join(f"{role}: {', '.join(actions)}" for role, actions in unused.items()) or "nothing"
        )
    with (
        suppress(AssertionError),
        report.stage("no key and no password in logs and alerts") as line,
    ):
        passwords = [one.postgres.password for one in world.deployments if one.postgres is not None]
        texts = [container.log for task in world.fargate.tasks for container in task.containers]
        s3 = world.cloud.client("s3")
        for one in world.deployments:
            texts += one.alerts()
            for kept in s3.list_objects_v2(Bucket=one.bucket, Prefix="dagster-logs/").get("Contents", []):
                texts.append(s3.get_object(Bucket=one.bucket, Key=kept["Key"])["Body"].read().decode())
        for secret in [KEY, WRONG_KEY, *passwords]:
            assert not any(secret in text for text in texts)
        line.seen = f"{len(texts)} texts looked through"
    with suppress(AssertionError), report.stage("every role keeps within 70 % of its memory") as line:
        over = [f"{role} {used:.0f} of {limit}" for role, used, limit in report.memory if used > 0.7 * limit]
        assert not over, ", ".join(over)
        line.seen = "see the table"


def _network(world: World) -> dict[str, dict[str, object]]:
    outputs = world.always_on.outputs
    return {
        "awsvpcConfiguration": {
            "subnets": outputs["subnets"], "securityGroups": [outputs["security_group"]], "assignPublicIp": "ENABLED",
        }
    }  # fmt: skip


def _literal(fields: dict[str, str]) -> str:
    """GraphQL's own way to write an object."""
    return "{" + ", ".join(f'{name}: "{value}"' for name, value in fields.items()) + "}"


if __name__ == "__main__":
    sys.exit(main())
