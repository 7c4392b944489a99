"""The world of the rehearsal: AWS, the API and the host of the videos on loopback, and in that AWS the two deployments
that `terraform/` makes, one always on and one on demand.
"""

import json
import re
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket

from ncaa_assets_tests.loopback import cloudwatch, eventbridge, fargate, permissions, sns
from ncaa_assets_tests.loopback.aws import Call, Cloud, running_cloud
from ncaa_assets_tests.loopback.fargate import Container, Fargate, Files, Task
from ncaa_assets_tests.loopback.http_server import Handler, Reply, ScriptedServer, scripted_server
from ncaa_assets_tests.loopback.listing import serve_api, us_game, us_record
from ncaa_assets_tests.loopback.mediaconvert import REGION
from ncaa_assets_tests.loopback.permissions import Place
from ncaa_assets_tests.loopback.postgres import Postgres, running_postgres
from ncaa_assets_tests.loopback.running_ui import ask, runs
from ncaa_assets_tests.loopback.s3_rules import ACCOUNT, Refused
from ncaa_assets_tests.loopback.terraform import SOURCE, Background, Terraform

KEY, WRONG_KEY = "the-key-of-the-rehearsal", "a-key-of-yesterday"
ALWAYS_ON, ON_DEMAND = "ncaa-assets", "ncaa-on-demand"
ADDRESS = "you@example.com"  # terraform.tfvars.example
TAGS = ("3f2a91c", "77b01de")
LARGE_VIDEOS = 4  # VIDEO_CONCURRENCY
# Requests of doctor that a run's role does not allow, and that it can do without.
DISPENSABLE = {
    (f"{ALWAYS_ON}-{REGION}-run", "s3:ListBucketVersions"),
    (f"{ALWAYS_ON}-{REGION}-run", "ecs:DescribeTaskDefinition"),
}


# Set when the rehearsal is told to end early.
ENDED = threading.Event()


def _afternoon() -> str:
    """A timezone where it is early afternoon, so that neither midnight nor the schedule's six o'clock passes during the
    rehearsal. The sign in these names is reversed (tz database, etcetera)."""
    east = 13 - datetime.now(UTC).hour
    return f"Etc/GMT{-east:+d}"


TIMEZONE = _afternoon()


def until(what: str, condition: Callable[[], Any], seconds: float = 120) -> Any:
    """Waits until `condition()` returns something true, and returns that.

    Raises:
        AssertionError: it did not within `seconds`, or `ENDED` was set.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        assert not ENDED.wait(0.2), f"{what}: the rehearsal was ended"
    return value


def last_days(count: int) -> list[str]:
    """The last days that are over, the newest first."""
    today = datetime.now(ZoneInfo(TIMEZONE)).date()
    return [str(today - timedelta(days=back)) for back in range(1, count + 1)]


@dataclass
class Hold:
    """A download that pauses halfway: `reached` is set then, and it continues when `go` is set."""

    reached: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)


class Source:
    """The API, whose module `nba` lists the games, and the host of the videos.

    Attributes:
        down: days for which the API answers 503.
        large: days with `LARGE_VIDEOS` videos, large ones.
    """

    def __init__(self, server: ScriptedServer, clip: bytes, large: bytes) -> None:
        self._server, self._clip, self._large = server, clip, large
        self.down: set[str] = set()
        self.large: set[str] = set()
        self._holds: dict[str, Hold] = {}  # of downloads to come
        self._holding: list[Hold] = []
        self._api = serve_api(server, key=KEY, quota=7500, quota_left=7500)
        self._api.highlights["nba"] = self._listed
        self._api.matches["nba"] = lambda day: [us_game(number) for number in [*self._videos(day), _without_url(day)]]
        self.base_url = self._api.base_url

    @property
    def asked(self) -> list[str]:
        """The day of each request for a listing of `nba`, in order."""
        return [query["date"] for query in self._api.asked("nba")]

    @property
    def requests(self) -> int:
        """How many requests the API got."""
        return sum(asked.path.endswith(("/highlights", "/matches")) for asked in self._server.asked)

    @property
    def refused(self) -> list[str]:
        """What the API said to queries that it does not take."""
        return self._api.refused

    def hold(self, day: str) -> Hold:
        """Makes the next download of the day's video pause halfway."""
        self._holds[day] = hold = Hold()
        self._holding.append(hold)
        return hold

    def release(self) -> None:
        """Lets every paused download continue."""
        for hold in self._holding:
            hold.go.set()

    def _listed(self, day: str) -> list[Any] | Reply:
        if day in self.down:
            return Reply(b"<h1>Service Unavailable</h1>", status=503, content_type="text/html")
        noon = datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=ZoneInfo(TIMEZONE)).astimezone(UTC)
        urls = {
            number: self._server.on(f"/videos/{number}.mp4", partial(self._video, day, number))
            for number in self._videos(day)
        }
        records = [us_record(number, urls.get(number)) for number in [*urls, _without_url(day)]]
        for record in records:
            record["match"]["date"] = noon.isoformat()
        return records

    def _videos(self, day: str) -> range:
        first = _first_number(day)
        return range(first, first + (LARGE_VIDEOS if day in self.large else 1))

    def _video(self, day: str, number: int, handler: Handler) -> None:
        body = self._large if day in self.large else self._clip
        # Each clip gets bytes of its own, in a box "free" that players skip: equal clips would be encoded once.
        own = str(number).encode()
        body += struct.pack(">I4s", 8 + len(own), b"free") + own
        handler.send_response(200)
        handler.send_header("Content-Type", "video/mp4")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        half = len(body) // 2
        handler.wfile.write(body[:half])
        handler.wfile.flush()
        if (hold := self._holds.pop(day, None)) is not None:
            hold.reached.set()
            hold.go.wait(300)
        handler.wfile.write(body[half:])


