"""Deciding the pokes nobody has discretion in: liquidate (first rung) and remove a dead order.

First rung: cancel the subaccount's orders, then close through the book inside a band around the mark, one slice
of one position a poke. What of the loss the account cannot pay is paid from the fees that market holds, then by
the insurance fund; the rest is booked on the market, which then takes reduce-only orders only.
"""

from collections.abc import Mapping
from typing import Protocol

from penstock.protocol.commands import BUY, SELL, Liquidate, RemoveDeadOrder
from penstock.protocol.events import BY_OWNER_KEY, NO_SLOT, AllCancelled, Event, ShortfallCovered
from penstock.protocol.instruments import OPTION
from penstock.protocol.quantities import CASH_BITS, PPM, PRICE_BITS, div_ceil, div_floor, fits
from penstock.protocol.reasons import Cause, Reason, Refusal
from penstock.spec.margin import Risk, Weighed, assess, requirements
from penstock.spec.matching import Match, Moment, Taker, cancelled, match
from penstock.spec.positions import Holding
from penstock.spec.state import INSURANCE_FUND, Account, Market, is_dead, stamp

SLICE_PPM = 200_000
"""A position above the slice notional is closed by a fifth at a time."""
OPTION_BAND_PPM = 250_000
"""An option is closed no further from its mark than this part of the mark, or a tick where that is more."""
FAVOUR = 2
"""A position without a fresh price counts at its last mark and one part in so many of its last index better."""


class Aging(Weighed, Protocol):
    """A market whose price may be too old."""

    def fresh(self, time: int) -> bool: ...


class Dated(Protocol):
    """Whatever knows markets by their number and how old their prices are."""

    @property
    def markets(self) -> Mapping[int, Aging]: ...


class SlicedTerms(Protocol):
    """The terms a liquidation is measured by; MarketTerms has them, and so have terms opened by a witness."""

    @property
    def kind(self) -> int: ...
    @property
    def tick(self) -> int: ...
    @property
    def lot(self) -> int: ...
    @property
    def liquidation_band_ppm(self) -> int: ...
    @property
    def liquidation_slice(self) -> int: ...


class Sliced(Protocol):
    """A market with prices and such terms."""

    @property
    def index_price(self) -> int: ...
    @property
    def mark_price(self) -> int: ...
    @property
    def terms(self) -> SlicedTerms: ...


def decide_liquidation(moment: Moment, command: Liquidate) -> list[Event]:
    """Cancel, then close a slice. Refused unless equity is below maintenance margin, what has no fresh price counted in
    the holder's favour."""
    state = moment.state
    account = state.accounts.get(command.subaccount)
    if account is None or command.subaccount == INSURANCE_FUND:
        raise Refusal(Reason.SUBACCOUNT_UNKNOWN)
    held = [state.markets[m] for m in account.positions]
    if any(market.over(moment.time) for market in held):
        # What has reached its expiry cannot be traded, and what it pays is not known or not booked yet.
        raise Refusal(Reason.EXPIRY_PENDING)
    risk = favoured(state, account, moment.time)
    if risk.equity >= risk.maintenance:
        is_stale = any(not market.fresh(moment.time) for market in held)
        raise Refusal(Reason.PRICE_STALE if is_stale else Reason.NOT_LIQUIDATABLE)
    if not account.positions:
        market = state.markets[min(state.markets)]
        return [decide_shortfall(moment, command.subaccount, -account.cash, market, market.fees)]
    events: list[Event] = []
    if account.open_orders:
        events.append(AllCancelled(command.subaccount, stamp(moment.sequence, moment.member)))
    for market in _largest_first(moment, account):
        walk = _close(moment, command.subaccount, account, market)
        events += walk.events
        left = walk.drafts[command.subaccount]
        missing = lacking(moment, account, left)
        if missing > 0:
            events.append(decide_shortfall(moment, command.subaccount, missing, market, walk.sums.fees))
        if walk.events:
            break
    if not events:
        raise Refusal(Reason.LIQUIDITY_MISSING)
    return events


def favoured(listed: Dated, holding: Holding | Account, time: int) -> Risk:
    """Equity and maintenance as a liquidation at `time` looks at them.

    A position without a fresh price counts at its last mark moved by half its last index in its holder's favour, and
    needs no margin: a price that is not known liquidates nobody, and shields nothing but about its own size.
    """
    risk = assess(listed, holding)
    equity, maintenance = risk.equity, risk.maintenance
    for number, position in holding.positions.items():
        market = listed.markets[number]
        if not market.fresh(time):
            equity += div_floor(abs(position.size) * market.index_price, FAVOUR)
            maintenance -= requirements(market, position.size)[1]
    return Risk(equity, risk.initial, maintenance)


