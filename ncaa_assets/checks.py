"""Asset checks: does the archive hold what its documents say? ERROR where the archive is wrong, WARN where the source
is odd. Each check knows its partition: without one, a bad day would turn green when a good one runs.
"""

import dagster as dg

from ncaa_assets import documents
from ncaa_assets.backends.base import HighlightTable, ObjectStore
from ncaa_assets.failures import ObjectMissing
from ncaa_assets.models import Highlight, HighlightsDay, ProcessedDay, VideosDay
from ncaa_assets.presentation import plural

# An encode may be shorter or longer than its source by a frame or an audio packet; never by this much.
_DURATION_TOLERANCE_SECONDS = 1.0


def build_checks(partitions: dg.PartitionsDefinition) -> list[dg.AssetChecksDefinition]:
    """The checks of the four assets, partitioned as they are."""

    @dg.asset_check(asset="highlights", partitions_def=partitions)
    def ids_are_unique(
        context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[ObjectStore]
    ) -> dg.AssetCheckResult:
        """No highlight stands twice in the day's JSON."""
        day = documents.load(store, HighlightsDay, context.partition_key)
        ids = [Highlight.parse(record).id for record in day.data]
        twice = sorted({key for key in ids if ids.count(key) > 1})
        return _result(twice, f"{plural(len(ids), 'highlight')}, each once")

    @dg.asset_check(asset="highlights", partitions_def=partitions)
    def day_is_still_listed(
        context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[ObjectStore]
    ) -> dg.AssetCheckResult:
        """A day that the API once listed highlights for has some in the latest answer too; nothing is lost if not."""
        day = documents.load(store, HighlightsDay, context.partition_key)
        last = day.backup.fetches[-1]
        gone = f"{plural(len(day.data), 'highlight')} kept, and the API lists none any more ({last.at})"
        wrong = [gone] if day.data and not last.received else []
        good = f"{last.received} listed" if day.data else "the day has no highlights"
        return _result(wrong, good, severity=dg.AssetCheckSeverity.WARN)

    @dg.asset_check(asset="backup_rows", partitions_def=partitions)
    def rows_match_json(
        context: dg.AssetCheckExecutionContext,
        store: dg.ResourceParam[ObjectStore],
        table: dg.ResourceParam[HighlightTable],
    ) -> dg.AssetCheckResult:
        """Every highlight of the day's JSON has its row, and the row names the day and has the record's content."""
        day = documents.load(store, HighlightsDay, context.partition_key)
        rows = table.get(list(day.backup.records))
        wrong = []
        for key, entry in day.backup.records.items():
            row = rows.get(key)
            if row is None:
                wrong.append(f"{key}: no row")
            elif day.date not in row["days"]:
                wrong.append(f"{key}: the row does not name {day.date}")
            elif row["content_hash"] != entry.content_hash and len(row["days"]) == 1:
                wrong.append(f"{key}: the row has another content")
        return _result(wrong, f"{plural(len(rows), 'row')} as in the JSON")

    @dg.asset_check(asset="videos", partitions_def=partitions)
    def copies_are_stored(
        context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[ObjectStore]
    ) -> dg.AssetCheckResult:
        """Every copy that the day's manifest names is in the store with its size."""
        manifest = documents.load(store, VideosDay, context.partition_key)
        wrong = _missing(store, [(video.key, video.bytes) for video in manifest.videos])
        return _result(wrong, f"{plural(len(manifest.videos), 'video')} stored whole")

    @dg.asset_check(asset="videos", partitions_def=partitions)
    def some_video_could_be_copied(
        context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[ObjectStore]
    ) -> dg.AssetCheckResult:
        """A day with highlights has at least one copied video; where it has none, the reasons are listed."""
        manifest = documents.load(store, VideosDay, context.partition_key)
        wrong = [] if manifest.videos else [f"{skip.id}: {skip.reason}" for skip in manifest.skipped]
        good = plural(len(manifest.videos), "video") if manifest.videos else "the day has no highlights"
        return _result(wrong, good, severity=dg.AssetCheckSeverity.WARN)

    @dg.asset_check(asset="processed_videos", partitions_def=partitions)
    def outputs_are_stored(
        context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[ObjectStore]
    ) -> dg.AssetCheckResult:
        """Every copied video has its output and poster in the store, and the output lasts as long as its source."""
        manifest = documents.load(store, ProcessedDay, context.partition_key)
        try:
            sources = {video.sha256: video for video in documents.load(store, VideosDay, context.partition_key).videos}
        except ObjectMissing:
            sources = {}
        wrong = _missing(
            store,
            [
                pair
                for video in manifest.videos
                for pair in ((video.key, video.bytes), (video.poster.key, video.poster.bytes))
            ],
        )
        encoded = {video.source_sha256: video for video in manifest.videos}
        for sha256, source in sources.items():
            output = encoded.get(sha256)
            if output is None:
                wrong.append(f"{source.key}: not encoded")
            elif source.duration_seconds and output.duration_seconds:
                difference = output.duration_seconds - source.duration_seconds
                if abs(difference) > _DURATION_TOLERANCE_SECONDS:
                    wrong.append(f"{output.key}: lasts {difference:+.1f} s longer than its source")
        return _result(wrong, f"{plural(len(manifest.videos), 'output')} stored whole")

    return [
        ids_are_unique,
        day_is_still_listed,
        rows_match_json,
        copies_are_stored,
        some_video_could_be_copied,
        outputs_are_stored,
    ]


def _missing(store: ObjectStore, expected: list[tuple[str, int]]) -> list[str]:
    wrong = []
    for key, size in expected:
        info = store.info(key)
        if info is None:
            wrong.append(f"{key}: missing")
        elif info.size != size:
            wrong.append(f"{key}: {info.size} bytes, not {size}")
    return wrong


def _result(
    wrong: list[str], good: str, *, severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=not wrong,
        severity=severity,
        description="; ".join(wrong[:5]) + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else "") if wrong else good,
        metadata={"wrong": len(wrong), "evidence": dg.MetadataValue.json(wrong[:100])},
    )
