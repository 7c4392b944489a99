"""The infrastructure: what a plan says, and what an account holds after the commands of deployment.md, on moto.

Two whole deployments lie beside each other in the account, one always on and one on demand, made from the example of
the variables. Where moto forgets something that matters, a comment names it.
"""

import fnmatch
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from botocore.exceptions import ClientError
from click.testing import CliRunner, Result
from moto.s3.models import s3_backends

import ncaa_assets
from ncaa_assets.archive.lease import Holder
from ncaa_assets.backends.deployments import open_store
from ncaa_assets.commands.main import main
from ncaa_assets.definitions import build_defs
from ncaa_assets.defs import sensor
from ncaa_assets.runs import ecs
from ncaa_assets.runs.execute import LOCATION, MODULE
from ncaa_assets.runs.instance import open_instance
from ncaa_assets.runs.names import JOB_NAME, SENSOR
from ncaa_assets.settings import Settings
from ncaa_assets_tests.days import DAY, KEY, run_day
from ncaa_assets_tests.loopback import aws_cli, cloudwatch, deploying, eventbridge, fargate, sns
from ncaa_assets_tests.loopback.aws import Call, Cloud, running_cloud
from ncaa_assets_tests.loopback.fargate import running_fargate
from ncaa_assets_tests.loopback.http_server import Handler, Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import record, serve_listing
from ncaa_assets_tests.loopback.mediaconvert import REGION
from ncaa_assets_tests.loopback.permissions import Place, actions, allows, many, needed, refused
from ncaa_assets_tests.loopback.postgres import running_postgres
from ncaa_assets_tests.loopback.s3_rules import ACCOUNT
from ncaa_assets_tests.loopback.terraform import ACCESS_KEY as TERRAFORM_KEY
from ncaa_assets_tests.loopback.terraform import SOURCE, Background, Terraform

IMAGE_TAG = "3f2a91c"
PROJECT = Path(ncaa_assets.__file__).parents[1]
INSTANCE = PROJECT / "ncaa_assets" / "instance"

# Attributes that moto does not return, so that every plan wants to set them anew.
FORGOTTEN_BY_MOTO = {
    "aws_ecs_service.dagster": {"availability_zone_rebalancing", "enable_execute_command"},
    "aws_vpc_security_group_egress_rule.to_database": {"description"},
    "aws_vpc_security_group_ingress_rule.from_tasks": {"description"},
    "aws_rds_cluster.dagster[0]": {"scaling_configuration"},
}

# What a task definition sets besides our settings and the variables in dagster.yaml: the folder of that file, and what
# boto3 reads.
READ_BY_OTHERS = {"DAGSTER_HOME", "AWS_REGION"}
# Settings that no task definition sets: the image sets them, or another deployment or a command outside ECS uses them.
SET_ELSEWHERE = {"NCAA_DEPLOYMENT", "DATA_DIR", "RAPIDAPI_SECRET_ID", "S3_ENDPOINT_URL"}

slow = pytest.mark.slow


class Calls(list[Call]):
    """The calls of an account, of which Terraform's are kept beside, whatever a test clears away."""

    def __init__(self) -> None:
        self.of_terraform: set[Call] = set()

    def append(self, call: Call) -> None:
        if call.by == TERRAFORM_KEY:
            self.of_terraform.add(call)
        super().append(call)


@pytest.fixture(scope="module")
def account() -> Iterator[Cloud]:
    """An account of this file's own: the one of other tests is emptied between them."""
    with running_cloud() as cloud:
        cloud.calls = Calls()
        cloud.make_service_roles()
        yield cloud


@dataclass(frozen=True)
class Deployments:
    """Both deployments, applied from terraform.tfvars.example; `said` is Terraform's output for the first."""

    always_on: Terraform
    on_demand: Terraform
    said: str


@pytest.fixture(scope="module")
def applying(
    request: pytest.FixtureRequest, account: Cloud, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Background]]:
    """Starts both applies if a selected test needs one. Most of their time is the provider's waiting for databases, so
    they run side by side, and beside the tests that come first here."""
    if not any({"always_on", "on_demand"} & set(getattr(item, "fixturenames", ())) for item in request.session.items):
        yield {}
        return
    folder = tmp_path_factory.mktemp("terraform")
    always_on = Terraform(folder / "always-on", account.environment())
    on_demand = Terraform(folder / "on-demand", account.environment())
    example = (SOURCE / "terraform.tfvars.example").read_text("utf-8")
    (always_on.folder / "terraform.tfvars").write_text(example, "utf-8")
    changed = {"always_on": "false", "project_name": '"ncaa-on-demand"'}
    for name, value in changed.items():
        example = re.sub(rf"^({name} +=).*", rf"\1 {value}", example, flags=re.MULTILINE)
    other = 'dynamodb_table = "OnDemand"\ns3_prefix = "ncaa"\nlimit = 5\nsettings = { ENCODE_TIMEOUT = "3600" }\n'
    (on_demand.folder / "terraform.tfvars").write_text(example + other, "utf-8")
    every = {
        "always_on": Background(always_on, "apply", "-input=false"),
        "on_demand": Background(on_demand, "apply", "-input=false"),
    }
    yield every
    for one in every.values():
        one.end()


@pytest.fixture(scope="module")
def on_demand(applying: dict[str, Background]) -> Terraform:
    """The deployment that is not always on. It is there a minute before the other."""
    applying["on_demand"].said()
    return applying["on_demand"].terraform


@pytest.fixture(scope="module")
def always_on(applying: dict[str, Background]) -> Terraform:
    applying["always_on"].said()
    return applying["always_on"].terraform


@pytest.fixture(scope="module")
def deployed(applying: dict[str, Background], always_on: Terraform, on_demand: Terraform) -> Deployments:
    return Deployments(always_on, on_demand, applying["always_on"].said())


@pytest.fixture(scope="module")
def second_plans(deployed: Deployments) -> dict[str, str]:
    """A plan of each deployment as it is, in JSON."""
    every = {"always_on": deployed.always_on, "on_demand": deployed.on_demand}
    for process in [one.start("plan", "-input=false", "-out=second") for one in every.values()]:
        said, _ = process.communicate(timeout=600)
        assert process.returncode == 0, said
    return {name: one.run("show", "-json", "second") for name, one in every.items()}


def containers(terraform: Terraform) -> dict[str, dict[str, Any]]:
    """Every container of the task definitions by its name."""
    every = [one["values"] for one in terraform.resources() if one["type"] == "aws_ecs_task_definition"]
    return {container["name"]: container for task in every for container in json.loads(task["container_definitions"])}


def policies(terraform: Terraform) -> Iterator[tuple[str, dict[str, Any]]]:
    """The statements of all roles' policies, with the role's address."""
    for one in terraform.resources():
        if one["type"] == "aws_iam_role_policy":
            for statement in json.loads(one["values"]["policy"])["Statement"]:
                yield one["address"], statement


@contextmanager
def without_tls(account: Cloud, bucket: str) -> Iterator[None]:
    """Lets a bucket be used over plain http: loopback has no TLS, and moto enforces the bucket's policy."""
    s3 = account.client("s3")
    policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    s3.delete_bucket_policy(Bucket=bucket)
    try:
        yield
    finally:
        s3.put_bucket_policy(Bucket=bucket, Policy=policy)


