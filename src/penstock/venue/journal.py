"""The journal: every command in its order, on disk before anybody hears of it.

A file is a header and then records, one after another, all integers big-endian:

    header  magic 8 · version u16 · ruleset b32 · domain separator b32 · crc32 u32
    record  length u32 · crc32 of those 4 bytes u32 · crc32 of the body u32 · body
    body    sequence u64 · time u64 · signer count u8 · signers b20 each · envelope

The length has a checksum of its own, so that a flipped bit in it is never taken for the end of the file.
"""

import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from struct import Struct as Layout
from threading import Lock
from typing import Final
from zlib import crc32

from msgspec import Struct

from penstock.protocol.quantities import MAX_ENVELOPE

log = logging.getLogger(__name__)

MAGIC: Final = b"PENSTOCK"
VERSION: Final = 1
FILE_NAME: Final = "journal"
_HEADER: Final = Layout(">8sH32s32s")
_FRAME: Final = Layout(">III")
_BODY: Final = Layout(">QQB")
_HEADER_LENGTH: Final = _HEADER.size + 4
_SIGNER: Final = 20
_MAX_BODY: Final = _BODY.size + 255 * _SIGNER + MAX_ENVELOPE
_MAX_GAP: Final = 1 << 20
"""How many sequences ahead a record behind damage may be and still be recognised."""
_LONGEST_TAIL: Final = 64 << 20
"""No group is longer; what is longer and holds no record was not torn."""


class JournalError(Exception):
    """The journal cannot be used; the message says why and where. Nothing has been deleted."""


class JournalCorrupt(JournalError):
    """Bytes that were once durable no longer read back. `offset` is where in the file."""

    def __init__(self, path: Path, offset: int, why: str) -> None:
        super().__init__(f"{path}: damaged at byte {offset}: {why}. Nothing was changed; restore the file from a copy")
        self.offset = offset


class JournalForeign(JournalError):
    """The file belongs to another venue or another format."""


class JournalBusy(JournalError):
    """Another node holds the home folder."""


class JournalFull(JournalError):
    """No space left on the device. The group that met it is not in the journal."""


class JournalBroken(JournalError):
    """A write or a sync failed in a way that leaves the disk's content unknown. The node must stop."""


class JournalRecord(Struct, frozen=True):
    """One sequenced command as it was journalled. `signers` were verified before it was."""

    sequence: int
    time: int
    signers: tuple[bytes, ...]
    envelope: bytes


class HomeLock:
    """One node per home folder, held as long as the process lives."""

    def __init__(self, home: Path) -> None:
        """Raises JournalBusy when another process, or another node of this one, holds `home`."""
        home.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._descriptor)
            raise JournalBusy(f"{home}: another node is running on this home folder") from error

    def release(self) -> None:
        """Let the next node in."""
        os.close(self._descriptor)


