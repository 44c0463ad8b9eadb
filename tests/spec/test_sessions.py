"""Delegated keys: 64 places, disjoint slots, an end."""

import pytest

from penstock.protocol.commands import ALL_SCOPES, BUY, SELL, Withdraw
from penstock.protocol.events import SessionGranted, SessionRevoked
from penstock.protocol.quantities import MAX_SESSIONS, MICRO
from penstock.protocol.reasons import Cause, Reason
from world import SESSION_KEY, World, owner_of, reasons, story, without_guards

MARK = 600_000
TRADER, OTHER = 1, 2


@pytest.fixture
def world():
    venue = World()
    venue.price(MARK)
    return venue


def key(number):
    return number.to_bytes(20, "big")


def test_a_grant_says_everything_the_key_may_do(world):
    expiry = world.time // MICRO + 60
    events = without_guards(world.grant(TRADER, expiry=expiry, slot_first=16, slot_last=79, scopes=3))
    granted = events[0]
    assert events == [
        SessionGranted(
            world.sequence, 0, TRADER, 0, SESSION_KEY, expiry, 16, 79, 3, 3, 1, world.sequence, granted.record_hash
        )
    ]


def test_a_revocation_names_the_key_and_its_place(world):
    world.grant(TRADER)
    events = without_guards(world.revoke(TRADER))
    assert events == [SessionRevoked(world.sequence, 0, TRADER, 0, SESSION_KEY, events[0].record_hash)]
    assert world.account(TRADER).sessions[0].revoked_at == world.sequence


@pytest.mark.parametrize("wrong", [bytes(20), owner_of(TRADER)])
def test_neither_nobody_nor_the_owner_becomes_a_session_key(world, wrong):
    world.assert_refused(Reason.SESSION_KEY_INVALID, lambda: world.grant(TRADER, wrong), guarded=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"slot_first": 20, "slot_last": 19},
        {"slot_last": 4096},
        {"scopes": 0},
        {"scopes": ALL_SCOPES + 1},
        {"scopes": 1 << 31},
        {"expiry": 0},
    ],
)
def test_terms_out_of_range_are_refused(world, changes):
    world.assert_refused(Reason.SESSION_TERMS_INVALID, lambda: world.grant(TRADER, **changes), guarded=True)


def test_a_key_must_live_at_least_a_microsecond(world):
    expiry = world.time // MICRO + 5
    world.time = expiry * MICRO - 1_000
    world.assert_refused(Reason.SESSION_TERMS_INVALID, lambda: world.grant(TRADER, expiry=expiry), guarded=True)
    world.time = expiry * MICRO - 1_001
    assert reasons(world.grant(TRADER, expiry=expiry)) == []


def test_live_keys_hold_disjoint_slots(world):
    world.grant(TRADER, key(1), slot_first=100, slot_last=200)
    for first, last in ((100, 200), (50, 100), (200, 300), (150, 160), (16, 4095)):
        world.assert_refused(
            Reason.SESSION_TERMS_INVALID,
            lambda f=first, t=last: world.grant(TRADER, key(2), slot_first=f, slot_last=t),
            guarded=True,
        )
    assert reasons(world.grant(TRADER, key(2), slot_first=201, slot_last=300)) == []
    assert reasons(world.grant(TRADER, key(1), slot_first=50, slot_last=200)) == []
    world.revoke(TRADER, key(1))
    assert reasons(world.grant(TRADER, key(3), slot_first=50, slot_last=200)) == []
    assert reasons(world.grant(OTHER, key(1), slot_first=50, slot_last=200)) == []


def test_64_live_keys_and_no_65th_until_one_dies(world):
    for i in range(MAX_SESSIONS):
        assert reasons(world.grant(TRADER, key(i + 1), slot_first=100 + i, slot_last=100 + i)) == []
    world.assert_refused(
        Reason.SESSION_LIMIT, lambda: world.grant(TRADER, key(99), slot_first=16, slot_last=16), guarded=True
    )
    world.revoke(TRADER, key(6))
    events = without_guards(world.grant(TRADER, key(99), slot_first=16, slot_last=16))
    assert events[0].session == 5
    assert key(6) not in world.account(TRADER).session_of


def test_a_place_used_again_does_not_raise_the_orders_of_its_former_key(world):
    world.grant(TRADER, key(1), slot_first=100, slot_last=100)
    world.send(world.order(TRADER, SELL, MARK, 100, 100), signers=(key(1),))
    world.revoke(TRADER, key(1))
    for i in range(1, MAX_SESSIONS):
        world.grant(TRADER, key(i + 1), slot_first=100 + i, slot_last=100 + i)
    world.grant(TRADER, key(99), slot_first=16, slot_last=16)
    assert world.account(TRADER).sessions[0].key == key(99)
    assert story(world.buy(OTHER, MARK, 100)) == [
        ("cancelled", TRADER, 100, 100, Cause.DEAD),
        ("rested", OTHER, BUY, MARK, 100),
    ]


def test_only_a_live_key_can_be_revoked(world):
    world.assert_refused(Reason.SESSION_UNKNOWN, lambda: world.revoke(TRADER), guarded=True)
    world.grant(TRADER)
    world.revoke(TRADER)
    world.assert_refused(Reason.SESSION_UNKNOWN, lambda: world.revoke(TRADER), guarded=True)
    world.grant(TRADER, expiry=world.time // MICRO + 5)
    world.wait(5)
    world.assert_refused(Reason.SESSION_UNKNOWN, lambda: world.revoke(TRADER), guarded=True)


def test_a_key_that_may_withdraw_pays_the_owner_only(world):
    world.grant(TRADER, slot_first=0)
    withdraw = Withdraw(TRADER, 3, world.next_nonce(), (1 << 64) - 1, 5)
    assert reasons(world.send(withdraw, signers=(SESSION_KEY,))) == []
    assert world.account(TRADER).withdrawn == 5
