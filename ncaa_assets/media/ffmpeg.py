"""Where the ffmpeg program is: the one that a wheel carries, or another that a person names."""

import os
import shutil

from ncaa_assets import advice
from ncaa_assets.failures import EncodeFailed


def ffmpeg_program() -> str:
    """The path of ffmpeg: the one that the `imageio-ffmpeg` wheel carries, or that `IMAGEIO_FFMPEG_EXE` names.

    Raises:
        EncodeFailed: there is none, or it does not start.
    """
    try:
        import imageio_ffmpeg  # noqa: PLC0415 - only encoding needs it, and an aws image is without

        program: str = imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        program = ""
    if not program or shutil.which(program) is None:
        how = "unset IMAGEIO_FFMPEG_EXE" if os.environ.get("IMAGEIO_FFMPEG_EXE") else advice.to_install("local")
        raise EncodeFailed(f"there is no ffmpeg: {how}, or set IMAGEIO_FFMPEG_EXE to the path of one")
    return program
