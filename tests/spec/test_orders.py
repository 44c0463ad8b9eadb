"""Why an order is refused, one test a reason; the guard nonce rises and nothing else moves."""

import pytest

from penstock.protocol.commands import BUY, IMMEDIATE_OR_CANCEL, SELL
from penstock.protocol.quantities import MAX_OPEN_ORDERS, MAX_POSITIONS, MAX_REDUCE_ONLY, MICRO
from penstock.protocol.reasons import Cause, Reason
from penstock.protocol.terms import default_markets
from world import SESSION_KEY, World, owner_of, reasons, story, terms

MARK = 600_000
MAKER, TAKER, THIRD = 1, 2, 3


@pytest.fixture
def world():
    venue = World()
    venue.price(MARK)
    return venue


def poor_world(cash):
    venue = World(cash=cash)
    venue.price(MARK)
    return venue


def test_a_message_after_its_deadline_is_refused_and_used_up(world):
    world.assert_refused(
        Reason.DEADLINE_PASSED, lambda: world.buy(TAKER, MARK, 100, deadline=world.time + 999), guarded=True
    )
    assert story(world.buy(TAKER, MARK, 100, deadline=world.time + 1_000)) == [("rested", TAKER, BUY, MARK, 100)]


def test_an_unlisted_market_is_unknown(world):
    world.assert_refused(Reason.MARKET_UNKNOWN, lambda: world.buy(TAKER, MARK, 100, market=7), guarded=True)


def test_an_unlisted_market_is_unknown_to_session_keys_too(world):
    world.grant(TAKER)
    order = world.order(TAKER, BUY, MARK, 100, market=7)
    world.assert_refused(Reason.MARKET_UNKNOWN, lambda: world.send(order, signers=(SESSION_KEY,)), guarded=True)


@pytest.mark.parametrize("changes", [{"side": 2}, {"side": 255}, {"time_in_force": 2}, {"time_in_force": 255}])
def test_a_side_or_time_in_force_that_is_not_listed_is_refused(world, changes):
    world.assert_refused(Reason.FIELD_UNKNOWN_VALUE, lambda: world.buy(TAKER, MARK, 100, **changes), guarded=True)


def test_post_only_and_immediate_or_cancel_contradict(world):
    world.assert_refused(
        Reason.FLAGS_CONFLICT,
        lambda: world.buy(TAKER, MARK, 100, post_only=True, time_in_force=IMMEDIATE_OR_CANCEL),
        guarded=True,
    )


def test_a_price_of_zero_is_refused(world):
    world.assert_refused(Reason.PRICE_NOT_POSITIVE, lambda: world.buy(TAKER, 0, 100), guarded=True)


def test_a_price_between_two_ticks_is_refused():
    world = World([terms(tick=5)])
    world.price(MARK)
    for price in (MARK + 1, MARK + 4, 3):
        world.assert_refused(Reason.PRICE_OFF_TICK, lambda p=price: world.buy(TAKER, p, 100), guarded=True)
    assert reasons(world.buy(TAKER, MARK - 5, 100)) == []


def test_a_size_of_zero_is_refused(world):
    world.assert_refused(Reason.SIZE_NOT_POSITIVE, lambda: world.buy(TAKER, MARK, 0), guarded=True)


@pytest.mark.parametrize("size", [1, 99, 101, 150])
def test_a_size_between_two_lots_is_refused(world, size):
    world.assert_refused(Reason.SIZE_OFF_LOT, lambda: world.buy(TAKER, MARK, size), guarded=True)


def test_nobody_pays_a_fee_above_the_one_he_signed(world):
    world.assert_refused(Reason.FEE_ABOVE_MAXIMUM, lambda: world.buy(TAKER, MARK, 100, max_fee_ppm=299), guarded=True)
    assert reasons(world.buy(TAKER, MARK, 100, max_fee_ppm=300)) == []
    assert reasons(world.buy(TAKER, MARK, 100, slot=17, max_fee_ppm=0, post_only=True)) == []


