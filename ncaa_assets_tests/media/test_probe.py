"""What is known of a file: real files of each kind, hostile ones, and a reader that breaks."""

import io
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ncaa_assets.media.facts import Facts
from ncaa_assets.media.ffmpeg import ffmpeg_program
from ncaa_assets.media.probe import Unreadable, read_facts
from ncaa_assets_tests.media.test_isobmff import FTYP, box, mvhd

PICTURE = ["-f", "lavfi", "-i", "testsrc2=s=128x72:r=25:d=1"]
SOUND = ["-f", "lavfi", "-i", "sine=d=1"]
H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"]

Make = Callable[..., bytes]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A file that ffmpeg makes."""

    def made(name: str, *arguments: str) -> bytes:
        program = [ffmpeg_program(), "-v", "error", "-nostdin", "-y"]
        subprocess.run([*program, *arguments, name], check=True, cwd=tmp_path)
        return (tmp_path / name).read_bytes()

    return made


def facts(data: bytes) -> Facts:
    return read_facts(io.BytesIO(data), size=len(data))


def of(part: Any, *names: str) -> list[Any]:
    return [getattr(part, name) for name in names]


def test_an_mp4_whose_tracks_stand_in_another_order(make: Make) -> None:
    read = facts(make("a.mp4", *PICTURE, *SOUND, "-map", "1", "-map", "0", *H264))
    assert of(read, "format", "seconds", "fast_start", "fragmented", "pictures", "sounds") == [
        "MPEG-4", 1.0, False, False, 1, 1,
    ]  # fmt: skip
    assert of(read.picture, "stream", "codec", "codec_id", "width", "height", "interlaced", "frames", "rotation") == [
        1, "AVC", "avc1", 128, 72, False, 25, 0,
    ]  # fmt: skip
    assert of(read.sound, "stream", "track", "pid", "codec", "codec_profile", "channels", "sample_rate") == [
        0, 1, None, "AAC", "LC", 1, 44100,
    ]  # fmt: skip


def test_an_index_of_absurd_counts_ends_in_seconds(make: Make) -> None:
    data = bytearray(make("a.mp4", *PICTURE, *H264, "-movflags", "+faststart"))
    at = data.index(b"stts") + 8
    data[at : at + 4] = b"\xff\xff\xff\xff"
    try:
        assert facts(bytes(data) + bytes(10**6)).picture is not None
    except Unreadable as error:
        assert "did not get through it" in str(error)


@pytest.mark.slow
def test_a_hundred_thousand_tracks_end_in_seconds() -> None:
    trak = box(b"trak", box(b"tkhd", bytes(84)) + box(b"mdia", box(b"hdlr", bytes(8) + b"vide" + bytes(12))))
    data = box(b"ftyp", FTYP) + box(b"moov", mvhd(1000) + trak * 100_000) + box(b"mdat", b"x")
    with pytest.raises(Unreadable, match="did not get through it"):
        facts(data)


def test_an_error_of_the_file_is_its_readers(make: Make) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 1000:
                raise ConnectionResetError("the store is gone")
            return super().read(size)

    data = make("a.mp4", *PICTURE, "-t", "0.2", *H264)
    data = struct.pack(">I4s", 70_000, b"free") + bytes(69_992) + data
    with pytest.raises(ConnectionResetError, match="the store is gone"):
        read_facts(Broken(data), size=len(data))
