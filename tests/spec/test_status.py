"""What guardian and governor may do, what ends by itself, and a price's age said on the record."""

import pytest

from penstock.protocol.commands import HALTED, OPEN, REDUCE_ONLY, DelistMarket, MarkStale, ReopenMarket
from penstock.protocol.events import MarketDelisted, MarketFlagged
from penstock.protocol.quantities import MICRO
from penstock.protocol.reasons import Reason
from penstock.spec import state as flags
from spec.contracts import FUTURE_MARKET, INDEX, SOON, chain
from world import GOVERNOR, GUARDIAN, STRANGER, reasons

HOUR = 3_600
DAY = 24 * HOUR


@pytest.fixture
def world():
    return chain()


def test_a_halted_market_takes_cancels_only_and_ends_by_itself(world):
    world.sell(1, INDEX + 10, 1_000)
    until = world.time + 1_000 + 72 * HOUR * MICRO
    assert world.guard(0, HALTED) == [
        MarketFlagged(world.sequence, 0, flags.HALTED, until, world.time, world.time - 999)
    ]
    assert reasons(world.buy(2, INDEX + 10, 1_000)) == [Reason.MARKET_HALTED]
    assert reasons(world.buy(2, INDEX, 1_000, reduce_only=True)) == [Reason.MARKET_HALTED]
    assert reasons(world.cancel(1)) == []
    assert reasons(world.withdraw(1, MICRO)) == []
    world.assert_refused(Reason.STATUS_NOT_OVER, lambda: world.send(ReopenMarket(0)), guarded=False)
    world.wait(72 * HOUR)
    assert reasons(world.send(ReopenMarket(0))) == []
    world.price(INDEX)
    assert reasons(world.buy(2, INDEX, 1_000)) == []
    world.assert_refused(Reason.STATUS_NOT_OVER, lambda: world.send(ReopenMarket(0)), guarded=False)


def test_a_restricted_market_takes_reduce_only_orders(world):
    world.sell(1, INDEX, 2_000)
    world.buy(2, INDEX, 1_000)
    world.guard(0, REDUCE_ONLY)
    assert reasons(world.buy(3, INDEX, 1_000)) == [Reason.MARKET_REDUCE_ONLY]
    assert reasons(world.sell(2, INDEX, 1_000, reduce_only=True)) == []
    assert world.guard(0, OPEN)[0].flags == 0
    assert reasons(world.buy(3, INDEX, 1_000)) == []


def test_a_halt_that_the_guardian_ends_goes_on_for_five_minutes_of_cancels(world):
    world.guard(0, HALTED)
    ended = world.guard(0, OPEN)[0]
    assert (ended.flags, ended.until) == (flags.HALTED, world.time + 300 * MICRO)
    world.wait(299)
    world.assert_refused(Reason.STATUS_NOT_OVER, lambda: world.send(ReopenMarket(0)), guarded=False)
    world.wait(1)
    assert reasons(world.send(ReopenMarket(0))) == []


def test_the_guardian_acts_once_in_thirty_days_but_may_sharpen(world):
    world.guard(0, REDUCE_ONLY)
    until = world.state.markets[0].until
    assert world.guard(0, HALTED)[0].until == until, "not a second longer"
    world.assert_refused(Reason.STATUS_UNCHANGED, lambda: world.guard(0, REDUCE_ONLY), guarded=False)
    world.wait(72 * HOUR)
    world.send(ReopenMarket(0))
    world.assert_refused(Reason.STATUS_TOO_SOON, lambda: world.guard(0, REDUCE_ONLY), guarded=False)
    assert reasons(world.guard(FUTURE_MARKET, REDUCE_ONLY)) == [Reason.MARKET_EXPIRED], "its hour is over"
    world.wait(27 * DAY)
    assert reasons(world.guard(0, REDUCE_ONLY)) == []


