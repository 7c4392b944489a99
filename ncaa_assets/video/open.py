"""The copier that a deployment's settings mean: its limits, the hosts it may reach, and whether it reads web pages."""

from ncaa_assets.ports import Copier, ObjectStore, Source
from ncaa_assets.settings import Settings
from ncaa_assets.video import runtime
from ncaa_assets.video.copier import CopyLimits, VideoCopier


def open_copier(settings: Settings, store: ObjectStore, source: Source) -> Copier:
    """A copier into `store`, of videos that `source` lists. It carries out one plan; make one for each day."""
    from ncaa_assets.video.safe_http import HostPolicy  # noqa: PLC0415 - imports requests; retry.py says why here

    policy = HostPolicy(allow_private=settings.video_allow_private_hosts, trusted_origin=source.trusted_origin)
    limits = CopyLimits(
        max_bytes=settings.video_max_bytes,
        min_bytes_per_second=settings.video_min_bytes_per_second,
        retry=settings.retry_policy,
    )
    pages = None
    if settings.video_pages:
        from ncaa_assets.video.pages import YtDlpReader  # noqa: PLC0415 - off by default

        pages = YtDlpReader(policy, most_seconds=limits.most_seconds, deno=runtime.find())
    return VideoCopier(store, policy, limits, concurrency=settings.video_concurrency, pages=pages)
