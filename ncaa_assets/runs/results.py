"""Every way in which a day can come out. The log's line, a range's table, the alarm and the exit codes all use it."""

from dataclasses import dataclass
from enum import StrEnum


class Result(StrEnum):
    """How a day came out. The value appears in the day's line in the log, and alarms match it."""

    BACKED_UP = "backed_up"
    FAILED = "failed"
    INCOMPLETE = "incomplete"
    NOT_STARTED = "not_started"
    SKIPPED = "skipped"
    ENDED = "ended"
    PARTIAL = "partial"

    @property
    def words(self) -> str:
        """The result as people read it."""
        return _MEANINGS[self].words

    @property
    def is_counted(self) -> bool:
        """Whether the alarm that waits for each day's backup counts it."""
        return _MEANINGS[self].is_counted

    @property
    def is_due(self) -> bool:
        """Whether something of the day was left undone that no other run does: catch-up takes it up again."""
        return _MEANINGS[self].is_due

    @property
    def exit_code(self) -> int:
        """The exit code of a command that was asked for this day alone."""
        return _MEANINGS[self].exit_code


@dataclass(frozen=True)
class _Meaning:
    words: str
    is_counted: bool
    is_due: bool
    exit_code: int


_MEANINGS = {
    # Every asset is there, and no check of ERROR severity failed.
    Result.BACKED_UP: _Meaning("backed up", is_counted=True, is_due=False, exit_code=0),
    # An error or a failed check ended the run.
    Result.FAILED: _Meaning("FAILED", is_counted=False, is_due=True, exit_code=1),
    # Everything that came was stored, but not everything came.
    Result.INCOMPLETE: _Meaning("incomplete", is_counted=False, is_due=True, exit_code=1),
    # The run was not begun: the day's API requests are kept for other things.
    Result.NOT_STARTED: _Meaning("not started", is_counted=False, is_due=True, exit_code=1),
    # Another run held the day and does its work.
    Result.SKIPPED: _Meaning("held by another run", is_counted=False, is_due=False, exit_code=1),
    # A person or a signal stopped it on the way.
    Result.ENDED: _Meaning("ended", is_counted=False, is_due=True, exit_code=130),
    # All that was asked for is done, but the day is not whole with it.
    Result.PARTIAL: _Meaning("partly asked for", is_counted=False, is_due=True, exit_code=0),
}
