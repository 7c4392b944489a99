"""The facts of a copy: those of its manifest, else read from the stored object."""

from ncaa_assets.media.facts import Facts
from ncaa_assets.media.probe import read_facts
from ncaa_assets.ports import ObjectStore
from ncaa_assets.record.models import CopiedVideo


def facts_of(store: ObjectStore, video: CopiedVideo) -> Facts:
    """What is known of a copy.

    Raises:
        Unreadable: it was copied before facts were kept, and none can be read of it.
        StoreError: the store failed.
    """
    if video.facts is not None:
        return video.facts
    with store.open_seekable(video.key) as file:
        return read_facts(file, size=video.bytes)
