"""Fees, rebates, builder fees, caps: who pays what to whom, and how large anybody may get."""

import pytest

from penstock.protocol.commands import PayBuilder
from penstock.protocol.events import BuilderPaid, Traded
from penstock.protocol.quantities import MICRO
from penstock.protocol.reasons import Cause, Reason
from penstock.spec.prices import crowding
from penstock.spec.state import Market
from spec.contracts import INDEX, WHOLE
from world import World, reasons, story, terms


def world_of(**changes):
    """One perpetual at 100,000 USD with these terms."""
    world = World([terms(**changes)], cash=1_000_000 * MICRO)
    world.price(INDEX)
    return world


def trades(events):
    """The trades among events."""
    return [event for event in events if isinstance(event, Traded)]


def test_a_rebate_is_paid_out_of_the_takers_fee():
    world = world_of(maker_fee_ppm=-100)
    world.sell(1, INDEX, WHOLE)
    [trade] = trades(world.buy(2, INDEX, WHOLE))
    assert (trade.maker_fee, trade.taker_fee) == (-10 * MICRO, 30 * MICRO)
    assert world.account(1).cash == 1_000_010 * MICRO
    assert world.state.markets[0].fees == 20 * MICRO


def test_a_rebate_is_rounded_down_and_a_fee_up():
    world = world_of(maker_fee_ppm=-100, lot=1)
    world.sell(1, 1_000_001, 1)
    [trade] = trades(world.buy(2, 1_000_001, 1))
    assert (trade.maker_fee, trade.taker_fee) == (-100, 301)


def test_a_rebate_never_exceeds_the_fee_of_its_trade():
    with pytest.raises(ValueError, match="maker_fee_ppm is -301, wants -300"):
        terms(maker_fee_ppm=-301).check()
    world = world_of(maker_fee_ppm=-300)
    world.sell(1, INDEX, WHOLE)
    [trade] = trades(world.buy(2, INDEX, WHOLE))
    assert trade.maker_fee + trade.taker_fee == 0


def test_a_liquidation_that_cannot_bear_its_fee_pays_no_more_rebate_than_that():
    world = World([terms(maker_fee_ppm=-300, liquidation_fee_ppm=300)], cash=2_100 * MICRO)
    world.price(INDEX)
    world.deposit(2, 1_000_000 * MICRO)
    world.deposit(3, 1_000_000 * MICRO)
    world.sell(2, INDEX, WHOLE)
    world.buy(1, INDEX, WHOLE)
    world.walk_price(981_000)
    world.buy(3, 979_500, WHOLE)
    world.liquidate(1)
    [trade] = trades(world.events[-3:])
    assert trade.liquidation
    assert trade.maker_fee == -trade.taker_fee == -min(30 * MICRO, trade.taker_fee)


def test_a_builder_is_paid_on_what_the_order_takes_and_collects_by_poke():
    world = world_of()
    world.sell(1, INDEX, 3 * WHOLE)
    [trade] = trades(world.buy(2, INDEX, WHOLE, builder=3, builder_fee_ppm=500))
    assert (trade.builder, trade.builder_fee, trade.taker_fee) == (3, 50 * MICRO, 30 * MICRO)
    world.buy(2, INDEX, WHOLE, builder=3, builder_fee_ppm=1_000)
    market = world.state.markets[0]
    assert (market.fees, market.builder_fees, market.builders) == (60 * MICRO, 150 * MICRO, {3: 150 * MICRO})
    world.sweep()
    assert market.builder_fees == 150 * MICRO, "no sweep takes it"
    assert world.send(PayBuilder(0, 3)) == [BuilderPaid(world.sequence, 0, 3, 150 * MICRO)]
    assert world.account(3).cash == 1_000_150 * MICRO
    assert (market.builder_fees, market.builders) == (0, {})
    world.assert_refused(Reason.BUILDER_NOT_DUE, lambda: world.send(PayBuilder(0, 3)), guarded=False)


def test_an_order_that_rests_pays_its_builder_nothing():
    world = world_of()
    world.sell(1, INDEX, WHOLE, builder=3, builder_fee_ppm=500)
    [trade] = trades(world.buy(2, INDEX, WHOLE))
    assert (trade.builder, trade.builder_fee) == (0, 0)


@pytest.mark.parametrize(
    ("builder", "fee", "reason"),
    [
        (0, 1, Reason.BUILDER_UNKNOWN),
        (9, 0, Reason.BUILDER_UNKNOWN),
        (9, 1, Reason.BUILDER_UNKNOWN),
        (3, 1_001, Reason.BUILDER_FEE_TOO_HIGH),
    ],
)
def test_a_builder_exists_and_is_modest(builder, fee, reason):
    world = world_of()
    order = world.order(1, 0, INDEX, WHOLE, builder=builder, builder_fee_ppm=fee)
    world.assert_refused(reason, lambda: world.send(order, signers=(world.account(1).owner,)), guarded=True)


def test_nobody_grows_beyond_the_markets_cap():
    world = world_of(position_cap=150_000)
    world.sell(1, INDEX, WHOLE)
    world.sell(3, INDEX, WHOLE)
    assert reasons(world.buy(2, INDEX, 150_100)) == [Reason.POSITION_CAP]
    assert reasons(world.buy(2, INDEX, 150_000)) == []
    assert story(world.buy(2, INDEX, 100)) == [("refused", 0, Reason.POSITION_CAP)]
    assert reasons(world.sell(2, INDEX, 100, reduce_only=True)) == []


def test_a_makers_order_that_would_grow_beyond_the_cap_leaves_the_book():
    world = world_of(position_cap=150_000)
    world.sell(1, INDEX, 2 * WHOLE)
    assert story(world.buy(2, INDEX, WHOLE)) == [("traded", 1, 2, INDEX, WHOLE)]
    assert story(world.buy(3, INDEX, WHOLE, time_in_force=1)) == [
        ("cancelled", 1, 16, WHOLE, Cause.MAKER_MARGIN),
        ("dropped", 3, 16, WHOLE, Cause.IMMEDIATE_REMAINDER),
    ]


def test_open_interest_grows_to_its_cap_and_crowds_initial_margin_on_the_way():
    world = world_of(open_interest_cap=200_000, crowded_from=100_000)
    world.sell(1, INDEX, 4 * WHOLE)
    world.buy(2, INDEX, 150_000)
    assert world.state.markets[0].crowding == 0, "only a price counts the crowd anew"
    world.price(INDEX)
    assert world.state.markets[0].crowding == 5_000
    assert reasons(world.buy(3, INDEX, 50_100)) == [Reason.OPEN_INTEREST_CAP]
    assert reasons(world.buy(3, INDEX, 50_000)) == []
    world.price(INDEX)
    assert world.state.markets[0].crowding == 10_000
    world.cancel(1)
    world.sell(2, INDEX + 100, 50_000)
    assert reasons(world.buy(3, INDEX + 100, 50_000)) == [], "what changes hands adds nothing"


@pytest.mark.parametrize(
    ("interest", "expected"), [(0, 0), (100, 0), (101, 100), (150, 5_000), (199, 9_900), (200, 10_000), (900, 10_000)]
)
def test_crowding_is_a_straight_line(interest, expected):
    listed = terms(open_interest_cap=200, crowded_from=100)
    assert crowding(Market(listed, b"", open_interest=interest)) == expected
