"""What was sequenced, opened: the record and signature at a sequence number, and whether a trade may rest on them."""

from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from penstock.protocol.batch import Batch
from penstock.protocol.commands import BUY, CODECS, GOOD_TIL_CANCELLED, INDEPENDENT, Bundle, Liquidate, PlaceOrder
from penstock.protocol.ledger import LIST_DEPTH, Domains
from penstock.protocol.quantities import MAX_BUNDLE, NO_DEADLINE
from penstock.protocol.reasons import Refusal
from penstock.protocol.signing import SIGNATURE, check_signature, digest_of
from penstock.protocol.words import Codec, keccak
from penstock.spec.referee.entry import TradeEntry
from penstock.spec.referee.witness import Witness

_PLACE: Final = CODECS[PlaceOrder]
_BUNDLE: Final = CODECS[Bundle]
_LIQUIDATE: Final = CODECS[Liquidate]
_NOTHING, _SIGNATURES, _SIGNATURES_HASH = range(3)
_DEEPEST_PATH: Final = 6


class Command(Struct, frozen=True):
    """One sequenced command: its venue time, its record, its signatures (None where only their hash was given).

    `member` is the record that sits at the entry's place in a bundle, proven; or the record itself.
    """

    time: int
    record: bytes
    signatures: bytes | None
    member: bytes
    bundle: Bundle | None
    well_placed: bool


def open_command(witness: Witness, batch: Batch, sequence: int, member: int, *, order: bool) -> Command | None:
    """form u8 · (time u64 · signatures or their hash · record · hash of its members' hashes · a bundle's member and
    path) · opening. None: form 0.

    Form 0 says that nothing is sequenced there, 1 that the signatures are given, 2 that only their hash is.
    """
    form = witness.number(1)
    witness.require(form <= _SIGNATURES_HASH, "a command's form is unknown")
    command, leaf = _take_command(witness, form, sequence, member, order=order) if form else (None, bytes(32))
    root, _ = witness.climb(LIST_DEPTH, {sequence - batch.first_sequence: (leaf, leaf)})
    witness.require(root == batch.sequence_root, "the command is not the one sequenced there")
    if command is not None and command.time > batch.time:
        # Nothing is sequenced after the last command, whose time the batch bears.
        return replace(command, well_placed=False)
    return command


def order_of(command: Command | None, order_hash: bytes) -> PlaceOrder | None:
    """The order that was sequenced there, if it is one and has this hash."""
    if command is None or not command.well_placed or keccak(command.member) != order_hash:
        return None
    order: PlaceOrder | None = _decoded(_PLACE, command.member)
    if order is None or (command.bundle is not None and command.bundle.subaccount != order.subaccount):
        return None
    return order


def liquidates(command: Command | None, subaccount: int) -> bool:
    """Whether the poke sequenced there is to liquidate this subaccount."""
    return command is not None and command.well_placed and command.record == _LIQUIDATE.encode(Liquidate(subaccount))


def signer_of(witness: Witness, separator: bytes, command: Command) -> bytes | None:
    """Who signed, or None when the command does not carry exactly one good signature."""
    witness.require(command.signatures is not None, "the signature is missing")
    signatures = command.signatures or b""
    if len(signatures) != SIGNATURE:
        return None
    try:
        return check_signature(digest_of(separator, keccak(command.record)), signatures)
    except Refusal:
        return None


def taker_may(entry: TradeEntry, order: PlaceOrder, command: Command) -> bool:
    """Whether the order allows this trade as an aggressor."""
    price_fits = entry.price <= order.price if entry.side == BUY else entry.price >= order.price
    return (
        (order.subaccount, order.slot, order.market, order.side)
        == (entry.taker, entry.taker_slot, entry.market, entry.side)
        and price_fits
        and not order.post_only
        and order.time_in_force <= 1
        and _in_time(order, command)
    )


def maker_may(entry: TradeEntry, order: PlaceOrder, command: Command) -> bool:
    """Whether the order allows this trade from the book."""
    return (
        (order.subaccount, order.slot, order.market, order.side, order.price)
        == (entry.maker, entry.maker_slot, entry.market, 1 - entry.side, entry.price)
        and order.time_in_force == GOOD_TIL_CANCELLED
        and _in_time(order, command)
    )


def _in_time(order: PlaceOrder, command: Command) -> bool:
    deadline = command.bundle.deadline if command.bundle else NO_DEADLINE
    return command.time <= min(order.deadline, deadline)


def _take_command(witness: Witness, form: int, sequence: int, member: int, *, order: bool) -> tuple[Command, bytes]:
    """A command and its leaf hash."""
    time = witness.number(8)
    signatures = witness.command_piece() if form == _SIGNATURES else None
    signatures_hash = witness.take(32) if signatures is None else keccak(signatures)
    record = witness.command_piece()
    members = witness.take(32)
    found, bundle, placed = record, None, member == 0
    if order and record[:32] == _BUNDLE.typehash and len(record) == _BUNDLE.length:
        bundle = _decoded(_BUNDLE, record)
        placed = bundle is not None and member < bundle.count <= MAX_BUNDLE and bundle.mode == INDEPENDENT
        if placed:
            found = witness.command_piece()
            _prove_member(witness, record[32:64], keccak(found), member)
    stamped = sequence.to_bytes(8, "big") + time.to_bytes(8, "big")
    leaf = keccak(Domains.SEQUENCED + stamped + keccak(record) + signatures_hash + members)
    return Command(time, record, signatures, found, bundle, placed), leaf


def _prove_member(witness: Witness, root: bytes, record_hash: bytes, index: int) -> None:
    depth = witness.number(1)
    witness.require(depth <= _DEEPEST_PATH and index >> depth == 0, "a bundle's path is too long or too short")
    node = keccak(Domains.BUNDLE_LEAF + record_hash)
    for level in range(depth):
        sibling = witness.take(32)
        pair = sibling + node if index >> level & 1 else node + sibling
        node = keccak(Domains.BUNDLE_NODE + pair)
    witness.require(node == root, "the member is not in the bundle")


def _decoded(codec: Codec, record: bytes) -> Any:
    """The record, or None when it is of another type or not canonical."""
    if record[:32] != codec.typehash:
        return None
    try:
        return codec.decode(record)
    except Refusal:
        return None
