"""The gallery follows from the documents alone: the same bytes in whatever order days were published, whoever else
published, and wherever a run was killed."""

import multiprocessing
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ncaa_assets.archive.archive import Archive
from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.gallery import pages
from ncaa_assets.gallery.publish import is_published, publish, rebuild, unpublished
from ncaa_assets.record.models import VideosDay
from ncaa_assets_tests.archives import archive_in
from ncaa_assets_tests.gallery.archives import Game, gallery_of, remove_day, write_day

FORK = multiprocessing.get_context("fork")
DAY = "2025-03-09"
# Two seasons before, the season before, and three days of the last, of which two lie side by side.
DAYS = ["2022-12-01", "2024-01-05", "2024-07-31", "2025-03-08", DAY, "2025-03-11"]
TEAMS = ["Duke", "DUKE", "Auburn", "San José State", "Saint Mary's", "Hawaiʻi", "北京", "con", ""]


def games(*homes: str, title: str = "Highlights") -> list[Game]:
    return [Game(str(number), home=home, title=f"{title} of {home}") for number, home in enumerate(homes, 1)]


@pytest.fixture
def archive(store: LocalStore) -> Archive:
    return archive_in(store)


def made_anew(archive: Archive, place: Path) -> dict[str, bytes]:
    """The gallery as a rebuild makes it where there is none."""
    root = Path(archive.store.uri("archive.json")).parent
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(root, place, ignore=shutil.ignore_patterns("gallery"))
    copy = archive_in(LocalStore(place))
    rebuild(copy)
    return gallery_of(copy.store)


_contents = st.none() | st.lists(
    st.builds(
        Game,
        id=st.sampled_from("12345"),
        home=st.sampled_from(TEAMS),
        away=st.sampled_from(TEAMS),
        title=st.sampled_from(["One", "Two", "</script>"]),
        score=st.sampled_from([None, "82 - 69", "²-³", "٣–٤", "0-0", "postponed", "–"]),
        kept=st.booleans(),
    ),
    max_size=3,
    unique_by=lambda game: game.id,
)
_steps = st.lists(
    st.tuples(st.dictionaries(st.sampled_from(DAYS), _contents, max_size=3), st.sets(st.sampled_from(DAYS))),
    min_size=1,
    max_size=4,
)


@pytest.mark.slow
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_steps)
def test_updates_in_any_order_make_what_a_rebuild_makes(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[dict[str, list[Game] | None], set[str]]]
) -> None:
    place = tmp_path_factory.mktemp("archive")
    archive = archive_in(LocalStore(place / "archive"))
    write_day(archive.store, "2023-11-11", games("Kansas"))  # an archive that once had days keeps what pages share
    changed = {"2023-11-11"}
    for contents, published in steps:
        for day, content in contents.items():
            if content is None:
                remove_day(archive.store, day)
            else:
                write_day(archive.store, day, content)
        changed |= contents.keys()
        publish(archive, published)
        changed -= published
    publish(archive, changed)
    published_now = gallery_of(archive.store)
    assert published_now == made_anew(archive, place / "copy")
    assert all(is_published(archive, day) for day in archive.days())
    rebuild(archive)
    assert gallery_of(archive.store) == published_now


def test_a_days_news_reaches_every_page_that_shows_it(archive: Archive) -> None:
    write_day(archive.store, DAY, games("Duke", "Kansas"))
    done = publish(archive, [DAY])
    assert (done.days, done.damaged) == ([DAY], {})
    stored = gallery_of(archive.store)
    assert b"on <b>1</b> day," in stored["gallery/index.html"]
    shows = {key for key, data in stored.items() if b"Highlights of Kansas" in data}
    assert shows == {
        f"gallery/{DAY}.html", "gallery/index.html", "gallery/search/2024-25.js", "gallery/teams/auburn.html",
        "gallery/teams/kansas.html",
    }  # fmt: skip
    assert done.pages == 6  # the day, three teams, the index and the list of teams
    write_day(archive.store, DAY, games("Duke", title="News"))
    publish(archive, [DAY])
    after = gallery_of(archive.store)
    assert stored.keys() - after.keys() == {"gallery/teams/kansas.html"}
    assert not [key for key, data in after.items() if b"Kansas" in data]


