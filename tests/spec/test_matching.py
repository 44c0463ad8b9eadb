"""Price, then time; the maker's price; and what happens to everything a taker meets."""

import pytest

from penstock.protocol.commands import BUY, IMMEDIATE_OR_CANCEL, SELL
from penstock.protocol.events import BY_OWNER_KEY, OrderRested, SlotGuarded, Traded
from penstock.protocol.quantities import MICRO
from penstock.protocol.reasons import Cause, Reason
from penstock.protocol.signing import hash_record
from world import SESSION_KEY, World, owner_of, reasons, story

MARK = 600_000
A, B, TAKER, D = 1, 2, 3, 4
FEE = 18_000
"""0.03 % of one lot at the mark, 60 USDC."""


@pytest.fixture
def world():
    venue = World(traders=4)
    venue.price(MARK)
    return venue


def ioc(world, side, price, size, **changes):
    send = world.buy if side == BUY else world.sell
    return send(TAKER, price, size, time_in_force=IMMEDIATE_OR_CANCEL, **changes)


def test_a_taker_pays_the_makers_price_and_rests_the_remainder(world):
    ask = world.order(A, SELL, MARK, 500)
    world.send(ask, signers=(owner_of(A),))
    placed = world.sequence
    bid = world.order(TAKER, BUY, MARK + 200, 800)
    events = world.send(bid, signers=(owner_of(TAKER),))
    assert events == [
        SlotGuarded(TAKER, 16, bid.nonce),
        Traded(
            world.sequence, 0, 0, MARK, 500, BUY, A, 16, ask.nonce, BY_OWNER_KEY, placed << 6, placed, 0, 0,
            TAKER, 16, bid.nonce, BY_OWNER_KEY, MARK + 200, BUY, 5 * FEE, world.account(TAKER).cash + 5 * FEE, 0, 0,
            0, 0, False, True, hash_record(ask), hash_record(bid),
        ),
        OrderRested(
            TAKER, 16, bid.nonce, bid.nonce, 0, BUY, MARK + 200, 300, 500, world.sequence, 0, BY_OWNER_KEY,
            False, False, hash_record(bid),
        ),
    ]  # fmt: skip


def test_the_best_price_comes_first_and_at_one_price_the_oldest(world):
    world.sell(A, MARK + 2, 100, slot=16)
    world.sell(A, MARK + 1, 100, slot=17)
    world.sell(B, MARK + 1, 100, slot=16)
    world.sell(B, MARK, 100, slot=17)
    world.sell(A, MARK + 1, 100, slot=18)
    world.buy(TAKER, MARK + 2, 500)
    fills = [(e.maker, e.maker_slot, e.price) for e in world.events if isinstance(e, Traded)]
    assert fills == [(B, 17, MARK), (A, 17, MARK + 1), (B, 16, MARK + 1), (A, 18, MARK + 1), (A, 16, MARK + 2)]


def test_the_highest_bid_comes_first_for_a_seller(world):
    world.buy(A, MARK - 1, 100)
    world.buy(B, MARK, 100)
    assert story(world.sell(TAKER, MARK - 1, 200)) == [
        ("traded", B, TAKER, MARK, 100),
        ("traded", A, TAKER, MARK - 1, 100),
    ]


def test_nobody_trades_beyond_his_limit(world):
    world.sell(A, MARK + 1, 100)
    world.buy(B, MARK - 1, 100)
    assert story(world.buy(TAKER, MARK, 100)) == [("rested", TAKER, BUY, MARK, 100)]
    assert story(world.sell(D, MARK + 1, 100)) == [("rested", D, SELL, MARK + 1, 100)]
    assert story(world.sell(D, MARK, 100, slot=17)) == [("traded", TAKER, D, MARK, 100)]


def test_a_partly_filled_maker_keeps_its_place(world):
    world.sell(A, MARK, 300)
    world.sell(B, MARK, 300)
    assert story(world.buy(TAKER, MARK, 100)) == [("traded", A, TAKER, MARK, 100)]
    assert story(world.buy(TAKER, MARK, 300)) == [("traded", A, TAKER, MARK, 200), ("traded", B, TAKER, MARK, 100)]


