"""How a day's run ended, read from its events: while they happen, or afterwards from the instance.

Only this module knows what an event means for a person. The command's report, a range's table, an alert and the line
that an alarm counts all use what it read."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Self, cast

import dagster as dg

from ncaa_assets import failures
from ncaa_assets.failures import BackupError
from ncaa_assets.record.models import ASSETS
from ncaa_assets.runs.dagster_private import SerializableErrorInfo
from ncaa_assets.runs.results import Result
from ncaa_assets.text import SENTENCE, plural, visible

SUMMARY = "summary"  # the name of a sentence in the metadata of every asset and check
NOT_WHOLE = "listing_not_whole"  # of a sentence in that of `highlights`: why the day's listing is not whole
LEFT_TO_DO = "left_to_do"  # of a number in that of `processed_videos`: the videos that the day's next run takes up

_EVENTS = {
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    dg.DagsterEventType.RESOURCE_INIT_FAILURE,
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.RUN_SUCCESS,
    dg.DagsterEventType.RUN_CANCELED,
    dg.DagsterEventType.ENGINE_EVENT,
}

# Dagster's code server reports a dead worker in these words. The failure that it records afterwards gives no reason.
_CRASH = re.compile(r"Run execution process for \S+ ([^.]+)")
# What a step raises where the home breaks that records it: from Dagster's database, or from our own `Recorder`. The
# archive's rows are in SQLite too, but without SQLAlchemy.
_RECORD = re.compile(r"sqlalchemy\.exc\.|ncaa_assets\.runs\.instance\.HomeUnusable")
# The errors of a run that a person or a signal ended. They are no failures of its own.
_INTERRUPTED = {"DagsterExecutionInterruptedError", "KeyboardInterrupt"}


@dataclass(frozen=True)
class RunError:
    """An error that ended a step, or with an empty `step` the run itself.

    `kind` is the error's class in failures.py, which gives an error of the machine or of a library one too, or None for
    an error that nobody foresaw. `message` is its text, and `detail` the text with the traceback. `is_check` means that
    it only says that a blocking check failed, `is_of_record` that the database broke that records the run.
    """

    step: str
    kind: type[BackupError] | None
    message: str
    detail: str
    is_check: bool = False
    is_of_record: bool = False

    @classmethod
    def of(cls, step: str, error: SerializableErrorInfo) -> Self:
        """Takes the first cause whose class is in failures.py, or that failures.py explains, else the innermost
        cause."""
        causes = list(_causes(error))
        cause = next((cause for cause in causes if _kind(cause) is not None), causes[-1])
        kind = _kind(cause)
        message = visible(cause.message, most=SENTENCE)
        if kind is not None:
            message = message.removeprefix(f"{kind.__module__}.{kind.__qualname__}: ")
        elif explained := failures.explained_words(cause.message for cause in causes):
            kind, message = type(explained), visible(explained, most=SENTENCE)
        return cls(
            step,
            kind,
            message,
            error.to_string(),
            is_check=error.cls_name == "DagsterAssetCheckFailedError",
            is_of_record=any(_RECORD.match(cause.message) for cause in causes),
        )

    def sentence(self, *, debug: bool) -> str:
        """One sentence for people. For an unforeseen error, it points to `--debug` unless that is on."""
        if self.kind is not None:
            return self.message
        return failures.unforeseen(visible(self.message, most=500), debug=debug)


def _causes(error: SerializableErrorInfo) -> Iterator[SerializableErrorInfo]:
    """An error and its causes, from the outside in."""
    cause: SerializableErrorInfo | None = error
    while cause is not None:
        yield cause
        cause = cause.cause


def _kind(error: SerializableErrorInfo) -> type[BackupError] | None:
    kind = getattr(failures, error.cls_name or "", None)
    return kind if isinstance(kind, type) and issubclass(kind, BackupError) else None


@dataclass
class DayRun:
    """How a day's run ended: its assets' summaries in order, the numbers in their metadata, its failed checks and its
    errors. `planned` are the assets that it was to make, which are recorded before its first event. `not_whole` says
    why the listing is not whole, None where it is or was not fetched. `reported` is the message with which the run was
    reported as failed."""

    run_id: str
    planned: set[str] = field(default_factory=set)
    succeeded: bool = False
    cancelled: bool = False
    summaries: dict[str, str] = field(default_factory=dict)
    not_whole: str | None = None
    numbers: dict[str, dict[str, float]] = field(default_factory=dict)
    failed_checks: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    errors: list[RunError] = field(default_factory=list)
    reported: str | None = None
    _crash: str | None = None

    def number(self, asset: str, name: str) -> int | None:
        """A number in an asset's metadata, or None where the run did not get that far."""
        value = self.numbers.get(asset, {}).get(name)
        return None if value is None else int(value)

    @property
    def is_whole(self) -> bool:
        """Whether the day is backed up: every asset is there, no check of ERROR severity failed, its listing was read
        whole, and the next run has nothing to take up."""
        is_there = self.succeeded and not self.failed_checks and all(name in self.summaries for name in ASSETS)
        return is_there and self.what_is_left is None

    @property
    def left_to_do(self) -> int:
        """How many videos the day's next run takes up, although no step of this one failed."""
        return self.number("processed_videos", LEFT_TO_DO) or 0

    @property
    def what_is_left(self) -> str | None:
        """What the day's next run takes up, in a few words, although no step of this one failed; None where nothing
        is."""
        if self.not_whole is not None:
            return f"asks again for the whole listing: {self.not_whole}"
        return f"takes up {plural(self.left_to_do, 'more video')}" if self.left_to_do else None

    @property
    def was_held_by_another(self) -> bool:
        """Whether the run did nothing because another run held the day."""
        return self.succeeded and not self.summaries

    @property
    def broken_record(self) -> Exception | None:
        """The error of the database that recorded the run, where that ended the run; None otherwise."""
        error = next((error for error in self.errors if error.is_of_record), None)
        return None if error is None else sqlite3.OperationalError(error.message)

    @property
    def lost_its_worker(self) -> bool:
        """Whether the run failed without an error of its own, because its worker was reported as gone."""
        return self.reported is not None and not (self.errors or self.failed_checks or self.cancelled or self.succeeded)

    @property
    def spent_the_quota(self) -> bool:
        """Whether the run failed because today's API requests are used up, or what is left of them is kept."""
        return any(error.kind in (failures.QuotaSpent, failures.QuotaKept) for error in self.errors)

    def result(self, planned: set[str], *, was_held: bool) -> Result:
        """How the day came out of a run that was to make the assets `planned` and is in or after its last step. It is
        `PARTIAL` where the run made all of them and they are not the whole day: the rest, the store alone knows."""
        if was_held:
            return Result.SKIPPED
        if any(error.kind is failures.QuotaKept for error in self.errors):
            return Result.NOT_STARTED
        if self.what_went_wrong(debug=True) is not None:
            return Result.FAILED
        if not planned <= self.summaries.keys():
            return Result.ENDED
        if self.what_is_left is not None:
            return Result.INCOMPLETE
        return Result.BACKED_UP if planned >= set(ASSETS) else Result.PARTIAL

    def what_went_wrong(self, *, debug: bool = False) -> str | None:
        """One sentence: the first failed check, else the first error with its step; None where nothing went wrong."""
        if self.failed_checks:  # first: a blocking check causes an error too, which says less
            return f"check failed: {self.failed_checks[0]}"
        if self.errors:
            error = self.errors[0]
            return (f"{error.step}: " if error.step else "") + error.sentence(debug=debug)
        return self.reported

    def note(self, event: dg.DagsterEvent) -> None:
        """Notes what one of the run's events says."""
        match event.event_type:
            case dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED:
                if event.asset_key is not None:
                    self.planned.add(event.asset_key.to_user_string())
            case dg.DagsterEventType.ASSET_MATERIALIZATION:
                self._note_materialization(event.step_materialization_data.materialization)
            case dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                self._note_check(event.asset_check_evaluation_data)
            case dg.DagsterEventType.STEP_FAILURE:
                self.note_error(event.step_key or "", event.step_failure_data.error)
            case dg.DagsterEventType.RESOURCE_INIT_FAILURE:
                self.note_error("", event.engine_event_data.error)
            case dg.DagsterEventType.RUN_FAILURE:
                failure = event.job_failure_data if event.event_specific_data else None
                if failure is not None and not self.errors:
                    self.note_error("", failure.error)
                self.reported = self._crash or visible(event.message, most=SENTENCE)
            case dg.DagsterEventType.RUN_SUCCESS:
                self.succeeded = True
            case dg.DagsterEventType.RUN_CANCELED:
                self.cancelled = True
            case dg.DagsterEventType.ENGINE_EVENT:
                if crash := _CRASH.search(event.message or ""):
                    kept = "what it had done is kept, and the next run continues from there"
                    self._crash = f"its process {visible(crash[1])}; {kept}"

    def note_error(self, step: str, error: SerializableErrorInfo | None) -> None:
        """Notes an error that ended a step, or with an empty `step` the run; not what a person or a signal did."""
        if error is not None and error.cls_name not in _INTERRUPTED:
            self.errors.append(RunError.of(step, error))

    def _note_check(self, check: dg.AssetCheckEvaluation) -> None:
        if check.passed:
            return
        asset = check.asset_key.to_user_string()
        summary = check.metadata.get(SUMMARY)  # earlier versions had it in the description alone
        told = summary.value if isinstance(summary, dg.TextMetadataValue) else check.description
        text = visible(f"{asset}: {check.check_name}: {told}", most=SENTENCE)
        (self.failed_checks if check.severity == dg.AssetCheckSeverity.ERROR else self.warnings).append(text)

    def _note_materialization(self, materialization: dg.AssetMaterialization) -> None:
        asset = materialization.asset_key.to_user_string()
        summary = materialization.metadata.get(SUMMARY)
        self.summaries[asset] = visible(summary.value, most=SENTENCE) if summary else ""
        not_whole = materialization.metadata.get(NOT_WHOLE)
        if isinstance(not_whole, dg.TextMetadataValue):
            self.not_whole = visible(not_whole.value, most=SENTENCE)
        self.numbers[asset] = {
            name: cast("float", value.value)
            for name, value in materialization.metadata.items()
            if isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue)
        }


def recall(
    instance: dg.DagsterInstance, run_id: str, *, without: Callable[[dg.DagsterEvent], bool] | None = None
) -> DayRun:
    """How a run ended, or how far it has come, according to the instance. Events that `without` picks are left out."""
    ended = DayRun(run_id)
    for record in instance.get_records_for_run(run_id, of_type=_EVENTS).records:
        event = record.event_log_entry.dagster_event
        if event is not None and not (without and without(event)):
            ended.note(event)
    return ended
