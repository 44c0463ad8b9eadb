"""Where a home folder leads: the engine brought to its end, and the check that nothing but the commands made it."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from penstock.protocol.signing import Domain
from penstock.protocol.terms import Genesis
from penstock.venue.disk.files import write_durably
from penstock.venue.engine_port import Engine, open_engine
from penstock.venue.journal import Journal, JournalCorrupt, JournalForeign
from penstock.venue.snapshots import Snapshot, Snapshots

_GROUP: Final = 1_000


class Roots(Struct, frozen=True):
    """Where a journal ends."""

    sequence: int
    entries: int
    engine_root: bytes
    settlement_root: bytes


GENESIS_NAME: Final = "genesis.json"


def keep_genesis(home: Path, genesis: Genesis) -> None:
    """Write the genesis into a new home. Raises JournalForeign when another one is there."""
    path = home / GENESIS_NAME
    if not path.exists():
        write_durably(path, msgspec.json.encode(genesis))
    elif read_genesis(home) != genesis:
        raise JournalForeign(f"{path}: the home of another venue, or of other rules")


def read_genesis(home: Path) -> Genesis:
    """The genesis a home was made with. Raises JournalForeign when there is none."""
    path = home / GENESIS_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Genesis)
    except FileNotFoundError as error:
        raise JournalForeign(f"{home} has no {GENESIS_NAME}: not a node's home") from error
    except msgspec.MsgspecError as error:
        raise JournalForeign(f"{path}: not a genesis: {error}") from error


class Reached(Struct, frozen=True):
    """Where an engine was brought: the last sequence executed, its venue time (µs), and the snapshot it began from."""

    sequence: int
    time: int
    snapshot: Snapshot | None


def bring_up(engine: Engine, journal: Journal, snapshots: Snapshots, before: int | None = None) -> Reached:
    """Put a fresh engine at the end of the journal, or of its last whole group at or below sequence `before`.

    Begins at the newest good snapshot that is not beyond that; what comes after is executed in bulk, signatures
    unchecked: the journal is checksummed. Raises JournalError, also for a record that the engine does not take.
    """
    snapshot = snapshots.restore(engine, journal.last_sequence, before)
    sequence, time = (snapshot.sequence, snapshot.time) if snapshot else (0, 0)
    for group, records in journal.read_raw(sequence + 1):
        if before is not None and group.last_sequence > before:
            break
        if group.first_sequence != sequence + 1:
            raise JournalCorrupt(journal.path, 0, f"a group from sequence {group.first_sequence} behind {sequence}")
        try:
            engine.replay(records)
        except ValueError as error:
            raise JournalCorrupt(journal.path, 0, str(error)) from error
        sequence, time = group.last_sequence, group.time
    return Reached(sequence, time, snapshot)


def take_snapshot(home: Path, genesis: Genesis, engine: str = "auto") -> Snapshot | None:
    """Write a snapshot of all that is durable in a home, beside the node that may be running there; None without any.

    The node is neither stopped nor asked: an engine of this call's own goes on from the newest snapshot by the journal.
    Raises JournalError, and OSError when the snapshot cannot be written.
    """
    hand, separator = open_engine(genesis, engine), Domain(genesis.chain_id, genesis.vault).separator()
    journal = Journal(home, genesis.ruleset(), separator, read_only=True)
    try:
        snapshots = Snapshots(home, genesis.ruleset(), separator)
        reached = bring_up(hand, journal, snapshots)
    finally:
        journal.close()
    if reached.sequence == 0:
        return None
    if reached.snapshot is not None and reached.snapshot.sequence == reached.sequence:
        return reached.snapshot
    return snapshots.write(hand, reached.sequence, reached.time)


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
