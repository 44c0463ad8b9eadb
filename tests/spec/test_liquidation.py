"""The first rung: cancel, then close through the book, a slice at a time, inside a band."""

import pytest

from penstock.protocol.commands import BUY, SELL
from penstock.protocol.events import NO_SLOT, FeesSwept, ShortfallCovered, Traded
from penstock.protocol.quantities import MICRO
from penstock.protocol.reasons import Cause, Reason
from penstock.spec.liquidation import band_price
from penstock.spec.margin import assess
from penstock.spec.state import Market
from world import World, owner_of, reasons, story, terms

MARK = 600_000
MAKER, OTHER, SMALL = 1, 2, 3
USDC = MICRO
DUE = 593_000
"""Where 1,300 USDC with 1 BTC bought at 60,000 fall below maintenance: equity 582, wanted 593."""


def small_long(cash=1_300 * USDC, size=100_000, **changes):
    """SMALL has bought 1 BTC at 60,000 from MAKER, and paid a fee of 18."""
    world = World([terms(**changes)], traders=2, cash=1_000_000 * USDC)
    world.deposit(SMALL, cash)
    world.price(MARK)
    world.sell(MAKER, MARK, size)
    world.buy(SMALL, MARK, size)
    assert world.size(SMALL) == size
    return world


def test_above_maintenance_nobody_is_liquidated():
    world = small_long()
    world.assert_refused(Reason.NOT_LIQUIDATABLE, lambda: world.liquidate(SMALL), guarded=False)
    world.walk_price(593_200)
    assert assess(world.state, world.account(SMALL)).equity > 593_200_000
    world.assert_refused(Reason.NOT_LIQUIDATABLE, lambda: world.liquidate(SMALL), guarded=False)


def test_equity_equal_to_maintenance_is_not_below_it():
    world = small_long(cash=1_298 * USDC + 1_000_000 * 0 + 0)
    world.walk_price(DUE)
    risk = assess(world.state, world.account(SMALL))
    world.deposit(SMALL, risk.maintenance - risk.equity)
    world.assert_refused(Reason.NOT_LIQUIDATABLE, lambda: world.liquidate(SMALL), guarded=False)
    assert reasons(world.withdraw(SMALL, 1)) == [Reason.AMOUNT_ABOVE_WITHDRAWABLE]


def test_strangers_the_fund_and_unknown_subaccounts_are_not_liquidated():
    world = small_long()
    for subaccount in (0, 99):
        world.assert_refused(Reason.SUBACCOUNT_UNKNOWN, lambda s=subaccount: world.liquidate(s), guarded=False)
    world.assert_refused(Reason.NOT_LIQUIDATABLE, lambda: world.liquidate(OTHER), guarded=False)


def test_no_liquidation_on_a_stale_price():
    world = small_long()
    world.walk_price(DUE)
    world.wait(61)
    world.assert_refused(Reason.PRICE_STALE, lambda: world.liquidate(SMALL), guarded=False)


def test_a_liquidation_cancels_the_orders_then_sells_at_the_makers_price():
    world = small_long()
    world.sell(SMALL, MARK + 100, 100, slot=20)
    world.buy(SMALL, 1, 100, slot=21)
    world.walk_price(DUE)
    world.buy(OTHER, DUE - 1_000, 200_000)
    events = world.liquidate(SMALL)
    assert story(events) == [("all cancelled", SMALL), ("traded", OTHER, SMALL, DUE - 1_000, 100_000)]
    trade = events[1]
    assert isinstance(trade, Traded)
    # 0.5 % of 59,200.
    assert (trade.liquidation, trade.taker_slot, trade.taker_fee) == (True, NO_SLOT, 296 * USDC)
    # 1,300 − 18 − 800 − 296.
    assert (world.account(SMALL).cash, world.account(SMALL).positions) == (186 * USDC, {})
    assert world.account(SMALL).filled[16].nonce != trade.taker_nonce


def test_the_fee_takes_at_most_the_equity_that_is_left():
    """Sold at 58,800: 1,282 − 1,200 leaves 82, and the fee would be 294."""
    world = small_long()
    world.walk_price(DUE)
    world.buy(OTHER, 588_000, 200_000)
    events = world.liquidate(SMALL)
    assert [e.taker_fee for e in events if isinstance(e, Traded)] == [82 * USDC]
    assert world.account(SMALL).cash == 0
    world.assert_refused(Reason.NOT_LIQUIDATABLE, lambda: world.liquidate(SMALL), guarded=False)


def test_nothing_is_sold_outside_the_band():
    """1 % below 593,000 is 587,070."""
    world = small_long()
    world.walk_price(DUE)
    world.buy(OTHER, 587_069, 200_000)
    world.assert_refused(Reason.LIQUIDITY_MISSING, lambda: world.liquidate(SMALL), guarded=False)
    world.buy(OTHER, 587_070, 100, slot=17)
    assert story(world.liquidate(SMALL)) == [("traded", OTHER, SMALL, 587_070, 100)]


