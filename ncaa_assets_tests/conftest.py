"""Fixtures of several test files, the order in which `make test` hands the files to its processes, and what happens to
a test if the machine lacks a tool."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from click.testing import CliRunner, Result

from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.settings import Settings
from ncaa_assets.source.sample_api.clips import make_clip
from ncaa_assets_tests.loopback.http_server import ScriptedServer, scripted_server
from ncaa_assets_tests.loopback.lacking import Lacking

if TYPE_CHECKING:
    from ncaa_assets_tests.loopback.aws import Cloud
    from ncaa_assets_tests.loopback.seaweedfs import SeaweedFS

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("without a clock", deadline=None)
hypothesis.settings.load_profile("without a clock")

# The files that take longest, in the order in which several processes begin them: first those that mostly wait (for
# databases, a daemon, a package index) beside one that computes, so that none of them is the last to end.
_FIRST = (
    "deployment/test_terraform.py", "commands/test_interrupted.py", "runs/test_daemon.py", "ui/test_services.py",
    "test_readme_pasted.py", "runs/test_beside_others.py",
    "deployment/test_image.py",
    "commands/test_aws_day.py", "commands/test_s3_day.py", "runs/test_ecs.py", "commands/test_ranges.py",
    "backends/test_mediaconvert.py", "video/test_pages.py", "deployment/test_wheel.py", "commands/test_shortages.py",
    "commands/test_verify.py", "gallery/test_pages_in_a_browser.py", "archive/test_wrong_documents.py",
    "video/test_copier.py", "commands/test_catch_up.py", "commands/test_backup.py", "runs/test_execute.py",
    "backends/test_contracts.py", "runs/test_day_line.py", "deployment/test_alerts.py", "backends/test_kinds.py",
    "archive/test_lease.py", "commands/test_output.py", "commands/test_hostile_texts.py", "commands/test_clocks.py",
    "commands/test_ui.py", "commands/test_homes.py", "ui/test_foreign_pages.py", "defs/test_pages.py",
    "commands/test_doctor.py", "commands/test_end_to_end.py", "backends/test_s3.py", "defs/test_sensor.py",
)  # fmt: skip
_TESTS = Path(__file__).parent
_MOST_PROCESSES = 6  # more would end no sooner than the longest file does


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """What `-n auto` means here: two more than there are cores, because two of the longest files mostly wait."""
    return min(_MOST_PROCESSES, (os.cpu_count() or 1) + 2)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):  # one process of several; alone, files keep the order of their names
        rank = {name: place for place, name in enumerate(_FIRST)}
        items.sort(key=lambda item: rank.get(item.path.relative_to(_TESTS).as_posix(), len(rank)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that the machine lacks a tool for is skipped with what to do about it. In CI it fails: nothing goes
    untested in silence there."""
    if call.excinfo is not None and isinstance(lacking := call.excinfo.value, Lacking):
        outcome = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        call.excinfo = pytest.CallInfo.from_call(lambda: outcome(str(lacking)), call.when).excinfo
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, dict[str, Any] | None, Any]:
    """Makes a report safe to send to the process that prints it: half a surrogate pair in a log would end both."""
    return _encodable((yield))


