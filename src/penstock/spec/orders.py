"""Deciding orders: place, replace, cancel. Reads the state; may refuse; writes nothing."""

from msgspec import Struct

from penstock.protocol.commands import BUY, IMMEDIATE_OR_CANCEL, SELL, CancelAll, CancelOrder, PlaceOrder
from penstock.protocol.events import (
    AllCancelled,
    Event,
    OrderAmended,
    OrderCancelled,
    OrderRested,
    RemainderCancelled,
)
from penstock.protocol.quantities import MAX_BUILDER_FEE, MAX_OPEN_ORDERS, MAX_POSITIONS, MAX_REDUCE_ONLY
from penstock.protocol.reasons import Cause, Reason, Refusal
from penstock.spec.margin import assess, grew_or_flipped, initial_with_orders, is_legal
from penstock.spec.matching import Match, Moment, Taker, cancelled, crosses, match
from penstock.spec.state import INSURANCE_FUND, Account, Market, Order, is_dead, stamp


class Place(Struct, frozen=True):
    """A place command with what the checks need beside it.

    `old` is the live order in its slot, if any; `leaving` the order there, dead or alive, that this one ousts.
    """

    command: PlaceOrder
    record_hash: bytes
    session: int
    account: Account
    market: Market
    old: Order | None
    leaving: Order | None
    lots: dict[int, list[int]]


def flags_of(command: PlaceOrder) -> int:
    """The slot leaf's flags: bit 0 side, 1 immediate-or-cancel, 2 post-only, 3 reduce-only."""
    return command.side | command.time_in_force << 1 | command.post_only << 2 | command.reduce_only << 3


def decide_cancel(moment: Moment, command: CancelOrder) -> list[Event]:
    """Cancel the slot's live order."""
    account = moment.state.accounts[command.subaccount]
    order = account.orders.get(command.slot)
    if order is None or is_dead(moment.state, account, order, moment.time):
        raise Refusal(Reason.ORDER_UNKNOWN)
    return [cancelled(order, order.size, Cause.BY_OWNER)]


def decide_cancel_all(moment: Moment, command: CancelAll) -> list[Event]:
    """Kill every order placed before this command."""
    return [AllCancelled(command.subaccount, stamp(moment.sequence, moment.member))]


def decide_place(moment: Moment, command: PlaceOrder, record_hash: bytes, session: int) -> list[Event]:
    """Check, then amend in place, or leave the slot, match, and rest what remains."""
    market = moment.state.markets.get(command.market)
    if market is None:
        raise Refusal(Reason.MARKET_UNKNOWN)
    if market.over(moment.time):
        raise Refusal(Reason.MARKET_EXPIRED)
    if market.halted:
        raise Refusal(Reason.MARKET_HALTED)
    _check_fields(command, market)
    _check_builder(moment, command)
    if not command.reduce_only:
        if not market.fresh(moment.time):
            raise Refusal(Reason.PRICE_STALE)
        if market.reduce_only:
            raise Refusal(Reason.MARKET_REDUCE_ONLY)
    account = moment.state.accounts[command.subaccount]
    old = account.orders.get(command.slot)
    events: list[Event] = []
    dead = old is not None and is_dead(moment.state, account, old, moment.time)
    if _filled_since(account, command.slot, None if dead else old) > command.fill_guard:
        raise Refusal(Reason.FILLED_SINCE)
    if old and dead:
        events.append(cancelled(old, old.size, Cause.DEAD))
        place = Place(command, record_hash, session, account, market, None, old, _lots_without(account, old))
    else:
        place = Place(command, record_hash, session, account, market, old, old, _lots_without(account, old))
        if old:
            if _keeps_priority(command, old):
                return [_amended(moment, place)]
            events.append(cancelled(old, old.size, Cause.REPLACED))
    _check_counts(place)
    return events + _enter(moment, place)