def _first_number(day: str) -> int:
    return int(day.replace("-", "")) * 10


def _without_url(day: str) -> int:
    return _first_number(day) + 9


class Deployment:
    """One deployment in the cloud, made by Terraform."""

    def __init__(self, world: "World", name: str, terraform: Terraform) -> None:
        self.world, self.name, self.terraform = world, name, terraform
        self.postgres: Postgres | None = None
        self.outputs: dict[str, Any] = {}

    # ---- Deploying, in the order of docs/deployment.md --------------------------------------------------------------

    def put_key(self, key: str) -> None:
        secrets = self.world.cloud.client("secretsmanager")
        secrets.put_secret_value(SecretId=self.outputs["api_key_secret_arn"], SecretString=json.dumps({"api_key": key}))

    def push(self, tag: str) -> None:
        """Leaves in the registry what a push leaves there. No files: containers get theirs from `Files`."""
        kind = "application/vnd.docker.distribution.manifest.v2+json"
        manifest = {"schemaVersion": 2, "mediaType": kind, "config": {"digest": f"sha256:{tag}"}, "layers": []}
        self.world.cloud.client("ecr").put_image(
            repositoryName=self.name, imageManifest=json.dumps(manifest), imageTag=tag
        )

    def confirm(self) -> None:
        """Clicks on the link in the mail that AWS has sent."""
        sns.click(self.outputs["alert_topic_arn"], ADDRESS)

    @property
    def bucket(self) -> str:
        return str(self.outputs["s3_bucket_name"])

    @property
    def prefix(self) -> str:
        """What the archive's keys begin with."""
        return "ncaa/" if self.name == ON_DEMAND else ""

    def place(self) -> Place:
        """The facts that permissions.py needs besides a request."""
        role = f"arn:aws:iam::{ACCOUNT}:role/{self.name}-{REGION}"
        tasks = {f"{self.name}-{task}": (f"{role}-execution", f"{role}-{task}") for task in ("run", "catch-up")}
        return Place(
            bucket=self.bucket,
            cluster=self.name,
            log_group=f"/ecs/{self.name}",
            passes=tasks,
            mediaconvert_role=f"{role}-mediaconvert",
        )

    # ---- Looking ----------------------------------------------------------------------------------------------------

    def service_task(self) -> Task:
        """The service's task, once its UI answers."""

        def there() -> Task | None:
            alive = [one for one in self.tasks("service") if not one.is_stopping and not one.is_over]
            if not alive:
                return None
            try:
                ask(alive[-1].containers[0].url, "{ version }")
            except OSError:
                return None
            return alive[-1]

        found: Task = until(f"the UI of {self.name}", there, 180)
        return found

    def tasks(self, kind: str) -> list[Task]:
        """Every task of a family: service, run or catch-up."""
        return [one for one in self.world.fargate.tasks if one.family == f"{self.name}-{kind}"]

    def container(self, name: str) -> Container:
        return next(one for one in self.service_task().containers if one.name == name)

    @property
    def ui(self) -> str:
        return self.container("webserver").url

    def ask(self, query: str, **variables: Any) -> Any:
        return ask(self.ui, query, **variables)

    def runs_of(self, day: str) -> list[dict[str, Any]]:
        """The day's runs, the oldest first, each with its id."""
        every = runs(self.ui)
        found = [{"id": run_id, **run} for run_id, run in every.items() if run.get("dagster/partition") == day]
        return found[::-1]

    def ended(self, day: str, *statuses: str, seconds: float = 180) -> list[dict[str, Any]]:
        """Waits until the day's runs have ended with these statuses; returns them, the oldest first."""

        def there() -> list[dict[str, Any]]:
            found = self.runs_of(day)
            return found if [run["status"] for run in found] == list(statuses) else []

        try:
            return list(until(f"runs of {day} that are {', '.join(statuses)}", there, seconds))
        except AssertionError as error:
            raise AssertionError(f"{error}; they are {[run['status'] for run in self.runs_of(day)]}") from None

    def task_of(self, day: str) -> Task:
        """The task of the day's newest run, once it has one."""

        def there() -> Task | None:
            arn = self.runs_of(day)[-1].get("ecs/task_arn") if self.runs_of(day) else None
            return next((one for one in self.tasks("run") if one.task.task_arn == arn), None)

        found: Task = until(f"a task of the run of {day}", there)
        return found

    def keys(self, beginning: str) -> list[str]:
        """The keys of the archive's objects."""
        listed = self.world.cloud.client("s3").list_objects_v2(Bucket=self.bucket, Prefix=self.prefix + beginning)
        return [one["Key"].removeprefix(self.prefix) for one in listed.get("Contents", [])]

    def check_whole(self, day: str, videos: int = 1) -> None:
        """Asserts that bucket and table hold the day once: JSON, copies, encodes, rows, a paid job a copy, no rests."""
        number = int(day.replace("-", "")) * 10
        names = [f"{day}/{one}.mp4" for one in range(number, number + videos)]
        assert self.keys(f"highlights/{day}.json"), f"{day}: no JSON"
        assert self.keys(f"videos/{day}/") == [f"videos/{name}" for name in names]
        outputs = [key for key in self.keys(f"processed_videos/{day}/") if key.endswith(".mp4")]
        assert outputs == [f"processed_videos/{name}" for name in names], outputs
        s3, copies = self.world.cloud.client("s3"), f"{self.prefix}videos/{day}/"
        versions = s3.list_object_versions(Bucket=self.bucket, Prefix=copies)["Versions"]
        assert len(versions) == videos, f"{day}: {len(versions)} versions of {videos} copies"
        rows = self.world.cloud.client("dynamodb").query(
            TableName=self.outputs["dynamodb_table"], IndexName="by_game_date",
            KeyConditionExpression="game_date = :day", ExpressionAttributeValues={":day": {"S": day}},
        )["Items"]  # fmt: skip
        assert sorted(row["id"]["S"] for row in rows) == [str(number + one) for one in [*range(videos), 9]]
        jobs = [job for job in self.world.cloud.mediaconvert.jobs if f"{self.bucket}/{copies}" in job.input]
        assert [job.status for job in jobs] == ["COMPLETE"] * videos, [job.status for job in jobs]
        uploads = s3.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])
        assert not [one for one in uploads if f"videos/{day}/" in one["Key"]], "a half upload is left"
        assert not self.keys(f".leases/{day}"), "a lease is left"

    def alerts(self) -> list[str]:
        """Every alert that was mailed so far."""
        return sns.inbox(self.outputs["alert_topic_arn"], ADDRESS)

    def alert_with(self, text: str, seconds: float = 120) -> str:
        """Waits for the alert that contains this text, and returns it."""
        try:
            found: str = until(
                f"an alert with {text!r}", lambda: next((one for one in self.alerts() if text in one), None), seconds
            )
        except AssertionError as error:
            raise AssertionError(f"{error}; heard were {self.alerts()}") from None
        return found

    def counted_days(self) -> list[str]:
        """The days that the dead man's alarm has heard of: those whose lines in CloudWatch its filter counts."""
        return [json.loads(line)["day"] for line in cloudwatch.counted(self.world.cloud, self.outputs["log_group"])]

    def evaluate_alarm(self, hours: float = 0) -> str:
        """What CloudWatch does with the dead man's alarm each hour; `hours` says how much later than now."""
        now = datetime.now(UTC) + timedelta(hours=hours)
        return cloudwatch.evaluate(self.world.cloud, f"{self.name}-nothing-backed-up", now)

    def start_schedule(self) -> Task:
        """What EventBridge does at nine: the task that it starts."""
        before = len(self.tasks("catch-up"))
        eventbridge.start_schedule(self.world.cloud, f"{self.name}-catch-up")
        found: Task = until("catch-up's task", lambda: self.tasks("catch-up")[before:])[0]
        return found


