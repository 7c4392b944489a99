"""The Dagster instance: where runs are recorded. `local.yaml` becomes `dagster.yaml` in a home that has none; on ECS
`ecs.yaml` is there already, put by the image."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg
import filelock
import yaml

from ncaa_assets.failures import SettingsError, StoreError, one_line
from ncaa_assets.text import visible

CONFIGURATION = "dagster.yaml"
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
