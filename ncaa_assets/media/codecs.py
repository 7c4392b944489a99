"""Which picture codecs can be read at all: by ffmpeg 9, which reads whatever MediaConvert takes and more.

MediaInfo names the format of nearly everything that a decoder exists for. What it does not know it calls by the four
letters of the file; and it takes a track with an H.264 or HEVC configuration for one, whatever its letters say.
"""

# Letters that MediaInfo has no name for and ffmpeg 9.0 reads in an MP4 (each was tried).
_READ_ALL_THE_SAME = frozenset(
    """
    apv1 IV50 IV41 IV32 IV31 WMV2 WMV1 WVC1 DIV3 DIVX XVID DX50 3IVD 3IV2 VP30 VP31 VP60 VP61 VP62 VP6F VP6A VP70
    VP80 VP90 mp1v smc SMC cavs CAVS ULY0 ULY2 ULY4 ULRG ULRA ULH0 UQY2 UQRG M8Y2 M8RG M8Y0 qdrw MSVC msvc CRAM tscc
    TSCC tsc2 rv40 pxlt BW10 SHQ2 SHQ0 svq1 FLV1 FSV1 flv1 HFYU FFVH FPS1 LAGS MJPG mjpg AVRn R10k r10k v308 v408
    v410 UYVY I420 YV12 ZLIB MSZH CSCD G2M4 cllc AASC rle1 WRAW MPG4 MP42 MP43 DIV4 COL1 AP41 I263 L263 CYUV cyuv
    XMPG mpg1 mpg2 RMP4 FMP4 SEDG M4S2 UMP4 WV1F S263 Theo theo DUCK TM20 dvsd dvhd CDVC ffv1 SNOW snow EM2V H264
    X264 x264 aivx rv64 xalg DAVC VVC1 dmb1 JPGL lj2c HapM DXDI VMnc SPV1 CDV5 WHAM FMVC SCPR MTS2 MSS1 MSS2 MSA1
    QPEG Q1.0 MVHA MAGY M101 M102 YLC0 G264 GAVC VSSH Q264 V264 JPEG BT20 Y41P V422 ASV1 ASV2 VCR1 SLIF AFLC FLIC
    tiff MNG RLE
    """.split()  # noqa: SIM905 - in quotes each, they would be harder to read
)
_AVC = frozenset(
    """
    avc1 avc2 avc3 avc4 dva1 dvav AVin aivx rv64 xalg ai5p ai5q ai52 ai53 ai55 ai56 ai1p ai1q ai12 ai13 ai15 ai16
    H264 h264 X264 x264 DAVC GAVC VSSH Q264 V264
    """.split()  # noqa: SIM905
)
_LETTERS = {"AVC": _AVC, "HEVC": frozenset({"hev1", "hvc1", "dvhe", "dvh1"})}


def can_be_read(codec: str, codec_id: str | None, *, format: str) -> bool:
    """Whether there is a decoder for a picture, by what MediaInfo and the file itself call it."""
    if codec == codec_id:
        return codec in _READ_ALL_THE_SAME
    if format == "MPEG-4" and codec in _LETTERS:
        return codec_id in _LETTERS[codec]
    return codec != "unknown"
