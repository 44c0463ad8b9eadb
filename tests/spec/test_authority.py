"""Who may say what, each message once: refusals before authentication change nothing at all."""

import pytest

from penstock.protocol.commands import (
    SCOPE_CANCEL,
    SCOPE_TRADE,
    SCOPE_WITHDRAW,
    CancelAll,
    CancelOrder,
    GrantSession,
    RevokeSession,
    Withdraw,
)
from penstock.protocol.events import SlotGuarded
from penstock.protocol.quantities import MAX_NONCE_AHEAD, MICRO, NO_DEADLINE
from penstock.protocol.reasons import Reason
from penstock.protocol.terms import FUTURE, PERPETUAL
from world import SESSION_KEY, STRANGER, World, owner_of, reasons, story

MARK = 600_000
TRADER, OTHER = 1, 2
BY_SESSION = (SESSION_KEY,)


@pytest.fixture
def world():
    venue = World()
    venue.price(MARK)
    venue.price(30_000_00, market=1)
    return venue


def order(world, **changes):
    return world.order(TRADER, 0, MARK - 100, 100, **changes)


def commands_of(world, subaccount, slot):
    """One command of every kind that names a slot."""
    nonce = world.next_nonce()
    expiry = world.time // MICRO + 60
    return [
        CancelAll(subaccount, slot, nonce, NO_DEADLINE),
        Withdraw(subaccount, slot, nonce, NO_DEADLINE, 1),
        GrantSession(subaccount, slot, nonce, NO_DEADLINE, STRANGER, expiry, 100, 200, 1, 1, 1),
        RevokeSession(subaccount, slot, nonce, NO_DEADLINE, STRANGER),
    ]


def test_a_subaccount_nobody_credited_is_unknown(world):
    for command in [*commands_of(world, 9, 0), order(world, subaccount=9), CancelOrder(9, 16, 1, NO_DEADLINE)]:
        world.assert_refused(
            Reason.SUBACCOUNT_UNKNOWN, lambda c=command: world.send(c, signers=(owner_of(9),)), guarded=False
        )


@pytest.mark.parametrize("slot", [0, 15, 4096, 65_535])
def test_orders_use_slots_16_to_4095(world, slot):
    for command in (order(world, slot=slot), CancelOrder(TRADER, slot, world.next_nonce(), NO_DEADLINE)):
        world.assert_refused(
            Reason.SLOT_OUT_OF_RANGE, lambda c=command: world.send(c, signers=(owner_of(TRADER),)), guarded=False
        )


@pytest.mark.parametrize("slot", [16, 4095, 4096, 65_535])
def test_money_and_keys_use_slots_0_to_15(world, slot):
    for command in commands_of(world, TRADER, slot)[1:]:
        world.assert_refused(
            Reason.SLOT_OUT_OF_RANGE, lambda c=command: world.send(c, signers=(owner_of(TRADER),)), guarded=False
        )


def test_a_mass_cancel_uses_any_slot_there_is(world):
    for slot in (0, 15, 16, 4095):
        assert story(world.cancel_all(TRADER, slot)) == [("all cancelled", TRADER)]
    world.assert_refused(Reason.SLOT_OUT_OF_RANGE, lambda: world.cancel_all(TRADER, 4096), guarded=False)


@pytest.mark.parametrize(
    "signers", [(STRANGER,), (), (owner_of(OTHER),), (owner_of(TRADER), owner_of(OTHER)), (bytes(20),)]
)
def test_only_the_owner_and_its_session_keys_may_sign(world, signers):
    for command in (order(world), *commands_of(world, TRADER, 3)):
        world.assert_refused(Reason.SIGNER_UNKNOWN, lambda c=command: world.send(c, signers=signers), guarded=False)


def test_nobody_signs_for_the_insurance_fund(world):
    for signers in ((STRANGER,), (owner_of(TRADER),), ()):
        world.assert_refused(
            Reason.SIGNER_UNKNOWN, lambda s=signers: world.send(order(world, subaccount=0), signers=s), guarded=False
        )


