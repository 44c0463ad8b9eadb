"""Bringing a committed trade entry before the referee: its witness, from published batches and the leaves before it."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from penstock.protocol.batch import Batch
from penstock.protocol.commands import CODECS, Bundle
from penstock.protocol.ledger import LIST_DEPTH, Domains, members_hash, sequenced_hash, step_hash
from penstock.protocol.signing import signatures_of, split_envelope
from penstock.protocol.words import keccak
from penstock.spec.merkle import Tree
from penstock.spec.multiproof import open_leaves
from penstock.spec.referee.command_alone import NO_PLACE, CommandQuestion
from penstock.spec.referee.entry import TradeEntry, read_entry
from penstock.spec.referee.witness import LONGEST_COMMAND

_BUNDLE_TYPE: Final = CODECS[Bundle].typehash


class Sequenced(Struct, frozen=True):
    """One command of a published batch."""

    sequence: int
    time: int
    envelope: bytes

    @property
    def record(self) -> bytes:
        """What was signed."""
        return split_envelope(self.envelope)[0]

    @property
    def members(self) -> list[bytes]:
        """A bundle's records."""
        return split_envelope(self.envelope)[1]

    @property
    def signatures(self) -> bytes:
        """85 bytes each, as the sequence's leaf has their hash."""
        return signatures_of(self.envelope)


class BatchContents:
    """A published batch: its commands, its entries and the root after each, with both lists as trees.

    A command is None where the sequence's list has nothing, which no honest one has.
    """

    def __init__(
        self, batch: Batch, commands: Sequence[Sequenced | None], entries: Sequence[bytes], post_roots: Sequence[bytes]
    ) -> None:
        self.batch, self.commands = batch, commands
        self.entries, self.post_roots = entries, post_roots
        self._steps, self._sequence = Tree(LIST_DEPTH), Tree(LIST_DEPTH)
        for index, (entry, root) in enumerate(zip(entries, post_roots, strict=True)):
            self._steps.set(index, step_hash(keccak(Domains.LEDGER_ENTRY + entry), root))
        for index, command in enumerate(commands):
            if command is not None:
                hashes = keccak(command.record), keccak(command.signatures), [keccak(m) for m in command.members]
                self._sequence.set(index, sequenced_hash(command.sequence, command.time, *hashes))

    def roots(self) -> tuple[bytes, bytes]:
        """ledger_root and sequence_root of these contents."""
        return self._steps.root(), self._sequence.root()

    def prove_command(self, index: int) -> list[bytes]:
        """The siblings of a command's leaf in the sequence list, three a level."""
        return self._sequence.proof(index)

    def open_step(self, index: int) -> bytes:
        """The step and the one before it, as the witness begins."""
        parts = [index.to_bytes(4, "big"), _piece(self.entries[index], 1), self.post_roots[index]]
        if index:
            parts += [_piece(self.entries[index - 1], 1), self.post_roots[index - 1]]
        return b"".join([*parts, open_leaves(self._steps, [index - 1, index] if index else [index])])

    def open_command(self, sequence: int, member: int, *, order: bool) -> bytes:
        """The command sequenced there, its signatures, and the bundle's member at that place."""
        index = sequence - self.batch.first_sequence
        command = self.commands[index]
        if command is None:
            return b"\0" + open_leaves(self._sequence, [index])
        record, members, signatures = command.record, command.members, command.signatures
        time = command.time.to_bytes(8, "big")
        if len(signatures) > LONGEST_COMMAND:
            parts = [b"\2", time, keccak(signatures), _piece(record, 2)]
        else:
            parts = [b"\1", time, _piece(signatures, 2), _piece(record, 2)]
        parts.append(members_hash([keccak(m) for m in members]))
        if order and record[:32] == _BUNDLE_TYPE and member < len(members):
            parts += [_piece(members[member], 2), _bundle_path([keccak(m) for m in members], member)]
        parts.append(open_leaves(self._sequence, [index]))
        return b"".join(parts)


def command_question(contents: BatchContents, sequence: int, place: int | None = None) -> CommandQuestion:
    """What `CommandReferee` is asked of the command at `sequence`, and of its bundle's member at `place`, if any.

    Raises ValueError where nothing is sequenced.
    """
    index = sequence - contents.batch.first_sequence
    command = contents.commands[index]
    if command is None:
        raise ValueError(f"nothing is sequenced at {sequence}")
    members = command.members
    return CommandQuestion(
        sequence, command.time, command.record, command.signatures, [keccak(m) for m in members],
        NO_PLACE if place is None else place, b"" if place is None else members[place], contents.prove_command(index),
    )  # fmt: skip


def trade_witness(contents: BatchContents, maker_contents: BatchContents, index: int, leaves: bytes) -> bytes:
    """The witness of a batch's step. `leaves` is `SettlementTree.open_trade` before it; empty when none is needed.

    `maker_contents` is the batch in which the maker's order was sequenced, often the same.
    """
    parts = [contents.open_step(index)]
    entry = read_entry(contents.entries[index])
    if entry is not None:
        if contents.batch.first_sequence <= entry.sequence <= contents.batch.last_sequence:
            parts.append(contents.open_command(entry.sequence, entry.member, order=not entry.liquidation))
        if _holds(maker_contents.batch, entry):
            parts.append(maker_contents.open_command(entry.maker_sequence, entry.maker_member, order=True))
    return b"".join([*parts, leaves])


def _holds(batch: Batch, entry: TradeEntry) -> bool:
    return batch.first_sequence <= entry.maker_sequence <= batch.last_sequence


def _piece(piece: bytes, width: int) -> bytes:
    return len(piece).to_bytes(width, "big") + piece


def _bundle_path(hashes: list[bytes], index: int) -> bytes:
    """depth u8 · the siblings of a bundle's member, from the leaf up."""
    level = [keccak(Domains.BUNDLE_LEAF + h) for h in hashes]
    siblings = []
    while len(level) > 1:
        level += [bytes(32)] * (len(level) & 1)
        siblings.append(level[index ^ 1])
        level = [keccak(Domains.BUNDLE_NODE + level[i] + level[i + 1]) for i in range(0, len(level), 2)]
        index >>= 1
    return bytes([len(siblings)]) + b"".join(siblings)
