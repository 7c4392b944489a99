"""The encoding profile as each encoder is given it; what they make of it is looked at in `test_transcoders.py`."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from ncaa_assets.media.facts import Facts, Picture
from ncaa_assets.media.profile import (
    PROFILE,
    Frame,
    Profile,
    ffmpeg_arguments,
    ffmpeg_poster_arguments,
    ffmpeg_settings_hash,
    mediaconvert_settings_hash,
    output_frame,
)

SOURCE, OUTPUT = Path("/a/source.mp4"), Path("/a/output.mp4")


def film(**given: Any) -> Facts:
    picture = Picture(stream=0, codec="AVC", **{"width": 1280, "height": 720, "frame_rate": 30.0, **given})
    return Facts(read_by="", format="MPEG-4", picture=picture)


def option(arguments: list[str], name: str) -> str:
    assert arguments.count(name) == 1
    return arguments[arguments.index(name) + 1]


@pytest.mark.parametrize(
    ("height", "bitrate"),
    [(1, 1_200_000), (360, 1_200_000), (362, 2_000_000), (480, 2_000_000), (720, 4_500_000), (1080, 8_000_000),
     (2160, 8_000_000)],
)  # fmt: skip
def test_the_bitrate_ceiling_follows_the_pictures_short_side(height: int, bitrate: int) -> None:
    assert PROFILE.max_bitrate(height) == bitrate
    for width, side in ((2 * height, height), (height, 2 * height)):
        arguments = ffmpeg_arguments(PROFILE, SOURCE, OUTPUT, facts=film(width=width, height=side))
        assert option(arguments, "-maxrate") == str(bitrate)
        assert option(arguments, "-bufsize") == str(2 * bitrate)


CHANGES: dict[str, Any] = {
    "max_short_side": 720, "max_long_side": 1000, "max_rate": 50, "crf": 22, "max_bitrate_by_short_side": {1080: 1},
    "gop_seconds": 3,
    "audio_bitrate": 96_000, "audio_sample_rate": 44_100, "poster_quality": 2, "poster_max_width": 640,
    "qvbr_quality": 7, "poster_percent": 70,
}  # fmt: skip


# Each is one encoder's scale of quality.
OF_ONE = {
    "crf": "ffmpeg",
    "poster_quality": "ffmpeg",
    "qvbr_quality": "mediaconvert",
    "poster_percent": "mediaconvert",
}


@pytest.mark.parametrize(
    ("encoder", "settings_hash"), [("ffmpeg", ffmpeg_settings_hash), ("mediaconvert", mediaconvert_settings_hash)]
)
def test_the_settings_hash_changes_with_every_value_that_the_encoder_is_given_and_with_nothing_else(
    encoder: str, settings_hash: Callable[[Profile], str]
) -> None:
    assert {field.name for field in fields(Profile)} == CHANGES.keys()
    for name, value in CHANGES.items():
        is_given = OF_ONE.get(name, encoder) == encoder
        changed = settings_hash(replace(PROFILE, **{name: value}))
        assert (changed != settings_hash(PROFILE)) == is_given, name
    assert settings_hash(Profile()) == settings_hash(PROFILE)
    assert len(settings_hash(PROFILE)) == 16


def test_the_profile_reaches_ffmpeg() -> None:
    profile = Profile(max_short_side=432, crf=30, gop_seconds=5, audio_bitrate=64_000, audio_sample_rate=44_100)
    arguments = ffmpeg_arguments(profile, SOURCE, OUTPUT, facts=film(width=1920, height=1080))
    assert "pad=768:432:" in option(arguments, "-vf")
    assert option(arguments, "-crf") == "30"
    assert option(arguments, "-force_key_frames").endswith("n_forced*5)")
    assert (option(arguments, "-b:a"), option(arguments, "-ar")) == ("64000", "44100")
    poster = ffmpeg_poster_arguments(Profile(poster_quality=9, poster_max_width=99), SOURCE, OUTPUT, at_seconds=1 / 3)
    assert (option(poster, "-q:v"), option(poster, "-ss")) == ("9", "0.333")
    assert "min(99," in option(poster, "-vf")


def test_only_plain_files_of_the_copied_kinds_are_opened() -> None:
    for arguments in (
        ffmpeg_arguments(PROFILE, SOURCE, OUTPUT, facts=film()),
        ffmpeg_poster_arguments(PROFILE, SOURCE, OUTPUT, at_seconds=0),
    ):
        for name, allowed in (("-protocol_whitelist", "file"), ("-format_whitelist", "mov,matroska,mpegts")):
            assert option(arguments, name) == allowed
            assert arguments.index(name) < arguments.index("-i")  # after it, it would be about the output
        assert option(arguments, "-i") == str(SOURCE)
        assert arguments[-1] == str(OUTPUT)


@pytest.mark.parametrize(
    ("given", "frame"),
    [
        ({"width": 1280, "height": 720}, Frame(1280, 720, None)),
        ({"width": 1080, "height": 1920}, Frame(1080, 1920, None)),
        ({"width": 1920, "height": 1080, "rotation": 90}, Frame(1080, 1920, None)),
        ({"width": 3840, "height": 2160}, Frame(1920, 1080, None)),
        ({"width": 2160, "height": 3840}, Frame(1080, 1920, None)),
        ({"width": 1440, "height": 1080, "pixel_aspect": 4 / 3}, Frame(1920, 1080, None)),
        ({"width": 1440, "height": 1080, "pixel_aspect": 4 / 3, "rotation": 270}, Frame(1080, 1920, None)),
        ({"width": 720, "height": 480, "pixel_aspect": 8 / 9}, Frame(640, 480, None)),
        ({"width": 321, "height": 181}, Frame(320, 180, None)),
        ({"width": 1, "height": 1}, Frame(2, 2, None)),
        ({"width": 4000, "height": 100}, Frame(4000, 100, None)),
        ({"width": 8192, "height": 1000}, Frame(4096, 500, None)),
        ({"frame_rate": 60.0}, Frame(1280, 720, None)),
        ({"frame_rate": 59.94, "interlaced": True}, Frame(1280, 720, 60)),
        ({"frame_rate": 29.97, "interlaced": True}, Frame(1280, 720, None)),
        ({"frame_rate": 120.0}, Frame(1280, 720, 60)),
        ({"frame_rate": None}, Frame(1280, 720, None)),
    ],
)
def test_an_output_is_upright_with_square_pixels_and_never_larger(given: dict[str, Any], frame: Frame) -> None:
    assert output_frame(PROFILE, film(**given).picture or Picture(stream=0, codec="", width=0, height=0)) == frame
