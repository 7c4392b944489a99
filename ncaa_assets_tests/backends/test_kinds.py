"""Videos as the world has them, encoded by both encoders alike. A line a kind: how the file is made, and what the
output must be. What the copier refuses before that stands in `video/test_kinds.py`."""

import hashlib
import os
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import boto3
import pytest

from ncaa_assets.archive.reconcile import length_problems
from ncaa_assets.backends.aws.mediaconvert import MediaConvertTranscoder
from ncaa_assets.backends.aws.s3 import S3Store
from ncaa_assets.backends.local.ffmpeg import FfmpegTranscoder
from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.failures import EncodeRefused
from ncaa_assets.media.ffmpeg import ffmpeg_program
from ncaa_assets.media.isobmff import read_index
from ncaa_assets.media.probe import read_facts
from ncaa_assets.media.profile import PROFILE
from ncaa_assets.ports import EncodeRequest, ObjectStore, Transcoder
from ncaa_assets.record.models import CopiedVideo, ProcessedVideo
from ncaa_assets.settings import heed_aws_region
from ncaa_assets_tests.loopback.aws import Cloud

pytestmark = pytest.mark.slow
BUCKET, DAY = "highlights", "2025-03-09"
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
GREY, RED, GREEN = (128, 128, 128), (190, 20, 20), (60, 150, 80)


def ffmpeg(*arguments: str, folder: Path | None = None) -> bytes:
    command = [ffmpeg_program(), "-v", "error", "-nostdin", "-y", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True).stdout


@dataclass(frozen=True)
class Bench:
    """A folder in which files are made, of one colour where a colour has to be told afterwards."""

    folder: Path

    def film(self, name: str, *arguments: str, picture: str = "testsrc2=s=160x90:r=25:d=1", sound: int = 440) -> bytes:
        """A second of a picture, and of a tone where `sound` is its frequency in Hz."""
        tone = ["-f", "lavfi", "-i", f"sine=f={sound}:d=1"] if sound else []
        ffmpeg("-f", "lavfi", "-i", picture, *tone, *arguments, name, folder=self.folder)
        return (self.folder / name).read_bytes()

    def again(self, source: bytes, name: str, *arguments: str, before: tuple[str, ...] = ()) -> bytes:
        """The same film in another file."""
        (self.folder / f"from-{name}").write_bytes(source)
        ffmpeg(*before, "-i", f"from-{name}", *arguments, name, folder=self.folder)
        return (self.folder / name).read_bytes()

    def hdr(self, transfer: str, colour: tuple[int, int, int] = GREEN) -> bytes:
        """A scene of one colour under reference white, lifted to BT.2020 with this transfer."""
        lifted = (
            "format=gbrp,setparams=range=pc:colorspace=gbr:color_primaries=bt709:color_trc=bt709,"
            "zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt2020:"
            f"t={transfer}:m=bt2020nc:r=tv:npl=203,format=yuv420p10le"
        )
        said = f"log-level=0:lossless=1:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc"
        return self.film(
            f"{transfer}.mp4", "-vf", lifted, "-c:v", "libx265", "-x265-params", said, "-tag:v", "hvc1",
            picture=plain(colour), sound=0,
        )  # fmt: skip

    def with_still(self) -> bytes:
        """A still beside the film, before it, larger than it, and of one frame."""
        film = self.film("film.mp4", *H264, "-c:a", "aac", picture=plain(GREEN))
        ffmpeg("-f", "lavfi", "-i", f"{plain(RED, '320x180')}", "-frames:v", "1", "still.png", folder=self.folder)
        return self.again(film, "beside.mp4", "-map", "0:v", "-map", "1", *H264, "-c:a", "copy",
                          before=("-i", "still.png"))  # fmt: skip

    def with_cover(self) -> bytes:
        film = self.film("film.mp4", *H264, "-c:a", "aac", picture=plain(GREEN))
        ffmpeg("-f", "lavfi", "-i", f"{plain(RED, '320x180')}", "-frames:v", "1", "cover.jpg", folder=self.folder)
        return self.again(film, "cover.mp4", "-map", "0:v", "-map", "1", "-c", "copy", "-disposition:v:0",
                          "attached_pic", before=("-i", "cover.jpg"))  # fmt: skip

    def two_sounds(self, *, name: str = "sounds.mp4", default: int = 1, flag: str = "default") -> bytes:
        return self.film(
            name, "-f", "lavfi", "-i", "sine=f=1000:d=1", "-map", "0", "-map", "1", "-map", "2", *H264, "-c:a", "aac",
            f"-disposition:a:{1 - default}", "0" if flag == "default" else flag, f"-disposition:a:{default}", flag
            if flag == "default" else "0", sound=440,
        )  # fmt: skip

    def late_subtitle(self) -> bytes:
        (self.folder / "late.srt").write_text("1\n00:00:30,000 --> 00:00:31,000\nlate\n")
        film = self.film("film.mp4", *H264, "-c:a", "aac")
        return self.again(film, "late.mp4", "-map", "1", "-map", "0", "-c", "copy", "-c:s", "mov_text",
                          before=("-i", "late.srt"))  # fmt: skip

    def sizes(self) -> bytes:
        """An MPEG-TS in which another size follows on the first."""
        first = self.film("a.ts", *H264, picture=plain(GREEN), sound=0)
        return first + self.film("b.ts", *H264, picture=plain(GREEN, "90x90"), sound=0)