class Journal:
    """An append-only file of sequenced commands. `append` from one thread, `sync` from one other."""

    def __init__(self, home: Path, ruleset: bytes, separator: bytes, *, read_only: bool = False) -> None:
        """Open or create the journal in `home`, drop a torn tail, refuse everything else that is wrong.

        With `read_only` nothing is created, repaired or locked: it ends before a record that is not whole yet, so
        it may be opened beside the node that writes it. Raises JournalBusy when somebody else has it open for
        writing, JournalForeign for another venue's file and JournalCorrupt, with the offset, for damage.
        """
        self.path = home / FILE_NAME
        head = _HEADER.pack(MAGIC, VERSION, ruleset, separator)
        self._header = head + crc32(head).to_bytes(4, "big")
        self._waiting: list[bytes] = []
        self._lock = Lock()
        self._broken: str | None = None
        self._read_only = read_only
        self._descriptor = self._open()
        try:
            if not read_only:
                self._take()
            self._check_header()
            self.last_sequence, self.last_time, self._end = self._find_end()
        except JournalError:
            os.close(self._descriptor)
            raise
        os.lseek(self._descriptor, self._end, os.SEEK_SET)

    def append(self, sequence: int, time: int, signers: tuple[bytes, ...], envelope: bytes) -> None:
        """Put a command behind the others, in memory; durable only once a later `sync` has returned."""
        if self._read_only:
            raise JournalError(f"{self.path}: opened for reading only")
        body = b"".join((_BODY.pack(sequence, time, len(signers)), *signers, envelope))
        length = len(body).to_bytes(4, "big")
        with self._lock:
            self._waiting.append(b"".join((length, _checksum(length), _checksum(body), body)))
        self.last_sequence, self.last_time = sequence, time

    def sync(self) -> None:
        """Write all that was appended and wait until the disk has it. Blocks; call it from a worker thread.

        Raises JournalFull when the device is full (the file is then as it was before this group), and
        JournalBroken for any other failure: it is never tried again, and nothing of the group may be acknowledged.
        """
        with self._lock:
            group, self._waiting = b"".join(self._waiting), []
        if self._broken:
            raise JournalBroken(self._broken)
        if not group:
            return
        try:
            written = os.write(self._descriptor, group)
        except OSError as error:
            self._give_up(f"writing failed: {error}", error)
        if written != len(group):
            self._give_up(f"only {written} of {len(group)} bytes were written", None)
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            # What the disk holds is unknown after a failed sync, and a second sync would report success.
            self._broken = f"{self.path}: syncing failed: {error}"
            raise JournalBroken(self._broken) from error
        self._end += len(group)

    def read(self, from_sequence: int = 1) -> Iterator[JournalRecord]:
        """Every durable record from `from_sequence` on. Raises JournalCorrupt should one not read back."""
        offset = _HEADER_LENGTH
        with self.path.open("rb") as file:
            file.seek(offset)
            while offset < self._end:
                frame = file.read(_FRAME.size)
                body = file.read(int.from_bytes(frame[:4], "big"))
                record = self._parse(frame, body, offset)
                offset += len(frame) + len(body)
                if record.sequence >= from_sequence:
                    yield record

    def free_space(self) -> int:
        """Bytes the device still has for this process."""
        status = os.fstatvfs(self._descriptor)
        return status.f_bavail * status.f_frsize

    def close(self) -> None:
        """Close the file. What was appended and not synced is gone: it was never acknowledged."""
        os.close(self._descriptor)

    def _open(self) -> int:
        flags = os.O_RDONLY if self._read_only else os.O_RDWR | os.O_CREAT
        try:
            return os.open(self.path, flags | os.O_CLOEXEC, 0o644)
        except FileNotFoundError as error:
            raise JournalForeign(f"{self.path}: no journal here") from error

    def _take(self) -> None:
        """Be the only writer, before a byte is looked at: half a group of a live writer looks like a torn tail."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise JournalBusy(f"{self.path}: a running node is writing it") from error

    def _give_up(self, why: str, error: OSError | None) -> None:
        """Take the partial group back, so that a reply of 'not executed' is true, and refuse everything after."""
        self._broken = f"{self.path}: {why}"
        full = error is not None and error.errno in (errno.ENOSPC, errno.EDQUOT)
        if full:
            try:
                os.ftruncate(self._descriptor, self._end)
                os.fsync(self._descriptor)
            except OSError as second:
                raise JournalBroken(f"{self._broken}; cutting it back failed: {second}") from second
            raise JournalFull(self._broken) from error
        raise JournalBroken(self._broken) from error

    def _check_header(self) -> None:
        found = os.pread(self._descriptor, _HEADER_LENGTH, 0)
        if len(found) < _HEADER_LENGTH and self._header.startswith(found) and not self._read_only:
            # Never finished creating: nothing can have been acknowledged from it.
            os.pwrite(self._descriptor, self._header, 0)
            os.fsync(self._descriptor)
            _sync_folder(self.path.parent)
            return
        if len(found) < _HEADER_LENGTH or not found.startswith(MAGIC):
            raise JournalForeign(f"{self.path}: not a Penstock journal")
        if found[:-4] != self._header[:-4] and crc32(found[:-4]).to_bytes(4, "big") != found[-4:]:
            raise JournalCorrupt(self.path, 0, "the header's checksum is wrong")
        _, version, ruleset, separator = _HEADER.unpack(found[:-4])
        _, _, own_ruleset, own_separator = _HEADER.unpack(self._header[:-4])
        if version != VERSION:
            raise JournalForeign(f"{self.path}: journal format {version}, this release reads {VERSION}")
        if separator != own_separator:
            raise JournalForeign(
                f"{self.path}: the journal of another venue: domain {separator.hex()}, not {own_separator.hex()}"
            )
        if ruleset != own_ruleset:
            raise JournalForeign(
                f"{self.path}: written under other rules: ruleset {ruleset.hex()}, not {own_ruleset.hex()}"
            )
        if found != self._header:
            raise JournalCorrupt(self.path, _HEADER.size, "the header's checksum is wrong")

    def _find_end(self) -> tuple[int, int, int]:
        """Last sequence, its time, and where the file's good bytes end. Cuts off a torn tail, kept aside first."""
        # One length for the whole look: beside a reader the file may grow, and a half group must not become damage.
        size = os.fstat(self._descriptor).st_size
        sequence, time, offset = 0, 0, _HEADER_LENGTH
        with self.path.open("rb") as file:
            file.seek(offset)
            while offset < size:
                frame = file.read(min(_FRAME.size, size - offset))
                after = offset + _FRAME.size + int.from_bytes(frame[:4], "big")
                if len(frame) == _FRAME.size and _length_is_sound(frame) and after <= size:
                    record = self._parse(frame, file.read(after - offset - _FRAME.size), offset)
                    if record.sequence != sequence + 1 or record.time < time:
                        raise JournalCorrupt(self.path, offset, f"sequence {record.sequence} after {sequence}")
                    sequence, time, offset = record.sequence, record.time, after
                    continue
                file.seek(offset)
                self._drop_tail(offset, file.read(min(_LONGEST_TAIL + 1, size - offset)), sequence)
                break
        return sequence, time, offset

    def _drop_tail(self, offset: int, tail: bytes, last_sequence: int) -> None:
        """Cut an unfinished last record off. Raises JournalCorrupt when `tail` is anything else."""
        found = _find_record(tail, last_sequence)
        if found:
            raise JournalCorrupt(self.path, offset, f"a damaged record before the good one at byte {offset + found}")
        frame = tail[: _FRAME.size]
        if any(tail) and len(frame) == _FRAME.size and not _length_is_sound(frame):
            raise JournalCorrupt(self.path, offset, "a record's length is damaged")
        if len(tail) > _LONGEST_TAIL:
            raise JournalCorrupt(self.path, offset, f"over {_LONGEST_TAIL} bytes without a record")
        if self._read_only:
            return
        aside = self._name_aside(offset)
        with aside.open("xb") as copy:
            copy.write(tail)
            copy.flush()
            os.fsync(copy.fileno())
        _sync_folder(self.path.parent)
        os.ftruncate(self._descriptor, offset)
        os.fsync(self._descriptor)
        log.warning(
            "journal: dropped %d bytes of an unfinished record at byte %d, after sequence %d; kept in %s",
            len(tail), offset, last_sequence, aside.name,
        )  # fmt: skip

    def _name_aside(self, offset: int) -> Path:
        aside, copies = self.path.with_name(f"{FILE_NAME}.torn-{offset}"), 1
        while aside.exists():
            copies += 1
            aside = self.path.with_name(f"{FILE_NAME}.torn-{offset}-{copies}")
        return aside

    def _parse(self, frame: bytes, body: bytes, offset: int) -> JournalRecord:
        if not _length_is_sound(frame):
            raise JournalCorrupt(self.path, offset, "a record's length is damaged")
        if frame[8:] != _checksum(body):
            raise JournalCorrupt(self.path, offset, "a record's checksum is wrong")
        sequence, time, count = _BODY.unpack_from(body)
        start = _BODY.size + count * _SIGNER
        signers = tuple(body[at : at + _SIGNER] for at in range(_BODY.size, start, _SIGNER))
        return JournalRecord(sequence, time, signers, body[start:])


def _checksum(part: bytes) -> bytes:
    return crc32(part).to_bytes(4, "big")


def _length_is_sound(frame: bytes) -> bool:
    length = int.from_bytes(frame[:4], "big")
    return _BODY.size <= length <= _MAX_BODY and frame[4:8] == _checksum(frame[:4])


def _find_record(tail: bytes, last_sequence: int) -> int:
    """Where in `tail`, behind its first byte, a whole good record begins; 0 when there is none."""
    for at in range(1, len(tail) - _FRAME.size - _BODY.size + 1):
        length, _, checksum = _FRAME.unpack_from(tail, at)
        if not _BODY.size <= length <= _MAX_BODY or not _length_is_sound(tail[at : at + 8]):
            continue
        body = tail[at + _FRAME.size : at + _FRAME.size + length]
        sequence = int.from_bytes(body[:8], "big")
        if len(body) == length and crc32(body) == checksum and last_sequence < sequence <= last_sequence + _MAX_GAP:
            return at
    return 0


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
