"""How contracts end: the mean index of the last half hour, then each position by itself."""

from random import Random

import pytest

from laws.invariants import check_sums
from penstock.protocol.commands import DelistMarket, RemoveDeadOrder
from penstock.protocol.events import MarketExpired, PositionExpired
from penstock.protocol.quantities import MICRO, SETTLEMENT_WINDOW
from penstock.protocol.reasons import Reason
from penstock.spec.expiry import settlement_index
from penstock.spec.margin import assess
from penstock.spec.state import EXPIRED
from spec.contracts import CALL_MARKET, FUTURE_MARKET, INDEX, PUT_MARKET, SOON, WHOLE, chain, trade
from world import GOVERNOR, reasons

DAY = 86_400


def to_expiry(world, before=0):
    """Let time pass until some µs before the contracts' expiry."""
    world.time = SOON * MICRO - before


def test_a_contract_expires_at_the_mean_of_half_an_hour_whatever_was_before():
    """1,000,000 until ten minutes into the window, then 1,006,000 for five and 1,012,000 to the end: × 10, 5, 15."""
    world = chain()
    for minutes, index in ((40, 995_000), (35, INDEX), (20, 1_006_000), (15, 1_012_000)):
        to_expiry(world, minutes * 60 * MICRO - 1)
        world.price(index, market=FUTURE_MARKET, published_at=SOON * MICRO - minutes * 60 * MICRO)
    to_expiry(world)
    assert world.expire(FUTURE_MARKET) == [MarketExpired(world.sequence, FUTURE_MARKET, 1_007_000, 1_007_000, 0)]


def test_samples_of_four_seconds_settle_at_their_plain_mean():
    """Deribit's delivery price: the mean of 450 samples, one each 4 s (support.deribit.com 25944739377309)."""
    world, dice, samples = chain(), Random(1), []
    for left in range(1_800, 0, -4):
        to_expiry(world, left * MICRO - 1)
        samples.append(INDEX + dice.randrange(-5_000, 5_001))
        assert reasons(world.price(samples[-1], market=FUTURE_MARKET, published_at=(SOON - left) * MICRO)) == []
    to_expiry(world)
    assert world.expire(FUTURE_MARKET)[0].index_price == sum(samples) // 450 and len(samples) == 450


def test_a_push_in_the_window_moves_the_mean_by_its_share_of_the_time():
    """ABU-9: 1 % for six seconds of the half hour is worth a three-hundredth of it."""
    world = chain()
    to_expiry(world, 6 * MICRO)
    world.price(INDEX + 10_000, market=FUTURE_MARKET, published_at=world.time)
    to_expiry(world)
    assert world.expire(FUTURE_MARKET)[0].index_price == INDEX + 33


def test_only_time_that_had_a_price_counts():
    world = chain()
    market = world.state.markets[FUTURE_MARKET]
    market.priced_since = market.priced_at = SOON * MICRO - 60 * MICRO
    market.index_price = 77
    assert settlement_index(market) == 77
    market.priced_since = market.priced_at = 0
    assert settlement_index(market) == 0


def test_nothing_expires_twice_nor_early_nor_without_an_expiry():
    world = chain()
    world.assert_refused(Reason.EXPIRY_NOT_DUE, lambda: world.expire(FUTURE_MARKET), guarded=False)
    world.assert_refused(Reason.EXPIRY_NOT_DUE, lambda: world.expire(0), guarded=False)
    world.assert_refused(Reason.MARKET_UNKNOWN, lambda: world.expire(9), guarded=False)
    to_expiry(world, 1_001)
    world.assert_refused(Reason.EXPIRY_NOT_DUE, lambda: world.expire(FUTURE_MARKET), guarded=False)
    assert reasons(world.expire(FUTURE_MARKET)) == []
    world.assert_refused(Reason.EXPIRY_NOT_DUE, lambda: world.expire(FUTURE_MARKET), guarded=False)


@pytest.mark.parametrize(
    ("strike", "call", "put"),
    [(INDEX, 0, 0), (INDEX - 5_000, 5_000, 0), (INDEX + 5_000, 0, 5_000), (INDEX - 1, 1, 0)],
)
def test_an_option_pays_its_intrinsic_value(strike, call, put):
    world = chain(strike)
    to_expiry(world)
    assert world.expire(CALL_MARKET)[0].mark_price == call
    assert world.expire(PUT_MARKET)[0].mark_price == put


def test_winners_and_losers_are_closed_one_by_one_and_every_cent_is_accounted_for():
    world = chain(INDEX - 50_000)
    trade(world, CALL_MARKET, 2, 1, 70_000)
    trade(world, CALL_MARKET, 3, 1, 71_000, 30_000)
    trade(world, FUTURE_MARKET, 1, 3, INDEX + 1_000, 5 * WHOLE)
    before = {who: world.account(who).cash for who in (1, 2, 3)}
    to_expiry(world)
    world.expire(CALL_MARKET)
    assert assess(world.state, world.account(1)).initial == assess(world.state, world.account(3)).initial, (
        "futures only"
    )
    assert world.close(2, CALL_MARKET) == [
        PositionExpired(world.sequence, 2, CALL_MARKET, WHOLE, (50_000 - 70_000) * WHOLE)
    ]
    check_sums(world.state)
    world.close(1, CALL_MARKET)
    check_sums(world.state)
    world.close(3, CALL_MARKET)
    check_sums(world.state)
    gains = {who: world.account(who).cash - before[who] for who in (1, 2, 3)}
    assert gains == {1: 20_000 * WHOLE + 21_000 * 30_000, 2: -20_000 * WHOLE, 3: -21_000 * 30_000}
    market = world.state.markets[CALL_MARKET]
    assert (market.size_funding, market.entry_total, market.open_interest) == (0, 0, 0)
    world.assert_refused(Reason.POSITION_UNKNOWN, lambda: world.close(1, CALL_MARKET), guarded=False)


