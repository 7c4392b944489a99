"""What MediaConvert bills for a job, and what is past the bound of a day."""

import pytest

from ncaa_assets.media.bounds import EncodeBounds
from ncaa_assets.media.facts import Facts, Picture
from ncaa_assets.media.minutes import billed_minutes, least_minutes


def facts(*, height: int = 1080, rate: float | None = 30.0, seconds: float | None = 60.0) -> Facts:
    picture = Picture(stream=0, codec="AVC", width=height * 16 // 9, height=height, frame_rate=rate)
    return Facts(read_by="test", format="MPEG-4", seconds=seconds, picture=picture)


@pytest.mark.parametrize(
    ("known", "seconds", "minutes"),
    [
        (facts(), None, 70 / 60),  # the film, and ten seconds for the poster
        (facts(height=720, rate=29.97), None, 70 / 60),
        (facts(height=480), None, 35 / 60),
        (facts(rate=59.94), None, 130 / 60),
        (facts(rate=None), None, 130 / 60),  # not known: as the dearer
        (facts(seconds=2.0), None, 20 / 60),
        (facts(seconds=60.2), None, 71 / 60),
        (None, 60.0, 130 / 60),
        (facts(seconds=None), 60.0, 70 / 60),
        (None, None, None),
    ],
)
def test_minutes_are_billed_by_length_size_and_rate(
    known: Facts | None, seconds: float | None, minutes: float | None
) -> None:
    assert billed_minutes(known, seconds=seconds) == (None if minutes is None else pytest.approx(minutes))


@pytest.mark.parametrize(
    ("known", "seconds", "minutes"),
    [
        (facts(), None, 1),
        (facts(height=480), None, 0.5),
        (facts(rate=59.94), None, 2),
        (facts(rate=None), None, 1),
        (facts(seconds=2.0), None, 10 / 60),
        (None, 60.0, 0.5),
        (None, None, 5 / 60),
    ],
)
def test_no_job_is_billed_for_less_than_the_least(known: Facts | None, seconds: float | None, minutes: float) -> None:
    least = least_minutes(known, seconds=seconds)
    assert least == pytest.approx(minutes)
    assert least <= (billed_minutes(known, seconds=seconds) or least)


@pytest.mark.parametrize(
    ("known", "kind"),
    [
        (facts(seconds=500), None),
        (facts(seconds=600), "too-long"),
        (None, "too-long"),
        (facts(seconds=None), "too-long"),
    ],
)
def test_what_is_longer_than_a_days_minutes_is_past_the_bounds(known: Facts | None, kind: str | None) -> None:
    refusal = EncodeBounds(max_seconds=14400, max_minutes=10).refusal(known)
    assert (refusal.kind if refusal else None) == kind
