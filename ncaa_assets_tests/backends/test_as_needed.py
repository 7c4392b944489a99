"""`ENCODE=needed`: what is web-ready is kept or repackaged, over a folder and over a bucket; all else is encoded."""

import hashlib
import subprocess
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import boto3
import pytest

from ncaa_assets.backends.as_needed import AsNeeded, NeverEncodes
from ncaa_assets.backends.aws.s3 import S3Store
from ncaa_assets.backends.deployments import encode_bounds, needs_ffmpeg, open_transcoder
from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.failures import EncodeFailed, LeaseLost, SettingsError
from ncaa_assets.media.ffmpeg import ffmpeg_program
from ncaa_assets.media.probe import read_facts
from ncaa_assets.media.profile import PROFILE
from ncaa_assets.ports import EncodeOutcome, EncodeRequest, ObjectStore, Transcoder
from ncaa_assets.record.models import CopiedVideo, ProcessedVideo
from ncaa_assets.settings import Settings
from ncaa_assets_tests.loopback.aws import Cloud

BUCKET, DAY = "highlights", "2025-03-09"


class Encoder(Transcoder):
    """Stands for an encoder that is paid: remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def settings_hash(self) -> str:
        return "0123456789abcdef"

    def encode(
        self, requests: Sequence[EncodeRequest], *, before_commit: Callable[[], None] = lambda: None
    ) -> Generator[EncodeOutcome, None, None]:
        for request in requests:
            self.asked.append(request.video.id)
            yield EncodeOutcome(request, EncodeFailed("asked"))


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        return LocalStore(tmp_path / "archive")
    cloud: Cloud = request.getfixturevalue("cloud")
    cloud.make_bucket(BUCKET)
    return S3Store(boto3.client("s3"), BUCKET)


@pytest.fixture
def encoder() -> Encoder:
    return Encoder()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A web-ready MP4 (`ready.mp4`), and the same film in other wrappings and kinds."""
    folder = tmp_path_factory.mktemp("needed")

    def ffmpeg(*arguments: str) -> None:
        subprocess.run([ffmpeg_program(), "-v", "error", "-nostdin", "-y", *arguments], check=True, cwd=folder)

    ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=size=128x72:rate=25:duration=2", "-f", "lavfi", "-i", "sine=duration=2",
        "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", "-movflags", "+faststart", "ready.mp4",
    )  # fmt: skip
    for name, arguments in {
        "late.mp4": (),
        "apple.mov": (),
        "packets.ts": (),
        "fragments.mp4": ("-movflags", "frag_keyframe+empty_moov"),
        "silent.mp4": ("-an", "-movflags", "+faststart"),
    }.items():
        ffmpeg("-i", "ready.mp4", "-c", "copy", *arguments, name)
    ffmpeg("-i", "ready.mp4", "-c:v", "libx264", "-pix_fmt", "yuv444p", "-movflags", "+faststart", "colours.mp4")
    ffmpeg("-i", "ready.mp4", "-c:v", "libvpx-vp9", "-deadline", "realtime", "-an", "other.webm")
    data = (folder / "ready.mp4").read_bytes()
    header = data.index(b"mvhd") + 4  # version and flags, two times, the scale, then the length (ISO 14496-12, 8.2.2)
    (folder / "lying.mp4").write_bytes(data[: header + 16] + (3_600_000).to_bytes(4, "big") + data[header + 20 :])
    media = data.index(b"mdat") + 4
    (folder / "zeroed.mp4").write_bytes(data[:media] + bytes(len(data) - media))
    late = (folder / "late.mp4").read_bytes()
    middle = late.index(b"mdat") + 4000
    (folder / "holed.mp4").write_bytes(late[:middle] + bytes(8000) + late[middle + 8000 :])
    return folder


def request_for(store: ObjectStore, file: Path) -> EncodeRequest:
    data = file.read_bytes()
    container = file.suffix.removeprefix(".")
    key = f"videos/{DAY}/{file.stem}.{container}"
    store.write(key, data, content_type="video/mp4")
    with file.open("rb") as opened:
        facts = read_facts(opened, size=len(data))
    video = CopiedVideo(
        id=file.stem, title="Game", source_url="https://x/", key=key, bytes=len(data), container=container,
        sha256=hashlib.sha256(data).hexdigest(), duration_seconds=facts.seconds, has_sound=True,
        copied_at="2025-03-10T06:00:00Z",
        facts=facts,
    )  # fmt: skip
    base = f"processed_videos/{DAY}/{file.stem}"
    return EncodeRequest(video, output_key=f"{base}.mp4", poster_key=f"{base}.jpg")


def needed(store: ObjectStore, encoder: Encoder) -> AsNeeded:
    return AsNeeded(store, PROFILE, encoder, concurrency=2, timeout=60)


