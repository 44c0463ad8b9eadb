"""Snapshots: the engine's whole state in a file named by its root, so that a restart replays only what came after.

    file    header · state, as `Engine.save` gives it
    header  magic 8 · format u16 · ruleset b32 · domain separator b32 · sequence u64 · time u64 · engine root b32
            · length of the state u64 · crc32 of the state u32 · crc32 of all that u32

A snapshot is taken from durable records only, so none is ever ahead of the journal. It is written aside, synced and
renamed. One that does not read back is left where it is, and the one before it is taken.
"""

import logging
from pathlib import Path
from struct import Struct as Layout
from typing import Final
from zlib import crc32

from msgspec import Struct

from penstock.venue.disk.files import write_durably
from penstock.venue.engine_port import Engine
from penstock.venue.journal import JournalCorrupt

log = logging.getLogger(__name__)

FORMAT: Final = 1
FOLDER_NAME: Final = "snapshots"
KEPT: Final = 3
"""How many good snapshots stay; older ones go when a new one is written."""
_MAGIC: Final = b"PENSNAP\0"
_HEADER: Final = Layout(">8sH32s32sQQ32sQI")
_LENGTH: Final = _HEADER.size + 4


class SnapshotWrong(Exception):
    """A snapshot that cannot be used; the message says which and why. It has been left as it is."""


class Snapshot(Struct, frozen=True):
    """A state on disk: after which sequence, at what venue time (µs), under what engine root."""

    path: Path
    sequence: int
    time: int
    engine_root: bytes


class Snapshots:
    """The snapshots of one home folder and one venue."""

    def __init__(self, home: Path, ruleset: bytes, separator: bytes) -> None:
        self.folder = home / FOLDER_NAME
        self._ruleset, self._separator = ruleset, separator

    def listed(self) -> list[Path]:
        """Every snapshot file, newest first; good or not."""
        return sorted(self.folder.glob("*.snapshot"), reverse=True)

    def write(self, engine: Engine, sequence: int, time: int) -> Snapshot:
        """Save the engine, which stands at `sequence`. Raises OSError; then no snapshot of that name is there."""
        saved, root = engine.save(), engine.engine_root()
        fields = _HEADER.pack(
            _MAGIC, FORMAT, self._ruleset, self._separator, sequence, time, root, len(saved), crc32(saved)
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{sequence:016}-{root.hex()}.snapshot"
        write_durably(path, fields + crc32(fields).to_bytes(4, "big") + saved)
        self._thin(path)
        return Snapshot(path, sequence, time, root)

    def read(self, path: Path) -> tuple[Snapshot, bytes]:
        """A snapshot's header and state, both checksums checked. Raises SnapshotWrong."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise SnapshotWrong(f"{path}: reading failed: {error}") from error
        if len(content) < _LENGTH or content[:8] != _MAGIC:
            raise SnapshotWrong(f"{path}: not a Penstock snapshot")
        fields, saved = content[: _HEADER.size], content[_LENGTH:]
        _, form, ruleset, separator, sequence, time, root, length, checksum = _HEADER.unpack(fields)
        if crc32(fields) != int.from_bytes(content[_HEADER.size : _LENGTH], "big"):
            raise SnapshotWrong(f"{path}: the header's checksum is wrong")
        if form != FORMAT:
            raise SnapshotWrong(f"{path}: snapshot format {form}, this release reads {FORMAT}")
        if (ruleset, separator) != (self._ruleset, self._separator):
            raise SnapshotWrong(f"{path}: the snapshot of another venue, or of other rules")
        if path.name != f"{sequence:016}-{root.hex()}.snapshot":
            raise SnapshotWrong(f"{path}: its name is not what it holds: sequence {sequence}, root {root.hex()}")
        if len(saved) != length or crc32(saved) != checksum:
            raise SnapshotWrong(f"{path}: {len(saved)} bytes of state where {length} belong, or a wrong checksum")
        return Snapshot(path, sequence, time, root), saved

    def load(self, engine: Engine, path: Path) -> Snapshot:
        """Put the engine where the snapshot is. Raises SnapshotWrong, and the engine is as it was.

        Raises JournalCorrupt when all checksums are right and the state has another root than it is named by.
        """
        snapshot, saved = self.read(path)
        try:
            engine.load(saved)
        except ValueError as error:
            raise SnapshotWrong(f"{path}: {error}") from error
        if engine.engine_root() != snapshot.engine_root:
            raise JournalCorrupt(path, _LENGTH, f"its state has root {engine.engine_root().hex()}")
        return snapshot

    def restore(self, engine: Engine, last_sequence: int, before: int | None = None) -> Snapshot | None:
        """Put the engine at the newest good snapshot at or below `before`, or at none: then it is as it was.

        Raises JournalCorrupt when a good one is ahead of `last_sequence`, the journal's: then commands that were
        durable are gone. One that is not good is passed over with a warning.
        """
        for path in self.listed():
            try:
                snapshot, _ = self.read(path)
                if snapshot.sequence > last_sequence:
                    raise JournalCorrupt(
                        path, 0, f"a snapshot of sequence {snapshot.sequence}, but the journal ends at {last_sequence}"
                    )
                if before is not None and snapshot.sequence > before:
                    continue
                return self.load(engine, path)
            except SnapshotWrong as wrong:
                log.warning("snapshot passed over, and left as it is: %s", wrong)
        return None

    def _thin(self, newest: Path) -> None:
        """Remove all but the newest few. What does not read back is never removed."""
        good = 0
        for path in self.listed():
            try:
                self.read(path)
            except SnapshotWrong as wrong:
                log.warning("snapshot kept although it is of no use: %s", wrong)
                continue
            good += 1
            if good > KEPT and path != newest:
                path.unlink()
