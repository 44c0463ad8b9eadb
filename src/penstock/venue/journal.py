"""The journal: every command in its order, on disk before anybody hears of it.

A folder of preallocated segments (`disk/segments`) that hold groups of records (`disk/groups`) in sectors
(`disk/sectors`), and a watermark of what was acknowledged (`disk/watermark`). docs/reference/journal.md has every byte.
"""

import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from time import sleep
from typing import Final

from penstock.venue.disk.files import sync_folder
from penstock.venue.disk.groups import (
    HEADER,
    Chain,
    Group,
    JournalRecord,
    after,
    chain_start,
    pack_group,
    pack_record,
    space_of,
    unpack_records,
)
from penstock.venue.disk.refusals import (
    JournalBroken,
    JournalBusy,
    JournalCorrupt,
    JournalError,
    JournalForeign,
    JournalFull,
)
from penstock.venue.disk.scan import Scanned, Unfinished, Whole, read_group, scan
from penstock.venue.disk.sectors import BEGINS, PAYLOAD, SECTOR, place, seal, sectors_for
from penstock.venue.disk.segments import (
    LEAST_SECTORS,
    SEGMENT_BYTES,
    Identity,
    Preparation,
    Segment,
    pack_segment_header,
    refuse_file,
    segment_numbers,
    segment_path,
)
from penstock.venue.disk.watermark import LENGTH, NAME, NOTHING, Watermark, read_slots, write_slot

__all__ = [
    "Group", "HomeLock", "Journal", "JournalBroken", "JournalBusy", "JournalCorrupt", "JournalError",
    "JournalForeign", "JournalFull", "JournalRecord",
]  # fmt: skip

log = logging.getLogger(__name__)

FOLDER_NAME: Final = "journal"
LOCK_NAME: Final = "lock"
_LOOKS: Final = 5
"""How often a reader looks again before it calls damage what may be a group that is being written."""
_BETWEEN_LOOKS: Final = 0.02


class HomeLock:
    """One node per home folder, held as long as the process lives."""

    def __init__(self, home: Path) -> None:
        """Raises JournalBusy when another process, or another node of this one, holds `home`."""
        home.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(home / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._descriptor)
            raise JournalBusy(f"{home}: another node is running on this home folder") from error

    def release(self) -> None:
        """Let the next node in."""
        os.close(self._descriptor)