def plain(colour: tuple[int, int, int], size: str = "160x90") -> str:
    return f"color=0x{bytes(colour).hex()}:s={size}:r=25:d=1"


def lying(data: bytes) -> bytes:
    """A movie header that claims ten hours."""
    lied, at = bytearray(data), data.index(b"mvhd") + 16
    (scale,) = struct.unpack_from(">I", data, at)
    struct.pack_into(">I", lied, at + 4, 36_000 * scale)
    return bytes(lied)


def zeroed(data: bytes, share: float = 1.0) -> bytes:
    """Headers as they were, and noughts in place of the last part of the media."""
    at = data.index(b"mdat") + 4
    size = int.from_bytes(data[at - 8 : at - 4], "big") - 8
    kept = round(size * (1 - share))
    return data[: at + kept] + bytes(size - kept) + data[at + size :]


def holed(data: bytes) -> bytes:
    """A few hundred noughts in the middle of the media."""
    middle = data.index(b"mdat") + int.from_bytes(data[data.index(b"mdat") - 4 : data.index(b"mdat")], "big") // 2
    return data[:middle] + bytes(60) + data[middle + 60 :]


@dataclass(frozen=True)
class Kind:
    """A file, and its output: size in pixels, frames a second, seconds, the tone that is heard in Hz (0: silence), the
    colour in the middle of the picture, and a word of what it lacks. None: not looked at.

    MediaConvert makes no fields into frames of their own, no picture of less than 32 pixels (`least`), and takes which
    picture of an MP4 it likes: where that is the wrong one, the output is `refused` rather than kept."""

    name: str
    make: Callable[[Bench], bytes]
    size: tuple[int, int] = (160, 90)
    rate: float | None = 25.0
    seconds: float = 1.0
    tone: int | None = 440
    colour: tuple[int, int, int] | None = None
    container: str = "mp4"
    lacks: str | None = None
    fields: bool = False
    least: bool = False
    refused: bool = False


