"""Tiers by hand, the legality rule, and profit that cannot leave before it is cash."""

import pytest

from penstock.protocol.quantities import MICRO
from penstock.protocol.reasons import Reason
from penstock.protocol.terms import default_markets
from penstock.spec.margin import Risk, assess, grew_or_flipped, initial_with_orders, is_legal, requirement, withdrawable
from penstock.spec.queries import account_view, market_view
from world import World, reasons, story

MARK = 600_000
MAKER, TRADER, THIRD = 1, 2, 3
USDC = MICRO


@pytest.fixture
def world():
    venue = World()
    venue.price(MARK)
    return venue


@pytest.mark.parametrize(
    ("notional", "initial", "maintenance"),
    [
        (0, 0, 0),
        (1, 1, 1),
        (50, 1, 1),
        (51, 2, 1),
        (100, 2, 1),
        (101, 3, 2),
        (1_000_000 * USDC, 20_000 * USDC, 10_000 * USDC),
        (1_000_000 * USDC + 1, 20_000 * USDC + 1, 10_000 * USDC + 1),
        (2_000_000 * USDC, 60_000 * USDC, 30_000 * USDC),
        (10_000_000 * USDC, 380_000 * USDC, 190_000 * USDC),
        (15_000_000 * USDC, 880_000 * USDC, 440_000 * USDC),
        (100_000_000 * USDC, 9_380_000 * USDC, 4_690_000 * USDC),
        (200_000_000 * USDC, 34_380_000 * USDC, 17_190_000 * USDC),
    ],
)
def test_each_tier_counts_for_the_part_inside_it(notional, initial, maintenance):
    terms = default_markets()[0]
    assert requirement(terms.tiers, notional, initial=True) == initial
    assert requirement(terms.tiers, notional, initial=False) == maintenance


def test_equity_is_cash_and_profit_at_the_mark(world):
    """10,000 USDC, 0.1 BTC bought at 60,000 (fee 1.80), mark 60,300: 30 of profit; 2 % and 1 % of 6,030."""
    world.sell(MAKER, MARK, 10_000)
    world.buy(TRADER, MARK, 10_000)
    world.price(MARK + 3_000)
    assert assess(world.state, world.account(TRADER)) == Risk(10_028_200_000, 120_600_000, 60_300_000)
    assert assess(world.state, world.account(MAKER)) == Risk(9_970_000_000, 120_600_000, 60_300_000)
    view = account_view(world.state, TRADER)
    assert (view.equity, view.initial_margin, view.maintenance_margin) == (10_028_200_000, 120_600_000, 60_300_000)
    assert view.positions[0].unrealised == 30 * USDC
    assert account_view(world.state, 77) is None


def test_open_orders_count_on_their_worse_side(world):
    world.buy(TRADER, MARK - 100, 1_000)
    world.sell(TRADER, MARK + 100, 3_000, slot=17)
    account = world.account(TRADER)
    assert initial_with_orders(world.state, account, account.lots) == 36 * USDC
    world.sell(MAKER, MARK, 2_000)
    world.buy(TRADER, MARK, 2_000, slot=18)
    # Long 2,000: with all bids 3,000, with all asks −1,000.
    assert initial_with_orders(world.state, account, account.lots) == 36 * USDC


@pytest.mark.parametrize(
    ("before", "after", "grew", "legal"),
    [
        ((100, 50), (100, 100), True, True),
        ((100, 50), (99, 100), True, False),
        ((50, 100), (60, 110), True, False),
        ((50, 100), (60, 110), False, True),
        ((50, 100), (50, 100), False, True),
        ((50, 100), (25, 50), False, True),
        ((50, 100), (24, 50), False, False),
        ((50, 100), (0, 0), False, True),
        ((50, 100), (-1, 0), False, False),
        ((-10, 100), (-10, 90), False, False),
        ((-10, 100), (-5, 50), False, True),
        ((-10, 100), (-11, 1), False, False),
        ((0, 100), (0, 50), False, True),
        ((0, 100), (-1, 1), False, False),
    ],
)
def test_an_act_must_leave_enough_or_a_risk_not_worse(before, after, grew, legal):
    assert is_legal(Risk(before[0], before[1], 0), Risk(after[0], after[1], 0), grew=grew) is legal


@pytest.mark.parametrize(
    ("before", "after", "grew"),
    [(0, 0, False), (0, 1, True), (1, 0, False), (2, 1, False), (1, 2, True), (1, -1, True), (-2, 1, True)],
)
def test_a_position_grows_away_from_zero_or_flips_through_it(before, after, grew):
    assert grew_or_flipped(before, after) is grew