def finished(task: Task, seconds: float = 240) -> int | None:
    """A task's exit code, when it is over."""
    until(f"the end of a task of {task.family}", lambda: task.is_over, seconds)
    return task.containers[0].exit_code


class World:
    """All of it; made by `rehearsed()`."""

    def __init__(self, cloud: Cloud, source: Source, folder: Path) -> None:
        self.cloud, self.source, self.folder = cloud, source, folder
        self.refused: dict[tuple[str, str], str] = {}
        self.used: dict[str, set[str]] = {}
        self.fargate: Fargate
        self.always_on = self._deployment(ALWAYS_ON, always_on="true", lookback_days="3")
        self.on_demand = self._deployment(ON_DEMAND, always_on="false", lookback_days="1")
        self._statements: dict[str, list[dict[str, Any]]] = {}

    @property
    def deployments(self) -> tuple[Deployment, Deployment]:
        return self.always_on, self.on_demand

    def _deployment(self, name: str, **values: str) -> Deployment:
        """A deployment from the example of the variables, with these values and with the API and videos on loopback."""
        terraform = Terraform(self.folder / name, self.cloud.environment())
        text = (SOURCE / "terraform.tfvars.example").read_text("utf-8")
        values |= {
            "project_name": f'"{name}"',
            "retry_delay": "2",
            "timezone": f'"{TIMEZONE}"',
        }
        if name == ON_DEMAND:
            values |= {"dynamodb_table": '"OnDemand"', "s3_prefix": '"ncaa"'}
        values["settings"] = f'{{ API_BASE = "{self.source.base_url}", VIDEO_ALLOW_PRIVATE_HOSTS = "1" }}'
        for variable, value in values.items():
            text = re.sub(rf"^{variable} +=.*\n", "", text, flags=re.MULTILINE) + f"{variable} = {value}\n"
        (terraform.folder / "terraform.tfvars").write_text(text, "utf-8")
        return Deployment(self, name, terraform)

    def apply(self, *arguments: str, only: Deployment | None = None) -> None:
        """Applies one deployment, or both at once, because the provider mostly waits.

        Raises:
            AssertionError: an apply failed.
        """
        these = self.deployments if only is None else (only,)
        applying = [Background(one.terraform, "apply", "-input=false", *arguments) for one in these]
        try:
            for one in applying:
                one.said()
        finally:
            for one in applying:
                one.end()
        for deployment in these:
            deployment.outputs = deployment.terraform.outputs()

    def given(self, cluster: str) -> dict[str, str]:
        """The environment through which a container reaches loopback, and what Fargate itself sets."""
        deployment = next(one for one in self.deployments if one.name == cluster)
        assert deployment.postgres is not None
        return {
            "AWS_ENDPOINT_URL": self.cloud.url, "AWS_ENDPOINT_URL_MEDIACONVERT": self.cloud.url,
            "PGHOSTADDR": deployment.postgres.host, "AWS_DEFAULT_REGION": REGION, "AWS_REGION": REGION,
            "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE",
        }  # fmt: skip

    def authorize(self, call: Call) -> None:
        """Refuses, as IAM does, what a role's policy does not allow. A caller without a role may do everything.

        Raises:
            Refused: as AWS does.
        """
        role = Fargate.role_of(call.by)
        if role is None:
            return
        deployment = next(one for one in self.deployments if role.startswith(f"{one.name}-"))
        statements = self._statements.get(role) or self._policy(role)
        self._statements[role] = statements
        for need in permissions.needed(call, deployment.place()):
            self.used.setdefault(role, set()).add(need.action)
            if not permissions.allows(statements, need.action, need.resource, need.context):
                self.refused[role, need.action] = need.resource
                code = "AccessDenied" if call.service == "s3" else "AccessDeniedException"
                raise Refused(403, code, f"{role} is not authorized to perform {need.action} on {need.resource}")

    def _policy(self, role: str) -> list[dict[str, Any]]:
        iam = self.cloud.client("iam")
        names = iam.list_role_policies(RoleName=role)["PolicyNames"]
        found = [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]
        return [statement for one in found for statement in one["Statement"]]

    def unused(self) -> dict[str, set[str]]:
        """The actions that each role may take and never took."""
        return {
            role: permissions.actions(statements) - self.used.get(role, set())
            for role, statements in self._statements.items()
        }

    def tidy(self) -> None:
        """Undoes whatever a failed drill may have left behind."""
        self.source.down.clear()
        self.source.release()
        self.fargate.missing.clear()
        self.cloud.mend()
        self.cloud.mediaconvert.release()
        for one in self.deployments:
            one.put_key(KEY)

    def said(self, since: float) -> str:
        """The last lines of every container that ended with an error, or has not ended, and said something since then
        (seconds since 1970)."""
        told = []
        for task in self.fargate.tasks:
            for one in task.containers:
                log = one.folder / "log"
                if one.exit_code != 0 and log.exists() and log.stat().st_mtime >= since:
                    told += [f"---- {one.folder.name}, exit code {one.exit_code}:", *one.log.splitlines()[-40:]]
        return "\n".join(told)

    def forget_policies(self) -> None:
        """Makes `authorize` read the policies anew, after Terraform changed them."""
        self._statements.clear()


