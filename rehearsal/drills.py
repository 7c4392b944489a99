"""The failures that are rehearsed.

A drill is a function that brings one failure about, asserts that it ends as its docstring says, and returns what it
saw.
"""

import json
import re
from collections.abc import Callable

from ncaa_assets_tests.loopback import aws
from ncaa_assets_tests.loopback.running_ui import launch
from rehearsal.world import KEY, TAGS, WRONG_KEY, Deployment, World, finished, last_days, until

Drill = Callable[[World], str]


def launched(deployment: Deployment, day: str) -> None:
    launch(deployment.ui, day)


def is_made_up_for(deployment: Deployment, day: str) -> None:
    """A day that failed once and was reported once is whole after another run."""
    launched(deployment, day)
    deployment.ended(day, "FAILURE", "SUCCESS")
    deployment.check_whole(day)
    assert sum(day in one for one in deployment.alerts()) == 1


def tasks_of(deployment: Deployment, day: str) -> int:
    """How many tasks were started for the day's runs."""
    ids = [run["id"] for run in deployment.runs_of(day)]
    return sum(any(one in " ".join(task.command) for one in ids) for task in deployment.tasks("run"))


def two_run_tasks_killed(world: World) -> str:
    """Two run tasks are killed, one in the middle of a copy and one in the middle of an encode.

    Run monitoring notices both; each run is repeated once, by a new task; each day has one copy and one paid encode;
    no half upload and no lease are left.
    """
    it, copying, encoding = world.always_on, "2025-02-01", "2025-02-02"
    world.cloud.mediaconvert.hold("PROGRESSING")
    launched(it, encoding)
    until(
        "the encode's middle",
        lambda: any(encoding in job.input and job.status == "PROGRESSING" for job in world.cloud.mediaconvert.jobs),
    )
    hold = world.source.hold(copying)
    launched(it, copying)
    until("the copy's middle", hold.reached.is_set, 90)
    for day in (copying, encoding):
        world.fargate.kill(it.task_of(day))
    hold.go.set()
    world.cloud.mediaconvert.release()
    for day in (copying, encoding):
        first, second = it.ended(day, "FAILURE", "SUCCESS", seconds=240)
        assert second["dagster/parent_run_id"] == first["id"]
        assert tasks_of(it, day) == 2
        it.check_whole(day)
    return "both noticed and repeated once; one copy and one job each, nothing left over"


def daemon_killed(world: World) -> str:
    """The daemon is killed while a run is under way.

    Its task ends, an alert says so, ECS starts another one, and the run goes on in its own task to its end.
    """
    it, day = world.always_on, "2025-02-03"
    hold = world.source.hold(day)
    launched(it, day)
    until("the copy's middle", hold.reached.is_set, 90)
    before = it.service_task()
    world.fargate.kill(before, "daemon")
    finished(before)
    after = it.service_task()
    assert after is not before
    hold.go.set()
    it.ended(day, "SUCCESS")
    it.check_whole(day)
    alert = it.alert_with('"group":"service:ncaa-assets-dagster"')
    return f"the UI was back with another task; one run, one task; heard: “{reason(alert)}”"


def database_restarted(world: World) -> str:
    """Postgres is restarted while a run is under way.

    Every connection breaks, which the UI may show once; webserver, daemon and the run connect again, and the run ends
    well.
    """
    it, day = world.always_on, "2025-02-04"
    hold = world.source.hold(day)
    launched(it, day)
    until("the copy's middle", hold.reached.is_set, 90)
    before = it.service_task()
    assert it.postgres is not None
    it.postgres.restart()
    hold.go.set()
    errors = 0
    for query in (
        "{ runsOrError { __typename } }",
        "{ assetNodes { assetMaterializations(limit: 1) { runId } } }",
        "{ instance { daemonHealth { allDaemonStatuses { lastHeartbeatTime } } } }",
    ):
        while not answers(it, query):  # each of the webserver's connections fails once
            errors += 1
            assert errors < 10
    it.ended(day, "SUCCESS")
    it.check_whole(day)
    assert it.service_task() is before
    return f"one run, one task; the service's task went on; {errors} requests of the UI failed"


