"""A day's three documents as the highlights that its page shows. No I/O: what is recorded decides, and the store is not
asked whether each object is there.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, urlsplit

from ncaa_assets.gallery.model import Clip, State
from ncaa_assets.gallery.teams import team
from ncaa_assets.media.facts import Facts
from ncaa_assets.record.kept import KeptVideos
from ncaa_assets.record.matches import GameColumns, games_of
from ncaa_assets.record.models import (
    CopiedVideo,
    ForgottenVideo,
    Highlight,
    HighlightsDay,
    ProcessedDay,
    RecordHistory,
    SkippedVideo,
    VideosDay,
    typed_name,
)
from ncaa_assets.text import visible

_LONGEST_TITLE, _LONGEST_SOURCE, _LONGEST_SCORE, _LONGEST_WHY = 300, 40, 20, 300  # characters
_LONGEST_URL = 2000
_MOST_TITLES = 10  # earlier ones of a highlight

_YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_YOUTUBE = re.compile(r"(?:www\.|m\.|music\.)?youtube(?:-nocookie)?\.com")
# What a browser plays, by the container and MediaInfo's names.
_PICTURES = {"mp4": {"AVC", "AV1", "VP9"}, "webm": {"VP8", "VP9", "AV1"}}
_SOUNDS = {"mp4": {"AAC", "MPEG Audio", "Opus", "FLAC"}, "webm": {"Opus", "Vorbis"}}

# Why nothing was copied, by the kind of what is recorded (`failures.VideoRefused`).
_WHY = {
    "page": "Its address leads to a web page, so its link is kept.",
    "unresolved": "No video was found in the web page at its address, so its link is kept.",
    "runtime": "Its web page gives no video without a JavaScript runtime, so its link is kept.",
    "unsafe": "Its address leads to a place that is never asked.",
    "gone": "Its host does not give it out.",
    "not-video": "What its host gave is no video.",
    "too-large": "It is larger than a video may be here.",
    "failed": "The last try to copy it failed; the next backup of the day tries again.",
}


def clips_of(highlights: HighlightsDay, videos: VideosDay, processed: ProcessedDay) -> tuple[Clip, ...]:
    """What a day's page shows: the day's records in the API's order, then the copies that no listing names."""
    kept = _Kept.of(videos, processed)
    games = games_of(highlights)
    clips = [
        _clip(highlights.date, view, record, games[view.id], highlights.backup.records[view.id], kept)
        for view, record in highlights.highlights()
    ]
    listed = {view.id for view, _ in highlights.highlights()}
    for identifier, (video, output) in kept.videos.by_id.items():
        if identifier not in listed:
            title = next((one.title for one in (video, output) if one is not None and one.title), None)
            view = Highlight(id=identifier, url=video.source_url if video else None, title=title)
            clips.append(_clip(highlights.date, view, {}, {}, None, kept))
    # Two records of one id, which no version of this program writes, are one on a page.
    return tuple({clip.id: clip for clip in clips}.values())


@dataclass(frozen=True)
class _Kept:
    """What is recorded of a day's videos, and of those that are not kept."""

    videos: KeptVideos
    forgotten: dict[str, ForgottenVideo]
    forgotten_by_url: dict[str, ForgottenVideo]
    skipped: dict[tuple[str, str | None], SkippedVideo]
    was_asked: bool

    @classmethod
    def of(cls, videos: VideosDay, processed: ProcessedDay) -> "_Kept":
        return cls(
            videos=KeptVideos(videos, processed),
            forgotten={entry.id: entry for entry in videos.forgotten},
            forgotten_by_url={entry.video.source_url: entry for entry in videos.forgotten},
            skipped={(entry.id, entry.source_url): entry for entry in videos.skipped},
            was_asked=bool(videos.videos or videos.forgotten or videos.skipped),
        )  # fmt: skip

    def why_none(self, view: Highlight) -> tuple[State, str]:
        """How a highlight stands of which no video is kept, and why."""
        if (video := self.videos.lost.get(view.id)) is not None and video.lost is not None:
            return State.LOST, f"Its copy was lost, and its source has it no more: {visible(video.lost.reason)}"
        forgotten = self.forgotten.get(view.id) or self.forgotten_by_url.get(view.url or "")
        if forgotten is not None:
            reason = f": {visible(forgotten.reason)}" if forgotten.reason else ""
            return State.LINK, f"You let go of it on {forgotten.at[:10]} (`forget`){reason}"
        if view.url is None:
            return State.LINK, "The API names no address of a video."
        if (skip := self.skipped.get((view.id, view.url))) is not None:
            return State.LINK, _WHY.get(skip.kind) or visible(skip.reason)
        if self.was_asked:
            return State.LINK, "Not copied: other clips of the day come first (VIDEO_COUNT)."
        return State.LINK, "Not copied yet."


