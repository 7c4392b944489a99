"""The one encoding profile, rendered to ffmpeg arguments: what "web-ready" means here.

MP4 with the index in front (fast start), H.264 High in 4:2:0, quality-defined bitrate with a ceiling by picture height,
a key frame every 2 s so that players can seek and cut, AAC-LC at 48 kHz, and never scaled up. The values follow AWS's
own video-on-demand solution: QVBR, single pass, 2 s GOP.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Profile:
    """One profile. Heights and widths in pixels, bitrates in bits a second, durations in seconds."""

    max_height: int = 1080
    crf: int = 21
    # The ceiling for pictures up to that height; QVBR's maximum on MediaConvert, VBV's with x264.
    max_bitrate_by_height: dict[int, int] = field(
        default_factory=lambda: {360: 1_200_000, 480: 2_000_000, 720: 4_500_000, 1080: 8_000_000}
    )
    gop_seconds: int = 2
    audio_bitrate: int = 128_000
    audio_sample_rate: int = 48_000
    poster_quality: int = 3  # ffmpeg's JPEG scale: 2 is best, 31 worst
    poster_max_width: int = 1280

    def max_bitrate(self, height: int | None) -> int:
        """The ceiling for a source of this height; unknown heights get the highest."""
        for limit, bitrate in sorted(self.max_bitrate_by_height.items()):
            if height is not None and height <= limit:
                return bitrate
        return max(self.max_bitrate_by_height.values())


PROFILE = Profile()

# ffmpeg's readers of the kinds that are copied. Its others include lists of further files to open.
_FORMATS = "mov,matroska,mpegts"


def ffmpeg_arguments(profile: Profile, source: Path, output: Path, *, source_height: int | None) -> list[str]:
    """ffmpeg's arguments (without the program) that encode `source` to `output`, reporting progress on stdout.

    Inputs are restricted to plain files of the kinds that are copied: a playlist disguised as a video must not make
    ffmpeg open addresses or other files. A source without sound makes an output without sound; one whose pixels are not
    square, as of many cameras' 1440×1080, keeps the shape that it is shown in.
    """
    ceiling = profile.max_bitrate(source_height)
    return [
        "-hide_banner", "-nostdin", "-y", "-loglevel", "error", "-nostats", "-progress", "pipe:1",
        "-protocol_whitelist", "file", "-format_whitelist", _FORMATS, "-i", str(source),
        "-map", "0:v:0", "-map", "0:a:0?", "-map_metadata", "-1",
        "-vf", f"scale=w='trunc(oh*dar/2+0.5)*2':h='min({profile.max_height},trunc(ih/2)*2)',setsar=1",
        "-c:v", "libx264", "-preset", "medium", "-profile:v", "high", "-pix_fmt", "yuv420p",
        "-crf", str(profile.crf), "-maxrate", str(ceiling), "-bufsize", str(2 * ceiling),
        "-force_key_frames", f"expr:gte(t,n_forced*{profile.gop_seconds})",
        "-c:a", "aac", "-b:a", str(profile.audio_bitrate), "-ar", str(profile.audio_sample_rate), "-ac", "2",
        "-movflags", "+faststart", "-f", "mp4", str(output),
    ]  # fmt: skip


def ffmpeg_settings_hash(profile: Profile) -> str:
    """Sixteen hex digits that change when ffmpeg would be asked for anything else."""
    source, output = Path("source"), Path("output")
    rendered = [
        ffmpeg_arguments(profile, source, output, source_height=None),
        ffmpeg_poster_arguments(profile, source, output, at_seconds=0),
        sorted(profile.max_bitrate_by_height.items()),
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
