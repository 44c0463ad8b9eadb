"""The messages that can change state, as typed records. `schema/messages.eip712` prints the same list."""

from typing import Final

from msgspec import Struct

from penstock.protocol.reasons import Reason, Refusal
from penstock.protocol.words import (
    Address,
    Bool,
    Bytes32,
    Codec,
    Uint8,
    Uint16,
    Uint24,
    Uint32,
    Uint40,
    Uint48,
    Uint64,
    Uint96,
)

BUY: Final = 0
SELL: Final = 1
GOOD_TIL_CANCELLED: Final = 0
IMMEDIATE_OR_CANCEL: Final = 1
INDEPENDENT: Final = 0
ATOMIC: Final = 1

SCOPE_TRADE: Final = 1
SCOPE_CANCEL: Final = 2
SCOPE_WITHDRAW: Final = 4
ALL_SCOPES: Final = SCOPE_TRADE | SCOPE_CANCEL | SCOPE_WITHDRAW


class PlaceOrder(Struct, frozen=True):
    """Ask for up to `size` at `price` or better; on an occupied slot, replace what is there.

    `price` in price units, `size` in size units (of a replace: the remaining size wanted), `fill_guard` the
    filled size of the slot's order that the sender has seen (ANY_FILL: no matter), times in venue microseconds.
    """

    subaccount: Uint24
    slot: Uint16
    nonce: Uint64
    deadline: Uint64
    market: Uint24
    side: Uint8
    price: Uint40
    size: Uint48
    fill_guard: Uint48
    time_in_force: Uint8
    post_only: Bool
    reduce_only: Bool
    max_fee_ppm: Uint24


class CancelOrder(Struct, frozen=True):
    """Take the slot's order out of the book."""

    subaccount: Uint24
    slot: Uint16
    nonce: Uint64
    deadline: Uint64


class CancelAll(Struct, frozen=True):
    """Kill every order of the subaccount placed before this command's sequence."""

    subaccount: Uint24
    slot: Uint16
    nonce: Uint64
    deadline: Uint64


class Withdraw(Struct, frozen=True):
    """Move `amount` (1e-6 USDC) from cash to the leaf's cumulative `withdrawn`, claimable on L1 by proof."""

    subaccount: Uint24
    slot: Uint16
    nonce: Uint64
    deadline: Uint64
    amount: Uint96


class GrantSession(Struct, frozen=True):
    """Let `key` sign for the subaccount within scopes, slots, underlyings and kinds until `expiry` (s)."""

    subaccount: Uint24
    slot: Uint16
    nonce: Uint64
    deadline: Uint64
    key: Address
    expiry: Uint40
    slot_first: Uint16
    slot_last: Uint16
    scopes: Uint32
    underlyings: Uint64
    kinds: Uint8


class RevokeSession(Struct, frozen=True):
    """End a session key from this command's sequence on, its resting orders included."""

    subaccount: Uint24
    slot: Uint16
    nonce: Uint64
    deadline: Uint64
    key: Address


class Bundle(Struct, frozen=True):
    """One signature over up to 64 records, by the binary Merkle root of their struct hashes."""

    root: Bytes32
    count: Uint8
    mode: Uint8
    subaccount: Uint24
    deadline: Uint64


class PublishPrice(Struct, frozen=True):
    """Set a market's index and mark (price units), signed by k of n oracle keys."""

    market: Uint24
    published_at: Uint64
    index_price: Uint40
    mark_price: Uint40


class CreditDeposit(Struct, frozen=True):
    """Credit the Vault's deposit number `deposit`, read at L1 block `l1_block`."""

    deposit: Uint64
    subaccount: Uint24
    owner: Address
    amount: Uint96
    l1_block: Uint64


class Liquidate(Struct, frozen=True):
    """Poke: cancel the subaccount's orders, then close through the book. Refused unless below maintenance."""

    subaccount: Uint24


class AccrueFunding(Struct, frozen=True):
    """Poke: move the market's funding index by what its committed samples say. Refused unless due."""

    market: Uint24


class SweepFees(Struct, frozen=True):
    """Poke: move the market's gathered fees and whole dust to subaccount 0. Refused unless there are any."""

    market: Uint24


class RemoveDeadOrder(Struct, frozen=True):
    """Poke: take a dead order out of the book. Refused while it is alive."""

    subaccount: Uint24
    slot: Uint16


SlotCommand = PlaceOrder | CancelOrder | CancelAll | Withdraw | GrantSession | RevokeSession
Poke = Liquidate | AccrueFunding | SweepFees | RemoveDeadOrder
Record = SlotCommand | Bundle | PublishPrice | CreditDeposit | Poke

SLOT_COMMANDS: Final = (PlaceOrder, CancelOrder, CancelAll, Withdraw, GrantSession, RevokeSession)
POKES: Final = (Liquidate, AccrueFunding, SweepFees, RemoveDeadOrder)
RECORD_TYPES: Final = (
    PlaceOrder,
    CancelOrder,
    CancelAll,
    Withdraw,
    GrantSession,
    RevokeSession,
    Bundle,
    PublishPrice,
    CreditDeposit,
    Liquidate,
    AccrueFunding,
    SweepFees,
    RemoveDeadOrder,
)
CODECS: Final[dict[type, Codec]] = {record_type: Codec(record_type) for record_type in RECORD_TYPES}
_BY_TYPEHASH: Final = {codec.typehash: codec for codec in CODECS.values()}


def encode_record(record: Record) -> bytes:
    """typehash ‖ words. Raises ValueError naming a field that does not fit."""
    return CODECS[type(record)].encode(record)


def type_of(record: bytes) -> type:
    """The type of an encoded record. Raises KeyError for an unknown one."""
    return _BY_TYPEHASH[record[:32]].record_type


def decode_record(record: bytes) -> Record:
    """The typed record. Raises Refusal for an unknown type, a wrong length or a non-canonical word."""
    codec = _BY_TYPEHASH.get(record[:32])
    if codec is None:
        raise Refusal(Reason.TYPE_UNKNOWN)
    return codec.decode(record)  # type: ignore[return-value]
