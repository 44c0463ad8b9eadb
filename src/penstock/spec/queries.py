"""Reading the state for people: one account, one market. Copies, never the live records."""

from collections.abc import Iterator

from penstock.protocol.events import BY_OWNER_KEY
from penstock.protocol.views import AccountView, AtRest, MarketView, OrderView, PositionView, RestingOrder, SessionView
from penstock.spec.margin import assess, initial_with_orders, unrealised
from penstock.spec.positions import funding_owed
from penstock.spec.prices import funding_rate
from penstock.spec.state import Account, Order, State


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
        found.open_interest, found.fees, found.dust, found.shortfall, found.rate_time, found.premium,
        found.builder_fees, found.flags, found.until,
        found.template, found.terms.expiry, found.terms.strike, found.terms.option_type,
    )  # fmt: skip


def resting(state: State) -> Iterator[AtRest]:
    """Every account, ascending, with what of it the public books are made of."""
    for subaccount, account in sorted(state.accounts.items()):
        yield AtRest(
            subaccount,
            [(market, position.size) for market, position in sorted(account.positions.items())],
            [(place, s.expiry) for place, s in sorted(account.sessions.items()) if not s.revoked_at],
            [
                RestingOrder(
                    o.slot, o.nonce, o.market, o.side, o.price, o.size, o.session, _is_killed(state, account, o)
                )
                for _, o in sorted(account.orders.items())
            ],
        )


def _is_killed(state: State, account: Account, order: Order) -> bool:
    """Dead whatever the time is: only the expiry of its session key, or of a market not expired yet, is not seen."""
    if state.markets[order.market].expired or order.accepted < account.cancelled_before:
        return True
    if order.session == BY_OWNER_KEY:
        return False
    session = account.sessions[order.session]
    return session.revoked_at != 0 or order.accepted >> 6 < session.from_sequence