def lacking(moment: Moment, before: Account, left: Holding) -> int:
    """What an account cannot pay itself after a forced closing: its negative cash; while it holds other positions, as
    much of the loss just made as its equity, as a liquidation looks at it, is below 0. Nothing is missing below 1.

    So a loss is booked where it arose, and not kept open by a scrap that nobody can close.
    """
    if not left.positions:
        return -left.cash
    return min(-left.cash, before.cash - left.cash, -favoured(moment.state, left, moment.time).equity)


def decide_removal(moment: Moment, command: RemoveDeadOrder) -> list[Event]:
    """Take an order out of the book that a mass cancel, a revocation or an expiry has killed."""
    account = moment.state.accounts.get(command.subaccount)
    if account is None:
        raise Refusal(Reason.SUBACCOUNT_UNKNOWN)
    order = account.orders.get(command.slot)
    if order is None or not is_dead(moment.state, account, order, moment.time):
        raise Refusal(Reason.ORDER_NOT_DEAD)
    return [cancelled(order, order.size, Cause.DEAD)]


def _largest_first(moment: Moment, account: Account) -> list[Market]:
    """The markets held that trade at a fresh price, largest maintenance requirement first, then lowest id.

    A long option needs what it is worth, which selling it does not free: it counts as 0.
    """
    markets = moment.state.markets

    def weight(number: int) -> tuple[int, int]:
        market, size = markets[number], account.positions[number].size
        is_long_option = market.terms.kind == OPTION and size > 0
        return 0 if is_long_option else -requirements(market, size)[1], number

    in_order = (markets[number] for number in sorted(account.positions, key=weight))
    return [market for market in in_order if not market.halted and market.fresh(moment.time)]


def _close(moment: Moment, subaccount: int, account: Account, market: Market) -> Match:
    """Match one slice of the position inside the band, as a taker without an order."""
    terms, size = market.terms, account.positions[market.terms.market].size
    side = SELL if size > 0 else BUY
    taker = Taker(
        subaccount, terms.market, side, band_price(market, side), NO_SLOT, 0, side, True,
        terms.liquidation_fee_ppm, BY_OWNER_KEY, bytes(32), liquidation=True,
    )  # fmt: skip
    return match(moment, taker, slice_of(market, abs(size)))


def slice_of(market: Sliced, size: int) -> int:
    """How much of a position of `size` one poke may close: all of it when small, else a fifth, up to a lot."""
    if size * reference_price(market) <= market.terms.liquidation_slice:
        return size
    fifth = div_ceil(size * SLICE_PPM, PPM)
    return min(size, div_ceil(fifth, market.terms.lot) * market.terms.lot)


def band_price(market: Sliced, side: int) -> int:
    """The worst price a liquidation of `side` may take: mark ∓ band of the reference, rounded to the tick towards the
    mark, and at least a tick. An option's band is a quarter of its mark at most, or a tick where that is more.

    No order rests above the highest price, so no band needs to reach higher.
    """
    mark, tick = market.mark_price * PPM, market.terms.tick
    band = reference_price(market) * market.terms.liquidation_band_ppm
    if market.terms.kind == OPTION:
        band = min(band, max(market.mark_price * OPTION_BAND_PPM, tick * PPM))
    if side == BUY:
        return min((1 << PRICE_BITS) - 1, div_floor(mark + band, PPM * tick) * tick)
    return max(tick, div_ceil(mark - band, PPM * tick) * tick)


def reference_price(market: Sliced) -> int:
    """What bands and slices of a liquidation are measured in: an option's index, else the mark."""
    return market.index_price if market.terms.kind == OPTION else market.mark_price


def decide_shortfall(moment: Moment, subaccount: int, missing: int, market: Market, fees: int) -> ShortfallCovered:
    """Pay what an account lacks: from the fees the market holds, then from the fund; book the rest."""
    from_fees = min(missing, max(0, fees))
    covered = min(missing - from_fees, moment.state.accounts[INSURANCE_FUND].cash)
    booked = missing - from_fees - covered
    if not fits(market.shortfall + booked, CASH_BITS):
        raise Refusal(Reason.OUT_OF_RANGE)
    return ShortfallCovered(moment.sequence, subaccount, market.terms.market, from_fees, covered, booked)
