"""Where the ffmpeg program is: the one that a wheel carries, or another that a person names."""

import shutil

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
        raise EncodeFailed(
            "there is no ffmpeg: install it with `pip install 'ncaa-assets[local]'`, or set IMAGEIO_FFMPEG_EXE to the "
            "path of one"
        )
    return program
