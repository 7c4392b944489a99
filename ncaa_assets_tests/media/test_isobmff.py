"""The box reader: whole files are whole however they arrive, cut ones never are, and no bytes make it crash."""

import io
import struct
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncaa_assets.media import isobmff
from ncaa_assets.media.isobmff import BoxReader, Movie, NotWhole, looks_like_movie

FTYP = b"isom\x00\x00\x02\x00isomiso2"


def box(kind: bytes, body: bytes = b"", *, wide: bool = False, size: int | None = None) -> bytes:
    """A box; `wide` writes its size in 64 bits, `size` lies about it."""
    if wide:
        return struct.pack(">I4sQ", 1, kind, 16 + len(body) if size is None else size) + body
    return struct.pack(">I4s", 8 + len(body) if size is None else size, kind) + body


def mvhd(duration: int, scale: int = 1000, version: int = 0) -> bytes:
    if version:
        return box(b"mvhd", b"\x01\0\0\0" + bytes(16) + struct.pack(">IQ", scale, duration) + bytes(80))
    return box(b"mvhd", bytes(12) + struct.pack(">II", scale, duration) + bytes(80))


def trak(handler: bytes, width: int = 0, height: int = 0, version: int = 0) -> bytes:
    before = 88 if version else 76
    tkhd = box(b"tkhd", bytes([version]) + bytes(before - 1) + struct.pack(">II", width << 16, height << 16))
    return box(b"trak", tkhd + box(b"mdia", box(b"hdlr", bytes(8) + handler + bytes(12))))


def movie(*moov: bytes, media: bytes = b"x" * 100) -> bytes:
    return box(b"ftyp", FTYP) + box(b"moov", b"".join(moov)) + box(b"mdat", media)


def indexed(
    handler: bytes = b"vide",
    *,
    offset: int = 400,
    sizes: tuple[int, ...] = (),
    size: int = 20,
    count: int = 2,
    wide: bool = False,
) -> bytes:
    """A track whose samples lie in one chunk at `offset`: of these sizes, or `count` of one size."""
    tables = box(b"stco", bytes(4) + struct.pack(">II", 1, offset)) if not wide else (
        box(b"co64", bytes(4) + struct.pack(">IQ", 1, offset))
    )  # fmt: skip
    count = len(sizes) or count
    tables += box(b"stsc", bytes(4) + struct.pack(">IIII", 1, 1, count, 1))
    each = b"".join(struct.pack(">I", one) for one in sizes)
    tables += box(b"stsz", bytes(4) + struct.pack(">II", 0 if sizes else size, count) + each)
    hdlr = box(b"hdlr", bytes(8) + handler + bytes(12))
    return box(b"trak", box(b"mdia", hdlr + box(b"minf", box(b"stbl", tables))))


def fragment(size: int, *, count: int = 1, each: bool = True) -> bytes:
    """A moof whose samples begin right after the header of the mdat that follows it."""
    flags, sizes = (0x201, struct.pack(">I", size) * count) if each else (0x1, b"")
    tfhd = box(b"tfhd", struct.pack(">II", 0x20010, 1) + struct.pack(">I", size))

    def moof(offset: int) -> bytes:
        trun = box(b"trun", struct.pack(">IIi", flags, count, offset) + sizes)
        return box(b"moof", box(b"mfhd", bytes(8)) + box(b"traf", tfhd + trun))

    return moof(len(moof(0)) + 8)


def read(data: bytes, step: int = 2**20) -> Movie:
    return read_pieces(data[at : at + step] for at in range(0, len(data), step))


def read_pieces(pieces: Iterable[bytes]) -> Movie:
    reader = BoxReader()
    for piece in pieces:
        reader.feed(piece)
    return reader.finish()


def test_a_real_clip_says_how_long_it_plays_its_size_and_that_it_has_sound(clip: Path) -> None:
    found = read(clip.read_bytes())
    assert found.duration_seconds == pytest.approx(2.0, abs=0.1)
    assert (found.width, found.height) == (320, 180)
    assert found.has_video is True
    assert found.has_sound is True


def test_an_index_in_front_is_read_without_what_follows_it(clip: Path, tmp_path: Path) -> None:
    """As of every encode here: a few kB tell how long a file of any size plays."""
    data = movie(mvhd(7500), trak(b"vide", 640, 360), media=b"x" * 10**6)
    file = io.BytesIO(data)
    assert isobmff.read_index(file).duration_seconds == 7.5
    assert file.tell() < 200_000


