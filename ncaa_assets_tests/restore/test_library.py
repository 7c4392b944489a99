"""The layout `library`: what Jellyfin, Kodi and Plex find in it, and that what they found once stays what it is."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.commands.main import main
from ncaa_assets.record.fetch import Fetch, Matches
from ncaa_assets.record.matches import merge_matches
from ncaa_assets.record.merge import merge_fetch
from ncaa_assets.record.models import (
    CopiedVideo,
    Document,
    ForgottenVideo,
    HighlightsDay,
    LostCopy,
    Poster,
    ProcessedDay,
    ProcessedVideo,
    VideosDay,
    safe_name,
)
from ncaa_assets.record.written import to_bytes
from ncaa_assets.restore.content import DayContent, content_of, of_bytes
from ncaa_assets.restore.library import Library, episode_number, season_of, season_title
from ncaa_assets.restore.target import Folder, Put
from ncaa_assets.settings import Settings
from ncaa_assets_tests.archives import archive_in
from ncaa_assets_tests.days import back_up, settings_for
from ncaa_assets_tests.imports.places import KEPT, objects
from ncaa_assets_tests.imports.test_archives import an_archive, take
from ncaa_assets_tests.loopback.http_server import Reply, scripted_server
from ncaa_assets_tests.loopback.listing import record, serve_listing, us_record
from ncaa_assets_tests.restore.media_programs import Show, shows_in

DAY = "2025-03-09"
AT = "2025-03-10T12:00:00Z"
ALL = ("json", "rows", "videos", "processed")
HOSTILE = (
    "Duke S01E02 vs. Auburn 3x04 part 2", "sample", "Highlights-trailer", "<b>&amp;</b> ]]> \x00\x1b[31m\ufffe\ud800",
    "../../../etc/passwd", "CON", "", " ", "2024-01-01", "=1+1", "\u202egnp.exe", "日本" * 300,
)  # fmt: skip


def _fetched(stored: HighlightsDay, *records: Any, complete: bool = True) -> HighlightsDay:
    answer = Fetch(
        at=AT, module="nba", records=list(records), query={"date": stored.date}, whole=True, complete=complete,
        total_count=len(records), requests=1,
    )  # fmt: skip
    return merge_fetch(stored, answer, founding="nba")[0]


class Archived:
    """An archive in a folder, made without a day's work."""

    def __init__(self, folder: Path, league: str = "NCAA") -> None:
        self.store = LocalStore(folder)
        self.archive = archive_in(self.store, league_name=league)
        self.documents: dict[tuple[type[Document], str], Any] = {}

    def of(self, kind: type[Any], day: str) -> Any:
        return self.documents.setdefault((kind, day), kind(date=day))

    def fetch(self, day: str, *records: Any) -> None:
        self.documents[HighlightsDay, day] = _fetched(self.of(HighlightsDay, day), *records)

    def copy(self, day: str, identifier: str, content: bytes = b"copy", *, name: str | None = None) -> CopiedVideo:
        video = _copied(day, identifier, content, name=name)
        self.store.write(video.key, content)
        self.of(VideosDay, day).videos.append(video)
        return video

    def encode(self, day: str, video: CopiedVideo, content: bytes = b"encode", poster: bytes = b"poster") -> None:
        output = _output(day, video, content, poster)
        self.store.write(output.key, content)
        self.store.write(output.poster.key, poster)
        self.of(ProcessedDay, day).videos.append(output)

    def restore(self, dest: Path, *, what: tuple[str, ...] = ALL, days: list[str] | None = None) -> list[Put]:
        """Restores without the command: what became of each file."""
        for (kind, day), document in self.documents.items():
            self.store.write(kind.key(day), to_bytes(document))
        library, done = Library.of(self.archive), []
        with Folder(dest) as target:
            for day in days or self.archive.days():
                content = content_of(self.store, day)
                done += [target.put(piece) for piece in library.pieces(self.store, content, what)]
            done += [target.put(piece) for piece in library.of_show(self.store, self.archive.days(), what)]
        return done


def _copied(day: str, identifier: str, content: bytes = b"copy", *, name: str | None = None) -> CopiedVideo:
    return CopiedVideo(
        id=identifier, title="as it was copied", source_url="https://host/1.mp4", bytes=len(content), container="mp4",
        key=f"videos/{day}/{name or safe_name(identifier) + '.mp4'}", sha256=hashlib.sha256(content).hexdigest(),
        duration_seconds=2.0, has_sound=True, copied_at=AT,
    )  # fmt: skip


