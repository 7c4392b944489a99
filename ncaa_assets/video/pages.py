"""The videos of web pages, by yt-dlp: the extra `pages`, switched on by `VIDEO_PAGES=yt-dlp`. Without it, a page is
listed as skipped.

yt-dlp reads pages with a thousand parsers for a thousand hosts, so it runs in a process of its own that has nothing to
lose: none of the person's settings, keys, cookies, cache, plug-ins or programs, an empty working folder, bounded memory
and files. Each of its requests goes through `safe_http`; an audit hook refuses any other connection and every attempt
to start a program but the JavaScript runtime, which gets nothing but a page's scripts (`runtime.py`). Its output comes
back by a pipe and is verified like any other copy.
"""

import json
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ncaa_assets.child import Bounds, Child
from ncaa_assets.failures import BackupError, CopyFailed, VideoRefused, one_line
from ncaa_assets.retry import status_is_transient
from ncaa_assets.text import SENTENCE, visible
from ncaa_assets.video.address import absolute
from ncaa_assets.video.body import CHUNK, TIMEOUT, Body
from ncaa_assets.video.runtime import Runtime, searched_pages
from ncaa_assets.video.safe_http import HostPolicy, new_session, open_url, tells_its_end

_VERDICT = "verdict.json"
_MOST_PAGE_BYTES = 32 * 1024**2  # of one answer while yt-dlp looks for the video, because it reads each into memory
_MOST_MEMORY = 2 * 1024**3  # of its own; address space is no measure, because the runtime reserves 40 GB of it
# One file with picture and sound: there is no ffmpeg to join two. Whole files first, then HLS that yt-dlp reads itself.
_FORMATS = "b[ext=mp4][protocol~='^https?$']/b[protocol~='^https?$']/b[protocol=m3u8_native]"
_ADDRESS = re.compile(r":? ?\S*://\S*")
_LACKS_RUNTIME = re.compile(r"No supported JavaScript runtime|(Signature|n challenge) solving failed")  # yt-dlp's words
_STARTS_A_PROGRAM = {
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "pty.spawn",
    "os.startfile",
}  # fmt: skip


@dataclass(frozen=True)
class _Verdict:
    """How the child ended: `done`, `failed` for a passing reason, or the kind of a refusal, with the reason; and for
    `done`, whether every answer that the video came in told its end."""

    kind: str
    reason: str = ""
    told_its_end: bool = False


class YtDlpReader:
    """Finds and downloads the videos of web pages, each within `most_seconds`, with the `deno` at that path
    as JavaScript runtime (None: there is none); a `body.PageReader`."""

    def __init__(self, policy: HostPolicy, *, most_seconds: float, deno: str | None) -> None:
        self._policy, self._most_seconds, self._deno = policy, most_seconds, deno
        self.searched = searched_pages(deno)
        self._lock = threading.Lock()
        self._running: set[Child] = set()
        self._ended = False

    @contextmanager
    def open(self, url: str, *, max_bytes: int) -> Iterator[Body]:
        """The page's video on its way; `body.PageReader` says what it raises."""
        with tempfile.TemporaryDirectory(prefix="ncaa-assets-page-") as folder:
            policy = asdict(self._policy)
            task = {"url": url, "max_bytes": max_bytes, "policy": policy, "deno": self._deno}
            told: list[bool] = []
            with self._started(Path(folder), task, max_bytes=max_bytes) as child:
                yield Body(
                    pieces=_pieces(child, Path(folder), told),
                    content_type="",
                    promised=None,
                    tells_its_end=lambda: told == [True],
                    break_off=child.kill,
                    from_page=True,
                )

    def end(self) -> None:
        """Ends every child, now and from now on."""
        with self._lock:
            self._ended = True
            running = list(self._running)
        for child in running:
            child.kill()

    @contextmanager
    def _started(self, folder: Path, task: dict[str, Any], *, max_bytes: int) -> Iterator[Child]:
        package = str(Path(__file__).parents[2])
        child = Child(
            [sys.executable, "-P", "-m", __name__],  # our own interpreter on this very file; the URL goes by its stdin
            bounds=Bounds(seconds=self._most_seconds, data=_MOST_MEMORY, file_size=max_bytes),
            environment={
                "HOME": str(folder), "PATH": str(folder), "PYTHONPATH": package, "TMPDIR": str(folder),
                "YTDLP_NO_PLUGINS": "1", "PYTHONDONTWRITEBYTECODE": "1",
            },
            folder=folder,
            feed=True,
            pipe_size=CHUNK,
        )  # fmt: skip
        with child:
            with self._lock:
                self._running.add(child)
                ended = self._ended
            try:
                if ended:
                    child.kill()
                with suppress(BrokenPipeError), child.stdin as pipe:  # ended already: its missing verdict says so
                    pipe.write(json.dumps(task).encode())
                yield child
            finally:
                with self._lock:
                    self._running.discard(child)


