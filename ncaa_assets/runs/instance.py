"""The Dagster instance, where runs are recorded: prepared, opened, gone on without, and examined for the doctor.

`local.yaml` becomes the `dagster.yaml` of a home that has none. On ECS the image has put `ecs.yaml` there already.

The archive needs nothing of a home. So a command whose home on this machine is damaged or locked goes on in a temporary
instance, and says so once. Where runs are recorded in a database of a network, or launched on ECS, it fails: others
look there.
"""

import os
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import dagster as dg
import filelock
import yaml
from sqlalchemy.exc import SQLAlchemyError

from ncaa_assets import advice
from ncaa_assets.checkup import Line, Mark
from ncaa_assets.failures import BackupError, SettingsError, Shortage, StoreError, explained, one_line
from ncaa_assets.runs.names import PARTITION_TAG
from ncaa_assets.text import visible

CONFIGURATION = "dagster.yaml"
_ALIVE_SECONDS = 120  # a daemon's heartbeats are 30 s apart
LOCAL_CONFIGURATION = Path(__file__).parents[1] / "instance" / "local.yaml"
_MOST_PATH = 500  # characters of a path in a sentence
_PATIENCE = 30.0  # seconds for all locks of a home together

# What Dagster keeps in a home on this machine. Each run has a file of its own beside `index.db`.
_INDEX = "history/runs/index.db"
_DATABASES = ("history/runs.db", _INDEX, "schedules/schedules.db")
# What a dagster.yaml names whose runs are recorded or launched elsewhere.
_ELSEWHERE = re.compile(r"postgres|mysql|custom:|(?<!Default)RunLauncher", re.IGNORECASE)


_NEW = "the next run makes a new one"


class HomeUnusable(StoreError):
    """A home on this machine cannot record runs; the message says why and how to mend it."""


def make_home(home: Path) -> None:
    """Creates the folder, and copies our `dagster.yaml` there unless it has one.

    Raises:
        HomeUnusable: it cannot be written.
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
    except (FileExistsError, NotADirectoryError) as error:
        raise HomeUnusable(
            f"{_shown(error.filename or home)} is a file, and a folder has to be there for {_shown(home)}; move it "
            "away, or set DAGSTER_HOME to another folder"
        ) from error
    except OSError as error:
        raise HomeUnusable(
            f"{_shown(home)}, where Dagster records its runs, cannot be written ({error.strerror or error}); free "
            "some space, mend its permissions, or set DAGSTER_HOME to another folder"
        ) from error


def _look_at_databases(home: Path, *, until: float) -> None:
    """Sees that the databases of a home are there whole or not at all, and not locked for longer than `until`."""
    for name in () if _is_elsewhere(home) else _DATABASES:
        path = home / name
        try:
            path.open("rb").close()  # says more of what is wrong than SQLite
            left = max(0.0, until - time.monotonic())
            with closing(sqlite3.connect(path, timeout=left, isolation_level=None)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
                if name == _INDEX:  # Dagster makes its tables only where the file is missing
                    connection.execute("SELECT count(*) FROM event_logs WHERE id < 0").fetchall()
        except FileNotFoundError:
            continue  # Dagster makes it
        except (OSError, sqlite3.Error) as error:
            raise _unusable(home, error, path=path) from error


def _unusable(home: Path, error: Exception, *, path: Path | None = None) -> BackupError:
    """What keeps a home, or `path` in it, from recording runs, as a sentence. What is no fault of the home is told as
    what it is."""
    if isinstance(error, BackupError):
        return error
    words, configuration = one_line(error), home / CONFIGURATION
    is_misconfigured = isinstance(error, dg.DagsterInvalidConfigError | yaml.YAMLError | UnicodeDecodeError)
    ours = explained(error)
    if _is_elsewhere(home):
        if is_misconfigured:
            return SettingsError(f"{configuration} {_what_is_wrong(error)}")
        if isinstance(ours, SettingsError):  # a package is missing
            return ours
        return StoreError(
            f"Dagster cannot record its runs ({words}); check that the database in {configuration} is up and can be "
            "reached, then run it again"
        )
    if is_misconfigured:
        return HomeUnusable(f"{_shown(configuration)} {_what_is_wrong(error)}, or delete the file: {_NEW}")
    place, away = _shown(path or home), f"move {_shown(home)} away: {_NEW}, and the archive needs nothing of it"
    if isinstance(error, filelock.Timeout) or "database is locked" in words:
        return HomeUnusable(f"another process keeps {place} locked; end that process, or {away}")
    if isinstance(error, PermissionError) or "readonly database" in words:
        how = "mend its permissions, or set DAGSTER_HOME to another folder"
        return HomeUnusable(f"this user may not read and write {place}; {how}")
    if "disk is full" in words or "No space left" in words:
        return HomeUnusable(f"the disk that holds {place} is full; free some space, or set DAGSTER_HOME elsewhere")
    if isinstance(ours, Shortage):
        return ours
    if not _is_of_a_database(error):
        return HomeUnusable(f"{place} cannot be used ({words}); correct {_shown(configuration)}, or {away}")
    if "unable to open" in words and (shortage := _shortage()) is not None:
        return shortage
    return HomeUnusable(f"{place} is damaged ({words}); {away}")


def _shown(path: object) -> str:
    return visible(path, most=_MOST_PATH)


def _is_of_a_database(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, SQLAlchemyError | sqlite3.Error):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _shortage() -> BackupError | None:
    """The error where this process may open no more files: SQLite does not say why it cannot open one."""
    opened: list[int] = []
    try:
        opened += [os.open(os.devnull, os.O_RDONLY) for _ in range(8)]
    except OSError as error:
        return explained(error)
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return None


def _is_elsewhere(home: Path) -> bool:
    """Whether the home's `dagster.yaml` has runs recorded or launched elsewhere than on this machine."""
    try:
        text = (home / CONFIGURATION).read_text("utf-8", "replace")
    except OSError:
        return False
    return _ELSEWHERE.search(re.sub(r"(?m)(^|\s)#.*", "", text)) is not None


