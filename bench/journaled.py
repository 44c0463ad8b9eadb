"""Stage `journaled`: the node's own sequencer from envelope to acknowledgement, with its journal on disk and with none.

No sockets, no market data, no batches. Both runs do everything else alike, in turns, on a fresh engine each.
"""

import asyncio
import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from types import ModuleType
from typing import Final, cast

from bench.cache import FOLDER
from bench.frames import split
from bench.report import Report, require
from bench.sealed import Sealed
from bench.signed import set_up, verified_batches
from bench.world import START, World
from penstock.engine.native import NativeEngine, NativeMessage
from penstock.protocol.wire import encode_command
from penstock.venue.journal import Group, Journal
from penstock.venue.outcomes import Answer, Recorded
from penstock.venue.sequencer import Sequencer

WINDOW: Final = 2_048
"""Envelopes on their way in the closed loop."""
_SETUP_GROUP: Final = 1_024


class CountedClock:
    """Venue time that moves a microsecond a command, as the stream was made with."""

    def __init__(self, commands: int) -> None:
        self._commands = commands

    def now(self) -> int:
        """One microsecond on."""
        self._commands += 1
        return START + self._commands

    def not_before(self, moment: int) -> None:
        """Nothing was journalled before."""


class NoJournal:
    """Everything a journal does but keeping anything."""

    def __init__(self, first: int) -> None:
        """Behind `first` commands."""
        self._synced = self._last = first

    def append(self, sequence: int, time: int, signers: tuple[bytes, ...], envelope: bytes) -> None:
        """Forget it."""
        self._last = sequence

    def sync(self) -> list[Group]:
        """At once."""
        first, last = self._synced + 1, self._last
        self._synced = last
        return [Group(1, 1, first, last, bytes(32), bytes(32), 0)] if last >= first else []

    def room(self) -> int:
        """Enough."""
        return 1 << 60

    def wants_segment(self) -> bool:
        """Never."""
        return False

    def free_space(self) -> int:
        """Enough."""
        return 1 << 60


def measure_journaled(sealed: Sealed, rounds: int, report: Report) -> None:
    """The rate with the journal beside the rate without, and how long an acknowledgement takes at half of it."""
    kept, dropped = [], []
    for _ in range(rounds):
        dropped.append(_flood_once(sealed, journaled=False))
        kept.append(_flood_once(sealed, journaled=True))
    report.row("journaled", max(kept), max(dropped), "the same without journal", "messages/s")
    half = max(kept) / 2
    # What the bench itself holds is no part of a node, and would be walked by each full collection.
    gc.collect()
    gc.freeze()
    waits = asyncio.run(_paced(sealed, half))
    gc.unfreeze()
    p50, p99 = (waits[int(len(waits) * share)] * 1e3 for share in (0.50, 0.99))
    report.check(
        "journaled: acknowledged", f"p50 {p50:.2f} ms, p99 {p99:.2f} ms at {half:,.0f}/s, from when it was due"
    )


def measure_batches(core: ModuleType, sealed: Sealed, unjournaled: float, rounds: int, report: Report) -> None:
    """The same work in large batches at the full signed rate, a writer thread syncing behind the verifying cores."""
    best = max(_in_batches(core, sealed) for _ in range(rounds))
    report.row("journaled, large batches", best, unjournaled, "signed, verify and apply", "messages/s")


def _in_batches(core: ModuleType, sealed: Sealed) -> float:
    """Messages a second: verify, append, apply, while the batch before is written; the last sync included."""
    engine, verifier = set_up(core, sealed)
    first = sum(1 for _ in split(sealed.setup))
    with _journal(sealed, True, first) as journal, ThreadPoolExecutor(1) as writer:
        started = perf_counter()
        syncing = writer.submit(journal.sync)
        for stamps, envelopes, messages in verified_batches(verifier, sealed):
            for (sequence, time), envelope, message in zip(stamps, envelopes, messages, strict=True):
                journal.append(sequence, time, (message[1:21],), envelope)
            syncing.result()
            syncing = writer.submit(journal.sync)
            engine.apply(b"".join(encode_command(*s, m) for s, m in zip(stamps, messages, strict=True)))
        syncing.result()
        seconds = perf_counter() - started
        _check_kept(sealed, journal)
    return len(sealed.envelopes) / seconds