def answers(deployment: Deployment, query: str) -> bool:
    try:
        deployment.ask(query)
    except OSError:
        return False
    return True


def api_down(world: World) -> str:
    """The API answers 503 for as long as a run asks.

    The run asks again as often as RETRY_COUNT says and fails with a sentence; one alert; no task is repeated for it;
    the next run, with the API back, backs the day up.
    """
    it, day = world.always_on, "2025-02-05"
    world.source.down.add(day)
    launched(it, day)
    it.ended(day, "FAILURE")
    asked = world.source.asked.count(day)
    assert asked == 4, f"the API was asked {asked} times"
    assert tasks_of(it, day) == 1
    alert = it.alert_with(day)
    assert "the API is down (status 503); try again later" in alert
    assert it.keys(f"highlights/{day}") == []
    world.source.down.discard(day)
    is_made_up_for(it, day)
    return f"asked 4 times, then: “{sentence(alert)}”"


def bucket_denied(world: World) -> str:
    """The bucket refuses every object that a run writes.

    The run fails with a sentence that names the bucket and what to do; one alert; nothing half is there; allowed again,
    the next run backs the day up.
    """
    it, day = world.always_on, "2025-02-06"
    world.cloud.fail("PutObject", aws.error(403, "AccessDenied", times=None), key=day)
    launched(it, day)
    it.ended(day, "FAILURE")
    alert = it.alert_with(day)
    assert f"s3://{it.bucket}/" in alert
    assert "grant it to their role" in alert
    assert it.keys(f"highlights/{day}") == []
    world.cloud.mend()
    is_made_up_for(it, day)
    return f"“{sentence(alert)}”"


def wrong_key(world: World) -> str:
    """The secret holds a key that the API does not take.

    The run fails at once with a sentence that names the key, and one alert, in which the key is not; with the right key
    in the secret the next run backs the day up.
    """
    it, day = world.always_on, "2025-02-07"
    it.put_key(WRONG_KEY)
    launched(it, day)
    it.ended(day, "FAILURE")
    assert world.source.asked.count(day) == 1
    it.put_key(KEY)
    alert = it.alert_with(day)
    assert "subscribe the key to this API" in alert, alert
    assert WRONG_KEY not in alert, "the alert has the key"
    is_made_up_for(it, day)
    return f"asked once, then: “{sentence(alert)}”"


def command_missing(world: World) -> str:
    """EventBridge starts catch-up with an image that lacks the command.

    The task cannot start and ECS says why; the alert names the reason.
    """
    it = world.always_on
    world.fargate.missing.add("ncaa-assets")
    task = it.start_schedule()
    assert finished(task) is None
    world.fargate.missing.clear()
    alert = it.alert_with("executable file not found")
    return f"heard: “{reason(alert)}”"


