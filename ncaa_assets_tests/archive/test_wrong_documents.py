"""Whatever stands in whatever field of a stored document: `verify` ends and never calls that equal, and a run of the
day mends it, or ends in a sentence, and loses nothing."""

import io
import os
import random
import sqlite3
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.identity import IDENTITY_KEY
from ncaa_assets.backends.aws.mediaconvert import LEDGER, LedgerEntry
from ncaa_assets.backends.aws.minutes import MINUTES, reserve
from ncaa_assets.backends.local.store import SQLITE_NAME, LocalStore
from ncaa_assets.commands.verify import verify_archive
from ncaa_assets.day import whole
from ncaa_assets.day.forget import forget
from ncaa_assets.day.rows import write_keys
from ncaa_assets.day.whole import Services
from ncaa_assets.failures import BackupError, DocumentDamaged, EncodeRefused
from ncaa_assets.media.facts import Facts
from ncaa_assets.media.probe import read_facts
from ncaa_assets.media.profile import PROFILE, ffmpeg_settings_hash
from ncaa_assets.ports import EncodeOutcome, EncodeRequest, Transcoder
from ncaa_assets.record import json_text
from ncaa_assets.record.models import LostCopy, Poster, ProcessedVideo, VideosDay
from ncaa_assets.record.rows import OF_GAME
from ncaa_assets.record.written import CHECKSUM, from_bytes, to_bytes
from ncaa_assets.settings import Settings
from ncaa_assets.source.open import open_source
from ncaa_assets.video.open import open_copier
from ncaa_assets_tests.archive.mutations import DAY, OTHER_DAY, mutations, text_of
from ncaa_assets_tests.days import KEY
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer, scripted_server
from ncaa_assets_tests.loopback.listing import game, record, serve_api
from ncaa_assets_tests.test_text import is_fit_to_print

EACH = 1  # mutations of each place that are tried; all of them take hours
REFUSED = "2"  # the clip that the encoder cannot read
AT = "2025-03-10T06:00:00Z"
HASH = ffmpeg_settings_hash(PROFILE)
JPEG = b"\xff\xd8\xff\xd9"


class Encoder(Transcoder):
    """A transcoder whose every output is one same clip."""

    def __init__(self, archive: Archive, clip: bytes, facts: Facts) -> None:
        self._store, self._clip, self._facts = archive.store, clip, facts

    def settings_hash(self) -> str:
        return HASH

    def encode(
        self, requests: Sequence[EncodeRequest], *, before_commit: Callable[[], None] = lambda: None
    ) -> Generator[EncodeOutcome, None, None]:
        for request in requests:
            before_commit()
            if request.video.id == REFUSED:
                yield EncodeOutcome(request, EncodeRefused("it is cut", kind="broken"))
                continue
            self._store.write(request.output_key, self._clip)
            self._store.write(request.poster_key, JPEG)
            made = ProcessedVideo.of(
                request.video, self._facts, settings_hash=HASH, key=request.output_key, bytes=len(self._clip),
                sha256=None, poster=Poster(key=request.poster_key, bytes=len(JPEG)), encoder="ffmpeg",
                encode_seconds=1.0, job_id="1", job_url="https://x/", lacks="its sound",
            )  # fmt: skip
            yield EncodeOutcome(request, made)


@dataclass
class Place:
    """An archive that holds something in every field of its documents; and the source that it is of."""

    folder: Path
    environment: dict[str, str]
    clip: bytes
    facts: Facts
    kept: dict[Path, bytes]

    @property
    def archive(self) -> Archive:
        return Archive.open(Settings.from_environment())

    def run(self, day: str = DAY) -> None:
        archive = self.archive
        with (
            open_source(archive.settings) as source,
            archive.lease(day, owner="a test") as held,
        ):
            copier = open_copier(archive.settings, archive.store, source)
            whole.back_up(held, Services(source, copier, Encoder(archive, self.clip, self.facts)))

    def verify(self) -> tuple[int, str]:
        printed = io.StringIO()
        with redirect_stdout(printed), redirect_stderr(printed):
            try:
                code = verify_archive(DAY, DAY, deep=False)
            except BackupError as error:
                code = 2
                printed.write(f"{error}\n")
        return code, printed.getvalue()

    def keep(self) -> None:
        self.kept.update({path: path.read_bytes() for path in self.files()})

    def files(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file()]

    def restore(self) -> None:
        for path in self.files():
            if path not in self.kept:
                path.unlink()
        for path, data in self.kept.items():
            if not path.exists() or path.read_bytes() != data:
                path.write_bytes(data)

    def document(self, key: str) -> Any:
        return json_text.loads(self.kept[self.folder / key])


