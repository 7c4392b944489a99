"""Real files of each kind, made once, and a day of highlights whose videos they are."""

import subprocess
from pathlib import Path

import pytest

from ncaa_assets.media.ffmpeg import ffmpeg_program
from ncaa_assets.record.models import Highlight
from ncaa_assets_tests.loopback.http_server import ScriptedServer
from ncaa_assets_tests.video.copies import Media, highlight, video


@pytest.fixture(scope="session")
def media(clip: Path, silent_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Media:
    folder = tmp_path_factory.mktemp("media")

    def made(name: str, *arguments: str) -> bytes:
        subprocess.run(
            [ffmpeg_program(), "-v", "error", "-nostdin", "-i", str(clip), *arguments, str(folder / name)], check=True
        )
        return (folder / name).read_bytes()

    return Media(
        mp4=clip.read_bytes(),
        silent=silent_clip.read_bytes(),
        mov=made("a.mov", "-c", "copy"),
        webm=made("a.webm", "-an", "-t", "0.5", "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8"),
        ts=made("a.ts", "-c", "copy"),
        fragments=made(
            "fragments.mp4", "-c:v", "libx264", "-g", "15", "-movflags", "+frag_keyframe+empty_moov+skip_trailer"
        ),
        sound=made("sound.mp4", "-vn", "-c", "copy"),
    )


@pytest.fixture
def day(server: ScriptedServer, media: Media) -> list[Highlight]:
    """Five highlights with a good video each, all different."""
    return [
        highlight(number, server.on(f"/{number}", video(media.mp4 + b"\0\0\0\x09free" + bytes([number]))))
        for number in range(1, 6)
    ]
