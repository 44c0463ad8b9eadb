"""Seeded streams as committed batches, and one question asked of both judges: the contract and its Python twin.

`python tests/contracts/referee_world.py --entries 20000` compares that many honest trades and says what it found.
"""

import argparse
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count
from time import perf_counter
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from penstock.protocol.batch import Batch
from penstock.protocol.ledger import TRADE
from penstock.protocol.signing import Domain
from penstock.protocol.verdicts import Finding, Verdict
from penstock.protocol.words import keccak
from penstock.settlement import batches
from penstock.settlement.chain import Chain, ChainError
from penstock.settlement.contract import deploy_contract
from penstock.settlement.contracts import Library
from penstock.settlement.deployment import created_address, deploy_referee
from penstock.settlement.disputes import BatchContents, Sequenced, trade_witness
from penstock.settlement.local_chain import open_chain
from penstock.simulation.cast import CHAIN, VAULT
from penstock.simulation.envelopes import envelope_of
from penstock.simulation.profiles import Profile
from penstock.simulation.streams import Stream
from penstock.spec.referee.judge import Committed, judge
from penstock.spec.referee.witness import WitnessWrong
from penstock.spec.settlement_tree import SettlementTree
from penstock.spec.state import State

LIBRARY: Final = Library()
SEPARATOR: Final = Domain(CHAIN, VAULT).separator()
ZERO: Final = bytes(32)
_WORD: Final = (
    "(uint64,bytes32,bytes32,bytes32,bytes32,bytes32,bytes32,uint64,uint64,uint32,uint64,uint64,bytes32,uint64)"
)
SELECTOR: Final = keccak(f"judge({_WORD},{_WORD},bytes)".encode())[:4]
GAS: Final = 16_000_000


class Trade(Struct, frozen=True):
    """One trade entry of a recorded stream: which batch, which step of it, and the leaves it needs."""

    batch: int
    index: int
    leaves: bytes
    tree: SettlementTree | None = None


class Record(Struct):
    """A stream, published as batches."""

    genesis_root: bytes
    batches: list[BatchContents]
    trades: list[Trade]

    def maker_batch(self, sequence: int) -> BatchContents:
        """Where a command was sequenced."""
        return self.batches[bisect_right([b.batch.first_sequence for b in self.batches], sequence) - 1]

    def witness(self, trade: Trade) -> tuple[BatchContents, BatchContents, bytes]:
        """The trade's batch, its maker's, and the witness."""
        contents = self.batches[trade.batch]
        entry = contents.entries[trade.index]
        maker = self.maker_batch(int.from_bytes(entry[32:40], "big"))
        return contents, maker, trade_witness(contents, maker, trade.index, trade.leaves)


def contents_of(
    batch: Batch, commands: Sequence[Sequenced | None], entries: Sequence[bytes], roots: Sequence[bytes]
) -> BatchContents:
    """The contents with the batch that commits to them."""
    contents = BatchContents(batch, commands, entries, roots)
    ledger_root, sequence_root = contents.roots()
    contents.batch = replace(batch, ledger_root=ledger_root, sequence_root=sequence_root)
    return contents