def test_a_session_of_one_subaccount_is_a_stranger_to_another(world):
    world.grant(OTHER)
    world.assert_refused(Reason.SIGNER_UNKNOWN, lambda: world.send(order(world), signers=BY_SESSION), guarded=False)


def test_a_revoked_key_signs_nothing_more(world):
    world.grant(TRADER)
    world.revoke(TRADER)
    for command in (order(world), *commands_of(world, TRADER, 3)):
        world.assert_refused(Reason.SESSION_REVOKED, lambda c=command: world.send(c, signers=BY_SESSION), guarded=False)


def test_a_key_expires_with_the_first_microsecond_of_its_last_second(world):
    expiry = world.time // MICRO + 30
    world.grant(TRADER, expiry=expiry)
    world.time = expiry * MICRO - 1_001
    assert reasons(world.send(order(world, max_fee_ppm=300), signers=BY_SESSION)) == []
    assert world.time == expiry * MICRO - 1
    world.time = expiry * MICRO - 1_000
    for command in (order(world), *commands_of(world, TRADER, 3)):
        world.time = expiry * MICRO - 1_000
        world.assert_refused(Reason.SESSION_EXPIRED, lambda c=command: world.send(c, signers=BY_SESSION), guarded=False)


def test_a_key_grants_and_revokes_no_keys(world):
    world.grant(TRADER, slot_first=0)
    for command in commands_of(world, TRADER, 3)[2:]:
        world.assert_refused(Reason.OWNER_ONLY, lambda c=command: world.send(c, signers=BY_SESSION), guarded=False)


def test_a_key_does_only_what_its_scopes_say(world):
    world.grant(TRADER, slot_first=0)
    for scopes in range(1, 8):
        world.grant(TRADER, slot_first=0, scopes=scopes)
        cancel, withdraw = commands_of(world, TRADER, 0)[:2]
        cancel_one = CancelOrder(TRADER, 16, world.next_nonce(), NO_DEADLINE)
        for command, scope in (
            (order(world), SCOPE_TRADE),
            (cancel_one, SCOPE_CANCEL),
            (cancel, SCOPE_CANCEL),
            (withdraw, SCOPE_WITHDRAW),
        ):
            if scopes & scope:
                assert Reason.SESSION_SCOPE_MISSING not in reasons(world.send(command, signers=BY_SESSION))
            else:
                world.assert_refused(
                    Reason.SESSION_SCOPE_MISSING, lambda c=command: world.send(c, signers=BY_SESSION), guarded=False
                )


def test_a_key_stays_inside_its_slots(world):
    world.grant(TRADER, slot_first=20, slot_last=30)
    for slot in (16, 19, 31, 4095):
        for command in (
            order(world, slot=slot),
            CancelOrder(TRADER, slot, world.next_nonce(), NO_DEADLINE),
            CancelAll(TRADER, slot, world.next_nonce(), NO_DEADLINE),
        ):
            world.assert_refused(
                Reason.SESSION_SLOT_FORBIDDEN, lambda c=command: world.send(c, signers=BY_SESSION), guarded=False
            )
    for slot in (20, 30):
        assert reasons(world.send(order(world, slot=slot), signers=BY_SESSION)) == []


def test_a_key_trades_only_its_underlyings_and_kinds(world):
    for changes in ({"underlyings": 0b10}, {"kinds": FUTURE}, {"underlyings": 0}, {"kinds": 0}):
        world.grant(TRADER, **changes)
        world.assert_refused(
            Reason.SESSION_MARKET_FORBIDDEN, lambda: world.send(order(world), signers=BY_SESSION), guarded=False
        )
    world.grant(TRADER, underlyings=0b10, kinds=PERPETUAL)
    eth = world.order(TRADER, 0, 29_000_00, 10, market=1)
    assert story(world.send(eth, signers=BY_SESSION)) == [("rested", TRADER, 0, 29_000_00, 10)]


