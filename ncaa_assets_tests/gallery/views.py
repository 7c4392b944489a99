"""Views as an archive would give them, for tests of the pages alone."""

from typing import Any

from ncaa_assets.gallery.model import CalendarDay, Card, Clip, SeasonPage, State, Team

DAY = "2025-03-09"
DUKE, UNC = Team("Duke Blue Devils", "duke-blue-devils"), Team("North Carolina Tar Heels", "north-carolina-tar-heels")


def a_card(**values: Any) -> Card:
    """A highlight that is kept."""
    return Card(**_card(values))


def a_clip(**values: Any) -> Clip:
    """The same as its day's page shows it."""
    return Clip(**{"copy": f"videos/{DAY}/105170.mp4", "url": "https://media.example/105170.mp4", **_card(values)})


def a_season() -> SeasonPage:
    """A season with a busy day and one without games."""
    return SeasonPage(
        "2024-25",
        ("2024-25",),
        {DAY: CalendarDay(12, 10), "2025-03-10": CalendarDay(0, 0)},
        (DUKE, UNC),
        (a_card(),),
    )


def _card(values: dict[str, Any]) -> dict[str, Any]:
    day, number = values.get("day", DAY), values.get("id", "105170")
    key = f"processed_videos/{day}/{number}"
    return {
        "id": number,
        "day": day,
        "title": "Duke vs. North Carolina - Game Highlights",
        "home": DUKE,
        "away": UNC,
        "state": State.KEPT,
        "video": f"{key}.mp4",
        "poster": f"{key}.jpg",
        **values,
    }
