"""MediaConvert as the transcoder: what is asked of it, that nothing is paid for twice, and how each failure ends.

The jobs really encode: the emulator takes what boto3 sends, refuses what AWS would refuse, and runs ffmpeg from and to
the bucket.
"""

import hashlib
import itertools
import logging
import re
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from ncaa_assets.backends.aws import mediaconvert
from ncaa_assets.backends.aws.mediaconvert import LEDGER, MediaConvertTranscoder
from ncaa_assets.backends.aws.s3 import S3Store
from ncaa_assets.failures import EncodeFailed, EncodeRefused, StoreError
from ncaa_assets.media.bounds import EncodeBounds
from ncaa_assets.media.facts import Facts, Picture
from ncaa_assets.media.ffmpeg import ffmpeg_program
from ncaa_assets.media.isobmff import BoxReader, Movie
from ncaa_assets.media.probe import read_facts
from ncaa_assets.media.profile import PROFILE, Profile, mediaconvert_settings, representative_facts
from ncaa_assets.ports import EncodeOutcome, EncodeRequest
from ncaa_assets.record import json_text
from ncaa_assets.record.models import CopiedVideo, ProcessedVideo
from ncaa_assets_tests.loopback import aws
from ncaa_assets_tests.loopback.aws import Call, Cloud

BUCKET, PREFIX, DAY = "highlights", "ncaa", "2025-03-09"
ROLE = "arn:aws:iam::123456789012:role/mediaconvert"
STATUS = ("GetJob", "ListJobs")


def opened(
    *, timeout: float = 60, poll: float = 0.05, profile: Profile = PROFILE, bounds: EncodeBounds | None = None
) -> MediaConvertTranscoder:
    config = Config(retries={"mode": "standard", "total_max_attempts": 2})
    return MediaConvertTranscoder(
        boto3.client("mediaconvert", config=config), S3Store(boto3.client("s3"), BUCKET, PREFIX), profile,
        role=ROLE, queue=None, timeout=timeout, poll_seconds=poll, bounds=bounds,
    )  # fmt: skip


@pytest.fixture
def objects(cloud: Cloud) -> S3Store:
    cloud.make_bucket(BUCKET)
    return S3Store(cloud.client("s3"), BUCKET, PREFIX)


@pytest.fixture
def transcoder(objects: S3Store) -> MediaConvertTranscoder:
    return opened()


def movie_of(data: bytes) -> Movie:
    reader = BoxReader()
    reader.feed(data)
    return reader.finish()


def other_bytes(clip: Path, number: int) -> bytes:
    """The same clip with other bytes: a `free` box is at its end."""
    return clip.read_bytes() + (12).to_bytes(4, "big") + b"free" + number.to_bytes(4, "big")


def request_for(
    objects: S3Store, data: bytes, name: str = "1", day: str = DAY, *, again: bool = False
) -> EncodeRequest:
    """A copy in the bucket, and the request to encode it."""
    key = f"videos/{day}/{name}.mp4"
    objects.write(key, data, content_type="video/mp4")
    movie, facts = movie_of(data), read_facts(BytesIO(data), size=len(data))
    video = CopiedVideo(
        id=name, title=f"Game {name}", source_url="https://host/1.mp4", key=key, bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(), container="mp4", duration_seconds=movie.duration_seconds,
        has_sound=movie.has_sound, width=movie.width, height=movie.height, facts=facts,
        copied_at="2025-03-10T06:00:00Z",
    )  # fmt: skip
    base = f"processed_videos/{day}/{name}"
    return EncodeRequest(video, output_key=f"{base}.mp4", poster_key=f"{base}.jpg", force=again)


def encoded(outcome: EncodeOutcome) -> ProcessedVideo:
    assert isinstance(outcome.result, ProcessedVideo), outcome.result
    return outcome.result


def failed(outcome: EncodeOutcome) -> str:
    assert isinstance(outcome.result, EncodeFailed), outcome.result
    assert "\n" not in str(outcome.result)
    return str(outcome.result)


