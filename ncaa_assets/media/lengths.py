"""Whether an encode plays as long as what it was made from: film against film, sound against sound.

A file's own word for its length counts only as far as the film in it; a subtitle that ends later or a header that lies
does not count. MPEG-TS whose clock jumps says too little, so an encode may be longer than it.
"""

from collections.abc import Iterator

from ncaa_assets.media.facts import Facts


def tolerance(seconds: float) -> float:
    """By how many seconds an encode may differ from a source that plays so long: by a frame or a packet of sound, and
    where an end is damaged by a bit more."""
    return max(min(1.0, seconds / 4), seconds / 50)


def differences(source: Facts, made: Facts) -> Iterator[tuple[str, float, float]]:
    """What of an encode does not last as long as in its source: `picture` or `sound`, the seconds of the source, and
    those of the encode."""
    pairs = [("picture", source.picture, made.picture), ("sound", source.sound, made.sound)]
    for name, before, after in pairs:
        if before is None or after is None or before.seconds is None or after.seconds is None:
            continue
        longer = after.seconds - before.seconds
        if longer < -tolerance(before.seconds) or (
            longer > tolerance(before.seconds) and source.format not in _CLOCKS_THAT_JUMP
        ):
            yield name, before.seconds, after.seconds


def too_short(source: Facts, made: Facts) -> str | None:
    """Why an encode is not the whole of its source, for a sentence about the source; None where it is."""
    for name, before, after in differences(source, made):
        if name == "picture" and after < before:
            return f"only {after:.1f} of its {before:.1f} s can be decoded"
    return None


_CLOCKS_THAT_JUMP = ("MPEG-TS",)
