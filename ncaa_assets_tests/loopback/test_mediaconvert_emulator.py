"""The emulator of MediaConvert, asked by a real boto3 client: what it refuses, what it makes, and how it can fail."""

import copy
import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from ncaa_assets.media.ffmpeg import ffmpeg_program
from ncaa_assets.media.isobmff import BoxReader
from ncaa_assets_tests.loopback.aws import Call, Cloud, dropped_after, error
from ncaa_assets_tests.loopback.mediaconvert import MediaConvert, Probe, frame_arguments, probe, video_arguments

BUCKET = "an-archive"
INPUT = "videos/2025-03-09/105170.mp4"
ROLE = "arn:aws:iam::123456789012:role/encoder"


def job_settings(*, sound: bool = True, poster: bool = True, source: str = INPUT) -> dict[str, Any]:
    """A job as this project asks for it: an MP4, and a frame beside it."""
    video: dict[str, Any] = {
        "NameModifier": "-web",
        "ContainerSettings": {"Container": "MP4", "Mp4Settings": {"MoovPlacement": "PROGRESSIVE_DOWNLOAD"}},
        "VideoDescription": {
            "CodecSettings": {
                "Codec": "H_264",
                "H264Settings": {
                    "RateControlMode": "QVBR",
                    "QvbrSettings": {"QvbrQualityLevel": 7},
                    "MaxBitrate": 1_200_000,
                    "QualityTuningLevel": "SINGLE_PASS_HQ",
                    "CodecProfile": "HIGH",
                    "GopSize": 2.0,
                    "GopSizeUnits": "SECONDS",
                },
            }
        },
    }
    if sound:
        aac = {"Bitrate": 128_000, "CodingMode": "CODING_MODE_2_0", "SampleRate": 48_000}
        video["AudioDescriptions"] = [{"CodecSettings": {"Codec": "AAC", "AacSettings": aac}}]
    capture = {"FramerateNumerator": 1, "FramerateDenominator": 1, "MaxCaptures": 1, "Quality": 80}
    frame = {
        "NameModifier": "-poster",
        "ContainerSettings": {"Container": "RAW"},
        "VideoDescription": {"CodecSettings": {"Codec": "FRAME_CAPTURE", "FrameCaptureSettings": capture}},
    }
    destination = f"s3://{BUCKET}/processed_videos/2025-03-09/105170"
    return {
        "Inputs": [
            {
                "FileInput": f"s3://{BUCKET}/{source}",
                "AudioSelectors": {"Audio Selector 1": {"DefaultSelection": "DEFAULT"}},
                "TimecodeSource": "ZEROBASED",
            }
        ],
        "OutputGroups": [
            {
                "OutputGroupSettings": {
                    "Type": "FILE_GROUP_SETTINGS",
                    "FileGroupSettings": {"Destination": destination},
                },
                "Outputs": [video, frame] if poster else [video],
            }
        ],
    }


@pytest.fixture
def emulator(cloud: Cloud, clip: Path) -> MediaConvert:
    cloud.make_bucket(BUCKET)
    cloud.client("s3").put_object(Bucket=BUCKET, Key=INPUT, Body=clip.read_bytes())
    return cloud.mediaconvert


@cache
def client_of(url: str, *, checks: bool = True) -> Any:
    """A client that asks once; without `checks`, it sends what boto3 itself would refuse."""
    config = Config(retries={"total_max_attempts": 1}, parameter_validation=checks)
    return boto3.client("mediaconvert", endpoint_url=url, config=config)


@pytest.fixture
def client(cloud: Cloud, emulator: MediaConvert) -> Any:
    return client_of(cloud.url)


@pytest.fixture
def loose(cloud: Cloud, emulator: MediaConvert) -> Any:
    return client_of(cloud.url, checks=False)


def create(client: Any, settings: dict[str, Any] | None = None, **more: Any) -> Any:
    return client.create_job(**{"Role": ROLE, "Settings": settings or job_settings(), **more})["Job"]


