"""`make bench`: what the project adds to Dagster's import, what a day costs beyond API, copy and encode, (overhead.py)
what one of a long range costs beyond its own work, the pace of the rows and of a merge, (verify.py, restore.py,
videos.py) of verifying, of restoring and of copies, (gallery.py) what a day's news costs in the gallery, and its
search, (quality.py) what an encode is worth, and (needed.py) how much faster it is to keep a video.

Each measurement runs in its own process, which also gives its own peak of resident memory. The median of several is
printed beside the aim. Nothing is asserted: a person reads the figures.
"""

import json
import statistics
import subprocess
import sys
import tempfile

from bench import gallery, needed, overhead, quality, restore, verify, videos

ROUNDS = 5

_IMPORT = """
import json, resource, sys, time
started = time.perf_counter()
__import__(sys.argv[1])
seconds = time.perf_counter() - started
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""

# Days of the sample API, timed from outside the run. The time that the run reports as spent waiting is subtracted.
_DAY = """
import json, os, resource, sys, time
from datetime import date
from pathlib import Path
import dagster as dg
from ncaa_assets.definitions import build_defs
from ncaa_assets.runs.execute import execute_day
from ncaa_assets.runs.instance import open_instance
from ncaa_assets.settings import Settings

settings = Settings(data_dir=Path(sys.argv[1]) / "data")
days = []
with open_instance(Path(sys.argv[1]) / "home-sample") as instance:
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


# A season: 50,000 clips on 150 days are written to the table and read back by day. A plain loop is measured beside it.
_ROWS = """
import json, resource, sqlite3, sys, time
from datetime import date, timedelta
from pathlib import Path
from ncaa_assets.backends.local.table import SqliteTable
from ncaa_assets.record import json_text
from ncaa_assets.record.rows import merge_row
from ncaa_assets.source.sample_api.records import highlights

days = [(date(2024, 11, 4) + timedelta(days=number)).isoformat() for number in range(150)]
record = highlights("basketball", date(2025, 3, 8), "http://127.0.0.1:1")[7]
ours = {"fetch_date": days[0], "first_seen": "2024-11-05T06:00:00Z", "last_seen": "2024-11-05T06:00:00Z",
        "removed_upstream": None, "removed_from": {}, "content_hash": "0" * 64}

def rows(day, count):
    return [{**record, **ours, "id": f"{day}-{number}", "game_date": day, "days": [day]} for number in range(count)]

def one_put_a_row(folder, count):
    with sqlite3.connect(Path(folder) / "loop.sqlite", isolation_level=None) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE IF NOT EXISTS highlights (id TEXT PRIMARY KEY, item TEXT)")
        for row in rows(days[0], count):
            connection.execute("INSERT OR REPLACE INTO highlights VALUES (?, ?)", (row["id"], json_text.dumps(row)))

mode, folder = sys.argv[1].split(":", 1)
started = time.perf_counter()
if mode == "loop":
    count = 5000
    one_put_a_row(folder, count)
else:
    count = 50_000
    table = SqliteTable(Path(folder) / "highlights.sqlite")
    if mode == "put":
        count = 1000
        for row in rows("2024-11-01", count):
            table.merge([row], merge_row)
    elif mode == "read":
        assert sum(len(table.day(day)) for day in days) == 49_950
    else:
        written = table.merge((row for day in days for row in rows(day, 333)), merge_row)
        assert written == (49_950 if mode == "write" else 0)
seconds = time.perf_counter() - started
print(json.dumps([count / seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""

_MERGE = """
import json, resource, sys, time
from datetime import date
from ncaa_assets.record.calendar import now
from ncaa_assets.record.fetch import Fetch
from ncaa_assets.record.merge import merge_fetch
from ncaa_assets.record.models import HighlightsDay
from ncaa_assets.source.sample_api.records import highlights

record = highlights("basketball", date(2025, 3, 8), "http://127.0.0.1:1")[7]
def fetch(title):
    records = [{**record, "id": number, "title": title} for number in range(1000)]
    return Fetch(at=now(), module="basketball", records=records, query={}, whole=True, complete=True, total_count=1000,
                 requests=25)
