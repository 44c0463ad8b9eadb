"""A journal as the bytes it is on disk, with every write that made it, for tests that tear and damage it."""

import random
from contextlib import contextmanager

from msgspec import Struct

from penstock.venue.disk.groups import Chain
from penstock.venue.disk.scan import scan
from penstock.venue.disk.sectors import SECTOR
from penstock.venue.disk.segments import Identity, Part, Segment, segment_path
from penstock.venue.disk.watermark import LENGTH, NOTHING, Watermark, pack_slot
from penstock.venue.journal import Group, Journal

RULESET = b"\x01" * 32
SEPARATOR = b"\x02" * 32
IDENTITY = Identity(RULESET, SEPARATOR)
RECORDS = [(1, 100, (), b"one"), (2, 100, (b"\xaa" * 20,), b"the second"), (3, 250, (b"\xaa" * 20, b"\xbb" * 20), b"3")]


class Write(Struct, frozen=True):
    """One write of a group: where, its bytes, the chain and the watermark before it, and the group."""

    segment: int
    sector: int
    content: bytes
    chain: Chain
    acknowledged: Watermark
    group: Group


class Stored(Struct, frozen=True):
    """A whole journal: the bytes of its segments, how they were written, and the commands in them."""

    segments: dict[int, bytes]
    writes: list[Write]
    commands: list[tuple]

    @property
    def acknowledged(self):
        """The watermark at the end."""
        return watermark(self.writes[-1].group)

    def parts(self, folder, changed=None):
        """What `scan` takes, with some segments' bytes changed."""
        segments = self.segments | (changed or {})
        return [Part(segment_path(folder, number), number, segments[number]) for number in sorted(segments)]

    def before(self, index):
        """The bytes of all segments as they were before that write."""
        segments = {number: bytearray(content) for number, content in self.segments.items()}
        for write in self.writes[index:]:
            start = write.sector * SECTOR
            segments[write.segment][start : start + len(write.content)] = bytes(len(write.content))
        return segments


def open_journal(home, **options):
    """The journal of the test venue; segments of 16 KiB unless told otherwise."""
    return Journal(home, RULESET, SEPARATOR, **{"segment_bytes": 1 << 14} | options)


def store(home, records=RECORDS):
    """Write the records, each in a group of its own; the groups."""
    journal = open_journal(home)
    made = []
    for record in records:
        journal.append(*record)
        made += journal.sync()
    journal.close()
    return made


def read_back(home, **options):
    """All records of the home's journal, opened for writing."""
    journal = open_journal(home, **options)
    try:
        return [(r.sequence, r.time, r.signers, r.envelope) for r in journal.read()]
    finally:
        journal.close()


def contents(home):
    """Every file of the journal with its bytes."""
    return {path.name: path.read_bytes() for path in (home / "journal").iterdir()}


def watermark(group):
    """What says that the group was acknowledged."""
    return Watermark(group.number, group.last_sequence, group.group_hash)


def make(home, commands, *, seed=1, most=8, envelope=60, segment_bytes=1 << 14):
    """A journal of so many commands, in groups of one to `most`."""
    dice = random.Random(seed)
    writes, made, seen = [], [], []
    journal = open_journal(home, segment_bytes=segment_bytes)
    acknowledged = NOTHING
    with recorded(writes):
        while len(seen) < commands:
            for _ in range(min(dice.randint(1, most), commands - len(seen))):
                sequence = len(seen) + 1
                signers = tuple(dice.randbytes(20) for _ in range(dice.choice((0, 1, 1, 2))))
                seen.append((sequence, 1_000 + sequence // 3, signers, dice.randbytes(dice.randint(1, envelope))))
                journal.append(*seen[-1])
            chain, first = journal.chain, len(writes)
            groups = journal.sync()
            assert len(groups) == 1 and len(writes) == first + 1
            made.append((chain, acknowledged, groups[0]))
            acknowledged = watermark(groups[0])
    journal.close()
    segments = {
        number: segment_path(journal.path, number).read_bytes() for number in range(1, len(journal.segments) + 1)
    }
    return Stored(segments, [Write(*w, *m) for w, m in zip(writes, made, strict=True)], seen)


@contextmanager
def recorded(writes):
    """Keep every write of a segment: its number, sector and bytes."""
    write = Segment.write

    def keep(segment, sector, content):
        writes.append((segment.number, sector, content))
        write(segment, sector, content)

    Segment.write = keep
    try:
        yield
    finally:
        Segment.write = write


def put(home, segments, group):
    """Lay a journal's files: the segments, and a watermark at `group` (None: nothing acknowledged)."""
    folder = home / "journal"
    folder.mkdir(parents=True)
    for number, content in segments.items():
        segment_path(folder, number).write_bytes(content)
    slots = bytearray(LENGTH)
    if group is not None:
        slot, at = pack_slot(group), group.number % 2 * SECTOR
        slots[at : at + len(slot)] = slot
    (folder / "acknowledged").write_bytes(slots)


def scanned(stored, folder, changed=None, acknowledged=None):
    """The scan of the journal with some segments' bytes changed."""
    return scan(stored.parts(folder, changed), IDENTITY, stored.acknowledged if acknowledged is None else acknowledged)