def streams(data: bytes, folder: Path) -> str:
    """What ffmpeg prints about an output, all of which it decodes without an error."""
    path = folder / "output.mp4"
    path.write_bytes(data)
    done = subprocess.run(
        [ffmpeg_program(), "-v", "error", "-xerror", "-i", str(path), "-f", "null", "-"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return subprocess.run(
        [ffmpeg_program(), "-hide_banner", "-i", str(path)], capture_output=True, text=True, check=False
    ).stderr


# ---- What is asked for -----------------------------------------------------------------------------------------------


def test_a_video_comes_back_encoded_with_its_poster(
    transcoder: MediaConvertTranscoder, objects: S3Store, cloud: Cloud, clip: Path, tmp_path: Path
) -> None:
    request = request_for(objects, clip.read_bytes())
    (outcome,) = transcoder.encode([request])
    result = encoded(outcome)
    output = objects.read(request.output_key)[0]
    shown = streams(output, tmp_path)
    assert "h264 (High)" in shown
    assert "Audio: aac (LC)" in shown
    assert "48000 Hz" in shown
    assert output.index(b"moov") < output.index(b"mdat")
    assert (result.key, result.bytes, result.sha256) == (
        request.output_key, len(output), hashlib.sha256(output).hexdigest(),
    )  # fmt: skip
    assert (result.width, result.height) == (320, 180)
    assert result.duration_seconds == pytest.approx(2, abs=0.1)
    assert result.poster.key == f"processed_videos/{DAY}/1.0000000.jpg"  # MediaConvert chooses this name
    assert objects.read(result.poster.key)[0][:3] == b"\xff\xd8\xff"
    (job,) = cloud.mediaconvert.jobs
    assert result.job_id == job.id
    assert result.job_url == (
        f"https://us-east-1.console.aws.amazon.com/mediaconvert/home?region=us-east-1#/jobs/summary/{job.id}"
    )
    assert not outcome.reused


@pytest.mark.parametrize(
    ("region", "console"),
    [
        ("eu-west-1", "eu-west-1.console.aws.amazon.com"),
        ("us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
        ("cn-northwest-1", "cn-northwest-1.console.amazonaws.cn"),
        ("eusc-de-east-1", "eusc-de-east-1.console.amazonaws-eusc.eu"),
    ],
)
def test_a_job_is_shown_by_the_console_of_its_partition(cloud: Cloud, region: str, console: str) -> None:
    client, store = boto3.client("mediaconvert", region_name=region), S3Store(boto3.client("s3"), BUCKET)
    opened = MediaConvertTranscoder(client, store, PROFILE, role=ROLE, queue=None, timeout=1)
    assert opened.job_url("1-a") == f"https://{console}/mediaconvert/home?region={region}#/jobs/summary/1-a"


def test_a_silent_video_gets_no_sound(
    transcoder: MediaConvertTranscoder, objects: S3Store, silent_clip: Path, tmp_path: Path
) -> None:
    request = request_for(objects, silent_clip.read_bytes())
    (outcome,) = transcoder.encode([request])
    encoded(outcome)
    assert "Audio" not in streams(objects.read(request.output_key)[0], tmp_path)


def test_a_copy_that_lies_beside_an_earlier_one_keeps_its_name(
    transcoder: MediaConvertTranscoder, objects: S3Store, clip: Path
) -> None:
    (outcome,) = transcoder.encode([request_for(objects, clip.read_bytes(), "1.0a1b2c3d")])
    assert encoded(outcome).key == f"processed_videos/{DAY}/1.0a1b2c3d.mp4"
    assert encoded(outcome).poster.key == f"processed_videos/{DAY}/1.0a1b2c3d.0000000.jpg"


@pytest.mark.parametrize("modifier", ["", ".0a1b2c3d"])
def test_every_rendering_is_one_that_mediaconvert_takes(objects: S3Store, cloud: Cloud, modifier: str) -> None:
    """The emulator checks requests against botocore's model of the service, including its enums and ranges."""
    cloud.mediaconvert.hold("SUBMITTED")
    client = boto3.client("mediaconvert")
    rendered = representative_facts(PROFILE)
    for number, facts in enumerate(rendered):
        settings: Any = mediaconvert_settings(
            PROFILE, source=f"s3://{BUCKET}/{number}.mp4", destination=f"s3://{BUCKET}/out/{number}",
            name_modifier=modifier, facts=facts,
        )  # fmt: skip
        client.create_job(Role=ROLE, Settings=settings)
    assert len(cloud.mediaconvert.jobs) == len(rendered)


@pytest.mark.parametrize(
    ("width", "height", "size", "poster", "ceiling"),
    [
        (320, 180, (320, 180), (320, 180), 1_200_000),
        (1280, 720, (1280, 720), (1280, 720), 4_500_000),
        (1920, 1080, (1920, 1080), (1280, 720), 8_000_000),
        (3840, 2160, (1920, 1080), (1280, 720), 8_000_000),
        (1080, 1920, (1080, 1920), (1080, 1920), 8_000_000),
        (854, 481, (854, 480), (854, 480), 2_000_000),
    ],
)
def test_nothing_is_scaled_up_and_the_ceiling_follows_the_size(
    width: int, height: int, size: tuple[int, int], poster: tuple[int, int], ceiling: int
) -> None:
    facts = Facts(read_by="", format="MPEG-4", picture=Picture(stream=0, codec="AVC", width=width, height=height))
    settings = mediaconvert_settings(PROFILE, source="s3://b/1.mp4", destination="s3://b/1", facts=facts)
    video, frame = (group["Outputs"][0]["VideoDescription"] for group in settings["OutputGroups"])
    assert (video["Width"], video["Height"]) == size
    assert (frame["Width"], frame["Height"]) == poster
    h264 = video["CodecSettings"]["H264Settings"]
    assert h264["MaxBitrate"] == ceiling
    wanted = ("QVBR", "SINGLE_PASS_HQ", "HIGH", 2, "SECONDS", {"QvbrQualityLevel": 8})
    names = ("RateControlMode", "QualityTuningLevel", "CodecProfile", "GopSize", "GopSizeUnits", "QvbrSettings")
    assert tuple(h264[name] for name in names) == wanted


# ---- Paid for once ---------------------------------------------------------------------------------------------------


def test_what_was_encoded_is_not_encoded_again(
    transcoder: MediaConvertTranscoder, objects: S3Store, cloud: Cloud, clip: Path
) -> None:
    request = request_for(objects, clip.read_bytes())
    (first,) = transcoder.encode([request])
    (second,) = opened().encode([request])
    assert encoded(second) == encoded(first)
    assert second.reused
    assert cloud.times("CreateJob") == cloud.mediaconvert.encodes == 1


def test_the_same_bytes_are_encoded_once_whoever_asks(
    transcoder: MediaConvertTranscoder, objects: S3Store, cloud: Cloud, clip: Path
) -> None:
    """Two highlights of a day have the same clip, and the next day lists it too."""
    data = clip.read_bytes()
    first, twin = transcoder.encode([request_for(objects, data, "1"), request_for(objects, data, "2")])
    (later,) = opened().encode([request_for(objects, data, "1", "2025-03-10")])
    assert cloud.times("CreateJob") == cloud.mediaconvert.encodes == 1
    assert [one.reused for one in (first, twin, later)] == [False, True, True]
    assert encoded(twin).id == "2"
    assert encoded(later).key == "processed_videos/2025-03-10/1.mp4"
    assert encoded(later).source_key == "videos/2025-03-10/1.mp4"
    for one in (twin, later):
        assert objects.read(encoded(one).key)[0] == objects.read(encoded(first).key)[0]
        poster = objects.info(encoded(one).poster.key)
        assert poster is not None
        assert poster.size == encoded(one).poster.bytes


def test_other_settings_are_another_encode(objects: S3Store, cloud: Cloud, clip: Path) -> None:
    request = request_for(objects, clip.read_bytes())
    list(opened().encode([request]))
    (outcome,) = opened(profile=Profile(qvbr_quality=6)).encode([request])
    assert not outcome.reused
    assert encoded(outcome).settings_hash != opened().settings_hash()
    assert cloud.mediaconvert.encodes == 2


def test_a_person_may_ask_for_it_again(objects: S3Store, cloud: Cloud, clip: Path) -> None:
    list(opened().encode([request_for(objects, clip.read_bytes())]))
    (outcome,) = opened().encode([request_for(objects, clip.read_bytes(), again=True)])
    assert not outcome.reused
    assert cloud.mediaconvert.encodes == 2


@pytest.mark.parametrize("lost", ["1.mp4", "1.0000000.jpg"])
def test_what_was_deleted_is_encoded_again(objects: S3Store, cloud: Cloud, clip: Path, lost: str) -> None:
    request = request_for(objects, clip.read_bytes())
    list(opened().encode([request]))
    objects.delete(f"processed_videos/{DAY}/{lost}")
    (outcome,) = opened().encode([request])
    assert not outcome.reused
    assert objects.info(encoded(outcome).poster.key) is not None
    assert cloud.mediaconvert.encodes == 2


def test_what_something_else_overwrote_is_encoded_again(objects: S3Store, cloud: Cloud, clip: Path) -> None:
    request = request_for(objects, clip.read_bytes())
    list(opened().encode([request]))
    objects.write(request.output_key, b"x" * encoded(next(opened().encode([request]))).bytes)
    (outcome,) = opened().encode([request])
    assert movie_of(objects.read(request.output_key)[0]).height == 180
    assert not outcome.reused


def killed_after(cloud: Cloud, operation: str, count: int, act: Callable[[], object]) -> None:
    """Stops `act` right after the n-th call of an operation, so that it never sees the answer."""
    seen = itertools.count(1)

    def end(call: Call) -> None:
        if call.operation == operation and next(seen) == count:
            cloud.fail(operation, *[aws.error(403, "AccessDenied")] * 5)  # what a retry would get
            raise aws.Dropped

    cloud.after = end
    act()
    cloud.after = None
    cloud.mend()


@pytest.mark.parametrize("finished", [False, True], ids=["under way", "complete"])
@pytest.mark.parametrize("lag", [0.0, 3600.0], ids=["indexed", "not yet indexed"])
@pytest.mark.parametrize("clock", [0, -400, 3], ids=["", "clock behind", "clock ahead"])
def test_a_job_whose_answer_was_lost_is_found_and_taken_up(
    objects: S3Store, cloud: Cloud, clip: Path, finished: bool, lag: float, clock: int
) -> None:
    """The token has long expired, so only looking for the job helps. `clock` is how many days the clock of the run that
    asked for it was wrong."""
    cloud.mediaconvert.token_seconds = 0
    cloud.mediaconvert.search_lag_seconds = lag
    cloud.mediaconvert.hold()
    request = request_for(objects, clip.read_bytes())
    killed_after(cloud, "CreateJob", 1, lambda: list(opened().encode([request])))
    assert len(cloud.mediaconvert.jobs) == 1
    key = f"{LEDGER}{request.video.sha256}.{opened().settings_hash()}.json"
    intent = json_text.loads(objects.read(key)[0])
    asked_at = datetime.fromisoformat(intent["asked_at"]) + timedelta(days=clock)
    objects.write(key, json_text.dumps(intent | {"asked_at": asked_at.isoformat()}))
    if finished:
        cloud.mediaconvert.release()
        cloud.mediaconvert.wait_for("COMPLETE")
    else:
        cloud.before = lambda call: cloud.mediaconvert.release() if call.operation in STATUS else None
    (outcome,) = opened().encode([request])
    assert encoded(outcome).job_id == cloud.mediaconvert.jobs[0].id
    assert cloud.mediaconvert.encodes == len(cloud.mediaconvert.jobs) == 1


def test_a_job_of_an_earlier_version_is_taken_up(objects: S3Store, cloud: Cloud, clip: Path) -> None:
    """Earlier versions did not say in a job's metadata which archive it is of."""
    cloud.mediaconvert.token_seconds = 0
    request = request_for(objects, clip.read_bytes())
    killed_after(cloud, "CreateJob", 1, lambda: list(opened().encode([request])))
    (job,) = cloud.mediaconvert.jobs
    assert job.request["userMetadata"].pop("ncaa_assets_archive") == f"s3://{BUCKET}/{PREFIX}/"
    (outcome,) = opened().encode([request])
    assert encoded(outcome).job_id == job.id
    assert cloud.mediaconvert.jobs == [job]


@pytest.mark.parametrize("prefix", ["", "ncaa", "of/" + "long/" * 60 + "end"])
def test_a_job_names_the_archive_that_it_is_of(objects: S3Store, cloud: Cloud, clip: Path, prefix: str) -> None:
    """The rule in terraform/eventbridge.tf compares it, cut at what MediaConvert takes."""
    store = S3Store(boto3.client("s3"), BUCKET, prefix)
    transcoder = MediaConvertTranscoder(
        boto3.client("mediaconvert"), store, PROFILE, role=ROLE, queue=None, timeout=60, poll_seconds=0.05
    )
    cloud.mediaconvert.end_next("ERROR", code=1999, message="something inside")
    (outcome,) = transcoder.encode([request_for(store, clip.read_bytes())])
    assert "something inside" in failed(outcome)
    (job,) = cloud.mediaconvert.jobs
    expected = f"s3://{BUCKET}/{prefix}/" if prefix else f"s3://{BUCKET}/"
    assert job.request["userMetadata"]["ncaa_assets_archive"] == expected[:256]


def test_an_intent_whose_job_never_came_about_is_carried_out(objects: S3Store, cloud: Cloud, clip: Path) -> None:
    request = request_for(objects, clip.read_bytes())
    cloud.fail("CreateJob", aws.error(403, "AccessDeniedException"))
    (refused,) = opened().encode([request])
    assert "may not do CreateJob on MediaConvert; grant it to their role" in failed(refused)
    (ledger,) = [one for one in cloud.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"] if LEDGER in one["Key"]]
    assert ledger["Size"] > 0
    (outcome,) = opened().encode([request])
    assert not outcome.reused
    assert cloud.mediaconvert.encodes == 1


def test_a_job_that_failed_under_a_killed_run_is_made_anew(objects: S3Store, cloud: Cloud, clip: Path) -> None:
    cloud.mediaconvert.end_next("ERROR", code=1999, message="something inside")
    request = request_for(objects, clip.read_bytes())
    killed_after(cloud, "CreateJob", 1, lambda: list(opened().encode([request])))
    cloud.mediaconvert.wait_for("ERROR")
    (outcome,) = opened().encode([request])
    encoded(outcome)
    assert len(cloud.mediaconvert.jobs) == 2
    assert cloud.mediaconvert.encodes == 1


def test_two_days_that_want_the_same_bytes_at_once_pay_once(objects: S3Store, cloud: Cloud, clip: Path) -> None:
    data = clip.read_bytes()
    requests = [request_for(objects, data, "1", day) for day in (DAY, "2025-03-10", "2025-03-11")]
    start = threading.Barrier(len(requests))
    outcomes: list[EncodeOutcome] = []

    def run(request: EncodeRequest, transcoder: MediaConvertTranscoder) -> None:
        start.wait(30)
        outcomes.extend(transcoder.encode([request]))

    threads = [threading.Thread(target=run, args=(request, opened())) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(encoded(one).key for one in outcomes) == sorted(request.output_key for request in requests)
    assert cloud.mediaconvert.encodes == 1
    for request in requests:
        assert movie_of(objects.read(request.output_key)[0]).height == 180


# ---- Watching --------------------------------------------------------------------------------------------------------


def many(objects: S3Store, clip: Path, count: int) -> list[EncodeRequest]:
    return [request_for(objects, other_bytes(clip, number), str(number)) for number in range(count)]


def test_all_jobs_are_submitted_before_any_is_waited_for(objects: S3Store, cloud: Cloud, clip: Path) -> None:
    cloud.mediaconvert.hold()
    submitted: list[int] = []

    def look(call: Call) -> None:
        if call.operation in STATUS and not submitted:
            submitted.append(len(cloud.mediaconvert.jobs))
            cloud.mediaconvert.release()

    cloud.before = look
    outcomes = list(opened().encode(many(objects, clip, 4)))
    assert submitted == [4]
    assert len({encoded(one).key for one in outcomes}) == 4


def test_there_is_one_status_call_a_poll_however_many_jobs(objects: S3Store, cloud: Cloud, clip: Path) -> None:
    """More jobs than fit on one page of a listing, among jobs of other programs."""
    for _ in range(23):
        cloud.mediaconvert.end_next("CANCELED")
    cloud.mediaconvert.hold()
    calls: list[float] = []

    def note(call: Call) -> None:
        if call.operation in STATUS:
            calls.append(time.monotonic())
            if len(calls) == 4:
                cloud.mediaconvert.release()

    cloud.before = note
    outcomes = list(opened(poll=0.2).encode(many(objects, clip, 23)))
    assert all("was canceled" in failed(one) for one in outcomes)
    assert len(outcomes) == 23
    gaps = [later - earlier for earlier, later in itertools.pairwise(calls)]
    assert min(gaps) >= 0.15, "0.2 s with a jitter of a fifth"
    assert cloud.times("GetJob") <= 1  # of the last job under way


def test_polls_grow_rarer(objects: S3Store, cloud: Cloud, clip: Path) -> None:
    cloud.mediaconvert.hold()
    calls: list[float] = []

    def note(call: Call) -> None:
        if call.operation in STATUS:
            calls.append(time.monotonic())
            if len(calls) == 8:
                cloud.mediaconvert.release()

    cloud.before = note
    encoded(next(opened(poll=0.05).encode([request_for(objects, clip.read_bytes())])))
    assert calls[7] - calls[6] > 0.05 * 1.3**7 * 0.8 * 0.9


def test_progress_is_said(objects: S3Store, cloud: Cloud, clip: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    cloud.mediaconvert.hold()
    cloud.after = lambda call: cloud.mediaconvert.release() if call.operation in STATUS else None
    encoded(next(opened().encode([request_for(objects, clip.read_bytes())])))
    (job,) = cloud.mediaconvert.jobs
    assert f"MediaConvert job {job.id} submitted" in caplog.text
    assert "encoding 1: progressing, probing" in caplog.text


def test_a_job_that_fails_is_told_after_the_others_are_done(objects: S3Store, cloud: Cloud, clip: Path) -> None:
    cloud.mediaconvert.end_next("ERROR", code=1404, message="Unable to open input file [s3://x]: [AssumeRole failed]")
    outcomes = list(opened().encode(many(objects, clip, 3)))
    (bad,) = [one for one in outcomes if isinstance(one.result, EncodeFailed)]
    job = next(one for one in cloud.mediaconvert.jobs if one.status == "ERROR")
    said = failed(bad)
    assert f"MediaConvert job {job.id} failed with error 1404: Unable to open input file" in said
    assert f"#/jobs/summary/{job.id}" in said
    assert "run the day again" in said
    assert len([encoded(one) for one in outcomes if one is not bad]) == 2
    (mended,) = opened().encode([bad.request])
    encoded(mended)
    assert cloud.mediaconvert.encodes == 3


def test_a_source_that_is_gone_is_mediaconverts_own_error(objects: S3Store, cloud: Cloud, clip: Path) -> None:
    request = request_for(objects, clip.read_bytes())
    objects.delete(request.video.key)
    (outcome,) = opened().encode([request])
    assert "failed with error 1404" in failed(outcome)
    assert cloud.mediaconvert.encodes == 0


def test_a_canceled_job_is_told_and_made_anew_by_the_next_run(objects: S3Store, cloud: Cloud, clip: Path) -> None:
    cloud.mediaconvert.end_next("CANCELED")
    request = request_for(objects, clip.read_bytes())
    (outcome,) = opened().encode([request])
    assert "was canceled; run the day again" in failed(outcome)
    (again,) = opened().encode([request])
    encoded(again)
    assert cloud.mediaconvert.encodes == 1


def test_a_job_that_outlives_the_timeout_is_left_working_and_taken_up(
    objects: S3Store, cloud: Cloud, clip: Path
) -> None:
    cloud.mediaconvert.hold()
    request = request_for(objects, clip.read_bytes())
    (outcome,) = opened(timeout=0.2).encode([request])
    said = failed(outcome)
    assert "is not done after ENCODE_TIMEOUT" in said
    assert "run the day again to take it over" in said
    cloud.mediaconvert.release()
    (again,) = opened().encode([request])
    encoded(again)
    assert cloud.mediaconvert.encodes == len(cloud.mediaconvert.jobs) == 1


def test_outputs_that_are_not_there_are_not_recorded(objects: S3Store, cloud: Cloud, clip: Path) -> None:
    cloud.mediaconvert.lose_outputs()
    request = request_for(objects, clip.read_bytes())
    (outcome,) = opened().encode([request])
    assert f"is complete, but s3://{BUCKET}/{PREFIX}/{request.output_key} is not there" in failed(outcome)
    (again,) = opened().encode([request])
    encoded(again)
    assert cloud.mediaconvert.encodes == 2


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        ("CreateJob", aws.error(429, "TooManyRequestsException")),
        ("CreateJob", aws.error(500, "InternalServerErrorException")),
        ("CreateJob", aws.dropped_before),
        ("CreateJob", aws.dropped_after),
        ("GetJob", aws.error(429, "TooManyRequestsException", times=6)),
        ("GetJob", aws.error(503, "ServiceUnavailable", times=6)),
        ("GetJob", aws.dropped_before),
        ("PutObject", aws.dropped_after),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.kind} {value.code}",
)
def test_a_passing_fault_passes_and_nothing_is_paid_twice(
    objects: S3Store, cloud: Cloud, clip: Path, operation: str, fault: aws.Fault
) -> None:
    request = request_for(objects, clip.read_bytes())
    cloud.fail(operation, fault)
    (outcome,) = opened().encode([request])
    encoded(outcome)
    assert cloud.mediaconvert.encodes == len(cloud.mediaconvert.jobs) == 1


@pytest.mark.parametrize("operation", ["CreateJob", "GetJob"])
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (aws.error(403, "ExpiredTokenException", times=None), "credentials have expired"),
        (aws.error(403, "AccessDeniedException", "no iam:PassRole", times=None), "grant it to their role"),
        (aws.error(400, "BadRequestException", "/settings is wrong", times=None), "/settings is wrong"),
        (aws.error(429, "TooManyRequestsException", times=None), "too busy"),
    ],
)
def test_a_fault_that_stays_is_one_sentence_and_the_next_run_takes_it_up(
    objects: S3Store, cloud: Cloud, clip: Path, operation: str, fault: aws.Fault, said: str
) -> None:
    request = request_for(objects, clip.read_bytes())
    cloud.fail(operation, fault)
    (outcome,) = opened(poll=0.01).encode([request])
    assert said in failed(outcome)
    cloud.mend()
    (again,) = opened().encode([request])
    encoded(again)
    assert cloud.mediaconvert.encodes == len(cloud.mediaconvert.jobs) == 1


def test_a_damaged_ledger_is_told_and_nothing_is_paid(objects: S3Store, cloud: Cloud, clip: Path) -> None:
    request = request_for(objects, clip.read_bytes())
    transcoder = opened()
    objects.write(f"{LEDGER}{request.video.sha256}.{transcoder.settings_hash()}.json", b"{")
    (outcome,) = transcoder.encode([request])
    assert re.search(r"is damaged \(.+\)\. Nothing was changed; put back an earlier version", failed(outcome))
    assert cloud.times("CreateJob") == 0


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("3", "is left as it is: it was written by a newer ncaa-assets"),
        ('"9"', "is left as it is: it was written by a newer ncaa-assets"),
        ("9.0", "is left as it is: it was written by a newer ncaa-assets"),
        ("true", "is damaged .schema_version: true or false"),
    ],
)
def test_a_ledger_entry_of_another_version_is_not_touched_and_nothing_is_paid(
    objects: S3Store, cloud: Cloud, clip: Path, version: str, said: str
) -> None:
    transcoder = opened()
    request = request_for(objects, clip.read_bytes())
    key = f"{LEDGER}{request.video.sha256}.{transcoder.settings_hash()}.json"
    entry = f'{{"schema_version": {version}, "of": "another shape"}}'.encode()
    objects.write(key, entry)
    (outcome,) = transcoder.encode([request])
    assert re.search(said, failed(outcome))
    assert objects.read(key)[0] == entry
    assert cloud.times("CreateJob") == 0