def test_what_is_published_is_left_alone(archive: Archive) -> None:
    write_day(archive.store, DAY, games("Duke"))
    assert publish(archive, [DAY]).pages
    assert is_published(archive, DAY)
    times = _times(archive)
    assert publish(archive, [DAY]).days == [DAY]
    assert _times(archive) == times
    write_day(archive.store, DAY, games("Kansas"))
    assert not is_published(archive, DAY)


def test_a_new_season_moves_the_one_before_and_touches_no_older_page(archive: Archive) -> None:
    for day in DAYS[:3]:
        write_day(archive.store, day, games("Duke"))
    publish(archive, DAYS[:3])
    before = _times(archive)
    write_day(archive.store, DAY, games("Duke"))
    publish(archive, [DAY])
    after = _times(archive)
    assert after.keys() - before.keys() == {
        f"gallery/{DAY}.html", f"gallery/{DAY}.json", "gallery/search/2024-25.js", "gallery/seasons/2023-24.html",
        "gallery/teams/auburn/2023-24.html", "gallery/teams/duke/2023-24.html",
    }  # fmt: skip
    assert {key for key in before if after[key] != before[key]} == {
        "gallery/index.html", "gallery/search/seasons.js", "gallery/teams/auburn.html", "gallery/teams/duke.html",
    }  # fmt: skip


def test_a_backfilled_season_does_not_take_the_index(archive: Archive) -> None:
    write_day(archive.store, DAY, games("Duke"))
    publish(archive, [DAY])
    write_day(archive.store, DAYS[0], games("Duke"))
    publish(archive, [DAYS[0]])
    stored = gallery_of(archive.store)
    assert DAY.encode() in stored["gallery/index.html"]
    assert b"seasons/2022-23.html" in stored["gallery/index.html"]
    assert DAYS[0].encode() in stored["gallery/seasons/2022-23.html"]


def test_a_season_without_rows_is_published_whole(archive: Archive) -> None:
    for day in DAYS:
        write_day(archive.store, day, games("Duke"))
    assert unpublished(archive) == DAYS
    assert publish(archive, [DAY]).days == DAYS[3:]
    assert unpublished(archive) == DAYS[:3]


def test_rows_that_cannot_be_read_are_made_again(archive: Archive, tmp_path: Path) -> None:
    for day in DAYS:
        write_day(archive.store, day, games("Duke"))
    rebuild(archive)
    archive.store.write("gallery/search/2024-25.js", b"ncaa.season(")
    archive.store.write("gallery/search/seasons.js", b"")
    write_day(archive.store, DAY, games("Kansas"))
    publish(archive, [DAY])
    assert gallery_of(archive.store) == made_anew(archive, tmp_path / "copy")


def test_a_damaged_day_costs_itself_alone(archive: Archive) -> None:
    for day in DAYS:
        write_day(archive.store, day, games("Duke"))
    rebuild(archive)
    before = gallery_of(archive.store)
    archive.store.write(VideosDay.key(DAY), b"{")
    for day in DAYS:
        if day != DAY:
            write_day(archive.store, day, games("Kansas"))
    for done in (publish(archive, DAYS), rebuild(archive)):
        assert done.days == [day for day in DAYS if day != DAY]
        assert list(done.damaged) == [DAY]
        assert "damaged" in done.damaged[DAY]
        assert not is_published(archive, DAY)
    after = gallery_of(archive.store)
    assert after[f"gallery/{DAY}.html"] == before[f"gallery/{DAY}.html"]
    assert b"Highlights of Duke" in after["gallery/search/2024-25.js"]
    assert b"Highlights of Kansas" in after["gallery/search/2024-25.js"]


