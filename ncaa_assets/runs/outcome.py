"""How a day's run ended, read from its events: while they happen, or afterwards from the instance.

The one place that knows what an event means for a person: the command's report, a range's table, an alert and the line
that an alarm counts all say what is found here.
"""

import re
from dataclasses import dataclass, field
from typing import cast

import dagster as dg
from dagster_shared.error import SerializableErrorInfo

from ncaa_assets import failures
from ncaa_assets.failures import BackupError
from ncaa_assets.record.models import ASSETS
from ncaa_assets.text import SENTENCE, visible

REQUESTS_LEFT = "api_requests_left_today"

_TOLD = {
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.RUN_SUCCESS,
    dg.DagsterEventType.RUN_CANCELED,
    dg.DagsterEventType.ENGINE_EVENT,
}

# How Dagster's code server tells of a worker that died; the failure that it then reports says nothing.
_CRASH = re.compile(r"Run execution process for \S+ ([^.]+)")
# What a run ends with that somebody ended: no failure of its own.
_INTERRUPTED = {"DagsterExecutionInterruptedError", "KeyboardInterrupt"}


@dataclass
class DayRun:
    """How a day's run ended: its assets' summaries in order and the numbers in their metadata, its failed checks, and
    its errors with the step that each ended."""

    run_id: str
    succeeded: bool = False
    cancelled: bool = False
    summaries: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, dict[str, float]] = field(default_factory=dict)
    failed_checks: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    errors: list[tuple[str, SerializableErrorInfo]] = field(default_factory=list)
    said: str | None = None  # by whoever reported the run as failed without an error of its own
    _crash: str | None = None

    @property
    def requests_left(self) -> int | None:
        """How many API requests were left after it (None: the API did not say)."""
        return self.number("highlights", REQUESTS_LEFT)

    def number(self, asset: str, name: str) -> int | None:
        """A number in an asset's metadata, or None where the run did not get that far."""
        value = self.numbers.get(asset, {}).get(name)
        return None if value is None else int(value)

    @property
    def is_whole(self) -> bool:
        """Whether the day is backed up: every asset is there and no check of ERROR severity failed."""
        return self.succeeded and not self.failed_checks and all(name in self.summaries for name in ASSETS)

    @property
    def found_it_held(self) -> bool:
        """Whether it did nothing because another run held the day."""
        return self.succeeded and not self.summaries

    @property
    def lost_its_worker(self) -> bool:
        """Whether it failed without an error of its own: somebody else reported that its worker is gone."""
        return self.said is not None and not (self.errors or self.failed_checks or self.cancelled or self.succeeded)

    @property
    def spent_the_quota(self) -> bool:
        """Whether the API refused because today's requests are used up."""
        return any(written_for_people(error)[0] is failures.QuotaSpent for _, error in self.errors)

    def what_went_wrong(self, *, debug: bool = False) -> str | None:
        """One sentence: the first failed check, else the first error with its step; None where nothing did. Where that
        was not written for people, it says that `--debug` shows more, unless that was asked for."""
        if self.failed_checks:  # first: a check that stops what follows shows as an error too, which says less
            return f"check failed: {self.failed_checks[0]}"
        if self.errors:
            step, error = self.errors[0]
            return (f"{step}: " if step else "") + sentence(error, debug=debug)
        return self.said

    def note(self, event: dg.DagsterEvent) -> None:
        """Takes in one of the run's events."""
        match event.event_type:
            case dg.DagsterEventType.ASSET_MATERIALIZATION:
                self._note_materialization(event.step_materialization_data.materialization)
            case dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                check = event.asset_check_evaluation_data
                if not check.passed:
                    text = visible(
                        f"{check.asset_key.to_user_string()}: {check.check_name}: {check.description}", most=SENTENCE
                    )
                    is_error = check.severity == dg.AssetCheckSeverity.ERROR
                    (self.failed_checks if is_error else self.warnings).append(text)
            case dg.DagsterEventType.STEP_FAILURE:
                error = event.step_failure_data.error
                if error is not None and error.cls_name not in _INTERRUPTED:
                    self.errors.append((event.step_key or "", error))
            case dg.DagsterEventType.RUN_FAILURE:
                failure = event.job_failure_data if event.event_specific_data else None
                error = failure.error if failure is not None else None
                if error is not None and error.cls_name not in _INTERRUPTED and not self.errors:
                    self.errors.append(("", error))
                self.said = self._crash or visible(event.message, most=SENTENCE)
            case dg.DagsterEventType.RUN_SUCCESS:
                self.succeeded = True
            case dg.DagsterEventType.RUN_CANCELED:
                self.cancelled = True
            case dg.DagsterEventType.ENGINE_EVENT:
                if crash := _CRASH.search(event.message or ""):
                    kept = "what it had done is kept, and the next run goes on from there"
                    self._crash = f"its process {visible(crash[1])}; {kept}"

    def _note_materialization(self, materialization: dg.AssetMaterialization) -> None:
        asset = materialization.asset_key.to_user_string()
        summary = materialization.metadata.get("summary")
        self.summaries[asset] = visible(summary.value, most=SENTENCE) if summary else ""
        self.numbers[asset] = {
            name: cast("float", value.value)
            for name, value in materialization.metadata.items()
            if isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue)
        }


def recall(instance: dg.DagsterInstance, run_id: str) -> DayRun:
    """How a run ended, or how far it has come, from what the instance recorded of it."""
    ended = DayRun(run_id)
    for record in instance.get_records_for_run(run_id, of_type=_TOLD).records:
        if record.event_log_entry.dagster_event is not None:
            ended.note(record.event_log_entry.dagster_event)
    return ended


def sentence(error: SerializableErrorInfo, *, debug: bool) -> str:
    """The cause that was written for people, else the innermost error and how to see more of it."""
    kind, message = written_for_people(error)
    if kind is not None:
        return message.removeprefix(f"{kind.__module__}.{kind.__qualname__}: ")
    return f"unexpected {visible(message, most=500)}" + ("" if debug else "; --debug shows where")


def written_for_people(error: SerializableErrorInfo) -> tuple[type[BackupError] | None, str]:
    """The first cause that is one of our errors, with its message; else None and the innermost cause's message."""
    while True:
        kind = getattr(failures, error.cls_name or "", None)
        ours = kind if isinstance(kind, type) and issubclass(kind, BackupError) else None
        if ours is not None or error.cause is None:
            return ours, visible(error.message, most=SENTENCE)
        error = error.cause
