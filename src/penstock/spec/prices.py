"""Deciding prices and funding: what the oracle quorum may say, and what follows from it."""

from penstock.protocol.commands import AccrueFunding, MarkStale, PublishPrice
from penstock.protocol.events import Event, FundingAccrued, MarketFlagged, PricePublished
from penstock.protocol.instruments import CALL, OPTION, PERPETUAL
from penstock.protocol.quantities import (
    CASH_BITS,
    CROWDING_SCALE,
    FUNDING_BITS,
    FUNDING_PERIOD,
    FUNDING_SCALE,
    MICRO,
    PPM,
    RATE_SCALE,
    SETTLEMENT_WINDOW,
    div_ceil,
    div_floor,
    div_trunc,
    fits,
)
from penstock.protocol.reasons import Reason, Refusal
from penstock.protocol.terms import MarketTerms
from penstock.spec.matching import Moment
from penstock.spec.state import STALE, Market

_RATE_PER_PPM = 1_000
"""Premiums are parts in 1e9, bands parts in 1e6."""


def decide_price(moment: Moment, command: PublishPrice, signers: tuple[bytes, ...]) -> list[Event]:
    """Take a price signed by the quorum, newer than the last, within a step of it, mark and premium in their bands."""
    genesis = moment.state.genesis
    strangers = [s for s in signers if s not in genesis.oracles]
    if strangers or len(signers) < genesis.oracle_threshold:
        raise Refusal(Reason.ORACLE_QUORUM_MISSING)
    market = moment.state.markets.get(command.market)
    if market is None:
        raise Refusal(Reason.MARKET_UNKNOWN)
    if market.over(moment.time):
        raise Refusal(Reason.MARKET_EXPIRED)
    if command.index_price == 0 or command.mark_price == 0:
        raise Refusal(Reason.PRICE_NOT_POSITIVE)
    if command.published_at <= market.priced_at or _too_soon(market, command.published_at):
        raise Refusal(Reason.PRICE_NOT_NEWER)
    stale = command.published_at + market.terms.stale_after < moment.time
    if stale or command.published_at > moment.time:
        raise Refusal(Reason.PRICE_TIME_INVALID)
    if market.mark_price and not _is_one_step(market, command):
        raise Refusal(Reason.PRICE_STEP_TOO_LARGE)
    if not _in_band(market, command):
        raise Refusal(Reason.MARK_OUT_OF_BAND)
    band = market.terms.mark_band_ppm * _RATE_PER_PPM if market.terms.kind == PERPETUAL else 0
    if abs(command.premium) > band:
        raise Refusal(Reason.PREMIUM_OUT_OF_BAND)
    rate_time = market.rate_time + gathered(market, command.published_at)
    if not fits(rate_time, CASH_BITS):
        raise Refusal(Reason.OUT_OF_RANGE)
    window_sum = market.window_sum + in_window(market, command.published_at)
    return [
        PricePublished(
            moment.sequence, command.market, command.published_at, command.index_price, command.mark_price,
            command.premium, rate_time, window_sum, market.priced_since or command.published_at, crowding(market),
            len(signers),
        )
    ]  # fmt: skip


def _too_soon(market: Market, published_at: int) -> bool:
    return market.priced_at > 0 and published_at < market.priced_at + market.terms.price_interval


def decide_stale(moment: Moment, command: MarkStale) -> list[Event]:
    """Say once that the price is too old: from its age alone, whatever silenced the oracles."""
    market = moment.state.markets.get(command.market)
    if market is None:
        raise Refusal(Reason.MARKET_UNKNOWN)
    if market.mark_price == 0 or market.fresh(moment.time) or market.flags & STALE:
        raise Refusal(Reason.PRICE_FRESH)
    flags = market.flags | STALE
    return [MarketFlagged(moment.sequence, command.market, flags, market.until, market.flagged_at, 0)]


def within(price: int, reference: int, ppm: int, of: int | None = None) -> bool:
    """|price − reference| ≤ `of` (else the reference) × ppm / 1e6, or one price unit where that is more."""
    return abs(price - reference) * PPM <= max((reference if of is None else of) * ppm, PPM)


def _is_one_step(market: Market, command: PublishPrice) -> bool:
    """Index, mark and premium each at most a step from the last; an option's mark by a step of the index."""
    step = market.terms.price_step_ppm
    of = market.index_price if market.terms.kind == OPTION else market.mark_price
    return (
        within(command.index_price, market.index_price, step)
        and within(command.mark_price, market.mark_price, step, of)
        and abs(command.premium - market.premium) <= step * _RATE_PER_PPM
    )


