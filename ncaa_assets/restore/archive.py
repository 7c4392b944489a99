"""The layout `archive`: the archive's own keys. What it gives is an archive that every command here works on."""

import hashlib
from collections.abc import Collection, Iterator

from ncaa_assets.archive.day_versions import State, state_of
from ncaa_assets.archive.documents import KINDS
from ncaa_assets.failures import ObjectMissing
from ncaa_assets.ports import ObjectStore
from ncaa_assets.restore.content import DayContent, content_in, of_bytes, of_object
from ncaa_assets.restore.target import Differs, Piece, Target


def pieces(store: ObjectStore, content: DayContent, what: Collection[str]) -> Iterator[Piece]:
    """The objects of a day, the documents last: they name nothing that is not there."""
    if "videos" in what and content.videos is not None:
        for video in content.videos.videos:
            yield of_object(video.key, store, video.key, video.bytes, video.sha256)
    if "processed" in what and content.processed is not None:
        for output in content.processed.videos:
            yield of_object(output.key, store, output.key, output.bytes, output.sha256)
            yield of_object(output.poster.key, store, output.poster.key, output.poster.bytes, None)
    for key, data in content.stored.items():
        yield of_bytes(key, data, key=key)


def replaceable(target: Target, ours: DayContent) -> frozenset[str]:
    """The sha256 of what a target has of a day and may be replaced, because it is an earlier state of ours: of its
    documents, and of the files that they name.

    Raises:
        Differs: the day there went its own way.
    """
    stored: dict[str, bytes] = {}
    for key in ours.stored:
        try:
            with target.download(key) as file:
                stored[key] = file.read()
        except ObjectMissing:
            continue
    if all(data == ours.stored[key] for key, data in stored.items()):
        return frozenset()
    theirs, unread = content_in(ours.day, stored)
    if unread:
        raise Differs(f"{target.uri(unread[0])} is damaged, and the day was left as it is")
    for key, document in ours.read.items():
        if key in stored and stored[key] != ours.stored[key] and document.doubts:
            raise Differs(f"{target.uri(key)} is as it was written, which the archive's own is not any more")
    if state_of(theirs.documents, ours.documents, KINDS) not in (State.EQUAL, State.EARLIER):
        raise Differs(f"the day went its own way in {target.uri(next(iter(stored)))}, and was left as it is")
    named = {video.sha256 for videos in (theirs.videos, theirs.processed) if videos for video in videos.videos}
    return frozenset({hashlib.sha256(data).hexdigest() for data in stored.values()} | {one for one in named if one})
