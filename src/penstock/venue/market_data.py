"""What the public may see: books by price, trades, prices, the day. It can be rebuilt from events alone at any time,
and all but the trades and the day from a state.

Orders that a mass cancel, a revocation or an expiry killed leave the public books at once, although the engine
removes them one by one; until it has, they are in `dead`.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

from penstock.protocol.commands import BUY, SELL
from penstock.protocol.events import (
    BY_OWNER_KEY,
    NO_SLOT,
    AllCancelled,
    DepositCredited,
    FundingAccrued,
    MarketDelisted,
    MarketExpired,
    MarketFlagged,
    MarketListed,
    OrderAmended,
    OrderCancelled,
    OrderRested,
    PositionExpired,
    PricePublished,
    SessionGranted,
    SessionRevoked,
    Traded,
)
from penstock.protocol.quantities import MICRO
from penstock.protocol.terms import Genesis, MarketTerms
from penstock.protocol.views import AtRest, MarketView
from penstock.venue.levels import Day, Side
from penstock.venue.sequencer import Executed

KEPT_TRADES: Final = 1_000
FILL_BITS: Final = 8
"""A command makes at most 256 trades."""


class Trade(Struct, frozen=True):
    """One match, in price units and size units. `number` is the sequence of its command times 256, and one more each.

    `tick_direction` is 0 for up, 1 for level after an up, 2 for down, 3 for level after a down.
    """

    number: int
    time: int
    price: int
    size: int
    side: int
    index_price: int
    mark_price: int
    tick_direction: int
    liquidation: bool


class Settlement(Struct, frozen=True):
    """A position of `size` (signed size units) that became `cash` (1e-6 USDC) as its market had ended, at `time`."""

    time: int
    subaccount: int
    size: int
    cash: int


class Changes(Struct):
    """What happened to one market since a watcher last looked.

    `levels` holds (side, price) → the size before; `ticker` says that the last ticker sent is old.
    """

    levels: dict[tuple[int, int], int] = field(default_factory=dict)
    trades: list[Trade] = field(default_factory=list)
    ticker: bool = False


class PublicOrder(Struct):
    """A live resting order as far as the public books need it."""

    market: int
    side: int
    price: int
    size: int
    nonce: int
    session: int


class PublicMarket:
    """One market's public face. `change_id` rises by one for each command (or moment of expiry) that moved its book."""

    def __init__(self, terms: MarketTerms) -> None:
        self.terms = terms
        self.sides = (Side(BUY), Side(SELL))
        self.change_id = 0
        self.time = 0
        self.index_price = 0
        self.mark_price = 0
        self.funding_rate = 0
        self.rate_time = 0
        self.open_interest = 0
        self.ended = False
        self.flags = 0
        self.until = 0
        self.priced_at = 0
        self.trades: deque[Trade] = deque(maxlen=KEPT_TRADES)
        self.trade_count = 0
        self.settlements: deque[Settlement] = deque(maxlen=KEPT_TRADES)
        self.settlement_count = 0
        self.day = Day()
        self.watchers: list[Changes] = []
        self._tick_direction = 1

    def over(self, time: int) -> bool:
        """Whether venue time has reached the market's expiry."""
        return 0 < self.terms.expiry * MICRO <= time

    @property
    def last_price(self) -> int | None:
        """Price of the newest trade, in price units."""
        return self.trades[-1].price if self.trades else None

    def shift(self, side: int, price: int, by: int) -> None:
        """Move a level's total."""
        before = self.sides[side].shift(price, by)
        for watcher in self.watchers:
            watcher.levels.setdefault((side, price), before)

    def touch(self) -> None:
        """Note that a ticker sent before now is old."""
        for watcher in self.watchers:
            watcher.ticker = True

    def trade(self, number: int, time: int, event: Traded) -> None:
        """Add one match to the tape."""
        last = self.last_price
        if last is not None and event.price != last:
            self._tick_direction = 0 if event.price > last else 2
        elif self._tick_direction in (0, 2):
            self._tick_direction += 1
        self.trade_count += 1
        trade = Trade(
            number, time, event.price, event.size, event.taker_side,
            self.index_price, self.mark_price, self._tick_direction, event.liquidation,
        )  # fmt: skip
        self.trades.append(trade)
        self.day.add(time, event.price, event.size)
        for watcher in self.watchers:
            watcher.trades.append(trade)