INTERLACED = "testsrc2=s=160x96:r=50:d=1,tinterlace=interleave_top,setfield=tff"
FIELDS = ("-flags", "+ildct+ilme")
KINDS = [
    Kind("plain", lambda b: b.film("a.mp4", *H264, "-c:a", "aac")),
    Kind("silent", lambda b: b.film("a.mp4", *H264, sound=0), tone=0),
    Kind("cover art before the film", Bench.with_cover, colour=GREEN),
    Kind("a preview still beside the film", Bench.with_still, colour=GREEN, refused=True),
    Kind("the second sound is the default", lambda b: b.two_sounds(), tone=1000),
    Kind("the first sound is a description", lambda b: b.two_sounds(flag="descriptions"), tone=1000),
    Kind("the second sound of two in MPEG-TS is a description", lambda b: b.film(
        "a.ts", "-f", "lavfi", "-i", "sine=f=1000:d=1", "-map", "0", "-map", "1", "-map", "2", *H264, "-c:a", "aac",
        "-disposition:a:1", "visual_impaired"), container="ts"),
    Kind("a subtitle that ends later", Bench.late_subtitle),
    Kind("a movie header that lies", lambda b: lying(b.film("a.mp4", *H264, "-c:a", "aac"))),
    Kind("interlaced H.264", lambda b: b.film("a.mp4", *H264, *FIELDS, "-c:a", "aac", picture=INTERLACED),
         (160, 96), 50.0, fields=True),
    Kind("interlaced MPEG-2 in MPEG-TS", lambda b: b.film(
        "a.ts", "-c:v", "mpeg2video", *FIELDS, "-pix_fmt", "yuv420p", "-c:a", "mp2", picture=INTERLACED),
        (160, 96), 50.0, container="ts", fields=True),
    Kind("turned by 90", lambda b: b.again(b.film("f.mp4", *H264, "-c:a", "aac"), "a.mp4", "-c", "copy",
                                           before=("-display_rotation", "90")), (90, 160)),
    Kind("turned by 180", lambda b: b.again(b.film("f.mp4", *H264, "-c:a", "aac"), "a.mp4", "-c", "copy",
                                            before=("-display_rotation", "180"))),
    Kind("turned QuickTime", lambda b: b.again(b.film("f.mp4", *H264, "-c:a", "aac"), "a.mov", "-c", "copy",
                                               before=("-display_rotation", "270")), (90, 160), container="mov"),
    Kind("upright, large", lambda b: b.film("a.mp4", *H264, picture="testsrc2=s=1080x1920:r=5:d=1", sound=0),
         (1080, 1920), 5.0, tone=0),
    Kind("turned and large", lambda b: b.again(
        b.film("f.mp4", *H264, picture="testsrc2=s=1920x1080:r=5:d=1", sound=0), "a.mp4", "-c", "copy",
        before=("-display_rotation", "90")), (1080, 1920), 5.0, tone=0),
    Kind("larger than what is made", lambda b: b.film(
        "a.mp4", *H264, picture="testsrc2=s=2560x1440:r=5:d=1", sound=0), (1920, 1080), 5.0, tone=0),
    Kind("an odd size", lambda b: b.film("a.mp4", "-c:v", "libx264", "-pix_fmt", "yuv444p",
                                         picture="testsrc2=s=161x91:r=25:d=1", sound=0), (160, 90), tone=0),
    Kind("wide pixels", lambda b: b.film("a.mp4", "-vf", "setsar=4/3", *H264,
                                         picture="testsrc2=s=120x90:r=25:d=1", sound=0), (160, 90), tone=0),
    Kind("wide pixels, turned", lambda b: b.again(
        b.film("f.mp4", "-vf", "setsar=4/3", *H264, picture="testsrc2=s=120x90:r=25:d=1", sound=0), "a.mp4", "-c",
        "copy", before=("-display_rotation", "90")), (90, 160), tone=0),
    Kind("tiny", lambda b: b.film("a.mp4", *H264, picture="testsrc2=s=16x16:r=25:d=1", sound=0), (16, 16), tone=0,
         least=True),
    Kind("a size that changes on the way", Bench.sizes, seconds=2.0, tone=0, colour=GREEN, container="ts"),
    Kind("PQ", lambda b: b.hdr("smpte2084"), tone=0, colour=GREEN),
    Kind("HLG", lambda b: b.hdr("arib-std-b67"), tone=0, colour=GREEN),
    Kind("PQ, grey", lambda b: b.hdr("smpte2084", GREY), tone=0, colour=GREY),
    Kind("RGB", lambda b: b.film("a.mp4", "-c:v", "libx264rgb", picture=plain(GREEN), sound=0), tone=0, colour=GREEN),
    Kind("full range", lambda b: b.film(
        "a.mp4", "-vf", "scale=out_range=pc:out_color_matrix=bt709,format=yuvj420p,setparams=colorspace=bt709",
        "-c:v", "libx264", picture=plain(GREEN), sound=0), tone=0, colour=GREEN),
    Kind("10 bits", lambda b: b.film("a.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p10le")),
    Kind("120 frames a second", lambda b: b.film("a.mp4", *H264, picture="testsrc2=s=160x90:r=120:d=1"), rate=60.0),
    Kind("mono", lambda b: b.film("a.mp4", *H264, "-c:a", "aac", "-ac", "1")),
    Kind("5.1, all of it in the centre", lambda b: b.film(
        "a.mp4", "-filter_complex", "[1:a]pan=5.1|FC=c0[a]", "-map", "0:v", "-map", "[a]", *H264, "-c:a", "aac")),
    Kind("sound that ends first", lambda b: b.film("a.mp4", "-af", "atrim=end=0.4", *H264, "-c:a", "aac")),
    Kind("in fragments", lambda b: b.film(
        "a.mp4", *H264, "-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"), rate=None),
    Kind("VP9 and Opus in WebM", lambda b: b.film("a.webm", "-c:v", "libvpx-vp9", "-deadline", "realtime", "-c:a",
                                                  "libopus"), container="webm"),
    Kind("ProRes", lambda b: b.film("a.mov", "-c:v", "prores_ks", "-c:a", "pcm_s16le"), container="mov"),
    Kind("AC-3 in MPEG-TS", lambda b: b.film("a.ts", *H264, "-c:a", "ac3"), container="ts"),
    Kind("one frame under its sound", lambda b: b.film(
        "a.mp4", *H264, "-c:a", "aac", picture="testsrc2=s=160x90:r=1:d=1"), rate=None),
    Kind("small damage in the middle", lambda b: holed(b.film("a.mp4", *H264, "-g", "5", "-c:a", "aac")), tone=None,
         rate=None),
    Kind("a sound that nobody can read", lambda b: b.film("a.mp4", *H264, "-c:a", "aac").replace(
        b"mp4a\0\0\0\0", b"qqqq\0\0\0\0").replace(b"esds", b"xxxx"), tone=0, lacks="sound"),
]  # fmt: skip