def test_an_index_at_the_end_or_open_to_the_end_is_found_too() -> None:
    index = mvhd(7500) + trak(b"vide", 640, 360)
    start = box(b"ftyp", FTYP) + box(b"mdat", b"x" * 10**6)
    for moov in (box(b"moov", index), box(b"moov", index, size=0)):
        assert isobmff.read_index(io.BytesIO(start + moov)).duration_seconds == 7.5


@pytest.mark.parametrize(
    "data", [b"", box(b"ftyp", FTYP), movie(mvhd(1))[: 24 + 40], box(b"ftyp", FTYP) + box(b"mdat", b"x")]
)
def test_a_file_without_a_whole_index_says_so(data: bytes) -> None:
    with pytest.raises(NotWhole):
        isobmff.read_index(io.BytesIO(data))


def test_a_silent_clip_has_no_sound(silent_clip: Path) -> None:
    assert read(silent_clip.read_bytes()).has_sound is False


@pytest.mark.parametrize("step", [1, 2, 7, 8, 9, 16, 4096])
def test_the_pieces_that_a_file_arrives_in_make_no_difference(silent_clip: Path, step: int) -> None:
    data = silent_clip.read_bytes()
    assert read(data, step) == read(data)


def test_a_clip_cut_anywhere_is_not_whole(silent_clip: Path) -> None:
    data = silent_clip.read_bytes()
    for length in [*range(0, len(data), len(data) // 50 + 1), len(data) - 1]:
        with pytest.raises(NotWhole):
            read(data[:length])


def test_a_file_whose_index_is_in_front_is_still_caught_when_its_media_are_cut() -> None:
    data = movie(mvhd(2000), trak(b"vide", 320, 180))
    assert read(data).has_video
    with pytest.raises(NotWhole, match="cut off"):
        read(data[:-1])


def test_sizes_of_64_bits_are_read() -> None:
    data = box(b"ftyp", FTYP) + box(b"mdat", b"x" * 50, wide=True) + box(b"moov", mvhd(1000) + trak(b"vide"), wide=True)
    assert read(data, 3).duration_seconds == 1.0
    with pytest.raises(NotWhole):
        read(data[: len(FTYP) + 8 + 12])  # inside the second box's header


def test_a_last_box_that_reaches_to_the_end_of_the_file_is_whole() -> None:
    data = box(b"ftyp", FTYP) + box(b"moov", mvhd(1000) + trak(b"vide")) + box(b"mdat", b"x" * 50, size=0)
    assert read(data).has_video
    data = box(b"ftyp", FTYP) + box(b"mdat", b"x") + box(b"moov", mvhd(3000) + trak(b"vide"), size=0)
    assert read(data).duration_seconds == 3.0


@pytest.mark.parametrize(
    ("moov", "seconds"),
    [
        (mvhd(90_500), 90.5),
        (mvhd(2**33, 2**30, version=1), 8.0),
        (mvhd(2**32 - 1), None),
        (mvhd(2**64 - 1, version=1), None),
        (mvhd(0), None),
        (b"", None),
    ],
    ids=["32 bits", "64 bits", "unknown", "unknown in 64 bits", "nought, as fragments say", "no header"],
)
def test_the_duration_is_that_of_the_movie_header_or_unknown(moov: bytes, seconds: float | None) -> None:
    assert read(movie(moov, trak(b"vide"))).duration_seconds == seconds


def test_track_headers_of_both_versions_give_the_picture_size() -> None:
    for version in (0, 1):
        found = read(movie(mvhd(1000), trak(b"soun"), trak(b"vide", 1920, 1080, version)))
        assert (found.width, found.height, found.has_sound) == (1920, 1080, True)


def test_a_file_of_sound_alone_holds_no_video() -> None:
    found = read(movie(mvhd(1000), trak(b"soun")))
    assert (found.has_video, found.has_sound, found.width) == (False, True, None)


def test_fragments_count_as_media() -> None:
    start = box(b"ftyp", FTYP) + box(b"moov", mvhd(0) + trak(b"vide"))
    opening, index, media = box(b"styp", FTYP), box(b"moof", b"x" * 20), box(b"mdat", b"x" * 9)
    whole = start + opening + index + media
    assert read(whole + index + media).has_video
    for cut in (whole + opening, whole + opening + index):
        with pytest.raises(NotWhole, match="between two fragments"):
            read(cut)


TRAILERS = {
    "nothing": b"",
    "a phone's trailer": struct.pack(">I4s", 24, b"sefd") + b"SEFH" + bytes(8) + b"SEFT",
    "an unknown box": box(b"xyzw", bytes(50)),
    "a box that is cut off": box(b"free", bytes(50))[:30],
    "a box of 64 bits that is cut off": box(b"uuid", bytes(50), wide=True)[:12],
    "half a header": b"\0\0\0",
    "noughts": bytes(1000),
    "a web page": b"<html>" * 9,
    "a box smaller than its header": struct.pack(">I4s", 5, b"free") + bytes(99),
}


@pytest.mark.parametrize("trailer", TRAILERS.values(), ids=TRAILERS)
@pytest.mark.parametrize("order", [0, 1], ids=["index in front", "index behind"])
def test_what_follows_index_and_media_may_be_anything(trailer: bytes, order: int) -> None:
    parts = [box(b"moov", mvhd(1000) + indexed(offset=330, count=4)), box(b"mdat", bytes(400))]
    data = box(b"ftyp", FTYP) + b"".join(parts[::-1] if order else parts)
    for step in (3, 4096):
        reader = BoxReader()
        for at in range(0, len(data + trailer), step):
            reader.feed((data + trailer)[at : at + step])
        assert reader.finish().has_video
    complete = trailer in (TRAILERS["nothing"], TRAILERS["a phone's trailer"], TRAILERS["an unknown box"])
    assert reader.shows_its_end is complete
    for length in range(len(data)):
        with pytest.raises(NotWhole):
            read(data[:length])


def test_a_flood_of_boxes_is_not_followed_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isobmff, "_MOST_FOLLOWED", 50)
    whole = movie(mvhd(1000), trak(b"vide"))
    assert read(whole + 100 * box(b"free")).has_video
    with pytest.raises(NotWhole, match="no index"):
        read(100 * box(b"free") + whole)


def test_unknown_boxes_are_passed_over_wherever_they_stand() -> None:
    odd = box(b"xyzw", bytes(50))
    moov, mdat = box(b"moov", mvhd(1000) + trak(b"vide")), box(b"mdat", b"x" * 100)
    data = odd + box(b"ftyp", FTYP) + odd + moov + odd + mdat + odd
    assert looks_like_movie(data)
    assert read(data, 7).has_video


def test_a_track_of_neither_picture_nor_sound_may_name_what_is_not_there() -> None:
    """A chapter list with a wrong offset keeps no player from playing."""
    assert read(movie(mvhd(1000), trak(b"vide"), indexed(b"text", offset=10**9))).has_video


@pytest.mark.parametrize("each", [True, False], ids=["a size each", "one size"])
def test_fragments_are_whole_with_their_samples(each: bool) -> None:
    start = box(b"ftyp", FTYP) + box(b"moov", mvhd(0) + trak(b"vide"))
    one = fragment(25, count=4, each=each) + box(b"mdat", bytes(100))
    assert read(start + one + one).has_video
    wide = fragment(25, count=4, each=each)
    with pytest.raises(NotWhole, match="behind the file's end"):
        read(start + one + wide + box(b"mdat", bytes(99)))


def test_a_cut_of_a_real_file_is_caught_or_cuts_off_nothing_that_plays(clip: Path) -> None:
    data = clip.read_bytes()
    for whole in (data, data + box(b"free", bytes(5000)), data + bytes(5000)):
        for length in [*range(0, len(whole), len(whole) // 60), len(data) - 1, len(data), len(data) + 1]:
            try:
                read(whole[:length])
            except NotWhole:
                assert length < len(data)
            else:
                assert length >= len(data)


@pytest.mark.parametrize(
    ("media", "shows"),
    [
        (box(b"mdat", b"x" * 9), True),
        (box(b"mdat", b"x" * 9, size=0), False),
        (box(b"moof") + box(b"mdat", b"x" * 9), False),
        (box(b"moof") + box(b"mdat", b"x" * 9) + box(b"mfra", b"x" * 9), True),
        (box(b"moof") + box(b"mdat", b"x" * 9) + box(b"free"), False),
    ],
    ids=["one mdat", "to wherever the file ends", "fragments", "fragments and their list", "fragments and no list"],
)
def test_it_knows_which_files_show_where_they_end(media: bytes, shows: bool) -> None:
    reader = BoxReader()
    reader.feed(box(b"ftyp", FTYP) + box(b"moov", mvhd(1000) + trak(b"vide")) + media)
    reader.finish()
    assert reader.shows_its_end is shows


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no index"),
        (box(b"ftyp", FTYP), "no index"),
        (box(b"ftyp", FTYP) + box(b"mdat", b"x"), "no index"),
        (box(b"ftyp", FTYP) + box(b"moov", mvhd(1000) + trak(b"vide")), "no media"),
        (box(b"ftyp", FTYP) + box(b"html", b"x"), "no index"),
        (box(b"ftyp", FTYP) + box(b"moov", b"", size=5) + box(b"mdat"), "no index"),
        (box(b"ftyp", FTYP) + box(b"mdat", b"", wide=True, size=15) + box(b"moov"), "no index"),
        (movie(box(b"mvhd")), "damaged"),
        (movie(box(b"mvhd", bytes(3))), "damaged"),
        (movie(mvhd(1000, scale=0)), "damaged"),
        (movie(mvhd(1000), box(b"trak", box(b"tkhd"))), "damaged"),
        (movie(mvhd(1000), box(b"trak", box(b"tkhd", bytes(50)))), "damaged"),
        (movie(mvhd(1000), indexed(offset=10**6)), "behind the file's end"),
        (movie(mvhd(1000), indexed(sizes=(30, 200))), "behind the file's end"),
        (movie(mvhd(1000), indexed(size=200, count=2)), "behind the file's end"),
        (movie(mvhd(1000), indexed(offset=10**10, wide=True)), "behind the file's end"),
        (movie(mvhd(1000), indexed(b"soun", offset=10**6)), "behind the file's end"),
        (
            box(b"ftyp", FTYP) + box(b"moov", mvhd(0)) + fragment(101) + box(b"mdat", bytes(100)),
            "behind the file's end",
        ),
    ],
)
def test_what_is_no_whole_movie_is_said_in_a_few_words(data: bytes, says: str) -> None:
    with pytest.raises(NotWhole, match=says):
        read(data)


def test_an_index_too_large_to_keep_leaves_its_contents_unknown_and_refuses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(isobmff._KEPT, b"moov", 200)
    data = movie(mvhd(1000), trak(b"vide", 320, 180), box(b"udta", bytes(5000)))
    for step in (50, 190, 10_000):
        found = read(data, step)
        assert (found.has_video, found.has_sound, found.duration_seconds) == (None, None, None)
        assert found.brand == "isom"


def test_media_are_passed_over_and_not_kept() -> None:
    reader = BoxReader()
    reader.feed(box(b"ftyp", FTYP) + box(b"moov", mvhd(1000) + trak(b"vide")) + box(b"mdat", size=2**31))
    for _ in range(100):
        reader.feed(bytes(2**20))
    held = sum(len(value) for value in vars(reader).values() if isinstance(value, bytes | bytearray))
    assert held + sum(map(len, reader._boxes.values())) < 10_000


@pytest.mark.parametrize(
    ("start", "is_movie"),
    [
        (box(b"ftyp", FTYP), True),
        (box(b"wide") + box(b"mdat", b"x"), True),
        (b"<!doctype html><title>", False),
        (b"\x1a\x45\xdf\xa3" + bytes(20), False),
        (b"ftyp", False),
        (b"", False),
    ],
)
def test_a_movie_is_known_by_its_first_bytes(start: bytes, is_movie: bool) -> None:
    assert looks_like_movie(start) is is_movie


KINDS = st.sampled_from([b"ftyp", b"moov", b"mdat", b"moof", b"free", b"mvhd", b"trak", b"tkhd", b"mdia", b"hdlr"])
BOXES = st.recursive(
    st.binary(max_size=120),
    lambda inner: st.lists(
        st.builds(
            lambda kind, body, size: box(kind, body, size=size),
            KINDS,
            inner,
            st.one_of(st.none(), st.none(), st.none(), st.integers(0, 300), st.just(2**32 - 1)),
        ),
        max_size=4,
    ).map(b"".join),
)


@settings(max_examples=300)
@given(data=st.one_of(BOXES, BOXES.map(movie), BOXES.map(lambda body: movie(mvhd(1000), box(b"trak", body)))))
def test_no_bytes_make_it_fail_otherwise_than_by_saying_so(data: bytes) -> None:
    outcomes = []
    for step in (5, 4096):
        try:
            outcomes.append(repr(read(data, step)))
        except NotWhole as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]
