"""The health check of the daemon's container, with made-up answers. test_daemon.py asks a real webserver."""

import json
import subprocess
import sys
import time
from collections.abc import Iterable
from typing import Any

import pytest

from ncaa_assets.runs.daemon_health import silent_daemons
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer


def webserver(server: ScriptedServer, statuses: Iterable[dict[str, Any]]) -> str:
    told = {"data": {"instance": {"daemonHealth": {"allDaemonStatuses": list(statuses)}}}}
    server.on("/graphql", Reply(json.dumps(told).encode(), content_type="application/json"))
    return server.url("")


def test_daemons_that_are_required_and_silent_are_named(server: ScriptedServer) -> None:
    now = time.time()
    statuses = [
        {"daemonType": "SCHEDULER", "required": True, "lastHeartbeatTime": now - 60},
        {"daemonType": "SENSOR", "required": True, "lastHeartbeatTime": now - 3600},
        {"daemonType": "MONITORING", "required": True, "lastHeartbeatTime": None},
        {"daemonType": "ASSET", "required": False, "lastHeartbeatTime": None},
    ]
    assert silent_daemons(webserver(server, statuses)) == ["SENSOR", "MONITORING"]


@pytest.mark.parametrize(("age", "code"), [(5, 0), (7200, 1)])
def test_as_a_command_it_ends_with_what_ecs_looks_at(server: ScriptedServer, age: float, code: int) -> None:
    status = {"daemonType": "SENSOR", "required": True, "lastHeartbeatTime": time.time() - age}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "ncaa_assets.runs.daemon_health", webserver(server, [status])],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == code
    assert ("no sign of life from SENSOR" in done.stderr) == bool(code)
    assert "dagster" not in done.stderr, "it is there because Dagster is too large for a check"


def test_a_webserver_that_does_not_answer_or_answers_something_else_is_no_health(server: ScriptedServer) -> None:
    with pytest.raises(OSError, match="404"):
        silent_daemons(server.url(""))
    server.on("/graphql", Reply(b'{"errors": []}', content_type="application/json"))
    with pytest.raises(ValueError, match="answered"):
        silent_daemons(server.url(""))
