"""Which of a day's videos are taken, run after run: by the plan, and by the day's step that carries it out."""

import hashlib
import re
from dataclasses import replace

import pytest

from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.failures import BackupError, VideoRefused
from ncaa_assets.ports import CopyOutcome
from ncaa_assets.record.models import Highlight, VideosDay
from ncaa_assets.video.plan import plan_copies, skipped
from ncaa_assets.video.runtime import searched_pages
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer
from ncaa_assets_tests.video.copies import DAY, HTML, Media, copied, highlight, manifest_of, run, video, videos_in


def test_the_first_n_in_the_apis_order_are_copied(
    store: LocalStore, server: ScriptedServer, day: list[Highlight]
) -> None:
    run(store, server, day, count=2)
    assert sorted(video.id for video in manifest_of(store).videos) == ["1", "2"]
    assert [server.times(f"/{number}") for number in range(1, 6)] == [1, 1, 0, 0, 0]


def test_all_means_all(store: LocalStore, server: ScriptedServer, day: list[Highlight]) -> None:
    assert len(run(store, server, day, count=None)) == 5
    assert videos_in(store) == [f"videos/{DAY}/{number}.mp4" for number in range(1, 6)]


def test_one_that_cannot_be_copied_is_replaced_by_the_next(
    store: LocalStore, server: ScriptedServer, day: list[Highlight]
) -> None:
    server.on("/1", Reply(HTML, content_type="text/html"))
    server.on("/3", Reply(status=404))
    run(store, server, day, count=2)
    assert sorted(video.id for video in manifest_of(store).videos) == ["2", "4"]
    assert {skip.id: skip.kind for skip in manifest_of(store).skipped} == {"1": "page", "3": "gone"}
    assert all(skip.reason and skip.source_url and skip.title for skip in manifest_of(store).skipped)
    assert server.times("/5") == 0


def test_where_none_can_be_copied_every_one_was_asked_and_is_listed(
    store: LocalStore, server: ScriptedServer, day: list[Highlight]
) -> None:
    for number in range(1, 6):
        server.on(f"/{number}", Reply(status=410))
    run(store, server, day, count=1)
    assert sorted(skip.id for skip in manifest_of(store).skipped) == ["1", "2", "3", "4", "5"]
    assert manifest_of(store).videos == []


def test_one_that_failed_for_a_passing_reason_keeps_its_place(
    store: LocalStore, server: ScriptedServer, day: list[Highlight], media: Media
) -> None:
    server.on("/1", *[Reply(status=500)] * 3, video(media.mp4))
    with pytest.raises(BackupError, match="1 video could not be copied now"):
        run(store, server, day, count=1)
    assert [(skip.id, skip.kind) for skip in manifest_of(store).skipped] == [("1", "failed")]
    assert server.times("/2") == 0
    run(store, server, day, count=1)
    assert [video.id for video in manifest_of(store).videos] == ["1"]
    assert manifest_of(store).skipped == []
    assert server.times("/2") == 0


def test_what_is_there_is_not_asked_for_again(store: LocalStore, server: ScriptedServer, day: list[Highlight]) -> None:
    run(store, server, day, count=2)
    assert run(store, server, day, count=2) == []
    assert len(server.asked) == 2


def test_a_larger_count_copies_only_what_is_missing_and_a_smaller_one_removes_nothing(
    store: LocalStore, server: ScriptedServer, day: list[Highlight]
) -> None:
    run(store, server, day, count=1)
    run(store, server, day, count=3)
    assert run(store, server, day, count=1) == []
    assert sorted(video.id for video in manifest_of(store).videos) == ["1", "2", "3"]
    assert len(server.asked) == 3


def test_n_copied_satisfy_n_even_when_an_earlier_record_arrives_later(
    store: LocalStore, server: ScriptedServer, day: list[Highlight]
) -> None:
    run(store, server, day[1:], count=1)
    assert run(store, server, day, count=1) == []
    assert server.times("/1") == 0


def test_a_copy_whose_file_is_lost_is_fetched_again(
    store: LocalStore, server: ScriptedServer, day: list[Highlight]
) -> None:
    run(store, server, day, count=1)
    (store.root / f"videos/{DAY}/1.mp4").unlink()
    run(store, server, day, count=1)
    assert [video.key for video in manifest_of(store).videos] == [f"videos/{DAY}/1.mp4"]
    assert videos_in(store) == [f"videos/{DAY}/1.mp4"]