BROKEN: dict[str, Callable[[Bench], bytes]] = {
    "noughts behind good headers": lambda b: zeroed(b.film("a.mp4", *H264, "-c:a", "aac")),
    "most of it noughts": lambda b: zeroed(b.film("a.mp4", *H264, "-c:a", "aac", "-g", "5"), 0.7),
    "a WebM cut short": lambda b: b.film("a.webm", "-c:v", "libvpx", sound=0)[:900],
}


@dataclass(frozen=True)
class Encoder:
    store: ObjectStore
    transcoder: Transcoder

    @property
    def is_aws(self) -> bool:
        return isinstance(self.transcoder, MediaConvertTranscoder)


# A bucket and a role of a real account, where a person names them (docs/first-deployment.md), and the way there.
REAL = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "NCAA_REAL_"))}


@pytest.fixture(params=["ffmpeg", "MediaConvert", *(["account"] if "NCAA_REAL_BUCKET" in REAL else [])])
def encoder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Encoder:
    if request.param == "ffmpeg":
        folder = LocalStore(tmp_path / "archive")
        return Encoder(folder, FfmpegTranscoder(folder, PROFILE, concurrency=2, timeout=60))
    if request.param == "account":
        for name, value in REAL.items():
            monkeypatch.setenv(name, value)
        heed_aws_region()
        bucket, role = S3Store(boto3.client("s3"), REAL["NCAA_REAL_BUCKET"]), REAL["NCAA_REAL_ROLE"]
        client = boto3.client("mediaconvert")
        return Encoder(bucket, MediaConvertTranscoder(client, bucket, PROFILE, role=role, queue=None, timeout=280))
    cloud: Cloud = request.getfixturevalue("cloud")
    cloud.make_bucket(BUCKET)
    bucket = S3Store(boto3.client("s3"), BUCKET)
    role = "arn:aws:iam::123456789012:role/mediaconvert"
    client = boto3.client("mediaconvert")
    return Encoder(
        bucket,
        MediaConvertTranscoder(client, bucket, PROFILE, role=role, queue=None, timeout=60, poll_seconds=0.05),
    )


def asked_for(store: ObjectStore, data: bytes, container: str, folder: Path) -> EncodeRequest:
    """The request for a copy of these bytes, with its facts as the copier reads them."""
    path = folder / f"source.{container}"
    path.write_bytes(data)
    with path.open("rb") as file:
        facts = read_facts(file, size=len(data))
    key, base = f"videos/{DAY}/1.{container}", f"processed_videos/{DAY}/1"
    store.write(key, data, content_type="video/mp4")
    video = CopiedVideo(
        id="1", title=None, source_url="https://host/1", key=key, bytes=len(data), container=container,
        sha256=hashlib.sha256(data).hexdigest(), duration_seconds=facts.seconds, has_sound=facts.sounds > 0,
        facts=facts, copied_at="2025-03-10T06:00:00Z",
    )  # fmt: skip
    return EncodeRequest(video, output_key=f"{base}.mp4", poster_key=f"{base}.jpg")


