"""What ECS and RDS refuse and moto does not. The rules of S3 are in s3_rules.py.

Sources: the ECS developer guide ("Task definition states", "Task CPU and memory", "Using service-linked roles") and API
reference; the RDS API reference (CreateDBInstance, CreateDBCluster) and user guide ("Using service-linked roles").
"""

import json
import urllib.parse
from typing import Any

from moto.ecs.models import ecs_backends
from moto.iam.models import iam_backends

from ncaa_assets_tests.loopback.mediaconvert import REGION
from ncaa_assets_tests.loopback.s3_rules import ACCOUNT, Refused

_STARTS = ("RunTask", "StartTask", "CreateService", "UpdateService")
_GIB = 1024
FARGATE_MEMORY = {  # CPU units: the MiB that they may be had with
    256: [512, 1 * _GIB, 2 * _GIB],
    512: range(1 * _GIB, 4 * _GIB + 1, _GIB),
    1024: range(2 * _GIB, 8 * _GIB + 1, _GIB),
    2048: range(4 * _GIB, 16 * _GIB + 1, _GIB),
    4096: range(8 * _GIB, 30 * _GIB + 1, _GIB),
    8192: range(16 * _GIB, 60 * _GIB + 1, 4 * _GIB),
    16384: range(32 * _GIB, 120 * _GIB + 1, 8 * _GIB),
}
_PASSWORD = {"CreateDBInstance": range(8, 129), "CreateDBCluster": range(8, 42)}  # its characters, for Postgres
_BACKUP_DAYS = {"CreateDBInstance": range(36), "CreateDBCluster": range(1, 36)}


def check(service: str, operation: str, body: bytes) -> None:
    """Looks at a request before it is processed.

    Raises:
        Refused: AWS would refuse it.
    """
    if service == "ecs":
        _check_ecs(operation, _json(body))
    elif service == "rds" and operation in _PASSWORD:
        _check_database(operation, dict(urllib.parse.parse_qsl(body.decode())))


def _check_ecs(operation: str, asked: dict[str, Any]) -> None:
    if operation in _STARTS and asked.get("taskDefinition"):
        family, _, revision = str(asked["taskDefinition"]).rpartition("/")[2].partition(":")
        known = ecs_backends[ACCOUNT][REGION].task_definitions.get(family, {})
        if revision and revision.isdigit() and int(revision) in known and known[int(revision)].status == "INACTIVE":
            raise Refused(400, "ClientException", "TaskDefinition is inactive")
    if operation in ("CreateCluster", "CreateService") and not has_service_role("ecs"):
        message = "Unable to assume the service linked role. Please verify that the ECS service linked role exists."
        raise Refused(400, "InvalidParameterException", message)
    is_for_fargate = operation == "RegisterTaskDefinition" and "FARGATE" in asked.get("requiresCompatibilities", [])
    if is_for_fargate and int(asked["memory"]) not in FARGATE_MEMORY.get(int(asked["cpu"]), []):
        raise Refused(400, "ClientException", "No Fargate configuration exists for given values.")


def _check_database(operation: str, asked: dict[str, str]) -> None:
    if not has_service_role("rds"):
        message = (
            "Unable to create the resource. Verify that you have permission to create service linked role. "
            "Otherwise wait and try again later"
        )
        raise Refused(400, "InvalidParameterValue", message)
    password = asked.get("MasterUserPassword")
    if password is not None and (len(password) not in _PASSWORD[operation] or set(password) & set('/"@ ')):
        raise Refused(400, "InvalidParameterValue", "The parameter MasterUserPassword is not a valid password.")
    if int(asked.get("BackupRetentionPeriod", "1")) not in _BACKUP_DAYS[operation]:
        raise Refused(400, "InvalidParameterValue", "Invalid backup retention period.")


def has_service_role(service: str) -> bool:
    """Whether the account has a service's own role: nobody has used `service` in a fresh one."""
    path = f"/aws-service-role/{service}.amazonaws.com/"
    return any(role.path == path for role in iam_backends[ACCOUNT]["aws"].roles.values())


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