def test_a_taker_that_grows_must_cover_its_open_orders_too():
    """122 USDC: 100 lots with their fee leave 120.20, enough for them, not for one resting lot beside them."""
    world = World(cash=122 * USDC)
    world.deposit(MAKER, 1_000_000 * USDC)
    world.price(MARK)
    world.sell(MAKER, MARK, 20_000)
    world.buy(TRADER, 1, 200, slot=17)
    world.assert_refused(Reason.MARGIN_TOO_LOW, lambda: world.buy(TRADER, MARK, 10_000), guarded=True)
    world.cancel(TRADER, slot=17)
    assert story(world.buy(TRADER, MARK, 10_000)) == [("traded", MAKER, TRADER, MARK, 10_000)]


def test_an_account_below_initial_margin_may_reduce_but_not_grow():
    world = World(cash=121_800_000)
    world.deposit(MAKER, 1_000_000 * USDC)
    world.price(MARK)
    world.sell(MAKER, MARK, 10_000)
    world.buy(TRADER, MARK, 10_000)
    world.price(MARK - 500)
    world.buy(MAKER, MARK - 500, 5_000, slot=17)
    world.sell(MAKER, MARK - 500, 5_000, slot=18)
    world.assert_refused(Reason.MARGIN_TOO_LOW, lambda: world.buy(TRADER, MARK - 500, 100), guarded=True)
    world.buy(MAKER, MARK - 500, 5_000, slot=17)
    assert story(world.sell(TRADER, MARK - 500, 5_000)) == [("traded", MAKER, TRADER, MARK - 500, 5_000)]


def test_an_account_below_initial_margin_may_not_sell_below_its_share_of_equity():
    """Closing half must leave at least half of the equity: no emptying a failing account to a friend."""
    world = World(cash=121_800_000)
    world.deposit(MAKER, 1_000_000 * USDC)
    world.price(MARK)
    world.sell(MAKER, MARK, 10_000)
    world.buy(TRADER, MARK, 10_000)
    world.price(MARK - 500)
    world.buy(MAKER, MARK - 20_000, 5_000, slot=17)
    world.assert_refused(Reason.MARGIN_TOO_LOW, lambda: world.sell(TRADER, MARK - 20_000, 5_000), guarded=True)


def test_orders_that_only_offset_a_position_need_no_more_margin():
    world = World(cash=121_800_000)
    world.deposit(MAKER, 1_000_000 * USDC)
    world.price(MARK)
    world.sell(MAKER, MARK, 10_000)
    world.buy(TRADER, MARK, 10_000)
    world.price(MARK - 500)
    assert reasons(world.sell(TRADER, MARK + 100, 10_000)) == []
    assert reasons(world.sell(TRADER, MARK + 100, 10_000, slot=17)) == []
    world.assert_refused(Reason.MARGIN_TOO_LOW, lambda: world.sell(TRADER, MARK + 100, 100, slot=18), guarded=True)


def test_unrealised_profit_cannot_leave(world):
    """Bought 0.1 BTC; at +1 % there are 60 USDC of profit, but not a cent more cash."""
    world.sell(MAKER, MARK, 10_000)
    world.buy(TRADER, MARK, 10_000)
    cash = world.account(TRADER).cash
    world.price(MARK + 6_000)
    # Profit pays for part of the margin; cash is the ceiling.
    assert withdrawable(world.state, world.account(TRADER)) == cash + 60 * USDC - 121_200_000
    world.walk_price(MARK + 60_000)
    assert withdrawable(world.state, world.account(TRADER)) == cash
    world.assert_refused(Reason.AMOUNT_ABOVE_WITHDRAWABLE, lambda: world.withdraw(TRADER, cash + 1), guarded=True)
    assert reasons(world.withdraw(TRADER, cash)) == []
    assert world.account(TRADER).cash == 0


def test_an_unrealised_loss_stays_behind(world):
    world.sell(MAKER, MARK, 10_000)
    world.buy(TRADER, MARK, 10_000)
    world.price(MARK + 6_000)
    assert withdrawable(world.state, world.account(MAKER)) == 10_000 * USDC - 60 * USDC - 121_200_000


def test_open_orders_hold_their_margin_back(world):
    world.buy(TRADER, MARK - 100, 10_000)
    world.assert_refused(
        Reason.AMOUNT_ABOVE_WITHDRAWABLE, lambda: world.withdraw(TRADER, 9_880 * USDC + 1), guarded=True
    )
    assert reasons(world.withdraw(TRADER, 9_880 * USDC)) == []


def test_a_market_view_says_what_the_market_holds(world):
    world.sell(MAKER, MARK, 10_000)
    world.buy(TRADER, MARK, 10_000)
    view = market_view(world.state, 0)
    assert (view.open_interest, view.fees, view.mark_price) == (10_000, 1_800_000, MARK)
    assert market_view(world.state, 9) is None