def test_a_ledger_entry_keeps_what_a_newer_version_added_through_its_job(
    objects: S3Store, cloud: Cloud, clip: Path
) -> None:
    """An entry of version 1 whose job is under way is taken up; later a person asks for another encode."""
    transcoder = opened()
    request = request_for(objects, clip.read_bytes())
    key = f"{LEDGER}{request.video.sha256}.{transcoder.settings_hash()}.json"
    cloud.fail("CreateJob", aws.error(403, "AccessDeniedException"))
    (outcome,) = transcoder.encode([request])
    failed(outcome)
    intent = json_text.loads(objects.read(key)[0])
    objects.write(key, json_text.dumps(intent | {"schema_version": 1, "new": {"n": Decimal("1.50")}}))
    (outcome,) = opened().encode([request])
    encoded(outcome)
    entry = json_text.loads(objects.read(key)[0])
    assert (entry["schema_version"], str(entry["new"]["n"])) == (2, "1.50")
    assert (entry["token"], entry["asked_at"]) == (intent["token"], intent["asked_at"])
    assert entry["result"] is not None
    (outcome,) = opened().encode([replace(request, force=True)])
    encoded(outcome)
    again = json_text.loads(objects.read(key)[0])
    assert again["token"] != entry["token"]
    assert again["new"] == entry["new"]


