"""Deciding how contracts begin and end: listing from a template, expiry of a market, then of each position in it."""

from penstock.protocol.commands import ExpireMarket, ExpirePosition, ListMarket
from penstock.protocol.events import Event, MarketExpired, MarketListed, PositionExpired
from penstock.protocol.instruments import CALL, NO_OPTION, OPTION, PUT, is_listable
from penstock.protocol.quantities import (
    CASH_BITS,
    FUNDING_BITS,
    FUNDING_SCALE,
    MAX_MARKETS,
    MICRO,
    PPM,
    SETTLEMENT_WINDOW,
    SIZE_FUNDING_BITS,
    WITHDRAWN_BITS,
    div_floor,
    fits,
)
from penstock.protocol.reasons import Reason, Refusal
from penstock.protocol.terms import Template
from penstock.spec.liquidation import decide_shortfall, lacking
from penstock.spec.matching import Moment
from penstock.spec.positions import draft_of, fill
from penstock.spec.prices import funding_change, gathered, in_window, payoff
from penstock.spec.state import Market, Position, State


def decide_listing(moment: Moment, command: ListMarket) -> list[Event]:
    """List a contract that its template foresees, under the number after the last."""
    state = moment.state
    template = state.genesis.template(command.template)
    if template is None:
        raise Refusal(Reason.TEMPLATE_UNKNOWN)
    if not is_listable(template.dates, command.expiry, div_floor(moment.time, MICRO)):
        raise Refusal(Reason.EXPIRY_NOT_LISTABLE)
    _check_strike(moment, template, command)
    number = max(state.markets) + 1
    wanted = template.terms.contract(0, command.expiry, command.strike, command.option_type).identity()
    if any(market.terms.identity() == wanted for market in state.markets.values()):
        raise Refusal(Reason.MARKET_LISTED)
    if number >= MAX_MARKETS:
        raise Refusal(Reason.MARKET_LIMIT)
    return [
        MarketListed(
            moment.sequence, number, command.template, command.expiry, command.strike, command.option_type,
        )
    ]  # fmt: skip


def _check_strike(moment: Moment, template: Template, command: ListMarket) -> None:
    """An option's strike: a multiple of the step, near the index of the market that the template looks at."""
    if template.terms.kind != OPTION:
        if (command.strike, command.option_type) != (0, NO_OPTION):
            raise Refusal(Reason.STRIKE_NOT_LISTABLE)
        return
    if command.option_type not in (CALL, PUT) or command.strike == 0 or command.strike % template.strike_step:
        raise Refusal(Reason.STRIKE_NOT_LISTABLE)
    looked_at = moment.state.markets[template.index_market]
    if looked_at.expired or not looked_at.fresh(moment.time):
        raise Refusal(Reason.PRICE_STALE)
    index = looked_at.index_price
    if abs(command.strike - index) * PPM > index * template.strike_band_ppm:
        raise Refusal(Reason.STRIKE_NOT_LISTABLE)


def decide_expiry(moment: Moment, command: ExpireMarket) -> list[Event]:
    """Fix what one unit pays: by the mean index of the last 30 minutes before expiry, rounded down.

    Each committed price counts from its own time to the next one's; the time that had a price is what the sum is
    divided by. A market that never had one ends at 0, and nobody can hold a position in it.
    """
    market = moment.state.markets.get(command.market)
    if market is None:
        raise Refusal(Reason.MARKET_UNKNOWN)
    if market.expired or not market.over(moment.time):
        raise Refusal(Reason.EXPIRY_NOT_DUE)
    index = settlement_index(market)
    expiry = market.terms.expiry * MICRO
    rate_time = market.rate_time + gathered(market, max(expiry, market.priced_at))
    funding = market.funding_index + funding_change(market.index_price, rate_time)
    if not fits(funding, FUNDING_BITS):
        funding = market.funding_index
    return [MarketExpired(moment.sequence, command.market, index, payoff(market.terms, index), funding)]


def settlement_index(market: Market) -> int:
    """Σ index × time in the window ÷ the time in it that had a price, rounded down; price units."""
    if market.priced_at == 0:
        return 0
    expiry = market.terms.expiry * MICRO
    covered = expiry - max(market.priced_since, expiry - SETTLEMENT_WINDOW)
    return div_floor(market.window_sum + in_window(market, expiry), covered)


def decide_position_expiry(moment: Moment, command: ExpirePosition) -> list[Event]:
    """Close a position of an expired market at its settlement price, and cover what the account then lacks."""
    state = moment.state
    account, market = state.accounts.get(command.subaccount), state.markets.get(command.market)
    if account is None:
        raise Refusal(Reason.SUBACCOUNT_UNKNOWN)
    if market is None:
        raise Refusal(Reason.MARKET_UNKNOWN)
    position = account.positions.get(command.market)
    if position is None:
        raise Refusal(Reason.POSITION_UNKNOWN)
    if not market.expired:
        raise Refusal(Reason.EXPIRY_PENDING if market.over(moment.time) else Reason.EXPIRY_NOT_DUE)
    left = draft_of(account)
    closed = fill(left, command.market, -position.size, market.mark_price, 0, market.funding_index)
    sums_fit = (
        fits(left.cash, CASH_BITS)
        and fits(left.cash - account.cash, CASH_BITS)
        and fits(market.size_funding + claim_left(market, position), SIZE_FUNDING_BITS)
        and fits(market.entry_total - position.entry, CASH_BITS)
        and market.dust + closed.dust < 1 << WITHDRAWN_BITS
    )
    if not sums_fit:
        raise Refusal(Reason.OUT_OF_RANGE)
    events: list[Event] = [
        PositionExpired(moment.sequence, command.subaccount, command.market, position.size, left.cash - account.cash)
    ]
    missing = lacking(moment, account, left)
    if missing > 0:
        events.append(decide_shortfall(moment, command.subaccount, missing, market, market.fees))
    return events


def claim_left(market: Market, position: Position) -> int:
    """What an expired position leaves in its market's Σ size × funding, so that money stays conserved to the last bit.

    size × (index − its index) − size × settlement price: the positions still there no longer sum to zero, and what the
    ones that are gone have taken stands against them. With the last one gone, the sum is zero again.
    """
    owed = position.size * (market.funding_index - position.funding)
    return owed - position.size * market.mark_price * FUNDING_SCALE


def listed(state: State, number: int, event: MarketListed) -> Market:
    """The market that a listing adds."""
    terms = state.genesis.terms_of(number, event.template, event.expiry, event.strike, event.option_type)
    return Market(terms, terms.digest(), template=event.template)