def _output(day: str, video: CopiedVideo, content: bytes, poster: bytes) -> ProcessedVideo:
    base = f"processed_videos/{day}/{Path(video.key).stem}"
    return ProcessedVideo(
        id=video.id, title=video.title, source_key=video.key, source_sha256=video.sha256, settings_hash="0" * 16,
        key=f"{base}.mp4", bytes=len(content), sha256=hashlib.sha256(content).hexdigest(), duration_seconds=2.0,
        width=320, height=180, poster=Poster(key=f"{base}.jpg", bytes=len(poster)), encoder="x", encode_seconds=1.0,
        encoded_at=AT,
    )  # fmt: skip


@pytest.fixture
def archived(tmp_path: Path) -> Archived:
    return Archived(tmp_path / "data")


def _one(shows: list[Show]) -> Show:
    assert len(shows) == 1
    return shows[0]


def test_three_programs_find_a_season_of_games_with_titles_teams_and_posters(
    archived: Archived, tmp_path: Path
) -> None:
    archived.fetch("2024-11-05", us_record(7, "https://host/7.mp4"))
    archived.fetch(DAY, us_record(1, "https://host/1.mp4", channel="ESPN"), us_record(2, "https://host/2.mp4"))
    archived.encode("2024-11-05", archived.copy("2024-11-05", "7"), b"seven", b"picture 7")
    archived.encode(DAY, archived.copy(DAY, "2"), b"two", b"picture 2")
    archived.encode(DAY, archived.copy(DAY, "1"), b"one", b"picture 1")
    archived.restore(tmp_path / "dest")
    show = _one(shows_in(tmp_path / "dest"))
    assert (show.title, show.seasons, show.poster) == ("NCAA Highlights", {2024: "2024–25"}, b"picture 1")
    assert [(episode.number, episode.aired, episode.picture, episode.identifier) for episode in show.episodes] == [
        (241105001, "2024-11-05", b"picture 7", "7"),
        (250309001, DAY, b"picture 1", "1"),
        (250309002, DAY, b"picture 2", "2"),
    ]
    first = show.episodes[1]
    assert first.video.name == "NCAA Highlights - S2024E250309001 - 2025-03-09.mp4"
    assert first.video.read_bytes() == b"one"
    assert first.title == "Team 1 Tigers vs. San José Spartans | Full Game Highlights"
    assert len(first.teams) == 2
    assert first.plot.startswith(" – ".join(first.teams))


def test_the_plot_tells_the_score_and_the_place_of_a_game_that_is_known(archived: Archived, tmp_path: Path) -> None:
    listed = us_record(1, None, description="Late\nbuzzer beater")
    archived.fetch(DAY, listed)
    match = {
        **listed["match"],
        "state": {"description": "Finished", "score": {"current": "82 - 69"}},
        "venue": {"name": "Neville Arena"},
    }
    before = archived.of(HighlightsDay, DAY)
    archived.documents[HighlightsDay, DAY] = merge_matches(before, Matches(at=AT, records=[match], requests=1))
    archived.copy(DAY, "1")
    archived.restore(tmp_path / "dest")
    plot = _one(shows_in(tmp_path / "dest")).episodes[0].plot
    assert plot.endswith(", 82 - 69, Finished, Neville Arena. Late buzzer beater")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_strangers_confuses_a_program(archived: Archived, tmp_path: Path, text: str) -> None:
    identifier = text.encode("ascii", "backslashreplace").decode().strip() or "1"
    team = {"displayName": text}
    match = {"id": 5, "homeTeam": team, "awayTeam": team}
    archived.fetch(DAY, us_record(1, None, id=identifier, title=text, description=text, channel=text, match=match))
    archived.encode(DAY, archived.copy(DAY, identifier))
    archived.restore(tmp_path / "dest")
    assert [episode.number for episode in _one(shows_in(tmp_path / "dest")).episodes] == [250309001]


@pytest.mark.parametrize(
    "league", [*filter(str.strip, HOSTILE), "NCAA Women", "Sample", "S1E1", "NCAA: D-I", "Ligue é" * 40]
)
def test_any_league_is_a_show(tmp_path: Path, league: str) -> None:
    archived = Archived(tmp_path / "data", league.encode("utf-8", "replace").decode())
    archived.fetch(DAY, us_record(1, None))
    archived.copy(DAY, "1")
    archived.restore(tmp_path / "dest")
    assert [episode.number for episode in _one(shows_in(tmp_path / "dest")).episodes] == [250309001]