def service_rolled(world: World) -> str:
    """A new image and another `run_size` are deployed by `terraform apply` while a run is under way.

    The old daemon has ended before the new one starts; the run goes on in its own task with the image that it has; what
    is launched afterwards runs the new one in the new size; the earlier definitions can still be started; nobody is
    alarmed.
    """
    it, day, later = world.always_on, "2025-02-08", "2025-02-09"
    service = it.terraform.values("aws_ecs_service.dagster")
    percent = [service["deployment_minimum_healthy_percent"], service["deployment_maximum_percent"]]
    assert percent == [0, 100], "what is emulated here is a service that ends the old before the new"
    hold = world.source.hold(day)
    launched(it, day)
    until("the copy's middle", hold.reached.is_set, 90)
    before, alerts = it.service_task(), len(it.alerts())
    it.push(TAGS[1])
    world.apply("-var", f"image_tag={TAGS[1]}", "-var", "run_size={cpu=1024,memory=2048}", only=it)
    world.forget_policies()
    until("the old task's end", lambda: before.is_over)
    after = it.service_task()
    assert all(str(one.definition["image"]).endswith(f":{TAGS[1]}") for one in after.containers)
    hold.go.set()
    it.ended(day, "SUCCESS")
    it.check_whole(day)
    launched(it, later)
    it.ended(later, "SUCCESS")
    images = [str(it.task_of(one).containers[0].definition["image"]).rpartition(":")[2] for one in (day, later)]
    assert images == list(TAGS)
    ecs = world.cloud.client("ecs")
    sizes = []
    for one in (day, later):
        definition = ecs.describe_task_definition(taskDefinition=it.task_of(one).task.task_definition_arn)
        assert definition["taskDefinition"]["status"] == "ACTIVE"
        sizes.append(definition["taskDefinition"]["memory"])
    assert sizes == ["1024", "2048"], sizes
    assert len(it.alerts()) == alerts, it.alerts()[alerts:]
    return "the run under way ended well with the old image, the next one ran the new one with 2048 MiB; no alert"


def protected_change(world: World) -> str:
    """Each of `terraform destroy`, a change of mode, and another name of the table is applied as a slip.

    The plan is refused before anything changes.
    """
    it = world.always_on
    for slip in ("-destroy", "-var=always_on=false", "-var=dynamodb_table=Renamed"):
        said = it.terraform.run("apply", "-input=false", "-auto-approve", slip, code=1)
        assert "Instance cannot be destroyed" in said, said
        # Another apply may change the other deployment meanwhile: Terraform's words tell what it did to this one.
        assert not re.search(r": (Creating|Modifying|Destroying)\.\.\.", said), said
    return "three times refused, nothing created, modified or destroyed"


def two_catch_ups(world: World) -> str:
    """EventBridge starts catch-up twice at the same moment, with three days missing.

    Both exit with 0; each day is whole, its copy made and its encode paid once, by runs with a task of their own.
    """
    it, days = world.always_on, last_days(3)
    assert not any(it.keys(f"highlights/{day}") for day in days)
    tasks = [it.start_schedule(), it.start_schedule()]
    codes = [finished(task, 300) for task in tasks]
    assert codes == [0, 0], "\n".join(task.containers[0].log[-2000:] for task in tasks)
    for day in days:
        it.check_whole(day)
    fetched = [world.source.asked.count(day) for day in days]
    every = [len(it.runs_of(day)) for day in days]
    return f"both exit 0; runs a day: {every}; listings asked for: {fetched}"


def never_worked(world: World) -> str:
    """A deployment is started and backs nothing up; CloudWatch looks at the dead man's alarm each hour.

    One mail after the first look, which also proves the way to the person, and none for the silence that goes on.
    """
    it = world.on_demand
    assert it.counted_days() == []
    assert [it.evaluate_alarm(hours) for hours in (0, 1, 26, 50)] == ["ALARM"] * 4
    (mail,) = (json.loads(one) for one in it.alerts())
    assert (mail["OldStateValue"], mail["NewStateValue"]) == ("INSUFFICIENT_DATA", "ALARM")
    return f"heard once: “{mail['AlarmDescription'].partition('.')[0]}.”"


def reason(alert: str) -> str:
    """What an alert of EventBridge's says, without what to do about it."""
    told = json.loads(alert)
    return f"{told['alert']}: {told['group']}: {told['reason']}"


def sentence(alert: str) -> str:
    """The sentence of an alert of Dagster's side."""
    return next((line for line in alert.splitlines() if line.startswith("error: ")), alert).removeprefix("error: ")


# The drills of a group run side by side, because they mostly wait.
DRILLS: tuple[tuple[Drill, ...], ...] = (
    (two_run_tasks_killed,),
    (daemon_killed,),
    (database_restarted,),
    (api_down, bucket_denied),
    (wrong_key, command_missing),
    (two_catch_ups,),
    (service_rolled,),
    (protected_change,),
)
