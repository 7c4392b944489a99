"""What a day's page shows of each highlight, and in which words, by what the day's documents record."""

from typing import Any

import pytest

from ncaa_assets.gallery.clips import clips_of, followed, youtube_id
from ncaa_assets.gallery.model import Clip, State
from ncaa_assets.gallery.teams import team
from ncaa_assets.record.models import HighlightsDay, ProcessedDay, VideosDay
from ncaa_assets_tests.gallery.archives import AT, copy_of, output_of

DAY = "2025-03-09"
URL = "https://videos.example/1.mp4"
RECORD = {
    "id": 1, "title": "Duke vs. Auburn", "url": URL, "source": "espn",
    "match": {"id": 7, "homeTeam": {"name": "Duke"}, "awayTeam": {"name": "Auburn"}},
}  # fmt: skip
LOST = {"kind": "gone", "reason": "the host answered 404", "at": AT}
SKIPPED = {"id": "1", "title": None, "source_url": URL, "kind": "page", "reason": "a web page", "at": AT}
FAILED = "The last try to copy it failed; the next backup of the day tries again."
OTHERS = "Not copied: other clips of the day come first (VIDEO_COUNT)."
FORGOTTEN = "You let go of it on 2025-03-10 (`forget`): dull"
PICTURE = {
    "stream": 0, "codec": "AVC", "codec_id": "avc1", "width": 320, "height": 180, "bit_depth": 8, "chroma": "4:2:0",
}  # fmt: skip
FACTS = {"read_by": "a test", "format": "MPEG-4", "pictures": 1, "picture": PICTURE}


def shown(
    *records: dict[str, Any],
    videos: dict[str, Any] | None = None,
    outputs: list[dict[str, Any]] | None = None,
    **backup: Any,
) -> tuple[Clip, ...]:
    entries = {str(record["id"]): {"first_seen": AT, "last_seen": AT, "content_hash": "0" * 64} for record in records}
    for key, values in backup.pop("records", {}).items():
        entries[key].update(values)
    context = {"doubts": list[str]()}
    return clips_of(
        HighlightsDay.model_validate(
            {"date": DAY, "data": records, "backup": {"records": entries}, **backup}, context=context
        ),
        VideosDay.model_validate({"date": DAY, **(videos or {})}, context=context),
        ProcessedDay.model_validate({"date": DAY, "videos": outputs or []}, context=context),
    )


def test_a_kept_highlight_shows_all_that_is_known_of_it() -> None:
    matches = [{"id": 7, "homeTeam": {"name": "Duke"}, "awayTeam": {"name": "Auburn"}, "state": {"score": "82 - 69"}}]
    (clip,) = shown(RECORD, videos={"videos": [copy_of(DAY, "1")]}, outputs=[output_of(DAY, "1")], matches=matches)
    assert clip == Clip(
        id="1", day=DAY, title="Duke vs. Auburn", home=team("Duke"), away=team("Auburn"), score="82–69", seconds=154,
        source="espn", state=State.KEPT, url=URL, copy=f"videos/{DAY}/1.mp4", output=f"processed_videos/{DAY}/1.mp4",
        video=f"processed_videos/{DAY}/1.mp4", poster=f"processed_videos/{DAY}/1.jpg",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("videos", "why"),
    [
        ({}, "Not copied yet."),
        ({"skipped": [SKIPPED]}, "Its address leads to a web page, so its link is kept."),
        ({"skipped": [{**SKIPPED, "kind": "failed"}]}, FAILED),
        ({"skipped": [{**SKIPPED, "kind": "new", "reason": "a\nreason"}]}, "a reason"),
        ({"skipped": [{**SKIPPED, "source_url": "https://videos.example/before.mp4"}]}, OTHERS),
        ({"videos": [copy_of(DAY, "2")]}, OTHERS),
        ({"forgotten": [{"id": "1", "video": copy_of(DAY, "1"), "reason": "dull", "at": AT}]}, FORGOTTEN),
    ],
)  # fmt: skip
def test_a_link_says_why_no_video_is_kept(videos: dict[str, Any], why: str) -> None:
    clip = shown(RECORD, videos=videos)[0]
    assert (clip.state, clip.why, clip.video) == (State.LINK, why, None)


