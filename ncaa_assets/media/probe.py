"""What is known of a file, read by MediaInfo (`pymediainfo`), whatever its kind.

MediaInfo can hang or crash on hostile files, so it runs in a child (`child.py`) that is given the bytes it asks for and
nothing else. It jumps to what it needs: of an MP4 of any size that is less than a megabyte.
"""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from ncaa_assets import advice
from ncaa_assets.child import Bounds, Child
from ncaa_assets.failures import BackupError
from ncaa_assets.media.facts import Facts, Picture, Sound
from ncaa_assets.media.isobmff import Layout, layout
from ncaa_assets.media.mpegts import descriptions
from ncaa_assets.media.probe_child import ANSWER, NOT_LOADED, REPORT, REQUEST
from ncaa_assets.text import visible

_CHILD = str(Path(__file__).with_name("probe_child.py"))
# A file takes 0.02 s of processor time, some 100 MB of memory; the largest indexes a second and 361 MB (measured). The
# clock bounds what does nothing at all: a slow store is not the file's fault.
_BOUNDS = Bounds(seconds=600, processor_seconds=5, memory=1024**3)
_MOST_SERVED, _MOST_REQUESTS = 128 * 1024**2, 4000
_MOST_REPORT = 4 * 1024**2
_LEAST_TS_BITRATE = 16_000  # bits a second; below it, the clock has jumped and tells no length
_WORD = 60  # letters of a stranger's that are kept
_BLOCK, _BLOCK_IN_A_ROW = 64 * 1024, 1024**2
# MediaInfo would read up to 100 MB of MPEG-TS in a row. Its lengths are told by the clocks at both ends, so it is shown
# these alone: 5.9 MB each, of whole packets.
_END = 31_500 * 188

_STILLS = {"JPEG", "PNG", "GIF", "BMP", "WebP", "TIFF", "HEIC"}
_INTERLACED = {"Interlaced", "MBAFF", "PAFF", "Mixed"}
# Sound for people who do not see or hear well, comments, voice-overs, emergencies; and what a title says of such sound.
_BESIDE = {"VI", "HI", "C", "VO", "E"}
_CALLED_BESIDE = re.compile(r"descri|comment", re.IGNORECASE)
_MAPS = 256 * 1024  # bytes of an MPEG-TS in which its map stands

Track = dict[str, Any]
Read = Callable[[int, int], bytes]


class Unreadable(ValueError):
    """No facts can be read of a file; the message says in a few words why."""


class NotLoaded(BackupError):
    """MediaInfo cannot be run on this machine, which says nothing about a file."""


def read_facts(file: BinaryIO, *, size: int) -> Facts:
    """What a file of `size` bytes is. It is read at any place, with about a dozen requests; an error of reading it is
    the caller's own and goes through. Where a read comes back short, MediaInfo makes do with what it had.

    Raises:
        Unreadable: MediaInfo did not get through it.
        NotLoaded: MediaInfo cannot be run here.
    """
    is_in_a_row = _read(file, 0, min(size, 4))[:1] == b"\x47"
    if is_in_a_row and size > 2 * _END:
        report = _report(_ends_of(file, size), 2 * _END, _BLOCK_IN_A_ROW)
    else:
        report = _report(partial(_read, file), size, _BLOCK_IN_A_ROW if is_in_a_row else _BLOCK)
    boxes = None if is_in_a_row else layout(file, size)
    described = descriptions(_read(file, 0, min(size, _MAPS))) if is_in_a_row else set()
    try:
        media = json.loads(report)
        reader = media["creatingLibrary"]
        tracks: list[Track] = (media.get("media") or {}).get("track") or []
        facts = _facts(f"{reader['name']} {reader['version']}", tracks, _Places(size, boxes, described))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Unreadable("what MediaInfo says of it makes no sense") from error
    return facts


