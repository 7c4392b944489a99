"""Files as the world has them: what is copied, and what is refused in which words. A line a kind."""

import re
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.failures import VideoRefused
from ncaa_assets.media.ffmpeg import ffmpeg_program
from ncaa_assets_tests.loopback.http_server import ScriptedServer
from ncaa_assets_tests.media.test_isobmff import box
from ncaa_assets_tests.video.copies import Media, copied, copy_one, video, videos_in


@dataclass(frozen=True)
class Files:
    """The files that the kinds are made of."""

    media: Media
    sound_webm: bytes
    sound_ts: bytes
    front: bytes  # an MP4 with its index in front


@pytest.fixture(scope="session")
def of(media: Media, clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("kinds")

    def made(name: str, *arguments: str) -> bytes:
        program = [ffmpeg_program(), "-v", "error", "-nostdin", "-i", str(clip)]
        subprocess.run([*program, *arguments, name], check=True, cwd=folder)
        return (folder / name).read_bytes()

    return Files(
        media,
        made("a.webm", "-vn", "-c:a", "libopus"),
        made("a.ts", "-vn", "-c", "copy"),
        made("front.mp4", "-c", "copy", "-movflags", "+faststart"),
    )


def entry(data: bytes, letters: bytes) -> bytes:
    """The picture's sample entry under other letters."""
    return data.replace(b"avc1\0\0\0\0", letters + b"\0\0\0\0")


def without_configuration(data: bytes) -> bytes:
    return data.replace(b"avcC", b"xxxX")


def moved(data: bytes, by: int) -> bytes:
    """With all chunks elsewhere, as the index says."""
    moved = bytearray(data)
    for at in (found.end() for found in re.finditer(b"stco", data)):
        (count,) = struct.unpack_from(">I", data, at + 4)
        offsets = struct.unpack_from(f">{count}I", data, at + 8)
        struct.pack_into(f">{count}I", moved, at + 8, *(offset + by for offset in offsets))
    return bytes(moved)


def scrambled(ts: bytes) -> bytes:
    """With the marks of scrambling on all packets but those of the tables."""
    packets = bytearray(ts)
    for at in range(0, len(ts), 188):
        if int.from_bytes(ts[at + 1 : at + 3], "big") & 0x1FFF in (256, 257):
            packets[at + 3] |= 0x80
    return bytes(packets)


def junk_behind(webm: bytes) -> bytes:
    """A Segment of unknown size that holds nothing that can be read."""
    return webm[: webm.index(b"\x18\x53\x80\x67") + 4] + b"\x01" + b"\xff" * 7 + b"#" * 9000


COPIED: dict[str, Callable[[Files], bytes]] = {
    "a phone's trailer": lambda f: f.media.mp4 + struct.pack(">I4s", 24, b"sefd") + b"SEFH" + bytes(8) + b"SEFT",
    "bytes after the last box": lambda f: f.media.mp4 + b"\x00\x01 leftover bytes \xff" * 9,
    "noughts after the last box": lambda f: f.media.mp4 + bytes(4096),
    "an unknown box behind the media": lambda f: f.media.mp4 + box(b"xyzw", bytes(99)),
    "an unknown box in front": lambda f: box(b"xyzw", bytes(99)) + moved(f.media.mp4, 107),
    "a free box that is cut off": lambda f: f.front + box(b"free", bytes(5000))[:77],
    "a box of a nonsensical size at the end": lambda f: f.media.mp4 + struct.pack(">I4s", 3, b"free") + bytes(50),
    "an mdat to wherever the file ends": lambda f: f.front.replace(
        f.front[f.front.index(b"mdat") - 4 : f.front.index(b"mdat")], bytes(4), 1),
    "MPEG-TS with a partial last packet": lambda f: f.media.ts[:-100],
    "H.264 under another of its names": lambda f: entry(f.media.mp4, b"avc3"),
}  # fmt: skip

REFUSED: dict[str, tuple[Callable[[Files], bytes], str]] = {
    "sound alone, WebM": (lambda f: f.sound_webm, "only sound"),
    "sound alone, MPEG-TS": (lambda f: f.sound_ts, "only sound"),
    "sound alone, MP4": (lambda f: f.media.sound, "only sound"),
    "junk behind a WebM header": (lambda f: junk_behind(f.media.webm), "no picture|cannot be read"),
    "junk behind the start of an MPEG-TS": (lambda f: (b"\x47" + b"\xaa" * 187) * 60, "no picture"),
    "an encrypted picture": (lambda f: entry(f.media.mp4, b"encv"), "encrypted"),
    "scrambled MPEG-TS": (lambda f: scrambled(f.media.ts), "encrypted"),
    "an unknown picture codec": (lambda f: entry(without_configuration(f.media.mp4), b"abcd"), "no decoder.*abcd"),
    "an unknown codec with H.264's configuration": (lambda f: entry(f.media.mp4, b"abcd"), r"no decoder .*\(abcd\)"),
    "an unknown codec, WebM": (lambda f: f.media.webm.replace(b"V_VP8", b"V_XYZ"), r"no decoder .*\(V_XYZ\)"),
    "media cut in the middle": (lambda f: f.front[: len(f.front) // 2], "cut off"),
    "an index of media behind the end": (lambda f: moved(f.front, 10**6), "behind the file's end"),
    "no sample entry": (lambda f: f.media.mp4.replace(b"stsd", b"xxxx", 1), "cannot be read|damaged|only sound"),
}  # fmt: skip


@pytest.mark.parametrize("kind", COPIED)
def test_what_plays_everywhere_is_copied_byte_for_byte(
    kind: str, of: Files, store: LocalStore, server: ScriptedServer
) -> None:
    data = COPIED[kind](of)
    result = copied(copy_one(store, server, server.on("/clip", video(data))))
    assert store.path(result.key).read_bytes() == data
    assert result.facts is not None
    assert result.facts.picture is not None
    assert (result.width, result.height) == (320, 180)


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_video_is_refused_in_words(kind: str, of: Files, store: LocalStore, server: ScriptedServer) -> None:
    make, says = REFUSED[kind]
    result = copy_one(store, server, server.on("/clip", video(make(of)))).result
    assert isinstance(result, VideoRefused), result
    assert result.kind == "not-video"
    with pytest.raises(VideoRefused, match=says):
        raise result
    assert videos_in(store) == []
