"""The Dagster instance, where runs are recorded: prepared, opened, and examined for the doctor.

`local.yaml` becomes the `dagster.yaml` of a home that has none. On ECS the image has put `ecs.yaml` there already."""

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
from ncaa_assets.runs.names import PARTITION_TAG
from ncaa_assets.text import visible

CONFIGURATION = "dagster.yaml"
_ALIVE_SECONDS = 120  # a daemon's heartbeats are 30 s apart
LOCAL_CONFIGURATION = Path(__file__).parents[1] / "instance" / "local.yaml"


def prepare_home(home: Path) -> None:
    """Makes `home` a Dagster home: creates the folder, and copies our `dagster.yaml` there unless it has one.

    Raises:
        StoreError: the folder cannot be created or written.
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
            "fix its permissions, or set DAGSTER_HOME to another folder"
        ) from error


@contextmanager
def open_instance(home: Path) -> Iterator[dg.DagsterInstance]:
    """Prepares `home`, makes it the process's `DAGSTER_HOME`, and gives its instance.

    Raises:
        StoreError: the folder, or the database that its `dagster.yaml` names, cannot be used.
        SettingsError: that file is not valid, or names a variable that is unset.
    """
    prepare_home(home)
    os.environ["DAGSTER_HOME"] = str(home)
    # Two processes that create the same SQLite storage at once collide over its tables.
    with ExitStack() as stack:
        with filelock.FileLock(home / ".opening.lock"):
            try:
                instance = stack.enter_context(dg.DagsterInstance.get())
                instance.get_runs_count()  # the first use creates the storages
            except (dg.DagsterInvalidConfigError, yaml.YAMLError) as error:
                raise SettingsError(f"{home / CONFIGURATION} {_what_is_wrong(error)}") from error
            except Exception as error:
                raise StoreError(
                    f"Dagster cannot record its runs ({one_line(error)}); check that the database in "
                    f"{home / CONFIGURATION} is up and can be reached, then run it again"
                ) from error
        yield instance


def _what_is_wrong(error: dg.DagsterInvalidConfigError | yaml.YAMLError) -> str:
    if unset := re.search(r'environment variable "?(\w+)', str(error)):
        return f"names {unset[1]}, which is unset; set it"
    problem = error.errors[0].message if isinstance(error, dg.DagsterInvalidConfigError) else str(error)
    return f"is not a valid configuration of Dagster ({visible(problem, most=200)}); correct it"


def launches_on_ecs(instance: dg.DagsterInstance) -> bool:
    """Whether each run of the instance gets a task on ECS. A run without a task would be taken for dead there."""
    launcher = instance.get_ref().run_launcher_data if instance.is_persistent else None
    return launcher is not None and launcher.class_name == "EcsRunLauncher"


def examine_instance(home: Path) -> Iterator[Line]:
    """The doctor's lines on the instance in `home`: its last run, its launcher, its daemon."""
    os.environ["DAGSTER_HOME"] = str(home)
    try:
        with dg.DagsterInstance.get() as instance:
            records = instance.get_run_records(limit=1)
            beats = instance.get_daemon_heartbeats()
            states = instance.all_instigator_state()
            stopped = [state.name for state in states if state.status.value == "STOPPED"]
            launcher = list(_examine_launcher(instance))
    except Exception as error:  # noqa: BLE001 - whatever a configuration or a database may raise ends a run too
        text = f"the Dagster instance in {home} cannot be used ({one_line(error)}); correct {home / CONFIGURATION}"
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
        text = "none is running, so nothing starts by itself without cron (`make backup` ends with a line for it)"
        yield Line(Mark.WARN, "daemon", f"{text}; or keep `make ui` open")
    elif errors:
        yield Line(Mark.WARN, "daemon", f"it is running, with errors ({one_line(Exception(errors[0]))}); see its log")
    else:
        yield Line(Mark.OK, "daemon", f"its last heartbeat was {age:.0f} s ago", {"seconds": age})
    for name in stopped:
        yield Line(Mark.WARN, "daemon", f"{name} is switched off; switch it on in the UI under Automation")


def _examine_launcher(instance: dg.DagsterInstance) -> Iterator[Line]:
    """The doctor's line on whether runs can be launched on ECS, where the instance does that. A run's own role may not
    ask."""

    if not launches_on_ecs(instance):
        return
    from ncaa_assets.backends.aws.boto import is_denied  # noqa: PLC0415
    from ncaa_assets.runs.ecs import check_launcher  # noqa: PLC0415

    try:
        check_launcher(instance)
    except BackupError as error:
        if is_denied(error.__cause__):
            text = "this role may not launch any run; a run's own need not, but the service's and catch-up's must"
            yield Line(Mark.WARN, "runs", text)
        else:
            yield Line(Mark.FAIL, "runs", str(error))
    else:
        yield Line(Mark.OK, "runs", "each gets a task of its own on ECS, and its task definition is there")