def _filled_since(account: Account, slot: int, old: Order | None) -> int:
    """What a fill guard is compared with: the fill of the order in the slot, or of the last one that filled there.

    So a replace that arrives after its order has filled completely is refused like one after a partial fill.
    """
    if old:
        return old.filled
    gone = account.filled.get(slot)
    return gone.filled if gone else 0


def _check_fields(command: PlaceOrder, market: Market) -> None:
    terms = market.terms
    if command.side not in (BUY, SELL) or command.time_in_force > IMMEDIATE_OR_CANCEL:
        raise Refusal(Reason.FIELD_UNKNOWN_VALUE)
    if command.post_only and command.time_in_force == IMMEDIATE_OR_CANCEL:
        raise Refusal(Reason.FLAGS_CONFLICT)
    if command.price == 0:
        raise Refusal(Reason.PRICE_NOT_POSITIVE)
    if command.price % terms.tick:
        raise Refusal(Reason.PRICE_OFF_TICK)
    if command.size == 0:
        raise Refusal(Reason.SIZE_NOT_POSITIVE)
    if command.size % terms.lot:
        raise Refusal(Reason.SIZE_OFF_LOT)
    fee = terms.maker_fee_ppm if command.post_only else max(terms.maker_fee_ppm, terms.taker_fee_ppm)
    if command.max_fee_ppm < fee:
        raise Refusal(Reason.FEE_ABOVE_MAXIMUM)


def _check_builder(moment: Moment, command: PlaceOrder) -> None:
    if command.builder == 0 and command.builder_fee_ppm == 0:
        return
    if command.builder == INSURANCE_FUND or command.builder not in moment.state.accounts:
        raise Refusal(Reason.BUILDER_UNKNOWN)
    if command.builder_fee_ppm > MAX_BUILDER_FEE:
        raise Refusal(Reason.BUILDER_FEE_TOO_HIGH)


def _check_counts(place: Place) -> None:
    command, account = place.command, place.account
    held = account.positions.get(command.market)
    leaving = place.leaving
    # An order killed by a mass cancel was forgotten with it; one that died with its session still counts.
    frees = leaving is not None and leaving.accepted >= account.cancelled_before
    if command.reduce_only:
        if held is None or (held.size > 0) == (command.side == BUY):
            raise Refusal(Reason.REDUCE_ONLY_WOULD_GROW)
        own = leaving is not None and frees and leaving.reduce_only and leaving.market == command.market
        if account.reduce_only.get(command.market, 0) - own >= MAX_REDUCE_ONLY:
            raise Refusal(Reason.REDUCE_ONLY_LIMIT)
    if account.open_orders - frees >= MAX_OPEN_ORDERS:
        raise Refusal(Reason.OPEN_ORDER_LIMIT)


def _keeps_priority(command: PlaceOrder, old: Order) -> bool:
    return (
        old.market == command.market
        and old.side == command.side
        and old.price == command.price
        and command.size <= old.size
        and old.reduce_only == command.reduce_only
        and command.time_in_force != IMMEDIATE_OR_CANCEL
    )


def _amended(moment: Moment, place: Place) -> OrderAmended:
    command = place.command
    return OrderAmended(
        command.subaccount, command.slot, command.nonce, command.market, command.side, command.price,
        command.size, stamp(moment.sequence, moment.member), place.session, command.post_only, place.record_hash,
    )  # fmt: skip


def _lots_without(account: Account, old: Order | None) -> dict[int, list[int]]:
    """Open lots per market, the order being replaced left out."""
    lots = {market: list(sides) for market, sides in account.lots.items()}
    if old and not old.reduce_only and old.accepted >= account.cancelled_before:
        lots[old.market][old.side] -= old.size
    return lots


def _enter(moment: Moment, place: Place) -> list[Event]:
    """Match what crosses, rest or cancel the remainder, and judge the subject at the end."""
    command = place.command
    if command.post_only:
        events: list[Event] = [*_clear_the_touch(moment, place)]
        walk = Match(command.size)
    else:
        walk = match(moment, _taker(place), command.size, place.leaving)
        events = walk.events
    if walk.remaining:
        events.append(_remainder(moment, place, walk))
    _judge(moment, place, walk, rested=bool(events) and isinstance(events[-1], OrderRested))
    return events