def test_only_the_guardian_and_each_word_of_it_once(world):
    for signer in (STRANGER, GOVERNOR):
        world.assert_refused(Reason.GUARDIAN_ONLY, lambda s=signer: world.guard(0, HALTED, s), guarded=False)
    world.guard(0, REDUCE_ONLY)
    nonce = world.state.guardian_nonce
    world.assert_refused(Reason.NONCE_USED, lambda: world.guard(0, HALTED, nonce=nonce), guarded=False)
    world.wait(200)
    for nonce, reason in (
        (world.time - 61 * MICRO, Reason.DEADLINE_PASSED),
        (world.time + 62 * MICRO, Reason.NONCE_TOO_FAR_AHEAD),
    ):
        world.assert_refused(reason, lambda n=nonce: world.guard(0, HALTED, nonce=n), guarded=False)
    world.assert_refused(Reason.FIELD_UNKNOWN_VALUE, lambda: world.guard(0, 3), guarded=False)
    world.assert_refused(Reason.MARKET_UNKNOWN, lambda: world.guard(9, HALTED), guarded=False)
    world.assert_refused(Reason.STATUS_UNCHANGED, lambda: world.guard(FUTURE_MARKET, OPEN), guarded=False)


def test_a_halt_stops_funding_and_liquidation_but_not_prices(world):
    world.price(INDEX, premium=5_000_000)
    world.guard(0, HALTED)
    world.wait(10)
    before = world.state.markets[0].rate_time
    assert reasons(world.price(INDEX + 10, premium=5_000_000)) == []
    assert world.state.markets[0].rate_time == before


def test_a_liquidation_passes_halted_markets_by(world):
    world.sell(1, INDEX, 900_000)
    world.deposit(2, 10_000_000 * MICRO)
    world.buy(2, INDEX, 900_000)
    while world.state.markets[0].mark_price < 1_090_000:
        world.price(world.state.markets[0].mark_price + 9_000)
    world.sell(2, 1_090_000, 900_000)
    world.guard(0, HALTED)
    world.account(1).cash -= 950_000 * MICRO
    assert reasons(world.liquidate(1)) == [Reason.LIQUIDITY_MISSING]


def test_a_perpetual_is_delisted_once_by_the_governor_with_seven_days_notice(world):
    def delist(market, days, signer=GOVERNOR, expiry=None):
        expiry = (world.time + 1_000) // MICRO + days * DAY if expiry is None else expiry
        return world.send(DelistMarket(market, world.time + 1, expiry), signers=(signer,))

    world.assert_refused(Reason.GOVERNOR_ONLY, lambda: delist(0, 8, GUARDIAN), guarded=False)
    world.assert_refused(Reason.NOTICE_TOO_SHORT, lambda: delist(0, 7), guarded=False)
    world.assert_refused(Reason.MARKET_ALREADY_DATED, lambda: delist(FUTURE_MARKET, 8), guarded=False)
    [event] = delist(0, 8)
    assert isinstance(event, MarketDelisted)
    market = world.state.markets[0]
    assert market.terms.expiry == event.expiry and market.parameters == market.terms.digest()
    world.assert_refused(Reason.MARKET_ALREADY_DATED, lambda: delist(0, 9), guarded=False)


def test_a_stale_price_is_said_once_and_unsaid_by_the_next(world):
    world.assert_refused(Reason.PRICE_FRESH, lambda: world.send(MarkStale(0)), guarded=False)
    world.wait(61)
    assert world.send(MarkStale(0))[0].flags == flags.STALE
    world.assert_refused(Reason.PRICE_FRESH, lambda: world.send(MarkStale(0)), guarded=False)
    assert reasons(world.buy(1, INDEX, 1_000)) == [Reason.PRICE_STALE]
    world.assert_refused(Reason.MARKET_UNKNOWN, lambda: world.send(MarkStale(9)), guarded=False)
    world.price(INDEX)
    assert world.state.markets[0].flags == 0
    assert reasons(world.buy(1, INDEX, 1_000)) == []


def test_an_expired_market_loses_every_flag_but_its_debt(world):
    world.guard(FUTURE_MARKET, HALTED)
    world.time = SOON * MICRO
    world.expire(FUTURE_MARKET)
    assert world.state.markets[FUTURE_MARKET].flags == flags.EXPIRED
    world.assert_refused(Reason.STATUS_NOT_OVER, lambda: world.send(ReopenMarket(FUTURE_MARKET)), guarded=False)
