"""Every bit of a journal flipped, one at a time. From `tests`: `python -m venue.journal_flips [--every N]`."""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path
from time import perf_counter

from penstock.venue.disk.scan import find_end, read_group, scan_segment
from penstock.venue.disk.sectors import SECTOR
from penstock.venue.disk.segments import Part, segment_path
from penstock.venue.disk.watermark import LENGTH, NOTHING, pack_slot, read_slots
from penstock.venue.journal import JournalError

from .stored import IDENTITY, make, scanned

SEGMENT = 1 << 16
COMMANDS = 480


def flip_all(stored, folder, every=1):
    """Flip each bit (or every so-manieth) of a journal of one segment; how often it stopped, was equal, or was silent.

    The scan enters at the group the bit is in, with the chain that leads there: what is before it is as it was.
    """
    (number,) = stored.segments
    content = bytearray(stored.segments[number])
    part = Part(segment_path(folder, number), number, content)
    clean = scanned(stored, folder)
    entries = {sector: write for write in stored.writes for sector in range(write.sector, clean.sector)}
    whole = {write.sector: read_group(part, write.sector, write.chain) for write in stored.writes}
    came = Counter()
    for bit in range(0, 8 * len(content), every):
        entry = entries.get(bit // 8 // SECTOR)
        content[bit // 8] ^= 1 << bit % 8
        came[_outcome(stored, folder, part, entry, clean, whole)] += 1
        content[bit // 8] ^= 1 << bit % 8
    return came


def _outcome(stored, folder, part, entry, clean, whole):
    last = stored.writes[-1]
    try:
        if entry is not None:
            end = find_end(part, entry.sector, entry.chain, stored.acknowledged)
        elif part.content[:SECTOR] != stored.segments[part.number][:SECTOR]:
            end = scan_segment(part, IDENTITY, stored.writes[0].chain, stored.acknowledged)
        else:
            end = find_end(part, last.sector, last.chain, stored.acknowledged)
        if end.chain != clean.chain:
            # Only the whole scan knows that something acknowledged is missing.
            scanned(stored, folder, {part.number: part.content})
            return "silent"
    except JournalError:
        return "stopped"
    if entry is not None and read_group(part, entry.sector, entry.chain) != whole[entry.sector]:
        return "silent"
    return "equal"


def flip_watermark(stored, path):
    """Flip each bit of the watermark: it says what it said, or less by one group, or stops."""
    before, last = (write.group for write in stored.writes[-2:])
    slots = bytearray(LENGTH)
    for group in (before, last):
        slot, at = pack_slot(group), group.number % 2 * SECTOR
        slots[at : at + len(slot)] = slot
    allowed = {before.number: "lower by a group", last.number: "equal"}
    came = Counter()
    for bit in range(8 * len(slots)):
        slots[bit // 8] ^= 1 << bit % 8
        try:
            found = read_slots(path, slots)
            came[allowed.get(found.number, "silent")] += 1
            assert found != NOTHING
        except JournalError:
            came["stopped"] += 1
        slots[bit // 8] ^= 1 << bit % 8
    return came


def store_for_flips(folder):
    """A journal of one segment of 64 KiB, almost full."""
    stored = make(folder, COMMANDS, most=16, segment_bytes=SEGMENT)
    assert len(stored.segments) == 1 and len(stored.segments[1]) == SEGMENT
    return stored


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=int, default=1, help="flip every so-manieth bit only")
    every = parser.parse_args().every
    with tempfile.TemporaryDirectory() as folder:
        stored = store_for_flips(Path(folder))
        started = perf_counter()
        came = flip_all(stored, Path(folder), every)
        seconds = perf_counter() - started
        print(f"{sum(came.values())} bits of {len(stored.writes)} groups flipped in {seconds:.0f} s: {dict(came)}")
        print(f"watermark: {dict(flip_watermark(stored, Path(folder)))}")
        return 1 if came["silent"] else 0


if __name__ == "__main__":
    sys.exit(main())
