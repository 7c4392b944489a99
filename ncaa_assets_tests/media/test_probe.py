"""What is known of a file: real files of each kind, hostile ones, and a reader that breaks."""

import io
import re
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ncaa_assets.media import probe
from ncaa_assets.media.facts import Facts
from ncaa_assets.media.ffmpeg import ffmpeg_program
from ncaa_assets.media.mpegts import descriptions
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


STILL = ["-f", "lavfi", "-i", "color=red:s=640x360:d=0.04"]
SLIDES = ["-f", "lavfi", "-i", "testsrc2=s=640x360:r=1:d=1"]
FIELDS = ["-vf", "setfield=tff", "-c:v", "libx264", "-flags", "+ilme+ildct", "-preset", "ultrafast"]
VP8 = ["-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus"]
TWO_SOUNDS = [*PICTURE, *SOUND, *SOUND, "-map", "1", "-map", "0", "-map", "2"]

# What ffmpeg is told to make, and what is to be known of it: fields of the facts, of the picture and of the sound.
KINDS: dict[str, tuple[list[str], dict[str, Any], dict[str, Any], dict[str, Any] | None]] = {
    "tracks in another order.mp4": (
        [*PICTURE, *SOUND, "-map", "1", "-map", "0", *H264],
        {"format": "MPEG-4", "seconds": 1.0, "fast_start": False, "fragmented": False, "pictures": 1, "sounds": 1},
        {"stream": 1, "codec": "AVC", "codec_id": "avc1", "interlaced": False, "frames": 25, "frame_rate": 25.0,
         "rotation": 0, "bit_depth": 8, "chroma": "4:2:0"},
        {"stream": 0, "track": 1, "pid": None, "codec": "AAC", "codec_profile": "LC", "channels": 1,
         "sample_rate": 44100},
    ),
    "index in front.mp4": ([*PICTURE, *H264, "-movflags", "+faststart"], {"fast_start": True}, {"stream": 0}, None),
    "fragments.mp4": ([*PICTURE, *SOUND, *H264, "-movflags", "+frag_keyframe+empty_moov"],
                      {"fragmented": True, "fast_start": True}, {"frames": 25}, {"stream": 1}),
    "QuickTime with a timecode.mov": ([*PICTURE, *SOUND, "-timecode", "00:00:00:00", *H264],
                                      {"format": "MPEG-4"}, {"stream": 0}, {"stream": 1}),
    "the second sound is the default.mp4": (
        [*TWO_SOUNDS, *H264, "-disposition:a:0", "0", "-disposition:a:1", "default"],
        {"sounds": 2}, {"stream": 1}, {"stream": 2, "track": 2}),
    "the default sound is a description.mp4": (
        [*TWO_SOUNDS, *H264, "-disposition:a:0", "default+visual_impaired", "-disposition:a:1", "0"],
        {}, {"stream": 1}, {"stream": 2, "track": 2}),
    "the default sound is a comment.mp4": (
        [*TWO_SOUNDS, *H264, "-disposition:a:0", "default+comment", "-disposition:a:1", "0"],
        {}, {"stream": 1}, {"stream": 2, "track": 2}),
    "a description by its title.mp4": (
        [*TWO_SOUNDS, *H264, "-metadata:s:a:0", "title=Audio Description"], {}, {"stream": 1}, {"stream": 2}),
    "a description alone.mp4": (
        [*PICTURE, *SOUND, *H264, "-disposition:a:0", "default+visual_impaired"], {}, {}, {"stream": 1}),
    "a still in front.mp4": ([*STILL, *PICTURE, "-map", "0", "-map", "1", *H264], {"pictures": 2},
                             {"stream": 1, "width": 128}, None),
    "a JPEG track in front.mp4": (
        [*SLIDES, *PICTURE, *SOUND, "-map", "0", "-map", "1", "-map", "2", *H264, "-c:v:0", "mjpeg"],
        {"pictures": 2}, {"stream": 1, "codec": "AVC"}, {"stream": 2}),
    "subtitles that last longer.mp4": ([*PICTURE, *SOUND, "-i", "long.srt", "-map", "2", "-map", "0", "-map", "1",
                                        *H264, "-c:s", "mov_text"],
                                       {"seconds": 1.0}, {"stream": 1, "seconds": 1.0}, {"stream": 2}),
    "fields.mp4": ([*PICTURE, *FIELDS], {}, {"interlaced": True}, None),
    "fields.ts": ([*PICTURE, *FIELDS], {}, {"interlaced": True}, None),
    "fields of MPEG-2.ts": ([*PICTURE, *FIELDS[:2], "-c:v", "mpeg2video", "-flags", "+ilme+ildct"], {},
                            {"interlaced": True, "codec": "MPEG Video"}, None),
    "wide pixels.mp4": ([*PICTURE, "-vf", "setsar=4/3", *H264], {}, {"width": 128, "shown_size": (171, 72)}, None),
    "PQ.mp4": ([*PICTURE, "-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-x265-params",
                "log-level=0:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"],
               {}, {"transfer": "PQ", "is_hdr": True, "bit_depth": 10, "primaries": "BT.2020"}, None),
    "HLG.mp4": ([*PICTURE, "-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-x265-params",
                 "log-level=0:colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc"],
                {}, {"transfer": "HLG", "is_hdr": True}, None),
    "RGB.mp4": ([*PICTURE, "-c:v", "libx264rgb", "-preset", "ultrafast"], {}, {"chroma": "RGB"}, None),
    "full range.mp4": ([*PICTURE, "-c:v", "libx264", "-pix_fmt", "yuvj420p"], {}, {"full_range": True}, None),
    "sound in front.webm": ([*PICTURE, *SOUND, "-map", "1", "-map", "0", *VP8], {"format": "WebM", "fast_start": None},
                            {"stream": 1, "codec": "VP8"}, {"stream": 0, "track": 1, "codec": "Opus"}),
    "sound in front.ts": (
        [*PICTURE, *SOUND, "-map", "1", "-map", "0", *H264, "-metadata:s:a:0", "language=deu"],
        {"format": "MPEG-TS", "fast_start": None}, {"stream": 1}, {"stream": 0, "pid": 256, "language": "de"}),
    "a description in front.ts": (
        [*TWO_SOUNDS, *H264, "-metadata:s:a:0", "language=eng", "-disposition:a:0", "visual_impaired"],
        {"sounds": 2}, {"stream": 1}, {"stream": 2, "track": 2, "pid": 258}),
    "data in front.ts": (
        ["-f", "data", "-i", "long.srt", *PICTURE, *SOUND, "-map", "0", "-map", "2", "-map", "1", *H264,
         "-c:d", "copy"],
        {}, {"stream": 2}, {"stream": 1}),
    "two programmes.ts": (
        [*PICTURE, *SOUND, "-map", "0", "-map", "1", "-map", "0", "-map", "1", "-program", "title=A:st=2:st=3",
         "-program", "title=B:st=0:st=1", *H264],
        {"pictures": 2, "sounds": 2}, {"stream": 2}, {"stream": 3, "pid": 257}),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_facts_are_those_of_the_film_and_of_its_sound(kind: str, make: Make, tmp_path: Path) -> None:
    arguments, whole, picture, sound = KINDS[kind]
    (tmp_path / "long.srt").write_text("1\n00:00:00,000 --> 00:00:50,000\nhello\n", "utf-8")
    read = facts(make(kind, *arguments))
    assert of(read, *whole) == [*whole.values()]
    assert of(read.picture, *picture) == [*picture.values()]
    assert (read.sound is None) == (sound is None)
    if sound is not None:
        assert of(read.sound, *sound) == [*sound.values()]
    assert read.why_unwatchable is None
    tracks = tracks_of(tmp_path / kind)
    assert read.picture is not None
    assert tracks[read.picture.stream] == "Video"
    assert read.sound is None or tracks[read.sound.stream] == "Audio"


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_picture_is_turned_as_ffmpeg_turns_it(turn: int, make: Make) -> None:
    make("plain.mp4", *PICTURE, "-t", "0.2", *H264)
    read = facts(make("a.mp4", "-display_rotation", str(-turn), "-i", "plain.mp4", "-c", "copy"))  # anticlockwise
    assert read.picture is not None
    assert (read.picture.rotation, read.picture.width) == (turn, 128)
    assert read.picture.shown_size == ((72, 128) if turn % 180 else (128, 72))


@pytest.mark.parametrize("is_first", [False, True])
def test_a_cover_is_a_track_to_ffmpeg_where_it_stands(is_first: bool, make: Make, tmp_path: Path) -> None:
    make("cover.jpg", *STILL, "-frames:v", "1")
    make("plain.mp4", *PICTURE, "-t", "0.2", *H264)
    data = make("a.mp4", "-i", "plain.mp4", "-i", "cover.jpg", "-map", "0", "-map", "1", "-c", "copy",
                "-disposition:v:1", "attached_pic")  # fmt: skip
    if is_first:
        data = tags_first(data)
        (tmp_path / "a.mp4").write_bytes(data)
    read = facts(data)
    assert read.picture is not None
    assert (read.picture.stream, read.picture.width, read.pictures) == (int(is_first), 128, 1)
    assert len(tracks_of(tmp_path / "a.mp4")) == 2


def test_an_mpeg_ts_of_any_size_is_told_by_its_ends(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make("a.ts", *PICTURE, *SOUND, *H264)
    monkeypatch.setattr(probe, "_END", 60 * 188)
    assert len(data) > 2 * 60 * 188
    read = facts(data)
    assert read.seconds == pytest.approx(1.0, abs=0.1)
    assert read.bitrate == pytest.approx(8 * len(data) / 1.0, rel=0.1)


@given(data=st.binary(max_size=800))
def test_no_bytes_make_the_reading_of_a_map_fail(data: bytes) -> None:
    assert descriptions(b"\x47\x40\0\x10\0" + data) <= set(range(2**13))


def tracks_of(path: Path) -> dict[int, str]:
    """The kind of each track, by ffmpeg's number."""
    shown = subprocess.run([ffmpeg_program(), "-i", path], capture_output=True, text=True, check=False).stderr
    return {
        int(number): kind for number, kind in re.findall(r"Stream #0:(\d+).*?: (Video|Audio|Data|Subtitle):", shown)
    }


def tags_first(data: bytes) -> bytes:
    """An MP4 whose index, the last of its boxes, has the tags before the tracks."""
    at = data.rindex(b"moov") - 4
    inner, place = [], at + 8
    while place < len(data):
        (size,) = struct.unpack_from(">I", data, place)
        inner.append(data[place : place + size])
        place += size
    inner.sort(key=lambda one: one[4:8] == b"trak")
    return data[: at + 8] + b"".join(inner)


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


def test_a_library_that_is_missing_is_no_fault_of_a_file(make: Make, tmp_path: Path, monkeypatch: Any) -> None:
    """Else a broken installation would refuse every video for good."""
    data = make("a.mp4", *PICTURE, "-t", "0.2", *H264)
    lacking = tmp_path / "child.py"
    lacking.write_text(
        f"import sys; sys.modules['pymediainfo'] = None\n{Path(probe._CHILD).read_text('utf-8')}", "utf-8"
    )
    monkeypatch.setattr(probe, "_CHILD", str(lacking))
    with pytest.raises(probe.NotLoaded, match="cannot be loaded here"):
        facts(data)
    monkeypatch.setattr("sys.executable", str(tmp_path / "no python"))
    with pytest.raises(probe.NotLoaded, match="cannot be started here"):
        facts(data)


def test_a_clock_that_jumped_tells_no_length(make: Make) -> None:
    first, later = (
        make(f"{offset}.ts", *PICTURE, "-t", "0.2", *H264, "-output_ts_offset", str(offset)) for offset in (0, 50_000)
    )
    assert facts(first).seconds == pytest.approx(0.2, abs=0.1)
    assert facts(first + later).seconds is None


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
