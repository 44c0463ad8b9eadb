"""A batch: a span of the sequence and the roots after it, as it is committed on chain."""

from msgspec import Struct
from msgspec.structs import astuple

from penstock.protocol.words import keccak


class Batch(Struct, frozen=True):
    """A span of the sequence and the roots after it, field for field as the contract has it.

    `first_sequence` to `last_sequence` inclusive; `entries` ledger entries; `time` is venue microseconds;
    `deposits` were consumed so far, up to `deposit_head`, as read at `l1_block`; `availability` commits to the
    published bytes. A batch without entries leaves the settlement root as it was.
    """

    number: int
    previous_root: bytes
    settlement_root: bytes
    engine_root: bytes
    ledger_root: bytes
    sequence_root: bytes
    availability: bytes
    first_sequence: int
    last_sequence: int
    entries: int
    time: int
    deposits: int
    deposit_head: bytes
    l1_block: int

    def encode(self) -> bytes:
        """The batch's 14 words, ABI-encoded."""
        return b"".join(
            value.rjust(32, b"\0") if isinstance(value, bytes) else value.to_bytes(32, "big") for value in astuple(self)
        )

    def hash(self) -> bytes:
        """What the contract keeps of the batch, 32 bytes."""
        return keccak(self.encode())