def _clip(
    day: str, view: Highlight, record: dict[str, object], game: GameColumns, history: RecordHistory | None, kept: _Kept
) -> Clip:
    copy, output = kept.videos.of(view)
    state, why = (State.KEPT, None) if copy or output else kept.why_none(view)
    home, away = (team(name) if (name := game.get(f"{side}_team")) else None for side in ("home", "away"))
    title = visible(view.shown_title or "", most=_LONGEST_TITLE)
    url = followed(view.url)
    seconds = next((one.duration_seconds for one in (output, copy) if one is not None and one.duration_seconds), None)
    played = output.key if output is not None else copy.key if copy is not None and plays(copy) else None
    removed = history.removed_upstream if history is not None else None
    return Clip(
        id=typed_name(view.id), day=day, title=title or f"Highlight {typed_name(view.id)}",
        home=home, away=away,
        score=_score(game), seconds=None if seconds is None else round(seconds), source=_source(view, url), state=state,
        is_removed=removed is not None, is_changed=history is not None and bool(history.history),
        video=played, poster=output.poster.key if output is not None else None,
        why=None if why is None else visible(why, most=_LONGEST_WHY), url=url,
        youtube=youtube_id(view.url) or youtube_id(record.get("embedUrl")),
        copy=copy.key if copy is not None else None, output=output.key if output is not None else None,
        removed=None if removed is None else removed[:10],
        earlier_titles=tuple(_earlier_titles(title, history)) if history is not None else (),
    )  # fmt: skip


def plays(video: CopiedVideo) -> bool:
    """Whether browsers play a copy as it is, by its facts; one without facts is taken for what its container mostly
    holds."""
    facts: Facts | None = video.facts
    pictures = _PICTURES.get(video.container)
    if pictures is None or facts is None:
        return pictures is not None
    picture, sound = facts.picture, facts.sound
    if picture is None or facts.encrypted or picture.codec not in pictures:
        return False
    if picture.codec == "AVC" and (picture.bit_depth not in (None, 8) or picture.chroma not in (None, "4:2:0")):
        return False
    return sound is None or sound.codec in _SOUNDS[video.container]


def followed(url: object) -> str | None:
    """An address that a person may follow, with what has a meaning in HTML escaped: one of http or https that names no
    user and holds nothing that shows as something else. None for any other."""
    if not isinstance(url, str) or len(url) > _LONGEST_URL or "\\" in url or visible(url, most=_LONGEST_URL) != url:
        return None
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    if not is_one or "@" in parts.netloc or not re.fullmatch(r"[A-Za-z0-9.:\[\]_-]+", parts.netloc):
        return None
    return quote(url, safe="%/:=&?~#+!$,;@()*[]")


def youtube_id(url: object) -> str | None:
    """The id of the YouTube video at an address; None for any other."""
    address = followed(url)
    if address is None:
        return None
    parts = urlsplit(address)
    host, path = (parts.hostname or "").rstrip("."), parts.path.split("/")
    given: str | None = None
    if host == "youtu.be" and len(path) == 2:
        given = path[1]
    elif _YOUTUBE.fullmatch(host):
        if parts.path == "/watch":
            given = next(iter(parse_qs(parts.query).get("v", [])), None)
        elif len(path) == 3 and path[1] in ("embed", "shorts", "live", "v"):
            given = path[2]
    return given if given is not None and _YOUTUBE_ID.fullmatch(given) else None


def _score(game: GameColumns) -> str | None:
    home, away = game.get("home_score"), game.get("away_score")
    if home is not None and away is not None:
        return f"{home}–{away}"
    return visible(game.get("score") or "", most=_LONGEST_SCORE) or None


def _source(view: Highlight, url: str | None) -> str | None:
    """Where a highlight comes from, in a word."""
    if view.source and (source := visible(view.source, most=_LONGEST_SOURCE)):
        return source
    host = urlsplit(url).hostname if url is not None else None
    return visible(host.removeprefix("www."), most=_LONGEST_SOURCE) if host else None


def _earlier_titles(title: str, history: RecordHistory) -> Iterator[str]:
    """The titles that a record had, newest first, without the present one."""
    told = {title}
    for change in reversed(history.history):
        earlier = change.record.get("title")
        shown = visible(earlier, most=_LONGEST_TITLE) if isinstance(earlier, str) else ""
        if shown and shown not in told:
            told.add(shown)
            yield shown
        if len(told) > _MOST_TITLES:
            return
