"""The acknowledgement watermark: a lower bound of what was acknowledged, so that no loss is taken for a torn write.

    file     slot of even group numbers b512 · slot of odd group numbers b512
    slot     magic 8 · group number u64 · last sequence u64 · group hash b32 · crc32 u32 · zeros

A slot is written after its group's sync has returned and before a reply goes out, and never synced: the file may fall
behind in a power loss, never run ahead. The two slots are written in turn, so that one is whole at every instant.
"""

import os
from pathlib import Path
from struct import Struct as Layout
from typing import Final
from zlib import crc32

from msgspec import Struct

from penstock.venue.disk.groups import Group
from penstock.venue.disk.refusals import JournalCorrupt
from penstock.venue.disk.sectors import SECTOR

NAME: Final = "acknowledged"
LENGTH: Final = 2 * SECTOR
_MAGIC: Final = b"PENSTACK"
_SLOT: Final = Layout(">8sQQ32s")


class Watermark(Struct, frozen=True):
    """Groups up to `number`, sequences up to `sequence`, were acknowledged; `group_hash` is that group's."""

    number: int
    sequence: int
    group_hash: bytes


NOTHING: Final = Watermark(0, 0, bytes(32))


def pack_slot(group: Group) -> bytes:
    """The slot's bytes."""
    fields = _SLOT.pack(_MAGIC, group.number, group.last_sequence, group.group_hash)
    return fields + crc32(fields).to_bytes(4, "big")


def write_slot(descriptor: int, group: Group) -> None:
    """Say that the group is about to be acknowledged. Raises OSError."""
    slot = pack_slot(group)
    if os.pwrite(descriptor, slot, group.number % 2 * SECTOR) != len(slot):
        raise OSError("the acknowledgement watermark was written in part")


def read_slots(path: Path, content: bytes | bytearray) -> Watermark:
    """The higher of the two slots; `NOTHING` if none was ever written.

    One damaged slot is made up for by the other. Raises JournalCorrupt when no slot is whole and one is damaged: no
    crash does that, and without a bound the loss of acknowledged groups could not be told from a torn write.
    """
    if len(content) != LENGTH:
        raise JournalCorrupt(
            path, len(content), f"the acknowledgement watermark has {len(content)} bytes, not {LENGTH}"
        )
    damaged, found = [], NOTHING
    for at in (0, SECTOR):
        slot = bytes(content[at : at + _SLOT.size + 4])
        if not any(slot):
            continue
        magic, number, sequence, group_hash = _SLOT.unpack(slot[:-4])
        if magic != _MAGIC or crc32(slot[:-4]) != int.from_bytes(slot[-4:], "big"):
            damaged.append(at)
        elif number > found.number:
            found = Watermark(number, sequence, group_hash)
    if damaged and not found.number:
        raise JournalCorrupt(path, damaged[0], "no slot of the acknowledgement watermark is whole")
    return found
