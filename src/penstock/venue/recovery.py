"""What a journal alone leads to: the check that nothing but the commands made the state."""

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from penstock.protocol.signing import Domain
from penstock.protocol.terms import Genesis
from penstock.spec.digest import engine_root
from penstock.spec.settlement_tree import SettlementTree
from penstock.spec.state import State
from penstock.spec.transition import apply
from penstock.venue.envelopes import reopen
from penstock.venue.journal import Journal


class Roots(Struct, frozen=True):
    """Where a journal ends."""

    sequence: int
    entries: int
    engine_root: bytes
    settlement_root: bytes


def replay_journal(home: Path, genesis: Genesis, progress: Callable[[int], None] = lambda _: None) -> Roots:
    """Execute a home's journal from genesis and root the result; `progress` gets each thousandth sequence.

    Raises JournalError for a journal that does not read back or belongs to another venue.
    """
    state = State.from_genesis(genesis)
    tree = SettlementTree(state)
    root, entries, sequence = tree.root(), 0, 0
    separator = Domain(genesis.chain_id, genesis.vault).separator()
    journal = Journal(home, genesis.ruleset(), separator, read_only=True)
    try:
        for record in journal.read():
            sequence = record.sequence
            applied = apply(state, sequence, record.time, reopen(record.envelope, record.signers))
            for entry in applied.entries:
                root = tree.advance(entry)
            entries += len(applied.entries)
            if sequence % 1000 == 0:
                progress(sequence)
    finally:
        journal.close()
    return Roots(sequence, entries, engine_root(state), root)
