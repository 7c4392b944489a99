"""The jobs of AWS Elemental MediaConvert: this emulator checks what AWS checks, and really encodes from S3 to S3.

Requests are checked against botocore's model of the service (unknown members, enums, and the ranges that its shapes
carry in their names), then against the words of the API reference and the User Guide. Where those leave a choice, this
takes the stricter one. A feature that it does not have raises NotImplementedError, which `Cloud.problems` shows. HTTP,
faults and hooks are in aws.py.
"""

import base64
import binascii
import functools
import json
import random
import re
import shutil
import string
import subprocess
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import botocore.session
from botocore.exceptions import ClientError
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

from ncaa_assets.media.ffmpeg import ffmpeg_program
from ncaa_assets_tests.loopback.s3_rules import ACCOUNT, Refused

REGION = "us-east-1"
PAGE = 20
Status = Literal["SUBMITTED", "PROGRESSING", "COMPLETE", "CANCELED", "ERROR"]

# The set that AacSettings.Bitrate names.
_AAC_BITRATES = {
    6000, 8000, 10000, 12000, 14000, 16000, 20000, 24000, 28000, 32000, 40000, 48000, 56000, 64000, 80000, 96000,
    112000, 128000, 160000, 192000, 224000, 256000, 288000, 320000, 384000, 448000, 512000, 576000, 640000, 768000,
    896000, 1024000,
}  # fmt: skip
_AAC_CHANNELS = {"CODING_MODE_1_0": "1", "CODING_MODE_2_0": "2", "CODING_MODE_5_1": "6"}
_EXTENSIONS = {"MP4": "mp4", "MOV": "mov"}


@dataclass
class EmulatedJob:
    """One job. `request` is what CreateJob was given, as it came over the wire; times are in seconds since 1970."""

    id: str
    request: dict[str, Any]
    created: float
    status: Status = "SUBMITTED"
    phase: str | None = None
    percent: int | None = None
    started: float | None = None
    finished: float | None = None
    error_code: int | None = None
    error_message: str | None = None
    details: list[dict[str, Any]] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)  # the keys that were stored

    @property
    def input(self) -> str:
        return str(self.request["settings"]["inputs"][0]["fileInput"])

    @property
    def over(self) -> bool:
        return self.status in ("COMPLETE", "CANCELED", "ERROR")


@dataclass(frozen=True)
class _Ending:
    status: Literal["ERROR", "CANCELED"]
    code: int | None = None
    message: str | None = None


