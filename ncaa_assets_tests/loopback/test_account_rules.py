"""ECS and RDS on loopback refuse what AWS documents to refuse."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ncaa_assets_tests.loopback.aws import Cloud, running_cloud


@pytest.fixture
def fresh() -> Iterator[Cloud]:
    """An account in which nothing was ever used."""
    with running_cloud() as cloud:
        cloud.reset()
        yield cloud


def refusal(call: Any, **asked: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**asked)
    return str(refused.value)


def test_a_service_without_its_role_makes_nothing(fresh: Cloud) -> None:
    ecs, rds = fresh.client("ecs"), fresh.client("rds")
    instance = {"DBInstanceIdentifier": "one", "DBInstanceClass": "db.t4g.micro", "Engine": "postgres"}
    assert "service linked role" in refusal(ecs.create_cluster, clusterName="one")
    assert "service linked role" in refusal(rds.create_db_instance, **instance)
    fresh.make_service_roles()
    fresh.make_service_roles()
    ecs.create_cluster(clusterName="one")
    rds.create_db_instance(**instance)


def test_a_deregistered_definition_starts_no_task_and_no_service(fresh: Cloud) -> None:
    fresh.make_service_roles()
    ecs = fresh.client("ecs")
    ecs.create_cluster(clusterName="one")
    for _ in range(2):
        ecs.register_task_definition(family="run", containerDefinitions=[{"name": "a", "image": "i", "memory": 64}])
    ecs.create_service(cluster="one", serviceName="s", taskDefinition="run:2", desiredCount=0)
    ecs.deregister_task_definition(taskDefinition="run:1")
    arn = ecs.describe_task_definition(taskDefinition="run:1")["taskDefinition"]["taskDefinitionArn"]
    for name in ("run:1", arn):
        assert "TaskDefinition is inactive" in refusal(ecs.run_task, cluster="one", taskDefinition=name)
        asked = {"cluster": "one", "serviceName": "other", "taskDefinition": name, "desiredCount": 1}
        assert "TaskDefinition is inactive" in refusal(ecs.create_service, **asked)
        assert "TaskDefinition is inactive" in refusal(
            ecs.update_service, cluster="one", service="s", taskDefinition=name
        )
    ecs.update_service(cluster="one", service="s", taskDefinition="run")


@pytest.mark.parametrize(
    ("cpu", "memory", "is_had"),
    [
        ("256", "512", True), ("256", "3072", False), ("512", "512", False), ("512", "1024", True),
        ("1024", "1024", False), ("2048", "16384", True), ("4096", "31744", False), ("8192", "17408", False),
        ("16384", "122880", True), ("300", "1024", False),
    ],
)  # fmt: skip
def test_fargate_has_some_sizes_alone(fresh: Cloud, cpu: str, memory: str, is_had: bool) -> None:
    asked = {
        "family": "run", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": cpu, "memory": memory,
        "containerDefinitions": [{"name": "a", "image": "i"}],
    }  # fmt: skip
    register = fresh.client("ecs").register_task_definition
    if is_had:
        register(**asked)
    else:
        assert "No Fargate configuration exists for given values" in refusal(register, **asked)


def test_a_database_takes_what_its_engine_documents(fresh: Cloud) -> None:
    fresh.make_service_roles()
    rds = fresh.client("rds")
    cluster = {"DBClusterIdentifier": "one", "Engine": "aurora-postgresql", "MasterUsername": "dagster"}
    instance = {"DBInstanceIdentifier": "one", "DBInstanceClass": "db.t4g.micro", "Engine": "postgres"}
    for call, given, most in ((rds.create_db_cluster, cluster, 41), (rds.create_db_instance, instance, 128)):
        assert "not a valid password" in refusal(call, **given, MasterUserPassword="a" * (most + 1))
        assert "not a valid password" in refusal(call, **given, MasterUserPassword="a" * 7)
        assert "not a valid password" in refusal(call, **given, MasterUserPassword="a@bcdefgh")
        assert "retention" in refusal(call, **given, BackupRetentionPeriod=36)
    assert "retention" in refusal(rds.create_db_cluster, **cluster, BackupRetentionPeriod=0)
    rds.create_db_cluster(**cluster, MasterUserPassword="a" * 41, BackupRetentionPeriod=1)
    rds.create_db_instance(**instance, MasterUserPassword="a" * 128, BackupRetentionPeriod=0)
