"""Stage `recovery`: a node started on a home with a long journal, from the first byte read to the open gateway."""

import asyncio
import os
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from types import ModuleType

from bench.cache import FOLDER
from bench.frames import blank_envelope, split
from bench.report import Report, require
from bench.stream import Stream
from bench.world import World
from penstock.protocol.wire import encode_command
from penstock.venue.journal import Journal
from penstock.venue.node import Node, NodeConfig
from penstock.venue.recovery import take_snapshot

_GROUP = 2_048
_TARGET = 100_000
"""Commands a second: a million in ten seconds."""


def measure_recovery(core: ModuleType, stream: Stream, commands: int, report: Report) -> None:
    """Without a snapshot, and with one that leaves the last tenth to replay; both end where `apply` ends."""
    world = World(stream.parameters.accounts)
    frames = b"".join(encode_command(*command) for command in islice(split(stream.setup + stream.timed), commands))
    straight = core.Engine(world.genesis.encode())
    straight.apply(frames)
    with TemporaryDirectory(prefix="recovery-", dir=FOLDER) as folder:
        home = Path(folder)
        _write(home, world, frames, 0, 9 * commands // 10)
        taken = take_snapshot(home, world.genesis, "native")
        assert taken is not None
        aside = taken.path.rename(home / "aside")
        _write(home, world, frames, 9 * commands // 10, commands)
        whole, root = asyncio.run(_start(home, world))
        require(root == straight.engine_root(), "recovery led elsewhere")
        aside.rename(taken.path)
        shorter, root = asyncio.run(_start(home, world))
        require(root == straight.engine_root(), "recovery from a snapshot led elsewhere")
    report.row(
        "recovery", commands / whole, _TARGET, f"{commands:,} commands in {commands / _TARGET:.0f} s", "commands/s"
    )
    report.check("recovery", f"{whole:.2f} s for {commands:,} commands; {shorter:.2f} s from a snapshot of nine tenths")


def _write(home: Path, world: World, frames: bytes, first: int, last: int) -> None:
    """Journal these commands, in groups, with signatures that nobody looks at again."""
    journal = Journal(home, world.genesis.ruleset(), world.separator)
    try:
        for sequence, time, message in islice(split(frames), first, last):
            journal.append(sequence, time, *blank_envelope(world.separator, message))
            if sequence % _GROUP == 0:
                journal.sync()
        journal.sync()
    finally:
        journal.close()


async def _start(home: Path, world: World) -> tuple[float, bytes]:
    """Seconds until the gateway listens, and the engine's root then."""
    os.sync()
    started = perf_counter()
    node = Node(NodeConfig(home, world.genesis, keepers=None, disk_reserve=0, snapshot_every=0))
    await node.start()
    seconds = perf_counter() - started
    try:
        return seconds, node.engine.engine_root()
    finally:
        await node.stop()
