"""What an encode is worth: its likeness to the source and its size, beside the plain command that a person would type.

The scenes are made, because no real game may be shipped: one that is easy, one full of detail and noise, one that is
larger than what is made. Likeness is VMAF (100: nobody sees a difference) and SSIM (1: equal), of the picture as it is
made, in the size of the output.
"""

import json
import re
import subprocess
import tempfile
from pathlib import Path

from ncaa_assets.media.ffmpeg import ffmpeg_program
from ncaa_assets.media.probe import read_facts
from ncaa_assets.media.profile import PROFILE, ffmpeg_arguments

SECONDS = 4
SCENES = {
    "easy, 720p": f"testsrc2=s=1280x720:r=30:d={SECONDS}",
    "detail and noise, 720p": f"mandelbrot=s=1280x720:r=30,trim=duration={SECONDS},noise=alls=9:allf=t",
    "detail, 1440p": f"mandelbrot=s=2560x1440:r=30,trim=duration={SECONDS}",
}
# Where tags differ, ffmpeg converts the colours of one before it compares.
_SAME = "setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709"
PLAIN = ["-preset", "medium", "-crf", "21", "-pix_fmt", "yuv420p"]


def main() -> None:
    print(f"\nAn encode beside `-preset medium -crf 21`, {SECONDS} s of each scene")
    print("                            source      ours: size   VMAF   SSIM     plain: size   VMAF   SSIM")
    with tempfile.TemporaryDirectory() as name:
        for scene, picture in SCENES.items():
            folder = Path(name)
            source, ours, plain = (folder / f"{one}.mp4" for one in ("source", "ours", "plain"))
            _ffmpeg("-f", "lavfi", "-i", picture, "-c:v", "libx264", "-preset", "veryfast", "-qp", "10",
                    "-pix_fmt", "yuv420p", str(source))  # fmt: skip
            with source.open("rb") as file:
                facts = read_facts(file, size=source.stat().st_size)
            _ffmpeg(*ffmpeg_arguments(PROFILE, source, ours, facts=facts))
            _ffmpeg("-i", str(source), *PLAIN, str(plain))
            print(f"  {scene:<24}{_megabytes(source):7.2f} MB" + "".join(
                f"     {_megabytes(made):7.2f} MB  {vmaf:5.1f}  {ssim:.4f}"
                for made in (ours, plain)
                for vmaf, ssim in [_likeness(made, source)]
            ))  # fmt: skip


def _likeness(made: Path, source: Path) -> tuple[float, float]:
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        graph = (
            f"[0:v]{_SAME}[made];[1:v]{_SAME}[source];[made]split=3[a][b][size];"
            "[source][size]scale=w=rw:h=rh:flags=bicubic,split[c][d];"
            f"[a][c]libvmaf=log_fmt=json:n_threads=2:log_path={report.name}[x];[b][d]ssim[y]"
        )
        said = _ffmpeg("-i", str(made), "-i", str(source), "-lavfi", graph, "-map", "[x]", "-map", "[y]",
                       "-f", "null", "-", level="info")  # fmt: skip
        vmaf = json.loads(Path(report.name).read_text("utf-8"))["pooled_metrics"]["vmaf"]["mean"]
    found = re.search(r"SSIM .*All:([0-9.]+)", said)
    assert found is not None, said
    return float(vmaf), float(found[1])


def _megabytes(path: Path) -> float:
    return path.stat().st_size / 1e6


def _ffmpeg(*arguments: str, level: str = "error") -> str:
    command = [ffmpeg_program(), "-hide_banner", "-nostdin", "-y", "-v", level, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stderr