def test_a_rebuild_removes_what_belongs_to_nothing_and_leaves_what_is_a_persons(archive: Archive) -> None:
    write_day(archive.store, DAY, games("Duke"))
    rebuild(archive)
    clean = gallery_of(archive.store)
    leftovers = [
        "2001-01-01.html", "2001-01-01.json", f"{DAY}-2.html", f"{DAY}-7.html", "teams/nobody.html",
        "teams/duke/2001-02.html", "teams/duke/2001-02-2.html", "seasons/2001-02.html", "search/2001-02.js",
    ]  # fmt: skip
    for name in leftovers:
        archive.store.write(f"gallery/{name}", b"left")
    mine = {"gallery/own.css": b"body {}", "gallery/about.html": b"mine", "gallery/teams/photo.jpg": b"mine"}
    for key, data in mine.items():
        archive.store.write(key, data)
    rebuild(archive)
    assert gallery_of(archive.store) == {**clean, **mine}


def test_no_earlier_version_of_a_page_is_kept(archive: Archive, tmp_path: Path) -> None:
    for title in ("One", "Two"):
        write_day(archive.store, DAY, games("Duke", title=title))
        publish(archive, [DAY])
    assert (tmp_path / "archive/.history/highlights").is_dir()
    assert not (tmp_path / "archive/.history/gallery").exists()


def test_a_long_page_that_becomes_shorter_loses_its_further_parts(archive: Archive, tmp_path: Path) -> None:
    many = [Game(str(number)) for number in range(2 * pages.CLIPS_A_PAGE + 1)]
    write_day(archive.store, DAY, many)
    publish(archive, [DAY])
    parts = {f"gallery/{DAY}-{number}.html" for number in (2, 3)}
    parts |= {f"gallery/teams/duke/2024-25-{number}.html" for number in (2, 3)}
    assert parts <= gallery_of(archive.store).keys()
    write_day(archive.store, DAY, many[:3])
    publish(archive, [DAY])
    assert gallery_of(archive.store) == made_anew(archive, tmp_path / "copy")
    assert not parts & gallery_of(archive.store).keys()