def test_what_immediate_or_cancel_cannot_fill_is_dropped(world):
    world.sell(A, MARK, 100)
    assert story(ioc(world, BUY, MARK, 300)) == [
        ("traded", A, TAKER, MARK, 100),
        ("dropped", TAKER, 16, 200, Cause.IMMEDIATE_REMAINDER),
    ]
    assert story(ioc(world, BUY, MARK, 300)) == [("dropped", TAKER, 16, 300, Cause.IMMEDIATE_REMAINDER)]
    assert world.account(TAKER).orders == {}


def test_a_replace_at_the_same_price_and_not_larger_keeps_its_place(world):
    world.sell(A, MARK, 500)
    world.sell(B, MARK, 100)
    for size in (500, 300):
        assert story(world.sell(A, MARK, size)) == [("amended", A, SELL, MARK, size)]
    assert story(world.buy(TAKER, MARK, 100)) == [("traded", A, TAKER, MARK, 100)]
    assert world.account(A).lots == {0: [0, 200]}


@pytest.mark.parametrize(
    ("changes", "price"), [({"size": 600}, MARK), ({}, MARK + 1), ({"post_only": True, "size": 600}, MARK)]
)
def test_a_replace_that_is_larger_or_elsewhere_goes_to_the_back(world, changes, price):
    world.sell(A, MARK, 500)
    world.sell(B, MARK, 100)
    world.sell(B, MARK + 1, 100, slot=17)
    size = changes.get("size", 500)
    assert story(world.sell(A, price, 500, **changes)) == [
        ("cancelled", A, 16, 500, Cause.REPLACED),
        ("rested", A, SELL, price, size),
    ]
    assert story(world.buy(TAKER, MARK, 100)) == [("traded", B, TAKER, MARK, 100)]


def test_an_immediate_replace_ousts_the_resting_order_and_never_rests(world):
    world.sell(A, MARK, 500)
    assert story(world.sell(A, MARK, 300, time_in_force=IMMEDIATE_OR_CANCEL)) == [
        ("cancelled", A, 16, 500, Cause.REPLACED),
        ("dropped", A, 16, 300, Cause.IMMEDIATE_REMAINDER),
    ]


def test_a_replace_may_change_side_market_and_reduce_only(world):
    world.price(30_000_00, market=1)
    world.sell(A, MARK, 500)
    assert story(world.buy(A, MARK, 500)) == [("cancelled", A, 16, 500, Cause.REPLACED), ("rested", A, BUY, MARK, 500)]
    assert story(world.buy(A, 30_000_00, 500, market=1)) == [
        ("cancelled", A, 16, 500, Cause.REPLACED),
        ("rested", A, BUY, 30_000_00, 500),
    ]
    world.sell(B, MARK, 100)
    world.buy(A, MARK, 100, slot=17)
    world.sell(A, MARK + 5, 100, slot=18)
    assert story(world.sell(A, MARK + 5, 100, slot=18, reduce_only=True)) == [
        ("cancelled", A, 18, 100, Cause.REPLACED),
        ("rested", A, SELL, MARK + 5, 100),
    ]


def test_a_chain_of_replaces_keeps_its_first_nonce_as_its_name(world):
    world.sell(A, MARK, 500)
    first = world.account(A).orders[16].nonce
    world.sell(A, MARK, 400)
    world.sell(A, MARK + 1, 400)
    order = world.account(A).orders[16]
    assert (order.first_nonce, order.nonce > first) == (first, True)
    world.cancel(A)
    world.sell(A, MARK, 500)
    assert world.account(A).orders[16].first_nonce != first


def test_a_fill_guard_counts_fills_since_the_present_message(world):
    world.sell(A, MARK, 500)
    world.buy(TAKER, MARK, 200)
    world.sell(A, MARK, 300, fill_guard=200)
    assert world.account(A).orders[16].filled == 0
    world.buy(TAKER, MARK, 100)
    world.assert_refused(Reason.FILLED_SINCE, lambda: world.sell(A, MARK, 200, fill_guard=99), guarded=True)
    assert story(world.sell(A, MARK + 1, 200, fill_guard=100)) == [
        ("cancelled", A, 16, 200, Cause.REPLACED),
        ("rested", A, SELL, MARK + 1, 200),
    ]


def test_fills_taken_on_arrival_count_for_the_guard(world):
    world.sell(A, MARK, 200)
    world.buy(TAKER, MARK, 500)
    assert world.account(TAKER).orders[16].filled == 200
    world.assert_refused(Reason.FILLED_SINCE, lambda: world.buy(TAKER, MARK, 300, fill_guard=0), guarded=True)