class _Failed(Exception):
    """The job ends in ERROR, with a code of the User Guide's table."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Stopped(Exception):
    """The job was canceled, or the emulator reset, while it ran."""


class MediaConvert:
    """The emulator; a `Cloud` has one as `mediaconvert`.

    Attributes:
        jobs: every job, the oldest first.
        encodes: how many jobs were encoded to their end, which is what AWS would charge for.
        token_seconds: how long a ClientRequestToken leads to its first job (a minute, says the API reference).
        search_lag_seconds: how long SearchJobs does not know of a new job.
        queues: the queues there are.
        on_end: called with the detail of the event that MediaConvert publishes when a job has ended by itself.
    """

    def __init__(self, s3: Callable[[], Any], problem: Callable[[str], None]) -> None:
        self._s3, self._problem = s3, problem
        self._changed = threading.Condition()
        self._futures: dict[str, Future[None]] = {}
        self._pool = ThreadPoolExecutor(PAGE, "mediaconvert")
        self._ending: list[_Ending] = []
        self._start_again()

    def _start_again(self) -> None:
        self.jobs: list[EmulatedJob] = []
        self.encodes = 0
        self.token_seconds = 60.0
        self.search_lag_seconds = 0.0
        self.queues = ["Default"]
        self.on_end: Callable[[dict[str, Any]], object] | None = None
        self._held_at: str | None = None
        self._ending.clear()
        self._losses = 0

    def reset(self) -> None:
        """As new. Ends what still runs, and waits until it has."""
        with self._changed:
            for job in self.jobs:
                if not job.over:
                    job.status = "CANCELED"
            self._changed.notify_all()
        for future in self._futures.values():
            future.exception()
        self._futures.clear()
        self._start_again()

    def stop(self) -> None:
        self.reset()
        self._pool.shutdown()

    def hold(self, at: Literal["SUBMITTED", "PROGRESSING"] = "PROGRESSING") -> None:
        """Jobs go no further than this status until `release()`."""
        with self._changed:
            self._held_at = at

    def release(self) -> None:
        with self._changed:
            self._held_at = None
            self._changed.notify_all()

    def end_next(
        self, status: Literal["ERROR", "CANCELED"], *, code: int | None = None, message: str | None = None
    ) -> None:
        """The next job (after those already spoken for) is not encoded but ends so."""
        with self._changed:
            self._ending.append(_Ending(status, code, message))

    def lose_outputs(self, times: int = 1) -> None:
        """The next jobs end as COMPLETE, but their outputs are not there."""
        with self._changed:
            self._losses += times

    def wait_for(self, status: Status, *, count: int = 1, timeout: float = 60) -> None:
        """Waits until so many jobs have this status.

        Raises:
            TimeoutError: they have not.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: sum(j.status == status for j in self.jobs) >= count, timeout):
                raise TimeoutError(f"not {count} jobs are {status}: {[(j.id, j.status) for j in self.jobs]}")

    def answer(self, operation: str, path: str, query: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        """The status and JSON body for one request.

        Raises:
            Refused: AWS would not do this.
            NotImplementedError: the emulator cannot do this.
        """
        name = path.rstrip("/").rpartition("/")[2]
        if operation == "CreateJob":
            return 201, {"job": self._create(body)}
        _check_query(operation, query)
        if operation == "GetJob":
            return 200, {"job": self._shown(self._find(name))}
        if operation == "CancelJob":
            self._cancel(self._find(name))
            return 202, {}
        if operation in ("ListJobs", "SearchJobs"):
            return 200, self._page(operation, query)
        if operation == "GetQueue":
            return 200, {"queue": self._queue(name)}
        raise NotImplementedError(f"MediaConvert's {operation} is not emulated")

    def _create(self, body: bytes) -> dict[str, Any]:
        request = _check_job(body)
        queue = str(request.get("queue", "Default")).rpartition("/")[2]
        now = time.time()
        with self._changed:
            if queue not in self.queues:
                raise Refused(404, "NotFoundException", f"The queue {queue} does not exist.")
            if (token := request.get("clientRequestToken")) is not None:
                for earlier in reversed(self.jobs):
                    if earlier.request.get("clientRequestToken") == token and now - earlier.created < (
                        self.token_seconds
                    ):
                        return self._shown(earlier)
            ending = "".join(random.choices(string.ascii_lowercase, k=6))  # noqa: S311
            job = EmulatedJob(f"{int(now * 1000)}-{ending}", request, now)
            self.jobs.append(job)
            self._changed.notify_all()
            self._futures[job.id] = self._pool.submit(self._run, job)
            return self._shown(job)

    def _find(self, name: str) -> EmulatedJob:
        for job in self.jobs:
            if job.id == name:
                return job
        raise Refused(404, "NotFoundException", f"The job {name} does not exist.")

    def _cancel(self, job: EmulatedJob) -> None:
        with self._changed:
            if job.over:
                raise Refused(409, "ConflictException", f"The job {job.id} is {job.status} and cannot be canceled.")
            self._end(job, "CANCELED")

    def _page(self, operation: str, query: dict[str, str]) -> dict[str, Any]:
        part = query.get("inputFile", "")
        if len(part) > 300:
            raise _bad("inputFile", "The maximum length for an input file is 300 characters.")
        lag = self.search_lag_seconds if operation == "SearchJobs" else 0
        queue = query.get("queue", "").rpartition("/")[2]
        with self._changed:
            found = [
                (index, job)
                for index, job in enumerate(self.jobs)
                if part in job.input
                and query.get("status", job.status) == job.status
                and queue in ("", self._queue_of(job))
                and time.time() - job.created >= lag
            ]
            # Both operations are described as giving the most recent jobs.
            newest_first = query.get("order", "DESCENDING") == "DESCENDING"
            found.sort(reverse=newest_first)
            if token := query.get("nextToken"):
                last = _from_token(token)
                found = [(index, job) for index, job in found if (index < last if newest_first else index > last)]
            page = found[: int(query.get("maxResults", PAGE))]
            answer: dict[str, Any] = {"jobs": [self._shown(job) for _, job in page]}
            if len(page) < len(found):
                answer["nextToken"] = base64.urlsafe_b64encode(b"after %d" % page[-1][0]).decode()
            return answer

    def _queue(self, name: str) -> dict[str, Any]:
        if name not in self.queues:
            raise Refused(404, "NotFoundException", f"The queue {name} does not exist.")
        of_queue = [job.status for job in self.jobs if self._queue_of(job) == name]
        return {
            "arn": _arn(f"queues/{name}"),
            "name": name,
            "status": "ACTIVE",
            "type": "SYSTEM" if name == "Default" else "CUSTOM",
            "pricingPlan": "ON_DEMAND",
            "submittedJobsCount": of_queue.count("SUBMITTED"),
            "progressingJobsCount": of_queue.count("PROGRESSING"),
        }

    @staticmethod
    def _queue_of(job: EmulatedJob) -> str:
        return str(job.request.get("queue", "Default")).rpartition("/")[2]

    def _shown(self, job: EmulatedJob) -> dict[str, Any]:
        """A job as the wire has it; members without a value are left out."""
        shown = {
            "arn": _arn(f"jobs/{job.id}"),
            "id": job.id,
            "createdAt": int(job.created),
            "status": job.status,
            "currentPhase": job.phase,
            "jobPercentComplete": job.percent,
            "queue": _arn(f"queues/{self._queue_of(job)}"),
            "role": job.request["role"],
            "settings": job.request["settings"],
            "userMetadata": job.request.get("userMetadata", {}),
            "clientRequestToken": job.request.get("clientRequestToken"),
            "priority": job.request.get("priority", 0),
            "accelerationSettings": job.request.get("accelerationSettings", {"mode": "DISABLED"}),
            "accelerationStatus": "NOT_APPLICABLE",
            "billingTagsSource": job.request.get("billingTagsSource", "JOB"),
            "statusUpdateInterval": job.request.get("statusUpdateInterval", "SECONDS_60"),
            "messages": {"info": [], "warning": []},
            "timing": {
                name: int(at)
                for name, at in (
                    ("submitTime", job.created),
                    ("startTime", job.started),
                    ("finishTime", job.finished),
                )
                if at is not None
            },
            "errorCode": job.error_code,
            "errorMessage": job.error_message,
            "outputGroupDetails": job.details or None,
        }
        return {name: value for name, value in shown.items() if value is not None}

    # A job's way, in a thread of its own.

    def _run(self, job: EmulatedJob) -> None:
        try:
            self._process(job)
        except _Stopped:
            return
        except _Failed as failed:
            with self._changed:
                self._end(job, "ERROR", failed.code, str(failed))
        finally:
            if not job.over:  # the emulator itself failed: the test has to know, and its client must not wait for ever
                self._problem(traceback.format_exc())
                with self._changed:
                    self._end(job, "ERROR", 1999, "The emulator failed: see `problems`.")
        if self.on_end:
            self.on_end(self._event_of(job))

    def _event_of(self, job: EmulatedJob) -> dict[str, Any]:
        """The detail of "MediaConvert Job State Change" ("EventBridge events" in the user guide)."""
        shown = self._shown(job)
        names = ("status", "queue", "errorCode", "errorMessage", "userMetadata")
        told = {name: shown[name] for name in names if name in shown}
        return {"timestamp": int(time.time() * 1000), "accountId": ACCOUNT, "jobId": shown["id"], **told}

    def _process(self, job: EmulatedJob) -> None:
        with self._changed:
            ending = self._ending.pop(0) if self._ending else None
            loses = ending is None and self._losses > 0
            self._losses -= loses
            self._pass(job, "SUBMITTED")
            job.status, job.phase, job.percent, job.started = "PROGRESSING", "PROBING", 0, time.time()
            self._changed.notify_all()
        self._pass(job, "PROGRESSING")
        if ending:
            with self._changed:
                self._pass(job, None)
                self._end(job, ending.status, ending.code, ending.message)
            return
        with tempfile.TemporaryDirectory(prefix="mediaconvert-") as folder:
            self._encode(job, Path(folder), loses)

    def _encode(self, job: EmulatedJob, folder: Path, loses: bool) -> None:
        settings = job.request["settings"]
        source = self._download(job, folder / "input")
        found = probe(source)
        if found is None:
            raise _Failed(1010, f"Unable to open input file [{job.input}]: [Failed probe/open: [No parser found]]")
        if found.height is None:
            raise _Failed(1020, f"No video was found in the input file [{job.input}].")
        made: list[tuple[str, Path]] = []
        details: list[dict[str, Any]] = []
        planned = list(_outputs(settings))
        for number, (group, output, base) in enumerate(planned):
            self._note(job, "TRANSCODING", 90 * number // len(planned))
            if output.get("audioDescriptions"):
                _check_audio(settings["inputs"][0], source, job.input)
            files = list(self._render(job, output, base, source, found, folder / str(number)))
            made += files
            shown = probe(files[0][1])
            if shown is None:
                raise NotImplementedError(f"ffmpeg cannot read what it made of {output}")
            while len(details) <= group:
                details.append({"outputDetails": []})
            size = {"widthInPx": shown.width, "heightInPx": shown.height}
            codec = output["videoDescription"]["codecSettings"]
            # The User Guide's example has 37 captures, one every 5 s, of 180 s: 185,000 ms.
            seconds = len(files) * _every(codec) if codec["codec"] == "FRAME_CAPTURE" else shown.seconds or 0
            milliseconds = round(1000 * seconds)
            details[group]["outputDetails"].append({"durationInMs": milliseconds, "videoDetails": size})
        self._note(job, "UPLOADING", 90)
        for place, file in made if not loses else []:
            self._pass(job, None)
            self._upload(job, place, file)
        with self._changed:
            self._pass(job, None)
            job.details = details
            self.encodes += 1
            self._end(job, "COMPLETE")

    def _download(self, job: EmulatedJob, file: Path) -> Path:
        bucket, _, key = job.input.removeprefix("s3://").partition("/")
        try:
            with file.open("wb") as into:
                shutil.copyfileobj(self._s3().get_object(Bucket=bucket, Key=key)["Body"], into)
        except ClientError as error:
            code = 1401 if error.response["Error"]["Code"] in ("403", "AccessDenied") else 1404
            raise _Failed(code, f"Unable to open input file [{job.input}]: [Failed probe/open: [{error}]]") from error
        return file

    def _upload(self, job: EmulatedJob, place: str, file: Path) -> None:
        bucket, _, key = place.removeprefix("s3://").partition("/")
        kind = "image/jpeg" if file.suffix == ".jpg" else "video/mp4"
        try:
            with file.open("rb") as body:
                self._s3().put_object(Bucket=bucket, Key=key, Body=body, ContentType=kind)
        except ClientError as error:
            raise _Failed(1404, f"Unable to write to output file [{place}]: [{error}]") from error
        job.outputs.append(key)

    def _render(
        self, job: EmulatedJob, output: dict[str, Any], base: str, source: Path, found: "Probe", stem: Path
    ) -> Iterator[tuple[str, Path]]:
        """Makes one output's files, and yields where each is to go."""
        chosen = job.request["settings"]["inputs"][0]
        codec = output["videoDescription"]["codecSettings"]
        if codec["codec"] == "FRAME_CAPTURE":
            settings = codec["frameCaptureSettings"]
            every = _every(codec)
            for number in range(settings.get("maxCaptures", 10_000_000)):
                at = number * every
                if number and at >= (found.seconds or 0):
                    return
                file = stem.with_name(f"{stem.name}.{number:07}.jpg")
                self._ffmpeg(job, frame_arguments(chosen, output, source, file, at_seconds=at))
                yield f"{base}.{number:07}.jpg", file
        else:
            extension = output.get("extension") or _EXTENSIONS[output["containerSettings"]["container"]]
            file = stem.with_suffix(".mp4")
            self._ffmpeg(job, video_arguments(chosen, output, source, file))
            yield f"{base}.{extension}", file

    def _ffmpeg(self, job: EmulatedJob, arguments: list[str]) -> None:
        with subprocess.Popen(
            [ffmpeg_program(), *arguments], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        ) as process:
            try:
                while True:
                    try:
                        _, told = process.communicate(timeout=0.1)
                        break
                    except subprocess.TimeoutExpired:
                        self._pass(job, None)
            finally:
                if process.poll() is None:
                    process.kill()
        if process.returncode:
            said = re.sub(r"0x[0-9a-f]+", "…", told.decode("utf-8", "replace").strip()[-300:])
            raise _Failed(1030 if "no decoder found" in said else 1075, f"Transcoding failed: {said}")

    def _note(self, job: EmulatedJob, phase: str, percent: int) -> None:
        with self._changed:
            self._pass(job, None)
            job.phase, job.percent = phase, percent
            self._changed.notify_all()

    def _pass(self, job: EmulatedJob, held: str | None) -> None:
        """Waits while jobs are held at this status.

        Raises:
            _Stopped: the job is over.
        """
        with self._changed:
            self._changed.wait_for(lambda: job.over or held is None or self._held_at != held)
            if job.over:
                raise _Stopped

    def _end(self, job: EmulatedJob, status: Status, code: int | None = None, message: str | None = None) -> None:
        job.status, job.error_code, job.error_message, job.finished = status, code, message, time.time()
        job.phase = None
        job.percent = 100 if status == "COMPLETE" else job.percent
        self._changed.notify_all()


# What ffmpeg is asked for.


def video_arguments(chosen: dict[str, Any], output: dict[str, Any], source: Path, file: Path) -> list[str]:
    """ffmpeg's arguments for one MP4 output, out of the job's own settings for its input and this output."""
    video = output["videoDescription"]
    codec = video["codecSettings"]["h264Settings"]
    arguments = [*_read_input(chosen, source), "-map", "0:v:0", "-map_metadata", "-1"]
    rate = ""
    if codec.get("framerateControl") == "SPECIFIED":
        rate = f"fps={codec['framerateNumerator']}/{codec['framerateDenominator']},"
    pixels = ",setsar=1" if codec.get("parControl") == "SPECIFIED" else ""
    arguments += ["-vf", f"{rate}{_picture(chosen, video)}{pixels}"]
    arguments += ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
    profile = codec.get("codecProfile", "MAIN")
    # x264's fastest preset is Baseline in all but name; these two make the stream what the profile allows.
    arguments += ["-profile:v", profile.lower(), *([] if profile == "BASELINE" else ["-coder", "1", "-bf", "2"])]
    if profile == "HIGH":
        arguments += ["-x264-params", "8x8dct=1"]
    if codec["rateControlMode"] == "QVBR":
        quality = codec.get("qvbrSettings", {})
        level = quality.get("qvbrQualityLevel", 7) + quality.get("qvbrQualityLevelFineTune", 0)
        ceiling = codec["maxBitrate"]
        # Level 7 is near x264's 23; three steps of its scale a level keep 10 near lossless.
        arguments += ["-crf", f"{44 - 3 * level:.1f}", "-maxrate", str(ceiling), "-bufsize", str(
            codec.get("hrdBufferSize") or 2 * ceiling
        )]  # fmt: skip
    else:
        arguments += ["-b:v", str(codec["bitrate"])]
    if codec.get("gopSizeUnits") == "SECONDS":
        arguments += ["-force_key_frames", f"expr:gte(t,n_forced*{codec['gopSize']})"]
    elif codec.get("gopSizeUnits") == "FRAMES":
        frames = str(int(codec["gopSize"]))
        arguments += ["-g", frames, "-keyint_min", frames, "-sc_threshold", "0"]
    for description in output.get("audioDescriptions", []):
        aac = description["codecSettings"]["aacSettings"]
        arguments += ["-map", _sound_of(chosen), "-c:a", "aac", "-b:a", str(aac["bitrate"])]
        arguments += ["-ar", str(aac["sampleRate"]), *_channels(chosen, source, aac)]
    placement = output["containerSettings"].get("mp4Settings", {}).get("moovPlacement", "PROGRESSIVE_DOWNLOAD")
    if placement == "PROGRESSIVE_DOWNLOAD":
        arguments += ["-movflags", "+faststart"]
    return [*arguments, "-f", "mp4", str(file)]


def frame_arguments(
    chosen: dict[str, Any], output: dict[str, Any], source: Path, file: Path, *, at_seconds: float
) -> list[str]:
    """ffmpeg's arguments for one captured frame."""
    video = output["videoDescription"]
    quality = video["codecSettings"]["frameCaptureSettings"].get("quality", 80)
    return [
        *_read_input(chosen, source, "-ss", f"{at_seconds:.3f}"),
        "-frames:v", "1", "-vf", _picture(chosen, video), "-q:v", str(2 + round((100 - quality) * 0.29)),
        "-f", "image2", "-update", "1", str(file),
    ]  # fmt: skip


def _read_input(chosen: dict[str, Any], source: Path, *options: str) -> list[str]:
    """How the input is read. "By default, the service does no rotation, even if your input video has rotation
    metadata." """
    turns = chosen.get("videoSelector", {}).get("rotate", "DEGREE_0")
    if turns not in ("AUTO", "DEGREE_0"):
        raise NotImplementedError(f"rotate {turns} is not emulated")
    upright = ["-noautorotate"] if turns == "DEGREE_0" else []
    return ["-hide_banner", "-y", "-loglevel", "error", *upright, *options, "-i", str(source)]


def _sound_of(chosen: dict[str, Any]) -> str:
    (selector,) = chosen["audioSelectors"].values()
    if pids := selector.get("pids"):
        return f"0:i:{pids[0]}"
    return f"0:a:{selector.get('tracks', [1])[0] - 1}"


def _channels(chosen: dict[str, Any], source: Path, aac: dict[str, Any]) -> list[str]:
    """The output's channels. Without a remix one channel stays on its side."""
    (selector,) = chosen["audioSelectors"].values()
    channels = ["-ac", _AAC_CHANNELS[aac["codingMode"]]]
    told = subprocess.run(
        [ffmpeg_program(), "-hide_banner", "-i", str(source), "-map", _sound_of(chosen), "-t", "0", "-f", "null", "-"],
        stdin=subprocess.DEVNULL, capture_output=True, check=False,
    ).stderr.decode("utf-8", "replace")  # fmt: skip
    is_mono = re.search(r"Output #0.*Audio: .*\bmono\b", told, re.DOTALL) is not None
    if is_mono and "remixSettings" not in selector and aac["codingMode"] == "CODING_MODE_2_0":
        return ["-af", "pan=stereo|c0=c0"]
    return channels


def _check_audio(chosen: dict[str, Any], source: Path, name: str) -> None:
    """Whether the selected sound is there and can be decoded.

    Raises:
        _Failed: with the code for either.
    """
    command = [ffmpeg_program(), "-v", "error", "-i", str(source), "-map", _sound_of(chosen), "-f", "null", "-"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    told = done.stderr.decode("utf-8", "replace")
    if "matches no streams" in told:
        raise _Failed(1021, f"No audio was found in the input file [{name}].")
    if done.returncode:
        raise _Failed(1092, f"An audio stream of the input file [{name}] cannot be decoded.")


def _every(codec: dict[str, Any]) -> float:
    """Seconds from one captured frame to the next."""
    settings = codec["frameCaptureSettings"]
    return float(settings.get("framerateDenominator", 1) / settings.get("framerateNumerator", 1))


_TAGGED = "setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709"
_FALLBACKS = {"REC_601": "smpte170m", "REC_709": "bt709"}


def _picture(chosen: dict[str, Any], video: dict[str, Any]) -> str:
    """VideoDescription and VideoSelector as filters of ffmpeg."""
    before = video.get("videoPreprocessors", {})
    selector, colours = chosen.get("videoSelector", {}), before.get("colorCorrector", {})
    filters = []
    if "deinterlacer" in before:
        filters.append("bwdif=mode=send_frame:deint=interlaced")
    space = selector.get("colorSpace")
    conversion = colours.get("colorSpaceConversion", "NONE")
    if space in ("HDR10", "HLG_2020") and conversion == "FORCE_709":
        if "hdrToSdrToneMapper" not in colours:
            raise NotImplementedError("a tone map that nobody chose is not emulated")
        filters += [
            _scale(video),
            "zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,tonemap=mobius:param=0.8:desat=0:peak=4.93",
            "zscale=t=bt709:m=bt709:r=tv,format=yuv420p",
        ]
    elif conversion == "FORCE_709":
        fallback = f":in_color_matrix={_FALLBACKS[space]}" if space in _FALLBACKS else ""
        squeezed = ":out_range=tv" if colours.get("sampleRangeConversion") == "LIMITED_RANGE_SQUEEZE" else ""
        filters.append(_scale(video, f"{fallback}:out_color_matrix=bt709{squeezed}"))
    elif conversion == "NONE":
        filters.append(_scale(video))
    else:
        raise NotImplementedError(f"{conversion} is not emulated")
    if conversion == "FORCE_709" and video.get("colorMetadata", "INSERT") == "INSERT":
        filters += ["format=yuv420p", _TAGGED]
    return ",".join(filters)


def _scale(video: dict[str, Any], more: str = "") -> str:
    """VideoDescription: without width and height the input's size, with one of them the other in proportion; with both,
    the default adds bars where the shapes differ."""
    width, height = video.get("width"), video.get("height")
    if video.get("scalingBehavior", "DEFAULT") not in ("DEFAULT", "STRETCH_TO_OUTPUT"):
        raise NotImplementedError(f"scalingBehavior {video['scalingBehavior']} is not emulated")
    if width is None and height is None:
        return f"scale=trunc(iw/2)*2:trunc(ih/2)*2{more}"
    if not (width and height):
        return f"scale={width or -2}:{height or -2}{more}"
    if video.get("scalingBehavior") == "STRETCH_TO_OUTPUT":
        return f"scale={width}:{height}{more}"
    fitted = f"scale={width}:{height}:force_original_aspect_ratio=decrease:force_divisible_by=2:reset_sar=1{more}"
    return f"{fitted},pad={width}:{height}:(ow-iw)/2:(oh-ih)/2"


@dataclass(frozen=True)
class Probe:
    """What ffmpeg says of a file: its length in seconds, and its picture's size in pixels, None where there is none."""

    seconds: float | None
    width: int | None
    height: int | None
    has_sound: bool


def probe(file: Path) -> Probe | None:
    """What a file holds, or None where it cannot be read."""
    done = subprocess.run(
        [ffmpeg_program(), "-hide_banner", "-i", str(file)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,  # without an output, ffmpeg always ends with 1
        start_new_session=True,
    )
    told = done.stderr.decode("utf-8", "replace")
    if "Input #0" not in told:
        return None
    length = re.search(r"Duration: (\d+):(\d+):(\d+\.\d+)", told)
    picture = re.search(r"Stream #0.*?: Video: .*?, (\d{2,})x(\d{2,})", told)
    return Probe(
        int(length[1]) * 3600 + int(length[2]) * 60 + float(length[3]) if length else None,
        int(picture[1]) if picture else None,
        int(picture[2]) if picture else None,
        re.search(r"Stream #0.*?: Audio: ", told) is not None,
    )


# What AWS checks.


def _bad(where: str, what: str) -> Refused:
    # As AWS words it: "/outputGroups/0/outputs/0: containerSettings is a required property".
    return Refused(400, "BadRequestException", f"{where or '/'}: {what}")


@functools.cache
def _model() -> Any:
    return botocore.session.get_session().get_service_model("mediaconvert")


def _check_query(operation: str, query: dict[str, str]) -> None:
    shape = _model().operation_model(operation).input_shape
    members = {
        member.serialization["name"]: member
        for member in shape.members.values()
        if member.serialization.get("location") == "querystring"
    }
    for name, value in query.items():
        if name not in members:
            raise _bad(name, "is not a known parameter")
        typed = int(value) if members[name].type_name == "integer" and value.isdecimal() else value
        _check_shape(members[name], typed, name)


def _check_job(body: bytes) -> dict[str, Any]:
    """A CreateJob request, checked.

    Raises:
        Refused: with a message that names the member.
    """
    try:
        request = json.loads(body)
    except ValueError:
        raise _bad("", "the request is not JSON") from None
    _check_shape(_model().operation_model("CreateJob").input_shape, request, "")
    token = request.get("clientRequestToken", "")
    if len(token) > 64 or not token.isascii():
        raise _bad("/clientRequestToken", "Should be up to 64 ASCII characters")
    if not re.fullmatch(r"arn:aws[a-z-]*:iam::\d{12}:role/\S+", request["role"]):
        raise _bad("/role", f"{request['role']!r} is not the ARN of a role")
    for name, value in request.get("userMetadata", {}).items():
        if len(name) > 256 or len(value) > 256:
            raise _bad("/userMetadata", f"{name[:300]} should be up to 256 characters, its value too")
    if "jobTemplate" in request:
        raise NotImplementedError("job templates are not emulated")
    _check_settings(request["settings"])
    return dict(request)


def _check_shape(shape: Shape, value: Any, where: str) -> None:
    if isinstance(shape, StructureShape):
        _check_structure(shape, value, where)
    elif isinstance(shape, ListShape):
        if not isinstance(value, list):
            raise _bad(where, "Should be a list")
        for index, item in enumerate(value):
            _check_shape(shape.member, item, f"{where}/{index}")
    elif isinstance(shape, MapShape):
        if not isinstance(value, dict):
            raise _bad(where, "Should be an object")
        for name, item in value.items():
            _check_shape(shape.value, item, f"{where}/{name}")
    elif isinstance(shape, StringShape):
        _check_string(shape, value, where)
    elif shape.type_name in ("integer", "long", "double", "float"):
        whole = shape.type_name in ("integer", "long")
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            raise _bad(where, f"Should be a {'whole ' if whole else ''}number")
        _check_range(shape.name, value, where, "Should be")
    elif shape.type_name == "boolean" and not isinstance(value, bool):
        raise _bad(where, "Should be true or false")


def _check_structure(shape: StructureShape, value: Any, where: str) -> None:
    if not isinstance(value, dict):
        raise _bad(where, "Should be an object")
    members = {member.serialization.get("name", name): member for name, member in shape.members.items()}
    for name, item in value.items():
        if name not in members:
            raise _bad(where, f"{name} is not a known property")
        # AWS counts paths from the job's settings.
        _check_shape(members[name], item, "" if shape.name == "CreateJobRequest" and name == "settings" else (
            f"{where}/{name}"
        ))  # fmt: skip
    for required in shape.required_members:
        name = shape.members[required].serialization.get("name", required)
        if name not in value:
            raise _bad(where, f"{name} is a required property")


def _check_string(shape: StringShape, value: Any, where: str) -> None:
    if not isinstance(value, str):
        raise _bad(where, "Should be text")
    if shape.enum and value not in shape.enum:
        raise _bad(where, f"{value!r} should be one of {', '.join(shape.enum)}")
    if shape.name.startswith("__string"):
        _check_range(shape.name.partition("Pattern")[0], len(value), where, "Its length should be")
    if "PatternS3" in shape.name:
        schemes = ("s3://", "http://", "https://") if "Https" in shape.name else ("s3://",)
        if not value.startswith(schemes):
            raise _bad(where, f"{value!r} should begin with {' or '.join(schemes)}")


def _check_range(name: str, value: float, where: str, what: str) -> None:
    """The ranges that shapes have in their names: __integerMin1000Max1152000000, __doubleMinNegative60Max6."""
    for side, sign, number in re.findall(r"(Min|Max)(Negative)?(\d+)", name):
        limit = -int(number) if sign else int(number)
        if value < limit if side == "Min" else value > limit:
            raise _bad(where, f"{what} {'at least' if side == 'Min' else 'at most'} {limit}, and is {value}")


def _require(part: dict[str, Any], where: str, *names: str) -> None:
    for name in names:
        if part.get(name) is None:
            raise _bad(where, f"{name} is a required property")


def _check_settings(settings: dict[str, Any]) -> None:
    _require(settings, "", "inputs", "outputGroups")
    for name in ("inputs", "outputGroups"):
        if not settings[name]:
            raise _bad(f"/{name}", "Should have at least 1 items")
    if len(settings["inputs"]) > 1:
        raise NotImplementedError("jobs of several inputs are not emulated")
    source = settings["inputs"][0]
    _require(source, "/inputs/0", "fileInput")
    if not re.fullmatch(r"s3://[^/]+/.+", source["fileInput"]):
        raise _bad("/inputs/0/fileInput", f"{source['fileInput']!r} is not the address of an object in S3")
    for index, group in enumerate(settings["outputGroups"]):
        where = f"/outputGroups/{index}"
        _require(group, where, "outputGroupSettings", "outputs")
        if not group["outputs"]:
            raise _bad(f"{where}/outputs", "Should have at least 1 items")
        _require(group["outputGroupSettings"], f"{where}/outputGroupSettings", "type")
        if group["outputGroupSettings"]["type"] != "FILE_GROUP_SETTINGS":
            raise NotImplementedError(f"{group['outputGroupSettings']['type']} is not emulated")
        _require(group["outputGroupSettings"], f"{where}/outputGroupSettings", "fileGroupSettings")
        file_group = group["outputGroupSettings"]["fileGroupSettings"]
        _require(file_group, f"{where}/outputGroupSettings/fileGroupSettings", "destination")
        for number, output in enumerate(group["outputs"]):
            # "When you create multiple outputs in the same output group, Name modifier is required."
            if len(group["outputs"]) > 1:
                _require(output, f"{where}/outputs/{number}", "nameModifier")
            _check_output(output, f"{where}/outputs/{number}", source.get("audioSelectors", {}))
    kinds = [
        output["videoDescription"]["codecSettings"]["codec"]
        for group in settings["outputGroups"]
        for output in group["outputs"]
    ]
    if set(kinds) == {"FRAME_CAPTURE"}:
        # User Guide, "File group with a frame capture output".
        raise _bad("/outputGroups", "a job cannot consist of frame capture outputs only")
    names = [(base, output["containerSettings"].get("container")) for _, output, base in _outputs(settings)]
    for place in names:
        if names.count(place) > 1:
            raise _bad("/outputGroups", f"several outputs would be written to {place[0]}")


def _check_output(output: dict[str, Any], where: str, selectors: dict[str, Any]) -> None:
    _require(output, where, "containerSettings")
    container = output["containerSettings"].get("container")
    if "preset" in output:
        raise NotImplementedError("presets are not emulated")
    if "videoDescription" not in output:
        raise NotImplementedError("outputs without video are not emulated")
    for side in ("width", "height"):
        # As the service words it for an odd size; the User Guide asks for even numbers with 4:2:0.
        if output["videoDescription"].get(side, 0) % 2:
            raise _bad(f"{where}/videoDescription/{side}", "Should be a multiple of 2")
    _require(output["videoDescription"], f"{where}/videoDescription", "codecSettings")
    codec = output["videoDescription"]["codecSettings"]
    inside = f"{where}/videoDescription/codecSettings"
    _require(codec, inside, "codec")
    sounds = output.get("audioDescriptions", [])
    if codec["codec"] == "FRAME_CAPTURE":
        _require(codec, inside, "frameCaptureSettings")
        # User Guide: "you remove the audio component, choose No container for the container".
        if container != "RAW":
            raise _bad(f"{where}/containerSettings/container", "Should be RAW for frame captures")
        if sounds:
            raise _bad(f"{where}/audioDescriptions", "frame captures have no sound")
        return
    if codec["codec"] != "H_264" or container not in _EXTENSIONS:
        raise NotImplementedError(f"{codec['codec']} in {container} is not emulated")
    _require(codec, inside, "h264Settings")
    _check_h264(codec["h264Settings"], f"{inside}/h264Settings")
    for number, sound in enumerate(sounds):
        _check_sound(sound, f"{where}/audioDescriptions/{number}", selectors)


def _check_h264(codec: dict[str, Any], where: str) -> None:
    """H264Settings and H264QvbrSettings in the API reference."""
    _require(codec, where, "rateControlMode")
    mode = codec["rateControlMode"]
    if mode == "QVBR":
        _require(codec, where, "maxBitrate")
        if "bitrate" in codec:
            raise _bad(f"{where}/bitrate", "is for VBR and CBR only, and rateControlMode is QVBR")
        quality = codec.get("qvbrSettings", {})
        if "maxAverageBitrate" in quality and codec.get("qualityTuningLevel") != "MULTI_PASS_HQ":
            raise _bad(f"{where}/qvbrSettings/maxAverageBitrate", "needs qualityTuningLevel MULTI_PASS_HQ")
    else:
        _require(codec, where, "bitrate")
        if "qvbrSettings" in codec:
            raise _bad(f"{where}/qvbrSettings", f"is for QVBR only, and rateControlMode is {mode}")
    if codec.get("gopSizeUnits", "AUTO") == "AUTO":
        if "gopSize" in codec:
            raise _bad(f"{where}/gopSize", "needs gopSizeUnits FRAMES or SECONDS")
    else:
        _require(codec, where, "gopSize")
    if codec.get("framerateControl") == "SPECIFIED":
        _require(codec, where, "framerateNumerator", "framerateDenominator")
        if codec.get("framerateConversionAlgorithm", "DUPLICATE_DROP") != "DUPLICATE_DROP":
            raise NotImplementedError(f"{codec['framerateConversionAlgorithm']} is not emulated")
    if codec.get("parControl") == "SPECIFIED":
        _require(codec, where, "parNumerator", "parDenominator")
        if codec["parNumerator"] != codec["parDenominator"]:
            raise NotImplementedError("pixels that are not square are not emulated")


def _check_sound(sound: dict[str, Any], where: str, selectors: dict[str, Any]) -> None:
    name = sound.get("audioSourceName", "Audio Selector 1")  # the default that the API reference names
    if name not in selectors:
        raise _bad(f"{where}/audioSourceName", f"the input has no audio selector {name!r}")
    _require(sound, where, "codecSettings")
    codec = sound["codecSettings"]
    _require(codec, f"{where}/codecSettings", "codec")
    if codec["codec"] != "AAC":
        raise NotImplementedError(f"{codec['codec']} is not emulated")
    _require(codec, f"{where}/codecSettings", "aacSettings")
    inside = f"{where}/codecSettings/aacSettings"
    _require(codec["aacSettings"], inside, "bitrate", "codingMode", "sampleRate")
    if codec["aacSettings"]["bitrate"] not in _AAC_BITRATES:
        raise _bad(f"{inside}/bitrate", f"{codec['aacSettings']['bitrate']} is not one of the valid values")
    if codec["aacSettings"]["codingMode"] not in _AAC_CHANNELS:
        raise NotImplementedError(f"{codec['aacSettings']['codingMode']} is not emulated")


def _outputs(settings: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any], str]]:
    """Every output with the number of its group and its address without extension.

    "If you do not specify the base filename in the URI, the service will use the filename of the input file."
    """
    name = settings["inputs"][0]["fileInput"].rpartition("/")[2]
    stem = name.rpartition(".")[0] or name
    for index, group in enumerate(settings["outputGroups"]):
        destination = group["outputGroupSettings"]["fileGroupSettings"]["destination"]
        base = destination + stem if destination.endswith("/") else destination
        if "$" in base:
            raise NotImplementedError("format identifiers are not emulated")
        for output in group["outputs"]:
            yield index, output, base + output.get("nameModifier", "")


def _from_token(token: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(token).decode("ascii").removeprefix("after "))
    except (binascii.Error, ValueError):
        raise _bad("nextToken", "is not a token that this service gave") from None


def _arn(resource: str) -> str:
    return f"arn:aws:mediaconvert:{REGION}:{ACCOUNT}:{resource}"