# ---- Without an account ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def initialised(applying: dict[str, Background], tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    return Terraform(tmp_path_factory.mktemp("terraform") / "alone", {})


def test_it_is_formatted_and_valid(initialised: Terraform) -> None:
    assert initialised.run("fmt", "-check", "-recursive", "-diff") == ""
    assert "The configuration is valid" in initialised.run("validate")


@slow
def test_its_own_tests_pass(initialised: Terraform) -> None:
    assert re.search(r"Success! \d\d passed, 0 failed", initialised.run("test"))


def test_every_variable_and_output_is_described_typed_and_checked() -> None:
    variables = re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', (SOURCE / "variables.tf").read_text("utf-8"), re.M | re.S)
    assert len(variables) > 30
    free = {"always_on"}  # which its type alone checks
    for name, body in variables:
        assert re.search(r"^  description = \"[A-Z].*\.\"$", body, re.MULTILINE) or "description" in body, name
        assert re.search(r"^  type +=", body, re.MULTILINE), name
        assert name in free or "validation {" in body, name
    outputs = re.findall(r'^output "(\w+)" \{\n(.*?)^\}', (SOURCE / "outputs.tf").read_text("utf-8"), re.M | re.S)
    assert all("description =" in body for _, body in outputs)


def test_the_seeds_variables_are_there() -> None:
    names = set(re.findall(r'^variable "(\w+)"', (SOURCE / "variables.tf").read_text("utf-8"), re.MULTILINE))
    assert names >= {
        "aws_region", "project_name", "s3_bucket_name", "ecr_repository_name", "rapidapi_ssm_parameter_arn",
        "mediaconvert_endpoint", "mediaconvert_role_arn", "retry_count", "retry_delay",
    }  # fmt: skip


def test_a_setting_has_a_variable_or_may_stand_in_the_map() -> None:
    rules = (SOURCE / "rules.tf").read_text("utf-8").partition("setting_rules = ")[2]
    in_map = set(re.findall(r"^    ([A-Z_]+) +=", rules, re.MULTILINE))
    source = (SOURCE / "container_definitions.tf").read_text("utf-8")
    by_variable = set(re.findall(r"^      ([A-Z][A-Z0-9_]+) +=", source, re.MULTILINE)) - READ_BY_OTHERS
    known = {name.upper() for name in Settings.model_fields}
    assert in_map | by_variable | SET_ELSEWHERE | {"RAPIDAPI_KEY"} == known
    assert not in_map & by_variable


# ---- In an account: what needs the first deployment alone -----------------------------------------------------------


@slow
@pytest.mark.timeout(900)
def test_a_parameter_that_is_not_there_is_told_and_its_value_is_in_no_plan(
    on_demand: Terraform, account: Cloud
) -> None:
    """A container whose secret is missing dies before its first line of log."""
    account.client("ssm").put_parameter(Name="/ncaa/key", Value=KEY, Type="SecureString")
    for name, is_there in (("key", True), ("another", False)):
        arn = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/ncaa/{name}"
        given = [f"-var=rapidapi_ssm_parameter_arn={arn}", f"-var=image_tag={IMAGE_TAG}"]
        said = on_demand.run("plan", "-input=false", *given, code=1)  # the image is not there either
        assert (f'Ephemeral Resource Parameter ("{arn}"): couldn\'t find resource' in said) is not is_there
        assert KEY not in said


@slow
@pytest.mark.timeout(900)
def test_a_secret_is_known_by_its_whole_arn(on_demand: Terraform, account: Cloud) -> None:
    """A task may read nothing by a part of it, though Secrets Manager finds the secret, and "-secret" looks whole."""
    arn = account.client("secretsmanager").create_secret(Name="a-secret", SecretString=KEY)["ARN"]
    for given, is_whole in ((arn, True), (arn[:-7], False)):
        tag = f"-var=image_tag={IMAGE_TAG}"  # no image has it: the plan ends with that in any case
        said = on_demand.run("plan", "-input=false", tag, f"-var=rapidapi_secret_arn={given}", code=1)
        assert ("describe-secret --secret-id 'a-secret'" in " ".join(said.split())) is not is_whole
        assert "couldn't find resource" in said


@slow
@pytest.mark.timeout(900)
def test_a_secret_of_ones_own_that_is_empty_is_told_with_what_to_put_into_it(
    on_demand: Terraform, account: Cloud
) -> None:
    """put_key_command puts nothing into it: it may hold other things too."""
    arn = account.client("secretsmanager").create_secret(Name="a-secret-that-is-empty")["ARN"]
    for field, text in (("rapid", '{"rapid": "…"} with the key'), ("", "the key into it, as its whole text")):
        given = [f"-var=rapidapi_secret_arn={arn}", f"-var=rapidapi_secret_json_key={field}"]
        said = on_demand.run("plan", "-input=false", f"-var=image_tag={IMAGE_TAG}", *given, code=1)
        said = " ".join(said.replace("│", " ").split())
        assert "The secret that rapidapi_secret_arn names is empty: put " in said
        assert text in said


@slow
@pytest.mark.timeout(900)
def test_the_daily_trigger_starts_catch_up_where_tasks_may_be(on_demand: Terraform, account: Cloud) -> None:
    outputs = on_demand.outputs()
    schedule = account.client("scheduler").get_schedule(Name="ncaa-on-demand-catch-up")
    assert (schedule["ScheduleExpression"], schedule["ScheduleExpressionTimezone"], schedule["State"]) == (
        "cron(0 9 * * ? *)", "America/New_York", "DISABLED",
    )  # fmt: skip
    target = schedule["Target"]
    parameters = target["EcsParameters"]
    assert f":task-definition/{outputs['catch_up_task_definition']}:" in parameters["TaskDefinitionArn"]
    network = parameters["NetworkConfiguration"]["awsvpcConfiguration"]
    assert (sorted(network["Subnets"]), network["SecurityGroups"]) == (
        sorted(outputs["subnets"]), [outputs["security_group"]],
    )  # fmt: skip
    assert target["RetryPolicy"]["MaximumRetryAttempts"] == 10
    assert target["DeadLetterConfig"]["Arn"].endswith(":ncaa-on-demand-not-started")


# What a run may do and this day needed not: end a broken upload, look for a killed run's jobs or for several at once.
_FOR_OTHER_DAYS = {
    "s3:AbortMultipartUpload", "mediaconvert:ListJobs", "mediaconvert:SearchJobs", "s3:ListBucketMultipartUploads",
}  # fmt: skip
# Requests of doctor that may be refused.
_DISPENSABLE = {"s3:ListBucketVersions"}


def place_of(terraform: Terraform) -> Place:
    """The facts of a deployment that its requests do not carry."""
    outputs = terraform.outputs()
    tasks = [one["values"] for one in terraform.resources() if one["type"] == "aws_ecs_task_definition"]
    return Place(
        bucket=outputs["s3_bucket_name"],
        cluster=outputs["ecs_cluster"],
        log_group=outputs["log_group"],
        passes={task["family"]: [task["execution_role_arn"], task["task_role_arn"]] for task in tasks},
        mediaconvert_role=outputs["mediaconvert_role_arn"],
    )