@contextmanager
def rehearsed(folder: Path, clip: bytes, large: bytes) -> Iterator[World]:
    """The world with nothing deployed yet."""
    # moto enforces the bucket's policy, which denies requests without TLS, and loopback has no TLS.
    no_policy = mock.patch.object(FakeBucket, "get_permission", lambda *_: PermissionResult.NEUTRAL)
    with no_policy, running_cloud() as cloud, scripted_server() as server:
        cloud.make_service_roles()
        yield World(cloud, Source(server, clip, large), folder)


@contextmanager
def started(world: World, files: Files) -> Iterator[None]:
    """The databases that the deployments made, and Fargate, for as long as the `with` lasts."""
    with ExitStack() as stack:
        for one in world.deployments:
            secret = world.cloud.client("secretsmanager").get_secret_value(SecretId=f"{one.name}/database-password")
            one.postgres = stack.enter_context(running_postgres(secret["SecretString"]))
        server = stack.enter_context(scripted_server())
        world.fargate = stack.enter_context(
            fargate.running(world.cloud, server, world.folder / "tasks", files, world.given)
        )
        world.cloud.before = world.authorize
        world.fargate.on_stop = lambda detail: eventbridge.deliver(
            world.cloud, "aws.ecs", eventbridge.TASK_CHANGE, detail
        )
        world.cloud.mediaconvert.on_end = lambda detail: eventbridge.deliver(
            world.cloud, "aws.mediaconvert", eventbridge.JOB_CHANGE, detail
        )
        world.fargate.start()
        yield