def test_who_would_trade_with_himself_loses_the_resting_order(world):
    world.sell(A, MARK, 100)
    world.sell(B, MARK, 100)
    assert story(world.buy(A, MARK, 200, slot=17)) == [
        ("cancelled", A, 16, 100, Cause.SELF_TRADE),
        ("traded", B, A, MARK, 100),
        ("rested", A, BUY, MARK, 100),
    ]


def test_two_subaccounts_of_one_owner_do_not_trade_with_each_other(world):
    world.deposit(5, 1_000 * MICRO, owner=owner_of(A))
    world.sell(A, MARK, 100)
    order = world.order(5, BUY, MARK, 100)
    assert story(world.send(order, signers=(owner_of(A),))) == [
        ("cancelled", A, 16, 100, Cause.SELF_TRADE),
        ("rested", 5, BUY, MARK, 100),
    ]


def test_a_maker_who_cannot_afford_the_fill_is_cancelled_and_skipped(world):
    """2 % of 100 lots is 120 USDC; a price 1 % up adds 1.20 and takes 60 of profit away."""
    world.deposit(5, 120 * MICRO)
    world.sell(5, MARK, 10_000)
    world.sell(B, MARK, 10_000)
    world.price(MARK + 1_000)
    assert story(world.buy(TAKER, MARK + 1_000, 10_000)) == [
        ("cancelled", 5, 16, 10_000, Cause.MAKER_MARGIN),
        ("traded", B, TAKER, MARK, 10_000),
    ]
    assert world.account(5).lots == {}


def test_a_makers_earlier_fills_in_the_same_walk_count(world):
    world.deposit(5, 121 * MICRO)
    world.sell(5, MARK, 5_000, slot=16)
    world.sell(5, MARK, 5_000, slot=17)
    world.price(MARK + 100)
    assert story(world.buy(TAKER, MARK, 10_000)) == [
        ("traded", 5, TAKER, MARK, 5_000),
        ("cancelled", 5, 17, 5_000, Cause.MAKER_MARGIN),
        ("rested", TAKER, BUY, MARK, 5_000),
    ]


def test_a_reduce_only_taker_stops_when_nothing_is_left_to_reduce(world):
    world.sell(A, MARK, 300)
    world.buy(TAKER, MARK, 300)
    world.buy(A, MARK - 1, 200)
    world.buy(B, MARK - 2, 500)
    assert story(world.sell(TAKER, MARK - 2, 900, slot=17, reduce_only=True)) == [
        ("traded", A, TAKER, MARK - 1, 200),
        ("traded", B, TAKER, MARK - 2, 100),
        ("dropped", TAKER, 17, 600, Cause.REDUCE_ONLY_SPENT),
    ]
    assert world.size(TAKER) == 0
    assert world.account(B).orders[16].size == 400


def test_a_reduce_only_maker_is_clamped_to_its_position_and_leaves(world):
    world.sell(A, MARK, 300)
    world.buy(B, MARK, 300)
    world.sell(B, MARK + 1, 500, reduce_only=True)
    assert world.account(B).lots == {}
    assert story(world.buy(TAKER, MARK + 1, 900)) == [
        ("traded", B, TAKER, MARK + 1, 300),
        ("cancelled", B, 16, 200, Cause.REDUCE_ONLY_SPENT),
        ("rested", TAKER, BUY, MARK + 1, 600),
    ]
    assert world.account(B).reduce_only == {}


def test_a_reduce_only_maker_with_nothing_to_reduce_is_cancelled(world):
    world.sell(A, MARK, 300)
    world.buy(B, MARK, 300)
    world.sell(B, MARK + 5, 300, slot=17, reduce_only=True)
    world.buy(A, MARK - 1, 600)
    world.sell(B, MARK - 1, 600)
    assert world.size(B) == -300
    assert story(world.buy(TAKER, MARK + 5, 100)) == [
        ("cancelled", B, 17, 300, Cause.REDUCE_ONLY_SPENT),
        ("rested", TAKER, BUY, MARK + 5, 100),
    ]


def test_two_reduce_only_makers_never_close_more_than_there_is(world):
    world.sell(A, MARK, 300)
    world.buy(B, MARK, 300)
    world.sell(B, MARK + 1, 200, slot=17, reduce_only=True)
    world.sell(B, MARK + 1, 200, slot=18, reduce_only=True)
    assert story(world.buy(TAKER, MARK + 1, 400)) == [
        ("traded", B, TAKER, MARK + 1, 200),
        ("traded", B, TAKER, MARK + 1, 100),
        ("cancelled", B, 18, 100, Cause.REDUCE_ONLY_SPENT),
        ("rested", TAKER, BUY, MARK + 1, 100),
    ]
    assert world.size(B) == 0


