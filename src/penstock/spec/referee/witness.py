"""The witness of a trade entry: the bytes a challenger brings, read in order. docs/reference/proofs.md lists them."""

from typing import Final

from penstock.protocol.words import keccak
from penstock.spec.multiproof import OpeningWrong, climb

LONGEST_COMMAND: Final = 512
"""What the contract hashes in one go of a record, or of signatures. An order has as many."""


class WitnessWrong(Exception):
    """The witness does not open what is committed, or leaves out what is needed. It convicts nobody."""


class Witness:
    """A cursor over the witness. Bytes that end early are a wrong witness."""

    def __init__(self, packed: bytes) -> None:
        self.packed, self.at = packed, 0

    def take(self, count: int) -> bytes:
        """The next bytes, as they are."""
        end = self.at + count
        if end > len(self.packed):
            raise WitnessWrong("the witness ends early")
        taken, self.at = self.packed[self.at : end], end
        return taken

    def number(self, count: int) -> int:
        """The next big-endian number of so many bytes."""
        return int.from_bytes(self.take(count), "big")

    def piece(self, width: int = 2) -> bytes:
        """A length of so many bytes, and as many bytes."""
        return self.take(self.number(width))

    def command_piece(self) -> bytes:
        """A record or signatures: a length u16 and as many bytes, at most LONGEST_COMMAND."""
        piece = self.piece()
        self.require(len(piece) <= LONGEST_COMMAND, "a piece is too long")
        return piece

    def climb(self, depth: int, leaves: dict[int, tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
        """The roots that an opening of these leaves, (old, new) by index, leads to."""
        try:
            self.at, old, new = climb(self.packed, self.at, depth, leaves)
        except OpeningWrong as wrong:
            raise WitnessWrong(str(wrong)) from wrong
        return old, new

    def require(self, holds: bool, what: str) -> None:
        """Raises WitnessWrong unless it holds."""
        if not holds:
            raise WitnessWrong(what)


def leaf_hash(domain: bytes, leaf: bytes) -> bytes:
    """The hash of a leaf; an absent one, of no bytes, is 32 zero bytes."""
    return keccak(domain + leaf) if leaf else bytes(32)