def test_a_season_is_a_college_year() -> None:
    days = ["2024-07-31", "2024-08-01", "2024-12-31", "2025-01-01", "2025-07-31", "2025-08-01", "1999-09-01"]
    assert [season_of(day) for day in days] == [2023, 2024, 2024, 2024, 2024, 2025, 1999]
    assert [season_title(season) for season in (2024, 1999, 0)] == ["2024–25", "1999–00", "Specials"]


@given(st.dates(min_value=date(2000, 1, 1), max_value=date(2099, 12, 31)), st.integers(1, 1999))
def test_a_number_is_one_days_and_one_records_alone_and_fits(day: date, place: int) -> None:
    number = episode_number(day.isoformat(), place)
    assert 0 < number < 2**31
    assert (number // 10**9, number % 1000) == divmod(place, 1000)
    assert f"{number // 1000 % 10**6:06}" == f"{day:%y%m%d}"


class Growth:
    """A day that grows by fetches of any records in any order, by copies, and by what a person lets go of."""

    def __init__(self) -> None:
        self.highlights = HighlightsDay(date=DAY)
        self.videos = VideosDay(date=DAY)
        self.processed = ProcessedDay(date=DAY)

    def step(self, kind: str, identifiers: list[int]) -> None:
        texts = list(map(str, identifiers))
        if kind in ("complete", "incomplete"):
            records = [us_record(number, None, title=f"{kind} {len(self.videos.videos)}") for number in identifiers]
            self.highlights = _fetched(self.highlights, *records, complete=kind == "complete")
        elif kind == "copy":
            there = {video.id for video in self.videos.videos}
            listed = [text for text in texts if text in self.highlights.backup.records and text not in there]
            self.videos.videos += [_copied(DAY, text) for text in listed]
        elif kind == "encode":
            there = {output.id for output in self.processed.videos}
            todo = [video for video in self.videos.videos if video.id in texts and video.id not in there]
            self.processed.videos += [_output(DAY, video, b"encode", b"poster") for video in todo]
        else:
            gone = [video for video in self.videos.videos if video.id in texts]
            self.videos.forgotten += [ForgottenVideo(id=video.id, video=video, at=AT) for video in gone]
            self.videos.videos = [video for video in self.videos.videos if video not in gone]
            self.processed.videos = [output for output in self.processed.videos if output.id not in texts]

    def names(self, store: LocalStore) -> dict[str, str]:
        """Of each object of this day the path that it is restored to, without what tells an encode from its copy."""
        content = DayContent(DAY, {}, self.highlights, self.videos, self.processed)
        pieces = Library("NCAA").pieces(store, content, ALL)
        shown = (piece for piece in pieces if piece.path.endswith(".mp4") and not piece.path.startswith("documents/"))
        return {piece.key.removeprefix("processed_"): piece.path for piece in shown}


_STEPS = st.tuples(
    st.sampled_from(["complete", "incomplete", "copy", "encode", "forget"]),
    st.lists(st.integers(1, 9), max_size=9),
)


@given(st.lists(_STEPS, max_size=12))
def test_no_name_changes_when_the_archive_grows(steps: list[tuple[str, list[int]]]) -> None:
    growth, store = Growth(), LocalStore(Path("nothing-is-read"))
    before: dict[str, str] = {}
    for kind, identifiers in steps:
        growth.step(kind, identifiers)
        now = growth.names(store)
        assert len(set(now.values())) == len(now)
        before |= {key: before.get(key, path) for key, path in now.items()}
        assert {key: before[key] for key in now} == now


def test_the_encode_is_shown_where_there_is_one_and_wanted(archived: Archived, tmp_path: Path) -> None:
    archived.fetch(DAY, *(us_record(number, None) for number in (1, 2)))
    archived.encode(DAY, archived.copy(DAY, "1", b"copy 1"), b"encode 1")
    archived.copy(DAY, "2", b"copy 2", name="2.webm")

    def shown(*what: str) -> dict[str, bytes]:
        dest = tmp_path / "-".join(what)
        archived.restore(dest, what=what)
        return {each.video.suffix: each.video.read_bytes() for show in shows_in(dest) for each in show.episodes}

    assert shown("videos", "processed") == {".mp4": b"encode 1", ".webm": b"copy 2"}
    assert shown("videos") == {".mp4": b"copy 1", ".webm": b"copy 2"}
    assert shown("processed") == {".mp4": b"encode 1"}
    assert shown("json") == {}


def test_of_several_copies_the_latest_that_is_not_lost_is_the_episode(archived: Archived, tmp_path: Path) -> None:
    archived.fetch(DAY, us_record(1, None), us_record(2, None))
    archived.copy(DAY, "1", b"first")
    archived.copy(DAY, "1", b"second", name="1.12345678.mp4")
    archived.copy(DAY, "2", b"first")
    lost = archived.copy(DAY, "2", b"second", name="2.12345678.mp4")
    lost.lost = LostCopy(kind="gone", reason="it is gone", at=AT)
    archived.restore(tmp_path / "dest")
    episodes = _one(shows_in(tmp_path / "dest")).episodes
    assert [episode.video.read_bytes() for episode in episodes] == [b"second", b"first"]


def test_a_clip_that_no_listing_names_is_a_special(archived: Archived, tmp_path: Path) -> None:
    archived.fetch(DAY, us_record(1, None))
    archived.copy(DAY, "1")
    archived.encode(DAY, archived.copy(DAY, "of-old"))
    gone = archived.copy(DAY, "more-of-old")
    archived.restore(tmp_path / "dest")
    show = _one(shows_in(tmp_path / "dest"))
    assert [(episode.season, episode.number, episode.identifier) for episode in show.episodes] == [
        (0, 250309001, "more-of-old"),
        (0, 250309002, "of-old"),
        (2024, 250309001, "1"),
    ]
    assert (show.seasons[0], show.episodes[0].title) == ("Specials", "as it was copied")
    videos = archived.of(VideosDay, DAY)
    videos.videos.remove(gone)
    videos.forgotten.append(ForgottenVideo(id=gone.id, video=gone, at=AT))
    archived.restore(tmp_path / "later")
    assert _one(shows_in(tmp_path / "later")).episodes[0].number == 250309002


def test_what_is_there_is_written_once_and_a_newer_game_gives_its_poster(archived: Archived, tmp_path: Path) -> None:
    archived.fetch(DAY, us_record(1, None))
    archived.encode(DAY, archived.copy(DAY, "1"), b"encode", b"picture 1")
    archived.restore(tmp_path / "dest")
    assert set(archived.restore(tmp_path / "dest")) == {Put.THERE}
    before = _one(shows_in(tmp_path / "dest")).episodes
    archived.fetch("2025-11-04", us_record(2, None))
    archived.encode("2025-11-04", archived.copy("2025-11-04", "2"), b"encode", b"picture 2")
    archived.restore(tmp_path / "dest")
    show = _one(shows_in(tmp_path / "dest"))
    assert (show.poster, show.seasons) == (b"picture 2", {2024: "2024–25", 2025: "2025–26"})
    assert show.episodes[:1] == before


def test_a_part_of_the_archive_changes_no_poster_of_what_is_there(archived: Archived, tmp_path: Path) -> None:
    for day in ("2025-03-08", DAY):
        archived.fetch(day, us_record(1, None))
        archived.encode(day, archived.copy(day, "1"), b"encode", day.encode())
    archived.restore(tmp_path / "dest")
    assert set(archived.restore(tmp_path / "dest", days=["2025-03-08"])) == {Put.THERE}


@pytest.mark.parametrize("sums", [True, False])
def test_it_can_be_imported_and_nothing_is_missing_then(tmp_path: Path, sums: bool) -> None:
    kept = an_archive(tmp_path / "kept")
    shutil.copytree(KEPT, tmp_path / "kept")
    library = Library.of(kept)
    with Folder(tmp_path / "dest") as target:
        for piece in [
            of_bytes("documents/archive.json", kept.store.read("archive.json")[0], key="archive.json"),
            *(piece for day in kept.days() for piece in library.pieces(kept.store, content_of(kept.store, day), ALL)),
            *library.of_show(kept.store, kept.days(), ALL),
        ]:
            target.put(piece)
    assert len(_one(shows_in(tmp_path / "dest")).episodes) == len(list(KEPT.glob("processed_videos/*/*.mp4")))
    if not sums:
        (tmp_path / "dest" / "SHA256SUMS").unlink()
    taken = take(an_archive(tmp_path / "data"), tmp_path / "dest")
    assert [day.findings for day in taken] == [[], [], []]
    assert objects(tmp_path / "data") == objects(KEPT)


def _rename(old: str, new: str) -> Callable[[Path], None]:
    def change(season: Path) -> None:
        for path in season.iterdir():
            path.rename(path.with_name(path.name.replace(old, new)))

    return change


def _rewrite(pattern: str, old: bytes, new: bytes) -> Callable[[Path], None]:
    def change(season: Path) -> None:
        for path in [*season.parent.glob(pattern), *season.glob(pattern)]:
            path.write_bytes(path.read_bytes().replace(old, new))

    return change


@pytest.mark.parametrize(
    "change",
    [
        _rename("2025-03-09", "2025-03-09 Duke S01E02"), _rename("2025-03-09", "part 2"),
        _rename("2025-03-09", "sample"), _rename("2025-03-09", "Duke-trailer"), _rename("S2024E", "S2023E"),
        _rename(" - 2025-03-09", "-E02"), _rename("E250309001", "E2503090001"), _rename("S2024E250309001 - ", ""),
        _rename("-thumb", ""), _rename("Season2024.jpg", "x.jpg"), _rename(".nfo", ".xml"),
        _rewrite("*.nfo", b"Team 1", b"\x1bTeam 1"), _rewrite("*.nfo", b"Team 1", b"<Team 1"),
        _rewrite("*.nfo", b"<title>", b"<name>"), _rewrite("*.nfo", b"250309001", b"1"),
        lambda season: (season.parent.parent / "documents" / ".ignore").write_text("*"),
        lambda season: (season.parent.parent / "documents" / ".nomedia").unlink(),
        lambda season: (season.parent / "fanart.jpg").unlink(),
        lambda season: season.rename(season.with_name("S2024")),
    ],
)  # fmt: skip
def test_the_validator_finds_what_a_program_would_not(
    archived: Archived, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    archived.fetch(DAY, us_record(1, None))
    archived.encode(DAY, archived.copy(DAY, "1"))
    archived.restore(tmp_path / "dest")
    shows_in(tmp_path / "dest")
    change(tmp_path / "dest" / "NCAA Highlights" / "Season 2024")
    with pytest.raises((AssertionError, OSError, ValueError, SyntaxError)):  # ElementTree's is a SyntaxError
        shows_in(tmp_path / "dest")


@pytest.fixture(scope="module")
def good(clip: Path, silent_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """An archive of a day with two clips, as a run leaves it."""
    folder = tmp_path_factory.mktemp("good")
    with scripted_server() as server:
        urls = [server.on(f"/{path.name}", Reply(path.read_bytes())) for path in (clip, silent_clip)]
        url = serve_listing(server, lambda: [record(number, url) for number, url in enumerate(urls, 1)])
        settings = settings_for(url, data_dir=folder / "data", video_count=2)
        back_up(settings, DAY)
        yield settings


def _command(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["restore", "--layout", "library", "--dest", "dest", *arguments])
    return result.exit_code, result.output


def test_the_command_gives_a_library_and_names_a_poster_that_is_missing(
    good: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(good.data_dir, "data")
    monkeypatch.setenv("API_URL", str(good.api_url))
    monkeypatch.setenv("RAPIDAPI_KEY", "a-key")
    monkeypatch.setenv("VIDEO_COUNT", "2")
    assert _command()[0] == 0
    show = _one(shows_in(Path("dest")))
    outputs = [Path(f"data/processed_videos/{DAY}/{number}.mp4").read_bytes() for number in (1, 2)]
    assert [episode.video.read_bytes() for episode in show.episodes] == outputs
    assert show.poster == Path(f"data/processed_videos/{DAY}/2.jpg").read_bytes()
    assert (
        Path(f"dest/documents/highlights/{DAY}.json").read_bytes() == Path(f"data/highlights/{DAY}.json").read_bytes()
    )
    code, said = _command()
    assert (code, "0 files written" in said) == (0, True), said
    shutil.rmtree("dest")
    Path(f"data/processed_videos/{DAY}/2.jpg").unlink()
    code, said = _command()
    assert code == 1
    assert f"processed_videos/{DAY}/2.jpg" in said
    assert len(_one(shows_in(Path("dest"))).episodes) == 2
