"""The encoding profile as each encoder is given it; what they make of it is looked at in `test_transcoders.py`."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from ncaa_assets.media.profile import (
    PROFILE,
    Profile,
    ffmpeg_arguments,
    ffmpeg_poster_arguments,
    ffmpeg_settings_hash,
    mediaconvert_settings_hash,
)

SOURCE, OUTPUT = Path("/a/source.mp4"), Path("/a/output.mp4")


def option(arguments: list[str], name: str) -> str:
    assert arguments.count(name) == 1
    return arguments[arguments.index(name) + 1]


@pytest.mark.parametrize(
    ("height", "bitrate"),
    [(1, 1_200_000), (360, 1_200_000), (361, 2_000_000), (480, 2_000_000), (720, 4_500_000), (1080, 8_000_000),
     (2160, 8_000_000), (None, 8_000_000)],
)  # fmt: skip
def test_the_bitrate_ceiling_follows_the_pictures_height(height: int | None, bitrate: int) -> None:
    assert PROFILE.max_bitrate(height) == bitrate
    arguments = ffmpeg_arguments(PROFILE, SOURCE, OUTPUT, source_height=height)
    assert option(arguments, "-maxrate") == str(bitrate)
    assert option(arguments, "-bufsize") == str(2 * bitrate)


CHANGES: dict[str, Any] = {
    "max_height": 720, "crf": 22, "max_bitrate_by_height": {1080: 1}, "gop_seconds": 3, "audio_bitrate": 96_000,
    "audio_sample_rate": 44_100, "poster_quality": 2, "poster_max_width": 640, "qvbr_quality": 7, "poster_percent": 70,
}  # fmt: skip


# Each is one encoder's scale of quality.
OF_ONE = {"crf": "ffmpeg", "poster_quality": "ffmpeg", "qvbr_quality": "mediaconvert", "poster_percent": "mediaconvert"}


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
    profile = Profile(max_height=432, crf=30, gop_seconds=5, audio_bitrate=64_000, audio_sample_rate=44_100)
    arguments = ffmpeg_arguments(profile, SOURCE, OUTPUT, source_height=1080)
    assert "min(432," in option(arguments, "-vf")
    assert option(arguments, "-crf") == "30"
    assert option(arguments, "-force_key_frames").endswith("n_forced*5)")
    assert (option(arguments, "-b:a"), option(arguments, "-ar")) == ("64000", "44100")
    poster = ffmpeg_poster_arguments(Profile(poster_quality=9, poster_max_width=99), SOURCE, OUTPUT, at_seconds=1 / 3)
    assert (option(poster, "-q:v"), option(poster, "-ss")) == ("9", "0.333")
    assert "min(99," in option(poster, "-vf")


def test_only_plain_files_of_the_copied_kinds_are_opened() -> None:
    for arguments in (
        ffmpeg_arguments(PROFILE, SOURCE, OUTPUT, source_height=None),
        ffmpeg_poster_arguments(PROFILE, SOURCE, OUTPUT, at_seconds=0),
    ):
        for name, allowed in (("-protocol_whitelist", "file"), ("-format_whitelist", "mov,matroska,mpegts")):
            assert option(arguments, name) == allowed
            assert arguments.index(name) < arguments.index("-i")  # after it, it would be about the output
        assert option(arguments, "-i") == str(SOURCE)
        assert arguments[-1] == str(OUTPUT)