class Journal:
    """An append-only store of sequenced commands. `append` from one thread, `sync` and `prepare` from one other."""

    def __init__(
        self,
        home: Path,
        ruleset: bytes,
        separator: bytes,
        *,
        read_only: bool = False,
        segment_bytes: int = SEGMENT_BYTES,
        first_sequence: int = 1,
    ) -> None:
        """Open or create the journal in `home`, drop a group that was never whole, refuse everything else wrong.

        `segment_bytes`, a multiple of 512, is the length of segments made from now on; `first_sequence` counts only
        for a journal that is created. With `read_only` nothing is created, repaired or locked: it ends before a group
        that is not whole yet, so it may be opened beside the node that writes it. Raises JournalBusy when somebody
        else has it open for writing, JournalForeign for another venue's or another format, JournalCorrupt, with the
        file and the offset, for damage, and JournalFull when there is no space to create it.
        """
        if segment_bytes % SECTOR or segment_bytes < LEAST_SECTORS * SECTOR:
            raise ValueError(f"segment_bytes {segment_bytes}: a multiple of {SECTOR}, at least {LEAST_SECTORS} of them")
        self.path = home / FOLDER_NAME
        self._identity = Identity(ruleset, separator)
        self._segment_bytes = segment_bytes
        self._read_only = read_only
        self._lock = Lock()
        self._waiting: list[tuple[int, int, bytes]] = []
        self._unreported: list[Group] = []
        self._owed = 0
        self._broken: str | None = None
        self._preparation: Preparation | None = None
        self._segments: dict[int, Segment] = {}
        self._folder = self._open_folder()
        try:
            if not read_only:
                self._take()
                self._create(first_sequence)
            scanned = self._look_patiently() if read_only else self._look()
            if scanned.torn > scanned.sector and not read_only:
                self._drop(scanned)
        except OSError as error:
            self._let_go()
            raise JournalError(f"{self.path}: opening failed: {error}") from error
        except JournalError:
            self._let_go()
            raise
        self._starts = scanned.starts
        self._current, self._sector = scanned.segment, scanned.sector
        self._chain = scanned.chain
        self._epoch = scanned.chain.epoch + 1
        self.last_sequence, self.last_time = scanned.chain.sequence, scanned.chain.time

    # Writing.

    def append(self, sequence: int, time: int, signers: tuple[bytes, ...], envelope: bytes) -> None:
        """Put a command behind the others, in memory; durable only once a later `sync` has returned.

        Raises ValueError for a sequence or time that does not follow, and for what no segment could hold.
        """
        if self._read_only:
            raise JournalError(f"{self.path}: opened for reading only")
        if sequence != self.last_sequence + 1 or time < self.last_time:
            raise ValueError(f"sequence {sequence} at {time} does not follow {self.last_sequence} at {self.last_time}")
        record = pack_record(sequence, time, signers, envelope)
        space = space_of(record)
        if space > self._segment_bytes - SECTOR:
            raise ValueError(f"sequence {sequence}: a record of {len(record)} bytes does not fit a segment")
        with self._lock:
            self._waiting.append((sequence, time, record))
            self._owed += space
        self.last_sequence, self.last_time = sequence, time

    def sync(self) -> list[Group]:
        """Write all that was appended and wait until the disk has it. Blocks; call it from a worker thread.

        Returns the groups made durable: none if nothing waited, several if one did not fit a segment. Raises
        JournalBroken when a write or a sync fails: it is never tried again, and nothing that is not in a returned
        group may be acknowledged. Raises JournalFull when a segment had to be made first and could not, which
        `room` keeps from happening: the commands still wait, and a later sync may succeed.
        """
        if self._broken:
            raise JournalBroken(self._broken)
        with self._lock:
            waiting, self._waiting = self._waiting, []
        try:
            while waiting:
                count = self._first_that_fit(waiting)
                self._unreported.append(self._write(waiting[:count]))
                waiting = waiting[count:]
        except JournalBroken as error:
            self._broken = str(error)
            raise
        except JournalFull:
            with self._lock:
                self._waiting = waiting + self._waiting
            raise
        made, self._unreported = self._unreported, []
        return made

    def copy(self, group: Group, records: bytes) -> None:
        """Write a group as another node made it durable, and wait until the disk has it. Blocks, as `sync` does.

        Raises ValueError, and nothing is written, when it is not the next of this chain or not what it says it is;
        JournalFull and JournalBroken as `sync` does.
        """
        if self._broken:
            raise JournalBroken(self._broken)
        made, content = pack_group(group.epoch, self._chain, group.last_sequence, group.time, records)
        if made != group:
            raise ValueError(f"its records give hash {made.group_hash.hex()}, it says {group.group_hash.hex()}")
        try:
            self._put(group, content)
        except JournalBroken as error:
            self._broken = str(error)
            raise
        self.last_sequence, self.last_time = group.last_sequence, group.time

    def room(self) -> int:
        """Bytes that surely fit in the segments there are, behind all that waits, as `space_for` counts them.

        However the commands are gathered into groups, they then need no further segment: so a full disk is met
        before they are executed and not after.
        """
        with self._lock:
            here = self._sectors_left()
            following = self._segments.get(self._current + 1)
            beyond = following.sectors - 1 if following else 0
            # One group may leave the whole rest of this segment unused, so the two do not add up.
            return max(0, max(here, beyond) * SECTOR - self._owed)

    def wants_segment(self) -> bool:
        """Whether the next segment should be made now: there is none, and more than half of this one is used."""
        with self._lock:
            current = self._segments[self._current]
            return self._current + 1 not in self._segments and 2 * self._sectors_left() < current.sectors

    def prepare(self) -> None:
        """Do a slice of making the next segment. Blocks; call it from the thread that syncs, while `wants_segment`.

        Raises JournalFull when there is no space (call it again later) and JournalBroken for any other failure.
        """
        if self._broken:
            raise JournalBroken(self._broken)
        number = self._current + 1
        if self._preparation is None:
            if self.free_space() < self._segment_bytes:
                raise JournalFull(f"{self.path}: no space for another segment of {self._segment_bytes} bytes")
            self._preparation = Preparation(self.path, number, self._segment_bytes)
        try:
            finished = self._preparation.go_on()
        except JournalFull:
            self._preparation = None
            raise
        except JournalBroken as error:
            self._broken = str(error)
            raise
        if finished:
            self._preparation = None
            with self._lock:
                self._segments[number] = Segment(self.path, number)

    def free_space(self) -> int:
        """Bytes the device still has for this process."""
        status = os.fstatvfs(self._folder)
        return status.f_bavail * status.f_frsize

    def close(self) -> None:
        """Close the files. What was appended and not synced is gone: it was never acknowledged."""
        self._let_go()

    # Reading.

    @property
    def chain(self) -> Chain:
        """Where the durable groups end: the last one's epoch, number, sequence, time and hash."""
        return self._chain

    @property
    def segments(self) -> list[Path]:
        """The files that hold groups, or held the beginning of one."""
        return [segment_path(self.path, number) for number in sorted(self._starts)]

    @property
    def watermark(self) -> Path:
        """The file that says what was acknowledged."""
        return self.path / NAME

    def acknowledged(self) -> Watermark:
        """What the watermark says now. Raises JournalCorrupt when it does not read back."""
        path = self.path / NAME
        try:
            return read_slots(path, path.read_bytes())
        except OSError as error:
            raise JournalCorrupt(path, 0, f"reading failed: {error}") from error

    def read(self, from_sequence: int = 1) -> Iterator[JournalRecord]:
        """Every durable record from `from_sequence` on. Raises JournalCorrupt should one not read back."""
        for path, offset, whole in self._stored(from_sequence):
            expected, record = whole.group.first_sequence, None
            try:
                for record in unpack_records(whole.records):
                    if record.sequence != expected:
                        raise ValueError(f"sequence {record.sequence} where {expected} belongs")
                    expected += 1
                    if record.sequence >= from_sequence:
                        yield record
            except ValueError as error:
                raise JournalCorrupt(path, offset, str(error)) from error
            if expected != whole.group.last_sequence + 1 or record is None or record.time != whole.group.time:
                raise JournalCorrupt(path, offset, f"group {whole.group.number} does not hold what its header says")

    def read_raw(self, from_sequence: int = 1) -> Iterator[tuple[Group, bytes]]:
        """Every durable group that ends at `from_sequence` or later, with the bytes of its records.

        For fast recovery: nothing is built for a record. `disk/groups` has their form. Raises JournalCorrupt.
        """
        for _, _, whole in self._stored(from_sequence):
            yield whole.group, whole.records

    def groups(self, from_sequence: int = 1) -> Iterator[Group]:
        """Every durable group that ends at `from_sequence` or later, as `sync` returned it. Raises JournalCorrupt."""
        for _, _, whole in self._stored(from_sequence):
            yield whole.group

    def _stored(self, from_sequence: int) -> Iterator[tuple[Path, int, Whole]]:
        """The groups with the file and offset of each, up to what is durable at the first call."""
        with self._lock:
            current, sector_after, starts, final = self._current, self._sector, dict(self._starts), self._chain
        for number in sorted(starts):
            chain, until = starts[number], starts.get(number + 1, final)
            if until.sequence < from_sequence or until.number == chain.number:
                continue
            part, sector = self._segments[number].load(sector_after if number == current else None), 1
            while chain.number < until.number:
                found = read_group(part, sector, chain) if sector < part.sectors else Unfinished(None)
                if isinstance(found, Unfinished):
                    raise part.damage(sector, f"group {chain.number + 1} was whole and is not any more")
                if found.group.last_sequence >= from_sequence:
                    yield part.path, sector * SECTOR, found
                chain, sector = after(found.group), found.end

    # Opening.

    def _open_folder(self) -> int:
        if self.path.is_file():
            raise refuse_file(self.path)
        if not self._read_only:
            self.path.mkdir(parents=True, exist_ok=True)
        try:
            return os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise JournalForeign(f"{self.path}: no journal here") from error

    def _take(self) -> None:
        """Be the only writer, before a byte is looked at: half a group of a live writer looks like a torn one."""
        try:
            fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise JournalBusy(f"{self.path}: a running node is writing it") from error

    def _create(self, first_sequence: int) -> None:
        """Make the watermark and segment 1, in that order, unless there is a segment; finish what a crash left half."""
        if segment_numbers(self.path):
            return
        watermark = self.path / NAME
        if watermark.exists() and watermark.stat().st_size == LENGTH and self.acknowledged() != NOTHING:
            raise JournalCorrupt(segment_path(self.path, 1), 0, "all segments are missing")
        with watermark.open("wb") as file:
            file.write(bytes(LENGTH))
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self.path.parent)
        chain = chain_start(self._identity.ruleset, self._identity.separator, first_sequence)
        header = pack_segment_header(self._identity, 1, self._segment_bytes // SECTOR, chain)
        preparation = Preparation(self.path, 1, self._segment_bytes, header)
        while not preparation.go_on():
            continue

    def _look(self) -> Scanned:
        """Open every segment there is and follow the groups."""
        # The watermark first: beside a live writer it may only be older than what the segments are then seen to hold.
        acknowledged = self._open_watermark()
        numbers = segment_numbers(self.path)
        if not numbers:
            raise JournalForeign(f"{self.path}: no journal here")
        for number in numbers:
            if number not in self._segments:
                self._segments[number] = Segment(self.path, number, read_only=self._read_only)
        return scan((self._segments[number].load() for number in numbers), self._identity, acknowledged)

    def _look_patiently(self) -> Scanned:
        """As `_look`, and again before it says damage: a sector seen while it is being written may look like it."""
        for _ in range(_LOOKS - 1):
            try:
                return self._look()
            except JournalCorrupt as error:
                log.info("journal: looking again: %s", error)
                sleep(_BETWEEN_LOOKS)
        return self._look()

    def _open_watermark(self) -> Watermark:
        path = self.path / NAME
        if not path.exists():
            if self._read_only and not segment_numbers(self.path):
                raise JournalForeign(f"{self.path}: no journal here")
            raise JournalCorrupt(path, 0, "the acknowledgement watermark is missing")
        if not self._read_only:
            self._watermark = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        return self.acknowledged()

    def _drop(self, scanned: Scanned) -> None:
        """Put a group that was never whole back to zeros, its bytes kept aside first."""
        segment = self._segments[scanned.segment]
        start, end = scanned.sector * SECTOR, scanned.torn * SECTOR
        aside = self._name_aside(scanned.segment, start)
        with aside.open("xb") as copy:
            copy.write(segment.load(scanned.torn).content[start:])
            copy.flush()
            os.fsync(copy.fileno())
        sync_folder(self.path)
        segment.write(scanned.sector, bytes(end - start))
        log.warning(
            "journal: dropped %d bytes of an unfinished group at byte %d of %s, after sequence %d; kept in %s",
            end - start, start, segment.path.name, scanned.chain.sequence, aside.name,
        )  # fmt: skip

    def _name_aside(self, segment: int, offset: int) -> Path:
        stem, copies = f"{segment:08}.torn-{offset}", 1
        aside = self.path / stem
        while aside.exists():
            copies += 1
            aside = self.path / f"{stem}-{copies}"
        return aside

    def _let_go(self) -> None:
        if self._preparation is not None:
            self._preparation.abandon()
        for segment in self._segments.values():
            segment.close()
        self._segments = {}
        if hasattr(self, "_watermark"):
            os.close(self._watermark)
            del self._watermark
        os.close(self._folder)

    # Writing, step by step.

    def _sectors_left(self) -> int:
        """Sectors for groups in the current segment; its header, if still unwritten, takes one."""
        return self._segments[self._current].sectors - max(self._sector, 1)

    def _first_that_fit(self, waiting: list[tuple[int, int, bytes]]) -> int:
        """How many of them make one group: as many as fit a segment of their own."""
        following = self._segments.get(self._current + 1)
        sectors = max(self._sectors_left(), (following.sectors if following else self._segment_bytes // SECTOR) - 1)
        left = sectors * PAYLOAD - HEADER
        for count, (_, _, record) in enumerate(waiting):
            left -= len(record)
            if left < 0:
                if count == 0:
                    raise JournalFull(f"{self.path}: a record of {len(record)} bytes does not fit the next segment")
                return count
        return len(waiting)

    def _write(self, records: list[tuple[int, int, bytes]]) -> Group:
        """Put one group on disk. Raises JournalBroken; JournalFull before anything was written."""
        joined = b"".join([record for _, _, record in records])
        sequence, time, _ = records[-1]
        group, content = pack_group(self._epoch, self._chain, sequence, time, joined)
        self._put(group, content)
        with self._lock:
            self._owed -= sum(space_of(record) for _, _, record in records)
        return group

    def _put(self, group: Group, content: bytes) -> None:
        count = sectors_for(len(content))
        if count > self._sectors_left():
            self._move_on()
        segment, sector, head = self._segments[self._current], self._sector, b""
        if sector == 0:
            head = pack_segment_header(self._identity, segment.number, segment.sectors, self._chain)
        first = max(sector, 1)
        segment.write(sector, head + seal(BEGINS, content, first, place(segment.number, group.number)))
        try:
            write_slot(self._watermark, group)
        except OSError as error:
            raise JournalBroken(f"{self.path / NAME}: writing failed: {error}") from error
        with self._lock:
            self._starts.setdefault(segment.number, self._chain)
            self._chain, self._sector = after(group), first + count

    def _move_on(self) -> None:
        """Go on in the next segment, made here and now if nobody did before. Raises JournalFull, JournalBroken."""
        while self._current + 1 not in self._segments:
            self.prepare()
        with self._lock:
            self._current, self._sector = self._current + 1, 0