@pytest.fixture(scope="module")
def place(clip: Path, silent_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with scripted_server() as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)  # a test's archive need not outlive a power cut
        folder = tmp_path_factory.mktemp("wrong") / "data"
        yield made(server, patch, folder, clip, silent_clip)


def made(server: ScriptedServer, patch: pytest.MonkeyPatch, folder: Path, clip: Path, silent_clip: Path) -> Place:
    sound, silent = (server.on(f"/{file.name}", Reply(file.read_bytes())) for file in (clip, silent_clip))
    page = server.on("/watch", Reply(b"<!doctype html><title>Watch</title>", content_type="text/html"))
    api = serve_api(server, quota_left=10**9)
    listed: dict[str, list[Any]] = {
        DAY: [record(1, sound), record(2, silent), record(3, page), record(5, sound), record(6, None), "junk"],
        OTHER_DAY: [record(2, silent), record(7, None)],
    }
    for module in ("nba", "basketball"):
        api.highlights[module] = lambda day: listed[day]
        api.matches[module] = [game(1), game(2)]
    environment = {
        "API_BASE": api.base_url, "RAPIDAPI_KEY": KEY, "API_MODULE": "auto", "RETRY_DELAY": "0", "RETRY_COUNT": "0",
        "VIDEO_ALLOW_PRIVATE_HOSTS": "1", "VIDEO_COUNT": "all", "START_DATE": "2025-03-01", "DATA_DIR": str(folder),
        "DAGSTER_HOME": "",
    }  # fmt: skip
    for name, value in environment.items():
        patch.setenv(name, value)
    with clip.open("rb") as file:
        facts = read_facts(file, size=clip.stat().st_size)
    place = Place(folder, environment, clip.read_bytes(), facts, {})
    place.run()
    place.run(OTHER_DAY)
    archive = place.archive
    was = archive.any_identity()
    assert was is not None
    archive.identity.move(archive.store, "basketball" if was.module == "nba" else "nba")
    listed[DAY][0]["title"] = "Final"
    del listed[DAY][4]
    place.run()
    with archive.lease(DAY, owner="a test") as held:
        forget(held, {"5"}, reason="a test")
        videos = held.load_or_new(VideosDay)
        videos.videos[0].lost = LostCopy(kind="gone", reason="404", at=AT)
        videos.videos[0].other_urls, videos.videos[0].etag = [sound], '"etag"'
        held.save(videos)
        write_keys(held)
    code, said = place.verify()
    assert code == 0, said
    place.keep()
    return place