def not_of_terraform(account: Cloud) -> list[Call]:
    """What was asked of the account, without what Terraform asks of it in the background."""
    return [call for call in list(account.calls) if call.by != TERRAFORM_KEY]


def statements_of(terraform: Terraform, role: str) -> list[dict[str, Any]]:
    """The statements of a role's policy."""
    return [statement for address, statement in policies(terraform) if address == f"aws_iam_role_policy.{role}"]


@slow
@pytest.mark.timeout(900)
def test_a_day_and_the_doctor_need_what_a_runs_role_has_and_no_more(
    on_demand: Terraform,
    account: Cloud,
    server: ScriptedServer,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    bucket = on_demand.outputs()["s3_bucket_name"]
    video = server.on("/clip.mp4", Reply(clip.read_bytes(), content_type="video/mp4"))
    api = serve_listing(server, lambda: [record(1, video), record(2, None)])
    environment = {one["name"]: one["value"] for one in containers(on_demand)["run"]["environment"]}
    environment |= {
        "NCAA_DEPLOYMENT": "aws", "API_URL": api, "RAPIDAPI_KEY": KEY, "VIDEO_ALLOW_PRIVATE_HOSTS": "1",
        "DAGSTER_HOME": str(tmp_path / "home"), **account.environment(),
    }  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    account.calls.clear()
    with without_tls(account, bucket), caplog.at_level("INFO", logger="ncaa_assets"):
        ended = run_day(Settings.from_environment(), tmp_path / "home")
        assert ended.succeeded, ended.errors
        told = CliRunner().invoke(main, ["doctor"], catch_exceptions=False).output
    assert "fail " not in told, told

    policy, place = statements_of(on_demand, "run"), place_of(on_demand)
    calls = not_of_terraform(account)
    assert {action for action, _ in refused(policy, calls, place)} <= _DISPENSABLE
    asked = {need.action for call in calls for need in needed(call, place)}
    assert actions(policy) - asked <= _FOR_OTHER_DAYS

    pattern = on_demand.values("aws_cloudwatch_log_metric_filter.day_backed_up")["pattern"]
    (line,) = [line for line in capfd.readouterr().err.splitlines() if cloudwatch.matches(pattern, line)]
    assert json.loads(line)["day"] == DAY


# Outputs that tests run.
RUN_BELOW = ("ui_command", "push_command", "versions_command", "restore_command", "restore_table_command")

# ---- In an account: both --------------------------------------------------------------------------------------------


@slow
@pytest.mark.timeout(900)
def test_every_output_says_what_is_there(deployed: Deployments, account: Cloud) -> None:
    outputs = deployed.always_on.outputs()
    declared = re.findall(r'^output "(\w+)"', (SOURCE / "outputs.tf").read_text("utf-8"), re.MULTILINE)
    bucket = f"ncaa-assets-{ACCOUNT}-{REGION}"
    subnets = outputs["subnets"]
    group = outputs["security_group"]
    registry = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
    repository = f"{registry}/ncaa-assets"
    network = f"subnets=[{','.join(subnets)}],securityGroups=[{group}],assignPublicIp=ENABLED"
    cli, cluster = f"aws --region {REGION}", "--cluster ncaa-assets"
    start = f"{cli} ecs run-task {cluster} --task-definition %s --launch-type FARGATE --network-configuration "
    start += f"'awsvpcConfiguration={{{network}}}' --query 'tasks[0].taskArn' --output text"
    scale = f"{cli} ecs update-service {cluster} --service ncaa-assets-dagster --desired-count %d"
    expected = {
        "aws_region": REGION,
        "s3_bucket_name": bucket,
        "dynamodb_table": "SportsHighlights",
        "mediaconvert_role_arn": f"arn:aws:iam::{ACCOUNT}:role/ncaa-assets-{REGION}-mediaconvert",
        "ecr_repository_url": repository,
        "ecs_cluster": "ncaa-assets",
        "ecs_service": "ncaa-assets-dagster",
        "run_task_definition": "ncaa-assets-run",
        "catch_up_task_definition": "ncaa-assets-catch-up",
        "subnets": subnets,
        "security_group": group,
        "log_group": "/ecs/ncaa-assets",
        "alert_topic_arn": f"arn:aws:sns:{REGION}:{ACCOUNT}:ncaa-assets-alerts",
        "database_host": account.client("rds").describe_db_instances()["DBInstances"][0]["Endpoint"]["Address"],
        "api_key_secret_arn": outputs["api_key_secret_arn"],
        "is_started": False,
        "doctor_command": start % "ncaa-assets-run",
        "catch_up_command": start % "ncaa-assets-catch-up",
        "start_ui_command": f"{scale % 1} --query service.status --output text && {cli} ecs wait services-stable "
        f"{cluster} --services ncaa-assets-dagster",
        "stop_ui_command": f"{scale % 0} --query service.status --output text",
        "logs_command": f"{cli} logs tail /ecs/ncaa-assets --follow --since 15m",
        "events_command": f"{cli} ecs describe-services {cluster} --services ncaa-assets-dagster "
        "--query 'services[0].events[:10].[createdAt,message]' --output text",
        "put_key_command": 'printf \'API key: \' && read -r -s KEY && echo && printf \'{"api_key": "%s"}\' "$KEY" | '
        f"{cli} secretsmanager put-secret-value --secret-id ncaa-assets/rapidapi-key "
        "--secret-string file:///dev/stdin --query VersionId --output text; unset KEY",
        "download_command": f"{cli} s3 sync s3://{bucket}/ data --exclude 'dagster-logs/*' --exclude '.*' "
        "--exclude '*/.*'",
        **{name: outputs[name] for name in RUN_BELOW},
    }
    assert outputs == expected
    assert sorted(declared) == sorted(expected)
    ec2 = account.client("ec2")
    assert len(ec2.describe_subnets(SubnetIds=subnets)["Subnets"]) == 2
    assert ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"] == []
    secret = account.client("secretsmanager").describe_secret(SecretId=outputs["api_key_secret_arn"])
    assert secret["Name"] == "ncaa-assets/rapidapi-key"
    account.client("s3").head_bucket(Bucket=bucket)


@slow
@pytest.mark.timeout(900)
def test_the_command_for_the_ui_names_the_running_task_and_its_webserver(deployed: Deployments, tmp_path: Path) -> None:
    """The AWS CLI is a script here that answers as ECS does and writes down what it is asked."""
    script = tmp_path / "aws"
    script.write_text(
        '#!/bin/sh\nprintf "%s\\n" "$*" >> "$ASKED"\n'
        'case "$*" in *list-tasks*) echo arn:aws:ecs:us-east-1:123456789012:task/ncaa-assets/0f1e;;'
        " *describe-tasks*) echo 0f1e-265927825;; esac\n"
    )
    script.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "ASKED": str(tmp_path / "asked")}
    command = deployed.always_on.outputs()["ui_command"]
    for shell in ("bash", "sh"):
        subprocess.run([shell, "-euc", command], env=environment, check=True)
        listed, described, session = (tmp_path / "asked").read_text().splitlines()
        (tmp_path / "asked").unlink()
        assert "ecs list-tasks --cluster ncaa-assets --service-name ncaa-assets-dagster" in listed
        assert "--tasks arn:aws:ecs:us-east-1:123456789012:task/ncaa-assets/0f1e" in described
        assert "containers[?name=='webserver'].runtimeId" in described
        assert session == (
            f"--region {REGION} ssm start-session --target ecs:ncaa-assets_0f1e_0f1e-265927825 "
            "--document-name AWS-StartPortForwardingSession "
            '--parameters {"portNumber":["3000"],"localPortNumber":["3000"]}'
        )


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of a repository with what the image is made of, one commit, and a person's variables."""
    folder = tmp_path / "clone"
    tops = "Dockerfile", ".dockerignore", "README.md", "pyproject.toml"
    for name in (*tops, "ncaa_assets/a.py", "requirements/aws.lock", "terraform/main.tf"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name, "utf-8")
    (folder / ".gitignore").write_text("terraform.tfvars\ndata/\n", "utf-8")
    (folder / "terraform" / "terraform.tfvars").write_text('aws_region = "us-east-1"\nimage_tag = null\n', "utf-8")
    for arguments in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=a", "-c", "user.email=a", "commit", "-qm", "one"],
    ):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    return folder


