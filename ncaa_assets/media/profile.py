"""The one encoding profile, rendered to ffmpeg's arguments and to MediaConvert's job settings: what "web-ready" means.

MP4 with the index in front (fast start), H.264 High in 4:2:0, quality-defined bitrate with a ceiling by picture size, a
key frame every 2 s so that players can seek and cut, AAC-LC at 48 kHz, one poster frame. The picture comes out whole,
upright, progressive and with square pixels, in BT.709 without high dynamic range, and is never enlarged.

The values follow AWS's own video-on-demand solution: QVBR, single pass, 2 s GOP. QVBR with a single pass stays in
MediaConvert's basic price tier; more passes do not.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ncaa_assets.media.bounds import EncodeBounds
from ncaa_assets.media.facts import Facts, Picture, Sound


@dataclass(frozen=True)
class Profile:
    """One profile. Sizes in pixels, rates in frames a second, bitrates in bits a second, durations in seconds."""

    max_short_side: int = 1080
    max_long_side: int = 4096  # what browsers and their hardware decode
    max_rate: int = 60
    crf: int = 21  # x264's quality; lower is better
    qvbr_quality: int = 8  # MediaConvert's quality, of 10; AWS calls 6 to 9 broadcast quality
    # The ceiling for pictures whose short side is up to each: QVBR's maximum on MediaConvert, VBV's with x264.
    max_bitrate_by_short_side: dict[int, int] = field(
        default_factory=lambda: {360: 1_200_000, 480: 2_000_000, 720: 4_500_000, 1080: 8_000_000}
    )
    gop_seconds: int = 2
    audio_bitrate: int = 128_000
    audio_sample_rate: int = 48_000
    poster_quality: int = 3  # ffmpeg's JPEG scale; 2 is the best, 31 the worst
    poster_percent: int = 85  # MediaConvert's JPEG scale; 100 is the best
    poster_max_width: int = 1280

    def max_bitrate(self, short_side: int) -> int:
        """The ceiling for an output whose picture is so large."""
        for limit, bitrate in sorted(self.max_bitrate_by_short_side.items()):
            if short_side <= limit:
                return bitrate
        return max(self.max_bitrate_by_short_side.values())


PROFILE = Profile()


@dataclass(frozen=True)
class Frame:
    """An output's picture: its size in pixels, both even, and the frames a second to which it is brought down (None: as
    many as there are)."""

    width: int
    height: int
    rate: int | None


def output_frame(profile: Profile, picture: Picture) -> Frame:
    """The picture that a film gets: as a player shows it, upright and with square pixels, and within the profile's
    sides; never enlarged, but for pixels that are made square."""
    width, height = picture.width * picture.pixel_aspect, float(picture.height)
    if picture.rotation in (90, 270):
        width, height = height, width
    shrink = min(1.0, profile.max_short_side / min(width, height), profile.max_long_side / max(width, height))
    rate = (picture.frame_rate or 0) * (2 if picture.interlaced else 1)  # two fields are two moments
    return Frame(
        width=max(2, _even(width * shrink)),
        height=max(2, _even(height * shrink)),
        rate=profile.max_rate if rate > profile.max_rate + 0.5 else None,
    )


def _even(number: float) -> int:
    """The even number next to this one; of two that are as near, the smaller."""
    return int((number - 0.001) / 2 + 0.5) * 2


# ffmpeg's readers for the kinds of file that are copied. Others of its readers open playlists of further files.
_FORMATS = "mov,matroska,mpegts"

# More frames than this share that cannot be decoded are no film any more; ffmpeg's own bound is two thirds.
_MOST_ERRORS = 0.1

# From the light of a PQ or HLG scene to BT.709: reference white at 203 nits (ITU-R BT.2408), brighter light rolled off.
_TONE_MAP = (
    "zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,tonemap=mobius:param=0.8:desat=0:peak=4.93,"
    "zscale=t=bt709:m=bt709:r=tv"
)
_TRANSFERS = {"PQ": "smpte2084", "HLG": "arib-std-b67"}


def ffmpeg_arguments(
    profile: Profile,
    source: Path,
    output: Path,
    *,
    facts: Facts,
    with_sound: bool = True,
    bounds: EncodeBounds | None = None,
    threads: int | None = None,
) -> list[str]:
    """ffmpeg's arguments (without the program) that encode `source` to `output`, reporting progress on stdout.

    The input may only be a plain file of a kind that is copied: a playlist disguised as a video must not make ffmpeg
    open addresses or other files. The film and the sound that `facts` names are encoded; without a sound, or without
    `with_sound`, the output is silent.

    `bounds` hold whatever the file says of itself: an output that plays longer than their seconds was cut off there.
    Neither they nor `threads` (None: as many as ffmpeg likes) change what an output that fits is like.

    Raises:
        ValueError: the file has no film.
    """
    picture, sound = facts.picture, facts.sound if with_sound else None
    if picture is None:
        raise ValueError("there is no film to encode")
    frame = output_frame(profile, picture)
    ceiling = profile.max_bitrate(min(frame.width, frame.height))
    fewer = ["-threads", str(threads)] if threads else []
    largest = ["-max_pixels", str(bounds.max_pixels)] if bounds else []
    longest = ["-t", f"{bounds.max_seconds + 1:.0f}"] if bounds else []
    return [
        "-hide_banner", "-nostdin", "-y", "-loglevel", "error", "-nostats", "-progress", "pipe:1",
        "-max_error_rate", str(_MOST_ERRORS), *(["-filter_threads", str(threads)] if threads else []),
        "-protocol_whitelist", "file", "-format_whitelist", _FORMATS, *fewer, *largest, "-i", str(source),
        "-map", f"0:{picture.stream}", *(["-map", f"0:{sound.stream}"] if sound else ["-an"]),
        "-map_metadata", "-1", "-map_chapters", "-1", *fewer, *longest,
        "-vf", ",".join(_filters(picture, frame)),
        "-c:v", "libx264", "-preset", "medium", "-profile:v", "high", "-pix_fmt", "yuv420p",
        "-crf", str(profile.crf), "-maxrate", str(ceiling), "-bufsize", str(2 * ceiling),
        "-force_key_frames", f"expr:gte(t,n_forced*{profile.gop_seconds})",
        "-c:a", "aac", "-b:a", str(profile.audio_bitrate), "-ar", str(profile.audio_sample_rate), "-ac", "2",
        "-movflags", "+faststart", "-f", "mp4", str(output),
    ]  # fmt: skip


def _filters(picture: Picture, frame: Frame) -> Iterator[str]:
    """ffmpeg's filters from a film, which ffmpeg has turned upright, to an output's picture."""
    if picture.interlaced:
        yield "bwdif=mode=send_field:parity=auto:deint=interlaced"
    if frame.rate is not None:
        yield f"fps={frame.rate}"
    # A size that changes on the way is fitted into the first one; the edge of an odd one makes no black line.
    width, height, shape = frame.width, frame.height, frame.width / frame.height
    is_same = f"lt(abs(dar/{shape:.5f}-1),{max(0.02, 2.5 / min(width, height)):.3f})"
    fitted = (
        f"scale=w='if({is_same},{width},max(2,min({width},trunc({height}*dar/2)*2)))'"
        f":h='if({is_same},{height},max(2,min({height},trunc({width}/dar/2)*2)))':flags=bicubic"
    )
    if picture.is_hdr:
        yield fitted  # before the tone map, which takes long for each pixel
        primaries = "" if picture.primaries else ":pin=bt2020"
        matrix = "" if picture.matrix else ":min=bt2020nc"
        yield _TONE_MAP.replace("zscale=", f"zscale=tin={_TRANSFERS[picture.transfer or '']}{primaries}{matrix}:", 1)
    else:
        yield f"{fitted}{_source_matrix(picture)}:out_color_matrix=bt709:out_range=tv"
    yield f"pad={frame.width}:{frame.height}:-1:-1:black"
    yield "setsar=1"
    yield "format=yuv420p"
    yield "setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709"


def _source_matrix(picture: Picture) -> str:
    """Which matrix a film's colours are in where it does not say so: what players take it for (Chromium, by size)."""
    if picture.matrix or picture.chroma == "RGB":
        return ""
    return f":in_color_matrix={'smpte170m' if _is_small(picture) else 'bt709'}"