def _taker(place: Place) -> Taker:
    command = place.command
    return Taker(
        command.subaccount, command.market, command.side, command.price, command.slot, command.nonce,
        flags_of(command), command.reduce_only, place.market.terms.taker_fee_ppm, place.session, place.record_hash,
        command.builder, command.builder_fee_ppm,
    )  # fmt: skip


def _clear_the_touch(moment: Moment, place: Place) -> list[OrderCancelled]:
    """Dead orders standing in a post-only order's way are removed; a live one refuses it."""
    removed = []
    for order in place.market.book.best_first(1 - place.command.side):
        if not crosses(place.command.side, place.command.price, order.price):
            break
        maker = moment.state.accounts[order.subaccount]
        replaces_it = order is place.leaving
        if not replaces_it and (moment.exhausted() or not is_dead(moment.state, maker, order, moment.time)):
            raise Refusal(Reason.POST_ONLY_WOULD_TRADE)
        if not replaces_it:
            moment.removed += 1
            removed.append(cancelled(order, order.size, Cause.DEAD))
    return removed


def _remainder(moment: Moment, place: Place, walk: Match) -> Event:
    command = place.command
    cause = None
    if walk.spent:
        cause = Cause.REDUCE_ONLY_SPENT
    elif command.time_in_force == IMMEDIATE_OR_CANCEL:
        cause = Cause.IMMEDIATE_REMAINDER
    elif moment.exhausted() and not command.post_only:
        cause = Cause.FILL_LIMIT
    if cause:
        return RemainderCancelled(
            command.subaccount, command.slot, command.nonce, command.market, command.side, command.price,
            walk.remaining, cause,
        )  # fmt: skip
    return OrderRested(
        command.subaccount, command.slot, command.nonce, place.old.first_nonce if place.old else command.nonce,
        command.market, command.side, command.price, walk.remaining, command.size - walk.remaining,
        moment.sequence, moment.member, place.session, command.post_only, command.reduce_only, place.record_hash,
    )  # fmt: skip


def _judge(moment: Moment, place: Place, walk: Match, *, rested: bool) -> None:
    """The subject after its last fill, and the margin its resting remainder reserves."""
    state, account, command = moment.state, place.account, place.command
    after = walk.drafts.get(command.subaccount, account)
    risk = assess(state, after)
    lots = place.lots
    if walk.remaining < command.size:
        held, holds = account.positions.get(command.market), after.positions.get(command.market)
        grew = grew_or_flipped(held.size if held else 0, holds.size if holds else 0)
        if len(after.positions) > MAX_POSITIONS:
            raise Refusal(Reason.POSITION_LIMIT)
        if grew and holds and abs(holds.size) > place.market.terms.position_cap:
            raise Refusal(Reason.POSITION_CAP)
        if walk.sums.open_interest > max(place.market.open_interest, place.market.terms.open_interest_cap):
            raise Refusal(Reason.OPEN_INTEREST_CAP)
        covered = risk.equity >= initial_with_orders(state, after, lots)
        if not covered and (grew or not is_legal(assess(state, account), risk, grew=grew)):
            raise Refusal(Reason.MARGIN_TOO_LOW)
    if not rested or command.reduce_only:
        return
    if command.market not in after.positions and len(after.positions) >= MAX_POSITIONS:
        raise Refusal(Reason.POSITION_LIMIT)
    open_sides = lots.setdefault(command.market, [0, 0])
    open_sides[command.side] += walk.remaining
    wanted = initial_with_orders(state, after, lots)
    if risk.equity < wanted and wanted > initial_with_orders(state, account, account.lots):
        raise Refusal(Reason.MARGIN_TOO_LOW)
