"""Reading the state for people: one account, one market. Copies, never the live records."""

from msgspec import Struct

from penstock.spec.margin import assess, initial_with_orders, unrealised
from penstock.spec.positions import funding_owed
from penstock.spec.prices import funding_rate
from penstock.spec.state import State


class PositionView(Struct, frozen=True):
    """Size units, and 1e-6 USDC: entry cost, profit at the mark, funding the holder owes."""

    market: int
    size: int
    entry: int
    unrealised: int
    unsettled_funding: int


class OrderView(Struct, frozen=True):
    """An order still in the book, in price units and size units; its session key may have died since."""

    slot: int
    nonce: int
    first_nonce: int
    market: int
    side: int
    price: int
    size: int
    filled: int
    post_only: bool
    reduce_only: bool


class SessionView(Struct, frozen=True):
    """A session key as granted; `revoked_at` 0 while it lives."""

    session: int
    key: bytes
    expiry: int
    slot_first: int
    slot_last: int
    scopes: int
    underlyings: int
    kinds: int
    revoked_at: int


class AccountView(Struct, frozen=True):
    """One subaccount; money in 1e-6 USDC."""

    subaccount: int
    owner: bytes
    cash: int
    withdrawn: int
    equity: int
    initial_margin: int
    maintenance_margin: int
    positions: list[PositionView]
    orders: list[OrderView]
    sessions: list[SessionView]


class MarketView(Struct, frozen=True):
    """One market: prices in price units, funding rate in parts per 1e9 and 8 h, money in 1e-6 USDC."""

    market: int
    index_price: int
    mark_price: int
    priced_at: int
    funding_index: int
    funding_rate: int
    open_interest: int
    fees: int
    dust: int
    shortfall: int
    reduce_only: bool


def account_view(state: State, subaccount: int) -> AccountView | None:
    """The account, or None if it was never credited. `initial_margin` includes open orders."""
    account = state.accounts.get(subaccount)
    if account is None:
        return None
    risk = assess(state, account)
    positions = [
        PositionView(
            market_id,
            position.size,
            position.entry,
            unrealised(position, state.markets[market_id]),
            funding_owed(position, state.markets[market_id].funding_index),
        )
        for market_id, position in sorted(account.positions.items())
    ]
    orders = [
        OrderView(
            o.slot, o.nonce, o.first_nonce, o.market, o.side, o.price, o.size, o.filled, o.post_only, o.reduce_only
        )
        for _, o in sorted(account.orders.items())
        if o.accepted >= account.cancelled_before
    ]
    sessions = [
        SessionView(index, s.key, s.expiry, s.slot_first, s.slot_last, s.scopes, s.underlyings, s.kinds, s.revoked_at)
        for index, s in sorted(account.sessions.items())
    ]
    initial = initial_with_orders(state, account, account.lots)
    return AccountView(
        subaccount, account.owner, account.cash, account.withdrawn, risk.equity, initial, risk.maintenance,
        positions, orders, sessions,
    )  # fmt: skip


def market_view(state: State, market: int) -> MarketView | None:
    """The market, or None if it is not listed."""
    found = state.markets.get(market)
    if found is None:
        return None
    return MarketView(
        market, found.index_price, found.mark_price, found.priced_at, found.funding_index, funding_rate(found),
        found.open_interest, found.fees, found.dust, found.shortfall, found.reduce_only,
    )  # fmt: skip
