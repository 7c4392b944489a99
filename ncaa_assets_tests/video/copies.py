"""What the tests of copying share: real files of each kind, a copier of a scripted host, and a day's run."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

from ncaa_assets.archive import documents
from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.day.copy import copy
from ncaa_assets.ports import Copier, CopyOutcome, CopyPlan, ObjectStore
from ncaa_assets.record.models import Backup, CopiedVideo, Highlight, HighlightsDay, VideosDay
from ncaa_assets.retry import RetryPolicy
from ncaa_assets.video.copier import CopyLimits, VideoCopier
from ncaa_assets.video.plan import plan_copies
from ncaa_assets.video.safe_http import HostPolicy
from ncaa_assets_tests.archives import lease_of
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
    def padding(self) -> bytes:
        """A box that is larger than what a store keeps at hand of an end."""
        return (14_000_000).to_bytes(4, "big") + b"free" + bytes(14_000_000 - 8)

    @property
    def index_in_the_middle(self) -> bytes:
        at = self.mp4.index(b"moov") - 4
        return self.mp4[:at] + self.padding + self.mp4[at:] + self.padding

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


def listed(highlights: Sequence[Highlight]) -> HighlightsDay:
    """A day that lists these."""
    return HighlightsDay(date=DAY).with_records([(view, asdict(view)) for view in highlights], Backup())


class _Noting(Copier):
    """A copier that notes what comes of each copy before it hands that on."""

    def __init__(self, copier: Copier) -> None:
        self._copier = copier
        self.outcomes: list[CopyOutcome] = []

    @property
    def searched_pages(self) -> frozenset[str]:
        return self._copier.searched_pages

    def copy(
        self, day: str, plan: CopyPlan, *, before_commit: Callable[[], None] = lambda: None
    ) -> Generator[CopyOutcome, None, None]:
        with closing(self._copier.copy(day, plan, before_commit=before_commit)) as outcomes:
            for outcome in outcomes:
                self.outcomes.append(outcome)
                yield outcome


def run(
    store: LocalStore,
    server: ScriptedServer,
    highlights: Sequence[Highlight],
    *,
    count: int | None = None,
    force: bool = False,
) -> list[CopyOutcome]:
    """The day's step that copies, on these highlights; what came of each video that was asked for.

    Raises:
        BackupError: one of them could not be copied for a passing reason.
    """
    noting = _Noting(copier(store, server))
    with lease_of(store, DAY, "a test") as held:
        copy(held, listed(highlights), noting, count=count, force=force)
    return noting.outcomes


def manifest_of(store: LocalStore) -> VideosDay:
    """What is recorded of the day's copies."""
    return documents.load(store, VideosDay, DAY)


def videos_in(store: LocalStore) -> list[str]:
    """Every file in the store but those that hold the day's manifest, its earlier versions, and the store's lock."""
    manifest = (f"videos/{DAY}.json", f".history/videos/{DAY}/", ".lock")
    return [name for name in files(store) if not name.startswith(manifest)]


def files(store: LocalStore) -> list[str]:
    """Everything that lies in the store's folder, half-written things too."""
    return sorted(path.relative_to(store.root).as_posix() for path in store.root.rglob("*") if path.is_file())


def copied(outcome: CopyOutcome) -> CopiedVideo:
    assert isinstance(outcome.result, CopiedVideo), outcome.result
    return outcome.result


def video(body: bytes, **more: Any) -> Reply:
    return Reply(body, content_type="video/mp4", **more)