class MarketData:
    """The projection: feed it every durable command in order with `follow`, and time in between with `advance`."""

    def __init__(self, genesis: Genesis) -> None:
        self._genesis = genesis
        self.markets: dict[int, PublicMarket] = {}
        self._endings: list[tuple[int, int]] = []
        for terms in genesis.markets:
            self._add(terms)
        self.builders: dict[tuple[int, int], int] = {}
        self.time = 0
        self._last_trade = 0
        self.accounts = 1
        self.orders: dict[int, dict[int, PublicOrder]] = {}
        self.dead: dict[tuple[int, int], int] = {}
        self.positions: dict[int, dict[int, int]] = {}
        self._sessions: dict[tuple[int, int], int] = {}
        self._expiries: list[tuple[int, int, int]] = []
        self._moved: set[int] = set()
        self._takers: dict[type, Callable[[Executed, Any], None]] = {
            OrderRested: self._rest,
            OrderAmended: self._amend,
            OrderCancelled: self._cancel,
            Traded: self._trade,
            AllCancelled: self._cancel_all,
            SessionGranted: self._grant,
            SessionRevoked: self._revoke,
            PricePublished: self._price,
            FundingAccrued: self._fund,
            DepositCredited: self._credit,
            MarketListed: self._list,
            MarketFlagged: self._flag,
            MarketDelisted: self._delist,
            MarketExpired: self._expire,
            PositionExpired: self._expire_position,
        }

    @classmethod
    def restore(
        cls,
        genesis: Genesis,
        time: int,
        views: Sequence[MarketView],
        accounts: Iterable[AtRest],
    ) -> "MarketData":
        """The projection at venue time `time` (µs), from an engine's `markets()` and `resting()` instead of events.

        Books, tickers, dead orders, positions and expiries go on as if every event had been followed. Trades and the
        day's statistics start empty, and `change_id` starts at 0.
        """
        restored = cls(genesis)
        restored.time = time
        for view in views:
            terms = genesis.terms_of(view.market, view.template, view.expiry, view.strike, view.option_type)
            if restored.markets.get(view.market) is None or restored.markets[view.market].terms != terms:
                restored._add(terms)
        for account in accounts:
            restored._take_account(account)
        for view in views:
            market = restored.markets[view.market]
            market.open_interest, market.rate_time = view.open_interest, view.rate_time
            market.time, market.ended = time, market.over(time)
            restored._quote(view)
        restored._moved.clear()
        return restored

    def _take_account(self, account: AtRest) -> None:
        subaccount = account.subaccount
        self.accounts = max(self.accounts, subaccount + 1)
        if account.positions:
            self.positions[subaccount] = dict(account.positions)
        living = {BY_OWNER_KEY}
        for session, seconds in account.sessions:
            expiry = seconds * MICRO
            if expiry > self.time:
                living.add(session)
                self._sessions[subaccount, session] = expiry
                heappush(self._expiries, (expiry, subaccount, session))
        for order in account.orders:
            if order.killed or order.session not in living or self.markets[order.market].over(self.time):
                self.dead[subaccount, order.slot] = order.nonce
                continue
            self.orders.setdefault(subaccount, {})[order.slot] = PublicOrder(
                order.market, order.side, order.price, order.size, order.nonce, order.session
            )
            self._shift(order.market, order.side, order.price, order.size)

    def follow(self, executed: Sequence[Executed]) -> None:
        """Take the next durable commands."""
        for command in executed:
            self.advance(command.time)
            for event in command.events:
                take = self._takers.get(type(event))
                if take is not None:
                    take(command, event)
            for view in command.markets:
                self._quote(view)
            if self._moved:
                self._number_changes(command.time)

    def advance(self, time: int) -> None:
        """Let venue time reach `time` (µs): orders of sessions that expired on the way are dead."""
        self.time = max(self.time, time)
        while self._expiries and self._expiries[0][0] <= time:
            expiry, subaccount, session = heappop(self._expiries)
            if self._sessions.get((subaccount, session)) == expiry:
                del self._sessions[subaccount, session]
                self._kill(subaccount, session)
        while self._endings and self._endings[0][0] <= time:
            self._end(heappop(self._endings)[1])
        if self._moved:
            self._number_changes(time)

    def _add(self, terms: MarketTerms) -> PublicMarket:
        market = self.markets[terms.market] = PublicMarket(terms)
        if terms.expiry:
            heappush(self._endings, (terms.expiry * MICRO, terms.market))
        return market

    def _end(self, number: int) -> None:
        """A market's time is over: every order in it is dead."""
        market = self.markets[number]
        if not market.over(self.time):
            return
        for subaccount, orders in list(self.orders.items()):
            for slot, order in list(orders.items()):
                if order.market == number:
                    self.dead[subaccount, slot] = order.nonce
                    self._remove(subaccount, slot)
        market.ended = True
        market.touch()

    def _list(self, command: Executed, event: MarketListed) -> None:
        terms = self._genesis.terms_of(event.market, event.template, event.expiry, event.strike, event.option_type)
        self._add(terms).time = command.time

    def _flag(self, command: Executed, event: MarketFlagged) -> None:
        market = self.markets[event.market]
        market.flags, market.until, market.time = event.flags, event.until, command.time
        market.touch()

    def _delist(self, _: Executed, event: MarketDelisted) -> None:
        market = self.markets[event.market]
        market.terms = replace(market.terms, expiry=event.expiry)
        heappush(self._endings, (event.expiry * MICRO, event.market))
        market.touch()

    def _expire(self, command: Executed, event: MarketExpired) -> None:
        market = self.markets[event.market]
        market.index_price, market.mark_price, market.time = event.index_price, event.mark_price, command.time
        market.touch()

    def _expire_position(self, command: Executed, event: PositionExpired) -> None:
        market = self.markets[event.market]
        market.settlements.append(Settlement(command.time, event.subaccount, event.size, event.cash))
        market.settlement_count += 1
        market.open_interest += self._fill(event.subaccount, event.market, -event.size)
        market.touch()

    def _rest(self, _: Executed, event: OrderRested) -> None:
        orders = self.orders.setdefault(event.subaccount, {})
        orders[event.slot] = PublicOrder(event.market, event.side, event.price, event.size, event.nonce, event.session)
        self._shift(event.market, event.side, event.price, event.size)

    def _amend(self, _: Executed, event: OrderAmended) -> None:
        order = self.orders.get(event.subaccount, {}).get(event.slot)
        if order is None:
            return  # `advance` was told a time later than this command's
        self._shift(order.market, order.side, order.price, event.size - order.size)
        order.size, order.nonce, order.session = event.size, event.nonce, event.session

    def _credit(self, _: Executed, event: DepositCredited) -> None:
        self.accounts = max(self.accounts, event.subaccount + 1)

    def _price(self, _: Executed, event: PricePublished) -> None:
        self.markets[event.market].rate_time = event.rate_time

    def _fund(self, _: Executed, event: FundingAccrued) -> None:
        self.markets[event.market].rate_time = 0

    def _cancel_all(self, _: Executed, event: AllCancelled) -> None:
        self._kill(event.subaccount)

    def _revoke(self, _: Executed, event: SessionRevoked) -> None:
        self._sessions.pop((event.subaccount, event.session), None)
        self._kill(event.subaccount, event.session)

    def _cancel(self, _: Executed, event: OrderCancelled) -> None:
        self.dead.pop((event.subaccount, event.slot), None)
        self._remove(event.subaccount, event.slot)

    def _trade(self, command: Executed, event: Traded) -> None:
        market = self.markets[event.market]
        # By its place in the order: the same number after any restart, and at every follower.
        number = max(command.sequence << FILL_BITS, self._last_trade + 1)
        self._last_trade = number
        market.trade(number, command.time, event)
        order = self.orders.get(event.maker, {}).get(event.maker_slot)
        if order is not None and event.maker_slot != NO_SLOT:
            self._shift(order.market, order.side, order.price, -event.size)
            order.size -= event.size
            if order.size == 0:
                del self.orders[event.maker][event.maker_slot]
        change = event.size if event.taker_side == BUY else -event.size
        if event.builder_fee:
            owed = (event.market, event.builder)
            self.builders[owed] = self.builders.get(owed, 0) + event.builder_fee
        market.open_interest += self._fill(event.taker, event.market, change)
        market.open_interest += self._fill(event.maker, event.market, -change)
        market.time = command.time
        market.touch()

    def _fill(self, subaccount: int, market: int, change: int) -> int:
        """Move a position; returns by how much its long part grew."""
        positions = self.positions.setdefault(subaccount, {})
        before = positions.pop(market, 0)
        after = before + change
        if after:
            positions[market] = after
        elif not positions:
            del self.positions[subaccount]
        return max(after, 0) - max(before, 0)

    def _grant(self, _: Executed, event: SessionGranted) -> None:
        # A place is given to another key only once its last one is dead, and then its orders are gone from here.
        expiry = event.expiry * MICRO
        self._sessions[event.subaccount, event.session] = expiry
        heappush(self._expiries, (expiry, event.subaccount, event.session))

    def _kill(self, subaccount: int, session: int | None = None) -> None:
        """Take dead orders of a subaccount out of public sight: all, or those of one session key."""
        orders = self.orders.get(subaccount)
        if not orders or session == BY_OWNER_KEY:
            return
        for slot, order in list(orders.items()):
            if session in (None, order.session):
                self.dead[subaccount, slot] = order.nonce
                self._remove(subaccount, slot)

    def _remove(self, subaccount: int, slot: int) -> None:
        order = self.orders.get(subaccount, {}).pop(slot, None)
        if order is not None:
            self._shift(order.market, order.side, order.price, -order.size)

    def _shift(self, market: int, side: int, price: int, by: int) -> None:
        if by:
            self.markets[market].shift(side, price, by)
            self._moved.add(market)

    def _quote(self, view: MarketView) -> None:
        market = self.markets[view.market]
        market.index_price, market.mark_price = view.index_price, view.mark_price
        market.funding_rate, market.flags, market.until = view.funding_rate, view.flags, view.until
        market.priced_at = view.priced_at
        market.time = max(market.time, self.time)
        market.touch()

    def _number_changes(self, time: int) -> None:
        for number in self._moved:
            market = self.markets[number]
            market.change_id += 1
            market.time = time
            market.touch()
        self._moved.clear()