def _encodable(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode("utf-8")
        case dict():
            return {_encodable(key): _encodable(one) for key, one in value.items()}
        case list() | tuple():
            return type(value)(map(_encodable, value))
    return value


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keeps the settings, the `.env` and the Dagster home of whoever runs the tests out of them."""
    for name in (*Settings.model_fields, "dagster_home"):
        monkeypatch.delenv(name.upper(), raising=False)
    for name in [name for name in os.environ if name.lower().endswith("_proxy") or name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES"):  # `make` that runs in `make test` says so
        monkeypatch.delenv(name, raising=False)
    # As after `. .venv/bin/activate`, so that sentences name the command by its name (test_advice.py has the others).
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    monkeypatch.setenv("PATH", path)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as running:
        yield running


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Result]:
    """The command in this process, on one Dagster home for all tests, with the environment that a test gives."""
    import ncaa_assets_tests.loopback.migrations  # noqa: F401 - it speeds up whatever this process does with Dagster
    from ncaa_assets.commands.main import main

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    home = tmp_path_factory.getbasetemp() / "home-of-commands"

    def invoke(*arguments: str, **environment: str) -> Result:
        monkeypatch.setenv("DAGSTER_HOME", str(home))
        for name, value in {"RETRY_DELAY": "0", **environment}.items():
            monkeypatch.setenv(name, value)
        try:
            return CliRunner().invoke(main, arguments)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    return invoke


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """An event that is set when the test ends, so that no thread of a stalling host outlives it."""
    event = threading.Event()
    yield event
    event.set()


# Modules that a run imports late. Without this list each child would spend seconds on importing them.
_IMPORTED_LATE = [
    "ncaa_assets_tests.days", "ncaa_assets_tests.loopback.boto_files", "ncaa_assets_tests.loopback.migrations",
    "ncaa_assets.backends.aws.s3", "ncaa_assets.video.safe_http",
    "tenacity", "imageio_ffmpeg", "alembic.command", "sqlalchemy.dialects.sqlite", "boto3.s3.inject",
    "dagster._core.definitions.repository_definition.repository_data_builder", "dagster._core.execution.plan.active",
    "dagster._core.instance.factory", "dagster._core.instance.runs.run_domain", "dagster._core.storage.migration.utils",
    "dagster._core.storage.noop_compute_log_manager", "dagster._core.storage.root",
    "dagster._core.storage.sqlite_storage", "upath.implementations.local",
]  # fmt: skip


@pytest.fixture(scope="session")
def forkserver() -> ForkServerContext:
    """Starts children from a process with one thread that has imported everything, in a tenth of a second each."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_IMPORTED_LATE)
    return context


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "archive")


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of real H.264 with sound, 320×180, that ffmpeg made."""
    return make_clip(tmp_path_factory.mktemp("clips") / "sound.mp4", seconds=2, height=180)


@pytest.fixture(scope="session")
def silent_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of real H.264 without sound, 320×180."""
    return make_clip(tmp_path_factory.mktemp("clips") / "silent.mp4", seconds=2, height=180, sound=False)


@pytest.fixture(scope="session")
def _aws_of_the_session() -> Iterator["Cloud"]:
    # moto takes a second and a half, which most tests never need.
    import ncaa_assets_tests.loopback.boto_files  # noqa: F401 - it speeds up whatever this process does with boto3
    from ncaa_assets_tests.loopback.aws import running_cloud

    with running_cloud() as running:
        yield running


@pytest.fixture(scope="session")
def _seaweedfs_of_the_session() -> Iterator["SeaweedFS"]:
    import ncaa_assets_tests.loopback.boto_files  # noqa: F401 - it speeds up whatever this process does with boto3
    from ncaa_assets_tests.loopback.seaweedfs import running_seaweedfs

    with running_seaweedfs() as running:
        yield running


@pytest.fixture
def seaweedfs(_seaweedfs_of_the_session: "SeaweedFS", monkeypatch: pytest.MonkeyPatch) -> "SeaweedFS":
    """SeaweedFS on loopback, with this process's environment leading there. All tests share one server."""
    for name, value in _seaweedfs_of_the_session.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)  # it remembers the credentials of the tests before
    return _seaweedfs_of_the_session


@pytest.fixture
def cloud(_aws_of_the_session: "Cloud", monkeypatch: pytest.MonkeyPatch) -> Iterator["Cloud"]:
    """AWS on loopback, empty, with this process's environment leading there. All tests share one server."""
    _aws_of_the_session.reset()
    for name, value in _aws_of_the_session.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", os.environ["AWS_REGION"])  # for boto3 in this process, without a command
    yield _aws_of_the_session
    assert _aws_of_the_session.problems == []
