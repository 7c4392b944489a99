"""The health check of the daemon's container on ECS: it asks the webserver beside it whether the daemon is alive.

Dagster's own check (`dagster-daemon liveness-check`) loads all of Dagster each time: 150 MiB in a task of 1,024. This
one needs only Python.
"""

import json
import sys
import time
import urllib.request

_QUERY = "{ instance { daemonHealth { allDaemonStatuses { daemonType required lastHeartbeatTime } } } }"
# After so many seconds of silence Dagster takes a daemon for dead: DEFAULT_DAEMON_HEARTBEAT_TOLERANCE_SECONDS in
# 1.13.27.
_SILENT_SECONDS = 1800


def silent_daemons(base: str) -> list[str]:
    """The types of the required daemons that have given no sign of life lately, or ever.

    Args:
        base: the webserver's address, such as http://127.0.0.1:3000.

    Raises:
        OSError: the webserver does not answer.
        ValueError: its answer cannot be understood.
    """
    request = urllib.request.Request(  # noqa: S310 - the address is the container's own
        f"{base}/graphql", json.dumps({"query": _QUERY}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
        answer = json.load(response)
    if not isinstance(answer, dict) or "data" not in answer:
        raise ValueError(f"the webserver at {base} answered {answer}")
    earliest = time.time() - _SILENT_SECONDS
    return [
        daemon["daemonType"]
        for daemon in answer["data"]["instance"]["daemonHealth"]["allDaemonStatuses"]
        if daemon["required"] and (daemon["lastHeartbeatTime"] or 0) < earliest
    ]


def main() -> int:
    """Returns 0 if all are alive, else 1. An error ends the process with a traceback and 1."""
    silent = silent_daemons(sys.argv[1])
    if silent:
        sys.stderr.write(f"no sign of life from {', '.join(silent)}\n")  # noqa: TID251 - Dagster's own names
    return 1 if silent else 0


if __name__ == "__main__":
    sys.exit(main())
