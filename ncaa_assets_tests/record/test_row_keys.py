"""Where a row says that its video is: the keys of the copy, the encode and the poster, as the day's manifests have
them."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncaa_assets.gallery.clips import clips_of
from ncaa_assets.record import json_text
from ncaa_assets.record.models import (
    CopiedVideo,
    HighlightsDay,
    LostCopy,
    Poster,
    ProcessedDay,
    ProcessedVideo,
    VideosDay,
)
from ncaa_assets.record.rows import KEYS, Row, differing_fields, join_rows, merge_row, rows_of
from ncaa_assets_tests.record.test_rows import fetched

SATURDAY, SUNDAY = "2025-03-08", "2025-03-09"
AT = "2025-03-10T06:00:12Z"
LOST = LostCopy(kind="gone", reason="404", at=AT)
NONE = (None, None, None)


def clip(key: str = "1", **fields: Any) -> dict[str, Any]:
    return {"id": key, "title": "Duke vs. UNC", "url": f"https://media.example/{key}.mp4", **fields}


def copied(name: str, day: str = SUNDAY, *, of: str = "1", **fields: Any) -> CopiedVideo:
    return CopiedVideo(**{
        "id": of, "title": "x", "source_url": f"https://media.example/{of}.mp4", "key": f"videos/{day}/{name}.mp4",
        "bytes": 1, "sha256": f"{len(name):064x}", "container": "mp4", "duration_seconds": 2.0, "has_sound": True,
        "copied_at": AT, **fields,
    })  # fmt: skip


def encoded(video: CopiedVideo, **fields: Any) -> ProcessedVideo:
    key = f"processed_{video.key}"
    return ProcessedVideo(**{
        "id": video.id, "title": "x", "source_key": video.key, "source_sha256": video.sha256, "settings_hash": "0" * 16,
        "key": key, "bytes": 1, "sha256": None, "duration_seconds": 2.0, "width": 2, "height": 2,
        "poster": Poster(key=key.replace(".mp4", ".jpg"), bytes=1), "encoder": "ffmpeg", "encode_seconds": 1.0,
        "encoded_at": AT, **fields,
    })  # fmt: skip


def rows_by_id(
    videos: list[CopiedVideo], outputs: list[ProcessedVideo], *records: Any, day: str = SUNDAY
) -> dict[str, Row]:
    document = fetched(day, 0, *(records or (clip(),)))
    manifests = VideosDay(date=day, videos=videos), ProcessedDay(date=day, videos=outputs)
    return {row["id"]: row for row in rows_of(document, *manifests)}


def keys(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in KEYS)


def keys_of(videos: list[CopiedVideo], outputs: list[ProcessedVideo], **options: Any) -> tuple[Any, ...]:
    return keys(rows_by_id(videos, outputs, **options)["1"])


FIRST, SECOND = copied("1"), copied("1.0a1b2c3d")
MADE = (f"videos/{SUNDAY}/1.mp4", f"processed_videos/{SUNDAY}/1.mp4", f"processed_videos/{SUNDAY}/1.jpg")


@pytest.mark.parametrize(
    ("videos", "outputs", "wanted"),
    [
        ([], [], NONE),
        ([FIRST], [], (MADE[0], None, None)),
        ([FIRST], [encoded(FIRST)], MADE),
        ([FIRST, SECOND], [encoded(FIRST)], (SECOND.key, None, None)),
        ([FIRST, SECOND], [encoded(SECOND), encoded(FIRST)], keys_of([SECOND], [encoded(SECOND)])),
        ([FIRST, SECOND.model_copy(update={"lost": LOST})], [encoded(FIRST)], MADE),
        ([FIRST.model_copy(update={"lost": LOST})], [encoded(FIRST)], (None, *MADE[1:])),
        ([FIRST.model_copy(update={"lost": LOST})], [], NONE),
        ([FIRST], [encoded(FIRST, source_sha256="f" * 64)], (MADE[0], None, None)),
        ([], [encoded(FIRST)], (None, *MADE[1:])),
    ],
    ids=[
        "none", "not encoded", "both", "a newer copy", "two of each", "the newer is lost", "the encode is left",
        "lost", "made of other bytes", "of no copy",
    ],
)  # fmt: skip
def test_a_row_names_the_latest_copy_that_is_there_and_its_encode(
    videos: list[CopiedVideo], outputs: list[ProcessedVideo], wanted: tuple[Any, ...]
) -> None:
    assert keys_of(videos, outputs) == wanted


def test_a_highlight_whose_address_is_another_ones_names_that_ones_copy() -> None:
    again = clip("2", url=clip()["url"])
    rows = rows_by_id([FIRST], [encoded(FIRST)], clip(), again, clip("3"))
    assert [keys(rows[key]) for key in "123"] == [MADE, MADE, NONE]


def test_no_field_of_a_record_passes_for_a_key() -> None:
    rows = rows_by_id([], [], clip(copy_key="/etc/passwd", output_key="https://evil.example/", poster_key=7))
    assert keys(rows["1"]) == NONE


def test_a_row_of_the_largest_record_has_its_keys_and_fits() -> None:
    named = [copied("1" * 180), copied("2" * 180, of="x" * 3000)]
    records = (
        clip(huge="x" * 400_000, big=["y" * 9] * 20_000),
        clip("x" * 3000, huge="\N{BASKETBALL AND HOOP}" * 50_000),
    )
    rows = rows_by_id(named, [encoded(one) for one in named], *records)
    for row, video in zip(rows.values(), named, strict=True):
        assert row["copy_key"] == video.key
        assert row["in_json"]
        assert len(json_text.dumps(row)) < 200_000


def test_a_clip_of_two_days_is_where_the_day_that_it_shows_has_it_or_else_where_another_has() -> None:
    early, late = copied("1", SATURDAY), copied("1", SUNDAY)
    of_saturday = rows_by_id([early], [encoded(early)], day=SATURDAY)["1"]
    of_sunday = rows_by_id([late], [])["1"]
    assert keys(join_rows({SATURDAY: of_saturday, SUNDAY: of_sunday})) == (late.key, None, None)
    without = rows_by_id([], [])["1"]
    assert keys(join_rows({SATURDAY: of_saturday, SUNDAY: without})) == keys(of_saturday)
    assert keys(join_rows({SUNDAY: without})) == NONE


def test_a_later_fetch_keeps_the_keys_that_the_table_has() -> None:
    stored = rows_by_id([FIRST], [encoded(FIRST)])["1"]
    (again,) = rows_of(fetched(SUNDAY, 0, clip()))
    assert merge_row(stored, again) is None
    (changed,) = rows_of(fetched(SUNDAY, 0, clip(title="Final")))
    assert merge_row(stored, changed) == {**stored, "title": "Final", "content_hash": changed["content_hash"]}
    none = rows_by_id([], [])["1"]
    assert merge_row(none, again) is None, "that there is no video is known as well"


def test_what_a_day_says_of_its_video_takes_the_place_of_what_the_table_has() -> None:
    stored = rows_by_id([FIRST], [encoded(FIRST)])["1"]
    merged = merge_row(stored, rows_by_id([], [])["1"])
    assert merged is not None
    assert keys(merged) == NONE, "a person let go of it"


def test_keys_of_a_day_whose_documents_are_gone_stay_and_no_other_day_inherits_them() -> None:
    early, late = copied("1", SATURDAY), copied("1", SUNDAY)
    of_saturday, of_sunday = rows_by_id([early], [], day=SATURDAY)["1"], rows_by_id([late], [])["1"]
    of_both = join_rows({SATURDAY: of_saturday, SUNDAY: of_sunday})
    let_go = rows_by_id([], [])["1"]
    kept = merge_row(join_rows({SATURDAY: of_saturday, SUNDAY: let_go}), let_go | {"title": "Final"}, lambda _: None)
    assert kept is not None
    assert keys(kept) == keys(of_saturday)
    assert merge_row(of_both, of_saturday, lambda _: None) is None, "Sunday's content stays, with its keys"
    gone = merge_row(of_both, let_go, lambda _: None)
    assert gone is not None
    assert keys(gone) == NONE, "the table's row does not say what Saturday has"


def test_rows_of_earlier_versions_lack_keys_and_wrong_ones_are_told() -> None:
    wanted = rows_by_id([FIRST], [encoded(FIRST)])["1"]
    old = {name: value for name, value in wanted.items() if name not in KEYS}
    assert differing_fields(old, wanted) == []
    assert merge_row(old, wanted) == wanted
    assert differing_fields({**wanted, "output_key": None}, wanted) == ["output_key"]
    assert differing_fields(wanted, rows_by_id([], [])["1"]) == sorted(KEYS)


_KEPT = st.lists(
    st.tuples(
        st.sampled_from("123"), st.sampled_from([None, LOST]), st.sampled_from(["none", "made", "of other bytes"])
    ),
    max_size=5,
)


@settings(max_examples=100)
@given(kept=_KEPT, shared=st.booleans())
def test_rows_and_pages_name_the_same_files(kept: list[tuple[str, LostCopy | None, str]], shared: bool) -> None:
    videos = [copied("x" * (place + 1), of=of, lost=lost) for place, (of, lost, _) in enumerate(kept)]
    made = [(video, state) for video, (_, _, state) in zip(videos, kept, strict=True) if state != "none"]
    outputs = [encoded(video, **({} if state == "made" else {"source_sha256": "f" * 64})) for video, state in made]
    document: HighlightsDay = fetched(
        SUNDAY, 0, clip(), clip("2"), clip("4", **({"url": clip()["url"]} if shared else {}))
    )
    manifests = VideosDay(date=SUNDAY, videos=videos), ProcessedDay(date=SUNDAY, videos=outputs)
    shown = {one.id: (one.copy, one.output, one.poster) for one in clips_of(document, *manifests)}
    for row in rows_of(document, *manifests):
        assert keys(row) == shown[row["id"]]
