"""What kind of file some bytes are, and whether a WebM or MPEG-TS file is whole. MP4 and QuickTime: test_isobmff."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ncaa_assets.media.containers import (
    CONTENT_TYPES,
    START,
    TransportStream,
    Verifier,
    WebM,
    container_of,
    looks_like_page,
    verifier_of,
)
from ncaa_assets.media.isobmff import BoxReader, NotWhole

PACKETS = (b"\x47" + bytes(187)) * 40
EBML = b"\x1a\x45\xdf\xa3"
SEGMENT = b"\x18\x53\x80\x67"


def webm(body: bytes, *, announced: int | None) -> bytes:
    """An EBML header and a Segment of `body` that announces this size (None: unknown)."""
    size = b"\x01" + (b"\xff" * 7 if announced is None else announced.to_bytes(7, "big"))
    return EBML + b"\x87\x42\x82\x84webm" + SEGMENT + size + body


def followed(verifier: Verifier, data: bytes, step: int = 1000) -> Verifier:
    for at in range(0, len(data), step):
        verifier.feed(data[at : at + step])
    verifier.finish()
    return verifier


@pytest.mark.parametrize(
    ("start", "container"),
    [
        (b"\0\0\0\x14ftypisom\0\0\2\0", "mp4"),
        (b"\0\0\0\x14ftypqt  \0\0\2\0", "mov"),
        (b"\0\0\0\x08wide\0\0\0\x08mdat", "mov"),
        (webm(b"", announced=None), "webm"),
        (EBML + b"\xa3\x42\x82\x88matroska", None),
        (PACKETS[:START], "ts"),
        (PACKETS[: 2 * 188 + 1], "ts"),
        (PACKETS[: 2 * 188], None),
        (b"\x47" * 188 + b"x" + b"\x47" * 300, None),
        (b"<!doctype html>", None),
        (b"", None),
    ],
)
def test_a_file_is_of_the_kind_that_its_first_bytes_show(start: bytes, container: str | None) -> None:
    assert container_of(start) == container
    if container is not None:
        assert container in CONTENT_TYPES
        assert isinstance(verifier_of(container), {"webm": WebM, "ts": TransportStream}.get(container, BoxReader))


@pytest.mark.parametrize(
    ("start", "is_page"),
    [
        (b"<!DOCTYPE html><html>", True),
        (b"\xef\xbb\xbf\r\n\t <HTML>", True),
        (b"<!-- a comment -->", True),
        (b"<?xml version='1.0'?>", False),
        (b"html", False),
        (b"", False),
    ],
)
def test_a_page_is_told_by_its_first_bytes(start: bytes, is_page: bool) -> None:
    assert looks_like_page(start) is is_page


@pytest.mark.parametrize("step", [1, 187, 188, 189, 10_000])
def test_whole_packets_are_whole_in_pieces_of_any_size(step: int) -> None:
    assert not followed(TransportStream(), PACKETS, step).shows_its_end


@pytest.mark.parametrize("step", [1, 188, 10_000])
def test_a_packet_that_is_cut_or_does_not_open_as_one_is_not_whole(step: int) -> None:
    with pytest.raises(NotWhole, match="cut off"):
        followed(TransportStream(), PACKETS[:-1], step)
    cut = TransportStream()
    cut.feed(PACKETS[:-1])
    cut.finish(is_all=True)  # a recorder stopped there, and its sender says that it is all
    with pytest.raises(NotWhole, match="does not open as one does"):
        followed(TransportStream(), PACKETS[:1880] + b"?" + PACKETS[1881:], step)


def test_a_webm_file_is_whole_when_it_has_what_its_segment_announces() -> None:
    body = bytes(9000)
    assert followed(WebM(), webm(body, announced=9000)).shows_its_end
    assert not followed(WebM(), webm(body, announced=None)).shows_its_end
    assert followed(WebM(), webm(body, announced=9000).replace(SEGMENT, b"\xec\x83abc" + SEGMENT)).shows_its_end
    with pytest.raises(NotWhole, match="cut off"):
        followed(WebM(), webm(body, announced=9001))
    with pytest.raises(NotWhole, match="Segment is missing"):
        followed(WebM(), webm(body, announced=9000).replace(SEGMENT, b"else"))


@given(data=st.binary(max_size=600), kind=st.sampled_from(["webm", "ts"]), is_opened=st.booleans())
def test_no_bytes_make_a_verifier_fail_in_another_way(data: bytes, kind: str, is_opened: bool) -> None:
    """The bytes are a stranger's."""
    container_of(data)
    looks_like_page(data)
    try:
        followed(verifier_of(kind), (EBML if is_opened else b"") + data, 100)
    except NotWhole as error:
        assert str(error)