@slow
@pytest.mark.timeout(900)
def test_a_pushed_tag_is_of_its_commit_alone(deployed: Deployments, clone: Path, tmp_path: Path) -> None:
    """Docker is a script here that keeps what it is given, and the registry holds what was pushed."""
    docker, registry = tmp_path / "bin" / "docker", tmp_path / "registry"
    docker.parent.mkdir()
    registry.mkdir()
    docker.write_text(
        '#!/bin/sh\ncase $1 in login) cat > /dev/null;; build) tar -t > "$BUILT";;'
        ' push) cp "$BUILT" "$REGISTRY/${2##*:}";; esac\n'
    )
    (docker.parent / "aws").write_text(
        '#!/bin/sh\ncase "$*" in *describe-images*) [ -e "$REGISTRY/${*##*imageTag=}" ];; *) echo password;; esac\n'
    )
    for program in docker.parent.iterdir():
        program.chmod(0o755)
    environment = {
        "PATH": f"{docker.parent}:{os.environ['PATH']}", "BUILT": str(tmp_path / "built"), "REGISTRY": str(registry),
    }  # fmt: skip
    command, variables = deployed.always_on.outputs()["push_command"], clone / "terraform" / "terraform.tfvars"

    def push(shell: str = "bash") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [shell, "-c", command],
            cwd=clone / "terraform",
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    for name in ("ncaa_assets/new.py", "requirements/aws.lock", "Dockerfile"):
        before = (clone / name).read_text() if (clone / name).exists() else None
        (clone / name).write_text("differs")
        refused_push = push()
        assert refused_push.returncode != 0
        assert "commit it first" in refused_push.stderr
        (clone / name).write_text(before) if before is not None else (clone / name).unlink()
    assert list(registry.iterdir()) == []
    assert "image_tag = null" in variables.read_text()

    (clone / "ncaa_assets" / "data").mkdir()  # which git ignores
    (clone / "ncaa_assets" / "data" / "private.json").write_text("{}")
    (clone / "terraform" / ".terraform.lock.hcl").write_text("not of the image")
    done = push("sh")
    assert done.returncode == 0, done.stderr
    (image,) = registry.iterdir()
    assert "ncaa_assets/a.py" in image.read_text().splitlines()
    assert "private.json" not in image.read_text()
    head = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=clone, capture_output=True, text=True, check=True
    )
    assert image.name == head.stdout.strip()
    assert variables.read_text() == f'aws_region = "us-east-1"\nimage_tag = "{image.name}"\n'

    variables.write_text("")
    environment["BUILT"] = "/nowhere"
    again = push()
    assert again.returncode == 0, again.stderr
    assert "is there already" in again.stdout
    assert variables.read_text() == f'image_tag = "{image.name}"\n'


@slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("which", ["always_on", "on_demand"])
def test_what_was_there_comes_back_by_the_commands_of_the_outputs(
    deployed: Deployments, account: Cloud, which: str, tmp_path: Path
) -> None:
    aws_cli.install(tmp_path)
    outputs = getattr(deployed, which).outputs()
    bucket, key = outputs["s3_bucket_name"], "highlights/2024-12-01.json"
    name = f"ncaa/{key}" if which == "on_demand" else key
    environment = {**account.environment(), "PATH": f"{tmp_path}:{os.environ['PATH']}", "KEY": key, "AT": "2020-01-01"}

    def said(command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", outputs[command]], env=environment, cwd=PROJECT, capture_output=True, text=True, check=False
        )

    s3 = account.client("s3")
    with without_tls(account, bucket):
        for body in (b"whole", b"worse!"):
            s3.put_object(Bucket=bucket, Key=name, Body=body)
            s3.put_object(Bucket=bucket, Key=f"{name}.other", Body=b"another object")
        s3.delete_object(Bucket=bucket, Key=name)
        first = s3_backends[ACCOUNT]["aws"].buckets[bucket].keys.getlist(name)[0]
        first.last_modified = datetime(2025, 3, 10, 9)  # noqa: DTZ001 - as moto has it
        assert "There was no highlights/2024-12-01.json at 2020-01-01" in said("restore_command").stderr
        versions = [line.split() for line in said("versions_command").stdout.splitlines()]
        assert [line[1:] for line in versions] == [["6", "False"], ["5", "False"]]
        environment["AT"] = "2025-03-10T18:00:00Z"
        done = said("restore_command")
        assert done.returncode == 0, done.stderr
        assert s3.get_object(Bucket=bucket, Key=name)["Body"].read() == b"whole"
        listed = s3.list_object_versions(Bucket=bucket, Prefix=name)
        for one in listed["Versions"] + listed["DeleteMarkers"]:
            s3.delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])

    environment |= {"TABLE": f"{which}-restored", "AT": datetime.now(UTC).isoformat()}
    assert "ACTIVE" in said("restore_table_command").stdout
    assert account.client("dynamodb").describe_table(TableName=f"{which}-restored")["Table"]["KeySchema"]


@slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("which", ["always_on", "on_demand"])
def test_a_second_plan_changes_nothing(second_plans: dict[str, str], which: str) -> None:
    for change in json.loads(second_plans[which])["resource_changes"]:
        if change["change"]["actions"] == ["no-op"]:
            continue
        assert change["change"]["actions"] == ["update"], change["address"]
        before, after = change["change"]["before"], change["change"]["after"]
        different = {name for name in after if before.get(name) != after[name]}
        assert different <= FORGOTTEN_BY_MOTO.get(change["address"], set()), change["address"]


@slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("which", ["always_on", "on_demand"])
def test_the_environment_is_what_the_code_and_the_instance_read(deployed: Deployments, which: str) -> None:
    every = containers(getattr(deployed, which))
    assert set(every) == {"code", "webserver", "daemon", "run", "catch-up"}
    instance = yaml.safe_load((INSTANCE / "ecs.yaml").read_text("utf-8"))
    # Without this a finished day's line is in no log of the container, and the dead man's alarm goes off each day.
    assert "ncaa_assets" in instance["python_logs"]["managed_python_loggers"]
    expanded = set(re.findall(r"\{'env': '(\w+)'\}", str(instance)))
    settings = {name.upper() for name in Settings.model_fields}
    for name, container in every.items():
        plain = {one["name"]: one["value"] for one in container["environment"]}
        secret = {one["name"] for one in container.get("secrets", [])}
        given = set(plain) | secret
        assert expanded <= given, f"{name}: dagster.yaml expands {expanded - given}, which is not set"
        unread = given - settings - expanded - READ_BY_OTHERS
        assert not unread, f"{name}: nothing reads {unread}"
        assert given >= READ_BY_OTHERS
        assert secret == {"DAGSTER_POSTGRES_PASSWORD"} | ({"RAPIDAPI_KEY"} if name in ("run", "catch-up") else set())
        read = Settings.from_environment({**plain, "NCAA_DEPLOYMENT": "aws"})
        assert read.mediaconvert_role_arn is not None
        assert read.s3_bucket_name == getattr(deployed, which).outputs()["s3_bucket_name"]
        if which == "on_demand":
            assert (read.limit, read.s3_prefix, read.encode_timeout) == (5, "ncaa", 3600)
    terraform: Terraform = getattr(deployed, which)
    of = {name: {one["name"]: one["value"] for one in container["environment"]} for name, container in every.items()}
    # A launcher looks its definition up once, when it starts: only a changed environment starts it again.
    revision = terraform.values("module.run_task.aws_ecs_task_definition.this")["arn"]
    assert re.search(r"/ncaa-[a-z-]+-run:[0-9]+$", revision)
    for name in ("code", "webserver", "daemon", "catch-up"):
        assert of[name].pop("DAGSTER_RUN_TASK_DEFINITION") == revision
    assert of["run"].pop("DAGSTER_RUN_TASK_DEFINITION") == terraform.outputs()["run_task_definition"]
    assert all(one == of["run"] for one in of.values())


@slow
@pytest.mark.timeout(900)
def test_the_defaults_of_the_variables_are_those_of_the_code(deployed: Deployments) -> None:
    plain = {one["name"]: one["value"] for one in containers(deployed.always_on)["run"]["environment"]}
    read, default = Settings.from_environment({**plain, "NCAA_DEPLOYMENT": "aws"}), Settings()
    names = "timezone start_date league_name lookback_days video_count limit retry_count retry_delay dynamodb_table"
    for name in names.split():
        assert getattr(read, name) == getattr(default, name), name


@slow
@pytest.mark.timeout(900)
def test_the_containers_run_what_the_image_has(deployed: Deployments) -> None:
    every = containers(deployed.always_on)
    workspace = "/opt/dagster/ecs/workspace.yaml"
    web = ["ncaa-assets", "ui", "--host", "127.0.0.1", "--port", "3000", "--only-web", workspace]
    assert every["webserver"]["command"] == web, "Dagster's own webserver is not guarded against foreign pages"
    (served,) = yaml.safe_load((INSTANCE / "ecs_workspace.yaml").read_text("utf-8"))["load_from"]
    host, port = served["grpc_server"]["host"], str(served["grpc_server"]["port"])
    assert every["code"]["command"] == ["dagster", "api", "grpc", "-h", host, "-p", port, "-m", MODULE]
    assert f"('{host}', {port})" in every["code"]["healthCheck"]["command"][-1]
    assert served["grpc_server"]["location_name"] == LOCATION
    assert every["daemon"]["command"] == ["python", "-m", "ncaa_assets.runs.daemon", "run", "-w", workspace]
    assert every["catch-up"]["command"] == ["ncaa-assets", "catch-up"]
    assert not any(container["portMappings"] for container in every.values())
    for name, container in every.items():
        assert {"name": "DAGSTER_HOME", "value": "/opt/dagster/ecs"} in container["environment"]
        mode = container["logConfiguration"]["options"]["mode"]
        assert mode == ("blocking" if name in ("run", "catch-up") else "non-blocking"), (
            "the alarm counts lines of a log"
        )


@slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("which", ["always_on", "on_demand"])
def test_whatever_names_everything_has_a_written_reason(deployed: Deployments, which: str) -> None:
    terraform: Terraform = getattr(deployed, which)
    source = "\n".join(path.read_text("utf-8") for path in SOURCE.glob("*.tf"))
    reasons = set(re.findall(r"^ *# (\w+): .{20}", source, re.MULTILINE))
    every = terraform.resources()
    own = {one["values"].get("arn") for one in every} | {one["values"].get("arn_without_revision") for one in every}
    own |= {f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/{terraform.outputs()['ecs_cluster']}"}
    below = tuple(f"{arn}{mark}" for arn in own - {None} for mark in ("/", ":"))
    open_to_all = set()
    for role, statement in policies(terraform):
        assert statement["Effect"] == "Allow", role
        assert not any("*" in action for action in many(statement["Action"])), f"{role}: {statement}"
        for resource in many(statement["Resource"]):
            if "*" in resource and not resource.startswith(below):
                open_to_all.add(statement["Sid"])
    assert open_to_all, "the registry's sign-in, for one, takes no resource"
    assert open_to_all <= reasons


@slow
@pytest.mark.timeout(900)
def test_a_role_is_passed_to_one_service_and_only_where_it_is_needed(deployed: Deployments) -> None:
    passed = {
        (
            role.split(".")[1],
            arn.rpartition(f"/ncaa-assets-{REGION}-")[2],
            statement["Condition"]["StringEquals"]["iam:PassedToService"],
        )
        for role, statement in policies(deployed.always_on)
        if "iam:PassRole" in many(statement["Action"])
        for arn in many(statement["Resource"])
    }
    tasks = "ecs-tasks.amazonaws.com"
    assert passed == {
        ("service", "execution", tasks), ("service", "run", tasks), ("catch_up", "execution", tasks),
        ("catch_up", "run", tasks), ("scheduler", "execution", tasks), ("scheduler", "catch-up", tasks),
        ("run", "mediaconvert", "mediaconvert.amazonaws.com"),
    }  # fmt: skip


@slow
@pytest.mark.timeout(900)
def test_no_password_and_no_key_is_in_the_state_the_plan_or_what_was_said(
    deployed: Deployments, second_plans: dict[str, str], account: Cloud
) -> None:
    secrets = account.client("secretsmanager")
    value = secrets.get_secret_value(SecretId="ncaa-assets/database-password")["SecretString"]
    assert len(value) == 40
    folder = deployed.always_on.folder
    state = (folder / "terraform.tfstate").read_text("utf-8")
    assert value not in state + second_plans["always_on"] + deployed.said
    for container in containers(deployed.always_on).values():
        assert value not in json.dumps(container)


@slow
@pytest.mark.timeout(900)
def test_nothing_is_open_to_the_world(deployed: Deployments, account: Cloud) -> None:
    ec2 = account.client("ec2")
    vpcs = {one["values"]["id"] for one in deployed.always_on.resources() if one["type"] == "aws_vpc"}
    groups = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": list(vpcs)}])["SecurityGroups"]
    assert len(groups) == 3
    for group in groups:
        for rule in group["IpPermissions"]:
            assert not rule["IpRanges"], f"{group['GroupName']} lets addresses in: {rule}"
            assert not rule["Ipv6Ranges"]
            assert rule["FromPort"] == rule["ToPort"] == 5432
    types = {one["type"] for one in deployed.always_on.resources()}
    assert not types & {"aws_lb", "aws_nat_gateway", "aws_eip", "aws_lambda_function"}
    private = [
        one["values"] for one in deployed.always_on.resources() if one["address"].startswith("aws_subnet.private")
    ]
    table = deployed.always_on.values("aws_route_table.private")["id"]
    routes = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"]
    assert len(private) == 2
    assert [route["GatewayId"] for route in routes] == ["local"]


@slow
@pytest.mark.timeout(900)
def test_the_bucket_keeps_what_was_backed_up(deployed: Deployments, account: Cloud) -> None:
    for terraform, prefix in ((deployed.always_on, ""), (deployed.on_demand, "ncaa/")):
        bucket = terraform.outputs()["s3_bucket_name"]
        s3 = account.client("s3")
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
        with pytest.raises(ClientError, match="Forbidden"):  # this client speaks plain http
            s3.put_object(Bucket=bucket, Key="anything", Body=b"")
        rules = {one["ID"]: one for one in s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]}
        where = {name: one["Filter"].get("Prefix", "") for name, one in rules.items()}
        expiring = {name for name, one in rules.items() if "Days" in one.get("Expiration", {})}
        assert {where[name] for name in expiring} == {"dagster-logs/", f"{prefix}.tmp/"}
        forgotten = {where[name] for name, one in rules.items() if "NoncurrentVersionExpiration" in one}
        assert forgotten == {
            "dagster-logs/", f"{prefix}.leases/", f"{prefix}.quota/", f"{prefix}.doctor/", f"{prefix}.tmp/",
            f"{prefix}gallery/", f"{prefix}processed_videos/.ledger/",
        }  # fmt: skip
        moved = {where[name]: one["Transitions"][0] for name, one in rules.items() if "Transitions" in one}
        assert moved == {f"{prefix}videos/": {"Days": 90, "StorageClass": "GLACIER_IR"}}
        assert where["old-versions"] == prefix


