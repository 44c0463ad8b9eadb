"""At the edge of every width: refused by name, never an exception out of `apply`."""

import pytest

from penstock.protocol.quantities import CASH_BITS, WITHDRAWN_BITS, div_ceil, div_floor, div_trunc, fits
from penstock.protocol.reasons import Cause, Reason
from world import World, reasons, story, terms

WIDEST_ORDER = (1 << 48) - 1
WIDEST_CASH = (1 << CASH_BITS) - 1
MARK = 600_000


@pytest.fixture
def world():
    venue = World()
    venue.price(MARK)
    return venue


def test_open_interest_beyond_its_width_is_refused():
    """Three longs may each be below 2^55 and together above 2^56."""
    world = World([terms(lot=1)], cash=1 << 80, traders=6)
    world.price(10)
    trades = 0
    for long, short in ((1, 4), (2, 5), (3, 6)):
        for _ in range(127):
            world.sell(short, 10, WIDEST_ORDER)
            if (trades + 1) * WIDEST_ORDER >= 1 << 56:
                world.assert_refused(Reason.OUT_OF_RANGE, lambda n=long: world.buy(n, 10, WIDEST_ORDER), guarded=True)
                return
            assert reasons(world.buy(long, 10, WIDEST_ORDER)) == []
            trades += 1
    raise AssertionError("the widest open interest was never reached")


def test_a_maker_beyond_the_widest_position_is_cancelled():
    world = World([terms(lot=1)], cash=1 << 80, traders=4)
    world.price(10)
    for i in range(128):
        world.sell(1, 10, WIDEST_ORDER)
        assert reasons(world.buy(2 + i % 2, 10, WIDEST_ORDER)) == []
    world.sell(1, 10, WIDEST_ORDER)
    assert story(world.buy(4, 10, WIDEST_ORDER, time_in_force=1)) == [
        ("cancelled", 1, 16, WIDEST_ORDER, Cause.MAKER_MARGIN),
        ("dropped", 4, 16, WIDEST_ORDER, Cause.IMMEDIATE_REMAINDER),
    ]


def test_a_deposit_that_an_account_cannot_hold_is_refused():
    """Realised profit whose loser is bankrupt can lift one account's cash above all deposits."""
    world = World([terms(lot=1)], cash=1 << 93, traders=3)
    start = 1 << 38
    world.price(start)
    for _ in range(127):
        world.sell(2, start, WIDEST_ORDER)
        assert reasons(world.buy(1, start, WIDEST_ORDER)) == []
    world.walk_price(start * 39 // 10)
    for _ in range(127):
        world.sell(1, start * 39 // 10, WIDEST_ORDER)
        assert reasons(world.buy(3, start * 39 // 10, WIDEST_ORDER)) == []
    assert world.account(1).cash > 7 << 92
    world.assert_refused(Reason.OUT_OF_RANGE, lambda: world.deposit(1, 1 << 92), guarded=False)


def test_all_deposits_together_stay_below_the_widest_cash(world):
    held = world.state.deposited
    world.assert_refused(Reason.OUT_OF_RANGE, lambda: world.deposit(1, WIDEST_CASH - held + 1), guarded=False)
    assert reasons(world.deposit(1, WIDEST_CASH - held)) == []


def test_withdrawals_beyond_their_width_are_refused(world):
    world.account(1).withdrawn = (1 << WITHDRAWN_BITS) - 5
    world.assert_refused(Reason.OUT_OF_RANGE, lambda: world.withdraw(1, 5), guarded=True)
    assert reasons(world.withdraw(1, 4)) == []
    world.state.withdrawn = (1 << WITHDRAWN_BITS) - 5
    world.assert_refused(Reason.OUT_OF_RANGE, lambda: world.withdraw(2, 5), guarded=True)


def test_fees_that_a_market_or_the_fund_cannot_hold_are_refused(world):
    """Each of two fills would still fit, both do not."""
    world.sell(1, MARK, 100)
    world.sell(1, MARK, 100, slot=17)
    world.state.markets[0].fees = WIDEST_CASH - 30_000
    world.assert_refused(Reason.OUT_OF_RANGE, lambda: world.buy(2, MARK, 200), guarded=True)
    assert reasons(world.buy(2, MARK, 100)) == []
    world.account(0).cash = 100_000
    world.assert_refused(Reason.OUT_OF_RANGE, world.sweep, guarded=False)


def test_an_entry_sum_that_a_closing_fill_would_overflow_is_refused(world):
    """What a close releases may be far more than the trade's own notional."""
    world.sell(1, MARK, 100)
    world.buy(2, MARK, 100)
    world.buy(3, 1, 100)
    world.state.markets[0].entry_total = -WIDEST_CASH + 1_000_000
    world.assert_refused(Reason.OUT_OF_RANGE, lambda: world.sell(2, 1, 100), guarded=True)


def test_a_booked_shortfall_beyond_its_width_is_refused(world):
    world.account(1).cash = -10
    world.state.markets[0].shortfall = WIDEST_CASH - 9
    world.assert_refused(Reason.OUT_OF_RANGE, lambda: world.liquidate(1), guarded=False)


def test_a_rate_sum_or_funding_index_beyond_its_width_is_refused(world):
    market = world.state.markets[0]
    market.rate_time = WIDEST_CASH
    world.price(MARK, MARK + 6_000)
    world.assert_refused(Reason.OUT_OF_RANGE, lambda: world.price(MARK), guarded=False)
    market.funding_index = (1 << 78) - 1
    world.assert_refused(Reason.OUT_OF_RANGE, world.accrue, guarded=False)


@pytest.mark.parametrize("numerator", range(-12, 13))
@pytest.mark.parametrize("denominator", [1, 3, 5])
def test_the_three_divisions_round_where_their_names_say(numerator, denominator):
    floor, ceiling, truncated = (f(numerator, denominator) for f in (div_floor, div_ceil, div_trunc))
    assert floor * denominator <= numerator < (floor + 1) * denominator
    assert (ceiling - 1) * denominator < numerator <= ceiling * denominator
    assert truncated == (floor if numerator >= 0 else ceiling)


def test_a_width_excludes_its_power_of_two_on_both_sides():
    assert [fits(n, 3) for n in (-8, -7, 7, 8)] == [False, True, True, False]
