"""Which runs are ours. An instance may also hold runs of other code locations, of other jobs, and of assets that other
people have beside ours, in one run with them even. Tags prove nothing: anybody may have copied ours."""

from dataclasses import dataclass
from pathlib import PurePath

import dagster as dg

from ncaa_assets.record.models import ASSETS
from ncaa_assets.runs.dagster_private import ManagedGrpcPythonEnvCodeLocationOrigin
from ncaa_assets.runs.execute import LOCATION, MODULE
from ncaa_assets.runs.names import JOB_NAME, TRIGGER_TAG

_OURS = frozenset(map(dg.AssetKey, ASSETS))
_PLANS = {
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
}


@dataclass(frozen=True)
class OurPart:
    """What of a run is ours: all of it, or where `steps` are given, those alone."""

    steps: frozenset[str] | None = None

    @property
    def is_all(self) -> bool:
        return self.steps is None

    def is_of_others(self, event: dg.DagsterEvent) -> bool:
        """Whether an event is of a step of others. An event of the whole run is not."""
        return self.steps is not None and event.step_key is not None and event.step_key not in self.steps


def our_part(instance: dg.DagsterInstance, run: dg.DagsterRun, *, location: str | None = None) -> OurPart | None:
    """What of a run is ours, None where nothing is. `location` is the name of the code location that asks; None for a
    command, which belongs to none."""
    if _has_origin(run) and not _is_of_our_code(run, location):
        return None
    return part_by_assets(instance, run)


def part_by_assets(instance: dg.DagsterInstance, run: dg.DagsterRun) -> OurPart | None:
    """The same of a run that our own code executes, or nobody knows whose: by what it is to make or to check."""
    selected = {*(run.asset_selection or ()), *(check.asset_key for check in run.asset_check_selection or ())}
    if not selected and _has_origin(run) and run.job_name == JOB_NAME:
        return OurPart()
    if selected:
        if not selected & _OURS:
            return None
        if selected <= _OURS:
            return OurPart()
    plans = _plans(instance, run)
    ours = frozenset(step for step, keys in plans.items() if keys <= _OURS)
    if not ours and not selected:
        return None
    return OurPart(None if ours and ours == plans.keys() else ours)


def _has_origin(run: dg.DagsterRun) -> bool:
    return run.remote_job_origin is not None or run.job_code_origin is not None


def _is_of_our_code(run: dg.DagsterRun, location: str | None) -> bool:
    if run.remote_job_origin is not None:
        origin = run.remote_job_origin.repository_origin.code_location_origin
        if origin.location_name == location:
            return True
        is_process = isinstance(origin, ManagedGrpcPythonEnvCodeLocationOrigin)
        if is_process and origin.loadable_target_origin.module_name != MODULE:
            return False  # another team's location may have our location's name
        if location is None:  # a location of a name that somebody chose may be of another archive; its sensor looks
            return origin.location_name in (LOCATION, MODULE)
        return is_process and origin.location_name == LOCATION and TRIGGER_TAG in run.tags  # a command's
    if run.job_code_origin is None:
        return False
    # Programs of Dagster's command line, such as `dagster job execute`, record only which code they ran.
    code = run.job_code_origin.repository_origin.code_pointer
    module, file = getattr(code, "module", None), getattr(code, "python_file", None)
    parts = tuple(module.split(".")) if module else PurePath(file).with_suffix("").parts if file else ()
    return not parts or parts[-2:] == tuple(MODULE.split("."))


def _plans(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dict[str, set[dg.AssetKey]]:
    """The assets that each step of a run is to make or to check. A run tells it nowhere but in its events."""
    steps: dict[str, set[dg.AssetKey]] = {}
    for record in instance.get_records_for_run(run.run_id, of_type=_PLANS).records:
        event = record.event_log_entry.dagster_event
        if event is None or event.step_key is None:
            continue
        is_check = event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED
        key = event.asset_check_planned_data.asset_key if is_check else event.asset_key
        if key is not None:
            steps.setdefault(event.step_key, set()).add(key)
    return steps