def tone_in(path: Path, channel: int) -> int:
    """The frequency, in Hz to the next ten, that one side of a file's sound plays; 0 for silence."""
    raw = ffmpeg("-i", str(path), "-map", "0:a:0?", "-ac", "2", "-ar", "48000", "-t", "0.35", "-f", "s16le", "-")
    samples: tuple[int, ...] = struct.unpack(f"<{len(raw) // 2}h", raw)[channel::2]
    middle = samples[4800:14400]
    if not middle or max(map(abs, middle)) < 300:
        return 0
    crossings = sum((one < 0) != (two < 0) for one, two in pairwise(middle))
    return 10 * round(crossings / 2 / (len(middle) / 48_000) / 10)


def colour_in(path: Path, at: float) -> tuple[int, ...]:
    """The colour in the middle of the picture at a time."""
    point = "crop=8:8,scale=1:1,format=rgb24"
    return tuple(ffmpeg("-ss", f"{at}", "-i", str(path), "-frames:v", "1", "-vf", point, "-f", "rawvideo", "-"))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_an_output_is_as_its_kind_must_be(kind: Kind, encoder: Encoder, tmp_path: Path) -> None:
    asked = asked_for(encoder.store, kind.make(Bench(tmp_path)), kind.container, tmp_path)
    (outcome,) = encoder.transcoder.encode([asked])
    result = outcome.result
    if kind.refused and encoder.is_aws:
        assert isinstance(result, EncodeRefused), result
        return
    assert isinstance(result, ProcessedVideo), result
    path = tmp_path / "output.mp4"
    path.write_bytes(encoder.store.read(result.key)[0])
    with path.open("rb") as file:
        facts = read_facts(file, size=path.stat().st_size)
    assert result.facts == facts, "the manifest says what is in the output"
    picture, sound = facts.picture, facts.sound
    assert picture is not None
    size = (32, 32) if kind.least and encoder.is_aws else kind.size
    assert (result.width, result.height) == (picture.width, picture.height) == size
    assert (picture.codec, picture.chroma, picture.bit_depth) == ("AVC", "4:2:0", 8)
    assert (picture.rotation, picture.pixel_aspect, picture.interlaced) == (0, 1.0, False)
    assert (picture.primaries, picture.transfer, picture.matrix, picture.full_range) == (*["BT.709"] * 3, False)
    assert facts.fast_start
    if kind.rate is not None:
        rate = kind.rate / 2 if kind.fields and encoder.is_aws else kind.rate
        assert picture.frame_rate == pytest.approx(rate, abs=0.5)
    assert picture.seconds == pytest.approx(kind.seconds, abs=0.15)
    with path.open("rb") as file:
        lasts = read_index(file).duration_seconds
    assert list(length_problems(asked.video, result, lasts)) == [], "its own check does not fail it"
    assert (sound is None) == (kind.tone == 0)
    assert (result.lacks is None) == (kind.lacks is None)
    assert kind.lacks is None or kind.lacks in str(result.lacks)
    if kind.tone:
        assert (sound and sound.codec, sound and sound.channels) == ("AAC", 2)
        assert [tone_in(path, side) for side in (0, 1)] == [pytest.approx(kind.tone, abs=10)] * 2
    for at in (0.3, kind.seconds - 0.3) if kind.colour is not None else ():
        assert colour_in(path, at) == pytest.approx(kind.colour, abs=9)
    assert encoder.store.read(result.poster.key)[0][:3] == b"\xff\xd8\xff"


@pytest.mark.parametrize("kind", BROKEN)
def test_what_cannot_be_decoded_is_refused_in_words(kind: str, encoder: Encoder, tmp_path: Path) -> None:
    data = BROKEN[kind](Bench(tmp_path))
    asked = asked_for(encoder.store, data, "webm" if "WebM" in kind else "mp4", tmp_path)
    (outcome,) = encoder.transcoder.encode([asked])
    assert isinstance(outcome.result, EncodeRefused), outcome.result
    assert outcome.result.kind == "broken"
    assert 10 < len(str(outcome.result)) < 300
    assert "0x" not in str(outcome.result)
    assert [one.key for one in encoder.store.list(f"processed_videos/{DAY}/")] == []
