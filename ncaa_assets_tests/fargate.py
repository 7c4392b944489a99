"""Fargate on the bench: a task that moto's ECS is told to run is run as a process of this machine, and its end is told.

What the launcher is given of AWS is all here: a cluster, a network, the run task's definition, and a task in which the
command stands, with its metadata endpoint. moto's own tasks run nothing, stop at once, and always exit with 0.
"""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moto.ecs.models import Task, ecs_backends
from moto.moto_api import state_manager

from ncaa_assets_tests.cloud import Call, Cloud
from ncaa_assets_tests.http_server import Reply, ScriptedServer
from ncaa_assets_tests.mediaconvert import REGION

CLUSTER, FAMILY, CONTAINER = "ncaa-assets", "ncaa-assets-run", "run"
_ACCOUNT = "123456789012"


@dataclass
class Worker:
    """One task that was started: what it was given, and its process (None: it never got that far)."""

    task: Task
    command: list[str]
    process: subprocess.Popen[bytes] | None = None

    @property
    def overrides_length(self) -> int:
        """The characters of its overrides, which ECS limits."""
        return len(json.dumps(self.task.overrides, separators=(",", ":"), ensure_ascii=False))


@dataclass
class Fargate:
    """A running cluster; made by `running_fargate()`.

    Attributes:
        workers: every task that the launcher started, in order.
        cannot_pull: with a text, tasks stop with it as the reason instead of starting.
        never_starts: tasks stay in PROVISIONING.
        kills: every task is killed in its first moment.
    """

    cloud: Cloud
    folder: Path
    metadata_url: str
    workers: list[Worker] = field(default_factory=list)
    cannot_pull: str | None = None
    never_starts: bool = False
    kills: bool = False
    threads: list[threading.Thread] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        """What ECS and the task definition give a command that stands in a task of this cluster."""
        return {"ECS_CONTAINER_METADATA_URI_V4": self.metadata_url, "DAGSTER_RUN_TASK_DEFINITION": FAMILY}

    def after(self, call: Call) -> None:
        """The cloud's hook."""
        if call.operation == "RunTask":
            known = {worker.task.id for worker in self.workers}
            for task in list(ecs_backends[_ACCOUNT][REGION].tasks[CLUSTER].values()):
                if task.id not in known and FAMILY in task.task_definition_arn:
                    self._start(task)
        if call.operation == "StopTask":
            for worker in self.workers:
                if (
                    worker.process is not None
                    and worker.process.poll() is None
                    and worker.task.last_status == "STOPPED"
                ):
                    worker.task.last_status = "STOPPING"
                    worker.process.send_signal(signal.SIGTERM)

    def _start(self, task: Task) -> None:
        (override,) = task.overrides["containerOverrides"]
        worker = Worker(task, override["command"])
        self.workers.append(worker)
        if self.never_starts:
            task.last_status = "PROVISIONING"
            return
        if self.cannot_pull is not None:
            task.stopped_reason = self.cannot_pull
            task.containers[0].exitCode = None  # type: ignore[assignment]  # as AWS does
            task.last_status = "STOPPED"
            return
        environment: Any = task.containers[0].environment
        given = {one["name"]: one["value"] for one in environment}
        with (self.folder / f"worker-{len(self.workers)}.log").open("wb") as log:
            worker.process = subprocess.Popen(
                worker.command,
                env={"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", ""), **given},
                cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        if self.kills:
            worker.process.kill()
        thread = threading.Thread(target=self._tell_the_end_of, args=(worker,), daemon=True)
        thread.start()
        self.threads.append(thread)

    def _tell_the_end_of(self, worker: Worker) -> None:
        assert worker.process is not None
        code = worker.process.wait()
        worker.task.containers[0].exitCode = code if code >= 0 else 128 - code
        worker.task.stopped_reason = worker.task.stopped_reason or "Essential container in task exited"
        worker.task.last_status = "STOPPED"


@contextmanager
def running_fargate(
    cloud: Cloud, server: ScriptedServer, folder: Path, environment: dict[str, str]
) -> Iterator[Fargate]:
    """A cluster whose run task is given `environment`, for as long as the `with` lasts."""
    state_manager.set_transition("ecs::task", {"progression": "manual", "times": 10**9})
    ecs, ec2 = cloud.client("ecs"), cloud.client("ec2")
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
    task: dict[str, Any] = ecs.run_task(
        cluster=CLUSTER, taskDefinition="ncaa-assets-catch-up", launchType="FARGATE", networkConfiguration=network
    )["tasks"][0]
    server.on("/v4/task", Reply(json.dumps({"Cluster": CLUSTER, "TaskARN": task["taskArn"]}).encode()))
    fargate = Fargate(cloud, folder, server.url("/v4"))
    cloud.after = fargate.after
    try:
        yield fargate
    finally:
        cloud.after = None
        for worker in fargate.workers:
            if worker.process is not None:
                worker.process.kill()
        for thread in fargate.threads:
            thread.join()
