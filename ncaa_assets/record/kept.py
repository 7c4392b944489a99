"""Which files of a day stand for a highlight: for its rows, its card in the gallery and its episode in a library."""

from typing import NamedTuple

from ncaa_assets.record.models import CopiedVideo, Highlight, ProcessedDay, ProcessedVideo, VideosDay


class Kept(NamedTuple):
    """The copy and the encode of a highlight; None for what is not there."""

    copy: CopiedVideo | None
    output: ProcessedVideo | None


_NOTHING = Kept(None, None)


class KeptVideos:
    """What the manifests of a day have of each highlight: of its copies the latest that is not lost or whose encode is
    there, with the encode that was made of that very copy.

    Attributes:
        by_id: what is kept, by the highlight's id, in the order of the manifests. An encode whose copy no manifest
            names stands for its highlight if nothing else does.
        lost: the copies that are lost and have no encode, by the highlight's id.
    """

    def __init__(self, videos: VideosDay, processed: ProcessedDay, *, only_encoded: bool = False) -> None:
        """With `only_encoded`, a copy without an encode stands for nothing."""
        self.by_id: dict[str, Kept] = {}
        self.lost: dict[str, CopiedVideo] = {}
        self._by_url: dict[str, str] = {}
        outputs = {output.key: output for output in processed.videos}
        for video in videos.videos:
            output = outputs.pop(video.output_key, None)
            if output is not None and output.source_sha256 != video.sha256:
                output = None  # it was made of what the copy was before
            if output is None and video.lost is not None:
                self.lost[video.id] = video
            elif output is not None or not only_encoded:
                self.by_id[video.id] = Kept(None if video.lost is not None else video, output)
                self._by_url |= dict.fromkeys((video.source_url, *video.other_urls), video.id)
        for output in outputs.values():
            self.by_id.setdefault(output.id, Kept(None, output))

    def of(self, highlight: Highlight) -> Kept:
        """What stands for a highlight: its own, else that of another with its address, because one address is copied
        once (`plan_copies`)."""
        if highlight.id in self.by_id or highlight.url is None:
            return self.by_id.get(highlight.id, _NOTHING)
        return self.by_id.get(self._by_url.get(highlight.url, ""), _NOTHING)
