"""Whatever an archive holds: restored by any layout, imported into an empty one and restored again, it is the same byte
for byte and record for record."""

import hashlib
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from ncaa_assets.archive import documents
from ncaa_assets.archive.archive import Archive
from ncaa_assets.backends.deployments import open_store, open_table
from ncaa_assets.commands.main import main
from ncaa_assets.day.rows import write_keys
from ncaa_assets.record import json_text
from ncaa_assets.record.fetch import Fetch
from ncaa_assets.record.models import CopiedVideo, Poster, ProcessedDay, ProcessedVideo, VideosDay, safe_name
from ncaa_assets.settings import Settings
from ncaa_assets_tests.archive.test_kept import AWS
from ncaa_assets_tests.archives import fetch_and_write_rows
from ncaa_assets_tests.imports.places import KEPT, objects

if TYPE_CHECKING:
    from ncaa_assets_tests.loopback.aws import Cloud

DAYS = ("2025-01-31", "2025-03-09", "2025-07-31", "2025-08-01")  # two college years
AT = "2025-08-02T06:00:00Z"
OUTPUT = next(KEPT.glob("processed_videos/*/*.mp4")).read_bytes()
POSTER = next(KEPT.glob("processed_videos/*/*.jpg")).read_bytes()

ids = st.sampled_from(
    [1, 2, 105170, 10**30, "a", "A", "é", "a/../b", "CON", "x" * 300, "=1+1", " 7 ", "url-0123456789abcdef"]
)
texts = st.one_of(
    st.none(),
    st.text(max_size=30),
    st.sampled_from(
        ["=HYPERLINK(1)", "<script>", "a\x00b", "\ud83d", "\u202eevil", "S01E02", "x" * 400, "a\nb,\"c\"; 'd'"]
    ),
)
values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.just(Decimal("1.50")), texts, st.lists(texts, max_size=2)
)


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    team = st.fixed_dictionaries({"id": st.integers(0, 9), "name": texts})
    match = st.fixed_dictionaries({"id": st.integers(1, 3), "homeTeam": team, "awayTeam": team})
    fields = draw(st.dictionaries(st.sampled_from(["x", "y", "type"]), values))
    own = {"id": draw(ids), "title": draw(texts), "url": "https://host.example/1.mp4", "match": draw(match)}
    return {**fields, **own}


@st.composite
def archives(draw: st.DrawFn) -> dict[str, Any]:
    """Days, each with its fetches, and which of its highlights have copies and outputs."""
    return {
        day: {
            "fetches": draw(st.lists(st.lists(records(), max_size=4), min_size=1, max_size=3)),
            "copies": draw(st.dictionaries(ids, st.binary(min_size=1, max_size=50), max_size=3)),
            "encoded": draw(st.booleans()),
        }
        for day in draw(st.sets(st.sampled_from(DAYS), min_size=1, max_size=3))
    }


def make(archive: Archive, days: dict[str, Any]) -> None:
    for day, made in days.items():
        for number, listed in enumerate(made["fetches"]):
            at = f"2025-08-0{2 + number}T06:00:00Z"
            answer = Fetch(
                at=at, module="basketball", records=listed, query={"date": day}, whole=True, complete=True,
                total_count=len(listed), requests=1,
            )  # fmt: skip
            fetch_and_write_rows(archive.store, archive.table, day, answer, rapidapi_key="a-key")
        copies, outputs = VideosDay(date=day), ProcessedDay(date=day)
        for identifier, data in made["copies"].items():
            add(archive, copies, outputs, str(identifier).strip(), data, is_encoded=made["encoded"])
        documents.save(archive.store, copies)
        documents.save(archive.store, outputs)
        with archive.lease(day, owner="a test") as held:
            write_keys(held)