def finished(client: Any, emulator: MediaConvert, job: Any, status: Any = "COMPLETE") -> Any:
    emulator.wait_for(status, count=sum(one.status == status or not one.over for one in emulator.jobs))
    return client.get_job(Id=job["Id"])["Job"]


def refusal(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    told = refused.value.response["Error"]
    return told["Code"], told["Message"]


def stored(cloud: Cloud, key: str) -> bytes:
    return bytes(cloud.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read())


def test_a_job_makes_a_web_ready_video_and_a_poster_where_aws_puts_them(
    cloud: Cloud, emulator: MediaConvert, client: Any, tmp_path: Path
) -> None:
    job = create(client, UserMetadata={"source": "sha", "settings": "hash"}, Tags={"project": "ncaa"})
    assert job["Status"] == "SUBMITTED"
    assert job["Queue"] == "arn:aws:mediaconvert:us-east-1:123456789012:queues/Default"
    assert (job["Role"], job["Settings"]) == (ROLE, job_settings())

    job = finished(client, emulator, job)
    assert (job["Status"], job["JobPercentComplete"]) == ("COMPLETE", 100)
    assert job["UserMetadata"] == {"source": "sha", "settings": "hash"}
    assert job["CreatedAt"] <= job["Timing"]["StartTime"] <= job["Timing"]["FinishTime"]
    assert "ErrorCode" not in job
    assert job["OutputGroupDetails"] == [
        {
            "OutputDetails": [
                {"DurationInMs": pytest.approx(2000, abs=60), "VideoDetails": {"WidthInPx": 320, "HeightInPx": 180}},
                {"DurationInMs": 1000, "VideoDetails": {"WidthInPx": 320, "HeightInPx": 180}},
            ]
        }
    ]
    keys = ["processed_videos/2025-03-09/105170-poster.0000000.jpg", "processed_videos/2025-03-09/105170-web.mp4"]
    listed = cloud.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="processed_videos/")["Contents"]
    assert [one["Key"] for one in listed] == keys
    assert stored(cloud, keys[0]).startswith(b"\xff\xd8\xff")
    video = stored(cloud, keys[1])
    assert 0 < video.index(b"moov") < video.index(b"mdat")
    assert video.count(b"avcC\x01\x64") == 1  # the configuration record's profile: High
    movie = BoxReader()
    movie.feed(video)
    told = movie.finish()
    assert (told.has_sound, told.has_video) == (True, True)
    assert emulator.encodes == 1
    assert [(call.service, call.operation, call.key, call.changes) for call in cloud.calls] == [
        ("mediaconvert", "CreateJob", f"s3://{BUCKET}/{INPUT}", True),
        ("mediaconvert", "GetJob", job["Id"], False),
    ]


