"""Asset checks: `reconcile`'s comparisons of one day, each shown with its evidence.

ERROR means that the archive is wrong, WARN that the source is odd. A check blocks where the next step would spread the
damage to rows or outputs.

The checks are partitioned: otherwise a bad day would turn green when a good one runs.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import dagster as dg

from ncaa_assets.archive import reconcile
from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.reconcile import Comparison, Hash, Severity
from ncaa_assets.archive.standing import Wanted
from ncaa_assets.defs.metadata import Markdown, escaped, shown, table
from ncaa_assets.failures import ObjectMissing
from ncaa_assets.record.models import HighlightsDay, ProcessedDay, VideosDay
from ncaa_assets.runs.outcome import SUMMARY
from ncaa_assets.text import LINE, plural, visible


def build_checks(partitions: dg.PartitionsDefinition) -> list[dg.AssetChecksDefinition]:
    """The checks of the four assets, with the same partitions."""

    @dg.asset_check(asset="highlights", partitions_def=partitions, blocking=True)
    def ids_are_unique(
        context: dg.AssetCheckExecutionContext, archive: dg.ResourceParam[Archive]
    ) -> dg.AssetCheckResult:
        """No highlight appears twice in the day's JSON."""
        day = archive.load(HighlightsDay, context.partition_key)
        return _result(reconcile.unique_ids(day), f"{plural(len(day.data), 'highlight')}, each once")

    @dg.asset_check(asset="highlights", partitions_def=partitions, blocking=True)
    def records_are_as_recorded(
        context: dg.AssetCheckExecutionContext, archive: dg.ResourceParam[Archive]
    ) -> dg.AssetCheckResult:
        """The day's JSON still has every record that ever came, with the content hash that was noted when it came."""
        day = archive.load(HighlightsDay, context.partition_key)
        return _result(reconcile.records(day), f"{plural(len(day.data), 'record')} as they came")

    @dg.asset_check(asset="highlights", partitions_def=partitions)
    def day_is_still_listed(
        context: dg.AssetCheckExecutionContext, archive: dg.ResourceParam[Archive]
    ) -> dg.AssetCheckResult:
        """If the API once listed highlights for the day, its latest answer lists some too; nothing is lost if not."""
        day = archive.load(HighlightsDay, context.partition_key)
        good = f"{day.backup.fetches[-1].received} listed" if day.data else "the day has no highlights"
        identity = archive.any_identity()
        return _result(reconcile.still_listed(day, identity.founding_module if identity else None), good)

    @dg.asset_check(asset="highlights", partitions_def=partitions)
    def season_has_games(
        context: dg.AssetCheckExecutionContext, archive: dg.ResourceParam[Archive]
    ) -> dg.AssetCheckResult:
        """In season, the last days that should have games have some. Where none has, the archive may be of a module of
        the API that does not list its league."""
        identity = archive.any_identity()
        compared = reconcile.season(
            archive.store,
            context.partition_key,
            archive.settings,
            identity.module if identity else None,
        )
        looked_at = compared.evidence[0] if compared.evidence else None
        good = f"{plural(looked_at.highlights, 'highlight')} in the last days" if looked_at else "not in season"
        return _result(compared, good)

    @dg.asset_check(asset="backup_rows", partitions_def=partitions)
    def rows_match_json(
        context: dg.AssetCheckExecutionContext, archive: dg.ResourceParam[Archive]
    ) -> dg.AssetCheckResult:
        """Every highlight of the day's JSON has a row that names the day and has the record's content."""
        day = archive.load(HighlightsDay, context.partition_key)
        return _result(reconcile.rows(day, archive.table), f"{plural(len(day.data), 'row')} as in the JSON")

    @dg.asset_check(asset="videos", partitions_def=partitions, blocking=True)
    def copies_are_intact(
        context: dg.AssetCheckExecutionContext, archive: dg.ResourceParam[Archive]
    ) -> dg.AssetCheckResult:
        """Every copy that the day's manifest names is in the store with its size and sha256.

        A damaged copy stops the day here, because encoding it would replace a good output with a bad one. One that is
        lost for good, because its source does not have it any more, is a warning.
        """
        manifest = archive.load(VideosDay, context.partition_key)
        compared = reconcile.copies(archive.store, manifest, loss=Severity.WARN)
        unread = sum(entry.sha256 is Hash.NOT_COMPARED for entry in compared.evidence)
        good = f"{plural(len(manifest.videos), 'video')} stored whole"
        return _result(compared, good + (f"; for {unread}, only the size was compared" if unread else ""))

    @dg.asset_check(asset="videos", partitions_def=partitions)
    def some_video_could_be_copied(
        context: dg.AssetCheckExecutionContext, archive: dg.ResourceParam[Archive]
    ) -> dg.AssetCheckResult:
        """A day with highlights has at least one copied video. Where it has none, the check lists the reasons."""
        manifest = archive.load(VideosDay, context.partition_key)
        good = plural(len(manifest.videos), "video") if manifest.videos else "the day has no highlights"
        return _result(reconcile.some_copied(manifest), good)

    @dg.asset_check(asset="processed_videos", partitions_def=partitions)
    def outputs_are_stored(
        context: dg.AssetCheckExecutionContext, archive: dg.ResourceParam[Archive]
    ) -> dg.AssetCheckResult:
        """Every copied video has its output and its poster in the store, each with its size.

        A video that cannot be encoded, or costs more than an encode may, is a warning with the reason.
        """
        manifest = archive.load(ProcessedDay, context.partition_key)
        compared = reconcile.outputs(
            archive.store,
            manifest,
            _sources(archive, context.partition_key),
            wanted=Wanted.of(archive.settings),
            loss=Severity.WARN,
        )
        return _result(compared, f"{plural(len(manifest.videos), 'output')} stored whole")

    @dg.asset_check(asset="processed_videos", partitions_def=partitions)
    def outputs_last_as_long_as_their_sources(
        context: dg.AssetCheckExecutionContext, archive: dg.ResourceParam[Archive]
    ) -> dg.AssetCheckResult:
        """Every output lasts as long as the video that it was made from, to within a second."""
        manifest = archive.load(ProcessedDay, context.partition_key)
        compared = reconcile.durations(archive.store, manifest, _sources(archive, context.partition_key))
        measured = sum(entry.difference is not None for entry in compared.evidence)
        return _result(compared, f"{measured} of {plural(len(manifest.videos), 'output')} compared")

    return [
        ids_are_unique,
        records_are_as_recorded,
        day_is_still_listed,
        season_has_games,
        rows_match_json,
        copies_are_intact,
        some_video_could_be_copied,
        outputs_are_stored,
        outputs_last_as_long_as_their_sources,
    ]


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
        summary += f". What to do: {findings[0].remedy}"
    metadata[SUMMARY] = summary
    return dg.AssetCheckResult(
        passed=not wrong,
        severity=dg.AssetCheckSeverity.WARN if findings and not errors else dg.AssetCheckSeverity.ERROR,
        description=escaped(summary, most=LINE),  # the UI renders it as Markdown
        metadata=shown(metadata),
    )


def _evidence(entries: Sequence[Any]) -> Markdown:
    """Evidence of one kind as a table with a column for each field."""
    names = [field.name for field in fields(entries[0])]
    return table(
        [name.replace("_", " ") for name in names],
        [[_words(getattr(entry, name)) for name in names] for entry in entries],
    )


_HASHES = {
    Hash.NOT_COMPARED: "not compared",
    Hash.EQUAL: "equal",
    Hash.EQUAL_BY_STORE: "equal, by the store's own checksum",
    Hash.DIFFERS: "differs",
}


def _words(value: object) -> str:
    if isinstance(value, Hash):
        return _HASHES[value]
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