def test_a_changed_url_is_copied_beside_the_old_copy(
    store: LocalStore, server: ScriptedServer, day: list[Highlight], media: Media
) -> None:
    run(store, server, day, count=1)
    old = (store.root / f"videos/{DAY}/1.mp4").read_bytes()
    changed = [highlight(1, server.on("/new", video(media.silent))), *day[1:]]
    run(store, server, changed, count=1)
    beside = f"videos/{DAY}/1.{hashlib.sha256(media.silent).hexdigest()[:8]}.mp4"
    assert [video.key for video in manifest_of(store).videos] == [f"videos/{DAY}/1.mp4", beside]
    assert (store.root / f"videos/{DAY}/1.mp4").read_bytes() == old
    assert (store.root / beside).read_bytes() == media.silent
    assert run(store, server, changed, count=1) == []
    assert run(store, server, day, count=1) == []  # and back again: known too
    assert server.times("/2") == 0


def test_the_same_bytes_under_a_new_url_are_not_stored_twice(
    store: LocalStore, server: ScriptedServer, day: list[Highlight]
) -> None:
    run(store, server, day, count=1)
    body = (store.root / f"videos/{DAY}/1.mp4").read_bytes()
    for path in ("/new", "/newer"):
        moved = [highlight(1, server.on(path, video(body)))]
        run(store, server, moved, count=1)
        assert run(store, server, moved, count=1) == []
        assert server.times(path) == 1
    assert videos_in(store) == [f"videos/{DAY}/1.mp4"]
    (entry,) = manifest_of(store).videos
    assert (entry.source_url, entry.other_urls) == (day[0].url, [server.url("/new"), server.url("/newer")])


def test_a_changed_url_that_cannot_be_copied_takes_no_others_place(
    store: LocalStore, server: ScriptedServer, day: list[Highlight]
) -> None:
    run(store, server, day, count=1)
    changed = [highlight(1, server.on("/new", Reply(status=404))), *day[1:]]
    run(store, server, changed, count=1)
    assert [video.id for video in manifest_of(store).videos] == ["1"]
    assert [skip.kind for skip in manifest_of(store).skipped] == ["gone"]
    assert server.times("/2") == 0


def test_a_page_is_not_asked_again_unless_forced(
    store: LocalStore, server: ScriptedServer, day: list[Highlight]
) -> None:
    server.on("/1", Reply(HTML, content_type="text/html"))
    run(store, server, day, count=1)
    run(store, server, day, count=3)
    assert server.times("/1") == 1
    assert [skip.id for skip in manifest_of(store).skipped] == ["1"]
    run(store, server, day, count=4, force=True)
    assert server.times("/1") == 2


def test_a_copied_video_whose_url_became_a_page_is_not_asked_again_either(
    store: LocalStore, server: ScriptedServer, day: list[Highlight]
) -> None:
    run(store, server, day, count=1)
    changed = [highlight(1, server.on("/new", Reply(HTML, content_type="text/html")))]
    for _ in range(2):
        run(store, server, changed, count=1)
    assert server.times("/new") == 1
    assert [video.id for video in manifest_of(store).videos] == ["1"]


def test_a_page_at_another_url_is_asked(
    store: LocalStore, server: ScriptedServer, day: list[Highlight], media: Media
) -> None:
    server.on("/1", Reply(HTML, content_type="text/html"))
    run(store, server, day[:1], count=1)
    run(store, server, [highlight(1, server.on("/new", video(media.mp4)))], count=1)
    assert [video.id for video in manifest_of(store).videos] == ["1"]
    assert manifest_of(store).skipped == []


def test_force_fetches_the_first_n_again_and_puts_back_a_damaged_copy(
    store: LocalStore, server: ScriptedServer, day: list[Highlight]
) -> None:
    run(store, server, day, count=2)
    before, stored = manifest_of(store), store.root / f"videos/{DAY}/1.mp4"
    good = stored.read_bytes()
    stored.write_bytes(bytes(len(good)))
    run(store, server, day, count=2, force=True)
    assert stored.read_bytes() == good
    assert sorted(manifest_of(store).videos, key=lambda video: video.id) == sorted(
        before.videos, key=lambda video: video.id
    )
    assert [server.times(f"/{number}") for number in range(1, 6)] == [2, 2, 0, 0, 0]
    assert videos_in(store) == [f"videos/{DAY}/1.mp4", f"videos/{DAY}/2.mp4"]


