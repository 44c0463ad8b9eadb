"""The messages that can change state, as typed records. `schema/messages.eip712` prints the same list."""

from typing import Final

from msgspec import Struct

from penstock.protocol.reasons import Reason, Refusal
from penstock.protocol.words import (
    Address,
    Bool,
    Bytes32,
    Codec,
    Int32,
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
OPEN: Final = 0
REDUCE_ONLY: Final = 1
HALTED: Final = 2

SCOPE_TRADE: Final = 1
SCOPE_CANCEL: Final = 2
SCOPE_WITHDRAW: Final = 4
ALL_SCOPES: Final = SCOPE_TRADE | SCOPE_CANCEL | SCOPE_WITHDRAW


class PlaceOrder(Struct, frozen=True):
    """Ask for up to `size` at `price` or better; on an occupied slot, replace what is there.

    `price` in price units, `size` in size units (of a replace: the remaining size wanted), `fill_guard` the
    filled size of the slot's order that the sender has seen (ANY_FILL: no matter), times in venue microseconds.
    `builder` is the subaccount of whoever brought the order: what it takes pays `builder_fee_ppm` to it, besides fees.
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
    builder: Uint24 = 0
    builder_fee_ppm: Uint24 = 0


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
    """Set a market's index and mark (price units), signed by k of n oracle keys.

    `premium` is what funding follows: the impact price's distance from the index, in parts of 1e9; 0 if dated.
    """

    market: Uint24
    published_at: Uint64
    index_price: Uint40
    mark_price: Uint40
    premium: Int32 = 0


class SetMarketStatus(Struct, frozen=True):
    """The guardian opens a market (0), lets it only reduce positions (1) or halts it (2); ends by itself after 72 h.

    `nonce` is venue time in microseconds, at most 60 s off, above every earlier one of the guardian's.
    """

    market: Uint24
    nonce: Uint64
    status: Uint8


class DelistMarket(Struct, frozen=True):
    """The governor gives a perpetual an end, `expiry` (s), at least seven days ahead; then it expires like a future."""

    market: Uint24
    nonce: Uint64
    expiry: Uint40


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


class ListMarket(Struct, frozen=True):
    """Poke: list what a template foresees. Refused for any other expiry (s), strike (price units) or option type."""

    template: Uint16
    expiry: Uint40
    strike: Uint40
    option_type: Uint8


class ExpireMarket(Struct, frozen=True):
    """Poke: fix a market's settlement price, the mean index of its last 30 minutes. Refused before its expiry."""

    market: Uint24


class ExpirePosition(Struct, frozen=True):
    """Poke: turn a position in an expired market into cash. Refused where there is none."""

    subaccount: Uint24
    market: Uint24


class ReopenMarket(Struct, frozen=True):
    """Poke: end a halt or a reduce-only order of the guardian whose time is over."""

    market: Uint24


class MarkStale(Struct, frozen=True):
    """Poke: say on the record that a market's price is too old. Refused while it is fresh, or already said."""

    market: Uint24


class PayBuilder(Struct, frozen=True):
    """Poke: move what a market has gathered for a builder into its subaccount. Refused when that is nothing."""

    market: Uint24
    subaccount: Uint24


SlotCommand = PlaceOrder | CancelOrder | CancelAll | Withdraw | GrantSession | RevokeSession
RolePlayed = SetMarketStatus | DelistMarket
Poke = (
    Liquidate
    | AccrueFunding
    | SweepFees
    | RemoveDeadOrder
    | ListMarket
    | ExpireMarket
    | ExpirePosition
    | ReopenMarket
    | MarkStale
    | PayBuilder
)
Record = SlotCommand | Bundle | PublishPrice | RolePlayed | CreditDeposit | Poke

SLOT_COMMANDS: Final = (PlaceOrder, CancelOrder, CancelAll, Withdraw, GrantSession, RevokeSession)
ROLE_COMMANDS: Final = (SetMarketStatus, DelistMarket)
POKES: Final = (
    Liquidate,
    AccrueFunding,
    SweepFees,
    RemoveDeadOrder,
    ListMarket,
    ExpireMarket,
    ExpirePosition,
    ReopenMarket,
    MarkStale,
    PayBuilder,
)
RECORD_TYPES: Final = (
    PlaceOrder,
    CancelOrder,
    CancelAll,
    Withdraw,
    GrantSession,
    RevokeSession,
    Bundle,
    PublishPrice,
    *ROLE_COMMANDS,
    CreditDeposit,
    *POKES,
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
