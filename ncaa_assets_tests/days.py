"""A day on a real HTTP endpoint, and one run of the daily job on it: what the tests of whole days share."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from ncaa_assets.definitions import build_defs
from ncaa_assets.runs.execute import execute_day
from ncaa_assets.runs.instance import open_instance
from ncaa_assets.runs.outcome import DayRun
from ncaa_assets.settings import Settings
from ncaa_assets_tests.loopback.http_server import Handler, Reply, ScriptedServer

DAY = "2025-03-09"
KEY = "a-key-that-must-not-show"
API_PATH = "/basketball/highlights"
COMMAND = str(Path(sys.executable).with_name("ncaa-assets"))


def record(number: int, url: str | None, **fields: Any) -> dict[str, Any]:
    """A record in the shape of the API's, with what a client may not expect: unknown fields, nulls, unicode."""
    return {
        "id": number,
        "type": "VERIFIED",
        "title": f"Team {number} vs. San José – Highlights",
        "url": url,
        "imgUrl": None,
        "match": {"id": 10**6 + number, "league": {"name": "NCAA", "season": 2025}, "odds": [1.50, 2, None, True]},
        "newField": {"kept": ["verbatim", "ʻokina"]},
        **fields,
    }


def serve_listing(server: ScriptedServer, records: Callable[[], list[Any]], *, path: str = API_PATH) -> str:
    """Answers `path` with the pages of `records()`, as they are when asked, and returns the URL."""

    def page(handler: Handler) -> None:
        asked = server.asked[-1]
        every = records()
        limit, offset = int(asked.query["limit"]), int(asked.query["offset"])
        body = {
            "data": every[offset : offset + limit],
            "pagination": {"totalCount": len(every), "offset": offset, "limit": limit},
            "plan": {"tier": "BASIC", "message": "All data available with current plan."},
        }
        headers = {"x-ratelimit-requests-limit": "100", "x-ratelimit-requests-remaining": "77"}
        Reply(json.dumps(body).encode(), headers=headers, content_type="application/json").send(handler)

    return server.on(path, page)


def settings_for(api_url: str, **values: Any) -> Settings:
    """Settings for an endpoint of a test's own, with its archive in `data` of the working directory."""
    return Settings.model_validate(
        {"api_url": api_url, "rapidapi_key": KEY, "video_allow_private_hosts": True, "retry_delay": 0, **values}
    )


def run_day(settings: Settings, home: Path, day: str = DAY, *, force: bool = False) -> DayRun:
    """One run of the daily job, in this process, on an instance in `home`."""
    os.environ["RAPIDAPI_KEY"] = KEY  # the resource names the variable; the fixture that cleans up restores it
    with open_instance(home) as instance:
        return execute_day(instance, build_defs(settings), date.fromisoformat(day), force=force)


def metadata_of(instance: dg.DagsterInstance, asset: str) -> dict[str, Any]:
    """The metadata of an asset's latest materialization."""
    event = instance.get_latest_materialization_event(dg.AssetKey(asset))
    assert event is not None
    assert event.asset_materialization is not None
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The real `ncaa-assets` command as a process, in the working directory."""
    return subprocess.run(
        [COMMAND, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