@pytest.fixture
def here(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """The archive, with this process's environment leading there; as it was made, again, when the test ends."""
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    yield place
    place.restore()


def a_few(document: Any) -> list[tuple[str, Any]]:
    """A dozen mutations of a document, the same each time."""
    return random.Random(16).sample(mutations(document, each=2), 12)  # noqa: S311


def judge_lines(said: str, name: str) -> None:
    for line in said.splitlines():
        assert is_fit_to_print(line), (name, line)
        assert "unexpected" not in line, (name, line)
        assert len(line) < 5000, name


# By nature no change: a document without a checksum is one of an earlier version, and is not judged by it.
EQUAL = {f"{CHECKSUM} missing"}


Mutations = list[tuple[str, Any]]


def try_documents(place: Place, key: str, wrong: Mutations, *, checksum: Callable[[Any], bytes]) -> None:
    """Puts each mutation of a document in its place; `checksum` makes its bytes."""
    for name, document in wrong:
        (place.folder / key).write_bytes(checksum(document))
        code, said = place.verify()
        judge_lines(said, name)
        if checksum is text_of:
            assert (code == 0) == (name in EQUAL), (name, said)
        try:
            place.run()
        except BackupError as error:
            judge_lines(str(error), name)
        else:
            _, said = place.verify()
            assert "its content is not that of its" not in said, (name, said)
            assert "left out" not in said, (name, said)
        for path, data in place.kept.items():
            if path.suffix != ".json" and SQLITE_NAME not in path.name:
                assert path.read_bytes() == data, (name, path)
        place.restore()


def unjudged(document: Any) -> bytes:
    """A document as a version writes it that knows no checksums."""
    if isinstance(document, dict):
        document = {name: value for name, value in document.items() if name != CHECKSUM}
    return text_of(document)


KEYS = [f"highlights/{DAY}.json", f"videos/{DAY}.json", f"processed_videos/{DAY}.json", IDENTITY_KEY]


@pytest.mark.parametrize("key", KEYS)
def test_a_sample(here: Place, key: str) -> None:
    for checksum in (text_of, unjudged):
        try_documents(here, key, a_few(here.document(key)), checksum=checksum)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("checksum", [text_of, unjudged], ids=["edited", "without a checksum"])
@pytest.mark.parametrize("key", KEYS)
def test_every_field_of_a_document_that_says_what_nobody_expects(
    here: Place, key: str, checksum: Callable[[Any], bytes]
) -> None:
    wrong = mutations(here.document(key), each=EACH, seed=checksum is text_of)
    assert len(wrong) > EACH * 10
    try_documents(here, key, wrong, checksum=checksum)


# ---- Rows ------------------------------------------------------------------------------------------------------------

# These are not compared: they move with each fetch, and a row is not written for their sake.
MOVING = ("last_seen", "fetch_date")
UNKNOWN_DAY = "a day of which the archive has no document"


def items(place: Place) -> dict[str, Any]:
    with closing(sqlite3.connect(place.folder / SQLITE_NAME)) as table:
        rows = table.execute("SELECT id, item FROM highlights WHERE id IN ('1', '2')").fetchall()
    return {key: json_text.loads(item) for key, item in rows}


def in_the_table(place: Place, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(place.folder / SQLITE_NAME)) as table, table:
        # The columns that are taken from a row that is no JSON cannot be.
        table.create_function("json_extract", 2, lambda item, path: None, deterministic=True)
        assert table.execute(statement, values).rowcount == 1


def is_no_change(name: str) -> bool:
    """Whether a mutation of a row is allowed: it is of a field that is not compared, or takes away what is known of the
    game, which rows of earlier versions lack."""
    field = name.split(maxsplit=1)[0]
    return field in MOVING or (field in OF_GAME and name.endswith(" missing"))


def try_rows(place: Place, choose: Callable[[Any], Mutations]) -> None:
    for key, item in items(place).items():
        for name, row in choose(item):
            text = text_of(row).decode("utf-8", "surrogateescape")
            in_the_table(place, "UPDATE highlights SET item = ? WHERE id = ?", text, key)
            code, said = place.verify()
            judge_lines(said, name)
            assert (code == 0) == is_no_change(name), (key, name, said)
            place.run()
            code, said = place.verify()
            if UNKNOWN_DAY in said:
                in_the_table(place, "DELETE FROM highlights WHERE id = ?", key)
                place.run()
                code, said = place.verify()
            assert code == 0, (key, name, said)
            place.restore()


def test_a_sample_of_rows(here: Place) -> None:
    try_rows(here, a_few)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_field_of_a_row_that_says_what_nobody_expects(here: Place) -> None:
    try_rows(here, partial(mutations, each=EACH))


# ---- The small documents on AWS --------------------------------------------------------------------------------------


def test_every_field_of_an_entry_of_the_ledger(here: Place) -> None:
    """It is read, or refused in a sentence; and what was read can be written."""
    result = here.document(f"processed_videos/{DAY}.json")["videos"][0]
    entry = LedgerEntry.model_validate(
        {
            "source_sha256": result["source_sha256"], "settings_hash": HASH, "source": "s3://bucket/1.mp4",
            "output_key": result["key"], "token": "t", "asked_at": "2025-03-10T06:00:00.123456Z", "job_id": "1",
            "lacks": "its sound", "result": result, "output_version": '"etag"', "refused": None,
        }
    )  # fmt: skip
    written = to_bytes(entry)
    expected = {"source_sha256": entry.source_sha256, "settings_hash": HASH}
    every = mutations(json_text.loads(written), each=EACH)
    for name, document in every:
        place = f"s3://bucket/{LEDGER}1.json"
        try:
            read = from_bytes(LedgerEntry, text_of(document), place, expected=expected)
        except DocumentDamaged as error:
            judge_lines(str(error), name)
            assert str(error).startswith(f"{place} is "), name
        else:
            assert (read.doubts == []) == (name in EQUAL), name
            assert from_bytes(LedgerEntry, to_bytes(read), place, expected=expected).doubts == []


def test_every_field_of_the_minutes_of_a_date(tmp_path: Path) -> None:
    """They are counted, or refused in a sentence."""
    store, at = LocalStore(tmp_path), datetime(2025, 3, 9, 12, tzinfo=UTC)
    reserve(store, "first", 3.5, most=100, at=at)
    reserve(store, "second", 4, most=100, at=at)
    key = f"{MINUTES}2025-03-09.json"
    every = mutations(json_text.loads(store.read(key)[0]))
    for name, document in every:
        store.path(key).write_bytes(text_of(document))
        try:
            reserve(store, "third", 5, most=100, at=at)
        except BackupError as error:
            judge_lines(str(error), name)
        else:
            minutes = json_text.loads(store.read(key)[0])["minutes"]
            assert sum(minutes.values()) >= 5, name
