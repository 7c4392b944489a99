"""The layout `library`: a show with seasons and episodes, as Jellyfin, Kodi and Plex find them.

    NCAA Highlights/tvshow.nfo, poster.jpg, fanart.jpg, season2024-poster.jpg
    NCAA Highlights/Season 2024/season.nfo, poster.jpg, Season2024.jpg
    NCAA Highlights/Season 2024/NCAA Highlights - S2024E250309001 - 2025-03-09.mp4, .nfo, .jpg, -thumb.jpg
    documents/…    the archive's documents, word for word, and the copies and posters that are not shown; no program
                   looks in there

What the three document, and what follows. Of Plex's pages the one on `.nfo` files was read; what its others say of
names, pictures and exclusions is told by those who quote them, and named here.

- Show, season, episode: all three read `Show/Season N/… SnEm …`, and Kodi reads the numbers from the file's name alone
  (kodi.wiki "NFO files/Episodes"; jellyfin.org "Shows"; Plex: forums.plex.tv 200879). What they take for an episode,
  for two of them, for a part, an extra or a sample is in their sources (xbmc/settings/AdvancedSettings.cpp;
  Emby.Naming's NamingOptions.cs). Names with a date alone would do for one clip a day: Plex takes two of a date for one
  episode (Inrixia/Floatplane-Downloader #58), and Kodi looks a date up in a list of episodes that nobody has for these.
- A season is a college year, from August to July, and has the number of the year in which it begins: `<namedseason>`
  (kodi.wiki "NFO files/TV shows") and `season.nfo` (jellyfin.org "Local .nfo metadata") call 2024 “2024–25”.
- An episode's number is its day, YYMMDD, and its record's place in the day's bookkeeping, where records are only ever
  added. So numbers rise through a season, and none changes when the archive grows. The programs keep a number in 32
  bits, which has room for 1,999 records of a day. A clip that no listing names is a special (`Season 00`, which all
  three document), numbered by its id's place among the ids of those.
- Names have nothing in them that the API may change or that a stranger wrote, so a name stays as it is, and no title
  passes for another episode (`S01E02`), a part, a trailer or a sample, which the programs read out of names.
- Titles, teams, plot and day are in the `.nfo` beside each video. Plex reads them since 1.43.1 with its agent “Plex NFO
  Series” (support.plex.tv "Using NFO metadata files with Plex"). `<lockdata>` keeps Jellyfin from asking others.
  Teams are actors for Kodi and Plex, which show all games of one, and tags for Jellyfin.
- Pictures: `NAME-thumb.jpg` for Kodi (kodi.wiki "Artwork") and Jellyfin (jellyfin.org "Shows", Metadata Images),
  `NAME.jpg` for Plex (kieraneglin/pinchflat #203); `poster.jpg` and `fanart.jpg` of the show for all; a season's in
  `season2024-poster.jpg` (Kodi), `Season 2024/poster.jpg` (Jellyfin), `Season2024.jpg` (Plex: TV-Rename/tvrename #270).
  The poster of a season, and of the show, is that of its newest game.
- What is not to be scanned: an empty `.ignore` (jellyfin.org "Excluding Files and Directories"; older versions take
  whatever is in it for an empty one), an empty `.nomedia` (xbmc/InfoScanner.cpp), a `.plexignore` with patterns for the
  folder that it is in and all below (plexopedia.com "How to Ignore Files or Folders").

The video is the web encode where there is one, because a television or a browser plays it without transcoding, and else
the copy. A highlight is one episode: of several copies it shows the latest.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, ClassVar

from ncaa_assets.archive import documents
from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.identity import IDENTITY_KEY, Identity
from ncaa_assets.failures import DocumentDamaged, ObjectMissing, StoreError
from ncaa_assets.ports import ObjectStore
from ncaa_assets.record.kept import Kept, KeptVideos
from ncaa_assets.record.matches import games_of
from ncaa_assets.record.models import HighlightsDay, ProcessedDay, ProcessedVideo, VideosDay
from ncaa_assets.record.written import from_bytes
from ncaa_assets.restore import archive as archive_layout
from ncaa_assets.restore.content import DayContent, of_bytes, of_object
from ncaa_assets.restore.target import Piece
from ncaa_assets.text import visible

_NOT_SCANNED = {".ignore": b"", ".nomedia": b"", ".plexignore": b"*\n"}
_SPECIALS = 0
_FIRST_MONTH = 8  # of a college year
_MOST_SHOW = 60  # bytes of a league's name, which leaves the longest file name far below what any file system takes


@dataclass(frozen=True)
class _Clip:
    """What is shown of a highlight: the object, and its poster. `number` is the episode's in `season`."""

    id: str
    title: str | None
    season: int
    number: int
    key: str
    size: int
    sha256: str | None
    output: ProcessedVideo | None


