"""What the tests of copying share: real files of each kind, a copier of a scripted host, and a day's run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.ports import CopyOutcome, ObjectStore
from ncaa_assets.record.models import CopiedVideo, Highlight, VideosDay
from ncaa_assets.retry import RetryPolicy
from ncaa_assets.video.copier import CopyLimits, VideoCopier
from ncaa_assets.video.plan import plan_copies, skipped
from ncaa_assets.video.safe_http import HostPolicy
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer

DAY = "2025-03-09"
MOST_BYTES = 2_000_000
HTML = b"<!DOCTYPE html><html><title>Watch</title><body>No video here, though you may think so.</body></html>"


@dataclass(frozen=True)
class Media:
    """Real files of each kind, and their bytes."""

    mp4: bytes
    silent: bytes
    mov: bytes
    webm: bytes
    ts: bytes
    fragments: bytes
    sound: bytes

    @property
    def large(self) -> bytes:
        """Three parts of a multipart upload, and a bit."""
        return self.mp4 + (25_000_000).to_bytes(4, "big") + b"mdat" + bytes(25_000_000 - 8)

    @property
    def one_fragment(self) -> bytes:
        """The fragmented clip without its last fragment and what follows: it looks as whole as the whole."""
        return self.fragments[: self.fragments.rindex(b"moof") - 4]

    @property
    def endless_start(self) -> bytes:
        """A file whose last box reaches to the end, wherever that is."""
        return self.mp4[: self.mp4.index(b"mdat") - 4] + b"\0\0\0\0mdat"


def highlight(number: int | str, url: str | None) -> Highlight:
    return Highlight(id=str(number), url=url, title=f"Game {number}")


def copier(
    store: ObjectStore,
    server: ScriptedServer,
    *,
    policy: HostPolicy | None = None,
    concurrency: int = 4,
    retries: int = 2,
    slowest: int = 0,
    most: int = MOST_BYTES,
) -> VideoCopier:
    return VideoCopier(
        store,
        policy or HostPolicy(trusted_origin=("127.0.0.1", server.port)),
        CopyLimits(max_bytes=most, min_bytes_per_second=slowest, retry=RetryPolicy(retries, 0)),
        concurrency=concurrency,
    )


def copy_one(store: ObjectStore, server: ScriptedServer, url: str | None, **options: Any) -> CopyOutcome:
    plan = plan_copies([highlight(1, url)], VideosDay(date=DAY), have=lambda _: True, count=None, force=False)
    (outcome,) = copier(store, server, **options).copy(DAY, plan)
    return outcome


def run(
    store: LocalStore,
    server: ScriptedServer,
    highlights: Sequence[Highlight],
    manifest: VideosDay,
    *,
    count: int | None = None,
    force: bool = False,
) -> list[CopyOutcome]:
    """A day's run: plans, copies, and records every outcome in the manifest, as the asset does."""
    plan = plan_copies(highlights, manifest, have=lambda video: is_stored(store, video), count=count, force=force)
    outcomes = list(copier(store, server).copy(DAY, plan))
    for outcome in outcomes:
        key = outcome.candidate.highlight.id
        manifest.skipped = [skip for skip in manifest.skipped if skip.id != key]
        if isinstance(outcome.result, CopiedVideo):
            manifest.videos = [video for video in manifest.videos if video.key != outcome.result.key]
            manifest.videos.append(outcome.result)
        else:
            manifest.skipped.append(skipped(outcome, outcome.result))
    return outcomes


def is_stored(store: LocalStore, video: CopiedVideo) -> bool:
    info = store.info(video.key)
    return info is not None and info.size == video.bytes


def files(store: LocalStore) -> list[str]:
    """Everything that lies in the store's folder, half-written things too."""
    return sorted(path.relative_to(store.root).as_posix() for path in store.root.rglob("*") if path.is_file())


def copied(outcome: CopyOutcome) -> CopiedVideo:
    assert isinstance(outcome.result, CopiedVideo), outcome.result
    return outcome.result


def video(body: bytes, **more: Any) -> Reply:
    return Reply(body, content_type="video/mp4", **more)