def test_force_keeps_other_bytes_of_the_same_url_beside_the_old_copy(
    store: LocalStore, server: ScriptedServer, day: list[Highlight], media: Media
) -> None:
    run(store, server, day, count=1)
    server.on("/1", video(media.silent))
    run(store, server, day, count=1, force=True)
    assert len(manifest_of(store).videos) == 2
    assert len(videos_in(store)) == 2


def test_force_on_one_that_is_gone_keeps_its_copy_and_takes_no_other(
    store: LocalStore, server: ScriptedServer, day: list[Highlight]
) -> None:
    run(store, server, day, count=1)
    server.on("/1", Reply(status=404))
    run(store, server, day, count=1, force=True)
    assert videos_in(store) == [f"videos/{DAY}/1.mp4"]
    assert server.times("/2") == 0


HOSTILE = ["../../x", "..", ".", "a/b", "a\\b", "/etc/passwd", ".hidden", "x" * 300, "ü", "日本", " ", "a b", "a\0b",
           "CON:", "\ud800", "a_b", "-", "%2e%2e%2f", "https://example.com/watch?v=1"]  # fmt: skip


def test_no_id_names_a_file_outside_its_day_or_anothers(
    store: LocalStore, server: ScriptedServer, media: Media
) -> None:
    urls = [server.on(f"/{number}", video(media.silent)) for number in range(len(HOSTILE))]
    outcomes = run(store, server, [highlight(one, url) for one, url in zip(HOSTILE, urls, strict=True)])
    keys = {copied(outcome).key for outcome in outcomes}
    assert len(keys) == len(HOSTILE)
    assert sorted(keys) == videos_in(store)
    for key in keys:
        assert re.fullmatch(rf"videos/{DAY}/[A-Za-z0-9_-]{{1,100}}\.mp4", key)
    assert [path.name for path in store.root.parent.iterdir() if path != store.root] == []


def test_a_page_is_asked_once_it_is_read_and_one_without_a_video_is_not_asked_again() -> None:
    """What was skipped as a page while pages were not read is taken up when they are, and what needed a runtime when
    there is one."""
    alone, both = searched_pages(None), searched_pages("/usr/bin/deno")
    one = Highlight(id="1", url="https://example.com/watch")
    (outcome,) = plan_copies([one], VideosDay(date=DAY), have=bool, count=None, force=False).fresh
    for kind, searched, is_asked in (
        ("page", (), 0), ("page", alone, 1), ("page", both, 1),
        ("runtime", (), 0), ("runtime", alone, 0), ("runtime", both, 1),
        ("unresolved", (), 0), ("unresolved", both, 0),
    ):  # fmt: skip
        refusal = VideoRefused("why not", kind=kind)
        manifest = VideosDay(date=DAY, skipped=[skipped(CopyOutcome(outcome, refusal), refusal)])
        plan = plan_copies([one], manifest, have=bool, count=None, force=False, searched_pages=searched)
        assert len(plan.fresh) == is_asked, kind


@pytest.mark.parametrize("change", ["same", "other", "kind"])
def test_a_lost_copy_comes_back_to_its_key_and_other_bytes_stand_beside_it(
    store: LocalStore, server: ScriptedServer, day: list[Highlight], media: Media, change: str
) -> None:
    run(store, server, day, count=1)
    (first,) = manifest_of(store).videos
    store.delete(first.key)
    if change != "same":
        server.on("/1", video(media.silent if change == "other" else media.ts))
    run(store, server, day, count=1)
    entries = manifest_of(store).videos
    assert entries[0].key == first.key
    if change == "same":
        assert (videos_in(store), entries[0].lost) == ([first.key], None)
        return
    assert entries[0].lost is not None
    assert [entry.key for entry in entries[1:]] == videos_in(store)
    assert entries[1].key == f"videos/{DAY}/1.{entries[1].sha256[:8]}.{entries[1].container}"


def test_a_lost_copy_whose_address_changed_knows_both_addresses_whichever_answers_first(
    store: LocalStore, server: ScriptedServer, day: list[Highlight]
) -> None:
    run(store, server, day, count=1)
    (first,) = manifest_of(store).videos
    data = store.read(first.key)[0]
    store.delete(first.key)
    moved = [replace(day[0], url=server.on("/moved", video(data))), *day[1:]]
    for _ in range(2):
        run(store, server, moved, count=1)
        (entry,) = manifest_of(store).videos
        assert {entry.source_url, *entry.other_urls} == {day[0].url, moved[0].url}