def test_a_job_s_settings_reach_the_encoder(cloud: Cloud, emulator: MediaConvert, client: Any, tmp_path: Path) -> None:
    settings = job_settings(sound=False)
    group = settings["OutputGroups"][0]
    group["OutputGroupSettings"]["FileGroupSettings"]["Destination"] = f"s3://{BUCKET}/out/"
    video, frame = group["Outputs"]
    video["VideoDescription"] |= {"Height": 90}
    video["Extension"] = "m4v"
    h264 = video["VideoDescription"]["CodecSettings"]["H264Settings"]
    h264 |= {"CodecProfile": "BASELINE", "GopSize": 0.5}
    frame["VideoDescription"]["Width"] = 160
    capture = frame["VideoDescription"]["CodecSettings"]["FrameCaptureSettings"]
    capture |= {"FramerateNumerator": 2, "MaxCaptures": 3}
    finished(client, emulator, create(client, settings))
    # A destination that ends in a slash takes the input's name.
    assert emulator.jobs[0].outputs == [
        "out/105170-web.m4v",
        *(f"out/105170-poster.000000{number}.jpg" for number in range(3)),
    ]
    encoded = tmp_path / "out.mp4"
    encoded.write_bytes(stored(cloud, "out/105170-web.m4v"))
    assert probe(encoded) == Probe(2.0, 160, 90, has_sound=False)
    assert encoded.read_bytes().count(b"avcC\x01\x42") == 1  # the configuration record's profile: Baseline
    frames = {stored(cloud, key) for key in emulator.jobs[0].outputs[1:]}
    assert len(frames) == 3  # of three different moments
    poster = tmp_path / "poster.jpg"
    poster.write_bytes(frames.pop())
    shown = probe(poster)
    assert shown is not None
    assert (shown.width, shown.height) == (160, 90)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {},
            {
                "-crf": "23.0",
                "-maxrate": "1200000",
                "-bufsize": "2400000",
                "-force_key_frames": "expr:gte(t,n_forced*2.0)",
            },
        ),
        (
            {"qvbrSettings": {"qvbrQualityLevel": 8, "qvbrQualityLevelFineTune": 0.5}, "hrdBufferSize": 9},
            {"-crf": "18.5", "-bufsize": "9"},
        ),
        ({"rateControlMode": "CBR", "bitrate": 7}, {"-b:v": "7"}),
        ({"gopSizeUnits": "FRAMES", "gopSize": 48}, {"-g": "48", "-keyint_min": "48"}),
        ({"codecProfile": "MAIN"}, {"-profile:v": "main", "-bf": "2"}),
    ],
)
def test_rates_and_key_frames_are_the_job_s(changes: dict[str, Any], expected: dict[str, str]) -> None:
    h264 = {
        "rateControlMode": "QVBR", "qvbrSettings": {"qvbrQualityLevel": 7}, "maxBitrate": 1_200_000,
        "gopSizeUnits": "SECONDS", "gopSize": 2.0, **changes,
    }  # fmt: skip
    output = {
        "containerSettings": {"container": "MP4"},
        "videoDescription": {"codecSettings": {"codec": "H_264", "h264Settings": h264}},
    }
    arguments = video_arguments({}, output, Path("in"), Path("out"))
    assert {name: arguments[arguments.index(name) + 1] for name in expected} == expected


@pytest.mark.parametrize(
    ("video", "size"),
    [
        ({}, (320, 180)),
        ({"width": 160}, (160, 90)),
        ({"height": 360}, (640, 360)),
        ({"width": 200, "height": 200}, (200, 200)),
        ({"width": 200, "height": 200, "scalingBehavior": "STRETCH_TO_OUTPUT"}, (200, 200)),
    ],
)
def test_pictures_have_the_size_that_the_job_asks_for(
    clip: Path, tmp_path: Path, video: dict[str, Any], size: tuple[int, int]
) -> None:
    output = {"videoDescription": {**video, "codecSettings": {"frameCaptureSettings": {}}}}
    frame = tmp_path / "frame.jpg"
    subprocess.run([ffmpeg_program(), *frame_arguments({}, output, clip, frame, at_seconds=1)], check=True)
    shown = probe(frame)
    assert shown is not None
    assert (shown.width, shown.height) == size


def test_a_source_without_sound_is_encoded_without_and_fails_with_an_audio_description(
    cloud: Cloud, emulator: MediaConvert, client: Any, silent_clip: Path
) -> None:
    cloud.client("s3").put_object(Bucket=BUCKET, Key=INPUT, Body=silent_clip.read_bytes())
    finished(client, emulator, create(client, job_settings(sound=False)))
    failed = finished(client, emulator, create(client), "ERROR")
    assert (failed["Status"], failed["ErrorCode"]) == ("ERROR", 1021)
    assert INPUT in failed["ErrorMessage"]
    assert emulator.encodes == 1


def test_an_input_that_is_missing_or_no_video_ends_in_error(cloud: Cloud, emulator: MediaConvert, client: Any) -> None:
    cloud.client("s3").put_object(Bucket=BUCKET, Key="page.mp4", Body=b"<html>no video</html>")
    missing = create(client, job_settings(source="nothing.mp4"))
    page = create(client, job_settings(source="page.mp4"))
    emulator.wait_for("ERROR", count=2)
    for job, code in ((missing, 1404), (page, 1010)):
        told = client.get_job(Id=job["Id"])["Job"]
        assert told["ErrorCode"] == code
        assert told["Settings"]["Inputs"][0]["FileInput"] in told["ErrorMessage"]
        assert "OutputGroupDetails" not in told
    assert emulator.encodes == 0


