"""Whether the daemon is alive: the health check of its container on ECS, which asks the webserver beside it.

Dagster's own (`dagster-daemon liveness-check`) loads all of Dagster each time, 150 MiB in a task of 1,024; this needs
Python alone.
"""

import json
import sys
import time
import urllib.request

_QUERY = "{ instance { daemonHealth { allDaemonStatuses { daemonType required lastHeartbeatTime } } } }"
# For how long Dagster itself takes a silent daemon for alive: DEFAULT_DAEMON_HEARTBEAT_TOLERANCE_SECONDS in 1.13.27.
_SILENT_SECONDS = 1800


def silent_daemons(base: str) -> list[str]:
    """The daemons that should be at work and have given no sign of life, or none lately, by their types.

    Args:
        base: where the webserver answers, such as http://127.0.0.1:3000.

    Raises:
        OSError: it does not.
        ValueError: it answered something else.
    """
    request = urllib.request.Request(  # noqa: S310 - the address is the container's own
        f"{base}/graphql", json.dumps({"query": _QUERY}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        found = json.load(answer)
    if not isinstance(found, dict) or "data" not in found:
        raise ValueError(f"the webserver at {base} answered {found}")
    latest = time.time() - _SILENT_SECONDS
    return [
        one["daemonType"]
        for one in found["data"]["instance"]["daemonHealth"]["allDaemonStatuses"]
        if one["required"] and (one["lastHeartbeatTime"] or 0) < latest
    ]


def main() -> int:
    """0 if all are alive; else 1, or an error's own end."""
    silent = silent_daemons(sys.argv[1])
    if silent:
        sys.stderr.write(f"no sign of life from {', '.join(silent)}\n")
    return 1 if silent else 0


if __name__ == "__main__":
    sys.exit(main())
