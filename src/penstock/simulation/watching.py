"""A watcher with nothing but the genesis, the published batches and the chain: it re-executes and has trades judged.

It verifies every signature again, runs the commands through an engine of its own, compares entries and both roots
with what was published and committed, and brings some of the trades before the referee contract.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from penstock.protocol.batch import Batch
from penstock.protocol.ledger import TRADE
from penstock.protocol.reasons import Reason
from penstock.protocol.signing import Domain
from penstock.protocol.terms import Genesis
from penstock.protocol.verdicts import Finding, Verdict
from penstock.settlement.batches import committed
from penstock.settlement.deployment import Deployment
from penstock.settlement.disputes import BatchContents, Sequenced, trade_witness
from penstock.settlement.published import PublicationWrong, PublishedCommand, read_published
from penstock.spec.referee.entry import read_entry
from penstock.spec.referee.judge import Committed, judge
from penstock.venue.engine_port import Engine, Roots, open_engine

TOGETHER: Final = 256


class Watched(Struct, frozen=True):
    """What a watcher found. `differences` says in words where the operator's publication is not what follows."""

    batches: int
    commands: int
    entries: int
    trades: int
    judged: int
    findings: dict[str, int]
    most_gas: int
    differences: list[str]


class _Opened(Struct, frozen=True):
    """A trade picked for judgement: its batch, its step, and the leaves before it."""

    number: int
    step: int
    leaves: bytes


def watch(
    folder: Path,
    genesis: Genesis,
    deployment: Deployment,
    *,
    judged: int = 16,
    engine: str = "auto",
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Watched:
    """Follow every batch committed so far, whose bytes are in `folder`; have up to `judged` trades judged on chain.

    The trades are spread evenly; `progress` gets (batches done, batches). Raises PublicationWrong when the bytes
    of a batch are missing or are not those the chain committed to.
    """
    watcher = _Watcher(folder, genesis, engine)
    batches = committed(deployment.settlement, deployment.block)
    for done, batch in enumerate(batches, 1):
        watcher.follow(batch)
        progress(done, len(batches))
    return watcher.judge(deployment, judged)


class _Watcher:
    def __init__(self, folder: Path, genesis: Genesis, engine: str) -> None:
        self._folder = folder
        self._engine: Engine = open_engine(genesis, engine)
        self._tree: Roots = self._engine.tree()
        self._contents: dict[int, BatchContents] = {}
        separator = Domain(genesis.chain_id, genesis.vault).separator()
        self._committed = Committed(separator, lambda number: self._contents[number].batch.hash())
        self._opened: list[_Opened] = []
        self._every = 1
        self._time = 0
        self._trades = self._commands = self._entries = 0
        self._differences: list[str] = []

    def follow(self, batch: Batch) -> None:
        """Execute one batch and compare it with what is committed."""
        commands = read_published(self._folder, batch)
        published = [step for command in commands for step in command.entries]
        contents = BatchContents(
            batch, [Sequenced(c.sequence, c.time, c.envelope) for c in commands],
            [entry for entry, _ in published], [root for _, root in published],
        )  # fmt: skip
        if contents.roots() != (batch.ledger_root, batch.sequence_root):
            raise PublicationWrong(f"batch {batch.number}: what is published is not what the two lists commit to")
        self._check_times(batch, commands)
        applied = [entry for entries in self._execute(batch, commands) for entry in entries]
        roots = self._advance(batch.number, applied, published)
        for step, (mine, root, theirs) in enumerate(zip(applied, roots, published, strict=False)):
            if (mine.packed, root) != theirs:
                self._differ(batch, f"step {step} is not what its command does")
                break
        if len(applied) != len(published):
            self._differ(batch, f"{len(published)} entries where its commands make {len(applied)}")
        if self._tree.root() != batch.settlement_root:
            self._differ(batch, "the settlement root is another")
        if self._engine.engine_root() != batch.engine_root:
            self._differ(batch, "the engine root is another")
        self._contents[batch.number] = contents
        self._commands += len(commands)
        self._entries += len(applied)

    def _check_times(self, batch: Batch, commands: list[PublishedCommand]) -> None:
        """Venue time never decreases, and a batch bears the time of its last command."""
        times = [self._time, *(command.time for command in commands)]
        if times != sorted(times):
            self._differ(batch, "its times go back")
        if batch.time != times[-1]:
            self._differ(batch, f"it bears time {batch.time}, its last command {times[-1]}")
        self._time = times[-1]

    def judge(self, deployment: Deployment, most: int) -> Watched:
        """Bring the picked trades before the referee."""
        sender = deployment.settlement.chain.accounts()[-1]
        stride = max(1, -(-len(self._opened) // max(1, most)))
        findings: dict[str, int] = {}
        gas = 0
        picked = self._opened[::stride][:most]
        for trade in picked:
            contents = self._contents[trade.number]
            entry = read_entry(contents.entries[trade.step])
            assert entry is not None
            makers = next(c for c in self._contents.values() if c.batch.last_sequence >= entry.maker_sequence)
            witness = trade_witness(contents, makers, trade.step, trade.leaves)
            question = contents.batch, makers.batch, witness
            verdict = deployment.referee.call("judge", *question)
            if judge(self._committed, *question) != Verdict(Finding(verdict[0]), verdict[1]):
                self._differ(contents.batch, f"step {trade.step}: the contract and the spec judge it differently")
            name = Finding(verdict[0]).name
            findings[name] = findings.get(name, 0) + 1
            # Sent as well, though it is a view: a receipt says what a transaction that rests on the verdict would cost.
            gas = max(gas, deployment.referee.send("judge", *question, sender=sender).gas_used)
        return Watched(
            len(self._contents), self._commands, self._entries, self._trades, len(picked), findings, gas,
            self._differences,
        )  # fmt: skip

    def _execute(self, batch: Batch, commands: list[PublishedCommand]) -> Iterator[list[Any]]:
        for first in range(0, len(commands), TOGETHER):
            some = commands[first : first + TOGETHER]
            found = self._engine.verify([c.envelope for c in some], [True] * len(some))
            stamped = []
            for command, message in zip(some, found, strict=True):
                if isinstance(message, Reason):
                    self._differ(batch, f"sequence {command.sequence} does not verify: {message.name}")
                else:
                    stamped.append((command.sequence, command.time, message))
            yield [entry for done in self._engine.apply(stamped) for entry in done.entries]

    def _advance(self, number: int, entries: list[Any], published: list[tuple[bytes, bytes]]) -> list[bytes]:
        """The post-roots; on the way, the leaves before every so-manieth trade are opened, as it was published."""
        roots: list[bytes] = []
        done = 0
        for step, (theirs, _) in enumerate(published[: len(entries)]):
            if theirs[:1] != bytes([TRADE]):
                continue
            if self._trades % self._every == 0:
                roots += self._tree.advance_all(entries[done:step])
                done = step
                self._opened.append(_Opened(number, step, self._open(theirs)))
                self._thin()
            self._trades += 1
        return roots + self._tree.advance_all(entries[done:])

    def _open(self, packed: bytes) -> bytes:
        try:
            return self._tree.open_trade(packed)
        except ValueError:  # fields that no leaf has: it is judged without opening one
            return b""

    def _thin(self) -> None:
        """Keep few trades open however many there are: drop every second, and open half as often from here."""
        if len(self._opened) >= 2 * TOGETHER:
            self._opened = self._opened[::2]
            self._every *= 2

    def _differ(self, batch: Batch, what: str) -> None:
        self._differences.append(f"batch {batch.number}: {what}")