def test_a_record_without_an_address_says_so() -> None:
    (clip,) = shown({**RECORD, "url": None})
    assert (clip.why, clip.url) == ("The API names no address of a video.", None)


def test_a_lost_copy_is_lost_but_its_encode_still_plays() -> None:
    lost = {"videos": [copy_of(DAY, "1", lost=LOST)]}
    (clip,) = shown(RECORD, videos=lost)
    assert (clip.state, clip.video, clip.copy) == (State.LOST, None, None)
    assert clip.why == "Its copy was lost, and its source has it no more: the host answered 404"
    (clip,) = shown(RECORD, videos=lost, outputs=[output_of(DAY, "1")])
    assert (clip.state, clip.video, clip.copy) == (State.KEPT, f"processed_videos/{DAY}/1.mp4", None)


def test_of_several_copies_the_latest_that_is_there_is_shown() -> None:
    later = f"videos/{DAY}/1.0a1b2c3d.mp4"
    copies = [copy_of(DAY, "1"), copy_of(DAY, "1", key=later, sha256="1" * 64)]
    (clip,) = shown(RECORD, videos={"videos": copies})
    assert clip.copy == later
    copies[1]["lost"] = LOST
    (clip,) = shown(RECORD, videos={"videos": copies})
    assert clip.copy == f"videos/{DAY}/1.mp4"


def test_an_encode_of_what_the_copy_was_before_is_not_shown() -> None:
    videos = {"videos": [copy_of(DAY, "1", sha256="1" * 64)]}
    (clip,) = shown(RECORD, videos=videos, outputs=[output_of(DAY, "1")])
    assert (clip.output, clip.poster, clip.video) == (None, None, f"videos/{DAY}/1.mp4")


def test_a_record_that_shares_anothers_address_shows_its_copy() -> None:
    one, other = shown(RECORD, {**RECORD, "id": 2}, videos={"videos": [copy_of(DAY, "1", source_url=URL)]})
    assert other.state is State.KEPT
    assert other.copy == one.copy


def test_a_copy_that_no_listing_names_is_shown_after_the_others() -> None:
    clips = shown(RECORD, videos={"videos": [copy_of(DAY, "9", title="From the older pipeline")]})
    assert [(clip.id, clip.title, clip.state) for clip in clips] == [
        ("1", "Duke vs. Auburn", State.LINK),
        ("9", "From the older pipeline", State.KEPT),
    ]


@pytest.mark.parametrize(
    ("container", "facts", "plays"),
    [
        ("mp4", None, True),
        ("mp4", FACTS, True),
        ("webm", None, True),
        ("ts", None, False),
        ("mov", None, False),
        ("mp4", {**FACTS, "picture": {**PICTURE, "codec": "HEVC"}}, False),
        ("mp4", {**FACTS, "picture": {**PICTURE, "bit_depth": 10}}, False),
        ("mp4", {**FACTS, "encrypted": True}, False),
        ("mp4", {**FACTS, "picture": None}, False),
        ("mp4", {**FACTS, "sound": {"stream": 1, "track": 1, "codec": "AC-3"}}, False),
        ("mp4", {**FACTS, "sound": {"stream": 1, "track": 1, "codec": "AAC"}}, True),
    ],
)
def test_a_copy_is_played_where_browsers_can(container: str, facts: dict[str, Any] | None, plays: bool) -> None:
    key = f"videos/{DAY}/1.{container}"
    (clip,) = shown(RECORD, videos={"videos": [copy_of(DAY, "1", key=key, container=container, facts=facts)]})
    assert (clip.state, clip.copy, clip.video) == (State.KEPT, key, key if plays else None)


