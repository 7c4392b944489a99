"""Which of a day's videos are still to be copied. No I/O: what the store has is asked through a function."""

from collections.abc import Callable, Collection, Iterator, Sequence

from ncaa_assets.failures import BackupError, VideoRefused
from ncaa_assets.ports import Candidate, CopyOutcome, CopyPlan
from ncaa_assets.record.calendar import now
from ncaa_assets.record.models import CopiedVideo, Highlight, SkippedVideo, VideosDay
from ncaa_assets.video.same import may_mean

# The kinds of refusals (`VideoRefused.kind`) that say that a URL leads to a web page.
PAGES = frozenset({"page", "runtime", "unresolved"})


def plan_copies(
    highlights: Sequence[Highlight],
    manifest: VideosDay,
    *,
    have: Callable[[CopiedVideo], bool],
    count: int | None,
    force: bool,
    searched_pages: Collection[str] = (),
    places: Collection[str] | None = None,
) -> CopyPlan:
    """What a run still has to copy so that the store has all that the manifest names, and the first `count` videos of
    the day (None: all).

    A copy that the store lost is fetched again whatever `count` says, until its source no longer has it. A video whose
    URL changed is fetched again and kept beside the old copy if its bytes differ. A record that has another's URL
    shares its copy: two modules of the API may list one clip under two ids. A URL known to be a web page is not asked
    again, unless pages of its kind are searched now. What a person let go of is not copied again. `force` fetches again
    what the store has and what it lost for good, and where more videos are wanted, asks the pages again.

    Args:
        have: whether the store has this copy.
        searched_pages: the kinds of refused pages in which the copier looks for a video now (`Copier.searched_pages`).
        places: the ids of the highlights that hold one of the `count` places already; by default all that the store has
            a copy of, whichever record it belongs to, or is about to get back.
    """
    closed = PAGES - set(searched_pages)
    pages = {(skip.id, skip.source_url) for skip in manifest.skipped if skip.kind in closed}
    forgotten = {entry.id for entry in manifest.forgotten} - {video.id for video in manifest.videos}
    present = [video for video in manifest.videos if have(video)]
    lost = [video for video in manifest.videos if video not in present]
    if places is None:
        places = {video.id for video in (*present, *(video for video in lost if video.lost is None))} | forgotten
    urls = {highlight.id: highlight.url for highlight in highlights}
    wanted = [video for video in lost if force or video.lost is None]
    renewed = list(_lost(wanted, present, urls))
    asked = {(candidate.highlight.id, candidate.highlight.url) for candidate in renewed}
    fresh = []
    taken = {url: video.id for video in manifest.videos for url in (video.source_url, *video.other_urls)}
    taken |= {entry.video.source_url: entry.id for entry in manifest.forgotten}
    for highlight in highlights:
        shares = highlight.url is not None and taken.setdefault(highlight.url, highlight.id) != highlight.id
        entries = [video for video in manifest.videos if video.id == highlight.id]
        earlier = tuple(video for video in present if video.id == highlight.id)
        known = any(highlight.url in (video.source_url, *video.other_urls) for video in entries)
        if not earlier:  # what is lost for good is not asked for at each new signature
            known = known or any(video.lost is not None and may_mean(highlight.url, video) for video in entries)
        if highlight.id in forgotten or (highlight.id, highlight.url) in asked:
            continue
        if not force and (known or (highlight.id, highlight.url) in pages):
            continue
        if entries:
            gone = tuple(video for video in entries if video in lost)
            is_awaited = force or any(video.lost is None for video in gone)
            perhaps = () if is_awaited else tuple(video for video in earlier if may_mean(highlight.url, video))
            renewed.append(Candidate(highlight, earlier, gone, perhaps))
        elif not shares:
            fresh.append(Candidate(highlight))
    return CopyPlan(renewed, fresh, None if count is None else max(0, count - len(places)))


def _lost(
    lost: Sequence[CopiedVideo], present: Sequence[CopiedVideo], urls: dict[str, str | None]
) -> Iterator[Candidate]:
    """A candidate for each address from which lost copies may come back."""
    by_address: dict[tuple[str, str], list[CopiedVideo]] = {}
    for video in lost:
        by_address.setdefault((video.id, _address(video, urls.get(video.id))), []).append(video)
    for (key, url), videos in by_address.items():
        earlier = tuple(video for video in present if video.id == key)
        yield Candidate(Highlight(id=key, url=url, title=videos[0].title), earlier, tuple(videos))


def _address(video: CopiedVideo, listed: str | None) -> str:
    """Where to ask for a lost copy: at the address that its highlight is listed with now, if that served it or is the
    same with another signature, else at the last that served it."""
    known = [video.source_url, *video.other_urls]
    if listed is not None and may_mean(listed, video):
        return listed
    return known[-1]


def skipped(outcome: CopyOutcome, error: BackupError) -> SkippedVideo:
    """The manifest's entry for a video that was not copied."""
    highlight = outcome.candidate.highlight
    return SkippedVideo(
        id=highlight.id,
        title=highlight.shown_title,
        source_url=highlight.url,
        kind=kind_of(error),
        reason=str(error),
        at=now(),
    )


def kind_of(error: BackupError) -> str:
    """The kind of what went wrong with a copy, as the manifest has it."""
    return error.kind if isinstance(error, VideoRefused) else "failed"
