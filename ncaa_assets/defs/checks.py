"""Asset checks: `reconcile`'s comparisons of one day, each shown with its evidence.

ERROR means that the archive is wrong, WARN that the source is odd. A check blocks where the next step would spread the
damage to rows or outputs.

The checks are partitioned: otherwise a bad day would turn green when a good one runs.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import dagster as dg

from ncaa_assets import advice
from ncaa_assets.archive import reconcile
from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.reconcile import Comparison, Hash, Severity
from ncaa_assets.archive.standing import Wanted
from ncaa_assets.defs.metadata import Cell, Markdown, Table, escaped, shown, table
from ncaa_assets.failures import ObjectMissing
from ncaa_assets.record.models import HighlightsDay, ProcessedDay, VideosDay
from ncaa_assets.runs.names import REMEDY
from ncaa_assets.runs.outcome import SUMMARY
from ncaa_assets.text import LINE, plural, visible

_Compare = Callable[[Archive, str], dg.AssetCheckResult]


def build_checks(partitions: dg.PartitionsDefinition) -> list[dg.AssetChecksDefinition]:
    """The checks of the assets, with the same partitions."""
    return [
        _check("highlights", ids_are_unique, partitions, blocking=True),
        _check("highlights", records_are_as_recorded, partitions, blocking=True),
        _check("highlights", day_is_still_listed, partitions),
        _check("highlights", season_has_games, partitions),
        _check("backup_rows", rows_match_json, partitions),
        _check("videos", copies_are_intact, partitions, blocking=True),
        _check("videos", some_video_could_be_copied, partitions),
        _check("processed_videos", outputs_are_stored, partitions),
        _check("processed_videos", outputs_last_as_long_as_their_sources, partitions),
    ]


def _check(
    asset: str, compare: _Compare, partitions: dg.PartitionsDefinition, *, blocking: bool = False
) -> dg.AssetChecksDefinition:
    """The check that makes a comparison of each day, with its name and its docstring."""

    @dg.asset_check(  # type: ignore[arg-type]  # Dagster takes None too
        asset=asset,
        name=compare.__name__,
        description=inspect.getdoc(compare),
        blocking=blocking,
        partitions_def=partitions,
        config_schema={},  # refuses any
    )
    def check(context: dg.AssetCheckExecutionContext, archive: dg.ResourceParam[Archive]) -> dg.AssetCheckResult | None:
        day = day_of(context)
        return None if day is None else compare(archive, day)

    return check


def day_of(context: dg.AssetCheckExecutionContext) -> str | None:
    """The game day of a check's run; None, which is logged, where it has none.

    "Execute all" in the UI launches such a run. There, Dagster fails on any result that a check returns; where it
    returns none, the run succeeds and the results of the days stay as they were.
    """
    if context.has_partition_key:
        return str(context.partition_key)
    context.log.warning(
        "nothing was checked, because this run has no game day; to check a day, materialize its partition, or run `%s`",
        advice.command("verify"),
    )
    return None


def ids_are_unique(archive: Archive, day: str) -> dg.AssetCheckResult:
    """No highlight appears twice in the day's JSON."""
    document = archive.load(HighlightsDay, day)
    return _result(reconcile.unique_ids(document), f"{plural(len(document.data), 'highlight')}, each once")


def records_are_as_recorded(archive: Archive, day: str) -> dg.AssetCheckResult:
    """The day's JSON still has every record that ever came, with the content hash that was noted when it came."""
    document = archive.load(HighlightsDay, day)
    return _result(reconcile.records(document), f"{plural(len(document.data), 'record')} as they came")


def day_is_still_listed(archive: Archive, day: str) -> dg.AssetCheckResult:
    """If the API once listed highlights for the day, its latest answer lists some too; nothing is lost if not."""
    document = archive.load(HighlightsDay, day)
    good = f"{document.backup.fetches[-1].received} listed" if document.data else "the day has no highlights"
    identity = archive.any_identity()
    return _result(reconcile.still_listed(document, identity.founding_module if identity else None), good)


def season_has_games(archive: Archive, day: str) -> dg.AssetCheckResult:
    """In season, the last days that should have games have some. Where none has, the archive may be of a module of
    the API that does not list its league."""
    identity = archive.any_identity()
    compared = reconcile.season(
        archive.store,
        day,
        archive.settings,
        identity.module if identity else None,
    )
    looked_at = compared.evidence[0] if compared.evidence else None
    good = f"{plural(looked_at.highlights, 'highlight')} in the last days" if looked_at else "not in season"
    return _result(compared, good)


