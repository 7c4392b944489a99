"""How a day's videos stand: one table over the plan, the day's state, a run's checks and `verify`, which must agree."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ncaa_assets.archive import documents
from ncaa_assets.archive.reconcile import Severity, copies, outputs, reconcile_day
from ncaa_assets.archive.standing import Wanted, clips, plan, still_to_copy
from ncaa_assets.day.copy import copy
from ncaa_assets.day.encode import Encoded, encode
from ncaa_assets.day.forget import forget
from ncaa_assets.day.rows import write_keys
from ncaa_assets.failures import CopyFailed, EncodeRefused, VideoRefused
from ncaa_assets.media.profile import PROFILE, ffmpeg_settings_hash
from ncaa_assets.ports import Candidate, Copier, CopyOutcome, CopyPlan, EncodeOutcome, EncodeRequest, Transcoder
from ncaa_assets.record.models import (
    CopiedVideo,
    ForgottenVideo,
    HighlightsDay,
    LostCopy,
    NotEncoded,
    ProcessedDay,
    VideosDay,
)
from ncaa_assets.settings import Settings
from ncaa_assets_tests.archive.test_day_state import Day, sha256_of, url
from ncaa_assets_tests.archives import archive_in
from ncaa_assets_tests.days import DAY

HASH = ffmpeg_settings_hash(PROFILE)
AT = "2025-03-12T09:00:00Z"


@pytest.fixture
def day(tmp_path: Path) -> Day:
    return Day(tmp_path / "archive")


def lose(day: Day, number: int = 1) -> None:
    day.store.delete(f"videos/{DAY}/{number}.mp4")


def lose_for_good(day: Day) -> None:
    lose(day)
    day.videos.videos[0].lost = LostCopy(kind="gone", reason="the host answers with status 404", at=AT)


def lose_output(day: Day) -> None:
    day.store.delete(f"processed_videos/{DAY}/1.mp4")


def refuse(day: Day, kind: str = "broken", settings_hash: str = HASH) -> None:
    lose_output(day)
    day.store.delete(f"processed_videos/{DAY}/1.jpg")
    day.processed.videos = []
    day.processed.not_encoded = [
        NotEncoded(
            id="1", title=None, source_key=f"videos/{DAY}/1.mp4", source_sha256=sha256_of(1),
            settings_hash=settings_hash, kind=kind, reason="the reason", at=AT,
        )
    ]  # fmt: skip


def make_long(day: Day) -> None:
    refuse(day, "too-long")
    day.videos.videos[0].duration_seconds = 20_000


def put_back(day: Day) -> None:
    import hashlib

    lose_for_good(day)
    day.store.write(f"videos/{DAY}/1.mp4", b"video 1")
    day.videos.videos[0].sha256 = day.processed.videos[0].source_sha256 = hashlib.sha256(b"video 1").hexdigest()


def damage(day: Day) -> None:
    put_back(day)
    day.store.write(f"videos/{DAY}/1.mp4", b"v_deo 1")


def both(*changes: Callable[[Day], None]) -> Callable[[Day], None]:
    def change(day: Day) -> None:
        for one in changes:
            one(day)

    return change


NOT_COPIED, NOT_ENCODED = "failed: 1 video not copied", "failed: 1 video not encoded"
INSTEAD = "incomplete: 1 other video to copy in place of what cannot be encoded or is lost"


@dataclass(frozen=True)
class Case:
    """What is done to a whole day of three highlights, one copied and encoded; and what then is said: the ids that a
    run copies at VIDEO_COUNT=1, what `DayState` calls undone, and how severe the findings of a run's checks and of
    `verify` are."""

    name: str
    change: Callable[[Day], None]
    copied: tuple[str, ...] = ()
    undone: str | None = None
    checks: tuple[str, ...] = ()
    verify: tuple[str, ...] = ()
    settings: tuple[tuple[str, Any], ...] = ()


CASES = [
    Case("whole", lambda day: None),
    Case("a copy is lost", lose, ("1",), NOT_COPIED, ("error",), ("error",)),
    Case("a copy is lost for good, its encode is there", lose_for_good, (), None, ("warn",), ("error",)),
    Case(
        "a copy and its encode are lost for good", both(lose_for_good, lose_output),
        ("2",), INSTEAD, ("warn", "warn"), ("error", "error"),
    ),
    Case("a copy that was lost for good was put back", put_back),
    Case("a copy is damaged for good", damage, (), None, ("warn",), ("error",)),
    Case("an encode is lost", lose_output, (), NOT_ENCODED, ("error",), ("error",)),
    Case("a copy and its encode are lost", both(lose, lose_output), ("1",), NOT_COPIED, ("error",) * 2, ("error",) * 2),
    Case("a copy cannot be encoded", refuse, ("2",), INSTEAD, ("warn",), ("warn",)),
    Case("a copy could not be encoded with other settings", lambda day: refuse(day, settings_hash="0" * 16), (),
         NOT_ENCODED, ("error",), ("error",)),
    Case("a copy is past the bounds", make_long, ("2",), INSTEAD, ("warn",), ("warn",)),
    Case("a copy is within higher bounds", make_long, (), NOT_ENCODED, ("error",), ("error",),
         (("video_max_seconds", 30_000),)),
    Case("a copy waits for another day", lambda day: refuse(day, "waits"), (),
         "incomplete: 1 video to encode on another day (ENCODE_MINUTES_A_DAY)", ("warn",), ("error",)),
    Case("no encode is wanted", refuse, settings=(("encode", "never"),)),
    Case("an encode is lost that is not wanted any more", lose_output, (), None, ("warn",), ("error",),
         (("encode", "never"),)),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_all_that_look_at_a_day_say_the_same_of_it(day: Day, case: Case) -> None:
    case.change(day)
    day.save()
    settings = Settings.model_validate(dict(case.settings))
    wanted = Wanted.of(settings)
    listed = documents.load(day.store, HighlightsDay, DAY)
    of_day = clips(day.store, day.videos, day.processed, wanted)
    planned = plan(listed, day.videos, of_day, wanted)
    taken = [*planned.renewed, *planned.fresh[: planned.missing]]
    assert tuple(candidate.highlight.id for candidate in taken) == case.copied
    assert still_to_copy(planned, day.videos, wanted) == len(case.copied)
    assert archive_in(day.store, day.table, **dict(case.settings)).state(DAY).undone == case.undone
    seen = [
        *copies(day.store, day.videos, loss=Severity.WARN, most_bytes=0).findings,
        *outputs(day.store, day.processed, day.videos, wanted=wanted, loss=Severity.WARN).findings,
    ]
    assert tuple(finding.severity.value for finding in seen) == case.checks
    report = reconcile_day(day.store, day.table, DAY, wanted=wanted)
    found = [finding for finding in report.findings if finding.asset in ("videos", "processed_videos")]
    found = [finding for finding in found if "sha256" not in finding.problem and "no whole" not in finding.problem]
    assert tuple(finding.severity.value for finding in found) == case.verify


class Scripted(Copier):
    """A copier that writes what it is told to, or raises it."""

    searched_pages = frozenset[str]()

    def __init__(self, day: Day, **said: bytes | Exception) -> None:
        self._day, self._said = day, {name.removeprefix("_"): what for name, what in said.items()}
        self.asked: list[str] = []

    def copy(
        self, day: str, plan: CopyPlan, *, before_commit: Callable[[], None] = lambda: None
    ) -> Generator[CopyOutcome, None, None]:
        waiting = list(plan.fresh)
        todo = [*plan.renewed, *(waiting.pop(0) for _ in range(min(len(waiting), plan.missing or 0)))]
        while todo:
            candidate = todo.pop(0)
            key = candidate.highlight.id
            self.asked.append(key)
            said = self._said[key]
            result: Any = said
            if isinstance(said, bytes):
                result = self._stored(candidate, said)
            outcome = CopyOutcome(candidate, result)
            if plan.leaves_its_place(outcome) and waiting:
                todo.append(waiting.pop(0))
            yield outcome

    def _stored(self, candidate: Candidate, data: bytes) -> CopiedVideo:
        """Under its own key, or beside the copies that the highlight has or had; a lost copy of these bytes gets them
        back."""
        number = int(candidate.highlight.id)
        for video in candidate.lost:
            if data == b"video %d" % number:
                self._day.store.write(video.key, data)
                return video
        if not (candidate.lost or candidate.earlier):
            return self._day.copied(number)
        key = f"videos/{DAY}/{number}.0badcafe.mp4"
        self._day.store.write(key, data)
        return (*candidate.lost, *candidate.earlier)[0].model_copy(update={"key": key, "sha256": sha256_of(0)})


class Refusing(Transcoder):
    """A transcoder that refuses every request, and counts them."""

    def __init__(self, kind: str = "broken") -> None:
        self._kind = kind
        self.asked = 0

    def settings_hash(self) -> str:
        return HASH

    def encode(
        self, requests: Sequence[EncodeRequest], *, before_commit: Callable[[], None] = lambda: None
    ) -> Generator[EncodeOutcome, None, None]:
        for request in requests:
            self.asked += 1
            yield EncodeOutcome(request, EncodeRefused("the reason", kind=self._kind))


def copied(day: Day, copier: Scripted, *, count: int | None = 1, force: bool = False, **settings: Any) -> VideosDay:
    day.save()
    with archive_in(day.store, day.table, **settings).lease(DAY, owner="a test") as held:
        copy(held, documents.load(day.store, HighlightsDay, DAY), copier, count=count, force=force)
    day.videos = documents.load(day.store, VideosDay, DAY)
    return day.videos


def encoded(day: Day, transcoder: Transcoder, *, force: bool = False, **settings: Any) -> Encoded:
    day.videos, day.processed = (documents.load_or_new(day.store, kind, DAY) for kind in (VideosDay, ProcessedDay))  # type: ignore[assignment]
    with archive_in(day.store, day.table, **settings).lease(DAY, owner="a test") as held:
        return encode(held, day.videos, transcoder, force=force)


def test_all_that_was_lost_comes_back_whatever_is_asked_for_now(day: Day) -> None:
    day.videos.videos += [day.copied(2), day.copied(3)]
    for number in (1, 2, 3):
        lose(day, number)
    copier = Scripted(day, _1=b"video 1", _2=b"video 2", _3=b"video 3")
    manifest = copied(day, copier, count=1)
    assert copier.asked == ["1", "2", "3"]
    assert [video.key for video in manifest.videos] == [f"videos/{DAY}/{number}.mp4" for number in (1, 2, 3)]
    assert manifest.skipped == []


def test_what_the_source_has_no_more_is_lost_for_good_and_asked_for_once(day: Day) -> None:
    lose(day)
    copier = Scripted(day, _1=VideoRefused("the host answers with status 404", kind="gone"))
    manifest = copied(day, copier)
    assert manifest.videos[0].lost is not None
    assert (manifest.videos[0].lost.kind, manifest.videos[0].lost.reason) == (
        "gone",
        "the host answers with status 404",
    )
    copied(day, copier)
    assert copier.asked == ["1"]
    copied(day, Scripted(day, _1=b"video 1", _2=VideoRefused("no", kind="gone"), _3=b"video 3"), force=True)
    assert day.videos.videos[0].lost is None, "a person asked once more, and it came"


def test_other_bytes_at_its_address_stand_beside_the_lost_copy(day: Day) -> None:
    lose(day)
    manifest = copied(day, Scripted(day, _1=b"new one"))
    assert [video.key.rpartition("/")[2] for video in manifest.videos] == ["1.mp4", "1.0badcafe.mp4"]
    assert manifest.videos[0].lost is not None
    assert manifest.videos[0].lost.kind == "changed"


def test_where_a_lost_copy_leaves_its_place_the_same_run_takes_the_next(day: Day) -> None:
    both(lose, lose_output)(day)
    copier = Scripted(day, _1=VideoRefused("gone", kind="gone"), _2=b"video 2")
    assert [video.id for video in copied(day, copier).videos] == ["1", "2"]


def test_a_lost_copy_that_fails_for_a_passing_reason_stays_lost(day: Day) -> None:
    lose(day)
    with pytest.raises(Exception, match="1 video could not be copied now"):
        copied(day, Scripted(day, _1=CopyFailed("the connection broke")))
    assert documents.load(day.store, VideosDay, DAY).videos[0].lost is None
    assert archive_in(day.store, day.table).state(DAY).undone == NOT_COPIED


@pytest.mark.parametrize(("most", "taken"), [(1, ["1", "2", "3"]), (2, ["1"])])
def test_a_video_past_the_bounds_is_kept_and_the_same_run_takes_the_next(day: Day, most: int, taken: list[str]) -> None:
    """Each of these videos plays for two seconds."""
    day.videos.videos.clear()
    day.processed.videos.clear()
    copier = Scripted(day, _1=b"video 1", _2=b"video 2", _3=b"video 3")
    assert [video.id for video in copied(day, copier, video_max_seconds=most).videos] == taken
    if most == 1:
        transcoder = Refusing()
        done = encoded(day, transcoder, video_max_seconds=most)
        assert (transcoder.asked, done.to_copy) == (0, 0)
        assert [(entry.id, entry.kind) for entry in done.manifest.not_encoded] == [(key, "too-long") for key in taken]
        archive = archive_in(day.store, day.table, video_max_seconds=most)
        with archive.lease(DAY, owner="a test") as held:
            write_keys(held)
        assert archive.state(DAY).undone is None


def test_what_cannot_be_encoded_is_remembered_and_not_tried_again(day: Day) -> None:
    refuse(day, settings_hash="0" * 16)
    day.save()
    transcoder = Refusing()
    done = encoded(day, transcoder)
    assert (done.to_copy, done.waiting) == (1, 0)
    assert [(entry.kind, entry.settings_hash, entry.reason) for entry in done.manifest.not_encoded] == [
        ("broken", HASH, "the reason")
    ]
    encoded(day, transcoder)
    assert transcoder.asked == 1
    encoded(day, transcoder, force=True)
    assert transcoder.asked == 2


def test_what_could_not_be_read_is_remembered_while_less_is_asked_for(day: Day) -> None:
    refuse(day)
    day.save()
    transcoder = Refusing()
    for settings in ({"encode": "never"}, {"video_max_seconds": 1}, {}):
        encoded(day, transcoder, **settings)
    assert transcoder.asked == 0
    assert [entry.kind for entry in documents.load(day.store, ProcessedDay, DAY).not_encoded] == ["broken"]


def test_an_encode_past_the_bounds_is_not_made_again_by_force(day: Day) -> None:
    transcoder = Refusing()
    day.save()
    assert encoded(day, transcoder, force=True, video_max_seconds=1).there == 1
    assert transcoder.asked == 0


def test_where_no_other_video_can_be_taken_a_day_is_whole_without_the_encode(day: Day) -> None:
    refuse(day, settings_hash="0" * 16)
    for number in (2, 3):
        day.skip(number, "gone")
    day.save()
    assert encoded(day, Refusing()).to_copy == 0


def test_what_waits_is_asked_for_again_by_each_run(day: Day) -> None:
    refuse(day, settings_hash="0" * 16)
    day.save()
    transcoder = Refusing("waits")
    assert [encoded(day, transcoder).waiting for _ in range(2)] == [1, 1]
    assert transcoder.asked == 2


def test_any_recorded_encode_of_the_same_bytes_is_done_whatever_settings_made_it(day: Day) -> None:
    transcoder = Refusing()
    assert day.processed.videos[0].settings_hash != HASH
    assert encoded(day, transcoder).there == 1
    assert transcoder.asked == 0


def test_a_damaged_copy_never_replaces_its_good_encode(day: Day) -> None:
    damage(day)
    day.save()
    transcoder = Refusing()
    encoded(day, transcoder, force=True)
    assert transcoder.asked == 0


def forgotten(day: Day, *ids: str) -> list[str]:
    with archive_in(day.store, day.table).lease(DAY, owner="a test") as held:
        done = forget(held, ids, reason="a reason")
    day.videos, day.processed = documents.load(day.store, VideosDay, DAY), documents.load(day.store, ProcessedDay, DAY)
    return done.deleted


def test_what_is_let_go_of_is_recorded_and_deleted_and_never_taken_again(day: Day) -> None:
    before = day.videos.videos[0], day.processed.videos[0]
    deleted = forgotten(day, "1")
    assert deleted == [f"videos/{DAY}/1.mp4", f"processed_videos/{DAY}/1.mp4", f"processed_videos/{DAY}/1.jpg"]
    (entry,) = day.videos.forgotten
    assert (entry.video, entry.output, entry.reason) == (*before, "a reason")
    assert reconcile_day(day.store, day.table, DAY).findings == []
    copier = Scripted(day, _2=b"video 2", _3=b"video 3")
    assert copied(day, copier).videos == copied(day, copier, force=True, count=1).videos == []
    assert archive_in(day.store, day.table).state(DAY).undone is None
    assert [video.id for video in copied(day, copier, count=3).videos] == ["2", "3"]


def test_letting_go_is_finished_by_the_next_call_wherever_it_was_killed(day: Day) -> None:
    kept = {key: day.store.read(key)[0] for key in (f"videos/{DAY}/1.mp4", f"processed_videos/{DAY}/1.mp4")}
    forgotten(day, "1")
    for key, data in kept.items():
        day.store.write(key, data)
    (first, second) = reconcile_day(day.store, day.table, DAY).findings
    assert first.problem == second.problem == "is in the store, and a person let go of it"
    assert f"ncaa-assets forget --date {DAY} 1" in first.remedy
    assert forgotten(day, "1") == list(kept)
    assert reconcile_day(day.store, day.table, DAY).findings == []
    assert len(day.videos.forgotten) == 1


def test_an_object_that_another_entry_names_stays(day: Day) -> None:
    (one,) = day.videos.videos
    shared = one.model_copy(update={"id": "2", "source_url": url(2)})
    day.videos.videos, day.videos.forgotten = [shared], [ForgottenVideo(id="1", video=one, at=AT)]
    day.save()
    assert forgotten(day, "1") == []
    assert day.store.info(shared.key) is not None
