"""What an encode may cost at most. A copy that is past these bounds is kept as it is, and is not encoded."""

from collections.abc import Callable
from dataclasses import dataclass

from ncaa_assets.failures import EncodeRefused
from ncaa_assets.media.facts import Facts
from ncaa_assets.media.minutes import billed_minutes


@dataclass(frozen=True)
class EncodeBounds:
    """The most that one encode may take in: seconds of film, pixels of its picture, frames; and, where minutes are paid
    for, the most that it may be billed for (None: no bound), except what `is_free`."""

    max_seconds: float
    max_pixels: int = 8192 * 4320
    max_frames: int = 1_000_000
    max_minutes: float | None = None
    is_free: Callable[[Facts], bool] | None = None

    def refusal(self, facts: Facts | None, *, seconds: float | None = None) -> EncodeRefused | None:
        """Why a copy is past these bounds, or None where it is not. What is not known of it is taken for fitting,
        except by `max_minutes`.

        Args:
            seconds: how long it plays, for a copy that was made before facts were kept.
        """
        picture = facts.picture if facts else None
        seconds = facts.seconds if facts and facts.seconds is not None else seconds
        if seconds is not None and seconds > self.max_seconds:
            return EncodeRefused(
                f"it plays {seconds:.0f} s, and VIDEO_MAX_SECONDS is {self.max_seconds:.0f}", kind="too-long"
            )
        if self.max_minutes is not None and not (facts and self.is_free and self.is_free(facts)):
            minutes = billed_minutes(facts, seconds=seconds)
            if minutes is None or minutes > self.max_minutes:
                billed = "nobody knows how many" if minutes is None else f"about {minutes:.1f}"
                return EncodeRefused(
                    f"MediaConvert bills {billed} minutes for it, and ENCODE_MINUTES_A_DAY is {self.max_minutes:.0f}",
                    kind="too-long",
                )
        if picture is None:
            return None
        if picture.width * picture.height > self.max_pixels:
            return EncodeRefused(
                f"its picture of {picture.width}×{picture.height} is larger than any that is encoded", kind="too-large"
            )
        frames = picture.frames or round((picture.frame_rate or 0) * (seconds or 0))
        if frames > self.max_frames:
            return EncodeRefused(f"it has {frames} frames, and {self.max_frames} are the most", kind="too-many")
        return None
