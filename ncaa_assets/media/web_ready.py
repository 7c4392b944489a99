"""Whether a copy is web-ready as it is: what the encoding profile would make, told from facts alone.

Facts tell what a file says of itself. That its media can be decoded from start to end is for a decoder to tell: the
headers of zeroed media look fine.
"""

from ncaa_assets.media.facts import Facts, Picture, Sound
from ncaa_assets.media.profile import Profile

# What MediaInfo calls H.264's profiles up to High in 4:2:0 with 8 bits; every browser decodes these.
_PROFILES = {"Baseline", "Constrained Baseline", "Main", "High", "Progressive High", "Constrained High"}
# `avc1` in an MP4 or QuickTime file, stream type 27 in MPEG-TS. `avc3` keeps its parameters elsewhere.
_CODEC_IDS = {"avc1", "27"}
# AAC-LC in the same three. Of a sound under another name MediaInfo may still say AAC, and no browser plays it.
_SOUND_IDS = {"mp4a-40-2", "15-2"}
_MOST_FRAMES = 60.5  # a second; 60 and what rounding makes of it


def why_encode(facts: Facts, profile: Profile) -> str | None:
    """Why a video has to be encoded, in a few words; None where its film and sound can stay as they are."""
    picture, sound = facts.picture, facts.sound
    if facts.format not in ("MPEG-4", "MPEG-TS"):
        return f"it is {facts.format}"
    if picture is None or facts.pictures != 1:
        return "it has another picture track beside the film"
    if facts.encrypted:
        return "it is encrypted"
    if facts.sounds > 1:
        return "it has several sound tracks"
    if facts.seconds is None:
        return "its length is not known"
    return _of_picture(picture, facts, profile) or (_of_sound(sound) if sound else None)


def is_laid_out(facts: Facts, container: str) -> bool:
    """Whether a file whose film and sound can stay is an MP4 that plays from its first bytes on. Any other is packed
    anew, without loss."""
    return container == "mp4" and facts.format == "MPEG-4" and facts.fast_start is True and not facts.fragmented


def _of_picture(picture: Picture, facts: Facts, profile: Profile) -> str | None:
    if picture.codec != "AVC" or picture.codec_id not in _CODEC_IDS or picture.codec_profile not in _PROFILES:
        return f"its picture is {picture.codec} ({picture.codec_profile or picture.codec_id or 'no profile'})"
    if picture.bit_depth != 8 or picture.chroma != "4:2:0":
        return f"its picture has {picture.bit_depth} bits in {picture.chroma}"
    if picture.interlaced is not False:
        return "it is interlaced, or may be"
    if picture.rotation or abs(picture.pixel_aspect - 1) > 0.001:
        return "its picture is turned, or its pixels are not square"
    if picture.is_hdr or picture.full_range or "2020" in f"{picture.primaries} {picture.matrix}":
        return "its colours are not those of plain screens"
    if picture.width % 2 or picture.height % 2:
        return f"its size of {picture.width}×{picture.height} is odd"
    if min(picture.shown_size) > profile.max_short_side:
        return f"its picture of {picture.width}×{picture.height} is larger than {profile.max_short_side}"
    if picture.frame_rate is not None and picture.frame_rate > _MOST_FRAMES:
        return f"it has {picture.frame_rate:.0f} frames a second"
    bitrate, ceiling = picture.bitrate or facts.bitrate, profile.max_bitrate(min(picture.shown_size))
    if bitrate is None or bitrate > ceiling:
        return f"its bitrate of {(bitrate or 0) / 1e6:.1f} Mbit/s is above {ceiling / 1e6:.1f}"
    return None


def _of_sound(sound: Sound) -> str | None:
    if sound.codec != "AAC" or sound.codec_profile != "LC" or sound.codec_id not in _SOUND_IDS:
        return f"its sound is {sound.codec} ({sound.codec_profile or 'no profile'}, {sound.codec_id or 'no name'})"
    if sound.channels not in (1, 2):
        return f"its sound has {sound.channels or 'an unknown number of'} channels"
    return None
