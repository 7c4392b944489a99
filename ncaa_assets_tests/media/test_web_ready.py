"""What may stay as it is, told from facts."""

from typing import Any

import pytest

from ncaa_assets.media.facts import Facts, Picture, Sound
from ncaa_assets.media.profile import PROFILE
from ncaa_assets.media.web_ready import is_laid_out, why_encode

PICTURE = Picture(
    stream=0, codec="AVC", codec_id="avc1", codec_profile="High", width=1920, height=1080, interlaced=False,
    frame_rate=29.97, bit_depth=8, chroma="4:2:0", bitrate=5_000_000, seconds=60,
)  # fmt: skip
SOUND = Sound(stream=1, track=1, codec="AAC", codec_id="mp4a-40-2", codec_profile="LC", channels=2)
READY = Facts(
    read_by="test", format="MPEG-4", seconds=60, fast_start=True, pictures=1, sounds=1, picture=PICTURE, sound=SOUND
)


def facts(*, picture: dict[str, Any] | None = None, sound: dict[str, Any] | None = None, **more: Any) -> Facts:
    return READY.model_copy(
        update={
            "picture": PICTURE.model_copy(update=picture or {}),
            "sound": SOUND.model_copy(update=sound or {}),
            **more,
        }
    )


@pytest.mark.parametrize(
    "ready",
    [
        READY,
        READY.model_copy(update={"sounds": 0, "sound": None}),
        facts(picture={"codec_profile": "Constrained Baseline"}),
        facts(picture={"width": 1080, "height": 1920}),  # upright: the short side counts
        facts(picture={"frame_rate": 60.0}),
        facts(picture={"primaries": "BT.709", "transfer": "BT.709", "matrix": "BT.709", "full_range": False}),
        facts(sound={"channels": 1}),
        facts(format="MPEG-TS", fast_start=None, sound={"codec_id": "15-2"},
              picture={"codec_id": "27", "bitrate": None, "frame_rate": None},
              bitrate=5_000_000),
        facts(fragmented=True),
    ],
)  # fmt: skip
def test_what_the_profile_would_make_may_stay(ready: Facts) -> None:
    assert why_encode(ready, PROFILE) is None


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (facts(format="WebM"), "it is WebM"),
        (facts(picture={"codec": "HEVC", "codec_id": "hvc1", "codec_profile": "Main"}), "its picture is HEVC"),
        (facts(picture={"codec_id": "xyz1"}), "its picture is AVC"),  # what MediaInfo takes for H.264
        (facts(picture={"codec_profile": "High 10"}), "High 10"),
        (facts(picture={"codec_profile": None}), "its picture is AVC"),
        (facts(picture={"bit_depth": 10}), "10 bits"),
        (facts(picture={"chroma": "4:4:4"}), "4:4:4"),
        (facts(picture={"interlaced": True}), "interlaced"),
        (facts(picture={"interlaced": None}), "interlaced, or may be"),
        (facts(picture={"rotation": 90}), "turned"),
        (facts(picture={"pixel_aspect": 1.333}), "not square"),
        (facts(picture={"transfer": "PQ"}), "colours"),
        (facts(picture={"transfer": "HLG"}), "colours"),
        (facts(picture={"primaries": "BT.2020"}), "colours"),
        (facts(picture={"full_range": True}), "colours"),
        (facts(encrypted=True), "encrypted"),
        (facts(picture={"width": 853, "height": 480}), "853×480 is odd"),
        (facts(picture={"width": 2560, "height": 1440}), "larger than 1080"),
        (facts(picture={"frame_rate": 120.0}), "120 frames"),
        (facts(picture={"bitrate": 20_000_000}), "20.0 Mbit/s is above 8.0"),
        (facts(picture={"width": 640, "height": 360, "bitrate": 5_000_000}), "5.0 Mbit/s is above 1.2"),
        (facts(picture={"bitrate": None}, bitrate=None), "bitrate"),
        (facts(pictures=2), "another picture"),
        (READY.model_copy(update={"picture": None, "pictures": 0}), "picture"),
        (facts(sounds=2), "several sound tracks"),
        (facts(sound={"codec": "AC-3", "codec_profile": None}), "its sound is AC-3"),
        (facts(sound={"codec_profile": "HE-AAC"}), "HE-AAC"),
        (facts(sound={"codec_id": "QQQQ-40-2"}), "QQQQ"),  # what MediaInfo takes for AAC
        (facts(sound={"channels": 6}), "6 channels"),
        (facts(sound={"channels": None}), "unknown number of channels"),
        (facts(seconds=None), "length"),
    ],
)
def test_anything_else_is_encoded(other: Facts, why: str) -> None:
    assert why in (why_encode(other, PROFILE) or "")


@pytest.mark.parametrize(
    ("known", "container", "stays"),
    [
        (READY, "mp4", True),
        (READY, "mov", False),
        (facts(fast_start=False), "mp4", False),
        (facts(fragmented=True), "mp4", False),
        (facts(format="MPEG-TS", fast_start=None), "ts", False),
    ],
)
def test_an_mp4_that_plays_from_its_first_bytes_is_not_packed_anew(
    known: Facts, container: str, *, stays: bool
) -> None:
    assert is_laid_out(known, container) is stays