def test_nothing_to_encode_asks_nobody(cloud: Cloud) -> None:
    requests: Sequence[EncodeRequest] = []
    assert list(opened().encode(requests)) == []
    assert cloud.calls == []


def test_the_store_copies_within_the_bucket(objects: S3Store) -> None:
    objects.write("a", b"x")
    assert objects.copy("a", "b").size == 1
    assert objects.read("b")[0] == b"x"
    with pytest.raises(StoreError, match="there is no s3://highlights/ncaa/c"):
        objects.copy("c", "d")


# ---- What it costs ---------------------------------------------------------------------------------------------------


def test_the_price_is_said_before_the_first_job_and_only_of_new_ones(
    transcoder: MediaConvertTranscoder, objects: S3Store, clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    requests = [request_for(objects, other_bytes(clip, number), str(number)) for number in range(2)]
    with caplog.at_level(logging.INFO):
        list(transcoder.encode(requests))
    said = [record.getMessage() for record in caplog.records if "MediaConvert" in record.getMessage()]
    assert said[0] == "2 jobs for MediaConvert: about 0.3 minutes at 0.015 dollars are 0.00 dollars"
    assert "submitted" in said[1]
    caplog.clear()
    with caplog.at_level(logging.INFO):
        assert all(outcome.reused for outcome in transcoder.encode(requests))
    assert "dollars" not in caplog.text


def test_what_the_minutes_of_the_day_have_no_room_for_waits_and_makes_no_job(
    objects: S3Store, cloud: Cloud, clip: Path
) -> None:
    # Each clip counts a sixth of a minute: half of 10 s of film, since it is small, and of 10 s of a poster.
    requests = [request_for(objects, other_bytes(clip, number), str(number)) for number in range(3)]
    bounded = opened(bounds=EncodeBounds(max_seconds=60, max_minutes=0.4))
    outcomes = {outcome.request.video.id: outcome.result for outcome in bounded.encode(requests)}
    refused = [result for result in outcomes.values() if isinstance(result, EncodeRefused)]
    assert [refusal.kind for refusal in refused] == ["waits"]
    assert cloud.times("CreateJob") == 2
    (outcome,) = opened(bounds=EncodeBounds(max_seconds=60, max_minutes=1)).encode(requests[2:])
    encoded(outcome)


def test_a_retry_of_the_same_intent_counts_its_minutes_once(objects: S3Store, cloud: Cloud, clip: Path) -> None:
    request = request_for(objects, clip.read_bytes())
    bounded = opened(bounds=EncodeBounds(max_seconds=60, max_minutes=0.2))
    cloud.fail("CreateJob", *3 * [aws.dropped_before])
    (outcome,) = bounded.encode([request])
    failed(outcome)
    cloud.mend()
    (outcome,) = bounded.encode([request])
    encoded(outcome)


def test_a_video_of_unknown_length_counts_as_the_longest(objects: S3Store, cloud: Cloud, clip: Path) -> None:
    request = request_for(objects, clip.read_bytes())
    unknown = replace(request, video=request.video.model_copy(update={"duration_seconds": None, "facts": None}))
    (outcome,) = opened(bounds=EncodeBounds(max_seconds=60, max_minutes=2)).encode([unknown])
    assert isinstance(outcome.result, EncodeRefused)
    assert outcome.result.kind == "broken"
    assert cloud.times("CreateJob") == 0


# ---- What can never be encoded, and the sound that cannot be read ----------------------------------------------------


@pytest.mark.parametrize(
    ("code", "message", "is_clips"),
    [
        (1010, "Unable to open input file [s3://b/k]: [Failed probe/open: [No parser found for container]]", True),
        (1010, "Unable to open input file [s3://b/k]: [Failed probe/open: [Access Denied]]", False),
        (1020, "No video was found", True),
        (1030, "Unsupported codec", True),
        (1040, "Settings that do not fit the input", True),
        (1050, "Disk full", False),
        (1075, "Demuxer: parse error", True),
        (1076, "Unexpected end of file", True),
        (1401, "Access denied", False),
        (1404, "No such file", False),
        (1432, "The role has another problem", False),
        (1999, "Unexpected error", False),
        (None, "What nobody has documented", False),
    ],
)
def test_a_clips_own_fault_is_remembered_and_no_job_is_made_for_it_again(
    objects: S3Store, cloud: Cloud, clip: Path, code: int | None, message: str, is_clips: bool
) -> None:
    request = request_for(objects, clip.read_bytes())
    cloud.mediaconvert.end_next("ERROR", code=code, message=message)
    (outcome,) = opened().encode([request])
    assert isinstance(outcome.result, EncodeRefused if is_clips else EncodeFailed), outcome.result
    assert message.split("[", maxsplit=1)[0].strip() in str(outcome.result)
    elsewhere = request_for(objects, clip.read_bytes(), "9", "2025-03-11")
    (later,) = opened().encode([elsewhere])
    if is_clips:
        assert isinstance(later.result, EncodeRefused)
        assert str(later.result) == str(outcome.result)
        assert cloud.times("CreateJob") == 1
    assert isinstance(next(iter(opened().encode([replace(request, force=True)]))).result, ProcessedVideo)


@pytest.mark.parametrize("code", [1021, 1092])
def test_a_sound_that_cannot_be_read_costs_the_sound_alone(
    objects: S3Store, cloud: Cloud, clip: Path, code: int
) -> None:
    cloud.mediaconvert.end_next("ERROR", code=code, message="the sound")
    (outcome,) = opened().encode([request_for(objects, clip.read_bytes())])
    result = encoded(outcome)
    assert result.lacks is not None
    assert f"error {code}" in result.lacks
    assert result.facts is not None
    assert result.facts.sound is None
    assert cloud.times("CreateJob") == 2
    (again,) = opened().encode([request_for(objects, clip.read_bytes())])
    assert (again.reused, encoded(again).lacks) == (True, result.lacks)
    assert cloud.times("CreateJob") == 2


def test_a_run_that_ended_before_the_job_without_sound_makes_only_that_one(
    objects: S3Store, cloud: Cloud, clip: Path
) -> None:
    request = request_for(objects, clip.read_bytes())
    cloud.mediaconvert.end_next("ERROR", code=1092, message="the sound")
    cloud.mediaconvert.hold("SUBMITTED")
    failed(next(iter(opened(timeout=0).encode([request]))))
    cloud.mediaconvert.release()
    cloud.mediaconvert.wait_for("ERROR")
    cloud.fail("CreateJob", *9 * [aws.dropped_before])
    failed(next(iter(opened().encode([request]))))
    cloud.mend()
    (outcome,) = opened().encode([request])
    assert encoded(outcome).lacks is not None
    assert [job.status for job in cloud.mediaconvert.jobs] == ["ERROR", "COMPLETE"]


def test_what_an_earlier_version_paid_for_is_not_paid_for_again(
    objects: S3Store, cloud: Cloud, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = opened().encode([request_for(objects, clip.read_bytes())])
    monkeypatch.setattr(mediaconvert, "_EARLIER_SETTINGS", (encoded(first).settings_hash,))
    newer = replace(PROFILE, crf=PROFILE.crf, qvbr_quality=PROFILE.qvbr_quality - 1)
    (second,) = opened(profile=newer).encode([request_for(objects, clip.read_bytes())])
    assert second.reused
    assert encoded(second) == encoded(first)
    assert cloud.times("CreateJob") == 1