@contextmanager
def open_instance(home: Path) -> Iterator[dg.DagsterInstance]:
    """Prepares `home`, makes it the process's `DAGSTER_HOME`, and gives its instance.

    Raises:
        HomeUnusable: the folder, its `dagster.yaml` or a database in it cannot be used.
        StoreError: the database elsewhere that its `dagster.yaml` names cannot be used.
        SettingsError: a `dagster.yaml` that names something elsewhere is not valid, or names a variable that is unset.
    """
    os.environ["DAGSTER_HOME"] = str(home)
    until = time.monotonic() + _PATIENCE
    make_home(home)
    # Two processes that create the same SQLite storage at once collide over its tables.
    with ExitStack() as stack:
        lock = home / ".opening.lock"
        try:
            with filelock.FileLock(lock, timeout=_PATIENCE):
                _look_at_databases(home, until=until)
                instance = stack.enter_context(dg.DagsterInstance.get())
                instance.get_runs_count()  # the first use creates the storages
                _make_parts(home, instance)
        except filelock.Timeout as error:
            raise _unusable(home, error, path=lock) from error
        except Exception as error:
            raise _unusable(home, error) from error
        yield instance


def _make_parts(home: Path, instance: dg.DagsterInstance) -> None:
    """Has an instance make what it would make in the middle of a run, where a wrong `dagster.yaml` shows too."""
    if not _is_elsewhere(home):  # there, the launcher asks AWS, and `ecs.check_launcher` tells of it
        _ = instance.run_coordinator, instance.run_launcher, instance.compute_log_manager