def rows_match_json(archive: Archive, day: str) -> dg.AssetCheckResult:
    """Every highlight of the day's JSON has a row that names the day and has the record's content."""
    document = archive.load(HighlightsDay, day)
    return _result(reconcile.rows(document, archive.table), f"{plural(len(document.data), 'row')} as in the JSON")


def copies_are_intact(archive: Archive, day: str) -> dg.AssetCheckResult:
    """Every copy that the day's manifest names is in the store with its size and sha256.

    A damaged copy stops the day here, because encoding it would replace a good output with a bad one. One that is
    lost for good, because its source does not have it any more, is a warning.
    """
    manifest = archive.load(VideosDay, day)
    compared = reconcile.copies(archive.store, manifest, loss=Severity.WARN)
    unread = sum(entry.sha256 is Hash.NOT_COMPARED for entry in compared.evidence)
    good = f"{plural(len(manifest.videos), 'video')} stored whole"
    return _result(compared, good + (f"; for {unread}, only the size was compared" if unread else ""))


def some_video_could_be_copied(archive: Archive, day: str) -> dg.AssetCheckResult:
    """A day with highlights has at least one copied video. Where it has none, the check lists the reasons."""
    manifest = archive.load(VideosDay, day)
    good = plural(len(manifest.videos), "video") if manifest.videos else "the day has no highlights"
    return _result(reconcile.some_copied(manifest), good)


def outputs_are_stored(archive: Archive, day: str) -> dg.AssetCheckResult:
    """Every copied video has its output and its poster in the store, each with its size.

    A video that cannot be encoded, or costs more than an encode may, is a warning with the reason.
    """
    manifest = archive.load(ProcessedDay, day)
    compared = reconcile.outputs(
        archive.store,
        manifest,
        _sources(archive, day),
        wanted=Wanted.of(archive.settings),
        loss=Severity.WARN,
    )
    return _result(compared, f"{plural(len(manifest.videos), 'output')} stored whole")


def outputs_last_as_long_as_their_sources(archive: Archive, day: str) -> dg.AssetCheckResult:
    """Every output lasts as long as the video that it was made from, to within a second."""
    manifest = archive.load(ProcessedDay, day)
    compared = reconcile.durations(archive.store, manifest, _sources(archive, day))
    measured = sum(entry.difference is not None for entry in compared.evidence)
    return _result(compared, f"{measured} of {plural(len(manifest.videos), 'output')} compared")


def _sources(archive: Archive, day: str) -> VideosDay:
    try:
        return archive.load(VideosDay, day)
    except ObjectMissing:
        return VideosDay(date=day)


def _result(compared: Comparison[Any], good: str) -> dg.AssetCheckResult:
    findings = sorted(compared.findings, key=lambda finding: finding.severity is not Severity.ERROR)
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    wrong = [visible(f"{finding.key}: {finding.problem}", most=500) for finding in findings]
    metadata: dict[str, Any] = {"compared": len(compared.evidence), "wrong": len(wrong)}
    if findings:
        metadata["findings"] = table(
            ["what", "is wrong", "what to do"],
            [[finding.key, finding.problem, finding.remedy] for finding in findings],
        )
    if compared.evidence:
        metadata["evidence"] = _evidence(compared.evidence)
    summary = good
    if wrong:
        summary = "; ".join(wrong[:5]) + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else "")
        summary += f"{REMEDY}{findings[0].remedy}"
    metadata[SUMMARY] = summary
    return dg.AssetCheckResult(
        passed=not wrong,
        severity=dg.AssetCheckSeverity.WARN if findings and not errors else dg.AssetCheckSeverity.ERROR,
        description=escaped(summary, most=LINE),  # the UI renders it as Markdown
        metadata=shown(metadata),
    )


def _evidence(entries: Sequence[Any]) -> Table | Markdown:
    """Evidence of one kind as a table with a column for each field."""
    names = [field.name for field in fields(entries[0])]
    return table(
        [name.replace("_", " ") for name in names],
        [[_cell(getattr(entry, name)) for name in names] for entry in entries],
    )


_HASHES = {
    Hash.NOT_COMPARED: "not compared",
    Hash.EQUAL: "equal",
    Hash.EQUAL_BY_STORE: "equal, by the store's own checksum",
    Hash.DIFFERS: "differs",
}


def _cell(value: Cell | Hash) -> Cell:
    if isinstance(value, Hash):
        return _HASHES[value]
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else value