def _report(read: Read, size: int, block: int) -> bytes:
    """MediaInfo's report, as it came."""
    # MediaInfo never looks back at what was in the same piece as the index, so a small file comes in small pieces.
    piece = max(1024, min(size // 16, 64 * 1024))
    served = requests = 0
    command = [sys.executable, "-I", _CHILD, str(size), str(piece), str(block)]
    try:
        child = Child(command, bounds=_BOUNDS, feed=True)
    except OSError as error:
        raise NotLoaded(f"MediaInfo cannot be started here ({error.strerror or error})") from error
    with child:
        try:
            while len(head := child.stdout.read(REQUEST.size)) == REQUEST.size:
                offset, length = REQUEST.unpack(head)
                if offset == REPORT and length <= _MOST_REPORT:
                    report = child.stdout.read(length)
                    if len(report) == length:
                        return report
                    break
                if offset + length > size or length > block:
                    raise Unreadable("what MediaInfo asks for is not in the file")
                requests += 1
                served += length
                is_enough = served > _MOST_SERVED or requests > _MOST_REQUESTS  # it makes do with what it had
                data = b"" if is_enough else read(offset, length)
                child.stdin.write(ANSWER.pack(len(data)) + data)
                child.stdin.flush()
        except BrokenPipeError:
            pass  # it is gone, and its end says why
        child.kill()
        ended = child.wait()
    if ended.status == NOT_LOADED:
        raise NotLoaded(f"MediaInfo cannot be loaded here; {advice.to_reinstall()}")
    raise Unreadable(f"MediaInfo did not get through it ({ended.trouble})")


def _ends_of(file: BinaryIO, size: int) -> Read:
    """Reads of the first and the last `_END` bytes as if they were one file; packets stay whole."""
    left_out = (size - 2 * _END) // 188 * 188

    def read(offset: int, length: int) -> bytes:
        first = _read(file, offset, min(length, _END - offset)) if offset < _END else b""
        return (
            first + _read(file, offset + len(first) + left_out, length - len(first)) if len(first) < length else first
        )

    return read


def _read(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)


@dataclass(frozen=True)
class _Places:
    """What the file itself shows of where things are: its size, its boxes if it has some, and in MPEG-TS the
    identifiers of audio descriptions."""

    size: int
    boxes: Layout | None
    described: set[int]


def _facts(reader: str, tracks: list[Track], places: _Places) -> Facts:
    general = next(track for track in tracks if track["@type"] == "General")
    videos = [track for track in tracks if track["@type"] == "Video"]
    audios = [track for track in tracks if track["@type"] == "Audio"]
    boxes = places.boxes if general.get("Format") == "MPEG-4" else None
    streams = _Streams(tracks, covers_first=boxes is not None and boxes.tags_first)
    film = _film(videos)
    sound = _default_sound(audios, film, places.described)
    picture = _picture(film, streams) if film else None
    heard = _sound(sound, audios.index(sound) + 1, streams) if sound else None
    lengths = [part.seconds for part in (picture, heard) if part and part.seconds is not None]
    seconds = max(lengths, default=None)
    if streams.are_in_programmes and seconds and 8 * places.size / seconds < _LEAST_TS_BITRATE:
        seconds = None
    return Facts(
        read_by=reader,
        format=_word(general, "Format") or "unknown",
        seconds=seconds,
        bitrate=round(8 * places.size / seconds) if seconds else None,
        fast_start=boxes.fast_start if boxes else None,
        fragmented=boxes is not None and boxes.fragmented,
        pictures=len(videos),
        sounds=len(audios),
        encrypted=film is not None and _is_encrypted(film),
        picture=picture,
        sound=heard,
    )


def _film(videos: list[Track]) -> Track | None:
    """The picture track that a person means to watch. A still, a track of thumbnails, one that is switched off or a
    short one is chosen only where there is nothing else; whether it can be decoded decides last."""
    longest = max((_number(track, "Duration") or 0 for track in videos), default=0)

    def rank(track: Track) -> tuple[Any, ...]:
        seconds = _number(track, "Duration")
        return (
            _whole(track, "FrameCount") != 1,
            track.get("Format") not in _STILLS,
            seconds is None or seconds >= longest / 2,
            track.get("Default") != "No",
            not _is_encrypted(track),
            (_whole(track, "Width") or 0) * (_whole(track, "Height") or 0),
        )

    return max(videos, key=rank, default=None)  # the first of equals


def _default_sound(audios: list[Track], film: Track | None, described: set[int]) -> Track | None:
    """The sound track that a player takes. One that only comments on the film or describes it, or has a codec that
    MediaInfo has no name for, is chosen only where there is nothing else."""

    def rank(track: Track) -> tuple[Any, ...]:
        is_beside = track.get("ServiceKind") in _BESIDE or _whole(track, "ID") in described
        return (
            film is None or track.get("MenuID") == film.get("MenuID"),  # in MPEG-TS: the same programme
            track.get("Format") != track.get("CodecID"),
            not (is_beside or _CALLED_BESIDE.search(str(track.get("Title", "")))),
            track.get("Default") == "Yes",
        )

    return max((track for track in audios if not _is_encrypted(track)), key=rank, default=None)


def _picture(track: Track, streams: "_Streams") -> Picture | None:
    """The film's facts; None where not even its size can be read."""
    width, height = _whole(track, "Width"), _whole(track, "Height")
    if not width or not height:
        return None
    scan, colour = track.get("ScanType"), track.get("colour_range")
    return Picture(
        stream=streams.place(track),
        codec=_word(track, "Format") or "unknown",
        codec_id=_word(track, "CodecID"),
        codec_profile=_word(track, "Format_Profile"),
        width=width,
        height=height,
        pixel_aspect=_number(track, "PixelAspectRatio") or 1.0,
        rotation=90 * round((_number(track, "Rotation") or 0) / 90) % 360,
        interlaced=None if scan is None else scan in _INTERLACED,
        frame_rate=_number(track, "FrameRate"),
        bit_depth=_whole(track, "BitDepth"),
        chroma="RGB" if track.get("ColorSpace") == "RGB" else _word(track, "ChromaSubsampling"),
        primaries=_word(track, "colour_primaries"),
        transfer=_word(track, "transfer_characteristics"),
        matrix=_word(track, "matrix_coefficients"),
        full_range=None if colour is None else colour == "Full",
        bitrate=_whole(track, "BitRate"),
        seconds=_number(track, "Duration"),
        frames=_whole(track, "FrameCount"),
    )


def _sound(track: Track, number: int, streams: "_Streams") -> Sound:
    features = _word(track, "Format_AdditionalFeatures")
    return Sound(
        stream=streams.place(track),
        track=number,
        pid=_whole(track, "ID") if streams.are_in_programmes else None,
        codec=_word(track, "Format") or "unknown",
        codec_id=_word(track, "CodecID"),
        codec_profile=_word(track, "Format_Profile") or features,
        channels=_whole(track, "Channels"),
        sample_rate=_whole(track, "SamplingRate"),
        bitrate=_whole(track, "BitRate"),
        seconds=_number(track, "Duration"),
        language=_word(track, "Language"),
    )


class _Streams:
    """Which place among all of a file's tracks each one has, as ffmpeg counts them."""

    def __init__(self, tracks: list[Track], *, covers_first: bool) -> None:
        programmes = [str(track.get("List", "")).split(" / ") for track in tracks if track["@type"] == "Menu"]
        # Each cover is a track to ffmpeg, and stands before those that come after it.
        self._before = str(tracks[0].get("Cover", "")).count("Yes") if covers_first else 0
        self.are_in_programmes = any(track.get("Format") == "MPEG-TS" for track in tracks)
        self._pids = list(dict.fromkeys(pid for pids in programmes for pid in pids))

    def place(self, track: Track) -> int:
        if self.are_in_programmes and str(track.get("ID")) in self._pids:
            return self._pids.index(str(track["ID"]))
        return self._before + int(str(track.get("StreamOrder", "0")).rpartition("-")[2])


def _is_encrypted(track: Track) -> bool:
    return "Encryption" in track or track.get("CodecID") in ("encv", "enca", "drmi", "drms", "p608")


def _word(track: Track, name: str) -> str | None:
    value = track.get(name)
    return visible(str(value), most=_WORD) if value else None


def _number(track: Track, name: str) -> float | None:
    try:
        value = float(track[name])
    except (KeyError, ValueError, TypeError):
        return None
    return value if 0 <= value < 2**53 else None


def _whole(track: Track, name: str) -> int | None:
    value = _number(track, name)
    return None if value is None else round(value)
