"""The data version of the `highlights` asset: it moves with what is downstream of it, and with nothing else."""

from typing import Any

from ncaa_assets.defs.assets.highlights import _version
from ncaa_assets.record.fetch import Matches
from ncaa_assets.record.matches import merge_matches
from ncaa_assets.record.models import HighlightsDay, content_hash
from ncaa_assets_tests.archives import fetched_day
from ncaa_assets_tests.loopback.listing import game, record

DAY = "2025-03-09"
SEEN = "2025-03-10T06:00:12Z"


def a_day(*records: Any) -> HighlightsDay:
    return fetched_day(*records, at=SEEN)


def version(*matches: Any, at: str = SEEN) -> str:
    return _version(merge_matches(a_day(record(1, None)), Matches(at=at, records=list(matches), requests=1)))


def test_without_matches_it_is_what_it_always_was() -> None:
    always = content_hash([[content_hash(record(1, None)), None]])
    assert _version(a_day(record(1, None))) == always
    assert version() == always
    assert version(game(2)) == always, "another highlight's game"
    assert _version(a_day()) == content_hash([])


def test_it_moves_with_what_the_rows_take_from_a_match_and_with_nothing_else() -> None:
    scored = version(game(1))
    assert scored not in (version(), version(game(1, state={"description": "First half"})))
    assert scored == version(game(2), game(1, round="Final"), at="2025-03-11T06:00:12Z")
