"""The Dagster instance: where runs are recorded. `local.yaml` becomes `dagster.yaml` in a home that has none."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import filelock

from ncaa_assets.failures import StoreError

LOCAL_CONFIGURATION = Path(__file__).with_name("local.yaml")


def prepare_home(home: Path) -> None:
    """Makes `home` a Dagster home: the folder, and our `dagster.yaml` where it has none. A person's own stays.

    Raises:
        StoreError: the folder cannot be made or written.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        configuration = home / "dagster.yaml"
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
    """The instance in `home`, which is prepared first and set as the process's `DAGSTER_HOME`."""
    prepare_home(home)
    os.environ["DAGSTER_HOME"] = str(home)
    # Two processes that create the same SQLite storage at once trip over one another's tables.
    with filelock.FileLock(home / ".opening.lock"):
        instance = dg.DagsterInstance.get()
        instance.get_runs_count()  # the storages are made when they are first used
    with instance:
        yield instance
