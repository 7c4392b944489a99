"""The JavaScript runtime of web pages: the real deno, started by the real yt-dlp in the child's walls, solves what a
player asks, and a hostile player reaches nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from ncaa_assets.child import Bounds, run
from ncaa_assets.video import runtime
from ncaa_assets.video.pages import _LACKS_RUNTIME, _MOST_MEMORY, _verdict
from ncaa_assets_tests.days import KEY

T = TypeVar("T")
linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own bounds and parent-death signal")

# What the child of `pages.py` does before it reads a page; then yt-dlp solves a player's challenges.
SOLVE = """
import json, sys
from ncaa_assets.video.pages import _Warnings, _fence, _options
from ncaa_assets.video.runtime import Runtime
from ncaa_assets.video.safe_http import HostPolicy
deno, player = sys.argv[1], sys.stdin.read()
runtime = Runtime(deno)
runtime.replace_popen()
import yt_dlp
from yt_dlp.extractor.youtube.jsc._director import initialize_jsc_director
from yt_dlp.extractor.youtube.jsc.provider import JsChallengeRequest, JsChallengeType, NChallengeInput
_fence(HostPolicy(), runtime)
youtube = yt_dlp.YoutubeDL(_options(_Warnings(), deno)).get_info_extractor("Youtube")
youtube._load_player = lambda **_: player
asked = JsChallengeRequest(JsChallengeType.N, NChallengeInput("https://www.youtube.com/p.js", ["abcdef"]), "v")
for _, answer in initialize_jsc_director(youtube).bulk_solve([asked]):
    print(answer.output.results["abcdef"])
