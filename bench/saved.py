"""Stages `save`, `load` and `replay`: a whole state to bytes and back, and a journal without its signatures."""

from collections.abc import Callable
from time import perf_counter
from types import ModuleType
from typing import Final

from bench.frames import batches, blank_envelope, split
from bench.machine import one_core
from bench.report import Report, require
from bench.stream import Stream
from bench.world import World
from penstock.venue.frames import frame

SAVES_A_SECOND: Final = 10
LOADS_A_SECOND: Final = 1
REPLAYED_A_SECOND: Final = 400_000
BATCH: Final = 4_096
_REPLAYED: Final = 250_000
"""Timed commands that are replayed: their frames stay in memory."""


def measure_saved(core: ModuleType, stream: Stream, runs: int, report: Report) -> None:
    """Save and load the state before the timed commands; then replay the first of those from a journal's records."""
    genesis = World(stream.parameters.accounts).genesis.encode()
    engine = core.Engine(genesis)
    for batch in batches(stream.setup, BATCH):
        engine.apply(batch)
    saved = engine.save()
    with one_core():
        saving = min(_seconds(engine.save) for _ in range(runs))
        loading = min(_seconds(core.Engine.load, genesis, saved) for _ in range(runs))
    report.row("save", 1 / saving, SAVES_A_SECOND, "target", "states/s")
    report.row("load", 1 / loading, LOADS_A_SECOND, "target", "states/s")
    resting = sum(stream.resting)
    report.check(
        "save: bytes", f"{len(saved):,} of {stream.parameters.accounts:,} accounts, {resting:,} resting orders"
    )
    report.check("save, load: ms", f"{1e3 * saving:.1f}, {1e3 * loading:.1f}")
    timed = batches(stream.timed, _REPLAYED)[0]
    records, count = _records(timed)
    seconds = []
    with one_core():
        for _ in range(runs):
            replayed = core.Engine.load(genesis, saved)
            seconds.append(_seconds(replayed.replay, records))
    for batch in batches(timed, BATCH):
        engine.apply(batch)
    require(replayed.save() == engine.save(), f"replaying {count} records did not lead where applying them did")
    report.row("replay", count / min(seconds), REPLAYED_A_SECOND, "target", "commands/s")
    report.check("replay: the state that applying leads to", f"{count:,} records, {len(records):,} bytes")


def _records(timed: bytes) -> tuple[bytes, int]:
    """The journal's records of command frames, signatures blank, and how many."""
    frames = [frame(sequence, time, *blank_envelope(bytes(32), message)) for sequence, time, message in split(timed)]
    return b"".join(frames), len(frames)


def _seconds(act: Callable[..., object], *arguments: bytes) -> float:
    """How long it took."""
    started = perf_counter()
    act(*arguments)
    return perf_counter() - started
