"""Which runs are ours. An instance may also hold runs of other code locations, of other jobs, and of assets that other
people have beside ours, in one run with them even."""

from dataclasses import dataclass
from pathlib import PurePath

import dagster as dg

from ncaa_assets.record.models import ASSETS
from ncaa_assets.runs.dagster_private import ManagedGrpcPythonEnvCodeLocationOrigin
from ncaa_assets.runs.execute import LOCATION, MODULE
from ncaa_assets.runs.names import JOB_NAME, TRIGGER_TAG


@dataclass(frozen=True)
class OurPart:
    """What of a run is ours: all of it, but for the assets in `others`."""

    others: frozenset[str] = frozenset()

    def is_of_others(self, event: dg.DagsterEvent) -> bool:
        """Whether an event is of another's asset, or of a check of one."""
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            return event.asset_check_evaluation_data.asset_key.to_user_string() in self.others
        return (event.step_key or "").replace("__", "/") in self.others


def our_part(instance: dg.DagsterInstance, run: dg.DagsterRun, *, location: str | None = None) -> OurPart | None:
    """What of a run is ours, None where nothing is. `location` is the name of the code location that asks; None for a
    command, which belongs to none."""
    if not _is_of_our_code(run, location):
        return None
    assets = _assets(instance, run)
    if not assets and run.job_name == JOB_NAME:
        return OurPart()
    return OurPart(frozenset(assets.difference(ASSETS))) if assets.intersection(ASSETS) else None


def _is_of_our_code(run: dg.DagsterRun, location: str | None) -> bool:
    if run.remote_job_origin is not None:
        origin = run.remote_job_origin.repository_origin.code_location_origin
        if origin.location_name == (location or LOCATION):
            return True
        if location is not None:  # beside a location of another name, there may be runs of our commands
            return origin.location_name == LOCATION and TRIGGER_TAG in run.tags
        is_process = isinstance(origin, ManagedGrpcPythonEnvCodeLocationOrigin)
        return is_process and origin.loadable_target_origin.module_name == MODULE
    if run.job_code_origin is None:
        return True
    # Programs of Dagster's command line, such as `dagster job execute`, record only which code they ran.
    code = run.job_code_origin.repository_origin.code_pointer
    module, file = getattr(code, "module", None), getattr(code, "python_file", None)
    parts = tuple(module.split(".")) if module else PurePath(file).with_suffix("").parts if file else ()
    return not parts or parts[-2:] == tuple(MODULE.split("."))


def _assets(instance: dg.DagsterInstance, run: dg.DagsterRun) -> set[str]:
    """The assets that a run is to make or to check."""
    keys = {*(run.asset_selection or ()), *(check.asset_key for check in run.asset_check_selection or ())}
    if not keys and run.job_name != JOB_NAME:  # a job names its assets nowhere but in its events
        planned = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
        events = (record.event_log_entry.dagster_event for record in planned.records)
        keys = {event.asset_key for event in events if event is not None and event.asset_key is not None}
    return {key.to_user_string() for key in keys}
