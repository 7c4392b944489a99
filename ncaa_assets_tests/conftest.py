"""Fixtures that several test files use."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from ncaa_assets.backends.local import LocalStore
from ncaa_assets.sample_api.clips import make_clip
from ncaa_assets.settings import Settings
from ncaa_assets_tests.http_server import ScriptedServer, scripted_server

if TYPE_CHECKING:
    from ncaa_assets_tests.cloud import Cloud


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Tests start without the settings, the `.env` and the Dagster home of whoever runs them."""
    for name in (*Settings.model_fields, "dagster_home"):
        monkeypatch.delenv(name.upper(), raising=False)
    for name in [name for name in os.environ if name.lower().endswith("_proxy") or name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as running:
        yield running


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Result]:
    """The command in this process, on one Dagster home for all tests, with the environment that a test gives."""
    from ncaa_assets.cli import main

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
    """Set when the test ends, so that no thread of a host that stalls outlives it."""
    event = threading.Event()
    yield event
    event.set()


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
def _running_cloud() -> Iterator["Cloud"]:
    from ncaa_assets_tests.cloud import running_cloud  # moto takes a second and a half, which most tests never need

    with running_cloud() as running:
        yield running


@pytest.fixture
def cloud(_running_cloud: "Cloud", monkeypatch: pytest.MonkeyPatch) -> Iterator["Cloud"]:
    """AWS on loopback, empty, with this process's environment leading there; the server is one for all tests."""
    _running_cloud.reset()
    for name, value in _running_cloud.environment().items():
        monkeypatch.setenv(name, value)
    yield _running_cloud
    assert _running_cloud.problems == []
