"""What a journal alone leads to: the check that nothing but the commands made the state."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Final

from msgspec import Struct

from penstock.protocol.signing import Domain
from penstock.protocol.terms import Genesis
from penstock.venue.engine_port import open_engine
from penstock.venue.journal import Journal

_GROUP: Final = 1_000


class Roots(Struct, frozen=True):
    """Where a journal ends."""

    sequence: int
    entries: int
    engine_root: bytes
    settlement_root: bytes


def replay_journal(
    home: Path, genesis: Genesis, progress: Callable[[int], None] = lambda _: None, engine: str = "auto"
) -> Roots:
    """Execute a home's journal from genesis and root the result; `progress` gets each thousandth sequence.

    Raises JournalError for a journal that does not read back or belongs to another venue.
    """
    hand = open_engine(genesis, engine)
    tree = hand.tree()
    root, entries, sequence = tree.root(), 0, 0
    separator = Domain(genesis.chain_id, genesis.vault).separator()
    journal = Journal(home, genesis.ruleset(), separator, read_only=True)
    try:
        records = journal.read()
        while group := list(islice(records, _GROUP)):
            commands = [(r.sequence, r.time, hand.reopen(r.envelope, r.signers)) for r in group]
            written = [entry for applied in hand.apply(commands) for entry in applied.entries]
            root = (tree.advance_all(written) or [root])[-1]
            entries += len(written)
            sequence = group[-1].sequence
            progress(sequence)
    finally:
        journal.close()
    return Roots(sequence, entries, hand.engine_root(), root)
