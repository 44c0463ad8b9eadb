"""The state: accounts, markets, books. Plain mutable records; only `evolve` writes them."""

from bisect import insort
from collections.abc import Iterator

from msgspec import Struct, field

from penstock.protocol.commands import BUY
from penstock.protocol.events import BY_OWNER_KEY
from penstock.protocol.quantities import MICRO
from penstock.protocol.terms import NO_TEMPLATE, Genesis, MarketTerms

INSURANCE_FUND = 0

SHORTFALL_BOOKED = 1
RESTRICTED = 2
HALTED = 4
STALE = 8
EXPIRED = 16
ALL_FLAGS = SHORTFALL_BOOKED | RESTRICTED | HALTED | STALE | EXPIRED
"""Flags of a market: reduce-only by a booked shortfall or by the guardian; halted; said to be stale; over."""


def stamp(sequence: int, member: int) -> int:
    """(sequence, member) as one number that orders like the pair; a bundle has at most 64 members."""
    return sequence << 6 | member


class Position(Struct):
    """Signed size (size units), entry cost (1e-6 USDC, signed like size × price), funding index when last touched."""

    size: int
    entry: int
    funding: int


class Order(Struct):
    """A resting order. `priority`: the sequence that gave it its place; `accepted`: the stamp of its latest message."""

    subaccount: int
    slot: int
    nonce: int
    first_nonce: int
    market: int
    side: int
    price: int
    size: int
    filled: int
    priority: int
    member: int
    accepted: int
    session: int
    post_only: bool
    reduce_only: bool
    record_hash: bytes


class Session(Struct):
    """A delegated key. Expiry in seconds; `revoked_at` is 0 while it lives."""

    key: bytes
    expiry: int
    slot_first: int
    slot_last: int
    scopes: int
    underlyings: int
    kinds: int
    from_sequence: int
    revoked_at: int = 0

    def lives(self, time: int) -> bool:
        """Neither revoked nor past its expiry at venue time `time` (µs)."""
        return self.revoked_at == 0 and time < self.expiry * MICRO


class FilledSlot(Struct):
    """What the slot leaf says of the last order that filled in it."""

    nonce: int
    filled: int
    price: int
    priority: int
    member: int
    flags: int
    record_hash: bytes


class Account(Struct):
    """One subaccount: a margin silo with one owner.

    `lots` maps a market to the open [bid, ask] lots that margin reserves; `reduce_only` counts such orders.
    Both forget everything at once when `cancelled_before` (a mass cancel's stamp) rises.
    """

    owner: bytes
    cash: int = 0
    withdrawn: int = 0
    cancelled_before: int = 0
    open_orders: int = 0
    positions: dict[int, Position] = field(default_factory=dict)
    lots: dict[int, list[int]] = field(default_factory=dict)
    reduce_only: dict[int, int] = field(default_factory=dict)
    guards: dict[int, int] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    sessions: dict[int, Session] = field(default_factory=dict)
    session_of: dict[bytes, int] = field(default_factory=dict)
    filled: dict[int, FilledSlot] = field(default_factory=dict)


class Book(Struct):
    """One market's resting orders: per side a price-sorted list, and per price a queue in order of arrival."""

    bids: list[int] = field(default_factory=list)
    asks: list[int] = field(default_factory=list)
    bid_queues: dict[int, dict[tuple[int, int], Order]] = field(default_factory=dict)
    ask_queues: dict[int, dict[tuple[int, int], Order]] = field(default_factory=dict)

    def add(self, order: Order) -> None:
        """Join the queue at the order's price, last."""
        prices, queues = self._side(order.side)
        queue = queues.get(order.price)
        if queue is None:
            queue = queues[order.price] = {}
            insort(prices, order.price)
        queue[order.subaccount, order.slot] = order

    def remove(self, order: Order) -> None:
        """Leave the queue; an empty price disappears."""
        prices, queues = self._side(order.side)
        queue = queues[order.price]
        del queue[order.subaccount, order.slot]
        if not queue:
            del queues[order.price]
            prices.remove(order.price)

    def best_first(self, side: int) -> Iterator[Order]:
        """Resting orders of one side by price, then time. The book must not change meanwhile."""
        prices, queues = self._side(side)
        for price in reversed(prices) if side == BUY else prices:
            yield from queues[price].values()

    def _side(self, side: int) -> tuple[list[int], dict[int, dict[tuple[int, int], Order]]]:
        return (self.bids, self.bid_queues) if side == BUY else (self.asks, self.ask_queues)


