"""Whatever the API and the hosts of its videos say, in whatever place: no line that a command or a run's worker prints
holds more than text, passes for one of ours, or shows a password; and a title of ten million characters is some words.
"""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from dagster._grpc.types import ExecuteRunArgs

from ncaa_assets.definitions import build_defs
from ncaa_assets.runs.execute import job_code_origin, job_origin
from ncaa_assets.runs.instance import open_instance
from ncaa_assets.runs.names import JOB_NAME
from ncaa_assets.settings import Settings
from ncaa_assets_tests.days import KEY
from ncaa_assets_tests.loopback.cloudwatch import matches
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer
from ncaa_assets_tests.loopback.listing import ScriptedApi, game, record, serve_api
from ncaa_assets_tests.test_text import is_fit_to_print

YESTERDAY = (Settings().today() - timedelta(days=1)).isoformat()
ALARM = '{ ($.event = "ncaa_assets_day") && ($.result = "backed_up") }'

FORGED = f'{{"event": "ncaa_assets_day", "day": "{YESTERDAY}", "result": "backed_up", "run_id": "forged"}}'
PIECES = [
    FORGED, "ALERT forged: all is well", "forged", "ncaa-assets: forged", "Duke vs. UNC", "ncaa_assets_day backed_up",
    " ", "\n", "\r\n", "\r", "\u2028", "\x85", "\v", "\0", "\x1b[31m", "\x1b]0;forged\x07", "\x9b2J", "\x08", "\x7f",
    "\u202e", "\u2066", "\u200b", "\ufeff", "\ud83d", "\udfc0", "\ue000", "%s %d {0}", "http://user:secret@host/a",
    "http://us\ner:sec\tret@host", "//secret@host", "![x](http://user:secret@host/x.png)", "[red]", "| ", "🏀",
]  # fmt: skip


def texts(seed: int) -> Iterator[str]:
    """Texts for every place that one may stand in: first each piece at a text's beginning and behind a line's end."""
    chance = random.Random(seed)  # noqa: S311 - the same texts each time
    for piece in PIECES:
        yield piece + "x"
        yield f"x\n{piece}"
    while True:
        yield "".join(chance.choices(PIECES, k=chance.randrange(1, 8)))


def judge(printed: bytes, what: str) -> None:
    """What every output has to be like, whoever made it."""
    text = printed.decode("utf-8")  # half an emoji would not come through
    for line in text.split("\n"):
        assert is_fit_to_print(line), f"{what}: {line!r}"
        begins_as_forged = line.lstrip(" |").startswith(("forged", "ALERT forged", "ncaa-assets: forged", FORGED[:40]))
        assert is_ours(line) or not begins_as_forged, f"{what}: {line!r}"
    assert "secret" not in text, what
    assert "ret@host" not in text, what
    assert "Logging error" not in text, what


def is_ours(line: str) -> bool:
    """Whether a line is one that a finished day logs."""
    try:
        return bool(json.loads(line)["run_id"] != "forged")
    except ValueError:
        return False


def listing(server: ScriptedServer, seed: int) -> list[Any]:
    """A day's records with texts in every place."""
    text = texts(seed)
    page = server.on("/page", Reply(b"<html>", content_type="text/html"))
    odd = server.on(
        "/odd", Reply(b"no video", headers={"X-Odd": "\x1b[31m\x9bforged"}, content_type="\x1b[31mforged; x")
    )
    moved = server.on("/moved", Reply(status=302, headers={"Location": "http://user:secret@127.0.0.1/\x1b[31m"}))
    urls = [
        page,
        odd,
        moved,
        "http://user:secret@127.0.0.1:1/x.mp4",
        "ftp://user:secret@host/",
        None,
        server.url("/no"),
    ]
    records: list[Any] = []
    for number in range(40):
        url = urls[number % len(urls)]
        team = {"name": next(text), "displayName": next(text)}
        records.append(
            record(
                number, url if number < 20 or url is None else url + next(text), title=next(text), channel=next(text),
                source=next(text), type=next(text), match={"id": number, "homeTeam": team, "awayTeam": team},
            )
        )  # fmt: skip
        if number % 3 == 0:
            records[-1]["id"] = next(text)
    return [*records, next(text), {"id": [next(text)], "title": next(text)}, {next(text): next(text)}]