def test_orders_are_cancelled_even_where_nothing_can_be_sold():
    world = small_long()
    world.sell(SMALL, MARK + 100, 100, slot=20)
    world.walk_price(DUE)
    assert story(world.liquidate(SMALL)) == [("all cancelled", SMALL)]
    world.assert_refused(Reason.LIQUIDITY_MISSING, lambda: world.liquidate(SMALL), guarded=False)


@pytest.mark.parametrize(
    ("mark", "tick", "side", "bound"),
    [
        (593_000, 1, SELL, 587_070),
        (593_001, 1, SELL, 587_071),
        (593_001, 1, BUY, 598_931),
        (593_001, 10, SELL, 587_080),
        (593_001, 10, BUY, 598_930),
        (1, 1, SELL, 1),
        (1, 1, BUY, 1),
    ],
)
def test_the_band_is_rounded_towards_the_mark(mark, tick, side, bound):
    assert band_price(Market(terms(tick=tick), b"", mark_price=mark), side) == bound


def test_a_large_position_goes_a_fifth_at_a_time():
    """2 BTC are 118,600 USDC: above the slice of 100,000; 40,000 units are a fifth, then 1.6 BTC go at once."""
    world = small_long(cash=2_600 * USDC, size=200_000)
    world.walk_price(DUE)
    world.buy(OTHER, DUE, 300_000)
    assert story(world.liquidate(SMALL)) == [("traded", OTHER, SMALL, DUE, 40_000)]
    assert reasons(world.liquidate(SMALL)) == [Reason.NOT_LIQUIDATABLE]
    world.walk_price(DUE - 3_000)
    assert story(world.liquidate(SMALL)) == [("traded", OTHER, SMALL, DUE, 160_000)]


def test_a_slice_is_rounded_up_to_a_lot():
    world = small_long(cash=2_600 * USDC, size=200_100)
    world.walk_price(DUE)
    world.buy(OTHER, DUE, 300_000)
    assert story(world.liquidate(SMALL)) == [("traded", OTHER, SMALL, DUE, 40_100)]


def test_a_short_is_bought_back():
    world = World(traders=2, cash=1_000_000 * USDC)
    world.deposit(SMALL, 1_300 * USDC)
    world.price(MARK)
    world.buy(MAKER, MARK, 100_000)
    world.sell(SMALL, MARK, 100_000)
    world.walk_price(607_000)
    world.sell(OTHER, 607_500, 100_000)
    assert story(world.liquidate(SMALL)) == [("traded", OTHER, SMALL, 607_500, 100_000)]
    assert world.account(SMALL).cash == 1_300 * USDC - 18 * USDC - 750 * USDC - 303_750_000


def test_the_largest_requirement_goes_first_and_the_next_where_it_finds_nothing():
    world = World(traders=2, cash=1_000_000 * USDC)
    world.deposit(SMALL, 2_600 * USDC)
    world.price(MARK)
    world.price(30_000_00, market=1)
    world.sell(MAKER, MARK, 100_000)
    world.buy(SMALL, MARK, 100_000)
    world.sell(MAKER, 30_000_00, 10_000, slot=17, market=1)
    world.buy(SMALL, 30_000_00, 10_000, slot=17, market=1)
    world.walk_price(580_000)
    world.price(30_000_00, market=1)
    world.buy(OTHER, 30_000_00, 20_000, slot=17, market=1)
    assert story(world.liquidate(SMALL)) == [("traded", OTHER, SMALL, 30_000_00, 10_000)]
    world.buy(OTHER, 580_000, 100_000)
    assert story(world.liquidate(SMALL))[0] == ("traded", OTHER, SMALL, 580_000, 100_000)


def test_one_poke_closes_in_one_market_only():
    world = World(traders=2, cash=1_000_000 * USDC)
    world.deposit(SMALL, 2_600 * USDC)
    for market, price in ((0, MARK), (1, 30_000_00)):
        world.price(price, market=market)
        world.sell(MAKER, price, 60_000, slot=17 + market, market=market)
        world.buy(SMALL, price, 10_000 * (6 - 5 * market), slot=17 + market, market=market)
    world.walk_price(560_000)
    world.price(30_000_00, market=1)
    world.buy(OTHER, 560_000, 100, slot=17)
    world.buy(OTHER, 29_990_00, 20_000, slot=18, market=1)
    assert story(world.liquidate(SMALL)) == [("traded", OTHER, SMALL, 560_000, 100)]


def test_an_empty_fund_books_the_shortfall_and_the_market_turns_reduce_only():
    """Sold at 58,600: 1,282 − 1,400 is 118 short, of which the market's own fees pay 18."""
    world = small_long()
    world.buy(MAKER, 586_000, 100, slot=20)
    world.walk_price(586_000)
    world.buy(OTHER, 586_000, 200_000)
    world.cancel(MAKER, slot=20)
    events = world.liquidate(SMALL)
    assert events[-1] == ShortfallCovered(world.sequence, SMALL, 0, 18 * USDC, 0, 100 * USDC)
    market = world.state.markets[0]
    assert (market.fees, market.shortfall, market.reduce_only) == (0, 100 * USDC, True)
    assert world.account(SMALL).cash == 0
    world.assert_refused(Reason.MARKET_REDUCE_ONLY, lambda: world.buy(MAKER, MARK, 100, slot=30), guarded=True)
    assert story(world.buy(MAKER, 580_000, 100, slot=30, reduce_only=True)) == [("rested", MAKER, BUY, 580_000, 100)]


