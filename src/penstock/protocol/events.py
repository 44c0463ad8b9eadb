"""What happened. Every change of state is one of these; `spec.evolve` needs nothing else."""

from msgspec import Struct

from penstock.protocol.reasons import Cause, Reason


class SlotGuarded(Struct, frozen=True, tag=True):
    """An authenticated message for the slot was seen: its nonce and all lower ones are used up."""

    subaccount: int
    slot: int
    nonce: int


class Refused(Struct, frozen=True, tag=True):
    """Member `member` of the command (0 for a single record) was refused; nothing else of it happened."""

    member: int
    reason: Reason


class DepositCredited(Struct, frozen=True, tag=True):
    """The Vault's deposit `deposit` became cash; `head` is the deposit chain's head after it."""

    sequence: int
    deposit: int
    subaccount: int
    owner: bytes
    amount: int
    l1_block: int
    head: bytes


class CashWithdrawn(Struct, frozen=True, tag=True):
    """Cash moved to the leaf's cumulative `withdrawn`."""

    sequence: int
    member: int
    subaccount: int
    slot: int
    nonce: int
    amount: int
    record_hash: bytes


class SessionGranted(Struct, frozen=True, tag=True):
    """A session key took place `session` of the subaccount's 64."""

    sequence: int
    member: int
    subaccount: int
    session: int
    key: bytes
    expiry: int
    slot_first: int
    slot_last: int
    scopes: int
    underlyings: int
    kinds: int
    from_sequence: int
    record_hash: bytes


class SessionRevoked(Struct, frozen=True, tag=True):
    """The session key is dead from this sequence on, and its resting orders with it."""

    sequence: int
    member: int
    subaccount: int
    session: int
    key: bytes
    record_hash: bytes


class OrderRested(Struct, frozen=True, tag=True):
    """What was left of the order joined the book behind its price. `order_id` is (slot, first nonce)."""

    subaccount: int
    slot: int
    nonce: int
    first_nonce: int
    market: int
    side: int
    price: int
    size: int
    filled: int
    sequence: int
    member: int
    session: int
    post_only: bool
    reduce_only: bool
    record_hash: bytes


class OrderAmended(Struct, frozen=True, tag=True):
    """A replace at the same price and side, not larger, kept its place in the queue. `size` is what remains.

    `accepted` is the stamp (sequence × 64 + member) of the replace.
    """

    subaccount: int
    slot: int
    nonce: int
    market: int
    side: int
    price: int
    size: int
    accepted: int
    session: int
    post_only: bool
    record_hash: bytes


class OrderCancelled(Struct, frozen=True, tag=True):
    """A resting order left the book with `size` unfilled."""

    subaccount: int
    slot: int
    nonce: int
    market: int
    side: int
    price: int
    size: int
    cause: Cause


class RemainderCancelled(Struct, frozen=True, tag=True):
    """What a taker did not fill, `size`, never joined the book."""

    subaccount: int
    slot: int
    nonce: int
    market: int
    side: int
    price: int
    size: int
    cause: Cause


class AllCancelled(Struct, frozen=True, tag=True):
    """Every order the subaccount placed before `stamp` (sequence × 64 + member) is dead."""

    subaccount: int
    stamp: int


class Traded(Struct, frozen=True, tag=True):
    """One match at the maker's price. Fees in 1e-6 USDC; `taker_side` is the aggressor's.

    `maker_accepted` is the stamp of the maker's order, `maker_priority` and its member where it got its place.
    `taker_equity`, `taker_initial` (1e-6 USDC) and `taker_held` (size units) are the taker's before its first fill
    of this command; `last` marks its last. So whoever judges one fill can judge what the whole command did.
    `taker_fee` is the venue's; `builder_fee` goes on top, to subaccount `builder`.
    In a liquidation the taker has no order: `taker_slot` is 65,535 and `taker_hash` zero.
    """

    sequence: int
    member: int
    market: int
    price: int
    size: int
    taker_side: int
    maker: int
    maker_slot: int
    maker_nonce: int
    maker_session: int
    maker_accepted: int
    maker_priority: int
    maker_priority_member: int
    maker_fee: int
    taker: int
    taker_slot: int
    taker_nonce: int
    taker_session: int
    taker_price: int
    taker_flags: int
    taker_fee: int
    taker_equity: int
    taker_initial: int
    taker_held: int
    builder: int
    builder_fee: int
    liquidation: bool
    last: bool
    maker_hash: bytes
    taker_hash: bytes


