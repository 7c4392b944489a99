"""Every private name of Dagster that the project uses, in one file, so that each new release is checked against it.

Dagster 1.13 offers no public way to give a command's run its origin, to record a run that a signal ended as cancelled,
to watch a worker on ECS, to keep a home's databases open, or to serve its UI from a process of one's own. The tests of
`runs/` and `ui/` hold each name.
(`instance/local.yaml` has one more: the log manager that captures nothing.)
"""

from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.code_pointer import CodePointer
from dagster._core.definitions.executor_definition import ExecutorDefinition
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.execution.api import execute_run_iterator
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.in_process import InProcessExecutor
from dagster._core.launcher import WorkerStatus
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.tags import (
    GRPC_INFO_TAG,
    MAX_RETRIES_TAG,
    PARENT_RUN_ID_TAG,
    ROOT_RUN_ID_TAG,
    WILL_RETRY_TAG,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._utils.error import serializable_error_info_from_exc_info
from dagster._utils.interrupts import capture_interrupts, check_captured_interrupt
from dagster_shared.error import SerializableErrorInfo

if TYPE_CHECKING:
    from dagster._core.workspace.context import (  # loads what a webserver needs
        BaseWorkspaceRequestContext,
        WorkspaceProcessContext,
    )

__all__ = [
    "GRPC_INFO_TAG",
    "MAX_RETRIES_TAG",
    "PARENT_RUN_ID_TAG",
    "ROOT_RUN_ID_TAG",
    "WILL_RETRY_TAG",
    "BaseWorkspaceRequestContext",
    "CodePointer",
    "DagsterExecutionInterruptedError",
    "ExecutionPlan",
    "ExecutorDefinition",
    "GrpcServerCodeLocationOrigin",
    "InMemoryJob",
    "InProcessExecutor",
    "JobPythonOrigin",
    "LoadableTargetOrigin",
    "ManagedGrpcPythonEnvCodeLocationOrigin",
    "PlanOrchestrationContext",
    "RemoteJobOrigin",
    "RemoteRepositoryOrigin",
    "RepositoryPythonOrigin",
    "RetryMode",
    "SerializableErrorInfo",
    "UnresolvedAssetJobDefinition",
    "WorkerStatus",
    "capture_interrupts",
    "check_captured_interrupt",
    "daemon_main",
    "execute_run_iterator",
    "serializable_error_info_from_exc_info",
    "sqlite_event_log",
    "sqlite_run_storage",
    "workspace_context",
]


def daemon_main() -> None:
    """What the command `dagster-daemon` does."""
    from dagster._daemon.cli import main  # noqa: PLC0415 - only the daemon needs it

    main()


def workspace_context(instance: dg.DagsterInstance, workspace: Path) -> "WorkspaceProcessContext":
    """What a webserver knows of the code locations in a workspace.yaml; to be entered."""
    from dagster._core.workspace.context import WorkspaceProcessContext  # noqa: PLC0415
    from dagster._core.workspace.load_target import WorkspaceFileTarget  # noqa: PLC0415

    return WorkspaceProcessContext(
        instance, version=dg.__version__, workspace_load_target=WorkspaceFileTarget([str(workspace)])
    )