class Recorder:
    """Where a command's runs are recorded: in the instance of its home, or, once that cannot be used, in a temporary
    one, which ends with the command. `say` is called with the sentence that says so, once."""

    def __init__(self, home: Path, *, say: Callable[[str], None]) -> None:
        self._home, self._say = home, say
        self._stack = ExitStack()
        self._broken: HomeUnusable | None = None
        self._half_recorded: tuple[dg.DagsterInstance, str] | None = None
        try:
            self.instance = self._stack.enter_context(open_instance(home))
        except HomeUnusable as error:
            if _is_elsewhere(home):
                raise
            self._lose(error)
            self._open_temporary()
            return
        if not _is_elsewhere(home):
            self._record = self.instance.handle_new_event
            setattr(self.instance, "handle_new_event", self._record_if_possible)  # noqa: B010 - a method of its own

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Of a home that broke, nothing more is needed.
        with suppress(SQLAlchemyError, sqlite3.Error, HomeUnusable):
            self._end_half_recorded_run()
        with suppress(SQLAlchemyError, sqlite3.Error):
            self._stack.close()

    def _end_half_recorded_run(self) -> None:
        """Where a home broke and works again, as after a lock, marks the run as cancelled whose record ends in its
        middle: for a run without an end, people would be alerted."""
        if self._broken is None or self._half_recorded is None:
            return
        instance, run_id = self._half_recorded
        _look_at_databases(self._home, until=time.monotonic())
        delattr(instance, "handle_new_event")  # from here on, Dagster's own again
        run = instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            how = "the home could not record the rest of this run, so its day was backed up by one that is not recorded"
            instance.report_run_canceled(run, message=how)

    def goes_on_without(self, error: Exception) -> bool:
        """Whether this error says that the home broke while it recorded a run. Then `instance` is a temporary one from
        now on, and the run can be begun anew there."""
        if self._broken is None and not _is_elsewhere(self._home) and _is_of_a_database(error):
            reason = _unusable(self._home, error)
            if isinstance(reason, HomeUnusable):
                self._lose(reason)
        if self._broken is None or not self.instance.is_persistent:
            return False
        self._open_temporary()
        return True

    def _record_if_possible(self, event: dg.EventLogEntry, **options: Any) -> None:
        """Records an event. Once that failed, it fails at once: each attempt would wait for a lock anew.

        Raises:
            HomeUnusable: the home broke.
        """
        if self._broken is None:
            try:
                return self._record(event, **options)
            except (SQLAlchemyError, sqlite3.Error, OSError) as error:
                reason = _unusable(self._home, error)
                if not isinstance(reason, HomeUnusable):
                    raise reason from error
                self._half_recorded = self.instance, event.run_id
                self._lose(reason)
        assert self._broken is not None  # noqa: S101 - `_lose` was called
        raise self._broken

    def _lose(self, reason: HomeUnusable) -> None:
        self._broken = reason
        self._say(f"runs are not recorded in the UI now, and the backup goes on: {reason}")

    def _open_temporary(self) -> None:
        self.instance = self._stack.enter_context(dg.DagsterInstance.ephemeral())


def _what_is_wrong(error: Exception) -> str:
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
        _look_at_databases(home, until=time.monotonic() + _PATIENCE)
        with dg.DagsterInstance.get() as instance:
            _make_parts(home, instance)
            records = instance.get_run_records(limit=1)
            beats = instance.get_daemon_heartbeats()
            states = instance.all_instigator_state()
            stopped = [state.name for state in states if state.status.value == "STOPPED"]
            launcher = list(_examine_launcher(instance))
    except Exception as error:  # noqa: BLE001 - whatever a configuration or a database may raise
        reason = _unusable(home, error)
        if isinstance(reason, HomeUnusable):
            text = f"a backup works, but is not recorded in the UI, and the UI does not start: {reason}"
            yield Line(Mark.WARN, "instance", text)
        else:
            yield Line(Mark.FAIL, "instance", str(reason))
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
        daily = advice.target("backup")
        text = f"none is running, so nothing starts by itself without cron (`{daily}` ends with a line for it)"
        yield Line(Mark.WARN, "daemon", f"{text}; or keep `{advice.target('ui')}` open")
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
