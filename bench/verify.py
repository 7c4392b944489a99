"""`ncaa-assets verify` over ten years, against reading and parsing the same bytes with Python's own json and sqlite3.

The archive is made once, without copies: 3,678 days of forty highlights each, so 147,120 rows. Both sides run turn by
turn, each in a new process. The ratio says what verifying adds to what nobody can save, whatever the machine does
beside it; CPU time says the same of a busy machine.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from ncaa_assets.backends.local.store import SQLITE_NAME
from ncaa_assets.backends.local.table import SqliteTable
from ncaa_assets.record import calendar, json_text
from ncaa_assets.record.fetch import Fetch
from ncaa_assets.record.merge import merge_fetch
from ncaa_assets.record.models import HighlightsDay, ProcessedDay, VideosDay
from ncaa_assets.record.rows import Row, merge_row, rows_of
from ncaa_assets.source.sample_api.records import highlights

ROUNDS = 3
DAYS, A_DAY = 3678, 40
FIRST = date(2015, 1, 1)
_SETTINGS = {"API_URL": "http://api.example/highlights", "RAPIDAPI_KEY": "benchmark", "START_DATE": str(FIRST)}

_USED = """
(peak,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]  # ru_maxrss begins with the parent's
print(json.dumps([time.perf_counter() - started, time.process_time(), int(peak.split()[1]) / 1024]))
"""

_VERIFY = """
import json, time
started = time.perf_counter()
from ncaa_assets.commands.verify import verify_archive
assert verify_archive(None, None, deep=False) == 0
"""

_READ = """
import json, os, sqlite3, time
from pathlib import Path
started = time.perf_counter()
root = Path(os.environ["DATA_DIR"])
for kind in ("highlights", "videos", "processed_videos"):
    for path in sorted((root / kind).iterdir()):
        json.loads(path.read_bytes())
with sqlite3.connect(root / "highlights.sqlite") as table:
    for (item,) in table.execute("SELECT item FROM highlights ORDER BY game_date, id"):
        json.loads(item)
"""


def main() -> None:
    print(f"\nVerifying {DAYS} days of {A_DAY} highlights, median of {ROUNDS} rounds, each in a new process")
    sides = {"read and parsed alone": _READ, "ncaa-assets verify": _VERIFY}
    measured: dict[str, list[list[float]]] = {name: [] for name in sides}
    with tempfile.TemporaryDirectory() as folder:
        make_archive(Path(folder))
        for _ in range(ROUNDS):
            for name, code in sides.items():
                measured[name].append(_measure(code + _USED, folder))
    medians = {
        name: [statistics.median(column) for column in zip(*runs, strict=True)] for name, runs in measured.items()
    }
    for name, (seconds, cpu, memory) in medians.items():
        print(f"  {name:<26} {seconds:6.2f} s   {cpu:6.2f} s of CPU   {memory:5.0f} MB")
    bare, verified = medians.values()
    print(f"  ratio of CPU               {verified[1] / bare[1]:6.2f}     (aim: under 10 s on two idle cores)")


def make_archive(folder: Path, days: int = DAYS) -> None:
    """An archive as runs leave it, written without waiting for the disk after each file."""
    template = highlights("basketball", date(2025, 3, 8), "http://127.0.0.1:1")[:A_DAY]
    for kind in (HighlightsDay, VideosDay, ProcessedDay):
        (folder / kind.asset).mkdir(parents=True)

    def rows() -> Iterator[Row]:
        for number, game_day in enumerate(calendar.days(FIRST, FIRST + timedelta(days=days - 1))):
            records = [{**record, "id": number * 100 + place} for place, record in enumerate(template)]
            answer = Fetch(
                at=f"{game_day}T23:00:00Z", module="basketball", records=records, query={"date": str(game_day)},
                whole=True, complete=True, total_count=len(records), requests=1,
            )  # fmt: skip
            day, _ = merge_fetch(HighlightsDay(date=str(game_day)), answer, founding="basketball")
            for document in (day, VideosDay(date=day.date), ProcessedDay(date=day.date)):
                data = json_text.dumps(document.model_dump(), indent=1) + b"\n"
                (folder / document.key(day.date)).write_bytes(data)
            yield from rows_of(day)

    SqliteTable(folder / SQLITE_NAME).merge(rows(), merge_row)
    identity = {
        "schema_version": 2,
        "source": "api.example/highlights",
        "league": "NCAA",
        "timezone": "America/New_York",
    }
    (folder / "archive.json").write_text(json.dumps(identity), encoding="utf-8")


def _measure(code: str, folder: str) -> list[float]:
    environment = {**os.environ, **_SETTINGS, "DATA_DIR": folder}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=folder, capture_output=True, text=True, check=True
    )
    result: list[float] = json.loads(done.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    main()
