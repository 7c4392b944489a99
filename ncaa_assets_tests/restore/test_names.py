"""Names of restored files: whatever a stranger wrote, they are safe anywhere and no two are alike."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from ncaa_assets.record.models import safe_name
from ncaa_assets.restore.names import MOST_BYTES, file_name

DAY = "2025-03-09"
TEXTS = st.none() | st.text() | st.text(alphabet='. /\\:*?"<>|\0\n\u202e\ud800é🏀\u0301', max_size=300)


def test_a_name_says_the_day_the_game_and_what_makes_it_unique() -> None:
    name = file_name(DAY, "Auburn Tigers – Duke Blue Devils", "105170", ".mp4")
    assert name == "2025-03-09 Auburn Tigers – Duke Blue Devils (105170).mp4"
    assert file_name(DAY, None, "105170", ".mp4") == "2025-03-09 (105170).mp4"
    assert file_name(DAY, "../../etc/passwd", "1", ".mp4") == "2025-03-09 etc passwd (1).mp4"


@given(TEXTS, st.text(min_size=1))
def test_every_name_is_safe_on_every_file_system(text: str | None, identifier: str) -> None:
    stem = f"{safe_name(identifier)}.deadbeef"
    for ending in (".mp4", ".0000000.jpg"):
        name = file_name(DAY, text, stem, ending)
        assert len(name.encode()) <= MOST_BYTES
        assert not set(name) & set('<>:"/\\|?*')
        assert all(unicodedata.category(one)[0] != "C" for one in name)
        assert name.startswith(f"{DAY} "), "so it is no reserved name such as CON"
        assert name.endswith(f"({stem}){ending}")
        assert "  " not in name


@given(TEXTS, TEXTS, st.text(min_size=1), st.text(min_size=1))
def test_no_two_names_are_alike_even_where_capitals_and_accents_are_ignored(
    text: str | None, other_text: str | None, one: str, other: str
) -> None:
    def folded(name: str) -> str:
        return unicodedata.normalize("NFKD", name).casefold()

    names = [file_name(DAY, text, safe_name(one), ".mp4"), file_name(DAY, other_text, safe_name(other), ".mp4")]
    assert (folded(names[0]) == folded(names[1])) <= (safe_name(one) == safe_name(other))