"""

# A script of the shape in which yt-dlp finds YouTube's; `solved` is its answer to the challenge n.
PLAYER = """var _yt_player = {};
(function (g) {
  var window = this;
  g.U = function () { this.m = {} };
  g.U.prototype.set = function (k, v) { this.m[k] = v };
  g.U.prototype.get = function (k) { return this.m[k] };
  g.U.prototype.clone = function () { return this };
  g.U.prototype.solve = function () { var n = this.m.n; if (n) this.m.n = SOLVED };
  g.K = function (u, s, v) { var x = new g.U(u); x.set("alr", "yes"); return x };
})(_yt_player);
"""

HOSTILE = """(function () {
  var told = {};
  function attempt(name, what) { try { what(); told[name] = "WORKED" } catch (e) { told[name] = e.name } }
  attempt("read", function () { Deno.readTextFileSync("SECRET") });
  attempt("folder", function () { Deno.readTextFileSync("here") });
  attempt("write", function () { Deno.writeTextFileSync("here", "x") });
  attempt("environment", function () { Deno.env.get("HOME") });
  attempt("program", function () { new Deno.Command("/bin/true").outputSync() });
  attempt("node", function () { process.getBuiltinModule("node:fs").readFileSync("SECRET") });
  attempt("signal", function () { Deno.kill(Deno.ppid, "SIGKILL") });
  attempt("listen", function () { Deno.listen({port: 0}) });
  attempt("connect", function () { new WebSocket("ws://127.0.0.1:8080") });
  attempt("library", function () { Deno.dlopen("libc.so.6", {}) });
  attempt("memory", function () { new Uint8Array(3e9).fill(1) });
  return JSON.stringify(told);
})()"""


def solved(player: str, folder: Path) -> str:
    """What yt-dlp makes of a player in the child's bounds; empty where it could not be solved."""
    (folder / "player.js").write_text(player, "utf-8")
    here = f"import os, sys; os.chdir({str(folder)!r}); sys.stdin = open('player.js')\n"
    ended = run(
        [sys.executable, "-c", here + SOLVE, deno()],
        bounds=Bounds(seconds=60, data=_MOST_MEMORY, file_size=10**8),
        environment={"HOME": str(folder), "PATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
    assert ended.trouble is None, ended.stderr
    return ended.stdout.decode().strip()


def deno() -> str:
    found = runtime.find()
    assert found is not None, "the development packages bring deno: run `make test`"
    return found


def test_yt_dlp_solves_a_players_challenge_with_the_runtime(tmp_path: Path) -> None:
    assert solved(PLAYER.replace("SOLVED", "n.split('').reverse().join('')"), tmp_path) == "fedcba"


@linux
def test_a_hostile_player_reaches_no_file_no_network_no_key_and_no_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAPIDAPI_KEY", KEY)
    secret = tmp_path / "secret"
    secret.write_text("a key", "utf-8")
    told = json.loads(solved(PLAYER.replace("SOLVED", HOSTILE.replace("SECRET", str(secret))), tmp_path))
    assert told.pop("memory") == "RangeError"
    assert len(told) == 10
    assert set(told.values()) == {"NotCapable"}, told


@linux
def test_the_runtime_does_not_outlive_the_run_even_where_nobody_can_end_it(tmp_path: Path) -> None:
    """A kill -9 of the child leaves nobody who would end a script without an end."""
    (tmp_path / "player.js").write_text(PLAYER.replace("SOLVED", "(function () { for (;;); })()"), "utf-8")
    with (
        (tmp_path / "player.js").open() as player,
        subprocess.Popen([sys.executable, "-c", SOLVE, deno()], cwd=tmp_path, stdin=player) as child,
    ):
        script = waited_for(lambda: next((pid for pid in children_of(child.pid) if runs(pid, "--no-remote")), None))
        assert script is not None
        os.kill(child.pid, signal.SIGKILL)
    try:
        assert waited_for(lambda: not runs(script, "--no-remote"))
    finally:
        if runs(script, "--no-remote"):
            os.kill(script, signal.SIGKILL)


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def runs(pid: int, word: str) -> bool:
    try:
        return word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def waited_for(look: Callable[[], T]) -> T:
    until = time.monotonic() + 30
    while not (seen := look()) and time.monotonic() < until:
        time.sleep(0.02)
    return seen


def test_the_runtime_beside_our_interpreter_comes_before_that_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside, on_path = tmp_path / "beside", tmp_path / "path"
    monkeypatch.setattr("ncaa_assets.video.runtime.sysconfig.get_path", lambda _: str(beside))
    monkeypatch.setenv("PATH", str(on_path))
    assert runtime.find() is None
    for folder in (on_path, beside):
        folder.mkdir()
        (folder / "deno").touch(mode=0o755)
        assert runtime.find() == str(folder / "deno")


WORDS = """
from ncaa_assets.video.pages import _Warnings, _options
import yt_dlp
log = _Warnings()
youtube = yt_dlp.YoutubeDL(_options(log, None)).get_info_extractor("Youtube")
youtube.initialize()
youtube._get_requested_clients("https://www.youtube.com/watch?v=x", {}, False)
print(log.lack_runtime)
"""


def test_yt_dlps_own_words_for_a_missing_runtime_are_understood() -> None:
    ended = run([sys.executable, "-c", WORDS], bounds=Bounds(seconds=60))
    assert ended.stdout == b"True\n"
    for words in ("Signature solving failed: Some formats may be missing.", "n challenge solving failed: Some …"):
        assert _LACKS_RUNTIME.search(f"[youtube] x: {words}")


# yt-dlp as it is on a page whose scripts it cannot run: it warns, goes on, and ends with `error`.
PAGE = """
import sys, json
from dataclasses import asdict
import yt_dlp
from yt_dlp.networking.exceptions import TransportError
from ncaa_assets.video.pages import _download
from ncaa_assets.video.safe_http import HostPolicy
deno, error = json.loads(sys.argv[1])
def extract_info(self, url, download):
    self.report_warning("No supported JavaScript runtime could be found. Only deno is enabled by default")
    raise TransportError(error) if error == "reset" else yt_dlp.utils.DownloadError("ERROR: [youtube] x: " + error)
yt_dlp.YoutubeDL.extract_info = extract_info
print(json.dumps(asdict(_download("https://www.youtube.com/watch?v=x", HostPolicy(), 1000, deno))))
"""


@pytest.mark.parametrize(
    ("path", "error", "kind", "says"),
    [
        (None, "Requested format is not available", "runtime", "needs a JavaScript runtime, which is not installed"),
        (None, "reset", "failed", "connection"),
        ("/opt/deno", "Requested format is not available", "unresolved", "could not run the page's scripts with /opt"),
    ],
)
def test_a_page_that_needs_a_runtime_says_so(path: str | None, error: str, kind: str, says: str) -> None:
    ended = run([sys.executable, "-c", PAGE, json.dumps([path, error])], bounds=Bounds(seconds=60))
    verdict = json.loads(ended.stdout)
    assert verdict["kind"] == kind
    assert says in verdict["reason"]
    if kind == "runtime":
        assert error in verdict["reason"]


def test_the_reason_of_a_page_without_a_video_has_no_address() -> None:
    error = ValueError("ERROR: [generic] x: Unsupported URL: https://media.example/watch?v=1")
    assert _verdict([error], []).reason == "yt-dlp finds no video in its page ([generic] x: Unsupported URL)"
