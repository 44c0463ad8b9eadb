"""How orders die without being met, and how they leave."""

import pytest

from penstock.protocol.commands import BUY, SELL, CancelAll
from penstock.protocol.quantities import NO_DEADLINE
from penstock.protocol.reasons import Cause, Reason
from world import SESSION_KEY, World, owner_of, story

MARK = 600_000
MAKER, TAKER = 1, 2


@pytest.fixture
def world():
    venue = World()
    venue.price(MARK)
    return venue


def test_a_mass_cancel_frees_all_margin_and_counts_at_once(world):
    world.sell(TAKER, MARK, 100)
    world.buy(MAKER, MARK, 100)
    for i in range(5):
        world.buy(MAKER, MARK - 10, 1_000, slot=20 + i)
    world.sell(MAKER, MARK + 10, 100, slot=30, reduce_only=True)
    assert story(world.cancel_all(MAKER)) == [("all cancelled", MAKER)]
    account = world.account(MAKER)
    assert (account.open_orders, account.lots, account.reduce_only) == (0, {}, {})


def test_killed_orders_are_never_filled_and_leave_when_met(world):
    world.sell(MAKER, MARK, 100, slot=20)
    world.sell(MAKER, MARK, 100, slot=21)
    world.cancel_all(MAKER)
    world.sell(MAKER, MARK, 100, slot=22)
    assert story(world.buy(TAKER, MARK, 100)) == [
        ("cancelled", MAKER, 20, 100, Cause.DEAD),
        ("cancelled", MAKER, 21, 100, Cause.DEAD),
        ("traded", MAKER, TAKER, MARK, 100),
    ]
    assert world.account(MAKER).open_orders == 0


def test_killed_orders_leave_when_their_slot_is_used_again(world):
    world.sell(MAKER, MARK, 100)
    world.cancel_all(MAKER)
    assert story(world.sell(MAKER, MARK, 200)) == [
        ("cancelled", MAKER, 16, 100, Cause.DEAD),
        ("rested", MAKER, SELL, MARK, 200),
    ]
    assert world.account(MAKER).lots == {0: [0, 200]}


def test_killed_orders_leave_by_a_poke(world):
    world.sell(MAKER, MARK, 100)
    world.assert_refused(Reason.ORDER_NOT_DEAD, lambda: world.remove(MAKER, 16), guarded=False)
    world.assert_refused(Reason.ORDER_NOT_DEAD, lambda: world.remove(MAKER, 17), guarded=False)
    world.assert_refused(Reason.SUBACCOUNT_UNKNOWN, lambda: world.remove(9, 16), guarded=False)
    world.cancel_all(MAKER)
    assert story(world.remove(MAKER, 16)) == [("cancelled", MAKER, 16, 100, Cause.DEAD)]
    world.assert_refused(Reason.ORDER_NOT_DEAD, lambda: world.remove(MAKER, 16), guarded=False)


def test_a_killed_order_cannot_be_cancelled_or_amended(world):
    world.sell(MAKER, MARK, 200)
    world.cancel_all(MAKER)
    world.assert_refused(Reason.ORDER_UNKNOWN, lambda: world.cancel(MAKER), guarded=True)
    assert story(world.sell(MAKER, MARK, 100, fill_guard=0))[0] == ("cancelled", MAKER, 16, 200, Cause.DEAD)


def test_killed_orders_do_not_stand_in_the_way_of_post_only(world):
    world.sell(MAKER, MARK, 100, slot=20)
    world.sell(MAKER, MARK, 100, slot=21)
    world.cancel_all(MAKER)
    assert story(world.buy(TAKER, MARK, 100, post_only=True)) == [
        ("cancelled", MAKER, 20, 100, Cause.DEAD),
        ("cancelled", MAKER, 21, 100, Cause.DEAD),
        ("rested", TAKER, BUY, MARK, 100),
    ]


def test_a_mass_cancel_inside_a_bundle_kills_what_came_before_it_only(world):
    world.sell(MAKER, MARK + 5, 100, slot=19)
    before = world.order(MAKER, SELL, MARK, 100, 20)
    after = world.order(MAKER, SELL, MARK, 200, 21)
    cancel = CancelAll(MAKER, 0, world.next_nonce(), NO_DEADLINE)
    world.send(before, cancel, after, signers=(owner_of(MAKER),))
    assert world.account(MAKER).open_orders == 1
    assert world.account(MAKER).lots == {0: [0, 200]}
    assert story(world.buy(TAKER, MARK + 5, 400)) == [
        ("cancelled", MAKER, 20, 100, Cause.DEAD),
        ("traded", MAKER, TAKER, MARK, 200),
        ("cancelled", MAKER, 19, 100, Cause.DEAD),
        ("rested", TAKER, BUY, MARK + 5, 200),
    ]


def test_an_amended_order_survives_a_mass_cancel_that_came_before_it(world):
    world.sell(MAKER, MARK, 200)
    amend = world.order(MAKER, SELL, MARK, 100)
    cancel = CancelAll(MAKER, 0, world.next_nonce(), NO_DEADLINE)
    world.send(cancel, amend, signers=(owner_of(MAKER),))
    assert story(world.buy(TAKER, MARK, 100)) == [("traded", MAKER, TAKER, MARK, 100)]


def test_revoking_a_key_kills_its_orders_and_no_others(world):
    world.grant(MAKER)
    world.send(world.order(MAKER, SELL, MARK, 100, 20), signers=(SESSION_KEY,))
    world.sell(MAKER, MARK, 100, slot=21)
    world.revoke(MAKER)
    assert story(world.buy(TAKER, MARK, 100)) == [
        ("cancelled", MAKER, 20, 100, Cause.DEAD),
        ("traded", MAKER, TAKER, MARK, 100),
    ]


def test_orders_dead_by_session_reserve_margin_until_removed(world):
    world.grant(MAKER)
    world.send(world.order(MAKER, SELL, MARK, 100, 20), signers=(SESSION_KEY,))
    world.revoke(MAKER)
    assert world.account(MAKER).lots == {0: [0, 100]}
    assert story(world.remove(MAKER, 20)) == [("cancelled", MAKER, 20, 100, Cause.DEAD)]
    assert (world.account(MAKER).lots, world.account(MAKER).open_orders) == ({}, 0)


def test_an_expired_keys_orders_die_with_it(world):
    world.grant(MAKER, expiry=world.time // 1_000_000 + 10)
    world.send(world.order(MAKER, SELL, MARK, 100, 20), signers=(SESSION_KEY,))
    world.assert_refused(Reason.ORDER_NOT_DEAD, lambda: world.remove(MAKER, 20), guarded=False)
    world.wait(10)
    assert story(world.buy(TAKER, MARK, 100))[0] == ("cancelled", MAKER, 20, 100, Cause.DEAD)


def test_a_key_granted_again_after_its_death_does_not_raise_the_dead(world):
    world.grant(MAKER)
    world.send(world.order(MAKER, SELL, MARK, 100, 20), signers=(SESSION_KEY,))
    world.revoke(MAKER)
    world.grant(MAKER)
    assert story(world.buy(TAKER, MARK, 100))[0] == ("cancelled", MAKER, 20, 100, Cause.DEAD)


def test_an_order_the_owner_amends_outlives_the_key_that_placed_it(world):
    world.grant(MAKER)
    world.send(world.order(MAKER, SELL, MARK, 200, 20), signers=(SESSION_KEY,))
    world.sell(MAKER, MARK, 100, slot=20)
    world.revoke(MAKER)
    assert story(world.buy(TAKER, MARK, 100)) == [("traded", MAKER, TAKER, MARK, 100)]