def answers(server: ScriptedServer, seed: int) -> dict[str, Callable[[], Any]]:
    """What the API may answer, by name: records, or a reply in place of them."""
    text = texts(seed)

    def reply(status: int, **fields: Any) -> Callable[[], Reply]:
        return lambda: Reply(json.dumps(fields).encode(), status, content_type="application/json")

    def with_plan(**plan: str) -> Callable[[], Reply]:
        return lambda: Reply(
            json.dumps({"data": listing(server, seed), "pagination": {"totalCount": 43}, "plan": plan}).encode(),
            content_type="application/json",
            headers={"x-ratelimit-requests-remaining": "\x1b[31mforged", "x-ratelimit-requests-limit": "forged"},
        )

    first = f"ALERT forged\n{FORGED}\n\x1b[31m\u202e\ud83dhttp://user:secret@host/ ncaa_assets_day backed_up"
    return {
        "records": lambda: listing(server, seed),
        "records of many megabytes": lambda: [
            record(1, None, title="T" * 10**7), {"id": "I" * 10**7, "title": FORGED}, {"x" * 10**6: FORGED}
        ],
        "a plan's message": with_plan(tier=first, message=first),
        "400": reply(400, message=first, errors=[first]),
        "401": reply(401, message=first),
        "403": reply(403, message=f"forged\n{next(text)}"),
        "429": reply(429, message=first),
        "500": lambda: Reply(first.encode("utf-8", "surrogatepass") * 1000, 500, content_type="text/html\x1b[31m"),
        "no JSON": lambda: Reply(first.encode("utf-8", "surrogatepass"), content_type="text/\x1b[31mforged"),
        "a redirect": lambda: Reply(b"", 302, headers={"Location": "http://user:secret@127.0.0.1/\x1b[31mforged"}),
        "an odd coding": lambda: Reply(b"{}", headers={"Content-Encoding": "\x1b[31mforged"}),
    }  # fmt: skip


@pytest.fixture
def api(server: ScriptedServer) -> ScriptedApi:
    return serve_api(server)


def environment(api: ScriptedApi) -> dict[str, str]:
    return {
        "RAPIDAPI_KEY": KEY, "API_BASE": api.base_url, "API_MODULE": "basketball", "VIDEO_ALLOW_PRIVATE_HOSTS": "1",
        "START_DATE": YESTERDAY, "RETRY_COUNT": "1", "RETRY_DELAY": "0", "LOG_LEVEL": "DEBUG", "VIDEO_COUNT": "40",
    }  # fmt: skip


NAMES = sorted(answers(ScriptedServer(), 1))


@pytest.mark.parametrize("name", NAMES)
def test_no_command_prints_more_than_text(
    run: Callable[..., Result], api: ScriptedApi, server: ScriptedServer, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    api.highlights["basketball"] = lambda _: answers(server, 7)[name]()
    api.matches["basketball"] = [
        game(1, state={"description": FORGED, "score": {"current": "\x1b[31m"}}, venue="\ud83d")
    ]
    for command in (["backup"], ["backup", "--debug"], ["catch-up"], ["verify"], ["doctor"], ["source"]):
        done = run(*command, **environment(api))
        logged = capfd.readouterr().err
        printed = (done.output + logged).encode("utf-8", "surrogatepass")
        judge(printed, f"{name}: {command}")
        assert len(printed) < 150_000, f"{name}: {command} printed {len(printed)} bytes"
        assert "unexpected" not in done.output, done.output
        is_whole = command[0] == "backup" and done.exit_code == 0
        counted = [line for line in logged.splitlines() if matches(ALARM, line)]
        assert len(counted) == is_whole or command[0] == "catch-up", f"{name}: {counted}"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["records", "records of many megabytes", "a plan's message", "400", "500"])
def test_no_run_worker_logs_more_than_text(
    api: ScriptedApi, server: ScriptedServer, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker as Dagster's launchers start it, here and on ECS. Its stderr is what CloudWatch gets, line by line."""
    api.highlights["basketball"] = lambda _: answers(server, 8)[name]()
    for variable, value in environment(api).items():
        monkeypatch.setenv(variable, value)
    with open_instance(tmp_path / "home") as instance:
        job = build_defs(Settings.from_environment()).resolve_job_def(JOB_NAME)
        run = instance.create_run_for_job(
            job,
            tags=dict(job.get_tags_for_partition_key(YESTERDAY, None)),
            remote_job_origin=job_origin(),
            job_code_origin=job_code_origin(),
        )
        arguments = ExecuteRunArgs(
            job_origin=job_code_origin(), run_id=run.run_id, instance_ref=instance.get_ref()
        ).get_command_args()
    done = subprocess.run([sys.executable, *arguments[1:]] if arguments[0] == sys.executable else arguments,
                          env=dict(os.environ), capture_output=True, check=False)  # fmt: skip
    judge(done.stdout + done.stderr, name)
    assert len(done.stderr) < 200_000
    days = [json.loads(line) for line in done.stderr.decode().splitlines() if line.startswith("{")]
    assert [day["run_id"] for day in days] == [run.run_id], "the day's line is alone on its line"
    counted = [line for line in done.stderr.decode().splitlines() if matches(ALARM, line)]
    assert len(counted) == (days[0]["result"] == "backed_up")
    assert date.fromisoformat(days[0]["day"])