def add(
    archive: Archive, copies: VideosDay, outputs: ProcessedDay, identifier: str, data: bytes, *, is_encoded: bool
) -> None:
    name, day, store = safe_name(identifier), copies.date, archive.store
    store.write(key := f"videos/{day}/{name}.mp4", data, content_type="video/mp4")
    digest = hashlib.sha256(data).hexdigest()
    copies.videos.append(
        CopiedVideo(
            id=identifier,
            title=None,
            duration_seconds=None,
            has_sound=None,
            source_url="https://host.example/1.mp4",
            key=key,
            bytes=len(data),
            sha256=digest,
            container="mp4",
            copied_at=AT,
        )
    )
    if not is_encoded:
        return
    output, poster = f"processed_videos/{day}/{name}.mp4", f"processed_videos/{day}/{name}.jpg"
    store.write(output, OUTPUT, content_type="video/mp4")
    store.write(poster, POSTER, content_type="image/jpeg")
    outputs.videos.append(
        ProcessedVideo(
            id=identifier,
            title=None,
            source_key=key,
            source_sha256=digest,
            settings_hash="0" * 16,
            key=output,
            bytes=len(OUTPUT),
            sha256=hashlib.sha256(OUTPUT).hexdigest(),
            poster=Poster(key=poster, bytes=len(POSTER)),
            encoder="ffmpeg",
            duration_seconds=None,
            width=None,
            height=None,
            encode_seconds=1.0,
            encoded_at=AT,
        )
    )


def command(environment: dict[str, str], *arguments: str) -> Result:
    kept = dict.fromkeys(("RAPIDAPI_KEY", "DATA_DIR", "NCAA_DEPLOYMENT"))
    return CliRunner().invoke(main, arguments, env={**kept, "RAPIDAPI_KEY": "a-key", "ENCODE": "never", **environment})


def restored(environment: dict[str, str], layout: str, folder: Path) -> tuple[dict[str, bytes], list[Any]]:
    """The files of a restore, and its rows without what moves with each fetch: a row is not written for its sake alone,
    and one that is made anew has what the last fetch said."""
    done = command(environment, "restore", "--layout", layout, "--dest", str(folder))
    assert done.exit_code == 0, done.output
    files = {path: data for path, data in objects(folder).items() if path != "SHA256SUMS"}
    rows = files.get("rows.jsonl", b"").splitlines()
    files = {path: data for path, data in files.items() if not path.startswith("rows.")}
    return files, [_still(json_text.loads(row)) for row in rows]


def round_trip(source: dict[str, str], target: dict[str, str], layout: str, folder: Path) -> None:
    first = restored(source, layout, folder / "first")
    taken = command(target, "import", str(folder / "first"))
    assert taken.exit_code == 0, taken.output
    assert restored(target, layout, folder / "second") == first
    again = command(target, "import", str(folder / "first"))
    assert again.exit_code == 0, again.output
    assert restored(target, layout, folder / "second") == first


def archive_of(environment: dict[str, str]) -> Archive:
    values = {name.lower(): value for name, value in environment.items()}
    made = Settings.model_validate({"rapidapi_key": "a-key", **values})
    return Archive(made, open_store(made), open_table(made))


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["days", "library", "archive"])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(days=archives())
def test_any_archive_comes_back_the_same(layout: str, days: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, target = {"DATA_DIR": str(folder / "source")}, {"DATA_DIR": str(folder / "target")}
        make(archive_of(source), days)
        event(f"{sum(len(made['copies']) for made in days.values())} copies")
        round_trip(source, target, layout, folder)
        assert objects(folder / "target") == objects(folder / "source")
        for day in days:
            here, there = (archive_of(one).table.day(day) for one in (source, target))
            assert [_still(row) for row in there] == [_still(row) for row in here]


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["days", "archive"])
def test_it_goes_through_a_bucket_and_a_table_and_back(layout: str, cloud: "Cloud", tmp_path: Path) -> None:
    cloud.make_bucket("kept")
    cloud.make_table("SportsHighlights")
    there = {name.upper(): str(value) for name, value in AWS.items()}
    here, back = {"DATA_DIR": str(tmp_path / "here")}, {"DATA_DIR": str(tmp_path / "back")}
    day = {"fetches": [[{"id": 1, "title": "é", "url": "https://h/1.mp4", "n": Decimal("1.50"), "match": {}}]],
           "copies": {1: b"one", "A b": b"two"}, "encoded": True}  # fmt: skip
    make(archive_of(here), dict.fromkeys(DAYS[:2], day))
    round_trip(here, there, layout, tmp_path / "there")
    round_trip(there, back, layout, tmp_path / "and back")
    assert objects(tmp_path / "back") == objects(tmp_path / "here")


def _still(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("last_seen", "fetch_date")}