def packets(folder: Path, data: bytes) -> list[str]:
    """The sizes and sums of a video's packets, in order."""
    (folder / "packets.mp4").write_bytes(data)
    printed = subprocess.run(
        [ffmpeg_program(), "-v", "error", "-i", str(folder / "packets.mp4"), "-c", "copy", "-f", "framecrc", "-"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    rows = [line.split(",") for line in printed.splitlines() if not line.startswith("#")]
    return sorted(f"{row[0]} {row[4]} {row[5]}" for row in rows)


@pytest.mark.parametrize("name", ["ready.mp4", "silent.mp4"])
def test_what_is_web_ready_is_kept_byte_for_byte(store: ObjectStore, encoder: Encoder, files: Path, name: str) -> None:
    request = request_for(store, files / name)
    (outcome,) = needed(store, encoder).encode([request])
    output = outcome.result
    assert isinstance(output, ProcessedVideo), output
    data = store.read(request.output_key)[0]
    assert (output.made_by, output.key, data) == ("kept", request.output_key, (files / name).read_bytes())
    assert (output.bytes, output.sha256, output.source_sha256) == (
        len(data),
        request.video.sha256,
        request.video.sha256,
    )
    assert (output.width, output.height, output.facts) == (128, 72, request.video.facts)
    assert output.settings_hash == encoder.settings_hash()
    poster = store.read(output.poster.key)[0]
    assert (poster[:3], len(poster)) == (b"\xff\xd8\xff", output.poster.bytes)
    assert encoder.asked == []
    store.delete(request.video.key)
    assert store.read(request.output_key)[0] == data, "an object of its own"


@pytest.mark.parametrize("name", ["late.mp4", "apple.mov", "packets.ts", "fragments.mp4", "lying.mp4"])
def test_what_only_lies_wrong_is_repackaged_without_loss(
    store: ObjectStore, encoder: Encoder, files: Path, tmp_path: Path, name: str
) -> None:
    (outcome,) = needed(store, encoder).encode([request_for(store, files / name)])
    output = outcome.result
    assert isinstance(output, ProcessedVideo), output
    data = store.read(output.key)[0]
    assert (output.made_by, output.sha256) == ("repackaged", hashlib.sha256(data).hexdigest())
    assert data.index(b"moov") < data.index(b"mdat")
    assert b"moof" not in data
    assert output.duration_seconds == pytest.approx(2, abs=0.1)
    assert output.facts is not None
    assert output.facts.fast_start
    if name != "packets.ts":  # whose packets carry start codes
        assert packets(tmp_path, data) == packets(tmp_path, (files / "ready.mp4").read_bytes())
    assert encoder.asked == []


@pytest.mark.parametrize("name", ["colours.mp4", "other.webm", "zeroed.mp4", "holed.mp4"])
def test_what_is_not_ready_or_cannot_be_decoded_goes_to_the_encoder(
    store: ObjectStore, encoder: Encoder, files: Path, name: str
) -> None:
    request = request_for(store, files / name)
    (outcome,) = needed(store, encoder).encode([request])
    assert (str(outcome.result), encoder.asked) == ("asked", [request.video.id])
    assert store.info(request.output_key) is None
    assert store.info(request.poster_key) is None


def test_a_copy_that_is_not_what_was_copied_is_not_kept(store: ObjectStore, encoder: Encoder, files: Path) -> None:
    request = request_for(store, files / "ready.mp4")
    store.write(request.video.key, (files / "silent.mp4").read_bytes(), content_type="video/mp4")
    (outcome,) = needed(store, encoder).encode([request])
    assert "is not what was copied" in str(outcome.result)
    assert (encoder.asked, store.info(request.output_key)) == ([], None)


def test_what_is_kept_does_not_wait_for_what_is_encoded(store: ObjectStore, encoder: Encoder, files: Path) -> None:
    requests = [request_for(store, files / name) for name in ("colours.mp4", "ready.mp4")]
    outcomes = needed(store, encoder).encode(requests)
    assert next(outcomes).request.video.id == "ready"
    assert encoder.asked == []
    assert next(outcomes).request.video.id == "colours"


def test_a_lost_day_publishes_nothing(store: ObjectStore, encoder: Encoder, files: Path) -> None:
    def lost() -> None:
        raise LeaseLost("lost")

    request = request_for(store, files / "ready.mp4")
    with pytest.raises(LeaseLost):
        list(needed(store, encoder).encode([request], before_commit=lost))
    assert store.info(request.output_key) is None


def test_a_folder_keeps_the_content_once(tmp_path: Path, encoder: Encoder, files: Path) -> None:
    folder = LocalStore(tmp_path / "archive")
    request = request_for(folder, files / "ready.mp4")
    list(needed(folder, encoder).encode([request]))
    assert folder.path(request.output_key).samefile(folder.path(request.video.key))
    assert list((tmp_path / "archive" / ".tmp").iterdir()) == []


AWS = {
    "NCAA_DEPLOYMENT": "aws", "S3_BUCKET_NAME": "bucket", "RAPIDAPI_KEY": "k", "ENCODE_MINUTES_A_DAY": "1",
    "MEDIACONVERT_ROLE_ARN": "arn:aws:iam::123456789012:role/r",
}  # fmt: skip


def test_never_opens_no_encoder(tmp_path: Path) -> None:
    settings = Settings.from_environment({**AWS, "ENCODE": "never", "MEDIACONVERT_ROLE_ARN": ""})
    transcoder = open_transcoder(settings, LocalStore(tmp_path))
    assert isinstance(transcoder, NeverEncodes)
    assert list(transcoder.encode([])) == []


def test_without_ffmpeg_needed_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch, cloud: Cloud) -> None:
    cloud.make_bucket("bucket")
    settings = Settings.from_environment({**AWS, "ENCODE": "needed"})
    bucket = S3Store(boto3.client("s3"), "bucket")
    assert isinstance(open_transcoder(settings, bucket), AsNeeded)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/nowhere/ffmpeg")
    with pytest.raises(SettingsError) as refusal:
        open_transcoder(settings, bucket)
    assert str(refusal.value) == needs_ffmpeg()


@pytest.mark.parametrize(("mode", "is_past"), [("always", True), ("needed", False), ("never", False)])
def test_what_costs_nothing_is_not_past_the_minutes_of_a_day(files: Path, mode: str, *, is_past: bool) -> None:
    with (files / "ready.mp4").open("rb") as file:
        facts = read_facts(file, size=(files / "ready.mp4").stat().st_size)
    long = facts.model_copy(update={"seconds": 600.0})
    refusal = encode_bounds(Settings.from_environment({**AWS, "ENCODE": mode})).refusal(long)
    assert (refusal is not None) is is_past