def test_a_bucket_to_write_to_that_is_missing_ends_in_error(emulator: MediaConvert, client: Any) -> None:
    settings = job_settings(poster=False)
    settings["OutputGroups"][0]["OutputGroupSettings"]["FileGroupSettings"]["Destination"] = "s3://no-such-bucket/x"
    assert finished(client, emulator, create(client, settings), "ERROR")["ErrorCode"] == 1404
    assert emulator.encodes == 0


# What is refused.

OUTPUT = ("OutputGroups", 0, "Outputs", 0)
H264 = (*OUTPUT, "VideoDescription", "CodecSettings", "H264Settings")
AAC = (*OUTPUT, "AudioDescriptions", 0, "CodecSettings", "AacSettings")
FILES = ("OutputGroups", 0, "OutputGroupSettings")
GONE = object()


def changed(path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """The usual job with one member set, or taken out."""
    settings = job_settings()
    place: Any = settings
    for step in path[:-1]:
        place = place[step]
    if value is GONE:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return settings


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("Inputs", 0, "FileInput"), "/a/file.mp4", "/inputs/0/fileInput: '/a/file.mp4' should begin with s3://"),
        (("Inputs", 0, "FileInput"), f"s3://{BUCKET}/", "/inputs/0/fileInput"),
        (("Inputs",), [], "/inputs: Should have at least 1 items"),
        (("OutputGroups",), [], "/outputGroups: Should have at least 1 items"),
        (("OutputGroups",), GONE, "/: outputGroups is a required property"),
        ((*OUTPUT[:3],), [], "/outputGroups/0/outputs: Should have at least 1 items"),
        ((*FILES, "Type"), GONE, "/outputGroups/0/outputGroupSettings: type is a required property"),
        ((*FILES, "Type"), "FILE_GROUP", "/outputGroups/0/outputGroupSettings/type: 'FILE_GROUP' should be one of"),
        ((*FILES, "FileGroupSettings", "Destination"), GONE, "fileGroupSettings: destination is a required property"),
        ((*FILES, "FileGroupSettings", "Destination"), "/out/x", "destination: '/out/x' should begin with s3://"),
        ((*OUTPUT, "ContainerSettings"), GONE, "/outputGroups/0/outputs/0: containerSettings is a required property"),
        ((*OUTPUT, "NameModifier"), GONE, "/outputGroups/0/outputs/0: nameModifier is a required property"),
        ((*OUTPUT, "NameModifier"), "", "nameModifier: Its length should be at least 1, and is 0"),
        ((*OUTPUT, "Extension"), "x" * 257, "extension: Its length should be at most 256, and is 257"),
        ((*H264, "MaxBitrate"), GONE, "h264Settings: maxBitrate is a required property"),
        ((*H264, "MaxBitrate"), 999, "h264Settings/maxBitrate: Should be at least 1000, and is 999"),
        ((*H264, "MaxBitrate"), 1_152_000_001, "maxBitrate: Should be at most 1152000000"),
        ((*H264, "Bitrate"), 1_000_000, "h264Settings/bitrate: is for VBR and CBR only"),
        ((*H264, "RateControlMode"), "CBR", "h264Settings: bitrate is a required property"),
        ((*H264, "RateControlMode"), "CRF", "rateControlMode: 'CRF' should be one of"),
        ((*H264, "QvbrSettings", "QvbrQualityLevel"), 11, "qvbrQualityLevel: Should be at most 10, and is 11"),
        ((*H264, "QvbrSettings", "QvbrQualityLevelFineTune"), 1.5, "qvbrQualityLevelFineTune: Should be at most 1"),
        ((*H264, "QvbrSettings", "MaxAverageBitrate"), 1000, "maxAverageBitrate: needs qualityTuningLevel"),
        ((*H264, "GopSizeUnits"), "AUTO", "gopSize: needs gopSizeUnits FRAMES or SECONDS"),
        ((*H264, "GopSize"), GONE, "h264Settings: gopSize is a required property"),
        ((*AAC, "Bitrate"), 129_000, "aacSettings/bitrate: 129000 is not one of the valid values"),
        ((*AAC, "SampleRate"), GONE, "aacSettings: sampleRate is a required property"),
        ((*OUTPUT, "AudioDescriptions", 0, "AudioSourceName"), "Voice", "has no audio selector 'Voice'"),
        (("Inputs", 0, "AudioSelectors"), GONE, "has no audio selector 'Audio Selector 1'"),
        (("OutputGroups", 0, "Outputs", 1, "ContainerSettings", "Container"), "MP4", "Should be RAW"),
        (("OutputGroups", 0, "Outputs", 0), GONE, "a job cannot consist of frame capture outputs only"),
    ],
)
def test_a_job_that_aws_would_refuse_is_refused_by_the_member_s_name(
    emulator: MediaConvert, loose: Any, path: tuple[str | int, ...], value: Any, named: str
) -> None:
    code, message = refusal(loose.create_job, Role=ROLE, Settings=changed(path, value))
    assert code == "BadRequestException"
    assert named in message
    assert emulator.jobs == []


