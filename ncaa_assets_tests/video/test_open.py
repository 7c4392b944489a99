"""Which copier a deployment's settings open."""

from typing import Any

import pytest

from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.failures import VideoRefused
from ncaa_assets.ports import CopyOutcome
from ncaa_assets.record.models import CopiedVideo, VideosDay
from ncaa_assets.settings import Settings
from ncaa_assets.source.client import HighlightsApi
from ncaa_assets.source.doors import Door
from ncaa_assets.video import runtime
from ncaa_assets.video.open import open_copier
from ncaa_assets.video.plan import plan_copies
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer
from ncaa_assets_tests.video.copies import DAY, Media, highlight, video


def copied_by(
    store: LocalStore, server: ScriptedServer, *, trusted_origin: tuple[str, int] | None = None, **values: Any
) -> CopyOutcome:
    source = HighlightsApi(Door.of(key=None), "key", league="NCAA", timezone="UTC", trusted_origin=trusted_origin)
    copier = open_copier(Settings.model_validate({"rapidapi_key": "key", **values}), store, source)
    plan = plan_copies([highlight(1, server.url("/clip"))], VideosDay(date=DAY), have=bool, count=None, force=False)
    (outcome,) = copier.copy(DAY, plan)
    return outcome


def test_a_private_host_is_reached_only_where_the_settings_or_the_source_allow_it(
    store: LocalStore, server: ScriptedServer, media: Media
) -> None:
    server.on("/clip", video(media.mp4))
    refused = copied_by(store, server).result
    assert isinstance(refused, VideoRefused)
    assert refused.kind == "unsafe"
    refused = copied_by(store, server, trusted_origin=("127.0.0.1", server.port + 1)).result
    assert isinstance(refused, VideoRefused)
    assert server.asked == []
    assert isinstance(copied_by(store, server, trusted_origin=("127.0.0.1", server.port)).result, CopiedVideo)
    assert isinstance(copied_by(store, server, video_allow_private_hosts=True).result, CopiedVideo)


def test_limits_and_retries_are_the_settings(store: LocalStore, server: ScriptedServer, media: Media) -> None:
    server.on("/clip", video(media.mp4))
    refused = copied_by(store, server, video_allow_private_hosts=True, video_max_bytes=1000).result
    assert isinstance(refused, VideoRefused)
    assert "VIDEO_MAX_BYTES (1000 bytes)" in str(refused)
    server.on("/clip", Reply(status=503))
    before = server.times("/clip")
    copied_by(store, server, video_allow_private_hosts=True, retry_count=2, retry_delay=0)
    assert server.times("/clip") - before == 3


def test_pages_are_read_where_the_settings_ask_for_it(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    source = HighlightsApi(Door.of(key=None), "key", league="NCAA", timezone="UTC")
    for pages, deno, searched in (
        (None, "/usr/bin/deno", set()), ("yt-dlp", None, {"page"}), ("yt-dlp", "/usr/bin/deno", {"page", "runtime"})
    ):  # fmt: skip
        monkeypatch.setattr(runtime, "find", lambda found=deno: found)
        given = Settings.model_validate({"rapidapi_key": "key", "video_pages": pages})
        assert open_copier(given, store, source).searched_pages == searched
