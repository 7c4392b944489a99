"""Fargate on this machine: the services and tasks in moto's ECS run as processes.

moto keeps the records: clusters, services, task definitions, tasks. Its own tasks run nothing, its services start
nothing, its stops are immediate and its exit codes 0. Here each container of a task is a process with the environment
and the secrets of its definition. What becomes of it is written back into moto, where the service, the launcher and run
monitoring look. `Files` says where a container's files come from: an image or this checkout.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from unittest import mock

from botocore.exceptions import ClientError
from moto.ec2.models import ec2_backends
from moto.ecs.models import Container as MotoContainer
from moto.ecs.models import EC2ContainerServiceBackend, Service, ecs_backends
from moto.ecs.models import Task as MotoTask
from moto.moto_api import state_manager

from ncaa_assets_tests.loopback.aws import Call, Cloud
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer
from ncaa_assets_tests.loopback.mediaconvert import REGION
from ncaa_assets_tests.loopback.running_ui import free_port
from ncaa_assets_tests.loopback.s3_rules import ACCOUNT

CLUSTER, FAMILY, CONTAINER = "ncaa-assets", "ncaa-assets-run", "run"
PROJECT = Path(__file__).parents[2]
_ENDS_WITHIN = 30  # "stopTimeout": seconds between SIGTERM and SIGKILL where the definition says nothing
_HOME = "/opt/dagster"
_PORTS = ("3000", "4000")  # of the UI, and of the code server


class Files(Protocol):
    """Where the files of a container come from."""

    def command(
        self, folder: Path, command: list[str], environment: Mapping[str, str], ports: Mapping[str, str]
    ) -> tuple[list[str], dict[str, str]]:
        """The arguments and the whole environment with which a process of this machine is the container's; its own
        files may be kept in `folder`. `ports` says which ports stand for those that its files name."""
        ...

    def has(self, program: str) -> bool:
        """Whether there is such a program in the image."""
        ...


def image_environment() -> dict[str, str]:
    """What the Dockerfile's last stage sets."""
    (block,) = re.findall(r"^ENV ((?:.*\\\n)*.*)$", (PROJECT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    given = dict(one.split("=", 1) for one in shlex.split(block.replace("\\\n", " ")))
    system = "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin"
    return {name: value.replace("$PATH", system) for name, value in given.items()}


class OnThisMachine:
    """This checkout and the packages that the tests run with, for machines that build no image. Each container gets the
    folders that the Dockerfile fills beside the packages."""

    _PATH = f"{Path(sys.executable).parent}:/usr/bin:/bin"

    def command(
        self, folder: Path, command: list[str], environment: Mapping[str, str], ports: Mapping[str, str]
    ) -> tuple[list[str], dict[str, str]]:
        home = folder / _HOME.lstrip("/")
        for line in (PROJECT / "Dockerfile").read_text("utf-8").splitlines():
            if copied := re.fullmatch(r"COPY (ncaa_assets/instance/\S+) (\S+)", line):
                target = home / copied[2]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(_on_ports((PROJECT / copied[1]).read_text("utf-8"), ports), "utf-8")
        moved = {name: value.replace(_HOME, str(home)) for name, value in environment.items()}
        here = {"PATH": self._PATH, "HOME": str(folder), "PYTHONPATH": str(PROJECT)}
        arguments = [one.replace(f"{_HOME}/", f"{home}/") for one in command]
        return ["env", "-C", str(home), *arguments], {**moved, **here}

    def has(self, program: str) -> bool:
        return shutil.which(program, path=self._PATH) is not None


class InTheImage:
    """The files of an image, unpacked in `root`. Each container writes to a layer of its own. Needs root, as container
    engines do."""

    _SCRIPT = """
set -e
mkdir -p "$1/changes" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=$0,upperdir=$1/changes,workdir=$1/work" "$1/root"
mount --rbind /dev "$1/root/dev"
mount -t proc proc "$1/root/proc"
touch "$1/root/etc/hosts"
mount --bind /etc/hosts "$1/root/etc/hosts"
home=$2
root=$1/root
sed -i "$3" "$root$home/ecs/workspace.yaml"
shift 3
exec chroot --userspec=10001:10001 --groups= "$root" env -C "$home" "$@"
"""

    def __init__(self, root: Path) -> None:
        self._root = root

    def command(
        self, folder: Path, command: list[str], environment: Mapping[str, str], ports: Mapping[str, str]
    ) -> tuple[list[str], dict[str, str]]:
        moved = ";".join(rf"s/\b{port}\b/{here}/" for port, here in ports.items())
        alone = ["unshare", "--mount", "--propagation", "private", "sh", "-c", self._SCRIPT]
        return [*alone, str(self._root), str(folder), _HOME, moved, *command], {"HOME": "/home/dagster", **environment}

    def has(self, program: str) -> bool:
        folders = [""] if program.startswith("/") else [f"{one}/" for one in image_environment()["PATH"].split(":")]
        # Links in it lead to places in it.
        return any(os.path.lexists(f"{self._root}{folder}{program}") for folder in folders)


def in_image(tool: str, name: str, *command: str) -> list[str]:
    """The command line that runs a program in an image: `TOOL --run NAME COMMAND…`.

    The shell around it stays a second longer than the program: buildah relays what a program of another user prints
    until it has ended, and once, on a busy machine, nothing of a short answer came.
    """
    return [tool, "--run", name, "sh", "-c", '"$@"; code=$?; sleep 1; exit $code', "sh", *command]


def unpack(tool: str, name: str, root: Path) -> None:
    """Unpacks the files of an image into a new folder, by running `tar` in it."""
    root.mkdir(parents=True)
    for empty in ("dev", "proc", "tmp"):
        (root / empty).mkdir()
    (root / "tmp").chmod(0o1777)
    archive = "tar -c --ignore-failed-read --one-file-system $(cd / && ls -d bin sbin lib lib64 usr opt etc var home)"
    command = in_image(tool, name, "sh", "-c", f"cd / && {archive} 2>/dev/null")
    with subprocess.Popen(command, stdout=subprocess.PIPE) as packing:
        subprocess.run(["tar", "-x", "-C", str(root)], stdin=packing.stdout, check=True, timeout=300)
    if packing.returncode:
        raise RuntimeError(f"the image's files could not be read: tar ended with {packing.returncode}")


@dataclass
class Container:
    """One container of a task. `exit_code` is None while it runs, and where it never did."""

    name: str
    definition: dict[str, Any]
    environment: dict[str, str]
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    exit_code: int | None = None
    health: str = "UNKNOWN"
    checks: list[tuple[bool, float]] = field(default_factory=list)  # passed, and in how many seconds
    sessions: set[int] = field(default_factory=set)  # of its process, and of its health checks, while they are there
    ports: Mapping[str, str] = field(default_factory=dict)  # each port that it knows, and the one that stands for it

    @property
    def url(self) -> str:
        """Where its UI answers: each task has addresses of its own on AWS, and ports of its own here."""
        return f"http://127.0.0.1:{self.ports['3000']}"

    @property
    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text("utf-8", "replace") if path.exists() else ""


@dataclass
class Task:
    """One task that was started."""

    task: MotoTask
    family: str
    containers: list[Container]
    is_stopping: bool = False
    stop_code: str | None = None
    is_over: bool = False

    @property
    def command(self) -> list[str]:
        return list(self.containers[0].definition["command"])

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        return self.containers[0].process

    @property
    def overrides_length(self) -> int:
        """The characters of its overrides, which ECS limits."""
        return len(json.dumps(self.task.overrides, separators=(",", ":"), ensure_ascii=False))


class Fargate:
    """A region's tasks; made by `running()`.

    Attributes:
        tasks: every task that was started, in order.
        cannot_pull: with a text, tasks stop with it as the reason instead of starting.
        never_starts: tasks stay in PROVISIONING.
        kills: every task is killed as soon as it starts.
        missing: programs that the image is to lack.
        on_stop: called with the event "ECS Task State Change" of each task that stops.
        memory: the most MiB in use by a task of each family, and by each of its containers.
        here: the environment that ECS and the task definition give a command of this machine that stands in for a task.
    """

    def __init__(
        self, cloud: Cloud, server: ScriptedServer, folder: Path, files: Files, given: Callable[[str], dict[str, str]]
    ) -> None:
        self.cloud, self.server, self.folder, self.files, self.given = cloud, server, folder, files, given
        self.tasks: list[Task] = []
        self.cannot_pull: str | None = None
        self.never_starts = self.kills = False
        self.missing: set[str] = set()
        self.on_stop: Callable[[dict[str, Any]], object] | None = None
        self.here: dict[str, str] = {}
        self.memory: dict[str, float] = {}
        self._known: set[str] = set()
        self._lock = threading.RLock()
        self._threads: list[threading.Thread] = []
        self._ended = threading.Event()

    @property
    def workers(self) -> list[Task]:
        """The tasks of runs."""
        return [task for task in self.tasks if task.family == FAMILY]

    # ---- What ECS gives a container ----------------------------------------------------------------------------------

    @staticmethod
    def role_of(access_key: str) -> str | None:
        """The name of the role whose credentials a request was signed with."""
        return access_key.removeprefix("ASIA.") if access_key.startswith("ASIA.") else None

    @staticmethod
    def access_key(role_arn: str) -> str:
        """The access key of a role's credentials, which names it."""
        return f"ASIA.{role_arn.rpartition('/')[2]}"

    def standing_in(self, task: MotoTask) -> dict[str, str]:
        """The environment that ECS gives a task. The task itself is not started: a command stands in for it."""
        self._known.add(task.id)
        return {"ECS_CONTAINER_METADATA_URI_V4": self._metadata(task)}

    def _metadata(self, task: MotoTask) -> str:
        told = json.dumps({"Cluster": task.cluster_arn, "TaskARN": task.task_arn}).encode()
        self.server.on(f"/v4/{task.id}/task", Reply(told, content_type="application/json"))
        return self.server.url(f"/v4/{task.id}")

    def _credentials(self, task: MotoTask, role_arn: str) -> str:
        """Like ECS's own endpoint: "Task IAM role" in the developer guide."""
        told = {
            "RoleArn": role_arn, "AccessKeyId": self.access_key(role_arn), "SecretAccessKey": "bench", "Token": "bench",
            "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 6 * 3600)),
        }  # fmt: skip
        path = f"/credentials/{task.id}"
        return self.server.on(path, Reply(json.dumps(told).encode(), content_type="application/json"))

    def _secret(self, value_from: str, by: str | None) -> str:
        if ":ssm:" in value_from:
            ssm = self.cloud.client("ssm", by)
            found = ssm.get_parameters(Names=[value_from.rpartition(":parameter")[2]], WithDecryption=True)
            return str(found["Parameters"][0]["Value"])
        # `arn:partition:secretsmanager:region:account:secret:name`, then a field of its JSON, a stage and a version.
        pieces = value_from.split(":")
        key, stage, version = [*pieces[7:], "", "", ""][:3]
        named = {"VersionStage": stage, "VersionId": version}
        found = self.cloud.client("secretsmanager", by).get_secret_value(
            SecretId=":".join(pieces[:7]), **{name: value for name, value in named.items() if value}
        )["SecretString"]
        return str(json.loads(found)[key]) if key else str(found)

    # ---- Tasks -------------------------------------------------------------------------------------------------------

    def after(self, call: Call) -> None:
        """The hook of `Cloud`: tasks start and stop before the request for it is answered."""
        if call.operation in ("RunTask", "StopTask"):
            self.look()

    def look(self) -> None:
        """Starts and stops tasks until they are as moto's records want them."""
        with self._lock:
            if self._ended.is_set():
                return
            ecs = ecs_backends[ACCOUNT][REGION]
            for service in list(ecs.services.values()):
                self._serve(service)
            for task in [task for tasks in list(ecs.tasks.values()) for task in list(tasks.values())]:
                if task.id not in self._known:
                    self._known.add(task.id)
                    self._start(task)
            for running in self.tasks:
                if running.task.desired_status == "STOPPED" and not running.is_stopping and not running.is_over:
                    self._stop(running, "UserInitiated", running.task.stopped_reason)

    def _serve(self, service: Service) -> None:
        """A service that keeps between 0 % and 100 % of its tasks: an old task ends before a new one starts."""
        ecs = ecs_backends[ACCOUNT][REGION]
        group = f"service:{service.name}"
        wanted = ecs.describe_task_definition(service.task_definition).arn if service.task_definition else None
        mine = [
            one
            for one in self.tasks
            if not one.is_over and one.task.group == group and one.task.cluster_arn == service.cluster_arn
        ]
        deployment = service.deployments[0]
        for one in mine:
            if not one.is_stopping and (service.desired_count == 0 or one.task.task_definition_arn != wanted):
                reason = f"Scaling activity initiated by (deployment {deployment['id']})"
                self._stop(one, "ServiceSchedulerInitiated", reason)
        failed = [
            one for one in self.tasks if one.task.task_definition_arn == wanted and one.stop_code == "TaskFailedToStart"
        ]
        if not mine and service.desired_count and len(failed) < 3:
            (started,) = ecs.run_task(
                service.cluster_name, str(wanted), 1, None, str(deployment["id"]), None, "FARGATE",
                service.network_configuration, group,
            )  # fmt: skip
            self._known.add(started.id)
            self._start(started)
        service.running_count = sum(not one.is_stopping for one in mine)
        service.pending_count = service.desired_count - service.running_count
        done = service.running_count == service.desired_count
        deployment |= {"runningCount": service.running_count, "taskDefinition": wanted}
        deployment["rolloutState"] = "COMPLETED" if done else "IN_PROGRESS"

    def _start(self, task: MotoTask) -> None:
        definition = ecs_backends[ACCOUNT][REGION].describe_task_definition(task.task_definition_arn)
        given: dict[str, Any] = task.overrides
        overrides: dict[str, dict[str, Any]] = {one["name"]: one for one in given.get("containerOverrides", [])}
        definitions: list[dict[str, Any]] = definition.container_definitions
        ports = {port: str(free_port()) for port in _PORTS}
        role, execution = getattr(definition, "task_role_arn", None), getattr(definition, "execution_role_arn", None)
        public = self._public_address(task)
        environment = {**self.given(task.cluster_name), **self.standing_in(task)}
        if role:
            environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = self._credentials(task, role)
        running = Task(task, definition.family, [])
        task.containers = []
        for one in definitions:
            override = overrides.get(one["name"], {})
            every = [*one.get("environment", []), *override.get("environment", [])]
            shown = MotoContainer(definition)  # type: ignore[abstract]
            shown.name, shown.exitCode = one["name"], None  # type: ignore[assignment]  # as AWS, until it ends
            task.containers.append(shown)
            moved = {
                name: json.loads(_on_ports(json.dumps(one[name]), ports))
                for name in {"command", "healthCheck"} & one.keys()
            }
            here = {**one, "command": None, **moved}
            if "command" in override:
                here["command"] = override["command"]
            running.containers.append(
                Container(
                    one["name"],
                    here,
                    {**image_environment(), **{pair["name"]: pair["value"] for pair in every}, **environment},
                    self.folder / f"{len(self.tasks) + 1}-{definition.family}-{one['name']}",
                    ports=ports,
                )
            )
        self.tasks.append(running)
        if self.never_starts:
            task.last_status = "PROVISIONING"
            return
        by = self.access_key(execution) if execution else None
        if reason := self._hindrance(running, by, public):
            running.stop_code, running.is_stopping = "TaskFailedToStart", True
            task.stopped_reason = reason
            self._is_over(running)
            return
        first = [one for one in running.containers if not one.definition.get("dependsOn")]
        for container in first:
            self._start_container(running, container, by)
        if len(first) < len(running.containers):
            self._thread(self._start_the_others, running, by)
        if self.kills:
            self.kill(running)

    def _start_the_others(self, running: Task, by: str | None) -> None:
        """Starts the containers that others have to be healthy before, when these are."""
        containers = {one.name: one for one in running.containers}
        for container in [one for one in running.containers if one.process is None]:
            for dependency in container.definition["dependsOn"]:
                before = containers[dependency["containerName"]]
                while before.health != "HEALTHY" and not running.is_stopping and not self._ended.wait(0.5):
                    self.check(before)
            with self._lock:
                if not running.is_stopping and not self._ended.is_set():
                    self._start_container(running, container, by)

    def _public_address(self, task: MotoTask) -> bool:
        """Shows the task's public address at its interface, where it asked for one, as the launcher looks for it."""
        network: dict[str, Any] = task.network_configuration["awsvpcConfiguration"]
        if network.get("assignPublicIp") != "ENABLED":
            return False
        details: Any = task.attachments[0]["details"]
        (interface,) = [one["value"] for one in details if one["name"] == "networkInterfaceId"]
        ec2 = ec2_backends[ACCOUNT][REGION]
        ec2.get_network_interface(interface).public_ip = "203.0.113.7"
        return True

    def _hindrance(self, running: Task, by: str | None, public: bool) -> str | None:
        """Why a task cannot start, in ECS's words ("Stopped tasks error messages" in the developer guide)."""
        if self.cannot_pull:
            return self.cannot_pull
        for container in running.containers:
            registry, slash, image = str(container.definition["image"]).partition("/")
            if slash:
                if not public:
                    return "ResourceInitializationError: unable to pull secrets or registry auth: i/o timeout"
                name, _, tag = image.partition(":")
                ecr = self.cloud.client("ecr", by)
                try:
                    ecr.get_authorization_token()
                    found = ecr.batch_get_image(repositoryName=name, imageIds=[{"imageTag": tag}])["images"]
                except ClientError as error:
                    return f"CannotPullContainerError: {error}"
                if not found:
                    return f"CannotPullContainerError: {registry}/{image}: not found"
            try:
                for secret in container.definition.get("secrets", []):
                    container.environment[secret["name"]] = self._secret(secret["valueFrom"], by)
            except (ClientError, KeyError, IndexError, ValueError) as error:
                return f"ResourceInitializationError: unable to pull secrets or registry auth: {error!r}"
            program = container.definition["command"][0]
            if program in self.missing or not self.files.has(program):
                return (
                    "CannotStartContainerError: ResourceInitializationError: failed to create new container runtime "
                    f'task: exec: "{program}": executable file not found in $PATH'
                )
        return None

    def _start_container(self, running: Task, container: Container, by: str | None) -> None:
        container.folder.mkdir(parents=True)
        command, environment = self.files.command(
            container.folder, container.definition["command"], container.environment, container.ports
        )
        container.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True, preexec_fn=_heed_signals,  # noqa: PLW1509 - it touches no lock
        )  # fmt: skip
        container.sessions.add(container.process.pid)
        reader = self._thread(self._keep_log, running, container, by)
        self._thread(self._await, running, container, reader)
        if "healthCheck" in container.definition:
            self._thread(self._watch_health, running, container)

    def _thread(self, target: Callable[..., None], *arguments: object) -> threading.Thread:
        def guarded() -> None:
            try:
                target(*arguments)
            except Exception:  # noqa: BLE001 - a test that leaves a problem fails
                self.cloud.problems.append(traceback.format_exc())

        thread = threading.Thread(target=guarded, daemon=True)
        thread.start()
        self._threads.append(thread)
        return thread

    def _keep_log(self, running: Task, container: Container, by: str | None) -> None:
        """Writes a container's output to a file and, as the `awslogs` driver does, to CloudWatch."""
        assert container.process is not None
        assert container.process.stdout is not None
        options = container.definition.get("logConfiguration", {}).get("options")
        stream = f"{options['awslogs-stream-prefix']}/{container.name}/{running.task.id}" if options else ""
        logs = self.cloud.client("logs", by)
        if options:
            logs.create_log_stream(logGroupName=options["awslogs-group"], logStreamName=stream)
        with (container.folder / "log").open("wb") as file:
            for line in container.process.stdout:
                file.write(line)
                file.flush()
                text = line.decode("utf-8", "replace").rstrip()
                if options and text:
                    event = {"timestamp": int(time.time() * 1000), "message": text}
                    logs.put_log_events(logGroupName=options["awslogs-group"], logStreamName=stream, logEvents=[event])

    def _await(self, running: Task, container: Container, reader: threading.Thread) -> None:
        assert container.process is not None
        code = container.process.wait()
        for session in list(container.sessions):
            _signal_session(session, signal.SIGKILL)  # nothing of a container outlives its first process
        container.sessions.discard(container.process.pid)  # the number may be somebody else's from now on
        reader.join()
        container.exit_code = code if code >= 0 else 128 - code
        with self._lock:
            if not running.is_stopping:
                self._stop(running, "EssentialContainerExited", "Essential container in task exited")
            are_left = any(one.process is not None and one.exit_code is None for one in running.containers)
            if not are_left and not running.is_over:
                self._is_over(running)

    def _stop(self, running: Task, code: str, reason: str) -> None:
        running.is_stopping, running.stop_code = True, code
        running.task.desired_status, running.task.last_status = "STOPPED", "STOPPING"
        running.task.stopped_reason = reason
        if not any(container.process for container in running.containers):
            self._is_over(running)
        for container in running.containers:
            if container.process is not None and container.exit_code is None:
                container.process.send_signal(signal.SIGTERM)
                self._thread(self._kill_later, container)

    def _kill_later(self, container: Container) -> None:
        assert container.process is not None
        with suppress(subprocess.TimeoutExpired):
            container.process.wait(container.definition.get("stopTimeout", _ENDS_WITHIN))
        _signal_session(container.process.pid, signal.SIGKILL)

    def _is_over(self, running: Task) -> None:
        """Records a task's end in moto and publishes its event."""
        task = running.task
        for shown, container in zip(task.containers, running.containers, strict=True):
            shown.exitCode = container.exit_code  # type: ignore[assignment]  # None: it never ran
        task.stop_code = running.stop_code  # type: ignore[attr-defined]  # shown because ECS's model has it
        task.desired_status, task.last_status = "STOPPED", "STOPPED"
        running.is_over = True
        if self.on_stop:
            ended = [
                {"name": one.name, "lastStatus": "STOPPED"}
                | ({} if one.exit_code is None else {"exitCode": one.exit_code})
                for one in running.containers
            ]
            told = {
                "clusterArn": task.cluster_arn, "taskArn": task.task_arn, "group": task.group, "lastStatus": "STOPPED",
                "taskDefinitionArn": task.task_definition_arn, "stopCode": running.stop_code,
                "stoppedReason": task.stopped_reason, "containers": ended,
            }  # fmt: skip
            self.on_stop(told)

    def kill(self, running: Task, container: str | None = None) -> None:
        """Kills a task's processes, or one container's, as the kernel does when memory is short."""
        for one in running.containers:
            if container in (None, one.name) and one.process is not None:
                _signal_session(one.process.pid, signal.SIGKILL)

    # ---- Health and memory -------------------------------------------------------------------------------------------

    def _watch_health(self, running: Task, container: Container) -> None:
        """Checks a container's health as its definition says, and stops its task after too many failures in a row."""
        check = container.definition["healthCheck"]
        started, failures = time.monotonic(), 0
        while not self._ended.wait(check.get("interval", 30)) and not running.is_stopping:
            passed = self.check(container)
            in_grace = time.monotonic() - started < check.get("startPeriod", 0)
            failures = 0 if passed else failures + (not in_grace)
            if failures >= check.get("retries", 3):
                container.health = "UNHEALTHY"
                with self._lock:
                    if not running.is_stopping:
                        self._stop(running, "ServiceSchedulerInitiated", "Task failed container health checks")

    def check(self, container: Container) -> bool:
        """Runs a container's health check in it, once."""
        check = container.definition["healthCheck"]
        arguments, environment = self.files.command(
            container.folder.with_name(f"{container.folder.name}-check-{len(container.checks)}"),
            check["command"][1:], container.environment, container.ports,
        )  # fmt: skip
        started = time.monotonic()
        process = subprocess.Popen(
            arguments, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        container.sessions.add(process.pid)
        try:
            passed = process.wait(check.get("timeout", 5)) == 0
        except subprocess.TimeoutExpired:
            passed = False
        _signal_session(process.pid, signal.SIGKILL)
        process.wait()
        container.sessions.discard(process.pid)
        container.checks.append((passed, time.monotonic() - started))
        if passed:
            container.health = "HEALTHY"
        return passed

    def _measure(self) -> None:
        while not self._ended.wait(1):
            for running in [one for one in self.tasks if not one.is_over]:
                used = {one.name: _memory_of(one.sessions) for one in running.containers}
                for name, mib in {running.family: sum(used.values()), **used}.items():
                    self.memory[name] = max(self.memory.get(name, 0.0), mib)

    # ---- Its life ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Looks ten times a second, as ECS's scheduler does at its own pace."""
        while not self._ended.wait(0.1):
            self.look()

    def start(self) -> None:
        self._thread(self.run)
        self._thread(self._measure)

    def stop(self) -> None:
        """Kills every process that was started, and waits until it has ended.

        Raises:
            RuntimeError: a process is still alive.
        """
        with self._lock:
            self._ended.set()
        sessions = [one for task in self.tasks for container in task.containers for one in list(container.sessions)]
        for session in sessions:
            _signal_session(session, signal.SIGKILL)
        for thread in self._threads:
            thread.join(60)
        left = [pid for session in sessions for pid in _pids(session)]
        if left:
            raise RuntimeError(f"processes of tasks are still there: {left}")


def _on_ports(text: str, ports: Mapping[str, str]) -> str:
    """A text with the ports of this machine where it names others."""
    return re.sub(r"\b\d+\b", lambda number: ports.get(number[0], number[0]), text)


def _heed_signals() -> None:
    """Undoes what a shell does to background processes: they ignore SIGINT, and Dagster then ignores SIGTERM too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _pids(session: int) -> list[int]:
    """The processes of a session that are alive."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            state, _, _, own = path.read_text("utf-8", "replace").rpartition(")")[2].split()[:4]
            if int(own) == session and state != "Z":
                found.append(int(path.parent.name))
    return found


def _signal_session(session: int, number: int) -> None:
    for pid in _pids(session):
        with suppress(OSError):
            os.kill(pid, number)


def _memory_of(sessions: set[int]) -> float:
    """MiB in use: the private memory of each process, and the files that the largest of them maps. The others map the
    same files, which the kernel drops when memory is short."""
    own, mapped = 0, [0]
    for pid in [pid for session in list(sessions) for pid in _pids(session)]:
        with suppress(OSError):
            told = dict(re.findall(r"^(\w+): +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE))
            own += int(told.get("Anonymous", 0))
            mapped.append(int(told.get("Rss", 0)) - int(told.get("Anonymous", 0)))
    return (own + max(mapped)) / 1024


@contextmanager
def running(
    cloud: Cloud, server: ScriptedServer, folder: Path, files: Files, given: Callable[[str], dict[str, str]]
) -> Iterator[Fargate]:
    """Fargate for as long as the `with` lasts. `given` returns, for a cluster's name, the environment through which its
    containers reach this machine's AWS. Fargate acts at each RunTask and StopTask, and from `start()` on always."""
    state_manager.set_transition("ecs::task", {"progression": "manual", "times": 10**9})
    fargate = Fargate(cloud, server, folder, files, given)
    cloud.after = fargate.after
    # moto wants the memory of each container, to choose a host; on Fargate the task's own is enough.
    with mock.patch.object(EC2ContainerServiceBackend, "_calculate_task_resource_requirements", lambda *_: {}):
        try:
            yield fargate
        finally:
            cloud.after = None
            fargate.stop()


@contextmanager
def running_fargate(
    cloud: Cloud, server: ScriptedServer, folder: Path, environment: dict[str, str]
) -> Iterator[Fargate]:
    """A cluster whose run tasks get `environment`, and a task that a command of this machine can stand in for."""
    ecs, ec2 = cloud.client("ecs"), cloud.client("ec2")
    cloud.make_service_roles()
    ecs.create_cluster(clusterName=CLUSTER)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(VpcId=vpc, GroupName="tasks", Description="tasks")["GroupId"]
    network = {"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group], "assignPublicIp": "ENABLED"}}

    def register(family: str, container: str, given: dict[str, str]) -> None:
        ecs.register_task_definition(
            family=family,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="512",
            memory="1024",
            containerDefinitions=[
                {
                    "name": container,
                    "image": "ncaa-assets",
                    "memory": 1024,
                    "environment": [{"name": name, "value": value} for name, value in given.items()],
                }
            ],
        )

    register(FAMILY, CONTAINER, environment)
    register("ncaa-assets-catch-up", "catch-up", {})
    with running(cloud, server, folder, OnThisMachine(), lambda _: {}) as fargate:
        task: dict[str, Any] = ecs.run_task(
            cluster=CLUSTER, taskDefinition="ncaa-assets-catch-up", launchType="FARGATE", networkConfiguration=network
        )["tasks"][0]
        standing = ecs_backends[ACCOUNT][REGION].tasks[CLUSTER][task["taskArn"]]
        fargate._public_address(standing)
        fargate.here = {**fargate.standing_in(standing), "DAGSTER_RUN_TASK_DEFINITION": FAMILY}
        yield fargate
