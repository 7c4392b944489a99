"""What Jellyfin, Kodi and Plex find in a folder of shows, by the rules that each documents (their sources are in
`ncaa_assets/restore/library.py`). What one of them would pass over, or take for something else, is an AssertionError.
"""

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path

VIDEOS = {".mp4", ".m4v", ".mov", ".webm", ".ts", ".mkv", ".avi"}
_MOST_BYTES = 143
_MOST_NUMBER = 2**31 - 1

_EPISODE = re.compile(r"s([0-9]+)[ ._x-]*e([0-9]+)", re.IGNORECASE)
# What follows an episode in a name and makes it two, for Kodi (`-E02`, `x02`), Jellyfin and Plex (`-02`, ` - E02`).
_SECOND = re.compile(r"[ ._]*[-_ex+]+[ ]?(?:s[0-9]+)?[ex]?[0-9]{1,3}(?![0-9])", re.IGNORECASE)
# Kodi passes over samples, and Plex over what has the word in its name.
_SAMPLE = re.compile(r"sample", re.IGNORECASE)
_PART = re.compile(r"[ _.\-(\[](?:cd|dvd|part|pt|dis[ck])[ _.-]*(?:[0-9]+|[a-d])[\])]?$", re.IGNORECASE)
_EXTRA = re.compile(
    r"(?:[-._ ](?:trailer|sample)"
    r"|-(?:scene|clip|interview|behindthescenes|deleted|deletedscene|featurette|short|extra|other))$",
    re.IGNORECASE,
)
_RESERVED = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
# What XML 1.0 takes (https://www.w3.org/TR/xml/#charsets), without control characters but the two of its layout.
_XML = re.compile("[\n\t\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")


@dataclass
class Episode:
    """An episode as the programs show it."""

    season: int
    number: int
    title: str
    aired: str
    plot: str
    teams: list[str]
    identifier: str
    video: Path
    picture: bytes | None


@dataclass
class Show:
    """A show as the programs show it: `seasons` are its seasons' names."""

    title: str
    seasons: dict[int, str] = field(default_factory=dict)
    episodes: list[Episode] = field(default_factory=list)
    poster: bytes | None = None


def shows_in(library: Path) -> list[Show]:
    """The shows of a folder that is added to all three programs as one of shows."""
    folders = [path for path in sorted(library.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    for path in library.rglob("*"):
        assert len(path.name.encode()) <= _MOST_BYTES, path.name
        assert not _RESERVED.search(path.name), path.name
        assert path.name == path.name.strip(". ") or path.name.startswith("."), path.name
    assert not [path for path in library.iterdir() if path.suffix in VIDEOS], "a video without a show"
    return [_show(folder) for folder in folders if not _is_passed_over(folder)]


def _is_passed_over(folder: Path) -> bool:
    marks = [folder / name for name in (".ignore", ".nomedia", ".plexignore")]
    if not any(mark.exists() for mark in marks):
        return False
    assert all(mark.exists() for mark in marks), f"only some programs pass over {folder}"
    assert marks[0].read_bytes() == b"", "before 10.11 Jellyfin passes over all, later versions read patterns in it"
    assert marks[2].read_text().split() == ["*"]
    return True


def _show(folder: Path) -> Show:
    assert not _SAMPLE.search(folder.name), f"{folder.name} passes for a sample"
    assert not _EPISODE.search(folder.name), f"{folder.name} passes for an episode"
    about = _nfo(folder / "tvshow.nfo", "tvshow")
    show = Show(_text(about, "title"), poster=_picture(folder / "poster.jpg", folder / "fanart.jpg"))
    named = {int(each.attrib["number"]): each.text or "" for each in about.iter("namedseason")}
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            season = re.fullmatch(r"Season ([0-9]{2,4})", path.name)
            assert season is not None, f"{path.name} is no season's name"
            _season(show, folder, path, int(season[1]))
            assert show.seasons[int(season[1])] == named[int(season[1])]
        else:
            assert path.suffix in (".nfo", ".jpg"), f"{path.name} is in no season"
    numbers = [(episode.season, episode.number) for episode in show.episodes]
    assert len(set(numbers)) == len(numbers), "two episodes have one number"
    return show


def _season(show: Show, folder: Path, path: Path, season: int) -> None:
    assert season < 200 or 1928 <= season <= 2500, "Jellyfin takes it for no season"
    about = _nfo(path / "season.nfo", "season")
    assert _text(about, "seasonnumber") == str(season)
    show.seasons[season] = _text(about, "title")
    called = "season-specials" if season == 0 else f"season{season:02}"
    _picture(path / "poster.jpg", path / f"Season{season:02}.jpg", folder / f"{called}-poster.jpg")
    files = {file.name for file in path.iterdir()} - {"season.nfo", "poster.jpg", f"Season{season:02}.jpg"}
    for video in sorted(file for file in path.iterdir() if file.suffix in VIDEOS):
        episode = _episode(folder.name, season, video)
        show.episodes.append(episode)
        files -= {video.name, f"{video.stem}.nfo", f"{video.stem}.jpg", f"{video.stem}-thumb.jpg"}
    assert not files, f"they belong to nothing: {files}"


def _episode(show: str, season: int, video: Path) -> Episode:
    name = video.stem
    found = _EPISODE.search(name)
    assert found is not None, f"{name} is no episode's name"
    number = int(found[2])
    assert int(found[1]) == season, f"{name} is of another season"
    assert 0 < number <= _MOST_NUMBER, f"{name}: the programs keep numbers in 32 bits"
    rest = name[found.end() :]
    assert not _EPISODE.search(rest), f"{name} passes for several episodes"
    assert not _SECOND.match(rest), f"{name} passes for several episodes"
    assert not _SAMPLE.search(name), f"{name} passes for a sample"
    assert not _PART.search(name), f"{name} passes for a part"
    assert not _EXTRA.search(name), f"{name} passes for an extra"
    assert name.startswith(f"{show} - "), "Plex documents names that begin with the show's"
    about = _nfo(video.with_suffix(".nfo"), "episodedetails")
    assert (_text(about, "season"), _text(about, "episode")) == (str(season), str(number))
    aired = _text(about, "aired")
    assert re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", aired)
    identifier = about.find("uniqueid[@default='true']")
    assert identifier is not None
    assert identifier.get("type")
    teams = [_text(actor, "name") for actor in about.iter("actor")]
    assert teams == [tag.text for tag in about.iter("tag")]
    return Episode(
        season, number, _text(about, "title"), aired, _text(about, "plot"), teams, identifier.text or "", video,
        _picture(video.with_name(f"{name}-thumb.jpg"), video.with_name(f"{name}.jpg")),
    )  # fmt: skip


def _nfo(path: Path, root: str) -> ET.Element:
    data = path.read_bytes()
    assert data.startswith(b"<?xml")
    assert _XML.fullmatch(data.decode()), f"{path.name} has characters that XML does not take"
    read = ET.fromstring(data)  # noqa: S314 - written by the code under test
    assert read.tag == root
    assert _text(read, "title")
    assert _text(read, "lockdata") == "true"
    return read


def _text(element: ET.Element, name: str) -> str:
    found = element.findall(name)
    assert len(found) == 1, f"{name}: {len(found)} times in {element.tag}"
    assert found[0].text
    return found[0].text


def _picture(*paths: Path) -> bytes | None:
    """The picture that is in each of these places, where one of the programs looks; None where it is in none."""
    there = [path.read_bytes() for path in paths if path.exists()]
    if not there:
        return None
    assert len(there) == len(paths), f"only some programs find {[path.name for path in paths]}"
    assert len(set(there)) == 1
    return there[0]
