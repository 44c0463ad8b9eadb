"""A group: what one sync wrote. It begins on a fresh sector and names the group before it by hash.

    group    header · records
    header   epoch u32 · number u64 · first sequence u64 · last sequence u64 · time u64 · length of the records u32
             · hash of the group before b32 · sha256 of the records b32 · crc32 of all that u32
    record   length of the body u32 · body
    body     sequence u64 · time u64 · signer count u8 · signers b20 each · envelope

The hash of a group is keccak("penstock group" ‖ header). The records enter it by their SHA-256, which reads four times
as fast as Keccak: a million orders are half a gigabyte.
"""

from collections.abc import Iterator
from hashlib import sha256
from struct import Struct as Layout
from struct import error as LayoutError
from typing import Final
from zlib import crc32

from msgspec import Struct

from penstock.protocol.words import keccak
from penstock.venue.disk.sectors import SECTOR, sectors_for

_HEADER: Final = Layout(">IQQQQI32s32s")
HEADER: Final = _HEADER.size + 4
_BODY: Final = Layout(">QQB")
_FRAMED: Final = Layout(">IQQB")
_SIGNER: Final = 20
_SIGNATURE: Final = 85
_TAG: Final = b"penstock group"


class Group(Struct, frozen=True):
    """One group as it was made durable: its place in the chain, its sequences, the venue time (µs) of its last one.

    Each start of a writer opens a new `epoch`; `number` counts all groups of the journal from 1.
    """

    epoch: int
    number: int
    first_sequence: int
    last_sequence: int
    previous_hash: bytes
    group_hash: bytes
    time: int


class Chain(Struct, frozen=True):
    """Where the chain of groups stands: the last group's epoch, number, last sequence, time (venue µs) and hash."""

    epoch: int
    number: int
    sequence: int
    time: int
    group_hash: bytes


class JournalRecord(Struct, frozen=True):
    """One sequenced command as it was journalled. `signers` were verified before it was."""

    sequence: int
    time: int
    signers: tuple[bytes, ...]
    envelope: bytes


class GroupHeader(Struct, frozen=True):
    """What a group says of itself. `length` is in bytes of records."""

    epoch: int
    number: int
    first_sequence: int
    last_sequence: int
    time: int
    length: int
    previous_hash: bytes
    digest: bytes

    @property
    def sectors(self) -> int:
        """How many sectors the group takes."""
        return sectors_for(HEADER + self.length)


def chain_start(ruleset: bytes, separator: bytes, first_sequence: int) -> Chain:
    """The chain before the first group: its hash names the venue."""
    return Chain(0, 0, first_sequence - 1, 0, keccak(b"penstock journal" + ruleset + separator))


def pack_record(sequence: int, time: int, signers: tuple[bytes, ...], envelope: bytes) -> bytes:
    """The bytes of one record."""
    length = _BODY.size + _SIGNER * len(signers) + len(envelope)
    return b"".join((_FRAMED.pack(length, sequence, time, len(signers)), *signers, envelope))


def unpack_records(records: bytes) -> Iterator[JournalRecord]:
    """The records of a group. Raises ValueError for bytes that are not records one after another."""
    at, end = 0, len(records)
    while at < end:
        try:
            length, sequence, time, count = _FRAMED.unpack_from(records, at)
        except LayoutError as error:
            raise ValueError(f"a record breaks off {end - at} bytes before the end of its group") from error
        start, after = at + _FRAMED.size + count * _SIGNER, at + 4 + length
        if not start <= after <= end:
            raise ValueError(f"sequence {sequence}: a record of {length} bytes does not fit its group")
        signers = tuple(records[s : s + _SIGNER] for s in range(at + _FRAMED.size, start, _SIGNER))
        yield JournalRecord(sequence, time, signers, records[start:after])
        at = after


def space_for(envelope: int) -> int:
    """Bytes of a segment that an envelope of that many bytes takes at most: alone in its group, all signers named."""
    record = _FRAMED.size + _SIGNER * (envelope // _SIGNATURE) + envelope
    return SECTOR * sectors_for(HEADER + record)


def space_of(record: bytes) -> int:
    """Bytes of a segment that the packed record takes at most: alone in its group."""
    return SECTOR * sectors_for(HEADER + len(record))


def pack_group(epoch: int, chain: Chain, last_sequence: int, time: int, records: bytes) -> tuple[Group, bytes]:
    """The next group of the chain, and its bytes before they are sealed into sectors."""
    number, first = chain.number + 1, chain.sequence + 1
    fields = _HEADER.pack(
        epoch, number, first, last_sequence, time, len(records), chain.group_hash, sha256(records).digest()
    )
    header = fields + crc32(fields).to_bytes(4, "big")
    group = Group(epoch, number, first, last_sequence, chain.group_hash, hash_of(header), time)
    return group, header + records


def unpack_header(header: bytes) -> GroupHeader:
    """Raises ValueError for a wrong checksum."""
    if crc32(header[:-4]) != int.from_bytes(header[-4:], "big"):
        raise ValueError("a group's header has a wrong checksum")
    return GroupHeader(*_HEADER.unpack(header[:-4]))


def hash_of(header: bytes) -> bytes:
    """The hash of the group with this header."""
    return keccak(_TAG + header)


def after(group: Group) -> Chain:
    """Where the chain stands behind the group."""
    return Chain(group.epoch, group.number, group.last_sequence, group.time, group.group_hash)