def _pieces(child: Child, folder: Path, told: list[bool]) -> Iterator[bytes]:
    """The child's output; at its end, the error that it ended with is raised."""
    while piece := child.stdout.read1(CHUNK):
        yield piece
    ended = child.wait()
    if ended.timed_out:
        raise CopyFailed("copying the video of its page took too long and was ended")
    try:
        verdict = _Verdict(**json.loads((folder / _VERDICT).read_bytes()))
    except (OSError, ValueError, TypeError):
        raise CopyFailed(f"yt-dlp ended without a result ({ended.last_line or ended.trouble})") from None
    if verdict.kind == "failed":
        raise CopyFailed(visible(verdict.reason, most=SENTENCE))  # the child's words: it may be another's by now
    if verdict.kind != "done":
        raise VideoRefused(visible(verdict.reason, most=SENTENCE), kind=visible(verdict.kind, most=20))
    if ended.trouble is not None:  # killed after its verdict: what came may be cut
        raise CopyFailed(f"yt-dlp did not end well ({ended.trouble})")
    told.append(verdict.told_its_end)


# ---- In the child ----------------------------------------------------------------------------------------------------


def main() -> None:
    """Reads a task from stdin, writes the video to stdout and the verdict to a file in the working folder."""
    task = json.load(sys.stdin)
    origin = task["policy"]["trusted_origin"]
    policy = HostPolicy(task["policy"]["allow_private"], (str(origin[0]), int(origin[1])) if origin else None)
    verdict = _download(task["url"], policy, task["max_bytes"], task["deno"])
    if not sys.stdout.closed:  # yt-dlp closes it after HLS
        sys.stdout.flush()
    Path(_VERDICT).write_text(json.dumps(asdict(verdict)), "utf-8")


