"""Numbered files of zeros, on disk before they are needed: a sync meets neither metadata nor a full device.

    header   magic 8 · format u16 · ruleset b32 · domain separator b32 · segment u64 · first sequence u64
             · hash of the last group before it b32 · sectors u32 · crc32 u32

The header is the segment's sector 0. Segment 1 gets it when it is made; a later one is prepared before its first
sequence is known, and gets it in the write of its first group.
"""

import errno
import os
from pathlib import Path
from struct import Struct as Layout
from typing import Final
from zlib import crc32

from msgspec import Struct

from penstock.venue.disk.files import sync_folder
from penstock.venue.disk.groups import Chain
from penstock.venue.disk.refusals import JournalBroken, JournalCorrupt, JournalForeign, JournalFull
from penstock.venue.disk.sectors import HEADS, SECTOR, Content, place, seal

MAGIC: Final = b"PENSTOCK"
FORMAT: Final = 2
SEGMENT_BYTES: Final = 64 << 20
LEAST_SECTORS: Final = 4
_HEADER: Final = Layout(">8sH32s32sQQ32sI")
_SUFFIX: Final = ".segment"
_SLICE: Final = 4 << 20
"""Bytes of zeros written before the next sync gets its turn."""
_FOR_NOW: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""No space for a segment, or no descriptor for its file: what is wrong with neither disk nor journal, and may pass."""


class Identity(Struct, frozen=True):
    """Whose journal it is."""

    ruleset: bytes
    separator: bytes


class Part(Struct, frozen=True):
    """The bytes of one segment, or of its beginning, and the file they are from."""

    path: Path
    number: int
    content: Content

    @property
    def sectors(self) -> int:
        """How many there are."""
        return len(self.content) // SECTOR

    def damage(self, sector: int, why: str) -> JournalCorrupt:
        """What to raise for a fault in that sector."""
        return JournalCorrupt(self.path, sector * SECTOR, why)


def segment_path(folder: Path, number: int) -> Path:
    """Where the segment is."""
    return folder / f"{number:08}{_SUFFIX}"


def segment_numbers(folder: Path) -> list[int]:
    """The segments that are there. Raises JournalCorrupt when they are not 1, 2, 3 …"""
    numbers = sorted(int(path.stem) for path in folder.glob("*" + _SUFFIX) if path.stem.isdecimal())
    for expected, number in enumerate(numbers, 1):
        if number != expected:
            raise JournalCorrupt(segment_path(folder, expected), 0, f"segment {expected} is missing")
    return numbers


def pack_segment_header(identity: Identity, number: int, sectors: int, chain: Chain) -> bytes:
    """Sector 0 of the segment that goes on behind `chain`."""
    fields = _HEADER.pack(
        MAGIC, FORMAT, identity.ruleset, identity.separator, number, chain.sequence + 1, chain.group_hash, sectors
    )
    return seal(HEADS, fields + crc32(fields).to_bytes(4, "big"), 0, place(number, 0))


def first_sequence(header: Content) -> int:
    """The first sequence a segment may hold, by its header."""
    return int(_HEADER.unpack_from(header)[5])


def check_segment_header(part: Part, identity: Identity, chain: Chain) -> None:
    """Raises JournalForeign for another format, venue or ruleset, JournalCorrupt for what does not follow `chain`."""
    fields, checksum = bytes(part.content[: _HEADER.size]), part.content[_HEADER.size : _HEADER.size + 4]
    _, form, ruleset, separator, number, first, closing, sectors = _HEADER.unpack(fields)
    if form != FORMAT:
        raise foreign_format(part.path, form)
    if crc32(fields) != int.from_bytes(checksum, "big"):
        raise part.damage(0, "the segment header's checksum is wrong")
    if separator != identity.separator:
        raise JournalForeign(
            f"{part.path}: the journal of another venue: domain {separator.hex()}, not {identity.separator.hex()}"
        )
    if ruleset != identity.ruleset:
        raise JournalForeign(
            f"{part.path}: written under other rules: ruleset {ruleset.hex()}, not {identity.ruleset.hex()}"
        )
    if number != part.number:
        raise part.damage(0, f"this is segment {number}")
    if first != chain.sequence + 1:
        raise part.damage(0, f"the segment begins at sequence {first}, the one before it ends at {chain.sequence}")
    if number > 1 and closing != chain.group_hash:
        raise part.damage(0, "the segment follows another one than the segment before it")
    if sectors != part.sectors:
        raise part.damage(0, f"the segment has {part.sectors} sectors, its header says {sectors}")


def foreign_format(path: Path, form: int) -> JournalForeign:
    """What to raise for a journal of another format."""
    age = "an older" if form < FORMAT else "a newer"
    return JournalForeign(f"{path}: journal format {form}, of {age} release; this release reads format {FORMAT}")


def refuse_file(path: Path) -> JournalForeign:
    """What to raise when a file stands where the folder of segments belongs."""
    with path.open("rb") as file:
        head = file.read(10)
    if not head.startswith(MAGIC):
        return JournalForeign(f"{path}: not a Penstock journal")
    return JournalForeign(
        f"{path}: a length-framed journal, format {int.from_bytes(head[8:], 'big')}; this release reads format "
        f"{FORMAT}, a folder of segments. Penstock 0.1.0 before the sector journal reads it"
    )


class Segment:
    """A segment open for writing, or for reading only."""

    def __init__(self, folder: Path, number: int, *, read_only: bool = False) -> None:
        self.path = segment_path(folder, number)
        self.number = number
        flags = os.O_RDONLY if read_only else os.O_RDWR
        self._descriptor = os.open(self.path, flags | os.O_CLOEXEC)
        length = os.fstat(self._descriptor).st_size
        if length % SECTOR or length < LEAST_SECTORS * SECTOR:
            os.close(self._descriptor)
            raise JournalCorrupt(self.path, length, f"{length} bytes are not a segment")
        self.sectors = length // SECTOR

    def load(self, sectors: int | None = None) -> Part:
        """Its bytes, or those of its first `sectors`. Raises JournalCorrupt when the disk does not give them."""
        length = (self.sectors if sectors is None else sectors) * SECTOR
        try:
            content = os.pread(self._descriptor, length, 0)
        except OSError as error:
            raise JournalCorrupt(self.path, 0, f"reading failed: {error}") from error
        if len(content) != length:
            raise JournalCorrupt(self.path, len(content), f"only {len(content)} of {length} bytes could be read")
        return Part(self.path, self.number, content)

    def write(self, sector: int, content: bytes) -> None:
        """All of it, and wait until the disk has it. Raises JournalBroken: what the disk holds is then unknown."""
        try:
            written = os.pwrite(self._descriptor, content, sector * SECTOR)
        except OSError as error:
            raise JournalBroken(f"{self.path}: writing failed: {error}") from error
        if written != len(content):
            raise JournalBroken(f"{self.path}: only {written} of {len(content)} bytes were written")
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            raise JournalBroken(f"{self.path}: syncing failed: {error}") from error

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


class Preparation:
    """A segment being made beside the journal, a slice at a time; it gets its name once all of it is on disk."""

    def __init__(self, folder: Path, number: int, length: int, header: bytes = b"") -> None:
        self._folder = folder
        self._final = segment_path(folder, number)
        self._path = self._final.with_suffix(".preparing")
        self._header = header
        self._length = length
        self._made = 0
        self._descriptor = -1

    def go_on(self) -> bool:
        """Write one slice; True once the segment is there. Raises JournalFull, having given its space back.

        Raises JournalBroken for any failure of the disk that is not for now.
        """
        try:
            if self._descriptor < 0:
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
                self._descriptor = os.open(self._path, flags, 0o644)
            piece = self._header if not self._made else b""
            piece += bytes(min(_SLICE, self._length - self._made) - len(piece))
            self._made += os.pwrite(self._descriptor, piece, self._made)
            os.fdatasync(self._descriptor)
            if self._made < self._length:
                return False
            os.fsync(self._descriptor)
            self.abandon()
            self._path.rename(self._final)
            sync_folder(self._folder)
        except OSError as error:
            self._give_up(error)
        return True

    def abandon(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _give_up(self, error: OSError) -> None:
        self.abandon()
        self._made = 0
        if error.errno not in _FOR_NOW:
            raise JournalBroken(f"{self._path}: preparing a segment failed: {error}") from error
        # Half a segment of zeros helps nobody on a full disk.
        self._path.unlink(missing_ok=True)
        raise JournalFull(f"{self._path}: no room for a segment of {self._length} bytes: {error}") from error