@pytest.mark.parametrize("metadata", [{"archive": "s" * 257}, {"n" * 257: "archive"}])
def test_metadata_longer_than_256_characters_are_refused(
    emulator: MediaConvert, loose: Any, metadata: dict[str, str]
) -> None:
    _, message = refusal(loose.create_job, Role=ROLE, Settings=job_settings(), UserMetadata=metadata)
    assert "/userMetadata" in message
    assert emulator.jobs == []
    create(loose, UserMetadata={"archive": "s" * 256})


@pytest.mark.parametrize(
    ("request_body", "named"),
    [
        ({"settings": {}}, "/: role is a required property"),
        ({"role": "encoder", "settings": {}}, "/role: 'encoder' is not the ARN of a role"),
        ({"role": ROLE, "settings": {}, "colour": 1}, "/: colour is not a known property"),
        ({"role": ROLE, "settings": {"Inputs": []}}, "/: Inputs is not a known property"),
        ({"role": ROLE, "settings": {"inputs": [{"fileinput": "x"}]}}, "/inputs/0: fileinput is not a known property"),
        ({"role": ROLE, "settings": {"inputs": {}}}, "/inputs: Should be a list"),
        ({"role": ROLE, "settings": {}, "priority": 51}, "/priority: Should be at most 50, and is 51"),
        ({"role": ROLE, "settings": {}, "priority": -51}, "/priority: Should be at least -50, and is -51"),
        ({"role": ROLE, "settings": {}, "priority": "1"}, "/priority: Should be a whole number"),
        ({"role": ROLE, "settings": {}, "userMetadata": {"a": 1}}, "/userMetadata/a: Should be text"),
        ({"role": ROLE, "settings": {}, "clientRequestToken": "x" * 65}, "/clientRequestToken: Should be up to 64"),
    ],
)
def test_what_a_client_cannot_even_send_is_refused_too(
    cloud: Cloud, emulator: MediaConvert, request_body: dict[str, Any], named: str
) -> None:
    request = urllib.request.Request(
        f"{cloud.url}/2017-08-29/jobs",
        json.dumps(request_body).encode(),
        {
            "Authorization": "AWS4-HMAC-SHA256 Credential=A/20250309/us-east-1/mediaconvert/aws4_request, Signature=0",
            "Content-Type": "application/json",
        },
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == 400
    assert refused.value.headers["x-amzn-ErrorType"] == "BadRequestException"
    assert named in json.load(refused.value)["message"]


def test_what_the_emulator_cannot_do_is_a_problem_of_the_test(
    cloud: Cloud, emulator: MediaConvert, client: Any
) -> None:
    settings = copy.deepcopy(job_settings())
    settings["Inputs"] *= 2
    with pytest.raises(ConnectionClosedError):
        create(client, settings)
    [problem] = cloud.problems
    assert "NotImplementedError: jobs of several inputs" in problem
    cloud.problems.clear()


# Jobs that are looked for.


def test_a_request_token_leads_to_its_first_job_for_a_while(emulator: MediaConvert, client: Any) -> None:
    emulator.hold()
    first = create(client, ClientRequestToken="t")
    assert create(client, ClientRequestToken="t")["Id"] == first["Id"]
    assert create(client, ClientRequestToken="other")["Id"] != first["Id"]
    emulator.token_seconds = 0
    assert create(client, ClientRequestToken="t")["Id"] != first["Id"]
    assert len(emulator.jobs) == 3


def test_jobs_are_listed_newest_first_in_pages_and_by_status(emulator: MediaConvert, client: Any, loose: Any) -> None:
    emulator.hold()
    ids = [create(client)["Id"] for _ in range(23)]
    seen = client.list_jobs()
    assert [one["Id"] for one in seen["Jobs"]] == ids[:2:-1]
    rest = client.list_jobs(NextToken=seen["NextToken"])
    assert [one["Id"] for one in rest["Jobs"]] == ids[2::-1]
    assert "NextToken" not in rest
    paged = client.get_paginator("list_jobs").paginate(Order="ASCENDING", PaginationConfig={"PageSize": 7})
    assert [one["Id"] for page in paged for one in page["Jobs"]] == ids
    client.cancel_job(Id=ids[4])
    assert [one["Id"] for one in client.list_jobs(Status="CANCELED")["Jobs"]] == [ids[4]]
    assert client.list_jobs(Queue="Default", MaxResults=1)["Jobs"][0]["Id"] == ids[-1]
    assert "maxResults: Should be at most 20" in refusal(loose.list_jobs, MaxResults=21)[1]
    assert "status: 'DONE' should be one of" in refusal(loose.list_jobs, Status="DONE")[1]
    assert "nextToken" in refusal(client.list_jobs, NextToken="made up")[1]


def test_jobs_are_found_by_a_part_of_their_input_once_the_search_knows_them(
    cloud: Cloud, emulator: MediaConvert, client: Any
) -> None:
    emulator.hold()
    ids = [create(client, job_settings(source=f"videos/{number}.mp4"))["Id"] for number in (1, 2, 1)]
    found = client.search_jobs(InputFile="videos/1.mp4")["Jobs"]
    assert [one["Id"] for one in found] == [ids[2], ids[0]]
    assert client.search_jobs(InputFile=f"s3://{BUCKET}/videos/2.mp4")["Jobs"][0]["Id"] == ids[1]
    assert client.search_jobs(InputFile="videos/", Order="ASCENDING", MaxResults=1)["Jobs"][0]["Id"] == ids[0]
    assert client.search_jobs(InputFile="none")["Jobs"] == []
    assert "inputFile" in refusal(client.search_jobs, InputFile="x" * 301)[1]
    emulator.search_lag_seconds = 3600
    assert client.search_jobs(InputFile="videos/")["Jobs"] == []
    assert len(client.list_jobs()["Jobs"]) == 3
    assert [call.key for call in cloud.calls if call.operation == "SearchJobs"][:2] == [
        "videos/1.mp4",
        f"s3://{BUCKET}/videos/2.mp4",
    ]


def test_a_job_or_queue_that_is_not_there_is_not_found(emulator: MediaConvert, client: Any) -> None:
    for call, name in ((client.get_job, "Id"), (client.cancel_job, "Id"), (client.get_queue, "Name")):
        assert refusal(call, **{name: "nothing"})[0] == "NotFoundException"
    assert refusal(create, client=client, Queue="nothing")[0] == "NotFoundException"
    emulator.queues.append("cheap")
    emulator.hold("SUBMITTED")
    create(client)
    cheap = create(client, Queue="cheap")
    assert cheap["Queue"].endswith(":queues/cheap")
    assert [job["Id"] for job in client.list_jobs(Queue=cheap["Queue"])["Jobs"]] == [cheap["Id"]]
    queue = client.get_queue(Name="cheap")["Queue"]
    assert (queue["Status"], queue["SubmittedJobsCount"], queue["ProgressingJobsCount"]) == ("ACTIVE", 1, 0)


# Faults.


def test_jobs_wait_where_they_are_held(emulator: MediaConvert, client: Any) -> None:
    emulator.hold("SUBMITTED")
    job = create(client)
    assert client.get_job(Id=job["Id"])["Job"]["Status"] == "SUBMITTED"
    emulator.hold("PROGRESSING")
    emulator.release()
    emulator.wait_for("COMPLETE")
    emulator.hold()
    second = create(client)
    emulator.wait_for("PROGRESSING")
    held = client.get_job(Id=second["Id"])["Job"]
    assert (held["Status"], held["CurrentPhase"], held["JobPercentComplete"]) == ("PROGRESSING", "PROBING", 0)
    emulator.release()
    assert finished(client, emulator, second)["Status"] == "COMPLETE"


def test_a_job_is_canceled_also_while_it_is_held_but_not_when_it_is_over(
    cloud: Cloud, emulator: MediaConvert, client: Any
) -> None:
    emulator.hold()
    job = create(client)
    client.cancel_job(Id=job["Id"])
    emulator.release()
    assert client.get_job(Id=job["Id"])["Job"]["Status"] == "CANCELED"
    assert refusal(client.cancel_job, Id=job["Id"])[0] == "ConflictException"
    finished(client, emulator, create(client, job_settings(poster=False)))
    assert emulator.encodes == 1
    assert emulator.jobs[0].outputs == []


def test_the_next_job_ends_as_the_test_says(cloud: Cloud, emulator: MediaConvert, client: Any) -> None:
    emulator.end_next("ERROR", code=1432, message="The role cannot be assumed.")
    emulator.end_next("CANCELED")
    failed = finished(client, emulator, create(client), "ERROR")
    assert (failed["ErrorCode"], failed["ErrorMessage"]) == (1432, "The role cannot be assumed.")
    assert finished(client, emulator, create(client), "CANCELED")["Status"] == "CANCELED"
    assert emulator.encodes == 0
    assert finished(client, emulator, create(client, job_settings(poster=False)))["Status"] == "COMPLETE"


def test_outputs_can_be_lost(cloud: Cloud, emulator: MediaConvert, client: Any) -> None:
    emulator.lose_outputs()
    assert finished(client, emulator, create(client, job_settings(poster=False)))["Status"] == "COMPLETE"
    assert "Contents" not in cloud.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="processed_videos/")
    finished(client, emulator, create(client, job_settings(poster=False)))
    assert "Contents" in cloud.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="processed_videos/")
    assert emulator.encodes == 2


def test_the_cloud_s_faults_and_hooks_reach_jobs_too(cloud: Cloud, emulator: MediaConvert, client: Any) -> None:
    emulator.hold()
    cloud.fail("CreateJob", error(429, "TooManyRequestsException"), dropped_after)
    with pytest.raises(client.exceptions.TooManyRequestsException):
        create(client)
    assert emulator.jobs == []
    with pytest.raises(ConnectionClosedError):
        create(client)
    assert len(emulator.jobs) == 1
    seen: list[tuple[str, int]] = []

    def note(call: Call) -> None:
        seen.append((call.operation, len(emulator.jobs)))

    cloud.before = cloud.after = note
    create(client)
    assert seen == [("CreateJob", 1), ("CreateJob", 2)]
    assert cloud.times("CreateJob") == 3


def test_a_reset_ends_what_runs(cloud: Cloud, emulator: MediaConvert, client: Any) -> None:
    emulator.hold()
    create(client)
    emulator.wait_for("PROGRESSING")
    cloud.reset()
    assert emulator.jobs == []
    assert client.list_jobs()["Jobs"] == []


def test_what_cannot_be_read_has_no_probe(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_bytes(b"no video")
    assert probe(file) is None
