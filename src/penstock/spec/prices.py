"""Deciding prices and funding: what the oracle quorum may say, and what follows from it."""

from penstock.protocol.commands import AccrueFunding, PublishPrice
from penstock.protocol.events import Event, FundingAccrued, PricePublished
from penstock.protocol.quantities import (
    CASH_BITS,
    FUNDING_BITS,
    FUNDING_PERIOD,
    FUNDING_SCALE,
    PPM,
    RATE_SCALE,
    div_trunc,
    fits,
)
from penstock.protocol.reasons import Reason, Refusal
from penstock.spec.matching import Moment
from penstock.spec.state import Market

DEAD_ZONE = 250_000
"""0.025 % per eight hours, in parts per 1e9 (support.deribit.com 31424939178397)."""


def decide_price(moment: Moment, command: PublishPrice, signers: tuple[bytes, ...]) -> list[Event]:
    """Take a price signed by the quorum, newer than the last, within one step of it, mark near index."""
    genesis = moment.state.genesis
    strangers = [s for s in signers if s not in genesis.oracles]
    if strangers or len(signers) < genesis.oracle_threshold:
        raise Refusal(Reason.ORACLE_QUORUM_MISSING)
    market = moment.state.markets.get(command.market)
    if market is None:
        raise Refusal(Reason.MARKET_UNKNOWN)
    if command.index_price == 0 or command.mark_price == 0:
        raise Refusal(Reason.PRICE_NOT_POSITIVE)
    if command.published_at <= market.priced_at:
        raise Refusal(Reason.PRICE_NOT_NEWER)
    stale = command.published_at + market.terms.stale_after < moment.time
    if stale or command.published_at > moment.time:
        raise Refusal(Reason.PRICE_TIME_INVALID)
    step = market.terms.price_step_ppm
    if market.mark_price and not (
        within(command.index_price, market.index_price, step) and within(command.mark_price, market.mark_price, step)
    ):
        raise Refusal(Reason.PRICE_STEP_TOO_LARGE)
    if not within(command.mark_price, command.index_price, market.terms.mark_band_ppm):
        raise Refusal(Reason.MARK_OUT_OF_BAND)
    rate_time = market.rate_time + _gathered(market, command.published_at)
    if not fits(rate_time, CASH_BITS):
        raise Refusal(Reason.OUT_OF_RANGE)
    return [
        PricePublished(
            moment.sequence, command.market, command.published_at, command.index_price, command.mark_price,
            rate_time, len(signers),
        )
    ]  # fmt: skip


def within(price: int, reference: int, ppm: int) -> bool:
    """|price − reference| ≤ reference × ppm / 1e6, or one price unit where that is more."""
    return abs(price - reference) * PPM <= max(reference * ppm, PPM)


def funding_rate(market: Market) -> int:
    """Rate of the present sample, parts in 1e9 per eight hours: premium outside the dead zone, capped.

    max(0.025 %, premium) + min(−0.025 %, premium), premium = (mark − index) / index, rounded towards zero.
    """
    if market.index_price == 0:
        return 0
    premium = div_trunc((market.mark_price - market.index_price) * RATE_SCALE, market.index_price)
    rate = max(DEAD_ZONE, premium) + min(-DEAD_ZONE, premium)
    return max(-market.terms.funding_cap, min(market.terms.funding_cap, rate))


def _gathered(market: Market, until: int) -> int:
    """Rate × time of the sample that ends now; a sample counts no longer than it is fresh."""
    if market.priced_at == 0:
        return 0
    return funding_rate(market) * min(until - market.priced_at, market.terms.stale_after)


def decide_funding(moment: Moment, command: AccrueFunding) -> list[Event]:
    """Move the funding index by index price × gathered rate × time, rounded towards zero."""
    market = moment.state.markets.get(command.market)
    if market is None:
        raise Refusal(Reason.MARKET_UNKNOWN)
    if market.rate_time == 0 or moment.time < market.funded_at + market.terms.funding_interval:
        raise Refusal(Reason.FUNDING_NOT_DUE)
    change = div_trunc(market.index_price * market.rate_time * FUNDING_SCALE, RATE_SCALE * FUNDING_PERIOD)
    if not fits(market.funding_index + change, FUNDING_BITS):
        raise Refusal(Reason.OUT_OF_RANGE)
    return [FundingAccrued(moment.sequence, command.market, moment.time, market.funding_index + change)]