def test_the_fund_pays_what_it_has_and_the_rest_is_booked():
    world = small_long()
    world.sweep()
    assert world.account(0).cash == 18 * USDC
    world.walk_price(586_000)
    world.buy(OTHER, 586_000, 200_000)
    assert world.liquidate(SMALL)[-1] == ShortfallCovered(world.sequence, SMALL, 0, 0, 18 * USDC, 100 * USDC)
    assert (world.account(0).cash, world.account(SMALL).cash) == (0, 0)


def test_a_full_fund_pays_all_and_the_market_stays_open():
    world = small_long()
    world.sell(MAKER, MARK + 10_000, 2_000_000, slot=25)
    world.buy(OTHER, MARK + 10_000, 2_000_000, slot=25)
    world.sweep()
    fund = world.account(0).cash
    world.walk_price(586_000)
    world.buy(OTHER, 586_000, 200_000)
    assert world.liquidate(SMALL)[-1] == ShortfallCovered(world.sequence, SMALL, 0, 0, 118 * USDC, 0)
    assert world.account(0).cash == fund - 118 * USDC
    assert not world.state.markets[0].reduce_only


def test_sweeping_repays_what_was_booked_and_opens_the_market_again():
    world = small_long()
    world.walk_price(586_000)
    world.buy(OTHER, 586_000, 200_000)
    world.liquidate(SMALL)
    world.deposit(0, USDC)
    world.assert_refused(Reason.FEES_NOT_DUE, world.sweep, guarded=False)
    market = world.state.markets[0]
    market.fees = 60 * USDC
    assert world.sweep() == [FeesSwept(world.sequence, 0, 60 * USDC, 0, 60 * USDC)]
    assert (market.shortfall, market.reduce_only, world.account(0).cash) == (40 * USDC, True, 0)
    market.fees = 41 * USDC
    assert world.sweep() == [FeesSwept(world.sequence, 0, 41 * USDC, 0, 40 * USDC)]
    assert (market.shortfall, market.reduce_only, world.account(0).cash) == (0, False, USDC)


def test_a_liquidated_accounts_own_orders_are_met_dead():
    world = small_long()
    world.buy(SMALL, 592_000, 100, slot=50)
    world.walk_price(DUE)
    world.buy(OTHER, 591_000, 100_000)
    assert ("cancelled", SMALL, 50, 100, Cause.DEAD) in story(world.liquidate(SMALL))


def test_another_subaccount_of_the_same_owner_is_traded_with_and_shields_nothing():
    world = small_long()
    world.deposit(4, 10_000 * USDC, owner=owner_of(SMALL))
    world.walk_price(DUE)
    for slot in range(16, 26):
        world.send(world.order(4, BUY, DUE, 100, slot=slot), signers=(owner_of(SMALL),))
    world.buy(OTHER, DUE, 100_000)
    events = story(world.liquidate(SMALL))
    assert events == [("traded", 4, SMALL, DUE, 100)] * 10 + [("traded", OTHER, SMALL, DUE, 99_000)]


def test_its_own_orders_are_met_dead():
    world = small_long()
    world.buy(SMALL, DUE - 1, 100)
    world.walk_price(DUE)
    assert story(world.liquidate(SMALL)) == [("all cancelled", SMALL), ("cancelled", SMALL, 16, 100, Cause.DEAD)]


def test_a_partial_close_leaves_the_rest_for_the_next_poke():
    world = small_long()
    world.walk_price(DUE - 4_000)
    world.buy(OTHER, DUE - 4_000, 30_000)
    assert story(world.liquidate(SMALL)) == [("traded", OTHER, SMALL, DUE - 4_000, 30_000)]
    assert world.size(SMALL) == 70_000
    world.assert_refused(Reason.LIQUIDITY_MISSING, lambda: world.liquidate(SMALL), guarded=False)
    world.buy(OTHER, DUE - 4_000, 70_000)
    assert story(world.liquidate(SMALL))[0] == ("traded", OTHER, SMALL, DUE - 4_000, 70_000)
    assert world.size(SMALL) == 0


def test_the_bound_of_a_liquidation_stops_at_the_highest_price_there_is():
    world = World(traders=1)
    market = world.state.markets[0]
    market.mark_price = (1 << 40) - 1
    assert band_price(market, BUY) == (1 << 40) - 1
    assert 0 < band_price(market, SELL) < market.mark_price
    market.mark_price = 1
    assert (band_price(market, BUY), band_price(market, SELL)) == (1, 1)