def test_without_a_price_nothing_but_reduce_only_trades():
    world = World()
    world.assert_refused(Reason.PRICE_STALE, lambda: world.buy(TAKER, MARK, 100), guarded=True)
    world.assert_refused(
        Reason.REDUCE_ONLY_WOULD_GROW, lambda: world.buy(TAKER, MARK, 100, reduce_only=True), guarded=True
    )


def test_a_price_is_stale_after_its_sixty_seconds(world):
    world.sell(MAKER, MARK, 200)
    world.buy(TAKER, MARK, 200)
    world.time = world.state.markets[0].priced_at + 60 * MICRO - 1_000
    assert reasons(world.buy(MAKER, MARK - 10, 100, slot=20)) == []
    world.assert_refused(Reason.PRICE_STALE, lambda: world.buy(MAKER, MARK - 10, 100, slot=21), guarded=True)
    assert story(world.sell(TAKER, MARK - 10, 100, reduce_only=True)) == [("traded", MAKER, TAKER, MARK - 10, 100)]


def test_a_replace_that_has_not_seen_a_fill_is_refused(world):
    world.sell(MAKER, MARK, 500)
    world.buy(TAKER, MARK, 200)
    for changes in ({}, {"price": MARK + 5}, {"side": BUY, "price": MARK - 5}):
        world.assert_refused(
            Reason.FILLED_SINCE,
            lambda c=changes: world.sell(MAKER, MARK, 300, fill_guard=199, **c),
            guarded=True,
        )
    assert story(world.sell(MAKER, MARK, 300, fill_guard=200)) == [("amended", MAKER, SELL, MARK, 300)]


def test_there_is_no_order_to_cancel(world):
    world.assert_refused(Reason.ORDER_UNKNOWN, lambda: world.cancel(TAKER), guarded=True)
    world.buy(TAKER, MARK, 100)
    assert story(world.cancel(TAKER)) == [("cancelled", TAKER, 16, 100, Cause.BY_OWNER)]
    world.assert_refused(Reason.ORDER_UNKNOWN, lambda: world.cancel(TAKER), guarded=True)


def test_a_filled_order_cannot_be_cancelled(world):
    world.sell(MAKER, MARK, 100)
    world.buy(TAKER, MARK, 100)
    world.assert_refused(Reason.ORDER_UNKNOWN, lambda: world.cancel(MAKER), guarded=True)


def test_reduce_only_needs_a_position_on_the_other_side(world):
    world.assert_refused(
        Reason.REDUCE_ONLY_WOULD_GROW, lambda: world.sell(TAKER, MARK, 100, reduce_only=True), guarded=True
    )
    world.sell(MAKER, MARK, 100)
    world.buy(TAKER, MARK, 100)
    world.assert_refused(
        Reason.REDUCE_ONLY_WOULD_GROW, lambda: world.buy(TAKER, MARK, 100, reduce_only=True), guarded=True
    )
    assert reasons(world.sell(TAKER, MARK + 50, 100, reduce_only=True)) == []


def test_eight_reduce_only_orders_a_market_and_no_ninth(world):
    world.sell(MAKER, MARK, 100)
    world.buy(TAKER, MARK, 100)
    for i in range(MAX_REDUCE_ONLY):
        assert reasons(world.sell(TAKER, MARK + 50, 100, slot=20 + i, reduce_only=True)) == []
    world.assert_refused(
        Reason.REDUCE_ONLY_LIMIT, lambda: world.sell(TAKER, MARK + 50, 100, slot=40, reduce_only=True), guarded=True
    )
    # A replace takes the place of the one it ousts.
    assert reasons(world.sell(TAKER, MARK + 60, 100, slot=20, reduce_only=True)) == []
    world.cancel(TAKER, slot=21)
    assert reasons(world.sell(TAKER, MARK + 50, 100, slot=40, reduce_only=True)) == []