def test_news_that_come_while_a_day_is_published_are_on_its_pages(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run stores a day's documents after this one read them, and is killed before it publishes them."""
    write_day(archive.store, DAY, games("Duke"))
    _before_write(archive, monkeypatch, "gallery/teams/", lambda: write_day(archive.store, DAY, games("Kansas")))
    publish(archive, [DAY])
    assert is_published(archive, DAY)
    assert gallery_of(archive.store) == made_anew(archive, tmp_path / "copy")


@pytest.mark.parametrize("place", ["search/2024-25", "search/seasons", "index", "teams/auburn", DAY])
def test_another_run_at_any_point_loses_nothing(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Right before one run writes an object, another publishes another day of the same season, of a team of both."""
    write_day(archive.store, DAYS[3], games("Kansas"))
    publish(archive, [DAYS[3]])
    write_day(archive.store, DAY, games("Duke"))
    write_day(archive.store, DAYS[5], games("Duke", "Saint Mary's"))
    other = archive_in(LocalStore(tmp_path / "archive"))
    _before_write(archive, monkeypatch, f"gallery/{place}", lambda: publish(other, [DAYS[5]]))
    publish(archive, [DAY])
    assert is_published(archive, DAYS[5])
    assert gallery_of(archive.store) == made_anew(archive, tmp_path / "copy")


def _before_write(archive: Archive, monkeypatch: pytest.MonkeyPatch, prefix: str, act: Callable[[], object]) -> None:
    """Has something happen right before the first write of a key that begins so."""
    write, waiting = LocalStore.write, [act]

    def writing(store: LocalStore, key: str, data: bytes, **options: object) -> str:
        if store is archive.store and key.startswith(prefix) and waiting:
            waiting.pop()()
        return write(store, key, data, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(LocalStore, "write", writing)


def _times(archive: Archive) -> dict[str, str]:
    return {info.key: info.version for info in archive.store.list("gallery/")}


def _publish_in_a_process(place: Path, days: list[str]) -> None:
    publish(archive_in(LocalStore(place)), days)


def test_days_that_are_published_at_once_lose_nothing(archive: Archive, tmp_path: Path) -> None:
    """Four processes of one and two days, and four threads of this one, all of two seasons."""
    days = [f"2025-03-{day:02}" for day in range(1, 9)] + [f"2023-12-{day:02}" for day in range(1, 5)]
    for number, day in enumerate(days):
        write_day(archive.store, day, games("Duke", TEAMS[number % len(TEAMS)], "Kansas"))
    groups = [days[:2], [days[2]], [days[8]], [days[9], days[3]]]
    children = [FORK.Process(target=_publish_in_a_process, args=(tmp_path / "archive", group)) for group in groups]
    for child in children:
        child.start()
    rest = [day for day in days if not any(day in group for group in groups)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda day: publish(archive_in(LocalStore(tmp_path / "archive")), [day]), rest))
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0] * len(children)
    assert all(is_published(archive, day) for day in days)
    assert gallery_of(archive.store) == made_anew(archive, tmp_path / "copy")


@pytest.mark.slow
def test_runs_that_are_killed_anywhere_are_finished_by_the_next(archive: Archive, tmp_path: Path) -> None:
    """Three at a time publish changing days of three seasons; each is killed after a random time. What is left is what
    catch-up would take up: the days that are not published."""
    drawn = random.Random(20)  # noqa: S311
    for round_ in range(8):
        days = drawn.sample(DAYS, 4)
        for day in days:
            write_day(archive.store, day, games(*drawn.sample(TEAMS, drawn.randint(0, 4)), title=f"Take {round_}"))
        children = [FORK.Process(target=_publish_in_a_process, args=(tmp_path / "archive", [day])) for day in days[:3]]
        for child in children:
            child.start()
        for child in children:
            time.sleep(drawn.uniform(0.01, 0.15))
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
            child.join(60)
    publish(archive, [day for day in archive.days() if not is_published(archive, day)])
    assert gallery_of(archive.store) == made_anew(archive, tmp_path / "copy")


class _Ended(BaseException):
    """Stands for a kill: nothing that publishes catches it."""


@pytest.mark.slow
@pytest.mark.parametrize("act", [lambda archive: publish(archive, [DAY]), rebuild])
def test_a_run_that_ends_before_any_of_its_changes_is_finished_by_the_next(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[Archive], object]
) -> None:
    """News take a team and a further part of a page away and bring a new team; the run ends before its first change to
    the store, then before its second, and so on to its last."""
    before = [games("Duke", "Kansas", title="Before"), games(*["Duke"] * (pages.CLIPS_A_PAGE + 1))]
    after = games("Duke", "Saint Mary's", title="After")
    for day in DAYS[2:4]:
        write_day(archive.store, day, before[0])
    publish(archive, archive.days())
    ended, number = True, 0
    while ended:
        write_day(archive.store, DAY, before[1])
        publish(archive, [DAY])
        write_day(archive.store, DAY, after)
        number += 1
        with monkeypatch.context() as patch:
            left = _end_before(patch, number)
            try:
                act(archive)
                ended = False
            except _Ended:
                assert left == [0]
        publish(archive, unpublished(archive))
        assert gallery_of(archive.store) == made_anew(archive, tmp_path / "copy"), f"ended before change {number}"
    assert number > 10


def _end_before(patch: pytest.MonkeyPatch, number: int) -> list[int]:
    """Ends whatever runs right before its nth write or removal. Returns how many changes are left until then."""
    left = [number]

    def counted(change: Callable[..., object]) -> Callable[..., object]:
        def counting(store: LocalStore, *arguments: object, **options: object) -> object:
            left[0] -= 1
            if left[0] == 0:
                raise _Ended
            return change(store, *arguments, **options)

        return counting

    for name in ("write", "delete"):
        patch.setattr(LocalStore, name, counted(getattr(LocalStore, name)))
    return left


@pytest.mark.slow
def test_a_rebuild_that_is_killed_can_be_run_again(archive: Archive, tmp_path: Path) -> None:
    for day in DAYS:
        write_day(archive.store, day, games("Duke", "Kansas"))
    rebuild(archive)
    for day in DAYS:
        write_day(archive.store, day, games("Saint Mary's"))
    for wait in (0.05, 0.1, 0.2):
        child = FORK.Process(target=lambda: rebuild(archive_in(LocalStore(tmp_path / "archive"))))
        child.start()
        time.sleep(wait)
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join(60)
    rebuild(archive)
    assert gallery_of(archive.store) == made_anew(archive, tmp_path / "copy")