@dataclass
class Library:
    """The layout for one archive. `shown` are the seasons that have an episode so far."""

    documents: ClassVar[str] = "documents/"

    league: str
    shown: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, archive: Archive) -> "Library":
        """The layout for an archive, whose league is the show. Where the archive does not say which, the settings do.

        Raises:
            StoreError: the store does not answer.
        """
        store = archive.store
        try:
            return cls(from_bytes(Identity, store.read(IDENTITY_KEY)[0], store.uri(IDENTITY_KEY)).league)
        except (ObjectMissing, DocumentDamaged):  # which is named where it is restored
            return cls(archive.settings.league_name)

    @property
    def show(self) -> str:
        """The show's name in paths: letters alone, so that it is a name anywhere and holds no number for an episode's.
        Kodi and Plex pass over what is called a sample."""
        letters = re.sub(r"sample", "", re.sub(r"[\W\d_]+", " ", self.league), flags=re.IGNORECASE)
        cut = visible(letters).encode()[:_MOST_SHOW].decode(errors="ignore").strip()
        return f"{cut} Highlights".strip()

    def pieces(self, store: ObjectStore, content: DayContent, what: Collection[str]) -> Iterator[Piece]:
        """The files of a day. `what` names the parts that are wanted, of `videos` and `processed`: without the first no
        copies are shown, without the second no encodes and no pictures. What is not shown has its own key in
        `documents/`, so that nothing of the archive is missing."""
        records, clips = _records(content), list(_clips(content, what))
        for clip in clips:
            self.shown.add(clip.season)
            base = f"{self._folder(clip.season)}/{self._stem(clip, content.day)}"
            yield of_object(f"{base}{_ending(clip.key)}", store, clip.key, clip.size, clip.sha256)
            yield from _pictures(store, clip.output, (f"{base}-thumb.jpg", f"{base}.jpg"))
            nfo = self._episode(clip, content.day, records.get(clip.id, {}))
            yield of_bytes(f"{base}.nfo", nfo, key=HighlightsDay.key(content.day))
        shown = {clip.key for clip in clips}
        for piece in archive_layout.pieces(store, content, what):
            if piece.key not in shown:
                yield replace(piece, path=f"{self.documents}{piece.path}")

    def of_show(self, store: ObjectStore, days: Sequence[str], what: Collection[str]) -> Iterator[Piece]:
        """What belongs to no day: the show, the seasons that are shown, and what keeps programs out of the documents.
        `days` are all days of the archive, oldest first."""
        for name, data in _NOT_SCANNED.items():
            yield of_bytes(f"{self.documents}{name}", data, key=IDENTITY_KEY)
        if not self.shown:
            return
        yield of_bytes(f"{self.show}/tvshow.nfo", self._tvshow(days), key=IDENTITY_KEY)
        newest = self._newest_posters(store, days) if "processed" in what else {}
        for season in sorted(self.shown):
            folder = self._folder(season)
            yield of_bytes(f"{folder}/season.nfo", _season_nfo(season), key=IDENTITY_KEY)
            called = "season-specials" if season == _SPECIALS else f"season{season:02}"
            paths = f"{folder}/poster.jpg", f"{folder}/Season{season:02}.jpg", f"{self.show}/{called}-poster.jpg"
            yield from _pictures(store, newest.get(season), paths)
        latest = max(self.shown & newest.keys(), default=None)
        if latest is not None:
            yield from _pictures(store, newest[latest], (f"{self.show}/poster.jpg", f"{self.show}/fanart.jpg"))

    def _folder(self, season: int) -> str:
        return f"{self.show}/Season {season:02}"

    def _stem(self, clip: _Clip, day: str) -> str:
        return f"{self.show} - S{clip.season:02}E{clip.number:09} - {day}"

    def _newest_posters(self, store: ObjectStore, days: Sequence[str]) -> dict[int, ProcessedVideo]:
        """Of each season that is shown the newest output that has a poster; of specials, none."""
        newest: dict[int, ProcessedVideo] = {}
        for day in reversed(days):
            season = season_of(day)
            if season in self.shown and season not in newest:
                try:
                    outputs = documents.load(store, ProcessedDay, day).videos
                except StoreError:  # missing or damaged, which is named with its day
                    continue
                if outputs:
                    newest[season] = outputs[-1]
        return newest

    def _tvshow(self, days: Sequence[str]) -> bytes:
        title = self._title()
        root = _nfo("tvshow", title=title, sorttitle=title, plot=f"Highlights of {self.league}, game by game.")
        _add(root, premiered=days[0] if days else None, genre="Sports")
        _unique(root, self.league)
        for season in sorted({*map(season_of, days), *self.shown}):
            ET.SubElement(root, "namedseason", number=str(season)).text = season_title(season)
        return _xml(root)

    def _episode(self, clip: _Clip, day: str, about: dict[str, Any]) -> bytes:
        title = _first(about.get("title"), clip.title, about.get("game"), clip.id)
        root = _nfo("episodedetails", title=title, showtitle=self._title())
        _add(root, season=clip.season, episode=clip.number, aired=day, premiered=day)
        game = ", ".join(filter(None, (about.get(name) for name in ("game", "score", "game_state", "venue"))))
        plot = _first(". ".join(filter(None, (game, about.get("description")))), title)
        _add(root, plot=plot, studio=about.get("channel"))
        _unique(root, clip.id)
        for order, side in enumerate(("home", "away")):
            if (team := about.get(f"{side}_team")) is not None:
                _add(root, tag=team)
                _add(ET.SubElement(root, "actor"), name=team, role=side, order=order)
        return _xml(root)

    def _title(self) -> str:
        return f"{self.league} Highlights"