def test_1024_open_orders_and_no_more(world):
    for i in range(MAX_OPEN_ORDERS):
        assert reasons(world.buy(TAKER, 1, 100, slot=16 + i)) == []
    world.assert_refused(Reason.OPEN_ORDER_LIMIT, lambda: world.buy(TAKER, 1, 100, slot=2_000), guarded=True)
    assert reasons(world.buy(TAKER, 2, 100, slot=16)) == []
    world.cancel_all(TAKER)
    assert reasons(world.buy(TAKER, 1, 100, slot=2_000)) == []


def test_an_order_that_died_with_its_key_makes_room_for_the_one_that_ousts_it(world):
    world.sell(MAKER, MARK, 100)
    world.buy(TAKER, MARK, 100)
    world.grant(TAKER)
    world.send(world.order(TAKER, SELL, MARK + 50, 100, 20, reduce_only=True), signers=(SESSION_KEY,))
    for i in range(1, MAX_REDUCE_ONLY):
        world.sell(TAKER, MARK + 50, 100, slot=20 + i, reduce_only=True)
    world.revoke(TAKER)
    assert story(world.sell(TAKER, MARK + 60, 100, slot=20, reduce_only=True)) == [
        ("cancelled", TAKER, 20, 100, Cause.DEAD),
        ("rested", TAKER, SELL, MARK + 60, 100),
    ]
    assert world.account(TAKER).reduce_only == {0: MAX_REDUCE_ONLY}


def test_a_post_only_order_never_takes(world):
    world.sell(MAKER, MARK, 100)
    world.assert_refused(
        Reason.POST_ONLY_WOULD_TRADE, lambda: world.buy(TAKER, MARK, 100, post_only=True), guarded=True
    )
    assert story(world.buy(TAKER, MARK - 1, 100, post_only=True)) == [("rested", TAKER, BUY, MARK - 1, 100)]


def test_a_post_only_order_does_not_meet_the_order_it_replaces(world):
    world.sell(TAKER, MARK, 100)
    assert story(world.buy(TAKER, MARK + 10, 100, post_only=True)) == [
        ("cancelled", TAKER, 16, 100, Cause.REPLACED),
        ("rested", TAKER, BUY, MARK + 10, 100),
    ]


def test_32_positions_and_no_33rd():
    markets = [terms(market=i, underlying=i) for i in range(MAX_POSITIONS + 1)]
    world = World(markets, cash=1_000_000 * MICRO)
    for market in range(MAX_POSITIONS + 1):
        world.price(MARK, market=market)
    for market in range(MAX_POSITIONS):
        world.sell(MAKER, MARK, 100, market=market)
        assert story(world.buy(TAKER, MARK, 100, market=market)) == [("traded", MAKER, TAKER, MARK, 100)]
    last = MAX_POSITIONS
    world.assert_refused(Reason.POSITION_LIMIT, lambda: world.buy(TAKER, MARK - 50, 100, market=last), guarded=True)
    world.sell(THIRD, MARK, 100, slot=30, market=last)
    world.assert_refused(Reason.POSITION_LIMIT, lambda: world.buy(TAKER, MARK, 100, market=last), guarded=True)
    # As a maker the 33rd is no fill but a cancellation.
    world.cancel(THIRD, slot=30)
    world.sell(TAKER, MARK, 100, market=0)
    world.buy(MAKER, MARK, 100, market=0)
    assert len(world.account(TAKER).positions) == len(world.account(MAKER).positions) == MAX_POSITIONS - 1
    world.sell(TAKER, MARK, 100, slot=31, market=last)
    world.sell(TAKER, MARK, 100, slot=32, market=0)
    assert story(world.buy(THIRD, MARK, 100, market=0)) == [("traded", TAKER, THIRD, MARK, 100)]
    assert story(world.buy(THIRD, MARK, 100, slot=17, market=last)) == [
        ("cancelled", TAKER, 31, 100, Cause.MAKER_MARGIN),
        ("rested", THIRD, BUY, MARK, 100),
    ]