@slow
@pytest.mark.timeout(900)
def test_the_events_that_mean_trouble_are_caught_and_the_others_are_not(deployed: Deployments) -> None:
    def catches(rule: str, **detail: Any) -> bool:
        values = deployed.always_on.values(f"aws_cloudwatch_event_rule.{rule}")
        pattern = json.loads(values["event_pattern"])
        event = {"source": pattern["source"][0], "detail-type": pattern["detail-type"][0], "detail": detail}
        return eventbridge.matches(values["event_pattern"], event)

    ours = {"ncaa_assets_token": "0f1e", "ncaa_assets_archive": f"s3://ncaa-assets-{ACCOUNT}-{REGION}/"}
    assert catches("encode_failed", status="ERROR", userMetadata=ours)
    assert not catches("encode_failed", status="COMPLETE", userMetadata=ours)
    assert not catches("encode_failed", status="ERROR", userMetadata={"ncaa_assets_token": "0f1e"})

    cluster = {"clusterArn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/ncaa-assets", "lastStatus": "STOPPED"}
    service, run, catch_up = "service:ncaa-assets-dagster", "family:ncaa-assets-run", "family:ncaa-assets-catch-up"

    def ends(group: str, *codes: int) -> bool:
        containers = [{"exitCode": code} for code in codes]
        stopped = "EssentialContainerExited"
        return catches("task_failed", **cluster, group=group, stopCode=stopped, containers=containers)

    assert ends(service, 0, 137)
    assert not ends(service, 0, 0)
    assert [code for code in (0, 1, 2, 3, 130, 137) if ends(catch_up, code)] == [2, 3, 130, 137], "1: it has alerted"
    assert not any(ends(run, code) for code in (0, 1, 137)), "whoever launched it watches it, and tells"
    assert ends("family:another-task-of-this-cluster", 1)
    for group, is_caught in ((service, True), (catch_up, True), (run, False)):
        assert catches("task_failed", **cluster, group=group, stopCode="TaskFailedToStart") is is_caught
    unhealthy = "Task failed container health checks"
    stopped = {**cluster, "group": service, "stopCode": "ServiceSchedulerInitiated"}
    assert catches("task_failed", **stopped, stoppedReason=unhealthy)
    assert not catches("task_failed", **stopped, stoppedReason="Scaling activity initiated by (deployment ecs-svc/1)")
    by_hand = {**cluster, "group": catch_up, "stopCode": "UserInitiated"}
    assert not catches("task_failed", **by_hand, containers=[{"exitCode": 143}])
    elsewhere = {**cluster, "clusterArn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/another", "group": service}
    assert not catches("task_failed", **elsewhere, stopCode="TaskFailedToStart")


# ---- What launches runs ---------------------------------------------------------------------------------------------

# What the launching roles may do and this test does not need: moto's task definitions name no log in which a dead run's
# last lines could be read.
_LAUNCHING_UNSEEN = {"logs:GetLogEvents"}
# What the webserver needs: it shows and deletes the output of steps (sensors write theirs too), and ECS Exec.
_OF_THE_UI = {
    "s3:PutObject", "s3:AbortMultipartUpload", "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel",
}  # fmt: skip


def requests_of_the_daemon(settings: Settings, home: Path, account: Cloud) -> list[Call]:
    """The requests of its sensor, which finds a failed and a killed run, and of its schedule."""
    defs = build_defs(settings)
    with open_instance(home) as instance:
        before = json.dumps(sensor._newest(instance))
        tags = {
            "dagster/partition": DAY,
            "dagster/max_retries": "0",
            "dagster/parent_run_id": "of a worker lost before",
        }
        instance.report_run_failed(instance.create_run_for_job(defs.resolve_job_def(JOB_NAME), tags=tags))
        killed = instance.create_run_for_job(defs.resolve_job_def(JOB_NAME), tags={"dagster/partition": DAY})
        started = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, JOB_NAME)
        instance.report_dagster_event(started, killed.run_id)
        lease = Holder(owner=killed.run_id, host="another", pid=1, since=datetime.now(UTC), expires=datetime.now(UTC))
        open_store(settings).write(f".leases/{DAY}.json", lease.model_dump_json().encode())
        account.calls.clear()
        watching = dg.build_sensor_context(instance, cursor=before)
        said: list[str | None] = []
        while not any("1 killed" in str(one) for one in said):  # it takes looks as far apart as a lease lasts
            tick = defs.resolve_sensor_def(SENSOR)(watching)
            assert isinstance(tick, dg.SkipReason)
            said.append(tick.skip_message)
            watching = dg.build_sensor_context(instance, cursor=watching.cursor)
        assert said[0] == "1 alerts sent; 0 killed runs found"
        assert len(said) > 1
    at = dg.build_schedule_context(scheduled_execution_time=datetime.now(UTC), repository_def=defs.get_repository_def())
    assert defs.resolve_schedule_def("daily_backup_schedule").evaluate_tick(at).run_requests
    return not_of_terraform(account)