def season_of(day: str) -> int:
    """The college year of a day: the year in which it begins."""
    return int(day[:4]) - (int(day[5:7]) < _FIRST_MONTH)


def season_title(season: int) -> str:
    """What people call a season: `2024–25`."""
    return "Specials" if season == _SPECIALS else f"{season}–{(season + 1) % 100:02}"


def episode_number(day: str, place: int) -> int:
    """The number of the `place`th record of a day (from 1): 250309001. That of a thousandth has one digit more."""
    thousands, place = divmod(place, 1000)
    return thousands * 10**9 + int(day[2:].replace("-", "")) * 1000 + place


def _clips(content: DayContent, what: Collection[str]) -> Iterator[_Clip]:
    """What is shown of a day, one of each highlight, in the order in which they were copied."""
    season, places = season_of(content.day), _places(content)
    for identifier, (copy, output) in _kept(content, what).items():
        is_listed, place = places[identifier]
        shown = output or copy
        assert shown is not None  # noqa: S101 - it is not kept else
        yield _Clip(
            id=identifier, title=next((one.title for one in (copy, output) if one is not None), None),
            season=season if is_listed else _SPECIALS, number=episode_number(content.day, place),
            key=shown.key, size=shown.bytes, sha256=shown.sha256, output=output,
        )  # fmt: skip


def _places(content: DayContent) -> dict[str, tuple[bool, int]]:
    """Of each highlight of a day whether a listing names it, and its place among those, or among the others (from 1).
    Neither depends on what is wanted."""
    records = content.highlights.backup.records if content.highlights is not None else {}
    named = {output.id for output in content.processed.videos} if content.processed is not None else set()
    if content.videos is not None:  # what was let go of keeps its number
        named |= {video.id for video in content.videos.videos} | {entry.id for entry in content.videos.forgotten}
    others = sorted(named - records.keys())
    return {
        **{key: (True, place) for place, key in enumerate(records, 1)},
        **{key: (False, place) for place, key in enumerate(others, 1)},
    }


def _kept(content: DayContent, what: Collection[str]) -> dict[str, Kept]:
    """What there is of each highlight of what is wanted."""
    outputs = content.processed if "processed" in what else None
    kept = KeptVideos(
        content.videos or VideosDay(date=content.day),
        outputs or ProcessedDay(date=content.day),
        only_encoded="videos" not in what,
    )
    return kept.by_id


def _records(content: DayContent) -> dict[str, dict[str, Any]]:
    """What is known of each highlight of a day, by its id."""
    if content.highlights is None:
        return {}
    games = games_of(content.highlights)
    return {
        view.id: {
            **games[view.id],
            "title": view.shown_title,
            "channel": view.channel or view.source,
            "description": text if isinstance(text := record.get("description"), str) else None,
        }
        for view, record in content.highlights.highlights()
    }


def _ending(key: str) -> str:
    ending = PurePosixPath(key).suffix.lower()
    return ending if re.fullmatch(r"\.[a-z0-9]{2,4}", ending) else ".mp4"


def _pictures(store: ObjectStore, output: ProcessedVideo | None, paths: Sequence[str]) -> Iterator[Piece]:
    if output is not None:
        for path in paths:
            yield of_object(path, store, output.poster.key, output.poster.bytes, None)


def _season_nfo(season: int) -> bytes:
    root = _nfo("season", title=season_title(season))
    _add(root, seasonnumber=season)
    return _xml(root)


def _nfo(kind: str, **elements: object) -> ET.Element:
    root = ET.Element(kind)
    _add(root, **elements)
    _add(root, lockdata="true")
    return root


def _add(parent: ET.Element, **elements: object) -> None:
    """Adds an element for each value that is known: a text of strangers as one line of characters that XML takes."""
    for name, value in elements.items():
        if value is not None and (text := visible(value, most=2000)):
            ET.SubElement(parent, name).text = text


def _first(*texts: str | None) -> str:
    """The first text that shows anything. An id always does."""
    return next((text for text in texts if text and visible(text)), "?")


def _unique(parent: ET.Element, identifier: str) -> None:
    ET.SubElement(parent, "uniqueid", type="ncaa_assets", default="true").text = visible(identifier)


def _xml(root: ET.Element) -> bytes:
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"