def test_a_resting_order_must_be_covered_by_initial_margin():
    """2 % of 100 lots at 60 USDC is 120 USDC."""
    world = poor_world(120 * MICRO)
    world.assert_refused(Reason.MARGIN_TOO_LOW, lambda: world.buy(TAKER, MARK - 100, 10_100), guarded=True)
    assert reasons(world.buy(TAKER, MARK - 100, 10_000)) == []
    # The other side is free: only the worse of the two can fill into a position.
    assert reasons(world.sell(TAKER, MARK + 100, 10_000, slot=17)) == []
    world.assert_refused(Reason.MARGIN_TOO_LOW, lambda: world.buy(TAKER, MARK - 100, 100, slot=18), guarded=True)


def test_a_taker_must_afford_its_fill_and_the_fee():
    """100 lots want 120 USDC, and the fee of 0.03 % is 1.80."""
    world = poor_world(120 * MICRO)
    world.deposit(MAKER, 1_000 * MICRO)
    world.sell(MAKER, MARK, 10_000)
    world.assert_refused(Reason.MARGIN_TOO_LOW, lambda: world.buy(TAKER, MARK, 10_000), guarded=True)
    world.deposit(TAKER, 1_800_000)
    assert story(world.buy(TAKER, MARK, 10_000)) == [("traded", MAKER, TAKER, MARK, 10_000)]
    assert world.account(TAKER).cash == 120 * MICRO


def test_a_taker_beyond_the_widest_position_is_out_of_range():
    """|size| < 2^55: 128 orders of the widest size are one too many."""
    widest = (1 << 48) - 1
    world = World([terms(lot=1)], cash=1 << 80, traders=5)
    world.price(10)
    for i in range(129):
        assert reasons(world.sell(1 + i % 2 * 2, 10, widest)) == []
        if i < 128:
            assert reasons(world.buy(2, 10, widest)) == []
    world.assert_refused(Reason.OUT_OF_RANGE, lambda: world.buy(2, 10, widest), guarded=True)


def test_what_is_wrong_in_many_ways_is_refused_for_the_first():
    world = World([terms(tick=5)])
    worst = {
        "market": 7, "side": 2, "time_in_force": 1, "post_only": True, "price": 0, "size": 0, "max_fee_ppm": 0,
    }  # fmt: skip
    cures = [
        (Reason.DEADLINE_PASSED, {"deadline": (1 << 64) - 1}),
        (Reason.MARKET_UNKNOWN, {"market": 0}),
        (Reason.FIELD_UNKNOWN_VALUE, {"side": 0}),
        (Reason.FLAGS_CONFLICT, {"post_only": False}),
        (Reason.PRICE_NOT_POSITIVE, {"price": 3}),
        (Reason.PRICE_OFF_TICK, {"price": 5}),
        (Reason.SIZE_NOT_POSITIVE, {"size": 3}),
        (Reason.SIZE_OFF_LOT, {"size": 100}),
        (Reason.FEE_ABOVE_MAXIMUM, {"max_fee_ppm": 300}),
    ]
    changes = {**worst, "deadline": 0}
    for reason, cure in cures:
        assert reasons(world.buy(TAKER, 0, 0, **changes)) == [reason]
        changes |= cure
    assert reasons(world.buy(TAKER, 0, 0, **changes)) == [Reason.PRICE_STALE]


def test_the_default_markets_are_a_cent_of_a_cent_exact():
    for market in default_markets():
        assert market.price_unit * market.size_unit * 1_000_000 == 1


def test_a_refused_replace_leaves_the_resting_order_alone(world):
    world.buy(TAKER, MARK - 10, 100)
    resting = world.account(TAKER).orders[16]
    world.assert_refused(Reason.SIZE_OFF_LOT, lambda: world.buy(TAKER, MARK - 20, 150), guarded=True)
    assert world.account(TAKER).orders[16] == resting
    assert world.account(TAKER).guards[16] > resting.nonce
    assert owner_of(TAKER) == world.account(TAKER).owner
