"""Writing what events say. Never refuses, reads no command; the events alone rebuild the state."""

from collections.abc import Callable
from typing import Any

from penstock.protocol import events as say
from penstock.protocol.quantities import FUNDING_SCALE
from penstock.spec.evolve_markets import MARKET_WRITERS
from penstock.spec.positions import fill, signed
from penstock.spec.state import (
    INSURANCE_FUND,
    SHORTFALL_BOOKED,
    Account,
    FilledSlot,
    Market,
    Order,
    Session,
    State,
    stamp,
)


def evolve(state: State, event: say.Event) -> None:
    """Write one event into the state."""
    writer = _WRITERS.get(type(event))
    if writer:
        writer(state, event)


def _guard(state: State, event: say.SlotGuarded) -> None:
    state.accounts[event.subaccount].guards[event.slot] = event.nonce


def _deposit(state: State, event: say.DepositCredited) -> None:
    account = state.accounts.setdefault(event.subaccount, Account(event.owner))
    account.cash += event.amount
    state.deposits = event.deposit + 1
    state.deposit_head = event.head
    state.deposited += event.amount


def _withdraw(state: State, event: say.CashWithdrawn) -> None:
    account = state.accounts[event.subaccount]
    account.cash -= event.amount
    account.withdrawn += event.amount
    state.withdrawn += event.amount


def _grant(state: State, event: say.SessionGranted) -> None:
    account = state.accounts[event.subaccount]
    previous = account.sessions.get(event.session)
    if previous and previous.key != event.key:
        del account.session_of[previous.key]
    account.sessions[event.session] = Session(
        event.key, event.expiry, event.slot_first, event.slot_last, event.scopes, event.underlyings, event.kinds,
        event.from_sequence,
    )  # fmt: skip
    account.session_of[event.key] = event.session


def _revoke(state: State, event: say.SessionRevoked) -> None:
    state.accounts[event.subaccount].sessions[event.session].revoked_at = event.sequence


def _rest(state: State, event: say.OrderRested) -> None:
    account = state.accounts[event.subaccount]
    order = Order(
        event.subaccount, event.slot, event.nonce, event.first_nonce, event.market, event.side, event.price,
        event.size, event.filled, event.sequence, event.member, stamp(event.sequence, event.member), event.session,
        event.post_only, event.reduce_only, event.record_hash,
    )  # fmt: skip
    account.orders[event.slot] = order
    state.markets[event.market].book.add(order)
    _reserve(account, order, order.size, 1)


def _amend(state: State, event: say.OrderAmended) -> None:
    account = state.accounts[event.subaccount]
    order = account.orders[event.slot]
    _reserve(account, order, event.size - order.size, 0)
    order.nonce, order.size, order.filled = event.nonce, event.size, 0
    order.accepted, order.session = event.accepted, event.session
    order.post_only, order.record_hash = event.post_only, event.record_hash


def _cancel(state: State, event: say.OrderCancelled) -> None:
    account = state.accounts[event.subaccount]
    order = account.orders.pop(event.slot)
    state.markets[event.market].book.remove(order)
    _reserve(account, order, -order.size, -1)


def _cancel_all(state: State, event: say.AllCancelled) -> None:
    account = state.accounts[event.subaccount]
    account.cancelled_before = event.stamp
    account.open_orders = 0
    account.lots.clear()
    account.reduce_only.clear()


def _reserve(account: Account, order: Order, size: int, count: int) -> None:
    """Add to what open orders reserve; orders a mass cancel killed were forgotten with it."""
    if order.accepted < account.cancelled_before:
        return
    account.open_orders += count
    if order.reduce_only:
        left = account.reduce_only.get(order.market, 0) + count
        account.reduce_only[order.market] = left
        if left == 0:
            del account.reduce_only[order.market]
        return
    sides = account.lots.setdefault(order.market, [0, 0])
    sides[order.side] += size
    if sides == [0, 0]:
        del account.lots[order.market]


def _trade(state: State, event: say.Traded) -> None:
    market = state.markets[event.market]
    maker, taker = state.accounts[event.maker], state.accounts[event.taker]
    change = signed(event.taker_side, event.size)
    _fill(market, maker, event, -change, event.maker_fee)
    _fill(market, taker, event, change, event.taker_fee + event.builder_fee)
    market.fees += event.maker_fee + event.taker_fee
    if event.builder_fee:
        market.builders[event.builder] = market.builders.get(event.builder, 0) + event.builder_fee
        market.builder_fees += event.builder_fee
    order = maker.orders[event.maker_slot]
    order.size -= event.size
    order.filled += event.size
    flags = order.side | order.post_only << 2 | order.reduce_only << 3
    maker.filled[order.slot] = FilledSlot(
        order.nonce, order.filled, order.price, order.priority, order.member, flags, order.record_hash
    )
    _reserve(maker, order, -event.size, 0 if order.size else -1)
    if order.size == 0:
        del maker.orders[order.slot]
        market.book.remove(order)
    if event.taker_slot != say.NO_SLOT:
        _fill_taker_slot(taker, event)


def _fill(market: Market, account: Account, event: say.Traded, change: int, fee: int) -> None:
    """One side of a trade on the state, and the market's running sums with it."""
    before = account.positions.get(event.market)
    if before:
        market.size_funding -= before.size * before.funding
        market.entry_total -= before.entry
        market.open_interest -= max(0, before.size)
    outcome = fill(account, event.market, change, event.price, fee, market.funding_index)
    market.dust += outcome.dust
    after = account.positions.get(event.market)
    if after:
        market.size_funding += after.size * after.funding
        market.entry_total += after.entry
        market.open_interest += max(0, after.size)


def _fill_taker_slot(taker: Account, event: say.Traded) -> None:
    slot = taker.filled.get(event.taker_slot)
    if slot is None or slot.nonce != event.taker_nonce:
        slot = taker.filled[event.taker_slot] = FilledSlot(
            event.taker_nonce, 0, event.taker_price, event.sequence, event.member, event.taker_flags, event.taker_hash
        )
    slot.filled += event.size


def _sweep(state: State, event: say.FeesSwept) -> None:
    market = state.markets[event.market]
    market.fees -= event.fees
    market.dust -= event.dust * FUNDING_SCALE
    state.accounts[INSURANCE_FUND].cash += event.fees + event.dust - event.repaid
    market.shortfall -= event.repaid
    if market.shortfall == 0:
        market.flags &= ~SHORTFALL_BOOKED


def _shortfall(state: State, event: say.ShortfallCovered) -> None:
    state.accounts[event.subaccount].cash += event.from_fees + event.covered + event.booked
    state.accounts[INSURANCE_FUND].cash -= event.covered
    market = state.markets[event.market]
    market.fees -= event.from_fees
    market.shortfall += event.booked
    if event.booked:
        market.flags |= SHORTFALL_BOOKED


_WRITERS: dict[type, Callable[[State, Any], None]] = {
    say.SlotGuarded: _guard,
    say.DepositCredited: _deposit,
    say.CashWithdrawn: _withdraw,
    say.SessionGranted: _grant,
    say.SessionRevoked: _revoke,
    say.OrderRested: _rest,
    say.OrderAmended: _amend,
    say.OrderCancelled: _cancel,
    say.AllCancelled: _cancel_all,
    say.Traded: _trade,
    say.FeesSwept: _sweep,
    say.ShortfallCovered: _shortfall,
    **MARKET_WRITERS,
}
