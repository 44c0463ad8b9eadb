"""512-byte sectors, each with a trailer that says whether it was wholly written, and where it belongs.

    sector   payload b504 · mark b4 · crc32(payload, from crc32(segment u64 · group u64)) xor sector u32

The mark is fixed and has no zero byte, so a trailer of zeros, or one that breaks off into zeros, was never finished.
"""

from enum import Enum
from struct import Struct as Layout
from typing import Final
from zlib import crc32

SECTOR: Final = 512
PAYLOAD: Final = 504
HEADS: Final = b"PSEG"
"""The mark of a segment's header."""
BEGINS: Final = b"PGRP"
"""The mark of a group's first sector."""
CONTINUES: Final = b"PCON"
"""The mark of a group's other sectors."""
_TRAILER: Final = Layout(">4sI")
_WHOLE: Final = Layout(">504s4sI")
_PLACE: Final = Layout(">QQ")

Content = bytes | bytearray


class Written(Enum):
    """What a trailer says about its sector."""

    WHOLE = 1
    UNFINISHED = 2
    WRONG = 3


def place(segment: int, group: int) -> int:
    """What the checksums of a group in a segment begin from; the segment's header counts as group 0."""
    return crc32(_PLACE.pack(segment, group))


def sectors_for(length: int) -> int:
    """How many sectors `length` bytes of payload take."""
    return -(-length // PAYLOAD)


def seal(mark: bytes, content: bytes, sector: int, begun: int) -> bytes:
    """`content` as whole sectors from `sector` of its segment on, the first one marked `mark`."""
    padded = memoryview(content + bytes(-len(content) % PAYLOAD))
    parts: list[bytes | memoryview] = []
    for at in range(0, len(padded), PAYLOAD):
        payload = padded[at : at + PAYLOAD]
        parts += (payload, _TRAILER.pack(mark, crc32(payload, begun) ^ sector))
        mark, sector = CONTINUES, sector + 1
    return b"".join(parts)


def look(content: Content, sector: int, mark: bytes, begun: int) -> Written:
    """Whether the sector of a segment's `content` was wholly written as one of this mark and place."""
    at = sector * SECTOR
    found = content[at + PAYLOAD : at + SECTOR]
    right = _TRAILER.pack(mark, crc32(content[at : at + PAYLOAD], begun) ^ sector)
    if found == right:
        return Written.WHOLE
    return Written.UNFINISHED if right.startswith(found.rstrip(b"\0")) else Written.WRONG


def unseal(content: Content, sector: int, count: int, begun: int) -> list[bytes] | None:
    """The payloads of `count` sectors that continue a group; None unless all of them are whole."""
    payloads: list[bytes] = []
    for payload, mark, checksum in _WHOLE.iter_unpack(content[sector * SECTOR : (sector + count) * SECTOR]):
        if mark != CONTINUES or crc32(payload, begun) ^ sector != checksum:
            return None
        payloads.append(payload)
        sector += 1
    return payloads


def is_blank(content: Content, start: int = 0) -> bool:
    """Whether there are only zeros from byte `start` on."""
    return content[start:] == bytes(len(content) - start)
