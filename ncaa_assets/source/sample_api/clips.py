"""The sample API's clips: three seconds of ffmpeg's test picture each, made when they are first asked for."""

import os
import threading
from pathlib import Path

from ncaa_assets.child import Bounds, ChildFailed, run
from ncaa_assets.failures import EncodeFailed
from ncaa_assets.media.ffmpeg import ffmpeg_program

_one_at_a_time = threading.Lock()


def make_clip(path: Path, *, seed: int = 0, seconds: float = 3, sound: bool = True, height: int = 360) -> Path:
    """An MP4 at `path`, made unless it exists: H.264 of `height` lines at 16:9, with a tone of its own or silent.

    Raises:
        EncodeFailed: ffmpeg is missing or failed.
    """
    with _one_at_a_time:
        if path.exists():
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        tone = ["-f", "lavfi", "-i", f"sine=frequency={220 + seed % 12 * 40}:sample_rate=48000:duration={seconds}"]
        try:
            run(
                [
                    ffmpeg_program(), "-hide_banner", "-nostdin", "-loglevel", "error", "-y",
                    "-f", "lavfi", "-i", f"testsrc2=size={height * 16 // 18 * 2}x{height}:rate=30:duration={seconds}",
                    *(tone if sound else []),
                    "-vf", f"hue=h={seed * 47 % 360}", "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p",
                    "-c:a", "aac", "-b:a", "96k", "-f", "mp4", str(temporary),
                ],
                bounds=Bounds(seconds=600),
            )  # fmt: skip
            temporary.replace(path)
        except ChildFailed as error:
            raise EncodeFailed(f"ffmpeg cannot make a clip ({error})") from error
        finally:
            temporary.unlink(missing_ok=True)
    return path