class Market(Struct):
    """A market's terms and running sums.

    `size_funding` is Σ size × funding index over positions, `entry_total` Σ entry cost, `open_interest` Σ longs;
    `dust` counts 2^-32 cash units, `rate_time` funding rate × µs since the last accrual. Once the market has expired,
    a position that has become cash stays in `size_funding` with what it took (see `evolve`).
    `window_sum` is index × µs inside the settlement window, `priced_since` the first price's time, `crowding` (1e-4)
    the open interest's weight on initial margin, `builders` what each builder is owed, `builder_fees` their sum.
    `until` is when a status of the guardian's may end, `flagged_at` when it last gave one. `template` is NO_TEMPLATE
    for a market of genesis.
    """

    terms: MarketTerms
    parameters: bytes
    book: Book = field(default_factory=Book)
    index_price: int = 0
    mark_price: int = 0
    priced_at: int = 0
    rate_time: int = 0
    premium: int = 0
    flags: int = 0
    crowding: int = 0
    funding_index: int = 0
    funded_at: int = 0
    fees: int = 0
    size_funding: int = 0
    entry_total: int = 0
    dust: int = 0
    shortfall: int = 0
    open_interest: int = 0
    window_sum: int = 0
    priced_since: int = 0
    builder_fees: int = 0
    builders: dict[int, int] = field(default_factory=dict)
    until: int = 0
    flagged_at: int = 0
    template: int = NO_TEMPLATE

    @property
    def reduce_only(self) -> bool:
        """Whether only reduce-only orders are taken, whatever the price."""
        return self.flags & (SHORTFALL_BOOKED | RESTRICTED) != 0

    @property
    def halted(self) -> bool:
        """Whether nothing but cancels is taken."""
        return self.flags & HALTED != 0

    @property
    def expired(self) -> bool:
        """Whether the settlement price is fixed."""
        return self.flags & EXPIRED != 0

    def over(self, time: int) -> bool:
        """Whether venue time has reached the market's expiry: nothing trades any more."""
        return 0 < self.terms.expiry * MICRO <= time

    def fresh(self, time: int) -> bool:
        """Whether the market has a price not older than its terms allow; a settlement price does not age."""
        return self.expired or (self.mark_price > 0 and time - self.priced_at <= self.terms.stale_after)


class State(Struct):
    """Everything `apply` can read."""

    genesis: Genesis
    ruleset: bytes
    markets: dict[int, Market]
    accounts: dict[int, Account]
    deposits: int = 0
    deposit_head: bytes = bytes(32)
    deposited: int = 0
    withdrawn: int = 0
    guardian_nonce: int = 0
    governor_nonce: int = 0

    @staticmethod
    def from_genesis(genesis: Genesis) -> "State":
        """The state before the first command: listed markets, and subaccount 0 (the insurance fund), unowned.

        Raises ValueError naming a term out of range.
        """
        genesis.check()
        markets = {t.market: Market(t, t.digest()) for t in sorted(genesis.markets, key=lambda t: t.market)}
        return State(genesis, genesis.ruleset(), markets, {INSURANCE_FUND: Account(bytes(20))})


def is_dead(state: State, account: Account, order: Order, time: int) -> bool:
    """Its market is over; or killed by a mass cancel, or by the end or replacement of the session that placed it."""
    if state.markets[order.market].over(time) or order.accepted < account.cancelled_before:
        return True
    if order.session == BY_OWNER_KEY:
        return False
    session = account.sessions[order.session]
    return not session.lives(time) or order.accepted >> 6 < session.from_sequence
