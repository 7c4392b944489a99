"""The partitions: one for each game day in `TIMEZONE`."""

from datetime import date, timedelta

import dagster as dg

from ncaa_assets.settings import Settings


def game_days(settings: Settings) -> dg.DailyPartitionsDefinition:
    """One partition for each day in `TIMEZONE`, from `START_DATE` to yesterday."""
    return dg.DailyPartitionsDefinition(start_date=settings.start_date.isoformat(), timezone=settings.timezone)


def days_to_look_at(today: date, settings: Settings) -> list[str]:
    """The partitions that the schedule asks for: the `LOOKBACK_DAYS` days before `today`, newest first."""
    days = [today - timedelta(days=back) for back in range(1, settings.lookback_days + 1)]
    return [day.isoformat() for day in days if day >= settings.start_date]