@slow
@pytest.mark.timeout(900)
def test_catch_up_needs_what_its_role_has_and_no_more_and_so_does_the_daemon(
    deployed: Deployments,
    account: Cloud,
    server: ScriptedServer,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run: Callable[..., Result],
) -> None:
    """The command launches through EcsRunLauncher, waits, loses a worker, gives one up, and alerts; its workers have
    another access key. Then the sensor and the schedule are asked as the daemon asks them."""
    terraform, bucket = deployed.always_on, "caught-up"
    account.make_bucket(bucket)  # the deployment's own is looked at by another test
    monkeypatch.setattr(fargate, "CLUSTER", "another-than-the-deployments")
    monkeypatch.setattr(ecs, "POLL_SECONDS", 0.2)
    monkeypatch.setattr("ncaa_assets.archive.lease.LEASE_SECONDS", 1.0)
    home = tmp_path / "home"
    home.mkdir()
    text = (INSTANCE / "ecs.yaml").read_text("utf-8")
    text = text.replace("/tmp/dagster-logs", str(tmp_path / "logs"))  # noqa: S108
    (home / "dagster.yaml").write_text(text)
    video = server.on("/clip.mp4", Reply(clip.read_bytes(), content_type="video/mp4"))
    environment = {one["name"]: one["value"] for one in containers(terraform)["catch-up"]["environment"]}
    environment |= {
        "NCAA_DEPLOYMENT": "aws", "S3_BUCKET_NAME": bucket, "RAPIDAPI_KEY": KEY, "VIDEO_ALLOW_PRIVATE_HOSTS": "1",
        "API_URL": serve_listing(server, lambda: [record(1, video)]), "RETRY_DELAY": "0", "DAGSTER_HOME": str(home),
        **account.environment(),
    }  # fmt: skip
    with running_postgres() as postgres:
        environment |= postgres.environment()
        with running_fargate(account, server, tmp_path, {**environment, "AWS_ACCESS_KEY_ID": "WORKER"}) as cluster:
            given = {**environment, **cluster.here}

            def loses_its_worker(handler: Handler) -> None:
                (process, *others) = [worker.process for worker in cluster.workers]
                if not others and process is not None:
                    process.kill()
                    process.wait()
                Reply(clip.read_bytes(), content_type="video/mp4").send(handler)

            server.on("/clip.mp4", loses_its_worker)
            account.calls.clear()
            done = run("catch-up", "--days", "1", **given)
            assert done.exit_code == 0, done.output
            assert len(cluster.workers) == 2
            assert "nothing to do" in run("catch-up", "--days", "1", **given).stdout

            (home / "dagster.yaml").write_text(text.replace("start_timeout_seconds: 600", "start_timeout_seconds: 1"))
            cluster.never_starts = True
            # Before several days it finds out what is left of the quota, unless it is known of this key.
            assert run("catch-up", "--days", "3", **{**given, "RAPIDAPI_KEY": "not-asked-for"}).exit_code == 1
            assert account.times("Publish") == 1
            gone = given["ALERT_TOPIC_ARN"] + "-that-is-gone"
            unheard = run("catch-up", "--days", "2", **{**given, "ALERT_TOPIC_ARN": gone})
            assert unheard.exit_code == 3, "which the rule for tasks that failed does not leave out"
            by_catch_up = [call for call in not_of_terraform(account) if call.by != "WORKER" and call.key != gone]

            for name, value in given.items():
                monkeypatch.setenv(name, value)
            by_daemon = [
                *requests_of_the_daemon(Settings.from_environment(), home, account),
                *(call for call in by_catch_up if call.service in ("ecs", "ec2")),
            ]

    place = place_of(terraform)
    for role, calls, unseen in (
        ("catch_up", by_catch_up, _LAUNCHING_UNSEEN),
        ("service", by_daemon, _LAUNCHING_UNSEEN | _OF_THE_UI),
    ):
        policy = statements_of(terraform, role)
        assert refused(policy, calls, place) == set(), role
        asked = {need.action for call in calls for need in needed(call, place)}
        assert actions(policy) - asked == unseen, role


# ---- The order of docs/deployment.md, to the end ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def destroying(deployed: Deployments, account: Cloud) -> Iterator[Background]:
    """The end of the deployment on demand. Again most of it is waiting, beside the last tests."""
    s3 = account.client("s3")

    # Terraform suspends a bucket's versioning before it deletes what is in it, and moto loses the connection then.
    def keep_versioning(call: Call) -> None:
        if call.operation == "PutBucketVersioning":
            s3.put_bucket_versioning(Bucket=call.key, VersioningConfiguration={"Status": "Enabled"})

    bucket = deployed.on_demand.outputs()["s3_bucket_name"]
    with without_tls(account, bucket):
        s3.put_object(Bucket=bucket, Key="ncaa/highlights/2025-03-09.json", Body=b"{}")
    account.after = keep_versioning
    deployed.on_demand.unprotect()
    said = deployed.on_demand.apply()
    assert "archive, table, images and database can be deleted" in " ".join(said.replace("│", " ").split())
    process = Background(deployed.on_demand, "destroy")
    yield process
    process.end()


@slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("which", "change"),
    [
        ("always_on", "-destroy"),
        ("on_demand", "-destroy"),
        ("always_on", "-var=always_on=false"),
        ("on_demand", "-var=always_on=true"),
        ("always_on", "-var=dynamodb_table=Renamed"),
        ("always_on", "-var=s3_bucket_name=renamed-archive"),
        ("always_on", "-var=ecr_repository_name=renamed"),
        ("on_demand", "-var=project_name=renamed"),
        ("always_on", "-var=aws_region=eu-west-1"),
        ("on_demand", "-var=vpc_cidr=10.48.0.0/20"),
    ],
)
def test_what_is_protected_is_refused_before_anything_changes(
    deployed: Deployments, account: Cloud, which: str, change: str
) -> None:
    terraform: Terraform = getattr(deployed, which)
    calls = len(account.calls)
    said = terraform.run("apply", "-input=false", "-auto-approve", change, code=1)
    assert "Error: Instance cannot be destroyed" in said
    changed = {one.operation for one in account.calls[calls:] if one.by == TERRAFORM_KEY and one.changes}
    assert not changed


@slow
@pytest.mark.timeout(900)
def test_a_second_deployment_is_told_what_the_first_has(deployed: Deployments, account: Cloud, tmp_path: Path) -> None:
    second = Terraform(tmp_path / "second", account.environment())
    names = ["-var=project_name=ncaa-second", f"-var=s3_bucket_name={deployed.always_on.outputs()['s3_bucket_name']}"]
    said = " ".join(second.run("plan", "-input=false", *names, code=1).replace("│", " ").split())
    assert (
        "The table SportsHighlights is of another deployment here, ncaa-assets: name another in dynamodb_table." in said
    )
    assert "is of another deployment here, ncaa-assets: name another in s3_bucket_name." in said
    second.run("plan", "-input=false", names[0], "-var=dynamodb_table=Second")


