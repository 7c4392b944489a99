"""Which source a deployment's settings open: the real API, or the sample that stands in for it."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from ncaa_assets.failures import SettingsError
from ncaa_assets.ports import Source
from ncaa_assets.retry import RetryPolicy
from ncaa_assets.settings import Settings
from ncaa_assets.source.client import HighlightsApi
from ncaa_assets.source.doors import Door
from ncaa_assets.source.open import open_source

AWS = {"ncaa_deployment": "aws", "s3_bucket_name": "bucket", "mediaconvert_role_arn": "arn"}


def settings(**values: Any) -> Settings:
    return Settings.model_validate(values)


def facts(source: Source) -> dict[str, Any]:
    assert isinstance(source, HighlightsApi)
    return asdict(source)


def test_a_key_opens_the_real_api_as_the_settings_say() -> None:
    given = settings(
        rapidapi_key="a-key", league_name="NBA", timezone="UTC", limit=7, quota_reserve=2, retry_count=1, retry_delay=4
    )
    with open_source(given) as source:
        assert facts(source) == {
            "door": asdict(Door.of(key="a-key")), "key": "a-key", "league": "NBA",
            "timezone": "UTC", "limit": 7, "quota_reserve": 2, "retry": asdict(RetryPolicy(1, 4)),
            "trusted_origin": None, "quota": None,
        }  # fmt: skip
        assert source.trusted_origin is None
        assert "a-key" not in repr(source)


def test_without_a_key_the_sample_answers_until_the_with_ends(tmp_path: Path) -> None:
    given = settings(data_dir=tmp_path / "data", retry_count=0)
    with open_source(given) as source:
        fetch = source.fetch_day("2025-03-09", "nba")
        assert fetch.complete
        assert fetch.records
        assert source.trusted_origin is not None
        host, port = source.trusted_origin
        assert all(record["url"].startswith(f"http://{host}:{port}/") for record in fetch.records)
    assert given.archive_dir.is_relative_to(tmp_path)
    with pytest.raises(Exception, match="cannot be reached"):
        source.fetch_day("2025-03-09", "nba")


def test_the_key_is_read_from_the_secret_where_the_environment_has_none() -> None:
    asked: list[str] = []

    def read_secret(name: str) -> str:
        asked.append(name)
        return "key-of-the-secret"

    with open_source(settings(**AWS, rapidapi_secret_id="ncaa/key"), read_secret=read_secret) as source:
        assert facts(source)["key"] == "key-of-the-secret"
    assert asked == ["ncaa/key"]
    with open_source(
        settings(**AWS, rapidapi_secret_id="ncaa/key", rapidapi_key="a-key"), read_secret=read_secret
    ) as source:
        assert facts(source)["key"] == "a-key"
    assert asked == ["ncaa/key"], "a key of the environment's comes first"


def test_no_key_and_no_secret_is_said_before_anything_is_asked() -> None:
    with pytest.raises(SettingsError, match="there is no API key"), open_source(settings(**AWS)):
        pass
    with (
        pytest.raises(SettingsError, match="cannot be read here"),
        open_source(settings(**AWS, rapidapi_secret_id="s")),
    ):
        pass