def _in_band(market: Market, command: PublishPrice) -> bool:
    """The mark near the index; an option's between its intrinsic value and the most it can pay, a band of the index
    beyond either. In the last half hour also near what the contract will settle at, or between the two."""
    terms, index, mark, band = market.terms, command.index_price, command.mark_price, market.terms.mark_band_ppm
    settles = expected_settlement(market, command.published_at, index)
    if terms.kind != OPTION:
        nearest = min(max(mark, min(index, settles)), max(index, settles))
        return within(mark, nearest, band)
    intrinsic = min(payoff(terms, index), payoff(terms, settles))
    most = max(index, settles) if terms.option_type == CALL else terms.strike
    low, high = min(mark, intrinsic), max(mark, most)
    return within(low, intrinsic, band, index) and within(high, most, band, index)


def expected_settlement(market: Market, at: int, index: int) -> int:
    """The settlement index if `index` stands from `at` (µs) to expiry; outside the last 30 minutes, and of a market
    without an end, the index itself."""
    expiry = market.terms.expiry * MICRO
    start = expiry - SETTLEMENT_WINDOW
    if expiry == 0 or at <= start:
        return index
    covered = expiry - max(market.priced_since or at, start)
    return div_floor(market.window_sum + in_window(market, at) + index * (expiry - at), covered)


def payoff(terms: MarketTerms, index: int) -> int:
    """What one unit pays at an index: the index itself, or an option's intrinsic value (price units)."""
    if terms.kind != OPTION:
        return index
    return max(0, index - terms.strike if terms.option_type == CALL else terms.strike - index)


def crowding(market: Market) -> int:
    """How far open interest is on its way from `crowded_from` to its cap, in 1e-4, rounded up."""
    terms = market.terms
    above = market.open_interest - terms.crowded_from
    if above <= 0:
        return 0
    way = terms.open_interest_cap - terms.crowded_from
    return CROWDING_SCALE if above >= way else div_ceil(above * CROWDING_SCALE, way)


def funding_rate(market: Market) -> int:
    """Rate of the present sample, parts in 1e9 per eight hours: premium + clamp(interest − premium, ± clamp), capped.

    With interest 0 and clamp 0.025 % this is Deribit's max(0.025 %, p) + min(−0.025 %, p) (support.deribit.com
    31424939178397); with 0.01 % and 0.05 % Hyperliquid's (docs, Trading, Funding). A dated market has none.
    """
    terms = market.terms
    if terms.kind != PERPETUAL or market.index_price == 0:
        return 0
    pull = max(-terms.funding_clamp, min(terms.funding_clamp, terms.funding_interest - market.premium))
    return max(-terms.funding_cap, min(terms.funding_cap, market.premium + pull))


def gathered(market: Market, until: int) -> int:
    """Rate × time of the sample that ends now; one counts no longer than it is fresh, and none during a halt."""
    if market.priced_at == 0 or market.halted:
        return 0
    return funding_rate(market) * min(until - market.priced_at, market.terms.stale_after)


def in_window(market: Market, until: int) -> int:
    """Index × time of the sample that ends now, as far as it lies in the 30 minutes before expiry."""
    expiry = market.terms.expiry * MICRO
    if expiry == 0 or market.priced_at == 0:
        return 0
    start = max(market.priced_at, expiry - SETTLEMENT_WINDOW)
    return market.index_price * max(0, min(until, expiry) - start)


def decide_funding(moment: Moment, command: AccrueFunding) -> list[Event]:
    """Move the funding index by index price × gathered rate × time, rounded towards zero."""
    market = moment.state.markets.get(command.market)
    if market is None:
        raise Refusal(Reason.MARKET_UNKNOWN)
    if market.expired or market.rate_time == 0 or moment.time < market.funded_at + market.terms.funding_interval:
        raise Refusal(Reason.FUNDING_NOT_DUE)
    index = market.funding_index + funding_change(market.index_price, market.rate_time)
    if not fits(index, FUNDING_BITS):
        raise Refusal(Reason.OUT_OF_RANGE)
    return [FundingAccrued(moment.sequence, command.market, moment.time, index)]


def funding_change(index_price: int, rate_time: int) -> int:
    """By how much gathered rate × time moves the funding index, rounded towards zero."""
    return div_trunc(index_price * rate_time * FUNDING_SCALE, RATE_SCALE * FUNDING_PERIOD)
