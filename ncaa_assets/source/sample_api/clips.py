"""The sample API's clips: three seconds of a ball on a court each, made when they are first asked for."""

import os
import threading
from pathlib import Path

from ncaa_assets.child import Bounds, ChildFailed, run
from ncaa_assets.failures import EncodeFailed
from ncaa_assets.media.ffmpeg import ffmpeg_program

_one_at_a_time = threading.Lock()


# Of the courts: the floor, what is painted on it, and the ball.
_FLOORS = ("0xc98d4e", "0xd8a869", "0xb9793f", "0xd1a05a", "0xc28a5c")
_PAINTS = ("0x24406b", "0x7a1f2b", "0x1f5a3d", "0x55306e", "0x1f5f6b", "0x8a4b16", "0x2f3540")
_BALL = "0xe8682a"


def make_clip(
    path: Path, *, seed: int = 0, seconds: float = 3, sound: bool = True, height: int = 360, of_a_game: bool = False
) -> Path:
    """An MP4 at `path`, made unless it exists: H.264 of `height` lines at 16:9, with a tone of its own or silent. It
    shows a court with a ball (`of_a_game`), or ffmpeg's test picture, of which no two frames are alike.

    Raises:
        EncodeFailed: ffmpeg is missing or failed.
    """
    with _one_at_a_time:
        if path.exists():
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        width = height * 16 // 18 * 2
        if of_a_game:
            picture = _court(seed, width, height, seconds)
        else:
            picture = f"testsrc2=size={width}x{height}:rate=30:duration={seconds},hue=h={seed * 47 % 360}"
        tone = ["-f", "lavfi", "-i", f"sine=frequency={220 + seed % 12 * 40}:sample_rate=48000:duration={seconds}"]
        try:
            run(
                [
                    ffmpeg_program(), "-hide_banner", "-nostdin", "-loglevel", "error", "-y",
                    "-f", "lavfi", "-i", picture,
                    *(tone if sound else []),
                    "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p",
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


def _court(seed: int, width: int, height: int, seconds: float) -> str:
    """A court from above with a ball that bounces across it, as a source of ffmpeg's."""
    floor, paint = _FLOORS[seed % len(_FLOORS)], _PAINTS[seed % len(_PAINTS)]
    ball, circle = height // 9 // 2 * 2, height // 3 // 2 * 2
    planks = "drawgrid=w=iw/8:h=ih/24:t=1:c=0x7a4b1f@0.35"
    lines = [f"drawbox=w=iw:h=ih:c={paint}:t=ih/18", "drawbox=x=iw/2-2:w=4:h=ih:c=white:t=fill"]
    for left in ("iw/18", "iw*0.775"):  # where the baskets are
        at = f"x={left}:y=ih*0.32:w=iw*0.17:h=ih*0.36"
        lines += [f"drawbox={at}:c={paint}@0.75:t=fill", f"drawbox={at}:c=white:t=3"]
    cut = "format=yuva444p,geq=lum='{}':cb='cb(X,Y)':cr='cr(X,Y)':a='255*{}'"  # out of a square
    far = "hypot(X-W/2,Y-H/2)"
    round_ball = cut.format("lum(X,Y)-40*gt(hypot(X-W*0.36,Y-H*0.36),W*0.42)", f"lt({far},W/2-1)")
    ring = cut.format("lum(X,Y)", f"between({far},W/2-5,W/2-2)")
    phase = seed * 0.7
    across = f"W*0.08+(W*0.84-w)*abs(1-mod(t/4+{phase},2))"
    bounce = f"H*0.78-h/2-abs(sin(t*4+{phase}))*H*0.5"
    made = f"rate=30:duration={seconds}"
    return (
        f"color={floor}:size={width}x{height}:{made},{planks},{','.join(lines)}[floor];"
        f"color=white:size={circle}x{circle}:{made},{ring}[circle];"
        f"color={_BALL}:size={ball}x{ball}:{made},{round_ball}[ball];"
        f"[floor][circle]overlay=x='(W-w)/2':y='(H-h)/2'[court];[court][ball]overlay=x='{across}':y='{bounce}'"
    )
