"""What every transcoder promises (`ports.py`): one suite that ffmpeg and MediaConvert must pass."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

from ncaa_assets.backends.aws.mediaconvert import MediaConvertTranscoder
from ncaa_assets.backends.aws.s3 import S3Store
from ncaa_assets.backends.local.ffmpeg import FfmpegTranscoder
from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.failures import EncodeFailed, EncodeRefused
from ncaa_assets.media.isobmff import BoxReader, Movie
from ncaa_assets.media.profile import PROFILE, Profile
from ncaa_assets.ports import EncodeRequest, ObjectStore, Transcoder
from ncaa_assets.record.models import CopiedVideo, ProcessedVideo
from ncaa_assets_tests.loopback.aws import Cloud

BUCKET, DAY = "highlights", "2025-03-09"


@dataclass(frozen=True)
class Backend:
    """A store, and a function that opens a transcoder on it."""

    store: ObjectStore
    transcoder: Callable[[Profile], Transcoder]


@pytest.fixture(params=["local", "aws", "ffmpeg-on-aws"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    if request.param == "local":
        folder = LocalStore(tmp_path / "archive")
        return Backend(folder, lambda profile: FfmpegTranscoder(folder, profile, concurrency=2, timeout=60))
    cloud: Cloud = request.getfixturevalue("cloud")
    cloud.make_bucket(BUCKET)
    bucket = S3Store(boto3.client("s3"), BUCKET)
    if request.param == "ffmpeg-on-aws":
        return Backend(bucket, lambda profile: FfmpegTranscoder(bucket, profile, concurrency=2, timeout=60))
    return Backend(
        bucket,
        lambda profile: MediaConvertTranscoder(
            boto3.client("mediaconvert"), bucket, profile, role="arn:aws:iam::123456789012:role/mediaconvert",
            queue=None, timeout=60, poll_seconds=0.05,
        ),
    )  # fmt: skip


def movie_of(data: bytes) -> Movie:
    reader = BoxReader()
    reader.feed(data)
    return reader.finish()


def request_for(store: ObjectStore, name: str, data: bytes, *, again: bool = False) -> EncodeRequest:
    key = f"videos/{DAY}/{name}.mp4"
    store.write(key, data, content_type="video/mp4")
    is_movie = data[4:8] == b"ftyp"
    movie = movie_of(data) if is_movie else None
    video = CopiedVideo(
        id=name, title=f"Game {name}", source_url="https://host/1.mp4", key=key, bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(), container="mp4",
        duration_seconds=movie.duration_seconds if movie else None, has_sound=movie.has_sound if movie else None,
        width=movie.width if movie else None, height=movie.height if movie else None,
        copied_at="2025-03-10T06:00:00Z",
    )  # fmt: skip
    base = f"processed_videos/{DAY}/{name}"
    return EncodeRequest(video, output_key=f"{base}.mp4", poster_key=f"{base}.jpg", force=again)


def encoded(result: ProcessedVideo | EncodeRefused | EncodeFailed) -> ProcessedVideo:
    assert isinstance(result, ProcessedVideo), result
    return result


def test_every_video_comes_back_as_it_was_with_a_poster(backend: Backend, clip: Path, silent_clip: Path) -> None:
    requests = [
        request_for(backend.store, "1", clip.read_bytes()),
        request_for(backend.store, "2", silent_clip.read_bytes()),
    ]
    transcoder = backend.transcoder(PROFILE)
    outcomes = {outcome.request.video.id: outcome for outcome in transcoder.encode(requests)}
    assert outcomes.keys() == {"1", "2"}
    for request, sound in zip(requests, (True, False), strict=True):
        result = encoded(outcomes[request.video.id].result)
        data = backend.store.read(result.key)[0]
        movie = movie_of(data)
        assert (result.id, result.title, result.key) == (
            request.video.id, f"Game {request.video.id}", request.output_key,
        )  # fmt: skip
        assert (result.bytes, result.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert (result.source_key, result.source_sha256) == (request.video.key, request.video.sha256)
        assert result.settings_hash == transcoder.settings_hash()
        assert (movie.width, movie.height, movie.has_sound) == (320, 180, sound), "never scaled up"
        assert movie.duration_seconds == pytest.approx(request.video.duration_seconds, abs=0.1)
        assert result.duration_seconds == movie.duration_seconds
        assert data.index(b"moov") < data.index(b"mdat"), "fast start"
        picture = backend.store.read(result.poster.key)[0]
        assert picture[:3] == b"\xff\xd8\xff"
        assert result.poster.bytes == len(picture)
        assert result.encode_seconds >= 0
        assert not outcomes[request.video.id].reused


def test_a_video_that_cannot_be_encoded_delays_no_other(backend: Backend, clip: Path) -> None:
    requests = [
        request_for(backend.store, "bad", b"no video at all" * 100),
        request_for(backend.store, "good", clip.read_bytes()),
    ]
    outcomes = {one.request.video.id: one.result for one in backend.transcoder(PROFILE).encode(requests)}
    assert isinstance(outcomes["bad"], EncodeFailed | EncodeRefused)
    assert "\n" not in str(outcomes["bad"])
    encoded(outcomes["good"])
    assert [one.key for one in backend.store.list("processed_videos/") if "bad" in one.key] == []


def test_a_larger_picture_is_made_smaller_in_its_own_shape(backend: Backend, clip: Path) -> None:
    request = request_for(backend.store, "1", clip.read_bytes())
    (outcome,) = backend.transcoder(Profile(max_short_side=90)).encode([request])
    assert (encoded(outcome.result).width, encoded(outcome.result).height) == (160, 90)


def test_the_settings_hash_follows_the_profile_alone(backend: Backend) -> None:
    assert backend.transcoder(PROFILE).settings_hash() == backend.transcoder(Profile()).settings_hash()
    assert backend.transcoder(PROFILE).settings_hash() != backend.transcoder(Profile(gop_seconds=4)).settings_hash()


def test_what_is_asked_for_again_is_made_again(backend: Backend, clip: Path) -> None:
    first = request_for(backend.store, "1", clip.read_bytes())
    (before,) = backend.transcoder(PROFILE).encode([first])
    backend.store.write(first.output_key, b"damaged")
    (after,) = backend.transcoder(PROFILE).encode([request_for(backend.store, "1", clip.read_bytes(), again=True)])
    assert not after.reused
    assert movie_of(backend.store.read(first.output_key)[0]).height == 180
    assert encoded(after.result).key == encoded(before.result).key


def test_nothing_to_encode_is_nothing_to_do(backend: Backend) -> None:
    assert list(backend.transcoder(PROFILE).encode([])) == []


def test_an_encoding_that_is_closed_early_leaves_nothing_half_stored(backend: Backend, clip: Path) -> None:
    requests = [
        request_for(backend.store, name, clip.read_bytes() + b"\0\0\0\x09free" + name.encode()) for name in "123"
    ]
    outcomes = backend.transcoder(PROFILE).encode(requests)
    first = encoded(next(outcomes).result)
    outcomes.close()
    for one in backend.store.list("processed_videos/"):
        if one.key.endswith(".mp4"):
            assert movie_of(backend.store.read(one.key)[0]).height == 180
    assert backend.store.info(first.key) is not None
    again = {one.request.video.id: one.result for one in backend.transcoder(PROFILE).encode(requests)}
    assert all(encoded(result).height == 180 for result in again.values())
