"""What MediaConvert bills for a job, as far as AWS says it: minutes of each output, by its size and its frame rate.

An estimate, and never too low on purpose: what is not known of a video counts as the dearer of what it can be. A minute
here is one of HD at up to 30 frames a second in the basic tier (backends/aws/prices.py has its price). Smaller
pictures count half, up to 60 frames a second count twice (AWS's price list of us-east-1), each output at least 10 s.
That the poster is billed as an output of HD or SD is assumed; no page of AWS was found that says it.
"""

import math

from ncaa_assets.media.facts import Facts

_SHORTEST = 10  # seconds of an output that are billed at least
_HD = 720  # pixels of the short side, from which a picture is HD
_SLOW = 30.0  # frames a second, above which a minute counts twice


def billed_minutes(facts: Facts | None, *, seconds: float | None = None) -> float | None:
    """The minutes that a job with a video and its poster is billed for. None where its length is not known.

    Args:
        seconds: how long it plays, for a copy that was made before facts were kept.
    """
    seconds = facts.seconds if facts and facts.seconds is not None else seconds
    if seconds is None:
        return None
    picture = facts.picture if facts else None
    size = 0.5 if picture and min(picture.shown_size) < _HD else 1.0
    rate = 1.0 if picture and picture.frame_rate and not picture.interlaced and picture.frame_rate <= _SLOW else 2.0
    return size * (rate * max(_SHORTEST, math.ceil(seconds)) + _SHORTEST) / 60


def least_minutes(facts: Facts | None, *, seconds: float | None = None) -> float:
    """The fewest minutes that the same job can be billed for: what is not known counts as the cheapest of what it can
    be, and the poster not at all."""
    seconds = facts.seconds if facts and facts.seconds is not None else seconds
    picture = facts.picture if facts else None
    size = 1.0 if picture and min(picture.shown_size) >= _HD else 0.5
    rate = 2.0 if picture and picture.frame_rate and picture.frame_rate > _SLOW else 1.0
    return size * rate * max(_SHORTEST, math.ceil(seconds or 0)) / 60
