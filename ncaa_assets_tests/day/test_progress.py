"""How often a manifest is written: at once for what was made, together for what only was refused."""

import logging
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from ncaa_assets.archive import documents
from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.day.copy import copy
from ncaa_assets.failures import LeaseLost, StoreError, VideoRefused
from ncaa_assets.ports import Copier, CopyOutcome, CopyPlan
from ncaa_assets.record.models import VideosDay
from ncaa_assets_tests.archives import lease_of
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer
from ncaa_assets_tests.video.copies import DAY, copier, highlight, listed, manifest_of

MANIFEST = VideosDay.key(DAY)


class _Refusing(Copier):
    """Refuses every video, and then does what a test wants."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self._then = then

    @property
    def searched_pages(self) -> frozenset[str]:
        return frozenset()

    def copy(
        self, day: str, plan: CopyPlan, *, before_commit: Callable[[], None] = lambda: None
    ) -> Generator[CopyOutcome, None, None]:
        for candidate in plan.fresh:
            yield CopyOutcome(candidate, VideoRefused("it is a web page", kind="page"))
        self._then()


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that are written, one by one."""
    written: list[str] = []
    write = LocalStore.write

    def noted(store: LocalStore, key: str, data: bytes, **options: object) -> str:
        written.append(key)
        return write(store, key, data, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(LocalStore, "write", noted)
    return written


def refusals(store: LocalStore) -> list[str]:
    return [skip.id for skip in manifest_of(store).skipped]


def test_ten_thousand_refused_records_write_the_manifest_a_few_times(
    store: LocalStore, server: ScriptedServer, writes: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    day = listed([highlight(number, None) for number in range(10_000)])
    with lease_of(store, DAY, "a test") as held:
        done = copy(held, day, copier(store, server), count=None)
    assert sorted(refusals(store), key=int) == [str(number) for number in range(10_000)]
    assert (done.copied, len(done.manifest.skipped)) == ([], 10_000)
    assert writes.count(MANIFEST) < 60, f"every {done.seconds / writes.count(MANIFEST):.3f} s"
    assert len(caplog.records) < 60, "each line that is logged is an event in a run's record, which takes milliseconds"
    assert f"{MANIFEST} says why of each" in caplog.text


def test_a_copy_is_recorded_before_the_next_outcome_and_with_all_that_was_refused_before(
    store: LocalStore, server: ScriptedServer, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = server.on("/video.mp4", Reply(clip.read_bytes()))
    day = listed([*(highlight(number, None) for number in range(5)), highlight(5, video), highlight(6, None)])
    seen: list[tuple[int, int]] = []
    record = documents.save

    def noted(held_store: LocalStore, document: VideosDay) -> str:
        seen.append((len(document.videos), len(document.skipped)))
        return record(held_store, document)

    monkeypatch.setattr(documents, "save", noted)
    with lease_of(store, DAY, "a test") as held:
        copy(held, day, copier(store, server, concurrency=1), count=None)
    assert seen[0] == (0, 1)
    assert seen[1] in [(1, 5), (1, 6)]  # the last may come at the same moment as the copy
    assert seen[-1] == (1, 6)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), StoreError("the disk is full")])
def test_what_was_refused_is_recorded_where_something_ends_the_step(store: LocalStore, error: BaseException) -> None:
    def fail() -> None:
        raise error

    day = listed([highlight(number, None) for number in range(30)])
    with lease_of(store, DAY, "a test") as held, pytest.raises(type(error)):
        copy(held, day, _Refusing(fail), count=None)
    assert len(refusals(store)) == 30


def test_a_run_that_lost_its_day_records_no_refusal_and_says_why(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lease_of(store, DAY, "a test") as held:

        def lose() -> None:
            monkeypatch.setattr(held.lease, "check", refuse)
            refuse()

        def refuse() -> None:
            raise LeaseLost("another run took it")

        with pytest.raises(LeaseLost, match="another run took it"):
            copy(held, listed([highlight(number, None) for number in range(3)]), _Refusing(lose), count=None)
    assert refusals(store) == ["0"], "the first was recorded when the day was still this run's"
