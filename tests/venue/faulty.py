"""A node in a process of its own, on a faulty machine: `python -m venue.faulty HOME` with one or more of

--lossy SEED       what was written and not synced is held back, but for sectors that dice let through: so a kill is a
                   power loss, with torn and reordered writes
--die POINT N      dies by SIGKILL at the N-th time it comes to the point (`POINTS`)
--fail POINT N     that call fails with EIO from the N-th time on
--slow SECONDS     every sync of the journal takes so much longer

Only the disk's calls are replaced; the node is the real one, and so are its files. It prints its URL.
"""

import argparse
import asyncio
import errno
import logging
import os
import random
import signal
import time
from pathlib import Path

from penstock.venue.clock import DevClock
from penstock.venue.disk.sectors import SECTOR
from penstock.venue.node import Node

from .harness import START, config, fund

POINTS = {
    "before a group is written": ("pwrite", ".segment", "before"),
    "after a group is written": ("pwrite", ".segment", "after"),
    "before a group is synced": ("fdatasync", ".segment", "before"),
    "after a group is synced": ("fdatasync", ".segment", "after"),
    "before the watermark is written": ("pwrite", "acknowledged", "before"),
    "after the watermark is written": ("pwrite", "acknowledged", "after"),
    "while a segment is prepared": ("fdatasync", ".preparing", "after"),
    "before a prepared segment is synced": ("fsync", ".preparing", "before"),
    "after a prepared segment is synced": ("fsync", ".preparing", "after"),
}
"""Where: the call, how the name of the file ends, before or after it."""


class FaultyDisk:
    """Stands before `os.pwrite`, `os.fdatasync` and `os.fsync` for the files of one home."""

    def __init__(self, home, lossy, die, fail, slow):
        self.home, self.slow = str(home), slow
        self.dice = None if lossy is None else random.Random(lossy)
        self.die, self.fail = die, fail
        self.met = dict.fromkeys(POINTS, 0)
        self.held = {}
        self.real = {name: getattr(os, name) for name in ("pwrite", "fdatasync", "fsync")}

    def install(self):
        for name in self.real:
            setattr(os, name, getattr(self, name))

    def pwrite(self, descriptor, content, offset):
        name = self.name_of(descriptor)
        if name is None:
            return self.real["pwrite"](descriptor, content, offset)
        self.come_to("pwrite", name, "before")
        if self.dice is None:
            written = self.real["pwrite"](descriptor, content, offset)
        else:
            written = self.hold(descriptor, bytes(content), offset)
        self.come_to("pwrite", name, "after")
        return written

    def fdatasync(self, descriptor):
        self.sync("fdatasync", descriptor)

    def fsync(self, descriptor):
        self.sync("fsync", descriptor)

    def sync(self, call, descriptor):
        name = self.name_of(descriptor)
        if name is not None:
            self.come_to(call, name, "before")
            time.sleep(self.slow)
            for content, offset in self.held.pop(descriptor, ()):
                self.real["pwrite"](descriptor, content, offset)
        self.real[call](descriptor)
        if name is not None:
            self.come_to(call, name, "after")

    def hold(self, descriptor, content, offset):
        """Keep a write back until the next sync of its file, but for a few of its sectors."""
        self.held.setdefault(descriptor, []).append((content, offset))
        if self.dice.random() < 0.5:
            for at in range(0, len(content), SECTOR):
                if self.dice.random() < 0.3:
                    self.real["pwrite"](descriptor, content[at : at + SECTOR], offset + at)
        return len(content)

    def come_to(self, call, name, when):
        for point, (wanted, ending, moment) in POINTS.items():
            if (call, when) != (wanted, moment) or not name.endswith(ending):
                continue
            self.met[point] += 1
            if self.die and self.die[0] == point and self.met[point] == self.die[1]:
                os.kill(os.getpid(), signal.SIGKILL)
            if self.fail and self.fail[0] == point and self.met[point] >= self.fail[1]:
                raise OSError(errno.EIO, os.strerror(errno.EIO))

    def name_of(self, descriptor):
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        return path if path.startswith(self.home) and "/journal/" in path else None


def at_a_point(text):
    """`POINT:N`."""
    point, _, number = text.rpartition(":")
    if point not in POINTS:
        raise argparse.ArgumentTypeError(f"{point!r}: one of {', '.join(POINTS)}")
    return point, int(number)


async def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--lossy", type=int)
    parser.add_argument("--die", type=at_a_point)
    parser.add_argument("--fail", type=at_a_point)
    parser.add_argument("--slow", type=float, default=0.0)
    parser.add_argument("--accounts", type=int, default=3)
    parser.add_argument("--segment", type=int, default=1 << 20)
    parser.add_argument("--snapshots", type=int, default=0)
    options = parser.parse_args()
    options.home.mkdir(parents=True, exist_ok=True)
    FaultyDisk(options.home.resolve(), options.lossy, options.die, options.fail, options.slow).install()
    changes = {"segment_bytes": options.segment, "snapshot_every": options.snapshots}
    node = Node(config(options.home, **changes), clock=DevClock(START))
    await node.start()
    if node.sequencer.sequence == 0:
        await fund(node, options.accounts)
    print(node.url, flush=True)
    raise SystemExit(await node.run())


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main())
