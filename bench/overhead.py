"""What a day of a range costs beyond the day's own work, and whether memory grows with the days.

The archive is made first: 73 sample days, copied and not encoded. Then they are gone through five times, with nothing
left to copy, and each is backed up in plain Python and by the command's range, turn by turn in one process. The
difference is the overhead, whatever else the machine does. What Dagster takes by itself is seen in five empty assets
with nine empty checks, in an instance as Dagster makes it and a process of its own.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from typing import Any

READ_AT = (1, 30, 365)

_RANGE = """
import gc, json, os, sys, time
from datetime import date, timedelta
from pathlib import Path
from ncaa_assets.archive.archive import Archive
from ncaa_assets.commands.days import DayByDay
from ncaa_assets.day.whole import back_up, open_services
from ncaa_assets.runs.instance import Recorder
from ncaa_assets.settings import Settings

folder, read_at = Path(sys.argv[1]), json.loads(sys.argv[2])
archive = Archive.open(Settings(data_dir=folder / "data", encode="never", video_count=1))
days = [date(2024, 11, 4) + timedelta(days=number) for number in range(73)]

def plain(day):
    started = time.perf_counter()
    with archive.lease(day.isoformat(), owner="bench") as held, open_services(archive) as services:
        back_up(held, services)
    return time.perf_counter() - started

def megabytes():
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

for day in days:
    plain(day)
days *= 5
own, by_range, memory = [], [], {}
with Recorder(folder / "home-sample", say=print) as recorder:
    results = DayByDay(recorder, archive, trigger="bench").back_up(days)
    for day in days:
        own.append(plain(day))
        started = time.perf_counter()
        assert next(results).is_done
        by_range.append(time.perf_counter() - started)
        if len(own) in read_at:
            memory[len(own)] = megabytes()
print(json.dumps({"own": own, "range": by_range, "memory": memory}))
"""

_EMPTY = """
import json, sys, time
import dagster as dg
from ncaa_assets.runs.instance import open_instance
from pathlib import Path

days = dg.StaticPartitionsDefinition([str(number) for number in range(13)])

def asset(name, after):
    @dg.asset(name=name, partitions_def=days, deps=after)
    def empty(): ...
    return empty

def check(name, of):
    @dg.asset_check(name=name, asset=of, partitions_def=days)
    def good(): return dg.AssetCheckResult(passed=True)
    return good

names = ["highlights", "backup_rows", "videos", "processed_videos", "gallery"]
before = [[], names[:1], names[:1], names[2:3], [names[1], names[3]]]
assets = [asset(*pair) for pair in zip(names, before)]
checks = [check(f"check_{number}", names[number % 5]) for number in range(9)]
defs = dg.Definitions(
    assets=assets, asset_checks=checks, jobs=[dg.define_asset_job("job", "*")], executor=dg.in_process_executor
)
taken = []
with open_instance(Path(sys.argv[1]) / "home") as instance:
    job = defs.resolve_job_def("job")
    for day in days.get_partition_keys():
        started = time.perf_counter()
        assert job.execute_in_process(instance=instance, partition_key=day).success
        taken.append(time.perf_counter() - started)
print(json.dumps(taken[3:]))
"""


def main() -> None:
    print(f"\nA day of a range, {READ_AT[-1]} sample days with nothing to copy, beside the same work in plain Python")
    with tempfile.TemporaryDirectory() as folder:
        measured = _measure(_RANGE, folder, json.dumps(READ_AT))
        empty = statistics.median(_measure(_EMPTY, folder))
    print("  days   own work   in the range   overhead a day   memory")
    for count in READ_AT:
        own, by_range = (statistics.median(measured[side][:count]) for side in ("own", "range"))
        memory = measured["memory"][str(count)]
        print(f"  {count:4}   {own:6.3f} s       {by_range:6.3f} s         {by_range - own:6.3f} s   {memory:4.0f} MB")
    print("  (aim: at most 0.5 s, and memory that does not grow; the first day loads and compiles)")
    print(f"  five empty assets and nine empty checks in an instance as Dagster makes it: {empty:.3f} s")


def _measure(code: str, *arguments: str) -> Any:
    command = [sys.executable, "-Wignore", "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