def _is_small(picture: Picture) -> bool:
    """Whether colours that are not tagged are those of small pictures (BT.601), and not of large ones (BT.709)."""
    return min(picture.width, picture.height) < 720 or picture.codec == "JPEG"


def ffmpeg_decode_arguments(
    video: Path,
    facts: Facts | None = None,
    *,
    threads: int | None = None,
    quick: bool = False,
    repackaged: Path | None = None,
) -> list[str]:
    """ffmpeg's arguments (without the program) that decode a video's film and sound, the first of each where `facts` do
    not name them, and keep nothing, reporting on stdout how much was decoded. At the first part that it cannot decode,
    ffmpeg says so on stderr and ends with an error.

    `quick` reads all of a picture's bits, in which all that can be wrong shows, and leaves out what only smooths it.
    With `repackaged`, film and sound are put as they are into an MP4 there, with the index in front.
    """
    fewer = ["-threads", str(threads)] if threads else []
    film = f"0:{facts.picture.stream}" if facts and facts.picture else "0:v:0"
    heard = f"0:{facts.sound.stream}" if facts and facts.sound else "0:a:0?"
    rough = ["-skip_loop_filter", "all", "-skip_idct", "all"] if quick else []
    copied = ["-map_metadata", "-1", "-c", "copy", "-movflags", "+faststart", "-f", "mp4"]
    return [
        "-hide_banner", "-nostdin", "-y", "-loglevel", "error", "-xerror", "-nostats", "-progress", "pipe:1",
        "-protocol_whitelist", "file", "-format_whitelist", _FORMATS, *fewer, *rough, "-i", str(video),
        "-map", film, "-map", heard, "-f", "null", "-",
        *(["-map", film, "-map", heard, *copied, str(repackaged)] if repackaged else []),
    ]  # fmt: skip


