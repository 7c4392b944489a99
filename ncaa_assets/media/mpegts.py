"""Which sound tracks of an MPEG-TS are audio descriptions: the one thing that MediaInfo does not tell of it. The map of
a programme says so (ISO/IEC 13818-1, §2.4.4.8 and §2.6.18; ETSI EN 300 468, §6.4.10; ATSC A/52, A.4.3).
"""

from collections.abc import Iterator

_PACKET = 188
_LANGUAGE, _DVB_EXTENSION, _AC3 = 0x0A, 0x7F, 0x81
_SUPPLEMENTARY_AUDIO = 0x06


def descriptions(start: bytes) -> set[int]:
    """The packet identifiers of the sound tracks that describe the picture to people who do not see it."""
    maps = {pid for section in _sections(start, {0}) for pid in _maps(section)}
    return {
        pid
        for section in _sections(start, maps)
        for pid, descriptors in _streams(section)
        if any(_describes(tag, body) for tag, body in _descriptors(descriptors))
    }


def _describes(tag: int, body: bytes) -> bool:
    if tag == _LANGUAGE:
        return 3 in body[3::4]  # visual_impaired_commentary
    if tag == _DVB_EXTENSION:
        return len(body) > 1 and body[0] == _SUPPLEMENTARY_AUDIO and body[1] >> 2 & 0x1F == 1
    return tag == _AC3 and len(body) > 2 and body[2] >> 5 == 2  # bsmod: visually impaired


def _sections(data: bytes, pids: set[int]) -> Iterator[bytes]:
    """The tables in the packets with these identifiers; each that begins in the data and is whole in it."""
    growing: dict[int, bytes] = {}
    for at in range(0, len(data) - _PACKET + 1, _PACKET):
        packet = data[at : at + _PACKET]
        pid = int.from_bytes(packet[1:3], "big") & 0x1FFF
        if pid not in pids or not packet[3] & 0x10:
            continue
        body = packet[5 + packet[4] :] if packet[3] & 0x20 else packet[4:]
        if packet[1] & 0x40:
            growing[pid] = body[1 + body[0] :] if body else b""
        elif pid in growing:
            growing[pid] += body
        section = growing.get(pid, b"")
        length = 3 + (int.from_bytes(section[1:3], "big") & 0x0FFF)
        if 3 < length <= len(section):
            yield section[: length - 4]  # without its checksum
            del growing[pid]


def _maps(section: bytes) -> Iterator[int]:
    for at in range(8, len(section) - 3, 4):
        if section[at : at + 2] != b"\0\0":  # 0 is the network's own table
            yield int.from_bytes(section[at + 2 : at + 4], "big") & 0x1FFF


def _streams(section: bytes) -> Iterator[tuple[int, bytes]]:
    at = 12 + (int.from_bytes(section[10:12], "big") & 0x0FFF)
    while at + 5 <= len(section):
        length = int.from_bytes(section[at + 3 : at + 5], "big") & 0x0FFF
        yield int.from_bytes(section[at + 1 : at + 3], "big") & 0x1FFF, section[at + 5 : at + 5 + length]
        at += 5 + length


def _descriptors(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 2 <= len(data):
        yield data[at], data[at + 2 : at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
