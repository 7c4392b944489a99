"""The one encoding profile, rendered to ffmpeg's arguments and to MediaConvert's job settings: what "web-ready" means.

MP4 with the index in front (fast start), H.264 High in 4:2:0, quality-defined bitrate with a ceiling by picture height,
a key frame every 2 s so that players can seek and cut, AAC-LC at 48 kHz, never scaled up, one poster frame. The values
follow AWS's own video-on-demand solution: QVBR, single pass, 2 s GOP. QVBR with a single pass stays in MediaConvert's
basic price tier; more passes do not.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ncaa_assets.media.bounds import EncodeBounds


@dataclass(frozen=True)
class Profile:
    """One profile. Heights and widths in pixels, bitrates in bits a second, durations in seconds."""

    max_height: int = 1080
    crf: int = 21  # x264's quality; lower is better
    qvbr_quality: int = 8  # MediaConvert's quality, of 10; AWS calls 6 to 9 broadcast quality
    # The ceiling for pictures up to each height: QVBR's maximum on MediaConvert, VBV's with x264.
    max_bitrate_by_height: dict[int, int] = field(
        default_factory=lambda: {360: 1_200_000, 480: 2_000_000, 720: 4_500_000, 1080: 8_000_000}
    )
    gop_seconds: int = 2
    audio_bitrate: int = 128_000
    audio_sample_rate: int = 48_000
    poster_quality: int = 3  # ffmpeg's JPEG scale; 2 is the best, 31 the worst
    poster_percent: int = 85  # MediaConvert's JPEG scale; 100 is the best
    poster_max_width: int = 1280

    def max_bitrate(self, height: int | None) -> int:
        """The ceiling for a source of this height; an unknown height gets the highest one."""
        for limit, bitrate in sorted(self.max_bitrate_by_height.items()):
            if height is not None and height <= limit:
                return bitrate
        return max(self.max_bitrate_by_height.values())

    def height(self, source_height: int) -> int:
        """The output's height: the source's, made even and at most `max_height`."""
        return min(self.max_height, source_height // 2 * 2)


PROFILE = Profile()

# ffmpeg's readers for the kinds of file that are copied. Others of its readers open playlists of further files.
_FORMATS = "mov,matroska,mpegts"


def ffmpeg_arguments(
    profile: Profile,
    source: Path,
    output: Path,
    *,
    source_height: int | None,
    bounds: EncodeBounds | None = None,
    threads: int | None = None,
) -> list[str]:
    """ffmpeg's arguments (without the program) that encode `source` to `output`, reporting progress on stdout.

    The input may only be a plain file of a kind that is copied: a playlist disguised as a video must not make ffmpeg
    open addresses or other files. A source without sound gives an output without sound. A source whose pixels are not
    square, such as the 1440×1080 of many cameras, keeps the shape in which it is shown.

    `bounds` hold whatever the file says of itself: an output that plays longer than their seconds was cut off there.
    Neither they nor `threads` (None: as many as ffmpeg likes) change what an output that fits is like.
    """
    ceiling = profile.max_bitrate(source_height)
    fewer = ["-threads", str(threads)] if threads else []
    largest = ["-max_pixels", str(bounds.max_pixels)] if bounds else []
    longest = ["-t", f"{bounds.max_seconds + 1:.0f}"] if bounds else []
    return [
        "-hide_banner", "-nostdin", "-y", "-loglevel", "error", "-nostats", "-progress", "pipe:1",
        *(["-filter_threads", str(threads)] if threads else []),
        "-protocol_whitelist", "file", "-format_whitelist", _FORMATS, *fewer, *largest, "-i", str(source),
        "-map", "0:v:0", "-map", "0:a:0?", "-map_metadata", "-1", *fewer, *longest,
        "-vf", f"scale=w='trunc(oh*dar/2+0.5)*2':h='min({profile.max_height},trunc(ih/2)*2)',setsar=1",
        "-c:v", "libx264", "-preset", "medium", "-profile:v", "high", "-pix_fmt", "yuv420p",
        "-crf", str(profile.crf), "-maxrate", str(ceiling), "-bufsize", str(2 * ceiling),
        "-force_key_frames", f"expr:gte(t,n_forced*{profile.gop_seconds})",
        "-c:a", "aac", "-b:a", str(profile.audio_bitrate), "-ar", str(profile.audio_sample_rate), "-ac", "2",
        "-movflags", "+faststart", "-f", "mp4", str(output),
    ]  # fmt: skip


def ffmpeg_repackage_arguments(source: Path, output: Path) -> list[str]:
    """ffmpeg's arguments (without the program) that put the film and sound of `source`, as they are, into an MP4 with
    the index in front."""
    return [
        "-hide_banner", "-nostdin", "-y", "-loglevel", "error", "-nostats", "-progress", "pipe:1",
        "-protocol_whitelist", "file", "-format_whitelist", _FORMATS, "-i", str(source),
        "-map", "0:v:0", "-map", "0:a:0?", "-map_metadata", "-1", "-c", "copy",
        "-movflags", "+faststart", "-f", "mp4", str(output),
    ]  # fmt: skip


def ffmpeg_decode_arguments(video: Path, *, threads: int | None = None, quick: bool = False) -> list[str]:
    """ffmpeg's arguments (without the program) that decode a video's picture and sound and keep nothing, reporting
    progress on stdout. At the first part that it cannot decode, ffmpeg says so on stderr and ends with an error.

    `quick` reads all of a picture's bits, in which all that can be wrong shows, and leaves out what only smooths it.
    """
    fewer = ["-threads", str(threads)] if threads else []
    rough = ["-skip_loop_filter", "all", "-skip_idct", "all"] if quick else []
    return [
        "-hide_banner", "-nostdin", "-loglevel", "error", "-xerror", "-nostats", "-progress", "pipe:1",
        "-protocol_whitelist", "file", "-format_whitelist", _FORMATS, *fewer, *rough, "-i", str(video),
        "-map", "0:v:0", "-map", "0:a:0?", "-f", "null", "-",
    ]  # fmt: skip


def ffmpeg_settings_hash(profile: Profile) -> str:
    """Sixteen hex digits that change whenever ffmpeg would be asked for something else."""
    source, output = Path("source"), Path("output")
    rendered = [
        ffmpeg_arguments(profile, source, output, source_height=None),
        ffmpeg_poster_arguments(profile, source, output, at_seconds=0),
        sorted(profile.max_bitrate_by_height.items()),
    ]
    return hashlib.sha256(json.dumps(rendered).encode()).hexdigest()[:16]


def mediaconvert_settings(
    profile: Profile,
    *,
    source: str,
    destination: str,
    name_modifier: str = "",
    has_sound: bool | None,
    width: int | None,
    height: int | None,
) -> dict[str, Any]:
    """The `Settings` of a MediaConvert job that encodes `source` (an `s3://` address).

    The outputs are `destination` + `name_modifier` + `.mp4` and `.0000000.jpg` (frame captures are numbered from the
    first frame). `width` and `height` are the source's picture size in pixels; where they are unknown (None), nothing
    is scaled and the highest ceiling holds. A source known to be silent gets no audio output: a job that asks for one
    fails.
    """
    scaled: dict[str, Any] = {}
    if height is not None and profile.height(height) != height:
        scaled = {"Height": profile.height(height)}  # without a width the picture keeps its shape
    poster_scaled = {"Width": profile.poster_max_width} if width and width > profile.poster_max_width else {}
    sound = {"Audio Selector 1": {"DefaultSelection": "DEFAULT"}}
    file_group = {"Type": "FILE_GROUP_SETTINGS", "FileGroupSettings": {"Destination": destination}}
    name = {"NameModifier": name_modifier} if name_modifier else {}
    h264 = {
        "RateControlMode": "QVBR",
        "QvbrSettings": {"QvbrQualityLevel": profile.qvbr_quality},
        "MaxBitrate": profile.max_bitrate(height),
        "QualityTuningLevel": "SINGLE_PASS_HQ",
        "CodecProfile": "HIGH",
        "CodecLevel": "AUTO",
        "GopSize": profile.gop_seconds,
        "GopSizeUnits": "SECONDS",
        "SceneChangeDetect": "TRANSITION_DETECTION",  # as the API reference advises with QVBR
        "FramerateControl": "INITIALIZE_FROM_SOURCE",
        "ParControl": "INITIALIZE_FROM_SOURCE",
    }
    aac = {
        "CodecProfile": "LC",
        "CodingMode": "CODING_MODE_2_0",
        "RateControlMode": "CBR",
        "Bitrate": profile.audio_bitrate,
        "SampleRate": profile.audio_sample_rate,
    }
    video: dict[str, Any] = {
        **name,
        "ContainerSettings": {"Container": "MP4", "Mp4Settings": {"MoovPlacement": "PROGRESSIVE_DOWNLOAD"}},
        "VideoDescription": {**scaled, "CodecSettings": {"Codec": "H_264", "H264Settings": h264}},
    }
    if has_sound is not False:
        video["AudioDescriptions"] = [
            {"AudioSourceName": "Audio Selector 1", "CodecSettings": {"Codec": "AAC", "AacSettings": aac}}
        ]
    capture = {
        "FramerateNumerator": 1,
        "FramerateDenominator": profile.gop_seconds,
        "MaxCaptures": 1,
        "Quality": profile.poster_percent,
    }
    poster = {
        **name,
        "ContainerSettings": {"Container": "RAW"},
        "VideoDescription": {
            **poster_scaled,
            "CodecSettings": {"Codec": "FRAME_CAPTURE", "FrameCaptureSettings": capture},
        },
    }
    return {
        "TimecodeConfig": {"Source": "ZEROBASED"},
        "Inputs": [
            {
                "FileInput": source,
                "TimecodeSource": "ZEROBASED",
                "VideoSelector": {"Rotate": "AUTO"},  # as ffmpeg does: a phone's upright video stays upright
                **({"AudioSelectors": sound} if has_sound is not False else {}),
            }
        ],
        "OutputGroups": [
            {"Name": "video", "OutputGroupSettings": file_group, "Outputs": [video]},
            {"Name": "poster", "OutputGroupSettings": file_group, "Outputs": [poster]},
        ],
    }


def mediaconvert_settings_hash(profile: Profile) -> str:
    """Sixteen hex digits that change whenever MediaConvert would be asked for something else."""
    sizes = [(None, None), (3840, 2160), *((16 * limit // 9, limit) for limit in profile.max_bitrate_by_height)]
    rendered = [
        mediaconvert_settings(
            profile, source="source", destination="output", has_sound=has_sound, width=width, height=height
        )
        for width, height in sizes
        for has_sound in (True, False)
    ]
    return hashlib.sha256(json.dumps(rendered).encode()).hexdigest()[:16]


def ffmpeg_poster_arguments(profile: Profile, video: Path, poster: Path, *, at_seconds: float) -> list[str]:
    """ffmpeg's arguments (without the program) that take one frame of `video` as a JPEG."""
    return [
        "-hide_banner", "-nostdin", "-y", "-loglevel", "error",
        "-protocol_whitelist", "file", "-format_whitelist", _FORMATS,
        "-ss", f"{at_seconds:.3f}", "-i", str(video), "-frames:v", "1",
        "-vf", f"scale='min({profile.poster_max_width},iw)':-2", "-q:v", str(profile.poster_quality),
        "-f", "image2", "-update", "1", str(poster),
    ]  # fmt: skip