@slow
@pytest.mark.timeout(900)
def test_a_new_run_definition_reaches_whoever_launches_and_the_old_ones_stay(
    deployed: Deployments, account: Cloud
) -> None:
    terraform, ecs = deployed.on_demand, account.client("ecs")

    def revisions() -> set[str]:
        return {one for one in ecs.list_task_definitions(status="ACTIVE")["taskDefinitionArns"] if "demand" in one}

    before = revisions()
    terraform.apply("-var=run_size={cpu=1024,memory=2048}")
    assert revisions() > before
    assert len(revisions()) == 2 * len(before) == 6
    assert ecs.list_task_definitions(status="INACTIVE")["taskDefinitionArns"] == []
    (run,) = [one for one in revisions() - before if "-run:" in one]
    (service,) = ecs.describe_services(cluster="ncaa-on-demand", services=["ncaa-on-demand-dagster"])["services"]
    for of in (service["taskDefinition"], terraform.values("module.catch_up_task.aws_ecs_task_definition.this")["arn"]):
        assert of in revisions() - before
        for container in ecs.describe_task_definition(taskDefinition=of)["taskDefinition"]["containerDefinitions"]:
            assert {"name": "DAGSTER_RUN_TASK_DEFINITION", "value": run} in container["environment"]


@slow
@pytest.mark.timeout(900)
def test_the_first_deployment_works_in_the_readmes_order(
    deployed: Deployments, account: Cloud, destroying: Background
) -> None:
    terraform = deployed.always_on
    ecs, scheduler = account.client("ecs"), account.client("scheduler")

    def stands() -> tuple[int, str]:
        (service,) = ecs.describe_services(cluster="ncaa-assets", services=["ncaa-assets-dagster"])["services"]
        return service["desiredCount"], scheduler.get_schedule(Name="ncaa-assets-catch-up")["State"]

    assert stands() == (0, "DISABLED")
    tag = ["-input=false", "-auto-approve", "-var", f"image_tag={IMAGE_TAG}"]

    said = terraform.run("apply", *tag, code=1)
    assert "couldn't find resource" in said
    assert "data.aws_ecr_image.push_this_tag_first" in said
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = {"schemaVersion": 2, "mediaType": kind, "config": {"digest": "sha256:0"}, "layers": []}
    account.client("ecr").put_image(
        repositoryName="ncaa-assets", imageManifest=json.dumps(manifest), imageTag=IMAGE_TAG
    )

    said = " ".join(terraform.run("apply", *tag, code=1).replace("│", " ").split())
    assert "The secret of the API key is empty: put the key into it first" in said
    assert "Nobody would hear that this deployment fails: the alerts' mail is not confirmed by you@example.com" in said
    assert stands() == (0, "DISABLED")
    account.client("secretsmanager").put_secret_value(
        SecretId="ncaa-assets/rapidapi-key", SecretString=json.dumps({"api_key": KEY})
    )

    told = " ".join(deployed.said.replace("│", " ").split())
    assert "No alert reaches you@example.com yet. AWS has sent each a mail" in told
    sns.click(terraform.outputs()["alert_topic_arn"], "you@example.com")

    terraform.run("apply", *tag)
    assert stands() == (1, "ENABLED")
    assert all(container["image"].endswith(f"/ncaa-assets:{IMAGE_TAG}") for container in containers(terraform).values())
    assert terraform.outputs()["is_started"] is True
    for name in ("run", "catch-up"):
        (key,) = [one["valueFrom"] for one in containers(terraform)[name]["secrets"] if one["name"] == "RAPIDAPI_KEY"]
        assert key == f"{terraform.outputs()['api_key_secret_arn']}:api_key::"
    assert KEY not in (terraform.folder / "terraform.tfstate").read_text("utf-8")


@slow
@pytest.mark.timeout(900)
def test_it_all_goes_again_and_only_when_that_was_asked_for(
    deployed: Deployments, account: Cloud, destroying: Background
) -> None:
    """Nothing is left of the deployment on demand after it."""
    s3, bucket = account.client("s3"), deployed.always_on.outputs()["s3_bucket_name"]
    with without_tls(account, bucket):
        s3.put_object(Bucket=bucket, Key="highlights/2025-03-09.json", Body=b"{}")
    deployed.always_on.run("destroy", "-auto-approve", code=1)
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["highlights/2025-03-09.json"]
    destroying.said()
    assert deployed.on_demand.resources() == []
    assert not [
        one
        for one in account.client("ecr").describe_repositories()["repositories"]
        if "demand" in one["repositoryName"]
    ]
    assert not [one for one in s3.list_buckets()["Buckets"] if "demand" in one["Name"]]
    assert not account.client("rds").describe_db_clusters()["DBClusters"]


# ---- Who deploys: terraform/deployer-policy.json, held to all that Terraform asked above -----------------------------

# What of the policy no request here takes, and what it is for.
_DEPLOYING_UNSEEN = {
    "iam:CreateServiceLinkedRole",  # the first step of the page
    "ecr:GetAuthorizationToken", "ecr:*Layer*", "ecr:BatchGetImage", "ecr:PutImage*",  # pushing the image
    "ecs:RunTask", "ecs:DescribeTasks", "ecs:ListTasks", "ecs:ExecuteCommand", "ssm:StartSession",  # doctor and UI
    "logs:FilterLogEvents",  # the log
    # Changes that are not made here.
    "ec2:DeleteTags", "ec2:ModifySubnetAttribute", "ec2:ModifyVpcEndpoint",
    "ecr:UntagResource", "ecs:UpdateCluster", "iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole",
    "iam:UpdateRoleDescription",
}  # fmt: skip


def deployers_policy(project: str, table: str) -> list[dict[str, Any]]:
    """The statements of the policy, filled as the page says."""
    text = (SOURCE / "deployer-policy.json").read_text("utf-8")
    for name, value in {"ACCOUNT": ACCOUNT, "REGION": REGION, "PROJECT": project, "TABLE": table}.items():
        text = text.replace(name, value)
    statements: list[dict[str, Any]] = json.loads(text)["Statement"]
    return statements


@slow
@pytest.mark.timeout(900)
def test_a_deployer_needs_what_the_policy_has_and_no_more(
    deployed: Deployments, account: Cloud, destroying: Background, second_plans: dict[str, str]
) -> None:
    """The last test of this file, after all that is applied, planned and destroyed in it."""
    assert isinstance(account.calls, Calls)
    destroying.said()
    # A parameter and a secret of a person's own are not in the policy, as the page says.
    ours = [call for call in account.calls.of_terraform if call.service != "ssm" and "a-secret" not in call.key]
    asked = deploying.needs(ours, place_of(deployed.always_on), "ncaa-assets")
    policies = [deployers_policy("ncaa-assets", "SportsHighlights"), deployers_policy("ncaa-on-demand", "OnDemand")]
    missing = {
        (need.action, need.resource)
        for need in asked
        if not any(allows(policy, need.action, need.resource, need.context) for policy in policies)
    }
    assert missing == set()
    useless = {
        pattern
        for pattern in actions(policies[0])
        if not any(fnmatch.fnmatchcase(need.action, pattern) for need in asked)
    }
    assert useless == _DEPLOYING_UNSEEN


def test_the_policy_of_a_deployer_is_not_longer_than_iam_takes() -> None:
    """6,144 characters without white space ("IAM and AWS STS quotas"), also with the longest name that a project may
    have."""
    text = (SOURCE / "deployer-policy.json").read_text("utf-8")
    for name, value in {
        "ACCOUNT": ACCOUNT,
        "REGION": "ap-southeast-1",
        "PROJECT": "a" * 24,
        "arn:aws:": "arn:aws-us-gov:",
    }.items():
        text = text.replace(name, value)
    assert len(re.sub(r"\s", "", text)) <= 6144