def record_stream(  # long: one loop from messages to batches
    seed: int, commands: int, parts: int = 1, profile: Profile | None = None, *, trees: bool = False
) -> Record:
    """The first `commands` messages of a stream in `parts` batches; with the tree before every trade on request."""
    stream = Stream(seed, profile)
    tree = SettlementTree(State.from_genesis(stream.genesis))
    root = tree.root()
    record = Record(root, [], [])
    for part in range(parts):
        sequenced, entries, roots = [], [], []
        for _ in range(commands // parts):
            step = stream.advance()
            sequenced.append(Sequenced(step.sequence, step.time, envelope_of(SEPARATOR, step.message)))
            for entry in step.applied.entries:
                if entry.packed[0] == TRADE:
                    leaves = tree.open_trade(entry.packed)
                    record.trades.append(Trade(part, len(entries), leaves, tree.copy() if trees else None))
                entries.append(entry.packed)
                roots.append(tree.advance(entry))
        after = roots[-1] if roots else root
        batch = Batch(
            part + 1, root, after, ZERO, ZERO, ZERO, ZERO, sequenced[0].sequence, sequenced[-1].sequence,
            len(entries), sequenced[-1].time, 0, ZERO, 0,
        )  # fmt: skip
        record.batches.append(contents_of(batch, sequenced, entries, roots))
        root = after
    return record


class Court:
    """A settlement contract of one stream's own, a referee before it, and the Python judge beside it."""

    def __init__(self, chain: Chain, genesis_root: bytes) -> None:
        self.chain, self.operator = chain, chain.accounts()[0]
        vault = created_address(self.operator, chain.nonce(self.operator) + 1)
        self.settlement = deploy_contract(
            chain, LIBRARY.artifact("DevSettlement"), self.operator, vault, 0, 0, genesis_root, ZERO,
            sender=self.operator,
        )  # fmt: skip
        settlement = self.settlement.address
        token = b"\x01" * 20
        deploy_contract(chain, LIBRARY.artifact("Vault"), token, settlement, sender=self.operator)
        self.referee = deploy_referee(chain, LIBRARY, settlement, VAULT, self.operator)
        self.hashes: dict[int, bytes] = {}

    def commit(self, contents: BatchContents) -> None:
        """Commit the batch, without deposits, at its own time or at the present one if that is later."""
        present = self.chain.block().time
        if contents.batch.time > present * 1_000_000:
            self.chain.set_next_time(contents.batch.time // 1_000_000 + 1)
            self.chain.mine()
        contents.batch = replace(contents.batch, time=max(contents.batch.time, present * 1_000_000))
        batches.commit(self.settlement, contents.batch, self.operator)
        self.hashes[contents.batch.number] = contents.batch.hash()

    def on_chain(self, batch: Batch, maker_batch: Batch, witness: bytes) -> Verdict | str:
        """The contract's verdict, or why it reverted."""
        try:
            answer = self.chain.call(self.referee.address, call_bytes(batch, maker_batch, witness))
        except ChainError as error:
            return error.reason
        return Verdict(Finding(int.from_bytes(answer[:32], "big")), answer[32:64])

    def in_python(self, batch: Batch, maker_batch: Batch, witness: bytes) -> Verdict | str:
        """The Python judge's verdict, or why there is none."""
        try:
            return judge(Committed(SEPARATOR, self.hashes.get), batch, maker_batch, witness)
        except WitnessWrong as wrong:
            return str(wrong)

    def agree(self, batch: Batch, maker_batch: Batch, witness: bytes) -> Verdict | None:
        """What both judges say; None when both refuse the witness. Raises AssertionError when they differ."""
        ours, theirs = self.in_python(batch, maker_batch, witness), self.on_chain(batch, maker_batch, witness)
        if isinstance(ours, str) and isinstance(theirs, str):
            return None
        assert ours == theirs
        return ours if isinstance(ours, Verdict) else None


def call_bytes(batch: Batch, maker_batch: Batch, witness: bytes) -> bytes:
    """judge(batch, maker_batch, witness), encoded."""
    head = SELECTOR + batch.encode() + maker_batch.encode() + (29 * 32).to_bytes(32, "big")
    return head + len(witness).to_bytes(32, "big") + witness + bytes(-len(witness) % 32)


def compare(
    chain: Chain, seeds: Iterator[int], entries: int, commands: int, parts: int, profile: Profile | None = None
) -> Counter[str]:
    """How many honest trades both judges called what, until there are so many."""
    seen: Counter[str] = Counter()
    for seed in seeds:
        record = record_stream(seed, commands, parts, profile)
        court = Court(chain, record.genesis_root)
        for contents in record.batches:
            court.commit(contents)
        for trade in record.trades:
            if seen.total() == entries:
                return seen
            contents, maker, witness = record.witness(trade)
            verdict = court.agree(contents.batch, maker.batch, witness)
            seen[verdict.finding.name if verdict else "no verdict"] += 1
    return seen


def main() -> None:
    """Compare as many entries as the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--commands", type=int, default=900)
    options = parser.parse_args()
    started = perf_counter()
    with open_chain() as chain:
        print(chain.describe())
        seen = compare(chain, count(options.seed), options.entries, options.commands, 3)
    print(f"{seen.total()} entries in {perf_counter() - started:.0f} s: {dict(seen)}")


if __name__ == "__main__":
    main()
