"""The layout `days`: a folder a day, with files that everyday tools read and names that people read.

documents/…                      the archive's documents, word for word
2025-03-09/highlights.json       the API's records of the day
2025-03-09/2025-03-09 Auburn Tigers – Duke Blue Devils (105170).mp4        the copy
2025-03-09/web/2025-03-09 Auburn Tigers – Duke Blue Devils (105170).mp4    its encode, with a poster beside it
"""

from collections.abc import Collection, Iterator
from pathlib import PurePosixPath

from ncaa_assets.ports import ObjectStore
from ncaa_assets.record import json_text
from ncaa_assets.record.matches import games_of
from ncaa_assets.restore.content import DayContent, of_bytes, of_object
from ncaa_assets.restore.names import file_name
from ncaa_assets.restore.target import Piece

DOCUMENTS = "documents/"
WEB = "web"


def pieces(store: ObjectStore, content: DayContent, what: Collection[str]) -> Iterator[Piece]:
    """The files of a day. `what` names the parts that are wanted, of `json`, `videos` and `processed`."""
    day = content.day
    for key, data in content.stored.items():
        yield of_bytes(f"{DOCUMENTS}{key}", data, key=key)
    if "json" in what and content.highlights is not None:
        data = json_text.dumps(content.highlights.data, indent=1) + b"\n"
        yield of_bytes(f"{day}/highlights.json", data, key=content.highlights.key(day))
    called = names_of(content)
    if "videos" in what and content.videos is not None:
        for video in content.videos.videos:
            name = _name(day, called.get(video.id) or video.title, video.key)
            yield of_object(f"{day}/{name}", store, video.key, video.bytes, video.sha256)
    if "processed" in what and content.processed is not None:
        for output in content.processed.videos:
            title = called.get(output.id) or output.title
            name = _name(day, title, output.key)
            yield of_object(f"{day}/{WEB}/{name}", store, output.key, output.bytes, output.sha256)
            poster = _name(day, title, output.poster.key)
            yield of_object(f"{day}/{WEB}/{poster}", store, output.poster.key, output.poster.bytes, None)


def names_of(content: DayContent) -> dict[str, str]:
    """What people call each highlight of a day: its game, else its title."""
    if content.highlights is None:
        return {}
    games = games_of(content.highlights)
    return {
        view.id: name
        for view, _ in content.highlights.highlights()
        if (name := games[view.id].get("game") or view.shown_title)
    }


def _name(day: str, text: str | None, key: str) -> str:
    name = PurePosixPath(key).name
    stem, dot, ending = name.rpartition(".")
    return file_name(day, text, stem, dot + ending)
