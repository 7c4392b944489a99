"""`ENCODE=needed` against `always`: a web-ready video is decoded and kept, or repackaged, instead of encoded.

The video is made here: a zoom with sound, 1080p at 30 frames a second, at a bitrate as hosts of clips send it. Each
mode works on a new folder, one after the other. Besides the clock's seconds there are those of the processor, which do
not depend on what else the machine does.
"""

import hashlib
import logging
import resource
import subprocess
import tempfile
import time
from pathlib import Path

from ncaa_assets.backends.as_needed import AsNeeded
from ncaa_assets.backends.local.ffmpeg import FfmpegTranscoder
from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.media.ffmpeg import ffmpeg_program
from ncaa_assets.media.probe import read_facts
from ncaa_assets.media.profile import PROFILE
from ncaa_assets.ports import EncodeRequest, Transcoder
from ncaa_assets.record.models import CopiedVideo, ProcessedVideo

SECONDS = 30
ROUNDS = 3  # of the quick modes; the encode is measured once
KEY = "videos/2025-03-09/1"


def main() -> None:
    """Prints how long each mode takes, and how many times faster than the encode it is."""
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ready = folder / "ready.mp4"
        _ffmpeg(
            "-f", "lavfi", "-i", "mandelbrot=size=1920x1080:rate=30", "-f", "lavfi", "-i", "sine",
            "-t", str(SECONDS), "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "veryfast", "-crf", "24",
            "-maxrate", "6M", "-bufsize", "12M", "-c:a", "aac", "-movflags", "+faststart", str(ready),
        )  # fmt: skip
        _ffmpeg("-i", str(ready), "-c", "copy", str(folder / "late.mp4"))
        size = ready.stat().st_size
        print(f"\nENCODE=needed against always: {SECONDS} s of 1080p, {size * 8 / SECONDS / 1e6:.1f} Mbit/s")
        encode = _seconds(folder, ready, "always", "encoded")
        print(f"  encoded      {encode[0]:6.2f} s; {encode[1]:6.2f} s of processor")
        for file, made_by in ((ready, "kept"), (folder / "late.mp4", "repackaged")):
            taken = min(_seconds(folder, file, "needed", made_by) for _ in range(ROUNDS))
            faster = [before / after for before, after in zip(encode, taken, strict=True)]
            print(f"  {made_by:<10}   {taken[0]:6.2f} s; {taken[1]:6.2f} s of processor: {faster[0]:.1f} and "
                  f"{faster[1]:.1f} times faster (aim: at least 20)")  # fmt: skip


def _seconds(folder: Path, file: Path, mode: str, made_by: str) -> tuple[float, float]:
    with tempfile.TemporaryDirectory(dir=folder) as place:
        store = LocalStore(Path(place))
        transcoder: Transcoder = FfmpegTranscoder(store, PROFILE, concurrency=1, timeout=3600)
        if mode == "needed":
            transcoder = AsNeeded(store, PROFILE, transcoder, concurrency=1, timeout=3600)
        request = _request(store, file)
        started, used = time.perf_counter(), _processor()
        (outcome,) = transcoder.encode([request])
        taken = time.perf_counter() - started, _processor() - used
        assert isinstance(outcome.result, ProcessedVideo), outcome.result
        assert outcome.result.made_by == made_by
        return taken


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _request(store: LocalStore, file: Path) -> EncodeRequest:
    data = file.read_bytes()
    store.write(f"{KEY}.mp4", data, content_type="video/mp4")
    with file.open("rb") as opened:
        facts = read_facts(opened, size=len(data))
    video = CopiedVideo(
        id="1", title="Game", source_url="https://host/1.mp4", key=f"{KEY}.mp4", bytes=len(data), container="mp4",
        sha256=hashlib.sha256(data).hexdigest(), duration_seconds=facts.seconds, has_sound=True, facts=facts,
        copied_at="2025-03-10T06:00:00Z",
    )  # fmt: skip
    return EncodeRequest(video, output_key=f"processed_{KEY}.mp4", poster_key=f"processed_{KEY}.jpg")


def _ffmpeg(*arguments: str) -> None:
    subprocess.run([ffmpeg_program(), "-v", "error", "-nostdin", "-y", *arguments], check=True)


if __name__ == "__main__":
    main()
