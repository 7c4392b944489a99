"""The mark that a range leaves in the store while it is unfinished, so that the same command continues it."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from pydantic import BaseModel, ValidationError

from ncaa_assets.archive.archive import Archive
from ncaa_assets.failures import ObjectMissing
from ncaa_assets.record import calendar

# A range cut short by the day's quota continues on the next days; after three, the first listings are old enough to be
# fetched again.
_RANGE_LASTS = timedelta(days=3)


class _Began(BaseModel):
    """The mark's content: when the unfinished range began."""

    at: datetime


class RangeMark:
    """Lets the same command continue a range that was interrupted, killed, or left days undone.

    The mark says when the range began. A day is done where all of it is stored and its listing was read since then. The
    mark stays in the store until every day is done, and counts for three days. One whose time lies in the future counts
    for nothing, because a clock was wrong.
    """

    def __init__(self, archive: Archive, days: Sequence[date]) -> None:
        self._archive = archive
        self._key = f".ranges/{days[0]}_{days[-1]}.json"
        self._began = self._read()
        self._identity = archive.any_identity()

    def done_before(self, day: date) -> str | None:
        """Why the day needs no run, or None where it needs one."""
        if self._began is None:
            return None
        state = self._archive.state(day.isoformat(), identity=self._identity)
        return f"done already ({state.fetched_at:%Y-%m-%d %H:%M} UTC)" if state.is_done_since(self._began) else None

    def start(self) -> None:
        """Writes the mark, unless the range continues an earlier one."""
        if self._began is None:
            self._began = datetime.now(UTC).replace(microsecond=0)  # as the times of fetches are
            self._archive.store.write(self._key, _Began(at=self._began).model_dump_json().encode())

    def finish(self) -> None:
        """Removes the mark: every day of the range is done."""
        self._archive.store.delete(self._key)

    def _read(self) -> datetime | None:
        try:
            began = _Began.model_validate_json(self._archive.store.read(self._key)[0]).at
        except (ObjectMissing, ValidationError):
            return None
        began = began.replace(tzinfo=began.tzinfo or UTC, microsecond=0)
        is_over = datetime.now(UTC) - began >= _RANGE_LASTS
        return None if is_over or calendar.is_to_come(began) else began