def test_a_position_waits_for_its_market():
    world = chain()
    trade(world, FUTURE_MARKET, 1, 2, INDEX)
    world.assert_refused(Reason.EXPIRY_NOT_DUE, lambda: world.close(1, FUTURE_MARKET), guarded=False)
    to_expiry(world)
    world.assert_refused(Reason.EXPIRY_PENDING, lambda: world.close(1, FUTURE_MARKET), guarded=False)
    world.expire(FUTURE_MARKET)
    assert reasons(world.close(1, FUTURE_MARKET)) == []


def test_nothing_trades_and_no_price_is_taken_once_the_time_is_over():
    world = chain()
    world.sell(1, INDEX, 1_000, market=FUTURE_MARKET)
    to_expiry(world, 1_000)
    assert reasons(world.buy(2, INDEX, 1_000, market=FUTURE_MARKET)) == [Reason.MARKET_EXPIRED]
    assert reasons(world.price(INDEX, market=FUTURE_MARKET)) == [Reason.MARKET_EXPIRED]
    assert reasons(world.cancel(1)) == [Reason.ORDER_UNKNOWN], "it is dead"
    assert reasons(world.send(RemoveDeadOrder(1, 16))) == []
    assert world.account(1).open_orders == 0


def test_an_order_in_another_market_takes_the_slot_of_a_dead_one():
    world = chain()
    world.sell(1, INDEX + 100, 1_000, market=FUTURE_MARKET)
    to_expiry(world)
    world.price(INDEX)
    assert reasons(world.sell(1, INDEX + 100, 1_000)) == []
    assert world.account(1).orders[16].market == 0


def test_an_expired_position_is_cash_to_be_and_needs_no_margin_but_cannot_leave_before_it_is_closed():
    world = chain(cash=6_000 * MICRO)
    trade(world, FUTURE_MARKET, 2, 1, INDEX)
    to_expiry(world, 30 * 60 * MICRO)
    for step in range(1, 5):
        world.price(INDEX + step * 10_000, market=FUTURE_MARKET)
    to_expiry(world)
    world.expire(FUTURE_MARKET)
    risk = assess(world.state, world.account(2))
    assert (risk.initial, risk.maintenance) == (0, 0)
    assert risk.equity == world.account(2).cash + 39_999 * WHOLE
    assert reasons(world.withdraw(2, world.account(2).cash + 1)) == [Reason.AMOUNT_ABOVE_WITHDRAWABLE]
    world.close(2, FUTURE_MARKET)
    assert reasons(world.withdraw(2, world.account(2).cash)) == []


def test_a_loser_who_cannot_pay_is_covered_by_fees_then_fund_then_booked():
    world = chain(cash=3_000 * MICRO)
    world.deposit(2, 100_000 * MICRO)
    trade(world, FUTURE_MARKET, 2, 1, INDEX)
    to_expiry(world, SETTLEMENT_WINDOW)
    for step in range(1, 9):
        world.price(INDEX + step * 10_000, market=FUTURE_MARKET)
    to_expiry(world)
    world.expire(FUTURE_MARKET)
    fees = world.state.markets[FUTURE_MARKET].fees
    events = world.close(1, FUTURE_MARKET)
    covered = events[1]
    assert covered.from_fees == fees > 0 and covered.covered == 0
    assert covered.booked == 79_999 * WHOLE - 3_000 * MICRO - fees
    assert world.account(1).cash == 0
    world.close(2, FUTURE_MARKET)
    check_sums(world.state)


def test_a_liquidation_waits_until_what_has_ended_is_booked():
    world = chain(cash=3_000 * MICRO)
    world.deposit(2, 100_000 * MICRO)
    trade(world, FUTURE_MARKET, 2, 1, INDEX)
    to_expiry(world)
    world.price(INDEX)
    world.state.markets[FUTURE_MARKET].priced_at = world.time
    world.assert_refused(Reason.EXPIRY_PENDING, lambda: world.liquidate(1), guarded=False)
    world.expire(FUTURE_MARKET)
    world.assert_refused(Reason.EXPIRY_PENDING, lambda: world.liquidate(1), guarded=False)
    world.close(1, FUTURE_MARKET)
    world.assert_refused(Reason.NOT_LIQUIDATABLE, lambda: world.liquidate(1), guarded=False)


def test_a_delisted_perpetual_ends_like_a_future_with_its_last_funding():
    world = chain()
    trade(world, 0, 2, 1, INDEX)
    expiry = world.time // MICRO + 7 * DAY + 1
    assert reasons(world.send(DelistMarket(0, world.time, expiry), signers=(GOVERNOR,))) == []
    for premium in (1_000_000, 2_000_000):
        world.time = expiry * MICRO - 3_600 * MICRO + premium
        world.price(INDEX, premium=premium)
    world.time = expiry * MICRO
    [ended] = world.expire(0)
    market = world.state.markets[0]
    assert (market.flags, market.rate_time, ended.mark_price) == (EXPIRED, 0, INDEX)
    assert ended.funding_index == market.funding_index > 0
    check_sums(world.state)
    paid = world.close(2, 0)[0].cash
    got = world.close(1, 0)[0].cash
    assert paid < 0 < got and -paid - got in (0, 1)
    check_sums(world.state)