def _flood_once(sealed: Sealed, *, journaled: bool) -> float:
    return asyncio.run(_flooded(sealed, journaled))


async def _flooded(sealed: Sealed, journaled: bool) -> float:
    """Messages a second of a closed loop: an answer lets the next envelope in."""
    engine, first = _engine(sealed)
    with _journal(sealed, journaled, first) as journal:
        sequencer = _sequencer(sealed, engine, first, journal)
        waiting = iter(sealed.envelopes)
        finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        left = len(sealed.envelopes)

        def answered(answer: Answer) -> None:
            nonlocal left
            require(isinstance(answer, Recorded), f"an envelope was answered {answer}")
            left -= 1
            following = next(waiting, None)
            if following is not None:
                sequencer.submit(following, answered)
            elif not left:
                finished.set_result(None)

        sequencer.start()
        watching = asyncio.create_task(_watch(sequencer, finished))
        started = perf_counter()
        for _ in range(min(WINDOW, left)):
            sequencer.submit(next(waiting), answered)
        await finished
        seconds = perf_counter() - started
        watching.cancel()
        await sequencer.stop()
        if isinstance(journal, Journal):
            _check_kept(sealed, journal)
    _check_state(sealed, engine)
    return len(sealed.envelopes) / seconds


async def _watch(sequencer: Sequencer, finished: "asyncio.Future[None]") -> None:
    """End the run when the sequencer has stopped: it answers nobody any more."""
    while sequencer.failure is None:
        await asyncio.sleep(0.1)
    finished.set_exception(sequencer.failure)


async def _paced(sealed: Sealed, rate: float) -> list[float]:
    """Seconds from when each envelope was due, at `rate` a second, to its answer; ascending. An open loop."""
    engine, first = _engine(sealed)
    waits: list[float] = []
    with _journal(sealed, True, first) as journal:
        sequencer = _sequencer(sealed, engine, first, journal)
        sequencer.start()
        started = perf_counter()
        for at, envelope in enumerate(sealed.envelopes):
            due = started + at / rate
            while perf_counter() < due:
                await asyncio.sleep(0)
            sequencer.submit(envelope, lambda _, due=due: waits.append(perf_counter() - due))  # type: ignore[misc]
        await sequencer.stop()
    require(len(waits) == len(sealed.envelopes), "an envelope was not answered")
    return sorted(waits)


def _engine(sealed: Sealed) -> tuple[NativeEngine, int]:
    """An engine after the set-up that knows every signer's key, and the last sequence of the set-up."""
    engine = NativeEngine(World(sealed.parameters.accounts).genesis)
    commands = [(sequence, time, NativeMessage(message)) for sequence, time, message in split(sealed.setup)]
    for at in range(0, len(commands), _SETUP_GROUP):
        for _ in engine.apply(commands[at : at + _SETUP_GROUP]):
            pass
    engine.verify(sealed.greetings, [False] * len(sealed.greetings))
    return engine, len(commands)


def _sequencer(sealed: Sealed, engine: NativeEngine, first: int, journal: Journal) -> Sequencer:
    sequencer = Sequencer(engine, journal, CountedClock(first), World(sealed.parameters.accounts).separator)
    sequencer.sequence = sequencer.durable_sequence = first
    return sequencer


@contextmanager
def _journal(sealed: Sealed, journaled: bool, first: int) -> Iterator[Journal]:
    """A journal behind `first` commands, in a folder of its own on the checkout's disk, or none."""
    if not journaled:
        yield cast(Journal, NoJournal(first))
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="journal-", dir=FOLDER) as folder:
        world = World(sealed.parameters.accounts)
        journal = Journal(Path(folder), world.genesis.ruleset(), world.separator, first_sequence=first + 1)
        try:
            yield journal
        finally:
            journal.close()


def _check_kept(sealed: Sealed, journal: Journal) -> None:
    envelopes = [record.envelope for record in journal.read()]
    require(envelopes == sealed.envelopes, "the journal does not read back what was sent")


def _check_state(sealed: Sealed, engine: NativeEngine) -> None:
    """The sequencer has led the engine where the frames lead it."""
    import penstock_core

    straight = penstock_core.Engine(World(sealed.parameters.accounts).genesis.encode())
    straight.apply(sealed.setup + sealed.timed)
    require(straight.engine_root() == engine.engine_root(), "the sequencer led the engine elsewhere")
