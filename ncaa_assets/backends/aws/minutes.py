"""The minutes of MediaConvert that all runs together may ask for in one UTC date (`ENCODE_MINUTES_A_DAY`).

Minutes are reserved in an object of the date before a job is made, by a write that fails where another run wrote
meanwhile. The token of the job's intent names a reservation, so trying the same intent again counts once. A run that is
killed after its reservation leaves minutes counted that nobody paid for, and never the other way round.
"""

import random
import time
from datetime import UTC, datetime, timedelta

from pydantic import Field

from ncaa_assets.failures import EncodeRefused, ObjectMissing, WriteConflict
from ncaa_assets.ports import Expect, ObjectStore
from ncaa_assets.record.fields import Day, Name
from ncaa_assets.record.models import Versioned
from ncaa_assets.record.written import from_bytes, to_bytes
from ncaa_assets.stored import Amount

MINUTES = "processed_videos/.ledger/minutes/"

_LONGEST_PAUSE = 0.2  # seconds, after another run wrote meanwhile


class MinutesOfDate(Versioned):
    """The minutes that were reserved in one UTC date, by the tokens of the intents."""

    date: Day
    minutes: dict[Name, Amount] = Field(default_factory=dict)


def reserve(store: ObjectStore, token: str, minutes: float, *, most: float, at: datetime | None = None) -> None:
    """Reserves minutes for the job of an intent, in the UTC date of `at` (default: now).

    Raises:
        EncodeRefused: they are more than that date has left (its kind is `waits`), or more than any date has.
        StoreError: the store failed, or what it holds cannot be read.
    """
    if minutes > most:
        raise EncodeRefused(
            f"it takes about {minutes:.1f} minutes of MediaConvert, and ENCODE_MINUTES_A_DAY is {most:.0f}",
            kind="broken",
        )
    today = (at or datetime.now(UTC)).date()
    key = f"{MINUTES}{today}.json"
    while True:
        reserved, version = _read(store, key, today.isoformat())
        if token in reserved.minutes:
            return
        used = sum(reserved.minutes.values())
        if used + minutes > most:
            raise EncodeRefused(
                f"it takes about {minutes:.1f} minutes of MediaConvert, and {used:.1f} of today's {most:.0f} "
                f"(ENCODE_MINUTES_A_DAY) are used; it waits until {today + timedelta(days=1)} 00:00 UTC",
                kind="waits",
            )
        reserved.minutes[token] = round(minutes, 3)
        data = to_bytes(reserved)
        try:
            store.write(key, data, expect=version)
        except WriteConflict:
            time.sleep(random.uniform(0, _LONGEST_PAUSE))  # noqa: S311 - jitter
        else:
            return


def _read(store: ObjectStore, key: str, date: str) -> tuple[MinutesOfDate, str | Expect]:
    try:
        data, version = store.read(key)
    except ObjectMissing:
        return MinutesOfDate(date=date), Expect.NOTHING
    otherwise = "; if there is none, delete it: the minutes of that date are then counted from 0"
    return from_bytes(MinutesOfDate, data, store.uri(key), expected={"date": date}, otherwise=otherwise), version
