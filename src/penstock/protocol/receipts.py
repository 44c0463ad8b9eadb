"""Receipts: what the operator signs for each durable group, and a message's path to it. Never a command.

A group's leaves are keccak(0x10 ‖ sequenced hash), the sequenced hash being the leaf of a batch's sequence list: so a
batch that leaves a receipted message out, or puts another in its place, contradicts the receipt. Nodes are
keccak(0x11 ‖ left ‖ right), an odd level is padded with 32 zero bytes, and n leaves have a path of ⌈log2 n⌉ siblings.
"""

from collections.abc import Sequence
from typing import Final

import sha3
from msgspec import Struct

from penstock.protocol.ledger import Domains
from penstock.protocol.quantities import MICRO
from penstock.protocol.reasons import Reason, Refusal
from penstock.protocol.signing import SIGNATURE, Signer, check_signature, digest_of, sequenced_leaf
from penstock.protocol.words import WORD, Bytes32, Codec, Uint32, Uint64, keccak

COMMIT_WITHIN: Final = 3_600 * MICRO
"""How long (µs of venue time) after a group's last message a batch with it must be committed."""
NO_RECEIPT: Final = bytes(WORD)
"""Stands for the previous receipt's hash before the first group."""
_LEAF, _NODE, _ABSENT = Domains.RECEIPT_LEAF, Domains.RECEIPT_NODE, bytes(WORD)


class Receipt(Struct, frozen=True):
    """What the operator promises of one group: these messages, in this order, behind the `previous` receipt.

    `group` counts groups from 1 across epochs; each start of the node opens an `epoch`. `previous` is the struct hash
    of the previous group's receipt, `root` the Merkle root over the group's messages, `time` the venue time (µs) of
    the last one, `deadline` the venue time (µs) by which a batch with them must be committed.
    """

    epoch: Uint32
    group: Uint64
    first_sequence: Uint64
    last_sequence: Uint64
    previous: Bytes32
    root: Bytes32
    time: Uint64
    deadline: Uint64

    @property
    def count(self) -> int:
        """How many messages the group has; less than 1 in a receipt that is not sound."""
        return self.last_sequence - self.first_sequence + 1

    @property
    def sound(self) -> bool:
        """Whether its numbers can be those of a group at all."""
        return (
            self.group > 0
            and 0 < self.first_sequence <= self.last_sequence
            and self.deadline == self.time + COMMIT_WITHIN
        )

    def hash(self) -> bytes:
        """The EIP-712 struct hash, 32 bytes: what is signed, and what the next receipt names."""
        return keccak(CODEC.encode(self))


class SignedReceipt(Struct, frozen=True):
    """A receipt and a signature (85 bytes: signer ‖ r ‖ s ‖ v) that may or may not be the operator's."""

    receipt: Receipt
    signature: bytes

    def encode(self) -> bytes:
        """The wire form, 341 bytes: the record's eight words without its typehash, then the signature."""
        return CODEC.encode(self.receipt)[WORD:] + self.signature


CODEC: Final = Codec(Receipt)
WIRE: Final = CODEC.length - WORD + SIGNATURE
"""Bytes of a signed receipt."""


def decode_receipt(wire: bytes) -> SignedReceipt:
    """Read a wire form; the signature is not checked. Refusal(RECORD_LENGTH_WRONG or WORD_NOT_CANONICAL)."""
    if len(wire) != WIRE:
        raise Refusal(Reason.RECORD_LENGTH_WRONG)
    receipt = CODEC.decode(CODEC.typehash + wire[:-SIGNATURE])
    assert isinstance(receipt, Receipt)
    return SignedReceipt(receipt, wire[-SIGNATURE:])


def sign_receipt(separator: bytes, receipt: Receipt, operator: Signer) -> SignedReceipt:
    """The same bytes for the same receipt and key, always (RFC 6979)."""
    return SignedReceipt(receipt, operator.sign(separator, receipt.hash()))


def check_receipt(separator: bytes, operator: bytes, signed: SignedReceipt) -> None:
    """Raises Refusal(SIGNATURE_MALFORMED, or SIGNATURE_WRONG) unless `operator` (20 bytes) signed it, v included."""
    if len(signed.signature) != SIGNATURE:
        raise Refusal(Reason.SIGNATURE_MALFORMED)
    signer = check_signature(digest_of(separator, signed.receipt.hash()), signed.signature, either_parity=False)
    if signer != operator:
        raise Refusal(Reason.SIGNATURE_WRONG)


def receipt_leaf(sequence: int, time: int, envelope: bytes, record_hash: bytes | None = None) -> bytes:
    """A message's leaf, from an envelope that was verified; `record_hash` where it is known already."""
    return keccak(_LEAF + sequenced_leaf(sequence, time, envelope, record_hash))


def receipt_levels(leaves: Sequence[bytes]) -> tuple[bytes, ...]:
    """Every level of the tree, each level's hashes one after the other: the leaves first, the root last.

    Raises ValueError without leaves.
    """
    if not leaves:
        raise ValueError("a group has at least one message")
    level = b"".join(leaves)
    levels = [level]
    keccak_256 = sha3.keccak_256
    while len(level) > WORD:
        if len(level) % (2 * WORD):
            level += _ABSENT
        level = b"".join(
            [keccak_256(_NODE + level[at : at + 2 * WORD]).digest() for at in range(0, len(level), 2 * WORD)]
        )
        levels.append(level)
    return tuple(levels)


def path_in(levels: Sequence[bytes], index: int) -> list[bytes]:
    """A leaf's siblings, from the leaf up. Raises ValueError for an index outside the group."""
    if not 0 <= index < len(levels[0]) // WORD:
        raise ValueError(f"index {index} is outside a group of {len(levels[0]) // WORD}")
    path = []
    for level in levels[:-1]:
        at = WORD * (index ^ 1)
        path.append(level[at : at + WORD] or _ABSENT)
        index >>= 1
    return path


def receipt_root(leaves: Sequence[bytes]) -> bytes:
    """The root over a group's leaves, 32 bytes. Raises ValueError without leaves."""
    return receipt_levels(leaves)[-1]


def receipt_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """One leaf's siblings, from the leaf up. Raises ValueError without leaves or for an index outside."""
    return path_in(receipt_levels(leaves), index)


def check_path(leaf: bytes, index: int, count: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether the leaf is number `index` (from 0) of the `count` leaves under `root`. Total, whatever is passed.

    The path has exactly the depth of `count` leaves, and the index is inside: one leaf has one proof.
    """
    if not 0 <= index < count or len(path) != (count - 1).bit_length():
        return False
    if any(len(part) != WORD for part in (leaf, root, *path)):
        return False
    node = leaf
    for sibling in path:
        node = keccak(_NODE + (sibling + node if index & 1 else node + sibling))
        index >>= 1
    return node == root
