"""The Dagster instance: where runs are recorded. `local.yaml` becomes `dagster.yaml` in a home that has none; on ECS
`ecs.yaml` is there already, put by the image."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg
import filelock
import yaml

from ncaa_assets.checkup import Line, Mark
from ncaa_assets.failures import BackupError, SettingsError, StoreError, one_line
from ncaa_assets.runs.dagster_private import InstigatorStatus
from ncaa_assets.runs.names import PARTITION_TAG
from ncaa_assets.text import visible

CONFIGURATION = "dagster.yaml"
_ALIVE_SECONDS = 120  # a daemon's heartbeats are 30 s apart
LOCAL_CONFIGURATION = Path(__file__).parents[1] / "instance" / "local.yaml"


def prepare_home(home: Path) -> None:
    """Makes `home` a Dagster home: the folder, and our `dagster.yaml` where it has none. A person's own stays.

    Raises:
        StoreError: the folder cannot be made or written.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        configuration = home / CONFIGURATION
        if not configuration.exists():
            temporary = home / f".dagster.yaml.{os.getpid()}"
            shutil.copyfile(LOCAL_CONFIGURATION, temporary)
            temporary.replace(configuration)
        probe = home / f".probe.{os.getpid()}"
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
    except OSError as error:
        raise StoreError(
            f"{home}, where Dagster records its runs, cannot be written ({error.strerror or error}); free some space, "
            "mend its permissions, or set DAGSTER_HOME to another folder"
        ) from error


@contextmanager
def open_instance(home: Path) -> Iterator[dg.DagsterInstance]:
    """The instance in `home`, which is prepared first and set as the process's `DAGSTER_HOME`.

    Raises:
        StoreError: the folder, or the database that its `dagster.yaml` names, cannot be used.
        SettingsError: that file, or a variable that it names, is not as it must be.
    """
    prepare_home(home)
    os.environ["DAGSTER_HOME"] = str(home)
    # Two processes that create the same SQLite storage at once trip over one another's tables.
    with ExitStack() as stack:
        with filelock.FileLock(home / ".opening.lock"):
            try:
                instance = stack.enter_context(dg.DagsterInstance.get())
                instance.get_runs_count()  # the storages are made when they are first used
            except (dg.DagsterInvalidConfigError, yaml.YAMLError) as error:
                raise SettingsError(f"{home / CONFIGURATION} {_what_is_wrong(error)}") from error
            except Exception as error:
                raise StoreError(
                    f"where Dagster records its runs cannot be used ({one_line(error)}); see that the database in "
                    f"{home / CONFIGURATION} is up and can be reached, then run it again"
                ) from error
        yield instance


def _what_is_wrong(error: dg.DagsterInvalidConfigError | yaml.YAMLError) -> str:
    if unset := re.search(r'environment variable "?(\w+)', str(error)):
        return f"names {unset[1]}, which is unset; set it"
    found = error.errors[0].message if isinstance(error, dg.DagsterInvalidConfigError) else str(error)
    return f"is not as Dagster wants it ({visible(found, most=200)}); mend it"


def launches_on_ecs(instance: dg.DagsterInstance) -> bool:
    """Whether each run of the instance gets a task on ECS: one without a task would pass for dead there."""
    launcher = instance.get_ref().run_launcher_data if instance.is_persistent else None
    return launcher is not None and launcher.class_name == "EcsRunLauncher"


def examine_instance(home: Path) -> Iterator[Line]:
    """How the instance in `home` stands, for `ncaa-assets doctor`: its last run, its launcher, its daemon."""
    os.environ["DAGSTER_HOME"] = str(home)
    try:
        with dg.DagsterInstance.get() as instance:
            records = instance.get_run_records(limit=1)
            beats = instance.get_daemon_heartbeats()
            states = instance.all_instigator_state()
            stopped = [state.name for state in states if state.status == InstigatorStatus.STOPPED]
            launcher = list(_examine_launcher(instance))
    except Exception as error:  # noqa: BLE001 - whatever a configuration or a database may raise ends a run too
        text = f"the Dagster instance in {home} cannot be used ({one_line(error)}); mend {home / CONFIGURATION}"
        yield Line(Mark.FAIL, "instance", text)
        return
    if records:
        run = records[0].dagster_run
        day = run.tags.get(PARTITION_TAG, "no day")
        at = records[0].create_timestamp.strftime("%Y-%m-%d %H:%M UTC")
        yield Line(Mark.OK, "instance", f"{home}; last run: {day}, {run.status.value.lower()} ({at})")
    else:
        yield Line(Mark.OK, "instance", f"{home}; no run yet")
    yield from launcher
    newest = max((beat.timestamp for beat in beats.values()), default=0.0)
    age = time.time() - newest
    errors = [error.message for beat in beats.values() for error in beat.errors or [] if age < _ALIVE_SECONDS]
    if age >= _ALIVE_SECONDS:
        text = "none works here: nothing starts by itself but what cron does (`make backup` ends with a line for it)"
        yield Line(Mark.WARN, "daemon", f"{text}; or keep `make ui` open")
    elif errors:
        yield Line(Mark.WARN, "daemon", f"it works, with errors ({one_line(Exception(errors[0]))}); see its log")
    else:
        yield Line(Mark.OK, "daemon", f"its last heartbeat was {age:.0f} s ago")
    for name in stopped:
        yield Line(Mark.WARN, "daemon", f"{name} is switched off; switch it on in the UI under Automation")


def _examine_launcher(instance: dg.DagsterInstance) -> Iterator[Line]:
    """Whether runs can be launched, where the instance gives each a task on ECS. A run's own role may not look."""

    if not launches_on_ecs(instance):
        return
    from ncaa_assets.backends.aws.boto import is_denied  # noqa: PLC0415
    from ncaa_assets.runs.ecs import check_launcher  # noqa: PLC0415

    try:
        check_launcher(instance)
    except BackupError as error:
        if is_denied(error.__cause__):
            text = "this role may not launch any; that of a run need not, the service's and catch-up's have to"
            yield Line(Mark.WARN, "runs", text)
        else:
            yield Line(Mark.FAIL, "runs", str(error))
    else:
        yield Line(Mark.OK, "runs", "each gets a task of its own on ECS, and its task definition is there")