def test_a_nonce_works_once_and_lower_ones_never_again(world):
    first = order(world, nonce=world.time + 5)
    assert reasons(world.send(first, signers=(owner_of(TRADER),))) == []
    for nonce in (first.nonce, first.nonce - 1, 0):
        world.assert_refused(
            Reason.NONCE_USED,
            lambda n=nonce: world.send(order(world, nonce=n), signers=(owner_of(TRADER),)),
            guarded=False,
        )


def test_a_refused_message_is_used_up_too(world):
    refused = order(world, price=0)
    assert reasons(world.send(refused, signers=(owner_of(TRADER),))) == [Reason.PRICE_NOT_POSITIVE]
    world.assert_refused(Reason.NONCE_USED, lambda: world.send(refused, signers=(owner_of(TRADER),)), guarded=False)


def test_a_nonce_is_at_most_sixty_seconds_ahead_of_venue_time(world):
    last = world.time + 1_000 + MAX_NONCE_AHEAD
    world.assert_refused(
        Reason.NONCE_TOO_FAR_AHEAD,
        lambda: world.send(order(world, nonce=last + 1), signers=(owner_of(TRADER),)),
        guarded=False,
    )
    last += 1_000
    events = world.send(order(world, nonce=last), signers=(owner_of(TRADER),))
    assert events[0] == SlotGuarded(TRADER, 16, last)


def test_101_messages_on_101_slots_arrive_in_any_order(world):
    sent = [order(world, slot=16 + i) for i in range(101)]
    for command in sent[::-1]:
        assert reasons(world.send(command, signers=(owner_of(TRADER),))) == []


def test_authentication_is_checked_in_the_order_of_the_list(world):
    """Each command is wrong in every way from its reason on; the first way wins."""
    ahead = world.time + 10 * MAX_NONCE_AHEAD
    expired = world.time // MICRO + 1
    world.grant(TRADER, expiry=expired, slot_first=100, slot_last=200, scopes=SCOPE_CANCEL, underlyings=2)
    worst = order(world, slot=99, nonce=ahead, deadline=0, price=0)

    def reason(command, signers=BY_SESSION):
        return reasons(world.send(command, signers=signers))

    assert reason(order(world, subaccount=9, slot=1, nonce=ahead)) == [Reason.SUBACCOUNT_UNKNOWN]
    assert reason(order(world, slot=1, nonce=ahead), (STRANGER,)) == [Reason.SLOT_OUT_OF_RANGE]
    assert reason(worst, (STRANGER,)) == [Reason.SIGNER_UNKNOWN]
    assert reason(worst) == [Reason.SESSION_SCOPE_MISSING]
    world.grant(TRADER, expiry=expired, slot_first=100, slot_last=200, scopes=SCOPE_TRADE, underlyings=2)
    assert reason(worst) == [Reason.SESSION_SLOT_FORBIDDEN]
    inside = order(world, slot=100, nonce=ahead, deadline=0, price=0)
    assert reason(inside) == [Reason.SESSION_MARKET_FORBIDDEN]
    world.grant(TRADER, expiry=expired, slot_first=100, slot_last=200, scopes=SCOPE_TRADE)
    assert reason(inside) == [Reason.NONCE_TOO_FAR_AHEAD]
    assert reason(order(world, slot=100, nonce=0, deadline=0, price=0)) == [Reason.NONCE_USED]
    assert reason(order(world, slot=100, deadline=0, price=0)) == [Reason.DEADLINE_PASSED]
    world.wait(10)
    assert reason(worst) == [Reason.SESSION_EXPIRED]
    world.grant(TRADER)
    world.revoke(TRADER)
    world.wait(4_000)
    assert reason(worst) == [Reason.SESSION_REVOKED]
