"""`make bench`: what the project adds to Dagster's import, and what a day costs beyond API, copy and encode.

Each measurement is a process of its own, so that memory (peak resident size) is its own too; the median of several is
printed, and the aim beside it. Nothing is asserted: a person reads it.
"""

import json
import statistics
import subprocess
import sys
import tempfile

ROUNDS = 5

_IMPORT = """
import json, resource, sys, time
started = time.perf_counter()
__import__(sys.argv[1])
seconds = time.perf_counter() - started
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""

# A day of the sample API, timed from outside the run; what the run itself says it spent waiting is taken off.
_DAY = """
import json, os, resource, sys, time
from datetime import date
from pathlib import Path
import dagster as dg
from ncaa_assets.definitions import build_defs
from ncaa_assets.instance import open_instance
from ncaa_assets.runs import execute_day
from ncaa_assets.settings import Settings

settings = Settings(data_dir=Path(sys.argv[1]) / "data")
days = []
with open_instance(Path(sys.argv[1]) / "home") as instance:
    defs = build_defs(settings)
    for number in range(1, 6):
        started = time.perf_counter()
        ended = execute_day(instance, defs, date(2025, 3, number), force=False)
        wall = time.perf_counter() - started
        assert ended.succeeded
        waits = {"highlights": "api_seconds", "videos": "copy_seconds", "processed_videos": "encode_seconds"}
        parts = {}
        for asset, name in waits.items():
            event = instance.get_latest_materialization_event(dg.AssetKey(asset))
            parts[name] = event.asset_materialization.metadata[name].value
        days.append({"wall": wall, **parts, "overhead": wall - sum(parts.values())})
print(json.dumps([days, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


def main() -> None:
    imports()
    day()


def imports() -> None:
    """Importing the definitions against importing Dagster alone, turn by turn."""
    print(f"Import, median of {ROUNDS} rounds, each in a new process")
    taken: dict[str, list[tuple[float, float]]] = {"dagster": [], "ncaa_assets.definitions": []}
    for _ in range(ROUNDS):
        for module, results in taken.items():
            results.append(tuple(_measure(_IMPORT, module)))
    seconds = {module: statistics.median(one[0] for one in results) for module, results in taken.items()}
    for module, results in taken.items():
        print(f"  {module:<26} {seconds[module]:6.2f} s   {statistics.median(one[1] for one in results):5.0f} MB")
    ratio = seconds["ncaa_assets.definitions"] / seconds["dagster"]
    print(f"  ratio                      {ratio:6.2f}     (aim: at most 1.15)\n")


def day() -> None:
    """The daily job's own time: a day's wall time less the API, the copy and the encode."""
    print("A day of the daily job in one process, five new days of the sample API")
    with tempfile.TemporaryDirectory() as folder:
        days, memory = _measure(_DAY, folder)
    print("    wall     API    copy  encode  overhead")
    for one in days:
        print(
            "  "
            + "".join(
                f"{one[name]:6.2f}  " for name in ("wall", "api_seconds", "copy_seconds", "encode_seconds", "overhead")
            )
        )
    median = statistics.median(one["overhead"] for one in days)
    print(f"  overhead, median: {median:.2f} s (aim: under 1.5 s); peak memory {memory:.0f} MB")


def _measure(code: str, argument: str) -> list:  # type: ignore[type-arg]
    done = subprocess.run([sys.executable, "-c", code, argument], capture_output=True, text=True, check=True)
    result: list = json.loads(done.stdout.splitlines()[-1])  # type: ignore[type-arg]
    return result


if __name__ == "__main__":
    main()