day, _ = merge_fetch(HighlightsDay(date="2025-03-08"), fetch("first"), founding="basketball")
taken = {}
for title in ("first", "changed"):
    started = time.perf_counter()
    merge_fetch(day, fetch(title), founding="basketball")
    taken[title] = time.perf_counter() - started
print(json.dumps([taken["first"], taken["changed"], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


def main() -> None:
    imports()
    day()
    overhead.main()
    season()
    merging()
    verify.main()
    restore.main()
    videos.main()
    gallery.main()
    quality.main()
    needed.main()


def imports() -> None:
    """Compares importing the definitions with importing Dagster alone, in alternation."""
    print(f"Import, median of {ROUNDS} rounds, each in a new process")
    taken: dict[str, list[tuple[float, float]]] = {"dagster": [], "ncaa_assets.definitions": []}
    for _ in range(ROUNDS):
        for module, results in taken.items():
            results.append(tuple(_measure(_IMPORT, module)))
    seconds = {module: statistics.median(result[0] for result in results) for module, results in taken.items()}
    for module, results in taken.items():
        print(f"  {module:<26} {seconds[module]:6.2f} s   {statistics.median(result[1] for result in results):5.0f} MB")
    ratio = seconds["ncaa_assets.definitions"] / seconds["dagster"]
    print(f"  ratio                      {ratio:6.2f}     (aim: at most 1.15)\n")


def day() -> None:
    """The daily job's own time: a day's wall time minus the time for the API, the copy and the encode."""
    print("A day of the daily job in one process, five new days of the sample API")
    with tempfile.TemporaryDirectory() as folder:
        days, memory = _measure(_DAY, folder)
    print("    wall     API    copy  encode  overhead")
    for times in days:
        print(
            "  "
            + "".join(
                f"{times[name]:6.2f}  "
                for name in ("wall", "api_seconds", "copy_seconds", "encode_seconds", "overhead")
            )
        )
    median = statistics.median(times["overhead"] for times in days)
    print(f"  overhead, median: {median:.2f} s (aim: under 1.5 s); peak memory {memory:.0f} MB")


def season() -> None:
    """Compares the table's pace with one put for each row, as in the pipeline that this project grew from."""
    print("\nA season's 50,000 rows in SQLite, rows a second, each in a new process")
    with tempfile.TemporaryDirectory() as folder:
        results = {mode: _measure(_ROWS, f"{mode}:{folder}") for mode in ("loop", "put", "write", "again", "read")}
    names = {
        "loop": "bare INSERT a row (5,000)",
        "put": "one put a row (1,000)",
        "write": "written",
        "again": "again, nothing changed",
        "read": "read back by day",
    }
    for mode, (pace, memory) in results.items():
        print(f"  {names[mode]:<26} {pace:8.0f}   {memory:5.0f} MB")
    for mode, aim in (
        ("put", "   (aim: at least 10)"),
        ("loop", "   (a commit each: as fast as the disk syncs)"),
    ):
        print(f"  against {names[mode]:<26} {results['write'][0] / results[mode][0]:6.1f}{aim}")


def merging() -> None:
    """Merges a day's listing of 1,000 records into 1,000 stored ones."""
    rounds = [_measure(_MERGE, "") for _ in range(ROUNDS)]
    same, changed, memory = (statistics.median(figures[part] for figures in rounds) for part in range(3))
    print("\nMerging a day of 1,000 records, median of 5 rounds")
    print(
        f"  nothing changed {same:.3f} s, all changed {changed:.3f} s (aim: under 0.2 s); peak memory {memory:.0f} MB"
    )


def _measure(code: str, argument: str) -> list:  # type: ignore[type-arg]
    done = subprocess.run([sys.executable, "-c", code, argument], capture_output=True, text=True, check=True)
    result: list = json.loads(done.stdout.splitlines()[-1])  # type: ignore[type-arg]
    return result


if __name__ == "__main__":
    main()