def _fence(policy: HostPolicy, runtime: Runtime | None) -> None:
    """Nothing in this process, whatever code it runs, reaches a host that the policy does not allow or starts a program
    but the `runtime`."""

    def judge(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _STARTS_A_PROGRAM and not (runtime and runtime.is_start(event, arguments)):
            raise PermissionError(f"no programs here ({event})")
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            address = arguments[1]
            if not (isinstance(address, tuple) and policy.allows(str(address[0]), str(address[0]), int(address[1]))):
                raise PermissionError("no connection to an address that is not public")

    sys.addaudithook(judge)


def _download(url: str, policy: HostPolicy, max_bytes: int, deno: str | None) -> _Verdict:
    runtime = Runtime(deno) if deno else None
    if runtime is not None:
        runtime.replace_popen()

    import requests  # noqa: PLC0415
    import urllib3  # noqa: PLC0415
    import yt_dlp  # noqa: PLC0415
    from yt_dlp import networking  # noqa: PLC0415
    from yt_dlp.networking import exceptions  # noqa: PLC0415

    _fence(policy, runtime)
    session = new_session(policy, pool=4)
    most = [_MOST_PAGE_BYTES]
    refusals: list[VideoRefused] = []
    told: list[bool] = []
    warnings = _Warnings()

    downloading = False
    troubles: list[Exception] = []  # of the download alone: while yt-dlp looks for the video, many errors mean nothing

    def refused(error: VideoRefused) -> Exception:
        refusals.append(error)
        return trouble(exceptions.RequestError(str(error)))

    def trouble(error: Exception) -> Exception:
        troubles.append(error)
        return error

    def too_large() -> Exception:
        what = "the video" if downloading else "an answer"
        return refused(VideoRefused(f"{what} is larger than {most[0]} bytes", kind="too-large"))

    class Answer(networking.Response):  # type: ignore[misc]
        def __init__(self, answer: requests.Response) -> None:
            super().__init__(answer.raw, answer.url, answer.headers, answer.status_code, answer.reason)
            self._left = most[0]

        def read(self, amt: int | None = None) -> bytes:
            pieces, wanted = [], self._left + 1 if amt is None else amt
            try:
                while wanted > 0 and (piece := self.fp.read(min(wanted, CHUNK), decode_content=True)):
                    pieces.append(piece)
                    wanted -= len(piece)
                    self._left -= len(piece)
                    if self._left < 0:
                        raise too_large()
            except urllib3.exceptions.DecodeError as error:
                raise refused(VideoRefused("an answer cannot be unpacked", kind="not-video")) from error
            except urllib3.exceptions.InvalidHeader as error:
                raise refused(VideoRefused(one_line(error), kind="gone")) from error
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise trouble(exceptions.TransportError(one_line(error), cause=error)) from error
            return b"".join(pieces)

    class GuardedRH(networking.RequestHandler):  # type: ignore[misc]
        """Makes every request of yt-dlp through `safe_http`; proxies are accepted and not used."""

        _SUPPORTED_URL_SCHEMES = ("http", "https")
        _SUPPORTED_PROXY_SCHEMES = None
        _SUPPORTED_FEATURES = None

        def _check_extensions(self, extensions: dict[str, Any]) -> None:
            super()._check_extensions(extensions)
            for name in ("cookiejar", "timeout", "legacy_ssl", "keep_header_casing"):
                extensions.pop(name, None)

        def _send(self, request: Any) -> networking.Response:
            session.cookies = self._get_cookiejar(request)  # in memory alone
            headers = {**self._get_headers(request), "Accept-Encoding": "identity"}
            try:
                answer = open_url(
                    session, request.url, timeout=TIMEOUT, method=request.method, headers=headers, data=request.data
                )
            except VideoRefused as error:
                raise refused(error) from None
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                if isinstance(error, requests.exceptions.InvalidHeader):
                    raise refused(VideoRefused(one_line(error), kind="gone")) from error
                raise trouble(exceptions.TransportError(one_line(error), cause=error)) from error
            told.append(tells_its_end(answer))
            response = Answer(answer)
            if not 200 <= answer.status_code < 300:
                raise trouble(exceptions.HTTPError(response))
            length = answer.headers.get("Content-Length", "")
            if length and int(length) > most[0]:
                raise too_large()
            return response

    class Downloader(yt_dlp.YoutubeDL):  # type: ignore[misc]
        @property
        def _request_director(self) -> Any:
            if "guarded" not in self.__dict__:
                self.guarded = self.build_request_director([GuardedRH])
            return self.guarded

    try:
        with Downloader(_options(warnings, deno)) as downloader:
            info = downloader.extract_info(absolute(url), download=False)
            entry = next(iter(info.get("entries") or [info]), None) or {}
            if entry.get("is_live"):
                return _Verdict("unresolved", "its page shows a live broadcast, which has no end to copy up to")
            if not entry.get("url"):
                return _Verdict("unresolved", "yt-dlp finds no video in its page")
            most[0] = max_bytes
            told.clear()
            troubles.clear()
            downloading = True
            downloader.process_ie_result(entry, download=True)
    except (yt_dlp.utils.YoutubeDLError, exceptions.RequestError, BackupError, PermissionError, MemoryError) as error:
        verdict = _verdict([*_causes(error), *(troubles if downloading else [])], refusals)
        return _for_want_of_runtime(verdict, deno) if warnings.lack_runtime else verdict
    return _Verdict("done", told_its_end=bool(told) and all(told))


class _Warnings:
    """yt-dlp's log, of which nothing is kept but whether it asks for a JavaScript runtime."""

    lack_runtime = False

    def debug(self, message: str) -> None: ...

    def warning(self, message: str) -> None:
        self.lack_runtime = self.lack_runtime or _LACKS_RUNTIME.search(message) is not None

    def error(self, message: str) -> None: ...


def _options(warnings: _Warnings, deno: str | None) -> dict[str, Any]:
    return {
        "logger": warnings, "quiet": True, "no_warnings": True, "noprogress": True, "logtostderr": True,
        "outtmpl": {"default": "-"}, "format": _FORMATS, "playlist_items": "1", "noplaylist": True,
        "retries": 0, "fragment_retries": 0, "extractor_retries": 0, "file_access_retries": 0,  # tried again outside
        "skip_unavailable_fragments": False, "continuedl": False, "nopart": True, "updatetime": False,
        "buffersize": CHUNK, "noresizebuffer": True, "socket_timeout": TIMEOUT[1],
        "proxy": "", "cachedir": False, "usenetrc": False, "fixup": "never", "postprocessors": [],
        "js_runtimes": {"deno": {"path": deno}} if deno else {}, "remote_components": [],
        "enable_file_urls": False, "hls_prefer_native": True,
    }  # fmt: skip


def _verdict(errors: list[BaseException], refusals: list[VideoRefused]) -> _Verdict:
    """What an error of yt-dlp's, and what lies behind it, means for the copy."""
    from yt_dlp.networking.exceptions import HTTPError, TransportError  # noqa: PLC0415

    if refusals:
        return _Verdict(refusals[-1].kind, f"in its page: {refusals[-1]}")
    for error in errors:
        if isinstance(error, HTTPError):
            kind = "failed" if status_is_transient(error.status) else "gone"
            return _Verdict(kind, f"its page's host answers yt-dlp with status {error.status}")
        if isinstance(error, TransportError | ConnectionError | TimeoutError):
            return _Verdict("failed", f"the connection of yt-dlp broke ({visible(one_line(error), most=200)})")
    reason = visible(errors[0], most=SENTENCE).removeprefix("ERROR: ").split("; please report")[0]
    reason = _ADDRESS.sub("", reason)  # it is known, and a line of the log shows no whole one
    return _Verdict("unresolved", f"yt-dlp finds no video in its page ({visible(reason, most=200)})")


def _for_want_of_runtime(verdict: _Verdict, deno: str | None) -> _Verdict:
    """The verdict on a page of which yt-dlp said that it needs a runtime."""
    if verdict.kind not in ("gone", "unresolved"):
        return verdict
    if deno is None:
        what = "its page needs a JavaScript runtime, which is not installed"
        return _Verdict("runtime", f"{what}; without one, {verdict.reason}")
    return _Verdict(verdict.kind, f"{verdict.reason}; yt-dlp could not run the page's scripts with {deno}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what lies behind it; yt-dlp keeps that in attributes of its own."""
    todo: list[Any] = [error]
    seen: set[int] = set()
    while todo:
        cause = todo.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            todo += [
                *(getattr(cause, "exc_info", None) or ()),
                getattr(cause, "cause", None),
                cause.__cause__,
                cause.__context__,
            ]


if __name__ == "__main__":
    main()