def test_after_256_orders_the_rest_of_a_taker_is_cancelled(world):
    for i in range(260):
        world.sell(A, MARK, 100, slot=16 + i)
    told = story(world.buy(TAKER, MARK, 26_000))
    assert told[:256] == [("traded", A, TAKER, MARK, 100)] * 256
    assert told[256:] == [("dropped", TAKER, 16, 400, Cause.FILL_LIMIT)]
    assert len(world.account(A).orders) == 4


def test_dead_orders_count_towards_the_256_too(world):
    for i in range(260):
        world.sell(A, MARK, 100, slot=16 + i)
    world.cancel_all(A)
    told = story(world.buy(TAKER, MARK, 100))
    assert [sentence[4] for sentence in told[:256]] == [Cause.DEAD] * 256
    assert told[256:] == [("dropped", TAKER, 16, 100, Cause.FILL_LIMIT)]
    assert story(world.buy(TAKER, MARK, 100))[4:] == [("rested", TAKER, BUY, MARK, 100)]


def test_a_position_flips_in_one_trade_and_realises_the_old_one_only(world):
    world.sell(A, MARK, 300)
    world.buy(TAKER, MARK, 300)
    cash = world.account(TAKER).cash
    world.buy(B, MARK + 10, 500)
    world.sell(TAKER, MARK + 10, 500)
    position = world.account(TAKER).positions[0]
    fee = -(-500 * (MARK + 10) * 300 // 1_000_000)
    assert (position.size, position.entry) == (-200, -200 * (MARK + 10))
    assert world.account(TAKER).cash == cash + 300 * 10 - fee


def test_opening_moves_no_cash_but_the_fee(world):
    world.sell(A, MARK, 100)
    world.buy(TAKER, MARK, 100)
    assert world.account(A).cash == 10_000 * MICRO
    assert world.account(TAKER).cash == 10_000 * MICRO - FEE
    assert world.state.markets[0].fees == FEE


def test_a_partial_close_releases_its_share_of_the_entry_truncated(world):
    """300 bought for 180,000,100: a third releases 60,000,033 and a third of the rest no less."""
    world.sell(A, MARK, 200)
    world.sell(A, MARK + 1, 100, slot=17)
    world.buy(TAKER, MARK + 1, 300)
    assert world.account(TAKER).positions[0].entry == 300 * MARK + 100
    cash = world.account(TAKER).cash
    world.buy(B, MARK, 100)
    world.sell(TAKER, MARK, 100)
    assert world.account(TAKER).positions[0].entry == 300 * MARK + 100 - 60_000_033
    assert world.account(TAKER).cash == cash + 60_000_000 - 60_000_033 - FEE


def test_fees_are_rounded_up():
    """0.03 % of 100 × 33 is 0.99 of a unit: 1."""
    cheap = World()
    cheap.price(33)
    cheap.sell(A, 33, 100)
    cheap.buy(B, 33, 100)
    assert cheap.state.markets[0].fees == 1


def test_the_book_forgets_empty_prices(world):
    world.sell(A, MARK, 100)
    world.buy(TAKER, MARK, 100)
    world.buy(B, MARK - 5, 100)
    world.cancel(B)
    book = world.state.markets[0].book
    assert (book.bids, book.asks, book.bid_queues, book.ask_queues) == ([], [], {}, {})


def test_an_order_of_a_session_fills_after_the_session_was_renewed(world):
    world.grant(A)
    world.send(world.order(A, SELL, MARK, 100), signers=(SESSION_KEY,))
    world.grant(A)
    assert reasons(world.buy(TAKER, MARK, 100)) == []
    assert world.size(A) == -100


def test_a_replace_that_comes_after_its_order_has_filled_completely_is_refused(world):
    world.sell(A, MARK, 500)
    world.buy(TAKER, MARK, 500)
    world.assert_refused(Reason.FILLED_SINCE, lambda: world.sell(A, MARK, 300, fill_guard=499), guarded=True)
    assert story(world.sell(A, MARK, 300, fill_guard=500)) == [("rested", A, SELL, MARK, 300)]