def test_what_the_api_changed_and_removed_is_said() -> None:
    history = [
        {"replaced_at": AT, "record": {**RECORD, "title": title}} for title in ("First", "Second\u202e", "First", 7)
    ]
    (clip,) = shown(RECORD, records={"1": {"history": history, "removed_upstream": "2025-03-12T06:00:00Z"}})
    assert (clip.is_changed, clip.is_removed, clip.removed) == (True, True, "2025-03-12")
    assert clip.earlier_titles == ("First", "Second")


def test_texts_of_strangers_are_visible_and_bounded() -> None:
    match = {"id": 7, "homeTeam": {"name": "\u202eDuke"}, "awayTeam": {"name": "\x00"}}
    record = {**RECORD, "id": "<b>\ud800\n", "title": "a\u2028b\x00" + "c" * 1000, "source": "\u202e", "match": match}
    (clip,) = shown(record | {"id": "x\n" * 100 + "x"}, {**RECORD, "id": 2})[:1]
    assert clip.title.startswith("a b\ufffdccc")
    assert len(clip.title) == 300
    assert len(clip.id) < 80
    assert clip.home == team("Duke")
    assert clip.source == "videos.example"


@pytest.mark.parametrize(
    "url",
    [
        "https://videos.example/1.mp4?a=b&c=%20#d", "http://videos.example:8080/", "https://[2001:db8::1]/a(b)",
    ],
)  # fmt: skip
def test_an_address_of_the_web_is_followed(url: str) -> None:
    assert followed(url) == url


@pytest.mark.parametrize(
    "url",
    [
        None, 7, "", "javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "//videos.example/", "videos.ex",
        "https://user@videos.example/", "https://user:word@videos.example/", "https://good.example\\@evil.example/",
        "https://good.example%40evil.example/", "https:///path", "https://videos.example:99999/", "https://[::1/",
        "https://videos.example/\u202egpj", "https://vid\teos.example/", " https://videos.example/",
        "https://vïdeos.example/",
        "https://videos.example/" + "a" * 2000, "HTTPS:videos.example", "https://videos.example/\ud800",
    ],
)  # fmt: skip
def test_any_other_address_is_not(url: object) -> None:
    assert followed(url) is None


def test_what_means_something_in_html_is_escaped_in_an_address() -> None:
    assert followed("https://videos.example/\"><script>'é") == "https://videos.example/%22%3E%3Cscript%3E%27%C3%A9"


@pytest.mark.parametrize(
    "url",
    [
        "https://www.youtube.com/watch?v=AAAAAAAAAAA", "https://m.youtube.com/watch?t=3&v=AAAAAAAAAAA&list=x",
        "https://youtu.be/AAAAAAAAAAA?si=x", "https://www.youtube.com/embed/AAAAAAAAAAA",
        "https://www.youtube-nocookie.com/embed/AAAAAAAAAAA", "https://youtube.com/shorts/AAAAAAAAAAA",
    ],
)  # fmt: skip
def test_a_video_of_youtube_is_known_by_its_address(url: str) -> None:
    assert youtube_id(url) == "AAAAAAAAAAA"
    (clip,) = shown({**RECORD, "url": "https://videos.example/", "embedUrl": url})
    assert clip.youtube == "AAAAAAAAAAA"


@pytest.mark.parametrize(
    "url",
    [
        "https://youtube.com.evil.example/watch?v=AAAAAAAAAAA", "https://notyoutube.com/watch?v=AAAAAAAAAAA",
        "https://www.youtube.com/watch?v=AAAAAAAAAAAA", "https://www.youtube.com/watch?v=AAAAAAAAAA<",
        "https://www.youtube.com/@AAAAAAAAAAA", "https://evil.example/?https://youtu.be/AAAAAAAAAAA", None,
        "javascript://youtu.be/AAAAAAAAAAA", "https://youtu.be/AAAAAAAAAAA/x",
    ],
)  # fmt: skip
def test_no_other_address_is_one_of_youtube(url: str | None) -> None:
    assert youtube_id(url) is None