class PricePublished(Struct, frozen=True, tag=True):
    """Index and mark moved.

    `rate_time` is the funding rate × time gathered so far, `window_sum` the index × time of the last 30 minutes before
    expiry, `priced_since` the market's first price; `crowding` (1e-4) how far initial margin is on its way to 100 %.
    """

    sequence: int
    market: int
    published_at: int
    index_price: int
    mark_price: int
    premium: int
    rate_time: int
    window_sum: int
    priced_since: int
    crowding: int
    signers: int


class FundingAccrued(Struct, frozen=True, tag=True):
    """The market's funding index moved to `funding_index`."""

    sequence: int
    market: int
    funded_at: int
    funding_index: int


class FeesSwept(Struct, frozen=True, tag=True):
    """The market's fees and whole dust went to subaccount 0, which `repaid` what it could of the booked shortfall.

    All in 1e-6 USDC. With the shortfall gone the market is no longer reduce-only.
    """

    sequence: int
    market: int
    fees: int
    dust: int
    repaid: int


class ShortfallCovered(Struct, frozen=True, tag=True):
    """A closed account's negative cash: paid `from_fees` the market has gathered, `covered` by subaccount 0, and
    the rest `booked` on the market, which is then reduce-only."""

    sequence: int
    subaccount: int
    market: int
    from_fees: int
    covered: int
    booked: int


class MarketListed(Struct, frozen=True, tag=True):
    """A template's contract is listed as market `market`; expiry in seconds, strike in price units."""

    sequence: int
    market: int
    template: int
    expiry: int
    strike: int
    option_type: int


class MarketFlagged(Struct, frozen=True, tag=True):
    """The market's flags are now these. `until`: when what the guardian asked for may end (µs); `flagged_at`: when it
    last asked; `nonce`: the guardian's of this command, 0 of a poke."""

    sequence: int
    market: int
    flags: int
    until: int
    flagged_at: int
    nonce: int


class MarketDelisted(Struct, frozen=True, tag=True):
    """The perpetual ends at `expiry` (s)."""

    sequence: int
    market: int
    expiry: int
    nonce: int


class MarketExpired(Struct, frozen=True, tag=True):
    """The market is over: `index_price` is the mean of its last 30 minutes, `mark_price` what one unit pays."""

    sequence: int
    market: int
    index_price: int
    mark_price: int
    funding_index: int


class PositionExpired(Struct, frozen=True, tag=True):
    """A position of `size` in an expired market became `cash` (1e-6 USDC, funding included)."""

    sequence: int
    subaccount: int
    market: int
    size: int
    cash: int


class BuilderPaid(Struct, frozen=True, tag=True):
    """What the market had gathered for a builder, `amount` (1e-6 USDC), became its cash."""

    sequence: int
    market: int
    subaccount: int
    amount: int


Event = (
    SlotGuarded
    | Refused
    | DepositCredited
    | CashWithdrawn
    | SessionGranted
    | SessionRevoked
    | OrderRested
    | OrderAmended
    | OrderCancelled
    | RemainderCancelled
    | AllCancelled
    | Traded
    | PricePublished
    | FundingAccrued
    | FeesSwept
    | ShortfallCovered
    | MarketListed
    | MarketFlagged
    | MarketDelisted
    | MarketExpired
    | PositionExpired
    | BuilderPaid
)

LEDGER_EVENTS = (
    DepositCredited,
    CashWithdrawn,
    Traded,
    PricePublished,
    FundingAccrued,
    FeesSwept,
    SessionGranted,
    SessionRevoked,
    ShortfallCovered,
    MarketListed,
    MarketFlagged,
    MarketDelisted,
    MarketExpired,
    PositionExpired,
    BuilderPaid,
)
NO_SLOT = 0xFFFF
"""The slot of a taker without an order: a liquidation."""
BY_OWNER_KEY = 0xFF
"""The session of an order the owner signed."""
