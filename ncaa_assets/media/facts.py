"""What is known of a video file: the film in it, the sound that goes with it, and what both are like.

Read once, at the copy, and kept in the day's manifest. Whatever has to know what a file is asks here and never the file
again: the checks, the encoding profile, MediaConvert's settings, what people are shown.
"""

from ncaa_assets.media.codecs import can_be_read
from ncaa_assets.stored import Amount, Count, Stored


class Picture(Stored):
    """The film: the one picture track of a file that a person means to watch, and no cover, preview still or thumbnail.

    Attributes:
        stream: its place among all tracks of the file, from 0 (ffmpeg's `0:stream`).
        codec: as MediaInfo names the format: `AVC`, `HEVC`, `VP9`, `AV1`, `MPEG Video` …
        codec_id: as the file itself names it, such as `avc1`.
        width, height: the stored picture in pixels, before it is turned and before wide pixels are squared.
        pixel_aspect: how wide a pixel is for its height; 1 for square ones.
        rotation: by how many degrees clockwise a player turns it: 0, 90, 180 or 270.
        interlaced: whether its frames are two fields each (None: not known, taken for no).
        frame_rate: frames a second on the average (None: not known).
        chroma: `4:2:0`, `4:2:2`, `4:4:4`, or `RGB`.
        transfer: `PQ`, `HLG`, or what else the file says, such as `BT.709` (None: it says nothing).
        full_range: whether its samples use all values from 0 up (None: not known).
        bitrate: bits a second.
        seconds: how long it plays, counted as a player shows it.
        frames: how many frames it has, where the file says so.
    """

    stream: Count
    codec: str
    codec_id: str | None = None
    codec_profile: str | None = None
    width: Count
    height: Count
    pixel_aspect: Amount = 1.0
    rotation: Count = 0
    interlaced: bool | None = None
    frame_rate: Amount | None = None
    bit_depth: Count | None = None
    chroma: str | None = None
    primaries: str | None = None
    transfer: str | None = None
    matrix: str | None = None
    full_range: bool | None = None
    bitrate: Count | None = None
    seconds: Amount | None = None
    frames: Count | None = None

    @property
    def shown_size(self) -> tuple[int, int]:
        """Its width and height in pixels as a player shows it: turned upright, with square pixels, nothing rounded to
        even numbers."""
        width, height = max(1, round(self.width * self.pixel_aspect)), self.height
        return (height, width) if self.rotation in (90, 270) else (width, height)

    @property
    def is_hdr(self) -> bool:
        """Whether it has to be tone-mapped for a screen without high dynamic range."""
        return self.transfer in ("PQ", "HLG")


class Sound(Stored):
    """The sound that a player plays with the film: the default track, and no audio description where there is another.

    Attributes:
        stream: its place among all tracks of the file, from 0 (ffmpeg's `0:stream`).
        track: its place among the sound tracks, from 1 (MediaConvert's `Tracks`).
        pid: in MPEG-TS, the identifier of its packets (MediaConvert's `Pids`).
        codec: as MediaInfo names the format: `AAC`, `Opus`, `AC-3` …
        channels: None where they are not known.
        seconds: how long it plays.
    """

    stream: Count
    track: Count
    pid: Count | None = None
    codec: str
    codec_id: str | None = None
    codec_profile: str | None = None
    channels: Count | None = None
    sample_rate: Count | None = None
    bitrate: Count | None = None
    seconds: Amount | None = None
    language: str | None = None


class Facts(Stored):
    """What a video file is.

    Attributes:
        read_by: the reader and its version.
        format: the container as the reader names it, such as `MPEG-4`.
        seconds: how long it plays: the longer of film and sound (None: not known).
        bitrate: of the whole file, in bits a second.
        fast_start: whether its index stands before its media, so that a player may begin with the first bytes (None:
            a kind of file without an index).
        fragmented: whether its media come in fragments.
        pictures, sounds: how many tracks of each kind it has, those that were passed over included.
        encrypted: whether nobody can watch the film without a key.
        picture, sound: the two that are watched and heard (None: there is none).
    """

    read_by: str
    format: str
    seconds: Amount | None = None
    bitrate: Count | None = None
    fast_start: bool | None = None
    fragmented: bool = False
    pictures: Count = 0
    sounds: Count = 0
    encrypted: bool = False
    picture: Picture | None = None
    sound: Sound | None = None

    @property
    def why_unwatchable(self) -> str | None:
        """Why nobody can watch it, for a sentence that begins with it; None where somebody can. Whether the media
        behind the headers are what these say is not known before they are decoded."""
        picture = self.picture
        if self.encrypted:
            return "its picture is encrypted, so nobody can watch it without a key"
        if picture is None and self.pictures:
            return "its picture is damaged: not even its size can be read"
        if picture is None:
            return "it holds only sound, no picture" if self.sounds else "it holds no picture that is known, only data"
        if not can_be_read(picture.codec, picture.codec_id, format=self.format):
            name = picture.codec_id or picture.codec
            return f"its picture is in a format that no decoder here reads ({name})"
        return None