def representative_facts(profile: Profile) -> list[Facts]:
    """A file of each kind that is asked for in a way of its own: what changes, changes for one of these."""
    limits = [*profile.max_bitrate_by_short_side, 2 * profile.max_short_side]
    plain = Picture(stream=0, codec="AVC", width=1280, height=720, frame_rate=30, matrix="BT.709")
    pictures = [plain.model_copy(update={"width": 16 * limit // 9 // 2 * 2, "height": limit}) for limit in limits]
    changes: list[dict[str, Any]] = [
        {"interlaced": True}, {"rotation": 90}, {"pixel_aspect": 4 / 3}, {"width": 1279, "height": 719},
        {"width": 9000},
        {"frame_rate": 2.0 * profile.max_rate}, {"transfer": "PQ"}, {"transfer": "HLG", "primaries": "BT.2020"},
        {"chroma": "RGB"}, {"matrix": None}, {"matrix": None, "height": 480}, {"full_range": True},
        {"matrix": "BT.2020 non-constant"},
    ]  # fmt: skip
    pictures += [plain.model_copy(update=change) for change in changes]
    sounds = [Sound(stream=1, track=1, codec="AAC", channels=channels) for channels in (1, 2, 6)]
    sounds.append(Sound(stream=2, track=2, pid=257, codec="AC-3", channels=2))
    made = [Facts(read_by="", format="MPEG-4", picture=picture) for picture in pictures]
    return made + [made[0].model_copy(update={"sound": sound}) for sound in sounds]


def ffmpeg_settings_hash(profile: Profile) -> str:
    """Sixteen hex digits that change whenever ffmpeg would be asked for something else."""
    source, output = Path("source"), Path("output")
    rendered = [
        *(ffmpeg_arguments(profile, source, output, facts=facts) for facts in representative_facts(profile)),
        ffmpeg_poster_arguments(profile, source, output, at_seconds=0),
    ]
    return hashlib.sha256(json.dumps(rendered).encode()).hexdigest()[:16]


_LEAST = 32  # pixels: MediaConvert makes no smaller picture


def mediaconvert_settings(
    profile: Profile,
    *,
    source: str,
    destination: str,
    name_modifier: str = "",
    facts: Facts,
    with_sound: bool = True,
) -> dict[str, Any]:
    """The `Settings` of a MediaConvert job that encodes `source` (an `s3://` address), to the same output that ffmpeg
    makes of it.

    The outputs are `destination` + `name_modifier` + `.mp4` and `.0000000.jpg` (frame captures are numbered from the
    first frame). A source without sound gets no audio output: a job that asks for one fails. Of several pictures in an
    MP4, MediaConvert takes which one it likes; whoever reads the output has to look whether it is the film.

    Raises:
        ValueError: the file has no film.
    """
    picture, sound = facts.picture, facts.sound if with_sound else None
    if picture is None:
        raise ValueError("there is no film to encode")
    frame = output_frame(profile, picture)
    file_group = {"Type": "FILE_GROUP_SETTINGS", "FileGroupSettings": {"Destination": destination}}
    name = {"NameModifier": name_modifier} if name_modifier else {}
    rate: dict[str, Any] = {"FramerateControl": "INITIALIZE_FROM_SOURCE"}
    if frame.rate is not None:
        rate = {
            "FramerateControl": "SPECIFIED",
            "FramerateNumerator": frame.rate,
            "FramerateDenominator": 1,
            "FramerateConversionAlgorithm": "DUPLICATE_DROP",  # the others cost more, or make frames up
        }
    h264 = {
        "RateControlMode": "QVBR",
        "QvbrSettings": {"QvbrQualityLevel": profile.qvbr_quality},
        "MaxBitrate": profile.max_bitrate(min(frame.width, frame.height)),
        "QualityTuningLevel": "SINGLE_PASS_HQ",
        "CodecProfile": "HIGH",
        "CodecLevel": "AUTO",
        "GopSize": profile.gop_seconds,
        "GopSizeUnits": "SECONDS",
        "SceneChangeDetect": "TRANSITION_DETECTION",  # as the API reference advises with QVBR
        "InterlaceMode": "PROGRESSIVE",
        "ParControl": "SPECIFIED",
        "ParNumerator": 1,
        "ParDenominator": 1,
        **rate,
    }
    aac = {
        "CodecProfile": "LC",
        "CodingMode": "CODING_MODE_2_0",
        "RateControlMode": "CBR",
        "Bitrate": profile.audio_bitrate,
        "SampleRate": profile.audio_sample_rate,
    }
    shown = {"RespondToAfd": "NONE", "ColorMetadata": "INSERT", "VideoPreprocessors": _preprocessors(picture)}
    video: dict[str, Any] = {
        **name,
        "ContainerSettings": {"Container": "MP4", "Mp4Settings": {"MoovPlacement": "PROGRESSIVE_DOWNLOAD"}},
        # Where the shapes differ, a size that changes on the way, the default behaviour adds black bars.
        "VideoDescription": {
            "Width": max(_LEAST, frame.width), "Height": max(_LEAST, frame.height), **shown,
            "ScalingBehavior": "DEFAULT",
            "CodecSettings": {"Codec": "H_264", "H264Settings": h264},
        },
    }  # fmt: skip
    if sound is not None:
        video["AudioDescriptions"] = [
            {"AudioSourceName": "Audio Selector 1", "CodecSettings": {"Codec": "AAC", "AacSettings": aac}}
        ]
    capture = {
        "FramerateNumerator": 1,
        "FramerateDenominator": profile.gop_seconds,
        "MaxCaptures": 1,
        "Quality": profile.poster_percent,
    }
    smaller = min(1.0, profile.poster_max_width / frame.width)
    poster = {
        **name,
        "ContainerSettings": {"Container": "RAW"},
        "VideoDescription": {
            "Width": max(_LEAST, _even(frame.width * smaller)), "Height": max(_LEAST, _even(frame.height * smaller)),
            **shown,
            "CodecSettings": {"Codec": "FRAME_CAPTURE", "FrameCaptureSettings": capture},
        },
    }  # fmt: skip
    return {
        "TimecodeConfig": {"Source": "ZEROBASED"},
        "Inputs": [
            {
                "FileInput": source,
                "TimecodeSource": "ZEROBASED",
                "VideoSelector": _video_selector(picture),
                **({"AudioSelectors": {"Audio Selector 1": _audio_selector(sound)}} if sound is not None else {}),
            }
        ],
        "OutputGroups": [
            {"Name": "video", "OutputGroupSettings": file_group, "Outputs": [video]},
            {"Name": "poster", "OutputGroupSettings": file_group, "Outputs": [poster]},
        ],
    }


def _video_selector(picture: Picture) -> dict[str, Any]:
    selector: dict[str, Any] = {"Rotate": "AUTO"} if picture.rotation else {}  # in MP4 and QuickTime, the only ones
    space = {"PQ": "HDR10", "HLG": "HLG_2020"}.get(picture.transfer or "")
    if space is None and not picture.matrix and picture.chroma != "RGB":
        space = "REC_601" if _is_small(picture) else "REC_709"
    return selector | ({"ColorSpace": space, "ColorSpaceUsage": "FALLBACK"} if space else {})


def _audio_selector(sound: Sound) -> dict[str, Any]:
    """The one track that is heard. `DefaultSelection` chooses between selectors, and knows no track of the source."""
    selector: dict[str, Any] = {"SelectorType": "TRACK", "Tracks": [sound.track]}
    if sound.pid is not None:
        selector = {"SelectorType": "PID", "Pids": [sound.pid]}
    if sound.channels == 1:  # else it would be heard on one side
        both = {"OutputChannels": [{"InputChannels": [0]}, {"InputChannels": [0]}]}
        selector["RemixSettings"] = {"ChannelsIn": 1, "ChannelsOut": 2, "ChannelMapping": both}
    return selector


def _preprocessors(picture: Picture) -> dict[str, Any]:
    colours: dict[str, Any] = {"ColorSpaceConversion": "FORCE_709"}
    if picture.is_hdr:
        colours["HdrToSdrToneMapper"] = "VIBRANT"
    if picture.full_range:
        colours["SampleRangeConversion"] = "LIMITED_RANGE_SQUEEZE"
    fields = {"Mode": "DEINTERLACE", "Control": "NORMAL", "Algorithm": "INTERPOLATE"}
    return {"ColorCorrector": colours} | ({"Deinterlacer": fields} if picture.interlaced else {})


def mediaconvert_settings_hash(profile: Profile) -> str:
    """Sixteen hex digits that change whenever MediaConvert would be asked for something else."""
    rendered = [
        mediaconvert_settings(profile, source="source", destination="output", facts=facts)
        for facts in representative_facts(profile)
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
